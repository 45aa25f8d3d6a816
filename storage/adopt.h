/* The child's end of a sync, second half: what a parent's reply changes here.
 *
 * Receipts, notices of refused changes, items of scope 0, states of the feeds (taken,
 * kept or joined: protocol/merge.h), pieces of blobs. All of a reply is one
 * transaction. Blocking; thread as the store. */
#ifndef HM_STORAGE_ADOPT_H
#define HM_STORAGE_ADOPT_H

#include "storage/forms.h"
#include "storage/store.h"

struct hm_adopt {
    uint64_t rescued;     /* changes that were written for authors who are gone */
    uint64_t again;       /* own changes of a branch that was left, written again */
    bool version_refused; /* the parent speaks another protocol: text says what to do */
    bool revoked;         /* this node's own item says so; text, too */
    char text[256];       /* of the parent, for people; may be empty */
    uint64_t households;  /* whose state changed here */
    uint64_t items;       /* administrative items that changed */
    uint64_t notices;     /* own changes that the parent refused */
    uint64_t receipted;   /* own changes that are newly receipted */
    uint64_t scopes_left; /* that were not assigned any more, and are gone */
    bool more;            /* another request would move something */
    bool digest_equal; /* every scope has the parent's digest, and nothing is unsent */
    uint64_t retry_after_ms;
    int64_t clock_offset_ms; /* the parent's clock less ours */
};

/* sent_utc_ms, received_utc_ms: of the exchange, by this node's clock.
 *
 * Errors: HM_MALFORMED, HM_TRUNCATED, HM_NONCANONICAL, HM_TOOBIG (not a reply: a
 * captive portal, a broken link; nothing was changed); HM_SIGNATURE (an item that the
 * centre did not sign; nothing was changed); the store's. */
int hm_adopt_reply(struct hm_store *s, struct hm_forms *forms, struct hm_bytes reply,
                   int64_t sent_utc_ms, int64_t received_utc_ms,
                   struct hm_adopt *out) HM_MUST_USE;

#endif
