/* Routes below upstreams: the parents that this node is enrolled at, and which of them
 * it syncs with.
 *
 * Happy path of use: take_name() reads the body; use() on the writer finds the parent
 * by its address or device and turns to it; on_used() has the upstream read anew, which
 * syncs.
 * Failures: no such upstream is 404. */
#include "storage/upstreams.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/serve/cells.h"
#include "daemon/serve/handlers.h"
#include "daemon/serve/loop_routes.h"

enum { ARENA_BYTES = 256 * 1024 };

static json_t *upstream_json(const struct hm_upstream_known *upstream)
{
    return json_pack("{s:s, s:o, s:b}", "url", upstream->url, "device",
                     json_sprintf("%016" PRIx64, upstream->device), "current",
                     (int)upstream->current);
}

int hm_upstreams_handle_list(struct hm_call *call)
{
    struct hm_upstream_known *known = NULL;
    size_t count = 0;
    int err = hm_upstreams_list(call->s, &call->arena, &known, &count);

    call->reply = json_array();
    for (size_t i = 0; i < count && err == HM_OK; i++) {
        err = hm_cells_append(call->reply, upstream_json(&known[i]));
    }
    return err;
}

/* Lives as facts of the exchange. */
struct turning {
    char name[HM_UPSTREAM_URL_MAX];
    json_t *result;
};

/* "https://host:port", "host:port" or the device in 16 hex digits. */
static bool is_named(const struct hm_upstream_known *upstream, const char *name)
{
    char device[24];

    (void)snprintf(device, sizeof device, "%016" PRIx64, upstream->device);
    return strcmp(upstream->url, name) == 0 || strcmp(device, name) == 0 ||
           (strncmp(upstream->url, "https://", 8) == 0 &&
            strcmp(upstream->url + 8, name) == 0);
}

static int turn(struct turning *t, struct hm_store *s, struct hm_arena *arena)
{
    struct hm_upstream_known *known = NULL;
    size_t count = 0;
    size_t at = 0;
    int err = hm_upstreams_list(s, arena, &known, &count);

    while (at < count && !is_named(&known[at], t->name)) {
        at++;
    }
    if (err == HM_OK && at == count) {
        err = HM_NOTFOUND;
    }
    if (err == HM_OK && !known[at].current) {
        err = hm_upstreams_use(s, known[at].device);
    }
    if (err == HM_OK) {
        known[at].current = true;
        t->result = upstream_json(&known[at]);
        err = t->result == NULL ? HM_NOMEM : HM_OK;
    }
    return err;
}

static void use(struct hm_store_job *job, const struct hm_store_side *side)
{
    struct hm_loop_exchange *loop = HM_CONTAINER_OF(job, struct hm_loop_exchange, job);
    struct hm_arena arena;
    int err = hm_store_begin(side->store);

    if (err == HM_OK) {
        hm_arena_init(&arena, ARENA_BYTES);
        err = hm_store_end(side->store, turn(loop->facts, side->store, &arena));
        hm_arena_deinit(&arena);
    }
    job->err = err;
}

static void on_used(struct hm_store_job *job)
{
    struct hm_loop_exchange *loop = HM_CONTAINER_OF(job, struct hm_loop_exchange, job);
    struct turning *t = loop->facts;

    if (job->err == HM_NOTFOUND) {
        json_decref(t->result);
        hm_http_answer_error(loop->x.req, HM_NOTFOUND,
                             "this node is not enrolled at %.200s", t->name);
        return;
    }
    if (job->err != HM_OK) {
        json_decref(t->result);
        hm_http_answer_error(loop->x.req, job->err, "%s", "");
        return;
    }
    hm_upstream_reload(loop->x.node->upstream);
    hm_http_answer_json(loop->x.req, 200, t->result);
}

static bool take_name(struct turning *t, const struct hm_buf *body)
{
    json_t *json =
        json_loadb((const char *)body->data, body->len, JSON_REJECT_DUPLICATES, NULL);
    const char *name = json_string_value(json_object_get(json, "upstream"));
    bool ok = name != NULL && json_object_size(json) == 1 && name[0] != 0 &&
              strlen(name) < sizeof t->name;

    if (ok) {
        (void)strcpy(t->name, name);
    }
    json_decref(json);
    return ok;
}

void hm_upstreams_run_use(struct hm_loop_exchange *loop)
{
    struct turning *t = calloc(1, sizeof *t);

    loop->facts = t;
    if (t == NULL) {
        hm_http_answer_error(loop->x.req, HM_NOMEM, "%s", "");
    } else if (!take_name(t, hm_http_request_body(loop->x.req))) {
        hm_http_answer_error(loop->x.req, HM_INVALID,
                             "say which upstream: its address or its device");
    } else {
        hm_loop_submit(loop, HM_STORE_WRITE, use, on_used);
    }
}
