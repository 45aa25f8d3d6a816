#include "protocol/pack.h"

#include "protocol/guard.h"
#include "tests/support/test.h"

#define BYTES(text) hm_bytes_of((text), sizeof(text) - 1)

/* Numbers at every border are written in a form that the guard accepts and come back.
 */
HM_TEST(integers_come_back)
{
    struct hm_buf buf;

    hm_buf_init(&buf, 64);
    for (unsigned shift = 0; shift < 64; shift++) {
        for (int64_t delta = -2; delta <= 2; delta++) {
            uint64_t value = (1ULL << shift) + (uint64_t)delta;
            struct hm_reader r;

            hm_buf_clear(&buf);
            hm_pack_uint(&buf, value);
            CHECK_OK(hm_guard_check(hm_buf_bytes(&buf)));
            r = (struct hm_reader){.left = hm_buf_bytes(&buf)};
            assert_true(hm_unpack_uint(&r) == value);
            CHECK_OK(hm_unpack_end(&r));

            hm_buf_clear(&buf);
            hm_pack_int(&buf, (int64_t)(0 - value));
            CHECK_OK(hm_guard_check(hm_buf_bytes(&buf)));
            r = (struct hm_reader){.left = hm_buf_bytes(&buf)};
            assert_true(hm_unpack_int(&r) == (int64_t)(0 - value));
            CHECK_OK(hm_unpack_end(&r));
        }
    }
    hm_buf_deinit(&buf);
}

/* A number above the signed range is not an int, but is a uint. */
HM_TEST(int_has_a_range)
{
    struct hm_bytes big = BYTES("\xcf\x80\0\0\0\0\0\0\0");
    struct hm_reader r = {.left = big};

    (void)hm_unpack_int(&r);
    assert_int_equal(r.err, HM_MALFORMED);
    r = (struct hm_reader){.left = big};
    assert_true(hm_unpack_uint(&r) == 1ULL << 63);
    r = (struct hm_reader){.left = BYTES("\xd3\x80\0\0\0\0\0\0\0")};
    assert_true(hm_unpack_int(&r) == INT64_MIN);
    r = (struct hm_reader){.left = BYTES("\xff")};
    assert_int_equal(hm_unpack_uint(&r), 0);
    assert_int_equal(r.err, HM_MALFORMED);
}

HM_TEST(wrong_types_stick)
{
    struct hm_reader r = {.left = BYTES("\xa1\x61\x05")};

    assert_int_equal(hm_unpack_uint(&r), 0);
    assert_int_equal(r.err, HM_MALFORMED);
    assert_int_equal(hm_unpack_str(&r).len, 0);
    assert_int_equal(hm_unpack_raw(&r).len, 0);
    assert_false(hm_unpack_nil(&r));
    assert_int_equal(hm_unpack_end(&r), HM_MALFORMED);
}

HM_TEST(counts_have_a_limit)
{
    struct hm_reader r = {.left = BYTES("\x93\1\2\3")};

    assert_int_equal(hm_unpack_array(&r, 2), 0);
    assert_int_equal(r.err, HM_TOOBIG);
    r = (struct hm_reader){.left = BYTES("\x93\1\2\3")};
    assert_int_equal(hm_unpack_array(&r, 3), 3);
    r = (struct hm_reader){.left = BYTES("\x93\1\2\3")};
    hm_unpack_array_exact(&r, 4);
    assert_int_equal(r.err, HM_MALFORMED);
    r = (struct hm_reader){.left = BYTES("\x81\1\2")};
    assert_int_equal(hm_unpack_map(&r, 1), 1);
    r = (struct hm_reader){.left = BYTES("\x05")};
    assert_int_equal(hm_unpack_uint_max(&r, 4), 0);
    assert_int_equal(r.err, HM_MALFORMED);
}

HM_TEST(binary_of_exact_size)
{
    struct hm_reader r = {.left = BYTES("\xc4\x02\x61\x62")};
    uint8_t out[3] = "xyz";

    hm_unpack_bin_exact(&r, out, 3);
    assert_int_equal(r.err, HM_MALFORMED);
    assert_memory_equal(out, "xyz", 3);
    r = (struct hm_reader){.left = BYTES("\xc4\x02\x61\x62")};
    hm_unpack_bin_exact(&r, out, 2);
    CHECK_OK(hm_unpack_end(&r));
    assert_memory_equal(out, "abz", 3);
}

/* A cell's value keeps its exact bytes, however nested. */
HM_TEST(raw_takes_one_item)
{
    struct hm_reader r = {.left = BYTES("\x92\x81\x01\xa1\x61\xc4\x01\xff\xc0")};

    assert_int_equal(hm_unpack_raw(&r).len, 8);
    assert_true(hm_unpack_nil(&r));
    CHECK_OK(hm_unpack_end(&r));
    r = (struct hm_reader){.left = BYTES("\x92\x81\x01")};
    (void)hm_unpack_raw(&r);
    assert_int_equal(r.err, HM_TRUNCATED);
    /* Counts that no memory could hold end at the end of the bytes. */
    r = (struct hm_reader){.left = BYTES("\xdf\xff\xff\xff\xff\xdf\xff\xff\xff\xff")};
    (void)hm_unpack_raw(&r);
    assert_int_equal(r.err, HM_TRUNCATED);
}

HM_TEST(peek_does_not_move)
{
    struct hm_reader r = {.left = BYTES("\x90\xc0")};

    assert_int_equal(hm_unpack_peek(&r), HM_PACK_ARRAY);
    assert_int_equal(hm_unpack_peek(&r), HM_PACK_ARRAY);
    assert_false(hm_unpack_nil(&r));
    assert_int_equal(hm_unpack_array(&r, 0), 0);
    assert_int_equal(hm_unpack_end(&r), HM_MALFORMED); /* one byte is left */
    assert_true(hm_unpack_nil(&r));
    assert_int_equal(hm_unpack_peek(&r), HM_PACK_NIL);
    CHECK_OK(r.err);
}

HM_TEST(text_and_binary_come_back)
{
    static const size_t lens[] = {0, 1, 31, 32, 255, 256, 4096};
    static uint8_t bytes[4096];
    struct hm_buf buf;

    memset(bytes, 'x', sizeof bytes);
    hm_buf_init(&buf, 8192);
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        struct hm_reader r;

        hm_buf_clear(&buf);
        hm_pack_array(&buf, 3);
        hm_pack_str(&buf, hm_bytes_of(bytes, lens[i]));
        hm_pack_bin(&buf, hm_bytes_of(bytes, lens[i] / 2));
        hm_pack_bool(&buf, true);
        CHECK_OK(hm_guard_check(hm_buf_bytes(&buf)));
        r = (struct hm_reader){.left = hm_buf_bytes(&buf)};
        hm_unpack_array_exact(&r, 3);
        assert_int_equal(hm_unpack_str(&r).len, lens[i]);
        assert_int_equal(hm_unpack_bin(&r).len, lens[i] / 2);
        assert_true(hm_unpack_bool(&r));
        CHECK_OK(hm_unpack_end(&r));
    }
    hm_buf_deinit(&buf);
}
