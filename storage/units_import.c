#include "storage/units_import.h"

#include <stdio.h>
#include <stdlib.h>

#include "storage/units_csv.h"
#include "storage/units_parts.h"

/* A unit while the file is being taken, chained by each of its codes. */
struct chained {
    const char *code;
    struct hm_unit *unit;
    struct chained *next;
};

struct import {
    struct hm_store *s;
    struct hm_arena *arena;
    const char *today;
    struct chained **buckets;
    size_t bucket_count; /* a power of two */
    struct hm_units_report report;
};

/* -- Who has a code ------------------------------------------------------------------
 */

static struct chained **bucket_of(const struct import *import, const char *code)
{
    uint32_t hash = 2166136261U; /* FNV-1a */

    for (const char *at = code; *at != 0; at++) {
        hash = (hash ^ (uint8_t)*at) * 16777619U;
    }
    return &import->buckets[hash & (import->bucket_count - 1)];
}

static int chain(struct import *import, const char *code, struct hm_unit *unit)
{
    struct chained **bucket = bucket_of(import, code);
    struct chained *added;

    for (const struct chained *at = *bucket; at != NULL; at = at->next) {
        if (at->unit == unit && strcmp(at->code, code) == 0) {
            return HM_OK;
        }
    }
    added = hm_arena_alloc(import->arena, sizeof *added);
    if (added == NULL) {
        return HM_NOMEM;
    }
    *added = (struct chained){code, unit, *bucket};
    *bucket = added;
    return HM_OK;
}

static int chain_unit(struct import *import, struct hm_unit *unit)
{
    int err = chain(import, unit->code, unit);

    for (size_t i = 0; err == HM_OK && i < unit->earlier_count; i++) {
        err = chain(import, unit->earlier[i].code, unit);
    }
    return err;
}

static int load(struct import *import)
{
    struct hm_unit *units;
    size_t count;
    int err = hm_units_read_all(import->s, import->arena, &units, &count);

    import->bucket_count = 1024;
    while (err == HM_OK && import->bucket_count < 2 * count) {
        import->bucket_count *= 2;
    }
    import->buckets =
        hm_arena_array(import->arena, import->bucket_count, sizeof *import->buckets);
    if (import->buckets == NULL) {
        err = HM_NOMEM;
    }
    for (size_t i = 0; err == HM_OK && i < count; i++) {
        err = chain_unit(import, &units[i]);
    }
    return err;
}

/* Period `index` of a unit: the earlier ones, then the present one. */
static struct hm_unit_period period_at(const struct hm_unit *unit, size_t index)
{
    if (index < unit->earlier_count) {
        return unit->earlier[index];
    }
    return (struct hm_unit_period){unit->code, unit->name, unit->parent,
                                   unit->valid_from, unit->valid_to};
}

/* What is looked for among the periods of a code. */
struct sought {
    const char *code;
    const char *day;   /* that the period covers, or NULL */
    const char *first; /* the period's first day, or NULL */
};

struct found {
    struct hm_unit *unit;
    size_t period;
    bool several; /* other units fit too */
};

static bool find(const struct import *import, const struct sought *sought,
                 struct found *out)
{
    struct found found = {0};

    for (const struct chained *at = *bucket_of(import, sought->code); at != NULL;
         at = at->next) {
        if (strcmp(at->code, sought->code) != 0) {
            continue;
        }
        for (size_t i = 0; i <= at->unit->earlier_count; i++) {
            struct hm_unit_period period = period_at(at->unit, i);

            if (strcmp(period.code, sought->code) != 0 ||
                (sought->day != NULL &&
                 !hm_units_covers(period.valid_from, period.valid_to, sought->day)) ||
                (sought->first != NULL &&
                 strcmp(period.valid_from, sought->first) != 0)) {
                continue;
            }
            found.several |= found.unit != NULL && found.unit != at->unit;
            found.unit = at->unit;
            found.period = i;
        }
    }
    *out = found;
    return found.unit != NULL;
}

/* Two periods have a day in common. */
static bool overlap(const struct hm_unit_period *a, const struct hm_unit_period *b)
{
    return (a->valid_to[0] == 0 || strcmp(b->valid_from, a->valid_to) <= 0) &&
           (b->valid_to[0] == 0 || strcmp(a->valid_from, b->valid_to) <= 0);
}

/* Does another unit have the code at the same time? */
static bool is_taken(const struct import *import, const struct hm_unit *unit,
                     const struct hm_unit_period *wanted)
{
    for (const struct chained *at = *bucket_of(import, wanted->code); at != NULL;
         at = at->next) {
        for (size_t i = 0; at->unit != unit && i <= at->unit->earlier_count; i++) {
            struct hm_unit_period period = period_at(at->unit, i);

            if (strcmp(period.code, wanted->code) == 0 && overlap(&period, wanted)) {
                return true;
            }
        }
    }
    return false;
}

/* -- One line ------------------------------------------------------------------------
 */

static const char *either(const char *text, const char *otherwise)
{
    return text[0] != 0 ? text : otherwise;
}

/* The unit and period that a line is about; unit NULL: a new one. NULL or why not. */
static const char *find_target(const struct import *import,
                               const struct hm_units_line *line, struct found *out)
{
    const char *continues = line->fields[HM_UNITS_CONTINUES];
    const char *at = strchr(continues, '@');
    char code[HM_UNIT_CODE_BYTES_MAX + 1];
    struct sought sought = {.code = line->fields[HM_UNITS_CODE],
                            .first = line->fields[HM_UNITS_FROM]};

    /* A plain list of codes and names means the units of today, not former ones. */
    if (continues[0] == 0 && sought.first[0] == 0 &&
        line->fields[HM_UNITS_TO][0] == 0) {
        struct sought now = {.code = sought.code, .day = import->today};

        if (find(import, &now, out)) {
            return NULL;
        }
    }
    if (find(import, &sought, out)) {
        return NULL;
    }
    if (continues[0] != 0) {
        if (at == NULL || (size_t)(at - continues) >= sizeof code ||
            !hm_units_is_day(at + 1)) {
            return "`continues` is not CODE@YYYY-MM-DD";
        }
        memcpy(code, continues, (size_t)(at - continues));
        code[at - continues] = 0;
        sought = (struct sought){.code = code, .day = at + 1};
        if (!find(import, &sought, out)) {
            return "`continues` names no unit";
        }
        out->period = SIZE_MAX; /* a new one of that unit */
        return NULL;
    }
    if (line->fields[HM_UNITS_FROM][0] == 0) {
        sought =
            (struct sought){.code = line->fields[HM_UNITS_CODE],
                            .day = either(line->fields[HM_UNITS_TO], import->today)};
        (void)find(import, &sought, out); /* none: a new unit */
    }
    return NULL;
}

/* The parent that a line names at the time of its period. NULL or why not. */
static const char *find_parent(const struct import *import,
                               const struct hm_units_line *line,
                               const struct hm_unit_period *period,
                               uint32_t *out_parent)
{
    struct sought sought = {.code = line->fields[HM_UNITS_PARENT]};
    struct found found;

    if (sought.code[0] == 0) {
        return NULL; /* stays as it was */
    }
    sought.day = period->valid_from[0] != 0 ? period->valid_from
                 : period->valid_to[0] != 0 ? period->valid_to
                                            : import->today;
    if (!find(import, &sought, &found)) {
        sought.day = NULL; /* the only one that ever had the code will do */
        if (!find(import, &sought, &found) || found.several) {
            return "`parent` names no unit of that time";
        }
    }
    *out_parent = found.unit->id;
    return NULL;
}

/* The unit as the line wants it. */
static const char *edit(struct import *import, const struct hm_units_line *line,
                        const struct found *target, struct hm_unit *unit)
{
    const char *const *fields = line->fields;
    bool is_new_period = target->unit == NULL || target->period == SIZE_MAX;
    struct hm_unit_period period =
        target->unit == NULL ? (struct hm_unit_period){.valid_from = ""}
        : is_new_period      ? period_at(unit, unit->earlier_count)
                             : period_at(unit, target->period);
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
    if (is_taken(import, target->unit, &period)) {
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
        unit->earlier[unit->earlier_count] = period_at(unit, unit->earlier_count);
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
    return chain_unit(import, edited);
}

static int take_line(struct import *import, const struct hm_units_line *line,
                     const char **out_reason)
{
    const char *kind = line->fields[HM_UNITS_KIND];
    struct found target = {0};
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
        err = load(&import);
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
