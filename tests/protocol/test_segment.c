#include "protocol/segment.h"

#include "protocol/pack.h"
#include "tests/support/fault.h"
#include "tests/support/sample.h"
#include "tests/support/test.h"

#define BYTES(text) hm_bytes_of((text), sizeof(text) - 1)

enum { ENTRIES = 6, ARENA_BYTES = 64 * 1024 * 1024 };

static struct hm_arena arena;
static struct hm_sample_keys keys;
static struct hm_bytes entries[ENTRIES]; /* a birth and some changes */
static struct hm_buf sealed;

static void begin(void)
{
    size_t members;

    hm_arena_init(&arena, ARENA_BYTES);
    hm_buf_init(&sealed, 1024 * 1024);
    keys = hm_sample_keys();
    entries[0] = hm_sample_birth_bytes(&arena);
    for (size_t i = 1; i < ENTRIES; i++) {
        entries[i] = hm_sample_register(
            &arena, 1, i, (struct hm_dot){HM_SAMPLE_INCARNATION, i}, &members);
    }
}

static void end(void)
{
    hm_buf_deinit(&sealed);
    hm_arena_deinit(&arena);
}

static struct hm_hash chain_behind(size_t count)
{
    struct hm_hash chain = HM_CHAIN_START;

    for (size_t i = 0; i < count; i++) {
        chain = hm_chain_next(&chain, entries[i]);
    }
    return chain;
}

/* Seals entries first .. ENTRIES - 1. */
static void seal(size_t first, struct hm_dictionary dictionary)
{
    struct hm_segment_seal what = hm_sample_seal(&keys, first, chain_behind(first),
                                                 entries + first, ENTRIES - first);

    what.dictionary = dictionary;
    CHECK_OK(hm_segment_seal(&what, &sealed));
}

static int receive(struct hm_bytes bytes, struct hm_dictionary dictionary,
                   struct hm_arena *to, struct hm_segment *segment,
                   const struct hm_bytes **out)
{
    int err = hm_segment_open(bytes, segment);

    if (err == HM_OK) {
        err = hm_segment_verify(segment, keys.public_key);
    }
    if (err == HM_OK) {
        err = hm_segment_unpack(segment, dictionary, to, out);
    }
    return err;
}

static void check_entries(const struct hm_segment *segment, size_t first,
                          const struct hm_bytes *got)
{
    assert_int_equal(segment->count, ENTRIES - first);
    assert_int_equal(segment->first_n, first);
    for (size_t i = 0; i < segment->count; i++) {
        assert_true(hm_bytes_equal(got[i], entries[first + i]));
    }
}

HM_TEST(comes_back)
{
    struct hm_dictionary dictionaries[2] = {{0}};
    struct hm_segment segment;
    const struct hm_bytes *got = NULL;

    begin();
    dictionaries[1] = hm_sample_dictionary(&arena, 2, 200, 2048);
    for (size_t first = 0; first < 3; first++) {
        for (int with = 0; with < 2; with++) {
            struct hm_hash before = chain_behind(first);
            struct hm_hash behind = chain_behind(ENTRIES);

            hm_buf_clear(&sealed);
            seal(first, dictionaries[with]);
            CHECK_OK(receive(hm_buf_bytes(&sealed), dictionaries[with], &arena,
                             &segment, &got));
            check_entries(&segment, first, got);
            assert_int_equal(segment.incarnation, HM_SAMPLE_INCARNATION);
            assert_int_equal(segment.device, HM_SAMPLE_DEVICE);
            assert_true(segment.dictionary == dictionaries[with].id);
            assert_true(hm_hash_equal(&segment.prev_chain, &before));
            assert_true(hm_hash_equal(&segment.chain, &behind));
        }
    }
    end();
}

/* The same log cut in other places ends in the same chain: receivers compare that, and
 * a caller sees a segment that does not follow what it holds by its prev_chain. */
HM_TEST(other_bounds_same_chain)
{
    struct hm_segment a;
    struct hm_segment b;
    struct hm_segment_seal what;

    begin();
    seal(0, HM_DICTIONARY_NONE);
    CHECK_OK(hm_segment_open(hm_buf_bytes(&sealed), &a));
    a.header = hm_bytes_of(NULL, 0);
    hm_buf_clear(&sealed);
    seal(4, HM_DICTIONARY_NONE);
    CHECK_OK(hm_segment_open(hm_buf_bytes(&sealed), &b));
    assert_true(hm_hash_equal(&a.chain, &b.chain));
    hm_buf_clear(&sealed);
    what = hm_sample_seal(&keys, 4, chain_behind(3), entries + 4, 2); /* a fork */
    CHECK_OK(hm_segment_seal(&what, &sealed));
    CHECK_OK(hm_segment_open(hm_buf_bytes(&sealed), &b));
    assert_false(hm_hash_equal(&a.chain, &b.chain));
    end();
}

/* A flipped bit is refused, but for one in the compressed body that unpacks to the very
 * same entries (zstd can say one thing in two ways): what the signature covers is the
 * entries' chain. */
HM_TEST(every_flipped_bit)
{
    struct hm_segment segment;
    size_t same = 0;

    begin();
    seal(0, HM_DICTIONARY_NONE);
    for (size_t bit = 0; bit < 8 * sealed.len; bit++) {
        const struct hm_bytes *got = NULL;
        struct hm_arena one;

        hm_arena_init(&one, ARENA_BYTES);
        sealed.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
        if (receive(hm_buf_bytes(&sealed), HM_DICTIONARY_NONE, &one, &segment, &got) ==
            HM_OK) {
            assert_in_range(bit / 8, (size_t)(segment.body.data - sealed.data),
                            sealed.len - HM_HASH_BYTES - HM_SIGNATURE_BYTES - 1);
            check_entries(&segment, 0, got);
            same++;
        } else {
            assert_null(got);
        }
        sealed.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
        hm_arena_deinit(&one);
    }
    assert_true(same < sealed.len / 10);
    end();
}

HM_TEST(cut_at_each_length)
{
    struct hm_segment segment;
    const struct hm_bytes *got = NULL;

    begin();
    seal(0, HM_DICTIONARY_NONE);
    for (size_t len = 0; len < sealed.len; len++) {
        assert_int_not_equal(receive(hm_bytes_of(sealed.data, len), HM_DICTIONARY_NONE,
                                     &arena, &segment, &got),
                             HM_OK);
    }
    hm_buf_append_u8(&sealed, 0);
    assert_int_not_equal(
        receive(hm_buf_bytes(&sealed), HM_DICTIONARY_NONE, &arena, &segment, &got),
        HM_OK);
    assert_null(got);
    end();
}

HM_TEST(wrong_key)
{
    struct hm_segment segment;

    begin();
    seal(0, HM_DICTIONARY_NONE);
    CHECK_OK(hm_segment_open(hm_buf_bytes(&sealed), &segment));
    CHECK_OK(hm_segment_verify(&segment, keys.public_key));
    keys.public_key[3] ^= 1;
    assert_int_equal(hm_segment_verify(&segment, keys.public_key), HM_SIGNATURE);
    memset(keys.public_key, 0, sizeof keys.public_key); /* a point of low order */
    assert_int_equal(hm_segment_verify(&segment, keys.public_key), HM_SIGNATURE);
    end();
}

HM_TEST(wrong_dictionary)
{
    struct hm_dictionary right;
    struct hm_dictionary other;
    struct hm_segment segment;
    const struct hm_bytes *got = NULL;

    begin();
    right = hm_sample_dictionary(&arena, 2, 200, 2048);
    other = hm_sample_dictionary(&arena, 3, 200, 2048);
    seal(0, right);
    CHECK_OK(hm_segment_open(hm_buf_bytes(&sealed), &segment));
    CHECK_OK(hm_segment_verify(&segment, keys.public_key));
    assert_int_equal(hm_segment_unpack(&segment, HM_DICTIONARY_NONE, &arena, &got),
                     HM_DICTIONARY);
    assert_int_equal(hm_segment_unpack(&segment, other, &arena, &got), HM_DICTIONARY);
    /* Other bytes under the right name: the chain tells. */
    other.id = right.id;
    assert_int_not_equal(hm_segment_unpack(&segment, other, &arena, &got), HM_OK);
    assert_null(got);
    CHECK_OK(hm_segment_unpack(&segment, right, &arena, &got));
    end();
}

/* Signed by the right key, and yet not entries that lead from chain to chain. */
HM_TEST(entries_that_are_not_the_chain)
{
    struct hm_segment segment;
    const struct hm_bytes *got = NULL;

    begin();
    seal(0, HM_DICTIONARY_NONE);
    CHECK_OK(hm_segment_open(hm_buf_bytes(&sealed), &segment));
    segment.prev_chain.bytes[0] ^= 1;
    assert_int_equal(hm_segment_unpack(&segment, HM_DICTIONARY_NONE, &arena, &got),
                     HM_CHAIN);
    segment.prev_chain.bytes[0] ^= 1;
    segment.count--; /* one is left over */
    assert_int_equal(hm_segment_unpack(&segment, HM_DICTIONARY_NONE, &arena, &got),
                     HM_MALFORMED);
    segment.count += 2; /* one is missing */
    assert_int_equal(hm_segment_unpack(&segment, HM_DICTIONARY_NONE, &arena, &got),
                     HM_TRUNCATED);
    assert_null(got);
    end();
}

/* A body that a peer made, with the header of a true one. */
static int unpack_body(const struct hm_buf *body)
{
    struct hm_segment segment;
    const struct hm_bytes *got = NULL;
    int err;

    CHECK_OK(hm_segment_open(hm_buf_bytes(&sealed), &segment));
    segment.body = hm_buf_bytes(body);
    err = hm_segment_unpack(&segment, HM_DICTIONARY_NONE, &arena, &got);
    assert_int_equal(got != NULL, err == HM_OK);
    return err;
}

HM_TEST(hostile_bodies)
{
    static uint8_t zeros[HM_SEGMENT_BODY_BYTES_MAX + 1];
    struct hm_buf body;

    begin();
    seal(0, HM_DICTIONARY_NONE);
    hm_buf_init(&body, 1024 * 1024);
    CHECK_OK(hm_compress(hm_bytes_of(zeros, sizeof zeros), HM_DICTIONARY_NONE, &body));
    assert_int_equal(unpack_body(&body), HM_TOOBIG);
    hm_buf_clear(&body);
    CHECK_OK(hm_compress(BYTES("\xdd\xff\xff\xff\xff"), HM_DICTIONARY_NONE, &body));
    assert_int_equal(unpack_body(&body), HM_TRUNCATED);
    hm_buf_clear(&body);
    CHECK_OK(hm_compress(BYTES("\xcc\x01"), HM_DICTIONARY_NONE, &body));
    assert_int_equal(unpack_body(&body), HM_NONCANONICAL);
    hm_buf_clear(&body);
    assert_int_equal(unpack_body(&body), HM_MALFORMED);
    hm_buf_deinit(&body);
    end();
}

/* Version 1, incarnation 2, device 3, n 4, one entry, no dictionary, chain, and a tail
 * of zeros. */
#define CHAIN16                                                                        \
    "\xc4\x10"                                                                         \
    "abcdefghijklmnop"
static int open(const char *head, size_t len, size_t tail)
{
    uint8_t bytes[300] = {0};
    struct hm_segment segment = {.device = 99};
    int err;

    memcpy(bytes, head, len);
    err = hm_segment_open(hm_bytes_of(bytes, len + tail), &segment);
    assert_int_equal(segment.device == 99, err != HM_OK);
    return err;
}
#define OPEN(head, tail) open((head), sizeof(head) - 1, (tail))

HM_TEST(headers)
{
    CHECK_OK(OPEN("\x97\1\2\3\4\1\0" CHAIN16, 80));
    assert_int_equal(OPEN("\x97\1\2\3\4\1\0" CHAIN16, 79), HM_TRUNCATED);
    assert_int_equal(OPEN("\x97\2\2\3\4\1\0" CHAIN16, 80), HM_VERSION);
    assert_int_equal(OPEN("\x96\1\2\3\4\1\0", 80), HM_MALFORMED);
    assert_int_equal(OPEN("\x97\1\2\3\4\0\0" CHAIN16, 80), HM_MALFORMED);
    assert_int_equal(OPEN("\x97\1\2\3\4\xcd\1\1\0" CHAIN16, 80), HM_MALFORMED);
    CHECK_OK(OPEN("\x97\1\2\3\4\xcd\1\0\0" CHAIN16, 80));
    assert_int_equal(OPEN("\x97\1\2\3\4\1\0\xc4\x0f"
                          "abcdefghijklmno",
                          80),
                     HM_MALFORMED);
    /* n may not run over its end, and nothing comes before a birth. */
    assert_int_equal(
        OPEN("\x97\1\2\3\xcf\xff\xff\xff\xff\xff\xff\xff\xff\1\0" CHAIN16, 80),
        HM_MALFORMED);
    assert_int_equal(OPEN("\x97\1\2\3\0\1\0" CHAIN16, 80), HM_MALFORMED);
    CHECK_OK(OPEN("\x97\1\2\3\0\1\0\xc4\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 80));
}

HM_TEST(limits_of_sealing)
{
    static struct hm_bytes many[HM_SEGMENT_ENTRIES_MAX + 1];
    static uint8_t zeros[HM_SEGMENT_BODY_BYTES_MAX + 1];
    struct hm_segment_seal what;
    struct hm_segment segment;

    begin();
    for (size_t i = 0; i <= HM_SEGMENT_ENTRIES_MAX; i++) {
        many[i] = BYTES("\xc0");
    }
    hm_buf_append_str(&sealed, "before");
    what = hm_sample_seal(&keys, 1, HM_CHAIN_START, many, HM_SEGMENT_ENTRIES_MAX + 1);
    assert_int_equal(hm_segment_seal(&what, &sealed), HM_TOOBIG);
    many[0] = hm_bytes_of(zeros, sizeof zeros);
    what.count = 1;
    assert_int_equal(hm_segment_seal(&what, &sealed), HM_TOOBIG);
    assert_int_equal(sealed.len, 6);
    assert_memory_equal(sealed.data, "before", 6);
    /* The largest that can be sealed can be opened. */
    for (size_t i = 0; i < HM_SEGMENT_BODY_BYTES_MAX; i++) {
        struct hm_hash noise = hm_hash_of(hm_bytes_of(&i, sizeof i), BYTES("noise"));

        zeros[i] = noise.bytes[0];
    }
    many[0] = hm_bytes_of(zeros, HM_SEGMENT_BODY_BYTES_MAX);
    hm_buf_clear(&sealed);
    sealed.len = 0;
    CHECK_OK(hm_segment_seal(&what, &sealed));
    CHECK_OK(hm_segment_open(hm_buf_bytes(&sealed), &segment));
    end();
}

HM_TEST(birth_comes_back)
{
    struct hm_birth birth = hm_sample_birth();
    struct hm_birth back = {0};

    begin();
    CHECK_OK(hm_birth_decode(entries[0], &back));
    assert_int_equal(back.device, birth.device);
    assert_true(back.parent_incarnation == birth.parent_incarnation);
    assert_int_equal(back.parent_n, birth.parent_n);
    assert_true(hm_hash_equal(&back.parent_chain, &birth.parent_chain));
    assert_memory_equal(back.boot_id, birth.boot_id, HM_BOOT_ID_BYTES);
    assert_true(back.wall_ms == birth.wall_ms);
    assert_int_equal(back.clock_class, birth.clock_class);
    assert_int_equal(back.clock_offset_ms, birth.clock_offset_ms);
    assert_true(hm_bytes_equal(back.version, birth.version));
    end();
}

HM_TEST(every_mutation_of_a_birth)
{
    begin();
    for (size_t i = 0; i < entries[0].len; i++) {
        uint8_t *byte = (uint8_t *)(uintptr_t)entries[0].data + i;
        uint8_t was = *byte;

        for (unsigned value = 0; value < 256; value++) {
            struct hm_birth birth;

            *byte = (uint8_t)value;
            if (hm_birth_decode(entries[0], &birth) == HM_OK) {
                hm_buf_clear(&sealed);
                hm_birth_encode(&birth, &sealed);
                assert_true(hm_bytes_equal(hm_buf_bytes(&sealed), entries[0]));
            }
        }
        *byte = was;
    }
    end();
}

HM_TEST(births_that_are_none)
{
    struct hm_birth birth = {.device = 77};

    begin();
    for (size_t len = 0; len < entries[0].len; len++) {
        assert_int_not_equal(hm_birth_decode(hm_bytes_of(entries[0].data, len), &birth),
                             HM_OK);
    }
    *(uint8_t *)(uintptr_t)(entries[0].data + 1) = 2;
    assert_int_equal(hm_birth_decode(entries[0], &birth), HM_VERSION);
    assert_int_equal(hm_birth_decode(entries[1], &birth), HM_TOOBIG);
    assert_int_equal(birth.device, 77);
    end();
}

static void seal_and_unpack(void *arg)
{
    struct hm_segment_seal what =
        hm_sample_seal(&keys, 0, HM_CHAIN_START, entries, ENTRIES);
    const struct hm_bytes *got = NULL;
    struct hm_segment segment;
    struct hm_arena one;
    struct hm_buf out;
    int err;

    what.dictionary = *(const struct hm_dictionary *)arg;
    hm_arena_init(&one, ARENA_BYTES);
    hm_buf_init(&out, 100000);
    err = hm_segment_seal(&what, &out);
    if (err == HM_OK) {
        err = receive(hm_buf_bytes(&out), what.dictionary, &one, &segment, &got);
    } else {
        assert_int_equal(out.len, 0);
    }
    assert_int_equal(got != NULL, err == HM_OK);
    assert_int_equal(err, hm_fault_happened() ? HM_NOMEM : HM_OK);
    hm_buf_deinit(&out);
    hm_arena_deinit(&one);
}

HM_TEST(out_of_memory)
{
    struct hm_dictionary dictionary;

    begin();
    dictionary = hm_sample_dictionary(&arena, 2, 200, 2048);
    assert_true(hm_fault_each(seal_and_unpack, &dictionary) >= 5);
    end();
}

enum { BATCH = 30, MEMBERS = 4, DICTIONARY_BYTES = 32 * 1024, SAMPLES = 2000 };

static size_t sealed_bytes(const struct hm_bytes *batch,
                           struct hm_dictionary dictionary)
{
    struct hm_segment_seal what =
        hm_sample_seal(&keys, 1, chain_behind(1), batch, BATCH);

    what.dictionary = dictionary;
    hm_buf_clear(&sealed);
    CHECK_OK(hm_segment_seal(&what, &sealed));
    return sealed.len;
}

/* On 2G each byte counts: what a day's work costs on the wire, its share of header and
 * signature included. Another zstd may differ by a little. */
HM_TEST(size_of_a_sync)
{
    struct hm_dictionary dictionary;
    struct hm_bytes created[BATCH];
    struct hm_bytes updated[BATCH];
    size_t plain = 0;
    uint64_t index = 0;

    begin();
    dictionary = hm_sample_dictionary(&arena, 7, SAMPLES, DICTIONARY_BYTES);
    for (size_t i = 0; i < BATCH; i++) {
        struct hm_dot dot = {HM_SAMPLE_INCARNATION, i + 1};
        struct hm_household_id before = {0x9d3c51aa7be20f64U, i * 3 + 2};
        size_t members = 0;

        while (members != MEMBERS) { /* other households than those learnt from */
            created[i] = hm_sample_register(&arena, 8, index++, dot, &members);
        }
        updated[i] = hm_sample_update(&arena, 8, index - 1, dot, before);
        plain += created[i].len;
    }
    print_message("new household: %zu B as msgpack, %zu plain, %zu with dictionary\n",
                  plain / BATCH, sealed_bytes(created, HM_DICTIONARY_NONE) / BATCH,
                  sealed_bytes(created, dictionary) / BATCH);
    print_message("update of 3 fields: %zu B as msgpack, %zu plain, %zu with "
                  "dictionary\n",
                  updated[0].len, sealed_bytes(updated, HM_DICTIONARY_NONE) / BATCH,
                  sealed_bytes(updated, dictionary) / BATCH);
    assert_true(sealed_bytes(created, dictionary) <= 260 * BATCH);
    assert_true(sealed_bytes(updated, dictionary) <= 40 * BATCH);
    end();
}

/* A length is refused before anything is read, and a birth's version is short. */
HM_TEST(lengths_that_no_honest_node_writes)
{
    static uint8_t bytes[HM_SEGMENT_BYTES_MAX + 1];
    struct hm_birth birth = hm_sample_birth();
    struct hm_birth again = {.device = 77};
    struct hm_segment opened;
    struct hm_buf buf;

    assert_int_equal(hm_segment_open(hm_bytes_of(bytes, sizeof bytes), &opened),
                     HM_TOOBIG);
    birth.version = hm_bytes_str("0123456789012345678901234567890123");
    hm_buf_init(&buf, 2 * HM_BIRTH_BYTES_MAX);
    hm_birth_encode(&birth, &buf);
    CHECK_OK(buf.err);
    assert_int_equal(hm_birth_decode(hm_buf_bytes(&buf), &again), HM_TOOBIG);
    assert_int_equal(again.device, 77);
    hm_buf_deinit(&buf);
}
