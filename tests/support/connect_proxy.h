/* An HTTP proxy as offices have them: CONNECT, with or without authentication, and some
 * that are of no use. It carries to the port that is asked for on 127.0.0.1.
 *
 * A thread of its own serves one connection after the other; functions may be called
 * from any one other thread. */
#ifndef HM_TESTS_SUPPORT_CONNECT_PROXY_H
#define HM_TESTS_SUPPORT_CONNECT_PROXY_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/err.h"

struct hm_connect_proxy;

enum hm_connect_proxy_mode {
    HM_CONNECT_PROXY_OPEN,
    HM_CONNECT_PROXY_BASIC,  /* user lan, password "bí mật" */
    HM_CONNECT_PROXY_DIGEST, /* the same */
    HM_CONNECT_PROXY_CLOSES, /* without a word */
    HM_CONNECT_PROXY_PAGE,   /* 200 and a page, as if the tunnel stood */
    HM_CONNECT_PROXY_502,
    HM_CONNECT_PROXY_SPIES /* another server than the one that was asked for */
};

#define HM_CONNECT_PROXY_USER     "lan"
#define HM_CONNECT_PROXY_PASSWORD "b\xc3\xad m\xe1\xba\xadt"

struct hm_connect_proxy_counters {
    uint64_t asked;   /* CONNECT requests */
    uint64_t tunnels; /* of them that led somewhere */
};

/* elsewhere is where HM_CONNECT_PROXY_SPIES leads. Errors: HM_NOMEM; HM_NETWORK. */
int hm_connect_proxy_start(enum hm_connect_proxy_mode mode, uint16_t elsewhere,
                           struct hm_connect_proxy **out_proxy) HM_MUST_USE;
uint16_t hm_connect_proxy_port(const struct hm_connect_proxy *proxy);
/* For new connections; the open one is ended. */
void hm_connect_proxy_set(struct hm_connect_proxy *proxy,
                          enum hm_connect_proxy_mode mode);
struct hm_connect_proxy_counters
hm_connect_proxy_counters(struct hm_connect_proxy *proxy);
/* NULL is allowed. */
void hm_connect_proxy_stop(struct hm_connect_proxy *proxy);

#endif
