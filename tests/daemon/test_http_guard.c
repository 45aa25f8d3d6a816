#include "daemon/http_guard.h"

#include <stddef.h>

#include "tests/support/test.h"

#define TOKEN "00112233445566778899aabbccddeeff"

static struct hm_http_head web_head(void)
{
    return (struct hm_http_head){.listener = HM_HTTP_WEB,
                                 .port = 8470,
                                 .method = "GET",
                                 .path = "/api/v1/status",
                                 .host = "127.0.0.1:8470",
                                 .authorization = "Bearer " TOKEN,
                                 .api_token = TOKEN};
}

static unsigned check(const struct hm_http_head *head)
{
    const char *why = NULL;
    unsigned status = hm_http_guard_check(head, &why);

    assert_true((status == 0) == (why == NULL));
    return status;
}

/* A program on the machine with the token, and the node's own page, get through. */
HM_TEST(the_page_and_programs_are_let_in)
{
    static const char *const hosts[] = {"127.0.0.1:8470", "localhost:8470",
                                        "[::1]:8470"};
    struct hm_http_head head = web_head();

    for (size_t i = 0; i < 3; i++) {
        head.host = hosts[i];
        assert_int_equal(check(&head), 0);
    }
    head.origin = "http://127.0.0.1:8470";
    head.fetch_site = "same-origin";
    assert_int_equal(check(&head), 0);
    head = web_head();
    head.path = "/healthz";
    head.authorization = NULL;
    assert_int_equal(check(&head), 0);
}

/* DNS rebinding: a hostile name that leads to loopback shows itself in Host. */
HM_TEST(another_name_for_loopback_is_421)
{
    static const char *const hosts[] = {NULL,
                                        "",
                                        "evil.example:8470",
                                        "127.0.0.1",
                                        "127.0.0.1:8471",
                                        "127.0.0.1:8470.evil.example",
                                        "127.0.0.2:8470"};
    struct hm_http_head head = web_head();

    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        head.host = hosts[i];
        assert_int_equal(check(&head), 421);
    }
    head.path = "/healthz";
    head.authorization = NULL;
    assert_int_equal(check(&head), 421);
}

/* A hostile page, or another service on this machine, shows itself in Origin. */
HM_TEST(another_site_is_403)
{
    static const char *const origins[] = {"https://evil.example", "null",
                                          "http://127.0.0.1:9000",
                                          "https://127.0.0.1:8470", ""};
    static const char *const sites[] = {"cross-site", "same-site", ""};
    struct hm_http_head head = web_head();

    for (size_t i = 0; i < sizeof origins / sizeof origins[0]; i++) {
        head.origin = origins[i];
        assert_int_equal(check(&head), 403);
    }
    head = web_head();
    for (size_t i = 0; i < sizeof sites / sizeof sites[0]; i++) {
        head.fetch_site = sites[i];
        assert_int_equal(check(&head), 403);
    }
}

/* Every user of the machine reaches the port; only the node's owner reads the token. */
HM_TEST(without_the_token_it_is_401)
{
    static const char *const shown[] = {NULL,
                                        "",
                                        TOKEN,
                                        "Bearer",
                                        "Bearer ",
                                        "Bearer 0",
                                        "Basic " TOKEN,
                                        "Bearer " TOKEN "0",
                                        "Bearer 00112233445566778899aabbccddeefe"};
    struct hm_http_head head = web_head();

    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
        head.authorization = shown[i];
        assert_int_equal(check(&head), 401);
    }
    head = web_head();
    head.user = "lan";
    assert_int_equal(check(&head), 403);
}

/* The hub stands in the open: nothing of the local API is there. */
HM_TEST(the_hub_shows_nothing_else)
{
    struct hm_http_head head = {.listener = HM_HTTP_HUB,
                                .method = "POST",
                                .path = "/sync/v1",
                                .api_token = TOKEN,
                                .authorization = "Bearer " TOKEN};

    assert_int_equal(check(&head), 0);
    head.path = "/enroll/v1";
    assert_int_equal(check(&head), 0);
    head.method = "GET";
    assert_int_equal(check(&head), 405);
    head.path = "/healthz";
    assert_int_equal(check(&head), 0);
    head.path = "/api/v1/status";
    assert_int_equal(check(&head), 404);
    head.path = "/metrics";
    assert_int_equal(check(&head), 404);
}

/* The file's mode has decided who opens it. */
HM_TEST(the_control_socket_is_trusted)
{
    struct hm_http_head head = {.listener = HM_HTTP_CONTROL,
                                .method = "GET",
                                .path = "/api/v1/status",
                                .host = "localhost",
                                .user = "lan",
                                .api_token = TOKEN};

    assert_int_equal(check(&head), 0);
}
