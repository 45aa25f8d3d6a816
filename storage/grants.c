#include "storage/grants.h"

#include <sodium.h>

#include "protocol/guard.h"
#include "storage/devices_parts.h"

enum { SMALL_ARENA = 8 * HM_ITEM_BODY_BYTES_MAX };

bool hm_grants_covers(const struct hm_device *hub, const struct hm_units_tree *tree,
                      enum hm_device_role role, const uint32_t *scopes, size_t count)
{
    if (hub->role != HM_DEVICE_HUB || !hub->active) {
        return false;
    }
    if (hm_devices_holds_all(hub)) {
        return count > 0 || role == HM_DEVICE_HUB;
    }
    for (size_t i = 0; i < count; i++) {
        bool under = false;

        for (size_t k = 0; k < hub->scope_count && !under; k++) {
            under = hm_units_is_under(tree, scopes[i], hub->scopes[k]);
        }
        if (!under) {
            return false;
        }
    }
    return count > 0; /* none would be all */
}

/* The item of a hub by the centre's word. Errors: HM_NOTFOUND. */
static int get_hub(struct hm_store *s, uint64_t id, struct hm_arena *arena,
                   struct hm_device *out)
{
    struct hm_admin_item item;
    int err = hm_items_get(s, HM_ITEM_DEVICE, id, arena, &item);

    if (err == HM_OK && item.author != 0) {
        err = HM_NOTFOUND;
    }
    return err == HM_OK ? hm_devices_read_item(&item, arena, out) : err;
}

static int check_covers(struct hm_store *s, const struct hm_device *hub,
                        enum hm_device_role role, const uint32_t *scopes, size_t count,
                        bool *out_covers)
{
    struct hm_units_tree tree;
    struct hm_arena arena;
    int err;

    hm_arena_init(&arena, HM_UNITS_TREE_BYTES_MAX);
    err = hm_units_load(s, &arena, &tree);
    if (err == HM_OK) {
        *out_covers = hm_grants_covers(hub, &tree, role, scopes, count);
    }
    hm_arena_deinit(&arena);
    return err;
}

int hm_grants_may(struct hm_store *s, enum hm_device_role role, const uint32_t *scopes,
                  size_t count)
{
    struct hm_device own;
    struct hm_arena arena;
    bool covers = false;
    int err;

    hm_arena_init(&arena, SMALL_ARENA);
    err = get_hub(s, hm_store_device(s), &arena, &own);
    if (err == HM_OK) {
        err = check_covers(s, &own, role, scopes, count, &covers);
    }
    hm_arena_deinit(&arena);
    if (err == HM_NOTFOUND) {
        return hm_store_fail(s, HM_DENIED,
                             "the centre has not confirmed this hub yet: sync first");
    }
    if (err == HM_OK && !covers) {
        err = hm_store_fail(s, HM_DENIED,
                            "this hub can let in devices for its own units only");
    }
    return err;
}

int hm_grants_make(struct hm_store *s, const struct hm_device *device)
{
    struct hm_device granted = *device;
    struct hm_buf body;
    int err;

    granted.granted_by = hm_store_device(s);
    hm_buf_init(&body, HM_ITEM_BODY_BYTES_MAX);
    hm_devices_write_body(&granted, &body);
    err = body.err;
    if (err == HM_OK) {
        err = hm_items_grant(s, hm_devices_id_of(granted.public_key),
                             hm_buf_bytes(&body));
    }
    hm_buf_deinit(&body);
    return err;
}

static bool is_signed_by(const struct hm_admin_item *item, const struct hm_hash *hash,
                         const uint8_t *public_key)
{
    return crypto_sign_verify_detached(item->signature.data, hash->bytes, HM_HASH_BYTES,
                                       public_key) == 0;
}

static int check(struct hm_store *s, const struct hm_admin_item *item,
                 const struct hm_hash *hash, struct hm_arena *arena,
                 struct hm_device *device)
{
    struct hm_device hub;
    bool covers = false;
    int err = hm_devices_read_item(item, arena, device);

    if (err != HM_OK) {
        return err == HM_NOMEM ? err : HM_SIGNATURE;
    }
    if (device->granted_by == 0 || item->version != 1 || !device->active ||
        hm_devices_id_of(device->public_key) != item->id) {
        return HM_SIGNATURE;
    }
    if (device->granted_by == hm_store_device(s)) {
        return is_signed_by(item, hash, hm_store_public_key(s)) ? HM_OK : HM_SIGNATURE;
    }
    err = get_hub(s, device->granted_by, arena, &hub);
    if (err != HM_OK) {
        return err == HM_NOTFOUND ? HM_AGAIN : err;
    }
    if (!is_signed_by(item, hash, hub.public_key)) {
        return HM_SIGNATURE;
    }
    err = check_covers(s, &hub, device->role, device->scopes, device->scope_count,
                       &covers);
    return err == HM_OK && !covers ? HM_DENIED : err;
}

int hm_grants_check(struct hm_store *s, const struct hm_admin_item *item,
                    const struct hm_hash *hash, uint64_t *out_author)
{
    struct hm_device device = {0};
    struct hm_arena arena;
    int err;

    hm_arena_init(&arena, SMALL_ARENA);
    err = check(s, item, hash, &arena, &device);
    hm_arena_deinit(&arena);
    if (err == HM_OK) {
        *out_author = device.granted_by;
    }
    return err;
}

/* At the centre: its own word from now on. What came too late is a revoked device's. */
static int confirm(struct hm_store *s, const struct hm_admin_item *item, int verdict,
                   struct hm_arena *arena)
{
    struct hm_device device;
    int err = hm_devices_read_item(item, arena, &device);

    if (err == HM_OK && verdict == HM_DENIED) {
        device.active = false;
        device.revoked_utc_ms = hm_store_utc_ms(s);
        device.scope_count = 0;
    }
    return err == HM_OK ? hm_devices_put(s, &device) : err;
}

static int take_up(struct hm_store *s, const struct hm_admin_item *item,
                   struct hm_arena *arena)
{
    struct hm_admin_item known;
    struct hm_bytes authority;
    enum hm_node_role role;
    struct hm_hash hash;
    uint64_t author = 0;
    bool taken = false;
    int verdict;
    int err = hm_items_get(s, HM_ITEM_DEVICE, item->id, arena, &known);

    if (err != HM_NOTFOUND) {
        return err;
    }
    err = hm_store_role(s, &role);
    if (err == HM_OK && role != HM_NODE_CENTRE) {
        err = hm_store_get_bytes(s, HM_META_AUTHORITY, arena, &authority);
        if (err == HM_OK && authority.len == HM_PUBLIC_KEY_BYTES) {
            err = hm_items_take(s, item, authority.data, &taken);
        }
        return err == HM_SIGNATURE || err == HM_AGAIN ? HM_OK : err;
    }
    if (err == HM_OK) {
        err = hm_items_signed_hash(item, &hash);
    }
    if (err != HM_OK) {
        return err;
    }
    verdict = hm_grants_check(s, item, &hash, &author);
    if (verdict == HM_OK || verdict == HM_DENIED) {
        err = confirm(s, item, verdict, arena);
    } else if (verdict != HM_SIGNATURE && verdict != HM_AGAIN) {
        err = verdict;
    }
    return err;
}

int hm_grants_take_up(struct hm_store *s, struct hm_bytes bytes)
{
    struct hm_admin_item item = {0};
    struct hm_arena arena;
    int err = hm_guard_check(bytes);

    if (err == HM_OK) {
        err = hm_items_decode(bytes, &item);
    }
    if (err != HM_OK || item.kind != HM_ITEM_DEVICE) {
        return err == HM_NOMEM ? err : HM_OK;
    }
    hm_arena_init(&arena, SMALL_ARENA);
    err = take_up(s, &item, &arena);
    hm_arena_deinit(&arena);
    return err;
}
