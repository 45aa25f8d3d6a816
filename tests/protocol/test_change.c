#include "protocol/change.h"

#include "protocol/guard.h"
#include "protocol/pack.h"
#include "tests/support/build.h"
#include "tests/support/history.h"
#include "tests/support/rng.h"
#include "tests/support/test.h"

#define BYTES(text) hm_bytes_of((text), sizeof(text) - 1)

enum { ARENA_BYTES = 8 * 1024 * 1024 };

static struct hm_arena arena;
static const struct hm_dot DOT = {0xaa, 5};

static void begin(struct hm_build *b, struct hm_household_id household)
{
    hm_arena_init(&arena, ARENA_BYTES);
    hm_build_begin(b, &arena, DOT, household, 17);
}

/* Decodes to a change that encodes to the same bytes. */
static struct hm_change check_round_trip(struct hm_bytes bytes)
{
    struct hm_change change = {0};

    CHECK_OK(hm_change_decode(bytes, &DOT, &arena, &change));
    assert_true(hm_bytes_equal(hm_build_encode(&arena, &change, &DOT), bytes));
    return change;
}

/* A change of 0xaa.5 by user 3 of rank 2 in scope 17; parts: household and rows. */
static int decode(struct hm_bytes bytes)
{
    struct hm_change change = {.user = 99};
    int err;

    hm_arena_init(&arena, ARENA_BYTES);
    err = hm_change_decode(bytes, &DOT, &arena, &change);
    if (err != HM_OK) {
        assert_int_equal(change.user, 99); /* untouched */
    } else {
        (void)check_round_trip(bytes);
    }
    hm_arena_deinit(&arena);
    return err;
}

HM_TEST(new_household_comes_back)
{
    struct hm_build b;
    struct hm_bytes bytes;
    struct hm_change change;

    hm_arena_init(&arena, ARENA_BYTES);
    hm_build_family(&b, &arena, DOT);
    bytes = hm_build_bytes(&b);
    change = check_round_trip(bytes);
    assert_true(hm_change_creates(&change, &DOT));
    assert_int_equal(change.row_count, 5);
    assert_int_equal(change.user, 3);
    assert_int_equal(change.rank, 2);
    assert_int_equal(change.scope, 17);
    assert_int_equal(change.rows[4].key.item.k, 4);
    assert_true(change.rows[4].key.item.incarnation == 0xaa);
    assert_int_equal(change.rows[4].cell_count, 3);
    /* Nothing was there before: nothing is replaced, nothing is listed. */
    assert_int_equal(change.rows[4].cells[0].replaced_count, 0);
    /* No identifier of its own is repeated in it. */
    assert_in_range(bytes.len, 1, 180);
    hm_arena_deinit(&arena);
}

HM_TEST(update_replaces_the_creating_dot_unsaid)
{
    struct hm_build b;
    struct hm_change change;

    begin(&b, (struct hm_household_id){0xaa, 1});
    hm_build_row(&b, (struct hm_row_key){.form = 1});
    hm_build_uint(&b, 17, 5);
    hm_build_row(&b, (struct hm_row_key){1, 0, 2, {0xaa, 1, 2}});
    hm_build_text(&b, 20, "Lý Thị Mai");
    hm_build_row(&b, (struct hm_row_key){1, 0, 2, {0xaa, 4, 1}});
    hm_build_text(&b, 20, "Lý A Páo");
    change = check_round_trip(hm_build_bytes(&b));
    assert_int_equal(change.household.n, 1);
    assert_int_equal(change.rows[0].cells[0].replaced_count, 1);
    assert_int_equal(change.rows[0].cells[0].replaced[0].n, 1);
    assert_int_equal(change.rows[1].cells[0].replaced[0].n, 1);
    assert_int_equal(change.rows[2].cells[0].replaced[0].n, 4);
    hm_arena_deinit(&arena);
}

HM_TEST(resolution_names_what_it_replaces)
{
    const struct hm_dot seen[] = {{0x11, 3}, {0xaa, 2}, {0xaa, 4}, {0xcc, 900}};
    struct hm_build b;
    struct hm_change change;

    begin(&b, (struct hm_household_id){0xbb, 7}); /* a foreign household */
    b.change.reason = hm_bytes_str("hỏi lại chủ hộ");
    hm_build_row(&b, (struct hm_row_key){.form = 1});
    hm_build_uint(&b, 17, 5);
    hm_build_replaces(&b, seen, 4);
    hm_build_uint(&b, 18, 6);
    hm_build_uint(&b, 19, 7);
    hm_build_replaces(&b, NULL, 0);
    change = check_round_trip(hm_build_bytes(&b));
    assert_true(change.household.a == 0xbb && change.household.n == 7);
    assert_int_equal(change.rows[0].cells[0].replaced_count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(hm_dot_compare(&change.rows[0].cells[0].replaced[i], &seen[i]),
                         0);
    }
    assert_int_equal(change.rows[0].cells[1].replaced_count, 1);
    assert_true(change.rows[0].cells[1].replaced[0].incarnation == 0xbb);
    assert_int_equal(change.rows[0].cells[2].replaced_count, 0);
    assert_int_equal(change.reason.len, strlen("hỏi lại chủ hộ"));
    hm_arena_deinit(&arena);
}

/* Every form of an item: none, by this change, by this author, by another. */
HM_TEST(items_come_back)
{
    struct hm_build b;
    struct hm_change change;

    begin(&b, (struct hm_household_id){0xaa, 1});
    hm_build_row(&b, (struct hm_row_key){1, 2, 3, {0}});
    hm_build_uint(&b, 16, 1);
    hm_build_row(&b, (struct hm_row_key){1, 2, 3, {0x11, 5, 1}});
    hm_build_uint(&b, 16, 1);
    hm_build_row(&b, (struct hm_row_key){1, 2, 3, {0xaa, 4, 9}});
    hm_build_uint(&b, 16, 1);
    hm_build_row(&b, (struct hm_row_key){1, 2, 3, {0xaa, 5, 1}});
    hm_build_uint(&b, 16, 1);
    change = check_round_trip(hm_build_bytes(&b));
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(hm_row_key_compare(&change.rows[i].key, &b.change.rows[i].key),
                         0);
    }
    assert_int_equal(change.rows[3].cells[0].replaced_count, 0);
    hm_arena_deinit(&arena);
}

/* A household made from an XForm instance has no creating dot: by default, nothing is
 * replaced in its root rows. */
HM_TEST(hashed_household)
{
    struct hm_build b;
    struct hm_change change;

    for (uint64_t a = 0xaa; a <= 0xab; a++) {
        begin(&b, (struct hm_household_id){a, 0});
        hm_build_row(&b, (struct hm_row_key){.form = 1});
        hm_build_uint(&b, 17, 5);
        change = check_round_trip(hm_build_bytes(&b));
        assert_true(change.household.a == a && change.household.n == 0);
        assert_false(hm_change_creates(&change, &DOT));
        assert_int_equal(change.rows[0].cells[0].replaced_count, 0);
        hm_arena_deinit(&arena);
    }
}

/* [dt, user, rank, household 0xaa.1, scope, [[form, round, repeat, item, cells]]] */
#define HEAD "\x96\x01\x03\x02\x01\x11"

HM_TEST(one_form_only)
{
    const int no = HM_NONCANONICAL;

    CHECK_OK(decode(BYTES(HEAD "\x91\x95\1\0\0\0\x81\x10\x05")));
    /* Its own dot as the household must be nil, its own incarnation left out. */
    CHECK_OK(decode(BYTES("\x96\x01\x03\x02\xc0\x11\x90")));
    assert_int_equal(decode(BYTES("\x96\x01\x03\x02\x05\x11\x90")), no);
    assert_int_equal(decode(BYTES("\x96\x01\x03\x02\x92\xcc\xaa\x01\x11\x90")), no);
    /* Explicit default list, in a row without and with an item. */
    assert_int_equal(decode(BYTES(HEAD "\x91\x96\1\0\0\0\x81\x10\x05\x81\x10\x91\1")),
                     no);
    assert_int_equal(
        decode(BYTES(HEAD "\x91\x96\1\0\2\x92\4\1\x81\x10\x05\x81\x10\x91\4")), no);
    assert_int_equal(decode(BYTES(HEAD "\x91\x96\1\0\2\1\x81\x10\x05\x81\x10\x90")),
                     no);
    CHECK_OK(decode(BYTES(HEAD "\x91\x96\1\0\0\0\x81\x10\x05\x81\x10\x90")));
    CHECK_OK(decode(BYTES(HEAD "\x91\x96\1\0\0\0\x81\x10\x05\x81\x10\x91\2")));
    CHECK_OK(decode(BYTES(HEAD "\x91\x96\1\0\0\0\x81\x10\x05\x81\x10\x92\1\2")));
    /* A list for nobody, an empty map of lists, a list for a cell that isn't there. */
    assert_int_equal(decode(BYTES(HEAD "\x91\x96\1\0\0\0\x81\x10\x05\x80")), no);
    assert_int_equal(decode(BYTES(HEAD "\x91\x96\1\0\0\0\x81\x10\x05\x81\x11\x91\2")),
                     HM_MALFORMED);
    /* Its own dot, foreign form of its own incarnation, out of order, twice, n = 0. */
    assert_int_equal(decode(BYTES(HEAD "\x91\x96\1\0\0\0\x81\x10\5\x81\x10\x91\5")),
                     no);
    assert_int_equal(
        decode(BYTES(HEAD "\x91\x96\1\0\0\0\x81\x10\5\x81\x10\x91\x92\xcc\xaa\2")), no);
    assert_int_equal(decode(BYTES(HEAD "\x91\x96\1\0\0\0\x81\x10\5\x81\x10\x92\3\2")),
                     no);
    assert_int_equal(decode(BYTES(HEAD "\x91\x96\1\0\0\0\x81\x10\5\x81\x10\x92\2\2")),
                     no);
    assert_int_equal(decode(BYTES(HEAD "\x91\x96\1\0\0\0\x81\x10\5\x81\x10\x91\0")),
                     HM_MALFORMED);
}

HM_TEST(one_form_of_an_item)
{
    const int no = HM_NONCANONICAL;

    CHECK_OK(decode(BYTES(HEAD "\x91\x95\1\0\2\x92\4\1\x81\x10\x05")));
    CHECK_OK(decode(BYTES(HEAD "\x91\x95\1\0\2\x93\xcc\xab\4\1\x81\x10\x05")));
    assert_int_equal(decode(BYTES(HEAD "\x91\x95\1\0\2\x92\5\1\x81\x10\x05")), no);
    assert_int_equal(decode(BYTES(HEAD "\x91\x95\1\0\2\x93\xcc\xaa\4\1\x81\x10\x05")),
                     no);
    assert_int_equal(decode(BYTES(HEAD "\x91\x95\1\0\2\x92\0\1\x81\x10\x05")),
                     HM_MALFORMED);
    assert_int_equal(decode(BYTES(HEAD "\x91\x95\1\0\2\x92\4\0\x81\x10\x05")),
                     HM_MALFORMED);
    assert_int_equal(decode(BYTES(HEAD "\x91\x95\1\0\2\x91\4\x81\x10\x05")),
                     HM_MALFORMED);
    assert_int_equal(decode(BYTES(HEAD "\x91\x95\1\0\2\xff\x81\x10\x05")),
                     HM_MALFORMED);
}

HM_TEST(rows_and_cells_are_in_order)
{
    const int no = HM_NONCANONICAL;

    CHECK_OK(decode(BYTES(HEAD "\x92\x95\1\0\0\0\x81\x10\5\x95\2\0\0\0\x81\x10\5")));
    assert_int_equal(
        decode(BYTES(HEAD "\x92\x95\2\0\0\0\x81\x10\5\x95\1\0\0\0\x81\x10\5")), no);
    assert_int_equal(
        decode(BYTES(HEAD "\x92\x95\1\0\0\0\x81\x10\5\x95\1\0\0\0\x81\x10\5")), no);
    assert_int_equal(decode(BYTES(HEAD "\x91\x95\1\0\0\0\x82\x11\5\x10\5")), no);
}

HM_TEST(shapes_that_are_no_change)
{
    const int no = HM_MALFORMED;

    assert_int_equal(decode(BYTES("\xc0")), no);
    assert_int_equal(decode(BYTES("\x95\x01\x03\x02\x01\x11")), no);
    assert_int_equal(decode(BYTES("\x98\x01\x03\x02\x01\x11\x90\xa1\x61\xc0")),
                     HM_TOOBIG);
    assert_int_equal(decode(BYTES("\x96\x01\x03\x10\x01\x11\x90")), no); /* rank 16 */
    assert_int_equal(decode(BYTES("\x96\xc0\x03\x02\x01\x11\x90")), no); /* dt */
    assert_int_equal(decode(BYTES("\x96\x01\xff\x02\x01\x11\x90")), no); /* user */
    assert_int_equal(decode(BYTES("\x96\x01\x03\x02\x01\xc2\x90")), no); /* scope */
    assert_int_equal(decode(BYTES("\x96\x01\x03\x02\x01\x11\x80")), no); /* rows */
    assert_int_equal(decode(BYTES(HEAD "\x91\x94\1\0\0\0")), no);        /* a row */
    assert_int_equal(decode(BYTES(HEAD "\x91\x95\1\0\0\0\x90")), no);    /* cells */
    assert_int_equal(decode(BYTES(HEAD "\x91\x95\xcf\0\0\0\1\0\0\0\0\0\0\0\x80")), no);
    assert_int_equal(decode(BYTES(HEAD "\x90\x01")), no); /* behind */
    assert_int_equal(decode(BYTES("")), HM_TRUNCATED);
    CHECK_OK(decode(BYTES("\x96\xff\x00\x0f\x01\x00\x90")));
}

/* A row of no cell says nothing. */
HM_TEST(row_without_cells)
{
    struct hm_build b;
    struct hm_bytes bytes;

    assert_int_equal(decode(BYTES(HEAD "\x91\x95\1\0\0\0\x80")), HM_NONCANONICAL);
    begin(&b, (struct hm_household_id){0xaa, 1});
    hm_build_row(&b, (struct hm_row_key){.form = 1});
    hm_build_row(&b, (struct hm_row_key){.form = 2});
    hm_build_uint(&b, 17, 5);
    bytes = hm_build_bytes(&b);
    assert_int_equal(check_round_trip(bytes).row_count, 1);
    hm_arena_deinit(&arena);
}

HM_TEST(reason_is_short_text)
{
    uint8_t bytes[300] = "\x97\x01\x03\x02\x01\x11\x90\xd9";

    assert_int_equal(decode(BYTES("\x97\x01\x03\x02\x01\x11\x90\xa0")),
                     HM_NONCANONICAL);
    assert_int_equal(decode(BYTES("\x97\x01\x03\x02\x01\x11\x90\x05")), HM_MALFORMED);
    memset(bytes + 9, 'r', 201);
    bytes[8] = 200;
    CHECK_OK(decode(hm_bytes_of(bytes, 9 + 200)));
    bytes[8] = 201;
    assert_int_equal(decode(hm_bytes_of(bytes, 9 + 201)), HM_TOOBIG);
}

/* What is written can be read: the writer refuses what the reader would. */
HM_TEST(encode_keeps_the_limits)
{
    static char text[4001];
    struct hm_build b;
    struct hm_buf buf;

    memset(text, 'a', 4000);
    begin(&b, (struct hm_household_id){0xaa, 1});
    hm_build_row(&b, (struct hm_row_key){.form = 1});
    for (uint32_t i = 0; i < 8; i++) {
        hm_build_text(&b, 16 + i, text);
    }
    hm_buf_init(&buf, 100000);
    hm_change_encode(&b.change, &DOT, &buf);
    CHECK_OK(buf.err);
    hm_build_text(&b, 30, text);
    hm_change_encode(&b.change, &DOT, &buf);
    assert_int_equal(buf.err, HM_TOOBIG);
    hm_buf_clear(&buf);
    b.change.row_count = 0;
    b.change.reason = hm_bytes_of(text, 201);
    hm_change_encode(&b.change, &DOT, &buf);
    assert_int_equal(buf.err, HM_TOOBIG);
    hm_buf_deinit(&buf);
    hm_arena_deinit(&arena);
}

/* A state holds a value two levels deeper than a change, and must pass the guard of
 * whoever receives it. */
HM_TEST(nesting_of_a_value_fits_into_a_state)
{
    static const struct hm_bytes three = {(const uint8_t *)"\x91\x91\x91\x05", 4};
    struct hm_author author = hm_build_author(0xaa);
    struct hm_household_id id = {0xaa, 1};
    struct hm_household h;
    struct hm_build b;
    bool applied = false;

    begin(&b, id);
    hm_build_row(&b, (struct hm_row_key){.form = 1});
    hm_build_cell(&b, 16, three);
    (void)check_round_trip(hm_build_bytes(&b));
    hm_household_init(&h, &id, &arena);
    CHECK_OK(hm_household_apply(&h, &b.change, &DOT, &author, &applied));
    CHECK_OK(hm_guard_check(hm_build_state(&arena, &h)));
    hm_arena_deinit(&arena);
    assert_int_equal(decode(BYTES(HEAD "\x91\x95\1\0\0\0\x81\x10\x91\x91\x91\x91\x05")),
                     HM_TOOBIG);
    assert_int_equal(decode(BYTES(HEAD "\x91\x95\1\0\0\0\x81\x10\x91\x81\1\x91\x80")),
                     HM_TOOBIG);
    /* Wide is not deep. */
    CHECK_OK(
        decode(BYTES(HEAD "\x91\x95\1\0\0\0\x81\x10\x93\x90\x91\x92\1\2\x91\x90")));
}

/* The same at the author's end: nothing is written that nobody would take. */
HM_TEST(a_value_too_deep_is_not_written)
{
    static const struct hm_bytes four = {(const uint8_t *)"\x91\x91\x91\x91\x05", 5};
    struct hm_build b;
    struct hm_buf buf;

    begin(&b, (struct hm_household_id){0xaa, 1});
    hm_build_row(&b, (struct hm_row_key){.form = 1});
    hm_build_cell(&b, 16, four);
    hm_build_cell(&b, 17, four);
    hm_buf_init(&buf, HM_CHANGE_BYTES_MAX);
    hm_change_encode(&b.change, &b.dot, &buf);
    assert_int_equal(buf.err, HM_TOOBIG);
    hm_buf_deinit(&buf);
    hm_arena_deinit(&arena);
}

HM_TEST(larger_than_a_change_may_be)
{
    static uint8_t bytes[HM_CHANGE_BYTES_MAX + 1];

    memset(bytes, 0xc0, sizeof bytes);
    assert_int_equal(decode(hm_bytes_of(bytes, sizeof bytes)), HM_TOOBIG);
}

/* Random changes come back; what a flipped bit makes of them is refused, or is another
 * change in its one form. */
HM_TEST(random_changes)
{
    struct hm_rng rng = {11};
    size_t taken = 0;

    for (int round = 0; round < 400; round++) {
        struct hm_history history;

        hm_history_make(&history, &rng, 20);
        for (size_t i = 0; i < history.count; i++) {
            struct hm_change change = {0};
            const struct hm_history_entry *entry = &history.entries[i];
            struct hm_bytes bytes = entry->bytes;

            CHECK_OK(hm_change_decode(bytes, &entry->dot, &history.arena, &change));
            assert_true(hm_bytes_equal(
                hm_build_encode(&history.arena, &change, &entry->dot), bytes));
            for (int flip = 0; flip < 20; flip++) {
                uint64_t bit = hm_rng_below(&rng, 8 * bytes.len);
                uint8_t *byte = (uint8_t *)(uintptr_t)bytes.data + bit / 8;

                *byte ^= (uint8_t)(1U << bit % 8);
                if (hm_change_decode(bytes, &entry->dot, &history.arena, &change) ==
                    HM_OK) {
                    assert_true(hm_bytes_equal(
                        hm_build_encode(&history.arena, &change, &entry->dot), bytes));
                    taken++;
                }
                *byte ^= (uint8_t)(1U << bit % 8);
            }
        }
        hm_history_free(&history);
    }
    assert_true(taken > 1000);
}
