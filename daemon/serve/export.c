/* Households as a file: CSV that can be imported again, or a Household a line. */
#include <stdio.h>

#include "daemon/serve/api_json.h"
#include "daemon/serve/cells.h"
#include "daemon/serve/columns.h"
#include "daemon/serve/each.h"
#include "daemon/serve/handlers.h"
#include "daemon/serve/household_json.h"
#include "protocol/fact.h"

struct repeat {
    const struct hm_field_entry *entry;
    size_t rows; /* the most that a household has */
    bool item;   /* ids have a column */
};

struct export
{
    struct hm_call *call;
    const struct hm_call_form *form; /* of a CSV; of JSON lines NULL: all */
    struct hm_household_filter filter;
    struct repeat *repeats;
    size_t repeat_count;
    struct hm_buf line;
};

static bool is_filled(const struct export *x, const struct hm_household *h)
{
    if (hm_fact_state(h) == HM_ROW_REMOVED) {
        return false; /* deleted */
    }
    for (size_t i = 0; i < h->row_count; i++) {
        const struct hm_row_key *key = &h->rows[i].key;

        if ((x->filter.form == 0 || key->form == x->filter.form) &&
            (x->filter.round == 0 || key->round == x->filter.round)) {
            return true;
        }
    }
    return false;
}

/* -- JSON lines -- */

static int json_line(void *arg, const struct hm_each *each)
{
    struct export *x = arg;
    json_t *household = NULL;
    int err;

    if (!is_filled(x, each->h)) {
        return HM_OK;
    }
    err = hm_household_json(x->call, each->h, &x->filter, each->arena, &household);
    if (err == HM_OK) {
        hm_spool_json(x->call->out, household);
        hm_spool_text(x->call->out, "\n");
        err = x->call->out->err;
    }
    return err;
}

/* -- CSV -- */

static void cell(struct export *x, struct hm_bytes text)
{
    bool quote = false;

    for (size_t i = 0; i < text.len && !quote; i++) {
        quote = strchr(",;\"\r\n", text.data[i]) != NULL;
    }
    if (x->line.len > 0) {
        hm_buf_append_u8(&x->line, ',');
    }
    if (!quote) {
        hm_buf_append(&x->line, text);
        return;
    }
    hm_buf_append_u8(&x->line, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '"') {
            hm_buf_append_u8(&x->line, '"');
        }
        hm_buf_append_u8(&x->line, text.data[i]);
    }
    hm_buf_append_u8(&x->line, '"');
}

static int end_line(struct export *x)
{
    hm_buf_append_u8(&x->line, '\n');
    if (x->line.err == HM_OK) {
        hm_spool_write(x->call->out, hm_buf_bytes(&x->line));
    }
    return x->line.err != HM_OK ? x->line.err : x->call->out->err;
}

static int count_rows(void *arg, const struct hm_each *each)
{
    struct export *x = arg;
    const struct hm_row **rows = NULL;
    size_t count = 0;
    int err = HM_OK;

    for (size_t i = 0; i < x->repeat_count && err == HM_OK; i++) {
        err =
            hm_household_rows(each->h, x->filter.form, x->filter.round,
                              x->repeats[i].entry->number, each->arena, &rows, &count);
        count = count > HM_COLUMNS_ROWS_MAX ? HM_COLUMNS_ROWS_MAX : count;
        if (count > x->repeats[i].rows) {
            x->repeats[i].rows = count;
        }
    }
    return err;
}

static int find_repeats(struct export *x)
{
    const struct hm_field_table *table = x->form->table;

    x->repeats = hm_arena_array(&x->call->arena, table->count, sizeof x->repeats[0]);
    if (x->repeats == NULL) {
        return HM_NOMEM;
    }
    for (size_t i = 0; i < table->count; i++) {
        const struct hm_field_entry *entry = &table->entries[i];

        if (entry->kind == HM_FIELD_KIND_REPEAT && !entry->retired) {
            x->repeats[x->repeat_count++] = (struct repeat){
                .entry = entry, .item = !hm_columns_has_item(table, entry)};
        }
    }
    return HM_OK;
}

static void name_cell(struct export *x, const struct repeat *repeat, size_t row,
                      const char *name)
{
    char text[2 * HM_FIELD_TABLE_TEXT_BYTES_MAX];
    int len = snprintf(text, sizeof text, "%s[%zu].%s", repeat->entry->name, row, name);

    if (len > 0 && (size_t)len < sizeof text) {
        cell(x, hm_bytes_of(text, (size_t)len));
    }
}

static int header(struct export *x)
{
    const struct hm_field_table *table = x->form->table;

    hm_buf_clear(&x->line);
    cell(x, hm_bytes_str("household"));
    cell(x, hm_bytes_str("scope"));
    for (size_t i = 0; i < table->count; i++) {
        if (table->entries[i].repeat == 0 && hm_columns_is_data(&table->entries[i])) {
            cell(x, hm_bytes_str(table->entries[i].name));
        }
    }
    for (size_t r = 0; r < x->repeat_count; r++) {
        for (size_t n = 1; n <= x->repeats[r].rows; n++) {
            if (x->repeats[r].item) {
                name_cell(x, &x->repeats[r], n, "item");
            }
            for (size_t i = 0; i < table->count; i++) {
                if (table->entries[i].repeat == x->repeats[r].entry->number &&
                    hm_columns_is_data(&table->entries[i])) {
                    name_cell(x, &x->repeats[r], n, table->entries[i].name);
                }
            }
        }
    }
    return end_line(x);
}

/* Blank for a row that there is not. */
static int row_cells(struct export *x, const struct hm_each *each,
                     const struct hm_row *row, uint32_t repeat)
{
    const struct hm_field_table *table = x->form->table;
    struct hm_buf text;
    int err = HM_OK;

    hm_buf_init(&text, HM_HOUSEHOLD_BYTES_MAX);
    for (size_t i = 0; i < table->count && err == HM_OK; i++) {
        const struct hm_field_entry *entry = &table->entries[i];
        struct hm_bytes value;

        if (entry->repeat != repeat || !hm_columns_is_data(entry)) {
            continue;
        }
        hm_buf_clear(&text);
        err = hm_household_view(x->call, each->h, row, entry->number, each->arena,
                                &value);
        if (err == HM_OK) {
            hm_cells_value_text(value, &text);
            err = text.err;
            cell(x, hm_buf_bytes(&text));
        }
    }
    hm_buf_deinit(&text);
    return err;
}

static int repeat_cells(struct export *x, const struct hm_each *each,
                        const struct repeat *repeat)
{
    const struct hm_row **rows = NULL;
    size_t count = 0;
    int err = hm_household_rows(each->h, x->filter.form, x->filter.round,
                                repeat->entry->number, each->arena, &rows, &count);

    for (size_t n = 0; n < repeat->rows && err == HM_OK; n++) {
        const struct hm_row *row = n < count ? rows[n] : NULL;
        char item[HM_ID_TEXT_MAX] = "";

        if (row != NULL) {
            hm_item_to_text(&row->key.item, item);
        }
        if (repeat->item) {
            cell(x, hm_bytes_str(item));
        }
        err = row_cells(x, each, row, repeat->entry->number);
    }
    return err;
}

static int csv_line(void *arg, const struct hm_each *each)
{
    struct export *x = arg;
    struct hm_row_key key = {.form = x->filter.form, .round = x->filter.round};
    char id[HM_ID_TEXT_MAX];
    int err;

    if (!is_filled(x, each->h)) {
        return HM_OK;
    }
    hm_household_id_to_text(&each->h->id, id);
    hm_buf_clear(&x->line);
    cell(x, hm_bytes_str(id));
    cell(x, hm_bytes_str(hm_units_code_of(x->call->tree, each->scope)));
    err = row_cells(x, each, hm_household_row(each->h, &key), 0);
    for (size_t i = 0; i < x->repeat_count && err == HM_OK; i++) {
        err = repeat_cells(x, each, &x->repeats[i]);
    }
    return err == HM_OK ? end_line(x) : err;
}

static int csv(struct export *x, const char *scope)
{
    int err = find_repeats(x);

    if (err == HM_OK) {
        err = hm_each_household(x->call, scope, false, count_rows, x);
    }
    if (err == HM_OK) {
        err = header(x);
    }
    return err == HM_OK ? hm_each_household(x->call, scope, false, csv_line, x) : err;
}

/* -- What is asked for -- */

static int read_filter(struct export *x, bool is_csv)
{
    struct hm_call *call = x->call;
    const char *form = hm_call_parameter(call, "form");
    const char *round = hm_call_parameter(call, "round");
    const struct hm_round *found = NULL;
    int err = hm_call_forms(call);

    for (size_t i = 0; is_csv && form == NULL && i < call->form_count; i++) {
        if (call->forms[i].item.fill == HM_FORM_FILL_ONCE) {
            form = call->forms[i].item.form_id;
        }
    }
    form = is_csv && form == NULL ? "register" : form;
    if (err == HM_OK && form != NULL) {
        err = hm_call_form_needed(call, form, &x->form);
        x->filter.form = err == HM_OK ? x->form->item.number : 0;
    }
    if (err == HM_OK && round != NULL) {
        found = hm_call_round_named(call, round);
        if (found == NULL) {
            return hm_call_fail(call, HM_NOTFOUND, "there is no round %s", round);
        }
        x->filter.round = found->id;
    }
    if (err == HM_OK && is_csv && found == NULL &&
        x->form->item.fill == HM_FORM_FILL_PER_ROUND) {
        err = hm_call_fail(call, HM_INVALID,
                           "form %s is filled once a round: round is missing", form);
    }
    return err;
}

int hm_export_handle(struct hm_call *call)
{
    const char *format = hm_call_parameter(call, "format");
    const char *scope = hm_call_parameter(call, "scope");
    struct export x = {.call = call};
    bool is_csv = format == NULL || strcmp(format, "csv") == 0;
    int err;

    if (!is_csv && strcmp(format, "jsonl") != 0) {
        return hm_call_fail(call, HM_INVALID, "format is csv or jsonl, not %s", format);
    }
    err = read_filter(&x, is_csv);
    if (err == HM_OK) {
        err = hm_api_json_stream(call, is_csv ? "text/csv" : "application/x-ndjson");
    }
    if (err != HM_OK) {
        return err;
    }
    hm_buf_init(&x.line, 8 * HM_HOUSEHOLD_BYTES_MAX);
    err =
        is_csv ? csv(&x, scope) : hm_each_household(call, scope, false, json_line, &x);
    hm_buf_deinit(&x.line);
    return err;
}
