#define _DEFAULT_SOURCE /* tzset, localtime_r */

#include "daemon/sync_limits.h"

#include <stdlib.h>
#include <time.h>

#include "daemon/network_manager.h"

enum { LOOK_MS = 30 * 1000 };

struct hm_sync_limits {
    uv_timer_t timer;
    struct hm_network_manager *manager;
    unsigned handles; /* still open: the timer and the manager */
    const struct hm_config *config;
    uint32_t late_s;
    hm_sync_limits_cb on_change;
    void *owner;
    hm_sync_limits_cb closed;
};

static void on_timer(uv_timer_t *timer)
{
    struct hm_sync_limits *limits = timer->data;

    limits->on_change(limits->owner);
}

static void on_metered(void *owner)
{
    struct hm_sync_limits *limits = owner;

    limits->on_change(limits->owner);
}

static void set_timer(struct hm_sync_limits *limits)
{
    if (limits->config->windows.count == 0) {
        (void)uv_timer_stop(&limits->timer);
    } else {
        (void)uv_timer_start(&limits->timer, on_timer, LOOK_MS, LOOK_MS);
    }
}

int hm_sync_limits_open(uv_loop_t *loop, const struct hm_config *config,
                        uint32_t late_s, hm_sync_limits_cb on_change, void *owner,
                        struct hm_sync_limits **out_limits)
{
    struct hm_sync_limits *limits = calloc(1, sizeof *limits);

    if (limits == NULL) {
        return HM_NOMEM;
    }
    limits->config = config;
    limits->late_s = late_s;
    limits->on_change = on_change;
    limits->owner = owner;
    if (hm_network_manager_open(loop, on_metered, limits, &limits->manager) != HM_OK) {
        free(limits);
        return HM_NOMEM;
    }
    limits->handles = 2;
    (void)uv_timer_init(loop, &limits->timer); /* cannot fail */
    limits->timer.data = limits;
    uv_unref((uv_handle_t *)&limits->timer);
    set_timer(limits);
    *out_limits = limits;
    return HM_OK;
}

void hm_sync_limits_reload(struct hm_sync_limits *limits)
{
    set_timer(limits);
}

static uint32_t second_of_day(void)
{
    time_t now = time(NULL);
    struct tm local;

    tzset(); /* the zone may have been set anew */
    if (localtime_r(&now, &local) == NULL) {
        return (uint32_t)(now % HM_SYNC_DAY_S);
    }
    return (uint32_t)((local.tm_hour * 60 + local.tm_min) * 60 + local.tm_sec) %
           HM_SYNC_DAY_S;
}

static bool is_metered(const struct hm_sync_limits *limits)
{
    enum hm_config_link link = limits->config->link;

    return link == HM_CONFIG_LINK_METERED ||
           (link == HM_CONFIG_LINK_AUTO &&
            hm_network_manager_metered(limits->manager) == HM_METERED_YES);
}

static enum hm_upsync_cost cost_of(const struct hm_sync_limits *limits)
{
    const struct hm_config *config = limits->config;

    if (!is_metered(limits)) {
        return HM_UPSYNC_COST_ALL;
    }
    switch (config->metered) {
    case HM_CONFIG_METERED_NEVER:
        return HM_UPSYNC_COST_NOTHING;
    case HM_CONFIG_METERED_ALWAYS:
        return HM_UPSYNC_COST_ALL;
    case HM_CONFIG_METERED_AUTO:
    case HM_CONFIG_METERED_SMALL:
        break;
    }
    return HM_UPSYNC_COST_SMALL;
}

struct hm_sync_limits_facts hm_sync_limits_facts(const struct hm_sync_limits *limits)
{
    uint32_t in_s = hm_sync_windows_opens_in_s(&limits->config->windows,
                                               second_of_day(), limits->late_s);
    uint64_t now_ms = uv_now(limits->timer.loop);

    return (struct hm_sync_limits_facts){.opens_at_ms =
                                             in_s == 0 ? 0 : now_ms + in_s * 1000ULL,
                                         .cost = cost_of(limits)};
}

static void on_part_closed(void *owner)
{
    struct hm_sync_limits *limits = owner;
    hm_sync_limits_cb closed = limits->closed;
    void *closed_owner = limits->owner;

    if (--limits->handles > 0) {
        return;
    }
    free(limits);
    closed(closed_owner);
}

static void on_timer_closed(uv_handle_t *handle)
{
    on_part_closed(handle->data);
}

void hm_sync_limits_close(struct hm_sync_limits *limits, hm_sync_limits_cb closed)
{
    limits->closed = closed;
    hm_network_manager_close(limits->manager, on_part_closed);
    uv_close((uv_handle_t *)&limits->timer, on_timer_closed);
}
