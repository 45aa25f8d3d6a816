/* People who move, merge, split and delete households, decide, and think again. */
#include <string.h>

#include "protocol/fact.h"
#include "protocol/pack.h"
#include "storage/decisions.h"
#include "tests/sim/saving.h"

/* A household that is on the screen; false: none was found. */
static bool find_family(struct saving *v)
{
    int err = sim_saving_some_hamlet(v, &v->hamlet);

    for (int i = 0; i < SIM_SAVING_TRIES && !v->found && err == HM_OK; i++) {
        v->family = sim_saving_some_family(v);
        err = sim_saving_load(v);
    }
    if (v->found) {
        v->save.household = v->n->sim->model.families[v->family].id;
    }
    return sim_node_survives(v->n, err, "fact") && err == HM_OK && v->found;
}

static struct hm_save_row *add_own_row(struct saving *v)
{
    struct hm_save_row *row = sim_saving_add_row(v, 0);

    row->form = HM_FORM_HOUSEHOLD;
    row->facts = true;
    return row;
}

static struct hm_bytes kept_value(struct saving *v, const struct hm_buf *buf)
{
    uint8_t *kept = v->values[v->value_count++];

    SIM_MUST(buf->err == HM_OK && buf->len <= SIM_SAVING_VALUE_BYTES);
    memcpy(kept, buf->data, buf->len);
    return hm_bytes_of(kept, buf->len);
}

static struct hm_bytes some_other_family(struct saving *v)
{
    const struct sim_model *model = &v->n->sim->model;
    struct hm_bytes out;
    struct hm_buf buf;
    size_t pick = sim_saving_draw(v, 3) > 0 ? sim_saving_some_family(v)
                                            : sim_saving_draw(v, model->family_count);

    pick = pick == SIZE_MAX ? 0 : pick;
    hm_buf_init(&buf, SIM_SAVING_VALUE_BYTES);
    hm_fact_pack_household(&model->families[pick].id, &buf);
    out = kept_value(v, &buf);
    hm_buf_deinit(&buf);
    return out;
}

static struct hm_bytes some_place(struct saving *v)
{
    struct hm_bytes out;
    struct hm_buf buf;

    hm_buf_init(&buf, SIM_SAVING_VALUE_BYTES);
    hm_pack_uint(&buf, v->n->sim->hamlets[sim_saving_draw(v, SIM_HAMLETS)]);
    out = kept_value(v, &buf);
    hm_buf_deinit(&buf);
    return out;
}

/* Fills the save for a move, merge, unmerge or deletion; false: there is nothing to do.
 */
static bool fill_fact(struct saving *v, enum sim_step_kind kind)
{
    struct hm_household_id into;

    if (kind == SIM_MOVE) {
        sim_saving_add_cell(add_own_row(v), HM_FIELD_SCOPE, some_place(v));
    } else if (kind == SIM_MERGE) {
        sim_saving_add_cell(add_own_row(v), HM_FIELD_MERGED, some_other_family(v));
    } else if (kind == SIM_UNMERGE) {
        sim_saving_add_cell(add_own_row(v), HM_FIELD_MERGED, hm_bytes_of("\xc0", 1));
        return hm_fact_merged_into(&v->before, &into);
    } else {
        sim_saving_add_cell(add_own_row(v), HM_FIELD_STATUS, hm_bytes_of("\1", 1));
    }
    return true;
}

/* -- Splitting -- */

static void split(struct saving *v)
{
    const struct hm_row *member = sim_saving_some_member(v);
    struct saving made = {.n = v->n, .family = SIZE_MAX, .hamlet = v->hamlet};
    struct hm_save_result results[2] = {{.changed = false}, {.changed = false}};
    struct hm_buf source;
    struct hm_save_row *row;
    int err;

    if (member == NULL || hm_policy_row_state(member) != HM_ROW_ACTIVE) {
        return;
    }
    row = sim_saving_add_row(v, member->key.repeat);
    row->item = member->key.item;
    row->removed = true;
    hm_arena_init(&made.arena, SIM_SAVING_ARENA_BYTES);
    made.save = v->save;
    made.save.rows = made.rows;
    made.save.row_count = 0;
    made.save.creates = true;
    made.save.restores = true;
    row = sim_saving_add_row(&made, member->key.repeat);
    row->item = member->key.item;
    for (size_t i = 0; i < member->cell_count && row->cell_count < SIM_SAVING_CELLS_MAX;
         i++) {
        if (member->cells[i].field >= HM_FIELD_FIRST &&
            member->cells[i].sibling_count > 0) {
            sim_saving_add_cell(row, member->cells[i].field,
                                member->cells[i].siblings[0].value);
        }
    }
    hm_buf_init(&source, SIM_SAVING_VALUE_BYTES);
    hm_fact_pack_household(&v->save.household, &source);
    sim_saving_add_cell(add_own_row(&made), HM_FIELD_SPLIT, kept_value(&made, &source));
    hm_buf_deinit(&source);
    err = hm_store_begin(v->n->store);
    if (err == HM_OK) {
        err = hm_save_run(v->n->store, &made.save, hm_forms_policy_of, v->n->forms,
                          &made.arena, &results[0]);
        if (err == HM_OK) {
            err = hm_save_run(v->n->store, &v->save, hm_forms_policy_of, v->n->forms,
                              &v->arena, &results[1]);
        }
        if (err != HM_OK) {
            int undone = hm_store_end(v->n->store, err);

            (void)undone; /* is err */
        } else {
            err = hm_store_end(v->n->store, HM_OK);
            if (err == HM_OK || err == HM_IO) {
                sim_saving_note(&made, &results[0], err == HM_OK);
                sim_saving_note(v, &results[1], err == HM_OK);
            }
        }
    }
    hm_arena_deinit(&made.arena);
    if (sim_node_survives(v->n, err, "split") && err == HM_OK) {
        sim_tell(v->n->sim, v->n, "splits a household");
        if (v->n->index != 0) {
            sim_upsync(v->n, HM_UPSYNC_EV_SAVED);
        }
    }
}

/* -- Deciding -- */

static struct hm_bytes decision_for(struct saving *v,
                                    const struct hm_policy_conflict *conflict)
{
    const struct hm_cell *cell = conflict->cell;
    struct hm_bytes value =
        cell->siblings[sim_saving_draw(v, cell->sibling_count)].value;
    bool takes_back = sim_saving_draw(v, 2) == 0;

    if (conflict->kind == HM_CONFLICT_DELETED) {
        return takes_back ? hm_bytes_of("\xc0", 1) : hm_bytes_of("\1", 1);
    }
    if (conflict->kind == HM_CONFLICT_EDITED && takes_back) {
        return hm_bytes_of("\xc0", 1);
    }
    return hm_fact_target(cell->field, value);
}

static struct hm_save_row *row_for(struct saving *v, const struct hm_row_key *key)
{
    struct hm_save_row *row;

    for (size_t i = 0; i < v->save.row_count; i++) {
        struct hm_row_key other = {v->rows[i].form, v->rows[i].round, v->rows[i].repeat,
                                   v->rows[i].item};

        if (hm_row_key_compare(&other, key) == 0) {
            return v->rows[i].cell_count < SIM_SAVING_CELLS_MAX ? &v->rows[i] : NULL;
        }
    }
    if (v->save.row_count == SIM_SAVING_ROWS_MAX) {
        return NULL;
    }
    row = key->form == HM_FORM_HOUSEHOLD ? add_own_row(v)
                                         : sim_saving_add_row(v, key->repeat);
    row->item = key->item;
    return row;
}

/* Everything that waits in one household, as far as a save of ours has room. */
static void decide(struct saving *v)
{
    struct hm_policy_conflict *conflicts = NULL;
    size_t count = 0;

    SIM_MUST(hm_policy_conflicts(&v->before, hm_forms_policy_of, v->n->forms, &v->arena,
                                 &conflicts, &count) == HM_OK);
    for (size_t i = 0; i < count; i++) {
        const struct hm_cell *cell = conflicts[i].cell;
        struct hm_save_row *row = conflicts[i].kind == HM_CONFLICT_REMOVED
                                      ? NULL
                                      : row_for(v, &conflicts[i].row->key);
        struct hm_dot *dots;

        if (row == NULL) {
            continue;
        }
        sim_saving_add_cell(row, cell->field, decision_for(v, &conflicts[i]));
        dots = hm_arena_array(&v->arena, cell->sibling_count, sizeof *dots);
        SIM_MUST(dots != NULL);
        for (size_t j = 0; j < cell->sibling_count; j++) {
            dots[j] = cell->siblings[j].dot;
        }
        row->cells[row->cell_count - 1].decided = dots;
        row->cells[row->cell_count - 1].decided_count = cell->sibling_count;
    }
    if (v->save.row_count > 0) {
        sim_saving_run(v);
    }
}

static void decide_all(struct sim_node *n, uint64_t param)
{
    size_t families = n->sim->model.family_count;

    for (size_t i = 0; i < families && sim_node_runs(n); i++) {
        struct saving v = {.n = n, .rng = {param + i}, .family = i, .decides = true};
        int err;

        hm_arena_init(&v.arena, SIM_SAVING_ARENA_BYTES);
        v.save.rows = v.rows;
        v.save.rank = 4;
        err = sim_saving_load(&v);
        if (sim_node_survives(n, err, "decide") && err == HM_OK && v.found) {
            v.save.household = n->sim->model.families[i].id;
            decide(&v);
        }
        hm_arena_deinit(&v.arena);
    }
}

/* -- Undoing -- */

/* A value that an undo wrote: it named the decision, or stands beside. */
static void note_brought_back(struct saving *v, size_t change,
                              const struct hm_household *after,
                              const struct hm_dot *dot, const struct hm_dot *decision)
{
    for (size_t i = 0; i < after->row_count; i++) {
        const struct hm_row *row = &after->rows[i];

        for (size_t j = 0; j < row->cell_count; j++) {
            const struct hm_sibling *now = sim_saving_sibling_of(&row->cells[j], dot);
            struct sim_write write = {
                .change = change, .row = row->key, .field = row->cells[j].field};
            struct hm_dot shown = decision == NULL ? *dot : *decision;

            if (now != NULL) {
                write.value = sim_model_value(now->value);
                write.shown = &shown;
                write.shown_count = decision == NULL ? 0 : 1;
                sim_model_add_write(&v->n->sim->model, v->family, &write);
            }
        }
    }
}

static void note_undo(struct saving *v, const struct hm_undo *undone,
                      const struct hm_dot *decision, const struct hm_household *after,
                      bool answered)
{
    for (size_t k = 0; k < undone->changes; k++) {
        struct sim_change change = {.dot = undone->dot,
                                    .node = v->n->index,
                                    .household = v->family,
                                    .answered = answered,
                                    .excused = v->n->revoked};
        size_t index;

        change.dot.n -= undone->changes - 1 - k;
        sim_saving_note_birth(v->n, change.dot.incarnation);
        index = sim_model_add_change(&v->n->sim->model, &change);
        note_brought_back(v, index, after, &change.dot, k == 0 ? decision : NULL);
        if (answered) {
            sim_fact_raise(&v->n->own, change.dot.incarnation, change.dot.n + 1);
            v->n->sim->saves++;
        }
    }
}

static size_t family_of(const struct sim_model *model, const struct hm_household_id *id)
{
    for (size_t i = model->family_count; i-- > 0;) {
        if (hm_household_id_compare(&model->families[i].id, id) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

static int undo_in_transaction(struct saving *v, const struct hm_decision *decision,
                               struct hm_undo *out, struct hm_household *after)
{
    struct sim_node *n = v->n;
    int err = hm_households_load(n->store, &decision->household, &v->arena, &v->before);

    if (err == HM_NOTFOUND) {
        return HM_OK; /* it departed */
    }
    if (err == HM_OK) {
        v->save.scope = sim_saving_seen_in(v);
    }
    if (err == HM_OK && v->save.scope != 0) {
        err = hm_decisions_undo(n->store, decision, &v->save, hm_forms_policy_of,
                                n->forms, &v->arena, out);
    }
    return err == HM_OK
               ? hm_households_load(n->store, &decision->household, &v->arena, after)
               : err;
}

static void undo(struct saving *v)
{
    struct sim_node *n = v->n;
    unsigned kept =
        n->decision_count < SIM_DECISIONS_MAX ? n->decision_count : SIM_DECISIONS_MAX;
    struct hm_decision decision = {.undone = false};
    struct hm_undo undone = {.changes = 0};
    struct hm_household after = {.row_count = 0};
    struct hm_dot dot;
    int err;

    if (kept == 0) {
        return;
    }
    dot = n->decisions[sim_saving_draw(v, kept)];
    err = hm_store_begin(n->store);
    if (err == HM_OK) {
        err = hm_decisions_get(n->store, &dot, &v->arena, &decision);
        if (err == HM_OK) {
            v->family = family_of(&n->sim->model, &decision.household);
            err = undo_in_transaction(v, &decision, &undone, &after);
        } else if (err == HM_NOTFOUND) {
            err = HM_OK; /* its disk was set back */
        }
        err = hm_store_end(n->store, err);
        if (undone.changes > 0 && (err == HM_OK || err == HM_IO)) {
            SIM_MUST(v->family != SIZE_MAX);
            note_undo(v, &undone, &decision.dot, &after, err == HM_OK);
        }
    }
    if (sim_node_survives(n, err, "undo") && err == HM_OK && undone.changes > 0) {
        sim_tell(n->sim, n, "takes a decision back, in %zu changes", undone.changes);
        if (n->index != 0) {
            sim_upsync(n, HM_UPSYNC_EV_SAVED);
        }
    }
}

void sim_fact_step(struct sim_node *n, enum sim_step_kind kind, uint64_t param)
{
    struct saving v = {.n = n, .rng = {param}, .family = SIZE_MAX};

    if (kind == SIM_DECIDE) {
        decide_all(n, param);
        return;
    }
    hm_arena_init(&v.arena, SIM_SAVING_ARENA_BYTES);
    v.save.rows = v.rows;
    v.save.rank = 4;
    if (kind == SIM_UNDO) {
        undo(&v);
    } else if (find_family(&v) && kind == SIM_SPLIT) {
        split(&v);
    } else if (v.found && fill_fact(&v, kind)) {
        v.decides = true;
        sim_saving_run(&v);
    }
    hm_arena_deinit(&v.arena);
}
