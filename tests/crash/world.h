/* The small world in which the crash matrix plays: a centre and laptops, each with its
 * store on a simulated disk, put back to where a scenario starts in no time.
 *
 * What was answered is noted here, so that it can be asked for after a cut. A fault of
 * the set-up ends the process; what a scenario meets is returned. One thread. */
#ifndef HM_TESTS_CRASH_WORLD_H
#define HM_TESTS_CRASH_WORLD_H

#include "storage/items.h"
#include "tests/support/simdisk.h"
#include "tests/support/village.h"

enum {
    HM_WORLD_NODES_MAX = 6, /* node 0 is the centre, then the laptops as they came */
    HM_WORLD_ACKS_MAX = 512,
    HM_WORLD_WHY_MAX = 512
};

/* A program that is broken on purpose: proof that the matrix bites. */
enum hm_world_plant {
    HM_PLANT_NONE,
    HM_PLANT_NORMAL, /* synchronous=NORMAL */
    HM_PLANT_EARLY,  /* answers before it commits */
    HM_PLANT_TRUST   /* takes every page for what it was */
};

enum hm_ack_kind {
    HM_ACK_SAVE,     /* a dot of a household */
    HM_ACK_ITEM,     /* an administrative item in some version */
    HM_ACK_LINE,     /* a line of an import */
    HM_ACK_RELEASED, /* something in quarantine is marked */
    HM_ACK_NUMBER    /* a number in the table of facts */
};

struct hm_ack {
    enum hm_ack_kind kind;
    unsigned node;
    struct hm_household_id household;
    struct hm_dot dot;
    enum hm_item_kind item;
    uint64_t id; /* of an item; a line */
    uint64_t version;
    struct hm_hash hash;
    char name[32];
    int64_t number;
};

struct hm_world {
    struct hm_village v;
    unsigned node_count;
    struct hm_simdisk *disks[HM_WORLD_NODES_MAX];
    struct hm_simdisk *images[HM_WORLD_NODES_MAX]; /* where the scenario starts */
    char names[HM_WORLD_NODES_MAX][24];            /* of the disks */
    struct hm_test_node start[HM_WORLD_NODES_MAX]; /* clock and luck at the start */
    unsigned victim;
    enum hm_world_plant plant; /* of the victim */
    struct hm_ack acks[HM_WORLD_ACKS_MAX];
    size_t ack_count;
    unsigned autocheckpoint; /* pages; 0: as the store wants it */
    unsigned cache;          /* pages; 0: as the store wants it */
    int64_t reached; /* by a scenario that is not of a node: how far it was answered */
    char why[HM_WORLD_WHY_MAX];
};

/* A village with a centre and no laptop; its disks are called <prefix>0, 1 .. */
void hm_world_open(struct hm_world *w, const char *prefix);
void hm_world_close(struct hm_world *w);

/* Take the world as it is for the start; every store is closed by it. */
void hm_world_freeze(struct hm_world *w);
/* Everything as it was then: disks, clocks, luck; nothing is open, nothing answered. */
void hm_world_reset(struct hm_world *w);

struct hm_village_node *hm_world_node(struct hm_world *w, unsigned node);
/* Open a node's store if it is not; what hm_store_open() and hm_forms_open() return. */
int hm_world_start(struct hm_world *w, unsigned node);
void hm_world_stop(struct hm_world *w, unsigned node);
void hm_world_stop_all(struct hm_world *w);
/* The file of a node's store on its disk. */
const char *hm_world_path(struct hm_world *w, unsigned node);

/* Note an answer; the node of ack is the victim or another one. */
void hm_world_ack(struct hm_world *w, const struct hm_ack *ack);
/* Say what is wrong; returns false. */
bool hm_world_fail(struct hm_world *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
