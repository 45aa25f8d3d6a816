#include "storage/items.h"

#include "protocol/guard.h"
#include "protocol/pack.h"
#include "storage/feeds.h"
#include "tests/support/store.h"

enum { BUF_MAX = 4 * 1024 * 1024 };

static int put_text(struct hm_store *s, enum hm_item_kind kind, uint64_t id,
                    const char *text)
{
    struct hm_buf buf;
    int err;

    hm_buf_init(&buf, 4096);
    hm_pack_str(&buf, hm_bytes_str(text));
    err = hm_items_put(s, kind, id, hm_buf_bytes(&buf));
    hm_buf_deinit(&buf);
    return err;
}

/* Take all items in buf, as a child does. */
static size_t take_all(struct hm_store *s, const struct hm_buf *buf,
                       const uint8_t *authority)
{
    struct hm_bytes left = hm_buf_bytes(buf);
    size_t count = 0;

    while (left.len > 0) {
        struct hm_admin_item item;
        struct hm_bytes one;
        bool taken = false;

        CHECK_OK(hm_guard_first(left, &one));
        CHECK_OK(hm_items_decode(one, &item));
        CHECK_OK(hm_items_take(s, &item, authority, &taken));
        count += taken;
        left = hm_bytes_of(left.data + one.len, left.len - one.len);
    }
    return count;
}

static bool is_round(void *arg, const struct hm_admin_item *item)
{
    (void)arg;
    return item->kind == HM_ITEM_ROUND;
}

/* Only the centre says what is so; the same again must not wake every laptop. */
HM_TEST(put_needs_the_centre)
{
    struct hm_test_node centre;
    struct hm_test_node laptop;
    struct hm_admin_item item;
    struct hm_arena arena;
    uint64_t position;
    uint64_t again;
    uint64_t salt;
    uint64_t id;

    hm_arena_init(&arena, BUF_MAX);
    hm_test_node_open(&centre, "centre", HM_NODE_CENTRE);
    hm_test_node_open(&laptop, "laptop", HM_NODE_LAPTOP);
    CHECK_OK(hm_store_begin(laptop.store));
    assert_int_equal(put_text(laptop.store, HM_ITEM_ROUND, 1, "x"), HM_DENIED);
    assert_int_equal(hm_store_end(laptop.store, HM_DENIED), HM_DENIED);
    CHECK_OK(hm_store_begin(centre.store));
    CHECK_OK(hm_items_next_id(centre.store, HM_ITEM_ROUND, &id));
    assert_int_equal(id, 1);
    CHECK_OK(put_text(centre.store, HM_ITEM_ROUND, 1, "x"));
    CHECK_OK(hm_items_position(centre.store, &position, &salt));
    CHECK_OK(put_text(centre.store, HM_ITEM_ROUND, 1, "x"));
    CHECK_OK(hm_items_position(centre.store, &again, &salt));
    assert_int_equal(position, again);
    CHECK_OK(put_text(centre.store, HM_ITEM_ROUND, 1, "y"));
    CHECK_OK(hm_items_get(centre.store, HM_ITEM_ROUND, 1, &arena, &item));
    assert_int_equal(item.version, 2);
    CHECK_OK(hm_items_next_id(centre.store, HM_ITEM_ROUND, &id));
    assert_int_equal(id, 2);
    assert_int_equal(hm_items_put(centre.store, HM_ITEM_ROUND, 9,
                                  hm_bytes_str("\xcd\x00\x01")), /* 1, not shortest */
                     HM_INVALID);
    CHECK_OK(hm_store_end(centre.store, HM_OK));
    hm_test_node_close(&laptop);
    hm_test_node_close(&centre);
    hm_arena_deinit(&arena);
}

/* What travels by the feed makes equal digests, in pieces too, and once only. */
HM_TEST(feed_brings_a_child_in_step)
{
    struct hm_test_node centre;
    struct hm_test_node laptop;
    struct hm_hash digests[2];
    struct hm_feed_state feed;
    struct hm_buf buf;
    uint64_t counts[2];
    uint64_t position = 0;
    unsigned rounds = 0;
    bool more = true;

    hm_buf_init(&buf, BUF_MAX);
    hm_test_node_open(&centre, "centre", HM_NODE_CENTRE);
    hm_test_node_open(&laptop, "laptop", HM_NODE_LAPTOP);
    CHECK_OK(hm_store_begin(centre.store));
    for (uint64_t i = 1; i <= 200; i++) {
        CHECK_OK(put_text(centre.store, HM_ITEM_ROUND, i, "a round"));
    }
    CHECK_OK(put_text(centre.store, HM_ITEM_UNIT, 1, "a unit"));
    CHECK_OK(hm_store_begin(laptop.store));
    for (; more; rounds++) {
        hm_buf_clear(&buf);
        CHECK_OK(hm_items_feed(centre.store, position, 5000, is_round, NULL, &buf,
                               &position, &more));
        assert_true(buf.len <= 5000);
        (void)take_all(laptop.store, &buf, centre.public_key);
        assert_int_equal(take_all(laptop.store, &buf, centre.public_key), 0);
    }
    assert_true(rounds > 3);
    assert_int_equal(position, 201);
    CHECK_OK(hm_items_digest(centre.store, is_round, NULL, &digests[0], &counts[0]));
    CHECK_OK(hm_items_digest(laptop.store, NULL, NULL, &digests[1], &counts[1]));
    assert_int_equal(counts[0], 200);
    assert_int_equal(counts[1], 200);
    assert_true(hm_hash_equal(&digests[0], &digests[1]));
    CHECK_OK(hm_feeds_get(laptop.store, 0, &feed));
    assert_true(hm_hash_equal(&digests[1], &feed.digest));
    assert_int_equal(feed.households, 200);
    CHECK_OK(hm_items_drop(laptop.store, HM_ITEM_ROUND, 7));
    CHECK_OK(hm_items_drop(laptop.store, HM_ITEM_ROUND, 7));
    CHECK_OK(hm_feeds_get(laptop.store, 0, &feed));
    assert_int_equal(feed.households, 199);
    CHECK_OK(hm_store_end(laptop.store, HM_OK));
    CHECK_OK(hm_store_end(centre.store, HM_OK));
    hm_test_node_close(&laptop);
    hm_test_node_close(&centre);
    hm_buf_deinit(&buf);
}

/* After a repair by hashes both hold the same; nothing else is sent. */
HM_TEST(differing_items_only)
{
    struct hm_test_node centre;
    struct hm_test_node laptop;
    struct hm_buf prefixes;
    struct hm_buf buf;
    uint64_t position;
    bool more = true;

    hm_buf_init(&buf, BUF_MAX);
    hm_buf_init(&prefixes, BUF_MAX);
    hm_test_node_open(&centre, "centre", HM_NODE_CENTRE);
    hm_test_node_open(&laptop, "laptop", HM_NODE_LAPTOP);
    CHECK_OK(hm_store_begin(centre.store));
    for (uint64_t i = 1; i <= 100; i++) {
        CHECK_OK(put_text(centre.store, HM_ITEM_ROUND, i, "a round"));
    }
    CHECK_OK(hm_store_begin(laptop.store));
    CHECK_OK(
        hm_items_feed(centre.store, 0, BUF_MAX, NULL, NULL, &buf, &position, &more));
    assert_int_equal(take_all(laptop.store, &buf, centre.public_key), 100);
    CHECK_OK(put_text(centre.store, HM_ITEM_ROUND, 5, "another"));
    CHECK_OK(put_text(centre.store, HM_ITEM_ROUND, 101, "more"));
    CHECK_OK(hm_items_prefixes(laptop.store, NULL, NULL, &prefixes));
    assert_int_equal(prefixes.len, 800);
    for (size_t i = 8; i < prefixes.len; i += 8) {
        assert_true(memcmp(prefixes.data + i - 8, prefixes.data + i, 8) < 0);
    }
    hm_buf_clear(&buf);
    CHECK_OK(hm_items_differing(centre.store, hm_buf_bytes(&prefixes), BUF_MAX, NULL,
                                NULL, &buf, &more));
    assert_false(more);
    assert_int_equal(take_all(laptop.store, &buf, centre.public_key), 2);
    hm_buf_clear(&buf);
    CHECK_OK(hm_items_differing(centre.store, (struct hm_bytes){0}, 1, NULL, NULL, &buf,
                                &more));
    assert_true(more);
    assert_true(buf.len > 0);
    CHECK_OK(hm_store_end(laptop.store, HM_OK));
    CHECK_OK(hm_store_end(centre.store, HM_OK));
    hm_test_node_close(&laptop);
    hm_test_node_close(&centre);
    hm_buf_deinit(&buf);
    hm_buf_deinit(&prefixes);
}

/* Whoever relays items cannot change one. */
HM_TEST(forged_items_are_refused)
{
    struct hm_test_node centre;
    struct hm_test_node laptop;
    struct hm_admin_item item;
    struct hm_arena arena;
    bool taken = false;

    hm_arena_init(&arena, BUF_MAX);
    hm_test_node_open(&centre, "centre", HM_NODE_CENTRE);
    hm_test_node_open(&laptop, "laptop", HM_NODE_LAPTOP);
    CHECK_OK(hm_store_begin(centre.store));
    CHECK_OK(put_text(centre.store, HM_ITEM_USER, 1, "u"));
    CHECK_OK(hm_items_get(centre.store, HM_ITEM_USER, 1, &arena, &item));
    CHECK_OK(hm_store_end(centre.store, HM_OK));
    CHECK_OK(hm_store_begin(laptop.store));
    item.version++;
    assert_int_equal(hm_items_take(laptop.store, &item, centre.public_key, &taken),
                     HM_SIGNATURE);
    item.version--;
    item.id++;
    assert_int_equal(hm_items_take(laptop.store, &item, centre.public_key, &taken),
                     HM_SIGNATURE);
    item.id--;
    assert_int_equal(hm_items_take(laptop.store, &item, laptop.public_key, &taken),
                     HM_SIGNATURE);
    CHECK_OK(hm_items_take(laptop.store, &item, centre.public_key, &taken));
    assert_true(taken);
    CHECK_OK(hm_store_end(laptop.store, HM_OK));
    hm_test_node_close(&laptop);
    hm_test_node_close(&centre);
    hm_arena_deinit(&arena);
}

/* A guard does not look into binaries: decoding must. */
HM_TEST(bodies_are_guarded)
{
    struct hm_admin_item item = {.kind = HM_ITEM_USER, .id = 1, .version = 1};
    uint8_t signature[HM_SIGNATURE_BYTES] = {0};
    struct hm_admin_item out;
    struct hm_buf buf;

    hm_buf_init(&buf, 4096);
    item.signature = hm_bytes_of(signature, sizeof signature);
    item.body = hm_bytes_str("\xdf\xff\xff\xff\xff");
    hm_items_encode(&item, &buf);
    CHECK_OK(hm_guard_check(hm_buf_bytes(&buf)));
    assert_int_equal(hm_items_decode(hm_buf_bytes(&buf), &out), HM_TRUNCATED);
    hm_buf_clear(&buf);
    item.body = hm_bytes_str("\x01");
    hm_items_encode(&item, &buf);
    CHECK_OK(hm_items_decode(hm_buf_bytes(&buf), &out));
    hm_buf_clear(&buf);
    item.id = 0;
    hm_items_encode(&item, &buf);
    assert_int_equal(hm_items_decode(hm_buf_bytes(&buf), &out), HM_MALFORMED);
    hm_buf_deinit(&buf);
}

/* Who shows a salt of another history is found out. */
HM_TEST(feeds_count_and_salt)
{
    struct hm_test_node node;
    struct hm_feed_state feed;
    uint64_t positions[3];
    uint64_t salts[3];
    uint64_t timeline;
    uint64_t again;

    hm_test_node_open(&node, "a", HM_NODE_CENTRE);
    CHECK_OK(hm_store_begin(node.store));
    CHECK_OK(hm_feeds_get(node.store, 5, &feed));
    assert_int_equal(feed.position, 0);
    for (int i = 0; i < 3; i++) {
        CHECK_OK(hm_feeds_advance(node.store, i < 2 ? 5 : 6, &positions[i]));
        CHECK_OK(hm_feeds_salt(node.store, i < 2 ? 5 : 6, positions[i], &salts[i]));
    }
    assert_int_equal(positions[0], 1);
    assert_int_equal(positions[1], 2);
    assert_int_equal(positions[2], 1);
    assert_true(salts[0] != salts[1]);
    CHECK_OK(hm_feeds_get(node.store, 5, &feed));
    assert_true(feed.position == 2 && feed.salt == salts[1]);
    assert_int_equal(hm_feeds_salt(node.store, 5, 3, &salts[0]), HM_NOTFOUND);
    CHECK_OK(hm_feeds_salt(node.store, 5, 0, &salts[0]));
    assert_int_equal(salts[0], 0);
    CHECK_OK(hm_feeds_timeline(node.store, &timeline));
    CHECK_OK(hm_feeds_timeline(node.store, &again));
    assert_true(timeline != 0 && timeline == again);
    CHECK_OK(hm_store_end(node.store, HM_OK));
    hm_test_node_close(&node);
}
