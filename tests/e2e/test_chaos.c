/* Everything at once, with real processes: six laptops and a centre, people who save on
 * all of them, and kills, stops, full disks, clocks and links that misbehave. In the
 * end what was answered is there, once, everywhere.
 *
 * HM_CHAOS_SEED repeats a plan of faults (as far as timing lets it), HM_CHAOS_S says
 * for how long. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/chaos.h"
#include "tests/support/child.h"
#include "tests/support/test.h"

enum { RUN_S = 60, RUN_LONG_S = 600, GOOD_AGAIN_S = 90, SETTLE_S = 240 };

static double number_from(const char *name, double otherwise)
{
    const char *text = getenv(name);

    return text == NULL ? otherwise : strtod(text, NULL);
}

/* Turns until run_s, with the faults of the plan. */
static void turn_until(struct chaos *c, const struct chaos_fault *faults, size_t count,
                       double run_s)
{
    size_t next = 0;

    while (chaos_now_s(c) < run_s) {
        while (next < count && faults[next].at_s <= chaos_now_s(c)) {
            chaos_faults_begin(c, &faults[next++]);
        }
        chaos_faults_turn(c);
        chaos_people_turn(c);
        hm_child_sleep(0.005);
    }
}

/* Nothing goes wrong any more: everybody comes back by himself. */
static void make_good(struct chaos *c)
{
    double begun_s = chaos_now_s(c);

    c->stopping = true;
    chaos_faults_end(c);
    while (!chaos_all_ready(c) || !chaos_people_rest(c)) {
        if (chaos_now_s(c) > begun_s + GOOD_AGAIN_S) {
            e2e_fail("not all nodes run %d s after the last fault", GOOD_AGAIN_S);
        }
        chaos_faults_turn(c);
        chaos_people_turn(c);
        hm_child_sleep(0.005);
    }
}

static void tell_figures(const struct chaos *c)
{
    const struct chaos_figures *f = &c->figures;
    uint64_t cuts = 0;
    long rss_kb = 0;
    unsigned fds = 0;

    for (size_t i = 0; i < CHAOS_NODES; i++) {
        const struct chaos_node *n = &c->nodes[i];

        cuts += i == 0 ? 0 : hm_proxy_counters(n->node->proxy).cuts;
        rss_kb = n->rss_kb_max > rss_kb ? n->rss_kb_max : rss_kb;
        fds = n->fds_max > fds ? n->fds_max : fds;
    }
    e2e_step(
        "faults: %u kills, %u ends by SIGTERM, %u stops, %u SIGHUP, %u full disks, "
        "%u clock steps, %u bad links (%u cuts), %u pauses",
        f->done[CHAOS_KILL], f->done[CHAOS_TERM], f->done[CHAOS_FREEZE],
        f->done[CHAOS_HUP], f->done[CHAOS_FULL_DISK], f->done[CHAOS_CLOCK],
        f->done[CHAOS_LINK], (unsigned)cuts, f->done[CHAOS_PAUSE]);
    e2e_step("saves: %u answered (%u new households, %u fields, %u members, %u "
             "resolutions, %u imports), %u unanswered, %u refused by a full disk",
             f->saves_answered, f->new_households, f->updates, f->member_changes,
             f->resolutions, f->imports, f->saves_unanswered, f->saves_refused);
    e2e_step(
        "%u syncs, %u receipts looked for after a kill of the centre, %u reads on a "
        "full disk, %u ends by a full disk, at most %ld kB and %u open files",
        f->syncs, f->receipts_checked, f->reads_on_full_disk, f->ended_by_full_disk,
        rss_kb, fds);
}

HM_TEST(answered_saves_survive_chaos)
{
    static struct chaos_fault faults[CHAOS_FAULTS_MAX];
    static struct chaos c;
    double run_s = number_from("HM_CHAOS_S", e2e_long() ? RUN_LONG_S : RUN_S);
    size_t count;

    c.seed = (uint64_t)number_from("HM_CHAOS_SEED", 1);
    c.rng.state = c.seed + 1;
    count = chaos_plan(c.seed, run_s, faults);
    e2e_step("HM_CHAOS_SEED=%llu HM_CHAOS_S=%.0f: %zu faults",
             (unsigned long long)c.seed, run_s, count);
    chaos_nodes_begin(&c);
    turn_until(&c, faults, count, run_s);
    make_good(&c);
    chaos_settle(&c, SETTLE_S);
    chaos_check_all(&c);
    tell_figures(&c);
    assert_true(c.figures.saves_answered > (unsigned)run_s / 4); /* on a busy machine */
    e2e_finish();
}

/* A seed is of use when it gives the same faults again. */
HM_TEST(one_seed_is_one_plan)
{
    static struct chaos_fault a[CHAOS_FAULTS_MAX];
    static struct chaos_fault b[CHAOS_FAULTS_MAX];
    unsigned kinds = 0;
    size_t count = chaos_plan(7, RUN_LONG_S, a);

    assert_int_equal(chaos_plan(7, RUN_LONG_S, b), count);
    for (size_t i = 0; i < count; i++) {
        assert_true(a[i].at_s == b[i].at_s && a[i].for_s == b[i].for_s);
        assert_true(a[i].kind == b[i].kind && a[i].node == b[i].node);
        assert_true(a[i].random == b[i].random && a[i].at_s < RUN_LONG_S);
        assert_true(i == 0 || a[i].at_s >= a[i - 1].at_s);
        kinds |= 1U << a[i].kind;
    }
    assert_int_equal(kinds, (1U << CHAOS_KINDS) - 1);
    (void)chaos_plan(8, RUN_LONG_S, b);
    assert_true(a[0].random != b[0].random);
}
