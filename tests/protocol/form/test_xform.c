#include "protocol/form/xform.h"

#include <stdio.h>
#include <stdlib.h>

#include "protocol/buf.h"
#include "tests/support/forms.h"
#include "tests/support/test.h"

static const struct hm_xform_field *at(const struct hm_xform *form, const char *path)
{
    const struct hm_xform_field *field = hm_xform_field_at(form, path);

    if (field == NULL) {
        fail_msg("no field at %s", path);
    }
    return field;
}

/* What the whole form says: who may write it, how often, in which languages. */
HM_TEST(form_heads)
{
    struct hm_xform *form = hm_test_form_load("village.xml");

    assert_string_equal(form->id, "village");
    assert_string_equal(form->version, "3");
    assert_string_equal(form->title, "Village list");
    assert_int_equal(form->fill, HM_FORM_FILL_PER_ROUND);
    assert_int_equal(form->write_role_count, 2);
    assert_string_equal(form->write_roles[1], "officer");
    assert_int_equal(form->language_count, 3);
    assert_int_equal(form->default_language, 0);
    assert_int_equal(form->repeat_count, 2);
    assert_string_equal(form->repeats[0].name, "members");
    assert_string_equal(form->repeats[0].items, "register/members");
    assert_string_equal(form->repeats[0].count, "3");
    assert_true(form->repeats[0].fixed);
    assert_string_equal(hm_xform_text(form, form->repeats[0].label, 0), "Members");
    assert_int_equal(form->repeats[1].parent, 0);
    assert_null(form->repeats[1].items);
    hm_xform_destroy(form);
}

/* A template and its first instances are one kind of row; each kind names for itself.
 */
HM_TEST(rows_and_names)
{
    struct hm_xform *form = hm_test_form_load("village.xml");

    assert_int_equal(form->field_count, 18);
    assert_string_equal(form->fields[0].path, "/data/start");
    assert_string_equal(at(form, "/data/b1/q3")->name, "b1/q3");
    assert_string_equal(at(form, "/data/b2/q3")->name, "b2/q3");
    assert_string_equal(at(form, "/data/b1/only")->name, "only");
    assert_string_equal(at(form, "/data/b1/only")->row_path, "b1/only");
    assert_int_equal(at(form, "/data/head")->repeat, -1);
    assert_int_equal(at(form, "/data/members/name")->repeat, 0);
    assert_string_equal(at(form, "/data/members/name")->name, "name");
    assert_int_equal(at(form, "/data/members/jobs/job")->repeat, 1);
    assert_string_equal(at(form, "/data/members/jobs/job")->row_path, "job");
    assert_int_equal(form->groups[at(form, "/data/b1/q3")->group].repeat, -1);
    assert_string_equal(form->groups[at(form, "/data/b1/q3")->group].relevant,
                        "/data/head != ''");
    hm_xform_destroy(form);
}

HM_TEST(kinds_types_and_policies)
{
    struct hm_xform *form = hm_test_form_load("village.xml");
    static const struct {
        const char *path;
        enum hm_xform_kind kind;
        enum hm_field_type type;
        enum hm_field_policy policy;
    } rows[] = {
        {"/data/start", HM_XFORM_KIND_META, HM_FIELD_TYPE_DATETIME,
         HM_FIELD_POLICY_LATEST},
        {"/data/head", HM_XFORM_KIND_QUESTION, HM_FIELD_TYPE_STRING,
         HM_FIELD_POLICY_ASK},
        {"/data/b1/only", HM_XFORM_KIND_QUESTION, HM_FIELD_TYPE_INT,
         HM_FIELD_POLICY_ASK},
        {"/data/members/item_id", HM_XFORM_KIND_CALCULATE, HM_FIELD_TYPE_STRING,
         HM_FIELD_POLICY_LATEST},
        {"/data/members/sex", HM_XFORM_KIND_QUESTION, HM_FIELD_TYPE_SELECT1,
         HM_FIELD_POLICY_ANSWERED},
        {"/data/members/age", HM_XFORM_KIND_QUESTION, HM_FIELD_TYPE_INT,
         HM_FIELD_POLICY_MAX},
        {"/data/place", HM_XFORM_KIND_QUESTION, HM_FIELD_TYPE_GEOPOINT,
         HM_FIELD_POLICY_LATEST},
        {"/data/assets", HM_XFORM_KIND_QUESTION, HM_FIELD_TYPE_SELECT,
         HM_FIELD_POLICY_UNION},
        {"/data/photo", HM_XFORM_KIND_QUESTION, HM_FIELD_TYPE_BINARY,
         HM_FIELD_POLICY_ASK},
        {"/data/total", HM_XFORM_KIND_CALCULATE, HM_FIELD_TYPE_DECIMAL,
         HM_FIELD_POLICY_DERIVED},
        {"/data/meta/instanceID", HM_XFORM_KIND_META, HM_FIELD_TYPE_STRING,
         HM_FIELD_POLICY_LATEST},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct hm_xform_field *field = at(form, rows[i].path);

        assert_int_equal(field->kind, rows[i].kind);
        assert_int_equal(field->type, rows[i].type);
        assert_int_equal(field->policy, rows[i].policy);
    }
    hm_xform_destroy(form);
}

/* The seam of the evaluator: every expression is there, word for word. */
HM_TEST(expressions_are_kept)
{
    struct hm_xform *form = hm_test_form_load("village.xml");
    const struct hm_xform_field *age = at(form, "/data/members/age");

    assert_string_equal(age->constraint, ". < 120");
    assert_string_equal(hm_xform_text(form, age->constraint_message, 1), "Wrong age");
    assert_string_equal(age->tally, "age");
    assert_string_equal(at(form, "/data/total")->calculate, "sum( /data/members/age )");
    assert_true(at(form, "/data/head")->required);
    assert_false(at(form, "/data/head")->conditional);
    assert_string_equal(at(form, "/data/head")->default_value, "Lan");
    assert_true(at(form, "/data/b1/only")->conditional);
    assert_string_equal(at(form, "/data/town")->required_expr, "/data/head = 'x'");
    assert_true(at(form, "/data/town")->secret);
    assert_string_equal(at(form, "/data/start")->preload, "timestamp start");
    hm_xform_destroy(form);
}

HM_TEST(labels_in_languages)
{
    struct hm_xform *form = hm_test_form_load("village.xml");
    const struct hm_xform_field *head = at(form, "/data/head");
    const struct hm_xform_field *name = at(form, "/data/members/name");

    assert_string_equal(hm_xform_text(form, head->label, 0), "Chủ hộ");
    assert_string_equal(hm_xform_text(form, head->label, 2), "Chef");
    assert_string_equal(hm_xform_text(form, head->hint, 1), "As in the book");
    assert_string_equal(hm_xform_text(form, name->label, 1),
                        "Name of \x02 /data/head \x03");
    /* No French: the default language stands in. */
    assert_string_equal(hm_xform_text(form, name->label, 2),
                        "Họ tên \x02 /data/head \x03");
    assert_string_equal(hm_xform_text(form, NULL, 0), "");
    hm_xform_destroy(form);
}

/* Inline items, items of an instance whatever their condition, and those of a file,
 * which nobody here can know. */
HM_TEST(choices)
{
    struct hm_xform *form = hm_test_form_load("village.xml");
    const struct hm_xform_field *sex = at(form, "/data/members/sex");
    const struct hm_xform_field *town = at(form, "/data/town");
    const struct hm_xform_field *far = at(form, "/data/far");
    const struct hm_xform_list *list = &form->lists[sex->list];

    assert_int_equal(list->count, 2);
    assert_string_equal(list->choices[1].value, "2");
    assert_string_equal(hm_xform_text(form, list->choices[1].label, 1), "Female");
    assert_string_equal(hm_xform_text(form, list->choices[0].label, 0), "Nam");
    assert_false(sex->choices_open);
    list = &form->lists[town->list];
    assert_int_equal(list->count, 2); /* "a" of two districts is one choice */
    assert_string_equal(hm_xform_text(form, list->choices[0].label, 0), "Xã A");
    assert_int_equal(at(form, "/data/assets")->list, town->list);
    assert_true(far->choices_open);
    assert_int_equal(far->list, -1);
    hm_xform_destroy(form);
}

/* A repeat written by hand, relative paths, and binds named by id. */
HM_TEST(relative_paths)
{
    struct hm_xform *form = hm_test_form_parse(
        "<r><a/><g><b/></g></r><c/>", "<bind id='cc' nodeset='/data/c' type='int'/>",
        "<repeat nodeset='/data/r'><input ref='a'/><group ref='g'>"
        "<input ref='../g/b'/></group></repeat><input bind='cc'/>");

    assert_int_equal(at(form, "/data/r/a")->control, HM_XFORM_CONTROL_INPUT);
    assert_int_equal(at(form, "/data/r/g/b")->control, HM_XFORM_CONTROL_INPUT);
    assert_int_equal(at(form, "/data/c")->type, HM_FIELD_TYPE_INT);
    assert_int_equal(form->fill, HM_FORM_FILL_MANY);
    assert_string_equal(form->languages[0], "");
    hm_xform_destroy(form);
}

/* The template says what a row has, wherever it stands among the first instances. */
HM_TEST(template_counts)
{
    struct hm_xform *form =
        hm_test_form_parse("<r><a/></r><r jr:template=''><a/><b/></r>",
                           "<bind nodeset='/data/r' hamlet:items='register/members'/>"
                           "<bind nodeset='/data/r/b' type='int'/>",
                           "<repeat nodeset='/data/r'/>");

    assert_int_equal(form->field_count, 2);
    assert_int_equal(at(form, "/data/r/b")->type, HM_FIELD_TYPE_INT);
    assert_string_equal(form->repeats[0].items, "register/members");
    hm_xform_destroy(form);
}

/* Repeats of one name in two places are told apart by their paths. */
HM_TEST(repeat_names)
{
    struct hm_xform *form = hm_test_form_parse(
        "<a><r><x/></r></a><b><r><x/></r></b>", "",
        "<repeat nodeset='/data/a/r'/><repeat nodeset='/data/b/r'/>");

    assert_string_equal(form->repeats[0].name, "a/r");
    assert_string_equal(form->repeats[1].name, "b/r");
    assert_string_equal(at(form, "/data/a/r/x")->name, "x");
    hm_xform_destroy(form);
}

/* The forms that come with the program, and the tie between their members. */
HM_TEST(bundled_forms)
{
    struct hm_xform *list =
        hm_test_form_load("../../../daemon/programmes/vn-poverty/forms/register.xml");
    struct hm_xform *review =
        hm_test_form_load("../../../daemon/programmes/vn-poverty/forms/review.xml");

    assert_string_equal(list->id, "register");
    assert_int_equal(list->fill, HM_FORM_FILL_ONCE);
    assert_string_equal(list->repeats[0].name, "members");
    assert_string_equal(review->id, "review");
    assert_int_equal(review->fill, HM_FORM_FILL_PER_ROUND);
    assert_string_equal(review->repeats[0].items, "register/members");
    hm_xform_destroy(review);
    hm_xform_destroy(list);
}

struct refusal {
    const char *instance;
    const char *model;
    const char *body;
    int line; /* 0: not looked at */
    const char *reason;
};

static void refused(struct hm_bytes xml, int err, int line, const char *reason)
{
    struct hm_xform *form = NULL;
    struct hm_xform_error error = {0};

    assert_int_equal(hm_xform_parse(xml, &form, &error), err);
    assert_null(form);
    if (strstr(error.reason, reason) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", reason, error.reason);
    }
    if (line > 0) {
        assert_int_equal(error.line, line);
    }
}

/* A form that cannot be filled is refused when it is published, not in the village. */
HM_TEST(broken_forms)
{
    static const struct refusal rows[] = {
        {"<a/>", "<bind nodeset='/data/b'/>", "", 6, "is not in the primary instance"},
        {"<a/>", "<bind nodeset='/other/a'/>", "", 6, "is not in the primary instance"},
        {"<a/>", "<bind nodeset='/data/a'/>\n<bind nodeset='/data/a'/>", "", 7,
         "two binds"},
        {"<a/>", "<bind/>", "", 6, "without nodeset"},
        {"<a/><a/>", "", "", 5, "stands twice"},
        {"<a/>", "<bind nodeset='/data/a' type='colour'/>", "", 6, "not supported"},
        {"<a/>", "<bind nodeset='/data/a' hamlet:merge='newest'/>", "", 6, "newest"},
        {"<a/>", "<bind nodeset='/data/a' hamlet:merge='union'/>", "", 5, "union is"},
        {"<a/>", "<bind nodeset='/data/a' hamlet:merge='max'/>", "", 5, "max is"},
        {"<a/>", "<bind nodeset='/data/a' hamlet:merge='derived'/>", "", 5,
         "derived is"},
        {"<a/>", "", "<input/>", 7, "names no node"},
        {"<a/>", "", "<input ref='/data/b'/>", 7, "is not in the primary instance"},
        {"<a><b/></a>", "", "<input ref='/data/a'/>", 7, "a group or repeat"},
        {"<a/>", "", "<repeat nodeset='/data'/>", 7, "whole form"},
        {"<a><c/></a><b><d/></b>", "",
         "<repeat nodeset='/data/a'><repeat nodeset='/data/b'/></repeat>", 7,
         "but its nodes do not"},
        {"<a/>", "", "<input ref='/data/a'/><select1 ref='/data/a'/>", 7, "two kinds"},
        {"<a/>", "",
         "<select1 ref='/data/a'><itemset nodeset=\"instance('x')/root/item\">"
         "<value ref='name'/></itemset></select1>",
         7, "no instance with the id \"x\""},
        {"<a/>", "", "<input ref='/data/a'><label ref=\"jr:itext('no')\"/></input>", 7,
         "in no translation"},
        {"<a/>", "<itext><translation lang='a'/><translation lang='a'/></itext>", "", 6,
         "two translations"},
        {"<a><b/></a>", "",
         "<repeat nodeset='/data/a' hamlet:items='register'><input ref='b'/></repeat>",
         7, "form/repeat"},
        {"<x:a/>", "", "", 5, "not well-formed"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *xml = hm_test_form(rows[i].instance, rows[i].model, rows[i].body);
        bool broken = strstr(rows[i].reason, "well-formed") != NULL;

        refused(hm_bytes_str(xml), broken ? HM_MALFORMED : HM_INVALID, rows[i].line,
                rows[i].reason);
    }
}

HM_TEST(not_a_form)
{
    refused(hm_bytes_str(""), HM_MALFORMED, 0, "empty");
    refused(hm_bytes_str("hello"), HM_MALFORMED, 1, "not well-formed");
    refused(hm_bytes_str("<a>\n<b>\n</a>"), HM_MALFORMED, 3, "not well-formed");
    refused(hm_bytes_str("<root/>"), HM_INVALID, 1, "not an XForm");
    refused(hm_bytes_str("<html/>"), HM_INVALID, 1, "no model");
    refused(hm_bytes_str("<html><head><model/></head></html>"), HM_INVALID, 1,
            "no primary instance");
    refused(hm_bytes_str("<html><head><model><instance/></model></head></html>"),
            HM_INVALID, 1, "no primary instance");
    refused(hm_bytes_str("<html><head><model><instance><d><a/></d></instance></model>"
                         "</head></html>"),
            HM_INVALID, 1, "no id");
}

/* Entities would let a form read files or grow without end. */
HM_TEST(doctype_is_refused)
{
    refused(hm_bytes_str("<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>"
                         "<a>&x;</a>"),
            HM_MALFORMED, 1, "DOCTYPE");
    refused(hm_bytes_str("<!DOCTYPE html><html/>"), HM_MALFORMED, 1, "DOCTYPE");
}

static void append_many(struct hm_buf *buf, const char *text, int count)
{
    for (int i = 0; i < count; i++) {
        hm_buf_append_str(buf, text);
    }
}

/* Each limit is a refusal, not a crash and not a full memory. */
HM_TEST(limits)
{
    struct hm_buf buf;

    hm_buf_init(&buf, 8 * 1024 * 1024);
    append_many(&buf, "<a>", 200);
    append_many(&buf, "</a>", 200);
    refused(hm_buf_bytes(&buf), HM_TOOBIG, 1, "nested deeper");
    hm_buf_clear(&buf);
    append_many(&buf, "<a>", 5000);
    refused(hm_buf_bytes(&buf), HM_MALFORMED, 1, "not well-formed");
    hm_buf_clear(&buf);
    append_many(&buf, "        ", HM_XFORM_BYTES_MAX / 8 + 1);
    refused(hm_buf_bytes(&buf), HM_TOOBIG, 0, "4 MB");
    hm_buf_clear(&buf);
    hm_buf_append_str(&buf, "<html><head><model><instance><d id='d'>");
    for (int i = 0; i < HM_XFORM_NODES_MAX; i++) {
        hm_buf_printf(&buf, "<a%d/>", i);
    }
    hm_buf_append_str(&buf, "</d></instance></model></head></html>");
    refused(hm_buf_bytes(&buf), HM_TOOBIG, 1, "more than 8192");
    hm_buf_deinit(&buf);
}

/* One long text in a thousand labels would be a thousand long texts. */
HM_TEST(memory_is_bounded)
{
    struct hm_buf buf;

    hm_buf_init(&buf, HM_XFORM_BYTES_MAX);
    hm_buf_append_str(&buf, "<html xmlns:jr='http://openrosa.org/javarosa'><head>"
                            "<model><itext><translation lang='a'><text id='t'><value>");
    append_many(&buf, "0123456789", 6000);
    hm_buf_append_str(&buf, "</value></text></translation></itext>"
                            "<instance><d id='d'><a/></d></instance></model></head>"
                            "<body><select1 ref='/d/a'>");
    for (int i = 0; i < 1000; i++) {
        hm_buf_printf(
            &buf, "<item><label ref=\"jr:itext('t')\"/><value>%d</value></item>", i);
    }
    hm_buf_append_str(&buf, "</select1></body></html>");
    refused(hm_buf_bytes(&buf), HM_TOOBIG, 0, "memory");
    hm_buf_deinit(&buf);
}

/* Cut anywhere, or with any byte gone wrong, a form is a form or a refusal. */
HM_TEST(damaged_bytes)
{
    static char xml[8192];
    size_t len = (size_t)snprintf(
        xml, sizeof xml, "%s",
        hm_test_form("<r><a/></r><b/>", "<bind nodeset='/data/b' type='int'/>",
                     "<group ref='/data/r'><label>x</label><repeat nodeset='/data/r'>"
                     "<input ref='/data/r/a'/></repeat></group>"
                     "<select1 ref='/data/b'><item><value>1</value></item></select1>"));
    int forms = 0;

    for (size_t i = 0; i < 2 * len; i++) {
        char *copy = malloc(len);
        struct hm_xform *form = NULL;
        struct hm_xform_error error = {0};

        assert_non_null(copy);
        memcpy(copy, xml, len);
        copy[i % len] = i < len ? (char)(copy[i] ^ 0x04) : copy[i % len];
        if (hm_xform_parse(hm_bytes_of(copy, i < len ? len : i - len), &form, &error) ==
            HM_OK) {
            forms++;
        } else {
            assert_true(error.reason[0] != 0);
        }
        hm_xform_destroy(form);
        free(copy);
    }
    assert_true(forms > 0);
}
