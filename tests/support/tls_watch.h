/* Sees where requests begin in a TLS conversation from its record headers alone.
 *
 * A proxy that cannot read what it carries still has to know the end of the handshake,
 * to lose a reply without losing the handshake, and to count requests. Works for TLS
 * 1.2 and 1.3 without client certificates or early data; in what is not TLS at all,
 * every byte upward belongs to a request. Pure: no allocation, no clock. */
#ifndef HM_TESTS_SUPPORT_TLS_WATCH_H
#define HM_TESTS_SUPPORT_TLS_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hm_tls_side {
    uint8_t header[5];
    size_t header_len;
    size_t left; /* bytes of the current record's body still to come */
};

/* All zero is the state of a new connection. */
struct hm_tls_watch {
    struct hm_tls_side up;
    struct hm_tls_side down;
    bool plain;       /* the first byte upward was not a TLS handshake */
    bool any_up;      /* something was seen upward */
    bool server_data; /* the server sent an application data record */
    bool finished;    /* the client's hidden Finished of TLS 1.3 has passed */
    bool in_request;  /* the last application data went upward */
    uint64_t requests;
};

/* Bytes that go to the server, in order, in pieces of any size. */
void hm_tls_watch_up(struct hm_tls_watch *watch, const uint8_t *data, size_t len);
/* Bytes that come from the server. */
void hm_tls_watch_down(struct hm_tls_watch *watch, const uint8_t *data, size_t len);

#endif
