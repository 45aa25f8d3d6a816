/* POST /api/v1/enroll, the laptop's end.
 *
 * Happy path: look() sees that this node is free; ask() posts the secret; keep() stores
 * the grant; the upstream syncs until nothing is left; collect() counts what came.
 * Failures: before the grant is kept nothing has changed, and the code may be tried
 * again. Behind that the node is enrolled: a cut is 502 and the upstream goes on by
 * itself; the same code again waits for it.
 * Close: the call and the wait end with the client and the upstream. */
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/serve/loop_routes.h"
#include "protocol/enroll_code.h"
#include "storage/devices.h"
#include "storage/households.h"
#include "storage/units.h"
#include "storage/upload.h"
#include "storage/upstreams.h"

enum { GRANT_BYTES_MAX = 16 * 1024, FIRST_SYNC_MS = 30 * 60 * 1000 };

/* Lives as facts of the exchange. */
struct enrolling {
    struct hm_loop_exchange *loop;
    struct hm_enroll_code code;
    char url[HM_UPSTREAM_URL_MAX];
    bool goes_on; /* this code's grant is kept already */
    struct hm_http_call call;
    struct hm_http_header header;
    char enroll_url[HM_UPSTREAM_URL_MAX + 16];
    char pin[HM_TLS_KEY_PIN_CHARS_MAX];
    char *body;
    /* The grant. */
    uint8_t token[HM_DEVICE_TOKEN_BYTES];
    uint8_t authority[HM_PUBLIC_KEY_BYTES];
    uint64_t parent;
    enum hm_node_role role;
    char why[HM_UPSTREAM_TEXT_MAX];
    json_t *result;
};

/* Two at once would redeem two invitations. */
static bool busy;

static void end(struct enrolling *e)
{
    hm_http_call_deinit(&e->call);
    if (e->body != NULL) {
        sodium_memzero(e->body, strlen(e->body));
        free(e->body);
        e->body = NULL;
    }
    sodium_memzero(&e->code, sizeof e->code);
    sodium_memzero(e->token, sizeof e->token);
    busy = false;
}

static void end_error(struct enrolling *e, int err, const char *text)
{
    struct hm_http_request *req = e->loop->x.req;

    end(e);
    hm_http_answer_error(req, err, "%s", text);
}

static void submit(struct enrolling *e, enum hm_store_lane lane,
                   void (*work)(struct hm_store_job *, const struct hm_store_side *),
                   void (*done)(struct hm_store_job *))
{
    int err;

    e->loop->job = (struct hm_store_job){.work = work, .done = done};
    err = hm_store_thread_submit(e->loop->x.node->store, lane, &e->loop->job);
    if (err != HM_OK) {
        end_error(e, err, "the node has too much to do");
    }
}

static struct enrolling *of_job(struct hm_store_job *job)
{
    return HM_CONTAINER_OF(job, struct hm_loop_exchange, job)->facts;
}

/* 5: what came. */

static int add_codes(struct hm_store *s, struct hm_arena *arena, json_t *scopes)
{
    struct hm_units_tree tree;
    uint32_t *ids = NULL;
    size_t count = 0;
    int err = hm_units_load(s, arena, &tree);

    if (err == HM_OK) {
        err = hm_upload_scopes(s, arena, &ids, &count);
    }
    for (size_t i = 0; i < count && err == HM_OK; i++) {
        err = json_array_append_new(scopes,
                                    json_string(hm_units_code_of(&tree, ids[i]))) == 0
                  ? HM_OK
                  : HM_NOMEM;
    }
    return err;
}

static int add_forms(struct hm_store *s, struct hm_arena *arena, json_t *ids)
{
    struct hm_form_item *forms = NULL;
    size_t count = 0;
    int err = hm_forms_list(s, arena, &forms, &count);

    for (size_t i = 0; i < count && err == HM_OK; i++) {
        err = json_array_append_new(ids, json_string(forms[i].form_id)) == 0 ? HM_OK
                                                                             : HM_NOMEM;
    }
    return err;
}

static void collect(struct hm_store_job *job, const struct hm_store_side *side)
{
    struct enrolling *e = of_job(job);
    struct hm_households_count count = {0};
    json_t *scopes = json_array();
    json_t *forms = json_array();
    struct hm_arena arena;
    int err = hm_store_begin_read(side->store);

    hm_arena_init(&arena, HM_UNITS_TREE_BYTES_MAX);
    if (err == HM_OK) {
        err = scopes == NULL || forms == NULL ? HM_NOMEM
                                              : add_codes(side->store, &arena, scopes);
        if (err == HM_OK) {
            err = add_forms(side->store, &arena, forms);
        }
        if (err == HM_OK) {
            err = hm_households_count(side->store, &count);
        }
        err = hm_store_end(side->store, err);
    }
    hm_arena_deinit(&arena);
    if (err == HM_OK) {
        e->result = json_pack("{s:s, s:O, s:O, s:I}", "node",
                              e->loop->x.node->config.name, "scopes", scopes, "forms",
                              forms, "households", (json_int_t)count.households);
    }
    json_decref(scopes);
    json_decref(forms);
    job->err = err;
}

static void on_collected(struct hm_store_job *job)
{
    struct enrolling *e = of_job(job);
    struct hm_http_request *req = e->loop->x.req;

    if (job->err != HM_OK) {
        end_error(e, job->err, "");
        return;
    }
    hm_journal_write(e->loop->x.node->journal, HM_JOURNAL_INFO,
                     "this node is enrolled at %s", e->url);
    end(e);
    hm_http_answer_json(req, 200, e->result);
}

/* 4: the first sync. */

static void on_synced(struct hm_sync_wait *wait)
{
    struct hm_loop_exchange *loop =
        HM_CONTAINER_OF(wait, struct hm_loop_exchange, waiting);
    struct enrolling *e = loop->facts;

    if (wait->result == HM_SYNC_OK) {
        submit(e, HM_STORE_READ, collect, on_collected);
        return;
    }
    (void)snprintf(e->why, sizeof e->why,
                   "enrolled, but not all has come yet, it goes on by itself: %.200s",
                   wait->detail);
    end_error(e, HM_NETWORK, e->why);
}

static void first_sync(struct enrolling *e)
{
    struct hm_upstream *upstream = e->loop->x.node->upstream;
    int err;

    e->loop->waiting = (struct hm_sync_wait){
        .settle = true, .timeout_ms = FIRST_SYNC_MS, .done = on_synced};
    err = hm_upstream_sync(upstream, &e->loop->waiting);
    if (err != HM_OK) {
        end_error(e, err, "the node is stopping");
    }
}

/* 3: the grant. */

/* A node that has parents already takes only one of the same centre. */
static int keep_grant(struct enrolling *e, struct hm_store *s,
                      const struct hm_upstream_grant *grant)
{
    struct hm_bytes authority;
    struct hm_arena arena;
    int err;

    hm_arena_init(&arena, 1024);
    err = hm_store_get_bytes(s, HM_META_AUTHORITY, &arena, &authority);
    if (err == HM_OK &&
        !hm_bytes_equal(authority, hm_bytes_of(e->authority, sizeof e->authority))) {
        err = hm_store_fail(s, HM_EXISTS,
                            "this node is enrolled already, below another centre");
    }
    hm_arena_deinit(&arena);
    return err == HM_OK || err == HM_NOTFOUND ? hm_upload_set_upstream(s, grant) : err;
}

static void keep(struct hm_store_job *job, const struct hm_store_side *side)
{
    struct enrolling *e = of_job(job);
    struct hm_upstream_grant grant = {.url = e->url,
                                      .pin = e->code.key_hash,
                                      .token = hm_bytes_of(e->token, sizeof e->token),
                                      .device = e->parent,
                                      .authority = e->authority,
                                      .role = e->role};
    int err = hm_store_begin(side->store);

    if (err == HM_OK) {
        err = e->goes_on ? hm_upstreams_use(side->store, e->parent)
                         : keep_grant(e, side->store, &grant);
        err = hm_store_end(side->store, err);
    }
    if (err != HM_OK) {
        (void)snprintf(e->why, sizeof e->why, "%s", hm_store_errmsg(side->store));
    }
    job->err = err;
}

static void on_kept(struct hm_store_job *job)
{
    struct enrolling *e = of_job(job);

    if (job->err != HM_OK) {
        end_error(e, job->err, e->why);
        return;
    }
    hm_upstream_reload(e->loop->x.node->upstream);
    first_sync(e);
}

/* 2: the question. */

static bool take_hex(const json_t *json, const char *name, uint8_t *out, size_t len)
{
    const char *text = json_string_value(json_object_get(json, name));
    size_t got = 0;

    return text != NULL && strlen(text) == 2 * len &&
           sodium_hex2bin(out, len, text, strlen(text), NULL, &got, NULL) == 0 &&
           got == len;
}

static bool take_grant(struct enrolling *e)
{
    const struct hm_buf *answer = &e->call.answer;
    json_t *json = json_loadb((const char *)answer->data, answer->len,
                              JSON_REJECT_DUPLICATES, NULL);
    const char *role = json_string_value(json_object_get(json, "role"));
    uint8_t parent[8];
    bool ok = take_hex(json, "token", e->token, sizeof e->token) &&
              take_hex(json, "authority", e->authority, sizeof e->authority) &&
              take_hex(json, "parent_device", parent, sizeof parent) && role != NULL;

    if (ok) {
        e->role = strcmp(role, "hub") == 0 ? HM_NODE_HUB : HM_NODE_LAPTOP;
        e->parent = 0;
        for (size_t i = 0; i < sizeof parent; i++) {
            e->parent = e->parent << 8 | parent[i];
        }
    }
    json_decref(json);
    return ok;
}

static void on_refused(struct enrolling *e)
{
    char detail[200];
    const char *why = hm_upstream_answer_detail(&e->call, detail, sizeof detail);

    (void)snprintf(e->why, sizeof e->why, "the hub does not take this code: %s",
                   why == NULL ? "no reason given" : why);
    /* Not a right that is missing here, but a code that is no good any more. */
    end_error(e, e->call.status == 403 ? HM_EXISTS : HM_NETWORK, e->why);
}

static void on_answer(struct hm_http_call *call)
{
    struct enrolling *e = HM_CONTAINER_OF(call, struct enrolling, call);

    if (call->err != HM_OK) {
        struct hm_upstream_verdict verdict;

        hm_upstream_answer_judge(call, e->url, 0, &verdict);
        (void)snprintf(e->why, sizeof e->why, "%s", verdict.text);
        end_error(e, HM_NETWORK, e->why);
    } else if (call->status >= 400) {
        on_refused(e);
    } else if (call->status != 200 || !take_grant(e)) {
        (void)snprintf(e->why, sizeof e->why, "what answers at %.200s is not a hub",
                       e->code.host_port);
        end_error(e, HM_NETWORK, e->why);
    } else {
        submit(e, HM_STORE_WRITE, keep, on_kept);
    }
}

static char *make_body(const struct enrolling *e)
{
    const struct hm_node *node = e->loop->x.node;
    char secret[2 * HM_ENROLL_SECRET_BYTES + 1];
    char public_key[2 * HM_PUBLIC_KEY_BYTES + 1];
    char box_key[2 * HM_BOX_KEY_BYTES + 1];
    json_t *json;
    char *text;

    (void)sodium_bin2hex(secret, sizeof secret, e->code.secret, sizeof e->code.secret);
    (void)sodium_bin2hex(public_key, sizeof public_key, node->keys.public_key,
                         HM_PUBLIC_KEY_BYTES);
    (void)sodium_bin2hex(box_key, sizeof box_key, node->keys.box_public,
                         HM_BOX_KEY_BYTES);
    json = json_pack("{s:s, s:s, s:s, s:s}", "secret", secret, "public_key", public_key,
                     "box_key", box_key, "name", node->config.name);
    text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
    json_decref(json);
    sodium_memzero(secret, sizeof secret);
    return text;
}

static void ask(struct enrolling *e)
{
    int err = HM_NOMEM;

    hm_tls_key_pin(e->code.key_hash, e->pin);
    (void)snprintf(e->enroll_url, sizeof e->enroll_url, "%s/enroll/v1", e->url);
    e->header = (struct hm_http_header){"Content-Type", "application/json"};
    e->body = make_body(e);
    e->call = (struct hm_http_call){.method = "POST",
                                    .url = e->enroll_url,
                                    .headers = &e->header,
                                    .header_count = 1,
                                    .body = hm_bytes_str(e->body),
                                    .answer_bytes_max = GRANT_BYTES_MAX,
                                    .pin = e->pin,
                                    .https_only = true,
                                    .cb = on_answer};
    hm_proxy_settings_use(&e->loop->x.node->proxy, &e->call);
    if (e->body != NULL) {
        err = hm_http_client_submit(e->loop->x.node->client, &e->call);
    }
    if (err != HM_OK) {
        end_error(e, err, "");
    }
}

/* 1: may this node be enrolled? */

/* Was this code's grant kept already, or one of another hub? */
static int check_known(struct enrolling *e, struct hm_store *s, struct hm_arena *arena)
{
    struct hm_bytes pin = hm_bytes_of(e->code.key_hash, sizeof e->code.key_hash);
    struct hm_upstream_known *known = NULL;
    size_t count = 0;
    int err = hm_upstreams_list(s, arena, &known, &count);

    for (size_t i = 0; i < count && err == HM_OK; i++) {
        if (strcmp(known[i].url, e->url) == 0 && hm_bytes_equal(known[i].pin, pin)) {
            e->goes_on = true;
            e->parent = known[i].device;
        }
    }
    if (err == HM_OK && e->goes_on) {
        struct hm_device own;

        err = hm_devices_get(s, hm_store_device(s), arena, &own);
        e->goes_on =
            err != HM_OK || own.active; /* revoked: the code lets it in again */
        err = err == HM_NOTFOUND ? HM_OK : err;
    }
    return err;
}

static int check_free(struct enrolling *e, struct hm_store *s, struct hm_arena *arena)
{
    enum hm_node_role role = HM_NODE_NEW;
    int err = hm_store_role(s, &role);

    if (err != HM_OK || role == HM_NODE_NEW) {
        return err;
    }
    if (role == HM_NODE_CENTRE) {
        (void)snprintf(e->why, sizeof e->why,
                       "this node has a programme of its own: it is a centre");
        return HM_EXISTS;
    }
    return check_known(e, s, arena);
}

static void look(struct hm_store_job *job, const struct hm_store_side *side)
{
    struct enrolling *e = of_job(job);
    struct hm_arena arena;
    int err = hm_store_begin_read(side->store);

    if (err == HM_OK) {
        hm_arena_init(&arena, 256 * 1024);
        err = check_free(e, side->store, &arena);
        hm_arena_deinit(&arena);
        err = hm_store_end(side->store, err);
    }
    job->err = err;
}

/* A hub that was set back does not know this node's token any more: a new code gives it
 * a new one. */
static bool is_refused(const struct enrolling *e)
{
    struct hm_upstream_facts facts;

    hm_upstream_facts(e->loop->x.node->upstream, &facts);
    return strcmp(facts.state, "refused") == 0;
}

static void on_looked(struct hm_store_job *job)
{
    struct enrolling *e = of_job(job);

    if (job->err != HM_OK) {
        end_error(e, job->err, e->why);
    } else if (e->goes_on && !is_refused(e)) {
        submit(e, HM_STORE_WRITE, keep, on_kept);
    } else {
        e->goes_on = false;
        ask(e);
    }
}

static int take_code(struct enrolling *e)
{
    const struct hm_buf *body = hm_http_request_body(e->loop->x.req);
    json_t *json =
        json_loadb((const char *)body->data, body->len, JSON_REJECT_DUPLICATES, NULL);
    const char *text = json_string_value(json_object_get(json, "code"));
    int err = HM_INVALID;

    if (text != NULL && json_object_size(json) == 1) {
        err = hm_enroll_code_read(hm_bytes_str(text), &e->code);
    }
    json_decref(json);
    (void)snprintf(e->url, sizeof e->url, "https://%s", e->code.host_port);
    return err;
}

void hm_enroll_run(struct hm_loop_exchange *loop)
{
    struct enrolling *e = calloc(1, sizeof *e);

    if (e == NULL) {
        hm_http_answer_error(loop->x.req, HM_NOMEM, "%s", "");
        return;
    }
    loop->facts = e;
    e->loop = loop;
    if (take_code(e) != HM_OK) {
        hm_http_answer_error(
            loop->x.req, HM_INVALID,
            "this is no enrolment code: hamlet://HOST:PORT/SECRET#KEY");
        return;
    }
    if (busy) {
        hm_http_answer_problem(loop->x.req, 409, 0, "an enrolment is under way");
        return;
    }
    busy = true;
    submit(e, HM_STORE_READ, look, on_looked);
}
