/* Whether the machine has a link to anywhere: some interface other than loopback is up,
 * running and has an address (one of IPv6's own link-local ones does not count). It
 * says nothing of whether a peer can be reached.
 *
 * Loop thread only. Asks the kernel when something changed, which takes microseconds
 * and waits for nobody. */
#ifndef HM_DAEMON_LINK_H
#define HM_DAEMON_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "protocol/err.h"

struct hm_link;
struct ifaddrs;

typedef void (*hm_link_change_cb)(void *owner, bool has_route);
typedef void (*hm_link_closed_cb)(void *owner);

/* Watch. on_change runs in a later turn, debounce_ms (0: 1,000) after the first of a
 * series of changes, and only if the answer is another one than before. It may close.
 * Where the kernel gives no news (a sandbox without netlink) the link counts as up for
 * ever: HM_OK all the same, hm_link_is_known() is false and errmsg (errmsg_len bytes,
 * may be NULL) says why in one line; else errmsg becomes "". On error *out_link is
 * unchanged. Errors: HM_NOMEM. */
HM_MUST_USE int hm_link_open(uv_loop_t *loop, uint32_t debounce_ms,
                             hm_link_change_cb on_change, void *owner, char *errmsg,
                             size_t errmsg_len, struct hm_link **out_link);
/* The last answer. */
bool hm_link_has_route(const struct hm_link *link);
bool hm_link_is_known(const struct hm_link *link);
/* on_change does not run any more; closed (may be NULL) runs in a later turn, when link
 * is freed. NULL link: nothing happens. */
void hm_link_close(struct hm_link *link, hm_link_closed_cb closed);

/* The rule itself, on a list as getifaddrs() gives it. */
bool hm_link_judge(const struct ifaddrs *list);

#endif
