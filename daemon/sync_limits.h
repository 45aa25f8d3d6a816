/* What stands in the way of syncs that nobody asked for: the windows of the day that a
 * person set, and a link that costs. Facts for protocol/upsync.h.
 *
 * Loop thread only. Looks at the wall clock twice a minute while there are windows, so
 * a clock that jumps, or a machine that slept, is noticed within that time. */
#ifndef HM_DAEMON_SYNC_LIMITS_H
#define HM_DAEMON_SYNC_LIMITS_H

#include <uv.h>

#include "daemon/config.h"
#include "protocol/upsync.h"

struct hm_sync_limits;

typedef void (*hm_sync_limits_cb)(void *owner);

struct hm_sync_limits_facts {
    uint64_t opens_at_ms; /* uv_now() when the next window opens; 0: open now */
    enum hm_upsync_cost cost;
};

/* config is borrowed. Windows open late_s late (sync_window.h). on_change runs in a
 * later turn whenever the facts may have changed. Errors: HM_NOMEM. */
int hm_sync_limits_open(uv_loop_t *loop, const struct hm_config *config,
                        uint32_t late_s, hm_sync_limits_cb on_change, void *owner,
                        struct hm_sync_limits **out_limits) HM_MUST_USE;
/* The configuration is another one. */
void hm_sync_limits_reload(struct hm_sync_limits *limits);
/* As of now. */
struct hm_sync_limits_facts hm_sync_limits_facts(const struct hm_sync_limits *limits);
/* closed runs in a later turn, when limits is freed. */
void hm_sync_limits_close(struct hm_sync_limits *limits, hm_sync_limits_cb closed);

#endif
