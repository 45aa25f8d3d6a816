/* Happy path: read a head, judge its Proxy-Authorization, connect, answer 200, then
 * carry bytes both ways until one end is over. A 407 keeps the connection for the
 * answer to its challenge. Every wait is a poll() of a moment. */
#define _GNU_SOURCE /* accept4, strcasestr */

#include "tests/support/connect_proxy.h"

#include <arpa/inet.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/ports.h"

enum { MOMENT_MS = 20, HEAD_BYTES_MAX = 8192 };

#define NONCE "dcd98b7102dd2f0e8b11d0f600bfb0c0"

struct hm_connect_proxy {
    pthread_t thread;
    pthread_mutex_t lock;
    enum hm_connect_proxy_mode mode;
    uint64_t modes; /* counts changes */
    bool stopping;
    struct hm_connect_proxy_counters counters;
    int listener;
    uint16_t port;
    uint16_t elsewhere;
};

struct tunnel {
    struct hm_connect_proxy *proxy;
    enum hm_connect_proxy_mode mode;
    uint64_t modes;
    int client;
    char head[HEAD_BYTES_MAX + 1];
};

static bool same(const struct tunnel *t)
{
    struct hm_connect_proxy *proxy = t->proxy;
    bool same;

    (void)pthread_mutex_lock(&proxy->lock);
    same = !proxy->stopping && proxy->modes == t->modes;
    (void)pthread_mutex_unlock(&proxy->lock);
    return same;
}

static void count(struct hm_connect_proxy *proxy, uint64_t *what)
{
    (void)pthread_mutex_lock(&proxy->lock);
    ++*what;
    (void)pthread_mutex_unlock(&proxy->lock);
}

/* A client that sends nothing behind its head before it is answered. */
static bool hear_head(struct tunnel *t)
{
    struct pollfd one = {.fd = t->client, .events = POLLIN};
    size_t have = 0;

    t->head[0] = 0;
    while (strstr(t->head, "\r\n\r\n") == NULL) {
        ssize_t got;

        while (poll(&one, 1, MOMENT_MS) == 0) {
            if (!same(t)) {
                return false;
            }
        }
        got = recv(t->client, t->head + have, HEAD_BYTES_MAX - have, 0);
        if (got <= 0) {
            return false;
        }
        have += (size_t)got;
        t->head[have] = 0;
    }
    return true;
}

static void say(const struct tunnel *t, const char *text)
{
    (void)send(t->client, text, strlen(text), MSG_NOSIGNAL);
}

static void md5_hex(const char *text, char out[33])
{
    uint8_t hash[16];

    (void)gnutls_hash_fast(GNUTLS_DIG_MD5, text, strlen(text), hash);
    (void)sodium_bin2hex(out, 33, hash, sizeof hash);
}

/* name="value" or name=value of the Digest; "" if it is not there. */
static const char *part(const char *header, const char *name, char out[200])
{
    char needle[40];
    const char *at;
    size_t len;

    out[0] = 0;
    for (int quoted = 1; quoted >= 0; quoted--) {
        (void)snprintf(needle, sizeof needle, "%s=%s", name, quoted == 1 ? "\"" : "");
        at = strstr(header, needle);
        while (at != NULL && at[-1] != ' ' && at[-1] != ',') {
            at = strstr(at + 1, needle); /* nonce in cnonce */
        }
        if (at != NULL) {
            at += strlen(needle);
            len = strcspn(at, quoted == 1 ? "\"" : ", \r\n");
            (void)snprintf(out, 200, "%.*s", (int)len, at);
            return out;
        }
    }
    return out;
}

static bool digest_fits(const char *header)
{
    char user[200];
    char realm[200];
    char nonce[200];
    char uri[200];
    char nc[200];
    char cnonce[200];
    char response[200];
    char text[1200];
    char ha1[33];
    char ha2[33];
    char expected[33];

    (void)snprintf(text, sizeof text, "%s:%s:%s", part(header, "username", user),
                   part(header, "realm", realm), HM_CONNECT_PROXY_PASSWORD);
    md5_hex(text, ha1);
    (void)snprintf(text, sizeof text, "CONNECT:%s", part(header, "uri", uri));
    md5_hex(text, ha2);
    (void)snprintf(text, sizeof text, "%s:%s:%s:%s:auth:%s", ha1,
                   part(header, "nonce", nonce), part(header, "nc", nc),
                   part(header, "cnonce", cnonce), ha2);
    md5_hex(text, expected);
    return strcmp(user, HM_CONNECT_PROXY_USER) == 0 && strcmp(nonce, NONCE) == 0 &&
           strcmp(part(header, "response", response), expected) == 0;
}

static bool basic_fits(const char *header)
{
    static const char pair[] = HM_CONNECT_PROXY_USER ":" HM_CONNECT_PROXY_PASSWORD;
    char expected[200];

    (void)sodium_bin2base64(expected, sizeof expected, (const uint8_t *)pair,
                            strlen(pair), sodium_base64_VARIANT_ORIGINAL);
    return strncmp(header, "Basic ", 6) == 0 &&
           strncmp(header + 6, expected, strlen(expected)) == 0;
}

static bool is_let_in(const struct tunnel *t)
{
    static const char name[] = "\r\nProxy-Authorization: ";
    const char *header = strcasestr(t->head, name);

    if (t->mode != HM_CONNECT_PROXY_BASIC && t->mode != HM_CONNECT_PROXY_DIGEST) {
        return true;
    }
    if (header == NULL) {
        return false;
    }
    header += strlen(name);
    return t->mode == HM_CONNECT_PROXY_BASIC
               ? basic_fits(header)
               : strncmp(header, "Digest ", 7) == 0 && digest_fits(header);
}

static int dial(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

/* False: this end is over. */
static bool carry_once(int from, int to)
{
    char bytes[16384];
    ssize_t got = recv(from, bytes, sizeof bytes, 0);
    ssize_t done = 0;

    while (done < got) {
        ssize_t sent = send(to, bytes + done, (size_t)(got - done), MSG_NOSIGNAL);

        if (sent <= 0) {
            return false;
        }
        done += sent;
    }
    return got > 0;
}

static void carry(const struct tunnel *t, int target)
{
    struct pollfd both[] = {{.fd = t->client, .events = POLLIN},
                            {.fd = target, .events = POLLIN}};
    bool open = true;

    while (open && same(t)) {
        if (poll(both, 2, MOMENT_MS) > 0) {
            open = (both[0].revents == 0 || carry_once(t->client, target)) &&
                   (both[1].revents == 0 || carry_once(target, t->client));
        }
    }
}

static void lead(struct tunnel *t)
{
    const char *colon = strchr(t->head, ':');
    uint16_t port = t->mode == HM_CONNECT_PROXY_SPIES ? t->proxy->elsewhere
                    : colon == NULL                   ? 0
                                    : (uint16_t)strtoul(colon + 1, NULL, 10);
    int target = dial(port);

    if (target < 0) {
        say(t, "HTTP/1.1 504 No\r\nContent-Length: 0\r\n\r\n");
        return;
    }
    count(t->proxy, &t->proxy->counters.tunnels);
    say(t, "HTTP/1.1 200 Connection established\r\n\r\n");
    carry(t, target);
    (void)close(target);
}

static void challenge(const struct tunnel *t)
{
    say(t, t->mode == HM_CONNECT_PROXY_BASIC
               ? "HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=\"xa\"\r\n"
                 "Retry-After: 86400\r\nContent-Length: 0\r\n\r\n"
               : "HTTP/1.1 407 No\r\nProxy-Authenticate: Digest realm=\"xa\", "
                 "nonce=\"" NONCE "\", qop=\"auth\", algorithm=MD5\r\n"
                 "Content-Length: 0\r\n\r\n");
}

static void serve(struct tunnel *t)
{
    while (hear_head(t)) {
        count(t->proxy, &t->proxy->counters.asked);
        if (t->mode == HM_CONNECT_PROXY_CLOSES) {
            return;
        }
        if (t->mode == HM_CONNECT_PROXY_PAGE) {
            say(t, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>sign in");
            return;
        }
        if (t->mode == HM_CONNECT_PROXY_502) {
            say(t, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
            return;
        }
        if (is_let_in(t)) {
            lead(t);
            return;
        }
        challenge(t);
    }
}

static void *run(void *arg)
{
    struct hm_connect_proxy *proxy = arg;

    for (;;) {
        struct pollfd one = {.fd = proxy->listener, .events = POLLIN};
        struct tunnel t = {.proxy = proxy, .client = -1};
        bool stopping;

        (void)pthread_mutex_lock(&proxy->lock);
        stopping = proxy->stopping;
        (void)pthread_mutex_unlock(&proxy->lock);
        if (stopping) {
            return NULL;
        }
        if (poll(&one, 1, MOMENT_MS) > 0) {
            t.client = accept4(proxy->listener, NULL, NULL, SOCK_CLOEXEC);
        }
        if (t.client >= 0) {
            (void)pthread_mutex_lock(&proxy->lock);
            t.mode = proxy->mode;
            t.modes = proxy->modes;
            (void)pthread_mutex_unlock(&proxy->lock);
            serve(&t);
            (void)close(t.client);
        }
    }
}

int hm_connect_proxy_start(enum hm_connect_proxy_mode mode, uint16_t elsewhere,
                           struct hm_connect_proxy **out_proxy)
{
    struct hm_connect_proxy *proxy = calloc(1, sizeof *proxy);

    if (proxy == NULL) {
        return HM_NOMEM;
    }
    proxy->mode = mode;
    proxy->elsewhere = elsewhere;
    proxy->port = hm_port_free();
    proxy->listener = hm_port_listen(proxy->port);
    (void)pthread_mutex_init(&proxy->lock, NULL);
    if (proxy->listener < 0 || pthread_create(&proxy->thread, NULL, run, proxy) != 0) {
        if (proxy->listener >= 0) {
            (void)close(proxy->listener);
        }
        (void)pthread_mutex_destroy(&proxy->lock);
        free(proxy);
        return HM_NETWORK;
    }
    *out_proxy = proxy;
    return HM_OK;
}

uint16_t hm_connect_proxy_port(const struct hm_connect_proxy *proxy)
{
    return proxy->port;
}

void hm_connect_proxy_set(struct hm_connect_proxy *proxy,
                          enum hm_connect_proxy_mode mode)
{
    (void)pthread_mutex_lock(&proxy->lock);
    proxy->mode = mode;
    proxy->modes++;
    (void)pthread_mutex_unlock(&proxy->lock);
}

struct hm_connect_proxy_counters
hm_connect_proxy_counters(struct hm_connect_proxy *proxy)
{
    struct hm_connect_proxy_counters counters;

    (void)pthread_mutex_lock(&proxy->lock);
    counters = proxy->counters;
    (void)pthread_mutex_unlock(&proxy->lock);
    return counters;
}

void hm_connect_proxy_stop(struct hm_connect_proxy *proxy)
{
    if (proxy == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&proxy->lock);
    proxy->stopping = true;
    (void)pthread_mutex_unlock(&proxy->lock);
    (void)pthread_join(proxy->thread, NULL);
    (void)pthread_mutex_destroy(&proxy->lock);
    (void)close(proxy->listener);
    free(proxy);
}
