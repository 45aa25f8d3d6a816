/* One season: a centre, hubs and laptops in one process with virtual time, running the
 * real protocol and storage code on disks in memory.
 *
 * The simulator stands where daemon/ stands: it carries out the wishes of upsync,
 * brings requests and replies from one node to the other, and plays clock, randomness,
 * disk, link and people. It knows of every saved value what its author saw (model.h),
 * and so what may have become of it.
 *
 * Everything is a function of the plan: the same plan gives the same season. One thread
 * a season. A finding ends the season; what goes wrong in the simulator itself (memory,
 * a broken template) ends the process. */
#ifndef HM_TESTS_SIM_SIM_H
#define HM_TESTS_SIM_SIM_H

#include "protocol/sync_window.h"
#include "protocol/upsync.h"
#include "storage/adopt.h"
#include "storage/buggify.h"
#include "storage/forms.h"
#include "storage/households.h"
#include "storage/save.h"
#include "storage/serve.h"
#include "storage/upload.h"
#include "tests/sim/model.h"
#include "tests/sim/plan.h"
#include "tests/support/rng.h"
#include "tests/support/simdisk.h"

/* X(name, text): what a finding says is broken. Numbers are those of docs/proof.md. */
/* clang-format off */
#define SIM_ORACLE_TABLE(X)                                                              \
    X(NONE,       "none")                                                                \
    X(LOST,       "1-lost-value")       /* live, or replaced by one who saw it */        \
    X(RISEN,      "1-risen-value")      /* a replaced value lives again */               \
    X(INVENTED,   "1-invented-value")   /* nobody wrote it */                            \
    X(RECEIPT,    "2-receipt")          /* receipted by the centre: it is there */       \
    X(REPAIR,     "3-needless-repair")  /* hashes are for bad days only */               \
    X(DIGEST,     "3-digest")           /* equal at the end, and what they say */        \
    X(FOLD,       "4-fold")             /* the state is the fold of the log */           \
    X(CURSOR,     "5-cursor")           /* never back in a timeline */                   \
    X(UNSENT,     "6-unsent-deleted")   /* nothing unsent is deleted */                  \
    X(DURABLE,    "7-not-durable")      /* answered, and gone after a power cut */       \
    X(LIVENESS,   "8-liveness")         /* quiet after the faults have stopped */        \
    X(BOUNDS,     "9-bounds")           /* bytes, exchanges, memory */                   \
    X(BIRTH,      "10-birth")           /* clones and restored disks can be seen */      \
    X(ALARM,      "10-alarm")           /* and are told, with the right count */         \
    X(QUARANTINE, "11-quarantine")      /* only what deserves it; it blocks nobody */    \
    X(HIDDEN,     "14-hidden-edit")     /* an edit that a deletion had not seen */       \
    X(REDIRECT,   "15-redirect")        /* merges lead to one household, everywhere */   \
    X(DEPARTED,   "16-departed")        /* what moved away is forgotten, no sooner */    \
    X(NOTICE,     "17-notice")          /* whoever's value lost hears of it */           \
    X(LEFTOVER,   "18-leftover")        /* nothing stays of a hamlet that was lost */    \
    X(ERROR,      "12-error")           /* an error that the world did not cause */      \
    X(CRASH,      "13-crash")           /* the program ended by itself, or hangs */
/* clang-format on */

enum sim_oracle {
#define SIM_ORACLE_ENUM(name, text) SIM_ORACLE_##name,
    SIM_ORACLE_TABLE(SIM_ORACLE_ENUM)
#undef SIM_ORACLE_ENUM
};
const char *sim_oracle_text(enum sim_oracle oracle);

enum {
    SIM_FINDING_BYTES = 400,
    SIM_NET_FAULTS_MAX = 8, /* that wait for the next exchanges of a node */
    SIM_DECISIONS_MAX = 8   /* of a node that can be undone */
};

/* What is known of a log that a node wrote or holds, to be held against its disk. */
struct sim_log_fact {
    uint64_t incarnation;
    uint64_t entries; /* answered, or receipted */
};

struct sim_log_facts {
    struct sim_log_fact *facts;
    size_t count;
    size_t room;
};

struct sim_node {
    struct sim *sim;
    unsigned index;
    unsigned parent; /* index, as its store says; 0 is the centre, which has none */
    bool is_hub;
    char name[16];
    struct hm_simdisk *disk;
    struct hm_store *store; /* NULL: not running */
    struct hm_forms *forms;
    bool destroyed;
    bool revoked;
    uint64_t revoked_at_ms;
    bool revoked_perhaps;    /* the centre died in it */
    uint32_t user;           /* who works at it beside its operator; 0: nobody */
    uint64_t disabled_at_ms; /* that account; 0: never */
    bool disabled_perhaps;   /* the centre died in it */
    bool clock_lied;         /* at any time: when it wrote what can't be told */
    bool excused; /* its changes may be refused: it was revoked, or its twin was */
    uint8_t public_key[HM_PUBLIC_KEY_BYTES];
    uint8_t secret_key[HM_SECRET_KEY_BYTES];
    uint64_t device;
    struct hm_rng rng; /* the node's randomness */
    unsigned starts;
    int64_t clock_offset_ms;
    uint64_t start_at_ms; /* when it runs again; 0: it runs, or never again */

    bool linked;
    bool paused;
    bool speaks_newer; /* only protocol 2, which nobody else speaks */
    struct hm_sync_windows windows;
    unsigned opens_hour, shuts_hour; /* of them, for the oracle; equal: always open */
    enum hm_upsync_cost cost;
    uint64_t denied_until_ms; /* its parent does not know it so long */
    uint64_t portal_until_ms; /* somebody else answers so long */
    uint64_t quiet_until_ms;  /* nothing by itself before; not kept over a restart */
    struct hm_upsync upsync;
    uint64_t timer_at_ms;
    uint64_t exchange;   /* number of the one in flight, 0 for none */
    uint64_t sent_at_ms; /* of it */
    bool upload_more;    /* of it */
    uint64_t net_faults[SIM_NET_FAULTS_MAX];
    unsigned net_fault_count;
    bool digest_equal; /* said by the last exchange */

    struct hm_simdisk *image;    /* NULL: none was made */
    struct hm_own_log image_log; /* of a snapshot: what the process had in memory */
    bool rolled_back;
    unsigned forked;      /* changes of a branch that was left */
    uint64_t left_cells;  /* of those */
    uint64_t again_cells; /* of what was written again */
    struct sim_log_facts image_own;
    struct sim_log_facts image_logs; /* of all logs that it held */
    struct sim_log_facts own;        /* answered saves */
    struct sim_log_facts receipts;   /* given to children */
    struct sim_log_facts at_centre;  /* level 2 receipts that it was given */
    unsigned exchanges_today;
    uint64_t day;
    struct sim_cursor {
        uint64_t timeline;
        uint64_t position;
    } cursors[SIM_HAMLETS + 1];
    unsigned restores;     /* how often it was set back */
    size_t restore_change; /* of the model: the first that was noted behind it */
    bool unsteady;         /* what it shows of others' work may have gone by itself */
    uint64_t place; /* sim->place when it was served last in this opening; 0: not yet */
    unsigned returns; /* requests in this opening behind those of its twin */
    bool took_turns;  /* with its twin, in one opening */
    unsigned twin_of; /* a clone: the node whose image it runs; else itself */
    struct hm_dot decisions[SIM_DECISIONS_MAX]; /* the latest ones */
    unsigned decision_count;
    unsigned places[2];       /* indexes of the hamlets that it is assigned */
    unsigned first_places[2]; /* those that it began with */
    bool mints_timeline;      /* set back: its next start begins a new history */
};

/* Bytes on their way to a parent or back. */
struct sim_message {
    uint64_t at_ms;
    unsigned from;
    unsigned to;
    uint64_t exchange; /* of the child; 0: nobody waits for the answer */
    bool is_reply;
    int err; /* of the reply: HM_OK, or what the child's HTTP client says */
    uint64_t retry_after_ms;
    bool reply_lost;
    bool cut_reply;
    bool portal;
    bool foreign; /* nothing of it came from the parent */
    bool newer;   /* the reply says more than this version knows */
    uint64_t extra_delay_ms;
    struct hm_buf bytes;
    int64_t sent_utc_ms;
};

struct sim {
    const struct sim_plan *plan;
    bool verbose; /* tell the transcript on standard output */
    uint64_t now_ms;
    struct sim_node nodes[SIM_NODES_MAX];
    unsigned node_count;
    uint32_t hamlets[SIM_HAMLETS];
    uint32_t commune; /* of them all */
    uint32_t form;
    uint32_t name, phone, note, tags, extra, members, member_name, birth_year;
    bool form_2; /* published: the field `extra` is there */
    struct sim_message *messages;
    size_t message_count;
    size_t message_room;
    uint64_t exchanges;
    struct sim_model model;
    bool ending; /* the faults have stopped */
    bool calm;   /* nothing happened yet after which digests may differ for a while */
    bool was_hostile; /* somebody sent bytes that belong into quarantine */
    bool centre_set_back;
    bool flipped;            /* a bit of a request, which no check of a link saw */
    uint64_t lost_receipted; /* changes that laptops had receipts for */
    uint64_t lost_held;      /* and that the centre held, receipted or not */
    uint64_t place;          /* counts requests that were served */
    bool copied_back;        /* by hand: the timeline of before goes on from there */
    uint8_t hostile_public_key[HM_PUBLIC_KEY_BYTES];
    uint8_t hostile_secret_key[HM_SECRET_KEY_BYTES];
    uint64_t hostile_device;
    enum sim_oracle oracle; /* NONE: no finding */
    char finding[SIM_FINDING_BYTES];
    struct hm_rng luck;               /* of the buggify points */
    unsigned odds[HM_BUGGIFY_POINTS]; /* one in so many; 0: never */
    uint64_t node_days;               /* simulated */
    uint64_t saves;
    uint64_t exchanged;
};

/* Run a plan. True: no finding; else sim->oracle and sim->finding say what. */
bool sim_run(struct sim *sim, const struct sim_plan *plan, bool verbose);
void sim_free(struct sim *sim);

/* -- The parts of one season; used by the files of this folder only --------------- */

/* A finding; the first one counts. */
void sim_find(struct sim *sim, enum sim_oracle oracle, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A line of the transcript. node NULL: of the world. */
void sim_tell(struct sim *sim, const struct sim_node *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Something that only the simulator can be blamed for. */
#define SIM_MUST(condition)                                                            \
    ((condition) ? (void)0 : sim_broken(#condition, __FILE__, __LINE__))
void sim_broken(const char *what, const char *file, int line) __attribute__((noreturn));

uint64_t sim_fact(const struct sim_log_facts *facts, uint64_t incarnation);
/* Raises what is known; never lowers. */
void sim_fact_raise(struct sim_log_facts *facts, uint64_t incarnation,
                    uint64_t entries);
void sim_facts_copy(struct sim_log_facts *to, const struct sim_log_facts *from);

/* template.c: nodes that have been enrolled, copied for each season. */
void sim_template_open(struct sim *sim);
/* Publish the second version of the form at the centre. Returns the store's error. */
int sim_template_publish_2(struct sim *sim);

/* node.c */
int64_t sim_node_utc_ms(const struct sim_node *n);
/* Opens the store on the node's disk and checks what was promised of it. */
void sim_node_start(struct sim_node *n);
/* The same for the whole process: it begins to sync, too. */
void sim_node_begin(struct sim_node *n);
/* Closes the store in order. */
void sim_node_stop(struct sim_node *n);
/* The process is gone, by a power cut when the disk is dark; it starts again after a
 * while. */
void sim_node_die(struct sim_node *n, uint64_t again_after_ms);
/* What an error of the store means to the process. True: the node goes on. Ends it for
 * an I/O error; an error that nothing in the world explains is a finding. */
bool sim_node_survives(struct sim_node *n, int err, const char *what);
bool sim_node_runs(const struct sim_node *n);
/* mints: as `restore` does it; else the file is copied back by hand. */
void sim_node_restore(struct sim_node *n, bool mints);
void sim_node_clone(struct sim *sim, struct sim_node *victim);
/* The machine goes on from its snapshot, in the same run. */
void sim_node_roll_back(struct sim_node *n);
/* Syncs with another parent from now on, unless it talks just now. */
void sim_node_turn(struct sim_node *n, unsigned parent);

/* luck.c: whose season the buggify points belong to. */
void sim_luck_begin(struct sim *sim);
void sim_luck_end(void);

/* steps.c */
void sim_step(struct sim *sim, const struct sim_step *step);
void sim_set_link(struct sim_node *n, bool up);
void sim_tell_upsync(struct sim_node *n, enum hm_upsync_event_type type);

/* save.c */
/* forbidden: claims a rank that nobody here has; its parent must refuse it. */
void sim_save(struct sim_node *n, uint64_t param, bool forbidden);

/* facts.c */
/* kind: SIM_MOVE .. SIM_UNDO. */
void sim_fact_step(struct sim_node *n, enum sim_step_kind kind, uint64_t param);

/* net.c */
void sim_upsync(struct sim_node *n, enum hm_upsync_event_type type);
/* The reply of one of its next exchanges is lost, or cut. */
void sim_net_die_late(struct sim_node *n);
/* Tell upsync what windows, clock and cost are now. */
void sim_tell_limits(struct sim_node *n);
void sim_net_deliver(struct sim *sim, size_t index);
uint64_t sim_net_next_ms(const struct sim *sim, size_t *out_index);

/* watch.c: a request that was served, and its reply. */
void sim_watch(struct sim_node *parent, struct hm_bytes request, struct hm_bytes reply);

/* rescue.c: changes that nodes write by themselves, for authors who are gone. */
/* Own entries of a node that no person saved, and those of a branch that it left. */
void sim_rescue_note(struct sim_node *n);
/* The centre is about to lose what is behind its image: who shows it? */
void sim_rescue_mark(struct sim *sim);
/* An officer says that no more will come. Returns whether there was anything to say. */
bool sim_rescue_declare(struct sim *sim);
/* At the end: what laptops showed of it is there. */
void sim_rescue_check(struct sim *sim);

/* alarms.c: at the end, at the centre. */
int sim_alarms_check(struct sim_node *centre);

/* hostile.c */
void sim_hostile(struct sim *sim, uint64_t param);

/* check.c: of four calls, the texts stand at once. */
const char *sim_dot_text(const struct hm_dot *dot);
/* Runs a check inside a snapshot of a node. An error of the store is a finding: nothing
 * fails any more when checks run. */
void sim_look(struct sim_node *n, int (*check)(struct sim_node *n));
/* Whether a node must be done and equal at the end. */
bool sim_takes_part(const struct sim_node *n);
/* At the end, when all is quiet. */
void sim_check_end(struct sim *sim);
/* check_lost.c: at the end, inside a snapshot; a change that the centre holds, and what
 * is left of hamlets that a laptop does not hold any more. */
int sim_check_verdict(struct sim_node *centre, const struct sim_change *change,
                      int verdict);
int sim_check_leftover(struct sim_node *n);
/* May the change have been refused since its user had no account any more? */
bool sim_check_may_be_disabled(const struct sim_node *author,
                               const struct sim_change *change);
/* check_running.c: after each adopted reply of a node. */
void sim_check_adopted(struct sim_node *n);
/* What a node that has just started must hold. */
void sim_check_promises(struct sim_node *n);
/* check_facts.c: the same for whole households. */
int sim_check_facts(struct sim_node *n);
/* Whether every node that can be is done. */
bool sim_check_quiet(struct sim *sim);
/* A finding that says who is not. */
void sim_check_noise(struct sim *sim);

#endif
