/* Whether the link costs, by what NetworkManager says (its property Metered, over the
 * system's D-Bus). Where there is no bus or no NetworkManager nothing is known; the bus
 * is looked for again every ten minutes.
 *
 * Loop thread only; never blocks: questions are asked and answers come later. */
#ifndef HM_DAEMON_NETWORK_MANAGER_H
#define HM_DAEMON_NETWORK_MANAGER_H

#include <uv.h>

#include "protocol/err.h"

struct hm_network_manager;

enum hm_metered { HM_METERED_UNKNOWN, HM_METERED_YES, HM_METERED_NO };

typedef void (*hm_network_manager_cb)(void *owner);

/* on_change runs in a later turn whenever the answer is another one. Errors: HM_NOMEM.
 */
int hm_network_manager_open(uv_loop_t *loop, hm_network_manager_cb on_change,
                            void *owner,
                            struct hm_network_manager **out_manager) HM_MUST_USE;
/* Yes also when NetworkManager only guesses so: a phone's hotspot. */
enum hm_metered hm_network_manager_metered(const struct hm_network_manager *manager);
/* closed(owner) runs in a later turn, when manager is freed. */
void hm_network_manager_close(struct hm_network_manager *manager,
                              hm_network_manager_cb closed);

#endif
