/* What is filed, and what is not yet. */
#include <stdlib.h>

#include "storage/items_parts.h"
#include "storage/log_files_parts.h"

/* -- What is known -- */

static struct hm_filed_log *find_log(const struct hm_log_files *f, uint64_t incarnation)
{
    for (size_t i = f->log_count; i-- > 0;) { /* the latest are asked for most */
        if (f->logs[i].incarnation == incarnation) {
            return &f->logs[i];
        }
    }
    return NULL;
}

uint64_t hm_log_files_entries(const struct hm_log_files *f, uint64_t incarnation)
{
    const struct hm_filed_log *log = find_log(f, incarnation);

    return log == NULL ? 0 : log->entries;
}

static struct hm_filed_log *want_log(struct hm_log_files *f, uint64_t incarnation)
{
    struct hm_filed_log *log = find_log(f, incarnation);

    if (log != NULL) {
        return log;
    }
    if (f->log_count == f->log_room) {
        size_t room = 2 * f->log_room + 16;
        struct hm_filed_log *more = realloc(f->logs, room * sizeof *more);

        if (more == NULL) {
            return NULL;
        }
        f->logs = more;
        f->log_room = room;
    }
    log = &f->logs[f->log_count++];
    *log = (struct hm_filed_log){.incarnation = incarnation};
    return log;
}

static int compare_known(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;

    return (left > right) - (left < right);
}

static bool is_known(const struct hm_log_files *f, const struct hm_record *record)
{
    uint64_t key = hm_hash_u64(hm_hash_bytes(&record->hash));

    return f->known_sorted > 0 &&
           bsearch(&key, f->known, f->known_sorted, sizeof key, compare_known) != NULL;
}

static int add_known(struct hm_log_files *f, const struct hm_record *record)
{
    if (f->known_count == f->known_room) {
        size_t room = 2 * f->known_room + 256;
        uint64_t *more = realloc(f->known, room * sizeof *more);

        if (more == NULL) {
            return HM_NOMEM;
        }
        f->known = more;
        f->known_room = room;
    }
    f->known[f->known_count++] = hm_hash_u64(hm_hash_bytes(&record->hash));
    return HM_OK;
}

int hm_log_files_learn(struct hm_log_files *f, const struct hm_record *record)
{
    struct hm_filed_log *log;
    struct hm_segment segment;
    int err;

    if (record->kind != HM_RECORD_SEGMENT) {
        return add_known(f, record);
    }
    err = hm_segment_open(record->body, &segment);
    if (err != HM_OK || segment.device != f->device) {
        return err == HM_NOMEM ? err : HM_OK; /* it has its hash, but says nothing */
    }
    log = want_log(f, segment.incarnation);
    if (log == NULL) {
        return HM_NOMEM;
    }
    /* Behind a gap nothing counts: all from there on is filed again. */
    if (segment.first_n <= log->next && segment.first_n + segment.count > log->next) {
        log->next = segment.first_n + segment.count;
    }
    return HM_OK;
}

void hm_log_files_note(struct hm_log_files *f, bool on_disk)
{
    for (size_t i = 0; i < f->log_count; i++) {
        struct hm_filed_log *log = &f->logs[i];

        *(on_disk ? &log->entries : &log->next) = on_disk ? log->next : log->entries;
    }
    *(on_disk ? &f->items_at : &f->items_next) = on_disk ? f->items_next : f->items_at;
    *(on_disk ? &f->blobs_at : &f->blobs_next) = on_disk ? f->blobs_next : f->blobs_at;
    if (!on_disk) {
        f->known_count = f->known_sorted;
    } else if (f->known_count > f->known_sorted) {
        qsort(f->known, f->known_count, sizeof f->known[0], compare_known);
        f->known_sorted = f->known_count;
    }
}

/* -- Own entries -- */

struct gathering {
    struct hm_log_files *f;
    struct hm_store *s;
    struct hm_buf *buf;
    size_t bytes_max;
    unsigned records;
};

static bool is_full(const struct gathering *g)
{
    return g->buf->len >= g->bytes_max;
}

/* Entries from n on, as many as one segment takes, in arena. */
static int load_entries(struct hm_store *s, const struct hm_log *log, uint64_t n,
                        struct hm_arena *arena, struct hm_bytes *entries,
                        size_t *out_count)
{
    size_t bytes = 0;
    size_t count = 0;
    int err = HM_OK;

    while (count < HM_SEGMENT_ENTRIES_MAX && n + count < log->entries) {
        int verdict;

        err = hm_log_entry(s, log->author.incarnation, n + count, arena,
                           &entries[count], &verdict);
        if (err != HM_OK ||
            (count > 0 && bytes + entries[count].len > HM_SEGMENT_BODY_BYTES_MAX)) {
            break;
        }
        bytes += entries[count].len;
        count++;
    }
    *out_count = count;
    return err;
}

static int seal(const struct gathering *g, const struct hm_log *log, uint64_t n,
                const struct hm_bytes *entries, size_t count)
{
    struct hm_segment_seal seal = {.incarnation = log->author.incarnation,
                                   .device = log->author.device,
                                   .first_n = n,
                                   .entries = entries,
                                   .count = count,
                                   .dictionary = HM_DICTIONARY_NONE,
                                   .secret_key = g->f->secret_key};
    struct hm_buf sealed;
    int err = HM_OK;

    if (n > 0) {
        err = hm_log_chain_at(g->s, seal.incarnation, n - 1, &seal.prev_chain);
    }
    if (err != HM_OK) {
        return err;
    }
    hm_buf_init(&sealed, 2 * HM_SEGMENT_BYTES_MAX);
    err = hm_segment_seal(&seal, &sealed);
    if (err == HM_OK) {
        hm_records_append(g->buf, HM_RECORD_SEGMENT, hm_buf_bytes(&sealed));
        err = g->buf->err;
    }
    hm_buf_deinit(&sealed);
    return err;
}

static int gather_log(void *arg, const struct hm_log *log)
{
    struct gathering *g = arg;
    struct hm_filed_log *filed = want_log(g->f, log->author.incarnation);
    int err = filed == NULL ? HM_NOMEM : HM_OK;

    /* Of another key's time: it could not be signed. */
    if (err == HM_OK && log->author.device != g->f->device) {
        return HM_OK;
    }
    while (err == HM_OK && filed->next < log->entries && !is_full(g)) {
        struct hm_bytes *entries;
        struct hm_arena arena;
        size_t count = 0;

        /* An entry that was sealed for sending unpacks its whole segment. */
        hm_arena_init(&arena,
                      (size_t)HM_SEGMENT_ENTRIES_MAX * 4 * HM_SEGMENT_BODY_BYTES_MAX);
        entries = hm_arena_array(&arena, HM_SEGMENT_ENTRIES_MAX, sizeof entries[0]);
        err = entries == NULL
                  ? HM_NOMEM
                  : load_entries(g->s, log, filed->next, &arena, entries, &count);
        if (err == HM_OK) {
            err = seal(g, log, filed->next, entries, count);
        }
        hm_arena_deinit(&arena);
        filed->next += err == HM_OK ? count : 0;
        g->records++;
    }
    return err;
}

/* -- Items and blobs -- */

/* Append a record unless it is filed already. */
static int add_record(struct gathering *g, enum hm_record_kind kind,
                      struct hm_bytes body)
{
    size_t before = g->buf->len;
    struct hm_bytes added;
    struct hm_record record;
    uint64_t skipped = 0;

    hm_records_append(g->buf, kind, body);
    if (g->buf->err != HM_OK) {
        return g->buf->err;
    }
    added = hm_bytes_of(g->buf->data + before, g->buf->len - before);
    HM_ASSERT(hm_records_next(&added, &record, &skipped));
    if (is_known(g->f, &record)) {
        g->buf->len = before;
        return HM_OK;
    }
    return add_known(g->f, &record);
}

static int gather_item(void *arg, const struct hm_stored_item *stored)
{
    struct gathering *g = arg;
    struct hm_buf item;
    int err;

    if (is_full(g)) {
        return HM_AGAIN;
    }
    hm_buf_init(&item, 2 * HM_ITEM_BODY_BYTES_MAX);
    hm_items_encode(&stored->item, &item);
    err = item.err == HM_OK ? add_record(g, HM_RECORD_ITEM, hm_buf_bytes(&item))
                            : item.err;
    hm_buf_deinit(&item);
    g->f->items_next = err == HM_OK ? stored->position : g->f->items_next;
    return err;
}

static int gather_items(struct gathering *g)
{
    int err = hm_items_walk(g->s, g->f->items_next, gather_item, g);

    return err == HM_AGAIN ? HM_OK : err; /* full: the next batch goes on there */
}

/* Blobs have no order: all are looked at when their number has changed. */
static int gather_blobs(struct gathering *g)
{
    struct hm_stmt *stmt;
    int64_t count = 0;
    bool row = false;
    int err = hm_db_query_int(hm_store_db(g->s),
                              "SELECT (SELECT COUNT(*) FROM blob) + "
                              "(SELECT COUNT(*) FROM dictionary)",
                              &count);

    if (err != HM_OK || count == g->f->blobs_at) {
        return err;
    }
    err = hm_db_stmt(hm_store_db(g->s),
                     "SELECT blob.bytes, dictionary.id FROM blob "
                     "LEFT JOIN dictionary ON dictionary.hash = blob.hash",
                     &stmt);
    if (err != HM_OK) {
        return err;
    }
    while (!is_full(g) && (err = hm_stmt_step(stmt, &row)) == HM_OK && row) {
        err = add_record(
            g, hm_stmt_is_null(stmt, 1) ? HM_RECORD_BLOB : HM_RECORD_DICTIONARY,
            hm_stmt_bytes(stmt, 0));
        if (err != HM_OK) {
            break;
        }
    }
    hm_stmt_reset(stmt);
    if (err == HM_OK && !is_full(g)) {
        g->f->blobs_next = count;
    }
    return err;
}

int hm_log_files_gather(struct hm_log_files *f, struct hm_store *s, size_t bytes_max,
                        struct hm_buf *buf, unsigned *out_records)
{
    struct gathering g = {.f = f, .s = s, .buf = buf, .bytes_max = bytes_max};
    int err = hm_log_each_own(s, gather_log, &g);

    if (err == HM_OK && !is_full(&g)) {
        err = gather_items(&g);
    }
    if (err == HM_OK && !is_full(&g)) {
        err = gather_blobs(&g);
    }
    *out_records = g.records;
    return err;
}
