#include "storage/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_BYTES = 64 * 1024 };

static int err_from_errno(int number)
{
    switch (number) {
    case ENOENT:
        return HM_NOTFOUND;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return HM_NOSPACE;
    case EACCES:
    case EPERM:
    case EROFS:
        return HM_DENIED;
    case ENOMEM:
        return HM_NOMEM;
    default:
        return HM_IO;
    }
}

static int disk_make_folder(void *arg, const char *path)
{
    (void)arg;
    return mkdir(path, 0700) == 0 || errno == EEXIST ? HM_OK : err_from_errno(errno);
}

static int disk_list(void *arg, const char *folder, hm_files_name_fn fn, void *fn_arg)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    int err = HM_OK;

    (void)arg;
    if (dir == NULL) {
        return err_from_errno(errno);
    }
    errno = 0;
    while (err == HM_OK && (entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            err = fn(fn_arg, entry->d_name);
        }
        errno = 0;
    }
    if (err == HM_OK && errno != 0) {
        err = err_from_errno(errno); /* half a listing would hide files */
    }
    (void)closedir(dir); /* was only read */
    return err;
}

static int read_all(int fd, struct hm_buf *out)
{
    for (;;) {
        uint8_t *to = hm_buf_reserve(out, 1);
        size_t room;
        ssize_t got;

        if (to == NULL) {
            /* Full: fine when the file ends here too. */
            uint8_t one;

            do {
                got = out->err == HM_TOOBIG ? read(fd, &one, 1) : -1;
            } while (got < 0 && out->err == HM_TOOBIG && errno == EINTR);
            if (got == 0) {
                out->err = HM_OK;
            }
            return out->err;
        }
        room = out->len_max - out->len;
        to = hm_buf_reserve(out, room < READ_BYTES ? room : READ_BYTES);
        if (to == NULL) {
            return out->err;
        }
        got = read(fd, to, room < READ_BYTES ? room : READ_BYTES);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got == 0 ? HM_OK : err_from_errno(errno);
        }
        hm_buf_commit(out, (size_t)got);
    }
}

static int disk_read(void *arg, const char *path, struct hm_buf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    int err;

    (void)arg;
    if (fd < 0) {
        return err_from_errno(errno);
    }
    err = read_all(fd, out);
    (void)close(fd); /* was only read */
    return err;
}

static int write_all(int fd, uint64_t offset, struct hm_bytes bytes)
{
    while (bytes.len > 0) {
        ssize_t put = pwrite(fd, bytes.data, bytes.len, (off_t)offset);

        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return err_from_errno(put == 0 ? ENOSPC : errno);
        }
        bytes.data += put;
        bytes.len -= (size_t)put;
        offset += (uint64_t)put;
    }
    return fsync(fd) == 0 ? HM_OK : err_from_errno(errno);
}

static int disk_write(void *arg, const char *path, uint64_t offset,
                      struct hm_bytes bytes)
{
    int flags = O_WRONLY | O_CLOEXEC | O_NOFOLLOW;
    int fd = open(path, offset == 0 ? flags | O_CREAT | O_TRUNC : flags, 0600);
    int err;

    (void)arg;
    if (fd < 0) {
        return err_from_errno(errno);
    }
    err = write_all(fd, offset, bytes);
    if (close(fd) != 0 && err == HM_OK) {
        err = err_from_errno(errno); /* a file system over a network tells it here */
    }
    return err;
}

static int disk_truncate(void *arg, const char *path, uint64_t size)
{
    (void)arg;
    return truncate(path, (off_t)size) == 0 ? HM_OK : err_from_errno(errno);
}

static int disk_rename(void *arg, const char *from, const char *to)
{
    (void)arg;
    return rename(from, to) == 0 ? HM_OK : err_from_errno(errno);
}

static int disk_remove(void *arg, const char *path)
{
    (void)arg;
    return unlink(path) == 0 ? HM_OK : err_from_errno(errno);
}

static int disk_sync_folder(void *arg, const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int err = HM_OK;

    (void)arg;
    if (fd < 0) {
        return err_from_errno(errno);
    }
    if (fsync(fd) != 0 && errno != EINVAL) { /* some file systems have no such thing */
        err = err_from_errno(errno);
    }
    (void)close(fd); /* was only synced */
    return err;
}

const struct hm_files *hm_files_disk(void)
{
    static const struct hm_files disk = {.make_folder = disk_make_folder,
                                         .list = disk_list,
                                         .read = disk_read,
                                         .write = disk_write,
                                         .truncate = disk_truncate,
                                         .rename = disk_rename,
                                         .remove = disk_remove,
                                         .sync_folder = disk_sync_folder};

    return &disk;
}

int hm_files_join(char out[HM_FILES_PATH_MAX], const char *folder, const char *name)
{
    int len = snprintf(out, HM_FILES_PATH_MAX, "%s/%s", folder, name);

    return len < 0 || len >= HM_FILES_PATH_MAX ? HM_TOOBIG : HM_OK;
}

int hm_files_replace(const struct hm_files *files, const char *folder, const char *name,
                     struct hm_bytes bytes)
{
    char path[HM_FILES_PATH_MAX];
    char temporary[HM_FILES_PATH_MAX];
    int err = hm_files_join(path, folder, name);

    if (err == HM_OK && (size_t)snprintf(temporary, sizeof temporary, "%s.tmp", path) >=
                            sizeof temporary) {
        err = HM_TOOBIG;
    }
    if (err == HM_OK) {
        err = files->write(files->arg, temporary, 0, bytes);
        if (err == HM_OK) {
            err = files->rename(files->arg, temporary, path);
        }
        if (err != HM_OK) {
            /* What could not be written whole only takes up space. */
            int removed = files->remove(files->arg, temporary);

            (void)removed; /* the next attempt writes over it */
        }
    }
    return err == HM_OK ? files->sync_folder(files->arg, folder) : err;
}
