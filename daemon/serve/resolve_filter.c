#include "daemon/serve/resolve_filter.h"

#include <inttypes.h>
#include <stdio.h>

#include "daemon/serve/api_json.h"
#include "daemon/serve/cells.h"

const struct hm_resolve_filter HM_RESOLVE_FILTER_ALL;

enum { DAY_MS = 24 * 60 * 60 * 1000 };

/* -- Reading ---------------------------------------------------------------------- */

/* Days from 1970-01-01 in the proleptic Gregorian calendar. */
static int64_t days_of(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* YYYY-MM-DD: the begin of that day in UTC; with Thh:mm:ssZ: that second. */
static int read_time(struct hm_call *call, const char *name, int64_t *out_utc_ms)
{
    int year = 0;
    int month = 0;
    int day = 0;
    int hour = 0;
    int minute = 0;
    int second = 0;
    int len = 0;
    const char *text = NULL;
    int err = hm_api_json_text(call, call->body, name, false, &text);

    if (err != HM_OK || text == NULL) {
        return err;
    }
    if (sscanf(text, "%4d-%2d-%2d%n", &year, &month, &day, &len) == 3 && len == 10 &&
        text[len] == 'T') {
        int more = 0;

        len = sscanf(text + 10, "T%2d:%2d:%2dZ%n", &hour, &minute, &second, &more) == 3
                  ? 10 + more
                  : 0;
    }
    if (len == 0 || text[len] != 0 || (len != 10 && len != 20) || year < 1970 ||
        month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 ||
        second > 60) {
        return hm_call_fail(call, HM_INVALID,
                            "%s is neither YYYY-MM-DD nor YYYY-MM-DDThh:mm:ssZ", name);
    }
    *out_utc_ms = days_of(year, month, day) * DAY_MS +
                  ((int64_t)hour * 3600 + (int64_t)minute * 60 + second) * 1000;
    return HM_OK;
}

static int read_kind(struct hm_call *call, struct hm_resolve_filter *out)
{
    int err = hm_api_json_text(call, call->body, "kind", false, &out->kind);

    if (err != HM_OK || out->kind == NULL) {
        return err;
    }
    for (int kind = HM_CONFLICT_VALUES; kind <= HM_CONFLICT_EDITED; kind++) {
        if (strcmp(hm_conflict_kind_name((enum hm_conflict_kind)kind), out->kind) ==
            0) {
            return HM_OK;
        }
    }
    return hm_call_fail(call, HM_INVALID, "there are no conflicts of kind %s",
                        out->kind);
}

static int read_filling(struct hm_call *call, struct hm_resolve_filter *out)
{
    const char *form = NULL;
    const char *round = NULL;
    int err = hm_api_json_text(call, call->body, "form", false, &form);

    if (err == HM_OK && form != NULL) {
        err = hm_call_form_needed(call, form, &out->form);
    }
    if (err == HM_OK) {
        err = hm_api_json_text(call, call->body, "round", false, &round);
    }
    if (err == HM_OK && round != NULL) {
        out->round = hm_call_round_named(call, round);
        if (out->round == NULL) {
            err = hm_call_fail(call, HM_NOTFOUND, "there is no round %s", round);
        }
    }
    return err;
}

int hm_resolve_filter_read(struct hm_call *call, struct hm_resolve_filter *out)
{
    struct hm_resolve_filter filter = {.form = NULL};
    int err = read_filling(call, &filter);

    if (err == HM_OK) {
        err = hm_api_json_text(call, call->body, "field", false, &filter.field);
    }
    if (err == HM_OK) {
        err = read_kind(call, &filter);
    }
    if (err == HM_OK) {
        err = hm_api_json_text(call, call->body, "device", false, &filter.device);
    }
    if (err == HM_OK) {
        err = hm_api_json_text(call, call->body, "user", false, &filter.user);
    }
    if (err == HM_OK) {
        err = read_time(call, "older", &filter.older_utc_ms);
    }
    if (err == HM_OK) {
        err = read_time(call, "newer", &filter.newer_utc_ms);
    }
    if (err == HM_OK) {
        *out = filter;
    }
    return err;
}

/* -- Looking ---------------------------------------------------------------------- */

/* What is asked of the values of one conflict. */
struct values {
    bool by_device;
    bool by_user;
    int64_t latest_ms;
};

static int look_at(struct hm_call *call, const struct hm_resolve_filter *filter,
                   const struct hm_household *h, const struct hm_dot *dot,
                   struct hm_arena *arena, struct values *values)
{
    const struct hm_stamp *stamp = hm_household_stamp(h, dot);
    const struct hm_author *author = hm_household_author(h, dot->incarnation);
    const char *name;
    char id[20];

    if (stamp == NULL || author == NULL) {
        return HM_OK;
    }
    if (hm_policy_corrected_ms(h, stamp) > values->latest_ms) {
        values->latest_ms = hm_policy_corrected_ms(h, stamp);
    }
    if (filter->device != NULL && !values->by_device) {
        (void)snprintf(id, sizeof id, "%016" PRIx64, author->device);
        name = hm_call_device_name(call, author->device, arena);
        if (name == NULL) {
            return HM_NOMEM;
        }
        values->by_device =
            strcmp(filter->device, name) == 0 || strcmp(filter->device, id) == 0;
    }
    if (filter->user != NULL && !values->by_user) {
        name = hm_call_user_name(call, stamp->user, author->device, arena);
        if (name == NULL) {
            return HM_NOMEM;
        }
        values->by_user = strcmp(filter->user, name) == 0;
    }
    return HM_OK;
}

static int values_pass(struct hm_call *call, const struct hm_resolve_filter *filter,
                       const struct hm_household *h,
                       const struct hm_policy_conflict *conflict,
                       struct hm_arena *arena, bool *out_passes)
{
    const struct hm_dot *edited = hm_cells_edited(h, conflict);
    struct values values = {.latest_ms = INT64_MIN};
    int err = HM_OK;

    for (size_t i = 0; i < conflict->cell->sibling_count && err == HM_OK; i++) {
        err =
            look_at(call, filter, h, &conflict->cell->siblings[i].dot, arena, &values);
    }
    if (err == HM_OK && edited != NULL) {
        err = look_at(call, filter, h, edited, arena, &values);
    }
    *out_passes =
        (filter->device == NULL || values.by_device) &&
        (filter->user == NULL || values.by_user) &&
        (filter->older_utc_ms == 0 || values.latest_ms < filter->older_utc_ms) &&
        (filter->newer_utc_ms == 0 || values.latest_ms >= filter->newer_utc_ms);
    return err;
}

static int field_passes(struct hm_call *call, const char *field,
                        const struct hm_policy_conflict *conflict, bool *out_passes)
{
    json_t *names = json_object();
    const char *name;
    int err =
        hm_cells_describe_cell(call, &conflict->row->key, conflict->cell->field, names);

    name = json_string_value(json_object_get(names, "field"));
    *out_passes = name != NULL && strcmp(name, field) == 0;
    json_decref(names);
    return err;
}

int hm_resolve_filter_passes(struct hm_call *call,
                             const struct hm_resolve_filter *filter,
                             const struct hm_household *h,
                             const struct hm_policy_conflict *conflict,
                             struct hm_arena *arena, bool *out_passes)
{
    const struct hm_row_key *key = &conflict->row->key;
    bool passes = (filter->form == NULL || key->form == filter->form->item.number) &&
                  (filter->round == NULL || key->round == filter->round->id) &&
                  (filter->kind == NULL ||
                   strcmp(filter->kind, hm_conflict_kind_name(conflict->kind)) == 0);
    int err = HM_OK;

    if (passes && filter->field != NULL) {
        err = field_passes(call, filter->field, conflict, &passes);
    }
    if (err == HM_OK && passes) {
        err = values_pass(call, filter, h, conflict, arena, &passes);
    }
    *out_passes = passes;
    return err;
}
