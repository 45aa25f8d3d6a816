#include "daemon/serve/columns.h"

#include <stdlib.h>

#include "daemon/serve/save_json.h"

bool hm_columns_is_data(const struct hm_field_entry *entry)
{
    return !entry->retired &&
           (entry->kind == HM_FIELD_KIND_QUESTION ||
            entry->kind == HM_FIELD_KIND_HIDDEN) &&
           entry->policy != HM_FIELD_POLICY_DERIVED;
}

bool hm_columns_has_item(const struct hm_field_table *table,
                         const struct hm_field_entry *repeat)
{
    return hm_field_table_by_name(table, repeat->number, "item") != NULL;
}

/* "members[12].name": the repeat, 12 and the name; false: not of that kind. */
static bool split(struct hm_call *call, const char *name, const char **out_repeat,
                  unsigned long *out_row, const char **out_field)
{
    const char *open = strchr(name, '[');
    char *end = NULL;

    if (open == NULL || open[1] < '0' || open[1] > '9') {
        return false;
    }
    *out_row = strtoul(open + 1, &end, 10);
    if (strncmp(end, "].", 2) != 0 || end[2] == 0) {
        return false;
    }
    *out_field = end + 2;
    *out_repeat = hm_arena_text(&call->arena, hm_bytes_of(name, (size_t)(open - name)));
    return *out_repeat != NULL;
}

static int unknown(struct hm_call *call, const struct hm_call_form *form,
                   const char *name)
{
    return hm_call_fail(call, HM_INVALID, "column %s: form %s has no such field", name,
                        form->item.form_id);
}

static int read_row(struct hm_call *call, const struct hm_call_form *form,
                    const char *name, struct hm_import_column *out)
{
    const char *repeat = NULL;
    const char *field = NULL;
    unsigned long row = 0;

    if (!split(call, name, &repeat, &row, &field)) {
        return unknown(call, form, name);
    }
    if (row == 0 || row > HM_COLUMNS_ROWS_MAX) {
        return hm_call_fail(call, HM_INVALID,
                            "column %s: rows are counted from 1 to %d", name,
                            HM_COLUMNS_ROWS_MAX);
    }
    out->repeat = hm_field_table_repeat(form->table, repeat);
    if (out->repeat == NULL || out->repeat->retired) {
        return hm_call_fail(call, HM_INVALID, "column %s: form %s has no repeat %s",
                            name, form->item.form_id, repeat);
    }
    out->row = (unsigned)row;
    out->entry = hm_field_table_by_name(form->table, out->repeat->number, field);
    if (out->entry == NULL && strcmp(field, "item") == 0) {
        out->kind = HM_COLUMN_ITEM;
        return HM_OK;
    }
    out->kind = HM_COLUMN_FIELD;
    return out->entry == NULL ? unknown(call, form, name)
                              : hm_save_json_writable(call, out->entry);
}

int hm_columns_read(struct hm_call *call, const struct hm_call_form *form,
                    const char *name, struct hm_import_column *out)
{
    *out = (struct hm_import_column){.kind = HM_COLUMN_IGNORED};
    if (strcmp(name, "hamlet_reason") == 0) {
        return HM_OK;
    }
    if (strcmp(name, "household") == 0 || strcmp(name, "scope") == 0) {
        out->kind = name[0] == 'h' ? HM_COLUMN_HOUSEHOLD : HM_COLUMN_SCOPE;
        return HM_OK;
    }
    out->entry = hm_field_table_by_name(form->table, 0, name);
    if (out->entry == NULL) {
        return read_row(call, form, name, out);
    }
    out->kind = HM_COLUMN_FIELD;
    return out->entry->retired ? unknown(call, form, name)
                               : hm_save_json_writable(call, out->entry);
}
