/* What a scope hashes to: the sum modulo 2^128 of its households' hashes, so that one
 * household's change costs one subtraction and one addition, in any order.
 *
 * Pure: any thread. */
#ifndef HM_PROTOCOL_DIGEST_H
#define HM_PROTOCOL_DIGEST_H

#include "protocol/hash.h"

enum { HM_DIGEST_BYTES = HM_HASH_BYTES, HM_DIGEST_TEXT_MAX = 2 * HM_HASH_BYTES + 1 };

/* Big-endian; all zero for an empty scope. */
void hm_digest_add(struct hm_hash *digest, const struct hm_hash *household);
void hm_digest_subtract(struct hm_hash *digest, const struct hm_hash *household);
/* 32 lower-case hex digits. */
void hm_digest_to_text(const struct hm_hash *digest, char out[HM_DIGEST_TEXT_MAX]);

#endif
