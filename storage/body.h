/* The bodies of items: msgpack maps with small integers as keys, in rising order.
 * Readers skip keys that they do not know, so that newer nodes can add some.
 *
 *   hm_pack_map(&buf, 2);                 n = hm_unpack_map(&r, HM_BODY_KEYS_MAX);
 *   hm_body_put_text(&buf, 1, code);      for (; n > 0 && r.err == HM_OK; n--) {
 *   hm_body_put_uint(&buf, 2, rank);          switch (hm_unpack_uint(&r)) { ... }
 *                                         }
 *
 * Knows nothing of what they mean. Blocking where there is a store. */
#ifndef HM_STORAGE_BODY_H
#define HM_STORAGE_BODY_H

#include "protocol/pack.h"
#include "storage/items.h"

enum { HM_BODY_KEYS_MAX = 64 };

void hm_body_put_text(struct hm_buf *buf, unsigned key, const char *text);
void hm_body_put_uint(struct hm_buf *buf, unsigned key, uint64_t value);
void hm_body_put_int(struct hm_buf *buf, unsigned key, int64_t value);
void hm_body_put_bool(struct hm_buf *buf, unsigned key, bool value);
void hm_body_put_bin(struct hm_buf *buf, unsigned key, struct hm_bytes bytes);

/* A text value, in arena; "" and r->err set when it is none (HM_MALFORMED, HM_NOMEM).
 */
const char *hm_body_text(struct hm_reader *r, struct hm_arena *arena);
/* hm_unpack_uint_max() of 32 bits. */
uint32_t hm_body_u32(struct hm_reader *r);
/* What a reading of a body from the store gives: it was checked when it came, so what
 * cannot be read is HM_VERSION (a newer node wrote it) and not damage. */
int hm_body_end(const struct hm_reader *r) HM_MUST_USE;

/* Sign and keep buf, whose sticky error counts, as the body of an item. */
int hm_body_keep(struct hm_store *s, enum hm_item_kind kind, uint64_t id,
                 const struct hm_buf *buf) HM_MUST_USE;

/* Read an item into *out, a struct of the caller's kind, all zero before. */
typedef int (*hm_body_read_fn)(const struct hm_admin_item *item, struct hm_arena *arena,
                               void *out);
int hm_body_get(struct hm_store *s, enum hm_item_kind kind, uint64_t id,
                hm_body_read_fn read, struct hm_arena *arena, void *out) HM_MUST_USE;
/* All of a kind, by id: an array in arena of structs of size bytes.
 * Errors: HM_TOOBIG (more than max). */
int hm_body_list(struct hm_store *s, enum hm_item_kind kind, size_t size, size_t max,
                 hm_body_read_fn read, struct hm_arena *arena, void *out_array,
                 size_t *out_count) HM_MUST_USE;

#endif
