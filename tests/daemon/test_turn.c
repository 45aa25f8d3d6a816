#include "daemon/turn.h"

#include <time.h>

#include "tests/support/http.h"
#include "tests/support/test.h"

static uint64_t cpu_ms(void)
{
    struct timespec now;

    CHECK_OK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now));
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Computes for about 30 ms, from within a poll, a timer or whatever calls it. */
static void compute(void)
{
    uint64_t start = cpu_ms();

    while (cpu_ms() < start + 30) {
    }
}

static void on_async(uv_async_t *async)
{
    compute();
    uv_close((uv_handle_t *)async, NULL);
}

static void on_timer(uv_timer_t *timer)
{
    compute();
    uv_close((uv_handle_t *)timer, NULL);
}

static uint64_t sum_of(const struct hm_turn_stats *stats, unsigned from)
{
    uint64_t sum = 0;

    for (unsigned i = from; i < HM_TURN_BUCKETS; i++) {
        sum += stats->counts[i];
    }
    return sum;
}

/* A timer that computes long must show, and the wait between turns must not. */
HM_TEST(long_turn_shows)
{
    struct hm_turn turn;
    struct hm_turn_stats stats;
    uv_timer_t timer;
    uv_loop_t loop;

    CHECK_OK(uv_loop_init(&loop));
    hm_turn_init(&turn, &loop);
    hm_test_spin_ms(&loop, 60); /* waiting */
    stats = hm_turn_stats(&turn);
    assert_int_equal(sum_of(&stats, 4), 0);
    CHECK_OK(uv_timer_init(&loop, &timer));
    CHECK_OK(uv_timer_start(&timer, on_timer, 1, 0));
    hm_test_spin_ms(&loop, 60);
    hm_test_spin_ms(&loop, 1); /* a slow machine may end the wait within that turn */
    stats = hm_turn_stats(&turn);
    assert_true(stats.max_ns > 20U * 1000000U);
    assert_int_equal(sum_of(&stats, 5), 1);
    assert_int_equal(sum_of(&stats, 0), stats.turns);
    hm_turn_reset(&turn);
    stats = hm_turn_stats(&turn);
    assert_int_equal(stats.turns + stats.max_ns + stats.sum_ns, 0);
    hm_turn_close(&turn, NULL);
    hm_test_loop_end(&loop);
}

/* Work in a callback of a descriptor, which is where requests are served. */
HM_TEST(work_on_io_shows)
{
    struct hm_turn turn;
    struct hm_turn_stats stats;
    uv_async_t async;
    uv_loop_t loop;

    CHECK_OK(uv_loop_init(&loop));
    hm_turn_init(&turn, &loop);
    CHECK_OK(uv_async_init(&loop, &async, on_async));
    CHECK_OK(uv_async_send(&async));
    hm_test_spin_ms(&loop, 60);
    hm_test_spin_ms(&loop, 1); /* a slow machine may end the wait within that turn */
    stats = hm_turn_stats(&turn);
    assert_int_equal(sum_of(&stats, 5), 1);
    hm_turn_close(&turn, NULL);
    hm_test_loop_end(&loop);
}

HM_TEST(buckets)
{
    struct hm_turn_stats stats = {0};

    hm_turn_stats_add(&stats, 0);
    hm_turn_stats_add(&stats, 1000000);
    hm_turn_stats_add(&stats, 1000001);
    hm_turn_stats_add(&stats, 100U * 1000000U);
    hm_turn_stats_add(&stats, 100U * 1000000U + 1);
    hm_turn_stats_add(&stats, UINT64_C(5000000000));
    assert_int_equal(stats.counts[0], 2);
    assert_int_equal(stats.counts[1], 1);
    assert_int_equal(stats.counts[6], 1);
    assert_int_equal(stats.counts[7], 2);
    assert_int_equal(stats.turns, 6);
    assert_int_equal(stats.max_ns, UINT64_C(5000000000));
}
