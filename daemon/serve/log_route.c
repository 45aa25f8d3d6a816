/* GET log: the ring as a list, or a stream that goes on.
 *
 * Happy path: run() starts a stream and write_lines() fills it; a new line, or room in
 * the stream, calls it again.
 * Failures: a client that goes ends its stream.
 * Close: end_all() ends every stream. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/serve/loop_routes.h"

enum { LINES_DEFAULT = 200, QUEUE_BYTES_MAX = 256 * 1024 };

/* On the loop alone. */
static struct hm_loop_exchange *followers;

static json_t *line_json(const struct hm_journal_line *line)
{
    time_t seconds = (time_t)(line->at_utc_ms / 1000);
    char at[32] = "";
    struct tm parts;

    if (gmtime_r(&seconds, &parts) != NULL) {
        (void)strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%SZ", &parts);
    }
    return json_pack("{s:s, s:s, s:s}", "at", at, "level",
                     hm_journal_level_name(line->level), "text", line->text);
}

static void run_list(struct hm_loop_exchange *loop)
{
    struct hm_journal_line line;
    json_t *list = json_array();

    while (hm_journal_read(loop->x.node->journal, loop->line_number, &line)) {
        loop->line_number = line.number + 1;
        (void)json_array_append_new(list, line_json(&line));
    }
    hm_http_answer_json(loop->x.req, 200, list);
}

static void stop(struct hm_loop_exchange *loop)
{
    struct hm_loop_exchange **at = &followers;

    while (*at != NULL && *at != loop) {
        at = &(*at)->next_follower;
    }
    if (*at == loop) {
        *at = loop->next_follower;
    }
    loop->streaming = false;
    hm_http_stream_end(loop->x.req);
}

static void write_lines(struct hm_loop_exchange *loop)
{
    struct hm_journal_line line;
    int err = HM_OK;

    while (err == HM_OK &&
           hm_journal_read(loop->x.node->journal, loop->line_number, &line)) {
        json_t *json = line_json(&line);
        char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
        struct hm_buf out;

        hm_buf_init(&out, 8 * 1024);
        hm_buf_append_str(&out, text == NULL ? "{}" : text);
        hm_buf_append_u8(&out, '\n');
        err = out.err == HM_OK ? hm_http_stream_write(loop->x.req, hm_buf_bytes(&out))
                               : out.err;
        loop->line_number = err == HM_OK ? line.number + 1 : loop->line_number;
        hm_buf_deinit(&out);
        free(text);
        json_decref(json);
    }
    if (err != HM_OK && err != HM_AGAIN) {
        stop(loop);
    }
}

void hm_log_route_run(struct hm_loop_exchange *loop)
{
    const struct hm_http_header type = {"Content-Type", "application/x-ndjson"};
    uint64_t last = hm_journal_last(loop->x.node->journal);
    char *end = NULL;
    long lines = loop->lines[0] == 0 ? LINES_DEFAULT : strtol(loop->lines, &end, 10);

    if ((end != NULL && *end != 0) || lines < 0 || lines > HM_JOURNAL_LINES_MAX) {
        hm_http_answer_error(loop->x.req, HM_INVALID, "lines must be a number up to %d",
                             HM_JOURNAL_LINES_MAX);
        return;
    }
    loop->line_number = last > (uint64_t)lines ? last - (uint64_t)lines + 1 : 1;
    if (!loop->follow) {
        run_list(loop);
        return;
    }
    hm_http_request_respond_stream(loop->x.req, 200, &type, 1, QUEUE_BYTES_MAX);
    loop->streaming = true;
    loop->next_follower = followers;
    followers = loop;
    write_lines(loop);
}

void hm_log_route_room(struct hm_loop_exchange *loop)
{
    if (!loop->streaming) {
        return;
    }
    if (hm_http_request_gone(loop->x.req)) {
        stop(loop);
    } else {
        write_lines(loop);
    }
}

void hm_log_route_wake(void)
{
    struct hm_loop_exchange *loop = followers;

    while (loop != NULL) {
        struct hm_loop_exchange *next = loop->next_follower;

        write_lines(loop);
        loop = next;
    }
}

void hm_log_route_end_all(void)
{
    while (followers != NULL) {
        stop(followers);
    }
}
