#include "storage/units_import.h"

#include <stdio.h>
#include <stdlib.h>

#include "storage/units_codes.h"
#include "storage/units_csv.h"
#include "storage/units_parts.h"

struct import {
    struct hm_store *s;
    struct hm_arena *arena;
    const char *today;
    struct hm_units_codes codes;
    struct hm_units_report report;
};

/* -- One line ------------------------------------------------------------------------
 */

static const char *either(const char *text, const char *otherwise)
{
    return text[0] != 0 ? text : otherwise;
}

/* The unit and period that a line is about; unit NULL: a new one. NULL or why not. */
static const char *find_target(const struct import *import,
                               const struct hm_units_line *line,
                               struct hm_units_found *out)
{
    const char *continues = line->fields[HM_UNITS_CONTINUES];
    const char *at = strchr(continues, '@');
    char code[HM_UNIT_CODE_BYTES_MAX + 1];
    struct hm_units_sought sought = {.code = line->fields[HM_UNITS_CODE],
                                     .first = line->fields[HM_UNITS_FROM]};

    /* A plain list of codes and names means the units of today, not former ones. */
    if (continues[0] == 0 && sought.first[0] == 0 &&
        line->fields[HM_UNITS_TO][0] == 0) {
        struct hm_units_sought now = {.code = sought.code, .day = import->today};

        if (hm_units_codes_find(&import->codes, &now, out)) {
            return NULL;
        }
    }
    if (hm_units_codes_find(&import->codes, &sought, out)) {
        return NULL;
    }
    if (continues[0] != 0) {
        if (at == NULL || (size_t)(at - continues) >= sizeof code ||
            !hm_units_is_day(at + 1)) {
            return "`continues` is not CODE@YYYY-MM-DD";
        }
        memcpy(code, continues, (size_t)(at - continues));
        code[at - continues] = 0;
        sought = (struct hm_units_sought){.code = code, .day = at + 1};
        if (!hm_units_codes_find(&import->codes, &sought, out)) {
            return "`continues` names no unit";
        }
        out->period = SIZE_MAX; /* a new one of that unit */
        return NULL;
    }
    if (line->fields[HM_UNITS_FROM][0] == 0) {
        sought = (struct hm_units_sought){
            .code = line->fields[HM_UNITS_CODE],
            .day = either(line->fields[HM_UNITS_TO], import->today)};
        (void)hm_units_codes_find(&import->codes, &sought, out); /* none: a new unit */
    }
    return NULL;
}

/* The parent that a line names at the time of its period. NULL or why not. */
static const char *find_parent(const struct import *import,
                               const struct hm_units_line *line,
                               const struct hm_unit_period *period,
                               uint32_t *out_parent)
{
    struct hm_units_sought sought = {.code = line->fields[HM_UNITS_PARENT]};
    struct hm_units_found found;

    if (sought.code[0] == 0) {
        return NULL; /* stays as it was */
    }
    sought.day = period->valid_from[0] != 0 ? period->valid_from
                 : period->valid_to[0] != 0 ? period->valid_to
                                            : import->today;
    if (!hm_units_codes_find(&import->codes, &sought, &found)) {
        sought.day = NULL; /* the only one that ever had the code will do */
        if (!hm_units_codes_find(&import->codes, &sought, &found) || found.several) {
            return "`parent` names no unit of that time";
        }
    }
    *out_parent = found.unit->id;
    return NULL;
}

/* The unit as the line wants it. */
static const char *edit(struct import *import, const struct hm_units_line *line,
                        const struct hm_units_found *target, struct hm_unit *unit)
{
    const char *const *fields = line->fields;
    bool is_new_period = target->unit == NULL || target->period == SIZE_MAX;
    struct hm_unit_period period =
        target->unit == NULL ? (struct hm_unit_period){.valid_from = ""}
        : is_new_period      ? hm_units_codes_period(unit, unit->earlier_count)
                             : hm_units_codes_period(unit, target->period);
    const char *reason;

    period.code = fields[HM_UNITS_CODE];
    period.name = fields[HM_UNITS_NAME];
    period.valid_from = is_new_period
                            ? fields[HM_UNITS_FROM]
                            : either(fields[HM_UNITS_FROM], period.valid_from);
    period.valid_to = fields[HM_UNITS_TO][0] != 0 || is_new_period ? fields[HM_UNITS_TO]
                                                                   : period.valid_to;
    reason = find_parent(import, line, &period, &period.parent);
    if (reason != NULL) {
        return reason;
    }
    if (hm_units_codes_taken(&import->codes, target->unit, &period)) {
        return "another unit has this code at that time";
    }
    if (!is_new_period && target->period < unit->earlier_count) {
        unit->earlier[target->period] = period;
        return NULL;
    }
    if (target->unit != NULL && is_new_period) {
        if (strcmp(period.valid_from, unit->valid_from) <= 0 ||
            unit->earlier_count >= HM_UNITS_PERIODS_MAX ||
            (unit->valid_to[0] != 0 &&
             strcmp(period.valid_from, unit->valid_to) <= 0)) {
            return "what continues a unit must come after it";
        }
        unit->earlier[unit->earlier_count] =
            hm_units_codes_period(unit, unit->earlier_count);
        unit->earlier_count++;
    }
    unit->code = period.code;
    unit->name = period.name;
    unit->parent = period.parent;
    unit->valid_from = period.valid_from;
    unit->valid_to = period.valid_to;
    unit->former = either(fields[HM_UNITS_FORMER], unit->former);
    unit->note = either(fields[HM_UNITS_NOTE], unit->note);
    return NULL;
}

/* A copy with room for one period more. */
static int copy_unit(struct hm_arena *arena, const struct hm_unit *from,
                     struct hm_unit **out)
{
    struct hm_unit *unit = hm_arena_alloc(arena, sizeof *unit);

    if (unit == NULL) {
        return HM_NOMEM;
    }
    *unit = from != NULL ? *from
                         : (struct hm_unit){.code = "",
                                            .name = "",
                                            .valid_from = "",
                                            .valid_to = "",
                                            .former = "",
                                            .note = ""};
    unit->earlier = hm_arena_grow(arena, unit->earlier, unit->earlier_count,
                                  unit->earlier_count + 1, sizeof *unit->earlier);
    if (unit->earlier == NULL) {
        return HM_NOMEM;
    }
    *out = unit;
    return HM_OK;
}

/* Keep an edited unit. *out_reason: the store does not want it. */
static int keep(struct import *import, struct hm_unit *known, struct hm_unit *edited,
                const char **out_reason)
{
    uint64_t before;
    uint64_t after;
    uint64_t salt;
    int err = hm_items_position(import->s, &before, &salt);

    if (err == HM_OK) {
        err = hm_units_put(import->s, edited, &edited->id);
    }
    if (err == HM_INVALID || err == HM_TOOBIG) {
        *out_reason =
            hm_arena_text(import->arena, hm_bytes_str(hm_store_errmsg(import->s)));
        return *out_reason == NULL ? HM_NOMEM : HM_OK;
    }
    if (err == HM_OK) {
        err = hm_items_position(import->s, &after, &salt);
    }
    if (err != HM_OK) {
        return err;
    }
    import->report.accepted++;
    import->report.changed += after != before;
    if (known != NULL) {
        *known = *edited; /* the chains point to it */
        edited = known;
    }
    return hm_units_codes_add(&import->codes, edited);
}

static int take_line(struct import *import, const struct hm_units_line *line,
                     const char **out_reason)
{
    const char *kind = line->fields[HM_UNITS_KIND];
    struct hm_units_found target = {0};
    struct hm_unit *edited;
    enum hm_unit_kind named;
    int err;

    *out_reason = line->reason;
    if (*out_reason == NULL) {
        *out_reason = find_target(import, line, &target);
    }
    if (*out_reason != NULL) {
        return HM_OK;
    }
    err = copy_unit(import->arena, target.unit, &edited);
    if (err != HM_OK) {
        return err;
    }
    if (kind[0] != 0 || target.unit == NULL) {
        if (hm_unit_kind_from_name(kind, &named) != HM_OK) {
            *out_reason = "`kind` is not province, district, commune or hamlet";
            return HM_OK;
        }
        edited->kind = named;
    }
    *out_reason = edit(import, line, &target, edited);
    return *out_reason == NULL ? keep(import, target.unit, edited, out_reason) : HM_OK;
}

/* -- The file ------------------------------------------------------------------------
 */

/* Parents before children, what is continued before what continues it; lines without
 * a kind are about units that are there, or come last. */
static int rank(const struct hm_units_line *line)
{
    enum hm_unit_kind kind;

    return hm_unit_kind_from_name(line->fields[HM_UNITS_KIND], &kind) == HM_OK
               ? (int)kind
               : HM_UNIT_HAMLET + 1;
}

static int compare_lines(const void *a, const void *b)
{
    const struct hm_units_line *x = a;
    const struct hm_units_line *y = b;
    int order = rank(x) - rank(y);

    if (order == 0) {
        order = strcmp(x->fields[HM_UNITS_FROM], y->fields[HM_UNITS_FROM]);
    }
    return order != 0 ? order : (x->line > y->line) - (x->line < y->line);
}

static int compare_rejected(const void *a, const void *b)
{
    const struct hm_units_rejected *x = a;
    const struct hm_units_rejected *y = b;

    return (x->line > y->line) - (x->line < y->line);
}

int hm_units_import(struct hm_store *s, struct hm_bytes csv, const char *today,
                    struct hm_arena *arena, struct hm_units_report *out)
{
    struct import import = {.s = s, .arena = arena, .today = today};
    struct hm_units_report *report = &import.report;
    struct hm_units_line *lines;
    const char *reason;
    size_t count;
    int err;

    if (csv.len > HM_UNITS_CSV_BYTES_MAX) {
        return hm_store_fail(s, HM_TOOBIG, "the file is too long");
    }
    err = hm_units_csv_read(csv, arena, &lines, &count, &reason);
    if (err == HM_INVALID) {
        return hm_store_fail(s, err, "%s", reason);
    }
    if (err == HM_OK) {
        err = hm_units_codes_load(&import.codes, s, arena);
    }
    if (err != HM_OK) {
        return err;
    }
    report->rejected = hm_arena_array(arena, count, sizeof *report->rejected);
    if (report->rejected == NULL) {
        return HM_NOMEM;
    }
    if (count > 0) {
        qsort(lines, count, sizeof *lines, compare_lines);
    }
    for (size_t i = 0; err == HM_OK && i < count; i++) {
        err = take_line(&import, &lines[i], &reason);
        if (err == HM_OK && reason != NULL) {
            report->rejected[report->rejected_count++] =
                (struct hm_units_rejected){lines[i].line, reason};
        }
    }
    if (err == HM_OK) {
        if (report->rejected_count > 0) {
            qsort(report->rejected, report->rejected_count, sizeof *report->rejected,
                  compare_rejected);
        }
        *out = *report;
    }
    return err;
}
