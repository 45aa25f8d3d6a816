#include "tests/support/e2e.h"

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/child.h"
#include "tests/support/e2e_arguments.h"
#include "tests/support/ports.h"
#include "tests/support/test.h"

enum { NODES_MAX = 56, LOG_TAIL_BYTES = 6000 };

struct e2e_job {
    pid_t pid;
    char *command; /* as a person would have typed it */
    char *out_path;
    char *err_path;
    double started;
    bool ended;
    int status;
};

/* What must be released when the test process ends. */
static struct {
    struct e2e_node *nodes[NODES_MAX];
    size_t node_count;
    struct e2e_result *results;
    json_t *kept; /* array */
    unsigned jobs;
    bool finished;
    bool registered;
} e2e;

/* --- telling --- */

void e2e_step(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)fprintf(stderr, "-- ");
    (void)vfprintf(stderr, format, args);
    (void)fprintf(stderr, "\n");
    va_end(args);
}

void e2e_fail(const char *format, ...)
{
    char text[4096];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    print_error("%s\n", text);
    fail();
    abort(); /* fail() does not return, but does not say so to the compiler */
}

bool e2e_long(void)
{
    const char *wanted = getenv("HM_TEST_LONG");

    return wanted != NULL && strcmp(wanted, "1") == 0;
}

/* --- memory and the end --- */

json_t *e2e_keep(json_t *json)
{
    if (json == NULL) {
        e2e_fail("no JSON value could be made");
    }
    if (e2e.kept == NULL) {
        e2e.kept = json_array();
    }
    (void)json_array_append_new(e2e.kept, json);
    return json;
}

static const char *keep_text(char *text)
{
    json_t *kept = json_string_nocheck(text);

    free(text);
    return json_string_value(e2e_keep(kept));
}

static void print_log_tail(const struct e2e_node *node)
{
    char path[256];
    size_t len = 0;
    char *text;

    (void)snprintf(path, sizeof path, "%s.log", node->dir);
    text = hm_child_read_file(path, &len);
    if (text != NULL && len > 0) {
        size_t from = len > LOG_TAIL_BYTES ? len - LOG_TAIL_BYTES : 0;

        (void)fprintf(stderr, "==== standard error of %s%s\n%s\n", node->name,
                      from > 0 ? " (its end)" : "", text + from);
    }
    free(text);
}

static void free_result(struct e2e_result *result)
{
    free(result->out);
    free(result->err);
    json_decref(result->json);
    free(result);
}

static void release_all(void)
{
    for (size_t i = 0; i < e2e.node_count; i++) {
        if (!e2e.finished) {
            print_log_tail(e2e.nodes[i]);
        }
        hm_proxy_stop(e2e.nodes[i]->proxy);
        free(e2e.nodes[i]);
    }
    while (e2e.results != NULL) {
        struct e2e_result *result = e2e.results;

        e2e.results = result->next;
        free_result(result);
    }
    json_decref(e2e.kept);
    e2e.kept = NULL;
    e2e.node_count = 0;
}

static void register_release(void)
{
    if (!e2e.registered) {
        e2e.registered = atexit(release_all) == 0;
        /* What this machine's NetworkManager says is no business of a test's. */
        (void)setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere/bus", 0);
    }
}

void e2e_finish(void)
{
    for (size_t i = 0; i < e2e.node_count; i++) {
        if (e2e.nodes[i]->pid > 0) {
            e2e_check_alive(e2e.nodes[i]);
            e2e_stop(e2e.nodes[i]);
        }
    }
    e2e.finished = true;
}

/* --- files --- */

const char *e2e_path(const char *format, ...)
{
    char name[256];
    char path[512];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(name, sizeof name, format, args);
    va_end(args);
    (void)snprintf(path, sizeof path, "%s/%s", hm_test_folder(), name);
    return json_string_value(e2e_keep(json_string(path)));
}

void e2e_write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "wb");

    if (file == NULL || fputs(text, file) == EOF || fclose(file) != 0) {
        e2e_fail("cannot write %s", path);
    }
}

const char *e2e_read_file(const char *path)
{
    char *text = hm_child_read_file(path, NULL);

    if (text == NULL) {
        e2e_fail("cannot read %s", path);
    }
    return keep_text(text);
}

/* The folder of the test program, where hamletd and hamlet are too. */
static const char *bin_folder(void)
{
    static char folder[1024];

    if (folder[0] == 0) {
        const char *bin = getenv("HM_BIN"); /* CTest sets it */

        (void)snprintf(folder, sizeof folder, "%s", bin == NULL ? "build/bin" : bin);
    }
    return folder;
}

/* --- running programs --- */

struct run {
    const char *program;
    const char *in;
    const char *out; /* NULL: a new file */
    const char *const *arguments;
};

static struct e2e_job *begin(const struct run *run)
{
    struct e2e_job *job = calloc(1, sizeof *job);
    char *argv[E2E_ARGUMENTS_MAX + 2] = {NULL};
    struct hm_child_options options = {.in = run->in};
    char program[1200];

    register_release();
    if (job == NULL) {
        e2e_fail("out of memory");
    }
    (void)snprintf(program, sizeof program, "%s/%s", bin_folder(), run->program);
    argv[0] = program;
    for (size_t i = 0; run->arguments[i] != NULL; i++) {
        argv[i + 1] = (char *)(uintptr_t)run->arguments[i];
    }
    e2e.jobs++;
    job->command = e2e_arguments_join(run->program, run->arguments);
    job->out_path =
        strdup(run->out != NULL ? run->out : e2e_path("job-%u.out", e2e.jobs));
    job->err_path = strdup(e2e_path("job-%u.err", e2e.jobs));
    options.out = job->out_path;
    options.err = job->err_path;
    job->started = hm_child_clock();
    job->pid = hm_child_start(argv, &options);
    if (job->pid < 0) {
        e2e_fail("cannot start %s", program);
    }
    return job;
}

bool e2e_ended(struct e2e_job *job)
{
    if (!job->ended) {
        job->ended = hm_child_wait(job->pid, 0, &job->status);
    }
    return job->ended;
}

static void remove_job(struct e2e_job *job, bool keep_out)
{
    if (!keep_out) {
        (void)unlink(job->out_path);
    }
    (void)unlink(job->err_path);
    free(job->command);
    free(job->out_path);
    free(job->err_path);
    free(job);
}

static struct e2e_result *end(struct e2e_job *job, double timeout_s, bool keep_out)
{
    struct e2e_result *result = calloc(1, sizeof *result);

    if (!job->ended && !hm_child_wait(job->pid, timeout_s, &job->status)) {
        e2e_fail("still running after %.0f s: %s", timeout_s, job->command);
    }
    if (result == NULL) {
        e2e_fail("out of memory");
    }
    result->next = e2e.results;
    e2e.results = result;
    result->seconds = hm_child_clock() - job->started;
    result->exit_code =
        WIFEXITED(job->status) ? WEXITSTATUS(job->status) : -WTERMSIG(job->status);
    result->out = keep_out ? strdup("") : hm_child_read_file(job->out_path, NULL);
    result->err = hm_child_read_file(job->err_path, NULL);
    if (result->out == NULL || result->err == NULL) {
        e2e_fail("cannot read what was printed by %s", job->command);
    }
    result->json = json_loads(result->out, JSON_REJECT_DUPLICATES, NULL);
    if (result->exit_code == 127) {
        e2e_fail("cannot run %s", job->command);
    }
    remove_job(job, keep_out);
    return result;
}

struct e2e_result *e2e_end(struct e2e_job *job, double timeout_s)
{
    return end(job, timeout_s, false);
}

void e2e_forget(struct e2e_result *result)
{
    struct e2e_result **at = &e2e.results;

    while (*at != result) {
        at = &(*at)->next;
    }
    *at = result->next;
    free_result(result);
}

struct e2e_result *e2e_tool(const char *out, const char *program, ...)
{
    struct e2e_arguments arguments = {0};
    va_list args;

    va_start(args, program);
    e2e_arguments_add_all(&arguments, args);
    va_end(args);
    return end(begin(&(struct run){
                   .program = program, .out = out, .arguments = arguments.values}),
               E2E_CLI_S, out != NULL);
}

/* hamlet --dir DIR arguments [--json], with input as standard input. */
static struct e2e_job *begin_cli(const struct e2e_node *node, const char *input,
                                 va_list args, bool json)
{
    struct e2e_arguments arguments = {0};
    struct run run = {.program = "hamlet", .arguments = arguments.values};

    e2e_arguments_add(&arguments, "--dir");
    e2e_arguments_add(&arguments, node->dir);
    e2e_arguments_add_all(&arguments, args);
    if (json) {
        e2e_arguments_add(&arguments, "--json");
    }
    if (input != NULL) {
        run.in = e2e_path("job-%u.in", e2e.jobs + 1);
        e2e_write_file(run.in, input);
    }
    return begin(&run);
}

struct e2e_result *e2e_cli(struct e2e_node *node, ...)
{
    struct e2e_job *job;
    va_list args;

    va_start(args, node);
    job = begin_cli(node, NULL, args, false);
    va_end(args);
    return e2e_end(job, E2E_CLI_S);
}

struct e2e_result *e2e_cli_input(struct e2e_node *node, const char *input, ...)
{
    struct e2e_job *job;
    va_list args;

    va_start(args, input);
    job = begin_cli(node, input, args, false);
    va_end(args);
    return e2e_end(job, E2E_CLI_S);
}

struct e2e_job *e2e_begin(struct e2e_node *node, const char *input, ...)
{
    struct e2e_job *job;
    va_list args;

    va_start(args, input);
    job = begin_cli(node, input, args, true);
    va_end(args);
    return job;
}

static struct e2e_result *end_expecting(struct e2e_job *job, int exit_code)
{
    char *command = strdup(job->command);
    struct e2e_result *result = e2e_end(job, E2E_CLI_S);

    if (result->exit_code != exit_code) {
        e2e_fail("exit %d, not %d: %s\n  printed: %s\n  said: %s", result->exit_code,
                 exit_code, command, result->out, result->err);
    }
    if (exit_code == E2E_DONE && result->json == NULL) {
        e2e_fail("no JSON from %s\n  printed: %s", command, result->out);
    }
    free(command);
    return result;
}

json_t *e2e_ok(struct e2e_node *node, ...)
{
    struct e2e_job *job;
    va_list args;

    va_start(args, node);
    job = begin_cli(node, NULL, args, true);
    va_end(args);
    return end_expecting(job, E2E_DONE)->json;
}

json_t *e2e_ok_input(struct e2e_node *node, json_t *input, ...)
{
    struct e2e_job *job;
    va_list args;

    va_start(args, input);
    job = begin_cli(node, e2e_text(e2e_keep(input)), args, true);
    va_end(args);
    return end_expecting(job, E2E_DONE)->json;
}

struct e2e_result *e2e_refused(struct e2e_node *node, int exit_code, ...)
{
    struct e2e_result *result;
    struct e2e_job *job;
    char *line_end;
    va_list args;

    va_start(args, exit_code);
    job = begin_cli(node, NULL, args, true);
    va_end(args);
    result = end_expecting(job, exit_code);
    line_end = strchr(result->err, '\n');
    if (line_end == NULL || line_end == result->err || line_end[1] != 0) {
        e2e_fail("a refusal is one line on standard error, not: '%s'", result->err);
    }
    return result;
}

/* --- nodes --- */

struct e2e_node *e2e_init(const struct e2e_options *options)
{
    struct e2e_node *node = calloc(1, sizeof *node);
    struct e2e_arguments arguments = {0};
    const char *host = options->ipv6 ? "[::1]" : "127.0.0.1";
    struct e2e_result *result;
    char web[32];
    char hub[32];

    register_release();
    if (node == NULL || e2e.node_count == NODES_MAX) {
        e2e_fail("too many nodes");
    }
    e2e.nodes[e2e.node_count++] = node;
    node->loop_guard = options->loop_guard;
    node->web_port = hm_port_free();
    (void)snprintf(node->name, sizeof node->name, "%s", options->name);
    (void)snprintf(node->dir, sizeof node->dir, "%s", e2e_path("%s", options->name));
    (void)snprintf(web, sizeof web, "%s:%u", host, (unsigned)node->web_port);
    e2e_arguments_add(&arguments, "init");
    e2e_arguments_add(&arguments, node->dir);
    e2e_arguments_add(&arguments, "--name");
    e2e_arguments_add(&arguments, node->name);
    e2e_arguments_add(&arguments, "--web");
    e2e_arguments_add(&arguments, web);
    if (options->hub) {
        node->hub_port = hm_port_free();
        (void)snprintf(hub, sizeof hub, "%s:%u", host, (unsigned)node->hub_port);
        e2e_arguments_add(&arguments, "--listen");
        e2e_arguments_add(&arguments, hub);
    }
    if (options->programme != NULL) {
        e2e_arguments_add(&arguments, "--programme");
        e2e_arguments_add(&arguments, options->programme);
    }
    result = e2e_end(
        begin(&(struct run){.program = "hamlet", .arguments = arguments.values}),
        E2E_CLI_S);
    if (result->exit_code != E2E_DONE ||
        access(e2e_path("%s/hamletd.conf", node->name), R_OK) != 0) {
        e2e_fail("hamlet init of %s: exit %d: %s", node->name, result->exit_code,
                 result->err);
    }
    return node;
}

/* Environment additions of hamletd; text is where they are kept. */
static void set_environment(const struct e2e_node *node, char text[2][1200],
                            struct hm_child_options *options)
{
    const char *guard = getenv("HM_LOOP_GUARD");
    size_t count = 0;

    (void)snprintf(text[0], sizeof text[0], "HAMLETD_DATA=%s/../share/hamletd",
                   bin_folder());
    options->environment[count++] = text[0];
    for (size_t i = 0; node->environment[i] != NULL; i++) {
        options->environment[count++] = node->environment[i];
    }
    if (node->loop_guard) {
        if (guard == NULL || access(guard, R_OK) != 0) {
            e2e_fail("no loop guard: HM_LOOP_GUARD is %s",
                     guard == NULL ? "not set" : guard);
        }
        (void)snprintf(text[1], sizeof text[1], "LD_PRELOAD=%s", guard);
        options->environment[count] = text[1];
    }
}

static pid_t spawn_daemon(const struct e2e_node *node, const char *argument,
                          const char *err)
{
    char environment[2][1200];
    char program[1200];
    char dir[200];
    char *argv[] = {program, (char[]){"--dir"}, dir, (char *)(uintptr_t)argument, NULL};
    struct hm_child_options options = {.err = err};
    pid_t pid;

    (void)snprintf(program, sizeof program, "%s/hamletd", bin_folder());
    (void)snprintf(dir, sizeof dir, "%s", node->dir);
    set_environment(node, environment, &options);
    pid = hm_child_start(argv, &options);
    if (pid < 0) {
        e2e_fail("cannot start %s", program);
    }
    return pid;
}

const char *e2e_log(struct e2e_node *node)
{
    return e2e_read_file(e2e_path("%s.log", node->name));
}

static int exit_code_of(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* The result of a daemon that ended by itself. */
static struct e2e_result *keep_ending(const char *err, int status, double started)
{
    struct e2e_result *result = calloc(1, sizeof *result);

    if (result == NULL) {
        e2e_fail("out of memory");
    }
    result->next = e2e.results;
    e2e.results = result;
    result->seconds = hm_child_clock() - started;
    result->exit_code = exit_code_of(status);
    result->out = strdup("");
    result->err = hm_child_read_file(err, NULL);
    if (result->out == NULL || result->err == NULL) {
        e2e_fail("cannot read %s", err);
    }
    return result;
}

void e2e_check_alive(struct e2e_node *node)
{
    int status;

    if (node->pid == 0) {
        e2e_fail("%s does not run", node->name);
    }
    if (hm_child_wait(node->pid, 0, &status)) {
        node->pid = 0;
        e2e_fail("hamletd of %s ended by itself: %d", node->name, exit_code_of(status));
    }
}

void e2e_launch(struct e2e_node *node)
{
    if (node->pid != 0) {
        e2e_fail("%s runs already", node->name);
    }
    node->pid = spawn_daemon(node, NULL, e2e_path("%s.log", node->name));
}

struct e2e_result *e2e_start_or_end(struct e2e_node *node)
{
    double started = hm_child_clock();
    const char *log = e2e_path("%s.log", node->name);
    int status;

    e2e_launch(node);
    for (;;) {
        if (hm_child_wait(node->pid, 0, &status)) {
            node->pid = 0;
            return keep_ending(log, status, started);
        }
        if (e2e_cli(node, "status", "--json", NULL)->exit_code == E2E_DONE) {
            return NULL;
        }
        if (hm_child_clock() > started + E2E_READY_S) {
            e2e_fail("%s is not ready after %d s", node->name, E2E_READY_S);
        }
        hm_child_sleep(0.05);
    }
}

void e2e_start(struct e2e_node *node)
{
    const struct e2e_result *ended = e2e_start_or_end(node);

    if (ended != NULL) {
        e2e_fail("hamletd of %s ended instead of starting, %d: %s", node->name,
                 ended->exit_code, ended->err);
    }
}

void e2e_stop(struct e2e_node *node)
{
    int status;

    e2e_check_alive(node);
    (void)kill(node->pid, SIGTERM);
    if (!hm_child_wait(node->pid, E2E_STOP_S, &status)) {
        e2e_fail("%s has not ended %d s after SIGTERM", node->name, E2E_STOP_S);
    }
    node->pid = 0;
    if (exit_code_of(status) != 0) {
        e2e_fail("%s ended badly after SIGTERM: %d", node->name, exit_code_of(status));
    }
}

void e2e_kill(struct e2e_node *node, int signal)
{
    int status;

    e2e_check_alive(node);
    (void)kill(node->pid, signal);
    if (!hm_child_wait(node->pid, E2E_STOP_S, &status)) {
        e2e_fail("%s survives signal %d", node->name, signal);
    }
    node->pid = 0;
}

struct e2e_result *e2e_daemon(struct e2e_node *node, const char *argument)
{
    const char *err = e2e_path("%s.%u.ended", node->name, ++e2e.jobs);
    double started = hm_child_clock();
    pid_t pid = spawn_daemon(node, argument, err);
    int status;

    if (!hm_child_wait(pid, E2E_READY_S, &status)) {
        e2e_fail("hamletd of %s was expected to end and runs on", node->name);
    }
    return keep_ending(err, status, started);
}
