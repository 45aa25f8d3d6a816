/* Who may ask at all, decided from the head of a request (docs: web.md "Protection").
 *
 *   control.sock   the file's mode has decided
 *   web, loopback  Host, Origin and Sec-Fetch-Site keep hostile pages out, the token
 *                  keeps other users of the machine out
 *   hub            only POST /sync/v1, POST /enroll/v1 and GET /healthz
 *
 * Pure; any thread. */
#ifndef HM_DAEMON_HTTP_GUARD_H
#define HM_DAEMON_HTTP_GUARD_H

#include <stdint.h>

enum hm_http_listener { HM_HTTP_CONTROL, HM_HTTP_WEB, HM_HTTP_HUB };

/* Headers are NULL when they are absent. */
struct hm_http_head {
    enum hm_http_listener listener;
    uint16_t port; /* that is listened on */
    const char *method;
    const char *path;
    const char *host;
    const char *origin;
    const char *fetch_site;
    const char *authorization;
    const char *user;      /* Hamlet-User */
    const char *api_token; /* what Authorization must show on web */
};

/* 0, or the status to refuse with and one line why. */
unsigned hm_http_guard_check(const struct hm_http_head *head, const char **out_why);

/* The token in "Bearer TOKEN", or NULL. Points into authorization. */
const char *hm_http_guard_bearer(const char *authorization);

#endif
