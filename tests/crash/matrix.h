/* Every place at which the power may fail, or a disk, in every scenario. */
#ifndef HM_TESTS_CRASH_MATRIX_H
#define HM_TESTS_CRASH_MATRIX_H

#include "tests/crash/check.h"
#include "tests/crash/scenario.h"

enum hm_point_kind {
    HM_POINT_CUT,    /* the power fails; choice: pattern */
    HM_POINT_UNSAFE, /* the same on a disk that spoils neighbours; choice: pattern */
    HM_POINT_AGAIN,  /* it fails again at `again` while the store is opened and goes on
                      */
    HM_POINT_FAULT,  /* an operation fails; choice: which, see hm_point_fault_count */
    HM_POINT_ROT,    /* the closed store is damaged at the at-th place; choice: how */
    HM_POINT_KINDS_
};

/* How the process goes on after a fault. */
enum hm_point_after {
    HM_AFTER_STAYS, /* on the same connection; never after a failed commit's HM_IO */
    HM_AFTER_ENDS,  /* closes its store, starts again */
    HM_AFTER_DIES,  /* kill -9, starts again */
    HM_AFTERS_
};

struct hm_point {
    enum hm_point_kind kind;
    unsigned choice;
    uint64_t at; /* > 0 */
    uint64_t again;
    enum hm_point_after after;
    uint64_t seed;
};

enum hm_point_result {
    HM_POINT_SOUND,
    HM_POINT_LOST,
    HM_POINT_CORRUPT,
    HM_POINT_BEHIND /* the scenario ended before it: there is no such point */
};

extern const unsigned hm_point_fault_count;
/* How many choices a kind has. */
unsigned hm_point_choices(enum hm_point_kind kind);
/* "cut:all:17:0:stays:1": what --point takes. */
void hm_point_to_text(const struct hm_point *point, char *out, size_t size);
bool hm_point_from_text(const char *text, struct hm_point *out);

/* One world with one scenario, ready for any number of points. */
struct hm_matrix {
    const struct hm_scenario *scenario;
    struct hm_world world;
    struct hm_buf shows; /* what the victim shows at the end of a run without a fault */
    struct hm_simdisk *end; /* the victim's disk then, closed, where things may rot */
    struct hm_buf tables;   /* what its store says then, all of it */
};

/* Plays the scenario once without a fault. False: that failed, world.why says how. */
bool hm_matrix_open(struct hm_matrix *m, const struct hm_scenario *scenario,
                    enum hm_world_plant plant, const char *prefix);
void hm_matrix_close(struct hm_matrix *m);
/* m->world.why says what is wrong. */
enum hm_point_result hm_matrix_run(struct hm_matrix *m, const struct hm_point *point);

#endif
