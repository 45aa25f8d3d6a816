/* Households from a CSV file: each record one change, some hundred records one
 * transaction, then others get their turn. */
#include "daemon/serve/cells.h"
#include "daemon/serve/columns.h"
#include "daemon/serve/csv_in.h"
#include "daemon/serve/handlers.h"
#include "daemon/serve/household_json.h"
#include "daemon/serve/save_json.h"
#include "daemon/serve/upload_body.h"
#include "storage/imports.h"

#include <stdlib.h>

enum {
    RECORDS_PER_CALL = 500,
    FILE_BYTES_MAX = 512 * 1024 * 1024,
    KEPT_BYTES_MAX = 4 * 1024 * 1024,
    RECORD_ARENA_BYTES_MAX = HM_CALL_HOUSEHOLD_BYTES_MAX
};

/* What stays between two calls. */
struct import {
    struct hm_upload_body body;
    uint8_t hash[HM_CONTENT_HASH_BYTES];
    struct hm_csv_in *csv;
    struct hm_arena kept;
    struct hm_csv_record header; /* in kept */
    uint64_t accepted;
    uint64_t duplicates;
    json_t *rejected;
};

/* A row of the save, and which columns go there. */
struct group {
    const struct hm_field_entry *repeat; /* NULL: the own row */
    unsigned row;
    size_t columns;
    const char *item; /* of the record at hand */
};

struct batch {
    struct hm_call *call;
    struct import *import;
    struct hm_save_filling filling;
    struct hm_import_column *columns;
    size_t *group_of; /* of each column */
    struct group *groups;
    size_t group_count;
    struct hm_arena arena; /* of the record at hand */
    struct hm_csv_record record;
};

static void cancel(void *progress)
{
    struct import *import = progress;

    if (import != NULL) {
        hm_csv_in_close(import->csv);
        hm_upload_body_unmap(&import->body);
        json_decref(import->rejected);
        hm_arena_deinit(&import->kept);
        free(import);
    }
}

static int start(struct hm_call *call, struct import **out_import)
{
    struct import *import = calloc(1, sizeof *import);
    const char *name;
    bool found = false;
    int err;

    if (import == NULL) {
        return HM_NOMEM;
    }
    hm_arena_init(&import->kept, KEPT_BYTES_MAX);
    import->rejected = json_array();
    err = hm_call_parameter_needed(call, "name", &name);
    if (err == HM_OK) {
        err = hm_upload_body_map(call, FILE_BYTES_MAX, &import->body);
    }
    if (err == HM_OK) {
        hm_hash_content(import->body.bytes, import->hash);
        err = hm_csv_in_open(import->body.bytes, &import->csv);
    }
    if (err == HM_OK) {
        err = hm_csv_in_next(import->csv, &import->kept, &import->header, &found);
    }
    if (err == HM_OK && (!found || import->header.wrong != NULL)) {
        err = hm_call_fail(call, HM_INVALID, "%s is not CSV: %s", name,
                           found ? import->header.wrong : "it has no first line");
    }
    if (err != HM_OK) {
        cancel(import);
        return err;
    }
    *out_import = import;
    return HM_OK;
}

/* -- Columns -- */

static size_t group_for(struct batch *b, const struct hm_import_column *column)
{
    for (size_t i = 0; i < b->group_count; i++) {
        if (b->groups[i].repeat == column->repeat && b->groups[i].row == column->row) {
            return i;
        }
    }
    b->groups[b->group_count] =
        (struct group){.repeat = column->repeat, .row = column->row};
    return b->group_count++;
}

static int check_columns(struct batch *b)
{
    const struct hm_csv_record *header = &b->import->header;
    bool scope = false;
    bool household = false;

    for (size_t i = 0; i < header->count; i++) {
        scope = scope || b->columns[i].kind == HM_COLUMN_SCOPE;
        household = household || b->columns[i].kind == HM_COLUMN_HOUSEHOLD;
        for (size_t j = 0; j < i; j++) {
            if (b->columns[i].kind != HM_COLUMN_IGNORED &&
                hm_bytes_equal(header->fields[i], header->fields[j])) {
                return hm_call_fail(b->call, HM_INVALID, "column %s stands twice",
                                    (const char *)header->fields[i].data);
            }
        }
    }
    if (!scope && !household) {
        return hm_call_fail(b->call, HM_INVALID,
                            "the first line has no column scope nor household");
    }
    return HM_OK;
}

/* Anew in each call: the tables that columns point to may have been read anew. */
static int resolve(struct batch *b)
{
    const struct hm_csv_record *header = &b->import->header;
    struct hm_arena *arena = &b->call->arena;
    int err = HM_OK;

    b->columns = hm_arena_array(arena, header->count, sizeof b->columns[0]);
    b->group_of = hm_arena_array(arena, header->count, sizeof b->group_of[0]);
    b->groups = hm_arena_array(arena, header->count + 1, sizeof b->groups[0]);
    if (b->columns == NULL || b->group_of == NULL || b->groups == NULL) {
        return HM_NOMEM;
    }
    b->group_count = 1; /* the own row */
    for (size_t i = 0; i < header->count && err == HM_OK; i++) {
        err = hm_columns_read(b->call, b->filling.form,
                              (const char *)header->fields[i].data, &b->columns[i]);
        if (err == HM_OK && (b->columns[i].kind == HM_COLUMN_FIELD ||
                             b->columns[i].kind == HM_COLUMN_ITEM)) {
            b->group_of[i] = group_for(b, &b->columns[i]);
            b->groups[b->group_of[i]].columns++;
        }
    }
    return err == HM_OK ? check_columns(b) : err;
}

static int prepare(struct batch *b)
{
    struct hm_call *call = b->call;
    const char *form = hm_call_parameter(call, "form");
    int err = hm_call_forms(call);

    if (err == HM_OK) {
        err = hm_call_tree(call);
    }
    for (size_t i = 0; err == HM_OK && form == NULL && i < call->form_count; i++) {
        if (call->forms[i].item.fill == HM_FORM_FILL_ONCE) {
            form = call->forms[i].item.form_id;
        }
    }
    if (err == HM_OK) {
        err = hm_save_json_filling(call, form == NULL ? "register" : form,
                                   hm_call_parameter(call, "round"), &b->filling);
    }
    return err == HM_OK ? resolve(b) : err;
}

/* -- One record -- */

static struct hm_bytes field_of(const struct batch *b, size_t column)
{
    return column < b->record.count ? b->record.fields[column] : hm_bytes_of("", 0);
}

/* What the record has in the only column of a kind; NULL: blank or no such column. */
static const char *text_of(const struct batch *b, enum hm_column_kind kind)
{
    for (size_t i = 0; i < b->import->header.count; i++) {
        if (b->columns[i].kind == kind && field_of(b, i).len > 0) {
            return (const char *)field_of(b, i).data;
        }
    }
    return NULL;
}

static int read_values(struct batch *b, struct hm_save_row *rows)
{
    int err = HM_OK;

    for (size_t i = 0; i < b->group_count && err == HM_OK; i++) {
        rows[i].form = b->filling.form->item.number;
        rows[i].round = b->filling.round;
        rows[i].repeat = b->groups[i].repeat == NULL ? 0 : b->groups[i].repeat->number;
        b->groups[i].item = NULL;
        rows[i].cells =
            hm_arena_array(&b->arena, b->groups[i].columns, sizeof rows[i].cells[0]);
        err = rows[i].cells == NULL ? HM_NOMEM : HM_OK;
    }
    for (size_t i = 0; i < b->import->header.count && err == HM_OK; i++) {
        const struct hm_import_column *column = &b->columns[i];
        struct hm_bytes text = field_of(b, i);
        struct hm_save_row *row = &rows[b->group_of[i]];

        if (column->kind == HM_COLUMN_ITEM && text.len > 0) {
            b->groups[b->group_of[i]].item = (const char *)text.data;
        } else if (column->kind == HM_COLUMN_FIELD && text.len > 0) {
            struct hm_save_cell *cell = &row->cells[row->cell_count++];

            cell->field = column->entry->number;
            err = hm_save_json_value(b->call, b->filling.form->table, column->entry,
                                     text, &b->arena, &cell->value);
            if (err == HM_INVALID && column->repeat != NULL) {
                char line[HM_CALL_LINE_MAX];

                memcpy(line, b->call->line, sizeof line);
                (void)hm_call_fail(b->call, err, "%s[%u]: %s", column->repeat->name,
                                   column->row, line);
            }
        }
    }
    return err;
}

/* Which row of a known household a group is: by its id, else by its place. */
static int find_item(struct batch *b, const struct hm_household *h,
                     const struct group *group, struct hm_save_row *row)
{
    const struct hm_row **rows = NULL;
    size_t count = 0;
    int err;

    if (group->item != NULL) {
        if (hm_item_from_text(group->item, &row->item) != HM_OK || h == NULL ||
            !hm_save_json_knows_item(h, &row->item)) {
            return hm_call_fail(b->call, HM_NOTFOUND, "the household has no item %s",
                                group->item);
        }
        return HM_OK;
    }
    if (h == NULL || group->repeat == NULL) {
        return HM_OK;
    }
    err = hm_household_rows(h, row->form, row->round, row->repeat, &b->arena, &rows,
                            &count);
    if (err == HM_OK && group->row <= count) {
        row->item = rows[group->row - 1]->key.item;
    }
    return err;
}

static int read_target(struct batch *b, const char *household, const char *scope,
                       struct hm_household *h, struct hm_save *save)
{
    const struct hm_unit *unit = NULL;
    int err;

    if (household == NULL) {
        save->creates = true;
        return scope == NULL ? hm_call_fail(b->call, HM_INVALID, "the scope is missing")
                             : hm_save_json_scope(b->call, scope, &save->scope);
    }
    err = hm_call_household(b->call, household, &b->arena, h);
    if (err == HM_OK) {
        err = hm_save_json_target(b->call, h, &b->arena, &save->scope);
        save->household = h->id;
    }
    if (err == HM_OK && scope != NULL) {
        err = hm_call_unit(b->call, scope, &unit);
        if (err == HM_OK && unit->id != save->scope) {
            err =
                hm_call_fail(b->call, HM_INVALID,
                             "household %s is in hamlet %s; an import does not move it",
                             household, hm_units_code_of(b->call->tree, save->scope));
        }
    }
    return err;
}

static int read_save(struct batch *b, const char *household, struct hm_save *save)
{
    struct hm_household *h = hm_arena_alloc(&b->arena, sizeof *h);
    struct hm_save_row *rows =
        hm_arena_array(&b->arena, b->group_count, sizeof rows[0]);
    int err;

    if (h == NULL || rows == NULL) {
        return HM_NOMEM;
    }
    if (b->record.wrong != NULL) {
        return hm_call_fail(b->call, HM_INVALID, "%s", b->record.wrong);
    }
    if (b->record.count > b->import->header.count) {
        return hm_call_fail(b->call, HM_INVALID,
                            "the line has more fields than the first line");
    }
    hm_save_json_sign(b->call, save);
    err = read_target(b, household, text_of(b, HM_COLUMN_SCOPE), h, save);
    if (err == HM_OK) {
        err = read_values(b, rows);
    }
    save->rows = rows;
    for (size_t i = 0; i < b->group_count && err == HM_OK; i++) {
        if (rows[i].cell_count == 0) {
            continue; /* blank: nothing is said about this row */
        }
        err = find_item(b, save->creates ? NULL : h, &b->groups[i], &rows[i]);
        rows[save->row_count++] = rows[i];
    }
    return err;
}

static int take_record(struct batch *b)
{
    struct import *import = b->import;
    const char *household = text_of(b, HM_COLUMN_HOUSEHOLD);
    struct hm_household_id known;
    struct hm_save_result result;
    struct hm_save save = {.creates = false};
    int err = household != NULL
                  ? HM_NOTFOUND
                  : hm_imports_find(b->call->s, import->hash, b->record.line, &known);

    if (err == HM_OK) {
        import->duplicates++;
        return HM_OK;
    }
    err = err == HM_NOTFOUND ? read_save(b, household, &save) : err;
    if (err == HM_OK) {
        err = hm_save_run(b->call->s, &save, hm_call_policy_of, b->call, &b->arena,
                          &result);
    }
    if (err == HM_OK && household == NULL) {
        err =
            hm_imports_put(b->call->s, import->hash, b->record.line, &result.household);
    }
    if (err == HM_OK) {
        import->accepted += result.changed ? 1 : 0;
        import->duplicates += result.changed ? 0 : 1;
        b->call->answer->saved = b->call->answer->saved ||
                                 (result.changed && b->call->role != HM_NODE_CENTRE);
    }
    return err;
}

static bool is_about_the_line(int err)
{
    return err == HM_INVALID || err == HM_NOTFOUND || err == HM_DENIED ||
           err == HM_TOOBIG;
}

/* A record that is refused before it wrote anything is reported; all else ends it. */
static int take_or_reject(struct batch *b)
{
    uint64_t before = hm_store_own_log(b->call->s)->next_n;
    uint64_t after;
    const char *line;
    int err;

    b->call->line[0] = 0;
    (void)hm_store_fail(b->call->s, HM_OK, "%s", "");
    err = take_record(b);
    after = hm_store_own_log(b->call->s)->next_n;
    if (err == HM_OK || !is_about_the_line(err) || (before != 0 && after > before)) {
        return err;
    }
    line = b->call->line[0] != 0                 ? b->call->line
           : hm_store_errmsg(b->call->s)[0] != 0 ? hm_store_errmsg(b->call->s)
                                                 : hm_err_text(err);
    err = hm_cells_append(
        b->import->rejected,
        json_pack("{s:I, s:s}", "line", (json_int_t)b->record.line, "reason", line));
    b->call->line[0] = 0;
    return err;
}

static int take_records(struct batch *b, bool *out_more)
{
    bool found = true;
    int err = HM_OK;

    for (unsigned i = 0; i < RECORDS_PER_CALL && err == HM_OK && found; i++) {
        hm_arena_init(&b->arena, RECORD_ARENA_BYTES_MAX);
        err = hm_csv_in_next(b->import->csv, &b->arena, &b->record, &found);
        if (err == HM_OK && found) {
            err = take_or_reject(b);
        }
        hm_arena_deinit(&b->arena);
    }
    *out_more = found;
    return err;
}

int hm_import_handle(struct hm_call *call)
{
    struct import *import = call->answer->progress;
    struct batch b = {.call = call};
    bool more = false;
    int err = hm_call_may_save(call);

    if (err == HM_OK && import == NULL) {
        err = start(call, &import);
        call->answer->progress = err == HM_OK ? import : NULL;
        call->answer->cancel = cancel;
    }
    b.import = import;
    if (err == HM_OK) {
        err = prepare(&b);
    }
    if (err == HM_OK) {
        err = take_records(&b, &more);
    }
    if (err != HM_OK) {
        return err; /* the caller gives up what is kept */
    }
    call->answer->again = more;
    if (!more) {
        call->reply = json_pack(
            "{s:I, s:O, s:I}", "accepted", (json_int_t)import->accepted, "rejected",
            import->rejected, "duplicates", (json_int_t)import->duplicates);
        err = call->reply == NULL ? HM_NOMEM : HM_OK;
    }
    return err;
}
