/* One file with all that makes this node: a tar of store.db, keys, configuration and
 * token, closed with a passphrase when one is given. */
#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/serve/api_json.h"
#include "daemon/serve/cells.h"
#include "daemon/serve/handlers.h"
#include "daemon/serve/sealed.h"

enum { COPY_BYTES = 64 * 1024, PATH_BYTES = 4096 };

struct backup {
    struct hm_call *call;
    const char *path;
    char part[PATH_BYTES];  /* what becomes the file */
    char store[PATH_BYTES]; /* the store's copy */
    int fd;
    bool made; /* part is there and ours */
    struct hm_sealed *sealed;
    struct archive *tar;
    int err; /* of a write inside of libarchive */
};

static la_ssize_t on_write(struct archive *tar, void *arg, const void *data, size_t len)
{
    struct backup *b = arg;

    b->err = hm_sealed_write(b->sealed, hm_bytes_of(data, len));
    if (b->err != HM_OK) {
        archive_set_error(tar, EIO, "%s", hm_err_text(b->err));
        return -1;
    }
    return (la_ssize_t)len;
}

static int tar_error(struct backup *b)
{
    return b->err != HM_OK ? b->err
                           : hm_call_fail(b->call, HM_IO, "the backup failed: %s",
                                          archive_error_string(b->tar) == NULL
                                              ? "unknown"
                                              : archive_error_string(b->tar));
}

static int copy_content(struct backup *b, int fd, int64_t size)
{
    static const char zeros[512];
    uint8_t *buffer = malloc(COPY_BYTES);
    int err = buffer == NULL ? HM_NOMEM : HM_OK;

    /* Exactly the announced size, should the file change meanwhile. */
    while (err == HM_OK && size > 0) {
        size_t want = size < COPY_BYTES ? (size_t)size : COPY_BYTES;
        ssize_t got = read(fd, buffer, want);
        const void *data = buffer;

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            err = HM_IO;
            break;
        }
        if (got == 0) {
            data = zeros;
            got = (ssize_t)(want < sizeof zeros ? want : sizeof zeros);
        }
        err =
            archive_write_data(b->tar, data, (size_t)got) == got ? HM_OK : tar_error(b);
        size -= got;
    }
    free(buffer);
    return err;
}

static int add_open_file(struct backup *b, int fd, const char *name)
{
    struct archive_entry *entry = archive_entry_new();
    struct stat info;
    int err = HM_OK;

    if (entry == NULL || fstat(fd, &info) != 0) {
        archive_entry_free(entry);
        return entry == NULL ? HM_NOMEM : HM_IO;
    }
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0600);
    archive_entry_set_size(entry, info.st_size);
    archive_entry_set_mtime(entry, info.st_mtime, 0);
    if (archive_write_header(b->tar, entry) != ARCHIVE_OK) {
        err = tar_error(b);
    }
    archive_entry_free(entry);
    return err == HM_OK ? copy_content(b, fd, info.st_size) : err;
}

/* needed false: a file that is not there is left out. */
static int add_file(struct backup *b, const char *path, const char *name, bool needed)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    int err;

    if (fd < 0) {
        return errno == ENOENT && !needed
                   ? HM_OK
                   : hm_call_fail(b->call, HM_IO, "%s cannot be read", path);
    }
    err = add_open_file(b, fd, name);
    (void)close(fd); /* was only read */
    return err;
}

static int add_of_node(struct backup *b, const char *name)
{
    char path[PATH_BYTES];

    if ((size_t)snprintf(path, sizeof path, "%s/%s", b->call->node->dir, name) >=
        sizeof path) {
        return HM_IO;
    }
    return add_file(b, path, name, false);
}

static int add_keys(struct backup *b)
{
    char path[PATH_BYTES];
    char name[PATH_BYTES];
    struct dirent *next;
    DIR *folder;
    int err = HM_OK;

    if ((size_t)snprintf(path, sizeof path, "%s/keys", b->call->node->dir) >=
        sizeof path) {
        return HM_IO;
    }
    folder = opendir(path);
    if (folder == NULL) {
        return errno == ENOENT
                   ? HM_OK
                   : hm_call_fail(b->call, HM_IO, "%s cannot be read", path);
    }
    while (err == HM_OK && (next = readdir(folder)) != NULL) {
        if (next->d_name[0] != '.') {
            (void)snprintf(name, sizeof name, "keys/%.255s", next->d_name);
            err = add_of_node(b, name);
        }
    }
    (void)closedir(folder); /* was only read */
    return err;
}

static int write_tar(struct backup *b)
{
    int err;

    b->tar = archive_write_new();
    if (b->tar == NULL) {
        return HM_NOMEM;
    }
    if (archive_write_set_format_pax_restricted(b->tar) != ARCHIVE_OK ||
        archive_write_set_bytes_in_last_block(b->tar, 1) != ARCHIVE_OK ||
        archive_write_open(b->tar, b, NULL, on_write, NULL) != ARCHIVE_OK) {
        return tar_error(b);
    }
    err = add_file(b, b->store, "store.db", true);
    if (err == HM_OK) {
        err = add_keys(b);
    }
    if (err == HM_OK) {
        err = add_of_node(b, "hamletd.conf");
    }
    if (err == HM_OK) {
        err = add_of_node(b, "api-token");
    }
    if (err == HM_OK && archive_write_close(b->tar) != ARCHIVE_OK) {
        err = tar_error(b);
    }
    return err;
}

/* -- The file -- */

static int begin(struct backup *b)
{
    struct stat info;

    if (b->path[0] != '/') {
        return hm_call_fail(b->call, HM_INVALID, "path must be absolute, not %s",
                            b->path);
    }
    if ((size_t)snprintf(b->part, sizeof b->part, "%s.part", b->path) >=
            sizeof b->part ||
        (size_t)snprintf(b->store, sizeof b->store, "%s.store", b->path) >=
            sizeof b->store) {
        return hm_call_fail(b->call, HM_INVALID, "path is too long");
    }
    if (lstat(b->path, &info) == 0) {
        return hm_call_fail(b->call, HM_EXISTS, "%s is there already", b->path);
    }
    b->fd = open(b->part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (b->fd < 0) {
        return errno == EEXIST
                   ? hm_call_fail(b->call, HM_EXISTS,
                                  "%s is there already: another backup runs, or one "
                                  "broke off; remove it",
                                  b->part)
                   : hm_call_fail(b->call, errno == ENOSPC ? HM_NOSPACE : HM_INVALID,
                                  "%s cannot be written by the node: %s", b->part,
                                  strerror(errno));
    }
    b->made = true;
    return HM_OK;
}

/* Its name only now, and never over another file. */
static int publish(struct backup *b)
{
    char folder[PATH_BYTES];
    int fd;

    if (fsync(b->fd) != 0) {
        return errno == ENOSPC ? HM_NOSPACE : HM_IO;
    }
    if (link(b->part, b->path) != 0) {
        if (errno == EEXIST) {
            return hm_call_fail(b->call, HM_EXISTS, "%s is there already", b->path);
        }
        if (rename(b->part, b->path) != 0) { /* a stick without hard links */
            return HM_IO;
        }
        b->made = false;
    }
    (void)snprintf(folder, sizeof folder, "%s", b->path);
    *(strrchr(folder, '/') + 1) = 0;
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd); /* some file systems cannot; the file itself is synced */
        (void)close(fd); /* was only read */
    }
    return HM_OK;
}

static void clean_up(struct backup *b)
{
    if (b->tar != NULL) {
        (void)archive_write_free(b->tar); /* an error was returned before */
    }
    hm_sealed_destroy(b->sealed);
    if (b->fd >= 0) {
        (void)close(b->fd); /* synced, or thrown away */
    }
    if (b->made) {
        (void)unlink(b->part); /* the file has its own name, or is not complete */
        (void)unlink(b->store);
    }
}

static int answer(struct backup *b)
{
    struct stat info;

    if (stat(b->path, &info) != 0) {
        return HM_IO;
    }
    b->call->reply =
        json_pack("{s:s, s:I, s:o}", "path", b->path, "bytes", (json_int_t)info.st_size,
                  "created", hm_call_time_json(hm_store_utc_ms(b->call->s)));
    return b->call->reply == NULL ? HM_NOMEM : HM_OK;
}

int hm_backup_handle(struct hm_call *call)
{
    struct backup b = {.call = call, .fd = -1};
    const char *passphrase = NULL;
    int err = hm_api_json_text(call, call->body, "path", true, &b.path);

    if (err == HM_OK) {
        err = hm_api_json_text(call, call->body, "passphrase", false, &passphrase);
    }
    if (err == HM_OK && passphrase != NULL && passphrase[0] == 0) {
        err = hm_call_fail(call, HM_INVALID, "passphrase is empty");
    }
    if (err == HM_OK) {
        err = begin(&b);
    }
    if (err == HM_OK) {
        err = hm_db_backup(hm_store_db(call->s), b.store, NULL, NULL);
    }
    if (err == HM_OK) {
        err = hm_sealed_create(b.fd, hm_bytes_str(passphrase), &b.sealed);
    }
    if (err == HM_OK) {
        err = write_tar(&b);
    }
    if (err == HM_OK) {
        err = hm_sealed_finish(b.sealed);
    }
    if (err == HM_OK) {
        (void)unlink(b.store); /* gone before the file is named */
        err = publish(&b);
    }
    if (err == HM_OK) {
        err = answer(&b);
    }
    clean_up(&b);
    return err;
}
