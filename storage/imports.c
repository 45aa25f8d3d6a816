#include "storage/imports.h"

int hm_imports_find(struct hm_store *s, const uint8_t file[HM_CONTENT_HASH_BYTES],
                    uint64_t line, struct hm_household_id *out_household)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err =
        hm_db_stmt(hm_store_db(s),
                   "SELECT a, n FROM import_line WHERE file = $1 AND line = $2", &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_bytes(stmt, 1, hm_bytes_of(file, HM_CONTENT_HASH_BYTES));
    hm_stmt_bind_u64(stmt, 2, line);
    err = hm_stmt_step(stmt, &row);
    if (err == HM_OK && row) {
        out_household->a = hm_stmt_u64(stmt, 0);
        out_household->n = hm_stmt_u64(stmt, 1);
    }
    hm_stmt_reset(stmt);
    return err == HM_OK && !row ? HM_NOTFOUND : err;
}

int hm_imports_put(struct hm_store *s, const uint8_t file[HM_CONTENT_HASH_BYTES],
                   uint64_t line, const struct hm_household_id *household)
{
    struct hm_stmt *stmt;
    int err = hm_db_stmt(
        hm_store_db(s),
        "INSERT INTO import_line (file, line, a, n) VALUES ($1, $2, $3, $4)", &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_bytes(stmt, 1, hm_bytes_of(file, HM_CONTENT_HASH_BYTES));
    hm_stmt_bind_u64(stmt, 2, line);
    hm_stmt_bind_u64(stmt, 3, household->a);
    hm_stmt_bind_u64(stmt, 4, household->n);
    return hm_stmt_run(stmt);
}
