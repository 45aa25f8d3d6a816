#include "storage/answer.h"

#include "storage/buggify.h"
#include "storage/feeds.h"
#include "storage/households.h"
#include "storage/items.h"
#include "storage/log.h"
#include "storage/quarantine.h"

enum {
    REPLY_BYTES_MIN = 2 * 1024,
    REPLY_BYTES_MOST = 1024 * 1024,
    STATES_PER_BYTE = 5, /* how much states shrink on their way, carefully */
    DICTIONARY_PAYS_BELOW = 64 * 1024 /* bytes of states */
};

/* The newest dictionaries that both sides hold. */
static int common_dictionaries(struct hm_answer *a, const struct hm_hello *hello)
{
    int err = HM_OK;

    for (size_t i = hello->dictionary_count; i-- > 0 && err == HM_OK;) {
        struct hm_dictionary found;

        if (a->dictionary_count == HM_ANSWER_DICTIONARIES_MAX) {
            break;
        }
        err = hm_blobs_dictionary(a->s, hello->dictionaries[i], a->arena, &found);
        if (err == HM_OK && found.id != 0) {
            a->dictionaries[a->dictionary_count++] = found;
        } else if (err == HM_DICTIONARY) {
            err = HM_OK;
        }
    }
    return err;
}

int hm_answer_init(struct hm_answer *a, struct hm_store *s,
                   const struct hm_hello *hello, const struct hm_device *sender,
                   const struct hm_accept *accept, struct hm_arena *arena,
                   struct hm_buf *reply)
{
    struct hm_answer made = {.s = s,
                             .sender = sender,
                             .accept = accept,
                             .arena = arena,
                             .reply = reply,
                             .bytes_max = REPLY_BYTES_MOST};
    int err = hm_feeds_timeline(s, &made.timeline);

    if (hello->reply_bytes < made.bytes_max) {
        made.bytes_max = (size_t)hello->reply_bytes;
    }
    if (made.bytes_max < REPLY_BYTES_MIN) {
        made.bytes_max = REPLY_BYTES_MIN;
    }
    if (err == HM_OK) {
        err = hm_devices_effective_scopes(sender, &accept->tree, arena, &made.scopes,
                                          &made.scope_count);
    }
    if (err == HM_OK) {
        err = hm_scope0_prepare(s, sender->id, arena, &made.filter);
    }
    if (err == HM_OK) {
        err = common_dictionaries(&made, hello);
    }
    if (err == HM_OK) {
        *a = made;
    }
    return err;
}

static size_t bytes_left(const struct hm_answer *a)
{
    return a->reply->len < a->bytes_max ? a->bytes_max - a->reply->len : 0;
}

/* How many bytes of states may still go in. 0: none, ask again. */
static size_t states_left(const struct hm_answer *a)
{
    size_t left = hm_buggify(HM_BUGGIFY_ONE_STATE) ? 0 : bytes_left(a);

    if (left == 0 && !a->wrote_states) {
        left = 1; /* something always gets through */
    }
    return left > HM_STATES_BYTES_MAX / STATES_PER_BYTE ? HM_STATES_BYTES_MAX
                                                        : left * STATES_PER_BYTE;
}

/* Writes the frame with the dictionary that makes it smallest. */
static int write_feed(struct hm_answer *a, enum hm_frame_type type,
                      const struct hm_feed *feed, struct hm_bytes states)
{
    size_t start = a->reply->len;
    size_t best_len = SIZE_MAX;
    struct hm_dictionary best = HM_DICTIONARY_NONE;
    bool tries = states.len > 0 && states.len < DICTIONARY_PAYS_BELOW;
    int err = HM_OK;

    for (size_t i = 0; tries && i <= a->dictionary_count && err == HM_OK; i++) {
        struct hm_dictionary next =
            i == 0 ? HM_DICTIONARY_NONE : a->dictionaries[i - 1];

        err = hm_feed_write(a->reply, type, feed, states, next);
        if (err == HM_OK && a->reply->len - start < best_len) {
            best_len = a->reply->len - start;
            best = next;
        }
        a->reply->len = start;
    }
    if (err == HM_OK) {
        err = hm_feed_write(a->reply, type, feed, states, best);
    }
    a->wrote_states = a->wrote_states || states.len > 0;
    return err;
}

void hm_answer_notice(struct hm_buf *reply, const struct hm_dot *dot, int reason,
                      const char *detail)
{
    struct hm_bytes text = hm_bytes_str(detail);
    struct hm_quarantined frame = {.dot = *dot, .reason = reason};

    /* Cut at a letter's beginning. */
    if (text.len > HM_MESSAGE_TEXT_MAX) {
        text.len = HM_MESSAGE_TEXT_MAX;
        while (text.len > 0 && (text.data[text.len] & 0xc0U) == 0x80U) {
            text.len--;
        }
    }
    frame.text = text;
    hm_quarantined_write(reply, &frame);
}

struct feeding {
    struct hm_answer *a;
    uint32_t scope;
    uint64_t after;        /* the child's position */
    struct hm_bytes known; /* COMPARE: prefixes that the child has; else unused */
    bool compares;
    struct hm_buf *states;
    size_t states_max;
    uint64_t position; /* of the last household that was looked at */
    bool more;
};

/* Has the child this very state, since only its own changes made it? */
static bool is_echo(const struct feeding *f, const struct hm_household_row *row)
{
    const struct hm_accept *accept = f->a->accept;

    for (size_t i = 0; i < accept->touched_count; i++) {
        const struct hm_accept_touched *t = &accept->touched[i];

        if (t->scope == f->scope && hm_household_id_compare(&t->id, &row->id) == 0) {
            return !t->refused && !t->came_in && t->position_before <= f->after &&
                   t->position_after == row->position;
        }
    }
    return false;
}

static bool has_prefix(struct hm_bytes prefixes, const uint8_t *prefix)
{
    size_t low = 0;
    size_t high = prefixes.len / HM_HASH_PREFIX_BYTES;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = memcmp(prefixes.data + middle * HM_HASH_PREFIX_BYTES, prefix,
                           HM_HASH_PREFIX_BYTES);

        if (order == 0) {
            return true;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return false;
}

static int add_state(void *arg, const struct hm_household_row *row)
{
    struct feeding *f = arg;
    bool skip = f->compares ? has_prefix(f->known, row->hash.data) : is_echo(f, row);

    if (!skip) {
        if (f->states->len > 0 && (row->state.len > f->states_max ||
                                   f->states->len > f->states_max - row->state.len)) {
            f->more = true;
            return HM_AGAIN;
        }
        hm_buf_append(f->states, row->state);
    }
    f->position = row->position;
    return f->states->err;
}

static bool assigned(const struct hm_answer *a, uint32_t scope)
{
    for (size_t i = 0; i < a->scope_count; i++) {
        if (a->scopes[i] == scope) {
            return true;
        }
    }
    return false;
}

static bool is_zero(const struct hm_hash *hash)
{
    static const struct hm_hash zero;

    return hm_hash_equal(hash, &zero);
}

/* Where the child really stands: its position when this history has it; else the
 * beginning for an empty child, or the end for one that has something: then digests
 * tell, and hashes repair. */
static int resolve_cursor(struct hm_answer *a, const struct hm_cursor *cursor,
                          uint64_t end, uint64_t *out_after)
{
    uint64_t salt = 0;
    int err;

    *out_after = is_zero(&cursor->digest) ? 0 : end;
    if (cursor->timeline != a->timeline || cursor->position > end ||
        hm_buggify(HM_BUGGIFY_CURSOR_UNKNOWN)) {
        return HM_OK;
    }
    err = hm_feeds_salt(a->s, cursor->scope, cursor->position, &salt);
    if (err == HM_OK && salt == cursor->salt) {
        *out_after = cursor->position;
    }
    return err == HM_NOTFOUND ? HM_OK : err;
}

static int feed_households(struct hm_answer *a, const struct hm_cursor *cursor)
{
    struct hm_feed_state state;
    struct hm_feed feed = {.scope = cursor->scope, .timeline = a->timeline};
    struct feeding f = {.a = a, .scope = cursor->scope};
    struct hm_buf states;
    int err = hm_feeds_get(a->s, cursor->scope, &state);

    if (err == HM_OK) {
        err = resolve_cursor(a, cursor, state.position, &f.after);
    }
    if (err != HM_OK) {
        return err;
    }
    if (a->wrote_states && bytes_left(a) == 0 && f.after < state.position) {
        a->more = true;
        return HM_OK;
    }
    hm_buf_init(&states, HM_STATES_BYTES_MAX);
    f.states = &states;
    f.states_max = states_left(a);
    f.position = f.after;
    /* Who begins has nothing that could have departed. */
    err = f.after == 0
              ? hm_households_each(a->s, cursor->scope, 0, add_state, &f)
              : hm_households_each_fed(a->s, cursor->scope, f.after, add_state, &f);
    err = err == HM_AGAIN ? HM_OK : err;
    feed.from = f.after;
    feed.to = f.more ? f.position : state.position;
    feed.more = f.more;
    feed.digest = state.digest;
    feed.households = state.households;
    if (err == HM_OK && feed.to > 0) {
        err = hm_feeds_salt(a->s, cursor->scope, feed.to, &feed.salt);
    }
    if (err == HM_OK) {
        err = write_feed(a, HM_FRAME_FEED, &feed, hm_buf_bytes(&states));
    }
    hm_buf_deinit(&states);
    a->more = a->more || f.more;
    return err;
}

static int feed_items(struct hm_answer *a, const struct hm_cursor *cursor)
{
    struct hm_feed feed = {.timeline = a->timeline};
    struct hm_buf items;
    uint64_t end = 0;
    uint64_t end_salt = 0;
    int err = hm_items_position(a->s, &end, &end_salt);

    if (err == HM_OK) {
        err = resolve_cursor(a, cursor, end, &feed.from);
    }
    if (err != HM_OK) {
        return err;
    }
    hm_buf_init(&items, HM_STATES_BYTES_MAX);
    feed.to = feed.from;
    if (feed.from < end) {
        err = hm_items_feed(a->s, feed.from, states_left(a), hm_scope0_wants, a->filter,
                            &items, &feed.to, &feed.more);
    }
    if (err == HM_OK && !feed.more) {
        feed.to = end;
        feed.salt = end_salt;
    } else if (err == HM_OK && feed.to > 0) {
        err = hm_feeds_salt(a->s, 0, feed.to, &feed.salt);
    }
    if (err == HM_OK) {
        err = hm_items_digest(a->s, hm_scope0_wants, a->filter, &feed.digest,
                              &feed.households);
    }
    if (err == HM_OK) {
        err = write_feed(a, HM_FRAME_FEED, &feed, hm_buf_bytes(&items));
    }
    hm_buf_deinit(&items);
    a->more = a->more || feed.more;
    return err;
}

/* What the child has and this node has not: ascending, as both lists are. */
static void subtract(struct hm_bytes theirs, struct hm_bytes ours, struct hm_buf *out)
{
    for (size_t i = 0; i < theirs.len; i += HM_HASH_PREFIX_BYTES) {
        if (!has_prefix(ours, theirs.data + i)) {
            hm_buf_append(out, hm_bytes_of(theirs.data + i, HM_HASH_PREFIX_BYTES));
        }
    }
}

static int write_need(struct hm_answer *a, const struct hm_hash_list *theirs,
                      struct hm_bytes ours)
{
    struct hm_hash_list need = {.scope = theirs->scope};
    struct hm_buf unknown;
    int err;

    hm_buf_init(&unknown, HM_REQUEST_BYTES_MAX);
    subtract(theirs->prefixes, ours, &unknown);
    need.prefixes = hm_buf_bytes(&unknown);
    err = unknown.err;
    if (err == HM_OK) {
        hm_hash_list_write(a->reply, HM_FRAME_NEED, &need);
    }
    hm_buf_deinit(&unknown);
    return err;
}

/* What the child has and this node has not may have departed from here: what did is
 * told again, the latest first, as much as there is room for. */
static int add_departed(void *arg, const struct hm_household_row *row)
{
    struct feeding *f = arg;

    if (row->state.len > f->states_max ||
        f->states->len > f->states_max - row->state.len) {
        return HM_AGAIN;
    }
    hm_buf_append(f->states, row->state);
    return f->states->err;
}

static int collect_departed(struct feeding *f, struct hm_bytes ours)
{
    bool strange = false;
    int err = HM_OK;

    for (size_t i = 0; i < f->known.len && !strange; i += HM_HASH_PREFIX_BYTES) {
        strange = !has_prefix(ours, f->known.data + i);
    }
    if (strange) {
        err = hm_households_each_departed(f->a->s, f->scope, add_departed, f);
    }
    return err == HM_AGAIN ? HM_OK : err;
}

static int collect_differing(struct hm_answer *a, const struct hm_hash_list *theirs,
                             struct hm_buf *ours, struct hm_buf *states, bool *out_more)
{
    struct feeding f = {.a = a,
                        .scope = theirs->scope,
                        .known = theirs->prefixes,
                        .compares = true,
                        .states = states,
                        .states_max = states_left(a)};
    int err;

    if (theirs->scope == 0) {
        err = hm_items_prefixes(a->s, hm_scope0_wants, a->filter, ours);
        if (err == HM_OK) {
            err = hm_items_differing(a->s, theirs->prefixes, f.states_max,
                                     hm_scope0_wants, a->filter, states, out_more);
        }
        return err;
    }
    err = hm_households_prefixes(a->s, theirs->scope, ours);
    if (err == HM_OK) {
        err = hm_households_each(a->s, theirs->scope, 0, add_state, &f);
        err = err == HM_AGAIN ? HM_OK : err;
    }
    if (err == HM_OK && !f.more) {
        err = collect_departed(&f, hm_buf_bytes(ours));
    }
    *out_more = f.more;
    return err;
}

static int compare(struct hm_answer *a, const struct hm_hash_list *theirs)
{
    struct hm_feed give = {.scope = theirs->scope, .timeline = a->timeline};
    struct hm_buf ours;
    struct hm_buf states;
    int err;

    hm_buf_init(&ours, HM_REQUEST_BYTES_MAX);
    hm_buf_init(&states, HM_STATES_BYTES_MAX);
    err = collect_differing(a, theirs, &ours, &states, &give.more);
    if (err == HM_OK) {
        err = write_feed(a, HM_FRAME_GIVE, &give, hm_buf_bytes(&states));
    }
    if (err == HM_OK) {
        err = write_need(a, theirs, hm_buf_bytes(&ours));
    }
    hm_buf_deinit(&states);
    hm_buf_deinit(&ours);
    a->more = a->more || give.more;
    return err;
}

static int give_blob(struct hm_answer *a, const struct hm_want *want)
{
    struct hm_blob_piece piece = {.offset = want->offset};
    size_t room = bytes_left(a);
    int err;

    if (room == 0) {
        a->more = true;
        return HM_OK;
    }
    memcpy(piece.hash, want->hash, sizeof piece.hash);
    err = hm_blobs_read(a->s, want->hash, want->offset, room, a->arena, &piece.bytes,
                        &piece.size);
    if (err == HM_NOTFOUND) {
        piece.offset = 0;
        err = HM_OK;
    }
    if (err == HM_OK) {
        hm_blob_piece_write(a->reply, &piece);
        a->more = a->more || piece.bytes.len < piece.size - piece.offset;
    }
    return err;
}

static void write_at_centre(struct hm_answer *a, const struct hm_at_centre *logs,
                            size_t count)
{
    for (size_t i = 0; i < count; i += HM_MESSAGE_LOGS_MAX) {
        size_t left = count - i;

        hm_at_centre_write(a->reply, logs + i,
                           left < HM_MESSAGE_LOGS_MAX ? left : HM_MESSAGE_LOGS_MAX);
    }
}

static int tell_refused(void *arg, const struct hm_quarantine_entry *entry)
{
    struct hm_answer *a = arg;

    if (!entry->released) {
        hm_answer_notice(a->reply, &entry->dot, entry->reason, entry->detail);
    }
    return a->reply->err;
}

/* What came from the centre since the child asked last. One that asks for the first
 * time, or after another history, offers its logs and has it with their receipts. */
static int tell_heard(struct hm_answer *a, const struct hm_heard *asked)
{
    uint64_t device =
        a->sender->role == HM_DEVICE_HUB ? 0 : a->sender->id; /* 0: of all */
    struct hm_heard told = {.timeline = a->timeline};
    struct hm_at_centre *logs = NULL;
    size_t count = 0;
    int err = hm_log_heard(a->s, &told.position);

    if (err == HM_OK) {
        err = hm_items_get_age(a->s, &told.items_timeline, &told.items_position);
    }
    if (err == HM_OK && asked->timeline == told.timeline &&
        asked->position < told.position) {
        err =
            hm_log_heard_since(a->s, asked->position, device, a->arena, &logs, &count);
    }
    if (err == HM_OK) {
        write_at_centre(a, logs, count);
    }
    for (size_t i = 0; i < count && err == HM_OK; i++) {
        err = logs[i].count < 2
                  ? HM_OK
                  : hm_quarantine_each_of(a->s, logs[i].incarnation, 1,
                                          logs[i].count - 1, tell_refused, a);
    }
    if (err == HM_OK && memcmp(asked, &told, sizeof told) != 0) {
        hm_heard_write(a->reply, HM_FRAME_TOLD, &told);
    }
    return err;
}

int hm_answer_receipts(struct hm_answer *a, const struct hm_receipt *receipts,
                       size_t count)
{
    struct hm_at_centre *logs = hm_arena_array(a->arena, count, sizeof *logs);
    size_t known = 0;
    int err = logs == NULL ? HM_NOMEM : HM_OK;

    for (size_t i = 0; i < count && err == HM_OK; i++) {
        struct hm_at_centre log = {.incarnation = receipts[i].incarnation};

        hm_receipt_write(a->reply, &receipts[i]);
        if (receipts[i].level != HM_LEVEL_CENTRE) {
            err = hm_log_at_centre(a->s, log.incarnation, &log.count);
        }
        if (log.count > 0) {
            logs[known++] = log;
        }
    }
    if (err == HM_OK) {
        write_at_centre(a, logs, known);
    }
    return err;
}

int hm_answer_wish(struct hm_answer *a, const struct hm_downsync_wish *wish)
{
    switch (wish->type) {
    case HM_DOWNSYNC_FEED:
        if (wish->u.cursor.scope == 0) {
            return feed_items(a, &wish->u.cursor);
        }
        return assigned(a, wish->u.cursor.scope) ? feed_households(a, &wish->u.cursor)
                                                 : HM_OK;
    case HM_DOWNSYNC_COMPARE:
        if (wish->u.hashes.scope == 0 || assigned(a, wish->u.hashes.scope)) {
            return compare(a, &wish->u.hashes);
        }
        return HM_OK;
    case HM_DOWNSYNC_BLOB:
        return give_blob(a, &wish->u.want);
    case HM_DOWNSYNC_TELL:
        return tell_heard(a, &wish->u.heard);
    case HM_DOWNSYNC_CHECK:
    case HM_DOWNSYNC_ACCEPT:
    case HM_DOWNSYNC_GRANT:
    case HM_DOWNSYNC_DONE:
        break;
    }
    return HM_OK;
}

int hm_answer_own_device(struct hm_answer *a)
{
    struct hm_feed give = {.timeline = a->timeline};
    struct hm_admin_item item = {0};
    struct hm_buf bytes;
    int err = hm_items_get(a->s, HM_ITEM_DEVICE, a->sender->id, a->arena, &item);

    hm_buf_init(&bytes, HM_STATES_BYTES_MAX);
    if (err == HM_OK) {
        hm_items_encode(&item, &bytes);
        err = bytes.err;
    }
    if (err == HM_OK) {
        err = write_feed(a, HM_FRAME_GIVE, &give, hm_buf_bytes(&bytes));
    }
    hm_buf_deinit(&bytes);
    return err;
}

void hm_answer_end(struct hm_answer *a)
{
    static const struct hm_bytes nothing;

    if (a->more) {
        hm_frame_write(a->reply, HM_FRAME_MORE, nothing);
    }
}
