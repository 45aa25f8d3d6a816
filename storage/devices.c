#include "storage/devices.h"

#include <stdlib.h>

#include "storage/body.h"
#include "storage/devices_parts.h"

/* Keys of the body. Kept on disk. */
enum {
    KEY_NAME = 1,
    KEY_ROLE = 2,
    KEY_PUBLIC = 3,
    KEY_BOX = 4,
    KEY_SCOPES = 5,
    KEY_ACTIVE = 6,
    KEY_REVOKED = 7,
    KEY_ENROLLED = 8,
    KEY_FORMER = 9,
    KEY_GRANTED_BY = 10
};

enum { SMALL_ARENA = 4 * HM_ITEM_BODY_BYTES_MAX };

uint64_t hm_devices_id_of(const uint8_t public_key[HM_PUBLIC_KEY_BYTES])
{
    return hm_hash_u64(hm_bytes_of(public_key, HM_PUBLIC_KEY_BYTES));
}

void hm_devices_write_scopes(struct hm_buf *buf, unsigned key, const uint32_t *scopes,
                             size_t count)
{
    hm_pack_uint(buf, key);
    hm_pack_array(buf, count);
    for (size_t i = 0; i < count; i++) {
        hm_pack_uint(buf, scopes[i]);
    }
}

const uint32_t *hm_devices_read_scopes(struct hm_reader *r, struct hm_arena *arena,
                                       size_t *out_count)
{
    size_t count = hm_unpack_array(r, HM_DEVICE_SCOPES_MAX);
    uint32_t *scopes = hm_arena_array(arena, count, sizeof *scopes);

    if (scopes == NULL) {
        r->err = r->err == HM_OK ? HM_NOMEM : r->err;
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        scopes[i] = hm_body_u32(r);
    }
    *out_count = count;
    return scopes;
}

static void read_key(struct hm_reader *r, uint64_t key, struct hm_arena *arena,
                     struct hm_device *device)
{
    switch (key) {
    case KEY_NAME:
        device->name = hm_body_text(r, arena);
        break;
    case KEY_ROLE:
        device->role = (enum hm_device_role)hm_unpack_uint_max(r, HM_DEVICE_HUB);
        break;
    case KEY_PUBLIC:
        hm_unpack_bin_exact(r, device->public_key, sizeof device->public_key);
        break;
    case KEY_BOX:
        hm_unpack_bin_exact(r, device->box_key, sizeof device->box_key);
        break;
    case KEY_SCOPES:
        device->scopes = hm_devices_read_scopes(r, arena, &device->scope_count);
        break;
    case KEY_ACTIVE:
        device->active = hm_unpack_bool(r);
        break;
    case KEY_REVOKED:
        device->revoked_utc_ms = hm_unpack_int(r);
        break;
    case KEY_ENROLLED:
        device->enrolled_utc_ms = hm_unpack_int(r);
        break;
    case KEY_FORMER:
        device->former = hm_devices_read_scopes(r, arena, &device->former_count);
        break;
    case KEY_GRANTED_BY:
        device->granted_by = hm_unpack_uint(r);
        break;
    default:
        (void)hm_unpack_raw(r); /* of a newer node; its error sticks in r */
        break;
    }
}

int hm_devices_read_item(const struct hm_admin_item *item, struct hm_arena *arena,
                         void *out)
{
    struct hm_reader r = {.left = item->body};
    struct hm_device device = {.id = item->id, .name = ""};
    size_t keys = hm_unpack_map(&r, HM_BODY_KEYS_MAX);
    int err;

    for (; keys > 0 && r.err == HM_OK; keys--) {
        read_key(&r, hm_unpack_uint(&r), arena, &device);
    }
    err = hm_body_end(&r);
    if (err == HM_OK && device.role == 0) {
        err = HM_VERSION;
    }
    if (err == HM_OK) {
        memcpy(out, &device, sizeof device);
    }
    return err;
}

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

int hm_devices_sort_scopes(struct hm_store *s, const uint32_t *scopes, size_t count,
                           struct hm_arena *arena, uint32_t **out_scopes,
                           size_t *out_count)
{
    uint32_t *sorted = NULL;
    size_t kept = 0;
    int err = HM_OK;

    if (count > HM_DEVICE_SCOPES_MAX) {
        return hm_store_fail(s, HM_TOOBIG, "a device has at most %d scopes",
                             HM_DEVICE_SCOPES_MAX);
    }
    sorted = hm_arena_grow(arena, scopes, count, count, sizeof *sorted);
    if (sorted == NULL) {
        return HM_NOMEM;
    }
    if (count > 0) {
        qsort(sorted, count, sizeof *sorted, compare_u32);
    }
    for (size_t i = 0; err == HM_OK && i < count; i++) {
        struct hm_arena scratch;
        struct hm_unit unit;

        if (kept > 0 && sorted[kept - 1] == sorted[i]) {
            continue;
        }
        sorted[kept++] = sorted[i];
        hm_arena_init(&scratch, SMALL_ARENA);
        err = hm_units_get(s, sorted[i], &scratch, &unit);
        hm_arena_deinit(&scratch);
        if (err == HM_NOTFOUND) {
            err = hm_store_fail(s, HM_INVALID, "there is no unit u%u",
                                (unsigned)sorted[i]);
        }
    }
    if (err == HM_OK) {
        *out_scopes = sorted;
        *out_count = kept;
    }
    return err;
}

void hm_devices_write_body(const struct hm_device *device, struct hm_buf *buf)
{
    hm_pack_map(buf, 8U + (device->former_count > 0 ? 1U : 0U) +
                         (device->granted_by != 0 ? 1U : 0U));
    hm_body_put_text(buf, KEY_NAME, device->name);
    hm_body_put_uint(buf, KEY_ROLE, (uint64_t)device->role);
    hm_body_put_bin(buf, KEY_PUBLIC,
                    hm_bytes_of(device->public_key, sizeof device->public_key));
    hm_body_put_bin(buf, KEY_BOX, hm_bytes_of(device->box_key, sizeof device->box_key));
    hm_devices_write_scopes(buf, KEY_SCOPES, device->scopes, device->scope_count);
    hm_body_put_bool(buf, KEY_ACTIVE, device->active);
    hm_body_put_int(buf, KEY_REVOKED, device->revoked_utc_ms);
    hm_body_put_int(buf, KEY_ENROLLED, device->enrolled_utc_ms);
    if (device->former_count > 0) {
        hm_devices_write_scopes(buf, KEY_FORMER, device->former, device->former_count);
    }
    if (device->granted_by != 0) {
        hm_body_put_uint(buf, KEY_GRANTED_BY, device->granted_by);
    }
}

static int keep_device(struct hm_store *s, const struct hm_device *device)
{
    struct hm_buf buf;
    int err;

    hm_buf_init(&buf, HM_ITEM_BODY_BYTES_MAX);
    hm_devices_write_body(device, &buf);
    err = hm_body_keep(s, HM_ITEM_DEVICE, hm_devices_id_of(device->public_key), &buf);
    hm_buf_deinit(&buf);
    return err;
}

static bool is_in(const uint32_t *sorted, size_t count, uint32_t unit)
{
    return count > 0 &&
           bsearch(&unit, sorted, count, sizeof *sorted, compare_u32) != NULL;
}

/* What it had before and has no more joins what it had once. */
static int add_former(struct hm_store *s, struct hm_arena *arena,
                      struct hm_device *device)
{
    struct hm_device before = {.scope_count = 0};
    uint32_t *former;
    size_t count = 0;
    int err = hm_devices_get(s, hm_devices_id_of(device->public_key), arena, &before);

    if (err != HM_OK) {
        device->former_count = 0;
        return err == HM_NOTFOUND ? HM_OK : err;
    }
    former = hm_arena_array(arena, before.former_count + before.scope_count + 1,
                            sizeof *former);
    if (former == NULL) {
        return HM_NOMEM;
    }
    if (hm_devices_holds_all(&before) && !hm_devices_holds_all(device)) {
        former[count++] = 0;
    }
    for (size_t i = 0; i < before.former_count + before.scope_count; i++) {
        uint32_t unit = i < before.former_count
                            ? before.former[i]
                            : before.scopes[i - before.former_count];

        if (!is_in(device->scopes, device->scope_count, unit)) {
            former[count++] = unit;
        }
    }
    if (count > 0) {
        qsort(former, count, sizeof *former, compare_u32);
    }
    device->former = former;
    device->former_count = 0;
    for (size_t i = 0; i < count; i++) {
        if ((i == 0 || former[i] != former[i - 1]) &&
            device->former_count < HM_DEVICE_SCOPES_MAX) {
            former[device->former_count++] = former[i];
        }
    }
    return HM_OK;
}

int hm_devices_put(struct hm_store *s, const struct hm_device *device)
{
    struct hm_device sorted = *device;
    struct hm_arena arena;
    uint32_t *scopes = NULL;
    int err;

    if (device->role != HM_DEVICE_ENUMERATOR && device->role != HM_DEVICE_HUB) {
        return hm_store_fail(s, HM_INVALID, "a device is an enumerator's or a hub");
    }
    if (strlen(device->name) > HM_DEVICE_NAME_BYTES_MAX) {
        return hm_store_fail(s, HM_TOOBIG, "a device's name is too long");
    }
    hm_arena_init(&arena, SMALL_ARENA);
    err = hm_devices_sort_scopes(s, device->scopes, device->scope_count, &arena,
                                 &scopes, &sorted.scope_count);
    sorted.scopes = scopes;
    if (err == HM_OK) {
        err = add_former(s, &arena, &sorted);
    }
    if (err == HM_OK) {
        err = keep_device(s, &sorted);
    }
    hm_arena_deinit(&arena);
    return err;
}

int hm_devices_get(struct hm_store *s, uint64_t id, struct hm_arena *arena,
                   struct hm_device *out)
{
    return hm_body_get(s, HM_ITEM_DEVICE, id, hm_devices_read_item, arena, out);
}

int hm_devices_list(struct hm_store *s, struct hm_arena *arena,
                    struct hm_device **out_devices, size_t *out_count)
{
    return hm_body_list(s, HM_ITEM_DEVICE, sizeof **out_devices, HM_DEVICES_MAX,
                        hm_devices_read_item, arena, out_devices, out_count);
}

static int revoke(struct hm_store *s, uint64_t id, int64_t since_utc_ms, bool earlier)
{
    struct hm_arena arena;
    struct hm_device device;
    int err;

    hm_arena_init(&arena, SMALL_ARENA);
    err = hm_devices_get(s, id, &arena, &device);
    if (err == HM_OK &&
        (device.active || (earlier && since_utc_ms < device.revoked_utc_ms))) {
        device.active = false;
        device.revoked_utc_ms = since_utc_ms;
        err = keep_device(s, &device);
    }
    hm_arena_deinit(&arena);
    return err;
}

int hm_devices_revoke(struct hm_store *s, uint64_t id)
{
    return revoke(s, id, hm_store_utc_ms(s), false);
}

int hm_devices_revoke_since(struct hm_store *s, uint64_t id, int64_t since_utc_ms)
{
    if (since_utc_ms <= 0 || since_utc_ms > hm_store_utc_ms(s)) {
        return hm_store_fail(s, HM_INVALID, "no device was lost at that time");
    }
    return revoke(s, id, since_utc_ms, true);
}

int hm_devices_reassign(struct hm_store *s, uint64_t id, const uint32_t *scopes,
                        size_t count)
{
    struct hm_arena arena;
    struct hm_device device;
    int err;

    hm_arena_init(&arena, SMALL_ARENA);
    err = hm_devices_get(s, id, &arena, &device);
    if (err == HM_OK) {
        device.scopes = scopes;
        device.scope_count = count;
        err = hm_devices_put(s, &device);
    }
    hm_arena_deinit(&arena);
    return err;
}

enum hm_devices_hold hm_devices_hold_of(const struct hm_device *device,
                                        const struct hm_units_tree *tree,
                                        uint32_t hamlet)
{
    enum hm_devices_hold hold = HM_DEVICES_HOLDS_NOT;

    if (hm_units_by_id(tree, hamlet) == NULL) {
        return HM_DEVICES_HOLDS_NOT;
    }
    if (hm_devices_holds_all(device)) {
        return HM_DEVICES_HOLDS;
    }
    for (size_t i = 0; i < device->scope_count; i++) {
        if (hm_units_is_under(tree, hamlet, device->scopes[i])) {
            return HM_DEVICES_HOLDS;
        }
        if (hm_units_was_under(tree, hamlet, device->scopes[i])) {
            hold = HM_DEVICES_HELD;
        }
    }
    for (size_t i = 0; i < device->former_count; i++) {
        if (device->former[i] == 0 ||
            hm_units_was_under(tree, hamlet, device->former[i])) {
            hold = HM_DEVICES_HELD;
        }
    }
    return hold;
}

int hm_devices_effective_scopes(const struct hm_device *device,
                                const struct hm_units_tree *tree,
                                struct hm_arena *arena, uint32_t **out_hamlets,
                                size_t *out_count)
{
    uint32_t *hamlets;
    size_t count = 0;

    if (!hm_devices_holds_all(device)) {
        return hm_units_hamlets_under(tree, device->scopes, device->scope_count, arena,
                                      out_hamlets, out_count);
    }
    hamlets = hm_arena_array(arena, tree->count, sizeof *hamlets);
    if (hamlets == NULL) {
        return HM_NOMEM;
    }
    for (size_t i = 0; i < tree->count; i++) {
        if (tree->units[i].kind == HM_UNIT_HAMLET) {
            hamlets[count++] = tree->units[i].id;
        }
    }
    *out_hamlets = hamlets;
    *out_count = count;
    return HM_OK;
}
