/* A name server on 127.0.0.1:53 (in a namespace of the test's, netns.h) that says of
 * every name what a test wants. A thread of its own. */
#ifndef HM_TESTS_SUPPORT_NAME_SERVER_H
#define HM_TESTS_SUPPORT_NAME_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/err.h"

struct hm_name_server;

/* All zero: there are no addresses, and no error either. */
struct hm_name_answer {
    const char *a;    /* an IPv4 address; NULL: none */
    const char *aaaa; /* an IPv6 address; NULL: none */
    uint8_t code;     /* 2 SERVFAIL, 3 NXDOMAIN */
    bool silent;
    unsigned delay_ms;
};

/* Errors: HM_NOMEM; HM_NETWORK. */
int hm_name_server_start(struct hm_name_server **out_server) HM_MUST_USE;
void hm_name_server_set(struct hm_name_server *server,
                        const struct hm_name_answer *answer);
/* Questions so far. */
uint64_t hm_name_server_asked(struct hm_name_server *server);
/* NULL is allowed. */
void hm_name_server_stop(struct hm_name_server *server);

#endif
