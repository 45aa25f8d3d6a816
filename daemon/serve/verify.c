/* Is everything as it was written? One check after the other, each in a snapshot. */
#include <inttypes.h>

#include "daemon/serve/cells.h"
#include "daemon/serve/each.h"
#include "daemon/serve/handlers.h"
#include "daemon/serve/verify_log.h"
#include "protocol/digest.h"
#include "storage/blobs.h"
#include "storage/cursors.h"
#include "storage/feeds.h"
#include "storage/log_files.h"

enum { REPORT_BYTES_MAX = 64 * 1024, DETAIL_BYTES_MAX = 400 };

struct verification {
    struct hm_call *call;
    json_t *checks;
    bool ok;
    struct hm_buf report; /* of one check: a line for each fault */
    uint64_t count;
};

/* The first faults, in one line; what there is of them when all is well. */
static int add_check(struct verification *v, const char *name, const char *fine)
{
    bool ok = v->report.len == 0;
    char detail[DETAIL_BYTES_MAX];
    size_t len = v->report.len < sizeof detail - 1 ? v->report.len : sizeof detail - 1;

    memcpy(detail, ok ? (const void *)"" : (const void *)v->report.data, ok ? 0 : len);
    detail[ok ? 0 : len] = 0;
    for (size_t i = 0; detail[i] != 0; i++) {
        detail[i] = detail[i] == '\n' ? (detail[i + 1] == 0 ? 0 : ';') : detail[i];
    }
    v->ok = v->ok && ok;
    return hm_cells_append(v->checks,
                           json_pack("{s:s, s:b, s:I, s:s}", "name", name, "ok",
                                     ok ? 1 : 0, "count", (json_int_t)v->count,
                                     "detail", ok ? fine : detail));
}

static int check_store(struct verification *v)
{
    int64_t bytes = 0;
    int err = hm_db_check(hm_store_db(v->call->s), &v->report);

    if (err == HM_CORRUPT) {
        if (v->report.len == 0) {
            hm_buf_append_str(&v->report, hm_err_text(err));
        }
        err = HM_OK;
    }
    if (err == HM_OK) {
        err = hm_db_size_bytes(hm_store_db(v->call->s), &bytes);
        v->count = (uint64_t)bytes;
    }
    return err == HM_OK ? add_check(v, "store", "bytes, sound") : err;
}

static int check_chains(struct verification *v)
{
    int err = hm_verify_log_chains(v->call, &v->report, &v->count);

    return err == HM_OK ? add_check(v, "chains", "entries, signed and in order") : err;
}

/* -- Digests -- */

static int check_fold(void *arg, const struct hm_each *each)
{
    struct verification *v = arg;
    char id[HM_ID_TEXT_MAX];
    bool known = false;
    bool equal = true;
    int err = hm_verify_log_fold(v->call, each->h, each->arena, &known, &equal);

    if (err == HM_OK && known && !equal) {
        hm_household_id_to_text(&each->h->id, id);
        hm_buf_printf(&v->report, "household %s is not what its changes give\n", id);
    }
    return err;
}

static int check_scope(struct verification *v, uint32_t scope)
{
    const char *code = hm_units_code_of(v->call->tree, scope);
    struct hm_feed_state feed;
    struct hm_hash digest = {{0}};
    uint64_t households = 0;
    int err = hm_feeds_get(v->call->s, scope, &feed);

    if (err == HM_OK) {
        err = hm_households_recompute(v->call->s, scope, &digest, &households);
    }
    if (err == HM_CORRUPT) {
        hm_buf_printf(&v->report, "hamlet %s: a state does not have its hash\n", code);
        return HM_OK;
    }
    if (err == HM_OK &&
        (!hm_hash_equal(&digest, &feed.digest) || households != feed.households)) {
        hm_buf_printf(&v->report, "hamlet %s: the digest differs from the households\n",
                      code);
    }
    v->count += households;
    return err;
}

static int check_digests(struct verification *v)
{
    uint32_t *scopes = NULL;
    size_t count = 0;
    int err = hm_households_scopes(v->call->s, &v->call->arena, &scopes, &count);

    for (size_t i = 0; i < count && err == HM_OK; i++) {
        err = check_scope(v, scopes[i]);
    }
    /* Only a centre has every change of its households. */
    if (err == HM_OK && v->call->role == HM_NODE_CENTRE && v->report.len == 0) {
        err = hm_each_household(v->call, NULL, false, check_fold, v);
    }
    return err == HM_OK ? add_check(v, "digests", "households, as their digests say")
                        : err;
}

static int check_blobs(struct verification *v)
{
    int err = hm_blobs_verify(v->call->s, &v->report, &v->count);

    err = err == HM_CORRUPT ? HM_OK : err;
    return err == HM_OK ? add_check(v, "blobs", "blobs, as their names say") : err;
}

static int check_log_files(struct verification *v)
{
    int err = hm_log_files_check(hm_files_disk(), v->call->node->dir, v->call->s, true,
                                 &v->report, &v->count);

    return err == HM_OK ? add_check(v, "log_files", "entries, filed beside the store")
                        : err;
}

/* What the last exchanges said: the digests of both ends, hamlet by hamlet. */
static int check_upstream(struct verification *v)
{
    int64_t parent = 0;
    int err = hm_store_get_number(v->call->s, HM_META_UPSTREAM_DEVICE, &parent);

    if (err == HM_NOTFOUND) {
        return HM_OK; /* nobody to compare with */
    }
    if (err == HM_OK) {
        err = hm_call_scopes(v->call);
    }
    for (size_t i = 0; i < v->call->scope_count && err == HM_OK; i++) {
        struct hm_cursor_at cursor;

        err = hm_cursors_get(v->call->s, (uint64_t)parent, v->call->scopes[i], &cursor);
        if (err == HM_OK && !cursor.equal) {
            hm_buf_printf(&v->report,
                          "hamlet %s: not known to be equal at both ends; sync first\n",
                          hm_units_code_of(v->call->tree, v->call->scopes[i]));
        }
        v->count++;
    }
    return err == HM_OK ? add_check(v, "upstream",
                                    "hamlets, equal at both ends at the last sync")
                        : err;
}

static int run(struct verification *v, int (*check)(struct verification *v))
{
    int err;

    hm_buf_init(&v->report, REPORT_BYTES_MAX);
    v->count = 0;
    err = hm_store_begin_read(v->call->s);
    if (err == HM_OK) {
        err = hm_call_tree(v->call);
        if (err == HM_OK) {
            err = hm_call_forms(v->call);
        }
        err = hm_store_end(v->call->s, err == HM_OK ? check(v) : err);
    }
    hm_buf_deinit(&v->report);
    return err;
}

int hm_verify_handle(struct hm_call *call)
{
    static int (*const checks[])(struct verification *
                                 v) = {check_store, check_chains,    check_digests,
                                       check_blobs, check_log_files, check_upstream};
    struct verification v = {.call = call, .checks = json_array(), .ok = true};
    int err = HM_OK;

    for (size_t i = 0; i < sizeof checks / sizeof checks[0] && err == HM_OK; i++) {
        err = run(&v, checks[i]);
    }
    if (err == HM_OK) {
        call->reply = json_pack("{s:b, s:O}", "ok", v.ok ? 1 : 0, "checks", v.checks);
        err = call->reply == NULL ? HM_NOMEM : HM_OK;
    }
    json_decref(v.checks);
    return err;
}
