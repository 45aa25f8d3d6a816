#include "daemon/serve/save_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/serve/api_json.h"
#include "protocol/form/value.h"
#include "storage/households.h"
#include "storage/redirects.h"

void hm_save_json_sign(const struct hm_call *call, struct hm_save *save)
{
    save->user = call->asker.user;
    save->rank = call->asker.rank;
}

bool hm_save_json_knows_item(const struct hm_household *h, const struct hm_item *item)
{
    for (size_t i = 0; i < h->row_count; i++) {
        if (hm_item_compare(&h->rows[i].key.item, item) == 0) {
            return true;
        }
    }
    return false;
}

/* -- Where a save goes -- */

int hm_save_json_filling(struct hm_call *call, const char *form_id, const char *round,
                         struct hm_save_filling *out)
{
    const struct hm_call_form *form = NULL;
    const struct hm_round *found = NULL;
    int err = hm_call_form_needed(call, form_id, &form);

    if (err == HM_OK) {
        err = hm_call_may_write(call, form);
    }
    if (err != HM_OK) {
        return err;
    }
    if (round != NULL) {
        found = hm_call_round_named(call, round);
        if (found == NULL) {
            return hm_call_fail(call, HM_NOTFOUND, "there is no round %s", round);
        }
        if (form->item.fill == HM_FORM_FILL_ONCE) {
            return hm_call_fail(call, HM_INVALID,
                                "form %s is filled once, outside of rounds", form_id);
        }
        if (!found->open) {
            return hm_call_fail(call, HM_INVALID, "round %s is closed", round);
        }
    } else if (form->item.fill == HM_FORM_FILL_PER_ROUND) {
        return hm_call_fail(call, HM_INVALID,
                            "form %s is filled once a round: round is missing",
                            form_id);
    }
    out->form = form;
    out->round = found == NULL ? 0 : found->id;
    return HM_OK;
}

static int check_scope(struct hm_call *call, uint32_t scope)
{
    const char *code = hm_units_code_of(call->tree, scope);
    int err = hm_call_scopes(call);

    if (err != HM_OK) {
        return err;
    }
    if (!hm_call_holds(call, scope)) {
        return hm_call_fail(call, HM_NOTFOUND, "this node does not hold hamlet %s",
                            code);
    }
    if (!hm_call_may_see(call, scope)) {
        return hm_call_fail(call, HM_DENIED, "%s does not work in hamlet %s",
                            call->asker.name, code);
    }
    return HM_OK;
}

int hm_save_json_scope(struct hm_call *call, const char *text, uint32_t *out_scope)
{
    const struct hm_unit *unit = NULL;
    int err = hm_call_unit(call, text, &unit);

    if (err == HM_NOTFOUND) {
        return hm_call_fail(call, err, "scope: there is no hamlet %s", text);
    }
    if (err == HM_OK && unit->kind != HM_UNIT_HAMLET) {
        return hm_call_fail(call, HM_INVALID, "scope: %s is a %s, not a hamlet", text,
                            hm_unit_kind_name(unit->kind));
    }
    if (err == HM_OK) {
        err = check_scope(call, unit->id);
    }
    if (err == HM_OK) {
        *out_scope = unit->id;
    }
    return err;
}

int hm_save_json_target(struct hm_call *call, struct hm_household *h,
                        struct hm_arena *arena, uint32_t *out_scope)
{
    uint32_t *scopes = NULL;
    size_t count = 0;
    int err = hm_call_household_scope(call, h, arena, out_scope);

    if (err == HM_OK) {
        err = hm_call_scopes(call);
    }
    if (err == HM_OK) {
        err = hm_household_scopes(h, &scopes, &count);
    }
    /* Moved to two hamlets by two people, it is here as well as there. */
    for (size_t i = 0; i < count && !hm_call_holds(call, *out_scope); i++) {
        *out_scope = hm_call_holds(call, scopes[i]) ? scopes[i] : *out_scope;
    }
    return err == HM_OK ? check_scope(call, *out_scope) : err;
}

/* -- Values -- */

int hm_save_json_writable(struct hm_call *call, const struct hm_field_entry *entry)
{
    if (entry->kind == HM_FIELD_KIND_CALCULATE ||
        entry->policy == HM_FIELD_POLICY_DERIVED) {
        return hm_call_fail(call, HM_INVALID, "%s is calculated and cannot be written",
                            entry->name);
    }
    return HM_OK;
}

int hm_save_json_value(struct hm_call *call, const struct hm_field_table *table,
                       const struct hm_field_entry *entry, struct hm_bytes text,
                       struct hm_arena *arena, struct hm_bytes *out_value)
{
    struct hm_buf value;
    struct hm_buf why;
    int err;

    hm_buf_init(&value, HM_CHANGE_BYTES_MAX);
    hm_buf_init(&why, HM_VALUE_WHY_BYTES_MAX);
    err = hm_value_from_text(table, entry, text, &value, &why);
    if (err == HM_INVALID) {
        const char *line = hm_buf_str(&why);

        (void)hm_call_fail(call, err, "%s", line == NULL ? entry->name : line);
    }
    if (err == HM_OK) {
        err = value.err == HM_OK ? hm_arena_copy(arena, hm_buf_bytes(&value), out_value)
                                 : value.err;
    }
    hm_buf_deinit(&value);
    hm_buf_deinit(&why);
    return err;
}

/* -- Reading -- */

/* A household that is merged into the one that is written to. */
struct part {
    struct hm_household h;
    uint32_t scope;
    struct hm_save *save; /* NULL: nothing of it is written */
};

struct reading {
    struct hm_call *call;
    struct hm_arena *arena;
    struct hm_save_filling filling;
    struct hm_household *household; /* NULL for a new one */
    struct part *parts;
    size_t part_count;
};

static int join_items(struct reading *reading, const char *name, json_t *array,
                      struct hm_buf *text)
{
    json_t *item;
    size_t i;

    json_array_foreach(array, i, item)
    {
        if (!json_is_string(item)) {
            return hm_call_fail(reading->call, HM_INVALID,
                                "%s: an array holds texts only", name);
        }
        hm_buf_append_str(text, i == 0 ? "" : " ");
        hm_buf_append_str(text, json_string_value(item));
    }
    return text->err;
}

/* The text that a form would write for a JSON value. */
static int value_text(struct reading *reading, const struct hm_field_entry *entry,
                      json_t *value, struct hm_buf *text)
{
    switch (json_typeof(value)) {
    case JSON_NULL:
        break;
    case JSON_STRING:
        hm_buf_append(text,
                      hm_bytes_of(json_string_value(value), json_string_length(value)));
        break;
    case JSON_INTEGER:
        hm_buf_printf(text, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_REAL:
        hm_buf_printf(text, "%.15g", json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        hm_buf_append_str(text, json_is_true(value) ? "true" : "false");
        break;
    case JSON_ARRAY:
        if (entry->type != HM_FIELD_TYPE_SELECT && entry->type != HM_FIELD_TYPE_RANK) {
            return hm_call_fail(reading->call, HM_INVALID, "%s takes no array",
                                entry->name);
        }
        return join_items(reading, entry->name, value, text);
    case JSON_OBJECT:
    default:
        return hm_call_fail(reading->call, HM_INVALID, "%s takes no object",
                            entry->name);
    }
    return text->err;
}

static int read_cell(struct reading *reading, uint32_t repeat, const char *name,
                     json_t *value, struct hm_save_cell *out)
{
    const struct hm_field_table *table = reading->filling.form->table;
    const struct hm_field_entry *entry = hm_field_table_by_name(table, repeat, name);
    struct hm_buf text;
    int err;

    if (entry == NULL || entry->retired) {
        return hm_call_fail(reading->call, HM_INVALID, "form %s has no field %s",
                            reading->filling.form->item.form_id, name);
    }
    err = hm_save_json_writable(reading->call, entry);
    if (err != HM_OK) {
        return err;
    }
    hm_buf_init(&text, HM_CALL_BODY_BYTES_MAX);
    err = value_text(reading, entry, value, &text);
    out->field = entry->number;
    if (err == HM_OK) {
        err = hm_save_json_value(reading->call, table, entry, hm_buf_bytes(&text),
                                 reading->arena, &out->value);
    }
    hm_buf_deinit(&text);
    return err;
}

static int read_cells(struct reading *reading, json_t *values, struct hm_save_row *out)
{
    const char *name;
    json_t *value;
    int err = HM_OK;

    if (values == NULL || json_is_null(values)) {
        return HM_OK;
    }
    if (!json_is_object(values)) {
        return hm_call_fail(reading->call, HM_INVALID, "values is not a JSON object");
    }
    out->cells = hm_arena_array(reading->arena, json_object_size(values) + 1,
                                sizeof out->cells[0]);
    if (out->cells == NULL) {
        return HM_NOMEM;
    }
    json_object_foreach(values, name, value)
    {
        err =
            read_cell(reading, out->repeat, name, value, &out->cells[out->cell_count]);
        if (err != HM_OK) {
            return err;
        }
        out->cell_count++;
    }
    return HM_OK;
}

/* The household merged into this one to which an item belongs; NULL: none. */
static struct part *part_with(struct reading *reading, const struct hm_item *item)
{
    for (size_t i = 0; i < reading->part_count; i++) {
        if (hm_save_json_knows_item(&reading->parts[i].h, item)) {
            return &reading->parts[i];
        }
    }
    return NULL;
}

static int read_item(struct reading *reading, json_t *row, struct hm_save_row *out)
{
    const char *text;
    int err = hm_api_json_text(reading->call, row, "item", false, &text);

    if (err != HM_OK || text == NULL) {
        return err;
    }
    if (hm_item_from_text(text, &out->item) != HM_OK || hm_item_is_none(&out->item)) {
        return hm_call_fail(reading->call, HM_INVALID, "%s is not the id of an item",
                            text);
    }
    if (reading->household == NULL ||
        (!hm_save_json_knows_item(reading->household, &out->item) &&
         part_with(reading, &out->item) == NULL)) {
        return hm_call_fail(reading->call, HM_NOTFOUND, "the household has no item %s",
                            text);
    }
    return HM_OK;
}

static int read_row(struct reading *reading, json_t *row, struct hm_save_row *out)
{
    const struct hm_field_entry *repeat;
    json_t *removed;
    const char *name = NULL;
    int err =
        hm_api_json_members(reading->call, row, "repeat item values removed", "a row");

    if (err == HM_OK) {
        err = hm_api_json_text(reading->call, row, "repeat", true, &name);
    }
    if (err != HM_OK) {
        return err;
    }
    repeat = hm_field_table_repeat(reading->filling.form->table, name);
    if (repeat == NULL || repeat->retired) {
        return hm_call_fail(reading->call, HM_INVALID, "form %s has no repeat %s",
                            reading->filling.form->item.form_id, name);
    }
    out->repeat = repeat->number;
    err = read_item(reading, row, out);
    removed = json_object_get(row, "removed");
    if (err == HM_OK && removed != NULL && !json_is_boolean(removed)) {
        err = hm_call_fail(reading->call, HM_INVALID, "removed is not true or false");
    }
    out->removed = json_is_true(removed);
    if (err == HM_OK && out->removed && hm_item_is_none(&out->item)) {
        err = hm_call_fail(reading->call, HM_INVALID, "a new row cannot be removed");
    }
    return err == HM_OK ? read_cells(reading, json_object_get(row, "values"), out)
                        : err;
}

static int read_rows(struct reading *reading, struct hm_save *out)
{
    json_t *rows = json_object_get(reading->call->body, "rows");
    json_t *row;
    size_t i;
    int err;

    if (rows != NULL && !json_is_null(rows) && !json_is_array(rows)) {
        return hm_call_fail(reading->call, HM_INVALID, "rows is not an array");
    }
    out->rows =
        hm_arena_array(reading->arena, json_array_size(rows) + 1, sizeof out->rows[0]);
    if (out->rows == NULL) {
        return HM_NOMEM;
    }
    out->row_count = 1;
    for (i = 0; i <= json_array_size(rows); i++) {
        out->rows[i].form = reading->filling.form->item.number;
        out->rows[i].round = reading->filling.round;
    }
    err = read_cells(reading, json_object_get(reading->call->body, "values"),
                     &out->rows[0]);
    json_array_foreach(rows, i, row)
    {
        if (err != HM_OK) {
            break;
        }
        err = read_row(reading, row, &out->rows[out->row_count++]);
    }
    return err;
}

/* Rows of merged households go to these. */
static int share_rows(struct reading *reading, struct hm_save_json *out)
{
    struct hm_save *save = &out->save;
    size_t kept = 0;

    out->others =
        hm_arena_array(reading->arena, reading->part_count, sizeof out->others[0]);
    if (out->others == NULL) {
        return HM_NOMEM;
    }
    for (size_t i = 0; i < save->row_count; i++) {
        struct hm_save_row *row = &save->rows[i];
        struct part *part =
            hm_item_is_none(&row->item) ||
                    hm_save_json_knows_item(reading->household, &row->item)
                ? NULL
                : part_with(reading, &row->item);

        if (part == NULL) {
            save->rows[kept++] = *row;
            continue;
        }
        if (part->save == NULL) {
            part->save = &out->others[out->other_count++];
            *part->save = *save;
            part->save->household = part->h.id;
            part->save->scope = part->scope;
            part->save->row_count = 0;
            part->save->rows = hm_arena_array(reading->arena, save->row_count,
                                              sizeof part->save->rows[0]);
            if (part->save->rows == NULL) {
                return HM_NOMEM;
            }
        }
        part->save->rows[part->save->row_count++] = *row;
    }
    save->row_count = kept;
    return HM_OK;
}

static int load_parts(struct reading *reading)
{
    struct hm_call *call = reading->call;
    struct hm_household_id *ids = NULL;
    size_t count = 0;
    int err = hm_redirects_parts(call->s, &reading->household->id, reading->arena, &ids,
                                 &count);

    if (err == HM_OK) {
        reading->parts =
            hm_arena_array(reading->arena, count, sizeof reading->parts[0]);
        err = reading->parts == NULL ? HM_NOMEM : HM_OK;
    }
    for (size_t i = 0; i < count && err == HM_OK; i++) {
        struct part *part = &reading->parts[reading->part_count];

        err = hm_households_load(call->s, &ids[i], reading->arena, &part->h);
        if (err == HM_OK) {
            err = hm_save_json_target(call, &part->h, reading->arena, &part->scope);
            reading->part_count += err == HM_OK ? 1 : 0;
        }
        if (err == HM_NOTFOUND || err == HM_DENIED) {
            call->line[0] = 0;
            err = HM_OK; /* not this node's, or not this person's */
        }
    }
    return err;
}

/* The household under which one is shown; itself when that is not here. */
static int load_survivor(struct reading *reading, struct hm_household *h)
{
    struct hm_household_id survivor;
    char text[HM_ID_TEXT_MAX];
    bool circle = false;
    int err = hm_redirects_survivor(reading->call->s, &h->id, &survivor, &circle);

    if (err != HM_OK || hm_household_id_compare(&survivor, &h->id) == 0) {
        return err;
    }
    hm_household_id_to_text(&survivor, text);
    err = hm_call_household(reading->call, text, reading->arena, h);
    if (err == HM_NOTFOUND) {
        reading->call->line[0] = 0;
        err = HM_OK;
    }
    return err;
}

static int read_new(struct hm_call *call, const char *scope, struct hm_save *out)
{
    if (scope == NULL) {
        return hm_call_fail(call, HM_INVALID,
                            "scope is missing: a new household needs its hamlet");
    }
    out->creates = true;
    return hm_save_json_scope(call, scope, &out->scope);
}

static int read_known(struct reading *reading, const char *household, const char *scope,
                      struct hm_save *out)
{
    struct hm_call *call = reading->call;
    const struct hm_unit *unit = NULL;
    struct hm_household *h = hm_arena_alloc(reading->arena, sizeof *h);
    int err;

    if (h == NULL) {
        return HM_NOMEM;
    }
    err = hm_call_household(call, household, reading->arena, h);
    if (err == HM_OK) {
        err = load_survivor(reading, h);
    }
    if (err == HM_OK) {
        err = hm_save_json_target(call, h, reading->arena, &out->scope);
    }
    if (err == HM_OK && scope != NULL) {
        err = hm_call_unit(call, scope, &unit);
        if (err == HM_OK && unit->id != out->scope) {
            err = hm_call_fail(call, HM_INVALID,
                               "household %s is in hamlet %s; a save does not move it",
                               household, hm_units_code_of(call->tree, out->scope));
        }
    }
    if (err == HM_OK) {
        out->household = h->id;
        reading->household = h;
        err = load_parts(reading);
    }
    return err;
}

int hm_save_json_read(struct hm_call *call, const char *household, const char *form_id,
                      struct hm_arena *arena, struct hm_save_json *out)
{
    struct reading reading = {.call = call, .arena = arena};
    struct hm_save *save = &out->save;
    const char *round = NULL;
    const char *scope = NULL;
    int err = hm_call_tree(call);

    *out = (struct hm_save_json){.other_count = 0};
    hm_save_json_sign(call, save);
    if (err == HM_OK && form_id == NULL) {
        err = hm_api_json_text(call, call->body, "form", true, &form_id);
    }
    if (err == HM_OK && household == NULL) {
        err = hm_api_json_text(call, call->body, "household", false, &household);
    }
    if (err == HM_OK) {
        err = hm_api_json_text(call, call->body, "round", false, &round);
    }
    if (err == HM_OK) {
        err = hm_api_json_text(call, call->body, "scope", false, &scope);
    }
    if (err == HM_OK) {
        err = hm_save_json_filling(call, form_id, round, &reading.filling);
    }
    if (err == HM_OK) {
        err = household == NULL ? read_new(call, scope, save)
                                : read_known(&reading, household, scope, save);
    }
    if (err == HM_OK) {
        err = read_rows(&reading, save);
    }
    return err == HM_OK && reading.part_count > 0 ? share_rows(&reading, out) : err;
}
