#include "protocol/hash.h"

#include <sodium.h>

struct hm_hash hm_hash_of(struct hm_bytes a, struct hm_bytes b)
{
    crypto_generichash_state state;
    struct hm_hash out;

    /* These fail on sizes out of range only. */
    (void)crypto_generichash_init(&state, NULL, 0, sizeof out.bytes);
    (void)crypto_generichash_update(&state, a.data, a.len);
    (void)crypto_generichash_update(&state, b.data, b.len);
    (void)crypto_generichash_final(&state, out.bytes, sizeof out.bytes);
    return out;
}

uint64_t hm_hash_u64(struct hm_bytes bytes)
{
    struct hm_hash hash = hm_hash_of(bytes, hm_bytes_of(NULL, 0));
    struct hm_reader r = {.left = hm_bytes_of(hash.bytes, 8)};

    return hm_reader_uint(&r, 8);
}

void hm_hash_content(struct hm_bytes bytes, uint8_t out[HM_CONTENT_HASH_BYTES])
{
    (void)crypto_generichash(out, HM_CONTENT_HASH_BYTES, bytes.data, bytes.len, NULL,
                             0);
}
