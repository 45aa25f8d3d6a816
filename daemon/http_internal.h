/* What http_server.c, http_request.c and http_listen.c share. Nobody else includes it.
 */
#ifndef HM_DAEMON_HTTP_INTERNAL_H
#define HM_DAEMON_HTTP_INTERNAL_H

#include <microhttpd.h>
#include <netinet/in.h>

#include "daemon/http_server.h"

enum request_state {
    REQUEST_HEAD,    /* within on_head */
    REQUEST_BODY,    /* more body may come */
    REQUEST_CHUNK,   /* the owner has a chunk; nothing is read */
    REQUEST_WAITING, /* the owner owes the answer */
    REQUEST_STREAM,  /* answered by a stream that the owner has not ended */
    REQUEST_ANSWERED /* only the sending is left */
};

struct http_connection {
    struct http_connection *prev, *next;
    struct hm_http_server *server;
    int fd;
    uint64_t
        head_at_ms; /* a complete head must have come by then; 0 within a request */
    char *target;   /* of the request whose head is being read */
    char address[INET6_ADDRSTRLEN];
};

struct hm_http_request {
    struct hm_http_request *prev, *next;
    struct hm_http_server *server;
    struct http_connection *connection;
    struct MHD_Connection *mhd; /* NULL once MHD is through with the request */
    enum request_state state;
    bool suspended;
    bool gone;
    bool shown;     /* on_head has run */
    bool owed;      /* the owner must answer, or end its stream */
    bool readable;  /* within on_head or on_request: headers may be looked up */
    bool too_large; /* the body went over its limit: it is being thrown away */
    char *method, *path, *target;
    char address[INET6_ADDRSTRLEN];
    enum hm_http_body mode;
    size_t body_bytes_max;
    size_t body_bytes; /* arrived so far */
    struct hm_buf body;
    uint64_t waiting_since_ms;
    unsigned status;
    struct MHD_Response *response; /* made, not yet handed to MHD */
    struct hm_buf queue;           /* of a stream */
    size_t queue_sent;
    bool room_wanted;
    void *data;
};

struct hm_http_server {
    uv_loop_t *loop;
    struct hm_http_handler handler;
    void *owner;
    struct MHD_Daemon *mhd;
    enum hm_http_peer peer;
    uint16_t port;
    char *unix_path;
    uint64_t unix_inode;
    uint32_t head_ms_max, idle_ms_max, answer_ms_max, close_ms_max;
    struct http_connection *connections;
    struct hm_http_request *requests;
    unsigned connection_count, connections_max;
    uv_poll_t poll;
    uv_prepare_t prepare;
    uv_timer_t timer; /* what MHD_get_timeout() asks for */
    uv_timer_t sweep; /* deadlines and disconnects that MHD does not look for */
    uv_idle_t idle;   /* one forced MHD_run() */
    unsigned handles;
    bool closing, quiesced, stopped;
    uint64_t close_at_ms;
    hm_http_server_closed_cb closed;
};

/* A listening, non-blocking socket. Errors as hm_http_server_open(). */
HM_MUST_USE int http_listen(const struct hm_http_server_options *options, char *errmsg,
                            size_t errmsg_len, int *out_fd);

/* Have MHD_run() called in the next turn of the loop. */
void http_server_kick(struct hm_http_server *server);
/* Have the connection fail as if the peer had gone. */
void http_connection_cut(struct http_connection *connection);

/* MHD callbacks. */
enum MHD_Result http_request_on_access(void *cls, struct MHD_Connection *mhd,
                                       const char *path, const char *method,
                                       const char *version, const char *upload,
                                       size_t *upload_len, void **data);
void http_request_on_completed(void *cls, struct MHD_Connection *mhd, void **data,
                               enum MHD_RequestTerminationCode code);

/* The server answers in place of the owner, who still owes its answer. */
void http_request_give_up(struct hm_http_request *req);
/* The client went away: tell the owner of a stream, note it for all others. */
void http_request_lose(struct hm_http_request *req);

#endif
