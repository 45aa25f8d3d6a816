/* Whoever's value is replaced by another hears of it, once, until it is read. */
#include <string.h>

#include "storage/notices.h"
#include "tests/support/pen.h"

static struct hm_village v;
static struct hm_village_node *a;
static struct hm_save_result home;

static void begin(void)
{
    hm_village_open(&v);
    a = hm_village_add(&v, "a", 1);
    home = hm_village_new(&v, a, 0, "Lan", 1);
    hm_village_settle(&v);
}

static uint64_t count(struct hm_village_node *n)
{
    uint64_t out = 0;

    CHECK_OK(hm_notices_count(n->node.store, &out));
    return out;
}

struct last {
    struct hm_notice notice;
    uint8_t lost[64];
    uint8_t value[64];
};

static int keep(void *arg, const struct hm_notice *notice)
{
    struct last *last = arg;

    last->notice = *notice;
    assert_true(notice->lost.len <= 64 && notice->value.len <= 64);
    memcpy(last->lost, notice->lost.data, notice->lost.len);
    memcpy(last->value, notice->value.data, notice->value.len);
    return HM_OK;
}

/* Both write; the centre decides for its own. */
static void lose(void)
{
    (void)hm_village_put(&v, a, &home.household, v.phone, "0901");
    (void)hm_village_put(&v, &v.centre, &home.household, v.phone, "0902");
    hm_village_settle(&v);
    assert_int_equal(count(a), 0); /* both stand */
    (void)hm_village_resolve(&v, &v.centre, &home.household, v.phone, "0902");
    hm_village_settle(&v);
}

HM_TEST(the_one_whose_value_lost_hears_it)
{
    struct last last;

    begin();
    lose();
    assert_int_equal(count(a), 1);
    assert_int_equal(count(&v.centre), 0);
    CHECK_OK(hm_notices_each(a->node.store, keep, &last));
    assert_int_equal(last.notice.field, v.phone);
    assert_int_equal(hm_household_id_compare(&last.notice.household, &home.household),
                     0);
    assert_memory_equal(last.lost,
                        "\xa4"
                        "0901",
                        5);
    assert_memory_equal(last.value,
                        "\xa4"
                        "0902",
                        5);
    assert_true(last.notice.device == v.centre.node.device);
    assert_true(last.notice.utc_ms > 0 && last.notice.lost_utc_ms > 0);
    hm_village_close(&v);
}

/* It stays over a restart, until it is read; then it does not come again. */
HM_TEST(until_it_is_read)
{
    struct last last;

    begin();
    lose();
    hm_village_restart(a);
    assert_int_equal(count(a), 1);
    CHECK_OK(hm_notices_each(a->node.store, keep, &last));
    CHECK_OK(hm_store_begin(a->node.store));
    CHECK_OK(hm_notices_clear(a->node.store, &last.notice.hash));
    assert_int_equal(hm_notices_clear(a->node.store, &last.notice.hash), HM_NOTFOUND);
    CHECK_OK(hm_store_end(a->node.store, HM_OK));
    assert_int_equal(count(a), 0);
    (void)hm_village_put(&v, &v.centre, &home.household, v.phone, "0903");
    hm_village_settle(&v);
    assert_int_equal(count(a), 0);
    hm_village_close(&v);
}

/* Nothing was lost: the same value was chosen, or the own one, or the author changed
 * it. */
HM_TEST(nothing_to_hear)
{
    begin();
    (void)hm_village_put(&v, a, &home.household, v.phone, "0901");
    (void)hm_village_put(&v, &v.centre, &home.household, v.phone, "0902");
    (void)hm_village_put(&v, a, &home.household, v.note, "x");
    (void)hm_village_put(&v, &v.centre, &home.household, v.note, "y");
    hm_village_settle(&v);
    (void)hm_village_resolve(&v, &v.centre, &home.household, v.phone, "0901");
    (void)hm_village_resolve(&v, a, &home.household, v.note, "z");
    (void)hm_village_put(&v, a, &home.household, v.name, "Hoa");
    hm_village_settle(&v);
    assert_int_equal(count(a), 0);
    hm_village_close(&v);
}

/* What was refused is in quarantine, and no notice beside it. */
HM_TEST(what_was_refused)
{
    struct hm_save_cell cell = {v.phone,
                                hm_bytes_of("\xa1"
                                            "7",
                                            2),
                                NULL, 0};
    struct hm_save_row row = {.cells = &cell, .cell_count = 1};
    struct hm_save save = {.rank = 9, .rows = &row, .row_count = 1};
    struct hm_save_result result;
    struct hm_arena arena;

    begin();
    (void)hm_village_put(&v, &v.centre, &home.household, v.phone, "0902");
    cell.field = v.phone;
    row.form = v.form;
    save.household = home.household;
    save.scope = v.hamlets[0];
    hm_arena_init(&arena, 64 * 1024 * 1024);
    CHECK_OK(hm_store_begin(a->node.store));
    CHECK_OK(hm_store_end(a->node.store,
                          hm_save_run(a->node.store, &save, hm_forms_policy_of,
                                      a->forms, &arena, &result)));
    hm_arena_deinit(&arena);
    hm_village_settle(&v);
    assert_int_equal(hm_village_quarantined(a), 1);
    assert_string_equal(hm_village_shows(&v, a, &home.household, v.phone), "0902");
    assert_int_equal(count(a), 0);
    hm_village_close(&v);
}
