/* The slow part of passphrases: no store here. */
#include <sodium.h>

#include "storage/people.h"

_Static_assert(HM_PASSPHRASE_HASH_BYTES == crypto_pwhash_STRBYTES,
               "the hash is libsodium's text");

int hm_people_hash_passphrase(struct hm_bytes passphrase,
                              char out_hash[HM_PASSPHRASE_HASH_BYTES])
{
    char hash[HM_PASSPHRASE_HASH_BYTES];

    if (passphrase.len == 0) {
        return HM_INVALID;
    }
    if (passphrase.len > HM_PASSPHRASE_BYTES_MAX) {
        return HM_TOOBIG;
    }
    if (crypto_pwhash_str(hash, (const char *)passphrase.data, passphrase.len,
                          crypto_pwhash_OPSLIMIT_INTERACTIVE,
                          crypto_pwhash_MEMLIMIT_INTERACTIVE) != 0) {
        return HM_NOMEM; /* the only way in which it fails */
    }
    memcpy(out_hash, hash, sizeof hash);
    return HM_OK;
}

int hm_people_check_passphrase(const char *hash, struct hm_bytes passphrase)
{
    if (passphrase.len > HM_PASSPHRASE_BYTES_MAX) {
        return HM_TOOBIG;
    }
    if (passphrase.len == 0 ||
        crypto_pwhash_str_verify(hash, (const char *)passphrase.data, passphrase.len) !=
            0) {
        return HM_DENIED;
    }
    return HM_OK;
}
