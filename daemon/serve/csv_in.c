#include "daemon/serve/csv_in.h"

#include <csv.h>
#include <stdlib.h>
#include <utf8proc.h>

#include "storage/csv_line.h"

struct hm_csv_in {
    struct csv_parser parser;
    bool opened; /* parser is to be freed */
    struct hm_bytes bytes;
    size_t at;
    uint64_t line; /* of the byte at `at` */
    /* the record that is being read */
    struct hm_arena *arena;
    struct hm_csv_record record;
    size_t record_bytes;
    size_t room;
    bool complete;
    bool inside; /* its first line was fed */
    int err;
};

/* -- Fields -- */

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct hm_bytes trimmed(struct hm_bytes text)
{
    /* 0xC2 0xA0 is the blank that spreadsheets like. */
    while (text.len > 0 &&
           (is_blank(text.data[0]) ||
            (text.len > 1 && text.data[0] == 0xC2 && text.data[1] == 0xA0))) {
        size_t skip = text.data[0] == 0xC2 ? 2 : 1;

        text = hm_bytes_of(text.data + skip, text.len - skip);
    }
    while (text.len > 0) {
        uint8_t last = text.data[text.len - 1];

        if (last == 0xA0 && text.len > 1 && text.data[text.len - 2] == 0xC2) {
            text.len -= 2;
        } else if (last != 0xA0 && is_blank(last)) {
            text.len--;
        } else {
            break;
        }
    }
    return text;
}

static bool is_ascii(struct hm_bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] >= 0x80) {
            return false;
        }
    }
    return true;
}

static int normalise(struct hm_csv_in *csv, struct hm_bytes text, struct hm_bytes *out)
{
    utf8proc_uint8_t *nfc = NULL;
    utf8proc_ssize_t len = (utf8proc_ssize_t)text.len;
    char *copy;

    if (!is_ascii(text)) {
        len = utf8proc_map(text.data, (utf8proc_ssize_t)text.len, &nfc,
                           UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    }
    if (len == UTF8PROC_ERROR_NOMEM) {
        return HM_NOMEM;
    }
    if (len < 0) {
        csv->record.wrong = "the text is not UTF-8; save the file as CSV UTF-8";
        *out = hm_bytes_of("", 0);
        return HM_OK;
    }
    copy = hm_arena_text(csv->arena,
                         hm_bytes_of(nfc == NULL ? text.data : nfc, (size_t)len));
    free(nfc);
    if (copy == NULL) {
        return HM_NOMEM;
    }
    *out = hm_bytes_of(copy, strlen(copy)); /* ends at a NUL inside */
    return HM_OK;
}

static void on_field(void *data, size_t len, void *arg)
{
    struct hm_csv_in *csv = arg;
    struct hm_csv_record *record = &csv->record;
    struct hm_bytes *grown;

    if (csv->err != HM_OK || record->count == HM_CSV_IN_FIELDS_MAX) {
        record->wrong =
            csv->err == HM_OK ? "the line has too many fields" : record->wrong;
        return;
    }
    if (record->count == csv->room) {
        csv->room = csv->room == 0 ? 64 : 2 * csv->room;
        grown = hm_arena_grow(csv->arena, record->fields, record->count, csv->room,
                              sizeof *grown);
        if (grown == NULL) {
            csv->err = HM_NOMEM;
            return;
        }
        record->fields = grown;
    }
    csv->err =
        normalise(csv, trimmed(hm_bytes_of(data, len)), &record->fields[record->count]);
    record->count++;
}

static void on_record(int ended_by, void *arg)
{
    struct hm_csv_in *csv = arg;

    (void)ended_by;
    csv->complete = true;
}

/* -- Opening -- */

static unsigned char find_separator(struct hm_bytes bytes)
{
    bool quoted = false;
    size_t commas = 0;
    size_t semicolons = 0;

    for (size_t i = 0; i < bytes.len; i++) {
        uint8_t c = bytes.data[i];

        quoted = c == '"' ? !quoted : quoted;
        if (!quoted && (c == '\n' || c == '\r')) {
            break;
        }
        commas += !quoted && c == ',' ? 1 : 0;
        semicolons += !quoted && c == ';' ? 1 : 0;
    }
    return semicolons > commas ? ';' : ',';
}

int hm_csv_in_open(struct hm_bytes bytes, struct hm_csv_in **out_csv)
{
    static const uint8_t mark[] = {0xEF, 0xBB, 0xBF};
    struct hm_csv_in *csv = calloc(1, sizeof *csv);

    if (csv == NULL || csv_init(&csv->parser, CSV_APPEND_NULL) != 0) {
        free(csv);
        return HM_NOMEM;
    }
    if (bytes.len >= sizeof mark && memcmp(bytes.data, mark, sizeof mark) == 0) {
        bytes = hm_bytes_of(bytes.data + sizeof mark, bytes.len - sizeof mark);
    }
    csv->opened = true;
    csv->bytes = bytes;
    csv->line = 1;
    csv_set_delim(&csv->parser, find_separator(bytes));
    *out_csv = csv;
    return HM_OK;
}

void hm_csv_in_close(struct hm_csv_in *csv)
{
    if (csv != NULL) {
        csv_free(&csv->parser);
        free(csv);
    }
}

/* -- Reading -- */

/* A record that never ends: start anew on the next line. */
static void give_up(struct hm_csv_in *csv, const char *why)
{
    unsigned char separator = csv_get_delim(&csv->parser);

    csv_free(&csv->parser);
    (void)csv_init(&csv->parser, CSV_APPEND_NULL); /* allocates nothing */
    csv_set_delim(&csv->parser, separator);
    csv->record.wrong = why;
    csv->complete = true;
}

static void feed_line(struct hm_csv_in *csv)
{
    size_t len = hm_csv_line_bytes(
        hm_bytes_of(csv->bytes.data + csv->at, csv->bytes.len - csv->at));

    if (!csv->inside) {
        csv->record.line = csv->line;
        csv->inside = true;
    }
    if (csv_parse(&csv->parser, csv->bytes.data + csv->at, len, on_field, on_record,
                  csv) != len) {
        csv->err = HM_NOMEM;
    }
    csv->at += len;
    csv->line++;
    csv->record_bytes += len;
    if (!csv->complete && csv->record_bytes > HM_CSV_IN_RECORD_BYTES_MAX) {
        give_up(csv, "the line is too long: is a quote never closed?");
    }
    if (!csv->complete && csv->at == csv->bytes.len) {
        (void)csv_fini(&csv->parser, on_field, on_record, csv); /* not strict */
    }
}

static bool has_text(const struct hm_csv_record *record)
{
    for (size_t i = 0; i < record->count; i++) {
        if (record->fields[i].len > 0) {
            return true;
        }
    }
    return record->wrong != NULL;
}

int hm_csv_in_next(struct hm_csv_in *csv, struct hm_arena *arena,
                   struct hm_csv_record *out, bool *out_found)
{
    csv->arena = arena;
    while (csv->at < csv->bytes.len && csv->err == HM_OK) {
        memset(&csv->record, 0, sizeof csv->record);
        csv->record_bytes = 0;
        csv->room = 0;
        csv->complete = false;
        csv->inside = false;
        while (!csv->complete && csv->at < csv->bytes.len && csv->err == HM_OK) {
            feed_line(csv);
            if (!csv->complete && csv->record.count == 0 && csv->parser.pstate == 0) {
                csv->inside = false; /* an empty line lies between records */
            }
        }
        if (csv->err == HM_OK && csv->complete && has_text(&csv->record)) {
            *out = csv->record;
            *out_found = true;
            return HM_OK;
        }
    }
    *out_found = false;
    return csv->err;
}
