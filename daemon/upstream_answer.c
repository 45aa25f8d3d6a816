#include "daemon/upstream_answer.h"

#include <curl/curl.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "protocol/backoff.h"
#include "protocol/text.h"

#define SIGN_IN "a captive portal answered: open a browser and sign in"

const char *hm_upstream_answer_detail(const struct hm_http_call *call, char *out,
                                      size_t room)
{
    json_t *json = call->answer.len == 0 ? NULL
                                         : json_loadb((const char *)call->answer.data,
                                                      call->answer.len, 0, NULL);
    const char *detail = json_string_value(json_object_get(json, "detail"));

    if (detail != NULL) {
        (void)snprintf(out, room, "%s", detail);
        hm_text_drop_half_letter(out);
    }
    json_decref(json);
    return detail == NULL ? NULL : out;
}

uint64_t hm_upstream_answer_retry_ms(const char *retry_after, const char *date,
                                     int64_t utc_s)
{
    const int64_t most_s = HM_BACKOFF_SERVER_MS_MAX / 1000;
    int64_t wait_s = 0;

    if (retry_after[0] >= '0' && retry_after[0] <= '9') {
        size_t digits = strspn(retry_after, "0123456789");

        if (retry_after[digits] != 0) {
            return 0;
        }
        for (size_t i = 0; i < digits && wait_s <= most_s; i++) {
            wait_s = 10 * wait_s + (retry_after[i] - '0');
        }
    } else if (retry_after[0] != 0) {
        time_t until = curl_getdate(retry_after, NULL);
        time_t now = date[0] == 0 ? -1 : curl_getdate(date, NULL);

        if (until == -1) {
            return 0;
        }
        wait_s = (int64_t)until - (now == -1 ? utc_s : (int64_t)now);
    }
    if (wait_s <= 0) {
        return 0;
    }
    return (uint64_t)(wait_s > most_s ? most_s : wait_s) * 1000;
}

__attribute__((format(printf, 4, 5))) static void say(struct hm_upstream_verdict *v,
                                                      enum hm_upstream_outcome outcome,
                                                      int err, const char *format, ...)
{
    va_list args;

    v->outcome = outcome;
    v->err = err;
    va_start(args, format);
    (void)vsnprintf(v->text, sizeof v->text, format, args); /* cut */
    hm_text_drop_half_letter(v->text);
    va_end(args);
}

static void say_foreign(struct hm_upstream_verdict *v, const char *url)
{
    v->foreign = true;
    say(v, HM_UPSTREAM_OFFLINE, HM_NETWORK,
        SIGN_IN " (what answers at %s is not the hub; nothing was sent or changed)",
        url);
}

/* No answer came. */
static void judge_trouble(const struct hm_http_call *call, const char *url,
                          struct hm_upstream_verdict *v)
{
    switch (call->trouble) {
    case HM_HTTP_STRANGER:
        say_foreign(v, url);
        break;
    case HM_HTTP_NO_NAME:
        say(v, HM_UPSTREAM_OFFLINE, call->err,
            "there is no internet behind this link, or the address is wrong: the name "
            "in %s can't be looked up",
            url);
        break;
    case HM_HTTP_NO_CONNECTION:
        say(v, HM_UPSTREAM_OFFLINE, call->err,
            "nobody answers at %s: the hub is off, or out of reach (%s)", url,
            call->errmsg);
        break;
    case HM_HTTP_PROXY_DENIES:
        say(v, HM_UPSTREAM_REFUSED, HM_DENIED,
            "the proxy does not let this node through: look at user and password_file "
            "in [proxy] of the configuration");
        break;
    case HM_HTTP_PROXY_FAILS:
        say(v, HM_UPSTREAM_OFFLINE, call->err, "the proxy does not reach the hub: %s",
            call->errmsg);
        break;
    case HM_HTTP_SILENT:
        say(v, HM_UPSTREAM_OFFLINE, call->err,
            "the link to %s has gone silent in the middle", url);
        break;
    case HM_HTTP_NO_TROUBLE:
    case HM_HTTP_BROKEN:
        say(v, HM_UPSTREAM_OFFLINE, call->err, "the link to %s broke off (%s)", url,
            call->errmsg);
        break;
    }
}

static void judge_status(const struct hm_http_call *call, const char *url,
                         struct hm_upstream_verdict *v)
{
    char detail[HM_UPSTREAM_TEXT_MAX - 80];
    const char *why = hm_upstream_answer_detail(call, detail, sizeof detail);

    switch (call->status) {
    case 400:
    case 409:
    case 413:
        say(v, HM_UPSTREAM_REFUSED, HM_INVALID, "the hub does not take it: %s",
            why == NULL ? "no reason given" : why);
        break;
    case 401:
    case 403:
        say(v, HM_UPSTREAM_REFUSED, HM_DENIED,
            "this laptop is not known at the hub any more: ask the office (%s)",
            why == NULL ? "no reason given" : why);
        break;
    case 404:
    case 405:
    case 410:
        say(v, HM_UPSTREAM_OFFLINE, HM_NETWORK,
            "what answers at %s knows nothing of syncs: a wrong address?", url);
        break;
    case 408:
    case 425:
    case 429:
    case 500:
    case 502:
    case 503:
    case 504:
    case 507:
        say(v, HM_UPSTREAM_OFFLINE, HM_AGAIN, "the hub can't now (%u): %s",
            call->status, why == NULL ? "no reason given" : why);
        break;
    default: /* 200 with a page, a redirect, 511 */
        say_foreign(v, url);
        break;
    }
}

void hm_upstream_answer_judge(const struct hm_http_call *call, const char *url,
                              int64_t utc_s, struct hm_upstream_verdict *out)
{
    *out =
        (struct hm_upstream_verdict){.outcome = HM_UPSTREAM_OFFLINE, .err = HM_NETWORK};
    if (call->err != HM_OK) {
        judge_trouble(call, url, out);
    } else if (call->status == 200 &&
               strcmp(call->content_type, "application/octet-stream") == 0) {
        out->take = true;
    } else {
        judge_status(call, url, out);
        if (!out->foreign) {
            out->retry_after_ms =
                hm_upstream_answer_retry_ms(call->retry_after, call->date, utc_s);
        }
    }
}
