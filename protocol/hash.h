/* BLAKE2b in the three sizes that the protocol uses.
 *
 * Pure: any thread, no allocation. */
#ifndef HM_PROTOCOL_HASH_H
#define HM_PROTOCOL_HASH_H

#include "protocol/bytes.h"

enum { HM_HASH_BYTES = 16, HM_CONTENT_HASH_BYTES = 32 };

/* BLAKE2b-128 of a followed by b; either may be empty. */
struct hm_hash {
    uint8_t bytes[HM_HASH_BYTES];
};

struct hm_hash hm_hash_of(struct hm_bytes a, struct hm_bytes b);
/* The first 64 bits, big-endian, of BLAKE2b-128(bytes). */
uint64_t hm_hash_u64(struct hm_bytes bytes);
/* BLAKE2b-256: names a blob by its content. */
void hm_hash_content(struct hm_bytes bytes, uint8_t out[HM_CONTENT_HASH_BYTES]);

static inline bool hm_hash_equal(const struct hm_hash *a, const struct hm_hash *b)
{
    return memcmp(a->bytes, b->bytes, HM_HASH_BYTES) == 0;
}

static inline struct hm_bytes hm_hash_bytes(const struct hm_hash *hash)
{
    return hm_bytes_of(hash->bytes, HM_HASH_BYTES);
}

#endif
