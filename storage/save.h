/* One save: what a person entered becomes one change in the log and in the state, in
 * one transaction with one sync.
 *
 * The difference to the present state is what is written: a value that is shown already
 * is left alone. The change names every dot that stood in the cells it writes. One to a
 * household that is merged into another says the merge again: its author has seen it.
 *
 * Blocking; thread as the store. Values have been checked against the form before
 * (protocol/form/value.h). */
#ifndef HM_STORAGE_SAVE_H
#define HM_STORAGE_SAVE_H

#include "protocol/policy.h"
#include "storage/store.h"

struct hm_save_cell {
    uint32_t field;
    struct hm_bytes value; /* canonical msgpack; nil clears */
    /* A resolution lists the dots that it decides on; they alone are replaced, and the
     * value is written even when it is shown already. NULL: those that stand there. */
    const struct hm_dot *decided;
    size_t decided_count;
};

struct hm_save_row {
    uint32_t form;
    uint32_t round;
    uint32_t repeat;
    struct hm_item item; /* none with repeat > 0: a new row */
    bool removed;        /* the row goes; cells are not looked at */
    struct hm_save_cell *cells;
    size_t cell_count;
    bool facts; /* the household's own row: values are what is said (protocol/fact.h),
                 * and are written with what this node has seen; nil takes back */
};

struct hm_save {
    bool creates;                     /* a new household */
    struct hm_household_id household; /* when it does not */
    uint32_t scope; /* unit id; of the household as its author sees it */
    uint32_t user;
    uint8_t rank;
    struct hm_save_row *rows;
    size_t row_count;
    struct hm_bytes reason; /* text, may be empty */
    bool restores; /* rows may name items, and the save a household, that are not here:
                    * a change that was refused brings its own, and so does a household
                    * that is split off */
};

struct hm_save_result {
    struct hm_household_id household;
    bool changed;          /* false: everything was there already; no change was made */
    struct hm_dot dot;     /* of the change */
    struct hm_item *items; /* of the new rows, in the order of the save; in the arena */
    size_t item_count;
    struct hm_household state; /* after it; in the arena */
};

/* Inside a transaction of the caller, who commits: only then is it saved.
 *
 * Errors:
 *   HM_NOTFOUND  no such household, or a row that it does not have (see errmsg)
 *   HM_INVALID   a new household without any value; the household was deleted
 *   HM_TOOBIG    more than a change holds; nothing was written
 *   others       as the store */
int hm_save_run(struct hm_store *s, const struct hm_save *save,
                hm_policy_of_fn policy_of, void *policy_arg, struct hm_arena *arena,
                struct hm_save_result *out) HM_MUST_USE;

#endif
