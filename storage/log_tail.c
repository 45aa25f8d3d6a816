#include "storage/log.h"

enum { ARENA_BYTES = 4 * 1024 * 1024 };

static int newest_own(struct hm_store *s, uint64_t *out_incarnation)
{
    int64_t incarnation = 0;
    int err = hm_db_query_int(
        hm_store_db(s),
        "SELECT incarnation FROM incarnation WHERE own > 0 ORDER BY own DESC LIMIT 1",
        &incarnation);

    *out_incarnation = (uint64_t)incarnation;
    return err;
}

/* The entry is there, and leads from *inout_chain to the hash that is kept. */
static int check_entry(struct hm_store *s, uint64_t incarnation, uint64_t n,
                       struct hm_hash *inout_chain)
{
    struct hm_bytes bytes = {0};
    struct hm_arena arena;
    struct hm_hash kept;
    int verdict;
    int err;

    hm_arena_init(&arena, ARENA_BYTES);
    err = hm_log_entry(s, incarnation, n, &arena, &bytes, &verdict);
    if (err == HM_OK) {
        *inout_chain = hm_chain_next(inout_chain, bytes);
        err = hm_log_chain_at(s, incarnation, n, &kept);
    }
    if (err == HM_OK && !hm_hash_equal(inout_chain, &kept)) {
        err = HM_CORRUPT;
    }
    hm_arena_deinit(&arena);
    return err;
}

int hm_log_check_tail(struct hm_store *s)
{
    struct hm_hash chain = HM_CHAIN_START;
    uint64_t incarnation = 0;
    struct hm_log log;
    int err = newest_own(s, &incarnation);

    if (err == HM_NOTFOUND) {
        return HM_OK; /* nothing was written here yet */
    }
    if (err == HM_OK) {
        err = hm_log_get(s, incarnation, &log);
    }
    if (err == HM_OK && log.sealed > 0) {
        err = hm_log_chain_at(s, incarnation, log.sealed - 1, &chain);
    }
    for (uint64_t n = err == HM_OK ? log.sealed : 0; err == HM_OK && n < log.entries;
         n++) {
        err = check_entry(s, incarnation, n, &chain);
    }
    if (err == HM_OK && !hm_hash_equal(&chain, &log.chain)) {
        err = HM_CORRUPT;
    }
    return err == HM_NOTFOUND || err == HM_CORRUPT
               ? hm_store_fail(s, HM_CORRUPT, "this node's own log does not fit")
               : err;
}
