#include "storage/closed.h"

#include "storage/body.h"
#include "storage/claims.h"
#include "storage/log.h"

/* Keys of the body. Kept on disk. */
enum { KEY_ENTRIES = 1, KEY_DEVICE = 2, KEY_CLOSED = 3, KEY_WHOLE = 4 };

enum { BODY_BYTES_MAX = 256, ARENA_BYTES_MAX = 4 * HM_ITEM_BODY_BYTES_MAX };

struct closed {
    uint64_t entries;
    uint64_t device;
    bool whole; /* the id is a device: all of its logs, also those told of later */
};

static int read_closed(const struct hm_admin_item *item, struct hm_arena *arena,
                       void *out)
{
    struct hm_reader r = {.left = item->body};
    struct closed closed = {.entries = 0};
    size_t keys = hm_unpack_map(&r, HM_BODY_KEYS_MAX);
    int err;

    (void)arena;
    for (; keys > 0 && r.err == HM_OK; keys--) {
        switch (hm_unpack_uint(&r)) {
        case KEY_ENTRIES:
            closed.entries = hm_unpack_uint_max(&r, INT64_MAX);
            break;
        case KEY_DEVICE:
            closed.device = hm_unpack_uint(&r);
            break;
        case KEY_WHOLE:
            closed.whole = hm_unpack_bool(&r);
            break;
        default:
            (void)hm_unpack_raw(&r); /* its error sticks in r */
            break;
        }
    }
    err = hm_body_end(&r);
    if (err == HM_OK) {
        memcpy(out, &closed, sizeof closed);
    }
    return err;
}

static int get(struct hm_store *s, uint64_t id, struct closed *out, bool *out_found)
{
    struct hm_arena arena;
    int err;

    hm_arena_init(&arena, ARENA_BYTES_MAX);
    err = hm_body_get(s, HM_ITEM_CLOSED, id, read_closed, &arena, out);
    hm_arena_deinit(&arena);
    *out_found = err == HM_OK;
    return err == HM_NOTFOUND || err == HM_VERSION ? HM_OK : err;
}

static int put(struct hm_store *s, uint64_t id, const struct closed *closed)
{
    struct hm_buf buf;
    int err;

    hm_buf_init(&buf, BODY_BYTES_MAX);
    hm_pack_map(&buf, 4);
    hm_body_put_uint(&buf, KEY_ENTRIES, closed->entries);
    hm_body_put_uint(&buf, KEY_DEVICE, closed->device);
    hm_body_put_int(&buf, KEY_CLOSED, hm_store_utc_ms(s));
    hm_body_put_bool(&buf, KEY_WHOLE, closed->whole);
    err = hm_body_keep(s, HM_ITEM_CLOSED, id, &buf);
    hm_buf_deinit(&buf);
    return err;
}

int hm_closed_get(struct hm_store *s, uint64_t incarnation, bool *out_closed,
                  uint64_t *out_entries)
{
    struct closed closed = {.entries = 0};
    bool found = false;
    int err = get(s, incarnation, &closed, &found);

    *out_closed = found && !closed.whole;
    *out_entries = closed.entries;
    return err;
}

int hm_closed_any(struct hm_store *s, bool *out_any)
{
    size_t count = 0;
    int err = hm_items_count(s, HM_ITEM_CLOSED, &count);

    *out_any = count > 0;
    return err;
}

struct closing {
    struct hm_store *s;
    bool marked_only; /* devices that are closed already */
    struct hm_closed_count sum;
};

static int close_log(void *arg, const struct hm_lost_log *lost)
{
    struct closing *closing = arg;
    struct closed closed = {.device = lost->device};
    struct hm_log log = {.entries = 0};
    struct closed device;
    bool marked = true;
    int err = HM_OK;

    if (lost->incarnation == hm_store_own_log(closing->s)->incarnation) {
        return HM_OK; /* it is being written */
    }
    if (closing->marked_only) {
        err = get(closing->s, lost->device, &device, &marked);
    }
    if (err == HM_OK && marked) {
        err = hm_log_get(closing->s, lost->incarnation, &log);
        err = err == HM_NOTFOUND ? HM_OK : err;
    }
    if (err != HM_OK || !marked) {
        return err;
    }
    closed.entries = log.entries;
    closing->sum.logs++;
    closing->sum.changes += lost->entries - (log.entries == 0 ? 1 : log.entries);
    err = put(closing->s, lost->incarnation, &closed);
    return err == HM_OK ? hm_claims_drop(closing->s, lost->incarnation) : err;
}

/* claims_of: 0: of all devices. */
static int close_all(struct hm_store *s, uint64_t device, uint64_t claims_of,
                     struct hm_closed_count *out)
{
    struct closing closing = {.s = s};
    struct closed whole = {.device = device, .whole = true};
    int err = put(s, device, &whole);

    if (err == HM_OK) {
        err = hm_claims_each(s, claims_of, close_log, &closing);
    }
    if (err == HM_OK) {
        *out = closing.sum;
    }
    return err;
}

int hm_closed_device(struct hm_store *s, uint64_t device, struct hm_closed_count *out)
{
    return close_all(s, device, device, out);
}

int hm_closed_restore(struct hm_store *s, struct hm_closed_count *out)
{
    return close_all(s, hm_store_device(s), 0, out);
}

int hm_closed_late(struct hm_store *s)
{
    struct closing closing = {.s = s, .marked_only = true};
    bool any = false;
    int err = hm_closed_any(s, &any);

    return err == HM_OK && any ? hm_claims_each(s, 0, close_log, &closing) : err;
}
