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

/* When the server wants to hear from us again, 0 when it says nothing. */
static uint64_t server_wish(const struct hm_upsync_event *event)
{
    uint64_t wait_ms = event->retry_after_ms;

    if (wait_ms > HM_BACKOFF_SERVER_MS_MAX) {
        wait_ms = HM_BACKOFF_SERVER_MS_MAX;
    }
    return wait_ms == 0 ? 0 : event->now_ms + wait_ms;
}

static void on_failed(struct hm_upsync *u, const struct hm_upsync_event *event)
{
    uint64_t wish_ms = server_wish(event);

    u->told = false;
    u->retry_at_ms = event->now_ms +
                     hm_backoff_next(&u->backoff, event->random, event->retry_after_ms);
    if (wish_ms != 0) {
        u->not_before_ms = wish_ms;
    }
    move(u, HM_UPSYNC_BACKOFF);
}

static void on_exchanged(struct hm_upsync *u, const struct hm_upsync_event *event,
                         struct hm_upsync_wishes *w)
{
    bool go_on = event->more || u->again;

    if (u->state != HM_UPSYNC_TALKING) {
        return; /* late: it was cancelled or the machine has stopped */
    }
    learn_chunk(u, event);
    u->last_err = event->err;
    u->again = false;
    if (event->err != HM_OK) {
        on_failed(u, event);
        return;
    }
    hm_backoff_reset(&u->backoff);
    u->feed_at_ms = next_feed_at(event);
    u->not_before_ms = server_wish(event);
    if (go_on && u->not_before_ms == 0 && (u->told || may_talk(u))) {
        talk(u, w);
        return;
    }
    if (go_on) {
        u->feed_at_ms = event->now_ms; /* as soon as the server allows */
    }
    u->told = false;
    rest(u);
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

/* The timer that stands; 0: none. */
static uint64_t timer_at(const struct hm_upsync *u)
{
    uint64_t at_ms = 0;

    if (!may_talk(u)) {
        return 0;
    }
    switch (u->state) {
    case HM_UPSYNC_IDLE:
        at_ms = u->feed_at_ms;
        break;
    case HM_UPSYNC_WAITING:
        at_ms = saves_due_at(u) < u->feed_at_ms ? saves_due_at(u) : u->feed_at_ms;
        break;
    case HM_UPSYNC_BACKOFF:
        at_ms = u->retry_at_ms;
        break;
    case HM_UPSYNC_TALKING:
    case HM_UPSYNC_STOPPED:
        return 0;
    }
    return at_ms < u->not_before_ms ? u->not_before_ms : at_ms;
}

static void on_timer(struct hm_upsync *u, const struct hm_upsync_event *event,
                     struct hm_upsync_wishes *w)
{
    uint64_t at_ms = timer_at(u);

    if (at_ms != 0 && event->now_ms >= at_ms) {
        talk(u, w);
    }
}

/* The link is up or the pause is over: at once, or when the server allows it. */
static void talk_soon(struct hm_upsync *u, const struct hm_upsync_event *event,
                      struct hm_upsync_wishes *w)
{
    if (!may_talk(u) || u->state == HM_UPSYNC_TALKING) {
        return;
    }
    if (event->now_ms >= u->not_before_ms) {
        talk(u, w);
    } else if (u->state == HM_UPSYNC_BACKOFF) {
        u->retry_at_ms = event->now_ms;
    } else {
        u->feed_at_ms = event->now_ms;
        rest(u);
    }
}

static void on_now(struct hm_upsync *u, struct hm_upsync_wishes *w)
{
    hm_backoff_reset(&u->backoff);
    u->told = true;
    if (u->state == HM_UPSYNC_TALKING) {
        u->again = true;
    } else {
        talk(u, w);
    }
}

static void handle(struct hm_upsync *u, const struct hm_upsync_event *event,
                   struct hm_upsync_wishes *w)
{
    switch (event->type) {
    case HM_UPSYNC_EV_START:
        u->feed_at_ms = event->now_ms;
        talk_soon(u, event, w);
        break;
    case HM_UPSYNC_EV_SAVED:
        on_saved(u, event);
        break;
    case HM_UPSYNC_EV_LINK_UP:
        u->linked = true;
        hm_backoff_reset(&u->backoff);
        talk_soon(u, event, w);
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
        on_now(u, w);
        break;
    case HM_UPSYNC_EV_PAUSE:
        u->paused = true;
        u->told = false;
        u->again = false;
        if (u->state == HM_UPSYNC_WAITING) {
            rest(u);
        }
        break;
    case HM_UPSYNC_EV_RESUME:
        u->paused = false;
        talk_soon(u, event, w);
        break;
    case HM_UPSYNC_EV_STOP:
        w->cancel_exchange = u->state == HM_UPSYNC_TALKING;
        move(u, HM_UPSYNC_STOPPED);
        break;
    }
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
