/* What is looked at before a store is called sound. */
#include <inttypes.h>

#include "storage/blobs.h"
#include "storage/feeds.h"
#include "storage/households.h"
#include "storage/items.h"
#include "storage/log_files.h"
#include "storage/repair_parts.h"

struct checking {
    struct hm_store *s;
    struct hm_buf *report;
    struct hm_bytes authority;
};

/* Is it what stored data is like, and not want of memory? */
static bool is_fault(int err)
{
    return err == HM_CORRUPT || err == HM_NOTFOUND ||
           hm_err_class(err) == HM_CLASS_REJECT;
}

/* A fault goes into the report, all else is returned. */
static int note(struct checking *c, int err, const char *what)
{
    if (!is_fault(err)) {
        return err;
    }
    hm_buf_printf(c->report, "%s: %s\n", what, hm_err_text(err));
    return HM_OK;
}

static int check_state(void *arg, const struct hm_household_row *row)
{
    struct checking *c = arg;
    struct hm_household h;
    struct hm_arena arena;
    int err;

    hm_arena_init(&arena, HM_HOUSEHOLD_ARENA_BYTES_MAX);
    err = hm_household_decode(row->state, &arena, &h);
    hm_arena_deinit(&arena);
    return note(c, err, "a household's state");
}

static int check_scope(struct checking *c, uint32_t scope)
{
    struct hm_feed_state feed;
    struct hm_hash digest;
    uint64_t households = 0;
    int err = hm_feeds_get(c->s, scope, &feed);

    if (err == HM_OK) {
        err = hm_households_recompute(c->s, scope, &digest, &households);
    }
    if (err == HM_OK &&
        (!hm_hash_equal(&digest, &feed.digest) || households != feed.households)) {
        err = HM_CORRUPT;
    }
    if (err == HM_OK) {
        err = hm_households_each(c->s, scope, 0, check_state, c);
    }
    return note(c, err, "the households of a hamlet");
}

static int check_scopes(struct checking *c, struct hm_arena *arena)
{
    uint32_t *scopes = NULL;
    size_t count = 0;
    int err = hm_households_scopes(c->s, arena, &scopes, &count);

    for (size_t i = 0; i < count && err == HM_OK; i++) {
        err = check_scope(c, scopes[i]);
    }
    return note(c, err, "the list of hamlets");
}

static int check_item(void *arg, const struct hm_admin_item *item)
{
    struct checking *c = arg;
    bool taken;
    /* It is there in this version: only its signature is looked at. */
    int err = hm_items_take(c->s, item, c->authority.data, &taken);

    /* That of a hub which is not known any more can't be. */
    return note(c, err == HM_AGAIN ? HM_OK : err, "an administrative item");
}

static int check_items(struct checking *c, struct hm_arena *arena)
{
    int err = hm_store_get_bytes(c->s, HM_META_AUTHORITY, arena, &c->authority);

    if (err == HM_NOTFOUND) {
        return HM_OK; /* a node that is still new */
    }
    if (err == HM_OK && c->authority.len != HM_PUBLIC_KEY_BYTES) {
        err = HM_CORRUPT;
    }
    if (err == HM_OK) {
        err = hm_items_each_of_all(c->s, check_item, c);
    }
    return note(c, err, "the administrative items");
}

/* The entries of a log, as they lie there. */
static int check_log(void *arg, const struct hm_log *log)
{
    struct checking *c = arg;
    struct hm_hash chain = HM_CHAIN_START;
    uint64_t n = 0;
    int err = HM_OK;

    while (n < log->entries && err == HM_OK) {
        struct hm_dictionary dictionary = {.id = 0};
        const struct hm_bytes *entries = NULL;
        struct hm_stored_segment stored;
        struct hm_segment segment = {.count = 1};
        struct hm_bytes one;
        struct hm_arena arena;
        uint64_t first_n = n;
        int verdict;

        hm_arena_init(&arena, HM_REPAIR_ARENA_BYTES_MAX);
        if (log->own && n >= log->sealed) {
            err =
                hm_log_entry(c->s, log->author.incarnation, n, &arena, &one, &verdict);
            entries = &one;
        } else {
            err =
                hm_log_segment_with(c->s, log->author.incarnation, n, &arena, &stored);
            if (err == HM_OK) {
                err = hm_segment_open(stored.bytes, &segment);
            }
            if (err == HM_OK) {
                err =
                    hm_blobs_dictionary(c->s, segment.dictionary, &arena, &dictionary);
            }
            if (err == HM_OK) {
                err = hm_segment_unpack(&segment, dictionary, &arena, &entries);
                first_n = segment.first_n;
            }
        }
        err = err == HM_DICTIONARY ? HM_CORRUPT : err;
        if (err == HM_OK && (first_n > n || first_n + segment.count <= n)) {
            err = HM_CORRUPT;
        }
        for (; err == HM_OK && n < first_n + segment.count && n < log->entries; n++) {
            chain = hm_chain_next(&chain, entries[n - first_n]);
        }
        hm_arena_deinit(&arena);
    }
    if (err == HM_OK && !hm_hash_equal(&chain, &log->chain)) {
        err = HM_CHAIN;
    }
    return note(c, err, "a log");
}

static int check_all(struct checking *c, const struct hm_files *files, const char *dir)
{
    enum hm_node_role role;
    struct hm_arena arena;
    uint64_t count = 0;
    int err;

    hm_arena_init(&arena, HM_REPAIR_ARENA_BYTES_MAX);
    err = note(c, hm_store_role(c->s, &role), "the node's role");
    if (err == HM_OK) {
        err = check_scopes(c, &arena);
    }
    if (err == HM_OK) {
        err = check_items(c, &arena);
    }
    if (err == HM_OK) {
        err = note(c, hm_blobs_verify(c->s, c->report, &count), "form packages");
    }
    if (err == HM_OK) {
        err = note(c, hm_log_each(c->s, check_log, c), "the logs");
    }
    if (err == HM_OK) {
        err = note(c, hm_log_files_check(files, dir, c->s, false, c->report, &count),
                   "the files of the log");
    }
    hm_arena_deinit(&arena);
    return err;
}

int hm_repair_check(struct hm_store *s, const struct hm_files *files, const char *dir,
                    struct hm_buf *report)
{
    struct checking c = {.s = s, .report = report};
    int err = hm_db_check(hm_store_db(s), report);

    if (err == HM_OK) {
        err = hm_store_begin_read(s);
    }
    if (err == HM_OK) {
        err = hm_store_end(s, check_all(&c, files, dir));
    }
    if (err == HM_OK && report->len > 0) {
        err = HM_CORRUPT;
    }
    return err;
}
