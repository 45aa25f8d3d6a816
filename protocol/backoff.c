#include "protocol/backoff.h"

uint64_t hm_backoff_next(struct hm_backoff *backoff, uint64_t random,
                         uint64_t server_ms)
{
    uint64_t bound = HM_BACKOFF_FIRST_MS;
    uint64_t delay;

    if (backoff->failures < UINT32_MAX) {
        backoff->failures++;
    }
    for (uint32_t i = 1; i < backoff->failures && bound < HM_BACKOFF_MAX_MS; i++) {
        bound *= 2;
    }
    if (bound > HM_BACKOFF_MAX_MS) {
        bound = HM_BACKOFF_MAX_MS;
    }
    delay = 1 + random % bound;
    if (server_ms > HM_BACKOFF_SERVER_MS_MAX) {
        server_ms = HM_BACKOFF_SERVER_MS_MAX;
    }
    return delay < server_ms ? server_ms : delay;
}
