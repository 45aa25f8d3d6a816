/* Large bodies of the local API: written to a file piece by piece, then handled.
 *
 * Happy path: head() opens a file without a name; chunk() lets the pool write each
 * piece; request() hands the file over to the writer.
 * Failures: a file that cannot be written makes the rest of the body be dropped, and
 * the answer says why.
 * Close: a client that goes while a piece is written is freed when that has ended. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/serve/api_route.h"

#define UPLOAD_BYTES_MAX ((size_t)1024 * 1024 * 1024)

struct upload_exchange {
    struct hm_exchange x;
    struct hm_api_route route;
    int fd;
    uint64_t bytes;
    uv_fs_t write;
    struct hm_bytes piece;             /* what is left of it, in copy */
    uint8_t copy[HM_HTTP_CHUNK_BYTES]; /* the client may go while it is written */
    int err;
};

static int err_from_errno(int number)
{
    return number == ENOSPC || number == EDQUOT ? HM_NOSPACE : HM_IO;
}

static void head(struct hm_exchange *x)
{
    struct upload_exchange *upload = (struct upload_exchange *)x;
    char path[PATH_MAX];

    (void)snprintf(path, sizeof path, "%s/upload.XXXXXX", x->node->dir);
    upload->fd = mkstemp(path);
    if (upload->fd < 0) {
        hm_http_answer_error(x->req, err_from_errno(errno),
                             "there is no room for a file in %s", x->node->dir);
        return;
    }
    (void)unlink(path);
    (void)fcntl(upload->fd, F_SETFD, FD_CLOEXEC);
    hm_http_request_accept(x->req, HM_HTTP_BODY_CHUNKS, UPLOAD_BYTES_MAX);
}

static void write_piece(struct upload_exchange *upload);

static void on_written(uv_fs_t *write)
{
    struct upload_exchange *upload = write->data;
    ssize_t got = write->result;

    uv_fs_req_cleanup(write);
    upload->x.busy = false;
    if (got < 0) {
        upload->err = got == UV_ENOSPC ? HM_NOSPACE : HM_IO;
    } else {
        upload->bytes += (uint64_t)got;
        upload->piece.data += got;
        upload->piece.len -= (size_t)got;
    }
    if (upload->x.over) {
        (void)close(upload->fd);
        hm_exchange_release(&upload->x);
    } else if (upload->err == HM_OK && upload->piece.len > 0) {
        write_piece(upload);
    } else {
        hm_http_request_chunk_done(upload->x.req);
    }
}

static void write_piece(struct upload_exchange *upload)
{
    uv_buf_t buf =
        uv_buf_init((char *)(uintptr_t)upload->piece.data, (unsigned)upload->piece.len);

    upload->write.data = upload;
    upload->x.busy = true;
    if (uv_fs_write(upload->x.node->loop, &upload->write, upload->fd, &buf, 1,
                    (int64_t)upload->bytes, on_written) != 0) {
        upload->x.busy = false;
        upload->err = HM_NOMEM;
        hm_http_request_chunk_done(upload->x.req);
    }
}

static void chunk(struct hm_exchange *x, struct hm_bytes bytes)
{
    struct upload_exchange *upload = (struct upload_exchange *)x;

    if (upload->err != HM_OK) {
        hm_http_request_chunk_done(x->req);
        return;
    }
    memcpy(upload->copy, bytes.data, bytes.len);
    upload->piece = hm_bytes_of(upload->copy, bytes.len);
    write_piece(upload);
}

static void request(struct hm_exchange *x)
{
    struct upload_exchange *upload = (struct upload_exchange *)x;

    if (upload->err != HM_OK) {
        hm_http_answer_error(x->req, upload->err, "the file can't be kept: %s",
                             upload->err == HM_NOSPACE
                                 ? "the disk is full, free some space and try again"
                                 : hm_err_text(upload->err));
        return;
    }
    hm_api_route_submit(&upload->route, x, HM_STORE_WRITE, upload->fd, upload->bytes);
}

static void done(struct hm_exchange *x)
{
    struct upload_exchange *upload = (struct upload_exchange *)x;

    hm_api_route_deinit(&upload->route);
    if (upload->fd >= 0 && !x->busy) {
        (void)close(upload->fd);
    }
}

const struct hm_exchange_kind hm_exchange_upload = {.size =
                                                        sizeof(struct upload_exchange),
                                                    .head = head,
                                                    .chunk = chunk,
                                                    .request = request,
                                                    .done = done};
