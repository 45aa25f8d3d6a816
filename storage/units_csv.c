#include "storage/units_csv.h"

#include <stdlib.h>

#include <csv.h>
#include <utf8proc.h>

#include "protocol/guard.h"
#include "storage/csv_line.h"

enum { FIELDS_MAX = 64, BETWEEN_ROWS = 0 /* pstate of libcsv outside of a row */ };

static const char *const NAMES[HM_UNITS_COLUMNS] = {
    "code", "name", "kind", "parent", "from", "to", "former", "continues", "note"};

struct reading {
    struct hm_arena *arena;
    struct hm_units_line *lines;
    size_t count;
    size_t room;
    size_t line; /* where the record that is being read begins */
    int columns[FIELDS_MAX];
    size_t column_count;
    bool header_done;
    struct hm_units_line now;
    size_t field;
    int err;
};

/* In NFC, NUL behind it; NULL when it is no text, or memory is short (err). */
static const char *text_of(struct reading *reading, const void *bytes, size_t len)
{
    struct hm_bytes text = hm_bytes_of(bytes, len);
    utf8proc_uint8_t *composed = NULL;
    const char *copy;
    int err = hm_guard_text(text);

    if (len == 0) {
        return "";
    }
    if (err == HM_NONCANONICAL) {
        utf8proc_ssize_t size = utf8proc_map(bytes, (utf8proc_ssize_t)len, &composed,
                                             UTF8PROC_STABLE | UTF8PROC_COMPOSE);

        text = size < 0 ? text : hm_bytes_of(composed, (size_t)size);
        err = size < 0 ? HM_MALFORMED : hm_guard_text(text);
    }
    copy = err == HM_OK ? hm_arena_text(reading->arena, text) : NULL;
    if (err == HM_OK && copy == NULL) {
        reading->err = HM_NOMEM;
    }
    free(composed);
    return copy;
}

static void on_field(void *bytes, size_t len, void *arg)
{
    struct reading *reading = arg;
    size_t index = reading->field++;
    const char *text;

    if (reading->err != HM_OK || index >= FIELDS_MAX) {
        return;
    }
    if (!reading->header_done) {
        reading->columns[index] = -1;
        for (int i = 0; i < HM_UNITS_COLUMNS; i++) {
            if (strlen(NAMES[i]) == len && memcmp(NAMES[i], bytes, len) == 0) {
                reading->columns[index] = i;
            }
        }
        reading->column_count = index + 1;
    } else if (index < reading->column_count && reading->columns[index] >= 0) {
        text = text_of(reading, bytes, len);
        if (text == NULL) {
            reading->now.reason = "it is not UTF-8 text, or too long";
        } else {
            reading->now.fields[reading->columns[index]] = text;
        }
    }
}

static void begin_line(struct reading *reading)
{
    reading->now = (struct hm_units_line){0};
    reading->field = 0;
    for (int i = 0; i < HM_UNITS_COLUMNS; i++) {
        reading->now.fields[i] = "";
    }
}

static void on_row(int end, void *arg)
{
    struct reading *reading = arg;

    (void)end;
    if (reading->err != HM_OK) {
        return;
    }
    if (!reading->header_done) {
        reading->header_done = true;
    } else {
        if (reading->count == reading->room) {
            size_t room = reading->room == 0 ? 256 : 2 * reading->room;
            void *grown = hm_arena_grow(reading->arena, reading->lines, reading->count,
                                        room, sizeof *reading->lines);

            if (grown == NULL || reading->count >= HM_UNITS_MAX) {
                reading->err = grown == NULL ? HM_NOMEM : HM_TOOBIG;
                return;
            }
            reading->lines = grown;
            reading->room = room;
        }
        reading->now.line = reading->line;
        reading->lines[reading->count++] = reading->now;
    }
    begin_line(reading);
}

static bool is_line_end(uint8_t c)
{
    return c == '\n' || c == '\r';
}

/* Semicolons when the first line has more of them outside of quotes. */
static unsigned char separator(struct hm_bytes csv)
{
    long balance = 0;
    bool quoted = false;

    for (size_t i = 0; i < csv.len && (quoted || !is_line_end(csv.data[i])); i++) {
        quoted = csv.data[i] == '"' ? !quoted : quoted;
        balance += quoted ? 0 : (csv.data[i] == ',') - (csv.data[i] == ';');
    }
    return balance < 0 ? ';' : ',';
}

/* One physical line at a time: so the line on which a record begins is known. */
static int parse(struct csv_parser *parser, struct hm_bytes csv,
                 struct reading *reading)
{
    size_t line = 1;

    for (size_t at = 0; at < csv.len && reading->err == HM_OK; line++) {
        size_t len = hm_csv_line_bytes(hm_bytes_of(csv.data + at, csv.len - at));

        if (parser->pstate == BETWEEN_ROWS) {
            reading->line = line;
        }
        if (csv_parse(parser, csv.data + at, len, on_field, on_row, reading) != len) {
            return HM_INVALID;
        }
        at += len;
    }
    if (reading->err == HM_OK && csv_fini(parser, on_field, on_row, reading) != 0) {
        return HM_INVALID;
    }
    return reading->err;
}

static bool has_column(const struct reading *reading, int column)
{
    for (size_t i = 0; i < reading->column_count; i++) {
        if (reading->columns[i] == column) {
            return true;
        }
    }
    return false;
}

int hm_units_csv_read(struct hm_bytes csv, struct hm_arena *arena,
                      struct hm_units_line **out_lines, size_t *out_count,
                      const char **out_reason)
{
    struct reading reading = {.arena = arena};
    struct csv_parser parser;
    const char *reason = NULL;
    int err;

    if (csv.len >= 3 && memcmp(csv.data, "\xef\xbb\xbf", 3) == 0) {
        csv = hm_bytes_of(csv.data + 3, csv.len - 3);
    }
    if (csv_init(&parser, CSV_STRICT | CSV_STRICT_FINI) != 0) {
        return HM_NOMEM;
    }
    csv_set_delim(&parser, separator(csv));
    begin_line(&reading);
    err = parse(&parser, csv, &reading);
    csv_free(&parser);
    if (err == HM_INVALID) {
        reason = "the file is not CSV: a quote stands alone or is not closed";
    } else if (err == HM_OK && !(has_column(&reading, HM_UNITS_CODE) &&
                                 has_column(&reading, HM_UNITS_NAME))) {
        reason = "the first line must name the columns, `code` and `name` among them";
        err = HM_INVALID;
    }
    if (err != HM_OK) {
        *out_reason = reason == NULL ? "" : reason;
        return err;
    }
    *out_lines = reading.lines;
    *out_count = reading.count;
    return HM_OK;
}
