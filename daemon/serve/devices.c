/* Routes below devices/. */
#include "storage/devices.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/serve/api_json.h"
#include "daemon/serve/cells.h"
#include "daemon/serve/handlers.h"
#include "protocol/enroll_code.h"
#include "storage/closed.h"
#include "storage/log.h"
#include "storage/quarantine.h"

enum { INVITATION_HOURS = 48 };

static int scopes_json(struct hm_call *call, const struct hm_device *device,
                       json_t *out)
{
    int err = HM_OK;

    for (size_t i = 0; i < device->scope_count && err == HM_OK; i++) {
        err = hm_cells_append(
            out, json_string(hm_units_code_of(call->tree, device->scopes[i])));
    }
    return err;
}

static int device_json(struct hm_call *call, const struct hm_device *device,
                       json_t **out_json)
{
    json_t *scopes = json_array();
    uint64_t revoked_work = 0;
    uint64_t bytes = 0;
    uint64_t late = 0;
    int64_t seen = 0;
    char id[20];
    int err = hm_devices_get_seen(call->s, device->id, &seen);

    err = err == HM_NOTFOUND ? HM_OK : err;
    if (err == HM_OK) {
        err = hm_quarantine_sum_revoked(call->s, device->id, &revoked_work, &bytes);
    }
    if (err == HM_OK) {
        err = hm_log_count_late(call->s, device->id, &late);
    }
    if (err == HM_OK) {
        err = scopes_json(call, device, scopes);
    }
    (void)snprintf(id, sizeof id, "%016" PRIx64, device->id);
    if (err == HM_OK) {
        *out_json = json_pack(
            "{s:s, s:s, s:s, s:O, s:s, s:o, s:o, s:o, s:I, s:I}", "id", id, "name",
            device->name, "role", device->role == HM_DEVICE_HUB ? "hub" : "enumerator",
            "scopes", scopes, "state", device->active ? "active" : "revoked",
            "enrolled", hm_call_time_json(device->enrolled_utc_ms), "last_seen",
            hm_call_time_json(seen), "revoked",
            hm_call_time_json(device->revoked_utc_ms), "revoked_work",
            (json_int_t)revoked_work, "late", (json_int_t)late);
        err = *out_json == NULL ? HM_NOMEM : HM_OK;
    }
    json_decref(scopes);
    return err;
}

int hm_devices_handle_list(struct hm_call *call)
{
    struct hm_device *devices = NULL;
    size_t count = 0;
    int err = hm_call_tree(call);

    if (err == HM_OK) {
        err = hm_devices_list(call->s, &call->arena, &devices, &count);
    }
    call->reply = json_array();
    for (size_t i = 0; i < count && err == HM_OK; i++) {
        json_t *device = NULL;

        err = device_json(call, &devices[i], &device);
        if (err == HM_OK) {
            err = hm_cells_append(call->reply, device);
        }
    }
    return err;
}

/* -- Invitations -- */

static int read_scopes(struct hm_call *call, uint32_t **out_scopes, size_t *out_count)
{
    json_t *array = json_object_get(call->body, "scopes");
    const struct hm_unit *unit = NULL;
    json_t *text;
    size_t i;
    uint32_t *scopes;
    int err = HM_OK;

    if (!json_is_array(array)) {
        return hm_call_fail(call, HM_INVALID, "scopes is not an array of units");
    }
    if (json_array_size(array) > HM_DEVICE_SCOPES_MAX) {
        return hm_call_fail(call, HM_TOOBIG, "a device has at most %d scopes",
                            HM_DEVICE_SCOPES_MAX);
    }
    scopes = hm_arena_array(&call->arena, json_array_size(array), sizeof *scopes);
    if (scopes == NULL) {
        return HM_NOMEM;
    }
    json_array_foreach(array, i, text)
    {
        if (!json_is_string(text)) {
            return hm_call_fail(call, HM_INVALID, "scopes holds texts only");
        }
        err = hm_call_unit(call, json_string_value(text), &unit);
        if (err == HM_OK && !hm_call_may_see(call, unit->id)) {
            err = hm_call_fail(call, HM_DENIED, "%s does not work in %s",
                               call->asker.name, json_string_value(text));
        }
        if (err != HM_OK) {
            return err;
        }
        scopes[i] = unit->id;
    }
    *out_scopes = scopes;
    *out_count = json_array_size(array);
    return HM_OK;
}

static int read_invitation(struct hm_call *call, struct hm_invitation *out,
                           uint32_t **out_scopes)
{
    const char *role = NULL;
    const char *name = NULL;
    int err = read_scopes(call, out_scopes, &out->scope_count);

    if (err == HM_OK) {
        err = hm_api_json_text(call, call->body, "role", false, &role);
    }
    if (err == HM_OK) {
        err = hm_api_json_text(call, call->body, "name", false, &name);
    }
    if (err == HM_OK && role != NULL && strcmp(role, "hub") != 0 &&
        strcmp(role, "enumerator") != 0) {
        err = hm_call_fail(call, HM_INVALID, "role is enumerator or hub, not %s", role);
    }
    out->role =
        role != NULL && strcmp(role, "hub") == 0 ? HM_DEVICE_HUB : HM_DEVICE_ENUMERATOR;
    if (err == HM_OK && out->scope_count == 0 && out->role == HM_DEVICE_ENUMERATOR) {
        err = hm_call_fail(call, HM_INVALID, "an enumerator's device needs a scope");
    }
    out->name = name == NULL ? "" : name;
    out->scopes = *out_scopes;
    out->expires_utc_ms =
        hm_store_utc_ms(call->s) + (int64_t)INVITATION_HOURS * 3600 * 1000;
    return err;
}

static int answer_invitation(struct hm_call *call,
                             const struct hm_invitation *invitation,
                             const uint8_t *secret)
{
    const char *address = call->node->public_address;
    struct hm_buf code;
    const char *text;
    int err;

    hm_buf_init(&code, HM_ENROLL_CODE_BYTES_MAX);
    hm_enroll_code_write(address, secret, call->node->tls_key_hash, &code);
    text = hm_buf_str(&code);
    err = code.err;
    if (err == HM_OK) {
        call->reply = json_pack("{s:s, s:o, s:o}", "code", text, "url",
                                json_sprintf("https://%s", address), "expires",
                                hm_call_time_json(invitation->expires_utc_ms));
        err = call->reply == NULL ? HM_NOMEM : HM_OK;
    }
    call->status = 201;
    hm_buf_deinit(&code);
    return err;
}

int hm_devices_handle_invite(struct hm_call *call)
{
    struct hm_invitation invitation = {.name = ""};
    uint8_t secret[HM_INVITATION_BYTES];
    uint32_t *scopes = NULL;
    int err = hm_call_tree(call);

    if (err == HM_OK &&
        (call->node->public_address == NULL || call->node->tls_key_hash == NULL)) {
        return hm_call_fail(call, HM_DENIED,
                            "this node listens for no others; set listen in its "
                            "configuration first");
    }
    if (err == HM_OK) {
        err = read_invitation(call, &invitation, &scopes);
    }
    if (err == HM_OK) {
        err = hm_devices_invite(call->s, &invitation, secret);
    }
    return err == HM_OK ? answer_invitation(call, &invitation, secret) : err;
}

/* -- Revocation -- */

bool hm_devices_read_id(const char *text, uint64_t *out_id)
{
    char *end = NULL;

    if (strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16) {
        return false;
    }
    *out_id = strtoull(text, &end, 16);
    return true;
}

/* The device of the path. */
static int find(struct hm_call *call, struct hm_device *out)
{
    uint64_t id = 0;
    int err = hm_call_tree(call);

    if (err == HM_OK) {
        err = hm_devices_read_id(call->members[0], &id)
                  ? hm_devices_get(call->s, id, &call->arena, out)
                  : HM_NOTFOUND;
    }
    return err == HM_NOTFOUND
               ? hm_call_fail(call, err, "there is no device %s", call->members[0])
               : err;
}

/* The device as it is now. */
static int answer_device(struct hm_call *call, uint64_t id)
{
    struct hm_device device;
    int err = hm_devices_get(call->s, id, &call->arena, &device);

    return err == HM_OK ? device_json(call, &device, &call->reply) : err;
}

/* The beginning of a day in UTC; text is one of the calendar. */
static int64_t day_utc_ms(const char *text)
{
    int64_t days;
    int year = 0;
    int month = 0;
    int day = 0;

    (void)sscanf(text, "%4d-%2d-%2d", &year, &month, &day); /* has been checked */
    /* March is the first month: what a leap day adds comes last. */
    year -= month <= 2;
    days = 365LL * year + year / 4 - year / 100 + year / 400 +
           (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    return (days - 719468) * 24 * 60 * 60 * 1000;
}

int hm_devices_handle_revoke(struct hm_call *call)
{
    const char *reason = NULL;
    const char *since = NULL;
    struct hm_device device;
    int err = HM_OK;

    if (call->body != NULL) {
        err = hm_api_json_text(call, call->body, "reason", false, &reason);
        if (err == HM_OK) {
            err = hm_api_json_text(call, call->body, "since", false, &since);
        }
    }
    if (err == HM_OK && since != NULL && !hm_units_is_day(since)) {
        err =
            hm_call_fail(call, HM_INVALID, "since: %s is not a day, 2026-01-31", since);
    }
    if (err == HM_OK) {
        err = find(call, &device);
    }
    if (err == HM_OK && device.id == hm_store_device(call->s)) {
        return hm_call_fail(call, HM_INVALID, "a node cannot revoke itself");
    }
    if (err == HM_OK) {
        err = since == NULL
                  ? hm_devices_revoke(call->s, device.id)
                  : hm_devices_revoke_since(call->s, device.id, day_utc_ms(since));
    }
    return err == HM_OK ? answer_device(call, device.id) : err;
}

int hm_devices_handle_reassign(struct hm_call *call)
{
    uint32_t *scopes = NULL;
    struct hm_device device;
    size_t count = 0;
    int err = find(call, &device);

    if (err == HM_OK && device.id == hm_store_device(call->s)) {
        return hm_call_fail(call, HM_INVALID, "a node cannot reassign itself");
    }
    if (err == HM_OK) {
        err = read_scopes(call, &scopes, &count);
    }
    if (err == HM_OK && count == 0) {
        err = hm_call_fail(call, HM_INVALID, "a device needs a scope");
    }
    if (err == HM_OK) {
        err = hm_devices_reassign(call->s, device.id, scopes, count);
    }
    return err == HM_OK ? answer_device(call, device.id) : err;
}

/* -- Logs of which no more will come -- */

static int need_centre(struct hm_call *call)
{
    return call->role == HM_NODE_CENTRE
               ? HM_OK
               : hm_call_fail(call, HM_DENIED, "only the centre can say this");
}

static int answer_closed(struct hm_call *call, int err, struct hm_closed_count count)
{
    if (err == HM_OK) {
        call->reply = json_pack("{s:I, s:I}", "logs", (json_int_t)count.logs, "changes",
                                (json_int_t)count.changes);
        err = call->reply == NULL ? HM_NOMEM : HM_OK;
    }
    return err;
}

int hm_devices_handle_close(struct hm_call *call)
{
    struct hm_closed_count count = {0};
    struct hm_device device;
    int err = need_centre(call);

    if (err == HM_OK) {
        err = find(call, &device);
    }
    if (err == HM_OK && device.id == hm_store_device(call->s)) {
        return hm_call_fail(call, HM_INVALID,
                            "this is the centre itself: after a restore say restore "
                            "finished");
    }
    if (err == HM_OK) {
        err = hm_closed_device(call->s, device.id, &count);
    }
    return answer_closed(call, err, count);
}

int hm_devices_handle_restore_finished(struct hm_call *call)
{
    struct hm_closed_count count = {0};
    int64_t restores = 0;
    int err = need_centre(call);

    if (err == HM_OK) {
        err = hm_store_get_number(call->s, HM_META_RESTORES, &restores);
    }

    if (err == HM_NOTFOUND) {
        return hm_call_fail(call, HM_INVALID, "this node was never restored");
    }
    if (err == HM_OK) {
        err = hm_closed_restore(call->s, &count);
    }
    return answer_closed(call, err, count);
}
