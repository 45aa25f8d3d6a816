#include "storage/scope0.h"

#include <stdlib.h>

#include "storage/people.h"
#include "storage/units_parts.h"

/* An id and what is wanted of it. */
struct choice {
    uint64_t id;
    bool item;
    bool passphrase;
};

struct choices {
    struct choice *sorted;
    size_t count;
};

struct hm_scope0_filter {
    bool all;
    bool known; /* the device has an item here */
    uint64_t device;
    struct choices units;
    struct choices users;
    struct choices devices;
};

/* While a filter is made; arrays are by index of the tree's units. */
struct making {
    struct hm_store *s;
    struct hm_arena *arena;
    struct hm_units_tree tree;
    struct hm_device device;
    bool *under;          /* assigned scopes and what lies under them */
    bool *over;           /* assigned scopes and their ancestors */
    bool *over_effective; /* effective scopes and their ancestors */
};

static int compare_choices(const void *a, const void *b)
{
    const struct choice *x = a;
    const struct choice *y = b;

    return (x->id > y->id) - (x->id < y->id);
}

static int allocate(struct hm_arena *arena, size_t count, struct choices *out)
{
    out->sorted = hm_arena_array(arena, count, sizeof *out->sorted);
    out->count = count;
    return out->sorted == NULL ? HM_NOMEM : HM_OK;
}

static void sort(struct choices *choices)
{
    if (choices->count > 0) {
        qsort(choices->sorted, choices->count, sizeof *choices->sorted,
              compare_choices);
    }
}

static const struct choice *find(const struct choices *choices, uint64_t id)
{
    static const struct choice nothing;
    struct choice key = {.id = id};
    const struct choice *found =
        choices->count == 0 ? NULL
                            : bsearch(&key, choices->sorted, choices->count,
                                      sizeof *choices->sorted, compare_choices);

    return found == NULL ? &nothing : found;
}

static bool is_marked(const struct making *m, const bool *marks, uint32_t unit)
{
    const struct hm_unit *found = hm_units_by_id(&m->tree, unit);

    return found != NULL && marks[found - m->tree.units];
}

static int mark(struct making *m)
{
    const struct hm_device *device = &m->device;
    uint32_t *hamlets = NULL;
    size_t count = 0;
    int err;

    m->under = hm_arena_array(m->arena, m->tree.count, sizeof *m->under);
    m->over = hm_arena_array(m->arena, m->tree.count, sizeof *m->over);
    m->over_effective =
        hm_arena_array(m->arena, m->tree.count, sizeof *m->over_effective);
    if (m->under == NULL || m->over == NULL || m->over_effective == NULL) {
        return HM_NOMEM;
    }
    err = hm_devices_effective_scopes(device, &m->tree, m->arena, &hamlets, &count);
    if (err == HM_OK) {
        hm_units_mark_under(&m->tree, device->scopes, device->scope_count, m->under);
        hm_units_mark_over(&m->tree, device->scopes, device->scope_count, m->over);
        hm_units_mark_over(&m->tree, hamlets, count, m->over_effective);
    }
    return err;
}

/* Effective scopes lie under assigned ones, and so do the units between: what is above
 * them all is above the assigned ones. */
static int choose_units(struct making *m, struct choices *out)
{
    const struct hm_units_tree *tree = &m->tree;
    int err = allocate(m->arena, tree->count, out);

    for (size_t i = 0; err == HM_OK && i < tree->count; i++) {
        uint32_t parent = tree->units[i].parent;

        out->sorted[i].id = tree->units[i].id;
        out->sorted[i].item =
            m->under[i] || m->over[i] || is_marked(m, m->over, parent);
    }
    return err;
}

static int choose_users(struct making *m, struct choices *out)
{
    struct hm_user *users;
    size_t count;
    int err = hm_people_list_users(m->s, m->arena, &users, &count);

    if (err == HM_OK) {
        err = allocate(m->arena, count, out);
    }
    for (size_t i = 0; err == HM_OK && i < count; i++) {
        uint32_t unit = users[i].unit;

        out->sorted[i] = (struct choice){
            .id = users[i].id,
            .item = is_marked(m, m->over, unit) || is_marked(m, m->under, unit),
            .passphrase = is_marked(m, m->over_effective, unit)};
    }
    if (err == HM_OK) {
        sort(out);
    }
    return err;
}

static int choose_devices(struct making *m, struct choices *out)
{
    struct hm_device *devices;
    size_t count;
    int err = hm_devices_list(m->s, m->arena, &devices, &count);

    if (err == HM_OK) {
        err = allocate(m->arena, count, out);
    }
    for (size_t i = 0; err == HM_OK && i < count; i++) {
        const struct hm_device *device = &devices[i];
        struct choice *choice = &out->sorted[i];

        choice->id = device->id;
        choice->item = device->id == m->device.id || device->role == HM_DEVICE_HUB ||
                       device->granted_by == m->device.id;
        /* It shares a hamlet when it is assigned that, or a unit above it. */
        for (size_t k = 0; k < device->scope_count && !choice->item; k++) {
            choice->item = is_marked(m, m->over_effective, device->scopes[k]);
        }
    }
    if (err == HM_OK) {
        sort(out);
    }
    return err;
}

static int choose(struct making *m, struct hm_scope0_filter *filter)
{
    int err = hm_units_load(m->s, m->arena, &m->tree);

    if (err == HM_OK) {
        err = mark(m);
    }
    if (err == HM_OK) {
        err = choose_units(m, &filter->units);
    }
    if (err == HM_OK) {
        err = choose_users(m, &filter->users);
    }
    if (err == HM_OK) {
        err = choose_devices(m, &filter->devices);
    }
    return err;
}

int hm_scope0_prepare(struct hm_store *s, uint64_t device, struct hm_arena *arena,
                      struct hm_scope0_filter **out_filter)
{
    struct hm_scope0_filter *filter = hm_arena_alloc(arena, sizeof *filter);
    struct making making = {.s = s, .arena = arena};
    int err;

    if (filter == NULL) {
        return HM_NOMEM;
    }
    filter->device = device;
    err = hm_devices_get(s, device, arena, &making.device);
    filter->known = err == HM_OK;
    if (err == HM_NOTFOUND) {
        err = HM_OK;
    } else if (err == HM_OK) {
        filter->all = hm_devices_holds_all(&making.device);
        err = filter->all ? HM_OK : choose(&making, filter);
    }
    if (err == HM_OK) {
        *out_filter = filter;
    }
    return err;
}

bool hm_scope0_wants(void *arg, const struct hm_admin_item *item)
{
    const struct hm_scope0_filter *filter = arg;

    if (filter == NULL || filter->all) {
        return true;
    }
    switch (item->kind) {
    case HM_ITEM_UNIT:
        return find(&filter->units, item->id)->item;
    case HM_ITEM_USER:
        return find(&filter->users, item->id)->item;
    case HM_ITEM_PASSPHRASE:
        return find(&filter->users, item->id)->passphrase;
    case HM_ITEM_DEVICE:
        return item->id == filter->device || find(&filter->devices, item->id)->item;
    case HM_ITEM_ROLE:
    case HM_ITEM_ROUND:
    case HM_ITEM_FORM:
    case HM_ITEM_PROGRAMME:
    case HM_ITEM_CLOSED:
        break;
    }
    return true; /* also a kind that only newer nodes know */
}

struct dropping {
    struct hm_store *s;
    struct hm_scope0_filter *filter;
    uint64_t dropped;
};

static int drop_one(void *arg, const struct hm_admin_item *item)
{
    struct dropping *dropping = arg;
    int err = HM_OK;

    /* A grant is on its way to the centre. */
    if (item->author == 0 && !hm_scope0_wants(dropping->filter, item)) {
        err = hm_items_drop(dropping->s, item->kind, item->id);
        dropping->dropped++;
    }
    return err;
}

int hm_scope0_drop_unwanted(struct hm_store *s, uint64_t device, uint64_t *out_dropped)
{
    struct dropping dropping = {.s = s};
    struct hm_arena arena;
    int err;

    hm_arena_init(&arena, HM_SCOPE0_ARENA_BYTES_MAX);
    err = hm_scope0_prepare(s, device, &arena, &dropping.filter);
    if (err == HM_OK && dropping.filter->known) {
        err = hm_items_each_of_all(s, drop_one, &dropping);
    }
    hm_arena_deinit(&arena);
    if (err == HM_OK) {
        *out_dropped = dropping.dropped;
    }
    return err;
}
