#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/cli/cli_csv.h"
#include "daemon/cli/cli_import.h"

static FILE *open_text(const char *text)
{
    FILE *file = fmemopen((void *)text, strlen(text), "rb");

    assert_non_null(file);
    return file;
}

/* All records as "LINE:BYTES|". */
static void check_records(const char *text, char separator, const char *expected)
{
    struct hm_cli_csv csv = {.file = open_text(text), .line = 1};
    struct hm_buf record;
    struct hm_buf all;
    uint64_t line = 0;

    hm_buf_init(&record, 1000);
    hm_buf_init(&all, 10000);
    while (hm_cli_csv_next(&csv, &record, &line) == HM_OK) {
        hm_buf_printf(&all, "%u:%s|", (unsigned)line, hm_buf_str(&record));
    }
    assert_string_equal(hm_buf_str(&all), expected);
    assert_int_equal(csv.separator, separator);
    (void)fclose(csv.file);
    hm_buf_deinit(&record);
    hm_buf_deinit(&all);
}

/* The node names physical lines; counting records instead would return the wrong
 * households to the person who corrects them. */
HM_TEST(records_know_their_line)
{
    check_records("a,b\n1,2\n\n3,4", ',', "1:a,b|2:1,2|3:|4:3,4|");
    check_records("a;b\r\n1;\"x\r\ny\"\r\n3;4\r\n", ';', "1:a;b|2:1;\"x\r\ny\"|4:3;4|");
    check_records("a,b\r1,2\r", ',', "1:a,b|2:1,2|");
    check_records("a,b\n1,x\"y\n2,\"p\"\"\nq\"\n", ',',
                  "1:a,b|2:1,x\"y|3:2,\"p\"\"\nq\"|");
}

/* Excel writes a byte order mark before a quoted first name. */
HM_TEST(mark_before_a_quote)
{
    check_records("\xEF\xBB\xBF\"a\nb\",c\n1,2\n", ',',
                  "1:\xEF\xBB\xBF\"a\nb\",c|3:1,2|");
}

HM_TEST(separator_outside_quotes)
{
    assert_int_equal(hm_cli_csv_separator(hm_bytes_str("\"a,b,c\";d;e")), ';');
    assert_int_equal(hm_cli_csv_separator(hm_bytes_str("a,b;c,d")), ',');
    assert_int_equal(hm_cli_csv_separator(hm_bytes_str("alone")), ',');
}

/* A quote that is never closed must not fill the memory. */
HM_TEST(record_has_a_limit)
{
    struct hm_cli_csv csv = {.file = open_text("a,\"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"),
                             .line = 1};
    struct hm_buf record;
    uint64_t line = 7;

    hm_buf_init(&record, 16);
    assert_int_equal(hm_cli_csv_next(&csv, &record, &line), HM_TOOBIG);
    assert_int_equal(line, 7);
    (void)fclose(csv.file);
    hm_buf_deinit(&record);
}

static void check_rejected(const char *in, const char *rejected, const char *expected)
{
    json_t *list = json_loads(rejected, 0, NULL);
    FILE *from = open_text(in);
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(from);
    assert_non_null(out);
    CHECK_OK(hm_cli_import_copy_rejected(from, list, out));
    (void)fclose(out);
    (void)fclose(from);
    assert_string_equal(text, expected);
    free(text);
    json_decref(list);
}

/* What was typed comes back byte for byte, with the reason beside it. */
HM_TEST(rejected_lines_come_back)
{
    check_rejected("scope,head\n1,A\n2,\"B, \"\"b\"\"\"\n3,C\n",
                   "[{\"line\": 4, \"reason\": \"no scope 3\"},"
                   " {\"line\": 3, \"reason\": \"bad, sorry\"}]",
                   "scope,head,hamlet_reason\n"
                   "2,\"B, \"\"b\"\"\",\"bad, sorry\"\n"
                   "3,C,no scope 3\n");
}

/* A line with too few columns would carry its reason in the wrong one. */
HM_TEST(short_line_is_padded)
{
    check_rejected("a;b;c\n1\n", "[{\"line\": 2, \"reason\": \"short\"}]",
                   "a;b;c;hamlet_reason\n1;;;short\n");
}

/* A corrected file that is rejected again has the new reason, once. */
HM_TEST(reason_is_replaced)
{
    check_rejected("a,hamlet_reason\n1,old\n2,\"older, still\"\n",
                   "[{\"line\": 3, \"reason\": \"new\"}]", "a,hamlet_reason\n2,new\n");
}

HM_TEST(rejected_name)
{
    char *name = hm_cli_import_rejected_name("dir/Bản Mé.CSV");

    assert_string_equal(name, "dir/Bản Mé.rejected.csv");
    free(name);
    name = hm_cli_import_rejected_name("list");
    assert_string_equal(name, "list.rejected.csv");
    free(name);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* Officers' files have Vietnamese titles; the lines behind the first keep numbers. */
HM_TEST(map_renames_columns)
{
    const char *csv = "\xEF\xBB\xBF\"Họ và\ntên\";Thôn;Khác\nA;1;x\n";
    char path[300];
    char text[300];
    char rest[32] = "";
    json_t *map = json_pack("{s:s, s:s}", "Họ và\ntên", "head_name", "Thôn", "scope");
    struct hm_buf head;
    FILE *file = open_text(csv);

    assert_non_null(file);
    hm_buf_init(&head, 1000);
    CHECK_OK(hm_cli_import_rename(file, map, &head, text, sizeof text));
    assert_string_equal(hm_buf_str(&head), "head_name;scope;Khác\n\n");
    assert_true(fread(rest, 1, sizeof rest - 1, file) > 0);
    assert_string_equal(rest, "A;1;x\n");
    json_decref(map);
    (void)fclose(file);
    hm_buf_deinit(&head);

    (void)snprintf(path, sizeof path, "%s/map", hm_test_folder());
    write_file(path, "# names\nHọ tên = head_name\n\n a=b = c \n");
    CHECK_OK(hm_cli_import_read_map(path, &map, text, sizeof text));
    assert_int_equal(json_object_size(map), 2);
    assert_string_equal(json_string_value(json_object_get(map, "a=b")), "c");
    json_decref(map);
    write_file(path, "one\n");
    assert_int_equal(hm_cli_import_read_map(path, &map, text, sizeof text),
                     HM_MALFORMED);
}

/* A misspelt column in the map would silently leave a field empty. */
HM_TEST(map_with_a_column_too_many)
{
    char text[300] = "";
    json_t *map = json_pack("{s:s}", "Ho ten", "head_name");
    struct hm_buf head;
    FILE *file = open_text("Họ tên,Thôn\n");

    assert_non_null(file);
    hm_buf_init(&head, 1000);
    assert_int_equal(hm_cli_import_rename(file, map, &head, text, sizeof text),
                     HM_NOTFOUND);
    assert_non_null(strstr(text, "1 column"));
    json_decref(map);
    (void)fclose(file);
    hm_buf_deinit(&head);
}
