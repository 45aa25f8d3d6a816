#include <stdio.h>
#include <string.h>

#include "storage/feeds.h"
#include "storage/log.h"
#include "tests/support/pen.h"

static struct hm_village v;

static void assert_digests_fit(struct hm_village_node *n)
{
    for (size_t i = 0; i < HM_VILLAGE_HAMLETS; i++) {
        struct hm_feed_state feed;
        struct hm_hash computed;
        uint64_t households = 0;

        CHECK_OK(hm_feeds_get(n->node.store, v.hamlets[i], &feed));
        CHECK_OK(hm_households_recompute(n->node.store, v.hamlets[i], &computed,
                                         &households));
        assert_memory_equal(feed.digest.bytes, computed.bytes, HM_HASH_BYTES);
        assert_int_equal(feed.households, households);
    }
}

static int64_t rows_of(const char *sql)
{
    int64_t out = 0;

    CHECK_OK(hm_db_query_int(hm_store_db(v.centre.node.store), sql, &out));
    return out;
}

struct walk {
    uint64_t position;
    size_t count;
};

static int step(void *arg, const struct hm_household_row *row)
{
    struct walk *walk = arg;

    assert_true(row->position > walk->position);
    walk->position = row->position;
    walk->count++;
    return HM_OK;
}

/* Whatever happens to households, the digest that was kept step by step is the one
 * that is computed anew, and positions only rise. */
HM_TEST(digests_and_positions_hold)
{
    struct hm_save_result h[12];
    uint64_t random = 3;
    uint64_t last[HM_VILLAGE_HAMLETS] = {0};

    hm_village_open(&v);
    for (unsigned i = 0; i < 12; i++) {
        h[i] = hm_village_new(&v, &v.centre, i % 3, "Lan", 1);
    }
    for (int i = 0; i < 150; i++) {
        struct hm_feed_state feed;
        uint32_t scope;
        size_t pick;
        char text[16];

        random = random * 6364136223846793005U + 1442695040888963407U;
        pick = (random >> 40) % 12;
        scope = v.hamlets[pick % 3];
        (void)snprintf(text, sizeof text, "%d", i / 2);
        (void)hm_village_put(&v, &v.centre, &h[pick].household,
                             (random >> 50) % 2 == 0 ? v.phone : v.note, text);
        CHECK_OK(hm_feeds_get(v.centre.node.store, scope, &feed));
        assert_true(feed.position >= last[pick % 3]);
        last[pick % 3] = feed.position;
        if (i % 25 == 0) {
            hm_village_restart(&v.centre);
            assert_digests_fit(&v.centre);
        }
    }
    assert_digests_fit(&v.centre);
    for (size_t i = 0; i < HM_VILLAGE_HAMLETS; i++) {
        struct walk walk = {0, 0};
        uint64_t salt = 0;

        CHECK_OK(hm_households_each(v.centre.node.store, v.hamlets[i], 0, step, &walk));
        assert_int_equal(walk.count, 4);
        assert_int_equal(walk.position, last[i]);
        CHECK_OK(hm_feeds_salt(v.centre.node.store, v.hamlets[i], last[i], &salt));
        assert_int_equal(
            hm_feeds_salt(v.centre.node.store, v.hamlets[i], last[i] + 1, &salt),
            HM_NOTFOUND);
        walk = (struct walk){last[i] - 1, 0};
        CHECK_OK(hm_households_each(v.centre.node.store, v.hamlets[i], last[i] - 1,
                                    step, &walk));
        assert_int_equal(walk.count, 1);
    }
    hm_village_close(&v);
}

/* Storing what is stored moves nothing. */
HM_TEST(an_equal_state_keeps_its_place)
{
    struct hm_save_result made;
    struct hm_household h;
    struct hm_arena arena;
    uint64_t before = 0;
    uint64_t after = 0;

    hm_village_open(&v);
    made = hm_village_new(&v, &v.centre, 0, "Lan", 1);
    (void)hm_village_new(&v, &v.centre, 0, "Minh", 1);
    hm_arena_init(&arena, HM_HOUSEHOLD_ARENA_BYTES_MAX);
    CHECK_OK(hm_households_load(v.centre.node.store, &made.household, &arena, &h));
    CHECK_OK(hm_households_position(v.centre.node.store, v.hamlets[0], &made.household,
                                    &before));
    CHECK_OK(hm_store_begin(v.centre.node.store));
    CHECK_OK(hm_store_end(v.centre.node.store,
                          hm_households_store(v.centre.node.store, &h,
                                              hm_forms_policy_of, v.centre.forms)));
    CHECK_OK(hm_households_position(v.centre.node.store, v.hamlets[0], &made.household,
                                    &after));
    assert_int_equal(before, 1);
    assert_int_equal(after, 1);
    hm_arena_deinit(&arena);
    hm_village_close(&v);
}

/* Only households that wait for a decision stand in the list of those that do, and
 * they leave it with the decision. */
HM_TEST(the_list_of_conflicts_is_exact)
{
    struct hm_village_node *a;
    struct hm_village_node *b;
    struct hm_save_result h;
    struct walk walk = {0, 0};

    hm_village_open(&v);
    (void)hm_village_new(&v, &v.centre, 0, "Minh", 1);
    h = hm_village_new(&v, &v.centre, 0, "Lan", 1);
    a = hm_village_add(&v, "a", 1);
    b = hm_village_add(&v, "b", 1);
    (void)hm_village_put(&v, a, &h.household, v.phone, "1");
    (void)hm_village_put(&v, b, &h.household, v.phone, "2");
    hm_village_settle(&v);
    CHECK_OK(
        hm_households_each_conflict(v.centre.node.store, v.hamlets[0], step, &walk));
    assert_int_equal(walk.count, 1);
    (void)hm_village_resolve(&v, a, &h.household, v.phone, "1");
    hm_village_settle(&v);
    walk = (struct walk){0, 0};
    CHECK_OK(
        hm_households_each_conflict(v.centre.node.store, v.hamlets[0], step, &walk));
    assert_int_equal(walk.count, 0);
    hm_village_close(&v);
}

/* A hamlet that is dropped leaves nothing of its households but the log; the others
 * are untouched. */
HM_TEST(a_dropped_scope_leaves_nothing)
{
    struct hm_feed_state feed;
    struct hm_save_result kept;
    struct hm_store *s;
    uint32_t *scopes = NULL;
    size_t count = 0;
    uint32_t home = 0;
    struct hm_arena arena;
    int64_t entries = 0;

    hm_village_open(&v);
    s = v.centre.node.store;
    for (int i = 0; i < 5; i++) {
        (void)hm_village_new(&v, &v.centre, 0, "Lan", 2);
    }
    kept = hm_village_new(&v, &v.centre, 1, "Minh", 2);
    CHECK_OK(hm_store_begin(s));
    CHECK_OK(hm_store_end(s, hm_households_drop_scope(s, v.hamlets[0], NULL, 0)));
    assert_int_equal(hm_village_households(&v.centre), 1);
    CHECK_OK(hm_feeds_get(s, v.hamlets[0], &feed));
    assert_int_equal(feed.households, 0);
    assert_memory_equal(&feed.digest, &(struct hm_hash){{0}}, HM_HASH_BYTES);
    assert_int_equal(feed.position, 5);
    CHECK_OK(hm_households_home(s, &kept.household, &home));
    assert_int_equal(home, v.hamlets[1]);
    hm_arena_init(&arena, 65536);
    CHECK_OK(hm_households_scopes(s, &arena, &scopes, &count));
    assert_int_equal(count, 1);
    assert_int_equal(scopes[0], v.hamlets[1]);
    hm_arena_deinit(&arena);
    CHECK_OK(hm_db_query_int(hm_store_db(s), "SELECT COUNT(*) FROM entry WHERE n > 0",
                             &entries));
    assert_int_equal(entries, 6);
    assert_digests_fit(&v.centre);
    hm_village_close(&v);
}

/* The log of the one who made a household may come last: until then it stands where
 * the others saw it, afterwards at its home, with all that was written. */
HM_TEST(a_home_settles_when_its_creation_comes_last)
{
    struct hm_village_node *a;
    struct hm_household_id id = {0xabc1, 1};
    struct hm_save_result out;
    struct hm_build b;
    struct hm_pen maker;
    struct hm_pen other;
    struct hm_dot *dots;
    size_t count = 0;
    uint32_t home = 0;
    uint64_t position = 0;
    struct hm_feed_state feed;

    hm_village_open(&v);
    a = hm_village_add(&v, "a", 3);
    hm_pen_open(&maker, &v, a, 0xabc1);
    hm_pen_open(&other, &v, a, 0xabc2);
    assert_int_equal(hm_pen_new(&maker, "Lan").n, 1);
    /* Somebody saw it in hamlet 1, and wrote there. */
    hm_build_begin(&b, &other.arena, hm_pen_next(&other), id, v.hamlets[1]);
    b.change.user = HM_USER_OPERATOR;
    b.change.rank = 4;
    hm_build_row(&b, (struct hm_row_key){.form = v.form});
    hm_build_text(&b, v.phone, "1");
    hm_pen_raw(&other, hm_build_bytes(&b));
    assert_int_equal(hm_pen_take(&other, hm_pen_seal(&other, 0, 2)), 2);
    CHECK_OK(hm_households_home(v.centre.node.store, &id, &home));
    assert_int_equal(home, v.hamlets[1]);
    assert_digests_fit(&v.centre);
    assert_int_equal(hm_pen_take(&maker, hm_pen_seal(&maker, 0, 2)), 2);
    CHECK_OK(hm_households_home(v.centre.node.store, &id, &home));
    assert_int_equal(home, v.hamlets[0]);
    CHECK_OK(hm_households_position(v.centre.node.store, v.hamlets[1], &id, &position));
    assert_int_equal(position, 0);
    CHECK_OK(hm_feeds_get(v.centre.node.store, v.hamlets[1], &feed));
    assert_int_equal(feed.households, 0);
    assert_int_equal(hm_village_households(&v.centre), 1);
    assert_int_equal(rows_of("SELECT COUNT(*) FROM household"), 1);
    CHECK_OK(hm_log_history(v.centre.node.store, v.hamlets[0], &id, &maker.arena, &dots,
                            &count));
    assert_int_equal(count, 2); /* the change that came first, too */
    assert_string_equal(hm_village_shows(&v, &v.centre, &id, v.phone), "1");
    assert_string_equal(hm_village_shows(&v, &v.centre, &id, v.name), "Lan");
    assert_digests_fit(&v.centre);
    (void)hm_village_sync(&v, a);
    out = hm_village_put(&v, a, &id, v.note, "2");
    assert_true(out.changed);
    hm_village_settle(&v);
    hm_village_check_equal(&v);
    hm_pen_close(&maker);
    hm_pen_close(&other);
    hm_village_close(&v);
}

/* Damage on the disk is found and said, never served as a household. */
HM_TEST(damage_is_found)
{
    struct hm_save_result made;
    struct hm_household h;
    struct hm_hash digest;
    uint64_t households;
    struct hm_stmt *stmt;
    struct hm_arena arena;
    struct hm_store *s;

    hm_village_open(&v);
    s = v.centre.node.store;
    made = hm_village_new(&v, &v.centre, 0, "Lan", 0);
    CHECK_OK(hm_store_begin(s));
    CHECK_OK(hm_db_stmt(hm_store_db(s), "UPDATE household SET state = $1", &stmt));
    hm_stmt_bind_bytes(stmt, 1, hm_bytes_str("x"));
    CHECK_OK(hm_stmt_run(stmt));
    CHECK_OK(hm_store_end(s, HM_OK));
    hm_arena_init(&arena, 65536);
    assert_int_equal(hm_households_load(s, &made.household, &arena, &h), HM_CORRUPT);
    assert_int_equal(hm_households_recompute(s, v.hamlets[0], &digest, &households),
                     HM_CORRUPT);
    hm_arena_deinit(&arena);
    hm_village_close(&v);
}
