/* What must hold of a store at any moment that it can be opened, after a cut above all.
 */
#ifndef HM_TESTS_CRASH_CHECK_H
#define HM_TESTS_CRASH_CHECK_H

#include "tests/crash/world.h"

/* What a check found, apart for the last line of the matrix. */
enum hm_check_finding {
    HM_CHECK_SOUND,
    HM_CHECK_LOST,   /* something that was answered is not there */
    HM_CHECK_CORRUPT /* something is half there, does not fit, or cannot be read */
};

/* The store of an open node: structure, states and their hashes, digests, the counts of
 * conflicts, chains of every log, blobs, what was answered here, and that its parent
 * holds what it has given receipts for (the centre is opened for that). At the centre
 * also: every state is what its changes give. w->why says what is wrong. */
enum hm_check_finding hm_check_node(struct hm_world *w, unsigned node);

#endif
