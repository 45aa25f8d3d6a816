#include "daemon/serve/verify_log.h"

#include <inttypes.h>

#include "storage/blobs.h"
#include "storage/devices.h"
#include "storage/log.h"

struct chain {
    struct hm_call *call;
    const struct hm_log *log;
    struct hm_buf *report;
    struct hm_arena arena; /* of one segment */
    const uint8_t *key;    /* of the author; NULL: not known here */
    struct hm_hash hash;   /* behind entry n - 1 */
    uint64_t n;            /* the next entry */
    bool broken;
};

static void fault(struct chain *c, const char *what)
{
    hm_buf_printf(c->report, "log %016" PRIx64 " at %" PRIu64 ": %s\n",
                  c->log->author.incarnation, c->n, what);
    c->broken = true;
}

static int check_kept(struct chain *c)
{
    struct hm_hash kept;
    int err = hm_log_chain_at(c->call->s, c->log->author.incarnation, c->n - 1, &kept);

    if (err == HM_NOTFOUND || (err == HM_OK && !hm_hash_equal(&kept, &c->hash))) {
        fault(c, "the chain does not lead here");
        return HM_OK;
    }
    return err;
}

static bool is_fault(int err)
{
    return err == HM_CHAIN || err == HM_MALFORMED || err == HM_TRUNCATED ||
           err == HM_NONCANONICAL || err == HM_TOOBIG || err == HM_SIGNATURE ||
           err == HM_CORRUPT || err == HM_NOTFOUND || err == HM_VERSION;
}

static int open_segment(struct chain *c, const struct hm_stored_segment *stored,
                        struct hm_segment *out, const struct hm_bytes **out_entries)
{
    struct hm_dictionary dictionary = {.id = 0};
    int err = hm_segment_open(stored->bytes, out);

    if (err == HM_OK && c->key != NULL) {
        err = hm_segment_verify(out, c->key);
    }
    if (err == HM_OK) {
        err = hm_blobs_dictionary(c->call->s, out->dictionary, &c->arena, &dictionary);
    }
    if (err == HM_OK) {
        err = hm_segment_unpack(out, dictionary, &c->arena, out_entries);
    }
    return err;
}

/* Entries from c->n on as far as the segment goes. */
static int check_segment(struct chain *c)
{
    const struct hm_bytes *entries = NULL;
    struct hm_stored_segment stored;
    struct hm_segment segment;
    int err = hm_log_segment_with(c->call->s, c->log->author.incarnation, c->n,
                                  &c->arena, &stored);

    if (err == HM_OK) {
        err = open_segment(c, &stored, &segment, &entries);
    }
    if (is_fault(err)) {
        fault(c, hm_err_text(err));
        return HM_OK;
    }
    if (err != HM_OK) {
        return err;
    }
    if (segment.first_n > c->n || segment.first_n + segment.count <= c->n) {
        fault(c, "the segment does not hold it");
        return HM_OK;
    }
    for (uint64_t i = c->n - segment.first_n;
         i < segment.count && c->n < c->log->entries; i++) {
        c->hash = hm_chain_next(&c->hash, entries[i]);
        c->n++;
    }
    return check_kept(c);
}

static int check_entry(struct chain *c)
{
    struct hm_bytes bytes = {0};
    int verdict;
    int err = hm_log_entry(c->call->s, c->log->author.incarnation, c->n, &c->arena,
                           &bytes, &verdict);

    if (is_fault(err)) {
        fault(c, hm_err_text(err));
        return HM_OK;
    }
    if (err != HM_OK) {
        return err;
    }
    c->hash = hm_chain_next(&c->hash, bytes);
    c->n++;
    return check_kept(c);
}

static int find_key(struct hm_call *call, uint64_t device, const uint8_t **out_key)
{
    struct hm_device *found = hm_arena_alloc(&call->arena, sizeof *found);
    int err = HM_OK;

    *out_key = NULL;
    if (found == NULL) {
        return HM_NOMEM;
    }
    if (device == hm_store_device(call->s)) {
        *out_key = hm_store_public_key(call->s);
        return HM_OK;
    }
    err = hm_devices_get(call->s, device, &call->arena, found);
    if (err == HM_OK) {
        *out_key = found->public_key;
    }
    return err == HM_NOTFOUND ? HM_OK : err;
}

static int check_log(struct hm_call *call, const struct hm_log *log,
                     struct hm_buf *report)
{
    struct chain c = {.call = call, .log = log, .report = report};
    int err = find_key(call, log->author.device, &c.key);

    c.hash = HM_CHAIN_START;
    while (err == HM_OK && c.n < log->entries && !c.broken) {
        hm_arena_init(&c.arena, HM_CALL_HOUSEHOLD_BYTES_MAX);
        err = !log->own || c.n < log->sealed ? check_segment(&c) : check_entry(&c);
        hm_arena_deinit(&c.arena);
    }
    if (err == HM_OK && !c.broken && log->entries > 0 &&
        !hm_hash_equal(&c.hash, &log->chain)) {
        fault(&c, "the chain does not end as kept");
    }
    return err;
}

struct logs {
    struct hm_arena *arena;
    struct hm_log *logs;
    size_t count;
    size_t room;
};

static int note_log(void *arg, const struct hm_log *log)
{
    struct logs *logs = arg;

    if (logs->count == logs->room) {
        logs->room = 2 * logs->room + 16;
        logs->logs = hm_arena_grow(logs->arena, logs->logs, logs->count, logs->room,
                                   sizeof *logs->logs);
        if (logs->logs == NULL) {
            return HM_NOMEM;
        }
    }
    logs->logs[logs->count++] = *log;
    return HM_OK;
}

int hm_verify_log_chains(struct hm_call *call, struct hm_buf *report,
                         uint64_t *out_entries)
{
    struct logs logs = {.arena = &call->arena};
    int err = hm_log_each(call->s, note_log, &logs);

    *out_entries = 0;
    for (size_t i = 0; i < logs.count && err == HM_OK; i++) {
        err = check_log(call, &logs.logs[i], report);
        *out_entries += logs.logs[i].entries;
    }
    return err;
}

int hm_verify_log_fold(struct hm_call *call, const struct hm_household *h,
                       struct hm_arena *arena, bool *out_known, bool *out_equal)
{
    struct hm_household folded;
    struct hm_dot *dots = NULL;
    struct hm_buf mine;
    struct hm_buf theirs;
    size_t count = 0;
    int err = hm_log_history(call->s, h->home, &h->id, arena, &dots, &count);

    *out_known = count > 0;
    *out_equal = true;
    hm_household_init(&folded, &h->id, arena);
    for (size_t i = 0; i < count && err == HM_OK && *out_known; i++) {
        struct hm_change change;
        struct hm_bytes bytes = {0};
        struct hm_log log;
        bool applied;
        int verdict = HM_OK;

        err = hm_log_get(call->s, dots[i].incarnation, &log);
        if (err == HM_OK) {
            err = hm_log_entry(call->s, dots[i].incarnation, dots[i].n, arena, &bytes,
                               &verdict);
        }
        if (err == HM_OK && verdict != HM_OK) {
            *out_known = false; /* order counts once something was refused */
            return HM_OK;
        }
        if (err == HM_OK) {
            err = hm_change_decode(bytes, &dots[i], arena, &change);
        }
        if (err == HM_OK) {
            err = hm_household_apply(&folded, &change, &dots[i], &log.author, &applied);
        }
    }
    hm_buf_init(&mine, HM_HOUSEHOLD_BYTES_MAX);
    hm_buf_init(&theirs, HM_HOUSEHOLD_BYTES_MAX);
    if (err == HM_OK) {
        hm_household_encode(h, &mine);
        hm_household_encode(&folded, &theirs);
        err = mine.err != HM_OK ? mine.err : theirs.err;
        *out_equal = hm_bytes_equal(hm_buf_bytes(&mine), hm_buf_bytes(&theirs));
    }
    hm_buf_deinit(&mine);
    hm_buf_deinit(&theirs);
    return err;
}
