#include "storage/cursors.h"

int hm_cursors_get(struct hm_store *s, uint64_t parent, uint32_t scope,
                   struct hm_cursor_at *out)
{
    struct hm_cursor_at cursor = {0};
    struct hm_stmt *stmt;
    bool row = false;
    int err = hm_db_stmt(hm_store_db(s),
                         "SELECT timeline, position, salt, compare, equal "
                         "FROM cursor_at WHERE scope = $1 AND parent = $2",
                         &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_int(stmt, 1, scope);
    hm_stmt_bind_u64(stmt, 2, parent);
    err = hm_stmt_step(stmt, &row);
    if (err == HM_OK && row) {
        int64_t repair = hm_stmt_int(stmt, 3);

        cursor.timeline = hm_stmt_u64(stmt, 0);
        cursor.position = hm_stmt_u64(stmt, 1);
        cursor.salt = hm_stmt_u64(stmt, 2);
        cursor.repair = repair >= HM_REPAIR_NONE && repair <= HM_REPAIR_EXHAUSTED
                            ? (enum hm_cursor_repair)repair
                            : HM_REPAIR_COMPARE;
        cursor.equal = hm_stmt_int(stmt, 4) != 0;
    }
    hm_stmt_reset(stmt);
    if (err == HM_OK) {
        *out = cursor;
    }
    return err;
}

int hm_cursors_set(struct hm_store *s, uint64_t parent, uint32_t scope,
                   const struct hm_cursor_at *cursor)
{
    struct hm_stmt *stmt;
    int err = hm_db_stmt(
        hm_store_db(s),
        "INSERT INTO cursor_at (scope, parent, timeline, position, salt, compare, "
        "equal) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (scope, parent) DO UPDATE SET "
        "timeline = excluded.timeline, position = excluded.position, "
        "salt = excluded.salt, compare = excluded.compare, equal = excluded.equal",
        &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_int(stmt, 1, scope);
    hm_stmt_bind_u64(stmt, 2, parent);
    hm_stmt_bind_u64(stmt, 3, cursor->timeline);
    hm_stmt_bind_u64(stmt, 4, cursor->position);
    hm_stmt_bind_u64(stmt, 5, cursor->salt);
    hm_stmt_bind_int(stmt, 6, (int64_t)cursor->repair);
    hm_stmt_bind_int(stmt, 7, cursor->equal);
    return hm_stmt_run(stmt);
}

int hm_cursors_forget(struct hm_store *s, uint32_t scope)
{
    struct hm_stmt *stmt;
    int err =
        hm_db_stmt(hm_store_db(s), "DELETE FROM cursor_at WHERE scope = $1", &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_int(stmt, 1, scope);
    return hm_stmt_run(stmt);
}
