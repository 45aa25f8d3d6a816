/* Which conflicts a decision about many is about.
 *
 * Reads names through the call. Blocking; one thread. */
#ifndef HM_DAEMON_SERVE_RESOLVE_FILTER_H
#define HM_DAEMON_SERVE_RESOLVE_FILTER_H

#include "daemon/serve/call.h"

/* NULL and 0: any. */
struct hm_resolve_filter {
    const struct hm_call_form *form;
    const struct hm_round *round;
    const char *field;    /* as it is named in a Conflict */
    const char *kind;     /* hm_conflict_kind_name() */
    const char *device;   /* one of the values was written there: name or id */
    const char *user;     /* by this one */
    int64_t older_utc_ms; /* the latest value is older than that */
    int64_t newer_utc_ms; /* the latest value is that old at most */
};

extern const struct hm_resolve_filter HM_RESOLVE_FILTER_ALL;

/* Members form, round, field, kind, device, user, older, newer of the request; the
 * forms are loaded. Texts belong to call->body. Errors, with a line: HM_INVALID,
 * HM_NOTFOUND. */
int hm_resolve_filter_read(struct hm_call *call,
                           struct hm_resolve_filter *out) HM_MUST_USE;

int hm_resolve_filter_passes(struct hm_call *call,
                             const struct hm_resolve_filter *filter,
                             const struct hm_household *h,
                             const struct hm_policy_conflict *conflict,
                             struct hm_arena *arena, bool *out_passes) HM_MUST_USE;

#endif
