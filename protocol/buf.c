#include "protocol/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void hm_buf_init(struct hm_buf *buf, size_t len_max)
{
    HM_ASSERT(len_max > 0 && len_max < SIZE_MAX / 4);
    *buf = (struct hm_buf){.len_max = len_max};
}

void hm_buf_deinit(struct hm_buf *buf)
{
    free(buf->data);
    *buf = (struct hm_buf){.len_max = buf->len_max};
}

void hm_buf_clear(struct hm_buf *buf)
{
    buf->len = 0;
    buf->err = HM_OK;
}

uint8_t *hm_buf_reserve(struct hm_buf *buf, size_t len)
{
    size_t need;
    size_t capacity = buf->capacity < 64 ? 64 : buf->capacity;
    uint8_t *data;

    if (buf->err != HM_OK) {
        return NULL;
    }
    if (len > buf->len_max - buf->len) {
        buf->err = HM_TOOBIG;
        return NULL;
    }
    need = buf->len + len + 1; /* one for the NUL of hm_buf_str() */
    if (need > buf->capacity) {
        while (capacity < need) {
            capacity *= 2;
        }
        data = realloc(buf->data, capacity);
        if (data == NULL) {
            buf->err = HM_NOMEM;
            return NULL;
        }
        buf->data = data;
        buf->capacity = capacity;
    }
    return buf->data + buf->len;
}

void hm_buf_commit(struct hm_buf *buf, size_t len)
{
    HM_ASSERT(buf->err == HM_OK && len < buf->capacity - buf->len);
    buf->len += len;
}

void hm_buf_append(struct hm_buf *buf, struct hm_bytes bytes)
{
    uint8_t *to = hm_buf_reserve(buf, bytes.len);

    if (to != NULL && bytes.len > 0) {
        memcpy(to, bytes.data, bytes.len);
        buf->len += bytes.len;
    }
}

void hm_buf_append_u8(struct hm_buf *buf, uint8_t value)
{
    hm_buf_append(buf, hm_bytes_of(&value, 1));
}

void hm_buf_append_uint(struct hm_buf *buf, uint64_t value, unsigned width)
{
    uint8_t bytes[8];

    HM_ASSERT(width >= 1 && width <= 8);
    for (unsigned i = 0; i < width; i++) {
        bytes[i] = (uint8_t)(value >> (8 * (width - 1 - i)));
    }
    hm_buf_append(buf, hm_bytes_of(bytes, width));
}

void hm_buf_append_str(struct hm_buf *buf, const char *text)
{
    hm_buf_append(buf, hm_bytes_str(text));
}

void hm_buf_printf(struct hm_buf *buf, const char *format, ...)
{
    va_list args;
    int len;
    uint8_t *to;

    va_start(args, format);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    HM_ASSERT(len >= 0);
    to = hm_buf_reserve(buf, (size_t)len);
    if (to == NULL) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf((char *)to, (size_t)len + 1, format, args); /* measured above */
    va_end(args);
    buf->len += (size_t)len;
}

const char *hm_buf_str(struct hm_buf *buf)
{
    uint8_t *end = hm_buf_reserve(buf, 0);

    if (end == NULL) {
        return NULL;
    }
    *end = 0;
    return (const char *)buf->data;
}
