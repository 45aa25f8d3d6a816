/* The state of one household: cells with every value that nobody has replaced.
 *
 * A cell holds siblings, one or more (dot, value); rm holds dots known to be replaced
 * but not seen here yet. vv[incarnation] = n says: every change of that author up to n
 * that touches this household has been applied here (or refused). Applying is
 * commutative, associative and idempotent as long as no change was refused.
 *
 * The state knows no policy: what is shown and what counts as a conflict is a view
 * (protocol/policy.h). Pure: memory comes from the household's arena; any thread. */
#ifndef HM_PROTOCOL_HOUSEHOLD_H
#define HM_PROTOCOL_HOUSEHOLD_H

#include "protocol/arena.h"
#include "protocol/change.h"
#include "protocol/hash.h"
#include "protocol/id.h"
#include "protocol/segment.h"

enum {
    HM_HOUSEHOLD_BYTES_MAX = 1024 * 1024, /* encoded */
    HM_HOUSEHOLD_ARENA_BYTES_MAX = 64 * 1024 * 1024
};

/* Who an incarnation belongs to, as its birth says. */
struct hm_author {
    uint64_t incarnation;
    uint64_t device;
    int64_t base_wall_ms; /* UTC; not kept in states */
    int64_t clock_offset_ms;
    enum hm_clock_class clock_class;
};

struct hm_vv_entry {
    struct hm_author author;
    uint64_t n; /* >= 1 */
};

/* What the author wrote about a change beside its cells; kept while a value of it
 * lives. */
struct hm_stamp {
    struct hm_dot dot;
    uint32_t user;
    uint8_t rank;
    int64_t wall_ms; /* UTC by the author's clock; ends at the ends of the type */
};

struct hm_sibling {
    struct hm_dot dot;
    struct hm_bytes value; /* canonical msgpack; nil: cleared */
};

struct hm_cell {
    uint32_t field;
    struct hm_sibling *siblings; /* ascending by dot */
    size_t sibling_count;
    struct hm_dot *rm; /* ascending; every one with n > vv of its incarnation */
    size_t rm_count;
};

struct hm_row {
    struct hm_row_key key;
    struct hm_cell
        *cells; /* ascending by field; a cell without siblings and rm is left out */
    size_t cell_count;
};

struct hm_household {
    struct hm_household_id id;
    uint32_t home;   /* unit id: scope of the creating change, else the lowest seen */
    bool home_known; /* the creating change has been applied */
    struct hm_vv_entry *vv; /* ascending by incarnation */
    size_t vv_count;
    struct hm_stamp *stamps; /* ascending by dot: exactly those of the live siblings */
    size_t stamp_count;
    struct hm_row *rows; /* ascending by key */
    size_t row_count;
    struct hm_arena *arena; /* borrowed; holds everything above */
};

/* A household changes in place: a copy of the struct is no copy of the household. */

/* An empty household. arena must outlive it. */
void hm_household_init(struct hm_household *h, const struct hm_household_id *id,
                       struct hm_arena *arena);

/* Apply a change to its household. change->household must be h->id. The household keeps
 * copies only. *out_applied: false when vv covers the dot and nothing was done.
 *
 * Errors: HM_NOMEM (h is then undefined, to be thrown away). */
int hm_household_apply(struct hm_household *h, const struct hm_change *change,
                       const struct hm_dot *dot, const struct hm_author *author,
                       bool *out_applied) HM_MUST_USE;

/* The change was refused: the vector moves, no value enters. Errors: HM_NOMEM. */
int hm_household_refuse(struct hm_household *h, const struct hm_change *change,
                        const struct hm_dot *dot,
                        const struct hm_author *author) HM_MUST_USE;

/* Nothing is known of it but changes of others that were refused: it may not exist. */
static inline bool hm_household_is_hearsay(const struct hm_household *h)
{
    return !h->home_known && h->row_count == 0;
}

/* n of the incarnation in the vector, 0 when it is not there. */
uint64_t hm_household_seen(const struct hm_household *h, uint64_t incarnation);
/* NULL when there is none. Valid until the household changes. */
const struct hm_row *hm_household_row(const struct hm_household *h,
                                      const struct hm_row_key *key);
const struct hm_cell *hm_row_cell(const struct hm_row *row, uint32_t field);
const struct hm_stamp *hm_household_stamp(const struct hm_household *h,
                                          const struct hm_dot *dot);
const struct hm_author *hm_household_author(const struct hm_household *h,
                                            uint64_t incarnation);

/* Every dot that lives in the row, ascending and unique, in the household's arena.
 * Errors: HM_NOMEM. */
int hm_household_row_dots(const struct hm_household *h, const struct hm_row *row,
                          struct hm_dot **out_dots, size_t *out_count) HM_MUST_USE;

/* The scopes in whose feed and digest the household stands: those that a sibling of its
 * scope cell names, or its home while no scope cell lives. None while all that is known
 * of it are changes of others that were refused: where it lives is then a guess of
 * theirs. Ascending, unique, in the household's arena. Errors: HM_NOMEM. */
int hm_household_scopes(const struct hm_household *h, uint32_t **out_scopes,
                        size_t *out_count) HM_MUST_USE;

/* Canonical bytes of a state. Sets buf->err to HM_TOOBIG above HM_HOUSEHOLD_BYTES_MAX.
 */
void hm_household_encode(const struct hm_household *h, struct hm_buf *buf);

/* bytes: one state; the household keeps copies only. Every count and order is checked,
 * but not what is inside a value: bytes from outside must have passed hm_guard_check().
 * Takes memory in proportion to the bytes that are there.
 *
 * Errors: HM_NOMEM; HM_TOOBIG; HM_TRUNCATED, HM_MALFORMED, HM_NONCANONICAL; HM_VERSION.
 */
int hm_household_decode(struct hm_bytes bytes, struct hm_arena *arena,
                        struct hm_household *out) HM_MUST_USE;

/* BLAKE2b-128 of the canonical bytes: what a scope's digest adds up. */
struct hm_hash hm_household_hash(struct hm_bytes encoded);

#endif
