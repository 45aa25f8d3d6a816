/* One direction of one proxied connection: bytes on their way, each with the time at
 * which it may arrive. Private to the proxy.
 *
 * Not thread-safe. Sockets are non-blocking, nothing here waits. */
#ifndef HM_TESTS_SUPPORT_PROXY_FLOW_H
#define HM_TESTS_SUPPORT_PROXY_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HM_PROXY_FLOW_BYTES_MAX = 256 * 1024, HM_PROXY_FLOW_READ_MAX = 16 * 1024 };

enum hm_proxy_flow_result {
    HM_PROXY_FLOW_OK,
    HM_PROXY_FLOW_BROKEN, /* a socket reported an error */
    HM_PROXY_FLOW_CUT     /* the given number of bytes has gone through */
};

struct hm_proxy_block;

struct hm_proxy_flow {
    int from;
    int to;
    struct hm_proxy_block *head;
    struct hm_proxy_block *tail;
    size_t waiting;    /* bytes in the queue, at most HM_PROXY_FLOW_BYTES_MAX */
    uint64_t passed;   /* bytes delivered */
    uint64_t passed_0; /* what passed was when the mode was last set */
    bool ended;        /* from has sent its end */
    bool shut;         /* and it was passed on */
};

/* A link's capacity in one direction, shared by its flows. All zero is without limit.
 */
struct hm_proxy_bucket {
    uint32_t bytes_per_s;
    double tokens;
    uint64_t filled_at_ms;
};

/* Lets the capacity grow with time, up to a twentieth of a second of it. */
void hm_proxy_bucket_fill(struct hm_proxy_bucket *bucket, uint64_t now_ms);

/* True while from should be read. */
bool hm_proxy_flow_wants_read(const struct hm_proxy_flow *flow);
/* True when bytes could be written now. *next_at_ms is lowered to the time at which
 * that changes by time alone. */
bool hm_proxy_flow_wants_write(const struct hm_proxy_flow *flow,
                               const struct hm_proxy_bucket *bucket, uint64_t now_ms,
                               uint64_t *next_at_ms);

/* Reads once, into buffer of HM_PROXY_FLOW_READ_MAX bytes; *out_len 0 when there was
 * nothing or the end. The caller looks at the bytes and then queues or drops them. */
enum hm_proxy_flow_result hm_proxy_flow_read(struct hm_proxy_flow *flow,
                                             uint8_t *buffer, size_t *out_len);
/* data is copied. Out of memory counts as broken. */
enum hm_proxy_flow_result hm_proxy_flow_queue(struct hm_proxy_flow *flow,
                                              const uint8_t *data, size_t len,
                                              uint64_t due_ms);
/* Writes what is due, at most up to cut bytes since passed_0 (0: no such limit), and
 * passes the end on after the last byte. */
enum hm_proxy_flow_result hm_proxy_flow_write(struct hm_proxy_flow *flow,
                                              struct hm_proxy_bucket *bucket,
                                              uint64_t now_ms, uint64_t cut);
/* Drops the queue. */
void hm_proxy_flow_clear(struct hm_proxy_flow *flow);

#endif
