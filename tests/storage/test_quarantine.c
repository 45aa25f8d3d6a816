#include <string.h>

#include "storage/quarantine.h"
#include "tests/support/store.h"

static struct hm_test_node node;

static void put(const struct hm_quarantine_entry *entry)
{
    CHECK_OK(hm_store_begin(node.store));
    CHECK_OK(hm_store_end(node.store, hm_quarantine_put(node.store, entry)));
}

static uint64_t held(void)
{
    uint64_t count = 99;

    CHECK_OK(hm_quarantine_count(node.store, &count));
    return count;
}

static int next(void *arg, const struct hm_quarantine_entry *entry)
{
    uint64_t *seen = arg;

    assert_true(entry->dot.n > seen[0]);
    seen[0] = entry->dot.n;
    seen[1]++;
    return HM_OK;
}

/* Kept once, found again by the id that people see, with every byte; released entries
 * are not counted but stay. */
HM_TEST(entries_are_kept_and_found)
{
    struct hm_quarantine_entry change = {.dot = {0xab, 7},
                                         .device = 0xffffffffffffffffU,
                                         .scope = 17,
                                         .household = {0xab, 3},
                                         .reason = HM_DENIED,
                                         .detail = "thôn khác",
                                         .bytes = hm_bytes_str("a change")};
    struct hm_quarantine_entry segment = {
        .reason = HM_CHAIN, .detail = "a fork", .bytes = hm_bytes_str("a segment")};
    struct hm_quarantine_entry found;
    char id[HM_QUARANTINE_ID_MAX];
    struct hm_arena arena;

    hm_arena_init(&arena, 65536);
    hm_test_node_open(&node, "n", HM_NODE_CENTRE);
    put(&change);
    node.now_ms++;
    put(&change);
    put(&segment);
    put(&segment);
    assert_int_equal(held(), 2);
    change.dot.n = 8; /* the same bytes under another dot are another change */
    put(&change);
    assert_int_equal(held(), 3);
    hm_test_node_restart(&node);

    change.dot.n = 7;
    hm_quarantine_id(&change, id);
    assert_string_equal(id, "00000000000000ab.7");
    CHECK_OK(hm_quarantine_get(node.store, id, &arena, &found));
    assert_int_equal(found.device, change.device);
    assert_int_equal(found.scope, 17);
    assert_int_equal(found.household.n, 3);
    assert_int_equal(found.reason, HM_DENIED);
    assert_string_equal(found.detail, change.detail);
    assert_true(hm_bytes_equal(found.bytes, change.bytes));
    assert_int_equal(found.since_utc_ms, HM_TEST_START_MS);
    assert_false(found.released);

    CHECK_OK(hm_store_begin(node.store));
    CHECK_OK(
        hm_store_end(node.store, hm_quarantine_set_released(node.store, &found.hash)));
    assert_int_equal(held(), 2);
    CHECK_OK(hm_quarantine_get(node.store, id, &arena, &found));
    assert_true(found.released);
    assert_int_equal(
        hm_quarantine_get(node.store, "00000000000000ab.9", &arena, &found),
        HM_NOTFOUND);
    hm_test_node_close(&node);
    hm_arena_deinit(&arena);
}

/* Bytes without a log are named by their hash. */
HM_TEST(bytes_are_found_by_their_hash)
{
    struct hm_quarantine_entry segment = {
        .reason = HM_CHAIN, .detail = "a fork", .bytes = hm_bytes_str("a segment")};
    struct hm_quarantine_entry found;
    char id[HM_QUARANTINE_ID_MAX];
    uint8_t dot[16] = {0};
    struct hm_arena arena;

    hm_arena_init(&arena, 65536);
    hm_test_node_open(&node, "n", HM_NODE_CENTRE);
    put(&segment);
    segment.hash = hm_hash_of(hm_bytes_of(dot, sizeof dot), segment.bytes);
    hm_quarantine_id(&segment, id);
    assert_int_equal(strlen(id), 32);
    CHECK_OK(hm_quarantine_get(node.store, id, &arena, &found));
    assert_true(hm_bytes_equal(found.bytes, segment.bytes));
    hm_test_node_close(&node);
    hm_arena_deinit(&arena);
}

/* A part of one log's refusals, in its order. */
HM_TEST(the_refusals_of_a_log)
{
    uint64_t seen[2] = {0, 0};

    hm_test_node_open(&node, "n", HM_NODE_CENTRE);
    for (uint64_t n = 12; n > 0; n--) {
        put(&(struct hm_quarantine_entry){.dot = {5 + n % 2, n},
                                          .reason = HM_DENIED,
                                          .detail = "no",
                                          .bytes = hm_bytes_str("x")});
    }
    CHECK_OK(hm_quarantine_each_of(node.store, 5, 3, 8, next, seen));
    assert_int_equal(seen[1], 3); /* 4, 6, 8 */
    assert_int_equal(seen[0], 8);
    hm_test_node_close(&node);
}
