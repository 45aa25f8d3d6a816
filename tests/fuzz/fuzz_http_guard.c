/* The head of a request, one header a line: what passes the guard of the page was asked
 * for at this machine, by the page itself or no page, with the token; what passes the
 * hub's is one of three. */
#include <stdlib.h>
#include <strings.h>

#include "daemon/http_guard.h"
#include "tests/fuzz/fuzz.h"

enum { LINES = 7, PORT = 8470 };

#define TOKEN "0123456789abcdef"

/* A line of its own memory with a NUL; NULL for "-". */
static char *next_line(struct hm_bytes *input)
{
    struct hm_bytes line = hm_fuzz_until(input, '\n');
    char *out = malloc(line.len + 1);

    HM_FUZZ_CHECK(out != NULL);
    if (line.len > 0) {
        memcpy(out, line.data, line.len);
    }
    out[line.len] = 0;
    if (strcmp(out, "-") == 0) {
        free(out);
        return NULL;
    }
    return out;
}

static void check_web(const struct hm_http_head *head)
{
    const char *token = hm_http_guard_bearer(head->authorization);

    HM_FUZZ_CHECK(head->host != NULL && strchr(head->host, '.') != NULL
                      ? strcmp(head->host, "127.0.0.1:8470") == 0
                      : head->host != NULL &&
                            (strcasecmp(head->host, "localhost:8470") == 0 ||
                             strcmp(head->host, "[::1]:8470") == 0));
    HM_FUZZ_CHECK(head->origin == NULL || strncmp(head->origin, "http://", 7) == 0);
    HM_FUZZ_CHECK(head->fetch_site == NULL ||
                  strcmp(head->fetch_site, "cross-site") != 0);
    HM_FUZZ_CHECK(strcmp(head->path, "/healthz") == 0 ||
                  (token != NULL && strcmp(token, TOKEN) == 0 && head->user == NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hm_bytes input = hm_bytes_of(data, size);
    struct hm_http_head head = {.port = PORT, .api_token = TOKEN};
    const char *why = NULL;
    char *lines[LINES];
    unsigned status;

    head.listener = (enum hm_http_listener)hm_fuzz_below(&input, 3);
    for (size_t i = 0; i < LINES; i++) {
        lines[i] = next_line(&input);
    }
    head.method = lines[0] == NULL ? "GET" : lines[0];
    head.path = lines[1] == NULL ? "/" : lines[1];
    head.host = lines[2];
    head.origin = lines[3];
    head.fetch_site = lines[4];
    head.authorization = lines[5];
    head.user = lines[6];
    status = hm_http_guard_check(&head, &why);
    HM_FUZZ_CHECK(status == 0 || (status >= 400 && status < 500 && why != NULL));
    if (status == 0 && head.listener == HM_HTTP_WEB) {
        check_web(&head);
    } else if (status == 0 && head.listener == HM_HTTP_HUB) {
        HM_FUZZ_CHECK(
            (strcmp(head.path, "/healthz") == 0 && strcmp(head.method, "GET") == 0) ||
            ((strcmp(head.path, "/sync/v1") == 0 ||
              strcmp(head.path, "/enroll/v1") == 0) &&
             strcmp(head.method, "POST") == 0));
    }
    for (size_t i = 0; i < LINES; i++) {
        free(lines[i]);
    }
    return 0;
}
