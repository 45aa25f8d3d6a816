/* An own log that goes on otherwise at the parent: this machine was set back while it
 * ran, and wrote other entries under the same numbers.
 *
 * The parent's branch stands. This node's entries from there on leave its log: they are
 * kept aside, and written again under a new incarnation, without naming a dot of the
 * forked range, on states from which the forked range was taken out. What the parent
 * shows comes by hashes.
 *
 * Runs inside the transaction that adopts a reply. Blocking; thread as the store. */
#ifndef HM_STORAGE_FORK_H
#define HM_STORAGE_FORK_H

#include "protocol/here.h"
#include "storage/forms.h"
#include "storage/store.h"

#define HM_FORK_REASON "written again"

/* *out_changes: how many entries were written again; 0: the log is as the parent says.
 */
int hm_fork_leave(struct hm_store *s, struct hm_forms *forms, uint64_t parent,
                  const struct hm_fork *fork, uint64_t *out_changes) HM_MUST_USE;

#endif
