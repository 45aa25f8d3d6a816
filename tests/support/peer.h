/* Two TCP peers on loopback: one that says what it was told to whoever connects, and
 * one that passes bytes on and counts them. */
#ifndef HM_TESTS_SUPPORT_PEER_H
#define HM_TESTS_SUPPORT_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

/* Says its text as soon as it hears anything, then closes if ends. */
struct hm_test_peer {
    uv_loop_t *loop;
    uv_tcp_t listener;
    const char *says;
    bool ends;
    uint16_t port;
    struct hm_test_peer_end *open;
    unsigned handles;
    bool closed;
};

void hm_test_peer_open(struct hm_test_peer *peer, uv_loop_t *loop, const char *says,
                       bool ends);
void hm_test_peer_close(struct hm_test_peer *peer);

/* One connection at a time. */
struct hm_test_proxy {
    uv_loop_t *loop;
    uv_tcp_t listener, client, server;
    uv_connect_t connect;
    uint16_t port, server_port;
    size_t up_bytes, down_bytes;
    bool busy;
    unsigned handles;
    bool closed;
};

void hm_test_proxy_open(struct hm_test_proxy *proxy, uv_loop_t *loop, uint16_t port);
void hm_test_proxy_reset(struct hm_test_proxy *proxy);
void hm_test_proxy_close(struct hm_test_proxy *proxy);

#endif
