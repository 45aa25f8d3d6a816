/* What answers in a hub's place: a captive portal, a broken server, one that speaks TLS
 * with the hub's own key and says what a test wants, byte by byte if need be.
 *
 * A thread of its own serves one connection after the other; functions may be called
 * from any one other thread. Loopback only. */
#ifndef HM_TESTS_SUPPORT_FALSE_HUB_H
#define HM_TESTS_SUPPORT_FALSE_HUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/err.h"

struct hm_false_hub;

/* What happens to a request. Texts are borrowed until the next script. */
struct hm_false_hub_script {
    const char *answer; /* from "HTTP/1.1", whole; NULL: the connection is accepted and
                           nothing is ever said */
    size_t answer_len;  /* 0: as a text */
    size_t cut;         /* so many bytes of it, then the end (or reset); 0: all */
    bool reset;         /* RST instead of an orderly end */
    bool plain;         /* no TLS */
    bool keep;          /* the connection stays for more requests */
    bool unread;        /* answers as soon as anything comes, the request is not read */
    unsigned byte_ms;   /* between two bytes of the answer; 0: at once */
};

struct hm_false_hub_counters {
    uint64_t connections;
    uint64_t handshakes; /* TLS stood */
    uint64_t requests;   /* whole heads and bodies that came */
};

/* On 127.0.0.1 and a free port. Key and certificate are texts in PEM; NULL: some of its
 * own. Errors: HM_NOMEM; HM_NETWORK; HM_INVALID (no such key). */
int hm_false_hub_start(const char *key_pem, const char *cert_pem,
                       const struct hm_false_hub_script *script,
                       struct hm_false_hub **out_hub) HM_MUST_USE;
uint16_t hm_false_hub_port(const struct hm_false_hub *hub);
/* From the next request on; what is being said is cut short. */
void hm_false_hub_set(struct hm_false_hub *hub,
                      const struct hm_false_hub_script *script);
struct hm_false_hub_counters hm_false_hub_counters(struct hm_false_hub *hub);
/* NULL is allowed. */
void hm_false_hub_stop(struct hm_false_hub *hub);

#endif
