/* Every household that an asker may see, one after the other, each in memory of its
 * own.
 *
 * Blocking; inside of a transaction. */
#ifndef HM_DAEMON_SERVE_EACH_H
#define HM_DAEMON_SERVE_EACH_H

#include "daemon/serve/call.h"
#include "storage/households.h"

struct hm_each {
    const struct hm_household_row *row;
    struct hm_household *h;
    uint32_t scope; /* that is shown */
    struct hm_arena *arena;
};
typedef int (*hm_each_fn)(void *arg, const struct hm_each *each);

/* scope: what people write, NULL for all. A household stands in the list of the hamlet
 * that is shown for it, once. Units and forms of the call are loaded. */
int hm_each_household(struct hm_call *call, const char *scope, bool with_conflicts,
                      hm_each_fn fn, void *arg) HM_MUST_USE;

#endif
