#include "protocol/policy.h"

#include <stdlib.h>

#include "protocol/fact.h"
#include "protocol/pack.h"

enum { STATUS_REMOVED = 1 };

static const uint8_t nil_byte = 0xc0;

static bool is_nil(struct hm_bytes value)
{
    return value.len == 1 && value.data[0] == nil_byte;
}

int64_t hm_policy_corrected_ms(const struct hm_household *h,
                               const struct hm_stamp *stamp)
{
    const struct hm_author *author = hm_household_author(h, stamp->dot.incarnation);
    int64_t offset = author == NULL ? 0 : author->clock_offset_ms;

    /* Both come from outside: their sum ends at the ends of the type. */
    if (offset > 0 && stamp->wall_ms > INT64_MAX - offset) {
        return INT64_MAX;
    }
    if (offset < 0 && stamp->wall_ms < INT64_MIN - offset) {
        return INT64_MIN;
    }
    return stamp->wall_ms + offset;
}

/* What decides between siblings, strongest first. */
struct weight {
    int64_t rank;
    int64_t clock_class;
    int64_t corrected_ms;
};

static struct weight weigh(const struct hm_household *h, const struct hm_dot *dot)
{
    const struct hm_stamp *stamp = hm_household_stamp(h, dot);
    const struct hm_author *author = hm_household_author(h, dot->incarnation);

    HM_ASSERT(stamp != NULL && author != NULL); /* a state has both for a live dot */
    return (struct weight){.rank = stamp->rank,
                           .clock_class = (int64_t)author->clock_class,
                           .corrected_ms = hm_policy_corrected_ms(h, stamp)};
}

/* > 0 when a is shown rather than b. */
static int stronger(const struct hm_household *h, const struct hm_dot *a,
                    const struct hm_dot *b, bool by_rank)
{
    struct weight wa = weigh(h, a);
    struct weight wb = weigh(h, b);

    if (by_rank && wa.rank != wb.rank) {
        return wa.rank > wb.rank ? 1 : -1;
    }
    if (wa.clock_class != wb.clock_class) {
        return wa.clock_class > wb.clock_class ? 1 : -1;
    }
    if (wa.corrected_ms != wb.corrected_ms) {
        return wa.corrected_ms > wb.corrected_ms ? 1 : -1;
    }
    return hm_dot_compare(a, b);
}

/* What two people saw when they said the same makes no difference. */
static bool say_the_same(const struct hm_cell *cell, const struct hm_sibling *a,
                         const struct hm_sibling *b)
{
    return hm_bytes_equal(hm_fact_target(cell->field, a->value),
                          hm_fact_target(cell->field, b->value));
}

static bool has_answer(const struct hm_cell *cell)
{
    for (size_t i = 0; i < cell->sibling_count; i++) {
        if (!is_nil(cell->siblings[i].value)) {
            return true;
        }
    }
    return false;
}

static void pick(const struct hm_household *h, const struct hm_cell *cell,
                 enum hm_field_policy policy, struct hm_policy_view *view)
{
    bool skips_nil = policy == HM_FIELD_POLICY_ANSWERED && has_answer(cell);
    bool by_rank = policy != HM_FIELD_POLICY_LATEST;
    const struct hm_sibling *winner = NULL;
    bool skipped = false;
    bool differ = false;

    for (size_t i = 0; i < cell->sibling_count; i++) {
        const struct hm_sibling *next = &cell->siblings[i];

        if (skips_nil && is_nil(next->value)) {
            skipped = true;
            continue;
        }
        differ = differ || (winner != NULL && !say_the_same(cell, winner, next));
        if (winner == NULL || stronger(h, &next->dot, &winner->dot, by_rank) > 0) {
            winner = next;
        }
    }
    view->winner = winner;
    view->value = winner == NULL ? hm_bytes_of(&nil_byte, 1) : winner->value;
    view->conflict = differ;
    view->flagged = skipped && !differ;
}

/* Different values of the highest rank are a conflict; a lower rank is only flagged. */
static void settle_by_rank(const struct hm_household *h, const struct hm_cell *cell,
                           struct hm_policy_view *view)
{
    int64_t rank = view->winner == NULL ? 0 : weigh(h, &view->winner->dot).rank;

    view->conflict = false;
    for (size_t i = 0; i < cell->sibling_count; i++) {
        const struct hm_sibling *next = &cell->siblings[i];

        if (weigh(h, &next->dot).rank == rank &&
            !hm_bytes_equal(next->value, view->value)) {
            view->conflict = true;
        }
    }
    view->flagged = !view->conflict;
}

static bool is_number(struct hm_bytes value, int64_t *out)
{
    struct hm_reader r = {.left = value};
    int64_t number = hm_unpack_int(&r);

    if (hm_unpack_end(&r) != HM_OK) {
        return false;
    }
    *out = number;
    return true;
}

static void settle_by_max(const struct hm_household *h, const struct hm_cell *cell,
                          struct hm_policy_view *view)
{
    const struct hm_sibling *winner = NULL;
    int64_t max = INT64_MIN;

    for (size_t i = 0; i < cell->sibling_count; i++) {
        const struct hm_sibling *next = &cell->siblings[i];
        int64_t number = 0;

        if (is_nil(next->value)) {
            continue;
        }
        if (!is_number(next->value, &number)) {
            return; /* a person decides */
        }
        if (winner == NULL || number > max ||
            (number == max && stronger(h, &next->dot, &winner->dot, true) > 0)) {
            winner = next;
            max = number;
        }
    }
    view->winner = winner; /* values differ, so one of them is a number */
    view->value = winner->value;
    view->flagged = true;
    view->conflict = false;
}

static int compare_texts(const void *a, const void *b)
{
    const struct hm_bytes *left = a;
    const struct hm_bytes *right = b;

    return hm_bytes_compare(*left, *right);
}

/* All texts of all sets, in any order; false when a value is no set. */
static bool gather(const struct hm_cell *cell, size_t bytes, struct hm_bytes *texts,
                   size_t *out_count)
{
    size_t count = 0;

    for (size_t i = 0; i < cell->sibling_count; i++) {
        struct hm_reader r = {.left = cell->siblings[i].value};
        size_t left = hm_unpack_nil(&r) ? 0 : hm_unpack_array(&r, bytes);

        for (; left > 0 && r.err == HM_OK; left--) {
            texts[count++] = hm_unpack_str(&r);
        }
        if (hm_unpack_end(&r) != HM_OK) {
            return false;
        }
    }
    *out_count = count;
    return true;
}

/* Sorted; returns how many are left. */
static size_t drop_repeats(struct hm_bytes *texts, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || !hm_bytes_equal(texts[kept - 1], texts[i])) {
            texts[kept++] = texts[i];
        }
    }
    return kept;
}

/* A set is an array of texts in ascending order of their text, without repeats. */
static int settle_by_union(const struct hm_cell *cell, struct hm_arena *arena,
                           struct hm_policy_view *view)
{
    struct hm_bytes *texts;
    struct hm_bytes value = {0};
    struct hm_buf buf;
    size_t bytes = 0;
    size_t count = 0;
    int err;

    for (size_t i = 0; i < cell->sibling_count; i++) {
        bytes += cell->siblings[i].value.len;
    }
    texts =
        hm_arena_array(arena, bytes, sizeof *texts); /* a text has a byte at least */
    if (texts == NULL) {
        return HM_NOMEM;
    }
    if (!gather(cell, bytes, texts, &count)) {
        return HM_OK; /* a person decides */
    }
    qsort(texts, count, sizeof *texts, compare_texts);
    count = drop_repeats(texts, count);
    hm_buf_init(&buf, bytes + 16);
    hm_pack_array(&buf, count);
    for (size_t i = 0; i < count; i++) {
        hm_pack_str(&buf, texts[i]);
    }
    err = buf.err == HM_OK ? hm_arena_copy(arena, hm_buf_bytes(&buf), &value) : buf.err;
    hm_buf_deinit(&buf);
    if (err == HM_OK) {
        *view = (struct hm_policy_view){.value = value, .flagged = true};
    }
    return err;
}

int hm_policy_view(enum hm_field_policy policy, const struct hm_household *h,
                   const struct hm_cell *cell, struct hm_arena *arena,
                   struct hm_policy_view *out)
{
    struct hm_policy_view view = {.value = hm_bytes_of(&nil_byte, 1)};
    int err = HM_OK;

    if (cell != NULL && cell->sibling_count > 0) {
        pick(h, cell, policy, &view);
    }
    if (view.conflict) {
        switch (policy) {
        case HM_FIELD_POLICY_ASK:
        case HM_FIELD_POLICY_ANSWERED:
            break;
        case HM_FIELD_POLICY_UNION:
            err = settle_by_union(cell, arena, &view);
            break;
        case HM_FIELD_POLICY_MAX:
            settle_by_max(h, cell, &view);
            break;
        case HM_FIELD_POLICY_AUTHORITY:
            settle_by_rank(h, cell, &view);
            break;
        case HM_FIELD_POLICY_LATEST:
        case HM_FIELD_POLICY_DERIVED:
            view.conflict = false;
            break;
        }
    }
    if (err == HM_OK) {
        view.answered = !is_nil(view.value);
        *out = view;
    }
    return err;
}

void hm_policy_removed_encode(const struct hm_dot *seen, size_t count,
                              struct hm_buf *buf)
{
    hm_pack_array(buf, 2);
    hm_pack_uint(buf, STATUS_REMOVED);
    hm_pack_array(buf, count);
    for (size_t i = 0; i < count; i++) {
        hm_pack_array(buf, 2);
        hm_pack_uint(buf, seen[i].incarnation);
        hm_pack_uint(buf, seen[i].n);
    }
}

/* True when value is a removal; *out_seen then reads the list of dots. */
static bool is_removal(struct hm_bytes value, struct hm_reader *out_seen)
{
    struct hm_reader r = {.left = value};

    hm_unpack_array_exact(&r, 2);
    if (hm_unpack_uint(&r) != STATUS_REMOVED || r.err != HM_OK) {
        return false;
    }
    *out_seen = r;
    return true;
}

static bool was_seen(struct hm_reader seen, const struct hm_dot *dot)
{
    size_t count = hm_unpack_array(&seen, seen.left.len);

    for (size_t i = 0; i < count && seen.err == HM_OK; i++) {
        struct hm_dot next;

        hm_unpack_array_exact(&seen, 2);
        next.incarnation = hm_unpack_uint(&seen);
        next.n = hm_unpack_uint(&seen);
        if (seen.err == HM_OK && hm_dot_compare(&next, dot) == 0) {
            return true;
        }
    }
    return false;
}

/* Another's removal of the same row agrees: it is nothing to be seen. */
static bool is_other_removal(const struct hm_cell *cell, size_t i)
{
    struct hm_reader unused;

    return cell->field == HM_FIELD_STATUS &&
           is_removal(cell->siblings[i].value, &unused);
}

static bool removal_saw_all(const struct hm_row *row, const struct hm_dot *removal,
                            struct hm_reader seen)
{
    for (size_t i = 0; i < row->cell_count; i++) {
        const struct hm_cell *cell = &row->cells[i];

        for (size_t j = 0; j < cell->sibling_count; j++) {
            const struct hm_dot *dot = &cell->siblings[j].dot;

            if (hm_dot_compare(dot, removal) != 0 && !is_other_removal(cell, j) &&
                !was_seen(seen, dot)) {
                return false;
            }
        }
    }
    return true;
}

enum hm_row_state hm_policy_row_state(const struct hm_row *row)
{
    const struct hm_cell *status = hm_row_cell(row, HM_FIELD_STATUS);
    struct hm_reader seen;
    bool removed = false;

    if (status == NULL || status->sibling_count == 0) {
        return HM_ROW_ACTIVE;
    }
    for (size_t i = 0; i < status->sibling_count; i++) {
        const struct hm_sibling *next = &status->siblings[i];

        if (!is_removal(next->value, &seen)) {
            continue;
        }
        if (removal_saw_all(row, &next->dot, seen)) {
            return HM_ROW_REMOVED;
        }
        removed = true;
    }
    return removed ? HM_ROW_DISPUTED : HM_ROW_ACTIVE;
}

const char *hm_conflict_kind_name(enum hm_conflict_kind kind)
{
    switch (kind) {
    case HM_CONFLICT_VALUES:
        return "values";
    case HM_CONFLICT_REMOVED:
        return "removed_edited";
    case HM_CONFLICT_DELETED:
        return "deleted_edited";
    case HM_CONFLICT_MOVED:
        return "moved_moved";
    case HM_CONFLICT_MERGED:
        return "merged_merged";
    case HM_CONFLICT_EDITED:
        return "merged_edited";
    }
    HM_ASSERT(false); /* no such kind */
    return "";
}

struct asking {
    const struct hm_household *h;
    hm_policy_of_fn policy_of;
    void *arg;
    struct hm_arena *arena;
};

static int values_differ(const struct asking *asking, const struct hm_row *row,
                         const struct hm_cell *cell, bool *out_differ)
{
    struct hm_policy_view view = {0};
    int err = HM_OK;

    if (cell->sibling_count > 1) {
        err = hm_policy_view(asking->policy_of(asking->arg, &row->key, cell->field),
                             asking->h, cell, asking->arena, &view);
    }
    *out_differ = err == HM_OK && view.conflict;
    return err;
}

/* Of a cell in the household's own row. */
static int own_conflict(const struct asking *asking, const struct hm_row *row,
                        const struct hm_cell *cell, struct hm_policy_conflict *out,
                        bool *out_found)
{
    int err = HM_OK;

    *out_found = false;
    switch (cell->field) {
    case HM_FIELD_STATUS:
        out->kind = HM_CONFLICT_DELETED;
        *out_found = hm_fact_state(asking->h) == HM_ROW_DISPUTED;
        break;
    case HM_FIELD_SCOPE:
        out->kind = HM_CONFLICT_MOVED;
        err = values_differ(asking, row, cell, out_found);
        break;
    case HM_FIELD_MERGED:
        out->kind = HM_CONFLICT_MERGED;
        err = values_differ(asking, row, cell, out_found);
        if (err == HM_OK && !*out_found) {
            out->kind = HM_CONFLICT_EDITED;
            *out_found = hm_fact_unseen_by_merge(asking->h) != NULL;
        }
        break;
    default:
        break; /* several may say it without contradiction */
    }
    return err;
}

static int find_conflict(const struct asking *asking, const struct hm_row *row,
                         const struct hm_cell *cell, struct hm_policy_conflict *out,
                         bool *out_found)
{
    *out = (struct hm_policy_conflict){.row = row, .cell = cell};
    if (row->key.form == HM_FORM_HOUSEHOLD) {
        return own_conflict(asking, row, cell, out, out_found);
    }
    if (cell->field == HM_FIELD_STATUS) {
        out->kind = HM_CONFLICT_REMOVED;
        *out_found = hm_policy_row_state(row) == HM_ROW_DISPUTED;
        return HM_OK;
    }
    out->kind = HM_CONFLICT_VALUES;
    return values_differ(asking, row, cell, out_found);
}

int hm_policy_conflicts(const struct hm_household *h, hm_policy_of_fn policy_of,
                        void *arg, struct hm_arena *arena,
                        struct hm_policy_conflict **out_conflicts, size_t *out_count)
{
    struct asking asking = {h, policy_of, arg, arena};
    struct hm_policy_conflict *list = NULL;
    bool deleted = hm_fact_state(h) == HM_ROW_REMOVED;
    size_t cells = 0;
    size_t count = 0;
    int err = HM_OK;

    for (size_t i = 0; i < h->row_count; i++) {
        cells += h->rows[i].cell_count;
    }
    list = hm_arena_array(arena, cells, sizeof *list);
    if (list == NULL) {
        return HM_NOMEM;
    }
    for (size_t i = 0; !deleted && i < h->row_count && err == HM_OK; i++) {
        const struct hm_row *row = &h->rows[i];

        if (row->key.form != HM_FORM_HOUSEHOLD &&
            hm_policy_row_state(row) == HM_ROW_REMOVED) {
            continue;
        }
        for (size_t j = 0; j < row->cell_count && err == HM_OK; j++) {
            bool found = false;

            err = find_conflict(&asking, row, &row->cells[j], &list[count], &found);
            count += found ? 1 : 0;
        }
    }
    if (err == HM_OK) {
        *out_conflicts = list;
        *out_count = count;
    }
    return err;
}
