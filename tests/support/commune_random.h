/* Random numbers of the made-up commune: splitmix64, integers only, so that one seed
 * gives the same bytes on every machine. Not for secrets.
 *
 * Pure; one user at a time. Two draws never stand in one expression or argument list:
 * C leaves their order open. */
#ifndef HM_TESTS_SUPPORT_COMMUNE_RANDOM_H
#define HM_TESTS_SUPPORT_COMMUNE_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hm_commune_random {
    uint64_t state;
};

static inline uint64_t hm_commune_random_next(struct hm_commune_random *random)
{
    uint64_t z = random->state += 0x9e3779b97f4a7c15U;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

/* A stream of its own for each (seed, index, purpose). */
static inline struct hm_commune_random
hm_commune_random_of(uint64_t seed, uint64_t index, uint64_t purpose)
{
    struct hm_commune_random random = {seed};

    random.state = hm_commune_random_next(&random) ^ index;
    random.state = hm_commune_random_next(&random) ^ purpose;
    (void)hm_commune_random_next(&random);
    return random;
}

/* 0 .. limit - 1; limit > 0. */
static inline unsigned hm_commune_random_below(struct hm_commune_random *random,
                                               unsigned limit)
{
    return (unsigned)((hm_commune_random_next(random) >> 32) % limit);
}

/* low .. high, both included. */
static inline int hm_commune_random_from(struct hm_commune_random *random, int low,
                                         int high)
{
    return low + (int)hm_commune_random_below(random, (unsigned)(high - low + 1));
}

/* true in `chance` of 1000 draws. */
static inline bool hm_commune_random_chance(struct hm_commune_random *random,
                                            unsigned chance)
{
    return hm_commune_random_below(random, 1000) < chance;
}

#endif
