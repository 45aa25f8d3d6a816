/* Mutations that keep msgpack whole: one item of the input goes, comes twice, or
 * becomes another one, and the counts around it stay or follow. Half of the time
 * libFuzzer's own, which break everything. */
#include "protocol/pack.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/rng.h"

enum { ITEMS_MAX = 4096 };

/* Where items begin, the containers' too. */
static size_t find_items(struct hm_bytes input, size_t starts[ITEMS_MAX])
{
    struct hm_reader r = {.left = input};
    size_t count = 0;

    while (r.left.len > 0 && r.err == HM_OK && count < ITEMS_MAX) {
        struct hm_pack_head head;

        starts[count++] = (size_t)(r.left.data - input.data);
        head = hm_pack_head_read(&r);
        if (head.kind == HM_PACK_STR || head.kind == HM_PACK_BIN) {
            (void)hm_reader_take(&r, head.count);
        }
    }
    return count;
}

static void put_scalar(struct hm_rng *rng, struct hm_buf *out)
{
    static const uint64_t borders[] = {
        0,   1,     2,     15,     16,         127,       128,       255,
        256, 65535, 65536, 200000, UINT32_MAX, INT64_MAX, UINT64_MAX};
    uint64_t wide = hm_rng_wide(rng);

    switch (hm_rng_below(rng, 7)) {
    case 0:
        hm_pack_nil(out);
        break;
    case 1:
        hm_pack_uint(out,
                     borders[hm_rng_below(rng, sizeof borders / sizeof borders[0])]);
        break;
    case 2:
        hm_pack_int(out, -(int64_t)(wide >> 1));
        break;
    case 3:
        hm_pack_bool(out, wide % 2 == 1);
        break;
    case 4:
        hm_pack_array(out, 0);
        break;
    case 5:
        hm_pack_str(out, hm_bytes_str("x"));
        break;
    default:
        hm_pack_uint(out, wide);
        break;
    }
}

/* The head of an array or map with one element more or less. */
static void put_other_count(struct hm_rng *rng, struct hm_reader *r, struct hm_buf *out)
{
    struct hm_pack_head head = hm_pack_head_read(r);
    size_t count = (size_t)head.count + (hm_rng_below(rng, 2) == 0 ? 1 : SIZE_MAX);

    if (head.kind == HM_PACK_ARRAY && count < 100000) {
        hm_pack_array(out, count);
    } else if (head.kind == HM_PACK_MAP && count < 100000) {
        hm_pack_map(out, count);
    } else {
        put_scalar(rng, out);
    }
}

static void mutate_at(struct hm_rng *rng, struct hm_bytes input, size_t at,
                      size_t other, struct hm_buf *out)
{
    struct hm_reader r = {.left = {input.data + at, input.len - at}};
    struct hm_reader from = {.left = {input.data + other, input.len - other}};
    uint64_t what = hm_rng_below(rng, 5);
    struct hm_reader peek = r;
    struct hm_bytes item;

    hm_buf_append(out, hm_bytes_of(input.data, at));
    if (what == 0) {
        put_other_count(rng, &r, out);
        hm_buf_append(out, r.left);
        return;
    }
    item = hm_unpack_raw(&peek);
    if (what == 1) {
        put_scalar(rng, out);
    } else if (what == 2) {
        hm_buf_append(out, hm_unpack_raw(&from));
    } else if (what == 3) {
        hm_buf_append(out, item);
        hm_buf_append(out, item);
    }
    hm_buf_append(out, peek.left);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max,
                               unsigned seed)
{
    static size_t starts[ITEMS_MAX];
    struct hm_rng rng = {seed};
    struct hm_buf out;
    size_t count;

    if (hm_rng_below(&rng, 2) == 0) {
        return LLVMFuzzerMutate(data, size, size_max);
    }
    count = find_items(hm_bytes_of(data, size), starts);
    if (count == 0) {
        return LLVMFuzzerMutate(data, size, size_max);
    }
    hm_buf_init(&out, size_max);
    {
        size_t at = starts[hm_rng_below(&rng, count)];
        size_t other = starts[hm_rng_below(&rng, count)];

        mutate_at(&rng, hm_bytes_of(data, size), at, other, &out);
    }
    if (out.err == HM_OK && out.len > 0) {
        memcpy(data, out.data, out.len);
        size = out.len;
    }
    hm_buf_deinit(&out);
    return size;
}
