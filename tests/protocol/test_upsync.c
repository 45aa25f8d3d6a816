/* When a node talks to its upstream, as transcripts: events in, states and wishes out.
 * Times in a transcript are seconds. */
#include "protocol/upsync.h"

#include <stdio.h>

#include "protocol/buf.h"
#include "tests/support/rng.h"
#include "tests/support/test.h"

#define MINUTES(n) ((n)*60 * 1000)

struct run {
    struct hm_upsync u;
    struct hm_upsync_wishes wishes; /* of the last step */
    uint64_t now_ms;
    uint64_t random;
    struct hm_buf log;
};

static void begin(struct run *r, bool paused)
{
    *r = (struct run){.now_ms = 1000000};
    hm_upsync_init(&r->u, paused);
    hm_buf_init(&r->log, 1024 * 1024);
}

static void note_time(struct run *r, const char *what, uint64_t at_ms)
{
    int64_t ms = (int64_t)(at_ms - 1000000);

    hm_buf_printf(&r->log, "%s%d", what, (int)(ms / 1000));
    if (ms % 1000 != 0) {
        hm_buf_printf(&r->log, ".%03d", (int)(ms % 1000));
    }
}

static void step_event(struct run *r, const struct hm_upsync_event *event)
{
    hm_upsync_step(&r->u, event, &r->wishes);
    note_time(r, "[", r->now_ms);
    hm_buf_printf(&r->log, "] %s", hm_upsync_state_name(r->u.state));
    hm_buf_append_str(&r->log, r->wishes.cancel_exchange ? " cancel" : "");
    if (r->wishes.start_exchange) {
        hm_buf_printf(&r->log, " start=%d", (int)r->wishes.chunk_bytes);
    }
    if (r->wishes.timer_at_ms != 0) {
        note_time(r, " timer=", r->wishes.timer_at_ms);
    }
    hm_buf_append_str(&r->log, "\n");
}

/* An event, some seconds after the last. */
static void step(struct run *r, unsigned seconds, enum hm_upsync_event_type type)
{
    struct hm_upsync_event event = {.type = type};

    r->now_ms += seconds * 1000ULL;
    event.now_ms = r->now_ms;
    event.random = r->random;
    step_event(r, &event);
}

/* The timer that stands, when it is due. */
static void timer(struct run *r)
{
    assert_true(r->wishes.timer_at_ms >= r->now_ms);
    r->now_ms = r->wishes.timer_at_ms;
    step(r, 0, HM_UPSYNC_EV_TIMER);
}

/* The exchange in flight ends a second after the last event. */
static void exchanged(struct run *r, int err, bool more, uint64_t retry_after_ms)
{
    struct hm_upsync_event event = {.type = HM_UPSYNC_EV_EXCHANGED,
                                    .random = r->random,
                                    .err = err,
                                    .more = more,
                                    .retry_after_ms = retry_after_ms,
                                    .bytes = 100,
                                    .took_ms = 1000};

    r->now_ms += 1000;
    event.now_ms = r->now_ms;
    step_event(r, &event);
}

static void check(struct run *r, const char *transcript)
{
    assert_string_equal(hm_buf_str(&r->log), transcript);
    hm_buf_clear(&r->log);
}

/* Started, first exchange over, nothing left: idle with the feed's timer, 720 s ahead
 * when random is 0. */
static void begin_idle(struct run *r)
{
    begin(r, false);
    step(r, 0, HM_UPSYNC_EV_START);
    exchanged(r, HM_OK, false, 0);
    check(r, "[0] talking start=8192\n"
             "[1] idle timer=721\n");
}

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

/* Without a link no timer: the machine sleeps until the kernel says that there is one,
 * then tries at once and from the shortest delay. */
HM_TEST(the_link_goes_and_comes)
{
    struct run r;

    begin_idle(&r);
    step(&r, 9, HM_UPSYNC_EV_SAVED);
    step(&r, 1, HM_UPSYNC_EV_LINK_DOWN);
    step(&r, 1, HM_UPSYNC_EV_SAVED);
    step(&r, 0, HM_UPSYNC_EV_TIMER); /* one that was on its way */
    step(&r, 9000, HM_UPSYNC_EV_LINK_UP);
    step(&r, 0, HM_UPSYNC_EV_LINK_UP); /* another interface */
    r.random = 59999;                  /* the whole of 30 s, or of 60 s */
    exchanged(&r, HM_NETWORK, false, 0);
    timer(&r);
    exchanged(&r, HM_NETWORK, false, 0);
    step(&r, 1, HM_UPSYNC_EV_LINK_DOWN);
    step(&r, 1, HM_UPSYNC_EV_LINK_UP);
    exchanged(&r, HM_NETWORK, false, 0);
    check(&r, "[10] waiting timer=20\n"
              "[11] idle\n"
              "[12] idle\n"
              "[12] idle\n"
              "[9012] talking start=8192\n"
              "[9012] talking\n"
              "[9013] backoff timer=9043\n"
              "[9043] talking start=4096\n"
              "[9044] backoff timer=9104\n"
              "[9045] backoff\n"
              "[9046] talking start=2048\n"
              "[9047] backoff timer=9077\n");
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
              "[3] idle\n"
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
              "[2] idle\n"
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
              "[20] idle\n"
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
};

static void world_event(struct world *w)
{
    struct hm_upsync_event *e = &w->event;
    uint64_t passes = hm_rng_below(&w->rng, 4) == 0 ? 900000 : 3000;

    e->now_ms += hm_rng_below(&w->rng, passes);
    e->random = hm_rng_next(&w->rng);
    e->type = (enum hm_upsync_event_type)(1 + hm_rng_below(&w->rng, 8));
    if (hm_rng_below(&w->rng, 60) == 0) {
        e->type = HM_UPSYNC_EV_STOP;
    }
    if (w->timer_at_ms > e->now_ms && hm_rng_below(&w->rng, 3) == 0) {
        e->now_ms = w->timer_at_ms;
        e->type = HM_UPSYNC_EV_TIMER;
    }
    e->err = hm_rng_below(&w->rng, 3) == 0 ? HM_NETWORK : HM_OK;
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
        if (w->in_flight && (e->err == HM_OK || wait_ms > 0)) {
            w->not_before_ms = wait_ms == 0 ? 0 : e->now_ms + wait_ms;
        }
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
        w->linked = e->type == HM_UPSYNC_EV_LINK_UP;
        break;
    case HM_UPSYNC_EV_STOP:
        w->stopped = true;
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
        assert_true(w->told || (w->linked && !w->paused));
        assert_true(w->event.type == HM_UPSYNC_EV_NOW || now_ms >= w->not_before_ms);
        assert_in_range(wishes.chunk_bytes, HM_UPSYNC_CHUNK_BYTES_MIN,
                        HM_UPSYNC_CHUNK_BYTES_MAX);
        w->in_flight = true;
    }
    w->told = w->told && w->in_flight;
    w->timer_at_ms = wishes.timer_at_ms;
    assert_true(!w->in_flight || w->timer_at_ms == 0);
    /* Something will wake it, soon enough, and not at once again and again. */
    assert_true(w->timer_at_ms != 0 || w->in_flight || w->paused || !w->linked);
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
