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

static void put_unsigned(uint64_t device, struct hm_bytes bytes)
{
    node.now_ms++;
    CHECK_OK(hm_store_begin(node.store));
    CHECK_OK(hm_store_end(
        node.store, hm_quarantine_put_unsigned(node.store, device, bytes, "forged")));
}

struct account {
    uint64_t device;
    uint64_t kept;
    uint64_t bytes;
    uint64_t let_go;
    bool oldest; /* the piece that came first is there */
    char detail[HM_QUARANTINE_DETAIL_MAX];
};

static int add_up(void *arg, const struct hm_quarantine_entry *entry)
{
    struct account *account = arg;
    bool counts = entry->let_go > 0;

    if (entry->device == account->device && entry->dot.n == 0) {
        account->kept += counts ? 0 : 1;
        account->bytes += entry->bytes.len;
        account->let_go += entry->let_go;
        account->oldest =
            account->oldest || (entry->bytes.len > 0 && entry->bytes.data[0] == 0);
        if (counts) {
            strcpy(account->detail, entry->detail);
            assert_int_equal(entry->household.n, 0);
        }
    }
    return HM_OK;
}

static struct account account_of(uint64_t device)
{
    struct account account = {.device = device};

    CHECK_OK(hm_quarantine_each(node.store, add_up, &account));
    return account;
}

/* One device that sends broken bytes for ever fills nobody's disk: its oldest pieces go
 * and are counted. What others sent, and what somebody signed, stays. */
HM_TEST(unsigned_bytes_have_a_limit)
{
    enum { DEVICE = 7, MORE = 30 };
    uint8_t piece[60000] = {0};
    struct hm_quarantine_entry fork = {.device = DEVICE,
                                       .reason = HM_CHAIN,
                                       .detail = "a fork",
                                       .bytes = hm_bytes_str("signed")};
    struct account account;

    hm_test_node_open(&node, "n", HM_NODE_CENTRE);
    put(&fork);
    put_unsigned(DEVICE + 1, hm_bytes_str("of another device"));
    for (unsigned i = 0; i < HM_QUARANTINE_UNSIGNED_MAX + MORE; i++) {
        piece[0] = (uint8_t)i;
        put_unsigned(DEVICE, hm_bytes_of(piece, 100));
        put_unsigned(DEVICE, hm_bytes_of(piece, 100)); /* again: it is one */
    }
    account = account_of(DEVICE);
    assert_int_equal(account.kept, HM_QUARANTINE_UNSIGNED_MAX + 1);
    assert_int_equal(account.let_go, MORE);
    assert_false(account.oldest);
    assert_non_null(strstr(account.detail, "30 more"));
    assert_non_null(strstr(account.detail, "3000 bytes"));
    assert_int_equal(held(), HM_QUARANTINE_UNSIGNED_MAX + MORE + 2);

    for (unsigned i = 0; i < HM_QUARANTINE_UNSIGNED_MAX; i++) {
        piece[0] = (uint8_t)i;
        put_unsigned(DEVICE, hm_bytes_of(piece, sizeof piece));
    }
    hm_test_node_restart(&node);
    account = account_of(DEVICE);
    assert_in_range(account.bytes, HM_QUARANTINE_UNSIGNED_BYTES_MAX - sizeof piece,
                    HM_QUARANTINE_UNSIGNED_BYTES_MAX + 6);
    assert_int_equal(account.kept + account.let_go,
                     2 * HM_QUARANTINE_UNSIGNED_MAX + MORE + 1);
    assert_int_equal(account_of(DEVICE + 1).kept, 1);
    assert_int_equal(held(), 2 * HM_QUARANTINE_UNSIGNED_MAX + MORE + 2);
    hm_test_node_close(&node);
}
