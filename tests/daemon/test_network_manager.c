/* What NetworkManager says of a link, on a bus of the test's with a stand-in for it. */
#include "daemon/network_manager.h"
#include "daemon/sync_limits.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "tests/support/child.h"
#include "tests/support/http.h"
#include "tests/support/test.h"

#define NAME "org.freedesktop.NetworkManager"
#define PATH "/org/freedesktop/NetworkManager"

struct scene {
    uv_loop_t loop;
    char address[300];
    pid_t daemon;
    sd_bus *bus; /* the stand-in's */
    uint32_t metered;
    struct hm_network_manager *manager;
    uv_timer_t alive; /* what is tested keeps no loop alive by itself */
    unsigned changes;
    bool closed;
};

static int get_metered(sd_bus *bus, const char *path, const char *interface,
                       const char *property, sd_bus_message *reply, void *arg,
                       sd_bus_error *error)
{
    (void)bus;
    (void)path;
    (void)interface;
    (void)property;
    (void)error;
    return sd_bus_message_append(reply, "u", *(uint32_t *)arg);
}

static const sd_bus_vtable table[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_PROPERTY("Metered", "u", get_metered, offsetof(struct scene, metered),
                    SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_VTABLE_END,
};

static void on_change(void *owner)
{
    ((struct scene *)owner)->changes++;
}

static void on_closed(void *owner)
{
    ((struct scene *)owner)->closed = true;
}

/* Both ends, for a moment. */
static void turn(struct scene *s)
{
    (void)uv_run(&s->loop, UV_RUN_NOWAIT);
    while (s->bus != NULL && sd_bus_process(s->bus, NULL) > 0) {
    }
    hm_child_sleep(0.01);
}

/* Until the node knows this. */
static void until(struct scene *s, enum hm_metered metered)
{
    for (int i = 0; i < 500 && hm_network_manager_metered(s->manager) != metered; i++) {
        turn(s);
    }
    assert_int_equal(hm_network_manager_metered(s->manager), metered);
}

static void start_bus(struct scene *s)
{
    char program[] = "/usr/bin/dbus-daemon";
    char nofork[] = "--nofork";
    char session[] = "--session";
    char option[330];
    char path[280];
    char *argv[] = {program, nofork, session, option, NULL};

    if (access(program, X_OK) != 0) {
        assert_null(getenv("HM_FAULT")); /* it is there, and this failed on purpose */
        (void)printf("skipped: no dbus-daemon here\n");
        (void)fflush(stdout);
        exit(77);
    }
    (void)snprintf(path, sizeof path, "%s/bus", hm_test_folder());
    (void)snprintf(s->address, sizeof s->address, "unix:path=%s", path);
    (void)snprintf(option, sizeof option, "--address=%s", s->address);
    s->daemon = hm_child_start(argv, &(struct hm_child_options){0});
    assert_true(s->daemon > 0);
    for (int i = 0; i < 500 && access(path, F_OK) != 0; i++) {
        hm_child_sleep(0.01);
    }
    CHECK_OK(setenv("DBUS_SYSTEM_BUS_ADDRESS", s->address, 1));
}

static void stand_in(struct scene *s, uint32_t metered)
{
    s->metered = metered;
    assert_true(sd_bus_open_system(&s->bus) >= 0);
    assert_true(sd_bus_add_object_vtable(s->bus, NULL, PATH, NAME, table, s) >= 0);
    assert_true(sd_bus_request_name(s->bus, NAME, 0) >= 0);
}

static void say(struct scene *s, uint32_t metered)
{
    s->metered = metered;
    assert_true(sd_bus_emit_properties_changed(s->bus, PATH, NAME, "Metered", NULL) >=
                0);
}

static void on_alive(uv_timer_t *timer)
{
    (void)timer;
}

static void open_scene(struct scene *s)
{
    CHECK_OK(uv_loop_init(&s->loop));
    CHECK_OK(uv_timer_init(&s->loop, &s->alive));
    CHECK_OK(uv_timer_start(&s->alive, on_alive, 10, 10));
    CHECK_OK(hm_network_manager_open(&s->loop, on_change, s, &s->manager));
}

static void close_scene(struct scene *s)
{
    hm_network_manager_close(s->manager, on_closed);
    hm_test_spin(&s->loop, &s->closed);
    uv_close((uv_handle_t *)&s->alive, NULL);
    hm_test_loop_end(&s->loop);
    (void)sd_bus_flush_close_unref(s->bus);
}

HM_TEST(what_it_says_is_followed)
{
    struct scene s = {0};

    start_bus(&s);
    stand_in(&s, 1);
    open_scene(&s);
    until(&s, HM_METERED_YES);
    say(&s, 2);
    until(&s, HM_METERED_NO);
    say(&s, 3);
    until(&s, HM_METERED_YES);
    say(&s, 77);
    until(&s, HM_METERED_UNKNOWN);
    assert_int_equal(s.changes, 4);
    close_scene(&s);
}

/* What is said of it decides, unless the configuration does. */
HM_TEST(a_link_that_costs_is_spared)
{
    struct hm_config config = {.metered = HM_CONFIG_METERED_SMALL};
    struct hm_sync_limits *limits = NULL;
    struct scene s = {0};

    start_bus(&s);
    stand_in(&s, 2);
    open_scene(&s);
    CHECK_OK(hm_sync_limits_open(&s.loop, &config, 0, on_change, &s, &limits));
    until(&s, HM_METERED_NO);
    say(&s, 1);
    until(&s, HM_METERED_YES);
    for (int i = 0; i < 500 && hm_sync_limits_facts(limits).cost == HM_UPSYNC_COST_ALL;
         i++) {
        turn(&s);
    }
    assert_int_equal(hm_sync_limits_facts(limits).cost, HM_UPSYNC_COST_SMALL);
    config.metered = HM_CONFIG_METERED_NEVER;
    assert_int_equal(hm_sync_limits_facts(limits).cost, HM_UPSYNC_COST_NOTHING);
    config.metered = HM_CONFIG_METERED_ALWAYS;
    assert_int_equal(hm_sync_limits_facts(limits).cost, HM_UPSYNC_COST_ALL);
    config.metered = HM_CONFIG_METERED_AUTO;
    config.link = HM_CONFIG_LINK_FREE;
    assert_int_equal(hm_sync_limits_facts(limits).cost, HM_UPSYNC_COST_ALL);
    hm_sync_limits_close(limits, on_closed);
    hm_test_spin(&s.loop, &s.closed);
    s.closed = false;
    close_scene(&s);
}

/* It starts later than the node, and ends before it. */
HM_TEST(it_comes_and_goes)
{
    struct scene s = {0};
    int status;

    start_bus(&s);
    open_scene(&s);
    for (int i = 0; i < 20; i++) {
        (void)uv_run(&s.loop, UV_RUN_NOWAIT);
        hm_child_sleep(0.01);
    }
    assert_int_equal(hm_network_manager_metered(s.manager), HM_METERED_UNKNOWN);
    stand_in(&s, 4);
    until(&s, HM_METERED_NO);
    s.bus = sd_bus_flush_close_unref(s.bus);
    until(&s, HM_METERED_UNKNOWN);
    stand_in(&s, 1);
    until(&s, HM_METERED_YES);
    assert_int_equal(kill(s.daemon, SIGKILL), 0); /* the bus itself */
    assert_true(hm_child_wait(s.daemon, 10, &status));
    s.bus = sd_bus_close_unref(s.bus);
    until(&s, HM_METERED_UNKNOWN);
    close_scene(&s);
}

HM_TEST(without_a_bus_nothing_is_known)
{
    struct scene s = {0};

    CHECK_OK(setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere/bus", 1));
    open_scene(&s);
    for (int i = 0; i < 5; i++) {
        (void)uv_run(&s.loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(hm_network_manager_metered(s.manager), HM_METERED_UNKNOWN);
    assert_int_equal(s.changes, 0);
    close_scene(&s);
}
