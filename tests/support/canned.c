#include "tests/support/canned.h"

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/fault/loop.h"

struct canned {
    pthread_t thread;
    int listener;
    const char *answers[CANNED_ANSWERS_MAX];
    size_t count;
    struct hm_buf requests[CANNED_ANSWERS_MAX];
    bool joined;
};

static void must(bool good, const char *what)
{
    if (!good) {
        perror(what);
        exit(1);
    }
}

static bool readable(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};

    return poll(&wait, 1, (int)hm_test_rounds(1000, 10000, 10000)) == 1;
}

/* One byte at a time is slow and enough. */
static int take(int fd)
{
    unsigned char c;

    return readable(fd) && read(fd, &c, 1) == 1 ? c : -1;
}

static void take_line(int fd, struct hm_buf *to)
{
    int c;

    do {
        c = take(fd);
        if (c >= 0) {
            hm_buf_append_u8(to, (uint8_t)c);
        }
    } while (c >= 0 && c != '\n');
}

static void take_some(int fd, size_t len, struct hm_buf *to)
{
    for (int c = 0; len > 0 && c >= 0; len--) {
        c = take(fd);
        if (c >= 0) {
            hm_buf_append_u8(to, (uint8_t)c);
        }
    }
}

static void take_chunks(int fd, struct hm_buf *to)
{
    struct hm_buf line;
    size_t len;

    hm_buf_init(&line, 1024);
    do {
        hm_buf_clear(&line);
        take_line(fd, &line);
        len = line.len == 0 ? 0 : strtoul(hm_buf_str(&line), NULL, 16);
        take_some(fd, len, to);
        hm_buf_clear(&line);
        take_line(fd, &line);
    } while (len > 0);
    hm_buf_deinit(&line);
}

static void send_text(int fd, const char *text)
{
    (void)send(fd, text, strlen(text), MSG_NOSIGNAL);
}

static void take_request(int fd, struct hm_buf *to, bool head_only)
{
    const char *length;
    size_t before;

    do {
        before = to->len;
        take_line(fd, to);
    } while (to->len > before + 2);
    if (head_only) {
        return;
    }
    if (strstr(hm_buf_str(to), "Expect: 100-continue") != NULL) {
        send_text(fd, "HTTP/1.1 100 Continue\r\n\r\n");
    }
    if (strstr(hm_buf_str(to), "Transfer-Encoding: chunked") != NULL) {
        take_chunks(fd, to);
        return;
    }
    length = strstr(hm_buf_str(to), "Content-Length: ");
    if (length != NULL) {
        take_some(fd, strtoul(length + 16, NULL, 10), to);
    }
}

static void *serve(void *arg)
{
    struct canned *c = arg;

    hm_fault_spare_thread();
    for (size_t i = 0; i < c->count && readable(c->listener); i++) {
        int fd = accept(c->listener, NULL, NULL);
        bool early = c->answers[i][0] == '!';

        if (fd >= 0) {
            take_request(fd, &c->requests[i], early);
            send_text(fd, c->answers[i] + early);
            (void)close(fd);
        }
    }
    (void)close(c->listener);
    return NULL;
}

struct canned *canned_start(const char *path, const char *const *answers, size_t count)
{
    struct canned *c = calloc(1, sizeof *c);
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    must(c != NULL && count <= CANNED_ANSWERS_MAX, "canned_start");
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    (void)unlink(path);
    c->listener = socket(AF_UNIX, SOCK_STREAM, 0);
    must(c->listener >= 0, "socket");
    must(bind(c->listener, (struct sockaddr *)&address, sizeof address) == 0, path);
    must(listen(c->listener, 4) == 0, "listen");
    c->count = count;
    for (size_t i = 0; i < count; i++) {
        c->answers[i] = answers[i];
        hm_buf_init(&c->requests[i], 16 * 1024 * 1024);
    }
    must(pthread_create(&c->thread, NULL, serve, c) == 0, "pthread_create");
    return c;
}

void canned_join(struct canned *c)
{
    if (!c->joined) {
        (void)pthread_join(c->thread, NULL);
        c->joined = true;
    }
}

void canned_free(struct canned *c)
{
    canned_join(c);
    for (size_t i = 0; i < c->count; i++) {
        hm_buf_deinit(&c->requests[i]);
    }
    free(c);
}

const char *canned_request(struct canned *c, size_t n)
{
    const char *text = n < c->count ? hm_buf_str(&c->requests[n]) : NULL;

    return text == NULL ? "" : text;
}
