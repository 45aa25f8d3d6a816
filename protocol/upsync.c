#include "protocol/upsync.h"

#include "protocol/err.h"

#define BIT(state) (1U << (state))

/* Allowed next states. Staying is always allowed. */
static const unsigned allowed[] = {
    [HM_UPSYNC_IDLE] =
        BIT(HM_UPSYNC_WAITING) | BIT(HM_UPSYNC_TALKING) | BIT(HM_UPSYNC_STOPPED),
    [HM_UPSYNC_WAITING] =
        BIT(HM_UPSYNC_IDLE) | BIT(HM_UPSYNC_TALKING) | BIT(HM_UPSYNC_STOPPED),
    [HM_UPSYNC_TALKING] = BIT(HM_UPSYNC_IDLE) | BIT(HM_UPSYNC_WAITING) |
                          BIT(HM_UPSYNC_BACKOFF) | BIT(HM_UPSYNC_STOPPED),
    [HM_UPSYNC_BACKOFF] = BIT(HM_UPSYNC_TALKING) | BIT(HM_UPSYNC_STOPPED),
    [HM_UPSYNC_STOPPED] = 0,
};

const char *hm_upsync_state_name(enum hm_upsync_state state)
{
    static const char *const names[] = {"idle", "waiting", "talking", "backoff",
                                        "stopped"};

    return names[state];
}

static void move(struct hm_upsync *u, enum hm_upsync_state next)
{
    HM_ASSERT(next == u->state || (allowed[u->state] & BIT(next)) != 0);
    u->state = next;
}

void hm_upsync_init(struct hm_upsync *u, bool paused)
{
    *u = (struct hm_upsync){.state = HM_UPSYNC_IDLE,
                            .linked = true,
                            .paused = paused,
                            .chunk_bytes = HM_UPSYNC_CHUNK_BYTES_FIRST};
}

static bool may_talk(const struct hm_upsync *u)
{
    return u->linked && !u->paused;
}

/* 15 minutes, 20 % more or less. */
static uint64_t next_feed_at(const struct hm_upsync_event *event)
{
    uint64_t span = HM_UPSYNC_FEED_MS / 5 * 2;

    return event->now_ms + HM_UPSYNC_FEED_MS - span / 2 + event->random % span;
}

static uint64_t saves_due_at(const struct hm_upsync *u)
{
    uint64_t after_last = u->saved_last_at_ms + HM_UPSYNC_SAVE_DELAY_MS;
    uint64_t after_first = u->saved_first_at_ms + HM_UPSYNC_SAVE_DELAY_MS_MAX;

    return after_last < after_first ? after_last : after_first;
}

static void talk(struct hm_upsync *u, struct hm_upsync_wishes *w)
{
    move(u, HM_UPSYNC_TALKING);
    u->saved = false;
    w->start_exchange = true;
    w->chunk_bytes = u->chunk_bytes;
}

/* Nothing is in flight: stand where saves, link and pause say. */
static void rest(struct hm_upsync *u)
{
    if (u->saved && may_talk(u)) {
        move(u, HM_UPSYNC_WAITING);
    } else {
        move(u, HM_UPSYNC_IDLE);
    }
}

static void learn_chunk(struct hm_upsync *u, const struct hm_upsync_event *event)
{
    uint64_t took_ms = event->took_ms == 0 ? 1 : event->took_ms;
    uint64_t bytes = event->bytes;
    uint64_t target;

    if (event->err != HM_OK) {
        u->chunk_bytes /= 2;
    } else if (bytes >= u->chunk_bytes / 2) {
        /* A small exchange measures the round trip, not the link. */
        if (bytes > UINT64_MAX / HM_UPSYNC_CHUNK_MS) {
            bytes = UINT64_MAX / HM_UPSYNC_CHUNK_MS;
        }
        target = bytes * HM_UPSYNC_CHUNK_MS / took_ms / 5 * 4;
        u->chunk_bytes = target > HM_UPSYNC_CHUNK_BYTES_MAX ? HM_UPSYNC_CHUNK_BYTES_MAX
                                                            : (size_t)target;
    }
    if (u->chunk_bytes < HM_UPSYNC_CHUNK_BYTES_MIN) {
        u->chunk_bytes = HM_UPSYNC_CHUNK_BYTES_MIN;
    }
}

static void on_exchanged(struct hm_upsync *u, const struct hm_upsync_event *event,
                         struct hm_upsync_wishes *w)
{
    if (u->state != HM_UPSYNC_TALKING) {
        return; /* late: it was cancelled or the machine has stopped */
    }
    learn_chunk(u, event);
    u->last_err = event->err;
    if (event->err != HM_OK) {
        u->retry_at_ms = event->now_ms + hm_backoff_next(&u->backoff, event->random,
                                                         event->retry_after_ms);
        move(u, HM_UPSYNC_BACKOFF);
        return;
    }
    hm_backoff_reset(&u->backoff);
    u->feed_at_ms = next_feed_at(event);
    if (event->retry_after_ms > 0 &&
        u->feed_at_ms < event->now_ms + event->retry_after_ms) {
        u->feed_at_ms = event->now_ms + event->retry_after_ms;
    }
    if (event->more) {
        talk(u, w);
    } else {
        rest(u);
    }
}

static void on_saved(struct hm_upsync *u, const struct hm_upsync_event *event)
{
    if (!u->saved) {
        u->saved_first_at_ms = event->now_ms;
    }
    u->saved = true;
    u->saved_last_at_ms = event->now_ms;
    if (u->state == HM_UPSYNC_IDLE) {
        rest(u);
    }
}

static void on_link_down(struct hm_upsync *u)
{
    u->linked = false;
    if (u->state == HM_UPSYNC_WAITING) {
        rest(u);
    }
    /* An exchange in flight may still get through: its own limits end it. */
}

static void on_timer(struct hm_upsync *u, const struct hm_upsync_event *event,
                     struct hm_upsync_wishes *w)
{
    bool due = (u->state == HM_UPSYNC_IDLE && event->now_ms >= u->feed_at_ms) ||
               (u->state == HM_UPSYNC_WAITING && event->now_ms >= saves_due_at(u)) ||
               (u->state == HM_UPSYNC_BACKOFF && event->now_ms >= u->retry_at_ms);

    if (due && may_talk(u)) {
        talk(u, w);
    }
}

static void now_if_resting(struct hm_upsync *u, struct hm_upsync_wishes *w)
{
    if (u->state != HM_UPSYNC_TALKING) {
        talk(u, w);
    }
}

static void handle(struct hm_upsync *u, const struct hm_upsync_event *event,
                   struct hm_upsync_wishes *w)
{
    switch (event->type) {
    case HM_UPSYNC_EV_START:
        u->feed_at_ms = event->now_ms;
        if (may_talk(u)) {
            now_if_resting(u, w);
        }
        break;
    case HM_UPSYNC_EV_SAVED:
        on_saved(u, event);
        break;
    case HM_UPSYNC_EV_LINK_UP:
        u->linked = true;
        hm_backoff_reset(&u->backoff);
        if (!u->paused) {
            now_if_resting(u, w);
        }
        break;
    case HM_UPSYNC_EV_LINK_DOWN:
        on_link_down(u);
        break;
    case HM_UPSYNC_EV_TIMER:
        on_timer(u, event, w);
        break;
    case HM_UPSYNC_EV_EXCHANGED:
        on_exchanged(u, event, w);
        break;
    case HM_UPSYNC_EV_NOW:
        hm_backoff_reset(&u->backoff);
        now_if_resting(u, w);
        break;
    case HM_UPSYNC_EV_PAUSE:
        u->paused = true;
        if (u->state == HM_UPSYNC_WAITING) {
            rest(u);
        }
        break;
    case HM_UPSYNC_EV_RESUME:
        u->paused = false;
        if (u->linked) {
            now_if_resting(u, w);
        }
        break;
    case HM_UPSYNC_EV_STOP:
        w->cancel_exchange = u->state == HM_UPSYNC_TALKING;
        move(u, HM_UPSYNC_STOPPED);
        break;
    }
}

static uint64_t timer_at(const struct hm_upsync *u)
{
    if (!may_talk(u)) {
        return 0;
    }
    switch (u->state) {
    case HM_UPSYNC_IDLE:
        return u->feed_at_ms;
    case HM_UPSYNC_WAITING:
        return saves_due_at(u) < u->feed_at_ms ? saves_due_at(u) : u->feed_at_ms;
    case HM_UPSYNC_BACKOFF:
        return u->retry_at_ms;
    case HM_UPSYNC_TALKING:
    case HM_UPSYNC_STOPPED:
        break;
    }
    return 0;
}

void hm_upsync_step(struct hm_upsync *u, const struct hm_upsync_event *event,
                    struct hm_upsync_wishes *out_wishes)
{
    struct hm_upsync_wishes w = {0};

    if (u->state != HM_UPSYNC_STOPPED) {
        handle(u, event, &w);
        w.timer_at_ms = timer_at(u);
    }
    *out_wishes = w;
}
