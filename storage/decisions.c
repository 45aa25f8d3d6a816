#include "storage/decisions.h"

#include "protocol/pack.h"
#include "storage/households.h"
#include "storage/log.h"

enum {
    CELLS_MAX = 4096,
    VALUES_MAX = 64, /* of one cell that are brought back */
    ITEM_PARTS = 3
};

static const uint8_t nil_byte = 0xc0;

/* -- What stood before: [[form, round, repeat, [item], field, [value ..]] ..] ----- */

static void pack_cell(struct hm_buf *buf, const struct hm_row_key *key, uint32_t field,
                      size_t values)
{
    hm_pack_array(buf, 6);
    hm_pack_uint(buf, key->form);
    hm_pack_uint(buf, key->round);
    hm_pack_uint(buf, key->repeat);
    hm_pack_array(buf, ITEM_PARTS);
    hm_pack_uint(buf, key->item.incarnation);
    hm_pack_uint(buf, key->item.n);
    hm_pack_uint(buf, key->item.k);
    hm_pack_uint(buf, field);
    hm_pack_array(buf, values);
}

struct old_cell {
    struct hm_row_key key;
    uint32_t field;
    struct hm_bytes *values; /* different ones */
    size_t value_count;
};

static bool has_value(const struct old_cell *cell, struct hm_bytes value)
{
    for (size_t i = 0; i < cell->value_count; i++) {
        if (hm_bytes_equal(cell->values[i], value)) {
            return true;
        }
    }
    return false;
}

static int read_cell(struct hm_reader *r, struct hm_arena *arena, struct old_cell *out)
{
    size_t values;

    hm_unpack_array_exact(r, 6);
    out->key.form = (uint32_t)hm_unpack_uint_max(r, UINT32_MAX);
    out->key.round = (uint32_t)hm_unpack_uint_max(r, UINT32_MAX);
    out->key.repeat = (uint32_t)hm_unpack_uint_max(r, UINT32_MAX);
    hm_unpack_array_exact(r, ITEM_PARTS);
    out->key.item.incarnation = hm_unpack_uint(r);
    out->key.item.n = hm_unpack_uint(r);
    out->key.item.k = hm_unpack_uint(r);
    out->field = (uint32_t)hm_unpack_uint_max(r, UINT32_MAX);
    values = hm_unpack_array(r, r->left.len);
    out->values = hm_arena_array(arena, VALUES_MAX, sizeof out->values[0]);
    if (out->values == NULL) {
        return HM_NOMEM;
    }
    for (; values > 0 && r->err == HM_OK; values--) {
        struct hm_bytes value = hm_unpack_raw(r);

        if (out->value_count < VALUES_MAX && !has_value(out, value)) {
            out->values[out->value_count++] = value;
        }
    }
    return r->err == HM_OK ? HM_OK : HM_CORRUPT;
}

static int read_cells(struct hm_bytes before, struct hm_arena *arena,
                      struct old_cell **out_cells, size_t *out_count)
{
    struct hm_reader r = {.left = before};
    size_t count = hm_unpack_array(&r, CELLS_MAX);
    struct old_cell *cells = hm_arena_array(arena, count, sizeof *cells);
    int err = cells == NULL ? HM_NOMEM : HM_OK;

    for (size_t i = 0; i < count && err == HM_OK; i++) {
        err = read_cell(&r, arena, &cells[i]);
    }
    *out_cells = cells;
    *out_count = count;
    return err;
}

/* What stands in the cells that a save is going to write. */
static int encode_standing(const struct hm_save *save, const struct hm_household *h,
                           struct hm_buf *buf)
{
    size_t cells = 0;

    for (size_t i = 0; i < save->row_count; i++) {
        cells += save->rows[i].cell_count;
    }
    hm_pack_array(buf, cells);
    for (size_t i = 0; i < save->row_count; i++) {
        const struct hm_save_row *row = &save->rows[i];
        struct hm_row_key key = {row->form, row->round, row->repeat, row->item};

        for (size_t j = 0; j < row->cell_count; j++) {
            const struct hm_cell *cell =
                hm_row_cell(hm_household_row(h, &key), row->cells[j].field);
            size_t siblings = cell == NULL ? 0 : cell->sibling_count;

            pack_cell(buf, &key, row->cells[j].field, siblings);
            for (size_t k = 0; k < siblings; k++) {
                hm_pack_raw(buf, cell->siblings[k].value);
            }
        }
    }
    return buf->err;
}

static int put(struct hm_store *s, const struct hm_decision *decision)
{
    struct hm_stmt *stmt;
    int err =
        hm_db_stmt(hm_store_db(s),
                   "INSERT INTO decision (incarnation, n, id, a, household_n, "
                   "utc_ms, undone, stood) VALUES ($1, $2, $3, $4, $5, $6, 0, $7)",
                   &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, decision->dot.incarnation);
    hm_stmt_bind_u64(stmt, 2, decision->dot.n);
    hm_stmt_bind_u64(stmt, 3, decision->id);
    hm_stmt_bind_u64(stmt, 4, decision->household.a);
    hm_stmt_bind_u64(stmt, 5, decision->household.n);
    hm_stmt_bind_int(stmt, 6, hm_store_utc_ms(s));
    hm_stmt_bind_bytes(stmt, 7, decision->before);
    return hm_stmt_run(stmt);
}

int hm_decisions_save(struct hm_store *s, const struct hm_save *save, uint64_t id,
                      const struct hm_household *before, hm_policy_of_fn policy_of,
                      void *policy_arg, struct hm_arena *arena,
                      struct hm_save_result *out)
{
    struct hm_buf buf;
    int err;

    hm_buf_init(&buf, HM_HOUSEHOLD_BYTES_MAX);
    err = encode_standing(save, before, &buf);
    if (err == HM_OK) {
        err = hm_save_run(s, save, policy_of, policy_arg, arena, out);
    }
    if (err == HM_OK && out->changed) {
        struct hm_decision decision = {.dot = out->dot,
                                       .household = out->household,
                                       .id = id,
                                       .before = hm_buf_bytes(&buf)};

        err = put(s, &decision);
    }
    hm_buf_deinit(&buf);
    return err;
}

/* -- Finding ---------------------------------------------------------------------- */

static int get_kept(struct hm_store *s, const struct hm_dot *dot,
                    struct hm_arena *arena, struct hm_decision *out)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err = hm_db_stmt(hm_store_db(s),
                         "SELECT id, a, household_n, undone, stood FROM decision "
                         "WHERE incarnation = $1 AND n = $2",
                         &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, dot->incarnation);
    hm_stmt_bind_u64(stmt, 2, dot->n);
    err = hm_stmt_step(stmt, &row);
    if (err == HM_OK && !row) {
        err = HM_NOTFOUND;
    }
    if (err == HM_OK) {
        *out = (struct hm_decision){
            .dot = *dot,
            .id = hm_stmt_u64(stmt, 0),
            .household = {hm_stmt_u64(stmt, 1), hm_stmt_u64(stmt, 2)},
            .undone = hm_stmt_int(stmt, 3) != 0};
        err = hm_arena_copy(arena, hm_stmt_bytes(stmt, 4), &out->before);
    }
    hm_stmt_reset(stmt);
    return err;
}

static int load_change(struct hm_store *s, const struct hm_dot *dot,
                       struct hm_arena *arena, struct hm_change *out)
{
    struct hm_bytes bytes = {0};
    int verdict = HM_OK;
    int err = hm_log_entry(s, dot->incarnation, dot->n, arena, &bytes, &verdict);

    if (err == HM_OK && (verdict != HM_OK || dot->n == 0)) {
        err = HM_NOTFOUND; /* it never entered the state */
    }
    return err == HM_OK ? hm_change_decode(bytes, dot, arena, out) : err;
}

static int pack_old_value(struct hm_store *s, const struct hm_dot *dot,
                          const struct hm_row_key *key, uint32_t field,
                          struct hm_arena *arena, struct hm_buf *buf)
{
    struct hm_change change;
    int err = load_change(s, dot, arena, &change);

    for (size_t i = 0; err == HM_OK && i < change.row_count; i++) {
        const struct hm_row_write *row = &change.rows[i];

        for (size_t j = 0;
             hm_row_key_compare(&row->key, key) == 0 && j < row->cell_count; j++) {
            if (row->cells[j].field == field) {
                hm_pack_raw(buf, row->cells[j].value);
                return buf->err;
            }
        }
    }
    return err == HM_OK ? HM_NOTFOUND : err;
}

static int pack_change(struct hm_store *s, const struct hm_change *change,
                       struct hm_arena *arena, struct hm_buf *buf)
{
    size_t cells = 0;
    int err = HM_OK;

    for (size_t i = 0; i < change->row_count; i++) {
        cells += change->rows[i].cell_count;
    }
    hm_pack_array(buf, cells);
    for (size_t i = 0; i < change->row_count; i++) {
        const struct hm_row_write *row = &change->rows[i];

        for (size_t j = 0; j < row->cell_count && err == HM_OK; j++) {
            const struct hm_cell_write *write = &row->cells[j];

            pack_cell(buf, &row->key, write->field, write->replaced_count);
            for (size_t k = 0; k < write->replaced_count && err == HM_OK; k++) {
                err = pack_old_value(s, &write->replaced[k], &row->key, write->field,
                                     arena, buf);
            }
        }
    }
    return err == HM_OK ? buf->err : err;
}

static int get_logged(struct hm_store *s, const struct hm_dot *dot,
                      struct hm_arena *arena, struct hm_decision *out)
{
    struct hm_change change;
    struct hm_buf buf;
    int err = load_change(s, dot, arena, &change);

    hm_buf_init(&buf, HM_HOUSEHOLD_BYTES_MAX);
    if (err == HM_OK) {
        err = pack_change(s, &change, arena, &buf);
    }
    if (err == HM_OK) {
        *out = (struct hm_decision){.dot = *dot, .household = change.household};
        err = hm_arena_copy(arena, hm_buf_bytes(&buf), &out->before);
    }
    hm_buf_deinit(&buf);
    return err;
}

int hm_decisions_get(struct hm_store *s, const struct hm_dot *dot,
                     struct hm_arena *arena, struct hm_decision *out)
{
    int err = get_kept(s, dot, arena, out);

    if (err == HM_NOTFOUND) {
        err = get_logged(s, dot, arena, out);
    }
    return err == HM_NOTFOUND
               ? hm_store_fail(s, err,
                               "this node does not know what stood before that change; "
                               "undo it where it was made, or at the centre")
               : err;
}

int hm_decisions_of(struct hm_store *s, uint64_t id, const struct hm_dot *after,
                    struct hm_dot *out, size_t max, size_t *out_count)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err =
        hm_db_stmt(hm_store_db(s),
                   "SELECT incarnation, n FROM decision WHERE id = $1 AND "
                   "($3 = 0 OR incarnation > $2 OR (incarnation = $2 AND n > $3)) "
                   "ORDER BY incarnation, n LIMIT $4",
                   &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, id);
    hm_stmt_bind_u64(stmt, 2, after->incarnation);
    hm_stmt_bind_u64(stmt, 3, after->n);
    hm_stmt_bind_u64(stmt, 4, max);
    *out_count = 0;
    while ((err = hm_stmt_step(stmt, &row)) == HM_OK && row) {
        out[(*out_count)++] =
            (struct hm_dot){hm_stmt_u64(stmt, 0), hm_stmt_u64(stmt, 1)};
    }
    hm_stmt_reset(stmt);
    return err;
}

/* -- Undo ------------------------------------------------------------------------- */

struct undoing {
    struct hm_store *s;
    const struct hm_decision *decision;
    const struct hm_save *signer;
    hm_policy_of_fn policy_of;
    void *policy_arg;
    struct hm_arena *arena;
    struct old_cell *cells;
    size_t cell_count;
    struct hm_undo out;
};

static bool lives(const struct hm_household *h, const struct old_cell *old,
                  const struct hm_dot *dot)
{
    const struct hm_cell *cell =
        hm_row_cell(hm_household_row(h, &old->key), old->field);

    for (size_t i = 0; cell != NULL && i < cell->sibling_count; i++) {
        if (hm_dot_compare(&cell->siblings[i].dot, dot) == 0) {
            return true;
        }
    }
    return false;
}

/* Cells in which the decision does not stand any more are left alone. */
static void skip_rewritten(struct undoing *u, const struct hm_household *h)
{
    size_t kept = 0;

    for (size_t i = 0; i < u->cell_count; i++) {
        if (lives(h, &u->cells[i], &u->decision->dot)) {
            u->cells[kept++] = u->cells[i];
        } else {
            u->out.skipped++;
        }
    }
    u->cell_count = kept;
    u->out.cells = kept;
}

static int add_cell(struct undoing *u, struct hm_save *save, const struct old_cell *old,
                    struct hm_save_cell cell)
{
    const struct hm_row_key *key = &old->key;
    struct hm_save_row *row = NULL;

    for (size_t i = 0; i < save->row_count && row == NULL; i++) {
        struct hm_save_row *next = &save->rows[i];
        struct hm_row_key other = {next->form, next->round, next->repeat, next->item};

        row = hm_row_key_compare(&other, key) == 0 ? next : NULL;
    }
    if (row == NULL) {
        row = &save->rows[save->row_count++];
        *row = (struct hm_save_row){.form = key->form,
                                    .round = key->round,
                                    .repeat = key->repeat,
                                    .item = key->item};
        row->cells = hm_arena_array(u->arena, u->cell_count, sizeof row->cells[0]);
        if (row->cells == NULL) {
            return HM_NOMEM;
        }
    }
    row->cells[row->cell_count++] = cell;
    return HM_OK;
}

/* The k-th of the values that each cell had. The first one replaces the decision; the
 * others stand beside it, as they did. */
static int write_round(struct undoing *u, size_t k)
{
    static const struct hm_dot none;
    struct hm_save save = *u->signer;
    struct hm_save_result result = {.changed = false};
    int err = HM_OK;

    save.creates = false;
    save.household = u->decision->household;
    save.restores = true;
    save.row_count = 0;
    save.rows = hm_arena_array(u->arena, u->cell_count, sizeof save.rows[0]);
    if (save.rows == NULL) {
        return HM_NOMEM;
    }
    for (size_t i = 0; i < u->cell_count && err == HM_OK; i++) {
        const struct old_cell *old = &u->cells[i];
        struct hm_save_cell cell = {
            .field = old->field,
            .value = k < old->value_count ? old->values[k] : hm_bytes_of(&nil_byte, 1),
            .decided = k == 0 ? &u->decision->dot : &none,
            .decided_count = k == 0 ? 1 : 0};

        if (k == 0 || k < old->value_count) {
            err = add_cell(u, &save, old, cell);
        }
    }
    if (err == HM_OK && save.row_count > 0) {
        err = hm_save_run(u->s, &save, u->policy_of, u->policy_arg, u->arena, &result);
    }
    if (err == HM_OK && result.changed) {
        u->out.changes++;
        u->out.dot = result.dot;
    }
    return err;
}

static int mark_undone(struct hm_store *s, const struct hm_dot *dot)
{
    struct hm_stmt *stmt;
    int err = hm_db_stmt(hm_store_db(s),
                         "UPDATE decision SET undone = 1 "
                         "WHERE incarnation = $1 AND n = $2",
                         &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, dot->incarnation);
    hm_stmt_bind_u64(stmt, 2, dot->n);
    return hm_stmt_run(stmt);
}

int hm_decisions_undo(struct hm_store *s, const struct hm_decision *decision,
                      const struct hm_save *signer, hm_policy_of_fn policy_of,
                      void *policy_arg, struct hm_arena *arena, struct hm_undo *out)
{
    struct undoing u = {.s = s,
                        .decision = decision,
                        .signer = signer,
                        .policy_of = policy_of,
                        .policy_arg = policy_arg,
                        .arena = arena};
    struct hm_household h;
    size_t rounds = 1;
    int err;

    if (decision->undone) {
        *out = (struct hm_undo){.already = true};
        return HM_OK;
    }
    err = hm_households_load(s, &decision->household, arena, &h);
    if (err == HM_OK) {
        err = read_cells(decision->before, arena, &u.cells, &u.cell_count);
    }
    if (err == HM_OK) {
        skip_rewritten(&u, &h);
    }
    for (size_t i = 0; i < u.cell_count; i++) {
        rounds = u.cells[i].value_count > rounds ? u.cells[i].value_count : rounds;
    }
    for (size_t k = 0; k < rounds && u.cell_count > 0 && err == HM_OK; k++) {
        err = write_round(&u, k);
    }
    if (err == HM_OK) {
        err = mark_undone(s, &decision->dot);
    }
    if (err == HM_OK) {
        *out = u.out;
    }
    return err;
}
