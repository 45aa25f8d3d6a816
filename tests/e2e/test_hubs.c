/* Hubs in a row, as processes: laptop - lower - upper - centre. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/support/child.h"
#include "tests/support/e2e_data.h"
#include "tests/support/test.h"

#define COMMUNE "19885"

enum { HOUSEHOLDS = 40, SYNC_S = 60 };

struct chain {
    struct e2e_node *centre;
    struct e2e_node *upper;
    struct e2e_node *lower;
    struct e2e_node *a; /* E2E_HAMLET_A and E2E_HAMLET_BOTH */
};

static const char *invite(struct e2e_node *hub, const char *name, const char *role,
                          const char *scope, const char *other)
{
    const json_t *made = e2e_ok(hub, "device", "invite", "--name", name, "--role", role,
                                "--scope", scope, other, NULL);
    char code[512];
    const char *secret = strchr(e2e_str(made, "code") + 9, '/');

    assert_non_null(secret);
    (void)snprintf(code, sizeof code, "hamlet://127.0.0.1:%u%s",
                   (unsigned)hub->hub_port, secret);
    return json_string_value(e2e_keep(json_string(code)));
}

static void check_role(struct e2e_node *node, const char *role)
{
    assert_string_equal(e2e_str(e2e_ok(node, "status", NULL), "role"), role);
}

static struct e2e_node *hub_below(struct e2e_node *parent, const char *name)
{
    struct e2e_node *hub = e2e_init(&(struct e2e_options){.name = name, .hub = true});

    e2e_start(hub);
    (void)e2e_ok(hub, "enroll", invite(parent, name, "hub", COMMUNE, NULL), NULL);
    check_role(hub, "hub");
    e2e_pause(hub); /* it syncs when told to */
    return hub;
}

static struct e2e_node *laptop_below(struct e2e_node *parent, const char *name)
{
    struct e2e_node *laptop = e2e_init(&(struct e2e_options){.name = name});

    e2e_start(laptop);
    (void)e2e_ok(laptop, "enroll",
                 invite(parent, name, "enumerator", E2E_HAMLET_A, E2E_HAMLET_BOTH),
                 NULL);
    check_role(laptop, "laptop");
    e2e_pause(laptop);
    return laptop;
}

/* The hubs, and with them what is below, are confirmed and in step. */
static void sync_hubs(const struct chain *c)
{
    (void)e2e_sync(c->lower);
    (void)e2e_sync(c->upper);
    (void)e2e_sync(c->lower);
}

static struct chain open_chain(unsigned households)
{
    struct chain c = {.centre = e2e_centre(false)};

    e2e_step("a centre with %u households, and two hubs in a row", households);
    (void)e2e_ok(c.centre, "import", e2e_generate(households), "--form", "register",
                 NULL);
    c.upper = hub_below(c.centre, "upper");
    c.lower = hub_below(c.upper, "lower");
    sync_hubs(&c);
    assert_int_equal(e2e_household_count(c.lower), households);
    return c;
}

static void check_receipts(struct e2e_node *node, json_int_t unsent, json_int_t hub,
                           json_int_t centre)
{
    const json_t *status = e2e_ok(node, "status", NULL);

    if (e2e_int(status, "unsent.changes") != unsent ||
        e2e_int(status, "receipts.hub") != hub ||
        e2e_int(status, "receipts.centre") != centre) {
        e2e_fail("%s: not %d unsent, %d at a hub, %d at the centre: %s", node->name,
                 (int)unsent, (int)hub, (int)centre, e2e_text(status));
    }
}

static void check_same(struct e2e_node *const *nodes, size_t count, const char *scope)
{
    for (size_t i = 1; i < count; i++) {
        const char *first = e2e_digest(nodes[0], scope);
        const char *digest = e2e_digest(nodes[i], scope);

        if (strcmp(first, digest) != 0) {
            e2e_fail("digest of %s: %s at %s, %s at %s", scope, first, nodes[0]->name,
                     digest, nodes[i]->name);
        }
    }
}

static void check_all_same(const struct chain *c)
{
    struct e2e_node *const nodes[] = {c->centre, c->upper, c->lower, c->a};

    check_same(nodes, 4, E2E_HAMLET_A);
    check_same(nodes, 4, E2E_HAMLET_BOTH);
    check_same(nodes, 3, E2E_HAMLET_B);
}

/* In each log once. */
static void check_once(const struct chain *c, const char *household, const char *change)
{
    struct e2e_node *const nodes[] = {c->centre, c->upper, c->lower, c->a};

    for (size_t i = 0; i < 4; i++) {
        if (e2e_times_in_history(nodes[i], household, change) != 1) {
            e2e_fail("change %s is %u times in the history of %s", change,
                     e2e_times_in_history(nodes[i], household, change), nodes[i]->name);
        }
    }
}

/* Where the node says that the change, the newest is 0, has come to; NULL: nowhere. */
static void check_at(struct e2e_node *node, const char *household, int change,
                     const char *at)
{
    const json_t *shown =
        e2e_ok(node, "household", "show", household, "--history", NULL);
    char path[32];
    const json_t *said;

    (void)snprintf(path, sizeof path, "history.%d.at", change);
    said = e2e_get(shown, path);
    if (at == NULL
            ? !json_is_null(said)
            : !json_is_string(said) || strcmp(json_string_value(said), at) != 0) {
        e2e_fail("change %d is not at the %s: %s", change, at == NULL ? "node" : at,
                 e2e_text(shown));
    }
}

/* A change on its way up, and the bytes that it takes on each link. */
static const char *send_up(const struct chain *c, const char *household,
                           const char *value)
{
    const char *change = e2e_set(c->a, household, "phone", value);
    const json_t *first = e2e_sync_once(c->a);
    const json_t *second = e2e_sync_once(c->lower);
    const json_t *third = e2e_sync_once(c->upper);

    assert_int_equal(e2e_int(first, "sent.changes"), 1);
    assert_int_equal(e2e_int(second, "sent.changes"), 1);
    assert_int_equal(e2e_int(third, "sent.changes"), 1);
    e2e_step("bytes up for one field: %d laptop, %d lower, %d upper",
             (int)e2e_int(first, "sent.bytes"), (int)e2e_int(second, "sent.bytes"),
             (int)e2e_int(third, "sent.bytes"));
    return change;
}

/* The laptop is let in and works while the way to the centre is cut; both receipts are
 * seen, it syncs with the centre itself in between, and everybody has each change
 * once. */
HM_TEST(a_chain_of_hubs_and_the_centre_itself)
{
    struct chain c = open_chain(HOUSEHOLDS);
    const char *id;
    const char *changes[4];
    const char *lower_url;
    char url[64];

    e2e_step("the upper hub is away: the lower one lets a laptop in");
    e2e_stop(c.upper);
    c.a = laptop_below(c.lower, "a");
    id = e2e_add(c.a, E2E_HAMLET_A, "Nguyễn Thị Lan", 2);
    changes[0] = e2e_set(c.a, id, "phone", "0905000001");
    check_receipts(c.a, 2, 0, 0);
    check_at(c.a, id, 0, NULL);
    (void)e2e_sync(c.a);
    check_receipts(c.a, 0, 2, 0);
    check_receipts(c.lower, 2, 0, 0);

    e2e_step("it comes back");
    e2e_start(c.upper);
    sync_hubs(&c);
    check_receipts(c.lower, 0, 0, 0);
    check_receipts(c.upper, 0, 0, 0);
    e2e_check_field(c.centre, id, "phone", "0905000001");
    assert_int_equal(e2e_count(e2e_ok(c.centre, "quarantine", "list", NULL), ""), 0);
    (void)e2e_sync(c.a);
    check_receipts(c.a, 0, 2, 2);

    check_at(c.a, id, 0, "centre");
    changes[1] = send_up(&c, id, "0905000002");
    check_receipts(c.a, 0, 3, 2);

    e2e_step("it joins the centre too, and works with it");
    (void)e2e_ok(c.a, "enroll",
                 invite(c.centre, "a", "enumerator", E2E_HAMLET_A, E2E_HAMLET_BOTH),
                 NULL);
    check_receipts(c.a, 0, 3, 3);
    changes[2] = e2e_set(c.a, id, "address", "thôn 1");
    (void)e2e_sync(c.a);
    check_receipts(c.a, 0, 4, 4);

    e2e_step("and turns back to the hub");
    assert_int_equal(e2e_count(e2e_ok(c.a, "upstream", "list", NULL), ""), 2);
    (void)snprintf(url, sizeof url, "127.0.0.1:%u", (unsigned)c.lower->hub_port);
    lower_url = e2e_str(e2e_ok(c.a, "upstream", "use", url, NULL), "url");
    assert_string_equal(lower_url + strlen("https://"), url);
    changes[3] = e2e_set(c.a, id, "phone", "0905000003");
    (void)e2e_sync_once(c.a);
    check_receipts(c.a, 0, 5, 4);
    check_at(c.a, id, 0, "hub");
    check_at(c.a, id, 1, "centre");
    sync_hubs(&c);
    (void)e2e_sync(c.a);
    check_receipts(c.a, 0, 5, 5);
    for (size_t i = 0; i < 4; i++) {
        check_once(&c, id, changes[i]);
    }
    check_all_same(&c);
    (void)e2e_refused(c.a, E2E_FAILED, "upstream", "use", "127.0.0.1:1", NULL);
    e2e_finish();
}

static void wait_ms(long ms)
{
    const struct timespec pause = {.tv_nsec = ms * 1000 * 1000};

    (void)nanosleep(&pause, NULL); /* shorter is fine */
}

/* kill -9 of the hub in the middle of everything: it goes on where it was. */
HM_TEST(a_hub_is_killed_in_the_middle)
{
    enum { ROUNDS = 6 };
    struct chain c = open_chain(HOUSEHOLDS);
    const char *id;
    const char *changes[ROUNDS];

    c.a = laptop_below(c.lower, "a");
    id = e2e_add(c.a, E2E_HAMLET_A, "Nguyễn Thị Lan", 2);
    for (int i = 0; i < ROUNDS; i++) {
        struct e2e_job *up;
        struct e2e_job *on;
        char value[16];

        (void)snprintf(value, sizeof value, "090500000%d", i);
        changes[i] = e2e_set(c.a, id, "phone", value);
        up = e2e_begin(c.a, NULL, "sync", NULL);
        on = e2e_begin(c.lower, NULL, "sync", NULL);
        wait_ms(5 + 20 * i);
        e2e_kill(c.lower, SIGKILL);
        (void)e2e_end(up, SYNC_S); /* well or not */
        (void)e2e_end(on, SYNC_S);
        e2e_start(c.lower);
    }
    (void)e2e_sync(c.a);
    sync_hubs(&c);
    (void)e2e_sync(c.a);
    check_receipts(c.a, 0, ROUNDS + 1, ROUNDS + 1);
    for (int i = 0; i < ROUNDS; i++) {
        check_once(&c, id, changes[i]);
    }
    check_all_same(&c);
    e2e_finish();
}

/* The hub is away while the laptop works on; then it is broken for good, and a fresh
 * one takes its place; another hub of the same commune serves the laptop in between. */
HM_TEST(a_hub_is_away_then_replaced_and_there_is_another)
{
    struct chain c = open_chain(HOUSEHOLDS);
    struct e2e_node *other;
    const char *id;
    const char *changes[5];

    c.a = laptop_below(c.lower, "a");
    id = e2e_add(c.a, E2E_HAMLET_A, "Nguyễn Thị Lan", 2);
    changes[0] = e2e_set(c.a, id, "phone", "0905000001");
    (void)e2e_sync(c.a);
    sync_hubs(&c);

    e2e_step("the hub is away, the laptop works on");
    e2e_stop(c.lower);
    changes[1] = e2e_set(c.a, id, "phone", "0905000002");
    changes[2] = e2e_set(c.a, id, "address", "thôn 1");
    (void)e2e_end(e2e_begin(c.a, NULL, "sync", NULL), SYNC_S);
    check_receipts(c.a, 2, 2, 0);
    e2e_start(c.lower);
    (void)e2e_sync(c.a);
    check_receipts(c.a, 0, 4, 2);

    e2e_step("it breaks before it has sent that on: another hub takes the laptop");
    e2e_kill(c.lower, SIGKILL);
    other = hub_below(c.upper, "other");
    (void)e2e_sync(c.upper);
    (void)e2e_sync(other);
    (void)e2e_ok(c.a, "enroll",
                 invite(other, "a", "enumerator", E2E_HAMLET_A, E2E_HAMLET_BOTH), NULL);
    check_receipts(c.a, 0, 4, 2);
    changes[3] = e2e_set(c.a, id, "phone", "0905000003");
    (void)e2e_sync(c.a);
    (void)e2e_sync(other);
    (void)e2e_sync(c.upper);
    (void)e2e_sync(other);
    (void)e2e_sync(c.a);
    check_receipts(c.a, 0, 5, 5);

    e2e_step("a fresh hub in the place of the broken one");
    c.lower = hub_below(c.upper, "fresh");
    sync_hubs(&c);
    (void)e2e_ok(c.a, "enroll",
                 invite(c.lower, "a", "enumerator", E2E_HAMLET_A, E2E_HAMLET_BOTH),
                 NULL);
    changes[4] = e2e_set(c.a, id, "address", "thôn 2");
    (void)e2e_sync(c.a);
    sync_hubs(&c);
    (void)e2e_sync(c.a);
    check_receipts(c.a, 0, 6, 6);
    (void)e2e_sync(other);
    for (size_t i = 0; i < 5; i++) {
        check_once(&c, id, changes[i]);
    }
    check_all_same(&c);
    assert_string_equal(e2e_digest(other, E2E_HAMLET_A),
                        e2e_digest(c.centre, E2E_HAMLET_A));
    e2e_finish();
}
