#include "tests/support/peer.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/http.h"
#include "tests/support/test.h"

struct hm_test_peer_end {
    uv_tcp_t tcp;
    uv_write_t write;
    struct hm_test_peer *peer;
    struct hm_test_peer_end *next;
    bool said;
};

static uint16_t listen_anywhere(uv_loop_t *loop, uv_tcp_t *tcp, uv_connection_cb cb)
{
    struct sockaddr_in address;
    int len = sizeof address;

    CHECK_OK(uv_ip4_addr("127.0.0.1", 0, &address));
    CHECK_OK(uv_tcp_init(loop, tcp));
    CHECK_OK(uv_tcp_bind(tcp, (struct sockaddr *)&address, 0));
    CHECK_OK(uv_listen((uv_stream_t *)tcp, 16, cb));
    CHECK_OK(uv_tcp_getsockname(tcp, (struct sockaddr *)&address, &len));
    return ntohs(address.sin_port);
}

static void on_alloc(uv_handle_t *handle, size_t len, uv_buf_t *buf)
{
    (void)handle;
    *buf = uv_buf_init(malloc(len), (unsigned)len);
}

static void on_end_closed(uv_handle_t *handle)
{
    struct hm_test_peer_end *end = handle->data;

    end->peer->handles--;
    end->peer->closed = end->peer->handles == 0;
    free(end);
}

static void end_close(struct hm_test_peer_end *end)
{
    struct hm_test_peer_end **at = &end->peer->open;

    while (*at != NULL && *at != end) {
        at = &(*at)->next;
    }
    if (*at != NULL) {
        *at = end->next;
        uv_close((uv_handle_t *)&end->tcp, on_end_closed);
    }
}

static void on_said(uv_write_t *write, int status)
{
    struct hm_test_peer_end *end = write->data;

    if (end->peer->ends && status != UV_ECANCELED) {
        end_close(end);
    }
}

static void on_heard(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
    struct hm_test_peer_end *end = stream->data;
    uv_buf_t text = uv_buf_init((char *)(uintptr_t)end->peer->says,
                                (unsigned)strlen(end->peer->says));

    free(buf->base);
    if (len < 0) {
        end_close(end);
    } else if (!end->said && end->peer->ends && text.len == 0) {
        end_close(end);
    } else if (!end->said && text.len > 0) {
        end->said = true;
        CHECK_OK(uv_write(&end->write, stream, &text, 1, on_said));
    }
}

static void on_peer_connection(uv_stream_t *listener, int status)
{
    struct hm_test_peer *peer = listener->data;
    struct hm_test_peer_end *end = calloc(1, sizeof *end);

    assert_int_equal(status, 0);
    assert_non_null(end);
    end->peer = peer;
    end->tcp.data = end;
    CHECK_OK(uv_tcp_init(peer->loop, &end->tcp));
    end->tcp.data = end;
    end->write.data = end;
    peer->handles++;
    end->next = peer->open;
    peer->open = end;
    CHECK_OK(uv_accept(listener, (uv_stream_t *)&end->tcp));
    CHECK_OK(uv_read_start((uv_stream_t *)&end->tcp, on_alloc, on_heard));
}

void hm_test_peer_open(struct hm_test_peer *peer, uv_loop_t *loop, const char *says,
                       bool ends)
{
    *peer = (struct hm_test_peer){.loop = loop, .says = says, .ends = ends};
    peer->port = listen_anywhere(loop, &peer->listener, on_peer_connection);
    peer->listener.data = peer;
    peer->handles = 1;
}

static void on_peer_closed(uv_handle_t *handle)
{
    struct hm_test_peer *peer = handle->data;

    peer->handles--;
    peer->closed = peer->handles == 0;
}

void hm_test_peer_close(struct hm_test_peer *peer)
{
    while (peer->open != NULL) {
        end_close(peer->open);
    }
    uv_close((uv_handle_t *)&peer->listener, on_peer_closed);
    hm_test_spin(peer->loop, &peer->closed);
}

static void on_forwarded(uv_write_t *write, int status)
{
    (void)status;
    free(write->data);
    free(write);
}

static void on_proxy_closed(uv_handle_t *handle)
{
    struct hm_test_proxy *proxy = handle->data;

    proxy->handles--;
    proxy->closed = proxy->handles == 0;
}

static void proxy_drop(struct hm_test_proxy *proxy)
{
    if (proxy->busy) {
        proxy->busy = false;
        uv_close((uv_handle_t *)&proxy->client, on_proxy_closed);
        uv_close((uv_handle_t *)&proxy->server, on_proxy_closed);
    }
}

static void on_bytes(uv_stream_t *from, ssize_t len, const uv_buf_t *buf)
{
    struct hm_test_proxy *proxy = from->data;
    bool up = from == (uv_stream_t *)&proxy->client;
    uv_write_t *write;
    uv_buf_t bytes;

    if (len <= 0) {
        free(buf->base);
        if (len < 0) {
            proxy_drop(proxy);
        }
        return;
    }
    *(up ? &proxy->up_bytes : &proxy->down_bytes) += (size_t)len;
    write = calloc(1, sizeof *write);
    assert_non_null(write);
    write->data = buf->base;
    bytes = uv_buf_init(buf->base, (unsigned)len);
    CHECK_OK(uv_write(write, (uv_stream_t *)(up ? &proxy->server : &proxy->client),
                      &bytes, 1, on_forwarded));
}

static void on_server_connected(uv_connect_t *connect, int status)
{
    struct hm_test_proxy *proxy = connect->data;

    assert_int_equal(status, 0);
    CHECK_OK(uv_read_start((uv_stream_t *)&proxy->client, on_alloc, on_bytes));
    CHECK_OK(uv_read_start((uv_stream_t *)&proxy->server, on_alloc, on_bytes));
}

static void on_proxy_connection(uv_stream_t *listener, int status)
{
    struct hm_test_proxy *proxy = listener->data;
    struct sockaddr_in address;

    assert_int_equal(status, 0);
    assert_false(proxy->busy);
    proxy->busy = true;
    proxy->handles += 2;
    CHECK_OK(uv_tcp_init(proxy->loop, &proxy->client));
    CHECK_OK(uv_tcp_init(proxy->loop, &proxy->server));
    proxy->client.data = proxy;
    proxy->server.data = proxy;
    proxy->connect.data = proxy;
    CHECK_OK(uv_accept(listener, (uv_stream_t *)&proxy->client));
    CHECK_OK(uv_ip4_addr("127.0.0.1", proxy->server_port, &address));
    CHECK_OK(uv_tcp_connect(&proxy->connect, &proxy->server,
                            (struct sockaddr *)&address, on_server_connected));
}

void hm_test_proxy_open(struct hm_test_proxy *proxy, uv_loop_t *loop, uint16_t port)
{
    *proxy = (struct hm_test_proxy){.loop = loop, .server_port = port};
    proxy->port = listen_anywhere(loop, &proxy->listener, on_proxy_connection);
    proxy->listener.data = proxy;
    proxy->handles = 1;
}

void hm_test_proxy_reset(struct hm_test_proxy *proxy)
{
    proxy->up_bytes = 0;
    proxy->down_bytes = 0;
}

void hm_test_proxy_close(struct hm_test_proxy *proxy)
{
    proxy_drop(proxy);
    uv_close((uv_handle_t *)&proxy->listener, on_proxy_closed);
    hm_test_spin(proxy->loop, &proxy->closed);
}
