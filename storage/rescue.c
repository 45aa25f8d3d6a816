#include "storage/rescue.h"

#include <stdlib.h>

#include "protocol/message.h"
#include "storage/claims.h"
#include "storage/closed.h"
#include "storage/households.h"
#include "storage/log.h"
#include "storage/upstreams.h"

enum { IDS_BYTES_MAX = 64 * 1024 * 1024 };

/* One closed log of which own has seen more than will ever come. */
struct excess {
    uint64_t incarnation;
    uint64_t limit; /* what the parent has seen of it, and what the centre holds */
};

struct work {
    struct hm_rescue *r;
    struct hm_household *own;
    struct hm_household *theirs;
    struct excess *excess;
    size_t excess_count;
    bool others; /* own has also seen more of logs that are not closed */
};

/* Is the last change that was seen of an author in a log of this node, which goes up
 * whole: its own, or one that a hub forwards? */
static int is_sent(struct hm_store *s, const struct hm_vv_entry *seen, bool *out_sent,
                   bool *out_own)
{
    struct hm_log log = {.own = false};
    int err = hm_log_get(s, seen->author.incarnation, &log);

    *out_own = err == HM_OK && log.own;
    *out_sent = err == HM_OK && (log.own || log.entries > seen->n);
    return err == HM_NOTFOUND ? HM_OK : err;
}

static uint64_t seen_by(const struct hm_household *h, uint64_t incarnation)
{
    return h == NULL ? 0 : hm_household_seen(h, incarnation);
}

static int look_at(struct work *w, const struct hm_vv_entry *seen)
{
    uint64_t theirs = seen_by(w->theirs, seen->author.incarnation);
    uint64_t entries = 0;
    bool closed = false;
    bool sent = false;
    bool own = false;
    int err;

    if (seen->n <= theirs) {
        return HM_OK;
    }
    err = is_sent(w->r->s, seen, &sent, &own);
    if (err == HM_OK && !sent) {
        err = hm_closed_get(w->r->s, seen->author.incarnation, &closed, &entries);
    }
    if (err != HM_OK || own) {
        return err;
    }
    if (closed && seen->n >= entries) {
        uint64_t held = entries == 0 ? 0 : entries - 1;

        w->excess[w->excess_count++] =
            (struct excess){seen->author.incarnation, held > theirs ? held : theirs};
    } else {
        w->others = true;
    }
    return HM_OK;
}

static bool is_lost(const struct work *w, const struct hm_dot *dot)
{
    for (size_t i = 0; i < w->excess_count; i++) {
        if (w->excess[i].incarnation == dot->incarnation) {
            return dot->n > w->excess[i].limit;
        }
    }
    return false;
}

/* Somebody whose change has reached the parent has replaced it: it is not missed. */
static bool is_replaced_there(const struct work *w, const struct hm_row *row,
                              const struct hm_cell *cell, const struct hm_dot *dot)
{
    const struct hm_cell *there =
        w->theirs == NULL
            ? NULL
            : hm_row_cell(hm_household_row(w->theirs, &row->key), cell->field);

    for (size_t i = 0; there != NULL && i < there->rm_count; i++) {
        if (hm_dot_compare(&there->rm[i], dot) == 0) {
            return true;
        }
    }
    return false;
}

/* The rows of a change that writes one lost dot's values again. replaced: that dot. */
static int collect(const struct work *w, const struct hm_dot *replaced,
                   struct hm_change *change)
{
    const struct hm_household *own = w->own;

    change->rows = hm_arena_array(own->arena, own->row_count, sizeof change->rows[0]);
    if (change->rows == NULL) {
        return HM_NOMEM;
    }
    for (size_t i = 0; i < own->row_count; i++) {
        const struct hm_row *row = &own->rows[i];
        struct hm_row_write *out = &change->rows[change->row_count];

        *out = (struct hm_row_write){.key = row->key};
        out->cells = hm_arena_array(own->arena, row->cell_count, sizeof out->cells[0]);
        if (out->cells == NULL) {
            return HM_NOMEM;
        }
        for (size_t j = 0; j < row->cell_count; j++) {
            const struct hm_cell *cell = &row->cells[j];

            for (size_t k = 0; k < cell->sibling_count; k++) {
                if (hm_dot_compare(&cell->siblings[k].dot, replaced) == 0 &&
                    !is_replaced_there(w, row, cell, replaced)) {
                    out->cells[out->cell_count++] =
                        (struct hm_cell_write){.field = cell->field,
                                               .value = cell->siblings[k].value,
                                               .replaced = replaced,
                                               .replaced_count = 1};
                }
            }
        }
        change->row_count += out->cell_count > 0;
    }
    return HM_OK;
}

static int append(struct work *w, const struct hm_change *change,
                  const struct hm_dot *dot)
{
    struct hm_buf buf;
    int err;

    hm_buf_init(&buf, 4 * HM_CHANGE_BYTES_MAX);
    hm_change_encode(change, dot, &buf);
    err = buf.err;
    if (err == HM_OK) {
        err = hm_log_append_own(w->r->s, dot, hm_buf_bytes(&buf), &w->own->id,
                                w->own->home);
    }
    hm_buf_deinit(&buf);
    return err;
}

/* A change that was as large as one may be is written in parts: the lists of replaced
 * dots take room. */
static int write_again(struct work *w, const struct hm_stamp *stamp,
                       const struct hm_change *whole)
{
    struct hm_change change = *whole;
    struct hm_author author;
    struct hm_dot dot;
    int err = hm_log_next_own(w->r->s, &dot, &author);

    if (err != HM_OK) {
        return err;
    }
    change.dt_ms = stamp->wall_ms - author.base_wall_ms;
    err = append(w, &change, &dot);
    if (err == HM_TOOBIG && whole->row_count > 1) {
        size_t half = whole->row_count / 2;

        change.row_count = half;
        err = write_again(w, stamp, &change);
        change.rows = whole->rows + half;
        change.row_count = whole->row_count - half;
        return err == HM_OK ? write_again(w, stamp, &change) : err;
    }
    w->r->changes += err == HM_OK;
    return err;
}

static int rescue_stamp(struct work *w, const struct hm_stamp *stamp)
{
    struct hm_change change = {.user = stamp->user,
                               .rank = stamp->rank,
                               .household = w->own->id,
                               .scope = w->own->home,
                               .reason = hm_bytes_str(HM_RESCUE_REASON)};
    int err = collect(w, &stamp->dot, &change);

    return err == HM_OK && change.row_count > 0 ? write_again(w, stamp, &change) : err;
}

/* -- The state that is left -- */

static void drop_lost_values(struct work *w)
{
    struct hm_household *own = w->own;
    size_t rows = 0;
    size_t stamps = 0;

    for (size_t i = 0; i < own->row_count; i++) {
        struct hm_row *row = &own->rows[i];
        size_t cells = 0;

        for (size_t j = 0; j < row->cell_count; j++) {
            struct hm_cell *cell = &row->cells[j];
            size_t kept = 0;

            for (size_t k = 0; k < cell->sibling_count; k++) {
                if (!is_lost(w, &cell->siblings[k].dot)) {
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
            own->rows[rows++] = *row;
        }
    }
    own->row_count = rows;
    for (size_t i = 0; i < own->stamp_count; i++) {
        if (!is_lost(w, &own->stamps[i].dot)) {
            own->stamps[stamps++] = own->stamps[i];
        }
    }
    own->stamp_count = stamps;
}

static void lower_vector(struct work *w)
{
    struct hm_household *own = w->own;
    struct hm_dot creating = {own->id.a, own->id.n};
    size_t kept = 0;

    for (size_t i = 0; i < own->vv_count; i++) {
        struct hm_vv_entry entry = own->vv[i];

        for (size_t j = 0; j < w->excess_count; j++) {
            if (w->excess[j].incarnation == entry.author.incarnation &&
                entry.n > w->excess[j].limit) {
                entry.n = seen_by(w->theirs, entry.author.incarnation);
            }
        }
        if (entry.n > 0) {
            own->vv[kept++] = entry;
        }
    }
    own->vv_count = kept;
    if (is_lost(w, &creating)) {
        own->home_known = w->theirs != NULL && w->theirs->home_known;
    }
}

/* Own entries that the parent has not receipted, on top of a state that lacks them. */
static int replay(struct work *w, struct hm_household *h, uint32_t home)
{
    struct hm_dot *dots = NULL;
    size_t count = 0;
    int err = hm_log_history(w->r->s, home, &h->id, h->arena, &dots, &count);

    for (size_t i = 0; i < count && err == HM_OK; i++) {
        struct hm_log log = {.own = false};
        struct hm_bytes bytes = {0};
        struct hm_change change;
        uint64_t receipted = 0;
        unsigned level = 0;
        bool applied = false;
        int verdict = HM_OK;

        err = hm_log_get(w->r->s, dots[i].incarnation, &log);
        if (err == HM_NOTFOUND || (err == HM_OK && !log.own)) {
            err = HM_OK;
            continue;
        }
        if (err == HM_OK) {
            err = hm_log_receipt(w->r->s, w->r->parent, dots[i].incarnation, &receipted,
                                 &level);
        }
        if (err != HM_OK || dots[i].n < receipted) {
            continue;
        }
        err = hm_log_entry(w->r->s, dots[i].incarnation, dots[i].n, h->arena, &bytes,
                           &verdict);
        if (err == HM_OK) {
            err = hm_change_decode(bytes, &dots[i], h->arena, &change);
        }
        if (err == HM_OK) {
            err = hm_household_apply(h, &change, &dots[i], &log.author, &applied);
        }
    }
    return err;
}

static int rescue(struct work *w)
{
    uint32_t home = w->own->home;
    struct hm_household *left = w->own;
    int err = HM_OK;

    for (size_t i = 0; i < w->own->stamp_count && err == HM_OK; i++) {
        if (is_lost(w, &w->own->stamps[i].dot)) {
            err = rescue_stamp(w, &w->own->stamps[i]);
        }
    }
    if (err != HM_OK) {
        return err;
    }
    if (w->theirs != NULL && !w->others) {
        left = w->theirs;
    } else {
        drop_lost_values(w);
        lower_vector(w);
    }
    err = replay(w, left, home);
    return err == HM_OK
               ? hm_households_store(w->r->s, left, hm_forms_policy_of, w->r->forms)
               : err;
}

int hm_rescue_household(struct hm_rescue *r, struct hm_household *own,
                        struct hm_household *theirs, bool *out_done)
{
    struct work w = {.r = r, .own = own, .theirs = theirs};
    bool any = false;
    int err = hm_closed_any(r->s, &any);

    *out_done = false;
    if (err != HM_OK || !any) {
        return err;
    }
    w.excess = hm_arena_array(own->arena, own->vv_count, sizeof w.excess[0]);
    if (w.excess == NULL) {
        return HM_NOMEM;
    }
    for (size_t i = 0; i < own->vv_count && err == HM_OK; i++) {
        err = look_at(&w, &own->vv[i]);
    }
    if (err != HM_OK || w.excess_count == 0) {
        return err;
    }
    *out_done = true;
    return rescue(&w);
}

/* Others' changes were heard of from this parent alone: it has had them. */
static int has_one_parent(struct hm_store *s, struct hm_arena *arena, bool *out_one)
{
    struct hm_upstream_known *known = NULL;
    size_t count = 0;
    int err = hm_upstreams_list(s, arena, &known, &count);

    *out_one = count <= 1;
    return err;
}

int hm_rescue_note(struct hm_store *s, const struct hm_household *own,
                   const struct hm_household *theirs)
{
    bool one = false;
    int err = has_one_parent(s, own->arena, &one);

    if (!one) {
        return err;
    }
    for (size_t i = 0; i < own->vv_count && err == HM_OK; i++) {
        const struct hm_vv_entry *entry = &own->vv[i];
        struct hm_lost_log lost = {.incarnation = entry->author.incarnation,
                                   .device = entry->author.device,
                                   .entries = entry->n + 1};
        bool sent = false;
        bool is_own;

        if (entry->n <= seen_by(theirs, lost.incarnation)) {
            continue;
        }
        err = is_sent(s, entry, &sent, &is_own);
        if (err == HM_OK && !sent) {
            err = hm_claims_learn(s, &lost);
        }
    }
    return err;
}

/* -- What the parent lacks wholly -- */

struct finding {
    struct hm_bytes prefixes;
    struct hm_household_id *ids;
    size_t count;
    size_t room;
    struct hm_arena *arena;
};

static int compare_prefixes(const void *a, const void *b)
{
    return memcmp(a, b, HM_HASH_PREFIX_BYTES);
}

static int find(void *arg, const struct hm_household_row *row)
{
    struct finding *f = arg;

    if (bsearch(row->hash.data, f->prefixes.data,
                f->prefixes.len / HM_HASH_PREFIX_BYTES, HM_HASH_PREFIX_BYTES,
                compare_prefixes) == NULL) {
        return HM_OK;
    }
    if (f->count == f->room) {
        f->room = 2 * f->room + 16;
        f->ids = hm_arena_grow(f->arena, f->ids, f->count, f->room, sizeof f->ids[0]);
        if (f->ids == NULL) {
            return HM_NOMEM;
        }
    }
    f->ids[f->count++] = row->id;
    return HM_OK;
}

static int rescue_id(struct hm_rescue *r, const struct hm_household_id *id)
{
    struct hm_household own;
    struct hm_arena arena;
    bool done = false;
    int err;

    hm_arena_init(&arena, HM_HOUSEHOLD_ARENA_BYTES_MAX);
    err = hm_households_load(r->s, id, &arena, &own);
    if (err == HM_OK) {
        err = hm_rescue_note(r->s, &own, NULL);
    }
    if (err == HM_OK) {
        err = hm_rescue_household(r, &own, NULL, &done);
    }
    hm_arena_deinit(&arena);
    return err;
}

int hm_rescue_lacking(struct hm_rescue *r, uint32_t scope, struct hm_bytes prefixes)
{
    struct finding f = {.prefixes = prefixes};
    struct hm_arena arena;
    int err = HM_OK;

    if (prefixes.len == 0) {
        return HM_OK;
    }
    hm_arena_init(&arena, IDS_BYTES_MAX);
    f.arena = &arena;
    err = hm_households_each(r->s, scope, 0, find, &f);
    for (size_t i = 0; i < f.count && err == HM_OK; i++) {
        err = rescue_id(r, &f.ids[i]);
    }
    hm_arena_deinit(&arena);
    return err;
}
