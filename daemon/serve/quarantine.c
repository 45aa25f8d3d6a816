/* Routes below quarantine/. */
#include "storage/quarantine.h"

#include <stdio.h>
#include <stdlib.h>

#include <sodium.h>

#include "daemon/serve/api_json.h"
#include "daemon/serve/cells.h"
#include "daemon/serve/handlers.h"
#include "daemon/serve/save_json.h"
#include "storage/households.h"
#include "storage/log.h"

/* -- As JSON -- */

static int content_json(struct hm_call *call, const struct hm_change *change,
                        json_t *content)
{
    int err = HM_OK;

    for (size_t i = 0; i < change->row_count && err == HM_OK; i++) {
        const struct hm_row_write *row = &change->rows[i];

        for (size_t j = 0; j < row->cell_count && err == HM_OK; j++) {
            json_t *cell = json_object();
            bool removal = row->cells[j].field == HM_FIELD_STATUS &&
                           hm_cells_is_removal(row->cells[j].value);

            err = hm_cells_describe_cell(call, &row->key, row->cells[j].field, cell);
            (void)json_object_del(cell, "field"); /* the cell's line has it */
            if (err == HM_OK) {
                err = hm_cells_set(cell, "value",
                                   removal ? json_string("removed")
                                           : hm_cells_value(row->cells[j].value));
            }
            if (err == HM_OK) {
                err = hm_cells_append(content, json_incref(cell));
            }
            json_decref(cell);
        }
    }
    return err;
}

/* What can be said about the change itself; nothing of bytes that are none. */
static int add_change(struct hm_call *call, const struct hm_quarantine_entry *entry,
                      struct hm_arena *arena, bool with_content, json_t *object)
{
    struct hm_change change;
    struct hm_log log;
    json_t *content = json_array();
    int64_t when = 0;
    bool readable = entry->dot.n > 0 && hm_change_decode(entry->bytes, &entry->dot,
                                                         arena, &change) == HM_OK;
    int err = HM_OK;

    if (readable && hm_log_get(call->s, entry->dot.incarnation, &log) == HM_OK) {
        when = log.author.base_wall_ms + log.author.clock_offset_ms + change.dt_ms;
    }
    if (readable) {
        const char *who = hm_call_user_name(call, change.user, entry->device, arena);

        err = who == NULL ? HM_NOMEM : hm_cells_set(object, "who", json_string(who));
    }
    if (err == HM_OK && when != 0) {
        err = hm_cells_set(object, "when", hm_call_time_json(when));
    }
    if (err == HM_OK && with_content) {
        err = readable ? content_json(call, &change, content) : HM_OK;
        if (err == HM_OK) {
            err = hm_cells_set(object, "content", json_incref(content));
        }
    }
    json_decref(content);
    return err;
}

static int entry_json(struct hm_call *call, const struct hm_quarantine_entry *entry,
                      bool with_content, json_t **out_json)
{
    bool known = entry->household.a != 0 || entry->household.n != 0;
    const char *detail = entry->detail != NULL && entry->detail[0] != 0
                             ? entry->detail
                             : hm_err_text(entry->reason);
    char household[HM_ID_TEXT_MAX];
    char id[HM_QUARANTINE_ID_MAX];
    struct hm_arena arena;
    const char *device;
    json_t *object;
    int err;

    hm_arena_init(&arena, HM_CALL_HOUSEHOLD_BYTES_MAX);
    hm_quarantine_id(entry, id);
    hm_household_id_to_text(&entry->household, household);
    device = hm_call_device_name(call, entry->device, &arena);
    object =
        json_pack("{s:s, s:o, s:o, s:s, s:n, s:n, s:o, s:s, s:s}", "id", id,
                  "household", known ? json_string(household) : json_null(), "scope",
                  hm_cells_text_or_null(hm_units_code_of(call->tree, entry->scope)),
                  "device", device == NULL ? "" : device, "who", "when", "since",
                  hm_call_time_json(entry->since_utc_ms), "reason", detail, "state",
                  entry->released ? "released" : "held");
    err = object == NULL || device == NULL
              ? HM_NOMEM
              : add_change(call, entry, &arena, with_content, object);
    hm_arena_deinit(&arena);
    if (err != HM_OK) {
        json_decref(object);
        return err;
    }
    *out_json = object;
    return HM_OK;
}

/* -- Lists -- */

struct listing {
    struct hm_call *call;
    const char *id; /* of the only one that is asked for; NULL: all */
    bool found;
};

static bool may_see(struct hm_call *call, const struct hm_quarantine_entry *entry)
{
    return call->asker.user == HM_USER_OPERATOR ||
           (entry->scope != 0 && hm_call_may_see(call, entry->scope));
}

static int list_one(void *arg, const struct hm_quarantine_entry *entry)
{
    struct listing *list = arg;
    json_t *object = NULL;
    int err = HM_OK;

    if (may_see(list->call, entry)) {
        err = entry_json(list->call, entry, false, &object);
        if (err == HM_OK) {
            err = hm_cells_append(list->call->reply, object);
        }
    }
    return err;
}

int hm_quarantine_handle_list(struct hm_call *call)
{
    struct listing list = {.call = call};
    int err = hm_call_tree(call);

    if (err == HM_OK) {
        err = hm_call_forms(call);
    }
    call->reply = json_array();
    return err == HM_OK ? hm_quarantine_each(call->s, list_one, &list) : err;
}

static int find(struct hm_call *call, struct hm_quarantine_entry *out)
{
    int err = hm_call_tree(call);

    if (err == HM_OK) {
        err = hm_call_forms(call);
    }
    if (err == HM_OK) {
        err = hm_quarantine_get(call->s, call->members[0], &call->arena, out);
    }
    if (err == HM_NOTFOUND || (err == HM_OK && !may_see(call, out))) {
        return hm_call_fail(call, HM_NOTFOUND, "nothing in quarantine has the id %s",
                            call->members[0]);
    }
    return err;
}

int hm_quarantine_handle_show(struct hm_call *call)
{
    struct hm_quarantine_entry entry;
    int err = find(call, &entry);

    return err == HM_OK ? entry_json(call, &entry, true, &call->reply) : err;
}

static int add_bytes(json_t *object, struct hm_bytes bytes)
{
    size_t room = sodium_base64_encoded_len(bytes.len, sodium_base64_VARIANT_ORIGINAL);
    struct hm_buf text;
    uint8_t *out;
    int err;

    hm_buf_init(&text, room);
    out = hm_buf_reserve(&text, room);
    err = text.err;
    if (err == HM_OK) {
        (void)sodium_bin2base64((char *)out, room, bytes.data, bytes.len,
                                sodium_base64_VARIANT_ORIGINAL);
        err = hm_cells_set(object, "bytes", json_string((const char *)out));
    }
    hm_buf_deinit(&text);
    return err;
}

static int export_one(void *arg, const struct hm_quarantine_entry *entry)
{
    struct listing *list = arg;
    char id[HM_QUARANTINE_ID_MAX];
    json_t *object = NULL;
    int err;

    hm_quarantine_id(entry, id);
    if (!may_see(list->call, entry) ||
        (list->id != NULL && strcmp(list->id, id) != 0)) {
        return HM_OK;
    }
    list->found = true;
    err = entry_json(list->call, entry, true, &object);
    if (err == HM_OK) {
        err = add_bytes(object, entry->bytes);
    }
    if (err == HM_OK) {
        hm_spool_json(list->call->out, json_incref(object));
        hm_spool_text(list->call->out, "\n");
        err = list->call->out->err;
    }
    json_decref(object);
    return err;
}

int hm_quarantine_handle_export(struct hm_call *call)
{
    struct listing list = {.call = call, .id = hm_call_parameter(call, "id")};
    int err = hm_call_tree(call);

    if (err == HM_OK) {
        err = hm_call_forms(call);
    }
    if (err == HM_OK) {
        err = hm_api_json_stream(call, "application/x-ndjson");
    }
    if (err == HM_OK) {
        err = hm_quarantine_each(call->s, export_one, &list);
    }
    if (err == HM_OK && list.id != NULL && !list.found) {
        err = hm_call_fail(call, HM_NOTFOUND, "nothing in quarantine has the id %s",
                           list.id);
    }
    return err;
}

/* -- Release -- */

struct release {
    struct hm_call *call;
    const struct hm_quarantine_entry *entry;
    struct hm_change change;
    struct hm_save save;
    /* cells in which an accepted change names the quarantined dot */
    struct hm_change *later;
    size_t later_count;
};

static bool names(const struct hm_cell_write *write, const struct hm_dot *dot)
{
    for (size_t i = 0; i < write->replaced_count; i++) {
        if (hm_dot_compare(&write->replaced[i], dot) == 0) {
            return true;
        }
    }
    return false;
}

/* Else the value would come back beside its replacement. */
static bool was_replaced(const struct release *r, const struct hm_row_key *key,
                         uint32_t field)
{
    for (size_t i = 0; i < r->later_count; i++) {
        for (size_t j = 0; j < r->later[i].row_count; j++) {
            const struct hm_row_write *row = &r->later[i].rows[j];

            for (size_t k = 0;
                 hm_row_key_compare(&row->key, key) == 0 && k < row->cell_count; k++) {
                if (row->cells[k].field == field &&
                    names(&row->cells[k], &r->entry->dot)) {
                    return true;
                }
            }
        }
    }
    return false;
}

/* Accepted changes of the household, as far as they are held. */
static int load_later(struct release *r, uint32_t home)
{
    struct hm_arena *arena = &r->call->arena;
    struct hm_dot *dots = NULL;
    size_t count = 0;
    int err =
        hm_log_history(r->call->s, home, &r->change.household, arena, &dots, &count);

    if (err == HM_OK) {
        r->later = hm_arena_array(arena, count, sizeof r->later[0]);
        err = r->later == NULL ? HM_NOMEM : HM_OK;
    }
    for (size_t i = 0; i < count && err == HM_OK; i++) {
        struct hm_bytes bytes = {0};
        int verdict = HM_OK;

        err = hm_log_entry(r->call->s, dots[i].incarnation, dots[i].n, arena, &bytes,
                           &verdict);
        if (err == HM_OK && verdict == HM_OK) {
            err = hm_change_decode(bytes, &dots[i], arena, &r->later[r->later_count]);
            r->later_count += err == HM_OK ? 1 : 0;
        }
        err = err == HM_NOTFOUND ? HM_OK : err;
    }
    return err;
}

static int add_row(struct release *r, const struct hm_row_write *from)
{
    static const struct hm_dot none; /* decides on nothing, which is not NULL */
    struct hm_save_row *row = &r->save.rows[r->save.row_count];

    row->form = from->key.form;
    row->round = from->key.round;
    row->repeat = from->key.repeat;
    row->item = from->key.item;
    row->cells =
        hm_arena_array(&r->call->arena, from->cell_count, sizeof row->cells[0]);
    if (row->cells == NULL) {
        return HM_NOMEM;
    }
    for (size_t i = 0; i < from->cell_count; i++) {
        const struct hm_cell_write *write = &from->cells[i];

        if (!was_replaced(r, &from->key, write->field)) {
            row->cells[row->cell_count++] = (struct hm_save_cell){
                write->field, write->value,
                write->replaced_count == 0 ? &none : write->replaced,
                write->replaced_count};
        }
    }
    r->save.row_count += row->cell_count > 0 ? 1 : 0;
    return HM_OK;
}

static int add_reason(struct release *r)
{
    const char *reason = NULL;
    char dot[HM_ID_TEXT_MAX];
    char *text = hm_arena_alloc(&r->call->arena, HM_CHANGE_REASON_BYTES_MAX + 1);
    int err = r->call->body == NULL
                  ? HM_OK
                  : hm_api_json_text(r->call, r->call->body, "reason", false, &reason);
    int len;

    if (err != HM_OK || text == NULL) {
        return err != HM_OK ? err : HM_NOMEM;
    }
    hm_dot_to_text(&r->entry->dot, dot);
    len = snprintf(text, HM_CHANGE_REASON_BYTES_MAX + 1, "released %s%s%s", dot,
                   reason == NULL ? "" : ": ", reason == NULL ? "" : reason);
    if (len < 0 || len > HM_CHANGE_REASON_BYTES_MAX) {
        return hm_call_fail(r->call, HM_TOOBIG, "reason has at most %d bytes",
                            HM_CHANGE_REASON_BYTES_MAX - 60);
    }
    r->save.reason = hm_bytes_str(text);
    return HM_OK;
}

static int make_save(struct release *r)
{
    uint32_t home = 0;
    int err = hm_households_home(r->call->s, &r->change.household, &home);

    r->save.restores = true; /* it may have been refused before it was made */
    r->save.household = r->change.household;
    r->save.scope = r->change.scope;
    hm_save_json_sign(r->call, &r->save);
    r->save.rows =
        hm_arena_array(&r->call->arena, r->change.row_count, sizeof r->save.rows[0]);
    if (r->save.rows == NULL) {
        return HM_NOMEM;
    }
    if (err == HM_OK) {
        err = load_later(r, home);
    }
    err = err == HM_NOTFOUND ? HM_OK : err;
    for (size_t i = 0; i < r->change.row_count && err == HM_OK; i++) {
        err = add_row(r, &r->change.rows[i]);
    }
    return err == HM_OK ? add_reason(r) : err;
}

/* Write the change again in the asker's name. */
static int release(struct release *r, struct hm_save_result *out)
{
    struct hm_call *call = r->call;
    int err = HM_OK;

    if (r->entry->dot.n == 0 || hm_change_decode(r->entry->bytes, &r->entry->dot,
                                                 &call->arena, &r->change) != HM_OK) {
        char id[HM_QUARANTINE_ID_MAX];

        hm_quarantine_id(r->entry, id);
        return hm_call_fail(call, HM_INVALID,
                            "%s is not a change that can be written again", id);
    }
    err = make_save(r);
    if (err == HM_OK && r->save.row_count > 0) {
        err =
            hm_save_run(call->s, &r->save, hm_call_policy_of, call, &call->arena, out);
    }
    if (err == HM_OK) {
        err = hm_quarantine_set_released(call->s, &r->entry->hash);
    }
    if (err == HM_OK) {
        call->answer->saved =
            call->answer->saved || (out->changed && call->role != HM_NODE_CENTRE);
    }
    return err;
}

int hm_quarantine_handle_release(struct hm_call *call)
{
    struct hm_quarantine_entry entry;
    struct release r = {.call = call, .entry = &entry};
    struct hm_save_result result = {.changed = false};
    char household[HM_ID_TEXT_MAX];
    char dot[HM_ID_TEXT_MAX];
    int err = hm_call_may_save(call);

    if (err == HM_OK) {
        err = find(call, &entry);
    }
    if (err == HM_OK && entry.released) {
        err = hm_call_fail(call, HM_EXISTS, "%s is released already", call->members[0]);
    }
    if (err == HM_OK) {
        err = release(&r, &result);
    }
    if (err != HM_OK) {
        return err;
    }
    hm_household_id_to_text(&r.change.household, household);
    hm_dot_to_text(&result.dot, dot);
    call->reply =
        json_pack("{s:s, s:s, s:o}", "id", call->members[0], "household", household,
                  "change", result.changed ? json_string(dot) : json_null());
    return call->reply == NULL ? HM_NOMEM : HM_OK;
}

/* -- All of a device -- */

enum { RELEASES_MAX = 500 }; /* in one transaction */

struct held {
    struct hm_dot dot;
    int64_t born_ms; /* its log */
};

struct gathering {
    struct hm_call *call;
    uint64_t device;
    bool revoked_only;
    struct held *held;
    size_t count;
    size_t room;
};

static int gather(void *arg, const struct hm_quarantine_entry *entry)
{
    struct gathering *g = arg;

    if (entry->released || entry->dot.n == 0 || entry->device != g->device ||
        (g->revoked_only && entry->reason != HM_REVOKED) || !may_see(g->call, entry)) {
        return HM_OK;
    }
    if (g->count == g->room) {
        g->room = 2 * g->room + 64;
        g->held = hm_arena_grow(&g->call->arena, g->held, g->count, g->room,
                                sizeof g->held[0]);
        if (g->held == NULL) {
            return HM_NOMEM;
        }
    }
    g->held[g->count++] = (struct held){.dot = entry->dot};
    return HM_OK;
}

/* The newest first: what a later change replaced does not come back beside it. */
static int compare_held(const void *a, const void *b)
{
    const struct held *x = a;
    const struct held *y = b;

    if (x->born_ms != y->born_ms) {
        return x->born_ms < y->born_ms ? 1 : -1;
    }
    return -hm_dot_compare(&x->dot, &y->dot);
}

static int sort_held(struct gathering *g)
{
    int err = HM_OK;

    for (size_t i = 0; i < g->count && err == HM_OK; i++) {
        struct hm_log log = {0};

        err = hm_log_get(g->call->s, g->held[i].dot.incarnation, &log);
        g->held[i].born_ms = log.author.base_wall_ms;
        err = err == HM_NOTFOUND ? HM_OK : err;
    }
    if (g->count > 0) {
        qsort(g->held, g->count, sizeof g->held[0], compare_held);
    }
    return err;
}

/* One of many: what can't be written again stays where it is. */
static int try_release(struct gathering *g, const struct hm_dot *dot, bool *out_done)
{
    struct hm_own_log *own = hm_store_own_log(g->call->s);
    struct hm_own_log before = *own;
    struct hm_quarantine_entry entry;
    struct release r = {.call = g->call, .entry = &entry};
    struct hm_save_result result = {.changed = false};
    struct hm_db *db = hm_store_db(g->call->s);
    char id[HM_ID_TEXT_MAX];
    int err = hm_db_savepoint(db);

    if (err != HM_OK) {
        return err;
    }
    hm_dot_to_text(dot, id);
    err = hm_quarantine_get(g->call->s, id, &g->call->arena, &entry);
    if (err == HM_OK) {
        err = release(&r, &result);
    }
    *out_done = err == HM_OK;
    if (err == HM_OK) {
        return hm_db_release(db);
    }
    if (hm_err_class(err) != HM_CLASS_REJECT) {
        return err;
    }
    *own = before;
    return hm_db_rollback_to(db);
}

static int read_filters(struct gathering *g)
{
    const char *device = NULL;
    const json_t *revoked = json_object_get(g->call->body, "revoked");
    int err = hm_api_json_text(g->call, g->call->body, "device", true, &device);

    if (err == HM_OK && revoked != NULL && !json_is_boolean(revoked)) {
        err = hm_call_fail(g->call, HM_INVALID, "revoked is not true or false");
    }
    if (err == HM_OK && !hm_devices_read_id(device, &g->device)) {
        err = hm_call_fail(g->call, HM_INVALID, "device: %s is not a device's id",
                           device);
    }
    g->revoked_only = json_is_true(revoked);
    return err;
}

int hm_quarantine_handle_release_all(struct hm_call *call)
{
    struct gathering g = {.call = call};
    size_t released = 0;
    size_t failed = 0;
    int err = hm_call_may_save(call);

    if (err == HM_OK) {
        err = hm_call_tree(call);
    }
    if (err == HM_OK) {
        err = hm_call_forms(call);
    }
    if (err == HM_OK) {
        err = read_filters(&g);
    }
    if (err == HM_OK) {
        err = hm_quarantine_each(call->s, gather, &g);
    }
    if (err == HM_OK) {
        err = sort_held(&g);
    }
    for (size_t i = 0; i < g.count && i < RELEASES_MAX && err == HM_OK; i++) {
        bool done = false;

        err = try_release(&g, &g.held[i].dot, &done);
        released += done;
        failed += !done;
    }
    if (err != HM_OK) {
        return err;
    }
    call->line[0] = 0; /* of those that failed */
    call->reply = json_pack("{s:I, s:I, s:I}", "released", (json_int_t)released,
                            "failed", (json_int_t)failed, "left",
                            (json_int_t)(g.count - released - failed));
    return call->reply == NULL ? HM_NOMEM : HM_OK;
}
