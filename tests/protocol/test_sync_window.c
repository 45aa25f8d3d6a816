/* Times of day in which a node may sync by itself. */
#include "protocol/sync_window.h"

#include <string.h>

#include "tests/support/test.h"

#define AT(hour, minute) (((hour)*60U + (minute)) * 60U)

static struct hm_sync_windows windows(const char *text)
{
    struct hm_sync_windows out = {0};

    CHECK_OK(hm_sync_windows_parse(text, &out));
    return out;
}

HM_TEST(without_windows_it_is_always_open)
{
    struct hm_sync_windows none = {0};

    for (uint32_t s = 0; s < HM_SYNC_DAY_S; s += 61) {
        assert_int_equal(hm_sync_windows_opens_in_s(&none, s, 600), 0);
    }
}

HM_TEST(a_window_of_the_day)
{
    struct hm_sync_windows w = windows("12:00-13:30");

    assert_int_equal(hm_sync_windows_opens_in_s(&w, AT(11, 59), 0), 60);
    assert_int_equal(hm_sync_windows_opens_in_s(&w, AT(12, 0), 0), 0);
    assert_int_equal(hm_sync_windows_opens_in_s(&w, AT(13, 30) - 1, 0), 0);
    assert_int_equal(hm_sync_windows_opens_in_s(&w, AT(13, 30), 0), AT(22, 30));
    assert_int_equal(hm_sync_windows_opens_in_s(&w, 0, 0), AT(12, 0));
}

HM_TEST(a_window_over_midnight)
{
    struct hm_sync_windows w = windows("20:00-06:00");

    assert_int_equal(hm_sync_windows_opens_in_s(&w, AT(19, 59), 0), 60);
    assert_int_equal(hm_sync_windows_opens_in_s(&w, AT(20, 0), 0), 0);
    assert_int_equal(hm_sync_windows_opens_in_s(&w, AT(23, 59) + 59, 0), 0);
    assert_int_equal(hm_sync_windows_opens_in_s(&w, 0, 0), 0);
    assert_int_equal(hm_sync_windows_opens_in_s(&w, AT(5, 59), 0), 0);
    assert_int_equal(hm_sync_windows_opens_in_s(&w, AT(6, 0), 0), AT(14, 0));
}

/* The nearest of several; a window may end with the day. */
HM_TEST(several_windows)
{
    struct hm_sync_windows w = windows(" 22:00 - 24:00 ,04:00-05:00,12:00-12:01");

    assert_int_equal(w.count, 3);
    assert_int_equal(hm_sync_windows_opens_in_s(&w, AT(23, 59) + 59, 0), 0);
    assert_int_equal(hm_sync_windows_opens_in_s(&w, 0, 0), AT(4, 0));
    assert_int_equal(hm_sync_windows_opens_in_s(&w, AT(5, 0), 0), AT(7, 0));
    assert_int_equal(hm_sync_windows_opens_in_s(&w, AT(12, 1), 0), AT(9, 59));
}

/* A node's own delay, but never the whole of a window. */
HM_TEST(nodes_open_one_after_the_other)
{
    struct hm_sync_windows w = windows("20:00-06:00");

    assert_int_equal(hm_sync_windows_opens_in_s(&w, AT(20, 0), 600), 600);
    assert_int_equal(hm_sync_windows_opens_in_s(&w, AT(20, 10), 600), 0);
    assert_int_equal(hm_sync_windows_opens_in_s(&w, AT(5, 59), 600), 0);
    assert_int_equal(hm_sync_windows_opens_in_s(&w, AT(6, 0), 600), AT(14, 10));
    w = windows("12:00-12:10");
    assert_int_equal(hm_sync_windows_opens_in_s(&w, AT(12, 0), 600), 300);
    assert_int_equal(hm_sync_windows_opens_in_s(&w, AT(12, 5), 600), 0);
}

/* Whatever the second, open or the seconds to where it is open. */
HM_TEST(every_second_of_the_day)
{
    static const char *const texts[] = {"20:00-06:00", "00:00-24:00x", "00:01-00:00",
                                        "23:59-00:01, 00:02-00:03"};

    for (size_t t = 0; t < sizeof texts / sizeof texts[0]; t++) {
        struct hm_sync_windows w = {0};

        if (hm_sync_windows_parse(texts[t], &w) != HM_OK) {
            continue;
        }
        for (uint32_t s = 0; s < HM_SYNC_DAY_S; s++) {
            uint32_t in_s = hm_sync_windows_opens_in_s(&w, s, s % 700);

            assert_true(in_s < HM_SYNC_DAY_S);
            assert_int_equal(
                hm_sync_windows_opens_in_s(&w, (s + in_s) % HM_SYNC_DAY_S, s % 700), 0);
            assert_true(
                in_s == 0 ||
                hm_sync_windows_opens_in_s(
                    &w, (s + in_s + HM_SYNC_DAY_S - 1) % HM_SYNC_DAY_S, s % 700) != 0);
        }
    }
}

HM_TEST(what_is_no_window_is_refused)
{
    static const char *const texts[] = {
        "",
        "20:00",
        "20:00-",
        "20-06",
        "25:00-1:0",
        "24:01-02:00",
        "12:60-13:00",
        "06:00-06:00",
        "1:00-2:00",
        "01:00-02:00,",
        "01:00-02:00 x",
        "00:00-24:00",
        ("01:00-02:00,01:00-02:00,01:00-02:00,01:00-02:00,01:00-02:00,01:00-02:00,"
         "01:00-02:00,01:00-02:00,01:00-02:00")};
    struct hm_sync_windows w = {.count = 77};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(hm_sync_windows_parse(texts[i], &w), HM_INVALID);
        assert_int_equal(w.count, 77);
    }
}
