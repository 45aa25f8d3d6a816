/* zstd with an optional dictionary, bounded at both ends.
 *
 * Pure: any thread; allocates the library's working memory for the length of a call. */
#ifndef HM_PROTOCOL_COMPRESS_H
#define HM_PROTOCOL_COMPRESS_H

#include "protocol/buf.h"

enum { HM_COMPRESS_LEVEL = 9, HM_DICTIONARY_BYTES_MAX = 64 * 1024 };

/* A dictionary and its name: the first 64 bits of the BLAKE2b-128 of its bytes
 * (hm_hash_u64()). id 0: none. */
struct hm_dictionary {
    uint64_t id;
    struct hm_bytes bytes;
};

static const struct hm_dictionary HM_DICTIONARY_NONE;

/* Append the compressed bytes to out as one frame that tells its content's size.
 * Errors: HM_NOMEM; HM_TOOBIG when what zstd may need at worst exceeds out's limit;
 *   HM_MALFORMED when the dictionary is broken. out keeps its length. */
int hm_compress(struct hm_bytes bytes, struct hm_dictionary dictionary,
                struct hm_buf *out) HM_MUST_USE;

/* Append the content of exactly one frame from outside to out. The frame must tell its
 * size, at most bytes_max, before anything is allocated.
 *
 * Errors: HM_NOMEM; HM_TOOBIG (announces or holds more than bytes_max); HM_MALFORMED;
 *   HM_TRUNCATED. out keeps its length. */
int hm_decompress(struct hm_bytes frame, struct hm_dictionary dictionary,
                  size_t bytes_max, struct hm_buf *out) HM_MUST_USE;

/* Train a dictionary of at most bytes_max from count samples that lie one behind the
 * other in samples. Errors: HM_NOMEM; HM_INVALID (too few samples to learn from). */
int hm_dictionary_train(struct hm_bytes samples, const size_t *sizes, size_t count,
                        size_t bytes_max, struct hm_buf *out) HM_MUST_USE;

#endif
