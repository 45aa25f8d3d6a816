/* What a person set for the link: hours, costs; and clocks that are wrong. A sync that
 * is asked for goes through all of it, and status says what the others wait for. */
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/support/child.h"
#include "tests/support/e2e_links.h"
#include "tests/support/test.h"

enum { HOUSEHOLDS = 6 };

static void reload(struct e2e_node *node)
{
    assert_int_equal(kill(node->pid, SIGHUP), 0);
    hm_child_sleep(0.3);
}

static void set(struct e2e_node *node, const char *from, const char *to)
{
    e2e_configure(node, from, to);
    reload(node);
}

HM_TEST(hours_and_costs_hold_what_nobody_asked_for)
{
    struct e2e_commune commune = e2e_commune(HOUSEHOLDS);
    struct e2e_node *a = commune.a;
    time_t now = time(NULL);
    struct tm local;
    char line[64];
    const char *id;

    assert_non_null(localtime_r(&now, &local));
    (void)snprintf(line, sizeof line, "window = %02d:00-%02d:00",
                   (local.tm_hour + 2) % 24, (local.tm_hour + 3) % 24);
    e2e_step("hours: %s", line);
    set(a, "#window =", line);
    (void)e2e_add(a, E2E_HAMLET_A, "Nguyễn Thị Lan", 1);
    assert_string_equal(e2e_upstream(a, "waits_for"), "outside the sync windows");
    assert_in_range((uint64_t)e2e_next_try_s(a), 3600 - 5, 7200 + 605);
    assert_non_null(strstr(e2e_cli(a, "status", NULL)->out,
                           "waits: outside the sync windows, until "));
    (void)e2e_sync(a); /* asked for */
    (void)snprintf(line, sizeof line, "window = %02d:00-%02d:00",
                   (local.tm_hour + 23) % 24, (local.tm_hour + 2) % 24);
    set(a, "window =", line);
    assert_string_equal(e2e_upstream(a, "waits_for"), "");

    e2e_step("a link that costs, and over which nothing goes by itself");
    set(a, "link = auto", "link = metered");
    assert_string_equal(e2e_upstream(a, "waits_for"), "");
    set(a, "metered = auto", "metered = never");
    assert_string_equal(e2e_upstream(a, "waits_for"), "the link costs");
    id = e2e_add(a, E2E_HAMLET_A, "Nguyễn Thị Lan", 1);
    (void)e2e_sync(a);
    e2e_check_field(commune.centre, id, "phone", "0905123456");

    e2e_step("small things go: what is saved is sent by itself");
    set(a, "metered = never", "metered = small");
    id = e2e_add(a, E2E_HAMLET_A, "Trần Văn Đức", 1);
    assert_in_range((uint64_t)e2e_next_try_s(a), 0, 11);
    for (int i = 0; i < 60 && e2e_int(e2e_ok(a, "status", NULL), "unsent.changes") > 0;
         i++) {
        hm_child_sleep(0.3);
    }
    e2e_check_field(commune.centre, id, "phone", "0905123456");
    assert_true(e2e_next_try_s(a) > 3 * 3600); /* the feed is dear */

    e2e_step("what makes no sense is refused, and nothing changes");
    set(a, "metered = small", "metered = sometimes");
    assert_non_null(strstr(e2e_log(a), "nothing is changed"));
    e2e_configure(a, "metered = sometimes", "metered = auto");
    e2e_finish();
}

/* --- clocks --- */

static const char *find_faketime(void)
{
    const char *path = NULL;
    glob_t found;

    if (getenv("HM_SANITIZED") == NULL &&
        glob("/usr/lib/*/faketime/libfaketimeMT.so.1", 0, NULL, &found) == 0) {
        path = json_string_value(e2e_keep(json_string(found.gl_pathv[0])));
        globfree(&found);
    }
    return path;
}

/* The certificates have dates, and nobody looks at them; hours of the day count by the
 * clock as it is now. */
HM_TEST(no_clock_keeps_a_laptop_from_its_hub)
{
    static const char *const scopes[] = {E2E_HAMLET_A, NULL};
    static const struct {
        const char *clock;
        const char *waits_for;
    } jumps[] = {
        {"@1970-01-02 12:00:00", "outside the sync windows"},
        {"@2036-05-05 23:59:30", ""},
        {"@2036-05-06 03:00:00", ""},
        {"@2036-05-06 07:00:00", "outside the sync windows"},
        {"@2001-01-01 22:00:00", ""},
    };
    struct e2e_node *centre;
    struct e2e_node *laptop;
    const char *faketime = find_faketime();
    const char *clock;
    char preload[300];
    char file[400];

    if (faketime == NULL) {
        (void)printf("skipped: no libfaketime here, or a sanitizer\n");
        (void)fflush(stdout);
        exit(77);
    }
    centre = e2e_centre(false);
    laptop = e2e_init(&(struct e2e_options){.name = "a"});
    clock = e2e_path("a.clock");
    (void)snprintf(preload, sizeof preload, "LD_PRELOAD=%s", faketime);
    (void)snprintf(file, sizeof file, "FAKETIME_TIMESTAMP_FILE=%s", clock);
    laptop->environment[0] = preload;
    laptop->environment[1] = file;
    laptop->environment[2] = "FAKETIME_NO_CACHE=1";
    laptop->environment[3] = "DONT_FAKE_MONOTONIC=1";
    laptop->environment[4] = "NO_FAKE_STAT=1";
    e2e_write_file(clock, "@1970-01-01 00:00:10\n");
    e2e_start(laptop);
    assert_int_equal(hm_proxy_start(centre->hub_port, 0, &laptop->proxy), HM_OK);
    (void)e2e_ok(laptop, "enroll",
                 e2e_invite(centre, "a", hm_proxy_port(laptop->proxy), scopes), NULL);
    set(laptop, "#window =", "window = 20:00-06:00");
    for (size_t i = 0; i < sizeof jumps / sizeof jumps[0]; i++) {
        const char *id;

        e2e_step("it is %s", jumps[i].clock + 1);
        e2e_write_file(clock, jumps[i].clock);
        reload(laptop); /* else it looks twice a minute */
        assert_string_equal(e2e_upstream(laptop, "waits_for"), jumps[i].waits_for);
        id = e2e_add(laptop, E2E_HAMLET_A, "Nguyễn Thị Lan", 1);
        hm_proxy_reset(laptop->proxy); /* another handshake */
        (void)e2e_sync(laptop);
        e2e_check_field(centre, id, "phone", "0905123456");
    }
    e2e_finish();
}
