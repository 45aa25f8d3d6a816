/* A village that every input finds as it was: what an input does is rolled back. Faster
 * than stores.h, for inputs that need no restart.
 *
 * A centre and a laptop, Lan's, with two hamlets: a household that both hold, one that
 * only the centre has changed, one that only the laptop has. One thread. */
#ifndef HM_TESTS_FUZZ_ROLLBACK_H
#define HM_TESTS_FUZZ_ROLLBACK_H

#include "tests/support/village.h"

/* Made at the first call. */
struct hm_village *hm_fuzz_rollback_village(void);
struct hm_village_node *hm_fuzz_rollback_laptop(void);

/* Begin an input at a node, and end it: randomness and the clock go back, too. */
void hm_fuzz_rollback_begin(struct hm_village_node *n);
void hm_fuzz_rollback_end(struct hm_village_node *n);

/* Inside of an input: no digest is stale, every state has its hash, and no own entry is
 * lost since the village was made. */
void hm_fuzz_rollback_check(struct hm_village_node *n);

#endif
