#include "protocol/message.h"
#include "storage/log.h"
#include "tests/support/village.h"

/* A finished form that is opened again before it was sent: a further change over an own
 * one names what stood behind it, too, until the centre is known to hold that. */

static struct hm_village v;
static struct hm_village_node *a;
static struct hm_save_result home;
static struct hm_arena arena;

static void begin(void)
{
    hm_village_open(&v);
    hm_arena_init(&arena, 16 * 1024 * 1024);
    home = hm_village_new(&v, &v.centre, 0, "Lan", 1);
    (void)hm_village_put(&v, &v.centre, &home.household, v.phone, "0");
    a = hm_village_add(&v, "a", 1);
}

static void end(void)
{
    hm_village_settle(&v);
    hm_village_check_equal(&v);
    hm_arena_deinit(&arena);
    hm_village_close(&v);
}

static struct hm_dot put(const char *text)
{
    return hm_village_put(&v, a, &home.household, v.phone, text).dot;
}

/* How many dots a change of the phone names. */
static size_t named(const struct hm_dot *dot)
{
    struct hm_bytes bytes = {0};
    struct hm_change change;
    int verdict = HM_OK;

    CHECK_OK(hm_log_entry(a->node.store, dot->incarnation, dot->n, &arena, &bytes,
                          &verdict));
    CHECK_OK(hm_change_decode(bytes, dot, &arena, &change));
    assert_int_equal(change.row_count, 1);
    assert_int_equal(change.rows[0].cell_count, 1);
    return change.rows[0].cells[0].replaced_count;
}

static void check(const char *text, size_t siblings)
{
    assert_string_equal(hm_village_shows(&v, &v.centre, &home.household, v.phone),
                        text);
    assert_int_equal(hm_village_siblings(&v, &v.centre, &home.household, v.phone),
                     siblings);
}

/* Saved, opened again, changed, sent once: as if it had been written once. */
HM_TEST(changed_again_and_sent_once)
{
    struct hm_village_node *b;
    struct hm_dot dot;

    begin();
    b = hm_village_add(&v, "b", 1);
    (void)put("1");
    (void)put("2");
    dot = put("3");
    assert_int_equal(named(&dot), 3); /* the two before, and the centre's */
    hm_village_settle(&v);
    check("3", 1);
    (void)hm_village_put(&v, b, &home.household, v.phone, "b");
    dot = put("4");
    assert_int_equal(named(&dot), 1); /* the centre holds 3 */
    dot = put("5");
    assert_int_equal(named(&dot), 2);
    hm_village_settle(&v);
    check("5", 2); /* 5 and b: a person decides between two, not three */
    end();
}

/* The first of them is refused: what it had replaced does not come back beside the
 * second. */
HM_TEST(what_a_refused_one_replaced_stays_replaced)
{
    static const uint8_t one[] = {0xa1, '1'};
    struct hm_save_cell cell = {.value = hm_bytes_of(one, sizeof one)};
    struct hm_save_row row = {.cells = &cell, .cell_count = 1};
    struct hm_save save = {.rank = 15, .rows = &row, .row_count = 1};
    struct hm_save_result out;

    begin();
    cell.field = v.phone;
    row.form = v.form;
    save.household = home.household;
    save.scope = v.hamlets[0];
    CHECK_OK(hm_store_begin(a->node.store));
    CHECK_OK(hm_store_end(
        a->node.store,
        hm_save_run(a->node.store, &save, hm_forms_policy_of, a->forms, &arena, &out)));
    (void)put("2");
    hm_village_settle(&v);
    assert_int_equal(hm_village_quarantined(&v.centre), 1);
    check("2", 1);
    end();
}

/* Sent halfway: the reply to the first was lost, so that its author does not know. */
HM_TEST(changed_again_when_the_first_was_sent)
{
    struct hm_dot dot;

    begin();
    (void)put("1");
    (void)hm_village_exchange(&v, a, true, NULL);
    check("1", 1);
    dot = put("2");
    assert_true(named(&dot) > 1);
    (void)hm_village_exchange(&v, a, true, NULL);
    check("2", 1);
    hm_village_settle(&v);
    dot = put("3");
    assert_int_equal(named(&dot), 1);
    hm_village_settle(&v);
    check("3", 1);
    end();
}

/* At a hub it could still be lost with the hub. */
HM_TEST(a_receipt_of_a_hub_is_not_enough)
{
    struct hm_store *s;
    struct hm_dot first;
    struct hm_dot dot;

    begin();
    s = a->node.store;
    first = put("1");
    for (unsigned level = HM_LEVEL_HUB; level <= HM_LEVEL_CENTRE; level++) {
        CHECK_OK(hm_store_begin(s));
        CHECK_OK(hm_log_set_receipt(s, v.centre.node.device, first.incarnation,
                                    first.n + level, level));
        CHECK_OK(hm_store_end(s, HM_OK));
        dot = put(level == HM_LEVEL_HUB ? "2" : "3");
        assert_int_equal(named(&dot) > 1, level == HM_LEVEL_HUB);
    }
    CHECK_OK(hm_store_begin(s));
    CHECK_OK(hm_store_end(s, hm_log_forget_receipts(s, v.centre.node.device)));
    hm_village_settle(&v);
    check("3", 1);
    end();
}

/* A member that was added and taken out again before anything was sent. */
HM_TEST(a_member_added_and_removed_before_it_was_sent)
{
    struct hm_save_result added;

    begin();
    added = hm_village_put_member(&v, a, &home.household, NULL, v.member_name, "Minh");
    assert_int_equal(added.item_count, 1);
    (void)hm_village_put_member(&v, a, &home.household, &added.items[0], v.member_name,
                                "Minh hơn");
    (void)hm_village_remove_member(&v, a, &home.household, &added.items[0]);
    hm_village_restart(a);
    (void)put("1");
    hm_village_settle(&v);
    check("1", 1);
    assert_int_equal(hm_village_conflicts(&v.centre), 0);
    end();
}
