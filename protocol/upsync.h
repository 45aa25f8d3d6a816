/* Decides when a node talks to its upstream, and how much at a time. No I/O: facts in,
 * wishes out. What a request holds is the store's business (storage/upload.h).
 *
 *   IDLE    -> WAITING   a save, while linked
 *   IDLE    -> TALKING   timer (the feed is asked for), link up, resume, or "sync now"
 *   WAITING -> TALKING   timer, link up, resume, or "sync now"
 *   WAITING -> IDLE      link down, or paused
 *   TALKING -> TALKING   exchange over, more to send or to fetch, or "sync now" came
 *                        during it
 *   TALKING -> IDLE      exchange over, nothing left
 *   TALKING -> WAITING   exchange over, saves came in between
 *   TALKING -> BACKOFF   exchange failed
 *   BACKOFF -> TALKING   timer, link up, resume, or "sync now"
 *   any     -> STOPPED
 *
 *   IDLE     the timer stands for the next look at the feed
 *   WAITING  the timer stands for the saves that wait (10 s after the last, at most
 *            60 s after the first) or for the feed, whichever comes first
 *   TALKING  one exchange in flight, no timer
 *   BACKOFF  the timer stands for the next try; failures > 0 unless a link came up
 *   STOPPED  final
 *
 * While paused nothing but "sync now" starts an exchange: IDLE and BACKOFF then hold no
 * timer, and only "sync now" or resume move on. What "sync now" has started goes on
 * while there is more, paused or not. Nothing but "sync now" starts one either
 *
 *   before the time that the server asked for (taken up to a day), or half an hour to
 *   an hour after it said that it does not know this node; outside of the windows that
 *   a person set: the timer stands for the end of both
 *   on a link that costs and over which nothing may go by itself: the timer stands for
 *   the next hourly look, which starts nothing
 *
 * Without a link there is one try an hour, since those who say that there is none may
 * be wrong. On a link that costs and over which small things may go, own changes go as
 * ever, in chunks of at most 16 kB; the feed is looked at every four hours, once. The
 * table in upsync.c enforces the moves. Pure: not thread-safe, no allocation. */
#ifndef HM_PROTOCOL_UPSYNC_H
#define HM_PROTOCOL_UPSYNC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/backoff.h"

enum {
    HM_UPSYNC_SAVE_DELAY_MS = 10 * 1000,
    HM_UPSYNC_SAVE_DELAY_MS_MAX = 60 * 1000,
    HM_UPSYNC_FEED_MS = 15 * 60 * 1000, /* +- 20 % */
    HM_UPSYNC_CHUNK_BYTES_MIN = 2 * 1024,
    HM_UPSYNC_CHUNK_BYTES_FIRST = 8 * 1024,
    HM_UPSYNC_CHUNK_BYTES_MAX = 1024 * 1024,
    HM_UPSYNC_CHUNK_MS = 8 * 1000, /* a chunk should take about this long */
    HM_UPSYNC_CHUNK_TRUST = 4, /* successes before a chunk grows that broke off once */
    HM_UPSYNC_FOREIGN_MS = 2 * 60 * 1000, /* longest delay when a stranger answers */
    HM_UPSYNC_DENIED_MS = 30 * 60 * 1000, /* .. twice that, when this node is unknown */
    HM_UPSYNC_BLIND_MS = 60 * 60 * 1000, /* between two tries or looks without a link */
    HM_UPSYNC_METERED_FEED_MS = 4 * 60 * 60 * 1000,
    HM_UPSYNC_METERED_CHUNK_BYTES = 16 * 1024
};

/* What may go by itself over the link as it is. */
enum hm_upsync_cost {
    HM_UPSYNC_COST_ALL, /* it costs nothing, or nobody minds */
    HM_UPSYNC_COST_SMALL,
    HM_UPSYNC_COST_NOTHING
};

enum hm_upsync_state {
    HM_UPSYNC_IDLE,
    HM_UPSYNC_WAITING,
    HM_UPSYNC_TALKING,
    HM_UPSYNC_BACKOFF,
    HM_UPSYNC_STOPPED
};

enum hm_upsync_event_type {
    HM_UPSYNC_EV_START, /* once, first */
    HM_UPSYNC_EV_SAVED, /* something new is to be sent */
    HM_UPSYNC_EV_LINK_UP,
    HM_UPSYNC_EV_LINK_DOWN,
    HM_UPSYNC_EV_TIMER,
    HM_UPSYNC_EV_EXCHANGED, /* the exchange in flight is over */
    HM_UPSYNC_EV_NOW,       /* a person wants it now; also while paused */
    HM_UPSYNC_EV_PAUSE,
    HM_UPSYNC_EV_RESUME,
    HM_UPSYNC_EV_STOP,
    HM_UPSYNC_EV_WINDOW, /* opens_at_ms is what is known now */
    HM_UPSYNC_EV_COST    /* cost is what is known now */
};

struct hm_upsync_event {
    enum hm_upsync_event_type type;
    uint64_t now_ms; /* monotonic clock */
    uint64_t random; /* fresh random bits */
    /* HM_UPSYNC_EV_EXCHANGED only: */
    int err;                 /* HM_OK, or why it failed */
    bool more;               /* another exchange would move something */
    bool sends;              /* upward, that is */
    bool foreign;            /* somebody else answered: a captive portal */
    uint64_t retry_after_ms; /* the server's wish, 0 for none */
    uint64_t bytes;          /* sent and received, also by one that failed */
    uint64_t took_ms;        /* from the first byte sent to the last received */
    /* HM_UPSYNC_EV_WINDOW only: */
    uint64_t opens_at_ms; /* monotonic clock; 0: it is open */
    /* HM_UPSYNC_EV_COST only: */
    enum hm_upsync_cost cost;
};

/* What the caller must do, in this order. All zero: nothing. */
struct hm_upsync_wishes {
    bool cancel_exchange; /* no EXCHANGED follows */
    bool start_exchange;  /* answer with EXCHANGED exactly once */
    size_t chunk_bytes;   /* of the exchange: budget of each direction */
    uint64_t timer_at_ms; /* replaces the former timer; 0: no timer */
};

struct hm_upsync {
    enum hm_upsync_state state;
    bool linked;
    bool paused;
    bool saved; /* a save came that no exchange has begun after */
    bool told;  /* a person asked for the exchange in flight */
    bool again; /* a person asked during the exchange in flight */
    uint64_t saved_first_at_ms;
    uint64_t saved_last_at_ms;
    uint64_t feed_at_ms; /* when the feed is asked for next */
    uint64_t retry_at_ms;
    uint64_t not_before_ms; /* the server's wish; 0: none */
    uint64_t opens_at_ms;   /* of the windows; 0: open */
    uint64_t look_at_ms;    /* the next hourly one, without a link or for its cost */
    enum hm_upsync_cost cost;
    bool foreign; /* the last exchange met a stranger */
    size_t chunk_bytes;
    bool careful;       /* a chunk broke off: they grow slowly */
    unsigned successes; /* in a row, meanwhile */
    struct hm_backoff backoff;
    int last_err;
};

/* A machine that believes in a link until it hears otherwise. */
void hm_upsync_init(struct hm_upsync *u, bool paused);
/* Never fails: failures are events. *out_wishes is overwritten. */
void hm_upsync_step(struct hm_upsync *u, const struct hm_upsync_event *event,
                    struct hm_upsync_wishes *out_wishes);
/* Why nothing starts by itself now: "" (nothing in the way), "paused", "no link", "the
 * link costs", "outside the sync windows", "the hub asked to wait", "this node is not
 * known at the hub", "a captive portal", "the last try failed". Static. */
const char *hm_upsync_waits_for(const struct hm_upsync *u, uint64_t now_ms);
/* "idle", "waiting" ... Static. */
const char *hm_upsync_state_name(enum hm_upsync_state state);

#endif
