/* A code that a person typed: what is taken, written and read again is the same; its
 * base32 alone gives its bytes back. */
#include "protocol/base32.h"
#include "protocol/enroll_code.h"
#include "tests/fuzz/fuzz.h"

static void check_code(const struct hm_enroll_code *code)
{
    struct hm_enroll_code again = {0};
    struct hm_buf text;

    HM_FUZZ_CHECK(memchr(code->host_port, 0, sizeof code->host_port) != NULL);
    hm_buf_init(&text, HM_ENROLL_CODE_BYTES_MAX);
    hm_enroll_code_write(code->host_port, code->secret, code->key_hash, &text);
    HM_FUZZ_CHECK(text.err == HM_OK);
    HM_FUZZ_CHECK(hm_enroll_code_read(hm_buf_bytes(&text), &again) == HM_OK);
    HM_FUZZ_CHECK(strcmp(again.host_port, code->host_port) == 0);
    HM_FUZZ_CHECK(memcmp(again.secret, code->secret, sizeof code->secret) == 0);
    HM_FUZZ_CHECK(memcmp(again.key_hash, code->key_hash, sizeof code->key_hash) == 0);
    hm_buf_deinit(&text);
}

static void check_base32(struct hm_bytes input)
{
    struct hm_buf bytes;
    struct hm_buf text;
    struct hm_buf again;
    int err;

    hm_buf_init(&bytes, input.len + 16);
    hm_buf_init(&text, 4 * input.len + 16);
    hm_buf_init(&again, input.len + 16);
    err = hm_base32_decode(input, &bytes);
    HM_FUZZ_ERR(err, HM_MALFORMED, HM_NONCANONICAL);
    HM_FUZZ_CHECK(err == HM_OK || bytes.len == 0);
    HM_FUZZ_CHECK(bytes.len <= input.len);
    hm_base32_encode(err == HM_OK ? hm_buf_bytes(&bytes) : input, &text);
    HM_FUZZ_CHECK(hm_base32_decode(hm_buf_bytes(&text), &again) == HM_OK);
    HM_FUZZ_CHECK(hm_bytes_equal(err == HM_OK ? hm_buf_bytes(&bytes) : input,
                                 hm_buf_bytes(&again)));
    hm_buf_deinit(&bytes);
    hm_buf_deinit(&text);
    hm_buf_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hm_bytes input = hm_bytes_of(data, size);
    struct hm_enroll_code code;
    int err = hm_enroll_code_read(input, &code);

    HM_FUZZ_ERR(err, HM_MALFORMED);
    if (err == HM_OK) {
        check_code(&code);
    }
    check_base32(input);
    return 0;
}
