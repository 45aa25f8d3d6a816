/* HTTP requests to other nodes, on the loop (libcurl). It knows nothing of what they
 * carry and decides nothing: no retry, no redirect, no cookie.
 *
 * Loop thread only; never blocks (names are resolved on a thread of curl's own).
 * curl_global_init() is the process's, before the first client. */
#ifndef HM_DAEMON_HTTP_CLIENT_H
#define HM_DAEMON_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "daemon/http_header.h"
#include "protocol/buf.h"

struct hm_http_client;
struct hm_http_call;

typedef void (*hm_http_call_cb)(struct hm_http_call *call);
typedef void (*hm_http_client_closed_cb)(void *owner);

/* Why no answer came, for those who must tell a person. */
enum hm_http_trouble {
    HM_HTTP_NO_TROUBLE,
    HM_HTTP_NO_NAME,       /* the name look-up failed */
    HM_HTTP_NO_CONNECTION, /* refused, no route, or nobody in time */
    HM_HTTP_STRANGER,      /* not the pinned key, no TLS, or no HTTP */
    HM_HTTP_PROXY_DENIES,  /* it wants another name or password */
    HM_HTTP_PROXY_FAILS,
    HM_HTTP_SILENT, /* slower than low_speed_bytes for too long */
    HM_HTTP_BROKEN  /* anything else */
};

/* The caller's memory, usually a member of a larger request; zero it, then set the
 * first part. Everything pointed to stays valid and the struct untouched from a
 * successful submit until cb. */
struct hm_http_call {
    const char *method; /* NULL: "GET" */
    const char *url;
    const struct hm_http_header *headers;
    size_t header_count;
    struct hm_bytes body; /* sent when not empty, or when method is POST or PUT */
    size_t answer_bytes_max;
    uint32_t connect_ms_max; /* 0: 30,000; with name look-up and TLS handshake */
    uint32_t
        low_speed_s_max; /* 0: 60; so long with less than low_speed_bytes a second */
    uint32_t low_speed_bytes; /* 0: 1 */
    const char *pin;          /* "sha256//base64" of the peer's public key: it replaces
                                 the check of the certificate. NULL: the system's CAs */
    const char *ca_file;      /* NULL: the system's; without a pin only */
    bool https_only;
    const char *proxy;      /* "http://host:port"; NULL: none */
    const char *proxy_user; /* NULL: none; the proxy chooses Basic, Digest or NTLM */
    const char *proxy_password; /* NULL: none */
    const char *no_proxy;       /* hosts, with commas between them; NULL: none */
    bool proxy_environment;     /* proxy is NULL: as https_proxy and its kin say */
    bool fresh;                 /* on a new connection */
    hm_http_call_cb cb;

    /* Set when cb runs. */
    int err;
    char errmsg[256]; /* one line, "" if err is HM_OK */
    enum hm_http_trouble trouble;
    unsigned status;       /* 0 if no answer came */
    struct hm_buf answer;  /* also what came of a broken one; freed by
                              hm_http_call_deinit() */
    char content_type[96]; /* "" if absent; cut if longer */
    char retry_after[64];
    char date[64];           /* of the server's clock, "" if absent */
    bool reused;             /* it went over a connection that stood already */
    uint64_t sent_bytes;     /* HTTP heads and bodies; TLS and TCP are not in it */
    uint64_t received_bytes; /* the same */
    uint64_t first_byte_ms;  /* from submit; 0 if none came */
    uint64_t total_ms;

    /* Private. */
    struct hm_http_client *client;
    struct hm_http_call *prev, *next;
    void *easy;
    void *header_list;
    bool canceled, head_complete, connected;
    enum hm_http_trouble told;
};

/* connections_max is for all hosts together; further calls wait. On error *out_client
 * is unchanged. Errors: HM_NOMEM. */
HM_MUST_USE int hm_http_client_create(uv_loop_t *loop, unsigned connections_max,
                                      struct hm_http_client **out_client);

/* Start call. On HM_OK its cb runs exactly once, in a later turn of the loop, with err:
 *   HM_OK        an answer came, whatever its status
 *   HM_NETWORK   no connection, no answer, too slow, or broken off
 *   HM_DENIED    the peer's key is not the pinned one, or its certificate is not valid
 *   HM_TOOBIG    the answer exceeds answer_bytes_max
 *   HM_MALFORMED what came is not HTTP
 *   HM_CANCELED  by hm_http_client_cancel() or hm_http_client_close()
 *   HM_NOMEM
 * cb may free call, submit again, cancel others, or close the client.
 * Errors, and cb never runs:
 *   HM_NOMEM
 *   HM_INVALID   the URL is none, or not https with https_only
 *   HM_TOOBIG    a header of more than 8 kB
 *   HM_CANCELED  the client is closing */
HM_MUST_USE int hm_http_client_submit(struct hm_http_client *client,
                                      struct hm_http_call *call);

/* cb runs in a later turn with HM_CANCELED, if it has not run yet. */
void hm_http_client_cancel(struct hm_http_call *call);

/* Cancel all, drop the connections; closed(owner) when every cb has run and the client
 * is freed. closed may be NULL. NULL client: nothing happens. */
void hm_http_client_close(struct hm_http_client *client,
                          hm_http_client_closed_cb closed, void *owner);

/* Frees the answer. */
void hm_http_call_deinit(struct hm_http_call *call);

#endif
