#include "storage/db_sqlite.h"

#include <stdlib.h>

enum { BLOCK_BYTES = 64 * 1024 };

static int failed(struct hm_db *db, int rc)
{
    if (rc == SQLITE_OK) {
        return HM_OK;
    }
    return hm_db_sqlite_fail(db, (rc & 0xff) == SQLITE_FULL ? HM_NOSPACE : HM_IO,
                             "the write-ahead log cannot be written again");
}

static int write_again(sqlite3_file *wal, sqlite3_int64 size, uint8_t *block)
{
    int rc = SQLITE_OK;

    for (sqlite3_int64 at = 0; at < size && rc == SQLITE_OK; at += BLOCK_BYTES) {
        int len = size - at < BLOCK_BYTES ? (int)(size - at) : BLOCK_BYTES;

        rc = wal->pMethods->xRead(wal, block, len, at);
        if (rc == SQLITE_OK) {
            rc = wal->pMethods->xWrite(wal, block, len, at);
        }
    }
    return rc == SQLITE_OK ? wal->pMethods->xSync(wal, SQLITE_SYNC_NORMAL) : rc;
}

/* Inside a write transaction: nobody appends meanwhile, and who reads sees the same. */
static int rewrite(struct hm_db *db)
{
    sqlite3_file *wal = NULL;
    sqlite3_int64 size = 0;
    uint8_t *block;
    int err;
    int rc =
        sqlite3_file_control(db->sqlite, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal);

    if (rc == SQLITE_OK && wal != NULL && wal->pMethods != NULL) {
        rc = wal->pMethods->xFileSize(wal, &size);
    }
    if (rc != SQLITE_OK || size == 0 ||
        (wal->pMethods->xDeviceCharacteristics(wal) &
         SQLITE_IOCAP_POWERSAFE_OVERWRITE) == 0) {
        return failed(db,
                      rc); /* a disk that may spoil what it overwrites: better not */
    }
    block = malloc(BLOCK_BYTES);
    if (block == NULL) {
        return HM_NOMEM;
    }
    err = failed(db, write_again(wal, size, block));
    free(block);
    return err;
}

int hm_db_sqlite_rewrite_wal(struct hm_db *db)
{
    int err = hm_db_begin(db);

    if (err == HM_OK) {
        err = rewrite(db);
        hm_db_rollback(db);
    }
    return err == HM_BUSY ? HM_OK : err; /* who writes has opened it before us */
}
