#include <string.h>

#include "protocol/message.h"
#include "storage/cursors.h"
#include "storage/feeds.h"
#include "storage/log.h"
#include "tests/support/village.h"

/* Replies that no honest parent sends, or that come at an odd moment. */

static struct hm_village v;
static struct hm_village_node *a;
static struct hm_buf reply;

static void begin(void)
{
    hm_village_open(&v);
    a = hm_village_add(&v, "a", 1);
}

static void end(void)
{
    hm_buf_deinit(&reply);
    hm_village_close(&v);
}

static void head(uint64_t device)
{
    struct hm_time time = {.received_ms = a->node.now_ms,
                           .sent_ms = a->node.now_ms,
                           .version = HM_PROTOCOL_VERSION,
                           .level = HM_LEVEL_CENTRE,
                           .device = device};

    hm_buf_init(&reply, HM_REPLY_BYTES_MAX);
    hm_time_write(&reply, &time);
}

static int adopt(struct hm_adopt *out)
{
    CHECK_OK(reply.err);
    return hm_adopt_reply(a->node.store, a->forms, hm_buf_bytes(&reply), a->node.now_ms,
                          a->node.now_ms, out);
}

static struct hm_unsent unsent(void)
{
    struct hm_unsent out;

    CHECK_OK(hm_log_unsent(a->node.store, v.centre.node.device, &out));
    return out;
}

/* A parent may hold more of a log than a restored disk: that is no receipt for what is
 * written here next, and a log that is unknown here is no news. */
HM_TEST(a_receipt_is_only_for_what_is_here)
{
    struct hm_save_result made;
    struct hm_adopt out;
    uint64_t entries = 0;
    unsigned level = 0;

    begin();
    made = hm_village_new(&v, a, 0, "Lan", 0);
    head(v.centre.node.device);
    hm_receipt_write(&reply, &(struct hm_receipt){.incarnation = made.dot.incarnation,
                                                  .count = 100,
                                                  .level = HM_LEVEL_CENTRE});
    hm_receipt_write(&reply, &(struct hm_receipt){.incarnation = 12345,
                                                  .count = 100,
                                                  .level = HM_LEVEL_CENTRE});
    CHECK_OK(adopt(&out));
    assert_int_equal(out.receipted, 1);
    CHECK_OK(hm_log_receipt(a->node.store, v.centre.node.device, made.dot.incarnation,
                            &entries, &level));
    assert_int_equal(entries, 2);
    assert_int_equal(unsent().changes, 0);
    (void)hm_village_put(&v, a, &made.household, v.phone, "1");
    assert_int_equal(unsent().changes, 1);
    end();
}

/* Whoever answers in the upstream's place is not believed in anything. */
HM_TEST(another_node_is_not_believed)
{
    struct hm_save_result made;
    struct hm_adopt out;

    begin();
    made = hm_village_new(&v, a, 0, "Lan", 0);
    head(v.centre.node.device + 1);
    hm_receipt_write(&reply, &(struct hm_receipt){.incarnation = made.dot.incarnation,
                                                  .count = 2,
                                                  .level = HM_LEVEL_CENTRE});
    assert_int_equal(adopt(&out), HM_DENIED);
    assert_int_equal(unsent().changes, 1);
    end();
}

static int add_state(void *arg, const struct hm_household_row *row)
{
    hm_buf_append(arg, row->state);
    return HM_OK;
}

/* A feed of a hamlet that this laptop does not hold leaves nothing here. */
HM_TEST(a_feed_of_another_hamlet_is_left)
{
    struct hm_feed feed = {.timeline = 5, .to = 1, .salt = 5};
    struct hm_adopt out;
    struct hm_buf states;

    begin();
    (void)hm_village_new(&v, &v.centre, 2, "Lan", 0);
    hm_buf_init(&states, HM_STATES_BYTES_MAX);
    CHECK_OK(
        hm_households_each(v.centre.node.store, v.hamlets[2], 0, add_state, &states));
    feed.scope = v.hamlets[2];
    head(v.centre.node.device);
    CHECK_OK(hm_feed_write(&reply, HM_FRAME_FEED, &feed, hm_buf_bytes(&states),
                           HM_DICTIONARY_NONE));
    CHECK_OK(adopt(&out));
    assert_int_equal(out.households, 0);
    assert_int_equal(hm_village_households(a), 0);
    hm_buf_deinit(&states);
    end();
}

/* Found by fuzzing: `hamlet sync` counted households that a parent sent again as
 * received. */
HM_TEST(a_reply_that_comes_again_changes_nothing)
{
    struct hm_feed feed = {0};
    struct hm_household h;
    struct hm_save_result made;
    struct hm_arena arena;
    struct hm_adopt out;
    struct hm_buf states;

    begin();
    made = hm_village_new(&v, &v.centre, 0, "Lan", 1);
    hm_arena_init(&arena, 1 << 20);
    hm_buf_init(&states, HM_HOUSEHOLD_BYTES_MAX);
    CHECK_OK(hm_households_load(v.centre.node.store, &made.household, &arena, &h));
    hm_household_encode(&h, &states);
    head(v.centre.node.device);
    feed.scope = v.hamlets[0];
    CHECK_OK(hm_feed_write(&reply, HM_FRAME_GIVE, &feed, hm_buf_bytes(&states),
                           HM_DICTIONARY_NONE));
    CHECK_OK(adopt(&out));
    assert_int_equal(out.households, 1);
    CHECK_OK(adopt(&out));
    assert_int_equal(out.households, 0);
    hm_buf_deinit(&states);
    hm_arena_deinit(&arena);
    end();
}

/* While something own is on its way the digests differ by right: no repair begins. */
HM_TEST(unsent_changes_are_no_difference)
{
    struct hm_cursor_at at;
    struct hm_feed feed = {.to = 0};
    struct hm_adopt out;

    begin();
    (void)hm_village_new(&v, a, 0, "Lan", 0);
    CHECK_OK(hm_cursors_get(a->node.store, v.centre.node.device, v.hamlets[0], &at));
    feed.scope = v.hamlets[0];
    feed.timeline = at.timeline;
    feed.to = at.position;
    feed.from = at.position;
    feed.salt = at.salt;
    head(v.centre.node.device);
    CHECK_OK(hm_feed_write(&reply, HM_FRAME_FEED, &feed, hm_bytes_of(NULL, 0),
                           HM_DICTIONARY_NONE));
    CHECK_OK(adopt(&out));
    assert_false(out.digest_equal);
    assert_false(out.more);
    CHECK_OK(hm_cursors_get(a->node.store, v.centre.node.device, v.hamlets[0], &at));
    assert_int_equal(at.repair, HM_REPAIR_NONE);
    end();
}

/* A parent whose digest never fits is asked a few times, in ever other ways, and then a
 * person is told: no laptop burns its link on it. */
HM_TEST(a_difference_that_stays_comes_to_an_end)
{
    struct hm_cursor_at at;
    struct hm_adopt out;
    struct hm_stmt *stmt;
    int exchanges = 0;

    begin();
    (void)hm_village_new(&v, a, 0, "Lan", 0);
    (void)hm_village_sync(&v, a);
    /* The centre's digest is wrong by itself. */
    CHECK_OK(hm_store_begin(v.centre.node.store));
    CHECK_OK(hm_db_stmt(hm_store_db(v.centre.node.store),
                        "UPDATE feed SET digest = $1 WHERE scope > 0", &stmt));
    hm_stmt_bind_bytes(stmt, 1, hm_bytes_str("0123456789abcdef"));
    CHECK_OK(hm_stmt_run(stmt));
    CHECK_OK(hm_store_end(v.centre.node.store, HM_OK));
    while (hm_village_exchange(&v, a, false, &out)) {
        assert_true(++exchanges < 8);
    }
    assert_false(out.digest_equal);
    CHECK_OK(hm_cursors_get(a->node.store, v.centre.node.device, v.hamlets[0], &at));
    assert_int_equal(at.repair, HM_REPAIR_EXHAUSTED);
    assert_false(hm_village_exchange(&v, a, false, &out));
    end();
}

/* A parent that was restored lacks what it had: what every node needs stays, and so
 * does an item of which it has another version. */
HM_TEST(a_parent_that_is_behind_takes_no_items)
{
    struct hm_hash_list need = {.scope = 0};
    struct hm_feed give = {.scope = 0};
    struct hm_admin_item unit;
    struct hm_buf prefixes;
    struct hm_buf items;
    struct hm_arena arena;
    struct hm_adopt out;
    size_t roles = 0;
    size_t units = 0;

    begin();
    hm_arena_init(&arena, 1 << 20);
    hm_buf_init(&prefixes, 1 << 20);
    hm_buf_init(&items, 1 << 20);
    CHECK_OK(hm_store_begin_read(a->node.store));
    CHECK_OK(hm_items_prefixes(a->node.store, NULL, NULL, &prefixes));
    CHECK_OK(hm_items_get(a->node.store, HM_ITEM_UNIT, v.hamlets[0], &arena, &unit));
    CHECK_OK(hm_store_end(a->node.store, HM_OK));
    hm_items_encode(&unit, &items);
    need.prefixes = hm_buf_bytes(&prefixes);
    head(v.centre.node.device);
    CHECK_OK(hm_feed_write(&reply, HM_FRAME_GIVE, &give, hm_buf_bytes(&items),
                           HM_DICTIONARY_NONE));
    hm_hash_list_write(&reply, HM_FRAME_NEED, &need);
    CHECK_OK(adopt(&out));
    CHECK_OK(hm_store_begin_read(a->node.store));
    CHECK_OK(hm_items_count(a->node.store, HM_ITEM_ROLE, &roles));
    CHECK_OK(hm_items_count(a->node.store, HM_ITEM_UNIT, &units));
    assert_int_equal(
        hm_items_get(a->node.store, HM_ITEM_DEVICE, a->node.device, &arena, &unit),
        HM_OK);
    CHECK_OK(hm_store_end(a->node.store, HM_OK));
    assert_int_equal(roles, 2);
    assert_int_equal(units, 1);
    hm_buf_deinit(&items);
    hm_buf_deinit(&prefixes);
    hm_arena_deinit(&arena);
    end();
}
