#include "tests/support/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { FILE_BYTES_MAX = 256 * 1024 * 1024 };

static pid_t running[HM_CHILD_AT_ONCE];

static void end_all(void)
{
    for (size_t i = 0; i < HM_CHILD_AT_ONCE; i++) {
        if (running[i] > 0) {
            (void)kill(-running[i], SIGKILL);
            (void)waitpid(running[i], NULL, 0);
        }
    }
}

static bool remember(pid_t pid)
{
    static bool registered;

    if (!registered) {
        registered = atexit(end_all) == 0;
    }
    for (size_t i = 0; i < HM_CHILD_AT_ONCE; i++) {
        if (running[i] == 0) {
            running[i] = pid;
            return registered;
        }
    }
    return false;
}

static void forget(pid_t pid)
{
    for (size_t i = 0; i < HM_CHILD_AT_ONCE; i++) {
        running[i] = running[i] == pid ? 0 : running[i];
    }
}

/* The test's environment with the additions first, which therefore win. The caller
 * frees the array. */
static char **make_environment(const struct hm_child_options *options)
{
    size_t count = 0;
    size_t n = 0;
    char **made;

    while (environ[count] != NULL) {
        count++;
    }
    made = calloc(count + HM_CHILD_ENVIRONMENT_MAX + 1, sizeof *made);
    if (made == NULL) {
        return NULL;
    }
    for (; n < HM_CHILD_ENVIRONMENT_MAX && options->environment[n] != NULL; n++) {
        made[n] = (char *)(uintptr_t)options->environment[n];
    }
    for (size_t i = 0; i < count; i++) {
        size_t name = strcspn(environ[i], "=") + 1;
        bool replaced = false;

        for (size_t k = 0; k < HM_CHILD_ENVIRONMENT_MAX; k++) {
            const char *own = options->environment[k];

            replaced = replaced || (own != NULL && strncmp(own, environ[i], name) == 0);
        }
        if (!replaced) {
            made[n++] = environ[i];
        }
    }
    return made;
}

static void redirect(const char *path, int flags, int fd)
{
    int file = open(path, flags, 0600);

    if (file < 0 || dup2(file, fd) < 0) {
        _exit(126);
    }
    (void)close(file);
}

/* In the child: only what is safe between fork and exec. */
static void become(char *const *argv, char *const *environment,
                   const struct hm_child_options *options, pid_t parent)
{
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(126);
    }
    redirect(options->in == NULL ? "/dev/null" : options->in, O_RDONLY, STDIN_FILENO);
    redirect(options->out == NULL ? "/dev/null" : options->out,
             O_WRONLY | O_CREAT | O_TRUNC, STDOUT_FILENO);
    if (options->err != NULL) {
        redirect(options->err, O_WRONLY | O_CREAT | O_APPEND, STDERR_FILENO);
    }
    (void)execve(argv[0], argv, environment);
    _exit(127);
}

pid_t hm_child_start(char *const *argv, const struct hm_child_options *options)
{
    char **environment = make_environment(options);
    pid_t parent = getpid();
    pid_t pid;

    if (environment == NULL) {
        return -1;
    }
    pid = fork();
    if (pid == 0) {
        become(argv, environment, options, parent);
    }
    free(environment);
    if (pid > 0) {
        (void)setpgid(pid, pid); /* whoever comes first; kill(-pid) must not miss it */
        if (!remember(pid)) {
            (void)kill(pid, SIGKILL);
            (void)waitpid(pid, NULL, 0);
            errno = EAGAIN;
            return -1;
        }
    }
    return pid;
}

bool hm_child_wait(pid_t pid, double timeout_s, int *out_status)
{
    double end = hm_child_clock() + timeout_s;
    double nap = 0.001;

    for (;;) {
        pid_t got = waitpid(pid, out_status, WNOHANG);

        if (got == pid) {
            forget(pid);
            return true;
        }
        if (hm_child_clock() >= end) {
            return false;
        }
        hm_child_sleep(nap);
        nap = nap < 0.01 ? nap * 1.5 : nap;
    }
}

double hm_child_clock(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void hm_child_sleep(double seconds)
{
    struct timespec nap = {.tv_sec = (time_t)seconds};

    nap.tv_nsec = (long)((seconds - (double)nap.tv_sec) * 1e9);
    while (nanosleep(&nap, &nap) != 0 && errno == EINTR) {
    }
}

char *hm_child_read_file(const char *path, size_t *out_len)
{
    FILE *file = fopen(path, "rb");
    size_t capacity = 4096;
    size_t len = 0;
    char *text = malloc(capacity);
    size_t got = 1;

    while (file != NULL && text != NULL && got > 0 && capacity <= FILE_BYTES_MAX) {
        if (capacity - len < 2048) {
            char *more = realloc(text, capacity * 2);

            if (more == NULL) {
                break;
            }
            text = more;
            capacity *= 2;
        }
        got = fread(text + len, 1, capacity - len - 1, file);
        len += got;
    }
    if (file == NULL || text == NULL || got > 0) {
        free(text);
        text = NULL;
    } else {
        text[len] = 0;
        if (out_len != NULL) {
            *out_len = len;
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return text;
}
