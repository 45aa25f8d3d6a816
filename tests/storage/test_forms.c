#include "storage/forms.h"

#include "tests/support/forms.h"
#include "tests/support/store.h"

static struct hm_form_item form_of(const char *version, uint8_t xform)
{
    static const char *const roles[] = {"enumerator", "officer"};
    struct hm_form_item form = {.form_id = "register",
                                .version = version,
                                .title = "Danh sách hộ",
                                .fill = HM_FORM_FILL_ONCE,
                                .write = roles,
                                .write_count = 2};

    memset(form.xform, xform, sizeof form.xform);
    return form;
}

/* A form keeps its number; what was published before can still be named. */
HM_TEST(versions)
{
    struct hm_test_node node;
    struct hm_arena arena;
    struct hm_form_item form = form_of("1", 1);
    struct hm_form_item found;
    struct hm_form_item *forms;
    uint32_t first;
    uint32_t number;
    size_t count;

    hm_arena_init(&arena, 4 * 1024 * 1024);
    hm_test_node_open(&node, "centre", HM_NODE_CENTRE);
    CHECK_OK(hm_store_begin(node.store));
    CHECK_OK(hm_forms_put(node.store, &form, &first));
    assert_true(first > 0);
    CHECK_OK(hm_forms_put(node.store, &form, &number));
    form = form_of("2", 2);
    form.has_dictionary = true;
    form.dictionary_id = 77;
    CHECK_OK(hm_forms_put(node.store, &form, &number));
    assert_int_equal(number, first);
    CHECK_OK(hm_forms_find(node.store, "register", &arena, &found));
    assert_string_equal(found.version, "2");
    assert_string_equal(found.title, "Danh sách hộ");
    assert_int_equal(found.write_count, 2);
    assert_string_equal(found.write[1], "officer");
    assert_int_equal(found.fill, HM_FORM_FILL_ONCE);
    assert_true(found.has_dictionary && found.dictionary_id == 77);
    assert_int_equal(found.earlier_count, 1);
    assert_string_equal(found.earlier[0].version, "1");
    assert_int_equal(found.earlier[0].xform[0], 1);
    for (unsigned i = 0; i < HM_FORM_VERSIONS_MAX + 2; i++) {
        char version[] = {(char)('A' + i / 26), (char)('a' + i % 26), 0};

        form = form_of(version, 3);
        CHECK_OK(hm_forms_put(node.store, &form, &number));
    }
    CHECK_OK(hm_forms_get(node.store, first, &arena, &found));
    assert_int_equal(found.earlier_count, HM_FORM_VERSIONS_MAX);
    assert_string_equal(found.earlier[HM_FORM_VERSIONS_MAX - 1].version, "Ey");
    form = form_of("1", 1);
    form.form_id = "review";
    CHECK_OK(hm_forms_put(node.store, &form, &number));
    assert_int_not_equal(number, first);
    CHECK_OK(hm_forms_list(node.store, &arena, &forms, &count));
    assert_int_equal(count, 2);
    form.version = "";
    assert_int_equal(hm_forms_put(node.store, &form, &number), HM_INVALID);
    CHECK_OK(hm_store_end(node.store, HM_OK));
    hm_test_node_close(&node);
    hm_arena_deinit(&arena);
}

static void publish(struct hm_store *s, struct hm_form_item *form, const char *instance,
                    const char *model)
{
    struct hm_xform *xform = hm_test_form_parse(instance, model, "");
    struct hm_field_table *table = NULL;
    struct hm_field_error error;
    struct hm_buf buf;
    uint32_t number;

    CHECK_OK(hm_field_table_grow(NULL, xform, &table, &error));
    hm_buf_init(&buf, 1024 * 1024);
    hm_field_table_encode(table, &buf);
    CHECK_OK(buf.err);
    CHECK_OK(hm_blobs_put(s, hm_buf_bytes(&buf), form->table));
    CHECK_OK(hm_forms_put(s, form, &number));
    hm_buf_deinit(&buf);
    hm_field_table_destroy(table);
    hm_xform_destroy(xform);
}

/* A new version must be seen at once: an old table would lose the new answers. */
HM_TEST(tables_follow_the_form)
{
    struct hm_test_node node;
    struct hm_form_item form = form_of("1", 1);
    const struct hm_field_table *table = NULL;
    const struct hm_field_table *again = NULL;
    struct hm_forms *forms = NULL;
    uint32_t number;

    hm_test_node_open(&node, "centre", HM_NODE_CENTRE);
    CHECK_OK(hm_store_begin(node.store));
    CHECK_OK(hm_forms_open(node.store, &forms));
    assert_int_equal(hm_forms_load_table(forms, 1, &table), HM_NOTFOUND);
    CHECK_OK(hm_forms_put(node.store, &form, &number));
    assert_int_equal(hm_forms_load_table(forms, number, &table), HM_NOTFOUND);
    publish(node.store, &form, "<a/>", "<bind nodeset='/data/a' type='string'/>");
    CHECK_OK(hm_forms_load_table(forms, number, &table));
    assert_non_null(hm_field_table_by_name(table, 0, "a"));
    CHECK_OK(hm_forms_load_table(forms, number, &again));
    assert_ptr_equal(table, again);
    form.version = "2";
    publish(node.store, &form, "<a/><b/>",
            "<bind nodeset='/data/a' type='string'/>"
            "<bind nodeset='/data/b' type='string'/>");
    CHECK_OK(hm_forms_load_table(forms, number, &table));
    assert_non_null(hm_field_table_by_name(table, 0, "b"));
    CHECK_OK(hm_blobs_put(node.store, hm_bytes_str("no table"), form.table));
    CHECK_OK(hm_forms_put(node.store, &form, &number));
    assert_int_equal(hm_forms_load_table(forms, number, &table), HM_CORRUPT);
    hm_forms_close(forms);
    CHECK_OK(hm_store_end(node.store, HM_OK));
    hm_test_node_close(&node);
}
