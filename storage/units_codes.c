#include "storage/units_codes.h"

#include "storage/units_parts.h"

/* A unit by one of its codes. */
struct hm_units_chained {
    const char *code;
    struct hm_unit *unit;
    struct hm_units_chained *next;
};

static struct hm_units_chained **bucket_of(const struct hm_units_codes *codes,
                                           const char *code)
{
    uint32_t hash = 2166136261U; /* FNV-1a */

    for (const char *at = code; *at != 0; at++) {
        hash = (hash ^ (uint8_t)*at) * 16777619U;
    }
    return &codes->buckets[hash & (codes->bucket_count - 1)];
}

static int chain(struct hm_units_codes *codes, const char *code, struct hm_unit *unit)
{
    struct hm_units_chained **bucket = bucket_of(codes, code);
    struct hm_units_chained *added;

    for (const struct hm_units_chained *at = *bucket; at != NULL; at = at->next) {
        if (at->unit == unit && strcmp(at->code, code) == 0) {
            return HM_OK;
        }
    }
    added = hm_arena_alloc(codes->arena, sizeof *added);
    if (added == NULL) {
        return HM_NOMEM;
    }
    *added = (struct hm_units_chained){code, unit, *bucket};
    *bucket = added;
    return HM_OK;
}

int hm_units_codes_add(struct hm_units_codes *codes, struct hm_unit *unit)
{
    int err = chain(codes, unit->code, unit);

    for (size_t i = 0; err == HM_OK && i < unit->earlier_count; i++) {
        err = chain(codes, unit->earlier[i].code, unit);
    }
    return err;
}

int hm_units_codes_load(struct hm_units_codes *codes, struct hm_store *s,
                        struct hm_arena *arena)
{
    struct hm_unit *units;
    size_t count;
    int err = hm_units_read_all(s, arena, &units, &count);

    *codes = (struct hm_units_codes){.arena = arena, .bucket_count = 131072};
    while (err == HM_OK && codes->bucket_count < 2 * count) {
        codes->bucket_count *= 2;
    }
    codes->buckets =
        hm_arena_array(codes->arena, codes->bucket_count, sizeof *codes->buckets);
    if (codes->buckets == NULL) {
        err = HM_NOMEM;
    }
    for (size_t i = 0; err == HM_OK && i < count; i++) {
        err = hm_units_codes_add(codes, &units[i]);
    }
    return err;
}

struct hm_unit_period hm_units_codes_period(const struct hm_unit *unit, size_t index)
{
    if (index < unit->earlier_count) {
        return unit->earlier[index];
    }
    return (struct hm_unit_period){unit->code, unit->name, unit->parent,
                                   unit->valid_from, unit->valid_to};
}

bool hm_units_codes_find(const struct hm_units_codes *codes,
                         const struct hm_units_sought *sought,
                         struct hm_units_found *out)
{
    struct hm_units_found found = {0};

    for (const struct hm_units_chained *at = *bucket_of(codes, sought->code);
         at != NULL; at = at->next) {
        if (strcmp(at->code, sought->code) != 0) {
            continue;
        }
        for (size_t i = 0; i <= at->unit->earlier_count; i++) {
            struct hm_unit_period period = hm_units_codes_period(at->unit, i);

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

bool hm_units_codes_taken(const struct hm_units_codes *codes,
                          const struct hm_unit *unit,
                          const struct hm_unit_period *wanted)
{
    for (const struct hm_units_chained *at = *bucket_of(codes, wanted->code);
         at != NULL; at = at->next) {
        for (size_t i = 0; at->unit != unit && i <= at->unit->earlier_count; i++) {
            struct hm_unit_period period = hm_units_codes_period(at->unit, i);

            if (strcmp(period.code, wanted->code) == 0 && overlap(&period, wanted)) {
                return true;
            }
        }
    }
    return false;
}
