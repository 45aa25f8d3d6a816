#include "storage/items_strange.h"

#include <stdlib.h>

#include "protocol/message.h"
#include "storage/items_parts.h"

struct dropping {
    struct hm_store *s;
    struct hm_bytes prefixes;
    const struct hm_bytes *given;
    size_t given_count;
    uint64_t dropped;
};

/* Only these are shared out: see storage/scope0.h. */
static bool is_shared_out(const struct dropping *d, const struct hm_admin_item *item)
{
    return item->kind == HM_ITEM_UNIT || item->kind == HM_ITEM_USER ||
           item->kind == HM_ITEM_PASSPHRASE ||
           (item->kind == HM_ITEM_DEVICE && item->id != hm_store_device(d->s));
}

static bool is_given(const struct dropping *d, const struct hm_admin_item *item)
{
    for (size_t i = 0; i < d->given_count; i++) {
        struct hm_admin_item other;

        if (hm_items_decode(d->given[i], &other) == HM_OK && other.kind == item->kind &&
            other.id == item->id) {
            return true;
        }
    }
    return false;
}

static int compare_prefixes(const void *a, const void *b)
{
    return memcmp(a, b, HM_HASH_PREFIX_BYTES);
}

static bool is_named(const struct dropping *d, const struct hm_hash *hash)
{
    return d->prefixes.len > 0 &&
           bsearch(hash->bytes, d->prefixes.data,
                   d->prefixes.len / HM_HASH_PREFIX_BYTES, HM_HASH_PREFIX_BYTES,
                   compare_prefixes) != NULL;
}

static int look_at(void *arg, const struct hm_stored_item *stored)
{
    struct dropping *d = arg;
    const struct hm_admin_item *item = &stored->item;

    if (item->author != 0 || !is_shared_out(d, item) || !is_named(d, &stored->hash) ||
        is_given(d, item)) {
        return HM_OK;
    }
    d->dropped++;
    return hm_items_drop(d->s, item->kind, item->id);
}

int hm_items_drop_strange(struct hm_store *s, struct hm_bytes prefixes,
                          const struct hm_bytes *given, size_t given_count,
                          uint64_t *out_dropped)
{
    struct dropping d = {
        .s = s, .prefixes = prefixes, .given = given, .given_count = given_count};
    int err = hm_items_walk(s, 0, look_at, &d);

    if (err == HM_OK) {
        *out_dropped = d.dropped;
    }
    return err;
}
