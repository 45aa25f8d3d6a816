/* Decisions, what stood before them, and taking them back.
 *
 * A decision is an ordinary change. What it replaced lives in no state any more, so the
 * node that decides keeps it; a node that holds the logs finds it there. An undo writes
 * it again, in ordinary changes that name the decision's dot: what was a conflict is
 * one again.
 *
 * Runs inside a transaction of the caller. Blocking; thread as the store. */
#ifndef HM_STORAGE_DECISIONS_H
#define HM_STORAGE_DECISIONS_H

#include "storage/save.h"

/* A save that is a decision: as hm_save_run(), and what stood before is kept when
 * anything was changed. id: 64 random bits of a decision about many households, 0 for
 * one alone. before: the household as it is in the store; unused when save creates. */
int hm_decisions_save(struct hm_store *s, const struct hm_save *save, uint64_t id,
                      const struct hm_household *before, hm_policy_of_fn policy_of,
                      void *policy_arg, struct hm_arena *arena,
                      struct hm_save_result *out) HM_MUST_USE;

struct hm_decision {
    struct hm_dot dot;
    struct hm_household_id household;
    uint64_t id;
    bool undone;
    struct hm_bytes before; /* private */
};

/* In arena. Errors: HM_NOTFOUND (with a line: neither was it made here, nor are the
 * logs here that would tell). */
int hm_decisions_get(struct hm_store *s, const struct hm_dot *dot,
                     struct hm_arena *arena, struct hm_decision *out) HM_MUST_USE;
/* Dots of a decision about many households, undone or not, from behind a dot, in the
 * store's order; at most max. */
int hm_decisions_of(struct hm_store *s, uint64_t id, const struct hm_dot *after,
                    struct hm_dot *out, size_t max, size_t *out_count) HM_MUST_USE;

struct hm_undo {
    struct hm_dot dot; /* of the last change; n 0: none was made */
    size_t changes;    /* made */
    size_t cells;      /* in which stands again what stood before */
    size_t skipped;    /* cells that have been written anew since */
    bool already;      /* it was undone before */
};

/* signer: user, rank, scope and reason of the changes; its rows are not looked at.
 * Errors: as hm_save_run(). */
int hm_decisions_undo(struct hm_store *s, const struct hm_decision *decision,
                      const struct hm_save *signer, hm_policy_of_fn policy_of,
                      void *policy_arg, struct hm_arena *arena,
                      struct hm_undo *out) HM_MUST_USE;

#endif
