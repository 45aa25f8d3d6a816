/* A link as villages have them: 2 kB/s, 0.8 s there and 0.8 s back, and gone every ten
 * seconds. In the short form it is ten times faster and lives two and a half. */
#include <string.h>

#include "tests/support/child.h"
#include "tests/support/e2e_links.h"
#include "tests/support/test.h"

enum { HOUSEHOLDS = 30, DAY = 20, TRIES_MAX = 60 };

static void make_bad(struct e2e_node *node)
{
    unsigned times = e2e_long() ? 1 : 10;

    hm_proxy_set(node->proxy,
                 &(struct hm_proxy_mode){.bytes_per_s = 2000 * times,
                                         .delay_ms = 800 / times,
                                         .cut_every_ms = e2e_long() ? 10000 : 2500});
}

/* A person who tries again until it is done. Returns the tries. */
static unsigned until_done(struct e2e_node *node, const char *verb, const char *what)
{
    for (unsigned tries = 1; tries <= TRIES_MAX; tries++) {
        const struct e2e_result *result =
            strcmp(verb, "enroll") == 0
                ? e2e_end(e2e_begin(node, NULL, verb, what, NULL), 300)
                : e2e_end(e2e_begin(node, NULL, verb, "--wait", what, NULL), 300);

        e2e_step("%s, try %u: exit %d after %.1f s: %s", verb, tries, result->exit_code,
                 result->seconds, result->err);
        if (result->exit_code == E2E_DONE) {
            return tries;
        }
        assert_int_equal(result->exit_code, E2E_FAILED);
    }
    e2e_fail("%s: not done after %d tries", verb, TRIES_MAX);
}

static uint64_t bytes(struct e2e_node *node)
{
    struct hm_proxy_counters counters = hm_proxy_counters(node->proxy);

    return counters.up + counters.down;
}

static void work_a_day(struct e2e_node *node, const char *scope)
{
    for (int i = 0; i < DAY; i++) {
        (void)e2e_add(node, scope, "Nguyễn Thị Lan", 4);
    }
}

HM_TEST(a_link_that_lives_ten_seconds_gets_everything_through)
{
    static const char *const scopes[] = {E2E_HAMLET_A, E2E_HAMLET_BOTH, NULL};
    struct e2e_commune commune = e2e_commune(HOUSEHOLDS);
    struct e2e_node *good = commune.a;
    struct e2e_node *bad = e2e_init(&(struct e2e_options){.name = "bad"});
    uint64_t clean = bytes(good);
    uint64_t cost;
    const char *code;
    unsigned tries;

    assert_int_equal(hm_proxy_start(commune.centre->hub_port, 0, &bad->proxy), HM_OK);
    code = e2e_invite(commune.centre, "bad", hm_proxy_port(bad->proxy), scopes);
    e2e_start(bad);
    make_bad(bad);

    tries = until_done(bad, "enroll", code);
    cost = bytes(bad);
    e2e_step("enrolled: %u tries, %llu bytes, %llu on a good link", tries,
             (unsigned long long)cost, (unsigned long long)clean);
    assert_true(hm_proxy_counters(bad->proxy).cuts > 0);
    assert_true(cost < 2 * clean + 8192ULL * tries);

    e2e_step("a day's work");
    e2e_pause(good);
    e2e_pause(bad);
    work_a_day(good, E2E_HAMLET_A);
    work_a_day(bad, E2E_HAMLET_BOTH);
    clean = bytes(good);
    (void)e2e_sync(good);
    clean = bytes(good) - clean;
    cost = bytes(bad);
    tries = until_done(bad, "sync", "120");
    cost = bytes(bad) - cost;
    e2e_step("synced: %u tries, %llu bytes, %llu on a good link", tries,
             (unsigned long long)cost, (unsigned long long)clean);
    assert_true(cost < 3 * clean + 8192ULL * tries);
    hm_proxy_set(bad->proxy, &(struct hm_proxy_mode){0});
    (void)e2e_sync(good);
    (void)e2e_sync(bad);
    (void)e2e_sync(commune.b);
    assert_string_equal(e2e_digest(bad, E2E_HAMLET_BOTH),
                        e2e_digest(commune.centre, E2E_HAMLET_BOTH));
    assert_string_equal(e2e_digest(bad, E2E_HAMLET_A), e2e_digest(good, E2E_HAMLET_A));
    assert_int_equal(e2e_household_count(commune.centre), HOUSEHOLDS + 2 * DAY);
    e2e_finish();
}
