/* Decisions about many households, and taking decisions back: in pieces, each one
 * transaction, so that others get their turn between two. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/serve/api_json.h"
#include "daemon/serve/cells.h"
#include "daemon/serve/handlers.h"
#include "daemon/serve/resolve.h"
#include "daemon/serve/save_json.h"
#include "protocol/fact.h"
#include "storage/decisions.h"
#include "storage/feeds.h"
#include "storage/households.h"

enum {
    HOUSEHOLDS_PER_CALL = 100,
    CHANGES_MAX = 1000, /* that an answer names */
    REASON_MAX = 64
};

/* What stays between two calls. */
struct bulk {
    uint64_t decision;
    uint32_t scope;       /* at hand; those below it are done */
    uint64_t after;       /* the position of the last household there */
    uint64_t end;         /* behind it stands what was decided just now */
    struct hm_dot undone; /* the last change that was taken back */
    size_t households;
    size_t resolved; /* cells */
    size_t left;
    size_t skipped; /* households, or cells of an undo */
    size_t change_count;
    json_t *changes; /* the first of them */
};

static void cancel(void *progress)
{
    struct bulk *bulk = progress;

    if (bulk != NULL) {
        json_decref(bulk->changes);
        free(bulk);
    }
}

static int resume(struct hm_call *call, struct bulk **out)
{
    struct bulk *bulk = call->answer->progress;

    if (bulk == NULL) {
        bulk = calloc(1, sizeof *bulk);
        if (bulk == NULL) {
            return HM_NOMEM;
        }
        bulk->changes = json_array();
        while (bulk->decision == 0) {
            bulk->decision = hm_store_random(call->s);
        }
        call->answer->progress = bulk;
        call->answer->cancel = cancel;
    }
    *out = bulk;
    return HM_OK;
}

static json_t *dot_json(const struct hm_dot *dot)
{
    char text[HM_ID_TEXT_MAX];

    hm_dot_to_text(dot, text);
    return json_string(text);
}

static int note_change(struct bulk *bulk, const struct hm_dot *dot)
{
    bulk->change_count++;
    return bulk->change_count <= CHANGES_MAX
               ? hm_cells_append(bulk->changes, dot_json(dot))
               : HM_OK;
}

/* What is wrong with one household does not keep the others waiting. */
static bool is_about_one(int err)
{
    return err == HM_INVALID || err == HM_NOTFOUND || err == HM_DENIED ||
           err == HM_TOOBIG || err == HM_EXISTS;
}

static void forget_line(struct hm_call *call)
{
    call->line[0] = 0;
    (void)hm_store_fail(call->s, HM_OK, "%s", "");
}

/* -- Deciding --------------------------------------------------------------------- */

struct batch {
    struct hm_call *call;
    struct bulk *bulk;
    struct hm_resolve_filter filter;
    enum hm_resolve_policy policy;
    bool dry_run;
    struct hm_household_id ids[HOUSEHOLDS_PER_CALL];
    size_t count;
};

static int decide(struct batch *b, struct hm_resolving *r,
                  const struct hm_household_id *id)
{
    struct hm_save_result result = {.changed = false};
    char reason[REASON_MAX];
    char text[HM_ID_TEXT_MAX];
    size_t left = 0;
    int err;

    hm_household_id_to_text(id, text);
    err = hm_resolve_load(r, text);
    if (err == HM_OK && hm_fact_shown_scope(&r->h) != b->bulk->scope) {
        return HM_OK; /* its turn comes in the other hamlet where it stands */
    }
    if (err == HM_OK) {
        err = hm_resolve_all(r, b->policy, &b->filter);
    }
    if (err != HM_OK) {
        return err;
    }
    left = r->count - r->decided;
    (void)snprintf(reason, sizeof reason, "decision %016" PRIx64, b->bulk->decision);
    r->decision = b->bulk->decision;
    r->save.reason = hm_bytes_str(reason);
    if (r->decided > 0 && !b->dry_run) {
        err = hm_resolve_run(r, &result, &left);
    }
    if (err == HM_OK) {
        b->bulk->households += r->decided > 0 ? 1 : 0;
        b->bulk->resolved += r->decided;
        b->bulk->left += left;
    }
    return err == HM_OK && result.changed ? note_change(b->bulk, &result.dot) : err;
}

static int decide_or_skip(struct batch *b, const struct hm_household_id *id)
{
    struct hm_arena arena;
    struct hm_resolving r = {.call = b->call, .arena = &arena};
    int err;

    hm_arena_init(&arena, HM_CALL_HOUSEHOLD_BYTES_MAX);
    err = decide(b, &r, id);
    if (is_about_one(err)) {
        forget_line(b->call);
        b->bulk->skipped++;
        b->bulk->left += r.count;
        err = HM_OK;
    }
    hm_arena_deinit(&arena);
    return err;
}

static int collect(void *arg, const struct hm_household_row *row)
{
    struct batch *b = arg;

    if (row->position > b->bulk->end || b->count == HOUSEHOLDS_PER_CALL) {
        return HM_AGAIN;
    }
    b->ids[b->count++] = row->id;
    b->bulk->after = row->position;
    return HM_OK;
}

/* The next households of the scope at hand. */
static int decide_some(struct batch *b)
{
    int err = hm_households_each_conflict_after(b->call->s, b->bulk->scope,
                                                b->bulk->after, collect, b);

    err = err == HM_AGAIN ? HM_OK : err;
    for (size_t i = 0; i < b->count && err == HM_OK; i++) {
        err = decide_or_skip(b, &b->ids[i]);
    }
    return err;
}

/* The first selected scope from `from` on; false: there is none. */
static bool next_scope(const uint32_t *scopes, size_t count, uint32_t from,
                       uint32_t *out)
{
    for (size_t i = 0; i < count; i++) {
        if (scopes[i] >= from) {
            *out = scopes[i];
            return true;
        }
    }
    return false;
}

static int enter_scope(struct batch *b, uint32_t scope)
{
    struct hm_feed_state state;
    int err = hm_feeds_get(b->call->s, scope, &state);

    if (err == HM_OK) {
        b->bulk->scope = scope;
        b->bulk->after = 0;
        b->bulk->end = state.position;
    }
    return err;
}

static int read_batch(struct hm_call *call, struct batch *b)
{
    json_t *dry_run = json_object_get(call->body, "dry_run");
    int err = hm_resolve_read_policy(call, &b->policy);

    if (err == HM_OK && dry_run != NULL && !json_is_boolean(dry_run)) {
        err = hm_call_fail(call, HM_INVALID, "dry_run is not true or false");
    }
    b->dry_run = json_is_true(dry_run);
    if (err == HM_OK) {
        err = hm_call_forms(call);
    }
    return err == HM_OK ? hm_resolve_filter_read(call, &b->filter) : err;
}

static int answer_resolved(struct hm_call *call, const struct batch *b)
{
    const struct bulk *bulk = b->bulk;
    char id[20];

    (void)snprintf(id, sizeof id, "%016" PRIx64, bulk->decision);
    call->reply = json_pack(
        "{s:I, s:I, s:I, s:I, s:O, s:I, s:o, s:b}", "resolved",
        (json_int_t)bulk->resolved, "households", (json_int_t)bulk->households, "left",
        (json_int_t)bulk->left, "skipped", (json_int_t)bulk->skipped, "changes",
        bulk->changes, "change_count", (json_int_t)bulk->change_count, "decision",
        bulk->change_count == 0 ? json_null() : json_string(id), "dry_run",
        b->dry_run ? 1 : 0);
    return call->reply == NULL ? HM_NOMEM : HM_OK;
}

int hm_conflicts_handle_resolve_all(struct hm_call *call)
{
    struct batch *b = hm_arena_alloc(&call->arena, sizeof *b);
    const char *text = NULL;
    uint32_t *scopes = NULL;
    uint32_t scope = 0;
    size_t count = 0;
    bool more = false;
    int err = hm_call_may_save(call);

    if (b == NULL) {
        return HM_NOMEM;
    }
    *b = (struct batch){.call = call};
    if (err == HM_OK) {
        err = read_batch(call, b);
    }
    if (err == HM_OK) {
        err = hm_api_json_text(call, call->body, "scope", false, &text);
    }
    if (err == HM_OK) {
        err = hm_call_selection(call, text, &scopes, &count);
    }
    if (err == HM_OK) {
        err = resume(call, &b->bulk);
    }
    if (err == HM_OK && next_scope(scopes, count, b->bulk->scope, &scope)) {
        more = true;
        if (scope != b->bulk->scope) {
            err = enter_scope(b, scope);
        }
        if (err == HM_OK) {
            err = decide_some(b);
        }
        if (err == HM_OK && b->count < HOUSEHOLDS_PER_CALL) {
            more = scope < UINT32_MAX && next_scope(scopes, count, scope + 1, &scope);
            err = more ? enter_scope(b, scope) : HM_OK;
        }
    }
    call->answer->again = err == HM_OK && more;
    return err == HM_OK && !more ? answer_resolved(call, b) : err;
}

/* -- Undo ------------------------------------------------------------------------- */

static int undo_one(struct hm_call *call, struct bulk *bulk, const struct hm_dot *dot,
                    struct hm_arena *arena)
{
    struct hm_decision decision;
    struct hm_household h;
    struct hm_save signer = {.creates = false};
    struct hm_undo undo = {.changes = 0};
    char id[HM_ID_TEXT_MAX];
    char reason[HM_ID_TEXT_MAX + 16];
    int err = hm_decisions_get(call->s, dot, arena, &decision);

    if (err == HM_OK) {
        hm_household_id_to_text(&decision.household, id);
        err = hm_call_household(call, id, arena, &h);
    }
    if (err == HM_OK) {
        err = hm_save_json_target(call, &h, arena, &signer.scope);
    }
    if (err != HM_OK) {
        return err;
    }
    hm_save_json_sign(call, &signer);
    hm_dot_to_text(dot, id);
    (void)snprintf(reason, sizeof reason, "undo of %s", id);
    signer.reason = hm_bytes_str(reason);
    err = hm_decisions_undo(call->s, &decision, &signer, hm_call_policy_of, call, arena,
                            &undo);
    if (err != HM_OK) {
        return err;
    }
    bulk->households += undo.changes > 0 ? 1 : 0;
    bulk->resolved += undo.cells;
    bulk->skipped += undo.skipped;
    bulk->left += undo.already ? 1 : 0;
    call->answer->saved =
        call->answer->saved || (undo.changes > 0 && call->role != HM_NODE_CENTRE);
    return undo.changes > 0 ? note_change(bulk, &undo.dot) : HM_OK;
}

static int undo_some(struct hm_call *call, struct bulk *bulk, uint64_t decision,
                     bool *out_more)
{
    struct hm_dot dots[HOUSEHOLDS_PER_CALL];
    size_t count = 0;
    int err = hm_decisions_of(call->s, decision, &bulk->undone, dots,
                              HOUSEHOLDS_PER_CALL, &count);

    if (err == HM_OK && count == 0 && bulk->undone.n == 0) {
        return hm_call_fail(call, HM_NOTFOUND,
                            "decision %016" PRIx64 " was not made on this node",
                            decision);
    }
    for (size_t i = 0; i < count && err == HM_OK; i++) {
        struct hm_arena arena;

        hm_arena_init(&arena, HM_CALL_HOUSEHOLD_BYTES_MAX);
        err = undo_one(call, bulk, &dots[i], &arena);
        hm_arena_deinit(&arena);
        if (is_about_one(err)) {
            forget_line(call);
            bulk->skipped++;
            err = HM_OK;
        }
        bulk->undone = dots[i];
    }
    *out_more = count == HOUSEHOLDS_PER_CALL;
    return err;
}

/* 16 hex digits: what many changes share. */
static bool read_decision(const char *text, uint64_t *out)
{
    char *end = NULL;

    if (strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16) {
        return false;
    }
    *out = strtoull(text, &end, 16);
    return *out != 0;
}

static int answer_undone(struct hm_call *call, const struct bulk *bulk)
{
    call->reply = json_pack(
        "{s:I, s:I, s:I, s:I, s:O, s:I}", "undone", (json_int_t)bulk->resolved,
        "households", (json_int_t)bulk->households, "skipped",
        (json_int_t)bulk->skipped, "already", (json_int_t)bulk->left, "changes",
        bulk->changes, "change_count", (json_int_t)bulk->change_count);
    return call->reply == NULL ? HM_NOMEM : HM_OK;
}

int hm_conflicts_handle_undo(struct hm_call *call)
{
    struct bulk *bulk = NULL;
    struct hm_dot dot;
    const char *text = NULL;
    uint64_t decision = 0;
    bool more = false;
    int err = hm_call_may_save(call);

    if (err == HM_OK) {
        err = hm_api_json_text(call, call->body, "change", true, &text);
    }
    if (err == HM_OK) {
        err = resume(call, &bulk);
    }
    if (err != HM_OK) {
        return err;
    }
    if (read_decision(text, &decision)) {
        err = undo_some(call, bulk, decision, &more);
    } else if (hm_dot_from_text(text, &dot) == HM_OK) {
        err = undo_one(call, bulk, &dot, &call->arena);
    } else {
        err = hm_call_fail(call, HM_INVALID, "%s is neither a change nor a decision",
                           text);
    }
    call->answer->again = err == HM_OK && more;
    return err == HM_OK && !more ? answer_undone(call, bulk) : err;
}
