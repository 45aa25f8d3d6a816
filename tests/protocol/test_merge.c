#include "protocol/merge.h"

#include <stdlib.h>

#include "tests/fault/loop.h"
#include "tests/support/build.h"
#include "tests/support/fault.h"
#include "tests/support/history.h"
#include "tests/support/naive.h"
#include "tests/support/rng.h"
#include "tests/support/test.h"

/* The state behind the first entries of an order. */
static struct hm_household fold(struct hm_history *history, const size_t *order,
                                size_t count)
{
    struct hm_household h;

    hm_history_begin(history, &h, &history->arena);
    for (size_t i = 0; i < count; i++) {
        hm_history_apply(&history->entries[order[i]], &h);
    }
    return h;
}

static struct hm_household join(struct hm_history *history,
                                const struct hm_household *a,
                                const struct hm_household *b)
{
    struct hm_household out;

    CHECK_OK(hm_merge_join(a, b, &history->arena, &out));
    return out;
}

static void check_equal(struct hm_history *history, const struct hm_household *a,
                        const struct hm_household *b)
{
    assert_true(hm_bytes_equal(hm_build_state(&history->arena, a),
                               hm_build_state(&history->arena, b)));
}

/* The same state from changes in any order that keeps each author's own. */
HM_TEST(order_does_not_matter)
{
    struct hm_rng rng = {31};

    for (unsigned long round = 0; round < hm_test_rounds(3, 1500, 30000); round++) {
        struct hm_history history;
        struct hm_household first;
        size_t order[HM_HISTORY_ENTRIES_MAX];

        hm_history_make(&history, &rng, 4 + (size_t)hm_rng_below(&rng, 30));
        hm_history_refuse_some(&history, &rng);
        for (size_t i = 0; i < history.count; i++) {
            order[i] = i;
        }
        first = fold(&history, order, history.count);
        for (int replica = 0; replica < 4; replica++) {
            struct hm_household other;

            hm_history_shuffle(&history, &rng, order);
            other = fold(&history, order, history.count);
            check_equal(&history, &first, &other);
            for (size_t i = 0; i < history.count; i++) { /* all of it once more */
                hm_history_apply(&history.entries[i], &other);
            }
            check_equal(&history, &first, &other);
        }
        hm_history_free(&history);
    }
}

/* Three states of one history, each having heard some of it. */
static void three(struct hm_history *history, struct hm_rng *rng,
                  struct hm_household states[3])
{
    size_t order[HM_HISTORY_ENTRIES_MAX];

    hm_history_make(history, rng, 3 + (size_t)hm_rng_below(rng, 25));
    hm_history_refuse_some(history, rng);
    for (int i = 0; i < 3; i++) {
        hm_history_shuffle(history, rng, order);
        states[i] = fold(history, order, (size_t)hm_rng_below(rng, history->count + 1));
    }
}

HM_TEST(join_is_commutative_associative_idempotent)
{
    struct hm_rng rng = {32};

    for (unsigned long round = 0; round < hm_test_rounds(3, 3000, 60000); round++) {
        struct hm_history history;
        struct hm_household s[3];
        struct hm_household ab;
        struct hm_household ba;
        struct hm_household bc;
        struct hm_household left;
        struct hm_household right;
        struct hm_household empty;

        three(&history, &rng, s);
        ab = join(&history, &s[0], &s[1]);
        ba = join(&history, &s[1], &s[0]);
        check_equal(&history, &ab, &ba);
        bc = join(&history, &s[1], &s[2]);
        left = join(&history, &ab, &s[2]);
        right = join(&history, &s[0], &bc);
        check_equal(&history, &left, &right);
        left = join(&history, &s[0], &s[0]);
        check_equal(&history, &left, &s[0]);
        left = join(&history, &ab, &s[0]);
        check_equal(&history, &left, &ab);
        hm_history_begin(&history, &empty, &history.arena);
        left = join(&history, &empty, &s[0]);
        check_equal(&history, &left, &s[0]);
        hm_history_free(&history);
    }
}

/* Replicas that heard different parts and then exchange states or logs agree, and a
 * joined state goes on taking changes. */
HM_TEST(joining_states_equals_applying_changes)
{
    struct hm_rng rng = {33};

    for (unsigned long round = 0; round < hm_test_rounds(3, 3000, 60000); round++) {
        struct hm_history history;
        size_t a[HM_HISTORY_ENTRIES_MAX];
        size_t b[HM_HISTORY_ENTRIES_MAX];
        struct hm_household x;
        struct hm_household y;
        struct hm_household joined;
        size_t upto;

        hm_history_make(&history, &rng, 3 + (size_t)hm_rng_below(&rng, 25));
        hm_history_refuse_some(&history, &rng);
        hm_history_shuffle(&history, &rng, a);
        hm_history_shuffle(&history, &rng, b);
        upto = (size_t)hm_rng_below(&rng, history.count + 1);
        x = fold(&history, a, upto);
        y = fold(&history, b, (size_t)hm_rng_below(&rng, history.count + 1));
        joined = join(&history, &x, &y);
        /* x hears in y's changes one by one: all that y has seen. */
        for (size_t i = 0; i < history.count; i++) {
            const struct hm_dot *dot = &history.entries[b[i]].dot;

            if (dot->n <= hm_household_seen(&y, dot->incarnation)) {
                hm_history_apply(&history.entries[b[i]], &x);
            }
        }
        check_equal(&history, &x, &joined);
        for (size_t i = 0; i < history.count; i++) {
            hm_history_apply(&history.entries[i], &x);
            hm_history_apply(&history.entries[i], &joined);
        }
        check_equal(&history, &x, &joined);
        hm_history_free(&history);
    }
}

HM_TEST(join_leaves_its_inputs)
{
    struct hm_rng rng = {34};

    for (unsigned long round = 0; round < hm_test_rounds(3, 500, 10000); round++) {
        struct hm_history history;
        struct hm_household s[3];
        struct hm_household out;
        struct hm_bytes before;

        three(&history, &rng, s);
        before = hm_build_state(&history.arena, &s[0]);
        out = join(&history, &s[0], &s[1]);
        for (size_t i = 0; i < history.count; i++) {
            hm_history_apply(&history.entries[i], &out);
        }
        assert_true(hm_bytes_equal(before, hm_build_state(&history.arena, &s[0])));
        hm_history_free(&history);
    }
}

static void naive_add(struct hm_naive *naive, const struct hm_history_entry *entry)
{
    if (entry->refused) {
        hm_naive_refuse(naive, &entry->dot);
    } else {
        hm_naive_apply(naive, &entry->change, &entry->dot);
    }
}

/* Partial deliveries, their join, and the naive rules agree on every value. Ten million
 * histories with HM_TEST_LONG=1, in four parts. */
static void compare_with_naive(uint64_t seed)
{
    static struct hm_naive naive;
    static struct hm_naive both;
    struct hm_rng rng = {seed};
    unsigned long rounds = hm_test_rounds(3, 25000, 2500000);
    unsigned long waited = 0;

    for (unsigned long round = 0; round < rounds; round++) {
        struct hm_history history;
        struct hm_household h[2];
        struct hm_household joined;
        size_t order[HM_HISTORY_ENTRIES_MAX];

        hm_history_make(&history, &rng, 2 + (size_t)hm_rng_below(&rng, 14));
        hm_history_refuse_some(&history, &rng);
        hm_naive_init(&both);
        for (int side = 0; side < 2; side++) {
            size_t upto = 1 + (size_t)hm_rng_below(&rng, history.count);

            hm_history_shuffle(&history, &rng, order);
            h[side] = fold(&history, order, upto);
            hm_naive_init(&naive);
            for (size_t i = 0; i < upto; i++) {
                naive_add(&naive, &history.entries[order[i]]);
                naive_add(&both, &history.entries[order[i]]);
            }
            if (!hm_naive_agrees(&naive, &h[side])) {
                fail_msg("seed %d, history %lu, side %d", (int)seed, round, side);
            }
            waited += naive.replaced_count;
        }
        joined = join(&history, &h[0], &h[1]);
        if (!hm_naive_agrees(&both, &joined)) {
            fail_msg("seed %d, history %lu, joined", (int)seed, round);
        }
        hm_history_free(&history);
    }
    assert_true(waited >= rounds); /* the histories are of some interest */
}

HM_TEST(agrees_with_the_naive_merge)
{
    compare_with_naive(35);
}

HM_TEST(agrees_with_the_naive_merge_too)
{
    compare_with_naive(1035);
}

HM_TEST(agrees_with_the_naive_merge_again)
{
    compare_with_naive(2035);
}

HM_TEST(agrees_with_the_naive_merge_at_last)
{
    compare_with_naive(3035);
}

/* What the vectors say, author by author. */
static enum hm_merge_choice choice_by_vectors(const struct hm_household *own,
                                              const struct hm_household *parent)
{
    bool ahead = false;
    bool behind = false;

    for (size_t i = 0; i < HM_HISTORY_AUTHORS; i++) {
        uint64_t a = hm_household_seen(own, hm_history_incarnation(i));
        uint64_t b = hm_household_seen(parent, hm_history_incarnation(i));

        ahead = ahead || a > b;
        behind = behind || b > a;
    }
    return !ahead ? HM_MERGE_TAKE : behind ? HM_MERGE_JOIN : HM_MERGE_KEEP;
}

/* A child that took what its parent refused ends with the parent's state, byte for
 * byte, once the parent has seen all that it has seen; before, it loses nothing that
 * the parent has not seen. */
HM_TEST(a_child_adopts_and_ends_as_its_parent)
{
    struct hm_rng rng = {38};
    unsigned choices[3] = {0};

    for (unsigned long round = 0; round < hm_test_rounds(3, 2000, 60000); round++) {
        struct hm_history history;
        struct hm_household own;
        struct hm_household parent;
        size_t order[HM_HISTORY_ENTRIES_MAX];
        size_t upto;

        hm_history_make(&history, &rng, 3 + (size_t)hm_rng_below(&rng, 20));
        hm_history_shuffle(&history, &rng, order);
        own = fold(&history, order, (size_t)hm_rng_below(&rng, history.count + 1));
        hm_history_refuse_some(&history, &rng); /* by the parent alone */
        hm_history_shuffle(&history, &rng, order);
        hm_history_begin(&history, &parent, &history.arena);
        upto = (size_t)hm_rng_below(&rng, history.count + 1);
        for (size_t i = 0; i <= history.count; i++) {
            enum hm_merge_choice choice = hm_merge_adopt(&own, &parent);

            assert_int_equal(choice, choice_by_vectors(&own, &parent));
            choices[choice]++;
            if (i >= upto && choice == HM_MERGE_TAKE) {
                struct hm_bytes bytes = hm_build_state(&history.arena, &parent);

                CHECK_OK(hm_household_decode(bytes, &history.arena, &own));
            } else if (i >= upto && choice == HM_MERGE_JOIN) {
                own = join(&history, &own, &parent);
            }
            if (i < history.count) {
                hm_history_apply(&history.entries[order[i]], &parent);
            }
        }
        check_equal(&history, &own, &parent);
        hm_history_free(&history);
    }
    assert_true(choices[HM_MERGE_TAKE] > 0);
    assert_true(choices[HM_MERGE_KEEP] > 0);
    assert_true(choices[HM_MERGE_JOIN] > 0);
}

/* A household whose vector is given: pairs of author and n. */
static struct hm_household with_vector(struct hm_vv_entry *vv, const uint64_t *pairs,
                                       size_t count)
{
    struct hm_household h = {.vv = vv, .vv_count = count};

    for (size_t i = 0; i < count; i++) {
        vv[i] = (struct hm_vv_entry){.author.incarnation = pairs[2 * i],
                                     .n = pairs[2 * i + 1]};
    }
    return h;
}

/* sync.md: a parent that has seen all that the child has seen is right, also about what
 * it refused; a child that is ahead keeps its own; else both are joined. */
HM_TEST(what_a_child_adopts)
{
    static const struct {
        uint64_t own[6];
        size_t own_count;
        uint64_t parent[6];
        size_t parent_count;
        enum hm_vv_order order;
        enum hm_merge_choice choice;
    } cases[] = {
        {{0}, 0, {0}, 0, HM_VV_EQUAL, HM_MERGE_TAKE},
        {{1, 5}, 1, {1, 5}, 1, HM_VV_EQUAL, HM_MERGE_TAKE},
        {{0}, 0, {1, 5}, 1, HM_VV_BEHIND, HM_MERGE_TAKE},
        {{1, 4}, 1, {1, 5}, 1, HM_VV_BEHIND, HM_MERGE_TAKE},
        {{1, 5}, 1, {1, 5, UINT64_MAX, 1}, 2, HM_VV_BEHIND, HM_MERGE_TAKE},
        {{1, 5}, 1, {0}, 0, HM_VV_AHEAD, HM_MERGE_KEEP},
        {{1, 6}, 1, {1, 5}, 1, HM_VV_AHEAD, HM_MERGE_KEEP},
        {{1, 5, UINT64_MAX, 1}, 2, {1, 5}, 1, HM_VV_AHEAD, HM_MERGE_KEEP},
        {{1, 6, 2, 1}, 2, {1, 5, 2, 2}, 2, HM_VV_APART, HM_MERGE_JOIN},
        {{1, 5}, 1, {2, 5}, 1, HM_VV_APART, HM_MERGE_JOIN},
        {{2, 5}, 1, {1, 5}, 1, HM_VV_APART, HM_MERGE_JOIN},
        {{1, 5, 3, 1}, 2, {1, 5, 2, 1}, 2, HM_VV_APART, HM_MERGE_JOIN},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hm_vv_entry a[3];
        struct hm_vv_entry b[3];
        struct hm_household own = with_vector(a, cases[i].own, cases[i].own_count);
        struct hm_household parent =
            with_vector(b, cases[i].parent, cases[i].parent_count);

        assert_int_equal(hm_merge_compare(&own, &parent), cases[i].order);
        assert_int_equal(hm_merge_adopt(&own, &parent), cases[i].choice);
    }
}

/* A parent that refused a change that the child has applied: taking its state takes the
 * value away, where a join of the same two would keep it. */
HM_TEST(taking_forgets_what_the_parent_refused)
{
    struct hm_rng rng = {36};
    struct hm_history history;
    struct hm_household own;
    struct hm_household parent;
    struct hm_author author;

    hm_history_make(&history, &rng, 1);
    hm_history_begin(&history, &own, &history.arena);
    hm_history_begin(&history, &parent, &history.arena);
    hm_history_apply(&history.entries[0], &own);
    author = hm_build_author(history.entries[0].dot.incarnation);
    CHECK_OK(hm_household_refuse(&parent, &history.entries[0].change,
                                 &history.entries[0].dot, &author));
    assert_int_equal(hm_merge_adopt(&own, &parent), HM_MERGE_TAKE);
    assert_int_equal(parent.row_count, 0);
    hm_history_free(&history);
}

static void decode_apply_join(void *arg)
{
    const struct hm_history *history = arg;
    struct hm_arena arena;
    struct hm_household a;
    struct hm_household b;
    struct hm_household joined = {.home = 77};
    int err = HM_OK;

    hm_arena_init(&arena, HM_HOUSEHOLD_ARENA_BYTES_MAX);
    hm_household_init(&a, &history->id, &arena);
    hm_household_init(&b, &history->id, &arena);
    for (size_t i = 0; i < history->count && err == HM_OK; i++) {
        const struct hm_history_entry *entry = &history->entries[i];
        struct hm_author author = hm_build_author(entry->dot.incarnation);
        struct hm_change change = {.user = 77};
        bool applied = false;

        err = hm_change_decode(entry->bytes, &entry->dot, &arena, &change);
        if (err == HM_OK) {
            err = hm_household_apply(i % 3 == 0 ? &a : &b, &change, &entry->dot,
                                     &author, &applied);
            assert_int_equal(applied, err == HM_OK);
        } else {
            assert_int_equal(change.user, 77);
        }
    }
    if (err == HM_OK) {
        err = hm_merge_join(&a, &b, &arena, &joined);
        assert_int_equal(joined.home == 77, err != HM_OK);
    }
    assert_int_equal(err, hm_fault_happened() ? HM_NOMEM : HM_OK);
    hm_arena_deinit(&arena);
}

static void decode_state(void *arg)
{
    const struct hm_bytes *state_bytes = arg;
    struct hm_household h = {.home = 77};
    struct hm_arena arena;
    struct hm_buf buf;
    int err;

    hm_arena_init(&arena, HM_HOUSEHOLD_ARENA_BYTES_MAX);
    hm_buf_init(&buf, HM_HOUSEHOLD_BYTES_MAX);
    err = hm_household_decode(*state_bytes, &arena, &h);
    assert_int_equal(h.home == 77, err != HM_OK);
    if (err == HM_OK) {
        hm_household_encode(&h, &buf);
        err = buf.err;
    }
    assert_int_equal(err, hm_fault_happened() ? HM_NOMEM : HM_OK);
    hm_buf_deinit(&buf);
    hm_arena_deinit(&arena);
}

/* Memory may end anywhere: said as HM_NOMEM, nothing lost, nothing half returned. */
HM_TEST(out_of_memory)
{
    struct hm_rng rng = {37};
    size_t order[HM_HISTORY_ENTRIES_MAX];
    struct hm_history history;
    struct hm_household all;
    struct hm_bytes bytes;

    hm_history_make(&history, &rng, 60);
    assert_true(hm_fault_each(decode_apply_join, &history) >= 5);
    hm_history_shuffle(&history, &rng, order);
    all = fold(&history, order, history.count);
    bytes = hm_build_state(&history.arena, &all);
    assert_true(hm_fault_each(decode_state, &bytes) >= 3);
    hm_history_free(&history);
}

/* A join whose memory ends at any of its allocations leaves its result alone. */
HM_TEST(a_join_within_a_limit)
{
    struct hm_rng rng = {38};
    struct hm_history history;
    struct hm_household a;
    struct hm_household b;
    size_t order[HM_HISTORY_ENTRIES_MAX];
    size_t failures = 0;
    size_t bytes_max = 1;
    int err = HM_NOMEM;

    hm_history_make(&history, &rng, 30);
    hm_history_shuffle(&history, &rng, order);
    a = fold(&history, order, 20);
    hm_history_shuffle(&history, &rng, order);
    b = fold(&history, order, 20);
    for (; err != HM_OK && bytes_max < 1024 * 1024; bytes_max += 8) {
        struct hm_household joined = {.home = 77};
        struct hm_arena small;

        hm_arena_init(&small, bytes_max);
        err = hm_merge_join(&a, &b, &small, &joined);
        assert_true(err == HM_OK || (err == HM_NOMEM && joined.home == 77));
        failures += err == HM_NOMEM ? 1 : 0;
        hm_arena_deinit(&small);
    }
    CHECK_OK(err);
    assert_true(failures > 50);
    hm_history_free(&history);
}
