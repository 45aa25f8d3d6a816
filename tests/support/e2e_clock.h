/* Wall clocks of their own for nodes in end-to-end tests, by libfaketime. Timers go by
 * the true monotonic clock, files keep their true times. As e2e.h. */
#ifndef HM_TESTS_SUPPORT_E2E_CLOCK_H
#define HM_TESTS_SUPPORT_E2E_CLOCK_H

#include "tests/support/e2e.h"

/* Whether this machine can: it has libfaketime, and no sanitizer is in its way. */
bool e2e_clock_can(void);
/* From its next start on the node has a clock that can be set; true time until then.
 * The node's environment must be its own. Only where e2e_clock_can(). */
void e2e_clock_give(struct e2e_node *node);
/* Sets it at once, running or not: "+3650d", "-1h" from the true time, "+0" for that.
 */
void e2e_clock_set(const struct e2e_node *node, const char *offset);

#endif
