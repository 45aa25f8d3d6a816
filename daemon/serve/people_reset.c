/* Routes below users/ for who forgot a passphrase: a code at the centre, its use at a
 * laptop without a link, and whether a passphrase is right. */
#include "storage/people_reset.h"

#include <inttypes.h>
#include <stdio.h>

#include <sodium.h>

#include "daemon/serve/api_json.h"
#include "daemon/serve/cells.h"
#include "daemon/serve/handlers.h"

enum { CODES_MAX = 64 };

/* -- At the centre -- */

static int find(struct hm_call *call, struct hm_user *out)
{
    int err = hm_call_tree(call);

    if (err == HM_OK) {
        err = hm_people_find_user(call->s, call->members[0], &call->arena, out);
    }
    if (err == HM_NOTFOUND) {
        return hm_call_fail(call, err, "there is no user %s", call->members[0]);
    }
    if (err == HM_OK && !out->active) {
        return hm_call_fail(call, HM_DENIED, "user %s is disabled", out->name);
    }
    return err;
}

/* Does the user work on what the device holds? */
static int works_on(struct hm_call *call, const struct hm_user *user,
                    const struct hm_device *device, bool *out_works)
{
    uint32_t *hamlets = NULL;
    size_t count = 0;
    int err =
        hm_devices_effective_scopes(device, call->tree, &call->arena, &hamlets, &count);

    *out_works = false;
    for (size_t i = 0; i < count && err == HM_OK; i++) {
        *out_works =
            *out_works || hm_units_is_under(call->tree, hamlets[i], user->unit);
    }
    return err;
}

static int add_code(struct hm_call *call, const struct hm_user *user,
                    const struct hm_device *device, json_t *codes)
{
    char code[HM_RESET_CODE_TEXT_MAX];
    int64_t expires_utc_ms = 0;
    char id[20];
    int err =
        hm_people_reset_code(call->s, user->id, device->id, code, &expires_utc_ms);

    (void)snprintf(id, sizeof id, "%016" PRIx64, device->id);
    if (err == HM_OK) {
        err = hm_cells_append(codes,
                              json_pack("{s:s, s:s, s:s, s:o}", "device", id, "name",
                                        device->name, "code", code, "expires",
                                        hm_call_time_json(expires_utc_ms)));
    }
    sodium_memzero(code, sizeof code);
    return err;
}

static int add_codes(struct hm_call *call, const struct hm_user *user, uint64_t only,
                     json_t *codes)
{
    struct hm_device *devices = NULL;
    size_t count = 0;
    int err = hm_devices_list(call->s, &call->arena, &devices, &count);

    for (size_t i = 0; i < count && err == HM_OK && json_array_size(codes) < CODES_MAX;
         i++) {
        bool works = devices[i].id == only;

        if (only == 0 && devices[i].role == HM_DEVICE_ENUMERATOR) {
            err = works_on(call, user, &devices[i], &works);
        }
        if (err == HM_OK && works && devices[i].active) {
            err = add_code(call, user, &devices[i], codes);
        }
    }
    return err;
}

int hm_people_handle_reset(struct hm_call *call)
{
    const char *device = NULL;
    struct hm_user user;
    struct hm_role role;
    json_t *codes = json_array();
    uint64_t only = 0;
    int err = find(call, &user);

    if (err == HM_OK) {
        err = hm_people_get_role(call->s, user.role, &call->arena, &role);
    }
    if (err == HM_OK && call->asker.user != HM_USER_OPERATOR &&
        role.rank > call->asker.rank) {
        err = hm_call_fail(call, HM_DENIED, "role %s ranks above that of %s", role.code,
                           call->asker.name);
    }
    if (err == HM_OK && call->body != NULL) {
        err = hm_api_json_text(call, call->body, "device", false, &device);
    }
    if (err == HM_OK && device != NULL && !hm_devices_read_id(device, &only)) {
        err = hm_call_fail(call, HM_NOTFOUND, "there is no device %s", device);
    }
    if (err == HM_OK) {
        err = add_codes(call, &user, only, codes);
    }
    if (err == HM_OK && json_array_size(codes) == 0) {
        err = hm_call_fail(call, HM_NOTFOUND,
                           device != NULL ? "there is no such active device"
                                          : "no active laptop holds a hamlet in which "
                                            "this user works; name one by --device");
    }
    if (err == HM_OK) {
        call->status = 201;
        call->reply = json_pack("{s:s, s:O}", "user", user.name, "codes", codes);
        err = call->reply == NULL ? HM_NOMEM : HM_OK;
    }
    json_decref(codes);
    return err;
}

/* -- At the laptop; each step is a transaction of its own, since a guess counts even
 * when it was wrong -- */

static int end(struct hm_call *call, int err)
{
    return hm_store_end(call->s, err);
}

static int begin_guess(struct hm_call *call, struct hm_user *out_user)
{
    int64_t wait_ms = 0;
    int err = hm_store_begin(call->s);

    if (err != HM_OK) {
        return err;
    }
    err = find(call, out_user);
    if (err == HM_OK) {
        err = hm_people_guess(call->s, out_user->id, &wait_ms);
    }
    err = end(call, err);
    if (err == HM_OK && wait_ms > 0) {
        err = hm_call_fail(call, HM_DENIED, "too many wrong guesses: wait %d minutes",
                           (int)((wait_ms + 59999) / 60000));
    }
    return err;
}

static int answer(struct hm_call *call, const struct hm_user *user)
{
    call->reply = json_pack("{s:s, s:s}", "name", user->name, "state", "active");
    return call->reply == NULL ? HM_NOMEM : HM_OK;
}

int hm_people_handle_redeem(struct hm_call *call)
{
    char hash[HM_PASSPHRASE_HASH_BYTES] = "";
    const char *passphrase = NULL;
    const char *code = NULL;
    struct hm_user user;
    int err = hm_api_json_text(call, call->body, "code", true, &code);

    if (err == HM_OK) {
        err = hm_api_json_text(call, call->body, "passphrase", true, &passphrase);
    }
    if (err == HM_OK) {
        err = begin_guess(call, &user);
    }
    if (err == HM_OK) {
        err = hm_people_hash_passphrase(hm_bytes_str(passphrase), hash);
    }
    if (err == HM_OK) {
        err = hm_store_begin(call->s);
        if (err == HM_OK) {
            err = hm_people_redeem_reset(call->s, user.id, code, hash);
            if (err == HM_OK) {
                err = hm_people_guessed(call->s, user.id);
            }
            err = end(call, err);
        }
    }
    sodium_memzero(hash, sizeof hash);
    return err == HM_OK ? answer(call, &user) : err;
}

int hm_people_handle_check(struct hm_call *call)
{
    char hash[HM_PASSPHRASE_HASH_BYTES] = "";
    const char *passphrase = NULL;
    struct hm_user user;
    int err = hm_api_json_text(call, call->body, "passphrase", true, &passphrase);

    if (err == HM_OK) {
        err = begin_guess(call, &user);
    }
    if (err == HM_OK) {
        err = hm_store_begin(call->s);
        if (err == HM_OK) {
            err = hm_people_get_passphrase(call->s, user.id, hash);
            if (err == HM_NOTFOUND) {
                err = hm_call_fail(call, HM_DENIED,
                                   "user %s can't sign in on this node", user.name);
            }
            if (err == HM_OK) {
                err = hm_people_check_passphrase(hash, hm_bytes_str(passphrase));
                err = err == HM_DENIED
                          ? hm_call_fail(call, err, "this is not the passphrase of %s",
                                         user.name)
                          : err;
            }
            if (err == HM_OK) {
                err = hm_people_guessed(call->s, user.id);
            }
            err = end(call, err);
        }
    }
    sodium_memzero(hash, sizeof hash);
    return err == HM_OK ? answer(call, &user) : err;
}
