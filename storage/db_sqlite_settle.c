/* What an earlier process may have left unsafe: see hm_db_settle(). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/db_sqlite.h"

enum { CHUNK_BYTES = 64 * 1024 };

static int err_from_vfs(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_OK:
        return HM_OK;
    case SQLITE_NOMEM:
        return HM_NOMEM;
    case SQLITE_FULL:
        return HM_NOSPACE;
    default:
        return HM_IO;
    }
}

/* Write what the file shows over itself, so that all of it is to be written to the disk
 * again, and sync. */
static int write_again(sqlite3_file *file)
{
    uint8_t *chunk = malloc(CHUNK_BYTES);
    sqlite3_int64 size = 0;
    int rc = file->pMethods->xFileSize(file, &size);

    if (chunk == NULL) {
        return SQLITE_NOMEM;
    }
    for (sqlite3_int64 at = 0; rc == SQLITE_OK && at < size; at += CHUNK_BYTES) {
        int len = size - at < CHUNK_BYTES ? (int)(size - at) : CHUNK_BYTES;

        rc = file->pMethods->xRead(file, chunk, len, at);
        if (rc == SQLITE_OK) {
            rc = file->pMethods->xWrite(file, chunk, len, at);
        }
    }
    if (rc == SQLITE_OK && size > 0) {
        rc = file->pMethods->xSync(file, SQLITE_SYNC_NORMAL);
    }
    free(chunk);
    return rc;
}

static int settle(sqlite3_vfs *vfs, const char *wal)
{
    sqlite3_file *file = calloc(1, (size_t)vfs->szOsFile);
    int flags = SQLITE_OPEN_WAL | SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    int rc;

    if (file == NULL) {
        return SQLITE_NOMEM;
    }
    rc = vfs->xOpen(vfs, wal, file, flags, &flags);
    if (rc == SQLITE_OK) {
        rc = write_again(file);
    }
    if (file->pMethods != NULL) {
        (void)file->pMethods->xClose(file); /* synced: nothing is left to fail */
    }
    free(file);
    return rc;
}

int hm_db_settle(const char *path, const char *vfs_name)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(vfs_name);
    char *wal;
    int there = 0;
    int rc;

    if (vfs == NULL) {
        return HM_INVALID;
    }
    /* The name as SQLite would give it: whole, and ended as its VFSs want it. */
    wal = calloc(1, (size_t)vfs->mxPathname + sizeof "-wal" + 2);
    if (wal == NULL) {
        return HM_NOMEM;
    }
    rc = vfs->xFullPathname(vfs, path, vfs->mxPathname + 1, wal);
    rc = rc == SQLITE_OK_SYMLINK ? SQLITE_OK : rc;
    if (rc == SQLITE_OK) {
        (void)strcat(wal, "-wal"); /* sized for it */
        rc = vfs->xAccess(vfs, wal, SQLITE_ACCESS_EXISTS, &there);
    }
    if (rc == SQLITE_OK && there != 0) {
        rc = settle(vfs, wal);
    }
    free(wal);
    return err_from_vfs(rc);
}
