#include "storage/households.h"

#include "protocol/digest.h"
#include "storage/feeds.h"

enum { SCOPE_BYTES = 4, DROP_ARENA_BYTES = 1024 * 1024 };

int hm_households_home(struct hm_store *s, const struct hm_household_id *id,
                       uint32_t *out_home)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err = hm_db_stmt(hm_store_db(s),
                         "SELECT scope FROM home WHERE a = $1 AND n = $2", &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, id->a);
    hm_stmt_bind_u64(stmt, 2, id->n);
    err = hm_stmt_step(stmt, &row);
    if (err == HM_OK && !row) {
        err = HM_NOTFOUND;
    }
    if (err == HM_OK) {
        *out_home = (uint32_t)hm_stmt_int(stmt, 0);
    }
    hm_stmt_reset(stmt);
    return err;
}

/* SCOPE, A, N as $1, $2, $3: the key of most statements here. */
static int keyed(struct hm_store *s, const char *sql, uint32_t scope,
                 const struct hm_household_id *id, struct hm_stmt **out_stmt)
{
    int err = hm_db_stmt(hm_store_db(s), sql, out_stmt);

    if (err == HM_OK) {
        hm_stmt_bind_int(*out_stmt, 1, scope);
        hm_stmt_bind_u64(*out_stmt, 2, id->a);
        hm_stmt_bind_u64(*out_stmt, 3, id->n);
    }
    return err;
}

static int run_keyed(struct hm_store *s, const char *sql, uint32_t scope,
                     const struct hm_household_id *id)
{
    struct hm_stmt *stmt;
    int err = keyed(s, sql, scope, id, &stmt);

    return err == HM_OK ? hm_stmt_run(stmt) : err;
}

int hm_households_load(struct hm_store *s, const struct hm_household_id *id,
                       struct hm_arena *arena, struct hm_household *out)
{
    struct hm_stmt *stmt;
    bool row = false;
    uint32_t home = 0;
    int err = hm_households_home(s, id, &home);

    if (err == HM_OK) {
        err = keyed(
            s, "SELECT state FROM household WHERE scope = $1 AND a = $2 AND n = $3",
            home, id, &stmt);
    }
    if (err != HM_OK) {
        return err;
    }
    err = hm_stmt_step(stmt, &row);
    if (err != HM_OK) {
        return err; /* nothing was read, so nothing is known to be damaged */
    }
    err = row ? hm_household_decode(hm_stmt_bytes(stmt, 0), arena, out) : HM_CORRUPT;
    hm_stmt_reset(stmt);
    if (err == HM_OK || err == HM_NOMEM) {
        return err;
    }
    return hm_store_fail(s, HM_CORRUPT, "a household's stored state is damaged");
}

int hm_households_load_or_new(struct hm_store *s, const struct hm_household_id *id,
                              struct hm_arena *arena, struct hm_household *out,
                              bool *out_found)
{
    int err = hm_households_load(s, id, arena, out);

    *out_found = err == HM_OK;
    if (err == HM_NOTFOUND) {
        hm_household_init(out, id, arena);
        err = HM_OK;
    }
    return err;
}

static int insert_state(struct hm_store *s, const struct hm_household *h,
                        struct hm_bytes state, const struct hm_hash *hash)
{
    struct hm_stmt *stmt;
    int err =
        keyed(s,
              "INSERT INTO household (scope, a, n, state, hash, changed_utc_ms) "
              "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (scope, a, n) DO UPDATE "
              "SET state = excluded.state, hash = excluded.hash, "
              "changed_utc_ms = excluded.changed_utc_ms",
              h->home, &h->id, &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_bytes(stmt, 4, state);
    hm_stmt_bind_bytes(stmt, 5, hm_hash_bytes(hash));
    hm_stmt_bind_int(stmt, 6, hm_store_utc_ms(s));
    return hm_stmt_run(stmt);
}

/* A household seen before its creating change may turn out to live elsewhere. */
static int settle_home(struct hm_store *s, const struct hm_household *h)
{
    struct hm_stmt *stmt;
    uint32_t old = 0;
    int err = hm_households_home(s, &h->id, &old);

    if (err == HM_NOTFOUND || (err == HM_OK && old == h->home)) {
        return HM_OK;
    }
    if (err == HM_OK) {
        err =
            run_keyed(s, "DELETE FROM household WHERE scope = $1 AND a = $2 AND n = $3",
                      old, &h->id);
    }
    if (err == HM_OK) {
        err = run_keyed(
            s, "DELETE FROM conflict_at WHERE scope = $1 AND a = $2 AND n = $3", old,
            &h->id);
    }
    if (err == HM_OK) {
        err = keyed(s,
                    "UPDATE history SET scope = $4 "
                    "WHERE scope = $1 AND a = $2 AND n = $3",
                    old, &h->id, &stmt);
    }
    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_int(stmt, 4, h->home);
    return hm_stmt_run(stmt);
}

struct standing {
    bool found;
    struct hm_hash hash;
};

static int load_standing(struct hm_store *s, uint32_t scope,
                         const struct hm_household_id *id, struct standing *out)
{
    struct hm_stmt *stmt;
    int err =
        keyed(s, "SELECT hash FROM standing WHERE scope = $1 AND a = $2 AND n = $3",
              scope, id, &stmt);

    if (err != HM_OK) {
        return err;
    }
    err = hm_stmt_step(stmt, &out->found);
    if (err == HM_OK && out->found) {
        struct hm_bytes hash = hm_stmt_bytes(stmt, 0);

        if (hash.len == HM_HASH_BYTES) {
            memcpy(out->hash.bytes, hash.data, HM_HASH_BYTES);
        } else {
            err = HM_CORRUPT;
        }
    }
    hm_stmt_reset(stmt);
    return err;
}

static int stand(struct hm_store *s, uint32_t scope, const struct hm_household *h,
                 const struct hm_hash *hash)
{
    struct standing old = {0};
    struct hm_stmt *stmt;
    uint64_t position = 0;
    int err = load_standing(s, scope, &h->id, &old);

    if (err == HM_OK) {
        err = hm_feeds_advance(s, scope, &position);
    }
    if (err == HM_OK) {
        err =
            keyed(s,
                  "INSERT INTO standing (scope, a, n, home, position, hash) "
                  "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (scope, a, n) DO UPDATE "
                  "SET home = excluded.home, position = excluded.position, "
                  "hash = excluded.hash",
                  scope, &h->id, &stmt);
    }
    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_int(stmt, 4, h->home);
    hm_stmt_bind_u64(stmt, 5, position);
    hm_stmt_bind_bytes(stmt, 6, hm_hash_bytes(hash));
    err = hm_stmt_run(stmt);
    if (err == HM_OK && !old.found) {
        err = run_keyed(s, "DELETE FROM left_at WHERE scope = $1 AND a = $2 AND n = $3",
                        scope, &h->id);
    }
    if (err == HM_OK) {
        err = hm_feeds_adjust(s, scope, old.found ? &old.hash : NULL, hash);
    }
    return err;
}

static int leave(struct hm_store *s, uint32_t scope, const struct hm_household_id *id)
{
    struct standing old = {0};
    int err = load_standing(s, scope, id, &old);

    if (err != HM_OK || !old.found) {
        return err;
    }
    err = run_keyed(s, "DELETE FROM standing WHERE scope = $1 AND a = $2 AND n = $3",
                    scope, id);
    return err == HM_OK ? hm_feeds_adjust(s, scope, &old.hash, NULL) : err;
}

/* Who follows the feed of a scope is told that the household has left it. */
static int note_left(struct hm_store *s, uint32_t scope,
                     const struct hm_household_id *id)
{
    struct hm_stmt *stmt;
    uint64_t position = 0;
    int err = hm_feeds_advance(s, scope, &position);

    if (err == HM_OK) {
        err = keyed(s,
                    "INSERT INTO left_at (scope, a, n, position) "
                    "VALUES ($1, $2, $3, $4) ON CONFLICT (scope, a, n) DO UPDATE "
                    "SET position = excluded.position",
                    scope, id, &stmt);
    }
    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 4, position);
    return hm_stmt_run(stmt);
}

int hm_households_has_left(struct hm_store *s, uint32_t scope,
                           const struct hm_household_id *id, bool *out_left)
{
    struct hm_stmt *stmt;
    int err = keyed(s, "SELECT 1 FROM left_at WHERE scope = $1 AND a = $2 AND n = $3",
                    scope, id, &stmt);

    if (err != HM_OK) {
        return err;
    }
    err = hm_stmt_step(stmt, out_left);
    hm_stmt_reset(stmt);
    return err;
}

/* The scopes in which a household stands now, in arena. */
static int standing_scopes(struct hm_store *s, const struct hm_household_id *id,
                           struct hm_arena *arena, uint32_t **out, size_t *out_count)
{
    struct hm_reader r = {0};
    struct hm_stmt *stmt;
    uint32_t *scopes;
    bool row = false;
    int err = hm_db_stmt(hm_store_db(s),
                         "SELECT scopes FROM home WHERE a = $1 AND n = $2", &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, id->a);
    hm_stmt_bind_u64(stmt, 2, id->n);
    err = hm_stmt_step(stmt, &row);
    if (err == HM_OK && row) {
        r.left = hm_stmt_bytes(stmt, 0);
    }
    *out_count = r.left.len / SCOPE_BYTES;
    scopes = hm_arena_array(arena, *out_count, sizeof *scopes);
    for (size_t i = 0; scopes != NULL && i < *out_count; i++) {
        scopes[i] = (uint32_t)hm_reader_uint(&r, SCOPE_BYTES);
    }
    hm_stmt_reset(stmt);
    *out = scopes;
    return scopes == NULL ? HM_NOMEM : err;
}

static int keep_scopes(struct hm_store *s, const struct hm_household_id *id,
                       uint32_t home, const uint32_t *scopes, size_t count)
{
    struct hm_stmt *stmt;
    struct hm_buf buf;
    int err = keyed(s,
                    "INSERT INTO home (scope, a, n, scopes) VALUES ($1, $2, $3, $4) "
                    "ON CONFLICT (a, n) DO UPDATE SET scope = excluded.scope, "
                    "scopes = excluded.scopes",
                    home, id, &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_buf_init(&buf, SCOPE_BYTES * (count + 1));
    for (size_t i = 0; i < count; i++) {
        hm_buf_append_uint(&buf, scopes[i], SCOPE_BYTES);
    }
    err = buf.err;
    if (err == HM_OK) {
        hm_stmt_bind_bytes(stmt, 4, hm_buf_bytes(&buf));
        err = hm_stmt_run(stmt);
    }
    hm_buf_deinit(&buf);
    return err;
}

static bool contains(const uint32_t *scopes, size_t count, uint32_t scope)
{
    for (size_t i = 0; i < count; i++) {
        if (scopes[i] == scope) {
            return true;
        }
    }
    return false;
}

static int place(struct hm_store *s, const struct hm_household *h,
                 const struct hm_hash *hash)
{
    uint32_t *before = NULL;
    uint32_t *after = NULL;
    size_t before_count = 0;
    size_t after_count = 0;
    int err = standing_scopes(s, &h->id, h->arena, &before, &before_count);

    if (err == HM_OK) {
        err = hm_household_scopes(h, &after, &after_count);
    }
    for (size_t i = 0; i < before_count && err == HM_OK; i++) {
        if (!contains(after, after_count, before[i])) {
            err = leave(s, before[i], &h->id);
            if (err == HM_OK) {
                err = note_left(s, before[i], &h->id);
            }
        }
    }
    for (size_t i = 0; i < after_count && err == HM_OK; i++) {
        err = stand(s, after[i], h, hash);
    }
    return err == HM_OK ? keep_scopes(s, &h->id, h->home, after, after_count) : err;
}

int hm_households_position(struct hm_store *s, uint32_t scope,
                           const struct hm_household_id *id, uint64_t *out_position)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err = keyed(s,
                    "SELECT position FROM standing "
                    "WHERE scope = $1 AND a = $2 AND n = $3",
                    scope, id, &stmt);

    if (err != HM_OK) {
        return err;
    }
    err = hm_stmt_step(stmt, &row);
    if (err == HM_OK) {
        *out_position = row ? hm_stmt_u64(stmt, 0) : 0;
    }
    hm_stmt_reset(stmt);
    return err;
}

/* Forget one household: its state, its counts, its place in every feed. */
static int drop(struct hm_store *s, const struct hm_household_id *id,
                const uint32_t *scopes, size_t count)
{
    uint32_t home = 0;
    int err = hm_households_home(s, id, &home);

    for (size_t i = 0; i < count && err == HM_OK; i++) {
        err = leave(s, scopes[i], id);
    }
    if (err == HM_OK) {
        err =
            run_keyed(s, "DELETE FROM household WHERE scope = $1 AND a = $2 AND n = $3",
                      home, id);
    }
    if (err == HM_OK) {
        err = run_keyed(
            s, "DELETE FROM conflict_at WHERE scope = $1 AND a = $2 AND n = $3", home,
            id);
    }
    if (err == HM_OK) {
        err = run_keyed(s, "DELETE FROM home WHERE scope = $1 AND a = $2 AND n = $3",
                        home, id);
    }
    return err;
}

/* The household of a scope behind position that stands in none of the held ones; its
 * scopes in arena. *position moves on; 0 when there is none. */
static int next_unheld(struct hm_store *s, uint32_t scope, const uint32_t *held,
                       size_t held_count, struct hm_arena *arena, uint64_t *position,
                       struct hm_household_id *out_id, uint32_t **out_scopes,
                       size_t *out_count)
{
    for (;;) {
        struct hm_stmt *stmt;
        bool stays = false;
        bool row = false;
        int err = hm_db_stmt(hm_store_db(s),
                             "SELECT a, n, position FROM standing WHERE scope = $1 "
                             "AND position > $2 ORDER BY position LIMIT 1",
                             &stmt);

        if (err != HM_OK) {
            return err;
        }
        hm_stmt_bind_int(stmt, 1, scope);
        hm_stmt_bind_u64(stmt, 2, *position);
        err = hm_stmt_step(stmt, &row);
        if (err == HM_OK && row) {
            *out_id =
                (struct hm_household_id){hm_stmt_u64(stmt, 0), hm_stmt_u64(stmt, 1)};
            *position = hm_stmt_u64(stmt, 2);
        }
        hm_stmt_reset(stmt);
        if (err != HM_OK || !row) {
            *position = 0;
            return err;
        }
        err = standing_scopes(s, out_id, arena, out_scopes, out_count);
        for (size_t i = 0; err == HM_OK && i < *out_count; i++) {
            stays = stays || contains(held, held_count, (*out_scopes)[i]);
        }
        if (err != HM_OK || !stays) {
            return err;
        }
    }
}

int hm_households_count_unheld(struct hm_store *s, uint32_t scope, const uint32_t *held,
                               size_t held_count, uint64_t *out_count)
{
    uint64_t position = 0;
    uint64_t count = 0;
    int err = HM_OK;

    do {
        struct hm_household_id id;
        uint32_t *scopes = NULL;
        size_t scope_count = 0;
        struct hm_arena arena;

        hm_arena_init(&arena, DROP_ARENA_BYTES);
        err = next_unheld(s, scope, held, held_count, &arena, &position, &id, &scopes,
                          &scope_count);
        hm_arena_deinit(&arena);
        count += err == HM_OK && position != 0;
    } while (err == HM_OK && position != 0);
    if (err == HM_OK) {
        *out_count = count;
    }
    return err;
}

int hm_households_drop_scope(struct hm_store *s, uint32_t scope, const uint32_t *held,
                             size_t held_count)
{
    uint64_t position = 0;
    int err = HM_OK;

    do {
        struct hm_household_id id;
        uint32_t *scopes = NULL;
        size_t count = 0;
        struct hm_arena arena;

        hm_arena_init(&arena, DROP_ARENA_BYTES);
        err = next_unheld(s, scope, held, held_count, &arena, &position, &id, &scopes,
                          &count);
        if (err == HM_OK && position != 0) {
            err = drop(s, &id, scopes, count);
        }
        hm_arena_deinit(&arena);
    } while (err == HM_OK && position != 0);
    return err;
}

static int count_conflicts(struct hm_store *s, const struct hm_household *h,
                           hm_policy_of_fn policy_of, void *policy_arg)
{
    struct hm_policy_conflict *conflicts;
    struct hm_stmt *stmt;
    size_t count = 0;
    int err =
        hm_policy_conflicts(h, policy_of, policy_arg, h->arena, &conflicts, &count);

    if (err != HM_OK) {
        return err;
    }
    if (count == 0) {
        return run_keyed(
            s, "DELETE FROM conflict_at WHERE scope = $1 AND a = $2 AND n = $3",
            h->home, &h->id);
    }
    err = keyed(s,
                "INSERT INTO conflict_at (scope, a, n, cells) VALUES ($1, $2, $3, $4) "
                "ON CONFLICT (scope, a, n) DO UPDATE SET cells = excluded.cells",
                h->home, &h->id, &stmt);
    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_int(stmt, 4, (int64_t)count);
    return hm_stmt_run(stmt);
}

static int is_kept(struct hm_store *s, const struct hm_household *h,
                   const struct hm_hash *hash, bool *out_same)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err =
        keyed(s, "SELECT hash FROM household WHERE scope = $1 AND a = $2 AND n = $3",
              h->home, &h->id, &stmt);

    if (err != HM_OK) {
        return err;
    }
    err = hm_stmt_step(stmt, &row);
    *out_same = err == HM_OK && row &&
                hm_bytes_equal(hm_stmt_bytes(stmt, 0), hm_hash_bytes(hash));
    hm_stmt_reset(stmt);
    return err;
}

int hm_households_store(struct hm_store *s, const struct hm_household *h,
                        hm_policy_of_fn policy_of, void *policy_arg)
{
    struct hm_hash hash;
    struct hm_buf state;
    bool same = false;
    int err;

    hm_buf_init(&state, 2 * HM_HOUSEHOLD_BYTES_MAX);
    hm_household_encode(h, &state);
    err = state.err;
    if (err == HM_OK) {
        hash = hm_household_hash(hm_buf_bytes(&state));
        err = is_kept(s, h, &hash, &same);
    }
    if (err == HM_OK && !same) {
        err = settle_home(s, h);
        if (err == HM_OK) {
            err = insert_state(s, h, hm_buf_bytes(&state), &hash);
        }
        if (err == HM_OK) {
            err = place(s, h, &hash);
        }
        if (err == HM_OK) {
            err = count_conflicts(s, h, policy_of, policy_arg);
        }
    }
    hm_buf_deinit(&state);
    return err;
}

struct recount {
    struct hm_store *s;
    hm_policy_of_fn policy_of;
    void *policy_arg;
};

static int recount_one(void *arg, const struct hm_household_row *row)
{
    struct recount *recount = arg;
    struct hm_household h;
    struct hm_arena arena;
    int err;

    hm_arena_init(&arena, HM_HOUSEHOLD_ARENA_BYTES_MAX);
    err = hm_household_decode(row->state, &arena, &h);
    if (err == HM_OK) {
        err = count_conflicts(recount->s, &h, recount->policy_of, recount->policy_arg);
    }
    hm_arena_deinit(&arena);
    return err;
}

int hm_households_recount(struct hm_store *s, hm_policy_of_fn policy_of,
                          void *policy_arg)
{
    struct recount recount = {s, policy_of, policy_arg};
    struct hm_arena arena;
    uint32_t *scopes = NULL;
    size_t count = 0;
    int err;

    hm_arena_init(&arena, 16 * 1024 * 1024);
    err = hm_households_scopes(s, &arena, &scopes, &count);
    for (size_t i = 0; i < count && err == HM_OK; i++) {
        err = hm_households_each(s, scopes[i], 0, recount_one, &recount);
    }
    hm_arena_deinit(&arena);
    return err;
}
