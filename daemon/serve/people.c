/* Routes below users/. */
#include "storage/people.h"

#include <sodium.h>

#include "daemon/serve/api_json.h"
#include "daemon/serve/cells.h"
#include "daemon/serve/handlers.h"

static int user_json(struct hm_call *call, const struct hm_user *user,
                     json_t **out_json)
{
    struct hm_role role = {.code = ""};
    int err = hm_people_get_role(call->s, user->role, &call->arena, &role);

    err = err == HM_NOTFOUND ? HM_OK : err;
    if (err == HM_OK) {
        *out_json =
            json_pack("{s:s, s:o, s:s, s:s, s:s}", "name", user->name, "full_name",
                      hm_cells_text_or_null(user->full_name), "role", role.code, "unit",
                      hm_units_code_of(call->tree, user->unit), "state",
                      user->active ? "active" : "disabled");
        err = *out_json == NULL ? HM_NOMEM : HM_OK;
    }
    return err;
}

int hm_people_handle_list(struct hm_call *call)
{
    struct hm_user *users = NULL;
    size_t count = 0;
    int err = hm_call_tree(call);

    if (err == HM_OK) {
        err = hm_people_list_users(call->s, &call->arena, &users, &count);
    }
    call->reply = json_array();
    for (size_t i = 0; i < count && err == HM_OK; i++) {
        json_t *user = NULL;

        err = user_json(call, &users[i], &user);
        if (err == HM_OK) {
            err = hm_cells_append(call->reply, user);
        }
    }
    return err;
}

/* The hash of the passphrase in the body. */
static int read_passphrase(struct hm_call *call,
                           char out_hash[HM_PASSPHRASE_HASH_BYTES])
{
    const char *passphrase = NULL;
    int err = hm_api_json_text(call, call->body, "passphrase", true, &passphrase);

    if (err != HM_OK) {
        return err;
    }
    err = hm_people_hash_passphrase(hm_bytes_str(passphrase), out_hash);
    if (err == HM_TOOBIG) {
        (void)hm_call_fail(call, err, "a passphrase has at most %d bytes",
                           HM_PASSPHRASE_BYTES_MAX);
    }
    return err;
}

/* Nobody hands out more than they have. */
static int check_role(struct hm_call *call, const struct hm_role *role)
{
    if (call->asker.user != HM_USER_OPERATOR && role->rank > call->asker.rank) {
        return hm_call_fail(call, HM_DENIED, "role %s ranks above that of %s",
                            role->code, call->asker.name);
    }
    return HM_OK;
}

static int read_user(struct hm_call *call, struct hm_user *out)
{
    const struct hm_unit *unit = NULL;
    const char *full_name = NULL;
    const char *role_code = NULL;
    const char *unit_code = NULL;
    struct hm_role role;
    int err = hm_api_json_text(call, call->body, "name", true, &out->name);

    if (err == HM_OK) {
        err = hm_api_json_text(call, call->body, "role", true, &role_code);
    }
    if (err == HM_OK) {
        err = hm_api_json_text(call, call->body, "unit", true, &unit_code);
    }
    if (err == HM_OK) {
        err = hm_api_json_text(call, call->body, "full_name", false, &full_name);
    }
    if (err == HM_OK) {
        err = hm_people_find_role(call->s, role_code, &call->arena, &role);
        if (err == HM_NOTFOUND) {
            return hm_call_fail(call, HM_INVALID, "there is no role %s", role_code);
        }
    }
    if (err == HM_OK) {
        err = check_role(call, &role);
    }
    if (err == HM_OK) {
        err = hm_call_unit(call, unit_code, &unit);
        err = err == HM_NOTFOUND ? HM_INVALID : err;
    }
    if (err == HM_OK && !hm_call_may_see(call, unit->id)) {
        err = hm_call_fail(call, HM_DENIED, "%s does not work in %s", call->asker.name,
                           unit_code);
    }
    if (err == HM_OK) {
        out->full_name = full_name == NULL ? "" : full_name;
        out->role = role.id;
        out->unit = unit->id;
        out->active = true;
    }
    return err;
}

int hm_people_handle_add(struct hm_call *call)
{
    char hash[HM_PASSPHRASE_HASH_BYTES] = "";
    struct hm_user user = {.id = 0};
    uint32_t id = 0;
    int err = hm_call_tree(call);

    if (err == HM_OK) {
        err = read_user(call, &user);
    }
    if (err == HM_OK) {
        err = read_passphrase(call, hash);
    }
    if (err == HM_OK) {
        err = hm_people_add_user(call->s, &user, &id);
    }
    if (err == HM_EXISTS) {
        (void)hm_call_fail(call, err, "there is a user %s already", user.name);
    }
    if (err == HM_OK) {
        err = hm_people_set_passphrase(call->s, id, hash);
    }
    sodium_memzero(hash, sizeof hash);
    call->status = 201;
    return err == HM_OK ? user_json(call, &user, &call->reply) : err;
}

static int find(struct hm_call *call, struct hm_user *out)
{
    int err = hm_call_tree(call);

    if (err == HM_OK) {
        err = hm_people_find_user(call->s, call->members[0], &call->arena, out);
    }
    if (err == HM_NOTFOUND) {
        return hm_call_fail(call, err, "there is no user %s", call->members[0]);
    }
    return err;
}

int hm_people_handle_passphrase(struct hm_call *call)
{
    char hash[HM_PASSPHRASE_HASH_BYTES] = "";
    struct hm_user user;
    struct hm_role role;
    int err = find(call, &user);

    if (err == HM_OK && user.id != call->asker.user) {
        err = hm_call_require(call, HM_RIGHT_USER_ADMIN);
        if (err == HM_OK) {
            err = hm_people_get_role(call->s, user.role, &call->arena, &role);
        }
        if (err == HM_OK) {
            err = check_role(call, &role);
        }
    }
    if (err == HM_OK) {
        err = read_passphrase(call, hash);
    }
    if (err == HM_OK) {
        err = hm_people_set_passphrase(call->s, user.id, hash);
    }
    sodium_memzero(hash, sizeof hash);
    return err == HM_OK ? user_json(call, &user, &call->reply) : err;
}

/* A user of the path whom the asker may administer. */
static int find_administered(struct hm_call *call, struct hm_user *out)
{
    struct hm_role role;
    int err = find(call, out);

    if (err == HM_OK) {
        err = hm_people_get_role(call->s, out->role, &call->arena, &role);
    }
    return err == HM_OK ? check_role(call, &role) : err;
}

static int answer_user(struct hm_call *call, uint32_t id)
{
    struct hm_user user;
    int err = hm_people_get_user(call->s, id, &call->arena, &user);

    return err == HM_OK ? user_json(call, &user, &call->reply) : err;
}

/* Somebody must be left who can let others in again. */
static int check_not_last(struct hm_call *call, const struct hm_user *user)
{
    struct hm_role role;
    bool other = false;
    int err = hm_people_get_role(call->s, user->role, &call->arena, &role);

    if (err != HM_OK || !user->active ||
        !hm_people_has_right(&role, HM_RIGHT_USER_ADMIN)) {
        return err;
    }
    err = hm_people_has_other(call->s, user->id, HM_RIGHT_USER_ADMIN, &other);
    if (err == HM_OK && !other) {
        err = hm_call_fail(call, HM_INVALID,
                           "%s is the last one who may administer users: add another "
                           "first",
                           user->name);
    }
    return err;
}

int hm_people_handle_disable(struct hm_call *call)
{
    struct hm_user user;
    int err = find_administered(call, &user);

    if (err == HM_OK) {
        err = check_not_last(call, &user);
    }
    if (err == HM_OK) {
        err = hm_people_disable_user(call->s, user.id);
    }
    return err == HM_OK ? answer_user(call, user.id) : err;
}

int hm_people_handle_enable(struct hm_call *call)
{
    struct hm_user user;
    int err = find_administered(call, &user);

    if (err == HM_OK) {
        user.active = true;
        err = hm_people_change_user(call->s, &user);
    }
    return err == HM_OK ? answer_user(call, user.id) : err;
}

/* What the body says of a user; the rest stays. */
static int read_changes(struct hm_call *call, struct hm_user *user, bool *out_role)
{
    const struct hm_unit *unit = NULL;
    const char *full_name = NULL;
    const char *role_code = NULL;
    const char *unit_code = NULL;
    struct hm_role role;
    int err = hm_api_json_text(call, call->body, "role", false, &role_code);

    if (err == HM_OK) {
        err = hm_api_json_text(call, call->body, "unit", false, &unit_code);
    }
    if (err == HM_OK) {
        err = hm_api_json_text(call, call->body, "full_name", false, &full_name);
    }
    if (err == HM_OK && role_code != NULL) {
        err = hm_people_find_role(call->s, role_code, &call->arena, &role);
        if (err == HM_NOTFOUND) {
            return hm_call_fail(call, HM_INVALID, "there is no role %s", role_code);
        }
        if (err == HM_OK) {
            err = check_role(call, &role);
        }
        *out_role = err == HM_OK && role.id != user->role;
        user->role = err == HM_OK ? role.id : user->role;
    }
    if (err == HM_OK && unit_code != NULL) {
        err = hm_call_unit(call, unit_code, &unit);
        err = err == HM_NOTFOUND ? HM_INVALID : err;
        if (err == HM_OK && !hm_call_may_see(call, unit->id)) {
            err = hm_call_fail(call, HM_DENIED, "%s does not work in %s",
                               call->asker.name, unit_code);
        }
        user->unit = err == HM_OK ? unit->id : user->unit;
    }
    user->full_name = full_name == NULL ? user->full_name : full_name;
    return err;
}

int hm_people_handle_change(struct hm_call *call)
{
    struct hm_user user;
    struct hm_user before;
    bool role_changes = false;
    int err = find_administered(call, &user);

    before = user;
    if (err == HM_OK) {
        err = read_changes(call, &user, &role_changes);
    }
    if (err == HM_OK && role_changes) {
        err = check_not_last(call, &before);
    }
    if (err == HM_OK) {
        err = hm_people_change_user(call->s, &user);
    }
    return err == HM_OK ? answer_user(call, user.id) : err;
}
