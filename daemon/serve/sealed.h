/* A file closed with a passphrase: libsodium's secretstream under a key that argon2id
 * makes of the passphrase.
 *
 *   "HMSEAL1\n"  8 bytes
 *   salt         16 bytes, of crypto_pwhash
 *   header       24 bytes, of crypto_secretstream_xchacha20poly1305
 *   chunks       of 64 kB of content and 17 bytes each; the last one is shorter (maybe
 *                empty) and has the tag FINAL, so that a file cut short shows
 *
 * argon2id, 3 passes over 64 MiB: what a laptop with 2 GB bears. Blocking; one
 * thread. */
#ifndef HM_DAEMON_SERVE_SEALED_H
#define HM_DAEMON_SERVE_SEALED_H

#include <stdbool.h>

#include "protocol/bytes.h"

struct hm_sealed;

/* Writes to fd, which stays the caller's. passphrase empty: content as it is.
 * Errors: HM_NOMEM; HM_IO, HM_NOSPACE. */
int hm_sealed_create(int fd, struct hm_bytes passphrase,
                     struct hm_sealed **out_sealed) HM_MUST_USE;
/* Errors: HM_IO, HM_NOSPACE. They stick. */
int hm_sealed_write(struct hm_sealed *sealed, struct hm_bytes content) HM_MUST_USE;
/* Write what is left, and the end. */
int hm_sealed_finish(struct hm_sealed *sealed) HM_MUST_USE;
/* Wipes the key. NULL is allowed. */
void hm_sealed_destroy(struct hm_sealed *sealed);

/* Does fd, at its beginning, hold such a file? Errors: HM_IO. */
int hm_sealed_is(int fd, bool *out_is) HM_MUST_USE;
/* Reads fd, which stays the caller's, from its beginning. passphrase empty: content as
 * it is. To be released with hm_sealed_destroy().
 * Errors: HM_MALFORMED (not such a file); HM_TRUNCATED; HM_NOMEM; HM_IO. */
int hm_sealed_open(int fd, struct hm_bytes passphrase,
                   struct hm_sealed **out_sealed) HM_MUST_USE;
/* The next piece of content, valid until the next call; empty: that was all of it.
 * Errors: HM_DENIED (not this passphrase, or the file was changed); HM_TRUNCATED;
 * HM_IO. They stick. */
int hm_sealed_next(struct hm_sealed *sealed, struct hm_bytes *out_piece) HM_MUST_USE;
/* Append the content of such a file, piece by piece, to what fn makes of it. A code
 * other than HM_OK from fn ends it and is returned.
 * Errors: HM_DENIED (not this passphrase, or the file was changed); HM_TRUNCATED;
 * HM_MALFORMED (not such a file); HM_NOMEM; HM_IO. */
typedef int (*hm_sealed_fn)(void *arg, struct hm_bytes content);
int hm_sealed_read(int fd, struct hm_bytes passphrase, hm_sealed_fn fn,
                   void *arg) HM_MUST_USE;

#endif
