/* A file of many small segments becomes one of few large ones. */
#include "storage/log_files_parts.h"

/* Consecutive entries of one log that wait to be sealed together. */
struct joining {
    const struct hm_log_files *f;
    struct hm_buf *out;
    struct hm_arena arena; /* of the entries */
    struct hm_segment_seal seal;
    struct hm_bytes entries[HM_SEGMENT_ENTRIES_MAX];
    size_t bytes;
    uint64_t next_n;
    struct hm_hash chain; /* behind the last entry */
    unsigned records;     /* written */
};

static int flush(struct joining *j)
{
    struct hm_buf sealed;
    int err;

    if (j->seal.count == 0) {
        return HM_OK;
    }
    j->seal.entries = j->entries;
    hm_buf_init(&sealed, 2 * HM_SEGMENT_BYTES_MAX);
    err = hm_segment_seal(&j->seal, &sealed);
    if (err == HM_OK) {
        hm_records_append(j->out, HM_RECORD_SEGMENT, hm_buf_bytes(&sealed));
        err = j->out->err;
    }
    hm_buf_deinit(&sealed);
    hm_arena_deinit(&j->arena);
    j->seal.count = 0;
    j->bytes = 0;
    j->records++;
    return err;
}

static int add_entry(struct joining *j, const struct hm_segment *segment, uint64_t n,
                     struct hm_bytes entry)
{
    int err = HM_OK;

    if (j->seal.count == HM_SEGMENT_ENTRIES_MAX ||
        (j->seal.count > 0 && j->bytes + entry.len > HM_SEGMENT_BODY_BYTES_MAX)) {
        struct hm_hash chain = j->chain;

        err = flush(j);
        j->chain = chain;
    }
    if (err == HM_OK && j->seal.count == 0) {
        j->seal.first_n = n;
        j->seal.prev_chain = j->chain;
        j->seal.incarnation = segment->incarnation;
    }
    if (err == HM_OK) {
        err = hm_arena_copy(&j->arena, entry, &j->entries[j->seal.count]);
    }
    if (err == HM_OK) {
        j->chain = hm_chain_next(&j->chain, entry);
        j->bytes += entry.len;
        j->seal.count++;
        j->next_n = n + 1;
    }
    return err;
}

static int keep_record(struct joining *j, const struct hm_record *record)
{
    hm_buf_append(j->out, record->whole);
    j->records++;
    return j->out->err;
}

/* Its entries join those before it when they follow them; what cannot be read is kept
 * as it is. */
static int join_segment(struct joining *j, const struct hm_record *record)
{
    const struct hm_bytes *entries = NULL;
    struct hm_segment segment;
    struct hm_arena arena;
    int err = hm_segment_open(record->body, &segment);

    hm_arena_init(&arena, 4 * HM_SEGMENT_BODY_BYTES_MAX);
    if (err == HM_OK) {
        err = hm_segment_unpack(&segment, HM_DICTIONARY_NONE, &arena, &entries);
    }
    if (err != HM_OK || segment.device != j->f->device) {
        hm_arena_deinit(&arena);
        return err == HM_NOMEM ? err : keep_record(j, record);
    }
    if (j->seal.count > 0 &&
        (j->seal.incarnation != segment.incarnation || j->next_n != segment.first_n ||
         !hm_hash_equal(&j->chain, &segment.prev_chain))) {
        err = flush(j);
    }
    if (err == HM_OK && j->seal.count == 0) {
        j->chain = segment.prev_chain;
    }
    for (size_t i = 0; i < segment.count && err == HM_OK; i++) {
        err = add_entry(j, &segment, segment.first_n + i, entries[i]);
    }
    hm_arena_deinit(&arena);
    return err;
}

/* The records of bytes, joined, into out. */
static int join(const struct hm_log_files *f, struct hm_bytes bytes, struct hm_buf *out,
                unsigned *out_records)
{
    struct joining j = {.f = f, .out = out};
    struct hm_record record;
    uint64_t skipped = 0;
    int err = HM_OK;

    j.seal.device = f->device;
    j.seal.dictionary = HM_DICTIONARY_NONE;
    j.seal.secret_key = f->secret_key;
    hm_arena_init(&j.arena, 4 * HM_SEGMENT_BODY_BYTES_MAX);
    while (err == HM_OK && hm_records_next(&bytes, &record, &skipped)) {
        err = record.kind == HM_RECORD_SEGMENT ? join_segment(&j, &record)
                                               : keep_record(&j, &record);
    }
    if (err == HM_OK) {
        err = flush(&j);
    }
    hm_arena_deinit(&j.arena);
    *out_records = j.records;
    return err;
}

int hm_log_files_compact(struct hm_log_files *f)
{
    char path[HM_FILES_PATH_MAX];
    unsigned records = 0;
    struct hm_buf before;
    struct hm_buf after;
    int err = hm_log_files_path(f, f->number, path);

    hm_buf_init(&before, HM_RECORDS_FILE_BYTES_MAX);
    hm_buf_init(&after, HM_RECORDS_FILE_BYTES_MAX);
    if (err == HM_OK) {
        err = f->files->read(f->files->arg, path, &before);
    }
    if (err == HM_OK) {
        err = join(f, hm_buf_bytes(&before), &after, &records);
    }
    if (err == HM_OK) {
        err = hm_files_replace(f->files, f->folder, strrchr(path, '/') + 1,
                               hm_buf_bytes(&after));
        f->number = 0; /* which of the two the name leads to is known only on success */
    }
    if (err == HM_OK) {
        f->number = f->number_max;
        f->stats.bytes = f->stats.bytes - f->size + after.len;
        f->stats.compactions++;
        f->size = after.len;
        f->small_records = 0;
    }
    hm_buf_deinit(&before);
    hm_buf_deinit(&after);
    return err;
}
