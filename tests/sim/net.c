/* What lies between two nodes: the wishes of upsync carried out, requests and replies
 * on their way, and everything that happens to them there. */
#include <stdlib.h>
#include <string.h>

#include "protocol/message.h"
#include "storage/log.h"
#include "tests/sim/sim.h"

enum {
    TIMEOUT_MS = 60 * 1000,
    CONNECT_FAILS_MS = 4 * 1000,
    BATCH_MS = 40, /* requests that wait together are one transaction */
    BATCH_MAX = 16,
    EXCHANGES_A_DAY_MAX = 600,
    MINUTE_MS = 60 * 1000,
    HOUR_MS = 60 * MINUTE_MS
};

/* What happens to an exchange. */
enum net_fault {
    NET_REQUEST_LOST,
    NET_REPLY_LOST, /* after the commit */
    NET_REQUEST_CUT,
    NET_REPLY_CUT,
    NET_REQUEST_FLIPPED,
    NET_PORTAL, /* a captive portal answers 200 with a page */
    NET_TWICE,  /* the request arrives twice */
    NET_LATE,   /* and once more, hours later */
    NET_SLOW,
    NET_BUSY,    /* the parent says: later */
    NET_NEWER,   /* both sides say more than this version knows */
    NET_WISH,    /* the parent asks to wait for hours, or for an age */
    NET_DENIED,  /* it does not know this node, for up to a day */
    NET_SIGN_IN, /* for minutes or hours somebody with another key answers */
    NET_FAULTS
};

static const char *const fault_texts[NET_FAULTS] = {
    "request lost", "reply lost",     "request cut",   "reply cut",
    "bit flipped",  "portal",         "request twice", "request again later",
    "slow",         "parent is busy", "newer peer",    "parent asks to wait",
    "not known",    "sign in"};

static void send_message(struct sim *sim, const struct sim_message *message)
{
    if (sim->message_count == sim->message_room) {
        sim->message_room = 2 * sim->message_room + 16;
        sim->messages =
            realloc(sim->messages, sim->message_room * sizeof sim->messages[0]);
        SIM_MUST(sim->messages != NULL);
    }
    sim->messages[sim->message_count++] = *message;
}

uint64_t sim_net_next_ms(const struct sim *sim, size_t *out_index)
{
    uint64_t first_ms = UINT64_MAX;

    for (size_t i = 0; i < sim->message_count; i++) {
        if (sim->messages[i].at_ms < first_ms) {
            first_ms = sim->messages[i].at_ms;
            *out_index = i;
        }
    }
    return first_ms;
}

static struct sim_message take_message(struct sim *sim, size_t index)
{
    struct sim_message message = sim->messages[index];

    sim->messages[index] = sim->messages[--sim->message_count];
    return message;
}

/* 2G: half a second each way, and 4 to 20 kB a second. */
static uint64_t travel_ms(struct sim_node *n, size_t bytes)
{
    uint64_t rate = 4 + hm_rng_below(&n->rng, 17);

    return 200 + hm_rng_below(&n->rng, 600) + bytes / rate;
}

static void copy_bytes(struct hm_buf *to, const struct hm_buf *from)
{
    hm_buf_init(to, HM_REPLY_BYTES_MAX);
    hm_buf_append(to, hm_buf_bytes(from));
    SIM_MUST(to->err == HM_OK);
}

/* Another frame, of a type that this version does not know. */
static void say_more(struct hm_buf *buf)
{
    hm_frame_write(buf, (enum hm_frame_type)99, hm_bytes_str("\x93\x01\x02\x03"));
    SIM_MUST(buf->err == HM_OK);
}

/* HELLO says that only protocol 2 is spoken: its first two numbers. */
static void speak_newer(struct hm_buf *buf)
{
    SIM_MUST(buf->len > 5);
    for (size_t i = 1; i + 2 < buf->len && i < 5; i++) {
        if (buf->data[i] >= 0x90 && buf->data[i] < 0xa0) { /* the array's head */
            buf->data[i + 1] = 2;
            buf->data[i + 2] = 2;
            return;
        }
    }
}

/* -- The child's end -------------------------------------------------------------- */

static void step(struct sim_node *n, struct hm_upsync_event *event);

/* A parent's wish binds for a day at most. */
static void note_wish(struct sim_node *n, uint64_t wait_ms)
{
    n->quiet_until_ms =
        n->sim->now_ms + (wait_ms < 24ULL * HOUR_MS ? wait_ms : 24ULL * HOUR_MS);
}

static void end_exchange(struct sim_node *n, int err, bool more,
                         uint64_t retry_after_ms, uint64_t bytes, bool foreign)
{
    struct hm_upsync_event event = {.type = HM_UPSYNC_EV_EXCHANGED,
                                    .err = err,
                                    .more = more,
                                    .sends = more && n->upload_more,
                                    .foreign = foreign,
                                    .retry_after_ms = retry_after_ms,
                                    .bytes = bytes,
                                    .took_ms = n->sim->now_ms - n->sent_at_ms};

    n->exchange = 0;
    if (!foreign && (err == HM_OK || retry_after_ms > 0)) {
        note_wish(n, retry_after_ms);
    } else if (!foreign && err == HM_DENIED) {
        n->quiet_until_ms = n->sim->now_ms + HM_UPSYNC_DENIED_MS;
    }
    step(n, &event);
}

static void fail_later(struct sim_node *n, int err, uint64_t after_ms,
                       uint64_t retry_after_ms)
{
    struct sim_message nothing = {.at_ms = n->sim->now_ms + after_ms,
                                  .from = n->parent,
                                  .to = n->index,
                                  .exchange = n->exchange,
                                  .is_reply = true,
                                  .err = err,
                                  .retry_after_ms = retry_after_ms};

    send_message(n->sim, &nothing);
}

/* In a segment, which its author signs: it may flip in any node's memory or on any
 * disk. The rest of a request comes and goes within one TLS connection. */
static void flip_bit(struct sim_node *n, struct sim_message *m, struct hm_rng *rng)
{
    struct hm_reader r = {.left = hm_buf_bytes(&m->bytes)};
    struct hm_bytes segment = {0};
    struct hm_frame frame;
    uint64_t bit;

    for (uint64_t seen = 0; hm_frame_read(&r, &frame);) {
        if (frame.type == HM_FRAME_SEGMENT && hm_rng_below(rng, ++seen) == 0) {
            segment = frame.payload;
        }
    }
    if (segment.len == 0) {
        return;
    }
    n->sim->was_hostile = true;
    n->sim->flipped = true;
    n->sim->calm = false;
    bit = hm_rng_below(rng, 8 * (uint64_t)segment.len);
    m->bytes.data[(size_t)(segment.data - m->bytes.data) + bit / 8] ^=
        (uint8_t)(1U << bit % 8);
}

/* Another key than the pinned one: nothing was sent. Its wish is nobody's. */
static void meet_stranger(struct sim_node *n)
{
    struct sim_message nothing = {.at_ms = n->sim->now_ms + 1000,
                                  .from = n->parent,
                                  .to = n->index,
                                  .exchange = n->exchange,
                                  .is_reply = true,
                                  .foreign = true,
                                  .err = HM_DENIED,
                                  .retry_after_ms = 24ULL * HOUR_MS};

    send_message(n->sim, &nothing);
}

/* Applies a fault to a request that is about to leave. Returns false when it does not
 * leave. */
static bool suffer(struct sim_node *n, struct sim_message *m, uint64_t param)
{
    struct hm_rng rng = {param};
    enum net_fault fault = (enum net_fault)hm_rng_below(&rng, NET_FAULTS);
    struct sim_message again;

    sim_tell(n->sim, n, "  on the way: %s", fault_texts[fault]);
    switch (fault) {
    case NET_REQUEST_LOST:
        fail_later(n, HM_NETWORK, TIMEOUT_MS, 0);
        return false;
    case NET_REPLY_LOST:
        m->reply_lost = true;
        break;
    case NET_REQUEST_CUT:
        n->sim->calm = false;
        m->bytes.len = hm_rng_below(&rng, m->bytes.len);
        break;
    case NET_REPLY_CUT:
        m->cut_reply = true;
        break;
    case NET_REQUEST_FLIPPED:
        flip_bit(n, m, &rng);
        break;
    case NET_PORTAL:
        m->portal = true;
        break;
    case NET_TWICE:
    case NET_LATE:
        again = *m;
        again.exchange = 0;
        again.at_ms += fault == NET_TWICE
                           ? hm_rng_below(&rng, 100)
                           : hm_rng_below(&rng, 72 * 60 * (uint64_t)MINUTE_MS);
        copy_bytes(&again.bytes, &m->bytes);
        send_message(n->sim, &again);
        break;
    case NET_SLOW:
        m->at_ms += 20000;
        m->extra_delay_ms = 20000;
        break;
    case NET_BUSY:
        fail_later(n, HM_AGAIN, 2000, hm_rng_below(&rng, 90 * (uint64_t)MINUTE_MS));
        return false;
    case NET_NEWER:
        say_more(&m->bytes);
        m->newer = true;
        break;
    case NET_WISH:
        fail_later(n, HM_AGAIN, 2000,
                   hm_rng_below(&rng, 8) == 0 ? UINT64_MAX
                                              : hm_rng_below(&rng, 30ULL * HOUR_MS));
        return false;
    case NET_DENIED:
        n->denied_until_ms = n->sim->now_ms + hm_rng_below(&rng, 24ULL * HOUR_MS);
        fail_later(n, HM_DENIED, 2000, 0);
        return false;
    case NET_SIGN_IN:
        n->portal_until_ms = n->sim->now_ms + hm_rng_below(&rng, 5ULL * HOUR_MS);
        meet_stranger(n);
        return false;
    case NET_FAULTS:
        break;
    }
    return true;
}

/* A step's random bits that mean this fault. */
static uint64_t param_of(struct sim_node *n, enum net_fault wanted)
{
    for (;;) {
        uint64_t param = hm_rng_next(&n->rng);
        struct hm_rng rng = {param};

        if (hm_rng_below(&rng, NET_FAULTS) == (uint64_t)wanted) {
            return param;
        }
    }
}

void sim_net_die_late(struct sim_node *n)
{
    if (n->net_fault_count < SIM_NET_FAULTS_MAX) {
        n->net_faults[n->net_fault_count++] =
            param_of(n, hm_rng_below(&n->rng, 2) == 0 ? NET_REPLY_LOST : NET_REPLY_CUT);
    }
}

static void send_request(struct sim_node *n, struct hm_buf *request)
{
    struct sim_message m = {.at_ms = n->sim->now_ms + travel_ms(n, request->len),
                            .from = n->index,
                            .to = n->parent,
                            .exchange = n->exchange,
                            .bytes = *request,
                            .sent_utc_ms = sim_node_utc_ms(n)};

    if (n->speaks_newer) {
        speak_newer(&m.bytes);
    }
    if (n->portal_until_ms > n->sim->now_ms || n->denied_until_ms > n->sim->now_ms) {
        if (n->portal_until_ms > n->sim->now_ms) {
            meet_stranger(n);
        } else {
            fail_later(n, HM_DENIED, 2000, 0);
        }
        hm_buf_deinit(&m.bytes);
        return;
    }
    if (n->net_fault_count > 0 && !n->sim->ending) {
        uint64_t param = n->net_faults[--n->net_fault_count];

        if (!suffer(n, &m, param)) {
            hm_buf_deinit(&m.bytes);
            return;
        }
    }
    send_message(n->sim, &m);
}

static void count_exchange(struct sim_node *n)
{
    uint64_t day = n->sim->now_ms / (24 * 60 * (uint64_t)MINUTE_MS);

    if (day != n->day) {
        n->day = day;
        n->exchanges_today = 0;
    }
    n->sim->exchanged++;
    if (++n->exchanges_today > EXCHANGES_A_DAY_MAX) {
        sim_find(n->sim, SIM_ORACLE_BOUNDS, "%s: more than %d exchanges in a day",
                 n->name, EXCHANGES_A_DAY_MAX);
    }
}

static void start_exchange(struct sim_node *n, size_t chunk_bytes)
{
    struct hm_upload upload = {0};
    struct hm_buf request;
    int err;

    n->exchange = ++n->sim->exchanges;
    n->sent_at_ms = n->sim->now_ms;
    count_exchange(n);
    if (!n->linked) {
        fail_later(n, HM_NETWORK, CONNECT_FAILS_MS, 0);
        return;
    }
    hm_buf_init(&request, HM_REQUEST_BYTES_MAX);
    err = hm_upload_build(n->store, chunk_bytes, &request, &upload);
    if (err != HM_OK) {
        hm_buf_deinit(&request);
        if (sim_node_survives(n, err, "build a request")) {
            fail_later(n, err, 1, 0);
        }
        return;
    }
    if (request.len > HM_REQUEST_BYTES_MAX) {
        sim_find(n->sim, SIM_ORACLE_BOUNDS, "%s: a request of %zu bytes", n->name,
                 request.len);
    }
    n->upload_more = upload.more;
    if (upload.changes > 0) { /* a season is mostly quiet exchanges */
        sim_tell(n->sim, n, "asks: %zu bytes, %llu changes", request.len,
                 (unsigned long long)upload.changes);
    }
    send_request(n, &request);
}

static unsigned hour_of_day(const struct sim_node *n)
{
    int64_t day_ms = 24LL * HOUR_MS;

    return (unsigned)((sim_node_utc_ms(n) % day_ms + day_ms) % day_ms / HOUR_MS);
}

static bool is_open(const struct sim_node *n)
{
    unsigned hour = hour_of_day(n);

    if (n->opens_hour == n->shuts_hour) {
        return true;
    }
    return n->opens_hour < n->shuts_hour
               ? n->opens_hour <= hour && hour < n->shuts_hour
               : n->opens_hour <= hour || hour < n->shuts_hour;
}

/* What nobody asked for keeps to hours, costs and the parent's wish. */
static void check_may_start(struct sim_node *n, enum hm_upsync_event_type why,
                            size_t chunk_bytes)
{
    bool told = why == HM_UPSYNC_EV_NOW || why == HM_UPSYNC_EV_EXCHANGED;

    if (told || n->sim->ending) {
        return; /* what goes on was allowed when it began, or a person began it */
    }
    if (n->sim->now_ms < n->quiet_until_ms) {
        sim_find(n->sim, SIM_ORACLE_BOUNDS, "%s: does not wait as its parent asked",
                 n->name);
    } else if (!is_open(n)) {
        sim_find(n->sim, SIM_ORACLE_BOUNDS, "%s: syncs at %u h, open from %u to %u",
                 n->name, hour_of_day(n), n->opens_hour, n->shuts_hour);
    } else if (n->cost == HM_UPSYNC_COST_NOTHING ||
               (n->cost == HM_UPSYNC_COST_SMALL &&
                chunk_bytes > HM_UPSYNC_METERED_CHUNK_BYTES)) {
        sim_find(n->sim, SIM_ORACLE_BOUNDS, "%s: %zu bytes over a link that costs",
                 n->name, chunk_bytes);
    }
}

static void step(struct sim_node *n, struct hm_upsync_event *event)
{
    struct hm_upsync_wishes wishes;

    event->now_ms = n->sim->now_ms;
    event->random = hm_rng_next(&n->rng);
    hm_upsync_step(&n->upsync, event, &wishes);
    n->timer_at_ms = wishes.timer_at_ms;
    if (wishes.cancel_exchange) {
        n->exchange = 0;
    }
    if (wishes.start_exchange) {
        check_may_start(n, event->type, wishes.chunk_bytes);
        start_exchange(n, wishes.chunk_bytes);
    }
}

void sim_tell_limits(struct sim_node *n)
{
    int64_t day_ms = 24LL * HOUR_MS;
    int64_t of_day_ms = (sim_node_utc_ms(n) % day_ms + day_ms) % day_ms;
    uint32_t in_s =
        hm_sync_windows_opens_in_s(&n->windows, (uint32_t)(of_day_ms / 1000), 0);
    uint64_t opens_at_ms = in_s == 0 ? 0 : n->sim->now_ms + in_s * 1000ULL;
    struct hm_upsync_event window = {.type = HM_UPSYNC_EV_WINDOW,
                                     .opens_at_ms = opens_at_ms};
    struct hm_upsync_event cost = {.type = HM_UPSYNC_EV_COST, .cost = n->cost};

    if (n->cost != n->upsync.cost) {
        step(n, &cost);
    }
    if (opens_at_ms != n->upsync.opens_at_ms) {
        step(n, &window);
    }
}

void sim_upsync(struct sim_node *n, enum hm_upsync_event_type type)
{
    struct hm_upsync_event event = {.type = type};

    if (type != HM_UPSYNC_EV_NOW) {
        sim_tell_limits(n);
    }
    step(n, &event);
}

static bool is_no_reply(int err)
{
    return err == HM_MALFORMED || err == HM_TRUNCATED || err == HM_NONCANONICAL ||
           err == HM_TOOBIG;
}

/* What is said to be at the centre is there when it is said. */
static int check_centre_has(struct sim_node *n, uint64_t incarnation, uint64_t entries)
{
    struct hm_store *centre = n->sim->nodes[0].store;
    struct hm_log log = {0};
    int err;

    if (centre == NULL || n->sim->centre_set_back) {
        return HM_OK;
    }
    err = hm_store_begin_read(centre);
    if (err == HM_OK) {
        err = hm_log_get(centre, incarnation, &log);
        err = hm_store_end(centre, err == HM_NOTFOUND ? HM_OK : err);
    }
    if (err == HM_OK && log.entries < entries) {
        sim_find(
            n->sim, SIM_ORACLE_RECEIPT,
            "%s was told that %llu entries of %016llx are at the centre, which has "
            "%llu",
            n->name, (unsigned long long)entries, (unsigned long long)incarnation,
            (unsigned long long)log.entries);
    }
    (void)sim_node_survives(&n->sim->nodes[0], err,
                            "read a log"); /* if not, it is over */
    return HM_OK;
}

static int note_receipt(void *arg, const struct hm_log *log)
{
    struct sim_node *n = arg;
    uint64_t entries = 0;
    int err = hm_log_at_centre(n->store, log->author.incarnation, &entries);

    if (err == HM_OK && entries > sim_fact(&n->at_centre, log->author.incarnation)) {
        err = check_centre_has(n, log->author.incarnation, entries);
    }
    if (err == HM_OK) {
        sim_fact_raise(&n->at_centre, log->author.incarnation, entries);
    }
    return err;
}

static void adopted(struct sim_node *n, const struct sim_message *m,
                    const struct hm_adopt *adopt)
{
    int err = hm_store_begin_read(n->store);

    if (err == HM_OK) {
        err = hm_store_end(n->store, hm_log_each_own(n->store, note_receipt, n));
    }
    if (!sim_node_survives(n, err, "read receipts") || err != HM_OK) {
        return;
    }
    if (adopt->households > 0 || adopt->receipted > 0 || adopt->notices > 0 ||
        adopt->items > 0 || adopt->digest_equal != n->digest_equal || adopt->more) {
        sim_tell(n->sim, n,
                 "hears: %zu bytes, %llu households, %llu receipted, %llu refused%s%s",
                 m->bytes.len, (unsigned long long)adopt->households,
                 (unsigned long long)adopt->receipted,
                 (unsigned long long)adopt->notices,
                 adopt->digest_equal ? ", equal" : ", not equal",
                 adopt->more ? ", more" : "");
    }
    if (adopt->again > 0) {
        sim_tell(n->sim, n, "leaves a branch: %llu changes are written again",
                 (unsigned long long)adopt->again);
        sim_rescue_note(n);
    }
    if (adopt->rescued > 0) {
        sim_tell(n->sim, n, "writes %llu changes of others again",
                 (unsigned long long)adopt->rescued);
        sim_rescue_note(n);
    }
    sim_check_adopted(n);
    n->digest_equal = adopt->digest_equal;
    if (!sim_node_runs(n)) {
        return;
    }
    if (adopt->version_refused) {
        end_exchange(n, HM_VERSION, false, 0, m->bytes.len, false);
    } else {
        end_exchange(n, HM_OK, n->upload_more || adopt->more, adopt->retry_after_ms,
                     m->bytes.len, false);
    }
}

static void take_reply(struct sim *sim, struct sim_message *m)
{
    struct sim_node *n = &sim->nodes[m->to];
    struct hm_adopt adopt = {0};
    int err = m->err;

    if (!sim_node_runs(n) || m->exchange != n->exchange || m->exchange == 0) {
        return;
    }
    if (err == HM_OK) {
        err = hm_adopt_reply(n->store, n->forms, hm_buf_bytes(&m->bytes),
                             m->sent_utc_ms, sim_node_utc_ms(n), &adopt);
        if (err == HM_OK && m->portal) {
            sim_find(sim, SIM_ORACLE_ERROR, "%s: takes a portal's page for a reply",
                     n->name);
            return;
        }
        if (err == HM_OK) {
            adopted(n, m, &adopt);
            return;
        }
        if (is_no_reply(err) && !(m->portal || m->cut_reply)) {
            sim_find(sim, SIM_ORACLE_ERROR, "%s: a reply of its parent is %s", n->name,
                     hm_err_name(err));
            return;
        }
        if (!is_no_reply(err) && !sim_node_survives(n, err, "adopt")) {
            return;
        }
    }
    sim_tell(sim, n, "hears nothing: %s", hm_err_name(err));
    end_exchange(n, err, false, m->retry_after_ms, m->bytes.len,
                 m->foreign || is_no_reply(err));
}

/* -- The parent's end ------------------------------------------------------------- */

static void make_portal(struct hm_buf *bytes)
{
    hm_buf_clear(bytes);
    hm_buf_append(bytes, hm_bytes_str("<html><body>Please sign in</body></html>"));
}

static void send_reply(struct sim_node *parent, struct sim_message *m,
                       struct hm_serve_reply *reply)
{
    struct sim *sim = parent->sim;
    struct sim_node *child = &sim->nodes[m->from];
    struct sim_message back = {.from = m->to,
                               .to = m->from,
                               .exchange = m->exchange,
                               .is_reply = true,
                               .err = reply->err == HM_OK ? HM_OK : HM_DENIED,
                               .portal = m->portal,
                               .cut_reply = m->cut_reply,
                               .sent_utc_ms = m->sent_utc_ms};

    if (m->exchange == 0) {
        return;
    }
    if (reply->body.len > HM_REPLY_BYTES_MAX) {
        sim_find(sim, SIM_ORACLE_BOUNDS, "a reply of %zu bytes", reply->body.len);
    }
    copy_bytes(&back.bytes, &reply->body);
    if (m->portal) {
        make_portal(&back.bytes);
        back.err = HM_OK;
    }
    if (m->cut_reply && back.bytes.len > 0) {
        back.bytes.len = hm_rng_below(&child->rng, back.bytes.len);
    }
    if (m->newer) {
        say_more(&back.bytes);
    }
    back.at_ms = sim->now_ms + m->extra_delay_ms + travel_ms(child, back.bytes.len);
    if (m->reply_lost) {
        hm_buf_clear(&back.bytes);
        back.err = HM_NETWORK;
        back.at_ms = sim->now_ms + TIMEOUT_MS;
    }
    send_message(sim, &back);
}

static void answer_nothing(struct sim *sim, const struct sim_message *m, int err)
{
    struct sim_message nothing = {.at_ms = sim->now_ms + CONNECT_FAILS_MS,
                                  .from = m->to,
                                  .to = m->from,
                                  .exchange = m->exchange,
                                  .is_reply = true,
                                  .err = err};

    if (m->exchange != 0) {
        send_message(sim, &nothing);
    }
}

static void tell_served(struct sim_node *parent, const struct sim_message *m,
                        const struct hm_serve_reply *reply)
{
    const char *child = parent->sim->nodes[m->from].name;

    if (reply->err != HM_OK) {
        sim_tell(parent->sim, parent, "turns %s away: %s", child, reply->errmsg);
    } else if (reply->changes > 0 || reply->notices > 0) {
        sim_tell(parent->sim, parent, "serves %s: %llu changes, %llu refused", child,
                 (unsigned long long)reply->changes,
                 (unsigned long long)reply->notices);
    }
}

/* A device that is served from two machines in turn. Late copies are no turns. */
static void note_place(struct sim *sim, const struct sim_message *m)
{
    struct sim_node *child = &sim->nodes[m->from];
    bool turn = false;

    if (m->exchange == 0) {
        return;
    }
    for (unsigned i = 1; i < sim->node_count && child->place != 0; i++) {
        struct sim_node *other = &sim->nodes[i];

        if (other != child && other->device == child->device &&
            other->place > child->place) {
            turn = true;
        }
    }
    /* The first one may have been under way when a machine began another run. */
    if (turn && child->returns++ == 0) {
        return;
    }
    child->took_turns = child->took_turns || turn;
    child->place = ++sim->place;
}

static void serve(struct sim_node *parent, struct sim_message *batch, size_t count)
{
    struct hm_serve_request requests[BATCH_MAX];
    struct hm_serve_reply replies[BATCH_MAX];
    struct sim *sim = parent->sim;
    bool watched = true;
    bool brought = false;
    int err;

    for (size_t i = 0; i < count; i++) {
        requests[i] =
            (struct hm_serve_request){.device = sim->nodes[batch[i].from].device,
                                      .body = hm_buf_bytes(&batch[i].bytes),
                                      .received_utc_ms = sim_node_utc_ms(parent)};
    }
    err = hm_serve_batch(parent->store, parent->forms, requests, replies, count);
    for (size_t i = 0; i < count; i++) {
        if (err == HM_OK) {
            tell_served(parent, &batch[i], &replies[i]);
            if (replies[i].err == HM_OK) {
                note_place(sim, &batch[i]);
            }
            brought = brought || replies[i].changes > 0;
            watched = watched && sim_node_runs(parent);
            if (watched && replies[i].err == HM_OK) {
                sim_watch(parent, requests[i].body, hm_buf_bytes(&replies[i].body));
            }
            send_reply(parent, &batch[i], &replies[i]);
        } else {
            answer_nothing(sim, &batch[i], HM_NETWORK);
        }
        hm_serve_reply_deinit(&replies[i]);
    }
    if (sim_node_survives(parent, err, "serve") && brought && parent->is_hub &&
        sim_node_runs(parent)) {
        sim_upsync(parent, HM_UPSYNC_EV_SAVED); /* it goes on from here */
    }
}

static void take_requests(struct sim *sim, struct sim_message *first)
{
    struct sim_node *parent = &sim->nodes[first->to];
    struct sim_message batch[BATCH_MAX] = {*first};
    size_t count = 1;

    for (size_t i = sim->message_count; i-- > 0 && count < BATCH_MAX;) {
        const struct sim_message *m = &sim->messages[i];

        if (!m->is_reply && m->to == first->to && m->at_ms <= sim->now_ms + BATCH_MS) {
            batch[count++] = take_message(sim, i);
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (!sim_node_runs(parent)) {
            answer_nothing(sim, &batch[i], HM_NETWORK);
            hm_buf_deinit(&batch[i].bytes);
            batch[i--] = batch[--count];
        }
    }
    if (count > 0) {
        serve(parent, batch, count);
    }
    for (size_t i = 0; i < count; i++) {
        hm_buf_deinit(&batch[i].bytes);
    }
}

void sim_net_deliver(struct sim *sim, size_t index)
{
    struct sim_message m = take_message(sim, index);

    if (m.is_reply) {
        take_reply(sim, &m);
        hm_buf_deinit(&m.bytes);
    } else {
        take_requests(sim, &m);
    }
}
