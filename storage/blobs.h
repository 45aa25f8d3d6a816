/* Blobs by the hash of their content: form packages, dictionaries, attachments. A blob
 * that comes in pieces is kept as far as it has come and goes on after a restart.
 *
 * Runs inside a transaction of the caller. Blocking; thread as the store. */
#ifndef HM_STORAGE_BLOBS_H
#define HM_STORAGE_BLOBS_H

#include "protocol/compress.h"
#include "storage/store.h"

enum { HM_BLOB_BYTES_MAX = 8 * 1024 * 1024 };

/* Keep a whole blob; nothing happens when it is there. Errors: HM_TOOBIG. */
int hm_blobs_put(struct hm_store *s, struct hm_bytes bytes,
                 uint8_t out_hash[HM_CONTENT_HASH_BYTES]) HM_MUST_USE;

/* Append a piece that begins where the blob ends so far; another offset changes
 * nothing. *out_complete: the whole blob is there and has its hash; content that does
 * not have the hash is thrown away (HM_MALFORMED: commit that too, or the same pieces
 * are there again). Errors: HM_TOOBIG (size over the limit); HM_MALFORMED. */
int hm_blobs_add_piece(struct hm_store *s, const uint8_t hash[HM_CONTENT_HASH_BYTES],
                       uint64_t offset, uint64_t size, struct hm_bytes piece,
                       bool *out_complete) HM_MUST_USE;

/* How much of a blob is here: 0 when nothing is known. *out_complete as above. */
int hm_blobs_have(struct hm_store *s, const uint8_t hash[HM_CONTENT_HASH_BYTES],
                  uint64_t *out_bytes, bool *out_complete) HM_MUST_USE;

/* A whole blob, in arena. Errors: HM_NOTFOUND; HM_CORRUPT (it has another hash now). */
int hm_blobs_get(struct hm_store *s, const uint8_t hash[HM_CONTENT_HASH_BYTES],
                 struct hm_arena *arena, struct hm_bytes *out_bytes) HM_MUST_USE;

/* At most len bytes from offset of a whole blob; *out_size is all of it.
 * Errors: HM_NOTFOUND (also for an offset behind its end). */
int hm_blobs_read(struct hm_store *s, const uint8_t hash[HM_CONTENT_HASH_BYTES],
                  uint64_t offset, size_t len, struct hm_arena *arena,
                  struct hm_bytes *out_bytes, uint64_t *out_size) HM_MUST_USE;

/* Name a whole blob as a dictionary (by hm_hash_u64() of its bytes). */
int hm_blobs_add_dictionary(struct hm_store *s,
                            const uint8_t hash[HM_CONTENT_HASH_BYTES],
                            uint64_t *out_id) HM_MUST_USE;
/* A dictionary that this node holds, bytes in arena; id 0 gives none.
 * Errors: HM_DICTIONARY (it is not here). */
int hm_blobs_dictionary(struct hm_store *s, uint64_t id, struct hm_arena *arena,
                        struct hm_dictionary *out) HM_MUST_USE;
/* All ids, in arena, newest last, at most max. */
int hm_blobs_dictionaries(struct hm_store *s, struct hm_arena *arena, size_t max,
                          uint64_t **out_ids, size_t *out_count) HM_MUST_USE;

/* Every whole blob has the hash that names it. HM_CORRUPT: one line each in report. */
int hm_blobs_verify(struct hm_store *s, struct hm_buf *report,
                    uint64_t *out_count) HM_MUST_USE;

#endif
