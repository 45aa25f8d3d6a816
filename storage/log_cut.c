/* A log that loses its end: only what another branch at the parent has taken the place
 * of (storage/fork.h). */
#include "storage/blobs.h"
#include "storage/log.h"

static int run(struct hm_store *s, const char *sql, uint64_t incarnation, uint64_t n)
{
    struct hm_stmt *stmt;
    int err = hm_db_stmt(hm_store_db(s), sql, &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, incarnation);
    hm_stmt_bind_u64(stmt, 2, n);
    return hm_stmt_run(stmt);
}

static int unseal(struct hm_store *s, uint64_t incarnation, uint64_t n,
                  struct hm_bytes bytes)
{
    struct hm_stmt *stmt;
    int err = hm_db_stmt(hm_store_db(s),
                         "UPDATE entry SET segment = NULL, bytes = $3 "
                         "WHERE incarnation = $1 AND n = $2",
                         &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, incarnation);
    hm_stmt_bind_u64(stmt, 2, n);
    hm_stmt_bind_bytes(stmt, 3, bytes);
    return hm_stmt_run(stmt);
}

/* The segment that reaches over the cut is taken apart: it will be sealed again. */
static int open_segment(struct hm_store *s, const struct hm_log *log, uint64_t entries,
                        struct hm_arena *arena, uint64_t *out_sealed)
{
    struct hm_stored_segment stored;
    int err =
        hm_log_segment_with(s, log->author.incarnation, entries - 1, arena, &stored);

    if (err != HM_OK || stored.last_n < entries) {
        return err;
    }
    for (uint64_t n = stored.first_n; n < entries && err == HM_OK; n++) {
        struct hm_bytes bytes = {0};
        int verdict;

        err = hm_log_entry(s, log->author.incarnation, n, arena, &bytes, &verdict);
        if (err == HM_OK) {
            err = unseal(s, log->author.incarnation, n, bytes);
        }
    }
    *out_sealed = stored.first_n;
    return err == HM_OK
               ? run(s, "DELETE FROM segment WHERE incarnation = $1 AND first_n = $2",
                     log->author.incarnation, stored.first_n)
               : err;
}

static int shorten(struct hm_store *s, uint64_t incarnation, uint64_t entries,
                   uint64_t sealed)
{
    struct hm_hash chain;
    struct hm_stmt *stmt;
    int err = hm_log_chain_at(s, incarnation, entries - 1, &chain);

    if (err == HM_OK) {
        err = hm_db_stmt(hm_store_db(s),
                         "UPDATE incarnation SET entries = $2, chain = $3, sealed = $4 "
                         "WHERE incarnation = $1",
                         &stmt);
    }
    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, incarnation);
    hm_stmt_bind_u64(stmt, 2, entries);
    hm_stmt_bind_bytes(stmt, 3, hm_hash_bytes(&chain));
    hm_stmt_bind_u64(stmt, 4, sealed);
    return hm_stmt_run(stmt);
}

int hm_log_cut(struct hm_store *s, const struct hm_log *log, uint64_t entries)
{
    uint64_t incarnation = log->author.incarnation;
    uint64_t sealed = log->sealed < entries ? log->sealed : entries;
    struct hm_arena arena;
    int err = HM_OK;

    HM_ASSERT(log->own && entries >= 1 && entries < log->entries);
    hm_arena_init(&arena, 16 * HM_SEGMENT_BODY_BYTES_MAX);
    if (log->sealed > entries) {
        err = open_segment(s, log, entries, &arena, &sealed);
    }
    hm_arena_deinit(&arena);
    if (err == HM_OK) {
        err = run(s, "DELETE FROM entry WHERE incarnation = $1 AND n >= $2",
                  incarnation, entries);
    }
    if (err == HM_OK) {
        err = run(s, "DELETE FROM segment WHERE incarnation = $1 AND first_n >= $2",
                  incarnation, entries);
    }
    if (err == HM_OK) {
        err = run(s, "DELETE FROM history WHERE author = $1 AND author_n >= $2",
                  incarnation, entries);
    }
    if (err == HM_OK) {
        err = shorten(s, incarnation, entries, sealed);
    }
    if (err == HM_OK && hm_store_own_log(s)->incarnation == incarnation) {
        *hm_store_own_log(s) = (struct hm_own_log){.incarnation = 0};
    }
    return err;
}

void hm_log_heard_of(struct hm_store *s, uint64_t incarnation, uint64_t entries)
{
    struct hm_own_log *own = hm_store_own_log(s);

    if (own->incarnation != 0 && own->incarnation == incarnation &&
        entries > own->next_n) {
        *own = (struct hm_own_log){.incarnation = 0};
    }
}
