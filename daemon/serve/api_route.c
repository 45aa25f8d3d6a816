/* Happy path: head() accepts the body; submit() copies what ends with the turn and
 * hands over to a store thread; handle() there; on_handled() answers.
 * Failures: a full queue is 503; all else is in the answer.
 * Close: a job that waits ends with HM_CANCELED and is answered 503. */
#include "daemon/serve/api_route.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/store_open.h"
#include "daemon/upstream.h"

struct api_exchange {
    struct hm_exchange x;
    struct hm_api_route route;
};

/* On a store thread. */

static void take_side(struct hm_api_route *route, const struct hm_store_side *side)
{
    route->node.store = side->store;
    route->node.forms = side->forms;
}

static void handle(struct hm_store_job *job, const struct hm_store_side *side)
{
    struct hm_api_route *route = HM_CONTAINER_OF(job, struct hm_api_route, job);

    take_side(route, side);
    hm_api_handle(&route->node, &route->request, &route->answer);
    job->again = route->answer.again;
    /* Anything but a failed device is an answer. */
    job->err = route->answer.err == HM_IO || route->answer.err == HM_CORRUPT
                   ? route->answer.err
                   : HM_OK;
}

static void cancel(struct hm_store_job *job, const struct hm_store_side *side)
{
    struct hm_api_route *route = HM_CONTAINER_OF(job, struct hm_api_route, job);

    take_side(route, side);
    hm_api_cancel(&route->node, &route->answer);
    route->answer.again = false;
}

/* On the loop. */

static void respond(struct hm_api_route *route)
{
    struct hm_api_answer *answer = &route->answer;
    struct hm_http_request *req = route->x->req;
    const struct hm_http_header headers[] = {{"Content-Type", answer->content_type},
                                             {"Cache-Control", "no-store"},
                                             {"X-Content-Type-Options", "nosniff"}};

    if (answer->file_fd >= 0) {
        hm_http_request_respond_file(req, answer->status, headers, 3, answer->file_fd,
                                     0, answer->file_bytes);
        answer->file_fd = -1;
        return;
    }
    hm_http_request_respond(req, answer->status, headers, 3, &answer->body);
}

static void on_handled(struct hm_store_job *job)
{
    struct hm_api_route *route = HM_CONTAINER_OF(job, struct hm_api_route, job);
    struct hm_exchange *x = route->x;

    if (route->answer.saved) {
        hm_upstream_saved(x->node->upstream);
    }
    if (route->answer.status == 0) {
        hm_http_answer_error(x->req, job->err == HM_OK ? HM_CANCELED : job->err, "%s",
                             job->err == HM_CORRUPT ? "" : "the node is stopping");
    } else {
        respond(route);
    }
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    char low = c >= 'A' && c <= 'F' ? (char)(c - 'A' + 'a') : c;
    const char *at = c == 0 ? NULL : strchr(digits, low);

    return at == NULL ? -1 : (int)(at - digits);
}

bool hm_api_route_user(struct hm_http_request *req, char out[HM_API_USER_MAX])
{
    const char *text = hm_http_request_header(req, "Hamlet-User");
    size_t len = 0;

    out[0] = 0;
    if (text == NULL) {
        return true;
    }
    for (; *text != 0 && len < HM_API_USER_MAX - 1; text++) {
        if (*text != '%') {
            out[len++] = *text;
        } else {
            int high = hex_digit(text[1]);
            int low = high < 0 ? -1 : hex_digit(text[2]);

            if (low < 0 || high * 16 + low == 0) {
                return false;
            }
            out[len++] = (char)(high * 16 + low);
            text += 2;
        }
    }
    out[len] = 0;
    return *text == 0 && len > 0;
}

/* The texts of a request end with the turn. */
static bool copy_texts(struct hm_api_route *route, struct hm_exchange *x)
{
    const char *type = hm_http_request_header(x->req, "Content-Type");
    const char *parts[] = {hm_http_request_method(x->req), hm_http_request_path(x->req),
                           hm_exchange_query(x), type == NULL ? "" : type};
    const char *copies[4];
    size_t room = 0;
    char *to;

    for (size_t i = 0; i < 4; i++) {
        room += strlen(parts[i]) + 1;
    }
    route->texts = malloc(room);
    if (route->texts == NULL) {
        return false;
    }
    to = route->texts;
    for (size_t i = 0; i < 4; i++) {
        copies[i] = strcpy(to, parts[i]);
        to += strlen(parts[i]) + 1;
    }
    route->request.method = copies[0];
    route->request.path = copies[1];
    route->request.query = copies[2];
    route->request.content_type = copies[3];
    return true;
}

static void fill_node(struct hm_api_route *route, const struct hm_node *node)
{
    route->node = (struct hm_api_node){
        .name = node->config.name,
        .version = hm_store_open_version(),
        .dir = node->dir,
        .public_address = node->public_address[0] == 0 ? NULL : node->public_address,
        .tls_key_hash = node->keys.tls_hash,
        .saves_refused = hm_disk_state(node->disk) == HM_DISK_FULL};
}

void hm_api_route_submit(struct hm_api_route *route, struct hm_exchange *x,
                         enum hm_store_lane lane, int body_fd, uint64_t body_bytes)
{
    int err;

    route->x = x;
    hm_api_answer_init(&route->answer, HM_API_ANSWER_BYTES_MAX);
    if (!hm_api_route_user(x->req, route->user)) {
        hm_http_answer_error(x->req, HM_INVALID,
                             "Hamlet-User is not a name, percent-encoded");
        return;
    }
    if (!copy_texts(route, x)) {
        hm_http_answer_error(x->req, HM_NOMEM, "%s", "");
        return;
    }
    fill_node(route, x->node);
    route->request.user = route->user[0] == 0 ? NULL : route->user;
    route->request.token_peer = "operator";
    route->request.body_fd = body_fd;
    route->request.body_bytes = body_bytes;
    if (body_fd < 0) {
        route->request.body = hm_buf_bytes(hm_http_request_body(x->req));
        route->request.body_bytes = route->request.body.len;
    }
    route->job =
        (struct hm_store_job){.work = handle, .cancel = cancel, .done = on_handled};
    err = hm_store_thread_submit(x->node->store, lane, &route->job);
    if (err != HM_OK) {
        hm_http_answer_error(x->req, err, "the node has too much to do");
    }
}

void hm_api_route_deinit(struct hm_api_route *route)
{
    if (route->x != NULL) {
        hm_api_answer_deinit(&route->answer);
    }
    free(route->texts);
}

/* Requests with their body in memory. */

static void head(struct hm_exchange *x)
{
    hm_http_request_accept(x->req, HM_HTTP_BODY_MEMORY, HM_API_BODY_BYTES_MAX);
}

static void request(struct hm_exchange *x)
{
    struct api_exchange *api = (struct api_exchange *)x;
    enum hm_api_kind kind =
        hm_api_kind(hm_http_request_method(x->req), hm_http_request_path(x->req));

    hm_api_route_submit(&api->route, x,
                        kind == HM_API_READ ? HM_STORE_READ : HM_STORE_WRITE, -1, 0);
}

static void done(struct hm_exchange *x)
{
    hm_api_route_deinit(&((struct api_exchange *)x)->route);
}

const struct hm_exchange_kind hm_exchange_api = {.size = sizeof(struct api_exchange),
                                                 .head = head,
                                                 .request = request,
                                                 .done = done};
