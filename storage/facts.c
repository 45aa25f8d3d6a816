#include "storage/facts.h"

#include "protocol/pack.h"
#include "storage/records.h"

enum { FACTS_MAX = 256, TOKENS_MAX = 100000 };

/* Learnt anew by a sync, or never to be taken over. */
static const char *const left_out[] = {
    HM_META_TIMELINE,       HM_META_OFFER_LOGS,     HM_META_HEARD,
    HM_META_CLOCK_OFFSET,   HM_META_CLOCK_CHECKED,  HM_META_LAST_OK,
    HM_META_RESTORED,       HM_META_TIMELINE_SINCE, HM_META_ITEMS_UP,
    HM_META_ITEMS_TIMELINE, HM_META_ITEMS_POSITION};

bool hm_facts_is_kept(const char *name)
{
    for (size_t i = 0; i < sizeof left_out / sizeof left_out[0]; i++) {
        if (strcmp(name, left_out[i]) == 0) {
            return false;
        }
    }
    return true;
}

/* Rows of a query as arrays; a row that pack() leaves out returns false. */
static int pack_rows(struct hm_store *s, const char *sql,
                     bool (*pack)(struct hm_stmt *stmt, struct hm_buf *buf),
                     struct hm_buf *buf)
{
    struct hm_stmt *stmt;
    struct hm_buf rows;
    size_t count = 0;
    bool row = false;
    int err = hm_db_stmt(hm_store_db(s), sql, &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_buf_init(&rows, HM_FACTS_BYTES_MAX);
    while ((err = hm_stmt_step(stmt, &row)) == HM_OK && row) {
        count += pack(stmt, &rows) ? 1 : 0;
    }
    hm_stmt_reset(stmt);
    hm_pack_array(buf, count);
    hm_buf_append(buf, hm_buf_bytes(&rows));
    err = err == HM_OK ? rows.err : err;
    hm_buf_deinit(&rows);
    return err == HM_OK ? buf->err : err;
}

static bool pack_fact(struct hm_stmt *stmt, struct hm_buf *buf)
{
    const char *name = hm_stmt_str(stmt, 0);

    if (name == NULL || !hm_facts_is_kept(name)) {
        return false;
    }
    hm_pack_array(buf, 3);
    hm_pack_str(buf, hm_bytes_str(name));
    if (hm_stmt_is_null(stmt, 1)) {
        hm_pack_nil(buf);
    } else {
        hm_pack_int(buf, hm_stmt_int(stmt, 1));
    }
    if (hm_stmt_is_null(stmt, 2)) {
        hm_pack_nil(buf);
    } else {
        hm_pack_bin(buf, hm_stmt_bytes(stmt, 2));
    }
    return true;
}

/* Not when it was here last: that changes with every sync. */
static bool pack_token(struct hm_stmt *stmt, struct hm_buf *buf)
{
    hm_pack_array(buf, 2);
    hm_pack_uint(buf, hm_stmt_u64(stmt, 0));
    hm_pack_bin(buf, hm_stmt_bytes(stmt, 1));
    return true;
}

int hm_facts_encode(struct hm_store *s, struct hm_buf *buf)
{
    struct hm_buf body;
    int err;

    hm_buf_init(&body, HM_FACTS_BYTES_MAX);
    hm_pack_array(&body, 2);
    err = pack_rows(s, "SELECT name, number, bytes FROM meta ORDER BY name", pack_fact,
                    &body);
    if (err == HM_OK) {
        err = pack_rows(s, "SELECT device, hash FROM token ORDER BY device", pack_token,
                        &body);
    }
    if (err == HM_OK) {
        hm_records_append(buf, HM_RECORD_FACTS, hm_buf_bytes(&body));
        err = buf->err;
    }
    hm_buf_deinit(&body);
    return err;
}

static int restore_fact(struct hm_store *s, struct hm_reader *r)
{
    struct hm_stmt *stmt;
    struct hm_bytes name;
    int err = hm_db_stmt(hm_store_db(s),
                         "INSERT INTO meta (name, number, bytes) VALUES ($1, $2, $3) "
                         "ON CONFLICT (name) DO UPDATE SET number = excluded.number, "
                         "bytes = excluded.bytes",
                         &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_unpack_array_exact(r, 3);
    name = hm_unpack_str(r);
    hm_stmt_bind_text(stmt, 1, name);
    if (hm_unpack_nil(r)) {
        hm_stmt_bind_null(stmt, 2);
    } else {
        hm_stmt_bind_int(stmt, 2, hm_unpack_int(r));
    }
    if (hm_unpack_nil(r)) {
        hm_stmt_bind_null(stmt, 3);
    } else {
        hm_stmt_bind_bytes(stmt, 3, hm_unpack_bin(r));
    }
    if (r->err != HM_OK || name.len == 0) {
        hm_stmt_reset(stmt);
        return HM_CORRUPT;
    }
    return hm_stmt_run(stmt);
}

static int restore_token(struct hm_store *s, struct hm_reader *r)
{
    struct hm_stmt *stmt;
    int err = hm_db_stmt(hm_store_db(s),
                         "INSERT INTO token (device, hash, seen_utc_ms) "
                         "VALUES ($1, $2, 0) ON CONFLICT (device) DO UPDATE SET "
                         "hash = excluded.hash",
                         &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_unpack_array_exact(r, 2);
    hm_stmt_bind_u64(stmt, 1, hm_unpack_uint(r));
    hm_stmt_bind_bytes(stmt, 2, hm_unpack_bin(r));
    if (r->err != HM_OK) {
        hm_stmt_reset(stmt);
        return HM_CORRUPT;
    }
    return hm_stmt_run(stmt);
}

int hm_facts_restore(struct hm_store *s, struct hm_bytes record, uint64_t *out_facts)
{
    struct hm_record found;
    struct hm_reader r;
    uint64_t skipped = 0;
    size_t count;
    int err = HM_OK;

    if (!hm_records_next(&record, &found, &skipped) || found.kind != HM_RECORD_FACTS) {
        return HM_CORRUPT;
    }
    r = (struct hm_reader){.left = found.body};
    hm_unpack_array_exact(&r, 2);
    count = hm_unpack_array(&r, FACTS_MAX);
    for (size_t i = 0; i < count && err == HM_OK; i++) {
        err = restore_fact(s, &r);
    }
    *out_facts = count;
    count = err == HM_OK ? hm_unpack_array(&r, TOKENS_MAX) : 0;
    for (size_t i = 0; i < count && err == HM_OK; i++) {
        err = restore_token(s, &r);
    }
    if (err == HM_OK && hm_unpack_end(&r) != HM_OK) {
        err = HM_CORRUPT;
    }
    return err;
}
