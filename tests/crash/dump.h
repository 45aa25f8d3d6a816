/* Everything that a store says, as a reader gets it. */
#ifndef HM_TESTS_CRASH_DUMP_H
#define HM_TESTS_CRASH_DUMP_H

#include "storage/db.h"

/* Append every row of every table, each column with its type. Errors: of the store. */
int hm_dump_tables(struct hm_db *db, struct hm_buf *buf) HM_MUST_USE;

#endif
