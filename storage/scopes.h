/* Scopes that a node is leaving: it is not assigned them any more, and still has
 * households of them.
 *
 * They go when the parent has said that the centre holds every own change in them (a
 * receipt of level 2): states, counts and the place in the parent's feed. The own log
 * stays, and so does a household that stands in a scope that is held, too.
 *
 * Runs inside a transaction of the caller. Blocking; thread as the store. */
#ifndef HM_STORAGE_SCOPES_H
#define HM_STORAGE_SCOPES_H

#include "storage/store.h"

struct hm_scope_leaving {
    uint32_t scope;
    uint64_t households; /* that go with it */
    uint64_t waits;      /* own changes in it that the centre is not known to hold */
};

/* held: ascending. The array is in arena, ascending by scope. */
int hm_scopes_leaving(struct hm_store *s, const uint32_t *held, size_t held_count,
                      struct hm_arena *arena, struct hm_scope_leaving **out_leaving,
                      size_t *out_count) HM_MUST_USE;

/* Leave those that wait for nothing. *out_left: how many. Only for a node whose own
 * device and units are in step with its parent: held must not be a guess. */
int hm_scopes_leave(struct hm_store *s, const uint32_t *held, size_t held_count,
                    struct hm_arena *arena, uint64_t *out_left) HM_MUST_USE;

#endif
