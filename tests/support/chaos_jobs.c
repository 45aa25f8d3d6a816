/* Commands that run beside the test, and what answers to them are explained by what
 * happened to the node. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/chaos.h"
#include "tests/support/e2e_arguments.h"

enum { ANSWER_S = 60, DISK_LOOK_S = 3 };

void chaos_job_begin(struct chaos *c, struct chaos_node *n, struct chaos_job *job,
                     const char *input, const char *const *arguments)
{
    struct e2e_arguments all = {0};
    size_t len = 0;

    for (size_t i = 0; arguments[i] != NULL; i++) {
        e2e_arguments_add(&all, arguments[i]);
        len += (size_t)snprintf(job->what + len, sizeof job->what - len, "%s%s",
                                i == 0 ? "" : " ", arguments[i]);
        len = len < sizeof job->what ? len : sizeof job->what - 1;
    }
    job->begun_s = chaos_now_s(c);
    job->disturbances = n->disturbances;
    job->undisturbed = n->state == CHAOS_READY;
    job->job = e2e_begin(n->node, input, all.values[0], all.values[1], all.values[2],
                         all.values[3], all.values[4], all.values[5], all.values[6],
                         all.values[7], all.values[8], all.values[9], all.values[10],
                         all.values[11], all.values[12], all.values[13], all.values[14],
                         all.values[15], NULL);
}

static json_int_t status_of(const struct e2e_result *result)
{
    return json_integer_value(json_object_get(result->json, "status"));
}

/* The daemon looks at its disk once a second, so that it refuses a little longer. */
static bool disk_was_full(const struct chaos_node *n, const struct chaos_job *job)
{
    return n->full_until_s > 0 || n->full_over_s + DISK_LOOK_S > job->begun_s;
}

/* One line that names the disk. */
static void check_refusal(const struct chaos_node *n, const struct chaos_job *job,
                          const struct e2e_result *result)
{
    const char *end = strchr(result->err, '\n');

    if (!disk_was_full(n, job)) {
        e2e_fail("%s: %s: no space, but the disk was not full: %s", n->node->name,
                 job->what, result->err);
    }
    if (end == NULL || end[1] != 0 || strstr(result->err, "disk") == NULL) {
        e2e_fail("%s: %s: a full disk is refused with one line that says so, not: %s",
                 n->node->name, job->what, result->err);
    }
}

static bool is_explained(const struct chaos_node *n, const struct chaos_job *job,
                         const struct e2e_result *result)
{
    bool disturbed = !job->undisturbed || job->disturbances != n->disturbances;
    json_int_t status = status_of(result);

    if (result->exit_code == E2E_DONE || disturbed) {
        return true;
    }
    if (strncmp(job->what, "sync", 4) == 0) {
        return result->exit_code == E2E_FAILED; /* its result says why */
    }
    if (strncmp(job->what, "household show", 14) == 0 && status == 404) {
        return true; /* not here yet */
    }
    if (strncmp(job->what, "conflict resolve", 16) == 0 &&
        (status == 404 || status == 409)) {
        return true; /* somebody else has decided */
    }
    return result->exit_code == E2E_FAILED && status == 507;
}

struct e2e_result *chaos_job_end(struct chaos *c, struct chaos_node *n,
                                 struct chaos_job *job)
{
    struct e2e_result *result;

    if (!e2e_ended(job->job)) {
        if (chaos_now_s(c) > job->begun_s + ANSWER_S) {
            e2e_fail("%s does not answer: %s", n->node->name, job->what);
        }
        return NULL;
    }
    result = e2e_end(job->job, 1);
    job->job = NULL;
    if (status_of(result) == 507) {
        check_refusal(n, job, result);
    }
    if (!is_explained(n, job, result)) {
        e2e_fail("%s: nothing explains the answer to %s: exit %d, %s%s", n->node->name,
                 job->what, result->exit_code, result->out, result->err);
    }
    return result;
}

/* --- what was on the screen --- */

void chaos_cell(const json_t *row, const char *field, char *out)
{
    const char *round = json_string_value(json_object_get(row, "round"));
    const char *repeat = json_string_value(json_object_get(row, "repeat"));
    const char *item = json_string_value(json_object_get(row, "item"));
    int len = snprintf(out, 300, "%s%s%s:", e2e_str(row, "form"),
                       round == NULL ? "" : "@", round == NULL ? "" : round);

    if (repeat != NULL && item != NULL) {
        len += snprintf(out + len, (size_t)(300 - len), "%s[%s].", repeat, item);
    }
    (void)snprintf(out + len, (size_t)(300 - len), "%s", field);
}

static void make_key(const char *household, const char *cell, const json_t *value,
                     char out[1000])
{
    char *text = json_dumps(value, JSON_ENCODE_ANY);

    (void)snprintf(out, 1000, "%s|%s|%s", household, cell, text == NULL ? "" : text);
    free(text);
}

static void see_value(struct chaos_node *n, const char *household, const char *cell,
                      const json_t *value)
{
    char key[1000];

    make_key(household, cell, value, key);
    (void)json_object_set_new(n->screen, key, json_true());
}

bool chaos_has_seen(const struct chaos_node *n, const char *household, const char *cell,
                    const json_t *value)
{
    char key[1000];

    make_key(household, cell, value, key);
    return json_object_get(n->screen, key) != NULL;
}

void chaos_see(struct chaos_node *n, const json_t *shown)
{
    const char *household = e2e_str(shown, "household");
    const char *field;
    json_t *row;
    json_t *value;
    json_t *conflict;
    size_t at;
    size_t i;

    json_array_foreach(e2e_get(shown, "rows"), at, row)
    {
        json_object_foreach(e2e_get(row, "values"), field, value)
        {
            char cell[300];

            chaos_cell(row, field, cell);
            see_value(n, household, cell, value);
        }
    }
    json_array_foreach(e2e_get(shown, "conflicts"), at, conflict)
    {
        json_array_foreach(e2e_get(conflict, "values"), i, value)
        {
            see_value(n, household, e2e_str(conflict, "cell"), e2e_get(value, "value"));
        }
    }
}
