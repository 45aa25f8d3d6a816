/* Happy path: an event steps the machine; its wishes start an exchange or set the
 * timer; the exchange's end is an event again, and those who wait are told.
 * Failures: a failed exchange is an event with its error; who waits is told at once.
 * Close: STOP cancels the exchange; when it is over, timers and link close, then
 * closed(). */
#include "daemon/upstream.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/link.h"
#include "daemon/sync_limits.h"
#include "protocol/upsync.h"

enum { NUDGE_MS = 1000, WINDOW_LATE_S = 600, SAME_OPENING_MS = 2000 };

struct hm_upstream {
    struct hm_node *node;
    struct hm_upsync machine;
    uv_timer_t timer; /* the machine's */
    uint64_t timer_at_ms;
    uv_timer_t nudge; /* of those who wait: deadlines, and another try */
    struct hm_link *link;
    struct hm_sync_limits *limits;
    struct hm_upstream_exchange exchange;
    bool running;      /* the exchange */
    bool started;      /* the machine has seen START */
    bool nudge_wanted; /* somebody who waits needs another exchange, a bit later */
    bool loading;
    bool load_again;
    bool turns; /* to another upstream, when the exchange is over */
    bool closing;
    unsigned handles; /* still open: two timers, the link and the limits */

    struct hm_store_job load;
    struct hm_upstream_peer loaded; /* url "": none */
    bool loaded_paused;
    int64_t loaded_last_ok;

    enum hm_upstream_outcome outcome;
    bool talked; /* outcome says something */
    char last_error[HM_UPSTREAM_TEXT_MAX];
    int64_t last_ok_utc_ms;
    struct hm_sync_wait *waits;
    hm_upstream_closed_cb closed;
    void *closed_owner;
};

const char *hm_sync_result_name(enum hm_sync_result result)
{
    static const char *const names[] = {"ok", "offline", "refused", "timeout"};

    return names[result];
}

/* Closing. */

static void on_part_closed(struct hm_upstream *u)
{
    hm_upstream_closed_cb closed = u->closed;
    void *owner = u->closed_owner;

    if (--u->handles > 0) {
        return;
    }
    sodium_memzero(&u->exchange.peer, sizeof u->exchange.peer);
    sodium_memzero(&u->loaded, sizeof u->loaded);
    free(u);
    if (closed != NULL) {
        closed(owner);
    }
}

static void on_handle_closed(uv_handle_t *handle)
{
    on_part_closed(handle->data);
}

static void on_watch_closed(void *owner)
{
    on_part_closed(owner);
}

static void close_when_idle(struct hm_upstream *u)
{
    if (u->running || u->loading) {
        return;
    }
    uv_close((uv_handle_t *)&u->timer, on_handle_closed);
    uv_close((uv_handle_t *)&u->nudge, on_handle_closed);
    hm_link_close(u->link, on_watch_closed);
    hm_sync_limits_close(u->limits, on_watch_closed);
}

/* Those who wait. */

static void end_wait(struct hm_upstream *u, struct hm_sync_wait *wait,
                     enum hm_sync_result result, const char *detail)
{
    struct hm_sync_wait **at = &u->waits;

    while (*at != wait) {
        at = &(*at)->next;
    }
    *at = wait->next;
    wait->result = result;
    (void)snprintf(wait->detail, sizeof wait->detail, "%s", detail);
    wait->done(wait);
}

static bool moved_nothing(const struct hm_upstream_exchange *x)
{
    return x->upload.changes == 0 && x->adopt.households == 0 && x->adopt.items == 0 &&
           !x->adopt.more && !x->upload.more;
}

static void count_exchange(struct hm_sync_wait *wait,
                           const struct hm_upstream_exchange *x)
{
    wait->round_trips++;
    wait->sent_changes += x->upload.changes;
    wait->sent_bytes += x->sent_bytes;
    wait->received_households += x->adopt.households;
    wait->received_bytes += x->received_bytes;
    wait->digest_equal = x->outcome == HM_UPSTREAM_OK && x->adopt.digest_equal;
}

/* The hub has given this node a time that lies before the end of who waits. */
static bool waits_its_turn(const struct hm_upstream *u, const struct hm_sync_wait *wait)
{
    const struct hm_upstream_exchange *x = &u->exchange;

    return x->outcome == HM_UPSTREAM_OFFLINE && x->err == HM_AGAIN && wait->settle &&
           x->retry_after_ms > 0 && wait->deadline_ms != UINT64_MAX &&
           uv_now(u->node->loop) + x->retry_after_ms < wait->deadline_ms;
}

/* False: it goes on waiting. */
static bool judge_wait(struct hm_upstream *u, struct hm_sync_wait *wait)
{
    const struct hm_upstream_exchange *x = &u->exchange;

    if (waits_its_turn(u, wait)) {
        return false;
    }
    if (x->outcome != HM_UPSTREAM_OK) {
        end_wait(u, wait,
                 x->outcome == HM_UPSTREAM_REFUSED ? HM_SYNC_REFUSED : HM_SYNC_OFFLINE,
                 x->text);
        return true;
    }
    if (x->adopt.more || x->upload.more) {
        return false;
    }
    if (!wait->settle || (moved_nothing(x) && x->adopt.digest_equal)) {
        end_wait(u, wait, HM_SYNC_OK, "");
        return true;
    }
    return false;
}

static void tell_waits(struct hm_upstream *u)
{
    struct hm_sync_wait *wait = u->waits;

    while (wait != NULL) {
        struct hm_sync_wait *next = wait->next;

        if (wait->seen) {
            count_exchange(wait, &u->exchange);
            (void)judge_wait(u, wait);
        }
        wait = next;
    }
}

/* The machine. */

static void apply(struct hm_upstream *u, const struct hm_upsync_wishes *wishes);

static void step(struct hm_upstream *u, struct hm_upsync_event event)
{
    struct hm_upsync_wishes wishes;

    event.now_ms = uv_now(u->node->loop);
    randombytes_buf(&event.random, sizeof event.random);
    hm_upsync_step(&u->machine, &event, &wishes);
    apply(u, &wishes);
}

static void step_type(struct hm_upstream *u, enum hm_upsync_event_type type)
{
    step(u, (struct hm_upsync_event){.type = type});
}

/* Tell the machine what it does not know yet of windows and costs. */
static void tell_limits(struct hm_upstream *u)
{
    struct hm_sync_limits_facts facts = hm_sync_limits_facts(u->limits);
    uint64_t known = u->machine.opens_at_ms;
    uint64_t more = facts.opens_at_ms > known ? facts.opens_at_ms - known
                                              : known - facts.opens_at_ms;

    if (facts.cost != u->machine.cost) {
        step(u,
             (struct hm_upsync_event){.type = HM_UPSYNC_EV_COST, .cost = facts.cost});
    }
    if (more > SAME_OPENING_MS || (known == 0) != (facts.opens_at_ms == 0)) {
        step(u, (struct hm_upsync_event){.type = HM_UPSYNC_EV_WINDOW,
                                         .opens_at_ms = facts.opens_at_ms});
    }
}

static void on_limits(void *owner)
{
    struct hm_upstream *u = owner;

    if (u->started && !u->closing) {
        tell_limits(u);
    }
}

static void on_timer(uv_timer_t *timer)
{
    tell_limits(timer->data); /* the wall clock may have jumped since */
    step_type(timer->data, HM_UPSYNC_EV_TIMER);
}

static void set_timer(struct hm_upstream *u, uint64_t at_ms)
{
    uint64_t now = uv_now(u->node->loop);

    u->timer_at_ms = at_ms;
    if (at_ms == 0) {
        (void)uv_timer_stop(&u->timer);
    } else {
        (void)uv_timer_start(&u->timer, on_timer, at_ms > now ? at_ms - now : 0, 0);
    }
}

static void begin_exchange(struct hm_upstream *u, size_t chunk_bytes)
{
    int err = hm_upstream_exchange_start(&u->exchange, chunk_bytes);

    if (err != HM_OK) {
        /* Too much to do: who waits is told by the next turn of the timer. */
        for (struct hm_sync_wait *wait = u->waits; wait != NULL; wait = wait->next) {
            wait->deadline_ms = uv_now(u->node->loop);
        }
        step(u, (struct hm_upsync_event){.type = HM_UPSYNC_EV_EXCHANGED, .err = err});
        return;
    }
    u->running = true;
    for (struct hm_sync_wait *wait = u->waits; wait != NULL; wait = wait->next) {
        wait->seen = true;
    }
}

static void apply(struct hm_upstream *u, const struct hm_upsync_wishes *wishes)
{
    if (wishes->cancel_exchange && u->running) {
        hm_upstream_exchange_cancel(&u->exchange);
    }
    if (u->machine.state != HM_UPSYNC_STOPPED) {
        set_timer(u, wishes->timer_at_ms);
    }
    if (wishes->start_exchange) {
        begin_exchange(u, wishes->chunk_bytes);
    }
}

static void on_nudge(uv_timer_t *timer);

/* The next thing that somebody waits for: a deadline, or another exchange. */
static void set_nudge(struct hm_upstream *u)
{
    uint64_t now = uv_now(u->node->loop);
    uint64_t later =
        u->exchange.outcome == HM_UPSTREAM_OK ? 0 : u->exchange.retry_after_ms;
    uint64_t at = u->nudge_wanted ? now + NUDGE_MS + later : UINT64_MAX;

    for (struct hm_sync_wait *wait = u->waits; wait != NULL; wait = wait->next) {
        at = wait->deadline_ms < at ? wait->deadline_ms : at;
    }
    if (at == UINT64_MAX) {
        (void)uv_timer_stop(&u->nudge);
    } else {
        (void)uv_timer_start(&u->nudge, on_nudge, at > now ? at - now : 0, 0);
    }
}

static void on_nudge(uv_timer_t *timer)
{
    struct hm_upstream *u = timer->data;
    uint64_t now = uv_now(timer->loop);
    struct hm_sync_wait *wait = u->waits;

    while (wait != NULL) {
        struct hm_sync_wait *next = wait->next;

        if (wait->deadline_ms <= now) {
            end_wait(u, wait, HM_SYNC_TIMEOUT, "the time was over before all was told");
        }
        wait = next;
    }
    if (u->nudge_wanted && u->waits != NULL && !u->running && !u->closing) {
        u->nudge_wanted = false;
        step_type(u, HM_UPSYNC_EV_NOW);
    }
    set_nudge(u);
}

/* Somebody still waits and nothing is under way: at once for one that has seen no
 * exchange or while things move, else a bit later, since only others can help. */
static void serve_waits(struct hm_upstream *u)
{
    bool at_once = false;

    u->nudge_wanted = false;
    if (u->waits != NULL && !u->running && !u->closing) {
        for (struct hm_sync_wait *wait = u->waits; wait != NULL; wait = wait->next) {
            at_once = at_once || !wait->seen;
        }
        if (at_once ||
            (u->exchange.outcome == HM_UPSTREAM_OK && !moved_nothing(&u->exchange))) {
            step_type(u, HM_UPSYNC_EV_NOW);
        } else {
            u->nudge_wanted = true;
        }
    }
    set_nudge(u);
}

static void note_outcome(struct hm_upstream *u, const struct hm_upstream_exchange *x)
{
    bool news = !u->talked || u->outcome != x->outcome;

    u->talked = true;
    u->outcome = x->outcome;
    if (x->outcome == HM_UPSTREAM_OK) {
        u->last_error[0] = 0;
        u->last_ok_utc_ms = x->received_utc_ms;
        hm_journal_write(
            u->node->journal, news ? HM_JOURNAL_INFO : HM_JOURNAL_DEBUG,
            "sync: %llu changes sent, %llu households received, %llu bytes",
            (unsigned long long)x->upload.changes,
            (unsigned long long)x->adopt.households,
            (unsigned long long)(x->sent_bytes + x->received_bytes));
        return;
    }
    (void)snprintf(u->last_error, sizeof u->last_error, "%s",
                   x->text[0] == 0 ? hm_err_text(x->err) : x->text);
    hm_journal_write(u->node->journal, news ? HM_JOURNAL_WARNING : HM_JOURNAL_DEBUG,
                     "sync: %s", u->last_error);
}

static void start(struct hm_upstream *u);

static void on_exchanged(struct hm_upstream_exchange *x)
{
    struct hm_upstream *u = HM_CONTAINER_OF(x, struct hm_upstream, exchange);
    struct hm_upsync_event event = {
        .type = HM_UPSYNC_EV_EXCHANGED,
        .err = x->outcome == HM_UPSTREAM_OK ? HM_OK
               : x->err == HM_OK            ? HM_NETWORK
                                            : x->err,
        .more = x->outcome == HM_UPSTREAM_OK && (x->upload.more || x->adopt.more),
        .sends = x->outcome == HM_UPSTREAM_OK && x->upload.more,
        .foreign = x->foreign,
        .retry_after_ms = x->retry_after_ms,
        .bytes = x->sent_bytes + x->received_bytes,
        .took_ms = x->took_ms};

    u->running = false;
    if (u->closing) {
        close_when_idle(u);
        return;
    }
    note_outcome(u, x);
    tell_waits(u); /* done() may ask for another sync, or close */
    if (!u->closing) {
        step(u, event);
    }
    if (!u->closing && u->turns && !u->running) {
        u->turns = false;
        start(u);
    }
    if (!u->closing) {
        serve_waits(u);
    }
}

/* Who the upstream is. */

static int read_text(struct hm_store *s, const char *name, struct hm_arena *arena,
                     struct hm_bytes *out)
{
    *out = (struct hm_bytes){0};
    return hm_store_get_bytes(s, name, arena, out);
}

static int load_peer(struct hm_store *s, struct hm_arena *arena,
                     struct hm_upstream_peer *out)
{
    struct hm_bytes url;
    struct hm_bytes pin;
    struct hm_bytes token;
    size_t used;
    int err = read_text(s, HM_META_UPSTREAM, arena, &url);

    if (err == HM_NOTFOUND) {
        return HM_OK;
    }
    if (err == HM_OK) {
        err = read_text(s, HM_META_UPSTREAM_PIN, arena, &pin);
    }
    if (err == HM_OK) {
        err = read_text(s, HM_META_TOKEN, arena, &token);
    }
    if (err != HM_OK) {
        return err == HM_NOTFOUND ? HM_CORRUPT : err;
    }
    if (url.len >= sizeof out->url || pin.len != HM_TLS_KEY_HASH_BYTES ||
        token.len == 0 || token.len > 48) {
        return HM_CORRUPT;
    }
    memcpy(out->url, url.data, url.len);
    hm_tls_key_pin(pin.data, out->pin);
    (void)strcpy(out->authorization, "Bearer ");
    used = strlen(out->authorization);
    (void)sodium_bin2hex(out->authorization + used, sizeof out->authorization - used,
                         token.data, token.len);
    return HM_OK;
}

static int load_number(struct hm_store *s, const char *name, int64_t *out)
{
    int err = hm_store_get_number(s, name, out);

    return err == HM_NOTFOUND ? HM_OK : err;
}

static void load(struct hm_store_job *job, const struct hm_store_side *side)
{
    struct hm_upstream *u = HM_CONTAINER_OF(job, struct hm_upstream, load);
    struct hm_store *s = side->store;
    struct hm_arena arena;
    int64_t paused = 0;
    int err = hm_store_begin_read(s);

    if (err != HM_OK) {
        job->err = err;
        return;
    }
    hm_arena_init(&arena, 64 * 1024);
    u->loaded = (struct hm_upstream_peer){0};
    u->loaded_last_ok = 0;
    err = load_peer(s, &arena, &u->loaded);
    if (err == HM_OK) {
        err = load_number(s, HM_META_PAUSED, &paused);
    }
    if (err == HM_OK) {
        err = load_number(s, HM_META_LAST_OK, &u->loaded_last_ok);
    }
    u->loaded_paused = paused != 0;
    hm_arena_deinit(&arena);
    job->err = hm_store_end(s, err);
}

/* A hub on this machine is in reach whatever the cables say. */
static bool is_near(const struct hm_upstream *u)
{
    const char *host = u->exchange.peer.url + strlen("https://");

    return strncmp(host, "127.", 4) == 0 || strncmp(host, "[::1]", 5) == 0 ||
           strncmp(host, "localhost:", 10) == 0;
}

/* Another upstream than before: what is known of the other's state goes, and it is
 * talked to at once, unless sync is paused. */
static void turn_to(struct hm_upstream *u)
{
    if (strcmp(u->exchange.peer.url, u->loaded.url) == 0 &&
        strcmp(u->exchange.peer.pin, u->loaded.pin) == 0) {
        return;
    }
    u->talked = false;
    u->last_error[0] = 0;
    u->last_ok_utc_ms = 0;
    u->exchange.peer = u->loaded;
    hm_journal_write(u->node->journal, HM_JOURNAL_INFO, "the upstream is now %s",
                     u->exchange.peer.url);
    step_type(u, is_near(u) || hm_link_has_route(u->link) ? HM_UPSYNC_EV_LINK_UP
                                                          : HM_UPSYNC_EV_LINK_DOWN);
}

static void start(struct hm_upstream *u)
{
    if (u->started && u->running) {
        u->turns = true;
        return;
    }
    if (u->started) {
        turn_to(u);
    }
    u->exchange.peer = u->loaded;
    u->exchange.node = u->node;
    u->exchange.done = on_exchanged;
    if (!u->started) {
        u->started = true;
        /* Nothing could be built from a damaged store, and nothing adopted into it. */
        u->loaded_paused = u->loaded_paused || u->node->damaged[0] != 0;
        hm_upsync_init(&u->machine, u->loaded_paused);
        u->last_ok_utc_ms = u->loaded_last_ok;
        if (!is_near(u) && !hm_link_has_route(u->link)) {
            step_type(u, HM_UPSYNC_EV_LINK_DOWN);
        }
        tell_limits(u);
        step_type(u, HM_UPSYNC_EV_START);
        hm_journal_write(u->node->journal, HM_JOURNAL_INFO, "the upstream is %s%s",
                         u->exchange.peer.url,
                         u->loaded_paused ? "; sync is paused" : "");
    }
    serve_waits(u);
}

static void begin_load(struct hm_upstream *u);

static void on_loaded(struct hm_store_job *job)
{
    struct hm_upstream *u = HM_CONTAINER_OF(job, struct hm_upstream, load);

    u->loading = false;
    if (u->closing) {
        close_when_idle(u);
        return;
    }
    if (job->err != HM_OK) {
        hm_journal_write(u->node->journal, HM_JOURNAL_ERROR,
                         "the upstream can't be read from the store: %s",
                         hm_err_text(job->err));
    }
    if (job->err == HM_OK && u->loaded.url[0] != 0) {
        start(u);
    } else if (!u->started) {
        while (u->waits != NULL) {
            end_wait(u, u->waits, HM_SYNC_OFFLINE, "this node has no upstream");
        }
    }
    if (u->load_again) {
        u->load_again = false;
        begin_load(u);
    }
}

static void begin_load(struct hm_upstream *u)
{
    if (u->loading) {
        u->load_again = true;
        return;
    }
    u->load = (struct hm_store_job){.work = load, .done = on_loaded};
    u->loading =
        hm_store_thread_submit(u->node->store, HM_STORE_READ, &u->load) == HM_OK;
}

static void on_link(void *owner, bool has_route)
{
    struct hm_upstream *u = owner;

    hm_journal_write(u->node->journal, HM_JOURNAL_INFO, "the link is %s",
                     has_route ? "up" : "down");
    if (u->started && !is_near(u)) {
        step_type(u, has_route ? HM_UPSYNC_EV_LINK_UP : HM_UPSYNC_EV_LINK_DOWN);
    }
}

/* A node's own, and always the same. */
static uint32_t late_s(const struct hm_node *node)
{
    return (uint32_t)(node->keys.public_key[0] << 8 | node->keys.public_key[1]) %
           WINDOW_LATE_S;
}

/* What was begun of one that could not be opened. */
static void on_lost_link(void *owner)
{
    free(owner);
}

/* What others call. */

int hm_upstream_open(struct hm_node *node, struct hm_upstream **out_upstream)
{
    struct hm_upstream *u = calloc(1, sizeof *u);
    char errmsg[200];

    if (u == NULL) {
        return HM_NOMEM;
    }
    u->node = node;
    if (hm_link_open(node->loop, 0, on_link, u, errmsg, sizeof errmsg, &u->link) !=
        HM_OK) {
        free(u);
        return HM_NOMEM;
    }
    if (hm_sync_limits_open(node->loop, &node->config, late_s(node), on_limits, u,
                            &u->limits) != HM_OK) {
        hm_link_close(u->link, on_lost_link);
        return HM_NOMEM;
    }
    if (errmsg[0] != 0) {
        hm_journal_write(node->journal, HM_JOURNAL_WARNING, "%s", errmsg);
    }
    (void)uv_timer_init(node->loop, &u->timer);
    (void)uv_timer_init(node->loop, &u->nudge);
    u->timer.data = u;
    u->nudge.data = u;
    u->handles = 4;
    begin_load(u);
    *out_upstream = u;
    return HM_OK;
}

void hm_upstream_reload(struct hm_upstream *u)
{
    if (u != NULL && !u->closing) {
        begin_load(u);
    }
}

void hm_upstream_reconfigured(struct hm_upstream *u)
{
    if (u != NULL && !u->closing) {
        hm_sync_limits_reload(u->limits);
        on_limits(u);
    }
}

/* The wall clock's time of the next try by itself; 0: none. */
static int64_t next_utc_ms(const struct hm_upstream *u)
{
    uint64_t now = uv_now(u->node->loop);
    struct timespec wall;

    if (!u->started || u->timer_at_ms == 0) {
        return 0;
    }
    (void)clock_gettime(CLOCK_REALTIME, &wall);
    return (int64_t)wall.tv_sec * 1000 +
           (int64_t)(u->timer_at_ms > now ? u->timer_at_ms - now : 0);
}

void hm_upstream_facts(const struct hm_upstream *u, struct hm_upstream_facts *out)
{
    if (u == NULL) {
        *out = (struct hm_upstream_facts){
            .url = "", .state = "offline", .last_error = "", .waits_for = ""};
        return;
    }
    *out = (struct hm_upstream_facts){.known = u->started,
                                      .url = u->exchange.peer.url,
                                      .last_error = u->last_error,
                                      .last_ok_utc_ms = u->last_ok_utc_ms,
                                      .waits_for = "",
                                      .next_utc_ms = next_utc_ms(u),
                                      .paused = u->started && u->machine.paused};
    if (u->started) {
        out->waits_for = hm_upsync_waits_for(&u->machine, uv_now(u->node->loop));
    }
    if (u->talked && u->outcome == HM_UPSTREAM_REFUSED) {
        out->state = "refused";
    } else {
        out->state = u->talked && u->outcome == HM_UPSTREAM_OK ? "linked" : "offline";
    }
}

void hm_upstream_saved(struct hm_upstream *u)
{
    if (u != NULL && u->started && !u->closing) {
        step_type(u, HM_UPSYNC_EV_SAVED);
    }
}

void hm_upstream_set_paused(struct hm_upstream *u, bool paused)
{
    if (u != NULL && u->started && !u->closing) {
        step_type(u, paused ? HM_UPSYNC_EV_PAUSE : HM_UPSYNC_EV_RESUME);
    }
}

int hm_upstream_sync(struct hm_upstream *u, struct hm_sync_wait *wait)
{
    if (u == NULL || u->closing) {
        return HM_CANCELED;
    }
    if (!u->started && !u->loading) {
        return HM_NOTFOUND;
    }
    wait->deadline_ms =
        wait->timeout_ms == 0 ? UINT64_MAX : uv_now(u->node->loop) + wait->timeout_ms;
    wait->next = u->waits;
    u->waits = wait;
    /* While another token is read, what is known would be refused. */
    if (u->started && !u->running && !u->loading) {
        step_type(u, HM_UPSYNC_EV_NOW);
    }
    set_nudge(u);
    return HM_OK;
}

void hm_upstream_close(struct hm_upstream *u, hm_upstream_closed_cb closed, void *owner)
{
    if (u == NULL) {
        return;
    }
    u->closing = true;
    u->closed = closed;
    u->closed_owner = owner;
    (void)uv_timer_stop(&u->timer);
    (void)uv_timer_stop(&u->nudge);
    if (u->started) {
        step_type(u, HM_UPSYNC_EV_STOP);
    }
    while (u->waits != NULL) {
        end_wait(u, u->waits, HM_SYNC_OFFLINE, "the node is stopping");
    }
    close_when_idle(u);
}
