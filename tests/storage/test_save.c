#include <stdio.h>
#include <string.h>

#include "protocol/pack.h"
#include "storage/feeds.h"
#include "storage/log.h"
#include "tests/support/village.h"

enum { ARENA_BYTES = 64 * 1024 * 1024, CELLS_MAX = 8 };

static struct hm_village v;

/* A save under construction: rows with a few text cells. */
struct form {
    struct hm_save save;
    struct hm_save_row rows[300];
    struct hm_save_cell cells[300][CELLS_MAX];
    struct hm_arena arena;
};
static struct form f;

static struct hm_bytes packed(const char *text)
{
    struct hm_bytes out;
    struct hm_buf buf;

    hm_buf_init(&buf, 5000);
    if (text == NULL) {
        hm_pack_nil(&buf);
    } else {
        hm_pack_str(&buf, hm_bytes_str(text));
    }
    CHECK_OK(buf.err);
    CHECK_OK(hm_arena_copy(&f.arena, hm_buf_bytes(&buf), &out));
    hm_buf_deinit(&buf);
    return out;
}

static void form_new(void)
{
    f.save = (struct hm_save){
        .creates = true, .scope = v.hamlets[0], .rank = 4, .rows = f.rows};
}

static void form_for(const struct hm_household_id *id)
{
    form_new();
    f.save.creates = false;
    f.save.household = *id;
}

static struct hm_save_row *form_row(uint32_t repeat, const struct hm_item *item)
{
    struct hm_save_row *row = &f.rows[f.save.row_count];

    *row = (struct hm_save_row){
        .form = v.form, .repeat = repeat, .cells = f.cells[f.save.row_count]};
    if (item != NULL) {
        row->item = *item;
    }
    f.save.row_count++;
    return row;
}

static void form_cell(uint32_t field, const char *text)
{
    struct hm_save_row *row = &f.rows[f.save.row_count - 1];

    row->cells[row->cell_count++] =
        (struct hm_save_cell){.field = field, .value = packed(text)};
}

/* Runs the form and ends the transaction by its result; commits when always is set. */
static int run(struct hm_village_node *n, bool always, struct hm_save_result *out)
{
    struct hm_store *s = n->node.store;
    int err;
    int ended;

    CHECK_OK(hm_store_begin(s));
    err = hm_save_run(s, &f.save, hm_forms_policy_of, n->forms, &f.arena, out);
    ended = hm_store_end(s, always ? HM_OK : err);
    assert_int_equal(ended, always ? HM_OK : err);
    return err;
}

static void begin(void)
{
    hm_arena_init(&f.arena, ARENA_BYTES);
    hm_village_open(&v);
}

static void end(void)
{
    hm_village_close(&v);
    hm_arena_deinit(&f.arena);
}

static int64_t count(struct hm_village_node *n, const char *sql)
{
    int64_t out = 0;

    CHECK_OK(hm_db_query_int(hm_store_db(n->node.store), sql, &out));
    return out;
}

static int64_t rows_of_log(struct hm_village_node *n)
{
    return count(n, "SELECT (SELECT COUNT(*) FROM entry) * 1000 + "
                    "(SELECT COUNT(*) FROM incarnation)");
}

static void assert_digest_fits(struct hm_village_node *n)
{
    struct hm_hash stored = hm_village_digest(n, v.hamlets[0]);
    struct hm_hash computed;
    uint64_t households;

    CHECK_OK(
        hm_households_recompute(n->node.store, v.hamlets[0], &computed, &households));
    assert_memory_equal(stored.bytes, computed.bytes, HM_HASH_BYTES);
}

/* Saving what is there already costs no entry, no position, not even a new log after a
 * restart. */
HM_TEST(unchanged_values_write_nothing)
{
    struct hm_save_result made;
    struct hm_save_result again;
    struct hm_feed_state before;
    struct hm_feed_state after;
    int64_t rows;

    begin();
    made = hm_village_new(&v, &v.centre, 0, "Lan", 1);
    hm_village_restart(&v.centre);
    rows = rows_of_log(&v.centre);
    CHECK_OK(hm_feeds_get(v.centre.node.store, v.hamlets[0], &before));
    for (int i = 0; i < 2; i++) {
        form_for(&made.household);
        form_row(0, NULL);
        form_cell(v.name, "Lan");
        form_cell(v.phone, NULL); /* clearing what is empty */
        form_row(v.members, &made.items[0]);
        form_cell(v.member_name, "Lan");
        CHECK_OK(run(&v.centre, false, &again));
        assert_false(again.changed);
    }
    CHECK_OK(hm_feeds_get(v.centre.node.store, v.hamlets[0], &after));
    assert_memory_equal(&before, &after, sizeof before);
    assert_int_equal(rows_of_log(&v.centre), rows);
    /* And then a real one. */
    assert_true(hm_village_put(&v, &v.centre, &made.household, v.phone, "1").changed);
    assert_digest_fits(&v.centre);
    end();
}

/* Only what differs is written, however much of the page is sent. */
HM_TEST(only_the_difference_is_written)
{
    struct hm_save_result made;
    struct hm_save_result out;
    struct hm_change change;
    struct hm_bytes bytes;
    int verdict;

    begin();
    made = hm_village_new(&v, &v.centre, 0, "Lan", 0);
    form_for(&made.household);
    form_row(0, NULL);
    form_cell(v.name, "Lan");
    form_cell(v.phone, "1");
    CHECK_OK(run(&v.centre, false, &out));
    CHECK_OK(hm_log_entry(v.centre.node.store, out.dot.incarnation, out.dot.n, &f.arena,
                          &bytes, &verdict));
    CHECK_OK(hm_change_decode(bytes, &out.dot, &f.arena, &change));
    assert_int_equal(change.row_count, 1);
    assert_int_equal(change.rows[0].cell_count, 1);
    assert_int_equal(change.rows[0].cells[0].field, v.phone);
    end();
}

/* New rows get items of this change, in the order of the save; rows and cells in any
 * order make the same canonical change. */
HM_TEST(new_rows_get_items_in_their_order)
{
    struct hm_save_result made;
    struct hm_change change;
    struct hm_bytes bytes;
    int verdict;

    begin();
    form_new();
    form_row(v.members, NULL);
    form_cell(v.birth_year, "x"); /* not checked here */
    form_cell(v.member_name, "first");
    form_row(v.members, NULL);
    form_cell(v.member_name, "second");
    form_row(0, NULL);
    form_cell(v.note, "n");
    form_cell(v.name, "Lan");
    CHECK_OK(run(&v.centre, false, &made));
    assert_int_equal(made.item_count, 2);
    assert_int_equal(made.items[0].n, made.dot.n);
    assert_int_equal(made.items[0].k, 1);
    assert_int_equal(made.items[1].k, 2);
    CHECK_OK(hm_log_entry(v.centre.node.store, made.dot.incarnation, made.dot.n,
                          &f.arena, &bytes, &verdict));
    CHECK_OK(hm_change_decode(bytes, &made.dot, &f.arena, &change));
    assert_int_equal(change.row_count, 3);
    assert_int_equal(change.rows[0].key.repeat, 0);
    assert_true(change.rows[0].cells[0].field < change.rows[0].cells[1].field);
    assert_int_equal(change.rows[1].key.item.k, 1);
    end();
}

/* What stands twice is a fault of the caller: nothing is written. */
HM_TEST(nothing_stands_twice)
{
    struct hm_save_result made;
    struct hm_save_result out;
    int64_t rows;

    begin();
    made = hm_village_new(&v, &v.centre, 0, "Lan", 0);
    rows = rows_of_log(&v.centre);
    form_for(&made.household);
    form_row(0, NULL);
    form_cell(v.phone, "1");
    form_cell(v.phone, "2");
    assert_int_equal(run(&v.centre, false, &out), HM_INVALID);
    form_for(&made.household);
    form_row(0, NULL);
    form_cell(v.phone, "1");
    form_row(0, NULL);
    form_cell(v.note, "2");
    assert_int_equal(run(&v.centre, false, &out), HM_INVALID);
    assert_int_equal(rows_of_log(&v.centre), rows);
    end();
}

/* A member keeps the item of the register in every other form, and a change that was
 * refused brings its own items back; nobody else invents one. */
HM_TEST(a_row_may_take_an_item_that_is_known)
{
    struct hm_save_result made;
    struct hm_save_result out;
    struct hm_item known;
    struct hm_item foreign = {5, 5, 5};

    begin();
    made = hm_village_new(&v, &v.centre, 0, "Lan", 1);
    known = made.items[0];
    form_for(&made.household);
    form_row(v.members, &known)->round = 7;
    form_cell(v.member_name, "Lan");
    CHECK_OK(run(&v.centre, false, &out));
    assert_true(out.changed);
    form_for(&made.household);
    form_row(v.members, &foreign);
    form_cell(v.member_name, "back");
    assert_int_equal(run(&v.centre, false, &out), HM_NOTFOUND);
    f.save.restores = true;
    CHECK_OK(run(&v.centre, false, &out));
    end();
}

HM_TEST(what_is_not_there_is_said)
{
    struct hm_household_id nobody = {5, 5};
    struct hm_save_result made;
    struct hm_save_result out;
    struct hm_item item = {5, 5, 5};

    begin();
    form_new();
    assert_int_equal(run(&v.centre, false, &out), HM_INVALID);
    form_row(0, NULL);
    form_cell(v.phone, NULL);
    assert_int_equal(run(&v.centre, false, &out), HM_INVALID);
    form_for(&nobody);
    form_row(0, NULL);
    form_cell(v.phone, "1");
    assert_int_equal(run(&v.centre, false, &out), HM_NOTFOUND);
    assert_int_equal(count(&v.centre, "SELECT COUNT(*) FROM incarnation"), 0);
    made = hm_village_new(&v, &v.centre, 0, "Lan", 1);
    form_for(&made.household);
    form_row(v.members, &item)->removed = true;
    assert_int_equal(run(&v.centre, false, &out), HM_NOTFOUND);
    form_for(&made.household);
    form_row(v.members, &item);
    form_cell(v.member_name, "nobody");
    assert_int_equal(run(&v.centre, false, &out), HM_NOTFOUND);
    end();
}

/* A removal names what was seen; the second one finds nothing to do. */
HM_TEST(a_row_is_removed_once)
{
    struct hm_save_result made;
    struct hm_item item;

    begin();
    made = hm_village_new(&v, &v.centre, 0, "Lan", 1);
    item = made.items[0];
    assert_true(
        hm_village_remove_member(&v, &v.centre, &made.household, &item).changed);
    assert_false(
        hm_village_remove_member(&v, &v.centre, &made.household, &item).changed);
    assert_int_equal(hm_village_conflicts(&v.centre), 0);
    assert_digest_fits(&v.centre);
    end();
}

/* More than a change holds: refused with a line, and nothing is left behind even when
 * the caller goes on and commits. */
HM_TEST(too_much_leaves_nothing_behind)
{
    static char text[4001];
    struct hm_save_result out;
    int64_t rows;

    begin();
    (void)hm_village_new(&v, &v.centre, 0, "Lan", 0);
    rows = rows_of_log(&v.centre);
    memset(text, 'x', 4000);
    form_new();
    for (int i = 0; i < 9; i++) {
        form_row(v.members, NULL);
        form_cell(v.member_name, text);
    }
    assert_int_equal(run(&v.centre, true, &out), HM_TOOBIG);
    assert_non_null(strstr(hm_store_errmsg(v.centre.node.store), "32 kB"));
    assert_int_equal(rows_of_log(&v.centre), rows);
    assert_int_equal(hm_village_households(&v.centre), 1);
    end();
}

/* The same for a household that grows, save by save, over what a state holds. */
HM_TEST(a_household_grows_to_its_limit)
{
    static char text[4001];
    struct hm_save_result made;
    struct hm_save_result out;
    int64_t rows = 0;
    int err = HM_OK;

    begin();
    made = hm_village_new(&v, &v.centre, 0, "Lan", 0);
    memset(text, 'x', 4000);
    for (int i = 0; i < 60 && err == HM_OK; i++) {
        struct hm_arena kept = f.arena;

        hm_arena_init(&f.arena, ARENA_BYTES);
        rows = rows_of_log(&v.centre);
        form_for(&made.household);
        for (int j = 0; j < 7; j++) {
            form_row(v.members, NULL);
            form_cell(v.member_name, text);
        }
        err = run(&v.centre, true, &out);
        hm_arena_deinit(&f.arena);
        f.arena = kept;
    }
    assert_int_equal(err, HM_TOOBIG);
    assert_true(hm_store_errmsg(v.centre.node.store)[0] != 0);
    assert_int_equal(rows_of_log(&v.centre), rows);
    assert_true(hm_village_put(&v, &v.centre, &made.household, v.phone, "1").changed);
    assert_digest_fits(&v.centre);
    end();
}

/* A save that is rolled back was never there: no log, no state, and the next save has
 * the first number. */
HM_TEST(a_rollback_leaves_no_incarnation)
{
    struct hm_store *s;
    struct hm_save_result out;
    struct hm_save_result made;

    begin();
    s = v.centre.node.store;
    form_new();
    form_row(0, NULL);
    form_cell(v.name, "Lan");
    CHECK_OK(hm_store_begin(s));
    CHECK_OK(
        hm_save_run(s, &f.save, hm_forms_policy_of, v.centre.forms, &f.arena, &out));
    assert_int_equal(hm_store_end(s, HM_AGAIN), HM_AGAIN);
    assert_int_equal(count(&v.centre, "SELECT COUNT(*) FROM incarnation"), 0);
    assert_int_equal(count(&v.centre, "SELECT COUNT(*) FROM entry"), 0);
    assert_int_equal(hm_village_households(&v.centre), 0);
    CHECK_OK(run(&v.centre, false, &made));
    assert_int_equal(made.dot.n, 1);
    assert_digest_fits(&v.centre);
    end();
}

/* Two saves of one household in one transaction: the second sees the first. */
HM_TEST(saves_of_one_transaction_see_each_other)
{
    struct hm_store *s;
    struct hm_save_result made;
    struct hm_save_result out;

    begin();
    s = v.centre.node.store;
    form_new();
    form_row(0, NULL);
    form_cell(v.name, "Lan");
    CHECK_OK(hm_store_begin(s));
    CHECK_OK(
        hm_save_run(s, &f.save, hm_forms_policy_of, v.centre.forms, &f.arena, &made));
    form_for(&made.household);
    form_row(0, NULL);
    form_cell(v.name, "Lan Anh");
    CHECK_OK(
        hm_save_run(s, &f.save, hm_forms_policy_of, v.centre.forms, &f.arena, &out));
    CHECK_OK(hm_store_end(s, HM_OK));
    assert_int_equal(out.dot.n, made.dot.n + 1);
    assert_int_equal(hm_village_siblings(&v, &v.centre, &made.household, v.name), 1);
    assert_string_equal(hm_village_shows(&v, &v.centre, &made.household, v.name),
                        "Lan Anh");
    end();
}

/* In a cell with a conflict the page shows one value: saving the page leaves the
 * conflict alone, another value decides it, and so does a resolution for the value
 * that is shown. */
HM_TEST(a_conflicted_cell_is_left_alone)
{
    for (int decides = 0; decides < 2; decides++) {
        struct hm_village_node *a;
        struct hm_village_node *b;
        struct hm_save_result h;
        char shown[64];

        begin();
        h = hm_village_new(&v, &v.centre, 0, "Lan", 0);
        a = hm_village_add(&v, "a", 1);
        b = hm_village_add(&v, "b", 1);
        (void)hm_village_put(&v, a, &h.household, v.phone, "111");
        (void)hm_village_put(&v, b, &h.household, v.phone, "222");
        hm_village_settle(&v);
        (void)snprintf(shown, sizeof shown, "%s",
                       hm_village_shows(&v, a, &h.household, v.phone));
        assert_false(hm_village_put(&v, a, &h.household, v.phone, shown).changed);
        assert_int_equal(hm_village_conflicts(a), 1);
        if (decides == 0) {
            (void)hm_village_put(&v, a, &h.household, v.phone, "333");
        } else {
            assert_true(
                hm_village_resolve(&v, a, &h.household, v.phone, shown).changed);
        }
        assert_int_equal(hm_village_conflicts(a), 0);
        hm_village_settle(&v);
        assert_int_equal(hm_village_conflicts(&v.centre), 0);
        hm_village_check_equal(&v);
        end();
    }
}

/* A write over an own change that the centre has not receipted names also what that
 * change replaced: should the first never arrive, the old value is still replaced. */
HM_TEST(unsent_changes_hand_down_what_they_replaced)
{
    struct hm_village_node *a;
    struct hm_save_result h;
    struct hm_save_result old;
    struct hm_save_result first;
    struct hm_save_result second;
    struct hm_save_result third;

    begin();
    h = hm_village_new(&v, &v.centre, 0, "Lan", 0);
    old = hm_village_put(&v, &v.centre, &h.household, v.phone, "0");
    a = hm_village_add(&v, "a", 1);
    first = hm_village_put(&v, a, &h.household, v.phone, "1");
    second = hm_village_put(&v, a, &h.household, v.phone, "2");
    for (int sent = 0; sent < 2; sent++) {
        const struct hm_cell_write *write;
        struct hm_change change;
        struct hm_bytes bytes;
        int verdict;
        struct hm_save_result *last = sent == 0 ? &second : &third;

        if (sent == 1) {
            (void)hm_village_sync(&v, a);
            third = hm_village_put(&v, a, &h.household, v.phone, "3");
        }
        CHECK_OK(hm_log_entry(a->node.store, last->dot.incarnation, last->dot.n,
                              &f.arena, &bytes, &verdict));
        CHECK_OK(hm_change_decode(bytes, &last->dot, &f.arena, &change));
        write = &change.rows[0].cells[0];
        assert_int_equal(write->replaced_count, sent == 0 ? 2 : 1);
        for (size_t i = 0; i < write->replaced_count; i++) {
            const struct hm_dot *dot = &write->replaced[i];

            if (sent == 0) {
                assert_true(hm_dot_compare(dot, &first.dot) == 0 ||
                            hm_dot_compare(dot, &old.dot) == 0);
            } else {
                assert_int_equal(hm_dot_compare(dot, &second.dot), 0);
            }
        }
    }
    end();
}
