/* The code that brings a laptop to its hub: hamlet://HOST:PORT/SECRET#KEYHASH on one
 * line. SECRET and KEYHASH are Crockford's base32 in groups of four, so that they can
 * be read aloud; KEYHASH is the SHA-256 of the hub's public TLS key.
 *
 * Pure: any thread. */
#ifndef HM_PROTOCOL_ENROLL_CODE_H
#define HM_PROTOCOL_ENROLL_CODE_H

#include "protocol/buf.h"

enum {
    HM_ENROLL_SECRET_BYTES = 16,
    HM_ENROLL_KEY_HASH_BYTES = 32,
    HM_ENROLL_HOST_MAX = 256, /* HOST:PORT with its NUL */
    HM_ENROLL_CODE_BYTES_MAX = 512
};

struct hm_enroll_code {
    char host_port[HM_ENROLL_HOST_MAX]; /* "10.0.0.2:8471", "[::1]:8471", "hub.vn:1" */
    uint8_t secret[HM_ENROLL_SECRET_BYTES];
    uint8_t key_hash[HM_ENROLL_KEY_HASH_BYTES];
};

/* Append the code to buf. */
void hm_enroll_code_write(const char *host_port,
                          const uint8_t secret[HM_ENROLL_SECRET_BYTES],
                          const uint8_t key_hash[HM_ENROLL_KEY_HASH_BYTES],
                          struct hm_buf *buf);

/* Read what a person typed: blanks around it and in the groups, and small letters, are
 * taken. On error *out is unchanged. Errors: HM_MALFORMED (no such code); HM_NOMEM. */
int hm_enroll_code_read(struct hm_bytes text, struct hm_enroll_code *out) HM_MUST_USE;

#endif
