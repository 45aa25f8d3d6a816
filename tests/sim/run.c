/* A season from its first step to the quiet behind its last fault. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

enum {
    HOUR_MS = 60 * 60 * 1000,
    DECLARED_AFTER_MS = 24 * HOUR_MS,
    QUIET_WITHIN_MS = 72 * HOUR_MS /* the longest wish of a server is a day */
};

const char *sim_oracle_text(enum sim_oracle oracle)
{
    static const char *const texts[] = {
#define SIM_ORACLE_TEXT(name, text) text,
        SIM_ORACLE_TABLE(SIM_ORACLE_TEXT)
#undef SIM_ORACLE_TEXT
    };

    return texts[oracle];
}

void sim_broken(const char *what, const char *file, int line)
{
    fprintf(stderr, "sim: %s:%d: the simulator itself failed: %s\n", file, line, what);
    abort();
}

void sim_find(struct sim *sim, enum sim_oracle oracle, const char *format, ...)
{
    va_list args;

    if (sim->oracle != SIM_ORACLE_NONE) {
        return;
    }
    sim->oracle = oracle;
    va_start(args, format);
    (void)vsnprintf(sim->finding, sizeof sim->finding, format, args); /* cut is fine */
    va_end(args);
    sim_tell(sim, NULL, "FINDING %s: %s", sim_oracle_text(oracle), sim->finding);
}

void sim_tell(struct sim *sim, const struct sim_node *node, const char *format, ...)
{
    va_list args;

    if (!sim->verbose) {
        return;
    }
    printf("%16s  %-9s ", sim_time_text(sim->now_ms), node == NULL ? "" : node->name);
    va_start(args, format);
    (void)vprintf(format, args);
    va_end(args);
    printf("\n");
}

uint64_t sim_fact(const struct sim_log_facts *facts, uint64_t incarnation)
{
    for (size_t i = facts->count; i-- > 0;) {
        if (facts->facts[i].incarnation == incarnation) {
            return facts->facts[i].entries;
        }
    }
    return 0;
}

void sim_fact_raise(struct sim_log_facts *facts, uint64_t incarnation, uint64_t entries)
{
    for (size_t i = facts->count; i-- > 0;) {
        if (facts->facts[i].incarnation == incarnation) {
            if (facts->facts[i].entries < entries) {
                facts->facts[i].entries = entries;
            }
            return;
        }
    }
    if (facts->count == facts->room) {
        facts->room = 2 * facts->room + 8;
        facts->facts = realloc(facts->facts, facts->room * sizeof facts->facts[0]);
        SIM_MUST(facts->facts != NULL);
    }
    facts->facts[facts->count++] = (struct sim_log_fact){incarnation, entries};
}

void sim_facts_copy(struct sim_log_facts *to, const struct sim_log_facts *from)
{
    to->count = 0;
    for (size_t i = 0; i < from->count; i++) {
        sim_fact_raise(to, from->facts[i].incarnation, from->facts[i].entries);
    }
}

/* -- Time ------------------------------------------------------------------------- */

/* The next thing that a node does by itself. */
static uint64_t next_of_nodes(const struct sim *sim, unsigned *out_node)
{
    uint64_t first_ms = UINT64_MAX;

    for (unsigned i = 0; i < sim->node_count; i++) {
        const struct sim_node *n = &sim->nodes[i];
        uint64_t at_ms = sim_node_runs(n) ? n->timer_at_ms : n->start_at_ms;

        if (at_ms != 0 && at_ms < first_ms) {
            first_ms = at_ms;
            *out_node = i;
        }
    }
    return first_ms;
}

static void act(struct sim_node *n)
{
    if (!sim_node_runs(n)) {
        sim_node_begin(n);
        return;
    }
    sim_upsync(n, HM_UPSYNC_EV_TIMER);
}

/* Who has a parent that is lost for good turns to the centre, as soon as it can. */
static void leave_the_lost(struct sim *sim)
{
    for (unsigned i = 1; i < sim->node_count && sim->oracle == SIM_ORACLE_NONE; i++) {
        struct sim_node *n = &sim->nodes[i];

        if (!n->destroyed && sim->nodes[n->parent].destroyed) {
            sim_node_turn(n, 0);
        }
    }
}

/* Everything up to the next step, or the end. */
static void run_until(struct sim *sim, uint64_t end_ms)
{
    while (sim->oracle == SIM_ORACLE_NONE) {
        unsigned node = 0;
        size_t message = 0;
        uint64_t node_ms = next_of_nodes(sim, &node);
        uint64_t message_ms = sim_net_next_ms(sim, &message);
        uint64_t next_ms = node_ms < message_ms ? node_ms : message_ms;

        if (next_ms > end_ms) {
            break;
        }
        if (next_ms > sim->now_ms) {
            sim->now_ms = next_ms;
        }
        if (node_ms < message_ms) {
            act(&sim->nodes[node]);
        } else {
            sim_net_deliver(sim, message);
        }
        if (sim->ending) {
            leave_the_lost(sim);
        }
        if (sim->ending && sim_check_quiet(sim)) {
            return;
        }
    }
    if (sim->now_ms < end_ms) {
        sim->now_ms = end_ms;
    }
}

/* No more faults: everybody runs and has a link. */
static void stop_faults(struct sim *sim)
{
    sim->ending = true;
    sim_tell(sim, NULL, "the faults stop");
    for (unsigned i = 0; i < sim->node_count && sim->oracle == SIM_ORACLE_NONE; i++) {
        struct sim_node *n = &sim->nodes[i];

        if (n->destroyed) {
            continue;
        }
        hm_simdisk_heal(n->disk);
        hm_simdisk_limit(n->disk, UINT64_MAX);
        if (!hm_simdisk_is_dark(n->disk)) {
            hm_simdisk_boot(n->disk);
        }
        n->net_fault_count = 0;
        n->speaks_newer = false;
        n->windows = (struct hm_sync_windows){0};
        n->opens_hour = n->shuts_hour;
        n->cost = HM_UPSYNC_COST_ALL;
        n->portal_until_ms = 0;
        if (!sim_node_runs(n)) {
            sim_node_begin(n);
        }
        if (n->paused) {
            sim_tell_upsync(n, HM_UPSYNC_EV_RESUME);
        }
        sim_set_link(n, true);
        if (sim_node_runs(n) && n->index != 0) {
            sim_tell_limits(n);
        }
    }
    leave_the_lost(sim);
}

/* A power cut everywhere, when all is quiet: what was answered and receipted must be
 * there even so. */
static void cut_everything(struct sim *sim)
{
    for (unsigned i = 0; i < sim->node_count && sim->oracle == SIM_ORACLE_NONE; i++) {
        struct sim_node *n = &sim->nodes[i];

        if (sim_node_runs(n)) {
            hm_simdisk_cut_now(n->disk, HM_SIMDISK_NONE, 1);
            sim_node_die(n, 1);
            sim_node_begin(n);
        }
    }
}

bool sim_run(struct sim *sim, const struct sim_plan *plan, bool verbose)
{
    uint64_t end_ms = (uint64_t)plan->shape.days * 24 * HOUR_MS;

    *sim = (struct sim){.plan = plan, .verbose = verbose, .calm = true};
    sim_template_open(sim);
    sim_luck_begin(sim);
    for (unsigned i = 0; i < sim->node_count; i++) {
        sim_node_begin(&sim->nodes[i]);
    }
    for (size_t i = 0; i < plan->count && sim->oracle == SIM_ORACLE_NONE; i++) {
        run_until(sim, plan->steps[i].at_ms);
        if (sim->oracle == SIM_ORACLE_NONE) {
            sim_step(sim, &plan->steps[i]);
        }
    }
    run_until(sim, end_ms);
    sim->node_days = (uint64_t)sim->node_count * plan->shape.days;
    if (sim->oracle == SIM_ORACLE_NONE) {
        stop_faults(sim);
        run_until(sim, end_ms + DECLARED_AFTER_MS);
    }
    /* What is still missing by now will not come. */
    if (sim->oracle == SIM_ORACLE_NONE && sim_rescue_declare(sim)) {
        run_until(sim, sim->now_ms + HOUR_MS); /* quiet was yesterday's */
    }
    if (sim->oracle == SIM_ORACLE_NONE) {
        run_until(sim, end_ms + DECLARED_AFTER_MS + QUIET_WITHIN_MS);
    }
    if (sim->oracle == SIM_ORACLE_NONE && !sim_check_quiet(sim)) {
        sim_check_noise(sim);
    }
    if (sim->oracle == SIM_ORACLE_NONE) {
        cut_everything(sim);
    }
    if (sim->oracle == SIM_ORACLE_NONE) {
        sim_check_end(sim);
    }
    sim_luck_end();
    return sim->oracle == SIM_ORACLE_NONE;
}

void sim_free(struct sim *sim)
{
    for (size_t i = 0; i < sim->message_count; i++) {
        hm_buf_deinit(&sim->messages[i].bytes);
    }
    free(sim->messages);
    for (unsigned i = 0; i < sim->node_count; i++) {
        struct sim_node *n = &sim->nodes[i];

        sim_node_stop(n);
        hm_simdisk_destroy(n->image);
        hm_simdisk_destroy(n->disk);
        free(n->own.facts);
        free(n->image_own.facts);
        free(n->image_logs.facts);
        free(n->receipts.facts);
        free(n->at_centre.facts);
    }
    sim_model_free(&sim->model);
}
