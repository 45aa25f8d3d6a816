/* A change that is taken encodes to the same bytes, lies in the input, and costs memory
 * in proportion to it. The first byte chooses who wrote it. */
#include "protocol/change.h"
#include "tests/fuzz/fuzz.h"

static void check(const struct hm_change *change, struct hm_bytes bytes,
                  const struct hm_dot *dot)
{
    struct hm_buf again;

    HM_FUZZ_CHECK(change->rank <= HM_RANK_MAX);
    HM_FUZZ_CHECK(hm_fuzz_lies_in(change->reason, bytes));
    for (size_t i = 0; i < change->row_count; i++) {
        const struct hm_row_write *row = &change->rows[i];

        HM_FUZZ_CHECK(row->cell_count > 0);
        for (size_t j = 0; j < row->cell_count; j++) {
            HM_FUZZ_CHECK(row->cells[j].value.len > 0);
            HM_FUZZ_CHECK(hm_fuzz_lies_in(row->cells[j].value, bytes));
        }
    }
    hm_buf_init(&again, HM_CHANGE_BYTES_MAX);
    hm_change_encode(change, dot, &again);
    HM_FUZZ_CHECK(again.err == HM_OK);
    HM_FUZZ_CHECK(hm_bytes_equal(hm_buf_bytes(&again), bytes));
    hm_buf_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct hm_dot dots[] = {
        {0x5eed, 1}, {0x5eed, 3}, {0x5eed, 5}, {1, 1}, {UINT64_MAX, UINT64_MAX}};
    struct hm_bytes bytes = hm_bytes_of(data, size);
    struct hm_dot dot = dots[hm_fuzz_below(&bytes, sizeof dots / sizeof dots[0])];
    struct hm_change change;
    struct hm_arena arena;
    int err;

    hm_arena_init(&arena, HM_FUZZ_ARENA_BYTES_MAX);
    err = hm_change_decode(bytes, &dot, &arena, &change);
    HM_FUZZ_ERR(err, HM_FUZZ_GUARD_ERRORS);
    HM_FUZZ_CHECK(arena.used <= 128 * bytes.len + 4096);
    if (err == HM_OK) {
        check(&change, bytes, &dot);
    }
    hm_arena_deinit(&arena);
    return 0;
}
