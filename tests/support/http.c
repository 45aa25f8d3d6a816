#include "tests/support/http.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fault/loop.h"
#include "tests/support/test.h"

static void on_guard(uv_timer_t *timer)
{
    (void)timer;
    (void)fprintf(stderr, "the loop turned in vain\n");
    exit(1);
}

/* What waits longer waits for ever. */
static uint64_t guard_ms(void)
{
    return hm_test_rounds(8000, 20000, 20000);
}

static void on_over(uv_timer_t *timer)
{
    bool *over = timer->data;

    *over = true;
}

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle);
}

static uv_timer_t *timer_start(uv_loop_t *loop, uint64_t ms, uv_timer_cb cb, void *data)
{
    uv_timer_t *timer = malloc(sizeof *timer);

    assert_non_null(timer);
    uv_update_time(loop);
    (void)uv_timer_init(loop, timer);
    timer->data = data;
    (void)uv_timer_start(timer, cb, ms, 0);
    return timer;
}

static void timer_end(uv_timer_t *timer)
{
    uv_close((uv_handle_t *)timer, on_timer_closed);
}

void hm_test_spin(uv_loop_t *loop, const bool *flag)
{
    uv_timer_t *guard = timer_start(loop, guard_ms(), on_guard, NULL);

    while (!*flag) {
        (void)uv_run(loop, UV_RUN_ONCE);
    }
    timer_end(guard);
}

void hm_test_spin_ms(uv_loop_t *loop, unsigned ms)
{
    bool over = false;
    uv_timer_t *timer = timer_start(loop, ms, on_over, &over);

    while (!over) {
        (void)uv_run(loop, UV_RUN_ONCE);
    }
    timer_end(timer);
}

void hm_test_loop_end(uv_loop_t *loop)
{
    uv_timer_t *guard = timer_start(loop, guard_ms(), on_guard, NULL);

    uv_unref((uv_handle_t *)guard);
    (void)uv_run(loop, UV_RUN_DEFAULT);
    timer_end(guard);
    (void)uv_run(loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(loop), 0);
}

/* The site. */

struct later {
    uv_timer_t timer;
    struct hm_http_request *req;
};

static void respond_text(struct hm_http_request *req, unsigned status, const char *text)
{
    const struct hm_http_header header = {"Content-Type", "text/plain"};
    struct hm_buf body;

    hm_buf_init(&body, 100000);
    hm_buf_append_str(&body, text);
    hm_http_request_respond(req, status, &header, 1, &body);
}

static void on_later(uv_timer_t *timer)
{
    struct later *later = timer->data;

    if (later->req != NULL) {
        hm_http_request_respond(later->req, 200, NULL, 0,
                                hm_http_request_body(later->req));
    }
    uv_close((uv_handle_t *)timer, on_timer_closed);
}

static void on_chunk_taken(uv_timer_t *timer)
{
    struct later *later = timer->data;

    hm_http_request_chunk_done(later->req);
    uv_close((uv_handle_t *)timer, on_timer_closed);
}

static void do_later(struct hm_site *site, struct hm_http_request *req, uv_timer_cb cb)
{
    struct later *later = calloc(1, sizeof *later);

    assert_non_null(later);
    later->req = req;
    (void)uv_timer_init(site->loop, &later->timer);
    later->timer.data = later;
    (void)uv_timer_start(&later->timer, cb, 2, 0);
}

static void on_head(void *owner, struct hm_http_request *req)
{
    struct hm_site *site = owner;
    const char *path = hm_http_request_path(req);

    site->heads++;
    (void)snprintf(site->address, sizeof site->address, "%s",
                   hm_http_request_address(req));
    if (strcmp(path, "/refuse") == 0) {
        respond_text(req, 403, "refused");
    } else if (strcmp(path, "/chunks") == 0) {
        hm_http_request_accept(req, HM_HTTP_BODY_CHUNKS, SIZE_MAX / 8);
    } else {
        hm_http_request_accept(req, HM_HTTP_BODY_MEMORY, 100000);
    }
}

static void on_chunk(void *owner, struct hm_http_request *req, struct hm_bytes bytes)
{
    struct hm_site *site = owner;

    assert_in_range(bytes.len, 1, HM_HTTP_CHUNK_BYTES);
    site->chunks++;
    site->chunk_bytes += bytes.len;
    if (site->chunks % 4 == 0) {
        hm_http_request_chunk_done(req);
    } else {
        do_later(site, req, on_chunk_taken);
    }
}

static void write_lines(struct hm_http_request *req)
{
    char line[32];
    uintptr_t n = (uintptr_t)hm_http_request_data(req);
    int err = HM_OK;

    while (n < 2000 && err == HM_OK) {
        (void)snprintf(line, sizeof line, "line %05u\n", (unsigned)n);
        err = hm_http_stream_write(req, hm_bytes_str(line));
        n += err == HM_OK;
    }
    hm_http_request_set_data(req, (void *)n);
    if (err != HM_AGAIN) {
        hm_http_stream_end(req);
    }
}

static void wait_for_test(struct hm_site *site, struct hm_http_request *req)
{
    site->waiting = req;
    site->has_waiting = true;
}

static void respond_file(struct hm_site *site, struct hm_http_request *req)
{
    int fd = open(site->file, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    hm_http_request_respond_file(req, 206, NULL, 0, fd, 1, 3);
}

static void on_request(void *owner, struct hm_http_request *req)
{
    struct hm_site *site = owner;
    const char *path = hm_http_request_path(req);
    const char *text;
    char number[32];

    site->requests++;
    if (strcmp(path, "/hello") == 0) {
        respond_text(req, 200, "hello");
    } else if (strcmp(path, "/echo") == 0) {
        hm_http_request_respond(req, 200, NULL, 0, hm_http_request_body(req));
    } else if (strcmp(path, "/later") == 0) {
        do_later(site, req, on_later);
    } else if (strcmp(path, "/chunks") == 0) {
        (void)snprintf(number, sizeof number, "%llu",
                       (unsigned long long)site->chunk_bytes);
        respond_text(req, 200, number);
    } else if (strcmp(path, "/never") == 0) {
        wait_for_test(site, req);
    } else if (strcmp(path, "/stream") == 0) {
        hm_http_request_respond_stream(req, 200, NULL, 0, 1000);
        write_lines(req);
    } else if (strcmp(path, "/open") == 0) {
        hm_http_request_respond_stream(req, 200, NULL, 0, 1000);
        wait_for_test(site, req);
    } else if (strcmp(path, "/file") == 0) {
        respond_file(site, req);
    } else if (strcmp(path, "/hundred") == 0) {
        respond_text(
            req, 200,
            "0123456789012345678901234567890123456789012345678901234567890123456789"
            "012345678901234567890123456789");
    } else if (strcmp(path, "/flaky") == 0) {
        respond_text(req, site->flaky++ % 2 == 0 ? 500 : 200, "flaky");
    } else if (strcmp(path, "/query") == 0) {
        text = hm_http_request_query(req, "a");
        respond_text(req, 200, text == NULL ? "none" : text);
    } else if (strcmp(path, "/header") == 0) {
        text = hm_http_request_header(req, "x-test");
        respond_text(req, 200, text == NULL ? "none" : text);
    } else {
        respond_text(req, 404, "not here");
    }
}

static void on_room(void *owner, struct hm_http_request *req)
{
    struct hm_site *site = owner;

    site->rooms++;
    if (req == site->waiting) {
        if (hm_http_request_gone(req)) {
            site->owner_saw_gone = true;
            site->waiting = NULL;
            hm_http_stream_end(req);
        }
    } else {
        write_lines(req);
    }
}

static void on_done(void *owner, struct hm_http_request *req)
{
    struct hm_site *site = owner;

    (void)req;
    site->dones++;
}

int hm_site_open(struct hm_site *site, uv_loop_t *loop,
                 const struct hm_http_server_options *options)
{
    const struct hm_http_handler handler = {on_head, on_chunk, on_request, on_room,
                                            on_done};

    site->loop = loop;
    return hm_http_server_open(loop, options, &handler, site, site->errmsg,
                               sizeof site->errmsg, &site->server);
}

void hm_site_answer(struct hm_site *site)
{
    struct hm_http_request *req = site->waiting;

    assert_non_null(req);
    site->waiting = NULL;
    site->owner_saw_gone = hm_http_request_gone(req);
    respond_text(req, 200, "at last");
}

static void on_site_closed(void *owner)
{
    struct hm_site *site = owner;

    site->closed = true;
    site->server = NULL;
}

void hm_site_close(struct hm_site *site)
{
    hm_http_server_close(site->server, on_site_closed);
    hm_test_spin(site->loop, &site->closed);
    assert_int_equal(site->heads, site->dones);
}

/* The raw peer. */

static void on_alloc(uv_handle_t *handle, size_t len, uv_buf_t *buf)
{
    static char memory[65536];

    (void)handle;
    (void)len;
    *buf = uv_buf_init(memory, sizeof memory);
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
    struct hm_raw *raw = stream->data;

    if (len > 0) {
        hm_buf_append(&raw->in, hm_bytes_of(buf->base, (size_t)len));
    } else if (len < 0) {
        raw->ended = true;
        (void)uv_read_stop(stream);
    }
}

static void on_connected(uv_connect_t *connect, int status)
{
    struct hm_raw *raw = connect->data;

    assert_int_equal(status, 0);
    raw->connected = true;
    assert_int_equal(uv_read_start(&raw->as.stream, on_alloc, on_read), 0);
}

static void raw_init(struct hm_raw *raw, uv_loop_t *loop)
{
    *raw = (struct hm_raw){.loop = loop};
    hm_buf_init(&raw->in, 4 * 1024 * 1024);
    raw->connect.data = raw;
}

void hm_raw_open(struct hm_raw *raw, uv_loop_t *loop, uint16_t port)
{
    struct sockaddr_in address;

    raw_init(raw, loop);
    assert_int_equal(uv_ip4_addr("127.0.0.1", port, &address), 0);
    (void)uv_tcp_init(loop, &raw->as.tcp);
    raw->as.stream.data = raw;
    assert_int_equal(uv_tcp_connect(&raw->connect, &raw->as.tcp,
                                    (struct sockaddr *)&address, on_connected),
                     0);
    hm_test_spin(loop, &raw->connected);
}

void hm_raw_open_unix(struct hm_raw *raw, uv_loop_t *loop, const char *path)
{
    raw_init(raw, loop);
    (void)uv_pipe_init(loop, &raw->as.pipe, 0);
    raw->as.stream.data = raw;
    uv_pipe_connect(&raw->connect, &raw->as.pipe, path, on_connected);
    hm_test_spin(loop, &raw->connected);
}

static void on_written(uv_write_t *write, int status)
{
    (void)status;
    free(write->data);
    free(write);
}

void hm_raw_send(struct hm_raw *raw, const char *text)
{
    uv_write_t *write = malloc(sizeof *write);
    char *copy = strdup(text);
    uv_buf_t buf = uv_buf_init(copy, (unsigned)strlen(text));

    assert_non_null(write);
    assert_non_null(copy);
    write->data = copy;
    assert_int_equal(uv_write(write, &raw->as.stream, &buf, 1, on_written), 0);
}

unsigned hm_raw_count(struct hm_raw *raw, const char *text)
{
    const char *at = hm_buf_str(&raw->in);
    unsigned count = 0;

    assert_non_null(at);
    while ((at = strstr(at, text)) != NULL) {
        at++;
        count++;
    }
    return count;
}

void hm_raw_expect(struct hm_raw *raw, const char *text)
{
    uv_timer_t *guard = timer_start(raw->loop, guard_ms(), on_guard, NULL);

    while (hm_raw_count(raw, text) == 0) {
        if (raw->ended) {
            (void)fprintf(stderr, "no '%s' in: %s\n", text, hm_buf_str(&raw->in));
            exit(1);
        }
        (void)uv_run(raw->loop, UV_RUN_ONCE);
    }
    timer_end(guard);
}

void hm_raw_expect_end(struct hm_raw *raw)
{
    hm_test_spin(raw->loop, &raw->ended);
}

static void on_raw_closed(uv_handle_t *handle)
{
    struct hm_raw *raw = handle->data;

    raw->closed = true;
}

void hm_raw_close(struct hm_raw *raw)
{
    uv_close((uv_handle_t *)&raw->as.stream, on_raw_closed);
    hm_test_spin(raw->loop, &raw->closed);
    hm_buf_deinit(&raw->in);
}
