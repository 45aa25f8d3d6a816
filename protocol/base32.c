#include "protocol/base32.h"

enum { GROUP = 4 };

void hm_base32_encode(struct hm_bytes bytes, struct hm_buf *out)
{
    static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    size_t count = (bytes.len * 8 + 4) / 5;
    size_t next = 0;
    unsigned bits = 0; /* the lowest bit_count of it are still to be written */
    unsigned bit_count = 0;

    for (size_t i = 0; i < count; i++) {
        if (bit_count < 5) {
            bits = (bits << 8) | (next < bytes.len ? bytes.data[next] : 0U);
            bit_count += 8;
            next++;
        }
        bit_count -= 5;
        if (i > 0 && i % GROUP == 0) {
            hm_buf_append_u8(out, '-');
        }
        hm_buf_append_u8(out, (uint8_t)alphabet[(bits >> bit_count) & 31]);
        bits &= (1U << bit_count) - 1;
    }
}

/* 0..31, -1 for what is skipped, -2 for what is wrong. */
static int value_of(uint8_t c)
{
    static const signed char letters[26] = {10, 11, 12, 13, 14, 15, 16, 17, 1,
                                            18, 19, 1,  20, 21, 0,  22, 23, 24,
                                            25, 26, -2, 27, 28, 29, 30, 31};

    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'z') {
        return letters[c - 'a'];
    }
    if (c >= 'A' && c <= 'Z') {
        return letters[c - 'A'];
    }
    return c == '-' || c == ' ' ? -1 : -2;
}

int hm_base32_decode(struct hm_bytes text, struct hm_buf *out)
{
    size_t len = out->len;
    unsigned bits = 0;
    unsigned bit_count = 0;
    int err = out->err;

    for (size_t i = 0; i < text.len && err == HM_OK; i++) {
        int value = value_of(text.data[i]);

        if (value == -2) {
            err = HM_MALFORMED;
        } else if (value >= 0) {
            bits = (bits << 5) | (unsigned)value;
            bit_count += 5;
        }
        if (bit_count >= 8) {
            bit_count -= 8;
            hm_buf_append_u8(out, (uint8_t)(bits >> bit_count));
            bits &= (1U << bit_count) - 1;
            err = out->err;
        }
    }
    if (err == HM_OK && bit_count >= 5) {
        err = HM_MALFORMED; /* a whole character too many */
    }
    if (err == HM_OK && bits != 0) {
        err = HM_NONCANONICAL;
    }
    if (err != HM_OK) {
        out->len = len;
    }
    return err;
}
