/* What parents hold of each log, by their own word, and what is left to send. */
#include "protocol/message.h"
#include "storage/log.h"

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

/* Runs a statement that counts of an incarnation, or of all; 0 for none. */
static int count_of(struct hm_store *s, const char *sql, uint64_t incarnation,
                    uint64_t *out)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err = hm_db_stmt(hm_store_db(s), sql, &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, incarnation);
    err = hm_stmt_step(stmt, &row);
    if (err == HM_OK) {
        *out = row ? hm_stmt_u64(stmt, 0) : 0;
    }
    hm_stmt_reset(stmt);
    return err;
}

int hm_log_at_hub(struct hm_store *s, uint64_t incarnation, uint64_t *out_entries)
{
    return count_of(s,
                    "SELECT COALESCE(MAX(entries), 0) FROM receipt "
                    "WHERE incarnation = $1",
                    incarnation, out_entries);
}

int hm_log_at_centre(struct hm_store *s, uint64_t incarnation, uint64_t *out_entries)
{
    return count_of(s,
                    "SELECT COALESCE(MAX(centre), 0) FROM receipt "
                    "WHERE incarnation = $1",
                    incarnation, out_entries);
}

static int get_row(struct hm_store *s, uint64_t parent, uint64_t incarnation,
                   uint64_t *out_entries, unsigned *out_level, uint64_t *out_centre)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err = hm_db_stmt(hm_store_db(s),
                         "SELECT entries, level, centre FROM receipt "
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
        *out_centre = row ? hm_stmt_u64(stmt, 2) : 0;
    }
    hm_stmt_reset(stmt);
    return err;
}

/* The position of what is heard now. */
static int next_heard(struct hm_store *s, int64_t *out)
{
    int64_t last = 0;
    int err = hm_store_get_number(s, HM_META_HEARD, &last);

    if (err == HM_OK || err == HM_NOTFOUND) {
        *out = last + 1;
        err = hm_store_set_number(s, HM_META_HEARD, last + 1);
    }
    return err;
}

static int put_row(struct hm_store *s, uint64_t parent, uint64_t incarnation,
                   uint64_t entries, unsigned level, uint64_t centre, int64_t heard)
{
    struct hm_stmt *stmt;
    int err = hm_db_stmt(
        hm_store_db(s),
        "INSERT INTO receipt (parent, incarnation, entries, level, centre, heard) "
        "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (parent, incarnation) "
        "DO UPDATE SET entries = excluded.entries, level = excluded.level, "
        "centre = excluded.centre, heard = CASE WHEN excluded.heard = 0 "
        "THEN receipt.heard ELSE excluded.heard END",
        &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, parent);
    hm_stmt_bind_u64(stmt, 2, incarnation);
    hm_stmt_bind_u64(stmt, 3, entries);
    hm_stmt_bind_int(stmt, 4, level);
    hm_stmt_bind_u64(stmt, 5, centre);
    hm_stmt_bind_int(stmt, 6, heard);
    return hm_stmt_run(stmt);
}

int hm_log_set_receipt(struct hm_store *s, uint64_t parent, uint64_t incarnation,
                       uint64_t entries, unsigned level)
{
    uint64_t before = 0;
    uint64_t centre = 0;
    unsigned level_before = 0;
    int64_t heard = 0;
    int err = get_row(s, parent, incarnation, &before, &level_before, &centre);

    if (err == HM_OK && level == HM_LEVEL_CENTRE && centre != entries) {
        centre = entries;
        err = next_heard(s, &heard);
    }
    return err == HM_OK ? put_row(s, parent, incarnation, entries, level, centre, heard)
                        : err;
}

int hm_log_set_at_centre(struct hm_store *s, uint64_t parent, uint64_t incarnation,
                         uint64_t entries)
{
    uint64_t held = 0;
    uint64_t before = 0;
    unsigned level = 0;
    int64_t heard = 0;
    int err = get_row(s, parent, incarnation, &held, &level, &before);

    if (err != HM_OK || before == entries) {
        return err;
    }
    err = next_heard(s, &heard);
    return err == HM_OK ? put_row(s, parent, incarnation, held, level, entries, heard)
                        : err;
}

int hm_log_forget_receipts(struct hm_store *s, uint64_t parent)
{
    struct hm_stmt *stmt;
    int64_t heard = 0;
    int err = next_heard(s, &heard);

    if (err == HM_OK) {
        err = hm_db_stmt(hm_store_db(s),
                         "UPDATE receipt SET heard = CASE WHEN centre > 0 THEN $2 "
                         "ELSE heard END, entries = 0, level = 0, centre = 0 "
                         "WHERE parent = $1",
                         &stmt);
    }
    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, parent);
    hm_stmt_bind_int(stmt, 2, heard);
    return hm_stmt_run(stmt);
}

int hm_log_doubt_receipts(struct hm_store *s, uint64_t parent, bool all)
{
    struct hm_stmt *stmt;
    int err = hm_db_stmt(
        hm_store_db(s),
        all ? "UPDATE receipt SET level = 0 WHERE parent = $1"
            : "UPDATE receipt SET level = 0 WHERE parent = $1 AND entries < "
              "(SELECT entries FROM incarnation WHERE incarnation.incarnation = "
              "receipt.incarnation)",
        &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, parent);
    return hm_stmt_run(stmt);
}

int hm_log_heard(struct hm_store *s, uint64_t *out_position)
{
    int64_t last = 0;
    int err = hm_store_get_number(s, HM_META_HEARD, &last);

    *out_position = (uint64_t)last;
    return err == HM_NOTFOUND ? HM_OK : err;
}

int hm_log_heard_since(struct hm_store *s, uint64_t position, uint64_t device,
                       struct hm_arena *arena, struct hm_at_centre **out_logs,
                       size_t *out_count)
{
    struct hm_at_centre *logs = NULL;
    struct hm_stmt *stmt;
    size_t count = 0;
    size_t room = 0;
    bool row = false;
    int err =
        hm_db_stmt(hm_store_db(s),
                   "SELECT receipt.incarnation, MAX(receipt.centre) FROM receipt "
                   "JOIN incarnation ON incarnation.incarnation = receipt.incarnation "
                   "WHERE receipt.incarnation IN "
                   "(SELECT incarnation FROM receipt WHERE heard > $1) "
                   "AND ($2 = 0 OR incarnation.device = $2) "
                   "GROUP BY receipt.incarnation ORDER BY receipt.incarnation",
                   &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, position);
    hm_stmt_bind_u64(stmt, 2, device);
    while ((err = hm_stmt_step(stmt, &row)) == HM_OK && row) {
        if (count == room) {
            room = 2 * room + 16;
            logs = hm_arena_grow(arena, logs, count, room, sizeof *logs);
            if (logs == NULL) {
                err = HM_NOMEM;
                break;
            }
        }
        logs[count++] =
            (struct hm_at_centre){hm_stmt_u64(stmt, 0), hm_stmt_u64(stmt, 1)};
    }
    hm_stmt_reset(stmt);
    if (err == HM_OK) {
        *out_logs = logs;
        *out_count = count;
    }
    return err;
}

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
        if (verdict != HM_OK && err != HM_NOMEM && err != HM_OK) {
            hm_arena_deinit(&arena);
            return HM_OK; /* refused since it is no change: it has no time */
        }
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

struct counting {
    struct hm_store *s;
    uint64_t parent;
    struct hm_unsent sum;
};

static int count_unsent(void *arg, const struct hm_log *log)
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
    err = count_bytes(counting->s, log->author.incarnation, held, &sum->bytes);
    return err == HM_OK
               ? oldest_of(counting->s, log, held == 0 ? 1 : held, &sum->oldest_utc_ms)
               : err;
}

static int count_own(void *arg, const struct hm_log *log)
{
    struct counting *counting = arg;
    uint64_t hub = 0;
    uint64_t centre = 0;
    int err = hm_log_at_hub(counting->s, log->author.incarnation, &hub);

    if (err == HM_OK) {
        err = hm_log_at_centre(counting->s, log->author.incarnation, &centre);
    }
    counting->sum.at_hub += changes_in(hub > centre ? hub : centre);
    counting->sum.at_centre += changes_in(centre);
    return err;
}

int hm_log_unsent(struct hm_store *s, uint64_t parent, struct hm_unsent *out)
{
    struct counting counting = {.s = s, .parent = parent};
    int err = hm_log_each_unsent(s, parent, count_unsent, &counting);

    if (err == HM_OK) {
        err = hm_log_each_own(s, count_own, &counting);
    }
    if (err == HM_OK) {
        *out = counting.sum;
    }
    return err;
}
