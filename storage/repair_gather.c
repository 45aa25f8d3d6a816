/* What there is, from the old store and from the files beside it. */
#include <stdio.h>

#include "storage/devices.h"
#include "storage/facts.h"
#include "storage/log_files.h"
#include "storage/repair_parts.h"
#include "storage/salvage.h"

/* -- The old store -- */

int hm_repair_gather_old(struct hm_repair *r)
{
    static const char *const tables[] = {
        "meta",  "item",       "blob",      "entry",      "segment",    "incarnation",
        "token", "dictionary", "household", "invitation", "quarantine", "import_line"};
    struct hm_db_options options = {
        .path = r->options->old_path, .vfs = r->options->store.vfs, .read_only = true};
    struct hm_salvaged sum = {0};
    struct hm_db *old = NULL;
    int err = HM_OK;

    if (options.path == NULL) {
        return HM_OK;
    }
    err = hm_db_open(&options, &old);
    if (err != HM_OK) {
        r->report->holes++; /* not even its head can be read */
        return err == HM_NOMEM ? err : HM_OK;
    }
    for (size_t i = 0; i < sizeof tables / sizeof tables[0] && err == HM_OK; i++) {
        err = hm_salvage_table(old, hm_store_db(r->from), tables[i], &sum);
    }
    hm_db_close(old);
    r->report->holes += sum.holes;
    return err;
}

/* -- Facts and tokens -- */

static int facts_of_file(struct hm_repair *r, bool *out_found)
{
    char path[HM_FILES_PATH_MAX];
    uint64_t facts = 0;
    struct hm_buf buf;
    int err = hm_files_join(path, r->options->dir, HM_FACTS_FILE);

    hm_buf_init(&buf, 2 * HM_FACTS_BYTES_MAX);
    if (err == HM_OK) {
        err = r->options->files->read(r->options->files->arg, path, &buf);
    }
    if (err == HM_OK) {
        err = hm_facts_restore(r->to, hm_buf_bytes(&buf), &facts);
    }
    hm_buf_deinit(&buf);
    *out_found = err == HM_OK;
    r->report->counts[HM_REPAIR_FACTS].found += facts;
    r->report->counts[HM_REPAIR_FACTS].restored += facts;
    return err == HM_NOTFOUND || err == HM_CORRUPT || err == HM_TOOBIG ? HM_OK : err;
}

static int facts_of_old(struct hm_repair *r)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err =
        hm_db_stmt(hm_store_db(r->from), "SELECT name, number, bytes FROM meta", &stmt);

    while (err == HM_OK && (err = hm_stmt_step(stmt, &row)) == HM_OK && row) {
        const char *name = hm_stmt_str(stmt, 0);

        if (!hm_facts_is_kept(name)) {
            continue;
        }
        r->report->counts[HM_REPAIR_FACTS].found++;
        r->report->counts[HM_REPAIR_FACTS].restored++;
        if (hm_stmt_is_null(stmt, 1)) {
            err = hm_store_set_bytes(r->to, name, hm_stmt_bytes(stmt, 2));
        } else {
            err = hm_store_set_number(r->to, name, hm_stmt_int(stmt, 1));
        }
    }
    return err;
}

static int take_facts(struct hm_repair *r)
{
    enum hm_node_role role = HM_NODE_NEW;
    bool found = false;
    int err = facts_of_file(r, &found);

    if (err == HM_OK && !found) {
        err = facts_of_old(r);
    }
    if (err == HM_OK) {
        err = hm_store_role(r->to, &role);
    }
    if (err == HM_OK && role == HM_NODE_NEW && !found && r->report->holes > 0) {
        err = hm_store_fail(r->to, HM_NOTFOUND,
                            "neither the store nor " HM_FACTS_FILE
                            " says what this node is; restore a backup");
    }
    return err;
}

static int take_tokens(struct hm_repair *r)
{
    struct hm_repair_count *count = &r->report->counts[HM_REPAIR_TOKENS];
    struct hm_salvaged sum = {0};
    int64_t tokens = 0;
    /* Those of the facts stay: they were checked. */
    int err = hm_salvage_table(hm_store_db(r->from), hm_store_db(r->to), "token", &sum);

    if (err == HM_OK) {
        err =
            hm_db_query_int(hm_store_db(r->to), "SELECT COUNT(*) FROM token", &tokens);
    }
    count->found = count->restored = (uint64_t)tokens;
    return err;
}

/* -- Items and blobs -- */

static int take_item(struct hm_repair *r, const struct hm_admin_item *item)
{
    struct hm_repair_count *count = &r->report->counts[HM_REPAIR_ITEMS];
    struct hm_bytes authority;
    struct hm_arena arena;
    bool taken = false;
    int err;

    hm_arena_init(&arena, 64 * 1024);
    err = hm_store_get_bytes(r->to, HM_META_AUTHORITY, &arena, &authority);
    if (err == HM_NOTFOUND) { /* a centre's items are its own word */
        authority = hm_bytes_of(hm_store_public_key(r->to), HM_PUBLIC_KEY_BYTES);
        err = HM_OK;
    }
    if (err == HM_OK && authority.len != HM_PUBLIC_KEY_BYTES) {
        err = HM_SIGNATURE;
    }
    if (err == HM_OK) {
        err = hm_items_take(r->to, item, authority.data, &taken);
    }
    hm_arena_deinit(&arena);
    count->found++;
    /* Not what was signed is left out. */
    return err == HM_SIGNATURE || err == HM_TOOBIG || err == HM_AGAIN ? HM_OK : err;
}

static int items_of_old(struct hm_repair *r)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err = hm_db_stmt(hm_store_db(r->from),
                         "SELECT kind, id, version, body, signature FROM item "
                         "ORDER BY position",
                         &stmt);

    while (err == HM_OK && (err = hm_stmt_step(stmt, &row)) == HM_OK && row) {
        struct hm_admin_item item = {.kind = (enum hm_item_kind)hm_stmt_int(stmt, 0),
                                     .id = hm_stmt_u64(stmt, 1),
                                     .version = hm_stmt_u64(stmt, 2),
                                     .body = hm_stmt_bytes(stmt, 3),
                                     .signature = hm_stmt_bytes(stmt, 4)};

        err = take_item(r, &item);
    }
    return err;
}

/* hash: what its row says, or empty. */
static int take_blob(struct hm_repair *r, struct hm_bytes bytes, struct hm_bytes hash,
                     bool is_dictionary)
{
    uint8_t actual[HM_CONTENT_HASH_BYTES];
    uint64_t id;
    int err;

    hm_hash_content(bytes, actual);
    if (hash.len > 0 && !hm_bytes_equal(hash, hm_bytes_of(actual, sizeof actual))) {
        return HM_OK; /* not what it was */
    }
    err = hm_blobs_put(r->to, bytes, actual);
    if (err == HM_OK && is_dictionary) {
        err = hm_blobs_add_dictionary(r->to, actual, &id);
    }
    return err == HM_TOOBIG ? HM_OK : err;
}

static int blobs_of_old(struct hm_repair *r)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err = hm_db_stmt(hm_store_db(r->from),
                         "SELECT blob.hash, blob.bytes, dictionary.id FROM blob "
                         "LEFT JOIN dictionary ON dictionary.hash = blob.hash "
                         "ORDER BY dictionary.added",
                         &stmt);

    while (err == HM_OK && (err = hm_stmt_step(stmt, &row)) == HM_OK && row) {
        r->report->counts[HM_REPAIR_BLOBS].found++;
        err = take_blob(r, hm_stmt_bytes(stmt, 1), hm_stmt_bytes(stmt, 0),
                        !hm_stmt_is_null(stmt, 2));
    }
    return err;
}

static int basics_of_record(void *arg, const struct hm_record *record)
{
    struct hm_repair *r = arg;
    struct hm_admin_item item;
    int err;

    switch (record->kind) {
    case HM_RECORD_ITEM:
        err = hm_items_decode(record->body, &item);
        if (err == HM_OK) {
            err = take_item(r, &item);
        }
        return hm_err_class(err) == HM_CLASS_REJECT ? HM_OK : err;
    case HM_RECORD_BLOB:
    case HM_RECORD_DICTIONARY:
        r->report->counts[HM_REPAIR_BLOBS].found++;
        return take_blob(r, record->body, (struct hm_bytes){0},
                         record->kind == HM_RECORD_DICTIONARY);
    case HM_RECORD_SEGMENT:
    case HM_RECORD_FACTS:
        break;
    }
    return HM_OK;
}

static int count_rows(struct hm_repair *r, const char *sql, enum hm_repair_kind kind)
{
    int64_t rows = 0;
    int err = hm_db_query_int(hm_store_db(r->to), sql, &rows);

    r->report->counts[kind].restored = (uint64_t)rows;
    return err;
}

int hm_repair_take_basics(struct hm_repair *r)
{
    int err = take_facts(r);

    if (err == HM_OK) {
        err = take_tokens(r);
    }
    if (err == HM_OK) { /* the old store first: its order is that of the feed */
        err = items_of_old(r);
    }
    if (err == HM_OK) {
        err = blobs_of_old(r);
    }
    if (err == HM_OK) {
        err = hm_log_files_each(r->options->files, r->options->dir, basics_of_record, r,
                                &r->report->torn_bytes);
    }
    if (err == HM_OK) {
        err = count_rows(r, "SELECT COUNT(*) FROM item", HM_REPAIR_ITEMS);
    }
    if (err == HM_OK) {
        err = count_rows(r, "SELECT COUNT(*) FROM blob", HM_REPAIR_BLOBS);
    }
    return err;
}

/* -- Entries -- */

/* An entry whose segment was signed: over whatever the old store said of it. */
static int stage_entry(struct hm_repair *r, uint64_t incarnation, uint64_t n,
                       const struct hm_hash *chain, struct hm_bytes bytes)
{
    struct hm_stmt *stmt;
    int err = hm_db_stmt(hm_store_db(r->from),
                         "INSERT INTO entry (incarnation, n, chain, verdict, segment, "
                         "bytes) VALUES ($1, $2, $3, 0, NULL, $4) "
                         "ON CONFLICT (incarnation, n) DO UPDATE SET "
                         "chain = excluded.chain, bytes = excluded.bytes",
                         &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, incarnation);
    hm_stmt_bind_u64(stmt, 2, n);
    hm_stmt_bind_bytes(stmt, 3, hm_hash_bytes(chain));
    hm_stmt_bind_bytes(stmt, 4, bytes);
    return hm_stmt_run(stmt);
}

/* The entries of an own segment; of one that is not sound, none. */
static int stage_segment(struct hm_repair *r, struct hm_bytes bytes)
{
    struct hm_dictionary dictionary = {.id = 0};
    const struct hm_bytes *entries = NULL;
    struct hm_segment segment;
    struct hm_hash chain;
    struct hm_arena arena;
    int err = hm_segment_open(bytes, &segment);

    if (err != HM_OK || segment.device != hm_store_device(r->to) ||
        hm_segment_verify(&segment, hm_store_public_key(r->to)) != HM_OK) {
        return err == HM_NOMEM ? err : HM_OK;
    }
    hm_arena_init(&arena, HM_REPAIR_ARENA_BYTES_MAX);
    err = hm_blobs_dictionary(r->to, segment.dictionary, &arena, &dictionary);
    if (err == HM_OK) {
        err = hm_segment_unpack(&segment, dictionary, &arena, &entries);
    }
    if (err == HM_DICTIONARY || hm_err_class(err) == HM_CLASS_REJECT) {
        hm_arena_deinit(&arena);
        return HM_OK;
    }
    chain = segment.prev_chain;
    for (size_t i = 0; i < segment.count && err == HM_OK; i++) {
        chain = hm_chain_next(&chain, entries[i]);
        err = stage_entry(r, segment.incarnation, segment.first_n + i, &chain,
                          entries[i]);
    }
    hm_arena_deinit(&arena);
    return err;
}

static int segment_of_record(void *arg, const struct hm_record *record)
{
    return record->kind == HM_RECORD_SEGMENT ? stage_segment(arg, record->body) : HM_OK;
}

int hm_repair_gather_entries(struct hm_repair *r)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err = hm_db_stmt(hm_store_db(r->from), "SELECT bytes FROM segment", &stmt);

    while (err == HM_OK && (err = hm_stmt_step(stmt, &row)) == HM_OK && row) {
        err = stage_segment(r, hm_stmt_bytes(stmt, 0));
    }
    if (err == HM_OK) {
        err = hm_log_files_each(r->options->files, r->options->dir, segment_of_record,
                                r, NULL);
    }
    return err;
}
