/* Links that break at the worst moment: nothing is lost, nothing is there twice, and
 * nobody waits for ever. */
#include <stdio.h>
#include <string.h>

#include "tests/support/child.h"
#include "tests/support/e2e_data.h"
#include "tests/support/test.h"

enum { HOUSEHOLDS = 60, NEW = 5 };

static const struct hm_proxy_mode good;

static const char *add_numbered(struct e2e_node *node, int number)
{
    char name[48];

    (void)snprintf(name, sizeof name, "Nguyễn Văn Số %d", number);
    return e2e_add(node, E2E_HAMLET_A, name, 3);
}

/* One sync over the link as it is now, whatever comes of it. */
static const struct e2e_result *try_sync(struct e2e_node *node)
{
    return e2e_end(e2e_begin(node, NULL, "sync", "--wait", "5", NULL), 60);
}

static void check_offline(const struct e2e_result *result)
{
    assert_int_equal(result->exit_code, E2E_FAILED);
    assert_string_equal(e2e_str(result->json, "result"), "offline");
}

/* The centre has committed and its answer is lost: the classic way to get everything
 * twice. */
HM_TEST(lost_reply_leads_to_no_double)
{
    struct e2e_commune commune = e2e_commune(HOUSEHOLDS);
    const struct hm_proxy_mode lossy = {.drop_reply = true, .always = true};
    struct hm_proxy_counters before;
    struct hm_proxy_counters after;
    const char *changes[NEW];
    const char *ids[NEW];

    e2e_pause(commune.a);
    for (int i = 0; i < NEW; i++) {
        ids[i] = add_numbered(commune.a, i);
        changes[i] = e2e_set(commune.a, ids[i], "phone", "0905123000");
    }
    before = hm_proxy_counters(commune.a->proxy);
    hm_proxy_set(commune.a->proxy, &lossy);
    check_offline(try_sync(commune.a));
    after = hm_proxy_counters(commune.a->proxy);
    e2e_step("%d replies lost, %d bytes", (int)(after.cuts - before.cuts),
             (int)after.swallowed);
    assert_true(after.cuts > before.cuts);

    e2e_step("the centre has them, the laptop doesn't know");
    assert_int_equal(e2e_household_count(commune.centre), HOUSEHOLDS + NEW);
    assert_true(e2e_int(e2e_ok(commune.a, "status", NULL), "unsent.changes") > 0);

    hm_proxy_set(commune.a->proxy, &good);
    (void)e2e_sync(commune.a);
    assert_int_equal(e2e_household_count(commune.centre), HOUSEHOLDS + NEW);
    assert_int_equal(e2e_int(e2e_ok(commune.a, "status", NULL), "unsent.changes"), 0);
    for (int i = 0; i < NEW; i++) {
        assert_int_equal(e2e_times_in_history(commune.centre, ids[i], changes[i]), 1);
    }
    e2e_check_digests(&commune);
    e2e_check_no_conflicts(&commune);
    e2e_finish();
}

/* One household over a link that breaks at this byte; it must arrive afterwards. */
static void cut_once(struct e2e_commune *commune, struct hm_proxy_mode mode, int number)
{
    json_int_t before = e2e_household_count(commune->centre);
    const char *id = add_numbered(commune->a, number);

    hm_proxy_reset(commune->a->proxy);
    hm_proxy_set(commune->a->proxy, &mode);
    (void)try_sync(commune->a); /* well or not: it may try again by itself */
    hm_proxy_set(commune->a->proxy, &good);
    (void)e2e_sync(commune->a);
    assert_int_equal(e2e_household_count(commune->centre), before + 1);
    e2e_check_field(commune->centre, id, "phone", "0905123456");
}

/* In the handshake, in the request's head, in its body, in the answer. */
HM_TEST(a_cut_at_any_byte_is_made_good)
{
    static const uint64_t at[] = {1, 100, 300, 500, 700, 900, 1200, 1600, 2500};
    struct e2e_commune commune = e2e_commune(HOUSEHOLDS);
    size_t step = e2e_long() ? 37 : 0;
    int number = 0;

    e2e_pause(commune.a);
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        e2e_step("cut at byte %u up, then at byte %u down", (unsigned)at[i],
                 (unsigned)at[i]);
        cut_once(&commune, (struct hm_proxy_mode){.cut_up = at[i]}, number++);
        cut_once(&commune, (struct hm_proxy_mode){.cut_down = at[i]}, number++);
    }
    for (uint64_t byte = 1; step > 0 && byte < 3000; byte += step) {
        cut_once(&commune, (struct hm_proxy_mode){.cut_up = byte}, number++);
        cut_once(&commune, (struct hm_proxy_mode){.cut_down = byte}, number++);
    }
    assert_true(hm_proxy_counters(commune.a->proxy).cuts > 0);
    e2e_check_digests(&commune);
    e2e_finish();
}

/* An impatient person presses twice. */
HM_TEST(two_syncs_at_once_send_once)
{
    struct e2e_commune commune = e2e_commune(HOUSEHOLDS);
    struct e2e_job *one;
    struct e2e_job *other;
    const char *change;
    const char *id;

    e2e_pause(commune.a);
    id = add_numbered(commune.a, 1);
    change = e2e_set(commune.a, id, "phone", "0905444444");
    one = e2e_begin(commune.a, NULL, "sync", "--wait", "30", NULL);
    other = e2e_begin(commune.a, NULL, "sync", "--wait", "30", NULL);
    assert_int_equal(e2e_end(one, 60)->exit_code, E2E_DONE);
    assert_int_equal(e2e_end(other, 60)->exit_code, E2E_DONE);
    assert_int_equal(e2e_household_count(commune.centre), HOUSEHOLDS + 1);
    assert_int_equal(e2e_times_in_history(commune.centre, id, change), 1);
    e2e_check_digests(&commune);
    e2e_finish();
}

/* No link is an ordinary answer, at once, and saving goes on. */
HM_TEST(no_link_is_said_and_saving_goes_on)
{
    struct e2e_commune commune = e2e_commune(HOUSEHOLDS);
    const struct e2e_result *result;
    const char *id;

    hm_proxy_set(commune.a->proxy, &(struct hm_proxy_mode){.down = true});
    result = e2e_end(e2e_begin(commune.a, NULL, "sync", NULL), 60);
    check_offline(result);
    assert_true(result->seconds < 10);
    id = add_numbered(commune.a, 1);
    assert_true(e2e_int(e2e_ok(commune.a, "status", NULL), "unsent.changes") >= 1);
    assert_string_not_equal(
        e2e_str(e2e_ok(commune.a, "status", NULL), "upstream.last_error"), "");
    hm_proxy_set(commune.a->proxy, &good);
    (void)e2e_sync(commune.a);
    e2e_check_field(commune.centre, id, "phone", "0905123456");
    e2e_finish();
}

/* A half-open link: connected, and silent for ever. The caller's time counts, saving
 * goes on meanwhile, and when the link works again so does sync. */
HM_TEST(a_silent_link_blocks_nobody)
{
    struct e2e_commune commune = e2e_commune(HOUSEHOLDS);
    const struct e2e_result *result;
    struct e2e_job *job;
    const char *id;

    e2e_pause(commune.a);
    (void)add_numbered(commune.a, 1);
    hm_proxy_set(commune.a->proxy, &(struct hm_proxy_mode){.stall = true});
    job = e2e_begin(commune.a, NULL, "sync", "--wait", "5", NULL);
    id = add_numbered(commune.a, 2);
    result = e2e_end(job, 60);
    assert_int_equal(result->exit_code, E2E_FAILED);
    assert_true(result->seconds < 15);
    hm_proxy_set(commune.a->proxy, &good);
    hm_proxy_reset(commune.a->proxy);
    (void)e2e_sync(commune.a);
    e2e_check_field(commune.centre, id, "phone", "0905123456");
    assert_int_equal(e2e_household_count(commune.centre), HOUSEHOLDS + 2);
    e2e_finish();
}

/* A village link: 40 kbit/s, 600 ms there and back. Slow is not broken. */
HM_TEST(a_slow_link_gets_it_through)
{
    struct e2e_commune commune = e2e_commune(HOUSEHOLDS);
    const char *id = NULL;

    e2e_pause(commune.a);
    for (int i = 0; i < NEW; i++) {
        id = add_numbered(commune.a, i);
    }
    hm_proxy_set(commune.a->proxy,
                 &(struct hm_proxy_mode){.bytes_per_s = 5000, .delay_ms = 300});
    hm_proxy_reset(commune.a->proxy);
    (void)e2e_sync(commune.a);
    e2e_check_field(commune.centre, id, "phone", "0905123456");
    e2e_check_digests(&commune);
    e2e_finish();
}
