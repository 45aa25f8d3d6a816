/* FEED and GIVE: their head, and the compressed states behind it. */
#include "protocol/guard.h"
#include "protocol/message.h"
#include "protocol/pack.h"
#include "tests/support/fault.h"
#include "tests/support/rng.h"
#include "tests/support/sample.h"
#include "tests/support/test.h"

#define BYTES(text) hm_bytes_of((text), sizeof(text) - 1)
#define HEAD                                                                           \
    "\x99\x11\1\2\3\4\xc3\xc4\x10"                                                     \
    "abcdefghijklmnop\5"

static struct hm_arena arena;
static struct hm_buf frame;  /* written */
static struct hm_buf states; /* uncompressed */

static const struct hm_feed head = {.scope = UINT32_MAX,
                                    .timeline = UINT64_MAX,
                                    .from = 3,
                                    .to = 400,
                                    .salt = 5,
                                    .more = true,
                                    .digest = {{1, 2, 3}},
                                    .households = 70000};

static void begin(void)
{
    hm_arena_init(&arena, 64 * 1024 * 1024);
    hm_buf_init(&frame, 2 * HM_REPLY_BYTES_MAX);
    hm_buf_init(&states, 2 * HM_STATES_BYTES_MAX);
}

static void end(void)
{
    hm_arena_deinit(&arena);
    hm_buf_deinit(&frame);
    hm_buf_deinit(&states);
}

/* Three items as a feed would hold. */
static void put_items(void)
{
    size_t members;

    for (uint64_t i = 1; i <= 3; i++) {
        hm_buf_append(
            &states, hm_sample_register(&arena, 1, i, (struct hm_dot){7, i}, &members));
    }
}

static struct hm_bytes payload(enum hm_frame_type type)
{
    struct hm_reader r = {.left = hm_buf_bytes(&frame)};
    struct hm_frame got;

    assert_true(hm_frame_read(&r, &got));
    assert_int_equal(got.type, type);
    assert_int_equal(r.left.len, 0);
    return got.payload;
}

static int write(struct hm_dictionary dictionary)
{
    hm_buf_clear(&frame);
    return hm_feed_write(&frame, HM_FRAME_FEED, &head, hm_buf_bytes(&states),
                         dictionary);
}

static struct hm_feed written(struct hm_dictionary dictionary)
{
    struct hm_feed feed;

    CHECK_OK(write(dictionary));
    CHECK_OK(hm_feed_read(payload(HM_FRAME_FEED), &feed));
    return feed;
}

/* Unpacks; on error nothing is given out. */
static int unpack(const struct hm_feed *feed, struct hm_dictionary dictionary,
                  struct hm_bytes **out, size_t *out_count)
{
    struct hm_bytes *items = NULL;
    size_t count = 77;
    int err = hm_feed_unpack(feed, dictionary, &arena, &items, &count);

    if (err != HM_OK) {
        assert_true(items == NULL && count == 77);
        return err;
    }
    *out = items;
    *out_count = count;
    return HM_OK;
}

static void check_head(const struct hm_feed *feed)
{
    assert_true(feed->scope == head.scope && feed->timeline == head.timeline);
    assert_true(feed->from == head.from && feed->to == head.to);
    assert_true(feed->salt == head.salt && feed->more == head.more);
    assert_true(hm_hash_equal(&feed->digest, &head.digest));
    assert_true(feed->households == head.households);
}

/* With and without a dictionary, as FEED and as GIVE. */
HM_TEST(comes_back)
{
    static const enum hm_frame_type types[] = {HM_FRAME_FEED, HM_FRAME_GIVE};
    struct hm_dictionary dictionaries[2] = {{0}};

    begin();
    put_items();
    dictionaries[1] = hm_sample_dictionary(&arena, 2, 200, 2048);
    for (int i = 0; i < 4; i++) {
        struct hm_dictionary with = dictionaries[i % 2];
        struct hm_bytes *items = NULL;
        struct hm_feed feed;
        struct hm_buf joined;
        size_t count = 0;

        hm_buf_clear(&frame);
        CHECK_OK(
            hm_feed_write(&frame, types[i / 2], &head, hm_buf_bytes(&states), with));
        CHECK_OK(hm_feed_read(payload(types[i / 2]), &feed));
        check_head(&feed);
        assert_true(feed.dictionary == with.id);
        assert_true(feed.packed.len < states.len);
        CHECK_OK(unpack(&feed, with, &items, &count));
        assert_int_equal(count, 3);
        hm_buf_init(&joined, states.len);
        for (size_t j = 0; j < count; j++) {
            CHECK_OK(hm_guard_check(items[j]));
            hm_buf_append(&joined, items[j]);
        }
        assert_true(hm_bytes_equal(hm_buf_bytes(&joined), hm_buf_bytes(&states)));
        hm_buf_deinit(&joined);
    }
    end();
}

/* Nothing new in the scope: a head alone, which names no dictionary. */
HM_TEST(without_states)
{
    struct hm_dictionary with = {9, BYTES("irrelevant")};
    struct hm_bytes *items = NULL;
    struct hm_feed feed;
    size_t count = 5;

    begin();
    feed = written(with);
    check_head(&feed);
    assert_int_equal(feed.dictionary, 0);
    assert_int_equal(feed.packed.len, 0);
    CHECK_OK(unpack(&feed, HM_DICTIONARY_NONE, &items, &count));
    assert_int_equal(count, 0);
    end();
}

/* A child without the dictionary asks again without: the class of this error is RETRY.
 */
HM_TEST(wrong_dictionary)
{
    struct hm_dictionary with;
    struct hm_dictionary other;
    struct hm_bytes *items = NULL;
    struct hm_feed feed;
    size_t count = 0;
    int err;

    begin();
    put_items();
    with = hm_sample_dictionary(&arena, 2, 200, 2048);
    other = hm_sample_dictionary(&arena, 3, 200, 2048);
    feed = written(with);
    assert_int_equal(unpack(&feed, HM_DICTIONARY_NONE, &items, &count), HM_DICTIONARY);
    assert_int_equal(unpack(&feed, other, &items, &count), HM_DICTIONARY);
    other.id = with.id; /* the right name on the wrong bytes */
    err = unpack(&feed, other, &items, &count);
    assert_true(err != HM_OK || count != 3 ||
                !hm_bytes_equal(items[0], hm_bytes_of(states.data, items[0].len)));
    feed = written(HM_DICTIONARY_NONE);
    assert_int_equal(unpack(&feed, with, &items, &count), HM_DICTIONARY);
    end();
}

/* Compressed, a whole gigabyte is small: what is announced is checked before memory is
 * taken, what unpacks is bounded. */
HM_TEST(bombs)
{
    struct hm_bytes *items = NULL;
    struct hm_feed feed = {0};
    struct hm_buf packed;
    size_t count = 0;

    begin();
    hm_buf_init(&packed, 4 * HM_STATES_BYTES_MAX);
    assert_non_null(hm_buf_reserve(&states, HM_STATES_BYTES_MAX + 1));
    memset(states.data, 0xc0, HM_STATES_BYTES_MAX + 1);
    hm_buf_commit(&states, HM_STATES_BYTES_MAX + 1);
    CHECK_OK(hm_compress(hm_buf_bytes(&states), HM_DICTIONARY_NONE, &packed));
    assert_true(packed.len < 1000);
    feed.packed = hm_buf_bytes(&packed);
    assert_int_equal(unpack(&feed, HM_DICTIONARY_NONE, &items, &count), HM_TOOBIG);
    hm_buf_deinit(&packed);
    end();
}

/* 65,536 items of a byte, and one more. */
HM_TEST(too_many_states)
{
    struct hm_bytes *items = NULL;
    struct hm_feed feed;
    size_t count = 0;

    begin();
    for (size_t i = 0; i < HM_FEED_STATES_MAX; i++) {
        hm_pack_nil(&states);
    }
    feed = written(HM_DICTIONARY_NONE);
    CHECK_OK(unpack(&feed, HM_DICTIONARY_NONE, &items, &count));
    assert_int_equal(count, HM_FEED_STATES_MAX);
    hm_pack_nil(&states);
    feed = written(HM_DICTIONARY_NONE);
    assert_int_equal(unpack(&feed, HM_DICTIONARY_NONE, &items, &count), HM_TOOBIG);
    end();
}

/* Noise doesn't compress: at the limit it still fits into a reply, above it is refused.
 */
HM_TEST(largest_states)
{
    struct hm_rng rng = {5};

    begin();
    for (size_t i = 0; i < HM_STATES_BYTES_MAX / 8; i++) {
        uint64_t noise = hm_rng_next(&rng);

        hm_buf_append_uint(&states, noise, 8);
    }
    CHECK_OK(states.err);
    CHECK_OK(write(HM_DICTIONARY_NONE));
    assert_in_range(frame.len, HM_STATES_BYTES_MAX, HM_REPLY_BYTES_MAX);
    hm_buf_append_u8(&states, 0);
    assert_int_equal(write(HM_DICTIONARY_NONE), HM_TOOBIG);
    assert_int_equal(frame.len, 0);
    end();
}

/* What is inside passes the same guard as everything else. */
HM_TEST(bad_states)
{
    static const struct {
        const char *bytes;
        size_t len;
        int err;
    } cases[] = {{"\x90\x91", 2, HM_TRUNCATED},
                 {"\x90\xdd\xff\xff\xff\xff", 6, HM_TRUNCATED},
                 {"\xc1", 1, HM_MALFORMED},
                 {"\x90\xcc\x05", 3, HM_NONCANONICAL},
                 {"\x91\x91\x91\x91\x91\x91\x91\x91\x90", 9, HM_TOOBIG}};

    begin();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hm_bytes *items = NULL;
        struct hm_feed feed;
        size_t count = 0;

        hm_buf_clear(&states);
        hm_buf_append(&states, hm_bytes_of(cases[i].bytes, cases[i].len));
        feed = written(HM_DICTIONARY_NONE);
        assert_int_equal(unpack(&feed, HM_DICTIONARY_NONE, &items, &count),
                         cases[i].err);
    }
    end();
}

/* What isn't one whole frame of zstd. */
HM_TEST(bad_frames_of_zstd)
{
    struct hm_bytes *items = NULL;
    struct hm_feed whole;
    size_t count = 0;

    begin();
    put_items();
    whole = written(HM_DICTIONARY_NONE);
    for (size_t len = 1; len < whole.packed.len; len++) {
        struct hm_feed cut = whole;
        int err;

        cut.packed.len = len;
        err = unpack(&cut, HM_DICTIONARY_NONE, &items, &count);
        assert_true(err == HM_TRUNCATED || err == HM_MALFORMED);
    }
    whole.packed = BYTES("<html>welcome to the hotel</html>");
    assert_int_equal(unpack(&whole, HM_DICTIONARY_NONE, &items, &count), HM_MALFORMED);
    end();
}

/* The head: cut, of other types, with more and fewer elements, out of range. */
HM_TEST(bad_heads)
{
    static const char good[] = HEAD "\0";
    static const struct {
        const char *bytes;
        size_t len;
        int err;
    } cases[] = {
#define BAD(text, err) {text, sizeof(text) - 1, err}
        BAD("\xc0", HM_MALFORMED),
        BAD("\x98\x11\1\2\3\4\xc3\xc4\x10"
            "abcdefghijklmnop\5",
            HM_MALFORMED),
        BAD("\x9a\x11\1\2\3\4\xc3\xc4\x10"
            "abcdefghijklmnop\5\0\0",
            HM_MALFORMED),
        BAD("\x99\xcf\0\0\0\1\0\0\0\0\1\2\3\4\xc3\xc4\x10"
            "abcdefghijklmnop\5\0",
            HM_MALFORMED),
        BAD("\x99\x11\1\2\3\4\1\xc4\x10"
            "abcdefghijklmnop\5\0",
            HM_MALFORMED),
        BAD("\x99\x11\1\2\3\4\xc3\xc4\x0f"
            "abcdefghijklmno\5\0",
            HM_MALFORMED),
        BAD("\x99\x11\1\2\3\xff\xc3\xc4\x10"
            "abcdefghijklmnop\5\0",
            HM_MALFORMED),
        BAD("\x99\x11\1\xcc\2\3\4\xc3\xc4\x10"
            "abcdefghijklmnop\5\0",
            HM_NONCANONICAL),
#undef BAD
    };
    struct hm_feed feed;
    struct hm_feed before;

    memset(&feed, 0x5a, sizeof feed);
    before = feed;
    for (size_t len = 0; len < sizeof good - 1; len++) {
        assert_int_equal(hm_feed_read(hm_bytes_of(good, len), &feed), HM_TRUNCATED);
    }
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hm_bytes bytes = hm_bytes_of(cases[i].bytes, cases[i].len);

        assert_int_equal(hm_feed_read(bytes, &feed), cases[i].err);
    }
    assert_int_equal(hm_feed_read(hm_bytes_of(NULL, 0), &feed), HM_TRUNCATED);
    assert_memory_equal(&feed, &before, sizeof feed);
    CHECK_OK(hm_feed_read(hm_bytes_of(good, sizeof good - 1), &feed));
    assert_int_equal(feed.scope, 0x11);
    assert_int_equal(feed.households, 5);
}

/* A broken dictionary of our own is an error of the writer, and nothing is written. */
HM_TEST(broken_dictionary)
{
    const struct hm_dictionary broken = {4, BYTES("\x37\xa4\x30\xec\1\2\3\4\5")};

    begin();
    put_items();
    assert_int_equal(write(broken), HM_MALFORMED);
    assert_int_equal(frame.len, 0);
    end();
}

/* Noise is refused, or its head is exactly what would be written. */
HM_TEST(noise_is_refused_or_comes_back)
{
    enum { INPUTS = 200000 };
    struct hm_rng rng = {21};
    size_t taken = 0;

    begin();
    for (size_t i = 0; i < INPUTS; i++) {
        struct hm_feed feed;
        uint64_t edits = hm_rng_below(&rng, 4);
        uint8_t bytes[] = HEAD;

        for (uint64_t j = 0; j < edits; j++) {
            size_t at = (size_t)hm_rng_below(&rng, sizeof bytes);

            bytes[at] ^= (uint8_t)(1U << hm_rng_below(&rng, 8));
        }
        if (hm_feed_read(hm_bytes_of(bytes, sizeof bytes), &feed) == HM_OK &&
            feed.packed.len == 0 && feed.dictionary == 0) {
            taken++;
            hm_buf_clear(&frame);
            CHECK_OK(hm_feed_write(&frame, HM_FRAME_GIVE, &feed, feed.packed,
                                   HM_DICTIONARY_NONE));
            assert_true(hm_bytes_equal(payload(HM_FRAME_GIVE),
                                       hm_bytes_of(bytes, sizeof bytes)));
        }
    }
    assert_true(taken > INPUTS / 20);
    end();
}

/* Write, read, unpack with each allocation failing. */
static void write_and_unpack(void *arg)
{
    static const uint8_t items[] = {0x90, 0x91, 0x05, 0x90};
    struct hm_bytes *out = NULL;
    struct hm_feed feed = head;
    struct hm_arena small;
    struct hm_buf buf;
    size_t count = 0;
    int err;

    (void)arg;
    hm_arena_init(&small, 100000);
    hm_buf_init(&buf, 100000);
    err = hm_feed_write(&buf, HM_FRAME_FEED, &head, hm_bytes_of(items, sizeof items),
                        HM_DICTIONARY_NONE);
    if (err == HM_OK) {
        struct hm_reader r = {.left = hm_buf_bytes(&buf)};
        struct hm_frame got;

        assert_true(hm_frame_read(&r, &got));
        CHECK_OK(hm_feed_read(got.payload, &feed));
        err = hm_feed_unpack(&feed, HM_DICTIONARY_NONE, &small, &out, &count);
        assert_int_equal(count, err == HM_OK ? 3 : 0);
    }
    assert_int_equal(err, hm_fault_happened() ? HM_NOMEM : HM_OK);
    hm_buf_deinit(&buf);
    hm_arena_deinit(&small);
}

HM_TEST(out_of_memory)
{
    assert_true(hm_fault_each(write_and_unpack, NULL) >= 4);
}
