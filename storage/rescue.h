/* Values that survive only in states: their author is gone, and the centre has said so.
 *
 * A child that has seen more of a closed log than the centre holds writes what it still
 * shows of it again, as ordinary changes of its own: the same values, the original
 * stamp, the lost dot replaced and no other, reason `salvaged`. Then it takes the
 * parent's state and puts its own unsent changes on it.
 *
 * Runs inside a transaction of the caller. Blocking; thread as the store. */
#ifndef HM_STORAGE_RESCUE_H
#define HM_STORAGE_RESCUE_H

#include "protocol/household.h"
#include "storage/forms.h"
#include "storage/store.h"

#define HM_RESCUE_REASON "salvaged"

struct hm_rescue {
    struct hm_store *s;
    struct hm_forms *forms;
    uint64_t parent;
    uint64_t changes; /* that were written */
};

/* What the parent shows of a household of this node. theirs NULL: it does not have it.
 * *out_done true: own held values of closed logs that theirs lacks; they were written
 * again and the household was stored. own and theirs are used up then. */
int hm_rescue_household(struct hm_rescue *r, struct hm_household *own,
                        struct hm_household *theirs, bool *out_done) HM_MUST_USE;
/* The same for the households of a scope that the parent lacks: the first 8 bytes of
 * their hashes, ascending. Tells also what logs the parent lacks
 * (storage/claims.h). */
int hm_rescue_lacking(struct hm_rescue *r, uint32_t scope,
                      struct hm_bytes prefixes) HM_MUST_USE;
/* Note what own has seen of others' logs and theirs (NULL: nothing) has not. */
int hm_rescue_note(struct hm_store *s, const struct hm_household *own,
                   const struct hm_household *theirs) HM_MUST_USE;

#endif
