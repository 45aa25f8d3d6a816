/* States of households, and what is neither state nor log. */
#include "storage/households.h"
#include "storage/quarantine.h"
#include "storage/repair_parts.h"
#include "storage/salvage.h"

/* -- States that were saved -- */

/* Does the state hold own changes that the log lost? Then it would claim for ever what
 * no parent can be given. */
static int is_ahead(struct hm_repair *r, const struct hm_household *h, bool *out_ahead)
{
    *out_ahead = false;
    for (size_t i = 0; i < h->vv_count; i++) {
        struct hm_log log = {.entries = 0};
        int err;

        if (h->vv[i].author.device != hm_store_device(r->to)) {
            continue;
        }
        err = hm_log_get(r->to, h->vv[i].author.incarnation, &log);
        if (err != HM_OK && err != HM_NOTFOUND) {
            return err;
        }
        *out_ahead = *out_ahead || h->vv[i].n >= log.entries;
    }
    return HM_OK;
}

static int take_state(struct hm_repair *r, struct hm_bytes state, struct hm_bytes said)
{
    struct hm_repair_count *count = &r->report->counts[HM_REPAIR_STATES];
    struct hm_hash hash = hm_household_hash(state);
    struct hm_household h;
    struct hm_arena arena;
    bool ahead = false;
    int err;

    count->found++;
    if (!hm_bytes_equal(hm_hash_bytes(&hash), said)) {
        return HM_OK;
    }
    hm_arena_init(&arena, HM_HOUSEHOLD_ARENA_BYTES_MAX);
    err = hm_household_decode(state, &arena, &h);
    if (err == HM_OK) {
        err = is_ahead(r, &h, &ahead);
    } else if (err != HM_NOMEM) {
        ahead = true; /* a hash that fits by itself does not make it a state */
        err = HM_OK;
    }
    if (err == HM_OK && !ahead) {
        err = hm_households_store(r->to, &h, hm_forms_policy_of, r->forms);
        count->restored += err == HM_OK;
    }
    hm_arena_deinit(&arena);
    return err == HM_TOOBIG ? HM_OK : err;
}

static int take_states(struct hm_repair *r)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err =
        hm_db_stmt(hm_store_db(r->from),
                   "SELECT state, hash FROM household ORDER BY changed_utc_ms", &stmt);

    while (err == HM_OK && (err = hm_stmt_step(stmt, &row)) == HM_OK && row) {
        err = take_state(r, hm_stmt_bytes(stmt, 0), hm_stmt_bytes(stmt, 1));
    }
    return err;
}

/* -- Own entries -- */

static int apply(struct hm_repair *r, const struct hm_log *log, uint64_t n)
{
    struct hm_dot dot = {log->author.incarnation, n};
    struct hm_bytes bytes = {0};
    struct hm_change change;
    struct hm_household h;
    struct hm_arena arena;
    bool applied = false;
    bool found;
    int verdict;
    int err;

    hm_arena_init(&arena, HM_HOUSEHOLD_ARENA_BYTES_MAX);
    err = hm_log_entry(r->to, dot.incarnation, n, &arena, &bytes, &verdict);
    if (err == HM_OK) {
        err = hm_change_decode(bytes, &dot, &arena, &change);
    }
    if (err == HM_OK) {
        err = hm_households_load_or_new(r->to, &change.household, &arena, &h, &found);
    }
    if (err == HM_OK) {
        err = hm_household_apply(&h, &change, &dot, &log->author, &applied);
    }
    if (err == HM_OK && applied) {
        err = hm_households_store(r->to, &h, hm_forms_policy_of, r->forms);
    }
    if (err == HM_OK) {
        err = hm_log_add_history(r->to, &dot, &h.id, h.home);
    }
    hm_arena_deinit(&arena);
    /* What a newer program wrote, or what no longer fits, is in the log all the same.
     */
    return err == HM_TOOBIG || err == HM_VERSION ? HM_OK : err;
}

static int apply_log(void *arg, const struct hm_log *log)
{
    int err = HM_OK;

    for (uint64_t n = 1; n < log->entries && err == HM_OK; n++) {
        err = apply(arg, log, n);
    }
    return err;
}

int hm_repair_restore_states(struct hm_repair *r)
{
    int err = take_states(r);

    return err == HM_OK ? hm_log_each_own(r->to, apply_log, r) : err;
}

/* -- The rest -- */

static int keep_since(struct hm_repair *r, const struct hm_quarantine_entry *entry)
{
    struct hm_stmt *stmt;
    int err = hm_db_stmt(hm_store_db(r->to),
                         "UPDATE quarantine SET since_utc_ms = $2, released = $3 "
                         "WHERE hash = $1",
                         &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_bytes(stmt, 1, hm_hash_bytes(&entry->hash));
    hm_stmt_bind_int(stmt, 2, entry->since_utc_ms);
    hm_stmt_bind_int(stmt, 3, entry->released ? 1 : 0);
    return hm_stmt_run(stmt);
}

static int take_quarantined(void *arg, const struct hm_quarantine_entry *entry)
{
    struct hm_repair *r = arg;
    struct hm_hash hash = hm_quarantine_hash(&entry->dot, entry->bytes);
    int err;

    r->report->counts[HM_REPAIR_QUARANTINE].found++;
    if (!hm_hash_equal(&hash, &entry->hash)) {
        return HM_OK; /* not the bytes that were put there */
    }
    err = hm_quarantine_put(r->to, entry);
    if (err == HM_OK) {
        err = keep_since(r, entry);
    }
    r->report->counts[HM_REPAIR_QUARANTINE].restored += err == HM_OK;
    return err;
}

int hm_repair_restore_rest(struct hm_repair *r)
{
    struct hm_salvaged invitations = {0};
    struct hm_salvaged lines = {0};
    /* Keys that no entry ever had. */
    int err = hm_db_exec(hm_store_db(r->from),
                         "DELETE FROM quarantine WHERE length(hash) <> 16");

    if (err == HM_OK) {
        err = hm_quarantine_each(r->from, take_quarantined, r);
    }
    if (err == HM_OK) {
        err = hm_salvage_table(hm_store_db(r->from), hm_store_db(r->to), "invitation",
                               &invitations);
    }
    if (err == HM_OK) {
        err = hm_salvage_table(hm_store_db(r->from), hm_store_db(r->to), "import_line",
                               &lines);
    }
    r->report->counts[HM_REPAIR_IMPORTS].found = lines.rows;
    r->report->counts[HM_REPAIR_IMPORTS].restored = lines.rows;
    return err;
}
