/* Every read of the disk fails once, or every allocation, under functions that could
 * take that for something else. */
#include "tests/support/fault.h"
#include "tests/support/simdisk.h"
#include "tests/support/village.h"

static struct hm_village v;
static struct hm_household_id id;
static struct hm_simdisk *disk;

static const char *disk_of(void *arg, const char *node)
{
    return arg != NULL && node[0] == 'c' ? "sim" : NULL;
}

/* A centre on a simulated disk, with a household whose tags differ: no conflict, since
 * their policy is union; in a store that keeps nothing in memory. */
static void open_village(void)
{
    struct hm_village_node *a;
    struct hm_save_result made;

    disk = hm_simdisk_create("sim", 1);
    hm_village_open_on(&v, disk_of, &v);
    made = hm_village_new(&v, &v.centre, 0, "Lan", 1);
    id = made.household;
    a = hm_village_add(&v, "a", 1);
    (void)hm_village_put(&v, a, &id, v.tags, "a");
    (void)hm_village_put(&v, &v.centre, &id, v.tags, "b");
    hm_village_settle(&v);
    assert_int_equal(hm_village_siblings(&v, &v.centre, &id, v.tags), 2);
    assert_int_equal(hm_village_conflicts(&v.centre), 0);
}

static void close_village(void)
{
    hm_village_close(&v);
    hm_simdisk_destroy(disk);
}

/* Runs act with the 1st, 2nd .. read failing, each time on a store that was just
 * opened; act returns what a caller got. */
static unsigned each_read(int (*act)(void))
{
    unsigned met = 0;

    for (uint64_t at = 1; at == met + 1; at++) {
        struct hm_simdisk_fault fault = {
            .classes = HM_SIMDISK_READ, .at = at, .failure = HM_SIMDISK_EIO};
        int err;

        hm_village_restart(&v.centre);
        CHECK_OK(hm_db_exec(hm_store_db(v.centre.node.store),
                            "PRAGMA cache_size = 1; PRAGMA shrink_memory"));
        hm_simdisk_fail(disk, &fault);
        err = act();
        if (hm_simdisk_failed(disk) > 0) {
            met++;
            assert_int_equal(err, HM_IO);
        } else {
            assert_int_equal(err, HM_OK);
        }
        hm_simdisk_heal(disk);
    }
    return met;
}

static int load(void)
{
    struct hm_household h;
    struct hm_arena arena;
    int err;

    hm_arena_init(&arena, HM_HOUSEHOLD_ARENA_BYTES_MAX);
    err = hm_households_load(v.centre.node.store, &id, &arena, &h);
    hm_arena_deinit(&arena);
    return err;
}

/* Counts conflicts anew, with forms that are read anew. */
static void recount(void *arg)
{
    struct hm_store *s = v.centre.node.store;
    struct hm_forms *forms = NULL;
    int err = hm_store_begin(s);

    (void)arg;
    CHECK_OK(err);
    err = hm_forms_open(s, &forms);
    if (err == HM_OK) {
        err = hm_households_recount(s, hm_forms_policy_of, forms);
    }
    hm_forms_close(forms);
    err = hm_store_end(s, err);
    assert_true(err == HM_OK || (err == HM_NOMEM && hm_fault_happened()));
    if (hm_fault_happened()) { /* else it could meet the next line */
        assert_int_equal(hm_village_conflicts(&v.centre), 0);
    }
}

/* A disk that fails is not a damaged household. */
HM_TEST(a_household_that_cannot_be_read_is_not_damaged)
{
    open_village();
    assert_true(each_read(load) > 2);
    close_village();
}

static enum hm_field_policy ask(void *arg, const struct hm_row_key *row, uint32_t field)
{
    (void)arg;
    (void)row;
    (void)field;
    return HM_FIELD_POLICY_ASK;
}

/* A store keeps its statements: they are no memory left behind. */
static void keep_statements(void)
{
    struct hm_store *s = v.centre.node.store;

    CHECK_OK(hm_store_begin(s));
    CHECK_OK(hm_households_recount(s, ask, NULL));
    assert_int_equal(hm_village_conflicts(&v.centre), 1);
    assert_int_equal(hm_store_end(s, HM_CANCELED), HM_CANCELED);
    recount(NULL);
}

/* A form that cannot be read for want of memory is not one without policies: nothing is
 * counted by it. */
HM_TEST(a_form_that_cannot_be_read_is_not_missing)
{
    open_village();
    keep_statements();
    assert_true(hm_fault_each(recount, NULL) >= 4);
    close_village();
}
