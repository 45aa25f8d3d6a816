#include "storage/feeds.h"

#include "protocol/digest.h"

static int read_state(struct hm_stmt *stmt, struct hm_feed_state *out)
{
    struct hm_bytes digest = hm_stmt_bytes(stmt, 2);
    struct hm_feed_state state = {.position = hm_stmt_u64(stmt, 0),
                                  .salt = hm_stmt_u64(stmt, 1),
                                  .households = hm_stmt_u64(stmt, 3)};

    if (digest.len != HM_HASH_BYTES) {
        return HM_CORRUPT;
    }
    memcpy(state.digest.bytes, digest.data, HM_HASH_BYTES);
    *out = state;
    return HM_OK;
}

int hm_feeds_get(struct hm_store *s, uint32_t scope, struct hm_feed_state *out)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err = hm_db_stmt(hm_store_db(s),
                         "SELECT position, salt, digest, households FROM feed "
                         "WHERE scope = $1",
                         &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_int(stmt, 1, scope);
    err = hm_stmt_step(stmt, &row);
    if (err == HM_OK && row) {
        err = read_state(stmt, out);
    } else if (err == HM_OK) {
        *out = (struct hm_feed_state){0};
    }
    hm_stmt_reset(stmt);
    return err;
}

/* The upsert locks the scope's row on every engine: who counts next waits for our
 * commit. */
static int count_up(struct hm_store *s, uint32_t scope, uint64_t salt)
{
    static const struct hm_hash zero;
    struct hm_stmt *stmt;
    int err = hm_db_stmt(hm_store_db(s),
                         "INSERT INTO feed (scope, position, salt, digest, households) "
                         "VALUES ($1, 1, $2, $3, 0) ON CONFLICT (scope) DO UPDATE "
                         "SET position = feed.position + 1, salt = excluded.salt",
                         &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_int(stmt, 1, scope);
    hm_stmt_bind_u64(stmt, 2, salt);
    hm_stmt_bind_bytes(stmt, 3, hm_hash_bytes(&zero));
    return hm_stmt_run(stmt);
}

int hm_feeds_advance(struct hm_store *s, uint32_t scope, uint64_t *out_position)
{
    uint64_t salt = hm_store_random(s);
    struct hm_feed_state state;
    struct hm_stmt *stmt;
    int err = count_up(s, scope, salt);

    if (err == HM_OK) {
        err = hm_feeds_get(s, scope, &state);
    }
    if (err == HM_OK) {
        err = hm_db_stmt(hm_store_db(s),
                         "INSERT INTO mark (scope, position, salt) VALUES ($1, $2, $3)",
                         &stmt);
    }
    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_int(stmt, 1, scope);
    hm_stmt_bind_u64(stmt, 2, state.position);
    hm_stmt_bind_u64(stmt, 3, salt);
    err = hm_stmt_run(stmt);
    if (err == HM_OK) {
        *out_position = state.position;
    }
    return err;
}

int hm_feeds_adjust(struct hm_store *s, uint32_t scope, const struct hm_hash *before,
                    const struct hm_hash *after)
{
    struct hm_feed_state state;
    struct hm_stmt *stmt;
    int err = hm_feeds_get(s, scope, &state);

    if (err != HM_OK) {
        return err;
    }
    if (before != NULL) {
        hm_digest_subtract(&state.digest, before);
        state.households--;
    }
    if (after != NULL) {
        hm_digest_add(&state.digest, after);
        state.households++;
    }
    err = hm_db_stmt(hm_store_db(s),
                     "INSERT INTO feed (scope, position, salt, digest, households) "
                     "VALUES ($1, 0, 0, $2, $3) ON CONFLICT (scope) DO UPDATE "
                     "SET digest = excluded.digest, households = excluded.households",
                     &stmt);
    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_int(stmt, 1, scope);
    hm_stmt_bind_bytes(stmt, 2, hm_hash_bytes(&state.digest));
    hm_stmt_bind_u64(stmt, 3, state.households);
    return hm_stmt_run(stmt);
}

int hm_feeds_salt(struct hm_store *s, uint32_t scope, uint64_t position,
                  uint64_t *out_salt)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err;

    if (position == 0) {
        *out_salt = 0;
        return HM_OK;
    }
    err = hm_db_stmt(hm_store_db(s),
                     "SELECT salt FROM mark WHERE scope = $1 AND position = $2", &stmt);
    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_int(stmt, 1, scope);
    hm_stmt_bind_u64(stmt, 2, position);
    err = hm_stmt_step(stmt, &row);
    if (err == HM_OK) {
        err = row ? HM_OK : HM_NOTFOUND;
    }
    if (err == HM_OK) {
        *out_salt = hm_stmt_u64(stmt, 0);
    }
    hm_stmt_reset(stmt);
    return err;
}

int hm_feeds_timeline(struct hm_store *s, uint64_t *out_timeline)
{
    int64_t number = 0;
    int err = hm_store_get_number(s, HM_META_TIMELINE, &number);

    if (err == HM_NOTFOUND) {
        while (number == 0) {
            number = (int64_t)hm_store_random(s);
        }
        err = hm_store_set_number(s, HM_META_TIMELINE, number);
    }
    if (err == HM_OK) {
        *out_timeline = (uint64_t)number;
    }
    return err;
}
