/* Frames: written and read again, and every way in which they can be wrong. */
#include "protocol/here.h"
#include "protocol/message.h"

#include "protocol/pack.h"
#include "tests/support/rng.h"
#include "tests/support/test.h"

#define BYTES(text) hm_bytes_of((text), sizeof(text) - 1)
/* The same where only constants may stand. */
#define VALUE(text)                                                                    \
    {                                                                                  \
        (const uint8_t *)(text), sizeof(text) - 1                                      \
    }
#define CHAIN16                                                                        \
    "\xc4\x10"                                                                         \
    "abcdefghijklmnop"
#define HASH32                                                                         \
    "\xc4\x20"                                                                         \
    "abcdefghijklmnopqrstuvwxyz012345"

static struct hm_arena arena;
static struct hm_buf made;  /* by the test, to be read */
static struct hm_buf again; /* what was read, written again */

static void begin(void)
{
    hm_arena_init(&arena, 64 * 1024 * 1024);
    hm_buf_init(&made, 8 * 1024 * 1024);
    hm_buf_init(&again, 8 * 1024 * 1024);
}

static void end(void)
{
    hm_arena_deinit(&arena);
    hm_buf_deinit(&made);
    hm_buf_deinit(&again);
}

/* Reads a payload of a type and, when that goes well, writes it again. What a
 * newer peer says behind the known fields of HELLO and TIME isn't written. */
static int read_and_write(enum hm_frame_type type, struct hm_bytes payload)
{
    union {
        struct hm_hello hello;
        struct hm_cursor cursor;
        struct hm_hash_list list;
        struct hm_want want;
        struct hm_time time;
        struct hm_receipt receipt;
        struct hm_quarantined notice;
        struct hm_blob_piece piece;
        struct hm_here here;
        struct hm_fork fork;
        struct hm_heard heard;
    } u, before;
    struct hm_told_alarm *alarms = NULL;
    struct hm_log_offer *logs = NULL;
    struct hm_at_centre *at_centre = NULL;
    size_t count = 0;
    int err = HM_OK;

    memset(&u, 0x5a, sizeof u);
    before = u;
    hm_buf_clear(&again);
    switch (type) {
#define CASE(TYPE, read, write)                                                        \
    case HM_FRAME_##TYPE:                                                              \
        err = read;                                                                    \
        if (err == HM_OK) {                                                            \
            write;                                                                     \
        }                                                                              \
        break
        CASE(HELLO, hm_hello_read(payload, &arena, &u.hello),
             hm_hello_write(&again, &u.hello));
        CASE(LOGS, hm_logs_read(payload, &arena, &logs, &count),
             hm_logs_write(&again, logs, count));
        CASE(CURSOR, hm_cursor_read(payload, &u.cursor),
             hm_cursor_write(&again, &u.cursor));
        CASE(HASHES, hm_hash_list_read(payload, &u.list),
             hm_hash_list_write(&again, type, &u.list));
        CASE(NEED, hm_hash_list_read(payload, &u.list),
             hm_hash_list_write(&again, type, &u.list));
        CASE(WANT, hm_want_read(payload, &u.want), hm_want_write(&again, &u.want));
        CASE(TIME, hm_time_read(payload, &u.time), hm_time_write(&again, &u.time));
        CASE(RECEIPT, hm_receipt_read(payload, &u.receipt),
             hm_receipt_write(&again, &u.receipt));
        CASE(QUARANTINED, hm_quarantined_read(payload, &u.notice),
             hm_quarantined_write(&again, &u.notice));
        CASE(BLOB, hm_blob_piece_read(payload, &u.piece),
             hm_blob_piece_write(&again, &u.piece));
        CASE(HERE, hm_here_read(payload, &arena, &u.here),
             hm_here_write(&again, &u.here));
        CASE(ALARMS, hm_told_alarms_read(payload, &arena, &alarms, &count),
             hm_told_alarms_write(&again, alarms, count));
        CASE(FORK, hm_fork_read(payload, &u.fork), hm_fork_write(&again, &u.fork));
        CASE(AT_CENTRE, hm_at_centre_read(payload, &arena, &at_centre, &count),
             hm_at_centre_write(&again, at_centre, count));
        CASE(HEARD, hm_heard_read(payload, &u.heard),
             hm_heard_write(&again, type, &u.heard));
        CASE(TOLD, hm_heard_read(payload, &u.heard),
             hm_heard_write(&again, type, &u.heard));
#undef CASE
    case HM_FRAME_SEGMENT:
    case HM_FRAME_GRANT:
    case HM_FRAME_FEED:
    case HM_FRAME_GIVE:
    case HM_FRAME_MORE:
    case HM_FRAME_ITEM:
        fail_msg("no codec here for %d", (int)type);
    }
    if (err != HM_OK) {
        assert_memory_equal(&u, &before, sizeof u); /* unchanged on error */
        assert_true(logs == NULL && at_centre == NULL && count == 0);
    }
    return err;
}

/* One good payload of each type, with the extremes of its fields. */
static const struct sample {
    enum hm_frame_type type;
    struct hm_bytes payload;
    bool open; /* a newer peer may say more behind */
    bool raw;  /* raw bytes follow the item */
} samples[] = {
    {HM_FRAME_HELLO,
     VALUE("\x97\x01\xcf\xff\xff\xff\xff\xff\xff\xff\xff\x0c\xd3\x80\0\0\0\0\0\0\0"
           "\xcd\x20\0\xa5"
           "0.1.0\x93\1\2\xcf\xff\xff\xff\xff\xff\xff\xff\xff"),
     true, false},
    {HM_FRAME_HELLO, VALUE("\x97\1\1\0\0\0\xa0\x90"), true, false},
    {HM_FRAME_LOGS, VALUE("\x90"), false, false},
    {HM_FRAME_LOGS, VALUE("\x92\x93\1\2" CHAIN16 "\x93\3\0" CHAIN16), false, false},
    {HM_FRAME_CURSOR, VALUE("\x95\xce\xff\xff\xff\xff\1\2\3" CHAIN16), false, false},
    {HM_FRAME_HASHES, VALUE("\x11"), false, true},
    {HM_FRAME_HASHES,
     VALUE("\x11"
           "abcdefgh"
           "abcdefgh"
           "abcdefgi"),
     false, true},
    {HM_FRAME_NEED,
     VALUE("\x11"
           "abcdefgh"),
     false, true},
    {HM_FRAME_WANT, VALUE("\x92" HASH32 "\x07"), false, false},
    {HM_FRAME_TIME,
     VALUE("\x97\xff\1\1\2\x0c\3\xa2"
           "ok"),
     true, false},
    {HM_FRAME_RECEIPT, VALUE("\x93\1\2\1"), false, false},
    {HM_FRAME_QUARANTINED,
     VALUE("\x94\1\2\xf3\xa2"
           "no"),
     false, false},
    {HM_FRAME_HERE, VALUE("\x94\xcf\xff\xff\xff\xff\xff\xff\xff\xff\1\0\x90"), false,
     false},
    {HM_FRAME_HERE, VALUE("\x94\7\1\2\x92\x93\1\2\3\x93\4\5\6"), false, false},
    {HM_FRAME_ALARMS, VALUE("\x90"), false, false},
    {HM_FRAME_ALARMS, VALUE("\x92\x94\1\2\xff\3\x94\5\6\7\x08"), false, false},
    {HM_FRAME_FORK, VALUE("\x92\xcf\xff\xff\xff\xff\xff\xff\xff\xff\7"), false, false},
    {HM_FRAME_BLOB, VALUE("\x93" HASH32 "\0\0"), false, true},
    {HM_FRAME_BLOB,
     VALUE("\x93" HASH32 "\2\6"
           "blob"),
     false, true},
    {HM_FRAME_AT_CENTRE,
     VALUE("\x92\x92\x07\x00\x92\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xcf\x7f\xff\xff"
           "\xff\xff"
           "\xff\xff\xff"),
     false, false},
    {HM_FRAME_HEARD, VALUE("\x94\x00\x00\x07\x09"), false, false},
    {HM_FRAME_TOLD,
     VALUE("\x94\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xcf\x7f\xff\xff\xff\xff\xff\xff"
           "\xff\x00\x00"),
     false, false},
};

enum { SAMPLES = sizeof samples / sizeof samples[0] };

static struct hm_bytes payload_of(struct hm_bytes frame, enum hm_frame_type type)
{
    struct hm_reader r = {.left = frame};
    struct hm_frame got;

    assert_true(hm_frame_read(&r, &got));
    assert_int_equal(got.type, type);
    assert_int_equal(r.left.len, 0);
    return got.payload;
}

HM_TEST(comes_back)
{
    begin();
    for (size_t i = 0; i < SAMPLES; i++) {
        CHECK_OK(read_and_write(samples[i].type, samples[i].payload));
        assert_true(hm_bytes_equal(payload_of(hm_buf_bytes(&again), samples[i].type),
                                   samples[i].payload));
    }
    end();
}

/* What is written is what is read, field by field. */
HM_TEST(fields_keep_their_places)
{
    static const uint64_t dictionaries[] = {5, 4, UINT64_MAX};
    const struct hm_hello hello = {1, 2, 3, -4, 5, VALUE("6"), dictionaries, 3};
    const struct hm_time time = {-1, 2, 3, HM_LEVEL_CENTRE, 5, 6, VALUE("7")};
    struct hm_hello got_hello;
    struct hm_time got_time;

    begin();
    hm_hello_write(&made, &hello);
    CHECK_OK(hm_hello_read(payload_of(hm_buf_bytes(&made), HM_FRAME_HELLO), &arena,
                           &got_hello));
    assert_int_equal(got_hello.version_min, 1);
    assert_int_equal(got_hello.version_max, 2);
    assert_int_equal(got_hello.device, 3);
    assert_int_equal(got_hello.wall_ms, -4);
    assert_int_equal(got_hello.reply_bytes, 5);
    assert_true(hm_bytes_equal(got_hello.program, hello.program));
    assert_int_equal(got_hello.dictionary_count, 3);
    assert_memory_equal(got_hello.dictionaries, dictionaries, sizeof dictionaries);
    hm_buf_clear(&made);
    hm_time_write(&made, &time);
    CHECK_OK(hm_time_read(payload_of(hm_buf_bytes(&made), HM_FRAME_TIME), &got_time));
    assert_int_equal(got_time.received_ms, -1);
    assert_int_equal(got_time.sent_ms, 2);
    assert_int_equal(got_time.version, 3);
    assert_int_equal(got_time.level, HM_LEVEL_CENTRE);
    assert_int_equal(got_time.device, 5);
    assert_int_equal(got_time.retry_after_s, 6);
    assert_true(hm_bytes_equal(got_time.text, time.text));
    end();
}

/* Cut before its last byte, an item is refused at every length; raw bytes behind it are
 * fewer, or refused. */
HM_TEST(truncated_at_each_byte)
{
    begin();
    for (size_t i = 0; i < SAMPLES; i++) {
        for (size_t len = 0; len < samples[i].payload.len; len++) {
            struct hm_bytes cut = hm_bytes_of(samples[i].payload.data, len);
            int err = read_and_write(samples[i].type, cut);

            if (samples[i].raw && err != HM_TRUNCATED) {
                assert_true(err == HM_OK || err == HM_MALFORMED);
                assert_true(
                    err != HM_OK ||
                    hm_bytes_equal(payload_of(hm_buf_bytes(&again), samples[i].type),
                                   cut));
            } else {
                assert_int_equal(err, HM_TRUNCATED);
            }
        }
    }
    end();
}

/* A frame of no bytes has no address either. */
HM_TEST(empty_payloads)
{
    begin();
    for (size_t i = 0; i < SAMPLES; i++) {
        assert_int_equal(read_and_write(samples[i].type, hm_bytes_of(NULL, 0)),
                         HM_TRUNCATED);
    }
    end();
}

/* Elements that other types stand for: each element of each sample in turn. */
HM_TEST(other_types)
{
    static const struct hm_bytes others[] = {
        {(const uint8_t *)"\xc0", 1},
        {(const uint8_t *)"\xc3", 1},
        {(const uint8_t *)"\x81\1\2", 3},
        {(const uint8_t *)"\x93\x91\1\1\2", 5},
        {(const uint8_t *)"\xcb\x40\x35\x80\0\0\0\0\0", 9},
        {(const uint8_t *)"\xc4\1z", 3}};

    begin();
    for (size_t i = 0; i < SAMPLES; i++) {
        struct hm_reader r = {.left = samples[i].payload};
        size_t count = 0;

        if (hm_unpack_peek(&r) == HM_PACK_ARRAY) {
            count = hm_unpack_array(&r, 100);
        }
        for (size_t j = 0; j < count; j++) {
            const uint8_t *at = r.left.data;
            size_t before = (size_t)(at - samples[i].payload.data);

            (void)hm_unpack_raw(&r);
            for (size_t k = 0; k < sizeof others / sizeof others[0]; k++) {
                hm_buf_clear(&made);
                hm_buf_append(&made, hm_bytes_of(samples[i].payload.data, before));
                hm_buf_append(&made, others[k]);
                hm_buf_append(&made, r.left);
                assert_int_equal(read_and_write(samples[i].type, hm_buf_bytes(&made)),
                                 HM_MALFORMED);
            }
        }
        for (size_t k = 0; k < sizeof others / sizeof others[0]; k++) {
            int err = read_and_write(samples[i].type, others[k]);

            assert_int_equal(err, HM_MALFORMED);
        }
    }
    end();
}

/* Bytes behind the item, one element too few, one too many. Only HELLO and TIME may
 * grow: a newer peer may say more there, up to 64 elements. */
HM_TEST(extra_and_missing_elements)
{
    begin();
    for (size_t i = 0; i < SAMPLES; i++) {
        const struct sample *s = &samples[i];
        int err;

        hm_buf_clear(&made);
        hm_buf_append(&made, s->payload);
        hm_buf_append_u8(&made, 0);
        err = read_and_write(s->type, hm_buf_bytes(&made));
        if (!s->raw) {
            assert_int_equal(err, HM_MALFORMED);
        }
        if ((s->payload.data[0] & 0xf0) != 0x90) {
            continue;
        }
        hm_buf_clear(&made);
        hm_buf_append(&made, s->payload);
        made.data[0]++;
        hm_buf_append(&made, BYTES("\x81\1\xa3new"));
        err = read_and_write(s->type, hm_buf_bytes(&made));
        assert_int_equal(err, s->open ? HM_OK : HM_MALFORMED);
        if (s->payload.data[0] > 0x90 && s->type != HM_FRAME_LOGS) {
            hm_buf_clear(&made);
            hm_buf_append(&made, s->payload);
            made.data[0]--;
            assert_true(read_and_write(s->type, hm_buf_bytes(&made)) < 0);
        }
    }
    end();
}

HM_TEST(elements_up_to_64)
{
    begin();
    for (size_t count = 64; count <= 65; count++) {
        hm_buf_clear(&made);
        hm_buf_append(&made, BYTES("\xdc\0"));
        hm_buf_append_u8(&made, (uint8_t)count);
        hm_buf_append(&made, BYTES("\1\1\0\0\0\xa0\x90"));
        for (size_t i = 7; i < count; i++) {
            hm_pack_nil(&made);
        }
        assert_int_equal(read_and_write(HM_FRAME_HELLO, hm_buf_bytes(&made)),
                         count == 64 ? HM_OK : HM_TOOBIG);
    }
    end();
}

static int read_counted(enum hm_frame_type type, size_t count)
{
    static uint64_t numbers[HM_MESSAGE_DICTIONARIES_MAX + 1];
    static struct hm_log_offer logs[HM_MESSAGE_LOGS_MAX + 1];
    static char text[HM_MESSAGE_TEXT_MAX + 1];
    struct hm_hello hello = {.dictionaries = numbers, .dictionary_count = count};
    struct hm_time time = {.level = HM_LEVEL_HUB, .text = hm_bytes_of(text, count)};
    struct hm_quarantined notice = {.text = hm_bytes_of(text, count)};

    memset(numbers, 0xff, sizeof numbers);
    memset(logs, 0xff, sizeof logs);
    memset(text, 'x', sizeof text);
    hm_buf_clear(&made);
    if (type == HM_FRAME_HELLO) {
        hm_hello_write(&made, &hello);
    } else if (type == HM_FRAME_LOGS) {
        hm_logs_write(&made, logs, count);
    } else if (type == HM_FRAME_TIME) {
        hm_time_write(&made, &time);
    } else {
        hm_quarantined_write(&made, &notice);
    }
    CHECK_OK(made.err);
    return read_and_write(type, payload_of(hm_buf_bytes(&made), type));
}

/* At each limit, and one above. */
HM_TEST(oversize)
{
    static const struct {
        enum hm_frame_type type;
        size_t max;
    } limits[] = {{HM_FRAME_HELLO, HM_MESSAGE_DICTIONARIES_MAX},
                  {HM_FRAME_LOGS, HM_MESSAGE_LOGS_MAX},
                  {HM_FRAME_TIME, HM_MESSAGE_TEXT_MAX},
                  {HM_FRAME_QUARANTINED, HM_MESSAGE_TEXT_MAX}};

    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        for (size_t more = 0; more < 2; more++) {
            begin();
            assert_int_equal(read_counted(limits[i].type, limits[i].max + more),
                             more == 0 ? HM_OK : HM_TOOBIG);
            end();
        }
    }
}

/* ---- frames ---------------------------------------------------------------------- */

/* Reads all frames; returns how many, *out_err how it ended. */
static size_t count_frames(struct hm_bytes bytes, int *out_err)
{
    struct hm_reader r = {.left = bytes};
    struct hm_frame frame;
    size_t count = 0;

    while (hm_frame_read(&r, &frame)) {
        count++;
    }
    assert_false(hm_frame_read(&r, &frame)); /* the end stays the end */
    *out_err = r.err;
    return count;
}

/* Types that nobody knows are frames like others: their reader passes over them. */
HM_TEST(frames_of_all_types_and_lengths)
{
    static const size_t lengths[] = {0,     1,     127,     128,    129,
                                     16383, 16384, 2097151, 2097152};
    static const uint8_t zeros[2097152];

    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        for (unsigned type = 0; type<256; type += lengths[i]> 1000 ? 85 : 1) {
            struct hm_frame frame = {0};
            struct hm_reader r;

            begin();
            hm_frame_write(&made, (enum hm_frame_type)type,
                           hm_bytes_of(zeros, lengths[i]));
            hm_frame_write(&made, HM_FRAME_MORE, hm_bytes_of(NULL, 0));
            CHECK_OK(made.err);
            r = (struct hm_reader){.left = hm_buf_bytes(&made)};
            assert_true(hm_frame_read(&r, &frame));
            assert_int_equal(frame.type, type);
            assert_int_equal(frame.payload.len, lengths[i]);
            assert_true(hm_frame_read(&r, &frame));
            assert_int_equal(frame.type, HM_FRAME_MORE);
            assert_int_equal(frame.payload.len, 0);
            assert_false(hm_frame_read(&r, &frame));
            CHECK_OK(r.err);
            end();
        }
    }
}

/* One length has one form, of at most 4 bytes; nothing is taken by a length that is not
 * there. */
HM_TEST(frame_lengths)
{
    static const struct {
        struct hm_bytes bytes;
        size_t count;
        int err;
    } cases[] = {
        {VALUE(""), 0, HM_OK},
        {VALUE("\1"), 0, HM_TRUNCATED},
        {VALUE("\1\x80"), 0, HM_TRUNCATED},
        {VALUE("\1\x80\x80\x80"), 0, HM_TRUNCATED},
        {VALUE("\1\0\2\1"), 1, HM_TRUNCATED},
        {VALUE("\1\1x\2\0"), 2, HM_OK},
        {VALUE("\1\x81\0x"), 0, HM_NONCANONICAL},
        {VALUE("\1\x80\0"), 0, HM_NONCANONICAL},
        {VALUE("\1\xff\xff\0"), 0, HM_NONCANONICAL},
        {VALUE("\1\x80\x80\x80\0"), 0, HM_NONCANONICAL},
        {VALUE("\1\x80\x80\x80\x80"), 0, HM_NONCANONICAL},
        {VALUE("\1\x80\x80\x80\x80\1"), 0, HM_NONCANONICAL},
        {VALUE("\1\xff\xff\xff\xff\xff\xff\xff\xff\xff\1"), 0, HM_NONCANONICAL},
        {VALUE("\1\xff\xff\xff\x7f"), 0, HM_TRUNCATED},
        {VALUE("\1\0\1\x80\0\1\0"), 1, HM_NONCANONICAL},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int err = HM_OK;

        assert_int_equal(count_frames(cases[i].bytes, &err), cases[i].count);
        assert_int_equal(err, cases[i].err);
    }
}

/* A length that no reader takes is not written. */
HM_TEST(frame_too_long_to_write)
{
    static const uint8_t byte;

    begin();
    hm_frame_write(&made, HM_FRAME_SEGMENT, hm_bytes_of(&byte, 1U << 28));
    assert_int_equal(made.err, HM_TOOBIG);
    assert_int_equal(made.len, 0);
    end();
}

/* ---- single fields --------------------------------------------------------------- */

HM_TEST(values_out_of_range)
{
    static const struct {
        enum hm_frame_type type;
        struct hm_bytes payload;
        int err;
    } cases[] = {
        {HM_FRAME_CURSOR, VALUE("\x95\xcf\0\0\0\1\0\0\0\0\1\2\3" CHAIN16),
         HM_MALFORMED},
        {HM_FRAME_CURSOR, VALUE("\x95\xff\1\2\3" CHAIN16), HM_MALFORMED},
        {HM_FRAME_CURSOR, VALUE("\x95\1\1\2\3" HASH32), HM_MALFORMED},
        {HM_FRAME_RECEIPT, VALUE("\x93\1\2\0"), HM_MALFORMED},
        {HM_FRAME_RECEIPT, VALUE("\x93\1\2\3"), HM_MALFORMED},
        {HM_FRAME_TIME, VALUE("\x97\1\1\1\3\1\1\xa0"), HM_MALFORMED},
        {HM_FRAME_TIME, VALUE("\x97\xcf\x80\0\0\0\0\0\0\0\1\1\1\1\1\xa0"),
         HM_MALFORMED},
        {HM_FRAME_TIME, VALUE("\x97\1\1\1\1\1\1\xa1\x07"), HM_MALFORMED},
        {HM_FRAME_QUARANTINED, VALUE("\x94\1\2\xd1\xff\xff\xa0"), HM_NONCANONICAL},
        {HM_FRAME_BLOB, VALUE("\x93" HASH32 "\7\6"), HM_MALFORMED},
        {HM_FRAME_BLOB,
         VALUE("\x93" HASH32 "\2\3"
               "ab"),
         HM_MALFORMED},
        {HM_FRAME_BLOB,
         VALUE("\x93" HASH32 "\0\0"
               "a"),
         HM_MALFORMED},
        {HM_FRAME_BLOB,
         VALUE("\x93" HASH32 "\xcf\xff\xff\xff\xff\xff\xff\xff\xff"
               "\xcf\xff\xff\xff\xff\xff\xff\xff\xff"
               "a"),
         HM_MALFORMED},
        {HM_FRAME_HASHES,
         VALUE("\x11"
               "abcdefgi"
               "abcdefgh"),
         HM_NONCANONICAL},
        {HM_FRAME_HASHES,
         VALUE("\x11"
               "\xff"
               "bcdefgh"
               "abcdefgh"),
         HM_NONCANONICAL},
        {HM_FRAME_HASHES,
         VALUE("\x11"
               "abcdefg"),
         HM_MALFORMED},
        {HM_FRAME_NEED,
         VALUE("\x11"
               "abcdefgha"),
         HM_MALFORMED},
        {HM_FRAME_NEED,
         VALUE("\x11"
               "abcdefgi"
               "abcdefgj"
               "abcdefgh"),
         HM_NONCANONICAL},
        {HM_FRAME_LOGS, VALUE("\x91\x92\1\2"), HM_MALFORMED},
        {HM_FRAME_LOGS, VALUE("\xdd\xff\xff\xff\xff"), HM_TRUNCATED},
        {HM_FRAME_HELLO, VALUE("\x97\1\1\0\0\0\xa0\xdd\xff\xff\xff\xff"), HM_TRUNCATED},
    };

    begin();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(read_and_write(cases[i].type, cases[i].payload), cases[i].err);
    }
    end();
}

HM_TEST(no_memory)
{
    begin();
    hm_arena_deinit(&arena);
    hm_arena_init(&arena, 1);
    assert_int_equal(read_and_write(HM_FRAME_HELLO, samples[0].payload), HM_NOMEM);
    assert_int_equal(read_and_write(HM_FRAME_LOGS, samples[3].payload), HM_NOMEM);
    end();
}

/* ---- what nobody has thought of -------------------------------------------------- */

/* A sample with some of its bytes changed, cut, or doubled; or noise. */
static void make_noise(struct hm_rng *rng, const struct sample *s)
{
    uint64_t edits = hm_rng_below(rng, 4);

    hm_buf_clear(&made);
    if (hm_rng_below(rng, 4) == 0) {
        uint64_t len = hm_rng_below(rng, 40);

        for (uint64_t i = 0; i < len; i++) {
            hm_buf_append_u8(&made, (uint8_t)hm_rng_next(rng));
        }
        return;
    }
    hm_buf_append(&made, s->payload);
    assert_int_equal(made.err, HM_OK);
    for (uint64_t i = 0; i < edits; i++) {
        size_t at = (size_t)hm_rng_below(rng, made.len);

        if (hm_rng_below(rng, 2) == 0) {
            made.data[at] = (uint8_t)hm_rng_next(rng);
        } else {
            made.data[at] ^= (uint8_t)(1U << hm_rng_below(rng, 8));
        }
    }
    if (hm_rng_below(rng, 4) == 0) {
        made.len -= (size_t)hm_rng_below(rng, made.len);
    }
}

/* Whatever arrives is refused, or it is exactly what would be written: no two payloads
 * mean the same. */
HM_TEST(noise_is_refused_or_comes_back)
{
    enum { INPUTS = 200000 };
    struct hm_rng rng = {11};
    size_t taken = 0;

    begin();
    for (size_t i = 0; i < INPUTS; i++) {
        const struct sample *s = &samples[hm_rng_below(&rng, SAMPLES)];
        struct hm_bytes payload;
        int err;

        make_noise(&rng, s);
        payload = hm_buf_bytes(&made);
        err = read_and_write(s->type, payload);
        assert_true(err == HM_OK || err == HM_TRUNCATED || err == HM_MALFORMED ||
                    err == HM_NONCANONICAL || err == HM_TOOBIG);
        if (err == HM_OK) {
            taken++;
            CHECK_OK(again.err);
            if (!s->open || payload.data[0] == 0x97) {
                assert_true(
                    hm_bytes_equal(payload_of(hm_buf_bytes(&again), s->type), payload));
            }
        }
        hm_arena_deinit(&arena);
    }
    assert_true(taken > INPUTS / 20); /* it is not all noise */
    end();
}

HM_TEST(noise_of_frames)
{
    enum { INPUTS = 200000 };
    struct hm_rng rng = {12};

    begin();
    for (size_t i = 0; i < INPUTS; i++) {
        uint64_t len = hm_rng_below(&rng, 24);
        struct hm_frame frame;
        struct hm_reader r;

        hm_buf_clear(&made);
        hm_buf_clear(&again);
        for (uint64_t j = 0; j < len; j++) {
            uint64_t byte = hm_rng_next(&rng);

            hm_buf_append_u8(&made, (uint8_t)(byte & (byte >> 8) & 0x87));
        }
        r = (struct hm_reader){.left = hm_buf_bytes(&made)};
        while (hm_frame_read(&r, &frame)) {
            hm_frame_write(&again, (enum hm_frame_type)frame.type, frame.payload);
        }
        assert_true(again.len <= made.len);
        assert_true(again.len == 0 || memcmp(again.data, made.data, again.len) == 0);
        assert_true(r.err != HM_OK || again.len == made.len);
    }
    end();
}
