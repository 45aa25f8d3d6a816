#include "storage/log.h"
#include "tests/support/village.h"

static struct hm_village v;

static int check(void)
{
    CHECK_OK(hm_store_begin_read(v.centre.node.store));
    return hm_store_end(v.centre.node.store, hm_log_check_tail(v.centre.node.store));
}

static void spoil(const char *sql)
{
    CHECK_OK(hm_db_exec(hm_store_db(v.centre.node.store), sql));
}

/* What was saved last is found to be whole, or not. */
HM_TEST(each_part_of_the_tail_is_looked_at)
{
    static const char *const damage[] = {
        "UPDATE entry SET bytes = x'00' WHERE n = 2",
        "UPDATE entry SET chain = zeroblob(16) WHERE n = 3",
        "DELETE FROM entry WHERE n = 2",
        "DELETE FROM entry WHERE n = 3",
        "UPDATE incarnation SET entries = entries - 1",
        "UPDATE incarnation SET chain = zeroblob(16)",
    };

    for (size_t i = 0; i < sizeof damage / sizeof damage[0]; i++) {
        hm_village_open(&v);
        CHECK_OK(check()); /* nothing there */
        for (int j = 0; j < 3; j++) {
            (void)hm_village_new(&v, &v.centre, 0, "Lan", 1);
        }
        CHECK_OK(check());
        spoil(damage[i]);
        assert_int_equal(check(), HM_CORRUPT);
        assert_string_equal(hm_store_errmsg(v.centre.node.store),
                            "this node's own log does not fit");
        hm_village_close(&v);
    }
}

/* Sealed entries are not read again, and what follows them is. */
HM_TEST(only_the_tail_is_looked_at)
{
    struct hm_village_node *a;
    struct hm_log log;

    hm_village_open(&v);
    a = hm_village_add(&v, "a", 1);
    (void)hm_village_new(&v, a, 0, "Lan", 1);
    (void)hm_village_sync(&v, a); /* seals */
    (void)hm_village_new(&v, a, 0, "Minh", 1);
    CHECK_OK(hm_store_begin_read(a->node.store));
    CHECK_OK(
        hm_log_get(a->node.store, hm_store_own_log(a->node.store)->incarnation, &log));
    assert_true(log.sealed > 0 && log.sealed < log.entries);
    assert_int_equal(hm_store_end(a->node.store, hm_log_check_tail(a->node.store)),
                     HM_OK);
    CHECK_OK(hm_db_exec(hm_store_db(a->node.store), "DELETE FROM segment"));
    CHECK_OK(hm_store_begin_read(a->node.store));
    assert_int_equal(hm_store_end(a->node.store, hm_log_check_tail(a->node.store)),
                     HM_OK);
    hm_village_close(&v);
}
