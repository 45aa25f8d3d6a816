#include "daemon/proxy_settings.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail_errno(const char *path, struct hm_buf *errmsg)
{
    hm_buf_printf(errmsg, "the password of the proxy: %s: %s", path, strerror(errno));
    return errno == ENOENT ? HM_NOTFOUND : errno == EACCES ? HM_DENIED : HM_IO;
}

static int read_password(int fd, const char *path, struct hm_proxy_settings *out,
                         struct hm_buf *errmsg)
{
    struct stat about;
    ssize_t len;

    if (fstat(fd, &about) != 0) {
        return fail_errno(path, errmsg);
    }
    if ((about.st_mode & 077) != 0) {
        hm_buf_printf(errmsg,
                      "the password of the proxy: %s: others may read it: chmod 600",
                      path);
        return HM_DENIED;
    }
    len = read(fd, out->password, sizeof out->password);
    if (len < 0) {
        out->password[0] = 0;
        return fail_errno(path, errmsg);
    }
    if (len > 0 && out->password[len - 1] == '\n') {
        len--;
    }
    if (len == 0 || len == sizeof out->password ||
        memchr(out->password, '\n', (size_t)len) != NULL ||
        memchr(out->password, 0, (size_t)len) != NULL) {
        sodium_memzero(out->password, sizeof out->password);
        hm_buf_printf(errmsg, "the password of the proxy: %s: not one line", path);
        return HM_INVALID;
    }
    out->password[len] = 0;
    return HM_OK;
}

int hm_proxy_settings_load(const struct hm_config *config, const char *dir,
                           struct hm_proxy_settings *out, struct hm_buf *errmsg)
{
    const char *file = config->proxy_password_file;
    char path[PATH_MAX];
    int fd;
    int err;

    sodium_memzero(out->password, sizeof out->password);
    out->config = config;
    if (file[0] == 0) {
        return HM_OK;
    }
    if (snprintf(path, sizeof path, "%s%s%s", file[0] == '/' ? "" : dir,
                 file[0] == '/' ? "" : "/", file) >= (int)sizeof path) {
        hm_buf_printf(errmsg, "the password of the proxy: the path is too long");
        return HM_INVALID;
    }
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return fail_errno(path, errmsg);
    }
    err = read_password(fd, path, out, errmsg);
    (void)close(fd); /* was only read */
    return err;
}

void hm_proxy_settings_use(const struct hm_proxy_settings *settings,
                           struct hm_http_call *call)
{
    const struct hm_config *config = settings->config;

    if (config == NULL || config->proxy[0] == 0) {
        return;
    }
    if (strcmp(config->proxy, HM_CONFIG_PROXY_ENVIRONMENT) == 0) {
        call->proxy_environment = true;
        return;
    }
    call->proxy = config->proxy;
    call->no_proxy = config->proxy_except;
    if (config->proxy_user[0] != 0) {
        call->proxy_user = config->proxy_user;
        call->proxy_password = settings->password;
    }
}
