/* Routes below duplicates: households that may be one family. Nothing is refused for
 * it: a person merges them, or says that they are not the same. */
#include <stdlib.h>

#include "daemon/serve/api_json.h"
#include "daemon/serve/cells.h"
#include "daemon/serve/handlers.h"
#include "daemon/serve/household_json.h"
#include "daemon/serve/save_json.h"
#include "protocol/pack.h"
#include "storage/decisions.h"
#include "storage/households.h"
#include "storage/likeness.h"

static json_t *because_json(unsigned kinds)
{
    static const struct {
        enum hm_field_likeness kind;
        const char *text;
    } texts[] = {{HM_FIELD_LIKENESS_ID_NUMBER, "id number"},
                 {HM_FIELD_LIKENESS_NAME, "name and birth year"},
                 {HM_FIELD_LIKENESS_PHONE, "phone"}};
    struct hm_buf text;
    json_t *json;

    hm_buf_init(&text, 200);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if ((kinds & 1U << texts[i].kind) != 0) {
            hm_buf_printf(&text, "%s%s", text.len == 0 ? "" : ", ", texts[i].text);
        }
    }
    json = text.err == HM_OK ? json_stringn((const char *)text.data, text.len) : NULL;
    hm_buf_deinit(&text);
    return json;
}

static json_t *id_json(const struct hm_household_id *id)
{
    char text[HM_ID_TEXT_MAX];

    hm_household_id_to_text(id, text);
    return json_string(text);
}

/* -- The list --------------------------------------------------------------------- */

struct listing {
    struct hm_call *call;
    uint32_t *scopes; /* that are looked at, ascending */
    size_t scope_count;
};

static bool looks_at(const struct listing *list, uint32_t scope)
{
    for (size_t i = 0; i < list->scope_count; i++) {
        if (list->scopes[i] == scope) {
            return true;
        }
    }
    return false;
}

/* Both sides of a pair that is to be shown. */
static int load_pair(struct listing *list, const struct hm_likeness *pair,
                     struct hm_arena *arena, struct hm_household *a,
                     struct hm_household *b, bool *out_shown)
{
    int err = hm_households_load(list->call->s, &pair->a, arena, a);

    *out_shown = false;
    if (err == HM_OK) {
        err = hm_households_load(list->call->s, &pair->b, arena, b);
    }
    if (err == HM_OK) {
        uint32_t scope_a = hm_fact_shown_scope(a);
        uint32_t scope_b = hm_fact_shown_scope(b);

        *out_shown = !hm_likeness_apart(a, b) && hm_call_may_see(list->call, scope_a) &&
                     hm_call_may_see(list->call, scope_b) &&
                     (looks_at(list, scope_a) || looks_at(list, scope_b));
    }
    return err == HM_NOTFOUND ? HM_OK : err;
}

static int list_pair(struct listing *list, const struct hm_likeness *pair)
{
    struct hm_call *call = list->call;
    struct hm_arena arena;
    struct hm_household a;
    struct hm_household b;
    bool shown = false;
    int err;

    hm_arena_init(&arena, 2 * HM_CALL_HOUSEHOLD_BYTES_MAX);
    err = load_pair(list, pair, &arena, &a, &b, &shown);
    if (err == HM_OK && shown) {
        err = hm_cells_append(
            call->reply,
            json_pack("{s:o, s:o, s:o, s:i, s:s, s:s}", "a", id_json(&pair->a), "b",
                      id_json(&pair->b), "because", because_json(pair->kinds), "score",
                      (int)hm_likeness_score(pair->kinds), "scope_a",
                      hm_units_code_of(call->tree, hm_fact_shown_scope(&a)), "scope_b",
                      hm_units_code_of(call->tree, hm_fact_shown_scope(&b))));
    }
    hm_arena_deinit(&arena);
    return err;
}

/* The surest first. */
static int compare_scores(const void *a, const void *b)
{
    const struct hm_likeness *x = a;
    const struct hm_likeness *y = b;
    unsigned score_x = hm_likeness_score(x->kinds);
    unsigned score_y = hm_likeness_score(y->kinds);
    int order = hm_household_id_compare(&x->a, &y->a);

    if (score_x != score_y) {
        return score_x > score_y ? -1 : 1;
    }
    return order != 0 ? order : hm_household_id_compare(&x->b, &y->b);
}

int hm_duplicates_handle_list(struct hm_call *call)
{
    struct listing list = {.call = call};
    struct hm_likeness *pairs = NULL;
    size_t count = 0;
    bool cut = false;
    int err = hm_call_forms(call);

    if (err == HM_OK) {
        err = hm_call_selection(call, hm_call_parameter(call, "scope"), &list.scopes,
                                &list.scope_count);
    }
    if (err == HM_OK) {
        err = hm_likeness_pairs(call->s, &call->arena, &pairs, &count, &cut);
    }
    call->reply = json_array();
    if (count > 0) {
        qsort(pairs, count, sizeof pairs[0], compare_scores);
    }
    for (size_t i = 0; i < count && err == HM_OK; i++) {
        err = list_pair(&list, &pairs[i]);
    }
    return err;
}

/* -- At capture ------------------------------------------------------------------- */

int hm_duplicates_json(struct hm_call *call, const struct hm_household *h,
                       struct hm_arena *arena, json_t *array)
{
    struct hm_likeness *pairs = NULL;
    size_t count = 0;
    int err = hm_likeness_of(call->s, h, arena, &pairs, &count);

    for (size_t i = 0; i < count && err == HM_OK; i++) {
        const struct hm_household_id *other =
            hm_household_id_compare(&pairs[i].a, &h->id) == 0 ? &pairs[i].b
                                                              : &pairs[i].a;
        struct hm_household found;

        err = hm_households_load(call->s, other, arena, &found);
        if (err == HM_OK && hm_call_may_see(call, hm_fact_shown_scope(&found))) {
            err = hm_cells_append(
                array, json_pack("{s:o, s:o, s:i}", "household", id_json(other),
                                 "because", because_json(pairs[i].kinds), "score",
                                 (int)hm_likeness_score(pairs[i].kinds)));
        }
    }
    return err;
}

/* -- Not the same ----------------------------------------------------------------- */

static int compare_ids(const void *a, const void *b)
{
    return hm_household_id_compare(a, b);
}

/* The list of those that h is no duplicate of, with one more. */
static int encode_apart(struct hm_call *call, const struct hm_household *h,
                        const struct hm_household_id *other, struct hm_buf *out)
{
    struct hm_household_id *ids =
        hm_arena_array(&call->arena, HM_FACT_APART_MAX + 1, sizeof *ids);
    size_t count;

    if (ids == NULL) {
        return HM_NOMEM;
    }
    count = hm_fact_apart(h, ids, HM_FACT_APART_MAX);
    if (count >= HM_FACT_APART_MAX) {
        return hm_call_fail(call, HM_TOOBIG,
                            "a household is kept apart from at most %d others",
                            HM_FACT_APART_MAX);
    }
    ids[count++] = *other;
    qsort(ids, count, sizeof *ids, compare_ids);
    hm_pack_array(out, count);
    for (size_t i = 0; i < count; i++) {
        hm_fact_pack_household(&ids[i], out);
    }
    return out->err;
}

static int keep_apart(struct hm_call *call, const struct hm_household *h,
                      const struct hm_household_id *other, struct hm_save *save,
                      struct hm_save_result *result)
{
    struct hm_save_cell cell = {.field = HM_FIELD_APART};
    struct hm_save_row row = {
        .form = HM_FORM_HOUSEHOLD, .cells = &cell, .cell_count = 1};
    struct hm_buf value;
    int err;

    hm_buf_init(&value, HM_CHANGE_BYTES_MAX);
    err = encode_apart(call, h, other, &value);
    if (err == HM_OK) {
        cell.value = hm_buf_bytes(&value);
        save->rows = &row;
        save->row_count = 1;
        err = hm_decisions_save(call->s, save, 0, h, hm_call_policy_of, call,
                                &call->arena, result);
    }
    hm_buf_deinit(&value);
    return err;
}

int hm_duplicates_handle_apart(struct hm_call *call)
{
    struct hm_save_result result = {.changed = false};
    struct hm_save save = {.creates = false};
    struct hm_household a;
    struct hm_household b;
    const char *text_b = NULL;
    const char *reason = NULL;
    char dot[HM_ID_TEXT_MAX];
    int err = hm_call_may_save(call);

    if (err == HM_OK) {
        err = hm_api_json_text(call, call->body, "other", true, &text_b);
    }
    if (err == HM_OK) {
        err = hm_api_json_text(call, call->body, "reason", false, &reason);
    }
    if (err == HM_OK) {
        err = hm_call_household(call, call->members[0], &call->arena, &a);
    }
    if (err == HM_OK) {
        err = hm_call_household(call, text_b, &call->arena, &b);
    }
    if (err == HM_OK) {
        err = hm_save_json_target(call, &a, &call->arena, &save.scope);
    }
    if (err == HM_OK && hm_household_id_compare(&a.id, &b.id) == 0) {
        err = hm_call_fail(call, HM_INVALID, "a household is the same as itself");
    }
    if (err != HM_OK) {
        return err;
    }
    save.household = a.id;
    save.reason = hm_bytes_str(reason);
    hm_save_json_sign(call, &save);
    if (!hm_likeness_apart(&a, &b)) {
        err = keep_apart(call, &a, &b.id, &save, &result);
    }
    if (err == HM_OK) {
        hm_dot_to_text(&result.dot, dot);
        call->reply =
            json_pack("{s:o, s:o, s:o}", "a", id_json(&a.id), "b", id_json(&b.id),
                      "change", result.changed ? json_string(dot) : json_null());
        call->answer->saved = result.changed && call->role != HM_NODE_CENTRE;
        err = call->reply == NULL ? HM_NOMEM : HM_OK;
    }
    return err;
}
