#include "tests/support/name_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/child.h"

enum { MOMENT_MS = 20, PORT = 53, QUESTION_MAX = 300, TYPE_A = 1, TYPE_AAAA = 28 };

struct hm_name_server {
    pthread_t thread;
    pthread_mutex_t lock;
    struct hm_name_answer answer;
    uint64_t asked;
    bool stopping;
    int fd;
};

/* The length of head and question of a query with one question; 0: it is none.
 * *out_type is what it asks for. */
static size_t question_len(const uint8_t *query, size_t len, unsigned *out_type)
{
    size_t at = 12;

    if (len < 17 || query[4] != 0 || query[5] != 1) {
        return 0;
    }
    while (at < len && query[at] != 0) {
        at += (size_t)query[at] + 1;
    }
    if (at + 5 > len) {
        return 0;
    }
    *out_type = (unsigned)query[at + 1] << 8 | query[at + 2];
    return at + 5;
}

static size_t write_address(uint8_t *out, unsigned type, const char *text)
{
    static const uint8_t head[] = {0xc0, 12, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0};
    size_t len = type == TYPE_A ? 4 : 16;

    memcpy(out, head, sizeof head);
    out[3] = (uint8_t)type;
    out[11] = (uint8_t)len;
    if (inet_pton(type == TYPE_A ? AF_INET : AF_INET6, text, out + sizeof head) != 1) {
        return 0;
    }
    return sizeof head + len;
}

static void reply(const struct hm_name_server *server,
                  const struct hm_name_answer *answer, const uint8_t *query, size_t len,
                  const struct sockaddr_in *to)
{
    uint8_t out[QUESTION_MAX + 64];
    unsigned type = 0;
    size_t at = question_len(query, len, &type);
    const char *address = type == TYPE_A      ? answer->a
                          : type == TYPE_AAAA ? answer->aaaa
                                              : NULL;

    if (at == 0 || at > QUESTION_MAX || answer->silent) {
        return;
    }
    memcpy(out, query, at);
    out[2] = 0x81; /* an answer, recursion wanted */
    out[3] = (uint8_t)(0x80 | answer->code);
    memset(out + 6, 0, 6);
    if (address != NULL && answer->code == 0) {
        out[7] = 1;
        at += write_address(out + at, type, address);
    }
    (void)sendto(server->fd, out, at, 0, (const struct sockaddr *)to, sizeof *to);
}

static void *run(void *arg)
{
    struct hm_name_server *server = arg;
    bool stopping = false;

    while (!stopping) {
        struct pollfd one = {.fd = server->fd, .events = POLLIN};
        uint8_t query[512];
        struct sockaddr_in from;
        socklen_t from_len = sizeof from;
        ssize_t len = 0;
        struct hm_name_answer answer;

        if (poll(&one, 1, MOMENT_MS) > 0) {
            len = recvfrom(server->fd, query, sizeof query, 0, (struct sockaddr *)&from,
                           &from_len);
        }
        (void)pthread_mutex_lock(&server->lock);
        answer = server->answer;
        stopping = server->stopping;
        server->asked += len > 0 ? 1 : 0;
        (void)pthread_mutex_unlock(&server->lock);
        if (len > 0) {
            hm_child_sleep(answer.delay_ms / 1000.0);
            reply(server, &answer, query, (size_t)len, &from);
        }
    }
    return NULL;
}

int hm_name_server_start(struct hm_name_server **out_server)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(PORT),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct hm_name_server *server = calloc(1, sizeof *server);

    if (server == NULL) {
        return HM_NOMEM;
    }
    (void)pthread_mutex_init(&server->lock, NULL);
    server->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (server->fd < 0 ||
        bind(server->fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        pthread_create(&server->thread, NULL, run, server) != 0) {
        if (server->fd >= 0) {
            (void)close(server->fd);
        }
        (void)pthread_mutex_destroy(&server->lock);
        free(server);
        return HM_NETWORK;
    }
    *out_server = server;
    return HM_OK;
}

void hm_name_server_set(struct hm_name_server *server,
                        const struct hm_name_answer *answer)
{
    (void)pthread_mutex_lock(&server->lock);
    server->answer = *answer;
    (void)pthread_mutex_unlock(&server->lock);
}

uint64_t hm_name_server_asked(struct hm_name_server *server)
{
    uint64_t asked;

    (void)pthread_mutex_lock(&server->lock);
    asked = server->asked;
    (void)pthread_mutex_unlock(&server->lock);
    return asked;
}

void hm_name_server_stop(struct hm_name_server *server)
{
    if (server == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&server->lock);
    server->stopping = true;
    (void)pthread_mutex_unlock(&server->lock);
    (void)pthread_join(server->thread, NULL);
    (void)pthread_mutex_destroy(&server->lock);
    (void)close(server->fd);
    free(server);
}
