#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/cli/cli_print.h"

static json_t *json(const char *text)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);

    assert_non_null(value);
    return value;
}

/* Precomposed and combining letters take the same room, wide ones two columns. */
HM_TEST(width_counts_columns)
{
    assert_int_equal(hm_cli_print_width(hm_bytes_str("Nguyễn Thị Lan")), 14);
    assert_int_equal(hm_cli_print_width(hm_bytes_str("Nguye\u0302\u0303n")), 6);
    assert_int_equal(hm_cli_print_width(hm_bytes_str("Đức")), 3);
    assert_int_equal(hm_cli_print_width(hm_bytes_str("漢字")), 4);
    assert_int_equal(hm_cli_print_width(hm_bytes_str("\xff\xfe")), 2);
}

/* A name typed on a phone must not move the cursor of an officer's terminal. */
HM_TEST(nothing_steers_the_terminal)
{
    struct hm_buf buf;

    hm_buf_init(&buf, 1000);
    hm_cli_print_clean(&buf, hm_bytes_str("a\x1b[2Jb\nc\u202ed\x80"));
    assert_string_equal(hm_buf_str(&buf), "a\uFFFD[2Jb c\uFFFDd\uFFFD");
    hm_buf_deinit(&buf);
}

static void check_value(const char *text, const char *words)
{
    struct hm_buf buf;
    json_t *value = json(text);

    hm_buf_init(&buf, 1000);
    hm_cli_print_value(&buf, value);
    assert_string_equal(hm_buf_str(&buf), words);
    hm_buf_deinit(&buf);
    json_decref(value);
}

HM_TEST(values_in_words)
{
    check_value("null", "-");
    check_value("true", "yes");
    check_value("false", "no");
    check_value("1961", "1961");
    check_value("\"x\"", "x");
    check_value("[]", "-");
    check_value("[\"a\", 2, null]", "a, 2, -");
    check_value("{\"a\": {\"b\": 1}}", "{\"a\":{\"b\":1}}");
}

/* Columns line up by what the eye sees, and no line has blanks at its end. */
HM_TEST(table_lines_up)
{
    static const struct hm_cli_column columns[] = {{"HEAD", "head", false},
                                                   {"N", "count.all", true},
                                                   {"WHERE", "where", false},
                                                   {0}};
    json_t *rows = json("[{\"head\": \"Nguyễn Thị Lan\", \"count\": {\"all\": 5},"
                        "  \"where\": \"Bản Mé\"},"
                        " {\"head\": \"Lò\", \"count\": {\"all\": 12}}]");
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    hm_cli_print_table(out, rows, columns);
    (void)fclose(out);
    assert_string_equal(text, "HEAD             N  WHERE\n"
                              "Nguyễn Thị Lan   5  Bản Mé\n"
                              "Lò              12  -\n");
    free(text);
    json_decref(rows);
}

HM_TEST(fill_takes_members)
{
    json_t *object = json("{\"a\": {\"b\": \"x\"}, \"n\": 3}");
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    hm_cli_print_fill(out, object, "{a.b} and {n}, {none}{a.none}.\n");
    (void)fclose(out);
    assert_string_equal(text, "x and 3, --.\n");
    free(text);
    json_decref(object);
}

HM_TEST(bytes_for_people)
{
    char to[32];

    assert_string_equal(hm_cli_print_bytes(to, 999), "999 B");
    assert_string_equal(hm_cli_print_bytes(to, 12499), "12.4 kB");
    assert_string_equal(hm_cli_print_bytes(to, 3140000), "3.1 MB");
}
