/* A node's store: one file, one writing connection, and what the node is.
 *
 * Blocking; not thread-safe: one thread at a time per store. Several stores may be open
 * on one file, one that writes and others that read snapshots. Time and randomness come
 * through hm_env, so a test can play both. */
#ifndef HM_STORAGE_STORE_H
#define HM_STORAGE_STORE_H

#include "protocol/arena.h"
#include "protocol/hash.h"
#include "protocol/message.h"
#include "protocol/segment.h"
#include "storage/db.h"

/* The world outside: called on the thread that uses the store. */
struct hm_env {
    int64_t (*utc_ms)(void *arg);                        /* wall clock */
    void (*random)(void *arg, uint8_t *out, size_t len); /* unpredictable bytes */
    void *arg;
};

enum hm_node_role {
    HM_NODE_NEW,    /* no programme and no upstream: saves are refused */
    HM_NODE_LAPTOP, /* has an upstream, serves nobody */
    HM_NODE_HUB,    /* has an upstream and serves others */
    HM_NODE_CENTRE  /* has a programme and no upstream */
};

struct hm_store_options {
    const char *path;
    const char *vfs; /* NULL: the default one */
    bool read_only;
    struct hm_env env;
    uint64_t device; /* this node's: first 64 bits of BLAKE2b-128(public key) */
    const uint8_t *public_key; /* HM_PUBLIC_KEY_BYTES, copied */
    const uint8_t *secret_key; /* HM_SECRET_KEY_BYTES, copied; NULL when read_only */
    uint8_t boot_id[HM_BOOT_ID_BYTES];
    const char *version; /* of the program, copied */
};

struct hm_store;

/* Open, and bring to the newest schema unless read_only.
 *
 * Errors: as hm_db_open() and hm_migrate_run(). */
int hm_store_open(const struct hm_store_options *options,
                  struct hm_store **out_store) HM_MUST_USE;
/* NULL is allowed. */
void hm_store_close(struct hm_store *s);

/* One line for people about the last failure of this store; "" for none. */
const char *hm_store_errmsg(const struct hm_store *s);
/* Say what failed, for hm_store_errmsg(); returns err. */
int hm_store_fail(struct hm_store *s, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

struct hm_db *hm_store_db(struct hm_store *s);
int64_t hm_store_utc_ms(struct hm_store *s);
uint64_t hm_store_random(struct hm_store *s);
void hm_store_random_bytes(struct hm_store *s, uint8_t *out, size_t len);
uint64_t hm_store_device(const struct hm_store *s);
const uint8_t *hm_store_public_key(const struct hm_store *s);

/* One transaction around work that may already be inside of one: begin counts, only the
 * outermost commit writes; a rollback undoes all of it.
 *
 * hm_store_end() commits when err is HM_OK, else it rolls back; it returns err or the
 * commit's error. When it returns HM_OK the work survives power loss. */
int hm_store_begin(struct hm_store *s) HM_MUST_USE;
int hm_store_begin_read(struct hm_store *s) HM_MUST_USE;
int hm_store_end(struct hm_store *s, int err) HM_MUST_USE;

/* For a callback that cannot return an error: the open transaction cannot be committed
 * any more, hm_store_end() returns err (the first one) instead of HM_OK. Nothing
 * happens outside of one. */
void hm_store_doom(struct hm_store *s, int err);

/* Facts about this node. Errors of get: HM_NOTFOUND. Bytes are copied to the arena. */
int hm_store_get_number(struct hm_store *s, const char *name,
                        int64_t *out_number) HM_MUST_USE;
int hm_store_set_number(struct hm_store *s, const char *name,
                        int64_t number) HM_MUST_USE;
int hm_store_get_bytes(struct hm_store *s, const char *name, struct hm_arena *arena,
                       struct hm_bytes *out_bytes) HM_MUST_USE;
int hm_store_set_bytes(struct hm_store *s, const char *name,
                       struct hm_bytes bytes) HM_MUST_USE;

/* Names of facts. */
#define HM_META_ROLE            "role"     /* number: enum hm_node_role */
#define HM_META_TIMELINE        "timeline" /* number: of the feeds served here */
#define HM_META_UPSTREAM        "upstream" /* bytes: URL; storage/upstream facts beside */
#define HM_META_UPSTREAM_DEVICE "upstream_device" /* number */
#define HM_META_UPSTREAM_LEVEL  "upstream_level"  /* number: enum hm_level */
#define HM_META_UPSTREAM_PIN    "upstream_pin"    /* bytes: SHA-256 of its public key */
#define HM_META_TOKEN           "token"           /* bytes: this device's, for it */
#define HM_META_AUTHORITY       "authority"       /* bytes: the centre's public key */
#define HM_META_OFFER_LOGS                                                             \
    "offer_logs"                /* number: 1 when the parent may lack own logs */
#define HM_META_HEARD  "heard"  /* number: of the last news from the centre */
#define HM_META_PAUSED "paused" /* number */
#define HM_META_RESTORED                                                               \
    "restored" /* number: 1 from a backup until the first start                        \
                */
#define HM_META_ITEMS_UP                                                               \
    "items_up" /* number and bytes: items that the parent has forgotten */
#define HM_META_RESTORES "restores" /* number: histories that were begun here */
#define HM_META_TIMELINE_SINCE                                                         \
    "timeline_since_ms" /* number: of one that was begun later than the first */
/* numbers: how far the items here go, by the centre's timeline and position */
#define HM_META_ITEMS_TIMELINE "items_timeline"
#define HM_META_ITEMS_POSITION "items_position"
#define HM_META_CLOCK_OFFSET   "clock_offset_ms"  /* number: parent's clock less ours */
#define HM_META_CLOCK_CHECKED  "clock_checked_ms" /* number: when, by our clock */
#define HM_META_LAST_OK        "sync_last_ok_ms"  /* number */

/* HM_NODE_NEW when nothing says otherwise. */
int hm_store_role(struct hm_store *s, enum hm_node_role *out_role) HM_MUST_USE;

/* The incarnation that this opening writes under: 0 until its first write. Kept here so
 * that storage/log.c alone decides. */
struct hm_own_log {
    uint64_t incarnation;
    uint64_t next_n;
    struct hm_hash chain;
    int64_t base_wall_ms;
};
struct hm_own_log *hm_store_own_log(struct hm_store *s);
/* What names this opening to a parent: a random number, and how often it was asked for,
 * 1, 2, 3 .. */
uint64_t hm_store_opening(struct hm_store *s, uint64_t *out_number);
const uint8_t *hm_store_secret_key(const struct hm_store *s);
const uint8_t *hm_store_boot_id(const struct hm_store *s);
const char *hm_store_version(const struct hm_store *s);

/* The field tables by which values are indexed: set by hm_forms_open(), taken away by
 * hm_forms_close(). NULL: nobody has opened any. */
struct hm_forms;
void hm_store_set_forms(struct hm_store *s, struct hm_forms *forms);
struct hm_forms *hm_store_forms(const struct hm_store *s);

#endif
