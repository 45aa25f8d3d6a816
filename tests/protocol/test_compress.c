#include "protocol/compress.h"

#include <string.h>
#include <zstd.h>

#include "protocol/hash.h"
#include "tests/support/rng.h"
#include "tests/support/test.h"

#define BYTES(text) hm_bytes_of((text), sizeof(text) - 1)

static struct hm_buf packed;
static struct hm_buf plain;

static void begin(void)
{
    hm_buf_init(&packed, 2 * 1024 * 1024);
    hm_buf_init(&plain, 2 * 1024 * 1024);
}

static void end(void)
{
    hm_buf_deinit(&packed);
    hm_buf_deinit(&plain);
}

static struct hm_dictionary dictionary_of(struct hm_bytes bytes)
{
    return (struct hm_dictionary){hm_hash_u64(bytes), bytes};
}

HM_TEST(comes_back)
{
    static uint8_t bytes[70000];
    static const size_t lens[] = {0, 1, 100, 4096, 65536, 70000};
    struct hm_rng rng = {41};

    begin();
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i % 3 == 0 ? hm_rng_next(&rng) : 'a');
    }
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        struct hm_bytes in = hm_bytes_of(bytes, lens[i]);

        hm_buf_clear(&packed);
        hm_buf_clear(&plain);
        CHECK_OK(hm_compress(in, HM_DICTIONARY_NONE, &packed));
        CHECK_OK(
            hm_decompress(hm_buf_bytes(&packed), HM_DICTIONARY_NONE, lens[i], &plain));
        assert_true(hm_bytes_equal(in, hm_buf_bytes(&plain)));
    }
    end();
}

/* Both append: what was there stays. */
HM_TEST(appends)
{
    begin();
    hm_buf_append_str(&packed, "xx");
    hm_buf_append_str(&plain, "yy");
    CHECK_OK(hm_compress(BYTES("hello"), HM_DICTIONARY_NONE, &packed));
    CHECK_OK(hm_decompress(hm_bytes_of(packed.data + 2, packed.len - 2),
                           HM_DICTIONARY_NONE, 5, &plain));
    assert_true(hm_bytes_equal(hm_buf_bytes(&plain), BYTES("yyhello")));
    assert_memory_equal(packed.data, "xx", 2);
    end();
}

HM_TEST(dictionary_helps_and_is_needed)
{
    static const char text[] = "household of Vàng A Sình in the hamlet of Nà Lốc, "
                               "commune of Tà Tổng, district of Mường Tè";
    struct hm_dictionary dictionary = dictionary_of(BYTES(text));
    size_t with;

    begin();
    CHECK_OK(hm_compress(BYTES(text), dictionary, &packed));
    with = packed.len;
    CHECK_OK(hm_decompress(hm_buf_bytes(&packed), dictionary, 1000, &plain));
    assert_true(hm_bytes_equal(BYTES(text), hm_buf_bytes(&plain)));
    assert_int_equal(
        hm_decompress(hm_buf_bytes(&packed), HM_DICTIONARY_NONE, 1000, &plain),
        HM_MALFORMED);
    assert_int_equal(plain.len, sizeof text - 1);
    hm_buf_clear(&packed);
    CHECK_OK(hm_compress(BYTES(text), HM_DICTIONARY_NONE, &packed));
    assert_true(with + 40 < packed.len);
    end();
}

/* A form package from outside may carry a broken dictionary: that is not a lack of
 * memory, for which we would try again for ever. */
HM_TEST(broken_dictionary)
{
    static const char broken[] = "\x37\xa4\x30\xec garbage behind the magic number of "
                                 "a trained dictionary, long enough to be looked at";
    struct hm_dictionary dictionary = dictionary_of(BYTES(broken));

    begin();
    assert_int_equal(hm_compress(BYTES("hello"), dictionary, &packed), HM_MALFORMED);
    assert_int_equal(packed.len, 0);
    CHECK_OK(hm_compress(BYTES("hello"), HM_DICTIONARY_NONE, &packed));
    assert_int_equal(hm_decompress(hm_buf_bytes(&packed), dictionary, 100, &plain),
                     HM_MALFORMED);
    end();
}

/* 1 GiB of zeros is 33 kB of zstd. */
HM_TEST(bombs)
{
    static uint8_t zeros[1024 * 1024];
    uint8_t *head;

    begin();
    CHECK_OK(
        hm_compress(hm_bytes_of(zeros, sizeof zeros), HM_DICTIONARY_NONE, &packed));
    assert_true(packed.len < 200);
    assert_int_equal(
        hm_decompress(hm_buf_bytes(&packed), HM_DICTIONARY_NONE, 65536, &plain),
        HM_TOOBIG);
    assert_int_equal(plain.capacity, 0); /* before anything was allocated */
    /* Announced small, really large: single segment, content size in 4 bytes. */
    head = packed.data;
    assert_int_equal(head[4] & 0xe0, 0xa0);
    memcpy(head + 5, "\x10\x00\x00\x00", 4);
    assert_int_not_equal(
        hm_decompress(hm_buf_bytes(&packed), HM_DICTIONARY_NONE, 65536, &plain), HM_OK);
    /* Announced larger than it is. */
    hm_buf_clear(&packed);
    CHECK_OK(hm_compress(hm_bytes_of(zeros, 300), HM_DICTIONARY_NONE, &packed));
    assert_int_equal(packed.data[4] & 0xe0, 0x60);
    packed.data[5]++;
    assert_int_not_equal(
        hm_decompress(hm_buf_bytes(&packed), HM_DICTIONARY_NONE, 65536, &plain), HM_OK);
    assert_int_equal(plain.len, 0);
    end();
}

HM_TEST(exactly_one_frame_that_tells_its_size)
{
    uint8_t frame[200];
    size_t len;
    ZSTD_CCtx *context = ZSTD_createCCtx();

    assert_non_null(context);
    begin();
    (void)ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
    len = ZSTD_compress2(context, frame, sizeof frame, "hello", 5);
    (void)ZSTD_freeCCtx(context);
    assert_int_equal(
        hm_decompress(hm_bytes_of(frame, len), HM_DICTIONARY_NONE, 100, &plain),
        HM_MALFORMED);
    CHECK_OK(hm_compress(BYTES("hello"), HM_DICTIONARY_NONE, &packed));
    CHECK_OK(hm_compress(BYTES("hello"), HM_DICTIONARY_NONE, &packed));
    assert_int_equal(
        hm_decompress(hm_buf_bytes(&packed), HM_DICTIONARY_NONE, 100, &plain),
        HM_MALFORMED);
    /* A frame to be skipped has a size and no content. */
    assert_int_equal(hm_decompress(BYTES("\x50\x2a\x4d\x18\x04\0\0\0abcd"),
                                   HM_DICTIONARY_NONE, 100, &plain),
                     HM_MALFORMED);
    assert_int_equal(
        hm_decompress(BYTES("not a frame"), HM_DICTIONARY_NONE, 100, &plain),
        HM_MALFORMED);
    assert_int_equal(plain.len, 0);
    end();
}

HM_TEST(cut_at_each_length)
{
    begin();
    CHECK_OK(hm_compress(BYTES("hello hello hello hello, who is there?"),
                         HM_DICTIONARY_NONE, &packed));
    for (size_t len = 0; len < packed.len; len++) {
        int err = hm_decompress(hm_bytes_of(packed.data, len), HM_DICTIONARY_NONE, 100,
                                &plain);

        assert_true(err == HM_TRUNCATED || err == HM_MALFORMED);
        assert_int_equal(plain.len, 0);
    }
    end();
}

HM_TEST(limit_of_the_target)
{
    struct hm_buf small;

    begin();
    hm_buf_init(&small, 10);
    assert_int_equal(hm_compress(BYTES("hello hello"), HM_DICTIONARY_NONE, &small),
                     HM_TOOBIG);
    hm_buf_clear(&small);
    CHECK_OK(hm_compress(BYTES("hello hello"), HM_DICTIONARY_NONE, &packed));
    assert_int_equal(
        hm_decompress(hm_buf_bytes(&packed), HM_DICTIONARY_NONE, 100, &small),
        HM_TOOBIG);
    assert_int_equal(small.len, 0);
    hm_buf_deinit(&small);
    end();
}

HM_TEST(training)
{
    struct hm_rng rng = {42};
    struct hm_buf samples;
    struct hm_buf dictionary;
    size_t sizes[2000];

    begin();
    hm_buf_init(&samples, 1024 * 1024);
    hm_buf_init(&dictionary, HM_DICTIONARY_BYTES_MAX);
    for (size_t i = 0; i < 2000; i++) {
        size_t before = samples.len;
        unsigned long name = (unsigned long)hm_rng_below(&rng, 1000);
        unsigned long year = (unsigned long)hm_rng_below(&rng, 100);

        hm_buf_printf(&samples, "name Vàng A %lu hamlet Nà Lốc born %lu", name, year);
        sizes[i] = samples.len - before;
    }
    CHECK_OK(
        hm_dictionary_train(hm_buf_bytes(&samples), sizes, 2000, 4096, &dictionary));
    assert_in_range(dictionary.len, 256, 4096);
    CHECK_OK(hm_compress(hm_bytes_of(samples.data, sizes[0]),
                         dictionary_of(hm_buf_bytes(&dictionary)), &packed));
    assert_true(packed.len < sizes[0] - 10);
    hm_buf_clear(&packed);
    assert_int_equal(hm_dictionary_train(BYTES("abc"), (size_t[]){3}, 1, 4096, &packed),
                     HM_INVALID);
    assert_int_equal(packed.len, 0);
    hm_buf_deinit(&samples);
    hm_buf_deinit(&dictionary);
    end();
}

/* A target without room is told before zstd is asked. */
HM_TEST(training_without_room)
{
    static const size_t size = 3;
    struct hm_buf none;

    hm_buf_init(&none, 10);
    assert_int_equal(hm_dictionary_train(BYTES("abc"), &size, 1, 11, &none), HM_TOOBIG);
    assert_int_equal(none.len, 0);
    hm_buf_deinit(&none);
}
