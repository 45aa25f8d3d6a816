#include "storage/blobs.h"

#include <stdlib.h>

static struct hm_bytes key_of(const uint8_t hash[HM_CONTENT_HASH_BYTES])
{
    return hm_bytes_of(hash, HM_CONTENT_HASH_BYTES);
}

static bool has_hash(struct hm_bytes bytes, struct hm_bytes hash)
{
    uint8_t actual[HM_CONTENT_HASH_BYTES];

    hm_hash_content(bytes, actual);
    return hm_bytes_equal(hm_bytes_of(actual, sizeof actual), hash);
}

/* Statement for sql, which has the hash as $1. */
static int stmt_for(struct hm_store *s, const char *sql,
                    const uint8_t hash[HM_CONTENT_HASH_BYTES],
                    struct hm_stmt **out_stmt)
{
    int err = hm_db_stmt(hm_store_db(s), sql, out_stmt);

    if (err == HM_OK) {
        hm_stmt_bind_bytes(*out_stmt, 1, key_of(hash));
    }
    return err;
}

/* The size of a whole blob. Errors: HM_NOTFOUND. */
static int whole_size(struct hm_store *s, const uint8_t hash[HM_CONTENT_HASH_BYTES],
                      uint64_t *out_size)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err = stmt_for(s, "SELECT size FROM blob WHERE hash = $1", hash, &stmt);

    if (err != HM_OK) {
        return err;
    }
    err = hm_stmt_step(stmt, &row);
    if (err == HM_OK && !row) {
        err = HM_NOTFOUND;
    }
    if (err == HM_OK) {
        *out_size = hm_stmt_u64(stmt, 0);
    }
    hm_stmt_reset(stmt);
    return err;
}

static int insert_whole(struct hm_store *s, const uint8_t hash[HM_CONTENT_HASH_BYTES],
                        struct hm_bytes bytes)
{
    struct hm_stmt *stmt;
    int err = stmt_for(s,
                       "INSERT INTO blob (hash, size, bytes) VALUES ($1, $2, $3) "
                       "ON CONFLICT DO NOTHING",
                       hash, &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 2, bytes.len);
    hm_stmt_bind_bytes(stmt, 3, bytes);
    return hm_stmt_run(stmt);
}

static int drop_pieces(struct hm_store *s, const uint8_t hash[HM_CONTENT_HASH_BYTES])
{
    struct hm_stmt *stmt;
    int err = stmt_for(s, "DELETE FROM blob_piece WHERE hash = $1", hash, &stmt);

    return err == HM_OK ? hm_stmt_run(stmt) : err;
}

int hm_blobs_put(struct hm_store *s, struct hm_bytes bytes,
                 uint8_t out_hash[HM_CONTENT_HASH_BYTES])
{
    uint8_t hash[HM_CONTENT_HASH_BYTES];
    int err;

    if (bytes.len > HM_BLOB_BYTES_MAX) {
        return HM_TOOBIG;
    }
    hm_hash_content(bytes, hash);
    err = insert_whole(s, hash, bytes);
    if (err == HM_OK) {
        err = drop_pieces(s, hash);
    }
    if (err == HM_OK) {
        memcpy(out_hash, hash, sizeof hash);
    }
    return err;
}

/* How far the pieces reach, and of how much; 0 and 0 for none. */
static int pieces_reach(struct hm_store *s, const uint8_t hash[HM_CONTENT_HASH_BYTES],
                        uint64_t *out_reach, uint64_t *out_size)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err = stmt_for(s,
                       "SELECT first_byte + length(bytes), size FROM blob_piece "
                       "WHERE hash = $1 ORDER BY first_byte DESC LIMIT 1",
                       hash, &stmt);

    if (err != HM_OK) {
        return err;
    }
    err = hm_stmt_step(stmt, &row);
    if (err == HM_OK) {
        *out_reach = row ? hm_stmt_u64(stmt, 0) : 0;
        *out_size = row ? hm_stmt_u64(stmt, 1) : 0;
    }
    hm_stmt_reset(stmt);
    return err;
}

static int insert_piece(struct hm_store *s, const uint8_t hash[HM_CONTENT_HASH_BYTES],
                        uint64_t offset, uint64_t size, struct hm_bytes piece)
{
    struct hm_stmt *stmt;
    int err = stmt_for(s,
                       "INSERT INTO blob_piece (hash, first_byte, size, bytes) "
                       "VALUES ($1, $2, $3, $4)",
                       hash, &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 2, offset);
    hm_stmt_bind_u64(stmt, 3, size);
    hm_stmt_bind_bytes(stmt, 4, piece);
    return hm_stmt_run(stmt);
}

static int read_pieces(struct hm_store *s, const uint8_t hash[HM_CONTENT_HASH_BYTES],
                       struct hm_buf *buf)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err =
        stmt_for(s, "SELECT bytes FROM blob_piece WHERE hash = $1 ORDER BY first_byte",
                 hash, &stmt);

    if (err != HM_OK) {
        return err;
    }
    while ((err = hm_stmt_step(stmt, &row)) == HM_OK && row) {
        hm_buf_append(buf, hm_stmt_bytes(stmt, 0));
    }
    hm_stmt_reset(stmt);
    return err == HM_OK ? buf->err : err;
}

/* All pieces are there: make them one, or throw them away. */
static int finish(struct hm_store *s, const uint8_t hash[HM_CONTENT_HASH_BYTES])
{
    struct hm_buf buf;
    bool right = false;
    int err;

    hm_buf_init(&buf, HM_BLOB_BYTES_MAX);
    err = read_pieces(s, hash, &buf);
    if (err == HM_OK) {
        right = has_hash(hm_buf_bytes(&buf), key_of(hash));
        err = right ? insert_whole(s, hash, hm_buf_bytes(&buf)) : HM_OK;
    }
    if (err == HM_OK) {
        err = drop_pieces(s, hash);
    }
    if (err == HM_OK && !right) {
        err = hm_store_fail(s, HM_MALFORMED,
                            "a blob came with other content than its "
                            "hash says");
    }
    hm_buf_deinit(&buf);
    return err;
}

int hm_blobs_add_piece(struct hm_store *s, const uint8_t hash[HM_CONTENT_HASH_BYTES],
                       uint64_t offset, uint64_t size, struct hm_bytes piece,
                       bool *out_complete)
{
    uint64_t reach = 0;
    uint64_t known = 0;
    int err = hm_blobs_have(s, hash, &reach, out_complete);

    if (err != HM_OK || *out_complete) {
        return err;
    }
    if (size > HM_BLOB_BYTES_MAX) {
        return HM_TOOBIG;
    }
    if (offset > size || piece.len > size - offset) {
        return HM_MALFORMED;
    }
    err = pieces_reach(s, hash, &reach, &known);
    if (err == HM_OK && reach > 0 && known != size) {
        /* One of two peers was wrong about it; the hash will tell. */
        reach = 0;
        err = drop_pieces(s, hash);
    }
    if (err != HM_OK || offset != reach) {
        return err;
    }
    if (piece.len > 0) {
        err = insert_piece(s, hash, offset, size, piece);
    }
    if (err == HM_OK && offset + piece.len == size) {
        err = finish(s, hash);
        *out_complete = err == HM_OK;
    }
    return err;
}

int hm_blobs_have(struct hm_store *s, const uint8_t hash[HM_CONTENT_HASH_BYTES],
                  uint64_t *out_bytes, bool *out_complete)
{
    uint64_t size = 0;
    int err = whole_size(s, hash, out_bytes);

    *out_complete = err == HM_OK;
    if (err == HM_NOTFOUND) {
        err = pieces_reach(s, hash, out_bytes, &size);
    }
    return err;
}

int hm_blobs_get(struct hm_store *s, const uint8_t hash[HM_CONTENT_HASH_BYTES],
                 struct hm_arena *arena, struct hm_bytes *out_bytes)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err = stmt_for(s, "SELECT bytes FROM blob WHERE hash = $1", hash, &stmt);

    if (err != HM_OK) {
        return err;
    }
    err = hm_stmt_step(stmt, &row);
    if (err == HM_OK && !row) {
        err = HM_NOTFOUND;
    }
    if (err == HM_OK && !has_hash(hm_stmt_bytes(stmt, 0), key_of(hash))) {
        err = hm_store_fail(s, HM_CORRUPT,
                            "a blob has other content than its hash "
                            "says");
    }
    if (err == HM_OK) {
        err = hm_arena_copy(arena, hm_stmt_bytes(stmt, 0), out_bytes);
    }
    hm_stmt_reset(stmt);
    return err;
}

int hm_blobs_read(struct hm_store *s, const uint8_t hash[HM_CONTENT_HASH_BYTES],
                  uint64_t offset, size_t len, struct hm_arena *arena,
                  struct hm_bytes *out_bytes, uint64_t *out_size)
{
    struct hm_stmt *stmt;
    struct hm_bytes bytes = {0};
    uint64_t size = 0;
    bool row = false;
    int err = stmt_for(s, "SELECT bytes FROM blob WHERE hash = $1", hash, &stmt);

    if (err != HM_OK) {
        return err;
    }
    err = hm_stmt_step(stmt, &row);
    if (err == HM_OK) {
        bytes = row ? hm_stmt_bytes(stmt, 0) : bytes;
        size = bytes.len;
        err = row && offset <= size ? HM_OK : HM_NOTFOUND;
    }
    if (err == HM_OK && offset < size) {
        size_t left = bytes.len - (size_t)offset;

        bytes = hm_bytes_of(bytes.data + offset, len < left ? len : left);
        err = hm_arena_copy(arena, bytes, out_bytes);
    } else if (err == HM_OK) {
        *out_bytes = (struct hm_bytes){0};
    }
    hm_stmt_reset(stmt);
    if (err == HM_OK) {
        *out_size = size;
    }
    return err;
}

int hm_blobs_verify(struct hm_store *s, struct hm_buf *report, uint64_t *out_count)
{
    struct hm_stmt *stmt;
    uint64_t count = 0;
    bool bad = false;
    bool row = false;
    int err =
        hm_db_stmt(hm_store_db(s), "SELECT hash, bytes FROM blob ORDER BY hash", &stmt);

    if (err != HM_OK) {
        return err;
    }
    while ((err = hm_stmt_step(stmt, &row)) == HM_OK && row) {
        struct hm_bytes hash = hm_stmt_bytes(stmt, 0);

        if (!has_hash(hm_stmt_bytes(stmt, 1), hash)) {
            bad = true;
            hm_buf_append_str(report, "blob ");
            for (size_t i = 0; i < hash.len; i++) {
                hm_buf_printf(report, "%02x", hash.data[i]);
            }
            hm_buf_append_str(report, " has other content\n");
        }
        count++;
    }
    hm_stmt_reset(stmt);
    if (err == HM_OK) {
        *out_count = count;
        err = bad ? HM_CORRUPT : HM_OK;
    }
    return err;
}
