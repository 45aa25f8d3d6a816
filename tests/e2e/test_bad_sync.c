/* A disk that fails to sync ends the process: nothing is promised on top of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/child.h"
#include "tests/support/e2e_data.h"
#include "tests/support/test.h"

#define UNANSWERED "0999999999"

enum { HOUSEHOLDS = 20, ROUNDS = 6, SAVES = 4 };

static const char *phone(unsigned round, unsigned i)
{
    static char text[24];

    (void)snprintf(text, sizeof text, "0905%03u%03u", round, i);
    return text;
}

/* hamletd has ended by itself, in time, for its supervisor to start it again (exit code
 * 1; 78 would keep it down). */
static void check_ended(struct e2e_node *node)
{
    int status = 0;

    if (!hm_child_wait(node->pid, E2E_READY_S, &status)) {
        e2e_fail("hamletd still runs after a failed sync");
    }
    node->pid = 0;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
}

/* The last answered value, or the one that was written and not answered. */
static void check_last(struct e2e_node *node, const char *id, const char *answered)
{
    const char *text = e2e_text(e2e_ok(node, "household", "show", id, NULL));

    assert_true(strstr(text, answered) != NULL || strstr(text, UNANSWERED) != NULL);
}

/* Every answered save is there after each failure and restart, and the store is sound;
 * the one whose sync failed was not answered. */
HM_TEST(a_failed_sync_ends_the_process_and_loses_nothing)
{
    const char *library = getenv("HM_BAD_SYNC_LIBRARY");
    struct e2e_commune commune;
    const char *trigger;
    const char *id;

    if (library == NULL) {
        skip(); /* a sanitizer wants to be loaded first */
    }
    trigger = e2e_path("bad-sync");
    (void)setenv("LD_PRELOAD", library, 1);
    (void)setenv("HM_BAD_SYNC", trigger, 1);
    commune = e2e_commune(HOUSEHOLDS);
    id = e2e_id_at(e2e_households(commune.a, E2E_HAMLET_A), 0);
    e2e_pause(commune.a);
    for (unsigned round = 0; round < ROUNDS; round++) {
        e2e_step("round %u of %u", round + 1, (unsigned)ROUNDS);
        for (unsigned i = 0; i < SAVES; i++) {
            (void)e2e_set(commune.a, id, "phone", phone(round, i));
        }
        e2e_write_file(trigger, "");
        assert_int_not_equal(
            e2e_cli_input(commune.a,
                          e2e_text(e2e_keep(e2e_field_save(id, "phone", UNANSWERED))),
                          "household", "put", NULL)
                ->exit_code,
            E2E_DONE);
        assert_int_not_equal(access(trigger, F_OK), 0); /* it was that sync */
        check_ended(commune.a);
        e2e_start(commune.a);
        check_last(commune.a, id, phone(round, SAVES - 1));
        (void)e2e_set(commune.a, id, "phone", phone(round, SAVES));
        e2e_check_field(commune.a, id, "phone", phone(round, SAVES));
    }
    e2e_step("everything that was answered reaches the centre");
    (void)e2e_sync(commune.a);
    e2e_check_field(commune.centre, id, "phone", phone(ROUNDS - 1, SAVES));
    assert_true(e2e_bool(e2e_ok(commune.a, "verify", NULL), "ok"));
    assert_true(e2e_bool(e2e_ok(commune.centre, "verify", NULL), "ok"));
    e2e_finish();
}
