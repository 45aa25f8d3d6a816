#include "storage/db_sqlite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/buggify.h"

/* A full disk shows as SQLITE_FULL only for plain writes: growing the shared index of
 * the WAL, making a file or running into a quota is an I/O error with this errno. After
 * a failed sync nothing is known, so that stays an I/O error. */
static bool is_full_disk(sqlite3 *sqlite, int rc)
{
    int number = sqlite3_system_errno(sqlite);

    return rc != SQLITE_IOERR_FSYNC && rc != SQLITE_IOERR_DIR_FSYNC &&
           (number == ENOSPC || number == EDQUOT);
}

static int err_from_failed_io(sqlite3 *sqlite, int rc)
{
    switch (rc) {
    case SQLITE_IOERR_NOMEM:
        return HM_NOMEM;
    case SQLITE_IOERR_DATA: /* a checksum of the VFS does not match */
    case SQLITE_IOERR_CORRUPTFS:
        return HM_CORRUPT;
    default:
        return is_full_disk(sqlite, rc) ? HM_NOSPACE : HM_IO;
    }
}

static int err_from_cantopen(sqlite3 *sqlite, int rc)
{
    if (sqlite3_system_errno(sqlite) == ENOENT) {
        return HM_NOTFOUND;
    }
    return is_full_disk(sqlite, rc) ? HM_NOSPACE : HM_IO;
}

static int err_from_constraint(int rc)
{
    switch (rc) {
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_ROWID:
        return HM_EXISTS;
    default:
        return HM_INVALID;
    }
}

/* The only place that knows SQLite result codes. */
static int err_from_sqlite(sqlite3 *sqlite, int rc)
{
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return HM_OK;
    case SQLITE_NOMEM:
        return HM_NOMEM;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL: /* a race for the WAL locks */
    case SQLITE_SCHEMA:   /* changed again and again while preparing */
        return HM_BUSY;
    case SQLITE_FULL:
        return HM_NOSPACE;
    case SQLITE_TOOBIG:
        return HM_TOOBIG;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return HM_CORRUPT;
    case SQLITE_CONSTRAINT:
        return err_from_constraint(rc);
    case SQLITE_READONLY:
        return rc == SQLITE_READONLY_DBMOVED ? HM_IO : HM_DENIED;
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return HM_DENIED;
    case SQLITE_INTERRUPT:
        return HM_CANCELED;
    case SQLITE_CANTOPEN:
        return err_from_cantopen(sqlite, rc);
    case SQLITE_ERROR:
    case SQLITE_ABORT: /* read on after a rollback */
    case SQLITE_MISUSE:
    case SQLITE_RANGE:
    case SQLITE_MISMATCH:
        return HM_INVALID;
    default:
        return err_from_failed_io(sqlite, rc);
    }
}

int hm_db_sqlite_fail(struct hm_db *db, int err, const char *text)
{
    (void)snprintf(db->errmsg, sizeof db->errmsg, "%s", text); /* cut is fine */
    return err;
}

int hm_db_sqlite_err_of(struct hm_db *db, sqlite3 *other, int rc)
{
    int err = err_from_sqlite(other, rc);

    if (err != HM_OK) {
        (void)snprintf(db->errmsg, sizeof db->errmsg, "%s (SQLite %d)",
                       sqlite3_errmsg(other), rc);
    }
    return err;
}

int hm_db_sqlite_err(struct hm_db *db, int rc)
{
    int err = hm_db_sqlite_err_of(db, db->sqlite, rc);

    if (err == HM_OK) {
        return HM_OK;
    }
    if (db->transaction != HM_DB_IDLE && db->lost == HM_OK &&
        sqlite3_get_autocommit(db->sqlite) != 0) {
        db->lost = err;
    }
    return err;
}

int hm_db_sqlite_allow(struct hm_db *db, sqlite3_stmt *sql)
{
    if (db->lost != HM_OK) {
        return db->lost; /* else it would run, and commit, on its own */
    }
    if (db->transaction == HM_DB_READING && sqlite3_stmt_readonly(sql) == 0) {
        return hm_db_sqlite_fail(db, HM_DENIED, "a write in a snapshot");
    }
    return HM_OK;
}

static int run(struct hm_db *db, const char *sql)
{
    return hm_db_sqlite_err(db, sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL));
}

/* The same for what is run all day: compiled once, while there is room. */
static int run_kept(struct hm_db *db, const char *sql)
{
    struct hm_stmt *stmt;
    bool row;
    int err = hm_db_stmt(db, sql, &stmt);

    if (err == HM_TOOBIG) {
        return run(db, sql);
    }
    if (err == HM_OK) {
        err = hm_stmt_step(stmt, &row);
        hm_stmt_reset(stmt);
    }
    return err;
}

static int configure_switches(struct hm_db *db)
{
    static const struct {
        int option;
        int value;
    } switches[] = {
        {SQLITE_DBCONFIG_DEFENSIVE, 1},      {SQLITE_DBCONFIG_ENABLE_FKEY, 1},
        {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0}, {SQLITE_DBCONFIG_DQS_DML, 0},
        {SQLITE_DBCONFIG_DQS_DDL, 0},        {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
    };

    for (size_t i = 0; i < sizeof switches / sizeof switches[0]; i++) {
        int now = -1;
        int rc =
            sqlite3_db_config(db->sqlite, switches[i].option, switches[i].value, &now);

        if (rc != SQLITE_OK) {
            return hm_db_sqlite_err(db, rc);
        }
        if (now != switches[i].value) {
            return hm_db_sqlite_fail(db, HM_IO, "SQLite ignores a safety switch");
        }
    }
    return HM_OK;
}

/* The first column of the first row, compared with expected. */
static int query_is(struct hm_db *db, const char *sql, const char *expected,
                    bool *out_same)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db->sqlite, sql, -1, &stmt, NULL);
    int err;

    if (rc == SQLITE_OK) {
        rc = sqlite3_step(stmt);
    }
    err = hm_db_sqlite_err(db, rc);
    if (err == HM_OK) {
        const char *text =
            rc == SQLITE_ROW ? (const char *)sqlite3_column_text(stmt, 0) : NULL;

        *out_same = text != NULL && strcmp(text, expected) == 0;
    }
    (void)sqlite3_finalize(stmt); /* repeats an error already returned */
    return err;
}

static int configure_journal(struct hm_db *db, bool read_only)
{
    bool wal = false;
    bool full = false;
    int err =
        query_is(db, read_only ? "PRAGMA journal_mode" : "PRAGMA journal_mode = WAL",
                 "wal", &wal);

    if (err == HM_OK) {
        err = run(db, "PRAGMA synchronous = FULL"); /* NORMAL may lose commits */
    }
    if (err == HM_OK) {
        err = query_is(db, "PRAGMA synchronous", "2", &full);
    }
    if (err != HM_OK) {
        return err;
    }
    if (!wal && read_only) {
        return hm_db_sqlite_fail(db, HM_CORRUPT,
                                 "not a store: journal_mode is not WAL");
    }
    if (!wal || !full) {
        return hm_db_sqlite_fail(db, HM_IO, "WAL or synchronous=FULL did not take");
    }
    return HM_OK;
}

/* Without waiting: a writer that lives has done it. */
static int settle_wal(struct hm_db *db, int busy_timeout_ms)
{
    int err = hm_db_sqlite_err(db, sqlite3_busy_timeout(db->sqlite, 0));

    if (err == HM_OK) {
        err = hm_db_sqlite_rewrite_wal(db);
    }
    if (err == HM_OK) {
        err = hm_db_sqlite_err(db, sqlite3_busy_timeout(db->sqlite, busy_timeout_ms));
    }
    return err;
}

static int configure(struct hm_db *db, const struct hm_db_options *options)
{
    static const char pragmas[] =
        "PRAGMA mmap_size = 0;" /* an I/O error would be a SIGBUS */
        "PRAGMA cell_size_check = ON;"
        "PRAGMA temp_store = MEMORY;" /* nothing in the clear beside a sealed store */
        "PRAGMA wal_autocheckpoint = 1000;"     /* pages: 4 MB */
        "PRAGMA journal_size_limit = 16777216;" /* a long reader's WAL shrinks again */
        "SELECT count(*) FROM sqlite_schema";   /* reads: finds what is no database */
    int err;

    err = hm_db_sqlite_err(db,
                           sqlite3_busy_timeout(db->sqlite, options->busy_timeout_ms));
    if (err == HM_OK) {
        err = configure_switches(db);
    }
    if (err == HM_OK) {
        err = run(db, pragmas);
    }
    if (err == HM_OK) {
        err = configure_journal(db, options->read_only);
    }
    if (err == HM_OK && !options->read_only) {
        err = settle_wal(db, options->busy_timeout_ms);
    }
    return err;
}

int hm_db_open(const struct hm_db_options *options, struct hm_db **out_db)
{
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    struct hm_db *db = calloc(1, sizeof *db);
    int err;

    if (db == NULL) {
        return HM_NOMEM;
    }
    if (options->vfs != NULL) {
        db->vfs = strdup(options->vfs);
        if (db->vfs == NULL) {
            err = HM_NOMEM;
            goto fail;
        }
    }
    flags |= options->read_only ? SQLITE_OPEN_READONLY
                                : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    err = hm_db_sqlite_err(db,
                           sqlite3_open_v2(options->path, &db->sqlite, flags, db->vfs));
    if (err == HM_OK) {
        err = hm_db_sqlite_err(db, hm_db_sqlite_sum(db->sqlite, &db->sums));
    }
    if (err == HM_OK) {
        err = configure(db, options);
    }
    if (err != HM_OK) {
        goto fail;
    }
    *out_db = db;
    return HM_OK;

fail:
    hm_db_close(db); /* takes a half-made one */
    return err;
}

void hm_db_close(struct hm_db *db)
{
    if (db == NULL) {
        return;
    }
    if (db->sqlite != NULL) {
        hm_db_rollback(db);
        hm_db_sqlite_forget(db);
        /* Busy would mean a prepared statement that its owner still holds. */
        HM_ASSERT(sqlite3_close(db->sqlite) == SQLITE_OK);
    }
    free(db->vfs);
    free(db);
}

enum hm_engine hm_db_engine(const struct hm_db *db)
{
    (void)db;
    return HM_ENGINE_SQLITE;
}

const char *hm_db_errmsg(const struct hm_db *db)
{
    return db->errmsg;
}

int hm_db_exec(struct hm_db *db, const char *sql)
{
    int err = HM_OK;

    while (err == HM_OK && *sql != 0) {
        sqlite3_stmt *stmt = NULL;
        int rc = sqlite3_prepare_v2(db->sqlite, sql, -1, &stmt, &sql);

        err = hm_db_sqlite_err(db, rc);
        if (err == HM_OK && stmt != NULL) { /* NULL: white space or a comment */
            err = hm_db_sqlite_allow(db, stmt);
            while (err == HM_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
            }
            if (err == HM_OK) {
                err = hm_db_sqlite_err(db, rc);
            }
        }
        (void)sqlite3_finalize(stmt); /* repeats an error already returned */
    }
    return err;
}

int hm_db_query_int(struct hm_db *db, const char *sql, int64_t *out_value)
{
    struct hm_stmt *stmt = NULL;
    bool row = false;
    int err = hm_db_prepare(db, sql, &stmt);

    if (err == HM_OK) {
        err = hm_stmt_step(stmt, &row);
    }
    if (err == HM_OK && !row) {
        err = hm_db_sqlite_fail(db, HM_NOTFOUND, "the query has no row");
    }
    if (err == HM_OK) {
        *out_value = hm_stmt_int(stmt, 0);
    }
    hm_stmt_close(stmt);
    return err;
}

int64_t hm_db_changes(const struct hm_db *db)
{
    return sqlite3_changes64(db->sqlite);
}

static int begin(struct hm_db *db, const char *sql, enum hm_db_transaction transaction)
{
    int err;

    if (db->transaction != HM_DB_IDLE) {
        return hm_db_sqlite_fail(db, HM_INVALID, "a transaction is open already");
    }
    err = run_kept(db, sql);
    if (err == HM_OK) {
        db->transaction = transaction;
    }
    return err;
}

int hm_db_begin(struct hm_db *db)
{
    if (sqlite3_db_readonly(db->sqlite, "main") == 1) { /* SQLite would only read */
        return hm_db_sqlite_fail(db, HM_DENIED, "the connection is read-only");
    }
    return begin(db, "BEGIN IMMEDIATE", HM_DB_WRITING);
}

int hm_db_begin_read(struct hm_db *db)
{
    int err = begin(db, "BEGIN", HM_DB_READING);

    if (err == HM_OK) {
        /* BEGIN alone takes no snapshot: the first read does. */
        err = run_kept(db, "SELECT 1 FROM sqlite_schema LIMIT 1");
        if (err != HM_OK) {
            hm_db_rollback(db);
        }
    }
    return err;
}

int hm_db_commit(struct hm_db *db)
{
    int err = db->lost;

    if (db->transaction == HM_DB_IDLE) {
        return hm_db_sqlite_fail(db, HM_INVALID, "no transaction is open");
    }
    if (err == HM_OK) {
        err = run_kept(db, "COMMIT");
    }
    if (err != HM_OK) {
        hm_db_rollback(db);
        return err;
    }
    db->transaction = HM_DB_IDLE;
    db->savepoints = 0;
    if (hm_buggify(HM_BUGGIFY_CHECKPOINT)) {
        /* The commit stands, whatever becomes of this. */
        (void)sqlite3_wal_checkpoint_v2(db->sqlite, NULL, SQLITE_CHECKPOINT_PASSIVE,
                                        NULL, NULL);
    }
    return HM_OK;
}

void hm_db_rollback(struct hm_db *db)
{
    if (sqlite3_get_autocommit(db->sqlite) == 0) {
        /* An error here leaves the rollback to recovery: the WAL has no commit. */
        (void)sqlite3_exec(db->sqlite, "ROLLBACK", NULL, NULL, NULL);
    }
    db->transaction = HM_DB_IDLE;
    db->lost = HM_OK;
    db->savepoints = 0;
}

static int run_savepoint(struct hm_db *db, const char *verb, int level)
{
    char sql[40];

    if (db->lost != HM_OK) {
        return db->lost;
    }
    if (db->transaction != HM_DB_WRITING) {
        return hm_db_sqlite_fail(db, HM_INVALID, "no write transaction is open");
    }
    if (level < 0) {
        return hm_db_sqlite_fail(db, HM_INVALID, "no savepoint is open");
    }
    if (level >= HM_DB_SAVEPOINTS_MAX) {
        return hm_db_sqlite_fail(db, HM_TOOBIG, "too many savepoints");
    }
    (void)snprintf(sql, sizeof sql, "%s s%d", verb, level); /* 40 is enough for ours */
    return run_kept(db, sql);
}

int hm_db_savepoint(struct hm_db *db)
{
    int err = run_savepoint(db, "SAVEPOINT", db->savepoints);

    db->savepoints += err == HM_OK ? 1 : 0;
    return err;
}

int hm_db_release(struct hm_db *db)
{
    int err = run_savepoint(db, "RELEASE", db->savepoints - 1);

    db->savepoints -= err == HM_OK ? 1 : 0;
    return err;
}

int hm_db_rollback_to(struct hm_db *db)
{
    int err = run_savepoint(db, "ROLLBACK TO", db->savepoints - 1);

    return err == HM_OK ? hm_db_release(db) : err;
}
