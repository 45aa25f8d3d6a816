#include "storage/adopt_receipts.h"

#include "protocol/message.h"
#include "storage/claims.h"
#include "storage/cursors.h"
#include "storage/log.h"
#include "storage/quarantine.h"

int hm_adopt_receipt(struct hm_store *s, uint64_t parent, struct hm_bytes payload,
                     struct hm_adopt *out)
{
    struct hm_receipt receipt;
    struct hm_log log;
    uint64_t before = 0;
    unsigned level = 0;
    int err = hm_receipt_read(payload, &receipt);

    if (err == HM_OK) {
        err = hm_log_get(s, receipt.incarnation, &log);
    }
    if (err == HM_NOTFOUND) {
        return HM_OK; /* a log that this disk does not have any more */
    }
    if (err == HM_OK) {
        err = hm_log_receipt(s, parent, receipt.incarnation, &before, &level);
    }
    if (err != HM_OK) {
        return err;
    }
    /* A parent may hold more than a restored disk: that is no receipt for what is
     * written here next. */
    hm_log_heard_of(s, receipt.incarnation, receipt.count);
    if (receipt.count > log.entries) {
        receipt.count = log.entries;
    }
    if (receipt.count > before) {
        out->receipted += receipt.count - (before == 0 ? 1 : before);
    }
    if (receipt.count == before && (unsigned)receipt.level == level) {
        return HM_OK;
    }
    if (receipt.count < before) { /* it has forgotten what it had receipted */
        struct hm_lost_log lost = {receipt.incarnation, log.author.device, before};

        err = hm_claims_learn(s, &lost);
        if (err != HM_OK) {
            return err;
        }
    }
    return hm_log_set_receipt(s, parent, receipt.incarnation, receipt.count,
                              receipt.level);
}

int hm_adopt_at_centre(struct hm_store *s, uint64_t parent, struct hm_bytes payload,
                       struct hm_arena *arena)
{
    struct hm_at_centre *logs = NULL;
    size_t count = 0;
    int err = hm_at_centre_read(payload, arena, &logs, &count);

    for (size_t i = 0; i < count && err == HM_OK; i++) {
        struct hm_log log;

        err = hm_log_get(s, logs[i].incarnation, &log);
        if (err == HM_OK) {
            err = hm_log_set_at_centre(s, parent, logs[i].incarnation,
                                       logs[i].count < log.entries ? logs[i].count
                                                                   : log.entries);
        }
        err = err == HM_NOTFOUND ? HM_OK : err; /* another child's */
    }
    return err;
}

/* Where to ask from next. A parent that stands before what it told already was set back
 * by hand: what it holds is asked anew. */
int hm_adopt_told(struct hm_store *s, uint64_t parent, struct hm_bytes payload,
                  struct hm_heard *out_told, struct hm_adopt *out)
{
    struct hm_cursor_at at;
    struct hm_heard told;
    int err = hm_heard_read(payload, &told);

    if (err == HM_OK) {
        *out_told = told;
        err = hm_cursors_get(s, parent, HM_CURSOR_HEARD, &at);
    }
    if (err == HM_OK && at.timeline == told.timeline && at.position > told.position) {
        err = hm_log_doubt_receipts(s, parent, true);
        if (err == HM_OK) {
            err = hm_store_set_number(s, HM_META_OFFER_LOGS, 1);
        }
        out->more = true;
    }
    if (err == HM_OK) {
        at =
            (struct hm_cursor_at){.timeline = told.timeline, .position = told.position};
        err = hm_cursors_set(s, parent, HM_CURSOR_HEARD, &at);
    }
    return err;
}

int hm_adopt_notice(struct hm_store *s, struct hm_bytes payload, struct hm_arena *arena,
                    struct hm_adopt *out)
{
    struct hm_quarantine_entry entry = {.scope = 0};
    struct hm_quarantined notice;
    struct hm_change change;
    struct hm_log log;
    int verdict = HM_OK;
    int err = hm_quarantined_read(payload, &notice);

    if (err == HM_OK) {
        err = hm_log_get(s, notice.dot.incarnation, &log);
    }
    if (err == HM_OK) {
        err = hm_log_entry(s, notice.dot.incarnation, notice.dot.n, arena, &entry.bytes,
                           &verdict);
    }
    if (err == HM_NOTFOUND) {
        return HM_OK; /* not ours */
    }
    if (err != HM_OK) {
        return err;
    }
    err = hm_change_decode(entry.bytes, &notice.dot, arena, &change);
    if (err == HM_NOMEM) {
        return err;
    }
    if (err == HM_OK) { /* else refused since it is no change */
        entry.scope = change.scope;
        entry.household = change.household;
    }
    entry.device = log.author.device;
    entry.dot = notice.dot;
    entry.reason = (int)notice.reason;
    entry.detail = hm_arena_text(arena, notice.text);
    out->notices++;
    return entry.detail == NULL ? HM_NOMEM : hm_quarantine_put(s, &entry);
}
