/* Mutations that keep frames whole: the payload of one changes and its length follows,
 * one goes, comes twice, changes its type or its place. Half of the time libFuzzer's
 * own, which break everything. */
#include "protocol/message.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/rng.h"

enum { FRAMES_MAX = 64 };

static size_t read_frames(struct hm_bytes input, struct hm_frame frames[FRAMES_MAX])
{
    struct hm_reader r = {.left = input};
    size_t count = 0;

    while (count < FRAMES_MAX && hm_frame_read(&r, &frames[count])) {
        count++;
    }
    return count;
}

static void put_changed(struct hm_rng *rng, const struct hm_frame *frame,
                        struct hm_buf *out)
{
    struct hm_buf payload;
    size_t room = frame->payload.len + 64;
    uint8_t *bytes;

    (void)rng;
    hm_buf_init(&payload, room);
    bytes = hm_buf_reserve(&payload, room);
    if (bytes != NULL) {
        if (frame->payload.len > 0) {
            memcpy(bytes, frame->payload.data, frame->payload.len);
        }
        hm_frame_write(
            out, (enum hm_frame_type)frame->type,
            hm_bytes_of(bytes, LLVMFuzzerMutate(bytes, frame->payload.len, room)));
    }
    hm_buf_deinit(&payload);
}

static void put(const struct hm_frame *frame, struct hm_buf *out)
{
    hm_frame_write(out, (enum hm_frame_type)frame->type, frame->payload);
}

static void mutate(struct hm_rng *rng, struct hm_frame *frames, size_t count,
                   struct hm_buf *out)
{
    size_t at = (size_t)hm_rng_below(rng, count);
    size_t other = (size_t)hm_rng_below(rng, count);
    uint64_t what = hm_rng_below(rng, 8);

    for (size_t i = 0; i < count; i++) {
        struct hm_frame frame = frames[i];

        if (i != at) {
            put(&frame, out);
        } else if (what == 0) {
            put(&frame, out);
            put(&frame, out);
        } else if (what == 1) {
            put(&frames[other], out);
        } else if (what == 2) {
            frame.type = (unsigned)hm_rng_below(rng, 41);
            put(&frame, out);
        } else if (what > 3) {
            put_changed(rng, &frame, out);
        } /* 3: it goes */
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max,
                               unsigned seed)
{
    struct hm_frame frames[FRAMES_MAX];
    struct hm_rng rng = {seed};
    struct hm_buf out;
    size_t count;

    if (hm_rng_below(&rng, 2) == 0) {
        return LLVMFuzzerMutate(data, size, size_max);
    }
    count = read_frames(hm_bytes_of(data, size), frames);
    if (count == 0) {
        return LLVMFuzzerMutate(data, size, size_max);
    }
    hm_buf_init(&out, size_max);
    mutate(&rng, frames, count, &out);
    if (out.err == HM_OK) {
        if (out.len > 0) {
            memcpy(data, out.data, out.len);
        }
        size = out.len;
    }
    hm_buf_deinit(&out);
    return size;
}
