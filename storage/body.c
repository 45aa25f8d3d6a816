#include "storage/body.h"

void hm_body_put_text(struct hm_buf *buf, unsigned key, const char *text)
{
    hm_pack_uint(buf, key);
    hm_pack_str(buf, hm_bytes_str(text));
}

void hm_body_put_uint(struct hm_buf *buf, unsigned key, uint64_t value)
{
    hm_pack_uint(buf, key);
    hm_pack_uint(buf, value);
}

void hm_body_put_int(struct hm_buf *buf, unsigned key, int64_t value)
{
    hm_pack_uint(buf, key);
    hm_pack_int(buf, value);
}

void hm_body_put_bool(struct hm_buf *buf, unsigned key, bool value)
{
    hm_pack_uint(buf, key);
    hm_pack_bool(buf, value);
}

void hm_body_put_bin(struct hm_buf *buf, unsigned key, struct hm_bytes bytes)
{
    hm_pack_uint(buf, key);
    hm_pack_bin(buf, bytes);
}

const char *hm_body_text(struct hm_reader *r, struct hm_arena *arena)
{
    struct hm_bytes text = hm_unpack_str(r);
    const char *copy;

    if (r->err != HM_OK || text.len == 0) {
        return "";
    }
    copy = hm_arena_text(arena, text);
    if (copy == NULL) {
        r->err = HM_NOMEM;
        return "";
    }
    return copy;
}

uint32_t hm_body_u32(struct hm_reader *r)
{
    return (uint32_t)hm_unpack_uint_max(r, UINT32_MAX);
}

int hm_body_end(const struct hm_reader *r)
{
    int err = hm_unpack_end(r);

    return err == HM_OK || err == HM_NOMEM ? err : HM_VERSION;
}

int hm_body_keep(struct hm_store *s, enum hm_item_kind kind, uint64_t id,
                 const struct hm_buf *buf)
{
    if (buf->err == HM_TOOBIG) {
        return hm_store_fail(s, HM_TOOBIG, "this is too long");
    }
    return buf->err == HM_OK ? hm_items_put(s, kind, id, hm_buf_bytes(buf)) : buf->err;
}

int hm_body_get(struct hm_store *s, enum hm_item_kind kind, uint64_t id,
                hm_body_read_fn read, struct hm_arena *arena, void *out)
{
    struct hm_admin_item item;
    int err = hm_items_get(s, kind, id, arena, &item);

    return err == HM_OK ? read(&item, arena, out) : err;
}

struct listing {
    hm_body_read_fn read;
    struct hm_arena *arena;
    uint8_t *array;
    size_t size;
    size_t count;
    size_t room;
};

static int add(void *arg, const struct hm_admin_item *item)
{
    struct listing *listing = arg;
    int err;

    if (listing->count == listing->room) {
        return HM_TOOBIG; /* cannot be: they were counted in this transaction */
    }
    err = listing->read(item, listing->arena,
                        listing->array + listing->count * listing->size);
    listing->count += err == HM_OK;
    return err;
}

int hm_body_list(struct hm_store *s, enum hm_item_kind kind, size_t size, size_t max,
                 hm_body_read_fn read, struct hm_arena *arena, void *out_array,
                 size_t *out_count)
{
    struct listing listing = {.read = read, .arena = arena, .size = size};
    int err = hm_items_count(s, kind, &listing.room);

    if (err == HM_OK && listing.room > max) {
        err = HM_TOOBIG;
    }
    if (err == HM_OK) {
        listing.array = hm_arena_array(arena, listing.room, size);
        err = listing.array == NULL ? HM_NOMEM : HM_OK;
    }
    if (err == HM_OK) {
        err = hm_items_each(s, kind, add, &listing);
    }
    if (err == HM_OK) {
        memcpy(out_array, &listing.array, sizeof listing.array);
        *out_count = listing.count;
    }
    return err;
}
