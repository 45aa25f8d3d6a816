#define _GNU_SOURCE /* timegm */

#include "tests/support/e2e_links.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/support/child.h"

enum { FALSE_HUBS_MAX = 8 };

static struct hm_false_hub *hubs[FALSE_HUBS_MAX];
static size_t hub_count;

struct hm_false_hub *e2e_false_hub(struct e2e_node *node,
                                   const struct hm_false_hub_script *script)
{
    const char *key = NULL;
    const char *cert = NULL;

    if (node != NULL) {
        key = e2e_read_file(e2e_path("%s/keys/tls.key", node->name));
        cert = e2e_read_file(e2e_path("%s/keys/tls.crt", node->name));
    }
    if (hub_count == FALSE_HUBS_MAX ||
        hm_false_hub_start(key, cert, script, &hubs[hub_count]) != HM_OK) {
        e2e_fail("no false hub");
    }
    return hubs[hub_count++];
}

void e2e_links_end(void)
{
    while (hub_count > 0) {
        hm_false_hub_stop(hubs[--hub_count]);
    }
}

void e2e_configure(struct e2e_node *node, const char *from, const char *to)
{
    const char *path = e2e_path("%s/hamletd.conf", node->name);
    const char *text = e2e_read_file(path);
    char needle[200];
    const char *at;
    char *now = NULL;

    (void)snprintf(needle, sizeof needle, "\n%s", from);
    at = strstr(text, needle);
    if (at == NULL) {
        e2e_fail("no line '%s' in %s", from, path);
    }
    at++;
    if (asprintf(&now, "%.*s%s%s", (int)(at - text), text, to, strchr(at, '\n')) < 0) {
        e2e_fail("out of memory");
    }
    e2e_write_file(path, now);
    free(now);
}

void e2e_sync_fails(struct e2e_node *node, const char *result, const char *says)
{
    const struct e2e_result *got = e2e_end(e2e_begin(node, NULL, "sync", NULL), 60);

    if (got->exit_code != E2E_FAILED || got->json == NULL ||
        strcmp(e2e_str(got->json, "result"), result) != 0 ||
        strstr(e2e_str(got->json, "detail"), says) == NULL) {
        e2e_fail("sync is not '%s', saying '%s', but exit %d: %s", result, says,
                 got->exit_code, got->out);
    }
}

const char *e2e_upstream(struct e2e_node *node, const char *name)
{
    json_t *upstream = e2e_get(e2e_ok(node, "status", NULL), "upstream");
    const char *text = json_string_value(json_object_get(upstream, name));

    return text == NULL ? "" : text;
}

double e2e_next_try_s(struct e2e_node *node)
{
    const char *text = e2e_upstream(node, "next_try");
    struct tm when = {0};

    if (text[0] == 0) {
        return -1;
    }
    if (sscanf(text, "%d-%d-%dT%d:%d:%d", &when.tm_year, &when.tm_mon, &when.tm_mday,
               &when.tm_hour, &when.tm_min, &when.tm_sec) != 6) {
        e2e_fail("not a time: %s", text);
    }
    when.tm_year -= 1900;
    when.tm_mon--;
    return difftime(timegm(&when), time(NULL));
}

void e2e_wait_state(struct e2e_node *node, const char *state, double timeout_s)
{
    double until = hm_child_clock() + timeout_s;

    while (strcmp(e2e_upstream(node, "state"), state) != 0) {
        if (hm_child_clock() > until) {
            e2e_fail("%s is not %s after %.0f s, but %s: %s", node->name, state,
                     timeout_s, e2e_upstream(node, "state"),
                     e2e_upstream(node, "last_error"));
        }
        hm_child_sleep(0.3);
    }
}
