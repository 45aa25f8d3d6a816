#include "daemon/serve/cells.h"

#include <inttypes.h>
#include <stdio.h>

#include "protocol/fact.h"
#include "protocol/form/value.h"
#include "protocol/pack.h"

int hm_cells_set(json_t *object, const char *name, json_t *value)
{
    return json_object_set_new(object, name, value) == 0 ? HM_OK : HM_NOMEM;
}

int hm_cells_append(json_t *array, json_t *value)
{
    return json_array_append_new(array, value) == 0 ? HM_OK : HM_NOMEM;
}

json_t *hm_cells_text_or_null(const char *text)
{
    return text == NULL || text[0] == 0 ? json_null() : json_string(text);
}

/* -- Values -- */

bool hm_cells_is_removal(struct hm_bytes value)
{
    struct hm_reader r = {.left = value};
    struct hm_pack_head head = hm_pack_head_read(&r);

    return r.err == HM_OK && head.kind == HM_PACK_ARRAY;
}

void hm_cells_value_text(struct hm_bytes value, struct hm_buf *out)
{
    int err = hm_value_to_text(value, out);

    if (err == HM_MALFORMED) {
        hm_buf_append_str(out, "?"); /* made by a newer program */
    }
}

json_t *hm_cells_value(struct hm_bytes value)
{
    struct hm_reader r = {.left = value};
    struct hm_pack_head head = hm_pack_head_read(&r);
    struct hm_buf text;
    json_t *json;

    if (r.err == HM_OK && head.kind == HM_PACK_NIL) {
        return json_null();
    }
    if (r.err == HM_OK && ((head.kind == HM_PACK_UINT && head.bits <= INT64_MAX) ||
                           head.kind == HM_PACK_INT)) {
        return json_integer((json_int_t)head.bits);
    }
    hm_buf_init(&text, HM_HOUSEHOLD_BYTES_MAX);
    hm_cells_value_text(value, &text);
    json = text.err == HM_OK ? json_stringn((const char *)text.data, text.len) : NULL;
    if (text.err == HM_OK && text.len == 0) {
        json = json_string("");
    }
    hm_buf_deinit(&text);
    return json;
}

/* -- Names -- */

const struct hm_field_entry *
hm_cells_entry(const struct hm_call *call, const struct hm_row_key *key, uint32_t field)
{
    const struct hm_call_form *form = hm_call_form(call, key->form);

    return form == NULL || form->table == NULL || field < HM_FIELD_FIRST
               ? NULL
               : hm_field_table_by_number(form->table, field);
}

static const char *own_field(uint32_t field)
{
    switch (field) {
    case HM_FIELD_STATUS:
        return "status";
    case HM_FIELD_PARENT:
        return "parent";
    case HM_FIELD_SCOPE:
        return "scope";
    case HM_FIELD_MERGED:
        return "merged_into";
    case HM_FIELD_SPLIT:
        return "split_from";
    case HM_FIELD_APART:
        return "not_same";
    case HM_FIELD_DECIDED:
        return "decided";
    default:
        return NULL;
    }
}

static void append_field(const struct hm_call *call, const struct hm_row_key *key,
                         uint32_t field, struct hm_buf *out)
{
    const struct hm_field_entry *entry = hm_cells_entry(call, key, field);
    const char *own = own_field(field);

    if (entry != NULL) {
        hm_buf_append_str(out, entry->name);
    } else if (own != NULL) {
        hm_buf_append_str(out, own);
    } else {
        hm_buf_printf(out, "#%" PRIu32, field);
    }
}

static void append_form(const struct hm_call *call, const struct hm_row_key *key,
                        struct hm_buf *out)
{
    const struct hm_call_form *form = hm_call_form(call, key->form);

    if (key->form == HM_FORM_HOUSEHOLD) {
        hm_buf_append_str(out, "household");
    } else if (form != NULL) {
        hm_buf_append_str(out, form->item.form_id);
    } else {
        hm_buf_printf(out, "#%" PRIu32, key->form);
    }
}

static void append_round(const struct hm_call *call, const struct hm_row_key *key,
                         struct hm_buf *out)
{
    const struct hm_round *round = hm_call_round(call, key->round);

    if (round != NULL) {
        hm_buf_append_str(out, round->code);
    } else {
        hm_buf_printf(out, "#%" PRIu32, key->round);
    }
}

static void append_repeat(const struct hm_call *call, const struct hm_row_key *key,
                          struct hm_buf *out)
{
    const struct hm_field_entry *entry = hm_cells_entry(call, key, key->repeat);

    if (entry != NULL) {
        hm_buf_append_str(out, entry->name);
    } else {
        hm_buf_printf(out, "#%" PRIu32, key->repeat);
    }
}

void hm_cells_text(const struct hm_call *call, const struct hm_row_key *key,
                   uint32_t field, struct hm_buf *out)
{
    char item[HM_ID_TEXT_MAX];

    append_form(call, key, out);
    if (key->round != 0) {
        hm_buf_append_str(out, "@");
        append_round(call, key, out);
    }
    hm_buf_append_str(out, ":");
    if (key->repeat != 0) {
        hm_item_to_text(&key->item, item);
        append_repeat(call, key, out);
        hm_buf_printf(out, "[%s].", item);
    }
    append_field(call, key, field, out);
}

/* The text that append makes of a key, as JSON. */
static json_t *named(const struct hm_call *call, const struct hm_row_key *key,
                     void (*append)(const struct hm_call *call,
                                    const struct hm_row_key *key, struct hm_buf *out))
{
    struct hm_buf text;
    json_t *json;

    hm_buf_init(&text, HM_FIELD_TABLE_TEXT_BYTES_MAX + 64);
    append(call, key, &text);
    json = text.err == HM_OK ? json_stringn((const char *)text.data, text.len) : NULL;
    hm_buf_deinit(&text);
    return json;
}

int hm_cells_describe(const struct hm_call *call, const struct hm_row_key *key,
                      json_t *object)
{
    char item[HM_ID_TEXT_MAX];
    int err = hm_cells_set(object, "form", named(call, key, append_form));

    hm_item_to_text(&key->item, item);
    if (err == HM_OK) {
        err = hm_cells_set(object, "round",
                           key->round == 0 ? json_null()
                                           : named(call, key, append_round));
    }
    if (err == HM_OK) {
        err = hm_cells_set(object, "repeat",
                           key->repeat == 0 ? json_null()
                                            : named(call, key, append_repeat));
    }
    if (err == HM_OK) {
        err = hm_cells_set(object, "item", hm_cells_text_or_null(item));
    }
    return err;
}

int hm_cells_describe_cell(const struct hm_call *call, const struct hm_row_key *key,
                           uint32_t field, json_t *object)
{
    const struct hm_field_entry *entry = hm_cells_entry(call, key, field);
    struct hm_buf text;
    int err;

    hm_buf_init(&text, 4 * HM_FIELD_TABLE_TEXT_BYTES_MAX);
    append_field(call, key, field, &text);
    err = hm_cells_set(
        object, "field",
        text.err == HM_OK ? json_stringn((const char *)text.data, text.len) : NULL);
    if (err == HM_OK) {
        err =
            hm_cells_set(object, "label",
                         entry == NULL ? json_incref(json_object_get(object, "field"))
                                       : json_string(hm_field_entry_label(entry, "")));
    }
    hm_buf_clear(&text);
    hm_cells_text(call, key, field, &text);
    if (err == HM_OK) {
        err = hm_cells_set(
            object, "cell",
            text.err == HM_OK ? json_stringn((const char *)text.data, text.len) : NULL);
    }
    hm_buf_deinit(&text);
    return err;
}

/* -- Conflicts -- */

int hm_cells_author(struct hm_call *call, const struct hm_author *author, uint32_t user,
                    int64_t utc_ms, const struct hm_dot *dot, struct hm_arena *arena,
                    json_t *object)
{
    uint64_t device = author == NULL ? 0 : author->device;
    const char *who = hm_call_user_name(call, user, device, arena);
    const char *name = hm_call_device_name(call, device, arena);
    char text[HM_ID_TEXT_MAX];
    int err;

    hm_dot_to_text(dot, text);
    if (who == NULL || name == NULL) {
        return HM_NOMEM;
    }
    err = hm_cells_set(object, "who", json_string(who));
    if (err == HM_OK) {
        err = hm_cells_set(object, "device", json_string(name));
    }
    if (err == HM_OK) {
        err = hm_cells_set(object, "when", hm_call_time_json(utc_ms));
    }
    return err == HM_OK ? hm_cells_set(object, "dot", json_string(text)) : err;
}

/* What a sibling of the household's own row says. NULL: nothing known. */
static json_t *fact_value(struct hm_call *call, uint32_t field, struct hm_bytes value)
{
    char text[HM_ID_TEXT_MAX];
    struct hm_household_id id;
    uint32_t scope;

    if (field == HM_FIELD_STATUS) {
        return json_string(hm_fact_is_deletion(value) ? "deleted" : "kept");
    }
    if (field == HM_FIELD_SCOPE && hm_fact_scope(value, &scope)) {
        return json_string(hm_units_code_of(call->tree, scope));
    }
    if ((field == HM_FIELD_MERGED || field == HM_FIELD_SPLIT) &&
        hm_fact_household(value, &id)) {
        hm_household_id_to_text(&id, text);
        return json_string(text);
    }
    return hm_cells_value(hm_fact_target(field, value));
}

json_t *hm_cells_said(struct hm_call *call, const struct hm_row_key *key,
                      uint32_t field, struct hm_bytes value)
{
    if (key->form == HM_FORM_HOUSEHOLD) {
        return fact_value(call, field, value);
    }
    if (field == HM_FIELD_STATUS) {
        return json_string(hm_cells_is_removal(value) ? "removed" : "kept");
    }
    return hm_cells_value(value);
}

static int add_value(struct hm_call *call, const struct hm_household *h,
                     const struct hm_dot *dot, json_t *value, struct hm_arena *arena,
                     json_t *values)
{
    const struct hm_stamp *stamp = hm_household_stamp(h, dot);
    json_t *object = json_object();
    int err = hm_cells_set(object, "n",
                           json_integer((json_int_t)json_array_size(values) + 1));

    if (err == HM_OK) {
        err = hm_cells_set(object, "value", json_incref(value));
    }
    json_decref(value);
    if (err == HM_OK) {
        err = hm_cells_author(call, hm_household_author(h, dot->incarnation),
                              stamp == NULL ? HM_USER_OPERATOR : stamp->user,
                              stamp == NULL ? 0 : hm_policy_corrected_ms(h, stamp), dot,
                              arena, object);
    }
    if (err == HM_OK) {
        err = hm_cells_append(values, json_incref(object));
    }
    json_decref(object);
    return err;
}

/* The newest value in the row beside its status: what the removal had not seen. */
static const struct hm_dot *newest_in_row(const struct hm_household *h,
                                          const struct hm_row *row)
{
    const struct hm_dot *newest = NULL;
    int64_t newest_ms = INT64_MIN;

    for (size_t i = 0; i < row->cell_count; i++) {
        const struct hm_cell *cell = &row->cells[i];

        for (size_t j = 0; cell->field != HM_FIELD_STATUS && j < cell->sibling_count;
             j++) {
            const struct hm_stamp *stamp =
                hm_household_stamp(h, &cell->siblings[j].dot);
            int64_t at = stamp == NULL ? 0 : hm_policy_corrected_ms(h, stamp);

            if (newest == NULL || at > newest_ms) {
                newest = &cell->siblings[j].dot;
                newest_ms = at;
            }
        }
    }
    return newest;
}

const struct hm_dot *hm_cells_edited(const struct hm_household *h,
                                     const struct hm_policy_conflict *conflict)
{
    switch (conflict->kind) {
    case HM_CONFLICT_REMOVED:
        return newest_in_row(h, conflict->row);
    case HM_CONFLICT_DELETED:
        return hm_fact_unseen_by_deletion(h);
    case HM_CONFLICT_EDITED:
        return hm_fact_unseen_by_merge(h);
    case HM_CONFLICT_VALUES:
    case HM_CONFLICT_MOVED:
    case HM_CONFLICT_MERGED:
        break;
    }
    return NULL;
}

static int add_values(struct hm_call *call, const struct hm_household *h,
                      const struct hm_policy_conflict *conflict, struct hm_arena *arena,
                      json_t *values)
{
    const struct hm_cell *cell = conflict->cell;
    const struct hm_row_key *key = &conflict->row->key;
    const struct hm_dot *kept = hm_cells_edited(h, conflict);
    int err = HM_OK;

    for (size_t i = 0; i < cell->sibling_count && err == HM_OK; i++) {
        const struct hm_sibling *sibling = &cell->siblings[i];

        err = add_value(call, h, &sibling->dot,
                        hm_cells_said(call, key, cell->field, sibling->value), arena,
                        values);
    }
    if (err == HM_OK && kept != NULL) {
        err = add_value(call, h, kept, json_string("kept"), arena, values);
    }
    return err;
}

static int one_conflict(struct hm_call *call, const struct hm_household *h,
                        const char *scope, const struct hm_policy_conflict *conflict,
                        struct hm_arena *arena, json_t *object)
{
    char id[HM_ID_TEXT_MAX];
    json_t *values = json_array();
    int err;

    hm_household_id_to_text(&h->id, id);
    err = hm_cells_set(object, "household", json_string(id));
    if (err == HM_OK) {
        err = hm_cells_set(object, "scope", json_string(scope));
    }
    if (err == HM_OK) {
        err = hm_cells_describe(call, &conflict->row->key, object);
    }
    if (err == HM_OK) {
        err = hm_cells_describe_cell(call, &conflict->row->key, conflict->cell->field,
                                     object);
    }
    if (err == HM_OK) {
        err = hm_cells_set(object, "kind",
                           json_string(hm_conflict_kind_name(conflict->kind)));
    }
    if (err == HM_OK) {
        err = add_values(call, h, conflict, arena, values);
    }
    if (err == HM_OK) {
        err = hm_cells_set(object, "values", json_incref(values));
    }
    json_decref(values);
    return err;
}

int hm_cells_conflicts(struct hm_call *call, const struct hm_household *h,
                       const char *scope, struct hm_arena *arena, const char *form,
                       json_t *array)
{
    const struct hm_call_form *only =
        form == NULL ? NULL : hm_call_form_named(call, form);
    struct hm_policy_conflict *conflicts = NULL;
    size_t count = 0;
    int err =
        hm_policy_conflicts(h, hm_call_policy_of, call, arena, &conflicts, &count);

    for (size_t i = 0; i < count && err == HM_OK; i++) {
        json_t *object;

        if (only != NULL && conflicts[i].row->key.form != only->item.number) {
            continue;
        }
        object = json_object();
        err = one_conflict(call, h, scope, &conflicts[i], arena, object);
        if (err == HM_OK) {
            err = hm_cells_append(array, json_incref(object));
        }
        json_decref(object);
    }
    return err;
}
