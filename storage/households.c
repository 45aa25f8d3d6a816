#include "storage/households.h"

#include "protocol/digest.h"
#include "storage/feeds.h"
#include "storage/likeness.h"
#include "storage/redirects.h"

enum { SCOPE_BYTES = 4, PLACES_BYTES_MAX = 1024 * 1024 };

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
static int settle_home(struct hm_store *s, const struct hm_household *h,
                       bool *out_guessed)
{
    struct hm_stmt *stmt;
    uint32_t old = 0;
    int err = hm_households_home(s, &h->id, &old);

    *out_guessed = err == HM_OK && old != h->home;
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
    bool found;    /* it counts in the scope's digest */
    bool departed; /* it did once */
    struct hm_hash hash;
};

static int load_standing(struct hm_store *s, uint32_t scope,
                         const struct hm_household_id *id, struct standing *out)
{
    struct hm_stmt *stmt;
    int err = keyed(s,
                    "SELECT hash, departed FROM standing "
                    "WHERE scope = $1 AND a = $2 AND n = $3",
                    scope, id, &stmt);
    bool row = false;

    if (err != HM_OK) {
        return err;
    }
    err = hm_stmt_step(stmt, &row);
    *out = (struct standing){.found = false};
    if (err == HM_OK && row) {
        struct hm_bytes hash = hm_stmt_bytes(stmt, 0);

        out->departed = hm_stmt_int(stmt, 1) != 0;
        out->found = !out->departed;

        if (hash.len == HM_HASH_BYTES) {
            memcpy(out->hash.bytes, hash.data, HM_HASH_BYTES);
        } else {
            err = HM_CORRUPT;
        }
    }
    hm_stmt_reset(stmt);
    return err;
}

static int put_standing(struct hm_store *s, uint32_t scope,
                        const struct hm_household_id *id, uint32_t home,
                        const struct hm_hash *hash, bool departed)
{
    struct hm_stmt *stmt;
    uint64_t position = 0;
    int err = hm_feeds_advance(s, scope, &position);

    if (err == HM_OK) {
        err =
            keyed(s,
                  "INSERT INTO standing (scope, a, n, home, position, hash, departed) "
                  "VALUES ($1, $2, $3, $4, $5, $6, $7) "
                  "ON CONFLICT (scope, a, n) DO UPDATE "
                  "SET home = excluded.home, position = excluded.position, "
                  "hash = excluded.hash, departed = excluded.departed",
                  scope, id, &stmt);
    }
    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_int(stmt, 4, home);
    hm_stmt_bind_u64(stmt, 5, position);
    hm_stmt_bind_bytes(stmt, 6, hm_hash_bytes(hash));
    hm_stmt_bind_int(stmt, 7, departed ? 1 : 0);
    return hm_stmt_run(stmt);
}

static int stand(struct hm_store *s, uint32_t scope, const struct hm_household *h,
                 const struct hm_hash *hash)
{
    struct standing old = {0};
    int err = load_standing(s, scope, &h->id, &old);

    if (err == HM_OK) {
        err = put_standing(s, scope, &h->id, h->home, hash, false);
    }
    return err == HM_OK ? hm_feeds_adjust(s, scope, old.found ? &old.hash : NULL, hash)
                        : err;
}

/* It lives elsewhere now, as this scope's feed will tell. */
static int depart(struct hm_store *s, uint32_t scope, const struct hm_household *h,
                  const struct hm_hash *hash)
{
    struct standing old = {0};
    int err = load_standing(s, scope, &h->id, &old);

    if (err == HM_OK) {
        err = put_standing(s, scope, &h->id, h->home, hash, true);
    }
    return err == HM_OK && old.found ? hm_feeds_adjust(s, scope, &old.hash, NULL) : err;
}

static int leave(struct hm_store *s, uint32_t scope, const struct hm_household_id *id)
{
    struct standing old = {0};
    int err = load_standing(s, scope, id, &old);

    if (err != HM_OK || (!old.found && !old.departed)) {
        return err;
    }
    err = run_keyed(s, "DELETE FROM standing WHERE scope = $1 AND a = $2 AND n = $3",
                    scope, id);
    return err == HM_OK && old.found ? hm_feeds_adjust(s, scope, &old.hash, NULL) : err;
}

int hm_households_departed(struct hm_store *s, uint32_t scope,
                           const struct hm_household_id *id, bool *out_departed)
{
    struct standing standing = {0};
    int err = load_standing(s, scope, id, &standing);

    if (err == HM_OK) {
        *out_departed = standing.departed;
    }
    return err;
}

int hm_households_tell_departed(struct hm_store *s, uint32_t scope,
                                const struct hm_household_id *id)
{
    struct standing standing = {0};
    uint32_t home = 0;
    int err = load_standing(s, scope, id, &standing);

    if (err == HM_OK && standing.departed) {
        err = hm_households_home(s, id, &home);
        if (err == HM_OK) {
            err = put_standing(s, scope, id, home, &standing.hash, true);
        }
    }
    return err;
}

struct scopes {
    uint32_t *scopes;
    size_t count;
};

/* Where a household stands, and where it stood before it moved. In arena. */
struct places {
    struct scopes live;
    struct scopes departed;
};

static int read_scopes(struct hm_bytes bytes, struct hm_arena *arena,
                       struct scopes *out)
{
    struct hm_reader r = {.left = bytes};

    out->count = bytes.len / SCOPE_BYTES;
    out->scopes = hm_arena_array(arena, out->count, sizeof out->scopes[0]);
    if (out->scopes == NULL) {
        return HM_NOMEM;
    }
    for (size_t i = 0; i < out->count; i++) {
        out->scopes[i] = (uint32_t)hm_reader_uint(&r, SCOPE_BYTES);
    }
    return HM_OK;
}

static int load_places(struct hm_store *s, const struct hm_household_id *id,
                       struct hm_arena *arena, struct places *out)
{
    struct hm_bytes live = {0};
    struct hm_bytes departed = {0};
    struct hm_stmt *stmt;
    bool row = false;
    int err =
        hm_db_stmt(hm_store_db(s),
                   "SELECT scopes, departed FROM home WHERE a = $1 AND n = $2", &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, id->a);
    hm_stmt_bind_u64(stmt, 2, id->n);
    err = hm_stmt_step(stmt, &row);
    if (err == HM_OK && row) {
        live = hm_stmt_bytes(stmt, 0);
        departed = hm_stmt_bytes(stmt, 1);
    }
    if (err == HM_OK) {
        err = read_scopes(live, arena, &out->live);
    }
    if (err == HM_OK) {
        err = read_scopes(departed, arena, &out->departed);
    }
    hm_stmt_reset(stmt);
    return err;
}

static void bind_scopes(struct hm_stmt *stmt, unsigned at, const struct scopes *scopes,
                        struct hm_buf *buf)
{
    hm_buf_clear(buf);
    for (size_t i = 0; i < scopes->count; i++) {
        hm_buf_append_uint(buf, scopes->scopes[i], SCOPE_BYTES);
    }
    if (buf->err == HM_OK) {
        hm_stmt_bind_bytes(stmt, at, hm_buf_bytes(buf));
    }
}

static int keep_places(struct hm_store *s, const struct hm_household_id *id,
                       uint32_t home, const struct places *places)
{
    struct hm_stmt *stmt;
    struct hm_buf live;
    struct hm_buf departed;
    int err = keyed(s,
                    "INSERT INTO home (scope, a, n, scopes, departed) "
                    "VALUES ($1, $2, $3, $4, $5) "
                    "ON CONFLICT (a, n) DO UPDATE SET scope = excluded.scope, "
                    "scopes = excluded.scopes, departed = excluded.departed",
                    home, id, &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_buf_init(&live, SCOPE_BYTES * (places->live.count + 1));
    hm_buf_init(&departed, SCOPE_BYTES * (places->departed.count + 1));
    bind_scopes(stmt, 4, &places->live, &live);
    bind_scopes(stmt, 5, &places->departed, &departed);
    err = live.err != HM_OK ? live.err : departed.err;
    if (err == HM_OK) {
        err = hm_stmt_run(stmt);
    }
    hm_buf_deinit(&departed);
    hm_buf_deinit(&live);
    return err;
}

static bool contains(const struct scopes *scopes, uint32_t scope)
{
    for (size_t i = 0; i < scopes->count; i++) {
        if (scopes->scopes[i] == scope) {
            return true;
        }
    }
    return false;
}

/* Scopes of from that are not in but are added to out, which has room. */
static void add_others(struct scopes *out, const struct scopes *from,
                       const struct scopes *but)
{
    for (size_t i = 0; i < from->count; i++) {
        if (!contains(but, from->scopes[i]) && !contains(out, from->scopes[i])) {
            out->scopes[out->count++] = from->scopes[i];
        }
    }
}

/* Leaves what was left. Where it lived was a guess until its creating change came: that
 * is forgotten when it turns out to be wrong. */
static int move_out(struct hm_store *s, const struct hm_household *h,
                    const struct hm_hash *hash, bool guessed,
                    const struct places *before, const struct places *after)
{
    int err = HM_OK;

    for (size_t i = 0; i < before->live.count && err == HM_OK; i++) {
        if (!contains(&after->live, before->live.scopes[i])) {
            err = guessed ? leave(s, before->live.scopes[i], &h->id)
                          : depart(s, before->live.scopes[i], h, hash);
        }
    }
    for (size_t i = 0; guessed && i < before->departed.count && err == HM_OK; i++) {
        if (!contains(&after->live, before->departed.scopes[i])) {
            err = leave(s, before->departed.scopes[i], &h->id);
        }
    }
    return err;
}

static int place(struct hm_store *s, const struct hm_household *h,
                 const struct hm_hash *hash, bool guessed)
{
    struct places before = {0};
    struct places after = {0};
    int err = load_places(s, &h->id, h->arena, &before);

    if (err == HM_OK) {
        err = hm_household_scopes(h, &after.live.scopes, &after.live.count);
    }
    if (err == HM_OK) {
        after.departed.scopes =
            hm_arena_array(h->arena, before.live.count + before.departed.count,
                           sizeof after.departed.scopes[0]);
        err = after.departed.scopes == NULL ? HM_NOMEM : HM_OK;
    }
    if (err == HM_OK) {
        err = move_out(s, h, hash, guessed, &before, &after);
    }
    if (err == HM_OK && !guessed) {
        add_others(&after.departed, &before.departed, &after.live);
        add_others(&after.departed, &before.live, &after.live);
    }
    for (size_t i = 0; i < after.live.count && err == HM_OK; i++) {
        err = stand(s, after.live.scopes[i], h, hash);
    }
    return err == HM_OK ? keep_places(s, &h->id, h->home, &after) : err;
}

int hm_households_position(struct hm_store *s, uint32_t scope,
                           const struct hm_household_id *id, uint64_t *out_position)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err = keyed(s,
                    "SELECT position FROM standing "
                    "WHERE scope = $1 AND a = $2 AND n = $3 AND departed = 0",
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

/* The state and all that is derived of it, but not its places in feeds. */
static int erase(struct hm_store *s, uint32_t home, const struct hm_household_id *id)
{
    int err = run_keyed(
        s, "DELETE FROM household WHERE scope = $1 AND a = $2 AND n = $3", home, id);

    if (err == HM_OK) {
        err = run_keyed(
            s, "DELETE FROM conflict_at WHERE scope = $1 AND a = $2 AND n = $3", home,
            id);
    }
    if (err == HM_OK) {
        err = run_keyed(s, "DELETE FROM home WHERE scope = $1 AND a = $2 AND n = $3",
                        home, id);
    }
    if (err == HM_OK) {
        err = hm_redirects_drop(s, id);
    }
    if (err == HM_OK) {
        err = hm_likeness_drop(s, id);
    }
    return err;
}

int hm_households_forget(struct hm_store *s, const struct hm_household_id *id)
{
    struct hm_arena arena;
    struct places places = {0};
    uint32_t home = 0;
    int err = hm_households_home(s, id, &home);

    if (err != HM_OK) {
        return err == HM_NOTFOUND ? HM_OK : err;
    }
    hm_arena_init(&arena, PLACES_BYTES_MAX);
    err = load_places(s, id, &arena, &places);
    for (size_t i = 0; i < places.live.count && err == HM_OK; i++) {
        err = leave(s, places.live.scopes[i], id);
    }
    for (size_t i = 0; i < places.departed.count && err == HM_OK; i++) {
        err = leave(s, places.departed.scopes[i], id);
    }
    hm_arena_deinit(&arena);
    return err == HM_OK ? erase(s, home, id) : err;
}

/* The scopes that a node is assigned. */
struct held {
    const uint32_t *scopes;
    size_t count;
};

static bool holds_any(const struct held *held, const struct scopes *of)
{
    for (size_t i = 0; i < held->count; i++) {
        if (contains(of, held->scopes[i])) {
            return true;
        }
    }
    return false;
}

/* The household behind *position in a scope's feed that has no place in a held scope.
 * *position moves on; 0 when there is none. */
static int next_unheld(struct hm_store *s, uint32_t scope, const struct held *held,
                       uint64_t *position, struct hm_household_id *out_id)
{
    for (;;) {
        struct places places = {0};
        struct hm_arena arena;
        struct hm_stmt *stmt;
        bool stays;
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
        hm_arena_init(&arena, PLACES_BYTES_MAX);
        err = load_places(s, out_id, &arena, &places);
        stays = err == HM_OK &&
                (holds_any(held, &places.live) || holds_any(held, &places.departed));
        hm_arena_deinit(&arena);
        if (err != HM_OK || !stays) {
            return err;
        }
    }
}

int hm_households_count_unheld(struct hm_store *s, uint32_t scope, const uint32_t *held,
                               size_t held_count, uint64_t *out_count)
{
    const struct held all = {held, held_count};
    uint64_t position = 0;
    uint64_t count = 0;
    int err = HM_OK;

    do {
        struct hm_household_id id;

        err = next_unheld(s, scope, &all, &position, &id);
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
    const struct held all = {held, held_count};
    uint64_t position = 0;
    int err = HM_OK;

    do {
        struct hm_household_id id;

        err = next_unheld(s, scope, &all, &position, &id);
        if (err == HM_OK && position != 0) {
            err = hm_households_forget(s, &id);
        }
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
    bool guessed = false;
    int err;

    hm_buf_init(&state, 2 * HM_HOUSEHOLD_BYTES_MAX);
    hm_household_encode(h, &state);
    err = state.err;
    if (err == HM_OK) {
        hash = hm_household_hash(hm_buf_bytes(&state));
        err = is_kept(s, h, &hash, &same);
    }
    if (err == HM_OK && !same) {
        err = settle_home(s, h, &guessed);
        if (err == HM_OK) {
            err = insert_state(s, h, hm_buf_bytes(&state), &hash);
        }
        if (err == HM_OK) {
            err = place(s, h, &hash, guessed);
        }
        if (err == HM_OK) {
            err = hm_redirects_keep(s, h);
        }
        if (err == HM_OK) {
            err = hm_likeness_keep(s, h);
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
    if (err == HM_OK) {
        err = hm_likeness_keep(recount->s, &h);
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
