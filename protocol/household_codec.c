/* Canonical bytes of a household's state:
 *
 *   [version, a, n, home, home_known,
 *    [[incarnation, device, clock class, clock offset, n] ..]      the vector
 *    [[vector index, n, user, rank, wall_ms] ..]                   the stamps
 *    [[form, round, repeat, item, {field: cell}] ..]]              the rows
 *
 * item: 0 or [incarnation, n, k]. cell: [stamp index, value, stamp index, value ..]
 * and, when there are any, the replaced dots at its end: [[incarnation, n] ..]. */
#include "protocol/guard.h"
#include "protocol/household.h"
#include "protocol/pack.h"

enum { STATE_VERSION = 1, STATE_PARTS = 8 };

static size_t vv_place(const struct hm_household *h, uint64_t incarnation)
{
    size_t i = 0;

    while (i < h->vv_count && h->vv[i].author.incarnation != incarnation) {
        i++;
    }
    HM_ASSERT(i < h->vv_count); /* a live dot has been applied */
    return i;
}

static void encode_vv(const struct hm_household *h, struct hm_buf *buf)
{
    hm_pack_array(buf, h->vv_count);
    for (size_t i = 0; i < h->vv_count; i++) {
        const struct hm_author *author = &h->vv[i].author;

        hm_pack_array(buf, 5);
        hm_pack_uint(buf, author->incarnation);
        hm_pack_uint(buf, author->device);
        hm_pack_uint(buf, author->clock_class);
        hm_pack_int(buf, author->clock_offset_ms);
        hm_pack_uint(buf, h->vv[i].n);
    }
}

static void encode_stamps(const struct hm_household *h, struct hm_buf *buf)
{
    hm_pack_array(buf, h->stamp_count);
    for (size_t i = 0; i < h->stamp_count; i++) {
        const struct hm_stamp *stamp = &h->stamps[i];

        hm_pack_array(buf, 5);
        hm_pack_uint(buf, vv_place(h, stamp->dot.incarnation));
        hm_pack_uint(buf, stamp->dot.n);
        hm_pack_uint(buf, stamp->user);
        hm_pack_uint(buf, stamp->rank);
        hm_pack_int(buf, stamp->wall_ms);
    }
}

static void encode_cell(const struct hm_household *h, const struct hm_cell *cell,
                        struct hm_buf *buf)
{
    hm_pack_array(buf, 2 * cell->sibling_count + (cell->rm_count > 0));
    for (size_t i = 0; i < cell->sibling_count; i++) {
        const struct hm_stamp *stamp = hm_household_stamp(h, &cell->siblings[i].dot);

        HM_ASSERT(stamp != NULL); /* every live sibling has one */
        hm_pack_uint(buf, (uint64_t)(stamp - h->stamps));
        hm_pack_raw(buf, cell->siblings[i].value);
    }
    if (cell->rm_count > 0) {
        hm_pack_array(buf, cell->rm_count);
        for (size_t i = 0; i < cell->rm_count; i++) {
            hm_pack_array(buf, 2);
            hm_pack_uint(buf, cell->rm[i].incarnation);
            hm_pack_uint(buf, cell->rm[i].n);
        }
    }
}

static void encode_row(const struct hm_household *h, const struct hm_row *row,
                       struct hm_buf *buf)
{
    hm_pack_array(buf, 5);
    hm_pack_uint(buf, row->key.form);
    hm_pack_uint(buf, row->key.round);
    hm_pack_uint(buf, row->key.repeat);
    if (hm_item_is_none(&row->key.item)) {
        hm_pack_uint(buf, 0);
    } else {
        hm_pack_array(buf, 3);
        hm_pack_uint(buf, row->key.item.incarnation);
        hm_pack_uint(buf, row->key.item.n);
        hm_pack_uint(buf, row->key.item.k);
    }
    hm_pack_map(buf, row->cell_count);
    for (size_t i = 0; i < row->cell_count; i++) {
        hm_pack_uint(buf, row->cells[i].field);
        encode_cell(h, &row->cells[i], buf);
    }
}

void hm_household_encode(const struct hm_household *h, struct hm_buf *buf)
{
    size_t start = buf->len;

    hm_pack_array(buf, STATE_PARTS);
    hm_pack_uint(buf, STATE_VERSION);
    hm_pack_uint(buf, h->id.a);
    hm_pack_uint(buf, h->id.n);
    hm_pack_uint(buf, h->home);
    hm_pack_bool(buf, h->home_known);
    encode_vv(h, buf);
    encode_stamps(h, buf);
    hm_pack_array(buf, h->row_count);
    for (size_t i = 0; i < h->row_count; i++) {
        encode_row(h, &h->rows[i], buf);
    }
    if (buf->err == HM_OK && buf->len - start > HM_HOUSEHOLD_BYTES_MAX) {
        buf->err = HM_TOOBIG;
    }
}

struct hm_hash hm_household_hash(struct hm_bytes encoded)
{
    return hm_hash_of(encoded, hm_bytes_of(NULL, 0));
}

struct decoder {
    struct hm_reader r;
    struct hm_household *h;
    bool *stamp_used; /* one flag a stamp: some sibling refers to it */
};

static void *alloc(struct decoder *d, size_t count, size_t size)
{
    void *out = d->r.err == HM_OK ? hm_arena_growable(d->h->arena, count, size) : NULL;

    if (out == NULL && d->r.err == HM_OK) {
        d->r.err = HM_NOMEM;
    }
    return out;
}

static void refuse_if(struct decoder *d, bool wrong, int err)
{
    if (wrong && d->r.err == HM_OK) {
        d->r.err = err;
    }
}

static uint32_t decode_u32(struct decoder *d)
{
    return (uint32_t)hm_unpack_uint_max(&d->r, UINT32_MAX);
}

/* The least bytes that an element takes. */
enum { VV_BYTES = 6, STAMP_BYTES = 6, ROW_BYTES = 6, CELL_BYTES = 2, RM_BYTES = 3 };

/* No more elements than the bytes left can hold, so that an announced count alone
 * takes no memory. */
static size_t fitting(struct decoder *d, size_t count, size_t least)
{
    if (count > d->r.left.len / least) {
        refuse_if(d, true, HM_TRUNCATED);
        return 0;
    }
    return count;
}

static size_t decode_count(struct decoder *d, size_t least)
{
    return fitting(d, hm_unpack_array(&d->r, SIZE_MAX), least);
}

static void decode_vv(struct decoder *d)
{
    struct hm_household *h = d->h;

    h->vv_count = decode_count(d, VV_BYTES);
    h->vv = alloc(d, h->vv_count, sizeof h->vv[0]);
    for (size_t i = 0; i < h->vv_count && d->r.err == HM_OK; i++) {
        struct hm_vv_entry *entry = &h->vv[i];

        hm_unpack_array_exact(&d->r, 5);
        entry->author.incarnation = hm_unpack_uint(&d->r);
        entry->author.device = hm_unpack_uint(&d->r);
        entry->author.clock_class =
            (enum hm_clock_class)hm_unpack_uint_max(&d->r, HM_CLOCK_CHECKED);
        entry->author.clock_offset_ms = hm_unpack_int(&d->r);
        entry->n = hm_unpack_uint(&d->r);
        refuse_if(d, entry->n == 0, HM_MALFORMED);
        refuse_if(d,
                  i > 0 && h->vv[i - 1].author.incarnation >= entry->author.incarnation,
                  HM_NONCANONICAL);
    }
}

static void decode_stamps(struct decoder *d)
{
    struct hm_household *h = d->h;

    h->stamp_count = decode_count(d, STAMP_BYTES);
    h->stamps = alloc(d, h->stamp_count, sizeof h->stamps[0]);
    d->stamp_used = alloc(d, h->stamp_count, sizeof d->stamp_used[0]);
    for (size_t i = 0; i < h->stamp_count && d->r.err == HM_OK; i++) {
        struct hm_stamp *stamp = &h->stamps[i];
        uint64_t place;

        hm_unpack_array_exact(&d->r, 5);
        place = hm_unpack_uint(&d->r);
        if (place >= h->vv_count) {
            refuse_if(d, true, HM_MALFORMED);
            return;
        }
        stamp->dot.incarnation = h->vv[place].author.incarnation;
        stamp->dot.n = hm_unpack_uint(&d->r);
        stamp->user = decode_u32(d);
        stamp->rank = (uint8_t)hm_unpack_uint_max(&d->r, HM_RANK_MAX);
        stamp->wall_ms = hm_unpack_int(&d->r);
        refuse_if(d, stamp->dot.n == 0 || stamp->dot.n > h->vv[place].n, HM_MALFORMED);
        refuse_if(d, i > 0 && hm_dot_compare(&h->stamps[i - 1].dot, &stamp->dot) >= 0,
                  HM_NONCANONICAL);
    }
}

static void decode_siblings(struct decoder *d, struct hm_cell *cell)
{
    for (size_t i = 0; i < cell->sibling_count && d->r.err == HM_OK; i++) {
        struct hm_sibling *sibling = &cell->siblings[i];
        uint64_t stamp = hm_unpack_uint(&d->r);
        struct hm_bytes value = hm_unpack_raw(&d->r);

        if (d->r.err != HM_OK || stamp >= d->h->stamp_count) {
            refuse_if(d, true, HM_MALFORMED);
            return;
        }
        sibling->dot = d->h->stamps[stamp].dot;
        d->stamp_used[stamp] = true;
        refuse_if(d, hm_arena_copy(d->h->arena, value, &sibling->value) != HM_OK,
                  HM_NOMEM);
        refuse_if(
            d, i > 0 && hm_dot_compare(&cell->siblings[i - 1].dot, &sibling->dot) >= 0,
            HM_NONCANONICAL);
    }
}

static void decode_rm(struct decoder *d, struct hm_cell *cell)
{
    cell->rm_count = decode_count(d, RM_BYTES);
    cell->rm = alloc(d, cell->rm_count, sizeof cell->rm[0]);
    refuse_if(d, cell->rm_count == 0, HM_NONCANONICAL);
    for (size_t i = 0; i < cell->rm_count && d->r.err == HM_OK; i++) {
        hm_unpack_array_exact(&d->r, 2);
        cell->rm[i].incarnation = hm_unpack_uint(&d->r);
        cell->rm[i].n = hm_unpack_uint(&d->r);
        refuse_if(d, cell->rm[i].n <= hm_household_seen(d->h, cell->rm[i].incarnation),
                  HM_NONCANONICAL);
        refuse_if(d, i > 0 && hm_dot_compare(&cell->rm[i - 1], &cell->rm[i]) >= 0,
                  HM_NONCANONICAL);
    }
}

static void decode_cell(struct decoder *d, struct hm_cell *cell)
{
    size_t parts;

    cell->field = decode_u32(d);
    parts = decode_count(d, 1);
    refuse_if(d, parts == 0, HM_NONCANONICAL);
    cell->sibling_count = parts / 2;
    cell->siblings = alloc(d, cell->sibling_count, sizeof cell->siblings[0]);
    decode_siblings(d, cell);
    if (parts % 2 == 1) {
        decode_rm(d, cell);
    }
}

static void decode_key(struct decoder *d, struct hm_row_key *key)
{
    key->form = decode_u32(d);
    key->round = decode_u32(d);
    key->repeat = decode_u32(d);
    if (hm_unpack_peek(&d->r) == HM_PACK_ARRAY) {
        hm_unpack_array_exact(&d->r, 3);
        key->item.incarnation = hm_unpack_uint(&d->r);
        key->item.n = hm_unpack_uint(&d->r);
        key->item.k = hm_unpack_uint(&d->r);
        refuse_if(d, key->item.n == 0 || key->item.k == 0, HM_MALFORMED);
    } else {
        refuse_if(d, hm_unpack_uint(&d->r) != 0, HM_MALFORMED);
    }
}

static void decode_rows(struct decoder *d)
{
    struct hm_household *h = d->h;

    h->row_count = decode_count(d, ROW_BYTES);
    h->rows = alloc(d, h->row_count, sizeof h->rows[0]);
    for (size_t i = 0; i < h->row_count && d->r.err == HM_OK; i++) {
        struct hm_row *row = &h->rows[i];

        hm_unpack_array_exact(&d->r, 5);
        decode_key(d, &row->key);
        refuse_if(d, i > 0 && hm_row_key_compare(&h->rows[i - 1].key, &row->key) >= 0,
                  HM_NONCANONICAL);
        row->cell_count = fitting(d, hm_unpack_map(&d->r, SIZE_MAX), CELL_BYTES);
        refuse_if(d, row->cell_count == 0, HM_NONCANONICAL);
        row->cells = alloc(d, row->cell_count, sizeof row->cells[0]);
        for (size_t j = 0; j < row->cell_count && d->r.err == HM_OK; j++) {
            decode_cell(d, &row->cells[j]);
            refuse_if(d, j > 0 && row->cells[j - 1].field >= row->cells[j].field,
                      HM_NONCANONICAL);
        }
    }
}

int hm_household_decode(struct hm_bytes bytes, struct hm_arena *arena,
                        struct hm_household *out)
{
    struct hm_household h = {.arena = arena};
    struct decoder d = {.r = {.left = bytes}, .h = &h};
    int err;

    if (bytes.len > HM_HOUSEHOLD_BYTES_MAX) {
        return HM_TOOBIG;
    }
    hm_unpack_array_exact(&d.r, STATE_PARTS);
    if (hm_unpack_uint(&d.r) != STATE_VERSION && d.r.err == HM_OK) {
        return HM_VERSION;
    }
    h.id.a = hm_unpack_uint(&d.r);
    h.id.n = hm_unpack_uint(&d.r);
    h.home = decode_u32(&d);
    h.home_known = hm_unpack_bool(&d.r);
    decode_vv(&d);
    decode_stamps(&d);
    decode_rows(&d);
    for (size_t i = 0; i < h.stamp_count && d.r.err == HM_OK; i++) {
        refuse_if(&d, !d.stamp_used[i], HM_NONCANONICAL);
    }
    err = hm_unpack_end(&d.r);
    if (err == HM_OK) {
        *out = h;
    }
    return err;
}
