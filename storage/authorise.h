/* May this change enter the state? Decided at a parent, for each change: the device is
 * enrolled, the user active, the scope assigned, the form known and writable by the
 * role, every value of its field's type.
 *
 * What was written before a device was revoked, or a user disabled, is welcome however
 * late it comes. When it was written is told by the author's clock, corrected by what
 * its last talk with a parent said about it; a clock that was never compared counts as
 * afterwards. In a log, and in those that were born from it, what follows on something
 * written after the revocation is after it too, whatever the clock says.
 *
 * A device may have written before it heard that it lost a hamlet, or that a household
 * went elsewhere. Such a late change is accepted, and the caller notes that it is one.
 *
 * Runs inside a transaction of the caller. Blocking; thread as the store. */
#ifndef HM_STORAGE_AUTHORISE_H
#define HM_STORAGE_AUTHORISE_H

#include "protocol/household.h"
#include "storage/devices.h"
#include "storage/forms.h"
#include "storage/people.h"
#include "storage/quarantine.h"

/* What is read once for the changes of one author. In the arena. */
struct hm_authority {
    struct hm_store *s;
    struct hm_forms *forms;
    struct hm_arena *arena;
    struct hm_units_tree tree;
    struct hm_device device; /* of the author */
    uint32_t *scopes;        /* hamlets that it is assigned, ascending */
    size_t scope_count;
    bool late; /* said of the last change that was let through */
};

/* tree: loaded by the caller, shared. Errors: HM_NOTFOUND (no such device). */
int hm_authorise_prepare(struct hm_store *s, struct hm_forms *forms,
                         const struct hm_units_tree *tree, uint64_t device,
                         struct hm_arena *arena, struct hm_authority *out) HM_MUST_USE;

/* The rights that a change is written with: the user's role, or for HM_USER_OPERATOR
 * the device's: role `enumerator` on a laptop, `admin` on a hub. Whether the user is
 * disabled is not asked. Errors: HM_NOTFOUND (no such user or role). */
int hm_authorise_role(struct hm_store *s, uint32_t user,
                      enum hm_device_role device_role, struct hm_arena *arena,
                      struct hm_role *out) HM_MUST_USE;

/* *out_verdict: HM_OK, or why the change is refused, which detail then says in one
 * line. dot and author: of the change. h: the household as it is here, without the
 * change. The return value is the store's; HM_AGAIN: what to judge it by has not come
 * to this node yet. */
int hm_authorise_change(struct hm_authority *a, const struct hm_change *change,
                        const struct hm_dot *dot, const struct hm_author *author,
                        struct hm_household *h, bool found, int *out_verdict,
                        char detail[HM_QUARANTINE_DETAIL_MAX]) HM_MUST_USE;

#endif
