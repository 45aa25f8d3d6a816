/* Samples of logs: keys from a fixed seed, a birth, changes out of the made-up commune.
 */
#ifndef HM_TESTS_SUPPORT_SAMPLE_H
#define HM_TESTS_SUPPORT_SAMPLE_H

#include "protocol/segment.h"
#include "tests/support/build.h"

enum { HM_SAMPLE_INCARNATION = 0x5eed, HM_SAMPLE_DEVICE = 12 };

struct hm_sample_keys {
    uint8_t public_key[HM_PUBLIC_KEY_BYTES];
    uint8_t secret_key[HM_SECRET_KEY_BYTES];
};

struct hm_sample_keys hm_sample_keys(void);
struct hm_birth hm_sample_birth(void);

/* The bytes of the birth, in arena. */
struct hm_bytes hm_sample_birth_bytes(struct hm_arena *arena);

/* The register of the index-th household of commune seed, as its creating change. Its
 * member_count is returned beside. */
struct hm_bytes hm_sample_register(struct hm_arena *arena, uint64_t seed,
                                   uint64_t index, struct hm_dot dot,
                                   size_t *out_members);

/* Three fields of a member of household, written by dot. */
struct hm_bytes hm_sample_update(struct hm_arena *arena, uint64_t seed, uint64_t index,
                                 struct hm_dot dot, struct hm_household_id household);

/* A dictionary of bytes_max from the registers of households 0 .. count - 1 of commune
 * seed, in arena. */
struct hm_dictionary hm_sample_dictionary(struct hm_arena *arena, uint64_t seed,
                                          size_t count, size_t bytes_max);

/* What seals entries after prev_chain. Fill in dictionary when there is one. */
struct hm_segment_seal hm_sample_seal(const struct hm_sample_keys *keys,
                                      uint64_t first_n, struct hm_hash prev_chain,
                                      const struct hm_bytes *entries, size_t count);

#endif
