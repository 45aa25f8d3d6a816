/* Items as they leave this node: digests, the feed, and what differs. */
#include <stdlib.h>

#include "protocol/digest.h"
#include "storage/feeds.h"
#include "storage/items_parts.h"

enum { STOP = 1 /* ends a walk early: no error code is positive */ };

struct walk {
    hm_items_filter_fn filter;
    void *arg;
    struct hm_buf *buf;
    size_t bytes_max;
    size_t appended;
    uint64_t position; /* of the last item that was looked at */
    struct hm_hash digest;
    uint64_t count;
    struct hm_bytes prefixes;
    hm_items_fn fn;
};

static bool passes(const struct walk *walk, const struct hm_stored_item *stored)
{
    return walk->filter == NULL || walk->filter(walk->arg, &stored->item);
}

/* Append within the limit, but always one. STOP: it does not fit. */
static int append(struct walk *walk, const struct hm_stored_item *stored)
{
    struct hm_buf *buf = walk->buf;
    struct hm_buf one;
    int err;

    hm_buf_init(&one, 2 * HM_ITEM_BODY_BYTES_MAX);
    hm_items_encode(&stored->item, &one);
    err = one.err;
    if (err == HM_OK && walk->appended > 0 &&
        (buf->len > walk->bytes_max || one.len > walk->bytes_max - buf->len)) {
        err = STOP;
    }
    if (err == HM_OK) {
        hm_buf_append(buf, hm_buf_bytes(&one));
        err = buf->err;
        walk->appended++;
    }
    hm_buf_deinit(&one);
    return err;
}

static int add_to_digest(void *arg, const struct hm_stored_item *stored)
{
    struct walk *walk = arg;

    if (passes(walk, stored)) {
        hm_digest_add(&walk->digest, &stored->hash);
        walk->count++;
    }
    return HM_OK;
}

int hm_items_digest(struct hm_store *s, hm_items_filter_fn filter, void *arg,
                    struct hm_hash *out_digest, uint64_t *out_count)
{
    struct walk walk = {.filter = filter, .arg = arg};
    int err = hm_items_walk(s, 0, add_to_digest, &walk);

    if (err == HM_OK) {
        *out_digest = walk.digest;
        *out_count = walk.count;
    }
    return err;
}

static int append_next(void *arg, const struct hm_stored_item *stored)
{
    struct walk *walk = arg;
    int err = passes(walk, stored) ? append(walk, stored) : HM_OK;

    if (err == HM_OK) {
        walk->position = stored->position;
    }
    return err;
}

int hm_items_feed(struct hm_store *s, uint64_t position, size_t bytes_max,
                  hm_items_filter_fn filter, void *arg, struct hm_buf *buf,
                  uint64_t *out_position, bool *out_more)
{
    struct walk walk = {.filter = filter,
                        .arg = arg,
                        .buf = buf,
                        .bytes_max = bytes_max,
                        .position = position};
    struct hm_feed_state state;
    int err = hm_items_walk(s, position, append_next, &walk);
    bool more = err == STOP;

    if (err == STOP) {
        err = HM_OK;
    }
    if (err == HM_OK) {
        err = hm_feeds_get(s, 0, &state);
    }
    if (err == HM_OK) {
        /* Behind the last item there may be positions of items that were dropped. */
        *out_position = more ? walk.position : state.position;
        *out_more = more;
    }
    return err;
}

static int compare_prefixes(const void *a, const void *b)
{
    return memcmp(a, b, HM_HASH_PREFIX_BYTES);
}

/* Whether the walk's prefixes name the item. */
static bool is_listed(const struct walk *walk, const struct hm_stored_item *stored)
{
    return walk->prefixes.len > 0 &&
           bsearch(stored->hash.bytes, walk->prefixes.data,
                   walk->prefixes.len / HM_HASH_PREFIX_BYTES, HM_HASH_PREFIX_BYTES,
                   compare_prefixes) != NULL;
}

static int append_differing(void *arg, const struct hm_stored_item *stored)
{
    struct walk *walk = arg;

    return passes(walk, stored) && !is_listed(walk, stored) ? append(walk, stored)
                                                            : HM_OK;
}

int hm_items_differing(struct hm_store *s, struct hm_bytes prefixes, size_t bytes_max,
                       hm_items_filter_fn filter, void *arg, struct hm_buf *buf,
                       bool *out_more)
{
    struct walk walk = {.filter = filter,
                        .arg = arg,
                        .buf = buf,
                        .bytes_max = bytes_max,
                        .prefixes = prefixes};
    int err = hm_items_walk(s, 0, append_differing, &walk);

    if (err == HM_OK || err == STOP) {
        *out_more = err == STOP;
        err = HM_OK;
    }
    return err;
}

static int append_prefix(void *arg, const struct hm_stored_item *stored)
{
    struct walk *walk = arg;

    if (passes(walk, stored)) {
        hm_buf_append(walk->buf, hm_bytes_of(stored->hash.bytes, HM_HASH_PREFIX_BYTES));
    }
    return walk->buf->err;
}

int hm_items_prefixes(struct hm_store *s, hm_items_filter_fn filter, void *arg,
                      struct hm_buf *buf)
{
    struct walk walk = {.filter = filter, .arg = arg, .buf = buf};
    size_t before = buf->len;
    int err = hm_items_walk(s, 0, append_prefix, &walk);

    if (err == HM_OK && buf->len > before) {
        qsort(buf->data + before, (buf->len - before) / HM_HASH_PREFIX_BYTES,
              HM_HASH_PREFIX_BYTES, compare_prefixes);
    }
    return err;
}

struct rising {
    struct hm_bytes prefixes;
    size_t bytes_max;
    size_t bytes;
    struct hm_buf *buf;
};

static int write_up(void *arg, const struct hm_stored_item *stored)
{
    struct rising *rising = arg;
    struct hm_buf item;
    int err;

    if (rising->prefixes.len == 0 ||
        bsearch(stored->hash.bytes, rising->prefixes.data,
                rising->prefixes.len / HM_HASH_PREFIX_BYTES, HM_HASH_PREFIX_BYTES,
                compare_prefixes) == NULL) {
        return HM_OK;
    }
    hm_buf_init(&item, 2 * HM_ITEM_BODY_BYTES_MAX);
    hm_items_encode(&stored->item, &item);
    err = item.err;
    if (err == HM_OK && rising->bytes > 0 &&
        rising->bytes + item.len > rising->bytes_max) {
        err = HM_AGAIN;
    } else if (err == HM_OK) {
        hm_frame_write(rising->buf, HM_FRAME_ITEM, hm_buf_bytes(&item));
        rising->bytes += item.len;
        err = rising->buf->err;
    }
    hm_buf_deinit(&item);
    return err;
}

int hm_items_write_up(struct hm_store *s, struct hm_bytes prefixes, size_t bytes_max,
                      struct hm_buf *buf)
{
    struct rising rising = {.prefixes = prefixes, .bytes_max = bytes_max, .buf = buf};
    int err = hm_items_walk(s, 0, write_up, &rising);

    return err == HM_AGAIN ? HM_OK : err;
}

static int call_fn(void *arg, const struct hm_stored_item *stored)
{
    struct walk *walk = arg;

    return walk->fn(walk->arg, &stored->item);
}

int hm_items_each_of_all(struct hm_store *s, hm_items_fn fn, void *arg)
{
    struct walk walk = {.arg = arg, .fn = fn};

    return hm_items_walk(s, 0, call_fn, &walk);
}

int hm_items_position(struct hm_store *s, uint64_t *out_position, uint64_t *out_salt)
{
    struct hm_feed_state state;
    int err = hm_feeds_get(s, 0, &state);

    if (err == HM_OK) {
        *out_position = state.position;
        *out_salt = state.salt;
    }
    return err;
}

static int get_number(struct hm_store *s, const char *name, uint64_t *out)
{
    int64_t number = 0;
    int err = hm_store_get_number(s, name, &number);

    *out = (uint64_t)number;
    return err == HM_NOTFOUND ? HM_OK : err;
}

int hm_items_get_age(struct hm_store *s, uint64_t *out_timeline, uint64_t *out_position)
{
    int err = get_number(s, HM_META_ITEMS_TIMELINE, out_timeline);

    return err == HM_OK ? get_number(s, HM_META_ITEMS_POSITION, out_position) : err;
}

int hm_items_set_age(struct hm_store *s, uint64_t timeline, uint64_t position)
{
    uint64_t known = 0;
    uint64_t at = 0;
    int err = hm_items_get_age(s, &known, &at);

    if (err != HM_OK || timeline == 0 || (known == timeline && at >= position)) {
        return err;
    }
    err = hm_store_set_number(s, HM_META_ITEMS_TIMELINE, (int64_t)timeline);
    return err == HM_OK
               ? hm_store_set_number(s, HM_META_ITEMS_POSITION, (int64_t)position)
               : err;
}
