#include "daemon/serve/status.h"

#include "daemon/serve/call.h"
#include "daemon/serve/cells.h"
#include "storage/households.h"
#include "storage/log.h"
#include "storage/quarantine.h"

static const char *role_name(enum hm_node_role role)
{
    switch (role) {
    case HM_NODE_NEW:
        return "new";
    case HM_NODE_LAPTOP:
        return "laptop";
    case HM_NODE_HUB:
        return "hub";
    case HM_NODE_CENTRE:
        return "centre";
    }
    return "new";
}

/* 0 when it is not there. */
static int number(struct hm_store *s, const char *name, int64_t *out)
{
    int err = hm_store_get_number(s, name, out);

    if (err == HM_NOTFOUND) {
        *out = 0;
        return HM_OK;
    }
    return err;
}

static int add_upstream(struct hm_call *call, json_t *status)
{
    struct hm_bytes url = {0};
    int64_t last_ok = 0;
    int err = hm_store_get_bytes(call->s, HM_META_UPSTREAM, &call->arena, &url);

    if (err == HM_NOTFOUND) {
        return hm_cells_set(status, "upstream", json_null());
    }
    if (err == HM_OK) {
        err = number(call->s, HM_META_LAST_OK, &last_ok);
    }
    return err == HM_OK
               ? hm_cells_set(status, "upstream",
                              json_pack("{s:o, s:s, s:o, s:n}", "url",
                                        json_stringn((const char *)url.data, url.len),
                                        "state", "offline", "last_ok",
                                        hm_call_time_json(last_ok), "last_error"))
               : err;
}

static int add_unsent(struct hm_call *call, json_t *status)
{
    struct hm_unsent unsent = {.changes = 0};
    int64_t parent = 0;
    int err = number(call->s, HM_META_UPSTREAM_DEVICE, &parent);

    if (err == HM_OK && parent != 0) {
        err = hm_log_unsent(call->s, (uint64_t)parent, &unsent);
    }
    if (err == HM_OK) {
        err = hm_cells_set(status, "unsent",
                           json_pack("{s:I, s:i, s:I, s:o}", "changes",
                                     (json_int_t)unsent.changes, "attachments", 0,
                                     "bytes", (json_int_t)unsent.bytes, "oldest",
                                     hm_call_time_json(unsent.oldest_utc_ms)));
    }
    if (err == HM_OK) {
        err = hm_cells_set(status, "receipts",
                           json_pack("{s:I, s:I}", "hub", (json_int_t)unsent.at_hub,
                                     "centre", (json_int_t)unsent.at_centre));
    }
    return err;
}

static int add_scopes(struct hm_call *call, json_t *status)
{
    struct hm_device device = {.scope_count = 0};
    json_t *scopes = json_array();
    int err = hm_devices_get(call->s, hm_store_device(call->s), &call->arena, &device);

    err = err == HM_NOTFOUND ? HM_OK : err;
    if (err == HM_OK && device.scope_count > 0) {
        err = hm_call_tree(call);
    }
    for (size_t i = 0; i < device.scope_count && err == HM_OK; i++) {
        err = hm_cells_append(
            scopes, json_string(hm_units_code_of(call->tree, device.scopes[i])));
    }
    if (err == HM_OK) {
        err = hm_cells_set(status, "scopes", json_incref(scopes));
    }
    json_decref(scopes);
    return err;
}

static int add_counts(struct hm_call *call, json_t *status)
{
    struct hm_households_count count = {.households = 0};
    uint64_t held = 0;
    int64_t paused = 0;
    int64_t offset = 0;
    json_t *rest;
    int err = hm_households_count(call->s, &count);

    if (err == HM_OK) {
        err = hm_quarantine_count(call->s, &held);
    }
    if (err == HM_OK) {
        err = number(call->s, HM_META_PAUSED, &paused);
    }
    if (err == HM_OK) {
        err = number(call->s, HM_META_CLOCK_OFFSET, &offset);
    }
    if (err != HM_OK) {
        return err;
    }
    rest = json_pack("{s:b, s:I, s:I, s:I, s:[], s:I, s:s}", "paused",
                     paused != 0 ? 1 : 0, "households", (json_int_t)count.households,
                     "conflicts", (json_int_t)count.conflicts, "quarantine",
                     (json_int_t)held, "alarms", "clock_offset_ms", (json_int_t)offset,
                     "version", call->node->version);
    err = rest == NULL || json_object_update(status, rest) != 0 ? HM_NOMEM : HM_OK;
    json_decref(rest);
    return err;
}

static int fill(struct hm_call *call, json_t *status)
{
    int err = hm_store_role(call->s, &call->role);

    if (err == HM_OK) {
        err = hm_cells_set(status, "node", json_string(call->node->name));
    }
    if (err == HM_OK) {
        err = hm_cells_set(status, "role", json_string(role_name(call->role)));
    }
    if (err == HM_OK) {
        err = add_scopes(call, status);
    }
    if (err == HM_OK) {
        err = add_upstream(call, status);
    }
    if (err == HM_OK) {
        err = add_unsent(call, status);
    }
    return err == HM_OK ? add_counts(call, status) : err;
}

int hm_api_status(struct hm_api_node *node, json_t **out)
{
    static const struct hm_api_request request = {.method = "GET", .path = ""};
    struct hm_call call;
    json_t *status = json_object();
    int err = hm_call_init(&call, node, &request, NULL);

    if (err == HM_OK) {
        err = hm_store_begin_read(node->store);
        if (err == HM_OK) {
            err = hm_store_end(node->store, fill(&call, status));
        }
    }
    hm_call_deinit(&call);
    if (err != HM_OK) {
        json_decref(status);
        return err;
    }
    *out = status;
    return HM_OK;
}
