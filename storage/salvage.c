#include "storage/salvage.h"

#include <stdio.h>

enum {
    SQL_BYTES_MAX = 2048,
    NEAR_ROWS = 256 /* behind a hole each row number is tried: a page holds no more */
};

struct salvage {
    struct hm_stmt *rows; /* rowid and all columns, behind $1, in order */
    struct hm_stmt *put;
    struct hm_salvaged *out;
};

/* Is it the damage, and not want of memory? */
static bool is_damage(int err)
{
    return err == HM_CORRUPT || err == HM_IO || err == HM_INVALID || err == HM_TOOBIG;
}

/* The columns as the damaged store has them: later versions only add some. */
static int prepare(struct hm_db *from, struct hm_db *to, const char *table,
                   struct salvage *s)
{
    char sql[SQL_BYTES_MAX];
    struct hm_buf put;
    int columns;
    int err;

    (void)snprintf(sql, sizeof sql,
                   "SELECT rowid, * FROM %s WHERE rowid > $1 ORDER BY rowid", table);
    err = hm_db_prepare(from, sql, &s->rows);
    if (err != HM_OK) {
        return err;
    }
    columns = hm_stmt_column_count(s->rows);
    hm_buf_init(&put, SQL_BYTES_MAX);
    hm_buf_printf(&put, "INSERT OR IGNORE INTO %s (", table);
    for (int i = 1; i < columns; i++) {
        hm_buf_printf(&put, "%s%s", i > 1 ? ", " : "", hm_stmt_column_name(s->rows, i));
    }
    hm_buf_append_str(&put, ") VALUES (");
    for (int i = 1; i < columns; i++) {
        hm_buf_printf(&put, "%s$%d", i > 1 ? ", " : "", i);
    }
    hm_buf_append_str(&put, ")");
    err = hm_buf_str(&put) == NULL ? put.err
                                   : hm_db_prepare(to, hm_buf_str(&put), &s->put);
    hm_buf_deinit(&put);
    return err;
}

static void bind(struct hm_stmt *to, unsigned number, const struct hm_stmt *from,
                 int column)
{
    switch (hm_stmt_type(from, column)) {
    case HM_VALUE_INT:
        hm_stmt_bind_int(to, number, hm_stmt_int(from, column));
        break;
    case HM_VALUE_REAL:
        hm_stmt_bind_real(to, number, hm_stmt_real(from, column));
        break;
    case HM_VALUE_TEXT:
        hm_stmt_bind_text(to, number, hm_stmt_text(from, column));
        break;
    case HM_VALUE_BYTES:
        hm_stmt_bind_bytes(to, number, hm_stmt_bytes(from, column));
        break;
    case HM_VALUE_NULL:
        hm_stmt_bind_null(to, number);
        break;
    }
}

static int put_row(struct salvage *s)
{
    int columns = hm_stmt_column_count(s->rows);
    int err;

    for (int i = 1; i < columns; i++) {
        bind(s->put, (unsigned)i, s->rows, i);
    }
    err = hm_stmt_run(s->put);
    if (err == HM_INVALID || err == HM_EXISTS || err == HM_TOOBIG) {
        s->out->holes++; /* no such row was ever written: the page is not sound */
        err = HM_OK;
    } else if (err == HM_OK) {
        s->out->rows++;
    }
    return err;
}

/* Rows behind *at, which moves. HM_CORRUPT and the like: a hole begins behind it. */
static int read_on(struct salvage *s, int64_t *at, int *out_put)
{
    bool row = false;
    int err;

    hm_stmt_reset(s->rows);
    hm_stmt_bind_int(s->rows, 1, *at);
    while ((err = hm_stmt_step(s->rows, &row)) == HM_OK && row) {
        int64_t rowid = hm_stmt_int(s->rows, 0);

        if (rowid <= *at) {
            err = HM_CORRUPT; /* out of order: never go round in a circle */
            break;
        }
        *at = rowid;
        *out_put = put_row(s);
        if (*out_put != HM_OK) {
            break;
        }
    }
    hm_stmt_reset(s->rows);
    return err;
}

/* Can a row behind `at` be read, or the end of the table be seen? */
static bool is_readable(struct salvage *s, int64_t at)
{
    bool row = false;
    int err;

    hm_stmt_reset(s->rows);
    hm_stmt_bind_int(s->rows, 1, at);
    err = hm_stmt_step(s->rows, &row);
    hm_stmt_reset(s->rows);
    return err == HM_OK;
}

/* Behind the hole that begins behind *at. False: the rest can't be read. */
static bool pass_hole(struct salvage *s, int64_t *at)
{
    int64_t lost = NEAR_ROWS; /* nothing is readable as near as that */
    int64_t found = 0;

    for (int64_t near = 1; near <= NEAR_ROWS; near++) {
        if (*at > INT64_MAX - near) {
            return false;
        }
        if (is_readable(s, *at + near)) {
            *at += near;
            return true;
        }
    }
    for (int64_t far = 2 * NEAR_ROWS; found == 0; far *= 2) {
        if (far > INT64_MAX / 2 || *at > INT64_MAX - far) {
            return false;
        }
        if (is_readable(s, *at + far)) {
            found = far;
        } else {
            lost = far;
        }
    }
    while (found - lost > 1) {
        int64_t middle = lost + (found - lost) / 2;

        if (is_readable(s, *at + middle)) {
            found = middle;
        } else {
            lost = middle;
        }
    }
    *at += found;
    return true;
}

int hm_salvage_table(struct hm_db *from, struct hm_db *to, const char *table,
                     struct hm_salvaged *out)
{
    struct salvage s = {.out = out};
    int64_t at = INT64_MIN; /* a key of one number is the row number, of any sign */
    int put = HM_OK;
    int err = prepare(from, to, table, &s);

    if (err == HM_OK) {
        while (is_damage(err = read_on(&s, &at, &put)) && put == HM_OK) {
            out->holes++;
            if (!pass_hole(&s, &at)) {
                break;
            }
        }
    } else if (is_damage(err)) {
        out->holes++; /* not even the table is there */
    }
    hm_stmt_close(s.rows);
    hm_stmt_close(s.put);
    return put != HM_OK ? put : is_damage(err) ? HM_OK : err;
}
