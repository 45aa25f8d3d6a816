#include "storage/blobs.h"

#include "tests/support/store.h"

enum { SIZE = 100 * 1000 };

static uint8_t content[SIZE];

static void fill(uint8_t seed)
{
    for (size_t i = 0; i < SIZE; i++) {
        content[i] = (uint8_t)(seed + i * 31 + (i >> 8));
    }
}

static struct hm_bytes part(size_t offset, size_t len)
{
    return hm_bytes_of(content + offset, len);
}

/* A blob that comes over a bad link goes on where it stopped, also after a restart, and
 * repeated or skipped pieces do no harm. */
HM_TEST(pieces_survive_a_restart)
{
    struct hm_test_node node;
    struct hm_arena arena;
    struct hm_bytes bytes;
    uint8_t hash[HM_CONTENT_HASH_BYTES];
    uint64_t have = 1;
    bool complete = true;

    fill(1);
    hm_hash_content(part(0, SIZE), hash);
    hm_test_node_open(&node, "a", HM_NODE_LAPTOP);
    CHECK_OK(hm_store_begin(node.store));
    CHECK_OK(hm_blobs_have(node.store, hash, &have, &complete));
    assert_int_equal(have, 0);
    assert_false(complete);
    CHECK_OK(hm_blobs_add_piece(node.store, hash, 0, SIZE, part(0, 40000), &complete));
    CHECK_OK(hm_blobs_add_piece(node.store, hash, 0, SIZE, part(0, 40000), &complete));
    CHECK_OK(
        hm_blobs_add_piece(node.store, hash, 50000, SIZE, part(50000, 100), &complete));
    assert_false(complete);
    CHECK_OK(hm_store_end(node.store, HM_OK));
    hm_test_node_restart(&node);

    CHECK_OK(hm_store_begin(node.store));
    CHECK_OK(hm_blobs_have(node.store, hash, &have, &complete));
    assert_int_equal(have, 40000);
    CHECK_OK(hm_blobs_add_piece(node.store, hash, 40000, SIZE,
                                part(40000, SIZE - 40000), &complete));
    assert_true(complete);
    CHECK_OK(hm_blobs_have(node.store, hash, &have, &complete));
    assert_true(complete);
    assert_int_equal(have, SIZE);
    hm_arena_init(&arena, 4 * SIZE);
    CHECK_OK(hm_blobs_get(node.store, hash, &arena, &bytes));
    assert_true(hm_bytes_equal(bytes, part(0, SIZE)));
    CHECK_OK(hm_blobs_read(node.store, hash, 99990, 1000, &arena, &bytes, &have));
    assert_true(hm_bytes_equal(bytes, part(99990, 10)));
    assert_int_equal(have, SIZE);
    assert_int_equal(
        hm_blobs_read(node.store, hash, SIZE + 1, 1, &arena, &bytes, &have),
        HM_NOTFOUND);
    hm_arena_deinit(&arena);
    CHECK_OK(hm_store_end(node.store, HM_OK));
    hm_test_node_close(&node);
}

/* Wrong content must not stay in the way of the right one. */
HM_TEST(wrong_content_is_thrown_away)
{
    struct hm_test_node node;
    uint8_t hash[HM_CONTENT_HASH_BYTES];
    uint64_t have = 1;
    bool complete = true;

    fill(2);
    hm_hash_content(part(0, SIZE), hash);
    content[17] ^= 1;
    hm_test_node_open(&node, "a", HM_NODE_LAPTOP);
    CHECK_OK(hm_store_begin(node.store));
    CHECK_OK(hm_blobs_add_piece(node.store, hash, 0, SIZE, part(0, 50000), &complete));
    assert_int_equal(hm_blobs_add_piece(node.store, hash, 50000, SIZE,
                                        part(50000, 50000), &complete),
                     HM_MALFORMED);
    CHECK_OK(hm_blobs_have(node.store, hash, &have, &complete));
    assert_int_equal(have, 0);
    content[17] ^= 1;
    CHECK_OK(hm_blobs_add_piece(node.store, hash, 0, SIZE, part(0, SIZE), &complete));
    assert_true(complete);
    assert_int_equal(hm_blobs_add_piece(node.store, content, 0, HM_BLOB_BYTES_MAX + 1,
                                        part(0, 1), &complete),
                     HM_TOOBIG);
    assert_int_equal(
        hm_blobs_add_piece(node.store, content, 0, 10, part(0, 11), &complete),
        HM_MALFORMED);
    CHECK_OK(hm_store_end(node.store, HM_OK));
    hm_test_node_close(&node);
}

/* A peer that told another size must not block the blob for ever. */
HM_TEST(other_size_begins_anew)
{
    struct hm_test_node node;
    uint8_t hash[HM_CONTENT_HASH_BYTES];
    uint64_t have = 1;
    bool complete = true;

    fill(3);
    hm_hash_content(part(0, SIZE), hash);
    hm_test_node_open(&node, "a", HM_NODE_LAPTOP);
    CHECK_OK(hm_store_begin(node.store));
    CHECK_OK(
        hm_blobs_add_piece(node.store, hash, 0, SIZE + 1, part(0, 5000), &complete));
    CHECK_OK(
        hm_blobs_add_piece(node.store, hash, 5000, SIZE, part(5000, 5000), &complete));
    CHECK_OK(hm_blobs_have(node.store, hash, &have, &complete));
    assert_int_equal(have, 0);
    CHECK_OK(hm_blobs_add_piece(node.store, hash, 0, SIZE, part(0, SIZE), &complete));
    assert_true(complete);
    CHECK_OK(hm_store_end(node.store, HM_OK));
    hm_test_node_close(&node);
}

/* Segments name dictionaries: they are found by id, and the newest comes last. */
HM_TEST(dictionaries_have_ids)
{
    struct hm_test_node node;
    struct hm_dictionary dictionary;
    struct hm_arena arena;
    uint8_t hash[HM_CONTENT_HASH_BYTES];
    uint64_t ids[3];
    uint64_t *listed;
    size_t count;

    fill(4);
    hm_arena_init(&arena, 8 * SIZE);
    hm_test_node_open(&node, "a", HM_NODE_CENTRE);
    CHECK_OK(hm_store_begin(node.store));
    for (size_t i = 0; i < 3; i++) {
        CHECK_OK(hm_blobs_put(node.store, part(i, 1000), hash));
        CHECK_OK(hm_blobs_add_dictionary(node.store, hash, &ids[i]));
        CHECK_OK(hm_blobs_add_dictionary(node.store, hash, &ids[i]));
    }
    CHECK_OK(hm_blobs_dictionaries(node.store, &arena, 2, &listed, &count));
    assert_int_equal(count, 2);
    assert_true(listed[0] == ids[1] && listed[1] == ids[2]);
    CHECK_OK(hm_blobs_dictionary(node.store, ids[1], &arena, &dictionary));
    assert_true(hm_bytes_equal(dictionary.bytes, part(1, 1000)));
    assert_int_equal(hm_blobs_dictionary(node.store, 12345, &arena, &dictionary),
                     HM_DICTIONARY);
    CHECK_OK(hm_blobs_dictionary(node.store, 0, &arena, &dictionary));
    assert_int_equal(dictionary.bytes.len, 0);
    memset(hash, 7, sizeof hash);
    assert_int_equal(hm_blobs_add_dictionary(node.store, hash, &ids[0]), HM_NOTFOUND);
    CHECK_OK(hm_store_end(node.store, HM_OK));
    hm_arena_deinit(&arena);
    hm_test_node_close(&node);
}

/* A flipped bit on the disk must be seen, by reading and by verify. */
HM_TEST(damage_is_seen)
{
    struct hm_test_node node;
    struct hm_arena arena;
    struct hm_bytes bytes;
    struct hm_buf report;
    uint8_t hash[HM_CONTENT_HASH_BYTES];
    uint64_t count = 0;

    fill(5);
    hm_arena_init(&arena, 8 * SIZE);
    hm_buf_init(&report, 4096);
    hm_test_node_open(&node, "a", HM_NODE_CENTRE);
    CHECK_OK(hm_store_begin(node.store));
    CHECK_OK(hm_blobs_put(node.store, part(0, 10), hash));
    CHECK_OK(hm_blobs_put(node.store, part(0, 20), hash));
    CHECK_OK(hm_blobs_verify(node.store, &report, &count));
    assert_int_equal(count, 2);
    CHECK_OK(hm_db_exec(hm_store_db(node.store),
                        "UPDATE blob SET bytes = x'00' WHERE size = 20"));
    assert_int_equal(hm_blobs_get(node.store, hash, &arena, &bytes), HM_CORRUPT);
    assert_int_equal(hm_blobs_verify(node.store, &report, &count), HM_CORRUPT);
    assert_true(report.len > 64);
    CHECK_OK(hm_store_end(node.store, HM_OK));
    hm_arena_deinit(&arena);
    hm_buf_deinit(&report);
    hm_test_node_close(&node);
}
