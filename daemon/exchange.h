/* One request on its way through the daemon: who answers it, and what must be kept
 * until it is over. Loop thread only. */
#ifndef HM_DAEMON_EXCHANGE_H
#define HM_DAEMON_EXCHANGE_H

#include "daemon/http_answer.h"
#include "daemon/http_guard.h"
#include "daemon/node.h"

struct hm_exchange;

/* What a kind of request does. head() accepts the body or answers at once; chunk(),
 * request() and room() may be NULL; done() releases what head() made, but not the
 * exchange. */
struct hm_exchange_kind {
    size_t size; /* of the struct whose first member is the exchange */
    void (*head)(struct hm_exchange *x);
    void (*chunk)(struct hm_exchange *x, struct hm_bytes bytes);
    void (*request)(struct hm_exchange *x);
    void (*room)(struct hm_exchange *x);
    void (*done)(struct hm_exchange *x);
};

struct hm_exchange {
    const struct hm_exchange_kind *kind;
    struct hm_node *node;
    struct hm_http_request *req;
    enum hm_http_listener listener;
    bool over; /* on_done ran: req is gone */
    bool busy; /* something off the loop uses this: whoever ends it, frees it when over
                */
};

/* Frees x when its request is over; to be called when busy has become false. */
void hm_exchange_release(struct hm_exchange *x);

/* The raw query behind '?'; "" for none. */
const char *hm_exchange_query(const struct hm_exchange *x);

extern const struct hm_exchange_kind hm_exchange_api;    /* serve/api_route.c */
extern const struct hm_exchange_kind hm_exchange_upload; /* serve/upload_route.c */
extern const struct hm_exchange_kind hm_exchange_sync;   /* serve/sync_route.c */
extern const struct hm_exchange_kind hm_exchange_enroll; /* serve/enroll_route.c */

#endif
