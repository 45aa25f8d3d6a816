/* Happy path: a netlink socket becomes readable whenever a link, an address or a route
 * changes. What it says is read and thrown away, so that nothing of it needs parsing,
 * and an overrun is as good as a message; the debounce timer then asks getifaddrs().
 * Failures: no netlink: unknown, which counts as up. An error of the socket later on:
 * no more news, the same. Close: both handles, then the socket, then closed(). */
#define _GNU_SOURCE /* IFF_RUNNING */

#include "daemon/link.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MESSAGES_PER_TURN_MAX = 64 };

struct hm_link {
    uv_poll_t poll;
    uv_timer_t timer;
    int fd; /* -1: none, and poll is not a handle */
    uint32_t debounce_ms;
    bool has_route, known;
    unsigned handles;
    hm_link_change_cb on_change;
    void *owner;
    hm_link_closed_cb closed;
};

static bool is_usable(const struct sockaddr *address)
{
    if (address == NULL) {
        return false;
    }
    return address->sa_family == AF_INET ||
           (address->sa_family == AF_INET6 &&
            !IN6_IS_ADDR_LINKLOCAL(&((const struct sockaddr_in6 *)address)->sin6_addr));
}

bool hm_link_judge(const struct ifaddrs *list)
{
    for (; list != NULL; list = list->ifa_next) {
        if ((list->ifa_flags & IFF_LOOPBACK) == 0 && (list->ifa_flags & IFF_UP) != 0 &&
            (list->ifa_flags & IFF_RUNNING) != 0 && is_usable(list->ifa_addr)) {
            return true;
        }
    }
    return false;
}

static void look(struct hm_link *link)
{
    struct ifaddrs *list = NULL;

    link->known = link->fd >= 0 && getifaddrs(&list) == 0;
    link->has_route = !link->known || hm_link_judge(list);
    if (link->known) {
        freeifaddrs(list);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct hm_link *link = timer->data;
    bool before = link->has_route;

    look(link);
    if (link->has_route != before) {
        link->on_change(link->owner, link->has_route);
    }
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct hm_link *link = poll->data;
    char bytes[8192];
    ssize_t len = 1;

    (void)events;
    for (int i = 0; i < MESSAGES_PER_TURN_MAX && len > 0; i++) {
        len = recv(link->fd, bytes, sizeof bytes, MSG_DONTWAIT | MSG_TRUNC);
    }
    if (status < 0 ||
        (len < 0 && errno != EAGAIN && errno != EINTR && errno != ENOBUFS)) {
        (void)uv_poll_stop(poll); /* it would be reported again in every turn */
    }
    if (!uv_is_active((uv_handle_t *)&link->timer)) {
        (void)uv_timer_start(&link->timer, on_timer, link->debounce_ms, 0);
    }
}

/* Returns errno. */
static int open_socket(int *out_fd)
{
    struct sockaddr_nl address = {.nl_family = AF_NETLINK,
                                  .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR |
                                               RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_IFADDR |
                                               RTMGRP_IPV6_ROUTE};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    int number;

    if (fd < 0) {
        return errno;
    }
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        number = errno;
        (void)close(fd);
        return number;
    }
    *out_fd = fd;
    return 0;
}

static int watch(struct hm_link *link, uv_loop_t *loop)
{
    int number = open_socket(&link->fd);

    if (number != 0) {
        return number;
    }
    number = -uv_poll_init(loop, &link->poll, link->fd); /* libuv negates errno */
    if (number != 0) {
        (void)close(link->fd);
        link->fd = -1;
        return number;
    }
    link->poll.data = link;
    link->handles++;
    (void)uv_poll_start(&link->poll, UV_READABLE, on_readable);
    uv_unref((uv_handle_t *)&link->poll);
    return 0;
}

int hm_link_open(uv_loop_t *loop, uint32_t debounce_ms, hm_link_change_cb on_change,
                 void *owner, char *errmsg, size_t errmsg_len,
                 struct hm_link **out_link)
{
    struct hm_link *link = calloc(1, sizeof *link);
    int number;

    if (link == NULL) {
        return HM_NOMEM;
    }
    link->fd = -1;
    link->debounce_ms = debounce_ms == 0 ? 1000 : debounce_ms;
    link->on_change = on_change;
    link->owner = owner;
    (void)uv_timer_init(loop, &link->timer); /* cannot fail */
    link->timer.data = link;
    link->handles = 1;
    number = watch(link, loop);
    look(link); /* behind watch: what changes from now on is told */
    if (errmsg != NULL && errmsg_len > 0) {
        errmsg[0] = 0;
        if (!link->known) {
            (void)snprintf(errmsg, errmsg_len,
                           "cannot watch the network, so it counts as up: %s",
                           strerror(number == 0 ? errno : number));
        }
    }
    *out_link = link;
    return HM_OK;
}

bool hm_link_has_route(const struct hm_link *link)
{
    return link->has_route;
}

bool hm_link_is_known(const struct hm_link *link)
{
    return link->known;
}

static void on_closed(uv_handle_t *handle)
{
    struct hm_link *link = handle->data;
    hm_link_closed_cb closed = link->closed;
    void *owner = link->owner;

    link->handles--;
    if (link->handles > 0) {
        return;
    }
    if (link->fd >= 0) {
        (void)close(link->fd); /* was only read */
    }
    free(link);
    if (closed != NULL) {
        closed(owner);
    }
}

void hm_link_close(struct hm_link *link, hm_link_closed_cb closed)
{
    if (link == NULL) {
        return;
    }
    link->closed = closed;
    if (link->fd >= 0) {
        uv_close((uv_handle_t *)&link->poll, on_closed);
    }
    uv_close((uv_handle_t *)&link->timer, on_closed);
}
