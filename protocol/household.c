#include "protocol/household.h"

#include "protocol/fact.h"

void hm_household_init(struct hm_household *h, const struct hm_household_id *id,
                       struct hm_arena *arena)
{
    *h = (struct hm_household){.id = *id, .arena = arena};
}

static size_t vv_index(const struct hm_household *h, uint64_t incarnation)
{
    size_t i = 0;

    while (i < h->vv_count && h->vv[i].author.incarnation < incarnation) {
        i++;
    }
    return i;
}

uint64_t hm_household_seen(const struct hm_household *h, uint64_t incarnation)
{
    size_t i = vv_index(h, incarnation);

    return i < h->vv_count && h->vv[i].author.incarnation == incarnation ? h->vv[i].n
                                                                         : 0;
}

const struct hm_author *hm_household_author(const struct hm_household *h,
                                            uint64_t incarnation)
{
    size_t i = vv_index(h, incarnation);

    return i < h->vv_count && h->vv[i].author.incarnation == incarnation
               ? &h->vv[i].author
               : NULL;
}

/* An author as a state keeps it: without what only the log needs. */
static struct hm_author kept(const struct hm_author *author)
{
    struct hm_author out = *author;

    out.base_wall_ms = 0;
    return out;
}

static int advance(struct hm_household *h, const struct hm_dot *dot,
                   const struct hm_author *author)
{
    size_t i = vv_index(h, dot->incarnation);
    struct hm_vv_entry *vv;

    HM_ASSERT(author->incarnation == dot->incarnation);
    if (i < h->vv_count && h->vv[i].author.incarnation == dot->incarnation) {
        h->vv[i].n = dot->n;
        return HM_OK;
    }
    vv = hm_arena_insert(h->arena, h->vv, h->vv_count, i, sizeof *vv);
    if (vv == NULL) {
        return HM_NOMEM;
    }
    vv[i] = (struct hm_vv_entry){.author = kept(author), .n = dot->n};
    h->vv = vv;
    h->vv_count++;
    return HM_OK;
}

static void settle_home(struct hm_household *h, const struct hm_change *change,
                        const struct hm_dot *dot)
{
    bool first = h->vv_count == 0;

    if (h->home_known) {
        return;
    }
    if (hm_change_creates(change, dot)) {
        h->home = change->scope;
        h->home_known = true;
    } else if (first || change->scope < h->home) {
        h->home = change->scope;
    }
}

static size_t row_index(const struct hm_household *h, const struct hm_row_key *key)
{
    size_t low = 0;
    size_t high = h->row_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (hm_row_key_compare(&h->rows[middle].key, key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const struct hm_row *hm_household_row(const struct hm_household *h,
                                      const struct hm_row_key *key)
{
    size_t i = row_index(h, key);

    return i < h->row_count && hm_row_key_compare(&h->rows[i].key, key) == 0
               ? &h->rows[i]
               : NULL;
}

static size_t cell_index(const struct hm_row *row, uint32_t field)
{
    size_t i = 0;

    while (i < row->cell_count && row->cells[i].field < field) {
        i++;
    }
    return i;
}

const struct hm_cell *hm_row_cell(const struct hm_row *row, uint32_t field)
{
    size_t i;

    if (row == NULL) {
        return NULL;
    }
    i = cell_index(row, field);
    return i < row->cell_count && row->cells[i].field == field ? &row->cells[i] : NULL;
}

static size_t stamp_index(const struct hm_household *h, const struct hm_dot *dot)
{
    size_t low = 0;
    size_t high = h->stamp_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (hm_dot_compare(&h->stamps[middle].dot, dot) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const struct hm_stamp *hm_household_stamp(const struct hm_household *h,
                                          const struct hm_dot *dot)
{
    size_t i = stamp_index(h, dot);

    return i < h->stamp_count && hm_dot_compare(&h->stamps[i].dot, dot) == 0
               ? &h->stamps[i]
               : NULL;
}

/* The row for a key, made when it is missing. NULL: out of memory. */
static struct hm_row *want_row(struct hm_household *h, const struct hm_row_key *key)
{
    size_t i = row_index(h, key);
    struct hm_row *rows;

    if (i < h->row_count && hm_row_key_compare(&h->rows[i].key, key) == 0) {
        return &h->rows[i];
    }
    rows = hm_arena_insert(h->arena, h->rows, h->row_count, i, sizeof *rows);
    if (rows == NULL) {
        return NULL;
    }
    rows[i] = (struct hm_row){.key = *key};
    h->rows = rows;
    h->row_count++;
    return &h->rows[i];
}

static struct hm_cell *want_cell(struct hm_household *h, struct hm_row *row,
                                 uint32_t field)
{
    size_t i = cell_index(row, field);
    struct hm_cell *cells;

    if (i < row->cell_count && row->cells[i].field == field) {
        return &row->cells[i];
    }
    cells = hm_arena_insert(h->arena, row->cells, row->cell_count, i, sizeof *cells);
    if (cells == NULL) {
        return NULL;
    }
    cells[i] = (struct hm_cell){.field = field};
    row->cells = cells;
    row->cell_count++;
    return &row->cells[i];
}

static size_t dot_index(const struct hm_dot *dots, size_t count,
                        const struct hm_dot *dot)
{
    size_t i = 0;

    while (i < count && hm_dot_compare(&dots[i], dot) < 0) {
        i++;
    }
    return i;
}

static bool has_dot(const struct hm_dot *dots, size_t count, const struct hm_dot *dot)
{
    size_t i = dot_index(dots, count, dot);

    return i < count && hm_dot_compare(&dots[i], dot) == 0;
}

static int add_rm(struct hm_household *h, struct hm_cell *cell,
                  const struct hm_dot *dot)
{
    size_t i = dot_index(cell->rm, cell->rm_count, dot);
    struct hm_dot *rm;

    if (i < cell->rm_count && hm_dot_compare(&cell->rm[i], dot) == 0) {
        return HM_OK;
    }
    rm = hm_arena_insert(h->arena, cell->rm, cell->rm_count, i, sizeof *rm);
    if (rm == NULL) {
        return HM_NOMEM;
    }
    rm[i] = *dot;
    cell->rm = rm;
    cell->rm_count++;
    return HM_OK;
}

static bool drop_sibling(struct hm_cell *cell, const struct hm_dot *dot)
{
    for (size_t i = 0; i < cell->sibling_count; i++) {
        if (hm_dot_compare(&cell->siblings[i].dot, dot) == 0) {
            memmove(&cell->siblings[i], &cell->siblings[i + 1],
                    (cell->sibling_count - i - 1) * sizeof cell->siblings[0]);
            cell->sibling_count--;
            return true;
        }
    }
    return false;
}

static int add_sibling(struct hm_household *h, struct hm_cell *cell,
                       const struct hm_dot *dot, struct hm_bytes value)
{
    struct hm_sibling *siblings;
    size_t i = 0;

    while (i < cell->sibling_count && hm_dot_compare(&cell->siblings[i].dot, dot) < 0) {
        i++;
    }
    siblings = hm_arena_insert(h->arena, cell->siblings, cell->sibling_count, i,
                               sizeof *siblings);
    if (siblings == NULL) {
        return HM_NOMEM;
    }
    siblings[i].dot = *dot;
    cell->siblings = siblings;
    cell->sibling_count++;
    return hm_arena_copy(h->arena, value, &siblings[i].value);
}

static int write_cell(struct hm_household *h, struct hm_cell *cell,
                      const struct hm_cell_write *write, const struct hm_dot *dot)
{
    for (size_t i = 0; i < write->replaced_count; i++) {
        const struct hm_dot *old = &write->replaced[i];
        int err = HM_OK;

        if (!drop_sibling(cell, old) &&
            old->n > hm_household_seen(h, old->incarnation)) {
            err = add_rm(h, cell, old);
        }
        if (err != HM_OK) {
            return err;
        }
    }
    if (has_dot(cell->rm, cell->rm_count, dot)) {
        return HM_OK; /* already replaced by somebody who saw it before us */
    }
    return add_sibling(h, cell, dot, write->value);
}

static bool lives(const struct hm_household *h, const struct hm_dot *dot)
{
    for (size_t i = 0; i < h->row_count; i++) {
        for (size_t j = 0; j < h->rows[i].cell_count; j++) {
            const struct hm_cell *cell = &h->rows[i].cells[j];

            for (size_t k = 0; k < cell->sibling_count; k++) {
                if (hm_dot_compare(&cell->siblings[k].dot, dot) == 0) {
                    return true;
                }
            }
        }
    }
    return false;
}

static int add_stamp(struct hm_household *h, const struct hm_stamp *stamp)
{
    size_t i = stamp_index(h, &stamp->dot);
    struct hm_stamp *stamps;

    if (i < h->stamp_count && hm_dot_compare(&h->stamps[i].dot, &stamp->dot) == 0) {
        return HM_OK;
    }
    stamps = hm_arena_insert(h->arena, h->stamps, h->stamp_count, i, sizeof *stamps);
    if (stamps == NULL) {
        return HM_NOMEM;
    }
    stamps[i] = *stamp;
    h->stamps = stamps;
    h->stamp_count++;
    return HM_OK;
}

/* What the vector covers needs no rm, what nobody holds needs no stamp, and an empty
 * cell or row no place: so that equal states have equal bytes. */
static void tidy(struct hm_household *h)
{
    size_t rows = 0;
    size_t stamps = 0;

    for (size_t i = 0; i < h->row_count; i++) {
        struct hm_row *row = &h->rows[i];
        size_t cells = 0;

        for (size_t j = 0; j < row->cell_count; j++) {
            struct hm_cell *cell = &row->cells[j];
            size_t rm = 0;

            for (size_t k = 0; k < cell->rm_count; k++) {
                if (cell->rm[k].n > hm_household_seen(h, cell->rm[k].incarnation)) {
                    cell->rm[rm++] = cell->rm[k];
                }
            }
            cell->rm_count = rm;
            if (cell->sibling_count > 0 || rm > 0) {
                row->cells[cells++] = *cell;
            }
        }
        row->cell_count = cells;
        if (cells > 0) {
            h->rows[rows++] = *row;
        }
    }
    h->row_count = rows;
    for (size_t i = 0; i < h->stamp_count; i++) {
        if (lives(h, &h->stamps[i].dot)) {
            h->stamps[stamps++] = h->stamps[i];
        }
    }
    h->stamp_count = stamps;
}

/* The sum, or the nearest number there is: both come from a device and are labels. */
static int64_t wall_time(int64_t base_ms, int64_t dt_ms)
{
    if (dt_ms > 0 && base_ms > INT64_MAX - dt_ms) {
        return INT64_MAX;
    }
    if (dt_ms < 0 && base_ms < INT64_MIN - dt_ms) {
        return INT64_MIN;
    }
    return base_ms + dt_ms;
}

int hm_household_apply(struct hm_household *h, const struct hm_change *change,
                       const struct hm_dot *dot, const struct hm_author *author,
                       bool *out_applied)
{
    struct hm_stamp stamp = {.dot = *dot,
                             .user = change->user,
                             .rank = change->rank,
                             .wall_ms = wall_time(author->base_wall_ms, change->dt_ms)};
    int err;

    HM_ASSERT(hm_household_id_compare(&change->household, &h->id) == 0);
    if (hm_household_seen(h, dot->incarnation) >= dot->n) {
        *out_applied = false;
        return HM_OK;
    }
    settle_home(h, change, dot);
    err = advance(h, dot, author);
    if (err == HM_OK) {
        err = add_stamp(h, &stamp);
    }
    for (size_t i = 0; i < change->row_count && err == HM_OK; i++) {
        const struct hm_row_write *write = &change->rows[i];
        struct hm_row *row = want_row(h, &write->key);

        for (size_t j = 0; j < write->cell_count && err == HM_OK; j++) {
            struct hm_cell *cell =
                row == NULL ? NULL : want_cell(h, row, write->cells[j].field);

            err = cell == NULL ? HM_NOMEM : write_cell(h, cell, &write->cells[j], dot);
        }
    }
    if (err == HM_OK) {
        tidy(h);
        *out_applied = true;
    }
    return err;
}

int hm_household_refuse(struct hm_household *h, const struct hm_change *change,
                        const struct hm_dot *dot, const struct hm_author *author)
{
    int err;

    if (hm_household_seen(h, dot->incarnation) >= dot->n) {
        return HM_OK;
    }
    settle_home(h, change, dot);
    err = advance(h, dot, author);
    if (err == HM_OK) {
        tidy(h);
    }
    return err;
}

int hm_household_row_dots(const struct hm_household *h, const struct hm_row *row,
                          struct hm_dot **out_dots, size_t *out_count)
{
    struct hm_dot *dots;
    size_t total = 0;
    size_t count = 0;

    for (size_t i = 0; i < row->cell_count; i++) {
        total += row->cells[i].sibling_count;
    }
    dots = hm_arena_array(h->arena, total, sizeof *dots);
    if (dots == NULL) {
        return HM_NOMEM;
    }
    for (size_t i = 0; i < row->cell_count; i++) {
        for (size_t j = 0; j < row->cells[i].sibling_count; j++) {
            const struct hm_dot *dot = &row->cells[i].siblings[j].dot;
            size_t at = dot_index(dots, count, dot);

            if (at < count && hm_dot_compare(&dots[at], dot) == 0) {
                continue;
            }
            memmove(&dots[at + 1], &dots[at], (count - at) * sizeof *dots);
            dots[at] = *dot;
            count++;
        }
    }
    *out_dots = dots;
    *out_count = count;
    return HM_OK;
}

static bool add_scope(uint32_t *scopes, size_t *count, uint32_t scope)
{
    size_t at = 0;

    while (at < *count && scopes[at] < scope) {
        at++;
    }
    if (at < *count && scopes[at] == scope) {
        return false;
    }
    memmove(&scopes[at + 1], &scopes[at], (*count - at) * sizeof *scopes);
    scopes[at] = scope;
    (*count)++;
    return true;
}

int hm_household_scopes(const struct hm_household *h, uint32_t **out_scopes,
                        size_t *out_count)
{
    static const struct hm_row_key own = {.form = HM_FORM_HOUSEHOLD};
    const struct hm_cell *cell = hm_row_cell(hm_household_row(h, &own), HM_FIELD_SCOPE);
    size_t siblings = cell == NULL ? 0 : cell->sibling_count;
    uint32_t *scopes = hm_arena_array(h->arena, siblings + 1, sizeof *scopes);
    size_t count = 0;

    if (scopes == NULL) {
        return HM_NOMEM;
    }
    for (size_t i = 0; i < siblings; i++) {
        uint32_t scope = 0;

        if (hm_fact_scope(cell->siblings[i].value, &scope)) {
            (void)add_scope(scopes, &count, scope);
        }
    }
    if (count == 0 && !hm_household_is_hearsay(h)) {
        (void)add_scope(scopes, &count, h->home);
    }
    *out_scopes = scopes;
    *out_count = count;
    return HM_OK;
}
