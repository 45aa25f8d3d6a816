/* Reads what can still be read of a damaged store, row by row.
 *
 * A page that is broken costs the rows that lie on it: reading goes on behind them.
 * What a row says is not checked here. Blocking; one thread a connection. */
#ifndef HM_STORAGE_SALVAGE_H
#define HM_STORAGE_SALVAGE_H

#include "storage/db.h"

struct hm_salvaged {
    uint64_t rows;  /* that were read */
    uint64_t holes; /* places where some could not be read; how many is not known */
};

/* Copy the rows of a table into the table of the same name in to, where a row with the
 * same key stays. from may be read-only; a transaction of the caller is open on to.
 * *out is added to. HM_OK also when nothing can be read: errors are those of to. */
int hm_salvage_table(struct hm_db *from, struct hm_db *to, const char *table,
                     struct hm_salvaged *out) HM_MUST_USE;

#endif
