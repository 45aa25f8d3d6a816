#include "storage/quarantine.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The reason of an entry that only counts; its numbers stand where others have their
 * household: how many, and how many bytes. */
#define COUNTS HM_NOSPACE

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

/* What nobody signed and one device brought: no dot, and this reason. */
#define OF_DEVICE                                                                      \
    "FROM quarantine WHERE incarnation = 0 AND n = 0 AND device = $1 AND reason = $2 "

static int sum_unsigned(struct hm_store *s, uint64_t device, int64_t *out_count,
                        int64_t *out_bytes)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err = hm_db_stmt(hm_store_db(s),
                         "SELECT COUNT(*), COALESCE(SUM(LENGTH(bytes)), 0) " OF_DEVICE,
                         &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, device);
    hm_stmt_bind_int(stmt, 2, HM_SIGNATURE);
    err = hm_stmt_step(stmt, &row);
    *out_count = row ? hm_stmt_int(stmt, 0) : 0;
    *out_bytes = row ? hm_stmt_int(stmt, 1) : 0;
    hm_stmt_reset(stmt);
    return err;
}

/* Deletes the oldest one; *out_bytes is its length. */
static int let_one_go(struct hm_store *s, uint64_t device, int64_t *out_bytes)
{
    struct hm_hash hash = {0};
    struct hm_stmt *stmt;
    bool row = false;
    int err = hm_db_stmt(hm_store_db(s),
                         "SELECT hash, LENGTH(bytes) " OF_DEVICE
                         "ORDER BY since_utc_ms, hash LIMIT 1",
                         &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, device);
    hm_stmt_bind_int(stmt, 2, HM_SIGNATURE);
    err = hm_stmt_step(stmt, &row);
    if (err == HM_OK && (!row || hm_stmt_bytes(stmt, 0).len != HM_HASH_BYTES)) {
        err = HM_CORRUPT;
    }
    if (err == HM_OK) {
        memcpy(hash.bytes, hm_stmt_bytes(stmt, 0).data, HM_HASH_BYTES);
        *out_bytes = hm_stmt_int(stmt, 1);
    }
    hm_stmt_reset(stmt);
    if (err == HM_OK) {
        err =
            hm_db_stmt(hm_store_db(s), "DELETE FROM quarantine WHERE hash = $1", &stmt);
    }
    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_bytes(stmt, 1, hm_hash_bytes(&hash));
    return hm_stmt_run(stmt);
}

/* The entry that counts for a device. */
static int count_let_go(struct hm_store *s, uint64_t device, uint64_t count,
                        uint64_t bytes)
{
    uint8_t name[16] = "let go, ";
    struct hm_hash hash;
    struct hm_stmt *stmt;
    int err;

    for (unsigned i = 0; i < 8; i++) {
        name[8 + i] = (uint8_t)(device >> (8 * i));
    }
    hash = hm_hash_of(hm_bytes_of(name, sizeof name), hm_bytes_of("", 0));
    err = hm_db_stmt(
        hm_store_db(s),
        "INSERT INTO quarantine (" COLUMNS ") VALUES "
        "($1, 0, 0, $2, 0, $3, $4, $5, '', $6, 0, $7) ON CONFLICT (hash) DO UPDATE "
        "SET a = a + excluded.a, household_n = household_n + excluded.household_n",
        &stmt);
    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_bytes(stmt, 1, hm_hash_bytes(&hash));
    hm_stmt_bind_u64(stmt, 2, device);
    hm_stmt_bind_u64(stmt, 3, bytes);
    hm_stmt_bind_u64(stmt, 4, count);
    hm_stmt_bind_int(stmt, 5, COUNTS);
    hm_stmt_bind_int(stmt, 6, hm_store_utc_ms(s));
    hm_stmt_bind_bytes(stmt, 7, hm_bytes_of("", 0));
    return hm_stmt_run(stmt);
}

int hm_quarantine_put_unsigned(struct hm_store *s, uint64_t device,
                               struct hm_bytes bytes, const char *detail)
{
    struct hm_quarantine_entry entry = {
        .device = device, .reason = HM_SIGNATURE, .detail = detail, .bytes = bytes};
    int64_t count = 0;
    int64_t held = 0;
    uint64_t let_go = 0;
    uint64_t let_go_bytes = 0;
    int err = hm_quarantine_put(s, &entry);

    if (err == HM_OK) {
        err = sum_unsigned(s, device, &count, &held);
    }
    /* One always stays: a piece is smaller than the limit. */
    while (err == HM_OK && count > 1 &&
           (count > HM_QUARANTINE_UNSIGNED_MAX ||
            held > HM_QUARANTINE_UNSIGNED_BYTES_MAX)) {
        int64_t len = 0;

        err = let_one_go(s, device, &len);
        count--;
        held -= len;
        let_go++;
        let_go_bytes += (uint64_t)len;
    }
    return err == HM_OK && let_go > 0 ? count_let_go(s, device, let_go, let_go_bytes)
                                      : err;
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

/* detail is room for a text that is not in the store. */
static int read_entry(struct hm_stmt *stmt, char detail[HM_QUARANTINE_DETAIL_MAX],
                      struct hm_quarantine_entry *out)
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
    if (out->dot.n == 0 && out->reason == COUNTS) {
        out->let_go = out->household.n;
        (void)snprintf(detail, HM_QUARANTINE_DETAIL_MAX,
                       "%" PRIu64 " more that nobody had signed, %" PRIu64
                       " bytes: only counted, since there were too many",
                       out->household.n, out->household.a);
        out->detail = detail;
        out->household = (struct hm_household_id){0};
    }
    return HM_OK;
}

static int each(struct hm_stmt *stmt, hm_quarantine_fn fn, void *arg)
{
    char detail[HM_QUARANTINE_DETAIL_MAX];
    struct hm_quarantine_entry entry;
    bool row = false;
    int err;

    while ((err = hm_stmt_step(stmt, &row)) == HM_OK && row) {
        err = read_entry(stmt, detail, &entry);
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

int hm_quarantine_follows_revoked(struct hm_store *s, const struct hm_dot *dot,
                                  int64_t since_utc_ms, bool *out_follows)
{
    struct hm_stmt *stmt;
    int err =
        hm_db_stmt(hm_store_db(s),
                   "WITH RECURSIVE line (incarnation, upto) AS (SELECT $1, $2 UNION "
                   "SELECT incarnation.parent, incarnation.parent_n FROM line "
                   "JOIN incarnation ON incarnation.incarnation = line.incarnation "
                   "WHERE incarnation.parent <> 0) "
                   "SELECT 1 FROM line JOIN quarantine "
                   "ON quarantine.incarnation = line.incarnation AND quarantine.n > 0 "
                   "AND quarantine.n <= line.upto WHERE quarantine.reason = $3 "
                   "AND quarantine.since_utc_ms >= $4 LIMIT 1",
                   &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, dot->incarnation);
    hm_stmt_bind_u64(stmt, 2, dot->n);
    hm_stmt_bind_int(stmt, 3, HM_REVOKED);
    hm_stmt_bind_int(stmt, 4, since_utc_ms);
    err = hm_stmt_step(stmt, out_follows);
    hm_stmt_reset(stmt);
    return err;
}

int hm_quarantine_sum_revoked(struct hm_store *s, uint64_t device, uint64_t *out_count,
                              uint64_t *out_bytes)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err = hm_db_stmt(hm_store_db(s),
                         "SELECT COUNT(*), COALESCE(SUM(LENGTH(bytes)), 0) "
                         "FROM quarantine WHERE device = $1 AND reason = $2 "
                         "AND released = 0",
                         &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, device);
    hm_stmt_bind_int(stmt, 2, HM_REVOKED);
    err = hm_stmt_step(stmt, &row);
    if (err == HM_OK && row) {
        *out_count = hm_stmt_u64(stmt, 0);
        *out_bytes = hm_stmt_u64(stmt, 1);
    }
    hm_stmt_reset(stmt);
    return err;
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
    struct hm_stmt *stmt;
    bool row = false;
    int err = hm_db_stmt(hm_store_db(s),
                         "SELECT COALESCE(SUM(CASE WHEN n = 0 AND reason = $1 "
                         "THEN household_n ELSE 1 END), 0) "
                         "FROM quarantine WHERE released = 0",
                         &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_int(stmt, 1, COUNTS);
    err = hm_stmt_step(stmt, &row);
    if (err == HM_OK && row) {
        *out_count = hm_stmt_u64(stmt, 0);
    }
    hm_stmt_reset(stmt);
    return err;
}
