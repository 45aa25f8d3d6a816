/* The columns of a household file, coming in and going out: household, scope, fields of
 * the form's own row, repeat[N].field, and repeat[N].item for the row's id.
 *
 * The forms of the call are loaded before. One thread. */
#ifndef HM_DAEMON_SERVE_COLUMNS_H
#define HM_DAEMON_SERVE_COLUMNS_H

#include "daemon/serve/call.h"

enum { HM_COLUMNS_ROWS_MAX = 500 /* N of repeat[N] */ };

enum hm_column_kind {
    HM_COLUMN_IGNORED,
    HM_COLUMN_HOUSEHOLD,
    HM_COLUMN_SCOPE,
    HM_COLUMN_FIELD, /* of the own row, or of row `row` of a repeat */
    HM_COLUMN_ITEM   /* the id of row `row` of a repeat */
};

struct hm_import_column {
    enum hm_column_kind kind;
    const struct hm_field_entry *repeat; /* NULL: the own row */
    unsigned row;                        /* from 1 */
    const struct hm_field_entry *entry;
};

/* What a name in the first line means. Errors: HM_INVALID, with a line. */
int hm_columns_read(struct hm_call *call, const struct hm_call_form *form,
                    const char *name, struct hm_import_column *out) HM_MUST_USE;
/* Is a field written to files: answered by people, and not retired? */
bool hm_columns_is_data(const struct hm_field_entry *entry);
/* Has the repeat a field of its own with the name "item"? Then ids have no column. */
bool hm_columns_has_item(const struct hm_field_table *table,
                         const struct hm_field_entry *repeat);

#endif
