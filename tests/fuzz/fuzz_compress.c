/* A zstd frame from outside, in a bound that the input names, with and without a
 * dictionary: what comes out is within the bound and survives packing again. */
#include "tests/fuzz/fuzz.h"

static const size_t bounds[] = {0, 1, 100, 4096, 64 * 1024};

static void check(struct hm_bytes frame, struct hm_dictionary dictionary, size_t bound)
{
    struct hm_buf content;
    struct hm_buf packed;
    struct hm_buf again;
    int err;

    hm_buf_init(&content, 2 * bound + 16);
    hm_buf_init(&packed, 4 * bound + 4096);
    hm_buf_init(&again, 2 * bound + 16);
    hm_buf_append_str(&content, "before");
    err = hm_decompress(frame, dictionary, bound, &content);
    HM_FUZZ_ERR(err, HM_TOOBIG, HM_MALFORMED, HM_TRUNCATED);
    HM_FUZZ_CHECK(content.err == HM_OK && content.len >= 6);
    HM_FUZZ_CHECK(memcmp(content.data, "before", 6) == 0);
    if (err == HM_OK) {
        struct hm_bytes plain = hm_bytes_of(content.data + 6, content.len - 6);

        HM_FUZZ_CHECK(plain.len <= bound);
        HM_FUZZ_CHECK(hm_compress(plain, dictionary, &packed) == HM_OK);
        HM_FUZZ_CHECK(hm_decompress(hm_buf_bytes(&packed), dictionary, bound, &again) ==
                      HM_OK);
        HM_FUZZ_CHECK(hm_bytes_equal(hm_buf_bytes(&again), plain));
    } else {
        HM_FUZZ_CHECK(content.len == 6);
    }
    hm_buf_deinit(&content);
    hm_buf_deinit(&packed);
    hm_buf_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hm_bytes input = hm_bytes_of(data, size);
    unsigned with = hm_fuzz_below(&input, 2);
    size_t bound = bounds[hm_fuzz_below(&input, sizeof bounds / sizeof bounds[0])];

    check(input, with == 1 ? hm_fuzz_dictionary() : HM_DICTIONARY_NONE, bound);
    return 0;
}
