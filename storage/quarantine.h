/* What could not be accepted: kept, shown, never lost.
 *
 * At a parent the changes that it refused and bytes that it could not even place; at a
 * child the notices that its parent sent. Runs inside a transaction of the caller.
 * Blocking; thread as the store. */
#ifndef HM_STORAGE_QUARANTINE_H
#define HM_STORAGE_QUARANTINE_H

#include "storage/store.h"

enum {
    HM_QUARANTINE_DETAIL_MAX = 400,
    HM_QUARANTINE_ID_MAX = HM_ID_TEXT_MAX,
    /* Of the bytes that one device brought and nobody signed. */
    HM_QUARANTINE_UNSIGNED_MAX = 64,
    HM_QUARANTINE_UNSIGNED_BYTES_MAX = 1024 * 1024,
    /* Beyond it a revoked device is not listened to any more. */
    HM_QUARANTINE_REVOKED_BYTES_MAX = 8 * 1024 * 1024
};

struct hm_quarantine_entry {
    struct hm_hash hash; /* of the bytes; filled in by put */
    struct hm_dot dot;   /* all zero: bytes that belong to no log */
    uint64_t device;
    uint32_t scope;                   /* 0: unknown */
    struct hm_household_id household; /* all zero: unknown */
    int reason;                       /* an hm_err code */
    const char *detail;               /* one line for people */
    int64_t since_utc_ms;             /* filled in by put */
    bool released;
    struct hm_bytes bytes; /* a change, or a whole segment when dot is zero */
    uint64_t let_go;       /* > 0: stands for so many whose bytes are no longer kept */
};

/* What names an entry. */
struct hm_hash hm_quarantine_hash(const struct hm_dot *dot, struct hm_bytes bytes);
/* Keep; the same bytes twice are one entry. */
int hm_quarantine_put(struct hm_store *s,
                      const struct hm_quarantine_entry *entry) HM_MUST_USE;
/* Keep bytes that carry no valid signature of an enrolled device, on the account of
 * the device that brought them (0: unknown). They are no one's work: nothing of them is
 * receipted, so an honest author still has what they should have been. Beyond the
 * limits above the oldest bytes of that device go, and one entry of it counts them. */
int hm_quarantine_put_unsigned(struct hm_store *s, uint64_t device,
                               struct hm_bytes bytes, const char *detail) HM_MUST_USE;
/* The id that people see: the dot's text, else 32 hex digits of the hash. */
void hm_quarantine_id(const struct hm_quarantine_entry *entry,
                      char out[HM_QUARANTINE_ID_MAX]);
/* By that id, in arena. Errors: HM_NOTFOUND. */
int hm_quarantine_get(struct hm_store *s, const char *id, struct hm_arena *arena,
                      struct hm_quarantine_entry *out) HM_MUST_USE;
/* Oldest first; views live during the call. fn may read the store, but not through this
 * function. */
typedef int (*hm_quarantine_fn)(void *arg, const struct hm_quarantine_entry *entry);
int hm_quarantine_each(struct hm_store *s, hm_quarantine_fn fn, void *arg) HM_MUST_USE;
/* The same, only changes first_n .. last_n of one log, by n. */
int hm_quarantine_each_of(struct hm_store *s, uint64_t incarnation, uint64_t first_n,
                          uint64_t last_n, hm_quarantine_fn fn, void *arg) HM_MUST_USE;
int hm_quarantine_set_released(struct hm_store *s,
                               const struct hm_hash *hash) HM_MUST_USE;
/* Does an entry follow, in its log or in one that this was born from, on one that was
 * kept as written after a revocation at since_utc_ms? */
int hm_quarantine_follows_revoked(struct hm_store *s, const struct hm_dot *dot,
                                  int64_t since_utc_ms, bool *out_follows) HM_MUST_USE;
/* What is held of a device's work from after its revocation. */
int hm_quarantine_sum_revoked(struct hm_store *s, uint64_t device, uint64_t *out_count,
                              uint64_t *out_bytes) HM_MUST_USE;
/* Entries that are held, and those that were let go. */
int hm_quarantine_count(struct hm_store *s, uint64_t *out_count) HM_MUST_USE;

#endif
