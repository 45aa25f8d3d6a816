#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "storage/db.h"
#include "tests/support/simdisk.h"
#include "tests/support/test.h"

enum { PAGE_BYTES = 4096, ROWS = 60 };

static const char path[] = "s.db";

static int open_db(const char *file, struct hm_db **out_db)
{
    struct hm_db_options options = {.path = file, .vfs = "sim"};

    return hm_db_open(&options, out_db);
}

/* A closed store with rows in some tens of pages, overflowing ones too. */
static struct hm_simdisk *make_store(void)
{
    struct hm_simdisk *disk = hm_simdisk_create("sim", 1);
    struct hm_db *db;
    char sql[100];

    CHECK_OK(open_db(path, &db));
    CHECK_OK(hm_db_exec(db, "CREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB);"
                            "CREATE INDEX t_b ON t (b)"));
    for (int i = 0; i < ROWS; i++) {
        (void)snprintf(sql, sizeof sql, "INSERT INTO t VALUES (%d, randomblob(%d))", i,
                       100 * i);
        CHECK_OK(hm_db_exec(db, sql));
    }
    hm_db_close(db);
    return disk;
}

/* Read all rows, by the table and by the index. */
static int read_all(void)
{
    struct hm_db *db = NULL;
    int64_t sum = 0;
    int err = open_db(path, &db);

    if (err == HM_OK) {
        err =
            hm_db_query_int(db, "SELECT sum(length(hex(b))) FROM t NOT INDEXED", &sum);
    }
    if (err == HM_OK) {
        err = hm_db_query_int(db, "SELECT sum(length(hex(b))) FROM t INDEXED BY t_b",
                              &sum);
    }
    hm_db_close(db);
    return err;
}

/* One bit anywhere, one sector of zeros, a page at another page's place: whoever reads
 * it is told, and gets nothing else. */
HM_TEST(damage_anywhere_is_told)
{
    struct hm_simdisk *whole = make_store();
    struct hm_simdisk *disk;
    uint8_t zeros[512] = {0};
    uint8_t page[PAGE_BYTES];
    int64_t size = hm_simdisk_size(whole, path);

    CHECK_OK(read_all());
    disk = hm_simdisk_copy(whole, NULL);
    for (int64_t byte = 0; byte < size; byte += 211) {
        hm_simdisk_flip(whole, path, 8 * byte + byte % 8);
        assert_int_equal(read_all(), HM_CORRUPT);
        hm_simdisk_restore(whole, disk);
    }
    for (int64_t at = 0; at < size; at += PAGE_BYTES) {
        assert_true(hm_simdisk_peek(whole, path, at + 3584, page, 512));
        hm_simdisk_scribble(whole, path, at + 3584, zeros, sizeof zeros);
        assert_int_equal(read_all(), HM_CORRUPT);
        hm_simdisk_restore(whole, disk);
        assert_true(hm_simdisk_peek(whole, path, at, page, sizeof page));
        hm_simdisk_scribble(whole, path, (at + PAGE_BYTES) % size, page, sizeof page);
        assert_int_equal(read_all(), HM_CORRUPT);
        hm_simdisk_restore(whole, disk);
    }
    CHECK_OK(read_all());
    hm_simdisk_destroy(disk);
    hm_simdisk_destroy(whole);
}

/* SQLite takes what a short read leaves out for zeros. */
HM_TEST(a_short_read_is_no_page)
{
    struct hm_simdisk *disk = make_store();
    uint64_t met = 0;

    for (uint64_t at = 1; met + 1 >= at; at++) {
        struct hm_simdisk_fault fault = {.classes = HM_SIMDISK_READ,
                                         .suffix = ".db",
                                         .at = at,
                                         .failure = HM_SIMDISK_SHORT};
        int err;

        hm_simdisk_fail(disk, &fault);
        err = read_all();
        if (hm_simdisk_failed(disk) > 0) {
            met = at;
            assert_true(at <= 3 || err == HM_CORRUPT); /* the first are of the header */
        }
        hm_simdisk_heal(disk);
        CHECK_OK(read_all());
    }
    assert_true(met > 30);
    hm_simdisk_destroy(disk);
}

/* A store that somebody wrote without sums is none of ours. */
HM_TEST(a_file_without_sums_is_refused)
{
    struct hm_simdisk *disk = hm_simdisk_create("sim", 1);
    sqlite3 *other = NULL;
    struct hm_db *db = NULL;

    CHECK_OK(sqlite3_open_v2(path, &other, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                             "sim"));
    CHECK_OK(sqlite3_exec(other, "PRAGMA journal_mode = WAL; CREATE TABLE t (a)", NULL,
                          NULL, NULL));
    CHECK_OK(sqlite3_close(other));
    assert_int_equal(open_db(path, &db), HM_CORRUPT);
    hm_simdisk_destroy(disk);
}

/* Any SQLite can read a store, and what it holds. */
HM_TEST(other_programs_can_read_it)
{
    struct hm_simdisk *disk = make_store();
    sqlite3 *other = NULL;

    CHECK_OK(sqlite3_open_v2(path, &other, SQLITE_OPEN_READONLY, "sim"));
    CHECK_OK(sqlite3_exec(other, "SELECT hex(b) FROM t", NULL, NULL, NULL));
    CHECK_OK(sqlite3_close(other));
    hm_simdisk_destroy(disk);
}
