/* Chaos: a centre and six laptops as real processes, people who work on all of them,
 * and what goes wrong meanwhile. What all its parts share.
 *
 * Everything is in the hand of one thread that never waits: jobs run beside it and are
 * looked at in turns. What must not happen fails the running test, as in e2e.h; every
 * line of chaos_say() is the transcript that a failure leaves behind. */
#ifndef HM_TESTS_SUPPORT_CHAOS_H
#define HM_TESTS_SUPPORT_CHAOS_H

#include "tests/support/chaos_plan.h"
#include "tests/support/e2e.h"
#include "tests/support/rng.h"

enum { CHAOS_SCOPES = 4, CHAOS_SCOPES_OF_A_LAPTOP = 2 };

/* Where a process is. */
enum chaos_state { CHAOS_DOWN, CHAOS_STARTING, CHAOS_READY, CHAOS_ENDING };

/* What a person does; each step but the last begins a job. */
enum chaos_step {
    CHAOS_IDLE,
    CHAOS_SHOWING,   /* looks at a household, in order to change it */
    CHAOS_PUTTING,   /* saves */
    CHAOS_LISTING,   /* looks for conflicts */
    CHAOS_RESOLVING, /* decides on one */
    CHAOS_IMPORTING
};

/* One command that runs on a node. */
struct chaos_job {
    struct e2e_job *job; /* NULL: none */
    char what[200];
    double begun_s;
    unsigned disturbances; /* of the node, at its begin */
    bool undisturbed;      /* the process was ready at its begin */
};

struct chaos_person {
    struct chaos_job job;
    enum chaos_step step;
    double next_s;   /* when the next step may begin */
    double looked_s; /* when the screen was asked for that a save goes by */
    json_t *save;    /* an element of chaos.saves; borrowed */
    json_t *input;   /* the save as JSON, owned; kept for trying again */
    char household[64];
    char file[300]; /* of an import */
};

struct chaos_node {
    struct e2e_node *node;
    size_t index;
    size_t scopes[CHAOS_SCOPES]; /* that it holds */
    size_t scope_count;
    bool has_limits; /* of the disk: refuses before the last byte */
    /* The process. */
    enum chaos_state state;
    unsigned disturbances; /* counts whatever may break an answer off */
    bool frozen;
    bool was_full;  /* the disk, at some time of this process */
    double since_s; /* of the state */
    double start_s; /* DOWN: when to start */
    double thaw_s;
    double for_s;       /* ENDING, or an aimed kill: how long to stay down */
    double aim_until_s; /* of a kill that waits for a save; 0: none */
    double aim_delay_s;
    struct chaos_job probe;
    /* Other faults: until when; 0: none. */
    double full_until_s;
    double full_over_s; /* when the disk was last emptied */
    double link_until_s;
    double pause_until_s;
    struct hm_proxy_mode link;
    struct hm_proxy_counters seen;
    double moved_s; /* when bytes last came from another node */
    /* What people and status say. */
    struct chaos_person person;
    struct chaos_job side; /* sync, status, pause */
    double side_next_s;
    json_int_t receipts; /* so many of its answered saves are at the centre, it says */
    json_int_t promised; /* the same when the centre was killed */
    json_t *screen;      /* set of "household|cell|value" ever shown here */
    long rss_kb_max;
    unsigned fds_max;
};

struct chaos_figures {
    unsigned done[CHAOS_KINDS];
    unsigned saves_answered;
    unsigned saves_unanswered;
    unsigned saves_refused; /* for the disk */
    unsigned new_households;
    unsigned updates;
    unsigned member_changes;
    unsigned resolutions;
    unsigned imports;
    unsigned syncs;
    unsigned reads_on_full_disk;
    unsigned ended_by_full_disk;
    unsigned receipts_checked;
};

struct chaos {
    uint64_t seed;
    struct hm_rng rng; /* of people; faults have the plan */
    double begun_s;    /* monotonic */
    bool stopping;     /* nobody begins anything new */
    bool holding;      /* all links are down while receipts are compared */
    bool small_disks;
    bool clocks;
    struct chaos_node nodes[CHAOS_NODES];
    json_t *saves;      /* all that were tried */
    json_t *households; /* by scope: an array of ids each */
    json_t *removed;    /* set of items that somebody tried to remove */
    unsigned marks;
    struct chaos_figures figures;
};

extern const char *const chaos_scopes[CHAOS_SCOPES];

/* Seconds since the begin of the run. */
double chaos_now_s(const struct chaos *c);
/* A line of the transcript. */
void chaos_say(const struct chaos *c, const struct chaos_node *n, const char *format,
               ...) __attribute__((format(printf, 3, 4)));

/* --- the nodes (chaos_nodes.c) --- */

/* Folders, disks, clocks and processes; all in step. Where no small file system may be
 * mounted there are no full disks, without libfaketime no clock steps. */
void chaos_nodes_begin(struct chaos *c);

/* --- what goes wrong (chaos_faults.c) --- */

void chaos_faults_begin(struct chaos *c, const struct chaos_fault *fault);
/* Ends what is over, starts what is down, notices what ended by itself. */
void chaos_faults_turn(struct chaos *c);
/* Everything good again from now on; clocks stay wrong. */
void chaos_faults_end(struct chaos *c);
bool chaos_all_ready(const struct chaos *c);

/* --- what people do (chaos_people.c, chaos_jobs.c) --- */

void chaos_people_turn(struct chaos *c);
/* No job runs. */
bool chaos_people_rest(const struct chaos *c);

/* Arguments until NULL, at most 16; input may be NULL. */
void chaos_job_begin(struct chaos *c, struct chaos_node *n, struct chaos_job *job,
                     const char *input, const char *const *arguments);
/* NULL: it still runs. Else its result, which was judged: an answer that nothing which
 * happened to the node explains fails the test. The caller forgets it. */
struct e2e_result *chaos_job_end(struct chaos *c, struct chaos_node *n,
                                 struct chaos_job *job);
/* Remembers all values of a shown household as seen at this node. */
void chaos_see(struct chaos_node *n, const json_t *shown);
bool chaos_has_seen(const struct chaos_node *n, const char *household, const char *cell,
                    const json_t *value);
/* "form@round:repeat[item].field" of a row's field; 300 bytes. */
void chaos_cell(const json_t *row, const char *field, char *out);

/* --- what must be true (chaos_check.c, chaos_history.c) --- */

/* What a laptop had shown as receipted is there after the centre was killed. */
void chaos_check_receipts(struct chaos *c);
/* Waits until everybody has everything; fails when that takes longer than limit_s. */
void chaos_settle(struct chaos *c, double limit_s);
void chaos_check_all(struct chaos *c);
/* The part of it that folds the histories of all households once more. */
void chaos_check_histories(struct chaos *c);

#endif
