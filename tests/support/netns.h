/* A network of the test's own: a kernel namespace in which the test and all that it
 * starts live, with a loopback, one link to nowhere, and names from a server of the
 * test's. Needs root, or a kernel that lets users have namespaces, and ip(8). */
#ifndef HM_TESTS_SUPPORT_NETNS_H
#define HM_TESTS_SUPPORT_NETNS_H

#include <stdbool.h>

/* Addresses of the link; whoever is asked for in its networks never answers. */
#define HM_NETNS_NOBODY   "198.51.100.77"
#define HM_NETNS_NOBODY_6 "2001:db8::77"

/* Leaves the machine's network for the rest of the process, which must have one thread
 * yet. Where that can't be, the test ends as skipped and says why. */
void hm_netns_enter(void);
/* Takes 127.0.0.1 and all other IPv4 away. */
void hm_netns_take_ipv4(void);

#endif
