#include <errno.h>

#include "storage/db.h"
#include "tests/support/simdisk.h"
#include "tests/support/test.h"

static int from_errno(int number)
{
    return number == 0 ? HM_OK : number == ENOSPC ? HM_NOSPACE : HM_IO;
}

static int make_file(void *disk, const char *path)
{
    return from_errno(hm_simdisk_make(disk, path));
}

static int sync_file(void *disk, const char *path)
{
    return from_errno(hm_simdisk_sync(disk, path));
}

static int rename_file(void *disk, const char *from, const char *to)
{
    int number = hm_simdisk_rename(disk, from, to);

    return from_errno(number != 0 ? number : hm_simdisk_sync_names(disk));
}

static void remove_file(void *disk, const char *path)
{
    (void)hm_simdisk_remove(disk, path); /* it need not be there */
}

/* A device that is full while the copy is opened, written or synced is said to be full,
 * and nothing is left of the copy. (The power is cut in tests/crash.) */
HM_TEST(a_backup_to_a_full_disk_says_so)
{
    struct hm_simdisk *disk = hm_simdisk_create("sim", 1);
    const struct hm_db_folder folder = {make_file, sync_file, rename_file, remove_file,
                                        disk};
    struct hm_db_options options = {.path = "s.db", .vfs = "sim"};
    struct hm_db *db;
    unsigned failed = 0;
    int err = HM_NOSPACE;

    CHECK_OK(hm_db_open(&options, &db));
    CHECK_OK(
        hm_db_exec(db, "CREATE TABLE t (a); INSERT INTO t VALUES (zeroblob(20000))"));
    for (uint64_t at = 1; err != HM_OK; at++) {
        struct hm_simdisk_fault fault = {.classes = HM_SIMDISK_OPEN | HM_SIMDISK_WRITE,
                                         .suffix = ".part",
                                         .at = at,
                                         .failure = HM_SIMDISK_ENOSPC};

        hm_simdisk_fail(disk, &fault);
        err = hm_db_backup_to(db, &folder, "b.db", NULL, NULL);
        hm_simdisk_heal(disk);
        assert_true(err == HM_NOSPACE || err == HM_OK);
        assert_int_equal(hm_simdisk_size(disk, "b.db.part"), -1);
        assert_int_equal(hm_simdisk_size(disk, "b.db") > 0, err == HM_OK);
        failed += err != HM_OK;
    }
    assert_true(failed >= 5);
    hm_db_close(db);
    hm_simdisk_destroy(disk);
}
