/* A form's field table: what is read is written and read again to the same bytes, is in
 * order, and is found by number and by name. */
#include "protocol/form/field_table.h"
#include "tests/fuzz/fuzz.h"

static void check_found(const struct hm_field_table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct hm_field_entry *entry = &table->entries[i];

        HM_FUZZ_CHECK(entry->number < table->next_number);
        HM_FUZZ_CHECK(i == 0 || table->entries[i - 1].number < entry->number);
        HM_FUZZ_CHECK(hm_field_table_by_number(table, entry->number) == entry);
        HM_FUZZ_CHECK(entry->list >= -1 &&
                      (entry->list == -1 || (size_t)entry->list < table->list_count));
        HM_FUZZ_CHECK(hm_field_entry_label(entry, "vi") != NULL);
        HM_FUZZ_CHECK(entry->kind == HM_FIELD_KIND_REPEAT
                          ? hm_field_table_repeat(table, entry->name) != NULL
                          : hm_field_table_by_name(table, entry->repeat, entry->name) !=
                                NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hm_field_table *table = NULL;
    struct hm_field_table *second = NULL;
    struct hm_buf bytes;
    struct hm_buf again;
    int err = hm_field_table_decode(hm_bytes_of(data, size), &table);

    HM_FUZZ_ERR(err, HM_FUZZ_GUARD_ERRORS, HM_VERSION);
    HM_FUZZ_CHECK((err == HM_OK) == (table != NULL));
    if (err != HM_OK) {
        return 0;
    }
    check_found(table);
    hm_buf_init(&bytes, HM_FIELD_TABLE_BYTES_MAX);
    hm_buf_init(&again, HM_FIELD_TABLE_BYTES_MAX);
    hm_field_table_encode(table, &bytes);
    HM_FUZZ_CHECK(bytes.err == HM_OK);
    HM_FUZZ_CHECK(hm_field_table_decode(hm_buf_bytes(&bytes), &second) == HM_OK);
    hm_field_table_encode(second, &again);
    HM_FUZZ_CHECK(hm_bytes_equal(hm_buf_bytes(&bytes), hm_buf_bytes(&again)));
    hm_buf_deinit(&bytes);
    hm_buf_deinit(&again);
    hm_field_table_destroy(table);
    hm_field_table_destroy(second);
    return 0;
}
