/* When a node talks to its upstream: portals, refusals, windows, links that cost; as
 * transcripts like those of test_upsync.c. */
#include "tests/support/test.h"
#include "tests/support/upsync_run.h"

static void exchanged_with(struct run *r, struct hm_upsync_event event)
{
    event.type = HM_UPSYNC_EV_EXCHANGED;
    event.random = r->random;
    event.bytes = 100;
    event.took_ms = 1000;
    r->now_ms += 1000;
    event.now_ms = r->now_ms;
    step_event(r, &event);
}

static void window(struct run *r, unsigned seconds, unsigned opens_at)
{
    struct hm_upsync_event event = {.type = HM_UPSYNC_EV_WINDOW};

    r->now_ms += seconds * 1000ULL;
    event.now_ms = r->now_ms;
    event.opens_at_ms = opens_at == 0 ? 0 : 1000000 + opens_at * 1000ULL;
    step_event(r, &event);
}

static void cost(struct run *r, unsigned seconds, enum hm_upsync_cost what)
{
    struct hm_upsync_event event = {.type = HM_UPSYNC_EV_COST, .cost = what};

    r->now_ms += seconds * 1000ULL;
    event.now_ms = r->now_ms;
    step_event(r, &event);
}

static void waits_for(const struct run *r, const char *text)
{
    assert_string_equal(hm_upsync_waits_for(&r->u, r->now_ms), text);
}

/* A portal goes by a sign-in in a browser: the tries stay close, however many fail, and
 * what it says of times to come back is not the hub's word. */
HM_TEST(a_portal_is_tried_again_soon)
{
    struct run r;

    begin_idle(&r);
    r.random = 119999;
    for (int i = 0; i < 6; i++) {
        step(&r, 0, HM_UPSYNC_EV_TIMER);
        timer(&r);
        hm_buf_clear(&r.log);
        exchanged_with(&r, (struct hm_upsync_event){.err = HM_DENIED,
                                                    .foreign = true,
                                                    .retry_after_ms = MINUTES(600)});
        assert_int_equal(r.u.state, HM_UPSYNC_BACKOFF);
        assert_in_range(r.wishes.timer_at_ms, r.now_ms + 1, r.now_ms + MINUTES(2));
        waits_for(&r, "a captive portal");
    }
    timer(&r);
    exchanged(&r, HM_OK, false, 0);
    waits_for(&r, "");
    hm_buf_deinit(&r.log);
}

/* One whom the hub does not know asks again once or twice an hour, whatever links and
 * saves do; a person may at once. */
HM_TEST(the_unknown_do_not_hammer)
{
    struct run r;

    begin_idle(&r);
    step(&r, 1, HM_UPSYNC_EV_NOW);
    exchanged(&r, HM_DENIED, false, 0);
    waits_for(&r, "this node is not known at the hub");
    step(&r, 1, HM_UPSYNC_EV_SAVED);
    step(&r, 1, HM_UPSYNC_EV_LINK_DOWN);
    step(&r, 1, HM_UPSYNC_EV_LINK_UP);
    step(&r, 1, HM_UPSYNC_EV_NOW);
    exchanged(&r, HM_DENIED, false, 0);
    timer(&r);
    check(&r, "[2] talking start=8192\n"
              "[3] backoff timer=1803\n"
              "[4] backoff timer=1803\n"
              "[5] backoff timer=3605\n"
              "[6] backoff timer=1803\n"
              "[7] talking start=4096\n"
              "[8] backoff timer=1808\n"
              "[1808] talking start=2048\n");
    hm_buf_deinit(&r.log);
}

/* Outside of the windows saves wait; the first moment of one sends them. A person is
 * not bound to them, and what a person started is carried to its end. */
HM_TEST(windows_hold_what_nobody_asked_for)
{
    struct run r;

    begin_idle(&r);
    window(&r, 9, 5000);
    waits_for(&r, "outside the sync windows");
    step(&r, 1, HM_UPSYNC_EV_SAVED);
    step(&r, 100, HM_UPSYNC_EV_TIMER);
    step(&r, 1, HM_UPSYNC_EV_LINK_UP);
    step(&r, 1, HM_UPSYNC_EV_NOW);
    exchanged(&r, HM_OK, true, 0);
    exchanged(&r, HM_OK, false, 0);
    step(&r, 1, HM_UPSYNC_EV_SAVED);
    timer(&r);
    exchanged(&r, HM_OK, true, 0);
    window(&r, 0, 9000);
    exchanged(&r, HM_OK, true, 0); /* it shuts in the middle */
    window(&r, 10, 0);             /* the clock was set */
    check(&r, "[10] idle timer=5000\n"
              "[11] waiting timer=5000\n"
              "[111] waiting timer=5000\n"
              "[112] waiting timer=5000\n"
              "[113] talking start=8192\n"
              "[114] talking start=8192\n"
              "[115] idle timer=5000\n"
              "[116] waiting timer=5000\n"
              "[5000] talking start=8192\n"
              "[5001] talking start=8192\n"
              "[5001] talking\n"
              "[5002] idle timer=9000\n"
              "[5012] talking start=8192\n");
    hm_buf_deinit(&r.log);
}

/* A window that opens is no reason by itself. */
HM_TEST(an_open_window_starts_only_what_is_due)
{
    struct run r;

    begin_idle(&r);
    window(&r, 9, 50);
    window(&r, 30, 0);
    check(&r, "[10] idle timer=721\n"
              "[40] idle timer=721\n");
    hm_buf_deinit(&r.log);
}

/* Small things only: own changes go as ever, down to the last; of what is new, 16 kB
 * and not more until four hours later. */
HM_TEST(a_link_that_costs_carries_small_things)
{
    struct run r;

    begin_idle(&r);
    r.u.chunk_bytes = HM_UPSYNC_CHUNK_BYTES_MAX;
    cost(&r, 9, HM_UPSYNC_COST_SMALL);
    step(&r, 1, HM_UPSYNC_EV_SAVED);
    timer(&r);
    exchanged_with(&r, (struct hm_upsync_event){.more = true, .sends = true});
    exchanged_with(&r, (struct hm_upsync_event){.more = true});
    timer(&r);
    exchanged(&r, HM_OK, true, 0);
    step(&r, 1, HM_UPSYNC_EV_NOW);
    exchanged(&r, HM_OK, true, 0);
    exchanged(&r, HM_OK, false, 0);
    cost(&r, 1, HM_UPSYNC_COST_ALL);
    check(&r, "[10] idle timer=14221\n"
              "[11] waiting timer=21\n"
              "[21] talking start=16384\n"
              "[22] talking start=16384\n"
              "[23] idle timer=13523\n"
              "[13523] talking start=16384\n"
              "[13524] idle timer=27024\n"
              "[13525] talking start=1048576\n"
              "[13526] talking start=1048576\n"
              "[13527] idle timer=27747\n"
              "[13528] idle timer=14247\n");
    hm_buf_deinit(&r.log);
}

/* Nothing at all, but a person may; when it costs nothing any more, at once. */
HM_TEST(a_link_that_costs_may_carry_nothing)
{
    struct run r;

    begin_idle(&r);
    cost(&r, 9, HM_UPSYNC_COST_NOTHING);
    waits_for(&r, "the link costs");
    step(&r, 1, HM_UPSYNC_EV_SAVED);
    timer(&r);
    step(&r, 1, HM_UPSYNC_EV_NOW);
    exchanged(&r, HM_OK, false, 0);
    step(&r, 1, HM_UPSYNC_EV_SAVED);
    cost(&r, 1, HM_UPSYNC_COST_ALL);
    check(&r, "[10] idle timer=3610\n"
              "[11] idle timer=3610\n"
              "[3610] idle timer=7210\n"
              "[3611] talking start=8192\n"
              "[3612] idle timer=7212\n"
              "[3613] idle timer=7212\n"
              "[3614] talking start=8192\n");
    hm_buf_deinit(&r.log);
}

HM_TEST(why_it_waits_is_said)
{
    struct run r;

    begin_idle(&r);
    waits_for(&r, "");
    step(&r, 1, HM_UPSYNC_EV_LINK_DOWN);
    waits_for(&r, "no link");
    step(&r, 1, HM_UPSYNC_EV_PAUSE);
    waits_for(&r, "paused");
    step(&r, 1, HM_UPSYNC_EV_RESUME);
    step(&r, 1, HM_UPSYNC_EV_LINK_UP);
    waits_for(&r, ""); /* it talks */
    exchanged(&r, HM_AGAIN, false, MINUTES(90));
    waits_for(&r, "the hub asked to wait");
    step(&r, 1, HM_UPSYNC_EV_NOW);
    exchanged(&r, HM_NETWORK, false, 0);
    waits_for(&r, "the hub asked to wait");
    timer(&r);
    exchanged(&r, HM_NETWORK, false, 0);
    waits_for(&r, "the last try failed");
    hm_buf_deinit(&r.log);
}

/* A link that lives for a moment at a time: what broke off is not tried again in the
 * same size, and grows by a quarter after four that went through. */
HM_TEST(a_chunk_that_broke_off_grows_slowly)
{
    struct run r;

    begin_idle(&r);
    r.u.chunk_bytes = 24000;
    step(&r, 1, HM_UPSYNC_EV_NOW);
    r.now_ms += 1000;
    step_event(&r, &(struct hm_upsync_event){.type = HM_UPSYNC_EV_EXCHANGED,
                                             .now_ms = r.now_ms,
                                             .err = HM_NETWORK,
                                             .bytes = 1});
    assert_int_equal(r.u.chunk_bytes, 12000);
    for (int i = 0; i < 8; i++) {
        step(&r, 1, HM_UPSYNC_EV_NOW);
        assert_int_equal(r.wishes.chunk_bytes, i < 4 ? 12000 : 15000);
        r.now_ms += 1000;
        step_event(&r, &(struct hm_upsync_event){.type = HM_UPSYNC_EV_EXCHANGED,
                                                 .now_ms = r.now_ms,
                                                 .bytes = 15000,
                                                 .took_ms = 1000});
    }
    assert_int_equal(r.u.chunk_bytes, 18750);
    /* What the link's speed allows is the end of it. */
    step(&r, 1, HM_UPSYNC_EV_NOW);
    r.now_ms += 1000;
    step_event(&r, &(struct hm_upsync_event){.type = HM_UPSYNC_EV_EXCHANGED,
                                             .now_ms = r.now_ms,
                                             .bytes = 10000,
                                             .took_ms = 5000});
    assert_int_equal(r.u.chunk_bytes, 12800);
    assert_false(r.u.careful);
    hm_buf_deinit(&r.log);
}
