/* Writes and reads single items of canonical msgpack.
 *
 * Writing goes through msgpack-c, which always picks the shortest form. Reading is a
 * cursor over bytes that hm_guard_check() has accepted, or that this node wrote itself:
 * it allocates nothing and hands out views, so a cell's value keeps its exact bytes.
 *
 * Pure: any thread, no allocation but the target buffer's. */
#ifndef HM_PROTOCOL_PACK_H
#define HM_PROTOCOL_PACK_H

#include "protocol/buf.h"

void hm_pack_nil(struct hm_buf *buf);
void hm_pack_bool(struct hm_buf *buf, bool value);
void hm_pack_uint(struct hm_buf *buf, uint64_t value);
void hm_pack_int(struct hm_buf *buf, int64_t value);
void hm_pack_str(struct hm_buf *buf, struct hm_bytes text);
void hm_pack_bin(struct hm_buf *buf, struct hm_bytes bytes);
void hm_pack_array(struct hm_buf *buf, size_t count);
void hm_pack_map(struct hm_buf *buf, size_t count);
/* One item that is canonical msgpack already. */
void hm_pack_raw(struct hm_buf *buf, struct hm_bytes item);

enum hm_pack_kind {
    HM_PACK_NIL,
    HM_PACK_BOOL,
    HM_PACK_UINT, /* 0 .. 2^64-1 */
    HM_PACK_INT,  /* negative */
    HM_PACK_F64,
    HM_PACK_STR,
    HM_PACK_BIN,
    HM_PACK_ARRAY,
    HM_PACK_MAP
};

/* The first bytes of an item. count: of elements, of pairs, or of payload bytes that
 * follow; bits: the number of UINT, INT (two's complement), F64 and BOOL. */
struct hm_pack_head {
    enum hm_pack_kind kind;
    uint64_t count;
    uint64_t bits;
};

/* Reads the head of the item at the start of r and moves past it (not past payload).
 * Sets r->err: HM_TRUNCATED, HM_MALFORMED (a type that we never use: ext, float 32),
 * HM_NONCANONICAL (not the shortest form). */
struct hm_pack_head hm_pack_head_read(struct hm_reader *r);

/* Typed reading. A wrong type sets HM_MALFORMED and returns zero; errors stick. */
uint64_t hm_unpack_uint(struct hm_reader *r);
/* Also HM_MALFORMED when the value is larger than max. */
uint64_t hm_unpack_uint_max(struct hm_reader *r, uint64_t max);
int64_t hm_unpack_int(struct hm_reader *r);
bool hm_unpack_bool(struct hm_reader *r);
struct hm_bytes hm_unpack_str(struct hm_reader *r);
struct hm_bytes hm_unpack_bin(struct hm_reader *r);
/* A binary of exactly len bytes, copied to out. */
void hm_unpack_bin_exact(struct hm_reader *r, uint8_t *out, size_t len);
/* The number of elements or pairs; HM_TOOBIG above max. */
size_t hm_unpack_array(struct hm_reader *r, size_t max);
size_t hm_unpack_map(struct hm_reader *r, size_t max);
/* An array of exactly count elements, else HM_MALFORMED. */
void hm_unpack_array_exact(struct hm_reader *r, size_t count);
/* Consumes a nil and returns true, or leaves what is there and returns false. */
bool hm_unpack_nil(struct hm_reader *r);
/* The kind of the next item without consuming it; HM_PACK_NIL when there is none. */
enum hm_pack_kind hm_unpack_peek(const struct hm_reader *r);
/* The bytes of the whole next item. */
struct hm_bytes hm_unpack_raw(struct hm_reader *r);
/* Ends a reading: the sticky error, or HM_MALFORMED when bytes are left. */
int hm_unpack_end(const struct hm_reader *r) HM_MUST_USE;

#endif
