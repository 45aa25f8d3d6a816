/* What the files of the SQLite driver share; nobody else includes this.
 *
 * Blocking and threads: as db.h. */
#ifndef HM_STORAGE_DB_SQLITE_H
#define HM_STORAGE_DB_SQLITE_H

#include <sqlite3.h>

#include "storage/db.h"

enum { HM_DB_SQLITE_BUCKETS = 256, HM_DB_SQLITE_SUM_BYTES = 8 };

enum hm_db_transaction { HM_DB_IDLE, HM_DB_READING, HM_DB_WRITING };

/* In place of the methods of a store's file. */
struct hm_db_sqlite_sums {
    sqlite3_io_methods methods; /* first: the file leads here */
    const sqlite3_io_methods *real;
};

struct hm_db {
    sqlite3 *sqlite;
    struct hm_db_sqlite_sums sums;
    char *vfs; /* NULL: the default one */
    enum hm_db_transaction transaction;
    int lost; /* HM_OK, or why SQLite gave up the open transaction */
    int savepoints;
    struct hm_stmt *buckets[HM_DB_SQLITE_BUCKETS]; /* cached statements by text */
    size_t statements;
    char errmsg[256];
};

/* Map rc, the result of the last call on db->sqlite, keep its text, and note when
 * SQLite has given up the transaction. HM_OK for SQLITE_OK, ROW and DONE. */
HM_MUST_USE int hm_db_sqlite_err(struct hm_db *db, int rc);

/* The same for the last call on another connection than that of db, a backup's. */
HM_MUST_USE int hm_db_sqlite_err_of(struct hm_db *db, sqlite3 *other, int rc);

/* Keep text as the error text of db and return err. */
int hm_db_sqlite_fail(struct hm_db *db, int err, const char *text);

/* Whether sql may run now: the error of a lost transaction, HM_DENIED for a write
 * inside a snapshot, else HM_OK. */
HM_MUST_USE int hm_db_sqlite_allow(struct hm_db *db, sqlite3_stmt *sql);

/* Keep a sum in every page of the store's file from now on, and check it at each read:
 * a damaged page is SQLITE_IOERR_DATA. Call it before sqlite, just opened, is used;
 * sums must outlive sqlite. Returns an SQLite code. */
HM_MUST_USE int hm_db_sqlite_sum(sqlite3 *sqlite, struct hm_db_sqlite_sums *sums);

/* Write the WAL once more, as it is, and sync it; nothing happens when it is empty or
 * another connection writes. After a failed sync the system shows frames that it never
 * wrote and takes for written: a process that starts again would build on them, and a
 * power cut would take what it then answers along. Written again they are known to be
 * on disk, or this fails.
 *
 * Errors: HM_NOSPACE, HM_IO, HM_NOMEM: do not write to this store. */
HM_MUST_USE int hm_db_sqlite_rewrite_wal(struct hm_db *db);

/* Releases the cached statements. */
void hm_db_sqlite_forget(struct hm_db *db);

#endif
