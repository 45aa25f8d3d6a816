#include "storage/log.h"
#include "storage/quarantine.h"
#include "tests/support/village.h"

/* A laptop that is revoked while it is away, and found again. */

enum { HOUR_MS = 60 * 60 * 1000 };

static struct hm_village v;
static struct hm_village_node *a;
static struct hm_save_result home;

static void begin(void)
{
    hm_village_open(&v);
    home = hm_village_new(&v, &v.centre, 0, "Lan", 1);
    a = hm_village_add(&v, "a", 1);
}

static void pass(int64_t ms)
{
    v.centre.node.now_ms += ms;
    a->node.now_ms += ms;
}

static void revoke(void)
{
    struct hm_store *s = v.centre.node.store;

    CHECK_OK(hm_store_begin(s));
    CHECK_OK(hm_store_end(s, hm_devices_revoke(s, a->node.device)));
}

/* One exchange, which may be refused: its reply's error. */
static int exchange(struct hm_adopt *out)
{
    struct hm_serve_request request = {.device = a->node.device,
                                       .received_utc_ms = v.centre.node.now_ms};
    struct hm_serve_reply reply;
    struct hm_upload upload;
    struct hm_buf buf;
    int err;

    *out = (struct hm_adopt){.more = false};
    hm_buf_init(&buf, HM_REQUEST_BYTES_MAX);
    CHECK_OK(hm_upload_build(a->node.store, 65536, &buf, &upload));
    request.body = hm_buf_bytes(&buf);
    CHECK_OK(hm_serve_batch(v.centre.node.store, v.centre.forms, &request, &reply, 1));
    err = reply.err;
    if (err == HM_OK) {
        CHECK_OK(hm_adopt_reply(a->node.store, a->forms, hm_buf_bytes(&reply.body),
                                a->node.now_ms, a->node.now_ms, out));
    } else {
        assert_true(reply.errmsg[0] != 0);
    }
    hm_serve_reply_deinit(&reply);
    hm_buf_deinit(&buf);
    return err;
}

static void put(uint32_t field, const char *text)
{
    (void)hm_village_put(&v, a, &home.household, field, text);
}

static const char *at_centre(uint32_t field)
{
    return hm_village_shows(&v, &v.centre, &home.household, field);
}

static uint64_t revoked_work(void)
{
    uint64_t count = 0;
    uint64_t bytes = 0;

    CHECK_OK(
        hm_quarantine_sum_revoked(v.centre.node.store, a->node.device, &count, &bytes));
    return count;
}

/* What it wrote before is welcome, what it wrote since is kept apart; it hears that it
 * was revoked, hears nothing else, and keeps all that it has. */
HM_TEST(what_was_written_before_is_welcome)
{
    struct hm_device own;
    struct hm_unsent unsent;
    struct hm_arena arena;
    struct hm_adopt adopt;
    int64_t revoked_ms;
    size_t count = 0;

    begin();
    put(v.phone, "before");
    pass(HOUR_MS);
    revoked_ms = v.centre.node.now_ms;
    revoke();
    pass(HOUR_MS);
    put(v.note, "since");
    (void)hm_village_new(&v, &v.centre, 0, "not for a", 1);
    assert_int_equal(exchange(&adopt), HM_OK);
    assert_true(adopt.revoked);
    assert_true(adopt.text[0] != 0);
    assert_false(adopt.digest_equal);
    assert_int_equal(adopt.households, 0);
    assert_int_equal(adopt.notices, 1);
    assert_string_equal(at_centre(v.phone), "before");
    assert_string_equal(at_centre(v.note), "");
    assert_int_equal(revoked_work(), 1);
    assert_int_equal(hm_village_quarantined(a), 1);
    CHECK_OK(hm_log_unsent(a->node.store, v.centre.node.device, &unsent));
    assert_int_equal(unsent.changes, 0);
    hm_arena_init(&arena, 1024 * 1024);
    CHECK_OK(hm_devices_get(a->node.store, a->node.device, &arena, &own));
    assert_false(own.active);
    assert_int_equal(own.revoked_utc_ms, revoked_ms);
    hm_arena_deinit(&arena);
    assert_string_equal(hm_village_shows(&v, a, &home.household, v.note), "since");
    assert_int_equal(hm_village_households(a), 1);
    CHECK_OK(hm_store_begin_read(a->node.store));
    CHECK_OK(hm_items_count(a->node.store, HM_ITEM_UNIT, &count));
    CHECK_OK(hm_store_end(a->node.store, HM_OK));
    assert_true(count > 3);
    assert_int_equal(exchange(&adopt), HM_OK); /* it has nothing to deliver */
    assert_true(adopt.revoked);
    assert_int_equal(hm_village_households(a), 1);
    put(v.name, "still saved");
    assert_int_equal(exchange(&adopt), HM_OK);
    assert_int_equal(revoked_work(), 2);
    hm_village_close(&v);
}

/* Whoever has it sets its clock back: what follows in its log on something written
 * since, and what a new start writes behind that, is since, too. */
HM_TEST(a_clock_that_was_set_back_is_not_believed)
{
    struct hm_adopt adopt;

    begin();
    put(v.name, "before");
    pass(HOUR_MS);
    revoke();
    pass(HOUR_MS);
    put(v.phone, "since");
    a->node.now_ms -= 100LL * HOUR_MS;
    put(v.note, "claims to be old");
    hm_village_restart(a);
    (void)hm_village_new(&v, a, 0, "of a new start", 1);
    while (exchange(&adopt) == HM_OK && adopt.more) {
    }
    assert_string_equal(at_centre(v.name), "before");
    assert_string_equal(at_centre(v.phone), "");
    assert_string_equal(at_centre(v.note), "");
    assert_int_equal(revoked_work(), 3);
    hm_village_close(&v);
}

/* Its clock was wrong, and its last talk with the centre said by how much: that is what
 * counts. */
HM_TEST(a_clock_that_is_known_to_be_wrong_is_put_right)
{
    struct hm_adopt adopt;

    begin();
    a->node.now_ms -= 20000LL * 24 * HOUR_MS;
    hm_village_restart(a);
    assert_true(hm_village_sync(&v, a).digest_equal); /* hears how wrong */
    put(v.phone, "before");
    pass(HOUR_MS);
    revoke();
    pass(HOUR_MS);
    put(v.note, "since");
    assert_int_equal(exchange(&adopt), HM_OK);
    assert_string_equal(at_centre(v.phone), "before");
    assert_string_equal(at_centre(v.note), "");
    assert_int_equal(revoked_work(), 1);
    hm_village_close(&v);
}

/* Missed days after it was lost: what was written in between is kept apart, too. */
HM_TEST(lost_before_it_was_missed)
{
    struct hm_adopt adopt;
    struct hm_store *s;
    int64_t lost_ms;

    begin();
    s = v.centre.node.store;
    put(v.phone, "before");
    pass(HOUR_MS);
    lost_ms = v.centre.node.now_ms;
    pass(HOUR_MS);
    put(v.note, "by somebody else");
    pass(HOUR_MS);
    CHECK_OK(hm_store_begin(s));
    assert_int_equal(
        hm_devices_revoke_since(s, a->node.device, v.centre.node.now_ms + 1),
        HM_INVALID);
    CHECK_OK(hm_devices_revoke_since(s, a->node.device, lost_ms));
    CHECK_OK(hm_devices_revoke(s, a->node.device)); /* changes nothing */
    CHECK_OK(hm_store_end(s, HM_OK));
    assert_int_equal(exchange(&adopt), HM_OK);
    assert_string_equal(at_centre(v.phone), "before");
    assert_string_equal(at_centre(v.note), "");
    assert_int_equal(revoked_work(), 1);
    hm_village_close(&v);
}

/* Let in again, it goes on as before; what was kept apart meanwhile stays for a person
 * to decide. */
HM_TEST(let_in_again)
{
    uint8_t secret[HM_INVITATION_BYTES];
    uint8_t token[HM_DEVICE_TOKEN_BYTES];
    struct hm_store *s;
    struct hm_invitation invitation = {.name = "a",
                                       .role = HM_DEVICE_ENUMERATOR,
                                       .scopes = v.hamlets,
                                       .scope_count = 1};
    struct hm_redemption redemption = {.name = "a"};
    struct hm_device device;
    struct hm_arena arena;
    struct hm_adopt adopt;

    begin();
    s = v.centre.node.store;
    revoke();
    pass(HOUR_MS);
    put(v.phone, "since");
    assert_int_equal(exchange(&adopt), HM_OK);
    invitation.expires_utc_ms = v.centre.node.now_ms + HOUR_MS;
    hm_arena_init(&arena, 1024 * 1024);
    CHECK_OK(hm_store_begin(s));
    CHECK_OK(hm_devices_invite(s, &invitation, secret));
    redemption.secret = hm_bytes_of(secret, sizeof secret);
    memcpy(redemption.public_key, a->node.public_key, sizeof redemption.public_key);
    CHECK_OK(hm_devices_redeem(s, &redemption, &arena, &device, token));
    CHECK_OK(hm_store_end(s, HM_OK));
    hm_arena_deinit(&arena);
    put(v.note, "again");
    hm_village_settle(&v);
    assert_string_equal(at_centre(v.note), "again");
    assert_string_equal(at_centre(v.phone), "");
    assert_int_equal(revoked_work(), 1);
    hm_village_check_equal(&v);
    hm_village_close(&v);
}

/* A flood from a stolen laptop ends at a limit. */
HM_TEST(a_flood_is_not_listened_to_for_ever)
{
    struct hm_quarantine_entry entry = {.reason = HM_REVOKED, .detail = ""};
    static uint8_t bytes[1024 * 1024];
    struct hm_store *s;
    struct hm_adopt adopt;

    begin();
    s = v.centre.node.store;
    revoke();
    pass(HOUR_MS);
    entry.device = a->node.device;
    entry.bytes = hm_bytes_of(bytes, sizeof bytes);
    CHECK_OK(hm_store_begin(s));
    for (unsigned i = 0; i < 9; i++) {
        entry.dot = (struct hm_dot){4711, i + 1};
        CHECK_OK(hm_quarantine_put(s, &entry));
    }
    CHECK_OK(hm_store_end(s, HM_OK));
    put(v.phone, "since");
    assert_int_equal(exchange(&adopt), HM_DENIED);
    assert_int_equal(revoked_work(), 9);
    hm_village_close(&v);
}
