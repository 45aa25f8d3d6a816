/* The tables of a store and how they came to be. Pure data. */
#ifndef HM_STORAGE_TABLES_H
#define HM_STORAGE_TABLES_H

#include "storage/migrate.h"

extern const struct hm_migration hm_tables_migrations[];
extern const size_t hm_tables_migration_count;

#endif
