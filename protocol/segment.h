/* Births and segments: the log of an incarnation as it is signed, sent and relayed.
 *
 * A log is the entries n = 0, 1, 2 .. of one incarnation. Entry 0 is the birth, every
 * other one a change. chain(0) = H(16 zero bytes, H(birth)), chain(n) = H(chain(n-1),
 * H(change n)), H being BLAKE2b-128, so that an entry can later be replaced by its hash
 * without breaking the chain. A segment carries consecutive entries and is signed by
 * the device over its header and its last chain hash.
 *
 * Pure: keys and dictionaries are arguments; any thread. The layout in bytes is in
 * docs/protocol.md. */
#ifndef HM_PROTOCOL_SEGMENT_H
#define HM_PROTOCOL_SEGMENT_H

#include "protocol/arena.h"
#include "protocol/compress.h"
#include "protocol/hash.h"
#include "protocol/id.h"

enum {
    HM_SEGMENT_VERSION = 1,
    HM_SEGMENT_BODY_BYTES_MAX = 64 * 1024, /* uncompressed */
    HM_SEGMENT_ENTRIES_MAX = 256,
    HM_SEGMENT_BYTES_MAX = 68 * 1024, /* sealed: no larger than its content and frame */
    HM_BIRTH_BYTES_MAX = 256,
    HM_SIGNATURE_BYTES = 64,
    HM_PUBLIC_KEY_BYTES = 32,
    HM_SECRET_KEY_BYTES = 64,
    HM_BOOT_ID_BYTES = 16
};

/* How far an author's clock can be believed. A label: it never decides delivery. */
enum hm_clock_class {
    HM_CLOCK_UNKNOWN = 0, /* never compared with a parent */
    HM_CLOCK_OFF = 1,     /* compared, and more than a day away */
    HM_CLOCK_CHECKED = 2  /* compared, and within a day */
};

/* What opens an incarnation's log. */
struct hm_birth {
    uint64_t device;
    uint64_t parent_incarnation; /* the device's one before; 0 for its first */
    uint64_t parent_n;           /* its last entry as this node knew it */
    struct hm_hash parent_chain;
    uint8_t boot_id[HM_BOOT_ID_BYTES];
    int64_t wall_ms; /* UTC, of the author's clock; base of every dt_ms */
    enum hm_clock_class clock_class;
    int64_t clock_offset_ms; /* to be added to the author's clock */
    struct hm_bytes version; /* of the program, text, <= 32 bytes */
};

void hm_birth_encode(const struct hm_birth *birth, struct hm_buf *buf);
/* Views point into bytes. Errors: as hm_guard_check(); HM_VERSION. */
int hm_birth_decode(struct hm_bytes bytes, struct hm_birth *out) HM_MUST_USE;

static const struct hm_hash HM_CHAIN_START;

/* The chain hash behind an entry. */
struct hm_hash hm_chain_next(const struct hm_hash *before, struct hm_bytes entry);

struct hm_segment {
    uint64_t incarnation;
    uint64_t device;
    uint64_t first_n;
    size_t count;              /* 1..HM_SEGMENT_ENTRIES_MAX */
    uint64_t dictionary;       /* id, 0 for none */
    struct hm_hash prev_chain; /* chain(first_n - 1); zero when first_n is 0 */
    struct hm_hash chain;      /* chain(first_n + count - 1) */
    struct hm_bytes header;    /* what was signed, with chain behind it */
    struct hm_bytes body;      /* compressed */
    const uint8_t *signature;  /* HM_SIGNATURE_BYTES */
};

/* Seal count entries (canonical bytes, in order) that follow prev_chain; append the
 * segment to out.
 *
 * Errors: HM_NOMEM; HM_TOOBIG (entries over the limits). out keeps its length. */
struct hm_segment_seal {
    uint64_t incarnation;
    uint64_t device;
    uint64_t first_n;
    struct hm_hash prev_chain;
    const struct hm_bytes *entries;
    size_t count;
    struct hm_dictionary dictionary;
    const uint8_t *secret_key; /* HM_SECRET_KEY_BYTES, Ed25519 */
};
int hm_segment_seal(const struct hm_segment_seal *seal, struct hm_buf *out) HM_MUST_USE;

/* Read the frame of a segment without looking at its signature or body. Views point
 * into bytes. Errors: as hm_guard_check(); HM_TOOBIG; HM_VERSION. */
int hm_segment_open(struct hm_bytes bytes, struct hm_segment *out) HM_MUST_USE;

/* The signature is of public_key (HM_PUBLIC_KEY_BYTES). Errors: HM_SIGNATURE. */
int hm_segment_verify(const struct hm_segment *segment,
                      const uint8_t *public_key) HM_MUST_USE;

/* Unpack the body into the arena: *out_entries has segment->count views. dictionary is
 * the one that segment->dictionary names, or HM_DICTIONARY_NONE.
 * Proves that the entries lead from prev_chain to chain.
 *
 * Errors: HM_DICTIONARY (segment->dictionary is not dictionary.id); HM_CHAIN; HM_NOMEM;
 *   HM_TOOBIG; HM_MALFORMED, HM_TRUNCATED, HM_NONCANONICAL. */
int hm_segment_unpack(const struct hm_segment *segment, struct hm_dictionary dictionary,
                      struct hm_arena *arena,
                      const struct hm_bytes **out_entries) HM_MUST_USE;

#endif
