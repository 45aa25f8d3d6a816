/* Reads the lines of a units file. Knows nothing of the units that are there.
 *
 * No store; allocates; any thread. */
#ifndef HM_STORAGE_UNITS_CSV_H
#define HM_STORAGE_UNITS_CSV_H

#include "storage/units_import.h"

enum hm_units_column {
    HM_UNITS_CODE,
    HM_UNITS_NAME,
    HM_UNITS_KIND,
    HM_UNITS_PARENT,
    HM_UNITS_FROM,
    HM_UNITS_TO,
    HM_UNITS_FORMER,
    HM_UNITS_CONTINUES,
    HM_UNITS_NOTE,
    HM_UNITS_COLUMNS
};

struct hm_units_line {
    size_t line;
    const char *fields[HM_UNITS_COLUMNS]; /* NFC, trimmed; "" when left out */
    const char *reason;                   /* why it cannot be read; NULL: it can */
};

/* Lines and texts are in arena; empty lines are left out. Commas or semicolons; a byte
 * order mark is skipped; columns in any order, others are ignored.
 *
 * Errors: HM_INVALID (*out_reason, static, says what is wrong with the file);
 * HM_TOOBIG (too many lines); HM_NOMEM. */
int hm_units_csv_read(struct hm_bytes csv, struct hm_arena *arena,
                      struct hm_units_line **out_lines, size_t *out_count,
                      const char **out_reason) HM_MUST_USE;

#endif
