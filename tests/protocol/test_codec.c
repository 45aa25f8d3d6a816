/* What holds for every codec of the protocol: random values come back as they were
 * written, and no other form of the same bytes is taken. */
#include <stdio.h>
#include <string.h>

#include "protocol/guard.h"
#include "protocol/household.h"
#include "protocol/message.h"
#include "protocol/segment.h"
#include "tests/fault/loop.h"
#include "tests/support/build.h"
#include "tests/support/history.h"
#include "tests/support/noncanonical.h"
#include "tests/support/rng.h"

enum { HASHES_MAX = 9, TEXT_BYTES = 64 };

static struct hm_arena arena;

static struct hm_hash random_hash(struct hm_rng *rng)
{
    struct hm_hash out;

    for (size_t i = 0; i < sizeof out.bytes; i++) {
        out.bytes[i] = (uint8_t)hm_rng_next(rng);
    }
    return out;
}

static int64_t random_time(struct hm_rng *rng)
{
    int64_t time = (int64_t)(hm_rng_wide(rng) >> 1);

    return hm_rng_below(rng, 2) == 0 ? time : -time;
}

/* Letters of one to three bytes, some of them; lies in text. */
static struct hm_bytes random_text(struct hm_rng *rng, char text[TEXT_BYTES])
{
    static const char *const letters[] = {"a", "Z", "\n", "đ", "ế", " ", "村"};
    size_t count = (size_t)hm_rng_below(rng, 11);

    text[0] = 0;
    for (size_t i = 0; i < count; i++) {
        strcat(text, letters[hm_rng_below(rng, 7)]);
    }
    return hm_bytes_str(text);
}

/* 8 bytes each, ascending. */
static struct hm_bytes random_prefixes(struct hm_rng *rng, uint8_t out[8 * HASHES_MAX])
{
    size_t count = (size_t)hm_rng_below(rng, HASHES_MAX);

    memset(out, 0, 8 * HASHES_MAX);
    for (size_t i = 0; i < count; i++) {
        out[8 * i] = (uint8_t)(i * 20 + hm_rng_below(rng, 20));
        out[8 * i + 7] = (uint8_t)hm_rng_next(rng);
    }
    return hm_bytes_of(out, 8 * count);
}

/* A frame of random values in buf. */
static void write_random(struct hm_rng *rng, enum hm_frame_type type,
                         struct hm_buf *buf)
{
    static uint64_t dictionaries[HASHES_MAX];
    static uint8_t prefixes[8 * HASHES_MAX];
    static char text[TEXT_BYTES];
    uint64_t a = hm_rng_wide(rng);
    uint64_t b = hm_rng_wide(rng);
    uint64_t c = 1 + (hm_rng_wide(rng) >> 1);
    size_t count = (size_t)hm_rng_below(rng, HASHES_MAX);
    struct hm_hash hash = random_hash(rng);

    random_text(rng, text);
    for (size_t i = 0; i < HASHES_MAX; i++) {
        dictionaries[i] = 1 + (hm_rng_wide(rng) >> 1);
    }
    if (type == HM_FRAME_HELLO) {
        struct hm_hello hello = {
            1 + a % 9,          1 + a % 9 + b % 5, c,    random_time(rng), b,
            hm_bytes_str(text), dictionaries,      count};

        hm_hello_write(buf, &hello);
    } else if (type == HM_FRAME_LOGS) {
        struct hm_log_offer logs[HASHES_MAX];

        for (size_t i = 0; i < count; i++) {
            logs[i] = (struct hm_log_offer){i * 1000 + 1 + a % 1000, b >> i, hash};
        }
        hm_logs_write(buf, logs, count);
    } else if (type == HM_FRAME_CURSOR) {
        struct hm_cursor cursor = {(uint32_t)a, c, b, a, hash};

        hm_cursor_write(buf, &cursor);
    } else if (type == HM_FRAME_HASHES || type == HM_FRAME_NEED) {
        struct hm_hash_list list = {(uint32_t)a, random_prefixes(rng, prefixes)};

        hm_hash_list_write(buf, type, &list);
    } else if (type == HM_FRAME_WANT) {
        struct hm_want want = {.offset = b};

        memcpy(want.hash, hash.bytes, sizeof hash.bytes);
        hm_want_write(buf, &want);
    } else if (type == HM_FRAME_TIME) {
        struct hm_time time = {
            random_time(rng),  random_time(rng), a % 9, HM_LEVEL_HUB + b % 2, c, b,
            hm_bytes_str(text)};

        hm_time_write(buf, &time);
    } else if (type == HM_FRAME_RECEIPT) {
        struct hm_receipt receipt = {c, b, HM_LEVEL_HUB + a % 2};

        hm_receipt_write(buf, &receipt);
    } else if (type == HM_FRAME_QUARANTINED) {
        struct hm_quarantined notice = {
            {c, 1 + (b >> 1)}, -(int64_t)(a % 22), hm_bytes_str(text)};

        hm_quarantined_write(buf, &notice);
    } else {
        struct hm_blob_piece piece = {.offset = a % 1000, .size = 2000};

        piece.bytes = hm_bytes_of(prefixes, 1 + count);
        memcpy(piece.hash, hash.bytes, sizeof hash.bytes);
        hm_blob_piece_write(buf, &piece);
    }
}

/* Read a payload; on success what it says is written to again, when there is one. */
static int read_frame(enum hm_frame_type type, struct hm_bytes payload,
                      struct hm_buf *again)
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
    } u;
    struct hm_log_offer *logs = NULL;
    size_t count = 0;
    int err = HM_INVALID;

    memset(&u, 0, sizeof u);
    if (type == HM_FRAME_HELLO) {
        err = hm_hello_read(payload, &arena, &u.hello);
        if (err == HM_OK && again != NULL) {
            hm_hello_write(again, &u.hello);
        }
    } else if (type == HM_FRAME_LOGS) {
        err = hm_logs_read(payload, &arena, &logs, &count);
        if (err == HM_OK && again != NULL) {
            hm_logs_write(again, logs, count);
        }
    } else if (type == HM_FRAME_CURSOR) {
        err = hm_cursor_read(payload, &u.cursor);
        if (err == HM_OK && again != NULL) {
            hm_cursor_write(again, &u.cursor);
        }
    } else if (type == HM_FRAME_HASHES || type == HM_FRAME_NEED) {
        err = hm_hash_list_read(payload, &u.list);
        if (err == HM_OK && again != NULL) {
            hm_hash_list_write(again, type, &u.list);
        }
    } else if (type == HM_FRAME_WANT) {
        err = hm_want_read(payload, &u.want);
        if (err == HM_OK && again != NULL) {
            hm_want_write(again, &u.want);
        }
    } else if (type == HM_FRAME_TIME) {
        err = hm_time_read(payload, &u.time);
        if (err == HM_OK && again != NULL) {
            hm_time_write(again, &u.time);
        }
    } else if (type == HM_FRAME_RECEIPT) {
        err = hm_receipt_read(payload, &u.receipt);
        if (err == HM_OK && again != NULL) {
            hm_receipt_write(again, &u.receipt);
        }
    } else if (type == HM_FRAME_QUARANTINED) {
        err = hm_quarantined_read(payload, &u.notice);
        if (err == HM_OK && again != NULL) {
            hm_quarantined_write(again, &u.notice);
        }
    } else {
        err = hm_blob_piece_read(payload, &u.piece);
        if (err == HM_OK && again != NULL) {
            hm_blob_piece_write(again, &u.piece);
        }
    }
    return err;
}

static const enum hm_frame_type types[] = {
    HM_FRAME_HELLO, HM_FRAME_LOGS, HM_FRAME_CURSOR,  HM_FRAME_HASHES,
    HM_FRAME_WANT,  HM_FRAME_TIME, HM_FRAME_RECEIPT, HM_FRAME_QUARANTINED,
    HM_FRAME_NEED,  HM_FRAME_BLOB};

enum { TYPES = sizeof types / sizeof types[0] };

static struct hm_bytes payload_of(struct hm_bytes frame)
{
    struct hm_reader r = {.left = frame};
    struct hm_frame got;

    assert_true(hm_frame_read(&r, &got));
    assert_int_equal(r.left.len, 0);
    return got.payload;
}

/* A field that changes its place, its width or its sign on the way is seen. */
HM_TEST(random_frames_come_back)
{
    struct hm_rng rng = {51};
    struct hm_buf made;
    struct hm_buf again;

    hm_buf_init(&made, 1024 * 1024);
    hm_buf_init(&again, 1024 * 1024);
    for (unsigned long i = 0; i < hm_test_rounds(20, 50000, 1000000); i++) {
        enum hm_frame_type type = types[i % TYPES];

        hm_arena_init(&arena, 1024 * 1024);
        hm_buf_clear(&made);
        hm_buf_clear(&again);
        write_random(&rng, type, &made);
        CHECK_OK(made.err);
        CHECK_OK(read_frame(type, payload_of(hm_buf_bytes(&made)), &again));
        assert_true(hm_bytes_equal(hm_buf_bytes(&made), hm_buf_bytes(&again)));
        hm_arena_deinit(&arena);
    }
    hm_buf_deinit(&made);
    hm_buf_deinit(&again);
}

static void expect(int err, int expected, const char *codec, const char *what)
{
    if (err != expected) {
        fail_msg("%s, %s: %s, expected %s", codec, what, hm_err_name(err),
                 hm_err_name(expected));
    }
}

static void check_frame(void *arg, struct hm_bytes bytes, int expected,
                        const char *what)
{
    const enum hm_frame_type *type = arg;
    char name[32];

    (void)snprintf(name, sizeof name, "frame %d", (int)*type);
    expect(read_frame(*type, bytes, NULL), expected, name, what);
}

/* Equal data has equal bytes, or hashes would differ and digests never agree. */
HM_TEST(frames_have_one_form)
{
    struct hm_rng rng = {52};
    struct hm_buf made;
    size_t tried = 0;

    hm_buf_init(&made, 1024 * 1024);
    for (unsigned long i = 0; i < hm_test_rounds(10, 400, 20000); i++) {
        enum hm_frame_type type = types[i % TYPES];
        struct hm_bytes payload;
        struct hm_bytes item;

        hm_arena_init(&arena, 64 * 1024 * 1024);
        hm_buf_clear(&made);
        write_random(&rng, type, &made);
        payload = payload_of(hm_buf_bytes(&made));
        CHECK_OK(hm_guard_first(payload, &item));
        tried += hm_noncanonical_each(
            item, hm_bytes_of(payload.data + item.len, payload.len - item.len),
            check_frame, &type);
        hm_arena_deinit(&arena);
    }
    assert_true(tried > 300);
    hm_buf_deinit(&made);
}

static void check_change(void *arg, struct hm_bytes bytes, int expected,
                         const char *what)
{
    const struct hm_dot *dot = arg;
    struct hm_change change;
    struct hm_arena own;

    if (bytes.len > HM_CHANGE_BYTES_MAX) {
        expected = HM_TOOBIG;
    }
    hm_arena_init(&own, 16 * 1024 * 1024);
    expect(hm_change_decode(bytes, dot, &own, &change), expected, "change", what);
    hm_arena_deinit(&own);
}

/* Bytes from outside pass the guard before the state's own decoder sees them. */
static void check_state(void *arg, struct hm_bytes bytes, int expected,
                        const char *what)
{
    (void)arg;
    expect(hm_guard_check(bytes), expected, "state", what);
}

static void check_birth(void *arg, struct hm_bytes bytes, int expected,
                        const char *what)
{
    struct hm_birth birth;

    (void)arg;
    if (bytes.len > HM_BIRTH_BYTES_MAX) {
        expected = HM_TOOBIG;
    }
    expect(hm_birth_decode(bytes, &birth), expected, "birth", what);
}

HM_TEST(changes_and_states_have_one_form)
{
    struct hm_rng rng = {53};
    size_t tried = 0;

    for (unsigned long round = 0; round < hm_test_rounds(1, 4, 200); round++) {
        struct hm_history history;
        struct hm_household all;

        hm_history_make(&history, &rng, 12);
        hm_history_begin(&history, &all, &history.arena);
        for (size_t i = 0; i < history.count; i++) {
            struct hm_history_entry *entry = &history.entries[i];

            tried += hm_noncanonical_each(entry->bytes, hm_bytes_of(NULL, 0),
                                          check_change, &entry->dot);
            hm_history_apply(entry, &all);
        }
        tried += hm_noncanonical_each(hm_build_state(&history.arena, &all),
                                      hm_bytes_of(NULL, 0), check_state, NULL);
        hm_history_free(&history);
    }
    assert_true(tried > 1000);
}

/* Births of random values come back, and have one form. */
HM_TEST(births_have_one_form)
{
    struct hm_rng rng = {54};
    struct hm_buf made;
    struct hm_buf again;

    hm_buf_init(&made, 4096);
    hm_buf_init(&again, 4096);
    for (unsigned long i = 0; i < hm_test_rounds(2, 200, 20000); i++) {
        char text[TEXT_BYTES];
        struct hm_birth birth = {.device = hm_rng_wide(&rng),
                                 .parent_incarnation = 1 + (hm_rng_wide(&rng) >> 1),
                                 .parent_n = hm_rng_wide(&rng),
                                 .parent_chain = random_hash(&rng),
                                 .wall_ms = random_time(&rng),
                                 .clock_class = HM_CLOCK_CHECKED,
                                 .clock_offset_ms = random_time(&rng)};
        struct hm_birth got;

        birth.version = random_text(&rng, text);
        hm_buf_clear(&made);
        hm_buf_clear(&again);
        hm_birth_encode(&birth, &made);
        CHECK_OK(made.err);
        CHECK_OK(hm_birth_decode(hm_buf_bytes(&made), &got));
        hm_birth_encode(&got, &again);
        assert_true(hm_bytes_equal(hm_buf_bytes(&made), hm_buf_bytes(&again)));
        assert_int_equal(got.parent_n, birth.parent_n);
        assert_int_equal(got.wall_ms, birth.wall_ms);
        (void)hm_noncanonical_each(hm_buf_bytes(&made), hm_bytes_of(NULL, 0),
                                   check_birth, NULL);
    }
    hm_buf_deinit(&made);
    hm_buf_deinit(&again);
}
