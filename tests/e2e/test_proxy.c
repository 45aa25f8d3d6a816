/* The bad link itself: a scenario that blames hamletd must be able to trust it. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/child.h"
#include "tests/support/ports.h"
#include "tests/support/proxy.h"
#include "tests/support/test.h"
#include "tests/support/tls_watch.h"

enum { WAIT_MS = 5000 };

/* A proxy with a listener behind it and one client connected through it. */
struct world {
    struct hm_proxy *proxy;
    int listener;
    int client;
    int server;
};

static int dial(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static void connect_through(struct world *w)
{
    struct pollfd listening = {.fd = w->listener, .events = POLLIN};

    w->client = dial(hm_proxy_port(w->proxy));
    assert_true(w->client >= 0);
    assert_int_equal(poll(&listening, 1, WAIT_MS), 1);
    w->server = accept(w->listener, NULL, NULL);
    assert_true(w->server >= 0);
}

static struct world open_world(void)
{
    struct world w = {0};
    uint16_t port = hm_port_free();

    w.listener = hm_port_listen(port);
    assert_true(w.listener >= 0);
    CHECK_OK(hm_proxy_start(port, 0, &w.proxy));
    connect_through(&w);
    return w;
}

static void close_world(struct world *w)
{
    hm_proxy_stop(w->proxy);
    (void)close(w->client);
    (void)close(w->server);
    (void)close(w->listener);
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static bool readable_within(int fd, int ms)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};

    return poll(&one, 1, ms) == 1;
}

/* What arrives until there is so much or the end: "..." or "...|" at the end, or
 * "...!" at an error. */
static const char *hear(int fd, size_t len)
{
    static char text[256];
    size_t have = 0;
    ssize_t got = 1;

    while (have < len && got > 0) {
        assert_true(readable_within(fd, WAIT_MS));
        got = recv(fd, text + have, len - have, 0);
        have += got > 0 ? (size_t)got : 0;
    }
    (void)strcpy(text + have, got > 0 ? "" : got == 0 ? "|" : "!");
    return text;
}

/* A good link carries both ways, passes ends on, and counts every byte. */
HM_TEST(good_link_carries_and_counts)
{
    struct world w = open_world();
    struct hm_proxy_counters c;
    struct hm_proxy_connection one;

    say(w.client, "hello");
    assert_string_equal(hear(w.server, 5), "hello");
    say(w.server, "worlds");
    assert_string_equal(hear(w.client, 6), "worlds");
    (void)shutdown(w.client, SHUT_WR);
    assert_string_equal(hear(w.server, 1), "|");
    say(w.server, "!");
    (void)close(w.server);
    assert_string_equal(hear(w.client, 2), "!|");
    c = hm_proxy_counters(w.proxy);
    assert_int_equal(c.connections, 1);
    assert_int_equal(c.up, 5);
    assert_int_equal(c.down, 7);
    assert_int_equal(c.requests, 1);
    CHECK_OK(hm_proxy_connection(w.proxy, 0, &one));
    assert_int_equal(one.up, 5);
    assert_int_equal(one.down, 7);
    assert_int_equal(hm_proxy_connection(w.proxy, 1, &one), HM_NOTFOUND);
    w.server = dup(w.client);
    close_world(&w);
}

/* The server has exactly the bytes before the cut, the client an error; the next
 * connection is whole. */
HM_TEST(cut_up_happens_at_the_byte_and_once)
{
    struct world w = open_world();

    hm_proxy_set(w.proxy, &(struct hm_proxy_mode){.cut_up = 3});
    say(w.client, "hello");
    assert_string_equal(hear(w.server, 10), "hel|");
    assert_string_equal(hear(w.client, 1), "!");
    assert_int_equal(hm_proxy_counters(w.proxy).cuts, 1);
    assert_int_equal(hm_proxy_mode(w.proxy).cut_up, 0);
    (void)close(w.client);
    (void)close(w.server);
    connect_through(&w);
    say(w.client, "again");
    assert_string_equal(hear(w.server, 5), "again");
    close_world(&w);
}

HM_TEST(cut_down_always_happens_each_time)
{
    struct world w = open_world();

    hm_proxy_set(w.proxy, &(struct hm_proxy_mode){.cut_down = 2, .always = true});
    for (int i = 0; i < 2; i++) {
        say(w.server, "answer");
        /* A reset may overtake the two bytes in the client's kernel. */
        (void)hear(w.client, 10);
        assert_int_equal(hm_proxy_counters(w.proxy).down, 2 * (i + 1));
        (void)close(w.client);
        (void)close(w.server);
        connect_through(&w);
    }
    assert_int_equal(hm_proxy_counters(w.proxy).cuts, 2);
    close_world(&w);
}

/* The request arrives whole, the answer is sent by the server and reaches nobody: what
 * a village link does right after a commit. */
HM_TEST(lost_reply_swallows_the_answer_alone)
{
    struct world w = open_world();
    struct hm_proxy_counters c;

    hm_proxy_set(w.proxy, &(struct hm_proxy_mode){.drop_reply = true});
    say(w.client, "request");
    assert_string_equal(hear(w.server, 7), "request");
    assert_false(readable_within(w.client, 300)); /* no answer yet, so no cut */
    say(w.server, "answer");
    assert_string_equal(hear(w.client, 10), "!");
    c = hm_proxy_counters(w.proxy);
    assert_int_equal(c.down, 0);
    assert_int_equal(c.swallowed, 6);
    assert_int_equal(c.cuts, 1);
    assert_false(hm_proxy_mode(w.proxy).drop_reply);
    close_world(&w);
}

HM_TEST(down_refuses_until_it_is_good_again)
{
    struct world w = open_world();

    hm_proxy_set(w.proxy, &(struct hm_proxy_mode){.down = true});
    assert_string_equal(hear(w.client, 1), "!");
    for (int i = 0; i < 50; i++) { /* at once, not soon */
        assert_int_equal(dial(hm_proxy_port(w.proxy)), -1);
        assert_int_equal(errno, ECONNREFUSED);
        hm_proxy_set(w.proxy, &(struct hm_proxy_mode){0});
        hm_proxy_set(w.proxy, &(struct hm_proxy_mode){.down = true});
    }
    hm_proxy_set(w.proxy, &(struct hm_proxy_mode){0});
    (void)close(w.client);
    (void)close(w.server);
    connect_through(&w);
    say(w.client, "up");
    assert_string_equal(hear(w.server, 2), "up");
    close_world(&w);
}

/* Half-open: nothing arrives and nobody is told; later everything does. */
HM_TEST(stall_holds_and_lets_go)
{
    struct world w = open_world();

    hm_proxy_set(w.proxy, &(struct hm_proxy_mode){.stall = true});
    say(w.client, "wait");
    assert_false(readable_within(w.server, 200));
    hm_proxy_set(w.proxy, &(struct hm_proxy_mode){0});
    assert_string_equal(hear(w.server, 4), "wait");
    close_world(&w);
}

HM_TEST(reset_breaks_what_is_open)
{
    struct world w = open_world();

    hm_proxy_reset(w.proxy);
    assert_string_equal(hear(w.client, 1), "!");
    assert_string_equal(hear(w.server, 1), "!");
    close_world(&w);
}

HM_TEST(delay_and_throttle_take_their_time)
{
    struct world w = open_world();
    double begun = hm_child_clock();
    char many[200];

    hm_proxy_set(w.proxy, &(struct hm_proxy_mode){.delay_ms = 120});
    say(w.client, "x");
    assert_string_equal(hear(w.server, 1), "x");
    assert_true(hm_child_clock() - begun >= 0.115);
    hm_proxy_set(w.proxy, &(struct hm_proxy_mode){.bytes_per_s = 1000});
    memset(many, 'y', sizeof many - 1);
    many[sizeof many - 1] = 0;
    begun = hm_child_clock();
    say(w.client, many);
    assert_string_equal(hear(w.server, sizeof many - 1), many);
    assert_in_range((uint64_t)((hm_child_clock() - begun) * 1000), 130, 2000);
    close_world(&w);
}

/* Scripts steer by lines: each does what it says or says that it can't. */
HM_TEST(commands_change_the_mode)
{
    struct world w = open_world();
    struct hm_proxy_mode mode;
    char answer[256];

#define COMMAND(text) hm_proxy_command(w.proxy, (char[]){text}, answer, sizeof answer)
    assert_true(COMMAND("throttle 5000\n"));
    assert_string_equal(answer, "ok");
    assert_true(COMMAND("delay 300"));
    assert_true(COMMAND("cut up 77 always"));
    assert_true(COMMAND("cut-every 10000"));
    assert_true(COMMAND("drop-reply always"));
    mode = hm_proxy_mode(w.proxy);
    assert_int_equal(mode.bytes_per_s, 5000);
    assert_int_equal(mode.delay_ms, 300);
    assert_int_equal(mode.cut_up, 77);
    assert_int_equal(mode.cut_every_ms, 10000);
    assert_true(mode.always && mode.drop_reply && !mode.down && !mode.stall);
    assert_true(COMMAND("good"));
    assert_int_equal(hm_proxy_mode(w.proxy).cut_up, 0);
    assert_true(COMMAND("cut sideways 5"));
    assert_memory_equal(answer, "error:", 6);
    assert_true(COMMAND("delay -1"));
    assert_memory_equal(answer, "error:", 6);
    assert_true(COMMAND("connection 0"));
    assert_string_equal(answer, "{\"up\":0,\"down\":0,\"requests\":0,\"open\":true}");
    assert_true(COMMAND("counters"));
    assert_memory_equal(answer, "{\"connections\":1,", 17);
    assert_false(COMMAND("quit"));
#undef COMMAND
    close_world(&w);
}

/* The two flights of a TLS 1.3 handshake are no request, split anywhere. */
HM_TEST(requests_are_found_behind_the_handshake)
{
    static const uint8_t server[] = {22, 3, 3, 0, 1, 7, 23, 3, 3, 0, 1, 9};
    static const uint8_t data[5 + 300] = {23, 3, 3, 300 / 256, 300 % 256};
    static const uint8_t goodbye[5 + 19] = {23, 3, 3, 0, 19};
    static const uint8_t finished[] = {20, 3, 3, 0, 1, 1, 23, 3, 3, 0, 1, 9};
    uint8_t hello[5 + 300];
    struct hm_tls_watch watch = {0};

    memset(hello, 23, sizeof hello); /* inside it looks like records */
    memcpy(hello, "\x16\x03\x01\x01\x2c", 5);
    hm_tls_watch_up(&watch, hello, sizeof hello);
    hm_tls_watch_down(&watch, server, sizeof server);
    for (size_t i = 0; i < sizeof finished; i++) {
        hm_tls_watch_up(&watch, &finished[i], 1);
    }
    assert_int_equal(watch.requests, 0);
    for (size_t i = 0; i < sizeof data; i++) {
        hm_tls_watch_up(&watch, &data[i], 1);
        assert_int_equal(watch.requests, i < 4 ? 0 : 1);
    }
    hm_tls_watch_up(&watch, data, sizeof data); /* its second record */
    assert_int_equal(watch.requests, 1);
    hm_tls_watch_down(&watch, data, sizeof data);
    hm_tls_watch_up(&watch, data, sizeof data);
    assert_int_equal(watch.requests, 2);
    hm_tls_watch_down(&watch, data, sizeof data);
    hm_tls_watch_up(&watch, goodbye, sizeof goodbye); /* an alert, hidden */
    assert_int_equal(watch.requests, 2);
}

/* In TLS 1.2 the first application data is the request. */
HM_TEST(requests_are_found_in_the_older_protocol)
{
    static const uint8_t up[] = {22, 3, 1,  0, 0, 22, 3, 3,  0, 0, 20, 3, 3,
                                 0,  0, 22, 3, 3, 0,  0, 23, 3, 3, 0,  0};
    struct hm_tls_watch watch = {0};

    hm_tls_watch_up(&watch, up, 20);
    assert_int_equal(watch.requests, 0);
    hm_tls_watch_up(&watch, up + 20, 5);
    assert_int_equal(watch.requests, 1);
}

/* What is open is cut again and again, whatever it carries. */
HM_TEST(cuts_by_time_come_again)
{
    struct world w = open_world();
    double begun = hm_child_clock();

    hm_proxy_set(w.proxy, &(struct hm_proxy_mode){.cut_every_ms = 100});
    for (int i = 0; i < 2; i++) {
        assert_string_equal(hear(w.client, 1), "!");
        (void)close(w.client);
        (void)close(w.server);
        connect_through(&w);
    }
    assert_true(hm_child_clock() - begun >= 0.19);
    assert_true(hm_proxy_counters(w.proxy).cuts >= 2);
    close_world(&w);
}

/* The old connection is dead and does not show it; a new one works. */
HM_TEST(a_frozen_connection_is_silent_for_ever)
{
    struct world w = open_world();
    int old_client = w.client;
    int old_server = w.server;

    hm_proxy_freeze(w.proxy);
    say(old_client, "lost");
    assert_false(readable_within(old_server, 200));
    connect_through(&w);
    say(w.client, "new");
    assert_string_equal(hear(w.server, 3), "new");
    assert_false(readable_within(old_server, 0));
    assert_false(readable_within(old_client, 0));
    (void)close(old_client);
    (void)close(old_server);
    close_world(&w);
}

HM_TEST(another_target_is_taken_by_new_connections)
{
    struct world w = open_world();
    uint16_t port = hm_port_free();
    int listener = hm_port_listen(port);
    int first = w.listener;

    hm_proxy_retarget(w.proxy, port);
    assert_string_equal(hear(w.client, 1), "!");
    (void)close(w.client);
    (void)close(w.server);
    w.listener = listener;
    connect_through(&w);
    say(w.client, "there");
    assert_string_equal(hear(w.server, 5), "there");
    (void)close(first);
    close_world(&w);
}
