#include <stdio.h>
#include <string.h>

#include "protocol/fact.h"
#include "protocol/pack.h"
#include "storage/accept.h"
#include "storage/log.h"
#include "storage/people.h"
#include "storage/rounds.h"
#include "tests/support/pen.h"

/* Each refusal on its whole way: written at a laptop, acknowledged and kept by the
 * centre, shown at both ends, out of the state at both ends, and nothing behind it is
 * held up. */

enum { ARENA_BYTES = 16 * 1024 * 1024 };

static struct hm_village v;
static struct hm_village_node *a;
static struct hm_save_result home; /* in hamlet 0 */
static struct hm_save_result far;  /* in hamlet 2 */

/* What the case writes: one cell, by default a phone of `home` that is in order. */
struct wish {
    struct hm_save save;
    struct hm_save_row row;
    struct hm_save_cell cell;
};

static struct hm_bytes packed(const char *text, uint64_t number)
{
    static uint8_t bytes[64];
    struct hm_bytes out;
    struct hm_buf buf;

    hm_buf_init(&buf, sizeof bytes);
    if (text != NULL) {
        hm_pack_str(&buf, hm_bytes_str(text));
    } else {
        hm_pack_uint(&buf, number);
    }
    memcpy(bytes, buf.data, buf.len);
    out = hm_bytes_of(bytes, buf.len);
    hm_buf_deinit(&buf);
    return out;
}

static void at_centre(int (*fn)(struct hm_store *s))
{
    CHECK_OK(hm_store_begin(v.centre.node.store));
    CHECK_OK(hm_store_end(v.centre.node.store, fn(v.centre.node.store)));
}

static void begin(void)
{
    hm_village_open(&v);
    home = hm_village_new(&v, &v.centre, 0, "Lan", 1);
    far = hm_village_new(&v, &v.centre, 2, "Minh", 0);
    a = hm_village_add(&v, "a", 5);
}

static int write_wish(struct wish *wish)
{
    struct hm_save_result out;
    struct hm_arena arena;
    int err;

    hm_arena_init(&arena, ARENA_BYTES);
    CHECK_OK(hm_store_begin(a->node.store));
    err = hm_save_run(a->node.store, &wish->save, hm_forms_policy_of, a->forms, &arena,
                      &out);
    assert_true(err != HM_OK || out.changed);
    err = hm_store_end(a->node.store, err);
    hm_arena_deinit(&arena);
    return err;
}

static void wish_for(struct wish *wish)
{
    *wish = (struct wish){
        .save = {.household = home.household, .scope = v.hamlets[0], .rank = 4},
        .row = {.form = v.form},
        .cell = {.field = v.phone, .value = packed("0905", 0)}};
    wish->row.cells = &wish->cell;
    wish->row.cell_count = 1;
    wish->save.rows = &wish->row;
    wish->save.row_count = 1;
}

struct expectation {
    int reason;
    const char *line;
    unsigned seen;
};

static int compare(void *arg, const struct hm_quarantine_entry *entry)
{
    struct expectation *e = arg;

    if (entry->reason != e->reason || strstr(entry->detail, e->line) == NULL) {
        fail_msg("%s: %s", hm_err_name(entry->reason), entry->detail);
    }
    assert_true(entry->dot.n > 0);
    e->seen++;
    return HM_OK;
}

static void assert_kept(struct hm_village_node *n, int reason, const char *line)
{
    struct expectation e = {reason, line, 0};

    CHECK_OK(hm_quarantine_each(n->node.store, compare, &e));
    assert_int_equal(e.seen, 1);
}

/* Write the wish, then something good, and see what becomes of both. */
static void expect(struct wish *wish, int reason, const char *line)
{
    struct hm_unsent unsent;
    struct hm_save_result good;

    CHECK_OK(write_wish(wish));
    good = hm_village_put(&v, a, &home.household, v.note, "good");
    assert_true(good.changed);
    hm_village_settle(&v);
    assert_kept(&v.centre, reason, line);
    assert_kept(a, reason, line);
    CHECK_OK(hm_log_unsent(a->node.store, v.centre.node.device, &unsent));
    assert_int_equal(unsent.changes, 0);
    assert_string_equal(hm_village_shows(&v, &v.centre, &home.household, v.note),
                        "good");
    assert_string_equal(hm_village_shows(&v, a, &home.household, v.phone), "");
    hm_village_check_equal(&v);
    hm_village_close(&v);
}

/* The wish of every test below is accepted as it is: it is what each test changes that
 * is refused. */
HM_TEST(the_plain_wish_is_accepted)
{
    struct wish wish;

    begin();
    wish_for(&wish);
    CHECK_OK(write_wish(&wish));
    hm_village_settle(&v);
    assert_int_equal(hm_village_quarantined(&v.centre), 0);
    assert_string_equal(hm_village_shows(&v, &v.centre, &home.household, v.phone),
                        "0905");
    hm_village_close(&v);
}

static uint32_t user_id;
static struct hm_user user;
static const char *user_role;
static uint64_t user_rights;

static int add_user(struct hm_store *s)
{
    struct hm_role role = {.code = user_role,
                           .rank = 4,
                           .title_vi = "",
                           .title_en = "",
                           .rights = user_rights};
    int err = hm_people_put_role(s, &role, &user.role);

    user.name = "lan";
    user.full_name = "";
    user.active = true;
    return err == HM_OK ? hm_people_add_user(s, &user, &user_id) : err;
}

static int disable_user(struct hm_store *s)
{
    return hm_people_disable_user(s, user_id);
}

static void make_user(const char *role, uint64_t rights, uint32_t unit)
{
    user_role = role;
    user_rights = rights;
    user.unit = unit;
    at_centre(add_user);
}

/* A user who may write is accepted while active, and refused when disabled: what was
 * written before is welcome afterwards. */
HM_TEST(a_disabled_user)
{
    struct wish wish;

    begin();
    make_user("clerk", HM_RIGHT_HOUSEHOLD_WRITE, v.hamlets[0]);
    wish_for(&wish);
    wish.save.user = user_id;
    CHECK_OK(write_wish(&wish));
    hm_village_settle(&v);
    assert_int_equal(hm_village_quarantined(&v.centre), 0);
    (void)hm_village_put(&v, a, &home.household, v.phone, "");
    wish.cell.field = v.name;
    wish.cell.value = packed("before", 0);
    CHECK_OK(write_wish(&wish));
    v.centre.node.now_ms += 60000;
    a->node.now_ms += 60000;
    at_centre(disable_user);
    at_centre(disable_user); /* the second time nothing happens */
    hm_village_settle(&v);
    assert_int_equal(hm_village_quarantined(&v.centre), 0);
    assert_string_equal(hm_village_shows(&v, &v.centre, &home.household, v.name),
                        "before");
    a->node.now_ms += 1;
    wish.cell.field = v.phone;
    wish.cell.value = packed("0906", 0);
    expect(&wish, HM_DENIED, "user lan had been disabled when this was written");
}

HM_TEST(an_unknown_user)
{
    struct wish wish;

    begin();
    wish_for(&wish);
    wish.save.user = 999;
    expect(&wish, HM_DENIED, "user 999 is not known here");
}

HM_TEST(a_user_who_may_only_read)
{
    struct wish wish;

    begin();
    make_user("viewer", HM_RIGHT_HOUSEHOLD_READ, v.hamlets[0]);
    wish_for(&wish);
    wish.save.user = user_id;
    expect(&wish, HM_DENIED, "role viewer may not write households");
}

HM_TEST(a_user_of_another_hamlet)
{
    struct wish wish;

    begin();
    make_user("clerk", HM_RIGHT_HOUSEHOLD_WRITE, v.hamlets[1]);
    wish_for(&wish);
    wish.save.user = user_id;
    expect(&wish, HM_DENIED, "does not work in hamlet 19885001");
}

/* A rank decides which value is shown, so nobody may claim a higher one. */
HM_TEST(a_rank_too_high)
{
    struct wish wish;

    begin();
    wish_for(&wish);
    wish.save.rank = 5;
    expect(&wish, HM_DENIED, "claims rank 5, role enumerator has 4");
}

HM_TEST(a_scope_that_is_not_assigned)
{
    struct wish wish;

    begin();
    wish_for(&wish);
    wish.save.scope = v.hamlets[1];
    expect(&wish, HM_DENIED, "is not assigned hamlet 19885002");
}

HM_TEST(a_scope_that_is_no_unit)
{
    struct wish wish;

    begin();
    wish_for(&wish);
    wish.save.scope = 4444;
    expect(&wish, HM_DENIED, "is not assigned hamlet (unknown)");
}

/* A change may not reach a household elsewhere by naming a hamlet of its own: here its
 * laptop once saw one that it may not write to, by way of another laptop's disk. */
HM_TEST(a_household_of_another_hamlet)
{
    struct hm_household seen;
    struct hm_arena arena;
    struct wish wish;

    begin();
    far = hm_village_new(&v, &v.centre, 1, "Minh", 0); /* laptop a: hamlets 0 and 2 */
    hm_arena_init(&arena, ARENA_BYTES);
    CHECK_OK(hm_households_load(v.centre.node.store, &far.household, &arena, &seen));
    CHECK_OK(hm_store_begin(a->node.store));
    CHECK_OK(
        hm_store_end(a->node.store, hm_households_store(a->node.store, &seen,
                                                        hm_forms_policy_of, a->forms)));
    hm_arena_deinit(&arena);
    wish_for(&wish);
    wish.save.household = far.household;
    expect(&wish, HM_DENIED, "the household lives in hamlet 19885002");
}

HM_TEST(an_unknown_form)
{
    struct wish wish;

    begin();
    wish_for(&wish);
    wish.row.form = 77;
    expect(&wish, HM_NOTFOUND, "form 77 is not known here");
}

HM_TEST(an_unknown_field)
{
    struct wish wish;

    begin();
    wish_for(&wish);
    wish.cell.field = 5000;
    expect(&wish, HM_NOTFOUND, "form f has no field 5000");
}

/* A member's field in the root row is as unknown as one that nobody has. */
HM_TEST(a_field_of_another_row)
{
    struct wish wish;

    begin();
    wish_for(&wish);
    wish.cell.field = v.member_name;
    expect(&wish, HM_NOTFOUND, "form f has no field");
}

HM_TEST(an_unknown_repeat)
{
    struct wish wish;

    begin();
    wish_for(&wish);
    wish.row.repeat = 888;
    expect(&wish, HM_NOTFOUND, "form f has no repeat 888");
}

HM_TEST(a_field_that_is_no_repeat)
{
    struct wish wish;

    begin();
    wish_for(&wish);
    wish.row.repeat = v.phone;
    expect(&wish, HM_NOTFOUND, "form f has no repeat");
}

HM_TEST(a_reserved_field)
{
    struct wish wish;

    begin();
    wish_for(&wish);
    wish.cell.field = 7;
    expect(&wish, HM_NOTFOUND, "form f has no field 7");
}

HM_TEST(a_value_of_the_wrong_type)
{
    struct wish wish;

    begin();
    wish_for(&wish);
    wish.row.repeat = v.members;
    wish.cell.field = v.birth_year;
    wish.cell.value = packed("young", 0);
    expect(&wish, HM_INVALID, "");
}

HM_TEST(a_round_of_a_form_without_rounds)
{
    struct wish wish;

    begin();
    wish_for(&wish);
    wish.row.round = 1;
    expect(&wish, HM_INVALID, "form f is not filled in rounds");
}

static void expect_fact(uint32_t field, struct hm_bytes target, int verdict,
                        const char *detail)
{
    struct hm_household none = {.vv_count = 0};
    struct hm_buf buf;
    struct wish wish;

    begin();
    wish_for(&wish);
    wish.row.form = HM_FORM_HOUSEHOLD;
    wish.cell.field = field;
    hm_buf_init(&buf, 1000);
    hm_fact_encode(target, &none, &buf);
    wish.cell.value = hm_buf_bytes(&buf);
    CHECK_OK(write_wish(&wish));
    hm_village_settle(&v);
    assert_kept(&v.centre, verdict, detail);
    assert_kept(a, verdict, detail);
    hm_buf_deinit(&buf);
    hm_village_close(&v);
}

HM_TEST(a_household_moves_to_no_unknown_place)
{
    expect_fact(HM_FIELD_SCOPE, hm_bytes_of("\xcd\xff\xff", 3), HM_NOTFOUND,
                "it moves to unit 65535, no hamlet known here");
}

HM_TEST(a_field_that_no_household_has)
{
    expect_fact(15, hm_bytes_of("\1", 1), HM_INVALID, "no fact about a household");
}

HM_TEST(a_fact_has_its_shape)
{
    struct wish wish;

    begin();
    wish_for(&wish);
    wish.row.form = HM_FORM_HOUSEHOLD;
    wish.cell.field = HM_FIELD_SCOPE;
    wish.cell.value = packed(NULL, v.hamlets[2]);
    expect(&wish, HM_INVALID, "no fact about a household");
}

HM_TEST(a_household_has_one_own_row)
{
    struct wish wish;

    begin();
    wish_for(&wish);
    wish.row.form = HM_FORM_HOUSEHOLD;
    wish.row.round = 1;
    wish.cell.field = HM_FIELD_SCOPE;
    wish.cell.value = hm_bytes_of("\x92\1\x90", 3);
    expect(&wish, HM_INVALID, "one row of its own");
}

static uint32_t second_form;
static struct hm_form_item second;

static int publish_second(struct hm_store *s)
{
    struct hm_form_item form;
    struct hm_arena arena;
    int err;

    hm_arena_init(&arena, ARENA_BYTES);
    err = hm_forms_get(s, v.form, &arena, &form);
    if (err == HM_OK) {
        memcpy(second.xform, form.xform, sizeof second.xform);
        memcpy(second.table, form.table, sizeof second.table);
        err = hm_forms_put(s, &second, &second_form);
    }
    hm_arena_deinit(&arena);
    return err;
}

HM_TEST(a_form_that_the_role_may_not_write)
{
    static const char *const admins[] = {"admin"};
    struct wish wish;

    begin();
    second = (struct hm_form_item){.form_id = "decision",
                                   .version = "1",
                                   .title = "Decision",
                                   .fill = HM_FORM_FILL_ONCE,
                                   .write = admins,
                                   .write_count = 1};
    at_centre(publish_second);
    wish_for(&wish);
    wish.row.form = second_form;
    expect(&wish, HM_DENIED, "role enumerator may not write form decision");
}

static void publish_rounds(void)
{
    second = (struct hm_form_item){.form_id = "review",
                                   .version = "1",
                                   .title = "Review",
                                   .fill = HM_FORM_FILL_PER_ROUND};
    at_centre(publish_second);
}

HM_TEST(an_unknown_round)
{
    struct wish wish;

    begin();
    publish_rounds();
    wish_for(&wish);
    wish.row.form = second_form;
    wish.row.round = 9;
    expect(&wish, HM_NOTFOUND, "round 9 is not known here");
}

HM_TEST(no_round_for_a_form_with_rounds)
{
    struct wish wish;

    begin();
    publish_rounds();
    wish_for(&wish);
    wish.row.form = second_form;
    expect(&wish, HM_INVALID, "form review is filled in rounds");
}

/* A new household that is refused leaves no values anywhere, and no difference. */
HM_TEST(a_refused_creation)
{
    struct wish wish;

    begin();
    wish_for(&wish);
    wish.save.creates = true;
    wish.save.household = (struct hm_household_id){0};
    wish.cell.field = 5000;
    expect(&wish, HM_NOTFOUND, "form f has no field 5000");
}

/* The reply with the notice gets lost: the next one tells it. */
HM_TEST(a_refusal_survives_a_lost_reply)
{
    struct wish wish;

    begin();
    wish_for(&wish);
    wish.cell.field = 5000;
    CHECK_OK(write_wish(&wish));
    (void)hm_village_exchange(&v, a, true, NULL);
    hm_village_settle(&v);
    assert_kept(&v.centre, HM_NOTFOUND, "5000");
    assert_kept(a, HM_NOTFOUND, "5000");
    hm_village_check_equal(&v);
    hm_village_close(&v);
}

/* A removal's value is written by whoever; whatever stands there must break nothing. */
HM_TEST(a_strange_status_breaks_nothing)
{
    struct wish wish;

    begin();
    wish_for(&wish);
    wish.row.repeat = v.members;
    wish.row.item = home.items[0];
    wish.cell.field = HM_FIELD_STATUS;
    wish.cell.value = packed("gone", 0);
    CHECK_OK(write_wish(&wish));
    hm_village_settle(&v);
    hm_village_check_equal(&v);
    hm_village_close(&v);
}

static int revoke(struct hm_store *s)
{
    return hm_devices_revoke(s, a->node.device);
}

/* What another way brings of a revoked laptop is kept apart, entry by entry, and its
 * log goes on: a clock that was never compared is not believed. */
HM_TEST(a_revoked_device)
{
    struct hm_accept accept;
    struct hm_arena arena;
    struct hm_pen pen;
    uint64_t incarnation;
    uint64_t entries;

    begin();
    v.centre.node.now_ms += 60000; /* by that clock, the pen writes before */
    at_centre(revoke);
    hm_pen_open(&pen, &v, a, 0xabc1);
    hm_pen_write(&pen, &home.household, v.phone, "1");
    hm_arena_init(&arena, ARENA_BYTES);
    CHECK_OK(hm_store_begin(v.centre.node.store));
    CHECK_OK(hm_accept_init(&accept, v.centre.node.store, v.centre.forms, 0, &arena));
    CHECK_OK(
        hm_accept_segment(&accept, hm_pen_seal(&pen, 0, 2), &incarnation, &entries));
    CHECK_OK(hm_store_end(v.centre.node.store, HM_OK));
    assert_int_equal(entries, 2);
    assert_kept(&v.centre, HM_REVOKED, "device a had been revoked");
    assert_string_equal(hm_village_shows(&v, &v.centre, &home.household, v.phone), "");
    hm_arena_deinit(&arena);
    hm_pen_close(&pen);
    hm_village_close(&v);
}
