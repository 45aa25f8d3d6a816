/* What must be true at all nodes when everything has settled. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/chaos.h"
#include "tests/support/child.h"
#include "tests/support/e2e_data.h"

enum { RECEIPTS_LOOKED_AT = 3, SHOWN_OF_A_SCOPE = 10, RSS_MB_MAX = 100, FDS_MAX = 100 };

/* --- receipts --- */

/* The last few of those that it had shown. */
static void check_receipts_of(struct chaos *c, const struct chaos_node *n)
{
    json_int_t seen = 0;
    json_t *save;
    size_t at;

    json_array_foreach(c->saves, at, save)
    {
        if (json_object_get(save, "answered_s") == NULL ||
            e2e_int(save, "node") != (json_int_t)n->index || ++seen > n->promised ||
            seen <= n->promised - RECEIPTS_LOOKED_AT) {
            continue;
        }
        if (e2e_times_in_history(c->nodes[0].node, e2e_str(save, "household"),
                                 e2e_str(save, "change")) != 1) {
            e2e_fail("%s had shown as receipted by the centre what it does not have "
                     "after SIGKILL: %s",
                     n->node->name, e2e_text(save));
        }
        c->figures.receipts_checked++;
    }
}

void chaos_check_receipts(struct chaos *c)
{
    for (size_t i = 1; i < CHAOS_NODES; i++) {
        check_receipts_of(c, &c->nodes[i]);
    }
}

/* --- in step --- */

static const json_t *scope_in(const json_t *status, const char *scope)
{
    json_t *entry;
    size_t at;

    json_array_foreach(e2e_get(status, "scopes"), at, entry)
    {
        if (strcmp(e2e_str(entry, "scope"), scope) == 0) {
            return entry;
        }
    }
    e2e_fail("no scope %s in %s", scope, e2e_text(status));
}

/* NULL when all is in step; else what is not. */
static const char *out_of_step(const struct chaos *c)
{
    const json_t *centre = e2e_ok(c->nodes[0].node, "status", NULL);
    static char text[400];

    for (size_t i = 1; i < CHAOS_NODES; i++) {
        const struct chaos_node *n = &c->nodes[i];
        const json_t *status = e2e_ok(n->node, "status", NULL);

        if (e2e_int(status, "unsent.changes") != 0) {
            (void)snprintf(text, sizeof text, "%s has %d unsent changes", n->node->name,
                           (int)e2e_int(status, "unsent.changes"));
            return text;
        }
        for (size_t k = 0; k < n->scope_count; k++) {
            const char *scope = chaos_scopes[n->scopes[k]];
            const json_t *here = scope_in(status, scope);
            const json_t *there = scope_in(centre, scope);

            if (!json_equal(here, there)) {
                (void)snprintf(text, sizeof text, "%s has %s, the centre %s",
                               n->node->name, e2e_text(here), e2e_text(there));
                return text;
            }
        }
    }
    return NULL;
}

void chaos_settle(struct chaos *c, double limit_s)
{
    double begun_s = chaos_now_s(c);
    const char *why = "";

    while (why != NULL) {
        struct e2e_job *jobs[CHAOS_NODES] = {NULL};

        if (chaos_now_s(c) > begun_s + limit_s) {
            e2e_fail("after %.0f s of good links: %s", limit_s, why);
        }
        for (size_t i = 1; i < CHAOS_NODES; i++) {
            jobs[i] = e2e_begin(c->nodes[i].node, NULL, "sync", "--wait", "30", NULL);
        }
        for (size_t i = 1; i < CHAOS_NODES; i++) {
            const struct e2e_result *result = e2e_end(jobs[i], E2E_CLI_S);

            chaos_say(c, &c->nodes[i], "sync: exit %d %s%s", result->exit_code,
                      result->out, result->err);
        }
        why = out_of_step(c);
        chaos_say(c, NULL, "%s", why == NULL ? "all are in step" : why);
    }
    e2e_step("settled within %.1f s", chaos_now_s(c) - begun_s);
}

/* --- each node --- */

static void check_alarms(const struct chaos_node *n)
{
    const json_t *list = e2e_ok(n->node, "alarm", "list", NULL);
    json_t *alarm;
    size_t at;

    json_array_foreach(list, at, alarm)
    {
        if (strcmp(e2e_str(alarm, "kind"), "disk") != 0) {
            e2e_fail("%s has an alarm: %s", n->node->name, e2e_text(alarm));
        }
    }
}

static void check_log(const struct chaos_node *n)
{
    static const char *const words[] = {"bug", "ssert", "Sanitizer", "runtime error",
                                        "corrupt"};
    const char *log = e2e_log(n->node);

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        const char *found = strstr(log, words[i]);

        if (found != NULL) {
            e2e_fail("the log of %s has '%s': %.300s", n->node->name, words[i], found);
        }
    }
}

static void check_node(const struct chaos_node *n)
{
    const json_t *status = e2e_ok(n->node, "status", NULL);
    const struct e2e_result *verify = e2e_cli(n->node, "verify", "--json", NULL);

    if (verify->exit_code != E2E_DONE || !e2e_bool(verify->json, "ok")) {
        e2e_fail("verify of %s: %s%s", n->node->name, verify->out, verify->err);
    }
    if (e2e_int(status, "quarantine") != 0 ||
        e2e_count(e2e_ok(n->node, "quarantine", "list", NULL), "") != 0) {
        e2e_fail("%s has something in quarantine", n->node->name);
    }
    if ((n->rss_kb_max > RSS_MB_MAX * 1024L && getenv("HM_SANITIZED") == NULL) ||
        n->fds_max > FDS_MAX) {
        e2e_fail("%s grew to %ld kB and %u open files", n->node->name, n->rss_kb_max,
                 n->fds_max);
    }
    check_alarms(n);
    check_log(n);
}

/* --- laptops against the centre --- */

/* Of each conflict what both ends must show alike. */
static json_t *conflicts_of(const struct chaos_node *n, const char *scope)
{
    const json_t *list = e2e_ok(n->node, "conflict", "list", "--scope", scope, NULL);
    json_t *all = e2e_keep(json_object());
    json_t *conflict;
    json_t *value;
    size_t at;
    size_t i;

    json_array_foreach(list, at, conflict)
    {
        json_t *values = json_array();
        char key[400];

        json_array_foreach(e2e_get(conflict, "values"), i, value)
        {
            (void)json_array_append_new(
                values, json_pack("[O,O,O]", e2e_get(value, "n"),
                                  e2e_get(value, "value"), e2e_get(value, "dot")));
        }
        if (json_array_size(values) < 2) {
            e2e_fail("a conflict at %s has one side: %s", n->node->name,
                     e2e_text(conflict));
        }
        (void)snprintf(key, sizeof key, "%s %s", e2e_str(conflict, "household"),
                       e2e_str(conflict, "cell"));
        (void)json_object_set_new(all, key, values);
    }
    return all;
}

/* By id, with the marks of their creation. */
static json_t *households_of(const struct chaos_node *n, const char *scope)
{
    const json_t *list = e2e_ok(n->node, "household", "list", "--scope", scope, NULL);
    json_t *all = e2e_keep(json_object());
    json_t *entry;
    size_t at;

    json_array_foreach(list, at, entry)
    {
        (void)json_object_set_new(all, e2e_str(entry, "household"),
                                  json_pack("[O,O,O]", e2e_get(entry, "head_name"),
                                            e2e_get(entry, "members"),
                                            e2e_get(entry, "conflicts")));
    }
    return all;
}

static void check_equal(const struct chaos_node *n, const char *what, const char *scope,
                        const json_t *here, const json_t *there)
{
    if (!json_equal(here, there)) {
        e2e_fail("%s of %s\n  at %s: %s\n  at the centre: %s", what, scope,
                 n->node->name, e2e_text(here), e2e_text(there));
    }
}

/* What a person sees, in full, of some households: of the others digest and history
 * tell. */
static void check_shown(const struct chaos *c, const struct chaos_node *n,
                        const json_t *households)
{
    const char *id;
    json_t *unused;
    size_t looked_at = 0;

    json_object_foreach((json_t *)(uintptr_t)households, id, unused)
    {
        struct e2e_result *here;
        struct e2e_result *there;

        if (looked_at++ == SHOWN_OF_A_SCOPE) {
            break;
        }
        here = e2e_cli(n->node, "household", "show", id, "--json", NULL);
        there = e2e_cli(c->nodes[0].node, "household", "show", id, "--json", NULL);
        check_equal(n, "the rows", id, e2e_get(here->json, "rows"),
                    e2e_get(there->json, "rows"));
        check_equal(n, "the digest", id, e2e_get(here->json, "digest"),
                    e2e_get(there->json, "digest"));
        e2e_forget(here);
        e2e_forget(there);
    }
}

void chaos_check_all(struct chaos *c)
{
    for (size_t i = 0; i < CHAOS_NODES; i++) {
        check_node(&c->nodes[i]);
    }
    e2e_step("every node verifies, none has anything in quarantine");
    for (size_t k = 0; k < CHAOS_SCOPES; k++) {
        const char *scope = chaos_scopes[k];
        const json_t *conflicts = conflicts_of(&c->nodes[0], scope);
        const json_t *households = households_of(&c->nodes[0], scope);

        e2e_step("%s: %zu households, %zu conflicts", scope,
                 json_object_size(households), json_object_size(conflicts));
        for (size_t i = 1; i < CHAOS_NODES; i++) {
            const struct chaos_node *n = &c->nodes[i];

            if (n->scopes[0] == k || n->scopes[1] == k) {
                check_equal(n, "the conflicts", scope, conflicts_of(n, scope),
                            conflicts);
                check_equal(n, "the households", scope, households_of(n, scope),
                            households);
            }
            if (n->scopes[0] == k) {
                check_shown(c, n, households);
            }
        }
    }
    chaos_check_histories(c);
}
