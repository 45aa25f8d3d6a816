/* What a household says of itself, as people see it. */
#include <stdio.h>

#include "daemon/serve/cells.h"
#include "daemon/serve/household_json.h"
#include "protocol/fact.h"
#include "storage/households.h"
#include "storage/redirects.h"

static json_t *id_json(const struct hm_household_id *id)
{
    char text[HM_ID_TEXT_MAX];

    hm_household_id_to_text(id, text);
    return json_string(text);
}

/* -- Findings --------------------------------------------------------------------- */

struct findings {
    struct hm_call *call;
    const struct hm_household *h;
    struct hm_arena *arena;
    json_t *array; /* NULL: only count */
    size_t count;
};

static int add(struct findings *f, const char *field, const char *text)
{
    json_t *object;

    f->count++;
    if (f->array == NULL) {
        return HM_OK;
    }
    object = json_pack("{s:s, s:n, s:n, s:n, s:s, s:s}", "form", "household", "round",
                       "repeat", "item", "field", field, "text", text);
    return hm_cells_append(f->array, object);
}

/* Does a device that is known here work in a hamlet? One that is not known may. */
static int works_in(struct findings *f, uint64_t device, uint32_t scope, bool *out)
{
    struct hm_device found;
    uint32_t *scopes = NULL;
    size_t count = 0;
    int err = hm_devices_get(f->call->s, device, f->arena, &found);

    *out = err == HM_NOTFOUND;
    if (err == HM_OK) {
        err = hm_devices_effective_scopes(&found, f->call->tree, f->arena, &scopes,
                                          &count);
    }
    for (size_t i = 0; i < count && err == HM_OK; i++) {
        *out = *out || scopes[i] == scope;
    }
    return err == HM_NOTFOUND ? HM_OK : err;
}

/* Written by somebody of another hamlet who had not heard that it moved. */
static int find_late(struct findings *f)
{
    const struct hm_cell *cell = hm_fact_cell(f->h, HM_FIELD_SCOPE);
    int err = HM_OK;

    if (cell == NULL || cell->sibling_count != 1) {
        return HM_OK; /* it never moved, or that is a conflict */
    }
    for (size_t i = 0; i < f->h->stamp_count && err == HM_OK; i++) {
        const struct hm_dot *dot = &f->h->stamps[i].dot;
        const struct hm_author *author = hm_household_author(f->h, dot->incarnation);
        bool works = true;

        if (author == NULL || hm_dot_compare(dot, &cell->siblings[0].dot) == 0 ||
            hm_fact_saw(cell->siblings[0].value, dot)) {
            continue;
        }
        err = works_in(f, author->device, hm_fact_shown_scope(f->h), &works);
        if (err == HM_OK && !works) {
            return add(f, "scope",
                       "edited in another hamlet by somebody who had not heard that it "
                       "moved");
        }
    }
    return err;
}

static int find_after_decision(struct findings *f)
{
    const struct hm_cell *cell = hm_fact_cell(f->h, HM_FIELD_DECIDED);
    int err = HM_OK;

    for (size_t i = 0; cell != NULL && i < cell->sibling_count && err == HM_OK; i++) {
        const struct hm_sibling *decided = &cell->siblings[i];
        const struct hm_stamp *stamp = hm_household_stamp(f->h, &decided->dot);
        char when[HM_CALL_TIME_MAX];
        char text[100];

        if (hm_fact_check(HM_FIELD_DECIDED, decided->value) != HM_OK ||
            decided->value.len == 1 || stamp == NULL ||
            hm_fact_unseen_by(f->h, decided->value, &decided->dot) == NULL) {
            continue;
        }
        hm_call_time_text(hm_policy_corrected_ms(f->h, stamp), when);
        (void)snprintf(text, sizeof text, "changed after the decision of %s", when);
        err = add(f, "decided", text);
    }
    return err;
}

static int find_circle(struct findings *f)
{
    struct hm_household_id survivor;
    bool circle = false;
    int err = HM_OK;

    if (hm_fact_cell(f->h, HM_FIELD_MERGED) != NULL) {
        err = hm_redirects_survivor(f->call->s, &f->h->id, &survivor, &circle);
    }
    return err == HM_OK && circle
               ? add(f, "merged_into",
                     "merges lead in a circle; the lowest id stays until one is undone")
               : err;
}

int hm_household_facts_findings(struct hm_call *call, const struct hm_household *h,
                                struct hm_arena *arena, json_t *array,
                                size_t *out_count)
{
    struct findings f = {.call = call, .h = h, .arena = arena, .array = array};
    int err = find_late(&f);

    if (err == HM_OK) {
        err = find_after_decision(&f);
    }
    if (err == HM_OK) {
        err = find_circle(&f);
    }
    *out_count = f.count;
    return err;
}

/* -- The page --------------------------------------------------------------------- */

static const char *state_name(enum hm_row_state state)
{
    return state == HM_ROW_REMOVED    ? "deleted"
           : state == HM_ROW_DISPUTED ? "disputed"
                                      : "active";
}

static int add_part(struct hm_call *call, const struct hm_household_id *id,
                    json_t *object, json_t *parts)
{
    struct hm_household part;
    struct hm_arena arena;
    char text[HM_ID_TEXT_MAX];
    int err;

    hm_household_id_to_text(id, text);
    hm_arena_init(&arena, HM_CALL_HOUSEHOLD_BYTES_MAX);
    err = hm_households_load(call->s, id, &arena, &part);
    if (err == HM_OK && hm_call_may_see(call, hm_fact_shown_scope(&part))) {
        err = hm_household_json_rows(call, &part, NULL, text, &arena,
                                     json_object_get(object, "rows"));
        if (err == HM_OK) {
            err = hm_cells_conflicts(
                call, &part, hm_units_code_of(call->tree, hm_fact_shown_scope(&part)),
                &arena, NULL, json_object_get(object, "conflicts"));
        }
        if (err == HM_OK) {
            err = hm_cells_append(parts, json_string(text));
        }
    }
    hm_arena_deinit(&arena);
    return err == HM_NOTFOUND ? HM_OK : err;
}

static int add_parts(struct hm_call *call, const struct hm_household *h,
                     struct hm_arena *arena, json_t *object)
{
    json_t *parts = json_array();
    struct hm_household_id *ids = NULL;
    size_t count = 0;
    int err = hm_redirects_parts(call->s, &h->id, arena, &ids, &count);

    for (size_t i = 0; i < count && err == HM_OK; i++) {
        err = add_part(call, &ids[i], object, parts);
    }
    return err == HM_OK ? hm_cells_set(object, "parts", parts)
                        : (json_decref(parts), err);
}

static json_t *split_json(const struct hm_household *h)
{
    const struct hm_cell *cell = hm_fact_cell(h, HM_FIELD_SPLIT);
    struct hm_household_id from;

    return cell != NULL && hm_fact_household(cell->siblings[0].value, &from)
               ? id_json(&from)
               : json_null();
}

static json_t *decided_json(const struct hm_household *h)
{
    const struct hm_cell *cell = hm_fact_cell(h, HM_FIELD_DECIDED);
    const struct hm_stamp *stamp = NULL;

    for (size_t i = 0; cell != NULL && i < cell->sibling_count; i++) {
        if (cell->siblings[i].value.len > 1) {
            stamp = hm_household_stamp(h, &cell->siblings[i].dot);
        }
    }
    return stamp == NULL ? json_null()
                         : hm_call_time_json(hm_policy_corrected_ms(h, stamp));
}

int hm_household_facts_json(struct hm_call *call, const struct hm_household *h,
                            struct hm_arena *arena, json_t *object)
{
    struct hm_household_id survivor;
    struct hm_household_id into;
    bool merged = hm_fact_merged_into(h, &into);
    bool circle = false;
    int err = hm_redirects_survivor(call->s, &h->id, &survivor, &circle);

    if (err == HM_OK) {
        err = hm_cells_set(object, "state", json_string(state_name(hm_fact_state(h))));
    }
    if (err == HM_OK) {
        err =
            hm_cells_set(object, "merged_into", merged ? id_json(&into) : json_null());
    }
    if (err == HM_OK) {
        err = hm_cells_set(object, "survivor", id_json(&survivor));
    }
    if (err == HM_OK) {
        err = hm_cells_set(object, "split_from", split_json(h));
    }
    if (err == HM_OK) {
        err = hm_cells_set(object, "decided", decided_json(h));
    }
    if (err == HM_OK && hm_household_id_compare(&survivor, &h->id) == 0) {
        err = add_parts(call, h, arena, object);
    }
    return err;
}
