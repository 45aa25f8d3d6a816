/* Listening sockets. Made by us and not by MHD, so that a failure can be named. */
#define _GNU_SOURCE /* accept4-style socket flags */

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/http_internal.h"

enum { BACKLOG = 511 };

static int err_from_errno(int number)
{
    switch (number) {
    case EADDRINUSE:
        return HM_BUSY;
    case ENOMEM:
    case ENOBUFS:
        return HM_NOMEM;
    case EINVAL:
    case EADDRNOTAVAIL:
    case ENAMETOOLONG:
        return HM_INVALID;
    default:
        return HM_IO;
    }
}

static int parse_address(const struct hm_http_server_options *options,
                         struct sockaddr_storage *out, socklen_t *out_len)
{
    const char *address = options->address == NULL ? "127.0.0.1" : options->address;

    if (uv_ip4_addr(address, options->port, (struct sockaddr_in *)out) == 0) {
        *out_len = sizeof(struct sockaddr_in);
        return HM_OK;
    }
    if (uv_ip6_addr(address, options->port, (struct sockaddr_in6 *)out) == 0) {
        *out_len = sizeof(struct sockaddr_in6);
        return HM_OK;
    }
    return HM_INVALID;
}

static int bind_tcp(const struct hm_http_server_options *options, int *out_fd)
{
    struct sockaddr_storage address = {0};
    socklen_t len = 0;
    const int on = 1;
    int number;
    int fd;

    if (parse_address(options, &address, &len) != HM_OK) {
        errno = EINVAL;
        return HM_INVALID;
    }
    fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return err_from_errno(errno);
    }
    /* Else a restart would wait for old connections in TIME_WAIT. */
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address.ss_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    }
    if (bind(fd, (struct sockaddr *)&address, len) != 0 || listen(fd, BACKLOG) != 0) {
        number = errno;
        (void)close(fd);
        errno = number;
        return err_from_errno(number);
    }
    *out_fd = fd;
    return HM_OK;
}

/* Whether nobody listens on the socket file. Only then may it be removed. */
static bool is_stale(const struct sockaddr_un *address)
{
    struct stat info;
    bool stale;
    int fd;

    if (lstat(address->sun_path, &info) != 0 || !S_ISSOCK(info.st_mode)) {
        return false;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return false;
    }
    stale = connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 &&
            errno == ECONNREFUSED; /* a full backlog says EAGAIN */
    (void)close(fd);
    return stale;
}

static int bind_unix(const char *path, int *out_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int number;
    int fd;

    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return HM_INVALID;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (is_stale(&address)) {
        (void)unlink(path); /* bind() tells if it did not go */
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return err_from_errno(errno);
    }
    /* Linux gives the file the mode of the socket: it is never open to others, not even
     * between bind() and chmod(), and the umask of other threads stays alone. */
    if (fchmod(fd, 0600) == 0 &&
        bind(fd, (struct sockaddr *)&address, sizeof address) == 0) {
        if (chmod(path, 0600) == 0 && listen(fd, BACKLOG) == 0) {
            *out_fd = fd;
            return HM_OK;
        }
        number = errno;
        (void)unlink(path);
    } else {
        number = errno;
    }
    (void)close(fd);
    errno = number;
    return err_from_errno(number);
}

int http_listen(const struct hm_http_server_options *options, char *errmsg,
                size_t errmsg_len, int *out_fd)
{
    char where[160];
    int number;
    int err;

    if (options->unix_path != NULL) {
        (void)snprintf(where, sizeof where, "%s", options->unix_path);
        err = bind_unix(options->unix_path, out_fd);
    } else {
        (void)snprintf(where, sizeof where, "%s port %u",
                       options->address == NULL ? "127.0.0.1" : options->address,
                       (unsigned)options->port);
        err = bind_tcp(options, out_fd);
    }
    number = errno;
    if (err != HM_OK && errmsg != NULL) {
        (void)snprintf(errmsg, errmsg_len, "cannot listen on %s: %s", where,
                       err == HM_BUSY ? "in use by another program" : strerror(number));
    }
    return err;
}
