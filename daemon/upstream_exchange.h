/* One exchange with the upstream: a request from the store, a POST, the reply into the
 * store. It knows nothing of when and how often.
 *
 * Loop thread only; the work on the store runs on its writer. */
#ifndef HM_DAEMON_UPSTREAM_EXCHANGE_H
#define HM_DAEMON_UPSTREAM_EXCHANGE_H

#include "daemon/node.h"
#include "daemon/upstream_answer.h"
#include "storage/adopt.h"
#include "storage/upload.h"

enum { HM_UPSTREAM_URL_MAX = 300 };

/* Where and as whom; copied from the store. */
struct hm_upstream_peer {
    char url[HM_UPSTREAM_URL_MAX]; /* "https://host:port" */
    char pin[HM_TLS_KEY_PIN_CHARS_MAX];
    char authorization[128]; /* secret */
};

struct hm_upstream_exchange;
typedef void (*hm_upstream_exchange_cb)(struct hm_upstream_exchange *x);

/* The caller's memory; zero it, then set the first part before each start. */
struct hm_upstream_exchange {
    struct hm_node *node;
    struct hm_upstream_peer peer;
    hm_upstream_exchange_cb done;

    /* Set when done() runs. */
    enum hm_upstream_outcome outcome;
    int err;                         /* HM_OK when the outcome is */
    char text[HM_UPSTREAM_TEXT_MAX]; /* one line for people, "" when OK */
    uint64_t retry_after_ms;
    bool foreign; /* somebody else than the hub answered */
    struct hm_upload upload;
    struct hm_adopt adopt;
    uint64_t sent_bytes;
    uint64_t received_bytes;
    uint64_t took_ms;

    /* Private. */
    size_t chunk_bytes;
    bool canceled;
    bool calling;
    bool again; /* on a fresh connection, since a kept one was dead */
    struct hm_store_job job;
    struct hm_http_call call;
    struct hm_http_header headers[3];
    char sync_url[HM_UPSTREAM_URL_MAX + 16];
    struct hm_buf request;
    int64_t sent_utc_ms;
    int64_t received_utc_ms;
};

/* done() follows exactly once, in a later turn, also when this cannot even begin (then
 * through a turn of the writer's queue, so that done() never runs inside of start).
 * Errors, and done() does not run: HM_BUSY, HM_CANCELED as hm_store_thread_submit(). */
int hm_upstream_exchange_start(struct hm_upstream_exchange *x,
                               size_t chunk_bytes) HM_MUST_USE;
/* done() comes soon, with HM_CANCELED unless it was over already. */
void hm_upstream_exchange_cancel(struct hm_upstream_exchange *x);

#endif
