/* The rules of protocol/upsync.h, in a world that breaks every habit. */
#include "protocol/upsync.h"

#include "protocol/err.h"
#include "tests/support/rng.h"
#include "tests/support/test.h"

/* What must hold whatever happens, and a world that breaks every habit: late timers,
 * late results, links that flap, servers with wishes. */
struct world {
    struct hm_upsync u;
    struct hm_rng rng;
    struct hm_upsync_event event;
    uint64_t timer_at_ms;
    uint64_t not_before_ms; /* of the last answer that came through */
    bool in_flight;
    bool told; /* the exchange in flight belongs to a person's wish */
    bool paused;
    bool linked;
    bool stopped;
    uint64_t blind_at_ms; /* since then nothing was tried without a link */
    uint64_t opens_at_ms;
    enum hm_upsync_cost cost;
};

static void world_event(struct world *w)
{
    struct hm_upsync_event *e = &w->event;
    uint64_t passes = hm_rng_below(&w->rng, 4) == 0 ? 900000 : 3000;

    e->now_ms += hm_rng_below(&w->rng, passes);
    e->random = hm_rng_next(&w->rng);
    e->type = (enum hm_upsync_event_type)(1 + hm_rng_below(&w->rng, 8));
    if (hm_rng_below(&w->rng, 8) == 0) {
        e->type =
            hm_rng_below(&w->rng, 2) == 0 ? HM_UPSYNC_EV_WINDOW : HM_UPSYNC_EV_COST;
    }
    if (hm_rng_below(&w->rng, 60) == 0) {
        e->type = HM_UPSYNC_EV_STOP;
    }
    e->opens_at_ms =
        hm_rng_below(&w->rng, 2) == 0 ? 0 : e->now_ms + hm_rng_below(&w->rng, 86400000);
    e->cost = (enum hm_upsync_cost)hm_rng_below(&w->rng, 3);
    e->sends = hm_rng_below(&w->rng, 2) == 0;
    e->foreign = hm_rng_below(&w->rng, 4) == 0;
    if (w->timer_at_ms > e->now_ms && hm_rng_below(&w->rng, 3) == 0) {
        e->now_ms = w->timer_at_ms;
        e->type = HM_UPSYNC_EV_TIMER;
    }
    e->err = hm_rng_below(&w->rng, 3) != 0   ? HM_OK
             : hm_rng_below(&w->rng, 2) == 0 ? HM_DENIED
                                             : HM_NETWORK;
    e->foreign = e->foreign && e->err != HM_OK;
    e->more = hm_rng_below(&w->rng, 3) == 0;
    e->retry_after_ms = hm_rng_below(&w->rng, 4) == 0 ? hm_rng_wide(&w->rng) : 0;
    e->bytes = hm_rng_wide(&w->rng);
    e->took_ms = hm_rng_wide(&w->rng);
}

/* What the event means to the world, before the machine hears of it. */
static void world_hears(struct world *w)
{
    const struct hm_upsync_event *e = &w->event;
    uint64_t wait_ms = e->retry_after_ms < HM_BACKOFF_SERVER_MS_MAX
                           ? e->retry_after_ms
                           : HM_BACKOFF_SERVER_MS_MAX;

    switch (e->type) {
    case HM_UPSYNC_EV_EXCHANGED:
        if (w->in_flight && !e->foreign && (e->err == HM_OK || wait_ms > 0)) {
            w->not_before_ms = wait_ms == 0 ? 0 : e->now_ms + wait_ms;
        } else if (w->in_flight && !e->foreign && e->err == HM_DENIED) {
            w->not_before_ms = e->now_ms + HM_UPSYNC_DENIED_MS;
        }
        w->blind_at_ms = w->in_flight ? e->now_ms : w->blind_at_ms;
        w->told = w->told && w->in_flight && e->err == HM_OK && wait_ms == 0;
        w->in_flight = false;
        break;
    case HM_UPSYNC_EV_NOW:
        w->told = true;
        break;
    case HM_UPSYNC_EV_PAUSE:
        w->paused = true;
        w->told = false;
        break;
    case HM_UPSYNC_EV_RESUME:
        w->paused = false;
        break;
    case HM_UPSYNC_EV_LINK_UP:
    case HM_UPSYNC_EV_LINK_DOWN:
        if (w->linked) {
            w->blind_at_ms = e->now_ms;
        }
        w->linked = e->type == HM_UPSYNC_EV_LINK_UP;
        break;
    case HM_UPSYNC_EV_STOP:
        w->stopped = true;
        break;
    case HM_UPSYNC_EV_WINDOW:
        w->opens_at_ms = e->opens_at_ms;
        break;
    case HM_UPSYNC_EV_COST:
        w->cost = e->cost;
        break;
    case HM_UPSYNC_EV_START:
    case HM_UPSYNC_EV_SAVED:
    case HM_UPSYNC_EV_TIMER:
        break;
    }
}

static void world_step(struct world *w)
{
    struct hm_upsync_wishes wishes;
    uint64_t now_ms = w->event.now_ms;

    world_hears(w);
    hm_upsync_step(&w->u, &w->event, &wishes);
    assert_int_equal(wishes.cancel_exchange, w->stopped && w->in_flight);
    if (wishes.cancel_exchange || w->stopped) {
        assert_false(wishes.start_exchange);
        assert_int_equal(wishes.timer_at_ms, 0);
        w->in_flight = false;
        return;
    }
    if (wishes.start_exchange) {
        assert_false(w->in_flight);
        assert_true(w->told || !w->paused);
        assert_true(w->told || w->linked ||
                    now_ms >= w->blind_at_ms + HM_UPSYNC_BLIND_MS);
        assert_true(w->told || now_ms >= w->opens_at_ms);
        assert_true(w->told || w->cost != HM_UPSYNC_COST_NOTHING);
        assert_true(w->told || w->cost != HM_UPSYNC_COST_SMALL ||
                    wishes.chunk_bytes <= HM_UPSYNC_METERED_CHUNK_BYTES);
        assert_true(w->event.type == HM_UPSYNC_EV_NOW || now_ms >= w->not_before_ms);
        assert_in_range(wishes.chunk_bytes, HM_UPSYNC_CHUNK_BYTES_MIN,
                        HM_UPSYNC_CHUNK_BYTES_MAX);
        w->in_flight = true;
    }
    w->told = w->told && w->in_flight;
    w->timer_at_ms = wishes.timer_at_ms;
    assert_true(!w->in_flight || w->timer_at_ms == 0);
    /* Something will wake it, soon enough, and not at once again and again. */
    assert_true(w->timer_at_ms != 0 || w->in_flight || w->paused);
    assert_true(w->timer_at_ms <= now_ms + HM_BACKOFF_SERVER_MS_MAX);
    if (w->event.type == HM_UPSYNC_EV_TIMER) {
        assert_true(w->timer_at_ms == 0 || w->timer_at_ms > now_ms);
    }
}

HM_TEST(never_silent_and_never_twice)
{
    for (uint64_t seed = 0; seed < 100000; seed++) {
        struct world w = {.rng = {seed}, .linked = true, .paused = seed % 5 == 0};

        hm_upsync_init(&w.u, w.paused);
        w.event =
            (struct hm_upsync_event){.type = HM_UPSYNC_EV_START, .now_ms = seed % 7};
        world_step(&w);
        for (int i = 0; i < 60; i++) {
            world_event(&w);
            world_step(&w);
        }
    }
}
