/* What a household says of itself: moved, merged, split, deleted, decided on. Each is
 * one cell write that carries what its author had seen (protocol/fact.h). */
#include <stdlib.h>

#include "daemon/serve/api_json.h"
#include "daemon/serve/cells.h"
#include "daemon/serve/handlers.h"
#include "daemon/serve/household_json.h"
#include "daemon/serve/save_json.h"
#include "protocol/fact.h"
#include "protocol/pack.h"
#include "storage/decisions.h"
#include "storage/households.h"
#include "storage/redirects.h"

enum { ITEMS_MAX = 200 };

static const uint8_t nil_byte = 0xc0;

/* The household of the path, which the asker may write to, and a save to it. */
static int load(struct hm_call *call, bool needs_reason, struct hm_household *out_h,
                struct hm_save *out_save)
{
    const char *reason = NULL;
    int err = hm_call_may_save(call);

    *out_save = (struct hm_save){.creates = false};
    if (err == HM_OK) {
        err = hm_api_json_text(call, call->body, "reason", needs_reason, &reason);
    }
    if (err == HM_OK) {
        err = hm_call_household(call, call->members[0], &call->arena, out_h);
    }
    if (err == HM_OK) {
        err = hm_save_json_target(call, out_h, &call->arena, &out_save->scope);
    }
    if (err == HM_OK) {
        out_save->household = out_h->id;
        out_save->reason = hm_bytes_str(reason);
        hm_save_json_sign(call, out_save);
    }
    return err;
}

static int answer(struct hm_call *call, const struct hm_save_result *result)
{
    char id[HM_ID_TEXT_MAX];
    char dot[HM_ID_TEXT_MAX];
    const char *code =
        hm_units_code_of(call->tree, hm_fact_shown_scope(&result->state));

    hm_household_id_to_text(&result->household, id);
    hm_dot_to_text(&result->dot, dot);
    call->reply =
        json_pack("{s:s, s:o, s:s}", "household", id, "change",
                  result->changed ? json_string(dot) : json_null(), "scope", code);
    call->answer->saved =
        call->answer->saved || (result->changed && call->role != HM_NODE_CENTRE);
    return call->reply == NULL ? HM_NOMEM : HM_OK;
}

/* Say one thing of the household; nil takes it back. */
static int say(struct hm_call *call, const struct hm_household *h, struct hm_save *save,
               uint32_t field, struct hm_bytes target)
{
    struct hm_save_cell cell = {.field = field, .value = target};
    struct hm_save_row row = {
        .form = HM_FORM_HOUSEHOLD, .cells = &cell, .cell_count = 1, .facts = true};
    struct hm_save_result result = {.changed = false};
    int err;

    save->rows = &row;
    save->row_count = 1;
    err = hm_decisions_save(call->s, save, 0, h, hm_call_policy_of, call, &call->arena,
                            &result);
    return err == HM_OK ? answer(call, &result) : err;
}

static int say_packed(struct hm_call *call, const struct hm_household *h,
                      struct hm_save *save, uint32_t field, struct hm_buf *packed)
{
    int err = packed->err;

    if (err == HM_OK) {
        err = say(call, h, save, field, hm_buf_bytes(packed));
    }
    hm_buf_deinit(packed);
    return err;
}

static int refuse_deleted(struct hm_call *call, const struct hm_household *h)
{
    char id[HM_ID_TEXT_MAX];

    if (hm_fact_state(h) != HM_ROW_REMOVED) {
        return HM_OK;
    }
    hm_household_id_to_text(&h->id, id);
    return hm_call_fail(call, HM_INVALID, "household %s was deleted; undo that first",
                        id);
}

int hm_facts_handle_move(struct hm_call *call)
{
    const struct hm_unit *unit = NULL;
    const char *scope = NULL;
    struct hm_household h;
    struct hm_save save;
    struct hm_buf target;
    int err = load(call, false, &h, &save);

    if (err == HM_OK) {
        err = refuse_deleted(call, &h);
    }
    if (err == HM_OK) {
        err = hm_api_json_text(call, call->body, "scope", true, &scope);
    }
    if (err == HM_OK) {
        err = hm_call_unit(call, scope, &unit);
    }
    if (err == HM_OK && unit->kind != HM_UNIT_HAMLET) {
        err = hm_call_fail(call, HM_INVALID, "%s is no hamlet", scope);
    }
    if (err != HM_OK) {
        return err;
    }
    hm_buf_init(&target, 16);
    hm_pack_uint(&target, unit->id);
    return say_packed(call, &h, &save, HM_FIELD_SCOPE, &target);
}

/* -- Merging ---------------------------------------------------------------------- */

/* It must not lead into a circle by what is known here. */
static int check_target(struct hm_call *call, const struct hm_household *h,
                        const char *text, struct hm_household *into)
{
    struct hm_household_id survivor;
    bool circle = false;
    int err = hm_call_household(call, text, &call->arena, into);

    if (err == HM_OK) {
        err = refuse_deleted(call, into);
    }
    if (err == HM_OK && hm_household_id_compare(&h->id, &into->id) == 0) {
        err =
            hm_call_fail(call, HM_INVALID, "a household cannot be merged into itself");
    }
    if (err == HM_OK) {
        err = hm_redirects_survivor(call->s, &into->id, &survivor, &circle);
    }
    if (err == HM_OK && hm_household_id_compare(&survivor, &h->id) == 0) {
        err = hm_call_fail(call, HM_INVALID,
                           "household %s is merged into %s already; unmerge it first",
                           text, call->members[0]);
    }
    return err;
}

int hm_facts_handle_merge(struct hm_call *call)
{
    const char *text = NULL;
    struct hm_household into;
    struct hm_household h;
    struct hm_save save;
    struct hm_buf target;
    int err = load(call, false, &h, &save);

    if (err == HM_OK) {
        err = refuse_deleted(call, &h);
    }
    if (err == HM_OK) {
        err = hm_api_json_text(call, call->body, "into", true, &text);
    }
    if (err == HM_OK) {
        err = check_target(call, &h, text, &into);
    }
    if (err != HM_OK) {
        return err;
    }
    hm_buf_init(&target, 64);
    hm_fact_pack_household(&into.id, &target);
    return say_packed(call, &h, &save, HM_FIELD_MERGED, &target);
}

int hm_facts_handle_unmerge(struct hm_call *call)
{
    struct hm_household_id into;
    struct hm_household h;
    struct hm_save save;
    int err = load(call, false, &h, &save);

    if (err == HM_OK && !hm_fact_merged_into(&h, &into)) {
        err = hm_call_fail(call, HM_INVALID, "household %s is not merged",
                           call->members[0]);
    }
    return err == HM_OK
               ? say(call, &h, &save, HM_FIELD_MERGED, hm_bytes_of(&nil_byte, 1))
               : err;
}

/* -- Deleting, deciding ----------------------------------------------------------- */

int hm_facts_handle_delete(struct hm_call *call)
{
    static const uint8_t deleted = HM_FACT_DELETED;
    struct hm_household h;
    struct hm_save save;
    int err = load(call, true, &h, &save);

    return err == HM_OK
               ? say(call, &h, &save, HM_FIELD_STATUS, hm_bytes_of(&deleted, 1))
               : err;
}

int hm_facts_handle_decide(struct hm_call *call)
{
    struct hm_household h;
    struct hm_save save;
    struct hm_hash hash;
    struct hm_buf target;
    struct hm_buf state;
    int err = load(call, false, &h, &save);

    if (err == HM_OK) {
        err = refuse_deleted(call, &h);
    }
    if (err != HM_OK) {
        return err;
    }
    hm_buf_init(&state, HM_HOUSEHOLD_BYTES_MAX);
    hm_household_encode(&h, &state);
    err = state.err;
    hash = hm_household_hash(hm_buf_bytes(&state));
    hm_buf_deinit(&state);
    if (err != HM_OK) {
        return err;
    }
    hm_buf_init(&target, 64);
    hm_pack_bin(&target, hm_hash_bytes(&hash));
    return say_packed(call, &h, &save, HM_FIELD_DECIDED, &target);
}

/* -- Splitting -------------------------------------------------------------------- */

struct splitting {
    struct hm_call *call;
    const struct hm_household *h;
    struct hm_item items[ITEMS_MAX];
    size_t item_count;
    struct hm_save made;    /* the new household */
    struct hm_save emptied; /* the old one, without these rows */
};

static bool is_chosen(const struct splitting *split, const struct hm_row *row)
{
    for (size_t i = 0; i < split->item_count; i++) {
        if (hm_item_compare(&split->items[i], &row->key.item) == 0) {
            return row->key.form != HM_FORM_HOUSEHOLD &&
                   hm_policy_row_state(row) != HM_ROW_REMOVED;
        }
    }
    return false;
}

static int read_items(struct splitting *split)
{
    struct hm_call *call = split->call;
    json_t *array = json_object_get(call->body, "items");
    json_t *text;
    size_t i;

    if (!json_is_array(array) || json_array_size(array) == 0 ||
        json_array_size(array) > ITEMS_MAX) {
        return hm_call_fail(call, HM_INVALID, "items is not an array of 1 to %d items",
                            ITEMS_MAX);
    }
    json_array_foreach(array, i, text)
    {
        struct hm_item *item = &split->items[i];
        const char *name = json_is_string(text) ? json_string_value(text) : "";

        if (hm_item_from_text(name, item) != HM_OK || hm_item_is_none(item)) {
            return hm_call_fail(call, HM_INVALID, "%s is not the id of an item", name);
        }
        split->item_count++;
    }
    for (i = 0; i < split->item_count; i++) {
        bool found = false;

        for (size_t j = 0; j < split->h->row_count; j++) {
            found = found || (hm_item_compare(&split->h->rows[j].key.item,
                                              &split->items[i]) == 0 &&
                              is_chosen(split, &split->h->rows[j]));
        }
        if (!found) {
            return hm_call_fail(call, HM_NOTFOUND, "the household has no item %s",
                                json_string_value(json_array_get(array, i)));
        }
    }
    return HM_OK;
}

/* A conflict stays where its values are: it is decided before its row goes. */
static int refuse_conflicts(struct splitting *split)
{
    struct hm_policy_conflict *conflicts = NULL;
    size_t count = 0;
    int err = hm_policy_conflicts(split->h, hm_call_policy_of, split->call,
                                  &split->call->arena, &conflicts, &count);

    for (size_t i = 0; i < count && err == HM_OK; i++) {
        if (is_chosen(split, conflicts[i].row)) {
            err = hm_call_fail(split->call, HM_INVALID,
                               "something about a chosen member waits for a decision; "
                               "see hamlet conflict show %s",
                               split->call->members[0]);
        }
    }
    return err;
}

static int copy_row(struct splitting *split, const struct hm_row *row)
{
    struct hm_call *call = split->call;
    const struct hm_row_key *key = &row->key;
    struct hm_save_row *made = &split->made.rows[split->made.row_count++];
    struct hm_save_row *gone = &split->emptied.rows[split->emptied.row_count++];
    int err = HM_OK;

    *made = (struct hm_save_row){.form = key->form,
                                 .round = key->round,
                                 .repeat = key->repeat,
                                 .item = key->item};
    *gone = *made;
    gone->removed = true;
    made->cells =
        hm_arena_array(&call->arena, row->cell_count + 1, sizeof made->cells[0]);
    if (made->cells == NULL) {
        return HM_NOMEM;
    }
    for (size_t i = 0; i < row->cell_count && err == HM_OK; i++) {
        struct hm_bytes value = {0};

        if (row->cells[i].field == HM_FIELD_STATUS) {
            continue;
        }
        err = hm_household_view(call, split->h, row, row->cells[i].field, &call->arena,
                                &value);
        made->cells[made->cell_count++] =
            (struct hm_save_cell){.field = row->cells[i].field, .value = value};
    }
    return err;
}

static int copy_rows(struct splitting *split)
{
    size_t rows = split->h->row_count + 1;
    struct hm_call *call = split->call;
    int err = HM_OK;

    split->made.rows = hm_arena_array(&call->arena, rows, sizeof split->made.rows[0]);
    split->emptied.rows =
        hm_arena_array(&call->arena, rows, sizeof split->emptied.rows[0]);
    if (split->made.rows == NULL || split->emptied.rows == NULL) {
        return HM_NOMEM;
    }
    for (size_t i = 0; i < split->h->row_count && err == HM_OK; i++) {
        if (is_chosen(split, &split->h->rows[i])) {
            err = copy_row(split, &split->h->rows[i]);
        }
    }
    return err;
}

static int run_split(struct splitting *split, struct hm_bytes source)
{
    struct hm_call *call = split->call;
    struct hm_save_cell cell = {.field = HM_FIELD_SPLIT, .value = source};
    struct hm_save_row *row = &split->made.rows[split->made.row_count++];
    struct hm_save_result gone = {.changed = false};
    struct hm_save_result made = {.changed = false};
    char id[HM_ID_TEXT_MAX];
    int err;

    *row = (struct hm_save_row){
        .form = HM_FORM_HOUSEHOLD, .cells = &cell, .cell_count = 1, .facts = true};
    split->made.creates = true;
    split->made.restores = true;
    err = hm_save_run(call->s, &split->made, hm_call_policy_of, call, &call->arena,
                      &made);
    if (err == HM_OK) {
        err = hm_save_run(call->s, &split->emptied, hm_call_policy_of, call,
                          &call->arena, &gone);
    }
    if (err == HM_OK) {
        err = answer(call, &gone);
    }
    if (err == HM_OK) {
        hm_household_id_to_text(&made.household, id);
        err = hm_cells_set(call->reply, "made", json_string(id));
    }
    call->status = 201;
    return err;
}

int hm_facts_handle_split(struct hm_call *call)
{
    struct splitting *split = hm_arena_alloc(&call->arena, sizeof *split);
    struct hm_household h;
    struct hm_buf source;
    int err;

    if (split == NULL) {
        return HM_NOMEM;
    }
    *split = (struct splitting){.call = call, .h = &h};
    err = load(call, false, &h, &split->emptied);
    split->made = split->emptied;
    if (err == HM_OK) {
        err = refuse_deleted(call, &h);
    }
    if (err == HM_OK) {
        err = read_items(split);
    }
    if (err == HM_OK) {
        err = refuse_conflicts(split);
    }
    if (err == HM_OK) {
        err = copy_rows(split);
    }
    if (err != HM_OK) {
        return err;
    }
    hm_buf_init(&source, 64);
    hm_fact_pack_household(&h.id, &source);
    err = source.err == HM_OK ? run_split(split, hm_buf_bytes(&source)) : source.err;
    hm_buf_deinit(&source);
    return err;
}
