/* How a household came to be: its changes that are held here. */
#include <stdlib.h>

#include "daemon/serve/cells.h"
#include "daemon/serve/household_json.h"
#include "storage/log.h"

struct past {
    struct hm_dot dot;
    struct hm_author author;
    struct hm_change change;
    int64_t utc_ms;
    bool read; /* accepted, and its bytes are here */
};

struct history {
    struct hm_call *call;
    struct hm_arena *arena;
    struct past *changes; /* newest first */
    size_t count;
};

static int read_past(struct history *history, const struct hm_dot *dot,
                     struct past *out)
{
    struct hm_store *s = history->call->s;
    struct hm_bytes bytes = {0};
    struct hm_log log;
    int verdict = HM_OK;
    int err = hm_log_get(s, dot->incarnation, &log);

    if (err == HM_OK) {
        err =
            hm_log_entry(s, dot->incarnation, dot->n, history->arena, &bytes, &verdict);
    }
    if (err == HM_NOTFOUND) {
        return HM_OK; /* this node has the state, not the log */
    }
    if (err == HM_OK) {
        err = hm_change_decode(bytes, dot, history->arena, &out->change);
    }
    if (err == HM_OK) {
        out->dot = *dot;
        out->author = log.author;
        out->utc_ms = log.author.base_wall_ms + out->change.dt_ms;
        out->utc_ms += log.author.clock_offset_ms;
        out->read = verdict == HM_OK;
    }
    return err;
}

static int compare_newest(const void *a, const void *b)
{
    const struct past *x = a;
    const struct past *y = b;

    if (x->utc_ms != y->utc_ms) {
        return x->utc_ms < y->utc_ms ? 1 : -1;
    }
    return -hm_dot_compare(&x->dot, &y->dot);
}

static int compare_dot(const void *a, const void *b)
{
    return hm_dot_compare(a, &((const struct past *)b)->dot);
}

static const struct hm_cell_write *
find_write(const struct past *past, const struct hm_row_key *key, uint32_t field)
{
    for (size_t i = 0; i < past->change.row_count; i++) {
        const struct hm_row_write *row = &past->change.rows[i];

        for (size_t j = 0;
             hm_row_key_compare(&row->key, key) == 0 && j < row->cell_count; j++) {
            if (row->cells[j].field == field) {
                return &row->cells[j];
            }
        }
    }
    return NULL;
}

static json_t *written_value(uint32_t field, struct hm_bytes value)
{
    if (field == HM_FIELD_STATUS && hm_cells_is_removal(value)) {
        return json_string("removed");
    }
    return hm_cells_value(value);
}

/* A value that was replaced; null when the change that wrote it is not held here. */
static int add_replaced(struct history *history, const struct hm_row_key *key,
                        uint32_t field, const struct hm_dot *dot, json_t *array)
{
    const struct past *past = NULL;
    const struct hm_cell_write *write = NULL;
    json_t *object = json_object();
    char text[HM_ID_TEXT_MAX];
    int err;

    for (size_t i = 0; i < history->count && past == NULL; i++) {
        past =
            compare_dot(dot, &history->changes[i]) == 0 ? &history->changes[i] : NULL;
    }
    write = past == NULL ? NULL : find_write(past, key, field);
    hm_dot_to_text(dot, text);
    err =
        hm_cells_set(object, "value",
                     write == NULL ? json_null() : written_value(field, write->value));
    if (err == HM_OK && past != NULL) {
        err = hm_cells_author(history->call, &past->author, past->change.user,
                              past->utc_ms, dot, history->arena, object);
    } else if (err == HM_OK) {
        err = hm_cells_set(object, "dot", json_string(text));
    }
    if (err == HM_OK) {
        err = hm_cells_append(array, json_incref(object));
    }
    json_decref(object);
    return err;
}

static int add_cell(struct history *history, const struct hm_row_key *key,
                    const struct hm_cell_write *write, json_t *cells)
{
    json_t *object = json_object();
    json_t *replaced = json_array();
    int err = hm_cells_describe_cell(history->call, key, write->field, object);

    (void)json_object_del(object, "field"); /* the cell's line has it */
    if (err == HM_OK) {
        err = hm_cells_set(object, "value", written_value(write->field, write->value));
    }
    for (size_t i = 0; i < write->replaced_count && err == HM_OK; i++) {
        err = add_replaced(history, key, write->field, &write->replaced[i], replaced);
    }
    if (err == HM_OK) {
        err = hm_cells_set(object, "replaced", json_incref(replaced));
    }
    if (err == HM_OK) {
        err = hm_cells_append(cells, json_incref(object));
    }
    json_decref(replaced);
    json_decref(object);
    return err;
}

/* How far a change has come, as far as this node knows: null while it alone holds it.
 */
static int add_reached(struct history *history, const struct hm_dot *dot,
                       json_t *object)
{
    struct hm_store *s = history->call->s;
    enum hm_node_role role = HM_NODE_NEW;
    uint64_t hub = 0;
    uint64_t centre = 0;
    struct hm_log log = {0};
    int err = hm_store_role(s, &role);

    if (err == HM_OK) {
        err = hm_log_get(s, dot->incarnation, &log);
    }
    if (err == HM_OK) {
        err = hm_log_at_hub(s, dot->incarnation, &hub);
    }
    if (err == HM_OK) {
        err = hm_log_at_centre(s, dot->incarnation, &centre);
    }
    if (err != HM_OK) {
        return err;
    }
    if (role == HM_NODE_CENTRE || dot->n < centre) {
        return hm_cells_set(object, "at", json_string("centre"));
    }
    return hm_cells_set(object, "at",
                        dot->n < hub || !log.own ? json_string("hub") : json_null());
}

static int add_change(struct history *history, const struct past *past, json_t *array)
{
    json_t *object = json_object();
    json_t *cells = json_array();
    struct hm_bytes reason = past->change.reason;
    bool late = false;
    int err = hm_cells_author(history->call, &past->author, past->change.user,
                              past->utc_ms, &past->dot, history->arena, object);

    if (err == HM_OK) {
        err =
            hm_cells_set(object, "change", json_incref(json_object_get(object, "dot")));
        (void)json_object_del(object, "dot"); /* the same by its other name */
    }
    if (err == HM_OK) {
        err = hm_log_is_late(history->call->s, &past->dot, &late);
    }
    if (err == HM_OK) {
        err = hm_cells_set(object, "late", json_boolean(late));
    }
    if (err == HM_OK) {
        err = hm_cells_set(object, "reason",
                           reason.len == 0
                               ? json_null()
                               : json_stringn((const char *)reason.data, reason.len));
    }
    if (err == HM_OK) {
        err = add_reached(history, &past->dot, object);
    }
    for (size_t i = 0; i < past->change.row_count && err == HM_OK; i++) {
        const struct hm_row_write *row = &past->change.rows[i];

        for (size_t j = 0; j < row->cell_count && err == HM_OK; j++) {
            err = add_cell(history, &row->key, &row->cells[j], cells);
        }
    }
    if (err == HM_OK) {
        err = hm_cells_set(object, "cells", json_incref(cells));
    }
    if (err == HM_OK) {
        err = hm_cells_append(array, json_incref(object));
    }
    json_decref(cells);
    json_decref(object);
    return err;
}

static int load(struct history *history, const struct hm_household *h)
{
    struct hm_dot *dots = NULL;
    size_t count = 0;
    int err = hm_log_history(history->call->s, h->home, &h->id, history->arena, &dots,
                             &count);

    if (err == HM_OK) {
        history->changes =
            hm_arena_array(history->arena, count, sizeof history->changes[0]);
        err = history->changes == NULL ? HM_NOMEM : HM_OK;
    }
    for (size_t i = 0; i < count && err == HM_OK; i++) {
        struct past *past = &history->changes[history->count];

        err = read_past(history, &dots[i], past);
        history->count += err == HM_OK && past->read ? 1 : 0;
    }
    if (err == HM_OK) {
        qsort(history->changes, history->count, sizeof history->changes[0],
              compare_newest);
    }
    return err;
}

int hm_history_json(struct hm_call *call, const struct hm_household *h,
                    struct hm_arena *arena, json_t **out_json)
{
    struct history history = {.call = call, .arena = arena};
    json_t *array = json_array();
    int err = load(&history, h);

    for (size_t i = 0; i < history.count && err == HM_OK; i++) {
        err = add_change(&history, &history.changes[i], array);
    }
    if (err != HM_OK) {
        json_decref(array);
        return err;
    }
    *out_json = array;
    return HM_OK;
}
