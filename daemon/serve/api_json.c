#include "daemon/serve/api_json.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "protocol/text.h"

unsigned hm_api_json_status(int err)
{
    switch (err) {
    case HM_INVALID:
    case HM_MALFORMED:
    case HM_NONCANONICAL:
    case HM_TRUNCATED:
    case HM_SIGNATURE:
    case HM_CHAIN:
        return 400;
    case HM_DENIED:
        return 403;
    case HM_NOTFOUND:
        return 404;
    case HM_EXISTS:
    case HM_VERSION:
        return 409;
    case HM_TOOBIG:
        return 413;
    case HM_NETWORK:
        return 502;
    case HM_BUSY:
    case HM_AGAIN:
    case HM_GAP:
    case HM_DICTIONARY:
    case HM_CANCELED:
        return 503;
    case HM_NOSPACE:
        return 507;
    default:
        return 500;
    }
}

/* -- Problems -- */

void hm_api_json_problem(struct hm_api_answer *answer, unsigned status,
                         const char *type, const char *title, const char *detail,
                         json_t *errors)
{
    char urn[96];
    json_t *line = json_string(detail);
    json_t *problem;
    char *text;

    (void)snprintf(urn, sizeof urn, "urn:hamletd:problem:%s", type);
    /* A line that is not UTF-8 is left out, not the whole answer. */
    problem = json_pack("{s:s, s:s, s:i, s:o, s:O*}", "type", urn, "title", title,
                        "status", (int)status, "detail",
                        line == NULL ? json_string(title) : line, "errors", errors);
    text = problem == NULL ? NULL : json_dumps(problem, JSON_COMPACT);
    hm_buf_clear(&answer->body);
    answer->status = status;
    (void)snprintf(answer->content_type, sizeof answer->content_type,
                   "application/problem+json");
    hm_buf_append_str(&answer->body, text == NULL ? "{}" : text);
    free(text);
    json_decref(problem);
}

void hm_api_json_error(struct hm_api_answer *answer, int err, unsigned status,
                       const char *detail, json_t *errors)
{
    char type[32];
    char title[128];
    const char *name = hm_err_name(err);
    size_t len = 0;

    for (; name[len] != 0 && len + 1 < sizeof type; len++) {
        type[len] = (char)tolower((unsigned char)name[len]);
    }
    type[len] = 0;
    (void)snprintf(title, sizeof title, "%s", hm_err_text(err));
    title[0] = (char)toupper((unsigned char)title[0]);
    hm_api_json_problem(answer, status, type, title, detail, errors);
    answer->err = err;
}

void hm_api_problem(struct hm_api_answer *answer, int err, const char *format, ...)
{
    char detail[HM_CALL_LINE_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(detail, sizeof detail, format, args); /* cut */
    hm_text_drop_half_letter(detail);
    va_end(args);
    hm_api_json_error(answer, err, hm_api_json_status(err), detail, NULL);
}

/* -- Queries -- */

static bool is_allowed(const char *allowed, const char *name)
{
    size_t len = strlen(name);

    while (allowed != NULL && *allowed != 0) {
        size_t word = strcspn(allowed, " ");

        if (word == len && memcmp(allowed, name, len) == 0) {
            return true;
        }
        allowed += word + strspn(allowed + word, " ");
    }
    return false;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place. False for a broken escape or a NUL. */
static bool decode(char *text)
{
    char *out = text;

    for (const char *in = text; *in != 0; in++, out++) {
        *out = *in == '+' ? ' ' : *in;
        if (*in == '%') {
            int high = hex_digit(in[1]);
            int low = high < 0 ? -1 : hex_digit(in[2]);

            if (low < 0 || (high == 0 && low == 0)) {
                return false;
            }
            *out = (char)(high * 16 + low);
            in += 2;
        }
    }
    *out = 0;
    return true;
}

static int add_parameter(struct hm_call *call, const char *allowed, char *pair)
{
    char *value = strchr(pair, '=');

    if (value != NULL) {
        *value++ = 0;
    }
    if (!decode(pair) || (value != NULL && !decode(value))) {
        return hm_call_fail(call, HM_INVALID, "the query is not percent-encoded UTF-8");
    }
    if (!is_allowed(allowed, pair)) {
        return hm_call_fail(call, HM_INVALID, "unknown query parameter %s", pair);
    }
    if (hm_call_parameter(call, pair) != NULL) {
        return hm_call_fail(call, HM_INVALID, "query parameter %s stands twice", pair);
    }
    if (call->parameter_count == HM_CALL_PARAMETERS_MAX) {
        return hm_call_fail(call, HM_TOOBIG, "too many query parameters");
    }
    call->parameters[call->parameter_count++] =
        (struct hm_call_parameter){pair, value == NULL ? "" : value};
    return HM_OK;
}

int hm_api_json_query(struct hm_call *call, const char *allowed)
{
    const char *query = call->request->query == NULL ? "" : call->request->query;
    char *next = hm_arena_text(&call->arena, hm_bytes_str(query));
    int err = next == NULL ? HM_NOMEM : HM_OK;

    while (err == HM_OK && *next != 0) {
        char *end = next + strcspn(next, "&");
        char *rest = *end == 0 ? end : end + 1;

        *end = 0;
        if (*next != 0) {
            err = add_parameter(call, allowed, next);
        }
        next = rest;
    }
    return err;
}

/* -- Bodies -- */

static bool is_too_deep(json_t *value, int depth)
{
    const char *name;
    json_t *next;
    size_t i;

    if (depth > HM_CALL_DEPTH_MAX) {
        return true;
    }
    json_object_foreach(value, name, next)
    {
        if (is_too_deep(next, depth + 1)) {
            return true;
        }
    }
    json_array_foreach(value, i, next)
    {
        if (is_too_deep(next, depth + 1)) {
            return true;
        }
    }
    return false;
}

int hm_api_json_members(struct hm_call *call, json_t *object, const char *allowed,
                        const char *what)
{
    const char *name;
    json_t *value;

    if (!json_is_object(object)) {
        return hm_call_fail(call, HM_INVALID, "%s is not a JSON object", what);
    }
    json_object_foreach(object, name, value)
    {
        if (!is_allowed(allowed, name)) {
            return hm_call_fail(call, HM_INVALID, "%s has the unknown member %s", what,
                                name);
        }
    }
    return HM_OK;
}

static bool is_json_type(const char *type)
{
    static const char json[] = "application/json";

    return strncmp(type, json, sizeof json - 1) == 0 &&
           strchr("; \t", type[sizeof json - 1]) != NULL;
}

int hm_api_json_body(struct hm_call *call, const char *allowed)
{
    const struct hm_api_request *request = call->request;
    const char *type = request->content_type == NULL ? "" : request->content_type;
    json_error_t error;

    if (request->body.len == 0) {
        return HM_OK; /* what is needed is asked for by name */
    }
    if (type[0] != 0 && !is_json_type(type)) {
        call->problem_status = 415;
        return hm_call_fail(call, HM_INVALID, "the body must be application/json");
    }
    if (request->body.len > HM_CALL_BODY_BYTES_MAX) {
        return hm_call_fail(call, HM_TOOBIG, "the body is larger than %d MB",
                            HM_CALL_BODY_BYTES_MAX / 1024 / 1024);
    }
    call->body = json_loadb((const char *)request->body.data, request->body.len,
                            JSON_REJECT_DUPLICATES, &error);
    if (call->body == NULL) {
        return hm_call_fail(call, HM_INVALID,
                            "the body is not JSON: line %d, column %d: %s", error.line,
                            error.column, error.text);
    }
    if (is_too_deep(call->body, 1)) {
        return hm_call_fail(call, HM_INVALID, "the body is nested too deeply");
    }
    return hm_api_json_members(call, call->body, allowed, "the request");
}

int hm_api_json_text(struct hm_call *call, json_t *object, const char *name,
                     bool needed, const char **out_text)
{
    json_t *value = json_object_get(object, name);

    if (value == NULL || json_is_null(value)) {
        *out_text = NULL;
        return needed ? hm_call_fail(call, HM_INVALID, "%s is missing", name) : HM_OK;
    }
    if (!json_is_string(value)) {
        return hm_call_fail(call, HM_INVALID, "%s is not a text", name);
    }
    *out_text = json_string_value(value);
    if (needed && **out_text == 0) {
        return hm_call_fail(call, HM_INVALID, "%s is empty", name);
    }
    return HM_OK;
}

/* -- Answers -- */

int hm_api_json_stream(struct hm_call *call, const char *type)
{
    call->out = hm_arena_alloc(&call->arena, sizeof *call->out);
    if (call->out == NULL) {
        return HM_NOMEM;
    }
    hm_spool_init(call->out, call->node->dir);
    call->out_type = type;
    return HM_OK;
}

int hm_api_json_answer(struct hm_call *call)
{
    int err = HM_OK;

    if (call->out == NULL) {
        err = hm_api_json_stream(call, "application/json");
        if (err == HM_OK) {
            hm_spool_json(call->out, call->reply);
            call->reply = NULL;
        }
    }
    if (err == HM_OK) {
        err = hm_spool_finish(call->out, call->answer);
    }
    if (err == HM_OK) {
        call->answer->status = call->status;
        (void)snprintf(call->answer->content_type, sizeof call->answer->content_type,
                       "%s", call->out_type);
    }
    return err;
}
