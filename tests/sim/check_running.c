/* The oracles that look at stores while a season runs, and whether all is quiet. */
#include <string.h>

#include "storage/cursors.h"
#include "storage/feeds.h"
#include "storage/log.h"
#include "storage/quarantine.h"
#include "tests/sim/sim.h"

enum { ARENA_BYTES = 64 * 1024 * 1024 };

static int check_cursors(struct sim_node *n)
{
    int err = HM_OK;

    for (unsigned i = 0; i <= SIM_HAMLETS && err == HM_OK; i++) {
        uint32_t scope = i == SIM_HAMLETS ? 0 : n->sim->hamlets[i];
        struct sim_cursor *before = &n->cursors[i];
        struct hm_cursor_at at = {0};

        err = hm_cursors_get(n->store, n->sim->nodes[n->parent].device, scope, &at);
        if (err == HM_OK && at.timeline == before->timeline &&
            at.position < before->position && !n->sim->copied_back) {
            sim_find(n->sim, SIM_ORACLE_CURSOR,
                     "%s: the cursor of scope %u went from %llu to %llu", n->name,
                     scope, (unsigned long long)before->position,
                     (unsigned long long)at.position);
        }
        before->timeline = at.timeline;
        before->position = at.position;
        if (n->sim->calm && at.repair != HM_REPAIR_NONE) {
            sim_find(n->sim, SIM_ORACLE_REPAIR,
                     "%s: the digest of scope %u differs, and nothing has happened",
                     n->name, scope);
        }
    }
    return err;
}

/* What is on its way stays on the screen, whatever the parent says. */
/* As far as it can be looked up now. */
static bool was_at_centre(const struct sim_node *n, const struct hm_dot *dot)
{
    struct sim_node *centre = &n->sim->nodes[0];
    struct hm_log log = {.entries = 0};
    int err;

    if (!sim_node_runs(centre)) {
        return true;
    }
    err = hm_store_begin_read(centre->store);
    if (err == HM_OK) {
        err = hm_store_end(centre->store,
                           hm_log_get(centre->store, dot->incarnation, &log));
    }
    return err == HM_OK && log.entries > dot->n;
}

static int check_unsent(struct sim_node *n)
{
    const struct sim_model *model = &n->sim->model;
    uint64_t incarnation = 0; /* that receipted is of */
    uint64_t receipted = 0;
    int err = HM_OK;

    for (size_t i = 0; i < model->change_count && err == HM_OK; i++) {
        const struct sim_change *change = &model->changes[i];
        struct hm_household h;
        struct hm_arena arena;

        if (change->node != n->index || !change->answered ||
            change->dot.n >= sim_fact(&n->own, change->dot.incarnation) ||
            (n->rolled_back && change->excused)) { /* its number was given out again */
            continue;
        }
        if (change->dot.incarnation != incarnation) {
            unsigned level;

            incarnation = change->dot.incarnation;
            receipted = 0;
            err = hm_log_receipt(n->store, n->sim->nodes[n->parent].device, incarnation,
                                 &receipted, &level);
        }
        if (err != HM_OK || change->dot.n < receipted) {
            continue;
        }
        hm_arena_init(&arena, ARENA_BYTES);
        err = hm_households_load(n->store, &model->families[change->household].id,
                                 &arena, &h);
        if (err == HM_NOTFOUND && was_at_centre(n, &change->dot)) {
            err = HM_OK; /* gone with its hamlet, or moved; what the parent
                          * holds is asked anew */
        } else if (err == HM_NOTFOUND ||
                   (err == HM_OK &&
                    hm_household_seen(&h, change->dot.incarnation) < change->dot.n)) {
            sim_find(n->sim, SIM_ORACLE_UNSENT,
                     "%s: change %s is unsent, and its own state has forgotten it",
                     n->name, sim_dot_text(&change->dot));
            err = HM_OK;
        }
        hm_arena_deinit(&arena);
    }
    return err;
}

static int check_adopted(struct sim_node *n)
{
    int err = check_cursors(n);

    return err == HM_OK ? check_unsent(n) : err;
}

void sim_check_adopted(struct sim_node *n)
{
    sim_look(n, check_adopted);
}

/* Whether a change whose commit was cut came to the disk. */
static int settle_unanswered(struct sim_node *n)
{
    struct sim_model *model = &n->sim->model;
    int err = HM_OK;

    for (size_t i = model->change_count; i-- > 0 && err == HM_OK;) {
        struct sim_change *change = &model->changes[i];
        struct hm_log log = {0};

        if (change->node != n->index || change->answered || change->gone) {
            continue;
        }
        err = hm_log_get(n->store, change->dot.incarnation, &log);
        err = err == HM_NOTFOUND ? HM_OK : err;
        if (log.entries > change->dot.n) {
            change->answered = true;
            sim_fact_raise(&n->own, change->dot.incarnation, change->dot.n + 1);
        } else {
            change->gone = true;
        }
    }
    return err;
}

static int check_facts(struct sim_node *n, const struct sim_log_facts *facts,
                       const char *what)
{
    int err = HM_OK;

    for (size_t i = 0; i < facts->count && err == HM_OK; i++) {
        const struct sim_log_fact *fact = &facts->facts[i];
        struct hm_log log = {0};

        err = hm_log_get(n->store, fact->incarnation, &log);
        err = err == HM_NOTFOUND ? HM_OK : err;
        if (err == HM_OK && log.entries < fact->entries && !n->rolled_back) {
            sim_find(n->sim, SIM_ORACLE_DURABLE,
                     "%s: %s %llu entries of log %016llx, its disk has %llu", n->name,
                     what, (unsigned long long)fact->entries,
                     (unsigned long long)fact->incarnation,
                     (unsigned long long)log.entries);
        }
    }
    return err;
}

static int check_promises(struct sim_node *n)
{
    int err = settle_unanswered(n);

    if (err == HM_OK) {
        err = check_facts(n, &n->own, "it answered");
    }
    return err == HM_OK ? check_facts(n, &n->receipts, "it receipted") : err;
}

void sim_check_promises(struct sim_node *n)
{
    sim_look(n, check_promises);
}

/* -- Quiet ------------------------------------------------------------------------ */

static int count_changes(void *arg, const struct hm_log *log)
{
    uint64_t *changes = arg;

    *changes += log->entries == 0 ? 0 : log->entries - 1;
    return HM_OK;
}

/* Nothing waits for its parent, and it was told that its own is at the centre. */
static int is_told(struct sim_node *n, bool *out_told)
{
    struct hm_unsent unsent;
    uint64_t own = 0;
    int err = hm_log_unsent(n->store, n->sim->nodes[n->parent].device, &unsent);

    if (err == HM_OK) {
        err = hm_log_each_own(n->store, count_changes, &own);
    }
    *out_told = err == HM_OK && unsent.changes == 0 && unsent.at_centre == own;
    return err;
}

static int compare_scopes(struct sim_node *n, bool *out_equal)
{
    struct hm_store *centre = n->sim->nodes[0].store;
    struct hm_arena arena;
    uint32_t *scopes = NULL;
    size_t count = 0;
    int err;

    *out_equal = false;
    hm_arena_init(&arena, ARENA_BYTES);
    err = hm_upload_scopes(n->store, &arena, &scopes, &count);
    if (err == HM_OK) {
        err = is_told(n, out_equal);
    }
    for (size_t i = 0; i < count && err == HM_OK; i++) {
        struct hm_feed_state here;
        struct hm_feed_state there;

        err = hm_feeds_get(n->store, scopes[i], &here);
        if (err == HM_OK) {
            err = hm_feeds_get(centre, scopes[i], &there);
        }
        *out_equal =
            *out_equal && err == HM_OK && hm_hash_equal(&here.digest, &there.digest);
    }
    hm_arena_deinit(&arena);
    return err;
}

/* Both stores are read, so both hold a snapshot. */
static bool is_done(struct sim_node *n)
{
    struct sim_node *centre = &n->sim->nodes[0];
    bool equal = false;
    int err = hm_store_begin_read(centre->store);

    if (err == HM_OK) {
        err = hm_store_begin_read(n->store);
        if (err == HM_OK) {
            err = hm_store_end(n->store, compare_scopes(n, &equal));
        }
        err = hm_store_end(centre->store, err);
    }
    return err == HM_OK && equal && n->digest_equal;
}

bool sim_check_quiet(struct sim *sim)
{
    if (!sim_node_runs(&sim->nodes[0])) {
        return false;
    }
    for (unsigned i = 1; i < sim->node_count; i++) {
        const struct sim_node *n = &sim->nodes[i];

        if (sim_takes_part(n) && (!sim_node_runs(n) || n->exchange != 0)) {
            return false;
        }
    }
    for (unsigned i = 1; i < sim->node_count; i++) {
        if (sim_takes_part(&sim->nodes[i]) && !is_done(&sim->nodes[i])) {
            return false;
        }
    }
    return true;
}

void sim_check_noise(struct sim *sim)
{
    for (unsigned i = 0; i < sim->node_count; i++) {
        struct sim_node *n = &sim->nodes[i];

        if (i == 0 ? !sim_node_runs(n) : sim_takes_part(n) && !sim_node_runs(n)) {
            sim_find(sim, SIM_ORACLE_LIVENESS, "%s does not run at the end", n->name);
            return;
        }
    }
    for (unsigned i = 1; i < sim->node_count; i++) {
        struct sim_node *n = &sim->nodes[i];
        struct hm_unsent unsent = {0};

        if (!sim_takes_part(n) || is_done(n)) {
            continue;
        }
        if (hm_store_begin_read(n->store) == HM_OK) {
            int err = hm_store_end(
                n->store,
                hm_log_unsent(n->store, sim->nodes[n->parent].device, &unsent));

            SIM_MUST(err == HM_OK);
        }
        sim_find(sim, unsent.changes > 0 ? SIM_ORACLE_LIVENESS : SIM_ORACLE_DIGEST,
                 "%s: three days after the faults: %llu changes unsent, %llu at the "
                 "centre, state %s, the last exchange was %s",
                 n->name, (unsigned long long)unsent.changes,
                 (unsigned long long)unsent.at_centre,
                 hm_upsync_state_name(n->upsync.state),
                 n->digest_equal ? "equal" : "not equal");
        return;
    }
    sim_find(sim, SIM_ORACLE_LIVENESS, "an exchange does not end");
}
