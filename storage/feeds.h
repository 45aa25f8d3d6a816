/* Positions and salts of the feeds that this node serves, one a scope.
 *
 * A position is counted inside the transaction that moves a household, so no reader can
 * pass by a lower one that comes later. A salt is random and belongs to one position:
 * who shows another one has been in a history that this store does not have.
 *
 * Runs inside a transaction of the caller. Blocking; thread as the store. */
#ifndef HM_STORAGE_FEEDS_H
#define HM_STORAGE_FEEDS_H

#include "storage/store.h"

struct hm_feed_state {
    uint64_t position; /* of the latest household; 0 for an empty feed */
    uint64_t salt;     /* of that position */
    struct hm_hash digest;
    uint64_t households;
};

/* All zero for a scope that nothing stands in. */
int hm_feeds_get(struct hm_store *s, uint32_t scope,
                 struct hm_feed_state *out) HM_MUST_USE;
/* The next position of a scope, with a fresh salt. */
int hm_feeds_advance(struct hm_store *s, uint32_t scope,
                     uint64_t *out_position) HM_MUST_USE;
/* Take a household's old hash out of the digest and put the new one in; NULL: none. */
int hm_feeds_adjust(struct hm_store *s, uint32_t scope, const struct hm_hash *before,
                    const struct hm_hash *after) HM_MUST_USE;
/* The salt of a position. Errors: HM_NOTFOUND (position 0 has salt 0). */
int hm_feeds_salt(struct hm_store *s, uint32_t scope, uint64_t position,
                  uint64_t *out_salt) HM_MUST_USE;
/* The timeline of this node's feeds, minted at first use (in a writing transaction). */
int hm_feeds_timeline(struct hm_store *s, uint64_t *out_timeline) HM_MUST_USE;

#endif
