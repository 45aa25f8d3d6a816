/* Programs run by tests: bounded in time, ended with the test however that ends.
 *
 * A child dies with the test process (even by SIGKILL) and leads a process group of its
 * own, which is killed when the test process exits. Call from the main thread alone. */
#ifndef HM_TESTS_SUPPORT_CHILD_H
#define HM_TESTS_SUPPORT_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { HM_CHILD_AT_ONCE = 64, HM_CHILD_ENVIRONMENT_MAX = 8 };

struct hm_child_options {
    const char *in;  /* file for standard input; NULL: empty */
    const char *out; /* file for standard output, made anew; NULL: dropped */
    const char *err; /* file for standard error, appended to; NULL: the test's own */
    const char *environment[HM_CHILD_ENVIRONMENT_MAX]; /* NAME=VALUE, until NULL */
};

/* argv ends with NULL; argv[0] is a path. The program's pid, or -1 with errno. */
pid_t hm_child_start(char *const *argv, const struct hm_child_options *options);

/* Waits for the end of a started child. True: *out_status is as of waitpid() and the
 * pid must not be used again. False: timeout_s passed, it still runs. */
bool hm_child_wait(pid_t pid, double timeout_s, int *out_status);

/* Monotonic seconds. */
double hm_child_clock(void);
/* The one way in which tests wait for time to pass. */
void hm_child_sleep(double seconds);

/* The whole file with a NUL behind it, to be freed by the caller; NULL when it cannot
 * be read or is larger than 256 MB. out_len may be NULL. */
char *hm_child_read_file(const char *path, size_t *out_len);

#endif
