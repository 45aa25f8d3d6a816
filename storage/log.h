/* The log: entries by incarnation, own ones and those of others.
 *
 * An opening of the store mints its own incarnation at its first write, with a birth
 * that names the one before. Every function runs inside a transaction of its caller
 * (hm_store_begin). Blocking; thread as the store. */
#ifndef HM_STORAGE_LOG_H
#define HM_STORAGE_LOG_H

#include "protocol/change.h"
#include "protocol/household.h"
#include "storage/store.h"

/* What is held of one log. */
struct hm_log {
    struct hm_author author;
    bool own;
    uint64_t entries;     /* 0 .. entries - 1 are held */
    struct hm_hash chain; /* of the last one */
    uint64_t sealed;      /* entries that lie in segments: 0 .. sealed - 1 */
};

/* Errors: HM_NOTFOUND. */
int hm_log_get(struct hm_store *s, uint64_t incarnation,
               struct hm_log *out) HM_MUST_USE;

/* The next own dot, minting an incarnation if this opening has none yet. Nothing is
 * final until hm_log_append_own(). */
int hm_log_next_own(struct hm_store *s, struct hm_dot *out_dot,
                    struct hm_author *out_author) HM_MUST_USE;

/* Others know so many entries of a log. When it is the one that this opening writes,
 * and they are more than it has, the machine was set back while it ran: the numbers are
 * taken, and the next write mints another incarnation. */
void hm_log_heard_of(struct hm_store *s, uint64_t incarnation, uint64_t entries);

/* Append the canonical bytes of an own change as the dot of hm_log_next_own().
 * household and home say whose history it is. */
int hm_log_append_own(struct hm_store *s, const struct hm_dot *dot,
                      struct hm_bytes bytes, const struct hm_household_id *household,
                      uint32_t home) HM_MUST_USE;

/* One entry of another node, next in its log. verdict: HM_OK or why it was refused. */
int hm_log_append(struct hm_store *s, struct hm_log *log, const struct hm_hash *chain,
                  int verdict, uint64_t segment_first_n) HM_MUST_USE;
/* The birth of another node's log. */
int hm_log_append_birth(struct hm_store *s, uint64_t incarnation,
                        const struct hm_birth *birth, const struct hm_hash *chain,
                        struct hm_log *out) HM_MUST_USE;
int hm_log_add_history(struct hm_store *s, const struct hm_dot *dot,
                       const struct hm_household_id *household,
                       uint32_t home) HM_MUST_USE;
/* Keep a segment's bytes as they came; a longer one with the same beginning takes the
 * place of a shorter one. */
int hm_log_keep_segment(struct hm_store *s, uint64_t incarnation, uint64_t first_n,
                        uint64_t last_n, struct hm_bytes bytes) HM_MUST_USE;

/* The chain hash behind entry n. Errors: HM_NOTFOUND. */
int hm_log_chain_at(struct hm_store *s, uint64_t incarnation, uint64_t n,
                    struct hm_hash *out) HM_MUST_USE;

/* Bring back an own log as it was written, in no segment: its birth, then entry after
 * entry, each next in the chain. order: 1 for the device's first log, 2 .. For
 * storage/repair.h. Errors: as hm_birth_decode(); HM_EXISTS. */
int hm_log_restore_own(struct hm_store *s, uint64_t incarnation, int64_t order,
                       struct hm_bytes birth, struct hm_log *out) HM_MUST_USE;
int hm_log_restore_entry(struct hm_store *s, struct hm_log *log,
                         struct hm_bytes bytes) HM_MUST_USE;

/* Forget an own log's entries from `entries` (>= 1) on, and what they touched; the
 * opening that writes it goes on under a new incarnation. For storage/fork.h, which has
 * put the entries elsewhere. */
int hm_log_cut(struct hm_store *s, const struct hm_log *log,
               uint64_t entries) HM_MUST_USE;

enum { HM_LOG_DICTIONARIES_MAX = 3 };

/* Seal own entries that lie in no segment yet, the oldest first, at most bytes_max of
 * them uncompressed but one in any case, with that of the dictionaries (at most
 * HM_LOG_DICTIONARIES_MAX), or none, which makes each segment smallest. *out_more: some
 * are left. */
int hm_log_seal(struct hm_store *s, const struct hm_dictionary *dictionaries,
                size_t dictionary_count, size_t bytes_max, bool *out_more) HM_MUST_USE;

/* The newest own log's entries that lie in no segment yet are there and lead to its
 * last hash: what a start can ask of a store of any size. Errors: HM_CORRUPT. */
int hm_log_check_tail(struct hm_store *s) HM_MUST_USE;

/* The segment that begins at or before entry n and holds it; a view of its bytes in
 * arena. Errors: HM_NOTFOUND. */
struct hm_stored_segment {
    uint64_t incarnation;
    uint64_t first_n;
    uint64_t last_n;
    struct hm_bytes bytes;
};
int hm_log_segment_with(struct hm_store *s, uint64_t incarnation, uint64_t n,
                        struct hm_arena *arena,
                        struct hm_stored_segment *out) HM_MUST_USE;

/* The canonical bytes of entry n, in arena. dictionary_of finds a dictionary by its id.
 * Errors: HM_NOTFOUND; HM_CORRUPT. */
int hm_log_entry(struct hm_store *s, uint64_t incarnation, uint64_t n,
                 struct hm_arena *arena, struct hm_bytes *out_bytes,
                 int *out_verdict) HM_MUST_USE;

/* Own logs, oldest first. Ends when fn returns another code than HM_OK, which is
 * returned. */
typedef int (*hm_log_fn)(void *arg, const struct hm_log *log);
int hm_log_each_own(struct hm_store *s, hm_log_fn fn, void *arg) HM_MUST_USE;
/* All logs that are held. */
int hm_log_each(struct hm_store *s, hm_log_fn fn, void *arg) HM_MUST_USE;

/* Dots of a household's changes that are held, in arena, by author and n. */
int hm_log_history(struct hm_store *s, uint32_t home, const struct hm_household_id *id,
                   struct hm_arena *arena, struct hm_dot **out_dots,
                   size_t *out_count) HM_MUST_USE;

/* Note that a change was accepted late: its device held scope once, and no more. */
int hm_log_add_late(struct hm_store *s, const struct hm_dot *dot, uint64_t device,
                    uint32_t scope) HM_MUST_USE;
int hm_log_is_late(struct hm_store *s, const struct hm_dot *dot,
                   bool *out_late) HM_MUST_USE;
/* How many of a device. */
int hm_log_count_late(struct hm_store *s, uint64_t device,
                      uint64_t *out_count) HM_MUST_USE;

/* The logs with changes that parent has no receipt for: own ones, oldest first, then
 * those of others that this node holds as a hub. */
int hm_log_each_unsent(struct hm_store *s, uint64_t parent, hm_log_fn fn,
                       void *arg) HM_MUST_USE;
/* The logs with changes that parent has not said yet how much it holds of. */
int hm_log_each_unasked(struct hm_store *s, uint64_t parent, hm_log_fn fn,
                        void *arg) HM_MUST_USE;

/* How much of a log a parent holds, by its own word. 0 entries, level 0 when it has
 * said nothing. What is sent goes by this alone: never by what another parent holds. */
int hm_log_receipt(struct hm_store *s, uint64_t parent, uint64_t incarnation,
                   uint64_t *out_entries, unsigned *out_level) HM_MUST_USE;
int hm_log_set_receipt(struct hm_store *s, uint64_t parent, uint64_t incarnation,
                       uint64_t entries, unsigned level) HM_MUST_USE;
/* How much of a log lies at the centre, by the word of a parent that is a hub. */
int hm_log_set_at_centre(struct hm_store *s, uint64_t parent, uint64_t incarnation,
                         uint64_t entries) HM_MUST_USE;
/* What parent said was of another history of its: nothing of it holds. */
int hm_log_forget_receipts(struct hm_store *s, uint64_t parent) HM_MUST_USE;
/* Ask parent again, before anything is sent to it: of all logs, or of those which have
 * changes that it had not. What it said stands until it answers. */
int hm_log_doubt_receipts(struct hm_store *s, uint64_t parent, bool all) HM_MUST_USE;
/* The most that any parent holds of a log, and that the centre does, by the word of the
 * parent that knows most. */
int hm_log_at_hub(struct hm_store *s, uint64_t incarnation,
                  uint64_t *out_entries) HM_MUST_USE;
int hm_log_at_centre(struct hm_store *s, uint64_t incarnation,
                     uint64_t *out_entries) HM_MUST_USE;

/* Where the news from the centre stands here, for children to ask from. */
int hm_log_heard(struct hm_store *s, uint64_t *out_position) HM_MUST_USE;
/* The logs whose part at the centre changed behind position, in arena; only those of
 * device, when that is not 0. */
struct hm_at_centre;
int hm_log_heard_since(struct hm_store *s, uint64_t position, uint64_t device,
                       struct hm_arena *arena, struct hm_at_centre **out_logs,
                       size_t *out_count) HM_MUST_USE;

/* Changes without a receipt of parent, own and others', and the wall time of the oldest
 * (0: none). at_hub, at_centre: own changes that any hub or the centre, that the centre
 * holds. */
struct hm_unsent {
    uint64_t changes;
    uint64_t bytes; /* of those in no segment yet, and of the segments of the others */
    int64_t oldest_utc_ms;
    uint64_t at_hub;
    uint64_t at_centre;
};
int hm_log_unsent(struct hm_store *s, uint64_t parent,
                  struct hm_unsent *out) HM_MUST_USE;

#endif
