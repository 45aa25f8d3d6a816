/* Devices: laptops, hubs and the centre itself; their tokens and invitations.
 *
 * Devices are items and travel. Tokens and invitations are known only to the node that
 * gave them out, and only by their BLAKE2b-256. Runs inside a transaction of the
 * caller. Blocking; thread as the store. */
#ifndef HM_STORAGE_DEVICES_H
#define HM_STORAGE_DEVICES_H

#include "storage/units.h"

enum {
    HM_DEVICE_SCOPES_MAX = 1024,
    HM_DEVICE_NAME_BYTES_MAX = 256,
    HM_DEVICES_MAX = 100000,
    HM_DEVICE_TOKEN_BYTES = 32,
    HM_INVITATION_BYTES = 16,
    HM_BOX_KEY_BYTES = 32
};

enum hm_device_role { HM_DEVICE_ENUMERATOR = 1, HM_DEVICE_HUB = 2 };

struct hm_device {
    uint64_t id; /* of its public key: hm_devices_id_of() */
    const char *name;
    enum hm_device_role role;
    uint8_t public_key[HM_PUBLIC_KEY_BYTES]; /* Ed25519 */
    uint8_t box_key[HM_BOX_KEY_BYTES];       /* X25519 */
    const uint32_t *scopes; /* units of any kind, as assigned, ascending */
    size_t scope_count;     /* 0: all for a hub, none for an enumerator */
    const uint32_t *former; /* units that it was assigned once, ascending; 0: all */
    size_t former_count;
    bool active;
    int64_t revoked_utc_ms; /* 0 while active */
    int64_t enrolled_utc_ms;
    uint64_t granted_by; /* the hub that let it in; 0: the centre did */
};

uint64_t hm_devices_id_of(const uint8_t public_key[HM_PUBLIC_KEY_BYTES]);

/* Make or change; id is set from the key, scopes are sorted and each kept once. former
 * is not looked at: scopes that the device had before are added to what is kept of it.
 * Errors: as hm_items_put(); HM_INVALID (a scope that is no unit); HM_TOOBIG. */
int hm_devices_put(struct hm_store *s, const struct hm_device *device) HM_MUST_USE;
/* In arena. Errors: HM_NOTFOUND. */
int hm_devices_get(struct hm_store *s, uint64_t id, struct hm_arena *arena,
                   struct hm_device *out) HM_MUST_USE;
/* Revoked ones too. */
int hm_devices_list(struct hm_store *s, struct hm_arena *arena,
                    struct hm_device **out_devices, size_t *out_count) HM_MUST_USE;
/* What it writes from now on is kept apart; its token opens nothing any more but the
 * way for what it wrote. The second time nothing happens. Errors: as hm_items_put();
 * HM_NOTFOUND. */
int hm_devices_revoke(struct hm_store *s, uint64_t id) HM_MUST_USE;
/* The same for one that was lost at since_utc_ms and missed later: what it wrote from
 * then on is kept apart. The earliest such time counts. Errors: HM_INVALID (a time to
 * come, or before 1970). */
int hm_devices_revoke_since(struct hm_store *s, uint64_t id,
                            int64_t since_utc_ms) HM_MUST_USE;
/* Other scopes. Errors: as hm_devices_put(); HM_NOTFOUND. */
int hm_devices_reassign(struct hm_store *s, uint64_t id, const uint32_t *scopes,
                        size_t count) HM_MUST_USE;

/* Does it hold everything: a hub without scopes? */
static inline bool hm_devices_holds_all(const struct hm_device *device)
{
    return device->role == HM_DEVICE_HUB && device->scope_count == 0;
}
/* The hamlets that it is assigned, ascending, in arena: all for one that holds all. */
int hm_devices_effective_scopes(const struct hm_device *device,
                                const struct hm_units_tree *tree,
                                struct hm_arena *arena, uint32_t **out_hamlets,
                                size_t *out_count) HM_MUST_USE;

enum hm_devices_hold {
    HM_DEVICES_HOLDS_NOT, /* and never did, as far as is known */
    HM_DEVICES_HELD,      /* once: it, or a unit above it, was assigned then */
    HM_DEVICES_HOLDS
};
/* How a device stands to a hamlet, by what it was assigned and where the hamlet lay. */
enum hm_devices_hold hm_devices_hold_of(const struct hm_device *device,
                                        const struct hm_units_tree *tree,
                                        uint32_t hamlet);

/* Keep a token's hash; the device's former token is void. */
int hm_devices_set_token(struct hm_store *s, uint64_t device,
                         struct hm_bytes token) HM_MUST_USE;
/* The device that shows this token; it may be revoked. Errors: HM_DENIED (no such
 * token). */
int hm_devices_by_token(struct hm_store *s, struct hm_bytes token,
                        struct hm_arena *arena, struct hm_device *out) HM_MUST_USE;
/* Remember when a device was here last, and say it: 0 for never. */
int hm_devices_set_seen(struct hm_store *s, uint64_t device,
                        int64_t utc_ms) HM_MUST_USE;
int hm_devices_get_seen(struct hm_store *s, uint64_t device,
                        int64_t *out_utc_ms) HM_MUST_USE;

struct hm_invitation {
    const char *name;
    enum hm_device_role role;
    const uint32_t *scopes;
    size_t scope_count;
    int64_t expires_utc_ms;
    int64_t issued_utc_ms; /* set by what makes it */
};
/* A code for one enrolment, at the centre or at a hub that the centre has confirmed.
 * Errors: HM_DENIED (another node, or more than the hub holds itself); HM_INVALID (a
 * scope that is no unit, an enumerator without any); HM_TOOBIG. */
int hm_devices_invite(struct hm_store *s, const struct hm_invitation *invitation,
                      uint8_t out_secret[HM_INVITATION_BYTES]) HM_MUST_USE;

struct hm_redemption {
    struct hm_bytes secret;
    const char
        *name; /* what the device calls itself, for an invitation without a name */
    uint8_t public_key[HM_PUBLIC_KEY_BYTES];
    uint8_t box_key[HM_BOX_KEY_BYTES];
};
/* Make the device that an invitation promised, at the store's present time, and a token
 * for it. At a hub a device that is known stays as it is, since only the centre can
 * change it. The same key may redeem its invitation again until it expires (the reply
 * may have been lost): the same device, a new token. A revoked device comes back by an
 * invitation that was made after its revocation. Errors: as hm_items_put(); HM_DENIED
 * (unknown, expired, used by another device, or older than the revocation of this one;
 * errmsg says which). */
int hm_devices_redeem(struct hm_store *s, const struct hm_redemption *redemption,
                      struct hm_arena *arena, struct hm_device *out_device,
                      uint8_t out_token[HM_DEVICE_TOKEN_BYTES]) HM_MUST_USE;
/* Forget invitations whose time is over. */
int hm_devices_forget_invitations(struct hm_store *s) HM_MUST_USE;

#endif
