/* A birth that is taken encodes to the same bytes. */
#include "protocol/segment.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hm_bytes bytes = hm_bytes_of(data, size);
    struct hm_birth birth;
    int err = hm_birth_decode(bytes, &birth);

    HM_FUZZ_ERR(err, HM_FUZZ_GUARD_ERRORS, HM_VERSION);
    if (err == HM_OK) {
        struct hm_buf again;

        HM_FUZZ_CHECK(hm_fuzz_lies_in(birth.version, bytes));
        HM_FUZZ_CHECK(birth.clock_class <= HM_CLOCK_CHECKED);
        hm_buf_init(&again, HM_BIRTH_BYTES_MAX);
        hm_birth_encode(&birth, &again);
        HM_FUZZ_CHECK(hm_bytes_equal(hm_buf_bytes(&again), bytes));
        hm_buf_deinit(&again);
    }
    return 0;
}
