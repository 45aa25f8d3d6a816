#define _GNU_SOURCE

#include "daemon/link.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/support/http.h"
#include "tests/support/test.h"

struct seen {
    bool changed, has_route, closed;
    unsigned times;
};

static void on_change(void *owner, bool has_route)
{
    struct seen *seen = owner;

    seen->changed = true;
    seen->has_route = has_route;
    seen->times++;
}

static void on_closed(void *owner)
{
    struct seen *seen = owner;

    seen->closed = true;
}

static bool judge(const char *address, unsigned flags)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    struct ifaddrs one = {.ifa_name = (char *)(uintptr_t) "x", .ifa_flags = flags};

    if (address != NULL && inet_pton(AF_INET, address, &v4.sin_addr) == 1) {
        one.ifa_addr = (struct sockaddr *)&v4;
    } else if (address != NULL) {
        assert_int_equal(inet_pton(AF_INET6, address, &v6.sin6_addr), 1);
        one.ifa_addr = (struct sockaddr *)&v6;
    }
    return hm_link_judge(&one);
}

/* What is a link: a cable plugged in, with an address; not loopback, not a bridge that
 * nobody is on. */
HM_TEST(rule)
{
    const unsigned good = IFF_UP | IFF_RUNNING;

    assert_true(judge("192.168.1.5", good));
    assert_true(judge("2001:db8::1", good));
    assert_false(judge("fe80::1", good));
    assert_false(judge(NULL, good));
    assert_false(judge("127.0.0.1", good | IFF_LOOPBACK));
    assert_false(judge("192.168.1.5", IFF_UP));
    assert_false(judge("192.168.1.5", IFF_RUNNING));
    assert_false(hm_link_judge(NULL));
}

static bool ip(const char *arguments)
{
    char command[200];

    (void)snprintf(command, sizeof command, "ip %s >/dev/null 2>&1", arguments);
    return system(command) == 0;
}

static void expect(uv_loop_t *loop, struct seen *seen, bool has_route)
{
    hm_test_spin(loop, &seen->changed);
    assert_int_equal(seen->has_route, has_route);
    seen->changed = false;
}

/* The retry timer of a laptop starts over at once when the link comes: in a network of
 * our own, where the kernel lets us make one. */
HM_TEST(link_comes_and_goes)
{
    struct hm_link *link = NULL;
    struct seen seen = {0};
    char errmsg[200];
    uv_loop_t loop;

    if (unshare(CLONE_NEWNET) != 0 || !ip("link add v0 type veth peer name v1") ||
        !ip("addr add 10.9.8.7/24 dev v0")) {
        skip();
    }
    CHECK_OK(uv_loop_init(&loop));
    CHECK_OK(hm_link_open(&loop, 20, on_change, &seen, errmsg, sizeof errmsg, &link));
    assert_string_equal(errmsg, "");
    assert_true(hm_link_is_known(link));
    assert_false(hm_link_has_route(link));
    assert_true(ip("link set lo up")); /* no news for anybody */
    hm_test_spin_ms(&loop, 60);
    assert_int_equal(seen.times, 0);
    assert_true(ip("link set v1 up") && ip("link set v0 up"));
    expect(&loop, &seen, true);
    assert_true(hm_link_has_route(link));
    assert_true(ip("link set v1 down")); /* the cable is pulled at the other end */
    expect(&loop, &seen, false);
    assert_true(ip("link set v1 up"));
    expect(&loop, &seen, true);
    assert_true(ip("addr del 10.9.8.7/24 dev v0"));
    expect(&loop, &seen, false);
    assert_int_equal(seen.times, 4);
    hm_link_close(link, on_closed);
    hm_test_spin(&loop, &seen.closed);
    hm_test_loop_end(&loop);
}

/* A sandbox without netlink: the node must try, not sleep for ever. */
HM_TEST(unknown_is_up)
{
    const struct rlimit none = {0, 0};
    struct rlimit before;
    struct hm_link *link = NULL;
    struct seen seen = {0};
    char errmsg[200];
    uv_loop_t loop;

    CHECK_OK(uv_loop_init(&loop));
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &before));
    CHECK_OK(
        setrlimit(RLIMIT_NOFILE, &(struct rlimit){none.rlim_cur, before.rlim_max}));
    CHECK_OK(hm_link_open(&loop, 20, on_change, &seen, errmsg, sizeof errmsg, &link));
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &before));
    assert_non_null(strstr(errmsg, "counts as up"));
    assert_false(hm_link_is_known(link));
    assert_true(hm_link_has_route(link));
    hm_link_close(link, on_closed);
    hm_test_spin(&loop, &seen.closed);
    hm_test_loop_end(&loop);
    assert_int_equal(seen.times, 0);
}
