/* The part of the log that leads outward: sealing. */
#include "storage/buggify.h"
#include "storage/log.h"

struct pending {
    struct hm_bytes *entries; /* of one incarnation, consecutive */
    size_t count;
    size_t bytes;
    bool more;
};

/* Own entries of a log that lie in no segment, oldest first, within the limits; one in
 * any case when always is set. */
static int load_pending(struct hm_store *s, const struct hm_log *log, size_t bytes_max,
                        bool always, struct hm_arena *arena, struct pending *out)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err = hm_db_stmt(hm_store_db(s),
                         "SELECT bytes FROM entry WHERE incarnation = $1 AND n >= $2 "
                         "ORDER BY n LIMIT 257",
                         &stmt);

    out->entries = hm_arena_array(arena, HM_SEGMENT_ENTRIES_MAX, sizeof *out->entries);
    if (out->entries == NULL) {
        return HM_NOMEM;
    }
    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, log->author.incarnation);
    hm_stmt_bind_u64(stmt, 2, log->sealed);
    while ((err = hm_stmt_step(stmt, &row)) == HM_OK && row) {
        struct hm_bytes bytes = hm_stmt_bytes(stmt, 0);

        if (out->count == HM_SEGMENT_ENTRIES_MAX ||
            ((out->count > 0 || !always) && bytes.len > bytes_max - out->bytes)) {
            out->more = true;
            break;
        }
        err = hm_arena_copy(arena, bytes, &out->entries[out->count]);
        if (err != HM_OK) {
            break;
        }
        out->count++;
        out->bytes += bytes.len;
        if (out->bytes > bytes_max) {
            bytes_max = out->bytes;
        }
    }
    hm_stmt_reset(stmt);
    return err;
}

static int mark_sealed(struct hm_store *s, uint64_t incarnation, uint64_t first_n,
                       uint64_t count)
{
    struct hm_stmt *stmt;
    int err = hm_db_stmt(hm_store_db(s),
                         "UPDATE entry SET segment = $2, bytes = NULL "
                         "WHERE incarnation = $1 AND n >= $2 AND n < $3",
                         &stmt);

    if (err == HM_OK) {
        hm_stmt_bind_u64(stmt, 1, incarnation);
        hm_stmt_bind_u64(stmt, 2, first_n);
        hm_stmt_bind_u64(stmt, 3, first_n + count);
        err = hm_stmt_run(stmt);
    }
    if (err == HM_OK) {
        err = hm_db_stmt(hm_store_db(s),
                         "UPDATE incarnation SET sealed = $2 WHERE incarnation = $1",
                         &stmt);
    }
    if (err == HM_OK) {
        hm_stmt_bind_u64(stmt, 1, incarnation);
        hm_stmt_bind_u64(stmt, 2, first_n + count);
        err = hm_stmt_run(stmt);
    }
    return err;
}

struct sealing {
    struct hm_store *s;
    const struct hm_dictionary *dictionaries;
    size_t dictionary_count;
    size_t bytes_left;
    bool sealed; /* something; then the budget is strict */
    bool more;
};

/* The smallest of the segments that the dictionaries give. */
static int seal_smallest(const struct sealing *sealing, struct hm_segment_seal *seal,
                         struct hm_buf *out)
{
    struct hm_buf next;
    int err;

    seal->dictionary = HM_DICTIONARY_NONE;
    err = hm_segment_seal(seal, out);
    hm_buf_init(&next, out->len_max);
    for (size_t i = 0; i < sealing->dictionary_count && err == HM_OK; i++) {
        hm_buf_clear(&next);
        seal->dictionary = sealing->dictionaries[i];
        err = hm_segment_seal(seal, &next);
        if (err == HM_OK && next.len < out->len) {
            struct hm_buf smaller = next;

            next = *out;
            *out = smaller;
        }
    }
    hm_buf_deinit(&next);
    return err;
}

static int seal_segment(const struct sealing *sealing, const struct hm_log *log,
                        const struct pending *pending)
{
    struct hm_store *s = sealing->s;
    struct hm_segment_seal seal = {.incarnation = log->author.incarnation,
                                   .device = log->author.device,
                                   .first_n = log->sealed,
                                   .entries = pending->entries,
                                   .count = pending->count,
                                   .secret_key = hm_store_secret_key(s)};
    struct hm_buf buf;
    int err = HM_OK;

    if (log->sealed > 0) {
        err = hm_log_chain_at(s, seal.incarnation, log->sealed - 1, &seal.prev_chain);
    }
    if (err != HM_OK) {
        return err;
    }
    hm_buf_init(&buf, 2 * HM_SEGMENT_BYTES_MAX);
    err = seal_smallest(sealing, &seal, &buf);
    if (err == HM_OK) {
        err = hm_log_keep_segment(s, seal.incarnation, seal.first_n,
                                  seal.first_n + seal.count - 1, hm_buf_bytes(&buf));
    }
    hm_buf_deinit(&buf);
    if (err == HM_OK) {
        err = mark_sealed(s, seal.incarnation, seal.first_n, seal.count);
    }
    return err;
}

static int seal_log(void *arg, const struct hm_log *found)
{
    struct sealing *sealing = arg;
    struct hm_log log = *found;
    int err = HM_OK;

    while (err == HM_OK && log.entries > 1 && log.sealed < log.entries) {
        struct pending pending = {0};
        struct hm_arena arena;
        size_t bytes_max = sealing->bytes_left < HM_SEGMENT_BODY_BYTES_MAX
                               ? sealing->bytes_left
                               : HM_SEGMENT_BODY_BYTES_MAX;

        if (sealing->bytes_left == 0) {
            sealing->more = true;
            break;
        }
        if (hm_buggify(HM_BUGGIFY_ONE_ENTRY)) {
            bytes_max = 1;
        }
        hm_arena_init(&arena, 4 * HM_SEGMENT_BODY_BYTES_MAX);
        err = load_pending(sealing->s, &log, bytes_max, !sealing->sealed, &arena,
                           &pending);
        if (err == HM_OK && pending.count > 0) {
            err = seal_segment(sealing, &log, &pending);
            sealing->sealed = true;
        } else if (err == HM_OK && pending.more) {
            sealing->bytes_left = 0; /* the next one waits */
        } else if (err == HM_OK) {
            err = HM_CORRUPT; /* the log says that there are some */
        }
        hm_arena_deinit(&arena);
        log.sealed += pending.count;
        sealing->bytes_left -=
            pending.bytes < sealing->bytes_left ? pending.bytes : sealing->bytes_left;
    }
    return err;
}

int hm_log_seal(struct hm_store *s, const struct hm_dictionary *dictionaries,
                size_t dictionary_count, size_t bytes_max, bool *out_more)
{
    struct sealing sealing = {.s = s,
                              .dictionaries = dictionaries,
                              .dictionary_count = dictionary_count,
                              .bytes_left = bytes_max};
    int err = hm_log_each_own(s, seal_log, &sealing);

    if (err == HM_OK) {
        *out_more = sealing.more;
    }
    return err;
}
