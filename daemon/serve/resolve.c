#include "daemon/serve/resolve.h"

#include <stdlib.h>

#include "daemon/serve/api_json.h"
#include "daemon/serve/cells.h"
#include "daemon/serve/save_json.h"
#include "protocol/fact.h"
#include "storage/decisions.h"

enum { DOTS_MAX = 1000 };

int hm_resolve_load(struct hm_resolving *r, const char *household)
{
    int err = hm_call_household(r->call, household, r->arena, &r->h);

    if (err == HM_OK) {
        err = hm_save_json_target(r->call, &r->h, r->arena, &r->scope);
    }
    if (err == HM_OK) {
        err = hm_policy_conflicts(&r->h, hm_call_policy_of, r->call, r->arena,
                                  &r->conflicts, &r->count);
    }
    if (err == HM_OK) {
        r->save.household = r->h.id;
        r->save.scope = r->scope;
        hm_save_json_sign(r->call, &r->save);
        r->save.rows = hm_arena_array(r->arena, r->count, sizeof r->save.rows[0]);
        err = r->save.rows == NULL ? HM_NOMEM : HM_OK;
    }
    return err;
}

/* The asker's role may write the form in which the cell lies. */
static int check_form(struct hm_resolving *r, const struct hm_policy_conflict *conflict)
{
    const struct hm_call_form *form = hm_call_form(r->call, conflict->row->key.form);

    return form == NULL ? hm_call_require(r->call, HM_RIGHT_HOUSEHOLD_WRITE)
                        : hm_call_may_write(r->call, form);
}

/* The row of the save in which a conflict's cell is decided. */
static struct hm_save_row *row_of(struct hm_resolving *r,
                                  const struct hm_policy_conflict *conflict)
{
    const struct hm_row_key *key = &conflict->row->key;
    struct hm_save_row *row;

    for (size_t i = 0; i < r->save.row_count; i++) {
        struct hm_save_row *next = &r->save.rows[i];
        struct hm_row_key other = {next->form, next->round, next->repeat, next->item};

        if (hm_row_key_compare(&other, key) == 0) {
            return next;
        }
    }
    row = &r->save.rows[r->save.row_count];
    *row = (struct hm_save_row){.form = key->form,
                                .round = key->round,
                                .repeat = key->repeat,
                                .item = key->item,
                                .facts = key->form == HM_FORM_HOUSEHOLD};
    row->cells = hm_arena_array(r->arena, r->count, sizeof row->cells[0]);
    if (row->cells == NULL) {
        return NULL;
    }
    r->save.row_count++;
    return row;
}

/* dots NULL: every sibling is decided on. value: what a fact says, too. */
static int decide(struct hm_resolving *r, const struct hm_policy_conflict *conflict,
                  struct hm_bytes value, const struct hm_dot *dots, size_t dot_count)
{
    const struct hm_cell *cell = conflict->cell;
    struct hm_save_row *row = row_of(r, conflict);
    struct hm_dot *decided =
        hm_arena_array(r->arena, cell->sibling_count + dot_count + 1, sizeof *decided);
    size_t count = 0;

    if (decided == NULL || row == NULL) {
        return HM_NOMEM;
    }
    for (size_t i = 0; dots == NULL && i < cell->sibling_count; i++) {
        decided[count++] = cell->siblings[i].dot;
    }
    for (size_t i = 0; dots != NULL && i < dot_count; i++) {
        decided[count++] = dots[i];
    }
    row->cells[row->cell_count++] =
        (struct hm_save_cell){cell->field, value, decided, count};
    r->decided++;
    return HM_OK;
}

/* For one of the siblings, as it stands or as it is said anew by who has seen all. */
static int decide_for(struct hm_resolving *r, const struct hm_policy_conflict *conflict,
                      const struct hm_sibling *sibling, const struct hm_dot *dots,
                      size_t dot_count)
{
    static const uint8_t deleted = HM_FACT_DELETED;
    struct hm_bytes value = hm_fact_target(conflict->cell->field, sibling->value);

    if (conflict->kind == HM_CONFLICT_DELETED) {
        value = hm_bytes_of(&deleted, 1);
    }
    return decide(r, conflict, value, dots, dot_count);
}

/* What was removed, deleted or merged stays that (with all that is known of it), or the
 * edit stands: then it was not. */
static int decide_dispute(struct hm_resolving *r,
                          const struct hm_policy_conflict *conflict,
                          const struct hm_sibling *sibling)
{
    static const uint8_t nil_byte = 0xc0;
    struct hm_bytes value = hm_bytes_of(&nil_byte, 1);
    struct hm_dot *seen = NULL;
    struct hm_buf buf;
    size_t count = 0;
    int err = HM_OK;

    if (sibling == NULL) {
        return decide(r, conflict, value, NULL, 0);
    }
    if (conflict->kind != HM_CONFLICT_REMOVED) {
        return decide_for(r, conflict, sibling, NULL, 0);
    }
    hm_buf_init(&buf, HM_CHANGE_BYTES_MAX);
    err = hm_household_row_dots(&r->h, conflict->row, &seen, &count);
    if (err == HM_OK) {
        hm_policy_removed_encode(seen, count, &buf);
        err = buf.err == HM_OK ? hm_arena_copy(r->arena, hm_buf_bytes(&buf), &value)
                               : buf.err;
    }
    hm_buf_deinit(&buf);
    return err == HM_OK ? decide(r, conflict, value, NULL, 0) : err;
}

/* Does the sibling take something away? Else it says that the edit stands. */
static bool takes_away(const struct hm_policy_conflict *conflict,
                       const struct hm_sibling *sibling)
{
    struct hm_household_id into;

    switch (conflict->kind) {
    case HM_CONFLICT_REMOVED:
        return hm_cells_is_removal(sibling->value);
    case HM_CONFLICT_DELETED:
        return hm_fact_is_deletion(sibling->value);
    case HM_CONFLICT_EDITED:
        return hm_fact_household(sibling->value, &into);
    case HM_CONFLICT_VALUES:
    case HM_CONFLICT_MOVED:
    case HM_CONFLICT_MERGED:
        break;
    }
    return false;
}

int hm_resolve_run(struct hm_resolving *r, struct hm_save_result *out, size_t *out_left)
{
    struct hm_policy_conflict *left = NULL;
    int err = hm_decisions_save(r->call->s, &r->save, r->decision, &r->h,
                                hm_call_policy_of, r->call, r->arena, out);

    if (err == HM_OK) {
        err = hm_policy_conflicts(&out->state, hm_call_policy_of, r->call, r->arena,
                                  &left, out_left);
    }
    if (err == HM_OK) {
        r->call->answer->saved =
            r->call->answer->saved || (out->changed && r->call->role != HM_NODE_CENTRE);
    }
    return err;
}

/* -- One cell -- */

static int find_cell(struct hm_resolving *r, const char *cell,
                     const struct hm_policy_conflict **out)
{
    struct hm_buf text;
    bool found = false;

    hm_buf_init(&text, 4 * HM_FIELD_TABLE_TEXT_BYTES_MAX);
    for (size_t i = 0; i < r->count && !found; i++) {
        hm_buf_clear(&text);
        hm_cells_text(r->call, &r->conflicts[i].row->key, r->conflicts[i].cell->field,
                      &text);
        found = text.err == HM_OK &&
                hm_bytes_equal(hm_buf_bytes(&text), hm_bytes_str(cell));
        *out = &r->conflicts[i];
    }
    hm_buf_deinit(&text);
    return found ? HM_OK
                 : hm_call_fail(r->call, HM_NOTFOUND,
                                "household %s has no conflict in %s; look at it again",
                                r->call->members[0], cell);
}

static int compare_dots(const void *a, const void *b)
{
    return hm_dot_compare(a, b);
}

static int read_dots(struct hm_resolving *r, struct hm_dot **out_dots,
                     size_t *out_count)
{
    json_t *array = json_object_get(r->call->body, "dots");
    struct hm_dot *dots;
    json_t *text;
    size_t i;

    if (array == NULL || json_is_null(array)) {
        return HM_OK;
    }
    if (!json_is_array(array) || json_array_size(array) == 0 ||
        json_array_size(array) > DOTS_MAX) {
        return hm_call_fail(r->call, HM_INVALID, "dots is not an array of 1 to %d dots",
                            DOTS_MAX);
    }
    dots = hm_arena_array(r->arena, json_array_size(array), sizeof *dots);
    if (dots == NULL) {
        return HM_NOMEM;
    }
    json_array_foreach(array, i, text)
    {
        if (!json_is_string(text) ||
            hm_dot_from_text(json_string_value(text), &dots[i]) != HM_OK) {
            return hm_call_fail(r->call, HM_INVALID, "dots holds something else");
        }
    }
    qsort(dots, json_array_size(array), sizeof *dots, compare_dots);
    *out_dots = dots;
    *out_count = json_array_size(array);
    return HM_OK;
}

static const struct hm_sibling *sibling_of(const struct hm_cell *cell,
                                           const struct hm_dot *dot)
{
    for (size_t i = 0; i < cell->sibling_count; i++) {
        if (hm_dot_compare(&cell->siblings[i].dot, dot) == 0) {
            return &cell->siblings[i];
        }
    }
    return NULL;
}

static int take(struct hm_resolving *r, const struct hm_policy_conflict *conflict,
                json_int_t n, const struct hm_dot *dots, size_t dot_count)
{
    const struct hm_cell *cell = conflict->cell;
    bool dispute = hm_conflict_is_dispute(conflict->kind);
    json_int_t values = (json_int_t)cell->sibling_count + (dispute ? 1 : 0);
    const struct hm_sibling *sibling;

    if (dots != NULL && !dispute) {
        values = (json_int_t)dot_count;
    }
    if (n < 1 || n > values) {
        return hm_call_fail(r->call, HM_INVALID, "take is a number from 1 to %d",
                            (int)values);
    }
    if (dispute) {
        bool away = n < values && takes_away(conflict, &cell->siblings[n - 1]);

        return decide_dispute(r, conflict, away ? &cell->siblings[n - 1] : NULL);
    }
    sibling = dots == NULL ? &cell->siblings[n - 1] : sibling_of(cell, &dots[n - 1]);
    if (sibling == NULL) {
        return hm_call_fail(r->call, HM_EXISTS,
                            "the value was replaced meanwhile; look at it again");
    }
    return decide_for(r, conflict, sibling, dots, dot_count);
}

static int give(struct hm_resolving *r, const struct hm_policy_conflict *conflict,
                json_t *value, const struct hm_dot *dots, size_t dot_count)
{
    const struct hm_call_form *form = hm_call_form(r->call, conflict->row->key.form);
    const struct hm_field_entry *entry =
        hm_cells_entry(r->call, &conflict->row->key, conflict->cell->field);
    struct hm_bytes bytes = {0};
    int err;

    if (form == NULL || entry == NULL) {
        return hm_call_fail(r->call, HM_INVALID,
                            "for this cell take one of its values by number");
    }
    if (!json_is_string(value) && !json_is_null(value)) {
        return hm_call_fail(r->call, HM_INVALID,
                            "value is text as the form writes it, or null");
    }
    err = hm_save_json_value(r->call, form->table, entry,
                             hm_bytes_str(json_string_value(value)), r->arena, &bytes);
    return err == HM_OK ? decide(r, conflict, bytes, dots, dot_count) : err;
}

int hm_resolve_cell(struct hm_resolving *r)
{
    json_t *body = r->call->body;
    json_t *number = json_object_get(body, "take");
    json_t *value = json_object_get(body, "value");
    const struct hm_policy_conflict *conflict = NULL;
    struct hm_dot *dots = NULL;
    size_t dot_count = 0;
    const char *cell = NULL;
    int err = hm_api_json_text(r->call, body, "cell", true, &cell);

    if (err == HM_OK && (number == NULL) == (value == NULL)) {
        err = hm_call_fail(r->call, HM_INVALID, "give either take or value");
    }
    if (err == HM_OK && number != NULL && !json_is_integer(number)) {
        err = hm_call_fail(r->call, HM_INVALID, "take is not a number");
    }
    if (err == HM_OK) {
        err = find_cell(r, cell, &conflict);
    }
    if (err == HM_OK) {
        err = check_form(r, conflict);
    }
    if (err == HM_OK) {
        err = read_dots(r, &dots, &dot_count);
    }
    if (err != HM_OK) {
        return err;
    }
    return number != NULL
               ? take(r, conflict, json_integer_value(number), dots, dot_count)
               : give(r, conflict, value, dots, dot_count);
}

/* -- By a policy -- */

int hm_resolve_read_policy(struct hm_call *call, enum hm_resolve_policy *out)
{
    const char *policy = NULL;
    int err;

    if (!json_is_true(json_object_get(call->body, "all"))) {
        return hm_call_fail(call, HM_INVALID, "all must be true with a policy");
    }
    err = hm_api_json_text(call, call->body, "policy", true, &policy);
    if (err != HM_OK) {
        return err;
    }
    if (strcmp(policy, "latest") == 0) {
        *out = HM_RESOLVE_LATEST;
    } else if (strcmp(policy, "mine") == 0) {
        *out = HM_RESOLVE_MINE;
    } else if (strcmp(policy, "authority") == 0) {
        *out = HM_RESOLVE_AUTHORITY;
    } else {
        return hm_call_fail(call, HM_INVALID,
                            "policy is latest, mine or authority, not %s", policy);
    }
    return HM_OK;
}

/* Better than best by the policy; mine: the newest of one's own. */
static bool is_better(struct hm_resolving *r, enum hm_resolve_policy policy,
                      const struct hm_dot *dot, const struct hm_dot *best)
{
    const struct hm_stamp *stamp = hm_household_stamp(&r->h, dot);
    const struct hm_author *author = hm_household_author(&r->h, dot->incarnation);
    const struct hm_stamp *other =
        best == NULL ? NULL : hm_household_stamp(&r->h, best);
    int64_t at = stamp == NULL ? 0 : hm_policy_corrected_ms(&r->h, stamp);
    int64_t other_at = other == NULL ? 0 : hm_policy_corrected_ms(&r->h, other);

    if (stamp == NULL || author == NULL) {
        return false;
    }
    if (policy == HM_RESOLVE_MINE &&
        (stamp->user != r->call->asker.user ||
         (stamp->user == HM_USER_OPERATOR &&
          author->device != hm_store_device(r->call->s)))) {
        return false;
    }
    if (other == NULL) {
        return true;
    }
    if (policy == HM_RESOLVE_AUTHORITY && stamp->rank != other->rank) {
        return stamp->rank > other->rank;
    }
    return at != other_at ? at > other_at : hm_dot_compare(dot, best) > 0;
}

/* The better of what was edited, seen by the policy: any value of the row, or of the
 * household, that the other side had not seen. */
static const struct hm_dot *best_edit(struct hm_resolving *r,
                                      enum hm_resolve_policy policy,
                                      const struct hm_policy_conflict *conflict)
{
    const struct hm_dot *kept = NULL;

    if (conflict->kind != HM_CONFLICT_REMOVED) {
        kept = hm_cells_edited(&r->h, conflict);
        return kept != NULL && is_better(r, policy, kept, NULL) ? kept : NULL;
    }
    for (size_t i = 0; i < conflict->row->cell_count; i++) {
        const struct hm_cell *other = &conflict->row->cells[i];

        for (size_t j = 0; other != conflict->cell && j < other->sibling_count; j++) {
            const struct hm_dot *dot = &other->siblings[j].dot;

            kept = is_better(r, policy, dot, kept) ? dot : kept;
        }
    }
    return kept;
}

static int decide_by(struct hm_resolving *r, enum hm_resolve_policy policy,
                     const struct hm_policy_conflict *conflict)
{
    const struct hm_cell *cell = conflict->cell;
    const struct hm_sibling *best = NULL;
    const struct hm_dot *kept = NULL;
    bool dispute = hm_conflict_is_dispute(conflict->kind);

    for (size_t i = 0; i < cell->sibling_count; i++) {
        if (is_better(r, policy, &cell->siblings[i].dot,
                      best == NULL ? NULL : &best->dot)) {
            best = &cell->siblings[i];
        }
    }
    if (dispute) {
        kept = best_edit(r, policy, conflict);
    }
    if (best == NULL && kept == NULL) {
        return HM_OK; /* nothing of one's own: it is left */
    }
    if (dispute) {
        bool keeps =
            best == NULL || (kept != NULL && is_better(r, policy, kept, &best->dot));

        return decide_dispute(r, conflict,
                              !keeps && takes_away(conflict, best) ? best : NULL);
    }
    return decide_for(r, conflict, best, NULL, 0);
}

int hm_resolve_all(struct hm_resolving *r, enum hm_resolve_policy policy,
                   const struct hm_resolve_filter *filter)
{
    int err = HM_OK;

    for (size_t i = 0; i < r->count && err == HM_OK; i++) {
        bool passes = false;

        err = hm_resolve_filter_passes(r->call, filter, &r->h, &r->conflicts[i],
                                       r->arena, &passes);
        if (err == HM_OK && passes) {
            err = check_form(r, &r->conflicts[i]);
            if (err == HM_OK) {
                err = decide_by(r, policy, &r->conflicts[i]);
            }
        }
    }
    return err;
}
