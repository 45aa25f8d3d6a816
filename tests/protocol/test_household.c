#include "protocol/household.h"

#include "protocol/guard.h"
#include "protocol/pack.h"
#include "tests/fault/loop.h"
#include "tests/support/build.h"
#include "tests/support/history.h"
#include "tests/support/rng.h"
#include "tests/support/test.h"

#define BYTES(text) hm_bytes_of((text), sizeof(text) - 1)

static const struct hm_household_id ID = {0xa, 1};
static const struct hm_row_key ROW = {.form = 1};
static struct hm_arena arena;
static struct hm_household h;

static void begin(void)
{
    hm_arena_init(&arena, HM_HOUSEHOLD_ARENA_BYTES_MAX);
    hm_household_init(&h, &ID, &arena);
}

static bool apply(struct hm_build *b)
{
    struct hm_author author = hm_build_author(b->dot.incarnation);
    bool applied = false;

    CHECK_OK(hm_household_apply(&h, &b->change, &b->dot, &author, &applied));
    return applied;
}

/* Author a's change n writes value to the one cell of ROW and replaces what is given.
 */
static bool put(uint64_t a, uint64_t n, uint64_t value, const struct hm_dot *replaced,
                size_t count)
{
    struct hm_build b;

    hm_build_begin(&b, &arena, (struct hm_dot){a, n}, ID, 17);
    hm_build_row(&b, ROW);
    hm_build_uint(&b, 16, value);
    hm_build_replaces(&b, replaced, count);
    return apply(&b);
}

static const struct hm_cell *cell(void)
{
    return hm_row_cell(hm_household_row(&h, &ROW), 16);
}

HM_TEST(new_household)
{
    struct hm_build b;
    const struct hm_row *row;
    const struct hm_stamp *stamp;

    begin();
    hm_build_family(&b, &arena, (struct hm_dot){0xa, 1});
    assert_true(apply(&b));
    assert_int_equal(h.row_count, 5);
    assert_int_equal(h.vv_count, 1);
    assert_int_equal(h.stamp_count, 1);
    assert_int_equal(hm_household_seen(&h, 0xa), 1);
    assert_int_equal(hm_household_seen(&h, 0xb), 0);
    assert_true(h.home_known && h.home == 17);
    row = hm_household_row(&h, &b.change.rows[2].key);
    assert_true(hm_bytes_equal(hm_row_cell(row, 20)->siblings[0].value,
                               b.change.rows[2].cells[0].value));
    assert_null(hm_row_cell(row, 19));
    assert_null(hm_row_cell(NULL, 20));
    assert_null(hm_household_row(&h, &(struct hm_row_key){.form = 2}));
    stamp = hm_household_stamp(&h, &b.dot);
    assert_int_equal(stamp->user, 3);
    assert_int_equal(stamp->rank, 2);
    assert_true(stamp->wall_ms == 1700000060000);
    assert_int_equal(hm_household_author(&h, 0xa)->clock_class, HM_CLOCK_CHECKED);
    assert_null(hm_household_author(&h, 0xb));
    /* The household keeps copies only. */
    assert_ptr_not_equal(hm_row_cell(row, 20)->siblings[0].value.data,
                         b.change.rows[2].cells[0].value.data);
    hm_arena_deinit(&arena);
}

/* A repeat is a no-op: a lost reply costs a resend and nothing else. */
HM_TEST(applying_twice_is_applying_once)
{
    struct hm_bytes before;

    begin();
    assert_true(put(0xa, 1, 10, NULL, 0));
    assert_true(put(0xa, 3, 11, &(struct hm_dot){0xa, 1}, 1));
    before = hm_build_state(&arena, &h);
    assert_false(put(0xa, 3, 99, NULL, 0));
    assert_false(put(0xa, 1, 10, NULL, 0));
    assert_false(put(0xa, 2, 10, NULL, 0)); /* of another household, covered */
    assert_true(hm_bytes_equal(before, hm_build_state(&arena, &h)));
    hm_arena_deinit(&arena);
}

HM_TEST(concurrent_values_both_live)
{
    const struct hm_dot both[] = {{0xb, 1}, {0xc, 1}};

    begin();
    assert_true(put(0xa, 1, 10, NULL, 0));
    assert_true(put(0xc, 1, 12, &(struct hm_dot){0xa, 1}, 1));
    assert_true(put(0xb, 1, 11, &(struct hm_dot){0xa, 1}, 1));
    assert_int_equal(cell()->sibling_count, 2);
    assert_int_equal(h.stamp_count, 2); /* the first value's went with it */
    assert_true(cell()->siblings[0].dot.incarnation == 0xb);
    /* A resolution that lists both leaves one. */
    assert_true(put(0xd, 1, 12, both, 2));
    assert_int_equal(cell()->sibling_count, 1);
    assert_int_equal(h.stamp_count, 1);
    /* Who has seen neither does not drop it. */
    assert_true(put(0xe, 1, 13, NULL, 0));
    assert_int_equal(cell()->sibling_count, 2);
    hm_arena_deinit(&arena);
}

/* Logs of different authors travel on different ways. */
HM_TEST(replacement_arrives_before_the_replaced)
{
    begin();
    assert_true(put(0xb, 1, 11, &(struct hm_dot){0xa, 2}, 1));
    assert_int_equal(cell()->rm_count, 1);
    assert_true(put(0xa, 1, 9, NULL, 0)); /* an earlier one is not the replaced one */
    assert_int_equal(cell()->rm_count, 1);
    assert_int_equal(cell()->sibling_count, 2);
    assert_true(put(0xa, 2, 10, &(struct hm_dot){0xa, 1}, 1));
    assert_int_equal(cell()->sibling_count, 1);
    assert_true(cell()->siblings[0].dot.incarnation == 0xb);
    assert_int_equal(cell()->rm_count, 0);
    assert_int_equal(h.stamp_count, 1);
    hm_arena_deinit(&arena);
}

/* Only a hostile pair of changes can do this: both are gone, in either order, and the
 * state stays one that can be read. */
HM_TEST(replacing_one_another)
{
    const struct hm_dot a = {0xa, 1};
    const struct hm_dot b = {0xb, 1};
    struct hm_bytes states[2];
    struct hm_household back;
    struct hm_arena kept;

    hm_arena_init(&kept, 100000);
    for (int order = 0; order < 2; order++) {
        begin();
        assert_true(order == 0 ? put(0xa, 1, 1, &b, 1) : put(0xb, 1, 2, &a, 1));
        assert_true(order == 0 ? put(0xb, 1, 2, &a, 1) : put(0xa, 1, 1, &b, 1));
        assert_int_equal(h.row_count, 0);
        CHECK_OK(hm_arena_copy(&kept, hm_build_state(&arena, &h), &states[order]));
        hm_arena_deinit(&arena);
    }
    assert_true(hm_bytes_equal(states[0], states[1]));
    CHECK_OK(hm_household_decode(states[0], &kept, &back));
    hm_arena_deinit(&kept);
}

/* A dot waited for in one cell may come with another cell only. */
HM_TEST(what_the_vector_covers_is_not_waited_for)
{
    struct hm_build b;

    begin();
    assert_true(put(0xb, 1, 11, &(struct hm_dot){0xa, 2}, 1));
    hm_build_begin(&b, &arena, (struct hm_dot){0xa, 5}, ID, 17);
    hm_build_row(&b, ROW);
    hm_build_uint(&b, 17, 1);
    assert_true(apply(&b));
    assert_int_equal(cell()->rm_count, 0);
    assert_true(put(0xc, 1, 11, &(struct hm_dot){0xa, 4}, 1)); /* covered: not noted */
    assert_int_equal(cell()->rm_count, 0);
    hm_arena_deinit(&arena);
}

/* A row and a cell exist as long as something is known about them. */
HM_TEST(nothing_is_left_of_an_empty_row)
{
    struct hm_build b;

    begin();
    hm_build_begin(&b, &arena, (struct hm_dot){0xa, 1}, ID, 17);
    hm_build_row(&b, ROW);
    assert_true(apply(&b));
    assert_int_equal(h.row_count, 0);
    assert_int_equal(h.stamp_count, 0);
    assert_int_equal(h.vv_count, 1);
    hm_arena_deinit(&arena);
}

/* Refused: seen, so that later changes pass, but no value enters and none goes. */
HM_TEST(refusing_moves_the_vector_only)
{
    struct hm_author author = hm_build_author(0xb);
    struct hm_build b;

    begin();
    assert_true(put(0xa, 1, 10, NULL, 0));
    hm_build_begin(&b, &arena, (struct hm_dot){0xb, 1}, ID, 17);
    hm_build_row(&b, ROW);
    hm_build_uint(&b, 16, 66);
    hm_build_replaces(&b, &(struct hm_dot){0xa, 1}, 1);
    CHECK_OK(hm_household_refuse(&h, &b.change, &b.dot, &author));
    assert_int_equal(hm_household_seen(&h, 0xb), 1);
    assert_int_equal(cell()->sibling_count, 1);
    assert_true(cell()->siblings[0].dot.incarnation == 0xa);
    assert_int_equal(h.stamp_count, 1);
    assert_false(apply(&b));
    CHECK_OK(hm_household_refuse(&h, &b.change, &b.dot, &author));
    assert_int_equal(h.vv_count, 2);
    /* A refused dot that was waited for is waited for no longer. */
    assert_true(put(0xc, 1, 12, &(struct hm_dot){0xb, 3}, 1));
    assert_int_equal(cell()->rm_count, 1);
    b.dot.n = 3;
    CHECK_OK(hm_household_refuse(&h, &b.change, &b.dot, &author));
    assert_int_equal(cell()->rm_count, 0);
    hm_arena_deinit(&arena);
}

/* A device can claim any time; it is a label and must not end the process. */
HM_TEST(wall_time_out_of_range)
{
    struct hm_author author = hm_build_author(0xa);
    struct hm_build b;
    bool applied = false;

    begin();
    hm_build_begin(&b, &arena, (struct hm_dot){0xa, 1}, ID, 17);
    hm_build_row(&b, ROW);
    hm_build_uint(&b, 16, 1);
    b.change.dt_ms = INT64_MAX;
    CHECK_OK(hm_household_apply(&h, &b.change, &b.dot, &author, &applied));
    assert_true(hm_household_stamp(&h, &b.dot)->wall_ms == INT64_MAX);
    b.dot.n = 2;
    b.change.dt_ms = INT64_MIN;
    author.base_wall_ms = -5;
    CHECK_OK(hm_household_apply(&h, &b.change, &b.dot, &author, &applied));
    assert_true(hm_household_stamp(&h, &b.dot)->wall_ms == INT64_MIN);
    hm_arena_deinit(&arena);
}

/* The largest changes that the decoder takes can be applied: a state that could not
 * hold one would ask for it again for ever. */
HM_TEST(widest_changes_fit)
{
    const struct hm_dot dot = {0xa, 1};
    struct hm_author author = hm_build_author(0xa);
    struct hm_change change;
    struct hm_buf buf;
    bool applied = false;

    for (int kind = 0; kind < 2; kind++) {
        size_t count = kind == 0 ? 3200 : 8000;

        begin();
        hm_buf_init(&buf, 100000);
        hm_pack_array(&buf, 6);
        hm_pack_uint(&buf, 0);
        hm_pack_uint(&buf, 0);
        hm_pack_uint(&buf, 0);
        hm_pack_nil(&buf);
        hm_pack_uint(&buf, 17);
        hm_pack_array(&buf, kind == 0 ? count : 1);
        for (size_t i = 0; i < (kind == 0 ? count : 1); i++) {
            hm_pack_array(&buf, 5);
            hm_pack_uint(&buf, 1);
            hm_pack_uint(&buf, 0);
            hm_pack_uint(&buf, 2);
            hm_pack_uint(&buf, i + 1);
            hm_pack_map(&buf, kind == 0 ? 1 : count);
            for (size_t j = 0; j < (kind == 0 ? 1 : count); j++) {
                hm_pack_uint(&buf, 16 + j);
                hm_pack_nil(&buf);
            }
        }
        CHECK_OK(hm_change_decode(hm_buf_bytes(&buf), &dot, &arena, &change));
        CHECK_OK(hm_household_apply(&h, &change, &dot, &author, &applied));
        assert_int_equal(kind == 0 ? h.row_count : h.rows[0].cell_count, count);
        hm_buf_deinit(&buf);
        hm_arena_deinit(&arena);
    }
}

/* Until the creating change is there the lowest scope seen stands in for it, so that
 * all orders agree. */
HM_TEST(home_is_the_creating_scope)
{
    struct hm_build b;
    struct hm_author author;
    const uint32_t scopes[] = {30, 20, 25, 40, 5};
    const uint64_t authors[] = {0xb, 0xc, 0xd, 0xa, 0xe};
    const uint32_t homes[] = {30, 20, 20, 40, 40};

    begin();
    for (size_t i = 0; i < 5; i++) {
        hm_build_begin(&b, &arena, (struct hm_dot){authors[i], 1}, ID, scopes[i]);
        if (i == 1) { /* a refused one counts as well */
            author = hm_build_author(authors[i]);
            CHECK_OK(hm_household_refuse(&h, &b.change, &b.dot, &author));
        } else {
            assert_true(apply(&b));
        }
        assert_int_equal(h.home, homes[i]);
        assert_int_equal(h.home_known, i >= 3);
    }
    hm_arena_deinit(&arena);
}

static void check_scopes(const uint32_t *expected, size_t count)
{
    uint32_t *scopes = NULL;
    size_t found = 0;

    CHECK_OK(hm_household_scopes(&h, &scopes, &found));
    assert_int_equal(found, count);
    assert_memory_equal(scopes, expected, count * sizeof *expected);
}

static void move(uint64_t a, struct hm_bytes value)
{
    struct hm_build b;

    hm_build_begin(&b, &arena, (struct hm_dot){a, 1}, ID, 17);
    hm_build_row(&b, (struct hm_row_key){.form = HM_FORM_HOUSEHOLD});
    hm_build_cell(&b, HM_FIELD_SCOPE, value);
    hm_build_replaces(&b, NULL, 0);
    assert_true(apply(&b));
}

/* A household stands in every scope that a living value names: two people who move it
 * apart lose it in neither hamlet. */
HM_TEST(scopes_are_those_of_the_scope_cell)
{
    begin();
    assert_true(put(0xa, 1, 1, NULL, 0));
    check_scopes((const uint32_t[]){17}, 1);
    move(0xb, BYTES("\x92\x15\x90"));
    check_scopes((const uint32_t[]){21}, 1);
    move(0xc, BYTES("\x92\x12\x90"));
    move(0xd, BYTES("\x92\x15\x90"));
    check_scopes((const uint32_t[]){18, 21}, 2);
    move(0xe, BYTES("\xc0")); /* nothing of a scope's shape adds none */
    move(0xf, BYTES("\xa1x"));
    move(0x10, BYTES("\x92\xcf\0\0\0\1\0\0\0\0\x90"));
    move(0x11, BYTES("\x15"));
    move(0x12, BYTES("\x92\0\x90"));
    check_scopes((const uint32_t[]){18, 21}, 2);
    hm_arena_deinit(&arena);
}

HM_TEST(cleared_scope_cell_means_home)
{
    begin();
    assert_true(put(0xa, 1, 1, NULL, 0));
    move(0xb, BYTES("\xc0"));
    check_scopes((const uint32_t[]){17}, 1);
    hm_arena_deinit(&arena);
}

HM_TEST(dots_of_a_row)
{
    struct hm_build b;
    struct hm_dot *dots = NULL;
    size_t count = 0;

    begin();
    assert_true(put(0xc, 1, 1, NULL, 0));
    hm_build_begin(&b, &arena, (struct hm_dot){0xb, 4}, ID, 17);
    hm_build_row(&b, ROW);
    hm_build_uint(&b, 16, 1);
    hm_build_uint(&b, 17, 1);
    hm_build_uint(&b, 18, 1);
    assert_true(apply(&b));
    CHECK_OK(hm_household_row_dots(&h, hm_household_row(&h, &ROW), &dots, &count));
    assert_int_equal(count, 2);
    assert_true(dots[0].incarnation == 0xb && dots[1].incarnation == 0xc);
    hm_arena_deinit(&arena);
}

static void random_state(struct hm_rng *rng, struct hm_history *history, size_t count,
                         struct hm_household *out)
{
    size_t order[HM_HISTORY_ENTRIES_MAX];

    hm_history_make(history, rng, count);
    hm_history_shuffle(history, rng, order);
    hm_history_begin(history, out, &history->arena);
    for (size_t i = 0; i < 1 + hm_rng_below(rng, count); i++) {
        hm_history_apply(&history->entries[order[i]], out);
    }
}

HM_TEST(states_come_back)
{
    struct hm_rng rng = {21};
    struct hm_history history;
    struct hm_household held;
    struct hm_household back;

    for (unsigned long i = 0; i < hm_test_rounds(5, 2000, 2000); i++) {
        struct hm_bytes bytes;

        random_state(&rng, &history, 12, &held);
        bytes = hm_build_state(&history.arena, &held);
        CHECK_OK(hm_guard_check(bytes));
        CHECK_OK(hm_household_decode(bytes, &history.arena, &back));
        assert_true(hm_bytes_equal(bytes, hm_build_state(&history.arena, &back)));
        hm_history_free(&history);
    }
}

/* A decoded state goes on as the one that was encoded. */
HM_TEST(applying_goes_on_after_decoding)
{
    struct hm_rng rng = {22};

    for (unsigned long round = 0; round < hm_test_rounds(5, 300, 300); round++) {
        struct hm_history history;
        struct hm_household a;
        struct hm_household b;

        hm_history_make(&history, &rng, 25);
        hm_history_begin(&history, &a, &history.arena);
        hm_history_begin(&history, &b, &history.arena);
        for (size_t i = 0; i < history.count; i++) {
            hm_history_apply(&history.entries[i], &a);
            hm_history_apply(&history.entries[i], &b);
            CHECK_OK(hm_household_decode(hm_build_state(&history.arena, &b),
                                         &history.arena, &b));
        }
        assert_true(hm_bytes_equal(hm_build_state(&history.arena, &a),
                                   hm_build_state(&history.arena, &b)));
        hm_history_free(&history);
    }
}

/* Each byte of some states in each of its other values: refused, or another state in
 * its one form. Without the guard, as the store reads it, and behind it. */
HM_TEST(every_mutation_of_a_state)
{
    struct hm_rng rng = {23};
    struct hm_history history;
    struct hm_household held;
    struct hm_household back;
    size_t taken = 0;

    for (int round = 0; round < 12; round++) {
        struct hm_bytes bytes;

        random_state(&rng, &history, 8, &held);
        bytes = hm_build_state(&history.arena, &held);
        for (size_t i = 0; i < bytes.len; i++) {
            uint8_t *byte = (uint8_t *)(uintptr_t)bytes.data + i;
            uint8_t was = *byte;

            for (unsigned value = 0; value < 256; value++) {
                hm_arena_init(&arena, HM_HOUSEHOLD_ARENA_BYTES_MAX);
                *byte = (uint8_t)value;
                if (hm_household_decode(bytes, &arena, &back) == HM_OK) {
                    assert_true(hm_bytes_equal(bytes, hm_build_state(&arena, &back)));
                    taken++;
                }
                hm_arena_deinit(&arena);
            }
            *byte = was;
        }
        hm_history_free(&history);
    }
    assert_true(taken > 10000);
}

HM_TEST(states_cut_anywhere)
{
    struct hm_rng rng = {24};
    struct hm_history history;
    struct hm_household held;
    struct hm_bytes bytes;

    random_state(&rng, &history, 10, &held);
    bytes = hm_build_state(&history.arena, &held);
    for (size_t len = 0; len < bytes.len; len++) {
        struct hm_household back = {.home = 77};

        assert_int_not_equal(
            hm_household_decode(hm_bytes_of(bytes.data, len), &history.arena, &back),
            HM_OK);
        assert_int_equal(back.home, 77);
    }
    hm_history_free(&history);
}

static int decode(struct hm_bytes bytes)
{
    struct hm_household back;
    int err;

    hm_arena_init(&arena, HM_HOUSEHOLD_ARENA_BYTES_MAX);
    err = hm_household_decode(bytes, &arena, &back);
    hm_arena_deinit(&arena);
    return err;
}

#define STATE   "\x98\x01\x0a\x01\x11\xc3"
#define AUTHORS STATE "\x92\x95\x0a\x01\x02\x00\x03\x95\x0b\x01\x02\x00\x01"

HM_TEST(states_of_a_wrong_shape)
{
    const int no = HM_NONCANONICAL;

    CHECK_OK(decode(BYTES(STATE "\x90\x90\x90")));
    assert_int_equal(decode(BYTES("\x98\x02\x0a\x01\x11\xc3\x90\x90\x90")), HM_VERSION);
    assert_int_equal(decode(BYTES("\x97\x01\x0a\x01\x11\xc3\x90\x90")), HM_MALFORMED);
    assert_int_equal(decode(BYTES(STATE "\x90\x90\x90\xc0")), HM_MALFORMED);
    CHECK_OK(decode(BYTES(AUTHORS "\x90\x90")));
    /* Authors: n = 0, out of order, an unknown clock class. */
    assert_int_equal(decode(BYTES(STATE "\x91\x95\x0a\1\2\0\0\x90\x90")), HM_MALFORMED);
    assert_int_equal(
        decode(BYTES(STATE "\x92\x95\x0b\1\2\0\3\x95\x0a\1\2\0\1\x90\x90")), no);
    assert_int_equal(decode(BYTES(STATE "\x91\x95\x0a\1\3\0\3\x90\x90")), HM_MALFORMED);
    /* A value with its stamp. */
    CHECK_OK(
        decode(BYTES(AUTHORS "\x91\x95\0\3\1\2\0\x91\x95\1\0\0\0\x81\x10\x92\0\5")));
    /* Stamps: of nobody's value, of an unknown author, of a change not seen. */
    assert_int_equal(decode(BYTES(AUTHORS "\x91\x95\0\3\1\2\0\x90")), no);
    assert_int_equal(
        decode(BYTES(AUTHORS "\x91\x95\2\3\1\2\0\x91\x95\1\0\0\0\x81\x10\x92\0\5")),
        HM_MALFORMED);
    assert_int_equal(
        decode(BYTES(AUTHORS "\x91\x95\1\2\1\2\0\x91\x95\1\0\0\0\x81\x10\x92\0\5")),
        HM_MALFORMED);
    /* A cell: empty, of an unknown stamp, twice the same value. */
    assert_int_equal(decode(BYTES(AUTHORS "\x90\x91\x95\1\0\0\0\x81\x10\x90")), no);
    assert_int_equal(decode(BYTES(AUTHORS "\x90\x91\x95\1\0\0\0\x81\x10\x92\0\5")),
                     HM_MALFORMED);
    assert_int_equal(
        decode(BYTES(AUTHORS "\x91\x95\0\3\1\2\0\x91\x95\1\0\0\0\x81\x10\x94\0\5\0\5")),
        no);
    /* Waited for: fine; seen already, empty, out of order. */
    CHECK_OK(decode(BYTES(AUTHORS "\x90\x91\x95\1\0\0\0\x81\x10\x91\x91\x92\x0a\4")));
    assert_int_equal(
        decode(BYTES(AUTHORS "\x90\x91\x95\1\0\0\0\x81\x10\x91\x91\x92\x0a\3")), no);
    assert_int_equal(decode(BYTES(AUTHORS "\x90\x91\x95\1\0\0\0\x81\x10\x91\x90")), no);
    assert_int_equal(
        decode(
            BYTES(AUTHORS "\x90\x91\x95\1\0\0\0\x81\x10\x91\x92\x92\x0a\5\x92\x0a\4")),
        no);
    /* Rows: none of its cells, items without a number. */
    assert_int_equal(decode(BYTES(AUTHORS "\x90\x91\x95\1\0\0\0\x80")), no);
    assert_int_equal(
        decode(BYTES(AUTHORS "\x90\x91\x95\1\0\0\x93\1\1\0\x81\x10\x91\x91\x92\x0a\4")),
        HM_MALFORMED);
}

/* Announced counts cost nothing that isn't there. */
HM_TEST(hostile_counts)
{
    static uint8_t bytes[HM_HOUSEHOLD_BYTES_MAX];

    assert_int_equal(decode(BYTES(STATE "\xdd\xff\xff\xff\xff")), HM_TRUNCATED);
    assert_int_equal(decode(BYTES(AUTHORS "\xdd\xff\xff\xff\xff")), HM_TRUNCATED);
    assert_int_equal(decode(BYTES(AUTHORS "\x90\xdd\xff\xff\xff\xff")), HM_TRUNCATED);
    assert_int_equal(decode(BYTES(AUTHORS "\x90\x91\x95\1\0\0\0\xdf\xff\xff\xff\xff")),
                     HM_TRUNCATED);
    assert_int_equal(
        decode(BYTES(AUTHORS "\x90\x91\x95\1\0\0\0\x81\x10\xdd\xff\xff\xff\xff")),
        HM_TRUNCATED);
    /* A megabyte of elements that are there but are no authors. */
    memcpy(bytes, STATE "\xdd\x00\x0f\xff\x00", 11);
    assert_int_equal(decode(hm_bytes_of(bytes, sizeof bytes)), HM_TRUNCATED);
}

HM_TEST(hash_is_of_the_bytes)
{
    struct hm_hash one = hm_household_hash(BYTES("a"));
    struct hm_hash two = hm_household_hash(BYTES("b"));
    struct hm_hash expected = hm_hash_of(BYTES("a"), hm_bytes_of(NULL, 0));

    assert_true(hm_hash_equal(&one, &expected));
    assert_false(hm_hash_equal(&one, &two));
}

/* Everything that a household can be asked for, with so much memory and no more. Its
 * bytes are appended to out. */
static int apply_all(const struct hm_history *history, size_t bytes_max,
                     struct hm_buf *out)
{
    struct hm_household built;
    struct hm_arena small;
    struct hm_dot *dots;
    uint32_t *scopes;
    size_t count;
    int err = HM_OK;

    hm_arena_init(&small, bytes_max);
    hm_household_init(&built, &history->id, &small);
    for (size_t i = 0; i < history->count && err == HM_OK; i++) {
        const struct hm_history_entry *entry = &history->entries[i];
        struct hm_author author = hm_build_author(entry->dot.incarnation);
        bool applied;

        err = i % 7 == 6
                  ? hm_household_refuse(&built, &entry->change, &entry->dot, &author)
                  : hm_household_apply(&built, &entry->change, &entry->dot, &author,
                                       &applied);
    }
    for (size_t i = 0; i < built.row_count && err == HM_OK; i++) {
        err = hm_household_row_dots(&built, &built.rows[i], &dots, &count);
    }
    if (err == HM_OK) {
        err = hm_household_scopes(&built, &scopes, &count);
    }
    if (err == HM_OK) {
        hm_household_encode(&built, out);
    }
    hm_arena_deinit(&small);
    return err;
}

/* A limit may be reached at any allocation: said as HM_NOMEM, never run over. */
HM_TEST(memory_may_end_anywhere)
{
    struct hm_rng rng = {77};
    struct hm_history history;
    struct hm_buf whole;
    struct hm_buf state_bytes;
    size_t bytes_max = 1;
    size_t failures = 0;
    int err = HM_NOMEM;

    hm_buf_init(&whole, HM_HOUSEHOLD_BYTES_MAX);
    hm_buf_init(&state_bytes, HM_HOUSEHOLD_BYTES_MAX);
    hm_history_make(&history, &rng, 40);
    CHECK_OK(apply_all(&history, HM_HOUSEHOLD_ARENA_BYTES_MAX, &whole));
    for (; err != HM_OK && bytes_max < 1024 * 1024; bytes_max += 8) {
        err = apply_all(&history, bytes_max, &state_bytes);
        assert_true(err == HM_OK || err == HM_NOMEM);
        failures += err == HM_NOMEM ? 1 : 0;
    }
    CHECK_OK(err);
    assert_true(failures > 500);
    assert_true(hm_bytes_equal(hm_buf_bytes(&state_bytes), hm_buf_bytes(&whole)));
    hm_buf_deinit(&whole);
    hm_buf_deinit(&state_bytes);
    hm_history_free(&history);
}
