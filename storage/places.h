/* From how many places one device syncs.
 *
 * Each run of a node has a random number. One machine never goes back to an earlier
 * run: where two runs take turns, two machines have the same token. Requests are
 * numbered within a run, so that one that comes late or twice is not taken for a turn,
 * and one alone does not count: it may have been under way when its run ended.
 *
 * Runs inside a transaction of the caller. Blocking; thread as the store. */
#ifndef HM_STORAGE_PLACES_H
#define HM_STORAGE_PLACES_H

#include "storage/store.h"

enum { HM_PLACES_KEPT = 16 /* runs of a device */ };

/* A request of the device came; raises the alarm when it is a turn. */
int hm_places_note(struct hm_store *s, uint64_t device, uint64_t opening,
                   uint64_t number) HM_MUST_USE;

#endif
