/* What of a cell's siblings is shown, and what is a conflict: a view, never stored.
 *
 * Which sibling is shown until a person decides comes from the stamps alone, so every
 * node shows the same: role rank, clock class, corrected time, incarnation, n.
 * Pure: memory comes from an arena; any thread. */
#ifndef HM_PROTOCOL_POLICY_H
#define HM_PROTOCOL_POLICY_H

#include "protocol/form/field_type.h"
#include "protocol/household.h"

struct hm_policy_view {
    bool answered;         /* value is there and not nil */
    struct hm_bytes value; /* what is shown; canonical msgpack, nil when not answered */
    const struct hm_sibling *winner; /* NULL: no sibling, or value is made of several */
    bool conflict;                   /* different values wait for a person */
    bool flagged;                    /* different values, but the policy has decided */
};

/* The view of a cell under a policy. cell may be NULL: not answered. value points into
 * the household or into arena. Errors: HM_NOMEM. */
int hm_policy_view(enum hm_field_policy policy, const struct hm_household *h,
                   const struct hm_cell *cell, struct hm_arena *arena,
                   struct hm_policy_view *out) HM_MUST_USE;

/* The wall time of a stamp, corrected by what its author knew of its clock. UTC, ms;
 * ends at the ends of the type. */
int64_t hm_policy_corrected_ms(const struct hm_household *h,
                               const struct hm_stamp *stamp);

/* A row's status cell: HM_FIELD_STATUS. A removal is disputed by what lives beside it,
 * but not by another removal. */
enum hm_row_state {
    HM_ROW_ACTIVE,
    HM_ROW_REMOVED,
    HM_ROW_DISPUTED /* removed by somebody who had not seen a value that lives: shown */
};
enum hm_row_state hm_policy_row_state(const struct hm_row *row);

/* Append the value of a status cell that removes a row whose live dots are seen
 * (ascending). */
void hm_policy_removed_encode(const struct hm_dot *seen, size_t count,
                              struct hm_buf *buf);

/* The policy of a field: asked of whoever knows the forms. */
typedef enum hm_field_policy (*hm_policy_of_fn)(void *arg, const struct hm_row_key *row,
                                                uint32_t field);

enum hm_conflict_kind {
    HM_CONFLICT_VALUES,  /* of one cell */
    HM_CONFLICT_REMOVED, /* a row was removed by somebody, and edited by another */
    HM_CONFLICT_DELETED, /* the same of the household */
    HM_CONFLICT_MOVED,   /* to different hamlets */
    HM_CONFLICT_MERGED,  /* into different households, or merged and not */
    HM_CONFLICT_EDITED   /* merged by somebody, and edited by another */
};
const char *hm_conflict_kind_name(enum hm_conflict_kind kind);

/* In these, what was edited stands beside the values of the cell. */
static inline bool hm_conflict_is_dispute(enum hm_conflict_kind kind)
{
    return kind == HM_CONFLICT_REMOVED || kind == HM_CONFLICT_DELETED ||
           kind == HM_CONFLICT_EDITED;
}

struct hm_policy_conflict {
    enum hm_conflict_kind kind;
    const struct hm_row *row;
    const struct hm_cell *cell; /* the status, scope or merge of what is not a value */
};

/* All conflicts of a household, in the order of rows and fields; the array lies in
 * arena. Nothing that was removed or deleted is looked at. Errors: HM_NOMEM. */
int hm_policy_conflicts(const struct hm_household *h, hm_policy_of_fn policy_of,
                        void *arg, struct hm_arena *arena,
                        struct hm_policy_conflict **out_conflicts,
                        size_t *out_count) HM_MUST_USE;

#endif
