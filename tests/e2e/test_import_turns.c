/* A large import must not make the centre deaf: laptops sync and people look while it
 * runs. */
#include <stdlib.h>
#include <string.h>

#include "tests/support/child.h"
#include "tests/support/e2e_data.h"
#include "tests/support/test.h"

enum { HOUSEHOLDS = 5000, HOUSEHOLDS_LONG = 100000 };

#define TURN_CPU_S_MAX 0.050
#define STATUS_S_MAX   1.0
#define IMPORT_S_MAX   3000.0

/* The value of a sample without labels in Prometheus text. */
static double metric(struct e2e_node *node, const char *name)
{
    const char *text = e2e_cli(node, "metrics", NULL)->out;
    size_t len = strlen(name);

    for (const char *line = text; line != NULL && *line != 0;
         line = strchr(line, '\n')) {
        line += *line == '\n' ? 1 : 0;
        if (strncmp(line, name, len) == 0 && line[len] == ' ') {
            return strtod(line + len, NULL);
        }
    }
    e2e_fail("no %s in the metrics: %s", name, text);
}

/* Asks for the status until the import is over; the slowest answer. */
static double ask_until_ended(struct e2e_node *node, struct e2e_job *import)
{
    double slowest = 0;
    unsigned asked = 0;

    while (!e2e_ended(import)) {
        const struct e2e_result *status = e2e_cli(node, "status", "--json", NULL);

        assert_int_equal(status->exit_code, E2E_DONE);
        slowest = status->seconds > slowest ? status->seconds : slowest;
        asked++;
        hm_child_sleep(0.1);
    }
    e2e_step("%u answers during the import, the slowest after %.3f s", asked, slowest);
    assert_true(asked > 3);
    return slowest;
}

/* The loop guard ends hamletd when its loop waits for a disk or a lock; the measure
 * says how long a turn computes. */
HM_TEST(an_import_leaves_the_loop_free)
{
    unsigned households = e2e_long() ? HOUSEHOLDS_LONG : HOUSEHOLDS;
    const struct e2e_result *result;
    struct e2e_node *centre;
    struct e2e_job *import;
    const char *file;
    double slowest;

    if (getenv("HM_SANITIZED") != NULL) {
        skip(); /* a sanitizer must be the first library, and so must the guard */
    }
    file = e2e_generate(households);
    centre = e2e_centre(true);
    import = e2e_begin(centre, NULL, "import", file, "--form", "register", NULL);
    slowest = ask_until_ended(centre, import);
    result = e2e_end(import, IMPORT_S_MAX);
    e2e_step("import of %u: %.1f s, %s", households, result->seconds, result->err);
    assert_int_equal(result->exit_code, E2E_DONE);
    assert_int_equal(e2e_int(result->json, "accepted"), households);
    assert_int_equal(e2e_household_count(centre), households);
    if (metric(centre, "hamletd_loop_turn_cpu_seconds_max") > TURN_CPU_S_MAX) {
        e2e_fail("a turn of the loop took %.3f s of CPU",
                 metric(centre, "hamletd_loop_turn_cpu_seconds_max"));
    }
    assert_true(slowest <= STATUS_S_MAX);
    e2e_finish();
}

/* The same while a laptop works: its syncs get through. */
HM_TEST(laptops_sync_during_an_import)
{
    const char *file = e2e_generate(e2e_long() ? HOUSEHOLDS_LONG : HOUSEHOLDS);
    struct e2e_commune commune = e2e_commune(60);
    struct e2e_job *import;
    const char *id = NULL;
    unsigned syncs = 0;

    import =
        e2e_begin(commune.centre, NULL, "import", file, "--form", "register", NULL);
    while (!e2e_ended(import)) {
        id = e2e_add(commune.a, E2E_HAMLET_A, "Hồ Thị Mới", 3);
        (void)e2e_sync_once(commune.a);
        syncs++;
    }
    assert_int_equal(e2e_end(import, IMPORT_S_MAX)->exit_code, E2E_DONE);
    e2e_step("%u syncs during the import", syncs);
    assert_true(syncs > 0);
    e2e_check_field(commune.centre, id, "head_name", "Hồ Thị Mới");
    e2e_sync_all(&commune);
    e2e_check_digests(&commune);
    e2e_finish();
}
