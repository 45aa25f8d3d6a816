/* Tables described once, as data; the DDL of each engine is rendered from that.
 *
 * Knows nothing of connections. Pure: no I/O, any thread.
 *
 *   static const struct hm_table household = {
 *       .name = "household",
 *       .distributed = true,
 *       .columns = {HM_COLUMN("scope", INT), HM_COLUMN("author", U64),
 *                   HM_COLUMN("n", INT), HM_COLUMN_NULL("note", TEXT)},
 *       .primary_key = "scope, author, n",
 *       .indexes = {"scope, note"},
 *   };
 *
 * A list of columns is one string, names separated by ", ". A description that a
 * release has made tables from is never edited: a later migration adds to it
 * (migrate.h). */
#ifndef HM_STORAGE_SCHEMA_H
#define HM_STORAGE_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>

#include "protocol/buf.h"
#include "storage/db.h"

enum {
    HM_SCHEMA_COLUMNS_MAX = 32,
    HM_SCHEMA_KEYS_MAX = 6,       /* unique keys, indexes, foreign keys: each */
    HM_SCHEMA_NAME_BYTES_MAX = 63 /* PostgreSQL cuts longer identifiers */
};

/* In brackets: SQLite, PostgreSQL. */
enum hm_column_type {
    HM_COLUMN_INT,  /* signed 64 bits (INTEGER, BIGINT) */
    HM_COLUMN_U64,  /* unsigned, stored as two's complement: never order by it (same) */
    HM_COLUMN_TEXT, /* ordered by bytes (TEXT, TEXT COLLATE "C") */
    HM_COLUMN_BLOB, /* (BLOB, BYTEA) */
    HM_COLUMN_REAL  /* (REAL, DOUBLE PRECISION) */
};

struct hm_column {
    const char *name;
    enum hm_column_type type;
    bool nullable;             /* default: NOT NULL */
    const char *default_value; /* an integer or a quoted text, or NULL for none */
};

#define HM_COLUMN(column_name, column_type)                                            \
    {                                                                                  \
        .name = (column_name), .type = HM_COLUMN_##column_type                         \
    }
#define HM_COLUMN_NULL(column_name, column_type)                                       \
    {                                                                                  \
        .name = (column_name), .type = HM_COLUMN_##column_type, .nullable = true       \
    }
#define HM_COLUMN_DEFAULT(column_name, column_type, value)                             \
    {                                                                                  \
        .name = (column_name), .type = HM_COLUMN_##column_type,                        \
        .default_value = (value)                                                       \
    }

struct hm_foreign_key {
    const char *columns;
    const char *table;
    const char *references; /* the primary key or a unique key of that table */
    bool cascade;           /* ON DELETE CASCADE; default: refused */
};

/* The arrays end at their first empty element. */
struct hm_table {
    const char *name;
    bool distributed; /* rows of one scope lie together: scope leads every key */
    struct hm_column columns[HM_SCHEMA_COLUMNS_MAX];
    const char *primary_key;
    const char *unique_keys[HM_SCHEMA_KEYS_MAX];
    const char *indexes[HM_SCHEMA_KEYS_MAX]; /* named <table>_by_<column>_<column> */
    struct hm_foreign_key foreign_keys[HM_SCHEMA_KEYS_MAX];
};

/* Append CREATE TABLE and its CREATE INDEX statements to out. Returns out->err. */
HM_MUST_USE int hm_schema_render(enum hm_engine engine, const struct hm_table *table,
                                 struct hm_buf *out);

/* Append ALTER TABLE table ADD COLUMN to out. Returns out->err. */
HM_MUST_USE int hm_schema_render_column(enum hm_engine engine, const char *table,
                                        const struct hm_column *column,
                                        struct hm_buf *out);

/* True for a name that every engine takes without quotes: a-z first, then a-z, 0-9, _,
 * at most HM_SCHEMA_NAME_BYTES_MAX, not a reserved word of any engine. */
bool hm_schema_name_ok(const char *name);

/* True for such a name, and for a default that means the same to every engine: an
 * integer for a number, a text in single quotes without quotes or backslashes inside.
 */
bool hm_schema_column_ok(const struct hm_column *column);

/* Check descriptions, together, in the order in which they are made:
 * names; no table or column twice; every key names columns of its table; a foreign key
 * names a primary or unique key of a table made before it or of its own; in a
 * distributed table scope is the first column of the primary key and of each unique
 * key, index and foreign key, and each foreign key leads to a distributed table.
 * HM_INVALID: one line for each fault is appended to report. */
HM_MUST_USE int hm_schema_check(const struct hm_table *const *tables, size_t count,
                                struct hm_buf *report);

#endif
