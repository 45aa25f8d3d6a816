/* Bytes on a connection of the daemon's HTTP server. Each request that begins ends
 * once; no body is larger than was accepted; no head whose framing is ambiguous (two
 * lengths, a length beside chunks) reaches its owner; what is answered is HTTP; and the
 * server is as free behind the connection as before it. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/http_server.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/test.h"

enum {
    BODY_BYTES_MAX = 64,
    QUIET_MAX = 100,
    TURNS_MAX = 20000,
    ANSWER_BYTES_MAX = 1024 * 1024
};

static uv_loop_t loop;
static struct hm_http_server *server;
static struct sockaddr_un address = {.sun_family = AF_UNIX};
static unsigned heads, requests, dones;

static void on_head(void *owner, struct hm_http_request *req)
{
    const char *coding = hm_http_request_header(req, "Transfer-Encoding");
    const char *length = hm_http_request_header(req, "Content-Length");

    (void)owner;
    heads++;
    HM_FUZZ_CHECK(coding == NULL || length == NULL);
    HM_FUZZ_CHECK(hm_http_request_path(req) != NULL &&
                  hm_http_request_method(req) != NULL &&
                  hm_http_request_target(req) != NULL);
    if (strcmp(hm_http_request_method(req), "PUT") == 0) {
        hm_http_request_respond(req, 405, NULL, 0, NULL);
    } else {
        hm_http_request_accept(req, HM_HTTP_BODY_MEMORY, BODY_BYTES_MAX);
    }
}

static void on_request(void *owner, struct hm_http_request *req)
{
    const struct hm_buf *body = hm_http_request_body(req);
    const char *length = hm_http_request_header(req, "Content-Length");
    struct hm_buf answer;

    (void)owner;
    requests++;
    HM_FUZZ_CHECK(body->len <= BODY_BYTES_MAX);
    if (length != NULL) {
        char text[24];

        (void)snprintf(text, sizeof text, "%zu", body->len);
        HM_FUZZ_CHECK(
            strcmp(length + strspn(length, "0"), body->len == 0 ? "" : text) == 0);
    }
    hm_buf_init(&answer, 4096);
    hm_buf_printf(&answer, "%zu %s", body->len,
                  hm_http_request_query(req, "q") == NULL ? "-" : "q");
    hm_http_request_respond(req, 200, NULL, 0, &answer);
}

static void on_done(void *owner, struct hm_http_request *req)
{
    (void)owner;
    (void)req;
    dones++;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const struct hm_http_handler handler = {
        .on_head = on_head, .on_request = on_request, .on_done = on_done};
    struct hm_http_server_options options = {.unix_path = address.sun_path};
    size_t room = sizeof address.sun_path;

    (void)argc;
    (void)argv;
    HM_FUZZ_CHECK((size_t)snprintf(address.sun_path, room, "%s/s", hm_test_folder()) <
                  room);
    HM_FUZZ_CHECK(uv_loop_init(&loop) == 0);
    HM_FUZZ_CHECK(hm_http_server_open(&loop, &options, &handler, NULL, NULL, 0,
                                      &server) == HM_OK);
    return 0;
}

static int connect_to_server(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    HM_FUZZ_CHECK(fd >= 0);
    HM_FUZZ_CHECK(connect(fd, (const struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

/* Everything is said, then nothing more; reads until the server closes, or for long has
 * nothing to say: to the rest of a head it listens for 20 s. */
static void talk(int fd, struct hm_bytes input, struct hm_buf *answer)
{
    bool closed = false;
    bool said = false;

    for (int quiet = 0; quiet < QUIET_MAX && !closed; quiet++) {
        uint8_t *to = hm_buf_reserve(answer, 4096);
        ssize_t got;

        if (input.len > 0) {
            ssize_t sent = send(fd, input.data, input.len, MSG_NOSIGNAL);

            if (sent > 0) {
                quiet = 0;
                input = hm_bytes_of(input.data + sent, input.len - (size_t)sent);
            } else if (sent < 0 && errno != EAGAIN) {
                input.len = 0; /* the server has heard enough */
            }
        } else if (!said) {
            (void)shutdown(fd, SHUT_WR); /* fails when the server has closed */
            said = true;
        }
        (void)uv_run(&loop, UV_RUN_NOWAIT);
        HM_FUZZ_CHECK(to != NULL);
        got = recv(fd, to, 4096, 0);
        if (got > 0) {
            hm_buf_commit(answer, (size_t)got);
            quiet = 0;
        } else {
            closed = got == 0 || errno != EAGAIN;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hm_buf answer;
    int fd = connect_to_server();

    heads = requests = dones = 0;
    hm_buf_init(&answer, ANSWER_BYTES_MAX);
    talk(fd, hm_bytes_of(data, size), &answer);
    (void)close(fd);
    for (int turn = 0; turn < TURNS_MAX && hm_http_server_connections(server) > 0;
         turn++) {
        (void)uv_run(&loop, UV_RUN_NOWAIT);
    }
    HM_FUZZ_CHECK(hm_http_server_connections(server) == 0);
    HM_FUZZ_CHECK(heads == dones && requests <= heads);
    HM_FUZZ_CHECK(answer.len == 0 ||
                  (answer.len > 9 && memcmp(answer.data, "HTTP/1.1 ", 9) == 0) ||
                  (answer.len > 9 && memcmp(answer.data, "HTTP/1.0 ", 9) == 0));
    hm_buf_deinit(&answer);
    return 0;
}
