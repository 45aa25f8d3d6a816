/* Random numbers that a seed repeats on every machine (splitmix64). Two draws never
 * stand in one expression or argument list: C leaves their order open. */
#ifndef HM_TESTS_SUPPORT_RNG_H
#define HM_TESTS_SUPPORT_RNG_H

#include <stdint.h>

struct hm_rng {
    uint64_t state; /* set to the seed */
};

static inline uint64_t hm_rng_next(struct hm_rng *rng)
{
    uint64_t z = (rng->state += 0x9e3779b97f4a7c15U);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

/* 0 .. count - 1; count > 0. */
static inline uint64_t hm_rng_below(struct hm_rng *rng, uint64_t count)
{
    return hm_rng_next(rng) % count;
}

/* A number of any width. */
static inline uint64_t hm_rng_wide(struct hm_rng *rng)
{
    uint64_t value = hm_rng_next(rng);

    return value >> hm_rng_below(rng, 64);
}

#endif
