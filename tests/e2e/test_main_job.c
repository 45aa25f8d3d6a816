/* The main job: two laptops without a link work on the same households, meet the centre
 * later, and nothing that anybody recorded is lost or asked for twice. */
#include <stdio.h>
#include <string.h>

#include "tests/support/e2e_data.h"
#include "tests/support/test.h"

enum { HOUSEHOLDS = 300 };

/* --- different fields and members --- */

/* One household of the shared hamlet and what each side wrote into it. */
struct shared {
    const char *id;
    const char *member_a; /* items of the members that a and b edited */
    const char *member_b;
};

static struct shared pick_shared(struct e2e_node *node, const char *id)
{
    const json_t *shown = e2e_show(node, id);

    return (struct shared){.id = id,
                           .member_a = e2e_str(e2e_member_row(shown, 0), "item"),
                           .member_b = e2e_str(e2e_member_row(shown, 1), "item")};
}

/* Households with at least two members, as many as wanted, from the shared hamlet. */
static size_t pick_all(struct e2e_node *node, struct shared *picked, size_t wanted)
{
    json_t *ids = e2e_households(node, E2E_HAMLET_BOTH);
    size_t count = 0;

    for (size_t i = 0; i < json_array_size(ids) && count < wanted; i++) {
        const json_t *shown = e2e_show(node, e2e_id_at(ids, i));
        size_t members = 0;
        json_t *row;
        size_t at;

        json_array_foreach(e2e_get(shown, "rows"), at, row)
        {
            members += json_is_string(json_object_get(row, "item")) ? 1 : 0;
        }
        if (members >= 2) {
            picked[count++] = pick_shared(node, e2e_id_at(ids, i));
        }
    }
    assert_int_equal(count, wanted);
    return count;
}

static void edit_as_a(struct e2e_node *a, const struct shared *picked, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char phone[16];

        (void)snprintf(phone, sizeof phone, "09051%05u", (unsigned)i);
        (void)e2e_set(a, picked[i].id, "phone", phone);
        (void)e2e_set_member_year(a, picked[i].id, picked[i].member_a, 1901 + (int)i);
    }
}

static void edit_as_b(struct e2e_node *b, const struct shared *picked, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char address[64];

        (void)snprintf(address, sizeof address, "xóm %zu, thôn Đông Lâm", i);
        (void)e2e_set(b, picked[i].id, "address", address);
        (void)e2e_set_member_year(b, picked[i].id, picked[i].member_b, 1951 + (int)i);
    }
}

static void check_both_sides(struct e2e_node *node, const struct shared *picked,
                             size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char phone[16];
        char address[64];

        (void)snprintf(phone, sizeof phone, "09051%05u", (unsigned)i);
        (void)snprintf(address, sizeof address, "xóm %zu, thôn Đông Lâm", i);
        e2e_check_field(node, picked[i].id, "phone", phone);
        e2e_check_field(node, picked[i].id, "address", address);
        e2e_check_member_year(node, picked[i].id, picked[i].member_a, 1901 + (int)i);
        e2e_check_member_year(node, picked[i].id, picked[i].member_b, 1951 + (int)i);
    }
}

/* Two people improve the same families, each something else: the machine puts it
 * together and nobody is asked. */
HM_TEST(different_answers_meet_without_a_question)
{
    struct e2e_commune commune = e2e_commune(HOUSEHOLDS);
    struct shared picked[10];
    size_t count = pick_all(commune.a, picked, sizeof picked / sizeof *picked);
    const char *own_a = e2e_id_at(e2e_households(commune.a, E2E_HAMLET_A), 0);
    const char *own_b = e2e_id_at(e2e_households(commune.b, E2E_HAMLET_B), 0);
    const char *new_a;
    const char *new_b;

    e2e_step("no link: both edit %zu shared households, one own, one new", count);
    e2e_pause(commune.a);
    e2e_pause(commune.b);
    edit_as_a(commune.a, picked, count);
    edit_as_b(commune.b, picked, count);
    (void)e2e_set(commune.a, own_a, "phone", "0911111111");
    (void)e2e_set(commune.b, own_b, "phone", "0922222222");
    new_a = e2e_add(commune.a, E2E_HAMLET_BOTH, "Hồ Thị Mới", 3);
    new_b = e2e_add(commune.b, E2E_HAMLET_BOTH, "Đặng Văn Mới", 2);

    e2e_step("the link is back");
    e2e_resume(commune.a);
    e2e_resume(commune.b);
    e2e_sync_all(&commune);

    e2e_step("everything of both is everywhere, and nobody is asked");
    e2e_check_no_conflicts(&commune);
    check_both_sides(commune.centre, picked, count);
    check_both_sides(commune.a, picked, count);
    check_both_sides(commune.b, picked, count);
    e2e_check_field(commune.centre, own_a, "phone", "0911111111");
    e2e_check_field(commune.centre, own_b, "phone", "0922222222");
    e2e_check_field(commune.b, new_a, "head_name", "Hồ Thị Mới");
    e2e_check_field(commune.a, new_b, "head_name", "Đặng Văn Mới");
    assert_int_equal(e2e_household_count(commune.centre), HOUSEHOLDS + 2);
    e2e_check_digests(&commune);
    e2e_finish();
}

/* --- the same field --- */

enum { CLASHES = 3 };

enum order { A_FIRST, B_FIRST, INTERLEAVED };

static void sync_in_order(const struct e2e_commune *commune, enum order order)
{
    struct e2e_node *first = order == B_FIRST ? commune->b : commune->a;
    struct e2e_node *second = order == B_FIRST ? commune->a : commune->b;

    if (order == INTERLEAVED) {
        struct e2e_job *one = e2e_begin(first, NULL, "sync", NULL);
        struct e2e_job *other = e2e_begin(second, NULL, "sync", NULL);

        assert_int_equal(e2e_end(one, E2E_CLI_S)->exit_code, E2E_DONE);
        assert_int_equal(e2e_end(other, E2E_CLI_S)->exit_code, E2E_DONE);
    }
    (void)e2e_sync(first);
    (void)e2e_sync(second);
    (void)e2e_sync(first);
}

/* The list's entry for a household; fails unless there is exactly one. */
static const json_t *conflict_of(struct e2e_node *node, const char *household)
{
    const json_t *list = e2e_ok(node, "conflict", "list", NULL);
    const json_t *found = NULL;
    unsigned count = 0;
    json_t *entry;
    size_t at;

    json_array_foreach(list, at, entry)
    {
        if (strcmp(e2e_str(entry, "household"), household) == 0) {
            found = entry;
            count++;
        }
    }
    if (count != 1) {
        e2e_fail("%u conflicts of %s at %s: %s", count, household, node->name,
                 e2e_text(list));
    }
    return found;
}

/* The value written by a laptop's operator, or NULL. */
static const json_t *value_by(const json_t *conflict, const char *who)
{
    json_t *value;
    size_t at;

    json_array_foreach(e2e_get(conflict, "values"), at, value)
    {
        if (strcmp(e2e_str(value, "who"), who) == 0) {
            return value;
        }
    }
    return NULL;
}

static void check_value(const json_t *conflict, const char *who, const char *value)
{
    const json_t *entry = value_by(conflict, who);

    if (entry == NULL) {
        e2e_fail("nothing by %s in %s", who, e2e_text(conflict));
    }
    assert_string_equal(e2e_str(entry, "value"), value);
    assert_string_not_equal(e2e_str(entry, "device"), "");
    assert_string_not_equal(e2e_str(entry, "when"), "");
    assert_string_not_equal(e2e_str(entry, "dot"), "");
    assert_true(e2e_int(entry, "n") >= 1);
}

/* Who, where, when and which device, the same question at every node. */
static void check_conflict(struct e2e_node *node, const char *household)
{
    const json_t *conflict = conflict_of(node, household);

    assert_string_equal(e2e_str(conflict, "scope"), E2E_HAMLET_BOTH);
    assert_string_equal(e2e_str(conflict, "form"), "register");
    assert_string_equal(e2e_str(conflict, "field"), "phone");
    assert_int_equal(e2e_count(conflict, "values"), 2);
    check_value(conflict, "operator@a", "0901000001");
    check_value(conflict, "operator@b", "0902000002");
    assert_string_not_equal(e2e_str(value_by(conflict, "operator@a"), "device"),
                            e2e_str(value_by(conflict, "operator@b"), "device"));
}

/* Decides for what this operator wrote. */
static void resolve_for(struct e2e_node *node, const char *household, const char *who)
{
    const json_t *conflict = conflict_of(node, household);
    char n[24];

    (void)snprintf(n, sizeof n, "%d", (int)e2e_int(value_by(conflict, who), "n"));
    (void)e2e_ok(node, "conflict", "resolve", household, "--cell",
                 e2e_str(conflict, "cell"), "--take", n, NULL);
}

static void clash(const struct e2e_commune *commune, const json_t *ids)
{
    e2e_pause(commune->a);
    e2e_pause(commune->b);
    for (size_t i = 0; i < CLASHES; i++) {
        (void)e2e_set(commune->a, e2e_id_at(ids, i), "phone", "0901000001");
        (void)e2e_set(commune->b, e2e_id_at(ids, i), "phone", "0902000002");
    }
}

static void check_asked_everywhere(const struct e2e_commune *commune, const json_t *ids)
{
    struct e2e_node *const nodes[] = {commune->centre, commune->a, commune->b};

    for (size_t n = 0; n < 3; n++) {
        assert_int_equal(e2e_count(e2e_ok(nodes[n], "conflict", "list", NULL), ""),
                         CLASHES);
        assert_int_equal(e2e_int(e2e_ok(nodes[n], "status", NULL), "conflicts"),
                         CLASHES);
        for (size_t i = 0; i < CLASHES; i++) {
            check_conflict(nodes[n], e2e_id_at(ids, i));
        }
    }
}

static void check_decided(struct e2e_node *node, const json_t *ids)
{
    e2e_check_field(node, e2e_id_at(ids, 0), "phone", "0902000002");
    e2e_check_field(node, e2e_id_at(ids, 1), "phone", "0901000001");
    e2e_check_field(node, e2e_id_at(ids, 2), "phone", "0903000003");
}

static void clash_and_decide(enum order clash_order, enum order decide_order)
{
    struct e2e_commune commune = e2e_commune(HOUSEHOLDS);
    json_t *ids = e2e_households(commune.a, E2E_HAMLET_BOTH);
    const char *cell;

    e2e_step("no link: both write another phone number for %d households", CLASHES);
    clash(&commune, ids);
    sync_in_order(&commune, clash_order);
    e2e_step("one question each, at both laptops and at the centre");
    check_asked_everywhere(&commune, ids);
    e2e_check_digests(&commune);

    e2e_step("decided at a, at b, and at the centre with a third value");
    resolve_for(commune.a, e2e_id_at(ids, 0), "operator@b");
    resolve_for(commune.b, e2e_id_at(ids, 1), "operator@a");
    cell = e2e_str(conflict_of(commune.centre, e2e_id_at(ids, 2)), "cell");
    (void)e2e_ok(commune.centre, "conflict", "resolve", e2e_id_at(ids, 2), "--cell",
                 cell, "--value", "0903000003", NULL);
    sync_in_order(&commune, decide_order);

    e2e_step("the same answer everywhere, and no question is left");
    e2e_check_no_conflicts(&commune);
    check_decided(commune.centre, ids);
    check_decided(commune.a, ids);
    check_decided(commune.b, ids);
    e2e_check_digests(&commune);
    e2e_finish();
}

/* Whoever comes first to the centre: the loser of a race must not lose its answer. */
HM_TEST(same_field_asks_once_when_a_syncs_first)
{
    clash_and_decide(A_FIRST, B_FIRST);
}

HM_TEST(same_field_asks_once_when_b_syncs_first)
{
    clash_and_decide(B_FIRST, A_FIRST);
}

HM_TEST(same_field_asks_once_when_both_sync_at_once)
{
    clash_and_decide(INTERLEAVED, INTERLEAVED);
}

/* Two people say the same: there is nothing to decide. */
HM_TEST(equal_answers_are_no_question)
{
    struct e2e_commune commune = e2e_commune(HOUSEHOLDS);
    const char *id = e2e_id_at(e2e_households(commune.a, E2E_HAMLET_BOTH), 0);

    e2e_pause(commune.a);
    e2e_pause(commune.b);
    (void)e2e_set(commune.a, id, "phone", "0905777777");
    (void)e2e_set(commune.b, id, "phone", "0905777777");
    e2e_sync_all(&commune);
    e2e_check_no_conflicts(&commune);
    e2e_check_field(commune.centre, id, "phone", "0905777777");
    e2e_check_digests(&commune);
    e2e_finish();
}

/* Both decide the same question without a link, differently: that is a question again,
 * not a silent winner. */
HM_TEST(two_decisions_are_a_question_again)
{
    struct e2e_commune commune = e2e_commune(HOUSEHOLDS);
    json_t *ids = e2e_households(commune.a, E2E_HAMLET_BOTH);

    clash(&commune, ids);
    sync_in_order(&commune, A_FIRST);
    e2e_step("a decides for a, b decides for b");
    resolve_for(commune.a, e2e_id_at(ids, 0), "operator@a");
    resolve_for(commune.b, e2e_id_at(ids, 0), "operator@b");
    sync_in_order(&commune, B_FIRST);
    check_conflict(commune.centre, e2e_id_at(ids, 0));
    check_conflict(commune.a, e2e_id_at(ids, 0));
    check_conflict(commune.b, e2e_id_at(ids, 0));
    e2e_check_digests(&commune);
    e2e_finish();
}
