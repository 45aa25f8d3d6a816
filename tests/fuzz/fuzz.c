#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/support/frames.h"
#include "tests/support/test.h"

enum { FIXTURE_BYTES_MAX = 1024 * 1024 };

bool hm_fuzz_is_among(int err, const int *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (err == list[i]) {
            return true;
        }
    }
    (void)fprintf(stderr, "the error is %s\n", hm_err_name(err));
    return false;
}

bool hm_fuzz_lies_in(struct hm_bytes part, struct hm_bytes whole)
{
    return part.len == 0 || (part.data >= whole.data && part.len <= whole.len &&
                             (size_t)(part.data - whole.data) <= whole.len - part.len);
}

struct hm_bytes hm_fuzz_fixture(const char *relative)
{
    FILE *file = fopen(hm_test_fixture(relative), "rb");
    uint8_t *bytes = malloc(FIXTURE_BYTES_MAX);
    size_t len;

    if (file == NULL || bytes == NULL) {
        (void)fprintf(stderr, "%s is missing\n", relative);
        abort();
    }
    len = fread(bytes, 1, FIXTURE_BYTES_MAX, file);
    (void)fclose(file);
    return hm_bytes_of(bytes, len);
}

struct hm_dictionary hm_fuzz_dictionary(void)
{
    static struct hm_dictionary dictionary;

    if (dictionary.id == 0) {
        dictionary.bytes = hm_fuzz_fixture("wire/dictionary.bin");
        dictionary.id = hm_hash_u64(dictionary.bytes);
    }
    return dictionary;
}

struct hm_bytes hm_fuzz_until(struct hm_bytes *input, uint8_t end)
{
    struct hm_bytes out = {.data = input->data};

    while (out.len < input->len && input->data[out.len] != end) {
        out.len++;
    }
    input->len -= out.len;
    input->data += out.len;
    if (input->len > 0) {
        input->data++;
        input->len--;
    }
    return out;
}

static int write_again(struct hm_bytes body, struct hm_buf *again)
{
    struct hm_arena arena;
    struct hm_buf dump;
    int err;

    hm_arena_init(&arena, HM_FUZZ_ARENA_BYTES_MAX);
    hm_buf_init(&dump, 16 * HM_REPLY_BYTES_MAX);
    err = hm_frames_decode(body, hm_fuzz_dictionary(), &arena, &dump, again);
    hm_buf_deinit(&dump);
    hm_arena_deinit(&arena);
    return err;
}

static bool may_change(unsigned type)
{
    return type == HM_FRAME_HELLO || type == HM_FRAME_TIME || type == HM_FRAME_FEED ||
           type == HM_FRAME_GIVE;
}

static void check_same_frames(struct hm_bytes before, struct hm_bytes after)
{
    struct hm_reader a = {.left = before};
    struct hm_reader b = {.left = after};
    struct hm_frame x;
    struct hm_frame y;

    while (hm_frame_read(&a, &x)) {
        HM_FUZZ_CHECK(hm_frame_read(&b, &y) && x.type == y.type);
        HM_FUZZ_CHECK(hm_bytes_equal(x.payload, y.payload) ||
                      (may_change(x.type) && y.payload.len <= x.payload.len));
    }
    HM_FUZZ_CHECK(a.err == HM_OK && !hm_frame_read(&b, &y));
}

void hm_fuzz_check_frames(struct hm_bytes body)
{
    struct hm_buf again;
    struct hm_buf third;
    int err;

    hm_buf_init(&again, 2 * HM_REPLY_BYTES_MAX);
    hm_buf_init(&third, 2 * HM_REPLY_BYTES_MAX);
    err = write_again(body, &again);
    HM_FUZZ_ERR(err, HM_FUZZ_GUARD_ERRORS, HM_DICTIONARY);
    if (err == HM_OK) {
        check_same_frames(body, hm_buf_bytes(&again));
        HM_FUZZ_CHECK(write_again(hm_buf_bytes(&again), &third) == HM_OK);
        HM_FUZZ_CHECK(hm_bytes_equal(hm_buf_bytes(&again), hm_buf_bytes(&third)));
    }
    hm_buf_deinit(&again);
    hm_buf_deinit(&third);
}
