/* Items that left a node's share when they changed.
 *
 * Runs inside a transaction of the caller. Blocking; thread as the store. */
#ifndef HM_STORAGE_ITEMS_STRANGE_H
#define HM_STORAGE_ITEMS_STRANGE_H

#include "storage/items.h"

/* A parent compared all items and named, by the first 8 bytes of their hashes, those of
 * this node that it would not send (ascending). An item whose new version is no longer
 * for this node never comes: what is here is out of date, and is erased. Kept are what
 * every node needs, this node's own device, and items that the parent gave in another
 * version (given, as they travel): there the parent is behind. */
int hm_items_drop_strange(struct hm_store *s, struct hm_bytes prefixes,
                          const struct hm_bytes *given, size_t given_count,
                          uint64_t *out_dropped) HM_MUST_USE;

#endif
