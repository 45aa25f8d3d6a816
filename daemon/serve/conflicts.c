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
        err = all ? hm_resolve_all(&r, policy, 0) : hm_resolve_cell(&r);
    }
    if (err == HM_OK) {
        err = hm_resolve_run(&r, &result, &left);
    }
    if (err != HM_OK) {
        return err;
    }
    if (all) {
        call->reply =
            json_pack("{s:I, s:I, s:[]}", "resolved", (json_int_t)r.save.row_count,
                      "left", (json_int_t)left, "changes");
        return result.changed ? hm_cells_append(json_object_get(call->reply, "changes"),
                                                dot_json(&result.dot))
                              : HM_OK;
    }
    call->reply = json_pack("{s:s, s:o, s:I, s:I}", "household", call->members[0],
                            "change", dot_json(&result.dot), "resolved",
                            (json_int_t)r.save.row_count, "left", (json_int_t)left);
    return call->reply == NULL ? HM_NOMEM : HM_OK;
}

struct waiting {
    struct hm_arena *arena;
    struct hm_household_id *ids;
    size_t count;
    size_t room;
};

static int note_waiting(void *arg, const struct hm_each *each)
{
    struct waiting *waiting = arg;
    struct hm_household_id *grown;

    if (waiting->count == waiting->room) {
        waiting->room = 2 * waiting->room + 64;
        grown = hm_arena_grow(waiting->arena, waiting->ids, waiting->count,
                              waiting->room, sizeof *grown);
        if (grown == NULL) {
            return HM_NOMEM;
        }
        waiting->ids = grown;
    }
    waiting->ids[waiting->count++] = each->h->id;
    return HM_OK;
}

struct totals {
    size_t resolved;
    size_t left;
    json_t *changes;
};

static int resolve_household(struct hm_call *call, const struct hm_household_id *id,
                             enum hm_resolve_policy policy, uint32_t form,
                             struct totals *totals)
{
    struct hm_arena arena;
    struct hm_resolving r = {.call = call, .arena = &arena};
    struct hm_save_result result = {.changed = false};
    char text[HM_ID_TEXT_MAX];
    size_t left = 0;
    int err;

    hm_arena_init(&arena, HM_CALL_HOUSEHOLD_BYTES_MAX);
    hm_household_id_to_text(id, text);
    err = hm_resolve_load(&r, text);
    if (err == HM_OK) {
        err = hm_resolve_all(&r, policy, form);
    }
    if (err == HM_OK) {
        err = hm_resolve_run(&r, &result, &left);
    }
    if (err == HM_OK && result.changed) {
        err = hm_cells_append(totals->changes, dot_json(&result.dot));
    }
    totals->resolved += r.save.row_count;
    totals->left += left;
    hm_arena_deinit(&arena);
    return err;
}

int hm_conflicts_handle_resolve_all(struct hm_call *call)
{
    struct waiting waiting = {.arena = &call->arena};
    struct totals totals = {.changes = json_array()};
    const struct hm_call_form *form = NULL;
    const char *form_id = NULL;
    const char *scope = NULL;
    enum hm_resolve_policy policy = HM_RESOLVE_LATEST;
    int err = hm_call_may_save(call);

    if (err == HM_OK) {
        err = hm_resolve_read_policy(call, &policy);
    }
    if (err == HM_OK) {
        err = hm_api_json_text(call, call->body, "scope", false, &scope);
    }
    if (err == HM_OK) {
        err = hm_api_json_text(call, call->body, "form", false, &form_id);
    }
    if (err == HM_OK && form_id != NULL) {
        err = hm_call_form_needed(call, form_id, &form);
    }
    if (err == HM_OK) {
        err = hm_each_household(call, scope, true, note_waiting, &waiting);
    }
    for (size_t i = 0; i < waiting.count && err == HM_OK; i++) {
        err = resolve_household(call, &waiting.ids[i], policy,
                                form == NULL ? 0 : form->item.number, &totals);
    }
    if (err == HM_OK) {
        call->reply =
            json_pack("{s:I, s:I, s:O}", "resolved", (json_int_t)totals.resolved,
                      "left", (json_int_t)totals.left, "changes", totals.changes);
        err = call->reply == NULL ? HM_NOMEM : HM_OK;
    }
    json_decref(totals.changes);
    return err;
}
