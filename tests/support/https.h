/* Requests as a stranger would send them to a hub: any certificate is taken, any body
 * is sent. Blocks, at most HM_HTTPS_S seconds. */
#ifndef HM_TESTS_SUPPORT_HTTPS_H
#define HM_TESTS_SUPPORT_HTTPS_H

#include <stddef.h>
#include <stdint.h>

enum { HM_HTTPS_S = 30 };

struct hm_https_request {
    uint16_t port;      /* of 127.0.0.1 */
    const char *method; /* NULL: POST */
    const char *path;
    const char *token; /* sent as bearer; NULL: none */
    const void *body;
    size_t len;
};

/* The status of the answer; 0 when the connection ended without one. */
long hm_https_send(const struct hm_https_request *request);

#endif
