/* Owned bytes that grow up to a limit given when they are made.
 *
 * The first failure sticks: later appends do nothing, so a writer checks err once, at
 * its end. Not thread-safe; allocates; never blocks. */
#ifndef HM_PROTOCOL_BUF_H
#define HM_PROTOCOL_BUF_H

#include <stddef.h>
#include <stdint.h>

#include "protocol/bytes.h"

struct hm_buf {
    uint8_t *data;
    size_t len;
    size_t capacity;
    size_t len_max;
    int err; /* HM_OK, HM_NOMEM or HM_TOOBIG (an append would exceed len_max) */
};

/* Allocates nothing yet. len_max > 0, in bytes. */
void hm_buf_init(struct hm_buf *buf, size_t len_max);
/* Frees the bytes; the buffer is empty and may be used again. */
void hm_buf_deinit(struct hm_buf *buf);
/* Empties without freeing, forgets err. */
void hm_buf_clear(struct hm_buf *buf);

/* bytes are copied and must not lie inside buf. */
void hm_buf_append(struct hm_buf *buf, struct hm_bytes bytes);
void hm_buf_append_u8(struct hm_buf *buf, uint8_t value);
/* Big-endian; width 1..8 bytes, higher bits of value are dropped. */
void hm_buf_append_uint(struct hm_buf *buf, uint64_t value, unsigned width);
void hm_buf_append_str(struct hm_buf *buf, const char *text);
void hm_buf_printf(struct hm_buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Make room for len more bytes and return where they begin, to be filled by the caller
 * who then calls hm_buf_commit() with at most len. NULL when buf->err is set. */
uint8_t *hm_buf_reserve(struct hm_buf *buf, size_t len);
void hm_buf_commit(struct hm_buf *buf, size_t len);

/* A view, valid until the next change of buf. */
static inline struct hm_bytes hm_buf_bytes(const struct hm_buf *buf)
{
    return hm_bytes_of(buf->data, buf->len);
}

/* The bytes with a NUL behind them (not counted in len), valid until the next change of
 * buf; NULL when buf->err is set. */
const char *hm_buf_str(struct hm_buf *buf);

#endif
