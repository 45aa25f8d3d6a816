/* One household as JSON: what it says now, what waits, how it came to be.
 *
 * Units and forms of the call are loaded before. Blocking; one thread. */
#ifndef HM_DAEMON_SERVE_HOUSEHOLD_JSON_H
#define HM_DAEMON_SERVE_HOUSEHOLD_JSON_H

#include "daemon/serve/call.h"

/* Which rows are shown. */
struct hm_household_filter {
    uint32_t form;  /* 0: all */
    uint32_t round; /* 0: all */
};

/* A Household (docs/api.md) without history. The caller's to release. */
int hm_household_json(struct hm_call *call, const struct hm_household *h,
                      const struct hm_household_filter *filter, struct hm_arena *arena,
                      json_t **out_json) HM_MUST_USE;
/* Required fields without an answer, each a finding, appended to array. */
int hm_household_json_findings(struct hm_call *call, const struct hm_household *h,
                               struct hm_arena *arena, json_t *array) HM_MUST_USE;
/* Add to a Household what it says of itself (state, merged_into, survivor, split_from,
 * decided), and the rows of those that are merged into it, with their owner. */
int hm_household_facts_json(struct hm_call *call, const struct hm_household *h,
                            struct hm_arena *arena, json_t *object) HM_MUST_USE;
/* What a person should know of these: merges in a circle, an edit in the hamlet from
 * which it had moved, one after a decision; appended to array, NULL: only counted. */
int hm_household_facts_findings(struct hm_call *call, const struct hm_household *h,
                                struct hm_arena *arena, json_t *array,
                                size_t *out_count) HM_MUST_USE;
/* The rows of a household that pass, appended to array. owner: a member that says whose
 * they are, NULL for none. */
int hm_household_json_rows(struct hm_call *call, const struct hm_household *h,
                           const struct hm_household_filter *filter, const char *owner,
                           struct hm_arena *arena, json_t *array) HM_MUST_USE;
/* How many there are. */
int hm_household_json_count_findings(struct hm_call *call, const struct hm_household *h,
                                     struct hm_arena *arena,
                                     size_t *out_count) HM_MUST_USE;
/* Households that may be the same family: {household, because, score} each, appended to
 * array. */
int hm_duplicates_json(struct hm_call *call, const struct hm_household *h,
                       struct hm_arena *arena, json_t *array) HM_MUST_USE;
/* Every change of the household that is held here, newest first, as an array. */
int hm_history_json(struct hm_call *call, const struct hm_household *h,
                    struct hm_arena *arena, json_t **out_json) HM_MUST_USE;

/* Rows of one kind that are shown, in order: each a row of h, in arena. */
int hm_household_rows(const struct hm_household *h, uint32_t form, uint32_t round,
                      uint32_t repeat, struct hm_arena *arena,
                      const struct hm_row ***out_rows, size_t *out_count) HM_MUST_USE;
/* What a cell shows; nil without a row. */
int hm_household_view(struct hm_call *call, const struct hm_household *h,
                      const struct hm_row *row, uint32_t field, struct hm_arena *arena,
                      struct hm_bytes *out_value) HM_MUST_USE;

#endif
