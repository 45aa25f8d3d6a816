#include "storage/claims.h"

#include <stdlib.h>

#include "storage/log.h"

static int upsert(struct hm_store *s, const char *sql, const struct hm_lost_log *lost)
{
    struct hm_stmt *stmt;
    int err = hm_db_stmt(hm_store_db(s), sql, &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, lost->incarnation);
    hm_stmt_bind_u64(stmt, 2, lost->device);
    hm_stmt_bind_u64(stmt, 3, lost->entries);
    return hm_stmt_run(stmt);
}

int hm_claims_note(struct hm_store *s, const struct hm_lost_log *lost)
{
    struct hm_log log = {0};
    int64_t count = 0;
    int err = hm_log_get(s, lost->incarnation, &log);

    err = err == HM_NOTFOUND ? HM_OK : err;
    if (err != HM_OK || log.entries >= lost->entries || lost->incarnation == 0) {
        return err;
    }
    err = hm_db_query_int(hm_store_db(s), "SELECT COUNT(*) FROM claim", &count);
    if (err != HM_OK || count >= HM_CLAIMS_MAX) {
        return err;
    }
    return upsert(s,
                  "INSERT INTO claim (incarnation, device, entries) "
                  "VALUES ($1, $2, $3) ON CONFLICT (incarnation) DO UPDATE SET "
                  "entries = CASE WHEN excluded.entries > claim.entries THEN "
                  "excluded.entries ELSE claim.entries END",
                  lost);
}

/* 0: there is no claim. */
static int claimed(struct hm_store *s, uint64_t incarnation, uint64_t *out_entries)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err = hm_db_stmt(hm_store_db(s),
                         "SELECT entries FROM claim WHERE incarnation = $1", &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, incarnation);
    err = hm_stmt_step(stmt, &row);
    if (err == HM_OK) {
        *out_entries = row ? hm_stmt_u64(stmt, 0) : 0;
    }
    hm_stmt_reset(stmt);
    return err;
}

int hm_claims_drop(struct hm_store *s, uint64_t incarnation)
{
    struct hm_stmt *stmt;
    int err =
        hm_db_stmt(hm_store_db(s), "DELETE FROM claim WHERE incarnation = $1", &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, incarnation);
    return hm_stmt_run(stmt);
}

int hm_claims_settle(struct hm_store *s, uint64_t incarnation, uint64_t first_n,
                     uint64_t behind, uint64_t *out_back)
{
    uint64_t entries = 0;
    int err = claimed(s, incarnation, &entries);

    first_n = first_n == 0 ? 1 : first_n; /* a birth is no change */
    *out_back = 0;
    if (err != HM_OK || entries == 0) {
        return err;
    }
    if (first_n < entries && first_n < behind) {
        *out_back = (behind < entries ? behind : entries) - first_n;
    }
    return behind >= entries ? hm_claims_drop(s, incarnation) : HM_OK;
}

int hm_claims_missing(struct hm_store *s, uint64_t *out_changes)
{
    int64_t changes = 0;
    int err = hm_db_query_int(
        hm_store_db(s),
        "SELECT COALESCE(SUM(claim.entries - COALESCE(incarnation.entries, 1)), 0) "
        "FROM claim LEFT JOIN incarnation ON incarnation.incarnation = "
        "claim.incarnation",
        &changes);

    if (err == HM_OK) {
        *out_changes = changes < 0 ? 0 : (uint64_t)changes;
    }
    return err;
}

int hm_claims_each(struct hm_store *s, uint64_t device, hm_claims_fn fn, void *arg)
{
    struct hm_lost_log *list = calloc(HM_CLAIMS_MAX, sizeof *list);
    size_t count = 0;
    struct hm_stmt *stmt;
    bool row = false;
    int err = list == NULL
                  ? HM_NOMEM
                  : hm_db_stmt(hm_store_db(s),
                               "SELECT incarnation, device, entries FROM claim "
                               "WHERE device = $1 OR $1 = 0 "
                               "ORDER BY incarnation",
                               &stmt);

    if (err != HM_OK) {
        free(list);
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, device);
    while ((err = hm_stmt_step(stmt, &row)) == HM_OK && row && count < HM_CLAIMS_MAX) {
        list[count++] = (struct hm_lost_log){.incarnation = hm_stmt_u64(stmt, 0),
                                             .device = hm_stmt_u64(stmt, 1),
                                             .entries = hm_stmt_u64(stmt, 2)};
    }
    hm_stmt_reset(stmt);
    for (size_t i = 0; i < count && err == HM_OK; i++) {
        err = fn(arg, &list[i]);
    }
    free(list);
    return err;
}

int hm_claims_learn(struct hm_store *s, const struct hm_lost_log *lost)
{
    if (lost->entries == 0) {
        return HM_OK;
    }
    return upsert(s,
                  "INSERT INTO lacking (incarnation, device, entries, told) "
                  "VALUES ($1, $2, $3, 0) ON CONFLICT (incarnation) DO UPDATE SET "
                  "told = CASE WHEN excluded.entries > lacking.entries THEN 0 ELSE "
                  "lacking.told END, entries = CASE WHEN excluded.entries > "
                  "lacking.entries THEN excluded.entries ELSE lacking.entries END",
                  lost);
}

int hm_claims_tell(struct hm_store *s, size_t count_max, struct hm_arena *arena,
                   struct hm_lost_log **out_lost, size_t *out_count)
{
    struct hm_lost_log *list;
    size_t count = 0;
    struct hm_stmt *stmt;
    bool row = false;
    int err = hm_db_stmt(hm_store_db(s),
                         "SELECT incarnation, device, entries FROM lacking "
                         "ORDER BY incarnation LIMIT $1",
                         &stmt);

    if (err != HM_OK) {
        return err;
    }
    list = hm_arena_array(arena, count_max, sizeof *list);
    if (list == NULL) {
        return HM_NOMEM;
    }
    hm_stmt_bind_int(stmt, 1, (int64_t)count_max);
    while ((err = hm_stmt_step(stmt, &row)) == HM_OK && row) {
        list[count++] = (struct hm_lost_log){.incarnation = hm_stmt_u64(stmt, 0),
                                             .device = hm_stmt_u64(stmt, 1),
                                             .entries = hm_stmt_u64(stmt, 2)};
    }
    hm_stmt_reset(stmt);
    for (size_t i = 0; i < count && err == HM_OK; i++) {
        err = hm_db_stmt(hm_store_db(s),
                         "UPDATE lacking SET told = 1 WHERE incarnation = $1", &stmt);
        if (err == HM_OK) {
            hm_stmt_bind_u64(stmt, 1, list[i].incarnation);
            err = hm_stmt_run(stmt);
        }
    }
    if (err == HM_OK) {
        *out_lost = list;
        *out_count = count;
    }
    return err;
}

int hm_claims_forget_told(struct hm_store *s)
{
    return hm_db_exec(hm_store_db(s), "DELETE FROM lacking WHERE told = 1");
}
