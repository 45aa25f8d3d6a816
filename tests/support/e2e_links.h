/* Links of real nodes, and what stands behind them, for end-to-end tests. As e2e.h:
 * what goes wrong fails the running test. */
#ifndef HM_TESTS_SUPPORT_E2E_LINKS_H
#define HM_TESTS_SUPPORT_E2E_LINKS_H

#include "tests/support/e2e_data.h"
#include "tests/support/false_hub.h"

/* A false hub that belongs to the harness until e2e_links_end(); with the keys of node,
 * or with others (NULL). */
struct hm_false_hub *e2e_false_hub(struct e2e_node *node,
                                   const struct hm_false_hub_script *script);
/* Stops all false hubs. Before e2e_finish(). */
void e2e_links_end(void);

/* Changes one line of the node's configuration: the one that begins with from becomes
 * the text to, which may have several lines. */
void e2e_configure(struct e2e_node *node, const char *from, const char *to);

/* `sync` must exit 1 with this result, and say this. */
void e2e_sync_fails(struct e2e_node *node, const char *result, const char *says);
/* The text at upstream.NAME of the status, "" when it is null. */
const char *e2e_upstream(struct e2e_node *node, const char *name);
/* Seconds until upstream.next_try; -1 for none. */
double e2e_next_try_s(struct e2e_node *node);
/* Waits, at most timeout_s, until upstream.state is this. */
void e2e_wait_state(struct e2e_node *node, const char *state, double timeout_s);

#endif
