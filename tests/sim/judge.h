/* Runs seasons in processes of their own: what crashes or hangs there is a finding like
 * any other.
 *
 * One thread. What goes wrong in the simulator itself ends the process. */
#ifndef HM_TESTS_SIM_JUDGE_H
#define HM_TESTS_SIM_JUDGE_H

#include "tests/sim/sim.h"

enum {
    SIM_SEASON_S_MAX = 120, /* of a season's CPU time: more is a hang */
    SIM_BAD_MAX = 256
};

struct sim_verdict {
    enum sim_oracle oracle; /* NONE: clean */
    char text[SIM_FINDING_BYTES];
};

/* One season in a child. verbose: its transcript goes to standard output. */
struct sim_verdict sim_judge(const struct sim_plan *plan, bool verbose);

/* Takes steps out of a plan as long as the same oracle complains. Returns how many
 * seasons it ran. */
unsigned sim_shrink(struct sim_plan *plan, enum sim_oracle oracle);

struct sim_series {
    uint64_t from;  /* first seed */
    uint64_t count; /* seeds */
    unsigned days;  /* 0: as the plans say */
    bool short_season;
    unsigned jobs;
    bool first_only;      /* stop at the first finding */
    unsigned seconds_max; /* 0: none */
};

struct sim_tally {
    uint64_t seeds; /* done, in order from `from` */
    uint64_t days;
    uint64_t node_days;
    uint64_t saves;
    uint64_t exchanges;
    uint64_t findings;
    double seconds;
    struct sim_bad {
        uint64_t seed;
        struct sim_verdict verdict;
    } bad[SIM_BAD_MAX]; /* by seed */
};

/* Many seeds on several cores. Ends early, with all begun seasons done, when *stop
 * becomes true. */
void sim_series_run(const struct sim_series *series, const volatile int *stop,
                    struct sim_tally *tally);

#endif
