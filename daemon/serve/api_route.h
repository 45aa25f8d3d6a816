/* A request of the local API on its way to a store thread and back: with its body in
 * memory, or spooled to a file. Loop thread only. */
#ifndef HM_DAEMON_SERVE_API_ROUTE_H
#define HM_DAEMON_SERVE_API_ROUTE_H

#include "daemon/exchange.h"
#include "daemon/serve/api.h"

enum {
    HM_API_BODY_BYTES_MAX = 5 * 1024 * 1024,
    HM_API_ANSWER_BYTES_MAX = 256 * 1024 * 1024,
    HM_API_USER_MAX = 256
};

/* What an API request keeps beside its exchange. */
struct hm_api_route {
    struct hm_store_job job;
    struct hm_api_request request;
    struct hm_api_answer answer;
    struct hm_api_node node;
    struct hm_exchange *x;
    char *texts; /* method, path, query, content type: they end with on_request */
    char user[HM_API_USER_MAX];
};

/* The body has come: hand over. body_fd: -1 for one in memory. */
void hm_api_route_submit(struct hm_api_route *route, struct hm_exchange *x,
                         enum hm_store_lane lane, int body_fd, uint64_t body_bytes);
void hm_api_route_deinit(struct hm_api_route *route);

/* Hamlet-User, percent-decoded. False: not UTF-8 so encoded, or too long. out "" for
 * none. */
bool hm_api_route_user(struct hm_http_request *req, char out[HM_API_USER_MAX]);

#endif
