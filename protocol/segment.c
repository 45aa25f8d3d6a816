#include "protocol/segment.h"

#include <sodium.h>

#include "protocol/guard.h"
#include "protocol/pack.h"

enum { BIRTH_PARTS = 10, HEADER_PARTS = 7, VERSION_TEXT_BYTES_MAX = 32 };

void hm_birth_encode(const struct hm_birth *birth, struct hm_buf *buf)
{
    hm_pack_array(buf, BIRTH_PARTS);
    hm_pack_uint(buf, HM_SEGMENT_VERSION);
    hm_pack_uint(buf, birth->device);
    hm_pack_uint(buf, birth->parent_incarnation);
    hm_pack_uint(buf, birth->parent_n);
    hm_pack_bin(buf, hm_hash_bytes(&birth->parent_chain));
    hm_pack_bin(buf, hm_bytes_of(birth->boot_id, HM_BOOT_ID_BYTES));
    hm_pack_int(buf, birth->wall_ms);
    hm_pack_uint(buf, birth->clock_class);
    hm_pack_int(buf, birth->clock_offset_ms);
    hm_pack_str(buf, birth->version);
}

int hm_birth_decode(struct hm_bytes bytes, struct hm_birth *out)
{
    struct hm_reader r = {.left = bytes};
    struct hm_birth birth = {0};
    int err = bytes.len > HM_BIRTH_BYTES_MAX ? HM_TOOBIG : hm_guard_check(bytes);

    if (err != HM_OK) {
        return err;
    }
    hm_unpack_array_exact(&r, BIRTH_PARTS);
    if (hm_unpack_uint(&r) != HM_SEGMENT_VERSION && r.err == HM_OK) {
        return HM_VERSION;
    }
    birth.device = hm_unpack_uint(&r);
    birth.parent_incarnation = hm_unpack_uint(&r);
    birth.parent_n = hm_unpack_uint(&r);
    hm_unpack_bin_exact(&r, birth.parent_chain.bytes, HM_HASH_BYTES);
    hm_unpack_bin_exact(&r, birth.boot_id, HM_BOOT_ID_BYTES);
    birth.wall_ms = hm_unpack_int(&r);
    birth.clock_class = (enum hm_clock_class)hm_unpack_uint_max(&r, HM_CLOCK_CHECKED);
    birth.clock_offset_ms = hm_unpack_int(&r);
    birth.version = hm_unpack_str(&r);
    if (r.err == HM_OK && birth.version.len > VERSION_TEXT_BYTES_MAX) {
        r.err = HM_TOOBIG;
    }
    err = hm_unpack_end(&r);
    if (err == HM_OK) {
        *out = birth;
    }
    return err;
}

struct hm_hash hm_chain_next(const struct hm_hash *before, struct hm_bytes entry)
{
    struct hm_hash of_entry = hm_hash_of(entry, hm_bytes_of(NULL, 0));

    return hm_hash_of(hm_hash_bytes(before), hm_hash_bytes(&of_entry));
}

static void encode_header(const struct hm_segment_seal *seal, struct hm_buf *buf)
{
    hm_pack_array(buf, HEADER_PARTS);
    hm_pack_uint(buf, HM_SEGMENT_VERSION);
    hm_pack_uint(buf, seal->incarnation);
    hm_pack_uint(buf, seal->device);
    hm_pack_uint(buf, seal->first_n);
    hm_pack_uint(buf, seal->count);
    hm_pack_uint(buf, seal->dictionary.id);
    hm_pack_bin(buf, hm_hash_bytes(&seal->prev_chain));
}

/* What the signature covers. */
static struct hm_hash to_sign(struct hm_bytes header, const struct hm_hash *chain)
{
    return hm_hash_of(header, hm_hash_bytes(chain));
}

static int seal_into(const struct hm_segment_seal *seal, struct hm_buf *body,
                     struct hm_buf *out)
{
    struct hm_hash chain = seal->prev_chain;
    size_t start = out->len;
    uint8_t signature[HM_SIGNATURE_BYTES];
    struct hm_hash message;
    int err;

    for (size_t i = 0; i < seal->count; i++) {
        hm_buf_append(body, seal->entries[i]);
        chain = hm_chain_next(&chain, seal->entries[i]);
    }
    encode_header(seal, out);
    if (body->err != HM_OK || out->err != HM_OK) {
        return body->err != HM_OK ? body->err : out->err;
    }
    message = to_sign(hm_bytes_of(out->data + start, out->len - start), &chain);
    (void)crypto_sign_detached(signature, NULL, message.bytes, HM_HASH_BYTES,
                               seal->secret_key); /* can't fail */
    err = hm_compress(hm_buf_bytes(body), seal->dictionary, out);
    if (err == HM_OK) {
        hm_buf_append(out, hm_hash_bytes(&chain));
        hm_buf_append(out, hm_bytes_of(signature, sizeof signature));
        err = out->err;
    }
    return err;
}

int hm_segment_seal(const struct hm_segment_seal *seal, struct hm_buf *out)
{
    struct hm_buf body;
    size_t start = out->len;
    int err;

    HM_ASSERT(seal->count >= 1);
    if (seal->count > HM_SEGMENT_ENTRIES_MAX) {
        return HM_TOOBIG;
    }
    hm_buf_init(&body, HM_SEGMENT_BODY_BYTES_MAX);
    err = seal_into(seal, &body, out);
    hm_buf_deinit(&body);
    if (err != HM_OK) {
        out->len = start;
    }
    return err;
}

static int decode_header(struct hm_bytes header, struct hm_segment *out)
{
    struct hm_reader r = {.left = header};

    hm_unpack_array_exact(&r, HEADER_PARTS);
    if (hm_unpack_uint(&r) != HM_SEGMENT_VERSION && r.err == HM_OK) {
        return HM_VERSION;
    }
    out->incarnation = hm_unpack_uint(&r);
    out->device = hm_unpack_uint(&r);
    out->first_n = hm_unpack_uint(&r);
    out->count = (size_t)hm_unpack_uint_max(&r, HM_SEGMENT_ENTRIES_MAX);
    out->dictionary = hm_unpack_uint(&r);
    hm_unpack_bin_exact(&r, out->prev_chain.bytes, HM_HASH_BYTES);
    if (r.err == HM_OK &&
        (out->count == 0 || out->first_n > UINT64_MAX - HM_SEGMENT_ENTRIES_MAX ||
         (out->first_n == 0 && !hm_hash_equal(&out->prev_chain, &HM_CHAIN_START)))) {
        return HM_MALFORMED;
    }
    return hm_unpack_end(&r);
}

int hm_segment_open(struct hm_bytes bytes, struct hm_segment *out)
{
    const size_t tail = HM_HASH_BYTES + HM_SIGNATURE_BYTES;
    struct hm_segment segment = {0};
    int err;

    if (bytes.len > HM_SEGMENT_BYTES_MAX) {
        return HM_TOOBIG;
    }
    err = hm_guard_first(bytes, &segment.header);
    if (err == HM_OK) {
        err = decode_header(segment.header, &segment);
    }
    if (err != HM_OK) {
        return err;
    }
    if (bytes.len - segment.header.len < tail) {
        return HM_TRUNCATED;
    }
    segment.body = hm_bytes_of(bytes.data + segment.header.len,
                               bytes.len - segment.header.len - tail);
    memcpy(segment.chain.bytes, bytes.data + bytes.len - tail, HM_HASH_BYTES);
    segment.signature = bytes.data + bytes.len - HM_SIGNATURE_BYTES;
    *out = segment;
    return HM_OK;
}

int hm_segment_verify(const struct hm_segment *segment, const uint8_t *public_key)
{
    struct hm_hash message = to_sign(segment->header, &segment->chain);

    return crypto_sign_verify_detached(segment->signature, message.bytes, HM_HASH_BYTES,
                                       public_key) == 0
               ? HM_OK
               : HM_SIGNATURE;
}

static int split(const struct hm_segment *segment, struct hm_bytes body,
                 struct hm_bytes *entries)
{
    struct hm_hash chain = segment->prev_chain;

    for (size_t i = 0; i < segment->count; i++) {
        int err = hm_guard_first(body, &entries[i]);

        if (err != HM_OK) {
            return err;
        }
        body.data += entries[i].len;
        body.len -= entries[i].len;
        chain = hm_chain_next(&chain, entries[i]);
    }
    if (body.len != 0) {
        return HM_MALFORMED;
    }
    return hm_hash_equal(&chain, &segment->chain) ? HM_OK : HM_CHAIN;
}

int hm_segment_unpack(const struct hm_segment *segment, struct hm_dictionary dictionary,
                      struct hm_arena *arena, const struct hm_bytes **out_entries)
{
    struct hm_bytes *entries;
    struct hm_bytes body = {0};
    struct hm_buf buf;
    int err;

    if (segment->dictionary != dictionary.id) {
        return HM_DICTIONARY;
    }
    hm_buf_init(&buf, HM_SEGMENT_BODY_BYTES_MAX);
    err = hm_decompress(segment->body, dictionary, HM_SEGMENT_BODY_BYTES_MAX, &buf);
    if (err == HM_OK) {
        err = hm_arena_copy(arena, hm_buf_bytes(&buf), &body);
    }
    hm_buf_deinit(&buf);
    if (err != HM_OK) {
        return err;
    }
    entries = hm_arena_array(arena, segment->count, sizeof *entries);
    if (entries == NULL) {
        return HM_NOMEM;
    }
    err = split(segment, body, entries);
    if (err == HM_OK) {
        *out_entries = entries;
    }
    return err;
}
