/* Who has which code, while units change: what an import looks things up in.
 *
 * Knows nothing of files. Memory is an arena's; one thread. */
#ifndef HM_STORAGE_UNITS_CODES_H
#define HM_STORAGE_UNITS_CODES_H

#include "storage/units.h"

struct hm_units_chained;

struct hm_units_codes {
    struct hm_arena *arena;
    struct hm_units_chained **buckets;
    size_t bucket_count; /* a power of two */
};

/* What is looked for among the periods of a code. */
struct hm_units_sought {
    const char *code;
    const char *day;   /* that the period covers, or NULL */
    const char *first; /* the period's first day, or NULL */
};

struct hm_units_found {
    struct hm_unit *unit;
    size_t period;
    bool several; /* other units fit too */
};

/* All units of the store. */
int hm_units_codes_load(struct hm_units_codes *codes, struct hm_store *s,
                        struct hm_arena *arena) HM_MUST_USE;
/* Make a unit known under all of its codes; again when it got another one. It is not
 * copied and must stay where it is. Errors: HM_NOMEM. */
int hm_units_codes_add(struct hm_units_codes *codes, struct hm_unit *unit) HM_MUST_USE;
/* False, and *out all zero: none fits. The last period that fits. */
bool hm_units_codes_find(const struct hm_units_codes *codes,
                         const struct hm_units_sought *sought,
                         struct hm_units_found *out);
/* Does a unit other than this one have wanted's code on one of its days? */
bool hm_units_codes_taken(const struct hm_units_codes *codes,
                          const struct hm_unit *unit,
                          const struct hm_unit_period *wanted);
/* Period `index` of a unit: the earlier ones, then the present one. */
struct hm_unit_period hm_units_codes_period(const struct hm_unit *unit, size_t index);

#endif
