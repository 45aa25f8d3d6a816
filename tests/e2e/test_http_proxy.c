/* A laptop behind an office's HTTP proxy: it goes through, with a name and a password
 * if it must; the hub's key counts end to end; what is wrong is told in words. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/support/child.h"
#include "tests/support/connect_proxy.h"
#include "tests/support/e2e_links.h"
#include "tests/support/test.h"

enum { HOUSEHOLDS = 6 };

struct office {
    struct e2e_commune commune;
    struct hm_connect_proxy *proxy;
    struct hm_false_hub *spy;
    char url[64];
};

static struct office open_office(void)
{
    static const struct hm_false_hub_script page = {
        .answer = "HTTP/1.1 200 OK\r\n\r\n<html>"};
    struct office o = {.commune = e2e_commune(HOUSEHOLDS)};

    o.spy = e2e_false_hub(NULL, &page);
    assert_int_equal(hm_connect_proxy_start(HM_CONNECT_PROXY_OPEN,
                                            hm_false_hub_port(o.spy), &o.proxy),
                     HM_OK);
    (void)snprintf(o.url, sizeof o.url, "http://127.0.0.1:%u",
                   (unsigned)hm_connect_proxy_port(o.proxy));
    return o;
}

static void close_office(struct office *o)
{
    e2e_links_end();
    e2e_finish();
    hm_connect_proxy_stop(o->proxy);
}

/* [proxy] as a person writes it, and SIGHUP. */
static void set_proxy(struct e2e_node *node, const char *from, const char *to)
{
    e2e_configure(node, from, to);
    assert_int_equal(kill(node->pid, SIGHUP), 0);
    hm_child_sleep(0.3);
}

static void set_password(struct e2e_node *node, const char *password, unsigned mode)
{
    const char *path = e2e_path("%s/keys/proxy-password", node->name);

    e2e_write_file(path, password);
    assert_int_equal(chmod(path, mode), 0);
    assert_int_equal(kill(node->pid, SIGHUP), 0);
    hm_child_sleep(0.3);
}

/* A sync that goes through the proxy. */
static void goes_through(struct office *o)
{
    uint64_t tunnels = hm_connect_proxy_counters(o->proxy).tunnels;

    hm_proxy_reset(o->commune.a->proxy); /* no connection of before */
    (void)e2e_sync(o->commune.a);
    assert_true(hm_connect_proxy_counters(o->proxy).tunnels > tunnels);
}

HM_TEST(a_proxy_is_gone_through)
{
    struct office o = open_office();
    struct e2e_node *a = o.commune.a;
    char line[200];
    uint64_t asked;
    const char *id;

    e2e_pause(a);
    (void)snprintf(line, sizeof line, "url = %s", o.url);
    set_proxy(a, "url = off", line);
    id = e2e_add(a, E2E_HAMLET_A, "Nguyễn Thị Lan", 2);
    goes_through(&o);
    e2e_check_field(o.commune.centre, id, "phone", "0905123456");

    e2e_step("it asks for a name, and there is none");
    hm_connect_proxy_set(o.proxy, HM_CONNECT_PROXY_BASIC);
    e2e_sync_fails(a, "refused", "the proxy does not let this node through");

    e2e_step("the wrong password is told, and not tried again by itself for long");
    set_password(a, "sai\n", 0600);
    set_proxy(a, "#user =", "user = " HM_CONNECT_PROXY_USER);
    set_proxy(a, "#password_file =", "password_file = keys/proxy-password");
    asked = hm_connect_proxy_counters(o.proxy).asked;
    e2e_sync_fails(a, "refused", "look at user and password_file in [proxy]");
    assert_true(hm_connect_proxy_counters(o.proxy).asked <= asked + 2);
    e2e_resume(a);
    assert_true(e2e_next_try_s(a) > 1700);
    e2e_pause(a);

    e2e_step("the right one, from a file that nobody else may read");
    set_password(a, HM_CONNECT_PROXY_PASSWORD "\n", 0644);
    assert_non_null(strstr(e2e_log(a), "others may read it: chmod 600"));
    e2e_sync_fails(a, "refused", "the proxy does not let this node through");
    set_password(a, HM_CONNECT_PROXY_PASSWORD "\n", 0600);
    goes_through(&o);
    hm_connect_proxy_set(o.proxy, HM_CONNECT_PROXY_DIGEST);
    goes_through(&o);
    assert_null(strstr(e2e_log(a), HM_CONNECT_PROXY_PASSWORD));

    e2e_step("proxies that are of no use");
    hm_connect_proxy_set(o.proxy, HM_CONNECT_PROXY_CLOSES);
    e2e_sync_fails(a, "offline", "the proxy does not reach the hub");
    hm_connect_proxy_set(o.proxy, HM_CONNECT_PROXY_502);
    e2e_sync_fails(a, "offline", "the proxy does not reach the hub");
    hm_connect_proxy_set(o.proxy, HM_CONNECT_PROXY_PAGE);
    e2e_sync_fails(a, "offline", "open a browser and sign in");

    e2e_step("one that leads to another server with TLS of its own");
    hm_connect_proxy_set(o.proxy, HM_CONNECT_PROXY_SPIES);
    e2e_sync_fails(a, "offline", "is not the hub; nothing was sent or changed");
    assert_int_equal(hm_false_hub_counters(o.spy).requests, 0);

    e2e_step("hubs that are reached without it");
    set_proxy(a, "#no_proxy =", "no_proxy = 127.0.0.1");
    (void)e2e_sync(a);
    e2e_check_digests(&o.commune);
    close_office(&o);
}

/* The environment is a choice: else it is not looked at. */
HM_TEST(the_environment_may_name_the_proxy)
{
    struct office o = open_office();
    struct e2e_node *a = o.commune.a;
    char variable[200];

    (void)snprintf(variable, sizeof variable, "https_proxy=http://%s:%s@%s",
                   HM_CONNECT_PROXY_USER, "b%c3%ad%20m%e1%ba%adt", o.url + 7);
    e2e_stop(a);
    a->environment[0] = variable;
    e2e_start(a);
    (void)e2e_sync(a);
    assert_int_equal(hm_connect_proxy_counters(o.proxy).asked, 0);
    hm_connect_proxy_set(o.proxy, HM_CONNECT_PROXY_BASIC);
    set_proxy(a, "url = off", "url = environment");
    goes_through(&o);
    close_office(&o);
}
