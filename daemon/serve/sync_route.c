/* POST /sync/v1: what another node sends goes to the writer, together with what others
 * send at the same time, and is answered when it is on disk.
 *
 * Happy path: head() sees a token and accepts a body; serve_all() on the writer checks
 * tokens and serves; on_served() answers.
 * Failures: no token is 401 from the head; a wrong one is 401 behind the body; too many
 * at once are 503 from the head, each with a time of its own to come back. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/exchange.h"
#include "daemon/upstream.h"
#include "protocol/admission.h"
#include "storage/devices.h"
#include "storage/serve.h"

enum { RETRY_S_MIN = 5, RETRY_S_SPAN = 25, DAMAGED_RETRY_S = 600 };

struct sync_exchange {
    struct hm_exchange x;
    uint64_t key;   /* of admission, as long as it has a place; 0: none */
    uint32_t group; /* a unit that its device is assigned; 0: none known */
    uint8_t token[HM_DEVICE_TOKEN_BYTES];
    struct hm_buf body;
    int64_t received_utc_ms;
    struct hm_store_job job;
    bool known; /* the token is one */
    uint64_t device;
    struct hm_serve_reply reply;
    char why[HM_SERVE_ERRMSG_MAX];
};

/* On the loop alone. */
static struct hm_admission admission;

static bool read_token(const char *authorization, uint8_t out[HM_DEVICE_TOKEN_BYTES])
{
    const char *text = hm_http_guard_bearer(authorization);
    size_t len = 0;

    return text != NULL && strlen(text) == 2 * HM_DEVICE_TOKEN_BYTES &&
           sodium_hex2bin(out, HM_DEVICE_TOKEN_BYTES, text, strlen(text), NULL, &len,
                          NULL) == 0 &&
           len == HM_DEVICE_TOKEN_BYTES;
}

/* False: it was told when to come back. */
static bool enter(struct sync_exchange *sync)
{
    struct hm_node *node = sync->x.node;
    uint64_t now_ms = uv_now(node->loop);
    uint32_t retry_s = 0;
    uint64_t key;

    if (admission.places == 0) {
        hm_admission_init(&admission, node->config.hub_syncs);
    }
    memcpy(&key, sync->token, sizeof key);
    key = key == 0 ? 1 : key;
    if (!hm_admission_enter(&admission, key, now_ms, randombytes_random(), &retry_s)) {
        node->syncs_refused++;
        hm_http_answer_problem(sync->x.req, 503, retry_s,
                               "too many syncs at once, this one's turn is in %u s",
                               (unsigned)retry_s);
        return false;
    }
    sync->key = key;
    return true;
}

static void head(struct hm_exchange *x)
{
    struct sync_exchange *sync = (struct sync_exchange *)x;
    const char *type = hm_http_request_header(x->req, "Content-Type");

    if (!read_token(hm_http_request_header(x->req, "Authorization"), sync->token)) {
        hm_http_answer_problem(x->req, 401, 0,
                               "a device shows the token of its enrolment");
        return;
    }
    if (type == NULL || strcmp(type, "application/octet-stream") != 0) {
        hm_http_answer_problem(x->req, 415, 0, "a sync is application/octet-stream");
        return;
    }
    if (!enter(sync)) {
        return;
    }
    hm_http_request_accept(x->req, HM_HTTP_BODY_MEMORY, HM_REQUEST_BYTES_MAX);
}

/* On the writer. */

static int check_tokens(struct hm_store *s, struct hm_store_job **jobs, size_t count)
{
    int err = hm_store_begin_read(s);

    if (err != HM_OK) {
        return err;
    }
    for (size_t i = 0; i < count && err == HM_OK; i++) {
        struct sync_exchange *sync =
            HM_CONTAINER_OF(jobs[i], struct sync_exchange, job);
        struct hm_bytes token = hm_bytes_of(sync->token, sizeof sync->token);
        struct hm_device device;
        struct hm_arena arena;

        hm_arena_init(&arena, 1024 * 1024);
        err = hm_devices_by_token(s, token, &arena, &device);
        sync->known = err == HM_OK;
        if (err == HM_OK) {
            sync->device = device.id;
            sync->group = device.scope_count == 0 ? 0 : device.scopes[0];
        } else if (err == HM_DENIED) {
            (void)snprintf(sync->why, sizeof sync->why, "%s", hm_store_errmsg(s));
            err = HM_OK;
        }
        hm_arena_deinit(&arena);
    }
    return hm_store_end(s, err);
}

static void serve_all(struct hm_store_job **jobs, size_t count,
                      const struct hm_store_side *side)
{
    struct hm_serve_request requests[HM_SERVE_BATCH_MAX];
    struct hm_serve_reply replies[HM_SERVE_BATCH_MAX];
    struct sync_exchange *known[HM_SERVE_BATCH_MAX];
    size_t known_count = 0;
    int err = check_tokens(side->store, jobs, count);

    for (size_t i = 0; i < count && err == HM_OK; i++) {
        struct sync_exchange *sync =
            HM_CONTAINER_OF(jobs[i], struct sync_exchange, job);

        if (sync->known) {
            requests[known_count] =
                (struct hm_serve_request){.device = sync->device,
                                          .body = hm_buf_bytes(&sync->body),
                                          .received_utc_ms = sync->received_utc_ms};
            known[known_count++] = sync;
        }
    }
    if (err == HM_OK && known_count > 0) {
        err = hm_serve_batch(side->store, side->forms, requests, replies, known_count);
        for (size_t i = 0; i < known_count; i++) {
            known[i]->reply = replies[i];
        }
    }
    for (size_t i = 0; i < count; i++) {
        struct sync_exchange *sync =
            HM_CONTAINER_OF(jobs[i], struct sync_exchange, job);

        jobs[i]->err = err;
        if (err != HM_OK) {
            (void)snprintf(sync->why, sizeof sync->why, "%s",
                           hm_store_errmsg(side->store));
        }
    }
}

_Static_assert((int)HM_SERVE_BATCH_MAX >= (int)HM_STORE_BATCH_MAX, "a batch fits");

/* On the loop. */

static void count_served(struct sync_exchange *sync)
{
    struct hm_node *node = sync->x.node;

    node->syncs_served++;
    hm_journal_write(
        node->journal, sync->reply.changes > 0 ? HM_JOURNAL_INFO : HM_JOURNAL_DEBUG,
        "device %016llx brought %llu changes, %llu of them refused",
        (unsigned long long)sync->device, (unsigned long long)sync->reply.changes,
        (unsigned long long)sync->reply.notices);
    if (sync->reply.changes > 0) {
        hm_upstream_saved(node->upstream); /* they go on from here */
    }
}

static void on_served(struct hm_store_job *job)
{
    struct sync_exchange *sync = HM_CONTAINER_OF(job, struct sync_exchange, job);
    struct hm_http_request *req = sync->x.req;

    if (job->err == HM_CORRUPT) {
        hm_http_answer_problem(req, 503, DAMAGED_RETRY_S,
                               "this hub's store is damaged and must be repaired");
    } else if (job->err != HM_OK) {
        hm_http_answer_error(req, job->err, "%s", sync->why);
    } else if (!sync->known) {
        hm_http_answer_problem(req, 401, 0, "%s",
                               sync->why[0] == 0 ? "there is no such token here"
                                                 : sync->why);
    } else if (sync->reply.err != HM_OK) {
        hm_http_answer_error(req, sync->reply.err, "%s", sync->reply.errmsg);
    } else {
        count_served(sync);
        hm_http_answer_bytes(req, 200, "application/octet-stream", &sync->reply.body);
    }
}

static void request(struct hm_exchange *x)
{
    struct sync_exchange *sync = (struct sync_exchange *)x;
    struct hm_buf *body = hm_http_request_body(x->req);
    struct timespec now;
    int err;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    sync->received_utc_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    sync->body = *body;
    hm_buf_init(body, 1);
    sync->job = (struct hm_store_job){.batch = serve_all, .done = on_served};
    err = hm_store_thread_submit(x->node->store, HM_STORE_WRITE, &sync->job);
    if (err != HM_OK) {
        x->node->syncs_refused++;
        hm_http_answer_problem(x->req, 503,
                               RETRY_S_MIN + randombytes_uniform(RETRY_S_SPAN),
                               "this hub has too much to do, come back later");
    }
}

static void done(struct hm_exchange *x)
{
    struct sync_exchange *sync = (struct sync_exchange *)x;

    if (sync->key != 0) {
        hm_admission_leave(&admission, sync->key, sync->group, uv_now(x->node->loop));
    }
    hm_buf_deinit(&sync->body);
    hm_serve_reply_deinit(&sync->reply);
    sodium_memzero(sync->token, sizeof sync->token);
}

const struct hm_exchange_kind hm_exchange_sync = {.size = sizeof(struct sync_exchange),
                                                  .head = head,
                                                  .request = request,
                                                  .done = done};
