/* The parent's end of a sync: requests of children in, replies out.
 *
 * Segments of many children are stored in one transaction with one sync; receipts are
 * made only when it is on disk. Blocking; thread as the store. */
#ifndef HM_STORAGE_SERVE_H
#define HM_STORAGE_SERVE_H

#include "storage/devices.h"
#include "storage/forms.h"

enum { HM_SERVE_BATCH_MAX = 64, HM_SERVE_ERRMSG_MAX = 200 };

struct hm_serve_request {
    uint64_t device; /* whose token it came with */
    struct hm_bytes body;
    int64_t received_utc_ms;
};

struct hm_serve_reply {
    int err; /* HM_OK: body is a reply. Else what was wrong with the request */
    char errmsg[HM_SERVE_ERRMSG_MAX]; /* one line for people, "" when HM_OK */
    struct hm_buf body;               /* the caller's to free */
    uint64_t changes;                 /* that are new here, refused ones too */
    uint64_t notices; /* that are refused, known ones that came again too */
};

/* Serve count (1..HM_SERVE_BATCH_MAX) requests. What is wrong with one of them is in
 * its reply and does not touch the others. replies are initialised here.
 *
 * Errors: the store's; then nothing was stored and no reply may leave. */
int hm_serve_batch(struct hm_store *s, struct hm_forms *forms,
                   const struct hm_serve_request *requests,
                   struct hm_serve_reply *replies, size_t count) HM_MUST_USE;
void hm_serve_reply_deinit(struct hm_serve_reply *reply);

#endif
