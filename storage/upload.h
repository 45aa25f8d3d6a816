/* The child's end of a sync, first half: a request from what the store holds.
 *
 * HELLO; own logs when the parent is new; a cursor for scope 0 and for each hamlet that
 * this node is assigned; own entries without a receipt, sealed; hashes of a scope whose
 * digest differs; pieces wanted of blobs that forms name.
 * Blocking; thread as the store. */
#ifndef HM_STORAGE_UPLOAD_H
#define HM_STORAGE_UPLOAD_H

#include "storage/store.h"

struct hm_upload {
    uint64_t changes; /* in the segments of this request */
    uint64_t segment_bytes;
    bool more; /* own changes are left for another request */
};

/* Append a request to buf. Opens its own transaction (sealing writes). chunk_bytes: the
 * budget of each direction, at least 2 kB; one entry always goes.
 *
 * Errors: HM_INVALID (no upstream); the store's. */
int hm_upload_build(struct hm_store *s, size_t chunk_bytes, struct hm_buf *buf,
                    struct hm_upload *out) HM_MUST_USE;

/* Who the parent is. Texts and bytes are copied. */
struct hm_upstream_grant {
    const char *url;    /* "https://host:port" */
    const uint8_t *pin; /* 32 bytes: SHA-256 of its public key */
    struct hm_bytes token;
    uint64_t device;          /* of the parent */
    const uint8_t *authority; /* the centre's public key, 32 bytes */
    enum hm_node_role role;   /* what this node becomes: laptop or hub */
};
/* Keep a grant: it is one of the node's upstreams, and used from now on. In a
 * transaction of the caller.
 */
int hm_upload_set_upstream(struct hm_store *s,
                           const struct hm_upstream_grant *grant) HM_MUST_USE;

/* The hamlets that this node is assigned by its own device item, ascending; all units
 * of kind hamlet for a centre. In arena. In a transaction of the caller. */
int hm_upload_scopes(struct hm_store *s, struct hm_arena *arena, uint32_t **out_scopes,
                     size_t *out_count) HM_MUST_USE;

#endif
