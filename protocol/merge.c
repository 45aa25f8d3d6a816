#include "protocol/merge.h"

enum hm_vv_order hm_merge_compare(const struct hm_household *a,
                                  const struct hm_household *b)
{
    bool ahead = false;
    bool behind = false;
    size_t i = 0;
    size_t j = 0;

    while (i < a->vv_count || j < b->vv_count) {
        uint64_t ia = i < a->vv_count ? a->vv[i].author.incarnation : UINT64_MAX;
        uint64_t ib = j < b->vv_count ? b->vv[j].author.incarnation : UINT64_MAX;
        bool has_a = i < a->vv_count && (j >= b->vv_count || ia <= ib);
        bool has_b = j < b->vv_count && (i >= a->vv_count || ib <= ia);
        uint64_t na = has_a ? a->vv[i++].n : 0;
        uint64_t nb = has_b ? b->vv[j++].n : 0;

        ahead = ahead || na > nb;
        behind = behind || nb > na;
    }
    if (ahead && behind) {
        return HM_VV_APART;
    }
    return ahead ? HM_VV_AHEAD : behind ? HM_VV_BEHIND : HM_VV_EQUAL;
}

enum hm_merge_choice hm_merge_adopt(const struct hm_household *own,
                                    const struct hm_household *parent)
{
    switch (hm_merge_compare(own, parent)) {
    case HM_VV_EQUAL:
    case HM_VV_BEHIND:
        return HM_MERGE_TAKE;
    case HM_VV_AHEAD:
        return HM_MERGE_KEEP;
    case HM_VV_APART:
        break;
    }
    return HM_MERGE_JOIN;
}

struct join {
    const struct hm_household *a;
    const struct hm_household *b;
    struct hm_household *out;
    bool failed; /* out of memory */
};

static void *alloc(struct join *join, size_t count, size_t size)
{
    void *out = hm_arena_growable(join->out->arena, count, size);

    join->failed = join->failed || out == NULL;
    return out;
}

static void join_vv(struct join *join)
{
    const struct hm_household *a = join->a;
    const struct hm_household *b = join->b;
    struct hm_vv_entry *vv = alloc(join, a->vv_count + b->vv_count, sizeof *vv);
    size_t count = 0;
    size_t i = 0;
    size_t j = 0;

    while (vv != NULL && (i < a->vv_count || j < b->vv_count)) {
        if (j >= b->vv_count || (i < a->vv_count && a->vv[i].author.incarnation <
                                                        b->vv[j].author.incarnation)) {
            vv[count++] = a->vv[i++];
        } else if (i >= a->vv_count ||
                   b->vv[j].author.incarnation < a->vv[i].author.incarnation) {
            vv[count++] = b->vv[j++];
        } else {
            vv[count++] = a->vv[i].n >= b->vv[j].n ? a->vv[i] : b->vv[j];
            i++;
            j++;
        }
    }
    join->out->vv = vv;
    join->out->vv_count = count;
}

static bool names(const struct hm_cell *cell, const struct hm_dot *dot)
{
    for (size_t i = 0; cell != NULL && i < cell->rm_count; i++) {
        if (hm_dot_compare(&cell->rm[i], dot) == 0) {
            return true;
        }
    }
    return false;
}

static bool holds(const struct hm_cell *cell, const struct hm_dot *dot)
{
    for (size_t i = 0; cell != NULL && i < cell->sibling_count; i++) {
        if (hm_dot_compare(&cell->siblings[i].dot, dot) == 0) {
            return true;
        }
    }
    return false;
}

/* Stays a sibling that this side holds, seen what the other side says? */
static bool stays(const struct hm_sibling *sibling, const struct hm_household *other,
                  const struct hm_cell *other_cell)
{
    if (holds(other_cell, &sibling->dot)) {
        return true;
    }
    return sibling->dot.n > hm_household_seen(other, sibling->dot.incarnation) &&
           !names(other_cell, &sibling->dot);
}

static void join_siblings(struct join *join, const struct hm_cell *a,
                          const struct hm_cell *b, struct hm_cell *out)
{
    size_t na = a == NULL ? 0 : a->sibling_count;
    size_t nb = b == NULL ? 0 : b->sibling_count;
    size_t i = 0;
    size_t j = 0;

    out->siblings = alloc(join, na + nb, sizeof out->siblings[0]);
    while (out->siblings != NULL && (i < na || j < nb)) {
        int order = i >= na ? 1
                    : j >= nb
                        ? -1
                        : hm_dot_compare(&a->siblings[i].dot, &b->siblings[j].dot);
        const struct hm_sibling *next = order <= 0 ? &a->siblings[i] : &b->siblings[j];
        bool keep = order <= 0 ? stays(next, join->b, b) : stays(next, join->a, a);

        i += order <= 0;
        j += order >= 0;
        if (keep) {
            out->siblings[out->sibling_count++] = *next;
        }
    }
}

static void join_rm(struct join *join, const struct hm_cell *a, const struct hm_cell *b,
                    struct hm_cell *out)
{
    size_t na = a == NULL ? 0 : a->rm_count;
    size_t nb = b == NULL ? 0 : b->rm_count;
    size_t i = 0;
    size_t j = 0;

    out->rm = alloc(join, na + nb, sizeof out->rm[0]);
    while (out->rm != NULL && (i < na || j < nb)) {
        int order = i >= na ? 1 : j >= nb ? -1 : hm_dot_compare(&a->rm[i], &b->rm[j]);
        struct hm_dot dot = order <= 0 ? a->rm[i] : b->rm[j];

        i += order <= 0;
        j += order >= 0;
        if (dot.n > hm_household_seen(join->out, dot.incarnation)) {
            out->rm[out->rm_count++] = dot;
        }
    }
}

static void join_row(struct join *join, const struct hm_row *a, const struct hm_row *b,
                     struct hm_row *out)
{
    size_t na = a == NULL ? 0 : a->cell_count;
    size_t nb = b == NULL ? 0 : b->cell_count;
    size_t i = 0;
    size_t j = 0;

    out->key = a != NULL ? a->key : b->key;
    out->cells = alloc(join, na + nb, sizeof out->cells[0]);
    while (out->cells != NULL && (i < na || j < nb)) {
        uint32_t fa = i < na ? a->cells[i].field : UINT32_MAX;
        uint32_t fb = j < nb ? b->cells[j].field : UINT32_MAX;
        const struct hm_cell *ca =
            i < na && (j >= nb || fa <= fb) ? &a->cells[i] : NULL;
        const struct hm_cell *cb =
            j < nb && (i >= na || fb <= fa) ? &b->cells[j] : NULL;
        struct hm_cell cell = {.field = ca != NULL ? fa : fb};

        i += ca != NULL;
        j += cb != NULL;
        join_siblings(join, ca, cb, &cell);
        join_rm(join, ca, cb, &cell);
        if (cell.sibling_count > 0 || cell.rm_count > 0) {
            out->cells[out->cell_count++] = cell;
        }
    }
}

static void join_rows(struct join *join)
{
    const struct hm_household *a = join->a;
    const struct hm_household *b = join->b;
    struct hm_household *out = join->out;
    size_t i = 0;
    size_t j = 0;

    out->rows = alloc(join, a->row_count + b->row_count, sizeof out->rows[0]);
    while (!join->failed && (i < a->row_count || j < b->row_count)) {
        int order = i >= a->row_count ? 1
                    : j >= b->row_count
                        ? -1
                        : hm_row_key_compare(&a->rows[i].key, &b->rows[j].key);
        struct hm_row row = {0};

        join_row(join, order <= 0 ? &a->rows[i] : NULL, order >= 0 ? &b->rows[j] : NULL,
                 &row);
        i += order <= 0;
        j += order >= 0;
        if (row.cell_count > 0) {
            out->rows[out->row_count++] = row;
        }
    }
}

static bool lives(const struct hm_household *h, const struct hm_dot *dot)
{
    for (size_t i = 0; i < h->row_count; i++) {
        for (size_t j = 0; j < h->rows[i].cell_count; j++) {
            if (holds(&h->rows[i].cells[j], dot)) {
                return true;
            }
        }
    }
    return false;
}

static void join_stamps(struct join *join)
{
    const struct hm_household *a = join->a;
    const struct hm_household *b = join->b;
    struct hm_household *out = join->out;
    size_t i = 0;
    size_t j = 0;

    out->stamps = alloc(join, a->stamp_count + b->stamp_count, sizeof out->stamps[0]);
    while (!join->failed && (i < a->stamp_count || j < b->stamp_count)) {
        int order = i >= a->stamp_count ? 1
                    : j >= b->stamp_count
                        ? -1
                        : hm_dot_compare(&a->stamps[i].dot, &b->stamps[j].dot);
        const struct hm_stamp *next = order <= 0 ? &a->stamps[i] : &b->stamps[j];

        i += order <= 0;
        j += order >= 0;
        if (lives(out, &next->dot)) {
            out->stamps[out->stamp_count++] = *next;
        }
    }
}

static void join_home(struct join *join)
{
    const struct hm_household *a = join->a;
    const struct hm_household *b = join->b;

    join->out->home_known = a->home_known || b->home_known;
    if (a->home_known != b->home_known) {
        join->out->home = a->home_known ? a->home : b->home;
    } else if (a->vv_count == 0 || b->vv_count == 0) {
        join->out->home = a->vv_count == 0 ? b->home : a->home;
    } else {
        join->out->home = a->home < b->home ? a->home : b->home;
    }
}

int hm_merge_join(const struct hm_household *a, const struct hm_household *b,
                  struct hm_arena *arena, struct hm_household *out)
{
    struct hm_household result;
    struct join join = {.a = a, .b = b, .out = &result};

    HM_ASSERT(hm_household_id_compare(&a->id, &b->id) == 0);
    hm_household_init(&result, &a->id, arena);
    join_home(&join);
    join_vv(&join);
    if (!join.failed) {
        join_rows(&join);
        join_stamps(&join);
    }
    if (join.failed) {
        return HM_NOMEM;
    }
    *out = result;
    return HM_OK;
}
