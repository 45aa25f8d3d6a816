#include "daemon/cli/cli_print.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

static const char replacement[] = "\xEF\xBF\xBD";

/* The character at the front of text, -1 when it is not UTF-8; *out_len >= 1. */
static utf8proc_int32_t take_character(struct hm_bytes text, size_t *out_len)
{
    utf8proc_int32_t c = -1;
    utf8proc_ssize_t len = utf8proc_iterate(text.data, (utf8proc_ssize_t)text.len, &c);

    *out_len = len > 0 ? (size_t)len : 1;
    return len > 0 ? c : -1;
}

size_t hm_cli_print_width(struct hm_bytes text)
{
    size_t width = 0;

    while (text.len > 0) {
        size_t len;
        utf8proc_int32_t c = take_character(text, &len);

        width += c < 0 ? 1 : (size_t)utf8proc_charwidth(c);
        text.data += len;
        text.len -= len;
    }
    return width;
}

static bool is_hostile(utf8proc_int32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x202a && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069);
}

void hm_cli_print_clean(struct hm_buf *to, struct hm_bytes text)
{
    while (text.len > 0) {
        size_t len;
        utf8proc_int32_t c = take_character(text, &len);

        if (c == '\n' || c == '\r' || c == '\t') {
            hm_buf_append_u8(to, ' ');
        } else if (is_hostile(c)) {
            hm_buf_append_str(to, replacement);
        } else {
            hm_buf_append(to, hm_bytes_of(text.data, len));
        }
        text.data += len;
        text.len -= len;
    }
}

static void append_json(struct hm_buf *to, const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

    if (text != NULL) {
        hm_cli_print_clean(to, hm_bytes_str(text));
        free(text);
    }
}

static void append_list(struct hm_buf *to, const json_t *list)
{
    size_t count = json_array_size(list);

    if (count == 0) {
        hm_buf_append_str(to, "-");
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(list, i);

        hm_buf_append_str(to, i == 0 ? "" : ", ");
        if (json_is_array(item)) {
            append_json(to, item); /* one level is enough for people */
        } else {
            hm_cli_print_value(to, item);
        }
    }
}

void hm_cli_print_value(struct hm_buf *to, const json_t *value)
{
    if (value == NULL || json_is_null(value)) {
        hm_buf_append_str(to, "-");
    } else if (json_is_string(value)) {
        hm_cli_print_clean(
            to, hm_bytes_of(json_string_value(value), json_string_length(value)));
    } else if (json_is_boolean(value)) {
        hm_buf_append_str(to, json_is_true(value) ? "yes" : "no");
    } else if (json_is_array(value)) {
        append_list(to, value);
    } else {
        append_json(to, value);
    }
}

const json_t *hm_cli_print_find(const json_t *object, const char *path)
{
    while (object != NULL) {
        size_t len = strcspn(path, ".");
        char name[64];

        if (len >= sizeof name) {
            return NULL;
        }
        memcpy(name, path, len);
        name[len] = 0;
        object = json_object_get(object, name);
        if (path[len] == 0) {
            break;
        }
        path += len + 1;
    }
    return object;
}

void hm_cli_print_words(FILE *out, const json_t *value)
{
    struct hm_buf text;

    hm_buf_init(&text, HM_CLI_CELL_BYTES_MAX);
    hm_cli_print_value(&text, value);
    if (text.len > 0) {
        (void)fwrite(text.data, 1, text.len, out);
    }
    hm_buf_deinit(&text);
}

void hm_cli_print_fill(FILE *out, const json_t *object, const char *text)
{
    char path[64];

    while (*text != 0) {
        size_t plain = strcspn(text, "{");
        size_t len = text[plain] == 0 ? 0 : strcspn(text + plain + 1, "}");

        (void)fwrite(text, 1, plain, out);
        text += plain;
        if (*text == 0) {
            break;
        }
        HM_ASSERT(len < sizeof path && text[len + 1] == '}');
        memcpy(path, text + 1, len);
        path[len] = 0;
        hm_cli_print_words(out, hm_cli_print_find(object, path));
        text += len + 2;
    }
}

long long hm_cli_print_int(const json_t *object, const char *path)
{
    return json_integer_value(hm_cli_print_find(object, path));
}

/* cell is emptied and filled; a cell too long for people is cut by its limit. */
static void fill_cell(struct hm_buf *cell, const json_t *row,
                      const struct hm_cli_column *column)
{
    hm_buf_clear(cell);
    if (row == NULL) {
        hm_buf_append_str(cell, column->title);
    } else {
        hm_cli_print_value(cell, hm_cli_print_find(row, column->path));
    }
}

static void pad(FILE *out, size_t count)
{
    while (count-- > 0) {
        (void)fputc(' ', out);
    }
}

/* row NULL: the titles. */
static void print_row(FILE *out, struct hm_buf *cell, const json_t *row,
                      const struct hm_cli_column *columns, const size_t *width)
{
    for (size_t i = 0; columns[i].title != NULL; i++) {
        bool last = columns[i + 1].title == NULL;
        size_t fill;

        fill_cell(cell, row, &columns[i]);
        fill = width[i] - hm_cli_print_width(hm_buf_bytes(cell));
        if (columns[i].right) {
            pad(out, fill);
        }
        if (cell->len > 0) {
            (void)fwrite(cell->data, 1, cell->len, out);
        }
        if (!last) {
            pad(out, (columns[i].right ? 0 : fill) + 2);
        }
    }
    (void)fputc('\n', out);
}

void hm_cli_print_table(FILE *out, const json_t *rows,
                        const struct hm_cli_column *columns)
{
    enum { COLUMNS_MAX = 16 };
    size_t width[COLUMNS_MAX] = {0};
    struct hm_buf cell;
    size_t count = json_array_size(rows);

    hm_buf_init(&cell, HM_CLI_CELL_BYTES_MAX);
    for (size_t i = 0; columns[i].title != NULL; i++) {
        HM_ASSERT(i < COLUMNS_MAX);
        for (size_t row = 0; row <= count; row++) {
            size_t used;

            fill_cell(&cell, row == 0 ? NULL : json_array_get(rows, row - 1),
                      &columns[i]);
            used = hm_cli_print_width(hm_buf_bytes(&cell));
            width[i] = used > width[i] ? used : width[i];
        }
    }
    for (size_t row = 0; row <= count; row++) {
        print_row(out, &cell, row == 0 ? NULL : json_array_get(rows, row - 1), columns,
                  width);
    }
    hm_buf_deinit(&cell);
}

void hm_cli_print_count(FILE *out, long long count, const char *singular,
                        const char *plural)
{
    if (count == 0) {
        (void)fprintf(out, "no %s", plural);
    } else {
        (void)fprintf(out, "%lld %s", count, count == 1 ? singular : plural);
    }
}

const char *hm_cli_print_bytes(char *to, long long bytes)
{
    if (bytes < 1000) {
        (void)snprintf(to, 32, "%lld B", bytes);
    } else if (bytes < 1000000) {
        (void)snprintf(to, 32, "%lld.%lld kB", bytes / 1000, bytes % 1000 / 100);
    } else {
        (void)snprintf(to, 32, "%lld.%lld MB", bytes / 1000000,
                       bytes % 1000000 / 100000);
    }
    return to;
}
