/* A person who forgot the passphrase, on a laptop without a link.
 *
 * An officer reads out a code that the centre made for this user on this device. Both
 * ends compute it from a secret that they share without ever having sent it (X25519
 * between the device's key and the centre's), so that nothing needs to reach the laptop
 * first. It holds for some days by the laptop's corrected clock and works once; the new
 * passphrase counts on this laptop until a newer one comes from the centre.
 *
 * It protects from somebody who sits at the laptop and guesses, from a code of another
 * user or device, and from one that was used before. It does not protect from whoever
 * can read the laptop's keys: that one can read everything else there, too.
 *
 * Runs inside a transaction of the caller, who must commit a guess before it looks
 * whether it was right. Blocking; thread as the store. */
#ifndef HM_STORAGE_PEOPLE_RESET_H
#define HM_STORAGE_PEOPLE_RESET_H

#include "storage/people.h"

enum {
    HM_RESET_CODE_TEXT_MAX = 24, /* XXXX-XXXX-XXXX-XXXX and its NUL */
    HM_RESET_DAYS = 7,
    HM_GUESSES_MAX = 5,               /* wrong ones in a row .. */
    HM_GUESS_WAIT_MS = 15 * 60 * 1000 /* .. and then so long nothing is looked at */
};

/* A code for a user on a device. *out_expires_utc_ms: when it ends.
 * Errors: HM_DENIED (not the centre); HM_NOTFOUND (no such device); HM_INVALID (its key
 * is none). */
int hm_people_reset_code(struct hm_store *s, uint32_t user, uint64_t device,
                         char out_code[HM_RESET_CODE_TEXT_MAX],
                         int64_t *out_expires_utc_ms) HM_MUST_USE;

/* At the laptop: take the code and keep hash (hm_people_hash_passphrase()) as the
 * user's passphrase here. Errors: HM_DENIED (not such a code, not for this user here,
 * its time is over, used before; errmsg says which). */
int hm_people_redeem_reset(struct hm_store *s, uint32_t user, const char *code,
                           const char *hash) HM_MUST_USE;

/* Before a passphrase or a code of a user is looked at: counts one more guess.
 * *out_wait_ms > 0: there were too many wrong ones, and nothing is to be looked at for
 * so long. Commit it in either case. */
int hm_people_guess(struct hm_store *s, uint32_t user,
                    int64_t *out_wait_ms) HM_MUST_USE;
/* It was right: those before are forgotten. */
int hm_people_guessed(struct hm_store *s, uint32_t user) HM_MUST_USE;

/* The passphrase that was set here by a code and still counts: nothing newer came from
 * the centre. Errors: HM_NOTFOUND. For hm_people_get_passphrase(). */
int hm_people_own_passphrase(struct hm_store *s, uint32_t user,
                             uint64_t version_of_centre,
                             char out_hash[HM_PASSPHRASE_HASH_BYTES]) HM_MUST_USE;

#endif
