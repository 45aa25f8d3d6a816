/* The part of a reply that is not work: what the parent has noticed about this node,
 * and that it has forgotten what it once held.
 *
 * Runs inside the transaction that adopts the reply. Blocking; thread as the store. */
#ifndef HM_STORAGE_ADOPT_HERE_H
#define HM_STORAGE_ADOPT_HERE_H

#include "protocol/here.h"
#include "storage/store.h"

/* An ALARMS frame. */
int hm_adopt_here_alarms(struct hm_store *s, uint64_t parent, struct hm_bytes payload,
                         struct hm_arena *arena) HM_MUST_USE;
/* The parent begins another history: what it had receipted is to be told, what it holds
 * of own logs to be asked, and items that it lacks to be sent up. */
int hm_adopt_here_timeline(struct hm_store *s, uint64_t parent) HM_MUST_USE;

/* Items that the parent lacks, by the first 8 bytes of their hashes: *out_up true when
 * they go up with the next request, because the parent has forgotten; false when they
 * are not for this node any more. */
int hm_adopt_here_items(struct hm_store *s, struct hm_bytes prefixes,
                        bool *out_up) HM_MUST_USE;
/* The request that took them has been answered. */
int hm_adopt_here_items_sent(struct hm_store *s) HM_MUST_USE;

#endif
