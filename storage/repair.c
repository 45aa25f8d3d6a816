#include "storage/repair.h"

#include <stdio.h>

#include "storage/repair_parts.h"

const char *hm_repair_kind_text(enum hm_repair_kind kind)
{
    static const char *const texts[] = {
#define HM_REPAIR_TEXT(name, text) text,
        HM_REPAIR_KINDS(HM_REPAIR_TEXT)
#undef HM_REPAIR_TEXT
    };

    return texts[kind];
}

static int open_stores(struct hm_repair *r)
{
    struct hm_store_options scratch = r->options->store;
    int err;

    scratch.path = r->options->scratch_path;
    err = hm_store_open(&scratch, &r->from);
    if (err == HM_OK) {
        err = hm_store_open(&r->options->store, &r->to);
    }
    if (err == HM_OK) {
        err = hm_store_begin(r->from);
    }
    return err;
}

/* Its logs are offered again; the rest is asked for anew, since it has no cursors. */
static int prepare_sync(struct hm_repair *r)
{
    struct hm_arena arena;
    struct hm_bytes url;
    int err;

    hm_arena_init(&arena, 64 * 1024);
    err = hm_store_get_bytes(r->to, HM_META_UPSTREAM, &arena, &url);
    hm_arena_deinit(&arena);
    if (err == HM_OK) {
        err = hm_store_set_number(r->to, HM_META_OFFER_LOGS, 1);
    }
    return err == HM_NOTFOUND ? HM_OK : err;
}

static int build(struct hm_repair *r)
{
    static int (*const steps[])(struct hm_repair * r) = {
        hm_repair_restore_own, hm_repair_restore_states, hm_repair_restore_rest,
        hm_repair_restore_foreign, prepare_sync};
    int err = hm_repair_gather_old(r);

    if (err == HM_OK) {
        err = hm_repair_take_basics(r);
    }
    if (err == HM_OK) {
        err = hm_repair_gather_entries(r);
    }
    if (err == HM_OK) {
        err = hm_forms_open(r->to, &r->forms);
    }
    for (size_t i = 0; i < sizeof steps / sizeof steps[0] && err == HM_OK; i++) {
        err = steps[i](r);
    }
    return err;
}

static void say(const struct hm_repair *r, int err, struct hm_buf *errmsg)
{
    const char *why = r->to == NULL ? "" : hm_store_errmsg(r->to);

    if (errmsg->len == 0) {
        hm_buf_append_str(errmsg, why[0] == 0 ? hm_err_text(err) : why);
    }
}

int hm_repair_run(const struct hm_repair_options *options,
                  struct hm_repair_report *out_report, struct hm_buf *errmsg)
{
    struct hm_repair_report report = {.holes = 0};
    struct hm_repair r = {.options = options, .report = &report};
    int err = open_stores(&r);
    int undone;

    if (err == HM_OK) {
        err = hm_store_begin(r.to);
        if (err == HM_OK) {
            err = hm_store_end(r.to, build(&r));
        }
        undone = hm_store_end(r.from, HM_CANCELED); /* it is thrown away */
        (void)undone;
    }
    if (err == HM_OK) {
        err = hm_db_check(hm_store_db(r.to), errmsg);
    }
    if (err != HM_OK) {
        say(&r, err, errmsg);
    }
    hm_forms_close(r.forms);
    hm_store_close(r.to); /* the last connection: all is in the one file then */
    hm_store_close(r.from);
    if (err == HM_OK) {
        *out_report = report;
    }
    return err;
}
