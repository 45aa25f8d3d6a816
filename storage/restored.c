#include "storage/restored.h"

#include "storage/alarms.h"
#include "storage/items.h"

enum { NOTICE_EVERY_MS = 10 * 60 * 1000 };

int hm_restored_mark(struct hm_store *s)
{
    return hm_store_set_number(s, HM_META_RESTORED, 1);
}

static int number_or(struct hm_store *s, const char *name, int64_t *number)
{
    int err = hm_store_get_number(s, name, number);

    return err == HM_NOTFOUND ? HM_OK : err;
}

static int mint_timeline(struct hm_store *s, int64_t *out_timeline)
{
    int64_t timeline = 0;
    int err;

    while (timeline == 0) {
        timeline = (int64_t)hm_store_random(s);
    }
    err = hm_store_set_number(s, HM_META_TIMELINE, timeline);
    if (err == HM_OK) {
        err = hm_store_set_number(s, HM_META_TIMELINE_SINCE, hm_store_utc_ms(s));
    }
    *out_timeline = timeline;
    return err;
}

/* A node that others ask: it has a history of its own to begin. */
static int begin_history(struct hm_store *s)
{
    int64_t timeline = 0;
    int64_t times = 0;
    int err = mint_timeline(s, &timeline);

    if (err == HM_OK) {
        err = number_or(s, HM_META_RESTORES, &times);
    }
    if (err == HM_OK) {
        err = hm_store_set_number(s, HM_META_RESTORES, times + 1);
    }
    return err == HM_OK ? hm_items_leave_gap(s) : err;
}

/* What its children bring back is counted from now on. */
static int raise(struct hm_store *s)
{
    enum hm_node_role role = HM_NODE_NEW;
    int64_t timeline = 0;
    int err = hm_store_role(s, &role);

    if (err != HM_OK || (role != HM_NODE_CENTRE && role != HM_NODE_HUB)) {
        return err;
    }
    err = hm_store_get_number(s, HM_META_TIMELINE, &timeline);
    return err == HM_OK ? hm_alarms_raise(s, HM_ALARM_CENTRE_RESTORED,
                                          hm_store_device(s), (uint64_t)timeline, 0)
                        : err;
}

/* What the parent holds of own logs is to be asked anew: it may be more than is here.
 */
static int offer_logs(struct hm_store *s)
{
    int64_t parent = 0;
    int err = hm_store_get_number(s, HM_META_UPSTREAM_DEVICE, &parent);

    if (err == HM_NOTFOUND) {
        return HM_OK;
    }
    return err == HM_OK ? hm_store_set_number(s, HM_META_OFFER_LOGS, 1) : err;
}

int hm_restored_begin(struct hm_store *s)
{
    int64_t marked = 0;
    int err = number_or(s, HM_META_RESTORED, &marked);

    if (err != HM_OK || marked == 0) {
        return err;
    }
    err = begin_history(s);
    if (err == HM_OK) {
        err = raise(s);
    }
    if (err == HM_OK) {
        err = offer_logs(s);
    }
    return err == HM_OK ? hm_store_set_number(s, HM_META_RESTORED, 0) : err;
}

int hm_restored_notice(struct hm_store *s, bool *out_begun)
{
    int64_t now = hm_store_utc_ms(s);
    int64_t since = 0;
    int err = hm_store_get_number(s, HM_META_TIMELINE_SINCE, &since);

    *out_begun = false;
    if (err != HM_OK && err != HM_NOTFOUND) {
        return err;
    }
    if (err == HM_OK && now >= since && now - since < NOTICE_EVERY_MS) {
        return HM_OK;
    }
    err = begin_history(s);
    *out_begun = err == HM_OK;
    return err;
}
