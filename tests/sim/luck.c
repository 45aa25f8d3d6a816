/* The buggify points of the program under test. */
#include "storage/buggify.h"
#include "tests/sim/sim.h"

/* The one global: the program asks without saying for whom. */
static struct sim *playing;

void sim_luck_begin(struct sim *sim)
{
    sim->luck.state = sim->plan->shape.seed ^ 0x6c75636bU;
    for (int point = 0; point < HM_BUGGIFY_POINTS; point++) {
        /* Some points in some seasons, and there now and then. */
        sim->odds[point] = hm_rng_below(&sim->luck, 3) == 0
                               ? 2 + (unsigned)hm_rng_below(&sim->luck, 20)
                               : 0;
    }
    playing = sim;
}

void sim_luck_end(void)
{
    playing = NULL;
}

#ifdef HM_BUGGIFY
bool hm_buggify(enum hm_buggify_point point)
{
    struct sim *sim = playing;

    if (sim == NULL || sim->ending || sim->odds[point] == 0 ||
        hm_rng_below(&sim->luck, sim->odds[point]) != 0) {
        return false;
    }
    if (point == HM_BUGGIFY_CURSOR_UNKNOWN) {
        sim->calm = false;
    }
    return true;
}
#endif
