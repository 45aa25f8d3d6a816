/* The one thin driver under every table: connections, transactions, statements.
 *
 * Knows nothing of what the tables mean. One SQL text serves every engine: parameters
 * are $1, $2 ... and are bound by that number, whatever their order in the text.
 *
 * Blocking: every call may wait for the disk or for a lock. Not thread-safe: one thread
 * at a time per connection and its statements; several connections may be used by
 * several threads at once.
 *
 * Errors that any call below may return, beside those it names:
 *   HM_NOMEM    allocation failed
 *   HM_NOSPACE  the device is full; free some space and try again
 *   HM_BUSY     somebody else holds the lock; try again later
 *   HM_CORRUPT  the file is not a sound store
 *   HM_IO       the device failed. From hm_db_commit() or from a statement outside of a
 *               transaction: it is unknown whether the change will be there after a
 *               restart. End the process and start again; never retry on the same
 *               connection
 *   HM_INVALID  the SQL is wrong, or a call came at the wrong time: a bug of ours */
#ifndef HM_STORAGE_DB_H
#define HM_STORAGE_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/buf.h"
#include "protocol/bytes.h"
#include "protocol/err.h"

enum {
    HM_DB_STATEMENTS_MAX = 512,  /* texts that hm_db_stmt() keeps, per connection */
    HM_DB_PARAMETERS_MAX = 1000, /* of one statement */
    HM_DB_SAVEPOINTS_MAX = 16,   /* open at once */
    HM_DB_CHECK_LINES_MAX = 100, /* findings that hm_db_check() reports */
    HM_DB_BACKUP_PAGES = 256     /* copied between two calls of the progress function */
};

enum hm_engine { HM_ENGINE_SQLITE, HM_ENGINE_POSTGRES };

enum hm_value_type {
    HM_VALUE_NULL,
    HM_VALUE_INT, /* also a u64, which is stored as its two's complement */
    HM_VALUE_REAL,
    HM_VALUE_TEXT,
    HM_VALUE_BYTES
};

struct hm_db;
struct hm_stmt;

struct hm_db_options {
    const char *path;    /* a file, made if there is none unless read_only */
    bool read_only;      /* writes give HM_DENIED; the file must be there */
    const char *vfs;     /* name of a registered SQLite VFS; NULL: the default one */
    int busy_timeout_ms; /* how long to wait for a lock; 0: not at all */
};

/* Open a store: WAL, synchronous=FULL, foreign keys on. What HM_OK commits survives
 * power loss. options and its strings are copied. On success *out_db belongs to the
 * caller, to be released with hm_db_close(); on error it is unchanged.
 *
 * Errors:
 *   HM_NOTFOUND  there is no such file or folder
 *   HM_CORRUPT   the file is not SQLite, or read_only and not a store of ours
 *   HM_IO        the file cannot be opened, or the VFS refuses WAL or FULL */
HM_MUST_USE int hm_db_open(const struct hm_db_options *options, struct hm_db **out_db);

/* Rolls back what is open and releases the cached statements. Every statement of
 * hm_db_prepare() must be closed before. NULL is allowed. */
void hm_db_close(struct hm_db *db);

enum hm_engine hm_db_engine(const struct hm_db *db);

/* What went wrong last on db, in English, for the log; "" when nothing did. Owned by
 * db, valid until the next failure or close. */
const char *hm_db_errmsg(const struct hm_db *db);

/* Run one or more statements without parameters, separated by ';'; rows are dropped.
 * Stops at the first error; what ran before stays unless a transaction is open. */
HM_MUST_USE int hm_db_exec(struct hm_db *db, const char *sql);

/* The first column of the first row of sql, which has no parameters; 0 for SQL NULL.
 *
 * Errors: HM_NOTFOUND (no row) */
HM_MUST_USE int hm_db_query_int(struct hm_db *db, const char *sql, int64_t *out_value);

/* Rows that the last insert, update or delete changed. */
int64_t hm_db_changes(const struct hm_db *db);

/* -- Transactions --------------------------------------------------------------------
 *
 * One at a time, not nested (HM_INVALID); parts of one are undone with savepoints.
 *
 * When the engine gives up a whole transaction after an error (full disk, I/O), every
 * later statement returns that error until hm_db_rollback(): half a transaction cannot
 * be committed by accident.
 *
 * After a failed statement go on only by hm_db_rollback() or hm_db_rollback_to():
 * PostgreSQL demands it, and code that works on one engine must work on the other. */

/* A write transaction. Waits for other writers up to busy_timeout_ms. HM_DENIED on a
 * read-only connection. */
HM_MUST_USE int hm_db_begin(struct hm_db *db);

/* A snapshot: until hm_db_rollback() or hm_db_commit() every statement sees the store
 * as it is now, and writes give HM_DENIED. */
HM_MUST_USE int hm_db_begin_read(struct hm_db *db);

/* When this returns HM_OK the changes survive power loss. Whatever it returns, no
 * transaction is open afterwards; any error but HM_IO means that nothing was changed.
 */
HM_MUST_USE int hm_db_commit(struct hm_db *db);

/* Undo and end the transaction; nothing happens when none is open. */
void hm_db_rollback(struct hm_db *db);

/* Mark a point inside a write transaction.
 *
 * Errors: HM_TOOBIG (HM_DB_SAVEPOINTS_MAX are open) */
HM_MUST_USE int hm_db_savepoint(struct hm_db *db);
/* Forget the innermost savepoint and keep what was done since. */
HM_MUST_USE int hm_db_release(struct hm_db *db);
/* Undo what was done since the innermost savepoint, and forget it. */
HM_MUST_USE int hm_db_rollback_to(struct hm_db *db);

/* -- Statements ----------------------------------------------------------------------
 *
 *   err = hm_db_stmt(db, "UPDATE t SET a = $2 WHERE b = $1", &stmt);
 *   if (err == HM_OK) {
 *       hm_stmt_bind_int(stmt, 1, b);
 *       hm_stmt_bind_text(stmt, 2, a);
 *       err = hm_stmt_run(stmt);
 *   }
 *
 * The parameters of a text with n of them are exactly $1 .. $n. */

/* The statement for sql, prepared once per connection and kept by its text; reset, with
 * nothing bound. It belongs to db and is valid until hm_db_close(). Asking again for
 * the same text gives the same object and ends its reading: do not nest one in itself.
 * For texts that stand in the program; others go through hm_db_prepare().
 *
 * Errors:
 *   HM_INVALID  not exactly one statement, or parameters other than $1 .. $n
 *   HM_TOOBIG   more than HM_DB_STATEMENTS_MAX texts or HM_DB_PARAMETERS_MAX */
HM_MUST_USE int hm_db_stmt(struct hm_db *db, const char *sql,
                           struct hm_stmt **out_stmt);

/* Same, but not kept: for a text made at run time. Belongs to the caller, to be
 * released with hm_stmt_close() before hm_db_close(). */
HM_MUST_USE int hm_db_prepare(struct hm_db *db, const char *sql,
                              struct hm_stmt **out_stmt);
/* Only for statements of hm_db_prepare(). NULL is allowed. */
void hm_stmt_close(struct hm_stmt *stmt);

/* Bind $number. The value is copied. The first error sticks and is returned by the next
 * step or run: HM_INVALID for a number that is not in the text or while rows are being
 * read, HM_TOOBIG for a value that the engine cannot take. */
void hm_stmt_bind_int(struct hm_stmt *stmt, unsigned number, int64_t value);
/* Stored as two's complement in 64 signed bits: equality works, order does not. */
void hm_stmt_bind_u64(struct hm_stmt *stmt, unsigned number, uint64_t value);
void hm_stmt_bind_real(struct hm_stmt *stmt, unsigned number, double value);
/* UTF-8, which is not checked here. A NUL inside is HM_INVALID: no engine takes it. */
void hm_stmt_bind_text(struct hm_stmt *stmt, unsigned number, struct hm_bytes text);
/* text without its final NUL; NULL binds SQL NULL. */
void hm_stmt_bind_str(struct hm_stmt *stmt, unsigned number, const char *text);
/* An empty view is an empty value, not SQL NULL, here and for text. */
void hm_stmt_bind_bytes(struct hm_stmt *stmt, unsigned number, struct hm_bytes bytes);
void hm_stmt_bind_null(struct hm_stmt *stmt, unsigned number);

/* Go to the next row. *out_row false: there is no further one. Then, and after an
 * error, the statement is reset: bind anew to run it again. A forgotten parameter is
 * HM_INVALID.
 *
 * Errors:
 *   HM_EXISTS    a row with this primary or unique key is there
 *   HM_INVALID   a sticky one of bind; another constraint: foreign key, not null, type
 *   HM_DENIED    a write on a read-only connection or in a snapshot */
HM_MUST_USE int hm_stmt_step(struct hm_stmt *stmt, bool *out_row);
/* Step a statement that gives no row, and reset it. HM_INVALID if there is a row. */
HM_MUST_USE int hm_stmt_run(struct hm_stmt *stmt);
/* Stop reading; forget what is bound and the sticky error. NULL is allowed. */
void hm_stmt_reset(struct hm_stmt *stmt);

/* Columns of the present row, counted from 0. SQL NULL and a value of another type give
 * zero or an empty view; reading outside of a row is a bug and ends the process. */
int64_t hm_stmt_int(const struct hm_stmt *stmt, int column);
uint64_t hm_stmt_u64(const struct hm_stmt *stmt, int column);
double hm_stmt_real(const struct hm_stmt *stmt, int column);
/* Borrowed until the next step or reset. A NUL follows the last byte. */
struct hm_bytes hm_stmt_text(const struct hm_stmt *stmt, int column);
/* The same as a C string; NULL for SQL NULL. */
const char *hm_stmt_str(const struct hm_stmt *stmt, int column);
/* Borrowed until the next step or reset. */
struct hm_bytes hm_stmt_bytes(const struct hm_stmt *stmt, int column);
bool hm_stmt_is_null(const struct hm_stmt *stmt, int column);
enum hm_value_type hm_stmt_type(const struct hm_stmt *stmt, int column);

/* May be called before the first step. The name is borrowed until the statement is
 * stepped or closed. */
int hm_stmt_column_count(const struct hm_stmt *stmt);
const char *hm_stmt_column_name(const struct hm_stmt *stmt, int column);
/* True if running it cannot change the store. */
bool hm_stmt_is_read_only(const struct hm_stmt *stmt);

/* -- Care of a store -----------------------------------------------------------------
 */

/* Called after each HM_DB_BACKUP_PAGES pages; false ends the backup. */
typedef bool (*hm_db_progress_fn)(uint64_t pages_done, uint64_t pages_total, void *arg);

/* Copy the store as it is now to path, while others read and write. Uses the VFS of db,
 * so the copy of a sealed store is sealed. The copy (mode 0600) is written beside path
 * as "<path>.part", synced, and then takes its name: a file at path is complete, and a
 * former one is replaced only then. progress may be NULL. No transaction may be open on
 * db (HM_INVALID).
 *
 * Errors: HM_CANCELED (progress said so). After an error path is as before, or
 * complete. */
HM_MUST_USE int hm_db_backup(struct hm_db *db, const char *path,
                             hm_db_progress_fn progress, void *arg);

/* What a backup needs of the folder that it writes to, when it is not one of the file
 * system: tests cut the power there. All but remove return HM_OK, HM_NOSPACE or HM_IO.
 */
struct hm_db_folder {
    /* An empty file that only its owner may read; a former one goes. */
    int (*make)(void *arg, const char *path);
    int (*sync)(void *arg, const char *path);
    /* HM_OK: the new name is on disk, and leads to this file. */
    int (*rename)(void *arg, const char *from, const char *to);
    void (*remove)(void *arg, const char *path); /* it need not be there */
    void *arg;
};
/* The same into such a folder, which the VFS of db sees. */
HM_MUST_USE int hm_db_backup_to(struct hm_db *db, const struct hm_db_folder *folder,
                                const char *path, hm_db_progress_fn progress,
                                void *arg);

/* Check structure, indexes and foreign keys. Reads the whole store. HM_CORRUPT:
 * something is wrong, one line each is appended to report, at most
 * HM_DB_CHECK_LINES_MAX and as far as report has room. */
HM_MUST_USE int hm_db_check(struct hm_db *db, struct hm_buf *report);

/* Pages inside the file that are free to be used again, and the size of the file
 * without its WAL. */
HM_MUST_USE int hm_db_free_pages(struct hm_db *db, int64_t *out_pages);
HM_MUST_USE int hm_db_size_bytes(struct hm_db *db, int64_t *out_bytes);

#endif
