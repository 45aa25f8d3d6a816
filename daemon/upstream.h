/* Carries out the wishes of protocol/upsync.h: talks to the upstream when it should,
 * and tells those who wait for it. Decides nothing about when; a node without an
 * upstream has one of these that rests.
 *
 * Loop thread only. All but open take NULL: a node that stops has none any more. */
#ifndef HM_DAEMON_UPSTREAM_H
#define HM_DAEMON_UPSTREAM_H

#include "daemon/upstream_exchange.h"

struct hm_upstream;
struct hm_sync_wait;

typedef void (*hm_sync_wait_cb)(struct hm_sync_wait *wait);
typedef void (*hm_upstream_closed_cb)(void *owner);

enum hm_sync_result { HM_SYNC_OK, HM_SYNC_OFFLINE, HM_SYNC_REFUSED, HM_SYNC_TIMEOUT };

/* Somebody who asked for a sync. The caller's memory; zero it, then set the first
 * part. */
struct hm_sync_wait {
    bool settle;          /* until an exchange moved nothing and the digests are equal;
                           * else until nothing is left to send or to fetch */
    uint64_t timeout_ms;  /* 0: none */
    hm_sync_wait_cb done; /* once, in a later turn; may free the struct */

    /* Of all exchanges that began after hm_upstream_sync(). */
    enum hm_sync_result result;
    uint64_t sent_changes;
    uint64_t sent_bytes;
    uint64_t received_households;
    uint64_t received_bytes;
    unsigned round_trips;
    bool digest_equal;
    char detail[HM_UPSTREAM_TEXT_MAX]; /* "" for none */

    /* Private. */
    uint64_t deadline_ms;
    bool seen; /* an exchange began since */
    struct hm_sync_wait *next;
};

struct hm_upstream_facts {
    bool known; /* there is an upstream */
    const char *url;
    const char *state;      /* linked, offline, refused */
    const char *last_error; /* "" for none */
    const char *waits_for; /* why nothing starts by itself now; hm_upsync_waits_for() */
    int64_t next_utc_ms;   /* of the next look or try by itself; 0: none stands */
    int64_t last_ok_utc_ms; /* 0: never */
    bool paused;
};

/* Reads from the store who the upstream is, then starts. Errors: HM_NOMEM. */
int hm_upstream_open(struct hm_node *node,
                     struct hm_upstream **out_upstream) HM_MUST_USE;
/* The node has got an upstream, or another one is used from now on: read it. */
void hm_upstream_reload(struct hm_upstream *u);
/* The node's configuration is another one: its [sync] counts from now on. */
void hm_upstream_reconfigured(struct hm_upstream *u);
void hm_upstream_facts(const struct hm_upstream *u, struct hm_upstream_facts *out);

/* Something is to be sent. */
void hm_upstream_saved(struct hm_upstream *u);
/* The pause was kept in the store, or ended there. */
void hm_upstream_set_paused(struct hm_upstream *u, bool paused);
/* Sync now, also while paused. Errors, and done() does not run: HM_NOTFOUND (no
 * upstream); HM_CANCELED (closing). */
int hm_upstream_sync(struct hm_upstream *u, struct hm_sync_wait *wait) HM_MUST_USE;

/* Those who wait get HM_SYNC_OFFLINE; closed runs when nothing is in flight and u is
 * freed. NULL u: nothing happens. */
void hm_upstream_close(struct hm_upstream *u, hm_upstream_closed_cb closed,
                       void *owner);

const char *hm_sync_result_name(enum hm_sync_result result);

#endif
