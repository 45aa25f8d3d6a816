/* HTTP/1.1 on the loop: one listening socket (TCP, TCP with TLS, or a Unix socket) and
 * the requests that arrive on it. It knows nothing of paths, rights or formats: the
 * owner decides on each request. Several servers may live on one loop.
 *
 * Loop thread only; nothing here blocks, but for the sending of files, which reads
 * them. The process must ignore SIGPIPE.
 *
 * The life of a request:
 *   on_head     the head is complete. The owner calls hm_http_request_accept(), or
 *               answers at once (the body is then not read and the connection closed).
 *   on_chunk    HM_HTTP_BODY_CHUNKS only, for each piece of the body. No more is read
 *               before hm_http_request_chunk_done().
 *   on_request  the body is complete. The owner owes one answer from here on, now or in
 *               a later turn: one call of a hm_http_request_respond*() function.
 *   on_room     streams only: see hm_http_stream_write().
 *   on_done     last, exactly once for each on_head; the request is freed behind it.
 * A request that ends without on_request (the client went away within the body) sees
 * on_done straight away. Once on_request ran, on_done waits for the owner's answer. */
#ifndef HM_DAEMON_HTTP_SERVER_H
#define HM_DAEMON_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "daemon/http_header.h"
#include "protocol/buf.h"

enum {
    HM_HTTP_CHUNK_BYTES = 64 * 1024, /* the largest piece that on_chunk gets */
    HM_HTTP_POOL_BYTES = 8 * 1024    /* per connection; bounds the request head */
};

enum hm_http_peer { HM_HTTP_PEER_TCP, HM_HTTP_PEER_TLS, HM_HTTP_PEER_UNIX };

enum hm_http_body {
    HM_HTTP_BODY_MEMORY, /* whole, in hm_http_request_body() */
    HM_HTTP_BODY_CHUNKS  /* piece by piece, to on_chunk */
};

struct hm_http_server;
struct hm_http_request;

/* Any may be NULL but on_head and on_request; a NULL on_chunk forbids
 * HM_HTTP_BODY_CHUNKS. They may call any function here, hm_http_server_close() too. */
struct hm_http_handler {
    void (*on_head)(void *owner, struct hm_http_request *req);
    /* bytes stay valid until hm_http_request_chunk_done(). */
    void (*on_chunk)(void *owner, struct hm_http_request *req, struct hm_bytes bytes);
    void (*on_request)(void *owner, struct hm_http_request *req);
    void (*on_room)(void *owner, struct hm_http_request *req);
    void (*on_done)(void *owner, struct hm_http_request *req);
};

typedef void (*hm_http_server_closed_cb)(void *owner);

/* 0 and NULL take the default. */
struct hm_http_server_options {
    const char *unix_path;   /* a Unix socket of mode 0600, else: */
    const char *address;     /* numeric IPv4 or IPv6; default 127.0.0.1 */
    uint16_t port;           /* 0: any free one, see hm_http_server_port() */
    const char *tls_key_pem; /* both for TLS; copied */
    const char *tls_cert_pem;
    const char *tls_priorities; /* GnuTLS; default HM_HTTP_TLS_PRIORITIES */
    unsigned connections_max;   /* default 256; further ones wait in the backlog */
    uint32_t head_ms_max;       /* from connecting to the end of the head: 20,000 */
    uint32_t idle_s_max;        /* without a byte moving, and between requests: 60 */
    uint32_t answer_ms_max;     /* the owner's time to answer, else 503: 300,000 */
    uint32_t close_ms_max;      /* closing waits so long for answers to leave: 2,000 */
};

/* TLS 1.3 and 1.2, elliptic curves only: what is needed, in few bytes. */
#define HM_HTTP_TLS_PRIORITIES                                                         \
    "NONE:+VERS-TLS1.3:+VERS-TLS1.2:+AES-128-GCM:+CHACHA20-POLY1305:+AES-256-GCM:"     \
    "+AEAD:+ECDHE-ECDSA:+ECDHE-RSA:+GROUP-X25519:+GROUP-SECP256R1:"                    \
    "+SIGN-ECDSA-SHA256:+SIGN-ECDSA-SECP256R1-SHA256:+SIGN-RSA-PSS-RSAE-SHA256:"       \
    "+SIGN-RSA-SHA256:+COMP-NULL:%NO_TICKETS:%SERVER_PRECEDENCE"

/* Listen. handler is copied; owner is passed to its functions. Options are not kept. A
 * stale Unix socket file is replaced only when nobody answers on it. On error
 * *out_server is unchanged and errmsg (errmsg_len bytes, may be NULL) holds one line
 * for a person.
 *
 * Errors:
 *   HM_NOMEM
 *   HM_BUSY     address, port or path is in use
 *   HM_INVALID  not an address, path too long, unusable key or certificate
 *   HM_IO       the socket cannot be made or bound for another reason */
HM_MUST_USE int hm_http_server_open(uv_loop_t *loop,
                                    const struct hm_http_server_options *options,
                                    const struct hm_http_handler *handler, void *owner,
                                    char *errmsg, size_t errmsg_len,
                                    struct hm_http_server **out_server);

/* The TCP port that is listened on; 0 for a Unix socket. */
uint16_t hm_http_server_port(const struct hm_http_server *server);
/* Open connections, idle ones too. */
unsigned hm_http_server_connections(const struct hm_http_server *server);

/* Stop listening at once. Requests that wait for the owner are answered 503, bodies on
 * their way are cut, streams are ended; hm_http_request_gone() is true for all. closed
 * is called in a later turn, when the owner has answered every request it owes and
 * ended every stream; the server is freed then. NULL server: nothing happens. */
void hm_http_server_close(struct hm_http_server *server,
                          hm_http_server_closed_cb closed);

/* What was asked. Valid until on_done. method as sent ("GET"); path percent-decoded,
 * without the query; target as sent, with it. */
const char *hm_http_request_method(const struct hm_http_request *req);
const char *hm_http_request_path(const struct hm_http_request *req);
const char *hm_http_request_target(const struct hm_http_request *req);
enum hm_http_peer hm_http_request_peer(const struct hm_http_request *req);
/* Numeric address of a TCP peer without port, "unix" else. Valid until on_done. */
const char *hm_http_request_address(const struct hm_http_request *req);

/* The first header of that name (any case) or the decoded query parameter (exact case);
 * NULL if there is none, "" for a parameter without a value. Only inside on_head and
 * on_request, and valid until they return: copy what is kept. */
const char *hm_http_request_header(struct hm_http_request *req, const char *name);
const char *hm_http_request_query(struct hm_http_request *req, const char *name);

/* The owner's own pointer, NULL at first. */
void hm_http_request_set_data(struct hm_http_request *req, void *data);
void *hm_http_request_data(const struct hm_http_request *req);

/* In on_head only: take a body of at most body_bytes_max. A larger one is answered 413
 * by the server and the connection closed, without on_request. */
void hm_http_request_accept(struct hm_http_request *req, enum hm_http_body body,
                            size_t body_bytes_max);
/* The owner is done with the bytes of on_chunk; within on_chunk or in any later turn.
 */
void hm_http_request_chunk_done(struct hm_http_request *req);
/* HM_HTTP_BODY_MEMORY, from on_request until the answer. The owner may change it, or
 * move it out by copying the struct and emptying this one with hm_buf_init(). */
struct hm_buf *hm_http_request_body(struct hm_http_request *req);

/* True when an answer cannot reach the client any more: it disconnected (noticed within
 * half a second or so), was answered 503 since the owner took too long, or the server
 * closes. The owner still owes its one answer, which is dropped. */
bool hm_http_request_gone(const struct hm_http_request *req);

/* Answer. headers are copied; header names go out as given; Date, Content-Length and
 * Connection are the server's own. body is moved: *body is empty afterwards; NULL for
 * none. A body whose err is set, an invalid header or no memory give a 500 instead. */
void hm_http_request_respond(struct hm_http_request *req, unsigned status,
                             const struct hm_http_header *headers, size_t header_count,
                             struct hm_buf *body);
/* Answer with len bytes of a regular file from offset on. fd is the server's to close.
 */
void hm_http_request_respond_file(struct hm_http_request *req, unsigned status,
                                  const struct hm_http_header *headers,
                                  size_t header_count, int fd, uint64_t offset,
                                  uint64_t len);
/* Answer with a stream of unknown length, of which at most queue_bytes_max wait to be
 * sent. The owner ends it with hm_http_stream_end(), gone or not. */
void hm_http_request_respond_stream(struct hm_http_request *req, unsigned status,
                                    const struct hm_http_header *headers,
                                    size_t header_count, size_t queue_bytes_max);

/* Queue bytes, which are copied.
 *
 * Errors, with nothing queued:
 *   HM_AGAIN     no room now; on_room is called once when the queue has run empty
 *   HM_TOOBIG    more than queue_bytes_max at once
 *   HM_CANCELED  the client is gone: call hm_http_stream_end()
 *   HM_NOMEM
 * on_room is also called once when the client goes. */
HM_MUST_USE int hm_http_stream_write(struct hm_http_request *req,
                                     struct hm_bytes bytes);
/* No more follows; req is not the caller's any more. */
void hm_http_stream_end(struct hm_http_request *req);

#endif
