/* When a node talks to its upstream, as transcripts: events in, states and wishes out.
 * Times in a transcript are seconds. */
#include "protocol/upsync.h"

#include "tests/support/rng.h"
#include "tests/support/test.h"
#include "tests/support/upsync_run.h"

/* A save is sent 10 s after it: a person who types goes on typing. */
HM_TEST(a_save_is_sent_ten_seconds_later)
{
    struct run r;

    begin_idle(&r);
    step(&r, 9, HM_UPSYNC_EV_SAVED);
    timer(&r);
    exchanged(&r, HM_OK, false, 0);
    check(&r, "[10] waiting timer=20\n"
              "[20] talking start=8192\n"
              "[21] idle timer=741\n");
    hm_buf_deinit(&r.log);
}

/* Each save puts it off, but never beyond 60 s after the first. */
HM_TEST(many_saves_wait_a_minute_at_most)
{
    struct run r;

    begin_idle(&r);
    step(&r, 9, HM_UPSYNC_EV_SAVED);
    step(&r, 9, HM_UPSYNC_EV_SAVED);
    step(&r, 9, HM_UPSYNC_EV_SAVED);
    step(&r, 9, HM_UPSYNC_EV_TIMER); /* an old one, too early */
    step(&r, 0, HM_UPSYNC_EV_SAVED);
    step(&r, 9, HM_UPSYNC_EV_SAVED);
    step(&r, 9, HM_UPSYNC_EV_SAVED);
    step(&r, 9, HM_UPSYNC_EV_SAVED);
    timer(&r);
    exchanged(&r, HM_OK, false, 0);
    step(&r, 5, HM_UPSYNC_EV_SAVED); /* the minute counts from this one */
    check(&r, "[10] waiting timer=20\n"
              "[19] waiting timer=29\n"
              "[28] waiting timer=38\n"
              "[37] waiting timer=38\n"
              "[37] waiting timer=47\n"
              "[46] waiting timer=56\n"
              "[55] waiting timer=65\n"
              "[64] waiting timer=70\n"
              "[70] talking start=8192\n"
              "[71] idle timer=791\n"
              "[76] waiting timer=86\n");
    hm_buf_deinit(&r.log);
}

/* 15 minutes, 20 % less .. 20 % more, so that a room of laptops drifts apart. */
HM_TEST(the_feed_is_asked_for_every_quarter_of_an_hour)
{
    enum { DRAWS = 20000 };
    struct run r;
    struct hm_rng rng = {3};
    uint64_t sum_ms = 0;

    begin_idle(&r);
    r.random = 360000 - 1;
    timer(&r);
    exchanged(&r, HM_OK, false, 0);
    check(&r, "[721] talking start=8192\n"
              "[722] idle timer=1801.999\n");
    for (size_t i = 0; i < DRAWS; i++) {
        uint64_t after_ms;

        r.random = hm_rng_next(&rng);
        timer(&r);
        exchanged(&r, HM_OK, false, 0);
        after_ms = r.wishes.timer_at_ms - r.now_ms;
        assert_in_range(after_ms, MINUTES(12), MINUTES(18));
        sum_ms += after_ms;
        hm_buf_clear(&r.log);
    }
    assert_in_range(sum_ms / DRAWS, MINUTES(15) - 5000, MINUTES(15) + 5000);
    hm_buf_deinit(&r.log);
}

/* Failures double the bound of the delay up to an hour; success starts it over. */
HM_TEST(failures_back_off)
{
    static const int bound_s[] = {30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600};
    struct run r;

    begin_idle(&r);
    step(&r, 0, HM_UPSYNC_EV_NOW);
    for (size_t i = 0; i < sizeof bound_s / sizeof bound_s[0]; i++) {
        r.random = (uint64_t)bound_s[i] * 1000 - 1;
        exchanged(&r, HM_NETWORK, false, 0);
        assert_int_equal(r.u.state, HM_UPSYNC_BACKOFF);
        assert_int_equal(r.u.last_err, HM_NETWORK);
        assert_int_equal(r.wishes.timer_at_ms, r.now_ms + (uint64_t)bound_s[i] * 1000);
        step(&r, 0, HM_UPSYNC_EV_TIMER); /* too early */
        assert_int_equal(r.u.state, HM_UPSYNC_BACKOFF);
        timer(&r);
        assert_true(r.wishes.start_exchange);
    }
    exchanged(&r, HM_OK, false, 0);
    assert_int_equal(r.u.state, HM_UPSYNC_IDLE);
    assert_int_equal(r.u.last_err, HM_OK);
    step(&r, 0, HM_UPSYNC_EV_NOW);
    r.random = 30000 - 1;
    exchanged(&r, HM_NETWORK, false, 0);
    assert_int_equal(r.wishes.timer_at_ms, r.now_ms + 30000);
    r.random = 0;
    timer(&r);
    exchanged(&r, HM_NETWORK, false, 0);
    assert_int_equal(r.wishes.timer_at_ms, r.now_ms + 1); /* full jitter */
    hm_buf_deinit(&r.log);
}

/* A save doesn't jump the queue of a backoff; it goes with the next try. */
HM_TEST(a_save_waits_for_the_backoff)
{
    struct run r;

    begin_idle(&r);
    step(&r, 0, HM_UPSYNC_EV_NOW);
    r.random = 19999;
    exchanged(&r, HM_NETWORK, false, 0);
    step(&r, 1, HM_UPSYNC_EV_SAVED);
    timer(&r);
    exchanged(&r, HM_OK, false, 0);
    check(&r, "[1] talking start=8192\n"
              "[2] backoff timer=22\n"
              "[3] backoff timer=22\n"
              "[22] talking start=4096\n"
              "[23] idle timer=762.999\n");
    hm_buf_deinit(&r.log);
}

/* Without a link the machine sleeps until the kernel says that there is one, then tries
 * at once and from the shortest delay. It looks for itself once an hour. */
HM_TEST(the_link_goes_and_comes)
{
    struct run r;

    begin_idle(&r);
    step(&r, 9, HM_UPSYNC_EV_SAVED);
    step(&r, 1, HM_UPSYNC_EV_LINK_DOWN);
    step(&r, 1, HM_UPSYNC_EV_SAVED);
    step(&r, 0, HM_UPSYNC_EV_TIMER); /* one that was on its way */
    step(&r, 2000, HM_UPSYNC_EV_LINK_UP);
    step(&r, 0, HM_UPSYNC_EV_LINK_UP); /* another interface */
    r.random = 59999;                  /* the whole of 30 s, or of 60 s */
    exchanged(&r, HM_NETWORK, false, 0);
    timer(&r);
    exchanged(&r, HM_NETWORK, false, 0);
    step(&r, 1, HM_UPSYNC_EV_LINK_DOWN);
    step(&r, 1, HM_UPSYNC_EV_LINK_UP);
    exchanged(&r, HM_NETWORK, false, 0);
    check(&r, "[10] waiting timer=20\n"
              "[11] idle timer=3611\n"
              "[12] idle timer=3611\n"
              "[12] idle timer=3611\n"
              "[2012] talking start=8192\n"
              "[2012] talking\n"
              "[2013] backoff timer=2043\n"
              "[2043] talking start=4096\n"
              "[2044] backoff timer=2104\n"
              "[2045] backoff timer=5645\n"
              "[2046] talking start=2048\n"
              "[2047] backoff timer=2077\n");
    hm_buf_deinit(&r.log);
}

/* An exchange that outlives its link may still end well. */
HM_TEST(the_link_goes_during_an_exchange)
{
    struct run r;

    begin_idle(&r);
    step(&r, 0, HM_UPSYNC_EV_NOW);
    step(&r, 1, HM_UPSYNC_EV_LINK_DOWN);
    exchanged(&r, HM_OK, false, 0);
    step(&r, 1, HM_UPSYNC_EV_LINK_UP);
    check(&r, "[1] talking start=8192\n"
              "[2] talking\n"
              "[3] idle timer=3603\n"
              "[4] talking start=8192\n");
    hm_buf_deinit(&r.log);
}

HM_TEST(paused_and_resumed)
{
    struct run r;

    begin_idle(&r);
    step(&r, 9, HM_UPSYNC_EV_SAVED);
    step(&r, 0, HM_UPSYNC_EV_PAUSE);
    step(&r, 100, HM_UPSYNC_EV_SAVED);
    step(&r, 0, HM_UPSYNC_EV_LINK_DOWN);
    step(&r, 0, HM_UPSYNC_EV_LINK_UP);
    step(&r, 900, HM_UPSYNC_EV_TIMER);
    step(&r, 0, HM_UPSYNC_EV_RESUME);
    check(&r, "[10] waiting timer=20\n"
              "[10] idle\n"
              "[110] idle\n"
              "[110] idle\n"
              "[110] idle\n"
              "[1010] idle\n"
              "[1010] talking start=8192\n");
    hm_buf_deinit(&r.log);
}

/* Paused before the restart: nothing at the start. Resumed without a link: nothing
 * until there is one. */
HM_TEST(paused_from_the_start)
{
    struct run r;

    begin(&r, true);
    step(&r, 0, HM_UPSYNC_EV_START);
    step(&r, 1, HM_UPSYNC_EV_LINK_DOWN);
    step(&r, 1, HM_UPSYNC_EV_RESUME);
    step(&r, 1, HM_UPSYNC_EV_LINK_UP);
    check(&r, "[0] idle\n"
              "[1] idle\n"
              "[2] idle timer=3601\n"
              "[3] talking start=8192\n");
    hm_buf_deinit(&r.log);
}

/* A person may sync by hand while paused; a failure then waits for a person again. */
HM_TEST(sync_now_while_paused)
{
    struct run r;

    begin(&r, true);
    step(&r, 0, HM_UPSYNC_EV_START);
    step(&r, 1, HM_UPSYNC_EV_NOW);
    exchanged(&r, HM_OK, false, 0);
    step(&r, 1, HM_UPSYNC_EV_NOW);
    exchanged(&r, HM_NETWORK, false, 0);
    step(&r, 9000, HM_UPSYNC_EV_TIMER);
    step(&r, 0, HM_UPSYNC_EV_NOW);
    check(&r, "[0] idle\n"
              "[1] talking start=8192\n"
              "[2] idle\n"
              "[3] talking start=8192\n"
              "[4] backoff\n"
              "[9004] backoff\n"
              "[9004] talking start=4096\n");
    hm_buf_deinit(&r.log);
}

/* It doesn't wait for a backoff either, and the next failure counts as the first. */
HM_TEST(sync_now_in_a_backoff)
{
    struct run r;

    begin_idle(&r);
    r.random = 59999;
    step(&r, 0, HM_UPSYNC_EV_NOW);
    exchanged(&r, HM_NETWORK, false, 0);
    step(&r, 1, HM_UPSYNC_EV_NOW);
    exchanged(&r, HM_NETWORK, false, 0);
    check(&r, "[1] talking start=8192\n"
              "[2] backoff timer=32\n"
              "[3] talking start=4096\n"
              "[4] backoff timer=34\n");
    hm_buf_deinit(&r.log);
}

/* What is saved while a request is under way may not be in it: it waits its 10 s. One
 * that has waited long enough goes at once. */
HM_TEST(saved_during_an_exchange)
{
    struct run r;

    begin_idle(&r);
    step(&r, 0, HM_UPSYNC_EV_NOW);
    step(&r, 2, HM_UPSYNC_EV_SAVED);
    exchanged(&r, HM_OK, false, 0);
    timer(&r);
    step(&r, 2, HM_UPSYNC_EV_SAVED);
    step(&r, 50, HM_UPSYNC_EV_SAVED);
    step(&r, 20, HM_UPSYNC_EV_LINK_UP);
    exchanged(&r, HM_OK, false, 0);
    step(&r, 0, HM_UPSYNC_EV_TIMER);
    check(&r, "[1] talking start=8192\n"
              "[3] talking\n"
              "[4] waiting timer=13\n"
              "[13] talking start=8192\n"
              "[15] talking\n"
              "[65] talking\n"
              "[85] talking\n"
              "[86] waiting timer=75\n"
              "[86] talking start=8192\n");
    hm_buf_deinit(&r.log);
}

/* More to move: at once, until nothing is left. */
HM_TEST(goes_on_while_there_is_more)
{
    struct run r;

    begin(&r, false);
    step(&r, 0, HM_UPSYNC_EV_START);
    exchanged(&r, HM_OK, true, 0);
    exchanged(&r, HM_OK, true, 0);
    exchanged(&r, HM_OK, false, 0);
    check(&r, "[0] talking start=8192\n"
              "[1] talking start=8192\n"
              "[2] talking start=8192\n"
              "[3] idle timer=723\n");
    hm_buf_deinit(&r.log);
}

/* Stopped is final: a late result, a timer, a person change nothing. */
HM_TEST(stopped)
{
    struct run r;

    begin_idle(&r);
    step(&r, 0, HM_UPSYNC_EV_NOW);
    step(&r, 0, HM_UPSYNC_EV_STOP);
    exchanged(&r, HM_OK, true, 0);
    check(&r, "[1] talking start=8192\n"
              "[1] stopped cancel\n"
              "[2] stopped\n");
    for (int type = HM_UPSYNC_EV_START; type <= HM_UPSYNC_EV_STOP; type++) {
        step(&r, 0, (enum hm_upsync_event_type)type);
        assert_int_equal(r.u.state, HM_UPSYNC_STOPPED);
        assert_false(r.wishes.start_exchange || r.wishes.cancel_exchange);
        assert_int_equal(r.wishes.timer_at_ms, 0);
    }
    hm_buf_deinit(&r.log);
    begin_idle(&r);
    step(&r, 0, HM_UPSYNC_EV_STOP);
    check(&r, "[1] stopped\n");
    hm_buf_deinit(&r.log);
}

/* A failure's delay is never shorter than what the server asks for. */
HM_TEST(the_server_says_when)
{
    struct run r;

    begin_idle(&r);
    step(&r, 0, HM_UPSYNC_EV_NOW);
    exchanged(&r, HM_AGAIN, false, 100 * 1000);
    timer(&r);
    r.random = 59999;
    exchanged(&r, HM_AGAIN, false, 20 * 1000);
    timer(&r);
    exchanged(&r, HM_OK, false, MINUTES(40));
    check(&r, "[1] talking start=8192\n"
              "[2] backoff timer=102\n"
              "[102] talking start=4096\n"
              "[103] backoff timer=163\n"
              "[163] talking start=2048\n"
              "[164] idle timer=2564\n");
    hm_buf_deinit(&r.log);
}

/* An exchange of bytes in took_ms, and what the next may be. */
static size_t chunk_after(struct run *r, int err, uint64_t bytes, uint64_t took_ms)
{
    struct hm_upsync_event event = {.type = HM_UPSYNC_EV_EXCHANGED,
                                    .now_ms = r->now_ms,
                                    .err = err,
                                    .bytes = bytes,
                                    .took_ms = took_ms};

    step(r, 0, HM_UPSYNC_EV_NOW);
    step_event(r, &event);
    step(r, 0, HM_UPSYNC_EV_NOW);
    assert_true(r->wishes.start_exchange);
    event.err = HM_OK;
    event.bytes = 0;
    step_event(r, &event);
    hm_buf_clear(&r->log);
    return r->u.chunk_bytes;
}

/* 0.8 x goodput x 8 s, 2 kB .. 1 MB: a chunk gets through on a link that lives ten
 * seconds. */
HM_TEST(a_chunk_takes_eight_seconds)
{
    struct run r;

    begin_idle(&r);
    assert_int_equal(r.u.chunk_bytes, 8192);
    assert_int_equal(chunk_after(&r, HM_OK, 10000, 4000), 16000);
    assert_int_equal(chunk_after(&r, HM_OK, 7999, 1), 16000); /* too small to measure */
    assert_int_equal(chunk_after(&r, HM_OK, 8000, 16000), 3200);
    assert_int_equal(chunk_after(&r, HM_NETWORK, 0, 0), 2048);
    assert_int_equal(chunk_after(&r, HM_NETWORK, 1000000, 1), 2048);
    assert_int_equal(chunk_after(&r, HM_OK, 1024, 1000000), 2048);
    assert_int_equal(chunk_after(&r, HM_OK, 1024, 0), 1024 * 1024);
    assert_int_equal(chunk_after(&r, HM_NETWORK, 0, 0), 512 * 1024);
    assert_int_equal(chunk_after(&r, HM_OK, 1ULL << 61, 1), 1024 * 1024);
    assert_int_equal(chunk_after(&r, HM_OK, UINT64_MAX, UINT64_MAX), 2048);
    hm_buf_deinit(&r.log);
}

/* Each state has a name for the log and the page, each its own. */
HM_TEST(states_have_names)
{
    for (int a = HM_UPSYNC_IDLE; a <= HM_UPSYNC_STOPPED; a++) {
        for (int b = HM_UPSYNC_IDLE; b < a; b++) {
            assert_string_not_equal(hm_upsync_state_name((enum hm_upsync_state)a),
                                    hm_upsync_state_name((enum hm_upsync_state)b));
        }
    }
}

/* Saves that wait when the feed is due go with it; the timer doesn't spin until the
 * saves are due. */
HM_TEST(saves_go_with_the_feed)
{
    struct run r;

    begin_idle(&r);
    step(&r, 715, HM_UPSYNC_EV_SAVED);
    timer(&r);
    exchanged(&r, HM_OK, false, 0);
    check(&r, "[716] waiting timer=721\n"
              "[721] talking start=8192\n"
              "[722] idle timer=1442\n");
    hm_buf_deinit(&r.log);
}

/* "Paused" must be true at the latest with the next exchange, however much is left; the
 * same for a link that has gone. */
HM_TEST(more_waits_for_resume_and_link)
{
    struct run r;

    begin_idle(&r);
    step(&r, 0, HM_UPSYNC_EV_NOW);
    exchanged(&r, HM_OK, false, 0);
    step(&r, 8, HM_UPSYNC_EV_LINK_UP);
    step(&r, 0, HM_UPSYNC_EV_PAUSE);
    exchanged(&r, HM_OK, true, 0);
    step(&r, 8, HM_UPSYNC_EV_RESUME);
    step(&r, 0, HM_UPSYNC_EV_LINK_DOWN);
    exchanged(&r, HM_OK, true, 0);
    step(&r, 0, HM_UPSYNC_EV_LINK_UP);
    check(&r, "[1] talking start=8192\n"
              "[2] idle timer=722\n"
              "[10] talking start=8192\n"
              "[10] talking\n"
              "[11] idle\n"
              "[19] talking start=8192\n"
              "[19] talking\n"
              "[20] idle timer=3620\n"
              "[20] talking start=8192\n");
    hm_buf_deinit(&r.log);
}

/* What a person starts while paused is carried to its end. */
HM_TEST(sync_now_while_paused_moves_all)
{
    struct run r;

    begin(&r, true);
    step(&r, 0, HM_UPSYNC_EV_START);
    step(&r, 0, HM_UPSYNC_EV_NOW);
    exchanged(&r, HM_OK, true, 0);
    exchanged(&r, HM_OK, false, 0);
    check(&r, "[0] idle\n"
              "[0] talking start=8192\n"
              "[1] talking start=8192\n"
              "[2] idle\n");
    hm_buf_deinit(&r.log);
}

/* A person who saves and says "sync now" means that save: the exchange in flight may
 * have begun before it, so one more follows. */
HM_TEST(sync_now_during_an_exchange)
{
    struct run r;

    begin(&r, false);
    step(&r, 0, HM_UPSYNC_EV_START);
    step(&r, 1, HM_UPSYNC_EV_SAVED);
    step(&r, 1, HM_UPSYNC_EV_NOW);
    exchanged(&r, HM_OK, false, 0);
    exchanged(&r, HM_OK, false, 0);
    check(&r, "[0] talking start=8192\n"
              "[1] talking\n"
              "[2] talking\n"
              "[3] talking start=8192\n"
              "[4] idle timer=724\n");
    hm_buf_deinit(&r.log);
}

/* A busy server's wish holds for saves, for what is left and for a link that comes up
 * too, or all laptops of a commune knock when its power is back. A person may still. */
HM_TEST(the_server_wish_wins)
{
    struct run r;

    begin(&r, false);
    step(&r, 0, HM_UPSYNC_EV_START);
    exchanged(&r, HM_OK, true, 100 * 1000);
    step(&r, 1, HM_UPSYNC_EV_SAVED);
    step(&r, 1, HM_UPSYNC_EV_LINK_UP);
    timer(&r);
    exchanged(&r, HM_AGAIN, false, 200 * 1000);
    step(&r, 1, HM_UPSYNC_EV_LINK_UP);
    step(&r, 0, HM_UPSYNC_EV_PAUSE);
    step(&r, 0, HM_UPSYNC_EV_RESUME);
    step(&r, 0, HM_UPSYNC_EV_NOW);
    exchanged(&r, HM_NETWORK, false, 0); /* it has said nothing else since */
    step(&r, 0, HM_UPSYNC_EV_LINK_UP);
    timer(&r);
    exchanged(&r, HM_OK, false, 0);
    step(&r, 0, HM_UPSYNC_EV_LINK_UP);
    check(&r, "[0] talking start=8192\n"
              "[1] idle timer=101\n"
              "[2] waiting timer=101\n"
              "[3] waiting timer=101\n"
              "[101] talking start=8192\n"
              "[102] backoff timer=302\n"
              "[103] backoff timer=302\n"
              "[103] backoff\n"
              "[103] backoff timer=302\n"
              "[103] talking start=4096\n"
              "[104] backoff timer=302\n"
              "[104] backoff timer=302\n"
              "[302] talking start=2048\n"
              "[303] idle timer=1023\n"
              "[303] talking start=2048\n");
    hm_buf_deinit(&r.log);
}

/* A server that says nonsense silences a node for a day, not for ever. */
HM_TEST(the_server_wish_ends)
{
    struct run r;

    begin(&r, false);
    step(&r, 0, HM_UPSYNC_EV_START);
    exchanged(&r, HM_OK, false, UINT64_MAX / 2);
    timer(&r);
    exchanged(&r, HM_OK, true, UINT64_MAX);
    timer(&r);
    exchanged(&r, HM_AGAIN, false, UINT64_MAX);
    check(&r, "[0] talking start=8192\n"
              "[1] idle timer=86401\n"
              "[86401] talking start=8192\n"
              "[86402] idle timer=172802\n"
              "[172802] talking start=8192\n"
              "[172803] backoff timer=259203\n");
    hm_buf_deinit(&r.log);
}

/* The last word counts: a pause ends what a person started before it. */
HM_TEST(paused_after_sync_now)
{
    struct run r;

    begin_idle(&r);
    step(&r, 0, HM_UPSYNC_EV_NOW);
    step(&r, 0, HM_UPSYNC_EV_NOW);
    step(&r, 0, HM_UPSYNC_EV_PAUSE);
    exchanged(&r, HM_OK, true, 0);
    check(&r, "[1] talking start=8192\n"
              "[1] talking\n"
              "[1] talking\n"
              "[2] idle\n");
    hm_buf_deinit(&r.log);
}
