#include "storage/adopt_here.h"

#include "storage/alarms.h"
#include "storage/claims.h"
#include "storage/log.h"

/* HM_META_ITEMS_UP: what is to be done with items that the parent lacks. */
enum { ITEMS_DROP = 0, ITEMS_SEND_UP = 1, ITEMS_ON_THEIR_WAY = 2 };

int hm_adopt_here_alarms(struct hm_store *s, uint64_t parent, struct hm_bytes payload,
                         struct hm_arena *arena)
{
    struct hm_told_alarm *alarms = NULL;
    size_t count = 0;
    int err = hm_told_alarms_read(payload, arena, &alarms, &count);

    return err == HM_OK ? hm_alarms_take(s, parent, alarms, count) : err;
}

struct claiming {
    struct hm_store *s;
    uint64_t parent;
};

static int claim_own(void *arg, const struct hm_log *log)
{
    struct claiming *claiming = arg;
    struct hm_lost_log lost = {.incarnation = log->author.incarnation,
                               .device = log->author.device};
    unsigned level = 0;
    int err = hm_log_receipt(claiming->s, claiming->parent, lost.incarnation,
                             &lost.entries, &level);

    return err == HM_OK ? hm_claims_learn(claiming->s, &lost) : err;
}

int hm_adopt_here_timeline(struct hm_store *s, uint64_t parent)
{
    struct claiming claiming = {s, parent};
    int err = hm_log_each_own(s, claim_own, &claiming);

    if (err == HM_OK) {
        err = hm_log_forget_receipts(s, parent);
    }
    if (err == HM_OK) {
        err = hm_store_set_number(s, HM_META_OFFER_LOGS, 1);
    }
    return err == HM_OK ? hm_store_set_number(s, HM_META_ITEMS_UP, ITEMS_SEND_UP) : err;
}

int hm_adopt_here_items(struct hm_store *s, struct hm_bytes prefixes, bool *out_up)
{
    int64_t up = ITEMS_DROP;
    int err = hm_store_get_number(s, HM_META_ITEMS_UP, &up);

    err = err == HM_NOTFOUND ? HM_OK : err;
    *out_up = false;
    if (err != HM_OK || up != ITEMS_SEND_UP || prefixes.len == 0) {
        return err;
    }
    *out_up = true;
    err = hm_store_set_bytes(s, HM_META_ITEMS_UP, prefixes);
    return err == HM_OK ? hm_store_set_number(s, HM_META_ITEMS_UP, ITEMS_ON_THEIR_WAY)
                        : err;
}

int hm_adopt_here_items_sent(struct hm_store *s)
{
    int64_t up = ITEMS_DROP;
    int err = hm_store_get_number(s, HM_META_ITEMS_UP, &up);

    if (err == HM_NOTFOUND || (err == HM_OK && up != ITEMS_ON_THEIR_WAY)) {
        return HM_OK;
    }
    if (err == HM_OK) {
        err = hm_store_set_bytes(s, HM_META_ITEMS_UP, (struct hm_bytes){0});
    }
    return err == HM_OK ? hm_store_set_number(s, HM_META_ITEMS_UP, ITEMS_DROP) : err;
}
