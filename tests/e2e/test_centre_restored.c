/* The centre is set back to a backup of an hour ago, while five laptops have worked on:
 * everything comes back, and the alarm counts it. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/e2e_data.h"
#include "tests/support/test.h"

enum { HOUSEHOLDS = 20, LAPTOPS = 5, SENT = 3, UNSENT = 1 };

static struct e2e_node *centre;
static struct e2e_node *laptops[LAPTOPS];
static const char *added[LAPTOPS * (SENT + UNSENT)];
static size_t added_count;

static void start_commune(void)
{
    const json_t *imported;

    centre = e2e_centre(true);
    imported = e2e_ok(centre, "import", e2e_generate(HOUSEHOLDS), NULL);
    assert_int_equal(e2e_int(imported, "accepted"), HOUSEHOLDS);
    for (int i = 0; i < LAPTOPS; i++) {
        char name[16];

        (void)snprintf(name, sizeof name, "laptop%d", i + 1);
        laptops[i] =
            i % 2 == 0 ? e2e_laptop(name, centre, E2E_HAMLET_A, E2E_HAMLET_BOTH, NULL)
                       : e2e_laptop(name, centre, E2E_HAMLET_BOTH, E2E_HAMLET_B, NULL);
    }
}

static void add_some(int laptop, int count)
{
    for (int i = 0; i < count; i++) {
        added[added_count++] =
            e2e_add(laptops[laptop], E2E_HAMLET_BOTH, "Lê Thị Sau", 2);
    }
}

static void sync_once_all(int rounds)
{
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < LAPTOPS; i++) {
            (void)e2e_sync_once(laptops[i]);
        }
    }
}

/* The centre's folder is gone; what the backup held takes its place. */
static void set_back(const char *file)
{
    char command[512];

    e2e_kill(centre, SIGKILL);
    (void)snprintf(command, sizeof command, "rm -r '%s'", centre->dir);
    assert_int_equal(system(command), 0);
    (void)e2e_ok(centre, "restore", file, centre->dir, NULL);
    e2e_start(centre);
}

static const json_t *alarm_of_centre(void)
{
    const json_t *alarms = e2e_ok(centre, "alarm", "list", NULL);

    e2e_step("alarms of the centre: %s", e2e_text(alarms));
    assert_int_equal(json_array_size(alarms), 1);
    assert_string_equal(e2e_str(alarms, "0.kind"), "centre_restored");
    return json_array_get(alarms, 0);
}

static bool knows_user(const char *name)
{
    const json_t *users = e2e_ok(centre, "user", "list", NULL);

    for (size_t i = 0; i < json_array_size(users); i++) {
        if (strcmp(e2e_str(json_array_get(users, i), "name"), name) == 0) {
            return true;
        }
    }
    return false;
}

static void check_equal(void)
{
    for (int i = 0; i < LAPTOPS; i++) {
        (void)e2e_sync(laptops[i]);
        assert_string_equal(e2e_digest(laptops[i], E2E_HAMLET_BOTH),
                            e2e_digest(centre, E2E_HAMLET_BOTH));
    }
}

HM_TEST(while_five_laptops_worked_on)
{
    const char *file = e2e_path("centre.backup");
    const char *edited;
    const char *made;
    const json_t *finished;
    const json_t *alarm;

    start_commune();
    edited = e2e_id_at(e2e_households(centre, E2E_HAMLET_BOTH), 0);
    (void)e2e_ok(centre, "backup", file, NULL);
    e2e_step("an hour of work: at the laptops, and at the centre");
    for (int i = 0; i < LAPTOPS; i++) {
        add_some(i, SENT);
        (void)e2e_sync(laptops[i]);
    }
    assert_int_equal(e2e_cli_input(centre, "một hai ba bốn\n", "user", "add", "lan",
                                   "--role", "enumerator", "--unit", E2E_HAMLET_BOTH,
                                   NULL)
                         ->exit_code,
                     E2E_DONE);
    (void)e2e_set(centre, edited, "phone", "0912345678");
    made = e2e_add(centre, E2E_HAMLET_BOTH, "Của Trung Tâm", 1);
    sync_once_all(2);
    for (int i = 0; i < LAPTOPS; i++) {
        e2e_pause(laptops[i]);
        add_some(i, UNSENT);
    }
    set_back(file);
    assert_false(knows_user("lan"));
    assert_int_equal(e2e_int(alarm_of_centre(), "count"), 0);
    e2e_step("the laptops come back");
    for (int i = 0; i < LAPTOPS; i++) {
        e2e_resume(laptops[i]);
    }
    sync_once_all(4);
    for (size_t i = 0; i < added_count; i++) {
        e2e_check_field(centre, added[i], "head_name", "Lê Thị Sau");
    }
    assert_true(knows_user("lan"));
    alarm = alarm_of_centre();
    assert_int_equal(e2e_int(alarm, "count"), LAPTOPS * SENT);
    assert_non_null(strstr(e2e_str(alarm, "what_to_do"), "2 that are known"));
    e2e_step("what only the centre had written is at the laptops, as states");
    assert_int_equal(e2e_cli(centre, "household", "show", made, NULL)->exit_code,
                     E2E_FAILED);
    e2e_check_field(laptops[0], made, "head_name", "Của Trung Tâm");
    e2e_step("until the officer says that no more will come");
    finished = e2e_ok(centre, "restore", "finished", NULL);
    assert_int_equal(e2e_int(finished, "changes"), 2);
    sync_once_all(3);
    e2e_check_field(centre, made, "head_name", "Của Trung Tâm");
    e2e_check_field(centre, edited, "phone", "0912345678");
    check_equal();
    /* What the lost edit had replaced is in the backup: it stands beside it, visibly.
     */
    assert_int_equal(e2e_int(e2e_ok(centre, "status", NULL), "conflicts"), 1);
    assert_int_equal(e2e_int(e2e_ok(centre, "status", NULL), "quarantine"), 0);
    assert_int_equal(e2e_household_count(centre),
                     HOUSEHOLDS + LAPTOPS * (SENT + UNSENT) + 1);
    assert_true(e2e_bool(e2e_ok(centre, "verify", NULL), "ok"));
    e2e_step("and the office works on: nobody gets the number of another");
    assert_int_equal(e2e_cli_input(centre, "một hai ba bốn\n", "user", "add", "hoa",
                                   "--role", "enumerator", "--unit", E2E_HAMLET_BOTH,
                                   NULL)
                         ->exit_code,
                     E2E_DONE);
    check_equal();
    assert_true(knows_user("lan"));
    assert_true(knows_user("hoa"));
    e2e_finish();
}
