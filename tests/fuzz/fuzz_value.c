/* Answers: text into a cell's value and back. The first byte chooses a field of the
 * fixture form village.xml, which has every type; an odd second one takes the rest as
 * a value instead.
 *
 * A value made of text is accepted by the check of values, is canonical, and its text
 * makes the same value again. A value from outside that is accepted can be shown. */
#include "protocol/form/field_table.h"
#include "protocol/form/value.h"
#include "protocol/guard.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/forms.h"

static struct hm_field_table *table;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct hm_xform *form = hm_test_form_load("village.xml");
    struct hm_field_error error;

    (void)argc;
    (void)argv;
    HM_FUZZ_CHECK(hm_field_table_grow(NULL, form, &table, &error) == HM_OK);
    hm_xform_destroy(form);
    return 0;
}

static void check_text(const struct hm_field_entry *entry, struct hm_bytes text,
                       struct hm_buf *why)
{
    struct hm_buf value;
    struct hm_buf shown;
    struct hm_buf again;
    int err;

    hm_buf_init(&value, 1024 * 1024);
    hm_buf_init(&shown, 1024 * 1024);
    hm_buf_init(&again, 1024 * 1024);
    err = hm_value_from_text(table, entry, text, &value, why);
    HM_FUZZ_ERR(err, HM_INVALID);
    HM_FUZZ_CHECK(err == HM_OK || (value.len == 0 && why->len > 0));
    if (err == HM_OK) {
        HM_FUZZ_CHECK(hm_guard_check(hm_buf_bytes(&value)) == HM_OK);
        HM_FUZZ_CHECK(hm_value_check(entry, hm_buf_bytes(&value), why) == HM_OK);
        HM_FUZZ_CHECK(hm_value_to_text(hm_buf_bytes(&value), &shown) == HM_OK);
        HM_FUZZ_CHECK(hm_value_from_text(table, entry, hm_buf_bytes(&shown), &again,
                                         why) == HM_OK);
        HM_FUZZ_CHECK(hm_bytes_equal(hm_buf_bytes(&value), hm_buf_bytes(&again)));
    }
    hm_buf_deinit(&value);
    hm_buf_deinit(&shown);
    hm_buf_deinit(&again);
}

static void check_value(const struct hm_field_entry *entry, struct hm_bytes value,
                        struct hm_buf *why)
{
    struct hm_buf shown;
    int err = hm_value_check(entry, value, why);

    HM_FUZZ_ERR(err, HM_INVALID);
    HM_FUZZ_CHECK(err == HM_OK || why->len > 0);
    if (err == HM_OK) {
        hm_buf_init(&shown, 1024 * 1024);
        HM_FUZZ_CHECK(hm_guard_check(value) == HM_OK);
        HM_FUZZ_CHECK(hm_value_to_text(value, &shown) == HM_OK);
        hm_buf_deinit(&shown);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hm_bytes input = hm_bytes_of(data, size);
    const struct hm_field_entry *entry =
        &table->entries[hm_fuzz_below(&input, (unsigned)table->count)];
    bool is_value = hm_fuzz_below(&input, 2) == 1;
    struct hm_buf why;

    if (entry->kind == HM_FIELD_KIND_REPEAT) {
        return 0;
    }
    hm_buf_init(&why, HM_VALUE_WHY_BYTES_MAX);
    if (is_value) {
        check_value(entry, input, &why);
    } else {
        check_text(entry, input, &why);
    }
    hm_buf_deinit(&why);
    return 0;
}
