/* What a household says of itself: cells of its own row (HM_FORM_HOUSEHOLD).
 *
 * A fact's value is [target, seen]: what is said, and the household's vector when it
 * was said, so that whoever reads the state later can tell what its author had not
 * seen. nil takes it back.
 *
 *   HM_FIELD_STATUS   1: deleted
 *   HM_FIELD_SCOPE    the unit id of the hamlet that it moved to
 *   HM_FIELD_MERGED   [a, n]: the household that it was merged into
 *   HM_FIELD_SPLIT    [a, n]: the household that it was split from
 *   HM_FIELD_DECIDED  bin16: the hash of the state that was decided on
 *   HM_FIELD_APART    no fact but a list [[a, n] ..]: no duplicates of this one
 *
 * Values come from outside: what is no fact says nothing. Pure; any thread. */
#ifndef HM_PROTOCOL_FACT_H
#define HM_PROTOCOL_FACT_H

#include "protocol/policy.h"

enum {
    HM_FACT_DELETED = 1,
    HM_FACT_APART_MAX = 200, /* households in one list */
    HM_REDIRECT_STEPS_MAX = 1000
};

/* Append the value of a fact about h as it is now. target: one item. */
void hm_fact_encode(struct hm_bytes target, const struct hm_household *h,
                    struct hm_buf *buf);
/* Append a target. */
void hm_fact_pack_household(const struct hm_household_id *id, struct hm_buf *buf);

/* Is it a value for this field of a household's own row? nil is. HM_INVALID if not. */
int hm_fact_check(uint32_t field, struct hm_bytes value) HM_MUST_USE;

/* What a value says, without what its author saw; the whole value for other fields and
 * for what is no fact. A view into value. */
struct hm_bytes hm_fact_target(uint32_t field, struct hm_bytes value);
bool hm_fact_scope(struct hm_bytes value, uint32_t *out_scope);
bool hm_fact_household(struct hm_bytes value, struct hm_household_id *out_id);
bool hm_fact_is_deletion(struct hm_bytes value);
/* Had the author of this fact seen the dot? */
bool hm_fact_saw(struct hm_bytes value, const struct hm_dot *dot);

/* -- Views of a household --------------------------------------------------------- */

/* HM_ROW_REMOVED: deleted. HM_ROW_DISPUTED: by somebody who had not seen a value that
 * lives; it is shown. */
enum hm_row_state hm_fact_state(const struct hm_household *h);

/* The hamlet that is shown for it: where it moved to, else its home. */
uint32_t hm_fact_shown_scope(const struct hm_household *h);

/* The household that it is merged into; false: none. */
bool hm_fact_merged_into(const struct hm_household *h, struct hm_household_id *out_id);
/* A live dot that whoever merged it had not seen, the latest by the clock; NULL: none,
 * or it is not merged. */
const struct hm_dot *hm_fact_unseen_by_merge(const struct hm_household *h);
/* The same for its deletions, whatever they agree on. */
const struct hm_dot *hm_fact_unseen_by_deletion(const struct hm_household *h);
/* The same for a fact of any field, dots of the household's own row left out. */
const struct hm_dot *hm_fact_unseen_by(const struct hm_household *h,
                                       struct hm_bytes value,
                                       const struct hm_dot *author);

/* The cell of the household's own row, NULL when it is not there. */
const struct hm_cell *hm_fact_cell(const struct hm_household *h, uint32_t field);

/* Households that this one is said to be no duplicate of, all siblings together; at
 * most max go to out. Returns how many there are. */
size_t hm_fact_apart(const struct hm_household *h, struct hm_household_id *out,
                     size_t max);

/* -- Chains of merges ------------------------------------------------------------- */

/* Where id is merged into; *out_found false: nowhere. An error ends the search. */
typedef int (*hm_redirect_fn)(void *arg, const struct hm_household_id *id,
                              struct hm_household_id *out_into, bool *out_found);

/* The household at the end of the chain. In a circle: the lowest id of the circle, and
 * *out_circle is true; so it is the same from wherever one comes. Takes no memory.
 * Errors: what next returns; HM_TOOBIG (a chain of more than HM_REDIRECT_STEPS_MAX). */
int hm_redirect_survivor(const struct hm_household_id *id, hm_redirect_fn next,
                         void *arg, struct hm_household_id *out_survivor,
                         bool *out_circle) HM_MUST_USE;

#endif
