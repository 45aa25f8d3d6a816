/* Nodes that have been enrolled, made once for each size and copied for each season:
 * making them costs more than a season of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "protocol/hash.h"
#include "storage/people.h"
#include "tests/sim/sim.h"
#include "tests/support/forms.h"

enum { SETTLE_MAX = 60, CHUNK_BYTES = 256 * 1024 };

/* A world as it is when its season begins. */
struct made {
    unsigned nodes; /* 0: not made yet */
    struct sim_plan plan;
    struct hm_simdisk *disks[SIM_NODES_MAX];
    struct sim facts; /* numbers of hamlets, forms and fields */
};

static const char instance_1[] =
    "<name/><phone/><note/><tags/><members jr:template=''><member_name/><birth_year/>"
    "</members><members><member_name/><birth_year/></members>";
static const char instance_2[] =
    "<name/><phone/><note/><tags/><extra/><members jr:template=''><member_name/>"
    "<birth_year/></members><members><member_name/><birth_year/></members>";
static const char binds_1[] =
    "<bind nodeset='/data/name' type='string' required='true()'/>"
    "<bind nodeset='/data/phone' type='string' hamlet:same-by='phone'/>"
    "<bind nodeset='/data/note' type='string'/>"
    "<bind nodeset='/data/tags' type='string'/>"
    "<bind nodeset='/data/members/member_name' type='string' hamlet:same-by='name'/>"
    "<bind nodeset='/data/members/birth_year' type='int' hamlet:same-by='birth-year'/>";
static const char binds_2[] =
    "<bind nodeset='/data/name' type='string' required='true()'/>"
    "<bind nodeset='/data/phone' type='string' hamlet:same-by='phone'/>"
    "<bind nodeset='/data/note' type='string'/>"
    "<bind nodeset='/data/tags' type='string'/>"
    "<bind nodeset='/data/extra' type='string'/>"
    "<bind nodeset='/data/members/member_name' type='string' hamlet:same-by='name'/>"
    "<bind nodeset='/data/members/birth_year' type='int' hamlet:same-by='birth-year'/>";

#define BODY(extra)                                                                    \
    "<input ref='/data/name'><label>Name</label></input>"                              \
    "<input ref='/data/phone'><label>Phone</label></input>"                            \
    "<input ref='/data/note'><label>Note</label></input>"                              \
    "<select ref='/data/tags'><label>Tags</label>"                                     \
    "<item><label>A</label><value>a</value></item>"                                    \
    "<item><label>B</label><value>b</value></item></select>" extra                     \
    "<group ref='/data/members'><label>Members</label><repeat "                        \
    "nodeset='/data/members'>"                                                         \
    "<input ref='/data/members/member_name'><label>Name</label></input>"               \
    "<input ref='/data/members/birth_year'><label>Year</label></input>"                \
    "</repeat></group>"

static const char body_1[] = BODY("");
static const char body_2[] =
    BODY("<input ref='/data/extra'><label>More</label></input>");

static uint32_t number_of(const struct hm_field_table *table, uint32_t repeat,
                          const char *name)
{
    const struct hm_field_entry *entry = hm_field_table_by_name(table, repeat, name);

    return entry == NULL ? 0 : entry->number;
}

/* Publish the form, or its second version, at the store of a centre; in a transaction
 * of the caller. Returns the error of the store. */
static int publish(struct sim *sim, struct hm_store *s, bool second)
{
    struct hm_form_item item = {.form_id = "f",
                                .version = second ? "2" : "1",
                                .title = "Register",
                                .fill = HM_FORM_FILL_ONCE};
    const char *instance = second ? instance_2 : instance_1;
    const char *binds = second ? binds_2 : binds_1;
    const char *body = second ? body_2 : body_1;
    struct hm_xform *first = hm_test_form_parse(instance_1, binds_1, body_1);
    struct hm_xform *form = hm_test_form_parse(instance, binds, body);
    struct hm_field_table *before = NULL;
    struct hm_field_table *table = NULL;
    struct hm_field_error error;
    struct hm_buf bytes;
    int err = hm_field_table_grow(NULL, first, &before, &error);

    if (err == HM_OK) {
        err = hm_field_table_grow(second ? before : NULL, form, &table, &error);
    }
    SIM_MUST(err == HM_OK);
    hm_buf_init(&bytes, 1024 * 1024);
    hm_field_table_encode(table, &bytes);
    err = hm_blobs_put(s, hm_buf_bytes(&bytes), item.table);
    if (err == HM_OK) {
        err = hm_blobs_put(s, hm_bytes_str(hm_test_form(instance, binds, body)),
                           item.xform);
    }
    if (err == HM_OK) {
        err = hm_forms_put(s, &item, &sim->form);
    }
    sim->name = number_of(table, 0, "name");
    sim->phone = number_of(table, 0, "phone");
    sim->note = number_of(table, 0, "note");
    sim->tags = number_of(table, 0, "tags");
    sim->extra = number_of(table, 0, "extra");
    sim->members = hm_field_table_repeat(table, "members")->number;
    sim->member_name = number_of(table, sim->members, "member_name");
    sim->birth_year = number_of(table, sim->members, "birth_year");
    hm_buf_deinit(&bytes);
    hm_field_table_destroy(table);
    hm_field_table_destroy(before);
    hm_xform_destroy(form);
    hm_xform_destroy(first);
    return err;
}

int sim_template_publish_2(struct sim *sim)
{
    struct hm_store *s = sim->nodes[0].store;
    int err = hm_store_begin(s);

    return err == HM_OK ? hm_store_end(s, publish(sim, s, true)) : err;
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

    SIM_MUST(hm_units_put(s, &unit, &id) == HM_OK);
    return id;
}

static void make_people(struct hm_store *s)
{
    static const struct {
        const char *code;
        uint8_t rank;
    } roles[] = {{"enumerator", 4}, {"admin", 12}};

    for (size_t i = 0; i < 2; i++) {
        struct hm_role role = {.code = roles[i].code,
                               .rank = roles[i].rank,
                               .title_vi = "",
                               .title_en = "",
                               .rights = HM_RIGHT_HOUSEHOLD_WRITE};
        uint32_t id;

        SIM_MUST(hm_people_put_role(s, &role, &id) == HM_OK);
    }
}

static uint32_t make_user(struct hm_store *s, const char *name, uint32_t unit)
{
    struct hm_user user = {.name = name, .full_name = "", .unit = unit, .active = true};
    struct hm_role role;
    struct hm_arena arena;
    uint32_t id = 0;

    hm_arena_init(&arena, 1024 * 1024);
    SIM_MUST(hm_people_find_role(s, "enumerator", &arena, &role) == HM_OK);
    user.role = role.id;
    SIM_MUST(hm_people_add_user(s, &user, &id) == HM_OK);
    hm_arena_deinit(&arena);
    return id;
}

static uint64_t make_keys(const char *name, uint8_t *public_key, uint8_t *secret_key)
{
    uint8_t seed[HM_CONTENT_HASH_BYTES];

    hm_hash_content(hm_bytes_str(name), seed);
    SIM_MUST(crypto_sign_seed_keypair(public_key, secret_key, seed) == 0);
    return hm_hash_u64(hm_bytes_of(public_key, HM_PUBLIC_KEY_BYTES));
}

static void make_hostile_keys(struct sim *sim)
{
    sim->hostile_device =
        make_keys("hostile", sim->hostile_public_key, sim->hostile_secret_key);
}

static void make_node(struct sim *sim, unsigned index)
{
    struct sim_node *n = &sim->nodes[index];

    *n = (struct sim_node){.sim = sim, .index = index, .twin_of = index};
    n->is_hub = sim_plan_is_hub(&sim->plan->shape, index);
    (void)snprintf(n->name, sizeof n->name,
                   index == 0  ? "centre"
                   : n->is_hub ? "hub%u"
                               : "laptop%u",
                   index);
    n->device = make_keys(n->name, n->public_key, n->secret_key);
    n->rng.state = n->device ^ sim->plan->shape.seed * 0x2545f4914f6cdd1dU;
    n->linked = true;
    n->places[0] = index % 2;
    n->places[1] = 2 + index / 2 % (SIM_HAMLETS - 2);
    memcpy(n->first_places, n->places, sizeof n->first_places);
}

/* Two hamlets for each laptop, so that each hamlet has several laptops. */
static void put_device(struct sim *sim, struct sim_node *n)
{
    uint32_t scopes[2] = {sim->hamlets[n->places[0]], sim->hamlets[n->places[1]]};
    struct hm_device device = {.name = n->name,
                               .role =
                                   n->index == 0 ? HM_DEVICE_HUB : HM_DEVICE_ENUMERATOR,
                               .active = true,
                               .scopes = scopes,
                               .scope_count = n->index == 0 ? 0 : 2};

    if (n->is_hub) {
        device.role = HM_DEVICE_HUB;
        device.scopes = &sim->commune;
        device.scope_count = 1;
    }
    memcpy(device.public_key, n->public_key, sizeof device.public_key);
    SIM_MUST(hm_devices_put(sim->nodes[0].store, &device) == HM_OK);
}

/* Enrolled for the first hamlet alone, and up to no good. */
static void put_hostile_device(struct sim *sim)
{
    struct hm_device device = {.name = "hostile",
                               .role = HM_DEVICE_ENUMERATOR,
                               .active = true,
                               .scopes = &sim->hamlets[0],
                               .scope_count = 1};

    make_hostile_keys(sim);
    memcpy(device.public_key, sim->hostile_public_key, sizeof device.public_key);
    SIM_MUST(hm_devices_put(sim->nodes[0].store, &device) == HM_OK);
}

static void make_centre(struct sim *sim)
{
    struct hm_store *s;

    sim_node_start(&sim->nodes[0]);
    s = sim->nodes[0].store;
    SIM_MUST(s != NULL && hm_store_begin(s) == HM_OK);
    SIM_MUST(hm_store_set_number(s, HM_META_ROLE, HM_NODE_CENTRE) == HM_OK);
    put_device(sim, &sim->nodes[0]);
    sim->commune =
        make_unit(s, HM_UNIT_COMMUNE, "19885", make_unit(s, HM_UNIT_PROVINCE, "46", 0));
    for (unsigned i = 0; i < SIM_HAMLETS; i++) {
        char code[16];

        (void)snprintf(code, sizeof code, "19885%03u", i + 1);
        sim->hamlets[i] = make_unit(s, HM_UNIT_HAMLET, code, sim->commune);
    }
    make_people(s);
    SIM_MUST(publish(sim, s, false) == HM_OK);
    for (unsigned i = 1; i < sim->node_count; i++) {
        put_device(sim, &sim->nodes[i]);
        sim->nodes[i].user = make_user(s, sim->nodes[i].name, sim->commune);
    }
    put_hostile_device(sim);
    SIM_MUST(hm_store_end(s, HM_OK) == HM_OK);
}

static void exchange(struct sim *sim, struct sim_node *n, bool *out_more)
{
    struct hm_serve_request request = {.device = n->device,
                                       .received_utc_ms = sim_node_utc_ms(n)};
    struct hm_serve_reply reply;
    struct hm_adopt adopt;
    struct hm_upload upload;
    struct hm_buf buf;

    hm_buf_init(&buf, HM_REQUEST_BYTES_MAX);
    SIM_MUST(hm_upload_build(n->store, CHUNK_BYTES, &buf, &upload) == HM_OK);
    request.body = hm_buf_bytes(&buf);
    SIM_MUST(hm_serve_batch(sim->nodes[0].store, sim->nodes[0].forms, &request, &reply,
                            1) == HM_OK);
    SIM_MUST(reply.err == HM_OK);
    SIM_MUST(hm_adopt_reply(n->store, n->forms, hm_buf_bytes(&reply.body),
                            sim_node_utc_ms(n), sim_node_utc_ms(n), &adopt) == HM_OK);
    *out_more = upload.more || adopt.more;
    hm_serve_reply_deinit(&reply);
    hm_buf_deinit(&buf);
}

/* One more parent for a node, used from now on. */
static void join(struct sim *sim, struct sim_node *n, unsigned parent)
{
    static const uint8_t pin[32];
    char url[32];
    struct hm_upstream_grant grant = {.url = url,
                                      .pin = pin,
                                      .token = hm_bytes_str("token"),
                                      .device = sim->nodes[parent].device,
                                      .authority = sim->nodes[0].public_key,
                                      .role = n->is_hub ? HM_NODE_HUB : HM_NODE_LAPTOP};

    (void)snprintf(url, sizeof url, "https://%s", sim->nodes[parent].name);
    SIM_MUST(n->store != NULL && hm_store_begin(n->store) == HM_OK);
    SIM_MUST(hm_store_end(n->store, hm_upload_set_upstream(n->store, &grant)) == HM_OK);
}

/* In step with the centre; then it has the parents of its place in the chain. */
static void enrol(struct sim *sim, struct sim_node *n)
{
    unsigned parents[SIM_HUBS_MAX + 1];
    unsigned count = sim_plan_parents(&sim->plan->shape, n->index, parents);
    bool more = true;

    sim_node_start(n);
    join(sim, n, 0);
    for (int i = 0; i < SETTLE_MAX && more; i++) {
        exchange(sim, n, &more);
    }
    SIM_MUST(!more);
    while (count-- > 0) {
        join(sim, n, parents[count]); /* the first one last */
    }
    sim_node_stop(n);
}

/* Images without a name, which stay until the process ends. */
static void make(struct made *made, const struct sim_shape *shape)
{
    unsigned nodes = sim_plan_nodes(shape);
    struct sim *sim = &made->facts;

    made->plan.shape =
        (struct sim_shape){.laptops = shape->laptops, .hubs = shape->hubs, .days = 1};
    *sim = (struct sim){.plan = &made->plan, .node_count = nodes};
    for (unsigned i = 0; i < nodes; i++) {
        make_node(sim, i);
        sim->nodes[i].disk = hm_simdisk_create(sim->nodes[i].name, i);
        SIM_MUST(sim->nodes[i].disk != NULL);
    }
    make_centre(sim);
    for (unsigned i = 1; i < nodes; i++) {
        enrol(sim, &sim->nodes[i]);
    }
    sim_node_stop(&sim->nodes[0]);
    for (unsigned i = 0; i < nodes; i++) {
        made->disks[i] = hm_simdisk_copy(sim->nodes[i].disk, NULL);
        SIM_MUST(made->disks[i] != NULL);
        hm_simdisk_destroy(sim->nodes[i].disk);
        sim->nodes[i].disk = NULL;
    }
    made->nodes = nodes;
}

void sim_template_open(struct sim *sim)
{
    static struct made *all[SIM_NODES_MAX][SIM_HUBS_MAX + 1];
    unsigned nodes = sim_plan_nodes(&sim->plan->shape);
    struct made *made = all[nodes][sim->plan->shape.hubs];

    SIM_MUST(nodes < SIM_NODES_MAX && sodium_init() >= 0);
    if (made == NULL) {
        made = calloc(1, sizeof *made);
        SIM_MUST(made != NULL);
        make(made, &sim->plan->shape);
        all[nodes][sim->plan->shape.hubs] = made;
    }
    memcpy(sim->hamlets, made->facts.hamlets, sizeof sim->hamlets);
    sim->commune = made->facts.commune;
    sim->form = made->facts.form;
    sim->name = made->facts.name;
    sim->phone = made->facts.phone;
    sim->note = made->facts.note;
    sim->tags = made->facts.tags;
    sim->extra = made->facts.extra;
    sim->members = made->facts.members;
    sim->member_name = made->facts.member_name;
    sim->birth_year = made->facts.birth_year;
    sim->node_count = nodes;
    make_hostile_keys(sim);
    for (unsigned i = 0; i < nodes; i++) {
        make_node(sim, i);
        sim->nodes[i].starts = made->facts.nodes[i].starts;
        sim->nodes[i].user = made->facts.nodes[i].user;
        sim->nodes[i].parent = made->facts.nodes[i].parent;
        sim->nodes[i].disk = hm_simdisk_copy(made->disks[i], sim->nodes[i].name);
        SIM_MUST(sim->nodes[i].disk != NULL);
    }
}
