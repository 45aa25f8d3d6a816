/* What the logs of one device tell about its disk.
 *
 * Births name the log that went before, up to the entry that their disk knew. A birth
 * below what is known here is of a disk that was set back; two births at one point are
 * two machines that run one image, or one that was set back to the end of a log.
 *
 * Runs inside a transaction of the caller. Blocking; thread as the store. */
#ifndef HM_STORAGE_BIRTHS_H
#define HM_STORAGE_BIRTHS_H

#include "storage/store.h"

/* Raise what the device's logs, as they are held now, tell. */
int hm_births_look(struct hm_store *s, uint64_t device) HM_MUST_USE;

#endif
