/* A save in the making: what stands on a person's screen, and what is written. Shared
 * by save.c and facts.c only. */
#ifndef HM_TESTS_SIM_SAVING_H
#define HM_TESTS_SIM_SAVING_H

#include "tests/sim/sim.h"

enum {
    SIM_SAVING_ARENA_BYTES = 16 * 1024 * 1024,
    SIM_SAVING_ROWS_MAX = 6,
    SIM_SAVING_CELLS_MAX = 3,
    SIM_SAVING_VALUE_BYTES = 64,
    SIM_SAVING_TRIES = 12
};

struct saving {
    struct sim_node *n;
    struct hm_rng rng;
    struct hm_arena arena;
    size_t family; /* SIZE_MAX: a new one */
    unsigned hamlet;
    bool found;   /* `before` is the household as it is on the screen */
    bool decides; /* the save can be undone */
    struct hm_household before;
    struct hm_save save;
    struct hm_save_row rows[SIM_SAVING_ROWS_MAX];
    struct hm_save_cell cells[SIM_SAVING_ROWS_MAX][SIM_SAVING_CELLS_MAX];
    uint8_t values[SIM_SAVING_ROWS_MAX * SIM_SAVING_CELLS_MAX][SIM_SAVING_VALUE_BYTES];
    size_t value_count;
};

uint64_t sim_saving_draw(struct saving *v, uint64_t below);
/* One that the node believes to hold, which may be wrong for long. */
int sim_saving_some_hamlet(struct saving *v, unsigned *out_hamlet);
/* SIZE_MAX: there is none. */
size_t sim_saving_some_family(struct saving *v);
struct hm_save_row *sim_saving_add_row(struct saving *v, uint32_t repeat);
void sim_saving_add_cell(struct hm_save_row *row, uint32_t field,
                         struct hm_bytes value);
const struct hm_row *sim_saving_some_member(struct saving *v);
const struct hm_sibling *sim_saving_sibling_of(const struct hm_cell *cell,
                                               const struct hm_dot *dot);
/* The hamlet in which the household is seen here, as daemon/serve finds it; 0: none in
 * which this node works. */
uint32_t sim_saving_seen_in(struct saving *v);
/* v->before and v->save.scope of v->family; v->found: it is on the screen. */
int sim_saving_load(struct saving *v);
/* Writes the save, and notes it. */
void sim_saving_run(struct saving *v);
void sim_saving_note(struct saving *v, const struct hm_save_result *result,
                     bool answered);
void sim_saving_note_birth(struct sim_node *n, uint64_t incarnation);

#endif
