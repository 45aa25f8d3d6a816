/* Segments: three ways in, chosen by the first byte.
 *
 *   0  a segment as it is: nothing may be believed before its signature
 *   1  the same, signed anew: what a hostile device can send
 *   2  the input is a body, packed, chained and signed honestly around it: what lies
 *      in a body reaches the check of entries, which zstd and the chain hide from 0, 1
 *
 * What unpacks leads from chain to chain, and seals again to the same header, chain and
 * signature. */
#include <sodium.h>

#include "protocol/guard.h"
#include "protocol/pack.h"
#include "protocol/segment.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/sample.h"

enum { SIGNATURES = HM_HASH_BYTES + HM_SIGNATURE_BYTES };

static struct hm_sample_keys keys;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    HM_FUZZ_CHECK(sodium_init() >= 0);
    keys = hm_sample_keys();
    return 0;
}

static void sign(struct hm_buf *segment)
{
    struct hm_bytes header = {0};
    struct hm_hash message;
    uint8_t *tail;

    if (segment->len < SIGNATURES ||
        hm_guard_first(hm_bytes_of(segment->data, segment->len - SIGNATURES),
                       &header) != HM_OK) {
        return;
    }
    tail = segment->data + segment->len - SIGNATURES;
    message = hm_hash_of(header, hm_bytes_of(tail, HM_HASH_BYTES));
    (void)crypto_sign_detached(tail + HM_HASH_BYTES, NULL, message.bytes,
                               sizeof message.bytes, keys.secret_key);
}

/* A segment whose body is input, with as many entries as it has items. */
static void seal_around(struct hm_bytes input, struct hm_buf *out)
{
    struct hm_hash chain = HM_CHAIN_START;
    struct hm_bytes rest = input;
    struct hm_bytes item = {0};
    uint64_t count = 0;

    while (rest.len > 0 && hm_guard_first(rest, &item) == HM_OK) {
        chain = hm_chain_next(&chain, item);
        rest.data += item.len;
        rest.len -= item.len;
        count++;
    }
    hm_pack_array(out, 7);
    hm_pack_uint(out, HM_SEGMENT_VERSION);
    hm_pack_uint(out, HM_SAMPLE_INCARNATION);
    hm_pack_uint(out, HM_SAMPLE_DEVICE);
    hm_pack_uint(out, 0);
    hm_pack_uint(out, count);
    hm_pack_uint(out, 0);
    hm_pack_bin(out, hm_hash_bytes(&HM_CHAIN_START));
    if (hm_compress(input, HM_DICTIONARY_NONE, out) == HM_OK) {
        hm_buf_append(out, hm_hash_bytes(&chain));
        for (size_t i = 0; i < HM_SIGNATURE_BYTES; i++) {
            hm_buf_append_u8(out, 0);
        }
        sign(out);
    }
}

static void check_unpacked(const struct hm_segment *segment,
                           const struct hm_bytes *entries)
{
    struct hm_segment_seal seal = {.incarnation = segment->incarnation,
                                   .device = segment->device,
                                   .first_n = segment->first_n,
                                   .prev_chain = segment->prev_chain,
                                   .entries = entries,
                                   .count = segment->count,
                                   .secret_key = keys.secret_key};
    struct hm_segment again;
    struct hm_buf buf;
    size_t bytes = 0;

    HM_FUZZ_CHECK(segment->count >= 1 && segment->count <= HM_SEGMENT_ENTRIES_MAX);
    for (size_t i = 0; i < segment->count; i++) {
        HM_FUZZ_CHECK(hm_guard_check(entries[i]) == HM_OK);
        bytes += entries[i].len;
    }
    HM_FUZZ_CHECK(bytes <= HM_SEGMENT_BODY_BYTES_MAX);
    if (segment->dictionary != 0) {
        seal.dictionary = hm_fuzz_dictionary();
    }
    hm_buf_init(&buf, 2 * HM_SEGMENT_BYTES_MAX);
    HM_FUZZ_CHECK(hm_segment_seal(&seal, &buf) == HM_OK);
    HM_FUZZ_CHECK(hm_segment_open(hm_buf_bytes(&buf), &again) == HM_OK);
    HM_FUZZ_CHECK(hm_bytes_equal(again.header, segment->header));
    HM_FUZZ_CHECK(hm_hash_equal(&again.chain, &segment->chain));
    if (hm_segment_verify(segment, keys.public_key) == HM_OK) {
        HM_FUZZ_CHECK(hm_segment_verify(&again, keys.public_key) == HM_OK);
    }
    hm_buf_deinit(&buf);
}

static void check(struct hm_bytes bytes)
{
    struct hm_dictionary dictionary = HM_DICTIONARY_NONE;
    const struct hm_bytes *entries = NULL;
    struct hm_segment segment;
    struct hm_arena arena;
    int err = hm_segment_open(bytes, &segment);

    HM_FUZZ_ERR(err, HM_FUZZ_GUARD_ERRORS, HM_VERSION);
    if (err != HM_OK) {
        return;
    }
    HM_FUZZ_CHECK(hm_fuzz_lies_in(segment.header, bytes));
    HM_FUZZ_CHECK(hm_fuzz_lies_in(segment.body, bytes));
    HM_FUZZ_CHECK(
        hm_fuzz_lies_in(hm_bytes_of(segment.signature, HM_SIGNATURE_BYTES), bytes));
    HM_FUZZ_ERR(hm_segment_verify(&segment, keys.public_key), HM_SIGNATURE);
    if (segment.dictionary == hm_fuzz_dictionary().id) {
        dictionary = hm_fuzz_dictionary();
    }
    hm_arena_init(&arena, 4 * HM_SEGMENT_BODY_BYTES_MAX);
    err = hm_segment_unpack(&segment, dictionary, &arena, &entries);
    HM_FUZZ_ERR(err, HM_FUZZ_GUARD_ERRORS, HM_DICTIONARY, HM_CHAIN);
    if (err == HM_OK) {
        check_unpacked(&segment, entries);
    }
    hm_arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hm_bytes input = hm_bytes_of(data, size);
    struct hm_buf buf;
    unsigned way = hm_fuzz_below(&input, 3);

    hm_buf_init(&buf, 4 * HM_SEGMENT_BYTES_MAX);
    if (way == 2) {
        seal_around(input, &buf);
    } else {
        hm_buf_append(&buf, input);
    }
    if (way == 1) {
        sign(&buf);
    }
    if (buf.err == HM_OK) {
        check(hm_buf_bytes(&buf));
    }
    hm_buf_deinit(&buf);
    return 0;
}
