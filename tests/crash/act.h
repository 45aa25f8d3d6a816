/* What people and programs do in the crash matrix, each ended by an answer or an error,
 * and each so that doing it again after a cut leads to the same.
 *
 * An answer is noted in the world when it is given. Households and rows go by their
 * names. Errors are those of storage/; HM_DENIED from an exchange: the fault lies with
 * a node that is not the victim. */
#ifndef HM_TESTS_CRASH_ACT_H
#define HM_TESTS_CRASH_ACT_H

#include "tests/crash/world.h"

int hm_act_new(struct hm_world *w, unsigned node, unsigned hamlet, const char *name,
               unsigned members) HM_MUST_USE;
int hm_act_put(struct hm_world *w, unsigned node, const char *name, uint32_t field,
               const char *text) HM_MUST_USE;
int hm_act_add_member(struct hm_world *w, unsigned node, const char *name,
                      const char *member) HM_MUST_USE;
int hm_act_remove_member(struct hm_world *w, unsigned node, const char *name,
                         const char *member) HM_MUST_USE;
/* Decide every sibling of a cell for text. */
int hm_act_resolve(struct hm_world *w, unsigned node, const char *name, uint32_t field,
                   const char *text) HM_MUST_USE;
/* count lines of a file, ten in a transaction; those that are there are left alone. */
int hm_act_import(struct hm_world *w, unsigned node, unsigned count) HM_MUST_USE;
/* Write what is held in quarantine again, as somebody who may, and mark it. */
int hm_act_release(struct hm_world *w, unsigned node) HM_MUST_USE;

/* Requests of the laptops first .. last in one batch, and the replies; again until
 * nothing moves. chunk_bytes: of each direction. */
int hm_act_sync(struct hm_world *w, unsigned first, unsigned last,
                size_t chunk_bytes) HM_MUST_USE;

/* Seal and build a request that nobody gets. */
int hm_act_build(struct hm_world *w, unsigned node, size_t chunk_bytes) HM_MUST_USE;

/* Administrative items at the centre: one more of each kind, by number. */
int hm_act_admin(struct hm_world *w, unsigned number) HM_MUST_USE;
/* Which hamlets a laptop holds (a bit each), as the centre says. */
int hm_act_assign(struct hm_world *w, unsigned node, unsigned hamlets) HM_MUST_USE;

/* What a node shows of its households and items, in an order that depends on nothing
 * else: two nodes, or runs, that show the same have the same text. In buf. */
int hm_act_summary(struct hm_world *w, unsigned node, struct hm_buf *buf) HM_MUST_USE;

#endif
