#include "storage/db.h"
#include "tests/support/simdisk.h"
#include "tests/support/test.h"

static struct hm_db *open_db(void)
{
    struct hm_db_options options = {.path = "s.db", .vfs = "sim"};
    struct hm_db *db = NULL;

    CHECK_OK(hm_db_open(&options, &db));
    return db;
}

static int64_t rows(struct hm_db *db)
{
    int64_t count = -1;

    CHECK_OK(hm_db_query_int(db, "SELECT count(*) FROM t", &count));
    return count;
}

/* After a failed sync the system shows what it never wrote. A process that starts again
 * must not build on that: what it answers would go with it at the next power cut. */
HM_TEST(nothing_is_built_on_a_failed_sync)
{
    struct hm_simdisk *disk = hm_simdisk_create("sim", 1);
    struct hm_simdisk_fault fault = {
        .classes = HM_SIMDISK_SYNC, .at = 1, .failure = HM_SIMDISK_EIO};
    struct hm_db *dead = open_db();
    struct hm_db *db;

    CHECK_OK(hm_db_exec(dead, "CREATE TABLE t (a INTEGER PRIMARY KEY);"
                              "INSERT INTO t VALUES (1)"));
    hm_simdisk_fail(disk, &fault);
    assert_int_equal(hm_db_exec(dead, "INSERT INTO t VALUES (2)"), HM_IO);
    hm_simdisk_kill(disk);
    hm_db_close(dead);
    db = open_db();
    assert_int_equal(rows(db), 2); /* as the system shows it */
    CHECK_OK(hm_db_exec(db, "INSERT INTO t VALUES (3)"));
    hm_simdisk_cut_now(disk, HM_SIMDISK_NONE, 1);
    hm_simdisk_boot(disk);
    hm_db_close(db);
    db = open_db();
    assert_int_equal(rows(db), 3);
    hm_db_close(db);
    hm_simdisk_destroy(disk);
}

/* A disk that cannot write the log again is found out before anything is answered. */
HM_TEST(a_disk_that_still_fails_is_not_opened)
{
    struct hm_simdisk *disk = hm_simdisk_create("sim", 1);
    struct hm_simdisk_fault fault = {.classes = HM_SIMDISK_SYNC,
                                     .at = 1,
                                     .lasting = true,
                                     .failure = HM_SIMDISK_EIO};
    struct hm_db_options options = {.path = "s.db", .vfs = "sim"};
    struct hm_db *dead = open_db();
    struct hm_db *db = NULL;

    CHECK_OK(hm_db_exec(dead, "CREATE TABLE t (a INTEGER PRIMARY KEY)"));
    hm_simdisk_fail(disk, &fault);
    assert_int_equal(hm_db_exec(dead, "INSERT INTO t VALUES (2)"), HM_IO);
    hm_simdisk_kill(disk);
    hm_db_close(dead);
    assert_int_equal(hm_db_open(&options, &db), HM_IO);
    assert_null(db);
    options.read_only = true; /* reads alone are no promise */
    CHECK_OK(hm_db_open(&options, &db));
    hm_db_close(db);
    hm_simdisk_destroy(disk);
}

/* A second writer does not wait for the first, which has done it. */
HM_TEST(a_writer_that_lives_is_not_waited_for)
{
    struct hm_simdisk *disk = hm_simdisk_create("sim", 1);
    struct hm_db *first = open_db();
    struct hm_db *second;

    CHECK_OK(hm_db_exec(first, "CREATE TABLE t (a INTEGER PRIMARY KEY)"));
    CHECK_OK(hm_db_begin(first));
    second = open_db();
    assert_int_equal(hm_db_begin(second), HM_BUSY);
    CHECK_OK(hm_db_exec(first, "INSERT INTO t VALUES (1)"));
    CHECK_OK(hm_db_commit(first));
    assert_int_equal(rows(second), 1);
    hm_db_close(second);
    hm_db_close(first);
    hm_simdisk_destroy(disk);
}
