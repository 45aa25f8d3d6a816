/* libcurl's multi interface on a uv loop.
 *
 * Happy path: curl tells by on_socket which descriptors to watch and by on_timeout when
 * to be called; each wake-up ends in act(), which calls curl_multi_socket_action() and
 * then always reads every message: a call that ends by a timeout has no other sign.
 * Each message finishes one call.
 * Failures: arrive as messages too; err_from_curl() is the only place that knows them.
 * Cancel: the call is marked; the idle handle finishes it in the next turn.
 * Close: the same for all calls, then the multi goes (it stops watching), then its
 * timer, then the idle handle; the last close callback frees the client. */
#define _GNU_SOURCE /* memmem */

#include "daemon/http_client.h"

#include <curl/curl.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

/* So long a peer may leave sent bytes without a sign of them. */
enum { UNHEARD_MS_MAX = 30 * 1000 };

struct hm_http_client {
    uv_loop_t *loop;
    CURLM *multi;
    uv_timer_t timer;
    uv_idle_t idle;
    struct hm_http_call *calls;
    unsigned handles; /* open ones: timer, idle and a watch for each socket */
    bool closing, ended;
    hm_http_client_closed_cb closed;
    void *owner;
};

struct watch {
    uv_poll_t poll;
    struct hm_http_client *client;
    curl_socket_t fd;
};

static int err_from_curl(CURLcode code)
{
    /* Not a switch over an enum: curl has a hundred codes, and a new one is one more
     * way to have no answer. */
    switch ((int)code) {
    case CURLE_OK:
        return HM_OK;
    case CURLE_OUT_OF_MEMORY:
        return HM_NOMEM;
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
        return HM_DENIED;
    case CURLE_URL_MALFORMAT:
        return HM_INVALID;
    case CURLE_FILESIZE_EXCEEDED:
        return HM_TOOBIG;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL: /* what came would be HTTP/0.9 */
        return HM_MALFORMED;
    default:
        return HM_NETWORK;
    }
}

/* Some troubles have no other sign that curl hands on than a text, and the text of the
 * error may be that of a kept connection before: so they are looked for among all that
 * curl tells. A portal on the hub's port speaks HTTP where TLS was to begin. */
static int on_told(CURL *easy, curl_infotype type, char *text, size_t len, void *cls)
{
    static const struct {
        const char *sign;
        enum hm_http_trouble trouble;
    } told[] = {{"unexpected TLS packet", HM_HTTP_STRANGER},
                {"unsupported version packet", HM_HTTP_STRANGER},
                {"record packet with illegal version", HM_HTTP_STRANGER},
                {"Proxy CONNECT aborted", HM_HTTP_PROXY_FAILS},
                {"Resolving timed out", HM_HTTP_NO_NAME}};
    struct hm_http_call *call = cls;

    (void)easy;
    for (size_t i = 0; type == CURLINFO_TEXT && i < sizeof told / sizeof told[0]; i++) {
        if (memmem(text, len, told[i].sign, strlen(told[i].sign)) != NULL) {
            call->told = told[i].trouble;
        }
    }
    return 0;
}

static enum hm_http_trouble trouble_of(const struct hm_http_call *call, CURLcode code,
                                       long proxy_status)
{
    if (proxy_status == 407) {
        return HM_HTTP_PROXY_DENIES;
    }
    if (proxy_status >= 300 || call->told == HM_HTTP_PROXY_FAILS) {
        return HM_HTTP_PROXY_FAILS;
    }
    switch ((int)code) {
    case CURLE_OK:
        return HM_HTTP_NO_TROUBLE;
    case CURLE_COULDNT_RESOLVE_HOST:
        return HM_HTTP_NO_NAME;
    case CURLE_COULDNT_CONNECT:
        return HM_HTTP_NO_CONNECTION;
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return HM_HTTP_STRANGER;
    case CURLE_SSL_CONNECT_ERROR:
        return call->told == HM_HTTP_STRANGER ? HM_HTTP_STRANGER : HM_HTTP_BROKEN;
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_PROXY:
        return HM_HTTP_PROXY_FAILS;
    case CURLE_OPERATION_TIMEDOUT:
        return call->connected                 ? HM_HTTP_SILENT
               : call->told == HM_HTTP_NO_NAME ? HM_HTTP_NO_NAME
                                               : HM_HTTP_NO_CONNECTION;
    default:
        return HM_HTTP_BROKEN;
    }
}

static void unlink_call(struct hm_http_call *call)
{
    if (call->prev != NULL) {
        call->prev->next = call->next;
    } else {
        call->client->calls = call->next;
    }
    if (call->next != NULL) {
        call->next->prev = call->prev;
    }
}

static uint64_t info_ms(CURL *easy, CURLINFO info)
{
    curl_off_t us = 0;

    (void)curl_easy_getinfo(easy, info, &us); /* stays 0 */
    return us <= 0 ? 0 : ((uint64_t)us + 999) / 1000;
}

static uint64_t info_bytes(CURL *easy, CURLINFO head, CURLINFO body)
{
    long head_bytes = 0;
    curl_off_t body_bytes = 0;

    (void)curl_easy_getinfo(easy, head, &head_bytes); /* stay 0 */
    (void)curl_easy_getinfo(easy, body, &body_bytes);
    return (uint64_t)head_bytes + (uint64_t)body_bytes;
}

static void set_err(struct hm_http_call *call, CURLcode code)
{
    call->err = call->canceled ? HM_CANCELED : err_from_curl(code);
    if (call->answer.err != HM_OK && !call->canceled) {
        call->err = call->answer.err; /* why our write callback refused */
    }
    if (call->err == HM_OK) {
        call->errmsg[0] = 0;
    } else if (call->err == HM_CANCELED || call->err == HM_TOOBIG) {
        (void)snprintf(call->errmsg, sizeof call->errmsg, "%s",
                       call->err == HM_CANCELED ? "canceled"
                                                : "the answer exceeds the limit");
    } else if (code == CURLE_SSL_PINNEDPUBKEYNOTMATCH) {
        (void)snprintf(call->errmsg, sizeof call->errmsg,
                       "the key of %.180s is not the pinned one", call->url);
    } else if (call->errmsg[0] == 0) {
        (void)snprintf(call->errmsg, sizeof call->errmsg, "%s",
                       curl_easy_strerror(code));
    }
}

/* Read all from the easy handle before it leaves the multi. */
static void finish(struct hm_http_call *call, CURLcode code)
{
    struct hm_http_client *client = call->client;
    CURL *easy = call->easy;
    long status = 0;
    long proxy_status = 0;
    long connects = 0;

    (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(easy, CURLINFO_HTTP_CONNECTCODE, &proxy_status);
    (void)curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &connects);
    call->status = (unsigned)status;
    call->connected = info_ms(easy, CURLINFO_APPCONNECT_TIME_T) > 0 ||
                      info_ms(easy, CURLINFO_PRETRANSFER_TIME_T) > 0;
    call->reused = connects == 0 && call->connected;
    call->sent_bytes = info_bytes(easy, CURLINFO_REQUEST_SIZE, CURLINFO_SIZE_UPLOAD_T);
    call->received_bytes =
        info_bytes(easy, CURLINFO_HEADER_SIZE, CURLINFO_SIZE_DOWNLOAD_T);
    call->first_byte_ms = info_ms(easy, CURLINFO_STARTTRANSFER_TIME_T);
    call->total_ms = info_ms(easy, CURLINFO_TOTAL_TIME_T);
    (void)curl_multi_remove_handle(client->multi, easy);
    curl_easy_cleanup(easy);
    curl_slist_free_all(call->header_list);
    call->easy = NULL;
    call->header_list = NULL;
    if (code == CURLE_OK && !call->head_complete) {
        code = CURLE_PARTIAL_FILE; /* curl takes half a head for a whole one */
    }
    set_err(call, code);
    call->trouble =
        call->err == HM_OK ? HM_HTTP_NO_TROUBLE : trouble_of(call, code, proxy_status);
    unlink_call(call);
    call->cb(call);
}

static void release_handle(struct hm_http_client *client)
{
    hm_http_client_closed_cb closed = client->closed;
    void *owner = client->owner;

    client->handles--;
    if (client->handles == 0) {
        free(client);
        if (closed != NULL) {
            closed(owner);
        }
    }
}

static void on_handle_closed(uv_handle_t *handle)
{
    release_handle(handle->data);
}

static void on_watch_closed(uv_handle_t *handle)
{
    struct watch *watch = handle->data;
    struct hm_http_client *client = watch->client;

    free(watch);
    release_handle(client);
}

static void end(struct hm_http_client *client)
{
    client->ended = true;
    (void)curl_multi_cleanup(client->multi); /* removes its watches, sets its timer */
    client->multi = NULL;
    uv_close((uv_handle_t *)&client->timer, on_handle_closed);
    uv_close((uv_handle_t *)&client->idle, on_handle_closed);
}

static struct hm_http_call *next_canceled(const struct hm_http_client *client)
{
    struct hm_http_call *call = client->calls;

    while (call != NULL && !call->canceled && !client->closing) {
        call = call->next;
    }
    return call;
}

static void on_idle(uv_idle_t *idle)
{
    struct hm_http_client *client = idle->data;
    struct hm_http_call *call;

    (void)uv_idle_stop(idle);
    while ((call = next_canceled(client)) != NULL) {
        call->canceled = true;
        finish(call, CURLE_OK);
    }
    if (client->closing) {
        end(client);
    }
}

static void act(struct hm_http_client *client, curl_socket_t fd, int events)
{
    struct CURLMsg *message;
    int running = 0;
    int left = 0;

    (void)curl_multi_socket_action(client->multi, fd, events, &running);
    while ((message = curl_multi_info_read(client->multi, &left)) != NULL) {
        struct hm_http_call *call = NULL;

        if (message->msg == CURLMSG_DONE) {
            CURLcode code = message->data.result; /* message dies with the handle */

            (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &call);
            HM_ASSERT(call != NULL);
            finish(call, code);
        }
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct watch *watch = poll->data;
    int select = 0;

    if (status < 0) {
        select = CURL_CSELECT_ERR;
    }
    if ((events & UV_READABLE) != 0) {
        select |= CURL_CSELECT_IN;
    }
    if ((events & UV_WRITABLE) != 0) {
        select |= CURL_CSELECT_OUT;
    }
    act(watch->client, watch->fd, select); /* watch may be closed inside */
}

static void on_timer(uv_timer_t *timer)
{
    act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

/* Called by curl from within its functions: only sets the timer, never calls back. */
static int on_timeout(CURLM *multi, long timeout_ms, void *cls)
{
    struct hm_http_client *client = cls;

    (void)multi;
    if (timeout_ms < 0 || client->ended) {
        (void)uv_timer_stop(&client->timer);
    } else {
        (void)uv_timer_start(&client->timer, on_timer, (uint64_t)timeout_ms, 0);
    }
    return 0;
}

static struct watch *watch_create(struct hm_http_client *client, curl_socket_t fd)
{
    struct watch *watch = calloc(1, sizeof *watch);

    if (watch == NULL || uv_poll_init_socket(client->loop, &watch->poll, fd) != 0) {
        free(watch);
        return NULL;
    }
    watch->poll.data = watch;
    watch->client = client;
    watch->fd = fd;
    client->handles++;
    (void)curl_multi_assign(client->multi, fd, watch);
    return watch;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *cls, void *socket)
{
    struct hm_http_client *client = cls;
    struct watch *watch = socket;
    int events = 0;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (watch != NULL) {
            (void)uv_poll_stop(&watch->poll);
            (void)curl_multi_assign(client->multi, fd, NULL);
            uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
        }
        return 0;
    }
    if (watch == NULL) {
        watch = watch_create(client, fd);
        if (watch == NULL) {
            return -1; /* curl ends its transfers */
        }
    }
    events |= (what & CURL_POLL_IN) != 0 ? UV_READABLE : 0;
    events |= (what & CURL_POLL_OUT) != 0 ? UV_WRITABLE : 0;
    return uv_poll_start(&watch->poll, events, on_poll) == 0 ? 0 : -1;
}

int hm_http_client_create(uv_loop_t *loop, unsigned connections_max,
                          struct hm_http_client **out_client)
{
    struct hm_http_client *client = calloc(1, sizeof *client);

    if (client == NULL) {
        return HM_NOMEM;
    }
    client->multi = curl_multi_init();
    if (client->multi == NULL) {
        free(client);
        return HM_NOMEM;
    }
    client->loop = loop;
    (void)curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    (void)curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    (void)curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_timeout);
    (void)curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    (void)curl_multi_setopt(client->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
                            (long)connections_max);
    (void)uv_timer_init(loop, &client->timer); /* neither can fail */
    (void)uv_idle_init(loop, &client->idle);
    client->timer.data = client;
    client->idle.data = client;
    client->handles = 2;
    *out_client = client;
    return HM_OK;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *cls)
{
    struct hm_http_call *call = cls;

    hm_buf_append(&call->answer, hm_bytes_of(bytes, size * count));
    return call->answer.err == HM_OK ? size * count : 0;
}

static void keep_header(const char *line, size_t len, const char *name, char *to,
                        size_t to_len)
{
    size_t name_len = strlen(name);
    size_t start = name_len + 1;

    if (len <= name_len || line[name_len] != ':' ||
        strncasecmp(line, name, name_len) != 0) {
        return;
    }
    while (start < len && line[start] == ' ') {
        start++;
    }
    while (len > start && (line[len - 1] == '\r' || line[len - 1] == '\n')) {
        len--;
    }
    (void)snprintf(to, to_len, "%.*s", (int)(len - start), line + start);
}

static size_t on_header(char *line, size_t size, size_t count, void *cls)
{
    struct hm_http_call *call = cls;
    size_t len = size * count;

    if (len > INT_MAX) {
        return 0;
    }
    if (len >= 5 && memcmp(line, "HTTP/", 5) == 0) {
        call->head_complete = false; /* another head may follow a 100 */
    } else if (len <= 2 && (line[0] == '\r' || line[0] == '\n')) {
        call->head_complete = true;
    }
    keep_header(line, len, "Content-Type", call->content_type,
                sizeof call->content_type);
    keep_header(line, len, "Retry-After", call->retry_after, sizeof call->retry_after);
    keep_header(line, len, "Date", call->date, sizeof call->date);
    return len;
}

/* What curl would add by itself: it waits 1 s for a 100 before it sends a large body;
 * the other two are bytes that say nothing, one of them wrongly. */
static const char *const unwanted[] = {"Expect:", "Accept:", "Content-Type:"};

static bool is_given(const struct hm_http_call *call, const char *name_and_colon)
{
    size_t len = strlen(name_and_colon) - 1;

    for (size_t i = 0; i < call->header_count; i++) {
        if (strlen(call->headers[i].name) == len &&
            strncasecmp(call->headers[i].name, name_and_colon, len) == 0) {
            return true;
        }
    }
    return false;
}

static int append_line(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = line == NULL ? NULL : curl_slist_append(*list, line);

    if (longer == NULL) {
        return HM_NOMEM;
    }
    *list = longer;
    return HM_OK;
}

static int make_headers(struct hm_http_call *call)
{
    struct curl_slist *list = NULL;
    struct hm_buf line;
    int err = HM_OK;

    hm_buf_init(&line, 8192);
    for (size_t i = 0; err == HM_OK && i < sizeof unwanted / sizeof unwanted[0]; i++) {
        if (!is_given(call, unwanted[i])) {
            err = append_line(&list, unwanted[i]); /* a name alone takes it away */
        }
    }
    for (size_t i = 0; err == HM_OK && i < call->header_count; i++) {
        hm_buf_clear(&line);
        hm_buf_printf(&line, "%s: %s", call->headers[i].name, call->headers[i].value);
        err = line.err == HM_OK ? append_line(&list, hm_buf_str(&line)) : line.err;
    }
    hm_buf_deinit(&line);
    if (err != HM_OK) {
        curl_slist_free_all(list);
        return err;
    }
    call->header_list = list;
    return HM_OK;
}

/* curl_easy_setopt() checks its type at compile time by a macro; what fails here is
 * memory. The first failure sticks. */
#define SET(option, value)                                                             \
    do {                                                                               \
        if (code == CURLE_OK) {                                                        \
            code = curl_easy_setopt(easy, (option), (value));                          \
        }                                                                              \
    } while (0)

static CURLcode set_trust(CURL *easy, const struct hm_http_call *call)
{
    CURLcode code = CURLE_OK;

    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_ENABLE_ALPN, 0L); /* there is nothing to choose; saves bytes */
    if (call->pin != NULL) {
        SET(CURLOPT_PINNEDPUBLICKEY, call->pin);
        SET(CURLOPT_SSL_VERIFYPEER, 0L); /* dates and names say nothing here */
        SET(CURLOPT_SSL_VERIFYHOST, 0L);
        SET(CURLOPT_CAINFO, NULL); /* else each connection loads the system's CAs */
        SET(CURLOPT_CAPATH, NULL);
    } else if (call->ca_file != NULL) {
        SET(CURLOPT_CAINFO, call->ca_file);
        SET(CURLOPT_CAPATH, NULL);
    }
    return code;
}

static CURLcode set_body(CURL *easy, const struct hm_http_call *call)
{
    const char *method = call->method == NULL ? "GET" : call->method;
    CURLcode code = CURLE_OK;

    if (call->body.len > 0 || strcmp(method, "POST") == 0 ||
        strcmp(method, "PUT") == 0) {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.len);
        SET(CURLOPT_POSTFIELDS,
            call->body.len == 0 ? "" : (const char *)call->body.data); /* not copied */
    } else if (strcmp(method, "HEAD") == 0) {
        SET(CURLOPT_NOBODY, 1L);
    }
    SET(CURLOPT_CUSTOMREQUEST, method);
    return code;
}

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
    return value == 0 ? fallback : value;
}

static CURLcode set_limits(CURL *easy, const struct hm_http_call *call)
{
    CURLcode code = CURLE_OK;

    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)or_default(call->connect_ms_max, 30000));
    /* Also counts while we wait for the answer. There is no total timeout: on a slow
     * link a transfer that moves is a good one. */
    SET(CURLOPT_LOW_SPEED_TIME, (long)or_default(call->low_speed_s_max, 60));
    SET(CURLOPT_LOW_SPEED_LIMIT, (long)or_default(call->low_speed_bytes, 1));
    SET(CURLOPT_PROTOCOLS_STR, call->https_only ? "https" : "http,https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    /* HTTP/1.1: the peer speaks no other, one call runs at a time on a connection, and
     * the preface and settings of HTTP/2 cost bytes on each new one. */
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_DNS_CACHE_TIMEOUT, 0L); /* else a portal's lie outlives the portal */
    SET(CURLOPT_TCP_NODELAY, 1L);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_QUICK_EXIT, 1L); /* never wait for a name look-up that was given up */
    return code;
}

static CURLcode set_proxy(CURL *easy, const struct hm_http_call *call)
{
    CURLcode code = CURLE_OK;

    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L); /* a proxy's are not the hub's */
    if (call->proxy == NULL && call->proxy_environment) {
        return code; /* curl looks there by itself */
    }
    SET(CURLOPT_PROXY, call->proxy == NULL ? "" : call->proxy);
    SET(CURLOPT_NOPROXY, call->no_proxy == NULL ? "" : call->no_proxy);
    if (call->proxy != NULL && call->proxy_user != NULL) {
        SET(CURLOPT_PROXYAUTH,
            (long)(CURLAUTH_BASIC | CURLAUTH_DIGEST | CURLAUTH_NTLM));
        SET(CURLOPT_PROXYUSERNAME, call->proxy_user);
        SET(CURLOPT_PROXYPASSWORD,
            call->proxy_password == NULL ? "" : call->proxy_password);
    }
    return code;
}

/* A connection whose other end has vanished is noticed, not waited for. */
static int on_socket_made(void *cls, curl_socket_t fd, curlsocktype purpose)
{
    unsigned unheard_ms = UNHEARD_MS_MAX;

    (void)cls;
    if (purpose == CURLSOCKTYPE_IPCXN) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unheard_ms,
                         sizeof unheard_ms); /* without it, low_speed_s_max does */
    }
    return CURL_SOCKOPT_OK;
}

static CURLcode set_all(CURL *easy, struct hm_http_call *call)
{
    CURLcode code = set_limits(easy, call);

    if (code == CURLE_OK) {
        code = set_trust(easy, call);
    }
    if (code == CURLE_OK) {
        code = set_proxy(easy, call);
    }
    if (code == CURLE_OK) {
        code = set_body(easy, call);
    }
    SET(CURLOPT_FRESH_CONNECT, call->fresh ? 1L : 0L);
    SET(CURLOPT_SOCKOPTFUNCTION, on_socket_made);
    SET(CURLOPT_VERBOSE, 1L); /* to on_told(), and nowhere else */
    SET(CURLOPT_DEBUGFUNCTION, on_told);
    SET(CURLOPT_DEBUGDATA, (void *)call);
    SET(CURLOPT_URL, call->url);
    SET(CURLOPT_HTTPHEADER, (struct curl_slist *)call->header_list);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, (void *)call);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, (void *)call);
    SET(CURLOPT_ERRORBUFFER, call->errmsg);
    SET(CURLOPT_PRIVATE, (void *)call);
    return code;
}

/* Ask curl's own parser now, so that a wrong URL fails the submit and not the call. */
static int check_url(const struct hm_http_call *call)
{
    CURLU *url = curl_url();
    char *scheme = NULL;
    int err = HM_INVALID;

    if (url == NULL) {
        return HM_NOMEM;
    }
    if (curl_url_set(url, CURLUPART_URL, call->url, 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
        (strcmp(scheme, "https") == 0 ||
         (strcmp(scheme, "http") == 0 && !call->https_only))) {
        err = HM_OK;
    }
    curl_free(scheme);
    curl_url_cleanup(url);
    return err;
}

static void clear_results(struct hm_http_call *call)
{
    call->err = HM_OK;
    call->errmsg[0] = 0;
    call->status = 0;
    call->content_type[0] = 0;
    call->retry_after[0] = 0;
    call->date[0] = 0;
    call->reused = false;
    call->connected = false;
    call->told = HM_HTTP_NO_TROUBLE;
    call->trouble = HM_HTTP_NO_TROUBLE;
    call->canceled = false;
    call->head_complete = false;
    hm_buf_deinit(&call->answer);
    hm_buf_init(&call->answer,
                call->answer_bytes_max == 0 ? 1 : call->answer_bytes_max);
}

int hm_http_client_submit(struct hm_http_client *client, struct hm_http_call *call)
{
    CURL *easy = NULL;
    int err = client->closing ? HM_CANCELED : check_url(call);

    if (err != HM_OK) {
        return err;
    }
    clear_results(call);
    err = make_headers(call);
    if (err != HM_OK) {
        return err;
    }
    easy = curl_easy_init();
    err = easy == NULL ? HM_NOMEM : err_from_curl(set_all(easy, call));
    if (err == HM_OK && curl_multi_add_handle(client->multi, easy) != CURLM_OK) {
        err = HM_NOMEM;
    }
    if (err != HM_OK) {
        curl_easy_cleanup(easy);
        curl_slist_free_all(call->header_list);
        call->header_list = NULL;
        return err;
    }
    call->easy = easy;
    call->client = client;
    call->prev = NULL;
    call->next = client->calls;
    if (call->next != NULL) {
        call->next->prev = call;
    }
    client->calls = call;
    return HM_OK;
}

void hm_http_client_cancel(struct hm_http_call *call)
{
    call->canceled = true;
    (void)uv_idle_start(&call->client->idle, on_idle);
}

void hm_http_client_close(struct hm_http_client *client,
                          hm_http_client_closed_cb closed, void *owner)
{
    if (client != NULL) {
        HM_ASSERT(!client->closing);
        client->closing = true;
        client->closed = closed;
        client->owner = owner;
        (void)uv_idle_start(&client->idle, on_idle);
    }
}

void hm_http_call_deinit(struct hm_http_call *call)
{
    hm_buf_deinit(&call->answer);
}
