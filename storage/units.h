/* Units: provinces, districts, communes and hamlets, with their periods and names.
 *
 * A unit has a permanent id. Its code, name and parent may change: then the former ones
 * are kept as earlier periods, each with its days. Codes are used again after mergers,
 * so a code alone may mean several units. Days are texts YYYY-MM-DD, which compare as
 * they are; "" is open.
 *
 * Runs inside a transaction of the caller. Blocking; thread as the store. A loaded tree
 * is only read: any thread. */
#ifndef HM_STORAGE_UNITS_H
#define HM_STORAGE_UNITS_H

#include "storage/items.h"

enum {
    HM_UNITS_MAX = 200000,
    HM_UNITS_PERIODS_MAX = 32, /* of one unit */
    HM_UNIT_CODE_BYTES_MAX = 32,
    HM_UNIT_TEXT_BYTES_MAX = 256,
    HM_UNITS_TREE_BYTES_MAX = 256 * 1024 * 1024 /* enough for an arena of all units */
};

/* Each lies under one with a smaller number. Kept on disk: never renumber. */
enum hm_unit_kind {
    HM_UNIT_PROVINCE = 1,
    HM_UNIT_DISTRICT = 2,
    HM_UNIT_COMMUNE = 3,
    HM_UNIT_HAMLET = 4
};

/* What a unit was called, and where it lay, for some time. */
struct hm_unit_period {
    const char *code;
    const char *name;
    uint32_t parent;        /* id; 0 for none */
    const char *valid_from; /* first day, "" for open */
    const char *valid_to;   /* last day, "" for open */
};

struct hm_unit {
    uint32_t id; /* 0 in hm_units_put(): a new one */
    enum hm_unit_kind kind;
    const char *code;
    const char *name;
    uint32_t parent;
    const char *valid_from; /* of this code, name and parent */
    const char *valid_to;
    const char *former; /* for people; "" for none */
    const char *note;
    struct hm_unit_period *earlier; /* oldest first */
    size_t earlier_count;
};

const char *hm_unit_kind_name(enum hm_unit_kind kind);
/* Errors: HM_INVALID. */
int hm_unit_kind_from_name(const char *name, enum hm_unit_kind *out_kind) HM_MUST_USE;
/* text is a day of the calendar, YYYY-MM-DD. */
bool hm_units_is_day(const char *text);

/* Make or change a unit. Errors: as hm_items_put(); HM_INVALID (no code or name, a day
 * that is none, a parent that is not there or not of a higher kind; a change of kind);
 * HM_TOOBIG. The store's errmsg says which. */
int hm_units_put(struct hm_store *s, const struct hm_unit *unit,
                 uint32_t *out_id) HM_MUST_USE;
/* In arena. Errors: HM_NOTFOUND. */
int hm_units_get(struct hm_store *s, uint32_t id, struct hm_arena *arena,
                 struct hm_unit *out) HM_MUST_USE;

struct hm_units_name; /* a period, in the order of codes */

/* All units that this node holds, with indexes. In the arena that it was loaded into.
 */
struct hm_units_tree {
    struct hm_unit *units; /* by id */
    size_t count;
    const struct hm_units_name *by_code; /* periods by code, then by first day */
    size_t name_count;
    const struct hm_unit **by_parent; /* by parent, then by code */
};
int hm_units_load(struct hm_store *s, struct hm_arena *arena,
                  struct hm_units_tree *out) HM_MUST_USE;

/* NULL when there is none. */
const struct hm_unit *hm_units_by_id(const struct hm_units_tree *tree, uint32_t id);
/* text is CODE, CODE@YYYY-MM-DD or u17. CODE alone means the unit that has it today,
 * and when none has, the only one that ever had it.
 * Errors: HM_NOTFOUND; HM_INVALID (the code had several owners, none of them today). */
int hm_units_find(const struct hm_units_tree *tree, const char *text, const char *today,
                  const struct hm_unit **out) HM_MUST_USE;
/* The code it has now; "" for an unknown id. */
const char *hm_units_code_of(const struct hm_units_tree *tree, uint32_t id);
/* Did the unit exist on that day, under whatever name? day "": always true. */
bool hm_units_is_valid(const struct hm_unit *unit, const char *day);
/* under and everything below it (0: all units), each behind its parent, siblings by
 * code; only those that existed at the day ("": all). The array is in arena. */
int hm_units_list(const struct hm_units_tree *tree, uint32_t under, const char *day,
                  struct hm_arena *arena, const struct hm_unit ***out_units,
                  size_t *out_count) HM_MUST_USE;
/* Is unit ancestor itself, or does it lie under it? */
bool hm_units_is_under(const struct hm_units_tree *tree, uint32_t unit,
                       uint32_t ancestor);
/* The same, or did it ever lie under it, by what its earlier periods say? */
bool hm_units_was_under(const struct hm_units_tree *tree, uint32_t unit,
                        uint32_t ancestor);
/* The hamlets at or under any of ids, ascending, each once, in arena. Unknown ids give
 * nothing. */
int hm_units_hamlets_under(const struct hm_units_tree *tree, const uint32_t *ids,
                           size_t count, struct hm_arena *arena, uint32_t **out_hamlets,
                           size_t *out_count) HM_MUST_USE;
/* ids and all their ancestors, ascending, each once, in arena; unknown ones are left
 * out. */
int hm_units_ancestors(const struct hm_units_tree *tree, const uint32_t *ids,
                       size_t count, struct hm_arena *arena, uint32_t **out_units,
                       size_t *out_count) HM_MUST_USE;

#endif
