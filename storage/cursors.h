/* Where this node stands in its parent's feeds. Runs inside a transaction of the
 * caller. Blocking; thread as the store. */
#ifndef HM_STORAGE_CURSORS_H
#define HM_STORAGE_CURSORS_H

#include "storage/store.h"

/* In place of a scope: where this node stands in what its parent has heard from the
 * centre. */
#define HM_CURSOR_HEARD UINT32_MAX

/* What is known of a digest that differs. */
enum hm_cursor_repair {
    HM_REPAIR_NONE,     /* nothing is wrong, as far as is known */
    HM_REPAIR_COMPARE,  /* the next request carries hashes */
    HM_REPAIR_OFFER,    /* hashes did not settle it: own logs are offered again */
    HM_REPAIR_EXHAUSTED /* a person must look; tried again when the feed moves */
};

struct hm_cursor_at {
    uint64_t timeline; /* 0: never heard of this parent's feed */
    uint64_t position;
    uint64_t salt;
    enum hm_cursor_repair repair;
    bool equal; /* the last reply's digest was this node's */
};

/* All zero when there is none. */
int hm_cursors_get(struct hm_store *s, uint64_t parent, uint32_t scope,
                   struct hm_cursor_at *out) HM_MUST_USE;
int hm_cursors_set(struct hm_store *s, uint64_t parent, uint32_t scope,
                   const struct hm_cursor_at *cursor) HM_MUST_USE;
/* Forget where this node stood in every parent's feed of a scope. */
int hm_cursors_forget(struct hm_store *s, uint32_t scope) HM_MUST_USE;

#endif
