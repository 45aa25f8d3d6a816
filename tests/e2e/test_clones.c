/* Disks that are set back, and disks that are copied: nothing is lost, and who was it
 * is said at both ends. */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/child.h"
#include "tests/support/e2e_data.h"
#include "tests/support/test.h"

enum { HOUSEHOLDS = 30, LATER = 4 };

/* The id that `device list` gives for a name. */
static const char *device_of(struct e2e_node *centre, const char *name)
{
    const json_t *devices = e2e_ok(centre, "device", "list", NULL);

    for (size_t i = 0; i < json_array_size(devices); i++) {
        const json_t *device = json_array_get(devices, i);

        if (strcmp(e2e_str(device, "name"), name) == 0) {
            return e2e_str(device, "id");
        }
    }
    e2e_fail("there is no device %s", name);
}

/* The only alarm of this kind that stands at the node; NULL: none. */
static const json_t *alarm_of(struct e2e_node *node, const char *kind)
{
    const json_t *alarms = e2e_ok(node, "alarm", "list", NULL);
    const json_t *found = NULL;

    e2e_step("alarms of %s: %s", node->name, e2e_text(alarms));
    for (size_t i = 0; i < json_array_size(alarms); i++) {
        const json_t *alarm = json_array_get(alarms, i);

        if (strcmp(e2e_str(alarm, "kind"), kind) == 0) {
            assert_null(found);
            found = alarm;
        }
    }
    return found;
}

static void check_alarm(struct e2e_node *node, const char *kind, const char *device,
                        json_int_t count)
{
    const json_t *alarm = alarm_of(node, kind);

    assert_non_null(alarm);
    assert_string_equal(e2e_str(alarm, "device"), device);
    assert_int_equal(e2e_int(alarm, "count"), count);
    assert_true(strlen(e2e_str(alarm, "what_to_do")) > 40);
}

static void shell(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void shell(const char *format, ...)
{
    char command[2048];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(command, sizeof command, format, args);
    va_end(args);
    assert_int_equal(system(command), 0);
}

HM_TEST(a_laptop_is_set_back_to_its_backup)
{
    struct e2e_commune commune = e2e_commune(HOUSEHOLDS);
    const char *file = e2e_path("a.backup");
    const char *device = device_of(commune.centre, "a");
    const char *later[LATER];
    const char *id;

    (void)e2e_add(commune.a, E2E_HAMLET_A, "Lê Thị Trước", 1);
    (void)e2e_sync(commune.a);
    (void)e2e_ok(commune.a, "backup", file, NULL);
    for (int i = 0; i < LATER; i++) {
        later[i] = e2e_add(commune.a, E2E_HAMLET_A, "Lê Thị Sau", 1);
    }
    (void)e2e_sync(commune.a);
    e2e_kill(commune.a, SIGKILL);
    shell("rm -r '%s'", commune.a->dir);
    (void)e2e_ok(commune.a, "restore", file, commune.a->dir, NULL);
    e2e_start(commune.a);
    e2e_step("it writes on, and what it had forgotten comes back");
    (void)e2e_add(commune.a, E2E_HAMLET_A, "Lê Thị Nữa", 1);
    e2e_sync_all(&commune);
    for (int i = 0; i < LATER; i++) {
        e2e_check_field(commune.a, later[i], "head_name", "Lê Thị Sau");
    }
    e2e_check_digests(&commune);
    check_alarm(commune.centre, "restored", device, LATER);
    check_alarm(commune.a, "restored", device, LATER);
    assert_null(alarm_of(commune.centre, "clone"));
    assert_null(alarm_of(commune.b, "restored"));
    e2e_step("a restart of the centre keeps it; cleared, it stays cleared");
    e2e_stop(commune.centre);
    e2e_start(commune.centre);
    check_alarm(commune.centre, "restored", device, LATER);
    id = e2e_str(alarm_of(commune.centre, "restored"), "id");
    (void)e2e_ok(commune.centre, "alarm", "clear", id, NULL);
    (void)e2e_refused(commune.centre, E2E_FAILED, "alarm", "clear", id, NULL);
    e2e_stop(commune.a);
    e2e_start(commune.a);
    (void)e2e_add(commune.a, E2E_HAMLET_A, "Lê Thị Lại", 1);
    e2e_sync_all(&commune);
    assert_null(alarm_of(commune.centre, "restored"));
    assert_null(alarm_of(commune.a, "restored"));
    assert_int_equal(e2e_count(e2e_ok(commune.centre, "status", NULL), "alarms"), 0);
    e2e_finish();
}

/* A second machine with the folder of the first one. */
static struct e2e_node *copy_of(const struct e2e_node *node, const char *name)
{
    struct e2e_node *copy = e2e_init(&(struct e2e_options){.name = name});

    shell("rm -r '%s/keys' '%s'/store.db*", copy->dir, copy->dir);
    shell("cp -r '%s/keys' '%s'/store.db* '%s/api-token' '%s/'", node->dir, node->dir,
          node->dir, copy->dir);
    return copy;
}

HM_TEST(a_laptop_is_copied_to_a_second_machine)
{
    struct e2e_commune commune = e2e_commune(HOUSEHOLDS);
    const char *device = device_of(commune.centre, "a");
    static const char *const scopes[] = {E2E_HAMLET_A, E2E_HAMLET_BOTH, NULL};
    const char *of_a;
    const char *of_copy;
    struct e2e_node *copy;

    (void)e2e_add(commune.a, E2E_HAMLET_A, "Lê Thị Trước", 1);
    (void)e2e_sync(commune.a);
    e2e_stop(commune.a);
    copy = copy_of(commune.a, "copy");
    e2e_start(commune.a);
    e2e_start(copy);
    e2e_step("both write, and take turns");
    of_a = e2e_add(commune.a, E2E_HAMLET_A, "Của Máy Một", 1);
    of_copy = e2e_add(copy, E2E_HAMLET_A, "Của Máy Hai", 1);
    (void)e2e_sync(commune.a);
    (void)e2e_sync(copy);
    (void)e2e_sync(commune.a);
    check_alarm(commune.centre, "clone", device, 2);
    check_alarm(commune.a, "clone", device, 2);
    e2e_check_field(commune.centre, of_a, "head_name", "Của Máy Một");
    e2e_check_field(commune.centre, of_copy, "head_name", "Của Máy Hai");
    e2e_check_field(commune.a, of_copy, "head_name", "Của Máy Hai");
    (void)e2e_sync(copy);
    e2e_check_field(copy, of_a, "head_name", "Của Máy Một");
    check_alarm(copy, "clone", device, 2);
    e2e_step("the copy becomes a device of its own, with its unsent work");
    e2e_pause(copy);
    of_copy = e2e_add(copy, E2E_HAMLET_A, "Chưa Gửi", 2);
    (void)e2e_refused(copy, E2E_FAILED, "rekey", NULL);
    e2e_stop(copy);
    assert_string_equal(e2e_str(e2e_ok(copy, "rekey", NULL), "before"), device);
    e2e_start(copy);
    e2e_check_field(copy, of_copy, "head_name", "Chưa Gửi");
    (void)e2e_ok(
        copy, "enroll",
        e2e_invite(commune.centre, "copy", hm_proxy_port(commune.a->proxy), scopes),
        NULL);
    e2e_resume(copy);
    (void)e2e_sync(copy);
    e2e_check_field(commune.centre, of_copy, "head_name", "Chưa Gửi");
    assert_string_not_equal(device_of(commune.centre, "copy"), device);
    (void)e2e_ok(commune.centre, "alarm", "clear",
                 e2e_str(alarm_of(commune.centre, "clone"), "id"), NULL);
    (void)e2e_add(copy, E2E_HAMLET_A, "Của Máy Hai", 1);
    (void)e2e_sync(copy);
    (void)e2e_sync(commune.a);
    (void)e2e_sync(copy);
    (void)e2e_sync(commune.a);
    assert_null(alarm_of(commune.centre, "clone"));
    assert_true(e2e_bool(e2e_ok(copy, "verify", NULL), "ok"));
    e2e_finish();
}

/* Somebody copies an older store over the one of a node that runs. */
HM_TEST(a_store_is_swapped_while_the_laptop_runs)
{
    struct e2e_commune commune = e2e_commune(HOUSEHOLDS);
    const char *device = device_of(commune.centre, "a");
    const char *file = e2e_path("a.backup");
    const char *later;
    int status = 0;

    (void)e2e_add(commune.a, E2E_HAMLET_A, "Lê Thị Trước", 1);
    (void)e2e_ok(commune.a, "backup", file, NULL);
    later = e2e_add(commune.a, E2E_HAMLET_A, "Lê Thị Sau", 1);
    (void)e2e_sync(commune.a);
    shell("cd '%s' && tar -xOf '%s' store.db > store.new && mv store.new store.db",
          commune.a->dir, file);
    e2e_write_file(e2e_path("save.json"),
                   e2e_text(e2e_keep(e2e_new_save(E2E_HAMLET_A, "Lê Thị Mất", 1))));
    e2e_step("a save is not answered as if it were kept");
    assert_int_not_equal(
        e2e_cli(commune.a, "household", "put", e2e_path("save.json"), NULL)->exit_code,
        E2E_DONE);
    assert_non_null(strstr(e2e_log(commune.a), "in the store's place"));
    assert_true(hm_child_wait(commune.a->pid, E2E_STOP_S, &status));
    commune.a->pid = 0;
    shell("ls '%s'/store.db.swapped-*", commune.a->dir);
    e2e_step("the next start goes on with what is there");
    e2e_start(commune.a);
    (void)e2e_add(commune.a, E2E_HAMLET_A, "Lê Thị Nữa", 1);
    e2e_sync_all(&commune);
    e2e_check_field(commune.a, later, "head_name", "Lê Thị Sau");
    e2e_check_digests(&commune);
    check_alarm(commune.centre, "restored", device, 1);
    assert_true(e2e_bool(e2e_ok(commune.a, "verify", NULL), "ok"));
    e2e_finish();
}

/* A laptop that was enrolled after the backup shows a token that nobody knows. */
HM_TEST(a_laptop_is_refused_by_a_restored_centre_and_enrols_again)
{
    static const char *const scopes[] = {E2E_HAMLET_A, NULL};
    struct e2e_node *centre = e2e_centre(false);
    const char *file = e2e_path("centre.backup");
    struct e2e_node *laptop;
    const char *household;

    (void)e2e_ok(centre, "backup", file, NULL);
    laptop = e2e_laptop("late", centre, E2E_HAMLET_A, NULL);
    household = e2e_add(laptop, E2E_HAMLET_A, "Lê Thị Sau", 1);
    (void)e2e_sync(laptop);
    e2e_kill(centre, SIGKILL);
    shell("rm -r '%s'", centre->dir);
    (void)e2e_ok(centre, "restore", file, centre->dir, NULL);
    e2e_start(centre);
    assert_string_equal(
        e2e_str(e2e_refused(laptop, E2E_FAILED, "sync", NULL)->json, "result"),
        "refused");
    (void)e2e_ok(laptop, "enroll",
                 e2e_invite(centre, "late", hm_proxy_port(laptop->proxy), scopes),
                 NULL);
    (void)e2e_sync(laptop);
    e2e_check_field(centre, household, "head_name", "Lê Thị Sau");
    e2e_finish();
}
