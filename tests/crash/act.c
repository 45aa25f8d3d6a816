#include "tests/crash/act.h"

#include <stdio.h>
#include <stdlib.h>

#include "protocol/form/value.h"
#include "protocol/pack.h"
#include "storage/imports.h"
#include "storage/quarantine.h"

enum { ARENA_BYTES = 64 * 1024 * 1024, TEXT_MAX = 128, EXCHANGES_MAX = 60 };

static struct hm_store *store_of(struct hm_world *w, unsigned node)
{
    return hm_world_node(w, node)->node.store;
}

/* -- Looking -------------------------------------------------------------------------
 */

/* What a cell shows, "" for nothing. */
static int shown(struct hm_world *w, unsigned node, const struct hm_household *h,
                 const struct hm_row *row, uint32_t field, struct hm_arena *arena,
                 char out[TEXT_MAX])
{
    struct hm_policy_view view;
    struct hm_buf buf;
    int err;

    out[0] = 0;
    if (row == NULL) {
        return HM_OK;
    }
    err = hm_policy_view(
        hm_forms_policy_of(hm_world_node(w, node)->forms, &row->key, field), h,
        hm_row_cell(row, field), arena, &view);
    if (err != HM_OK || !view.answered) {
        return err;
    }
    hm_buf_init(&buf, TEXT_MAX);
    err = hm_value_to_text(view.value, &buf);
    if (err == HM_OK) {
        (void)snprintf(out, TEXT_MAX, "%s", hm_buf_str(&buf)); /* ours are short */
    }
    hm_buf_deinit(&buf);
    return err;
}

static const struct hm_row *root_of(struct hm_world *w, const struct hm_household *h)
{
    return hm_household_row(h, &(struct hm_row_key){.form = w->v.form});
}

struct looking {
    struct hm_world *w;
    unsigned node;
    const char *name;
    struct hm_arena *arena;
    struct hm_household h;
    bool found;
};

static int look_at(void *arg, const struct hm_household_row *row)
{
    struct looking *l = arg;
    struct hm_household h;
    char name[TEXT_MAX];
    int err;

    if (l->found) {
        return HM_OK;
    }
    err = hm_household_decode(row->state, l->arena, &h);
    if (err == HM_OK) {
        err = shown(l->w, l->node, &h, root_of(l->w, &h), l->w->v.name, l->arena, name);
    }
    if (err == HM_OK && strcmp(name, l->name) == 0) {
        l->h = h;
        l->found = true;
    }
    return err;
}

/* The household with this name, as a person finds it. */
static int look_for(struct hm_world *w, unsigned node, const char *name,
                    struct hm_arena *arena, struct hm_household *out, bool *out_found)
{
    struct looking l = {.w = w, .node = node, .name = name, .arena = arena};
    int err = HM_OK;

    for (unsigned i = 0; i < HM_VILLAGE_HAMLETS && err == HM_OK && !l.found; i++) {
        err = hm_households_each(store_of(w, node), w->v.hamlets[i], 0, look_at, &l);
    }
    *out = l.h;
    *out_found = l.found;
    return err;
}

static int find_member(struct hm_world *w, unsigned node, const struct hm_household *h,
                       const char *member, struct hm_arena *arena,
                       const struct hm_row **out_row)
{
    char name[TEXT_MAX];
    int err = HM_OK;

    *out_row = NULL;
    for (size_t i = 0; i < h->row_count && err == HM_OK; i++) {
        const struct hm_row *row = &h->rows[i];

        if (row->key.repeat == w->v.members &&
            hm_policy_row_state(row) == HM_ROW_ACTIVE) {
            err = shown(w, node, h, row, w->v.member_name, arena, name);
            if (err == HM_OK && strcmp(name, member) == 0) {
                *out_row = row;
                return HM_OK;
            }
        }
    }
    return err;
}

/* -- Saving --------------------------------------------------------------------------
 */

static void ack_save(struct hm_world *w, unsigned node,
                     const struct hm_save_result *result)
{
    if (result->changed) {
        hm_world_ack(w, &(struct hm_ack){.kind = HM_ACK_SAVE,
                                         .node = node,
                                         .household = result->household,
                                         .dot = result->dot});
    }
}

/* Whether the planted program answers now, before it has committed. */
static bool answers_early(const struct hm_world *w, unsigned node)
{
    return node == w->victim && w->plant == HM_PLANT_EARLY;
}

static int save(struct hm_world *w, unsigned node, const struct hm_save *save,
                struct hm_arena *arena)
{
    struct hm_village_node *n = hm_world_node(w, node);
    struct hm_save_result result = {0};
    int err;

    n->node.now_ms += 1000;
    err = hm_store_begin(n->node.store);
    if (err != HM_OK) {
        return err;
    }
    err =
        hm_save_run(n->node.store, save, hm_forms_policy_of, n->forms, arena, &result);
    if (err == HM_OK && answers_early(w, node)) {
        ack_save(w, node, &result);
        return hm_store_end(n->node.store, err);
    }
    err = hm_store_end(n->node.store, err);
    if (err == HM_OK) {
        ack_save(w, node, &result);
    }
    return err;
}

static struct hm_bytes text_value(struct hm_arena *arena, const char *text)
{
    struct hm_bytes out = {0};
    struct hm_buf buf;

    hm_buf_init(&buf, TEXT_MAX + 8);
    hm_pack_str(&buf, hm_bytes_str(text));
    CHECK_OK(buf.err);
    CHECK_OK(hm_arena_copy(arena, hm_buf_bytes(&buf), &out));
    hm_buf_deinit(&buf);
    return out;
}

static int save_new(struct hm_world *w, unsigned node, unsigned hamlet,
                    const char *name, unsigned members, struct hm_arena *arena)
{
    struct hm_save_cell root = {.field = w->v.name, .value = text_value(arena, name)};
    struct hm_save_cell cells[16];
    struct hm_save_row rows[17] = {
        {.form = w->v.form, .cells = &root, .cell_count = 1}};
    struct hm_save new = {.creates = true,
                          .scope = w->v.hamlets[hamlet],
                          .rank = 4,
                          .rows = rows,
                          .row_count = 1 + members};

    assert_true(members <= 16);
    for (unsigned i = 0; i < members; i++) {
        char member[TEXT_MAX];

        (void)snprintf(member, sizeof member, "member %u", i);
        cells[i] = (struct hm_save_cell){.field = w->v.member_name,
                                         .value = text_value(arena, member)};
        rows[1 + i] = (struct hm_save_row){.form = w->v.form,
                                           .repeat = w->v.members,
                                           .cells = &cells[i],
                                           .cell_count = 1};
    }
    return save(w, node, &new, arena);
}

int hm_act_new(struct hm_world *w, unsigned node, unsigned hamlet, const char *name,
               unsigned members)
{
    struct hm_household h;
    struct hm_arena arena;
    bool found = false;
    int err = hm_world_start(w, node);

    if (err != HM_OK) {
        return err;
    }
    hm_arena_init(&arena, ARENA_BYTES);
    err = look_for(w, node, name, &arena, &h, &found);
    if (err == HM_OK && !found) {
        err = save_new(w, node, hamlet, name, members, &arena);
    }
    hm_arena_deinit(&arena);
    return err;
}

/* What is done to a household that is there. */
struct edit {
    struct hm_world *w;
    unsigned node;
    struct hm_arena arena;
    struct hm_household h;
    struct hm_save_cell cell;
    struct hm_save_row row;
};

static int begin_edit(struct edit *e, struct hm_world *w, unsigned node,
                      const char *name)
{
    bool found = false;
    int err = hm_world_start(w, node);

    *e = (struct edit){.w = w, .node = node};
    hm_arena_init(&e->arena, ARENA_BYTES);
    if (err == HM_OK) {
        err = look_for(w, node, name, &e->arena, &e->h, &found);
    }
    e->row =
        (struct hm_save_row){.form = w->v.form, .cells = &e->cell, .cell_count = 1};
    return err == HM_OK && !found ? HM_NOTFOUND : err;
}

/* Saves the row when err is HM_OK, and ends the edit. */
static int end_edit(struct edit *e, int err, bool saves)
{
    struct hm_save change = {.household = e->h.id,
                             .scope = e->h.home,
                             .rank = 4,
                             .rows = &e->row,
                             .row_count = 1};

    if (err == HM_OK && saves) {
        err = save(e->w, e->node, &change, &e->arena);
    }
    hm_arena_deinit(&e->arena);
    return err;
}

int hm_act_put(struct hm_world *w, unsigned node, const char *name, uint32_t field,
               const char *text)
{
    struct edit e;
    int err = begin_edit(&e, w, node, name);

    e.cell = (struct hm_save_cell){.field = field, .value = text_value(&e.arena, text)};
    return end_edit(&e, err, true);
}

int hm_act_add_member(struct hm_world *w, unsigned node, const char *name,
                      const char *member)
{
    const struct hm_row *row = NULL;
    struct edit e;
    int err = begin_edit(&e, w, node, name);

    if (err == HM_OK) {
        err = find_member(w, node, &e.h, member, &e.arena, &row);
    }
    e.row.repeat = w->v.members;
    e.cell = (struct hm_save_cell){.field = w->v.member_name,
                                   .value = text_value(&e.arena, member)};
    return end_edit(&e, err, row == NULL);
}

int hm_act_remove_member(struct hm_world *w, unsigned node, const char *name,
                         const char *member)
{
    const struct hm_row *row = NULL;
    struct edit e;
    int err = begin_edit(&e, w, node, name);

    if (err == HM_OK) {
        err = find_member(w, node, &e.h, member, &e.arena, &row);
    }
    e.row.repeat = w->v.members;
    e.row.removed = true;
    e.row.item = row == NULL ? (struct hm_item){0} : row->key.item;
    return end_edit(&e, err, row != NULL);
}

int hm_act_resolve(struct hm_world *w, unsigned node, const char *name, uint32_t field,
                   const char *text)
{
    const struct hm_cell *now = NULL;
    struct hm_dot dots[16];
    struct edit e;
    int err = begin_edit(&e, w, node, name);

    if (err == HM_OK) {
        now = hm_row_cell(root_of(w, &e.h), field);
    }
    for (size_t i = 0; now != NULL && i < now->sibling_count && i < 16; i++) {
        dots[i] = now->siblings[i].dot;
    }
    e.cell =
        (struct hm_save_cell){.field = field,
                              .value = text_value(&e.arena, text),
                              .decided = dots,
                              .decided_count = now == NULL ? 0 : now->sibling_count};
    return end_edit(&e, err, now != NULL && now->sibling_count > 1);
}

/* -- Imports and quarantine ----------------------------------------------------------
 */

static const uint8_t imported_file[HM_CONTENT_HASH_BYTES] = {7, 7, 7};

/* One line, in the transaction of the caller; *out_ack for it. */
static int import_line(struct hm_world *w, unsigned node, unsigned line,
                       struct hm_arena *arena, struct hm_ack *out_ack)
{
    struct hm_village_node *n = hm_world_node(w, node);
    char name[TEXT_MAX];
    struct hm_save_cell cell = {.field = w->v.name};
    struct hm_save_row row = {.form = w->v.form, .cells = &cell, .cell_count = 1};
    struct hm_save new = {.creates = true,
                          .scope = w->v.hamlets[line % HM_VILLAGE_HAMLETS],
                          .rank = 12,
                          .rows = &row,
                          .row_count = 1};
    struct hm_save_result result = {0};
    int err = hm_imports_find(n->node.store, imported_file, line, &result.household);

    if (err == HM_NOTFOUND) {
        (void)snprintf(name, sizeof name, "line %u", line);
        cell.value = text_value(arena, name);
        err = hm_save_run(n->node.store, &new, hm_forms_policy_of, n->forms, arena,
                          &result);
        if (err == HM_OK) {
            err = hm_imports_put(n->node.store, imported_file, line, &result.household);
        }
    }
    *out_ack = (struct hm_ack){
        .kind = HM_ACK_LINE, .node = node, .id = line, .household = result.household};
    memcpy(out_ack->hash.bytes, imported_file, HM_HASH_BYTES);
    return err;
}

static int import_turn(struct hm_world *w, unsigned node, unsigned first, unsigned last,
                       struct hm_arena *arena)
{
    struct hm_village_node *n = hm_world_node(w, node);
    struct hm_ack acks[10];
    unsigned count = 0;
    int err = hm_store_begin(n->node.store);

    if (err != HM_OK) {
        return err;
    }
    n->node.now_ms += 1000;
    for (unsigned line = first; line <= last && err == HM_OK; line++) {
        err = import_line(w, node, line, arena, &acks[count]);
        count += err == HM_OK;
    }
    if (answers_early(w, node) && err == HM_OK) {
        for (unsigned i = 0; i < count; i++) {
            hm_world_ack(w, &acks[i]);
        }
    }
    err = hm_store_end(n->node.store, err);
    for (unsigned i = 0; i < count && err == HM_OK; i++) {
        hm_world_ack(w, &acks[i]);
    }
    return err;
}

int hm_act_import(struct hm_world *w, unsigned node, unsigned count)
{
    int err = hm_world_start(w, node);

    for (unsigned first = 1; first <= count && err == HM_OK; first += 10) {
        unsigned last = first + 9 < count ? first + 9 : count;
        struct hm_arena arena;

        hm_arena_init(&arena, ARENA_BYTES);
        err = import_turn(w, node, first, last, &arena);
        hm_arena_deinit(&arena);
    }
    return err;
}

struct held {
    struct hm_arena *arena;
    struct hm_quarantine_entry entry;
    bool found;
};

static int find_held(void *arg, const struct hm_quarantine_entry *entry)
{
    struct held *held = arg;

    if (held->found || entry->released || entry->dot.n == 0) {
        return HM_OK;
    }
    held->entry = *entry;
    held->found = true;
    return hm_arena_copy(held->arena, entry->bytes, &held->entry.bytes);
}

/* The saves of a change, written as its household's own again. */
static int write_again(struct hm_world *w, unsigned node, const struct held *held,
                       struct hm_save_result *result)
{
    struct hm_village_node *n = hm_world_node(w, node);
    struct hm_save again = {.household = held->entry.household,
                            .scope = held->entry.scope,
                            .rank = 12,
                            .restores = true};
    struct hm_change change;
    struct hm_save_row *rows;
    int err =
        hm_change_decode(held->entry.bytes, &held->entry.dot, held->arena, &change);

    if (err != HM_OK) {
        return err;
    }
    again.creates = hm_change_creates(&change, &held->entry.dot);
    rows = hm_arena_array(held->arena, change.row_count, sizeof *rows);
    assert_non_null(rows);
    for (size_t i = 0; i < change.row_count; i++) {
        const struct hm_row_write *from = &change.rows[i];

        rows[i] = (struct hm_save_row){.form = from->key.form,
                                       .round = from->key.round,
                                       .repeat = from->key.repeat,
                                       .item = from->key.item,
                                       .cell_count = 0};
        rows[i].cells =
            hm_arena_array(held->arena, from->cell_count, sizeof rows[i].cells[0]);
        assert_non_null(rows[i].cells);
        for (size_t j = 0; j < from->cell_count; j++) {
            if (from->cells[j].field >= 16) { /* scope and status are not written so */
                rows[i].cells[rows[i].cell_count++] = (struct hm_save_cell){
                    .field = from->cells[j].field, .value = from->cells[j].value};
            }
        }
        again.row_count += rows[i].cell_count > 0 ? 1 : 0;
    }
    again.rows = rows;
    return hm_save_run(n->node.store, &again, hm_forms_policy_of, n->forms, held->arena,
                       result);
}

static int release_one(struct hm_world *w, unsigned node, struct held *held)
{
    struct hm_store *s = store_of(w, node);
    struct hm_save_result result = {0};
    int err = hm_store_begin(s);

    if (err != HM_OK) {
        return err;
    }
    err = hm_quarantine_each(s, find_held, held);
    if (err == HM_OK && held->found) {
        err = write_again(w, node, held, &result);
    }
    if (err == HM_OK && held->found) {
        err = hm_quarantine_set_released(s, &held->entry.hash);
    }
    err = hm_store_end(s, err);
    if (err == HM_OK && held->found) {
        ack_save(w, node, &result);
        hm_world_ack(w, &(struct hm_ack){.kind = HM_ACK_RELEASED,
                                         .node = node,
                                         .hash = held->entry.hash});
    }
    return err;
}

int hm_act_release(struct hm_world *w, unsigned node)
{
    bool more = true;
    int err = hm_world_start(w, node);

    while (err == HM_OK && more) {
        struct hm_arena arena;
        struct held held = {.arena = &arena};

        hm_arena_init(&arena, ARENA_BYTES);
        err = release_one(w, node, &held);
        hm_arena_deinit(&arena);
        more = held.found;
    }
    return err;
}

/* -- Exchanges -----------------------------------------------------------------------
 */

static int blame(const struct hm_world *w, unsigned node, int err)
{
    return err == HM_OK || node == w->victim ? err : HM_DENIED;
}

int hm_act_build(struct hm_world *w, unsigned node, size_t chunk_bytes)
{
    struct hm_upload upload;
    struct hm_buf body;
    int err = hm_world_start(w, node);

    if (err != HM_OK) {
        return err;
    }
    hm_buf_init(&body, HM_REQUEST_BYTES_MAX);
    err = hm_upload_build(store_of(w, node), chunk_bytes, &body, &upload);
    hm_buf_deinit(&body);
    return err;
}

struct exchange {
    struct hm_buf body;
    struct hm_upload upload;
    struct hm_serve_request request;
};

static int adopt(struct hm_world *w, unsigned node, const struct hm_serve_reply *reply,
                 bool *inout_more)
{
    struct hm_village_node *n = hm_world_node(w, node);
    struct hm_adopt out = {0};
    int err = reply->err;

    if (err != HM_OK) {
        (void)hm_world_fail(w, "the centre refused a request: %s", reply->errmsg);
        return HM_DENIED;
    }
    err = hm_adopt_reply(n->node.store, n->forms, hm_buf_bytes(&reply->body),
                         n->node.now_ms, n->node.now_ms, &out);
    *inout_more = *inout_more || out.more || !out.digest_equal;
    return blame(w, node, err);
}

static int exchange(struct hm_world *w, unsigned first, unsigned last,
                    size_t chunk_bytes, bool *out_more)
{
    struct exchange parts[HM_WORLD_NODES_MAX];
    struct hm_serve_request requests[HM_WORLD_NODES_MAX] = {0};
    struct hm_serve_reply replies[HM_WORLD_NODES_MAX];
    unsigned count = last - first + 1;
    bool served = false;
    int err = HM_OK;

    *out_more = false;
    for (unsigned i = 0; i < count; i++) {
        parts[i] = (struct exchange){.upload = {0}};
        hm_buf_init(&parts[i].body, HM_REQUEST_BYTES_MAX);
    }
    for (unsigned i = 0; i < count && err == HM_OK; i++) {
        struct hm_village_node *n = hm_world_node(w, first + i);

        err = hm_upload_build(n->node.store, chunk_bytes, &parts[i].body,
                              &parts[i].upload);
        err = blame(w, first + i, err);
        requests[i] = (struct hm_serve_request){.device = n->node.device,
                                                .body = hm_buf_bytes(&parts[i].body),
                                                .received_utc_ms = n->node.now_ms};
        *out_more = *out_more || parts[i].upload.more;
    }
    if (err == HM_OK) {
        err = hm_serve_batch(w->v.centre.node.store, w->v.centre.forms, requests,
                             replies, count);
        served = true;
        err = blame(w, 0, err);
    }
    for (unsigned i = 0; i < count && served; i++) {
        if (err == HM_OK) {
            err = adopt(w, first + i, &replies[i], out_more);
        }
        hm_serve_reply_deinit(&replies[i]);
    }
    for (unsigned i = 0; i < count; i++) {
        hm_buf_deinit(&parts[i].body);
    }
    return err;
}

int hm_act_sync(struct hm_world *w, unsigned first, unsigned last, size_t chunk_bytes)
{
    bool more = true;
    int err = hm_world_start(w, 0);

    for (unsigned i = first; i <= last && err == HM_OK; i++) {
        err = hm_world_start(w, i);
    }
    for (int i = 0; i < EXCHANGES_MAX && err == HM_OK && more; i++) {
        err = exchange(w, first, last, chunk_bytes, &more);
    }
    if (err == HM_OK && more) {
        (void)hm_world_fail(w, "%d exchanges did not come to an end", EXCHANGES_MAX);
        err = HM_DENIED;
    }
    return err;
}
