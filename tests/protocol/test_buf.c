#include "protocol/buf.h"

#include "tests/support/test.h"

/* A buffer never grows past its limit, and says so once. */
HM_TEST(limit_sticks)
{
    struct hm_buf buf;

    hm_buf_init(&buf, 5);
    hm_buf_append_str(&buf, "abc");
    hm_buf_append_str(&buf, "def");
    assert_int_equal(buf.err, HM_TOOBIG);
    hm_buf_append_str(&buf, "x");
    assert_int_equal(buf.len, 3);
    hm_buf_clear(&buf);
    hm_buf_append_uint(&buf, 0x0102030405U, 5);
    assert_int_equal(buf.err, HM_OK);
    assert_memory_equal(buf.data, "\1\2\3\4\5", 5);
    hm_buf_deinit(&buf);
}

HM_TEST(printf_grows)
{
    struct hm_buf buf;

    hm_buf_init(&buf, 1000);
    for (int i = 0; i < 100; i++) {
        hm_buf_printf(&buf, "%03d.", i);
    }
    assert_int_equal(buf.len, 400);
    assert_memory_equal(hm_buf_str(&buf) + 396, "099.", 5);
    hm_buf_deinit(&buf);
}

/* A length from outside can be larger than any buffer: nothing wraps. */
HM_TEST(reader_stops_at_the_end)
{
    struct hm_reader r = {.left = hm_bytes_of("\1\2\3", 3)};

    assert_int_equal(hm_reader_uint(&r, 2), 0x0102);
    (void)hm_reader_take(&r, UINT64_MAX);
    assert_int_equal(r.err, HM_TRUNCATED);
    assert_int_equal(hm_reader_uint(&r, 1), 0);
}
