/* Happy path: prepare runs once in each iteration of the loop, before the wait. A turn
 * is the CPU time from one to the next: the wait between them costs none. (From check
 * to prepare would miss the callbacks of descriptors: libuv runs them before check.)
 * Failures: none. Close: the handle, then closed(). */
#include "daemon/turn.h"

#include <string.h>
#include <time.h>

const unsigned hm_turn_bounds_ms[HM_TURN_BUCKETS - 1] = {1, 2, 5, 10, 20, 50, 100};

static uint64_t cpu_ns(void)
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now); /* Linux always has it */
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

void hm_turn_stats_add(struct hm_turn_stats *stats, uint64_t ns)
{
    unsigned bucket = 0;

    while (bucket < HM_TURN_BUCKETS - 1 &&
           ns > (uint64_t)hm_turn_bounds_ms[bucket] * 1000000U) {
        bucket++;
    }
    stats->counts[bucket]++;
    stats->turns++;
    stats->sum_ns += ns;
    stats->max_ns = ns > stats->max_ns ? ns : stats->max_ns;
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct hm_turn *turn = prepare->data;
    uint64_t now_ns = cpu_ns();

    if (turn->counting) {
        hm_turn_stats_add(&turn->stats, now_ns - turn->start_ns);
    }
    turn->counting = true;
    turn->start_ns = now_ns;
}

void hm_turn_init(struct hm_turn *turn, uv_loop_t *loop)
{
    memset(turn, 0, sizeof *turn);
    (void)uv_prepare_init(loop, &turn->prepare); /* neither can fail */
    turn->prepare.data = turn;
    (void)uv_prepare_start(&turn->prepare, on_prepare);
    uv_unref((uv_handle_t *)&turn->prepare);
}

struct hm_turn_stats hm_turn_stats(const struct hm_turn *turn)
{
    return turn->stats;
}

void hm_turn_reset(struct hm_turn *turn)
{
    turn->stats = (struct hm_turn_stats){0};
}

static void on_closed(uv_handle_t *handle)
{
    struct hm_turn *turn = handle->data;

    if (turn->closed != NULL) {
        turn->closed(turn);
    }
}

void hm_turn_close(struct hm_turn *turn, hm_turn_closed_cb closed)
{
    turn->closed = closed;
    uv_close((uv_handle_t *)&turn->prepare, on_closed);
}
