#include "daemon/cli/cli_csv.h"

#include <stdbool.h>
#include <string.h>

/* START: nothing of the field but blanks; CLOSED: behind a quote that closes it, if a
 * separator or the end follows. */
enum state { START, PLAIN, QUOTED, CLOSED };

/* c is neither a separator outside quotes nor a line end outside quotes. */
static enum state step(enum state state, int c)
{
    switch (state) {
    case START:
        return c == '"' ? QUOTED : c == ' ' || c == '\t' ? START : PLAIN;
    case PLAIN:
        return PLAIN;
    case QUOTED:
        return c == '"' ? CLOSED : QUOTED;
    case CLOSED:
        /* "" is a quote within; blanks may follow; anything else reopens */
        return c == ' ' || c == '\t' ? CLOSED : QUOTED;
    }
    return state;
}

static const uint8_t mark[] = {0xEF, 0xBB, 0xBF};

struct hm_bytes hm_cli_csv_skip_mark(struct hm_bytes first)
{
    if (first.len >= sizeof mark && memcmp(first.data, mark, sizeof mark) == 0) {
        first.data += sizeof mark;
        first.len -= sizeof mark;
    }
    return first;
}

char hm_cli_csv_separator(struct hm_bytes first)
{
    enum state state = START;
    size_t commas = 0;
    size_t semicolons = 0;

    first = hm_cli_csv_skip_mark(first);
    for (size_t i = 0; i < first.len; i++) {
        int c = first.data[i];

        if (state != QUOTED && (c == ',' || c == ';')) {
            commas += c == ',';
            semicolons += c == ';';
            state = START;
        } else {
            state = step(state, c);
        }
    }
    return semicolons > commas ? ';' : ',';
}

/* What ends a field before the separator is known: either. */
static bool separates(const struct hm_cli_csv *csv, int c)
{
    return csv->separator == 0 ? c == ',' || c == ';' : c == csv->separator;
}

static bool skip_line_feed(FILE *file)
{
    int next = getc(file);

    if (next == '\n') {
        return true;
    }
    (void)ungetc(next, file); /* EOF is left alone */
    return false;
}

int hm_cli_csv_next(struct hm_cli_csv *csv, struct hm_buf *record, uint64_t *out_line)
{
    uint64_t line = csv->line;
    enum state state = START;
    int c;

    hm_buf_clear(record);
    while ((c = getc(csv->file)) != EOF) {
        if (c == '\n' || c == '\r') {
            bool both = c == '\r' && skip_line_feed(csv->file);

            csv->line++;
            if (state != QUOTED) {
                break;
            }
            hm_buf_append_u8(record, (uint8_t)c);
            if (both) {
                hm_buf_append_u8(record, '\n');
            }
            continue;
        }
        state = state != QUOTED && separates(csv, c) ? START : step(state, c);
        hm_buf_append_u8(record, (uint8_t)c);
        if (csv->line == 1 && hm_cli_csv_skip_mark(hm_buf_bytes(record)).len == 0) {
            state = START; /* only a byte order mark so far */
        }
    }
    if (ferror(csv->file) != 0) {
        return HM_IO;
    }
    if (record->err != HM_OK) {
        return record->err;
    }
    if (c == EOF && record->len == 0) {
        return HM_NOTFOUND;
    }
    if (csv->separator == 0) {
        csv->separator = hm_cli_csv_separator(hm_buf_bytes(record));
    }
    *out_line = line;
    return HM_OK;
}

size_t hm_cli_csv_cut(struct hm_bytes record, char separator, size_t from)
{
    enum state state = START;

    while (from < record.len) {
        int c = record.data[from];

        if (state != QUOTED && c == separator) {
            break;
        }
        state = step(state, c);
        from++;
    }
    return from;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

void hm_cli_csv_value(struct hm_buf *to, struct hm_bytes field)
{
    while (field.len > 0 && is_blank(field.data[0])) {
        field.data++;
        field.len--;
    }
    while (field.len > 0 && is_blank(field.data[field.len - 1])) {
        field.len--;
    }
    if (field.len < 2 || field.data[0] != '"' || field.data[field.len - 1] != '"') {
        hm_buf_append(to, field);
        return;
    }
    for (size_t i = 1; i + 1 < field.len; i++) {
        hm_buf_append_u8(to, field.data[i]);
        if (field.data[i] == '"' && field.data[i + 1] == '"' && i + 2 < field.len) {
            i++;
        }
    }
}

void hm_cli_csv_quote(struct hm_buf *to, struct hm_bytes value, char separator)
{
    bool plain = true;

    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.data[i];

        plain = plain && c != (uint8_t)separator && c != '"' && c != '\n' && c != '\r';
    }
    if (plain) {
        hm_buf_append(to, value);
        return;
    }
    hm_buf_append_u8(to, '"');
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] == '"') {
            hm_buf_append_u8(to, '"');
        }
        hm_buf_append_u8(to, value.data[i]);
    }
    hm_buf_append_u8(to, '"');
}
