/* A TCP proxy on loopback that behaves as badly as a village link.
 *
 * It carries opaque bytes (HTTPS) to one port of 127.0.0.1, counts them, and on request
 * slows, delays, cuts, stalls or swallows them. It does not know what it carries, other
 * than where requests begin (tls_watch.h). A thread of its own does the work; every
 * function here may be called from any one other thread, blocks for moments only, and
 * takes effect before it returns. */
#ifndef HM_TESTS_SUPPORT_PROXY_H
#define HM_TESTS_SUPPORT_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/err.h"

struct hm_proxy;

/* All zero is a good link. Byte positions count on each connection from the moment that
 * the mode was set, or from its beginning if that is later. */
struct hm_proxy_mode {
    uint32_t bytes_per_s; /* each way, over all connections; 0: no limit */
    uint32_t delay_ms;    /* one way */
    uint64_t cut_up;      /* cut when so many bytes went up; 0: never */
    uint64_t cut_down;    /* cut when so many bytes came down; 0: never */
    bool drop_reply;      /* let a request through, swallow its reply, then cut */
    bool always;          /* cuts and lost replies on every connection, not just once */
    bool down;            /* refuse new connections, reset those that are open */
    bool stall;           /* carry nothing, close nothing: a half-open link */
    uint32_t cut_every_ms; /* cut all connections so often; 0: never */
};

struct hm_proxy_counters {
    uint64_t connections; /* accepted so far */
    uint64_t up;          /* bytes delivered to the target */
    uint64_t down;        /* bytes delivered to clients */
    uint64_t requests;    /* requests seen to begin, see tls_watch.h */
    uint64_t cuts;        /* connections cut by a mode, but not by down */
    uint64_t swallowed;   /* bytes of lost replies */
};

struct hm_proxy_connection {
    uint64_t up;
    uint64_t down;
    uint64_t requests;
    bool open;
};

enum { HM_PROXY_CONNECTIONS_KEPT = 1024, HM_PROXY_CONNECTIONS_AT_ONCE = 64 };

/* Listens on 127.0.0.1:port (0: a free port below the range of outgoing connections)
 * and carries to 127.0.0.1:target. *out_proxy belongs to the caller.
 *
 * Errors: HM_NOMEM; HM_NETWORK no port could be taken. */
int hm_proxy_start(uint16_t target, uint16_t port,
                   struct hm_proxy **out_proxy) HM_MUST_USE;
/* Ends the thread and every connection. NULL is allowed. */
void hm_proxy_stop(struct hm_proxy *proxy);

uint16_t hm_proxy_port(const struct hm_proxy *proxy);

/* Replaces the whole mode. */
void hm_proxy_set(struct hm_proxy *proxy, const struct hm_proxy_mode *mode);
/* The mode as it is now: a cut or a lost reply that was asked for once is gone from it
 * when it has happened. */
struct hm_proxy_mode hm_proxy_mode(struct hm_proxy *proxy);
/* Connections that are open now carry nothing any more, and nobody is told: a middlebox
 * has forgotten them. New ones work. */
void hm_proxy_freeze(struct hm_proxy *proxy);
/* New connections go to another port from now on; open ones are reset. */
void hm_proxy_retarget(struct hm_proxy *proxy, uint16_t target);
/* Resets (RST) every open connection; new ones are taken as before. */
void hm_proxy_reset(struct hm_proxy *proxy);

struct hm_proxy_counters hm_proxy_counters(struct hm_proxy *proxy);
/* The connection accepted as number index (from 0). HM_NOTFOUND: there was none, or
 * index >= HM_PROXY_CONNECTIONS_KEPT. */
int hm_proxy_connection(struct hm_proxy *proxy, size_t index,
                        struct hm_proxy_connection *out_connection) HM_MUST_USE;

/* One command line, as main_cutproxy.c describes them; the answer is one line without
 * its end. line is changed. False: the caller asked to quit. */
bool hm_proxy_command(struct hm_proxy *proxy, char *line, char *answer, size_t size);

#endif
