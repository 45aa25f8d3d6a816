/* Changes that were accepted late: see storage/authorise.h. */
#include "storage/log.h"

int hm_log_add_late(struct hm_store *s, const struct hm_dot *dot, uint64_t device,
                    uint32_t scope)
{
    struct hm_stmt *stmt;
    int err = hm_db_stmt(hm_store_db(s),
                         "INSERT INTO late_change (incarnation, n, device, scope, "
                         "since_utc_ms) VALUES ($1, $2, $3, $4, $5) "
                         "ON CONFLICT DO NOTHING",
                         &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, dot->incarnation);
    hm_stmt_bind_u64(stmt, 2, dot->n);
    hm_stmt_bind_u64(stmt, 3, device);
    hm_stmt_bind_int(stmt, 4, scope);
    hm_stmt_bind_int(stmt, 5, hm_store_utc_ms(s));
    return hm_stmt_run(stmt);
}

int hm_log_is_late(struct hm_store *s, const struct hm_dot *dot, bool *out_late)
{
    struct hm_stmt *stmt;
    int err = hm_db_stmt(hm_store_db(s),
                         "SELECT 1 FROM late_change WHERE incarnation = $1 AND n = $2",
                         &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, dot->incarnation);
    hm_stmt_bind_u64(stmt, 2, dot->n);
    err = hm_stmt_step(stmt, out_late);
    hm_stmt_reset(stmt);
    return err;
}

int hm_log_count_late(struct hm_store *s, uint64_t device, uint64_t *out_count)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err = hm_db_stmt(hm_store_db(s),
                         "SELECT COUNT(*) FROM late_change WHERE device = $1", &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, device);
    err = hm_stmt_step(stmt, &row);
    if (err == HM_OK && row) {
        *out_count = hm_stmt_u64(stmt, 0);
    }
    hm_stmt_reset(stmt);
    return err;
}
