#include "daemon/http_guard.h"

#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

const char *hm_http_guard_bearer(const char *authorization)
{
    if (authorization == NULL || strncasecmp(authorization, "Bearer ", 7) != 0) {
        return NULL;
    }
    authorization += 7;
    while (*authorization == ' ') {
        authorization++;
    }
    return authorization;
}

static bool is_own_host(const char *host, uint16_t port)
{
    static const char *const names[] = {"127.0.0.1", "localhost", "[::1]"};
    char own[32];

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(own, sizeof own, "%s:%u", names[i], (unsigned)port);
        if (strcasecmp(host, own) == 0) {
            return true;
        }
    }
    return false;
}

static bool shows_token(const char *authorization, const char *token)
{
    const char *shown = hm_http_guard_bearer(authorization);

    return shown != NULL && strlen(shown) == strlen(token) &&
           sodium_memcmp(shown, token, strlen(token)) == 0;
}

static unsigned check_web(const struct hm_http_head *head, const char **out_why)
{
    if (head->host == NULL || !is_own_host(head->host, head->port)) {
        *out_why = "this address is not the node's own";
        return 421;
    }
    if (head->origin != NULL && (strncmp(head->origin, "http://", 7) != 0 ||
                                 !is_own_host(head->origin + 7, head->port))) {
        *out_why = "another site may not ask";
        return 403;
    }
    if (head->fetch_site != NULL && strcmp(head->fetch_site, "same-origin") != 0 &&
        strcmp(head->fetch_site, "none") != 0) {
        *out_why = "another site may not ask";
        return 403;
    }
    if (strcmp(head->path, "/healthz") == 0) {
        return 0;
    }
    if (!shows_token(head->authorization, head->api_token)) {
        *out_why = "the token of this node is missing or wrong";
        return 401;
    }
    if (head->user != NULL) {
        *out_why = "Hamlet-User is taken on control.sock alone";
        return 403;
    }
    return 0;
}

static unsigned check_hub(const struct hm_http_head *head, const char **out_why)
{
    bool post =
        strcmp(head->path, "/sync/v1") == 0 || strcmp(head->path, "/enroll/v1") == 0;
    bool get = strcmp(head->path, "/healthz") == 0;

    if (!post && !get) {
        *out_why = "there is nothing here";
        return 404;
    }
    if (strcmp(head->method, post ? "POST" : "GET") != 0) {
        *out_why = post ? "only POST is taken here" : "only GET is taken here";
        return 405;
    }
    return 0;
}

unsigned hm_http_guard_check(const struct hm_http_head *head, const char **out_why)
{
    switch (head->listener) {
    case HM_HTTP_WEB:
        return check_web(head, out_why);
    case HM_HTTP_HUB:
        return check_hub(head, out_why);
    case HM_HTTP_CONTROL:
        break;
    }
    return 0;
}
