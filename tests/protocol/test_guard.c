#include "protocol/guard.h"

#include <msgpack.h>
#include <stdio.h>
#include <string.h>

#include "protocol/pack.h"
#include "tests/support/rng.h"
#include "tests/support/test.h"

#define BYTES(text) hm_bytes_of((text), sizeof(text) - 1)

static void check(int expected, struct hm_bytes bytes)
{
    int err = hm_guard_check(bytes);

    if (err != expected) {
        print_error("%s, expected %s, for:", hm_err_name(err), hm_err_name(expected));
        for (size_t i = 0; i < bytes.len && i < 40; i++) {
            print_error(" %02x", bytes.data[i]);
        }
        print_error("\n");
        fail();
    }
}

/* head, then len bytes of fill. */
static void check_long(int expected, struct hm_bytes head, size_t len, char fill)
{
    static uint8_t bytes[80000];

    memcpy(bytes, head.data, head.len);
    memset(bytes + head.len, fill, len);
    check(expected, hm_bytes_of(bytes, head.len + len));
}

HM_TEST(accepts_the_canonical_forms)
{
    check(HM_OK, BYTES("\xc0"));
    check(HM_OK, BYTES("\xc2"));
    check(HM_OK, BYTES("\xc3"));
    check(HM_OK, BYTES("\x7f"));
    check(HM_OK, BYTES("\xcc\x80"));
    check(HM_OK, BYTES("\xcd\x01\x00"));
    check(HM_OK, BYTES("\xce\x00\x01\x00\x00"));
    check(HM_OK, BYTES("\xcf\x00\x00\x00\x01\x00\x00\x00\x00"));
    check(HM_OK, BYTES("\xe0"));
    check(HM_OK, BYTES("\xd0\xdf"));
    check(HM_OK, BYTES("\xd1\xff\x7f"));
    check(HM_OK, BYTES("\xd2\xff\xff\x7f\xff"));
    check(HM_OK, BYTES("\xd3\xff\xff\xff\xff\x7f\xff\xff\xff"));
    check(HM_OK, BYTES("\xcb\x3f\xf8\0\0\0\0\0\0"));
    check(HM_OK, BYTES("\xcb\x7f\xf0\0\0\0\0\0\0"));
    check(HM_OK, BYTES("\xa0"));
    check(HM_OK, BYTES("\xa3\ta\n"));
    check(HM_OK, BYTES("\xc4\x00"));
    check(HM_OK, BYTES("\x80"));
    check(HM_OK, BYTES("\x82\x00\xc0\x01\xc0"));
    check(HM_OK, BYTES("\x82\x7f\xc0\xcc\x80\x90"));
    check_long(HM_OK, BYTES("\xd9\x20"), 32, 'a');
    check_long(HM_OK, BYTES("\xda\x01\x00"), 256, 'a');
    check_long(HM_OK, BYTES("\xda\x10\x00"), 4096, 'a');
    check_long(HM_OK, BYTES("\xc5\x01\x00"), 256, 'a');
    check_long(HM_OK, BYTES("\xc6\x00\x01\x00\x00"), 65536, 'a');
    check_long(HM_OK, BYTES("\xdc\x00\x10"), 16, 1);
    check_long(HM_OK, BYTES("\xdd\x00\x01\x00\x00"), 65536, 1);
}

/* One form for each value: a longer one would give equal data another hash. */
HM_TEST(refuses_longer_forms)
{
    const int no = HM_NONCANONICAL;

    check(no, BYTES("\xcc\x7f"));
    check(no, BYTES("\xcd\x00\xff"));
    check(no, BYTES("\xce\x00\x00\xff\xff"));
    check(no, BYTES("\xcf\x00\x00\x00\x00\xff\xff\xff\xff"));
    check(no, BYTES("\xd0\xe0"));
    check(no, BYTES("\xd0\x01"));
    check(no, BYTES("\xd1\xff\x80"));
    check(no, BYTES("\xd1\x00\x80"));
    check(no, BYTES("\xd2\xff\xff\x80\x00"));
    check(no, BYTES("\xd2\x00\x01\x00\x00"));
    check(no, BYTES("\xd3\xff\xff\xff\xff\x80\x00\x00\x00"));
    check(no, BYTES("\xd3\x00\x00\x00\x01\x00\x00\x00\x00"));
    check_long(no, BYTES("\xd9\x1f"), 31, 'a');
    check_long(no, BYTES("\xda\x00\xff"), 255, 'a');
    check_long(no, BYTES("\xdb\x00\x00\x0f\xff"), 4095, 'a');
    check_long(no, BYTES("\xc5\x00\xff"), 255, 'a');
    check_long(no, BYTES("\xc6\x00\x00\xff\xff"), 65535, 'a');
    check_long(no, BYTES("\xdc\x00\x0f"), 15, 1);
    check_long(no, BYTES("\xdd\x00\x00\xff\xff"), 65535, 1);
    check_long(no, BYTES("\xde\x00\x0f"), 30, 1);
    check_long(no, BYTES("\xdf\x00\x00\xff\xff"), 70000, 1);
}

HM_TEST(refuses_types_that_we_never_use)
{
    static const uint8_t tags[] = {0xc1, 0xc7, 0xc8, 0xc9, 0xca,
                                   0xd4, 0xd5, 0xd6, 0xd7, 0xd8};

    for (size_t i = 0; i < sizeof tags; i++) {
        uint8_t bytes[20] = {tags[i]};

        check(HM_MALFORMED, hm_bytes_of(bytes, sizeof bytes));
    }
    check(HM_NONCANONICAL, BYTES("\xcb\x7f\xf8\0\0\0\0\0\0")); /* quiet NaN */
    check(HM_NONCANONICAL, BYTES("\xcb\x7f\xf0\0\0\0\0\0\1")); /* signalling */
    check(HM_NONCANONICAL, BYTES("\xcb\xff\xff\xff\xff\xff\xff\xff\xff"));
}

HM_TEST(map_keys_rise_and_are_not_negative)
{
    const int no = HM_NONCANONICAL;

    check(no, BYTES("\x82\x01\xc0\x00\xc0"));
    check(no, BYTES("\x82\x01\xc0\x01\xc0"));
    check(no, BYTES("\x81\xff\xc0"));
    check(no, BYTES("\x81\xa1\x61\xc0"));
    check(no, BYTES("\x81\xc0\xc0"));
    check(no, BYTES("\x81\xc3\xc0"));
    check(no, BYTES("\x81\x90\xc0"));
    check(no, BYTES("\x81\x80\xc0"));
    check(no, BYTES("\x81\xc4\x01\x01\xc0"));
    check(no, BYTES("\x81\xcb\x3f\xf8\0\0\0\0\0\0\xc0"));
    /* The first error is the one that is told. */
    check(no, BYTES("\x81\xdd\xff\xff\xff\xff\xc0"));
    /* A map inside does not disturb the order outside. */
    check(HM_OK, BYTES("\x82\x05\x81\x09\xc0\x06\xc0"));
    check(no, BYTES("\x82\x05\x81\x01\xc0\x05\xc0"));
    /* Keys of a map are unsigned up to 2^64-1. */
    check(HM_OK, BYTES("\x82\x00\xc0\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xc0"));
}

HM_TEST(depth_ends_at_eight)
{
    check(HM_OK, BYTES("\x91\x91\x91\x91\x91\x91\x91\x91\x01"));
    check(HM_TOOBIG, BYTES("\x91\x91\x91\x91\x91\x91\x91\x91\x91\x01"));
    check(HM_TOOBIG, BYTES("\x91\x91\x91\x91\x91\x91\x91\x91\x90"));
    check(HM_OK, BYTES("\x81\1\x81\1\x81\1\x81\1\x81\1\x81\1\x81\1\x81\1\xc0"));
    check(HM_TOOBIG, BYTES("\x81\1\x81\1\x81\1\x81\1\x81\1\x81\1\x81\1\x81\1\x80"));
    check_long(HM_TOOBIG, BYTES(""), 70000, (char)0x91);
    /* Wide is not deep. */
    check(HM_OK, BYTES("\x94\x90\x90\x91\x90\x90"));
}

/* Five bytes that make msgpack-c ask for 137 GB. */
HM_TEST(announced_elements_must_be_there)
{
    const int no = HM_TRUNCATED;

    check(no, BYTES("\xdd\xff\xff\xff\xff"));
    check(no, BYTES("\xdf\xff\xff\xff\xff"));
    check(no, BYTES("\xdb\xff\xff\xff\xff"));
    check(no, BYTES("\xc6\xff\xff\xff\xff"));
    check(no, BYTES("\xdd\xff\xff"));
    check(no, BYTES("\x92\x01"));
    check(no, BYTES("\x81\x01"));
    check(no, BYTES("\x91\x91\xa2\x61"));
    check(no, BYTES("\xcd\x01"));
    check(no, BYTES("\xcb\x01"));
    check(no, BYTES("\xd9"));
    check(no, BYTES(""));
    check(no, hm_bytes_of(NULL, 0));
    /* Pairs need two bytes each. */
    check(no, BYTES("\x82\x01\xc0\x02"));
}

HM_TEST(bytes_left_over)
{
    struct hm_bytes item = {0};

    check(HM_MALFORMED, BYTES("\x01\x02"));
    check(HM_MALFORMED, BYTES("\x90\xc0"));
    CHECK_OK(hm_guard_first(BYTES("\x92\x01\x02\xff"), &item));
    assert_int_equal(item.len, 3);
    /* Unchanged on error. */
    item = BYTES("zz");
    assert_int_equal(hm_guard_first(BYTES("\x92\x01"), &item), HM_TRUNCATED);
    assert_int_equal(item.len, 2);
}

HM_TEST(limits_of_text_and_binary)
{
    check_long(HM_TOOBIG, BYTES("\xda\x10\x01"), 4097, 'a');
    check_long(HM_TOOBIG, BYTES("\xc6\x00\x01\x00\x01"), 65537, 'a');
}

static void check_text(int expected, const char *text)
{
    assert_int_equal(hm_guard_text(hm_bytes_str(text)), expected);
}

/* People who type the same name on two machines must get the same bytes. */
HM_TEST(text_is_nfc)
{
    check_text(HM_OK, "Nguyễn Thị Hoà");
    check_text(HM_NONCANONICAL, "Nguye\xcc\x82\xcc\x83n"); /* e + circumflex + tilde */
    check_text(HM_NONCANONICAL, "Nguy\xc3\xaa\xcc\x83n");  /* half composed */
    check_text(HM_NONCANONICAL, "\xe2\x84\xab");           /* Angstrom sign */
    check_text(HM_NONCANONICAL, "\xe1\xbe\xbe");           /* Greek prosgegrammeni */
    check_text(HM_OK, "a\xcc\xb2");                        /* no composed form */
    check_text(HM_NONCANONICAL, "a\xcc\x81\xcc\xa3");      /* marks out of order */
    check_text(HM_OK, "\xf0\x9f\x8f\xa0");                 /* above U+FFFF */
}

HM_TEST(text_is_utf8)
{
    const int no = HM_MALFORMED;

    check_text(no, "\x80");
    check_text(no, "a\xc3");
    check_text(no, "\xc0\x80");         /* overlong NUL */
    check_text(no, "\xc1\xbf");         /* overlong ASCII */
    check_text(no, "\xe0\x9f\xbf");     /* overlong */
    check_text(no, "\xf0\x8f\xbf\xbf"); /* overlong */
    check_text(no, "\xed\xa0\x80");     /* surrogate */
    check_text(no, "\xf4\x90\x80\x80"); /* above U+10FFFF */
    check_text(no, "\xf8\x88\x80\x80\x80");
    check_text(no, "\xff");
}

HM_TEST(text_has_no_control_characters)
{
    for (int c = 0; c < 0x20; c++) {
        char text = (char)c;
        bool allowed = c == '\t' || c == '\n';

        assert_int_equal(hm_guard_text(hm_bytes_of(&text, 1)),
                         allowed ? HM_OK : HM_MALFORMED);
    }
    check_text(HM_MALFORMED, "a\x7f");
    check_text(HM_MALFORMED, "\xc2\x80");
    check_text(HM_MALFORMED, "\xc2\x9f");
    check_text(HM_OK, "\xc2\xa0");
    /* The slow path sees them too. */
    check_text(HM_MALFORMED, "ễ\x01");
    check_text(HM_OK, "ễ\t\n");
}

/* The longest text of characters that fall apart into the most pieces. */
HM_TEST(text_that_decomposes_most)
{
    static const char *const pieces[] = {"\xce\x90", "\xe1\xbe\x82", "ǖ",
                                         "\xef\xb7\xba"};

    for (size_t i = 0; i < 4; i++) {
        char text[4097] = "";
        size_t len = strlen(pieces[i]);
        size_t used = 0;

        for (; used + len <= 4096; used += len) {
            memcpy(text + used, pieces[i], len);
        }
        assert_int_equal(hm_guard_text(hm_bytes_of(text, used)), HM_OK);
    }
}

/* The judge: what the guard accepts, msgpack-c reads to the last byte. */
static void judge(struct hm_bytes bytes, size_t *accepted)
{
    struct hm_reader r = {.left = bytes};
    msgpack_unpacked out;
    size_t offset = 0;

    if (hm_guard_check(bytes) != HM_OK) {
        return;
    }
    (*accepted)++;
    msgpack_unpacked_init(&out);
    assert_int_equal(
        msgpack_unpack_next(&out, (const char *)bytes.data, bytes.len, &offset),
        MSGPACK_UNPACK_SUCCESS);
    assert_int_equal(offset, bytes.len);
    msgpack_unpacked_destroy(&out);
    assert_int_equal(hm_unpack_raw(&r).len, bytes.len);
    CHECK_OK(hm_unpack_end(&r));
}

static void random_item(struct hm_rng *rng, struct hm_buf *buf, int depth)
{
    size_t count = (size_t)hm_rng_below(rng, 4);

    switch (hm_rng_below(rng, depth > 4 ? 7 : 9)) {
    case 0:
        hm_pack_nil(buf);
        break;
    case 1:
        hm_pack_bool(buf, count > 1);
        break;
    case 2:
    case 3:
        hm_pack_int(buf, (int64_t)(0 - hm_rng_wide(rng)));
        break;
    case 4:
        hm_pack_uint(buf, hm_rng_wide(rng));
        break;
    case 5:
        hm_pack_str(buf, hm_bytes_str(count > 1 ? "Đặng" : "abc"));
        break;
    case 6:
        hm_pack_bin(buf, hm_bytes_of("\1\2\3", count));
        break;
    case 7:
        hm_pack_array(buf, count);
        for (size_t i = 0; i < count; i++) {
            random_item(rng, buf, depth + 1);
        }
        break;
    default:
        hm_pack_map(buf, count);
        for (size_t i = 0; i < count; i++) {
            hm_pack_uint(buf, i * 100);
            random_item(rng, buf, depth + 1);
        }
    }
}

HM_TEST(msgpack_c_reads_what_it_accepts)
{
    struct hm_rng rng = {1};
    struct hm_buf buf;
    size_t accepted = 0;

    hm_buf_init(&buf, 100000);
    for (int i = 0; i < 100000; i++) {
        hm_buf_clear(&buf);
        random_item(&rng, &buf, 0);
        if (hm_guard_check(hm_buf_bytes(&buf)) != HM_OK) {
            fail_msg("item %d", i); /* what we write is canonical */
        }
        judge(hm_buf_bytes(&buf), &accepted);
        for (uint64_t flips = 1 + hm_rng_below(&rng, 3); flips > 0; flips--) {
            uint8_t *at = buf.data + hm_rng_below(&rng, buf.len);

            *at = (uint8_t)hm_rng_next(&rng);
        }
        judge(hm_buf_bytes(&buf), &accepted);
    }
    hm_buf_deinit(&buf);
    assert_true(accepted > 120000);
}

HM_TEST(msgpack_c_reads_random_bytes_that_it_accepts)
{
    struct hm_rng rng = {2};
    size_t accepted = 0;

    for (int i = 0; i < 200000; i++) {
        uint8_t bytes[12];
        size_t len = 1 + (size_t)hm_rng_below(&rng, sizeof bytes);

        for (size_t j = 0; j < len; j++) {
            bytes[j] = (uint8_t)hm_rng_next(&rng);
        }
        judge(hm_bytes_of(bytes, len), &accepted);
    }
    assert_true(accepted > 5000);
}

/* Whoever puts an item into another one asks how deep it is. */
HM_TEST(depth_of_an_item)
{
    assert_int_equal(hm_guard_depth(BYTES("\x05")), 0);
    assert_int_equal(hm_guard_depth(BYTES("\xa2\x91\x91")), 0);
    assert_int_equal(hm_guard_depth(BYTES("\x90")), 1);
    assert_int_equal(hm_guard_depth(BYTES("\x93\x90\x91\x80\x01")), 3);
    assert_int_equal(hm_guard_depth(BYTES("\x82\x01\x91\x91\x02\x02\xc0")), 3);
    assert_int_equal(hm_guard_depth(BYTES("\x91\x91\x91\x91\x91\x91\x91\x91\x01")), 8);
    assert_int_equal(hm_guard_depth(BYTES("\x91\x91\x91\x91\x91\x91\x91\x91\x91\x01")),
                     9);
}
