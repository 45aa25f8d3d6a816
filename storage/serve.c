#include "storage/serve.h"

#include <stdio.h>
#include <stdlib.h>

#include "protocol/downsync.h"
#include "storage/accept.h"
#include "storage/answer.h"
#include "storage/feeds.h"
#include "storage/grants.h"
#include "storage/log.h"
#include "storage/quarantine.h"
#include "storage/serve_here.h"

enum { SEEN_EVERY_MS = 15 * 60 * 1000 };

/* One request on its way through both phases. */
struct serving {
    const struct hm_serve_request *request;
    struct hm_serve_reply *reply;
    struct hm_downsync d;
    struct hm_downsync_wish wish; /* the first one that only answers */
    struct hm_accept accept;
    struct hm_device sender;
    struct hm_receipt *receipts;
    size_t receipt_count;
    size_t receipt_room;
    bool delivers; /* revoked: what it wrote is taken, and nothing given out */
    struct hm_serve_here here;
    struct hm_arena arena;
};

static void refuse(struct serving *v, int err, const char *text)
{
    v->reply->err = err;
    (void)snprintf(v->reply->errmsg, sizeof v->reply->errmsg, "%s", text);
}

static const char revoked_text[] =
    "this device was revoked: what it wrote is kept here, and it is given nothing; an "
    "officer can let it in again by a new enrolment code";

/* What is wrong with a request is its sender's; what is wrong here is ours. */
static bool is_ours(int err)
{
    return hm_err_class(err) == HM_CLASS_FATAL || err == HM_NOMEM ||
           err == HM_NOSPACE || err == HM_BUSY;
}

static int set_receipt(struct serving *v, uint64_t incarnation, uint64_t entries,
                       enum hm_level level)
{
    for (size_t i = 0; i < v->receipt_count; i++) {
        if (v->receipts[i].incarnation == incarnation) {
            v->receipts[i].count = entries;
            return HM_OK;
        }
    }
    if (v->receipt_count == v->receipt_room) {
        v->receipt_room = 2 * v->receipt_room + 8;
        v->receipts = hm_arena_grow(&v->arena, v->receipts, v->receipt_count,
                                    v->receipt_room, sizeof v->receipts[0]);
        if (v->receipts == NULL) {
            return HM_NOMEM;
        }
    }
    v->receipts[v->receipt_count++] = (struct hm_receipt){
        .incarnation = incarnation, .count = entries, .level = level};
    return HM_OK;
}

static int check_log(struct hm_store *s, struct serving *v,
                     const struct hm_log_offer *offer, enum hm_level level)
{
    struct hm_log log = {0};
    struct hm_hash chain;
    int err = hm_log_get(s, offer->incarnation, &log);

    if (err == HM_OK && offer->upto < log.entries) {
        err = hm_log_chain_at(s, offer->incarnation, offer->upto, &chain);
        if (err == HM_OK && !hm_hash_equal(&chain, &offer->chain)) {
            log.entries = 0; /* a fork: its segments will say where it begins */
        }
    }
    if (err != HM_OK && err != HM_NOTFOUND) {
        return err;
    }
    return set_receipt(v, offer->incarnation, log.entries, level);
}

static int carry_out_store(struct hm_store *s, struct serving *v, enum hm_level level)
{
    uint64_t incarnation = 0;
    uint64_t entries = 0;
    int err;

    if (v->wish.type == HM_DOWNSYNC_CHECK) {
        return check_log(s, v, &v->wish.u.offer, level);
    }
    if (v->wish.type == HM_DOWNSYNC_GRANT) {
        return v->sender.role == HM_DEVICE_HUB ? hm_grants_take_up(s, v->wish.u.item)
                                               : HM_OK;
    }
    err = hm_accept_segment(&v->accept, v->wish.u.segment, &incarnation, &entries);
    if (err == HM_OK && incarnation != 0) {
        err = set_receipt(v, incarnation, entries, level);
    }
    return err;
}

static int note_seen(struct hm_store *s, uint64_t device, bool writes)
{
    int64_t now = hm_store_utc_ms(s);
    int64_t seen = 0;
    int err = hm_devices_get_seen(s, device, &seen);

    if (err == HM_NOTFOUND) {
        return HM_OK;
    }
    if (err == HM_OK && (writes || now - seen > SEEN_EVERY_MS || now < seen)) {
        err = hm_devices_set_seen(s, device, now);
    }
    return err;
}

static int open_request(struct hm_store *s, struct hm_forms *forms, struct serving *v)
{
    int err = hm_devices_get(s, v->request->device, &v->arena, &v->sender);

    if (err == HM_NOTFOUND) {
        refuse(v, HM_DENIED, "this device is not enrolled here");
        return HM_OK;
    }
    if (err != HM_OK) {
        return err;
    }
    v->delivers = !v->sender.active;
    err = hm_downsync_init(&v->d, v->request->body, &v->arena);
    if (err == HM_VERSION) {
        refuse(v, HM_VERSION,
               "this laptop's program is too old or too new for this hub: "
               "install the version that the hub runs");
        return HM_OK;
    }
    if (err != HM_OK) {
        refuse(v, err, "not a sync request");
        return is_ours(err) ? err : HM_OK;
    }
    if (v->d.hello.device != v->sender.id) {
        refuse(v, HM_DENIED, "the request is of another device than its token");
        return HM_OK;
    }
    err = hm_accept_init(&v->accept, s, forms, v->sender.id, &v->arena);
    v->accept.from_hub = v->sender.role == HM_DEVICE_HUB;
    return err;
}

/* A revoked device may bring what it wrote, as long as that is not a flood. */
static int check_delivery(struct hm_store *s, struct serving *v)
{
    uint64_t count = 0;
    uint64_t bytes = 0;
    int err = hm_quarantine_sum_revoked(s, v->sender.id, &count, &bytes);

    if (err == HM_OK && bytes > HM_QUARANTINE_REVOKED_BYTES_MAX) {
        refuse(v, HM_DENIED,
               "this device was revoked, and too much waits here of what it wrote "
               "since: an officer has to look at that first");
    }
    return err;
}

/* Who asks, and what they remember of this node. */
static int look_here(struct hm_store *s, struct serving *v, enum hm_level level)
{
    int err;

    if (v->reply->err != HM_OK) {
        return HM_OK;
    }
    v->here.centre = level == HM_LEVEL_CENTRE;
    err = hm_serve_here_look(s, v->sender.id, v->request->body, &v->arena, &v->here);
    if (err != HM_OK && !is_ours(err)) {
        refuse(v, err, "a frame of the request can't be read");
        err = HM_OK;
    }
    return err;
}

/* The STORE phase of one request; ends at its first wish that only answers. */
static int store_one(struct hm_store *s, struct hm_forms *forms, struct serving *v,
                     enum hm_level level)
{
    bool writes = false;
    int err = open_request(s, forms, v);

    if (err == HM_OK && v->delivers && v->reply->err == HM_OK) {
        err = check_delivery(s, v);
    }
    if (err == HM_OK) {
        err = look_here(s, v, level);
    }
    while (err == HM_OK && v->reply->err == HM_OK) {
        int fault = hm_downsync_next(&v->d, &v->wish);

        if (fault != HM_OK) {
            refuse(v, fault, "a frame of the request can't be read");
            return is_ours(fault) ? fault : HM_OK;
        }
        if (!hm_downsync_stores(&v->wish)) {
            break;
        }
        writes = writes || v->wish.type == HM_DOWNSYNC_ACCEPT;
        err = carry_out_store(s, v, level);
    }
    if (err == HM_OK && v->reply->err == HM_OK) {
        err = note_seen(s, v->sender.id, writes);
        v->reply->changes = v->accept.changes;
        v->reply->notices = v->accept.notice_count;
    }
    return err;
}

static void write_head(struct hm_store *s, struct serving *v, enum hm_level level,
                       uint64_t version, const char *text)
{
    struct hm_time time = {.received_ms = v->request->received_utc_ms,
                           .sent_ms = hm_store_utc_ms(s),
                           .version = version,
                           .level = level,
                           .device = hm_store_device(s),
                           .text = hm_bytes_str(text)};

    hm_time_write(&v->reply->body, &time);
}

static int answer_one(struct hm_store *s, struct serving *v, enum hm_level level)
{
    struct hm_answer answer;
    int err;

    write_head(s, v, level, HM_PROTOCOL_VERSION, v->delivers ? revoked_text : "");
    err = hm_answer_init(&answer, s, &v->d.hello, &v->sender, &v->accept, &v->arena,
                         &v->reply->body);
    if (err == HM_OK) {
        err = hm_answer_receipts(&answer, v->receipts, v->receipt_count);
    }
    for (size_t i = 0; i < v->accept.notice_count; i++) {
        const struct hm_accept_notice *notice = &v->accept.notices[i];

        hm_answer_notice(&v->reply->body, &notice->dot, notice->reason, notice->detail);
    }
    for (size_t i = 0; i < v->accept.fork_count; i++) {
        const struct hm_accept_fork *fork = &v->accept.forks[i];
        struct hm_fork frame = {fork->incarnation, fork->common};

        if (fork->known && fork->device == v->sender.id) {
            hm_fork_write(&v->reply->body, &frame);
        }
    }
    if (err == HM_OK) {
        err = hm_serve_here_tell(s, v->sender.id, v->here.alarms, &v->arena,
                                 &v->reply->body);
    }
    if (err == HM_OK && v->delivers) {
        err = hm_answer_own_device(&answer);
        v->wish.type = HM_DOWNSYNC_DONE;
    }
    while (err == HM_OK && v->wish.type != HM_DOWNSYNC_DONE) {
        int fault;

        err = hm_answer_wish(&answer, &v->wish);
        fault = err == HM_OK ? hm_downsync_next(&v->d, &v->wish) : HM_OK;
        if (fault != HM_OK) {
            refuse(v, fault, "a frame of the request can't be read");
            return is_ours(fault) ? fault : HM_OK;
        }
    }
    if (err == HM_OK) {
        hm_answer_end(&answer);
        err = v->reply->body.err;
    }
    return err;
}

static enum hm_level level_of(enum hm_node_role role)
{
    return role == HM_NODE_CENTRE ? HM_LEVEL_CENTRE : HM_LEVEL_HUB;
}

static int store_all(struct hm_store *s, struct hm_forms *forms, struct serving *all,
                     size_t count, enum hm_level *out_level)
{
    enum hm_node_role role = HM_NODE_NEW;
    uint64_t timeline = 0;
    int err = hm_store_begin(s);

    if (err != HM_OK) {
        return err;
    }
    err = hm_store_role(s, &role);
    *out_level = level_of(role);
    if (err == HM_OK) {
        err = hm_feeds_timeline(s, &timeline);
    }
    for (size_t i = 0; i < count && err == HM_OK; i++) {
        err = store_one(s, forms, &all[i], *out_level);
    }
    return hm_store_end(s, err);
}

static int answer_all(struct hm_store *s, struct serving *all, size_t count,
                      enum hm_level level)
{
    int err = hm_store_begin_read(s);

    if (err != HM_OK) {
        return err;
    }
    for (size_t i = 0; i < count && err == HM_OK; i++) {
        struct serving *v = &all[i];

        if (v->reply->err == HM_OK) {
            err = answer_one(s, v, level);
        } else if (v->reply->err == HM_VERSION) {
            write_head(s, v, level, 0, v->reply->errmsg);
            v->reply->err = HM_OK;
            v->reply->errmsg[0] = 0;
        }
    }
    return hm_store_end(s, err);
}

int hm_serve_batch(struct hm_store *s, struct hm_forms *forms,
                   const struct hm_serve_request *requests,
                   struct hm_serve_reply *replies, size_t count)
{
    static const struct serving empty;
    struct serving *all = calloc(count, sizeof *all);
    enum hm_level level = HM_LEVEL_HUB;
    int err;

    HM_ASSERT(count >= 1 && count <= HM_SERVE_BATCH_MAX);
    for (size_t i = 0; i < count; i++) {
        replies[i] = (struct hm_serve_reply){.err = HM_OK};
        hm_buf_init(&replies[i].body, HM_REPLY_BYTES_MAX);
    }
    if (all == NULL) {
        return HM_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        all[i] = empty;
        all[i].request = &requests[i];
        all[i].reply = &replies[i];
        hm_arena_init(&all[i].arena, HM_ACCEPT_ARENA_BYTES_MAX);
    }
    err = store_all(s, forms, all, count, &level);
    if (err == HM_OK) {
        err = answer_all(s, all, count, level);
    }
    for (size_t i = 0; i < count; i++) {
        hm_arena_deinit(&all[i].arena);
    }
    free(all);
    return err;
}

void hm_serve_reply_deinit(struct hm_serve_reply *reply)
{
    hm_buf_deinit(&reply->body);
}
