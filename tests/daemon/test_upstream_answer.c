/* What comes back from a sync, and what it means: only a hub's reply is one. */
#include "daemon/upstream_answer.h"

#include <string.h>

#include "tests/support/test.h"

#define URL "https://hub.xa.vn:8471"
#define DAY 86400000U

static struct hm_upstream_verdict judge(const struct hm_http_call *call)
{
    struct hm_upstream_verdict verdict;

    hm_upstream_answer_judge(call, URL, 0, &verdict);
    assert_true(verdict.take || verdict.text[0] != 0);
    assert_true(verdict.take || verdict.err != HM_OK);
    assert_true(verdict.take || verdict.outcome != HM_UPSTREAM_OK);
    return verdict;
}

static struct hm_upstream_verdict answer(unsigned status, const char *type,
                                         const char *body, const char *retry_after)
{
    struct hm_http_call call = {.status = status};
    struct hm_upstream_verdict verdict;

    (void)strcpy(call.content_type, type);
    (void)strcpy(call.retry_after, retry_after);
    hm_buf_init(&call.answer, 1000);
    hm_buf_append_str(&call.answer, body);
    verdict = judge(&call);
    hm_buf_deinit(&call.answer);
    return verdict;
}

static void says(const struct hm_upstream_verdict *verdict, const char *text)
{
    if (strstr(verdict->text, text) == NULL) {
        fail_msg("'%s' does not say '%s'", verdict->text, text);
    }
}

HM_TEST(a_hubs_reply_is_taken)
{
    assert_true(answer(200, "application/octet-stream", "x", "").take);
}

/* Whatever a portal answers, it is offline, and never done. */
HM_TEST(a_portal_is_offline)
{
    static const struct {
        unsigned status;
        const char *type;
        const char *body;
    } portals[] = {
        {200, "text/html", "<html>sign in</html>"},
        {200, "text/html; charset=utf-8", ""},
        {200, "application/json", "{\"status\":\"ok\"}"},
        {200, "application/octet-stream; x=y", ""},
        {200, "", ""},
        {204, "", ""},
        {206, "application/octet-stream", "x"},
        {301, "text/html", ""},
        {302, "text/html", "<a href=\"http://10.0.0.1/login\">"},
        {303, "", ""},
        {307, "", ""},
        {308, "", ""},
        {511, "text/html", "Network Authentication Required"},
        {402, "text/html", "buy more"},
        {451, "", ""},
        {999, "", ""},
    };

    for (size_t i = 0; i < sizeof portals / sizeof portals[0]; i++) {
        struct hm_upstream_verdict v =
            answer(portals[i].status, portals[i].type, portals[i].body, "86400");

        assert_false(v.take);
        assert_int_equal(v.outcome, HM_UPSTREAM_OFFLINE);
        assert_true(v.foreign);
        assert_int_equal(v.retry_after_ms, 0); /* not the hub's word */
        says(&v, "a captive portal answered: open a browser and sign in");
    }
}

HM_TEST(a_node_that_is_not_known_is_told)
{
    struct hm_upstream_verdict v =
        answer(401, "application/problem+json", "{\"detail\":\"no such token\"}", "");

    assert_int_equal(v.outcome, HM_UPSTREAM_REFUSED);
    assert_int_equal(v.err, HM_DENIED);
    assert_false(v.foreign);
    says(&v, "this laptop is not known at the hub any more: ask the office");
    says(&v, "no such token");
    v = answer(403, "text/html", "<html>", "");
    assert_int_equal(v.err, HM_DENIED);
}

HM_TEST(a_hub_in_trouble_is_offline_with_its_wish)
{
    static const unsigned all[] = {408, 425, 429, 500, 502, 503, 504, 507};

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct hm_upstream_verdict v = answer(all[i], "text/html", "<html>", "120");

        assert_int_equal(v.outcome, HM_UPSTREAM_OFFLINE);
        assert_int_equal(v.err, HM_AGAIN);
        assert_int_equal(v.retry_after_ms, 120000);
        assert_false(v.foreign);
        says(&v, "the hub can't now");
    }
}

HM_TEST(what_can_never_be_taken_is_refused)
{
    struct hm_upstream_verdict v =
        answer(413, "application/problem+json", "{\"detail\":\"too large\"}", "");

    assert_int_equal(v.outcome, HM_UPSTREAM_REFUSED);
    assert_int_equal(v.err, HM_INVALID);
    says(&v, "too large");
    v = answer(404, "text/html", "not found", "");
    assert_int_equal(v.outcome, HM_UPSTREAM_OFFLINE);
    says(&v, "wrong address");
}

HM_TEST(no_answer_is_offline_in_words)
{
    static const struct {
        enum hm_http_trouble trouble;
        const char *text;
        bool foreign;
    } rows[] = {
        {HM_HTTP_NO_NAME, "can't be looked up", false},
        {HM_HTTP_NO_CONNECTION, "the hub is off, or out of reach", false},
        {HM_HTTP_STRANGER, "open a browser and sign in", true},
        {HM_HTTP_PROXY_FAILS, "the proxy does not reach the hub", false},
        {HM_HTTP_SILENT, "gone silent", false},
        {HM_HTTP_BROKEN, "as curl says", false},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct hm_http_call call = {.err = HM_NETWORK, .trouble = rows[i].trouble};
        struct hm_upstream_verdict v;

        (void)strcpy(call.errmsg, "as curl says");
        v = judge(&call);
        assert_int_equal(v.outcome, HM_UPSTREAM_OFFLINE);
        assert_int_equal(v.foreign, rows[i].foreign);
        says(&v, rows[i].text);
    }
}

/* Asked again without another password it would only be told the same. */
HM_TEST(a_proxy_that_denies_needs_a_person)
{
    struct hm_http_call call = {.err = HM_NETWORK, .trouble = HM_HTTP_PROXY_DENIES};
    struct hm_upstream_verdict v = judge(&call);

    assert_int_equal(v.outcome, HM_UPSTREAM_REFUSED);
    assert_int_equal(v.err, HM_DENIED);
    says(&v, "[proxy]");
}

static uint64_t retry(const char *text, const char *date)
{
    return hm_upstream_answer_retry_ms(text, date, 784111777);
}

HM_TEST(times_to_come_back)
{
    static const char date[] = "Sun, 06 Nov 1994 08:49:37 GMT";

    assert_int_equal(retry("", ""), 0);
    assert_int_equal(retry("0", ""), 0);
    assert_int_equal(retry("1", ""), 1000);
    assert_int_equal(retry("7200", ""), 7200000);
    assert_int_equal(retry("86400", ""), DAY);
    assert_int_equal(retry("86401", ""), DAY);
    assert_int_equal(retry("99999999999999999999999999999999", ""), DAY);
    assert_int_equal(retry("-5", ""), 0);
    assert_int_equal(retry("5 minutes", ""), 0);
    assert_int_equal(retry("5.5", ""), 0);
    assert_int_equal(retry("soon", ""), 0);
    /* A date counts from the server's own, whatever the year here. */
    assert_int_equal(retry("Sun, 06 Nov 1994 08:51:37 GMT", date), 120000);
    assert_int_equal(retry("Sun, 06 Nov 1994 08:49:36 GMT", date), 0);
    assert_int_equal(retry("Fri, 31 Dec 2999 00:00:00 GMT", date), DAY);
    assert_int_equal(retry("Sun, 06 Nov 1994 08:49:47 GMT", ""), 10000);
    assert_int_equal(retry("Sun, 06 Nov 1994 08:49:47 GMT", "yesterday"), 10000);
    assert_int_equal(
        retry("Tue, 15 Nov 1994 08:12:31 GMT", "Tue, 15 Nov 1994 08:12:21 GMT"), 10000);
}

/* A half of a letter at the end of a cut text is no text. */
HM_TEST(a_long_reason_is_cut_between_letters)
{
    char body[900] = "{\"detail\":\"";
    struct hm_upstream_verdict v;

    for (int i = 0; i < 200; i++) {
        (void)strcat(body, "đ");
    }
    (void)strcat(body, "\"}");
    v = answer(500, "application/problem+json", body, "");
    assert_true(strlen(v.text) < sizeof v.text);
    assert_true((unsigned char)v.text[strlen(v.text) - 1] < 0xc0);
}
