/* Households that moved to a hamlet which this node does not hold. A part of
 * storage/adopt.c. Runs inside its transaction. */
#ifndef HM_STORAGE_ADOPT_DEPARTED_H
#define HM_STORAGE_ADOPT_DEPARTED_H

#include "storage/store.h"

/* Forget those that departed from a scope of this node, live in none of its scopes, and
 * of which the centre holds every own change, as parent says. A hub forgets nothing:
 * its feeds have to tell it. scopes: those that this node holds. */
int hm_adopt_forget_departed(struct hm_store *s, uint64_t parent,
                             const uint32_t *scopes, size_t scope_count) HM_MUST_USE;

#endif
