/* The parents that this node is enrolled at, and which of them it syncs with.
 *
 * A laptop may alternate between a hub, another hub and the centre: cursors and
 * receipts are kept for each, and no one's word is taken for another's. Runs inside a
 * transaction of the caller. Blocking; thread as the store. */
#ifndef HM_STORAGE_UPSTREAMS_H
#define HM_STORAGE_UPSTREAMS_H

#include "storage/store.h"

enum { HM_UPSTREAMS_MAX = 64 };

struct hm_upstream_known {
    uint64_t device; /* of the parent */
    const char *url;
    struct hm_bytes pin;   /* SHA-256 of its public key */
    struct hm_bytes token; /* this device's, for it */
    bool current;          /* it is the one that is synced with */
};

/* Keep one; one at the same address, which can't be there any more, is forgotten.
 * Texts and bytes are copied. Errors: HM_TOOBIG (too many). */
int hm_upstreams_keep(struct hm_store *s,
                      const struct hm_upstream_known *upstream) HM_MUST_USE;
/* By device, in arena. */
int hm_upstreams_list(struct hm_store *s, struct hm_arena *arena,
                      struct hm_upstream_known **out_upstreams,
                      size_t *out_count) HM_MUST_USE;
/* From now on it is synced with: what it lacks of the logs is asked before anything is
 * sent to it. Errors: HM_NOTFOUND. */
int hm_upstreams_use(struct hm_store *s, uint64_t device) HM_MUST_USE;

#endif
