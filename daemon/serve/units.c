/* Routes below units/ and rounds/. */
#include "storage/units_import.h"

#include "daemon/serve/api_json.h"
#include "daemon/serve/cells.h"
#include "daemon/serve/handlers.h"
#include "daemon/serve/upload_body.h"

static json_t *unit_json(struct hm_call *call, const struct hm_unit *unit)
{
    return json_pack("{s:o, s:s, s:s, s:s, s:o, s:o, s:o}", "id",
                     json_sprintf("u%u", (unsigned)unit->id), "code", unit->code,
                     "name", unit->name, "kind", hm_unit_kind_name(unit->kind),
                     "parent",
                     hm_cells_text_or_null(hm_units_code_of(call->tree, unit->parent)),
                     "from", hm_cells_text_or_null(unit->valid_from), "to",
                     hm_cells_text_or_null(unit->valid_to));
}

int hm_units_handle_list(struct hm_call *call)
{
    const char *under = hm_call_parameter(call, "under");
    const char *day = hm_call_parameter(call, "at");
    const struct hm_unit *top = NULL;
    const struct hm_unit **units = NULL;
    size_t count = 0;
    int err = hm_call_tree(call);

    if (err == HM_OK && day != NULL && !hm_units_is_day(day)) {
        return hm_call_fail(call, HM_INVALID, "at: %s is not a day as 2026-11-23", day);
    }
    if (err == HM_OK && under != NULL) {
        err = hm_call_unit(call, under, &top);
    }
    if (err == HM_OK) {
        err = hm_units_list(call->tree, top == NULL ? 0 : top->id,
                            day == NULL ? "" : day, &call->arena, &units, &count);
    }
    if (err == HM_OK) {
        err = hm_api_json_stream(call, "application/json");
    }
    if (err != HM_OK) {
        return err;
    }
    hm_spool_text(call->out, "[");
    for (size_t i = 0; i < count; i++) {
        hm_spool_text(call->out, i == 0 ? "" : ",\n");
        hm_spool_json(call->out, unit_json(call, units[i]));
    }
    hm_spool_text(call->out, "]");
    return call->out->err;
}

static int answer_import(struct hm_call *call, const struct hm_units_report *report)
{
    json_t *rejected = json_array();
    int err = HM_OK;

    for (size_t i = 0; i < report->rejected_count && err == HM_OK; i++) {
        err =
            hm_cells_append(rejected, json_pack("{s:I, s:s}", "line",
                                                (json_int_t)report->rejected[i].line,
                                                "reason", report->rejected[i].reason));
    }
    if (err == HM_OK) {
        call->reply = json_pack(
            "{s:I, s:O, s:I}", "accepted", (json_int_t)report->changed, "rejected",
            rejected, "duplicates", (json_int_t)(report->accepted - report->changed));
        err = call->reply == NULL ? HM_NOMEM : HM_OK;
    }
    json_decref(rejected);
    return err;
}

int hm_units_handle_import(struct hm_call *call)
{
    struct hm_units_report report = {.accepted = 0};
    struct hm_upload_body body;
    const char *name;
    int err = hm_call_parameter_needed(call, "name", &name);

    if (err == HM_OK) {
        err = hm_upload_body_map(call, HM_UNITS_CSV_BYTES_MAX, &body);
    }
    if (err != HM_OK) {
        return err;
    }
    err = hm_units_import(call->s, body.bytes, call->today, &call->arena, &report);
    hm_upload_body_unmap(&body);
    return err == HM_OK ? answer_import(call, &report) : err;
}

/* -- Rounds -- */

static json_t *round_json(const struct hm_round *round)
{
    return json_pack("{s:s, s:o, s:o, s:o, s:s}", "code", round->code, "kind",
                     hm_cells_text_or_null(round->kind), "from",
                     hm_cells_text_or_null(round->from), "to",
                     hm_cells_text_or_null(round->to), "state",
                     round->open ? "open" : "closed");
}

int hm_rounds_handle_list(struct hm_call *call)
{
    int err = hm_call_forms(call);

    call->reply = json_array();
    for (size_t i = 0; i < call->round_count && err == HM_OK; i++) {
        err = hm_cells_append(call->reply, round_json(&call->rounds[i]));
    }
    return err;
}

static int answer_round(struct hm_call *call)
{
    struct hm_round round;
    int err = hm_rounds_find(call->s, call->members[0], &call->arena, &round);

    if (err == HM_OK) {
        call->reply = round_json(&round);
        err = call->reply == NULL ? HM_NOMEM : HM_OK;
    }
    return err;
}

int hm_rounds_handle_open(struct hm_call *call)
{
    struct hm_round round = {.code = call->members[0]};
    struct hm_round before = {.kind = "", .from = "", .to = ""};
    uint32_t id = 0;
    int err = hm_rounds_find(call->s, round.code, &call->arena, &before);

    err = err == HM_NOTFOUND ? HM_OK : err;
    if (err == HM_OK && call->body != NULL) {
        err = hm_api_json_text(call, call->body, "kind", false, &round.kind);
        if (err == HM_OK) {
            err = hm_api_json_text(call, call->body, "from", false, &round.from);
        }
        if (err == HM_OK) {
            err = hm_api_json_text(call, call->body, "to", false, &round.to);
        }
    }
    /* What is not said stays as it was. */
    round.kind = round.kind == NULL ? before.kind : round.kind;
    round.from = round.from == NULL ? before.from : round.from;
    round.to = round.to == NULL ? before.to : round.to;
    if (err == HM_OK) {
        err = hm_rounds_open(call->s, &round, &id);
    }
    if (err == HM_EXISTS) {
        return hm_call_fail(call, err, "round %s is open already", round.code);
    }
    return err == HM_OK ? answer_round(call) : err;
}

int hm_rounds_handle_close(struct hm_call *call)
{
    int err = hm_rounds_close(call->s, call->members[0]);

    if (err == HM_NOTFOUND) {
        return hm_call_fail(call, err, "there is no round %s", call->members[0]);
    }
    return err == HM_OK ? answer_round(call) : err;
}
