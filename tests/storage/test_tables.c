#include "storage/tables.h"

#include "tests/support/test.h"

/* The real tables must suit both engines; a reserved word would show only on one. */
HM_TEST(descriptions_are_sound)
{
    struct hm_buf report;
    int err;

    hm_buf_init(&report, 64 * 1024);
    err = hm_migrate_check(hm_tables_migrations, hm_tables_migration_count, &report);
    if (err != HM_OK) {
        print_error("%s", hm_buf_str(&report));
    }
    assert_int_equal(err, HM_OK);
    hm_buf_deinit(&report);
}
