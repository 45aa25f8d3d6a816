/* Happy path: on_head() looks who asks (http_guard.h), finds the kind of request and
 * makes its exchange; the further events go to the kind; on_done() frees.
 * Failures: a refusal is answered from the head; the body is not read.
 * Close: each server closes by itself; closed() runs behind the last. */
#include "daemon/http_routes.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/exchange.h"
#include "daemon/serve/api.h"
#include "daemon/serve/loop_routes.h"

enum {
    LISTENERS = 3,
    LONG_MS = 12 * 60 * 60 * 1000, /* an import, an enrolment on a bad link */
    HUB_ANSWER_MS = 120 * 1000,
    HUB_CONNECTIONS = 1024,
    LONG_S = 12 * 60 * 60
};

struct listener {
    struct hm_http_routes *routes;
    enum hm_http_listener kind;
    struct hm_http_server *server;
};

struct hm_http_routes {
    struct hm_node *node;
    struct listener listeners[LISTENERS];
    unsigned open;
    hm_http_routes_closed_cb closed;
    void *closed_owner;
};

/* Exchanges. */

void hm_exchange_release(struct hm_exchange *x)
{
    if (x->over && !x->busy) {
        free(x);
    }
}

const char *hm_exchange_query(const struct hm_exchange *x)
{
    const char *mark = strchr(hm_http_request_target(x->req), '?');

    return mark == NULL ? "" : mark + 1;
}

static const struct hm_exchange_kind *find_kind(const char *method, const char *path)
{
    if (strcmp(path, "/sync/v1") == 0) {
        return &hm_exchange_sync;
    }
    if (strcmp(path, "/enroll/v1") == 0) {
        return &hm_exchange_enroll;
    }
    if (strcmp(path, "/healthz") == 0 || strcmp(path, "/metrics") == 0) {
        return &hm_exchange_loop;
    }
    switch (hm_api_kind(method, path)) {
    case HM_API_READ:
    case HM_API_WRITE:
        return &hm_exchange_api;
    case HM_API_UPLOAD:
        return &hm_exchange_upload;
    case HM_API_LOOP:
        return &hm_exchange_loop;
    case HM_API_NONE:
        break;
    }
    return NULL;
}

/* Nodes talk on the hub's address alone. */
static bool is_for(enum hm_http_listener listener, const struct hm_exchange_kind *kind)
{
    bool between_nodes = kind == &hm_exchange_sync || kind == &hm_exchange_enroll;

    return !between_nodes || listener == HM_HTTP_HUB;
}

static unsigned check_head(struct listener *listener, struct hm_http_request *req,
                           const char **out_why)
{
    struct hm_http_head head = {
        .listener = listener->kind,
        .port = hm_http_server_port(listener->server),
        .method = hm_http_request_method(req),
        .path = hm_http_request_path(req),
        .host = hm_http_request_header(req, "Host"),
        .origin = hm_http_request_header(req, "Origin"),
        .fetch_site = hm_http_request_header(req, "Sec-Fetch-Site"),
        .authorization = hm_http_request_header(req, "Authorization"),
        .user = hm_http_request_header(req, "Hamlet-User"),
        .api_token = listener->routes->node->keys.api_token};

    return hm_http_guard_check(&head, out_why);
}

static void on_head(void *owner, struct hm_http_request *req)
{
    struct listener *listener = owner;
    const struct hm_exchange_kind *kind;
    const char *why = "";
    unsigned status = check_head(listener, req, &why);
    struct hm_exchange *x;

    hm_http_request_set_data(req, NULL);
    if (status != 0) {
        hm_http_answer_problem(req, status, 0, "%s", why);
        return;
    }
    kind = find_kind(hm_http_request_method(req), hm_http_request_path(req));
    if (kind == NULL || !is_for(listener->kind, kind)) {
        hm_http_answer_problem(req, 404, 0, "there is nothing here");
        return;
    }
    x = calloc(1, kind->size);
    if (x == NULL) {
        hm_http_answer_error(req, HM_NOMEM, "%s", "");
        return;
    }
    x->kind = kind;
    x->node = listener->routes->node;
    x->req = req;
    x->listener = listener->kind;
    hm_http_request_set_data(req, x);
    kind->head(x);
}

static void on_chunk(void *owner, struct hm_http_request *req, struct hm_bytes bytes)
{
    struct hm_exchange *x = hm_http_request_data(req);

    (void)owner;
    x->kind->chunk(x, bytes);
}

static void on_request(void *owner, struct hm_http_request *req)
{
    struct hm_exchange *x = hm_http_request_data(req);

    (void)owner;
    x->kind->request(x);
}

static void on_room(void *owner, struct hm_http_request *req)
{
    struct hm_exchange *x = hm_http_request_data(req);

    (void)owner;
    if (x != NULL && x->kind->room != NULL) {
        x->kind->room(x);
    }
}

static void on_done(void *owner, struct hm_http_request *req)
{
    struct hm_exchange *x = hm_http_request_data(req);

    (void)owner;
    if (x == NULL) {
        return;
    }
    x->over = true;
    x->kind->done(x);
    hm_exchange_release(x);
}

/* Listening. */

static const struct hm_http_handler handler = {.on_head = on_head,
                                               .on_chunk = on_chunk,
                                               .on_request = on_request,
                                               .on_room = on_room,
                                               .on_done = on_done};

static void on_server_closed(void *owner)
{
    struct listener *listener = owner;
    struct hm_http_routes *routes = listener->routes;
    hm_http_routes_closed_cb closed = routes->closed;
    void *closed_owner = routes->closed_owner;

    listener->server = NULL;
    if (--routes->open > 0) {
        return;
    }
    free(routes);
    if (closed != NULL) {
        closed(closed_owner);
    }
}

static int listen_on(struct hm_http_routes *routes, enum hm_http_listener kind,
                     const struct hm_http_server_options *options, const char *where,
                     struct hm_buf *errmsg)
{
    struct listener *listener = &routes->listeners[kind];
    char why[200] = "";
    int err;

    listener->routes = routes;
    listener->kind = kind;
    err = hm_http_server_open(routes->node->loop, options, &handler, listener, why,
                              sizeof why, &listener->server);
    if (err != HM_OK) {
        hm_buf_printf(errmsg, "can't listen on %s: %s", where,
                      why[0] == 0 ? hm_err_text(err) : why);
        return err;
    }
    routes->open++;
    hm_journal_write(routes->node->journal, HM_JOURNAL_INFO, "listening on %s", where);
    return HM_OK;
}

static int listen_control(struct hm_http_routes *routes, struct hm_buf *errmsg)
{
    char path[PATH_MAX];
    struct hm_http_server_options options = {
        .unix_path = path, .idle_s_max = LONG_S, .answer_ms_max = LONG_MS};

    (void)snprintf(path, sizeof path, "%s/control.sock", routes->node->dir);
    return listen_on(routes, HM_HTTP_CONTROL, &options, path, errmsg);
}

static int listen_tcp(struct hm_http_routes *routes, enum hm_http_listener kind,
                      const struct hm_config_address *address,
                      struct hm_http_server_options *options, struct hm_buf *errmsg)
{
    struct hm_buf where;
    const char *text;
    int err;

    if (!address->on) {
        return HM_OK;
    }
    hm_buf_init(&where, 100);
    hm_config_address_write(address, &where);
    text = hm_buf_str(&where);
    options->address = address->host;
    options->port = address->port;
    err = text == NULL ? HM_NOMEM : listen_on(routes, kind, options, text, errmsg);
    hm_buf_deinit(&where);
    return err;
}

static int listen_all(struct hm_http_routes *routes, struct hm_buf *errmsg)
{
    struct hm_node *node = routes->node;
    struct hm_http_server_options web = {.answer_ms_max = LONG_MS};
    struct hm_http_server_options hub = {
        .tls_key_pem = hm_buf_str(&node->keys.tls_key_pem),
        .tls_cert_pem = hm_buf_str(&node->keys.tls_cert_pem),
        .connections_max = HUB_CONNECTIONS,
        .answer_ms_max = HUB_ANSWER_MS};
    int err = listen_tcp(routes, HM_HTTP_WEB, &node->config.web, &web, errmsg);

    if (err == HM_OK) {
        err = listen_tcp(routes, HM_HTTP_HUB, &node->config.listen, &hub, errmsg);
    }
    /* Last: whoever finds it there finds a node that is ready. */
    return err == HM_OK ? listen_control(routes, errmsg) : err;
}

int hm_http_routes_open(struct hm_node *node, struct hm_buf *errmsg,
                        struct hm_http_routes **out_routes)
{
    struct hm_http_routes *routes = calloc(1, sizeof *routes);
    int err;

    if (routes == NULL) {
        return HM_NOMEM;
    }
    routes->node = node;
    err = listen_all(routes, errmsg);
    if (err != HM_OK) {
        hm_http_routes_close(routes, NULL, NULL);
        return err;
    }
    *out_routes = routes;
    return HM_OK;
}

void hm_http_routes_close(struct hm_http_routes *routes,
                          hm_http_routes_closed_cb closed, void *owner)
{
    unsigned open;

    if (routes == NULL) {
        return;
    }
    routes->closed = closed;
    routes->closed_owner = owner;
    open = routes->open;
    if (open == 0) { /* only when nothing could be opened */
        free(routes);
        return;
    }
    for (size_t i = 0; i < LISTENERS; i++) {
        if (routes->listeners[i].server != NULL) {
            hm_http_server_close(routes->listeners[i].server, on_server_closed);
        }
    }
}
