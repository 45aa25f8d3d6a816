#include "storage/db_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int err_from_errno(struct hm_db *db, int number)
{
    (void)hm_db_sqlite_fail(db, HM_IO, strerror(number));
    switch (number) {
    case ENOSPC:
    case EDQUOT:
        return HM_NOSPACE;
    case ENOMEM:
        return HM_NOMEM;
    case ENOENT:
        return HM_NOTFOUND;
    default:
        return HM_IO;
    }
}

/* Make an empty file that only its owner may read: SQLite takes it for an empty store.
 */
static int make_empty(void *arg, const char *path)
{
    struct hm_db *db = arg;
    int fd;

    if (unlink(path) != 0 && errno != ENOENT) { /* of a backup that was cut */
        return err_from_errno(db, errno);
    }
    fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) {
        return err_from_errno(db, errno);
    }
    (void)close(fd); /* nothing was written */
    return HM_OK;
}

static int sync_path(struct hm_db *db, const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC);
    int err = HM_OK;

    if (fd < 0) {
        return err_from_errno(db, errno);
    }
    if (fsync(fd) != 0) {
        err = hm_db_sqlite_fail(db, HM_IO, strerror(errno));
    }
    (void)close(fd); /* synced: nothing is left to fail */
    return err;
}

static int sync_folder_of(struct hm_db *db, const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder;
    int err;

    if (slash == NULL) {
        return sync_path(db, ".", O_RDONLY | O_DIRECTORY);
    }
    folder = strndup(path, slash == path ? 1 : (size_t)(slash - path));
    if (folder == NULL) {
        return HM_NOMEM;
    }
    err = sync_path(db, folder, O_RDONLY | O_DIRECTORY);
    free(folder);
    return err;
}

static int sync_file(void *arg, const char *path)
{
    return sync_path(arg, path, O_RDONLY);
}

static int rename_file(void *arg, const char *from, const char *to)
{
    if (rename(from, to) != 0) {
        return err_from_errno(arg, errno);
    }
    return sync_folder_of(arg, to);
}

static void remove_file(void *arg, const char *path)
{
    (void)arg;
    (void)unlink(path); /* best effort: the next backup removes it */
}

static int copy_pages(struct hm_db *db, sqlite3 *to, hm_db_progress_fn progress,
                      void *arg)
{
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", db->sqlite, "main");
    int err = HM_OK;
    int rc = SQLITE_OK;

    if (backup == NULL) {
        return hm_db_sqlite_fail(db, HM_IO, sqlite3_errmsg(to));
    }
    while (err == HM_OK && rc == SQLITE_OK) {
        rc = sqlite3_backup_step(backup, HM_DB_BACKUP_PAGES);
        if ((rc == SQLITE_OK || rc == SQLITE_DONE) && progress != NULL) {
            int total = sqlite3_backup_pagecount(backup);
            int left = sqlite3_backup_remaining(backup);

            if (!progress((uint64_t)(total - left), (uint64_t)total, arg)) {
                err = hm_db_sqlite_fail(db, HM_CANCELED, "the backup was canceled");
            }
        }
    }
    rc = sqlite3_backup_finish(backup); /* the same error, if there was one */
    return err != HM_OK ? err : hm_db_sqlite_err_of(db, to, rc);
}

static int copy_to(struct hm_db *db, const struct hm_db_folder *folder,
                   const char *path, hm_db_progress_fn progress, void *arg)
{
    struct hm_db_sqlite_sums sums;
    sqlite3 *to = NULL;
    int err = folder->make(folder->arg, path);
    int rc;

    if (err != HM_OK) {
        return err;
    }
    rc = sqlite3_open_v2(
        path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
        db->vfs);
    if (rc == SQLITE_OK) {
        rc = hm_db_sqlite_sum(to, &sums);
    }
    if (rc == SQLITE_OK) {
        /* No journal: a copy that was cut is thrown away. */
        rc = sqlite3_exec(to, "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = FULL",
                          NULL, NULL, NULL);
    }
    if (rc == SQLITE_OK) {
        err = copy_pages(db, to, progress, arg);
    } else {
        err = hm_db_sqlite_err_of(db, to, rc);
    }
    (void)sqlite3_close(to); /* cannot fail: no statement is left */
    return err;
}

int hm_db_backup_to(struct hm_db *db, const struct hm_db_folder *folder,
                    const char *path, hm_db_progress_fn progress, void *arg)
{
    size_t part_size = strlen(path) + sizeof ".part";
    char *part = malloc(part_size);
    bool named = false;
    int err;

    if (part == NULL) {
        return HM_NOMEM;
    }
    (void)snprintf(part, part_size, "%s.part", path); /* sized for it */
    /* One snapshot from end to end: else each foreign write starts the copy over. */
    err = hm_db_begin_read(db);
    if (err != HM_OK) {
        goto done; /* no file of ours is there */
    }
    err = copy_to(db, folder, part, progress, arg);
    hm_db_rollback(db);
    if (err == HM_OK) {
        err = folder->sync(folder->arg, part);
    }
    if (err == HM_OK) {
        err = folder->rename(folder->arg, part, path);
        named = err == HM_OK;
    }
    if (!named) {
        folder->remove(folder->arg, part);
    }

done:
    free(part);
    return err;
}

int hm_db_backup(struct hm_db *db, const char *path, hm_db_progress_fn progress,
                 void *arg)
{
    const struct hm_db_folder folder = {make_empty, sync_file, rename_file, remove_file,
                                        db};

    return hm_db_backup_to(db, &folder, path, progress, arg);
}

static bool report_line(struct hm_buf *report, const char *text)
{
    if (report->err == HM_OK && strlen(text) + 1 <= report->len_max - report->len) {
        hm_buf_printf(report, "%s\n", text);
        return report->err == HM_OK;
    }
    return false;
}

static int check_structure(struct hm_db *db, struct hm_buf *report, int *inout_found)
{
    struct hm_stmt *stmt = NULL;
    char sql[64];
    bool row = false;
    int err;

    (void)snprintf(sql, sizeof sql, "PRAGMA integrity_check(%d)",
                   HM_DB_CHECK_LINES_MAX);
    err = hm_db_prepare(db, sql, &stmt);
    while (err == HM_OK && (err = hm_stmt_step(stmt, &row)) == HM_OK && row) {
        const char *text = hm_stmt_str(stmt, 0);

        if (text != NULL && strncmp(text, "***", 3) == 0 &&
            strchr(text, '\n') != NULL) {
            text = strchr(text, '\n') + 1; /* behind a title that says nothing */
        }
        if (text == NULL || strcmp(text, "ok") != 0) {
            (*inout_found)++;
            (void)report_line(report,
                              text == NULL ? "no text" : text); /* room or not */
        }
    }
    hm_stmt_close(stmt);
    return err;
}

static int check_foreign_keys(struct hm_db *db, struct hm_buf *report, int *inout_found)
{
    struct hm_stmt *stmt = NULL;
    char line[256];
    bool row = false;
    int err = hm_db_prepare(db, "PRAGMA foreign_key_check", &stmt);

    while (err == HM_OK && *inout_found < HM_DB_CHECK_LINES_MAX &&
           (err = hm_stmt_step(stmt, &row)) == HM_OK && row) {
        const char *table = hm_stmt_str(stmt, 0);
        const char *parent = hm_stmt_str(stmt, 2);

        (*inout_found)++;
        (void)snprintf(line, sizeof line, "row %lld of %s: no such row in %s",
                       (long long)hm_stmt_int(stmt, 1), table == NULL ? "?" : table,
                       parent == NULL ? "?" : parent); /* cut is fine */
        (void)report_line(report, line);               /* room or not, it counts */
    }
    hm_stmt_close(stmt);
    return err;
}

int hm_db_check(struct hm_db *db, struct hm_buf *report)
{
    int found = 0;
    int err = check_structure(db, report, &found);

    if (err == HM_OK) {
        err = check_foreign_keys(db, report, &found);
    }
    if (err == HM_OK && found > 0) {
        err = hm_db_sqlite_fail(db, HM_CORRUPT, "the store fails its check");
    }
    return err;
}

int hm_db_free_pages(struct hm_db *db, int64_t *out_pages)
{
    return hm_db_query_int(db, "PRAGMA freelist_count", out_pages);
}

int hm_db_size_bytes(struct hm_db *db, int64_t *out_bytes)
{
    int64_t pages = 0;
    int64_t page_bytes = 0;
    int err = hm_db_query_int(db, "PRAGMA page_count", &pages);

    if (err == HM_OK) {
        err = hm_db_query_int(db, "PRAGMA page_size", &page_bytes);
    }
    if (err == HM_OK) {
        *out_bytes = pages * page_bytes;
    }
    return err;
}
