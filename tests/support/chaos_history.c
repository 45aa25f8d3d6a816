/* The histories of all households, as the centre shows them, folded once more: what is
 * live, what was replaced and by whom, against what people were answered. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/chaos.h"
#include "tests/support/e2e_data.h"

struct fold {
    struct chaos *c;
    const char *household;
    json_t *by_change; /* change: its entry; of all households */
    json_t *originals; /* "value|cell without items": how many writes */
    json_t *moved;     /* change: may have met bytes on their way */
    json_t *excused;   /* set of "device|cell|dot" of one household: see below */
    json_t *replaced;  /* set of "cell|dot"; of one household */
    json_t *live;      /* cell: array of distinct values; of one household */
    unsigned writes;
    unsigned replacements; /* of values that others wrote */
    unsigned unseen;       /* of them, of values that came in after the look */
};

static void generic_cell(const char *cell, char out[300])
{
    size_t len = 0;
    bool inside = false;

    for (; *cell != 0 && len < 299; cell++) {
        inside = inside || *cell == '[';
        if (!inside) {
            out[len++] = *cell;
        }
        inside = inside && *cell != ']';
    }
    out[len] = 0;
}

static bool holds(const json_t *array, const json_t *value)
{
    json_t *entry;
    size_t at;

    json_array_foreach(array, at, entry)
    {
        if (json_equal(entry, value)) {
            return true;
        }
    }
    return false;
}

static struct chaos_node *node_named(struct chaos *c, const char *name)
{
    for (size_t i = 0; i < CHAOS_NODES; i++) {
        if (strcmp(c->nodes[i].node->name, name) == 0) {
            return &c->nodes[i];
        }
    }
    e2e_fail("no node is called %s", name);
}

/* A removal, or a decision about one: lists show these in other words than histories.
 */
static bool is_status(const char *cell)
{
    size_t len = strlen(cell);

    return len > 7 && strcmp(cell + len - 7, ".status") == 0;
}

/* --- one write --- */

/* Nobody replaces what was not on a screen of that node, other than what a sync brought
 * between the look and the save. */
static void check_replaced(struct fold *f, const json_t *change, const char *cell,
                           const json_t *old)
{
    const char *id = e2e_str(change, "change");
    const char *author = e2e_str(change, "device");
    const json_t *moved = json_object_get(f->moved, id);
    char key[500];

    if (is_status(cell) || strcmp(e2e_str(old, "device"), author) == 0) {
        return;
    }
    f->replacements++;
    if (chaos_has_seen(node_named(f->c, author), f->household, cell,
                       e2e_get(old, "value"))) {
        return;
    }
    (void)snprintf(key, sizeof key, "%s|%s|%s", author, cell, e2e_str(old, "dot"));
    if (json_is_false(moved) && json_object_get(f->excused, key) == NULL) {
        e2e_fail("%s of %s at %s replaces %s of %s in %s, which nobody there had seen",
                 id, f->household, author, e2e_text(e2e_get(old, "value")),
                 e2e_str(old, "device"), cell);
    }
    f->unseen++;
}

/* A write over an own change that has no receipt yet names again what that one
 * replaced: what came in between look and save once may be named by later saves. */
static void excuse(struct fold *f, const json_t *change)
{
    json_t *write;
    json_t *old;
    size_t i;
    size_t j;

    if (json_is_false(json_object_get(f->moved, e2e_str(change, "change")))) {
        return;
    }
    json_array_foreach(e2e_get(change, "cells"), i, write)
    {
        json_array_foreach(e2e_get(write, "replaced"), j, old)
        {
            char key[500];

            (void)snprintf(key, sizeof key, "%s|%s|%s", e2e_str(change, "device"),
                           e2e_str(write, "cell"), e2e_str(old, "dot"));
            (void)json_object_set_new(f->excused, key, json_true());
        }
    }
}

static void count_original(struct fold *f, const char *cell, const json_t *write)
{
    const char *text = json_string_value(e2e_get(write, "value"));
    char generic[300];
    char key[800];
    json_t *old;
    size_t at;

    json_array_foreach(e2e_get(write, "replaced"), at, old)
    {
        if (json_equal(e2e_get(old, "value"), e2e_get(write, "value"))) {
            return; /* a decision for a value that was there */
        }
    }
    if (text == NULL) {
        return;
    }
    generic_cell(cell, generic);
    (void)snprintf(key, sizeof key, "%s|%s", text, generic);
    (void)json_object_set_new(
        f->originals, key,
        json_integer(json_integer_value(json_object_get(f->originals, key)) + 1));
}

static void take_replaced(struct fold *f, const json_t *change)
{
    json_t *write;
    json_t *old;
    size_t i;
    size_t j;

    json_array_foreach(e2e_get(change, "cells"), i, write)
    {
        const char *cell = e2e_str(write, "cell");

        f->writes++;
        count_original(f, cell, write);
        json_array_foreach(e2e_get(write, "replaced"), j, old)
        {
            char key[400];

            check_replaced(f, change, cell, old);
            (void)snprintf(key, sizeof key, "%s|%s", cell, e2e_str(old, "dot"));
            (void)json_object_set_new(f->replaced, key, json_true());
        }
    }
}

static void take_live(struct fold *f, const json_t *change)
{
    json_t *write;
    size_t at;

    json_array_foreach(e2e_get(change, "cells"), at, write)
    {
        const char *cell = e2e_str(write, "cell");
        json_t *values = json_object_get(f->live, cell);
        char key[400];

        (void)snprintf(key, sizeof key, "%s|%s", cell, e2e_str(change, "change"));
        if (json_object_get(f->replaced, key) != NULL) {
            continue;
        }
        if (values == NULL) {
            values = json_array();
            (void)json_object_set_new(f->live, cell, values);
        }
        if (!holds(values, e2e_get(write, "value"))) {
            (void)json_array_append(values, e2e_get(write, "value"));
        }
    }
}

/* --- one household --- */

static const json_t *conflict_of(const json_t *shown, const char *cell)
{
    json_t *conflict;
    size_t at;

    json_array_foreach(e2e_get(shown, "conflicts"), at, conflict)
    {
        if (strcmp(e2e_str(conflict, "cell"), cell) == 0) {
            return conflict;
        }
    }
    return NULL;
}

static const json_t *shown_value(const json_t *shown, const char *cell)
{
    const char *field;
    json_t *row;
    json_t *value;
    size_t at;

    json_array_foreach(e2e_get(shown, "rows"), at, row)
    {
        json_object_foreach(e2e_get(row, "values"), field, value)
        {
            char name[300];

            chaos_cell(row, field, name);
            if (strcmp(name, cell) == 0) {
                return value;
            }
        }
    }
    return NULL;
}

/* All live values are listed, and no other. */
static void check_conflict(const struct fold *f, const char *cell, const json_t *live,
                           const json_t *conflict)
{
    json_t *listed = json_array();
    json_t *value;
    size_t at;

    json_array_foreach(e2e_get(conflict, "values"), at, value)
    {
        if (!holds(listed, e2e_get(value, "value"))) {
            (void)json_array_append(listed, e2e_get(value, "value"));
        }
    }
    json_array_foreach(live, at, value)
    {
        if (json_array_size(live) != json_array_size(listed) || !holds(listed, value)) {
            e2e_fail("%s of %s: live are %s, the conflict lists %s", cell, f->household,
                     e2e_text(live), e2e_text(listed));
        }
    }
    json_decref(listed);
}

/* A cell of a member that somebody removed need not be shown. */
static bool is_removed(const struct fold *f, const char *cell)
{
    const char *open = strchr(cell, '[');
    const char *close = strchr(cell, ']');
    char item[100];

    if (open == NULL || close == NULL) {
        return false;
    }
    (void)snprintf(item, sizeof item, "%.*s", (int)(close - open - 1), open + 1);
    return json_object_get(f->c->removed, item) != NULL;
}

static void check_cell(const struct fold *f, const json_t *shown, const char *cell,
                       const json_t *live)
{
    const json_t *conflict = conflict_of(shown, cell);
    const json_t *value = shown_value(shown, cell);

    if (is_status(cell)) {
        return; /* a removal says which values it saw, not which it replaces */
    }
    if (value == NULL && is_removed(f, cell)) {
        return;
    }
    if (value == NULL || !holds(live, value)) {
        e2e_fail("%s of %s: live are %s, shown is %s", cell, f->household,
                 e2e_text(live), value == NULL ? "nothing" : e2e_text(value));
    }
    if (conflict != NULL) {
        check_conflict(f, cell, live, conflict);
    } else if (json_array_size(live) != 1) {
        e2e_fail("%s of %s: live are %s, and that is no conflict", cell, f->household,
                 e2e_text(live));
    }
}

/* A removal that was answered holds, or somebody is asked, or has decided to keep it.
 */
static void check_removal(const struct fold *f, const json_t *shown, const char *item)
{
    char cell[200];
    const json_t *live;
    json_t *value;
    size_t at;

    (void)snprintf(cell, sizeof cell, "register:members[%s].status", item);
    live = json_object_get(f->live, cell);
    json_array_foreach(live, at, value)
    {
        if (!json_is_string(value) ||
            strcmp(json_string_value(value), "removed") != 0) {
            return;
        }
    }
    if (e2e_member(shown, item) != NULL && conflict_of(shown, cell) == NULL) {
        e2e_fail("%s of %s was removed (%s) and is shown, and nobody is asked: %s",
                 item, f->household, e2e_text(live),
                 e2e_text(e2e_get(shown, "conflicts")));
    }
}

static void check_removals(const struct fold *f, const json_t *shown)
{
    json_t *save;
    size_t at;

    json_array_foreach(f->c->saves, at, save)
    {
        const char *item = json_string_value(json_object_get(save, "item"));

        if (item != NULL && json_is_string(json_object_get(save, "change")) &&
            strcmp(e2e_str(save, "household"), f->household) == 0) {
            check_removal(f, shown, item);
        }
    }
}

static void check_household(struct fold *f)
{
    struct e2e_result *result = e2e_cli(f->c->nodes[0].node, "household", "show",
                                        f->household, "--history", "--json", NULL);
    const json_t *history = e2e_get(result->json, "history");
    const char *cell;
    json_t *change;
    json_t *live;
    size_t at;

    f->replaced = json_object();
    f->live = json_object();
    f->excused = json_object();
    json_array_foreach(history, at, change)
    {
        excuse(f, change);
    }
    json_array_foreach(history, at, change)
    {
        const char *id = e2e_str(change, "change");

        if (json_object_get(f->by_change, id) != NULL) {
            e2e_fail("%s is in the history twice", id);
        }
        (void)json_object_set(f->by_change, id, change);
        take_replaced(f, change);
    }
    json_array_foreach(history, at, change)
    {
        take_live(f, change);
    }
    json_object_foreach(f->live, cell, live)
    {
        check_cell(f, result->json, cell, live);
    }
    check_removals(f, result->json);
    json_decref(f->excused);
    json_decref(f->replaced);
    json_decref(f->live);
    e2e_forget(result);
}

/* --- saves --- */

static void check_answered(const struct fold *f, const json_t *save)
{
    const char *id = e2e_str(save, "change");
    const json_t *change = json_object_get(f->by_change, id);
    json_t *expected;
    json_t *write;
    size_t at;
    size_t i;

    if (change == NULL) {
        e2e_fail("the answered save %s is nowhere in the centre's history: %s", id,
                 e2e_text(save));
    }
    json_array_foreach(e2e_get(save, "cells"), at, expected)
    {
        bool found = false;

        json_array_foreach(e2e_get(change, "cells"), i, write)
        {
            found = found ||
                    (strcmp(e2e_str(write, "cell"),
                            json_string_value(json_array_get(expected, 0))) == 0 &&
                     json_equal(e2e_get(write, "value"), json_array_get(expected, 1)));
        }
        if (!found) {
            e2e_fail("%s was answered with %s, the history has %s", id,
                     e2e_text(expected), e2e_text(change));
        }
    }
}

/* How often a mark was written: once when it was answered, and at most as often as it
 * was tried; an import knows its lines, so that trying again doubles none. */
static void check_mark(const struct fold *f, const json_t *save)
{
    const char *kind = e2e_str(save, "kind");
    bool one = strcmp(kind, "import") == 0 || strcmp(kind, "new") == 0;
    bool answered =
        e2e_bool(save, "answered") && (strcmp(kind, "import") == 0 ||
                                       json_is_string(json_object_get(save, "change")));
    const char *cell = "register:head_name";
    char generic[300];
    char key[800];
    json_int_t times;

    if (strcmp(kind, "member") == 0) {
        cell = "register:members.name";
    } else if (!one) {
        cell = json_string_value(e2e_get(save, "cells.0.0"));
    }
    generic_cell(cell, generic);
    (void)snprintf(key, sizeof key, "%s|%s", e2e_str(save, "mark"), generic);
    times = json_integer_value(json_object_get(f->originals, key));
    if (times < (answered ? 1 : 0) || times > (one ? 1 : e2e_int(save, "tries"))) {
        e2e_fail("%s is in the histories %d times: %s", key, (int)times,
                 e2e_text(save));
    }
}

/* Change: may its author's node have been reached by bytes since the look? */
static json_t *moved_changes(const struct chaos *c)
{
    json_t *moved = json_object();
    json_t *save;
    size_t at;

    json_array_foreach(c->saves, at, save)
    {
        const char *change = json_string_value(json_object_get(save, "change"));

        if (change != NULL) {
            (void)json_object_set(moved, change, e2e_get(save, "moved"));
        }
    }
    return moved;
}

void chaos_check_histories(struct chaos *c)
{
    struct fold f = {.c = c,
                     .by_change = json_object(),
                     .originals = json_object(),
                     .moved = moved_changes(c)};
    const json_t *list = e2e_ok(c->nodes[0].node, "household", "list", NULL);
    json_t *entry;
    size_t at;

    json_array_foreach(list, at, entry)
    {
        f.household = e2e_str(entry, "household");
        check_household(&f);
    }
    json_array_foreach(c->saves, at, entry)
    {
        if (json_is_string(json_object_get(entry, "change"))) {
            check_answered(&f, entry);
        }
        if (json_is_string(e2e_get(entry, "mark"))) {
            check_mark(&f, entry);
        }
    }
    e2e_step("%zu changes, %u cells written, %u replaced what another node wrote, %u "
             "of these came in between look and save",
             json_object_size(f.by_change), f.writes, f.replacements, f.unseen);
    if (f.unseen > 3 + f.replacements / 5) {
        e2e_fail("too many saves replace what nobody had seen");
    }
    json_decref(f.by_change);
    json_decref(f.originals);
    json_decref(f.moved);
}
