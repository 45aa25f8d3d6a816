/* Devices that a hub lets in while the centre is out of reach. */
#include <string.h>

#include "storage/accept.h"
#include "storage/grants.h"
#include "storage/log.h"
#include "storage/quarantine.h"
#include "tests/support/village.h"

enum { ARENA_BYTES = 16 * 1024 * 1024 };

static struct hm_village v;
static struct hm_village_node *upper;
static struct hm_village_node *lower;

/* lower - upper - centre */
static void open_hubs(void)
{
    hm_village_open(&v);
    upper = hm_village_add_hub(&v, "upper");
    lower = hm_village_add_hub(&v, "lower");
    (void)hm_village_sync(&v, upper);
    (void)hm_village_sync(&v, lower);
    hm_village_join(&v, lower, upper);
    (void)hm_village_sync(&v, lower);
}

/* What a node knows of a device. False: nothing. */
static bool knows(struct hm_village_node *n, uint64_t device, struct hm_device *out,
                  uint64_t *out_author)
{
    static struct hm_arena arena;
    struct hm_admin_item item = {0};
    int err;

    hm_arena_deinit(&arena);
    hm_arena_init(&arena, ARENA_BYTES);
    CHECK_OK(hm_store_begin_read(n->node.store));
    err = hm_items_get(n->node.store, HM_ITEM_DEVICE, device, &arena, &item);
    if (err == HM_OK) {
        CHECK_OK(hm_devices_get(n->node.store, device, &arena, out));
    }
    CHECK_OK(hm_store_end(n->node.store, err == HM_NOTFOUND ? HM_OK : err));
    *out_author = item.author;
    return err == HM_OK;
}

static uint64_t author_at(struct hm_village_node *n, uint64_t device)
{
    struct hm_device out;
    uint64_t author = 1;

    assert_true(knows(n, device, &out, &author));
    return author;
}

static void at_centre_change(const struct hm_village_node *n, const uint32_t *scopes,
                             bool revoke)
{
    struct hm_store *s = v.centre.node.store;

    CHECK_OK(hm_store_begin(s));
    if (revoke) {
        CHECK_OK(hm_devices_revoke(s, n->node.device));
    } else {
        CHECK_OK(hm_devices_reassign(s, n->node.device, scopes, 1));
    }
    CHECK_OK(hm_store_end(s, HM_OK));
}

/* Two hubs below the centre and no link upward: the laptop joins, works, and all comes
 * to the centre in one go, the grant first. */
HM_TEST(a_laptop_is_let_in_while_the_centre_is_away)
{
    struct hm_save_result made;
    struct hm_village_node *a;

    open_hubs();
    a = hm_village_let_in(&v, "a", lower, 1);
    (void)hm_village_sync(&v, a);
    assert_int_equal(author_at(a, a->node.device), lower->node.device);
    made = hm_village_new(&v, a, 0, "Lan", 1);
    (void)hm_village_sync(&v, a);
    assert_string_equal(hm_village_shows(&v, lower, &made.household, v.name), "Lan");

    (void)hm_village_sync(&v, lower);
    assert_int_equal(author_at(upper, a->node.device), lower->node.device);
    assert_string_equal(hm_village_shows(&v, upper, &made.household, v.name), "Lan");
    (void)hm_village_sync(&v, upper);
    assert_int_equal(author_at(&v.centre, a->node.device), 0);
    assert_string_equal(hm_village_shows(&v, &v.centre, &made.household, v.name),
                        "Lan");
    assert_int_equal(hm_village_quarantined(&v.centre), 0);

    hm_village_settle(&v);
    assert_int_equal(author_at(upper, a->node.device), 0);
    assert_int_equal(author_at(lower, a->node.device), 0);
    assert_int_equal(author_at(a, a->node.device), 0);
    hm_village_check_equal(&v);
    hm_village_close(&v);
}

static int invites(struct hm_village_node *n, enum hm_device_role role,
                   const uint32_t *scopes, size_t count)
{
    struct hm_invitation invitation = {.name = "x",
                                       .role = role,
                                       .scopes = scopes,
                                       .scope_count = count,
                                       .expires_utc_ms = n->node.now_ms + 1000};
    uint8_t secret[HM_INVITATION_BYTES];
    int err;

    CHECK_OK(hm_store_begin(n->node.store));
    err = hm_devices_invite(n->node.store, &invitation, secret);
    assert_int_equal(hm_store_end(n->node.store, err), err);
    return err;
}

/* A hub gives nothing that it was not given. */
HM_TEST(nothing_is_given_that_was_not_given)
{
    uint32_t province = 1; /* the first unit */

    open_hubs();
    at_centre_change(lower, &v.hamlets[1], false);
    (void)hm_village_sync(&v, upper);
    (void)hm_village_sync(&v, lower);
    assert_int_equal(invites(lower, HM_DEVICE_ENUMERATOR, &v.hamlets[1], 1), HM_OK);
    assert_int_equal(invites(lower, HM_DEVICE_HUB, &v.hamlets[1], 1), HM_OK);
    assert_int_equal(invites(lower, HM_DEVICE_ENUMERATOR, &v.hamlets[0], 1), HM_DENIED);
    assert_int_equal(invites(lower, HM_DEVICE_ENUMERATOR, v.hamlets, 2), HM_DENIED);
    assert_int_equal(invites(lower, HM_DEVICE_ENUMERATOR, &v.commune, 1), HM_DENIED);
    assert_int_equal(invites(lower, HM_DEVICE_HUB, &v.commune, 1), HM_DENIED);
    assert_int_equal(invites(lower, HM_DEVICE_HUB, NULL, 0), HM_DENIED);
    assert_int_equal(invites(upper, HM_DEVICE_HUB, &v.commune, 1), HM_OK);
    assert_int_equal(invites(upper, HM_DEVICE_HUB, &province, 1), HM_DENIED);
    hm_village_close(&v);
}

/* The item of a device, as a hub would sign it. */
static void put_grant(struct hm_buf *out, const struct hm_village_node *hub,
                      const struct hm_device *device)
{
    struct hm_admin_item item;
    struct hm_arena arena;

    hm_arena_init(&arena, ARENA_BYTES);
    CHECK_OK(hm_store_begin(hub->node.store));
    CHECK_OK(hm_grants_make(hub->node.store, device));
    CHECK_OK(hm_items_get(hub->node.store, HM_ITEM_DEVICE,
                          hm_devices_id_of(device->public_key), &arena, &item));
    hm_items_encode(&item, out);
    CHECK_OK(out->err);
    assert_int_equal(hm_store_end(hub->node.store, HM_CANCELED), HM_CANCELED);
    hm_arena_deinit(&arena);
}

static void take_up(struct hm_village_node *n, struct hm_bytes bytes)
{
    CHECK_OK(hm_store_begin(n->node.store));
    CHECK_OK(hm_store_end(n->node.store, hm_grants_take_up(n->node.store, bytes)));
}

/* Whatever a hub signs, by a program that is not ours: what is beyond its delegation
 * becomes a revoked device, what is no grant nothing at all. */
HM_TEST(a_hub_that_signs_too_much)
{
    struct hm_device device = {.name = "x",
                               .role = HM_DEVICE_ENUMERATOR,
                               .active = true,
                               .scopes = &v.commune,
                               .scope_count = 1,
                               .public_key = {7}};
    struct hm_device out;
    struct hm_buf grant;
    uint64_t id = hm_devices_id_of(device.public_key);
    uint64_t author = 0;

    open_hubs();
    at_centre_change(lower, &v.hamlets[1], false);
    hm_buf_init(&grant, 64 * 1024);
    put_grant(&grant, lower, &device);
    take_up(&v.centre, hm_buf_bytes(&grant));
    assert_true(knows(&v.centre, id, &out, &author));
    assert_false(out.active);
    assert_int_equal(out.scope_count, 0);
    assert_int_equal(author, 0);

    hm_buf_clear(&grant);
    device.public_key[0] = 8;
    id = hm_devices_id_of(device.public_key);
    device.scopes = &v.hamlets[1];
    put_grant(&grant, lower, &device);
    grant.data[grant.len - 1] ^= 1;
    take_up(&v.centre, hm_buf_bytes(&grant));
    assert_false(knows(&v.centre, id, &out, &author));
    grant.data[grant.len - 1] ^= 1;
    take_up(&v.centre, hm_buf_bytes(&grant));
    assert_true(knows(&v.centre, id, &out, &author) && out.active);

    /* A second grant changes nothing: a device is the centre's from then on. */
    at_centre_change(&(struct hm_village_node){.node = {.device = id}}, NULL, true);
    take_up(&v.centre, hm_buf_bytes(&grant));
    assert_true(knows(&v.centre, id, &out, &author));
    assert_false(out.active);
    hm_buf_deinit(&grant);
    hm_village_close(&v);
}

/* The hub is revoked before its grant arrives, by another hub's mouth: the device is
 * known, and its work is kept apart, not lost. */
HM_TEST(a_grant_of_a_revoked_hub)
{
    struct hm_save_result made;
    struct hm_village_node *a;
    struct hm_device out;
    uint64_t author = 0;

    open_hubs();
    a = hm_village_let_in(&v, "a", lower, 1);
    (void)hm_village_sync(&v, a);
    made = hm_village_new(&v, a, 0, "Lan", 0);
    (void)hm_village_sync(&v, a);
    (void)hm_village_sync(&v, lower); /* upper has both */
    at_centre_change(lower, NULL, true);
    (void)hm_village_sync(&v, upper);
    assert_true(knows(&v.centre, a->node.device, &out, &author));
    assert_false(out.active);
    assert_int_equal(hm_village_quarantined(&v.centre), 1);
    assert_string_equal(hm_village_shows(&v, &v.centre, &made.household, v.name), "");
    hm_village_close(&v);
}

/* The device's grant has not come, and a hub brings its work: it is held, not refused,
 * and taken when the grant is there. */
HM_TEST(work_waits_for_the_grant_of_its_author)
{
    struct hm_save_result made;
    struct hm_village_node *a;
    struct hm_accept accept;
    struct hm_arena arena;
    struct hm_stored_segment segment;
    uint64_t incarnation = 0;
    uint64_t entries = 9;

    open_hubs();
    a = hm_village_let_in(&v, "a", lower, 1);
    (void)hm_village_sync(&v, a);
    made = hm_village_new(&v, a, 0, "Lan", 0);
    (void)hm_village_sync(&v, a);
    hm_arena_init(&arena, HM_ACCEPT_ARENA_BYTES_MAX);
    CHECK_OK(hm_log_segment_with(lower->node.store, made.dot.incarnation, 0, &arena,
                                 &segment));
    CHECK_OK(hm_store_begin(upper->node.store));
    CHECK_OK(hm_accept_init(&accept, upper->node.store, upper->forms,
                            lower->node.device, &arena));
    accept.from_hub = true;
    CHECK_OK(hm_accept_segment(&accept, segment.bytes, &incarnation, &entries));
    assert_int_equal(incarnation, made.dot.incarnation);
    assert_int_equal(entries, 0);
    CHECK_OK(hm_store_end(upper->node.store, HM_OK));
    hm_arena_deinit(&arena);
    assert_int_equal(hm_village_quarantined(upper), 0);
    (void)hm_village_sync(&v, lower);
    assert_string_equal(hm_village_shows(&v, upper, &made.household, v.name), "Lan");
    hm_village_close(&v);
}

/* A laptop of the centre comes to the hub with a code: it stays as the centre made it.
 */
HM_TEST(a_known_laptop_stays_as_it_is)
{
    struct hm_village_node *a;
    struct hm_redemption redemption = {.name = "y"};
    struct hm_invitation invitation = {.name = "other",
                                       .role = HM_DEVICE_ENUMERATOR,
                                       .scopes = &v.hamlets[0],
                                       .scope_count = 1};
    uint8_t secret[HM_INVITATION_BYTES];
    uint8_t token[HM_DEVICE_TOKEN_BYTES];
    struct hm_device device;
    struct hm_arena arena;

    open_hubs();
    a = hm_village_add(&v, "a", 1);
    (void)hm_village_sync(&v, upper);
    hm_arena_init(&arena, ARENA_BYTES);
    invitation.expires_utc_ms = upper->node.now_ms + 1000;
    redemption.secret = hm_bytes_of(secret, sizeof secret);
    memcpy(redemption.public_key, a->node.public_key, sizeof redemption.public_key);
    CHECK_OK(hm_store_begin(upper->node.store));
    CHECK_OK(hm_devices_invite(upper->node.store, &invitation, secret));
    CHECK_OK(hm_devices_redeem(upper->node.store, &redemption, &arena, &device, token));
    CHECK_OK(hm_store_end(upper->node.store, HM_OK));
    assert_string_equal(device.name, "a");
    assert_int_equal(author_at(upper, a->node.device), 0);

    invitation.scopes = &v.hamlets[2];
    CHECK_OK(hm_store_begin(upper->node.store));
    CHECK_OK(hm_devices_invite(upper->node.store, &invitation, secret));
    assert_int_equal(
        hm_devices_redeem(upper->node.store, &redemption, &arena, &device, token),
        HM_DENIED);
    CHECK_OK(hm_store_end(upper->node.store, HM_OK));
    hm_arena_deinit(&arena);
    hm_village_close(&v);
}
