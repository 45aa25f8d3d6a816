/* Name servers that lie, are broken or slow, and machines with IPv6 alone: real nodes
 * in a network of their own. */
#include <stdio.h>
#include <string.h>

#include "tests/support/e2e_links.h"
#include "tests/support/name_server.h"
#include "tests/support/netns.h"
#include "tests/support/test.h"

#define NAME "hub.xa.test"

/* A code of the hub, with another HOST:PORT. */
static const char *code_at(struct e2e_node *hub, const char *host, unsigned port)
{
    const char *code = e2e_str(
        e2e_ok(hub, "device", "invite", "--name", "a", "--scope", E2E_HAMLET_A, NULL),
        "code");
    const char *secret = strchr(code + strlen("hamlet://"), '/');
    char text[512];

    (void)snprintf(text, sizeof text, "hamlet://%s:%u%s", host, port, secret);
    return json_string_value(e2e_keep(json_string(text)));
}

static const struct {
    const char *name;
    struct hm_name_answer answer;
    const char *says; /* of a sync that fails; NULL: it must work */
} rows[] = {
    {"there is no such name", {.code = 3}, "can't be looked up"},
    {"the server fails", {.code = 2}, "can't be looked up"},
    {"no address", {.code = 0}, "can't be looked up"},
    {"no answer at all", {.silent = true}, "can't be looked up"},
    {"every name is the portal's, where nobody speaks TLS",
     {.a = "127.0.0.9"},
     "nobody answers"},
    {"an address of nobody", {.a = HM_NETNS_NOBODY}, "nobody answers"},
    {"a slow server", {.a = "127.0.0.1", .delay_ms = 400}, NULL},
    {"IPv4 inside of IPv6", {.aaaa = "::ffff:127.0.0.1"}, NULL},
    {"a dead IPv6 address beside a living one",
     {.a = "127.0.0.1", .aaaa = HM_NETNS_NOBODY_6},
     NULL},
};

HM_TEST(names_that_lie_are_offline_and_not_remembered)
{
    struct hm_name_server *names = NULL;
    struct e2e_node *centre;
    struct e2e_node *laptop;

    hm_netns_enter();
    assert_int_equal(hm_name_server_start(&names), HM_OK);
    centre = e2e_centre(false);
    laptop = e2e_init(&(struct e2e_options){.name = "a"});
    e2e_configure(laptop, "metered = auto", "metered = auto\npatience_s = 3");
    e2e_start(laptop);
    assert_int_equal(hm_proxy_start(centre->hub_port, 0, &laptop->proxy), HM_OK);
    hm_name_server_set(names, &(struct hm_name_answer){.a = "127.0.0.1"});
    (void)e2e_ok(laptop, "enroll", code_at(centre, NAME, hm_proxy_port(laptop->proxy)),
                 NULL);
    e2e_pause(laptop);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        e2e_step("%s", rows[i].name);
        hm_name_server_set(names, &rows[i].answer);
        hm_proxy_reset(laptop->proxy); /* a kept connection needs no name */
        if (rows[i].says != NULL) {
            e2e_sync_fails(laptop, "offline", rows[i].says);
            (void)e2e_add(laptop, E2E_HAMLET_A, "Nguyễn Thị Lan", 1);
        } else {
            (void)e2e_sync(laptop);
        }
    }
    assert_true(hm_name_server_asked(names) >= sizeof rows / sizeof rows[0]);
    assert_string_equal(e2e_digest(laptop, E2E_HAMLET_A),
                        e2e_digest(centre, E2E_HAMLET_A));
    e2e_finish();
    hm_name_server_stop(names);
}

/* The hub has IPv6, the name has a dead IPv4 address too. */
HM_TEST(a_dead_ipv4_address_beside_a_living_ipv6_one)
{
    struct hm_name_server *names = NULL;
    struct e2e_node *centre;
    struct e2e_node *laptop;

    hm_netns_enter();
    assert_int_equal(hm_name_server_start(&names), HM_OK);
    hm_name_server_set(names,
                       &(struct hm_name_answer){.a = HM_NETNS_NOBODY, .aaaa = "::1"});
    centre = e2e_init(&(struct e2e_options){
        .name = "centre", .programme = "vn-poverty", .hub = true, .ipv6 = true});
    laptop = e2e_init(&(struct e2e_options){.name = "a"});
    e2e_start(centre);
    e2e_start(laptop);
    (void)e2e_ok(laptop, "enroll", code_at(centre, NAME, centre->hub_port), NULL);
    (void)e2e_sync(laptop);
    e2e_finish();
    hm_name_server_stop(names);
}

/* No IPv4 anywhere, not even loopback: page, hub and code have IPv6 addresses. */
HM_TEST(ipv6_alone)
{
    struct e2e_node *centre;
    struct e2e_node *laptop;
    const char *code;
    const char *id;

    hm_netns_enter();
    centre = e2e_init(&(struct e2e_options){
        .name = "centre", .programme = "vn-poverty", .hub = true, .ipv6 = true});
    laptop = e2e_init(&(struct e2e_options){.name = "a", .ipv6 = true});
    hm_netns_take_ipv4();
    e2e_start(centre);
    e2e_start(laptop);
    code = e2e_str(e2e_ok(centre, "device", "invite", "--scope", E2E_HAMLET_A, NULL),
                   "code");
    assert_memory_equal(code, "hamlet://[::1]:", 15);
    (void)e2e_ok(laptop, "enroll", code, NULL);
    id = e2e_add(laptop, E2E_HAMLET_A, "Nguyễn Thị Lan", 2);
    (void)e2e_sync(laptop);
    e2e_check_field(centre, id, "phone", "0905123456");
    e2e_finish();
}
