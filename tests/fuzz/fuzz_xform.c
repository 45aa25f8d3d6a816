/* A form package's XForm. What is read makes a field table that survives its codec and
 * does not change when the same form is published again; every field is found by its
 * path; what is refused says why. */
#include "protocol/form/field_table.h"
#include "tests/fuzz/fuzz.h"

static void encode(const struct hm_field_table *table, struct hm_buf *out)
{
    hm_buf_init(out, HM_FIELD_TABLE_BYTES_MAX);
    hm_field_table_encode(table, out);
    HM_FUZZ_CHECK(out->err == HM_OK);
}

static void check_table(const struct hm_xform *form, const struct hm_field_table *table)
{
    struct hm_field_table *decoded = NULL;
    struct hm_field_table *grown = NULL;
    struct hm_field_error error;
    struct hm_buf bytes;
    struct hm_buf again;

    encode(table, &bytes);
    HM_FUZZ_CHECK(hm_field_table_decode(hm_buf_bytes(&bytes), &decoded) == HM_OK);
    encode(decoded, &again);
    HM_FUZZ_CHECK(hm_bytes_equal(hm_buf_bytes(&bytes), hm_buf_bytes(&again)));
    hm_buf_deinit(&again);
    HM_FUZZ_CHECK(hm_field_table_grow(decoded, form, &grown, &error) == HM_OK);
    encode(grown, &again);
    HM_FUZZ_CHECK(hm_bytes_equal(hm_buf_bytes(&bytes), hm_buf_bytes(&again)));
    hm_buf_deinit(&again);
    hm_buf_deinit(&bytes);
    hm_field_table_destroy(decoded);
    hm_field_table_destroy(grown);
}

static void check_form(const struct hm_xform *form)
{
    HM_FUZZ_CHECK(form->id != NULL && form->version != NULL && form->title != NULL);
    HM_FUZZ_CHECK(form->language_count >= 1 &&
                  form->default_language < form->language_count);
    for (size_t i = 0; i < form->field_count; i++) {
        const struct hm_xform_field *field = &form->fields[i];

        HM_FUZZ_CHECK(hm_xform_field_at(form, field->path) != NULL);
        HM_FUZZ_CHECK(field->repeat >= -1 && field->repeat < (int)form->repeat_count);
        HM_FUZZ_CHECK(field->group >= -1 && field->group < (int)form->group_count);
        HM_FUZZ_CHECK(field->list >= -1 && field->list < (int)form->list_count);
        HM_FUZZ_CHECK(hm_xform_text(form, field->label, 0) != NULL);
    }
    for (size_t i = 0; i < form->repeat_count; i++) {
        HM_FUZZ_CHECK(form->repeats[i].parent < (int)i);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hm_field_table *table = NULL;
    struct hm_xform *form = NULL;
    struct hm_xform_error why = {0};
    struct hm_field_error error;
    int err = hm_xform_parse(hm_bytes_of(data, size), &form, &why);

    HM_FUZZ_ERR(err, HM_MALFORMED, HM_INVALID, HM_TOOBIG);
    if (err != HM_OK) {
        HM_FUZZ_CHECK(form == NULL && why.reason[0] != 0);
        return 0;
    }
    check_form(form);
    err = hm_field_table_grow(NULL, form, &table, &error);
    HM_FUZZ_ERR(err, HM_INVALID, HM_TOOBIG);
    if (err == HM_OK) {
        check_table(form, table);
    }
    hm_field_table_destroy(table);
    hm_xform_destroy(form);
    return 0;
}
