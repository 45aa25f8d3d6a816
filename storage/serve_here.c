#include "storage/serve_here.h"

#include "protocol/guard.h"
#include "storage/alarms.h"
#include "storage/claims.h"
#include "storage/closed.h"
#include "storage/feeds.h"
#include "storage/items.h"
#include "storage/places.h"
#include "storage/restored.h"

static int raise_restored(struct hm_store *s, uint64_t more)
{
    uint64_t timeline = 0;
    int err = hm_feeds_timeline(s, &timeline);

    return err == HM_OK ? hm_alarms_add(s, HM_ALARM_CENTRE_RESTORED, hm_store_device(s),
                                        timeline, more)
                        : err;
}

static int take_here(struct hm_store *s, uint64_t sender, struct hm_bytes payload,
                     struct hm_arena *arena, struct hm_serve_here *out)
{
    struct hm_here here;
    int err = hm_here_read(payload, arena, &here);

    if (err == HM_OK) {
        out->alarms = here.alarms;
        err = hm_places_note(s, sender, here.opening, here.number);
    }
    for (size_t i = 0; err == HM_OK && i < here.lost_count; i++) {
        err = hm_claims_note(s, &here.lost[i]);
    }
    if (err == HM_OK && out->centre && here.lost_count > 0) {
        err = hm_closed_late(s);
    }
    return err;
}

/* Signed here once, so it is as true as if it had never been forgotten. */
static int take_item(struct hm_store *s, struct hm_bytes payload,
                     struct hm_serve_here *out)
{
    struct hm_admin_item item;
    bool taken = false;
    int err = hm_guard_check(payload);

    if (err == HM_OK) {
        err = hm_items_decode(payload, &item);
    }
    if (err != HM_OK || !out->centre) {
        return err;
    }
    err = hm_items_take(s, &item, hm_store_public_key(s), &taken);
    if (err == HM_SIGNATURE) {
        return HM_OK; /* another centre's */
    }
    out->items += taken;
    return err;
}

static int knows(struct hm_store *s, const struct hm_cursor *cursor, bool *out_knows)
{
    struct hm_feed_state feed;
    uint64_t timeline = 0;
    uint64_t salt = 0;
    int err = hm_feeds_timeline(s, &timeline);

    *out_knows = true;
    if (err != HM_OK || cursor->timeline != timeline || cursor->position == 0) {
        return err;
    }
    err = hm_feeds_get(s, cursor->scope, &feed);
    if (err == HM_OK && cursor->position <= feed.position) {
        err = hm_feeds_salt(s, cursor->scope, cursor->position, &salt);
        err = err == HM_NOTFOUND ? HM_OK : err;
    }
    *out_knows = cursor->position <= feed.position && salt == cursor->salt;
    return err;
}

static int look_at_cursor(struct hm_store *s, struct hm_bytes payload)
{
    struct hm_cursor cursor;
    bool known = true;
    bool begun = false;
    int err = hm_cursor_read(payload, &cursor);

    if (err == HM_OK) {
        err = knows(s, &cursor, &known);
    }
    if (err == HM_OK && !known) {
        err = hm_restored_notice(s, &begun);
    }
    return err == HM_OK && begun ? raise_restored(s, 0) : err;
}

int hm_serve_here_look(struct hm_store *s, uint64_t sender, struct hm_bytes body,
                       struct hm_arena *arena, struct hm_serve_here *here)
{
    struct hm_reader r = {.left = body};
    struct hm_frame frame;
    int err = HM_OK;

    while (err == HM_OK && hm_frame_read(&r, &frame)) {
        switch (frame.type) {
        case HM_FRAME_HERE:
            err = take_here(s, sender, frame.payload, arena, here);
            break;
        case HM_FRAME_ITEM:
            err = take_item(s, frame.payload, here);
            break;
        case HM_FRAME_CURSOR:
            err = look_at_cursor(s, frame.payload);
            break;
        default:
            break;
        }
    }
    return err == HM_OK && here->items > 0 ? raise_restored(s, 0) : err;
}

int hm_serve_here_came(struct hm_store *s, uint64_t incarnation, uint64_t first_n,
                       uint64_t behind)
{
    uint64_t back = 0;
    int err = hm_claims_settle(s, incarnation, first_n, behind, &back);

    return err == HM_OK && back > 0 ? raise_restored(s, back) : err;
}

int hm_serve_here_tell(struct hm_store *s, uint64_t sender, uint64_t alarms_there,
                       struct hm_arena *arena, struct hm_buf *reply)
{
    struct hm_told_alarm *alarms = NULL;
    size_t count = 0;
    int err = hm_alarms_of(s, sender, arena, &alarms, &count);

    if (err == HM_OK && (count > 0 || alarms_there > 0)) {
        hm_told_alarms_write(reply, alarms, count);
        err = reply->err;
    }
    return err;
}
