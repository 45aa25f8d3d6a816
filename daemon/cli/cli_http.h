/* One HTTP request to the node over DIR/control.sock, and its answer.
 *
 * The only place that knows libcurl. Decides nothing about what an answer means. Blocks
 * until the answer is complete; there is no total timeout, since an enrolment or a sync
 * may rightly take minutes. One thread. */
#ifndef HM_DAEMON_CLI_CLI_HTTP_H
#define HM_DAEMON_CLI_CLI_HTTP_H

#include <stddef.h>
#include <stdint.h>

#include "protocol/buf.h"
#include "protocol/bytes.h"

/* Fill at most len bytes of a body; returns how many, 0 at its end, -1 to give up. */
typedef long (*hm_cli_read_fn)(void *owner, uint8_t *into, size_t len);
/* Take a piece of an answer with a status of 2xx. Returns 0, or -1 to give up. */
typedef int (*hm_cli_write_fn)(void *owner, struct hm_bytes piece);
/* Called a few times a second while the request runs. sent: bytes of the body. */
typedef void (*hm_cli_progress_fn)(void *owner, uint64_t sent, uint64_t received);

/* Everything is borrowed until hm_cli_http_perform() returns. */
struct hm_cli_request {
    const char *dir;    /* the node's folder */
    const char *user;   /* NULL: the operator */
    const char *method; /* "GET" or "POST" */
    const char *path;   /* from the first slash, with its query */
    const char *content_type;
    struct hm_bytes body;        /* sent with its length, unless read is set */
    hm_cli_read_fn read;         /* NULL, or gives a body of unknown length */
    hm_cli_write_fn write;       /* NULL: a 2xx answer is collected too */
    hm_cli_progress_fn progress; /* NULL: none */
    void *owner;                 /* passed to the three */
};

struct hm_cli_answer {
    long status;        /* 0: none arrived */
    struct hm_buf body; /* of a problem, and of a 2xx answer without write */
    char text[256];     /* why the request failed, one line */
};

/* Limits the collected body to len_max bytes. Allocates nothing. */
void hm_cli_http_answer_init(struct hm_cli_answer *answer, size_t len_max);
void hm_cli_http_answer_deinit(struct hm_cli_answer *answer);

/* Send req and wait for its answer, whatever its status.
 *
 * Errors, each with answer->text set:
 *   HM_NETWORK   nobody answers on the socket, or there is none
 *   HM_DENIED    the socket is there but this user may not open it
 *   HM_CANCELED  read or write gave up
 *   HM_TRUNCATED the connection broke off before the answer was complete
 *   HM_TOOBIG    the answer exceeds the limit
 *   HM_NOMEM */
int hm_cli_http_perform(const struct hm_cli_request *req,
                        struct hm_cli_answer *answer) HM_MUST_USE;

/* Append text percent-encoded: all but letters, digits and -._~ . */
void hm_cli_http_encode(struct hm_buf *to, const char *text);

#endif
