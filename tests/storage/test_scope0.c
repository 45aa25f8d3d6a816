#include "storage/scope0.h"

#include "protocol/guard.h"
#include "storage/people.h"
#include "storage/units_import.h"
#include "tests/support/store.h"

/* Ids: 1 p, 2 q, 3 a, 4 b, 5 c, 6 a1, 7 a2, 8 b1, 9 c1. */
static const char UNITS[] = "code,name,kind,parent\n"
                            "p,P,province,\n"
                            "q,Q,province,\n"
                            "a,A,commune,p\n"
                            "b,B,commune,p\n"
                            "c,C,commune,q\n"
                            "a1,A1,hamlet,a\n"
                            "a2,A2,hamlet,a\n"
                            "b1,B1,hamlet,b\n"
                            "c1,C1,hamlet,c\n";

enum { P = 1, Q, A, B, C, A1, A2, B1, C1 };

struct fixture {
    struct hm_test_node centre;
    struct hm_test_node child;
    struct hm_arena arena;
};

static uint64_t put_device(struct fixture *f, const uint8_t *key,
                           enum hm_device_role role, const uint32_t *scopes,
                           size_t count)
{
    struct hm_device device = {.name = "",
                               .role = role,
                               .scopes = scopes,
                               .scope_count = count,
                               .active = true};

    memcpy(device.public_key, key, sizeof device.public_key);
    CHECK_OK(hm_devices_put(f->centre.store, &device));
    return hm_devices_id_of(key);
}

static uint32_t add_user(struct fixture *f, const char *name, uint32_t unit)
{
    struct hm_user user = {
        .name = name, .full_name = "", .role = 1, .unit = unit, .active = true};
    uint32_t id;

    CHECK_OK(hm_people_add_user(f->centre.store, &user, &id));
    CHECK_OK(hm_people_set_passphrase(f->centre.store, id, "$argon2id$x"));
    return id;
}

static void begin(struct fixture *f)
{
    struct hm_role role = {.code = "r", .title_vi = "", .title_en = ""};
    struct hm_units_report report;
    uint32_t id;

    hm_arena_init(&f->arena, HM_SCOPE0_ARENA_BYTES_MAX);
    hm_test_node_open(&f->centre, "centre", HM_NODE_CENTRE);
    hm_test_node_open(&f->child, "child", HM_NODE_LAPTOP);
    CHECK_OK(hm_store_begin(f->centre.store));
    CHECK_OK(hm_store_begin(f->child.store));
    CHECK_OK(hm_units_import(f->centre.store, hm_bytes_str(UNITS), HM_TEST_TODAY,
                             &f->arena, &report));
    assert_int_equal(report.accepted, 9);
    CHECK_OK(hm_people_put_role(f->centre.store, &role, &id));
    assert_int_equal(id, 1);
    (void)put_device(f, f->centre.public_key, HM_DEVICE_HUB, NULL, 0);
}

static void end(struct fixture *f)
{
    CHECK_OK(hm_store_end(f->child.store, HM_OK));
    CHECK_OK(hm_store_end(f->centre.store, HM_OK));
    hm_test_node_close(&f->child);
    hm_test_node_close(&f->centre);
    hm_arena_deinit(&f->arena);
}

static bool wants(struct fixture *f, enum hm_item_kind kind, uint64_t id)
{
    struct hm_admin_item item = {.kind = kind, .id = id};
    struct hm_scope0_filter *filter;

    CHECK_OK(hm_scope0_prepare(f->centre.store, f->child.device, &f->arena, &filter));
    return hm_scope0_wants(filter, &item);
}

/* Give the child all that it needs and has not, let it drop the rest, and compare. */
static uint64_t sync_child(struct fixture *f)
{
    struct hm_scope0_filter *filter;
    struct hm_hash digests[2];
    struct hm_buf prefixes;
    struct hm_bytes left;
    struct hm_buf buf;
    uint64_t counts[2];
    uint64_t dropped;
    bool more;

    hm_buf_init(&buf, 4 * 1024 * 1024);
    hm_buf_init(&prefixes, 1024 * 1024);
    CHECK_OK(hm_scope0_prepare(f->centre.store, f->child.device, &f->arena, &filter));
    CHECK_OK(
        hm_items_prefixes(f->child.store, hm_scope0_wants, HM_SCOPE0_ALL, &prefixes));
    CHECK_OK(hm_items_differing(f->centre.store, hm_buf_bytes(&prefixes),
                                4 * 1024 * 1024, hm_scope0_wants, filter, &buf, &more));
    for (left = hm_buf_bytes(&buf); left.len > 0;) {
        struct hm_admin_item item;
        struct hm_bytes one;
        bool taken;

        CHECK_OK(hm_guard_first(left, &one));
        CHECK_OK(hm_items_decode(one, &item));
        CHECK_OK(hm_items_take(f->child.store, &item, f->centre.public_key, &taken));
        left = hm_bytes_of(left.data + one.len, left.len - one.len);
    }
    CHECK_OK(hm_scope0_drop_unwanted(f->child.store, f->child.device, &dropped));
    CHECK_OK(hm_items_digest(f->centre.store, hm_scope0_wants, filter, &digests[0],
                             &counts[0]));
    CHECK_OK(hm_items_digest(f->child.store, hm_scope0_wants, HM_SCOPE0_ALL,
                             &digests[1], &counts[1]));
    assert_int_equal(counts[0], counts[1]);
    assert_true(hm_hash_equal(&digests[0], &digests[1]));
    hm_buf_deinit(&prefixes);
    hm_buf_deinit(&buf);
    return dropped;
}

/* A lost laptop must give away as few people's passphrases as possible, and yet
 * everybody who works there can sign in. */
HM_TEST(what_a_hamlet_needs)
{
    static const uint32_t a1 = A1;
    static const uint32_t a = A;
    static const uint32_t b1 = B1;
    static const uint8_t keys[3][HM_PUBLIC_KEY_BYTES] = {{1}, {2}, {3}};
    struct fixture f;
    uint32_t in_hamlet;
    uint32_t in_sibling;
    uint32_t in_commune;
    uint32_t elsewhere;
    uint64_t sharing;
    uint64_t other;
    uint64_t hub;

    begin(&f);
    (void)put_device(&f, f.child.public_key, HM_DEVICE_ENUMERATOR, &a1, 1);
    sharing = put_device(&f, keys[0], HM_DEVICE_ENUMERATOR, &a, 1);
    other = put_device(&f, keys[1], HM_DEVICE_ENUMERATOR, &b1, 1);
    hub = put_device(&f, keys[2], HM_DEVICE_HUB, &b1, 1);
    in_hamlet = add_user(&f, "h", A1);
    in_sibling = add_user(&f, "s", A2);
    in_commune = add_user(&f, "c", A);
    elsewhere = add_user(&f, "e", B1);
    assert_true(wants(&f, HM_ITEM_UNIT, A1));
    assert_true(wants(&f, HM_ITEM_UNIT, A2));
    assert_true(wants(&f, HM_ITEM_UNIT, A));
    assert_true(wants(&f, HM_ITEM_UNIT, B));
    assert_true(wants(&f, HM_ITEM_UNIT, P));
    assert_false(wants(&f, HM_ITEM_UNIT, Q));
    assert_false(wants(&f, HM_ITEM_UNIT, B1));
    assert_true(wants(&f, HM_ITEM_USER, in_hamlet));
    assert_true(wants(&f, HM_ITEM_PASSPHRASE, in_hamlet));
    assert_true(wants(&f, HM_ITEM_PASSPHRASE, in_commune));
    assert_false(wants(&f, HM_ITEM_USER, in_sibling));
    assert_false(wants(&f, HM_ITEM_PASSPHRASE, in_sibling));
    assert_false(wants(&f, HM_ITEM_USER, elsewhere));
    assert_true(wants(&f, HM_ITEM_DEVICE, f.child.device));
    assert_true(wants(&f, HM_ITEM_DEVICE, f.centre.device));
    assert_true(wants(&f, HM_ITEM_DEVICE, sharing));
    assert_true(wants(&f, HM_ITEM_DEVICE, hub));
    assert_false(wants(&f, HM_ITEM_DEVICE, other));
    assert_true(wants(&f, HM_ITEM_ROLE, 1));
    assert_true(wants(&f, HM_ITEM_FORM, 1));
    assert_int_equal(sync_child(&f), 0);
    end(&f);
}

/* Both ends agree on what the child holds, whatever its assignment becomes. */
HM_TEST(assignments_shrink_and_grow)
{
    static const struct {
        uint32_t scopes[3];
        size_t count;
    } steps[] = {{{A1}, 1}, {{P}, 1}, {{A1, B1}, 2}, {{C}, 1}, {{A, Q}, 2}, {{A2}, 1}};
    static const uint8_t keys[3][HM_PUBLIC_KEY_BYTES] = {{1}, {2}, {3}};
    uint64_t dropped = 0;
    struct fixture f;

    begin(&f);
    for (uint32_t unit = P; unit <= C1; unit++) {
        char name[] = {(char)('a' + unit), 0};

        (void)add_user(&f, name, unit);
    }
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t scope = A1 + i;

        (void)put_device(&f, keys[i], HM_DEVICE_ENUMERATOR, &scope, 1);
    }
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        (void)put_device(&f, f.child.public_key, HM_DEVICE_ENUMERATOR, steps[i].scopes,
                         steps[i].count);
        dropped += sync_child(&f);
    }
    assert_true(dropped > 10);
    end(&f);
}

/* A hub without scopes holds all; who is not enrolled learns nothing of people. */
HM_TEST(hubs_and_strangers)
{
    struct fixture f;
    struct hm_hash digest;
    uint64_t count;
    uint64_t all;
    uint64_t dropped = 1;
    uint32_t user;

    begin(&f);
    user = add_user(&f, "u", P);
    assert_false(wants(&f, HM_ITEM_USER, user));
    assert_false(wants(&f, HM_ITEM_PASSPHRASE, user));
    assert_false(wants(&f, HM_ITEM_UNIT, P));
    assert_true(wants(&f, HM_ITEM_ROLE, 1));
    CHECK_OK(hm_scope0_drop_unwanted(f.child.store, f.child.device, &dropped));
    assert_int_equal(dropped, 0);
    (void)put_device(&f, f.child.public_key, HM_DEVICE_HUB, NULL, 0);
    assert_int_equal(sync_child(&f), 0);
    CHECK_OK(hm_items_digest(f.child.store, NULL, NULL, &digest, &count));
    CHECK_OK(hm_items_digest(f.centre.store, NULL, NULL, &digest, &all));
    assert_int_equal(count, all);
    /* Before its own item has come, a child cannot know what it needs. */
    CHECK_OK(hm_items_drop(f.child.store, HM_ITEM_DEVICE, f.child.device));
    CHECK_OK(hm_scope0_drop_unwanted(f.child.store, f.child.device, &dropped));
    assert_int_equal(dropped, 0);
    end(&f);
}
