/* Routes below conflicts/: a resolution is an ordinary save that names what it decides
 * on. */
#include "daemon/serve/api_json.h"
#include "daemon/serve/cells.h"
#include "daemon/serve/each.h"
#include "daemon/serve/handlers.h"
#include "daemon/serve/resolve.h"

/* -- Lists -- */

static int list_one(void *arg, const struct hm_each *each)
{
    struct hm_call *call = arg;

    return hm_cells_conflicts(call, each->h, hm_units_code_of(call->tree, each->scope),
                              each->arena, NULL, call->reply);
}

int hm_conflicts_handle_list(struct hm_call *call)
{
    call->reply = json_array();
    return hm_each_household(call, hm_call_parameter(call, "scope"), true, list_one,
                             call);
}

int hm_conflicts_handle_show(struct hm_call *call)
{
    struct hm_household h;
    uint32_t scope = 0;
    int err = hm_call_household(call, call->members[0], &call->arena, &h);

    if (err == HM_OK) {
        err = hm_call_household_scope(call, &h, &call->arena, &scope);
    }
    call->reply = json_array();
    return err == HM_OK
               ? hm_cells_conflicts(call, &h, hm_units_code_of(call->tree, scope),
                                    &call->arena, NULL, call->reply)
               : err;
}

/* -- Routes -- */

static json_t *dot_json(const struct hm_dot *dot)
{
    char text[HM_ID_TEXT_MAX];

    hm_dot_to_text(dot, text);
    return json_string(text);
}

int hm_conflicts_handle_resolve(struct hm_call *call)
{
    bool all = json_object_get(call->body, "all") != NULL ||
               json_object_get(call->body, "policy") != NULL;
    struct hm_resolving r = {.call = call, .arena = &call->arena};
    struct hm_save_result result = {.changed = false};
    enum hm_resolve_policy policy = HM_RESOLVE_LATEST;
    size_t left = 0;
    int err = hm_call_may_save(call);

    if (err == HM_OK && all) {
        err = json_object_get(call->body, "cell") != NULL
                  ? hm_call_fail(call, HM_INVALID, "give either a cell or all")
                  : hm_resolve_read_policy(call, &policy);
    }
    if (err == HM_OK) {
        err = hm_resolve_load(&r, call->members[0]);
    }
    if (err == HM_OK) {
        err = all ? hm_resolve_all(&r, policy, &HM_RESOLVE_FILTER_ALL)
                  : hm_resolve_cell(&r);
    }
    if (err == HM_OK) {
        err = hm_resolve_run(&r, &result, &left);
    }
    if (err != HM_OK) {
        return err;
    }
    if (all) {
        call->reply = json_pack("{s:I, s:I, s:[]}", "resolved", (json_int_t)r.decided,
                                "left", (json_int_t)left, "changes");
        return result.changed ? hm_cells_append(json_object_get(call->reply, "changes"),
                                                dot_json(&result.dot))
                              : HM_OK;
    }
    call->reply = json_pack("{s:s, s:o, s:I, s:I}", "household", call->members[0],
                            "change", dot_json(&result.dot), "resolved",
                            (json_int_t)r.decided, "left", (json_int_t)left);
    return call->reply == NULL ? HM_NOMEM : HM_OK;
}
