#include "daemon/serve/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/serve/api_json.h"
#include "daemon/serve/handlers.h"

#define PREFIX "/api/v1/"

enum transaction { TX_READ, TX_WRITE, TX_OWN };

struct route {
    const char *method;
    const char *pattern; /* below PREFIX; {} is a member */
    enum hm_api_kind kind;
    enum transaction transaction;
    uint64_t right;      /* enum hm_right, 0: everybody's */
    const char *query;   /* names of parameters */
    const char *members; /* of a JSON body; NULL: no body */
    const char *type;    /* of a body that is not JSON; NULL: it is */
    int (*handle)(struct hm_call *call);
};

#define SAVE_MEMBERS "scope round values rows"
#define CSV          "text/csv"

/* clang-format off */
static const struct route routes[] = {
    {"GET", "devices", HM_API_READ, TX_READ, HM_RIGHT_HOUSEHOLD_READ, NULL, NULL, NULL, hm_devices_handle_list},
    {"POST", "devices/invitations", HM_API_WRITE, TX_WRITE, HM_RIGHT_DEVICE_ADMIN, NULL, "scopes name role", NULL, hm_devices_handle_invite},
    {"POST", "devices/{}/revoke", HM_API_WRITE, TX_WRITE, HM_RIGHT_DEVICE_ADMIN, NULL, "reason since", NULL, hm_devices_handle_revoke},
    {"POST", "devices/{}/reassign", HM_API_WRITE, TX_WRITE, HM_RIGHT_DEVICE_ADMIN, NULL, "scopes", NULL, hm_devices_handle_reassign},
    {"POST", "devices/{}/close", HM_API_WRITE, TX_WRITE, HM_RIGHT_DEVICE_ADMIN, NULL, NULL, NULL, hm_devices_handle_close},
    {"POST", "restore/finished", HM_API_WRITE, TX_WRITE, HM_RIGHT_BACKUP, NULL, NULL, NULL, hm_devices_handle_restore_finished},
    {"GET", "users", HM_API_READ, TX_READ, HM_RIGHT_HOUSEHOLD_READ, NULL, NULL, NULL, hm_people_handle_list},
    {"POST", "users", HM_API_WRITE, TX_WRITE, HM_RIGHT_USER_ADMIN, NULL, "name role unit full_name passphrase", NULL, hm_people_handle_add},
    {"POST", "users/{}/passphrase", HM_API_WRITE, TX_WRITE, 0, NULL, "passphrase", NULL, hm_people_handle_passphrase},
    {"POST", "users/{}/disable", HM_API_WRITE, TX_WRITE, HM_RIGHT_USER_ADMIN, NULL, NULL, NULL, hm_people_handle_disable},
    {"POST", "users/{}/enable", HM_API_WRITE, TX_WRITE, HM_RIGHT_USER_ADMIN, NULL, NULL, NULL, hm_people_handle_enable},
    {"POST", "users/{}/change", HM_API_WRITE, TX_WRITE, HM_RIGHT_USER_ADMIN, NULL, "role unit full_name", NULL, hm_people_handle_change},
    {"POST", "users/{}/reset", HM_API_WRITE, TX_WRITE, HM_RIGHT_USER_ADMIN, NULL, "device", NULL, hm_people_handle_reset},
    {"POST", "users/{}/redeem", HM_API_WRITE, TX_OWN, 0, NULL, "code passphrase", NULL, hm_people_handle_redeem},
    {"POST", "users/{}/check", HM_API_WRITE, TX_OWN, 0, NULL, "passphrase", NULL, hm_people_handle_check},
    {"GET", "units", HM_API_READ, TX_READ, 0, "under at", NULL, NULL, hm_units_handle_list},
    {"POST", "units/import", HM_API_UPLOAD, TX_WRITE, HM_RIGHT_UNIT_ADMIN, "name", NULL, CSV, hm_units_handle_import},
    {"GET", "rounds", HM_API_READ, TX_READ, 0, NULL, NULL, NULL, hm_rounds_handle_list},
    {"POST", "rounds/{}/open", HM_API_WRITE, TX_WRITE, HM_RIGHT_ROUND_ADMIN, NULL, "kind from to", NULL, hm_rounds_handle_open},
    {"POST", "rounds/{}/close", HM_API_WRITE, TX_WRITE, HM_RIGHT_ROUND_ADMIN, NULL, NULL, NULL, hm_rounds_handle_close},
    {"GET", "forms", HM_API_READ, TX_READ, 0, NULL, NULL, NULL, hm_forms_handle_list},
    {"POST", "forms", HM_API_UPLOAD, TX_WRITE, HM_RIGHT_FORM_ADMIN, "name", NULL, "application/xml", hm_forms_handle_publish},
    {"GET", "forms/{}", HM_API_READ, TX_READ, 0, NULL, NULL, NULL, hm_forms_handle_show},
    {"GET", "households", HM_API_READ, TX_READ, HM_RIGHT_HOUSEHOLD_READ, "scope where", NULL, NULL, hm_households_handle_list},
    {"POST", "households", HM_API_WRITE, TX_WRITE, HM_RIGHT_HOUSEHOLD_WRITE, NULL, SAVE_MEMBERS " household form", NULL, hm_households_handle_put},
    {"GET", "households/{}", HM_API_READ, TX_READ, HM_RIGHT_HOUSEHOLD_READ, "history", NULL, NULL, hm_households_handle_show},
    {"POST", "households/{}/forms/{}", HM_API_WRITE, TX_WRITE, HM_RIGHT_HOUSEHOLD_WRITE, NULL, SAVE_MEMBERS, NULL, hm_households_handle_put_form},
    {"POST", "households/{}/move", HM_API_WRITE, TX_WRITE, HM_RIGHT_HOUSEHOLD_WRITE, NULL, "scope reason", NULL, hm_facts_handle_move},
    {"POST", "households/{}/merge", HM_API_WRITE, TX_WRITE, HM_RIGHT_HOUSEHOLD_WRITE, NULL, "into reason", NULL, hm_facts_handle_merge},
    {"POST", "households/{}/unmerge", HM_API_WRITE, TX_WRITE, HM_RIGHT_HOUSEHOLD_WRITE, NULL, "reason", NULL, hm_facts_handle_unmerge},
    {"POST", "households/{}/split", HM_API_WRITE, TX_WRITE, HM_RIGHT_HOUSEHOLD_WRITE, NULL, "items reason", NULL, hm_facts_handle_split},
    {"POST", "households/{}/delete", HM_API_WRITE, TX_WRITE, HM_RIGHT_HOUSEHOLD_WRITE, NULL, "reason", NULL, hm_facts_handle_delete},
    {"POST", "households/{}/decide", HM_API_WRITE, TX_WRITE, HM_RIGHT_HOUSEHOLD_WRITE, NULL, "reason", NULL, hm_facts_handle_decide},
    {"POST", "import", HM_API_UPLOAD, TX_WRITE, HM_RIGHT_IMPORT, "name form round", NULL, CSV, hm_import_handle},
    {"GET", "export", HM_API_READ, TX_READ, HM_RIGHT_EXPORT, "form round scope format", NULL, NULL, hm_export_handle},
    {"GET", "conflicts", HM_API_READ, TX_READ, HM_RIGHT_HOUSEHOLD_READ, "scope", NULL, NULL, hm_conflicts_handle_list},
    {"POST", "conflicts/resolve", HM_API_WRITE, TX_WRITE, HM_RIGHT_CONFLICT_RESOLVE, NULL, "all policy scope form round field kind device user older newer dry_run", NULL, hm_conflicts_handle_resolve_all},
    {"POST", "conflicts/undo", HM_API_WRITE, TX_WRITE, HM_RIGHT_CONFLICT_RESOLVE, NULL, "change", NULL, hm_conflicts_handle_undo},
    {"GET", "conflicts/{}", HM_API_READ, TX_READ, HM_RIGHT_HOUSEHOLD_READ, NULL, NULL, NULL, hm_conflicts_handle_show},
    {"POST", "conflicts/{}/resolve", HM_API_WRITE, TX_WRITE, HM_RIGHT_CONFLICT_RESOLVE, NULL, "cell take value dots all policy", NULL, hm_conflicts_handle_resolve},
    {"GET", "duplicates", HM_API_READ, TX_READ, HM_RIGHT_HOUSEHOLD_READ, "scope", NULL, NULL, hm_duplicates_handle_list},
    {"POST", "duplicates/{}/apart", HM_API_WRITE, TX_WRITE, HM_RIGHT_HOUSEHOLD_WRITE, NULL, "other reason", NULL, hm_duplicates_handle_apart},
    {"GET", "notices", HM_API_READ, TX_READ, HM_RIGHT_HOUSEHOLD_READ, NULL, NULL, NULL, hm_notices_handle_list},
    {"POST", "notices/{}/clear", HM_API_WRITE, TX_WRITE, HM_RIGHT_HOUSEHOLD_WRITE, NULL, NULL, NULL, hm_notices_handle_clear},
    {"GET", "quarantine", HM_API_READ, TX_READ, HM_RIGHT_HOUSEHOLD_READ, NULL, NULL, NULL, hm_quarantine_handle_list},
    {"GET", "quarantine/export", HM_API_READ, TX_READ, HM_RIGHT_EXPORT, "id", NULL, NULL, hm_quarantine_handle_export},
    {"GET", "quarantine/{}", HM_API_READ, TX_READ, HM_RIGHT_HOUSEHOLD_READ, NULL, NULL, NULL, hm_quarantine_handle_show},
    {"POST", "quarantine/{}/release", HM_API_WRITE, TX_WRITE, HM_RIGHT_QUARANTINE_RELEASE, NULL, "reason", NULL, hm_quarantine_handle_release},
    {"POST", "quarantine/release", HM_API_WRITE, TX_WRITE, HM_RIGHT_QUARANTINE_RELEASE, NULL, "device revoked reason", NULL, hm_quarantine_handle_release_all},
    {"POST", "backup", HM_API_READ, TX_OWN, HM_RIGHT_BACKUP, NULL, "path passphrase", NULL, hm_backup_handle},
    {"POST", "verify", HM_API_READ, TX_OWN, HM_RIGHT_BACKUP, NULL, NULL, NULL, hm_verify_handle},
    {"GET", "status", HM_API_LOOP, TX_OWN, 0, NULL, NULL, NULL, NULL},
    {"POST", "enroll", HM_API_LOOP, TX_OWN, 0, NULL, NULL, NULL, NULL},
    {"GET", "upstreams", HM_API_READ, TX_READ, HM_RIGHT_HOUSEHOLD_READ, NULL, NULL, NULL, hm_upstreams_handle_list},
    {"POST", "upstreams/use", HM_API_LOOP, TX_OWN, 0, NULL, NULL, NULL, NULL},
    {"POST", "sync", HM_API_LOOP, TX_OWN, 0, NULL, NULL, NULL, NULL},
    {"POST", "sync/pause", HM_API_LOOP, TX_OWN, 0, NULL, NULL, NULL, NULL},
    {"POST", "sync/resume", HM_API_LOOP, TX_OWN, 0, NULL, NULL, NULL, NULL},
    {"GET", "alarms", HM_API_LOOP, TX_OWN, 0, NULL, NULL, NULL, NULL},
    {"POST", "alarms/{}/clear", HM_API_LOOP, TX_OWN, 0, NULL, NULL, NULL, NULL},
    {"GET", "log", HM_API_LOOP, TX_OWN, 0, NULL, NULL, NULL, NULL},
};
/* clang-format on */

enum { ROUTES = sizeof routes / sizeof routes[0] };

/* -- Finding a route -- */

struct match {
    struct hm_bytes members[HM_CALL_MEMBERS_MAX];
    size_t count;
};

static bool matches(const char *pattern, const char *path, struct match *out)
{
    struct match match = {.count = 0};

    while (*pattern != 0) {
        if (*pattern == '{') {
            size_t len = strcspn(path, "/");

            if (len == 0) {
                return false;
            }
            match.members[match.count++] = hm_bytes_of(path, len);
            path += len;
            pattern += 2;
        } else if (*pattern++ != *path++) {
            return false;
        }
    }
    *out = match;
    return *path == 0;
}

/* *out_known: the path exists with some method. */
static const struct route *find(const char *method, const char *path,
                                struct match *out_match, bool *out_known)
{
    *out_known = false;
    if (strncmp(path, PREFIX, sizeof PREFIX - 1) != 0) {
        return NULL;
    }
    for (size_t i = 0; i < ROUTES; i++) {
        if (matches(routes[i].pattern, path + sizeof PREFIX - 1, out_match)) {
            *out_known = true;
            if (strcmp(routes[i].method, method) == 0) {
                return &routes[i];
            }
        }
    }
    return NULL;
}

enum hm_api_kind hm_api_kind(const char *method, const char *path)
{
    struct match match;
    bool known;
    const struct route *route = find(method, path, &match, &known);

    return route == NULL ? HM_API_NONE : route->kind;
}

/* -- Answers -- */

void hm_api_answer_init(struct hm_api_answer *answer, size_t body_bytes_max)
{
    memset(answer, 0, sizeof *answer);
    answer->file_fd = -1;
    hm_buf_init(&answer->body, body_bytes_max);
}

void hm_api_answer_deinit(struct hm_api_answer *answer)
{
    if (answer == NULL) {
        return;
    }
    if (answer->file_fd >= 0) {
        (void)close(answer->file_fd); /* unlinked: nothing is left of it */
        answer->file_fd = -1;
    }
    hm_buf_deinit(&answer->body);
}

void hm_api_cancel(struct hm_api_node *node, struct hm_api_answer *answer)
{
    (void)node;
    if (answer->progress != NULL) {
        answer->cancel(answer->progress);
    }
    answer->progress = NULL;
    answer->again = false;
}

/* The store's own words, unless they are of the engine and say nothing to people. */
static const char *line_of(struct hm_call *call, int err)
{
    const char *said = hm_store_errmsg(call->s);
    bool engine = strcmp(said, hm_db_errmsg(hm_store_db(call->s))) == 0;

    if (call->line[0] != 0) {
        return call->line;
    }
    if (said[0] != 0 && !engine && err == HM_CORRUPT) {
        (void)snprintf(call->line, sizeof call->line, "%s: %s", said, HM_API_DAMAGED);
        return call->line;
    }
    if (said[0] != 0 && !engine) {
        return said;
    }
    return err == HM_CORRUPT ? HM_API_DAMAGED : hm_err_text(err);
}

static void answer_problem(struct hm_call *call, int err)
{
    const char *line = line_of(call, err);

    hm_api_cancel(call->node, call->answer);
    if (call->answer->file_fd >= 0) {
        (void)close(call->answer->file_fd); /* unlinked: nothing is left of it */
        call->answer->file_fd = -1;
    }
    if (call->problem_status == 415) {
        hm_api_json_problem(call->answer, 415, "mediatype", "Wrong media type", line,
                            NULL);
    } else {
        hm_api_json_error(call->answer, err,
                          call->problem_status != 0 ? call->problem_status
                                                    : hm_api_json_status(err),
                          line, call->problem_errors);
    }
    call->answer->saved = false;
}

/* -- Carrying out -- */

static int check_type(struct hm_call *call, const struct route *route)
{
    const char *type =
        call->request->content_type == NULL ? "" : call->request->content_type;
    size_t len = strlen(route->type);
    bool fits =
        strncmp(type, route->type, len) == 0 && strchr("; \t", type[len]) != NULL;

    if (!fits && strcmp(route->type, "application/xml") == 0) {
        fits = strncmp(type, "text/xml", 8) == 0;
    }
    if (!fits) {
        call->problem_status = 415;
        return hm_call_fail(call, HM_INVALID, "the body must be %s", route->type);
    }
    return HM_OK;
}

static int prepare(struct hm_call *call, const struct route *route,
                   const struct match *match)
{
    int err = HM_OK;

    for (size_t i = 0; i < match->count; i++) {
        call->members[i] = hm_arena_text(&call->arena, match->members[i]);
        if (call->members[i] == NULL) {
            return HM_NOMEM;
        }
    }
    err = hm_api_json_query(call, route->query);
    if (err == HM_OK) {
        err = route->type != NULL ? check_type(call, route)
              : strcmp(route->method, "GET") == 0
                  ? HM_OK
                  : hm_api_json_body(call, route->members);
    }
    return err;
}

static int run(struct hm_call *call, const struct route *route)
{
    int err = hm_call_identify(call);

    if (err == HM_OK && route->right != 0) {
        err = hm_call_require(call, (enum hm_right)route->right);
    }
    return err == HM_OK ? route->handle(call) : err;
}

/* A handler with transactions of its own still needs to know who asks. */
static int run_own(struct hm_call *call, const struct route *route)
{
    int err = hm_store_begin_read(call->s);

    if (err == HM_OK) {
        err = hm_call_identify(call);
        if (err == HM_OK && route->right != 0) {
            err = hm_call_require(call, (enum hm_right)route->right);
        }
        err = hm_store_end(call->s, err);
    }
    return err == HM_OK ? route->handle(call) : err;
}

static int carry_out(struct hm_call *call, const struct route *route)
{
    int err;

    if (route->transaction == TX_OWN) {
        return run_own(call, route);
    }
    err = route->transaction == TX_READ ? hm_store_begin_read(call->s)
                                        : hm_store_begin(call->s);
    return err == HM_OK ? hm_store_end(call->s, run(call, route)) : err;
}

void hm_api_handle(struct hm_api_node *node, const struct hm_api_request *request,
                   struct hm_api_answer *answer)
{
    struct match match = {.count = 0};
    struct hm_call call;
    bool known = false;
    const struct route *route = find(request->method, request->path, &match, &known);
    int err;

    if (route == NULL || route->handle == NULL) {
        if (known && route == NULL) {
            hm_api_json_problem(answer, 405, "method", "Wrong method",
                                "this path does not take that method", NULL);
        } else {
            hm_api_problem(answer, HM_NOTFOUND, "there is no %s", request->path);
        }
        return;
    }
    answer->again = false;
    answer->err = HM_OK;
    (void)hm_store_fail(node->store, HM_OK, "%s", ""); /* what was said is over */
    err = hm_call_init(&call, node, request, answer);
    if (err == HM_OK) {
        err = prepare(&call, route, &match);
    }
    if (err == HM_OK) {
        err = carry_out(&call, route);
    }
    if (err == HM_OK && !answer->again) {
        hm_api_cancel(node, answer); /* done: nothing is to be kept */
        err = hm_api_json_answer(&call);
    }
    if (err != HM_OK) {
        answer_problem(&call, err);
    }
    hm_call_deinit(&call);
}
