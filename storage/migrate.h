/* Brings a store to the newest schema: numbered steps, forward only.
 *
 * Knows nothing of what the tables mean. Blocking; not thread-safe: one thread at a
 * time per connection. Two processes may migrate one store at once: the second one
 * waits and finds the work done.
 *
 * Each step and its row in table migration (number, name, applied_utc_ms) are one
 * transaction: a crash leaves the store at a valid older version. */
#ifndef HM_STORAGE_MIGRATE_H
#define HM_STORAGE_MIGRATE_H

#include <stddef.h>
#include <stdint.h>

#include "storage/db.h"
#include "storage/schema.h"

enum {
    HM_MIGRATE_TABLES_MAX = 48,
    HM_MIGRATE_COLUMNS_MAX = 16,
    HM_MIGRATE_DDL_BYTES_MAX = 256 * 1024 /* of one step */
};

struct hm_column_added {
    const char *table;
    struct hm_column column; /* nullable or with a default: rows may be there */
};

/* One step: tables are made, then columns added, then the engine's own SQL is run. The
 * arrays end at their first empty element. Never edited once released. */
struct hm_migration {
    int64_t number;   /* 1, 2, 3 ... */
    const char *name; /* an identifier, unique */
    const struct hm_table *tables[HM_MIGRATE_TABLES_MAX];
    struct hm_column_added columns[HM_MIGRATE_COLUMNS_MAX];
    const char *sql_sqlite;   /* may be NULL, as may the next */
    const char *sql_postgres; /* full-text tables and the like differ */
};

/* The number of the newest step applied to db; 0 for a store without any. */
HM_MUST_USE int hm_migrate_version(struct hm_db *db, int64_t *out_number);

/* Apply the steps that db does not have, in order. Nothing is written when it has all.
 * migrations[i].number must be i + 1. No transaction may be open on db (HM_INVALID).
 *
 * Errors:
 *   HM_VERSION  the store is newer than migrations, or its steps have other names;
 *               nothing was changed
 *   others      as hm_db_exec(); the store is at the version before the failed step */
HM_MUST_USE int hm_migrate_run(struct hm_db *db, const struct hm_migration *migrations,
                               size_t count, int64_t now_utc_ms);

/* For a test over the real list: hm_schema_check() over all tables, numbers 1, 2, 3
 * ..., names, and that an added column is new, belongs to a table of the list and can
 * be added to a table with rows. HM_INVALID: one line for each fault is appended to
 * report. */
HM_MUST_USE int hm_migrate_check(const struct hm_migration *migrations, size_t count,
                                 struct hm_buf *report);

#endif
