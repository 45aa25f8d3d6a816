/* Two registrations of one family: found by what a form says they may be known by
 * (hamlet:same-by): an id number; a phone; a name with a birth year, in one hamlet.
 *
 * The index holds a mark for every such value that lives, equal for values that mean
 * the same: names without case and marks, numbers without blanks and country code. A
 * mark that many households share says nothing about any two of them and is left out.
 *
 * Runs inside a transaction of the caller. Blocking; thread as the store. */
#ifndef HM_STORAGE_LIKENESS_H
#define HM_STORAGE_LIKENESS_H

#include "protocol/fact.h"
#include "protocol/form/field_type.h"
#include "storage/store.h"

enum {
    HM_LIKENESS_POPULAR = 20, /* households with one mark; more of them say nothing */
    HM_LIKENESS_OTHERS_MAX = 50,   /* of one household */
    HM_LIKENESS_PAIRS_MAX = 100000 /* of a node */
};

/* Note the marks of a state; none while it is deleted or merged. Nothing is noted while
 * no forms are open (hm_store_forms()). */
int hm_likeness_keep(struct hm_store *s, const struct hm_household *h) HM_MUST_USE;
int hm_likeness_drop(struct hm_store *s, const struct hm_household_id *id) HM_MUST_USE;

struct hm_likeness {
    struct hm_household_id a; /* < b */
    struct hm_household_id b;
    unsigned kinds; /* bits 1 << enum hm_field_likeness: ID_NUMBER, PHONE, NAME */
};

/* 1 .. 100: how sure these kinds together are. */
unsigned hm_likeness_score(unsigned kinds);

/* Households that are like one, not said to be another, by id, in arena. */
int hm_likeness_of(struct hm_store *s, const struct hm_household *h,
                   struct hm_arena *arena, struct hm_likeness **out,
                   size_t *out_count) HM_MUST_USE;
/* All pairs, whatever was said of them, by ids, in arena. *out_cut: there are more. */
int hm_likeness_pairs(struct hm_store *s, struct hm_arena *arena,
                      struct hm_likeness **out, size_t *out_count,
                      bool *out_cut) HM_MUST_USE;

/* Did somebody say that they are not the same? */
bool hm_likeness_apart(const struct hm_household *a, const struct hm_household *b);

#endif
