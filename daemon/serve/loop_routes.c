/* Happy path: head() finds the route and accepts a small body; request() looks for the
 * user that is named, on a reader, then runs the route.
 * Failures: an unknown user is 403, an unknown parameter 400. */
#include "daemon/serve/loop_routes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/people.h"

#define PREFIX "/api/v1/"

enum { WAIT_S_MAX = 24 * 60 * 60 };

/* Sync and its pause. */

static void on_synced(struct hm_sync_wait *wait)
{
    struct hm_loop_exchange *loop =
        HM_CONTAINER_OF(wait, struct hm_loop_exchange, waiting);
    json_t *json =
        json_pack("{s:s, s:{s:I, s:I}, s:{s:I, s:I}, s:i, s:b, s:s?}", "result",
                  hm_sync_result_name(wait->result), "sent", "changes",
                  (json_int_t)wait->sent_changes, "bytes", (json_int_t)wait->sent_bytes,
                  "received", "households", (json_int_t)wait->received_households,
                  "bytes", (json_int_t)wait->received_bytes, "round_trips",
                  (int)wait->round_trips, "digest_equal", wait->digest_equal, "detail",
                  wait->detail[0] == 0 ? NULL : wait->detail);

    hm_http_answer_json(loop->x.req, 200, json);
}

static void run_sync(struct hm_loop_exchange *loop)
{
    char *end = NULL;
    long seconds = strtol(loop->wait, &end, 10);
    int err;

    if (loop->wait[0] != 0 && (*end != 0 || seconds < 1 || seconds > WAIT_S_MAX)) {
        hm_http_answer_error(loop->x.req, HM_INVALID,
                             "wait must be a number of seconds, at most %d",
                             WAIT_S_MAX);
        return;
    }
    if (loop->x.node->damaged[0] != 0) {
        hm_http_answer_error(loop->x.req, HM_CORRUPT, "%s", loop->x.node->damaged);
        return;
    }
    loop->waiting = (struct hm_sync_wait){.settle = loop->wait[0] != 0,
                                          .timeout_ms = (uint64_t)seconds * 1000,
                                          .done = on_synced};
    err = hm_upstream_sync(loop->x.node->upstream, &loop->waiting);
    if (err == HM_NOTFOUND) {
        hm_http_answer_problem(loop->x.req, 409, 0, "this node has no upstream");
    } else if (err != HM_OK) {
        hm_http_answer_error(loop->x.req, err, "the node is stopping");
    }
}

static bool is_pause(const struct hm_loop_exchange *loop)
{
    return strcmp(loop->route->path, "sync/pause") == 0;
}

static void keep_pause(struct hm_store_job *job, const struct hm_store_side *side)
{
    struct hm_loop_exchange *loop = HM_CONTAINER_OF(job, struct hm_loop_exchange, job);
    int err = hm_store_begin(side->store);

    if (err == HM_OK) {
        err = hm_store_set_number(side->store, HM_META_PAUSED, is_pause(loop) ? 1 : 0);
        err = hm_store_end(side->store, err);
    }
    job->err = err;
}

static void on_pause_kept(struct hm_store_job *job)
{
    struct hm_loop_exchange *loop = HM_CONTAINER_OF(job, struct hm_loop_exchange, job);

    if (job->err != HM_OK) {
        hm_http_answer_error(loop->x.req, job->err, "%s", "");
        return;
    }
    hm_upstream_set_paused(loop->x.node->upstream, is_pause(loop));
    hm_http_answer_json(loop->x.req, 200, json_pack("{s:b}", "paused", is_pause(loop)));
}

static void run_pause(struct hm_loop_exchange *loop)
{
    hm_loop_submit(loop, HM_STORE_WRITE, keep_pause, on_pause_kept);
}

static void run_healthz(struct hm_loop_exchange *loop)
{
    struct hm_buf body;

    hm_buf_init(&body, 16);
    hm_buf_append_str(&body, "ok\n");
    hm_http_answer_bytes(loop->x.req, 200, "text/plain", &body);
}

static const struct hm_loop_route routes[] = {
    {"GET", "/healthz", "", true, run_healthz, NULL},
    {"GET", "/metrics", "", true, hm_metrics_run, NULL},
    {"GET", "status", "", false, hm_status_run, NULL},
    {"GET", "alarms", "", false, hm_alarms_run_list, NULL},
    {"POST", "alarms/{}/clear", "", false, hm_alarms_run_clear, NULL},
    {"POST", "sync", "wait", false, run_sync, NULL},
    {"POST", "sync/pause", "", false, run_pause, NULL},
    {"POST", "sync/resume", "", false, run_pause, NULL},
    {"POST", "enroll", "", false, hm_enroll_run, NULL},
    {"POST", "upstreams/use", "", false, hm_upstreams_run_use, NULL},
    {"GET", "log", "lines follow", false, hm_log_route_run, hm_log_route_room},
};

/* Finding. */

static bool matches(const char *pattern, const char *path)
{
    const char *hole = strstr(pattern, "{}");
    size_t before;
    size_t after;
    size_t len = strlen(path);

    if (pattern[0] != '/') {
        if (strncmp(path, PREFIX, strlen(PREFIX)) != 0) {
            return false;
        }
        path += strlen(PREFIX);
        len = strlen(path);
    }
    if (hole == NULL) {
        return strcmp(pattern, path) == 0;
    }
    before = (size_t)(hole - pattern);
    after = strlen(hole + 2);
    return len > before + after && strncmp(path, pattern, before) == 0 &&
           strcmp(path + len - after, hole + 2) == 0;
}

static const struct hm_loop_route *find_route(const char *method, const char *path)
{
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (strcmp(routes[i].method, method) == 0 && matches(routes[i].path, path)) {
            return &routes[i];
        }
    }
    return NULL;
}

/* A misspelt option is never silently ignored. */
static bool knows_query(const char *query, const char *wants)
{
    while (*query != 0) {
        size_t part = strcspn(query, "&");
        size_t name = strcspn(query, "=&");
        const char *at = wants;
        bool known = false;

        while (*at != 0 && !known) {
            size_t len = strcspn(at, " ");

            known = len == name && strncmp(at, query, len) == 0;
            at += len + (at[len] == ' ' ? 1 : 0);
        }
        if (!known) {
            return false;
        }
        query += part + (query[part] == '&' ? 1 : 0);
    }
    return true;
}

static void head(struct hm_exchange *x)
{
    struct hm_loop_exchange *loop = (struct hm_loop_exchange *)x;

    loop->route =
        find_route(hm_http_request_method(x->req), hm_http_request_path(x->req));
    if (loop->route == NULL) {
        hm_http_answer_problem(x->req, 404, 0, "there is nothing here");
        return;
    }
    hm_http_request_accept(x->req, HM_HTTP_BODY_MEMORY, HM_LOOP_BODY_BYTES_MAX);
}

/* Running. */

void hm_loop_submit(struct hm_loop_exchange *loop, enum hm_store_lane lane,
                    void (*work)(struct hm_store_job *job,
                                 const struct hm_store_side *side),
                    void (*done)(struct hm_store_job *job))
{
    int err;

    loop->job = (struct hm_store_job){.work = work, .done = done};
    err = hm_store_thread_submit(loop->x.node->store, lane, &loop->job);
    if (err != HM_OK) {
        hm_http_answer_error(loop->x.req, err, "the node has too much to do");
    }
}

static void find_user(struct hm_store_job *job, const struct hm_store_side *side)
{
    struct hm_loop_exchange *loop = HM_CONTAINER_OF(job, struct hm_loop_exchange, job);
    struct hm_arena arena;
    struct hm_user user;
    int err = hm_store_begin_read(side->store);

    if (err != HM_OK) {
        job->err = err;
        return;
    }
    hm_arena_init(&arena, 64 * 1024);
    err = hm_people_find_user(side->store, loop->user, &arena, &user);
    if (err == HM_NOTFOUND || (err == HM_OK && !user.active)) {
        err = HM_DENIED;
    }
    hm_arena_deinit(&arena);
    job->err = hm_store_end(side->store, err);
}

static void on_user_found(struct hm_store_job *job)
{
    struct hm_loop_exchange *loop = HM_CONTAINER_OF(job, struct hm_loop_exchange, job);

    if (job->err == HM_DENIED) {
        hm_http_answer_error(loop->x.req, HM_DENIED, "there is no active user %s here",
                             loop->user);
    } else if (job->err != HM_OK) {
        hm_http_answer_error(loop->x.req, job->err, "%s", "");
    } else {
        loop->route->run(loop);
    }
}

static void take_query(struct hm_loop_exchange *loop)
{
    const char *wait = hm_http_request_query(loop->x.req, "wait");
    const char *lines = hm_http_request_query(loop->x.req, "lines");
    const char *follow = hm_http_request_query(loop->x.req, "follow");

    (void)snprintf(loop->wait, sizeof loop->wait, "%s", wait == NULL ? "" : wait);
    (void)snprintf(loop->lines, sizeof loop->lines, "%s", lines == NULL ? "" : lines);
    loop->follow = follow != NULL && strcmp(follow, "0") != 0;
}

static void request(struct hm_exchange *x)
{
    struct hm_loop_exchange *loop = (struct hm_loop_exchange *)x;

    if (!knows_query(hm_exchange_query(x), loop->route->wants)) {
        hm_http_answer_error(x->req, HM_INVALID, "unknown parameter in '%s'",
                             hm_exchange_query(x));
        return;
    }
    if (!hm_api_route_user(x->req, loop->user)) {
        hm_http_answer_error(x->req, HM_INVALID,
                             "Hamlet-User is not a name, percent-encoded");
        return;
    }
    take_query(loop);
    if (loop->route->always || loop->user[0] == 0) {
        loop->route->run(loop);
    } else {
        hm_loop_submit(loop, HM_STORE_READ, find_user, on_user_found);
    }
}

static void room(struct hm_exchange *x)
{
    struct hm_loop_exchange *loop = (struct hm_loop_exchange *)x;

    if (loop->route->room != NULL) {
        loop->route->room(loop);
    }
}

static void done(struct hm_exchange *x)
{
    free(((struct hm_loop_exchange *)x)->facts);
}

const struct hm_exchange_kind hm_exchange_loop = {.size =
                                                      sizeof(struct hm_loop_exchange),
                                                  .head = head,
                                                  .request = request,
                                                  .room = room,
                                                  .done = done};
