/* Promises of tests/support/simdisk.h: the disk is cruel where a real one may be, and
 * keeps what a real one keeps. */
#include "tests/support/simdisk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "storage/db.h"
#include "tests/support/test.h"

enum { ROWS = 30 };

/* -- Files without SQLite ------------------------------------------------------------
 */

static sqlite3_file *open_raw(const char *vfs, const char *path, int flags)
{
    sqlite3_vfs *v = sqlite3_vfs_find(vfs);
    sqlite3_file *file;

    assert_non_null(v);
    file = calloc(1, (size_t)v->szOsFile);
    assert_non_null(file);
    CHECK_OK(v->xOpen(v, path, file, SQLITE_OPEN_READWRITE | flags, NULL));
    return file;
}

static sqlite3_file *make_raw(const char *vfs, const char *path)
{
    return open_raw(vfs, path, SQLITE_OPEN_CREATE | SQLITE_OPEN_MAIN_DB);
}

static void close_raw(sqlite3_file *file)
{
    CHECK_OK(file->pMethods->xClose(file));
    free(file);
}

static int write_raw(sqlite3_file *file, int64_t offset, int byte, int len)
{
    uint8_t bytes[8192];

    assert_true((size_t)len <= sizeof bytes);
    memset(bytes, byte, (size_t)len);
    return file->pMethods->xWrite(file, bytes, len, offset);
}

static int sync_raw(sqlite3_file *file)
{
    return file->pMethods->xSync(file, SQLITE_SYNC_NORMAL);
}

static int peek(const struct hm_simdisk *disk, const char *path, int64_t offset)
{
    uint8_t byte;

    assert_true(hm_simdisk_peek(disk, path, offset, &byte, 1));
    return byte;
}

static void cut_and_boot(struct hm_simdisk *disk, enum hm_simdisk_pattern pattern,
                         uint64_t seed)
{
    hm_simdisk_cut_now(disk, pattern, seed);
    hm_simdisk_boot(disk);
}

/* Four pages of 1 that are synced, and over them, in order, 2 3 4 5. */
static struct hm_simdisk *four_writes(sqlite3_file **out_file)
{
    struct hm_simdisk *disk = hm_simdisk_create("sim", 1);

    *out_file = make_raw("sim", "f");
    for (int i = 0; i < 4; i++) {
        CHECK_OK(write_raw(*out_file, i * 4096, 1, 4096));
    }
    CHECK_OK(sync_raw(*out_file));
    for (int i = 0; i < 4; i++) {
        CHECK_OK(write_raw(*out_file, i * 4096, i + 2, 4096));
    }
    return disk;
}

/* How many of the four later writes are there as a whole; *out_mask: which. Fails when
 * anything but the old and the new is there, and unless torn when one is there in part.
 */
static unsigned survivors(const struct hm_simdisk *disk, bool torn, unsigned *out_mask)
{
    unsigned count = 0;

    *out_mask = 0;
    for (int i = 0; i < 4; i++) {
        unsigned sectors = 0;

        for (int s = 0; s < 8; s++) {
            int first = peek(disk, "f", i * 4096 + s * 512);

            assert_true(first == 1 || first == i + 2);
            assert_int_equal(peek(disk, "f", i * 4096 + s * 512 + 511), first);
            sectors += first == i + 2;
        }
        assert_true(torn || sectors == 0 || sectors == 8);
        count += sectors == 8;
        *out_mask |= (sectors == 8 ? 1U : 0U) << i;
    }
    return count;
}

/* What a cut leaves is what its pattern says, and over the seeds everything that it may
 * leave comes up. */
HM_TEST(patterns_leave_what_they_say)
{
    unsigned seen[HM_SIMDISK_PATTERNS_][16] = {0};
    unsigned split = 0;

    for (int p = 0; p < HM_SIMDISK_PATTERNS_; p++) {
        for (uint64_t seed = 0; seed < 200; seed++) {
            enum hm_simdisk_pattern pattern = (enum hm_simdisk_pattern)p;
            bool torn = pattern == HM_SIMDISK_SECTORS || pattern == HM_SIMDISK_TORN;
            sqlite3_file *file;
            struct hm_simdisk *disk = four_writes(&file);
            unsigned mask;

            cut_and_boot(disk, pattern, seed);
            (void)survivors(disk, torn, &mask);
            seen[p][mask]++;
            for (int i = 0; i < 4 && pattern == HM_SIMDISK_TORN; i++) {
                split += peek(disk, "f", i * 4096) != peek(disk, "f", i * 4096 + 4095);
            }
            close_raw(file);
            hm_simdisk_destroy(disk);
        }
    }
    assert_int_equal(seen[HM_SIMDISK_NONE][0], 200);
    assert_int_equal(seen[HM_SIMDISK_ALL][15], 200);
    for (unsigned mask = 0; mask < 16; mask++) {
        bool prefix = mask == 0 || mask == 1 || mask == 3 || mask == 7;
        bool suffix = mask == 15 || mask == 14 || mask == 12 || mask == 8;

        assert_int_equal(seen[HM_SIMDISK_PREFIX][mask] > 0, prefix);
        assert_int_equal(seen[HM_SIMDISK_SUFFIX][mask] > 0, suffix);
        assert_int_equal(seen[HM_SIMDISK_TORN][mask] > 0, prefix);
        assert_true(seen[HM_SIMDISK_WRITES][mask] > 0);
    }
    assert_true(split > 100); /* torn in the middle of a page */
    for (int p = 0; p < HM_SIMDISK_PATTERNS_; p++) {
        assert_true(strlen(hm_simdisk_pattern_name((enum hm_simdisk_pattern)p)) > 0);
    }
}

/* A sector that was written three times is left as it was at any of these moments. */
HM_TEST(a_sector_stands_at_any_moment_since_its_sync)
{
    bool seen[4] = {false};

    for (uint64_t seed = 0; seed < 100; seed++) {
        struct hm_simdisk *disk = hm_simdisk_create("sim", 1);
        sqlite3_file *file = make_raw("sim", "f");

        CHECK_OK(write_raw(file, 0, 0, 512));
        CHECK_OK(sync_raw(file));
        for (int i = 1; i <= 3; i++) {
            CHECK_OK(write_raw(file, 0, i, 512));
        }
        cut_and_boot(disk, HM_SIMDISK_SECTORS, seed);
        seen[peek(disk, "f", 0)] = true;
        close_raw(file);
        hm_simdisk_destroy(disk);
    }
    assert_true(seen[0] && seen[1] && seen[2] && seen[3]);
}

/* A torn write spoils its neighbours in the block only on a disk that does not promise
 * to leave them alone. */
HM_TEST(a_torn_write_spoils_its_block_unless_powersafe)
{
    for (int powersafe = 0; powersafe < 2; powersafe++) {
        struct hm_simdisk *disk = hm_simdisk_create("sim", 1);
        sqlite3_file *file = make_raw("sim", "f");

        hm_simdisk_set_powersafe(disk, powersafe != 0);
        CHECK_OK(write_raw(file, 0, 1, 4096));
        CHECK_OK(sync_raw(file));
        CHECK_OK(write_raw(file, 2048, 2, 512));
        cut_and_boot(disk, HM_SIMDISK_TORN, 3);
        assert_int_equal(peek(disk, "f", 0) == 1 && peek(disk, "f", 4095) == 1,
                         powersafe);
        close_raw(file);
        hm_simdisk_destroy(disk);
    }
}

/* Random operations: with nothing surviving a file is what it was at its last sync,
 * with everything what it was at the end, whatever lies between. */
HM_TEST(a_file_is_undone_to_its_last_sync)
{
    enum { SIZE = 20000, STEPS = 40 };
    static uint8_t now[SIZE], synced[SIZE], is[SIZE];

    for (unsigned seed = 0; seed < 200; seed++) {
        enum hm_simdisk_pattern pattern =
            seed % 2 == 0 ? HM_SIMDISK_NONE : HM_SIMDISK_ALL;
        struct hm_simdisk *disk = hm_simdisk_create("sim", seed);
        sqlite3_file *file = make_raw("sim", "f");
        int64_t size = 0;
        int64_t size_synced = 0;

        memset(now, 0, sizeof now);
        CHECK_OK(sync_raw(file)); /* its name is there in any case */
        memset(synced, 0, sizeof synced);
        srand(seed);
        for (int i = 0; i < STEPS; i++) {
            int64_t offset = rand() % (SIZE - 8192);
            int len = rand() % 8192;
            int what = rand() % 8;

            if (what == 0) {
                CHECK_OK(sync_raw(file));
                memcpy(synced, now, sizeof now);
                size_synced = size;
            } else if (what == 1) {
                CHECK_OK(file->pMethods->xTruncate(file, offset));
                memset(now + offset, 0, (size_t)(SIZE - offset));
                size = offset;
            } else if (len > 0) {
                CHECK_OK(write_raw(file, offset, i + 1, len));
                memset(now + offset, i + 1, (size_t)len);
                size = size > offset + len ? size : offset + len;
            }
        }
        cut_and_boot(disk, pattern, seed);
        assert_int_equal(hm_simdisk_size(disk, "f"),
                         pattern == HM_SIMDISK_NONE ? size_synced : size);
        assert_true(hm_simdisk_peek(disk, "f", 0, is, sizeof is));
        assert_memory_equal(is, pattern == HM_SIMDISK_NONE ? synced : now, SIZE);
        close_raw(file);
        hm_simdisk_destroy(disk);
    }
}

/* A name that was made or removed since the folder was synced may be as before. */
HM_TEST(names_are_synced_too)
{
    struct hm_simdisk *disk = hm_simdisk_create("sim", 1);
    sqlite3_vfs *vfs = sqlite3_vfs_find("sim");
    sqlite3_file *file = make_raw("sim", "f");

    CHECK_OK(write_raw(file, 0, 1, 10));
    close_raw(file);
    cut_and_boot(disk, HM_SIMDISK_NONE, 1);
    assert_int_equal(hm_simdisk_size(disk, "f"), -1);

    file = make_raw("sim", "f");
    CHECK_OK(write_raw(file, 0, 2, 10));
    CHECK_OK(sync_raw(file));
    close_raw(file);
    CHECK_OK(vfs->xDelete(vfs, "f", 0));
    assert_int_equal(hm_simdisk_size(disk, "f"), -1);
    file = make_raw("sim", "f"); /* another file under the name */
    CHECK_OK(write_raw(file, 0, 3, 20));
    close_raw(file);
    cut_and_boot(disk, HM_SIMDISK_NONE, 1);
    assert_int_equal(hm_simdisk_size(disk, "f"), 10);
    assert_int_equal(peek(disk, "f", 0), 2);

    CHECK_OK(vfs->xDelete(vfs, "f", 0));
    file = open_raw("sim", "f-wal", SQLITE_OPEN_CREATE | SQLITE_OPEN_WAL);
    CHECK_OK(sync_raw(file)); /* as Linux's VFS: the folder with it */
    close_raw(file);
    cut_and_boot(disk, HM_SIMDISK_NONE, 1);
    assert_int_equal(hm_simdisk_size(disk, "f"), -1);
    assert_int_equal(hm_simdisk_size(disk, "f-wal"), 0);
    CHECK_OK(vfs->xDelete(vfs, "f-wal", 1));
    cut_and_boot(disk, HM_SIMDISK_NONE, 1);
    assert_int_equal(hm_simdisk_size(disk, "f-wal"), -1);
    hm_simdisk_destroy(disk);
}

/* As on Linux: after a failed sync the next one succeeds, and what the first should
 * have written is not there after a cut, unless its page was written again. */
HM_TEST(a_failed_sync_drops_what_it_should_have_written)
{
    struct hm_simdisk *disk = hm_simdisk_create("sim", 1);
    struct hm_simdisk_fault fault = {
        .classes = HM_SIMDISK_SYNC, .at = 1, .failure = HM_SIMDISK_EIO};
    sqlite3_file *file = make_raw("sim", "f");

    CHECK_OK(write_raw(file, 0, 1, 8192));
    CHECK_OK(sync_raw(file));
    CHECK_OK(write_raw(file, 0, 2, 8192));
    hm_simdisk_fail(disk, &fault);
    assert_int_equal(sync_raw(file), SQLITE_IOERR_FSYNC);
    assert_int_equal(hm_simdisk_failed(disk), 1);
    assert_int_equal(peek(disk, "f", 0), 2); /* still shown */
    CHECK_OK(write_raw(file, 100, 3, 1));
    CHECK_OK(sync_raw(file));
    hm_simdisk_kill(disk); /* a restart alone shows it, too */
    assert_int_equal(peek(disk, "f", 5000), 2);
    cut_and_boot(disk, HM_SIMDISK_ALL, 1);
    assert_int_equal(peek(disk, "f", 0), 2);
    assert_int_equal(peek(disk, "f", 100), 3);
    assert_int_equal(peek(disk, "f", 5000), 1);
    close_raw(file);
    hm_simdisk_destroy(disk);
}

/* The k-th operation fails and every later one; the k - 1 before did not notice. */
HM_TEST(a_cut_meets_the_operation_that_was_said)
{
    for (uint64_t k = 1; k <= 5; k++) {
        struct hm_simdisk *disk = hm_simdisk_create("sim", 1);
        struct hm_simdisk_cut cut = {.at = k, .pattern = HM_SIMDISK_ALL};
        sqlite3_file *file = make_raw("sim", "f");
        sqlite3_file *again;

        CHECK_OK(sync_raw(file));
        hm_simdisk_cut_at(disk, &cut);
        for (uint64_t i = 1; i <= 4; i++) {
            assert_int_equal(write_raw(file, (int64_t)i, (int)i, 1) == SQLITE_OK,
                             i < k);
        }
        assert_int_equal(hm_simdisk_is_dark(disk), k <= 4);
        assert_int_equal(sync_raw(file) == SQLITE_OK, false); /* the 5th of all */
        assert_true(hm_simdisk_is_dark(disk));
        hm_simdisk_boot(disk);
        assert_false(hm_simdisk_is_dark(disk));
        assert_int_equal(hm_simdisk_size(disk, "f"), k < 4 ? (int64_t)k + 1 : 5);
        assert_int_not_equal(write_raw(file, 0, 9, 1), SQLITE_OK); /* for ever */
        close_raw(file);
        again = open_raw("sim", "f", SQLITE_OPEN_MAIN_DB);
        CHECK_OK(write_raw(again, 0, 9, 1));
        close_raw(again);
        hm_simdisk_destroy(disk);
    }
}

/* A copy has what was shown, synced; writing to one of them is not seen in the other.
 */
HM_TEST(copies_share_until_one_writes)
{
    struct hm_simdisk *disk = hm_simdisk_create("sim", 1);
    sqlite3_file *file = make_raw("sim", "f");
    struct hm_simdisk *copy;
    sqlite3_file *other;

    CHECK_OK(write_raw(file, 0, 1, 8192));
    copy = hm_simdisk_copy(disk, "copy");
    assert_true(hm_simdisk_used_bytes(copy) == 8192);
    CHECK_OK(write_raw(file, 0, 2, 1));
    other = open_raw("copy", "f", SQLITE_OPEN_MAIN_DB);
    CHECK_OK(write_raw(other, 1, 3, 1));
    cut_and_boot(copy, HM_SIMDISK_NONE, 1);
    assert_int_equal(peek(copy, "f", 0), 1);
    assert_int_equal(peek(copy, "f", 1), 1);
    assert_int_equal(peek(disk, "f", 0), 2);
    assert_int_equal(peek(disk, "f", 1), 1);

    hm_simdisk_restore(disk, copy);
    assert_int_equal(peek(disk, "f", 0), 1);
    assert_int_not_equal(write_raw(file, 0, 2, 1), SQLITE_OK);
    close_raw(other);
    close_raw(file);
    hm_simdisk_flip(copy, "f", 8 * 8191 + 7);
    assert_int_equal(peek(copy, "f", 8191), 129);
    assert_int_equal(peek(disk, "f", 8191), 1);
    hm_simdisk_destroy(copy);
    assert_int_equal(peek(disk, "f", 8191), 1);
    hm_simdisk_destroy(disk);
}

/* -- Stores --------------------------------------------------------------------------
 */

static struct hm_db *open_db(const char *vfs)
{
    struct hm_db_options options = {.path = "s.db", .vfs = vfs};
    struct hm_db *db = NULL;
    int err = hm_db_open(&options, &db);

    return err == HM_OK ? db : NULL;
}

static int64_t count_rows(struct hm_db *db)
{
    int64_t count = -1;

    CHECK_OK(hm_db_query_int(db, "SELECT count(*) FROM t", &count));
    return count;
}

static int add_row(struct hm_db *db, int number)
{
    char sql[80];

    (void)snprintf(sql, sizeof sql, "INSERT INTO t VALUES (%d, randomblob(700))",
                   number);
    return hm_db_exec(db, sql);
}

/* Rows until the power fails; how many were answered. */
static int fill(struct hm_db *db)
{
    int answered = 0;

    while (answered < ROWS && add_row(db, answered) == HM_OK) {
        answered++;
    }
    return answered;
}

static struct hm_simdisk *make_store(void)
{
    struct hm_simdisk *disk = hm_simdisk_create("sim", 1);
    struct hm_db *db = open_db("sim");

    assert_non_null(db);
    CHECK_OK(hm_db_exec(db, "CREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB)"));
    hm_db_close(db);
    return disk;
}

/* Over all cuts of a run with a connection set up by pragma: how many answered rows
 * were lost. The store is sound in each case. */
static unsigned lost_rows(const char *pragma, bool powersafe)
{
    struct hm_simdisk *start = make_store();
    struct hm_simdisk *disk = hm_simdisk_create("try", 2);
    unsigned lost = 0;
    bool dark = true;

    hm_simdisk_set_powersafe(disk, powersafe);
    for (uint64_t k = 1; dark; k++) {
        for (int p = 0; p < HM_SIMDISK_PATTERNS_; p++) {
            struct hm_simdisk_cut cut = {
                .at = k, .pattern = (enum hm_simdisk_pattern)p, .seed = k};
            char report[200];
            struct hm_buf buf;
            struct hm_db *db;
            int answered;
            int64_t there;

            hm_simdisk_restore(disk, start);
            db = open_db("try");
            assert_non_null(db);
            CHECK_OK(hm_db_exec(db, pragma));
            hm_simdisk_cut_at(disk, &cut);
            answered = fill(db);
            dark = hm_simdisk_is_dark(disk);
            hm_simdisk_boot(disk);
            hm_db_close(db); /* after the boot, as a late one */
            db = open_db("try");
            assert_non_null(db);
            hm_buf_init(&buf, sizeof report);
            CHECK_OK(hm_db_check(db, &buf));
            hm_buf_deinit(&buf);
            there = count_rows(db);
            assert_true(there <= answered + 1);
            lost += there < answered ? (unsigned)(answered - there) : 0;
            hm_db_close(db);
        }
    }
    hm_simdisk_destroy(disk);
    hm_simdisk_destroy(start);
    return lost;
}

/* What FULL has answered is there after any cut, whatever the disk promises. */
HM_TEST(full_loses_nothing)
{
    assert_int_equal(lost_rows("PRAGMA synchronous = FULL", true), 0);
    assert_int_equal(lost_rows("PRAGMA synchronous = FULL", false), 0);
}

/* And the disk is cruel: who does not sync loses. */
HM_TEST(normal_loses_answered_rows)
{
    assert_true(lost_rows("PRAGMA synchronous = NORMAL", true) > 100);
}

/* Without any sync a checkpoint even breaks the file: here as on a real disk. */
HM_TEST(off_loses_and_breaks)
{
    struct hm_simdisk *disk = make_store();
    struct hm_db *db = open_db("sim");
    unsigned lost = 0;
    unsigned broken = 0;

    CHECK_OK(hm_db_exec(db, "PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 3"));
    assert_int_equal(fill(db), ROWS);
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct hm_simdisk *copy = hm_simdisk_copy(disk, "copy");
        struct hm_db *other;

        hm_db_close(db);
        db = open_db("copy");
        CHECK_OK(hm_db_exec(
            db, "PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 3;"
                "UPDATE t SET b = randomblob(3000); DELETE FROM t WHERE a % 3 = 0"));
        hm_simdisk_cut_now(copy, HM_SIMDISK_SECTORS, seed);
        hm_simdisk_boot(copy);
        hm_db_close(db);
        other = open_db("copy");
        if (other == NULL) {
            broken++;
        } else {
            struct hm_buf buf;
            int64_t count = 0;

            hm_buf_init(&buf, 10000);
            broken += hm_db_check(other, &buf) != HM_OK;
            lost += hm_db_query_int(other, "SELECT count(*) FROM t WHERE a % 3 = 0",
                                    &count) != HM_OK ||
                    count > 0;
            hm_buf_deinit(&buf);
            hm_db_close(other);
        }
        hm_simdisk_destroy(copy);
        db = open_db("sim");
    }
    assert_true(lost > 10);
    assert_true(broken > 10);
    hm_db_close(db);
    hm_simdisk_destroy(disk);
}

/* Two writers and a reader on one file behave as on a real disk. */
HM_TEST(connections_see_and_exclude_each_other)
{
    struct hm_simdisk *disk = make_store();
    struct hm_db *a = open_db("sim");
    struct hm_db *b = open_db("sim");
    struct hm_db *r = open_db("sim");

    CHECK_OK(add_row(a, 1));
    assert_int_equal(count_rows(b), 1);
    CHECK_OK(hm_db_begin_read(r));
    assert_int_equal(count_rows(r), 1);
    CHECK_OK(hm_db_begin(a));
    CHECK_OK(add_row(a, 2));
    assert_int_equal(hm_db_begin(b), HM_BUSY);
    assert_int_equal(count_rows(b), 1);
    CHECK_OK(hm_db_commit(a));
    assert_int_equal(count_rows(b), 2);
    assert_int_equal(count_rows(r), 1); /* its snapshot */
    CHECK_OK(hm_db_exec(b, "PRAGMA wal_checkpoint(PASSIVE)"));
    assert_int_equal(count_rows(r), 1);
    hm_db_rollback(r);
    assert_int_equal(count_rows(r), 2);
    hm_db_close(r);
    hm_db_close(b);
    hm_db_close(a);
    assert_int_equal(hm_simdisk_size(disk, "s.db-wal"),
                     -1); /* the last one tidied up */
    hm_simdisk_destroy(disk);
}

/* A killed process loses nothing that it wrote and holds no lock. */
HM_TEST(kill_keeps_writes_and_drops_locks)
{
    struct hm_simdisk *disk = make_store();
    struct hm_db *a = open_db("sim");
    struct hm_db *b;

    CHECK_OK(hm_db_exec(a, "PRAGMA synchronous = OFF"));
    CHECK_OK(add_row(a, 1));
    CHECK_OK(hm_db_begin(a));
    CHECK_OK(add_row(a, 2));
    hm_simdisk_kill(disk);
    b = open_db("sim");
    CHECK_OK(add_row(b, 3));
    assert_int_equal(count_rows(b), 2);
    hm_db_close(a);
    assert_int_equal(count_rows(b), 2);
    hm_db_close(b);
    hm_simdisk_destroy(disk);
}

static int write_with(struct hm_simdisk *disk, unsigned classes,
                      enum hm_simdisk_failure failure)
{
    struct hm_simdisk_fault fault = {
        .classes = classes, .at = 1, .lasting = true, .failure = failure};
    struct hm_db *db = open_db("sim");
    int err;

    assert_non_null(db);
    CHECK_OK(hm_db_exec(db, "PRAGMA wal_autocheckpoint = 1"));
    hm_simdisk_fail(disk, &fault);
    err = add_row(db, 1);
    if (err == HM_OK) {
        err = hm_db_exec(db, "PRAGMA wal_checkpoint(TRUNCATE)");
    }
    assert_true(hm_simdisk_failed(disk) > 0);
    hm_simdisk_heal(disk);
    hm_db_close(db);
    return err;
}

/* Each class of operation can fail, and the driver tells a full disk from a bad one. */
HM_TEST(faults_strike_their_class)
{
    struct hm_simdisk *disk = make_store();
    struct hm_simdisk_fault open = {
        .classes = HM_SIMDISK_OPEN, .at = 1, .failure = HM_SIMDISK_EIO};
    struct hm_db *db;

    assert_int_equal(write_with(disk, HM_SIMDISK_WRITE, HM_SIMDISK_ENOSPC), HM_NOSPACE);
    assert_int_equal(write_with(disk, HM_SIMDISK_WRITE, HM_SIMDISK_EIO), HM_IO);
    assert_int_equal(write_with(disk, HM_SIMDISK_SYNC, HM_SIMDISK_EIO), HM_IO);
    assert_int_equal(write_with(disk, HM_SIMDISK_TRUNCATE, HM_SIMDISK_EIO), HM_IO);
    hm_simdisk_fail(disk, &open);
    assert_null(open_db("sim"));
    hm_simdisk_fail(disk, &(struct hm_simdisk_fault){.classes = HM_SIMDISK_SHM,
                                                     .at = 1,
                                                     .failure = HM_SIMDISK_ENOSPC});
    assert_int_equal(
        hm_db_open(&(struct hm_db_options){.path = "s.db", .vfs = "sim"}, &db),
        HM_NOSPACE);
    hm_simdisk_heal(disk);
    db = open_db("sim");
    assert_non_null(db);
    hm_db_close(db);
    hm_simdisk_destroy(disk);
}

/* A fault meets the n-th of the file that it is about, once or from then on. */
HM_TEST(faults_count_what_concerns_them)
{
    struct hm_simdisk *disk = hm_simdisk_create("sim", 1);
    struct hm_simdisk_fault fault = {.classes = HM_SIMDISK_WRITE,
                                     .suffix = "-wal",
                                     .at = 2,
                                     .failure = HM_SIMDISK_EIO};
    sqlite3_file *db = make_raw("sim", "f");
    sqlite3_file *wal = make_raw("sim", "f-wal");
    uint8_t bytes[8];

    hm_simdisk_fail(disk, &fault);
    CHECK_OK(write_raw(db, 0, 1, 8));
    CHECK_OK(write_raw(wal, 0, 1, 8));
    CHECK_OK(write_raw(db, 0, 1, 8));
    assert_int_equal(write_raw(wal, 0, 1, 8), SQLITE_IOERR_WRITE);
    CHECK_OK(write_raw(wal, 0, 1, 8));
    fault.lasting = true;
    hm_simdisk_fail(disk, &fault);
    CHECK_OK(write_raw(wal, 0, 1, 8));
    assert_int_equal(write_raw(wal, 0, 1, 8), SQLITE_IOERR_WRITE);
    assert_int_equal(write_raw(wal, 0, 1, 8), SQLITE_IOERR_WRITE);
    hm_simdisk_heal(disk);
    CHECK_OK(write_raw(wal, 0, 1, 8));

    fault = (struct hm_simdisk_fault){
        .classes = HM_SIMDISK_READ, .at = 1, .failure = HM_SIMDISK_SHORT};
    hm_simdisk_fail(disk, &fault);
    assert_int_equal(db->pMethods->xRead(db, bytes, 8, 0), SQLITE_IOERR_SHORT_READ);
    assert_memory_equal(bytes, "\1\1\1\1\0\0\0\0", 8);
    CHECK_OK(db->pMethods->xRead(db, bytes, 8, 0));
    assert_int_equal(db->pMethods->xRead(db, bytes, 8, 4), SQLITE_IOERR_SHORT_READ);
    close_raw(db);
    close_raw(wal);
    hm_simdisk_destroy(disk);
}

/* A full disk refuses, keeps what was answered, and goes on when there is room. */
HM_TEST(a_full_disk_refuses_and_goes_on)
{
    struct hm_simdisk *disk = make_store();
    struct hm_db *db = open_db("sim");
    int answered = 0;
    int err;

    hm_simdisk_limit(disk, hm_simdisk_used_bytes(disk) + 20 * 4096);
    while ((err = add_row(db, answered)) == HM_OK) {
        answered++;
    }
    assert_int_equal(err, HM_NOSPACE);
    assert_true(answered > 0);
    assert_int_equal(count_rows(db), answered);
    hm_simdisk_limit(disk, UINT64_MAX);
    CHECK_OK(add_row(db, answered++));
    hm_simdisk_cut_now(disk, HM_SIMDISK_NONE, 1);
    hm_simdisk_boot(disk);
    hm_db_close(db);
    db = open_db("sim");
    assert_int_equal(count_rows(db), answered);
    hm_db_close(db);
    hm_simdisk_destroy(disk);
}

/* What it counts is what a cut counts; a store that reads does not change the disk. */
HM_TEST(counters_count)
{
    struct hm_simdisk *disk = make_store();
    struct hm_db *db = open_db("sim");
    struct hm_simdisk_counters before = hm_simdisk_counters(disk);
    struct hm_simdisk_counters after;

    assert_int_equal(count_rows(db), 0);
    after = hm_simdisk_counters(disk);
    assert_true(after.changes == before.changes && after.reads > before.reads);
    CHECK_OK(add_row(db, 1));
    after = hm_simdisk_counters(disk);
    assert_int_equal(after.changes - before.changes,
                     after.writes - before.writes + after.syncs - before.syncs);
    assert_int_equal(after.syncs - before.syncs,
                     2); /* the new WAL's header, the rest */
    assert_true(after.bytes_written > before.bytes_written);
    hm_db_close(db);
    hm_simdisk_destroy(disk);
}
