/* Rounds: the times in which forms of fill `per-round` are filled.
 *
 * Runs inside a transaction of the caller. Blocking; thread as the store. */
#ifndef HM_STORAGE_ROUNDS_H
#define HM_STORAGE_ROUNDS_H

#include "storage/items.h"

enum { HM_ROUNDS_MAX = 10000, HM_ROUND_TEXT_BYTES_MAX = 64 };

struct hm_round {
    uint32_t id; /* permanent, > 0; stands in row keys */
    const char *code;
    const char *kind; /* a word of the programme; "" for none */
    const char *from; /* YYYY-MM-DD; "" for open */
    const char *to;
    bool open;
};

/* Make a round, or open a closed one again with what round says; id and open are
 * ignored. Errors: as hm_items_put(); HM_EXISTS (it is open); HM_INVALID (no code, a
 * code with blanks or '@' or ':', a day that is none, from after to); HM_TOOBIG. */
int hm_rounds_open(struct hm_store *s, const struct hm_round *round,
                   uint32_t *out_id) HM_MUST_USE;
/* The second time nothing happens. Errors: as hm_items_put(); HM_NOTFOUND. */
int hm_rounds_close(struct hm_store *s, const char *code) HM_MUST_USE;
/* In arena, as the next ones. Errors: HM_NOTFOUND. */
int hm_rounds_find(struct hm_store *s, const char *code, struct hm_arena *arena,
                   struct hm_round *out) HM_MUST_USE;
int hm_rounds_get(struct hm_store *s, uint32_t id, struct hm_arena *arena,
                  struct hm_round *out) HM_MUST_USE;
/* By id. */
int hm_rounds_list(struct hm_store *s, struct hm_arena *arena,
                   struct hm_round **out_rounds, size_t *out_count) HM_MUST_USE;

#endif
