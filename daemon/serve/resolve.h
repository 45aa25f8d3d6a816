/* A resolution in the making: an ordinary save that names the dots it decides on.
 *
 * Inside of a writing transaction. Blocking; one thread. */
#ifndef HM_DAEMON_SERVE_RESOLVE_H
#define HM_DAEMON_SERVE_RESOLVE_H

#include "daemon/serve/call.h"
#include "daemon/serve/resolve_filter.h"
#include "storage/save.h"

enum hm_resolve_policy {
    HM_RESOLVE_LATEST,   /* the value with the latest corrected time */
    HM_RESOLVE_MINE,     /* the asking user's; the operator's: of this device */
    HM_RESOLVE_AUTHORITY /* of the highest rank, then the latest */
};

struct hm_resolving {
    struct hm_call *call;
    struct hm_arena *arena;
    struct hm_household h;
    uint32_t scope;
    struct hm_policy_conflict *conflicts;
    size_t count;
    struct hm_save save;
    size_t decided;    /* cells of the save */
    uint64_t decision; /* shared by the changes of a decision about many; else 0 */
};

/* What waits in a household that the asker may write to; call and arena are set.
 * Errors: as hm_call_household() and hm_save_json_target(). */
int hm_resolve_load(struct hm_resolving *r, const char *household) HM_MUST_USE;
/* Decide on the cell that the request names. Errors, with a line: HM_INVALID,
 * HM_NOTFOUND (no conflict there), HM_DENIED, HM_EXISTS (replaced meanwhile). */
int hm_resolve_cell(struct hm_resolving *r) HM_MUST_USE;
/* The policy of a request with `all`. Errors: HM_INVALID, with a line. */
int hm_resolve_read_policy(struct hm_call *call,
                           enum hm_resolve_policy *out) HM_MUST_USE;
/* Decide on every cell that the filter lets through and for which the policy has a
 * value. */
int hm_resolve_all(struct hm_resolving *r, enum hm_resolve_policy policy,
                   const struct hm_resolve_filter *filter) HM_MUST_USE;
/* Write what was decided. *out_left: how many cells still wait. */
int hm_resolve_run(struct hm_resolving *r, struct hm_save_result *out,
                   size_t *out_left) HM_MUST_USE;

#endif
