#include "protocol/digest.h"

#include "tests/support/rng.h"
#include "tests/support/test.h"

static struct hm_hash random_hash(struct hm_rng *rng)
{
    struct hm_hash out;

    for (size_t i = 0; i < HM_HASH_BYTES; i++) {
        out.bytes[i] = (uint8_t)hm_rng_next(rng);
    }
    return out;
}

/* A scope's digest kept up to date by difference is the one counted afresh. */
HM_TEST(incremental_equals_recomputed)
{
    struct hm_rng rng = {5};
    struct hm_hash households[40];
    struct hm_hash digest = {0};

    for (size_t i = 0; i < 40; i++) {
        households[i] = random_hash(&rng);
        hm_digest_add(&digest, &households[i]);
    }
    for (int step = 0; step < 2000; step++) {
        size_t i = (size_t)hm_rng_below(&rng, 40);
        struct hm_hash fresh = {0};

        hm_digest_subtract(&digest, &households[i]);
        households[i] = random_hash(&rng);
        hm_digest_add(&digest, &households[i]);
        for (size_t j = 40; j-- > 0;) {
            hm_digest_add(&fresh, &households[j]);
        }
        assert_true(hm_hash_equal(&digest, &fresh));
    }
    for (size_t i = 0; i < 40; i++) {
        hm_digest_subtract(&digest, &households[i]);
    }
    assert_true(hm_hash_equal(&digest, &(struct hm_hash){0}));
}

HM_TEST(wraps_at_two_to_the_128)
{
    struct hm_hash digest;
    struct hm_hash one = {.bytes[15] = 1};
    struct hm_hash high = {.bytes[0] = 0x80};

    memset(digest.bytes, 0xff, sizeof digest.bytes);
    hm_digest_add(&digest, &one);
    assert_true(hm_hash_equal(&digest, &(struct hm_hash){0}));
    hm_digest_subtract(&digest, &one);
    for (size_t i = 0; i < HM_HASH_BYTES; i++) {
        assert_int_equal(digest.bytes[i], 0xff);
    }
    hm_digest_add(&digest, &digest);
    assert_int_equal(digest.bytes[15], 0xfe);
    digest = high;
    hm_digest_add(&digest, &high);
    assert_true(hm_hash_equal(&digest, &(struct hm_hash){0}));
}

/* Big-endian: the last byte is the lowest. */
HM_TEST(text)
{
    struct hm_hash digest = {.bytes[0] = 0xab, .bytes[15] = 0xff};
    struct hm_hash one = {.bytes[15] = 1};
    char text[HM_DIGEST_TEXT_MAX];

    hm_digest_add(&digest, &one);
    hm_digest_to_text(&digest, text);
    assert_string_equal(text, "ab000000000000000000000000000100");
}
