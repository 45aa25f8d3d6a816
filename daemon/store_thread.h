/* Runs storage calls off the event loop: one thread that writes, some that read
 * snapshots, each with a store of its own.
 *
 * Submit, done, close and stats: loop thread only. The loop never waits for the disk,
 * but for opening, which happens before it turns. */
#ifndef HM_DAEMON_STORE_THREAD_H
#define HM_DAEMON_STORE_THREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "daemon/node_files.h"
#include "storage/forms.h"

enum { HM_STORE_READERS_MAX = 8, HM_STORE_BATCH_MAX = 64 };

struct hm_store_thread;
struct hm_store_job;

/* What a job may use: of the thread that it runs on. */
struct hm_store_side {
    struct hm_store *store;
    struct hm_forms *forms;
};

enum hm_store_lane { HM_STORE_WRITE, HM_STORE_READ };

/* The caller's memory, usually a member of a larger request: zero it, then set the
 * first part. Hands off from a successful submit until done(). */
struct hm_store_job {
    /* On a store thread. Sets job->err, touches the store and its own job alone, leaves
     * no transaction open. HM_IO on the writer is fatal, HM_CORRUPT on any thread says
     * that the store is damaged. */
    void (*work)(struct hm_store_job *job, const struct hm_store_side *side);
    /* Instead of work, for jobs of the writer that gain from one sync of the disk:
     * jobs that stand one behind the other with the same function come together. */
    void (*batch)(struct hm_store_job **jobs, size_t count,
                  const struct hm_store_side *side);
    /* On the same thread, instead of the next work(), when it said again and the owner
     * closes. May be NULL. */
    void (*cancel)(struct hm_store_job *job, const struct hm_store_side *side);
    /* On the loop thread, once. May free job, submit, and close. */
    void (*done)(struct hm_store_job *job);

    int err;
    bool again; /* set by work(): call it once more, behind those that wait */

    struct hm_store_job *next; /* private */
};

typedef void (*hm_store_fatal_cb)(void *owner, int err, const char *text);
typedef void (*hm_store_closed_cb)(void *owner);

struct hm_store_thread_options {
    const char *path;
    const struct hm_node_keys *keys; /* outlive the threads, as path */
    unsigned readers;                /* 1..HM_STORE_READERS_MAX */
    size_t queue_max;                /* jobs that wait, of each lane */
    /* The store as a whole is checked at the start when it is not larger. */
    int64_t check_bytes_max;
    /* On the loop thread, before anything else is delivered: nothing more can be kept.
     * The owner ends the process. */
    hm_store_fatal_cb fatal;
    /* On the loop thread, once: stored data is damaged, found at the start or by a job.
     * From then on nothing is written, the writer's jobs end with HM_CORRUPT, readers
     * go on. NULL: HM_CORRUPT of the writer is fatal too, and an error of open. */
    hm_store_fatal_cb damaged;
    /* On the loop thread: jobs of the writer have ended. May be NULL. */
    void (*written)(void *owner);
    /* On the writer's thread, when all others have closed their stores and before it
     * closes its own: nothing is written any more. May be NULL. */
    void (*at_end)(void *owner, const struct hm_store_side *side);
    void *owner;
};

/* Opens the store on its threads and waits for it: minutes when it must be migrated. On
 * error errmsg gets one line and *out_thread is unchanged.
 * Errors: as hm_store_open(); HM_CORRUPT also when the check finds something, unless
 * there is damaged() and the readers can open it. */
int hm_store_thread_open(uv_loop_t *loop, const struct hm_store_thread_options *options,
                         struct hm_buf *errmsg,
                         struct hm_store_thread **out_thread) HM_MUST_USE;

/* Queue a job; done() follows exactly once, in a later turn.
 * Errors, and done() never runs: HM_BUSY (queue_max jobs wait); HM_CANCELED (closing).
 */
int hm_store_thread_submit(struct hm_store_thread *t, enum hm_store_lane lane,
                           struct hm_store_job *job) HM_MUST_USE;

/* What runs ends by itself, what waits ends with HM_CANCELED; closed(owner) when all
 * are done and the stores are closed; t is freed then. NULL: nothing happens. */
void hm_store_thread_close(struct hm_store_thread *t, hm_store_closed_cb closed,
                           void *owner);

struct hm_store_thread_stats {
    size_t write_queue;
    size_t read_queue;
    uint64_t writes;         /* jobs of the writer that have ended */
    uint64_t batches;        /* calls of batch() */
    uint64_t write_since_ms; /* uv_hrtime() in ms when the present write began; 0: none
                              * is running */
};
struct hm_store_thread_stats hm_store_thread_stats(struct hm_store_thread *t);

/* Open the store in path as the writer would, check all of it up to check_bytes_max,
 * close it. For `hamletd --check`, which may run beside a daemon: reads alone.
 * Errors: as hm_store_thread_open(). */
int hm_store_thread_check(const struct hm_store_thread_options *options,
                          struct hm_buf *errmsg) HM_MUST_USE;

#endif
