#include "storage/upload.h"

#include "protocol/here.h"
#include "storage/alarms.h"
#include "storage/blobs.h"
#include "storage/buggify.h"
#include "storage/claims.h"
#include "storage/cursors.h"
#include "storage/devices.h"
#include "storage/feeds.h"
#include "storage/forms.h"
#include "storage/households.h"
#include "storage/items.h"
#include "storage/log.h"
#include "storage/scope0.h"
#include "storage/upstreams.h"

enum {
    CHUNK_BYTES_MIN = 2 * 1024,
    ENTRIES_PER_BYTE = 4, /* how much entries shrink when sealed, carefully */
    DICTIONARIES_TOLD = 64,
    WANTS_AT_ONCE = 4,
    LOST_TOLD = 512,
    ITEMS_BYTES_MAX = 512 * 1024,
    OFFER_BYTES = 32, /* of a log in LOGS */
    ARENA_BYTES_MAX = 512 * 1024 * 1024
};

int hm_upload_set_upstream(struct hm_store *s, const struct hm_upstream_grant *grant)
{
    const struct hm_upstream_known upstream = {.device = grant->device,
                                               .url = grant->url,
                                               .pin = hm_bytes_of(grant->pin, 32),
                                               .token = grant->token};
    int err = hm_upstreams_keep(s, &upstream);

    if (err == HM_OK) {
        err = hm_upstreams_use(s, grant->device);
    }
    if (err == HM_OK) {
        err = hm_store_set_bytes(s, HM_META_AUTHORITY,
                                 hm_bytes_of(grant->authority, HM_PUBLIC_KEY_BYTES));
    }
    return err == HM_OK ? hm_store_set_number(s, HM_META_ROLE, grant->role) : err;
}

int hm_upload_scopes(struct hm_store *s, struct hm_arena *arena, uint32_t **out_scopes,
                     size_t *out_count)
{
    struct hm_units_tree tree;
    struct hm_device own;
    int err = hm_devices_get(s, hm_store_device(s), arena, &own);

    if (err == HM_NOTFOUND) {
        *out_scopes = NULL;
        *out_count = 0;
        return HM_OK; /* its own item has not come yet */
    }
    if (err == HM_OK) {
        err = hm_units_load(s, arena, &tree);
    }
    return err == HM_OK
               ? hm_devices_effective_scopes(&own, &tree, arena, out_scopes, out_count)
               : err;
}

struct upload {
    struct hm_store *s;
    struct hm_arena *arena;
    struct hm_buf *buf;
    uint64_t parent;
    size_t bytes_max; /* of segments */
    struct hm_dictionary dictionaries[HM_LOG_DICTIONARIES_MAX];
    size_t dictionary_count;
    struct hm_upload out;
};

static int write_hello(struct upload *u, size_t chunk_bytes)
{
    struct hm_hello hello = {.version_min = HM_PROTOCOL_VERSION,
                             .version_max = HM_PROTOCOL_VERSION,
                             .device = hm_store_device(u->s),
                             .wall_ms = hm_store_utc_ms(u->s),
                             .reply_bytes = chunk_bytes,
                             .program = hm_bytes_str(hm_store_version(u->s))};
    uint64_t *ids = NULL;
    size_t count = 0;
    int err = hm_blobs_dictionaries(u->s, u->arena, DICTIONARIES_TOLD, &ids, &count);

    if (err != HM_OK) {
        return err;
    }
    hello.dictionaries = ids;
    hello.dictionary_count = count;
    hm_hello_write(u->buf, &hello);
    /* The newest ones first: sealing tries a few. */
    for (size_t i = count; i-- > 0 && u->dictionary_count < HM_LOG_DICTIONARIES_MAX;) {
        err = hm_blobs_dictionary(u->s, ids[i], u->arena,
                                  &u->dictionaries[u->dictionary_count]);
        if (err != HM_OK) {
            return err;
        }
        u->dictionary_count++;
    }
    return u->buf->err;
}

/* Which run asks, and what the parent has forgotten. */
static int write_here(struct upload *u)
{
    struct hm_here here = {.opening = 0};
    struct hm_lost_log *lost = NULL;
    int err = hm_alarms_told(u->s, u->parent, &here.alarms);

    if (err == HM_OK) {
        err = hm_claims_tell(u->s, LOST_TOLD, u->arena, &lost, &here.lost_count);
    }
    if (err != HM_OK) {
        return err;
    }
    here.opening = hm_store_opening(u->s, &here.number);
    here.lost = lost;
    hm_here_write(u->buf, &here);
    return u->buf->err;
}

/* Items that the parent has forgotten, as far as there is room. */
static int write_items_up(struct upload *u)
{
    struct hm_bytes prefixes = {0};
    int err = hm_store_get_bytes(u->s, HM_META_ITEMS_UP, u->arena, &prefixes);

    if (err == HM_NOTFOUND || (err == HM_OK && prefixes.len == 0)) {
        return HM_OK;
    }
    u->out.more = true; /* to hear what became of them */
    return err == HM_OK ? hm_items_write_up(u->s, prefixes, ITEMS_BYTES_MAX, u->buf)
                        : err;
}

struct offers {
    struct hm_log_offer logs[HM_MESSAGE_LOGS_MAX];
    size_t count;
    size_t count_max;
};

static int add_offer(void *arg, const struct hm_log *log)
{
    struct offers *offers = arg;

    if (offers->count < offers->count_max) {
        offers->logs[offers->count++] =
            (struct hm_log_offer){.incarnation = log->author.incarnation,
                                  .upto = log->entries - 1,
                                  .chain = log->chain};
    }
    return HM_OK;
}

/* A parent that may not know what it had: it says first what it holds, of some logs
 * after the other when there are many. */
static int write_offers(struct upload *u, bool *out_offered)
{
    struct offers *offers;
    int64_t wanted = 0;
    int err = hm_store_get_number(u->s, HM_META_OFFER_LOGS, &wanted);

    *out_offered = false;
    if (err == HM_NOTFOUND || (err == HM_OK && wanted == 0)) {
        return HM_OK;
    }
    offers = hm_arena_alloc(u->arena, sizeof *offers);
    if (offers == NULL) {
        return HM_NOMEM;
    }
    offers->count = 0;
    offers->count_max = u->bytes_max / OFFER_BYTES + 1;
    if (offers->count_max > HM_MESSAGE_LOGS_MAX) {
        offers->count_max = HM_MESSAGE_LOGS_MAX;
    }
    if (err == HM_OK) {
        err = hm_log_each_unasked(u->s, u->parent, add_offer, offers);
    }
    if (err == HM_OK && offers->count > 0) {
        hm_logs_write(u->buf, offers->logs, offers->count);
        *out_offered = true;
        err = u->buf->err;
    }
    return err;
}

/* A log on its way to the parent. */
struct sending {
    uint64_t incarnation;
    bool own;
    uint64_t next; /* entry */
    uint64_t end;  /* entries that lie in segments */
};

struct sendings {
    struct upload *u;
    struct sending *logs; /* own ones first, oldest first */
    size_t count;
    size_t room;
    size_t own_count;
};

static int add_sending(void *arg, const struct hm_log *log)
{
    struct sendings *all = arg;
    struct sending sending = {.incarnation = log->author.incarnation,
                              .own = log->own,
                              .end = log->own ? log->sealed : log->entries};
    unsigned level = 0;
    int err = hm_log_receipt(all->u->s, all->u->parent, sending.incarnation,
                             &sending.next, &level);

    if (err != HM_OK || sending.next >= sending.end) {
        return err;
    }
    if (all->count == all->room) {
        all->room = 2 * all->room + 16;
        all->logs = hm_arena_grow(all->u->arena, all->logs, all->count, all->room,
                                  sizeof all->logs[0]);
        if (all->logs == NULL) {
            return HM_NOMEM;
        }
    }
    all->logs[all->count++] = sending;
    all->own_count += log->own;
    return HM_OK;
}

/* The next segment of a log as it was sealed or came, byte for byte; one in any case,
 * then within the limit. *out_sent: it had room. */
static int send_segment(struct upload *u, struct sending *log, size_t bytes_max,
                        bool *out_sent)
{
    struct hm_stored_segment segment;
    int err;

    *out_sent = false;
    if (u->out.segment_bytes >= bytes_max && u->out.segment_bytes > 0) {
        return HM_OK;
    }
    err = hm_log_segment_with(u->s, log->incarnation, log->next, u->arena, &segment);
    if (err != HM_OK) {
        return err == HM_NOTFOUND ? HM_CORRUPT : err;
    }
    if (u->out.segment_bytes > 0 &&
        segment.bytes.len > bytes_max - u->out.segment_bytes) {
        return HM_OK;
    }
    hm_frame_write(u->buf, HM_FRAME_SEGMENT, segment.bytes);
    u->out.segment_bytes += segment.bytes.len;
    u->out.changes += segment.last_n - (log->next == 0 ? 0 : log->next - 1);
    log->next = segment.last_n + 1;
    *out_sent = true;
    return u->buf->err;
}

/* Own logs, one behind the other. */
static int send_own(struct upload *u, struct sendings *all, size_t bytes_max)
{
    bool sent = true;
    int err = HM_OK;

    for (size_t i = 0; i < all->own_count && sent && err == HM_OK; i++) {
        while (err == HM_OK && sent && all->logs[i].next < all->logs[i].end) {
            err = send_segment(u, &all->logs[i], bytes_max, &sent);
        }
    }
    u->out.more = u->out.more || !sent;
    return err;
}

/* Others' logs in turns, a segment of each, from any of them on: none waits for a long
 * one to end. */
static int send_others(struct upload *u, struct sendings *all, size_t bytes_max)
{
    size_t count = all->count - all->own_count;
    size_t from = count == 0 ? 0 : hm_store_random(u->s) % count;
    bool moved = count > 0;
    int err = HM_OK;

    while (moved && err == HM_OK) {
        moved = false;
        for (size_t i = 0; i < count && err == HM_OK; i++) {
            struct sending *log = &all->logs[all->own_count + (from + i) % count];
            bool sent = false;

            if (log->next < log->end) {
                err = send_segment(u, log, bytes_max, &sent);
                u->out.more = u->out.more || !sent;
            }
            moved = moved || sent;
        }
    }
    return err;
}

/* The logs that have something in segments; how much of the chunk is for own ones. */
static int list_sendings(struct upload *u, struct sendings *out, size_t *out_own_max)
{
    int err;

    *out = (struct sendings){.u = u};
    err = hm_log_each_unsent(u->s, u->parent, add_sending, out);
    *out_own_max = out->count > out->own_count ? u->bytes_max / 2 : u->bytes_max;
    return err;
}

/* Seal own entries as far as those that are sealed leave room in the chunk. */
static int seal(struct upload *u, bool *out_more)
{
    struct upload before = *u;
    size_t start = u->buf->len;
    struct sendings all;
    size_t own_max = 0;
    size_t left;
    int err = list_sendings(u, &all, &own_max);

    if (err == HM_OK) {
        err = send_own(u, &all, own_max);
    }
    left = u->out.segment_bytes < own_max ? own_max - (size_t)u->out.segment_bytes : 0;
    *out_more = u->out.more;
    u->out = before.out;
    u->buf->len = start;
    if (err == HM_OK && left > 0 && !*out_more) {
        err = hm_log_seal(u->s, u->dictionaries, u->dictionary_count,
                          left * ENTRIES_PER_BYTE, out_more);
    }
    return err;
}

static int write_segments(struct upload *u)
{
    struct sendings all;
    size_t own_max = 0;
    bool more = false;
    int err = seal(u, &more);

    if (err == HM_OK) {
        err = list_sendings(u, &all, &own_max);
    }
    if (err == HM_OK) {
        err = send_own(u, &all, own_max);
    }
    if (err == HM_OK) {
        err = send_others(u, &all, u->bytes_max);
    }
    u->out.more = u->out.more || more;
    return err;
}

/* A hub is asked what it has heard from the centre; the centre says it by its receipts.
 */
static int write_heard(struct upload *u)
{
    struct hm_cursor_at at;
    struct hm_heard heard;
    int64_t level = 0;
    int err = hm_store_get_number(u->s, HM_META_UPSTREAM_LEVEL, &level);

    err = err == HM_NOTFOUND ? HM_OK : err;
    if (err != HM_OK || level == HM_LEVEL_CENTRE) {
        return err;
    }
    err = hm_cursors_get(u->s, u->parent, HM_CURSOR_HEARD, &at);
    if (err == HM_OK) {
        heard = (struct hm_heard){.timeline = at.timeline, .position = at.position};
        err = hm_items_get_age(u->s, &heard.items_timeline, &heard.items_position);
    }
    if (err == HM_OK) {
        hm_heard_write(u->buf, HM_FRAME_HEARD, &heard);
        err = u->buf->err;
    }
    return err;
}

static int write_grant(void *arg, const struct hm_admin_item *item)
{
    struct upload *u = arg;
    struct hm_buf bytes;
    int err;

    hm_buf_init(&bytes, 2 * HM_ITEM_BODY_BYTES_MAX);
    hm_items_encode(item, &bytes);
    err = bytes.err;
    if (err == HM_OK) {
        hm_frame_write(u->buf, HM_FRAME_GRANT, hm_buf_bytes(&bytes));
        err = u->buf->err;
    }
    hm_buf_deinit(&bytes);
    return err;
}

static int write_cursor(struct upload *u, uint32_t scope)
{
    struct hm_cursor cursor = {.scope = scope};
    struct hm_feed_state feed;
    struct hm_cursor_at at;
    uint64_t count = 0;
    int err = hm_cursors_get(u->s, u->parent, scope, &at);

    if (err == HM_OK && scope == 0) {
        err = hm_items_digest(u->s, hm_scope0_wants, HM_SCOPE0_ALL, &cursor.digest,
                              &count);
    } else if (err == HM_OK) {
        err = hm_feeds_get(u->s, scope, &feed);
        cursor.digest = feed.digest;
    }
    if (err != HM_OK) {
        return err;
    }
    cursor.timeline = at.timeline;
    cursor.position = at.position;
    cursor.salt = at.salt;
    hm_cursor_write(u->buf, &cursor);
    return u->buf->err;
}

static int write_hashes(struct upload *u, uint32_t scope)
{
    struct hm_hash_list list = {.scope = scope};
    struct hm_cursor_at at;
    struct hm_buf prefixes;
    int err = hm_cursors_get(u->s, u->parent, scope, &at);

    if (err != HM_OK || at.repair != HM_REPAIR_COMPARE) {
        return err;
    }
    hm_buf_init(&prefixes, HM_REQUEST_BYTES_MAX / 2);
    err = scope == 0
              ? hm_items_prefixes(u->s, hm_scope0_wants, HM_SCOPE0_ALL, &prefixes)
              : hm_households_prefixes(u->s, scope, &prefixes);
    if (err == HM_OK) {
        list.prefixes = hm_buf_bytes(&prefixes);
        hm_hash_list_write(u->buf, HM_FRAME_HASHES, &list);
        err = u->buf->err;
    }
    hm_buf_deinit(&prefixes);
    return err;
}

static int want(struct upload *u, const uint8_t hash[HM_CONTENT_HASH_BYTES],
                size_t *wants)
{
    struct hm_want frame = {.offset = 0};
    bool complete = false;
    int err = hm_blobs_have(u->s, hash, &frame.offset, &complete);

    if (err == HM_OK && !complete && *wants < WANTS_AT_ONCE) {
        memcpy(frame.hash, hash, sizeof frame.hash);
        hm_want_write(u->buf, &frame);
        (*wants)++;
        err = u->buf->err;
    }
    return err;
}

/* Tables first: they say how households are shown. */
static int write_wants(struct upload *u)
{
    struct hm_form_item *forms = NULL;
    size_t count = 0;
    size_t wants = 0;
    int err = hm_forms_list(u->s, u->arena, &forms, &count);

    for (size_t i = 0; i < count && err == HM_OK; i++) {
        err = want(u, forms[i].table, &wants);
        if (err == HM_OK && forms[i].has_dictionary) {
            err = want(u, forms[i].dictionary, &wants);
        }
    }
    for (size_t i = 0; i < count && err == HM_OK; i++) {
        err = want(u, forms[i].xform, &wants);
    }
    return err;
}

static int write_scopes(struct upload *u)
{
    uint32_t *scopes = NULL;
    size_t count = 0;
    int err = hm_upload_scopes(u->s, u->arena, &scopes, &count);

    for (size_t i = 0; i < count && err == HM_OK; i++) {
        err = write_cursor(u, scopes[i]);
    }
    if (err == HM_OK) {
        err = write_hashes(u, 0);
    }
    for (size_t i = 0; i < count && err == HM_OK; i++) {
        err = write_hashes(u, scopes[i]);
    }
    return err;
}

static int build(struct upload *u, size_t chunk_bytes)
{
    int64_t parent = 0;
    bool offered = false;
    int err = hm_store_get_number(u->s, HM_META_UPSTREAM_DEVICE, &parent);

    if (err == HM_NOTFOUND) {
        return hm_store_fail(u->s, HM_INVALID, "this node has no upstream");
    }
    u->parent = (uint64_t)parent;
    if (err == HM_OK) {
        err = write_hello(u, chunk_bytes);
    }
    if (err == HM_OK) {
        err = write_here(u);
    }
    if (err == HM_OK) {
        err = write_items_up(u);
    }
    if (err == HM_OK) {
        err = write_offers(u, &offered);
    }
    if (err == HM_OK) {
        err = write_cursor(u, 0);
    }
    if (err == HM_OK) {
        err = hm_items_each_granted(u->s, write_grant, u);
    }
    if (err == HM_OK && !offered) {
        err = write_segments(u);
    }
    u->out.more = u->out.more || offered;
    if (err == HM_OK) {
        err = write_heard(u);
    }
    if (err == HM_OK) {
        err = write_scopes(u);
    }
    return err == HM_OK ? write_wants(u) : err;
}

int hm_upload_build(struct hm_store *s, size_t chunk_bytes, struct hm_buf *buf,
                    struct hm_upload *out)
{
    struct hm_arena arena;
    struct upload u = {.s = s,
                       .arena = &arena,
                       .buf = buf,
                       .bytes_max = chunk_bytes < CHUNK_BYTES_MIN ? CHUNK_BYTES_MIN
                                                                  : chunk_bytes};
    int err = hm_store_begin(s);

    if (err != HM_OK) {
        return err;
    }
    hm_arena_init(&arena, ARENA_BYTES_MAX);
    if (hm_buggify(HM_BUGGIFY_ONE_SEGMENT)) {
        u.bytes_max = 1;
    }
    err = hm_store_end(
        s, build(&u, chunk_bytes < CHUNK_BYTES_MIN ? CHUNK_BYTES_MIN : chunk_bytes));
    hm_arena_deinit(&arena);
    if (err == HM_OK) {
        *out = u.out;
    }
    return err;
}
