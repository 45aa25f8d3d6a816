#include "storage/log.h"

#include <stdlib.h>

#include "storage/blobs.h"

static struct hm_bytes hash_view(const struct hm_hash *hash)
{
    return hm_hash_bytes(hash);
}

/* Stored hashes have one size; anything else is damage. */
static int copy_hash(struct hm_bytes bytes, struct hm_hash *out)
{
    if (bytes.len != HM_HASH_BYTES) {
        return HM_CORRUPT;
    }
    memcpy(out->bytes, bytes.data, HM_HASH_BYTES);
    return HM_OK;
}

#define LOG_COLUMNS                                                                    \
    "incarnation, device, own, base_wall_ms, clock_class, clock_offset_ms, entries, "  \
    "chain, sealed"

static int read_log(struct hm_stmt *stmt, struct hm_log *out)
{
    struct hm_log log = {
        .author = {.incarnation = hm_stmt_u64(stmt, 0),
                   .device = hm_stmt_u64(stmt, 1),
                   .base_wall_ms = hm_stmt_int(stmt, 3),
                   .clock_class = (enum hm_clock_class)hm_stmt_int(stmt, 4),
                   .clock_offset_ms = hm_stmt_int(stmt, 5)},
        .own = hm_stmt_int(stmt, 2) > 0,
        .entries = (uint64_t)hm_stmt_int(stmt, 6),
        .sealed = (uint64_t)hm_stmt_int(stmt, 8)};
    int err = copy_hash(hm_stmt_bytes(stmt, 7), &log.chain);

    if (err == HM_OK) {
        *out = log;
    }
    return err;
}

int hm_log_get(struct hm_store *s, uint64_t incarnation, struct hm_log *out)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err = hm_db_stmt(
        hm_store_db(s),
        "SELECT " LOG_COLUMNS " FROM incarnation WHERE incarnation = $1", &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, incarnation);
    err = hm_stmt_step(stmt, &row);
    if (err == HM_OK) {
        err = row ? read_log(stmt, out) : HM_NOTFOUND;
    }
    hm_stmt_reset(stmt);
    return err;
}

static int insert_log(struct hm_store *s, const struct hm_log *log, int64_t own_order,
                      const struct hm_birth *birth)
{
    struct hm_stmt *stmt;
    int err = hm_db_stmt(
        hm_store_db(s),
        "INSERT INTO incarnation (incarnation, device, own, base_wall_ms, clock_class, "
        "clock_offset_ms, parent, parent_n, entries, chain, sealed) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, log->author.incarnation);
    hm_stmt_bind_u64(stmt, 2, log->author.device);
    hm_stmt_bind_int(stmt, 3, own_order);
    hm_stmt_bind_int(stmt, 4, log->author.base_wall_ms);
    hm_stmt_bind_int(stmt, 5, (int64_t)log->author.clock_class);
    hm_stmt_bind_int(stmt, 6, log->author.clock_offset_ms);
    hm_stmt_bind_u64(stmt, 7, birth->parent_incarnation);
    hm_stmt_bind_u64(stmt, 8, birth->parent_n);
    hm_stmt_bind_u64(stmt, 9, log->entries);
    hm_stmt_bind_bytes(stmt, 10, hash_view(&log->chain));
    hm_stmt_bind_u64(stmt, 11, log->sealed);
    return hm_stmt_run(stmt);
}

static int update_log(struct hm_store *s, uint64_t incarnation, uint64_t entries,
                      const struct hm_hash *chain)
{
    struct hm_stmt *stmt;
    int err = hm_db_stmt(hm_store_db(s),
                         "UPDATE incarnation SET entries = $2, chain = $3 "
                         "WHERE incarnation = $1",
                         &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, incarnation);
    hm_stmt_bind_u64(stmt, 2, entries);
    hm_stmt_bind_bytes(stmt, 3, hash_view(chain));
    return hm_stmt_run(stmt);
}

/* bytes NULL: the entry lies in the segment that begins at segment_first_n. */
static int insert_entry(struct hm_store *s, const struct hm_dot *dot,
                        const struct hm_hash *chain, int verdict,
                        const struct hm_bytes *bytes, uint64_t segment_first_n)
{
    struct hm_stmt *stmt;
    int err = hm_db_stmt(hm_store_db(s),
                         "INSERT INTO entry (incarnation, n, chain, verdict, segment, "
                         "bytes) VALUES ($1, $2, $3, $4, $5, $6)",
                         &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, dot->incarnation);
    hm_stmt_bind_u64(stmt, 2, dot->n);
    hm_stmt_bind_bytes(stmt, 3, hash_view(chain));
    hm_stmt_bind_int(stmt, 4, verdict);
    if (bytes == NULL) {
        hm_stmt_bind_u64(stmt, 5, segment_first_n);
        hm_stmt_bind_null(stmt, 6);
    } else {
        hm_stmt_bind_null(stmt, 5);
        hm_stmt_bind_bytes(stmt, 6, *bytes);
    }
    return hm_stmt_run(stmt);
}

/* The own incarnation before this opening's: its order, and what a birth says of it. */
static int find_parent(struct hm_store *s, int64_t *out_order, struct hm_birth *birth)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err = hm_db_stmt(hm_store_db(s),
                         "SELECT own, incarnation, entries, chain FROM incarnation "
                         "WHERE own > 0 ORDER BY own DESC LIMIT 1",
                         &stmt);

    if (err != HM_OK) {
        return err;
    }
    *out_order = 0;
    err = hm_stmt_step(stmt, &row);
    if (err == HM_OK && row) {
        *out_order = hm_stmt_int(stmt, 0);
        birth->parent_incarnation = hm_stmt_u64(stmt, 1);
        birth->parent_n = hm_stmt_u64(stmt, 2) - 1;
        err = copy_hash(hm_stmt_bytes(stmt, 3), &birth->parent_chain);
    }
    hm_stmt_reset(stmt);
    return err;
}

/* What the last talk with a parent told about this node's clock. */
static int clock_facts(struct hm_store *s, struct hm_birth *birth)
{
    static const int64_t day_ms = 24LL * 60 * 60 * 1000;
    int64_t offset = 0;
    int err = hm_store_get_number(s, HM_META_CLOCK_OFFSET, &offset);
    enum hm_node_role role = HM_NODE_NEW;

    if (err == HM_OK) {
        bool off = offset > day_ms || offset < -day_ms;

        birth->clock_class = off ? HM_CLOCK_OFF : HM_CLOCK_CHECKED;
        birth->clock_offset_ms = offset;
        return HM_OK;
    }
    if (err != HM_NOTFOUND) {
        return err;
    }
    err = hm_store_role(s, &role);
    if (err == HM_OK) {
        /* A centre's clock is what the others are compared with. */
        birth->clock_class =
            role == HM_NODE_CENTRE ? HM_CLOCK_CHECKED : HM_CLOCK_UNKNOWN;
    }
    return err;
}

static int mint(struct hm_store *s)
{
    struct hm_own_log *own = hm_store_own_log(s);
    struct hm_birth birth = {.device = hm_store_device(s),
                             .wall_ms = hm_store_utc_ms(s),
                             .version = hm_bytes_str(hm_store_version(s))};
    struct hm_own_log born = {.next_n = 1, .base_wall_ms = birth.wall_ms};
    struct hm_dot dot = {0};
    struct hm_log log = {0};
    struct hm_bytes bytes;
    struct hm_buf buf;
    int64_t order = 0;
    int err;

    memcpy(birth.boot_id, hm_store_boot_id(s), sizeof birth.boot_id);
    while (born.incarnation == 0) {
        born.incarnation = hm_store_random(s);
    }
    err = find_parent(s, &order, &birth);
    if (err == HM_OK) {
        err = clock_facts(s, &birth);
    }
    if (err != HM_OK) {
        return err;
    }
    hm_buf_init(&buf, HM_BIRTH_BYTES_MAX);
    hm_birth_encode(&birth, &buf);
    bytes = hm_buf_bytes(&buf);
    born.chain = hm_chain_next(&HM_CHAIN_START, bytes);
    dot.incarnation = born.incarnation;
    log.author = (struct hm_author){.incarnation = born.incarnation,
                                    .device = birth.device,
                                    .base_wall_ms = birth.wall_ms,
                                    .clock_class = birth.clock_class,
                                    .clock_offset_ms = birth.clock_offset_ms};
    log.entries = 1;
    log.chain = born.chain;
    err = buf.err;
    if (err == HM_OK) {
        err = insert_log(s, &log, order + 1, &birth);
    }
    if (err == HM_OK) {
        err = insert_entry(s, &dot, &born.chain, HM_OK, &bytes, 0);
    }
    hm_buf_deinit(&buf);
    if (err == HM_OK) {
        *own = born;
    }
    return err;
}

int hm_log_next_own(struct hm_store *s, struct hm_dot *out_dot,
                    struct hm_author *out_author)
{
    struct hm_own_log *own = hm_store_own_log(s);
    struct hm_log log;
    int err = own->incarnation == 0 ? mint(s) : HM_OK;

    if (err == HM_OK) {
        err = hm_log_get(s, own->incarnation, &log);
    }
    if (err == HM_OK &&
        (log.entries != own->next_n || !hm_hash_equal(&log.chain, &own->chain))) {
        err = hm_store_fail(s, HM_IO,
                            "the store's log is not the one that this process wrote");
    }
    if (err == HM_OK) {
        *out_dot = (struct hm_dot){own->incarnation, own->next_n};
        *out_author = log.author;
    }
    return err;
}

int hm_log_restore_own(struct hm_store *s, uint64_t incarnation, int64_t order,
                       struct hm_bytes birth, struct hm_log *out)
{
    struct hm_dot dot = {.incarnation = incarnation};
    struct hm_birth born;
    struct hm_log log = {.own = true, .entries = 1};
    int err = hm_birth_decode(birth, &born);

    if (err != HM_OK) {
        return err;
    }
    log.author = (struct hm_author){.incarnation = incarnation,
                                    .device = born.device,
                                    .base_wall_ms = born.wall_ms,
                                    .clock_class = born.clock_class,
                                    .clock_offset_ms = born.clock_offset_ms};
    log.chain = hm_chain_next(&HM_CHAIN_START, birth);
    err = insert_log(s, &log, order, &born);
    if (err == HM_OK) {
        err = insert_entry(s, &dot, &log.chain, HM_OK, &birth, 0);
    }
    if (err == HM_OK) {
        *out = log;
    }
    return err;
}

int hm_log_restore_entry(struct hm_store *s, struct hm_log *log, struct hm_bytes bytes)
{
    struct hm_dot dot = {log->author.incarnation, log->entries};
    struct hm_hash chain = hm_chain_next(&log->chain, bytes);
    int err = insert_entry(s, &dot, &chain, HM_OK, &bytes, 0);

    if (err == HM_OK) {
        err = update_log(s, dot.incarnation, dot.n + 1, &chain);
    }
    if (err == HM_OK) {
        log->entries++;
        log->chain = chain;
    }
    return err;
}

int hm_log_add_history(struct hm_store *s, const struct hm_dot *dot,
                       const struct hm_household_id *household, uint32_t home)
{
    struct hm_stmt *stmt;
    int err = hm_db_stmt(hm_store_db(s),
                         "INSERT INTO history (scope, a, n, author, author_n) "
                         "VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
                         &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_int(stmt, 1, home);
    hm_stmt_bind_u64(stmt, 2, household->a);
    hm_stmt_bind_u64(stmt, 3, household->n);
    hm_stmt_bind_u64(stmt, 4, dot->incarnation);
    hm_stmt_bind_u64(stmt, 5, dot->n);
    return hm_stmt_run(stmt);
}

int hm_log_append_own(struct hm_store *s, const struct hm_dot *dot,
                      struct hm_bytes bytes, const struct hm_household_id *household,
                      uint32_t home)
{
    struct hm_own_log *own = hm_store_own_log(s);
    struct hm_hash chain = hm_chain_next(&own->chain, bytes);
    int err;

    HM_ASSERT(dot->incarnation == own->incarnation && dot->n == own->next_n);
    err = insert_entry(s, dot, &chain, HM_OK, &bytes, 0);
    if (err == HM_OK) {
        err = update_log(s, dot->incarnation, dot->n + 1, &chain);
    }
    if (err == HM_OK) {
        err = hm_log_add_history(s, dot, household, home);
    }
    if (err == HM_OK) {
        own->chain = chain;
        own->next_n++;
    }
    return err;
}

int hm_log_append(struct hm_store *s, struct hm_log *log, const struct hm_hash *chain,
                  int verdict, uint64_t segment_first_n)
{
    struct hm_dot dot = {log->author.incarnation, log->entries};
    int err = insert_entry(s, &dot, chain, verdict, NULL, segment_first_n);

    if (err == HM_OK) {
        err = update_log(s, dot.incarnation, dot.n + 1, chain);
    }
    if (err == HM_OK) {
        log->entries++;
        log->chain = *chain;
    }
    return err;
}

int hm_log_append_birth(struct hm_store *s, uint64_t incarnation,
                        const struct hm_birth *birth, const struct hm_hash *chain,
                        struct hm_log *out)
{
    struct hm_dot dot = {.incarnation = incarnation};
    struct hm_log log = {.author = {.incarnation = incarnation,
                                    .device = birth->device,
                                    .base_wall_ms = birth->wall_ms,
                                    .clock_class = birth->clock_class,
                                    .clock_offset_ms = birth->clock_offset_ms},
                         .entries = 1,
                         .chain = *chain};
    int err = insert_log(s, &log, 0, birth);

    if (err == HM_OK) {
        err = insert_entry(s, &dot, chain, HM_OK, NULL, 0);
    }
    if (err == HM_OK) {
        *out = log;
    }
    return err;
}

int hm_log_keep_segment(struct hm_store *s, uint64_t incarnation, uint64_t first_n,
                        uint64_t last_n, struct hm_bytes bytes)
{
    struct hm_stmt *stmt;
    int err =
        hm_db_stmt(hm_store_db(s),
                   "INSERT INTO segment (incarnation, first_n, last_n, bytes) "
                   "VALUES ($1, $2, $3, $4) ON CONFLICT (incarnation, first_n) "
                   "DO UPDATE SET last_n = excluded.last_n, bytes = excluded.bytes",
                   &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, incarnation);
    hm_stmt_bind_u64(stmt, 2, first_n);
    hm_stmt_bind_u64(stmt, 3, last_n);
    hm_stmt_bind_bytes(stmt, 4, bytes);
    return hm_stmt_run(stmt);
}

int hm_log_chain_at(struct hm_store *s, uint64_t incarnation, uint64_t n,
                    struct hm_hash *out)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err =
        hm_db_stmt(hm_store_db(s),
                   "SELECT chain FROM entry WHERE incarnation = $1 AND n = $2", &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, incarnation);
    hm_stmt_bind_u64(stmt, 2, n);
    err = hm_stmt_step(stmt, &row);
    if (err == HM_OK) {
        err = row ? copy_hash(hm_stmt_bytes(stmt, 0), out) : HM_NOTFOUND;
    }
    hm_stmt_reset(stmt);
    return err;
}

int hm_log_segment_with(struct hm_store *s, uint64_t incarnation, uint64_t n,
                        struct hm_arena *arena, struct hm_stored_segment *out)
{
    struct hm_stored_segment found = {.incarnation = incarnation};
    struct hm_stmt *stmt;
    bool row = false;
    int err = hm_db_stmt(hm_store_db(s),
                         "SELECT first_n, last_n, bytes FROM segment "
                         "WHERE incarnation = $1 AND first_n <= $2 AND last_n >= $2 "
                         "ORDER BY first_n DESC LIMIT 1",
                         &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, incarnation);
    hm_stmt_bind_u64(stmt, 2, n);
    err = hm_stmt_step(stmt, &row);
    if (err == HM_OK && !row) {
        err = HM_NOTFOUND;
    }
    if (err == HM_OK) {
        found.first_n = hm_stmt_u64(stmt, 0);
        found.last_n = hm_stmt_u64(stmt, 1);
        err = hm_arena_copy(arena, hm_stmt_bytes(stmt, 2), &found.bytes);
    }
    hm_stmt_reset(stmt);
    if (err == HM_OK) {
        *out = found;
    }
    return err;
}

static int entry_from_segment(struct hm_store *s, uint64_t incarnation, uint64_t n,
                              struct hm_arena *arena, struct hm_bytes *out_bytes)
{
    struct hm_stored_segment stored;
    struct hm_segment segment;
    struct hm_dictionary dictionary = {0};
    const struct hm_bytes *entries;
    int err = hm_log_segment_with(s, incarnation, n, arena, &stored);

    if (err == HM_OK) {
        err = hm_segment_open(stored.bytes, &segment);
    }
    if (err == HM_OK) {
        err = hm_blobs_dictionary(s, segment.dictionary, arena, &dictionary);
    }
    if (err == HM_OK) {
        err = hm_segment_unpack(&segment, dictionary, arena, &entries);
    }
    if (err == HM_OK && n - stored.first_n >= segment.count) {
        err = HM_CORRUPT;
    }
    if (err == HM_OK) {
        *out_bytes = entries[n - stored.first_n];
    }
    return err;
}

int hm_log_entry(struct hm_store *s, uint64_t incarnation, uint64_t n,
                 struct hm_arena *arena, struct hm_bytes *out_bytes, int *out_verdict)
{
    struct hm_stmt *stmt;
    bool row = false;
    bool in_segment = false;
    int verdict = HM_OK;
    int err = hm_db_stmt(hm_store_db(s),
                         "SELECT verdict, bytes FROM entry "
                         "WHERE incarnation = $1 AND n = $2",
                         &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, incarnation);
    hm_stmt_bind_u64(stmt, 2, n);
    err = hm_stmt_step(stmt, &row);
    if (err == HM_OK && !row) {
        err = HM_NOTFOUND;
    }
    if (err == HM_OK) {
        verdict = (int)hm_stmt_int(stmt, 0);
        in_segment = hm_stmt_is_null(stmt, 1);
        if (!in_segment) {
            err = hm_arena_copy(arena, hm_stmt_bytes(stmt, 1), out_bytes);
        }
    }
    hm_stmt_reset(stmt);
    if (err == HM_OK && in_segment) {
        err = entry_from_segment(s, incarnation, n, arena, out_bytes);
    }
    if (err == HM_OK) {
        *out_verdict = verdict;
    }
    return err;
}

/* parent: for $1 of the statement; NULL when it has none. */
static int each(struct hm_store *s, const char *sql, const uint64_t *parent,
                hm_log_fn fn, void *arg)
{
    struct hm_stmt *stmt;
    struct hm_log *logs = NULL;
    size_t count = 0;
    size_t room = 0;
    bool row = false;
    int err = hm_db_stmt(hm_store_db(s), sql, &stmt);

    if (err != HM_OK) {
        return err;
    }
    if (parent != NULL) {
        hm_stmt_bind_u64(stmt, 1, *parent);
    }
    /* Read all first: fn may use the store. */
    while ((err = hm_stmt_step(stmt, &row)) == HM_OK && row) {
        if (count == room) {
            struct hm_log *more = realloc(logs, (2 * room + 16) * sizeof *logs);

            if (more == NULL) {
                err = HM_NOMEM;
                break;
            }
            logs = more;
            room = 2 * room + 16;
        }
        err = read_log(stmt, &logs[count++]);
        if (err != HM_OK) {
            break;
        }
    }
    hm_stmt_reset(stmt);
    for (size_t i = 0; i < count && err == HM_OK; i++) {
        err = fn(arg, &logs[i]);
    }
    free(logs);
    return err;
}

int hm_log_each_own(struct hm_store *s, hm_log_fn fn, void *arg)
{
    return each(s, "SELECT " LOG_COLUMNS " FROM incarnation WHERE own > 0 ORDER BY own",
                NULL, fn, arg);
}

int hm_log_each(struct hm_store *s, hm_log_fn fn, void *arg)
{
    return each(s, "SELECT " LOG_COLUMNS " FROM incarnation ORDER BY incarnation", NULL,
                fn, arg);
}

/* A birth alone tells nobody anything. */
#define WITH_CHANGES "SELECT " LOG_COLUMNS " FROM incarnation WHERE entries > 1 AND "
#define OWN_FIRST    " ORDER BY own = 0, own, incarnation"

int hm_log_each_unsent(struct hm_store *s, uint64_t parent, hm_log_fn fn, void *arg)
{
    return each(s,
                WITH_CHANGES "entries > COALESCE((SELECT receipt.entries FROM receipt "
                             "WHERE receipt.parent = $1 AND receipt.incarnation = "
                             "incarnation.incarnation), 0)" OWN_FIRST,
                &parent, fn, arg);
}

int hm_log_each_unasked(struct hm_store *s, uint64_t parent, hm_log_fn fn, void *arg)
{
    return each(s,
                WITH_CHANGES "COALESCE((SELECT level FROM receipt WHERE "
                             "receipt.parent = $1 AND receipt.incarnation = "
                             "incarnation.incarnation), 0) = 0" OWN_FIRST,
                &parent, fn, arg);
}

int hm_log_history(struct hm_store *s, uint32_t home, const struct hm_household_id *id,
                   struct hm_arena *arena, struct hm_dot **out_dots, size_t *out_count)
{
    struct hm_stmt *stmt;
    struct hm_dot *dots = NULL;
    size_t count = 0;
    size_t room = 0;
    bool row = false;
    int err = hm_db_stmt(hm_store_db(s),
                         "SELECT author, author_n FROM history "
                         "WHERE scope = $1 AND a = $2 AND n = $3 "
                         "ORDER BY author, author_n",
                         &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_int(stmt, 1, home);
    hm_stmt_bind_u64(stmt, 2, id->a);
    hm_stmt_bind_u64(stmt, 3, id->n);
    while ((err = hm_stmt_step(stmt, &row)) == HM_OK && row) {
        if (count == room) {
            room = 2 * room + 16;
            dots = hm_arena_grow(arena, dots, count, room, sizeof *dots);
            if (dots == NULL) {
                err = HM_NOMEM;
                break;
            }
        }
        dots[count++] = (struct hm_dot){hm_stmt_u64(stmt, 0), hm_stmt_u64(stmt, 1)};
    }
    hm_stmt_reset(stmt);
    if (err == HM_OK) {
        *out_dots = dots;
        *out_count = count;
    }
    return err;
}
