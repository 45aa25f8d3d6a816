#include "tests/support/upsync_run.h"

#include "tests/support/test.h"

void begin(struct run *r, bool paused)
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

void step_event(struct run *r, const struct hm_upsync_event *event)
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

void step(struct run *r, unsigned seconds, enum hm_upsync_event_type type)
{
    struct hm_upsync_event event = {.type = type};

    r->now_ms += seconds * 1000ULL;
    event.now_ms = r->now_ms;
    event.random = r->random;
    step_event(r, &event);
}

void timer(struct run *r)
{
    assert_true(r->wishes.timer_at_ms >= r->now_ms);
    r->now_ms = r->wishes.timer_at_ms;
    step(r, 0, HM_UPSYNC_EV_TIMER);
}

void exchanged(struct run *r, int err, bool more, uint64_t retry_after_ms)
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

void check(struct run *r, const char *transcript)
{
    assert_string_equal(hm_buf_str(&r->log), transcript);
    hm_buf_clear(&r->log);
}

void begin_idle(struct run *r)
{
    begin(r, false);
    step(r, 0, HM_UPSYNC_EV_START);
    exchanged(r, HM_OK, false, 0);
    check(r, "[0] talking start=8192\n"
             "[1] idle timer=721\n");
}
