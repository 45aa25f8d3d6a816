/* Which lines of imported files are here already, and as which households, so that a
 * file that is imported twice changes nothing.
 *
 * Runs inside a transaction of the caller. Blocking; thread as the store. */
#ifndef HM_STORAGE_IMPORTS_H
#define HM_STORAGE_IMPORTS_H

#include "protocol/id.h"
#include "storage/store.h"

/* file: BLAKE2b-256 of the whole file. line: > 0. Errors: HM_NOTFOUND. */
int hm_imports_find(struct hm_store *s, const uint8_t file[HM_CONTENT_HASH_BYTES],
                    uint64_t line, struct hm_household_id *out_household) HM_MUST_USE;
/* Errors: HM_EXISTS. */
int hm_imports_put(struct hm_store *s, const uint8_t file[HM_CONTENT_HASH_BYTES],
                   uint64_t line, const struct hm_household_id *household) HM_MUST_USE;

#endif
