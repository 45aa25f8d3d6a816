#include "protocol/id.h"

#include "tests/support/test.h"

HM_TEST(text_and_back)
{
    struct hm_dot dot = {0xab, 1234};
    struct hm_household_id id = {UINT64_MAX, 0};
    struct hm_item item = {1, 2, UINT64_MAX};
    char text[HM_ID_TEXT_MAX];

    hm_dot_to_text(&dot, text);
    assert_string_equal(text, "00000000000000ab.1234");
    dot = (struct hm_dot){0};
    CHECK_OK(hm_dot_from_text(text, &dot));
    assert_true(dot.incarnation == 0xab && dot.n == 1234);
    hm_household_id_to_text(&id, text);
    assert_string_equal(text, "ffffffffffffffff.0");
    id = (struct hm_household_id){0};
    CHECK_OK(hm_household_id_from_text(text, &id));
    assert_true(id.a == UINT64_MAX && id.n == 0);
    hm_item_to_text(&item, text);
    assert_string_equal(text, "0000000000000001.2.18446744073709551615");
    item = (struct hm_item){0};
    CHECK_OK(hm_item_from_text(text, &item));
    assert_true(item.incarnation == 1 && item.n == 2 && item.k == UINT64_MAX);
    item = (struct hm_item){0};
    hm_item_to_text(&item, text);
    assert_string_equal(text, "");
}

/* Ids are read aloud and typed: what is odd must not become another id. */
HM_TEST(odd_texts_are_refused)
{
    static const char *const texts[] = {"",
                                        ".",
                                        "1",
                                        "1.",
                                        ".1",
                                        "g.1",
                                        "1.x",
                                        "1.01",
                                        "1.1 ",
                                        " 1.1",
                                        "1.-1",
                                        "0x1.1",
                                        "1.+1",
                                        "1.1.",
                                        "1..1",
                                        "1.1.1.",
                                        "00000000000000001.1",
                                        "1.18446744073709551616",
                                        "1.99999999999999999999999"};
    struct hm_dot dot = {7, 7};
    struct hm_household_id id = {7, 7};
    struct hm_item item = {7, 7, 7};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(hm_dot_from_text(texts[i], &dot), HM_MALFORMED);
        assert_int_equal(hm_household_id_from_text(texts[i], &id), HM_MALFORMED);
        assert_int_equal(hm_item_from_text(texts[i], &item), HM_MALFORMED);
    }
    assert_int_equal(hm_item_from_text("1.1", &item), HM_MALFORMED);
    assert_int_equal(hm_item_from_text("1.0.1", &item), HM_MALFORMED);
    assert_int_equal(hm_item_from_text("1.1.0", &item), HM_MALFORMED);
    assert_int_equal(hm_dot_from_text("1.1.1", &dot), HM_MALFORMED);
    assert_true(dot.n == 7 && id.n == 7 && item.n == 7);
    CHECK_OK(hm_dot_from_text("AbC.1", &dot));
    assert_true(dot.incarnation == 0xabc);
}

/* Entry 0 of a log is the birth and never a dot; household (hash, 0) is one. */
HM_TEST(a_dot_counts_from_one)
{
    struct hm_dot dot = {7, 7};
    struct hm_household_id id;

    assert_int_equal(hm_dot_from_text("1.0", &dot), HM_MALFORMED);
    assert_true(dot.n == 7);
    CHECK_OK(hm_household_id_from_text("1.0", &id));
}

/* Orders look at each part, the first first, as unsigned numbers. */
HM_TEST(orders_are_total)
{
    const struct hm_dot dots[] = {{0, 9}, {1, 0}, {1, 1}, {UINT64_MAX, 0}};
    const struct hm_row_key keys[] = {{0, 9, 9, {9, 9, 9}}, {1, 0, 9, {9, 9, 9}},
                                      {1, 1, 0, {9, 9, 9}}, {1, 1, 1, {0, 9, 9}},
                                      {1, 1, 1, {1, 0, 9}}, {1, 1, 1, {1, 1, 0}},
                                      {1, 1, 1, {1, 1, 1}}};

    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < 4; j++) {
            struct hm_household_id a = {dots[i].incarnation, dots[i].n};
            struct hm_household_id b = {dots[j].incarnation, dots[j].n};
            int expected = (i > j) - (i < j);

            assert_int_equal(hm_dot_compare(&dots[i], &dots[j]), expected);
            assert_int_equal(hm_household_id_compare(&a, &b), expected);
        }
    }
    for (int i = 0; i < 7; i++) {
        for (int j = 0; j < 7; j++) {
            assert_int_equal(hm_row_key_compare(&keys[i], &keys[j]), (i > j) - (i < j));
        }
    }
}
