#define _GNU_SOURCE /* unshare() */

#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "tests/support/chaos.h"
#include "tests/support/child.h"
#include "tests/support/e2e_clock.h"
#include "tests/support/e2e_data.h"
#include "tests/support/test.h"

enum { DISK_MB = 40, DISK_MB_CENTRE = 80, HOUSEHOLDS = 24 };

const char *const chaos_scopes[CHAOS_SCOPES] = {"19885001", "19885002", "19885003",
                                                "19885004"};

/* Each hamlet is held by three laptops, each laptop has another pair. */
static const size_t held[CHAOS_NODES][CHAOS_SCOPES_OF_A_LAPTOP] = {
    {0, 0}, {0, 1}, {1, 2}, {2, 3}, {3, 0}, {0, 2}, {1, 3}};

double chaos_now_s(const struct chaos *c)
{
    return hm_child_clock() - c->begun_s;
}

void chaos_say(const struct chaos *c, const struct chaos_node *n, const char *format,
               ...)
{
    char text[1000];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    text[strcspn(text, "\n")] = 0;
    e2e_step("%8.3f  %-7s %s", chaos_now_s(c), n == NULL ? "" : n->node->name, text);
}

/* --- disks --- */

/* Nobody but this process and its children sees the mounts. */
static bool own_mounts(void)
{
    return unshare(CLONE_NEWNS) == 0 &&
           mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

static void mount_small(const char *name, int mb)
{
    const char *path = e2e_path("%s", name);
    char options[40];

    (void)snprintf(options, sizeof options, "size=%dm,mode=0700", mb);
    CHECK_OK(mkdir(path, 0700));
    CHECK_OK(mount("none", path, "tmpfs", 0, options));
}

/* Half of the nodes refuse before the disk is full, half meet its last byte. */
static void set_limits(const struct chaos_node *n)
{
    const char *path = e2e_path("%s/hamletd.conf", n->node->name);
    const char *text = e2e_read_file(path);
    const char *section = strstr(text, "[disk]");
    char whole[4096];

    assert_non_null(section);
    (void)snprintf(whole, sizeof whole,
                   "%.*s[disk]\nwarn_mb = %d\nrefuse_mb = %d\nreserve_mb = %d\n"
                   "check_s = 1\n",
                   (int)(section - text), text, n->has_limits ? 6 : 0,
                   n->has_limits ? 3 : 0, n->has_limits ? 2 : 0);
    e2e_write_file(path, whole);
}

/* --- nodes --- */

static void init_node(struct chaos *c, size_t index)
{
    struct chaos_node *n = &c->nodes[index];
    char name[8];

    (void)snprintf(name, sizeof name, "%s", "centre");
    if (index > 0) {
        (void)snprintf(name, sizeof name, "l%u", (unsigned)index);
    }
    if (c->small_disks) {
        mount_small(name, index == 0 ? DISK_MB_CENTRE : DISK_MB);
    }
    n->index = index;
    n->has_limits = index % 2 == 1;
    n->screen = json_object();
    n->node =
        e2e_init(&(struct e2e_options){.name = name,
                                       .programme = index == 0 ? "vn-poverty" : NULL,
                                       .hub = index == 0});
    set_limits(n);
    if (c->clocks) {
        e2e_clock_give(n->node);
    }
    n->scope_count = index == 0 ? CHAOS_SCOPES : CHAOS_SCOPES_OF_A_LAPTOP;
    for (size_t i = 0; i < n->scope_count; i++) {
        n->scopes[i] = index == 0 ? i : held[index][i];
    }
    e2e_start(n->node);
    n->state = CHAOS_READY;
}

static void fill_centre(struct chaos *c)
{
    struct e2e_node *centre = c->nodes[0].node;
    const char *path = e2e_path("begin.csv");
    char hamlets[80];

    (void)snprintf(hamlets, sizeof hamlets, "%s,%s,%s,%s", chaos_scopes[0],
                   chaos_scopes[1], chaos_scopes[2], chaos_scopes[3]);
    assert_int_equal(e2e_tool(path, "gen_commune", "--seed", "1", "--households", "24",
                              "--hamlets", hamlets, NULL)
                         ->exit_code,
                     0);
    assert_int_equal(
        e2e_int(e2e_ok(centre, "import", path, "--form", "register", NULL), "accepted"),
        HOUSEHOLDS);
    (void)e2e_ok(centre, "round", "open", "2026", NULL);
    for (size_t i = 0; i < CHAOS_SCOPES; i++) {
        (void)json_array_append(c->households, e2e_households(centre, chaos_scopes[i]));
    }
}

static void enrol(struct chaos *c, struct chaos_node *n)
{
    struct e2e_node *centre = c->nodes[0].node;
    const char *scopes[] = {chaos_scopes[n->scopes[0]], chaos_scopes[n->scopes[1]],
                            NULL};

    CHECK_OK(hm_proxy_start(centre->hub_port, 0, &n->node->proxy));
    (void)e2e_ok(
        n->node, "enroll",
        e2e_invite(centre, n->node->name, hm_proxy_port(n->node->proxy), scopes), NULL);
    (void)e2e_sync(n->node);
}

void chaos_nodes_begin(struct chaos *c)
{
    c->small_disks = own_mounts();
    c->clocks = e2e_clock_can();
    c->begun_s = hm_child_clock();
    c->saves = e2e_keep(json_array());
    c->households = e2e_keep(json_array());
    c->removed = e2e_keep(json_object());
    e2e_step("disks: %s; clocks: %s",
             c->small_disks ? "a tmpfs of its own for each node"
                            : "may not be mounted, so that none fills up",
             c->clocks ? "their own" : "true: no libfaketime here, or a sanitizer");
    for (size_t i = 0; i < CHAOS_NODES; i++) {
        init_node(c, i);
        (void)e2e_keep(c->nodes[i].screen);
    }
    fill_centre(c);
    for (size_t i = 1; i < CHAOS_NODES; i++) {
        enrol(c, &c->nodes[i]);
    }
    c->begun_s = hm_child_clock();
}
