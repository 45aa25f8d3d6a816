/* What the files of storage/units.h share. Not for others. */
#ifndef HM_STORAGE_UNITS_PARTS_H
#define HM_STORAGE_UNITS_PARTS_H

#include "storage/units.h"

/* A period, in the order of codes. */
struct hm_units_name {
    const char *code;
    const char *valid_from;
    const char *valid_to;
    const struct hm_unit *unit;
};

/* All units by id, in arena. */
int hm_units_read_all(struct hm_store *s, struct hm_arena *arena,
                      struct hm_unit **out_units, size_t *out_count) HM_MUST_USE;

/* marks has one element for each of tree->units, all false before. Mark ids and all
 * that lies under them; ids and their ancestors. Unknown ids do nothing. */
void hm_units_mark_under(const struct hm_units_tree *tree, const uint32_t *ids,
                         size_t count, bool *marks);
void hm_units_mark_over(const struct hm_units_tree *tree, const uint32_t *ids,
                        size_t count, bool *marks);

/* day lies between two days that may be open. */
static inline bool hm_units_covers(const char *from, const char *to, const char *day)
{
    return (from[0] == 0 || strcmp(from, day) <= 0) &&
           (to[0] == 0 || strcmp(day, to) <= 0);
}

#endif
