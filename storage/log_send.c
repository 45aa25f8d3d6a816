/* The part of the log that leads outward: sealing and receipts. */
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

int hm_log_receipt(struct hm_store *s, uint64_t parent, uint64_t incarnation,
                   uint64_t *out_entries, unsigned *out_level)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err = hm_db_stmt(hm_store_db(s),
                         "SELECT entries, level FROM receipt "
                         "WHERE parent = $1 AND incarnation = $2",
                         &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, parent);
    hm_stmt_bind_u64(stmt, 2, incarnation);
    err = hm_stmt_step(stmt, &row);
    if (err == HM_OK) {
        *out_entries = row ? hm_stmt_u64(stmt, 0) : 0;
        *out_level = row ? (unsigned)hm_stmt_int(stmt, 1) : 0;
    }
    hm_stmt_reset(stmt);
    return err;
}

int hm_log_set_receipt(struct hm_store *s, uint64_t parent, uint64_t incarnation,
                       uint64_t entries, unsigned level)
{
    struct hm_stmt *stmt;
    int err =
        hm_db_stmt(hm_store_db(s),
                   "INSERT INTO receipt (parent, incarnation, entries, level) "
                   "VALUES ($1, $2, $3, $4) ON CONFLICT (parent, incarnation) "
                   "DO UPDATE SET entries = excluded.entries, level = excluded.level",
                   &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, parent);
    hm_stmt_bind_u64(stmt, 2, incarnation);
    hm_stmt_bind_u64(stmt, 3, entries);
    hm_stmt_bind_int(stmt, 4, level);
    return hm_stmt_run(stmt);
}

int hm_log_forget_receipts(struct hm_store *s, uint64_t parent)
{
    struct hm_stmt *stmt;
    int err =
        hm_db_stmt(hm_store_db(s), "DELETE FROM receipt WHERE parent = $1", &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, parent);
    return hm_stmt_run(stmt);
}

struct counting {
    struct hm_store *s;
    uint64_t parent;
    struct hm_unsent sum;
};

/* Changes are the entries but the birth. */
static uint64_t changes_in(uint64_t entries)
{
    return entries == 0 ? 0 : entries - 1;
}

static int count_bytes(struct hm_store *s, uint64_t incarnation, uint64_t from,
                       uint64_t *sum)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err = hm_db_stmt(hm_store_db(s),
                         "SELECT (SELECT COALESCE(SUM(LENGTH(bytes)), 0) FROM entry "
                         "WHERE incarnation = $1 AND n >= $2) + "
                         "(SELECT COALESCE(SUM(LENGTH(bytes)), 0) FROM segment "
                         "WHERE incarnation = $1 AND last_n >= $2)",
                         &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, incarnation);
    hm_stmt_bind_u64(stmt, 2, from);
    err = hm_stmt_step(stmt, &row);
    if (err == HM_OK && row) {
        *sum += hm_stmt_u64(stmt, 0);
    }
    hm_stmt_reset(stmt);
    return err;
}

static int oldest_of(struct hm_store *s, const struct hm_log *log, uint64_t n,
                     int64_t *oldest_utc_ms)
{
    struct hm_dot dot = {log->author.incarnation, n};
    struct hm_change change;
    struct hm_bytes bytes = {0};
    struct hm_arena arena;
    int verdict;
    int err;

    hm_arena_init(&arena, 1024 * 1024);
    err = hm_log_entry(s, dot.incarnation, n, &arena, &bytes, &verdict);
    if (err == HM_OK) {
        err = hm_change_decode(bytes, &dot, &arena, &change);
    }
    if (err == HM_OK) {
        int64_t at = log->author.base_wall_ms + change.dt_ms;

        if (*oldest_utc_ms == 0 || at < *oldest_utc_ms) {
            *oldest_utc_ms = at;
        }
    }
    hm_arena_deinit(&arena);
    return err;
}

static int count_log(void *arg, const struct hm_log *log)
{
    struct counting *counting = arg;
    struct hm_unsent *sum = &counting->sum;
    uint64_t held = 0;
    unsigned level = 0;
    int err = hm_log_receipt(counting->s, counting->parent, log->author.incarnation,
                             &held, &level);

    if (err != HM_OK) {
        return err;
    }
    sum->changes += changes_in(log->entries) - changes_in(held);
    sum->at_hub += changes_in(held);
    sum->at_centre += level == HM_LEVEL_CENTRE ? changes_in(held) : 0;
    if (log->entries > 1 && held < log->entries) {
        err = count_bytes(counting->s, log->author.incarnation, held, &sum->bytes);
        if (err == HM_OK) {
            err =
                oldest_of(counting->s, log, held == 0 ? 1 : held, &sum->oldest_utc_ms);
        }
    }
    return err;
}

int hm_log_unsent(struct hm_store *s, uint64_t parent, struct hm_unsent *out)
{
    struct counting counting = {.s = s, .parent = parent};
    int err = hm_log_each_own(s, count_log, &counting);

    if (err == HM_OK) {
        *out = counting.sum;
    }
    return err;
}
