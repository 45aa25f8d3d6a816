/* The power comes back in a district, and all laptops sync in the same minute at a hub
 * that has few places: all get through, none is kept out, and each change arrives once.
 */
#include <stdio.h>
#include <string.h>

#include "tests/support/child.h"
#include "tests/support/e2e_links.h"
#include "tests/support/test.h"

enum { LAPTOPS_MAX = 50, LAPTOPS_SHORT = 5 };

static const char *const hamlets[] = {E2E_HAMLET_A, E2E_HAMLET_BOTH, E2E_HAMLET_B};

HM_TEST(all_laptops_of_a_district_in_the_same_minute)
{
    const unsigned count = e2e_long() ? LAPTOPS_MAX : LAPTOPS_SHORT;
    struct e2e_node *centre = e2e_centre(false);
    struct e2e_node *laptops[LAPTOPS_MAX];
    struct e2e_job *jobs[LAPTOPS_MAX];
    uint64_t requests = 0;
    char name[16];

    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(name, sizeof name, "l%u", i);
        laptops[i] = e2e_laptop(name, centre, hamlets[i % 3], NULL);
        e2e_pause(laptops[i]);
        (void)e2e_add(laptops[i], hamlets[i % 3], "Nguyễn Thị Lan", 3);
    }
    e2e_step("a hub with one place, and links that take their time");
    e2e_stop(centre);
    e2e_configure(centre, "#public =", "#public =\nsyncs = 1");
    e2e_start(centre);
    for (unsigned i = 0; i < count; i++) {
        hm_proxy_set(laptops[i]->proxy, &(struct hm_proxy_mode){.delay_ms = 100});
        requests += hm_proxy_counters(laptops[i]->proxy).requests;
    }
    for (unsigned i = 0; i < count; i++) {
        jobs[i] = e2e_begin(laptops[i], NULL, "sync", "--wait", "100", NULL);
    }
    for (unsigned i = 0; i < count; i++) {
        const struct e2e_result *result = e2e_end(jobs[i], 110);

        e2e_step("%s: exit %d after %.1f s", laptops[i]->name, result->exit_code,
                 result->seconds);
        assert_int_equal(result->exit_code, E2E_DONE);
        assert_true(result->seconds < (e2e_long() ? 100 : 40));
        requests -= hm_proxy_counters(laptops[i]->proxy).requests;
    }
    requests = -requests;
    e2e_step("%u laptops, %u requests", count, (unsigned)requests);
    assert_true(requests > 2 * (uint64_t)count);  /* some were told to wait .. */
    assert_true(requests < 12 * (uint64_t)count); /* .. and waited */
    assert_int_equal(e2e_household_count(centre), count);
    e2e_finish();
}
