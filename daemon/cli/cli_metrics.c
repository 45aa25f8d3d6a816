#include "daemon/cli/cli_metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/buf.h"

enum { LABEL_BYTES_MAX = 64 * 1024, NUMBER_BYTES_MAX = 63 };

/* "..." at *at with \\, \" and \n; moves behind it. */
static json_t *take_quoted(const char **at, const char *end)
{
    struct hm_buf text;
    json_t *value = NULL;

    hm_buf_init(&text, LABEL_BYTES_MAX);
    for (++*at; *at < end && **at != '"'; ++*at) {
        char c = **at;

        if (c == '\\' && *at + 1 < end) {
            c = *++*at == 'n' ? '\n' : **at;
        }
        hm_buf_append_u8(&text, (uint8_t)c);
    }
    if (*at < end && text.err == HM_OK) {
        ++*at;
        value = json_stringn(text.len == 0 ? "" : (const char *)text.data, text.len);
    }
    hm_buf_deinit(&text);
    return value;
}

/* {a="b",c="d"} at *at; moves behind it. */
static json_t *take_labels(const char **at, const char *end)
{
    json_t *labels = json_object();

    ++*at;
    while (*at < end && **at != '}') {
        const char *equals = memchr(*at, '=', (size_t)(end - *at));
        char name[128];
        size_t len = equals == NULL ? sizeof name : (size_t)(equals - *at);

        if (len >= sizeof name || equals + 1 >= end || equals[1] != '"') {
            json_decref(labels);
            return NULL;
        }
        memcpy(name, *at, len);
        name[len] = 0;
        *at = equals + 1;
        if (json_object_set_new(labels, name, take_quoted(at, end)) != 0) {
            json_decref(labels);
            return NULL;
        }
        if (*at < end && **at == ',') {
            ++*at;
        }
    }
    *at += *at < end; /* the brace */
    return labels;
}

/* A number that fills the bytes up to a blank (a time may follow) or end. */
static json_t *take_number(const char *at, const char *end)
{
    char text[NUMBER_BYTES_MAX + 1] = "";
    size_t len;
    char *behind;
    double value;

    while (at < end && *at == ' ') {
        at++;
    }
    for (len = 0; len < NUMBER_BYTES_MAX && at + len < end && at[len] != ' '; len++) {
        text[len] = at[len];
    }
    value = strtod(text, &behind);
    if (len == 0 || *behind != 0) {
        return NULL;
    }
    if (!isfinite(value)) {
        return json_null();
    }
    return fabs(value) < 9e15 && floor(value) == value ? json_integer((json_int_t)value)
                                                       : json_real(value);
}

static json_t *parse_sample(const char *at, const char *end)
{
    const char *name = at;
    json_t *labels;
    size_t len;

    while (at < end && *at != '{' && *at != ' ') {
        at++;
    }
    len = (size_t)(at - name);
    labels = at < end && *at == '{' ? take_labels(&at, end) : json_object();
    if (labels == NULL) {
        return NULL;
    }
    return json_pack("{s:s%, s:o, s:o}", "name", name, len, "labels", labels, "value",
                     take_number(at, end));
}

json_t *hm_cli_metrics_parse(struct hm_bytes text)
{
    const char *at = (const char *)text.data;
    const char *all_end = at + text.len;
    json_t *list = json_array();

    while (list != NULL && at < all_end) {
        const char *end = memchr(at, '\n', (size_t)(all_end - at));

        if (end == NULL) {
            end = all_end;
        }
        if (end > at && *at != '#' &&
            json_array_append_new(list, parse_sample(at, end)) != 0) {
            json_decref(list);
            return NULL;
        }
        at = end + 1;
    }
    return list;
}
