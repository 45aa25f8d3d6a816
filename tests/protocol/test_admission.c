/* A herd at a hub, in virtual time: everybody gets through, in a time that the hub's
 * places allow, and nobody is kept out by others. */
#include "protocol/admission.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/rng.h"
#include "tests/support/test.h"

enum { LAPTOPS_MAX = 1000, STEP_MS = 10 };

struct laptop {
    uint64_t comes_ms;  /* when it knocks next */
    uint64_t leaves_ms; /* 0: it has no place */
    uint64_t done_ms;   /* of its first sync; 0: not yet */
    uint32_t group;
    unsigned tries;
    bool again; /* comes back at once, and does not wait as it was asked */
};

struct herd {
    struct hm_admission a;
    struct hm_rng rng;
    struct laptop laptops[LAPTOPS_MAX];
    unsigned count;
    uint64_t stays_ms;
    uint64_t now_ms;
};

static void open_herd(struct herd *h, unsigned count, unsigned places,
                      uint64_t stays_ms)
{
    *h =
        (struct herd){.rng = {7}, .count = count, .stays_ms = stays_ms, .now_ms = 1000};
    hm_admission_init(&h->a, places);
    for (unsigned i = 0; i < count; i++) {
        h->laptops[i] =
            (struct laptop){.comes_ms = 1000 + hm_rng_below(&h->rng, 1000), .group = 1};
    }
}

static void leave(struct herd *h, struct laptop *l, uint64_t key)
{
    hm_admission_leave(&h->a, key, l->group, h->now_ms);
    l->leaves_ms = 0;
    l->done_ms = l->done_ms == 0 ? h->now_ms : l->done_ms;
    l->comes_ms = l->again ? h->now_ms : UINT64_MAX;
}

static void knock(struct herd *h, struct laptop *l, uint64_t key)
{
    uint32_t retry_s = 0;

    l->tries++;
    if (hm_admission_enter(&h->a, key, h->now_ms, hm_rng_next(&h->rng), &retry_s)) {
        l->leaves_ms = h->now_ms + h->stays_ms;
        return;
    }
    assert_in_range(retry_s, 1, HM_ADMISSION_WAIT_S_MAX);
    l->comes_ms = h->now_ms + (l->again ? 200 : retry_s * 1000ULL);
}

static void play(struct herd *h, uint64_t for_ms)
{
    uint64_t end_ms = h->now_ms + for_ms;

    for (; h->now_ms < end_ms; h->now_ms += STEP_MS) {
        for (unsigned i = 0; i < h->count; i++) {
            struct laptop *l = &h->laptops[i];

            if (l->leaves_ms != 0 && l->leaves_ms <= h->now_ms) {
                leave(h, l, i + 1);
            } else if (l->leaves_ms == 0 && l->comes_ms <= h->now_ms) {
                knock(h, l, i + 1);
            }
        }
        assert_true(h->a.guest_count <= h->a.places + h->a.places / 4 + 1);
    }
}

static uint64_t last_done(const struct herd *h, unsigned from, unsigned to)
{
    uint64_t last_ms = 0;

    for (unsigned i = from; i < to; i++) {
        if (h->laptops[i].done_ms == 0) {
            fail_msg("laptop %u never got through, in %u tries", i,
                     h->laptops[i].tries);
        }
        last_ms = h->laptops[i].done_ms > last_ms ? h->laptops[i].done_ms : last_ms;
    }
    return last_ms - 1000;
}

/* With room for all nobody is sent away. */
HM_TEST(a_hub_with_room_takes_all)
{
    static struct herd h;

    open_herd(&h, 50, 64, 3000);
    play(&h, 10000);
    (void)last_done(&h, 0, 50);
    for (unsigned i = 0; i < 50; i++) {
        assert_int_equal(h.laptops[i].tries, 1);
    }
    assert_int_equal(hm_admission_waiting(&h.a, h.now_ms), 0);
}

/* Fifty in the same second, four places, two seconds each: 25 s at best. */
HM_TEST(fifty_laptops_in_the_same_second)
{
    static struct herd h;
    unsigned most = 0;

    open_herd(&h, 50, 4, 2000);
    play(&h, 120000);
    assert_in_range(last_done(&h, 0, 50), 25000 * 3 / 4, 50000);
    for (unsigned i = 0; i < 50; i++) {
        most = h.laptops[i].tries > most ? h.laptops[i].tries : most;
    }
    assert_in_range(most, 2, 8);
}

HM_TEST(a_thousand_laptops_in_the_same_second)
{
    static struct herd h;
    uint64_t tries = 0;

    open_herd(&h, 1000, 32, 2000);
    play(&h, 300000);
    assert_true(last_done(&h, 0, 1000) <= 2 * 1000 / 32 * 2000); /* twice the best */
    for (unsigned i = 0; i < 1000; i++) {
        tries += h.laptops[i].tries;
    }
    assert_true(tries < 6000);
}

/* A large commune that syncs without end and does not wait as it was asked, and a small
 * one: the small one's laptops get through all the same. */
HM_TEST(a_group_keeps_no_other_out)
{
    static struct herd h;

    open_herd(&h, 60, 4, 1000);
    for (unsigned i = 0; i < 60; i++) {
        h.laptops[i].again = i < 50;
        h.laptops[i].group = i < 50 ? 1 : 2;
        h.laptops[i].comes_ms += i < 50 ? 0 : 20000;
    }
    play(&h, 120000);
    assert_true(last_done(&h, 50, 60) <= 20000 + 30000);
    (void)last_done(&h, 0, 50);
}

/* A time given is kept for who comes a bit late, not for ever. */
HM_TEST(a_time_given_ends)
{
    static struct hm_admission a;
    uint32_t retry_s = 0;

    hm_admission_init(&a, 1);
    assert_true(hm_admission_enter(&a, 1, 1000, 0, &retry_s));
    assert_false(hm_admission_enter(&a, 2, 1000, 0, &retry_s));
    assert_int_equal(hm_admission_waiting(&a, 1000), 1);
    hm_admission_leave(&a, 1, 0, 2000);
    assert_false(hm_admission_enter(&a, 3, 5000, 0, &retry_s)); /* 2's place */
    assert_true(hm_admission_enter(&a, 2, 5000, 0, &retry_s));
    hm_admission_leave(&a, 2, 0, 5000);
    assert_int_equal(hm_admission_waiting(&a, 5000), 1);
    assert_int_equal(hm_admission_waiting(&a, 500000), 0);
    assert_true(hm_admission_enter(&a, 4, 500000, 0, &retry_s));
    hm_admission_leave(&a, 99, 0, 500000); /* nobody */
    assert_int_equal(a.guest_count, 1);
}

/* Knocking early gains nothing, and the time does not move. */
HM_TEST(who_comes_early_keeps_the_time)
{
    static struct hm_admission a;
    uint32_t first_s = 0;
    uint32_t retry_s = 0;

    hm_admission_init(&a, 1);
    assert_true(hm_admission_enter(&a, 1, 1000, 0, &retry_s));
    assert_false(hm_admission_enter(&a, 2, 1000, 0, &first_s));
    for (uint64_t ms = 1100; ms < 2000; ms += 100) {
        assert_false(hm_admission_enter(&a, 2, ms, 0, &retry_s));
        assert_in_range(retry_s, first_s - 1, first_s);
    }
}

/* While somebody waits, a group has a quarter of the places, free as the others are. */
HM_TEST(a_group_has_its_share_while_others_wait)
{
    static struct hm_admission a;
    uint32_t retry_s = 0;

    hm_admission_init(&a, 8);
    for (uint64_t key = 1; key <= 8; key++) {
        assert_true(hm_admission_enter(&a, key, 1000, 0, &retry_s));
    }
    assert_false(hm_admission_enter(&a, 20, 1000, 0, &retry_s));
    for (uint64_t key = 1; key <= 8; key++) {
        hm_admission_leave(&a, key, 5, 1100);
    }
    assert_true(hm_admission_enter(&a, 1, 1200, 0, &retry_s));
    assert_true(hm_admission_enter(&a, 2, 1200, 0, &retry_s));
    assert_false(hm_admission_enter(&a, 3, 1200, 0, &retry_s));
    assert_true(hm_admission_enter(&a, 30, 1200, 0, &retry_s));   /* of another group */
    assert_true(hm_admission_enter(&a, 20, 200000, 0, &retry_s)); /* long after */
    assert_true(hm_admission_enter(&a, 4, 200000, 0, &retry_s));  /* nobody waits */
}
