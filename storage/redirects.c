#include "storage/redirects.h"

#include <stdlib.h>

static int keyed(struct hm_store *s, const char *sql, const struct hm_household_id *id,
                 struct hm_stmt **out_stmt)
{
    int err = hm_db_stmt(hm_store_db(s), sql, out_stmt);

    if (err == HM_OK) {
        hm_stmt_bind_u64(*out_stmt, 1, id->a);
        hm_stmt_bind_u64(*out_stmt, 2, id->n);
    }
    return err;
}

int hm_redirects_drop(struct hm_store *s, const struct hm_household_id *id)
{
    struct hm_stmt *stmt;
    int err = keyed(s, "DELETE FROM redirect WHERE a = $1 AND n = $2", id, &stmt);

    return err == HM_OK ? hm_stmt_run(stmt) : err;
}

int hm_redirects_keep(struct hm_store *s, const struct hm_household *h)
{
    struct hm_household_id into;
    struct hm_stmt *stmt;
    int err;

    if (!hm_fact_merged_into(h, &into)) {
        return hm_redirects_drop(s, &h->id);
    }
    err = keyed(s,
                "INSERT INTO redirect (a, n, into_a, into_n) VALUES ($1, $2, $3, $4) "
                "ON CONFLICT (a, n) DO UPDATE SET into_a = excluded.into_a, "
                "into_n = excluded.into_n",
                &h->id, &stmt);
    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 3, into.a);
    hm_stmt_bind_u64(stmt, 4, into.n);
    return hm_stmt_run(stmt);
}

static int next(void *arg, const struct hm_household_id *id,
                struct hm_household_id *out_into, bool *out_found)
{
    struct hm_stmt *stmt;
    int err = keyed(arg, "SELECT into_a, into_n FROM redirect WHERE a = $1 AND n = $2",
                    id, &stmt);

    if (err != HM_OK) {
        return err;
    }
    err = hm_stmt_step(stmt, out_found);
    if (err == HM_OK && *out_found) {
        *out_into =
            (struct hm_household_id){hm_stmt_u64(stmt, 0), hm_stmt_u64(stmt, 1)};
    }
    hm_stmt_reset(stmt);
    return err;
}

int hm_redirects_survivor(struct hm_store *s, const struct hm_household_id *id,
                          struct hm_household_id *out_survivor, bool *out_circle)
{
    return hm_redirect_survivor(id, next, s, out_survivor, out_circle);
}

struct parts {
    struct hm_household_id *ids;
    size_t count;
};

static bool has(const struct parts *parts, const struct hm_household_id *id)
{
    for (size_t i = 0; i < parts->count; i++) {
        if (hm_household_id_compare(&parts->ids[i], id) == 0) {
            return true;
        }
    }
    return false;
}

static int add_merged_into(struct hm_store *s, const struct hm_household_id *into,
                           struct parts *parts)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err = keyed(s, "SELECT a, n FROM redirect WHERE into_a = $1 AND into_n = $2",
                    into, &stmt);

    if (err != HM_OK) {
        return err;
    }
    while ((err = hm_stmt_step(stmt, &row)) == HM_OK && row) {
        struct hm_household_id id = {hm_stmt_u64(stmt, 0), hm_stmt_u64(stmt, 1)};

        if (!has(parts, &id) && parts->count <= HM_REDIRECTS_PARTS_MAX) {
            parts->ids[parts->count++] = id;
        }
    }
    hm_stmt_reset(stmt);
    return err;
}

static int compare_ids(const void *a, const void *b)
{
    return hm_household_id_compare(a, b);
}

int hm_redirects_parts(struct hm_store *s, const struct hm_household_id *survivor,
                       struct hm_arena *arena, struct hm_household_id **out_ids,
                       size_t *out_count)
{
    struct parts parts = {
        .ids = hm_arena_array(arena, HM_REDIRECTS_PARTS_MAX + 1, sizeof parts.ids[0])};
    int err = parts.ids == NULL ? HM_NOMEM : HM_OK;

    if (err == HM_OK) {
        parts.ids[parts.count++] = *survivor;
    }
    for (size_t i = 0; i < parts.count && err == HM_OK; i++) {
        err = add_merged_into(s, &parts.ids[i], &parts);
    }
    if (err == HM_OK) {
        qsort(parts.ids + 1, parts.count - 1, sizeof parts.ids[0], compare_ids);
        *out_ids = parts.ids + 1;
        *out_count = parts.count - 1;
    }
    return err;
}
