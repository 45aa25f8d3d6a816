#include "storage/fork.h"

#include <stdlib.h>

#include "protocol/pack.h"
#include "storage/cursors.h"
#include "storage/households.h"
#include "storage/log.h"
#include "storage/quarantine.h"
#include "storage/upload.h"

enum { ARENA_BYTES_MAX = 512 * 1024 * 1024 };

struct leaving {
    struct hm_store *s;
    struct hm_forms *forms;
    uint64_t parent;
    struct hm_arena *arena;
    struct hm_log log;         /* as it was */
    uint64_t common;           /* from here on it is forked */
    struct hm_change *changes; /* common .. entries - 1 */
    struct hm_dot *again;      /* the dots that they have now; zero: none yet */
    size_t count;
};

static bool is_forked(const struct leaving *l, uint64_t incarnation, uint64_t n)
{
    return incarnation == l->log.author.incarnation && n >= l->common;
}

/* What a forked dot is called now. False: nothing of it was written again. */
static bool rename_dot(const struct leaving *l, struct hm_dot *dot)
{
    size_t index;

    if (!is_forked(l, dot->incarnation, dot->n)) {
        return true;
    }
    index = (size_t)(dot->n - l->common);
    if (index >= l->count || l->again[index].incarnation == 0) {
        return false;
    }
    *dot = l->again[index];
    return true;
}

static int compare_dots(const void *a, const void *b)
{
    return hm_dot_compare(a, b);
}

/* Ascending, each once, without those that are nobody's now. */
static size_t rename_dots(const struct leaving *l, struct hm_dot *dots, size_t count)
{
    size_t named = 0;
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        if (rename_dot(l, &dots[i])) {
            dots[named++] = dots[i];
        }
    }
    if (named > 0) {
        qsort(dots, named, sizeof dots[0], compare_dots);
    }
    for (size_t i = 0; i < named; i++) {
        if (kept == 0 || hm_dot_compare(&dots[kept - 1], &dots[i]) != 0) {
            dots[kept++] = dots[i];
        }
    }
    return kept;
}

/* A removal lists the dots that were seen: [1, [[incarnation, n] ..]]. */
static int rename_removal(const struct leaving *l, struct hm_bytes *value)
{
    struct hm_reader r = {.left = *value};
    struct hm_dot *dots;
    struct hm_buf buf;
    size_t count;
    uint64_t status;
    int err;

    hm_unpack_array_exact(&r, 2);
    status = hm_unpack_uint(&r);
    count = hm_unpack_array(&r, UINT16_MAX);
    if (r.err != HM_OK) {
        return HM_OK; /* no removal */
    }
    dots = hm_arena_array(l->arena, count, sizeof *dots);
    if (dots == NULL) {
        return HM_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        hm_unpack_array_exact(&r, 2);
        dots[i].incarnation = hm_unpack_uint(&r);
        dots[i].n = hm_unpack_uint(&r);
    }
    if (hm_unpack_end(&r) != HM_OK) {
        return HM_OK;
    }
    count = rename_dots(l, dots, count);
    hm_buf_init(&buf, HM_CHANGE_BYTES_MAX);
    hm_pack_array(&buf, 2);
    hm_pack_uint(&buf, status);
    hm_pack_array(&buf, count);
    for (size_t i = 0; i < count; i++) {
        hm_pack_array(&buf, 2);
        hm_pack_uint(&buf, dots[i].incarnation);
        hm_pack_uint(&buf, dots[i].n);
    }
    err =
        buf.err == HM_OK ? hm_arena_copy(l->arena, hm_buf_bytes(&buf), value) : buf.err;
    hm_buf_deinit(&buf);
    return err;
}

static int rename_cell(const struct leaving *l, struct hm_cell_write *cell)
{
    struct hm_dot *dots = hm_arena_grow(l->arena, cell->replaced, cell->replaced_count,
                                        cell->replaced_count + 1, sizeof *dots);

    if (dots == NULL) {
        return HM_NOMEM;
    }
    cell->replaced_count = rename_dots(l, dots, cell->replaced_count);
    cell->replaced = dots;
    return cell->field == HM_FIELD_STATUS ? rename_removal(l, &cell->value) : HM_OK;
}

static int compare_rows(const void *a, const void *b)
{
    const struct hm_row_write *x = a;
    const struct hm_row_write *y = b;

    return hm_row_key_compare(&x->key, &y->key);
}

/* The change as it is written under dot. */
static int rename_change(const struct leaving *l, struct hm_change *change)
{
    struct hm_dot household = {change->household.a, change->household.n};
    int err = HM_OK;

    /* Its own dot stands for itself in what it makes: it was noted before. */
    if (rename_dot(l, &household)) {
        change->household =
            (struct hm_household_id){household.incarnation, household.n};
    }
    for (size_t i = 0; i < change->row_count && err == HM_OK; i++) {
        struct hm_row_write *row = &change->rows[i];
        struct hm_dot item = {row->key.item.incarnation, row->key.item.n};

        if (!hm_item_is_none(&row->key.item) && rename_dot(l, &item)) {
            row->key.item.incarnation = item.incarnation;
            row->key.item.n = item.n;
        }
        for (size_t j = 0; j < row->cell_count && err == HM_OK; j++) {
            err = rename_cell(l, &row->cells[j]);
        }
    }
    if (change->row_count > 0) {
        qsort(change->rows, change->row_count, sizeof change->rows[0], compare_rows);
    }
    if (change->reason.len == 0) {
        change->reason = hm_bytes_str(HM_FORK_REASON);
    }
    return err;
}

/* -- What leaves the log -- */

static int set_apart(const struct leaving *l, const struct hm_dot *dot,
                     struct hm_bytes bytes, const struct hm_change *change)
{
    struct hm_quarantine_entry entry = {
        .dot = *dot,
        .device = l->log.author.device,
        .scope = change->scope,
        .household = change->household,
        .reason = HM_CHAIN,
        .detail = "of a branch of the log that was left: it was written again",
        .bytes = bytes};
    struct hm_hash hash = hm_quarantine_hash(dot, bytes);
    int err = hm_quarantine_put(l->s, &entry);

    return err == HM_OK ? hm_quarantine_set_released(l->s, &hash) : err;
}

static int take_changes(struct leaving *l)
{
    int err = HM_OK;

    l->count = (size_t)(l->log.entries - l->common);
    l->changes = hm_arena_array(l->arena, l->count, sizeof l->changes[0]);
    l->again = hm_arena_array(l->arena, l->count, sizeof l->again[0]);
    if (l->changes == NULL || l->again == NULL) {
        return HM_NOMEM;
    }
    for (size_t i = 0; i < l->count && err == HM_OK; i++) {
        struct hm_dot dot = {l->log.author.incarnation, l->common + i};
        struct hm_bytes bytes = {0};
        int verdict;

        err = hm_log_entry(l->s, dot.incarnation, dot.n, l->arena, &bytes, &verdict);
        if (err == HM_OK) {
            err = hm_change_decode(bytes, &dot, l->arena, &l->changes[i]);
        }
        if (err == HM_OK) {
            err = set_apart(l, &dot, bytes, &l->changes[i]);
        }
    }
    return err;
}

/* -- States without the forked range -- */

/* The last change of the log, before the fork, that touched the household; 0: none. */
static int last_common(const struct leaving *l, const struct hm_household *h,
                       uint64_t *out_n)
{
    struct hm_dot *dots = NULL;
    size_t count = 0;
    int err = hm_log_history(l->s, h->home, &h->id, h->arena, &dots, &count);

    *out_n = 0;
    for (size_t i = 0; i < count && err == HM_OK; i++) {
        if (dots[i].incarnation == l->log.author.incarnation && dots[i].n < l->common &&
            dots[i].n > *out_n) {
            *out_n = dots[i].n;
        }
    }
    return err;
}

static void drop_forked(const struct leaving *l, struct hm_household *h, uint64_t last)
{
    size_t rows = 0;
    size_t stamps = 0;
    size_t seen = 0;

    for (size_t i = 0; i < h->row_count; i++) {
        struct hm_row *row = &h->rows[i];
        size_t cells = 0;

        for (size_t j = 0; j < row->cell_count; j++) {
            struct hm_cell *cell = &row->cells[j];
            size_t kept = 0;

            for (size_t k = 0; k < cell->sibling_count; k++) {
                const struct hm_dot *dot = &cell->siblings[k].dot;

                if (!is_forked(l, dot->incarnation, dot->n)) {
                    cell->siblings[kept++] = cell->siblings[k];
                }
            }
            cell->sibling_count = kept;
            if (kept > 0 || cell->rm_count > 0) {
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
        if (!is_forked(l, h->stamps[i].dot.incarnation, h->stamps[i].dot.n)) {
            h->stamps[stamps++] = h->stamps[i];
        }
    }
    h->stamp_count = stamps;
    for (size_t i = 0; i < h->vv_count; i++) {
        struct hm_vv_entry entry = h->vv[i];

        if (is_forked(l, entry.author.incarnation, entry.n)) {
            entry.n = last;
        }
        if (entry.n > 0) {
            h->vv[seen++] = entry;
        }
    }
    h->vv_count = seen;
}

/* A household that the branch made is another household at the parent, or none. */
static int forget_household(struct leaving *l, struct hm_household *h)
{
    uint64_t last = 0;
    int err;

    if (is_forked(l, h->id.a, h->id.n)) {
        return hm_households_forget(l->s, &h->id);
    }
    err = last_common(l, h, &last);
    if (err != HM_OK) {
        return err;
    }
    drop_forked(l, h, last);
    return hm_households_store(l->s, h, hm_forms_policy_of, l->forms);
}

static int clean_household(struct leaving *l, const struct hm_household_id *id)
{
    struct hm_household h;
    struct hm_arena arena;
    int err;

    hm_arena_init(&arena, HM_HOUSEHOLD_ARENA_BYTES_MAX);
    err = hm_households_load(l->s, id, &arena, &h);
    if (err == HM_OK) {
        err = forget_household(l, &h);
    }
    hm_arena_deinit(&arena);
    return err == HM_NOTFOUND ? HM_OK : err;
}

static int clean_states(struct leaving *l)
{
    int err = HM_OK;

    for (size_t i = 0; i < l->count && err == HM_OK; i++) {
        err = clean_household(l, &l->changes[i].household);
    }
    return err;
}

/* -- The new incarnation -- */

static int apply(struct leaving *l, const struct hm_change *change,
                 const struct hm_dot *dot, const struct hm_author *author)
{
    struct hm_household h;
    struct hm_arena arena;
    struct hm_buf bytes;
    bool found = false;
    bool applied = false;
    int err;

    hm_arena_init(&arena, HM_HOUSEHOLD_ARENA_BYTES_MAX);
    hm_buf_init(&bytes, 4 * HM_CHANGE_BYTES_MAX);
    hm_change_encode(change, dot, &bytes);
    err = bytes.err;
    if (err == HM_OK) {
        err = hm_households_load_or_new(l->s, &change->household, &arena, &h, &found);
    }
    if (err == HM_OK) {
        err = hm_household_apply(&h, change, dot, author, &applied);
    }
    if (err == HM_OK) {
        err = hm_households_store(l->s, &h, hm_forms_policy_of, l->forms);
    }
    if (err == HM_OK) {
        err = hm_log_append_own(l->s, dot, hm_buf_bytes(&bytes), &h.id, h.home);
    }
    hm_buf_deinit(&bytes);
    hm_arena_deinit(&arena);
    return err;
}

static int write_again(struct leaving *l, size_t index)
{
    struct hm_change *change = &l->changes[index];
    struct hm_author author;
    struct hm_dot dot;
    int err = hm_log_next_own(l->s, &dot, &author);

    if (err != HM_OK) {
        return err;
    }
    l->again[index] = dot;
    err = rename_change(l, change);
    change->dt_ms += l->log.author.base_wall_ms - author.base_wall_ms;
    return err == HM_OK ? apply(l, change, &dot, &author) : err;
}

/* What the parent shows of the other branch comes by hashes. */
static int compare_all(struct leaving *l)
{
    uint32_t *scopes = NULL;
    size_t count = 0;
    int err = hm_upload_scopes(l->s, l->arena, &scopes, &count);

    for (size_t i = 0; i < count && err == HM_OK; i++) {
        struct hm_cursor_at at;

        err = hm_cursors_get(l->s, l->parent, scopes[i], &at);
        if (err == HM_OK) {
            at.repair = HM_REPAIR_COMPARE;
            err = hm_cursors_set(l->s, l->parent, scopes[i], &at);
        }
    }
    return err;
}

static int lower_receipt(struct leaving *l)
{
    uint64_t entries = 0;
    unsigned level = 0;
    int err =
        hm_log_receipt(l->s, l->parent, l->log.author.incarnation, &entries, &level);

    return err == HM_OK && entries > l->common
               ? hm_log_set_receipt(l->s, l->parent, l->log.author.incarnation,
                                    l->common, level)
               : err;
}

static int leave(struct leaving *l)
{
    int err = take_changes(l);

    if (err == HM_OK) {
        err = hm_log_cut(l->s, &l->log, l->common);
    }
    if (err == HM_OK) {
        err = lower_receipt(l);
    }
    if (err == HM_OK) {
        err = clean_states(l);
    }
    for (size_t i = 0; i < l->count && err == HM_OK; i++) {
        err = write_again(l, i);
    }
    return err == HM_OK ? compare_all(l) : err;
}

int hm_fork_leave(struct hm_store *s, struct hm_forms *forms, uint64_t parent,
                  const struct hm_fork *fork, uint64_t *out_changes)
{
    struct leaving l = {
        .s = s, .forms = forms, .parent = parent, .common = fork->common};
    struct hm_arena arena;
    int err = hm_log_get(s, fork->incarnation, &l.log);

    *out_changes = 0;
    if (err == HM_NOTFOUND || (err == HM_OK && (!l.log.own || fork->common == 0 ||
                                                l.log.entries <= fork->common))) {
        return HM_OK;
    }
    if (err != HM_OK) {
        return err;
    }
    hm_arena_init(&arena, ARENA_BYTES_MAX);
    l.arena = &arena;
    err = leave(&l);
    hm_arena_deinit(&arena);
    if (err == HM_OK) {
        *out_changes = l.count;
    }
    return err;
}
