/* The addresses that a node listens on, and which part of the program a request goes
 * to. Loop thread only. */
#ifndef HM_DAEMON_HTTP_ROUTES_H
#define HM_DAEMON_HTTP_ROUTES_H

#include "daemon/node.h"

struct hm_http_routes;
typedef void (*hm_http_routes_closed_cb)(void *owner);

/* Listen on DIR/control.sock, and on web and hub when the configuration says so. On
 * error errmsg gets one line, nothing listens and *out_routes is unchanged; the loop
 * must turn once more. Errors: as hm_http_server_open(). */
int hm_http_routes_open(struct hm_node *node, struct hm_buf *errmsg,
                        struct hm_http_routes **out_routes) HM_MUST_USE;
/* closed runs when all requests are answered. NULL routes: nothing happens. */
void hm_http_routes_close(struct hm_http_routes *routes,
                          hm_http_routes_closed_cb closed, void *owner);

#endif
