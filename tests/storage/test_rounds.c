#include "storage/rounds.h"

#include "tests/support/store.h"

/* A round keeps its number for ever: row keys hold it. */
HM_TEST(opened_closed_opened_again)
{
    struct hm_round round = {
        .code = "2026", .kind = "yearly", .from = "2026-09-01", .to = "2026-12-31"};
    struct hm_test_node node;
    struct hm_arena arena;
    struct hm_round found;
    struct hm_round *rounds;
    uint32_t first;
    uint32_t id;
    size_t count;

    hm_arena_init(&arena, 1024 * 1024);
    hm_test_node_open(&node, "centre", HM_NODE_CENTRE);
    CHECK_OK(hm_store_begin(node.store));
    CHECK_OK(hm_rounds_open(node.store, &round, &first));
    assert_int_equal(hm_rounds_open(node.store, &round, &id), HM_EXISTS);
    CHECK_OK(hm_rounds_close(node.store, "2026"));
    CHECK_OK(hm_rounds_close(node.store, "2026"));
    CHECK_OK(hm_rounds_find(node.store, "2026", &arena, &found));
    assert_false(found.open);
    round.to = "2027-01-31";
    CHECK_OK(hm_rounds_open(node.store, &round, &id));
    assert_int_equal(id, first);
    CHECK_OK(hm_rounds_get(node.store, id, &arena, &found));
    assert_true(found.open);
    assert_string_equal(found.to, "2027-01-31");
    round.code = "2027";
    CHECK_OK(hm_rounds_open(node.store, &round, &id));
    CHECK_OK(hm_rounds_list(node.store, &arena, &rounds, &count));
    assert_int_equal(count, 2);
    assert_string_equal(rounds[1].code, "2027");
    assert_int_equal(hm_rounds_close(node.store, "2028"), HM_NOTFOUND);
    round.code = "20@28";
    assert_int_equal(hm_rounds_open(node.store, &round, &id), HM_INVALID);
    round.code = "2028";
    round.to = "2020-01-01";
    assert_int_equal(hm_rounds_open(node.store, &round, &id), HM_INVALID);
    CHECK_OK(hm_store_end(node.store, HM_OK));
    hm_test_node_close(&node);
    hm_arena_deinit(&arena);
}
