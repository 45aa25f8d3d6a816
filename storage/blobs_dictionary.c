/* Dictionaries: blobs that have a second name. */
#include "storage/blobs.h"

int hm_blobs_add_dictionary(struct hm_store *s,
                            const uint8_t hash[HM_CONTENT_HASH_BYTES], uint64_t *out_id)
{
    struct hm_arena arena;
    struct hm_bytes bytes;
    struct hm_stmt *stmt;
    uint64_t id;
    int err;

    hm_arena_init(&arena, 2 * HM_BLOB_BYTES_MAX);
    err = hm_blobs_get(s, hash, &arena, &bytes);
    if (err == HM_OK && bytes.len > HM_DICTIONARY_BYTES_MAX) {
        err = HM_TOOBIG;
    }
    id = err == HM_OK ? hm_hash_u64(bytes) : 0;
    hm_arena_deinit(&arena);
    if (err == HM_OK) {
        err = hm_db_stmt(hm_store_db(s),
                         "INSERT INTO dictionary (id, hash, added) "
                         "VALUES ($1, $2, (SELECT COALESCE(MAX(added), 0) + 1 FROM "
                         "dictionary)) ON CONFLICT DO NOTHING",
                         &stmt);
    }
    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, id);
    hm_stmt_bind_bytes(stmt, 2, hm_bytes_of(hash, HM_CONTENT_HASH_BYTES));
    err = hm_stmt_run(stmt);
    if (err == HM_OK) {
        *out_id = id;
    }
    return err;
}

int hm_blobs_dictionary(struct hm_store *s, uint64_t id, struct hm_arena *arena,
                        struct hm_dictionary *out)
{
    uint8_t hash[HM_CONTENT_HASH_BYTES];
    struct hm_dictionary found = {.id = id};
    struct hm_stmt *stmt;
    bool row = false;
    int err;

    if (id == 0) {
        *out = HM_DICTIONARY_NONE;
        return HM_OK;
    }
    err =
        hm_db_stmt(hm_store_db(s), "SELECT hash FROM dictionary WHERE id = $1", &stmt);
    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, id);
    err = hm_stmt_step(stmt, &row);
    if (err == HM_OK) {
        struct hm_bytes bytes = row ? hm_stmt_bytes(stmt, 0) : (struct hm_bytes){0};

        if (bytes.len == sizeof hash) {
            memcpy(hash, bytes.data, sizeof hash);
        } else {
            err = row ? HM_CORRUPT : HM_DICTIONARY;
        }
    }
    hm_stmt_reset(stmt);
    if (err == HM_OK) {
        err = hm_blobs_get(s, hash, arena, &found.bytes);
        err = err == HM_NOTFOUND ? HM_DICTIONARY : err;
    }
    if (err == HM_OK) {
        *out = found;
    }
    return err;
}

int hm_blobs_dictionaries(struct hm_store *s, struct hm_arena *arena, size_t max,
                          uint64_t **out_ids, size_t *out_count)
{
    uint64_t *ids = hm_arena_array(arena, max, sizeof *ids);
    struct hm_stmt *stmt;
    size_t count = 0;
    bool row = false;
    int err;

    if (ids == NULL) {
        return HM_NOMEM;
    }
    err = hm_db_stmt(hm_store_db(s), "SELECT id FROM dictionary ORDER BY added DESC",
                     &stmt);
    if (err != HM_OK) {
        return err;
    }
    while (count < max && (err = hm_stmt_step(stmt, &row)) == HM_OK && row) {
        ids[count++] = hm_stmt_u64(stmt, 0);
    }
    hm_stmt_reset(stmt);
    if (err != HM_OK) {
        return err;
    }
    for (size_t i = 0; i < count / 2; i++) { /* the newest last */
        uint64_t swapped = ids[i];

        ids[i] = ids[count - 1 - i];
        ids[count - 1 - i] = swapped;
    }
    *out_ids = ids;
    *out_count = count;
    return HM_OK;
}
