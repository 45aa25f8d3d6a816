/* The local API: requests in, JSON answers out (docs/api.md). It knows the store and
 * the rules; it knows no socket, no loop and no thread: the caller brings each request
 * to a thread that may block, with a store of that thread.
 *
 * hm_api_kind() runs on any thread and never blocks. hm_api_handle() blocks on the
 * disk; one request at a time for each node struct. */
#ifndef HM_DAEMON_SERVE_API_H
#define HM_DAEMON_SERVE_API_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/buf.h"

struct hm_store;
struct hm_forms;

enum hm_api_kind {
    HM_API_NONE,   /* there is no such route */
    HM_API_READ,   /* on a reader */
    HM_API_WRITE,  /* on the writer */
    HM_API_UPLOAD, /* on the writer; the body was spooled to a file */
    HM_API_LOOP    /* the daemon's own: needs what only the loop knows */
};

/* All texts are borrowed for the call. */
struct hm_api_request {
    const char *method;
    const char *path;         /* percent-decoded, with /api/v1 */
    const char *query;        /* raw, without '?'; "" for none */
    const char *user;         /* Hamlet-User, decoded; NULL: the operator */
    const char *content_type; /* as sent; "" for none */
    struct hm_bytes body;
    int body_fd;            /* HM_API_UPLOAD: the spooled body, at offset 0; else -1.
                             * The caller's to close */
    uint64_t body_bytes;    /* of either */
    const char *token_peer; /* who the listener lets in: "operator" */
};

/* What the handlers may use. Borrowed for the call. */
struct hm_api_node {
    struct hm_store *store;
    struct hm_forms *forms;
    const char *name;
    const char *version;
    const char *dir;
    const char *public_address;  /* HOST:PORT of the hub; NULL: this node is none */
    const uint8_t *tls_key_hash; /* 32 bytes */
    bool saves_refused;          /* the disk is too full for more saves */
};

struct hm_api_answer {
    unsigned status; /* 0 while there is none */
    int err;         /* of hm_api_problem(), HM_OK else: HM_IO and HM_CORRUPT on the
                      * writer end the process */
    char content_type[64];
    struct hm_buf body;
    int file_fd; /* -1, or an unlinked file that holds the body instead */
    uint64_t file_bytes;
    bool again; /* work is left: call hm_api_handle() once more with the same
                 * request and answer; others get their turn in between */
    void (*cancel)(void *progress); /* frees it */
    void *progress; /* the handler's own between calls; NULL at first, and again when
                     * again is false */
    bool saved;     /* something is to be sent to the upstream */
};

/* The query is not part of path. method and path as sent, path percent-decoded. */
enum hm_api_kind hm_api_kind(const char *method, const char *path);

/* An empty answer whose body takes at most body_bytes_max bytes. */
void hm_api_answer_init(struct hm_api_answer *answer, size_t body_bytes_max);
/* Closes the file; NULL is taken. Must not be called while again is set: see
 * hm_api_cancel(). */
void hm_api_answer_deinit(struct hm_api_answer *answer);

/* Carry out a request of kind READ, WRITE or UPLOAD and fill answer. Opens its own
 * transactions, none is open when it returns. Errors are problem documents in answer.
 */
void hm_api_handle(struct hm_api_node *node, const struct hm_api_request *request,
                   struct hm_api_answer *answer);
/* Give up work that hm_api_handle() left with again: frees progress. Same thread. */
void hm_api_cancel(struct hm_api_node *node, struct hm_api_answer *answer);

/* Make answer the problem document of err, an error code (never HM_OK), with the one
 * line for people. What was in the body is dropped. */
void hm_api_problem(struct hm_api_answer *answer, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
