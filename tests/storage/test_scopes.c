#include "storage/scopes.h"

#include "protocol/message.h"
#include "protocol/pack.h"
#include "storage/cursors.h"
#include "storage/feeds.h"
#include "storage/log.h"
#include "tests/support/village.h"

static struct hm_village v;
static struct hm_arena arena;

static void begin(void)
{
    hm_village_open(&v);
    hm_arena_init(&arena, 16 * 1024 * 1024);
}

static void end(void)
{
    hm_village_check_equal(&v);
    hm_village_close(&v);
    hm_arena_deinit(&arena);
}

static void reassign(struct hm_village_node *n, const uint32_t *scopes, size_t count)
{
    struct hm_store *s = v.centre.node.store;

    CHECK_OK(hm_store_begin(s));
    CHECK_OK(hm_store_end(s, hm_devices_reassign(s, n->node.device, scopes, count)));
}

static bool has(struct hm_village_node *n, const struct hm_household_id *id)
{
    uint32_t home = 0;
    int err = hm_households_home(n->node.store, id, &home);

    assert_true(err == HM_OK || err == HM_NOTFOUND);
    return err == HM_OK;
}

static uint64_t late_of(struct hm_village_node *n)
{
    uint64_t count = 0;

    CHECK_OK(hm_log_count_late(v.centre.node.store, n->node.device, &count));
    return count;
}

/* What n is leaving; its number is returned, the first one kept in *out. */
static size_t leaving(struct hm_village_node *n, struct hm_scope_leaving *out)
{
    struct hm_scope_leaving *all = NULL;
    uint32_t *held = NULL;
    size_t held_count = 0;
    size_t count = 0;

    CHECK_OK(hm_store_begin_read(n->node.store));
    CHECK_OK(hm_upload_scopes(n->node.store, &arena, &held, &held_count));
    CHECK_OK(hm_scopes_leaving(n->node.store, held, held_count, &arena, &all, &count));
    CHECK_OK(hm_store_end(n->node.store, HM_OK));
    if (count > 0) {
        *out = all[0];
    }
    return count;
}

static int64_t number(struct hm_village_node *n, const char *sql)
{
    int64_t value = -1;

    CHECK_OK(hm_db_query_int(hm_store_db(n->node.store), sql, &value));
    return value;
}

/* Until nothing moves; the feed of the scope brings all, and no hashes of it are
 * compared. */
static void sync_without_hashes(struct hm_village_node *n, uint32_t scope)
{
    for (bool more = true; more;) {
        struct hm_cursor_at at;

        more = hm_village_exchange(&v, n, false, NULL);
        CHECK_OK(hm_cursors_get(n->node.store, v.centre.node.device, scope, &at));
        assert_int_equal(at.repair, HM_REPAIR_NONE);
    }
}

/* Narrowed with unsent work: it goes up, is accepted and marked, and only then the
 * hamlet goes; the log of what was written there stays. */
HM_TEST(a_lost_hamlet_goes_when_its_work_is_at_the_centre)
{
    struct hm_village_node *a;
    struct hm_save_result lost;
    struct hm_save_result kept;
    struct hm_save_result born;
    struct hm_save_result edit;
    bool late = false;

    begin();
    lost = hm_village_new(&v, &v.centre, 0, "Lan", 1);
    kept = hm_village_new(&v, &v.centre, 1, "Minh", 1);
    a = hm_village_add(&v, "a", 3);
    edit = hm_village_put(&v, a, &lost.household, v.phone, "0905");
    born = hm_village_new(&v, a, 0, "Mới", 1);
    (void)hm_village_put(&v, a, &kept.household, v.phone, "0906");
    reassign(a, &v.hamlets[1], 1);
    hm_village_settle(&v);
    assert_string_equal(hm_village_shows(&v, &v.centre, &lost.household, v.phone),
                        "0905");
    assert_true(has(&v.centre, &born.household));
    assert_int_equal(hm_village_quarantined(&v.centre), 0);
    assert_int_equal(late_of(a), 2);
    CHECK_OK(hm_log_is_late(v.centre.node.store, &edit.dot, &late));
    assert_true(late);
    assert_false(has(a, &lost.household));
    assert_false(has(a, &born.household));
    assert_true(has(a, &kept.household));
    assert_int_equal(number(a, "SELECT COUNT(*) FROM entry WHERE n > 0"), 3);
    assert_int_equal(number(a, "SELECT COUNT(*) FROM standing"), 1);
    assert_int_equal(number(a, "SELECT COUNT(*) FROM household"), 1);
    end();
}

/* The link dies when all but the last reply has come: nothing goes before the receipt
 * is here, however often it dies. */
HM_TEST(nothing_goes_before_the_receipt_is_here)
{
    struct hm_scope_leaving left = {0};
    struct hm_village_node *a;
    struct hm_save_result lost;

    begin();
    lost = hm_village_new(&v, &v.centre, 0, "Lan", 1);
    a = hm_village_add(&v, "a", 3);
    (void)hm_village_put(&v, a, &lost.household, v.phone, "0905");
    reassign(a, &v.hamlets[1], 1);
    for (int i = 0; i < 3; i++) {
        (void)hm_village_exchange(&v, a, true, NULL);
        assert_true(has(a, &lost.household));
    }
    assert_string_equal(hm_village_shows(&v, &v.centre, &lost.household, v.phone),
                        "0905");
    assert_int_equal(leaving(a, &left), 0); /* it has not even heard of it */
    hm_village_settle(&v);
    assert_false(has(a, &lost.household));
    end();
}

/* A receipt of a hub is none of the centre. */
HM_TEST(a_receipt_of_level_1_is_not_enough)
{
    struct hm_scope_leaving left = {0};
    struct hm_village_node *a;
    struct hm_save_result lost;
    struct hm_store *s;
    uint64_t gone = 0;

    begin();
    lost = hm_village_new(&v, &v.centre, 0, "Lan", 1);
    a = hm_village_add(&v, "a", 3);
    s = a->node.store;
    (void)hm_village_put(&v, a, &lost.household, v.phone, "0905");
    CHECK_OK(hm_store_begin(s));
    for (unsigned level = HM_LEVEL_HUB; level <= HM_LEVEL_CENTRE; level++) {
        CHECK_OK(
            hm_log_set_receipt(s, 4711, hm_store_own_log(s)->incarnation, 2, level));
        CHECK_OK(hm_scopes_leave(s, &v.hamlets[1], 1, &arena, &gone));
        assert_int_equal(gone, level == HM_LEVEL_HUB ? 0 : 1);
        assert_int_equal(has(a, &lost.household), level == HM_LEVEL_HUB);
    }
    CHECK_OK(hm_store_end(s, HM_INVALID) == HM_INVALID ? HM_OK : HM_IO);
    CHECK_OK(hm_store_begin(s));
    CHECK_OK(
        hm_log_set_receipt(s, 4711, hm_store_own_log(s)->incarnation, 2, HM_LEVEL_HUB));
    CHECK_OK(hm_store_end(s, HM_OK));
    reassign(a, &v.hamlets[1], 1);
    (void)hm_village_put(&v, a, &lost.household, v.note, "muộn");
    (void)hm_village_exchange(&v, a, true, NULL);
    assert_int_equal(leaving(a, &left), 0);
    hm_village_settle(&v);
    assert_false(has(a, &lost.household));
    end();
}

/* What is leaving can be told, and how much it waits for. */
HM_TEST(what_leaves_is_told_while_it_waits)
{
    struct hm_scope_leaving left = {0};
    struct hm_scope_leaving *all = NULL;
    struct hm_village_node *a;
    struct hm_save_result lost;
    size_t count = 0;

    begin();
    lost = hm_village_new(&v, &v.centre, 0, "Lan", 1);
    (void)hm_village_new(&v, &v.centre, 0, "Hoa", 1);
    a = hm_village_add(&v, "a", 3);
    (void)hm_village_put(&v, a, &lost.household, v.phone, "0905");
    (void)hm_village_put(&v, a, &lost.household, v.note, "x");
    CHECK_OK(hm_store_begin_read(a->node.store));
    CHECK_OK(hm_scopes_leaving(a->node.store, &v.hamlets[1], 1, &arena, &all, &count));
    CHECK_OK(hm_store_end(a->node.store, HM_OK));
    assert_int_equal(count, 1);
    assert_int_equal(all[0].scope, v.hamlets[0]);
    assert_int_equal(all[0].households, 2);
    assert_int_equal(all[0].waits, 2);
    assert_int_equal(leaving(a, &left), 0); /* it is held */
    hm_village_settle(&v);
    end();
}

/* A - B - A with edits at each: both hamlets get theirs, and the laptop ends with what
 * is in A now, its own edits among it. */
HM_TEST(there_and_back_with_edits_at_each)
{
    for (int heard = 0; heard < 2; heard++) {
        struct hm_village_node *a;
        struct hm_village_node *b;
        struct hm_save_result in_a;
        struct hm_save_result in_b;

        begin();
        in_a = hm_village_new(&v, &v.centre, 0, "Lan", 1);
        (void)hm_village_new(&v, &v.centre, 0, "Hoa", 1); /* nobody touches it */
        in_b = hm_village_new(&v, &v.centre, 1, "Minh", 1);
        a = hm_village_add(&v, "a", 1);
        b = hm_village_add(&v, "b", 3);
        (void)hm_village_put(&v, a, &in_a.household, v.phone, "1");
        reassign(a, &v.hamlets[1], 1);
        if (heard != 0) {
            hm_village_settle(&v);
            assert_false(has(a, &in_a.household));
            (void)hm_village_put(&v, a, &in_b.household, v.phone, "2");
        }
        (void)hm_village_put(&v, b, &in_a.household, v.note, "b was here");
        (void)hm_village_sync(&v, b);
        reassign(a, &v.hamlets[0], 1);
        sync_without_hashes(a, v.hamlets[0]);
        hm_village_settle(&v);
        assert_string_equal(hm_village_shows(&v, a, &in_a.household, v.phone), "1");
        assert_string_equal(hm_village_shows(&v, a, &in_a.household, v.note),
                            "b was here");
        assert_false(has(a, &in_b.household));
        assert_string_equal(hm_village_shows(&v, &v.centre, &in_b.household, v.phone),
                            heard != 0 ? "2" : "");
        (void)hm_village_put(&v, a, &in_a.household, v.phone, "3");
        hm_village_settle(&v);
        assert_string_equal(hm_village_shows(&v, &v.centre, &in_a.household, v.phone),
                            "3");
        assert_int_equal(hm_village_siblings(&v, &v.centre, &in_a.household, v.phone),
                         1);
        assert_int_equal(hm_village_quarantined(&v.centre), 0);
        end();
    }
}

/* Assigned again before it has gone: the feed goes on where it was. */
HM_TEST(assigned_again_before_it_went_nothing_is_sent_twice)
{
    struct hm_village_node *a;
    struct hm_save_result first;
    uint64_t down = 0;

    begin();
    first = hm_village_new(&v, &v.centre, 0, "Lan", 1);
    for (int i = 0; i < 60; i++) {
        (void)hm_village_new(&v, &v.centre, 0, "Nguyễn Thị Lan", 4);
    }
    a = hm_village_add(&v, "a", 3);
    hm_village_settle(&v);
    reassign(a, &v.hamlets[1], 1);
    (void)hm_village_exchange(&v, a, true, NULL); /* not heard of */
    reassign(a, v.hamlets, 2);
    (void)hm_village_put(&v, a, &first.household, v.phone, "1");
    for (bool more = true; more;) {
        more = hm_village_exchange(&v, a, false, NULL);
        down += v.down_bytes;
    }
    assert_true(down < 2000);
    end();
}

static uint32_t make_unit(enum hm_unit_kind kind, const char *code, uint32_t parent)
{
    struct hm_store *s = v.centre.node.store;
    struct hm_unit unit = {.kind = kind,
                           .code = code,
                           .name = code,
                           .parent = parent,
                           .valid_from = "",
                           .valid_to = "",
                           .former = "",
                           .note = ""};
    uint32_t id = 0;

    CHECK_OK(hm_store_begin(s));
    CHECK_OK(hm_store_end(s, hm_units_put(s, &unit, &id)));
    return id;
}

static uint32_t parent_of(uint32_t unit)
{
    struct hm_unit found;

    CHECK_OK(hm_units_get(v.centre.node.store, unit, &arena, &found));
    return found.parent;
}

/* A commune is assigned: every hamlet under it, and one that is made later. */
HM_TEST(a_higher_unit_means_every_hamlet_under_it)
{
    struct hm_village_node *a;
    struct hm_save_result later;
    struct hm_save_result old;
    uint32_t commune;

    begin();
    old = hm_village_new(&v, &v.centre, 2, "Hoa", 1);
    a = hm_village_add(&v, "a", 1);
    commune = parent_of(v.hamlets[0]);
    reassign(a, &commune, 1);
    hm_village_settle(&v);
    assert_true(has(a, &old.household));
    v.hamlets[1] = make_unit(HM_UNIT_HAMLET, "19885044", commune);
    later = hm_village_new(&v, &v.centre, 1, "Mai", 1);
    hm_village_settle(&v);
    assert_true(has(a, &later.household));
    (void)hm_village_put(&v, a, &later.household, v.phone, "1");
    hm_village_settle(&v);
    assert_string_equal(hm_village_shows(&v, &v.centre, &later.household, v.phone),
                        "1");
    assert_int_equal(hm_village_quarantined(&v.centre), 0);
    end();
}

/* A merger: a hamlet comes to lie in another commune, and its code is used again. */
static void move_hamlet(uint32_t hamlet, uint32_t commune)
{
    struct hm_store *s = v.centre.node.store;
    struct hm_unit_period before;
    struct hm_unit unit;
    uint32_t id = 0;

    CHECK_OK(hm_units_get(s, hamlet, &arena, &unit));
    before =
        (struct hm_unit_period){unit.code, unit.name, unit.parent, "", "2026-06-30"};
    unit.earlier = &before;
    unit.earlier_count = 1;
    unit.code = "19990001";
    unit.parent = commune;
    unit.valid_from = "2026-07-01";
    CHECK_OK(hm_store_begin(s));
    CHECK_OK(hm_store_end(s, hm_units_put(s, &unit, &id)));
}

HM_TEST(a_merger_of_communes_takes_a_hamlet_along)
{
    struct hm_village_node *old;
    struct hm_village_node *new;
    struct hm_save_result h;
    uint32_t commune;
    uint32_t other;

    begin();
    h = hm_village_new(&v, &v.centre, 0, "Lan", 1);
    old = hm_village_add(&v, "old", 0);
    new = hm_village_add(&v, "new", 2);
    commune = parent_of(v.hamlets[0]);
    other = make_unit(HM_UNIT_COMMUNE, "19990", parent_of(commune));
    reassign(old, &commune, 1);
    reassign(new, &other, 1);
    hm_village_settle(&v);
    assert_true(has(old, &h.household));
    assert_false(has(new, &h.household));
    (void)hm_village_put(&v, old, &h.household, v.phone, "0905");
    move_hamlet(v.hamlets[0], other);
    (void)make_unit(HM_UNIT_HAMLET, "19885001", commune); /* the code of another now */
    hm_village_settle(&v);
    assert_string_equal(hm_village_shows(&v, &v.centre, &h.household, v.phone), "0905");
    assert_int_equal(late_of(old), 1);
    assert_int_equal(hm_village_quarantined(&v.centre), 0);
    assert_false(has(old, &h.household));
    assert_true(has(new, &h.household));
    end();
}

/* The household says that it lives elsewhere, as a move does. */
static void move_household(const struct hm_household_id *id, uint32_t scope)
{
    struct hm_store *s = v.centre.node.store;
    struct hm_save_cell cell = {.field = HM_FIELD_SCOPE};
    struct hm_save_row row = {
        .form = HM_FORM_HOUSEHOLD, .facts = true, .cells = &cell, .cell_count = 1};
    struct hm_save save = {
        .household = *id, .scope = scope, .rank = 12, .rows = &row, .row_count = 1};
    struct hm_save_result out;
    struct hm_buf value;

    hm_buf_init(&value, 16);
    hm_pack_uint(&value, scope);
    cell.value = hm_buf_bytes(&value);
    CHECK_OK(hm_store_begin(s));
    CHECK_OK(hm_store_end(
        s, hm_save_run(s, &save, hm_forms_policy_of, v.centre.forms, &arena, &out)));
    hm_buf_deinit(&value);
}

/* It leaves the feed of the one hamlet as one that left, and comes whole in the other;
 * what somebody still wrote to it goes up first, and is marked. */
HM_TEST(a_household_that_moved_leaves_who_does_not_hold_its_new_hamlet)
{
    for (int edits = 0; edits < 2; edits++) {
        struct hm_village_node *old;
        struct hm_village_node *both;
        struct hm_village_node *new;
        struct hm_save_result h;
        struct hm_save_result stays;

        begin();
        h = hm_village_new(&v, &v.centre, 0, "Lan", 1);
        stays = hm_village_new(&v, &v.centre, 0, "Hoa", 1);
        old = hm_village_add(&v, "old", 1);
        both = hm_village_add(&v, "both", 3);
        new = hm_village_add(&v, "new", 2);
        hm_village_settle(&v);
        if (edits != 0) {
            (void)hm_village_put(&v, old, &h.household, v.phone, "0905");
        }
        move_household(&h.household, v.hamlets[1]);
        sync_without_hashes(old, v.hamlets[0]);
        assert_false(has(old, &h.household));
        hm_village_settle(&v);
        assert_true(has(old, &stays.household));
        assert_true(has(both, &h.household));
        assert_true(has(new, &h.household));
        assert_string_equal(hm_village_shows(&v, new, &h.household, v.phone),
                            edits != 0 ? "0905" : "");
        assert_int_equal(late_of(old), edits);
        assert_int_equal(hm_village_quarantined(&v.centre), 0);
        hm_village_check_equal(&v);
        move_household(&h.household, v.hamlets[0]);
        hm_village_settle(&v);
        assert_true(has(old, &h.household));
        assert_true(has(both, &h.household));
        assert_false(has(new, &h.household));
        end();
    }
}

/* Whoever missed that it left, since the parent does not know its place in the feed any
 * more, is told by hashes. */
HM_TEST(hashes_tell_what_left)
{
    static const struct hm_cursor_at nowhere;
    struct hm_village_node *old;
    struct hm_save_result h;

    begin();
    h = hm_village_new(&v, &v.centre, 0, "Lan", 1);
    (void)hm_village_new(&v, &v.centre, 0, "Hoa", 1);
    old = hm_village_add(&v, "old", 1);
    hm_village_settle(&v);
    move_household(&h.household, v.hamlets[1]);
    CHECK_OK(hm_store_begin(old->node.store));
    CHECK_OK(hm_store_end(
        old->node.store,
        hm_cursors_set(old->node.store, v.centre.node.device, v.hamlets[0], &nowhere)));
    hm_village_settle(&v);
    assert_false(has(old, &h.household));
    end();
}

/* A device may be late where it was once, and nowhere else. */
HM_TEST(what_was_never_held_is_refused_as_before)
{
    struct hm_village_node *a;
    struct hm_save_result far;
    struct hm_device device;

    begin();
    far = hm_village_new(&v, &v.centre, 2, "Xa", 1);
    a = hm_village_add(&v, "a", 7);
    (void)hm_village_put(&v, a, &far.household, v.phone, "1");
    reassign(a, &v.hamlets[0], 1);
    reassign(a, v.hamlets, 2);
    CHECK_OK(hm_devices_get(v.centre.node.store, a->node.device, &arena, &device));
    assert_int_equal(device.former_count, 1); /* not what it has again */
    assert_int_equal(device.former[0], v.hamlets[2]);
    hm_village_settle(&v);
    assert_int_equal(hm_village_quarantined(&v.centre), 0);
    assert_int_equal(late_of(a), 1);
    end();
}
