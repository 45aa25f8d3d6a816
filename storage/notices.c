#include "storage/notices.h"

#include "protocol/fact.h"
#include "protocol/pack.h"
#include "storage/quarantine.h"

enum { BODY_PARTS = 15, BODY_BYTES_MAX = 3 * HM_CHANGE_BYTES_MAX };

/* -- Bytes ------------------------------------------------------------------------ */

static void encode(const struct hm_notice *notice, struct hm_buf *buf)
{
    hm_pack_array(buf, BODY_PARTS);
    hm_pack_uint(buf, notice->key.form);
    hm_pack_uint(buf, notice->key.round);
    hm_pack_uint(buf, notice->key.repeat);
    hm_pack_uint(buf, notice->key.item.incarnation);
    hm_pack_uint(buf, notice->key.item.n);
    hm_pack_uint(buf, notice->key.item.k);
    hm_pack_uint(buf, notice->field);
    hm_pack_uint(buf, notice->lost_dot.incarnation);
    hm_pack_uint(buf, notice->lost_dot.n);
    hm_pack_raw(buf, notice->lost);
    hm_pack_int(buf, notice->lost_utc_ms);
    hm_pack_array(buf, 2);
    hm_pack_uint(buf, notice->dot.incarnation);
    hm_pack_uint(buf, notice->dot.n);
    hm_pack_raw(buf, notice->value);
    hm_pack_array(buf, 3);
    hm_pack_uint(buf, notice->user);
    hm_pack_uint(buf, notice->device);
    hm_pack_int(buf, notice->utc_ms);
}

static int decode(struct hm_bytes bytes, struct hm_notice *out)
{
    struct hm_reader r = {.left = bytes};

    hm_unpack_array_exact(&r, BODY_PARTS);
    out->key.form = (uint32_t)hm_unpack_uint_max(&r, UINT32_MAX);
    out->key.round = (uint32_t)hm_unpack_uint_max(&r, UINT32_MAX);
    out->key.repeat = (uint32_t)hm_unpack_uint_max(&r, UINT32_MAX);
    out->key.item.incarnation = hm_unpack_uint(&r);
    out->key.item.n = hm_unpack_uint(&r);
    out->key.item.k = hm_unpack_uint(&r);
    out->field = (uint32_t)hm_unpack_uint_max(&r, UINT32_MAX);
    out->lost_dot.incarnation = hm_unpack_uint(&r);
    out->lost_dot.n = hm_unpack_uint(&r);
    out->lost = hm_unpack_raw(&r);
    out->lost_utc_ms = hm_unpack_int(&r);
    hm_unpack_array_exact(&r, 2);
    out->dot.incarnation = hm_unpack_uint(&r);
    out->dot.n = hm_unpack_uint(&r);
    out->value = hm_unpack_raw(&r);
    hm_unpack_array_exact(&r, 3);
    out->user = (uint32_t)hm_unpack_uint_max(&r, UINT32_MAX);
    out->device = hm_unpack_uint(&r);
    out->utc_ms = hm_unpack_int(&r);
    return hm_unpack_end(&r) == HM_OK ? HM_OK : HM_CORRUPT;
}

static void name(struct hm_notice *notice)
{
    struct hm_buf buf;

    hm_buf_init(&buf, 200);
    hm_pack_uint(&buf, notice->household.a);
    hm_pack_uint(&buf, notice->household.n);
    hm_pack_uint(&buf, notice->key.form);
    hm_pack_uint(&buf, notice->key.round);
    hm_pack_uint(&buf, notice->key.repeat);
    hm_pack_uint(&buf, notice->key.item.incarnation);
    hm_pack_uint(&buf, notice->key.item.n);
    hm_pack_uint(&buf, notice->key.item.k);
    hm_pack_uint(&buf, notice->field);
    hm_pack_uint(&buf, notice->lost_dot.incarnation);
    hm_pack_uint(&buf, notice->lost_dot.n);
    notice->hash = hm_hash_of(hm_buf_bytes(&buf), (struct hm_bytes){0});
    hm_buf_deinit(&buf);
}

static int put(struct hm_store *s, struct hm_notice *notice)
{
    struct hm_stmt *stmt;
    struct hm_buf body;
    int err = hm_db_stmt(hm_store_db(s),
                         "INSERT INTO notice (hash, a, n, since_utc_ms, cleared, body) "
                         "VALUES ($1, $2, $3, $4, 0, $5) ON CONFLICT (hash) DO NOTHING",
                         &stmt);

    if (err != HM_OK) {
        return err;
    }
    name(notice);
    hm_buf_init(&body, BODY_BYTES_MAX);
    encode(notice, &body);
    err = body.err;
    if (err == HM_OK) {
        hm_stmt_bind_bytes(stmt, 1, hm_hash_bytes(&notice->hash));
        hm_stmt_bind_u64(stmt, 2, notice->household.a);
        hm_stmt_bind_u64(stmt, 3, notice->household.n);
        hm_stmt_bind_int(stmt, 4, hm_store_utc_ms(s));
        hm_stmt_bind_bytes(stmt, 5, hm_buf_bytes(&body));
        err = hm_stmt_run(stmt);
    }
    hm_buf_deinit(&body);
    return err;
}

/* -- Comparing -------------------------------------------------------------------- */

static bool stands(const struct hm_cell *cell, const struct hm_dot *dot)
{
    for (size_t i = 0; cell != NULL && i < cell->sibling_count; i++) {
        if (hm_dot_compare(&cell->siblings[i].dot, dot) == 0) {
            return true;
        }
    }
    return false;
}

static int found(void *arg, const struct hm_quarantine_entry *entry)
{
    (void)entry;
    *(bool *)arg = true;
    return HM_OK;
}

static int was_refused(struct hm_store *s, const struct hm_dot *dot, bool *out)
{
    *out = false;
    return hm_quarantine_each_of(s, dot->incarnation, dot->n, dot->n, found, out);
}

static int64_t written(const struct hm_household *h, const struct hm_dot *dot)
{
    const struct hm_stamp *stamp = hm_household_stamp(h, dot);

    return stamp == NULL ? 0 : hm_policy_corrected_ms(h, stamp);
}

/* A value of this device that is gone. */
static int lose(struct hm_store *s, const struct hm_household *before,
                const struct hm_household *after, struct hm_notice *notice)
{
    const struct hm_cell *cell =
        hm_row_cell(hm_household_row(after, &notice->key), notice->field);
    struct hm_policy_view view = {0};
    const struct hm_author *author;
    const struct hm_stamp *stamp;
    bool refused = false;
    int err = hm_policy_view(HM_FIELD_POLICY_ASK, after, cell, NULL, &view);

    if (err != HM_OK || view.winner == NULL) {
        return err;
    }
    author = hm_household_author(after, view.winner->dot.incarnation);
    stamp = hm_household_stamp(after, &view.winner->dot);
    if (author == NULL || stamp == NULL || author->device == hm_store_device(s) ||
        hm_bytes_equal(hm_fact_target(notice->field, view.winner->value),
                       hm_fact_target(notice->field, notice->lost))) {
        return HM_OK;
    }
    err = was_refused(s, &notice->lost_dot, &refused);
    if (err != HM_OK || refused) {
        return err;
    }
    notice->lost_utc_ms = written(before, &notice->lost_dot);
    notice->dot = view.winner->dot;
    notice->value = view.winner->value;
    notice->user = stamp->user;
    notice->device = author->device;
    notice->utc_ms = written(after, &view.winner->dot);
    return put(s, notice);
}

static bool is_own(struct hm_store *s, const struct hm_household *h,
                   const struct hm_dot *dot)
{
    const struct hm_author *author = hm_household_author(h, dot->incarnation);

    return author != NULL && author->device == hm_store_device(s);
}

/* Lists that several may write say nothing against each other. */
static bool is_list(const struct hm_row *row, const struct hm_cell *cell)
{
    return row->key.form == HM_FORM_HOUSEHOLD &&
           (cell->field == HM_FIELD_APART || cell->field == HM_FIELD_DECIDED);
}

static int compare_cell(struct hm_store *s, const struct hm_household *before,
                        const struct hm_household *after, const struct hm_row *row,
                        const struct hm_cell *cell)
{
    const struct hm_cell *now =
        hm_row_cell(hm_household_row(after, &row->key), cell->field);
    int err = HM_OK;

    for (size_t i = 0; i < cell->sibling_count && err == HM_OK; i++) {
        struct hm_notice notice = {.household = before->id,
                                   .key = row->key,
                                   .field = cell->field,
                                   .lost_dot = cell->siblings[i].dot,
                                   .lost = cell->siblings[i].value};

        if (is_own(s, before, &notice.lost_dot) && !stands(now, &notice.lost_dot)) {
            err = lose(s, before, after, &notice);
        }
    }
    return err;
}

int hm_notices_compare(struct hm_store *s, const struct hm_household *before,
                       const struct hm_household *after)
{
    int err = HM_OK;

    for (size_t i = 0; i < before->row_count && err == HM_OK; i++) {
        const struct hm_row *row = &before->rows[i];

        for (size_t j = 0; j < row->cell_count && err == HM_OK; j++) {
            if (!is_list(row, &row->cells[j])) {
                err = compare_cell(s, before, after, row, &row->cells[j]);
            }
        }
    }
    return err;
}

/* -- Reading ---------------------------------------------------------------------- */

static int read_row(struct hm_stmt *stmt, struct hm_notice *out)
{
    struct hm_bytes hash = hm_stmt_bytes(stmt, 0);

    *out = (struct hm_notice){.household = {hm_stmt_u64(stmt, 1), hm_stmt_u64(stmt, 2)},
                              .since_utc_ms = hm_stmt_int(stmt, 3)};
    if (hash.len != HM_HASH_BYTES) {
        return HM_CORRUPT;
    }
    memcpy(out->hash.bytes, hash.data, HM_HASH_BYTES);
    return decode(hm_stmt_bytes(stmt, 4), out);
}

int hm_notices_each(struct hm_store *s, hm_notice_fn fn, void *arg)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err = hm_db_stmt(hm_store_db(s),
                         "SELECT hash, a, n, since_utc_ms, body FROM notice "
                         "WHERE cleared = 0 ORDER BY since_utc_ms, hash",
                         &stmt);

    if (err != HM_OK) {
        return err;
    }
    while ((err = hm_stmt_step(stmt, &row)) == HM_OK && row) {
        struct hm_notice notice;

        err = read_row(stmt, &notice);
        if (err == HM_OK) {
            err = fn(arg, &notice);
        }
        if (err != HM_OK) {
            break;
        }
    }
    hm_stmt_reset(stmt);
    return err;
}

int hm_notices_count(struct hm_store *s, uint64_t *out_count)
{
    int64_t count = 0;
    int err = hm_db_query_int(hm_store_db(s),
                              "SELECT COUNT(*) FROM notice WHERE cleared = 0", &count);

    if (err == HM_OK) {
        *out_count = (uint64_t)count;
    }
    return err;
}

int hm_notices_clear(struct hm_store *s, const struct hm_hash *hash)
{
    struct hm_stmt *stmt;
    int err = hm_db_stmt(
        hm_store_db(s), "UPDATE notice SET cleared = 1 WHERE hash = $1 AND cleared = 0",
        &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_bytes(stmt, 1, hm_hash_bytes(hash));
    err = hm_stmt_run(stmt);
    return err == HM_OK && hm_db_changes(hm_store_db(s)) == 0 ? HM_NOTFOUND : err;
}
