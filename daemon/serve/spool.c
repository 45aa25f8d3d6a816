#include "daemon/serve/spool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int err_from_errno(void)
{
    return errno == ENOSPC || errno == EDQUOT ? HM_NOSPACE
           : errno == ENOMEM                  ? HM_NOMEM
                                              : HM_IO;
}

void hm_spool_init(struct hm_spool *spool, const char *folder)
{
    *spool = (struct hm_spool){.folder = folder, .fd = -1};
    hm_buf_init(&spool->buf, 16 * HM_SPOOL_MEMORY_BYTES_MAX);
}

void hm_spool_deinit(struct hm_spool *spool)
{
    if (spool == NULL) {
        return;
    }
    if (spool->fd >= 0) {
        (void)close(spool->fd); /* nobody can read it any more */
        spool->fd = -1;
    }
    hm_buf_deinit(&spool->buf);
}

int hm_spool_file(const char *folder, int *out_fd)
{
    char path[4096];
    int fd;

    if ((size_t)snprintf(path, sizeof path, "%s/answer-XXXXXX", folder) >=
        sizeof path) {
        return HM_IO;
    }
    fd = mkstemp(path); /* 0600 */
    if (fd < 0) {
        return err_from_errno();
    }
    if (unlink(path) != 0) {
        int err = err_from_errno();

        (void)close(fd);
        return err;
    }
    *out_fd = fd;
    return HM_OK;
}

static int write_all(int fd, struct hm_bytes bytes)
{
    while (bytes.len > 0) {
        ssize_t written = write(fd, bytes.data, bytes.len);

        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            return err_from_errno();
        }
        bytes = hm_bytes_of(bytes.data + written, bytes.len - (size_t)written);
    }
    return HM_OK;
}

static void spill(struct hm_spool *spool)
{
    if (spool->fd < 0) {
        spool->err = hm_spool_file(spool->folder, &spool->fd);
    }
    if (spool->err == HM_OK) {
        spool->err = write_all(spool->fd, hm_buf_bytes(&spool->buf));
    }
    spool->file_bytes += spool->buf.len;
    hm_buf_clear(&spool->buf);
}

void hm_spool_write(struct hm_spool *spool, struct hm_bytes bytes)
{
    if (spool->err != HM_OK) {
        return;
    }
    hm_buf_append(&spool->buf, bytes);
    spool->err = spool->buf.err;
    if (spool->err == HM_OK && spool->buf.len >= HM_SPOOL_MEMORY_BYTES_MAX) {
        spill(spool);
    }
}

void hm_spool_text(struct hm_spool *spool, const char *text)
{
    hm_spool_write(spool, hm_bytes_str(text));
}

static int on_piece(const char *data, size_t len, void *arg)
{
    struct hm_spool *spool = arg;

    hm_spool_write(spool, hm_bytes_of(data, len));
    return spool->err == HM_OK ? 0 : -1;
}

void hm_spool_json(struct hm_spool *spool, json_t *value)
{
    if (value == NULL && spool->err == HM_OK) {
        spool->err = HM_NOMEM;
    }
    if (spool->err == HM_OK &&
        json_dump_callback(value, on_piece, spool, JSON_COMPACT | JSON_ENCODE_ANY) !=
            0 &&
        spool->err == HM_OK) {
        spool->err = HM_NOMEM;
    }
    json_decref(value);
}

int hm_spool_finish(struct hm_spool *spool, struct hm_api_answer *answer)
{
    if (spool->err == HM_OK && spool->fd >= 0 && spool->buf.len > 0) {
        spill(spool);
    }
    if (spool->err != HM_OK) {
        return spool->err;
    }
    if (spool->fd >= 0) {
        if (lseek(spool->fd, 0, SEEK_SET) != 0) {
            return HM_IO;
        }
        answer->file_fd = spool->fd;
        answer->file_bytes = spool->file_bytes;
        spool->fd = -1;
        return HM_OK;
    }
    hm_buf_append(&answer->body, hm_buf_bytes(&spool->buf));
    return answer->body.err;
}
