/* Routes below forms/. */
#include "storage/forms.h"

#include "daemon/form_publish.h"
#include "daemon/serve/api_json.h"
#include "daemon/serve/cells.h"
#include "daemon/serve/handlers.h"
#include "daemon/serve/upload_body.h"

static json_t *form_json(const struct hm_form_item *form)
{
    return json_pack("{s:s, s:s, s:s, s:s}", "id", form->form_id, "version",
                     form->version, "title", form->title, "fill",
                     hm_form_fill_name(form->fill));
}

int hm_forms_handle_list(struct hm_call *call)
{
    int err = hm_call_forms(call);

    call->reply = json_array();
    for (size_t i = 0; i < call->form_count && err == HM_OK; i++) {
        err = hm_cells_append(call->reply, form_json(&call->forms[i].item));
    }
    return err;
}

static json_t *field_json(const struct hm_field_table *table,
                          const struct hm_field_entry *entry)
{
    const struct hm_field_entry *repeat =
        entry->repeat == 0 ? NULL : hm_field_table_by_number(table, entry->repeat);
    bool is_repeat = entry->kind == HM_FIELD_KIND_REPEAT;

    return json_pack("{s:I, s:s, s:o, s:s, s:s, s:o, s:b}", "id",
                     (json_int_t)entry->number, "name", entry->name, "repeat",
                     hm_cells_text_or_null(repeat == NULL ? NULL : repeat->name),
                     "type", is_repeat ? "repeat" : hm_field_type_name(entry->type),
                     "label", hm_field_entry_label(entry, ""), "policy",
                     is_repeat ? json_null()
                               : json_string(hm_field_policy_name(entry->policy)),
                     "derived", entry->kind == HM_FIELD_KIND_CALCULATE ? 1 : 0);
}

static int add_fields(const struct hm_field_table *table, json_t *fields)
{
    int err = HM_OK;

    for (size_t i = 0; i < table->count && err == HM_OK; i++) {
        if (!table->entries[i].retired) {
            err = hm_cells_append(fields, field_json(table, &table->entries[i]));
        }
    }
    return err;
}

static int add_versions(const struct hm_form_item *form, json_t *versions)
{
    int err = HM_OK;

    for (size_t i = 0; i < form->earlier_count && err == HM_OK; i++) {
        err = hm_cells_append(versions, json_string(form->earlier[i].version));
    }
    return err == HM_OK ? hm_cells_append(versions, json_string(form->version)) : err;
}

int hm_forms_handle_show(struct hm_call *call)
{
    const struct hm_call_form *form = NULL;
    json_t *fields = json_array();
    json_t *versions = json_array();
    int err = hm_call_form_needed(call, call->members[0], &form);

    if (err == HM_OK) {
        err = add_fields(form->table, fields);
    }
    if (err == HM_OK) {
        err = add_versions(&form->item, versions);
    }
    if (err == HM_OK) {
        call->reply = form_json(&form->item);
        err = hm_cells_set(call->reply, "fields", json_incref(fields));
    }
    if (err == HM_OK) {
        err = hm_cells_set(call->reply, "versions", json_incref(versions));
    }
    json_decref(fields);
    json_decref(versions);
    return err;
}

/* The reason, with the node before it when it is about one. */
static int refuse(struct hm_call *call, int err,
                  const struct hm_form_publish_error *error)
{
    const char *name = hm_call_parameter(call, "name");

    if (error->reason[0] == 0) {
        return err;
    }
    call->problem_errors =
        json_pack("[{s:s, s:s}]", "node", error->node, "text", error->reason);
    if (error->node[0] == 0) {
        return hm_call_fail(call, err, "%s: %s", name, error->reason);
    }
    return hm_call_fail(call, err, "%s: %s: %s", name, error->node, error->reason);
}

int hm_forms_handle_publish(struct hm_call *call)
{
    struct hm_form_publish_error error = {.line = 0};
    struct hm_form_item form;
    struct hm_upload_body body;
    const char *name;
    uint32_t number = 0;
    int err = hm_call_parameter_needed(call, "name", &name);

    if (err == HM_OK) {
        err = hm_upload_body_map(call, HM_BLOB_BYTES_MAX, &body);
    }
    if (err != HM_OK) {
        return err;
    }
    err = hm_form_publish(call->s, body.bytes, hm_bytes_of(NULL, 0), &number, &error);
    hm_upload_body_unmap(&body);
    if (err != HM_OK) {
        return refuse(call, err, &error);
    }
    err = hm_forms_get(call->s, number, &call->arena, &form);
    if (err == HM_OK) {
        call->reply = form_json(&form);
        err = hm_cells_set(call->reply, "warnings", json_array());
    }
    call->status = 201;
    return err;
}
