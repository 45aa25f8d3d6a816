/* Identities: who wrote what, and where in a household it stands.
 *
 * Pure: plain values, any thread. The words are defined in docs/protocol.md. */
#ifndef HM_PROTOCOL_ID_H
#define HM_PROTOCOL_ID_H

#include "protocol/buf.h"

/* One change: the n-th of an incarnation. As a cell's dot it tells which change wrote
 * the value. n counts from 1; the entry with n 0 is the incarnation's birth and never
 * a dot. */
struct hm_dot {
    uint64_t incarnation; /* 64 random bits, fresh for every start that writes */
    uint64_t n;
};

/* Its creating change, or (hash, 0) for a household made from an XForm instance. */
struct hm_household_id {
    uint64_t a;
    uint64_t n;
};

/* A row's place among the rows of its kind: the change that made it and 1, 2, 3 .. for
 * the rows that this change made. All zero for a form's root row. */
struct hm_item {
    uint64_t incarnation;
    uint64_t n;
    uint64_t k;
};

struct hm_row_key {
    uint32_t form;   /* the form's permanent number; HM_FORM_HOUSEHOLD for our own */
    uint32_t round;  /* the round's number, 0 for none */
    uint32_t repeat; /* the repeat group's number in the field table, 0 for the root */
    struct hm_item item;
};

enum {
    HM_FORM_HOUSEHOLD = 0, /* cells of the household itself, in its root row */
    HM_FIELD_STATUS = 1, /* of a row: absent, or HM_STATUS_REMOVED with what was seen */
    HM_FIELD_PARENT = 2, /* of a row in a nested repeat: the item of its parent */
    HM_FIELD_SCOPE = 3,  /* of the household: where it lives now, when it has moved */
    HM_FIELD_MERGED = 4, /* of the household: the one that it was merged into */
    HM_FIELD_SPLIT = 5,  /* of the household: the one that it was split from */
    HM_FIELD_APART = 6,  /* of the household: those that it is no duplicate of */
    HM_FIELD_DECIDED = 7, /* of the household: the state that was decided on */
    HM_FIELD_FIRST = 16,  /* the first number that a form's field table gives out */
    HM_USER_OPERATOR = 0  /* whoever sits at the node, with the device's rights */
};

/* Orders are total; < 0, 0, > 0. */
int hm_dot_compare(const struct hm_dot *a, const struct hm_dot *b);
int hm_household_id_compare(const struct hm_household_id *a,
                            const struct hm_household_id *b);
int hm_item_compare(const struct hm_item *a, const struct hm_item *b);
int hm_row_key_compare(const struct hm_row_key *a, const struct hm_row_key *b);

static inline bool hm_item_is_none(const struct hm_item *item)
{
    return item->n == 0;
}

/* Text forms, as people and programs see them: `<16 hex>.<n>` and `<16 hex>.<n>.<k>`.
 */
enum { HM_ID_TEXT_MAX = 64 };

void hm_dot_to_text(const struct hm_dot *dot, char out[HM_ID_TEXT_MAX]);
void hm_household_id_to_text(const struct hm_household_id *id,
                             char out[HM_ID_TEXT_MAX]);
/* Empty text for a root row. */
void hm_item_to_text(const struct hm_item *item, char out[HM_ID_TEXT_MAX]);

/* 1 to 16 hex digits in either case are taken. A dot with n 0 is none. Errors:
 * HM_MALFORMED; *out unchanged. */
int hm_dot_from_text(const char *text, struct hm_dot *out) HM_MUST_USE;
int hm_household_id_from_text(const char *text,
                              struct hm_household_id *out) HM_MUST_USE;
int hm_item_from_text(const char *text, struct hm_item *out) HM_MUST_USE;

#endif
