/* The TLS identity of a node: an EC P-256 key with a certificate that it signed itself.
 * Peers pin the key; nothing in the certificate is ever believed, so it is as small as
 * it can be, and valid always, since clocks are wrong in the field.
 *
 * Any thread; takes milliseconds; touches no file. */
#ifndef HM_DAEMON_TLS_KEY_H
#define HM_DAEMON_TLS_KEY_H

#include <stddef.h>
#include <stdint.h>

#include "protocol/buf.h"

enum {
    HM_TLS_KEY_HASH_BYTES = 32,
    HM_TLS_KEY_PIN_CHARS_MAX = 64, /* "sha256//", 44 of base64 and the NUL */
    HM_TLS_KEY_PEM_BYTES_MAX = 16 * 1024
};

/* Make a new key. The PEM texts are appended, NUL not counted but there (hm_buf_str()).
 * key_pem is secret: the caller stores it with mode 0600. On error both are unchanged.
 * Errors: HM_NOMEM, HM_TOOBIG (limit of a buffer), HM_IO (no randomness). */
HM_MUST_USE int hm_tls_key_make(struct hm_buf *key_pem, struct hm_buf *cert_pem);

/* SHA-256 of the SubjectPublicKeyInfo in a certificate, or of a private key's public
 * half; the same for both. pem ends with a NUL.
 * Errors: HM_NOMEM, HM_MALFORMED (not such a PEM). */
HM_MUST_USE int hm_tls_key_hash_cert(const char *pem,
                                     uint8_t out_hash[HM_TLS_KEY_HASH_BYTES]);
HM_MUST_USE int hm_tls_key_hash_key(const char *pem,
                                    uint8_t out_hash[HM_TLS_KEY_HASH_BYTES]);

/* "sha256//<base64>", as hm_http_call.pin takes it. */
void hm_tls_key_pin(const uint8_t hash[HM_TLS_KEY_HASH_BYTES],
                    char out_pin[HM_TLS_KEY_PIN_CHARS_MAX]);

#endif
