/* Logs: own ones entry by entry, others' by the door that they came by. */
#include <stdio.h>

#include "protocol/guard.h"
#include "storage/accept.h"
#include "storage/repair_parts.h"

/* More entries than that behind the last that is known are no count but damage. */
enum { AHEAD_MAX = 65536, SEGMENTS_A_BATCH = 64 };

/* -- Own logs -- */

struct own_log {
    uint64_t incarnation;
    bool born; /* its birth is here */
    struct hm_birth birth;
    struct hm_bytes bytes; /* of the birth */
    bool placed;
};

struct own_logs {
    struct own_log *list;
    size_t count;
    size_t room;
    struct hm_arena arena;
};

static int note_log(struct own_logs *logs, struct hm_stmt *stmt)
{
    struct own_log *log;
    int err = HM_OK;

    if (logs->count == logs->room) {
        logs->room = 2 * logs->room + 64;
        logs->list = hm_arena_grow(&logs->arena, logs->list, logs->count, logs->room,
                                   sizeof logs->list[0]);
        if (logs->list == NULL) {
            return HM_NOMEM;
        }
    }
    log = &logs->list[logs->count++];
    *log = (struct own_log){.incarnation = hm_stmt_u64(stmt, 0)};
    if (!hm_stmt_is_null(stmt, 1)) {
        err = hm_arena_copy(&logs->arena, hm_stmt_bytes(stmt, 1), &log->bytes);
    }
    if (err == HM_OK && log->bytes.len > 0) {
        struct hm_hash chain = hm_chain_next(&HM_CHAIN_START, log->bytes);

        /* The hash beside it was written with it. */
        log->born = hm_bytes_equal(hm_hash_bytes(&chain), hm_stmt_bytes(stmt, 2)) &&
                    hm_birth_decode(log->bytes, &log->birth) == HM_OK;
    }
    return err;
}

/* Only own entries have bytes of their own in the scratch store. */
static int list_logs(struct hm_repair *r, struct own_logs *logs)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err = hm_db_stmt(hm_store_db(r->from),
                         "SELECT log.incarnation, birth.bytes, birth.chain FROM "
                         "(SELECT DISTINCT incarnation FROM entry "
                         "WHERE bytes IS NOT NULL) AS log "
                         "LEFT JOIN entry AS birth "
                         "ON birth.incarnation = log.incarnation AND birth.n = 0",
                         &stmt);

    while (err == HM_OK && (err = hm_stmt_step(stmt, &row)) == HM_OK && row) {
        err = note_log(logs, stmt);
    }
    return err;
}

/* The next in the order in which the device wrote them: whose birth names the last one,
 * else the earliest by its clock. */
static struct own_log *next_log(struct own_logs *logs, uint64_t last)
{
    struct own_log *next = NULL;

    for (size_t i = 0; i < logs->count; i++) {
        struct own_log *log = &logs->list[i];

        if (log->placed || !log->born) {
            continue;
        }
        if (last != 0 && log->birth.parent_incarnation == last) {
            return log;
        }
        if (next == NULL || log->birth.wall_ms < next->birth.wall_ms) {
            next = log;
        }
    }
    return next;
}

/* It can't enter its log, but a person can still release it. */
static int set_apart(struct hm_repair *r, uint64_t incarnation, uint64_t n,
                     struct hm_bytes bytes)
{
    struct hm_quarantine_entry entry = {.dot = {incarnation, n},
                                        .device = hm_store_device(r->to),
                                        .reason = HM_GAP,
                                        .detail = "changes of this node before it were "
                                                  "lost with the damaged store",
                                        .bytes = bytes};
    struct hm_change change;
    struct hm_arena arena;
    int err;

    if (n == 0) {
        return HM_OK;
    }
    hm_arena_init(&arena, HM_REPAIR_ARENA_BYTES_MAX);
    err = hm_guard_check(bytes);
    if (err == HM_OK) {
        err = hm_change_decode(bytes, &entry.dot, &arena, &change);
    }
    if (err == HM_OK) {
        entry.scope = change.scope;
        entry.household = change.household;
        r->report->set_apart++;
        err = hm_quarantine_put(r->to, &entry);
    } else if (err != HM_NOMEM) {
        err = HM_OK; /* not a change: it is missing */
    }
    hm_arena_deinit(&arena);
    return err;
}

/* What the old store said of a log's length, if that can be. */
static int known_length(struct hm_repair *r, uint64_t incarnation, uint64_t least,
                        uint64_t *out_entries)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err =
        hm_db_stmt(hm_store_db(r->from),
                   "SELECT entries FROM incarnation WHERE incarnation = $1", &stmt);

    *out_entries = least;
    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, incarnation);
    err = hm_stmt_step(stmt, &row);
    if (err == HM_OK && row && hm_stmt_u64(stmt, 0) > least &&
        hm_stmt_u64(stmt, 0) - least <= AHEAD_MAX) {
        *out_entries = hm_stmt_u64(stmt, 0);
    }
    hm_stmt_reset(stmt);
    return err;
}

/* One entry of the scratch store: into the log, or apart. */
static int place(struct hm_repair *r, struct hm_log *log, uint64_t n,
                 struct hm_bytes said_chain, struct hm_bytes bytes)
{
    struct hm_repair_count *count = &r->report->counts[HM_REPAIR_OWN];
    struct hm_hash chain = hm_chain_next(&log->chain, bytes);

    if (n == log->entries && hm_bytes_equal(hm_hash_bytes(&chain), said_chain)) {
        count->restored++;
        return hm_log_restore_entry(r->to, log, bytes);
    }
    return set_apart(r, log->author.incarnation, n, bytes);
}

/* The entries of a log behind its birth; without one all are set apart. */
static int restore_entries(struct hm_repair *r, const struct own_log *own,
                           struct hm_log *log)
{
    struct hm_repair_count *count = &r->report->counts[HM_REPAIR_OWN];
    uint64_t apart = r->report->set_apart;
    uint64_t entries = log->entries;
    struct hm_stmt *stmt;
    bool row = false;
    int err = hm_db_stmt(hm_store_db(r->from),
                         "SELECT n, chain, bytes FROM entry "
                         "WHERE incarnation = $1 AND n > 0 ORDER BY n",
                         &stmt);

    if (err != HM_OK) {
        return err;
    }
    log->author.incarnation = own->incarnation;
    hm_stmt_bind_u64(stmt, 1, own->incarnation);
    while (err == HM_OK && (err = hm_stmt_step(stmt, &row)) == HM_OK && row) {
        uint64_t n = hm_stmt_u64(stmt, 0);

        entries = n + 1;
        if (!hm_stmt_is_null(stmt, 2)) {
            count->found++;
            err = place(r, log, n, hm_stmt_bytes(stmt, 1), hm_stmt_bytes(stmt, 2));
        }
    }
    if (err == HM_OK) {
        err = known_length(r, own->incarnation, entries, &entries);
    }
    if (err == HM_OK) {
        uint64_t held =
            log->entries == 0 ? 1 : log->entries; /* births are no changes */

        count->missing += entries - held - (r->report->set_apart - apart);
    }
    return err;
}

int hm_repair_restore_own(struct hm_repair *r)
{
    struct own_logs logs = {.count = 0};
    struct own_log *own;
    uint64_t last = 0;
    int64_t order = 0;
    int err;

    hm_arena_init(&logs.arena, HM_REPAIR_ARENA_BYTES_MAX);
    err = list_logs(r, &logs);
    while (err == HM_OK && (own = next_log(&logs, last)) != NULL) {
        struct hm_log log;

        err = hm_log_restore_own(r->to, own->incarnation, ++order, own->bytes, &log);
        if (err == HM_OK) {
            err = restore_entries(r, own, &log);
        }
        own->placed = true;
        last = own->incarnation;
    }
    for (size_t i = 0; i < logs.count && err == HM_OK; i++) {
        struct hm_log none = {.entries = 0};

        if (!logs.list[i].placed) {
            err = restore_entries(r, &logs.list[i], &none);
        }
    }
    hm_arena_deinit(&logs.arena);
    return err;
}

/* -- Logs of others -- */

/* What this node had decided about an entry. */
static bool decided(void *arg, const struct hm_dot *dot, int *out_verdict)
{
    struct hm_repair *r = arg;
    struct hm_stmt *stmt;
    bool row = false;
    int verdict = HM_OK;
    int err = hm_db_stmt(hm_store_db(r->from),
                         "SELECT verdict FROM entry WHERE incarnation = $1 AND n = $2",
                         &stmt);

    if (err != HM_OK) {
        return false;
    }
    hm_stmt_bind_u64(stmt, 1, dot->incarnation);
    hm_stmt_bind_u64(stmt, 2, dot->n);
    err = hm_stmt_step(stmt, &row);
    if (err == HM_OK && row) {
        int64_t said = hm_stmt_int(stmt, 0);

        row = said <= 0 && said > INT16_MIN && strcmp(hm_err_name((int)said), "?") != 0;
        verdict = (int)said;
    }
    hm_stmt_reset(stmt);
    if (err != HM_OK || !row) {
        return false;
    }
    *out_verdict = verdict;
    return true;
}

struct taking {
    struct hm_repair *r;
    struct hm_accept accept;
    struct hm_arena arena;
    unsigned segments; /* since the last beginning */
};

/* Lists of hm_accept grow; a new one now and then keeps them small. */
static int begin_batch(struct taking *t)
{
    int err;

    if (t->segments++ % SEGMENTS_A_BATCH != 0) {
        return HM_OK;
    }
    hm_arena_deinit(&t->arena);
    err = hm_accept_init(&t->accept, t->r->to, t->r->forms, 0, &t->arena);
    t->accept.decided = decided;
    t->accept.decided_arg = t->r;
    return err;
}

/* Is it a segment that its device signed? Others' bytes are damage here. */
static int is_sound(struct hm_repair *r, struct hm_bytes bytes, bool *out_sound)
{
    struct hm_segment segment;
    struct hm_device device;
    struct hm_arena arena;
    int err = hm_segment_open(bytes, &segment);

    *out_sound = false;
    if (err != HM_OK || segment.device == hm_store_device(r->to)) {
        return err == HM_NOMEM ? err : HM_OK;
    }
    r->report->counts[HM_REPAIR_FOREIGN].found +=
        segment.count - (segment.first_n == 0 ? 1 : 0);
    hm_arena_init(&arena, 1024 * 1024);
    err = hm_devices_get(r->to, segment.device, &arena, &device);
    if (err == HM_OK) {
        *out_sound = hm_segment_verify(&segment, device.public_key) == HM_OK;
    }
    hm_arena_deinit(&arena);
    return err == HM_NOTFOUND ? HM_OK : err;
}

static int take_segment(struct taking *t, struct hm_bytes bytes)
{
    uint64_t incarnation;
    uint64_t entries;
    uint64_t before;
    bool sound;
    int err = is_sound(t->r, bytes, &sound);

    if (err != HM_OK || !sound) {
        return err;
    }
    err = begin_batch(t);
    before = t->accept.changes;
    if (err == HM_OK) {
        err = hm_accept_segment(&t->accept, bytes, &incarnation, &entries);
    }
    t->r->report->counts[HM_REPAIR_FOREIGN].restored += t->accept.changes - before;
    return err;
}

static int count_missing(struct hm_repair *r)
{
    struct hm_repair_count *count = &r->report->counts[HM_REPAIR_FOREIGN];
    struct hm_stmt *stmt;
    bool row = false;
    int err = hm_db_stmt(hm_store_db(r->from),
                         "SELECT incarnation, device, entries FROM incarnation", &stmt);

    while (err == HM_OK && (err = hm_stmt_step(stmt, &row)) == HM_OK && row) {
        uint64_t said = hm_stmt_u64(stmt, 2);
        struct hm_log log = {.entries = 0};

        if (hm_stmt_u64(stmt, 1) == hm_store_device(r->to)) {
            continue;
        }
        err = hm_log_get(r->to, hm_stmt_u64(stmt, 0), &log);
        err = err == HM_NOTFOUND ? HM_OK : err;
        if (said > log.entries && said - log.entries <= AHEAD_MAX) {
            count->missing += said - log.entries - (log.entries == 0 ? 1 : 0);
        }
    }
    return err;
}

int hm_repair_restore_foreign(struct hm_repair *r)
{
    struct taking t = {.r = r};
    struct hm_stmt *stmt;
    bool row = false;
    int err =
        hm_db_stmt(hm_store_db(r->from),
                   "SELECT bytes FROM segment ORDER BY incarnation, first_n", &stmt);

    hm_arena_init(&t.arena, HM_ACCEPT_ARENA_BYTES_MAX);
    while (err == HM_OK && (err = hm_stmt_step(stmt, &row)) == HM_OK && row) {
        err = take_segment(&t, hm_stmt_bytes(stmt, 0));
    }
    hm_arena_deinit(&t.arena);
    return err == HM_OK ? count_missing(r) : err;
}
