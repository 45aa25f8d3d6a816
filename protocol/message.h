/* The frames of a request and of a reply: type, length, payload.
 *
 * A body is frames one behind the other, nothing else. The length is LEB128 in its
 * shortest form, at most 4 bytes. A payload is one canonical msgpack item, where it
 * says so followed by raw bytes; a segment is its own bytes. Unknown types are skipped,
 * so that a newer peer can say more. The layout in bytes is in docs/protocol.md.
 *
 * Pure: views point into what is read; any thread. */
#ifndef HM_PROTOCOL_MESSAGE_H
#define HM_PROTOCOL_MESSAGE_H

#include "protocol/arena.h"
#include "protocol/compress.h"
#include "protocol/hash.h"
#include "protocol/id.h"

enum {
    HM_PROTOCOL_VERSION = 1,
    HM_REQUEST_BYTES_MAX = 2 * 1024 * 1024,
    HM_REPLY_BYTES_MAX = 4 * 1024 * 1024,
    HM_REQUEST_FRAMES_MAX = 16384,
    HM_STATES_BYTES_MAX = 2 * 1024 * 1024, /* uncompressed states or items of a frame */
    HM_MESSAGE_TEXT_MAX = 200,
    HM_MESSAGE_LOGS_MAX = 1024,
    HM_MESSAGE_DICTIONARIES_MAX = 256,
    HM_FEED_STATES_MAX = 65536,
    HM_HASH_PREFIX_BYTES = 8
};

enum hm_frame_type {
    /* requests */
    HM_FRAME_HELLO = 1,
    HM_FRAME_LOGS = 2, /* own logs, offered to a parent that may not know them */
    HM_FRAME_CURSOR = 3,
    HM_FRAME_SEGMENT = 4, /* raw: a sealed segment */
    HM_FRAME_HASHES = 5,  /* item, then 8 bytes a household */
    HM_FRAME_WANT = 6,    /* a piece of a blob */
    HM_FRAME_HEARD = 7,   /* what was heard so far of entries at the centre */
    HM_FRAME_GRANT = 8,   /* of a hub: an item of a device that it let in */
    HM_FRAME_HERE = 9,    /* protocol/here.h, here and below */
    HM_FRAME_ITEM = 10,
    /* replies */
    HM_FRAME_TIME = 32,
    HM_FRAME_RECEIPT = 33,
    HM_FRAME_QUARANTINED = 34,
    HM_FRAME_FEED = 35, /* item, then compressed states */
    HM_FRAME_GIVE = 36, /* as FEED: states outside of the feed's order */
    HM_FRAME_NEED = 37, /* item, then 8 bytes a household that the parent has not */
    HM_FRAME_MORE = 38, /* nothing: ask again at once */
    HM_FRAME_BLOB = 39, /* item, then the bytes of the piece */
    HM_FRAME_AT_CENTRE = 40, /* logs: how many of their entries are at the centre */
    HM_FRAME_TOLD = 41,      /* where the next HEARD goes on */
    HM_FRAME_ALARMS = 42,
    HM_FRAME_FORK = 43
};

struct hm_frame {
    unsigned type;
    struct hm_bytes payload;
};

/* The next frame of r. Returns false at the end or on an error, which r->err tells:
 * HM_TRUNCATED, HM_NONCANONICAL. */
bool hm_frame_read(struct hm_reader *r, struct hm_frame *out);
/* Append a frame. */
void hm_frame_write(struct hm_buf *buf, enum hm_frame_type type,
                    struct hm_bytes payload);

/* Every X_write() appends a whole frame; every X_read() takes a payload from outside,
 * guards it, and leaves *out unchanged on error.
 *
 * Errors of all: as hm_guard_check(); HM_MALFORMED; HM_TOOBIG; HM_NOMEM where there is
 * an arena. */

struct hm_hello {
    uint64_t version_min; /* of the protocol: the range that the sender speaks */
    uint64_t version_max;
    uint64_t device;
    int64_t wall_ms;              /* the sender's clock, UTC */
    uint64_t reply_bytes;         /* the reply should not be much larger */
    struct hm_bytes program;      /* version, text */
    const uint64_t *dictionaries; /* ids that the sender holds */
    size_t dictionary_count;
};
void hm_hello_write(struct hm_buf *buf, const struct hm_hello *hello);
int hm_hello_read(struct hm_bytes payload, struct hm_arena *arena,
                  struct hm_hello *out) HM_MUST_USE;

/* One log: its entries 0 .. upto, the last one's chain hash. */
struct hm_log_offer {
    uint64_t incarnation;
    uint64_t upto;
    struct hm_hash chain;
};
void hm_logs_write(struct hm_buf *buf, const struct hm_log_offer *logs, size_t count);
int hm_logs_read(struct hm_bytes payload, struct hm_arena *arena,
                 struct hm_log_offer **out_logs, size_t *out_count) HM_MUST_USE;

/* Where a child stands in a parent's feed. All zero: at the beginning, unknown. */
struct hm_cursor {
    uint32_t scope; /* 0: administrative items */
    uint64_t timeline;
    uint64_t position;
    uint64_t salt;         /* of that position at the parent */
    struct hm_hash digest; /* what the child holds of the scope */
};
void hm_cursor_write(struct hm_buf *buf, const struct hm_cursor *cursor);
int hm_cursor_read(struct hm_bytes payload, struct hm_cursor *out) HM_MUST_USE;

/* 8 bytes a household, ascending: of a child's HASHES, of a parent's NEED. */
struct hm_hash_list {
    uint32_t scope;
    struct hm_bytes prefixes; /* a multiple of HM_HASH_PREFIX_BYTES */
};
void hm_hash_list_write(struct hm_buf *buf, enum hm_frame_type type,
                        const struct hm_hash_list *list);
int hm_hash_list_read(struct hm_bytes payload, struct hm_hash_list *out) HM_MUST_USE;

struct hm_want {
    uint8_t hash[HM_CONTENT_HASH_BYTES];
    uint64_t offset; /* bytes that the sender has already */
};
void hm_want_write(struct hm_buf *buf, const struct hm_want *want);
int hm_want_read(struct hm_bytes payload, struct hm_want *out) HM_MUST_USE;

enum hm_level { HM_LEVEL_HUB = 1, HM_LEVEL_CENTRE = 2 };

struct hm_time {
    int64_t received_ms; /* the parent's clock, UTC */
    int64_t sent_ms;
    uint64_t
        version; /* of the protocol, chosen; 0: none fits, the text says what to do */
    enum hm_level level; /* of the parent */
    uint64_t device;     /* of the parent */
    uint64_t retry_after_s;
    struct hm_bytes text; /* for people, may be empty */
};
void hm_time_write(struct hm_buf *buf, const struct hm_time *time);
int hm_time_read(struct hm_bytes payload, struct hm_time *out) HM_MUST_USE;

/* The parent holds entries 0 .. count-1 of the log, durably. */
struct hm_receipt {
    uint64_t incarnation;
    uint64_t count; /* 0: nothing of it */
    enum hm_level level;
};
void hm_receipt_write(struct hm_buf *buf, const struct hm_receipt *receipt);
int hm_receipt_read(struct hm_bytes payload, struct hm_receipt *out) HM_MUST_USE;

/* Entries 0 .. count-1 of a log are at the centre, as the parent was told. */
struct hm_at_centre {
    uint64_t incarnation;
    uint64_t count;
};
void hm_at_centre_write(struct hm_buf *buf, const struct hm_at_centre *logs,
                        size_t count);
int hm_at_centre_read(struct hm_bytes payload, struct hm_arena *arena,
                      struct hm_at_centre **out_logs, size_t *out_count) HM_MUST_USE;

/* Where a child stands in what its parent, a hub, has heard from the centre: HEARD asks
 * for what came since, TOLD answers. All zero: at the beginning. */
struct hm_heard {
    uint64_t timeline; /* of the parent's feeds */
    uint64_t position;
    /* How far the sender's administrative items go, by the feed of the centre. */
    uint64_t items_timeline;
    uint64_t items_position;
};
void hm_heard_write(struct hm_buf *buf, enum hm_frame_type type,
                    const struct hm_heard *heard);
int hm_heard_read(struct hm_bytes payload, struct hm_heard *out) HM_MUST_USE;

/* Acknowledged, but it did not enter the state. */
struct hm_quarantined {
    struct hm_dot dot;
    int64_t reason;       /* an hm_err code */
    struct hm_bytes text; /* for people */
};
void hm_quarantined_write(struct hm_buf *buf, const struct hm_quarantined *notice);
int hm_quarantined_read(struct hm_bytes payload,
                        struct hm_quarantined *out) HM_MUST_USE;

/* A stretch of a parent's feed: the latest states of households, or for scope 0 the
 * latest administrative items, one canonical item behind the other. */
struct hm_feed {
    uint32_t scope;
    uint64_t timeline;
    uint64_t from;         /* the cursor that was asked from; 0 with to for a GIVE */
    uint64_t to;           /* the new cursor */
    uint64_t salt;         /* of to */
    bool more;             /* the feed goes on behind to */
    struct hm_hash digest; /* of the whole scope at the parent, when !more */
    uint64_t households;   /* in the whole scope at the parent */
    uint64_t dictionary;
    struct hm_bytes packed; /* compressed states; may be empty */
};
/* states: uncompressed. Errors: HM_NOMEM; HM_TOOBIG. */
int hm_feed_write(struct hm_buf *buf, enum hm_frame_type type,
                  const struct hm_feed *feed, struct hm_bytes states,
                  struct hm_dictionary dictionary) HM_MUST_USE;
int hm_feed_read(struct hm_bytes payload, struct hm_feed *out) HM_MUST_USE;
/* Unpack and split: *out_states are guarded items in arena. Errors also:
 * HM_DICTIONARY. */
int hm_feed_unpack(const struct hm_feed *feed, struct hm_dictionary dictionary,
                   struct hm_arena *arena, struct hm_bytes **out_states,
                   size_t *out_count) HM_MUST_USE;

struct hm_blob_piece {
    uint8_t hash[HM_CONTENT_HASH_BYTES];
    uint64_t offset;
    uint64_t size; /* of the whole blob; 0 with no bytes: the parent has no such blob */
    struct hm_bytes bytes;
};
void hm_blob_piece_write(struct hm_buf *buf, const struct hm_blob_piece *piece);
int hm_blob_piece_read(struct hm_bytes payload, struct hm_blob_piece *out) HM_MUST_USE;

#endif
