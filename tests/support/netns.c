#define _GNU_SOURCE /* unshare */

#include "tests/support/netns.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "tests/support/child.h"
#include "tests/support/test.h"

enum { SKIPPED = 77 };

static void skip_all(const char *what, const char *why)
{
    (void)printf("skipped: no network of its own here: %s: %s\n", what, why);
    (void)fflush(stdout);
    exit(SKIPPED);
}

static int ip(const char *arguments)
{
    char text[200];
    char program[] = "/bin/sh";
    char option[] = "-c";
    char *argv[] = {program, option, text, NULL};
    int status = -1;
    pid_t pid;

    (void)snprintf(text, sizeof text, "exec ip %s", arguments);
    pid = hm_child_start(argv, &(struct hm_child_options){0});
    return pid > 0 && hm_child_wait(pid, 10, &status) ? status : -1;
}

/* A file of the machine's, as this test's processes see it. */
static void replace(const char *path, const char *text)
{
    char own[300];
    FILE *file;

    (void)snprintf(own, sizeof own, "%s/%s", hm_test_folder(), strrchr(path, '/') + 1);
    file = fopen(own, "wb");
    if (file == NULL || fputs(text, file) == EOF || fclose(file) != 0 ||
        mount(own, path, NULL, MS_BIND, NULL) != 0) {
        skip_all(path, strerror(errno));
    }
}

void hm_netns_enter(void)
{
    static const char *const set_up[] = {
        "link set lo up",
        "link add up0 type veth peer name up1",
        "addr add 198.51.100.1/24 dev up0",
        "addr add 2001:db8::1/64 dev up0 nodad",
        "link set up0 up",
        "link set up1 up",
    };

    if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        skip_all("unshare", strerror(errno));
    }
    for (size_t i = 0; i < sizeof set_up / sizeof set_up[0]; i++) {
        if (ip(set_up[i]) != 0) {
            skip_all("ip", set_up[i]);
        }
    }
    replace("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n");
    replace("/etc/nsswitch.conf", "hosts: dns\n");
}

void hm_netns_take_ipv4(void)
{
    assert_int_equal(ip("-4 addr flush dev lo"), 0);
    assert_int_equal(ip("-4 addr flush dev up0"), 0);
}
