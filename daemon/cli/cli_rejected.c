/* The parts of an import that need no node. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "daemon/cli/cli_csv.h"
#include "daemon/cli/cli_import.h"

static const char reason_column[] = "hamlet_reason";

static char *trim(char *text)
{
    size_t len;

    text += strspn(text, " \t");
    len = strlen(text);
    while (len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL) {
        text[--len] = 0;
    }
    return text;
}

/* line is changed. Returns false when it is not "column = field". */
static bool add_line(json_t *map, char *line)
{
    char *equals = strrchr(line, '=');
    char *column;
    char *field;

    if (equals == NULL) {
        return false;
    }
    *equals = 0;
    column = trim(line);
    field = trim(equals + 1);
    return column[0] != 0 && field[0] != 0 && json_object_get(map, column) == NULL &&
           json_object_set_new(map, column, json_string(field)) == 0;
}

static int read_lines(FILE *file, json_t *map, size_t *line_count)
{
    char line[4096];

    while (fgets(line, sizeof line, file) != NULL) {
        char *text = line;

        ++*line_count;
        if (*line_count == 1 && strncmp(text, "\xEF\xBB\xBF", 3) == 0) {
            text += 3;
        }
        text = trim(text);
        if (text[0] != 0 && text[0] != '#' && !add_line(map, text)) {
            return HM_MALFORMED;
        }
    }
    return ferror(file) == 0 ? HM_OK : HM_IO;
}

int hm_cli_import_read_map(const char *path, json_t **out_map, char *text, size_t size)
{
    FILE *file = fopen(path, "re");
    json_t *map = json_object();
    size_t line_count = 0;
    int err = HM_NOMEM;

    if (file == NULL) {
        (void)snprintf(text, size, "%s: %s", path, strerror(errno));
        err = HM_IO;
    } else if (map != NULL) {
        err = read_lines(file, map, &line_count);
        (void)snprintf(text, size, "%s: line %zu is not \"column = field\"", path,
                       line_count);
        (void)fclose(file); /* read only */
    } else {
        (void)fclose(file);
    }
    if (err != HM_OK) {
        json_decref(map);
        return err;
    }
    *out_map = map;
    return HM_OK;
}

static size_t count_line_ends(struct hm_bytes bytes)
{
    size_t count = 0;

    for (size_t i = 0; i < bytes.len; i++) {
        bool both =
            bytes.data[i] == '\r' && i + 1 < bytes.len && bytes.data[i + 1] == '\n';

        count += bytes.data[i] == '\n' || (bytes.data[i] == '\r' && !both);
    }
    return count;
}

/* Append one column's name to head, renamed; *used grows when map knew it. */
static int rename_column(struct hm_bytes field, char separator, const json_t *map,
                         struct hm_buf *head, size_t *used)
{
    struct hm_buf name;
    const char *text;
    int err = HM_NOMEM;

    hm_buf_init(&name, HM_CLI_RECORD_BYTES_MAX);
    hm_cli_csv_value(&name, field);
    text = hm_buf_str(&name);
    if (text != NULL) {
        const char *other = json_string_value(json_object_get(map, text));

        *used += other != NULL;
        hm_cli_csv_quote(
            head, other == NULL ? hm_buf_bytes(&name) : hm_bytes_str(other), separator);
        err = head->err;
    }
    hm_buf_deinit(&name);
    return err;
}

int hm_cli_import_rename(FILE *file, const json_t *map, struct hm_buf *head, char *text,
                         size_t size)
{
    struct hm_cli_csv csv = {.file = file, .line = 1};
    struct hm_buf record;
    struct hm_bytes first;
    uint64_t line;
    size_t used = 0;
    size_t from = 0;
    int err;

    hm_buf_init(&record, HM_CLI_RECORD_BYTES_MAX);
    err = hm_cli_csv_next(&csv, &record, &line);
    (void)snprintf(text, size, "the first line cannot be read: %s", hm_err_text(err));
    first = hm_cli_csv_skip_mark(hm_buf_bytes(&record));
    while (err == HM_OK && from <= first.len) {
        size_t end = hm_cli_csv_cut(first, csv.separator, from);

        if (from > 0) {
            hm_buf_append_u8(head, (uint8_t)csv.separator);
        }
        err = rename_column(hm_bytes_of(first.data + from, end - from), csv.separator,
                            map, head, &used);
        from = end + 1;
    }
    if (err == HM_OK && used < json_object_size(map)) {
        (void)snprintf(text, size, "the map names %zu columns that the file lacks",
                       json_object_size(map) - used);
        err = HM_NOTFOUND;
    }
    while (err == HM_OK && 1 + count_line_ends(hm_buf_bytes(head)) < csv.line) {
        hm_buf_append_u8(head, '\n');
        err = head->err;
    }
    hm_buf_deinit(&record);
    return err;
}

char *hm_cli_import_rejected_name(const char *path)
{
    static const char end[] = ".rejected.csv";
    size_t len = strlen(path);
    char *name = malloc(len + sizeof end);

    if (name == NULL) {
        return NULL;
    }
    if (len > 4 && strcasecmp(path + len - 4, ".csv") == 0) {
        len -= 4;
    }
    memcpy(name, path, len);
    memcpy(name + len, end, sizeof end);
    return name;
}

/* The rejected lines in their order, and the shape of the table. */
struct copy {
    const json_t **sorted; /* of {line, reason} */
    size_t count;
    size_t next;
    size_t columns; /* without hamlet_reason */
    bool replaces;  /* in has a column hamlet_reason at its end */
    char separator;
    FILE *out;
};

static json_int_t line_of(const json_t *rejected)
{
    return json_integer_value(json_object_get(rejected, "line"));
}

static int by_line(const void *a, const void *b)
{
    json_int_t left = line_of(*(const json_t *const *)a);
    json_int_t right = line_of(*(const json_t *const *)b);

    return (left > right) - (left < right);
}

/* How many fields record has; *out_last is where the last one begins. */
static size_t count_fields(struct hm_bytes record, char separator, size_t *out_last)
{
    size_t count = 0;
    size_t from = 0;

    while (from <= record.len) {
        *out_last = from;
        count++;
        from = hm_cli_csv_cut(record, separator, from) + 1;
    }
    return count;
}

static void write_bytes(FILE *out, struct hm_bytes bytes)
{
    if (bytes.len > 0) {
        (void)fwrite(bytes.data, 1, bytes.len, out); /* ferror is asked at the end */
    }
}

static int copy_first(struct copy *c, struct hm_bytes record)
{
    struct hm_bytes plain = hm_cli_csv_skip_mark(record);
    struct hm_buf name;
    size_t last = 0;
    int err;

    c->columns = count_fields(plain, c->separator, &last);
    hm_buf_init(&name, HM_CLI_RECORD_BYTES_MAX);
    hm_cli_csv_value(&name, hm_bytes_of(plain.data + last, plain.len - last));
    err = name.err;
    c->replaces = hm_bytes_equal(hm_buf_bytes(&name), hm_bytes_str(reason_column));
    hm_buf_deinit(&name);
    write_bytes(c->out, record);
    if (c->replaces) {
        c->columns--;
        (void)fputc('\n', c->out);
    } else {
        (void)fprintf(c->out, "%c%s\n", c->separator, reason_column);
    }
    return err;
}

static int copy_record(struct copy *c, struct hm_bytes record, const char *reason)
{
    struct hm_buf quoted;
    size_t last = 0;
    size_t count = count_fields(record, c->separator, &last);
    int err;

    if (c->replaces && count > c->columns) {
        record.len = last == 0 ? 0 : last - 1;
        count--;
    }
    write_bytes(c->out, record);
    for (; count < c->columns; count++) {
        (void)fputc(c->separator, c->out);
    }
    hm_buf_init(&quoted, HM_CLI_RECORD_BYTES_MAX);
    hm_cli_csv_quote(&quoted, hm_bytes_str(reason), c->separator);
    (void)fputc(c->separator, c->out);
    write_bytes(c->out, hm_buf_bytes(&quoted));
    (void)fputc('\n', c->out);
    err = quoted.err;
    hm_buf_deinit(&quoted);
    return err;
}

static int copy_all(struct copy *c, FILE *in)
{
    struct hm_cli_csv csv = {.file = in, .line = 1};
    struct hm_buf record;
    uint64_t line;
    int err;

    hm_buf_init(&record, HM_CLI_RECORD_BYTES_MAX);
    err = hm_cli_csv_next(&csv, &record, &line);
    if (err == HM_OK) {
        c->separator = csv.separator;
        err = copy_first(c, hm_buf_bytes(&record));
    }
    while (err == HM_OK && c->next < c->count) {
        err = hm_cli_csv_next(&csv, &record, &line);
        if (err == HM_NOTFOUND) {
            err = HM_OK; /* a line behind the end: the file was changed meanwhile */
            break;
        }
        while (c->next < c->count && line_of(c->sorted[c->next]) < (json_int_t)line) {
            c->next++;
        }
        if (err == HM_OK && c->next < c->count &&
            line_of(c->sorted[c->next]) == (json_int_t)line) {
            const char *reason =
                json_string_value(json_object_get(c->sorted[c->next++], "reason"));

            err = copy_record(c, hm_buf_bytes(&record), reason);
        }
    }
    hm_buf_deinit(&record);
    return err == HM_OK && ferror(c->out) != 0 ? HM_IO : err;
}

int hm_cli_import_copy_rejected(FILE *in, const json_t *rejected, FILE *out)
{
    struct copy c = {.count = json_array_size(rejected), .out = out};
    int err;

    c.sorted = calloc(c.count + 1, sizeof(json_t *));
    if (c.sorted == NULL) {
        return HM_NOMEM;
    }
    for (size_t i = 0; i < c.count; i++) {
        c.sorted[i] = json_array_get(rejected, i);
    }
    qsort(c.sorted, c.count, sizeof(json_t *), by_line);
    err = copy_all(&c, in);
    free(c.sorted);
    return err;
}
