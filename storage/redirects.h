/* Which household is merged into which: an index of what the states say.
 *
 * Runs inside a transaction of the caller. Blocking; thread as the store. */
#ifndef HM_STORAGE_REDIRECTS_H
#define HM_STORAGE_REDIRECTS_H

#include "protocol/fact.h"
#include "storage/store.h"

/* Note what a state says. */
int hm_redirects_keep(struct hm_store *s, const struct hm_household *h) HM_MUST_USE;
int hm_redirects_drop(struct hm_store *s, const struct hm_household_id *id) HM_MUST_USE;

/* The household under which this one is shown: itself when it is merged into none. One
 * that is not on this node ends a chain. *out_circle: merges lead in a circle, and the
 * lowest id of it was taken (protocol/fact.h). */
int hm_redirects_survivor(struct hm_store *s, const struct hm_household_id *id,
                          struct hm_household_id *out_survivor,
                          bool *out_circle) HM_MUST_USE;

enum { HM_REDIRECTS_PARTS_MAX = 200 };

/* Every other household that is shown under this survivor, at most
 * HM_REDIRECTS_PARTS_MAX, in arena, by id. */
int hm_redirects_parts(struct hm_store *s, const struct hm_household_id *survivor,
                       struct hm_arena *arena, struct hm_household_id **out_ids,
                       size_t *out_count) HM_MUST_USE;

#endif
