#include "daemon/http_answer.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "daemon/serve/api_json.h"
#include "protocol/text.h"

enum { DETAIL_MAX = 600 };

static void respond(struct hm_http_request *req, unsigned status, const char *type,
                    unsigned retry_after_s, struct hm_buf *body)
{
    char seconds[16];
    struct hm_http_header headers[4] = {{"Content-Type", type},
                                        {"Cache-Control", "no-store"},
                                        {"X-Content-Type-Options", "nosniff"},
                                        {"Retry-After", seconds}};

    (void)snprintf(seconds, sizeof seconds, "%u", retry_after_s);
    hm_http_request_respond(req, status, headers, retry_after_s == 0 ? 3 : 4, body);
}

void hm_http_answer_bytes(struct hm_http_request *req, unsigned status,
                          const char *content_type, struct hm_buf *body)
{
    respond(req, status, content_type, 0, body);
}

static int append(const char *text, size_t len, void *arg)
{
    struct hm_buf *buf = arg;

    hm_buf_append(buf, hm_bytes_of(text, len));
    return buf->err == HM_OK ? 0 : -1;
}

static void respond_json(struct hm_http_request *req, unsigned status, const char *type,
                         unsigned retry_after_s, json_t *json)
{
    struct hm_buf body;

    hm_buf_init(&body, HM_HTTP_ANSWER_BYTES_MAX);
    if (json == NULL || json_dump_callback(json, append, &body, JSON_COMPACT) != 0) {
        body.err = body.err == HM_OK ? HM_NOMEM : body.err;
    }
    json_decref(json);
    respond(req, status, type, retry_after_s, &body);
}

void hm_http_answer_json(struct hm_http_request *req, unsigned status, json_t *json)
{
    respond_json(req, status, "application/json", 0, json);
}

static void problem(struct hm_http_request *req, unsigned status,
                    unsigned retry_after_s, const char *name, const char *title,
                    const char *detail)
{
    char type[64] = "urn:hamletd:problem:";
    size_t at = strlen(type);

    for (; *name != 0 && at < sizeof type - 1; name++) {
        type[at++] = (char)tolower((unsigned char)*name);
        type[at] = 0;
    }
    respond_json(req, status, "application/problem+json", retry_after_s,
                 json_pack("{s:s, s:s, s:i, s:s}", "type", type, "title", title,
                           "status", (int)status, "detail", detail));
}

void hm_http_answer_problem(struct hm_http_request *req, unsigned status,
                            unsigned retry_after_s, const char *format, ...)
{
    char detail[DETAIL_MAX];
    const char *name = status == 401   ? "unauthorized"
                       : status == 403 ? "denied"
                       : status == 404 ? "notfound"
                       : status == 409 ? "exists"
                       : status == 503 ? "busy"
                                       : "refused";
    va_list args;

    va_start(args, format);
    (void)vsnprintf(detail, sizeof detail, format, args); /* cut */
    hm_text_drop_half_letter(detail);
    va_end(args);
    problem(req, status, retry_after_s, name, "The request is refused", detail);
}

void hm_http_answer_error(struct hm_http_request *req, int err, const char *format, ...)
{
    char detail[DETAIL_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(detail, sizeof detail, format, args); /* cut */
    hm_text_drop_half_letter(detail);
    va_end(args);
    problem(req, hm_api_json_status(err), err == HM_BUSY ? 5 : 0, hm_err_name(err),
            hm_err_text(err),
            detail[0] != 0      ? detail
            : err == HM_CORRUPT ? HM_API_DAMAGED
                                : hm_err_text(err));
}
