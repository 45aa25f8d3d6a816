/* Requests as a stranger would send them to a hub: any certificate is taken, any body
 * is sent. Blocks, at most HM_HTTPS_S seconds. */
#ifndef HM_TESTS_SUPPORT_HTTPS_H
#define HM_TESTS_SUPPORT_HTTPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/buf.h"

enum { HM_HTTPS_S = 30 };

struct hm_https_request {
    uint16_t port;      /* of 127.0.0.1 */
    const char *method; /* NULL: POST */
    const char *path;
    const char *token; /* sent as bearer; NULL: none */
    const char *type;  /* of the body; NULL: application/octet-stream */
    bool asks_first;   /* the body only after the server said to go on */
    const void *body;
    size_t len;
    struct hm_buf *reply; /* gets the answer's body; NULL: dropped */
};

/* The status of the answer; 0 when the connection ended without one. */
long hm_https_send(const struct hm_https_request *request);

#endif
