/* The oracles about laptops that lose something: hamlets, or everybody's trust. */
#include "storage/quarantine.h"
#include "storage/scopes.h"
#include "tests/sim/sim.h"

enum {
    ARENA_BYTES = 64 * 1024 * 1024,
    CLOCK_ERROR_MS = 2 * 60 * 1000 /* of what a slow exchange tells of a clock */
};

static int count_one(void *arg, const struct hm_quarantine_entry *entry)
{
    (void)entry;
    ++*(unsigned *)arg;
    return HM_OK;
}

/* What was refused is kept for a person to decide. */
static int check_kept(struct sim_node *centre, const struct sim_change *change,
                      const char *dot)
{
    unsigned kept = 0;
    int err = hm_quarantine_each_of(centre->store, change->dot.incarnation,
                                    change->dot.n, change->dot.n, count_one, &kept);

    if (err == HM_OK && kept != 1) {
        sim_find(centre->sim, SIM_ORACLE_QUARANTINE,
                 "change %s was refused, and is not in quarantine", dot);
    }
    return err;
}

/* Of a revoked laptop with an honest clock, what was written before is welcome, and
 * what was written since is not. */
static void check_revoked(struct sim *sim, const struct sim_change *change, int verdict,
                          const char *dot)
{
    const struct sim_node *author = &sim->nodes[change->node];
    bool before = change->at_ms + CLOCK_ERROR_MS < author->revoked_at_ms;
    bool since = change->at_ms > author->revoked_at_ms + CLOCK_ERROR_MS;

    if (!author->revoked || author->revoked_perhaps || author->clock_lied ||
        sim->nodes[0].clock_lied || change->forbidden) {
        return;
    }
    if (before && verdict == HM_REVOKED) {
        sim_find(sim, SIM_ORACLE_QUARANTINE,
                 "change %s of %s was written before it was revoked, and refused", dot,
                 author->name);
    }
    if (since && verdict != HM_REVOKED) {
        sim_find(sim, SIM_ORACLE_QUARANTINE,
                 "change %s of %s was written since it was revoked, and is %s", dot,
                 author->name, hm_err_name(verdict));
    }
}

bool sim_check_may_be_disabled(const struct sim_node *author,
                               const struct sim_change *change)
{
    return change->by_user && author->disabled_at_ms != 0 &&
           (author->clock_lied || author->sim->nodes[0].clock_lied ||
            change->at_ms + CLOCK_ERROR_MS >= author->disabled_at_ms);
}

/* Of a user whose account was closed, the same is held: here what came since. */
static void check_disabled(struct sim *sim, const struct sim_change *change,
                           int verdict, const char *dot)
{
    const struct sim_node *author = &sim->nodes[change->node];

    if (change->by_user && author->disabled_at_ms != 0 && !author->disabled_perhaps &&
        !author->clock_lied && !sim->nodes[0].clock_lied && verdict == HM_OK &&
        change->at_ms > author->disabled_at_ms + CLOCK_ERROR_MS) {
        sim_find(
            sim, SIM_ORACLE_QUARANTINE,
            "change %s of %s was written since its user was disabled, and accepted",
            dot, author->name);
    }
}

int sim_check_verdict(struct sim_node *centre, const struct sim_change *change,
                      int verdict)
{
    char dot[HM_ID_TEXT_MAX];

    hm_dot_to_text(&change->dot, dot);
    check_revoked(centre->sim, change, verdict, dot);
    check_disabled(centre->sim, change, verdict, dot);
    return verdict == HM_OK ? HM_OK : check_kept(centre, change, dot);
}

int sim_check_leftover(struct sim_node *n)
{
    struct hm_scope_leaving *leaving = NULL;
    struct hm_arena arena;
    uint32_t *held = NULL;
    size_t held_count = 0;
    size_t count = 0;
    int err;

    hm_arena_init(&arena, ARENA_BYTES);
    err = hm_upload_scopes(n->store, &arena, &held, &held_count);
    if (err == HM_OK) {
        err = hm_scopes_leaving(n->store, held, held_count, &arena, &leaving, &count);
    }
    if (err == HM_OK && count > 0) {
        sim_find(n->sim, SIM_ORACLE_LEFTOVER,
                 "%s: %llu households of scope %u are still here, %llu changes wait",
                 n->name, (unsigned long long)leaving[0].households, leaving[0].scope,
                 (unsigned long long)leaving[0].waits);
    }
    hm_arena_deinit(&arena);
    return err;
}
