/* The parent's end of a sync: reads a request frame by frame and says, one wish at a
 * time, what is to be looked up or stored. No I/O; the store carries the wishes out
 * (storage/serve.h). No session: a request is a whole.
 *
 * Order in a request: HELLO first; then LOGS, CURSORs, SEGMENTs, HEARD, HASHES and
 * WANTs in any order. Wishes come in three phases, each in the order of the frames:
 *
 *   STORE   ACCEPT a segment, CHECK an offered log, keep a GRANT: to be committed
 * durably ANSWER  FEED of a cursor, COMPARE hashes, GIVE a piece of a blob, TELL of the
 * centre DONE
 *
 * Nothing is acknowledged before the STORE phase is on disk: the caller commits when it
 * sees the first wish that is not of it. Pure: views point into the request; not
 * thread-safe. */
#ifndef HM_PROTOCOL_DOWNSYNC_H
#define HM_PROTOCOL_DOWNSYNC_H

#include "protocol/message.h"

enum hm_downsync_wish_type {
    HM_DOWNSYNC_CHECK,   /* offer: answer a RECEIPT of how much of the log is held */
    HM_DOWNSYNC_ACCEPT,  /* segment: verify, authorise, append, apply */
    HM_DOWNSYNC_GRANT,   /* item: judge and keep a device that a hub let in */
    HM_DOWNSYNC_FEED,    /* cursor: answer a FEED from there on */
    HM_DOWNSYNC_COMPARE, /* hashes: answer GIVE for what differs, NEED for what is
                          * unknown */
    HM_DOWNSYNC_BLOB,    /* want: answer a BLOB piece */
    HM_DOWNSYNC_TELL,    /* heard: answer what came from the centre since */
    HM_DOWNSYNC_DONE
};

struct hm_downsync_wish {
    enum hm_downsync_wish_type type;
    union {
        struct hm_log_offer offer;
        struct hm_bytes segment;
        struct hm_bytes item;
        struct hm_cursor cursor;
        struct hm_hash_list hashes;
        struct hm_want want;
        struct hm_heard heard;
    } u;
};

struct hm_downsync {
    struct hm_hello hello;
    struct hm_bytes request;
    struct hm_arena *arena;
    struct hm_reader at;
    bool answering;              /* phase ANSWER */
    struct hm_log_offer *offers; /* of the LOGS frame being worked off */
    size_t offer_count;
    int err; /* ended the request */
};

/* Check the whole request's frames and read its HELLO; request and arena must outlive
 * d.
 *
 * Errors:
 *   HM_VERSION    no protocol version in common: answer TIME with version 0 and a text
 *   HM_MALFORMED  no HELLO at the start, a second one, or too many frames
 *   HM_TRUNCATED, HM_NONCANONICAL, HM_TOOBIG, HM_NOMEM */
int hm_downsync_init(struct hm_downsync *d, struct hm_bytes request,
                     struct hm_arena *arena) HM_MUST_USE;

/* The next wish. A frame that can't be read ends the request with its error, which
 * every later call repeats; what was wished before stands.
 *
 * Errors: as of the frames' readers. */
int hm_downsync_next(struct hm_downsync *d, struct hm_downsync_wish *out) HM_MUST_USE;

/* True for a wish that must be durable before anything is answered. */
static inline bool hm_downsync_stores(const struct hm_downsync_wish *wish)
{
    return wish->type == HM_DOWNSYNC_ACCEPT || wish->type == HM_DOWNSYNC_CHECK ||
           wish->type == HM_DOWNSYNC_GRANT;
}

#endif
