#include "daemon/cli/cli_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_temporary(struct hm_cli_file *to)
{
    int fd = open(to->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
                  0666);

    if (fd < 0) {
        return HM_IO;
    }
    to->file = fdopen(fd, "wb");
    if (to->file == NULL) {
        (void)close(fd);
        (void)unlink(to->temporary);
        return HM_NOMEM;
    }
    return HM_OK;
}

static void forget(struct hm_cli_file *to)
{
    free(to->path);
    free(to->temporary);
    *to = (struct hm_cli_file){0};
}

int hm_cli_file_open(struct hm_cli_file *to, const char *path)
{
    struct hm_cli_file made = {.path = strdup(path),
                               .temporary = malloc(strlen(path) + sizeof ".tmp")};
    struct stat there;
    int err = HM_NOMEM;

    if (made.path != NULL && made.temporary != NULL) {
        memcpy(made.temporary, path, strlen(path));
        memcpy(made.temporary + strlen(path), ".tmp", sizeof ".tmp");
        if (stat(path, &there) == 0 && !S_ISREG(there.st_mode)) {
            errno = EEXIST; /* renaming over a device would replace the device */
            err = HM_EXISTS;
        } else {
            err = open_temporary(&made);
        }
    }
    if (err != HM_OK) {
        int why = errno;

        forget(&made);
        errno = why;
        return err;
    }
    *to = made;
    return HM_OK;
}

int hm_cli_file_commit(struct hm_cli_file *to)
{
    bool good =
        fflush(to->file) == 0 && ferror(to->file) == 0 && fsync(fileno(to->file)) == 0;
    int why = errno;

    good = fclose(to->file) == 0 && good;
    to->file = NULL;
    if (good && rename(to->temporary, to->path) != 0) {
        why = errno;
        good = false;
    }
    if (!good) {
        (void)unlink(to->temporary);
    }
    forget(to);
    errno = why;
    return good ? HM_OK : HM_IO;
}

void hm_cli_file_abort(struct hm_cli_file *to)
{
    if (to->file != NULL) {
        (void)fclose(to->file); /* its content is thrown away */
        (void)unlink(to->temporary);
    }
    forget(to);
}
