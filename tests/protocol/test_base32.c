#include "protocol/base32.h"

#include <stdlib.h>

#include "tests/support/test.h"

static int decode(const char *text, struct hm_buf *out)
{
    hm_buf_clear(out);
    return hm_base32_decode(hm_bytes_str(text), out);
}

/* Every length comes back, whole, whatever the fill of the last character. */
HM_TEST(round_trip)
{
    struct hm_buf text;
    struct hm_buf back;
    uint8_t bytes[40];

    hm_buf_init(&text, 200);
    hm_buf_init(&back, 200);
    for (size_t len = 0; len <= sizeof bytes; len++) {
        for (size_t i = 0; i < len; i++) {
            bytes[i] = (uint8_t)(i * 37 + len * 101);
        }
        hm_buf_clear(&text);
        hm_base32_encode(hm_bytes_of(bytes, len), &text);
        CHECK_OK(decode(text.len == 0 ? "" : hm_buf_str(&text), &back));
        assert_true(hm_bytes_equal(hm_buf_bytes(&back), hm_bytes_of(bytes, len)));
    }
    hm_buf_deinit(&text);
    hm_buf_deinit(&back);
}

/* Bytes worked out by hand: 0xFF 0x00 0xAA is 11111 11100 00000 01010 1010(0). */
HM_TEST(known_text)
{
    struct hm_buf text;

    hm_buf_init(&text, 200);
    hm_base32_encode(hm_bytes_of("\xFF\x00\xAA", 3), &text);
    assert_string_equal(hm_buf_str(&text), "ZW0A-M");
    hm_buf_clear(&text);
    hm_base32_encode(
        hm_bytes_of("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                    "\0\0\0\0",
                    32),
        &text);
    assert_int_equal(text.len, 52 + 12);
    hm_buf_deinit(&text);
}

/* What a person makes of it over the telephone. */
HM_TEST(reads_what_people_type)
{
    struct hm_buf out;

    hm_buf_init(&out, 200);
    CHECK_OK(decode("zwoam", &out));
    assert_memory_equal(out.data, "\xFF\x00\xAA", 3);
    CHECK_OK(decode(" Z-W-O A--m ", &out));
    assert_int_equal(out.len, 3);
    CHECK_OK(decode("iLl1oO00", &out));
    assert_memory_equal(out.data, "\x08\x42\x10\x00\x00", 5);
    hm_buf_deinit(&out);
}

HM_TEST(refuses)
{
    struct hm_buf out;

    hm_buf_init(&out, 4);
    assert_int_equal(decode("ZWU0M", &out), HM_MALFORMED);
    assert_int_equal(decode("ZW\xC4\x91M", &out), HM_MALFORMED);
    assert_int_equal(decode("0", &out), HM_MALFORMED);
    assert_int_equal(decode("ZW0", &out), HM_MALFORMED);
    assert_int_equal(decode("ZW0AN", &out), HM_NONCANONICAL);
    assert_int_equal(out.len, 0);
    assert_int_equal(decode("00000000", &out), HM_TOOBIG);
    assert_int_equal(out.len, 0);
    hm_buf_deinit(&out);
}
