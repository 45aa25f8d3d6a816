/* GET status, alarms and /metrics: facts from a reader, then what the loop knows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/log_keeper.h"
#include "daemon/serve/loop_routes.h"
#include "daemon/serve/node_facts.h"
#include "daemon/store_open.h"

static void read_facts(struct hm_store_job *job, const struct hm_store_side *side)
{
    struct hm_loop_exchange *loop = HM_CONTAINER_OF(job, struct hm_loop_exchange, job);

    job->err =
        hm_node_facts_read(side->store, loop->route->run == hm_status_run, loop->facts);
}

static void submit(struct hm_loop_exchange *loop, void (*done)(struct hm_store_job *))
{
    loop->facts = calloc(1, sizeof(struct hm_node_facts));
    if (loop->facts == NULL) {
        hm_http_answer_error(loop->x.req, HM_NOMEM, "%s", "");
        return;
    }
    hm_loop_submit(loop, HM_STORE_READ, read_facts, done);
}

/* Alarms. */

static json_t *alarm_json(const char *kind, int64_t since_utc_ms, uint64_t count,
                          const char *what_to_do)
{
    return json_pack("{s:s, s:s, s:n, s:n, s:o, s:I, s:s}", "id", kind, "kind", kind,
                     "device", "device_name", "since", hm_node_facts_time(since_utc_ms),
                     "count", (json_int_t)count, "what_to_do", what_to_do);
}

static json_t *alarms_json(const struct hm_loop_exchange *loop)
{
    const struct hm_node_facts *facts = loop->facts;
    const struct hm_disk *disk = loop->x.node->disk;
    json_t *list = json_array();

    if (hm_disk_state(disk) != HM_DISK_ROOMY) {
        (void)json_array_append_new(
            list, alarm_json("disk", hm_disk_since_utc_ms(disk),
                             hm_disk_free_bytes(disk) / 1000000,
                             hm_disk_state(disk) == HM_DISK_FULL
                                 ? "the disk is full and no more saves are taken: make "
                                   "room; count is what is free, in MB"
                                 : "the disk is nearly full: make room; count is what "
                                   "is free, in MB"));
    }
    if (facts->quarantine > 0) {
        (void)json_array_append_new(
            list,
            alarm_json("quarantine", facts->quarantine_since_utc_ms, facts->quarantine,
                       "changes were held back: look at hamlet quarantine list"));
    }
    for (size_t i = 0; i < facts->alarm_count; i++) {
        (void)json_array_append_new(list, hm_alarm_json(&facts->alarms[i]));
    }
    return list;
}

static void on_alarms(struct hm_store_job *job)
{
    struct hm_loop_exchange *loop = HM_CONTAINER_OF(job, struct hm_loop_exchange, job);

    if (job->err != HM_OK) {
        hm_http_answer_error(loop->x.req, job->err, "%s", "");
    } else {
        hm_http_answer_json(loop->x.req, 200, alarms_json(loop));
    }
}

void hm_alarms_run_list(struct hm_loop_exchange *loop)
{
    submit(loop, on_alarms);
}

/* Those that are not kept go by themselves when their reason has gone. */
static void on_alarm_clear(struct hm_store_job *job)
{
    struct hm_loop_exchange *loop = HM_CONTAINER_OF(job, struct hm_loop_exchange, job);
    const char *id = strstr(hm_http_request_path(loop->x.req), "alarms/") + 7;
    size_t len = strcspn(id, "/");
    json_t *alarms;
    json_t *alarm;
    size_t at;

    if (job->err != HM_OK) {
        hm_http_answer_error(loop->x.req, job->err, "%s", "");
        return;
    }
    alarms = alarms_json(loop);
    json_array_foreach(alarms, at, alarm)
    {
        const char *kind = json_string_value(json_object_get(alarm, "id"));

        if (kind != NULL && strlen(kind) == len && strncmp(kind, id, len) == 0) {
            hm_http_answer_problem(
                loop->x.req, 409, 0, "this alarm goes when its reason has gone: %s",
                json_string_value(json_object_get(alarm, "what_to_do")));
            json_decref(alarms);
            return;
        }
    }
    json_decref(alarms);
    hm_http_answer_error(loop->x.req, HM_NOTFOUND, "there is no such alarm");
}

/* One that the store keeps. */

struct clearing {
    uint64_t id;
    struct hm_alarm_facts alarms[HM_ALARM_JSON_MAX];
    size_t count;
};

static const struct hm_alarm_facts *find_cleared(const struct clearing *clearing)
{
    for (size_t i = 0; i < clearing->count; i++) {
        if (clearing->alarms[i].alarm.id == clearing->id) {
            return &clearing->alarms[i];
        }
    }
    return NULL;
}

static void clear_kept(struct hm_store_job *job, const struct hm_store_side *side)
{
    struct hm_loop_exchange *loop = HM_CONTAINER_OF(job, struct hm_loop_exchange, job);
    struct clearing *clearing = loop->facts;
    int err = hm_store_begin(side->store);

    if (err == HM_OK) {
        err = hm_alarm_json_read(side->store, clearing->alarms, &clearing->count);
        if (err == HM_OK) {
            err = find_cleared(clearing) == NULL
                      ? HM_NOTFOUND
                      : hm_alarms_clear(side->store, clearing->id);
        }
        err = hm_store_end(side->store, err);
    }
    job->err = err;
}

static void on_cleared(struct hm_store_job *job)
{
    struct hm_loop_exchange *loop = HM_CONTAINER_OF(job, struct hm_loop_exchange, job);

    if (job->err == HM_NOTFOUND) {
        hm_http_answer_error(loop->x.req, HM_NOTFOUND, "there is no such alarm");
    } else if (job->err != HM_OK) {
        hm_http_answer_error(loop->x.req, job->err, "%s", "");
    } else {
        hm_http_answer_json(loop->x.req, 200, hm_alarm_json(find_cleared(loop->facts)));
    }
}

void hm_alarms_run_clear(struct hm_loop_exchange *loop)
{
    const char *id = strstr(hm_http_request_path(loop->x.req), "alarms/") + 7;
    struct clearing *clearing;
    uint64_t number = 0;

    if (!hm_alarm_json_number(id, strcspn(id, "/"), &number)) {
        submit(loop, on_alarm_clear);
        return;
    }
    clearing = calloc(1, sizeof *clearing);
    if (clearing == NULL) {
        hm_http_answer_error(loop->x.req, HM_NOMEM, "%s", "");
        return;
    }
    clearing->id = number;
    loop->facts = clearing;
    hm_loop_submit(loop, HM_STORE_WRITE, clear_kept, on_cleared);
}

/* Status. */

static json_t *upstream_json(const struct hm_upstream_facts *upstream)
{
    if (!upstream->known) {
        return json_null();
    }
    return json_pack(
        "{s:s, s:s, s:o, s:s?, s:s?, s:o}", "url", upstream->url, "state",
        upstream->state, "last_ok", hm_node_facts_time(upstream->last_ok_utc_ms),
        "last_error", upstream->last_error[0] == 0 ? NULL : upstream->last_error,
        "waits_for", upstream->waits_for[0] == 0 ? NULL : upstream->waits_for,
        "next_try", hm_node_facts_time(upstream->next_utc_ms));
}

/* What the store would say, when it can't be read any more. */
static void forget_numbers(json_t *json)
{
    static const char *const names[] = {
        "role",      "scopes", "unsent",     "receipts",        "households",
        "conflicts", "paused", "quarantine", "clock_offset_ms", "notices"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)json_object_set_new(json, names[i], json_null());
    }
}

static json_t *status_json(const struct hm_loop_exchange *loop)
{
    struct hm_node_facts *facts = loop->facts;
    const char *damaged = loop->x.node->damaged;
    struct hm_upstream_facts upstream;
    json_t *scopes = facts->scopes;
    json_t *json;

    facts->scopes = NULL;
    hm_upstream_facts(loop->x.node->upstream, &upstream);
    json = json_pack(
        "{s:s, s:s, s:o, s:o, s:{s:I, s:i, s:I, s:o}, s:{s:I, s:I}, s:b, s:I, s:I, "
        "s:I, s:o, s:o, s:s, s:b, s:s?, s:o}",
        "node", loop->x.node->config.name, "role", hm_node_facts_role_name(facts->role),
        "scopes", scopes, "upstream", upstream_json(&upstream), "unsent", "changes",
        (json_int_t)facts->unsent_changes, "attachments", 0, "bytes",
        (json_int_t)facts->unsent_bytes, "oldest",
        hm_node_facts_time(facts->unsent_oldest_utc_ms), "receipts", "hub",
        (json_int_t)facts->at_hub, "centre", (json_int_t)facts->at_centre, "paused",
        (int)facts->paused, "households", (json_int_t)facts->households, "conflicts",
        (json_int_t)facts->conflicts, "quarantine", (json_int_t)facts->quarantine,
        "alarms", alarms_json(loop), "clock_offset_ms",
        facts->has_clock_offset ? json_integer(facts->clock_offset_ms) : json_null(),
        "version", hm_store_open_version(), "read_only", damaged[0] != 0, "damaged",
        damaged[0] == 0 ? NULL : damaged, "revoked",
        hm_node_facts_time(facts->revoked_utc_ms));
    (void)json_object_set_new(json, "notices",
                              json_integer((json_int_t)facts->notices));
    return json;
}

static void on_status(struct hm_store_job *job)
{
    struct hm_loop_exchange *loop = HM_CONTAINER_OF(job, struct hm_loop_exchange, job);

    if (job->err == HM_CORRUPT) {
        struct hm_node_facts *facts = loop->facts;
        json_t *json;

        facts->scopes = json_array();
        json = status_json(loop);
        forget_numbers(json);
        hm_http_answer_json(loop->x.req, 200, json);
    } else if (job->err != HM_OK) {
        hm_http_answer_error(loop->x.req, job->err, "%s", "");
    } else {
        hm_http_answer_json(loop->x.req, 200, status_json(loop));
    }
}

void hm_status_run(struct hm_loop_exchange *loop)
{
    submit(loop, on_status);
}

/* Metrics. */

static void write_turns(const struct hm_node *node, struct hm_buf *out)
{
    struct hm_turn_stats stats = hm_turn_stats(&node->turn);
    uint64_t count = 0;

    hm_buf_printf(
        out, "# HELP hamletd_loop_turn_cpu_seconds CPU time of a turn of the loop\n"
             "# TYPE hamletd_loop_turn_cpu_seconds histogram\n");
    for (unsigned i = 0; i < HM_TURN_BUCKETS - 1; i++) {
        count += stats.counts[i];
        hm_buf_printf(out, "hamletd_loop_turn_cpu_seconds_bucket{le=\"%.3f\"} %llu\n",
                      (double)hm_turn_bounds_ms[i] / 1000, (unsigned long long)count);
    }
    hm_buf_printf(out,
                  "hamletd_loop_turn_cpu_seconds_bucket{le=\"+Inf\"} %llu\n"
                  "hamletd_loop_turn_cpu_seconds_sum %.6f\n"
                  "hamletd_loop_turn_cpu_seconds_count %llu\n"
                  "# TYPE hamletd_loop_turn_cpu_seconds_max gauge\n"
                  "hamletd_loop_turn_cpu_seconds_max %.6f\n",
                  (unsigned long long)stats.turns, (double)stats.sum_ns / 1e9,
                  (unsigned long long)stats.turns, (double)stats.max_ns / 1e9);
}

static void write_value(struct hm_buf *out, const char *name, const char *type,
                        uint64_t value)
{
    hm_buf_printf(out, "# TYPE hamletd_%s %s\nhamletd_%s %llu\n", name, type, name,
                  (unsigned long long)value);
}

static void on_metrics(struct hm_store_job *job)
{
    struct hm_loop_exchange *loop = HM_CONTAINER_OF(job, struct hm_loop_exchange, job);
    const struct hm_node_facts *facts = loop->facts;
    const struct hm_node *node = loop->x.node;
    struct hm_store_thread_stats stats;
    struct hm_log_keeper_facts filing;
    struct hm_buf out;

    if (job->err != HM_OK) {
        hm_http_answer_error(loop->x.req, job->err, "%s", "");
        return;
    }
    stats = hm_store_thread_stats(node->store);
    hm_buf_init(&out, 64 * 1024);
    write_turns(node, &out);
    write_value(&out, "writer_queue", "gauge", stats.write_queue);
    write_value(&out, "reader_queue", "gauge", stats.read_queue);
    write_value(&out, "writes_total", "counter", stats.writes);
    write_value(&out, "sync_batches_total", "counter", stats.batches);
    write_value(&out, "syncs_served_total", "counter", node->syncs_served);
    write_value(&out, "syncs_refused_total", "counter", node->syncs_refused);
    write_value(&out, "households", "gauge", facts->households);
    write_value(&out, "conflicts", "gauge", facts->conflicts);
    write_value(&out, "quarantine", "gauge", facts->quarantine);
    write_value(&out, "unsent_changes", "gauge", facts->unsent_changes);
    hm_log_keeper_facts(node->log_keeper, &filing);
    write_value(&out, "log_file_bytes", "gauge", filing.files.bytes);
    write_value(&out, "log_file_entries", "gauge", filing.files.entries);
    write_value(&out, "log_filings_total", "counter", filing.filings);
    write_value(&out, "log_filing_failures", "gauge", filing.failures);
    write_value(&out, "damaged", "gauge", node->damaged[0] != 0);
    if (hm_disk_free_bytes(node->disk) != UINT64_MAX) {
        write_value(&out, "disk_free_bytes", "gauge", hm_disk_free_bytes(node->disk));
    }
    hm_http_answer_bytes(loop->x.req, 200, "text/plain; version=0.0.4", &out);
}

void hm_metrics_run(struct hm_loop_exchange *loop)
{
    submit(loop, on_metrics);
}
