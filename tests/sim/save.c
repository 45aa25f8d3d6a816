/* People at a node: what they save, seen from what stands on their screen. */
#include <stdio.h>
#include <string.h>

#include "protocol/fact.h"
#include "protocol/pack.h"
#include "storage/decisions.h"
#include "storage/people.h"
#include "tests/sim/saving.h"

enum { HOT_FAMILIES = 3 /* of a hamlet: where most people write, so that they meet */ };

uint64_t sim_saving_draw(struct saving *v, uint64_t below)
{
    return hm_rng_below(&v->rng, below);
}

int sim_saving_some_hamlet(struct saving *v, unsigned *out_hamlet)
{
    struct sim_node *n = v->n;
    uint32_t *scopes = NULL;
    size_t count = 0;
    uint32_t scope;
    int err;

    *out_hamlet = (unsigned)sim_saving_draw(v, SIM_HAMLETS);
    if (n->index == 0) {
        return HM_OK;
    }
    err = hm_store_begin_read(n->store);
    if (err == HM_OK) {
        err = hm_store_end(n->store,
                           hm_upload_scopes(n->store, &v->arena, &scopes, &count));
    }
    if (err != HM_OK) {
        return err;
    }
    SIM_MUST(count > 0);
    scope = scopes[sim_saving_draw(v, count)];
    for (unsigned i = 0; i < SIM_HAMLETS; i++) {
        *out_hamlet = n->sim->hamlets[i] == scope ? i : *out_hamlet;
    }
    return HM_OK;
}

size_t sim_saving_some_family(struct saving *v)
{
    const struct sim_model *model = &v->n->sim->model;
    size_t in_hamlet = 0;
    size_t pick;

    if (model->family_count > 0 && sim_saving_draw(v, 4) == 0) {
        return sim_saving_draw(v, model->family_count); /* it may have moved here */
    }

    for (size_t i = 0; i < model->family_count; i++) {
        in_hamlet += model->families[i].hamlet == v->hamlet;
    }
    if (in_hamlet == 0) {
        return SIZE_MAX;
    }
    pick = sim_saving_draw(v, 4) > 0 && in_hamlet > HOT_FAMILIES
               ? sim_saving_draw(v, HOT_FAMILIES)
               : sim_saving_draw(v, in_hamlet);
    for (size_t i = 0; i < model->family_count; i++) {
        if (model->families[i].hamlet == v->hamlet && pick-- == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

/* A text that nobody else writes, or now and then one that several do. */
static struct hm_bytes some_text(struct saving *v)
{
    char text[40];
    struct hm_buf buf;
    struct hm_bytes out;
    uint8_t *kept = v->values[v->value_count++];

    if (sim_saving_draw(v, 8) == 0) {
        (void)snprintf(text, sizeof text, "%c", (char)('A' + sim_saving_draw(v, 3)));
    } else {
        (void)snprintf(text, sizeof text, "%016llx",
                       (unsigned long long)hm_rng_next(&v->rng));
    }
    hm_buf_init(&buf, SIM_SAVING_VALUE_BYTES);
    hm_pack_str(&buf, hm_bytes_str(text));
    SIM_MUST(buf.err == HM_OK);
    memcpy(kept, buf.data, buf.len);
    out = hm_bytes_of(kept, buf.len);
    hm_buf_deinit(&buf);
    return out;
}

static struct hm_bytes some_year(struct saving *v)
{
    struct hm_buf buf;
    struct hm_bytes out;
    uint8_t *kept = v->values[v->value_count++];

    hm_buf_init(&buf, SIM_SAVING_VALUE_BYTES);
    hm_pack_int(&buf, 1900 + (int64_t)sim_saving_draw(v, 120));
    memcpy(kept, buf.data, buf.len);
    out = hm_bytes_of(kept, buf.len);
    hm_buf_deinit(&buf);
    return out;
}

struct hm_save_row *sim_saving_add_row(struct saving *v, uint32_t repeat)
{
    struct hm_save_row *row = &v->rows[v->save.row_count];

    *row = (struct hm_save_row){.form = v->n->sim->form,
                                .repeat = repeat,
                                .cells = v->cells[v->save.row_count]};
    v->save.row_count++;
    return row;
}

void sim_saving_add_cell(struct hm_save_row *row, uint32_t field, struct hm_bytes value)
{
    for (size_t i = 0; i < row->cell_count; i++) {
        if (row->cells[i].field == field) {
            return;
        }
    }
    row->cells[row->cell_count++] =
        (struct hm_save_cell){.field = field, .value = value};
}

static void add_member(struct saving *v)
{
    struct hm_save_row *row = sim_saving_add_row(v, v->n->sim->members);

    sim_saving_add_cell(row, v->n->sim->member_name, some_text(v));
    if (sim_saving_draw(v, 2) == 0) {
        sim_saving_add_cell(row, v->n->sim->birth_year, some_year(v));
    }
}

static void fill_root(struct saving *v, struct hm_save_row *row)
{
    const struct sim *sim = v->n->sim;
    const uint32_t fields[] = {sim->phone, sim->note, sim->name,
                               sim->form_2 && sim_saving_draw(v, 2) == 0 ? sim->extra
                                                                         : sim->phone};

    for (uint64_t i = 1 + sim_saving_draw(v, 2); i-- > 0;) {
        sim_saving_add_cell(row, fields[sim_saving_draw(v, 4)], some_text(v));
    }
}

static void new_family(struct saving *v)
{
    struct hm_save_row *root = sim_saving_add_row(v, 0);

    v->save.creates = true;
    v->save.scope = v->n->sim->hamlets[v->hamlet];
    sim_saving_add_cell(root, v->n->sim->name, some_text(v));
    if (sim_saving_draw(v, 2) == 0) {
        sim_saving_add_cell(root, v->n->sim->phone, some_text(v));
    }
    for (uint64_t i = sim_saving_draw(v, 3); i-- > 0;) {
        add_member(v);
    }
}

/* A row of a member that is on the screen; NULL: there is none. */
const struct hm_row *sim_saving_some_member(struct saving *v)
{
    size_t count = 0;
    size_t pick;

    for (size_t i = 0; i < v->before.row_count; i++) {
        count += v->before.rows[i].key.repeat == v->n->sim->members;
    }
    if (count == 0) {
        return NULL;
    }
    pick = sim_saving_draw(v, count);
    for (size_t i = 0; i < v->before.row_count; i++) {
        if (v->before.rows[i].key.repeat == v->n->sim->members && pick-- == 0) {
            return &v->before.rows[i];
        }
    }
    return NULL;
}

static void change_member(struct saving *v)
{
    const struct hm_row *member = sim_saving_some_member(v);
    struct hm_save_row *row;

    if (member == NULL) {
        add_member(v);
        return;
    }
    row = sim_saving_add_row(v, v->n->sim->members);
    row->item = member->key.item;
    if (sim_saving_draw(v, 4) == 0) {
        row->removed = true;
    } else if (sim_saving_draw(v, 3) == 0) {
        sim_saving_add_cell(row, v->n->sim->birth_year, some_year(v));
    } else {
        sim_saving_add_cell(row, v->n->sim->member_name, some_text(v));
    }
}

/* A decision between the values of a cell that has several. */
static bool resolve(struct saving *v)
{
    struct hm_row_key key = {.form = v->n->sim->form};
    const struct hm_row *root = hm_household_row(&v->before, &key);

    for (size_t i = 0; root != NULL && i < root->cell_count; i++) {
        const struct hm_cell *cell = &root->cells[i];
        struct hm_save_row *row;
        struct hm_dot *dots;

        if (cell->sibling_count < 2 || cell->field < HM_FIELD_FIRST) {
            continue;
        }
        row = sim_saving_add_row(v, 0);
        sim_saving_add_cell(
            row, cell->field,
            sim_saving_draw(v, 2) == 0
                ? some_text(v)
                : cell->siblings[sim_saving_draw(v, cell->sibling_count)].value);
        dots = hm_arena_array(&v->arena, cell->sibling_count, sizeof *dots);
        SIM_MUST(dots != NULL);
        for (size_t j = 0; j < cell->sibling_count; j++) {
            dots[j] = cell->siblings[j].dot;
        }
        row->cells[0].decided = dots;
        row->cells[0].decided_count = cell->sibling_count;
        return true;
    }
    return false;
}

/* Does this node work in a hamlet? */
static bool works_in(const struct sim_node *n, uint32_t scope)
{
    return n->index == 0 || n->sim->hamlets[n->places[0]] == scope ||
           n->sim->hamlets[n->places[1]] == scope;
}

/* The hamlet in which the household is seen here, as daemon/serve finds it; 0: none in
 * which this node works. */
uint32_t sim_saving_seen_in(struct saving *v)
{
    uint32_t shown = hm_fact_shown_scope(&v->before);
    uint32_t *scopes = NULL;
    size_t count = 0;

    if (works_in(v->n, shown)) {
        return shown;
    }
    SIM_MUST(hm_household_scopes(&v->before, &scopes, &count) == HM_OK);
    for (size_t i = 0; i < count; i++) {
        if (works_in(v->n, scopes[i])) {
            return scopes[i];
        }
    }
    return 0;
}

static void change_family(struct saving *v)
{
    v->save.household = v->n->sim->model.families[v->family].id;
    if (sim_saving_draw(v, 3) == 0 && resolve(v)) {
        return;
    }
    if (sim_saving_draw(v, 3) != 0) {
        fill_root(v, sim_saving_add_row(v, 0));
    }
    if (sim_saving_draw(v, 2) == 0 || v->save.row_count == 0) {
        change_member(v);
    }
    if (sim_saving_draw(v, 8) == 0) {
        add_member(v);
    }
}

static const struct hm_cell *cell_in(const struct hm_household *h, bool there,
                                     const struct hm_row_key *row, uint32_t field)
{
    return there ? hm_row_cell(hm_household_row(h, row), field) : NULL;
}

const struct hm_sibling *sim_saving_sibling_of(const struct hm_cell *cell,
                                               const struct hm_dot *dot)
{
    for (size_t i = 0; cell != NULL && i < cell->sibling_count; i++) {
        if (hm_dot_compare(&cell->siblings[i].dot, dot) == 0) {
            return &cell->siblings[i];
        }
    }
    return NULL;
}

/* Notes one written cell, seen from the screen before it. */
static void note_cell(struct saving *v, size_t family, size_t change,
                      const struct hm_row_key *key, uint32_t field, uint64_t value)
{
    const struct hm_cell *before = cell_in(&v->before, v->found, key, field);
    struct sim_write write = {
        .change = change, .row = *key, .field = field, .value = value};
    size_t count = before == NULL ? 0 : before->sibling_count;
    struct hm_dot *dots = hm_arena_array(&v->arena, count, sizeof *dots);

    SIM_MUST(dots != NULL);
    for (size_t i = 0; i < count; i++) {
        dots[i] = before->siblings[i].dot;
    }
    write.shown = dots;
    write.shown_count = count;
    sim_model_add_write(&v->n->sim->model, family, &write);
}

/* Whether the save of this cell must have been written: what is shown already is not.
 */
static bool is_news(const struct hm_cell *before, struct hm_bytes value)
{
    for (size_t i = 0; before != NULL && i < before->sibling_count; i++) {
        if (hm_bytes_equal(before->siblings[i].value, value)) {
            return false;
        }
    }
    return true;
}

static void note_row(struct saving *v, size_t family, size_t change,
                     const struct hm_save_row *row, const struct hm_save_result *result,
                     size_t *next_item)
{
    const struct hm_dot *dot = &result->dot;
    struct hm_row_key key = {row->form, row->round, row->repeat, row->item};

    if (row->repeat != 0 && hm_item_is_none(&row->item)) {
        key.item = result->items[(*next_item)++];
    }
    if (row->removed) {
        const struct hm_sibling *status = sim_saving_sibling_of(
            cell_in(&result->state, true, &key, HM_FIELD_STATUS), dot);

        if (status != NULL) { /* removed before, and not disputed: nothing to do */
            note_cell(v, family, change, &key, HM_FIELD_STATUS,
                      sim_model_value(status->value));
        }
        return;
    }
    for (size_t i = 0; i < row->cell_count; i++) {
        const struct hm_save_cell *wanted = &row->cells[i];
        const struct hm_sibling *now = sim_saving_sibling_of(
            cell_in(&result->state, true, &key, wanted->field), dot);
        const struct hm_cell *before =
            cell_in(&v->before, v->found, &key, wanted->field);

        if (now == NULL &&
            (is_news(before, wanted->value) || wanted->decided != NULL)) {
            sim_find(v->n->sim, SIM_ORACLE_LOST,
                     "%s: a save was answered, but its value of field %u is not there",
                     v->n->name, wanted->field);
            return;
        }
        if (now != NULL) {
            note_cell(v, family, change, &key, wanted->field,
                      sim_model_value(wanted->value));
        }
    }
}

/* What the change wrote about the household itself: asked for, or since a merge was
 * said again. */
static void note_own_row(struct saving *v, size_t family, size_t change,
                         const struct hm_save_result *result)
{
    static const struct hm_row_key own = {.form = HM_FORM_HOUSEHOLD};
    const struct hm_row *row = hm_household_row(&result->state, &own);

    for (size_t i = 0; row != NULL && i < row->cell_count; i++) {
        const struct hm_sibling *now =
            sim_saving_sibling_of(&row->cells[i], &result->dot);

        if (now != NULL) {
            note_cell(v, family, change, &own, row->cells[i].field,
                      sim_model_value(now->value));
        }
        if (now != NULL && row->cells[i].field == HM_FIELD_STATUS &&
            hm_fact_is_deletion(now->value)) {
            sim_model_deletes(&v->n->sim->model, change, &v->before);
        }
    }
}

void sim_saving_note_birth(struct sim_node *n, uint64_t incarnation)
{
    struct sim_birth birth = {.incarnation = incarnation, .node = n->index};

    if (sim_fact(&n->own, incarnation) > 0) {
        return;
    }
    if (n->own.count > 0) {
        birth.parent = n->own.facts[n->own.count - 1].incarnation;
        birth.parent_entries = n->own.facts[n->own.count - 1].entries;
    }
    sim_model_add_birth(&n->sim->model, &birth);
}

void sim_saving_note(struct saving *v, const struct hm_save_result *result,
                     bool answered)
{
    struct sim *sim = v->n->sim;
    struct sim_change change = {.dot = result->dot,
                                .node = v->n->index,
                                .at_ms = sim->now_ms,
                                .by_user = v->save.user != HM_USER_OPERATOR,
                                .answered = answered,
                                .forbidden = v->save.rank == HM_RANK_MAX,
                                .excused = v->n->revoked};
    size_t family = v->family;
    size_t next_item = 0;
    size_t index;

    if (v->save.creates) {
        family = sim_model_add_family(&sim->model, &result->household, v->hamlet);
    }
    sim_saving_note_birth(v->n, result->dot.incarnation);
    change.household = family;
    index = sim_model_add_change(&sim->model, &change);
    for (size_t i = 0; i < v->save.row_count; i++) {
        if (v->rows[i].form != HM_FORM_HOUSEHOLD) {
            note_row(v, family, index, &v->rows[i], result, &next_item);
        }
    }
    note_own_row(v, family, index, result);
    if (answered) {
        sim_fact_raise(&v->n->own, result->dot.incarnation, result->dot.n + 1);
        sim->saves++;
    }
}

int sim_saving_load(struct saving *v)
{
    int err;

    if (v->family == SIZE_MAX) {
        return HM_OK;
    }
    err = hm_store_begin_read(v->n->store);
    if (err != HM_OK) {
        return err;
    }
    err = hm_households_load(v->n->store, &v->n->sim->model.families[v->family].id,
                             &v->arena, &v->before);
    v->found = err == HM_OK && !hm_household_is_hearsay(&v->before) &&
               hm_fact_state(&v->before) != HM_ROW_REMOVED;
    if (v->found) {
        v->save.scope = sim_saving_seen_in(v);
        v->found = v->save.scope != 0;
    }
    return hm_store_end(v->n->store, err == HM_NOTFOUND ? HM_OK : err);
}

void sim_saving_run(struct saving *v)
{
    struct sim_node *n = v->n;
    struct hm_save_result result = {0};
    int err = hm_store_begin(n->store);

    if (!sim_node_survives(n, err, "save") || err != HM_OK) {
        return;
    }
    err = v->decides
              ? hm_decisions_save(n->store, &v->save, 0, &v->before, hm_forms_policy_of,
                                  n->forms, &v->arena, &result)
              : hm_save_run(n->store, &v->save, hm_forms_policy_of, n->forms, &v->arena,
                            &result);
    if (err == HM_OK) {
        int commit = hm_store_end(n->store, HM_OK);

        if (result.changed && (commit == HM_OK || commit == HM_IO)) {
            sim_saving_note(v, &result, commit == HM_OK);
        }
        if (result.changed && commit == HM_OK && v->decides) {
            n->decisions[n->decision_count++ % SIM_DECISIONS_MAX] = result.dot;
        }
        if (commit == HM_OK && n->sim->verbose) {
            char text[HM_ID_TEXT_MAX];
            char id[HM_ID_TEXT_MAX];

            hm_dot_to_text(&result.dot, text);
            hm_household_id_to_text(&result.household, id);
            sim_tell(n->sim, n, "saves %s %s%s", id,
                     result.changed ? text : "(nothing new)",
                     v->save.creates ? ", new" : "");
        }
        err = commit;
    } else {
        int undone = hm_store_end(n->store, err);

        (void)undone; /* is err */
    }
    if (!sim_node_survives(n, err, "save") || err != HM_OK) {
        return;
    }
    if (n->index != 0) {
        sim_upsync(n, HM_UPSYNC_EV_SAVED);
    }
}

/* The user saves instead of the operator, unless the node knows of no such account. */
static int choose_user(struct saving *v)
{
    struct hm_user user;
    int err;

    if (v->n->user == 0 || sim_saving_draw(v, 3) == 0) {
        return HM_OK;
    }
    err = hm_store_begin_read(v->n->store);
    if (err != HM_OK) {
        return err;
    }
    err = hm_people_get_user(v->n->store, v->n->user, &v->arena, &user);
    if (err == HM_OK && user.active) {
        v->save.user = v->n->user;
    }
    return hm_store_end(v->n->store, err == HM_NOTFOUND ? HM_OK : err);
}

void sim_save(struct sim_node *n, uint64_t param, bool forbidden)
{
    struct saving v = {.n = n, .rng = {param}, .family = SIZE_MAX};
    int err = HM_OK;

    hm_arena_init(&v.arena, SIM_SAVING_ARENA_BYTES);
    err = sim_saving_some_hamlet(&v, &v.hamlet);
    if (err == HM_OK) {
        err = choose_user(&v);
    }
    v.save.rows = v.rows;
    v.save.rank = forbidden ? HM_RANK_MAX : 4;
    if (sim_saving_draw(&v, 5) != 0) {
        for (int i = 0; i < SIM_SAVING_TRIES && !v.found && err == HM_OK; i++) {
            v.family = sim_saving_some_family(&v);
            err = sim_saving_load(&v);
        }
    }
    if (sim_node_survives(n, err, "save") && err == HM_OK) {
        if (v.found) {
            change_family(&v);
        } else {
            v.family = SIZE_MAX;
            new_family(&v);
        }
        sim_saving_run(&v);
    }
    hm_arena_deinit(&v.arena);
}
