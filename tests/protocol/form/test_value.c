#include "protocol/form/value.h"

#include <stdio.h>

#include "protocol/pack.h"
#include "tests/support/forms.h"
#include "tests/support/test.h"

/* A form with one field of each type, named by its type, and its table. */
struct bench {
    struct hm_field_table *table;
    struct hm_buf out;
    struct hm_buf why;
};

static void bench_init(struct bench *b)
{
    static const char *const types[] = {"string",   "int",      "decimal",  "boolean",
                                        "date",     "time",     "dateTime", "geopoint",
                                        "geotrace", "geoshape", "binary",   "barcode"};
    char instance[2048] = "<select1/><select/><rank/>";
    char model[4096] = "";
    struct hm_xform *form;
    struct hm_field_error error;

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        size_t len = strlen(instance);

        (void)snprintf(instance + len, sizeof instance - len, "<%s/>", types[i]);
        len = strlen(model);
        (void)snprintf(model + len, sizeof model - len,
                       "<bind nodeset='/data/%s' type='%s'/>", types[i], types[i]);
    }
    form = hm_test_form_parse(
        instance, model,
        "<input ref='/data/int'><label>Birth year</label></input>"
        "<select1 ref='/data/select1'><label>Sex</label>"
        "<item><label>Male</label><value>1</value></item>"
        "<item><label>Female</label><value>2</value></item>"
        "<item><label>Họ</label><value>e\xcc\x81</value></item></select1>"
        "<select ref='/data/select'><item><value>a</value></item>"
        "<item><value>b</value></item><item><value>c</value></item>"
        "<item><value>d</value></item><item><value>e</value></item>"
        "<item><value>f</value></item><item><value>g</value></item></select>"
        "<rank ref='/data/rank'><item><value>a</value></item>"
        "<item><value>b</value></item></rank>");
    CHECK_OK(hm_field_table_grow(NULL, form, &b->table, &error));
    hm_xform_destroy(form);
    hm_buf_init(&b->out, 64 * 1024);
    hm_buf_init(&b->why, HM_VALUE_WHY_BYTES_MAX);
}

static void bench_deinit(struct bench *b)
{
    hm_field_table_destroy(b->table);
    hm_buf_deinit(&b->out);
    hm_buf_deinit(&b->why);
}

static const struct hm_field_entry *field(const struct bench *b, const char *name)
{
    const struct hm_field_entry *entry = hm_field_table_by_name(b->table, 0, name);

    assert_non_null(entry);
    return entry;
}

/* text becomes a value that fits the field and is written as back. */
static void accepted(struct bench *b, const char *name, const char *text,
                     const char *back)
{
    struct hm_buf again;
    int err;

    hm_buf_init(&again, 64 * 1024);
    hm_buf_clear(&b->out);
    err = hm_value_from_text(b->table, field(b, name), hm_bytes_str(text), &b->out,
                             &b->why);
    if (err != HM_OK) {
        fail_msg("%s", hm_buf_str(&b->why));
    }
    CHECK_OK(hm_value_check(field(b, name), hm_buf_bytes(&b->out), &b->why));
    CHECK_OK(hm_value_to_text(hm_buf_bytes(&b->out), &again));
    assert_string_equal(hm_buf_str(&again), back);
    hm_buf_deinit(&again);
}

static void refused(struct bench *b, const char *name, const char *text,
                    const char *why)
{
    hm_buf_clear(&b->out);
    hm_buf_append_str(&b->out, "kept");
    assert_int_equal(hm_value_from_text(b->table, field(b, name), hm_bytes_str(text),
                                        &b->out, &b->why),
                     HM_INVALID);
    if (strstr(hm_buf_str(&b->why), why) == NULL) {
        fail_msg("\"%s\" is not in: %s", why, hm_buf_str(&b->why));
    }
    assert_string_equal(hm_buf_str(&b->out), "kept");
}

static void gives(struct bench *b, const char *name, const char *text, const void *data,
                  size_t len)
{
    hm_buf_clear(&b->out);
    CHECK_OK(hm_value_from_text(b->table, field(b, name), hm_bytes_str(text), &b->out,
                                &b->why));
    assert_int_equal(b->out.len, len);
    assert_memory_equal(b->out.data, data, len);
}

/* A phone number keeps its zero, a name its letters, a note its lines. */
HM_TEST(texts)
{
    struct bench b;
    char longest[HM_VALUE_TEXT_BYTES_MAX + 2];

    bench_init(&b);
    accepted(&b, "string", "0905123456", "0905123456");
    accepted(&b, "string", " two  blanks ", " two  blanks ");
    accepted(&b, "string", "a\r\nb\n\tc", "a\nb\n\tc");
    accepted(&b, "string", "Nguye\xcc\x82\xcc\x83n", "Nguy\xe1\xbb\x85n"); /* NFD in */
    accepted(&b, "barcode", "00123", "00123");
    accepted(&b, "string", "", "");
    gives(&b, "string", "", "\xc0", 1);
    refused(&b, "string", "a\x01z", "control characters");
    refused(&b, "string", "a\rz", "control characters");
    refused(&b, "string", "a\xc2\x85z", "control characters");
    refused(&b, "string", "caf\xe9", "not UTF-8");
    refused(&b, "string", "\xed\xa0\x80", "not UTF-8");
    memset(longest, 'x', sizeof longest);
    longest[HM_VALUE_TEXT_BYTES_MAX] = 0;
    accepted(&b, "string", longest, longest);
    longest[HM_VALUE_TEXT_BYTES_MAX] = 'x';
    longest[HM_VALUE_TEXT_BYTES_MAX + 1] = 0;
    refused(&b, "string", longest, "longer than 4096 bytes");
    bench_deinit(&b);
}

/* A NUL in the middle is no end of the text. */
HM_TEST(nul_is_refused)
{
    struct bench b;

    bench_init(&b);
    assert_int_equal(hm_value_from_text(b.table, field(&b, "string"),
                                        hm_bytes_of("a\0b", 3), &b.out, &b.why),
                     HM_INVALID);
    assert_int_equal(hm_value_from_text(b.table, field(&b, "int"),
                                        hm_bytes_of("1\0002", 3), &b.out, &b.why),
                     HM_INVALID);
    bench_deinit(&b);
}

/* Nothing passes through a float: 2^53 + 1 is the number that JavaScript loses. */
HM_TEST(integers)
{
    struct bench b;

    bench_init(&b);
    accepted(&b, "int", "9007199254740993", "9007199254740993");
    accepted(&b, "int", "9223372036854775807", "9223372036854775807");
    accepted(&b, "int", "-9223372036854775808", "-9223372036854775808");
    accepted(&b, "int", " 007 ", "7");
    accepted(&b, "int", "-0", "0");
    accepted(&b, "int", "  ", "");
    gives(&b, "int", "-1", "\xff", 1);
    refused(&b, "int", "9223372036854775808", "out of range");
    refused(&b, "int", "-9223372036854775809", "out of range");
    refused(&b, "int", "99999999999999999999999999", "out of range");
    refused(&b, "int", "1.0", "not a whole number");
    refused(&b, "int", "1e3", "not a whole number");
    refused(&b, "int", "-", "not a whole number");
    refused(&b, "int", "12a", "\"Birth year\" (int): \"12a\" is not a whole number");
    bench_deinit(&b);
}

HM_TEST(decimals)
{
    struct bench b;

    bench_init(&b);
    accepted(&b, "decimal", "1.50", "1.50");
    accepted(&b, "decimal", "+007.50", "7.50");
    accepted(&b, "decimal", ".5", "0.5");
    accepted(&b, "decimal", "5.", "5");
    accepted(&b, "decimal", "-0.0", "0.0");
    accepted(&b, "decimal", "-12", "-12");
    accepted(&b, "decimal", "000", "0");
    accepted(&b, "decimal", "0.1234567890123456789", "0.1234567890123456789");
    accepted(&b, "decimal", "1.0E7", "10000000"); /* as Java writes ten million */
    accepted(&b, "decimal", "1.23E-4", "0.000123");
    accepted(&b, "decimal", "1e+2", "100");
    refused(&b, "decimal", "1e400", "out of range");
    refused(&b, "decimal", "1e4294967297", "out of range"); /* 1e1 in 32 bits */
    refused(&b, "decimal", "1e99999999999999999999", "out of range");
    refused(&b, "decimal", "12345678901234567890123456789012345678901", "out of range");
    refused(&b, "decimal", "1,5", "point, not a comma");
    refused(&b, "decimal", "1.2.3", "not a decimal");
    refused(&b, "decimal", ".", "not a decimal");
    refused(&b, "decimal", "e5", "not a decimal");
    refused(&b, "decimal", "1e", "not a decimal");
    refused(&b, "decimal", "1e+-5", "not a decimal");
    refused(&b, "decimal", "NaN", "not a decimal");
    refused(&b, "decimal", "0x10", "not a decimal");
    bench_deinit(&b);
}

HM_TEST(dates_and_times)
{
    struct bench b;

    bench_init(&b);
    accepted(&b, "date", "2024-02-29", "2024-02-29");
    accepted(&b, "date", "2000-02-29", "2000-02-29");
    refused(&b, "date", "2026-02-31", "not a date of the calendar");
    refused(&b, "date", "2023-02-29", "not a date");
    refused(&b, "date", "1900-02-29", "not a date");
    refused(&b, "date", "2023-04-31", "not a date");
    refused(&b, "date", "2023-13-01", "not a date");
    refused(&b, "date", "2023-00-10", "not a date");
    refused(&b, "date", "2023-1-1", "not a date");
    refused(&b, "date", "31/12/2023", "not a date");
    refused(&b, "date", "2023-01-01T00:00:00", "not a date");
    accepted(&b, "time", "14:30:00.000+07:00", "14:30:00.000+07:00");
    accepted(&b, "time", "14:30", "14:30");
    accepted(&b, "time", "14:30:00Z", "14:30:00Z");
    accepted(&b, "time", "14:30:00.1+07", "14:30:00.1+07");
    refused(&b, "time", "24:00:00", "not a time");
    refused(&b, "time", "14:60", "not a time");
    refused(&b, "time", "14:30:00.", "not a time");
    refused(&b, "time", "14:30:00+15:00", "not a time");
    refused(&b, "time", "14:30:00+07:0", "not a time");
    accepted(&b, "dateTime", "2026-03-31T14:30:00.000+07:00",
             "2026-03-31T14:30:00.000+07:00");
    refused(&b, "dateTime", "2026-03-31", "not a date with a time");
    refused(&b, "dateTime", "2026-02-30T14:30:00Z", "not a date with a time");
    refused(&b, "dateTime", "2026-03-31 14:30:00", "not a date with a time");
    accepted(&b, "boolean", "true", "true");
    accepted(&b, "boolean", "0", "false");
    refused(&b, "boolean", "yes", "neither true nor false");
    bench_deinit(&b);
}

HM_TEST(choices)
{
    struct bench b;

    bench_init(&b);
    accepted(&b, "select1", " 2 ", "2");
    accepted(&b, "select1", "\xc3\xa9", "\xc3\xa9"); /* the form wrote it in NFD */
    refused(&b, "select1", "3",
            "\"Sex\" (select1): \"3\" is not one of the choices; allowed are 1 (Male), "
            "2 (Female)");
    accepted(&b, "select", "c a  c b", "a b c");
    gives(&b, "select", "b a",
          "\x92\xa1"
          "a\xa1"
          "b",
          5);
    gives(&b, "select", " ", "\xc0", 1);
    refused(&b, "select", "a x b", "\"x\" is not one of the choices");
    refused(&b, "select", "x", "a, b, c, d, e and 2 more");
    accepted(&b, "rank", "b a", "b a");
    refused(&b, "rank", "b a b", "ranked twice");
    bench_deinit(&b);
}

HM_TEST(places)
{
    struct bench b;

    bench_init(&b);
    accepted(&b, "geopoint", "10.5 -106.123456789 12.3456 4.0",
             "10.5 -106.1234568 12.346 4");
    accepted(&b, "geopoint", "-0.00000005 180", "-0.0000001 180");
    accepted(&b, "geopoint", "1.0E-4 1 0.0 0.0", "0.0001 1 0 0");
    gives(&b, "geopoint", "1 2", "\x94\xce\x00\x98\x96\x80\xce\x01\x31\x2d\x00\xc0\xc0",
          13);
    refused(&b, "geopoint", "90.0000001 0", "not a place");
    refused(&b, "geopoint", "0 181", "not a place");
    refused(&b, "geopoint", "1", "not a place");
    refused(&b, "geopoint", "1 2 3 4 5", "not a place");
    refused(&b, "geopoint", "1 2 3 -4", "not a place");
    refused(&b, "geopoint", "1,2", "not a place");
    accepted(&b, "geotrace", "1 2 0 0; 3 4 0 0;", "1 2 0 0; 3 4 0 0");
    refused(&b, "geoshape", "1 2;;3 4", "not a point of a line");
    bench_deinit(&b);
}

/* The name is known when the form arrives, the content later. */
HM_TEST(files)
{
    struct bench b;
    uint8_t hash[HM_VALUE_HASH_BYTES] = {1};
    struct hm_buf text;

    bench_init(&b);
    hm_buf_init(&text, 1000);
    accepted(&b, "binary", "anh nha.jpg", "anh nha.jpg");
    refused(&b, "binary", "../key", "not a file name");
    refused(&b, "binary", "..", "not a file name");
    hm_buf_clear(&b.out);
    hm_value_of_file(hm_bytes_of(hash, sizeof hash), "a.jpg", &b.out);
    CHECK_OK(hm_value_check(field(&b, "binary"), hm_buf_bytes(&b.out), &b.why));
    CHECK_OK(hm_value_to_text(hm_buf_bytes(&b.out), &text));
    assert_string_equal(hm_buf_str(&text), "a.jpg");
    hm_buf_deinit(&text);
    bench_deinit(&b);
}

static int checked(struct bench *b, const char *name, const char *value, size_t len)
{
    int err = hm_value_check(field(b, name), hm_bytes_of(value, len), &b->why);

    assert_true((err == HM_OK) == (b->why.len == 0));
    return err;
}

#define CHECKED(name, value) checked(&b, name, value, sizeof(value) - 1)

/* What another node sends fits its type, or is not shown as an answer. */
HM_TEST(values_from_elsewhere)
{
    struct bench b;

    bench_init(&b);
    CHECK_OK(CHECKED("int", "\xc0"));
    CHECK_OK(CHECKED("int", "\x05"));
    CHECK_OK(CHECKED("decimal", "\x05")); /* was an int once */
    CHECK_OK(CHECKED("decimal", "\xa4"
                                "1.50"));
    CHECK_OK(CHECKED("select1", "\xa3"
                                "new")); /* of a newer form */
    CHECK_OK(CHECKED("select", "\x92\xa1"
                               "a\xa1"
                               "z"));
    CHECK_OK(CHECKED("rank", "\x92\xa1"
                             "z\xa1"
                             "a"));
    CHECK_OK(CHECKED("geopoint", "\x94\x01\x02\xc0\x03"));
    assert_int_equal(CHECKED("int", "\xa1"
                                    "5"),
                     HM_INVALID);
    assert_int_equal(CHECKED("int", "\xcf\xff\xff\xff\xff\xff\xff\xff\xff"),
                     HM_INVALID);
    assert_int_equal(CHECKED("int", "\xd0\x05"), HM_INVALID); /* not the shortest */
    assert_int_equal(CHECKED("int", "\x05\x05"), HM_INVALID);
    assert_int_equal(CHECKED("int", ""), HM_INVALID);
    assert_int_equal(CHECKED("decimal", "\xa4"
                                        "01.5"),
                     HM_INVALID);
    assert_int_equal(CHECKED("decimal", "\xa3"
                                        "1e5"),
                     HM_INVALID);
    assert_int_equal(CHECKED("string", "\xa0"), HM_INVALID); /* blank is nil */
    assert_int_equal(CHECKED("string", "\xa3"
                                       "e\xcc\x81"),
                     HM_INVALID);
    assert_int_equal(CHECKED("date", "\xaa"
                                     "2026-02-31"),
                     HM_INVALID);
    assert_int_equal(CHECKED("select", "\x92\xa1"
                                       "b\xa1"
                                       "a"),
                     HM_INVALID);
    assert_int_equal(CHECKED("select", "\x92\xa1"
                                       "a\xa1"
                                       "a"),
                     HM_INVALID);
    assert_int_equal(CHECKED("select", "\x91\xa3"
                                       "a b"),
                     HM_INVALID);
    assert_int_equal(CHECKED("select", "\x90"), HM_INVALID);
    assert_int_equal(CHECKED("rank", "\x92\xa1"
                                     "a\xa1"
                                     "a"),
                     HM_INVALID);
    assert_int_equal(CHECKED("geopoint", "\x93\x01\x02\xc0"), HM_INVALID);
    assert_int_equal(CHECKED("geopoint", "\x94\xce\x7f\xff\xff\xff\x02\xc0\xc0"),
                     HM_INVALID);
    assert_int_equal(CHECKED("binary", "\x92\xc4\x01\x01\xa1"
                                       "a"),
                     HM_INVALID);
    assert_int_equal(CHECKED("boolean", "\x01"), HM_INVALID);
    assert_int_equal(CHECKED("string", "\xdb\xff\xff\xff\xff"), HM_INVALID);
    bench_deinit(&b);
}

/* Whatever bytes come, checking and showing them ends with an answer. */
HM_TEST(any_bytes)
{
    static const char *const names[] = {"string", "int",      "decimal",  "select",
                                        "rank",   "geopoint", "geotrace", "binary"};
    struct bench b;
    uint64_t seed = 1;
    int good = 0;

    bench_init(&b);
    for (int i = 0; i < 200000; i++) {
        uint8_t bytes[12];
        size_t len;
        struct hm_buf text;

        for (size_t k = 0; k < sizeof bytes; k++) {
            seed = seed * 6364136223846793005U + 1442695040888963407U;
            bytes[k] = (uint8_t)(seed >> 56);
            bytes[k] =
                k == 0 && bytes[k] < 0x80 ? (uint8_t)(0x90 | bytes[k] % 5) : bytes[k];
        }
        len = (seed >> 40) % sizeof bytes;
        hm_buf_init(&text, 4096);
        if (hm_value_check(field(&b, names[i % 8]), hm_bytes_of(bytes, len), &b.why) ==
            HM_OK) {
            good++;
            CHECK_OK(hm_value_to_text(hm_bytes_of(bytes, len), &text));
        } else {
            int err = hm_value_to_text(hm_bytes_of(bytes, len), &text);

            assert_true(err == HM_OK || err == HM_MALFORMED);
        }
        hm_buf_deinit(&text);
    }
    assert_true(good > 100);
    bench_deinit(&b);
}
