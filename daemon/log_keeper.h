/* Has the own log filed beside the store (storage/log_files.h): at most a second after
 * it was written, off the loop, and once more when the store closes.
 *
 * Loop thread only, but for hm_log_keeper_end(). */
#ifndef HM_DAEMON_LOG_KEEPER_H
#define HM_DAEMON_LOG_KEEPER_H

#include "daemon/node.h"
#include "storage/log_files.h"

struct hm_log_keeper;
typedef void (*hm_log_keeper_closed_cb)(void *owner);

/* Files at once what the last process left. node has its loop, folder, keys and
 * journal; the store may come later, but before the loop turns. Errors: HM_NOMEM. */
int hm_log_keeper_open(struct hm_node *node,
                       struct hm_log_keeper **out_keeper) HM_MUST_USE;

/* Something was written. NULL: nothing happens. */
void hm_log_keeper_wake(struct hm_log_keeper *k);

/* File what is left: on the writer's thread, when no job runs any more. */
void hm_log_keeper_end(struct hm_log_keeper *k, struct hm_store *s);

struct hm_log_keeper_facts {
    struct hm_log_files_stats files;
    uint64_t filings;       /* that ended well */
    uint64_t failures;      /* since the last that ended well */
    int64_t waits_since_ms; /* uv_now() when the oldest unfiled write came; 0: none */
};
void hm_log_keeper_facts(const struct hm_log_keeper *k,
                         struct hm_log_keeper_facts *out);

/* When the store is closed; closed runs in a later turn, when k is freed. NULL: nothing
 * happens. */
void hm_log_keeper_close(struct hm_log_keeper *k, hm_log_keeper_closed_cb closed,
                         void *owner);

#endif
