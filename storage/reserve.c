#include "storage/reserve.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int err_from_errno(int number)
{
    switch (number) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG: /* the device or a limit of the user has no room for so much */
        return HM_NOSPACE;
    case ENOMEM:
        return HM_NOMEM;
    default:
        return HM_IO;
    }
}

int hm_reserve_held_bytes(const char *path, int64_t *out_bytes)
{
    struct stat info;

    if (stat(path, &info) != 0) {
        if (errno != ENOENT) {
            return err_from_errno(errno);
        }
        info.st_blocks = 0;
    }
    *out_bytes = (int64_t)info.st_blocks * 512; /* st_size would count holes */
    return HM_OK;
}

int hm_reserve_make(const char *path, int64_t bytes)
{
    int64_t held = 0;
    int number;
    int fd;
    int err;

    if (bytes <= 0) {
        return HM_INVALID;
    }
    err = hm_reserve_held_bytes(path, &held);
    if (err != HM_OK || held >= bytes) {
        return err;
    }
    fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return err_from_errno(errno);
    }
    do {
        number = posix_fallocate(fd, 0, (off_t)bytes);
    } while (number == EINTR);
    if (number == 0 && fsync(fd) != 0) {
        number = errno;
    }
    (void)close(fd); /* synced: nothing is left to fail */
    if (number != 0) {
        (void)unlink(path); /* half a reserve only keeps the disk full */
        return err_from_errno(number);
    }
    return HM_OK;
}

int hm_reserve_release(const char *path)
{
    return unlink(path) == 0 || errno == ENOENT ? HM_OK : err_from_errno(errno);
}
