/* libmicrohttpd on a uv loop.
 *
 * Happy path: MHD keeps all its sockets in one epoll descriptor, which the loop
 * watches. prepare asks MHD for its next timeout before each wait. Whatever wakes us
 * ends in run(), the one place that calls MHD_run(). After MHD_resume_connection() MHD
 * 0.9.75 neither signals nor reports a timeout of 0: http_server_kick() forces one
 * run() through an idle handle. Failures: MHD has no deadline for heads and does not
 * see a suspended peer go away: the sweep, a timer that runs while there are
 * connections, looks for both. Close: closing is a flag that run() acts on, never
 * inside of MHD: listening ends, the owner loses what it has open, connections are cut
 * when it takes too long. When no request is left MHD stops, the handles close, and
 * closed() is called. */
#define _GNU_SOURCE /* POLLRDHUP */

#include <arpa/inet.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/http_internal.h"

enum { SWEEP_MS_MAX = 500, HANDLE_COUNT = 5 };

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
    return value == 0 ? fallback : value;
}

void http_connection_cut(struct http_connection *connection)
{
    (void)shutdown(connection->fd, SHUT_RDWR); /* fails when it is cut already */
}

static void free_server(struct hm_http_server *server)
{
    if (server != NULL) {
        free(server->unix_path);
        free(server);
    }
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct hm_http_server *server = handle->data;
    hm_http_server_closed_cb closed = server->closed;
    void *owner = server->owner;

    server->handles--;
    if (server->handles == 0) {
        free_server(server);
        if (closed != NULL) {
            closed(owner);
        }
    }
}

static void close_handles(struct hm_http_server *server)
{
    uv_close((uv_handle_t *)&server->poll, on_handle_closed);
    uv_close((uv_handle_t *)&server->prepare, on_handle_closed);
    uv_close((uv_handle_t *)&server->timer, on_handle_closed);
    uv_close((uv_handle_t *)&server->sweep, on_handle_closed);
    uv_close((uv_handle_t *)&server->idle, on_handle_closed);
}

static void stop(struct hm_http_server *server)
{
    server->stopped = true;
    (void)uv_poll_stop(&server->poll); /* before MHD closes the descriptor */
    MHD_stop_daemon(server->mhd);
    close_handles(server);
}

/* Only the file that this server made: another may have taken its place. */
static void remove_unix_path(const struct hm_http_server *server)
{
    struct stat info;

    if (server->unix_path != NULL && lstat(server->unix_path, &info) == 0 &&
        info.st_ino == server->unix_inode) {
        (void)unlink(server->unix_path); /* a stale one is replaced at the next start */
    }
}

/* Do one thing to one request that close or the sweep finds due; false if none is. Acts
 * on one at a time, since the owner may free any request in its callback. */
static bool close_one_request(struct hm_http_server *server)
{
    for (struct hm_http_request *req = server->requests; req != NULL; req = req->next) {
        if (req->state == REQUEST_WAITING) {
            http_request_give_up(req);
            return true;
        }
        if (!req->gone) {
            if (req->state == REQUEST_BODY) {
                http_connection_cut(req->connection);
            }
            if (req->state != REQUEST_ANSWERED) {
                http_request_lose(req);
                return true;
            }
        }
    }
    return false;
}

static void quiesce(struct hm_http_server *server)
{
    MHD_socket fd = MHD_quiesce_daemon(server->mhd);

    server->quiesced = true;
    remove_unix_path(server);
    if (fd != MHD_INVALID_SOCKET) {
        (void)close(fd);
    }
    server->close_at_ms = uv_now(server->loop) + server->close_ms_max;
    while (close_one_request(server)) {
    }
}

static void continue_close(struct hm_http_server *server)
{
    if (!server->quiesced) {
        quiesce(server);
        http_server_kick(server);
    } else if (server->requests == NULL) {
        stop(server);
    }
}

static void run(struct hm_http_server *server)
{
    if (server->stopped) {
        return;
    }
    (void)MHD_run(server->mhd); /* fails only for a stopped daemon */
    if (server->closing) {
        continue_close(server);
    }
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    run(poll->data);
}

static void on_timer(uv_timer_t *timer)
{
    run(timer->data);
}

static void on_idle(uv_idle_t *idle)
{
    (void)uv_idle_stop(idle);
    run(idle->data);
}

void http_server_kick(struct hm_http_server *server)
{
    (void)uv_idle_start(&server->idle, on_idle);
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct hm_http_server *server = prepare->data;
    MHD_UNSIGNED_LONG_LONG ms = 0;

    if (!server->stopped && MHD_get_timeout(server->mhd, &ms) == MHD_YES) {
        (void)uv_timer_start(&server->timer, on_timer, ms, 0);
    } else {
        (void)uv_timer_stop(&server->timer);
    }
}

static bool is_disconnected(int fd)
{
    struct pollfd one = {.fd = fd, .events = POLLRDHUP};

    return poll(&one, 1, 0) == 1 &&
           (one.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

static bool sweep_one_request(struct hm_http_server *server, uint64_t now_ms)
{
    for (struct hm_http_request *req = server->requests; req != NULL; req = req->next) {
        if (req->state == REQUEST_WAITING &&
            now_ms - req->waiting_since_ms >= server->answer_ms_max) {
            http_request_give_up(req);
            return true;
        }
        if (req->suspended && !req->gone && is_disconnected(req->connection->fd)) {
            http_request_lose(req);
            return true;
        }
    }
    return false;
}

static void on_sweep(uv_timer_t *timer)
{
    struct hm_http_server *server = timer->data;
    uint64_t now_ms = uv_now(server->loop);
    bool late = server->quiesced && now_ms >= server->close_at_ms;

    for (struct http_connection *c = server->connections; c != NULL; c = c->next) {
        if (late || (c->head_at_ms != 0 && now_ms >= c->head_at_ms)) {
            http_connection_cut(c);
        }
    }
    while (sweep_one_request(server, now_ms)) {
    }
}

static void sweep_start(struct hm_http_server *server)
{
    uint32_t ms = server->head_ms_max / 4 + 1;

    ms = ms < SWEEP_MS_MAX ? ms : SWEEP_MS_MAX;
    if (!uv_is_active((uv_handle_t *)&server->sweep)) {
        (void)uv_timer_start(&server->sweep, on_sweep, ms, ms);
    }
}

static void name_peer(struct http_connection *connection, struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *address = info == NULL ? NULL : info->client_addr;
    char *to = connection->address;
    size_t len = sizeof connection->address;

    (void)snprintf(to, len, "%s",
                   connection->server->peer == HM_HTTP_PEER_UNIX ? "unix" : "?");
    if (address != NULL && address->sa_family == AF_INET) {
        (void)uv_ip4_name((const struct sockaddr_in *)address, to, len);
    } else if (address != NULL && address->sa_family == AF_INET6) {
        (void)uv_ip6_name((const struct sockaddr_in6 *)address, to, len);
    }
}

static void connection_opened(struct hm_http_server *server, struct MHD_Connection *mhd,
                              void **context)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct http_connection *connection = calloc(1, sizeof *connection);
    const unsigned user_timeout_ms = server->idle_ms_max;
    const int on = 1;

    if (connection == NULL || info == NULL) {
        free(connection);
        return; /* its requests will be refused */
    }
    connection->server = server;
    connection->fd = info->connect_fd;
    connection->head_at_ms = uv_now(server->loop) + server->head_ms_max;
    name_peer(connection, mhd);
    if (server->peer != HM_HTTP_PEER_UNIX) {
        /* A laptop that is switched off says no goodbye. Best effort. */
        (void)setsockopt(connection->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
        (void)setsockopt(connection->fd, IPPROTO_TCP, TCP_USER_TIMEOUT,
                         &user_timeout_ms, sizeof user_timeout_ms);
    }
    connection->next = server->connections;
    if (connection->next != NULL) {
        connection->next->prev = connection;
    }
    server->connections = connection;
    server->connection_count++;
    *context = connection;
    sweep_start(server);
}

static void connection_closed(struct hm_http_server *server, void **context)
{
    struct http_connection *connection = *context;

    if (connection == NULL) {
        return;
    }
    *context = NULL;
    if (connection->prev != NULL) {
        connection->prev->next = connection->next;
    } else {
        server->connections = connection->next;
    }
    if (connection->next != NULL) {
        connection->next->prev = connection->prev;
    }
    free(connection->target);
    free(connection);
    server->connection_count--;
    if (server->connection_count == 0) {
        (void)uv_timer_stop(&server->sweep);
    }
    if (server->connection_count + 1 == server->connections_max) {
        http_server_kick(server); /* MHD listens again only from its next run on */
    }
}

static void on_connection(void *cls, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        connection_opened(cls, mhd, context);
    } else {
        connection_closed(cls, context);
    }
}

/* The request line is in. What is returned becomes the data of the request. */
static void *on_target(void *cls, const char *target, struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    (void)cls;
    if (info != NULL && info->socket_context != NULL) {
        struct http_connection *connection = info->socket_context;

        free(connection->target);
        connection->target = strdup(target); /* NULL: the request is refused */
    }
    return NULL;
}

/* MHD's messages concern single bad requests; the owner logs what it answers. */
static void on_log(void *cls, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static void on_log(void *cls, const char *format, va_list args)
{
    (void)cls;
    (void)format;
    (void)args;
}

static struct MHD_Daemon *start_mhd(struct hm_http_server *server,
                                    const struct hm_http_server_options *options,
                                    int fd)
{
    const bool tls = server->peer == HM_HTTP_PEER_TLS;
    const char *priorities = options->tls_priorities == NULL ? HM_HTTP_TLS_PRIORITIES
                                                             : options->tls_priorities;
    struct MHD_OptionItem tls_options[] = {
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)options->tls_key_pem},
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)options->tls_cert_pem},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)priorities},
        {MHD_OPTION_TLS_NO_ALPN, 1, NULL}, /* HTTP/1.1 is all there is */
        {MHD_OPTION_END, 0, NULL}};
    struct MHD_OptionItem no_options[] = {{MHD_OPTION_END, 0, NULL}};

    return MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
            (tls ? MHD_USE_TLS : 0U),
        0, NULL, NULL, http_request_on_access,
        server,                                     /* first: set before all others */
        MHD_OPTION_EXTERNAL_LOGGER, on_log, server, /* */
        MHD_OPTION_LISTEN_SOCKET, fd,               /* */
        MHD_OPTION_NOTIFY_COMPLETED, http_request_on_completed, server,      /* */
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,                 /* */
        MHD_OPTION_URI_LOG_CALLBACK, on_target, server,                      /* */
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HM_HTTP_POOL_BYTES,      /* */
        MHD_OPTION_CONNECTION_LIMIT, server->connections_max,                /* */
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)server->idle_ms_max / 1000, /* */
        MHD_OPTION_STRICT_FOR_CLIENT, 1,                                     /* */
        MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,                                /* */
        MHD_OPTION_ARRAY, tls ? tls_options : no_options,                    /* */
        MHD_OPTION_END);
}

static void read_socket(struct hm_http_server *server, int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;
    struct stat info;

    if (server->unix_path != NULL) {
        server->unix_inode = lstat(server->unix_path, &info) == 0 ? info.st_ino : 0;
    } else if (getsockname(fd, (struct sockaddr *)&address, &len) == 0) {
        server->port = ntohs(address.ss_family == AF_INET6
                                 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                 : ((struct sockaddr_in *)&address)->sin_port);
    }
}

static struct hm_http_server *create(const struct hm_http_server_options *options)
{
    struct hm_http_server *server = calloc(1, sizeof *server);

    if (server == NULL) {
        return NULL;
    }
    server->head_ms_max = or_default(options->head_ms_max, 20 * 1000);
    server->idle_ms_max = or_default(options->idle_s_max, 60) * 1000;
    server->answer_ms_max = or_default(options->answer_ms_max, 300 * 1000);
    server->close_ms_max = or_default(options->close_ms_max, 2000);
    server->connections_max = or_default(options->connections_max, 256);
    server->peer = options->unix_path != NULL     ? HM_HTTP_PEER_UNIX
                   : options->tls_key_pem != NULL ? HM_HTTP_PEER_TLS
                                                  : HM_HTTP_PEER_TCP;
    if (options->unix_path != NULL) {
        server->unix_path = strdup(options->unix_path);
        if (server->unix_path == NULL) {
            free_server(server);
            return NULL;
        }
    }
    return server;
}

/* None of these can fail but uv_poll_init(), which is first. */
static int start_handles(struct hm_http_server *server)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(server->mhd, MHD_DAEMON_INFO_EPOLL_FD);

    if (info == NULL ||
        uv_poll_init(server->loop, &server->poll, info->epoll_fd) != 0) {
        return HM_IO;
    }
    (void)uv_prepare_init(server->loop, &server->prepare);
    (void)uv_timer_init(server->loop, &server->timer);
    (void)uv_timer_init(server->loop, &server->sweep);
    (void)uv_idle_init(server->loop, &server->idle);
    server->handles = HANDLE_COUNT;
    server->poll.data = server;
    server->prepare.data = server;
    server->timer.data = server;
    server->sweep.data = server;
    server->idle.data = server;
    (void)uv_poll_start(&server->poll, UV_READABLE, on_readable);
    (void)uv_prepare_start(&server->prepare, on_prepare);
    return HM_OK;
}

int hm_http_server_open(uv_loop_t *loop, const struct hm_http_server_options *options,
                        const struct hm_http_handler *handler, void *owner,
                        char *errmsg, size_t errmsg_len,
                        struct hm_http_server **out_server)
{
    struct hm_http_server *server = create(options);
    int fd = -1;
    int err;

    HM_ASSERT((options->tls_key_pem == NULL) == (options->tls_cert_pem == NULL));
    if (server == NULL) {
        return HM_NOMEM;
    }
    server->loop = loop;
    server->handler = *handler;
    server->owner = owner;
    err = http_listen(options, errmsg, errmsg_len, &fd);
    if (err != HM_OK) {
        goto fail;
    }
    read_socket(server, fd);
    server->mhd = start_mhd(server, options, fd);
    if (server->mhd == NULL) {
        err = server->peer == HM_HTTP_PEER_TLS ? HM_INVALID : HM_IO;
        if (errmsg != NULL) {
            (void)snprintf(errmsg, errmsg_len, "cannot start the HTTP server%s",
                           err == HM_INVALID ? ": unusable TLS key or certificate"
                                             : "");
        }
        remove_unix_path(server);
        (void)close(fd);
        goto fail;
    }
    err = start_handles(server);
    if (err != HM_OK) {
        remove_unix_path(server);
        MHD_stop_daemon(server->mhd); /* closes fd */
        goto fail;
    }
    *out_server = server;
    return HM_OK;

fail:
    free_server(server);
    return err;
}

uint16_t hm_http_server_port(const struct hm_http_server *server)
{
    return server->port;
}

unsigned hm_http_server_connections(const struct hm_http_server *server)
{
    return server->connection_count;
}

void hm_http_server_close(struct hm_http_server *server,
                          hm_http_server_closed_cb closed)
{
    if (server != NULL) {
        HM_ASSERT(!server->closing);
        server->closing = true;
        server->closed = closed;
        http_server_kick(server);
    }
}
