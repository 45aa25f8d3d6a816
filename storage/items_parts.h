/* What the files of storage/items.h share. Not for others. */
#ifndef HM_STORAGE_ITEMS_PARTS_H
#define HM_STORAGE_ITEMS_PARTS_H

#include "storage/items.h"

/* An item as it lies in the store. */
struct hm_stored_item {
    struct hm_admin_item item;
    struct hm_hash hash; /* of its encoded bytes */
    uint64_t position;
};

/* Views live during the call only; other codes than HM_OK end the walk. */
typedef int (*hm_items_walk_fn)(void *arg, const struct hm_stored_item *stored);

/* Items behind a position, in the feed's order. Rows are read some at a time before fn
 * sees them: fn may use the store. */
int hm_items_walk(struct hm_store *s, uint64_t position, hm_items_walk_fn fn,
                  void *arg) HM_MUST_USE;

#endif
