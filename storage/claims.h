/* Logs that were longer than they are here: how a node that was set back learns what it
 * has lost, and a child that its parent was.
 *
 * At the child: what it knows of logs that its parent lacks, until it has told it. At
 * the parent: what children have told, until it has come back.
 *
 * Runs inside a transaction of the caller. Blocking; thread as the store. */
#ifndef HM_STORAGE_CLAIMS_H
#define HM_STORAGE_CLAIMS_H

#include "protocol/here.h"
#include "storage/store.h"

enum { HM_CLAIMS_MAX = 4096 /* logs; more are not kept */ };

/* At the parent: the log had so many entries. What is held already is not noted. */
int hm_claims_note(struct hm_store *s, const struct hm_lost_log *lost) HM_MUST_USE;
/* Entries first_n .. behind - 1 of the log have come. *out_back: how many of them were
 * claimed, the birth left out. */
int hm_claims_settle(struct hm_store *s, uint64_t incarnation, uint64_t first_n,
                     uint64_t behind, uint64_t *out_back) HM_MUST_USE;
/* Changes that were claimed and are not here. */
int hm_claims_missing(struct hm_store *s, uint64_t *out_changes) HM_MUST_USE;
typedef int (*hm_claims_fn)(void *arg, const struct hm_lost_log *lost);
/* Claims on the logs of a device, 0: of all. fn may use the store. */
int hm_claims_each(struct hm_store *s, uint64_t device, hm_claims_fn fn,
                   void *arg) HM_MUST_USE;
int hm_claims_drop(struct hm_store *s, uint64_t incarnation) HM_MUST_USE;

/* At the child: the parent lacks entries of this log. */
int hm_claims_learn(struct hm_store *s, const struct hm_lost_log *lost) HM_MUST_USE;
/* What is to be told, at most count_max; it counts as told when hm_claims_forget_told()
 * is called, which the parent's answer does. In arena. */
int hm_claims_tell(struct hm_store *s, size_t count_max, struct hm_arena *arena,
                   struct hm_lost_log **out_lost, size_t *out_count) HM_MUST_USE;
int hm_claims_forget_told(struct hm_store *s) HM_MUST_USE;

#endif
