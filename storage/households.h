/* States of households, their place in the feeds, and who waits for a decision.
 *
 * Runs inside a transaction of the caller. Blocking; thread as the store. */
#ifndef HM_STORAGE_HOUSEHOLDS_H
#define HM_STORAGE_HOUSEHOLDS_H

#include "protocol/household.h"
#include "protocol/policy.h"
#include "storage/store.h"

/* Errors: HM_NOTFOUND. */
int hm_households_home(struct hm_store *s, const struct hm_household_id *id,
                       uint32_t *out_home) HM_MUST_USE;

/* A household's state, in arena. Errors: HM_NOTFOUND; HM_CORRUPT. */
int hm_households_load(struct hm_store *s, const struct hm_household_id *id,
                       struct hm_arena *arena, struct hm_household *out) HM_MUST_USE;
/* The same, or an empty household when there is none. */
int hm_households_load_or_new(struct hm_store *s, const struct hm_household_id *id,
                              struct hm_arena *arena, struct hm_household *out,
                              bool *out_found) HM_MUST_USE;

/* Keep a state: the household moves to the end of the feed of every scope in which it
 * stands, and of every one that it leaves by this; their digests follow, its conflicts
 * are counted again, and the indexes of merges and of likenesses follow. A state equal
 * to the kept one changes nothing. Errors: HM_TOOBIG. */
int hm_households_store(struct hm_store *s, const struct hm_household *h,
                        hm_policy_of_fn policy_of, void *policy_arg) HM_MUST_USE;

/* Where the household stands in a scope's feed; 0: it does not. */
int hm_households_position(struct hm_store *s, uint32_t scope,
                           const struct hm_household_id *id,
                           uint64_t *out_position) HM_MUST_USE;

/* Did it live in this scope before it moved? */
int hm_households_departed(struct hm_store *s, uint32_t scope,
                           const struct hm_household_id *id,
                           bool *out_departed) HM_MUST_USE;
/* Tell the feed of a scope from which it departed once more: somebody there did not
 * know. Nothing for a household that did not depart from there. */
int hm_households_tell_departed(struct hm_store *s, uint32_t scope,
                                const struct hm_household_id *id) HM_MUST_USE;
/* Forget a household with all its places; nothing happens when it is not here. The log
 * stays. */
int hm_households_forget(struct hm_store *s,
                         const struct hm_household_id *id) HM_MUST_USE;

/* Forget every household of a scope that lives in none of the held ones and departed
 * from none of them: for a node that no longer holds it. The log stays. */
int hm_households_drop_scope(struct hm_store *s, uint32_t scope, const uint32_t *held,
                             size_t held_count) HM_MUST_USE;
/* How many those are. */
int hm_households_count_unheld(struct hm_store *s, uint32_t scope, const uint32_t *held,
                               size_t held_count, uint64_t *out_count) HM_MUST_USE;

struct hm_household_row {
    struct hm_household_id id;
    uint32_t home;
    uint64_t position;     /* in the feed that was asked for */
    struct hm_bytes state; /* canonical; valid during the call */
    struct hm_bytes hash;
    int64_t changed_utc_ms;
    uint64_t conflicts; /* cells that wait */
    bool departed;      /* from the scope that was asked for */
};
typedef int (*hm_households_fn)(void *arg, const struct hm_household_row *row);

/* The households that stand in a scope, by position, from behind `after`. A code other
 * than HM_OK from fn ends it and is returned. fn may read the store, but not through
 * this function. */
int hm_households_each(struct hm_store *s, uint32_t scope, uint64_t after,
                       hm_households_fn fn, void *arg) HM_MUST_USE;
/* The same, and those that departed since, as a child is told it. */
int hm_households_each_fed(struct hm_store *s, uint32_t scope, uint64_t after,
                           hm_households_fn fn, void *arg) HM_MUST_USE;
/* Only those that departed, the latest first. */
int hm_households_each_departed(struct hm_store *s, uint32_t scope, hm_households_fn fn,
                                void *arg) HM_MUST_USE;
/* The same as hm_households_each(), only those with conflicts. */
int hm_households_each_conflict(struct hm_store *s, uint32_t scope, hm_households_fn fn,
                                void *arg) HM_MUST_USE;

/* The same from behind a position. */
int hm_households_each_conflict_after(struct hm_store *s, uint32_t scope,
                                      uint64_t after, hm_households_fn fn,
                                      void *arg) HM_MUST_USE;

/* The scopes in which anything stands, ascending, in arena. */
int hm_households_scopes(struct hm_store *s, struct hm_arena *arena,
                         uint32_t **out_scopes, size_t *out_count) HM_MUST_USE;

/* The first 8 bytes of every household's hash in a scope, ascending, appended to buf.
 */
int hm_households_prefixes(struct hm_store *s, uint32_t scope,
                           struct hm_buf *buf) HM_MUST_USE;

/* Count the conflicts of every household again, and index its likenesses: the forms
 * have changed. */
int hm_households_recount(struct hm_store *s, hm_policy_of_fn policy_of,
                          void *policy_arg) HM_MUST_USE;

struct hm_households_count {
    uint64_t households;
    uint64_t conflicts; /* cells */
};
int hm_households_count(struct hm_store *s,
                        struct hm_households_count *out) HM_MUST_USE;

/* The digest of a scope, computed again from the states; every state's hash is checked.
 * Errors: HM_CORRUPT (a state does not have its hash). */
int hm_households_recompute(struct hm_store *s, uint32_t scope,
                            struct hm_hash *out_digest,
                            uint64_t *out_households) HM_MUST_USE;

#endif
