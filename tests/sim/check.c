/* The oracles that look at stores. What each promises is in docs/proof.md. */
#include <string.h>

#include "storage/cursors.h"
#include "storage/feeds.h"
#include "storage/log.h"
#include "storage/quarantine.h"
#include "tests/sim/sim.h"

enum { ARENA_BYTES = 64 * 1024 * 1024 };

const char *sim_dot_text(const struct hm_dot *dot)
{
    static char texts[4][HM_ID_TEXT_MAX];
    static unsigned next;
    char *text = texts[next++ % 4];

    hm_dot_to_text(dot, text);
    return text;
}

void sim_look(struct sim_node *n, int (*check)(struct sim_node *n))
{
    int err = hm_store_begin_read(n->store);

    if (err == HM_OK) {
        err = hm_store_end(n->store, check(n));
    }
    if (err != HM_OK) {
        (void)sim_node_survives(n, err, "check");
    }
}

bool sim_takes_part(const struct sim_node *n)
{
    return n->index != 0 && !n->destroyed && !n->revoked;
}

/* -- The end ---------------------------------------------------------------------- */

/* Whether an entry is this change, and not another with its number. */
static bool is_this(const struct sim *sim, const struct sim_change *change,
                    struct hm_bytes bytes)
{
    const struct sim_family *family = &sim->model.families[change->household];
    size_t index = (size_t)(change - sim->model.changes);
    struct hm_change entry;
    struct hm_arena arena;
    bool same = true;

    hm_arena_init(&arena, ARENA_BYTES);
    SIM_MUST(hm_change_decode(bytes, &change->dot, &arena, &entry) == HM_OK);
    for (size_t i = 0; i < family->write_count && same; i++) {
        const struct sim_write *write = &family->writes[i];
        bool found = false;

        if (write->change != index) {
            continue;
        }
        for (size_t j = 0; j < entry.row_count; j++) {
            for (size_t k = 0; k < entry.rows[j].cell_count; k++) {
                found = found ||
                        (entry.rows[j].cells[k].field == write->field &&
                         sim_model_value(entry.rows[j].cells[k].value) == write->value);
            }
        }
        same = found;
    }
    hm_arena_deinit(&arena);
    return same;
}

/* A household that was made on a branch that was left has another name now. */
static bool was_left(const struct sim *sim, size_t family)
{
    const struct hm_household_id *id = &sim->model.families[family].id;

    for (size_t i = 0; i < sim->model.change_count; i++) {
        const struct sim_change *change = &sim->model.changes[i];

        if (change->household == family && change->dot.incarnation == id->a &&
            change->dot.n == id->n) {
            return change->gone ||
                   (sim->nodes[change->node].rolled_back && !change->included);
        }
    }
    return false;
}

/* What the centre made of a change. */
static int include(struct sim_node *centre, struct sim_change *change)
{
    struct sim *sim = centre->sim;
    const struct sim_node *author = &sim->nodes[change->node];
    struct hm_bytes bytes = {0};
    struct hm_arena arena;
    int verdict = HM_OK;
    int err;

    if (change->gone) {
        return HM_OK;
    }
    hm_arena_init(&arena, ARENA_BYTES);
    err = hm_log_entry(centre->store, change->dot.incarnation, change->dot.n, &arena,
                       &bytes, &verdict);
    if (err == HM_OK && author->rolled_back && !is_this(sim, change, bytes)) {
        hm_arena_deinit(&arena); /* the other branch has this number */
        if (!change->excused && !author->revoked && !author->destroyed) {
            sim_find(sim, SIM_ORACLE_LOST,
                     "change %s of %s was answered, and another took its number",
                     sim_dot_text(&change->dot), author->name);
        }
        return HM_OK;
    }
    hm_arena_deinit(&arena);
    if (err == HM_NOTFOUND) {
        if (!change->excused && !author->revoked && !author->destroyed) {
            sim_find(sim, SIM_ORACLE_LOST,
                     "change %s of %s was answered and never reached the centre",
                     sim_dot_text(&change->dot), author->name);
        }
        return HM_OK;
    }
    change->included = err == HM_OK && verdict == HM_OK;
    if (err == HM_OK) {
        err = sim_check_verdict(centre, change, verdict);
    }
    if (change->forbidden && change->included) {
        sim_find(sim, SIM_ORACLE_QUARANTINE, "change %s of %s was not refused",
                 sim_dot_text(&change->dot), author->name);
    }
    if (err == HM_OK && verdict != HM_OK && !author->excused && !change->forbidden &&
        !sim_check_may_be_disabled(author, change)) {
        sim_find(sim, SIM_ORACLE_QUARANTINE, "change %s of %s was refused: %s",
                 sim_dot_text(&change->dot), author->name, hm_err_name(verdict));
    }
    return err;
}

static const struct hm_sibling *find_sibling(const struct hm_household *h,
                                             const struct sim_write *write,
                                             const struct hm_dot *dot)
{
    const struct hm_cell *cell =
        hm_row_cell(hm_household_row(h, &write->row), write->field);

    for (size_t i = 0; cell != NULL && i < cell->sibling_count; i++) {
        if (hm_dot_compare(&cell->siblings[i].dot, dot) == 0) {
            return &cell->siblings[i];
        }
    }
    return NULL;
}

static void check_writes(struct sim *sim, const struct sim_family *family,
                         const struct hm_household *h)
{
    for (size_t i = 0; i < family->write_count; i++) {
        const struct sim_write *write = &family->writes[i];
        const struct sim_change *change = &sim->model.changes[write->change];
        const struct hm_sibling *sibling;
        enum sim_fate fate;

        if (!change->included) {
            continue;
        }
        sibling = h == NULL ? NULL : find_sibling(h, write, &change->dot);
        fate = sim_model_fate(&sim->model, family, write);
        if (fate == SIM_FATE_LIVE && sibling == NULL) {
            sim_find(sim, SIM_ORACLE_LOST,
                     "field %u of %s, written by %s of %s: nobody who saw it replaced "
                     "it, and it is gone",
                     write->field, sim_dot_text((const struct hm_dot *)&family->id),
                     sim_dot_text(&change->dot), sim->nodes[change->node].name);
        } else if (fate == SIM_FATE_DEAD && sibling != NULL) {
            sim_find(sim, SIM_ORACLE_RISEN,
                     "field %u of %s, written by %s: it was replaced, and lives",
                     write->field, sim_dot_text((const struct hm_dot *)&family->id),
                     sim_dot_text(&change->dot));
        } else if (sibling != NULL && sim_model_value(sibling->value) != write->value) {
            sim_find(sim, SIM_ORACLE_INVENTED,
                     "field %u of %s has another value than %s wrote", write->field,
                     sim_dot_text((const struct hm_dot *)&family->id),
                     sim_dot_text(&change->dot));
        }
    }
}

static void check_invented(struct sim *sim, const struct sim_family *family,
                           const struct hm_household *h)
{
    for (size_t i = 0; i < h->row_count; i++) {
        const struct hm_row *row = &h->rows[i];

        for (size_t j = 0; j < row->cell_count; j++) {
            const struct hm_cell *cell = &row->cells[j];

            for (size_t k = 0; k < cell->sibling_count; k++) {
                if (sim_model_write_of(&sim->model, family, &row->key, cell->field,
                                       &cell->siblings[k].dot) == NULL) {
                    sim_find(sim, SIM_ORACLE_INVENTED,
                             "field %u of %s holds a value of %s that nobody wrote",
                             cell->field,
                             sim_dot_text((const struct hm_dot *)&family->id),
                             sim_dot_text(&cell->siblings[k].dot));
                }
            }
        }
    }
}

static int check_family(struct sim_node *centre, const struct sim_family *family)
{
    struct hm_household h;
    struct hm_arena arena;
    int err;

    hm_arena_init(&arena, ARENA_BYTES);
    err = hm_households_load(centre->store, &family->id, &arena, &h);
    if (err == HM_OK) {
        check_writes(centre->sim, family, &h);
        check_invented(centre->sim, family, &h);
    } else if (err == HM_NOTFOUND) {
        check_writes(centre->sim, family, NULL);
        err = HM_OK;
    }
    hm_arena_deinit(&arena);
    return err;
}

/* Apply one entry of the centre's log to a household. */
static int fold_entry(struct sim_node *centre, const struct hm_dot *dot,
                      struct hm_household *h)
{
    struct hm_bytes bytes = {0};
    struct hm_change change;
    struct hm_log log;
    bool applied = false;
    int verdict = HM_OK;
    int err = hm_log_get(centre->store, dot->incarnation, &log);

    if (err == HM_OK) {
        err = hm_log_entry(centre->store, dot->incarnation, dot->n, h->arena, &bytes,
                           &verdict);
    }
    if (err == HM_OK) {
        err = hm_change_decode(bytes, dot, h->arena, &change);
    }
    if (err != HM_OK) {
        return err;
    }
    return verdict == HM_OK ? hm_household_apply(h, &change, dot, &log.author, &applied)
                            : hm_household_refuse(h, &change, dot, &log.author);
}

/* A random order of dots that are sorted by author, which keeps each author's own. */
static void shuffle(struct hm_rng *rng, struct hm_dot *dots, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t j = hm_rng_below(rng, i);
        struct hm_dot dot = dots[j];

        dots[j] = dots[i - 1];
        dots[i - 1] = dot;
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t j = i + 1; j < count; j++) {
            if (dots[j].incarnation == dots[i].incarnation && dots[j].n < dots[i].n) {
                struct hm_dot dot = dots[j];

                dots[j] = dots[i];
                dots[i] = dot;
            }
        }
    }
}

static int check_fold(struct sim_node *centre, const struct hm_household_row *row)
{
    struct hm_rng rng = {row->id.a ^ row->id.n};
    struct hm_dot *dots = NULL;
    struct hm_household h;
    struct hm_arena arena;
    struct hm_buf bytes;
    size_t count = 0;
    int err;

    hm_arena_init(&arena, ARENA_BYTES);
    hm_buf_init(&bytes, 2 * HM_HOUSEHOLD_BYTES_MAX);
    err = hm_log_history(centre->store, row->home, &row->id, &arena, &dots, &count);
    hm_household_init(&h, &row->id, &arena);
    if (err == HM_OK) {
        shuffle(&rng, dots, count);
    }
    for (size_t i = 0; i < count && err == HM_OK; i++) {
        err = fold_entry(centre, &dots[i], &h);
    }
    if (err == HM_OK) {
        hm_household_encode(&h, &bytes);
        err = bytes.err;
    }
    if (err == HM_OK && !hm_bytes_equal(hm_buf_bytes(&bytes), row->state)) {
        sim_find(centre->sim, SIM_ORACLE_FOLD,
                 "the centre's state of %s is not the fold of its log",
                 sim_dot_text((const struct hm_dot *)&row->id));
    }
    hm_buf_deinit(&bytes);
    hm_arena_deinit(&arena);
    return err;
}

struct folding {
    struct sim_node *centre;
    struct hm_household_row rows[256];
    size_t count;
    struct hm_arena *arena;
};

static int collect(void *arg, const struct hm_household_row *row)
{
    struct folding *f = arg;
    struct hm_household_row *kept = &f->rows[f->count];

    if (f->count == sizeof f->rows / sizeof f->rows[0]) {
        return HM_OK;
    }
    *kept = *row;
    f->count++;
    return hm_arena_copy(f->arena, row->state, &kept->state);
}

static int check_folds(struct sim_node *centre)
{
    int err = HM_OK;

    for (unsigned i = 0; i < SIM_HAMLETS && err == HM_OK; i++) {
        struct folding f = {.centre = centre};
        struct hm_arena arena;

        hm_arena_init(&arena, ARENA_BYTES);
        f.arena = &arena;
        err =
            hm_households_each(centre->store, centre->sim->hamlets[i], 0, collect, &f);
        for (size_t j = 0; j < f.count && err == HM_OK; j++) {
            err = check_fold(centre, &f.rows[j]);
        }
        hm_arena_deinit(&arena);
    }
    return err;
}

/* The digests that are kept are those of the states that are kept. */
static int check_digests(struct sim_node *n)
{
    int err = HM_OK;

    for (unsigned i = 0; i < SIM_HAMLETS && err == HM_OK; i++) {
        struct hm_feed_state kept;
        struct hm_hash computed;
        uint64_t households = 0;

        err = hm_feeds_get(n->store, n->sim->hamlets[i], &kept);
        if (err == HM_OK) {
            err = hm_households_recompute(n->store, n->sim->hamlets[i], &computed,
                                          &households);
        }
        if (err == HM_OK && (!hm_hash_equal(&kept.digest, &computed) ||
                             kept.households != households)) {
            sim_find(n->sim, SIM_ORACLE_DIGEST,
                     "%s: the digest of hamlet %u is not that of its states", n->name,
                     i);
        }
    }
    return err;
}

/* Every entry can be read, and leads to the chain's end. */
static int check_log(void *arg, const struct hm_log *log)
{
    struct sim_node *n = arg;
    struct hm_hash chain = HM_CHAIN_START;
    int err = HM_OK;

    for (uint64_t i = 0; i < log->entries && err == HM_OK; i++) {
        struct hm_bytes bytes = {0};
        struct hm_arena arena;
        int verdict;

        hm_arena_init(&arena, ARENA_BYTES);
        err = hm_log_entry(n->store, log->author.incarnation, i, &arena, &bytes,
                           &verdict);
        if (err == HM_OK) {
            chain = hm_chain_next(&chain, bytes);
        }
        hm_arena_deinit(&arena);
    }
    if (err == HM_NOTFOUND || err == HM_CORRUPT ||
        (err == HM_OK && !hm_hash_equal(&chain, &log->chain))) {
        sim_find(n->sim, SIM_ORACLE_UNSENT, "%s: log %016llx can't be read whole",
                 n->name, (unsigned long long)log->author.incarnation);
        return HM_OK;
    }
    return err;
}

static int check_logs(struct sim_node *n)
{
    return hm_log_each(n->store, check_log, n);
}

/* Two births with one parent, or one whose parent is known to be longer, are a clone or
 * a disk that was set back: for that each must name its parent as it was. */
static int check_birth(struct sim_node *centre, const struct sim_birth *birth)
{
    struct hm_stmt *stmt = NULL;
    bool row = false;
    int err = hm_db_stmt(hm_store_db(centre->store),
                         "SELECT parent, parent_n FROM incarnation "
                         "WHERE incarnation = $1",
                         &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, birth->incarnation);
    err = hm_stmt_step(stmt, &row);
    if (err == HM_OK && row &&
        (hm_stmt_u64(stmt, 0) != birth->parent ||
         (birth->parent != 0 && hm_stmt_u64(stmt, 1) + 1 != birth->parent_entries))) {
        sim_find(
            centre->sim, SIM_ORACLE_BIRTH,
            "the birth of %016llx names entry %llu of %016llx, not %llu of %016llx",
            (unsigned long long)birth->incarnation,
            (unsigned long long)hm_stmt_u64(stmt, 1),
            (unsigned long long)hm_stmt_u64(stmt, 0),
            (unsigned long long)birth->parent_entries - 1,
            (unsigned long long)birth->parent);
    }
    hm_stmt_reset(stmt);
    return err;
}

static int check_centre(struct sim_node *centre)
{
    struct sim *sim = centre->sim;
    uint64_t quarantined = 0;
    int err = HM_OK;

    for (size_t i = 0; i < sim->model.change_count && err == HM_OK; i++) {
        err = include(centre, &sim->model.changes[i]);
    }
    for (size_t i = 0; i < sim->model.family_count && err == HM_OK; i++) {
        err = was_left(sim, i) ? HM_OK : check_family(centre, &sim->model.families[i]);
    }
    for (size_t i = 0; i < sim->model.birth_count && err == HM_OK; i++) {
        err = check_birth(centre, &sim->model.births[i]);
    }
    if (err == HM_OK) {
        sim_rescue_check(sim);
        err = sim_alarms_check(centre);
    }
    if (err == HM_OK) {
        err = check_folds(centre);
    }
    if (err == HM_OK) {
        err = hm_quarantine_count(centre->store, &quarantined);
    }
    if (err == HM_OK && quarantined > 0 && !sim->was_hostile) {
        sim_find(sim, SIM_ORACLE_QUARANTINE,
                 "%llu in quarantine, and nobody did anything to deserve it",
                 (unsigned long long)quarantined);
    }
    return err;
}

/* "At the centre" was said to a laptop: then it is there, whatever happened to the
 * centre since. */
static void check_receipts(struct sim *sim, struct sim_node *n)
{
    for (size_t i = 0; i < n->at_centre.count; i++) {
        const struct sim_log_fact *fact = &n->at_centre.facts[i];
        struct hm_log log = {0};
        int err = hm_store_begin_read(sim->nodes[0].store);

        if (err == HM_OK) {
            err = hm_log_get(sim->nodes[0].store, fact->incarnation, &log);
            err = hm_store_end(sim->nodes[0].store, err == HM_NOTFOUND ? HM_OK : err);
        }
        SIM_MUST(err == HM_OK);
        if (log.entries < fact->entries) {
            sim_find(
                sim, SIM_ORACLE_RECEIPT,
                "%s was told that %llu entries of %016llx are at the centre, which "
                "has %llu",
                n->name, (unsigned long long)fact->entries,
                (unsigned long long)fact->incarnation, (unsigned long long)log.entries);
        }
    }
}

static int count_marks(struct hm_store *s, int64_t *out)
{
    return hm_db_query_int(hm_store_db(s), "SELECT COUNT(*) FROM likeness", out);
}

static void check_conflicts(struct sim_node *n)
{
    struct hm_households_count before = {0};
    struct hm_households_count after = {0};
    int64_t marks_before = 0;
    int64_t marks_after = 0;
    int err = hm_store_begin(n->store);

    if (err == HM_OK) {
        err = hm_households_count(n->store, &before);
        if (err == HM_OK) {
            err = count_marks(n->store, &marks_before);
        }
        if (err == HM_OK) {
            err = hm_db_exec(hm_store_db(n->store), "DELETE FROM likeness");
        }
        if (err == HM_OK) {
            err = hm_households_recount(n->store, hm_forms_policy_of, n->forms);
        }
        if (err == HM_OK) {
            err = hm_households_count(n->store, &after);
        }
        if (err == HM_OK) {
            err = count_marks(n->store, &marks_after);
        }
        err = hm_store_end(n->store, err);
    }
    if (err != HM_OK) {
        (void)sim_node_survives(n, err, "count conflicts");
    } else if (marks_before != marks_after) {
        sim_find(n->sim, SIM_ORACLE_FOLD,
                 "%s: %lld likenesses were noted, there are %lld", n->name,
                 (long long)marks_before, (long long)marks_after);
    } else if (before.conflicts != after.conflicts ||
               before.households != after.households) {
        sim_find(n->sim, SIM_ORACLE_FOLD,
                 "%s: %llu conflicts were counted, there are %llu", n->name,
                 (unsigned long long)before.conflicts,
                 (unsigned long long)after.conflicts);
    }
}

void sim_check_end(struct sim *sim)
{
    sim_look(&sim->nodes[0], check_centre);
    for (unsigned i = 0; i < sim->node_count && sim->oracle == SIM_ORACLE_NONE; i++) {
        struct sim_node *n = &sim->nodes[i];

        if (n->destroyed) {
            continue;
        }
        sim_look(n, check_digests);
        sim_look(n, check_logs);
        sim_look(n, sim_check_facts);
        check_conflicts(n);
        if (sim_takes_part(n)) {
            check_receipts(sim, n);
            sim_look(n, sim_check_leftover);
        }
    }
}
