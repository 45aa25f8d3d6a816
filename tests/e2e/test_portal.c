/* Somebody else than the hub answers: a captive portal, a broken server, a hub that
 * says no. It is never "done", nothing changes, saving goes on, and a person is told.
 */
#include <signal.h>
#include <string.h>

#include "tests/support/child.h"
#include "tests/support/e2e_links.h"
#include "tests/support/test.h"

enum { HOUSEHOLDS = 6 };

#define OCTETS "Content-Type: application/octet-stream\r\n"

/* What a portal says, and with whose key. */
static const struct {
    const char *name;
    bool hubs_key; /* a provider that terminates TLS could not have it; a broken
                      server beside the hub could */
    struct hm_false_hub_script script;
} portals[] = {
    {"a page instead of TLS",
     false,
     {.plain = true,
      .unread = true,
      .answer = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>sign in"}},
    {"a redirect instead of TLS",
     false,
     {.plain = true,
      .unread = true,
      .answer = "HTTP/1.1 302 Found\r\nLocation: http://10.0.0.1/login\r\n\r\n"}},
    {"TLS with another key", false, {.answer = "HTTP/1.1 200 OK\r\n\r\n"}},
    {"200 with a page",
     true,
     {.answer = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 20\r\n"
                "\r\n<html>sign in</html>"}},
    {"302",
     true,
     {.answer = "HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1:1/login\r\n"
                "Content-Length: 0\r\n\r\n"}},
    {"511",
     true,
     {.answer = "HTTP/1.1 511 Network Authentication Required\r\nRetry-After: 86400\r\n"
                "Content-Length: 0\r\n\r\n"}},
    {"its own JSON",
     true,
     {.answer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                "Content-Length: 15\r\n\r\n{\"status\":\"ok\"}"}},
    {"nothing at all",
     true,
     {.answer = "HTTP/1.1 200 OK\r\n" OCTETS "Content-Length: 0\r\n\r\n"}},
    {"204", true, {.answer = "HTTP/1.1 204 No Content\r\n\r\n"}},
    {"gzip that nobody asked for",
     true,
     {.answer = "HTTP/1.1 200 OK\r\n" OCTETS "Content-Encoding: gzip\r\n"
                "Content-Length: 10\r\n\r\n\x1f\x8b\x08\x01\x01\x01\x01\x01\x01\x03"}},
    {"octets that are a page",
     true,
     {.answer = "HTTP/1.1 200 OK\r\n" OCTETS
                "Content-Length: 20\r\n\r\n<html>sign in</html>"}},
};

HM_TEST(a_portal_is_offline_and_changes_nothing)
{
    struct e2e_commune commune = e2e_commune(HOUSEHOLDS);
    struct e2e_node *a = commune.a;
    struct e2e_node *b = commune.b;
    struct hm_false_hub *strange = e2e_false_hub(NULL, &portals[1].script);
    struct hm_false_hub *own = e2e_false_hub(commune.centre, &portals[3].script);
    const char *id = e2e_add(a, E2E_HAMLET_A, "Nguyễn Thị Lan", 2);
    const char *digest = e2e_digest(a, E2E_HAMLET_A);
    const char *last_ok;

    e2e_step("b meets a portal and is left alone");
    hm_proxy_retarget(b->proxy, hm_false_hub_port(strange));
    e2e_sync_fails(b, "offline", "open a browser and sign in");
    assert_string_equal(e2e_upstream(b, "waits_for"), "a captive portal");
    assert_true(e2e_next_try_s(b) <= 31);
    hm_proxy_retarget(b->proxy, commune.centre->hub_port);

    e2e_pause(a);
    last_ok = e2e_upstream(a, "last_ok");
    for (size_t i = 0; i < sizeof portals / sizeof portals[0]; i++) {
        struct hm_false_hub *portal = portals[i].hubs_key ? own : strange;

        e2e_step("%s", portals[i].name);
        hm_false_hub_set(portal, &portals[i].script);
        hm_proxy_retarget(a->proxy, hm_false_hub_port(portal));
        e2e_sync_fails(a, "offline", "a captive portal answered");
        assert_string_equal(e2e_upstream(a, "state"), "offline");
        assert_non_null(strstr(e2e_upstream(a, "last_error"), "open a browser"));
        assert_string_equal(e2e_upstream(a, "last_ok"), last_ok);
        assert_int_equal(e2e_int(e2e_ok(a, "status", NULL), "unsent.changes"), 1);
        assert_string_equal(e2e_digest(a, E2E_HAMLET_A), digest);
    }
    assert_int_equal(hm_false_hub_counters(strange).requests, 3); /* all in the clear */

    e2e_step("the portals are gone");
    hm_proxy_retarget(a->proxy, commune.centre->hub_port);
    (void)e2e_sync(a);
    e2e_check_field(commune.centre, id, "phone", "0905123456");
    e2e_wait_state(b, "linked", 40); /* by itself */
    e2e_check_digests(&commune);
    e2e_links_end();
    e2e_finish();
}

/* No code is spent on a portal. */
HM_TEST(an_enrolment_behind_a_portal_is_tried_again)
{
    static const char *const scopes[] = {E2E_HAMLET_A, NULL};
    struct e2e_node *centre = e2e_centre(false);
    struct e2e_node *laptop = e2e_init(&(struct e2e_options){.name = "a"});
    struct hm_false_hub *portal = e2e_false_hub(NULL, &portals[2].script);
    const struct e2e_result *result;
    const char *code;

    assert_int_equal(hm_proxy_start(hm_false_hub_port(portal), 0, &laptop->proxy),
                     HM_OK);
    code = e2e_invite(centre, "a", hm_proxy_port(laptop->proxy), scopes);
    e2e_start(laptop);
    for (int i = 1; i < 3; i++) {
        hm_false_hub_set(portal, &portals[i].script);
        result = e2e_refused(laptop, E2E_FAILED, "enroll", code, NULL);
        assert_non_null(strstr(result->err, "open a browser and sign in"));
        assert_string_equal(e2e_str(e2e_ok(laptop, "status", NULL), "role"), "new");
    }
    hm_proxy_retarget(laptop->proxy, centre->hub_port);
    assert_int_equal(e2e_count(e2e_ok(laptop, "enroll", code, NULL), "scopes"), 1);
    e2e_links_end();
    e2e_finish();
}

/* The hub, or what stands before it, says no for hours. */
static const struct {
    const char *answer;
    const char *result;
    const char *says;
    const char *waits_for;
    double from_s; /* when it is tried again by itself */
    double to_s;
} troubles[] = {
    {"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", "offline",
     "the hub can't now (500)", "the last try failed", 0, 61},
    {"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n"
     "<html>",
     "offline", "the hub can't now (502)", "the last try failed", 0, 121},
    {"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7200\r\nContent-Length: 0\r\n\r\n",
     "offline", "the hub can't now (429)", "the hub asked to wait", 7190, 7200},
    {"HTTP/1.1 503 No\r\nDate: Sun, 06 Nov 1994 08:00:00 GMT\r\n"
     "Retry-After: Sun, 06 Nov 1994 11:00:00 GMT\r\nContent-Length: 0\r\n\r\n",
     "offline", "the hub can't now (503)", "the hub asked to wait", 10790, 10800},
    {"HTTP/1.1 429 No\r\nRetry-After: 999999999999\r\nContent-Length: 0\r\n\r\n",
     "offline", "(429)", "the hub asked to wait", 86390, 86400},
    {"HTTP/1.1 401 No\r\nContent-Type: application/problem+json\r\nContent-Length: "
     "22\r\n"
     "\r\n{\"detail\":\"no token\"}\n",
     "refused",
     "this laptop is not known at the hub any more: ask the office (no token)",
     "this node is not known at the hub", 1790, 3600},
    {"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", "refused", "ask the office",
     "this node is not known at the hub", 1790, 3600},
    {"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n", "refused", "does not take it",
     NULL, 0, 3601},
    {"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", "offline", "a wrong address?",
     NULL, 0, 3601},
};

HM_TEST(a_hub_that_says_no_is_obeyed_and_not_hammered)
{
    struct e2e_commune commune = e2e_commune(HOUSEHOLDS);
    struct e2e_node *a = commune.a;
    struct hm_false_hub_script script = {.answer = troubles[0].answer};
    struct hm_false_hub *hub = e2e_false_hub(commune.centre, &script);
    uint64_t asked = 0;
    const char *id = NULL;

    hm_proxy_retarget(a->proxy, hm_false_hub_port(hub));
    for (size_t i = 0; i < sizeof troubles / sizeof troubles[0]; i++) {
        double next_s;

        e2e_step("%.40s", troubles[i].answer);
        script.answer = troubles[i].answer;
        hm_false_hub_set(hub, &script);
        asked = hm_false_hub_counters(hub).requests;
        e2e_sync_fails(a, troubles[i].result,
                       troubles[i].says); /* whatever was asked */
        assert_int_equal(hm_false_hub_counters(hub).requests, asked + 1);
        next_s = e2e_next_try_s(a);
        if (next_s < troubles[i].from_s - 2 || next_s > troubles[i].to_s + 2) {
            e2e_fail("the next try is in %.0f s", next_s);
        }
        if (troubles[i].waits_for != NULL) {
            assert_string_equal(e2e_upstream(a, "waits_for"), troubles[i].waits_for);
        }
        id = e2e_add(a, E2E_HAMLET_A, "Nguyễn Thị Lan", 1); /* saving goes on */
        if (troubles[i].from_s > 100) {
            assert_int_equal(hm_false_hub_counters(hub).requests, asked + 1);
        }
    }
    hm_proxy_retarget(a->proxy, commune.centre->hub_port);
    (void)e2e_sync(a);
    e2e_check_field(commune.centre, id, "phone", "0905123456");
    e2e_links_end();
    e2e_finish();
}
