/* Happy path: accept, shake hands, read a request, say the script's answer, close.
 * Every wait is a poll() of a moment, after which the thread looks whether the script
 * is another one or all is over. */
#define _GNU_SOURCE /* accept4, strcasestr */

#include "tests/support/false_hub.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/tls_key.h"
#include "tests/support/child.h"
#include "tests/support/ports.h"

enum { MOMENT_MS = 20, REQUEST_BYTES_MAX = 2 * 1024 * 1024 };

struct hm_false_hub {
    pthread_t thread;
    pthread_mutex_t lock; /* guards all below but the thread's own */
    struct hm_false_hub_script script;
    uint64_t scripts; /* counts changes */
    struct hm_false_hub_counters counters;
    bool stopping;
    int listener;
    uint16_t port;
    gnutls_certificate_credentials_t credentials;
};

/* One connection, on the thread. */
struct talk {
    struct hm_false_hub *hub;
    struct hm_false_hub_script script;
    uint64_t scripts;
    int fd;
    gnutls_session_t tls; /* NULL: plain */
};

/* Whether the talk goes on: the same script, and nobody stops. */
static bool same(const struct talk *talk)
{
    struct hm_false_hub *hub = talk->hub;
    bool same;

    (void)pthread_mutex_lock(&hub->lock);
    same = !hub->stopping && hub->scripts == talk->scripts;
    (void)pthread_mutex_unlock(&hub->lock);
    return same;
}

/* False: another script, or the end. */
static bool wait_readable(const struct talk *talk)
{
    struct pollfd one = {.fd = talk->fd, .events = POLLIN};

    while (same(talk)) {
        if ((talk->tls != NULL && gnutls_record_check_pending(talk->tls) > 0) ||
            poll(&one, 1, MOMENT_MS) > 0) {
            return true;
        }
    }
    return false;
}

static ssize_t hear(const struct talk *talk, char *to, size_t room)
{
    ssize_t got;

    if (!wait_readable(talk)) {
        return -1;
    }
    if (talk->tls == NULL) {
        return recv(talk->fd, to, room, 0);
    }
    got = gnutls_record_recv(talk->tls, to, room);
    return got == GNUTLS_E_AGAIN || got == GNUTLS_E_INTERRUPTED ? hear(talk, to, room)
                                                                : got;
}

static bool say(const struct talk *talk, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t sent = talk->tls == NULL ? send(talk->fd, text, len, MSG_NOSIGNAL)
                                         : gnutls_record_send(talk->tls, text, len);

        if (sent <= 0) {
            return false;
        }
        text += sent;
        len -= (size_t)sent;
    }
    return true;
}

static size_t body_bytes(const char *head)
{
    const char *at = strcasestr(head, "\r\nContent-Length:");

    return at == NULL ? 0 : (size_t)strtoul(at + 17, NULL, 10);
}

/* A whole request, whose content nobody needs. */
static bool hear_request(const struct talk *talk)
{
    char *text = malloc(REQUEST_BYTES_MAX + 1);
    size_t have = 0;
    size_t need = SIZE_MAX;

    while (text != NULL && have < need && have < REQUEST_BYTES_MAX) {
        ssize_t got = hear(talk, text + have, REQUEST_BYTES_MAX - have);
        const char *end;

        if (got <= 0) {
            break;
        }
        have += (size_t)got;
        text[have] = 0;
        end = strstr(text, "\r\n\r\n");
        if (talk->script.unread) {
            need = have;
        } else if (end != NULL && need == SIZE_MAX) {
            need = (size_t)(end + 4 - text) + body_bytes(text);
        }
    }
    free(text);
    return have >= need;
}

static bool say_answer(const struct talk *talk)
{
    const struct hm_false_hub_script *script = &talk->script;
    size_t len = script->answer_len == 0 ? strlen(script->answer) : script->answer_len;

    if (script->cut > 0 && script->cut < len) {
        len = script->cut;
    }
    if (script->byte_ms == 0) {
        return say(talk, script->answer, len);
    }
    for (size_t i = 0; i < len; i++) {
        double until = hm_child_clock() + script->byte_ms / 1000.0;

        if (!say(talk, script->answer + i, 1)) {
            return false;
        }
        while (same(talk) && hm_child_clock() < until) {
            hm_child_sleep(MOMENT_MS / 1000.0);
        }
        if (!same(talk)) {
            return false;
        }
    }
    return true;
}

static bool shake_hands(struct talk *talk)
{
    int result;

    if (gnutls_init(&talk->tls, GNUTLS_SERVER) != GNUTLS_E_SUCCESS) {
        return false;
    }
    (void)gnutls_set_default_priority(talk->tls);
    (void)gnutls_credentials_set(talk->tls, GNUTLS_CRD_CERTIFICATE,
                                 talk->hub->credentials);
    gnutls_transport_set_int(talk->tls, talk->fd);
    gnutls_handshake_set_timeout(talk->tls, 2000);
    do {
        result = gnutls_handshake(talk->tls);
    } while (result < 0 && gnutls_error_is_fatal(result) == 0 && same(talk));
    return result == GNUTLS_E_SUCCESS;
}

static void count(struct hm_false_hub *hub, uint64_t *what)
{
    (void)pthread_mutex_lock(&hub->lock);
    ++*what;
    (void)pthread_mutex_unlock(&hub->lock);
}

static void take_script(struct talk *talk)
{
    struct hm_false_hub *hub = talk->hub;

    (void)pthread_mutex_lock(&hub->lock);
    talk->script = hub->script;
    talk->scripts = hub->scripts;
    (void)pthread_mutex_unlock(&hub->lock);
}

static void serve(struct talk *talk)
{
    struct hm_false_hub *hub = talk->hub;
    bool goes_on = true;

    if (!talk->script.plain) {
        if (!shake_hands(talk)) {
            return;
        }
        count(hub, &hub->counters.handshakes);
    }
    while (goes_on && hear_request(talk)) {
        count(hub, &hub->counters.requests);
        if (talk->script.answer == NULL) {
            while (same(talk)) {
                hm_child_sleep(MOMENT_MS / 1000.0);
            }
            return;
        }
        goes_on = say_answer(talk) && talk->script.keep;
    }
}

/* What was not read would turn the end into a reset, which overtakes the answer. */
static void end_orderly(int fd)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};
    char bytes[4096];

    (void)shutdown(fd, SHUT_WR);
    while (poll(&one, 1, 10 * MOMENT_MS) > 0 && recv(fd, bytes, sizeof bytes, 0) > 0) {
    }
}

static void hang_up(struct talk *talk)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};

    if (talk->script.reset) {
        (void)setsockopt(talk->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    } else if (talk->tls != NULL) {
        (void)gnutls_bye(talk->tls, GNUTLS_SHUT_WR); /* what follows says the rest */
    }
    if (talk->tls != NULL) {
        gnutls_deinit(talk->tls);
    }
    if (!talk->script.reset) {
        end_orderly(talk->fd);
    }
    (void)close(talk->fd);
}

static void *run(void *arg)
{
    struct hm_false_hub *hub = arg;

    for (;;) {
        struct pollfd one = {.fd = hub->listener, .events = POLLIN};
        struct talk talk = {.hub = hub, .fd = -1};
        bool stopping;

        (void)pthread_mutex_lock(&hub->lock);
        stopping = hub->stopping;
        (void)pthread_mutex_unlock(&hub->lock);
        if (stopping) {
            return NULL;
        }
        if (poll(&one, 1, MOMENT_MS) > 0) {
            talk.fd = accept4(hub->listener, NULL, NULL, SOCK_CLOEXEC);
        }
        if (talk.fd >= 0) {
            count(hub, &hub->counters.connections);
            take_script(&talk);
            serve(&talk);
            hang_up(&talk);
        }
    }
}

static int load_key(struct hm_false_hub *hub, const char *key_pem, const char *cert_pem)
{
    gnutls_datum_t key;
    gnutls_datum_t cert;
    struct hm_buf own_key;
    struct hm_buf own_cert;
    int err = HM_OK;

    hm_buf_init(&own_key, HM_TLS_KEY_PEM_BYTES_MAX);
    hm_buf_init(&own_cert, HM_TLS_KEY_PEM_BYTES_MAX);
    if (key_pem == NULL) {
        err = hm_tls_key_make(&own_key, &own_cert);
        key_pem = hm_buf_str(&own_key);
        cert_pem = hm_buf_str(&own_cert);
    }
    if (err == HM_OK) {
        key.data = (unsigned char *)(uintptr_t)key_pem;
        key.size = (unsigned)strlen(key_pem);
        cert.data = (unsigned char *)(uintptr_t)cert_pem;
        cert.size = (unsigned)strlen(cert_pem);
        if (gnutls_certificate_allocate_credentials(&hub->credentials) !=
            GNUTLS_E_SUCCESS) {
            err = HM_NOMEM;
        } else if (gnutls_certificate_set_x509_key_mem(hub->credentials, &cert, &key,
                                                       GNUTLS_X509_FMT_PEM) < 0) {
            gnutls_certificate_free_credentials(hub->credentials);
            err = HM_INVALID;
        }
    }
    hm_buf_deinit(&own_key);
    hm_buf_deinit(&own_cert);
    return err;
}

int hm_false_hub_start(const char *key_pem, const char *cert_pem,
                       const struct hm_false_hub_script *script,
                       struct hm_false_hub **out_hub)
{
    struct hm_false_hub *hub = calloc(1, sizeof *hub);
    int err;

    if (hub == NULL) {
        return HM_NOMEM;
    }
    hub->script = *script;
    hub->port = hm_port_free();
    hub->listener = hm_port_listen(hub->port);
    err = hub->listener < 0 ? HM_NETWORK : load_key(hub, key_pem, cert_pem);
    if (err == HM_OK) {
        (void)pthread_mutex_init(&hub->lock, NULL);
        if (pthread_create(&hub->thread, NULL, run, hub) == 0) {
            *out_hub = hub;
            return HM_OK;
        }
        err = HM_NOMEM;
        (void)pthread_mutex_destroy(&hub->lock);
        gnutls_certificate_free_credentials(hub->credentials);
    }
    if (hub->listener >= 0) {
        (void)close(hub->listener);
    }
    free(hub);
    return err;
}

uint16_t hm_false_hub_port(const struct hm_false_hub *hub)
{
    return hub->port;
}

void hm_false_hub_set(struct hm_false_hub *hub,
                      const struct hm_false_hub_script *script)
{
    (void)pthread_mutex_lock(&hub->lock);
    hub->script = *script;
    hub->scripts++;
    (void)pthread_mutex_unlock(&hub->lock);
}

struct hm_false_hub_counters hm_false_hub_counters(struct hm_false_hub *hub)
{
    struct hm_false_hub_counters counters;

    (void)pthread_mutex_lock(&hub->lock);
    counters = hub->counters;
    (void)pthread_mutex_unlock(&hub->lock);
    return counters;
}

void hm_false_hub_stop(struct hm_false_hub *hub)
{
    if (hub == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&hub->lock);
    hub->stopping = true;
    (void)pthread_mutex_unlock(&hub->lock);
    (void)pthread_join(hub->thread, NULL);
    (void)pthread_mutex_destroy(&hub->lock);
    (void)close(hub->listener);
    gnutls_certificate_free_credentials(hub->credentials);
    free(hub);
}
