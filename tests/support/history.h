/* Random histories of one household: several authors who write from what they have
 * seen, so that some writes are concurrent and some replace what others wrote. */
#ifndef HM_TESTS_SUPPORT_HISTORY_H
#define HM_TESTS_SUPPORT_HISTORY_H

#include "protocol/household.h"
#include "tests/support/rng.h"

enum { HM_HISTORY_AUTHORS = 5, HM_HISTORY_ENTRIES_MAX = 64 };

struct hm_history_entry {
    struct hm_dot dot;
    struct hm_change change;
    struct hm_bytes bytes; /* canonical */
    bool refused;          /* everywhere but on its author's screen */
};

struct hm_history {
    struct hm_household_id id;
    struct hm_history_entry entries[HM_HISTORY_ENTRIES_MAX]; /* as they were written */
    size_t count;
    struct hm_arena arena; /* holds the changes; tests may use it for more */
};

/* count <= HM_HISTORY_ENTRIES_MAX changes. */
void hm_history_make(struct hm_history *history, struct hm_rng *rng, size_t count);
/* Lets some entries be refused by all who get them; their authors wrote on. */
void hm_history_refuse_some(struct hm_history *history, struct hm_rng *rng);
void hm_history_free(struct hm_history *history);

/* The incarnation of author 0 .. HM_HISTORY_AUTHORS - 1. */
uint64_t hm_history_incarnation(size_t author);

/* Which author wrote an entry. */
size_t hm_history_author(const struct hm_history_entry *entry);

/* A random order of all entries that keeps each author's own order, but nothing else:
 * a replacement may come before what it replaces. */
void hm_history_shuffle(const struct hm_history *history, struct hm_rng *rng,
                        size_t order[HM_HISTORY_ENTRIES_MAX]);

/* An empty household in arena, then entries applied, or refused, one by one. */
void hm_history_begin(const struct hm_history *history, struct hm_household *h,
                      struct hm_arena *arena);
void hm_history_apply(const struct hm_history_entry *entry, struct hm_household *h);

#endif
