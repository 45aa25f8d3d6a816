#include "tests/support/noncanonical.h"

#include "protocol/guard.h"
#include "protocol/pack.h"
#include "tests/support/test.h"

struct walk {
    struct hm_bytes all;
    struct hm_bytes rest;
    hm_noncanonical_check check;
    void *arg;
    size_t count;
    struct hm_buf buf;
};

/* Bytes at .. at + len replaced by others. */
static void try_other(struct walk *w, size_t at, size_t len, struct hm_bytes other,
                      int expected, const char *what)
{
    hm_buf_clear(&w->buf);
    hm_buf_append(&w->buf, hm_bytes_of(w->all.data, at));
    hm_buf_append(&w->buf, other);
    hm_buf_append(&w->buf, hm_bytes_of(w->all.data + at + len, w->all.len - at - len));
    hm_buf_append(&w->buf, w->rest);
    CHECK_OK(w->buf.err);
    w->count++;
    w->check(w->arg, hm_buf_bytes(&w->buf), expected, what);
}

#define OTHER(text) hm_bytes_of((text), sizeof(text) - 1)

/* A head with its number in `width` bytes behind a first byte. */
static void try_head(struct walk *w, size_t at, size_t len, uint8_t first,
                     unsigned width, uint64_t number, const char *what)
{
    uint8_t head[9] = {first};

    if (len < 1 + (size_t)width) {
        for (unsigned i = 0; i < width; i++) {
            head[1 + i] = (uint8_t)(number >> (8 * (width - 1 - i)));
        }
        try_other(w, at, len, hm_bytes_of(head, 1 + width), HM_NONCANONICAL, what);
    }
}

static void try_numbers(struct walk *w, size_t at, size_t len,
                        const struct hm_pack_head *head)
{
    static const uint8_t uints[] = {0xcc, 0xcd, 0xce, 0xcf};
    static const uint8_t ints[] = {0xd0, 0xd1, 0xd2, 0xd3};

    for (unsigned i = 0; i < 4; i++) {
        unsigned width = 1U << i;

        if (head->kind == HM_PACK_UINT) {
            try_head(w, at, len, uints[i], width, head->bits, "longer number");
        } else {
            try_head(w, at, len, ints[i], width, head->bits, "longer negative number");
        }
        /* A number without sign in a type with one: never the shortest. */
        if (head->kind == HM_PACK_UINT && head->bits < 1ULL << (8 * width - 1) &&
            len <= 1 + (size_t)width) {
            uint8_t other[9] = {ints[i]};

            for (unsigned j = 0; j < width; j++) {
                other[1 + j] = (uint8_t)(head->bits >> (8 * (width - 1 - j)));
            }
            try_other(w, at, len, hm_bytes_of(other, 1 + width), HM_NONCANONICAL,
                      "number with a sign");
        }
    }
}

static void try_text(struct walk *w, size_t at, size_t len, size_t payload,
                     const struct hm_pack_head *head)
{
    static uint8_t longer[3 + HM_GUARD_TEXT_BYTES_MAX + 1];

    try_head(w, at, len, 0xd9, 1, head->count, "longer length of text");
    try_head(w, at, len, 0xda, 2, head->count, "longer length of text");
    try_head(w, at, len, 0xdb, 4, head->count, "longer length of text");
    len += payload;
    try_other(w, at, len,
              OTHER("\xa3"
                    "e\xcc\x81"),
              HM_NONCANONICAL, "text that is not NFC");
    try_other(w, at, len, OTHER("\xa2\xc3\x28"), HM_MALFORMED, "text not in UTF-8");
    try_other(w, at, len, OTHER("\xa1\x07"), HM_MALFORMED, "control character");
    memset(longer, 'a', sizeof longer);
    longer[0] = 0xda;
    longer[1] = (HM_GUARD_TEXT_BYTES_MAX + 1) >> 8;
    longer[2] = (HM_GUARD_TEXT_BYTES_MAX + 1) & 0xff;
    try_other(w, at, len, hm_bytes_of(longer, sizeof longer), HM_TOOBIG, "long text");
}

static void try_bin(struct walk *w, size_t at, size_t len, size_t payload,
                    const struct hm_pack_head *head)
{
    static uint8_t longer[5 + HM_GUARD_BIN_BYTES_MAX + 1];
    struct hm_buf made;

    try_head(w, at, len, 0xc5, 2, head->count, "longer length of a binary");
    try_head(w, at, len, 0xc6, 4, head->count, "longer length of a binary");
    hm_buf_init(&made, sizeof longer);
    hm_buf_append_uint(&made, 0xc600000000 | (HM_GUARD_BIN_BYTES_MAX + 1), 5);
    CHECK_OK(made.err);
    memcpy(longer, made.data, 5);
    hm_buf_deinit(&made);
    try_other(w, at, len + payload, hm_bytes_of(longer, sizeof longer), HM_TOOBIG,
              "long binary");
}

/* Where the item at offset at ends. */
static size_t end_of(const struct walk *w, size_t at)
{
    struct hm_reader r = {.left = {w->all.data + at, w->all.len - at}};

    (void)hm_unpack_raw(&r);
    CHECK_OK(r.err);
    return w->all.len - r.left.len;
}

static void try_map(struct walk *w, size_t at, size_t len,
                    const struct hm_pack_head *head)
{
    size_t first = at + len;
    size_t second;
    size_t third;
    struct hm_buf made;

    try_head(w, at, len, 0xde, 2, head->count, "longer count of a map");
    try_head(w, at, len, 0xdf, 4, head->count, "longer count of a map");
    if (head->count < 2) {
        return;
    }
    second = end_of(w, end_of(w, first));
    third = end_of(w, end_of(w, second));
    hm_buf_init(&made, w->all.len);
    hm_buf_append(&made, hm_bytes_of(w->all.data + second, third - second));
    hm_buf_append(&made, hm_bytes_of(w->all.data + first, second - first));
    try_other(w, first, third - first, hm_buf_bytes(&made), HM_NONCANONICAL,
              "keys out of order");
    hm_buf_clear(&made);
    hm_buf_append(&made, hm_bytes_of(w->all.data + first, second - first));
    try_other(w, second, third - second, hm_buf_bytes(&made), HM_NONCANONICAL,
              "a key twice");
    hm_buf_deinit(&made);
}

/* Another item in the place of a value. */
static void try_values(struct walk *w, size_t at, size_t end)
{
    size_t len = end - at;

    try_other(w, at, len, OTHER("\xca\0\0\0\0"), HM_MALFORMED, "float of 4 bytes");
    try_other(w, at, len, OTHER("\xcb\x7f\xf8\0\0\0\0\0\0"), HM_NONCANONICAL, "NaN");
    try_other(w, at, len, OTHER("\xc1"), HM_MALFORMED, "the type that never is");
    try_other(w, at, len, OTHER("\xd4\1\0"), HM_MALFORMED, "extension");
    try_other(w, at, len, OTHER("\xc7\0\1"), HM_MALFORMED, "extension");
    try_other(w, at, len, OTHER("\xc9\0\0\0\0\1"), HM_MALFORMED, "extension");
    try_other(w, at, len, OTHER("\x91\x91\x91\x91\x91\x91\x91\x91\x90"), HM_TOOBIG,
              "deep nesting");
}

static void try_keys(struct walk *w, size_t at, size_t end)
{
    size_t len = end - at;

    try_other(w, at, len, OTHER("\xa1k"), HM_NONCANONICAL, "text as a key");
    try_other(w, at, len, OTHER("\xff"), HM_NONCANONICAL, "negative key");
    try_other(w, at, len, OTHER("\xc0"), HM_NONCANONICAL, "nil as a key");
    try_other(w, at, len, OTHER("\xca\0\0\0\0"), HM_MALFORMED, "float as a key");
}

/* The item at the reader; its elements follow. */
static void try_item(struct walk *w, struct hm_reader *r, bool key)
{
    size_t at = w->all.len - r->left.len;
    size_t end = end_of(w, at);
    struct hm_pack_head head = hm_pack_head_read(r);
    size_t len = w->all.len - r->left.len - at;

    CHECK_OK(r->err);
    if (key) {
        try_keys(w, at, end);
    } else {
        try_values(w, at, end);
    }
    switch (head.kind) {
    case HM_PACK_UINT:
    case HM_PACK_INT:
        try_numbers(w, at, len, &head);
        break;
    case HM_PACK_STR:
        try_text(w, at, len, (size_t)head.count, &head);
        (void)hm_reader_take(r, head.count);
        break;
    case HM_PACK_BIN:
        try_bin(w, at, len, (size_t)head.count, &head);
        (void)hm_reader_take(r, head.count);
        break;
    case HM_PACK_ARRAY:
        try_head(w, at, len, 0xdc, 2, head.count, "longer count of an array");
        try_head(w, at, len, 0xdd, 4, head.count, "longer count of an array");
        for (uint64_t i = 0; i < head.count; i++) {
            try_item(w, r, false);
        }
        break;
    case HM_PACK_MAP:
        try_map(w, at, len, &head);
        for (uint64_t i = 0; i < 2 * head.count; i++) {
            try_item(w, r, i % 2 == 0);
        }
        break;
    case HM_PACK_NIL:
    case HM_PACK_BOOL:
    case HM_PACK_F64:
        break;
    }
}

size_t hm_noncanonical_each(struct hm_bytes item, struct hm_bytes rest,
                            hm_noncanonical_check check, void *arg)
{
    struct walk w = {.all = item, .rest = rest, .check = check, .arg = arg};
    struct hm_reader r = {.left = item};

    hm_buf_init(&w.buf, 4 * 1024 * 1024);
    try_item(&w, &r, false);
    assert_int_equal(r.left.len, 0);
    if (rest.len == 0) {
        try_other(&w, item.len, 0, OTHER("\xc0"), HM_MALFORMED, "bytes left over");
        for (size_t cut = 1; cut <= item.len; cut++) {
            try_other(&w, item.len - cut, cut, OTHER(""), HM_TRUNCATED, "cut");
        }
    }
    hm_buf_deinit(&w.buf);
    return w.count;
}
