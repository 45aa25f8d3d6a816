#include "protocol/policy.h"

#include <stdio.h>

#include "protocol/pack.h"
#include "tests/support/build.h"
#include "tests/support/test.h"

enum { FIELD = 20, ALL_POLICIES = HM_FIELD_POLICY_DERIVED };

/* Who wrote a value, and how. Author i has incarnation 10 + i. */
struct writer {
    uint64_t incarnation;
    uint64_t n;
    uint8_t rank;
    enum hm_clock_class clock_class;
    int64_t wall_ms;
    int64_t offset_ms;
};

static struct hm_arena arena;
static struct hm_household h;
static struct hm_cell cell;
static struct hm_sibling siblings[8];
static struct hm_vv_entry vv[8];
static struct hm_stamp stamps[8];

static void begin(void)
{
    const struct hm_household_id id = {1, 1};

    hm_arena_init(&arena, 64 * 1024 * 1024);
    hm_household_init(&h, &id, &arena);
    cell = (struct hm_cell){.field = FIELD, .siblings = siblings};
}

static void end(void)
{
    hm_arena_deinit(&arena);
}

/* A sibling; writers come in ascending order of their dots. */
static void add(const struct writer *writer, struct hm_bytes value)
{
    size_t i = cell.sibling_count++;
    struct hm_dot dot = {writer->incarnation, writer->n};

    siblings[i] = (struct hm_sibling){dot, value};
    stamps[i] =
        (struct hm_stamp){.dot = dot, .rank = writer->rank, .wall_ms = writer->wall_ms};
    if (h.vv_count == 0 || h.vv[h.vv_count - 1].author.incarnation != dot.incarnation) {
        h.vv = vv;
        h.vv[h.vv_count++] =
            (struct hm_vv_entry){.author = {.incarnation = dot.incarnation,
                                            .clock_class = writer->clock_class,
                                            .clock_offset_ms = writer->offset_ms},
                                 .n = dot.n};
    }
    vv[h.vv_count - 1].n = dot.n;
    h.stamps = stamps;
    h.stamp_count = cell.sibling_count;
}

/* A sibling by the next author, later and of the same rank as the one before. */
static void add_value(struct hm_bytes value)
{
    struct writer writer = {.incarnation = 10 + cell.sibling_count,
                            .n = 1,
                            .rank = 2,
                            .clock_class = HM_CLOCK_CHECKED,
                            .wall_ms = 1000 + (int64_t)cell.sibling_count};

    add(&writer, value);
}

static void add_ranked(uint8_t rank, struct hm_bytes value)
{
    add_value(value);
    stamps[cell.sibling_count - 1].rank = rank;
}

static struct hm_bytes number(int64_t value)
{
    struct hm_bytes out = {0};
    struct hm_buf buf;

    hm_buf_init(&buf, 16);
    hm_pack_int(&buf, value);
    CHECK_OK(hm_arena_copy(&arena, hm_buf_bytes(&buf), &out));
    hm_buf_deinit(&buf);
    return out;
}

#define VALUE(bytes) hm_bytes_of((bytes), sizeof(bytes) - 1)
#define NIL          VALUE("\xc0")

/* What is shown, by which sibling (-1: by none), and how sure. */
static void check(enum hm_field_policy policy, struct hm_bytes value, int winner,
                  bool conflict, bool flagged)
{
    struct hm_policy_view view;

    memset(&view, 0x5a, sizeof view);
    CHECK_OK(hm_policy_view(policy, &h, &cell, &arena, &view));
    assert_true(hm_bytes_equal(view.value, value));
    assert_ptr_equal(view.winner, winner < 0 ? NULL : &siblings[winner]);
    assert_int_equal(view.conflict, conflict);
    assert_int_equal(view.flagged, flagged);
    assert_int_equal(view.answered, !hm_bytes_equal(value, NIL));
}

/* No cell, no sibling, one, and several with the same value: no policy has anything to
 * decide. */
HM_TEST(nothing_to_decide)
{
    for (int i = 1; i <= ALL_POLICIES; i++) {
        enum hm_field_policy policy = (enum hm_field_policy)i;
        struct hm_policy_view view;

        begin();
        CHECK_OK(hm_policy_view(policy, &h, NULL, &arena, &view));
        assert_false(view.answered || view.conflict || view.flagged);
        assert_null(view.winner);
        assert_true(hm_bytes_equal(view.value, NIL));
        check(policy, NIL, -1, false, false);
        add_value(VALUE("\xa1z"));
        check(policy, VALUE("\xa1z"), 0, false, false);
        add_value(VALUE("\xa1z"));
        check(policy, VALUE("\xa1z"), 1, false, false);
        add_value(VALUE("\xa1z"));
        check(policy, VALUE("\xa1z"), 2, false, false);
        end();
        begin();
        h.vv_count = 0;
        add_value(NIL);
        check(policy, NIL, 0, false, false);
        add_value(NIL);
        check(policy, NIL, 1, false, false);
        end();
    }
}

/* Cleared against answered is a conflict too: one of the two was not seen. */
HM_TEST(ask)
{
    begin();
    add_value(number(1));
    add_value(NIL);
    check(HM_FIELD_POLICY_ASK, NIL, 1, true, false);
    add_value(number(1));
    check(HM_FIELD_POLICY_ASK, number(1), 2, true, false);
    end();
    begin();
    add_value(number(1));
    add_value(number(1));
    add_value(number(2));
    check(HM_FIELD_POLICY_ASK, number(2), 2, true, false);
    end();
}

HM_TEST(latest_has_no_conflict)
{
    begin();
    add_ranked(9, number(1));
    add_ranked(2, number(2));
    check(HM_FIELD_POLICY_LATEST, number(2), 1, false, false); /* rank or not */
    add_ranked(1, NIL);
    check(HM_FIELD_POLICY_LATEST, NIL, 2, false, false);
    stamps[0].wall_ms = 5000;
    check(HM_FIELD_POLICY_LATEST, number(1), 0, false, false);
    end();
}

/* Calculated: never synced, so what is there is as good as nothing. */
HM_TEST(derived_has_no_conflict)
{
    begin();
    add_value(number(1));
    add_value(number(2));
    check(HM_FIELD_POLICY_DERIVED, number(2), 1, false, false);
    end();
}

/* The higher role wins; the other is flagged. Two of the highest role who differ are a
 * conflict. */
HM_TEST(authority)
{
    begin();
    add_ranked(5, number(1));
    add_ranked(2, number(2));
    check(HM_FIELD_POLICY_AUTHORITY, number(1), 0, false, true);
    add_ranked(5, number(1));
    check(HM_FIELD_POLICY_AUTHORITY, number(1), 2, false, true);
    stamps[0].rank = 3;
    siblings[0].value = NIL;
    check(HM_FIELD_POLICY_AUTHORITY, number(1), 2, false, true);
    stamps[0].rank = 6;
    check(HM_FIELD_POLICY_AUTHORITY, NIL, 0, false, true);
    end();
}

HM_TEST(max)
{
    begin();
    add_value(number(7));
    add_value(number(-3));
    check(HM_FIELD_POLICY_MAX, number(7), 0, false, true);
    add_value(NIL);
    check(HM_FIELD_POLICY_MAX, number(7), 0, false, true);
    siblings[0].value = number(INT64_MIN);
    siblings[1].value = NIL;
    check(HM_FIELD_POLICY_MAX, number(INT64_MIN), 0, false, true);
    siblings[1].value = number(INT64_MAX);
    check(HM_FIELD_POLICY_MAX, number(INT64_MAX), 1, false, true);
    end();
}

/* The union of two sets in the order of their texts, without repeats. */
HM_TEST(union_of_sets)
{
    begin();
    add_value(VALUE("\x92\xa1"
                    "b\xa1"
                    "d"));
    add_value(VALUE("\x91\xa1"
                    "a"));
    check(HM_FIELD_POLICY_UNION,
          VALUE("\x93\xa1"
                "a\xa1"
                "b\xa1"
                "d"),
          -1, false, true);
    add_value(VALUE("\x93\xa1"
                    "b\xa2"
                    "ba\xa1"
                    "c"));
    check(HM_FIELD_POLICY_UNION,
          VALUE("\x95\xa1"
                "a\xa1"
                "b\xa2"
                "ba\xa1"
                "c\xa1"
                "d"),
          -1, false, true);
    siblings[0].value = NIL;
    siblings[2].value = VALUE("\x90");
    check(HM_FIELD_POLICY_UNION,
          VALUE("\x91\xa1"
                "a"),
          -1, false, true);
    siblings[1].value = NIL;
    check(HM_FIELD_POLICY_UNION, VALUE("\x90"), -1, false, true);
    end();
}

HM_TEST(union_of_what_are_no_sets)
{
    static const struct hm_bytes others[] = {
        {(const uint8_t *)"\x05", 1},          {(const uint8_t *)"\xa1x", 2},
        {(const uint8_t *)"\x92\xa1x\x05", 4}, {(const uint8_t *)"\x92\xa1x\xc0", 4},
        {(const uint8_t *)"\x91\x91\xa1x", 4}, {(const uint8_t *)"\x81\x01\x02", 3},
    };

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        begin();
        add_value(VALUE("\x91\xa1"
                        "a"));
        add_value(others[i]);
        check(HM_FIELD_POLICY_UNION, others[i], 1, true, false);
        end();
        begin();
        add_value(others[i]);
        add_value(VALUE("\x91\xa1"
                        "a"));
        check(HM_FIELD_POLICY_UNION, siblings[1].value, 1, true, false);
        end();
    }
}

/* Two writers of different values; whoever is stronger is shown, in either place. */
static void check_decides(struct writer weak, struct writer strong)
{
    for (int place = 0; place < 2; place++) {
        begin();
        weak.incarnation = place == 0 ? 10 : 11;
        strong.incarnation = place == 0 ? 11 : 10;
        add(place == 0 ? &weak : &strong, number(1));
        add(place == 0 ? &strong : &weak, number(2));
        check(HM_FIELD_POLICY_ASK, number(place == 0 ? 2 : 1), place == 0 ? 1 : 0, true,
              false);
        end();
    }
}

/* Rank, clock class, corrected time, incarnation, n: each decides when all before it
 * are equal, and whatever those after it say. */
HM_TEST(order_of_the_provisional_winner)
{
    const struct writer base = {0, 5, 3, HM_CLOCK_CHECKED, 1000000, 100};
    struct writer weak = base;
    struct writer strong = base;

    strong.wall_ms++;
    check_decides(base, strong);
    strong.wall_ms = base.wall_ms - 50;
    strong.offset_ms = base.offset_ms + 51;
    weak.n = 9;
    check_decides(weak, strong);
    weak.clock_class = HM_CLOCK_UNKNOWN;
    weak.wall_ms = INT64_MAX / 2;
    check_decides(weak, base);
    weak.clock_class = HM_CLOCK_CHECKED;
    weak.rank = 2;
    check_decides(weak, base);
    strong = base;
    strong.rank = 4;
    strong.clock_class = HM_CLOCK_UNKNOWN;
    strong.wall_ms = INT64_MIN;
    check_decides(base, strong);
    begin();
    weak = base;
    strong = base;
    weak.incarnation = 10;
    weak.n = 9;
    strong.incarnation = 11;
    add(&weak, number(1));
    add(&strong, number(2));
    check(HM_FIELD_POLICY_ASK, number(2), 1, true, false);
    strong.n = 6;
    add(&strong, number(3));
    check(HM_FIELD_POLICY_ASK, number(3), 2, true, false);
    end();
}

/* Times come from outside: their sum ends at the ends of the type, so that a later save
 * of one author is never taken for an earlier one. */
HM_TEST(times_at_the_ends)
{
    static const int64_t walls[] = {INT64_MIN, INT64_MIN + 1, -1,       0,
                                    1,         INT64_MAX - 1, INT64_MAX};
    static const int64_t offsets[] = {INT64_MIN, -2, 0, 2, INT64_MAX};

    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        int64_t before = INT64_MIN;

        for (size_t j = 0; j < sizeof walls / sizeof walls[0]; j++) {
            struct writer writer = {.incarnation = 10,
                                    .n = 1,
                                    .wall_ms = walls[j],
                                    .offset_ms = offsets[i]};
            int64_t corrected;

            begin();
            add(&writer, NIL);
            corrected = hm_policy_corrected_ms(&h, &stamps[0]);
            assert_true(corrected >= before);
            before = corrected;
            end();
        }
    }
    begin();
    add(
        &(struct writer){
            .incarnation = 10, .n = 1, .wall_ms = INT64_MAX - 1, .offset_ms = 2},
        NIL);
    assert_true(hm_policy_corrected_ms(&h, &stamps[0]) == INT64_MAX);
    stamps[0].wall_ms = INT64_MIN;
    vv[0].author.clock_offset_ms = -1;
    assert_true(hm_policy_corrected_ms(&h, &stamps[0]) == INT64_MIN);
    vv[0].author.clock_offset_ms = 1;
    assert_true(hm_policy_corrected_ms(&h, &stamps[0]) == INT64_MIN + 1);
    stamps[0].dot.incarnation = 11; /* of nobody: nothing is known of its clock */
    assert_true(hm_policy_corrected_ms(&h, &stamps[0]) == INT64_MIN);
    end();
}

/* Where max can't decide, the provisional winner is shown, whatever number stands
 * before the first value that is none. */
HM_TEST(max_of_what_are_no_numbers)
{
    static const struct hm_bytes others[] = {
        {(const uint8_t *)"\xa1"
                          "7",
         2},
        {(const uint8_t *)"\x91\x07", 2},
        {(const uint8_t *)"\xc3", 1},
        {(const uint8_t *)"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 9}, /* no int */
    };

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        begin();
        add_value(number(9));
        add_value(others[i]);
        check(HM_FIELD_POLICY_MAX, others[i], 1, true, false);
        end();
        begin();
        add_value(number(9));
        add_ranked(9, NIL);
        add_value(others[i]);
        check(HM_FIELD_POLICY_MAX, NIL, 1, true, false);
        end();
    }
}

/* Of equal numbers the stronger one's author is named. */
HM_TEST(max_of_equal_numbers)
{
    begin();
    add_ranked(2, number(9));
    add_ranked(7, number(9));
    add_ranked(2, number(9));
    add_ranked(9, number(1));
    check(HM_FIELD_POLICY_MAX, number(9), 1, false, true);
    end();
}

/* Either the policy has decided or a person must. */
HM_TEST(authority_in_conflict_is_not_flagged)
{
    begin();
    add_ranked(5, number(1));
    add_ranked(5, number(2));
    add_ranked(3, number(3));
    check(HM_FIELD_POLICY_AUTHORITY, number(2), 1, true, false);
    end();
}

/* A cleared value beside an answer: the answer, flagged, since they differ. Different
 * answers are a conflict, with or without a cleared one. */
HM_TEST(answered_beats_unknown)
{
    begin();
    add_value(number(1));
    add_ranked(9, NIL);
    check(HM_FIELD_POLICY_ANSWERED, number(1), 0, false, true);
    add_value(number(1));
    check(HM_FIELD_POLICY_ANSWERED, number(1), 2, false, true);
    add_value(number(3));
    check(HM_FIELD_POLICY_ANSWERED, number(3), 3, true, false);
    end();
    begin();
    add_value(number(1));
    add_value(number(2));
    check(HM_FIELD_POLICY_ANSWERED, number(2), 1, true, false);
    end();
}

/* A hostile device may send sets of many texts: their union must not cost the square of
 * them. With it, these 300,000 take minutes, and CTest ends the test. */
HM_TEST(union_of_large_sets)
{
    enum { SETS = 6, EACH = 50000 };
    struct hm_policy_view view;
    struct hm_reader r;

    begin();
    for (uint32_t i = 0; i < SETS; i++) {
        struct hm_bytes set = {0};
        struct hm_buf buf;

        hm_buf_init(&buf, 500000);
        hm_pack_array(&buf, EACH);
        for (uint32_t j = EACH; j > 0; j--) {
            char text[16];

            (void)snprintf(text, sizeof text, "%06u", (unsigned)(j * SETS + i));
            hm_pack_str(&buf, hm_bytes_str(text));
        }
        CHECK_OK(buf.err);
        CHECK_OK(hm_arena_copy(&arena, hm_buf_bytes(&buf), &set));
        hm_buf_deinit(&buf);
        add_value(set);
    }
    CHECK_OK(hm_policy_view(HM_FIELD_POLICY_UNION, &h, &cell, &arena, &view));
    r = (struct hm_reader){.left = view.value};
    assert_int_equal(hm_unpack_array(&r, SETS * EACH), SETS * EACH);
    for (uint32_t i = 0; i < SETS * EACH; i++) {
        char text[16];

        (void)snprintf(text, sizeof text, "%06u", (unsigned)(i + SETS));
        assert_true(hm_bytes_equal(hm_unpack_str(&r), hm_bytes_str(text)));
    }
    CHECK_OK(hm_unpack_end(&r));
    end();
}

/* Memory that ends while a union is made is said, and the view is left alone. */
HM_TEST(a_union_within_a_limit)
{
    struct hm_policy_view view = {.answered = true};
    int err = HM_NOMEM;

    begin();
    add_value(VALUE("\x92\xa1z\xa1y"));
    add_value(VALUE("\x91\xa1x"));
    for (size_t bytes_max = 1; err != HM_OK && bytes_max < 4096; bytes_max++) {
        struct hm_arena small;

        hm_arena_init(&small, bytes_max);
        err = hm_policy_view(HM_FIELD_POLICY_UNION, &h, &cell, &small, &view);
        assert_true(err == HM_OK || (err == HM_NOMEM && view.value.len == 0));
        hm_arena_deinit(&small);
    }
    CHECK_OK(err);
    assert_true(view.flagged && !view.conflict);
    end();
}

/* A set that is cut, or that holds something else than texts, is for a person. */
HM_TEST(union_with_a_set_that_is_cut)
{
    begin();
    add_value(VALUE("\x92\xa1z"));
    add_value(VALUE("\x91\xa1x"));
    check(HM_FIELD_POLICY_UNION, VALUE("\x91\xa1x"), 1, true, false);
    end();
}
