/* A copy of what a node knows about itself, beside its store: its role, its upstream,
 * its token, whose items it trusts, the hashes of the tokens that it gave out. Small,
 * checksummed, replaced as a whole; storage/repair.h reads it when the store is lost.
 *
 * What a sync tells anew (clock, cursors, receipts) and the timeline, which a repaired
 * store must not go on with, are not in it. Blocking; thread as the store. */
#ifndef HM_STORAGE_FACTS_H
#define HM_STORAGE_FACTS_H

#include "storage/files.h"
#include "storage/store.h"

#define HM_FACTS_FILE "node.facts"

enum { HM_FACTS_BYTES_MAX = 4 * 1024 * 1024 };

/* Append the facts of s, one record (storage/records.h): the same facts give the same
 * bytes. Inside a transaction of the caller. */
int hm_facts_encode(struct hm_store *s, struct hm_buf *buf) HM_MUST_USE;

/* Put the facts of such a record into s. *out_facts: how many.
 * Errors: HM_CORRUPT (not such a record); the store's. */
int hm_facts_restore(struct hm_store *s, struct hm_bytes record,
                     uint64_t *out_facts) HM_MUST_USE;

/* Is it a fact that is kept beside the store? */
bool hm_facts_is_kept(const char *name);

#endif
