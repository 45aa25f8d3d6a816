/* Borrowed memory, and a bounded reader over it.
 *
 * Pure: no allocation, any thread as long as the bytes stay unchanged. */
#ifndef HM_PROTOCOL_BYTES_H
#define HM_PROTOCOL_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "protocol/err.h"

/* Never freed through this struct, valid only while the owner keeps it. data may be
 * NULL only when len is 0. */
struct hm_bytes {
    const uint8_t *data;
    size_t len;
};

static inline struct hm_bytes hm_bytes_of(const void *data, size_t len)
{
    return (struct hm_bytes){.data = data, .len = len};
}

/* text without its final NUL; NULL gives an empty view. */
static inline struct hm_bytes hm_bytes_str(const char *text)
{
    return hm_bytes_of(text, text == NULL ? 0 : strlen(text));
}

static inline bool hm_bytes_equal(struct hm_bytes a, struct hm_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Order of memcmp, then of length: < 0, 0, > 0. */
static inline int hm_bytes_compare(struct hm_bytes a, struct hm_bytes b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common == 0 ? 0 : memcmp(a.data, b.data, common);

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* Reads big-endian fields. The first failure sticks in err: every later call does
 * nothing and returns zero or an empty view, so a parser checks err once, at its
 * end, before it uses what it read. */
struct hm_reader {
    struct hm_bytes left;
    int err;
};

static inline struct hm_bytes hm_reader_take(struct hm_reader *r, uint64_t len)
{
    struct hm_bytes out = {0};

    if (r->err == HM_OK && len > r->left.len) {
        r->err = HM_TRUNCATED; /* compare with what is left: cannot overflow */
    }
    if (r->err != HM_OK || len == 0) {
        return out;
    }
    out.data = r->left.data;
    out.len = (size_t)len;
    r->left.data += out.len;
    r->left.len -= out.len;
    return out;
}

/* width: 1..8 bytes. */
static inline uint64_t hm_reader_uint(struct hm_reader *r, unsigned width)
{
    struct hm_bytes field = hm_reader_take(r, width);
    uint64_t value = 0;

    for (size_t i = 0; i < field.len; i++) {
        value = (value << 8) | field.data[i];
    }
    return value;
}

#endif
