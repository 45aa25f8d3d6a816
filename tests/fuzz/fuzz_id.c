/* Ids that people and programs write: what is read is written and read to the same. */
#include "protocol/id.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hm_household_id household;
    struct hm_household_id household_again;
    struct hm_item item;
    struct hm_item item_again;
    struct hm_dot dot;
    struct hm_dot dot_again;
    char text[HM_ID_TEXT_MAX];
    struct hm_buf input;
    const char *in;

    hm_buf_init(&input, size + 1);
    hm_buf_append(&input, hm_bytes_of(data, size));
    in = hm_buf_str(&input);
    if (hm_dot_from_text(in, &dot) == HM_OK) {
        HM_FUZZ_CHECK(dot.n > 0);
        hm_dot_to_text(&dot, text);
        HM_FUZZ_CHECK(hm_dot_from_text(text, &dot_again) == HM_OK);
        HM_FUZZ_CHECK(hm_dot_compare(&dot, &dot_again) == 0);
    }
    if (hm_household_id_from_text(in, &household) == HM_OK) {
        hm_household_id_to_text(&household, text);
        HM_FUZZ_CHECK(hm_household_id_from_text(text, &household_again) == HM_OK);
        HM_FUZZ_CHECK(hm_household_id_compare(&household, &household_again) == 0);
    }
    if (hm_item_from_text(in, &item) == HM_OK) {
        hm_item_to_text(&item, text);
        HM_FUZZ_CHECK(hm_item_from_text(text, &item_again) == HM_OK);
        HM_FUZZ_CHECK(hm_item_compare(&item, &item_again) == 0);
    }
    hm_buf_deinit(&input);
    return 0;
}
