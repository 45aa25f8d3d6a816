/* Changes that a node writes by itself: values whose authors are gone. They are noted
 * like the saves of people, and held against what those had written. */
#include <stdlib.h>

#include "storage/closed.h"
#include "storage/fork.h"
#include "storage/log.h"
#include "storage/rescue.h"
#include "tests/sim/sim.h"

enum { ARENA_BYTES = 64 * 1024 * 1024 };

static size_t find_family(const struct sim_model *model,
                          const struct hm_household_id *id)
{
    for (size_t i = 0; i < model->family_count; i++) {
        if (hm_household_id_compare(&model->families[i].id, id) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

/* Only a lost value, only when the centre has said so, and as it was written. */
static int check_cell(struct sim_node *n, const struct sim_family *family,
                      const struct hm_row_key *row, const struct hm_cell_write *cell)
{
    const struct sim_write *original;
    uint64_t entries = 0;
    bool closed = false;
    int err = HM_OK;

    if (cell->replaced_count != 1) {
        sim_find(n->sim, SIM_ORACLE_RISEN,
                 "%s: a value that was written again names %zu dots", n->name,
                 cell->replaced_count);
        return HM_OK;
    }
    err = hm_closed_get(n->store, cell->replaced[0].incarnation, &closed, &entries);
    if (err == HM_OK && (!closed || cell->replaced[0].n < entries)) {
        sim_find(n->sim, SIM_ORACLE_INVENTED,
                 "%s: a value was written again before its log was closed", n->name);
    }
    original = sim_model_write_of(&n->sim->model, family, row, cell->field,
                                  &cell->replaced[0]);
    if (original == NULL || original->value != sim_model_value(cell->value)) {
        sim_find(n->sim, SIM_ORACLE_INVENTED,
                 "%s: field %u was written again as nobody wrote it", n->name,
                 cell->field);
    }
    return err;
}

static int note_change(struct sim_node *n, const struct hm_dot *dot,
                       const struct hm_change *change)
{
    struct sim_model *model = &n->sim->model;
    size_t family = find_family(model, &change->household);
    struct sim_change noted = {.dot = *dot,
                               .node = n->index,
                               .household = family,
                               .answered = true,
                               .excused = n->revoked};
    size_t index;
    int err = HM_OK;

    if (family == SIZE_MAX ||
        !hm_bytes_equal(change->reason, hm_bytes_str(HM_RESCUE_REASON))) {
        sim_find(n->sim, SIM_ORACLE_INVENTED,
                 "%s: it wrote a change that nobody asked for", n->name);
        return HM_OK;
    }
    index = sim_model_add_change(model, &noted);
    for (size_t i = 0; i < change->row_count && err == HM_OK; i++) {
        const struct hm_row_write *row = &change->rows[i];

        for (size_t j = 0; j < row->cell_count && err == HM_OK; j++) {
            struct hm_dot shown = {0};
            struct sim_write write = {.change = index,
                                      .row = row->key,
                                      .field = row->cells[j].field,
                                      .value = sim_model_value(row->cells[j].value),
                                      .shown = &shown,
                                      .shown_count = 1};

            err = check_cell(n, &model->families[family], &row->key, &row->cells[j]);
            if (err == HM_OK && row->cells[j].replaced_count > 0) {
                shown = row->cells[j].replaced[0];
                sim_model_add_write(model, family, &write);
            }
        }
    }
    return err;
}

/* A change of a branch that was left, as it was saved, under another name. */
static int note_again(struct sim_node *n, const struct hm_dot *dot,
                      const struct hm_change *change)
{
    struct sim_model *model = &n->sim->model;
    size_t family = find_family(model, &change->household);
    struct sim_change noted = {
        .dot = *dot, .node = n->index, .answered = true, .excused = n->revoked};
    size_t index;

    noted.forbidden = change->rank == HM_RANK_MAX;
    if (!n->rolled_back) {
        sim_find(n->sim, SIM_ORACLE_INVENTED, "%s: it writes again, and never forked",
                 n->name);
    }
    if (family == SIZE_MAX) {
        unsigned hamlet = 0;

        while (hamlet < SIM_HAMLETS - 1 && n->sim->hamlets[hamlet] != change->scope) {
            hamlet++;
        }
        family = sim_model_add_family(model, &change->household, hamlet);
    }
    noted.household = family;
    index = sim_model_add_change(model, &noted);
    for (size_t i = 0; i < change->row_count; i++) {
        const struct hm_row_write *row = &change->rows[i];

        for (size_t j = 0; j < row->cell_count; j++) {
            struct hm_dot *shown =
                calloc(row->cells[j].replaced_count + 1, sizeof *shown);
            struct sim_write write = {.change = index,
                                      .row = row->key,
                                      .field = row->cells[j].field,
                                      .value = sim_model_value(row->cells[j].value),
                                      .shown = shown,
                                      .shown_count = row->cells[j].replaced_count};

            SIM_MUST(shown != NULL);
            for (size_t k = 0; k < write.shown_count; k++) {
                shown[k] = row->cells[j].replaced[k];
            }
            sim_model_add_write(model, family, &write);
            free(shown);
        }
    }
    return HM_OK;
}

static uint64_t cells_of(const struct sim_model *model, size_t change)
{
    const struct sim_family *family =
        &model->families[model->changes[change].household];
    uint64_t count = 0;

    for (size_t i = 0; i < family->write_count; i++) {
        count += family->writes[i].change == change;
    }
    return count;
}

/* Entries that were answered and have left the log: each must be written again. */
static void note_left(struct sim_node *n, const struct hm_log *log)
{
    struct sim_model *model = &n->sim->model;

    for (size_t i = n->restore_change; i < model->change_count; i++) {
        struct sim_change *change = &model->changes[i];

        if (change->node == n->index && !change->gone &&
            change->dot.incarnation == log->author.incarnation &&
            change->dot.n >= log->entries) {
            change->gone = true;
            n->forked++;
            n->left_cells += cells_of(model, i);
        }
    }
    for (size_t i = 0; i < n->own.count; i++) {
        if (n->own.facts[i].incarnation == log->author.incarnation) {
            n->own.facts[i].entries = log->entries;
        }
    }
}

static int leave_log(void *arg, const struct hm_log *log)
{
    struct sim_node *n = arg;

    if (n->rolled_back && sim_fact(&n->own, log->author.incarnation) > log->entries) {
        note_left(n, log);
    }
    return HM_OK;
}

static void note_birth(struct sim_node *n, uint64_t incarnation)
{
    struct sim_birth birth = {.incarnation = incarnation, .node = n->index};

    if (sim_fact(&n->own, incarnation) == 0) {
        if (n->own.count > 0) {
            birth.parent = n->own.facts[n->own.count - 1].incarnation;
            birth.parent_entries = n->own.facts[n->own.count - 1].entries;
        }
        sim_model_add_birth(&n->sim->model, &birth);
    }
}

static int note_log(void *arg, const struct hm_log *log)
{
    struct sim_node *n = arg;
    uint64_t known = sim_fact(&n->own, log->author.incarnation);
    int err = HM_OK;

    for (uint64_t i = known == 0 ? 1 : known; i < log->entries && err == HM_OK; i++) {
        struct hm_dot dot = {log->author.incarnation, i};
        struct hm_bytes bytes = {0};
        struct hm_change change;
        struct hm_arena arena;
        int verdict;

        hm_arena_init(&arena, ARENA_BYTES);
        err = hm_log_entry(n->store, dot.incarnation, i, &arena, &bytes, &verdict);
        if (err == HM_OK) {
            err = hm_change_decode(bytes, &dot, &arena, &change);
        }
        if (err == HM_OK) {
            note_birth(n, dot.incarnation);
            if (hm_bytes_equal(change.reason, hm_bytes_str(HM_FORK_REASON))) {
                err = note_again(n, &dot, &change);
                for (size_t k = 0; k < change.row_count; k++) {
                    n->again_cells += change.rows[k].cell_count;
                }
            } else {
                err = note_change(n, &dot, &change);
            }
            sim_fact_raise(&n->own, dot.incarnation, i + 1);
        }
        hm_arena_deinit(&arena);
    }
    return err;
}

void sim_rescue_note(struct sim_node *n)
{
    int err = hm_store_begin_read(n->store);

    if (err == HM_OK) {
        err = hm_log_each_own(n->store, leave_log, n);
        if (err == HM_OK) {
            err = hm_log_each_own(n->store, note_log, n);
        }
        err = hm_store_end(n->store, err);
    }
    if (n->left_cells != n->again_cells) {
        sim_find(n->sim, SIM_ORACLE_LOST,
                 "%s: %llu cells left its log with a branch, %llu were written again",
                 n->name, (unsigned long long)n->left_cells,
                 (unsigned long long)n->again_cells);
    }
    (void)sim_node_survives(n, err, "read what it wrote"); /* if not, it is over */
}

/* -- What the centre forgets -- */

static int mark_family(struct sim_node *n, struct sim_family *family,
                       const struct sim_log_facts *kept)
{
    struct sim_model *model = &n->sim->model;
    struct hm_household h;
    struct hm_arena arena;
    int err;

    hm_arena_init(&arena, ARENA_BYTES);
    err = hm_households_load(n->store, &family->id, &arena, &h);
    for (size_t i = 0; err == HM_OK && i < family->write_count; i++) {
        struct sim_write *write = &family->writes[i];
        const struct sim_change *change = &model->changes[write->change];
        const struct hm_cell *cell =
            hm_row_cell(hm_household_row(&h, &write->row), write->field);

        if (change->node != 0 || change->gone ||
            change->dot.n < sim_fact(kept, change->dot.incarnation)) {
            continue;
        }
        for (size_t j = 0; cell != NULL && j < cell->sibling_count; j++) {
            if (hm_dot_compare(&cell->siblings[j].dot, &change->dot) == 0) {
                write->held |= (uint64_t)1 << n->index;
            }
        }
    }
    hm_arena_deinit(&arena);
    return err == HM_NOTFOUND ? HM_OK : err;
}

/* Entries of one log of a laptop that the centre holds, and its image does not. */
static void count_lost(struct sim *sim, uint64_t incarnation, uint64_t receipted)
{
    struct sim_node *centre = &sim->nodes[0];
    uint64_t kept = sim_fact(&centre->image_logs, incarnation);
    struct hm_log log = {.entries = 0};

    if (centre->store == NULL ||
        hm_log_get(centre->store, incarnation, &log) != HM_OK) {
        return;
    }
    kept = kept == 0 ? 1 : kept;
    sim->lost_held += log.entries > kept ? log.entries - kept : 0;
    sim->lost_receipted += receipted > kept ? receipted - kept : 0;
}

void sim_rescue_mark(struct sim *sim)
{
    struct sim_node *centre = &sim->nodes[0];
    bool reads = sim_node_runs(centre) && hm_store_begin_read(centre->store) == HM_OK;
    struct sim_log_facts receipts = {.facts = NULL}; /* clones share logs */

    for (unsigned i = 1; i < sim->node_count; i++) {
        struct sim_node *n = &sim->nodes[i];
        int err;

        for (size_t j = 0; reads && j < n->own.count; j++) {
            uint64_t incarnation = n->own.facts[j].incarnation;

            sim_fact_raise(&receipts, incarnation,
                           n->destroyed ? 0 : sim_fact(&n->at_centre, incarnation));
        }
        if (!sim_node_runs(n) || hm_store_begin_read(n->store) != HM_OK) {
            continue;
        }
        err = HM_OK;
        for (size_t j = 0; j < sim->model.family_count && err == HM_OK; j++) {
            err = mark_family(n, &sim->model.families[j], &centre->image_own);
        }
        err = hm_store_end(n->store, err);
        (void)sim_node_survives(n, err, "show what it has"); /* if not, it is over */
    }
    for (size_t i = 0; i < receipts.count; i++) {
        count_lost(sim, receipts.facts[i].incarnation, receipts.facts[i].entries);
    }
    free(receipts.facts);
    if (reads) {
        int err = hm_store_end(centre->store, HM_OK);

        SIM_MUST(err == HM_OK);
    }
}

static int declare(struct sim *sim, bool *out_any)
{
    struct hm_store *s = sim->nodes[0].store;
    struct hm_closed_count count;
    int err = HM_OK;

    *out_any = sim->centre_set_back;
    if (sim->centre_set_back) {
        err = hm_closed_restore(s, &count);
    }
    for (unsigned i = 1; i < sim->node_count && err == HM_OK; i++) {
        if (sim->nodes[i].destroyed) {
            *out_any = true;
            err = hm_closed_device(s, sim->nodes[i].device, &count);
        }
    }
    return err;
}

bool sim_rescue_declare(struct sim *sim)
{
    struct sim_node *centre = &sim->nodes[0];
    bool any = false;
    int err = hm_store_begin(centre->store);

    if (err == HM_OK) {
        err = hm_store_end(centre->store, declare(sim, &any));
    }
    SIM_MUST(err == HM_OK);
    sim_tell(sim, centre, any ? "says that no more will come" : "misses nothing");
    return any;
}

/* A write that is included and names the dot: it was written again, or replaced. */
static bool has_heir(const struct sim *sim, const struct sim_family *family,
                     const struct sim_write *lost)
{
    const struct hm_dot *dot = &sim->model.changes[lost->change].dot;

    for (size_t i = 0; i < family->write_count; i++) {
        const struct sim_write *write = &family->writes[i];

        if (!sim->model.changes[write->change].included ||
            write->field != lost->field ||
            hm_row_key_compare(&write->row, &lost->row) != 0) {
            continue;
        }
        for (size_t j = 0; j < write->shown_count; j++) {
            if (hm_dot_compare(&write->shown[j], dot) == 0) {
                return true;
            }
        }
    }
    return false;
}

void sim_rescue_check(struct sim *sim)
{
    for (size_t i = 0; i < sim->model.family_count; i++) {
        const struct sim_family *family = &sim->model.families[i];

        for (size_t j = 0; j < family->write_count; j++) {
            const struct sim_write *write = &family->writes[j];

            if (sim->model.changes[write->change].included || write->held == 0 ||
                has_heir(sim, family, write)) {
                continue;
            }
            for (unsigned k = 1; k < sim->node_count; k++) {
                if ((write->held >> k & 1) != 0 && !sim->nodes[k].unsteady) {
                    sim_find(
                        sim, SIM_ORACLE_LOST,
                        "field %u of %016llx.%llu, written by the centre before it "
                        "was set back, was on the screen of %s, and is gone",
                        write->field, (unsigned long long)family->id.a,
                        (unsigned long long)family->id.n, sim->nodes[k].name);
                    return;
                }
            }
        }
    }
}
