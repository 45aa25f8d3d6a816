/* Proofs over the log: chains, signatures, and states as the fold of it.
 *
 * Inside of a transaction. Blocking; one thread. */
#ifndef HM_DAEMON_SERVE_VERIFY_LOG_H
#define HM_DAEMON_SERVE_VERIFY_LOG_H

#include "daemon/serve/call.h"

/* Every entry that is held leads to the chain hash that is kept, and every segment has
 * its author's signature. One line for each fault is appended to report. */
int hm_verify_log_chains(struct hm_call *call, struct hm_buf *report,
                         uint64_t *out_entries) HM_MUST_USE;
/* The state of h is what its accepted changes give. *out_known false: not all of them
 * count here (refused ones, or not held). */
int hm_verify_log_fold(struct hm_call *call, const struct hm_household *h,
                       struct hm_arena *arena, bool *out_known,
                       bool *out_equal) HM_MUST_USE;

#endif
