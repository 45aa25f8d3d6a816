/* Units from a CSV file: docs/programmes.md says what its columns mean.
 *
 * Runs inside a transaction of the caller. Blocking; thread as the store. */
#ifndef HM_STORAGE_UNITS_IMPORT_H
#define HM_STORAGE_UNITS_IMPORT_H

#include "storage/units.h"

enum { HM_UNITS_CSV_BYTES_MAX = 64 * 1024 * 1024 };

struct hm_units_rejected {
    size_t line; /* where the record begins; the first line of the file is 1 */
    const char *reason;
};

struct hm_units_report {
    size_t accepted; /* also those that changed nothing */
    size_t changed;
    struct hm_units_rejected *rejected; /* by line */
    size_t rejected_count;
};

/* Take every line that makes sense and report the others. Columns and lines may come in
 * any order; `code` and `name` must be there. A line is the unit's that has its code
 * from the same first day, or that it continues; without a first day, the one that has
 * the code now. What is left empty stays as it was. The same file again changes
 * nothing. The report is in arena.
 *
 * Errors: HM_INVALID (not CSV, or a needed column is missing; errmsg says it);
 * HM_TOOBIG; HM_DENIED (not the centre). */
int hm_units_import(struct hm_store *s, struct hm_bytes csv, const char *today,
                    struct hm_arena *arena, struct hm_units_report *out) HM_MUST_USE;

#endif
