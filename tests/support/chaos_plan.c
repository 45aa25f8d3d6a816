#include "tests/support/chaos_plan.h"

#include <stdbool.h>
#include <stdlib.h>

#include "tests/support/rng.h"

/* A slot holds one fault of a node at a time. Times in ms, the latter excluded. */
struct slot {
    enum chaos_kind kinds[6];
    unsigned kind_count;
    unsigned gap_from, gap_to;
    unsigned for_from, for_to;
    bool laptops_only;
};

static const struct slot slots[] = {
    {{CHAOS_KILL, CHAOS_KILL, CHAOS_FREEZE, CHAOS_FREEZE, CHAOS_TERM, CHAOS_HUP},
     6,
     3000,
     12000,
     100,
     4000,
     false},
    {{CHAOS_FULL_DISK}, 1, 6000, 30000, 500, 6000, false},
    {{CHAOS_CLOCK}, 1, 5000, 25000, 1, 2, false},
    {{CHAOS_LINK}, 1, 1000, 8000, 300, 7000, true},
    {{CHAOS_PAUSE}, 1, 10000, 40000, 1000, 8000, true},
};

static double draw_s(struct hm_rng *rng, unsigned from_ms, unsigned to_ms)
{
    return (double)(from_ms + hm_rng_below(rng, to_ms - from_ms)) / 1000;
}

static int compare(const void *a, const void *b)
{
    const struct chaos_fault *x = a;
    const struct chaos_fault *y = b;

    if (x->at_s != y->at_s) {
        return x->at_s < y->at_s ? -1 : 1;
    }
    if (x->node != y->node) {
        return x->node < y->node ? -1 : 1;
    }
    return x->kind < y->kind ? -1 : x->kind > y->kind;
}

size_t chaos_plan(uint64_t seed, double run_s, struct chaos_fault *out)
{
    struct hm_rng rng = {seed};
    size_t count = 0;

    for (size_t node = 0; node < CHAOS_NODES; node++) {
        for (size_t i = 0; i < sizeof slots / sizeof slots[0]; i++) {
            const struct slot *slot = &slots[i];
            double at_s = draw_s(&rng, 0, slot->gap_to);

            while (at_s < run_s && count < CHAOS_FAULTS_MAX &&
                   !(slot->laptops_only && node == 0)) {
                struct chaos_fault *fault = &out[count++];

                *fault = (struct chaos_fault){.at_s = at_s, .node = node};
                fault->kind = slot->kinds[hm_rng_below(&rng, slot->kind_count)];
                if (node == 0 && i == 0 && hm_rng_below(&rng, 2) == 0) {
                    fault->kind = CHAOS_KILL; /* receipts are looked at after it */
                }
                fault->for_s = draw_s(&rng, slot->for_from, slot->for_to);
                fault->random = hm_rng_next(&rng);
                at_s += fault->for_s + draw_s(&rng, slot->gap_from, slot->gap_to);
            }
        }
    }
    qsort(out, count, sizeof out[0], compare);
    return count;
}
