/* A shared object for LD_PRELOAD: the next sync of a write-ahead log fails, as on a
 * disk that has lost a block, once the file that HM_BAD_SYNC names is there. The file
 * is removed by it. */
#define _GNU_SOURCE /* RTLD_NEXT */

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Not from the system's headers, whose attributes differ between versions. */
int fsync(int fd);
int fdatasync(int fd);

static int is_log(int fd)
{
    char link[64];
    char path[4096];
    ssize_t len;

    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    len = readlink(link, path, sizeof path);
    return len > 4 && memcmp(path + len - 4, "-wal", 4) == 0;
}

static int fails(int fd)
{
    const char *trigger = getenv("HM_BAD_SYNC");

    return trigger != NULL && is_log(fd) && unlink(trigger) == 0;
}

static int call(const char *name, int fd)
{
    int (*next)(int) = NULL;
    void *symbol = dlsym(RTLD_NEXT, name);

    if (symbol == NULL) {
        abort();
    }
    memcpy(&next, &symbol, sizeof next); /* C has no cast for it */
    if (fails(fd)) {
        errno = EIO;
        return -1;
    }
    return next(fd);
}

int fsync(int fd)
{
    return call("fsync", fd);
}

int fdatasync(int fd)
{
    return call("fdatasync", fd);
}
