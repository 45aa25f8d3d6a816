#include "tests/support/naive.h"

#include "tests/support/test.h"

void hm_naive_init(struct hm_naive *naive)
{
    naive->write_count = 0;
    naive->replaced_count = 0;
    naive->seen_count = 0;
}

static bool same(const struct hm_naive_place *a, const struct hm_naive_place *b)
{
    return a->field == b->field && hm_dot_compare(&a->dot, &b->dot) == 0 &&
           hm_row_key_compare(&a->row, &b->row) == 0;
}

static bool is_replaced(const struct hm_naive *naive, const struct hm_naive_place *at)
{
    for (size_t i = 0; i < naive->replaced_count; i++) {
        if (same(&naive->replaced[i], at)) {
            return true;
        }
    }
    return false;
}

static bool has_seen(const struct hm_naive *naive, const struct hm_dot *dot)
{
    for (size_t i = 0; i < naive->seen_count; i++) {
        if (hm_dot_compare(&naive->seen[i], dot) == 0) {
            return true;
        }
    }
    return false;
}

/* The last change of the incarnation. */
static uint64_t last_seen(const struct hm_naive *naive, uint64_t incarnation)
{
    uint64_t n = 0;

    for (size_t i = 0; i < naive->seen_count; i++) {
        if (naive->seen[i].incarnation == incarnation && naive->seen[i].n > n) {
            n = naive->seen[i].n;
        }
    }
    return n;
}

void hm_naive_apply(struct hm_naive *naive, const struct hm_change *change,
                    const struct hm_dot *dot)
{
    if (has_seen(naive, dot)) {
        return;
    }
    naive->seen[naive->seen_count++] = *dot;
    for (size_t i = 0; i < change->row_count; i++) {
        const struct hm_row_write *row = &change->rows[i];

        for (size_t j = 0; j < row->cell_count; j++) {
            const struct hm_cell_write *cell = &row->cells[j];
            struct hm_naive_place at = {row->key, cell->field, *dot};

            assert_true(naive->write_count < HM_NAIVE_MAX);
            naive->writes[naive->write_count].place = at;
            naive->writes[naive->write_count++].value = cell->value;
            for (size_t k = 0; k < cell->replaced_count; k++) {
                at.dot = cell->replaced[k];
                if (!is_replaced(naive, &at)) {
                    assert_true(naive->replaced_count < HM_NAIVE_MAX);
                    naive->replaced[naive->replaced_count++] = at;
                }
            }
        }
    }
}

void hm_naive_refuse(struct hm_naive *naive, const struct hm_dot *dot)
{
    if (!has_seen(naive, dot)) {
        naive->seen[naive->seen_count++] = *dot;
    }
}

static const struct hm_cell *cell_at(const struct hm_household *h,
                                     const struct hm_naive_place *at)
{
    return hm_row_cell(hm_household_row(h, &at->row), at->field);
}

static bool holds(const struct hm_household *h, const struct hm_naive_place *at,
                  struct hm_bytes value)
{
    const struct hm_cell *cell = cell_at(h, at);

    for (size_t i = 0; cell != NULL && i < cell->sibling_count; i++) {
        if (hm_dot_compare(&cell->siblings[i].dot, &at->dot) == 0) {
            return hm_bytes_equal(cell->siblings[i].value, value) &&
                   hm_household_stamp(h, &at->dot) != NULL;
        }
    }
    return false;
}

static bool waits(const struct hm_household *h, const struct hm_naive_place *at)
{
    const struct hm_cell *cell = cell_at(h, at);

    for (size_t i = 0; cell != NULL && i < cell->rm_count; i++) {
        if (hm_dot_compare(&cell->rm[i], &at->dot) == 0) {
            return true;
        }
    }
    return false;
}

static void count_all(const struct hm_household *h, size_t *siblings, size_t *rm)
{
    *siblings = 0;
    *rm = 0;
    for (size_t i = 0; i < h->row_count; i++) {
        for (size_t j = 0; j < h->rows[i].cell_count; j++) {
            *siblings += h->rows[i].cells[j].sibling_count;
            *rm += h->rows[i].cells[j].rm_count;
        }
    }
}

bool hm_naive_agrees(const struct hm_naive *naive, const struct hm_household *h)
{
    size_t siblings;
    size_t rm;
    bool agrees = true;

    count_all(h, &siblings, &rm);
    for (size_t i = 0; i < naive->write_count; i++) {
        if (!is_replaced(naive, &naive->writes[i].place)) {
            agrees =
                agrees && holds(h, &naive->writes[i].place, naive->writes[i].value);
            siblings--;
        }
    }
    for (size_t i = 0; i < naive->replaced_count; i++) {
        const struct hm_naive_place *at = &naive->replaced[i];

        if (at->dot.n > last_seen(naive, at->dot.incarnation)) {
            agrees = agrees && waits(h, at);
            rm--;
        }
    }
    for (size_t i = 0; i < naive->seen_count; i++) {
        uint64_t incarnation = naive->seen[i].incarnation;

        agrees = agrees &&
                 hm_household_seen(h, incarnation) == last_seen(naive, incarnation);
    }
    return agrees && siblings == 0 && rm == 0;
}
