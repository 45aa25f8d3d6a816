#include "storage/items.h"

#include <stdio.h>

#include <sodium.h>

#include "protocol/guard.h"
#include "protocol/pack.h"
#include "storage/feeds.h"
#include "storage/grants.h"
#include "storage/items_parts.h"

enum {
    ITEM_BYTES_MAX = HM_ITEM_BODY_BYTES_MAX + 256,
    PAGE_ROWS = 64,
    PAGE_BYTES_MAX = 2 * PAGE_ROWS * (ITEM_BYTES_MAX + 256),
    IDS_LOST_MAX = 1000, /* of a kind, between a backup and its restore */
    VERSIONS_A_HISTORY_BITS = 32
};

#define ITEM_COLUMNS "kind, id, version, body, signature, hash, position, author"

void hm_items_encode(const struct hm_admin_item *item, struct hm_buf *buf)
{
    hm_pack_array(buf, 5);
    hm_pack_uint(buf, (uint64_t)item->kind);
    hm_pack_uint(buf, item->id);
    hm_pack_uint(buf, item->version);
    hm_pack_bin(buf, item->body);
    hm_pack_bin(buf, item->signature);
}

int hm_items_decode(struct hm_bytes bytes, struct hm_admin_item *out)
{
    struct hm_reader r = {.left = bytes};
    struct hm_admin_item item = {0};
    int err;

    hm_unpack_array_exact(&r, 5);
    item.kind = (enum hm_item_kind)hm_unpack_uint_max(&r, INT16_MAX);
    item.id = hm_unpack_uint(&r);
    item.version = hm_unpack_uint_max(&r, INT64_MAX);
    item.body = hm_unpack_bin(&r);
    item.signature = hm_unpack_bin(&r);
    err = hm_unpack_end(&r);
    if (err == HM_OK && item.body.len > HM_ITEM_BODY_BYTES_MAX) {
        err = HM_TOOBIG;
    }
    if (err == HM_OK) {
        err = hm_guard_check(item.body); /* a guard does not look into binaries */
    }
    if (err == HM_OK && (item.kind == 0 || item.id == 0 || item.version == 0 ||
                         item.signature.len != HM_SIGNATURE_BYTES)) {
        err = HM_MALFORMED;
    }
    if (err == HM_OK) {
        *out = item;
    }
    return err;
}

int hm_items_signed_hash(const struct hm_admin_item *item, struct hm_hash *out)
{
    struct hm_buf buf;
    int err;

    hm_buf_init(&buf, ITEM_BYTES_MAX);
    hm_pack_array(&buf, 4);
    hm_pack_uint(&buf, (uint64_t)item->kind);
    hm_pack_uint(&buf, item->id);
    hm_pack_uint(&buf, item->version);
    hm_pack_bin(&buf, item->body);
    err = buf.err;
    if (err == HM_OK) {
        *out = hm_hash_of(hm_buf_bytes(&buf), (struct hm_bytes){0});
    }
    hm_buf_deinit(&buf);
    return err;
}

static int item_hash(const struct hm_admin_item *item, struct hm_hash *out)
{
    struct hm_buf buf;
    int err;

    hm_buf_init(&buf, ITEM_BYTES_MAX);
    hm_items_encode(item, &buf);
    err = buf.err;
    if (err == HM_OK) {
        *out = hm_hash_of(hm_buf_bytes(&buf), (struct hm_bytes){0});
    }
    hm_buf_deinit(&buf);
    return err;
}

/* The present row, its bytes copied to arena. */
static int read_row(struct hm_stmt *stmt, struct hm_arena *arena,
                    struct hm_stored_item *out)
{
    struct hm_stored_item stored = {
        .item = {.kind = (enum hm_item_kind)hm_stmt_int(stmt, 0),
                 .id = hm_stmt_u64(stmt, 1),
                 .version = hm_stmt_u64(stmt, 2),
                 .author = hm_stmt_u64(stmt, 7)},
        .position = hm_stmt_u64(stmt, 6)};
    struct hm_bytes hash = hm_stmt_bytes(stmt, 5);
    int err;

    if (hash.len != HM_HASH_BYTES) {
        return HM_CORRUPT;
    }
    memcpy(stored.hash.bytes, hash.data, HM_HASH_BYTES);
    err = hm_arena_copy(arena, hm_stmt_bytes(stmt, 3), &stored.item.body);
    if (err == HM_OK) {
        err = hm_arena_copy(arena, hm_stmt_bytes(stmt, 4), &stored.item.signature);
    }
    if (err == HM_OK) {
        *out = stored;
    }
    return err;
}

static int get_stored(struct hm_store *s, enum hm_item_kind kind, uint64_t id,
                      struct hm_arena *arena, struct hm_stored_item *out)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err = hm_db_stmt(
        hm_store_db(s), "SELECT " ITEM_COLUMNS " FROM item WHERE kind = $1 AND id = $2",
        &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_int(stmt, 1, (int64_t)kind);
    hm_stmt_bind_u64(stmt, 2, id);
    err = hm_stmt_step(stmt, &row);
    if (err == HM_OK) {
        err = row ? read_row(stmt, arena, out) : HM_NOTFOUND;
    }
    hm_stmt_reset(stmt);
    return err;
}

/* Put item behind everything else; before is what stands there now, or NULL. */
static int keep(struct hm_store *s, const struct hm_admin_item *item,
                const struct hm_hash *before)
{
    struct hm_stmt *stmt;
    struct hm_hash hash;
    uint64_t position;
    int err = item_hash(item, &hash);

    if (err == HM_OK) {
        err = hm_feeds_advance(s, 0, &position);
    }
    if (err == HM_OK) {
        err = hm_feeds_adjust(s, 0, before, &hash);
    }
    if (err == HM_OK) {
        err = hm_db_stmt(hm_store_db(s),
                         "INSERT INTO item (" ITEM_COLUMNS ") "
                         "VALUES ($1, $2, $3, $4, $5, $6, $7, $8) "
                         "ON CONFLICT (kind, id) DO UPDATE SET "
                         "author = excluded.author, "
                         "version = excluded.version, body = excluded.body, "
                         "signature = excluded.signature, hash = excluded.hash, "
                         "position = excluded.position",
                         &stmt);
    }
    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_int(stmt, 1, (int64_t)item->kind);
    hm_stmt_bind_u64(stmt, 2, item->id);
    hm_stmt_bind_u64(stmt, 3, item->version);
    hm_stmt_bind_bytes(stmt, 4, item->body);
    hm_stmt_bind_bytes(stmt, 5, item->signature);
    hm_stmt_bind_bytes(stmt, 6, hm_hash_bytes(&hash));
    hm_stmt_bind_u64(stmt, 7, position);
    hm_stmt_bind_u64(stmt, 8, item->author);
    return hm_stmt_run(stmt);
}

static int check_centre(struct hm_store *s)
{
    enum hm_node_role role;
    int err = hm_store_role(s, &role);

    if (err == HM_OK && role != HM_NODE_CENTRE) {
        err = hm_store_fail(s, HM_DENIED, "only the centre can change this");
    }
    return err;
}

static int check_body(struct hm_store *s, struct hm_bytes body)
{
    int err;

    if (body.len > HM_ITEM_BODY_BYTES_MAX) {
        return hm_store_fail(s, HM_TOOBIG, "this is too long");
    }
    err = hm_guard_check(body);
    if (err != HM_OK) {
        err = hm_store_fail(s, HM_INVALID, "a text is not UTF-8 in NFC, or too long");
    }
    return err;
}

static int sign(struct hm_store *s, const struct hm_admin_item *item,
                uint8_t out[HM_SIGNATURE_BYTES])
{
    struct hm_hash hash;
    int err = hm_items_signed_hash(item, &hash);

    if (err == HM_OK && crypto_sign_detached(out, NULL, hash.bytes, HM_HASH_BYTES,
                                             hm_store_secret_key(s)) != 0) {
        err = HM_SIGNATURE;
    }
    return err;
}

/* A version that was given out before this store was set back must not come again with
 * another body: those of its new history are higher than all before. */
static int skip_lost_versions(struct hm_store *s, uint64_t *version)
{
    int64_t restores = 0;
    int err = hm_store_get_number(s, HM_META_RESTORES, &restores);

    if (err == HM_OK && *version < (uint64_t)restores << VERSIONS_A_HISTORY_BITS) {
        *version = (uint64_t)restores << VERSIONS_A_HISTORY_BITS;
    }
    return err == HM_NOTFOUND ? HM_OK : err;
}

int hm_items_put(struct hm_store *s, enum hm_item_kind kind, uint64_t id,
                 struct hm_bytes body)
{
    struct hm_admin_item item = {.kind = kind, .id = id, .version = 1, .body = body};
    uint8_t signature[HM_SIGNATURE_BYTES];
    struct hm_stored_item before;
    struct hm_arena arena;
    bool there;
    int err = check_centre(s);

    HM_ASSERT(id != 0);
    if (err == HM_OK) {
        err = check_body(s, body);
    }
    if (err != HM_OK) {
        return err;
    }
    hm_arena_init(&arena, 4 * ITEM_BYTES_MAX);
    err = get_stored(s, kind, id, &arena, &before);
    there = err == HM_OK;
    if (there && before.item.author == 0 && hm_bytes_equal(before.item.body, body)) {
        goto done;
    }
    if (there) {
        item.version = before.item.version + 1;
    } else if (err != HM_NOTFOUND) {
        goto done;
    }
    err = skip_lost_versions(s, &item.version);
    if (err == HM_OK) {
        err = sign(s, &item, signature);
    }
    item.signature = hm_bytes_of(signature, sizeof signature);
    if (err == HM_OK) {
        err = keep(s, &item, there ? &before.hash : NULL);
    }
done:
    hm_arena_deinit(&arena);
    return err;
}

int hm_items_grant(struct hm_store *s, uint64_t id, struct hm_bytes body)
{
    struct hm_admin_item item = {.kind = HM_ITEM_DEVICE,
                                 .id = id,
                                 .version = 1,
                                 .body = body,
                                 .author = hm_store_device(s)};
    uint8_t signature[HM_SIGNATURE_BYTES];
    struct hm_stored_item before;
    struct hm_arena arena;
    int err = check_body(s, body);

    if (err != HM_OK) {
        return err;
    }
    hm_arena_init(&arena, 4 * ITEM_BYTES_MAX);
    err = get_stored(s, item.kind, id, &arena, &before);
    hm_arena_deinit(&arena);
    if (err != HM_NOTFOUND) {
        return err == HM_OK ? HM_EXISTS : err;
    }
    err = sign(s, &item, signature);
    item.signature = hm_bytes_of(signature, sizeof signature);
    return err == HM_OK ? keep(s, &item, NULL) : err;
}

/* Whose word it is: *out_author 0 for the centre's. Errors: HM_SIGNATURE; HM_AGAIN;
 * HM_DENIED (of a hub that may not). */
static int find_author(struct hm_store *s, const struct hm_admin_item *item,
                       const uint8_t *authority, uint64_t *out_author)
{
    struct hm_hash hash;
    int err = hm_items_signed_hash(item, &hash);

    if (err == HM_OK && item->signature.len != HM_SIGNATURE_BYTES) {
        err = HM_SIGNATURE;
    }
    if (err == HM_OK && crypto_sign_verify_detached(item->signature.data, hash.bytes,
                                                    HM_HASH_BYTES, authority) == 0) {
        *out_author = 0;
        return HM_OK;
    }
    if (err == HM_OK) {
        err = item->kind == HM_ITEM_DEVICE ? hm_grants_check(s, item, &hash, out_author)
                                           : HM_SIGNATURE;
    }
    return err == HM_SIGNATURE
               ? hm_store_fail(s, err, "an item is not signed by the centre")
               : err;
}

int hm_items_take(struct hm_store *s, const struct hm_admin_item *item,
                  const uint8_t *authority, bool *out_taken)
{
    struct hm_admin_item taken = *item;
    struct hm_stored_item before;
    struct hm_arena arena;
    bool there;
    int err = find_author(s, item, authority, &taken.author);

    if (err == HM_DENIED) {
        *out_taken = false; /* its hub is revoked, or holds other hamlets by now */
        return HM_OK;
    }
    if (err != HM_OK) {
        return err;
    }
    hm_arena_init(&arena, 4 * ITEM_BYTES_MAX);
    err = get_stored(s, item->kind, item->id, &arena, &before);
    there = err == HM_OK;
    if (there && (taken.author != 0 ||
                  (before.item.author == 0 && before.item.version >= item->version))) {
        *out_taken = false;
    } else if (there || err == HM_NOTFOUND) {
        err = keep(s, &taken, there ? &before.hash : NULL);
        if (err == HM_OK) {
            *out_taken = true;
        }
    }
    hm_arena_deinit(&arena);
    return err;
}

int hm_items_drop(struct hm_store *s, enum hm_item_kind kind, uint64_t id)
{
    struct hm_stored_item before;
    struct hm_arena arena;
    struct hm_stmt *stmt;
    int err;

    hm_arena_init(&arena, 4 * ITEM_BYTES_MAX);
    err = get_stored(s, kind, id, &arena, &before);
    hm_arena_deinit(&arena);
    if (err == HM_OK) {
        err = hm_feeds_adjust(s, 0, &before.hash, NULL);
    }
    if (err == HM_OK) {
        err = hm_db_stmt(hm_store_db(s), "DELETE FROM item WHERE kind = $1 AND id = $2",
                         &stmt);
    }
    if (err != HM_OK) {
        return err == HM_NOTFOUND ? HM_OK : err;
    }
    hm_stmt_bind_int(stmt, 1, (int64_t)kind);
    hm_stmt_bind_u64(stmt, 2, id);
    return hm_stmt_run(stmt);
}

/* A number that the store has for a kind. */
static int kind_number(struct hm_store *s, const char *sql, enum hm_item_kind kind,
                       int64_t *out_number)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err = hm_db_stmt(hm_store_db(s), sql, &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_int(stmt, 1, (int64_t)kind);
    err = hm_stmt_step(stmt, &row);
    if (err == HM_OK) {
        *out_number = row ? hm_stmt_int(stmt, 0) : 0;
    }
    hm_stmt_reset(stmt);
    return err;
}

/* The fact that holds the lowest number to give out. */
static const char *floor_name(enum hm_item_kind kind, char out[32])
{
    (void)snprintf(out, 32, "next_id_%u", (unsigned)kind);
    return out;
}

static int highest_id(struct hm_store *s, enum hm_item_kind kind, uint64_t *out_id)
{
    int64_t highest = 0;
    /* Kinds that are counted stay far below 2^63, where the stored order is ours. */
    int err = kind_number(s, "SELECT COALESCE(MAX(id), 0) FROM item WHERE kind = $1",
                          kind, &highest);

    *out_id = highest < 0 ? 0 : (uint64_t)highest;
    return err;
}

int hm_items_next_id(struct hm_store *s, enum hm_item_kind kind, uint64_t *out_id)
{
    char name[32];
    int64_t floor = 0;
    uint64_t highest = 0;
    int err = highest_id(s, kind, &highest);

    if (err == HM_OK) {
        err = hm_store_get_number(s, floor_name(kind, name), &floor);
        err = err == HM_NOTFOUND ? HM_OK : err;
    }
    if (err == HM_OK) {
        *out_id = highest + 1 > (uint64_t)floor ? highest + 1 : (uint64_t)floor;
    }
    return err;
}

int hm_items_leave_gap(struct hm_store *s)
{
    static const enum hm_item_kind counted[] = {
        HM_ITEM_UNIT, HM_ITEM_ROLE, HM_ITEM_USER, HM_ITEM_ROUND, HM_ITEM_FORM};
    int err = HM_OK;

    for (size_t i = 0; i < sizeof counted / sizeof counted[0] && err == HM_OK; i++) {
        char name[32];
        uint64_t next = 0;

        err = hm_items_next_id(s, counted[i], &next);
        if (err == HM_OK) {
            err = hm_store_set_number(s, floor_name(counted[i], name),
                                      (int64_t)next + IDS_LOST_MAX);
        }
    }
    return err;
}

int hm_items_count(struct hm_store *s, enum hm_item_kind kind, size_t *out_count)
{
    int64_t count = 0;
    int err = kind_number(s, "SELECT COUNT(*) FROM item WHERE kind = $1", kind, &count);

    if (err == HM_OK) {
        *out_count = (size_t)count;
    }
    return err;
}

int hm_items_get(struct hm_store *s, enum hm_item_kind kind, uint64_t id,
                 struct hm_arena *arena, struct hm_admin_item *out)
{
    struct hm_stored_item stored;
    int err = get_stored(s, kind, id, arena, &stored);

    if (err == HM_OK) {
        *out = stored.item;
    }
    return err;
}

struct page {
    struct hm_arena arena;
    struct hm_stored_item rows[PAGE_ROWS];
    size_t count;
};

/* Read what stmt gives, at most a page. */
static int read_page(struct hm_stmt *stmt, struct page *page)
{
    bool row = false;
    int err = HM_OK;

    hm_arena_deinit(&page->arena);
    page->count = 0;
    while (page->count < PAGE_ROWS && (err = hm_stmt_step(stmt, &row)) == HM_OK &&
           row) {
        err = read_row(stmt, &page->arena, &page->rows[page->count]);
        if (err != HM_OK) {
            break;
        }
        page->count++;
    }
    hm_stmt_reset(stmt);
    return err;
}

int hm_items_each(struct hm_store *s, enum hm_item_kind kind, hm_items_fn fn, void *arg)
{
    struct page page = {0};
    int64_t from = INT64_MIN; /* ids in the order of the store */
    int err = HM_OK;

    hm_arena_init(&page.arena, PAGE_BYTES_MAX);
    do {
        struct hm_stmt *stmt;

        err = hm_db_stmt(hm_store_db(s),
                         "SELECT " ITEM_COLUMNS " FROM item "
                         "WHERE kind = $1 AND id >= $2 ORDER BY id LIMIT 64",
                         &stmt);
        if (err == HM_OK) {
            hm_stmt_bind_int(stmt, 1, (int64_t)kind);
            hm_stmt_bind_int(stmt, 2, from);
            err = read_page(stmt, &page);
        }
        for (size_t i = 0; err == HM_OK && i < page.count; i++) {
            from = (int64_t)page.rows[i].item.id;
            err = fn(arg, &page.rows[i].item);
        }
    } while (err == HM_OK && page.count == PAGE_ROWS && from++ < INT64_MAX);
    hm_arena_deinit(&page.arena);
    return err;
}

int hm_items_each_granted(struct hm_store *s, hm_items_fn fn, void *arg)
{
    struct page page = {0};
    uint64_t position = 0;
    int err = HM_OK;

    hm_arena_init(&page.arena, PAGE_BYTES_MAX);
    do {
        struct hm_stmt *stmt;

        err = hm_db_stmt(hm_store_db(s),
                         "SELECT " ITEM_COLUMNS " FROM item WHERE author <> 0 "
                         "AND position > $1 ORDER BY position LIMIT 64",
                         &stmt);
        if (err == HM_OK) {
            hm_stmt_bind_u64(stmt, 1, position);
            err = read_page(stmt, &page);
        }
        for (size_t i = 0; err == HM_OK && i < page.count; i++) {
            position = page.rows[i].position;
            err = fn(arg, &page.rows[i].item);
        }
    } while (err == HM_OK && page.count == PAGE_ROWS);
    hm_arena_deinit(&page.arena);
    return err;
}

int hm_items_walk(struct hm_store *s, uint64_t position, hm_items_walk_fn fn, void *arg)
{
    struct page page = {0};
    int err = HM_OK;

    hm_arena_init(&page.arena, PAGE_BYTES_MAX);
    do {
        struct hm_stmt *stmt;

        err = hm_db_stmt(hm_store_db(s),
                         "SELECT " ITEM_COLUMNS " FROM item WHERE position > $1 "
                         "ORDER BY position LIMIT 64",
                         &stmt);
        if (err == HM_OK) {
            hm_stmt_bind_u64(stmt, 1, position);
            err = read_page(stmt, &page);
        }
        for (size_t i = 0; err == HM_OK && i < page.count; i++) {
            position = page.rows[i].position;
            err = fn(arg, &page.rows[i]);
        }
    } while (err == HM_OK && page.count == PAGE_ROWS);
    hm_arena_deinit(&page.arena);
    return err;
}
