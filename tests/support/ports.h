/* Ports of 127.0.0.1 for tests. Blocks for moments; any thread. */
#ifndef HM_TESTS_SUPPORT_PORTS_H
#define HM_TESTS_SUPPORT_PORTS_H

#include <stdint.h>

/* A port that nothing listens on, below the range from which outgoing connections take
 * theirs, so that none of those sits on it later. Never the same twice in a process.
 * Ends the process when there is none. */
uint16_t hm_port_free(void);

/* A listening TCP socket on 127.0.0.1:port, or -1 when the port is taken. The caller
 * closes it. */
int hm_port_listen(uint16_t port);

#endif
