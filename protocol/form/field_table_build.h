/* What the files of the field table share. Not for others. */
#ifndef HM_PROTOCOL_FORM_FIELD_TABLE_BUILD_H
#define HM_PROTOCOL_FORM_FIELD_TABLE_BUILD_H

#include "protocol/arena.h"
#include "protocol/form/field_table.h"

/* A table and the memory that it lives in. */
struct hm_field_table_owned {
    struct hm_field_table table; /* first: hm_field_table_destroy() is given this one */
    struct hm_arena arena;
};

/* NULL when memory is out. */
struct hm_field_table_owned *hm_field_table_build_create(void);

#endif
