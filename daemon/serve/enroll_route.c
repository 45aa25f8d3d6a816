/* POST /enroll/v1, the hub's end: an invitation's secret and a device's keys come, the
 * device's token goes back.
 *
 * Happy path: head() accepts a small body; redeem() on the writer makes the device;
 * on_redeemed() answers 200 {device, token, parent_device, authority, role}.
 * Failures: a wrong, used or expired secret is 403; what is no request is 400. */
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "daemon/exchange.h"
#include "daemon/upstream.h"
#include "protocol/enroll_code.h"
#include "protocol/guard.h"
#include "storage/devices.h"

enum { BODY_BYTES_MAX = 4096, WHY_MAX = 200 };

struct enroll_exchange {
    struct hm_exchange x;
    struct hm_store_job job;
    uint8_t secret[HM_ENROLL_SECRET_BYTES];
    struct hm_redemption redemption;
    char own_name[HM_DEVICE_NAME_BYTES_MAX + 1]; /* what the device calls itself */
    /* The answer. */
    uint64_t device;
    char name[HM_DEVICE_NAME_BYTES_MAX + 1];
    enum hm_device_role role;
    uint8_t token[HM_DEVICE_TOKEN_BYTES];
    uint8_t authority[HM_PUBLIC_KEY_BYTES];
    char why[WHY_MAX];
};

static void head(struct hm_exchange *x)
{
    hm_http_request_accept(x->req, HM_HTTP_BODY_MEMORY, BODY_BYTES_MAX);
}

static bool take_hex(const json_t *json, const char *name, uint8_t *out, size_t len)
{
    const char *text = json_string_value(json_object_get(json, name));
    size_t got = 0;

    return text != NULL && strlen(text) == 2 * len &&
           sodium_hex2bin(out, len, text, strlen(text), NULL, &got, NULL) == 0 &&
           got == len;
}

static bool take_body(struct enroll_exchange *enroll, const struct hm_buf *body)
{
    json_t *json =
        json_loadb((const char *)body->data, body->len, JSON_REJECT_DUPLICATES, NULL);
    bool ok = take_hex(json, "secret", enroll->secret, sizeof enroll->secret) &&
              take_hex(json, "public_key", enroll->redemption.public_key,
                       HM_PUBLIC_KEY_BYTES) &&
              take_hex(json, "box_key", enroll->redemption.box_key, HM_BOX_KEY_BYTES);
    const char *name = json_string_value(json_object_get(json, "name"));

    if (name != NULL && strlen(name) < sizeof enroll->own_name &&
        hm_guard_text(hm_bytes_str(name)) == HM_OK) {
        (void)snprintf(enroll->own_name, sizeof enroll->own_name, "%s", name);
    }
    enroll->redemption.name = enroll->own_name;
    json_decref(json);
    enroll->redemption.secret = hm_bytes_of(enroll->secret, sizeof enroll->secret);
    return ok;
}

static int read_authority(struct hm_store *s, struct hm_arena *arena,
                          uint8_t out[HM_PUBLIC_KEY_BYTES])
{
    struct hm_bytes authority;
    int err = hm_store_get_bytes(s, HM_META_AUTHORITY, arena, &authority);

    if (err == HM_NOTFOUND) {
        return hm_store_fail(s, HM_DENIED,
                             "this node has no programme and no upstream");
    }
    if (err == HM_OK && authority.len != HM_PUBLIC_KEY_BYTES) {
        err = HM_CORRUPT;
    }
    if (err == HM_OK) {
        memcpy(out, authority.data, HM_PUBLIC_KEY_BYTES);
    }
    return err;
}

static void redeem(struct hm_store_job *job, const struct hm_store_side *side)
{
    struct enroll_exchange *enroll = HM_CONTAINER_OF(job, struct enroll_exchange, job);
    struct hm_store *s = side->store;
    struct hm_device device = {0};
    struct hm_arena arena;
    int err = hm_store_begin(s);

    if (err != HM_OK) {
        job->err = err;
        return;
    }
    hm_arena_init(&arena, HM_UNITS_TREE_BYTES_MAX);
    err = read_authority(s, &arena, enroll->authority);
    if (err == HM_OK) {
        err = hm_devices_redeem(s, &enroll->redemption, &arena, &device, enroll->token);
    }
    if (err == HM_OK) {
        enroll->device = device.id;
        enroll->role = device.role;
        (void)snprintf(enroll->name, sizeof enroll->name, "%s", device.name);
    } else {
        (void)snprintf(enroll->why, sizeof enroll->why, "%s", hm_store_errmsg(s));
    }
    hm_arena_deinit(&arena);
    job->err = hm_store_end(s, err);
}

static json_t *grant_json(const struct enroll_exchange *enroll)
{
    char token[2 * HM_DEVICE_TOKEN_BYTES + 1];
    char authority[2 * HM_PUBLIC_KEY_BYTES + 1];
    char device[24];
    char parent[24];
    json_t *json;

    (void)sodium_bin2hex(token, sizeof token, enroll->token, sizeof enroll->token);
    (void)sodium_bin2hex(authority, sizeof authority, enroll->authority,
                         sizeof enroll->authority);
    (void)snprintf(device, sizeof device, "%016llx",
                   (unsigned long long)enroll->device);
    (void)snprintf(parent, sizeof parent, "%016llx",
                   (unsigned long long)enroll->x.node->keys.device);
    json = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "device", device, "token", token,
                     "parent_device", parent, "authority", authority, "role",
                     enroll->role == HM_DEVICE_HUB ? "hub" : "enumerator", "name",
                     enroll->name);
    sodium_memzero(token, sizeof token);
    return json;
}

static void on_redeemed(struct hm_store_job *job)
{
    struct enroll_exchange *enroll = HM_CONTAINER_OF(job, struct enroll_exchange, job);
    struct hm_node *node = enroll->x.node;

    if (job->err != HM_OK) {
        hm_journal_write(node->journal, HM_JOURNAL_WARNING, "no enrolment from %s: %s",
                         hm_http_request_address(enroll->x.req),
                         enroll->why[0] == 0 ? hm_err_text(job->err) : enroll->why);
        hm_http_answer_error(enroll->x.req, job->err, "%s", enroll->why);
        return;
    }
    hm_journal_write(node->journal, HM_JOURNAL_INFO, "device %016llx (%s) is enrolled",
                     (unsigned long long)enroll->device, enroll->name);
    hm_upstream_saved(node->upstream); /* a hub's grant goes on from here */
    hm_http_answer_json(enroll->x.req, 200, grant_json(enroll));
}

static void request(struct hm_exchange *x)
{
    struct enroll_exchange *enroll = (struct enroll_exchange *)x;
    int err;

    if (!take_body(enroll, hm_http_request_body(x->req))) {
        hm_http_answer_error(x->req, HM_INVALID, "this is no request to be enrolled");
        return;
    }
    enroll->job = (struct hm_store_job){.work = redeem, .done = on_redeemed};
    err = hm_store_thread_submit(x->node->store, HM_STORE_WRITE, &enroll->job);
    if (err != HM_OK) {
        hm_http_answer_error(x->req, err, "this hub has too much to do");
    }
}

static void done(struct hm_exchange *x)
{
    struct enroll_exchange *enroll = (struct enroll_exchange *)x;

    sodium_memzero(enroll->secret, sizeof enroll->secret);
    sodium_memzero(enroll->token, sizeof enroll->token);
}

const struct hm_exchange_kind hm_exchange_enroll = {.size =
                                                        sizeof(struct enroll_exchange),
                                                    .head = head,
                                                    .request = request,
                                                    .done = done};
