#define _GNU_SOURCE /* O_PATH */

#include "daemon/cli/cli_http.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* One exchange, as libcurl's callbacks see it. */
struct exchange {
    CURL *easy;
    const struct hm_cli_request *req;
    struct hm_cli_answer *answer;
    struct curl_slist *headers;
    int folder; /* -1, or the node's folder when its path is too long for a socket */
    int err;    /* what a callback of ours found */
};

void hm_cli_http_answer_init(struct hm_cli_answer *answer, size_t len_max)
{
    *answer = (struct hm_cli_answer){0};
    hm_buf_init(&answer->body, len_max);
}

void hm_cli_http_answer_deinit(struct hm_cli_answer *answer)
{
    hm_buf_deinit(&answer->body);
}

void hm_cli_http_encode(struct hm_buf *to, const char *text)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";

    for (; *text != 0; text++) {
        if (strchr(plain, *text) != NULL) {
            hm_buf_append_u8(to, (uint8_t)*text);
        } else {
            hm_buf_printf(to, "%%%02X", (unsigned)(unsigned char)*text);
        }
    }
}

static size_t on_read(char *into, size_t size, size_t count, void *data)
{
    struct exchange *x = data;
    long got = x->req->read(x->req->owner, (uint8_t *)into, size * count);

    if (got < 0) {
        x->err = HM_CANCELED;
        return CURL_READFUNC_ABORT;
    }
    return (size_t)got;
}

static size_t on_write(char *piece, size_t size, size_t count, void *data)
{
    struct exchange *x = data;
    struct hm_bytes bytes = hm_bytes_of(piece, size * count);
    long status = 0;

    (void)curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
    if (x->req->write != NULL && status >= 200 && status < 300) {
        if (x->req->write(x->req->owner, bytes) != 0) {
            x->err = HM_CANCELED;
            return 0;
        }
        return bytes.len;
    }
    hm_buf_append(&x->answer->body, bytes);
    x->err = x->answer->body.err;
    return x->err == HM_OK ? bytes.len : 0;
}

static int on_progress(void *data, curl_off_t down_all, curl_off_t down,
                       curl_off_t up_all, curl_off_t up)
{
    const struct exchange *x = data;

    (void)down_all;
    (void)up_all;
    x->req->progress(x->req->owner, (uint64_t)up, (uint64_t)down);
    return 0;
}

static int add_header(struct exchange *x, const char *name, const char *value)
{
    struct hm_buf line;
    struct curl_slist *grown = NULL;
    const char *text;

    hm_buf_init(&line, 4096);
    hm_buf_printf(&line, "%s: %s", name, value);
    text = hm_buf_str(&line);
    if (text != NULL) {
        grown = curl_slist_append(x->headers, text);
    }
    hm_buf_deinit(&line);
    if (grown == NULL) {
        return HM_NOMEM;
    }
    x->headers = grown;
    return HM_OK;
}

static int add_user(struct exchange *x, const char *user)
{
    struct hm_buf encoded;
    const char *text;
    int err = HM_NOMEM;

    hm_buf_init(&encoded, 3072);
    hm_cli_http_encode(&encoded, user);
    text = hm_buf_str(&encoded);
    if (text != NULL) {
        err = add_header(x, "Hamlet-User", text);
    }
    hm_buf_deinit(&encoded);
    return err;
}

static int set_headers(struct exchange *x)
{
    const struct hm_cli_request *req = x->req;
    /* A body that streams waits for the node's leave: a refusal would else be lost when
     * the node closes the connection while we send. A short body never waits. */
    struct curl_slist *first =
        curl_slist_append(NULL, req->read == NULL ? "Expect:" : "Expect: 100-continue");
    int err = first == NULL ? HM_NOMEM : HM_OK;

    x->headers = first;
    if (err == HM_OK && req->content_type != NULL) {
        err = add_header(x, "Content-Type", req->content_type);
    }
    if (err == HM_OK && req->read != NULL) {
        err = add_header(x, "Transfer-Encoding", "chunked");
    }
    if (err == HM_OK && req->user != NULL) {
        err = add_user(x, req->user);
    }
    return err;
}

/* A socket's address holds 107 bytes, a folder's path may be longer: then the way leads
 * through the open folder. */
static int set_socket(struct exchange *x)
{
    char path[PATH_MAX];
    int len = snprintf(path, sizeof path, "%s/control.sock", x->req->dir);

    if (len < 0 || (size_t)len >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
        x->folder = open(x->req->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (x->folder < 0) {
            return HM_NETWORK;
        }
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d/control.sock", x->folder);
    }
    return curl_easy_setopt(x->easy, CURLOPT_UNIX_SOCKET_PATH, path) == CURLE_OK
               ? HM_OK
               : HM_NOMEM;
}

static int set_url(struct exchange *x)
{
    size_t len = strlen(x->req->path) + sizeof "http://localhost";
    char *url = malloc(len);
    CURLcode rc;

    if (url == NULL) {
        return HM_NOMEM;
    }
    (void)snprintf(url, len, "http://localhost%s", x->req->path);
    rc = curl_easy_setopt(x->easy, CURLOPT_URL, url);
    free(url);
    return rc == CURLE_OK ? HM_OK : HM_NOMEM;
}

static void set_body(struct exchange *x)
{
    const struct hm_cli_request *req = x->req;

    if (strcmp(req->method, "POST") != 0) {
        return;
    }
    (void)curl_easy_setopt(x->easy, CURLOPT_POST, 1L);
    if (req->read != NULL) {
        (void)curl_easy_setopt(x->easy, CURLOPT_READFUNCTION, on_read);
        (void)curl_easy_setopt(x->easy, CURLOPT_READDATA, x);
        return;
    }
    (void)curl_easy_setopt(x->easy, CURLOPT_POSTFIELDSIZE_LARGE,
                           (curl_off_t)req->body.len);
    (void)curl_easy_setopt(x->easy, CURLOPT_POSTFIELDS,
                           req->body.len == 0 ? "" : (const char *)req->body.data);
}

static int set_up(struct exchange *x)
{
    int err = set_socket(x);

    if (err == HM_OK) {
        err = set_url(x);
    }
    if (err == HM_OK) {
        err = set_headers(x);
    }
    if (err != HM_OK) {
        return err;
    }
    set_body(x);
    (void)curl_easy_setopt(x->easy, CURLOPT_HTTPHEADER, x->headers);
    (void)curl_easy_setopt(x->easy, CURLOPT_PROTOCOLS_STR, "http");
    (void)curl_easy_setopt(x->easy, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(x->easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(x->easy, CURLOPT_CONNECTTIMEOUT, 10L);
    (void)curl_easy_setopt(x->easy, CURLOPT_EXPECT_100_TIMEOUT_MS, 5000L);
    (void)curl_easy_setopt(x->easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(x->easy, CURLOPT_WRITEFUNCTION, on_write);
    (void)curl_easy_setopt(x->easy, CURLOPT_WRITEDATA, x);
    if (x->req->progress != NULL) {
        (void)curl_easy_setopt(x->easy, CURLOPT_NOPROGRESS, 0L);
        (void)curl_easy_setopt(x->easy, CURLOPT_XFERINFOFUNCTION, on_progress);
        (void)curl_easy_setopt(x->easy, CURLOPT_XFERINFODATA, x);
    }
    return HM_OK;
}

/* May this user open the socket? libcurl does not tell why a connection failed. */
static int why_unreachable(const struct exchange *x)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof path, "%s/control.sock", x->req->dir);
    return faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS) != 0 && errno == EACCES
               ? HM_DENIED
               : HM_NETWORK;
}

/* The only place that knows libcurl's result codes. */
static int err_from_curl(const struct exchange *x, CURLcode rc)
{
    if (x->err != HM_OK) {
        return x->err;
    }
    switch ((int)rc) {
    case CURLE_OK:
        return HM_OK;
    case CURLE_OUT_OF_MEMORY:
        return HM_NOMEM;
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
        return why_unreachable(x);
    case CURLE_SEND_ERROR:
        /* an early refusal closes the connection while we still send */
        return x->answer->status >= 400 ? HM_OK : HM_TRUNCATED;
    default:
        return HM_TRUNCATED;
    }
}

static void explain(const struct exchange *x, int err)
{
    struct hm_cli_answer *answer = x->answer;
    const char *dir = x->req->dir;

    switch (err) {
    case HM_NETWORK:
        (void)snprintf(answer->text, sizeof answer->text,
                       "no node is running in %.180s", dir);
        break;
    case HM_DENIED:
        (void)snprintf(answer->text, sizeof answer->text,
                       "you may not open %.180s/control.sock", dir);
        break;
    case HM_TRUNCATED:
        (void)snprintf(answer->text, sizeof answer->text,
                       "the node broke off before its answer was complete");
        break;
    default:
        (void)snprintf(answer->text, sizeof answer->text, "%s", hm_err_text(err));
        break;
    }
}

int hm_cli_http_perform(const struct hm_cli_request *req, struct hm_cli_answer *answer)
{
    struct exchange x = {.req = req, .answer = answer, .folder = -1};
    int err = HM_NOMEM;

    x.easy = curl_easy_init();
    if (x.easy != NULL) {
        err = set_up(&x);
    }
    if (err == HM_OK) {
        CURLcode rc = curl_easy_perform(x.easy);

        (void)curl_easy_getinfo(x.easy, CURLINFO_RESPONSE_CODE, &answer->status);
        err = err_from_curl(&x, rc);
    } else if (err == HM_NETWORK) {
        err = why_unreachable(&x);
    }
    if (err != HM_OK) {
        explain(&x, err);
    }
    curl_easy_cleanup(x.easy);
    curl_slist_free_all(x.headers);
    if (x.folder >= 0) {
        (void)close(x.folder);
    }
    return err;
}
