#include "storage/adopt.h"

#include <stdio.h>

#include "protocol/digest.h"
#include "protocol/merge.h"
#include "protocol/message.h"
#include "storage/adopt_blobs.h"
#include "storage/adopt_departed.h"
#include "storage/adopt_here.h"
#include "storage/adopt_receipts.h"
#include "storage/claims.h"
#include "storage/cursors.h"
#include "storage/feeds.h"
#include "storage/fork.h"
#include "storage/households.h"
#include "storage/items_strange.h"
#include "storage/log.h"
#include "storage/notices.h"
#include "storage/quarantine.h"
#include "storage/rescue.h"
#include "storage/scope0.h"
#include "storage/scopes.h"
#include "storage/upload.h"

enum {
    ARENA_BYTES_MAX = 512 * 1024 * 1024,
    CLOCK_STEP_MS = 2000, /* a smaller difference is not worth a write */
    LAST_OK_EVERY_MS = 60 * 1000,
    RETRY_AFTER_S_MAX = 24 * 60 * 60 /* a longer wish counts as this */
};

/* What a reply said about one scope. */
struct heard {
    uint32_t scope;
    struct hm_feed feed; /* its last FEED frame; packed is not kept */
    bool compared;       /* a GIVE came to its end */
};

struct adopting {
    struct hm_store *s;
    struct hm_forms *forms;
    struct hm_arena *arena;
    uint64_t parent;
    struct hm_bytes authority;
    uint32_t *scopes; /* that this node is assigned */
    size_t scope_count;
    struct heard *heard;
    size_t heard_count;
    size_t heard_room;
    const struct hm_bytes *given; /* items of the last GIVE of scope 0 */
    size_t given_count;
    bool head_seen;
    bool receipt_seen;
    bool is_centre;       /* the parent */
    struct hm_heard told; /* by it; items_timeline 0: as this node's are */
    bool blobs_moved;
    bool closed; /* the centre has closed logs */
    struct hm_rescue rescue;
    struct hm_adopt out;
};

static struct heard *find_heard(struct adopting *a, uint32_t scope)
{
    for (size_t i = 0; i < a->heard_count; i++) {
        if (a->heard[i].scope == scope) {
            return &a->heard[i];
        }
    }
    if (a->heard_count == a->heard_room) {
        a->heard_room = 2 * a->heard_room + 8;
        a->heard = hm_arena_grow(a->arena, a->heard, a->heard_count, a->heard_room,
                                 sizeof a->heard[0]);
        if (a->heard == NULL) {
            return NULL;
        }
    }
    a->heard[a->heard_count] = (struct heard){.scope = scope};
    return &a->heard[a->heard_count++];
}

static int take_head(struct adopting *a, struct hm_bytes payload, int64_t sent_utc_ms,
                     int64_t received_utc_ms)
{
    struct hm_time time;
    int64_t known = 0;
    int err = hm_time_read(payload, &time);

    if (err != HM_OK) {
        return err;
    }
    if (time.device != a->parent) {
        return hm_store_fail(a->s, HM_DENIED,
                             "another node answered than the upstream");
    }
    a->head_seen = true;
    a->is_centre = time.level == HM_LEVEL_CENTRE;
    err = hm_store_get_number(a->s, HM_META_UPSTREAM_LEVEL, &known);
    if (err == HM_NOTFOUND || (err == HM_OK && known != (int64_t)time.level)) {
        err = hm_store_set_number(a->s, HM_META_UPSTREAM_LEVEL, (int64_t)time.level);
    }
    if (err != HM_OK) {
        return err;
    }
    (void)snprintf(a->out.text, sizeof a->out.text, "%.*s", (int)time.text.len,
                   (const char *)time.text.data);
    a->out.version_refused = time.version == 0;
    a->out.retry_after_ms = time.retry_after_s < RETRY_AFTER_S_MAX
                                ? time.retry_after_s * 1000
                                : RETRY_AFTER_S_MAX * 1000ULL;
    /* Half of what differs at each end; wrong by half the asymmetry of the link. */
    a->out.clock_offset_ms = (time.received_ms / 2 - sent_utc_ms / 2) +
                             (time.sent_ms / 2 - received_utc_ms / 2);
    err = hm_store_get_number(a->s, HM_META_CLOCK_OFFSET, &known);
    if (err == HM_NOTFOUND ||
        (err == HM_OK && (known - a->out.clock_offset_ms > CLOCK_STEP_MS ||
                          a->out.clock_offset_ms - known > CLOCK_STEP_MS))) {
        err = hm_store_set_number(a->s, HM_META_CLOCK_OFFSET, a->out.clock_offset_ms);
    }
    return err;
}

/* *out_again: one is of a hub that another item must tell of first. */
static int take_each_item(struct adopting *a, const struct hm_bytes *items,
                          size_t count, bool *out_again)
{
    int err = HM_OK;

    *out_again = false;
    for (size_t i = 0; i < count && err == HM_OK; i++) {
        struct hm_admin_item item;
        bool taken = false;

        err = hm_items_decode(items[i], &item);
        if (err == HM_OK) {
            err = hm_items_take(a->s, &item, a->authority.data, &taken);
        }
        if (err == HM_AGAIN) {
            *out_again = true;
            err = HM_OK;
        }
        if (err == HM_SIGNATURE) {
            (void)hm_store_fail(
                a->s, err, "the upstream sent an item that the centre did not sign");
        }
        a->out.items += taken;
        a->closed = a->closed || (taken && item.kind == HM_ITEM_CLOSED);
    }
    return err;
}

static int take_items(struct adopting *a, const struct hm_bytes *items, size_t count)
{
    uint64_t dropped = 0;
    bool again = false;
    int err = take_each_item(a, items, count, &again);

    if (err == HM_OK && again) { /* else the digest tells, and hashes bring it */
        err = take_each_item(a, items, count, &again);
    }
    if (err == HM_OK && a->out.items > 0) {
        err = hm_scope0_drop_unwanted(a->s, hm_store_device(a->s), &dropped);
    }
    if (err == HM_OK && (a->out.items > 0 || dropped > 0)) {
        err = hm_upload_scopes(a->s, a->arena, &a->scopes, &a->scope_count);
        a->out.more = true; /* cursors of new scopes, blobs of new forms */
    }
    return err;
}

/* Is what the parent sent here already, byte for byte? */
static int compare_own(const struct hm_household *own, struct hm_bytes theirs,
                       bool *out_same)
{
    struct hm_buf buf;
    int err;

    hm_buf_init(&buf, HM_HOUSEHOLD_BYTES_MAX);
    hm_household_encode(own, &buf);
    err = buf.err;
    *out_same = hm_bytes_equal(hm_buf_bytes(&buf), theirs);
    hm_buf_deinit(&buf);
    return err;
}

static bool assigned(const struct adopting *a, uint32_t scope)
{
    for (size_t i = 0; i < a->scope_count; i++) {
        if (a->scopes[i] == scope) {
            return true;
        }
    }
    return false;
}

/* Does it live in none of this node's scopes? */
static int lives_elsewhere(const struct adopting *a, const struct hm_household *h,
                           bool *out_elsewhere)
{
    uint32_t *scopes = NULL;
    size_t count = 0;
    int err = hm_household_scopes(h, &scopes, &count);

    *out_elsewhere = err == HM_OK;
    for (size_t i = 0; i < count; i++) {
        *out_elsewhere = *out_elsewhere && !assigned(a, scopes[i]);
    }
    return err;
}

static int take_state(struct adopting *a, struct hm_bytes bytes)
{
    struct hm_household theirs;
    struct hm_household own;
    struct hm_household joined;
    struct hm_arena arena;
    bool found = false;
    bool same = false;
    bool done = false;
    int err;

    hm_arena_init(&arena, HM_HOUSEHOLD_ARENA_BYTES_MAX);
    err = hm_household_decode(bytes, &arena, &theirs);
    if (err == HM_OK) {
        err = hm_households_load_or_new(a->s, &theirs.id, &arena, &own, &found);
    }
    for (size_t i = 0; err == HM_OK && i < theirs.vv_count; i++) {
        hm_log_heard_of(a->s, theirs.vv[i].author.incarnation, theirs.vv[i].n + 1);
    }
    if (err == HM_OK && found) {
        err = compare_own(&own, bytes, &same);
    } else if (err == HM_OK) {
        err = lives_elsewhere(a, &theirs, &same); /* it came and went meanwhile */
    }
    if (err == HM_OK && found && !same) {
        err = hm_rescue_household(&a->rescue, &own, &theirs, &done);
        a->out.households += done;
    }
    if (err == HM_OK && !same && !done) {
        const struct hm_household *keep = &theirs;
        enum hm_merge_choice choice =
            found ? hm_merge_adopt(&own, &theirs) : HM_MERGE_TAKE;

        if (choice != HM_MERGE_TAKE) {
            err = hm_rescue_note(a->s, &own, &theirs);
        }
        if (err == HM_OK && choice == HM_MERGE_JOIN) {
            err = hm_merge_join(&own, &theirs, &arena, &joined);
            keep = &joined;
        }
        if (err == HM_OK && found && choice != HM_MERGE_KEEP) {
            err = hm_notices_compare(a->s, &own, keep);
        }
        if (err == HM_OK && choice != HM_MERGE_KEEP) {
            err = hm_households_store(a->s, keep, hm_forms_policy_of, a->forms);
            a->out.households++;
        }
    }
    hm_arena_deinit(&arena);
    return err;
}

static int unpack(struct adopting *a, const struct hm_feed *feed,
                  struct hm_bytes **out_states, size_t *out_count)
{
    struct hm_dictionary dictionary;
    int err = hm_blobs_dictionary(a->s, feed->dictionary, a->arena, &dictionary);

    return err == HM_OK
               ? hm_feed_unpack(feed, dictionary, a->arena, out_states, out_count)
               : err;
}

/* The feed of a parent that begins another history: what it holds of own logs is to be
 * asked, and every position is new. */
static int notice_timeline(struct adopting *a, const struct hm_cursor_at *at,
                           const struct hm_feed *feed)
{
    int err = HM_OK;

    if (at->timeline != 0 && at->timeline != feed->timeline) {
        err = hm_adopt_here_timeline(a->s, a->parent);
        a->out.more = true;
    }
    return err;
}

static int take_feed(struct adopting *a, const struct hm_frame *frame)
{
    bool gives = frame->type == HM_FRAME_GIVE;
    struct hm_cursor_at at;
    struct hm_feed feed;
    struct hm_bytes *states = NULL;
    struct heard *heard;
    size_t count = 0;
    int err = hm_feed_read(frame->payload, &feed);

    if (err != HM_OK) {
        return err;
    }
    if (feed.scope != 0 && !assigned(a, feed.scope)) {
        return HM_OK; /* no longer ours */
    }
    heard = find_heard(a, feed.scope);
    if (heard == NULL) {
        return HM_NOMEM;
    }
    err = hm_cursors_get(a->s, a->parent, feed.scope, &at);
    if (err == HM_OK) {
        err = unpack(a, &feed, &states, &count);
    }
    if (err == HM_OK && feed.scope == 0) {
        err = take_items(a, states, count);
    }
    for (size_t i = 0; feed.scope != 0 && i < count && err == HM_OK; i++) {
        err = take_state(a, states[i]);
    }
    if (err != HM_OK) {
        return err;
    }
    if (gives) {
        heard->compared = !feed.more;
        if (feed.scope == 0) {
            a->given = states;
            a->given_count = count;
        }
        a->out.more = a->out.more || feed.more;
        return HM_OK;
    }
    err = notice_timeline(a, &at, &feed);
    if (err == HM_OK && (at.timeline != feed.timeline || at.position != feed.to)) {
        at.repair = at.repair == HM_REPAIR_EXHAUSTED ? HM_REPAIR_NONE : at.repair;
        at.timeline = feed.timeline;
        at.position = feed.to;
        at.salt = feed.salt;
        err = hm_cursors_set(a->s, a->parent, feed.scope, &at);
    }
    heard->feed = feed;
    return err;
}

/* A hub that has not heard from the centre as lately as this node, which turned to it
 * from another parent: what it lacks may be new. */
static int is_behind(struct adopting *a, bool *out_behind)
{
    uint64_t timeline = 0;
    uint64_t position = 0;
    int err = hm_items_get_age(a->s, &timeline, &position);

    *out_behind = !a->is_centre && timeline != 0 &&
                  a->told.items_timeline == timeline &&
                  a->told.items_position < position;
    return err;
}

/* How far the items go now that they are the parent's. */
static int note_age(struct adopting *a, const struct heard *heard)
{
    return a->is_centre
               ? hm_items_set_age(a->s, heard->feed.timeline, heard->feed.to)
               : hm_items_set_age(a->s, a->told.items_timeline, a->told.items_position);
}

/* What the parent has not: of a hamlet it is on its way there, or its author is gone;
 * items were shared out to this node once, and are no longer. */
static int take_need(struct adopting *a, struct hm_bytes payload)
{
    struct hm_hash_list need;
    struct heard *heard;
    uint64_t dropped = 0;
    bool up = false;
    bool behind = false;
    int err = hm_hash_list_read(payload, &need);

    if (err != HM_OK) {
        return err;
    }
    heard = find_heard(a, need.scope);
    if (heard == NULL) {
        return HM_NOMEM;
    }
    if (need.scope != 0) {
        /* Not before all that differs has come: it says what was replaced there. */
        return heard->compared && assigned(a, need.scope)
                   ? hm_rescue_lacking(&a->rescue, need.scope, need.prefixes)
                   : HM_OK;
    }
    err = is_behind(a, &behind);
    if (err == HM_OK && heard->compared && !behind) {
        err = hm_adopt_here_items(a->s, need.prefixes, &up);
    }
    if (err == HM_OK && up) {
        heard->compared = false; /* once more, when they have gone up */
        a->out.more = true;
    } else if (err == HM_OK && heard->compared && !behind) {
        err = hm_items_drop_strange(a->s, need.prefixes, a->given, a->given_count,
                                    &dropped);
    }
    if (err == HM_OK && dropped > 0) {
        a->out.items += dropped;
        a->out.more = true;
        err = hm_upload_scopes(a->s, a->arena, &a->scopes, &a->scope_count);
    }
    return err;
}

static int own_digest(struct adopting *a, uint32_t scope, struct hm_hash *out)
{
    struct hm_feed_state state;
    uint64_t count;
    int err;

    if (scope == 0) {
        return hm_items_digest(a->s, hm_scope0_wants, HM_SCOPE0_ALL, out, &count);
    }
    err = hm_feeds_get(a->s, scope, &state);
    *out = state.digest;
    return err;
}

/* One step further in finding out why a digest differs. */
static int repair(struct adopting *a, const struct heard *heard,
                  struct hm_cursor_at *at)
{
    int err = HM_OK;

    switch (at->repair) {
    case HM_REPAIR_NONE:
        at->repair = HM_REPAIR_COMPARE;
        a->out.more = true;
        break;
    case HM_REPAIR_COMPARE:
        if (!heard->compared) {
            a->out.more = true;
            break;
        }
        at->repair = HM_REPAIR_OFFER;
        err = hm_log_doubt_receipts(a->s, a->parent, true);
        if (err == HM_OK) {
            err = hm_store_set_number(a->s, HM_META_OFFER_LOGS, 1);
        }
        a->out.more = true;
        break;
    case HM_REPAIR_OFFER:
        at->repair = HM_REPAIR_EXHAUSTED;
        break;
    case HM_REPAIR_EXHAUSTED:
        break;
    }
    return err;
}

/* Compare digests where the feed came to its end and nothing own is on its way. */
static int settle(struct adopting *a, const struct heard *heard, bool unsent,
                  bool *out_equal)
{
    struct hm_cursor_at at;
    struct hm_cursor_at before;
    struct hm_hash own;
    int err = hm_cursors_get(a->s, a->parent, heard->scope, &at);

    *out_equal = false;
    if (heard->feed.timeline == 0 || heard->feed.more || unsent) {
        return err;
    }
    if (err == HM_OK) {
        err = own_digest(a, heard->scope, &own);
    }
    if (err != HM_OK) {
        return err;
    }
    before = at;
    at.equal = hm_hash_equal(&own, &heard->feed.digest);
    *out_equal = at.equal;
    if (at.equal) {
        at.repair = HM_REPAIR_NONE;
        err = heard->scope == 0 ? note_age(a, heard) : HM_OK;
    } else {
        err = repair(a, heard, &at);
    }
    if (err == HM_OK && (at.repair != before.repair || at.equal != before.equal)) {
        err = hm_cursors_set(a->s, a->parent, heard->scope, &at);
    }
    return err;
}

/* Leave what is not assigned any more, when this node knows for sure what is: its items
 * are those of its parent. A revoked node keeps what it has. */
static int leave_scopes(struct adopting *a)
{
    const struct heard *heard = find_heard(a, 0);
    struct hm_scope_leaving *leaving = NULL;
    struct hm_device own;
    struct hm_hash digest;
    size_t count = 0;
    int err;

    if (heard == NULL) {
        return HM_NOMEM;
    }
    err = hm_devices_get(a->s, hm_store_device(a->s), a->arena, &own);
    if (err != HM_OK) {
        return err == HM_NOTFOUND ? HM_OK : err;
    }
    a->out.revoked = !own.active;
    if (!own.active || heard->feed.timeline == 0 || heard->feed.more) {
        return HM_OK;
    }
    err =
        hm_scopes_leaving(a->s, a->scopes, a->scope_count, a->arena, &leaving, &count);
    if (err != HM_OK || count == 0) {
        return err;
    }
    err = own_digest(a, 0, &digest);
    if (err == HM_OK && hm_hash_equal(&digest, &heard->feed.digest)) {
        err = hm_scopes_leave(a->s, a->scopes, a->scope_count, a->arena,
                              &a->out.scopes_left);
    }
    return err;
}

/* Whoever has seen more of a closed log than the centre holds finds it by hashes. */
static int compare_all(struct adopting *a)
{
    int err = HM_OK;

    for (size_t i = 0; i < a->scope_count && err == HM_OK; i++) {
        struct hm_cursor_at at;

        err = hm_cursors_get(a->s, a->parent, a->scopes[i], &at);
        if (err == HM_OK) {
            at.repair = HM_REPAIR_COMPARE;
            err = hm_cursors_set(a->s, a->parent, a->scopes[i], &at);
        }
    }
    a->out.more = true;
    return err;
}

static int settle_all(struct adopting *a)
{
    struct hm_unsent unsent;
    size_t equal = 0;
    bool missing = false;
    int err = hm_log_unsent(a->s, a->parent, &unsent);

    for (size_t i = 0; i < a->heard_count && err == HM_OK; i++) {
        bool same = false;

        err = settle(a, &a->heard[i], unsent.changes > 0, &same);
        equal += same;
    }
    if (err == HM_OK) {
        err = hm_adopt_missing_blobs(a->s, a->arena, &missing);
    }
    a->out.more = a->out.more || (missing && a->blobs_moved);
    a->out.digest_equal = unsent.changes == 0 && equal == a->scope_count + 1;
    return err;
}

static int take_fork(struct adopting *a, struct hm_bytes payload)
{
    struct hm_fork fork;
    uint64_t changes = 0;
    int err = hm_fork_read(payload, &fork);

    if (err == HM_OK) {
        err = hm_fork_leave(a->s, a->forms, a->parent, &fork, &changes);
    }
    a->out.again += changes;
    a->out.more = a->out.more || changes > 0;
    return err;
}

static int take_frame(struct adopting *a, const struct hm_frame *frame,
                      int64_t sent_utc_ms, int64_t received_utc_ms)
{
    if (frame->type != HM_FRAME_TIME && !a->head_seen) {
        return HM_MALFORMED;
    }
    switch (frame->type) {
    case HM_FRAME_TIME:
        return take_head(a, frame->payload, sent_utc_ms, received_utc_ms);
    case HM_FRAME_RECEIPT:
        a->receipt_seen = true;
        return hm_adopt_receipt(a->s, a->parent, frame->payload, &a->out);
    case HM_FRAME_AT_CENTRE:
        return hm_adopt_at_centre(a->s, a->parent, frame->payload, a->arena);
    case HM_FRAME_TOLD:
        return hm_adopt_told(a->s, a->parent, frame->payload, &a->told, &a->out);
    case HM_FRAME_QUARANTINED:
        return hm_adopt_notice(a->s, frame->payload, a->arena, &a->out);
    case HM_FRAME_FEED:
    case HM_FRAME_GIVE:
        return take_feed(a, frame);
    case HM_FRAME_NEED:
        return take_need(a, frame->payload);
    case HM_FRAME_FORK:
        return take_fork(a, frame->payload);
    case HM_FRAME_ALARMS:
        return hm_adopt_here_alarms(a->s, a->parent, frame->payload, a->arena);
    case HM_FRAME_BLOB:
        return hm_adopt_blob(a->s, a->forms, frame->payload, a->arena, &a->blobs_moved);
    case HM_FRAME_MORE:
        a->out.more = true;
        return HM_OK;
    default:
        return HM_OK; /* a newer parent says more */
    }
}

static int note_unasked(void *arg, const struct hm_log *log)
{
    bool *left = arg;

    (void)log;
    *left = true;
    return HM_OK;
}

/* Logs were offered and answered: the next ones, when a request did not hold all. */
static int offer_rest(struct adopting *a)
{
    bool left = false;
    int err = a->receipt_seen
                  ? hm_log_each_unasked(a->s, a->parent, note_unasked, &left)
                  : HM_OK;

    if (err == HM_OK && left) {
        a->out.more = true;
        err = hm_store_set_number(a->s, HM_META_OFFER_LOGS, 1);
    }
    return err;
}

static int note_time(struct adopting *a)
{
    int64_t now = hm_store_utc_ms(a->s);
    int64_t before = 0;
    int err = hm_store_get_number(a->s, HM_META_LAST_OK, &before);

    if (err == HM_NOTFOUND ||
        (err == HM_OK && (now - before > LAST_OK_EVERY_MS || now < before))) {
        err = hm_store_set_number(a->s, HM_META_LAST_OK, now);
    }
    return err;
}

static int adopt(struct adopting *a, struct hm_bytes reply, int64_t sent_utc_ms,
                 int64_t received_utc_ms)
{
    struct hm_reader r = {.left = reply};
    struct hm_frame frame;
    int64_t parent = 0;
    int64_t offered = 0;
    int err = hm_store_get_number(a->s, HM_META_UPSTREAM_DEVICE, &parent);

    a->parent = (uint64_t)parent;
    a->rescue = (struct hm_rescue){.s = a->s, .forms = a->forms, .parent = a->parent};
    if (err == HM_OK) {
        err = hm_store_get_bytes(a->s, HM_META_AUTHORITY, a->arena, &a->authority);
    }
    if (err == HM_OK) {
        err = hm_upload_scopes(a->s, a->arena, &a->scopes, &a->scope_count);
    }
    if (err == HM_OK) {
        err = hm_store_get_number(a->s, HM_META_OFFER_LOGS, &offered);
        err = err == HM_NOTFOUND ? HM_OK : err;
    }
    if (err == HM_OK && offered != 0) {
        /* This reply says what the parent holds. */
        err = hm_store_set_number(a->s, HM_META_OFFER_LOGS, 0);
    }
    if (err == HM_OK) {
        err = hm_claims_forget_told(a->s);
    }
    if (err == HM_OK) {
        err = hm_adopt_here_items_sent(a->s);
    }
    while (err == HM_OK && hm_frame_read(&r, &frame)) {
        err = take_frame(a, &frame, sent_utc_ms, received_utc_ms);
    }
    if (err == HM_OK) {
        err = r.err != HM_OK ? r.err : a->head_seen ? HM_OK : HM_MALFORMED;
    }
    if (err == HM_OK && offered != 0 && !a->out.version_refused) {
        err = offer_rest(a);
    }
    if (err == HM_OK) {
        err = hm_adopt_forget_departed(a->s, a->parent, a->scopes, a->scope_count);
    }
    if (err == HM_OK && !a->out.version_refused) {
        err = settle_all(a);
    }
    if (err == HM_OK && !a->out.version_refused) {
        err = leave_scopes(a);
    }
    if (err == HM_OK && a->closed) {
        err = compare_all(a);
    }
    a->out.more = a->out.more || a->rescue.changes > 0;
    a->out.rescued = a->rescue.changes;
    return err == HM_OK ? note_time(a) : err;
}

int hm_adopt_reply(struct hm_store *s, struct hm_forms *forms, struct hm_bytes reply,
                   int64_t sent_utc_ms, int64_t received_utc_ms, struct hm_adopt *out)
{
    struct hm_arena arena;
    struct adopting a = {.s = s, .forms = forms, .arena = &arena};
    int err = hm_store_begin(s);

    if (err != HM_OK) {
        return err;
    }
    hm_arena_init(&arena, ARENA_BYTES_MAX);
    err = hm_store_end(s, adopt(&a, reply, sent_utc_ms, received_utc_ms));
    hm_arena_deinit(&arena);
    if (err == HM_OK) {
        *out = a.out;
    }
    return err;
}
