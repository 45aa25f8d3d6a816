/* Pieces of blobs that come from a parent, and what a whole one changes. A part of
 * storage/adopt.c. Runs inside its transaction. */
#ifndef HM_STORAGE_ADOPT_BLOBS_H
#define HM_STORAGE_ADOPT_BLOBS_H

#include "storage/forms.h"

/* Take a BLOB frame. *out_moved is set when something was added; it is never cleared.
 * A whole field table makes the conflicts be counted again. */
int hm_adopt_blob(struct hm_store *s, struct hm_forms *forms, struct hm_bytes payload,
                  struct hm_arena *arena, bool *out_moved) HM_MUST_USE;

/* Is a blob that a form names not here, or not whole? */
int hm_adopt_missing_blobs(struct hm_store *s, struct hm_arena *arena,
                           bool *out_missing) HM_MUST_USE;

#endif
