/* Kinds of transactions, each as steps that can be done again. */
#ifndef HM_TESTS_CRASH_SCENARIO_H
#define HM_TESTS_CRASH_SCENARIO_H

#include "tests/crash/world.h"

typedef int (*hm_scenario_step_fn)(struct hm_world *w);

enum { HM_SCENARIO_STEPS_MAX = 24 };

struct hm_scenario {
    const char *name;
    unsigned victim; /* whose disk is hurt */
    /* The world as it was opened becomes the start of the scenario. Stores are open or
     * not. */
    void (*prepare)(struct hm_world *w);
    /* Ends at the first NULL. */
    hm_scenario_step_fn steps[HM_SCENARIO_STEPS_MAX];

    unsigned autocheckpoint; /* pages; 0: as the store wants it */
    unsigned cache; /* pages; 0: as the store wants it. A small one reads again and
                       again, and writes what is not committed yet */
    /* What must hold beside hm_check_node(), once the victim is up; may be NULL. */
    bool (*holds)(struct hm_world *w);
    bool rots; /* its end is also where the file is damaged */
    /* Not a store of a node: holds() is the only check, and nothing is shown. */
    bool bare;
};

extern const struct hm_scenario hm_scenarios[];
extern const unsigned hm_scenario_count;

#endif
