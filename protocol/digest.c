#include "protocol/digest.h"

#include <stdio.h>

void hm_digest_add(struct hm_hash *digest, const struct hm_hash *household)
{
    unsigned carry = 0;

    for (size_t i = HM_HASH_BYTES; i-- > 0;) {
        carry += (unsigned)digest->bytes[i] + household->bytes[i];
        digest->bytes[i] = (uint8_t)carry;
        carry >>= 8;
    }
}

void hm_digest_subtract(struct hm_hash *digest, const struct hm_hash *household)
{
    unsigned borrow = 0;

    for (size_t i = HM_HASH_BYTES; i-- > 0;) {
        unsigned take = household->bytes[i] + borrow;

        borrow = digest->bytes[i] < take;
        digest->bytes[i] = (uint8_t)(digest->bytes[i] + 256U - take);
    }
}

void hm_digest_to_text(const struct hm_hash *digest, char out[HM_DIGEST_TEXT_MAX])
{
    for (size_t i = 0; i < HM_HASH_BYTES; i++) {
        (void)snprintf(out + 2 * i, 3, "%02x", digest->bytes[i]);
    }
}
