/* How two states of one household become one: join, and what a child does with the
 * state that its parent's feed shows.
 *
 * Pure: results lie in the arena that is given; any thread. */
#ifndef HM_PROTOCOL_MERGE_H
#define HM_PROTOCOL_MERGE_H

#include "protocol/household.h"

enum hm_vv_order {
    HM_VV_EQUAL,
    HM_VV_BEHIND, /* a is covered by b */
    HM_VV_AHEAD,  /* a covers b */
    HM_VV_APART   /* each has something that the other has not */
};

/* How a's vector stands to b's. */
enum hm_vv_order hm_merge_compare(const struct hm_household *a,
                                  const struct hm_household *b);

/* The state that has seen what a and b have seen: a value that only one side holds
 * stays unless the other side has seen it (and so replaced it) or knows it as replaced.
 * Commutative, associative, idempotent. a and b are of one household and unchanged;
 * *out lies in arena and shares memory with them.
 *
 * Errors: HM_NOMEM. */
int hm_merge_join(const struct hm_household *a, const struct hm_household *b,
                  struct hm_arena *arena, struct hm_household *out) HM_MUST_USE;

enum hm_merge_choice {
    HM_MERGE_TAKE, /* the parent's state as it is */
    HM_MERGE_KEEP, /* the own state */
    HM_MERGE_JOIN
};

/* What a child makes of its parent's state: a parent that has seen all that the child
 * has seen is right, also about what it refused. */
enum hm_merge_choice hm_merge_adopt(const struct hm_household *own,
                                    const struct hm_household *parent);

#endif
