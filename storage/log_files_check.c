#include <inttypes.h>

#include "storage/log.h"
#include "storage/log_files.h"
#include "storage/quarantine.h"

struct checking {
    struct hm_store *s;
    struct hm_buf *report;
    bool grows;
    uint64_t entries;
};

static void fault(struct checking *c, const struct hm_segment *segment,
                  const char *what)
{
    hm_buf_printf(c->report,
                  "log-segments: log %016" PRIx64 " from entry %" PRIu64 ": %s\n",
                  segment->incarnation, segment->first_n, what);
}

static int found(void *arg, const struct hm_quarantine_entry *entry)
{
    *(bool *)arg = entry->reason == HM_CHAIN;
    return HM_OK;
}

/* An entry of a branch that was left lies in quarantine. HM_NOTFOUND: it does not. */
static int look_aside(struct checking *c, uint64_t incarnation, uint64_t n)
{
    bool aside = false;
    int err = hm_quarantine_each_of(c->s, incarnation, n, n, found, &aside);

    return err == HM_OK && !aside ? HM_NOTFOUND : err;
}

/* The store's chain behind an entry against the files'. */
static int compare(struct checking *c, const struct hm_segment *segment, uint64_t n,
                   const struct hm_hash *chain)
{
    struct hm_hash held;
    int err = hm_log_chain_at(c->s, segment->incarnation, n, &held);

    if (err == HM_NOTFOUND && !c->grows) {
        err = look_aside(c, segment->incarnation, n);
        if (err != HM_NOTFOUND) {
            return err;
        }
        fault(c, segment, "the store lacks entries that were filed");
    } else if (err == HM_OK && !hm_hash_equal(&held, chain)) {
        fault(c, segment, "the store has other entries");
    }
    c->entries += err == HM_OK;
    return err == HM_NOTFOUND ? HM_OK : err;
}

static int check_record(void *arg, const struct hm_record *record)
{
    struct checking *c = arg;
    const struct hm_bytes *entries = NULL;
    struct hm_segment segment = {0};
    struct hm_arena arena;
    size_t faults = c->report->len;
    int err;

    if (record->kind != HM_RECORD_SEGMENT) {
        return HM_OK;
    }
    hm_arena_init(&arena, 8 * HM_SEGMENT_BODY_BYTES_MAX);
    err = hm_segment_open(record->body, &segment);
    if (err == HM_OK && segment.device == hm_store_device(c->s)) {
        err = hm_segment_verify(&segment, hm_store_public_key(c->s));
    }
    if (err == HM_OK) {
        err = hm_segment_unpack(&segment, HM_DICTIONARY_NONE, &arena, &entries);
    }
    if (err != HM_OK && err != HM_NOMEM) {
        fault(c, &segment, hm_err_text(err));
        err = HM_OK;
    } else if (err == HM_OK) {
        struct hm_hash chain = segment.prev_chain;

        for (size_t i = 0;
             i < segment.count && err == HM_OK && c->report->len == faults; i++) {
            chain = hm_chain_next(&chain, entries[i]);
            err = compare(c, &segment, segment.first_n + i, &chain);
        }
    }
    hm_arena_deinit(&arena);
    return err;
}

int hm_log_files_check(const struct hm_files *files, const char *dir,
                       struct hm_store *s, bool grows, struct hm_buf *report,
                       uint64_t *out_entries)
{
    struct checking c = {.s = s, .report = report, .grows = grows};
    int err = hm_log_files_each(files, dir, check_record, &c, NULL);

    *out_entries = c.entries;
    return err;
}
