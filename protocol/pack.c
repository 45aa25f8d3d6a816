#include "protocol/pack.h"

#include <msgpack.h>

static int write_to_buf(void *data, const char *bytes, size_t len)
{
    hm_buf_append(data, hm_bytes_of(bytes, len));
    return 0; /* the error sticks in the buffer */
}

static msgpack_packer packer_of(struct hm_buf *buf)
{
    msgpack_packer packer;

    msgpack_packer_init(&packer, buf, write_to_buf);
    return packer;
}

void hm_pack_nil(struct hm_buf *buf)
{
    msgpack_packer packer = packer_of(buf);

    (void)msgpack_pack_nil(&packer);
}

void hm_pack_bool(struct hm_buf *buf, bool value)
{
    msgpack_packer packer = packer_of(buf);

    (void)(value ? msgpack_pack_true(&packer) : msgpack_pack_false(&packer));
}

void hm_pack_uint(struct hm_buf *buf, uint64_t value)
{
    msgpack_packer packer = packer_of(buf);

    (void)msgpack_pack_uint64(&packer, value);
}

void hm_pack_int(struct hm_buf *buf, int64_t value)
{
    msgpack_packer packer = packer_of(buf);

    (void)msgpack_pack_int64(&packer, value);
}

void hm_pack_str(struct hm_buf *buf, struct hm_bytes text)
{
    msgpack_packer packer = packer_of(buf);

    (void)msgpack_pack_str(&packer, text.len);
    hm_buf_append(buf, text);
}

void hm_pack_bin(struct hm_buf *buf, struct hm_bytes bytes)
{
    msgpack_packer packer = packer_of(buf);

    (void)msgpack_pack_bin(&packer, bytes.len);
    hm_buf_append(buf, bytes);
}

void hm_pack_array(struct hm_buf *buf, size_t count)
{
    msgpack_packer packer = packer_of(buf);

    (void)msgpack_pack_array(&packer, count);
}

void hm_pack_map(struct hm_buf *buf, size_t count)
{
    msgpack_packer packer = packer_of(buf);

    (void)msgpack_pack_map(&packer, count);
}

void hm_pack_raw(struct hm_buf *buf, struct hm_bytes item)
{
    hm_buf_append(buf, item);
}

static void fail(struct hm_reader *r, int err)
{
    if (r->err == HM_OK) {
        r->err = err;
    }
}

/* The wide forms: which width, and the smallest number that may use it. */
struct wide {
    enum hm_pack_kind kind;
    unsigned width;
    uint64_t least;
};

static bool wide_form(uint8_t tag, struct wide *out)
{
    static const struct wide forms[] = {
        [0xc4 - 0xc4] = {HM_PACK_BIN, 1, 0},
        [0xc5 - 0xc4] = {HM_PACK_BIN, 2, 1U << 8},
        [0xc6 - 0xc4] = {HM_PACK_BIN, 4, 1U << 16},
        [0xcc - 0xc4] = {HM_PACK_UINT, 1, 1U << 7},
        [0xcd - 0xc4] = {HM_PACK_UINT, 2, 1U << 8},
        [0xce - 0xc4] = {HM_PACK_UINT, 4, 1U << 16},
        [0xcf - 0xc4] = {HM_PACK_UINT, 8, 1ULL << 32},
        [0xd9 - 0xc4] = {HM_PACK_STR, 1, 1U << 5},
        [0xda - 0xc4] = {HM_PACK_STR, 2, 1U << 8},
        [0xdb - 0xc4] = {HM_PACK_STR, 4, 1U << 16},
        [0xdc - 0xc4] = {HM_PACK_ARRAY, 2, 1U << 4},
        [0xdd - 0xc4] = {HM_PACK_ARRAY, 4, 1U << 16},
        [0xde - 0xc4] = {HM_PACK_MAP, 2, 1U << 4},
        [0xdf - 0xc4] = {HM_PACK_MAP, 4, 1U << 16},
    };

    if (tag < 0xc4 || tag > 0xdf || forms[tag - 0xc4].width == 0) {
        return false;
    }
    *out = forms[tag - 0xc4];
    return true;
}

/* 0xd0 .. 0xd3: negative numbers in 1, 2, 4, 8 bytes. */
static struct hm_pack_head negative(struct hm_reader *r, uint8_t tag)
{
    static const int64_t above[] = {-32, INT8_MIN, INT16_MIN, INT32_MIN};
    unsigned width = 1U << (tag - 0xd0);
    uint64_t bits = hm_reader_uint(r, width);
    unsigned shift = 64 - 8 * width;
    int64_t value = (int64_t)(bits << shift) >> shift;

    if (r->err == HM_OK && value >= above[tag - 0xd0]) {
        fail(r, HM_NONCANONICAL);
    }
    return (struct hm_pack_head){.kind = HM_PACK_INT, .bits = (uint64_t)value};
}

static struct hm_pack_head wide_head(struct hm_reader *r, struct wide form)
{
    uint64_t number = hm_reader_uint(r, form.width);
    struct hm_pack_head head = {.kind = form.kind};

    if (r->err == HM_OK && number < form.least) {
        fail(r, HM_NONCANONICAL);
    }
    if (form.kind == HM_PACK_UINT) {
        head.bits = number;
    } else {
        head.count = number;
    }
    return head;
}

struct hm_pack_head hm_pack_head_read(struct hm_reader *r)
{
    uint8_t tag = (uint8_t)hm_reader_uint(r, 1);
    struct hm_pack_head head = {.kind = HM_PACK_NIL};
    struct wide form;

    if (r->err != HM_OK || tag == 0xc0) {
        return head;
    }
    if (tag <= 0x7f) {
        return (struct hm_pack_head){.kind = HM_PACK_UINT, .bits = tag};
    }
    if (tag <= 0x8f) {
        return (struct hm_pack_head){.kind = HM_PACK_MAP, .count = tag & 0x0fU};
    }
    if (tag <= 0x9f) {
        return (struct hm_pack_head){.kind = HM_PACK_ARRAY, .count = tag & 0x0fU};
    }
    if (tag <= 0xbf) {
        return (struct hm_pack_head){.kind = HM_PACK_STR, .count = tag & 0x1fU};
    }
    if (tag >= 0xe0) {
        return (struct hm_pack_head){.kind = HM_PACK_INT,
                                     .bits = (uint64_t)((int64_t)tag - 256)};
    }
    if (tag == 0xc2 || tag == 0xc3) {
        return (struct hm_pack_head){.kind = HM_PACK_BOOL, .bits = tag & 1U};
    }
    if (tag == 0xcb) {
        return (struct hm_pack_head){.kind = HM_PACK_F64, .bits = hm_reader_uint(r, 8)};
    }
    if (tag >= 0xd0 && tag <= 0xd3) {
        return negative(r, tag);
    }
    if (wide_form(tag, &form)) {
        return wide_head(r, form);
    }
    fail(r, HM_MALFORMED);
    return head;
}

static struct hm_pack_head expect(struct hm_reader *r, enum hm_pack_kind kind)
{
    struct hm_pack_head head = hm_pack_head_read(r);

    if (r->err == HM_OK && head.kind != kind) {
        fail(r, HM_MALFORMED);
    }
    return r->err == HM_OK ? head : (struct hm_pack_head){.kind = kind};
}

uint64_t hm_unpack_uint(struct hm_reader *r)
{
    return expect(r, HM_PACK_UINT).bits;
}

uint64_t hm_unpack_uint_max(struct hm_reader *r, uint64_t max)
{
    uint64_t value = hm_unpack_uint(r);

    if (value > max) {
        fail(r, HM_MALFORMED);
        return 0;
    }
    return value;
}

int64_t hm_unpack_int(struct hm_reader *r)
{
    struct hm_pack_head head = hm_pack_head_read(r);

    if (r->err == HM_OK && head.kind != HM_PACK_INT &&
        (head.kind != HM_PACK_UINT || head.bits > INT64_MAX)) {
        fail(r, HM_MALFORMED);
    }
    return r->err == HM_OK ? (int64_t)head.bits : 0;
}

bool hm_unpack_bool(struct hm_reader *r)
{
    return expect(r, HM_PACK_BOOL).bits != 0;
}

struct hm_bytes hm_unpack_str(struct hm_reader *r)
{
    return hm_reader_take(r, expect(r, HM_PACK_STR).count);
}

struct hm_bytes hm_unpack_bin(struct hm_reader *r)
{
    return hm_reader_take(r, expect(r, HM_PACK_BIN).count);
}

void hm_unpack_bin_exact(struct hm_reader *r, uint8_t *out, size_t len)
{
    struct hm_bytes bytes = hm_unpack_bin(r);

    if (r->err == HM_OK && bytes.len != len) {
        fail(r, HM_MALFORMED);
    }
    if (r->err == HM_OK) {
        memcpy(out, bytes.data, len);
    }
}

static size_t counted(struct hm_reader *r, enum hm_pack_kind kind, size_t max)
{
    uint64_t count = expect(r, kind).count;

    if (count > max) {
        fail(r, HM_TOOBIG);
        return 0;
    }
    return (size_t)count;
}

size_t hm_unpack_array(struct hm_reader *r, size_t max)
{
    return counted(r, HM_PACK_ARRAY, max);
}

size_t hm_unpack_map(struct hm_reader *r, size_t max)
{
    return counted(r, HM_PACK_MAP, max);
}

void hm_unpack_array_exact(struct hm_reader *r, size_t count)
{
    uint64_t found = expect(r, HM_PACK_ARRAY).count;

    if (r->err == HM_OK && found != count) {
        fail(r, HM_MALFORMED);
    }
}

bool hm_unpack_nil(struct hm_reader *r)
{
    if (r->err != HM_OK || r->left.len == 0 || r->left.data[0] != 0xc0) {
        return false;
    }
    (void)hm_reader_take(r, 1);
    return true;
}

enum hm_pack_kind hm_unpack_peek(const struct hm_reader *r)
{
    struct hm_reader copy = *r;

    return hm_pack_head_read(&copy).kind;
}

struct hm_bytes hm_unpack_raw(struct hm_reader *r)
{
    const uint8_t *start = r->left.data;
    uint64_t items = 1;

    while (items > 0 && r->err == HM_OK) {
        struct hm_pack_head head = hm_pack_head_read(r);

        items--;
        if (head.kind == HM_PACK_STR || head.kind == HM_PACK_BIN) {
            (void)hm_reader_take(r, head.count);
        } else if (head.kind == HM_PACK_ARRAY) {
            items += head.count;
        } else if (head.kind == HM_PACK_MAP) {
            items += 2 * head.count;
        }
    }
    return r->err == HM_OK ? hm_bytes_of(start, (size_t)(r->left.data - start))
                           : hm_bytes_of(NULL, 0);
}

int hm_unpack_end(const struct hm_reader *r)
{
    if (r->err != HM_OK) {
        return r->err;
    }
    return r->left.len == 0 ? HM_OK : HM_MALFORMED;
}
