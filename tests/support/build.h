/* Builds changes for tests, row after row and cell after cell in their order. */
#ifndef HM_TESTS_SUPPORT_BUILD_H
#define HM_TESTS_SUPPORT_BUILD_H

#include "protocol/change.h"
#include "protocol/household.h"

enum { HM_BUILD_ROWS_MAX = 64, HM_BUILD_CELLS_MAX = 128 };

struct hm_build {
    struct hm_arena *arena;
    struct hm_dot dot;
    struct hm_change change;
};

/* A change dot of the household; everything lies in arena. */
void hm_build_begin(struct hm_build *b, struct hm_arena *arena, struct hm_dot dot,
                    struct hm_household_id household, uint32_t scope);
void hm_build_row(struct hm_build *b, struct hm_row_key key);
/* A cell of the last row. It replaces what a cell replaces when nothing is listed. */
void hm_build_cell(struct hm_build *b, uint32_t field, struct hm_bytes value);
void hm_build_uint(struct hm_build *b, uint32_t field, uint64_t value);
void hm_build_text(struct hm_build *b, uint32_t field, const char *text);
/* The last cell replaces exactly these; dots are copied. */
void hm_build_replaces(struct hm_build *b, const struct hm_dot *dots, size_t count);

/* Encodes; the bytes lie in arena. */
struct hm_bytes hm_build_bytes(struct hm_build *b);
/* Any change to bytes in arena. */
struct hm_bytes hm_build_encode(struct hm_arena *arena, const struct hm_change *change,
                                const struct hm_dot *dot);
/* A state to bytes in arena. */
struct hm_bytes hm_build_state(struct hm_arena *arena, const struct hm_household *h);

/* The author that tests give an incarnation. */
struct hm_author hm_build_author(uint64_t incarnation);

/* New household of four members with a root row, as dot. */
void hm_build_family(struct hm_build *b, struct hm_arena *arena, struct hm_dot dot);

#endif
