#include "tests/crash/dump.h"

#include <stdio.h>
#include <string.h>

enum { TABLES_MAX = 64, NAME_MAX_ = 64 };

static void append_row(const struct hm_stmt *stmt, struct hm_buf *buf)
{
    for (int i = 0; i < hm_stmt_column_count(stmt); i++) {
        hm_buf_append_u8(buf, (uint8_t)hm_stmt_type(stmt, i));
        if (hm_stmt_type(stmt, i) == HM_VALUE_INT) {
            hm_buf_append_uint(buf, hm_stmt_u64(stmt, i), 8);
        } else {
            struct hm_bytes bytes = hm_stmt_type(stmt, i) == HM_VALUE_TEXT
                                        ? hm_stmt_text(stmt, i)
                                        : hm_stmt_bytes(stmt, i);

            hm_buf_append_uint(buf, bytes.len, 8);
            hm_buf_append(buf, bytes);
        }
    }
}

static int dump_table(struct hm_db *db, const char *name, struct hm_buf *buf)
{
    struct hm_stmt *stmt = NULL;
    char sql[2 * NAME_MAX_];
    bool row = false;
    int err;

    (void)snprintf(sql, sizeof sql, "SELECT * FROM \"%s\"", name);
    hm_buf_append_str(buf, name);
    err = hm_db_prepare(db, sql, &stmt);
    while (err == HM_OK && (err = hm_stmt_step(stmt, &row)) == HM_OK && row) {
        append_row(stmt, buf);
    }
    hm_stmt_close(stmt);
    return err;
}

int hm_dump_tables(struct hm_db *db, struct hm_buf *buf)
{
    char names[TABLES_MAX][NAME_MAX_];
    struct hm_stmt *stmt = NULL;
    size_t count = 0;
    bool row = false;
    int err = hm_db_prepare(
        db, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name", &stmt);

    while (err == HM_OK && (err = hm_stmt_step(stmt, &row)) == HM_OK && row &&
           count < TABLES_MAX) {
        (void)snprintf(names[count++], NAME_MAX_, "%s", hm_stmt_str(stmt, 0));
    }
    hm_stmt_close(stmt);
    for (size_t i = 0; i < count && err == HM_OK; i++) {
        err = dump_table(db, names[i], buf);
    }
    return err == HM_OK ? buf->err : err;
}
