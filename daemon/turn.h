/* How long the loop thread computes in each turn of the loop: what a page or a peer may
 * have to wait for. CPU time, so a busy machine does not count.
 *
 * Loop thread only; never blocks; one clock read a turn. Does not keep the loop alive.
 */
#ifndef HM_DAEMON_TURN_H
#define HM_DAEMON_TURN_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

enum { HM_TURN_BUCKETS = 8 };

/* Upper bounds of the buckets but the last, in ms: 1, 2, 5, 10, 20, 50, 100. */
extern const unsigned hm_turn_bounds_ms[HM_TURN_BUCKETS - 1];

struct hm_turn_stats {
    uint64_t turns;
    uint64_t sum_ns;
    uint64_t max_ns;
    uint64_t counts[HM_TURN_BUCKETS]; /* the last one is for all that is longer */
};

struct hm_turn;
typedef void (*hm_turn_closed_cb)(struct hm_turn *turn);

/* The caller's memory, from init until closed. */
struct hm_turn {
    struct hm_turn_stats stats;
    uint64_t start_ns; /* private, like all below */
    bool counting;
    uv_prepare_t prepare;
    hm_turn_closed_cb closed;
};

void hm_turn_init(struct hm_turn *turn, uv_loop_t *loop);
/* A copy of what was counted since init or the last reset. */
struct hm_turn_stats hm_turn_stats(const struct hm_turn *turn);
void hm_turn_reset(struct hm_turn *turn);
/* closed may be NULL; it is called in a later turn, once. */
void hm_turn_close(struct hm_turn *turn, hm_turn_closed_cb closed);

/* Count one turn of so many ns: what the loop does for each. */
void hm_turn_stats_add(struct hm_turn_stats *stats, uint64_t ns);

#endif
