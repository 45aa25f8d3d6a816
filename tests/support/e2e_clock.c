#include "tests/support/e2e_clock.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/test.h"

#define FAKETIME "/usr/lib/*/faketime/libfaketimeMT.so.1"

static const char *library(void)
{
    const char *path = NULL;
    glob_t found;

    if (getenv("HM_SANITIZED") == NULL && glob(FAKETIME, 0, NULL, &found) == 0) {
        path = json_string_value(e2e_keep(json_string(found.gl_pathv[0])));
        globfree(&found);
    }
    return path;
}

bool e2e_clock_can(void)
{
    return library() != NULL;
}

static const char *clock_file(const struct e2e_node *node)
{
    return e2e_path("%s.clock", node->name);
}

static const char *setting(const char *name, const char *value)
{
    return json_string_value(e2e_keep(json_sprintf("%s=%s", name, value)));
}

void e2e_clock_give(struct e2e_node *node)
{
    e2e_write_file(clock_file(node), "+0\n");
    node->environment[0] = setting("LD_PRELOAD", library());
    node->environment[1] = setting("FAKETIME_TIMESTAMP_FILE", clock_file(node));
    node->environment[2] = "FAKETIME_NO_CACHE=1";
    node->environment[3] = "DONT_FAKE_MONOTONIC=1";
    node->environment[4] = "NO_FAKE_STAT=1";
    node->environment[5] = NULL;
}

void e2e_clock_set(const struct e2e_node *node, const char *offset)
{
    const char *file = clock_file(node);
    const char *next = e2e_path("%s.clock.next", node->name);

    e2e_write_file(next, json_string_value(e2e_keep(json_sprintf("%s\n", offset))));
    CHECK_OK(rename(next, file));
}
