/* A file that only takes up space, so that there is some to give back when the disk is
 * full: a sync can then run, be acknowledged, and let go of what is old.
 *
 * Knows nothing of the store beside it. No state; blocking; any thread, one at a time
 * per path. */
#ifndef HM_STORAGE_RESERVE_H
#define HM_STORAGE_RESERVE_H

#include <stdint.h>

#include "protocol/err.h"

/* Make the file, or make it longer, so that bytes (> 0) of the device belong to it for
 * sure, and sync it. Nothing happens when it has them already.
 *
 * Errors:
 *   HM_NOSPACE  the device has no room for it; there is no reserve now
 *   HM_INVALID  bytes is not positive
 *   HM_IO       the file cannot be made; there is no reserve now */
HM_MUST_USE int hm_reserve_make(const char *path, int64_t bytes);

/* Give the space back. HM_OK too when there is no reserve. Errors: HM_IO */
HM_MUST_USE int hm_reserve_release(const char *path);

/* What the device keeps for it; 0 when there is no reserve. Errors: HM_IO */
HM_MUST_USE int hm_reserve_held_bytes(const char *path, int64_t *out_bytes);

#endif
