#include "tests/support/village.h"

#include <stdio.h>
#include <stdlib.h>

#include <sodium.h>

#include "protocol/digest.h"
#include "protocol/fact.h"
#include "protocol/form/value.h"
#include "protocol/pack.h"
#include "storage/feeds.h"
#include "storage/people.h"
#include "storage/quarantine.h"
#include "tests/fault/loop.h"
#include "tests/support/forms.h"

enum { EXCHANGES_MAX = 50, CHUNK_BYTES = 64 * 1024, ARENA_BYTES = 64 * 1024 * 1024 };

static const char register_instance[] =
    "<name/><phone/><note/><tags/><members jr:template=''><member_name/><birth_year/>"
    "</members><members><member_name/><birth_year/></members>";
static const char register_binds[] =
    "<bind nodeset='/data/name' type='string' required='true()'/>"
    "<bind nodeset='/data/phone' type='string' hamlet:same-by='phone'/>"
    "<bind nodeset='/data/note' type='string'/>"
    "<bind nodeset='/data/tags' type='string'/>"
    "<bind nodeset='/data/members/member_name' type='string' hamlet:same-by='name'/>"
    "<bind nodeset='/data/members/birth_year' type='int' hamlet:same-by='birth-year'/>";
static const char register_body[] =
    "<input ref='/data/name'><label>Name</label></input>"
    "<input ref='/data/phone'><label>Phone</label></input>"
    "<input ref='/data/note'><label>Note</label></input>"
    "<select ref='/data/tags'><label>Tags</label>"
    "<item><label>A</label><value>a</value></item>"
    "<item><label>B</label><value>b</value></item></select>"
    "<group ref='/data/members'><label>Members</label><repeat nodeset='/data/members'>"
    "<input ref='/data/members/member_name'><label>Name</label></input>"
    "<input ref='/data/members/birth_year'><label>Year</label></input>"
    "</repeat></group>";

static uint32_t number_of(const struct hm_field_table *table, uint32_t repeat,
                          const char *name)
{
    const struct hm_field_entry *entry = hm_field_table_by_name(table, repeat, name);

    assert_non_null(entry);
    return entry->number;
}

static void publish_form(struct hm_village *v)
{
    struct hm_store *s = v->centre.node.store;
    struct hm_form_item item = {
        .form_id = "f", .version = "1", .title = "Register", .fill = HM_FORM_FILL_ONCE};
    struct hm_xform *form =
        hm_test_form_parse(register_instance, register_binds, register_body);
    struct hm_field_table *table = NULL;
    struct hm_field_error error;
    struct hm_buf bytes;

    CHECK_OK(hm_field_table_grow(NULL, form, &table, &error));
    hm_buf_init(&bytes, 1024 * 1024);
    hm_field_table_encode(table, &bytes);
    CHECK_OK(hm_blobs_put(s, hm_buf_bytes(&bytes), item.table));
    CHECK_OK(hm_blobs_put(
        s, hm_bytes_str(hm_test_form(register_instance, register_binds, register_body)),
        item.xform));
    CHECK_OK(hm_forms_put(s, &item, &v->form));
    v->name = number_of(table, 0, "name");
    v->phone = number_of(table, 0, "phone");
    v->note = number_of(table, 0, "note");
    v->tags = number_of(table, 0, "tags");
    v->members = hm_field_table_repeat(table, "members")->number;
    v->member_name = number_of(table, v->members, "member_name");
    v->birth_year = number_of(table, v->members, "birth_year");
    hm_buf_deinit(&bytes);
    hm_field_table_destroy(table);
    hm_xform_destroy(form);
}

static uint32_t make_unit(struct hm_store *s, enum hm_unit_kind kind, const char *code,
                          uint32_t parent)
{
    struct hm_unit unit = {.kind = kind,
                           .code = code,
                           .name = code,
                           .parent = parent,
                           .valid_from = "",
                           .valid_to = "",
                           .former = "",
                           .note = ""};
    uint32_t id = 0;

    if (hm_units_put(s, &unit, &id) != HM_OK) {
        fail_msg("%s: %s", code, hm_store_errmsg(s));
    }
    return id;
}

static void make_units(struct hm_village *v)
{
    static const char *const codes[HM_VILLAGE_HAMLETS] = {"19885001", "19885002",
                                                          "19885003"};
    struct hm_store *s = v->centre.node.store;
    uint32_t province = make_unit(s, HM_UNIT_PROVINCE, "46", 0);

    v->commune = make_unit(s, HM_UNIT_COMMUNE, "19885", province);
    for (uint32_t i = 0; i < HM_VILLAGE_HAMLETS; i++) {
        v->hamlets[i] = make_unit(s, HM_UNIT_HAMLET, codes[i], v->commune);
    }
}

static void make_roles(struct hm_store *s)
{
    struct hm_role enumerator = {.code = "enumerator",
                                 .rank = 4,
                                 .title_vi = "",
                                 .title_en = "",
                                 .rights = HM_RIGHT_HOUSEHOLD_WRITE};
    struct hm_role admin = {.code = "admin",
                            .rank = 12,
                            .title_vi = "",
                            .title_en = "",
                            .rights = HM_RIGHT_HOUSEHOLD_WRITE};
    uint32_t id;

    CHECK_OK(hm_people_put_role(s, &enumerator, &id));
    CHECK_OK(hm_people_put_role(s, &admin, &id));
}

static void open_forms(struct hm_village_node *n)
{
    CHECK_OK(hm_forms_open(n->node.store, &n->forms));
}

/* A test may open one village after the other. */
static void open_fresh(struct hm_village *v, struct hm_test_node *node,
                       const char *name, enum hm_node_role role)
{
    static const char *const ends[] = {".db", ".db-wal", ".db-shm"};
    char path[600];

    if (v->disk_of != NULL) {
        hm_test_node_open_on(node, name, role, v->disk_of(v->disk_arg, name));
        return;
    }
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s%s", hm_test_folder(), name, ends[i]);
        (void)remove(path); /* it need not be there */
    }
    hm_test_node_open(node, name, role);
}

void hm_village_open(struct hm_village *v)
{
    hm_village_open_on(v, NULL, NULL);
}

void hm_village_open_on(struct hm_village *v, hm_village_disk_fn disk_of, void *arg)
{
    struct hm_device device = {.name = "centre", .role = HM_DEVICE_HUB, .active = true};
    struct hm_store *s;

    *v = (struct hm_village){.disk_of = disk_of, .disk_arg = arg};
    hm_fault_pause();
    open_fresh(v, &v->centre.node, "centre", HM_NODE_CENTRE);
    s = v->centre.node.store;
    memcpy(device.public_key, v->centre.node.public_key, sizeof device.public_key);
    CHECK_OK(hm_store_begin(s));
    CHECK_OK(hm_devices_put(s, &device));
    make_units(v);
    make_roles(s);
    publish_form(v);
    CHECK_OK(hm_store_end(s, HM_OK));
    open_forms(&v->centre);
    hm_fault_resume();
}

void hm_village_join(struct hm_village *v, struct hm_village_node *n,
                     struct hm_village_node *parent)
{
    static const uint8_t pin[32];
    enum hm_node_role role;
    struct hm_upstream_grant grant = {.pin = pin,
                                      .token = hm_bytes_str("token"),
                                      .device = parent->node.device,
                                      .authority = v->centre.node.public_key};
    char url[64];

    (void)snprintf(url, sizeof url, "https://%016llx",
                   (unsigned long long)parent->node.device);
    grant.url = url;
    CHECK_OK(hm_store_begin(n->node.store));
    CHECK_OK(hm_store_role(n->node.store, &role));
    grant.role = role == HM_NODE_HUB ? HM_NODE_HUB : HM_NODE_LAPTOP;
    CHECK_OK(hm_upload_set_upstream(n->node.store, &grant));
    CHECK_OK(hm_store_end(n->node.store, HM_OK));
    n->parent = parent;
}

/* A node with a device item at the centre, in step with it. */
static struct hm_village_node *add(struct hm_village *v, enum hm_node_role role,
                                   struct hm_device *device)
{
    struct hm_village_node *n = &v->laptops[v->laptop_count++];

    hm_fault_pause();
    open_fresh(v, &n->node, device->name, role);
    n->node.now_ms = v->centre.node.now_ms;
    memcpy(device->public_key, n->node.public_key, sizeof device->public_key);
    CHECK_OK(hm_store_begin(v->centre.node.store));
    CHECK_OK(hm_devices_put(v->centre.node.store, device));
    CHECK_OK(hm_store_end(v->centre.node.store, HM_OK));
    hm_village_join(v, n, &v->centre);
    open_forms(n);
    (void)hm_village_sync(v, n);
    hm_fault_resume();
    return n;
}

struct hm_village_node *hm_village_add(struct hm_village *v, const char *name,
                                       unsigned hamlets)
{
    uint32_t scopes[HM_VILLAGE_HAMLETS];
    struct hm_device device = {
        .name = name, .role = HM_DEVICE_ENUMERATOR, .active = true, .scopes = scopes};

    for (unsigned i = 0; i < HM_VILLAGE_HAMLETS; i++) {
        if ((hamlets & (1U << i)) != 0) {
            scopes[device.scope_count++] = v->hamlets[i];
        }
    }
    return add(v, HM_NODE_NEW, &device);
}

struct hm_village_node *hm_village_add_hub(struct hm_village *v, const char *name)
{
    struct hm_device device = {.name = name,
                               .role = HM_DEVICE_HUB,
                               .active = true,
                               .scopes = &v->commune,
                               .scope_count = 1};

    return add(v, HM_NODE_HUB, &device);
}

struct hm_village_node *hm_village_let_in(struct hm_village *v, const char *name,
                                          struct hm_village_node *parent,
                                          unsigned hamlets)
{
    struct hm_village_node *n = &v->laptops[v->laptop_count++];
    uint32_t scopes[HM_VILLAGE_HAMLETS];
    uint8_t secret[HM_INVITATION_BYTES];
    uint8_t token[HM_DEVICE_TOKEN_BYTES];
    struct hm_invitation invitation = {.name = name,
                                       .role = HM_DEVICE_ENUMERATOR,
                                       .scopes = scopes,
                                       .expires_utc_ms = parent->node.now_ms + 1000};
    struct hm_redemption redemption = {.secret = hm_bytes_of(secret, sizeof secret)};
    struct hm_device device;
    struct hm_arena arena;

    open_fresh(v, &n->node, name, HM_NODE_NEW);
    n->node.now_ms = parent->node.now_ms;
    for (unsigned i = 0; i < HM_VILLAGE_HAMLETS; i++) {
        if ((hamlets & (1U << i)) != 0) {
            scopes[invitation.scope_count++] = v->hamlets[i];
        }
    }
    memcpy(redemption.public_key, n->node.public_key, sizeof redemption.public_key);
    hm_arena_init(&arena, ARENA_BYTES);
    CHECK_OK(hm_store_begin(parent->node.store));
    CHECK_OK(hm_devices_invite(parent->node.store, &invitation, secret));
    CHECK_OK(
        hm_devices_redeem(parent->node.store, &redemption, &arena, &device, token));
    CHECK_OK(hm_store_end(parent->node.store, HM_OK));
    hm_arena_deinit(&arena);
    hm_village_join(v, n, parent);
    open_forms(n);
    return n;
}

void hm_village_close_node(struct hm_village_node *n)
{
    hm_forms_close(n->forms);
    hm_test_node_close(&n->node);
}

void hm_village_open_node(struct hm_village_node *n)
{
    CHECK_OK(hm_test_node_start(&n->node));
    open_forms(n);
}

void hm_village_close(struct hm_village *v)
{
    for (size_t i = 0; i < v->laptop_count; i++) {
        hm_village_close_node(&v->laptops[i]);
    }
    hm_village_close_node(&v->centre);
}

void hm_village_restart(struct hm_village_node *n)
{
    hm_forms_close(n->forms);
    hm_test_node_restart(&n->node);
    open_forms(n);
}

bool hm_village_exchange(struct hm_village *v, struct hm_village_node *laptop,
                         bool lose, struct hm_adopt *out)
{
    struct hm_village_node *parent =
        laptop->parent == NULL ? &v->centre : laptop->parent;
    struct hm_serve_request request = {.device = laptop->node.device,
                                       .received_utc_ms = parent->node.now_ms};
    struct hm_serve_reply reply;
    struct hm_adopt adopt = {0};
    struct hm_upload upload;
    struct hm_buf buf;

    hm_buf_init(&buf, HM_REQUEST_BYTES_MAX);
    CHECK_OK(hm_upload_build(laptop->node.store, CHUNK_BYTES, &buf, &upload));
    request.body = hm_buf_bytes(&buf);
    CHECK_OK(hm_serve_batch(parent->node.store, parent->forms, &request, &reply, 1));
    if (reply.err != HM_OK) {
        fail_msg("%s: %s", hm_err_name(reply.err), reply.errmsg);
    }
    v->up_bytes = buf.len;
    v->down_bytes = reply.body.len;
    if (!lose) {
        int err =
            hm_adopt_reply(laptop->node.store, laptop->forms, hm_buf_bytes(&reply.body),
                           laptop->node.now_ms, laptop->node.now_ms, &adopt);

        if (err != HM_OK) {
            fail_msg("%s: %s", hm_err_name(err), hm_store_errmsg(laptop->node.store));
        }
    }
    hm_serve_reply_deinit(&reply);
    hm_buf_deinit(&buf);
    if (out != NULL) {
        *out = adopt;
    }
    return lose || upload.more || adopt.more;
}

struct hm_adopt hm_village_sync(struct hm_village *v, struct hm_village_node *laptop)
{
    struct hm_adopt out;

    for (int i = 0; i < EXCHANGES_MAX; i++) {
        if (!hm_village_exchange(v, laptop, false, &out)) {
            return out;
        }
    }
    fail_msg("%d exchanges did not come to an end", EXCHANGES_MAX);
    return out;
}

/* As hm_village_sync(); did any of its exchanges move something? */
static bool sync_one(struct hm_village *v, struct hm_village_node *laptop)
{
    bool again = true;
    bool moved = false;

    for (int i = 0; i < EXCHANGES_MAX && again; i++) {
        struct hm_adopt out;

        again = hm_village_exchange(v, laptop, false, &out);
        moved = moved || again || out.households > 0 || out.receipted > 0 ||
                !out.digest_equal;
    }
    assert_false(again);
    return moved;
}

void hm_village_settle(struct hm_village *v)
{
    bool moved = true;

    for (int round = 0; round < EXCHANGES_MAX && moved; round++) {
        moved = false;
        for (size_t i = 0; i < v->laptop_count; i++) {
            moved = sync_one(v, &v->laptops[i]) || moved;
        }
    }
    assert_false(moved);
}

static struct hm_save_result run(struct hm_village_node *n, const struct hm_save *save)
{
    struct hm_store *s = n->node.store;
    struct hm_save_result out = {0};
    struct hm_arena arena;
    int err;

    n->node.now_ms += 1000;
    hm_arena_init(&arena, ARENA_BYTES);
    CHECK_OK(hm_store_begin(s));
    err = hm_save_run(s, save, hm_forms_policy_of, n->forms, &arena, &out);
    err = hm_store_end(s, err);
    if (err != HM_OK) {
        fail_msg("%s: %s", hm_err_name(err), hm_store_errmsg(s));
    }
    if (out.item_count > 0) {
        static struct hm_item items[64];

        assert_true(out.item_count <= 64);
        memcpy(items, out.items, out.item_count * sizeof items[0]);
        out.items = items;
    }
    out.state = (struct hm_household){0};
    hm_arena_deinit(&arena);
    return out;
}

/* The cell value of a text by the form; static memory, a few in turn. */
static struct hm_bytes value_of(struct hm_village *v, struct hm_village_node *n,
                                uint32_t field, const char *text)
{
    static uint8_t kept[16][4200];
    static size_t next;
    const struct hm_field_table *table;
    struct hm_bytes out;
    struct hm_buf value;
    struct hm_buf why;

    CHECK_OK(hm_forms_load_table(n->forms, v->form, &table));
    hm_buf_init(&value, sizeof kept[0]);
    hm_buf_init(&why, HM_VALUE_WHY_BYTES_MAX);
    CHECK_OK(hm_value_from_text(table, hm_field_table_by_number(table, field),
                                hm_bytes_str(text), &value, &why));
    next = (next + 1) % 16;
    memcpy(kept[next], value.data, value.len);
    out = hm_bytes_of(kept[next], value.len);
    hm_buf_deinit(&value);
    hm_buf_deinit(&why);
    return out;
}

struct hm_save_result hm_village_new(struct hm_village *v, struct hm_village_node *n,
                                     unsigned hamlet, const char *name,
                                     unsigned members)
{
    struct hm_save_cell root = {v->name, value_of(v, n, v->name, name), NULL, 0};
    struct hm_save_cell member = {v->member_name, value_of(v, n, v->member_name, "Lan"),
                                  NULL, 0};
    struct hm_save_row rows[64] = {{.form = v->form, .cells = &root, .cell_count = 1}};
    struct hm_save save = {.creates = true,
                           .scope = v->hamlets[hamlet],
                           .rank = 4,
                           .rows = rows,
                           .row_count = 1 + members};

    for (unsigned i = 1; i <= members; i++) {
        rows[i] = (struct hm_save_row){
            .form = v->form, .repeat = v->members, .cells = &member, .cell_count = 1};
    }
    return run(n, &save);
}

/* Where the household is shown at a node. */
static uint32_t scope_of(struct hm_village_node *n, const struct hm_household_id *id)
{
    struct hm_household h;
    struct hm_arena arena;
    uint32_t scope;

    hm_arena_init(&arena, ARENA_BYTES);
    CHECK_OK(hm_households_load(n->node.store, id, &arena, &h));
    scope = hm_fact_shown_scope(&h);
    hm_arena_deinit(&arena);
    return scope;
}

static struct hm_save_result put(struct hm_village *v, struct hm_village_node *n,
                                 const struct hm_household_id *id,
                                 struct hm_save_row *row)
{
    struct hm_save save = {.household = *id,
                           .scope = scope_of(n, id),
                           .rank = 4,
                           .rows = row,
                           .row_count = 1};

    row->form = v->form;
    return run(n, &save);
}

struct hm_save_result hm_village_put(struct hm_village *v, struct hm_village_node *n,
                                     const struct hm_household_id *id, uint32_t field,
                                     const char *text)
{
    struct hm_save_cell cell = {field, value_of(v, n, field, text), NULL, 0};
    struct hm_save_row row = {.cells = &cell, .cell_count = 1};

    return put(v, n, id, &row);
}

struct hm_save_result hm_village_put_member(struct hm_village *v,
                                            struct hm_village_node *n,
                                            const struct hm_household_id *id,
                                            const struct hm_item *item, uint32_t field,
                                            const char *text)
{
    struct hm_save_cell cell = {field, value_of(v, n, field, text), NULL, 0};
    struct hm_save_row row = {.repeat = v->members, .cells = &cell, .cell_count = 1};

    if (item != NULL) {
        row.item = *item;
    }
    return put(v, n, id, &row);
}

struct hm_save_result hm_village_remove_member(struct hm_village *v,
                                               struct hm_village_node *n,
                                               const struct hm_household_id *id,
                                               const struct hm_item *item)
{
    struct hm_save_row row = {.repeat = v->members, .item = *item, .removed = true};

    return put(v, n, id, &row);
}

/* The household at a node; arena is the caller's. */
static struct hm_household load(struct hm_village_node *n,
                                const struct hm_household_id *id,
                                struct hm_arena *arena)
{
    struct hm_household h;

    CHECK_OK(hm_households_load(n->node.store, id, arena, &h));
    return h;
}

static const struct hm_cell *root_cell(struct hm_village *v,
                                       const struct hm_household *h, uint32_t field)
{
    struct hm_row_key key = {.form = v->form};

    return hm_row_cell(hm_household_row(h, &key), field);
}

struct hm_save_result hm_village_resolve(struct hm_village *v,
                                         struct hm_village_node *n,
                                         const struct hm_household_id *id,
                                         uint32_t field, const char *text)
{
    struct hm_save_cell cell = {field, value_of(v, n, field, text), NULL, 0};
    struct hm_save_row row = {.cells = &cell, .cell_count = 1};
    struct hm_save_result out;
    struct hm_household h;
    struct hm_arena arena;
    struct hm_dot dots[16];
    const struct hm_cell *now;

    hm_arena_init(&arena, ARENA_BYTES);
    h = load(n, id, &arena);
    now = root_cell(v, &h, field);
    assert_non_null(now);
    for (size_t i = 0; i < now->sibling_count; i++) {
        dots[i] = now->siblings[i].dot;
    }
    cell.decided = dots;
    cell.decided_count = now->sibling_count;
    out = put(v, n, id, &row);
    hm_arena_deinit(&arena);
    return out;
}

const char *hm_village_shows(struct hm_village *v, struct hm_village_node *n,
                             const struct hm_household_id *id, uint32_t field)
{
    static char text[4200];
    struct hm_row_key key = {.form = v->form};
    struct hm_policy_view view;
    struct hm_household h;
    struct hm_arena arena;
    struct hm_buf buf;

    hm_arena_init(&arena, ARENA_BYTES);
    h = load(n, id, &arena);
    CHECK_OK(hm_policy_view(hm_forms_policy_of(n->forms, &key, field), &h,
                            root_cell(v, &h, field), &arena, &view));
    hm_buf_init(&buf, sizeof text);
    CHECK_OK(hm_value_to_text(view.value, &buf));
    (void)snprintf(text, sizeof text, "%s", hm_buf_str(&buf));
    hm_buf_deinit(&buf);
    hm_arena_deinit(&arena);
    return text;
}

size_t hm_village_siblings(struct hm_village *v, struct hm_village_node *n,
                           const struct hm_household_id *id, uint32_t field)
{
    const struct hm_cell *cell;
    struct hm_household h;
    struct hm_arena arena;
    size_t count;

    hm_arena_init(&arena, ARENA_BYTES);
    h = load(n, id, &arena);
    cell = root_cell(v, &h, field);
    count = cell == NULL ? 0 : cell->sibling_count;
    hm_arena_deinit(&arena);
    return count;
}

static struct hm_households_count count_of(struct hm_village_node *n)
{
    struct hm_households_count count;

    CHECK_OK(hm_households_count(n->node.store, &count));
    return count;
}

uint64_t hm_village_conflicts(struct hm_village_node *n)
{
    return count_of(n).conflicts;
}

uint64_t hm_village_households(struct hm_village_node *n)
{
    return count_of(n).households;
}

uint64_t hm_village_quarantined(struct hm_village_node *n)
{
    uint64_t count = 0;

    CHECK_OK(hm_quarantine_count(n->node.store, &count));
    return count;
}

struct hm_hash hm_village_digest(struct hm_village_node *n, uint32_t scope)
{
    struct hm_feed_state state;

    CHECK_OK(hm_feeds_get(n->node.store, scope, &state));
    return state.digest;
}

static void check_own(struct hm_village_node *n, uint32_t scope)
{
    struct hm_hash stored = hm_village_digest(n, scope);
    struct hm_hash computed;
    uint64_t households;

    CHECK_OK(hm_households_recompute(n->node.store, scope, &computed, &households));
    assert_memory_equal(stored.bytes, computed.bytes, HM_HASH_BYTES);
}

void hm_village_check_equal(struct hm_village *v)
{
    for (size_t i = 0; i < v->laptop_count; i++) {
        struct hm_village_node *n = &v->laptops[i];
        struct hm_households_count before = count_of(n);
        struct hm_arena arena;
        uint32_t *scopes = NULL;
        size_t count = 0;

        hm_arena_init(&arena, ARENA_BYTES);
        CHECK_OK(hm_upload_scopes(n->node.store, &arena, &scopes, &count));
        for (size_t j = 0; j < count; j++) {
            struct hm_hash here = hm_village_digest(n, scopes[j]);
            struct hm_hash there = hm_village_digest(&v->centre, scopes[j]);

            assert_memory_equal(here.bytes, there.bytes, HM_HASH_BYTES);
            check_own(n, scopes[j]);
            check_own(&v->centre, scopes[j]);
        }
        hm_arena_deinit(&arena);
        CHECK_OK(hm_store_begin(n->node.store));
        CHECK_OK(hm_store_end(
            n->node.store,
            hm_households_recount(n->node.store, hm_forms_policy_of, n->forms)));
        assert_int_equal(count_of(n).conflicts, before.conflicts);
    }
}
