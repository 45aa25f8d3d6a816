/* Links and hubs that fall silent in the middle: each ends in a time that a person can
 * wait for, nothing is done twice, and the next try works. */
#include <string.h>

#include "tests/support/child.h"
#include "tests/support/e2e_links.h"
#include "tests/support/test.h"

enum { HOUSEHOLDS = 6 };

#define HEAD                                                                           \
    "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"                    \
    "Content-Length: 1000\r\n\r\n"

/* Syncs of several nodes at the same time must all be offline, saying this, within the
 * node's patience and a bit. */
static void all_fail(struct e2e_node *const *nodes, const char *const *says,
                     size_t count)
{
    struct e2e_job *jobs[3];

    for (size_t i = 0; i < count; i++) {
        jobs[i] = e2e_begin(nodes[i], NULL, "sync", NULL);
    }
    for (size_t i = 0; i < count; i++) {
        const struct e2e_result *result = e2e_end(jobs[i], 30);

        assert_int_equal(result->exit_code, E2E_FAILED);
        assert_string_equal(e2e_str(result->json, "result"), "offline");
        if (strstr(e2e_str(result->json, "detail"), says[i]) == NULL) {
            e2e_fail("%s says '%s', not '%s'", nodes[i]->name,
                     e2e_str(result->json, "detail"), says[i]);
        }
        if (result->seconds > 15) {
            e2e_fail("%s gave up after %.1f s only", nodes[i]->name, result->seconds);
        }
    }
}

static void be_patient_for(struct e2e_node *node, const char *line)
{
    e2e_stop(node);
    e2e_configure(node, "metered = auto", line);
    e2e_start(node);
}

HM_TEST(silence_ends_and_nothing_is_done_twice)
{
    struct e2e_commune commune = e2e_commune(HOUSEHOLDS);
    struct e2e_node *nodes[] = {commune.a, commune.b};
    struct hm_false_hub *never =
        e2e_false_hub(commune.centre, &(struct hm_false_hub_script){.answer = NULL});
    struct hm_false_hub *drop_by_drop =
        e2e_false_hub(commune.centre,
                      &(struct hm_false_hub_script){.answer = HEAD, .byte_ms = 60000});
    const char *change;
    const char *id;

    for (size_t i = 0; i < 2; i++) {
        be_patient_for(nodes[i], "metered = auto\npatience_s = 2");
        e2e_pause(nodes[i]);
    }
    id = e2e_add(commune.a, E2E_HAMLET_A, "Nguyễn Thị Lan", 2);
    change = e2e_set(commune.a, id, "phone", "0905444444");

    e2e_step("a hub that accepts and never answers; one byte a minute");
    hm_proxy_retarget(commune.a->proxy, hm_false_hub_port(never));
    hm_proxy_retarget(commune.b->proxy, hm_false_hub_port(drop_by_drop));
    all_fail(nodes, (const char *const[]){"gone silent", "gone silent"}, 2);

    e2e_step("an end in the middle of a reply; a reset");
    hm_false_hub_set(never, &(struct hm_false_hub_script){.answer = HEAD "abc"});
    hm_false_hub_set(drop_by_drop, &(struct hm_false_hub_script){
                                       .answer = HEAD "abc", .cut = 40, .reset = true});
    all_fail(nodes, (const char *const[]){"broke off", "broke off"}, 2);

    e2e_step("the peer vanishes behind the request, and the commit has happened");
    hm_proxy_retarget(commune.a->proxy, commune.centre->hub_port);
    hm_proxy_retarget(commune.b->proxy, commune.centre->hub_port);
    hm_proxy_set(commune.b->proxy, &(struct hm_proxy_mode){.stall = true});
    hm_proxy_set(commune.a->proxy, &(struct hm_proxy_mode){.drop_reply = true});
    all_fail(nodes, (const char *const[]){"broke off", "hub"}, 2);
    hm_proxy_set(commune.b->proxy, &(struct hm_proxy_mode){0});
    e2e_sync_all(&commune);
    assert_int_equal(e2e_household_count(commune.centre), HOUSEHOLDS + 1);
    assert_int_equal(e2e_times_in_history(commune.centre, id, change), 1);
    e2e_check_digests(&commune);
    e2e_links_end();
    e2e_finish();
}

/* A middlebox has forgotten the connection since: one sync, no failure, no backoff. */
HM_TEST(a_connection_that_died_while_idle_costs_no_backoff)
{
    struct e2e_commune commune = e2e_commune(HOUSEHOLDS);
    struct e2e_node *a = commune.a;
    const char *change;
    const char *id;

    be_patient_for(a, "metered = auto\npatience_s = 2");
    (void)e2e_sync(a);
    e2e_pause(a);
    id = e2e_add(a, E2E_HAMLET_A, "Nguyễn Thị Lan", 2);

    e2e_step("forgotten without a word");
    hm_proxy_freeze(a->proxy);
    change = e2e_set(a, id, "phone", "0905444444");
    (void)e2e_sync_once(a);
    assert_string_equal(e2e_upstream(a, "last_error"), "");
    assert_int_equal(e2e_times_in_history(commune.centre, id, change), 1);

    e2e_step("reset, and ended in an orderly way");
    hm_proxy_reset(a->proxy);
    (void)e2e_sync_once(a);
    e2e_stop(commune.centre);
    e2e_start(commune.centre);
    (void)e2e_sync_once(a);
    assert_string_equal(e2e_upstream(a, "last_error"), "");
    (void)e2e_sync(a);
    assert_int_equal(e2e_household_count(commune.centre), HOUSEHOLDS + 1);
    e2e_finish();
}
