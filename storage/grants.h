/* Devices that a hub lets in while the centre is out of reach.
 *
 * The centre's item of a hub, active and with its scopes, is its delegation: it may let
 * in laptops and hubs for units at or under those scopes, and give nothing else. It
 * signs the item of such a device itself. The item travels up before the device's
 * segments, and the centre confirms it by its own signature; a grant that came too
 * late, since the hub is revoked or holds other units by then, becomes the item of a
 * revoked device, whose work is kept in quarantine.
 *
 * Runs inside a transaction of the caller. Blocking; thread as the store. */
#ifndef HM_STORAGE_GRANTS_H
#define HM_STORAGE_GRANTS_H

#include "storage/devices.h"

/* May hub let in a device for these units? */
bool hm_grants_covers(const struct hm_device *hub, const struct hm_units_tree *tree,
                      enum hm_device_role role, const uint32_t *scopes, size_t count);
/* The same of this node, which is a hub. Errors: HM_DENIED (errmsg says why). */
int hm_grants_may(struct hm_store *s, enum hm_device_role role, const uint32_t *scopes,
                  size_t count) HM_MUST_USE;
/* Let a device in; it must not be known here. Errors: as hm_items_grant(). */
int hm_grants_make(struct hm_store *s, const struct hm_device *device) HM_MUST_USE;

/* Is the item of a device, whose signed hash is given, the word of a hub that may say
 * it? *out_author: that hub. Errors: HM_SIGNATURE; HM_AGAIN (the hub is not known here,
 * or not confirmed); HM_DENIED (it may not). */
int hm_grants_check(struct hm_store *s, const struct hm_admin_item *item,
                    const struct hm_hash *hash, uint64_t *out_author) HM_MUST_USE;
/* An item that a hub brought: kept here, and confirmed when this is the centre. Nothing
 * happens when the device is known, or the bytes are no grant. */
int hm_grants_take_up(struct hm_store *s, struct hm_bytes bytes) HM_MUST_USE;

#endif
