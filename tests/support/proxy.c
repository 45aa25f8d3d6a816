/* Happy path: the listener accepts a client, a socket to the target is connected, each
 * turn of the thread moves what is due in both directions, both ends pass, both sockets
 * are closed.
 * Failures: an error on either socket resets both. A cut resets the client and closes
 * the target's socket in an orderly way, so that what was counted as passed arrives.
 * Close: hm_proxy_stop() wakes the thread, which resets everything and ends. */
#include "tests/support/proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/ports.h"
#include "tests/support/proxy_flow.h"
#include "tests/support/tls_watch.h"

/* A lost reply is over, and with it the connection, when the target was quiet so long.
 */
enum { REPLY_QUIET_MS = 150 };

struct link {
    bool used;
    bool connecting;
    bool frozen;
    bool losing; /* a request has passed whose reply is swallowed */
    int client;
    int target;
    size_t index;
    struct hm_proxy_flow up;
    struct hm_proxy_flow down;
    struct hm_tls_watch watch;
    uint64_t swallowed;
    uint64_t swallowed_at_ms; /* 0: nothing yet since the last byte upward */
};

struct hm_proxy {
    pthread_t thread;
    pthread_mutex_t lock; /* guards all below; the thread lets it go only in poll() */
    int wake[2];
    int listener; /* -1 while down */
    uint16_t port;
    uint16_t target;
    uint64_t turn; /* counts the returns of poll() */
    pthread_cond_t turned;
    bool stopping;
    struct hm_proxy_mode mode;
    struct hm_proxy_bucket up;
    struct hm_proxy_bucket down;
    uint64_t next_cut_ms;            /* of cut_every_ms */
    struct hm_proxy_counters closed; /* of the connections that are over */
    struct link links[HM_PROXY_CONNECTIONS_AT_ONCE];
    struct hm_proxy_connection kept[HM_PROXY_CONNECTIONS_KEPT];
};

static uint64_t clock_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void set_up_socket(int fd)
{
    int on = 1;

    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void close_reset(int fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};

    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    (void)close(fd);
}

static void keep_counts(struct hm_proxy *proxy, const struct link *link)
{
    if (link->index < HM_PROXY_CONNECTIONS_KEPT) {
        proxy->kept[link->index] = (struct hm_proxy_connection){
            .up = link->up.passed,
            .down = link->down.passed,
            .requests = link->watch.requests,
            .open = link->used,
        };
    }
}

enum ending { ENDING_ORDERLY, ENDING_CUT, ENDING_RESET };

static void end_link(struct hm_proxy *proxy, struct link *link, enum ending ending)
{
    if (ending == ENDING_ORDERLY) {
        (void)close(link->client);
    } else {
        close_reset(link->client);
    }
    if (ending == ENDING_RESET) {
        close_reset(link->target);
    } else {
        (void)close(link->target);
    }
    link->used = false;
    keep_counts(proxy, link);
    proxy->closed.up += link->up.passed;
    proxy->closed.down += link->down.passed;
    proxy->closed.requests += link->watch.requests;
    proxy->closed.swallowed += link->swallowed;
    proxy->closed.cuts += ending == ENDING_CUT ? 1 : 0;
    hm_proxy_flow_clear(&link->up);
    hm_proxy_flow_clear(&link->down);
}

static void end_all_as(struct hm_proxy *proxy, enum ending ending)
{
    for (size_t i = 0; i < HM_PROXY_CONNECTIONS_AT_ONCE; i++) {
        if (proxy->links[i].used) {
            end_link(proxy, &proxy->links[i], ending);
        }
    }
}

static void end_all_links(struct hm_proxy *proxy)
{
    end_all_as(proxy, ENDING_RESET);
}

/* A village's mast hands the laptop over, and every connection is gone. */
static void cut_by_time(struct hm_proxy *proxy, uint64_t now_ms)
{
    if (proxy->mode.cut_every_ms > 0 && now_ms >= proxy->next_cut_ms) {
        end_all_as(proxy, ENDING_CUT);
        proxy->next_cut_ms = now_ms + proxy->mode.cut_every_ms;
    }
}

/* NULL when there is no room: the client stays in the kernel's queue. */
static struct link *free_link(struct hm_proxy *proxy)
{
    for (size_t i = 0; i < HM_PROXY_CONNECTIONS_AT_ONCE; i++) {
        if (!proxy->links[i].used) {
            return &proxy->links[i];
        }
    }
    return NULL;
}

static void accept_link(struct hm_proxy *proxy)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(proxy->target),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct link *link = free_link(proxy);
    int client = accept(proxy->listener, NULL, NULL);
    int target;

    if (client < 0) {
        return;
    }
    target = socket(AF_INET, SOCK_STREAM, 0);
    if (target < 0) {
        close_reset(client);
        return;
    }
    set_up_socket(client);
    set_up_socket(target);
    *link = (struct link){.used = true,
                          .connecting = true,
                          .client = client,
                          .target = target,
                          .index = (size_t)proxy->closed.connections++};
    link->up.from = link->down.to = client;
    link->up.to = link->down.from = target;
    keep_counts(proxy, link);
    if (connect(target, (struct sockaddr *)&address, sizeof address) == 0) {
        link->connecting = false;
    } else if (errno != EINPROGRESS) {
        end_link(proxy, link, ENDING_RESET);
    }
}

/* False: the target refused. */
static bool finish_connecting(struct link *link)
{
    int err = 0;
    socklen_t len = sizeof err;

    link->connecting = false;
    return getsockopt(link->target, SOL_SOCKET, SO_ERROR, &err, &len) == 0 && err == 0;
}

static enum hm_proxy_flow_result read_up(struct hm_proxy *proxy, struct link *link,
                                         uint64_t now_ms)
{
    uint8_t buffer[HM_PROXY_FLOW_READ_MAX];
    uint64_t requests = link->watch.requests;
    size_t len;
    enum hm_proxy_flow_result result = hm_proxy_flow_read(&link->up, buffer, &len);

    if (result != HM_PROXY_FLOW_OK || len == 0) {
        return result;
    }
    hm_tls_watch_up(&link->watch, buffer, len);
    if (proxy->mode.drop_reply && link->watch.requests > requests) {
        link->losing = true;
        proxy->mode.drop_reply = proxy->mode.always;
    }
    link->swallowed_at_ms = 0; /* what came before these bytes was not their answer */
    return hm_proxy_flow_queue(&link->up, buffer, len, now_ms + proxy->mode.delay_ms);
}

static enum hm_proxy_flow_result read_down(struct hm_proxy *proxy, struct link *link,
                                           uint64_t now_ms)
{
    uint8_t buffer[HM_PROXY_FLOW_READ_MAX];
    size_t len;
    enum hm_proxy_flow_result result = hm_proxy_flow_read(&link->down, buffer, &len);

    if (result != HM_PROXY_FLOW_OK) {
        return result;
    }
    if (link->losing) {
        link->swallowed += len;
        link->swallowed_at_ms = len > 0 ? now_ms : link->swallowed_at_ms;
        return link->down.ended ? HM_PROXY_FLOW_CUT : HM_PROXY_FLOW_OK;
    }
    if (len == 0) {
        return result;
    }
    hm_tls_watch_down(&link->watch, buffer, len);
    return hm_proxy_flow_queue(&link->down, buffer, len, now_ms + proxy->mode.delay_ms);
}

/* True when the link is over. */
static bool ended(struct hm_proxy *proxy, struct link *link,
                  enum hm_proxy_flow_result result)
{
    if (result == HM_PROXY_FLOW_OK) {
        return false;
    }
    end_link(proxy, link, result == HM_PROXY_FLOW_CUT ? ENDING_CUT : ENDING_RESET);
    return true;
}

static void forget_cut(struct hm_proxy *proxy)
{
    if (!proxy->mode.always) {
        proxy->mode.cut_up = 0;
        proxy->mode.cut_down = 0;
    }
}

/* Both directions are tried whatever poll() said: the sockets don't block, and what is
 * due by time is not poll's business. */
static void move_link(struct hm_proxy *proxy, struct link *link, uint64_t now_ms)
{
    enum hm_proxy_flow_result result;

    if (hm_proxy_flow_wants_read(&link->up) &&
        ended(proxy, link, read_up(proxy, link, now_ms))) {
        return;
    }
    if (hm_proxy_flow_wants_read(&link->down) &&
        ended(proxy, link, read_down(proxy, link, now_ms))) {
        return;
    }
    result = hm_proxy_flow_write(&link->up, &proxy->up, now_ms, proxy->mode.cut_up);
    if (result == HM_PROXY_FLOW_OK) {
        result = hm_proxy_flow_write(&link->down, &proxy->down, now_ms,
                                     proxy->mode.cut_down);
    }
    if (result == HM_PROXY_FLOW_CUT) {
        forget_cut(proxy);
    }
    if (ended(proxy, link, result)) {
        return;
    }
    if (link->swallowed_at_ms > 0 && now_ms - link->swallowed_at_ms >= REPLY_QUIET_MS) {
        end_link(proxy, link, ENDING_CUT);
    } else if (link->up.shut && link->down.shut) {
        end_link(proxy, link, ENDING_ORDERLY);
    } else {
        keep_counts(proxy, link);
    }
}

/* What poll() should watch for one link; fd -1 where nothing, as a socket that hung up
 * would else be reported without pause. */
static void watch_link(struct hm_proxy *proxy, const struct link *link, uint64_t now_ms,
                       struct pollfd *client, struct pollfd *target, uint64_t *next)
{
    *client = (struct pollfd){.fd = -1};
    *target = (struct pollfd){.fd = -1};
    if (!link->used || link->frozen || proxy->mode.stall) {
        return;
    }
    if (link->connecting) {
        *target = (struct pollfd){.fd = link->target, .events = POLLOUT};
        return;
    }
    client->events |= hm_proxy_flow_wants_read(&link->up) ? POLLIN : 0;
    target->events |= hm_proxy_flow_wants_read(&link->down) ? POLLIN : 0;
    client->events |= hm_proxy_flow_wants_write(&link->down, &proxy->down, now_ms, next)
                          ? POLLOUT
                          : 0;
    target->events |=
        hm_proxy_flow_wants_write(&link->up, &proxy->up, now_ms, next) ? POLLOUT : 0;
    client->fd = client->events == 0 ? -1 : link->client;
    target->fd = target->events == 0 ? -1 : link->target;
    if (link->swallowed_at_ms > 0 && link->swallowed_at_ms + REPLY_QUIET_MS < *next) {
        *next = link->swallowed_at_ms + REPLY_QUIET_MS;
    }
}

enum { POLL_WAKE, POLL_LISTENER, POLL_LINKS };

static int watch_all(struct hm_proxy *proxy, struct pollfd *fds)
{
    uint64_t now_ms = clock_ms();
    uint64_t next_ms = now_ms + 60000;

    if (proxy->mode.cut_every_ms > 0 && proxy->next_cut_ms < next_ms) {
        next_ms = proxy->next_cut_ms;
    }

    fds[POLL_WAKE] = (struct pollfd){.fd = proxy->wake[0], .events = POLLIN};
    fds[POLL_LISTENER] = (struct pollfd){
        .fd = free_link(proxy) == NULL ? -1 : proxy->listener, .events = POLLIN};
    for (size_t i = 0; i < HM_PROXY_CONNECTIONS_AT_ONCE; i++) {
        struct pollfd *pair = &fds[POLL_LINKS + 2 * i];

        watch_link(proxy, &proxy->links[i], now_ms, &pair[0], &pair[1], &next_ms);
    }
    return next_ms <= now_ms ? 0 : (int)(next_ms - now_ms);
}

static void move_all(struct hm_proxy *proxy, const struct pollfd *fds)
{
    uint64_t now_ms = clock_ms();
    char bytes[64];

    if (fds[POLL_WAKE].revents != 0) {
        (void)!read(proxy->wake[0], bytes, sizeof bytes);
    }
    hm_proxy_bucket_fill(&proxy->up, now_ms);
    hm_proxy_bucket_fill(&proxy->down, now_ms);
    cut_by_time(proxy, now_ms);
    for (size_t i = 0; i < HM_PROXY_CONNECTIONS_AT_ONCE; i++) {
        struct link *link = &proxy->links[i];

        if (!link->used || link->frozen || proxy->mode.stall) {
            continue;
        }
        if (link->connecting && fds[POLL_LINKS + 2 * i + 1].revents != 0 &&
            !finish_connecting(link)) {
            end_link(proxy, link, ENDING_RESET);
        } else if (!link->connecting) {
            move_link(proxy, link, now_ms);
        }
    }
    if (proxy->listener >= 0 && fds[POLL_LISTENER].revents != 0) {
        accept_link(proxy);
    }
}

static void *run(void *arg)
{
    struct hm_proxy *proxy = arg;
    struct pollfd fds[POLL_LINKS + 2 * HM_PROXY_CONNECTIONS_AT_ONCE];

    (void)pthread_mutex_lock(&proxy->lock);
    while (!proxy->stopping) {
        int timeout_ms = watch_all(proxy, fds);

        (void)pthread_mutex_unlock(&proxy->lock);
        (void)poll(fds, sizeof fds / sizeof *fds, timeout_ms);
        (void)pthread_mutex_lock(&proxy->lock);
        proxy->turn++;
        (void)pthread_cond_broadcast(&proxy->turned);
        move_all(proxy, fds);
    }
    end_all_links(proxy);
    (void)pthread_mutex_unlock(&proxy->lock);
    return NULL;
}

static void wake(struct hm_proxy *proxy)
{
    (void)!write(proxy->wake[1], "w", 1); /* a full pipe wakes it just as well */
}

/* Waits, with the lock, until the thread is out of poll(): while it is inside, the
 * kernel keeps closed sockets alive, and clients would still find them. */
static void take_effect(struct hm_proxy *proxy)
{
    uint64_t turn = proxy->turn;

    wake(proxy);
    while (proxy->turn == turn) {
        (void)pthread_cond_wait(&proxy->turned, &proxy->lock);
    }
}

static int open_listener(uint16_t port)
{
    int fd = hm_port_listen(port);

    if (fd >= 0) {
        set_up_socket(fd);
    }
    return fd;
}

int hm_proxy_start(uint16_t target, uint16_t port, struct hm_proxy **out_proxy)
{
    struct hm_proxy *proxy = calloc(1, sizeof *proxy);
    int err = HM_NOMEM;

    if (proxy == NULL) {
        return HM_NOMEM;
    }
    proxy->target = target;
    proxy->port = port == 0 ? hm_port_free() : port;
    proxy->listener = open_listener(proxy->port);
    if (proxy->listener < 0) {
        err = HM_NETWORK;
        goto fail;
    }
    if (pipe(proxy->wake) != 0) {
        goto fail_listener;
    }
    set_up_socket(proxy->wake[0]);
    set_up_socket(proxy->wake[1]);
    (void)pthread_mutex_init(&proxy->lock, NULL);
    (void)pthread_cond_init(&proxy->turned, NULL);
    if (pthread_create(&proxy->thread, NULL, run, proxy) != 0) {
        goto fail_thread;
    }
    *out_proxy = proxy;
    return HM_OK;

fail_thread:
    (void)pthread_cond_destroy(&proxy->turned);
    (void)pthread_mutex_destroy(&proxy->lock);
    (void)close(proxy->wake[0]);
    (void)close(proxy->wake[1]);
fail_listener:
    (void)close(proxy->listener);
fail:
    free(proxy);
    return err;
}

void hm_proxy_stop(struct hm_proxy *proxy)
{
    if (proxy == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&proxy->lock);
    proxy->stopping = true;
    (void)pthread_mutex_unlock(&proxy->lock);
    wake(proxy);
    (void)pthread_join(proxy->thread, NULL);
    (void)pthread_cond_destroy(&proxy->turned);
    (void)pthread_mutex_destroy(&proxy->lock);
    (void)close(proxy->wake[0]);
    (void)close(proxy->wake[1]);
    if (proxy->listener >= 0) {
        (void)close(proxy->listener);
    }
    free(proxy);
}

uint16_t hm_proxy_port(const struct hm_proxy *proxy)
{
    return proxy->port;
}

void hm_proxy_set(struct hm_proxy *proxy, const struct hm_proxy_mode *mode)
{
    (void)pthread_mutex_lock(&proxy->lock);
    proxy->mode = *mode;
    proxy->up = (struct hm_proxy_bucket){.bytes_per_s = mode->bytes_per_s,
                                         .filled_at_ms = clock_ms()};
    proxy->down = proxy->up;
    proxy->next_cut_ms = clock_ms() + mode->cut_every_ms;
    for (size_t i = 0; i < HM_PROXY_CONNECTIONS_AT_ONCE; i++) {
        proxy->links[i].up.passed_0 = proxy->links[i].up.passed;
        proxy->links[i].down.passed_0 = proxy->links[i].down.passed;
    }
    if (mode->down && proxy->listener >= 0) {
        end_all_links(proxy);
        (void)close(proxy->listener);
        proxy->listener = -1;
    } else if (!mode->down && proxy->listener < 0) {
        proxy->listener = open_listener(proxy->port);
    }
    take_effect(proxy);
    (void)pthread_mutex_unlock(&proxy->lock);
}

struct hm_proxy_mode hm_proxy_mode(struct hm_proxy *proxy)
{
    struct hm_proxy_mode mode;

    (void)pthread_mutex_lock(&proxy->lock);
    mode = proxy->mode;
    (void)pthread_mutex_unlock(&proxy->lock);
    return mode;
}

void hm_proxy_freeze(struct hm_proxy *proxy)
{
    (void)pthread_mutex_lock(&proxy->lock);
    for (size_t i = 0; i < HM_PROXY_CONNECTIONS_AT_ONCE; i++) {
        proxy->links[i].frozen = proxy->links[i].used;
    }
    take_effect(proxy);
    (void)pthread_mutex_unlock(&proxy->lock);
}

void hm_proxy_retarget(struct hm_proxy *proxy, uint16_t target)
{
    (void)pthread_mutex_lock(&proxy->lock);
    proxy->target = target;
    end_all_links(proxy);
    take_effect(proxy);
    (void)pthread_mutex_unlock(&proxy->lock);
}

void hm_proxy_reset(struct hm_proxy *proxy)
{
    (void)pthread_mutex_lock(&proxy->lock);
    end_all_links(proxy);
    take_effect(proxy);
    (void)pthread_mutex_unlock(&proxy->lock);
}

struct hm_proxy_counters hm_proxy_counters(struct hm_proxy *proxy)
{
    struct hm_proxy_counters sum;

    (void)pthread_mutex_lock(&proxy->lock);
    sum = proxy->closed;
    for (size_t i = 0; i < HM_PROXY_CONNECTIONS_AT_ONCE; i++) {
        if (proxy->links[i].used) {
            sum.up += proxy->links[i].up.passed;
            sum.down += proxy->links[i].down.passed;
            sum.requests += proxy->links[i].watch.requests;
            sum.swallowed += proxy->links[i].swallowed;
        }
    }
    (void)pthread_mutex_unlock(&proxy->lock);
    return sum;
}

int hm_proxy_connection(struct hm_proxy *proxy, size_t index,
                        struct hm_proxy_connection *out_connection)
{
    int err = HM_NOTFOUND;

    (void)pthread_mutex_lock(&proxy->lock);
    if (index < proxy->closed.connections && index < HM_PROXY_CONNECTIONS_KEPT) {
        *out_connection = proxy->kept[index];
        err = HM_OK;
    }
    (void)pthread_mutex_unlock(&proxy->lock);
    return err;
}
