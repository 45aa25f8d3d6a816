#include "daemon/serve/call.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>

#include "protocol/text.h"
#include "storage/authorise.h"
#include "storage/households.h"

/* What sits at a laptop's keyboard may do beside an enumerator's work. */
static const uint64_t laptop_rights = HM_RIGHT_HOUSEHOLD_READ |
                                      HM_RIGHT_CONFLICT_RESOLVE | HM_RIGHT_IMPORT |
                                      HM_RIGHT_EXPORT | HM_RIGHT_BACKUP;

int hm_call_init(struct hm_call *call, struct hm_api_node *node,
                 const struct hm_api_request *request, struct hm_api_answer *answer)
{
    char now[HM_CALL_TIME_MAX];

    memset(call, 0, sizeof *call);
    call->node = node;
    call->request = request;
    call->answer = answer;
    call->s = node->store;
    call->status = 200;
    hm_arena_init(&call->arena, HM_CALL_ARENA_BYTES_MAX);
    hm_call_time_text(hm_store_utc_ms(call->s), now);
    memcpy(call->today, now, sizeof call->today - 1);
    return HM_OK;
}

void hm_call_deinit(struct hm_call *call)
{
    json_decref(call->body);
    json_decref(call->reply);
    json_decref(call->problem_errors);
    hm_spool_deinit(call->out);
    hm_arena_deinit(&call->arena);
}

/* -- What goes wrong -- */

static void say(struct hm_call *call, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static void say(struct hm_call *call, const char *format, va_list args)
{
    (void)vsnprintf(call->line, sizeof call->line, format, args); /* cut */
    hm_text_drop_half_letter(call->line);
    for (char *c = call->line; *c != 0; c++) {
        *c = *c == '\n' || *c == '\r' ? ' ' : *c;
    }
}

int hm_call_fail(struct hm_call *call, int err, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(call, format, args);
    va_end(args);
    return err;
}

int hm_call_default(struct hm_call *call, int err, const char *format, ...)
{
    va_list args;

    if (call->line[0] == 0) {
        va_start(args, format);
        say(call, format, args);
        va_end(args);
    }
    return err;
}

/* -- Who asks -- */

static int identify_operator(struct hm_call *call)
{
    struct hm_call_asker *asker = &call->asker;
    bool laptop = call->role == HM_NODE_LAPTOP;
    struct hm_role role;
    char *name = hm_arena_alloc(&call->arena, strlen(call->node->name) + 16);
    int err = hm_authorise_role(call->s, HM_USER_OPERATOR,
                                laptop ? HM_DEVICE_ENUMERATOR : HM_DEVICE_HUB,
                                &call->arena, &role);

    if (name == NULL) {
        return HM_NOMEM;
    }
    (void)sprintf(name, "operator@%s", call->node->name);
    asker->user = HM_USER_OPERATOR;
    asker->name = name;
    asker->role = "";
    asker->rights = laptop ? laptop_rights : UINT64_MAX;
    if (err == HM_OK) {
        asker->role = role.code;
        asker->rank = role.rank;
        /* A hub's operator is its administrator, whatever the programme says. */
        asker->rights |= role.rights;
    }
    return err == HM_NOTFOUND ? HM_OK : err;
}

int hm_call_identify(struct hm_call *call)
{
    struct hm_call_asker *asker = &call->asker;
    const char *name = call->request->user;
    struct hm_user user;
    struct hm_role role;
    int err = hm_store_role(call->s, &call->role);

    if (err != HM_OK || name == NULL) {
        return err != HM_OK ? err : identify_operator(call);
    }
    err = hm_people_find_user(call->s, name, &call->arena, &user);
    if (err == HM_OK && !user.active) {
        return hm_call_fail(call, HM_DENIED, "user %s is disabled", name);
    }
    if (err == HM_OK) {
        err = hm_people_get_role(call->s, user.role, &call->arena, &role);
    }
    if (err == HM_NOTFOUND) {
        return hm_call_fail(call, HM_DENIED, "user %s is not known on this node", name);
    }
    if (err == HM_OK) {
        *asker = (struct hm_call_asker){user.id,   user.name,   role.code,
                                        role.rank, role.rights, user.unit};
    }
    return err;
}

int hm_call_require(struct hm_call *call, enum hm_right right)
{
    if ((call->asker.rights & (uint64_t)right) != 0) {
        return HM_OK;
    }
    return hm_call_fail(call, HM_DENIED, "%s has not the right %s", call->asker.name,
                        hm_right_text(right));
}

/* -- What was asked -- */

const char *hm_call_parameter(const struct hm_call *call, const char *name)
{
    for (size_t i = 0; i < call->parameter_count; i++) {
        if (strcmp(call->parameters[i].name, name) == 0) {
            return call->parameters[i].value;
        }
    }
    return NULL;
}

int hm_call_parameter_needed(struct hm_call *call, const char *name,
                             const char **out_value)
{
    const char *value = hm_call_parameter(call, name);

    if (value == NULL || value[0] == 0) {
        return hm_call_fail(call, HM_INVALID, "the query parameter %s is missing",
                            name);
    }
    *out_value = value;
    return HM_OK;
}

/* -- What is loaded -- */

int hm_call_tree(struct hm_call *call)
{
    struct hm_units_tree *tree;
    int err;

    if (call->tree != NULL) {
        return HM_OK;
    }
    tree = hm_arena_alloc(&call->arena, sizeof *tree);
    if (tree == NULL) {
        return HM_NOMEM;
    }
    err = hm_units_load(call->s, &call->arena, tree);
    if (err == HM_OK) {
        call->tree = tree;
    }
    return err;
}

int hm_call_forms(struct hm_call *call)
{
    struct hm_form_item *items = NULL;
    size_t count = 0;
    int err;

    if (call->forms_loaded) {
        return HM_OK;
    }
    err = hm_forms_list(call->s, &call->arena, &items, &count);
    if (err == HM_OK) {
        err = hm_rounds_list(call->s, &call->arena, &call->rounds, &call->round_count);
    }
    if (err != HM_OK) {
        return err;
    }
    call->forms = hm_arena_array(&call->arena, count, sizeof call->forms[0]);
    if (call->forms == NULL) {
        return HM_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        call->forms[i].item = items[i];
        err = hm_forms_load_table(call->node->forms, items[i].number,
                                  &call->forms[i].table);
        if (err == HM_NOTFOUND || err == HM_VERSION) {
            call->forms[i].table = NULL; /* its values are shown by numbers */
        } else if (err != HM_OK) {
            return err;
        }
    }
    call->form_count = count;
    call->forms_loaded = true;
    return HM_OK;
}

int hm_call_scopes(struct hm_call *call)
{
    struct hm_device own;
    int err;

    if (call->scopes_loaded) {
        return HM_OK;
    }
    err = hm_call_tree(call);
    if (err == HM_OK) {
        err = hm_devices_get(call->s, hm_store_device(call->s), &call->arena, &own);
    }
    if (err == HM_OK) {
        err = hm_devices_effective_scopes(&own, call->tree, &call->arena, &call->scopes,
                                          &call->scope_count);
    }
    if (err == HM_NOTFOUND) {
        err = HM_OK; /* its own device has not come: nothing is held yet */
        call->scope_count = 0;
    }
    call->scopes_loaded = err == HM_OK;
    return err;
}

const struct hm_call_form *hm_call_form(const struct hm_call *call, uint32_t number)
{
    for (size_t i = 0; i < call->form_count; i++) {
        if (call->forms[i].item.number == number) {
            return &call->forms[i];
        }
    }
    return NULL;
}

const struct hm_call_form *hm_call_form_named(const struct hm_call *call,
                                              const char *form_id)
{
    for (size_t i = 0; i < call->form_count; i++) {
        if (strcmp(call->forms[i].item.form_id, form_id) == 0) {
            return &call->forms[i];
        }
    }
    return NULL;
}

const struct hm_round *hm_call_round(const struct hm_call *call, uint32_t id)
{
    for (size_t i = 0; i < call->round_count; i++) {
        if (call->rounds[i].id == id) {
            return &call->rounds[i];
        }
    }
    return NULL;
}

const struct hm_round *hm_call_round_named(const struct hm_call *call, const char *code)
{
    for (size_t i = 0; i < call->round_count; i++) {
        if (strcmp(call->rounds[i].code, code) == 0) {
            return &call->rounds[i];
        }
    }
    return NULL;
}

int hm_call_form_needed(struct hm_call *call, const char *form_id,
                        const struct hm_call_form **out_form)
{
    const struct hm_call_form *form;
    int err = hm_call_forms(call);

    if (err != HM_OK) {
        return err;
    }
    form = hm_call_form_named(call, form_id);
    if (form == NULL) {
        return hm_call_fail(call, HM_NOTFOUND, "there is no form %s", form_id);
    }
    if (form->table == NULL) {
        return hm_call_fail(call, HM_NOTFOUND,
                            "form %s has not come to this node yet; sync first",
                            form_id);
    }
    *out_form = form;
    return HM_OK;
}

enum hm_field_policy hm_call_policy_of(void *arg, const struct hm_row_key *row,
                                       uint32_t field)
{
    const struct hm_call_form *form = hm_call_form(arg, row->form);
    const struct hm_field_entry *entry;

    if (form == NULL || form->table == NULL || field < HM_FIELD_FIRST) {
        return HM_FIELD_POLICY_ASK;
    }
    entry = hm_field_table_by_number(form->table, field);
    return entry == NULL || entry->kind == HM_FIELD_KIND_REPEAT ? HM_FIELD_POLICY_ASK
                                                                : entry->policy;
}

/* -- Units -- */

int hm_call_unit(struct hm_call *call, const char *text,
                 const struct hm_unit **out_unit)
{
    int err = hm_call_tree(call);

    if (err == HM_OK) {
        err = hm_units_find(call->tree, text, call->today, out_unit);
    }
    if (err == HM_NOTFOUND) {
        (void)hm_call_fail(call, err, "there is no unit %s", text);
    } else if (err == HM_INVALID) {
        (void)hm_call_fail(call, err,
                           "code %s had several owners; name one as %s@YYYY-MM-DD",
                           text, text);
    }
    return err;
}

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

bool hm_call_holds(const struct hm_call *call, uint32_t scope)
{
    return call->scope_count > 0 && bsearch(&scope, call->scopes, call->scope_count,
                                            sizeof scope, compare_u32) != NULL;
}

bool hm_call_may_see(const struct hm_call *call, uint32_t scope)
{
    return call->asker.user == HM_USER_OPERATOR ||
           hm_units_is_under(call->tree, scope, call->asker.unit);
}

int hm_call_selection(struct hm_call *call, const char *text, uint32_t **out_scopes,
                      size_t *out_count)
{
    const struct hm_unit *unit = NULL;
    uint32_t *scopes = NULL;
    size_t count = 0;
    size_t kept = 0;
    int err = hm_call_tree(call);

    if (err == HM_OK && text != NULL) {
        err = hm_call_unit(call, text, &unit);
    }
    if (err == HM_OK) {
        err = hm_households_scopes(call->s, &call->arena, &scopes, &count);
    }
    if (err != HM_OK) {
        return err;
    }
    for (size_t i = 0; i < count; i++) {
        if (hm_call_may_see(call, scopes[i]) &&
            (unit == NULL || hm_units_is_under(call->tree, scopes[i], unit->id))) {
            scopes[kept++] = scopes[i];
        }
    }
    if (unit != NULL && kept == 0 && !hm_call_may_see(call, unit->id)) {
        return hm_call_fail(call, HM_DENIED, "%s does not work in %s", call->asker.name,
                            text);
    }
    *out_scopes = scopes;
    *out_count = kept;
    return HM_OK;
}

/* -- Saves -- */

static int refuse_for_space(struct hm_call *call)
{
    struct statvfs fs;
    uint64_t free_mb = 0;

    if (statvfs(call->node->dir, &fs) == 0) {
        free_mb = (uint64_t)fs.f_bavail * fs.f_frsize / (1024 * 1024);
    }
    return hm_call_fail(call, HM_NOSPACE,
                        "the disk is nearly full: %" PRIu64
                        " MB free; free some space, reading and syncing go on",
                        free_mb);
}

int hm_call_may_save(struct hm_call *call)
{
    if (call->role == HM_NODE_NEW) {
        call->problem_status = 409;
        return hm_call_fail(call, HM_INVALID,
                            "this node has no programme yet; enroll it at a hub first");
    }
    if (call->node->saves_refused) {
        return refuse_for_space(call);
    }
    return HM_OK;
}

int hm_call_may_write(struct hm_call *call, const struct hm_call_form *form)
{
    int err = hm_call_require(call, HM_RIGHT_HOUSEHOLD_WRITE);

    for (size_t i = 0; i < form->item.write_count && err == HM_OK; i++) {
        if (strcmp(form->item.write[i], call->asker.role) == 0) {
            return HM_OK;
        }
    }
    if (err == HM_OK && form->item.write_count > 0) {
        err = hm_call_fail(call, HM_DENIED, "%s may not write form %s",
                           call->asker.name, form->item.form_id);
    }
    return err;
}
