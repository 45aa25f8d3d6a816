/* Administrative items, scope 0: units, roles, users, devices, rounds, forms.
 *
 * Each is {kind, id, version, body} signed by the centre and travels through the feed
 * of scope 0, filtered to what the receiver needs. Only a centre makes them; other
 * nodes take them from their parent when the signature is the authority's. What is in a
 * body is the business of storage/units.h, people.h, devices.h, rounds.h and forms.h.
 *
 * Runs inside a transaction of the caller. Blocking; thread as the store. */
#ifndef HM_STORAGE_ITEMS_H
#define HM_STORAGE_ITEMS_H

#include "storage/store.h"

enum { HM_ITEM_BODY_BYTES_MAX = 32 * 1024 };

enum hm_item_kind {
    HM_ITEM_UNIT = 1,
    HM_ITEM_ROLE = 2,
    HM_ITEM_USER = 3,
    HM_ITEM_PASSPHRASE = 4, /* of the user with the same id: apart, for fewer eyes */
    HM_ITEM_DEVICE = 5,
    HM_ITEM_ROUND = 6,
    HM_ITEM_FORM = 7,
    HM_ITEM_PROGRAMME = 8,
    HM_ITEM_CLOSED = 11 /* a log of which no more will come: its incarnation */
};

struct hm_admin_item {
    enum hm_item_kind kind;
    uint64_t id;               /* permanent within its kind; > 0 */
    uint64_t version;          /* 1, 2, 3 .. */
    struct hm_bytes body;      /* one canonical msgpack item */
    struct hm_bytes signature; /* HM_SIGNATURE_BYTES, over kind, id, version, body */
    uint64_t author;           /* 0: the centre; else the hub that let the device in */
};

/* Make or change an item: signs it as this node, which must be the centre, and puts it
 * at the end of the feed of scope 0. The same body as before changes nothing.
 * Errors: HM_DENIED (not the centre); HM_TOOBIG; HM_INVALID (body is not canonical). */
int hm_items_put(struct hm_store *s, enum hm_item_kind kind, uint64_t id,
                 struct hm_bytes body) HM_MUST_USE;
/* Make the item of a device that this node, a hub, lets in: signed as this node,
 * version 1, until the centre confirms it. Errors: HM_EXISTS; HM_TOOBIG; HM_INVALID. */
int hm_items_grant(struct hm_store *s, uint64_t id, struct hm_bytes body) HM_MUST_USE;
/* One more than the highest id of the kind. */
int hm_items_next_id(struct hm_store *s, enum hm_item_kind kind,
                     uint64_t *out_id) HM_MUST_USE;
/* Numbers and versions may have been given out that this store has forgotten: leave
 * room for them. HM_META_RESTORES says how often that was so. */
int hm_items_leave_gap(struct hm_store *s) HM_MUST_USE;
/* Views in arena. Errors: HM_NOTFOUND. */
int hm_items_get(struct hm_store *s, enum hm_item_kind kind, uint64_t id,
                 struct hm_arena *arena, struct hm_admin_item *out) HM_MUST_USE;
/* How many of a kind are here. */
int hm_items_count(struct hm_store *s, enum hm_item_kind kind,
                   size_t *out_count) HM_MUST_USE;
/* All of a kind by id; views live during the call only. A code other than HM_OK from fn
 * ends it and is returned. fn may read the store. */
typedef int (*hm_items_fn)(void *arg, const struct hm_admin_item *item);
int hm_items_each(struct hm_store *s, enum hm_item_kind kind, hm_items_fn fn,
                  void *arg) HM_MUST_USE;

/* Those that the centre has not confirmed yet; as hm_items_each(). */
int hm_items_each_granted(struct hm_store *s, hm_items_fn fn, void *arg) HM_MUST_USE;

/* The bytes of an item as it travels: [kind, id, version, body, signature]. */
void hm_items_encode(const struct hm_admin_item *item, struct hm_buf *buf);
/* bytes have been guarded. Errors: HM_MALFORMED; HM_TOOBIG. */
int hm_items_decode(struct hm_bytes bytes, struct hm_admin_item *out) HM_MUST_USE;
/* The hash that is signed. */
int hm_items_signed_hash(const struct hm_admin_item *item,
                         struct hm_hash *out) HM_MUST_USE;
/* Take an item from a parent: kept when its signature is authority's (a public key), or
 * that of a hub which may let the device in (storage/grants.h), and its version is
 * higher than what is here; the centre's word replaces a hub's, never the other way
 * round. *out_taken says so. Errors: HM_SIGNATURE; HM_AGAIN (of a hub that is not known
 * here yet). */
int hm_items_take(struct hm_store *s, const struct hm_admin_item *item,
                  const uint8_t *authority, bool *out_taken) HM_MUST_USE;

/* Erase an item that this node no longer needs; it can be taken again. Nothing happens
 * when it is not here. */
int hm_items_drop(struct hm_store *s, enum hm_item_kind kind, uint64_t id) HM_MUST_USE;
/* All items of all kinds in the feed's order; as hm_items_each(). fn may drop. */
int hm_items_each_of_all(struct hm_store *s, hm_items_fn fn, void *arg) HM_MUST_USE;

/* What the receiver needs: decided for each item by the caller. */
typedef bool (*hm_items_filter_fn)(void *arg, const struct hm_admin_item *item);

/* The sum of the hashes of the items that pass, and how many. filter NULL: all, here
 * and in what follows. */
int hm_items_digest(struct hm_store *s, hm_items_filter_fn filter, void *arg,
                    struct hm_hash *out_digest, uint64_t *out_count) HM_MUST_USE;
/* Append the items behind position that pass, in the feed's order, until buf would grow
 * over bytes_max (at least one is appended). *out_position: where to go on; *out_more:
 * something may be left behind it. */
int hm_items_feed(struct hm_store *s, uint64_t position, size_t bytes_max,
                  hm_items_filter_fn filter, void *arg, struct hm_buf *buf,
                  uint64_t *out_position, bool *out_more) HM_MUST_USE;
/* Append the items that pass and whose hash's first 8 bytes are not in prefixes
 * (ascending), within bytes_max. *out_more: more would differ. */
int hm_items_differing(struct hm_store *s, struct hm_bytes prefixes, size_t bytes_max,
                       hm_items_filter_fn filter, void *arg, struct hm_buf *buf,
                       bool *out_more) HM_MUST_USE;
/* The first 8 bytes of every item's hash that passes, ascending, appended to buf. */
int hm_items_prefixes(struct hm_store *s, hm_items_filter_fn filter, void *arg,
                      struct hm_buf *buf) HM_MUST_USE;

/* Append the items whose hash's first 8 bytes are in prefixes (ascending), each as a
 * frame ITEM, until they would be more than bytes_max (at least one is appended). */
int hm_items_write_up(struct hm_store *s, struct hm_bytes prefixes, size_t bytes_max,
                      struct hm_buf *buf) HM_MUST_USE;

/* How far the items here go, by the feed of the centre that they came from, through
 * hubs or not: 0, 0 when that is not known. Said by a parent, for the whole of its
 * feed. */
int hm_items_get_age(struct hm_store *s, uint64_t *out_timeline,
                     uint64_t *out_position) HM_MUST_USE;
int hm_items_set_age(struct hm_store *s, uint64_t timeline,
                     uint64_t position) HM_MUST_USE;
/* The feed of scope 0 at this node: its last position and that position's salt. */
int hm_items_position(struct hm_store *s, uint64_t *out_position,
                      uint64_t *out_salt) HM_MUST_USE;

#endif
