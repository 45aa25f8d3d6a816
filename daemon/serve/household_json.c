#include "daemon/serve/household_json.h"

#include "daemon/serve/cells.h"
#include "protocol/digest.h"

static const uint8_t nil_byte = 0xc0;

int hm_household_view(struct hm_call *call, const struct hm_household *h,
                      const struct hm_row *row, uint32_t field, struct hm_arena *arena,
                      struct hm_bytes *out_value)
{
    struct hm_policy_view view = {0};
    int err;

    if (row == NULL) {
        *out_value = hm_bytes_of(&nil_byte, 1);
        return HM_OK;
    }
    err = hm_policy_view(hm_call_policy_of(call, &row->key, field), h,
                         hm_row_cell(row, field), arena, &view);
    if (err == HM_OK) {
        *out_value = view.value;
    }
    return err;
}

int hm_household_rows(const struct hm_household *h, uint32_t form, uint32_t round,
                      uint32_t repeat, struct hm_arena *arena,
                      const struct hm_row ***out_rows, size_t *out_count)
{
    const struct hm_row **rows = hm_arena_array(arena, h->row_count, sizeof *rows);
    size_t count = 0;

    if (rows == NULL) {
        return HM_NOMEM;
    }
    for (size_t i = 0; i < h->row_count; i++) {
        const struct hm_row_key *key = &h->rows[i].key;

        if (key->form == form && key->round == round && key->repeat == repeat &&
            hm_policy_row_state(&h->rows[i]) != HM_ROW_REMOVED) {
            rows[count++] = &h->rows[i];
        }
    }
    *out_rows = rows;
    *out_count = count;
    return HM_OK;
}

/* -- Findings -- */

struct findings {
    struct hm_call *call;
    const struct hm_household *h;
    struct hm_arena *arena;
    json_t *array; /* NULL: only count */
    size_t count;
};

static int add_finding(struct findings *f, const struct hm_row_key *key, uint32_t field)
{
    const struct hm_field_entry *entry = hm_cells_entry(f->call, key, field);
    json_t *object;
    int err;

    f->count++;
    if (f->array == NULL || entry == NULL) {
        return HM_OK;
    }
    object = json_object();
    err = hm_cells_describe(f->call, key, object);
    if (err == HM_OK) {
        err = hm_cells_set(object, "field", json_string(entry->name));
    }
    if (err == HM_OK) {
        err = hm_cells_set(
            object, "text",
            json_sprintf("%s: no answer yet", hm_field_entry_label(entry, "")));
    }
    if (err == HM_OK) {
        err = hm_cells_append(f->array, json_incref(object));
    }
    json_decref(object);
    return err;
}

static int check_row(struct findings *f, const struct hm_call_form *form,
                     const struct hm_row_key *key, const struct hm_row *row)
{
    size_t cells = row == NULL ? 0 : row->cell_count;
    uint32_t *answered = hm_arena_array(f->arena, cells, sizeof *answered);
    uint32_t *missing = hm_arena_array(f->arena, form->table->count, sizeof *missing);
    size_t count = 0;
    size_t missing_count;
    int err = HM_OK;

    if (answered == NULL || missing == NULL) {
        return HM_NOMEM;
    }
    for (size_t i = 0; i < cells && err == HM_OK; i++) {
        struct hm_bytes value;

        err = hm_household_view(f->call, f->h, row, row->cells[i].field, f->arena,
                                &value);
        if (err == HM_OK && !(value.len == 1 && value.data[0] == nil_byte)) {
            answered[count++] = row->cells[i].field;
        }
    }
    missing_count = hm_form_check_required(form->table, key->repeat, answered, count,
                                           missing, form->table->count);
    for (size_t i = 0; i < missing_count && err == HM_OK; i++) {
        err = add_finding(f, key, missing[i]);
    }
    return err;
}

/* A form that has rows has an own row, too, answered or not. */
static bool is_first_of_filling(const struct hm_household *h, size_t i)
{
    return i == 0 || h->rows[i - 1].key.form != h->rows[i].key.form ||
           h->rows[i - 1].key.round != h->rows[i].key.round;
}

static int find_all(struct findings *f)
{
    const struct hm_household *h = f->h;
    int err = HM_OK;

    for (size_t i = 0; i < h->row_count && err == HM_OK; i++) {
        const struct hm_row *row = &h->rows[i];
        const struct hm_call_form *form = hm_call_form(f->call, row->key.form);
        struct hm_row_key own = {.form = row->key.form, .round = row->key.round};

        if (form == NULL || form->table == NULL) {
            continue;
        }
        if (is_first_of_filling(h, i) && row->key.repeat != 0) {
            err = check_row(f, form, &own, NULL);
        }
        if (err == HM_OK && hm_policy_row_state(row) != HM_ROW_REMOVED) {
            err = check_row(f, form, &row->key, row);
        }
    }
    return err;
}

int hm_household_json_findings(struct hm_call *call, const struct hm_household *h,
                               struct hm_arena *arena, json_t *array)
{
    struct findings f = {.call = call, .h = h, .arena = arena, .array = array};
    size_t facts = 0;
    int err = find_all(&f);

    return err == HM_OK ? hm_household_facts_findings(call, h, arena, array, &facts)
                        : err;
}

int hm_household_json_count_findings(struct hm_call *call, const struct hm_household *h,
                                     struct hm_arena *arena, size_t *out_count)
{
    struct findings f = {.call = call, .h = h, .arena = arena};
    size_t facts = 0;
    int err = find_all(&f);

    if (err == HM_OK) {
        err = hm_household_facts_findings(call, h, arena, NULL, &facts);
    }
    if (err == HM_OK) {
        *out_count = f.count + facts;
    }
    return err;
}

/* -- Rows -- */

static int add_cells(struct hm_call *call, const struct hm_household *h,
                     const struct hm_row *row, struct hm_arena *arena, json_t *values)
{
    int err = HM_OK;

    for (size_t i = 0; i < row->cell_count && err == HM_OK; i++) {
        const struct hm_cell *cell = &row->cells[i];
        const struct hm_field_entry *entry =
            hm_cells_entry(call, &row->key, cell->field);
        struct hm_bytes value;

        if (cell->field < HM_FIELD_FIRST || cell->sibling_count == 0) {
            continue;
        }
        err = hm_household_view(call, h, row, cell->field, arena, &value);
        if (err == HM_OK && entry != NULL) {
            err = hm_cells_set(values, entry->name, hm_cells_value(value));
        }
    }
    return err;
}

static int add_row(struct hm_call *call, const struct hm_household *h,
                   const struct hm_row *row, const char *owner, struct hm_arena *arena,
                   json_t *rows)
{
    json_t *object = json_object();
    json_t *values = json_object();
    int err = hm_cells_describe(call, &row->key, object);

    if (err == HM_OK) {
        err = add_cells(call, h, row, arena, values);
    }
    if (err == HM_OK) {
        err = hm_cells_set(object, "values", json_incref(values));
    }
    if (err == HM_OK) {
        err = hm_cells_set(object, "derived", json_object());
    }
    if (err == HM_OK && owner != NULL) {
        err = hm_cells_set(object, "owner", json_string(owner));
    }
    if (err == HM_OK) {
        err = hm_cells_append(rows, json_incref(object));
    }
    json_decref(values);
    json_decref(object);
    return err;
}

static bool passes(const struct hm_household_filter *filter, const struct hm_row *row)
{
    return row->key.form != HM_FORM_HOUSEHOLD &&
           hm_policy_row_state(row) != HM_ROW_REMOVED &&
           (filter == NULL ||
            ((filter->form == 0 || filter->form == row->key.form) &&
             (filter->round == 0 || filter->round == row->key.round)));
}

int hm_household_json_rows(struct hm_call *call, const struct hm_household *h,
                           const struct hm_household_filter *filter, const char *owner,
                           struct hm_arena *arena, json_t *rows)
{
    int err = HM_OK;

    for (size_t i = 0; i < h->row_count && err == HM_OK; i++) {
        if (passes(filter, &h->rows[i])) {
            err = add_row(call, h, &h->rows[i], owner, arena, rows);
        }
    }
    return err;
}

static int digest_text(const struct hm_household *h, char out[HM_DIGEST_TEXT_MAX])
{
    struct hm_buf bytes;
    struct hm_hash hash;
    int err;

    hm_buf_init(&bytes, HM_HOUSEHOLD_BYTES_MAX);
    hm_household_encode(h, &bytes);
    err = bytes.err;
    if (err == HM_OK) {
        hash = hm_household_hash(hm_buf_bytes(&bytes));
        hm_digest_to_text(&hash, out);
    }
    hm_buf_deinit(&bytes);
    return err;
}

static int fill(struct hm_call *call, const struct hm_household *h,
                const struct hm_household_filter *filter, struct hm_arena *arena,
                json_t *object)
{
    json_t *rows = json_array();
    json_t *conflicts = json_array();
    json_t *findings = json_array();
    char digest[HM_DIGEST_TEXT_MAX] = "";
    uint32_t scope = 0;
    const char *code;
    int err = hm_call_household_scope(call, h, arena, &scope);

    code = hm_units_code_of(call->tree, scope);
    if (err == HM_OK) {
        err = hm_household_json_rows(call, h, filter, NULL, arena, rows);
    }
    if (err == HM_OK) {
        err = hm_cells_conflicts(call, h, code, arena, NULL, conflicts);
    }
    if (err == HM_OK) {
        err = hm_household_json_findings(call, h, arena, findings);
    }
    if (err == HM_OK) {
        err = digest_text(h, digest);
    }
    if (err == HM_OK) {
        char id[HM_ID_TEXT_MAX];
        json_t *head;

        hm_household_id_to_text(&h->id, id);
        head = json_pack(
            "{s:s, s:s, s:o, s:O, s:O, s:O, s:s}", "household", id, "scope", code,
            "scope_id", json_sprintf("u%u", (unsigned)scope), "rows", rows, "conflicts",
            conflicts, "findings", findings, "digest", digest);
        err = head == NULL || json_object_update(object, head) != 0 ? HM_NOMEM : HM_OK;
        json_decref(head);
    }
    json_decref(rows);
    json_decref(conflicts);
    json_decref(findings);
    return err;
}

int hm_household_json(struct hm_call *call, const struct hm_household *h,
                      const struct hm_household_filter *filter, struct hm_arena *arena,
                      json_t **out_json)
{
    json_t *object = json_object();
    int err = fill(call, h, filter, arena, object);

    if (err != HM_OK) {
        json_decref(object);
        return err;
    }
    *out_json = object;
    return HM_OK;
}
