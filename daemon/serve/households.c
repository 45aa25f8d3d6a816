/* Routes below households/. */
#include "storage/households.h"
#include "daemon/serve/api_json.h"
#include "daemon/serve/cells.h"
#include "daemon/serve/each.h"
#include "daemon/serve/handlers.h"
#include "daemon/serve/household_json.h"
#include "daemon/serve/save_json.h"
#include "daemon/serve/where.h"
#include "protocol/fact.h"
#include "storage/redirects.h"

/* -- The list -- */

/* What stands for a household in a list: fields of the register, where there is one. */
struct listing {
    struct hm_call *call;
    struct hm_where *where; /* NULL: all */
    const struct hm_call_form *form;
    uint32_t head_name;
    uint32_t address;
    uint32_t members;
    bool any;
};

static uint32_t number_of(const struct hm_field_entry *entry)
{
    return entry == NULL ? 0 : entry->number;
}

static void find_fields(struct listing *list)
{
    const struct hm_call_form *form = hm_call_form_named(list->call, "register");

    for (size_t i = 0; form == NULL && i < list->call->form_count; i++) {
        if (list->call->forms[i].item.fill == HM_FORM_FILL_ONCE) {
            form = &list->call->forms[i];
        }
    }
    if (form != NULL && form->table != NULL) {
        list->form = form;
        list->head_name =
            number_of(hm_field_table_by_name(form->table, 0, "head_name"));
        list->address = number_of(hm_field_table_by_name(form->table, 0, "address"));
        list->members = number_of(hm_field_table_repeat(form->table, "members"));
    }
}

static int shown(struct listing *list, const struct hm_each *each, uint32_t field,
                 json_t **out)
{
    struct hm_row_key key = {.form = list->form == NULL ? 0 : list->form->item.number};
    const struct hm_row *row = field == 0 ? NULL : hm_household_row(each->h, &key);
    struct hm_bytes value = {0};
    int err = hm_household_view(list->call, each->h, row, field, each->arena, &value);

    if (err == HM_OK) {
        *out = hm_cells_value(value);
        err = *out == NULL ? HM_NOMEM : HM_OK;
    }
    return err;
}

static int count_all(struct listing *list, const struct hm_each *each,
                     struct hm_where_counts *out)
{
    const struct hm_row **rows = NULL;
    size_t members = 0;
    size_t findings = 0;
    int err =
        hm_household_json_count_findings(list->call, each->h, each->arena, &findings);

    if (err == HM_OK && list->members != 0) {
        err = hm_household_rows(each->h, list->form->item.number, 0, list->members,
                                each->arena, &rows, &members);
    }
    *out = (struct hm_where_counts){members, each->row->conflicts, findings};
    return err;
}

static int write_line(struct listing *list, const struct hm_each *each,
                      const struct hm_where_counts *counts)
{
    struct hm_call *call = list->call;
    json_t *head_name = NULL;
    json_t *address = NULL;
    char id[HM_ID_TEXT_MAX];
    int err = shown(list, each, list->head_name, &head_name);

    hm_household_id_to_text(&each->h->id, id);
    if (err == HM_OK) {
        err = shown(list, each, list->address, &address);
    }
    if (err == HM_OK) {
        hm_spool_text(call->out, list->any ? ",\n" : "");
        list->any = true;
        hm_spool_json(
            call->out,
            json_pack(
                "{s:s, s:s, s:o, s:O, s:O, s:I, s:I, s:I, s:o}", "household", id,
                "scope", hm_units_code_of(call->tree, each->scope), "scope_id",
                json_sprintf("u%u", (unsigned)each->scope), "head_name", head_name,
                "address", address, "members", (json_int_t)counts->members, "conflicts",
                (json_int_t)counts->conflicts, "findings", (json_int_t)counts->findings,
                "changed", hm_call_time_json(each->row->changed_utc_ms)));
        err = call->out->err;
    }
    json_decref(head_name);
    json_decref(address);
    return err;
}

/* Gone, or to be found under another household that is here. */
static int is_hidden(struct hm_call *call, const struct hm_household *h, bool *out)
{
    struct hm_household_id survivor;
    struct hm_household_id into;
    bool circle = false;
    uint32_t home = 0;
    int err = HM_OK;

    *out = hm_fact_state(h) == HM_ROW_REMOVED;
    if (*out || !hm_fact_merged_into(h, &into)) {
        return HM_OK;
    }
    err = hm_redirects_survivor(call->s, &h->id, &survivor, &circle);
    if (err == HM_OK && hm_household_id_compare(&survivor, &h->id) != 0) {
        err = hm_households_home(call->s, &survivor, &home);
        *out = err == HM_OK;
    }
    return err == HM_NOTFOUND ? HM_OK : err;
}

static int list_one(void *arg, const struct hm_each *each)
{
    struct listing *list = arg;
    struct hm_where_counts counts;
    bool matches = true;
    bool hidden = false;
    int err = is_hidden(list->call, each->h, &hidden);

    if (err != HM_OK || hidden) {
        return err;
    }
    err = count_all(list, each, &counts);

    if (err == HM_OK && list->where != NULL) {
        err = hm_where_matches(list->call, list->where, each->h, &counts, each->arena,
                               &matches);
    }
    return err == HM_OK && matches ? write_line(list, each, &counts) : err;
}

int hm_households_handle_list(struct hm_call *call)
{
    const char *where = hm_call_parameter(call, "where");
    struct listing list = {.call = call};
    int err = hm_call_forms(call);

    if (err == HM_OK && where != NULL) {
        err = hm_where_parse(call, where, &list.where);
    }
    if (err == HM_OK) {
        err = hm_api_json_stream(call, "application/json");
    }
    if (err != HM_OK) {
        return err;
    }
    find_fields(&list);
    hm_spool_text(call->out, "[");
    err = hm_each_household(call, hm_call_parameter(call, "scope"), false, list_one,
                            &list);
    hm_spool_text(call->out, "]");
    return err == HM_OK ? call->out->err : err;
}

/* -- One -- */

int hm_households_handle_show(struct hm_call *call)
{
    const char *history = hm_call_parameter(call, "history");
    struct hm_household h;
    json_t *past = NULL;
    int err;

    if (history != NULL && strcmp(history, "1") != 0 && strcmp(history, "0") != 0) {
        return hm_call_fail(call, HM_INVALID, "history is 0 or 1");
    }
    err = hm_call_household(call, call->members[0], &call->arena, &h);
    if (err == HM_OK) {
        err = hm_household_json(call, &h, NULL, &call->arena, &call->reply);
    }
    if (err == HM_OK) {
        err = hm_household_facts_json(call, &h, &call->arena, call->reply);
    }
    if (err == HM_OK && history != NULL && history[0] == '1') {
        err = hm_history_json(call, &h, &call->arena, &past);
        if (err == HM_OK) {
            err = hm_cells_set(call->reply, "history", past);
        }
    }
    return err;
}

/* -- Saves -- */

static int items_json(const struct hm_save_result *result, json_t *items)
{
    char text[HM_ID_TEXT_MAX];
    int err = HM_OK;

    for (size_t i = 0; i < result->item_count && err == HM_OK; i++) {
        hm_item_to_text(&result->items[i], text);
        err = hm_cells_append(items, json_string(text));
    }
    return err;
}

static int answer_save(struct hm_call *call, const struct hm_save *save,
                       const struct hm_save_result *result)
{
    json_t *items = json_array();
    json_t *findings = json_array();
    json_t *duplicates = json_array();
    char id[HM_ID_TEXT_MAX];
    char dot[HM_ID_TEXT_MAX];
    int err = items_json(result, items);

    hm_household_id_to_text(&result->household, id);
    hm_dot_to_text(&result->dot, dot);
    if (err == HM_OK) {
        err = hm_household_json_findings(call, &result->state, &call->arena, findings);
    }
    if (err == HM_OK) {
        err = hm_duplicates_json(call, &result->state, &call->arena, duplicates);
    }
    if (err == HM_OK) {
        call->reply =
            json_pack("{s:s, s:o, s:O, s:O, s:{}, s:O}", "household", id, "change",
                      result->changed ? json_string(dot) : json_null(), "items", items,
                      "findings", findings, "derived", "duplicates", duplicates);
        err = call->reply == NULL ? HM_NOMEM : HM_OK;
    }
    call->status = save->creates ? 201 : 200;
    call->answer->saved = result->changed && call->role != HM_NODE_CENTRE;
    json_decref(items);
    json_decref(findings);
    json_decref(duplicates);
    return err;
}

static int put(struct hm_call *call, const char *household, const char *form_id)
{
    struct hm_save_result result;
    struct hm_save_result other;
    struct hm_save_json read;
    int err = hm_call_may_save(call);

    if (err == HM_OK) {
        err = hm_save_json_read(call, household, form_id, &call->arena, &read);
    }
    if (err == HM_OK) {
        err = hm_save_run(call->s, &read.save, hm_call_policy_of, call, &call->arena,
                          &result);
    }
    for (size_t i = 0; i < read.other_count && err == HM_OK; i++) {
        err = hm_save_run(call->s, &read.others[i], hm_call_policy_of, call,
                          &call->arena, &other);
        if (err == HM_OK && other.changed && !result.changed) {
            result.changed = true;
            result.dot = other.dot;
        }
    }
    return err == HM_OK ? answer_save(call, &read.save, &result) : err;
}

int hm_households_handle_put(struct hm_call *call)
{
    return put(call, NULL, NULL);
}

int hm_households_handle_put_form(struct hm_call *call)
{
    return put(call, call->members[0], call->members[1]);
}
