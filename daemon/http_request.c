/* Requests of http_server: from MHD's callbacks to the owner's, and the answers back.
 *
 * Happy path: on_access is called by MHD with the head, with each piece of the body,
 * and once more at its end, where on_request runs and the connection is suspended. The
 * answer resumes it; on_access is called once more and queues the answer.
 * Failures: a client that goes away reaches on_completed, unless the connection is
 * suspended; then the sweep of http_server.c calls http_request_lose().
 * Close: http_server.c gives up waiting requests, loses streams and cuts the rest. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "daemon/http_internal.h"

/* So much of a body over its limit is read, so that the 413 reaches a client that sends
 * without listening. */
enum { THROWN_AWAY_BYTES_MAX = 1024 * 1024 };

static void set_suspended(struct hm_http_request *req)
{
    MHD_suspend_connection(req->mhd);
    req->suspended = true;
}

static void resume(struct hm_http_request *req)
{
    if (req->suspended) {
        req->suspended = false;
        MHD_resume_connection(req->mhd);
        http_server_kick(req->server);
    }
}

static void destroy(struct hm_http_request *req)
{
    if (req->response != NULL) {
        MHD_destroy_response(req->response);
    }
    hm_buf_deinit(&req->body);
    hm_buf_deinit(&req->queue);
    free(req->method);
    free(req->path);
    free(req->target);
    free(req);
}

static struct hm_http_request *create(struct hm_http_server *server,
                                      struct MHD_Connection *mhd, const char *path,
                                      const char *method)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct hm_http_request *req = calloc(1, sizeof *req);

    if (req == NULL || info == NULL || info->socket_context == NULL) {
        free(req);
        return NULL;
    }
    hm_buf_init(&req->body, 1);
    hm_buf_init(&req->queue, 1);
    req->server = server;
    req->mhd = mhd;
    req->connection = info->socket_context;
    req->connection->head_at_ms = 0;
    req->target = req->connection->target;
    req->connection->target = NULL;
    memcpy(req->address, req->connection->address, sizeof req->address);
    req->method = strdup(method);
    req->path = strdup(path);
    if (req->method == NULL || req->path == NULL || req->target == NULL) {
        destroy(req);
        return NULL;
    }
    req->next = server->requests;
    if (req->next != NULL) {
        req->next->prev = req;
    }
    server->requests = req;
    return req;
}

/* The end of a request is when MHD is through with it and the owner too. */
static void finish_if_over(struct hm_http_request *req)
{
    struct hm_http_server *server = req->server;

    if (req->mhd != NULL || req->owed) {
        return;
    }
    if (req->shown && server->handler.on_done != NULL) {
        server->handler.on_done(server->owner, req);
    }
    if (req->prev != NULL) {
        req->prev->next = req->next;
    } else {
        server->requests = req->next;
    }
    if (req->next != NULL) {
        req->next->prev = req->prev;
    }
    destroy(req);
    if (server->closing) {
        http_server_kick(server);
    }
}

/* NULL when a header is not a sound one. response is consumed. */
static struct MHD_Response *with_headers(struct MHD_Response *response,
                                         const struct hm_http_header *headers,
                                         size_t count)
{
    for (size_t i = 0; response != NULL && i < count; i++) {
        if (MHD_add_response_header(response, headers[i].name, headers[i].value) !=
            MHD_YES) {
            MHD_destroy_response(response);
            response = NULL;
        }
    }
    return response;
}

static struct MHD_Response *empty_response(void)
{
    static char nothing[1];

    return MHD_create_response_from_buffer(0, nothing, MHD_RESPMEM_PERSISTENT);
}

static void set_answer(struct hm_http_request *req, unsigned status,
                       struct MHD_Response *response)
{
    req->status = response == NULL ? MHD_HTTP_INTERNAL_SERVER_ERROR : status;
    req->response = response == NULL ? empty_response() : response;
    req->state = REQUEST_ANSWERED;
    resume(req);
}

/* An answer of the server's own, after which the connection ends. */
static void answer_and_close(struct hm_http_request *req, unsigned status)
{
    const struct hm_http_header close_it = {"Connection", "close"};

    set_answer(req, status, with_headers(empty_response(), &close_it, 1));
}

static enum MHD_Result queue_answer(struct hm_http_request *req)
{
    struct MHD_Response *response = req->response;
    enum MHD_Result result;

    if (response == NULL) {
        return MHD_NO; /* no memory even for an empty one: MHD closes */
    }
    req->response = NULL;
    result = MHD_queue_response(req->mhd, req->status, response);
    MHD_destroy_response(response);
    return result;
}

/* The decoded path ends at a NUL, what follows would be hidden from the owner. */
static bool hides_a_nul(const char *target)
{
    return strstr(target, "%00") != NULL;
}

struct framing {
    unsigned lengths, codings;
    bool bad;
};

static enum MHD_Result on_framing(void *cls, enum MHD_ValueKind kind, const char *name,
                                  const char *value)
{
    struct framing *framing = cls;

    (void)kind;
    framing->lengths += strcasecmp(name, "Content-Length") == 0;
    if (strcasecmp(name, "Transfer-Encoding") == 0) {
        framing->codings++;
        framing->bad |= value == NULL || strcasecmp(value, "chunked") != 0;
    }
    framing->bad |= strpbrk(name, " \t") != NULL;
    return MHD_YES;
}

/* Whether two readers could see different ends of this request. MHD 0.9.75 takes these
 * in its strict mode too. */
static bool is_ambiguous(struct MHD_Connection *mhd)
{
    struct framing framing = {0};

    (void)MHD_get_connection_values(mhd, MHD_HEADER_KIND, on_framing, &framing);
    return framing.bad || framing.lengths + framing.codings > 1;
}

static enum MHD_Result take_head(struct hm_http_request *req)
{
    struct hm_http_server *server = req->server;

    if (server->closing) {
        answer_and_close(req, MHD_HTTP_SERVICE_UNAVAILABLE);
    } else if (hides_a_nul(req->target) || is_ambiguous(req->mhd)) {
        answer_and_close(req, MHD_HTTP_BAD_REQUEST);
    } else {
        req->shown = true;
        req->readable = true;
        server->handler.on_head(server->owner, req);
        req->readable = false;
        HM_ASSERT(req->state != REQUEST_HEAD); /* accepted or answered */
    }
    return req->state == REQUEST_BODY ? MHD_YES : queue_answer(req);
}

static void give_chunk(struct hm_http_request *req)
{
    struct hm_http_server *server = req->server;

    req->state = REQUEST_CHUNK;
    server->handler.on_chunk(server->owner, req, hm_buf_bytes(&req->body));
    if (req->state == REQUEST_CHUNK) {
        set_suspended(req);
    }
}

static enum MHD_Result take_chunks(struct hm_http_request *req, const char *upload,
                                   size_t *upload_len)
{
    while (*upload_len > 0 && req->state == REQUEST_BODY) {
        size_t room = HM_HTTP_CHUNK_BYTES - req->body.len;
        size_t len = *upload_len < room ? *upload_len : room;

        hm_buf_append(&req->body, hm_bytes_of(upload, len));
        if (req->body.err != HM_OK) {
            return MHD_NO;
        }
        upload += len;
        *upload_len -= len;
        req->body_bytes += len;
        if (req->body.len == HM_HTTP_CHUNK_BYTES) {
            give_chunk(req);
        }
    }
    return MHD_YES;
}

static enum MHD_Result take_body(struct hm_http_request *req, const char *upload,
                                 size_t *upload_len)
{
    if (req->server->closing) {
        return MHD_NO;
    }
    if (*upload_len > req->body_bytes_max - req->body_bytes && !req->too_large) {
        req->too_large = true;
        hm_buf_deinit(&req->body);
        req->body_bytes = 0;
    }
    if (req->too_large) {
        req->body_bytes += *upload_len;
        *upload_len = 0;
        return req->body_bytes > THROWN_AWAY_BYTES_MAX ? MHD_NO : MHD_YES;
    }
    if (req->mode == HM_HTTP_BODY_CHUNKS) {
        return take_chunks(req, upload, upload_len);
    }
    hm_buf_append(&req->body, hm_bytes_of(upload, *upload_len));
    req->body_bytes += *upload_len;
    *upload_len = 0;
    return MHD_YES;
}

static void ask_owner(struct hm_http_request *req)
{
    struct hm_http_server *server = req->server;

    req->state = REQUEST_WAITING;
    req->owed = true;
    req->waiting_since_ms = uv_now(server->loop);
    req->readable = true;
    server->handler.on_request(server->owner, req);
    req->readable = false;
    if (req->state == REQUEST_WAITING) {
        set_suspended(req);
    }
}

/* The body is complete; or the answer is here and the connection resumed. */
static enum MHD_Result take_end(struct hm_http_request *req)
{
    if (req->state == REQUEST_BODY && req->too_large) {
        answer_and_close(req, MHD_HTTP_CONTENT_TOO_LARGE);
    } else if (req->state == REQUEST_BODY &&
               (req->server->closing || req->body.err != HM_OK)) {
        answer_and_close(req, MHD_HTTP_SERVICE_UNAVAILABLE);
    }
    if (req->state == REQUEST_BODY && req->mode == HM_HTTP_BODY_CHUNKS &&
        req->body.len > 0) {
        give_chunk(req);
    }
    if (req->state == REQUEST_BODY) {
        ask_owner(req);
    }
    return req->suspended ? MHD_YES : queue_answer(req);
}

enum MHD_Result http_request_on_access(void *cls, struct MHD_Connection *mhd,
                                       const char *path, const char *method,
                                       const char *version, const char *upload,
                                       size_t *upload_len, void **data)
{
    struct hm_http_request *req = *data;

    (void)version;
    if (req == NULL) {
        req = create(cls, mhd, path, method);
        *data = req;
        return req == NULL ? MHD_NO : take_head(req);
    }
    return *upload_len > 0 ? take_body(req, upload, upload_len) : take_end(req);
}

void http_request_on_completed(void *cls, struct MHD_Connection *mhd, void **data,
                               enum MHD_RequestTerminationCode code)
{
    struct hm_http_request *req = *data;

    (void)cls;
    (void)mhd;
    (void)code; /* a stream also ends well while open: the answer to a HEAD */
    if (req == NULL) {
        return; /* it ended before its head was complete */
    }
    *data = NULL;
    req->connection->head_at_ms =
        uv_now(req->server->loop) + req->server->idle_ms_max + req->server->head_ms_max;
    req->connection = NULL;
    req->mhd = NULL;
    if (req->owed) {
        http_request_lose(req); /* may free it: its owner may end the stream */
    } else {
        finish_if_over(req);
    }
}

void http_request_give_up(struct hm_http_request *req)
{
    req->gone = true;
    answer_and_close(req, MHD_HTTP_SERVICE_UNAVAILABLE);
}

void http_request_lose(struct hm_http_request *req)
{
    struct hm_http_server *server = req->server;

    if (!req->gone) {
        req->gone = true;
        if (req->state == REQUEST_STREAM && server->handler.on_room != NULL) {
            server->handler.on_room(server->owner, req);
        }
    }
}

const char *hm_http_request_method(const struct hm_http_request *req)
{
    return req->method;
}

const char *hm_http_request_path(const struct hm_http_request *req)
{
    return req->path;
}

const char *hm_http_request_target(const struct hm_http_request *req)
{
    return req->target;
}

enum hm_http_peer hm_http_request_peer(const struct hm_http_request *req)
{
    return req->server->peer;
}

const char *hm_http_request_address(const struct hm_http_request *req)
{
    return req->address;
}

const char *hm_http_request_header(struct hm_http_request *req, const char *name)
{
    HM_ASSERT(req->readable);
    return MHD_lookup_connection_value(req->mhd, MHD_HEADER_KIND, name);
}

struct query {
    const char *name;
    const char *value;
};

/* MHD's own look-up folds case. */
static enum MHD_Result on_parameter(void *cls, enum MHD_ValueKind kind,
                                    const char *name, const char *value)
{
    struct query *query = cls;

    (void)kind;
    if (strcmp(name, query->name) != 0) {
        return MHD_YES;
    }
    query->value = value == NULL ? "" : value;
    return MHD_NO;
}

const char *hm_http_request_query(struct hm_http_request *req, const char *name)
{
    struct query query = {.name = name};

    HM_ASSERT(req->readable);
    (void)MHD_get_connection_values(req->mhd, MHD_GET_ARGUMENT_KIND, on_parameter,
                                    &query);
    return query.value;
}

void hm_http_request_set_data(struct hm_http_request *req, void *data)
{
    req->data = data;
}

void *hm_http_request_data(const struct hm_http_request *req)
{
    return req->data;
}

/* MHD has checked that it is a number, and that there is one only. */
static bool announces_more(struct hm_http_request *req, size_t bytes_max)
{
    const char *text = hm_http_request_header(req, "Content-Length");

    return text != NULL && strtoull(text, NULL, 10) > bytes_max;
}

void hm_http_request_accept(struct hm_http_request *req, enum hm_http_body body,
                            size_t body_bytes_max)
{
    HM_ASSERT(req->state == REQUEST_HEAD);
    HM_ASSERT(body == HM_HTTP_BODY_MEMORY || req->server->handler.on_chunk != NULL);
    if (announces_more(req, body_bytes_max)) {
        answer_and_close(req, MHD_HTTP_CONTENT_TOO_LARGE);
        return;
    }
    req->state = REQUEST_BODY;
    req->mode = body;
    req->body_bytes_max = body_bytes_max;
    hm_buf_init(&req->body, body == HM_HTTP_BODY_CHUNKS ? HM_HTTP_CHUNK_BYTES
                            : body_bytes_max == 0       ? 1
                                                        : body_bytes_max);
}

void hm_http_request_chunk_done(struct hm_http_request *req)
{
    HM_ASSERT(req->state == REQUEST_CHUNK);
    hm_buf_clear(&req->body);
    req->state = REQUEST_BODY;
    resume(req);
}

struct hm_buf *hm_http_request_body(struct hm_http_request *req)
{
    return &req->body;
}

bool hm_http_request_gone(const struct hm_http_request *req)
{
    return req->gone;
}

/* The owner's one answer. Nobody waits for it when the server gave up. */
static void settle(struct hm_http_request *req, unsigned status,
                   struct MHD_Response *response)
{
    HM_ASSERT(req->owed || req->state == REQUEST_HEAD);
    req->owed = false;
    if (req->mhd == NULL || req->state == REQUEST_ANSWERED) {
        if (response != NULL) {
            MHD_destroy_response(response);
        }
        finish_if_over(req);
    } else {
        set_answer(req, status, response);
    }
}

void hm_http_request_respond(struct hm_http_request *req, unsigned status,
                             const struct hm_http_header *headers, size_t header_count,
                             struct hm_buf *body)
{
    struct MHD_Response *response = NULL;

    if (body == NULL || (body->len == 0 && body->err == HM_OK)) {
        response = empty_response();
    } else if (body->err == HM_OK) {
        response = MHD_create_response_from_buffer_with_free_callback(body->len,
                                                                      body->data, free);
        if (response != NULL) {
            hm_buf_init(body, body->len_max); /* the bytes are the response's now */
        }
    }
    if (body != NULL) {
        hm_buf_deinit(body);
    }
    settle(req, status, with_headers(response, headers, header_count));
}

void hm_http_request_respond_file(struct hm_http_request *req, unsigned status,
                                  const struct hm_http_header *headers,
                                  size_t header_count, int fd, uint64_t offset,
                                  uint64_t len)
{
    struct MHD_Response *response =
        MHD_create_response_from_fd_at_offset64(len, fd, offset);

    if (response == NULL) {
        (void)close(fd); /* was only read */
    }
    settle(req, status, with_headers(response, headers, header_count));
}

/* MHD asks for bytes. A stream without any waits, suspended. */
static ssize_t on_stream_read(void *cls, uint64_t position, char *to, size_t len_max)
{
    struct hm_http_request *req = cls;
    struct hm_http_server *server = req->server;
    size_t len = req->queue.len - req->queue_sent;

    (void)position;
    if (len == 0 && req->room_wanted) {
        req->room_wanted = false;
        server->handler.on_room(server->owner, req);
        len = req->queue.len - req->queue_sent;
    }
    if (len == 0 && !req->owed) {
        return MHD_CONTENT_READER_END_OF_STREAM;
    }
    if (len == 0) {
        set_suspended(req);
        return 0;
    }
    len = len < len_max ? len : len_max;
    memcpy(to, req->queue.data + req->queue_sent, len);
    req->queue_sent += len;
    if (req->queue_sent == req->queue.len) {
        hm_buf_clear(&req->queue);
        req->queue_sent = 0;
    }
    return (ssize_t)len;
}

void hm_http_request_respond_stream(struct hm_http_request *req, unsigned status,
                                    const struct hm_http_header *headers,
                                    size_t header_count, size_t queue_bytes_max)
{
    enum { BLOCK_BYTES = 4096 };
    struct MHD_Response *response =
        with_headers(MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES,
                                                       on_stream_read, req, NULL),
                     headers, header_count);

    HM_ASSERT(req->owed || req->state == REQUEST_HEAD);
    req->owed = true; /* the owner has the stream to end */
    hm_buf_init(&req->queue, queue_bytes_max);
    if (req->mhd == NULL || req->state == REQUEST_ANSWERED || response == NULL) {
        if (response != NULL) {
            MHD_destroy_response(response);
        }
        req->gone = true;
        if (req->mhd != NULL && req->state != REQUEST_ANSWERED) {
            set_answer(req, status, NULL);
        }
        return;
    }
    set_answer(req, status, response);
    req->state = REQUEST_STREAM;
}

int hm_http_stream_write(struct hm_http_request *req, struct hm_bytes bytes)
{
    struct hm_buf *queue = &req->queue;
    int err;

    if (req->gone) {
        return HM_CANCELED;
    }
    if (bytes.len > queue->len_max) {
        return HM_TOOBIG;
    }
    if (bytes.len > queue->len_max - (queue->len - req->queue_sent)) {
        req->room_wanted = req->server->handler.on_room != NULL;
        return HM_AGAIN;
    }
    if (req->queue_sent > 0) {
        queue->len -= req->queue_sent;
        memmove(queue->data, queue->data + req->queue_sent, queue->len);
        req->queue_sent = 0;
    }
    hm_buf_append(queue, bytes);
    err = queue->err;
    queue->err = HM_OK; /* what is queued already can still be sent */
    if (err == HM_OK) {
        resume(req);
    }
    return err;
}

void hm_http_stream_end(struct hm_http_request *req)
{
    HM_ASSERT(req->owed);
    req->owed = false;
    if (req->mhd == NULL) {
        finish_if_over(req);
    } else {
        req->state = REQUEST_ANSWERED;
        resume(req);
    }
}
