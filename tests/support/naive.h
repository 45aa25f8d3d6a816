/* The merge rules without any cleverness: all writes and all replacements ever seen.
 * What the real merge must agree with. */
#ifndef HM_TESTS_SUPPORT_NAIVE_H
#define HM_TESTS_SUPPORT_NAIVE_H

#include "protocol/household.h"

enum { HM_NAIVE_MAX = 4096 };

struct hm_naive_place {
    struct hm_row_key row;
    uint32_t field;
    struct hm_dot dot;
};

struct hm_naive {
    struct {
        struct hm_naive_place place;
        struct hm_bytes value; /* a view */
    } writes[HM_NAIVE_MAX];
    size_t write_count;
    struct hm_naive_place replaced[HM_NAIVE_MAX];
    size_t replaced_count;
    struct hm_dot seen[HM_NAIVE_MAX]; /* changes */
    size_t seen_count;
};

void hm_naive_init(struct hm_naive *naive);
/* The change must stay. Seen twice is seen once. */
void hm_naive_apply(struct hm_naive *naive, const struct hm_change *change,
                    const struct hm_dot *dot);
/* A change that was refused: seen, and nothing of it enters. */
void hm_naive_refuse(struct hm_naive *naive, const struct hm_dot *dot);
/* The household holds exactly the writes that nobody replaced, waits for exactly the
 * replaced ones that are still to come, and has seen the same changes. */
bool hm_naive_agrees(const struct hm_naive *naive, const struct hm_household *h);

#endif
