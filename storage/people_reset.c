#include "storage/people_reset.h"

#include <sodium.h>
#include <string.h>

#include "protocol/base32.h"
#include "storage/devices.h"

enum {
    CODE_BYTES = 10,
    PROOF_BITS = 60, /* the others tell the day, and one code of a day from the next */
    DAY_BITS = 13,
    MAKE_BITS = 7,
    KEY_BYTES = 32,
    PROOF_BYTES = 16
};

static const int64_t day_ms = 24LL * 60 * 60 * 1000;
static const int64_t first_day = 20454; /* 2026-01-01, in days since 1970 */

/* -- The code -- */

struct code {
    uint64_t day; /* the last one on which it holds, since first_day */
    uint64_t make;
    uint64_t proof;
};

static void write_code(const struct code *code, uint8_t out[CODE_BYTES])
{
    uint64_t head = code->day << MAKE_BITS | code->make;

    /* 13 + 7 + 60 bits, the highest first. */
    out[0] = (uint8_t)(head >> 12);
    out[1] = (uint8_t)(head >> 4);
    out[2] = (uint8_t)((head & 0xfU) << 4 | code->proof >> 56);
    for (unsigned i = 0; i < 7; i++) {
        out[3 + i] = (uint8_t)(code->proof >> (48 - 8 * i));
    }
}

static bool read_code(const char *text, struct code *out)
{
    struct hm_buf bytes;
    uint64_t head;
    bool good;

    hm_buf_init(&bytes, CODE_BYTES);
    good = hm_base32_decode(hm_bytes_str(text), &bytes) == HM_OK &&
           bytes.len == CODE_BYTES;
    if (good) {
        head = (uint64_t)bytes.data[0] << 12 | (uint64_t)bytes.data[1] << 4 |
               (uint64_t)bytes.data[2] >> 4;
        *out = (struct code){.day = head >> MAKE_BITS,
                             .make = head & ((1U << MAKE_BITS) - 1),
                             .proof = bytes.data[2] & 0xfU};
        for (unsigned i = 0; i < 7; i++) {
            out->proof = out->proof << 8 | bytes.data[3 + i];
        }
    }
    hm_buf_deinit(&bytes);
    return good;
}

/* What this node and the one with this key know alone. */
static int shared_key(struct hm_store *s, const uint8_t *other, uint8_t out[KEY_BYTES])
{
    uint8_t own[crypto_scalarmult_SCALARBYTES];
    uint8_t theirs[crypto_scalarmult_BYTES];
    uint8_t point[crypto_scalarmult_BYTES];
    bool good =
        crypto_sign_ed25519_sk_to_curve25519(own, hm_store_secret_key(s)) == 0 &&
        crypto_sign_ed25519_pk_to_curve25519(theirs, other) == 0 &&
        crypto_scalarmult(point, own, theirs) == 0;

    if (good) {
        (void)crypto_generichash(out, KEY_BYTES, point, sizeof point,
                                 (const uint8_t *)"hamlet reset", 12);
    }
    sodium_memzero(own, sizeof own);
    sodium_memzero(point, sizeof point);
    return good ? HM_OK : HM_INVALID;
}

static void append_number(struct hm_buf *buf, uint64_t number)
{
    hm_buf_append_uint(buf, number, 8);
}

static int prove(const uint8_t key[KEY_BYTES], uint32_t user, uint64_t device,
                 struct code *code)
{
    uint8_t hash[PROOF_BYTES];
    struct hm_buf said;
    int err;

    hm_buf_init(&said, 64);
    append_number(&said, user);
    append_number(&said, device);
    append_number(&said, code->day);
    append_number(&said, code->make);
    err = said.err;
    if (err == HM_OK) {
        (void)crypto_generichash(hash, sizeof hash, said.data, said.len, key,
                                 KEY_BYTES);
        code->proof = 0;
        for (unsigned i = 0; i < 8; i++) {
            code->proof = code->proof << 8 | hash[i];
        }
        code->proof >>= 64 - PROOF_BITS;
    }
    hm_buf_deinit(&said);
    return err;
}

static int encode(const struct code *code, char out_code[HM_RESET_CODE_TEXT_MAX])
{
    uint8_t bytes[CODE_BYTES];
    struct hm_buf text;
    const char *made;
    int err;

    write_code(code, bytes);
    hm_buf_init(&text, HM_RESET_CODE_TEXT_MAX);
    hm_base32_encode(hm_bytes_of(bytes, sizeof bytes), &text);
    made = hm_buf_str(&text);
    err = text.err;
    if (err == HM_OK) {
        (void)strcpy(out_code, made); /* 16 characters and 3 dashes */
    }
    hm_buf_deinit(&text);
    return err;
}

int hm_people_reset_code(struct hm_store *s, uint32_t user, uint64_t device,
                         char out_code[HM_RESET_CODE_TEXT_MAX],
                         int64_t *out_expires_utc_ms)
{
    int64_t day = hm_store_utc_ms(s) / day_ms + HM_RESET_DAYS;
    struct code code = {.make = hm_store_random(s) >> (64 - MAKE_BITS)};
    enum hm_node_role role = HM_NODE_NEW;
    uint8_t key[KEY_BYTES];
    struct hm_device found;
    struct hm_arena arena;
    int err = hm_store_role(s, &role);

    if (err == HM_OK && role != HM_NODE_CENTRE) {
        return hm_store_fail(s, HM_DENIED, "only the centre can make such a code");
    }
    code.day = day < first_day ? 0 : (uint64_t)(day - first_day);
    code.day &= (1U << DAY_BITS) - 1;
    hm_arena_init(&arena, 1024 * 1024);
    if (err == HM_OK) {
        err = hm_devices_get(s, device, &arena, &found);
    }
    if (err == HM_OK) {
        err = shared_key(s, found.public_key, key);
    }
    hm_arena_deinit(&arena);
    if (err == HM_OK) {
        err = prove(key, user, device, &code);
    }
    if (err == HM_OK) {
        err = encode(&code, out_code);
    }
    sodium_memzero(key, sizeof key);
    if (err == HM_OK) {
        *out_expires_utc_ms = (first_day + (int64_t)code.day + 1) * day_ms;
    }
    return err;
}

/* The centre's key as this node knows it; at the centre its own. */
static int centre_key(struct hm_store *s, struct hm_arena *arena,
                      const uint8_t **out_key)
{
    struct hm_bytes authority = {0};
    int err = hm_store_get_bytes(s, HM_META_AUTHORITY, arena, &authority);

    if (err == HM_NOTFOUND) {
        *out_key = hm_store_public_key(s);
        return HM_OK;
    }
    if (err == HM_OK && authority.len != HM_PUBLIC_KEY_BYTES) {
        err = HM_CORRUPT;
    }
    *out_key = authority.data;
    return err;
}

static int check_code(struct hm_store *s, uint32_t user, const char *text,
                      struct code *out)
{
    int64_t offset = 0;
    int64_t today;
    const uint8_t *centre = NULL;
    uint8_t key[KEY_BYTES];
    struct code proved;
    struct hm_arena arena;
    int err = hm_store_get_number(s, HM_META_CLOCK_OFFSET, &offset);

    err = err == HM_NOTFOUND ? HM_OK : err;
    today = (hm_store_utc_ms(s) + offset) / day_ms - first_day;
    if (err == HM_OK && !read_code(text, out)) {
        return hm_store_fail(s, HM_DENIED, "this is not a code: it has 16 characters");
    }
    proved = *out;
    hm_arena_init(&arena, 1024 * 1024);
    if (err == HM_OK) {
        err = centre_key(s, &arena, &centre);
    }
    if (err == HM_OK) {
        err = shared_key(s, centre, key);
    }
    hm_arena_deinit(&arena);
    if (err == HM_OK) {
        err = prove(key, user, hm_store_device(s), &proved);
    }
    sodium_memzero(key, sizeof key);
    if (err == HM_OK && proved.proof != out->proof) {
        err = hm_store_fail(s, HM_DENIED,
                            "this code is not for this user on this laptop");
    }
    if (err == HM_OK && today > (int64_t)out->day) {
        err = hm_store_fail(s, HM_DENIED,
                            "the time of this code is over, by this laptop's clock");
    }
    return err;
}

/* -- What is kept -- */

/* user as $1. */
static int stmt_of(struct hm_store *s, const char *sql, uint32_t user,
                   struct hm_stmt **out_stmt)
{
    int err = hm_db_stmt(hm_store_db(s), sql, out_stmt);

    if (err == HM_OK) {
        hm_stmt_bind_int(*out_stmt, 1, user);
    }
    return err;
}

static int mark_used(struct hm_store *s, uint32_t user, const struct code *code)
{
    uint8_t bytes[CODE_BYTES];
    struct hm_stmt *stmt;
    bool row = false;
    int err = stmt_of(s, "SELECT 1 FROM reset_code WHERE user_id = $1 AND code = $2",
                      user, &stmt);

    if (err != HM_OK) {
        return err;
    }
    write_code(code, bytes);
    hm_stmt_bind_bytes(stmt, 2, hm_bytes_of(bytes, sizeof bytes));
    err = hm_stmt_step(stmt, &row);
    hm_stmt_reset(stmt);
    if (err == HM_OK && row) {
        return hm_store_fail(s, HM_DENIED, "this code has been used");
    }
    if (err == HM_OK) {
        err = stmt_of(s,
                      "INSERT INTO reset_code (user_id, code, used_utc_ms) "
                      "VALUES ($1, $2, $3)",
                      user, &stmt);
    }
    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_bytes(stmt, 2, hm_bytes_of(bytes, sizeof bytes));
    hm_stmt_bind_int(stmt, 3, hm_store_utc_ms(s));
    return hm_stmt_run(stmt);
}

static int keep_passphrase(struct hm_store *s, uint32_t user, const char *hash)
{
    struct hm_admin_item item = {.version = 0};
    struct hm_arena arena;
    struct hm_stmt *stmt;
    int err;

    hm_arena_init(&arena, 4 * HM_ITEM_BODY_BYTES_MAX);
    err = hm_items_get(s, HM_ITEM_PASSPHRASE, user, &arena, &item);
    hm_arena_deinit(&arena);
    if (err != HM_OK && err != HM_NOTFOUND) {
        return err;
    }
    err = stmt_of(s,
                  "INSERT INTO own_passphrase (user_id, hash, version) "
                  "VALUES ($1, $2, $3) ON CONFLICT (user_id) DO UPDATE "
                  "SET hash = excluded.hash, version = excluded.version",
                  user, &stmt);
    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_str(stmt, 2, hash);
    hm_stmt_bind_u64(stmt, 3, item.version);
    return hm_stmt_run(stmt);
}

int hm_people_redeem_reset(struct hm_store *s, uint32_t user, const char *code,
                           const char *hash)
{
    struct code read = {0};
    int err = check_code(s, user, code, &read);

    if (err == HM_OK) {
        err = mark_used(s, user, &read);
    }
    return err == HM_OK ? keep_passphrase(s, user, hash) : err;
}

int hm_people_own_passphrase(struct hm_store *s, uint32_t user,
                             uint64_t version_of_centre,
                             char out_hash[HM_PASSPHRASE_HASH_BYTES])
{
    struct hm_stmt *stmt;
    bool row = false;
    int err = stmt_of(s, "SELECT hash, version FROM own_passphrase WHERE user_id = $1",
                      user, &stmt);

    if (err != HM_OK) {
        return err;
    }
    err = hm_stmt_step(stmt, &row);
    if (err == HM_OK && (!row || hm_stmt_u64(stmt, 1) < version_of_centre)) {
        err = HM_NOTFOUND;
    }
    if (err == HM_OK && strlen(hm_stmt_str(stmt, 0)) >= HM_PASSPHRASE_HASH_BYTES) {
        err = HM_CORRUPT;
    }
    if (err == HM_OK) {
        (void)strcpy(out_hash, hm_stmt_str(stmt, 0));
    }
    hm_stmt_reset(stmt);
    return err;
}

/* -- Guesses -- */

static int read_guesses(struct hm_store *s, uint32_t user, int64_t *out_wrong,
                        int64_t *out_last_ms)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err = stmt_of(s, "SELECT wrong, last_utc_ms FROM guess WHERE user_id = $1",
                      user, &stmt);

    if (err != HM_OK) {
        return err;
    }
    err = hm_stmt_step(stmt, &row);
    *out_wrong = err == HM_OK && row ? hm_stmt_int(stmt, 0) : 0;
    *out_last_ms = err == HM_OK && row ? hm_stmt_int(stmt, 1) : 0;
    hm_stmt_reset(stmt);
    return err;
}

int hm_people_guess(struct hm_store *s, uint32_t user, int64_t *out_wait_ms)
{
    int64_t now_ms = hm_store_utc_ms(s);
    int64_t last_ms = 0;
    int64_t wrong = 0;
    struct hm_stmt *stmt;
    int err = read_guesses(s, user, &wrong, &last_ms);
    bool waits = wrong >= HM_GUESSES_MAX && now_ms - last_ms < HM_GUESS_WAIT_MS;

    if (err == HM_OK) {
        err = stmt_of(s,
                      "INSERT INTO guess (user_id, wrong, last_utc_ms) "
                      "VALUES ($1, $2, $3) ON CONFLICT (user_id) DO UPDATE "
                      "SET wrong = excluded.wrong, last_utc_ms = excluded.last_utc_ms",
                      user, &stmt);
    }
    if (err != HM_OK) {
        return err;
    }
    if (waits && now_ms < last_ms) {
        last_ms = now_ms; /* a clock that went back begins to wait anew */
    }
    *out_wait_ms = waits ? HM_GUESS_WAIT_MS - (now_ms - last_ms) : 0;
    hm_stmt_bind_int(stmt, 2, waits ? wrong : wrong % HM_GUESSES_MAX + 1);
    hm_stmt_bind_int(stmt, 3, waits ? last_ms : now_ms);
    return hm_stmt_run(stmt);
}

int hm_people_guessed(struct hm_store *s, uint32_t user)
{
    struct hm_stmt *stmt;
    int err = stmt_of(s, "DELETE FROM guess WHERE user_id = $1", user, &stmt);

    return err == HM_OK ? hm_stmt_run(stmt) : err;
}
