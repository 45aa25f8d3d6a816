/* What a centre's officer does, and what a node shows. */
#include <stdio.h>
#include <stdlib.h>

#include <sodium.h>

#include "protocol/form/value.h"
#include "storage/people.h"
#include "storage/quarantine.h"
#include "storage/rounds.h"
#include "tests/crash/act.h"

enum { ARENA_BYTES = 64 * 1024 * 1024, CODE_MAX = 32 };

/* One kind of item: made when it is not there; its id for the answer. */
typedef int (*make_fn)(struct hm_world *w, unsigned number, struct hm_arena *arena,
                       uint64_t *out_id);

static int make_unit(struct hm_world *w, unsigned number, struct hm_arena *arena,
                     uint64_t *out_id)
{
    struct hm_store *s = w->v.centre.node.store;
    struct hm_units_tree tree;
    struct hm_unit unit;
    char code[CODE_MAX];
    uint32_t id = 0;
    int err = hm_units_load(s, arena, &tree);

    (void)snprintf(code, sizeof code, "1988510%u", number);
    for (size_t i = 0; err == HM_OK && i < tree.count; i++) {
        if (strcmp(tree.units[i].code, code) == 0) {
            *out_id = tree.units[i].id;
            return HM_OK;
        }
    }
    if (err == HM_OK) {
        err = hm_units_get(s, w->v.hamlets[0], arena, &unit);
    }
    if (err == HM_OK) {
        unit.id = 0;
        unit.code = code;
        unit.name = code;
        err = hm_units_put(s, &unit, &id);
    }
    *out_id = id;
    return err;
}

static int make_user(struct hm_world *w, unsigned number, struct hm_arena *arena,
                     uint64_t *out_id)
{
    struct hm_store *s = w->v.centre.node.store;
    char name[CODE_MAX];
    struct hm_user user = {.name = name,
                           .full_name = "",
                           .role = 1,
                           .unit = w->v.hamlets[number % HM_VILLAGE_HAMLETS],
                           .active = true};
    struct hm_user found;
    uint32_t id = 0;
    int err;

    (void)snprintf(name, sizeof name, "user%u", number);
    err = hm_people_find_user(s, name, arena, &found);
    if (err == HM_OK) {
        id = found.id;
    } else if (err == HM_NOTFOUND) {
        err = hm_people_add_user(s, &user, &id);
    }
    *out_id = id;
    return err;
}

static int make_passphrase(struct hm_world *w, unsigned number, struct hm_arena *arena,
                           uint64_t *out_id)
{
    int err = make_user(w, number, arena, out_id); /* it is there by now */

    return err == HM_OK ? hm_people_set_passphrase(w->v.centre.node.store,
                                                   (uint32_t)*out_id, "$argon2id$x")
                        : err;
}

static int make_device(struct hm_world *w, unsigned number, struct hm_arena *arena,
                       uint64_t *out_id)
{
    char name[CODE_MAX];
    struct hm_device device = {.name = name,
                               .role = HM_DEVICE_ENUMERATOR,
                               .active = true,
                               .scopes = w->v.hamlets,
                               .scope_count = 1};

    (void)arena;
    (void)snprintf(name, sizeof name, "device%u", number);
    memset(device.public_key, (int)number + 1, sizeof device.public_key);
    *out_id = hm_hash_u64(hm_bytes_of(device.public_key, sizeof device.public_key));
    return hm_devices_put(w->v.centre.node.store, &device);
}

static int make_round(struct hm_world *w, unsigned number, struct hm_arena *arena,
                      uint64_t *out_id)
{
    struct hm_store *s = w->v.centre.node.store;
    char code[CODE_MAX];
    struct hm_round round = {.code = code, .kind = "", .from = "", .to = ""};
    struct hm_round found;
    uint32_t id = 0;
    int err;

    (void)snprintf(code, sizeof code, "round%u", number);
    err = hm_rounds_find(s, code, arena, &found);
    if (err == HM_OK) {
        id = found.id;
    } else if (err == HM_NOTFOUND) {
        err = hm_rounds_open(s, &round, &id);
    }
    *out_id = id;
    return err;
}

/* A version of the form with a package of some size, as a publication brings it. */
static int publish(struct hm_world *w, unsigned number, struct hm_arena *arena,
                   uint64_t *out_id)
{
    struct hm_store *s = w->v.centre.node.store;
    char version[CODE_MAX];
    char package[20000];
    struct hm_form_item form;
    uint32_t id = 0;
    int err = hm_forms_get(s, w->v.form, arena, &form);

    (void)snprintf(version, sizeof version, "%u", number + 2);
    memset(package, 'a' + (int)(number % 26), sizeof package);
    if (err == HM_OK && strcmp(form.version, version) != 0) {
        form.version = version;
        err = hm_blobs_put(s, hm_bytes_of(package, sizeof package), form.xform);
        if (err == HM_OK) {
            err = hm_forms_put(s, &form, &id);
        }
    }
    *out_id = w->v.form;
    return err;
}

static int make(struct hm_world *w, enum hm_item_kind kind, make_fn fn, unsigned number)
{
    struct hm_store *s = w->v.centre.node.store;
    struct hm_ack ack = {.kind = HM_ACK_ITEM, .node = 0, .item = kind};
    struct hm_admin_item item;
    struct hm_arena arena;
    int err = hm_store_begin(s);

    if (err != HM_OK) {
        return err;
    }
    hm_arena_init(&arena, ARENA_BYTES);
    err = fn(w, number, &arena, &ack.id);
    if (err == HM_OK) {
        err = hm_items_get(s, kind, ack.id, &arena, &item);
        ack.version = item.version;
    }
    err = hm_store_end(s, err);
    if (err == HM_OK) {
        hm_world_ack(w, &ack);
    }
    hm_arena_deinit(&arena);
    return err;
}

int hm_act_admin(struct hm_world *w, unsigned number)
{
    int err = hm_world_start(w, 0);

    if (err == HM_OK) {
        err = make(w, HM_ITEM_UNIT, make_unit, number);
    }
    if (err == HM_OK) {
        err = make(w, HM_ITEM_USER, make_user, number);
    }
    if (err == HM_OK) {
        err = make(w, HM_ITEM_PASSPHRASE, make_passphrase, number);
    }
    if (err == HM_OK) {
        err = make(w, HM_ITEM_DEVICE, make_device, number);
    }
    if (err == HM_OK) {
        err = make(w, HM_ITEM_ROUND, make_round, number);
    }
    if (err == HM_OK) {
        err = make(w, HM_ITEM_FORM, publish, number);
    }
    return err;
}

int hm_act_assign(struct hm_world *w, unsigned node, unsigned hamlets)
{
    struct hm_store *s;
    uint32_t scopes[HM_VILLAGE_HAMLETS];
    size_t count = 0;
    int err = hm_world_start(w, 0);

    if (err != HM_OK) {
        return err;
    }
    for (unsigned i = 0; i < HM_VILLAGE_HAMLETS; i++) {
        if ((hamlets & (1U << i)) != 0) {
            scopes[count++] = w->v.hamlets[i];
        }
    }
    s = w->v.centre.node.store;
    err = hm_store_begin(s);
    if (err != HM_OK) {
        return err;
    }
    err = hm_devices_reassign(s, hm_world_node(w, node)->node.device, scopes, count);
    return hm_store_end(s, err);
}

/* -- What a node shows ---------------------------------------------------------------
 */

enum { LINES_MAX = 400, SHOWN_MAX = 600 };

struct lines {
    struct hm_world *w;
    unsigned node;
    unsigned hamlet;
    char (*list)[SHOWN_MAX];
    size_t count;
};

static void append(char line[SHOWN_MAX], const char *text)
{
    size_t len = strlen(line);

    (void)snprintf(line + len, SHOWN_MAX - len, "%s", text); /* ours fit */
}

static int append_cell(struct lines *l, const struct hm_household *h,
                       const struct hm_row *row, const struct hm_cell *cell,
                       char line[SHOWN_MAX])
{
    struct hm_village_node *n = hm_world_node(l->w, l->node);
    struct hm_policy_view view;
    struct hm_buf buf;
    char number[40];
    int err = hm_policy_view(hm_forms_policy_of(n->forms, &row->key, cell->field), h,
                             cell, h->arena, &view);

    if (err != HM_OK || cell->field < HM_FIELD_FIRST) {
        return err;
    }
    hm_buf_init(&buf, 200);
    err = hm_value_to_text(view.value, &buf);
    (void)snprintf(number, sizeof number, " %u=%zu:", (unsigned)cell->field,
                   cell->sibling_count);
    append(line, number);
    append(line, hm_buf_str(&buf) == NULL ? "" : hm_buf_str(&buf));
    hm_buf_deinit(&buf);
    return err;
}

static int compare_rows(const void *a, const void *b)
{
    return strcmp(a, b);
}

static int add_household(void *arg, const struct hm_household_row *found)
{
    struct lines *l = arg;
    char(*rows)[SHOWN_MAX] = calloc(32, SHOWN_MAX);
    char *line = l->list[l->count++];
    struct hm_household h;
    struct hm_arena arena;
    size_t count = 0;
    int err;

    assert_true(l->count < LINES_MAX && rows != NULL);
    hm_arena_init(&arena, ARENA_BYTES);
    err = hm_household_decode(found->state, &arena, &h);
    for (size_t i = 0; i < h.row_count && err == HM_OK; i++) {
        if (hm_policy_row_state(&h.rows[i]) == HM_ROW_REMOVED) {
            continue;
        }
        assert_true(count < 32);
        append(rows[count], h.rows[i].key.repeat > 0 ? " member" : " root");
        for (size_t j = 0; j < h.rows[i].cell_count && err == HM_OK; j++) {
            err = append_cell(l, &h, &h.rows[i], &h.rows[i].cells[j], rows[count]);
        }
        count++;
    }
    qsort(rows, count, SHOWN_MAX, compare_rows);
    (void)snprintf(line, SHOWN_MAX, "hamlet %u, %u wait:", l->hamlet,
                   (unsigned)found->conflicts);
    for (size_t i = 0; i < count; i++) {
        append(line, rows[i]);
    }
    free(rows);
    hm_arena_deinit(&arena);
    return err;
}

static int add_counts(struct lines *l, struct hm_buf *buf)
{
    struct hm_store *s = hm_world_node(l->w, l->node)->node.store;
    uint64_t held = 0;
    int err = HM_OK;

    for (int kind = HM_ITEM_UNIT; kind <= HM_ITEM_PROGRAMME && err == HM_OK; kind++) {
        size_t count = 0;

        err = hm_items_count(s, (enum hm_item_kind)kind, &count);
        hm_buf_printf(buf, "%zu of kind %d\n", count, kind);
    }
    if (err == HM_OK) {
        err = hm_quarantine_count(s, &held);
    }
    hm_buf_printf(buf, "%llu in quarantine\n", (unsigned long long)held);
    return err;
}

int hm_act_summary(struct hm_world *w, unsigned node, struct hm_buf *buf)
{
    struct lines l = {.w = w, .node = node};
    int err = hm_world_start(w, node);

    if (err != HM_OK) {
        return err;
    }
    l.list = calloc(LINES_MAX, SHOWN_MAX);
    assert_non_null(l.list);
    for (l.hamlet = 0; l.hamlet < HM_VILLAGE_HAMLETS && err == HM_OK; l.hamlet++) {
        err = hm_households_each(hm_world_node(w, node)->node.store,
                                 w->v.hamlets[l.hamlet], 0, add_household, &l);
    }
    qsort(l.list, l.count, SHOWN_MAX, compare_rows);
    for (size_t i = 0; i < l.count; i++) {
        hm_buf_printf(buf, "%s\n", l.list[i]);
    }
    if (err == HM_OK) {
        err = add_counts(&l, buf);
    }
    free(l.list);
    return err == HM_OK ? buf->err : err;
}
