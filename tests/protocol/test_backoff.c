#include "protocol/backoff.h"

#include "tests/support/rng.h"
#include "tests/support/test.h"

enum { DAY_MS = 24 * 60 * 60 * 1000 };

/* The longest delay after so many failures in a row. */
static uint64_t bound_after(uint32_t failures)
{
    static const uint64_t doubling_ms[] = {30000,  60000,  120000,  240000,
                                           480000, 960000, 1920000, 3600000};

    return doubling_ms[failures < 8 ? failures - 1 : 7];
}

/* Full jitter: the shortest delay is next to nothing, the longest doubles up to an
 * hour and stays there. */
HM_TEST(the_bound_doubles_to_an_hour)
{
    for (uint32_t failures = 1; failures <= 100; failures++) {
        uint64_t bound = bound_after(failures);
        struct hm_backoff b = {.failures = failures - 1};

        assert_int_equal(hm_backoff_next(&b, 0, 0), 1);
        assert_int_equal(b.failures, failures);
        b.failures = failures - 1;
        assert_int_equal(hm_backoff_next(&b, bound - 1, 0), bound);
        b.failures = failures - 1;
        assert_int_equal(hm_backoff_next(&b, bound, 0), 1);
    }
}

HM_TEST(a_reset_starts_over)
{
    struct hm_backoff b = {.failures = 30};

    hm_backoff_reset(&b);
    assert_int_equal(hm_backoff_next(&b, bound_after(1) - 1, 0), bound_after(1));
}

/* A laptop that was away for years must not start to knock every 30 seconds. */
HM_TEST(the_counter_does_not_wrap)
{
    struct hm_backoff b = {.failures = UINT32_MAX - 1};

    for (int i = 0; i < 3; i++) {
        assert_int_equal(hm_backoff_next(&b, HM_BACKOFF_MAX_MS - 1, 0),
                         HM_BACKOFF_MAX_MS);
        assert_int_equal(b.failures, UINT32_MAX);
    }
}

/* A thousand laptops whose hub comes back must spread over the whole stretch: each
 * tenth of it gets about a tenth of them. */
HM_TEST(delays_are_spread_evenly)
{
    enum { DRAWS = 100000, PARTS = 10 };

    for (uint32_t failures = 1; failures <= 9; failures += 4) {
        struct hm_rng rng = {failures};
        size_t hits[PARTS] = {0};

        for (size_t i = 0; i < DRAWS; i++) {
            struct hm_backoff b = {.failures = failures - 1};
            uint64_t delay = hm_backoff_next(&b, hm_rng_next(&rng), 0);

            assert_in_range(delay, 1, bound_after(failures));
            hits[(delay - 1) * PARTS / bound_after(failures)]++;
        }
        for (size_t i = 0; i < PARTS; i++) {
            assert_in_range(hits[i], DRAWS / PARTS * 95 / 100,
                            DRAWS / PARTS * 105 / 100);
        }
    }
}

/* The server knows how busy it is: never sooner than it says, but a server that says
 * nonsense silences a laptop for a day and not for ever. */
HM_TEST(the_server_wish_is_the_least_up_to_a_day)
{
    struct hm_backoff b = {0};

    assert_int_equal(hm_backoff_next(&b, 20000 - 1, 10000), 20000);
    hm_backoff_reset(&b);
    assert_int_equal(hm_backoff_next(&b, 20000 - 1, 20001), 20001);
    assert_int_equal(hm_backoff_next(&b, 5, DAY_MS), DAY_MS);
    assert_int_equal(hm_backoff_next(&b, 5, DAY_MS + 1), DAY_MS);
    assert_int_equal(hm_backoff_next(&b, 5, UINT64_MAX), DAY_MS);
    assert_int_equal(b.failures, 4);
}
