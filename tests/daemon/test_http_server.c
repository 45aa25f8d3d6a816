#define _GNU_SOURCE

#include "daemon/http_server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/support/http.h"
#include "tests/support/test.h"

struct scene {
    uv_loop_t loop;
    struct hm_site site;
    struct hm_raw raw;
};

static void scene_open(struct scene *s, const struct hm_http_server_options *options)
{
    const struct hm_http_server_options none = {0};

    *s = (struct scene){0};
    (void)signal(SIGPIPE, SIG_IGN);
    CHECK_OK(uv_loop_init(&s->loop));
    CHECK_OK(hm_site_open(&s->site, &s->loop, options == NULL ? &none : options));
}

static void scene_connect(struct scene *s)
{
    hm_raw_open(&s->raw, &s->loop, hm_http_server_port(s->site.server));
}

/* The loop must be empty behind a closed server, else the daemon would never end. */
static void scene_close(struct scene *s)
{
    hm_site_close(&s->site);
    hm_test_loop_end(&s->loop);
}

static char *long_text(size_t len)
{
    char *text = malloc(len + 1);

    assert_non_null(text);
    memset(text, 'a', len);
    text[len] = 0;
    return text;
}

/* Two requests on one connection, with all that the owner can ask about them. */
HM_TEST(answers_and_keeps_the_connection)
{
    struct scene s;

    scene_open(&s, NULL);
    scene_connect(&s);
    hm_raw_send(&s.raw, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    hm_raw_expect(&s.raw, "hello");
    hm_raw_send(&s.raw, "GET /query?b=1&a=%C4%91+x HTTP/1.1\r\nHost: x\r\n\r\n");
    hm_raw_expect(&s.raw, "\xC4\x91 x");
    hm_raw_send(&s.raw, "GET /query?A=1 HTTP/1.1\r\nHost: x\r\n\r\n");
    hm_raw_expect(&s.raw, "none");
    hm_raw_send(&s.raw, "GET /header HTTP/1.1\r\nHost: x\r\nX-TEST: yes\r\n\r\n");
    hm_raw_expect(&s.raw, "yes");
    hm_raw_send(&s.raw, "GET /lost HTTP/1.1\r\nHost: x\r\n\r\n");
    hm_raw_expect(&s.raw, "404 Not Found");
    assert_int_equal(hm_raw_count(&s.raw, "HTTP/1.1 200"), 4);
    assert_int_equal(hm_raw_count(&s.raw, "Date: "), 5);
    assert_int_equal(hm_raw_count(&s.raw, "Content-Type: text/plain"), 5);
    assert_int_equal(hm_http_server_connections(s.site.server), 1);
    assert_string_equal(s.site.address, "127.0.0.1");
    hm_raw_close(&s.raw);
    scene_close(&s);
    assert_int_equal(s.site.requests, 5);
}

/* MHD 0.9.75 tells nobody that a connection was resumed: without a forced run the
 * answer waits until something else happens, here until the guard ends the test. */
HM_TEST(resume_does_not_stall)
{
    struct scene s;

    scene_open(&s, NULL);
    scene_connect(&s);
    for (unsigned i = 1; i <= 20; i++) {
        hm_raw_send(&s.raw, "POST /later HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
                            "\r\nabc");
        while (hm_raw_count(&s.raw, "abc") < i) {
            hm_test_spin_ms(&s.loop, 1);
        }
    }
    hm_raw_close(&s.raw);
    scene_close(&s);
}

/* A body that is already in MHD's memory goes on behind each suspension too. */
HM_TEST(chunks_with_back_pressure)
{
    struct scene s;
    char *body = long_text(1000 * 1000);

    scene_open(&s, NULL);
    scene_connect(&s);
    hm_raw_send(&s.raw, "POST /chunks HTTP/1.1\r\nHost: x\r\n"
                        "Content-Length: 1000000\r\n\r\n");
    hm_raw_send(&s.raw, body);
    hm_raw_expect(&s.raw, "\r\n\r\n1000000");
    assert_in_range(s.site.chunks, 16, 17);
    s.site.chunk_bytes = 0;
    hm_raw_send(&s.raw, "POST /chunks HTTP/1.1\r\nHost: x\r\n"
                        "Transfer-Encoding: chunked\r\n\r\n"
                        "5\r\nabcde\r\n3\r\nfgh\r\n0\r\n\r\n");
    hm_raw_expect(&s.raw, "\r\n\r\n8");
    hm_raw_close(&s.raw);
    scene_close(&s);
    free(body);
}

/* While a request waits for its owner the loop sleeps: MHD's epoll must not report it
 * again and again, an old laptop's battery pays for that. */
HM_TEST(waiting_does_not_spin)
{
    struct scene s;
    unsigned turns = 0;
    uint64_t start_ms;

    scene_open(&s, NULL);
    scene_connect(&s);
    hm_raw_send(&s.raw, "GET /never HTTP/1.1\r\nHost: x\r\n\r\n");
    hm_test_spin(&s.loop, &s.site.has_waiting);
    start_ms = uv_now(&s.loop);
    while (uv_now(&s.loop) < start_ms + 300) {
        (void)uv_run(&s.loop, UV_RUN_ONCE); /* wakes by the sweep at the latest */
        turns++;
    }
    assert_in_range(turns, 1, 10);
    hm_site_answer(&s.site);
    hm_raw_expect(&s.raw, "at last");
    hm_raw_close(&s.raw);
    scene_close(&s);
}

/* One byte now and then keeps MHD's own timeout happy for ever. */
HM_TEST(slowloris_is_closed)
{
    const struct hm_http_server_options options = {.head_ms_max = 100};
    struct scene s;

    scene_open(&s, &options);
    scene_connect(&s);
    hm_raw_send(&s.raw, "GET /hello HTTP/1.1\r\nX: ");
    for (unsigned i = 0; i < 100 && !s.raw.ended; i++) {
        hm_raw_send(&s.raw, "y");
        hm_test_spin_ms(&s.loop, 10);
    }
    assert_true(s.raw.ended);
    assert_int_equal(s.site.heads, 0);
    hm_raw_close(&s.raw);
    scene_close(&s);
}

HM_TEST(idle_connection_is_closed)
{
    const struct hm_http_server_options options = {.idle_s_max = 1};
    struct scene s;

    scene_open(&s, &options);
    scene_connect(&s);
    hm_raw_send(&s.raw, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    hm_raw_expect(&s.raw, "hello");
    hm_raw_expect_end(&s.raw);
    hm_raw_close(&s.raw);
    scene_close(&s);
}

/* Two ways to read one request are the door for smuggling. */
HM_TEST(ambiguous_length_is_refused)
{
    static const char *const heads[] = {
        "Content-Length: 3\r\nContent-Length: 5\r\n\r\nabcde",
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "Content-Length : 3\r\n\r\nabc",
        "Content-Length: -1\r\n\r\n",
        "Content-Length: 3x\r\n\r\nabc"};
    struct scene s;

    scene_open(&s, NULL);
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        scene_connect(&s);
        hm_raw_send(&s.raw, "POST /echo HTTP/1.1\r\nHost: x\r\n");
        hm_raw_send(&s.raw, heads[i]);
        hm_raw_expect(&s.raw, "HTTP/1.1 400 ");
        hm_raw_expect_end(&s.raw);
        hm_raw_close(&s.raw);
    }
    assert_int_equal(s.site.heads, 0);
    scene_close(&s);
}

/* The owner would see a shorter path than the one that was asked for. */
HM_TEST(nul_in_the_path_is_refused)
{
    struct scene s;

    scene_open(&s, NULL);
    scene_connect(&s);
    hm_raw_send(&s.raw, "GET /hello%00/x HTTP/1.1\r\nHost: x\r\n\r\n");
    hm_raw_expect(&s.raw, "HTTP/1.1 400 ");
    hm_raw_close(&s.raw);
    assert_int_equal(s.site.heads, 0);
    scene_close(&s);
}

HM_TEST(huge_head_is_refused)
{
    struct scene s;
    char *value = long_text(20000);

    scene_open(&s, NULL);
    scene_connect(&s);
    hm_raw_send(&s.raw, "GET /hello HTTP/1.1\r\nHost: x\r\nX: ");
    hm_raw_send(&s.raw, value);
    hm_raw_send(&s.raw, "\r\n\r\n");
    hm_raw_expect(&s.raw, "HTTP/1.1 431 ");
    hm_raw_close(&s.raw);
    assert_int_equal(s.site.heads, 0);
    scene_close(&s);
    free(value);
}

/* Known from the head, and found out on the way. */
HM_TEST(body_over_the_limit)
{
    struct scene s;
    char *body = long_text(150000);

    scene_open(&s, NULL);
    scene_connect(&s);
    hm_raw_send(&s.raw, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 150000\r\n"
                        "\r\n");
    hm_raw_expect(&s.raw, "HTTP/1.1 413 ");
    hm_raw_expect(&s.raw, "Connection: close");
    hm_raw_expect_end(&s.raw);
    hm_raw_close(&s.raw);
    scene_connect(&s);
    hm_raw_send(&s.raw, "POST /echo HTTP/1.1\r\nHost: x\r\n"
                        "Transfer-Encoding: chunked\r\n\r\n249f0\r\n");
    hm_raw_send(&s.raw, body);
    hm_raw_send(&s.raw, "\r\n0\r\n\r\n");
    hm_raw_expect(&s.raw, "HTTP/1.1 413 ");
    hm_raw_expect_end(&s.raw);
    hm_raw_close(&s.raw);
    assert_int_equal(s.site.requests, 0);
    scene_close(&s);
    free(body);
}

/* A client that asks first gets its 100, or the refusal in place of it. */
HM_TEST(expect_continue)
{
    struct scene s;

    scene_open(&s, NULL);
    scene_connect(&s);
    hm_raw_send(&s.raw, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
                        "Expect: 100-continue\r\n\r\n");
    hm_raw_expect(&s.raw, "HTTP/1.1 100 Continue\r\n\r\n");
    hm_raw_send(&s.raw, "xyz");
    hm_raw_expect(&s.raw, "\r\n\r\nxyz");
    hm_raw_close(&s.raw);
    scene_connect(&s);
    hm_raw_send(&s.raw, "POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
                        "Expect: 100-continue\r\n\r\n");
    hm_raw_expect(&s.raw, "HTTP/1.1 403 ");
    hm_raw_expect_end(&s.raw);
    assert_int_equal(hm_raw_count(&s.raw, "100 Continue"), 0);
    hm_raw_close(&s.raw);
    scene_close(&s);
}

/* MHD does not look at a suspended connection: the sweep does, and the owner may answer
 * into the void. */
HM_TEST(client_gone_while_waiting)
{
    const struct hm_http_server_options options = {.head_ms_max = 40};
    struct scene s;

    scene_open(&s, &options);
    scene_connect(&s);
    hm_raw_send(&s.raw, "GET /never HTTP/1.1\r\nHost: x\r\n\r\n");
    hm_test_spin(&s.loop, &s.site.has_waiting);
    hm_raw_close(&s.raw);
    while (!hm_http_request_gone(s.site.waiting)) {
        hm_test_spin_ms(&s.loop, 5);
    }
    hm_site_answer(&s.site);
    assert_true(s.site.owner_saw_gone);
    while (hm_http_server_connections(s.site.server) > 0) {
        hm_test_spin_ms(&s.loop, 1);
    }
    scene_close(&s);
}

/* Suspended connections never time out by themselves. */
HM_TEST(answer_that_never_comes)
{
    const struct hm_http_server_options options = {.head_ms_max = 40,
                                                   .answer_ms_max = 50};
    struct scene s;

    scene_open(&s, &options);
    scene_connect(&s);
    hm_raw_send(&s.raw, "GET /never HTTP/1.1\r\nHost: x\r\n\r\n");
    hm_raw_expect(&s.raw, "HTTP/1.1 503 ");
    hm_raw_expect_end(&s.raw);
    assert_string_equal(hm_http_request_path(s.site.waiting), "/never");
    assert_int_equal(s.site.dones, 0);
    hm_site_answer(&s.site);
    assert_true(s.site.owner_saw_gone);
    assert_int_equal(s.site.dones, 1);
    hm_raw_close(&s.raw);
    scene_close(&s);
}

/* The client dies within the body: the owner hears of it, without an answer to give. */
HM_TEST(client_gone_within_the_body)
{
    struct scene s;

    scene_open(&s, NULL);
    scene_connect(&s);
    hm_raw_send(&s.raw,
                "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc");
    while (s.site.heads == 0) {
        hm_test_spin_ms(&s.loop, 1);
    }
    hm_raw_close(&s.raw);
    while (s.site.dones == 0) {
        hm_test_spin_ms(&s.loop, 1);
    }
    assert_int_equal(s.site.requests, 0);
    scene_close(&s);
}

/* More than the queue takes goes out whole and in order. */
HM_TEST(stream_with_back_pressure)
{
    struct scene s;

    scene_open(&s, NULL);
    scene_connect(&s);
    hm_raw_send(&s.raw, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    hm_raw_expect(&s.raw, "\r\n0\r\n\r\n");
    assert_int_equal(hm_raw_count(&s.raw, "line 0"), 2000);
    assert_in_range(s.site.rooms, 20, 100);
    hm_raw_send(&s.raw, "HEAD /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    while (s.site.dones < 2) {
        hm_test_spin_ms(&s.loop, 1);
    }
    hm_raw_close(&s.raw);
    scene_close(&s);
}

/* Server-sent events: written one by one, and the owner hears when the page closes. */
HM_TEST(open_stream)
{
    const struct hm_http_server_options options = {.head_ms_max = 40};
    char big[1001] = {0};
    uint64_t start_ms;
    unsigned turns = 0;
    struct scene s;

    scene_open(&s, &options);
    scene_connect(&s);
    hm_raw_send(&s.raw, "GET /open HTTP/1.1\r\nHost: x\r\n\r\n");
    hm_test_spin(&s.loop, &s.site.has_waiting);
    for (int i = 0; i < 5; i++) {
        char event[32];

        (void)snprintf(event, sizeof event, "data: %d\n\n", i);
        CHECK_OK(hm_http_stream_write(s.site.waiting, hm_bytes_str(event)));
        hm_raw_expect(&s.raw, event);
    }
    start_ms = uv_now(&s.loop);
    while (uv_now(&s.loop) < start_ms + 100) {
        (void)uv_run(&s.loop, UV_RUN_ONCE); /* sleeps but for the sweep, each 11 ms */
        turns++;
    }
    assert_in_range(turns, 1, 30);
    assert_int_equal(hm_http_stream_write(s.site.waiting, hm_bytes_of(big, 1001)),
                     HM_TOOBIG);
    CHECK_OK(hm_http_stream_write(s.site.waiting, hm_bytes_of(big, 999)));
    assert_int_equal(hm_http_stream_write(s.site.waiting, hm_bytes_of(big, 2)),
                     HM_AGAIN);
    hm_raw_close(&s.raw);
    while (!s.site.owner_saw_gone) {
        hm_test_spin_ms(&s.loop, 1);
    }
    scene_close(&s);
}

HM_TEST(file_from_an_offset)
{
    struct scene s;
    char path[300];
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/file", hm_test_folder());
    file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs("ABCDEF", file);
    CHECK_OK(fclose(file));
    scene_open(&s, NULL);
    s.site.file = path;
    scene_connect(&s);
    hm_raw_send(&s.raw, "GET /file HTTP/1.1\r\nHost: x\r\n\r\n");
    hm_raw_expect(&s.raw, "\r\n\r\nBCD");
    assert_int_equal(hm_raw_count(&s.raw, "BCDE"), 0);
    hm_raw_close(&s.raw);
    scene_close(&s);
}

/* All that can be under way when the daemon is told to stop. */
HM_TEST(close_with_everything_open)
{
    struct scene s;
    struct hm_raw body, head, stream;

    scene_open(&s, NULL);
    hm_raw_open(&body, &s.loop, hm_http_server_port(s.site.server));
    hm_raw_send(&body,
                "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc");
    hm_raw_open(&head, &s.loop, hm_http_server_port(s.site.server));
    hm_raw_send(&head, "GET /hel");
    hm_raw_open(&stream, &s.loop, hm_http_server_port(s.site.server));
    hm_raw_send(&stream, "GET /open HTTP/1.1\r\nHost: x\r\n\r\n");
    hm_test_spin(&s.loop, &s.site.has_waiting);
    s.site.has_waiting = false;
    {
        struct hm_http_request *open_stream = s.site.waiting;

        scene_connect(&s);
        hm_raw_send(&s.raw, "GET /never HTTP/1.1\r\nHost: x\r\n\r\n");
        hm_test_spin(&s.loop, &s.site.has_waiting);
        struct hm_http_request *never = s.site.waiting;

        s.site.waiting = open_stream;
        hm_http_server_close(s.site.server, NULL);
        hm_raw_expect(&s.raw, "HTTP/1.1 503 ");
        hm_raw_expect_end(&s.raw);
        hm_raw_expect_end(&body);
        hm_raw_expect(&stream, "\r\n0\r\n\r\n");
        assert_true(s.site.owner_saw_gone);
        s.site.waiting = never;
        hm_site_answer(&s.site); /* the server waits for it */
    }
    hm_raw_expect_end(&head);
    hm_raw_close(&body);
    hm_raw_close(&head);
    hm_raw_close(&stream);
    hm_raw_close(&s.raw);
    hm_test_loop_end(&s.loop);
    assert_int_equal(s.site.heads, s.site.dones);
}

HM_TEST(port_in_use)
{
    struct hm_http_server_options options = {0};
    struct scene s;
    struct hm_site second = {0};

    scene_open(&s, NULL);
    options.port = hm_http_server_port(s.site.server);
    assert_int_equal(hm_site_open(&second, &s.loop, &options), HM_BUSY);
    assert_non_null(strstr(second.errmsg, "in use by another program"));
    assert_null(second.server);
    options.address = "nowhere";
    assert_int_equal(hm_site_open(&second, &s.loop, &options), HM_INVALID);
    options.address = "192.0.2.1";
    assert_int_equal(hm_site_open(&second, &s.loop, &options), HM_INVALID);
    options.address = "::1";
    options.port = 0;
    options.tls_key_pem = "no";
    options.tls_cert_pem = "no";
    assert_int_not_equal(hm_site_open(&second, &s.loop, &options), HM_OK);
    scene_close(&s);
}

/* The operator's door: nobody else may open it; a dead one is replaced, a living not.
 */
HM_TEST(unix_socket)
{
    struct hm_http_server_options options = {0};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct hm_site second = {0};
    struct scene s;
    struct stat info;
    char path[100];
    int stale;

    (void)snprintf(path, sizeof path, "%s/control.sock", hm_test_folder());
    memcpy(address.sun_path, path, strlen(path) + 1);
    stale = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_OK(bind(stale, (struct sockaddr *)&address, sizeof address));
    CHECK_OK(close(stale));
    options.unix_path = path;
    (void)umask(0);
    scene_open(&s, &options);
    CHECK_OK(lstat(path, &info));
    assert_int_equal(info.st_mode & 07777, 0600);
    assert_int_equal(hm_site_open(&second, &s.loop, &options), HM_BUSY);
    hm_raw_open_unix(&s.raw, &s.loop, path);
    hm_raw_send(&s.raw, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    hm_raw_expect(&s.raw, "hello");
    assert_string_equal(s.site.address, "unix");
    hm_raw_close(&s.raw);
    scene_close(&s);
    assert_int_equal(lstat(path, &info), -1);
}

/* A file that is no socket is somebody's data. */
HM_TEST(unix_path_of_a_file)
{
    struct hm_http_server_options options = {0};
    struct hm_site site = {0};
    uv_loop_t loop;
    char path[100];
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/precious", hm_test_folder());
    file = fopen(path, "w");
    assert_non_null(file);
    CHECK_OK(fclose(file));
    options.unix_path = path;
    CHECK_OK(uv_loop_init(&loop));
    assert_int_equal(hm_site_open(&site, &loop, &options), HM_BUSY);
    assert_int_equal(access(path, F_OK), 0);
    hm_test_loop_end(&loop);
}

/* Beyond the limit a client waits for a place; it is not refused and nothing breaks. */
HM_TEST(connection_limit)
{
    const struct hm_http_server_options options = {.connections_max = 1};
    struct hm_raw second;
    struct scene s;

    scene_open(&s, &options);
    scene_connect(&s);
    hm_raw_send(&s.raw, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    hm_raw_expect(&s.raw, "hello");
    hm_raw_open(&second, &s.loop, hm_http_server_port(s.site.server));
    hm_raw_send(&second, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    hm_test_spin_ms(&s.loop, 20);
    assert_int_equal(hm_http_server_connections(s.site.server), 1);
    hm_raw_close(&s.raw);
    hm_raw_expect(&second, "hello");
    hm_raw_close(&second);
    scene_close(&s);
}
