/* A segment from another node: verified, authorised, appended to its log, applied.
 *
 * Only an authenticated entry that is next in the chain already held moves the log and
 * the vector, also when authorisation refuses it. What is known already is compared by
 * its chain hash and skipped. Bytes with a bad signature, a broken chain or of a fork's
 * other branch are kept in quarantine by the hash of their content and move nothing;
 * those that nobody signed are on the account of the sender, which has a limit.
 *
 * Runs inside a transaction of the caller, who commits before any receipt leaves.
 * Blocking; thread as the store. */
#ifndef HM_STORAGE_ACCEPT_H
#define HM_STORAGE_ACCEPT_H

#include "storage/authorise.h"

enum { HM_ACCEPT_ARENA_BYTES_MAX = 512 * 1024 * 1024 };

/* A household that a sender's own changes moved in a feed. */
struct hm_accept_touched {
    struct hm_household_id id;
    uint32_t scope;
    uint64_t position_before; /* before the first of them; 0: it did not stand there */
    uint64_t position_after;
    bool refused; /* one of them was refused: the sender's state is not ours */
    bool came_in; /* it stood elsewhere before, not in this scope */
};

struct hm_accept_notice {
    struct hm_dot dot;
    int reason;
    const char *detail; /* in the arena */
};

/* A log that goes on otherwise here than its author's segment says. */
struct hm_accept_fork {
    uint64_t incarnation;
    uint64_t device;
    uint64_t common; /* entries that are the same; 0 with known false */
    bool known;      /* else the segment begins behind the fork */
};

/* One sender's segments within one transaction. Lists grow in the arena. */
struct hm_accept {
    struct hm_store *s;
    struct hm_forms *forms;
    struct hm_units_tree tree;
    struct hm_arena *arena;
    uint64_t sender; /* the device that brings the segments; its own or others' */
    bool
        from_hub; /* the sender is one: the grants of its authors may be on their way */
    struct hm_authority authority; /* of the last author */
    bool has_authority;
    struct hm_accept_touched *touched;
    size_t touched_count;
    size_t touched_room;
    struct hm_accept_notice *notices;
    size_t notice_count;
    size_t notice_room;
    struct hm_accept_fork *forks;
    size_t fork_count;
    uint64_t changes; /* new ones, refused ones too */
    /* What was decided about an entry before, when the store is made anew; false: it is
     * to be judged. NULL: all are. */
    bool (*decided)(void *arg, const struct hm_dot *dot, int *out_verdict);
    void *decided_arg;
};

/* arena must outlive a. */
int hm_accept_init(struct hm_accept *a, struct hm_store *s, struct hm_forms *forms,
                   uint64_t sender, struct hm_arena *arena) HM_MUST_USE;

/* A segment that comes again gives its notices again: the sender may not have heard.
 * What cannot be judged here yet (a gap, a dictionary or a form's table that has not
 * come, an item that a newer program wrote, an author whom a hub has let in) moves
 * nothing and is not kept.
 *
 * Of a fork, only what is known to be the same at both ends counts as held.
 *
 * *out_incarnation: whose log it is (0: the bytes are no segment), *out_entries: how
 * many of its entries are held now. Whatever is wrong with the bytes is not an error:
 * the return value is the store's. */
int hm_accept_segment(struct hm_accept *a, struct hm_bytes bytes,
                      uint64_t *out_incarnation, uint64_t *out_entries) HM_MUST_USE;

#endif
