/* Tokens and invitations: what a device shows, and how it came to have it. */
#include <sodium.h>

#include "storage/body.h"
#include "storage/devices_parts.h"
#include "storage/grants.h"

/* Keys of an invitation's body. Kept on disk. */
enum { KEY_NAME = 1, KEY_ROLE = 2, KEY_SCOPES = 3, KEY_ISSUED = 4 };

enum { SMALL_ARENA = 4 * HM_ITEM_BODY_BYTES_MAX };

/* A statement with the hash of a secret as $1: the secrets themselves are not kept, and
 * looking up a hash takes a time that tells nothing of them. */
static int stmt_for(struct hm_store *s, const char *sql, struct hm_bytes secret,
                    struct hm_stmt **out_stmt)
{
    uint8_t hash[HM_CONTENT_HASH_BYTES];
    int err = hm_db_stmt(hm_store_db(s), sql, out_stmt);

    if (err == HM_OK) {
        hm_hash_content(secret, hash);
        hm_stmt_bind_bytes(*out_stmt, 1, hm_bytes_of(hash, sizeof hash));
    }
    return err;
}

int hm_devices_set_token(struct hm_store *s, uint64_t device, struct hm_bytes token)
{
    struct hm_stmt *stmt;
    int err = stmt_for(s,
                       "INSERT INTO token (hash, device, seen_utc_ms) "
                       "VALUES ($1, $2, 0) "
                       "ON CONFLICT (device) DO UPDATE SET hash = excluded.hash",
                       token, &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 2, device);
    return hm_stmt_run(stmt);
}

int hm_devices_by_token(struct hm_store *s, struct hm_bytes token,
                        struct hm_arena *arena, struct hm_device *out)
{
    struct hm_device device;
    struct hm_stmt *stmt;
    uint64_t id = 0;
    bool row = false;
    int err = stmt_for(s, "SELECT device FROM token WHERE hash = $1", token, &stmt);

    if (err != HM_OK) {
        return err;
    }
    err = hm_stmt_step(stmt, &row);
    if (err == HM_OK && row) {
        id = hm_stmt_u64(stmt, 0);
    }
    hm_stmt_reset(stmt);
    if (err == HM_OK) {
        err = row ? hm_devices_get(s, id, arena, &device) : HM_NOTFOUND;
    }
    if (err == HM_NOTFOUND) {
        return hm_store_fail(s, HM_DENIED, "this token is not known here");
    }
    if (err == HM_OK) {
        *out = device;
    }
    return err;
}

int hm_devices_set_seen(struct hm_store *s, uint64_t device, int64_t utc_ms)
{
    struct hm_stmt *stmt;
    int err = hm_db_stmt(hm_store_db(s),
                         "UPDATE token SET seen_utc_ms = $2 WHERE device = $1", &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, device);
    hm_stmt_bind_int(stmt, 2, utc_ms);
    return hm_stmt_run(stmt);
}

int hm_devices_get_seen(struct hm_store *s, uint64_t device, int64_t *out_utc_ms)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err = hm_db_stmt(hm_store_db(s),
                         "SELECT seen_utc_ms FROM token WHERE device = $1", &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, device);
    err = hm_stmt_step(stmt, &row);
    if (err == HM_OK) {
        *out_utc_ms = row ? hm_stmt_int(stmt, 0) : 0;
    }
    hm_stmt_reset(stmt);
    return err;
}

/* -- Invitations ---------------------------------------------------------------------
 */

static int check_invitation(struct hm_store *s, const struct hm_invitation *invitation)
{
    enum hm_node_role role;
    int err = hm_store_role(s, &role);

    if (err == HM_OK && role != HM_NODE_CENTRE && role != HM_NODE_HUB) {
        err =
            hm_store_fail(s, HM_DENIED, "only the centre or a hub can invite a device");
    }
    if (err == HM_OK && invitation->role != HM_DEVICE_ENUMERATOR &&
        invitation->role != HM_DEVICE_HUB) {
        err = hm_store_fail(s, HM_INVALID, "a device is an enumerator's or a hub");
    }
    if (err == HM_OK && invitation->role == HM_DEVICE_ENUMERATOR &&
        invitation->scope_count == 0) {
        err = hm_store_fail(s, HM_INVALID, "an enumerator's device needs a scope");
    }
    if (err == HM_OK && strlen(invitation->name) > HM_DEVICE_NAME_BYTES_MAX) {
        err = hm_store_fail(s, HM_TOOBIG, "a device's name is too long");
    }
    if (err == HM_OK && role == HM_NODE_HUB) {
        err = hm_grants_may(s, invitation->role, invitation->scopes,
                            invitation->scope_count);
    }
    return err;
}

static int insert_invitation(struct hm_store *s, struct hm_bytes secret,
                             const struct hm_invitation *invitation)
{
    struct hm_stmt *stmt;
    struct hm_buf buf;
    int err;

    hm_buf_init(&buf, HM_ITEM_BODY_BYTES_MAX);
    hm_pack_map(&buf, 4);
    hm_body_put_text(&buf, KEY_NAME, invitation->name);
    hm_body_put_uint(&buf, KEY_ROLE, (uint64_t)invitation->role);
    hm_devices_write_scopes(&buf, KEY_SCOPES, invitation->scopes,
                            invitation->scope_count);
    hm_body_put_int(&buf, KEY_ISSUED, hm_store_utc_ms(s));
    err = buf.err;
    if (err == HM_OK) {
        err = stmt_for(s,
                       "INSERT INTO invitation (hash, body, expires_utc_ms, device) "
                       "VALUES ($1, $2, $3, 0)",
                       secret, &stmt);
    }
    if (err == HM_OK) {
        hm_stmt_bind_bytes(stmt, 2, hm_buf_bytes(&buf));
        hm_stmt_bind_int(stmt, 3, invitation->expires_utc_ms);
        err = hm_stmt_run(stmt);
    }
    hm_buf_deinit(&buf);
    return err;
}

int hm_devices_invite(struct hm_store *s, const struct hm_invitation *invitation,
                      uint8_t out_secret[HM_INVITATION_BYTES])
{
    struct hm_invitation sorted = *invitation;
    uint8_t secret[HM_INVITATION_BYTES];
    struct hm_arena arena;
    uint32_t *scopes = NULL;
    int err = check_invitation(s, invitation);

    if (err != HM_OK) {
        return err;
    }
    hm_arena_init(&arena, SMALL_ARENA);
    err = hm_devices_sort_scopes(s, invitation->scopes, invitation->scope_count, &arena,
                                 &scopes, &sorted.scope_count);
    sorted.scopes = scopes;
    hm_store_random_bytes(s, secret, sizeof secret);
    if (err == HM_OK) {
        err = insert_invitation(s, hm_bytes_of(secret, sizeof secret), &sorted);
    }
    hm_arena_deinit(&arena);
    if (err == HM_OK) {
        memcpy(out_secret, secret, sizeof secret);
    }
    sodium_memzero(secret, sizeof secret);
    return err;
}

/* An invitation, and the device that has redeemed it (0: none yet). */
struct promise {
    struct hm_invitation invitation;
    uint64_t device;
};

static int read_promise(struct hm_stmt *stmt, struct hm_arena *arena,
                        struct promise *out)
{
    struct hm_reader r = {.left = hm_stmt_bytes(stmt, 0)};
    struct promise promise = {
        .invitation = {.name = "", .expires_utc_ms = hm_stmt_int(stmt, 1)},
        .device = hm_stmt_u64(stmt, 2)};
    struct hm_invitation *invitation = &promise.invitation;
    size_t keys = hm_unpack_map(&r, HM_BODY_KEYS_MAX);
    int err;

    for (; keys > 0 && r.err == HM_OK; keys--) {
        switch (hm_unpack_uint(&r)) {
        case KEY_NAME:
            invitation->name = hm_body_text(&r, arena);
            break;
        case KEY_ROLE:
            invitation->role =
                (enum hm_device_role)hm_unpack_uint_max(&r, HM_DEVICE_HUB);
            break;
        case KEY_SCOPES:
            invitation->scopes =
                hm_devices_read_scopes(&r, arena, &invitation->scope_count);
            break;
        case KEY_ISSUED:
            invitation->issued_utc_ms = hm_unpack_int(&r);
            break;
        default:
            (void)hm_unpack_raw(&r); /* of a newer program; its error sticks in r */
            break;
        }
    }
    err = hm_body_end(&r);
    if (err == HM_OK) {
        *out = promise;
    }
    return err;
}

/* The promise of a secret, if it still holds. */
static int get_promise(struct hm_store *s, struct hm_bytes secret,
                       struct hm_arena *arena, struct promise *out)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err = stmt_for(s,
                       "SELECT body, expires_utc_ms, device FROM invitation "
                       "WHERE hash = $1",
                       secret, &stmt);

    if (err != HM_OK) {
        return err;
    }
    err = hm_stmt_step(stmt, &row);
    if (err == HM_OK && row) {
        err = read_promise(stmt, arena, out);
    }
    hm_stmt_reset(stmt);
    if (err == HM_OK && !row) {
        err = hm_store_fail(s, HM_DENIED, "this code is not known here");
    }
    if (err == HM_OK && hm_store_utc_ms(s) >= out->invitation.expires_utc_ms) {
        err = hm_store_fail(s, HM_DENIED, "the time of this code is over");
    }
    return err;
}

static int mark_used(struct hm_store *s, struct hm_bytes secret, uint64_t device)
{
    struct hm_stmt *stmt;
    int err =
        stmt_for(s, "UPDATE invitation SET device = $2 WHERE hash = $1", secret, &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 2, device);
    return hm_stmt_run(stmt);
}

static bool has_scopes(const struct hm_device *device, const uint32_t *scopes,
                       size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bool found = hm_devices_holds_all(device);

        for (size_t k = 0; k < device->scope_count && !found; k++) {
            found = device->scopes[k] == scopes[i];
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

/* At a hub: a device that is known stays as it is, a new one is let in. */
static int let_in(struct hm_store *s, const struct promise *promise,
                  const struct hm_device *planned, struct hm_arena *arena,
                  struct hm_device *out)
{
    int err = hm_devices_get(s, planned->id, arena, out);

    if (err == HM_OK &&
        !has_scopes(out, promise->invitation.scopes, promise->invitation.scope_count)) {
        return hm_store_fail(s, HM_DENIED,
                             "this device is enrolled already, for other hamlets: only "
                             "the centre can change that");
    }
    if (err == HM_NOTFOUND) {
        *out = *planned;
        err = hm_grants_may(s, planned->role, planned->scopes, planned->scope_count);
        if (err == HM_OK) {
            err = hm_grants_make(s, planned);
        }
    }
    return err;
}

/* The device as it is to be after the redemption. before: what is known of this key. */
static int plan_device(struct hm_store *s, const struct hm_redemption *redemption,
                       const struct promise *promise, struct hm_arena *arena,
                       struct hm_device *out)
{
    uint64_t id = hm_devices_id_of(redemption->public_key);
    struct hm_device device = {.enrolled_utc_ms = hm_store_utc_ms(s)};
    int err;

    if (promise->device != 0 && promise->device != id) {
        return hm_store_fail(s, HM_DENIED, "this code has been used by another device");
    }
    err = hm_devices_get(s, id, arena, &device);
    if (err == HM_OK && !device.active &&
        promise->invitation.issued_utc_ms <= device.revoked_utc_ms) {
        return hm_store_fail(s, HM_DENIED,
                             "this device has been revoked since the code was given "
                             "out: ask for a new code");
    }
    if (err != HM_OK && err != HM_NOTFOUND) {
        return err;
    }
    if (promise->device == 0 || err == HM_NOTFOUND) {
        /* Later, an officer may have changed the name or the scopes. */
        device.name = promise->invitation.name[0] != 0 || redemption->name == NULL
                          ? promise->invitation.name
                          : redemption->name;
        device.role = promise->invitation.role;
        device.scopes = promise->invitation.scopes;
        device.scope_count = promise->invitation.scope_count;
    }
    device.id = id;
    device.active = true;
    device.revoked_utc_ms = 0;
    memcpy(device.public_key, redemption->public_key, sizeof device.public_key);
    memcpy(device.box_key, redemption->box_key, sizeof device.box_key);
    *out = device;
    return HM_OK;
}

int hm_devices_redeem(struct hm_store *s, const struct hm_redemption *redemption,
                      struct hm_arena *arena, struct hm_device *out_device,
                      uint8_t out_token[HM_DEVICE_TOKEN_BYTES])
{
    uint8_t token[HM_DEVICE_TOKEN_BYTES];
    struct hm_device device;
    struct promise promise = {0};
    enum hm_node_role role;
    int err = get_promise(s, redemption->secret, arena, &promise);

    if (err == HM_OK) {
        err = plan_device(s, redemption, &promise, arena, &device);
    }
    if (err == HM_OK) {
        err = hm_store_role(s, &role);
    }
    if (err == HM_OK && role == HM_NODE_HUB) {
        struct hm_device planned = device;

        err = let_in(s, &promise, &planned, arena, &device);
    } else if (err == HM_OK) {
        err = hm_devices_put(s, &device);
    }
    if (err == HM_OK) {
        err = mark_used(s, redemption->secret, device.id);
    }
    if (err == HM_OK) {
        hm_store_random_bytes(s, token, sizeof token);
        err = hm_devices_set_token(s, device.id, hm_bytes_of(token, sizeof token));
    }
    if (err == HM_OK) {
        *out_device = device;
        memcpy(out_token, token, sizeof token);
        sodium_memzero(token, sizeof token);
    }
    return err;
}

int hm_devices_forget_invitations(struct hm_store *s)
{
    struct hm_stmt *stmt;
    int err = hm_db_stmt(hm_store_db(s),
                         "DELETE FROM invitation WHERE expires_utc_ms <= $1", &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_int(stmt, 1, hm_store_utc_ms(s));
    return hm_stmt_run(stmt);
}
