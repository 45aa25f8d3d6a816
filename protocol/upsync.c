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
    return u->linked && !u->paused && u->cost != HM_UPSYNC_COST_NOTHING;
}

/* Before this nothing starts by itself. */
static uint64_t earliest(const struct hm_upsync *u)
{
    return u->not_before_ms > u->opens_at_ms ? u->not_before_ms : u->opens_at_ms;
}

/* The feed is dear on a link that costs. */
static uint64_t feed_due_at(const struct hm_upsync *u)
{
    return u->feed_at_ms + (u->cost == HM_UPSYNC_COST_SMALL
                                ? HM_UPSYNC_METERED_FEED_MS - HM_UPSYNC_FEED_MS
                                : 0);
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
    if (u->cost != HM_UPSYNC_COST_ALL && !u->told &&
        w->chunk_bytes > HM_UPSYNC_METERED_CHUNK_BYTES) {
        w->chunk_bytes = HM_UPSYNC_METERED_CHUNK_BYTES;
    }
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

static void grow_chunk(struct hm_upsync *u, size_t target)
{
    size_t step = u->chunk_bytes + u->chunk_bytes / 4;

    if (target <= u->chunk_bytes || !u->careful) {
        u->careful = false;
        u->chunk_bytes = target;
    } else if (++u->successes >= HM_UPSYNC_CHUNK_TRUST) {
        u->successes = 0;
        u->chunk_bytes = target < step ? target : step;
    }
}

static void learn_chunk(struct hm_upsync *u, const struct hm_upsync_event *event)
{
    uint64_t took_ms = event->took_ms == 0 ? 1 : event->took_ms;
    uint64_t bytes = event->bytes;
    uint64_t target;

    if (event->err != HM_OK) {
        u->chunk_bytes /= 2;
        u->careful = u->careful || bytes > 0; /* there was a link, and it broke off */
        u->successes = 0;
    } else if (bytes >= u->chunk_bytes / 2) {
        /* A small exchange measures the round trip, not the link. */
        if (bytes > UINT64_MAX / HM_UPSYNC_CHUNK_MS) {
            bytes = UINT64_MAX / HM_UPSYNC_CHUNK_MS;
        }
        target = bytes * HM_UPSYNC_CHUNK_MS / took_ms / 5 * 4;
        grow_chunk(u, target > HM_UPSYNC_CHUNK_BYTES_MAX ? HM_UPSYNC_CHUNK_BYTES_MAX
                                                         : (size_t)target);
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
    uint64_t wish_ms = event->foreign ? 0 : server_wish(event);
    uint64_t delay_ms = hm_backoff_next(&u->backoff, event->random,
                                        event->foreign ? 0 : event->retry_after_ms);

    u->told = false;
    if (event->foreign && delay_ms > HM_UPSYNC_FOREIGN_MS) {
        delay_ms = 1 + event->random % HM_UPSYNC_FOREIGN_MS; /* it goes by a sign-in */
    }
    u->retry_at_ms = event->now_ms + delay_ms;
    if (wish_ms != 0) {
        u->not_before_ms = wish_ms;
    } else if (event->err == HM_DENIED && !event->foreign) {
        u->not_before_ms =
            event->now_ms + HM_UPSYNC_DENIED_MS + event->random % HM_UPSYNC_DENIED_MS;
    }
    move(u, HM_UPSYNC_BACKOFF);
}

/* Whether another exchange follows this one at once. */
static bool goes_on(const struct hm_upsync *u, const struct hm_upsync_event *event)
{
    if (u->told || u->again) {
        return event->more || u->again;
    }
    return may_talk(u) && u->opens_at_ms == 0 &&
           (u->cost == HM_UPSYNC_COST_ALL ? event->more : event->sends);
}

static void on_exchanged(struct hm_upsync *u, const struct hm_upsync_event *event,
                         struct hm_upsync_wishes *w)
{
    bool go_on = goes_on(u, event);
    bool more = event->more || u->again;

    if (u->state != HM_UPSYNC_TALKING) {
        return; /* late: it was cancelled or the machine has stopped */
    }
    learn_chunk(u, event);
    u->last_err = event->err;
    u->foreign = event->foreign && event->err != HM_OK;
    u->again = false;
    u->look_at_ms = event->now_ms + HM_UPSYNC_BLIND_MS;
    if (event->err != HM_OK) {
        on_failed(u, event);
        return;
    }
    hm_backoff_reset(&u->backoff);
    u->feed_at_ms = next_feed_at(event);
    u->not_before_ms = server_wish(event);
    if (go_on && u->not_before_ms == 0) {
        talk(u, w);
        return;
    }
    if (more) {
        u->feed_at_ms = event->now_ms; /* as soon as it is allowed */
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

static void on_link_down(struct hm_upsync *u, const struct hm_upsync_event *event)
{
    if (u->linked) {
        u->look_at_ms = event->now_ms + HM_UPSYNC_BLIND_MS;
    }
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

    if (u->paused) {
        return 0;
    }
    switch (u->state) {
    case HM_UPSYNC_IDLE:
        at_ms = feed_due_at(u);
        break;
    case HM_UPSYNC_WAITING:
        at_ms = saves_due_at(u) < feed_due_at(u) ? saves_due_at(u) : feed_due_at(u);
        break;
    case HM_UPSYNC_BACKOFF:
        at_ms = u->retry_at_ms;
        break;
    case HM_UPSYNC_TALKING:
    case HM_UPSYNC_STOPPED:
        return 0;
    }
    if (u->cost == HM_UPSYNC_COST_NOTHING) {
        return u->look_at_ms; /* starts nothing: no wish stands in its way */
    }
    if (!u->linked) {
        at_ms = u->look_at_ms;
    }
    return at_ms < earliest(u) ? earliest(u) : at_ms;
}

static void on_timer(struct hm_upsync *u, const struct hm_upsync_event *event,
                     struct hm_upsync_wishes *w)
{
    uint64_t at_ms = timer_at(u);

    if (at_ms == 0 || event->now_ms < at_ms) {
        return;
    }
    if (u->cost == HM_UPSYNC_COST_NOTHING) {
        u->look_at_ms = event->now_ms + HM_UPSYNC_BLIND_MS;
        return;
    }
    u->opens_at_ms = 0; /* it was before now */
    talk(u, w);
}

/* The link is up or the pause is over: at once, or when server and windows allow it. */
static void talk_soon(struct hm_upsync *u, const struct hm_upsync_event *event,
                      struct hm_upsync_wishes *w)
{
    if (!may_talk(u) || u->state == HM_UPSYNC_TALKING) {
        return;
    }
    if (event->now_ms >= earliest(u)) {
        u->opens_at_ms = 0;
        talk(u, w);
    } else if (u->state == HM_UPSYNC_BACKOFF) {
        u->retry_at_ms = event->now_ms;
    } else {
        u->feed_at_ms = event->now_ms;
        rest(u);
    }
}

/* A window that opens is a reason to look only if something has waited for it. */
static void on_window(struct hm_upsync *u, const struct hm_upsync_event *event,
                      struct hm_upsync_wishes *w)
{
    u->opens_at_ms = event->opens_at_ms > event->now_ms ? event->opens_at_ms : 0;
    if (u->opens_at_ms == 0 && timer_at(u) != 0) {
        on_timer(u, event, w);
    }
}

static void on_cost(struct hm_upsync *u, const struct hm_upsync_event *event,
                    struct hm_upsync_wishes *w)
{
    bool was = may_talk(u);

    if (u->cost == event->cost) {
        return;
    }
    u->cost = event->cost;
    u->look_at_ms = event->now_ms + HM_UPSYNC_BLIND_MS;
    if (u->state == HM_UPSYNC_IDLE || u->state == HM_UPSYNC_WAITING) {
        rest(u);
    }
    if (!was) {
        talk_soon(u, event, w);
    } else if (may_talk(u)) {
        on_timer(u, event, w); /* the feed may be due by the other measure */
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
        u->look_at_ms = event->now_ms + HM_UPSYNC_BLIND_MS;
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
        on_link_down(u, event);
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
    case HM_UPSYNC_EV_WINDOW:
        on_window(u, event, w);
        break;
    case HM_UPSYNC_EV_COST:
        on_cost(u, event, w);
        break;
    }
}

const char *hm_upsync_waits_for(const struct hm_upsync *u, uint64_t now_ms)
{
    if (u->state == HM_UPSYNC_TALKING || u->state == HM_UPSYNC_STOPPED) {
        return "";
    }
    if (u->paused) {
        return "paused";
    }
    if (!u->linked) {
        return "no link";
    }
    if (u->cost == HM_UPSYNC_COST_NOTHING) {
        return "the link costs";
    }
    if (now_ms < u->opens_at_ms) {
        return "outside the sync windows";
    }
    if (now_ms < u->not_before_ms) {
        return u->state == HM_UPSYNC_BACKOFF && u->last_err == HM_DENIED
                   ? "this node is not known at the hub"
                   : "the hub asked to wait";
    }
    if (u->state == HM_UPSYNC_BACKOFF) {
        return u->foreign ? "a captive portal" : "the last try failed";
    }
    return "";
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
