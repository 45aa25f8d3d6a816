/* A loop with a guard against hanging, a site with one path for each way of answering,
 * and a raw peer that sends exactly what a test says. Loopback only. */
#ifndef HM_TESTS_SUPPORT_HTTP_H
#define HM_TESTS_SUPPORT_HTTP_H

#include <uv.h>

#include "daemon/http_server.h"

/* Turn the loop until *flag is true. Ends the process after 20 s. */
void hm_test_spin(uv_loop_t *loop, const bool *flag);
/* Turn the loop for so long: to see that something does not happen. */
void hm_test_spin_ms(uv_loop_t *loop, unsigned ms);
/* Turn the loop until nothing is alive, and check that it closes. */
void hm_test_loop_end(uv_loop_t *loop);

/* GET /hello       200 hello, at once
 * POST /echo       its body back, at once; body limit 100,000
 * POST /later      the same, some turns later
 * POST /chunks     the number of bytes, as chunks, each taken some turns later; no
 * limit GET /never       waits for hm_site_answer() any /refuse      403 from the head
 * on GET /stream      2,000 lines as a stream with a queue of 1,000 bytes GET /open a
 * stream that the test writes to: site.waiting GET /file        the file site.file,
 * from offset 1 on GET /flaky       500, then 200, in turn GET /query?a=    the
 * parameter a GET /header      the header X-Test else             404 */
struct hm_site {
    uv_loop_t *loop;
    struct hm_http_server *server;
    char errmsg[200];
    const char *file;
    unsigned heads, requests, dones, cut; /* cut: on_done without on_request */
    uint64_t chunk_bytes;
    unsigned chunks, rooms, flaky;
    bool owner_saw_gone;
    bool has_waiting;
    struct hm_http_request *waiting; /* /never or /open; NULL when done */
    bool closed;
    char address[64];
};

int hm_site_open(struct hm_site *site, uv_loop_t *loop,
                 const struct hm_http_server_options *options);
void hm_site_answer(struct hm_site *site);
void hm_site_close(struct hm_site *site);

struct hm_raw {
    uv_loop_t *loop;
    union {
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } as;
    uv_connect_t connect;
    struct hm_buf in;
    bool connected, ended, closed; /* ended: the peer has closed, or failed */
};

void hm_raw_open(struct hm_raw *raw, uv_loop_t *loop, uint16_t port);
void hm_raw_open_unix(struct hm_raw *raw, uv_loop_t *loop, const char *path);
void hm_raw_send(struct hm_raw *raw, const char *text);
/* Turn the loop until text has come. */
void hm_raw_expect(struct hm_raw *raw, const char *text);
void hm_raw_expect_end(struct hm_raw *raw);
unsigned hm_raw_count(struct hm_raw *raw, const char *text);
void hm_raw_close(struct hm_raw *raw);

#endif
