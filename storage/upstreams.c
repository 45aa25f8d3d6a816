#include "storage/upstreams.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "protocol/pack.h"
#include "storage/log.h"

/* A fact each: "upstream." and the parent's device in 16 hex digits. */
#define PREFIX "upstream."

enum { NAME_BYTES = sizeof PREFIX + 16, RECORD_BYTES_MAX = 1024 };

static void name_of(uint64_t device, char out[NAME_BYTES])
{
    (void)snprintf(out, NAME_BYTES, PREFIX "%016" PRIx64, device);
}

static int read_record(struct hm_bytes record, struct hm_arena *arena,
                       struct hm_upstream_known *out)
{
    struct hm_reader r = {.left = record};
    struct hm_bytes url;
    struct hm_bytes pin;
    struct hm_bytes token;
    int err;

    hm_unpack_array_exact(&r, 3);
    url = hm_unpack_str(&r);
    pin = hm_unpack_bin(&r);
    token = hm_unpack_bin(&r);
    err = hm_unpack_end(&r);
    if (err != HM_OK) {
        return HM_CORRUPT;
    }
    out->url = hm_arena_text(arena, url);
    err = out->url == NULL ? HM_NOMEM : hm_arena_copy(arena, pin, &out->pin);
    return err == HM_OK ? hm_arena_copy(arena, token, &out->token) : err;
}

int hm_upstreams_list(struct hm_store *s, struct hm_arena *arena,
                      struct hm_upstream_known **out_upstreams, size_t *out_count)
{
    struct hm_upstream_known *all =
        hm_arena_array(arena, HM_UPSTREAMS_MAX, sizeof *all);
    struct hm_stmt *stmt;
    int64_t current = 0;
    size_t count = 0;
    bool row = false;
    int err = hm_store_get_number(s, HM_META_UPSTREAM_DEVICE, &current);

    err = err == HM_NOTFOUND ? HM_OK : err;
    if (all == NULL) {
        return HM_NOMEM;
    }
    if (err == HM_OK) {
        err = hm_db_stmt(hm_store_db(s),
                         "SELECT name, bytes FROM meta WHERE name >= 'upstream.' AND "
                         "name < 'upstream/' ORDER BY name",
                         &stmt);
    }
    if (err != HM_OK) {
        return err;
    }
    while (count < HM_UPSTREAMS_MAX && (err = hm_stmt_step(stmt, &row)) == HM_OK &&
           row) {
        const char *name = hm_stmt_str(stmt, 0);

        if (name == NULL || strlen(name) != NAME_BYTES - 1) {
            err = HM_CORRUPT;
            break;
        }
        all[count].device = strtoull(name + strlen(PREFIX), NULL, 16);
        all[count].current = all[count].device == (uint64_t)current;
        err = read_record(hm_stmt_bytes(stmt, 1), arena, &all[count]);
        if (err != HM_OK) {
            break;
        }
        count++;
    }
    hm_stmt_reset(stmt);
    if (err == HM_OK) {
        *out_upstreams = all;
        *out_count = count;
    }
    return err;
}

static int forget(struct hm_store *s, uint64_t device)
{
    struct hm_stmt *stmt;
    char name[NAME_BYTES];
    int err = hm_db_stmt(hm_store_db(s), "DELETE FROM meta WHERE name = $1", &stmt);

    if (err != HM_OK) {
        return err;
    }
    name_of(device, name);
    hm_stmt_bind_str(stmt, 1, name);
    return hm_stmt_run(stmt);
}

static int keep_record(struct hm_store *s, const struct hm_upstream_known *upstream)
{
    struct hm_buf record;
    char name[NAME_BYTES];
    int err;

    hm_buf_init(&record, RECORD_BYTES_MAX);
    hm_pack_array(&record, 3);
    hm_pack_str(&record, hm_bytes_str(upstream->url));
    hm_pack_bin(&record, upstream->pin);
    hm_pack_bin(&record, upstream->token);
    err = record.err;
    if (err == HM_OK) {
        name_of(upstream->device, name);
        err = hm_store_set_bytes(s, name, hm_buf_bytes(&record));
    }
    hm_buf_deinit(&record);
    return err;
}

int hm_upstreams_keep(struct hm_store *s, const struct hm_upstream_known *upstream)
{
    struct hm_upstream_known *all = NULL;
    struct hm_arena arena;
    size_t count = 0;
    size_t others = 0;
    int err;

    hm_arena_init(&arena, HM_UPSTREAMS_MAX * 2 * RECORD_BYTES_MAX);
    err = hm_upstreams_list(s, &arena, &all, &count);
    for (size_t i = 0; i < count && err == HM_OK; i++) {
        if (all[i].device == upstream->device) {
            continue;
        }
        if (strcmp(all[i].url, upstream->url) == 0) {
            err = forget(s, all[i].device);
        } else {
            others++;
        }
    }
    hm_arena_deinit(&arena);
    if (err == HM_OK && others + 1 > HM_UPSTREAMS_MAX) {
        err = hm_store_fail(s, HM_TOOBIG, "this node has too many upstreams");
    }
    return err == HM_OK ? keep_record(s, upstream) : err;
}

static int set_current(struct hm_store *s, const struct hm_upstream_known *upstream)
{
    int err = hm_store_set_bytes(s, HM_META_UPSTREAM, hm_bytes_str(upstream->url));

    if (err == HM_OK) {
        err = hm_store_set_bytes(s, HM_META_UPSTREAM_PIN, upstream->pin);
    }
    if (err == HM_OK) {
        err = hm_store_set_bytes(s, HM_META_TOKEN, upstream->token);
    }
    if (err == HM_OK) {
        err =
            hm_store_set_number(s, HM_META_UPSTREAM_DEVICE, (int64_t)upstream->device);
    }
    if (err == HM_OK) {
        err = hm_store_set_number(s, HM_META_UPSTREAM_LEVEL, 0);
    }
    return err;
}

int hm_upstreams_use(struct hm_store *s, uint64_t device)
{
    struct hm_upstream_known upstream = {.device = device};
    struct hm_bytes record;
    struct hm_arena arena;
    char name[NAME_BYTES];
    int err;

    name_of(device, name);
    hm_arena_init(&arena, 4 * RECORD_BYTES_MAX);
    err = hm_store_get_bytes(s, name, &arena, &record);
    if (err == HM_OK) {
        err = read_record(record, &arena, &upstream);
    }
    if (err == HM_OK) {
        err = set_current(s, &upstream);
    }
    hm_arena_deinit(&arena);
    if (err == HM_OK) {
        err = hm_log_doubt_receipts(s, device, false);
    }
    return err == HM_OK ? hm_store_set_number(s, HM_META_OFFER_LOGS, 1) : err;
}
