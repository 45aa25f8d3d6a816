/* What a parent says of logs: how much it holds, how much the centre holds, what was
 * refused. A part of storage/adopt.c. Runs inside its transaction. Errors: those of the
 * payload's reader; the store's. */
#ifndef HM_STORAGE_ADOPT_RECEIPTS_H
#define HM_STORAGE_ADOPT_RECEIPTS_H

#include "protocol/message.h"
#include "storage/adopt.h"

/* RECEIPT. out: what is newly receipted is added. */
int hm_adopt_receipt(struct hm_store *s, uint64_t parent, struct hm_bytes payload,
                     struct hm_adopt *out) HM_MUST_USE;
/* AT_CENTRE */
int hm_adopt_at_centre(struct hm_store *s, uint64_t parent, struct hm_bytes payload,
                       struct hm_arena *arena) HM_MUST_USE;
/* TOLD. out->more when the parent was set back. */
int hm_adopt_told(struct hm_store *s, uint64_t parent, struct hm_bytes payload,
                  struct hm_heard *out_told, struct hm_adopt *out) HM_MUST_USE;
/* QUARANTINED: kept for the person who wrote it. */
int hm_adopt_notice(struct hm_store *s, struct hm_bytes payload, struct hm_arena *arena,
                    struct hm_adopt *out) HM_MUST_USE;

#endif
