/* Reading many households: feeds, lists, counts, checks. */
#include "protocol/digest.h"
#include "storage/feeds.h"
#include "storage/households.h"

#define ROW_COLUMNS                                                                    \
    "standing.a, standing.n, standing.home, standing.position, household.state, "      \
    "standing.hash, household.changed_utc_ms, COALESCE(conflict_at.cells, 0), "        \
    "standing.departed "
#define ROW_TABLES                                                                     \
    "FROM standing JOIN household ON household.scope = standing.home "                 \
    "AND household.a = standing.a AND household.n = standing.n "

static int each(struct hm_stmt *stmt, hm_households_fn fn, void *arg)
{
    bool row = false;
    int err;

    while ((err = hm_stmt_step(stmt, &row)) == HM_OK && row) {
        struct hm_household_row found = {
            .id = {hm_stmt_u64(stmt, 0), hm_stmt_u64(stmt, 1)},
            .home = (uint32_t)hm_stmt_int(stmt, 2),
            .position = hm_stmt_u64(stmt, 3),
            .state = hm_stmt_bytes(stmt, 4),
            .hash = hm_stmt_bytes(stmt, 5),
            .changed_utc_ms = hm_stmt_int(stmt, 6),
            .conflicts = hm_stmt_u64(stmt, 7),
            .departed = hm_stmt_int(stmt, 8) != 0,
        };

        err = fn(arg, &found);
        if (err != HM_OK) {
            break;
        }
    }
    hm_stmt_reset(stmt);
    return err;
}

#define ROW_CONFLICTS                                                                  \
    "JOIN conflict_at ON conflict_at.scope = standing.home "                           \
    "AND conflict_at.a = standing.a AND conflict_at.n = standing.n "

static int each_after(struct hm_store *s, const char *sql, uint32_t scope,
                      uint64_t after, hm_households_fn fn, void *arg)
{
    struct hm_stmt *stmt;
    int err = hm_db_stmt(hm_store_db(s), sql, &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_int(stmt, 1, scope);
    hm_stmt_bind_u64(stmt, 2, after);
    return each(stmt, fn, arg);
}

int hm_households_each(struct hm_store *s, uint32_t scope, uint64_t after,
                       hm_households_fn fn, void *arg)
{
    return each_after(s,
                      "SELECT " ROW_COLUMNS ROW_TABLES "LEFT " ROW_CONFLICTS
                      "WHERE standing.scope = $1 AND standing.position > $2 "
                      "AND standing.departed = 0 ORDER BY standing.position",
                      scope, after, fn, arg);
}

int hm_households_each_fed(struct hm_store *s, uint32_t scope, uint64_t after,
                           hm_households_fn fn, void *arg)
{
    return each_after(s,
                      "SELECT " ROW_COLUMNS ROW_TABLES "LEFT " ROW_CONFLICTS
                      "WHERE standing.scope = $1 AND standing.position > $2 "
                      "ORDER BY standing.position",
                      scope, after, fn, arg);
}

int hm_households_each_departed(struct hm_store *s, uint32_t scope, hm_households_fn fn,
                                void *arg)
{
    return each_after(s,
                      "SELECT " ROW_COLUMNS ROW_TABLES "LEFT " ROW_CONFLICTS
                      "WHERE standing.scope = $1 AND standing.position > $2 "
                      "AND standing.departed = 1 ORDER BY standing.position DESC",
                      scope, 0, fn, arg);
}

int hm_households_each_conflict_after(struct hm_store *s, uint32_t scope,
                                      uint64_t after, hm_households_fn fn, void *arg)
{
    return each_after(s,
                      "SELECT " ROW_COLUMNS ROW_TABLES ROW_CONFLICTS
                      "WHERE standing.scope = $1 AND standing.position > $2 "
                      "AND standing.departed = 0 ORDER BY standing.position",
                      scope, after, fn, arg);
}

int hm_households_each_conflict(struct hm_store *s, uint32_t scope, hm_households_fn fn,
                                void *arg)
{
    return hm_households_each_conflict_after(s, scope, 0, fn, arg);
}

int hm_households_scopes(struct hm_store *s, struct hm_arena *arena,
                         uint32_t **out_scopes, size_t *out_count)
{
    struct hm_stmt *stmt;
    uint32_t *scopes = NULL;
    size_t count = 0;
    size_t room = 0;
    bool row = false;
    int err = hm_db_stmt(hm_store_db(s),
                         "SELECT scope FROM feed WHERE scope > 0 AND households > 0 "
                         "ORDER BY scope",
                         &stmt);

    if (err != HM_OK) {
        return err;
    }
    while ((err = hm_stmt_step(stmt, &row)) == HM_OK && row) {
        if (count == room) {
            room = 2 * room + 16;
            scopes = hm_arena_grow(arena, scopes, count, room, sizeof *scopes);
            if (scopes == NULL) {
                err = HM_NOMEM;
                break;
            }
        }
        scopes[count++] = (uint32_t)hm_stmt_int(stmt, 0);
    }
    hm_stmt_reset(stmt);
    if (err == HM_OK) {
        *out_scopes = scopes;
        *out_count = count;
    }
    return err;
}

int hm_households_prefixes(struct hm_store *s, uint32_t scope, struct hm_buf *buf)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err = hm_db_stmt(hm_store_db(s),
                         "SELECT hash FROM standing WHERE scope = $1 AND departed = 0 "
                         "ORDER BY hash",
                         &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_int(stmt, 1, scope);
    while ((err = hm_stmt_step(stmt, &row)) == HM_OK && row) {
        struct hm_bytes hash = hm_stmt_bytes(stmt, 0);

        if (hash.len != HM_HASH_BYTES) {
            err = HM_CORRUPT;
            break;
        }
        hm_buf_append(buf, hm_bytes_of(hash.data, HM_HASH_PREFIX_BYTES));
    }
    hm_stmt_reset(stmt);
    return err == HM_OK ? buf->err : err;
}

int hm_households_count(struct hm_store *s, struct hm_households_count *out)
{
    int64_t households = 0;
    int64_t conflicts = 0;
    int err = hm_db_query_int(hm_store_db(s), "SELECT COUNT(*) FROM home", &households);

    if (err == HM_OK) {
        err = hm_db_query_int(hm_store_db(s),
                              "SELECT COALESCE(SUM(cells), 0) FROM conflict_at",
                              &conflicts);
    }
    if (err == HM_OK) {
        out->households = (uint64_t)households;
        out->conflicts = (uint64_t)conflicts;
    }
    return err;
}

struct recompute {
    struct hm_hash digest;
    uint64_t households;
};

static int add_checked(void *arg, const struct hm_household_row *row)
{
    struct recompute *sum = arg;
    struct hm_hash hash = hm_household_hash(row->state);

    if (!hm_bytes_equal(row->hash, hm_hash_bytes(&hash))) {
        return HM_CORRUPT;
    }
    hm_digest_add(&sum->digest, &hash);
    sum->households++;
    return HM_OK;
}

int hm_households_recompute(struct hm_store *s, uint32_t scope,
                            struct hm_hash *out_digest, uint64_t *out_households)
{
    struct recompute sum = {0};
    int err = hm_households_each(s, scope, 0, add_checked, &sum);

    if (err == HM_OK) {
        *out_digest = sum.digest;
        *out_households = sum.households;
    }
    return err;
}
