/* The tree of units in memory: loaded once, then only read. */
#include <stdio.h>
#include <stdlib.h>

#include "storage/units_parts.h"

enum { DEPTH_MAX = HM_UNIT_HAMLET };

static int compare_names(const void *a, const void *b)
{
    const struct hm_units_name *x = a;
    const struct hm_units_name *y = b;
    int order = strcmp(x->code, y->code);

    if (order == 0) {
        order = strcmp(x->valid_from, y->valid_from);
    }
    return order != 0 ? order
                      : (x->unit->id > y->unit->id) - (x->unit->id < y->unit->id);
}

static int compare_siblings(const void *a, const void *b)
{
    const struct hm_unit *x = *(const struct hm_unit *const *)a;
    const struct hm_unit *y = *(const struct hm_unit *const *)b;
    int order = (x->parent > y->parent) - (x->parent < y->parent);

    if (order == 0) {
        order = strcmp(x->code, y->code);
    }
    return order != 0 ? order : (x->id > y->id) - (x->id < y->id);
}

static int index_names(struct hm_units_tree *tree, struct hm_arena *arena)
{
    struct hm_units_name *names;
    size_t count = 0;

    for (size_t i = 0; i < tree->count; i++) {
        count += 1 + tree->units[i].earlier_count;
    }
    names = hm_arena_array(arena, count, sizeof *names);
    if (names == NULL) {
        return HM_NOMEM;
    }
    count = 0;
    for (size_t i = 0; i < tree->count; i++) {
        const struct hm_unit *unit = &tree->units[i];

        for (size_t k = 0; k < unit->earlier_count; k++) {
            const struct hm_unit_period *period = &unit->earlier[k];

            names[count++] = (struct hm_units_name){period->code, period->valid_from,
                                                    period->valid_to, unit};
        }
        names[count++] =
            (struct hm_units_name){unit->code, unit->valid_from, unit->valid_to, unit};
    }
    qsort(names, count, sizeof *names, compare_names);
    tree->by_code = names;
    tree->name_count = count;
    return HM_OK;
}

int hm_units_load(struct hm_store *s, struct hm_arena *arena, struct hm_units_tree *out)
{
    struct hm_units_tree tree = {0};
    int err = hm_units_read_all(s, arena, &tree.units, &tree.count);

    if (err == HM_OK) {
        err = index_names(&tree, arena);
    }
    if (err == HM_OK) {
        tree.by_parent = hm_arena_array(arena, tree.count, sizeof *tree.by_parent);
        err = tree.by_parent == NULL ? HM_NOMEM : HM_OK;
    }
    if (err == HM_OK) {
        for (size_t i = 0; i < tree.count; i++) {
            tree.by_parent[i] = &tree.units[i];
        }
        qsort(tree.by_parent, tree.count, sizeof *tree.by_parent, compare_siblings);
        *out = tree;
    }
    return err;
}

static int compare_id(const void *key, const void *element)
{
    uint32_t id = *(const uint32_t *)key;
    const struct hm_unit *unit = element;

    return (id > unit->id) - (id < unit->id);
}

const struct hm_unit *hm_units_by_id(const struct hm_units_tree *tree, uint32_t id)
{
    if (tree->count == 0) {
        return NULL;
    }
    return bsearch(&id, tree->units, tree->count, sizeof *tree->units, compare_id);
}

/* Where the code's periods begin in by_code. */
static size_t first_name(const struct hm_units_tree *tree, const char *code)
{
    size_t low = 0;
    size_t high = tree->name_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(tree->by_code[middle].code, code) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static int find_code(const struct hm_units_tree *tree, const char *code,
                     const char *day, bool any_day, const struct hm_unit **out)
{
    const struct hm_unit *only = NULL;
    bool several = false;

    for (size_t i = first_name(tree, code);
         i < tree->name_count && strcmp(tree->by_code[i].code, code) == 0; i++) {
        const struct hm_units_name *name = &tree->by_code[i];

        if (hm_units_covers(name->valid_from, name->valid_to, day)) {
            *out = name->unit;
            return HM_OK;
        }
        several = several || (only != NULL && only != name->unit);
        only = name->unit;
    }
    if (!any_day || only == NULL) {
        return HM_NOTFOUND;
    }
    if (several) {
        return HM_INVALID;
    }
    *out = only;
    return HM_OK;
}

/* u17. False when text is not of that form. */
static bool id_of(const char *text, uint32_t *out_id)
{
    uint64_t id = 0;

    if (text[0] != 'u' || text[1] == 0) {
        return false;
    }
    for (const char *at = text + 1; *at != 0; at++) {
        if (*at < '0' || *at > '9' || id > UINT32_MAX) {
            return false;
        }
        id = id * 10 + (uint64_t)(*at - '0');
    }
    *out_id = id > UINT32_MAX ? 0 : (uint32_t)id;
    return true;
}

int hm_units_find(const struct hm_units_tree *tree, const char *text, const char *today,
                  const struct hm_unit **out)
{
    const char *at = strchr(text, '@');
    char code[HM_UNIT_CODE_BYTES_MAX + 1];
    uint32_t id;

    if (id_of(text, &id)) {
        const struct hm_unit *unit = hm_units_by_id(tree, id);

        if (unit == NULL) {
            return HM_NOTFOUND;
        }
        *out = unit;
        return HM_OK;
    }
    if (at == NULL) {
        return find_code(tree, text, today, true, out);
    }
    if ((size_t)(at - text) >= sizeof code || !hm_units_is_day(at + 1)) {
        return HM_NOTFOUND;
    }
    memcpy(code, text, (size_t)(at - text));
    code[at - text] = 0;
    return find_code(tree, code, at + 1, false, out);
}

const char *hm_units_code_of(const struct hm_units_tree *tree, uint32_t id)
{
    const struct hm_unit *unit = hm_units_by_id(tree, id);

    return unit == NULL ? "" : unit->code;
}

bool hm_units_is_valid(const struct hm_unit *unit, const char *day)
{
    bool valid = day[0] == 0 || hm_units_covers(unit->valid_from, unit->valid_to, day);

    for (size_t i = 0; !valid && i < unit->earlier_count; i++) {
        valid = hm_units_covers(unit->earlier[i].valid_from, unit->earlier[i].valid_to,
                                day);
    }
    return valid;
}

bool hm_units_is_under(const struct hm_units_tree *tree, uint32_t unit,
                       uint32_t ancestor)
{
    for (int depth = 0; unit != 0 && depth <= DEPTH_MAX; depth++) {
        const struct hm_unit *found = hm_units_by_id(tree, unit);

        if (found == NULL) {
            return false;
        }
        if (unit == ancestor) {
            return true;
        }
        unit = found->parent;
    }
    return false;
}

/* child: the kind below which the search goes on, which bounds it. */
static bool was_under(const struct hm_units_tree *tree, uint32_t unit,
                      uint32_t ancestor, int child)
{
    const struct hm_unit *found = hm_units_by_id(tree, unit);
    bool under;

    if (found == NULL || (int)found->kind >= child) {
        return false;
    }
    under =
        unit == ancestor || was_under(tree, found->parent, ancestor, (int)found->kind);
    for (size_t i = 0; !under && i < found->earlier_count; i++) {
        under = was_under(tree, found->earlier[i].parent, ancestor, (int)found->kind);
    }
    return under;
}

bool hm_units_was_under(const struct hm_units_tree *tree, uint32_t unit,
                        uint32_t ancestor)
{
    return was_under(tree, unit, ancestor, HM_UNIT_HAMLET + 1);
}

/* Where the children of a unit begin in by_parent. */
static size_t first_child(const struct hm_units_tree *tree, uint32_t parent)
{
    size_t low = 0;
    size_t high = tree->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (tree->by_parent[middle]->parent < parent) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static size_t index_of(const struct hm_units_tree *tree, const struct hm_unit *unit)
{
    return (size_t)(unit - tree->units);
}

/* A walk downward that visits each unit once, parents first. */
struct descent {
    const struct hm_units_tree *tree;
    bool *seen;                    /* by index of units */
    const struct hm_unit **listed; /* NULL: not wanted */
    size_t count;
    const char *day;
};

static void descend(struct descent *d, const struct hm_unit *unit)
{
    const struct hm_units_tree *tree = d->tree;

    if (d->seen[index_of(tree, unit)]) {
        return;
    }
    d->seen[index_of(tree, unit)] = true;
    if (d->listed != NULL && hm_units_is_valid(unit, d->day)) {
        d->listed[d->count++] = unit;
    }
    for (size_t i = first_child(tree, unit->id);
         i < tree->count && tree->by_parent[i]->parent == unit->id; i++) {
        if (tree->by_parent[i]->kind > unit->kind) { /* bounds the recursion */
            descend(d, tree->by_parent[i]);
        }
    }
}

int hm_units_list(const struct hm_units_tree *tree, uint32_t under, const char *day,
                  struct hm_arena *arena, const struct hm_unit ***out_units,
                  size_t *out_count)
{
    struct descent d = {.tree = tree,
                        .seen = hm_arena_array(arena, tree->count, sizeof *d.seen),
                        .listed = hm_arena_array(arena, tree->count, sizeof *d.listed),
                        .day = day};
    const struct hm_unit *top = hm_units_by_id(tree, under);

    if (d.seen == NULL || d.listed == NULL) {
        return HM_NOMEM;
    }
    if (top != NULL) {
        descend(&d, top);
    }
    for (size_t i = 0; under == 0 && i < tree->count; i++) {
        if (hm_units_by_id(tree, tree->by_parent[i]->parent) == NULL) {
            descend(&d, tree->by_parent[i]);
        }
    }
    *out_units = d.listed;
    *out_count = d.count;
    return HM_OK;
}

void hm_units_mark_under(const struct hm_units_tree *tree, const uint32_t *ids,
                         size_t count, bool *marks)
{
    struct descent d = {.tree = tree, .seen = marks, .day = ""};

    for (size_t i = 0; i < count; i++) {
        const struct hm_unit *unit = hm_units_by_id(tree, ids[i]);

        if (unit != NULL) {
            descend(&d, unit);
        }
    }
}

void hm_units_mark_over(const struct hm_units_tree *tree, const uint32_t *ids,
                        size_t count, bool *marks)
{
    for (size_t i = 0; i < count; i++) {
        const struct hm_unit *unit = hm_units_by_id(tree, ids[i]);

        while (unit != NULL && !marks[index_of(tree, unit)]) {
            marks[index_of(tree, unit)] = true;
            unit = hm_units_by_id(tree, unit->parent);
        }
    }
}

/* The ids of marked units, in arena. */
static int collect(const struct hm_units_tree *tree, const bool *marks,
                   bool hamlets_only, struct hm_arena *arena, uint32_t **out_ids,
                   size_t *out_count)
{
    size_t count = 0;
    uint32_t *ids;

    for (size_t i = 0; i < tree->count; i++) {
        count += marks[i];
    }
    ids = hm_arena_array(arena, count, sizeof *ids);
    if (ids == NULL) {
        return HM_NOMEM;
    }
    count = 0;
    for (size_t i = 0; i < tree->count; i++) {
        if (marks[i] && (!hamlets_only || tree->units[i].kind == HM_UNIT_HAMLET)) {
            ids[count++] = tree->units[i].id;
        }
    }
    *out_ids = ids;
    *out_count = count;
    return HM_OK;
}

int hm_units_hamlets_under(const struct hm_units_tree *tree, const uint32_t *ids,
                           size_t count, struct hm_arena *arena, uint32_t **out_hamlets,
                           size_t *out_count)
{
    bool *marks = hm_arena_array(arena, tree->count, sizeof *marks);

    if (marks == NULL) {
        return HM_NOMEM;
    }
    hm_units_mark_under(tree, ids, count, marks);
    return collect(tree, marks, true, arena, out_hamlets, out_count);
}

int hm_units_ancestors(const struct hm_units_tree *tree, const uint32_t *ids,
                       size_t count, struct hm_arena *arena, uint32_t **out_units,
                       size_t *out_count)
{
    bool *marks = hm_arena_array(arena, tree->count, sizeof *marks);

    if (marks == NULL) {
        return HM_NOMEM;
    }
    hm_units_mark_over(tree, ids, count, marks);
    return collect(tree, marks, false, arena, out_units, out_count);
}
