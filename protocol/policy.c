#include "protocol/policy.h"

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

    /* Both come from outside: their sum must not overflow. */
    if ((offset > 0 && stamp->wall_ms > INT64_MAX - offset) ||
        (offset < 0 && stamp->wall_ms < INT64_MIN - offset)) {
        return stamp->wall_ms;
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

/* Siblings that count: all, or without the cleared ones when an answer beats them. */
static bool counts(const struct hm_cell *cell, size_t i, bool answered_beats)
{
    if (!answered_beats || !is_nil(cell->siblings[i].value)) {
        return true;
    }
    for (size_t j = 0; j < cell->sibling_count; j++) {
        if (!is_nil(cell->siblings[j].value)) {
            return false;
        }
    }
    return true;
}

static void pick(const struct hm_household *h, const struct hm_cell *cell,
                 bool answered_beats, bool by_rank, struct hm_policy_view *view)
{
    const struct hm_sibling *winner = NULL;
    bool differ = false;

    for (size_t i = 0; i < cell->sibling_count; i++) {
        const struct hm_sibling *next = &cell->siblings[i];

        if (!counts(cell, i, answered_beats)) {
            continue;
        }
        differ =
            differ || (winner != NULL && !hm_bytes_equal(winner->value, next->value));
        if (winner == NULL || stronger(h, &next->dot, &winner->dot, by_rank) > 0) {
            winner = next;
        }
    }
    view->winner = winner;
    view->value = winner == NULL ? hm_bytes_of(&nil_byte, 1) : winner->value;
    view->conflict = differ;
}

/* Different values of the highest rank are a conflict; a lower rank is only flagged. */
static void settle_by_rank(const struct hm_household *h, const struct hm_cell *cell,
                           struct hm_policy_view *view)
{
    int64_t rank = view->winner == NULL ? 0 : weigh(h, &view->winner->dot).rank;

    view->flagged = view->conflict;
    view->conflict = false;
    for (size_t i = 0; i < cell->sibling_count; i++) {
        const struct hm_sibling *next = &cell->siblings[i];

        if (weigh(h, &next->dot).rank == rank &&
            !hm_bytes_equal(next->value, view->value)) {
            view->conflict = true;
        }
    }
}

static void settle_by_max(const struct hm_cell *cell, struct hm_policy_view *view)
{
    int64_t max = INT64_MIN;

    for (size_t i = 0; i < cell->sibling_count; i++) {
        struct hm_reader r = {.left = cell->siblings[i].value};
        int64_t number = hm_unpack_int(&r);

        if (hm_unpack_end(&r) != HM_OK && !is_nil(cell->siblings[i].value)) {
            return; /* not numbers: a person decides */
        }
        if (hm_unpack_end(&r) == HM_OK && number >= max) {
            max = number;
            view->winner = &cell->siblings[i];
            view->value = view->winner->value;
        }
    }
    view->flagged = view->conflict;
    view->conflict = false;
}

struct set {
    struct hm_bytes *items; /* canonical text items, ascending */
    size_t count;
};

static void set_add(struct set *set, struct hm_bytes item)
{
    size_t at = 0;

    while (at < set->count && hm_bytes_compare(set->items[at], item) < 0) {
        at++;
    }
    if (at < set->count && hm_bytes_equal(set->items[at], item)) {
        return;
    }
    memmove(&set->items[at + 1], &set->items[at],
            (set->count - at) * sizeof set->items[0]);
    set->items[at] = item;
    set->count++;
}

/* A set is an array of texts in ascending order of their text, without repeats. */
static int settle_by_union(const struct hm_cell *cell, struct hm_arena *arena,
                           struct hm_policy_view *view)
{
    struct set set = {0};
    struct hm_buf buf;
    size_t bytes = 0;
    int err;

    for (size_t i = 0; i < cell->sibling_count; i++) {
        bytes += cell->siblings[i].value.len;
    }
    set.items = hm_arena_array(arena, bytes, sizeof set.items[0]);
    if (set.items == NULL) {
        return HM_NOMEM;
    }
    for (size_t i = 0; i < cell->sibling_count; i++) {
        struct hm_reader r = {.left = cell->siblings[i].value};
        size_t count = hm_unpack_nil(&r) ? 0 : hm_unpack_array(&r, bytes);

        for (size_t j = 0; j < count && r.err == HM_OK; j++) {
            set_add(&set, hm_unpack_str(&r));
        }
        if (hm_unpack_end(&r) != HM_OK) {
            return HM_OK; /* not sets: a person decides */
        }
    }
    hm_buf_init(&buf, bytes + 16);
    hm_pack_array(&buf, set.count);
    for (size_t i = 0; i < set.count; i++) {
        hm_pack_str(&buf, set.items[i]);
    }
    err = buf.err == HM_OK ? hm_arena_copy(arena, hm_buf_bytes(&buf), &view->value)
                           : buf.err;
    hm_buf_deinit(&buf);
    view->flagged = view->conflict;
    view->conflict = false;
    view->winner = NULL;
    return err;
}

int hm_policy_view(enum hm_field_policy policy, const struct hm_household *h,
                   const struct hm_cell *cell, struct hm_arena *arena,
                   struct hm_policy_view *out)
{
    struct hm_policy_view view = {.value = hm_bytes_of(&nil_byte, 1)};
    int err = HM_OK;

    if (cell != NULL && cell->sibling_count > 0) {
        pick(h, cell, policy == HM_FIELD_POLICY_ANSWERED,
             policy != HM_FIELD_POLICY_LATEST, &view);
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
            settle_by_max(cell, &view);
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

static bool removal_saw_all(const struct hm_row *row, const struct hm_dot *removal,
                            struct hm_reader seen)
{
    for (size_t i = 0; i < row->cell_count; i++) {
        for (size_t j = 0; j < row->cells[i].sibling_count; j++) {
            const struct hm_dot *dot = &row->cells[i].siblings[j].dot;

            if (hm_dot_compare(dot, removal) != 0 && !was_seen(seen, dot)) {
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

static bool is_conflict(const struct hm_household *h, const struct hm_row *row,
                        const struct hm_cell *cell, hm_policy_of_fn policy_of,
                        void *arg, struct hm_arena *arena, int *err)
{
    struct hm_policy_view view = {0};

    if (cell->field == HM_FIELD_STATUS && row->key.form != HM_FORM_HOUSEHOLD) {
        return hm_policy_row_state(row) == HM_ROW_DISPUTED;
    }
    if (cell->sibling_count < 2) {
        return false;
    }
    *err =
        hm_policy_view(policy_of(arg, &row->key, cell->field), h, cell, arena, &view);
    return *err == HM_OK && view.conflict;
}

int hm_policy_conflicts(const struct hm_household *h, hm_policy_of_fn policy_of,
                        void *arg, struct hm_arena *arena,
                        struct hm_policy_conflict **out_conflicts, size_t *out_count)
{
    struct hm_policy_conflict *list = NULL;
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
    for (size_t i = 0; i < h->row_count && err == HM_OK; i++) {
        const struct hm_row *row = &h->rows[i];

        if (hm_policy_row_state(row) == HM_ROW_REMOVED) {
            continue;
        }
        for (size_t j = 0; j < row->cell_count && err == HM_OK; j++) {
            if (is_conflict(h, row, &row->cells[j], policy_of, arg, arena, &err)) {
                list[count++] =
                    (struct hm_policy_conflict){.row = row, .cell = &row->cells[j]};
            }
        }
    }
    if (err == HM_OK) {
        *out_conflicts = list;
        *out_count = count;
    }
    return err;
}
