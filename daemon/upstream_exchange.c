/* Happy path: build() on the writer -> on_built() posts -> on_answer() ->
 * adopt() on the writer -> on_adopted() -> done().
 * Failures: each step sets outcome, err and text and goes to done(). A kept connection
 * that turns out to be dead is one post() more.
 * Close: cancel() cuts the call; a job on the writer ends by itself, and what follows
 * it is left out. */
#include "daemon/upstream_exchange.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "protocol/message.h"
#include "protocol/text.h"

enum { CONNECT_MS_MAX = 30 * 1000 };

static int64_t utc_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void finish(struct hm_upstream_exchange *x)
{
    x->sent_bytes = x->call.sent_bytes;
    x->received_bytes = x->call.received_bytes;
    x->took_ms = x->call.total_ms;
    if (x->canceled) {
        x->outcome = HM_UPSTREAM_OFFLINE;
        x->err = HM_CANCELED;
    }
    hm_http_call_deinit(&x->call);
    hm_buf_deinit(&x->request);
    x->done(x);
}

__attribute__((format(printf, 4, 5))) static void fail(struct hm_upstream_exchange *x,
                                                       enum hm_upstream_outcome outcome,
                                                       int err, const char *format, ...)
{
    va_list args;

    x->outcome = outcome;
    x->err = err;
    va_start(args, format);
    (void)vsnprintf(x->text, sizeof x->text, format, args); /* cut */
    hm_text_drop_half_letter(x->text);
    va_end(args);
    finish(x);
}

/* The reply. */

static void adopt(struct hm_store_job *job, const struct hm_store_side *side)
{
    struct hm_upstream_exchange *x =
        HM_CONTAINER_OF(job, struct hm_upstream_exchange, job);

    job->err = hm_adopt_reply(side->store, side->forms, hm_buf_bytes(&x->call.answer),
                              x->sent_utc_ms, x->received_utc_ms, &x->adopt);
    if (job->err != HM_OK) {
        const char *why = hm_store_errmsg(side->store);

        (void)snprintf(x->text, sizeof x->text, "%s",
                       why[0] == 0 ? hm_err_text(job->err) : why);
        hm_text_drop_half_letter(x->text);
    }
}

static void on_adopted(struct hm_store_job *job)
{
    struct hm_upstream_exchange *x =
        HM_CONTAINER_OF(job, struct hm_upstream_exchange, job);

    if (job->err == HM_MALFORMED || job->err == HM_TRUNCATED ||
        job->err == HM_NONCANONICAL || job->err == HM_TOOBIG) {
        x->foreign = true;
        fail(x, HM_UPSTREAM_OFFLINE, job->err,
             "a captive portal answered, or the link is broken: open a browser and "
             "look (what came from %s is not a hub's answer; nothing was changed)",
             x->peer.url);
    } else if (job->err == HM_SIGNATURE) {
        fail(x, HM_UPSTREAM_REFUSED, job->err,
             "the hub sent what the centre did not sign; nothing was changed");
    } else if (job->err != HM_OK) {
        x->outcome = HM_UPSTREAM_OFFLINE;
        x->err = job->err;
        finish(x);
    } else if (x->adopt.version_refused) {
        fail(x, HM_UPSTREAM_REFUSED, HM_VERSION, "%s", x->adopt.text);
    } else if (x->adopt.revoked && !x->upload.more) {
        fail(x, HM_UPSTREAM_REFUSED, HM_DENIED, "the hub refuses this node: %s",
             x->adopt.text);
    } else {
        x->outcome = HM_UPSTREAM_OK;
        x->retry_after_ms = x->adopt.retry_after_ms;
        finish(x);
    }
}

static void take_answer(struct hm_upstream_exchange *x)
{
    int err;

    x->job = (struct hm_store_job){.work = adopt, .done = on_adopted};
    err = hm_store_thread_submit(x->node->store, HM_STORE_WRITE, &x->job);
    if (err != HM_OK) {
        fail(x, HM_UPSTREAM_OFFLINE, err, "this node has too much to do");
    }
}

/* The call. */

static void post(struct hm_upstream_exchange *x);

/* A kept connection whose other end has gone is no sign of the hub: once more, on a
 * fresh one. The hub knows a change that came through by its chain. */
static bool was_dead(const struct hm_upstream_exchange *x)
{
    return x->call.err == HM_NETWORK && x->call.reused && x->call.status == 0 &&
           !x->again && !x->canceled;
}

static void on_answer(struct hm_http_call *call)
{
    struct hm_upstream_exchange *x =
        HM_CONTAINER_OF(call, struct hm_upstream_exchange, call);
    struct hm_upstream_verdict verdict;

    x->calling = false;
    x->received_utc_ms = utc_ms();
    if (was_dead(x)) {
        x->again = true;
        hm_http_call_deinit(&x->call);
        post(x);
        return;
    }
    hm_upstream_answer_judge(call, x->peer.url, x->received_utc_ms / 1000, &verdict);
    if (verdict.take) {
        take_answer(x);
        return;
    }
    x->retry_after_ms = verdict.retry_after_ms;
    x->foreign = verdict.foreign;
    fail(x, verdict.outcome, verdict.err, "%s", verdict.text);
}

/* A handshake moves no bytes that could be called slow. */
static uint32_t connect_ms(const struct hm_node *node)
{
    uint32_t patience_ms = node->config.sync_patience_s * 1000;

    return patience_ms < CONNECT_MS_MAX ? patience_ms : CONNECT_MS_MAX;
}

static void post(struct hm_upstream_exchange *x)
{
    int err;

    (void)snprintf(x->sync_url, sizeof x->sync_url, "%s/sync/v1", x->peer.url);
    x->headers[0] = (struct hm_http_header){"Authorization", x->peer.authorization};
    x->headers[1] = (struct hm_http_header){"Content-Type", "application/octet-stream"};
    x->headers[2] = (struct hm_http_header){"Accept", "application/octet-stream"};
    x->call = (struct hm_http_call){.method = "POST",
                                    .url = x->sync_url,
                                    .headers = x->headers,
                                    .header_count = 3,
                                    .body = hm_buf_bytes(&x->request),
                                    .answer_bytes_max = HM_REPLY_BYTES_MAX,
                                    .connect_ms_max = connect_ms(x->node),
                                    .low_speed_s_max = x->node->config.sync_patience_s,
                                    .pin = x->peer.pin,
                                    .https_only = true,
                                    .fresh = x->again,
                                    .cb = on_answer};
    hm_proxy_settings_use(&x->node->proxy, &x->call);
    x->sent_utc_ms = utc_ms();
    err = hm_http_client_submit(x->node->client, &x->call);
    if (err != HM_OK) {
        fail(x, HM_UPSTREAM_OFFLINE, err, "%s: %s", x->peer.url, hm_err_text(err));
        return;
    }
    x->calling = true;
}

/* The request. */

static void build(struct hm_store_job *job, const struct hm_store_side *side)
{
    struct hm_upstream_exchange *x =
        HM_CONTAINER_OF(job, struct hm_upstream_exchange, job);

    job->err = hm_upload_build(side->store, x->chunk_bytes, &x->request, &x->upload);
    if (job->err != HM_OK) {
        const char *why = hm_store_errmsg(side->store);

        (void)snprintf(x->text, sizeof x->text, "%s",
                       why[0] == 0 ? hm_err_text(job->err) : why);
        hm_text_drop_half_letter(x->text);
    }
}

static void on_built(struct hm_store_job *job)
{
    struct hm_upstream_exchange *x =
        HM_CONTAINER_OF(job, struct hm_upstream_exchange, job);

    if (job->err != HM_OK || x->canceled) {
        x->outcome = HM_UPSTREAM_OFFLINE;
        x->err = job->err == HM_OK ? HM_CANCELED : job->err;
        finish(x);
        return;
    }
    post(x);
}

int hm_upstream_exchange_start(struct hm_upstream_exchange *x, size_t chunk_bytes)
{
    x->outcome = HM_UPSTREAM_OFFLINE;
    x->err = HM_OK;
    x->text[0] = 0;
    x->retry_after_ms = 0;
    x->upload = (struct hm_upload){0};
    x->adopt = (struct hm_adopt){0};
    x->call = (struct hm_http_call){0};
    x->chunk_bytes = chunk_bytes;
    x->canceled = false;
    x->again = false;
    x->foreign = false;
    hm_buf_init(&x->request, HM_REQUEST_BYTES_MAX);
    x->job = (struct hm_store_job){.work = build, .done = on_built};
    return hm_store_thread_submit(x->node->store, HM_STORE_WRITE, &x->job);
}

void hm_upstream_exchange_cancel(struct hm_upstream_exchange *x)
{
    x->canceled = true;
    if (x->calling) {
        hm_http_client_cancel(&x->call);
    }
}
