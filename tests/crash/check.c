#include "tests/crash/check.h"

#include <inttypes.h>

#include "protocol/digest.h"
#include "storage/blobs.h"
#include "storage/feeds.h"
#include "storage/imports.h"
#include "storage/log.h"
#include "storage/quarantine.h"

enum { ARENA_BYTES = 64 * 1024 * 1024 };

struct check {
    struct hm_world *w;
    unsigned node;
    struct hm_store *s;
    bool failed;
    bool lost; /* the failure is a lost answer */
};

static int found(struct check *c, const char *what, int err)
{
    if (!c->failed) {
        c->failed = true;
        (void)hm_world_fail(c->w, "node %u: %s (%s; %s)", c->node, what,
                            hm_err_name(err), hm_store_errmsg(c->s));
    }
    return HM_CORRUPT;
}

/* -- Structure and states ------------------------------------------------------------
 */

static void check_structure(struct check *c)
{
    struct hm_buf report;
    int err;

    hm_buf_init(&report, 4096);
    err = hm_db_check(hm_store_db(c->s), &report);
    if (err != HM_OK) {
        (void)found(c, report.len > 0 ? hm_buf_str(&report) : "structure", err);
    }
    hm_buf_deinit(&report);
}

/* The state that the log tells, from nothing. */
static int fold(struct check *c, const struct hm_household_row *row,
                struct hm_arena *arena, struct hm_hash *out)
{
    struct hm_household h;
    struct hm_dot *dots = NULL;
    struct hm_buf state;
    size_t count = 0;
    int err = hm_log_history(c->s, row->home, &row->id, arena, &dots, &count);

    hm_household_init(&h, &row->id, arena);
    for (size_t i = 0; i < count && err == HM_OK; i++) {
        struct hm_change change;
        struct hm_bytes bytes;
        struct hm_log log;
        bool applied;
        int verdict = HM_OK;

        err =
            hm_log_entry(c->s, dots[i].incarnation, dots[i].n, arena, &bytes, &verdict);
        if (err == HM_OK) {
            err = hm_change_decode(bytes, &dots[i], arena, &change);
        }
        if (err == HM_OK) {
            err = hm_log_get(c->s, dots[i].incarnation, &log);
        }
        if (err == HM_OK) {
            err = verdict == HM_OK
                      ? hm_household_apply(&h, &change, &dots[i], &log.author, &applied)
                      : hm_household_refuse(&h, &change, &dots[i], &log.author);
        }
    }
    if (err == HM_OK) {
        hm_buf_init(&state, 2 * HM_HOUSEHOLD_BYTES_MAX);
        hm_household_encode(&h, &state);
        err = state.err;
        *out = hm_household_hash(hm_buf_bytes(&state));
        hm_buf_deinit(&state);
    }
    return err;
}

static int check_row(void *arg, const struct hm_household_row *row)
{
    struct check *c = arg;
    struct hm_policy_conflict *conflicts = NULL;
    struct hm_village_node *n = hm_world_node(c->w, c->node);
    struct hm_household h;
    struct hm_hash hash = {{0}};
    struct hm_arena arena;
    size_t count = 0;
    int err;

    hm_arena_init(&arena, ARENA_BYTES);
    err = hm_household_decode(row->state, &arena, &h);
    if (err != HM_OK) {
        err = found(c, "a state cannot be decoded", err);
    } else if (h.home != row->home || hm_household_id_compare(&h.id, &row->id) != 0) {
        err = found(c, "a state lies at the wrong place", HM_OK);
    }
    if (err == HM_OK) {
        err = hm_policy_conflicts(&h, hm_forms_policy_of, n->forms, &arena, &conflicts,
                                  &count);
    }
    if (err == HM_OK && count != row->conflicts) {
        err = found(c, "the count of conflicts is stale", HM_OK);
    }
    if (err == HM_OK && c->node == 0) {
        err = fold(c, row, &arena, &hash);
        if (err != HM_OK) {
            err = found(c, "a history cannot be read", err);
        } else if (!hm_bytes_equal(hm_hash_bytes(&hash), row->hash)) {
            err = found(c, "a state is not what its changes give", HM_OK);
        }
    }
    hm_arena_deinit(&arena);
    return err;
}

static void check_scope(struct check *c, uint32_t scope)
{
    struct hm_feed_state feed;
    struct hm_hash digest = {{0}};
    uint64_t households = 0;
    int err = hm_feeds_get(c->s, scope, &feed);

    if (err == HM_OK) {
        err = hm_households_recompute(c->s, scope, &digest, &households);
    }
    if (err != HM_OK) {
        (void)found(c, "a feed cannot be read", err);
    } else if (!hm_hash_equal(&digest, &feed.digest) || households != feed.households) {
        (void)found(c, "a digest differs from its households", HM_OK);
    } else {
        err = hm_households_each(c->s, scope, 0, check_row, c);
        if (err != HM_OK) {
            (void)found(c, "a household", err);
        }
    }
}

/* -- Logs ----------------------------------------------------------------------------
 */

static int entries_of(struct check *c, const struct hm_log *log, uint64_t n,
                      struct hm_arena *arena, struct hm_segment *out,
                      const struct hm_bytes **out_entries)
{
    struct hm_dictionary dictionary = {.id = 0};
    struct hm_stored_segment stored;
    int err = hm_log_segment_with(c->s, log->author.incarnation, n, arena, &stored);

    if (err == HM_OK) {
        err = hm_segment_open(stored.bytes, out);
    }
    if (err == HM_OK) {
        err = hm_blobs_dictionary(c->s, out->dictionary, arena, &dictionary);
    }
    if (err == HM_OK) {
        err = hm_segment_unpack(out, dictionary, arena, out_entries);
    }
    return err;
}

/* Every entry that the log says it has is there, and leads to the next. */
static int check_log(void *arg, const struct hm_log *log)
{
    struct check *c = arg;
    struct hm_hash chain = HM_CHAIN_START;
    const struct hm_bytes *entries = NULL;
    struct hm_segment segment = {.count = 0};
    struct hm_arena arena;
    int err = HM_OK;

    hm_arena_init(&arena, ARENA_BYTES);
    for (uint64_t n = 0; n < log->entries && err == HM_OK; n++) {
        struct hm_bytes bytes = {0};
        struct hm_hash kept;
        int verdict;

        if (n < log->sealed && n >= segment.first_n + segment.count) {
            err = entries_of(c, log, n, &arena, &segment, &entries);
        }
        if (err == HM_OK && n < log->sealed) {
            bytes = entries[n - segment.first_n];
        } else if (err == HM_OK) {
            err = hm_log_entry(c->s, log->author.incarnation, n, &arena, &bytes,
                               &verdict);
        }
        if (err == HM_OK) {
            chain = hm_chain_next(&chain, bytes);
            err = hm_log_chain_at(c->s, log->author.incarnation, n, &kept);
        }
        if (err == HM_OK && !hm_hash_equal(&kept, &chain)) {
            err = HM_CHAIN;
        }
    }
    hm_arena_deinit(&arena);
    if (err == HM_OK && !hm_hash_equal(&chain, &log->chain)) {
        err = HM_CHAIN;
    }
    return err == HM_OK ? HM_OK : found(c, "a log does not fit", err);
}

/* What the centre has given a receipt for, the centre has. */
static int check_receipt(void *arg, const struct hm_log *log)
{
    struct check *c = arg;
    struct hm_log there = {.entries = 0};
    uint64_t entries = 0;
    unsigned level = 0;
    int err = hm_log_receipt(c->s, c->w->v.centre.node.device, log->author.incarnation,
                             &entries, &level);

    if (err != HM_OK || entries == 0) {
        return err;
    }
    err = hm_log_get(c->w->v.centre.node.store, log->author.incarnation, &there);
    if (err == HM_NOTFOUND || there.entries < entries) {
        c->lost = true;
        return found(c, "the centre does not have what it gave a receipt for", HM_OK);
    }
    return err;
}

/* -- Answers -------------------------------------------------------------------------
 */

/* Whether a laptop may be without a change's household: the change was refused, or its
 * hamlet is not this laptop's any more. */
static bool may_lack(struct check *c, const struct hm_ack *ack,
                     const struct hm_change *change, struct hm_arena *arena)
{
    struct hm_quarantine_entry entry;
    uint32_t *scopes = NULL;
    size_t count = 0;
    char id[HM_ID_TEXT_MAX];

    hm_dot_to_text(&ack->dot, id);
    if (c->node == 0) {
        return false;
    }
    if (hm_quarantine_get(c->s, id, arena, &entry) == HM_OK) {
        return true;
    }
    if (hm_upload_scopes(c->s, arena, &scopes, &count) != HM_OK) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (scopes[i] == change->scope) {
            return false;
        }
    }
    return true;
}

static int check_save(struct check *c, const struct hm_ack *ack, struct hm_arena *arena)
{
    struct hm_change change;
    struct hm_household h;
    struct hm_bytes bytes;
    bool decoded = false;
    int verdict = HM_OK;
    int err =
        hm_log_entry(c->s, ack->dot.incarnation, ack->dot.n, arena, &bytes, &verdict);

    if (err == HM_OK) {
        err = hm_change_decode(bytes, &ack->dot, arena, &change);
        decoded = err == HM_OK;
    }
    if (err == HM_OK) {
        err = hm_households_load(c->s, &ack->household, arena, &h);
    }
    if (err == HM_OK && hm_household_seen(&h, ack->dot.incarnation) < ack->dot.n) {
        err = HM_NOTFOUND;
    }
    if (err == HM_NOTFOUND && decoded && may_lack(c, ack, &change, arena)) {
        err = HM_OK;
    }
    return err;
}

static int check_line(struct check *c, const struct hm_ack *ack, struct hm_arena *arena)
{
    uint8_t file[HM_CONTENT_HASH_BYTES] = {0};
    struct hm_household_id id;
    struct hm_household h;
    int err;

    memcpy(file, ack->hash.bytes, HM_HASH_BYTES);
    err = hm_imports_find(c->s, file, ack->id, &id);
    if (err == HM_OK && hm_household_id_compare(&id, &ack->household) != 0) {
        err = HM_NOTFOUND;
    }
    return err == HM_OK ? hm_households_load(c->s, &id, arena, &h) : err;
}

static int check_released(void *arg, const struct hm_quarantine_entry *entry)
{
    const struct hm_ack *ack = arg;

    return hm_hash_equal(&entry->hash, &ack->hash) && entry->released ? HM_EXISTS
                                                                      : HM_OK;
}

static int check_ack(struct check *c, const struct hm_ack *ack, struct hm_arena *arena)
{
    struct hm_admin_item item;
    struct hm_ack copy = *ack;
    int64_t number = 0;
    int err = HM_OK;

    switch (ack->kind) {
    case HM_ACK_SAVE:
        return check_save(c, ack, arena);
    case HM_ACK_ITEM:
        err = hm_items_get(c->s, ack->item, ack->id, arena, &item);
        return err == HM_OK && item.version < ack->version ? HM_NOTFOUND : err;
    case HM_ACK_LINE:
        return check_line(c, ack, arena);
    case HM_ACK_RELEASED:
        err = hm_quarantine_each(c->s, check_released, &copy);
        return err == HM_EXISTS ? HM_OK : err == HM_OK ? HM_NOTFOUND : err;
    case HM_ACK_NUMBER:
    default:
        err = hm_store_get_number(c->s, ack->name, &number);
        return err == HM_OK && number < ack->number ? HM_NOTFOUND : err;
    }
}

static void check_acks(struct check *c)
{
    for (size_t i = 0; i < c->w->ack_count && !c->failed; i++) {
        const struct hm_ack *ack = &c->w->acks[i];
        struct hm_arena arena;
        int err = HM_OK;

        if (ack->node == c->node) {
            hm_arena_init(&arena, ARENA_BYTES);
            err = check_ack(c, ack, &arena);
            hm_arena_deinit(&arena);
        }
        if (err != HM_OK) {
            c->lost = true;
            (void)found(c, "an answer is lost", err);
        }
    }
}

static void run(struct check *c)
{
    struct hm_buf report;
    uint64_t blobs = 0;
    int err;

    check_structure(c);
    check_acks(c);
    for (unsigned i = 0; i < HM_VILLAGE_HAMLETS && !c->failed; i++) {
        check_scope(c, c->w->v.hamlets[i]);
    }
    err = c->failed ? HM_OK : hm_log_each(c->s, check_log, c);
    if (err == HM_OK && !c->failed && c->node != 0) {
        err = hm_world_start(c->w, 0);
        if (err == HM_OK) {
            err = hm_log_each_own(c->s, check_receipt, c);
        }
    }
    hm_buf_init(&report, 4096);
    if (err == HM_OK && !c->failed) {
        err = hm_blobs_verify(c->s, &report, &blobs);
    }
    hm_buf_deinit(&report);
    if (err != HM_OK) {
        (void)found(c, "a check could not be made", err);
    }
}

enum hm_check_finding hm_check_node(struct hm_world *w, unsigned node)
{
    struct check c = {.w = w, .node = node, .s = hm_world_node(w, node)->node.store};

    if (hm_store_begin_read(c.s) != HM_OK) {
        (void)found(&c, "no snapshot", HM_OK);
        return HM_CHECK_CORRUPT;
    }
    run(&c);
    if (hm_store_end(c.s, HM_CANCELED) != HM_CANCELED) { /* it was only read */
        (void)found(&c, "a snapshot does not end", HM_OK);
    }
    if (!c.failed) {
        return HM_CHECK_SOUND;
    }
    return c.lost ? HM_CHECK_LOST : HM_CHECK_CORRUPT;
}
