/* Which administrative items a device needs: what a parent sends it, and what it keeps.
 *
 *   roles, rounds, forms, programme   all
 *   units        its assigned scopes, what lies under them, their ancestors, and the
 *                direct children of all of these
 *   users        whose unit lies at, over or under one of its assigned scopes
 *   passphrases  of users whose unit lies at or over one of its effective scopes
 *   devices      itself, hubs, those that it let in, and those that share an effective
 *                scope with it
 *
 * A hub without scopes needs everything. Both ends of a link decide with the items that
 * they hold; when they are in step, they decide alike.
 *
 * Runs inside a transaction of the caller. Blocking; thread as the store. */
#ifndef HM_STORAGE_SCOPE0_H
#define HM_STORAGE_SCOPE0_H

#include "storage/devices.h"

struct hm_scope0_filter;

/* For one request: reads units and users once. In arena (HM_SCOPE0_ARENA_BYTES_MAX is
 * enough). A device without an item here needs only what all need. */
enum { HM_SCOPE0_ARENA_BYTES_MAX = 2 * HM_UNITS_TREE_BYTES_MAX };
int hm_scope0_prepare(struct hm_store *s, uint64_t device, struct hm_arena *arena,
                      struct hm_scope0_filter **out_filter) HM_MUST_USE;
/* A hm_items_filter_fn: filter is a struct hm_scope0_filter; NULL wants all. */
bool hm_scope0_wants(void *filter, const struct hm_admin_item *item);

/* A node's own whole set. */
#define HM_SCOPE0_ALL ((struct hm_scope0_filter *)NULL)

/* At a child: erase the items that it no longer needs, by its own filter. *out_dropped:
 * how many. Nothing happens while its own device item has not come. */
int hm_scope0_drop_unwanted(struct hm_store *s, uint64_t device,
                            uint64_t *out_dropped) HM_MUST_USE;

#endif
