#include "protocol/form/field_table.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/support/forms.h"
#include "tests/support/test.h"

/* The table after old of a form of these parts; the form is gone when this returns, as
 * is old: a table stands alone. */
static struct hm_field_table *grown(struct hm_field_table *old, const char *instance,
                                    const char *model, const char *body)
{
    struct hm_xform *form = hm_test_form_parse(instance, model, body);
    struct hm_field_table *table = NULL;
    struct hm_field_error error;
    int err = hm_field_table_grow(old, form, &table, &error);

    if (err != HM_OK) {
        fail_msg("%s: %s", error.field, error.reason);
    }
    hm_xform_destroy(form);
    hm_field_table_destroy(old);
    return table;
}

static uint32_t number_of(const struct hm_field_table *table, uint32_t repeat,
                          const char *name)
{
    const struct hm_field_entry *entry = hm_field_table_by_name(table, repeat, name);

    return entry == NULL ? 0 : entry->number;
}

static struct hm_field_table *village(void)
{
    struct hm_xform *form = hm_test_form_load("village.xml");
    struct hm_field_table *table = NULL;
    struct hm_field_error error;

    CHECK_OK(hm_field_table_grow(NULL, form, &table, &error));
    hm_xform_destroy(form);
    return table;
}

HM_TEST(first_version)
{
    struct hm_field_table *table = village();
    const struct hm_field_entry *members = hm_field_table_repeat(table, "members");
    const struct hm_field_entry *sex;

    assert_int_equal(table->count, 20); /* 18 fields, 2 repeats */
    assert_int_equal(table->entries[0].number, HM_FIELD_NUMBER_FIRST);
    assert_int_equal(table->next_number, 36);
    assert_non_null(members);
    sex = hm_field_table_by_name(table, members->number, "sex");
    assert_non_null(sex);
    assert_ptr_equal(hm_field_table_by_number(table, sex->number), sex);
    assert_int_equal(sex->type, HM_FIELD_TYPE_SELECT1);
    assert_int_equal(sex->policy, HM_FIELD_POLICY_ANSWERED);
    assert_string_equal(table->lists[sex->list].choices[0].label, "Nam");
    assert_null(hm_field_table_by_name(table, 0, "sex"));
    assert_null(hm_field_table_by_number(table, HM_FIELD_NUMBER_STATUS));
    assert_int_equal(hm_field_table_repeat(table, "jobs")->repeat, members->number);
    hm_field_table_destroy(table);
}

/* Default language first, then vi and en; an expression is no text for a table. */
HM_TEST(labels)
{
    struct hm_field_table *table = village();
    const struct hm_field_entry *head = hm_field_table_by_name(table, 0, "head");
    const struct hm_field_entry *name = hm_field_table_by_name(
        table, hm_field_table_repeat(table, "members")->number, "name");

    assert_int_equal(head->label_count, 2); /* no French */
    assert_string_equal(head->labels[0].language, "vi");
    assert_string_equal(hm_field_entry_label(head, "en"), "Head of household");
    assert_string_equal(hm_field_entry_label(head, "fr"), "Chủ hộ");
    assert_string_equal(hm_field_entry_label(name, "en"), "Name of ...");
    assert_string_equal(
        hm_field_entry_label(hm_field_table_by_name(table, 0, "photo"), "en"), "photo");
    hm_field_table_destroy(table);
}

/* A number belongs to one question for ever: cells of years ago are read by it. */
HM_TEST(grows_and_retires)
{
    struct hm_field_table *table =
        grown(NULL, "<a/><b/><r><x/></r>", "", "<repeat nodeset='/data/r'/>");
    uint32_t a = number_of(table, 0, "a");
    uint32_t b = number_of(table, 0, "b");
    uint32_t r = hm_field_table_repeat(table, "r")->number;
    uint32_t x = number_of(table, r, "x");

    table = grown(table, "<c/><b/>", "", "");
    assert_int_equal(number_of(table, 0, "b"), b);
    assert_true(number_of(table, 0, "c") > x);
    assert_int_equal(number_of(table, 0, "a"), a);
    assert_true(hm_field_table_by_number(table, a)->retired);
    assert_true(hm_field_table_by_number(table, r)->retired);
    assert_true(hm_field_table_by_number(table, x)->retired);
    assert_false(hm_field_table_by_number(table, b)->retired);

    table = grown(table, "<g><b/></g><a/><d/>", "", "");
    assert_int_equal(number_of(table, 0, "a"), a);
    assert_false(hm_field_table_by_number(table, a)->retired);
    assert_int_equal(number_of(table, 0, "b"), b); /* moved to a group: the same */
    assert_string_equal(hm_field_table_by_number(table, b)->path, "g/b");
    assert_int_equal(number_of(table, 0, "d"), table->next_number - 1);
    assert_int_equal(table->count, 6);
    hm_field_table_destroy(table);
}

/* A second q3 elsewhere renames the first one; its answers must not lose their field.
 */
HM_TEST(name_becomes_path)
{
    struct hm_field_table *table = grown(NULL, "<b1><q3/></b1>", "", "");
    uint32_t q3 = number_of(table, 0, "q3");

    table = grown(table, "<b0><q3/></b0><b1><q3/></b1>", "", "");
    assert_int_equal(number_of(table, 0, "b1/q3"), q3);
    assert_int_equal(number_of(table, 0, "b0/q3"), q3 + 1);
    assert_int_equal(table->count, 2);
    hm_field_table_destroy(table);
}

HM_TEST(type_changes)
{
    static const struct {
        const char *from;
        const char *to;
        bool fits;
    } rows[] = {
        {"int", "decimal", true},     {"decimal", "int", false},
        {"string", "barcode", true},  {"barcode", "select1", true},
        {"select1", "string", true},  {"string", "int", false},
        {"select1", "select", false}, {"date", "dateTime", false},
        {"date", "date", true},       {"select", "rank", false},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct hm_field_table *old = NULL;
        struct hm_field_table *table = NULL;
        struct hm_xform *form;
        struct hm_field_error error;
        char model[128];

        (void)snprintf(model, sizeof model, "<bind nodeset='/data/a' type='%s'/>",
                       rows[i].from);
        old = grown(NULL, "<a/>", model, "");
        (void)snprintf(model, sizeof model, "<bind nodeset='/data/a' type='%s'/>",
                       rows[i].to);
        form = hm_test_form_parse("<a/>", model, "");
        assert_int_equal(hm_field_table_grow(old, form, &table, &error),
                         rows[i].fits ? HM_OK : HM_INVALID);
        if (rows[i].fits) {
            assert_int_equal(number_of(table, 0, "a"), HM_FIELD_NUMBER_FIRST);
        } else {
            assert_null(table);
            assert_string_equal(error.field, "a");
            assert_non_null(strstr(error.reason, "new name"));
        }
        hm_field_table_destroy(table);
        hm_xform_destroy(form);
        hm_field_table_destroy(old);
    }
}

/* A retired field keeps its type, too: its cells are still there. */
HM_TEST(retired_type_is_kept)
{
    struct hm_field_table *old =
        grown(NULL, "<a/>", "<bind nodeset='/data/a' type='int'/>", "");
    struct hm_field_table *table = NULL;
    struct hm_field_error error;
    struct hm_xform *form;

    old = grown(old, "<b/>", "", "");
    form = hm_test_form_parse("<a/>", "<bind nodeset='/data/a' type='date'/>", "");
    assert_int_equal(hm_field_table_grow(old, form, &table, &error), HM_INVALID);
    hm_xform_destroy(form);
    hm_field_table_destroy(old);
}

HM_TEST(moved_repeat_is_refused)
{
    struct hm_field_table *old =
        grown(NULL, "<r><x/></r><s><y/></s>", "",
              "<repeat nodeset='/data/r'/><repeat nodeset='/data/s'/>");
    struct hm_field_table *table = NULL;
    struct hm_field_error error;
    struct hm_xform *form = hm_test_form_parse(
        "<r><x/><s><y/></s></r>", "",
        "<repeat nodeset='/data/r'><repeat nodeset='/data/r/s'/></repeat>");

    assert_int_equal(hm_field_table_grow(old, form, &table, &error), HM_INVALID);
    assert_string_equal(error.field, "s");
    hm_xform_destroy(form);
    hm_field_table_destroy(old);
}

/* A table of another form would give its numbers to strangers. */
HM_TEST(other_form_is_refused)
{
    struct hm_field_table *old = village();
    struct hm_field_table *table = NULL;
    struct hm_field_error error;
    struct hm_xform *form = hm_test_form_parse("<a/>", "", "");

    assert_int_equal(hm_field_table_grow(old, form, &table, &error), HM_INVALID);
    assert_null(table);
    hm_xform_destroy(form);
    hm_field_table_destroy(old);
}

/* A choice that is gone still names what stands in old cells. */
HM_TEST(choices_retire)
{
    struct hm_field_table *table =
        grown(NULL, "<a/>", "",
              "<select1 ref='/data/a'><item><label>One</label><value>1</value></item>"
              "<item><label>Two</label><value>2</value></item></select1>");
    const struct hm_field_choices *list;

    table = grown(table, "<a/>", "",
                  "<select1 ref='/data/a'><item><label>Zwei</label><value>2</value>"
                  "</item><item><value>3</value></item></select1>");
    list = &table->lists[hm_field_table_by_name(table, 0, "a")->list];
    assert_int_equal(list->count, 3);
    assert_string_equal(list->choices[0].label, "Zwei");
    assert_string_equal(list->choices[2].value, "1");
    assert_string_equal(list->choices[2].label, "One");
    assert_true(list->choices[2].retired);
    assert_false(list->choices[1].retired);
    hm_field_table_destroy(table);
}

HM_TEST(round_trip)
{
    struct hm_field_table *table = village();
    struct hm_field_table *again = NULL;
    struct hm_buf first;
    struct hm_buf second;

    hm_buf_init(&first, HM_FIELD_TABLE_BYTES_MAX);
    hm_buf_init(&second, HM_FIELD_TABLE_BYTES_MAX);
    hm_field_table_encode(table, &first);
    assert_int_equal(first.err, HM_OK);
    CHECK_OK(hm_field_table_decode(hm_buf_bytes(&first), &again));
    hm_field_table_encode(again, &second);
    assert_true(hm_bytes_equal(hm_buf_bytes(&first), hm_buf_bytes(&second)));
    assert_int_equal(again->count, table->count);
    assert_string_equal(again->form, "village");
    assert_int_equal(again->next_number, table->next_number);
    assert_int_equal(hm_field_table_by_name(again, 0, "town")->list,
                     hm_field_table_by_name(again, 0, "assets")->list);
    assert_true(hm_field_table_by_name(again, 0, "far")->choices_open);
    hm_field_table_destroy(again);
    hm_field_table_destroy(table);
    hm_buf_deinit(&first);
    hm_buf_deinit(&second);
}

static int decoded(const char *bytes, size_t len)
{
    struct hm_field_table *table = NULL;
    int err = hm_field_table_decode(hm_bytes_of(bytes, len), &table);

    assert_true((err == HM_OK) == (table != NULL));
    hm_field_table_destroy(table);
    return err;
}

/* {1: 1, 2: "f", 3: 17, 4: [entry], 5: []}, an entry of number 16 called a */
#define TABLE_START                                                                    \
    "\x85\x01\x01\x02\xa1"                                                             \
    "f\x03\x11\x04\x91"
#define ENTRY                                                                          \
    "\x8a\x01\x10\x02\x00\x03\x01\x04\x01\x05\x01\x06\x00\x07\x00\x08\xa1"             \
    "a\x09\xa1"                                                                        \
    "a\x0a\x90"
#define DECODED(text) decoded(text, sizeof(text) - 1)

HM_TEST(decode_checks)
{
    CHECK_OK(DECODED(TABLE_START ENTRY "\x05\x90"));
    /* what a newer version adds to an entry */
    CHECK_OK(DECODED(TABLE_START "\x8b\x01\x10\x02\x00\x03\x01\x04\x01\x05\x01\x06\x00"
                                 "\x07\x00\x08\xa1"
                                 "a\x09\xa1"
                                 "a\x0a\x90\x14\xc3"
                                 "\x05\x90"));
    /* a type of a newer version */
    assert_int_equal(DECODED(TABLE_START "\x8a\x01\x10\x02\x00\x03\x01\x04\x63\x05\x01"
                                         "\x06\x00\x07\x00\x08\xa1"
                                         "a\x09\xa1"
                                         "a\x0a\x90"
                                         "\x05\x90"),
                     HM_VERSION);
    /* number 15, a repeat that is not there, a list that is not there */
    assert_int_equal(DECODED(TABLE_START "\x8a\x01\x0f\x02\x00\x03\x01\x04\x01\x05\x01"
                                         "\x06\x00\x07\x00\x08\xa1"
                                         "a\x09\xa1"
                                         "a\x0a\x90"
                                         "\x05\x90"),
                     HM_MALFORMED);
    assert_int_equal(DECODED(TABLE_START "\x8a\x01\x10\x02\x10\x03\x01\x04\x01\x05\x01"
                                         "\x06\x00\x07\x00\x08\xa1"
                                         "a\x09\xa1"
                                         "a\x0a\x90"
                                         "\x05\x90"),
                     HM_MALFORMED);
    assert_int_equal(DECODED(TABLE_START "\x8b\x01\x10\x02\x00\x03\x01\x04\x01\x05\x01"
                                         "\x06\x00\x07\x00\x08\xa1"
                                         "a\x09\xa1"
                                         "a\x0a\x90"
                                         "\x0b\x00\x05\x90"),
                     HM_MALFORMED);
    /* five bytes that announce a table of 4 G entries */
    assert_int_equal(DECODED("\xdf\xff\xff\xff\xff"), HM_TRUNCATED);
    assert_int_equal(DECODED("\x80"), HM_MALFORMED);
    assert_int_equal(DECODED("\xc0"), HM_MALFORMED);
}

/* Every cut and every changed byte is refused or is another sound table. */
HM_TEST(decode_survives_damage)
{
    struct hm_field_table *table = village();
    struct hm_buf buf;

    hm_buf_init(&buf, HM_FIELD_TABLE_BYTES_MAX);
    hm_field_table_encode(table, &buf);
    for (size_t i = 0; i < buf.len; i++) {
        char *copy = malloc(buf.len);

        assert_non_null(copy);
        memcpy(copy, buf.data, buf.len);
        assert_int_not_equal(decoded(copy, i), HM_OK);
        for (int bit = 0; bit < 8; bit++) {
            copy[i] = (char)(buf.data[i] ^ (1 << bit));
            (void)decoded(copy, buf.len); /* either answer is right */
        }
        free(copy);
    }
    hm_buf_deinit(&buf);
    hm_field_table_destroy(table);
}

/* Blank and always required is missing; what an expression may excuse is not judged. */
HM_TEST(required)
{
    struct hm_field_table *table = village();
    uint32_t members = hm_field_table_repeat(table, "members")->number;
    uint32_t head = number_of(table, 0, "head");
    uint32_t name = number_of(table, members, "name");
    uint32_t missing[4] = {0};

    assert_int_equal(hm_form_check_required(table, 0, NULL, 0, missing, 4), 1);
    assert_int_equal(missing[0], head);
    assert_int_equal(hm_form_check_required(table, 0, &head, 1, missing, 4), 0);
    assert_int_equal(hm_form_check_required(table, members, &head, 1, missing, 4), 1);
    assert_int_equal(missing[0], name);
    missing[0] = 7;
    assert_int_equal(hm_form_check_required(table, 0, NULL, 0, missing, 0), 1);
    assert_int_equal(missing[0], 7);
    assert_int_equal(hm_field_table_by_name(table, 0, "only")->required,
                     HM_FIELD_REQUIRED_SOMETIMES);
    hm_field_table_destroy(table);
    table = grown(NULL, "<a/><b/>", "<bind nodeset='/data/a' required='true()'/>", "");
    table = grown(table, "<b/>", "", "");
    assert_int_equal(hm_form_check_required(table, 0, NULL, 0, missing, 4), 0);
    hm_field_table_destroy(table);
}

/* Found by fuzzing: a name typed with a mark of its own ("e", then U+0302) is kept as
 * one letter; published again, the form had lost its field and got another one, and
 * every answer with it. */
HM_TEST(names_are_the_same_however_they_are_typed)
{
    static const char id[] = "<h:html xmlns='http://www.w3.org/2002/xforms' "
                             "xmlns:h='http://www.w3.org/1999/xhtml'><h:head><model>"
                             "<instance><data id='te\xcc\x82n&#x7f;'><a/></data>"
                             "</instance></model></h:head><h:body/></h:html>";
    struct hm_field_table *table = grown(NULL, "<te\xcc\x82n/>", "", "");
    struct hm_xform *form = NULL;
    struct hm_field_table *again = NULL;
    struct hm_xform_error why;
    struct hm_field_error error;

    assert_string_equal(table->entries[0].name, "t\xc3\xaan");
    table = grown(table, "<te\xcc\x82n/>", "", "");
    assert_int_equal(table->count, 1);
    table = grown(table, "<t\xc3\xaan/>", "", "");
    assert_int_equal(table->count, 1);
    assert_false(table->entries[0].retired);
    hm_field_table_destroy(table);
    CHECK_OK(hm_xform_parse(hm_bytes_str(id), &form, &why));
    CHECK_OK(hm_field_table_grow(NULL, form, &table, &error));
    CHECK_OK(hm_field_table_grow(table, form, &again, &error));
    hm_field_table_destroy(again);
    hm_field_table_destroy(table);
    hm_xform_destroy(form);
}
