/* The oracles about whole households: deletions, merges, departures. */
#include <stdlib.h>

#include "protocol/fact.h"
#include "storage/notices.h"
#include "storage/redirects.h"
#include "tests/sim/sim.h"

enum { ARENA_BYTES = 64 * 1024 * 1024 };

static const char *id_text(const struct hm_household_id *id)
{
    static char texts[4][HM_ID_TEXT_MAX];
    static unsigned next;
    char *text = texts[next++ % 4];

    hm_household_id_to_text(id, text);
    return text;
}

/* -- Deletions -------------------------------------------------------------------- */

static bool is_deletion(const struct hm_row *row, const struct hm_cell *cell,
                        const struct hm_sibling *sibling)
{
    return row->key.form == HM_FORM_HOUSEHOLD && cell->field == HM_FIELD_STATUS &&
           sibling->value.len > 1;
}

/* A live value that the author of a deletion had not on the screen, by what the model
 * knows of that screen. */
static bool has_unseen(const struct hm_household *h, const struct sim_change *deletion)
{
    for (size_t i = 0; i < h->row_count; i++) {
        for (size_t j = 0; j < h->rows[i].cell_count; j++) {
            const struct hm_cell *cell = &h->rows[i].cells[j];

            for (size_t k = 0; k < cell->sibling_count; k++) {
                const struct hm_sibling *next = &cell->siblings[k];

                if (!is_deletion(&h->rows[i], cell, next) &&
                    hm_dot_compare(&next->dot, &deletion->dot) != 0 &&
                    !sim_model_saw(deletion, &next->dot)) {
                    return true;
                }
            }
        }
    }
    return false;
}

/* Deleted is what somebody deleted who had seen all of it. */
static enum hm_row_state expected_state(const struct sim *sim,
                                        const struct hm_household *h, bool *out_known)
{
    const struct hm_cell *status = hm_fact_cell(h, HM_FIELD_STATUS);
    bool disputed = false;

    *out_known = true;
    for (size_t i = 0; status != NULL && i < status->sibling_count; i++) {
        size_t index = sim_model_find_change(&sim->model, &status->siblings[i].dot);

        if (status->siblings[i].value.len == 1) {
            continue; /* taken back */
        }
        if (index == SIZE_MAX || !sim->model.changes[index].deletes) {
            *out_known = false; /* brought back by an undo: what it saw is older */
        } else if (!has_unseen(h, &sim->model.changes[index])) {
            return HM_ROW_REMOVED;
        } else {
            disputed = true;
        }
    }
    return disputed ? HM_ROW_DISPUTED : HM_ROW_ACTIVE;
}

static void check_state(struct sim_node *n, const struct hm_household *h)
{
    bool known = false;
    enum hm_row_state expected = expected_state(n->sim, h, &known);

    if (known && hm_fact_state(h) != expected) {
        sim_find(
            n->sim, SIM_ORACLE_HIDDEN,
            "%s: household %s is in state %d, by what its deleters saw it is in %d",
            n->name, id_text(&h->id), (int)hm_fact_state(h), (int)expected);
    }
}

/* A household that is disputed waits for a person. */
static int check_listed(struct sim_node *n, struct hm_household *h)
{
    struct hm_policy_conflict *conflicts = NULL;
    size_t count = 0;
    bool listed = false;
    int err = hm_policy_conflicts(h, hm_forms_policy_of, n->forms, h->arena, &conflicts,
                                  &count);

    for (size_t i = 0; i < count; i++) {
        listed = listed || conflicts[i].kind == HM_CONFLICT_DELETED;
    }
    if (err == HM_OK && listed != (hm_fact_state(h) == HM_ROW_DISPUTED)) {
        sim_find(
            n->sim, SIM_ORACLE_HIDDEN,
            "%s: the deletion of household %s is disputed, and no conflict says so",
            n->name, id_text(&h->id));
    }
    return err;
}

/* -- Merges ----------------------------------------------------------------------- */

/* Where each family is merged into at a node: index, or SIZE_MAX. */
struct merges {
    size_t *into;
    size_t count;
};

static size_t family_of(const struct sim_model *model, const struct hm_household_id *id)
{
    for (size_t i = 0; i < model->family_count; i++) {
        if (hm_household_id_compare(&model->families[i].id, id) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

/* By hand, with a mark on each one that was passed. */
static size_t survivor_of(const struct sim_model *model, const struct merges *merges,
                          size_t start, bool *passed)
{
    size_t at = start;
    size_t lowest;

    for (size_t i = 0; i < merges->count; i++) {
        passed[i] = false;
    }
    while (merges->into[at] != SIZE_MAX && !passed[at]) {
        passed[at] = true;
        at = merges->into[at];
    }
    if (merges->into[at] == SIZE_MAX) {
        return at;
    }
    lowest = at;
    for (size_t next = merges->into[at]; next != at; next = merges->into[next]) {
        if (hm_household_id_compare(&model->families[next].id,
                                    &model->families[lowest].id) < 0) {
            lowest = next;
        }
    }
    return lowest;
}

static int check_survivors(struct sim_node *n, const struct merges *merges)
{
    const struct sim_model *model = &n->sim->model;
    bool *passed = calloc(merges->count + 1, sizeof *passed);
    int err = HM_OK;

    SIM_MUST(passed != NULL);
    for (size_t i = 0; i < merges->count && err == HM_OK; i++) {
        size_t expected = survivor_of(model, merges, i, passed);
        struct hm_household_id found;
        bool circle = false;

        err = hm_redirects_survivor(n->store, &model->families[i].id, &found, &circle);
        if (err == HM_TOOBIG ||
            (err == HM_OK &&
             hm_household_id_compare(&found, &model->families[expected].id) != 0)) {
            sim_find(n->sim, SIM_ORACLE_REDIRECT,
                     "%s: household %s is shown under another one than %s", n->name,
                     id_text(&model->families[i].id),
                     id_text(&model->families[expected].id));
            err = HM_OK;
        }
    }
    free(passed);
    return err;
}

/* -- Departures ------------------------------------------------------------------- */

/* What moved to where a laptop holds nothing is not on it any more. */
static int check_departed(struct sim_node *n, struct hm_household *h)
{
    uint32_t *held = NULL;
    uint32_t *scopes = NULL;
    size_t held_count = 0;
    size_t count = 0;
    bool here = false;
    int err = hm_upload_scopes(n->store, h->arena, &held, &held_count);

    if (err == HM_OK) {
        err = hm_household_scopes(h, &scopes, &count);
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < held_count; j++) {
            here = here || scopes[i] == held[j];
        }
    }
    if (err == HM_OK && !here) {
        sim_find(n->sim, SIM_ORACLE_DEPARTED,
                 "%s: household %s lives elsewhere, and is still here", n->name,
                 id_text(&h->id));
    }
    return err;
}

/* -- Notices ---------------------------------------------------------------------- */

struct hearing {
    const struct sim_write *write;
    const struct hm_dot *dot;
    const struct hm_household_id *family;
    bool heard;
};

static int hear(void *arg, const struct hm_notice *notice)
{
    struct hearing *h = arg;

    h->heard =
        h->heard || (hm_household_id_compare(&notice->household, h->family) == 0 &&
                     hm_row_key_compare(&notice->key, &h->write->row) == 0 &&
                     notice->field == h->write->field &&
                     hm_dot_compare(&notice->lost_dot, h->dot) == 0);
    return HM_OK;
}

static bool shows(const struct sim_write *write, const struct hm_dot *dot)
{
    for (size_t i = 0; i < write->shown_count; i++) {
        if (hm_dot_compare(&write->shown[i], dot) == 0) {
            return true;
        }
    }
    return false;
}

/* Was this value of n replaced by others alone, who all wrote something else? */
static bool was_lost(const struct sim *sim, const struct sim_node *n,
                     const struct sim_family *family, const struct sim_write *lost)
{
    const struct hm_dot *dot = &sim->model.changes[lost->change].dot;
    bool replaced = false;

    for (size_t i = 0; i < family->write_count; i++) {
        const struct sim_write *other = &family->writes[i];
        const struct sim_change *change = &sim->model.changes[other->change];

        if (other == lost || other->field != lost->field ||
            hm_row_key_compare(&other->row, &lost->row) != 0) {
            continue;
        }
        if (change->node == n->index ? shows(other, dot)
                                     : other->value == lost->value) {
            return false;
        }
        replaced = replaced ||
                   (change->node != n->index && change->included && shows(other, dot));
    }
    return replaced;
}

/* A household that moved may have been forgotten in between. */
static bool stayed(const struct sim_family *family)
{
    for (size_t i = 0; i < family->write_count; i++) {
        if (family->writes[i].row.form == HM_FORM_HOUSEHOLD &&
            family->writes[i].field == HM_FIELD_SCOPE) {
            return false;
        }
    }
    return true;
}

static int check_heard(struct sim_node *n, const struct sim_family *family)
{
    const struct sim *sim = n->sim;
    int err = HM_OK;

    if (n->unsteady || sim->plan->shape.hubs > 0) {
        /* It may not have held the household when that was replaced, or not all parents
         * may have told of it in between. */
        return HM_OK;
    }
    for (size_t i = 0; i < family->write_count && err == HM_OK; i++) {
        const struct sim_write *write = &family->writes[i];
        const struct sim_change *change = &sim->model.changes[write->change];
        struct hearing hearing = {write, &change->dot, &family->id, false};

        if (change->node != n->index || !change->included ||
            write->field < HM_FIELD_FIRST || !was_lost(sim, n, family, write)) {
            continue;
        }
        err = hm_notices_each(n->store, hear, &hearing);
        if (err == HM_OK && !hearing.heard) {
            char dot[HM_ID_TEXT_MAX];

            hm_dot_to_text(&change->dot, dot);
            sim_find(n->sim, SIM_ORACLE_NOTICE,
                     "%s: field %u of household %s, written by %s, was replaced by "
                     "another, and nothing says so",
                     n->name, write->field, id_text(&family->id), dot);
        }
    }
    return err;
}

/* Of a laptop that has its disk and its hamlets as they were. */
static int check_notices(struct sim_node *n)
{
    int err = HM_OK;

    if (n->index == 0 || n->excused || n->revoked || n->image != NULL ||
        n->twin_of != n->index) {
        return HM_OK;
    }
    for (size_t i = 0; i < n->sim->model.family_count && err == HM_OK; i++) {
        if (stayed(&n->sim->model.families[i])) {
            err = check_heard(n, &n->sim->model.families[i]);
        }
    }
    return err;
}

/* -- All ------------------------------------------------------------------------- */

static int check_family(struct sim_node *n, size_t index, struct merges *merges)
{
    struct sim *sim = n->sim;
    struct hm_household_id into;
    struct hm_household h;
    struct hm_arena arena;
    int err;

    hm_arena_init(&arena, ARENA_BYTES);
    err = hm_households_load(n->store, &sim->model.families[index].id, &arena, &h);
    if (err == HM_OK && hm_fact_merged_into(&h, &into)) {
        merges->into[index] = family_of(&sim->model, &into);
    }
    if (err == HM_OK) {
        check_state(n, &h);
        err = check_listed(n, &h);
    }
    if (err == HM_OK && n->index != 0 && !n->excused && !n->revoked &&
        sim->oracle == SIM_ORACLE_NONE) {
        err = check_departed(n, &h);
    }
    hm_arena_deinit(&arena);
    return err == HM_NOTFOUND ? HM_OK : err;
}

int sim_check_facts(struct sim_node *n)
{
    struct merges merges = {.count = n->sim->model.family_count};
    int err = HM_OK;

    merges.into = calloc(merges.count + 1, sizeof merges.into[0]);
    SIM_MUST(merges.into != NULL);
    for (size_t i = 0; i < merges.count && err == HM_OK; i++) {
        merges.into[i] = SIZE_MAX;
    }
    for (size_t i = 0; i < merges.count && err == HM_OK; i++) {
        err = check_family(n, i, &merges);
    }
    if (err == HM_OK) {
        err = check_survivors(n, &merges);
    }
    if (err == HM_OK) {
        err = check_notices(n);
    }
    free(merges.into);
    return err;
}
