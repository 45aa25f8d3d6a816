#define _GNU_SOURCE

#include "daemon/http_client.h"

#include <curl/curl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/tls_key.h"
#include "tests/support/http.h"
#include "tests/support/peer.h"
#include "tests/support/test.h"

/* A client, a site of ours, and a peer that misbehaves as scripted. */
struct scene {
    uv_loop_t loop;
    struct hm_site site;
    struct hm_http_client *client;
    struct hm_buf key, cert;
    char pin[HM_TLS_KEY_PIN_CHARS_MAX];
    bool closed;
};

struct one {
    struct hm_http_call call;
    char url[128];
    bool done;
    unsigned times;
};

static void on_answer(struct hm_http_call *call)
{
    struct one *one = (struct one *)((char *)call - offsetof(struct one, call));

    one->done = true;
    one->times++;
}

static void on_client_closed(void *owner)
{
    struct scene *s = owner;

    s->closed = true;
}

static void scene_open(struct scene *s, bool tls)
{
    struct hm_http_server_options options = {0};
    uint8_t hash[HM_TLS_KEY_HASH_BYTES];

    *s = (struct scene){0};
    (void)signal(SIGPIPE, SIG_IGN);
    CHECK_OK(curl_global_init(CURL_GLOBAL_DEFAULT));
    CHECK_OK(uv_loop_init(&s->loop));
    hm_buf_init(&s->key, HM_TLS_KEY_PEM_BYTES_MAX);
    hm_buf_init(&s->cert, HM_TLS_KEY_PEM_BYTES_MAX);
    if (tls) {
        CHECK_OK(hm_tls_key_make(&s->key, &s->cert));
        CHECK_OK(hm_tls_key_hash_cert(hm_buf_str(&s->cert), hash));
        hm_tls_key_pin(hash, s->pin);
        options.tls_key_pem = hm_buf_str(&s->key);
        options.tls_cert_pem = hm_buf_str(&s->cert);
    }
    CHECK_OK(hm_site_open(&s->site, &s->loop, &options));
    CHECK_OK(hm_http_client_create(&s->loop, 8, &s->client));
}

static void scene_close(struct scene *s)
{
    hm_http_client_close(s->client, on_client_closed, s);
    hm_test_spin(&s->loop, &s->closed);
    hm_site_close(&s->site);
    hm_test_loop_end(&s->loop);
    hm_buf_deinit(&s->key);
    hm_buf_deinit(&s->cert);
    curl_global_cleanup();
}

static void prepare(struct one *one, const char *scheme, uint16_t port,
                    const char *path)
{
    *one = (struct one){0};
    (void)snprintf(one->url, sizeof one->url, "%s://127.0.0.1:%u%s", scheme,
                   (unsigned)port, path);
    one->call.url = one->url;
    one->call.answer_bytes_max = 200000;
    one->call.cb = on_answer;
}

static void perform(struct scene *s, struct one *one)
{
    one->done = false;
    CHECK_OK(hm_http_client_submit(s->client, &one->call));
    assert_false(one->done);
    hm_test_spin(&s->loop, &one->done);
}

static void check_answer(const struct one *one, unsigned status, const char *text)
{
    assert_string_equal(one->call.errmsg, "");
    assert_int_equal(one->call.err, HM_OK);
    assert_int_equal(one->call.status, status);
    assert_true(hm_bytes_equal(hm_buf_bytes(&one->call.answer), hm_bytes_str(text)));
}

HM_TEST(get_and_post)
{
    const struct hm_http_header header = {"X-Test", "seen"};
    struct scene s;
    struct one one;
    uint16_t port;

    scene_open(&s, false);
    port = hm_http_server_port(s.site.server);
    prepare(&one, "http", port, "/hello");
    perform(&s, &one);
    check_answer(&one, 200, "hello");
    assert_string_equal(one.call.content_type, "text/plain");
    assert_in_range(one.call.sent_bytes, 40, 200);
    assert_in_range(one.call.received_bytes, 60, 300);
    assert_in_range(one.call.first_byte_ms, 1, one.call.total_ms);
    hm_http_call_deinit(&one.call);
    prepare(&one, "http", port, "/later");
    one.call.method = "POST";
    one.call.body = hm_bytes_str("body");
    perform(&s, &one);
    check_answer(&one, 200, "body");
    hm_http_call_deinit(&one.call);
    prepare(&one, "http", port, "/echo");
    one.call.method = "POST"; /* an empty body is a body */
    perform(&s, &one);
    check_answer(&one, 200, "");
    hm_http_call_deinit(&one.call);
    prepare(&one, "http", port, "/header");
    one.call.headers = &header;
    one.call.header_count = 1;
    perform(&s, &one);
    check_answer(&one, 200, "seen");
    hm_http_call_deinit(&one.call);
    scene_close(&s);
}

/* 500 is an answer, and the call can be used again for the next try. */
HM_TEST(failure_then_success)
{
    struct scene s;
    struct one one;

    scene_open(&s, false);
    prepare(&one, "http", hm_http_server_port(s.site.server), "/flaky");
    perform(&s, &one);
    check_answer(&one, 500, "flaky");
    perform(&s, &one);
    check_answer(&one, 200, "flaky");
    hm_http_call_deinit(&one.call);
    scene_close(&s);
}

/* A kept connection saves three quarters of the time of a request on 2G. */
HM_TEST(a_thousand_on_one_connection)
{
    struct scene s;
    struct one one;

    scene_open(&s, true);
    prepare(&one, "https", hm_http_server_port(s.site.server), "/later");
    one.call.pin = s.pin;
    one.call.body = hm_bytes_str("x");
    for (unsigned i = 0; i < 1000; i++) {
        perform(&s, &one);
        check_answer(&one, 200, "x");
        assert_int_equal(hm_http_server_connections(s.site.server), 1);
    }
    hm_http_call_deinit(&one.call);
    scene_close(&s);
    assert_int_equal(s.site.requests, 1000);
}

HM_TEST(many_at_once)
{
    static struct one many[64];
    struct scene s;

    scene_open(&s, false);
    for (size_t i = 0; i < 64; i++) {
        prepare(&many[i], "http", hm_http_server_port(s.site.server), "/later");
        many[i].call.body = hm_bytes_str("x");
        CHECK_OK(hm_http_client_submit(s.client, &many[i].call));
    }
    for (size_t i = 0; i < 64; i++) {
        hm_test_spin(&s.loop, &many[i].done);
        check_answer(&many[i], 200, "x");
        assert_int_equal(many[i].times, 1);
        hm_http_call_deinit(&many[i].call);
    }
    assert_in_range(hm_http_server_connections(s.site.server), 1, 8);
    scene_close(&s);
}

/* The key is the identity; another one, however valid, is somebody in between. */
HM_TEST(pinned_key)
{
    struct scene s;
    struct one one;
    uint16_t port;

    scene_open(&s, true);
    port = hm_http_server_port(s.site.server);
    prepare(&one, "https", port, "/hello");
    one.call.https_only = true;
    one.call.pin = s.pin;
    perform(&s, &one);
    check_answer(&one, 200, "hello");
    hm_http_call_deinit(&one.call);
    prepare(&one, "https", port, "/hello");
    one.call.pin = "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    perform(&s, &one);
    assert_int_equal(one.call.err, HM_DENIED);
    assert_non_null(strstr(one.call.errmsg, "is not the pinned one"));
    assert_int_equal(one.call.trouble, HM_HTTP_STRANGER);
    hm_http_call_deinit(&one.call);
    prepare(&one, "https", port, "/hello"); /* no pin: no CA knows it */
    perform(&s, &one);
    assert_int_equal(one.call.err, HM_DENIED);
    hm_http_call_deinit(&one.call);
    assert_int_equal(s.site.heads, 1);
    scene_close(&s);
}

HM_TEST(answer_over_the_limit)
{
    struct scene s;
    struct one one;

    scene_open(&s, false);
    prepare(&one, "http", hm_http_server_port(s.site.server), "/stream");
    one.call.answer_bytes_max = 1000;
    perform(&s, &one);
    assert_int_equal(one.call.err, HM_TOOBIG);
    assert_in_range(one.call.answer.len, 0, 1000);
    hm_http_call_deinit(&one.call);
    scene_close(&s);
}

/* What a bad link or a bad peer does, each with the error that it must give. */
HM_TEST(peers_that_misbehave)
{
    static const struct {
        const char *says;
        bool ends;
        int err;
    } peers[] = {
        {"", false, HM_NETWORK},                             /* never answers */
        {"", true, HM_NETWORK},                              /* closes at once */
        {"HTTP/1.1 200 OK\r\nContent-Le", true, HM_NETWORK}, /* half a head */
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", true, HM_NETWORK},
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", false, HM_NETWORK},
        {"\x16\x03\x01 no HTTP at all\r\n\r\n", true, HM_MALFORMED},
    };
    struct scene s;

    scene_open(&s, false);
    for (size_t i = 0; i < sizeof peers / sizeof peers[0]; i++) {
        struct hm_test_peer peer;
        struct one one;

        hm_test_peer_open(&peer, &s.loop, peers[i].says, peers[i].ends);
        prepare(&one, "http", peer.port, "/");
        one.call.low_speed_s_max = 1;
        perform(&s, &one);
        assert_int_equal(one.call.err, peers[i].err);
        assert_int_not_equal(one.call.errmsg[0], 0);
        assert_int_equal(one.times, 1);
        hm_http_call_deinit(&one.call);
        hm_test_peer_close(&peer);
    }
    scene_close(&s);
}

/* A person is told what to look at, not what curl calls it. */
HM_TEST(what_stands_in_the_way_is_named)
{
    static const struct {
        const char *scheme;
        const char *says;
        bool ends;
        bool proxy;
        enum hm_http_trouble trouble;
    } peers[] = {
        /* A portal that speaks HTTP where TLS was to begin, and one that hangs up. */
        {"https", "HTTP/1.1 302 Found\r\nLocation: http://x/\r\n\r\n", true, false,
         HM_HTTP_STRANGER},
        {"https", "<html>sign in</html>", false, false, HM_HTTP_STRANGER},
        {"https", "", true, false, HM_HTTP_BROKEN},
        {"http", "\x16\x03\x01 no HTTP at all\r\n\r\n", true, false, HM_HTTP_STRANGER},
        {"http", "", false, false, HM_HTTP_SILENT},
        {"https", "HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n", true, true,
         HM_HTTP_PROXY_DENIES},
        {"https", "HTTP/1.1 502 No\r\nRetry-After: 9\r\nContent-Length: 0\r\n\r\n",
         true, true, HM_HTTP_PROXY_FAILS},
        {"https", "<html>sign in</html>", true, true, HM_HTTP_PROXY_FAILS},
        {"https", "", true, true, HM_HTTP_PROXY_FAILS},
        {"https", "HTTP/1.1 200 OK\r\nRetry-After: 9\r\n\r\n<html></html>", true, true,
         HM_HTTP_STRANGER},
    };
    struct scene s;
    struct one one;

    scene_open(&s, false);
    for (size_t i = 0; i < sizeof peers / sizeof peers[0]; i++) {
        struct hm_test_peer peer;
        char proxy[64];

        hm_test_peer_open(&peer, &s.loop, peers[i].says, peers[i].ends);
        prepare(&one, peers[i].scheme, peer.port, "/");
        one.call.low_speed_s_max = 1;
        (void)snprintf(proxy, sizeof proxy, "http://127.0.0.1:%u", (unsigned)peer.port);
        one.call.proxy = peers[i].proxy ? proxy : NULL;
        perform(&s, &one);
        if (one.call.trouble != peers[i].trouble) {
            fail_msg("%zu: %d, not %d: %s", i, (int)one.call.trouble,
                     (int)peers[i].trouble, one.call.errmsg);
        }
        assert_int_not_equal(one.call.err, HM_OK);
        assert_string_equal(one.call.retry_after, ""); /* the proxy's is nobody's */
        hm_http_call_deinit(&one.call);
        hm_test_peer_close(&peer);
    }
    prepare(&one, "http", 1, "/");
    perform(&s, &one);
    assert_int_equal(one.call.trouble, HM_HTTP_NO_CONNECTION);
    hm_http_call_deinit(&one.call);
    prepare(&one, "http", 1, "/");
    one.call.url = "http://no.such.name.invalid/";
    perform(&s, &one);
    assert_int_equal(one.call.trouble, HM_HTTP_NO_NAME);
    hm_http_call_deinit(&one.call);
    scene_close(&s);
}

/* Told to look at the environment, it does, and not otherwise. */
HM_TEST(environment_proxy_is_a_choice)
{
    struct hm_test_peer peer;
    struct scene s;
    struct one one;
    char proxy[64];

    scene_open(&s, false);
    hm_test_peer_open(&peer, &s.loop,
                      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nproxy", true);
    (void)snprintf(proxy, sizeof proxy, "http://127.0.0.1:%u", (unsigned)peer.port);
    CHECK_OK(setenv("http_proxy", proxy, 1));
    prepare(&one, "http", hm_http_server_port(s.site.server), "/hello");
    one.call.proxy_environment = true;
    perform(&s, &one);
    check_answer(&one, 200, "proxy");
    hm_http_call_deinit(&one.call);
    CHECK_OK(setenv("no_proxy", "127.0.0.1", 1));
    perform(&s, &one);
    check_answer(&one, 200, "hello");
    hm_http_call_deinit(&one.call);
    hm_test_peer_close(&peer);
    scene_close(&s);
}

/* A head without end is refused, not collected. */
HM_TEST(huge_head)
{
    struct hm_test_peer peer;
    struct scene s;
    struct one one;
    char *head = malloc(500001);

    assert_non_null(head);
    memset(head, 'a', 500000);
    head[500000] = 0;
    memcpy(head, "HTTP/1.1 200 OK\r\nX: ", 20);
    scene_open(&s, false);
    hm_test_peer_open(&peer, &s.loop, head, false);
    prepare(&one, "http", peer.port, "/");
    one.call.low_speed_s_max = 5;
    perform(&s, &one);
    assert_int_not_equal(one.call.err, HM_OK);
    assert_in_range(one.call.total_ms, 0, 3000); /* at once, not by the timeout */
    hm_http_call_deinit(&one.call);
    hm_test_peer_close(&peer);
    scene_close(&s);
    free(head);
}

/* The last timeout has no other sign than curl's message: a client that does not look
 * for it after a timer waits for ever, in the everyday case of a dead link. */
HM_TEST(connect_timeout)
{
    struct hm_test_peer peer;
    struct scene s;
    struct one one;

    scene_open(&s, false);
    hm_test_peer_open(&peer, &s.loop, "", false); /* connects, but no TLS comes */
    prepare(&one, "https", peer.port, "/");
    one.call.connect_ms_max = 50;
    perform(&s, &one);
    assert_int_equal(one.call.err, HM_NETWORK);
    assert_in_range(one.call.total_ms, 40, 1000);
    hm_http_call_deinit(&one.call);
    hm_test_peer_close(&peer);
    prepare(&one, "http", peer.port, "/"); /* nobody there any more */
    perform(&s, &one);
    assert_int_equal(one.call.err, HM_NETWORK);
    hm_http_call_deinit(&one.call);
    scene_close(&s);
}

HM_TEST(retry_after_and_no_redirect)
{
    struct hm_test_peer peer;
    struct scene s;
    struct one one;

    scene_open(&s, false);
    hm_test_peer_open(&peer, &s.loop,
                      "HTTP/1.1 302 Found\r\nLocation: /hello\r\nretry-AFTER: 17\r\n"
                      "Content-Length: 0\r\n\r\n",
                      false);
    prepare(&one, "http", peer.port, "/");
    perform(&s, &one);
    check_answer(&one, 302, "");
    assert_string_equal(one.call.retry_after, "17");
    hm_http_call_deinit(&one.call);
    hm_test_peer_close(&peer);
    scene_close(&s);
}

HM_TEST(invalid_urls)
{
    struct scene s;
    struct one one;

    scene_open(&s, false);
    prepare(&one, "ftp", 1, "/");
    assert_int_equal(hm_http_client_submit(s.client, &one.call), HM_INVALID);
    prepare(&one, "http", 1, "/");
    one.call.https_only = true;
    assert_int_equal(hm_http_client_submit(s.client, &one.call), HM_INVALID);
    one.call.url = "";
    assert_int_equal(hm_http_client_submit(s.client, &one.call), HM_INVALID);
    scene_close(&s);
    assert_int_equal(one.times, 0);
}

/* Whatever the environment says: a field laptop's traffic goes where it was told. */
HM_TEST(environment_proxy_is_ignored)
{
    struct scene s;
    struct one one;

    CHECK_OK(setenv("http_proxy", "http://127.0.0.1:1", 1));
    CHECK_OK(setenv("all_proxy", "http://127.0.0.1:1", 1));
    scene_open(&s, false);
    prepare(&one, "http", hm_http_server_port(s.site.server), "/hello");
    perform(&s, &one);
    check_answer(&one, 200, "hello");
    hm_http_call_deinit(&one.call);
    scene_close(&s);
}

/* Canceled, and closed with calls under way: each ends once, none within the call. */
HM_TEST(cancel_and_close)
{
    struct hm_test_peer peer;
    struct one one, two;
    struct scene s;

    scene_open(&s, false);
    hm_test_peer_open(&peer, &s.loop, "", false);
    prepare(&one, "http", peer.port, "/");
    prepare(&two, "http", peer.port, "/");
    CHECK_OK(hm_http_client_submit(s.client, &one.call));
    CHECK_OK(hm_http_client_submit(s.client, &two.call));
    hm_http_client_cancel(&one.call);
    assert_false(one.done);
    hm_test_spin(&s.loop, &one.done);
    assert_int_equal(one.call.err, HM_CANCELED);
    hm_test_spin_ms(&s.loop, 20);
    assert_false(two.done);
    hm_http_client_close(s.client, on_client_closed, &s);
    assert_false(two.done);
    assert_int_equal(hm_http_client_submit(s.client, &one.call), HM_CANCELED);
    hm_test_spin(&s.loop, &s.closed);
    assert_int_equal(two.call.err, HM_CANCELED);
    assert_int_equal(one.times + two.times, 2);
    hm_http_call_deinit(&one.call);
    hm_http_call_deinit(&two.call);
    hm_test_peer_close(&peer);
    hm_site_close(&s.site);
    hm_test_loop_end(&s.loop);
}

static struct scene *closing_scene;

static void on_answer_close(struct hm_http_call *call)
{
    on_answer(call);
    hm_http_client_close(closing_scene->client, on_client_closed, closing_scene);
}

/* A callback may close the client that called it. */
HM_TEST(close_in_a_callback)
{
    struct scene s;
    struct one one;

    scene_open(&s, false);
    closing_scene = &s;
    prepare(&one, "http", hm_http_server_port(s.site.server), "/hello");
    one.call.cb = on_answer_close;
    perform(&s, &one);
    hm_test_spin(&s.loop, &s.closed);
    check_answer(&one, 200, "hello");
    hm_http_call_deinit(&one.call);
    hm_site_close(&s.site);
    hm_test_loop_end(&s.loop);
}

/* What a new connection costs on the wire, counted between the two: the budget of a
 * quiet sync is 4.5 kB with everything. TCP and IP headers are not in it. */
HM_TEST(wire_bytes_of_a_fresh_connection)
{
    struct hm_test_proxy proxy;
    struct scene s;
    struct one one;

    scene_open(&s, true);
    hm_test_proxy_open(&proxy, &s.loop, hm_http_server_port(s.site.server));
    prepare(&one, "https", proxy.port, "/hundred");
    one.call.method = "POST";
    one.call.pin = s.pin;
    perform(&s, &one);
    assert_int_equal(one.call.err, HM_OK);
    assert_int_equal(one.call.answer.len, 100);
    (void)printf("fresh: up %zu, down %zu, sum %zu\n", proxy.up_bytes, proxy.down_bytes,
                 proxy.up_bytes + proxy.down_bytes);
    assert_in_range(proxy.up_bytes + proxy.down_bytes, 800, 2600);
    hm_test_proxy_reset(&proxy);
    perform(&s, &one);
    (void)printf("kept: up %zu, down %zu\n", proxy.up_bytes, proxy.down_bytes);
    assert_in_range(proxy.up_bytes + proxy.down_bytes, 300, 900);
    hm_http_call_deinit(&one.call);
    hm_http_client_close(s.client, on_client_closed, &s);
    hm_test_spin(&s.loop, &s.closed);
    hm_test_proxy_close(&proxy);
    hm_site_close(&s.site);
    hm_test_loop_end(&s.loop);
    hm_buf_deinit(&s.key);
    hm_buf_deinit(&s.cert);
}
