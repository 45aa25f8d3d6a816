#include "storage/save.h"

#include <stdlib.h>

#include "protocol/fact.h"
#include "protocol/pack.h"
#include "storage/households.h"
#include "storage/log.h"

enum { ROWS_MAX = 4096 };

struct saving {
    struct hm_store *s;
    const struct hm_save *save;
    hm_policy_of_fn policy_of;
    void *policy_arg;
    struct hm_arena *arena;
    struct hm_household h;
    struct hm_dot dot;
    struct hm_author author;
    uint64_t parent; /* the upstream's device, 0 for none */
    struct hm_change change;
    struct hm_item *items; /* new rows */
    size_t item_count;
};

static const uint8_t nil_byte = 0xc0;

static bool is_nil(struct hm_bytes value)
{
    return value.len == 1 && value.data[0] == nil_byte;
}

struct dots {
    struct hm_dot *dots;
    size_t count;
};

static int add_dot(struct saving *saving, struct dots *set, const struct hm_dot *dot)
{
    size_t at = 0;
    struct hm_dot *grown;

    while (at < set->count && hm_dot_compare(&set->dots[at], dot) < 0) {
        at++;
    }
    if (at < set->count && hm_dot_compare(&set->dots[at], dot) == 0) {
        return HM_OK;
    }
    grown = hm_arena_grow(saving->arena, set->dots, set->count, set->count + 1,
                          sizeof *grown);
    if (grown == NULL) {
        return HM_NOMEM;
    }
    memmove(&grown[at + 1], &grown[at], (set->count - at) * sizeof *grown);
    grown[at] = *dot;
    set->dots = grown;
    set->count++;
    return HM_OK;
}

static const struct hm_cell_write *
find_write(const struct hm_change *change, const struct hm_row_key *key, uint32_t field)
{
    for (size_t i = 0; i < change->row_count; i++) {
        if (hm_row_key_compare(&change->rows[i].key, key) != 0) {
            continue;
        }
        for (size_t j = 0; j < change->rows[i].cell_count; j++) {
            if (change->rows[i].cells[j].field == field) {
                return &change->rows[i].cells[j];
            }
        }
    }
    return NULL;
}

/* A write over an own change that the centre may never see (it could be lost with this
 * disk, or refused) names also what that change replaced; that one did the same. */
static int add_inherited(struct saving *saving, struct dots *set,
                         const struct hm_row_key *key, uint32_t field,
                         const struct hm_dot *replaced)
{
    const struct hm_cell_write *write;
    struct hm_bytes bytes = {0};
    struct hm_change before;
    struct hm_log log;
    uint64_t at_centre = 0;
    int verdict;
    int err;

    if (saving->parent == 0) {
        return HM_OK;
    }
    err = hm_log_get(saving->s, replaced->incarnation, &log);
    if (err == HM_NOTFOUND || (err == HM_OK && !log.own)) {
        return HM_OK;
    }
    if (err == HM_OK && replaced->n >= log.entries) {
        return HM_OK; /* written after the image that this disk was set back to */
    }
    if (err == HM_OK) {
        err = hm_log_at_centre(saving->s, replaced->incarnation, &at_centre);
    }
    if (err != HM_OK || at_centre > replaced->n) {
        return err;
    }
    err = hm_log_entry(saving->s, replaced->incarnation, replaced->n, saving->arena,
                       &bytes, &verdict);
    if (err == HM_OK) {
        err = hm_change_decode(bytes, replaced, saving->arena, &before);
    }
    if (err != HM_OK) {
        return err;
    }
    write = find_write(&before, key, field);
    for (size_t i = 0; write != NULL && i < write->replaced_count && err == HM_OK;
         i++) {
        err = add_dot(saving, set, &write->replaced[i]);
    }
    return err;
}

static int replaced_by(struct saving *saving, const struct hm_row_key *key,
                       const struct hm_cell *cell, const struct hm_save_cell *wanted,
                       struct hm_cell_write *write)
{
    struct dots set = {0};
    int err = HM_OK;

    for (size_t i = 0; i < wanted->decided_count && err == HM_OK; i++) {
        err = add_dot(saving, &set, &wanted->decided[i]);
    }
    if (wanted->decided == NULL) {
        for (size_t i = 0; cell != NULL && i < cell->sibling_count && err == HM_OK;
             i++) {
            err = add_dot(saving, &set, &cell->siblings[i].dot);
        }
    }
    for (size_t i = 0, seen = set.count; i < seen && err == HM_OK; i++) {
        struct hm_dot dot =
            wanted->decided != NULL ? wanted->decided[i] : cell->siblings[i].dot;

        err = add_inherited(saving, &set, key, wanted->field, &dot);
    }
    write->replaced = set.dots;
    write->replaced_count = set.count;
    return err;
}

/* A fact is written again when it was said by somebody who had not seen all. */
static bool fact_differs(const struct saving *saving, const struct hm_cell *cell,
                         const struct hm_save_cell *wanted)
{
    bool same = true;

    for (size_t i = 0; cell != NULL && i < cell->sibling_count; i++) {
        same =
            same && hm_bytes_equal(hm_fact_target(cell->field, cell->siblings[i].value),
                                   wanted->value);
    }
    if (cell == NULL || cell->sibling_count == 0) {
        return !is_nil(wanted->value);
    }
    switch (wanted->field) {
    case HM_FIELD_STATUS:
        return is_nil(wanted->value) ? !same
                                     : hm_fact_state(&saving->h) != HM_ROW_REMOVED;
    case HM_FIELD_MERGED:
        return !same ||
               (!is_nil(wanted->value) && hm_fact_unseen_by_merge(&saving->h) != NULL);
    case HM_FIELD_DECIDED:
        return true;
    default:
        return !same;
    }
}

/* Is there anything to write? What is shown already is not written again. */
static int differs(struct saving *saving, const struct hm_row_key *key, bool fact,
                   const struct hm_cell *cell, const struct hm_save_cell *wanted,
                   bool *out_differs)
{
    struct hm_policy_view view = {0};
    int err;

    if (wanted->decided != NULL) {
        *out_differs = true;
        return HM_OK;
    }
    if (fact) {
        *out_differs = fact_differs(saving, cell, wanted);
        return HM_OK;
    }
    if (cell == NULL || cell->sibling_count == 0) {
        *out_differs = !is_nil(wanted->value);
        return HM_OK;
    }
    err = hm_policy_view(saving->policy_of(saving->policy_arg, key, wanted->field),
                         &saving->h, cell, saving->arena, &view);
    *out_differs = err == HM_OK && !hm_bytes_equal(view.value, wanted->value);
    return err;
}

static int compare_cells(const void *a, const void *b)
{
    const struct hm_cell_write *x = a;
    const struct hm_cell_write *y = b;

    return (x->field > y->field) - (x->field < y->field);
}

static int compare_rows(const void *a, const void *b)
{
    const struct hm_row_write *x = a;
    const struct hm_row_write *y = b;

    return hm_row_key_compare(&x->key, &y->key);
}

static int write_removal(struct saving *saving, const struct hm_row *row,
                         struct hm_row_write *out)
{
    struct hm_save_cell wanted = {.field = HM_FIELD_STATUS};
    struct hm_dot *seen = NULL;
    struct hm_buf buf;
    size_t count = 0;
    int err;

    if (hm_policy_row_state(row) == HM_ROW_REMOVED) {
        return HM_OK;
    }
    err = hm_household_row_dots(&saving->h, row, &seen, &count);
    if (err != HM_OK) {
        return err;
    }
    hm_buf_init(&buf, HM_CHANGE_BYTES_MAX);
    hm_policy_removed_encode(seen, count, &buf);
    err = buf.err == HM_OK
              ? hm_arena_copy(saving->arena, hm_buf_bytes(&buf), &wanted.value)
              : buf.err;
    hm_buf_deinit(&buf);
    if (err == HM_OK) {
        out->cells[0].field = HM_FIELD_STATUS;
        out->cells[0].value = wanted.value;
        out->cell_count = 1;
        err = replaced_by(saving, &out->key, hm_row_cell(row, HM_FIELD_STATUS), &wanted,
                          &out->cells[0]);
    }
    return err;
}

/* What is said, and what was seen when it was said. */
static int fact_value(struct saving *saving, const struct hm_save_cell *wanted,
                      struct hm_bytes *out)
{
    struct hm_buf buf;
    int err;

    hm_buf_init(&buf, HM_CHANGE_BYTES_MAX);
    hm_fact_encode(wanted->value, &saving->h, &buf);
    err = buf.err == HM_OK ? hm_arena_copy(saving->arena, hm_buf_bytes(&buf), out)
                           : buf.err;
    hm_buf_deinit(&buf);
    return err;
}

static int write_cells(struct saving *saving, const struct hm_row *row,
                       const struct hm_save_row *wanted, struct hm_row_write *out)
{
    int err = HM_OK;

    for (size_t i = 0; i < wanted->cell_count && err == HM_OK; i++) {
        const struct hm_save_cell *next = &wanted->cells[i];
        const struct hm_cell *cell = hm_row_cell(row, next->field);
        struct hm_cell_write *write = &out->cells[out->cell_count];
        bool write_it = false;

        err = differs(saving, &out->key, wanted->facts, cell, next, &write_it);
        if (err == HM_OK && write_it) {
            write->field = next->field;
            write->value = next->value;
            if (wanted->facts && !is_nil(next->value)) {
                err = fact_value(saving, next, &write->value);
            }
            if (err == HM_OK) {
                err = replaced_by(saving, &out->key, cell, next, write);
            }
            out->cell_count++;
        }
    }
    qsort(out->cells, out->cell_count, sizeof out->cells[0], compare_cells);
    for (size_t i = 1; i < out->cell_count && err == HM_OK; i++) {
        if (out->cells[i - 1].field == out->cells[i].field) {
            err = hm_store_fail(saving->s, HM_INVALID, "a field stands twice in a row");
        }
    }
    return err;
}

/* A row that is not there yet may begin: a new one, one that takes the item of another
 * form's row (a member in a review), or one that a released change brings back. */
static bool may_begin(const struct saving *saving, const struct hm_item *item)
{
    if (hm_item_is_none(item) || saving->save->restores) {
        return true;
    }
    for (size_t i = 0; i < saving->h.row_count; i++) {
        if (hm_item_compare(&saving->h.rows[i].key.item, item) == 0) {
            return true;
        }
    }
    return false;
}

static int write_row(struct saving *saving, const struct hm_save_row *wanted)
{
    struct hm_row_write *out = &saving->change.rows[saving->change.row_count];
    bool makes = wanted->repeat != 0 && hm_item_is_none(&wanted->item);
    const struct hm_row *row;
    int err;

    out->key =
        (struct hm_row_key){wanted->form, wanted->round, wanted->repeat, wanted->item};
    if (makes) {
        out->key.item = (struct hm_item){saving->dot.incarnation, saving->dot.n,
                                         saving->item_count + 1};
        saving->items[saving->item_count++] = out->key.item;
    }
    row = hm_household_row(&saving->h, &out->key);
    out->cells =
        hm_arena_array(saving->arena, wanted->cell_count + 1, sizeof out->cells[0]);
    if (out->cells == NULL) {
        return HM_NOMEM;
    }
    if (row == NULL && (wanted->removed || !may_begin(saving, &wanted->item))) {
        return hm_store_fail(saving->s, HM_NOTFOUND,
                             "a row of the save is not in this household");
    }
    err = wanted->removed ? write_removal(saving, row, out)
                          : write_cells(saving, row, wanted, out);
    if (err == HM_OK && out->cell_count > 0) {
        saving->change.row_count++;
    }
    return err;
}

static bool writes_own_row(const struct hm_save *save)
{
    for (size_t i = 0; i < save->row_count; i++) {
        if (save->rows[i].form == HM_FORM_HOUSEHOLD) {
            return true;
        }
    }
    return false;
}

static int start(struct saving *saving, bool *out_found)
{
    const struct hm_save *save = saving->save;
    int64_t parent = 0;
    int err = hm_log_next_own(saving->s, &saving->dot, &saving->author);

    if (err == HM_OK) {
        err = hm_store_get_number(saving->s, HM_META_UPSTREAM_DEVICE, &parent);
        err = err == HM_NOTFOUND ? HM_OK : err;
        saving->parent = (uint64_t)parent;
    }
    if (err == HM_OK) {
        struct hm_household_id id = save->household;

        if (save->creates) {
            id = (struct hm_household_id){saving->dot.incarnation, saving->dot.n};
        }
        err = hm_households_load_or_new(saving->s, &id, saving->arena, &saving->h,
                                        out_found);
    }
    if (err == HM_OK && !save->creates && !save->restores &&
        (!*out_found || hm_household_is_hearsay(&saving->h))) {
        err = hm_store_fail(saving->s, HM_NOTFOUND,
                            "there is no such household on this node");
    }
    if (err == HM_OK && !writes_own_row(save) && !save->restores &&
        hm_fact_state(&saving->h) == HM_ROW_REMOVED) {
        err = hm_store_fail(saving->s, HM_INVALID,
                            "the household was deleted; undo that first");
    }
    saving->change.dt_ms = hm_store_utc_ms(saving->s) - saving->author.base_wall_ms;
    saving->change.user = save->user;
    saving->change.rank = save->rank;
    saving->change.household = saving->h.id;
    saving->change.scope = save->scope;
    saving->change.reason = save->reason;
    return err;
}

static const struct hm_dot *sibling_dots(struct saving *saving,
                                         const struct hm_cell *cell)
{
    struct hm_dot *dots =
        hm_arena_array(saving->arena, cell->sibling_count, sizeof *dots);

    for (size_t i = 0; dots != NULL && i < cell->sibling_count; i++) {
        dots[i] = cell->siblings[i].dot;
    }
    return dots;
}

/* Who edits a household on the page of the one that it is merged into has seen the
 * merge: then the edit is none that the merge did not know. */
static int repeat_merge(struct saving *saving)
{
    const struct hm_cell *cell = hm_fact_cell(&saving->h, HM_FIELD_MERGED);
    struct hm_save_cell wanted = {.field = HM_FIELD_MERGED};
    struct hm_save_row row = {.form = HM_FORM_HOUSEHOLD, .facts = true};
    struct hm_household_id into;

    if (saving->change.row_count == 0 || writes_own_row(saving->save) ||
        saving->save->restores || !hm_fact_merged_into(&saving->h, &into) ||
        hm_fact_unseen_by_merge(&saving->h) != NULL) {
        return HM_OK;
    }
    for (size_t i = 0; i < cell->sibling_count; i++) {
        struct hm_bytes target =
            hm_fact_target(HM_FIELD_MERGED, cell->siblings[i].value);

        if (i > 0 && !hm_bytes_equal(target, wanted.value)) {
            return HM_OK; /* a conflict is decided by a person */
        }
        wanted.value = target;
    }
    row.cells = &wanted;
    row.cell_count = 1;
    wanted.decided = sibling_dots(saving, cell);
    wanted.decided_count = cell->sibling_count;
    return wanted.decided == NULL ? HM_NOMEM : write_row(saving, &row);
}

static int append(struct saving *saving)
{
    bool applied = false;
    struct hm_buf buf;
    int err;

    qsort(saving->change.rows, saving->change.row_count, sizeof saving->change.rows[0],
          compare_rows);
    for (size_t i = 1; i < saving->change.row_count; i++) {
        if (hm_row_key_compare(&saving->change.rows[i - 1].key,
                               &saving->change.rows[i].key) == 0) {
            return hm_store_fail(saving->s, HM_INVALID,
                                 "a row stands twice in the save");
        }
    }
    hm_buf_init(&buf, 4 * HM_CHANGE_BYTES_MAX);
    hm_change_encode(&saving->change, &saving->dot, &buf);
    err = buf.err;
    if (err == HM_TOOBIG) {
        (void)hm_store_fail(saving->s, err,
                            "one save holds at most 32 kB; save it in parts");
    }
    if (err == HM_OK) {
        err = hm_household_apply(&saving->h, &saving->change, &saving->dot,
                                 &saving->author, &applied);
    }
    if (err == HM_OK) {
        /* First, since it writes nothing when the state has become too big. */
        err = hm_households_store(saving->s, &saving->h, saving->policy_of,
                                  saving->policy_arg);
        if (err == HM_TOOBIG) {
            (void)hm_store_fail(saving->s, err,
                                "a household holds at most 1 MB; this one is full");
        }
    }
    if (err == HM_OK) {
        err = hm_log_append_own(saving->s, &saving->dot, hm_buf_bytes(&buf),
                                &saving->h.id, saving->h.home);
    }
    hm_buf_deinit(&buf);
    return err;
}

static int write_all(struct saving *saving)
{
    const struct hm_save *save = saving->save;
    bool found = false;
    int err = start(saving, &found);

    for (size_t i = 0; i < save->row_count && err == HM_OK; i++) {
        err = write_row(saving, &save->rows[i]);
    }
    if (err == HM_OK) {
        err = repeat_merge(saving);
    }
    if (err == HM_OK && saving->change.row_count == 0 && save->creates) {
        err = hm_store_fail(saving->s, HM_INVALID,
                            "a new household needs at least one answer");
    }
    if (err == HM_OK && saving->change.row_count > 0) {
        err = append(saving);
    }
    return err;
}

/* The first change of this opening needs the birth of its log; without a change there
 * is to be no birth either. */
static int write_with_birth(struct saving *saving)
{
    struct hm_own_log *own = hm_store_own_log(saving->s);
    struct hm_own_log before = *own;
    struct hm_db *db = hm_store_db(saving->s);
    int undone;
    int err = hm_db_savepoint(db);

    if (err != HM_OK) {
        return err;
    }
    err = write_all(saving);
    if (err == HM_OK && saving->change.row_count == 0) {
        *own = before;
        err = hm_db_rollback_to(db);
    } else if (err == HM_OK) {
        err = hm_db_release(db);
    } else {
        *own = before;
        undone = hm_db_rollback_to(db);
        (void)undone; /* if not, the caller's rollback still does it */
    }
    return err;
}

int hm_save_run(struct hm_store *s, const struct hm_save *save,
                hm_policy_of_fn policy_of, void *policy_arg, struct hm_arena *arena,
                struct hm_save_result *out)
{
    struct saving saving = {.s = s,
                            .save = save,
                            .policy_of = policy_of,
                            .policy_arg = policy_arg,
                            .arena = arena};
    int err;

    if (save->row_count > ROWS_MAX) {
        return hm_store_fail(s, HM_TOOBIG, "one save has at most %d rows", ROWS_MAX);
    }
    saving.change.rows =
        hm_arena_array(arena, save->row_count + 1, sizeof saving.change.rows[0]);
    saving.items = hm_arena_array(arena, save->row_count, sizeof saving.items[0]);
    if (saving.change.rows == NULL || saving.items == NULL) {
        return HM_NOMEM;
    }
    err = hm_store_own_log(s)->incarnation == 0 ? write_with_birth(&saving)
                                                : write_all(&saving);
    if (err == HM_OK) {
        *out = (struct hm_save_result){.household = saving.h.id,
                                       .changed = saving.change.row_count > 0,
                                       .dot = saving.dot,
                                       .items = saving.items,
                                       .item_count = saving.item_count,
                                       .state = saving.h};
    }
    return err;
}
