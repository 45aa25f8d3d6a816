/* A CSV file as the node reads it and as hamlet cuts it: the same records with the same
 * values, on the same lines; each value is text without blanks around it. */
#include <stdio.h>

#include "daemon/cli/cli_csv.h"
#include "daemon/serve/csv_in.h"
#include "tests/fuzz/fuzz.h"

enum { RECORD_BYTES_MAX = 64 * 1024 };

static void check_record(const struct hm_csv_record *record, uint64_t last_line)
{
    HM_FUZZ_CHECK(record->line > last_line);
    HM_FUZZ_CHECK(record->count <= HM_CSV_IN_FIELDS_MAX);
    for (size_t i = 0; i < record->count; i++) {
        HM_FUZZ_CHECK(record->fields[i].data[record->fields[i].len] == 0);
        HM_FUZZ_CHECK(strlen((const char *)record->fields[i].data) ==
                      record->fields[i].len);
    }
}

static struct hm_bytes trimmed(struct hm_bytes text)
{
    while (text.len > 0 && memchr(" \t\r\n", text.data[0], 4) != NULL) {
        text = hm_bytes_of(text.data + 1, text.len - 1);
    }
    while (text.len > 0 && memchr(" \t\r\n", text.data[text.len - 1], 4) != NULL) {
        text.len--;
    }
    return text;
}

/* A quote within a plain word, or a quoted field with a quote that is not doubled or
 * without an end. */
static bool has_mistakes(struct hm_bytes field)
{
    field = trimmed(field);
    if (field.len == 0 || memchr(field.data, '"', field.len) == NULL) {
        return false;
    }
    if (field.len < 2 || field.data[0] != '"' || field.data[field.len - 1] != '"') {
        return true;
    }
    for (size_t i = 1; i < field.len - 1; i++) {
        if (field.data[i] == '"' &&
            (i + 1 == field.len - 1 || field.data[++i] != '"')) {
            return true;
        }
    }
    return false;
}

/* The value of the field that begins at *at, in value, without blanks around it; moves
 * *at behind its separator, and returns false when there is no such field. */
static bool cut_field(struct hm_bytes record, char separator, size_t *at,
                      struct hm_buf *value, struct hm_bytes *out)
{
    size_t end;

    if (*at > record.len) {
        return false;
    }
    end = hm_cli_csv_cut(record, separator, *at);
    hm_buf_clear(value);
    hm_cli_csv_value(value, hm_bytes_of(record.data + *at, end - *at));
    *out = trimmed(hm_buf_bytes(value));
    *at = end + 1;
    return true;
}

/* The next record of hamlet's that has a value; false at the end. *out_sure becomes
 * false at a record with a mistake: from there on the two need not agree. */
static bool cut_next(struct hm_cli_csv *cli, struct hm_buf *record, uint64_t *line,
                     bool *out_sure)
{
    bool found = false;
    struct hm_buf value;

    hm_buf_init(&value, RECORD_BYTES_MAX);
    while (!found && *out_sure) {
        int err = hm_cli_csv_next(cli, record, line);
        struct hm_bytes text;
        size_t from = 0;
        size_t at = 0;

        HM_FUZZ_ERR(err, HM_NOTFOUND);
        if (err != HM_OK) {
            break;
        }
        while (record->len > 0 &&
               cut_field(hm_buf_bytes(record), cli->separator, &at, &value, &text)) {
            if (has_mistakes(hm_bytes_of(record->data + from, at - 1 - from))) {
                *out_sure = false;
            }
            found = found || text.len > 0;
            from = at;
        }
    }
    hm_buf_deinit(&value);
    return found;
}

static void check_same(const struct hm_csv_record *record, struct hm_bytes cut,
                       char separator)
{
    struct hm_buf value;
    size_t at = 0;

    hm_buf_init(&value, RECORD_BYTES_MAX);
    for (size_t i = 0; i < record->count; i++) {
        struct hm_bytes text;

        HM_FUZZ_CHECK(cut_field(cut, separator, &at, &value, &text));
        HM_FUZZ_CHECK(hm_bytes_equal(text, record->fields[i]));
    }
    HM_FUZZ_CHECK(at > cut.len);
    hm_buf_deinit(&value);
}

static bool is_plain(struct hm_bytes bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        if ((bytes.data[i] < 32 && memchr("\t\r\n", bytes.data[i], 3) == NULL) ||
            bytes.data[i] >= 127) {
            return false;
        }
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hm_bytes bytes = hm_bytes_of(data, size);
    struct hm_cli_csv cli = {.line = 1};
    struct hm_csv_in *csv = NULL;
    struct hm_csv_record record;
    struct hm_buf cut;
    uint64_t last = 0;
    bool found = true;
    bool sure = size > 0 && is_plain(bytes);

    HM_FUZZ_CHECK(hm_csv_in_open(bytes, &csv) == HM_OK);
    cli.file = sure ? fmemopen((void *)(uintptr_t)data, size, "rb") : NULL;
    hm_buf_init(&cut, RECORD_BYTES_MAX);
    while (found) {
        struct hm_arena arena;
        uint64_t line = 0;

        hm_arena_init(&arena, HM_FUZZ_ARENA_BYTES_MAX);
        HM_FUZZ_CHECK(hm_csv_in_next(csv, &arena, &record, &found) == HM_OK);
        if (found) {
            check_record(&record, last);
            last = record.line;
        }
        if (sure) {
            bool cut_one = cut_next(&cli, &cut, &line, &sure);

            HM_FUZZ_CHECK(!sure || cut_one == found);
        }
        if (sure && found) {
            HM_FUZZ_CHECK(line == record.line);
            if (record.wrong == NULL) {
                check_same(&record, hm_buf_bytes(&cut), cli.separator);
            }
        }
        hm_arena_deinit(&arena);
    }
    if (cli.file != NULL) {
        (void)fclose(cli.file);
    }
    hm_buf_deinit(&cut);
    hm_csv_in_close(csv);
    return 0;
}
