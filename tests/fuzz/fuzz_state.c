/* A state that is taken encodes to the same bytes; the merge of it with itself is
 * itself; memory is in proportion to the input. */
#include "protocol/guard.h"
#include "protocol/household.h"
#include "protocol/merge.h"
#include "tests/fuzz/fuzz.h"

static void check_encodes(const struct hm_household *h, struct hm_bytes bytes)
{
    struct hm_buf again;

    hm_buf_init(&again, HM_HOUSEHOLD_BYTES_MAX);
    hm_household_encode(h, &again);
    HM_FUZZ_CHECK(again.err == HM_OK);
    HM_FUZZ_CHECK(hm_bytes_equal(hm_buf_bytes(&again), bytes));
    hm_buf_deinit(&again);
}

static void check(struct hm_household *h, struct hm_bytes bytes, struct hm_arena *arena)
{
    struct hm_household joined;
    uint32_t *scopes;
    size_t count;

    check_encodes(h, bytes);
    HM_FUZZ_CHECK(hm_merge_compare(h, h) == HM_VV_EQUAL);
    HM_FUZZ_CHECK(hm_merge_adopt(h, h) == HM_MERGE_TAKE);
    HM_FUZZ_CHECK(hm_merge_join(h, h, arena, &joined) == HM_OK);
    check_encodes(&joined, bytes);
    HM_FUZZ_CHECK(hm_household_scopes(h, &scopes, &count) == HM_OK);
    HM_FUZZ_CHECK(count > 0 || (!h->home_known && h->row_count == 0));
    for (size_t i = 1; i < count; i++) {
        HM_FUZZ_CHECK(scopes[i - 1] < scopes[i]);
    }
    for (size_t i = 0; i < h->row_count; i++) {
        struct hm_dot *dots;

        HM_FUZZ_CHECK(hm_household_row(h, &h->rows[i].key) == &h->rows[i]);
        HM_FUZZ_CHECK(hm_household_row_dots(h, &h->rows[i], &dots, &count) == HM_OK);
        for (size_t j = 0; j < count; j++) {
            HM_FUZZ_CHECK(hm_household_stamp(h, &dots[j]) != NULL);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hm_bytes bytes = hm_bytes_of(data, size);
    struct hm_household h;
    struct hm_arena arena;
    int err = hm_guard_check(bytes);

    if (err != HM_OK) {
        return 0;
    }
    hm_arena_init(&arena, HM_FUZZ_ARENA_BYTES_MAX);
    err = hm_household_decode(bytes, &arena, &h);
    HM_FUZZ_ERR(err, HM_FUZZ_GUARD_ERRORS, HM_VERSION);
    HM_FUZZ_CHECK(arena.used <= 256 * bytes.len + 4096);
    if (err == HM_OK) {
        check(&h, bytes, &arena);
    }
    hm_arena_deinit(&arena);
    return 0;
}
