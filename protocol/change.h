/* One saved household transaction, and its canonical bytes.
 *
 * A change says which cells it writes and which dots it replaces: those that stood on
 * the author's screen. Encoding is deterministic and decoding never reads state.
 *
 * Pure: memory comes from an arena, no clock, any thread. */
#ifndef HM_PROTOCOL_CHANGE_H
#define HM_PROTOCOL_CHANGE_H

#include "protocol/arena.h"
#include "protocol/id.h"

enum {
    HM_CHANGE_BYTES_MAX = 32 * 1024,
    HM_CHANGE_REASON_BYTES_MAX = 200,
    HM_RANK_MAX = 15,
    /* Arrays and maps within one another in a value: what HM_GUARD_DEPTH_MAX leaves
     * once the value lies in a state. */
    HM_VALUE_DEPTH_MAX = 3
};

struct hm_cell_write {
    uint32_t field;
    struct hm_bytes value;         /* one canonical msgpack item; nil clears the cell */
    const struct hm_dot *replaced; /* ascending, never the change's own dot */
    size_t replaced_count;
};

struct hm_row_write {
    struct hm_row_key key;
    struct hm_cell_write *cells; /* ascending by field */
    size_t cell_count;
};

struct hm_change {
    int64_t dt_ms; /* wall time of the save, after the birth's wall time */
    uint32_t user; /* number of the user item; HM_USER_OPERATOR */
    uint8_t rank;  /* of the user's role when it was written, 0..HM_RANK_MAX */
    struct hm_household_id household;
    uint32_t scope;            /* unit id: where its author saw the household */
    struct hm_row_write *rows; /* ascending by key */
    size_t row_count;
    struct hm_bytes reason; /* text, may be empty */
};

/* Append the canonical bytes of change, written as dot, to buf. Rows without cells are
 * left out. Sets buf->err to HM_TOOBIG when the bytes, the reason or the nesting of a
 * value exceed the limits above. Rows, cells and replaced dots must be in order and
 * unique (HM_ASSERT). */
void hm_change_encode(const struct hm_change *change, const struct hm_dot *dot,
                      struct hm_buf *buf);

/* bytes: exactly one change, written as dot, from outside or from the store. Views in
 * *out point into bytes, arrays into arena.
 *
 * Errors:
 *   HM_NOMEM
 *   HM_TOOBIG, HM_TRUNCATED, HM_MALFORMED, HM_NONCANONICAL  as hm_guard_check(), and
 *     HM_NONCANONICAL when hm_change_encode() would give other bytes */
int hm_change_decode(struct hm_bytes bytes, const struct hm_dot *dot,
                     struct hm_arena *arena, struct hm_change *out) HM_MUST_USE;

/* True when dot made the household that the change writes to. */
static inline bool hm_change_creates(const struct hm_change *change,
                                     const struct hm_dot *dot)
{
    return change->household.a == dot->incarnation && change->household.n == dot->n;
}

#endif
