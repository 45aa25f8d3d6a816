#include "storage/db_sqlite.h"

#include <stdlib.h>
#include <string.h>

struct hm_stmt {
    struct hm_db *db;
    sqlite3_stmt *sqlite;
    struct hm_stmt *next; /* in its bucket */
    char *text;           /* NULL unless cached. sqlite3_sql() may have lost its end */
    int err;              /* sticky, of bind */
    enum { READY, ON_ROW } state;
    unsigned parameters;
    unsigned bound; /* how many of them */
    struct parameter {
        int index; /* SQLite numbers by first appearance: $2 may be its first */
        bool bound;
    } parameter[]; /* [n - 1] is $n */
};

static uint64_t hash_text(const char *text)
{
    uint64_t hash = 14695981039346656037U; /* FNV-1a */

    for (; *text != 0; text++) {
        hash = (hash ^ (uint8_t)*text) * 1099511628211U;
    }
    return hash;
}

/* What follows the first statement: nothing but white space and semicolons. */
static bool is_blank(const char *text)
{
    return text[strspn(text, " \t\r\n;")] == 0;
}

static int compile(struct hm_db *db, const char *sql, sqlite3_stmt **out_sqlite)
{
    sqlite3_stmt *sqlite = NULL;
    const char *tail = NULL;
    int err = hm_db_sqlite_err(db, sqlite3_prepare_v3(db->sqlite, sql, -1,
                                                      SQLITE_PREPARE_PERSISTENT,
                                                      &sqlite, &tail));

    if (err == HM_OK && (sqlite == NULL || !is_blank(tail))) {
        err = hm_db_sqlite_fail(db, HM_INVALID, "not exactly one statement");
    }
    if (err == HM_OK && sqlite3_bind_parameter_count(sqlite) > HM_DB_PARAMETERS_MAX) {
        err = hm_db_sqlite_fail(db, HM_TOOBIG, "too many parameters");
    }
    if (err != HM_OK) {
        (void)sqlite3_finalize(sqlite); /* was never run */
        return err;
    }
    *out_sqlite = sqlite;
    return HM_OK;
}

/* Where each $n stands. HM_INVALID if the parameters are not exactly $1 .. $n, which no
 * other engine would take. */
static int find_parameters(struct hm_stmt *stmt)
{
    for (unsigned i = 1; i <= stmt->parameters; i++) {
        const char *name = sqlite3_bind_parameter_name(stmt->sqlite, (int)i);
        unsigned long number;
        char *end = NULL;

        if (name == NULL || name[0] != '$' || name[1] < '1' || name[1] > '9') {
            return hm_db_sqlite_fail(stmt->db, HM_INVALID, "a parameter is not $n");
        }
        number = strtoul(name + 1, &end, 10);
        if (*end != 0 || number > stmt->parameters) {
            return hm_db_sqlite_fail(stmt->db, HM_INVALID,
                                     "parameters are not $1 .. $n");
        }
        /* Names are distinct, all in 1 .. count, none with a leading zero: so each
         * number comes once. */
        stmt->parameter[number - 1].index = (int)i;
    }
    return HM_OK;
}

int hm_db_prepare(struct hm_db *db, const char *sql, struct hm_stmt **out_stmt)
{
    sqlite3_stmt *sqlite = NULL;
    struct hm_stmt *stmt;
    unsigned parameters;
    int err = compile(db, sql, &sqlite);

    if (err != HM_OK) {
        return err;
    }
    parameters = (unsigned)sqlite3_bind_parameter_count(sqlite);
    stmt = calloc(1, sizeof *stmt + parameters * sizeof stmt->parameter[0]);
    if (stmt == NULL) {
        (void)sqlite3_finalize(sqlite); /* was never run */
        return HM_NOMEM;
    }
    stmt->db = db;
    stmt->sqlite = sqlite;
    stmt->parameters = parameters;
    err = find_parameters(stmt);
    if (err != HM_OK) {
        hm_stmt_close(stmt);
        return err;
    }
    *out_stmt = stmt;
    return HM_OK;
}

int hm_db_stmt(struct hm_db *db, const char *sql, struct hm_stmt **out_stmt)
{
    struct hm_stmt **bucket = &db->buckets[hash_text(sql) % HM_DB_SQLITE_BUCKETS];
    struct hm_stmt *stmt;
    int err;

    for (stmt = *bucket; stmt != NULL; stmt = stmt->next) {
        if (strcmp(stmt->text, sql) == 0) {
            hm_stmt_reset(stmt);
            *out_stmt = stmt;
            return HM_OK;
        }
    }
    if (db->statements >= HM_DB_STATEMENTS_MAX) {
        return hm_db_sqlite_fail(db, HM_TOOBIG, "too many texts are kept");
    }
    err = hm_db_prepare(db, sql, &stmt);
    if (err != HM_OK) {
        return err;
    }
    stmt->text = strdup(sql);
    if (stmt->text == NULL) {
        hm_stmt_close(stmt);
        return HM_NOMEM;
    }
    stmt->next = *bucket;
    *bucket = stmt;
    db->statements++;
    *out_stmt = stmt;
    return HM_OK;
}

void hm_db_sqlite_forget(struct hm_db *db)
{
    for (size_t i = 0; i < HM_DB_SQLITE_BUCKETS; i++) {
        while (db->buckets[i] != NULL) {
            struct hm_stmt *stmt = db->buckets[i];

            db->buckets[i] = stmt->next;
            hm_stmt_close(stmt);
        }
    }
    db->statements = 0;
}

void hm_stmt_close(struct hm_stmt *stmt)
{
    if (stmt == NULL) {
        return;
    }
    (void)sqlite3_finalize(stmt->sqlite); /* repeats an error already returned */
    free(stmt->text);
    free(stmt);
}

void hm_stmt_reset(struct hm_stmt *stmt)
{
    if (stmt == NULL) {
        return;
    }
    (void)sqlite3_reset(stmt->sqlite); /* repeats an error already returned */
    if (stmt->bound > 0) {
        (void)sqlite3_clear_bindings(stmt->sqlite); /* cannot fail */
        for (unsigned i = 0; i < stmt->parameters; i++) {
            stmt->parameter[i].bound = false;
        }
    }
    stmt->bound = 0;
    stmt->err = HM_OK;
    stmt->state = READY;
}

/* SQLite's index of $number, or 0 with the sticky error set. */
static int index_of(struct hm_stmt *stmt, unsigned number)
{
    if (stmt->err != HM_OK) {
        return 0;
    }
    if (number < 1 || number > stmt->parameters) {
        stmt->err = hm_db_sqlite_fail(stmt->db, HM_INVALID, "bind: no such parameter");
        return 0;
    }
    return stmt->parameter[number - 1].index;
}

static void note_bound(struct hm_stmt *stmt, unsigned number, int rc)
{
    if (rc != SQLITE_OK) {
        stmt->err = hm_db_sqlite_err(stmt->db, rc);
    } else if (!stmt->parameter[number - 1].bound) {
        stmt->parameter[number - 1].bound = true;
        stmt->bound++;
    }
}

void hm_stmt_bind_int(struct hm_stmt *stmt, unsigned number, int64_t value)
{
    int index = index_of(stmt, number);

    if (index > 0) {
        note_bound(stmt, number, sqlite3_bind_int64(stmt->sqlite, index, value));
    }
}

void hm_stmt_bind_u64(struct hm_stmt *stmt, unsigned number, uint64_t value)
{
    int64_t same_bits;

    memcpy(&same_bits, &value, sizeof same_bits);
    hm_stmt_bind_int(stmt, number, same_bits);
}

void hm_stmt_bind_real(struct hm_stmt *stmt, unsigned number, double value)
{
    int index = index_of(stmt, number);

    if (index > 0) {
        note_bound(stmt, number, sqlite3_bind_double(stmt->sqlite, index, value));
    }
}

void hm_stmt_bind_text(struct hm_stmt *stmt, unsigned number, struct hm_bytes text)
{
    int index = index_of(stmt, number);
    const char *data = text.len == 0 ? "" : (const char *)text.data;

    if (index == 0) {
        return;
    }
    if (memchr(data, 0, text.len) != NULL) {
        stmt->err = hm_db_sqlite_fail(stmt->db, HM_INVALID, "bind: NUL inside a text");
        return;
    }
    note_bound(stmt, number,
               sqlite3_bind_text64(stmt->sqlite, index, data, text.len,
                                   SQLITE_TRANSIENT, SQLITE_UTF8));
}

void hm_stmt_bind_str(struct hm_stmt *stmt, unsigned number, const char *text)
{
    if (text == NULL) {
        hm_stmt_bind_null(stmt, number);
    } else {
        hm_stmt_bind_text(stmt, number, hm_bytes_str(text));
    }
}

void hm_stmt_bind_bytes(struct hm_stmt *stmt, unsigned number, struct hm_bytes bytes)
{
    int index = index_of(stmt, number);
    const void *data =
        bytes.len == 0 ? "" : (const void *)bytes.data; /* NULL is NULL */

    if (index > 0) {
        note_bound(stmt, number,
                   sqlite3_bind_blob64(stmt->sqlite, index, data, bytes.len,
                                       SQLITE_TRANSIENT));
    }
}

void hm_stmt_bind_null(struct hm_stmt *stmt, unsigned number)
{
    int index = index_of(stmt, number);

    if (index > 0) {
        note_bound(stmt, number, sqlite3_bind_null(stmt->sqlite, index));
    }
}

/* Gives each text of the row its final NUL now, which may need memory: reading a column
 * cannot fail then, and a text is never taken for SQL NULL. */
static int finish_texts(struct hm_stmt *stmt)
{
    int count = sqlite3_column_count(stmt->sqlite);

    for (int i = 0; i < count; i++) {
        if (sqlite3_column_type(stmt->sqlite, i) == SQLITE_TEXT &&
            sqlite3_column_text(stmt->sqlite, i) == NULL) {
            return hm_db_sqlite_fail(stmt->db, HM_NOMEM, "out of memory");
        }
    }
    return HM_OK;
}

int hm_stmt_step(struct hm_stmt *stmt, bool *out_row)
{
    int err = stmt->err;
    int rc = SQLITE_OK;

    if (err == HM_OK && stmt->bound != stmt->parameters) {
        err = hm_db_sqlite_fail(stmt->db, HM_INVALID, "step: a parameter is not bound");
    }
    if (err == HM_OK) {
        err = hm_db_sqlite_allow(stmt->db, stmt->sqlite);
    }
    if (err == HM_OK) {
        rc = sqlite3_step(stmt->sqlite);
        err = hm_db_sqlite_err(stmt->db, rc);
    }
    if (err == HM_OK && rc == SQLITE_ROW) {
        err = finish_texts(stmt);
    }
    if (err != HM_OK) {
        hm_stmt_reset(stmt);
        return err;
    }
    *out_row = rc == SQLITE_ROW;
    if (rc == SQLITE_ROW) {
        stmt->state = ON_ROW;
    } else {
        hm_stmt_reset(stmt); /* a further step would run it again */
    }
    return HM_OK;
}

int hm_stmt_run(struct hm_stmt *stmt)
{
    bool row = false;
    int err = hm_stmt_step(stmt, &row);

    if (err == HM_OK && row) {
        hm_stmt_reset(stmt);
        err = hm_db_sqlite_fail(stmt->db, HM_INVALID, "run: the statement gives rows");
    }
    return err;
}

static bool has(const struct hm_stmt *stmt, int column, int type)
{
    HM_ASSERT(stmt->state == ON_ROW);
    HM_ASSERT(column >= 0 && column < sqlite3_column_count(stmt->sqlite));
    return sqlite3_column_type(stmt->sqlite, column) == type;
}

int64_t hm_stmt_int(const struct hm_stmt *stmt, int column)
{
    return has(stmt, column, SQLITE_INTEGER)
               ? sqlite3_column_int64(stmt->sqlite, column)
               : 0;
}

uint64_t hm_stmt_u64(const struct hm_stmt *stmt, int column)
{
    return (uint64_t)hm_stmt_int(stmt, column);
}

double hm_stmt_real(const struct hm_stmt *stmt, int column)
{
    return has(stmt, column, SQLITE_FLOAT) ? sqlite3_column_double(stmt->sqlite, column)
                                           : 0.0;
}

struct hm_bytes hm_stmt_text(const struct hm_stmt *stmt, int column)
{
    const char *text = hm_stmt_str(stmt, column);

    return text == NULL
               ? hm_bytes_of("", 0)
               : hm_bytes_of(text, (size_t)sqlite3_column_bytes(stmt->sqlite, column));
}

const char *hm_stmt_str(const struct hm_stmt *stmt, int column)
{
    return has(stmt, column, SQLITE_TEXT)
               ? (const char *)sqlite3_column_text(stmt->sqlite, column)
               : NULL;
}

struct hm_bytes hm_stmt_bytes(const struct hm_stmt *stmt, int column)
{
    const void *data;

    if (!has(stmt, column, SQLITE_BLOB)) {
        return hm_bytes_of("", 0);
    }
    data = sqlite3_column_blob(stmt->sqlite, column); /* before asking for the length */
    return hm_bytes_of(data, (size_t)sqlite3_column_bytes(stmt->sqlite, column));
}

bool hm_stmt_is_null(const struct hm_stmt *stmt, int column)
{
    return has(stmt, column, SQLITE_NULL);
}

enum hm_value_type hm_stmt_type(const struct hm_stmt *stmt, int column)
{
    if (has(stmt, column, SQLITE_INTEGER)) {
        return HM_VALUE_INT;
    }
    if (has(stmt, column, SQLITE_FLOAT)) {
        return HM_VALUE_REAL;
    }
    if (has(stmt, column, SQLITE_TEXT)) {
        return HM_VALUE_TEXT;
    }
    return has(stmt, column, SQLITE_BLOB) ? HM_VALUE_BYTES : HM_VALUE_NULL;
}

int hm_stmt_column_count(const struct hm_stmt *stmt)
{
    return sqlite3_column_count(stmt->sqlite);
}

const char *hm_stmt_column_name(const struct hm_stmt *stmt, int column)
{
    HM_ASSERT(column >= 0 && column < sqlite3_column_count(stmt->sqlite));
    return sqlite3_column_name(stmt->sqlite, column);
}

bool hm_stmt_is_read_only(const struct hm_stmt *stmt)
{
    return sqlite3_stmt_readonly(stmt->sqlite) != 0;
}
