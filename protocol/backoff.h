/* When to try again: full jitter between nothing and a bound that doubles, so that a
 * thousand laptops whose hub comes back do not knock in the same second.
 *
 * Pure: randomness is an argument; any thread. */
#ifndef HM_PROTOCOL_BACKOFF_H
#define HM_PROTOCOL_BACKOFF_H

#include <stdint.h>

enum {
    HM_BACKOFF_FIRST_MS = 30 * 1000,
    HM_BACKOFF_MAX_MS = 60 * 60 * 1000,
    HM_BACKOFF_SERVER_MS_MAX = 24 * 60 * 60 * 1000 /* of a server's wish */
};

struct hm_backoff {
    uint32_t failures; /* in a row */
};

static inline void hm_backoff_reset(struct hm_backoff *backoff)
{
    backoff->failures = 0;
}

/* Counts one more failure. Returns the delay in ms: 1 .. min(30 s * 2^(failures-1),
 * 1 h), uniform in random; never less than server_ms, what the server asked for (0:
 * nothing; taken up to HM_BACKOFF_SERVER_MS_MAX). */
uint64_t hm_backoff_next(struct hm_backoff *backoff, uint64_t random,
                         uint64_t server_ms);

#endif
