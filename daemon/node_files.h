/* The folder of a node: where its keys and its token lie, and how files get there.
 *
 *   keys/sign.key   Ed25519, 64 bytes: signs what this node writes
 *   keys/box.key    X25519, 32 bytes
 *   keys/tls.key, keys/tls.crt   PEM: whom other nodes pin
 *   api-token       32 hex digits for programs on this machine
 *
 * Blocks on the disk; any thread, one at a time per folder. */
#ifndef HM_DAEMON_NODE_FILES_H
#define HM_DAEMON_NODE_FILES_H

#include <stdint.h>

#include "daemon/tls_key.h"
#include "protocol/buf.h"
#include "protocol/segment.h"

enum { HM_NODE_BOX_KEY_BYTES = 32, HM_API_TOKEN_CHARS = 32 };

/* Secret: wiped by hm_node_keys_deinit(). */
struct hm_node_keys {
    uint64_t device; /* of public_key */
    uint8_t public_key[HM_PUBLIC_KEY_BYTES];
    uint8_t secret_key[HM_SECRET_KEY_BYTES];
    uint8_t box_public[HM_NODE_BOX_KEY_BYTES];
    uint8_t box_secret[HM_NODE_BOX_KEY_BYTES];
    struct hm_buf tls_key_pem;
    struct hm_buf tls_cert_pem;
    uint8_t tls_hash[HM_TLS_KEY_HASH_BYTES];
    char api_token[HM_API_TOKEN_CHARS + 1];
};

/* Make keys/ and api-token in dir, which is there. errmsg gets one line on error.
 * Errors: HM_EXISTS (there are keys); HM_DENIED, HM_NOSPACE, HM_IO, HM_NOMEM. */
int hm_node_files_make(const char *dir, struct hm_buf *errmsg) HM_MUST_USE;
/* Errors: HM_NOTFOUND (a file is missing); HM_CORRUPT (not such a key); HM_DENIED,
 * HM_IO, HM_NOMEM. */
int hm_node_files_load(const char *dir, struct hm_node_keys *out,
                       struct hm_buf *errmsg) HM_MUST_USE;
/* Zeroed or loaded keys. */
void hm_node_keys_deinit(struct hm_node_keys *keys);

/* Write dir/name so that it has the old content or the new one, whatever happens, mode
 * 0600. Errors: HM_DENIED, HM_NOSPACE, HM_IO, HM_NOMEM. */
int hm_node_files_write(const char *dir, const char *name, struct hm_bytes bytes,
                        struct hm_buf *errmsg) HM_MUST_USE;
/* Append the content of dir/name (dir NULL: name is a path) to out.
 * Errors: HM_NOTFOUND, HM_DENIED, HM_TOOBIG (limit of out), HM_IO, HM_NOMEM. */
int hm_node_files_read(const char *dir, const char *name, struct hm_buf *out,
                       struct hm_buf *errmsg) HM_MUST_USE;

/* Append the folder of programs' data that has this file or folder below it: in
 * $HAMLETD_DATA, beside the program, in /usr/share/hamletd. Errors: HM_NOTFOUND. */
int hm_node_files_find_data(const char *below, struct hm_buf *out) HM_MUST_USE;

#endif
