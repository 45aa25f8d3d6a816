/* Text as it is compared when people write one name in several ways.
 *
 * Pure; any thread. */
#ifndef HM_PROTOCOL_FOLD_H
#define HM_PROTOCOL_FOLD_H

#include "protocol/arena.h"

/* text in lower case without marks, đ as d; "" for what is not UTF-8. In arena; NULL
 * without memory. */
const char *hm_fold(struct hm_bytes text, struct hm_arena *arena);

#endif
