#include "protocol/change.h"

#include "protocol/guard.h"
#include "protocol/pack.h"

/* The dot that a cell replaces when its change lists none: the change that made the
 * row, or the household. n is 0 for a household that no change made: nothing. */
static struct hm_dot default_replaced(const struct hm_change *change,
                                      const struct hm_row_key *key)
{
    if (hm_item_is_none(&key->item)) {
        return (struct hm_dot){change->household.a, change->household.n};
    }
    return (struct hm_dot){key->item.incarnation, key->item.n};
}

/* A row that this very change made has nothing to replace: then nothing is listed. */
static bool is_default(const struct hm_change *change, const struct hm_dot *dot,
                       const struct hm_row_key *key, const struct hm_cell_write *cell)
{
    struct hm_dot standard = default_replaced(change, key);

    if (standard.n == 0 || hm_dot_compare(&standard, dot) == 0) {
        return cell->replaced_count == 0;
    }
    return cell->replaced_count == 1 &&
           hm_dot_compare(&cell->replaced[0], &standard) == 0;
}

/* n alone for the author's own incarnation, else [incarnation, n]. */
static void encode_dot(struct hm_buf *buf, const struct hm_dot *value, uint64_t own)
{
    if (value->incarnation != own) {
        hm_pack_array(buf, 2);
        hm_pack_uint(buf, value->incarnation);
    }
    hm_pack_uint(buf, value->n);
}

/* 0: none; k: made by this change; [n, k]: own incarnation; [incarnation, n, k]. */
static void encode_item(struct hm_buf *buf, const struct hm_item *item,
                        const struct hm_dot *dot)
{
    bool own = item->incarnation == dot->incarnation;

    if (hm_item_is_none(item)) {
        hm_pack_uint(buf, 0);
        return;
    }
    if (!own || item->n != dot->n) {
        hm_pack_array(buf, own ? 2 : 3);
        if (!own) {
            hm_pack_uint(buf, item->incarnation);
        }
        hm_pack_uint(buf, item->n);
    }
    hm_pack_uint(buf, item->k);
}

static void encode_replaced(struct hm_buf *buf, const struct hm_change *change,
                            const struct hm_dot *dot, const struct hm_row_write *row,
                            size_t listed)
{
    hm_pack_map(buf, listed);
    for (size_t i = 0; i < row->cell_count; i++) {
        const struct hm_cell_write *cell = &row->cells[i];

        if (is_default(change, dot, &row->key, cell)) {
            continue;
        }
        hm_pack_uint(buf, cell->field);
        hm_pack_array(buf, cell->replaced_count);
        for (size_t j = 0; j < cell->replaced_count; j++) {
            HM_ASSERT(j == 0 ||
                      hm_dot_compare(&cell->replaced[j - 1], &cell->replaced[j]) < 0);
            encode_dot(buf, &cell->replaced[j], dot->incarnation);
        }
    }
}

static void fail(struct hm_buf *buf)
{
    if (buf->err == HM_OK) {
        buf->err = HM_TOOBIG;
    }
}

static void encode_row(struct hm_buf *buf, const struct hm_change *change,
                       const struct hm_dot *dot, const struct hm_row_write *row)
{
    size_t listed = 0;

    for (size_t i = 0; i < row->cell_count; i++) {
        HM_ASSERT(i == 0 || row->cells[i - 1].field < row->cells[i].field);
        listed += !is_default(change, dot, &row->key, &row->cells[i]);
    }
    hm_pack_array(buf, listed == 0 ? 5 : 6);
    hm_pack_uint(buf, row->key.form);
    hm_pack_uint(buf, row->key.round);
    hm_pack_uint(buf, row->key.repeat);
    encode_item(buf, &row->key.item, dot);
    hm_pack_map(buf, row->cell_count);
    for (size_t i = 0; i < row->cell_count; i++) {
        hm_pack_uint(buf, row->cells[i].field);
        hm_pack_raw(buf, row->cells[i].value);
        if (hm_guard_depth(row->cells[i].value) > HM_VALUE_DEPTH_MAX) {
            fail(buf);
        }
    }
    if (listed > 0) {
        encode_replaced(buf, change, dot, row, listed);
    }
}

static void encode_rows(struct hm_buf *buf, const struct hm_change *change,
                        const struct hm_dot *dot)
{
    size_t count = 0;

    for (size_t i = 0; i < change->row_count; i++) {
        HM_ASSERT(i == 0 || hm_row_key_compare(&change->rows[i - 1].key,
                                               &change->rows[i].key) < 0);
        count += change->rows[i].cell_count > 0;
    }
    hm_pack_array(buf, count);
    for (size_t i = 0; i < change->row_count; i++) {
        if (change->rows[i].cell_count > 0) {
            encode_row(buf, change, dot, &change->rows[i]);
        }
    }
}

void hm_change_encode(const struct hm_change *change, const struct hm_dot *dot,
                      struct hm_buf *buf)
{
    size_t start = buf->len;

    hm_pack_array(buf, change->reason.len == 0 ? 6 : 7);
    hm_pack_int(buf, change->dt_ms);
    hm_pack_uint(buf, change->user);
    hm_pack_uint(buf, change->rank);
    if (hm_change_creates(change, dot)) {
        hm_pack_nil(buf);
    } else {
        struct hm_dot household = {change->household.a, change->household.n};

        encode_dot(buf, &household, dot->incarnation);
    }
    hm_pack_uint(buf, change->scope);
    encode_rows(buf, change, dot);
    if (change->reason.len > 0) {
        hm_pack_str(buf, change->reason);
    }
    if (change->reason.len > HM_CHANGE_REASON_BYTES_MAX ||
        buf->len - start > HM_CHANGE_BYTES_MAX) {
        fail(buf);
    }
}

struct decoder {
    struct hm_reader r;
    const struct hm_dot *dot;
    struct hm_arena *arena;
    struct hm_change *change;
};

static void *alloc(struct decoder *d, size_t count, size_t size)
{
    void *out = d->r.err == HM_OK ? hm_arena_array(d->arena, count, size) : NULL;

    if (out == NULL && d->r.err == HM_OK) {
        d->r.err = HM_NOMEM;
    }
    return out;
}

static void refuse(struct decoder *d, int err)
{
    if (d->r.err == HM_OK) {
        d->r.err = err;
    }
}

static struct hm_dot decode_dot(struct decoder *d)
{
    struct hm_dot out = {.incarnation = d->dot->incarnation};

    if (hm_unpack_peek(&d->r) == HM_PACK_ARRAY) {
        hm_unpack_array_exact(&d->r, 2);
        out.incarnation = hm_unpack_uint(&d->r);
        if (out.incarnation == d->dot->incarnation) {
            refuse(d, HM_NONCANONICAL);
        }
    }
    out.n = hm_unpack_uint(&d->r);
    return out;
}

static struct hm_item decode_item(struct decoder *d)
{
    struct hm_item out = {d->dot->incarnation, d->dot->n, 0};

    if (hm_unpack_peek(&d->r) == HM_PACK_ARRAY) {
        size_t count = hm_unpack_array(&d->r, 3);

        if (count == 3) {
            out.incarnation = hm_unpack_uint(&d->r);
        } else if (count != 2) {
            refuse(d, HM_MALFORMED);
        }
        out.n = hm_unpack_uint(&d->r);
        out.k = hm_unpack_uint(&d->r);
        if (out.k == 0 || out.n == 0) {
            refuse(d, HM_MALFORMED);
        }
        if (out.incarnation == d->dot->incarnation &&
            (count == 3 || out.n == d->dot->n)) {
            refuse(d, HM_NONCANONICAL);
        }
        return out;
    }
    out.k = hm_unpack_uint(&d->r);
    return out.k == 0 ? (struct hm_item){0} : out;
}

static uint32_t decode_u32(struct decoder *d)
{
    return (uint32_t)hm_unpack_uint_max(&d->r, UINT32_MAX);
}

static void decode_cells(struct decoder *d, struct hm_row_write *row)
{
    struct hm_dot standard = default_replaced(d->change, &row->key);
    bool nothing = standard.n == 0 || hm_dot_compare(&standard, d->dot) == 0;

    row->cell_count = hm_unpack_map(&d->r, HM_CHANGE_BYTES_MAX);
    if (row->cell_count == 0) {
        refuse(d, HM_NONCANONICAL);
    }
    row->cells = alloc(d, row->cell_count, sizeof row->cells[0]);
    for (size_t i = 0; i < row->cell_count && d->r.err == HM_OK; i++) {
        struct hm_cell_write *cell = &row->cells[i];

        cell->field = decode_u32(d);
        cell->value = hm_unpack_raw(&d->r);
        if (hm_guard_depth(cell->value) > HM_VALUE_DEPTH_MAX) {
            refuse(d, HM_TOOBIG);
        }
        if (!nothing) {
            struct hm_dot *replaced = alloc(d, 1, sizeof *replaced);

            if (replaced != NULL) {
                *replaced = standard;
            }
            cell->replaced = replaced;
            cell->replaced_count = 1;
        }
    }
}

static struct hm_cell_write *find_cell(struct hm_row_write *row, uint32_t field)
{
    for (size_t i = 0; i < row->cell_count; i++) {
        if (row->cells[i].field == field) {
            return &row->cells[i];
        }
    }
    return NULL;
}

/* The lists of dots that are not the standard one. */
static void decode_replaced(struct decoder *d, struct hm_row_write *row)
{
    size_t listed = hm_unpack_map(&d->r, row->cell_count);

    if (listed == 0) {
        refuse(d, HM_NONCANONICAL);
    }
    for (size_t i = 0; i < listed && d->r.err == HM_OK; i++) {
        struct hm_cell_write *cell = find_cell(row, decode_u32(d));
        size_t count = hm_unpack_array(&d->r, HM_CHANGE_BYTES_MAX);
        struct hm_dot *dots = alloc(d, count, sizeof *dots);

        if (d->r.err != HM_OK || cell == NULL) {
            refuse(d, HM_MALFORMED);
            return;
        }
        for (size_t j = 0; j < count && d->r.err == HM_OK; j++) {
            dots[j] = decode_dot(d);
            if (dots[j].n == 0) {
                refuse(d, HM_MALFORMED);
            }
            if ((j > 0 && hm_dot_compare(&dots[j - 1], &dots[j]) >= 0) ||
                hm_dot_compare(&dots[j], d->dot) == 0) {
                refuse(d, HM_NONCANONICAL);
            }
        }
        cell->replaced = dots;
        cell->replaced_count = count;
        if (is_default(d->change, d->dot, &row->key, cell)) {
            refuse(d, HM_NONCANONICAL);
        }
    }
}

static void decode_row(struct decoder *d, struct hm_row_write *row)
{
    size_t parts = hm_unpack_array(&d->r, 6);

    if (parts < 5) {
        refuse(d, HM_MALFORMED);
    }
    row->key.form = decode_u32(d);
    row->key.round = decode_u32(d);
    row->key.repeat = decode_u32(d);
    row->key.item = decode_item(d);
    decode_cells(d, row);
    if (parts == 6) {
        decode_replaced(d, row);
    }
}

static void decode_body(struct decoder *d)
{
    struct hm_change *c = d->change;
    size_t parts = hm_unpack_array(&d->r, 7);

    if (parts < 6) {
        refuse(d, HM_MALFORMED);
    }
    c->dt_ms = hm_unpack_int(&d->r);
    c->user = decode_u32(d);
    c->rank = (uint8_t)hm_unpack_uint_max(&d->r, HM_RANK_MAX);
    if (hm_unpack_nil(&d->r)) {
        c->household = (struct hm_household_id){d->dot->incarnation, d->dot->n};
    } else {
        struct hm_dot household = decode_dot(d);

        c->household = (struct hm_household_id){household.incarnation, household.n};
        if (hm_dot_compare(&household, d->dot) == 0) {
            refuse(d, HM_NONCANONICAL);
        }
    }
    c->scope = decode_u32(d);
    c->row_count = hm_unpack_array(&d->r, HM_CHANGE_BYTES_MAX);
    c->rows = alloc(d, c->row_count, sizeof c->rows[0]);
    for (size_t i = 0; i < c->row_count && d->r.err == HM_OK; i++) {
        decode_row(d, &c->rows[i]);
        if (i > 0 && hm_row_key_compare(&c->rows[i - 1].key, &c->rows[i].key) >= 0) {
            refuse(d, HM_NONCANONICAL);
        }
    }
    if (parts == 7) {
        c->reason = hm_unpack_str(&d->r);
        if (c->reason.len == 0) {
            refuse(d, HM_NONCANONICAL);
        } else if (c->reason.len > HM_CHANGE_REASON_BYTES_MAX) {
            refuse(d, HM_TOOBIG);
        }
    }
}

int hm_change_decode(struct hm_bytes bytes, const struct hm_dot *dot,
                     struct hm_arena *arena, struct hm_change *out)
{
    struct hm_change change = {0};
    struct decoder d = {
        .r = {.left = bytes}, .dot = dot, .arena = arena, .change = &change};
    int err;

    if (bytes.len > HM_CHANGE_BYTES_MAX) {
        return HM_TOOBIG;
    }
    err = hm_guard_check(bytes);
    if (err != HM_OK) {
        return err;
    }
    decode_body(&d);
    err = hm_unpack_end(&d.r);
    if (err == HM_OK) {
        *out = change;
    }
    return err;
}
