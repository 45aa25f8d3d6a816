/* What goes wrong, when and where: all of it drawn from one seed before anything runs,
 * so that a seed repeats its plan.
 *
 * Pure; any thread. */
#ifndef HM_TESTS_SUPPORT_CHAOS_PLAN_H
#define HM_TESTS_SUPPORT_CHAOS_PLAN_H

#include <stddef.h>
#include <stdint.h>

enum { CHAOS_NODES = 7, CHAOS_FAULTS_MAX = 4000 };

enum chaos_kind {
    CHAOS_KILL,      /* SIGKILL, started again for_s later */
    CHAOS_TERM,      /* SIGTERM, started again for_s after it has ended */
    CHAOS_FREEZE,    /* SIGSTOP, SIGCONT for_s later */
    CHAOS_HUP,       /* SIGHUP */
    CHAOS_FULL_DISK, /* so many bytes are left, for for_s */
    CHAOS_CLOCK,     /* the clock steps, and stays there */
    CHAOS_LINK,      /* the link to the centre misbehaves for for_s */
    CHAOS_PAUSE,     /* a person pauses the sync for for_s */
    CHAOS_KINDS
};

struct chaos_fault {
    double at_s; /* from the begin of the run */
    double for_s;
    enum chaos_kind kind;
    size_t node;     /* 0 is the centre */
    uint64_t random; /* for its details */
};

/* Faults in the order of their time, none at or after run_s. On one node faults of a
 * process (kill, term, freeze, hup) do not overlap each other, nor do those of one
 * other kind; everything else overlaps as it falls. The count, at most
 * CHAOS_FAULTS_MAX. */
size_t chaos_plan(uint64_t seed, double run_s, struct chaos_fault *out);

#endif
