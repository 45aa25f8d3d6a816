/* Real nodes for end-to-end tests: `hamletd` processes in folders of their own, steered
 * through `hamlet` as a person would.
 *
 * Knows the programs by their contract alone: names, exit codes, JSON. Everything waits
 * for a bounded time; what goes wrong fails the running test, so there are no error
 * codes to check. Results and JSON given out belong to the harness and live until
 * e2e_finish(). Call from the main thread alone. */
#ifndef HM_TESTS_SUPPORT_E2E_H
#define HM_TESTS_SUPPORT_E2E_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

#include "tests/support/proxy.h"

/* Exit codes of `hamlet`. */
enum {
    E2E_DONE = 0,
    E2E_FAILED = 1,
    E2E_USAGE = 2,
    E2E_NOT_RUNNING = 3,
    E2E_NOT_ALLOWED = 4,
    E2E_PARTLY = 5,
    E2E_BAD_CONFIG = 78 /* of hamletd */
};

enum { E2E_READY_S = 20, E2E_STOP_S = 15, E2E_CLI_S = 120, E2E_ENVIRONMENT_MAX = 5 };

struct e2e_options {
    const char *name;
    const char *programme; /* makes it a centre; NULL: none */
    bool hub;              /* listens for other nodes */
    bool loop_guard;       /* hamletd must not block on its loop */
    bool ipv6;             /* on [::1] alone */
};

struct e2e_node {
    char name[16];
    char dir[200];
    uint16_t web_port;
    uint16_t hub_port;      /* 0: not a hub */
    struct hm_proxy *proxy; /* the link to its upstream; NULL before enrolment */
    bool loop_guard;
    pid_t pid; /* 0: not running */
    /* More for hamletd: NAME=VALUE until NULL, borrowed; set by the scenario. */
    const char *environment[E2E_ENVIRONMENT_MAX + 1];
};

struct e2e_result {
    int exit_code; /* of the program; -signal when a signal ended it */
    char *out;     /* standard output */
    char *err;     /* standard error */
    json_t *json;  /* NULL when standard output was not one JSON document */
    double seconds;
    struct e2e_result *next; /* private */
};

struct e2e_job;

/* One line about what the scenario does next, so that a failure's log reads as a story.
 */
void e2e_step(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Fails the running test with this text. */
void e2e_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
/* True for the long form of a scenario. */
bool e2e_long(void);

/* --- nodes --- */

/* Runs `hamlet init` in a new folder. The node belongs to the harness. */
struct e2e_node *e2e_init(const struct e2e_options *options);
/* Starts hamletd and waits until `hamlet status` answers. */
void e2e_start(struct e2e_node *node);
/* Starts hamletd and waits for nothing; the caller looks after node->pid. */
void e2e_launch(struct e2e_node *node);
/* SIGTERM; it must end with 0 in time. */
void e2e_stop(struct e2e_node *node);
/* Starts hamletd and waits until it answers or ends by itself. NULL: it runs. */
struct e2e_result *e2e_start_or_end(struct e2e_node *node);
/* Ends it by a signal, SIGKILL as a rule. */
void e2e_kill(struct e2e_node *node, int signal);
/* Fails when hamletd has ended by itself. */
void e2e_check_alive(struct e2e_node *node);
/* hamletd with its usual arguments and one more (NULL: none), which is expected to end
 * by itself; fails when it does not within E2E_READY_S. */
struct e2e_result *e2e_daemon(struct e2e_node *node, const char *argument);
/* Everything that hamletd has written to standard error so far. */
const char *e2e_log(struct e2e_node *node);
/* Stops what still runs, checks that all ended well and that nothing is left running.
 * The last line of every scenario: without it the test counts as failed and the logs of
 * all nodes are printed at exit. */
void e2e_finish(void);

/* --- the command line --- */

/* `hamlet --dir DIR ...`, arguments until NULL. */
struct e2e_result *e2e_cli(struct e2e_node *node, ...) __attribute__((sentinel));
/* The same with text on standard input. */
struct e2e_result *e2e_cli_input(struct e2e_node *node, const char *input, ...)
    __attribute__((sentinel));
/* Adds --json, expects exit 0 and JSON, returns it. */
json_t *e2e_ok(struct e2e_node *node, ...) __attribute__((sentinel));
/* The same with a JSON document on standard input, which is released. */
json_t *e2e_ok_input(struct e2e_node *node, json_t *input, ...)
    __attribute__((sentinel));
/* Adds --json, expects this exit code and one line on standard error. */
struct e2e_result *e2e_refused(struct e2e_node *node, int exit_code, ...)
    __attribute__((sentinel));
/* Like e2e_cli_input() with --json added, in the background; input may be NULL. */
struct e2e_job *e2e_begin(struct e2e_node *node, const char *input, ...)
    __attribute__((sentinel));
/* True when the job has ended. */
bool e2e_ended(struct e2e_job *job);
/* Waits for it, at most timeout_s. */
struct e2e_result *e2e_end(struct e2e_job *job, double timeout_s);
/* Releases a result at once, for scenarios of thousands of commands. */
void e2e_forget(struct e2e_result *result);
/* Another program beside hamlet in the folder of binaries; standard output goes to the
 * file out (NULL: to the result). */
struct e2e_result *e2e_tool(const char *out, const char *program, ...)
    __attribute__((sentinel));

/* --- JSON --- */

/* The value at a path such as "unsent.changes" or "scopes.0.digest"; fails, showing the
 * document, when there is none. */
json_t *e2e_get(const json_t *json, const char *path);
const char *e2e_str(const json_t *json, const char *path);
json_int_t e2e_int(const json_t *json, const char *path);
bool e2e_bool(const json_t *json, const char *path);
/* The length of the array at path ("" for the document itself). */
size_t e2e_count(const json_t *json, const char *path);
/* The document as text, owned by the harness. */
const char *e2e_text(const json_t *json);
/* Keeps a JSON value until e2e_finish(); returns it. */
json_t *e2e_keep(json_t *json);

/* --- files --- */

/* A path in the test's folder, owned by the harness. */
const char *e2e_path(const char *format, ...) __attribute__((format(printf, 1, 2)));
void e2e_write_file(const char *path, const char *text);
/* The content of a file, owned by the harness; fails when there is none. */
const char *e2e_read_file(const char *path);

#endif
