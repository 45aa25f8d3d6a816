/* What a household says of itself: bytes from outside, and chains of merges. */
#include <string.h>

#include "protocol/fact.h"
#include "protocol/pack.h"
#include "tests/support/build.h"
#include "tests/support/rng.h"
#include "tests/support/test.h"

static struct hm_bytes bytes(const char *data, size_t len)
{
    return hm_bytes_of(data, len);
}

#define BYTES(text) bytes(text, sizeof(text) - 1)

/* Everything that a device may send as a fact; what is none is refused. */
HM_TEST(facts_are_checked)
{
    static const struct {
        uint32_t field;
        const char *value;
        size_t len;
        bool good;
    } cases[] = {
#define CASE(field, value, good) {field, value, sizeof(value) - 1, good}
        CASE(HM_FIELD_STATUS, "\xc0", true),
        CASE(HM_FIELD_STATUS, "\x92\x01\x90", true),
        CASE(HM_FIELD_STATUS, "\x92\x01\x91\x92\x05\x01", true),
        CASE(HM_FIELD_STATUS, "\x92\x01\x91\x92\x05\x00", false), /* n 0 */
        CASE(HM_FIELD_STATUS, "\x92\x01\x92\x92\x05\x01\x92\x05\x02", false),
        CASE(HM_FIELD_STATUS, "\x92\x01\x92\x92\x06\x01\x92\x05\x02", false),
        CASE(HM_FIELD_STATUS, "\x92\x02\x90", false),
        CASE(HM_FIELD_STATUS, "\x01", false),
        CASE(HM_FIELD_STATUS, "\x91\x01", false),
        CASE(HM_FIELD_STATUS, "\x92\x01\x01", false),
        CASE(HM_FIELD_SCOPE, "\x92\x15\x90", true),
        CASE(HM_FIELD_SCOPE, "\x92\x00\x90", false),
        CASE(HM_FIELD_SCOPE, "\x92\xa1x\x90", false),
        CASE(HM_FIELD_MERGED, "\x92\x92\x01\x02\x90", true),
        CASE(HM_FIELD_MERGED, "\x92\x91\x01\x90", false),
        CASE(HM_FIELD_MERGED, "\x92\x93\x01\x02\x03\x90", false),
        CASE(HM_FIELD_SPLIT, "\x92\x92\x01\x02\x90", true),
        CASE(HM_FIELD_DECIDED,
             "\x92\xc4\x10"
             "0123456789abcdef\x90",
             true),
        CASE(HM_FIELD_DECIDED,
             "\x92\xc4\x01"
             "0\x90",
             false),
        CASE(HM_FIELD_APART, "\x90", true),
        CASE(HM_FIELD_APART, "\x91\x92\x01\x02", true),
        CASE(HM_FIELD_APART, "\x91\x01", false),
        CASE(HM_FIELD_APART, "\x92\x92\x01\x02", false),
        CASE(HM_FIELD_PARENT, "\x92\x01\x90", false),
        CASE(8, "\x92\x01\x90", false),
#undef CASE
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int err =
            hm_fact_check(cases[i].field, hm_bytes_of(cases[i].value, cases[i].len));

        if ((err == HM_OK) != cases[i].good) {
            fail_msg("case %zu: %s", i, hm_err_name(err));
        }
    }
}

/* What two people had seen makes no difference to what they said. */
HM_TEST(targets)
{
    struct hm_bytes a = hm_fact_target(HM_FIELD_SCOPE, BYTES("\x92\x15\x90"));
    struct hm_bytes b =
        hm_fact_target(HM_FIELD_SCOPE, BYTES("\x92\x15\x91\x92\x05\x01"));
    struct hm_bytes c = hm_fact_target(HM_FIELD_FIRST, BYTES("\x92\x15\x90"));

    assert_true(hm_bytes_equal(a, b));
    assert_int_equal(c.len, 3);
}

HM_TEST(what_was_seen)
{
    struct hm_bytes value = BYTES("\x92\x01\x92\x92\x05\x03\x92\x07\x01");

    assert_true(hm_fact_saw(value, &(struct hm_dot){5, 3}));
    assert_true(hm_fact_saw(value, &(struct hm_dot){5, 1}));
    assert_false(hm_fact_saw(value, &(struct hm_dot){5, 4}));
    assert_false(hm_fact_saw(value, &(struct hm_dot){6, 1}));
    assert_true(hm_fact_saw(value, &(struct hm_dot){7, 1}));
    assert_false(hm_fact_saw(BYTES("\xc0"), &(struct hm_dot){5, 1}));
}

/* -- Chains ----------------------------------------------------------------------- */

enum { NODES_MAX = 60 };

struct graph {
    size_t into[NODES_MAX]; /* SIZE_MAX: nowhere */
    struct hm_household_id ids[NODES_MAX];
    size_t count;
    unsigned calls;
};

static int next(void *arg, const struct hm_household_id *id,
                struct hm_household_id *out_into, bool *out_found)
{
    struct graph *graph = arg;

    graph->calls++;
    for (size_t i = 0; i < graph->count; i++) {
        if (hm_household_id_compare(&graph->ids[i], id) == 0) {
            *out_found = graph->into[i] != SIZE_MAX;
            *out_into = *out_found ? graph->ids[graph->into[i]] : *out_into;
            return HM_OK;
        }
    }
    *out_found = false;
    return HM_OK;
}

/* As long a walk as there are households ends on the circle, if there is one. */
static size_t naive(const struct graph *graph, size_t start, bool *out_circle)
{
    size_t at = start;
    size_t lowest;

    for (size_t i = 0; i < graph->count && graph->into[at] != SIZE_MAX; i++) {
        at = graph->into[at];
    }
    *out_circle = graph->into[at] != SIZE_MAX;
    lowest = at;
    for (size_t i = 0; *out_circle && i < graph->count; i++) {
        at = graph->into[at];
        if (hm_household_id_compare(&graph->ids[at], &graph->ids[lowest]) < 0) {
            lowest = at;
        }
    }
    return lowest;
}

static void check_graph(struct graph *graph)
{
    for (size_t i = 0; i < graph->count; i++) {
        struct hm_household_id survivor = {0};
        bool circle = false;
        bool expected_circle = false;
        size_t expected = naive(graph, i, &expected_circle);

        graph->calls = 0;
        CHECK_OK(hm_redirect_survivor(&graph->ids[i], next, graph, &survivor, &circle));
        assert_int_equal(hm_household_id_compare(&survivor, &graph->ids[expected]), 0);
        assert_int_equal(circle, expected_circle);
        assert_true(graph->calls <= 4 * NODES_MAX + 4);
    }
}

/* Households merged at random, into themselves, too: every walk ends, in the same
 * household as a walk by hand. */
HM_TEST(every_chain_ends)
{
    struct hm_rng rng = {1};

    for (int round = 0; round < 3000; round++) {
        struct graph graph = {.count = 1 + hm_rng_below(&rng, NODES_MAX)};
        uint64_t alone = hm_rng_below(&rng, 8); /* how many are merged nowhere */

        for (size_t i = 0; i < graph.count; i++) {
            graph.ids[i] =
                (struct hm_household_id){hm_rng_next(&rng), 1 + hm_rng_below(&rng, 9)};
            graph.into[i] = hm_rng_below(&rng, 8) < alone
                                ? SIZE_MAX
                                : hm_rng_below(&rng, graph.count);
        }
        check_graph(&graph);
    }
}

/* A circle of every length, reached by a tail of every length. */
HM_TEST(every_circle_ends)
{
    for (size_t length = 1; length <= 20; length++) {
        for (size_t tail = 0; tail <= 20; tail++) {
            struct graph graph = {.count = length + tail};

            for (size_t i = 0; i < graph.count; i++) {
                graph.ids[i] = (struct hm_household_id){(i * 7919) % 101, i + 1};
                graph.into[i] = i + 1 == graph.count ? tail : i + 1;
            }
            check_graph(&graph);
        }
    }
}

static int onward(void *arg, const struct hm_household_id *id,
                  struct hm_household_id *out_into, bool *out_found)
{
    (void)arg;
    *out_into = (struct hm_household_id){id->a + 1, 1};
    *out_found = true;
    return HM_OK;
}

static int broken(void *arg, const struct hm_household_id *id,
                  struct hm_household_id *out_into, bool *out_found)
{
    (void)arg;
    (void)id;
    (void)out_into;
    (void)out_found;
    return HM_IO;
}

HM_TEST(a_chain_without_end)
{
    struct hm_household_id id = {1, 1};
    struct hm_household_id out;
    bool circle;

    assert_int_equal(hm_redirect_survivor(&id, onward, NULL, &out, &circle), HM_TOOBIG);
    assert_int_equal(hm_redirect_survivor(&id, broken, NULL, &out, &circle), HM_IO);
}
