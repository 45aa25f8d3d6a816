#include "storage/devices.h"

#include "storage/units_import.h"
#include "tests/support/store.h"

/* 1 province, 2 and 3 communes, 4 and 5 hamlets of 2, 6 hamlet of 3. */
static const char UNITS[] = "code,name,kind,parent\n"
                            "p,P,province,\n"
                            "a,A,commune,p\n"
                            "b,B,commune,p\n"
                            "a1,A1,hamlet,a\n"
                            "a2,A2,hamlet,a\n"
                            "b1,B1,hamlet,b\n";

struct fixture {
    struct hm_test_node node;
    struct hm_arena arena;
    struct hm_store *s;
    struct hm_units_tree tree;
};

static void begin(struct fixture *f)
{
    struct hm_units_report report;

    hm_arena_init(&f->arena, 16 * 1024 * 1024);
    hm_test_node_open(&f->node, "centre", HM_NODE_CENTRE);
    f->s = f->node.store;
    CHECK_OK(hm_store_begin(f->s));
    CHECK_OK(
        hm_units_import(f->s, hm_bytes_str(UNITS), HM_TEST_TODAY, &f->arena, &report));
    CHECK_OK(hm_units_load(f->s, &f->arena, &f->tree));
    assert_int_equal(f->tree.count, 6);
}

static void end(struct fixture *f)
{
    CHECK_OK(hm_store_end(f->s, HM_OK));
    hm_test_node_close(&f->node);
    hm_arena_deinit(&f->arena);
}

static struct hm_redemption redemption_of(const uint8_t *secret, uint8_t key)
{
    struct hm_redemption redemption = {
        .name = "its own name", .secret = hm_bytes_of(secret, HM_INVITATION_BYTES)};

    memset(redemption.public_key, key, sizeof redemption.public_key);
    memset(redemption.box_key, key + 1, sizeof redemption.box_key);
    return redemption;
}

static struct hm_bytes token_of(const uint8_t *token)
{
    return hm_bytes_of(token, HM_DEVICE_TOKEN_BYTES);
}

static void invite(struct fixture *f, uint32_t scope,
                   uint8_t out_secret[HM_INVITATION_BYTES])
{
    struct hm_invitation invitation = {.name = "máy của Lành",
                                       .role = HM_DEVICE_ENUMERATOR,
                                       .scopes = &scope,
                                       .scope_count = 1,
                                       .expires_utc_ms =
                                           f->node.now_ms + 48LL * 3600 * 1000};

    CHECK_OK(hm_devices_invite(f->s, &invitation, out_secret));
}

/* The reply may be lost on the way: the same laptop asks again and gets in, another one
 * does not. */
HM_TEST(one_code_one_device)
{
    uint8_t secret[HM_INVITATION_BYTES];
    uint8_t first[HM_DEVICE_TOKEN_BYTES];
    uint8_t second[HM_DEVICE_TOKEN_BYTES];
    struct hm_redemption redemption;
    struct hm_device device;
    struct hm_device found;
    struct fixture f;

    begin(&f);
    invite(&f, 2, secret);
    redemption = redemption_of(secret, 1);
    CHECK_OK(hm_devices_redeem(f.s, &redemption, &f.arena, &device, first));
    assert_true(device.id == hm_devices_id_of(redemption.public_key));
    assert_string_equal(device.name, "máy của Lành");
    CHECK_OK(hm_devices_by_token(f.s, token_of(first), &f.arena, &found));
    assert_true(found.id == device.id);
    assert_int_equal(found.scope_count, 1);
    assert_int_equal(found.scopes[0], 2);
    assert_memory_equal(found.box_key, redemption.box_key, HM_BOX_KEY_BYTES);
    assert_int_equal(found.enrolled_utc_ms, HM_TEST_START_MS);
    CHECK_OK(hm_devices_redeem(f.s, &redemption, &f.arena, &device, second));
    assert_memory_not_equal(first, second, sizeof first);
    assert_int_equal(hm_devices_by_token(f.s, token_of(first), &f.arena, &found),
                     HM_DENIED);
    CHECK_OK(hm_devices_by_token(f.s, token_of(second), &f.arena, &found));
    redemption = redemption_of(secret, 9);
    assert_int_equal(hm_devices_redeem(f.s, &redemption, &f.arena, &device, first),
                     HM_DENIED);
    assert_non_null(strstr(hm_store_errmsg(f.s), "another"));
    end(&f);
}

/* An officer who gives no name gets the one that the laptop has. */
HM_TEST(a_device_without_a_promised_name_brings_its_own)
{
    static const uint32_t scope = 2;
    struct hm_invitation invitation = {.name = "",
                                       .role = HM_DEVICE_ENUMERATOR,
                                       .scopes = &scope,
                                       .scope_count = 1,
                                       .expires_utc_ms = INT64_MAX};
    uint8_t secret[HM_INVITATION_BYTES];
    uint8_t token[HM_DEVICE_TOKEN_BYTES];
    struct hm_redemption redemption;
    struct hm_device device;
    struct fixture f;

    begin(&f);
    CHECK_OK(hm_devices_invite(f.s, &invitation, secret));
    redemption = redemption_of(secret, 1);
    CHECK_OK(hm_devices_redeem(f.s, &redemption, &f.arena, &device, token));
    assert_string_equal(device.name, "its own name");
    end(&f);
}

/* An old or made-up code opens nothing, and people are told why. */
HM_TEST(codes_expire)
{
    uint8_t secret[HM_INVITATION_BYTES];
    uint8_t token[HM_DEVICE_TOKEN_BYTES];
    struct hm_redemption redemption;
    struct hm_device device;
    struct fixture f;

    begin(&f);
    invite(&f, 2, secret);
    redemption = redemption_of(secret, 1);
    f.node.now_ms += 48LL * 3600 * 1000;
    assert_int_equal(hm_devices_redeem(f.s, &redemption, &f.arena, &device, token),
                     HM_DENIED);
    assert_non_null(strstr(hm_store_errmsg(f.s), "over"));
    CHECK_OK(hm_devices_forget_invitations(f.s));
    assert_int_equal(hm_devices_redeem(f.s, &redemption, &f.arena, &device, token),
                     HM_DENIED);
    assert_non_null(strstr(hm_store_errmsg(f.s), "not known"));
    end(&f);
}

/* A stolen laptop must not come back in by an old code, its own or an unused one; only
 * by one that was made for it since. */
HM_TEST(revoked_stays_out)
{
    uint8_t unused[HM_INVITATION_BYTES];
    uint8_t secret[HM_INVITATION_BYTES];
    uint8_t token[HM_DEVICE_TOKEN_BYTES];
    struct hm_redemption redemption;
    struct hm_device device;
    struct fixture f;

    begin(&f);
    invite(&f, 2, secret);
    redemption = redemption_of(secret, 1);
    CHECK_OK(hm_devices_redeem(f.s, &redemption, &f.arena, &device, token));
    invite(&f, 3, unused);
    f.node.now_ms += 5000;
    CHECK_OK(hm_devices_revoke(f.s, device.id));
    f.node.now_ms += 5000;
    CHECK_OK(hm_devices_revoke(f.s, device.id));
    CHECK_OK(hm_devices_by_token(f.s, token_of(token), &f.arena, &device));
    assert_false(device.active);
    assert_int_equal(device.revoked_utc_ms, HM_TEST_START_MS + 5000);
    assert_int_equal(hm_devices_redeem(f.s, &redemption, &f.arena, &device, token),
                     HM_DENIED);
    redemption = redemption_of(unused, 1);
    assert_int_equal(hm_devices_redeem(f.s, &redemption, &f.arena, &device, token),
                     HM_DENIED);
    invite(&f, 3, secret);
    redemption = redemption_of(secret, 1);
    CHECK_OK(hm_devices_redeem(f.s, &redemption, &f.arena, &device, token));
    assert_true(device.active);
    assert_int_equal(device.revoked_utc_ms, 0);
    CHECK_OK(hm_devices_by_token(f.s, token_of(token), &f.arena, &device));
    assert_true(device.active);
    end(&f);
}

/* What an officer changed after the enrolment is not undone by a repeated request. */
HM_TEST(reassignment_outlives_a_repeat)
{
    static const uint32_t scopes[] = {6, 4, 6};
    static const uint32_t unknown = 60;
    uint8_t secret[HM_INVITATION_BYTES];
    uint8_t token[HM_DEVICE_TOKEN_BYTES];
    struct hm_redemption redemption;
    struct hm_device device;
    struct hm_device *devices;
    struct fixture f;
    uint32_t *hamlets;
    size_t count;

    begin(&f);
    invite(&f, 2, secret);
    redemption = redemption_of(secret, 1);
    CHECK_OK(hm_devices_redeem(f.s, &redemption, &f.arena, &device, token));
    CHECK_OK(hm_devices_effective_scopes(&device, &f.tree, &f.arena, &hamlets, &count));
    assert_int_equal(count, 2);
    assert_int_equal(hamlets[0], 4);
    assert_int_equal(hamlets[1], 5);
    CHECK_OK(hm_devices_reassign(f.s, device.id, scopes, 3));
    CHECK_OK(hm_devices_redeem(f.s, &redemption, &f.arena, &device, token));
    assert_int_equal(device.scope_count, 2);
    assert_int_equal(device.scopes[0], 4);
    assert_int_equal(device.scopes[1], 6);
    assert_int_equal(hm_devices_reassign(f.s, device.id, &unknown, 1), HM_INVALID);
    assert_int_equal(hm_devices_reassign(f.s, 12345, scopes, 1), HM_NOTFOUND);
    CHECK_OK(hm_devices_list(f.s, &f.arena, &devices, &count));
    assert_int_equal(count, 1);
    device.role = HM_DEVICE_HUB;
    device.scope_count = 0;
    CHECK_OK(hm_devices_effective_scopes(&device, &f.tree, &f.arena, &hamlets, &count));
    assert_int_equal(count, 3);
    end(&f);
}

static bool contains(struct hm_bytes bytes, const uint8_t secret[HM_INVITATION_BYTES])
{
    for (size_t i = 0; i + HM_INVITATION_BYTES <= bytes.len; i++) {
        if (memcmp(bytes.data + i, secret, HM_INVITATION_BYTES) == 0) {
            return true;
        }
    }
    return false;
}

/* The secrets themselves are nowhere in the store. */
HM_TEST(only_hashes_are_kept)
{
    uint8_t secret[HM_INVITATION_BYTES];
    struct hm_stmt *stmt;
    struct fixture f;
    int64_t seen = -1;
    bool row = true;

    begin(&f);
    invite(&f, 2, secret);
    CHECK_OK(hm_devices_set_token(f.s, 7, hm_bytes_of(secret, sizeof secret)));
    CHECK_OK(hm_devices_get_seen(f.s, 7, &seen));
    assert_int_equal(seen, 0);
    CHECK_OK(hm_devices_set_seen(f.s, 7, 1234));
    CHECK_OK(hm_devices_get_seen(f.s, 7, &seen));
    assert_int_equal(seen, 1234);
    CHECK_OK(hm_db_stmt(hm_store_db(f.s),
                        "SELECT hash, body FROM invitation "
                        "UNION ALL SELECT hash, hash FROM token",
                        &stmt));
    for (int rows = 0; rows < 2; rows++) {
        CHECK_OK(hm_stmt_step(stmt, &row));
        assert_true(row);
        assert_false(contains(hm_stmt_bytes(stmt, 0), secret));
        assert_false(contains(hm_stmt_bytes(stmt, 1), secret));
    }
    CHECK_OK(hm_stmt_step(stmt, &row));
    assert_false(row);
    end(&f);
}
