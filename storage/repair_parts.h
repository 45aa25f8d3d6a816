/* What the files of storage/repair.h share. Not for others. */
#ifndef HM_STORAGE_REPAIR_PARTS_H
#define HM_STORAGE_REPAIR_PARTS_H

#include "storage/forms.h"
#include "storage/log.h"
#include "storage/repair.h"

enum { HM_REPAIR_ARENA_BYTES_MAX = 64 * 1024 * 1024 };

struct hm_repair {
    const struct hm_repair_options *options;
    struct hm_repair_report *report;
    struct hm_store *from;  /* scratch: what was gathered, unchecked but for its rows */
    struct hm_store *to;    /* the new store */
    struct hm_forms *forms; /* of to; once items and blobs are there */
};

/* Rows of the old store into the scratch store. */
int hm_repair_gather_old(struct hm_repair *r) HM_MUST_USE;
/* Facts and tokens, items, blobs, from both sources, into the new store. Own entries of
 * the files, and of the old store's segments, into the scratch store's entries. */
int hm_repair_take_basics(struct hm_repair *r) HM_MUST_USE;
int hm_repair_gather_entries(struct hm_repair *r) HM_MUST_USE;

/* Own logs as far as they are without a gap; what lies behind one into quarantine. */
int hm_repair_restore_own(struct hm_repair *r) HM_MUST_USE;
/* States that were saved, and own entries applied to them. */
int hm_repair_restore_states(struct hm_repair *r) HM_MUST_USE;
/* Others' logs, through the door that they came by. */
int hm_repair_restore_foreign(struct hm_repair *r) HM_MUST_USE;
/* Quarantine, invitations, lines of imports. */
int hm_repair_restore_rest(struct hm_repair *r) HM_MUST_USE;

#endif
