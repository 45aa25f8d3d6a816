/* What happens in a season: steps in the order of their virtual time, made from a seed,
 * or read from a file that an earlier finding left.
 *
 * A step carries its own randomness, so that a plan from which steps are taken out
 * still means the same for those that stay. One thread. */
#ifndef HM_TESTS_SIM_PLAN_H
#define HM_TESTS_SIM_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { SIM_NODES_MAX = 48, SIM_HAMLETS = 6, SIM_HUBS_MAX = 4 };

/* X(name, text, fault): fault steps stop some time before the end of the season. */
/* clang-format off */
#define SIM_STEP_TABLE(X)                                                             \
    X(SAVE,        "save",        false) /* a person saves something */               \
    X(MOVE,        "move",        false) /* a household goes to another hamlet */      \
    X(MERGE,       "merge",       false)                                              \
    X(UNMERGE,     "unmerge",     false)                                              \
    X(SPLIT,       "split",       false)                                              \
    X(DELETE,      "delete",      false)                                              \
    X(DECIDE,      "decide",      false) /* all conflicts that are seen, at once */    \
    X(UNDO,        "undo",        false) /* of a decision of this node */              \
    X(OVERREACH,   "overreach",   true)  /* a save that no role here allows */         \
    X(LINK_UP,     "link-up",     false)                                              \
    X(LINK_DOWN,   "link-down",   false)                                              \
    X(SYNC_NOW,    "sync-now",    false) /* a person asks for it */                   \
    X(HERD,        "herd",        false) /* every linked laptop at the same moment */ \
    X(PAUSE,       "pause",       true)                                               \
    X(RESUME,      "resume",      false)                                              \
    X(RESTART,     "restart",     true)  /* an orderly end and a new start */         \
    X(NET,         "net",         true)  /* something happens to the next exchange */ \
    X(POWER_CUT,   "power-cut",   true)  /* at some I/O from here */                  \
    X(KILL,        "kill",        true)  /* kill -9 at some I/O from here */          \
    X(IO_ERROR,    "io-error",    true)  /* a sync or a write fails */                \
    X(DISK_FULL,   "disk-full",   true)                                               \
    X(DISK_FREE,   "disk-free",   false)                                              \
    X(CLOCK,       "clock",       true)  /* the wall clock jumps */                   \
    X(IMAGE,       "image",       false) /* an image of the disk is made */           \
    X(RESTORE,     "restore",     true)  /* the disk is set back to the image */      \
    X(SNAPSHOT,    "snapshot",    false) /* of a machine that runs */                 \
    X(ROLLBACK,    "rollback",    true)  /* the machine runs on from its snapshot */  \
    X(CLONE,       "clone",       true)  /* the image runs on a second machine */     \
    X(DESTROY,     "destroy",     true)  /* the laptop is lost for good */            \
    X(REASSIGN,    "reassign",    true)  /* other hamlets for a laptop */             \
    X(REVOKE,      "revoke",      true)                                               \
    X(FORM,        "form",        false) /* a new version of the form */              \
    X(HOSTILE,     "hostile",     true)  /* an enrolled device that lies */           \
    X(UPGRADE,     "upgrade",     true)  /* speaks only a newer protocol, for a while */ \
    X(NARROW,      "narrow",      true)  /* loses a hamlet, and its link at the worst time */ \
    X(THERE,       "there",       true)  /* lent to other hamlets .. */              \
    X(BACK,        "back",        true)  /* .. and back to those that it began with */ \
    X(HIGHER,      "higher",      true)  /* assigned the whole commune */ \
    X(WINDOW,      "window",      true)  /* hours for syncs are set, or taken away */    \
    X(COST,        "cost",        true)  /* the link costs, or does not any more */ \
    X(DISABLE,     "disable",     true)  /* the account of its user is closed */ \
    X(TURN,        "turn",        false) /* to another parent */
/* clang-format on */

enum sim_step_kind {
#define SIM_STEP_ENUM(name, text, fault) SIM_##name,
    SIM_STEP_TABLE(SIM_STEP_ENUM)
#undef SIM_STEP_ENUM
        SIM_STEP_KINDS
};

struct sim_step {
    uint64_t at_ms; /* virtual, from the season's begin */
    enum sim_step_kind kind;
    unsigned node;  /* 0 is the centre */
    uint64_t param; /* random bits of this step */
};

struct sim_shape {
    uint64_t seed;
    unsigned laptops; /* 1.. */
    unsigned hubs;    /* 0..SIM_HUBS_MAX, numbered behind the laptops */
    unsigned days;
};

struct sim_plan {
    struct sim_shape shape;
    struct sim_step *steps;
    size_t count;
    size_t room;
};

/* The plan of a seed. short_season: at most 4 nodes. days: 0 for what the seed says.
 * Ends the process when memory runs out, as all functions here. */
void sim_plan_make(struct sim_plan *plan, uint64_t seed, unsigned days,
                   bool short_season);
void sim_plan_add(struct sim_plan *plan, const struct sim_step *step);
void sim_plan_copy(struct sim_plan *to, const struct sim_plan *from);
void sim_plan_free(struct sim_plan *plan);

unsigned sim_plan_nodes(const struct sim_shape *shape);
bool sim_plan_is_hub(const struct sim_shape *shape, unsigned node);
/* The parents that a node may have, the one that it begins with first: the centre is
 * one of them. The second half of the hubs stands below the first. */
unsigned sim_plan_parents(const struct sim_shape *shape, unsigned node,
                          unsigned out[SIM_HUBS_MAX + 1]);
const char *sim_step_text(enum sim_step_kind kind);
bool sim_step_is_fault(enum sim_step_kind kind);
/* "3d 04:05:06.789"; static memory, a few in turn. */
const char *sim_time_text(uint64_t at_ms);

/* Text, a line a step: what a finding leaves and a regression reads. Read returns false
 * and says why on standard error. */
void sim_plan_write(const struct sim_plan *plan, FILE *file);
bool sim_plan_read(struct sim_plan *plan, const char *path);

#endif
