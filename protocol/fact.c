#include "protocol/fact.h"

#include "protocol/pack.h"

enum { DIGEST_BYTES = 16 };

static const struct hm_row_key own_row = {.form = HM_FORM_HOUSEHOLD};

/* -- Values ----------------------------------------------------------------------- */

void hm_fact_encode(struct hm_bytes target, const struct hm_household *h,
                    struct hm_buf *buf)
{
    hm_pack_array(buf, 2);
    hm_pack_raw(buf, target);
    hm_pack_array(buf, h->vv_count);
    for (size_t i = 0; i < h->vv_count; i++) {
        hm_pack_array(buf, 2);
        hm_pack_uint(buf, h->vv[i].author.incarnation);
        hm_pack_uint(buf, h->vv[i].n);
    }
}

void hm_fact_pack_household(const struct hm_household_id *id, struct hm_buf *buf)
{
    hm_pack_array(buf, 2);
    hm_pack_uint(buf, id->a);
    hm_pack_uint(buf, id->n);
}

static bool is_fact_field(uint32_t field)
{
    return field >= HM_FIELD_SCOPE && field <= HM_FIELD_DECIDED &&
           field != HM_FIELD_APART;
}

/* The two halves of a fact; false when value is none. */
static bool halves(struct hm_bytes value, struct hm_bytes *out_target,
                   struct hm_reader *out_seen)
{
    struct hm_reader r = {.left = value};

    hm_unpack_array_exact(&r, 2);
    *out_target = hm_unpack_raw(&r);
    *out_seen = r;
    return r.err == HM_OK && hm_unpack_peek(&r) == HM_PACK_ARRAY;
}

struct hm_bytes hm_fact_target(uint32_t field, struct hm_bytes value)
{
    struct hm_bytes target;
    struct hm_reader seen;

    return is_fact_field(field) && halves(value, &target, &seen) ? target : value;
}

bool hm_fact_scope(struct hm_bytes value, uint32_t *out_scope)
{
    struct hm_bytes target;
    struct hm_reader seen;
    struct hm_reader r;
    uint64_t scope;

    if (!halves(value, &target, &seen)) {
        return false;
    }
    r = (struct hm_reader){.left = target};
    scope = hm_unpack_uint_max(&r, UINT32_MAX);
    if (hm_unpack_end(&r) != HM_OK || scope == 0) {
        return false;
    }
    *out_scope = (uint32_t)scope;
    return true;
}

static bool read_household(struct hm_reader *r, struct hm_household_id *out)
{
    hm_unpack_array_exact(r, 2);
    out->a = hm_unpack_uint(r);
    out->n = hm_unpack_uint(r);
    return r->err == HM_OK;
}

bool hm_fact_household(struct hm_bytes value, struct hm_household_id *out_id)
{
    struct hm_household_id id;
    struct hm_bytes target;
    struct hm_reader seen;
    struct hm_reader r;

    if (!halves(value, &target, &seen)) {
        return false;
    }
    r = (struct hm_reader){.left = target};
    if (!read_household(&r, &id) || hm_unpack_end(&r) != HM_OK) {
        return false;
    }
    *out_id = id;
    return true;
}

bool hm_fact_is_deletion(struct hm_bytes value)
{
    struct hm_bytes target;
    struct hm_reader seen;

    return halves(value, &target, &seen) && target.len == 1 &&
           target.data[0] == HM_FACT_DELETED;
}

bool hm_fact_saw(struct hm_bytes value, const struct hm_dot *dot)
{
    struct hm_bytes target;
    struct hm_reader seen;
    size_t count;

    if (!halves(value, &target, &seen)) {
        return false;
    }
    count = hm_unpack_array(&seen, seen.left.len);
    for (size_t i = 0; i < count && seen.err == HM_OK; i++) {
        uint64_t incarnation;
        uint64_t n;

        hm_unpack_array_exact(&seen, 2);
        incarnation = hm_unpack_uint(&seen);
        n = hm_unpack_uint(&seen);
        if (seen.err == HM_OK && incarnation == dot->incarnation) {
            return n >= dot->n;
        }
    }
    return false;
}

/* A vector: by rising incarnation, every n above 0. */
static int check_seen(struct hm_reader *r)
{
    size_t count = hm_unpack_array(r, r->left.len);
    uint64_t before = 0;

    for (size_t i = 0; i < count && r->err == HM_OK; i++) {
        uint64_t incarnation;

        hm_unpack_array_exact(r, 2);
        incarnation = hm_unpack_uint(r);
        if (hm_unpack_uint(r) == 0 || (i > 0 && incarnation <= before)) {
            return HM_INVALID;
        }
        before = incarnation;
    }
    return hm_unpack_end(r) == HM_OK ? HM_OK : HM_INVALID;
}

static int check_apart(struct hm_bytes value)
{
    struct hm_reader r = {.left = value};
    struct hm_household_id id;
    size_t count = hm_unpack_array(&r, HM_FACT_APART_MAX);

    for (size_t i = 0; i < count; i++) {
        if (!read_household(&r, &id)) {
            break;
        }
    }
    return hm_unpack_end(&r) == HM_OK ? HM_OK : HM_INVALID;
}

int hm_fact_check(uint32_t field, struct hm_bytes value)
{
    struct hm_household_id id;
    struct hm_bytes target;
    struct hm_reader seen;
    struct hm_reader r = {.left = value};
    uint32_t scope;
    bool fits = false;

    if (hm_unpack_nil(&r)) {
        return hm_unpack_end(&r) == HM_OK ? HM_OK : HM_INVALID;
    }
    if (field == HM_FIELD_APART) {
        return check_apart(value);
    }
    if (!halves(value, &target, &seen)) {
        return HM_INVALID;
    }
    r = (struct hm_reader){.left = target};
    switch (field) {
    case HM_FIELD_STATUS:
        fits = hm_fact_is_deletion(value);
        break;
    case HM_FIELD_SCOPE:
        fits = hm_fact_scope(value, &scope);
        break;
    case HM_FIELD_MERGED:
    case HM_FIELD_SPLIT:
        fits = hm_fact_household(value, &id);
        break;
    case HM_FIELD_DECIDED:
        fits = hm_unpack_bin(&r).len == DIGEST_BYTES && hm_unpack_end(&r) == HM_OK;
        break;
    default:
        break;
    }
    return fits ? check_seen(&seen) : HM_INVALID;
}

/* -- Views of a household --------------------------------------------------------- */

const struct hm_cell *hm_fact_cell(const struct hm_household *h, uint32_t field)
{
    const struct hm_cell *cell = hm_row_cell(hm_household_row(h, &own_row), field);

    return cell == NULL || cell->sibling_count == 0 ? NULL : cell;
}

/* Whether a dot that lives somewhere counts as an edit that a fact may not have seen.
 */
typedef bool (*counts_fn)(const void *arg, const struct hm_row *row,
                          const struct hm_cell *cell, const struct hm_sibling *sibling);

/* The latest live dot that counts. */
static const struct hm_dot *latest(const struct hm_household *h, counts_fn counts,
                                   const void *arg)
{
    const struct hm_dot *found = NULL;
    int64_t found_ms = 0;

    for (size_t i = 0; i < h->row_count; i++) {
        const struct hm_row *row = &h->rows[i];

        for (size_t j = 0; j < row->cell_count; j++) {
            for (size_t k = 0; k < row->cells[j].sibling_count; k++) {
                const struct hm_dot *dot = &row->cells[j].siblings[k].dot;
                const struct hm_stamp *stamp;
                int64_t at_ms;

                if (!counts(arg, row, &row->cells[j], &row->cells[j].siblings[k])) {
                    continue;
                }
                stamp = hm_household_stamp(h, dot);
                at_ms = stamp == NULL ? 0 : hm_policy_corrected_ms(h, stamp);
                if (found == NULL || at_ms > found_ms ||
                    (at_ms == found_ms && hm_dot_compare(dot, found) > 0)) {
                    found = dot;
                    found_ms = at_ms;
                }
            }
        }
    }
    return found;
}

static bool is_own(const struct hm_row *row)
{
    return row->key.form == HM_FORM_HOUSEHOLD;
}

/* Another's deletion agrees: it is nothing to be seen. */
static bool escapes_deletion(const void *arg, const struct hm_row *row,
                             const struct hm_cell *cell,
                             const struct hm_sibling *sibling)
{
    const struct hm_sibling *deletion = arg;

    if (is_own(row) && cell->field == HM_FIELD_STATUS &&
        hm_fact_is_deletion(sibling->value)) {
        return false;
    }
    return hm_dot_compare(&sibling->dot, &deletion->dot) != 0 &&
           !hm_fact_saw(deletion->value, &sibling->dot);
}

enum hm_row_state hm_fact_state(const struct hm_household *h)
{
    const struct hm_cell *cell = hm_fact_cell(h, HM_FIELD_STATUS);
    bool deleted = false;

    for (size_t i = 0; cell != NULL && i < cell->sibling_count; i++) {
        const struct hm_sibling *next = &cell->siblings[i];

        if (!hm_fact_is_deletion(next->value)) {
            continue;
        }
        if (latest(h, escapes_deletion, next) == NULL) {
            return HM_ROW_REMOVED;
        }
        deleted = true;
    }
    return deleted ? HM_ROW_DISPUTED : HM_ROW_ACTIVE;
}

const struct hm_dot *hm_fact_unseen_by_deletion(const struct hm_household *h)
{
    const struct hm_cell *cell = hm_fact_cell(h, HM_FIELD_STATUS);
    const struct hm_dot *found = NULL;

    for (size_t i = 0; cell != NULL && i < cell->sibling_count; i++) {
        if (hm_fact_is_deletion(cell->siblings[i].value) && found == NULL) {
            found = latest(h, escapes_deletion, &cell->siblings[i]);
        }
    }
    return found;
}

/* The sibling that is shown; NULL when the cell is empty. */
static const struct hm_sibling *shown(const struct hm_household *h, uint32_t field)
{
    const struct hm_cell *cell = hm_fact_cell(h, field);
    struct hm_policy_view view = {0};
    int err = cell == NULL ? HM_NOTFOUND
                           : hm_policy_view(HM_FIELD_POLICY_ASK, h, cell, NULL, &view);

    return err == HM_OK ? view.winner : NULL;
}

uint32_t hm_fact_shown_scope(const struct hm_household *h)
{
    const struct hm_sibling *scope = shown(h, HM_FIELD_SCOPE);
    uint32_t out = h->home;

    return scope != NULL && hm_fact_scope(scope->value, &out) ? out : h->home;
}

bool hm_fact_merged_into(const struct hm_household *h, struct hm_household_id *out_id)
{
    const struct hm_sibling *merged = shown(h, HM_FIELD_MERGED);

    return merged != NULL && hm_fact_household(merged->value, out_id) &&
           hm_household_id_compare(out_id, &h->id) != 0;
}

struct merge {
    const struct hm_cell *cell;
    struct hm_bytes target;
};

/* Those who merged it into the same household know it together: each later edit of
 * somebody who sees the merge says it again. */
static bool escapes_merge(const void *arg, const struct hm_row *row,
                          const struct hm_cell *cell, const struct hm_sibling *sibling)
{
    const struct merge *merge = arg;

    (void)row;
    (void)cell;
    for (size_t i = 0; i < merge->cell->sibling_count; i++) {
        const struct hm_sibling *next = &merge->cell->siblings[i];

        if (hm_bytes_equal(hm_fact_target(HM_FIELD_MERGED, next->value),
                           merge->target) &&
            (hm_dot_compare(&next->dot, &sibling->dot) == 0 ||
             hm_fact_saw(next->value, &sibling->dot))) {
            return false;
        }
    }
    return true;
}

const struct hm_dot *hm_fact_unseen_by_merge(const struct hm_household *h)
{
    const struct hm_sibling *winner = shown(h, HM_FIELD_MERGED);
    struct merge merge = {.cell = hm_fact_cell(h, HM_FIELD_MERGED)};
    struct hm_household_id into;

    if (winner == NULL || !hm_fact_household(winner->value, &into)) {
        return NULL;
    }
    merge.target = hm_fact_target(HM_FIELD_MERGED, winner->value);
    return latest(h, escapes_merge, &merge);
}

struct fact {
    struct hm_bytes value;
    const struct hm_dot *author;
};

static bool escapes_fact(const void *arg, const struct hm_row *row,
                         const struct hm_cell *cell, const struct hm_sibling *sibling)
{
    const struct fact *fact = arg;

    (void)cell;
    return !is_own(row) && hm_dot_compare(&sibling->dot, fact->author) != 0 &&
           !hm_fact_saw(fact->value, &sibling->dot);
}

const struct hm_dot *hm_fact_unseen_by(const struct hm_household *h,
                                       struct hm_bytes value,
                                       const struct hm_dot *author)
{
    struct fact fact = {value, author};

    return latest(h, escapes_fact, &fact);
}

size_t hm_fact_apart(const struct hm_household *h, struct hm_household_id *out,
                     size_t max)
{
    const struct hm_cell *cell = hm_fact_cell(h, HM_FIELD_APART);
    size_t count = 0;

    for (size_t i = 0; cell != NULL && i < cell->sibling_count; i++) {
        struct hm_reader r = {.left = cell->siblings[i].value};
        size_t left = hm_unpack_nil(&r) ? 0 : hm_unpack_array(&r, HM_FACT_APART_MAX);
        struct hm_household_id id;

        for (; left > 0 && read_household(&r, &id); left--) {
            bool known = false;

            for (size_t j = 0; j < count && j < max; j++) {
                known = known || hm_household_id_compare(&out[j], &id) == 0;
            }
            if (!known && count < max) {
                out[count] = id;
            }
            count += known ? 0 : 1;
        }
    }
    return count;
}

/* -- Chains of merges ------------------------------------------------------------- */

struct walk {
    hm_redirect_fn next;
    void *arg;
    struct hm_household_id at;
    bool ended;
};

static int step(struct walk *walk)
{
    struct hm_household_id into;
    bool found = false;
    int err = HM_OK;

    if (!walk->ended) {
        err = walk->next(walk->arg, &walk->at, &into, &found);
    }
    if (err == HM_OK && found) {
        walk->at = into;
    } else if (err == HM_OK) {
        walk->ended = true;
    }
    return err;
}

/* at is on a circle. */
static int lowest(struct walk *walk, struct hm_household_id *out)
{
    struct hm_household_id start = walk->at;
    int err = HM_OK;

    *out = start;
    do {
        err = step(walk);
        if (err == HM_OK && hm_household_id_compare(&walk->at, out) < 0) {
            *out = walk->at;
        }
    } while (err == HM_OK && !walk->ended &&
             hm_household_id_compare(&walk->at, &start) != 0);
    return err;
}

int hm_redirect_survivor(const struct hm_household_id *id, hm_redirect_fn next,
                         void *arg, struct hm_household_id *out_survivor,
                         bool *out_circle)
{
    struct walk slow = {next, arg, *id, false};
    struct walk fast = slow;
    bool circle = false;
    int err = HM_OK;

    for (unsigned i = 0; err == HM_OK && !fast.ended && !circle; i++) {
        if (i == HM_REDIRECT_STEPS_MAX) {
            return HM_TOOBIG;
        }
        err = step(&fast);
        if (err == HM_OK) {
            err = step(&fast);
        }
        if (err == HM_OK) {
            err = step(&slow);
        }
        circle = !fast.ended && hm_household_id_compare(&slow.at, &fast.at) == 0;
    }
    if (err == HM_OK && circle) {
        err = lowest(&slow, &fast.at);
    }
    if (err == HM_OK) {
        *out_survivor = fast.at;
        *out_circle = circle;
    }
    return err;
}
