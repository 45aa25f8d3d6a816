#include "tests/fuzz/rollback.h"

#include "storage/feeds.h"
#include "storage/log.h"
#include "tests/fuzz/fuzz.h"

static struct hm_village v;
static struct hm_test_node before; /* of the node that takes an input */
static uint64_t own_entries[2];    /* of the centre and of the laptop */

static int add_entries(void *arg, const struct hm_log *log)
{
    uint64_t *sum = arg;

    *sum += log->entries;
    return HM_OK;
}

static uint64_t count_own(struct hm_village_node *n)
{
    uint64_t sum = 0;

    CHECK_OK(hm_log_each_own(n->node.store, add_entries, &sum));
    return sum;
}

static void make(void)
{
    struct hm_village_node *laptop;
    struct hm_save_result both;

    hm_village_open(&v);
    laptop = hm_village_add(&v, "lan", 3);
    both = hm_village_new(&v, laptop, 0, "An", 2);
    (void)hm_village_new(&v, &v.centre, 1, "Bình", 1);
    hm_village_settle(&v);
    (void)hm_village_put(&v, &v.centre, &both.household, v.phone, "1");
    (void)hm_village_put(&v, laptop, &both.household, v.phone, "2");
    (void)hm_village_new(&v, laptop, 1, "Chi", 1);
    own_entries[0] = count_own(&v.centre);
    own_entries[1] = count_own(laptop);
}

struct hm_village *hm_fuzz_rollback_village(void)
{
    if (v.centre.node.store == NULL) {
        make();
    }
    return &v;
}

struct hm_village_node *hm_fuzz_rollback_laptop(void)
{
    return &hm_fuzz_rollback_village()->laptops[0];
}

void hm_fuzz_rollback_begin(struct hm_village_node *n)
{
    before = n->node;
    CHECK_OK(hm_store_begin(n->node.store));
}

void hm_fuzz_rollback_end(struct hm_village_node *n)
{
    HM_FUZZ_CHECK(hm_store_end(n->node.store, HM_CANCELED) == HM_CANCELED);
    n->node = before;
}

void hm_fuzz_rollback_check(struct hm_village_node *n)
{
    uint32_t *scopes = NULL;
    struct hm_arena arena;
    size_t count = 0;

    hm_arena_init(&arena, HM_FUZZ_ARENA_BYTES_MAX);
    HM_FUZZ_CHECK(hm_households_scopes(n->node.store, &arena, &scopes, &count) ==
                  HM_OK);
    for (size_t i = 0; i < count; i++) {
        struct hm_feed_state state;
        struct hm_hash digest;
        uint64_t households;

        HM_FUZZ_CHECK(hm_feeds_get(n->node.store, scopes[i], &state) == HM_OK);
        HM_FUZZ_CHECK(hm_households_recompute(n->node.store, scopes[i], &digest,
                                              &households) == HM_OK);
        HM_FUZZ_CHECK(hm_hash_equal(&digest, &state.digest));
        HM_FUZZ_CHECK(households == state.households);
    }
    hm_arena_deinit(&arena);
    HM_FUZZ_CHECK(count_own(n) >= own_entries[n == &v.centre ? 0 : 1]);
}
