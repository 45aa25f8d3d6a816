/* The process: puts the parts together, turns the loop, takes them apart.
 *
 * Main thread only; at most one in a process. */
#ifndef HM_DAEMON_DAEMON_H
#define HM_DAEMON_DAEMON_H

enum { HM_DAEMON_CONFIG = 78 /* EX_CONFIG: a person must mend it */ };

struct hm_daemon_options {
    const char *dir;
    const char *config; /* NULL: DIR/hamletd.conf */
};

/* Run the node until a signal ends it. Returns the exit code: 0 after SIGTERM or
 * SIGINT, HM_DAEMON_CONFIG when configuration or stored data need a person, 1 else;
 * one line on standard error says why. */
int hm_daemon_run(const struct hm_daemon_options *options);
/* Check configuration, keys and store, and return such a code. Changes nothing and may
 * run beside a daemon. */
int hm_daemon_check(const struct hm_daemon_options *options);

#endif
