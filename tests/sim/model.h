/* Every value that was written, and what its author saw: what must have become of it
 * can be told without asking the code under test.
 *
 * One thread. Ends the process when memory runs out. */
#ifndef HM_TESTS_SIM_MODEL_H
#define HM_TESTS_SIM_MODEL_H

#include "protocol/household.h"

/* The first change of an opening: its birth must name the opening before it, so that a
 * parent sees clones and disks that were set back. */
struct sim_birth {
    uint64_t incarnation;
    uint64_t parent; /* 0: the disk had no log yet */
    uint64_t parent_entries;
    unsigned node;
};

struct sim_change {
    struct hm_dot dot;
    unsigned node;
    size_t household;
    uint64_t at_ms; /* virtual */
    bool by_user;   /* of the node's user, not its operator */
    bool answered;  /* else it may be there or not: the power was cut in its commit */
    bool forbidden; /* to be refused by its parent */
    bool gone;      /* never came to the disk */
    bool excused;   /* its disk was lost or set back: it may be gone everywhere */
    bool included;  /* set at the end: the centre holds it and has not refused it */
    bool deletes;   /* its household; saw is then what its author had seen of it */
    struct hm_dot *saw; /* (incarnation, n): everything up to n; owned */
    size_t saw_count;
};

/* One cell of one change. */
struct sim_write {
    size_t change;
    struct hm_row_key row;
    uint32_t field;
    uint64_t value;       /* hash of the bytes */
    struct hm_dot *shown; /* on the author's screen: replaced */
    size_t shown_count;
    struct hm_dot *behind; /* replaced before by what was shown: may be replaced too */
    size_t behind_count;
    uint64_t held; /* nodes, a bit each, that showed it when the centre forgot it */
};

struct sim_family {
    struct hm_household_id id;
    unsigned hamlet;
    struct sim_write *writes;
    size_t write_count;
    size_t write_room;
};

struct sim_model {
    struct sim_birth *births;
    size_t birth_count;
    size_t birth_room;
    struct sim_change *changes;
    size_t change_count;
    size_t change_room;
    struct sim_family *families;
    size_t family_count;
    size_t family_room;
};

void sim_model_free(struct sim_model *model);

/* Indexes stay valid. */
size_t sim_model_add_family(struct sim_model *model, const struct hm_household_id *id,
                            unsigned hamlet);
void sim_model_add_birth(struct sim_model *model, const struct sim_birth *birth);
size_t sim_model_add_change(struct sim_model *model, const struct sim_change *change);
/* SIZE_MAX: none. The latest with this dot: one that is gone may have given it back. */
size_t sim_model_find_change(const struct sim_model *model, const struct hm_dot *dot);

/* Notes that a change deletes its household, as its author saw it. */
void sim_model_deletes(struct sim_model *model, size_t change,
                       const struct hm_household *seen);
bool sim_model_saw(const struct sim_change *change, const struct hm_dot *dot);

/* A write of the family's next change: shown are copied; what stood behind them is
 * found by itself. */
void sim_model_add_write(struct sim_model *model, size_t family,
                         const struct sim_write *write);

uint64_t sim_model_value(struct hm_bytes bytes);

enum sim_fate {
    SIM_FATE_LIVE,  /* must live */
    SIM_FATE_DEAD,  /* must not */
    SIM_FATE_EITHER /* may have been replaced by one who knew it */
};
/* What must have become of a write whose change is included. Needs `included` of all
 * changes. */
enum sim_fate sim_model_fate(const struct sim_model *model,
                             const struct sim_family *family,
                             const struct sim_write *write);
/* The write that a sibling is; NULL: nobody wrote that. */
const struct sim_write *sim_model_write_of(const struct sim_model *model,
                                           const struct sim_family *family,
                                           const struct hm_row_key *row, uint32_t field,
                                           const struct hm_dot *dot);

#endif
