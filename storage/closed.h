/* Logs that nobody will send any more: the centre's word that what it holds of them is
 * all that comes, given when a device is lost or a restore is finished.
 *
 * An administrative item for each log, so it travels and is signed. Runs inside a
 * transaction of the caller. Blocking; thread as the store. */
#ifndef HM_STORAGE_CLOSED_H
#define HM_STORAGE_CLOSED_H

#include "storage/items.h"

/* Is the log closed, and with how many entries at the centre? */
int hm_closed_get(struct hm_store *s, uint64_t incarnation, bool *out_closed,
                  uint64_t *out_entries) HM_MUST_USE;
/* Is anything closed that is known here? */
int hm_closed_any(struct hm_store *s, bool *out_any) HM_MUST_USE;

struct hm_closed_count {
    uint64_t logs;
    uint64_t changes; /* that were known to have been, and have not come */
};
/* Close every log of a device that children know further than it is held here
 * (storage/claims.h), and those that they tell of later. The log that this opening
 * writes stays open. Errors: as hm_items_put(). */
int hm_closed_device(struct hm_store *s, uint64_t device,
                     struct hm_closed_count *out) HM_MUST_USE;
/* The restore of this node is finished: what is still missing, of any device, will not
 * come. Of this node's own logs what is told of later counts, too. */
int hm_closed_restore(struct hm_store *s, struct hm_closed_count *out) HM_MUST_USE;
/* A child has told of logs: those of devices that are closed are closed, too. At the
 * centre. */
int hm_closed_late(struct hm_store *s) HM_MUST_USE;

#endif
