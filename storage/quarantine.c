#include "storage/quarantine.h"

#include <stdio.h>

#define COLUMNS                                                                        \
    "hash, incarnation, n, device, scope, a, household_n, reason, detail, "            \
    "since_utc_ms, "                                                                   \
    "released, bytes"

struct hm_hash hm_quarantine_hash(const struct hm_dot *dot, struct hm_bytes bytes)
{
    /* Two changes may have the same bytes: the dot is part of the name. */
    uint8_t name[16];

    for (unsigned i = 0; i < 8; i++) {
        name[i] = (uint8_t)(dot->incarnation >> (8 * i));
        name[8 + i] = (uint8_t)(dot->n >> (8 * i));
    }
    return hm_hash_of(hm_bytes_of(name, sizeof name), bytes);
}

int hm_quarantine_put(struct hm_store *s, const struct hm_quarantine_entry *entry)
{
    struct hm_hash hash = hm_quarantine_hash(&entry->dot, entry->bytes);
    struct hm_stmt *stmt;
    int err = hm_db_stmt(hm_store_db(s),
                         "INSERT INTO quarantine (" COLUMNS ") VALUES "
                         "($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, $11) "
                         "ON CONFLICT (hash) DO NOTHING",
                         &stmt);
    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_bytes(stmt, 1, hm_hash_bytes(&hash));
    hm_stmt_bind_u64(stmt, 2, entry->dot.incarnation);
    hm_stmt_bind_u64(stmt, 3, entry->dot.n);
    hm_stmt_bind_u64(stmt, 4, entry->device);
    hm_stmt_bind_int(stmt, 5, entry->scope);
    hm_stmt_bind_u64(stmt, 6, entry->household.a);
    hm_stmt_bind_u64(stmt, 7, entry->household.n);
    hm_stmt_bind_int(stmt, 8, entry->reason);
    hm_stmt_bind_str(stmt, 9, entry->detail);
    hm_stmt_bind_int(stmt, 10, hm_store_utc_ms(s));
    hm_stmt_bind_bytes(stmt, 11, entry->bytes);
    return hm_stmt_run(stmt);
}

void hm_quarantine_id(const struct hm_quarantine_entry *entry,
                      char out[HM_QUARANTINE_ID_MAX])
{
    if (entry->dot.n > 0) {
        hm_dot_to_text(&entry->dot, out);
        return;
    }
    for (size_t i = 0; i < HM_HASH_BYTES; i++) {
        (void)snprintf(out + 2 * i, 3, "%02x", entry->hash.bytes[i]);
    }
}

static int read_entry(struct hm_stmt *stmt, struct hm_quarantine_entry *out)
{
    struct hm_bytes hash = hm_stmt_bytes(stmt, 0);

    if (hash.len != HM_HASH_BYTES) {
        return HM_CORRUPT;
    }
    *out = (struct hm_quarantine_entry){
        .dot = {hm_stmt_u64(stmt, 1), hm_stmt_u64(stmt, 2)},
        .device = hm_stmt_u64(stmt, 3),
        .scope = (uint32_t)hm_stmt_int(stmt, 4),
        .household = {hm_stmt_u64(stmt, 5), hm_stmt_u64(stmt, 6)},
        .reason = (int)hm_stmt_int(stmt, 7),
        .detail = hm_stmt_str(stmt, 8),
        .since_utc_ms = hm_stmt_int(stmt, 9),
        .released = hm_stmt_int(stmt, 10) != 0,
        .bytes = hm_stmt_bytes(stmt, 11),
    };
    memcpy(out->hash.bytes, hash.data, HM_HASH_BYTES);
    return HM_OK;
}

static int each(struct hm_stmt *stmt, hm_quarantine_fn fn, void *arg)
{
    struct hm_quarantine_entry entry;
    bool row = false;
    int err;

    while ((err = hm_stmt_step(stmt, &row)) == HM_OK && row) {
        err = read_entry(stmt, &entry);
        if (err == HM_OK) {
            err = fn(arg, &entry);
        }
        if (err != HM_OK) {
            break;
        }
    }
    hm_stmt_reset(stmt);
    return err;
}

int hm_quarantine_each(struct hm_store *s, hm_quarantine_fn fn, void *arg)
{
    struct hm_stmt *stmt;
    int err = hm_db_stmt(
        hm_store_db(s),
        "SELECT " COLUMNS " FROM quarantine ORDER BY since_utc_ms, hash", &stmt);

    return err == HM_OK ? each(stmt, fn, arg) : err;
}

int hm_quarantine_each_of(struct hm_store *s, uint64_t incarnation, uint64_t first_n,
                          uint64_t last_n, hm_quarantine_fn fn, void *arg)
{
    struct hm_stmt *stmt;
    int err = hm_db_stmt(hm_store_db(s),
                         "SELECT " COLUMNS " FROM quarantine "
                         "WHERE incarnation = $1 AND n > 0 AND n >= $2 AND n <= $3 "
                         "ORDER BY n",
                         &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, incarnation);
    hm_stmt_bind_u64(stmt, 2, first_n);
    hm_stmt_bind_u64(stmt, 3, last_n);
    return each(stmt, fn, arg);
}

struct search {
    const char *id;
    struct hm_arena *arena;
    struct hm_quarantine_entry *out;
    bool found;
};

static int match(void *arg, const struct hm_quarantine_entry *entry)
{
    struct search *search = arg;
    char id[HM_QUARANTINE_ID_MAX];
    int err;

    hm_quarantine_id(entry, id);
    if (search->found || strcmp(id, search->id) != 0) {
        return HM_OK;
    }
    *search->out = *entry;
    err = hm_arena_copy(search->arena, entry->bytes, &search->out->bytes);
    search->out->detail = hm_arena_text(search->arena, hm_bytes_str(entry->detail));
    search->found = true;
    return search->out->detail == NULL ? HM_NOMEM : err;
}

int hm_quarantine_get(struct hm_store *s, const char *id, struct hm_arena *arena,
                      struct hm_quarantine_entry *out)
{
    struct search search = {.id = id, .arena = arena, .out = out};
    int err = hm_quarantine_each(s, match, &search);

    return err == HM_OK && !search.found ? HM_NOTFOUND : err;
}

int hm_quarantine_set_released(struct hm_store *s, const struct hm_hash *hash)
{
    struct hm_stmt *stmt;
    int err = hm_db_stmt(hm_store_db(s),
                         "UPDATE quarantine SET released = 1 WHERE hash = $1", &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_bytes(stmt, 1, hm_hash_bytes(hash));
    return hm_stmt_run(stmt);
}

int hm_quarantine_count(struct hm_store *s, uint64_t *out_count)
{
    int64_t count = 0;
    int err = hm_db_query_int(
        hm_store_db(s), "SELECT COUNT(*) FROM quarantine WHERE released = 0", &count);

    if (err == HM_OK) {
        *out_count = (uint64_t)count;
    }
    return err;
}
