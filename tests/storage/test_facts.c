/* Households that move, are merged and are deleted, while others edit them. */
#include <stdlib.h>

#include "protocol/fact.h"
#include "protocol/pack.h"
#include "storage/decisions.h"
#include "storage/redirects.h"
#include "tests/support/village.h"

enum { ARENA_BYTES = 64 * 1024 * 1024 };

static struct hm_village v;
static struct hm_village_node *a; /* the first hamlet */
static struct hm_village_node *b; /* the second */
static struct hm_save_result home;

static void begin(void)
{
    hm_village_open(&v);
    a = hm_village_add(&v, "a", 1);
    b = hm_village_add(&v, "b", 2);
    home = hm_village_new(&v, a, 0, "Lan", 1);
    hm_village_settle(&v);
}

static void end(void)
{
    hm_village_settle(&v);
    hm_village_check_equal(&v);
    assert_int_equal(hm_village_quarantined(&v.centre), 0);
    hm_village_close(&v);
}

/* Say something of a household; the error. decision: it can be undone. */
static int try_say(struct hm_village_node *n, const struct hm_household_id *id,
                   uint32_t field, struct hm_bytes target, struct hm_dot *out_dot)
{
    struct hm_save_cell cell = {field, target, NULL, 0};
    struct hm_save_row row = {
        .form = HM_FORM_HOUSEHOLD, .cells = &cell, .cell_count = 1, .facts = true};
    struct hm_save save = {.household = *id, .rank = 4, .rows = &row, .row_count = 1};
    struct hm_save_result result = {.changed = false};
    struct hm_household h;
    struct hm_arena arena;
    int err;

    n->node.now_ms += 1000;
    hm_arena_init(&arena, ARENA_BYTES);
    CHECK_OK(hm_store_begin(n->node.store));
    err = hm_households_load(n->node.store, id, &arena, &h);
    if (err == HM_OK) {
        save.scope = hm_fact_shown_scope(&h);
        err = hm_decisions_save(n->node.store, &save, 0, &h, hm_forms_policy_of,
                                n->forms, &arena, &result);
    }
    err = hm_store_end(n->node.store, err);
    hm_arena_deinit(&arena);
    if (out_dot != NULL) {
        *out_dot = result.dot;
    }
    return err;
}

static struct hm_dot say(struct hm_village_node *n, const struct hm_household_id *id,
                         uint32_t field, struct hm_bytes target)
{
    struct hm_dot dot;

    CHECK_OK(try_say(n, id, field, target, &dot));
    return dot;
}

static struct hm_dot move(struct hm_village_node *n, const struct hm_household_id *id,
                          unsigned hamlet)
{
    struct hm_buf target;
    struct hm_dot dot;

    hm_buf_init(&target, 16);
    hm_pack_uint(&target, v.hamlets[hamlet]);
    dot = say(n, id, HM_FIELD_SCOPE, hm_buf_bytes(&target));
    hm_buf_deinit(&target);
    return dot;
}

static struct hm_dot merge(struct hm_village_node *n, const struct hm_household_id *id,
                           const struct hm_household_id *into)
{
    struct hm_buf target;
    struct hm_dot dot;

    hm_buf_init(&target, 64);
    hm_fact_pack_household(into, &target);
    dot = say(n, id, HM_FIELD_MERGED, hm_buf_bytes(&target));
    hm_buf_deinit(&target);
    return dot;
}

static struct hm_dot take_back(struct hm_village_node *n,
                               const struct hm_household_id *id, uint32_t field)
{
    return say(n, id, field, hm_bytes_of("\xc0", 1));
}

static struct hm_dot delete (struct hm_village_node *n,
                             const struct hm_household_id *id)
{
    return say(n, id, HM_FIELD_STATUS, hm_bytes_of("\1", 1));
}

static enum hm_row_state state_of(struct hm_village_node *n,
                                  const struct hm_household_id *id)
{
    enum hm_row_state state;
    struct hm_household h;
    struct hm_arena arena;

    hm_arena_init(&arena, ARENA_BYTES);
    CHECK_OK(hm_households_load(n->node.store, id, &arena, &h));
    state = hm_fact_state(&h);
    hm_arena_deinit(&arena);
    return state;
}

static bool holds(struct hm_village_node *n, const struct hm_household_id *id)
{
    uint32_t scope;
    int err = hm_households_home(n->node.store, id, &scope);

    assert_true(err == HM_OK || err == HM_NOTFOUND);
    return err == HM_OK;
}

static struct hm_household_id
survivor(struct hm_village_node *n, const struct hm_household_id *id, bool *out_circle)
{
    struct hm_household_id out;

    CHECK_OK(hm_redirects_survivor(n->node.store, id, &out, out_circle));
    return out;
}

static void assert_survivor(struct hm_village_node *n, const struct hm_household_id *id,
                            const struct hm_household_id *expected, bool circle)
{
    bool found = false;
    struct hm_household_id out = survivor(n, id, &found);

    assert_int_equal(hm_household_id_compare(&out, expected), 0);
    assert_int_equal(found, circle);
}

/* -- Moving ----------------------------------------------------------------------- */

/* The new hamlet gets it whole; the old one hears that it departed and forgets it. */
HM_TEST(a_household_moves)
{
    begin();
    assert_false(holds(b, &home.household));
    (void)move(a, &home.household, 1);
    hm_village_settle(&v);
    assert_true(holds(b, &home.household));
    assert_string_equal(hm_village_shows(&v, b, &home.household, v.name), "Lan");
    assert_false(holds(a, &home.household));
    assert_int_equal(hm_village_households(a), 0);
    end();
}

/* Moved by somebody else: the same. */
HM_TEST(a_household_is_moved_by_the_centre)
{
    begin();
    (void)move(&v.centre, &home.household, 1);
    hm_village_settle(&v);
    assert_true(holds(b, &home.household));
    assert_false(holds(a, &home.household));
    end();
}

/* Whoever edits it in the old hamlet loses nothing, and nothing is lost at the new one;
 * the laptop keeps what it has until the centre has it. */
HM_TEST(an_edit_while_it_moves)
{
    struct hm_adopt out;

    begin();
    (void)move(&v.centre, &home.household, 1);
    (void)hm_village_sync(&v, b);
    (void)hm_village_put(&v, a, &home.household, v.note, "late");
    (void)hm_village_put(&v, b, &home.household, v.phone, "0905");
    /* The reply tells a that it departed, and is lost. */
    (void)hm_village_exchange(&v, a, true, &out);
    assert_true(holds(a, &home.household));
    hm_village_settle(&v);
    assert_int_equal(hm_village_quarantined(&v.centre), 0);
    assert_string_equal(hm_village_shows(&v, b, &home.household, v.note), "late");
    assert_string_equal(hm_village_shows(&v, &v.centre, &home.household, v.phone),
                        "0905");
    assert_false(holds(a, &home.household));
    end();
}

/* It departed before, and an edit comes that did not know: the author hears it again.
 */
HM_TEST(a_late_edit_hears_it_again)
{
    struct hm_village_node *c;

    begin();
    c = hm_village_add(&v, "c", 1);
    hm_village_settle(&v);
    (void)hm_village_put(&v, c, &home.household, v.note, "late");
    (void)move(&v.centre, &home.household, 1);
    (void)hm_village_sync(&v, a);
    assert_false(holds(a, &home.household));
    (void)hm_village_sync(&v, c);
    hm_village_settle(&v);
    assert_false(holds(c, &home.household));
    assert_false(holds(a, &home.household));
    assert_string_equal(hm_village_shows(&v, b, &home.household, v.note), "late");
    end();
}

/* There and back again, with edits at each place. */
HM_TEST(there_and_back_again)
{
    begin();
    (void)hm_village_put(&v, a, &home.household, v.note, "packing");
    (void)move(a, &home.household, 1);
    hm_village_settle(&v);
    (void)hm_village_put(&v, b, &home.household, v.phone, "0906");
    (void)move(b, &home.household, 0);
    hm_village_settle(&v);
    assert_true(holds(a, &home.household));
    assert_false(holds(b, &home.household));
    assert_string_equal(hm_village_shows(&v, a, &home.household, v.phone), "0906");
    assert_string_equal(hm_village_shows(&v, a, &home.household, v.note), "packing");
    (void)hm_village_put(&v, a, &home.household, v.note, "home");
    end();
}

/* Two people move it apart: both hamlets show it until somebody decides. */
HM_TEST(moved_apart)
{
    struct hm_village_node *c;

    begin();
    c = hm_village_add(&v, "c", 5); /* the first and the third */
    hm_village_settle(&v);
    (void)move(a, &home.household, 1);
    (void)move(c, &home.household, 2);
    hm_village_settle(&v);
    assert_true(holds(b, &home.household));
    assert_true(holds(c, &home.household));
    assert_int_equal(hm_village_conflicts(&v.centre), 1);
    (void)move(&v.centre, &home.household, 2);
    hm_village_settle(&v);
    assert_false(holds(b, &home.household));
    assert_true(holds(c, &home.household));
    assert_int_equal(hm_village_conflicts(&v.centre), 0);
    end();
}

/* Two people who move it to the same place agree. */
HM_TEST(moved_together)
{
    struct hm_village_node *c;

    begin();
    c = hm_village_add(&v, "c", 1);
    hm_village_settle(&v);
    (void)move(a, &home.household, 1);
    (void)hm_village_put(&v, c, &home.household, v.note, "before");
    (void)move(c, &home.household, 1);
    hm_village_settle(&v);
    assert_int_equal(hm_village_conflicts(&v.centre), 0);
    end();
}

/* A laptop that was told of the move by nobody, since its place in the feed was lost.
 */
HM_TEST(departed_is_told_by_hashes)
{
    begin();
    (void)move(&v.centre, &home.household, 1);
    CHECK_OK(hm_store_begin(a->node.store));
    CHECK_OK(hm_store_end(a->node.store, hm_db_exec(hm_store_db(a->node.store),
                                                    "DELETE FROM cursor_at")));
    hm_village_settle(&v);
    assert_false(holds(a, &home.household));
    end();
}

/* -- Deleting --------------------------------------------------------------------- */

HM_TEST(deleted_then_edited_by_another)
{
    begin();
    (void)delete (&v.centre, &home.household);
    (void)hm_village_put(&v, a, &home.household, v.note, "alive");
    hm_village_settle(&v);
    assert_int_equal(state_of(a, &home.household), HM_ROW_DISPUTED);
    assert_int_equal(hm_village_conflicts(a), 1);
    assert_int_equal(hm_village_conflicts(&v.centre), 1);
    (void)delete (&v.centre, &home.household);
    hm_village_settle(&v);
    assert_int_equal(state_of(a, &home.household), HM_ROW_REMOVED);
    assert_int_equal(hm_village_conflicts(a), 0);
    end();
}

HM_TEST(edited_then_deleted_by_another)
{
    begin();
    (void)hm_village_put(&v, &v.centre, &home.household, v.note, "alive");
    (void)delete (a, &home.household);
    hm_village_settle(&v);
    assert_int_equal(state_of(a, &home.household), HM_ROW_DISPUTED);
    (void)take_back(&v.centre, &home.household, HM_FIELD_STATUS);
    hm_village_settle(&v);
    assert_int_equal(state_of(a, &home.household), HM_ROW_ACTIVE);
    assert_int_equal(hm_village_conflicts(a), 0);
    end();
}

/* Who has seen all of it deletes it without a question, whatever stood there. */
HM_TEST(deleted_with_all_that_was_seen)
{
    begin();
    (void)hm_village_put(&v, a, &home.household, v.note, "old");
    hm_village_settle(&v);
    (void)delete (&v.centre, &home.household);
    (void)delete (a, &home.household);
    hm_village_settle(&v);
    assert_int_equal(state_of(a, &home.household), HM_ROW_REMOVED);
    assert_int_equal(hm_village_conflicts(a), 0);
    assert_int_equal(
        try_say(a, &home.household, HM_FIELD_STATUS, hm_bytes_of("\1", 1), NULL),
        HM_OK);
    end();
}

/* -- Merging ---------------------------------------------------------------------- */

static struct hm_save_result others[4];

static void begin_merge(void)
{
    begin();
    for (size_t i = 0; i < 4; i++) {
        others[i] = hm_village_new(&v, a, 0, "Lan", 0);
    }
    hm_village_settle(&v);
}

/* A merge moves nothing: it is one cell, and one write takes it back. */
HM_TEST(merged_and_unmerged)
{
    begin_merge();
    (void)merge(a, &home.household, &others[0].household);
    hm_village_settle(&v);
    assert_survivor(&v.centre, &home.household, &others[0].household, false);
    assert_string_equal(hm_village_shows(&v, &v.centre, &home.household, v.name),
                        "Lan");
    (void)take_back(&v.centre, &home.household, HM_FIELD_MERGED);
    hm_village_settle(&v);
    assert_survivor(a, &home.household, &home.household, false);
    assert_int_equal(hm_village_conflicts(a), 0);
    end();
}

/* An edit by somebody who had not seen the merge is shown; one by somebody who had is
 * ordinary work. */
HM_TEST(merged_and_edited)
{
    begin_merge();
    (void)merge(&v.centre, &home.household, &others[0].household);
    (void)hm_village_put(&v, a, &home.household, v.note, "unaware");
    hm_village_settle(&v);
    assert_int_equal(hm_village_conflicts(a), 1);
    (void)merge(&v.centre, &home.household, &others[0].household);
    hm_village_settle(&v);
    assert_int_equal(hm_village_conflicts(a), 0);
    (void)hm_village_put(&v, a, &home.household, v.note, "aware");
    (void)hm_village_put(&v, &v.centre, &home.household, v.phone, "0907");
    hm_village_settle(&v);
    assert_int_equal(hm_village_conflicts(a), 0);
    assert_survivor(a, &home.household, &others[0].household, false);
    end();
}

HM_TEST(merged_into_two)
{
    begin_merge();
    (void)merge(&v.centre, &home.household, &others[0].household);
    (void)merge(a, &home.household, &others[1].household);
    hm_village_settle(&v);
    assert_int_equal(hm_village_conflicts(a), 1);
    (void)merge(a, &home.household, &others[1].household);
    hm_village_settle(&v);
    assert_int_equal(hm_village_conflicts(a), 0);
    assert_survivor(&v.centre, &home.household, &others[1].household, false);
    end();
}

/* Taken back by one, merged elsewhere by another who saw the same. */
HM_TEST(unmerged_and_merged_elsewhere)
{
    begin_merge();
    (void)merge(a, &home.household, &others[0].household);
    hm_village_settle(&v);
    (void)take_back(a, &home.household, HM_FIELD_MERGED);
    (void)merge(&v.centre, &home.household, &others[1].household);
    hm_village_settle(&v);
    assert_int_equal(hm_village_conflicts(a), 1);
    assert_int_equal(hm_village_conflicts(&v.centre), 1);
    (void)take_back(&v.centre, &home.household, HM_FIELD_MERGED);
    hm_village_settle(&v);
    assert_int_equal(hm_village_conflicts(a), 0);
    assert_survivor(a, &home.household, &home.household, false);
    end();
}

/* Deleted by one, merged by another: the merge is an edit that the deletion had not
 * seen. */
HM_TEST(deleted_and_merged)
{
    begin_merge();
    (void)delete (a, &home.household);
    (void)merge(&v.centre, &home.household, &others[0].household);
    hm_village_settle(&v);
    assert_int_equal(state_of(a, &home.household), HM_ROW_DISPUTED);
    assert_int_equal(hm_village_conflicts(a), 2); /* the merge had not seen it either */
    end();
}

/* A household is deleted in one hamlet while it moves to another. */
HM_TEST(deleted_and_moved)
{
    begin();
    (void)delete (a, &home.household);
    (void)move(&v.centre, &home.household, 1);
    hm_village_settle(&v);
    assert_int_equal(state_of(b, &home.household), HM_ROW_DISPUTED);
    assert_int_equal(hm_village_conflicts(b), 1);
    end();
}

/* A into B while B goes into C: a chain is followed to its end. */
HM_TEST(a_chain_of_merges)
{
    begin_merge();
    (void)merge(&v.centre, &home.household, &others[0].household);
    (void)merge(a, &others[0].household, &others[1].household);
    hm_village_settle(&v);
    assert_survivor(a, &home.household, &others[1].household, false);
    assert_survivor(&v.centre, &home.household, &others[1].household, false);
    end();
}

static int compare_ids(const void *x, const void *y)
{
    return hm_household_id_compare(x, y);
}

/* Each of several people merges one into the next: the lowest id stays, everywhere. */
HM_TEST(a_circle_of_merges)
{
    struct hm_household_id ids[3];

    begin_merge();
    for (size_t i = 0; i < 3; i++) {
        ids[i] = others[i].household;
    }
    qsort(ids, 3, sizeof ids[0], compare_ids);
    (void)merge(&v.centre, &ids[0], &ids[1]);
    (void)merge(a, &ids[1], &ids[2]);
    hm_village_settle(&v);
    (void)merge(a, &ids[2], &ids[0]);
    (void)merge(&v.centre, &home.household, &ids[1]);
    hm_village_settle(&v);
    for (size_t i = 0; i < 3; i++) {
        assert_survivor(a, &ids[i], &ids[0], true);
        assert_survivor(&v.centre, &ids[i], &ids[0], true);
    }
    assert_survivor(a, &home.household, &ids[0], true);
    end();
}

/* What is merged into a household is found from it, through chains and circles. */
HM_TEST(parts_of_a_household)
{
    struct hm_household_id *parts = NULL;
    struct hm_arena arena;
    size_t count = 0;

    begin_merge();
    (void)merge(a, &others[1].household, &others[0].household);
    (void)merge(a, &others[2].household, &others[1].household);
    hm_arena_init(&arena, ARENA_BYTES);
    CHECK_OK(hm_redirects_parts(a->node.store, &others[0].household, &arena, &parts,
                                &count));
    assert_int_equal(count, 2);
    (void)merge(a, &others[0].household, &others[2].household);
    CHECK_OK(hm_redirects_parts(a->node.store, &others[0].household, &arena, &parts,
                                &count));
    assert_int_equal(count, 2);
    hm_arena_deinit(&arena);
    end();
}

/* -- Taking back ------------------------------------------------------------------ */

static struct hm_undo undo(struct hm_village_node *n, const struct hm_dot *dot)
{
    struct hm_save signer = {.scope = v.hamlets[0], .rank = 4};
    struct hm_decision decision;
    struct hm_arena arena;
    struct hm_undo out;

    hm_arena_init(&arena, ARENA_BYTES);
    CHECK_OK(hm_store_begin(n->node.store));
    CHECK_OK(hm_decisions_get(n->node.store, dot, &arena, &decision));
    CHECK_OK(hm_store_end(n->node.store, hm_decisions_undo(n->node.store, &decision,
                                                           &signer, hm_forms_policy_of,
                                                           n->forms, &arena, &out)));
    hm_arena_deinit(&arena);
    return out;
}

HM_TEST(a_deletion_is_undone)
{
    struct hm_dot dot;

    begin();
    dot = delete (a, &home.household);
    hm_village_settle(&v);
    assert_int_equal(undo(a, &dot).changes, 1);
    assert_true(undo(a, &dot).already);
    hm_village_settle(&v);
    assert_int_equal(state_of(&v.centre, &home.household), HM_ROW_ACTIVE);
    end();
}

/* By a node that did not make the decision, from the logs that it holds. */
HM_TEST(a_move_is_undone_at_the_centre)
{
    struct hm_dot dot;

    begin();
    dot = move(a, &home.household, 1);
    hm_village_settle(&v);
    assert_int_equal(undo(&v.centre, &dot).changes, 1);
    hm_village_settle(&v);
    assert_true(holds(a, &home.household));
    assert_false(holds(b, &home.household));
    end();
}

/* A decision between two values is taken back: they stand beside each other again. */
HM_TEST(a_resolution_is_undone)
{
    struct hm_save_result decision;
    struct hm_undo undone;

    begin();
    (void)hm_village_put(&v, a, &home.household, v.phone, "0901");
    (void)hm_village_put(&v, &v.centre, &home.household, v.phone, "0902");
    hm_village_settle(&v);
    assert_int_equal(hm_village_conflicts(a), 1);
    decision = hm_village_resolve(&v, &v.centre, &home.household, v.phone, "0902");
    hm_village_settle(&v);
    assert_int_equal(hm_village_conflicts(a), 0);
    undone = undo(&v.centre, &decision.dot);
    assert_int_equal(undone.changes, 2);
    assert_int_equal(undone.cells, 1);
    hm_village_settle(&v);
    assert_int_equal(hm_village_siblings(&v, a, &home.household, v.phone), 2);
    assert_int_equal(hm_village_conflicts(a), 1);
    end();
}

/* What was written over a decision since is not touched by its undo. */
HM_TEST(an_undo_leaves_what_came_later)
{
    struct hm_save_result decision;

    begin();
    (void)hm_village_put(&v, a, &home.household, v.phone, "0901");
    (void)hm_village_put(&v, &v.centre, &home.household, v.phone, "0902");
    hm_village_settle(&v);
    decision = hm_village_resolve(&v, &v.centre, &home.household, v.phone, "0902");
    (void)hm_village_put(&v, &v.centre, &home.household, v.phone, "0903");
    assert_int_equal(undo(&v.centre, &decision.dot).skipped, 1);
    hm_village_settle(&v);
    assert_string_equal(hm_village_shows(&v, a, &home.household, v.phone), "0903");
    end();
}
