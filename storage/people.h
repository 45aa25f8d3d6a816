/* Roles and users.
 *
 * Runs inside a transaction of the caller, but for the two functions that compute a
 * passphrase's hash: they touch no store and take long. Blocking; thread as the
 * store. */
#ifndef HM_STORAGE_PEOPLE_H
#define HM_STORAGE_PEOPLE_H

#include "storage/items.h"

enum {
    HM_USER_NAME_BYTES_MAX = 64,
    HM_USER_TEXT_BYTES_MAX = 256,
    HM_ROLE_CODE_BYTES_MAX = 32,
    HM_ROLE_RANK_MAX = 15,
    HM_ROLES_MAX = 256,
    HM_USERS_MAX = 100000,
    HM_PASSPHRASE_HASH_BYTES = 128, /* text with its NUL */
    HM_PASSPHRASE_BYTES_MAX = 1024
};

/* X(name, bit, text): the vocabulary of roles.json. Kept on disk: append only. */
/* clang-format off */
#define HM_RIGHT_TABLE(X)                             \
    X(HOUSEHOLD_READ,      0, "household.read")       \
    X(HOUSEHOLD_WRITE,     1, "household.write")      \
    X(CONFLICT_RESOLVE,    2, "conflict.resolve")     \
    X(IMPORT,              3, "import")               \
    X(EXPORT,              4, "export")               \
    X(USER_ADMIN,          5, "user.admin")           \
    X(DEVICE_ADMIN,        6, "device.admin")         \
    X(UNIT_ADMIN,          7, "unit.admin")           \
    X(FORM_ADMIN,          8, "form.admin")           \
    X(ROUND_ADMIN,         9, "round.admin")          \
    X(QUARANTINE_RELEASE, 10, "quarantine.release")   \
    X(BACKUP,             11, "backup")
/* clang-format on */

enum hm_right {
#define HM_RIGHT_ENUM(name, bit, text) HM_RIGHT_##name = 1 << (bit),
    HM_RIGHT_TABLE(HM_RIGHT_ENUM)
#undef HM_RIGHT_ENUM
};

/* Errors: HM_INVALID (no such right). */
int hm_right_from_text(struct hm_bytes text, enum hm_right *out_right) HM_MUST_USE;
const char *hm_right_text(enum hm_right right);

struct hm_role {
    uint32_t id; /* 0 in put: the one with this code, else a new one */
    const char *code;
    uint8_t rank;
    const char *title_vi;
    const char *title_en;
    uint64_t rights; /* enum hm_right, or-ed */
};

static inline bool hm_people_has_right(const struct hm_role *role, enum hm_right right)
{
    return (role->rights & (uint64_t)right) != 0;
}

/* Errors: as hm_items_put(); HM_INVALID (no code, rank over 15); HM_TOOBIG. */
int hm_people_put_role(struct hm_store *s, const struct hm_role *role,
                       uint32_t *out_id) HM_MUST_USE;
/* In arena, as all that follow. Errors: HM_NOTFOUND. */
int hm_people_get_role(struct hm_store *s, uint32_t id, struct hm_arena *arena,
                       struct hm_role *out) HM_MUST_USE;
int hm_people_find_role(struct hm_store *s, const char *code, struct hm_arena *arena,
                        struct hm_role *out) HM_MUST_USE;
/* By id. */
int hm_people_list_roles(struct hm_store *s, struct hm_arena *arena,
                         struct hm_role **out_roles, size_t *out_count) HM_MUST_USE;

struct hm_user {
    uint32_t id;
    const char *name;      /* to sign in with */
    const char *full_name; /* "" for none */
    uint32_t role;
    uint32_t unit; /* works here and below */
    bool active;
    int64_t disabled_utc_ms; /* 0 while active; set by what disables */
};

/* name: 1..64 bytes of text without blanks and control characters, kept in NFC; case
 * matters, how marks were typed does not.
 * Role and unit must be there. id is ignored.
 * Errors: as hm_items_put(); HM_EXISTS (the name is taken, by a disabled user too);
 * HM_INVALID. */
int hm_people_add_user(struct hm_store *s, const struct hm_user *user,
                       uint32_t *out_id) HM_MUST_USE;
/* Change a user by id; the name stays. Errors: as above; HM_NOTFOUND. */
int hm_people_change_user(struct hm_store *s, const struct hm_user *user) HM_MUST_USE;
/* Errors: HM_NOTFOUND. */
int hm_people_get_user(struct hm_store *s, uint32_t id, struct hm_arena *arena,
                       struct hm_user *out) HM_MUST_USE;
int hm_people_find_user(struct hm_store *s, const char *name, struct hm_arena *arena,
                        struct hm_user *out) HM_MUST_USE;
/* By id, disabled ones too. */
int hm_people_list_users(struct hm_store *s, struct hm_arena *arena,
                         struct hm_user **out_users, size_t *out_count) HM_MUST_USE;
int hm_people_disable_user(struct hm_store *s, uint32_t id) HM_MUST_USE;
/* Is there another active user whose role has this right? */
int hm_people_has_other(struct hm_store *s, uint32_t id, enum hm_right right,
                        bool *out_other) HM_MUST_USE;

/* Keep what hm_people_hash_passphrase() gave. Errors: as hm_items_put();
 * HM_NOTFOUND (no such user); HM_INVALID (not such a hash). */
int hm_people_set_passphrase(struct hm_store *s, uint32_t user,
                             const char *hash) HM_MUST_USE;
/* What was set here by a code (storage/people_reset.h) goes before what came from the
 * centre earlier. Errors: HM_NOTFOUND (the user has none, or it did not travel to this
 * node). */
int hm_people_get_passphrase(struct hm_store *s, uint32_t user,
                             char out_hash[HM_PASSPHRASE_HASH_BYTES]) HM_MUST_USE;

/* argon2id, about 0.1 s and 64 MiB: as much as a laptop with 2 GB bears beside a
 * browser, also when three people sign in at once. No store, no transaction; any
 * thread.
 * Errors: HM_NOMEM; HM_INVALID (empty); HM_TOOBIG. */
int hm_people_hash_passphrase(struct hm_bytes passphrase,
                              char out_hash[HM_PASSPHRASE_HASH_BYTES]) HM_MUST_USE;
/* Errors: HM_DENIED (not this passphrase); HM_TOOBIG. */
int hm_people_check_passphrase(const char *hash,
                               struct hm_bytes passphrase) HM_MUST_USE;

#endif
