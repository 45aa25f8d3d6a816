/* Bad days of docs/bad-days.md that have no file of their own: clocks, old
 * versions, a change that nobody takes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/child.h"
#include "tests/support/e2e_clock.h"
#include "tests/support/e2e_data.h"
#include "tests/support/test.h"

enum { HOUSEHOLDS = 30, MONTHS_OF_WORK = 12 };

#define YEAR_MS (365 * INT64_C(86400000))

static void restart(struct e2e_node *node)
{
    e2e_stop(node);
    e2e_start(node);
}

/* --- clocks --- */

/* What the node shows of the one conflict of a household: the entry that who wrote. */
static const json_t *value_of(struct e2e_node *node, const char *household,
                              const char *who)
{
    const json_t *list = e2e_ok(node, "conflict", "list", NULL);
    const json_t *values;
    const json_t *entry;
    size_t at;

    assert_int_equal(e2e_count(list, ""), 1);
    assert_string_equal(e2e_str(list, "0.household"), household);
    values = e2e_get(list, "0.values");
    json_array_foreach(values, at, entry)
    {
        if (strcmp(e2e_str(entry, "who"), who) == 0) {
            return entry;
        }
    }
    e2e_fail("no value of %s in %s", who, e2e_text(list));
}

static void resolve_for(struct e2e_node *node, const char *household, const char *who)
{
    const char *cell = e2e_str(e2e_ok(node, "conflict", "list", NULL), "0.cell");
    const json_t *value = value_of(node, household, who);
    char n[24];

    (void)snprintf(n, sizeof n, "%d", (int)e2e_int(value, "n"));
    (void)e2e_ok(node, "conflict", "resolve", household, "--cell", cell, "--take", n,
                 NULL);
}

/* A battery is dead, so that one laptop believes in 1970; another is ten years ahead.
 * Neither wins by it, and nobody is kept out by a certificate's date. */
HM_TEST(clocks_in_1970_and_ten_years_ahead)
{
    struct e2e_commune commune = e2e_commune(HOUSEHOLDS);
    const char *id = e2e_id_at(e2e_households(commune.a, E2E_HAMLET_BOTH), 0);
    const char *new_id;

    if (!e2e_clock_can()) {
        e2e_step("no libfaketime here, or a sanitizer");
        e2e_finish();
        return;
    }
    e2e_clock_give(commune.a);
    e2e_clock_give(commune.b);
    e2e_clock_set(commune.a, "-20700d");
    e2e_clock_set(commune.b, "+3650d");
    restart(commune.a);
    restart(commune.b);
    e2e_pause(commune.a);
    e2e_pause(commune.b);
    new_id = e2e_add(commune.a, E2E_HAMLET_A, "Hồ Văn Xưa", 3);
    (void)e2e_set(commune.a, id, "phone", "0901000001");
    (void)e2e_set(commune.b, id, "phone", "0902000002");
    e2e_sync_all(&commune);

    e2e_step("both answers are there, as a question");
    assert_true(e2e_int(e2e_ok(commune.a, "status", NULL), "clock_offset_ms") >
                YEAR_MS);
    assert_true(e2e_int(e2e_ok(commune.b, "status", NULL), "clock_offset_ms") <
                -YEAR_MS);
    assert_string_equal(e2e_str(value_of(commune.centre, id, "operator@a"), "value"),
                        "0901000001");
    assert_string_equal(e2e_str(value_of(commune.centre, id, "operator@b"), "value"),
                        "0902000002");
    e2e_check_field(commune.centre, new_id, "phone", "0905123456");
    e2e_check_digests(&commune);

    e2e_step("decided on the laptop in 1970, against the one in the future");
    resolve_for(commune.a, id, "operator@a");
    e2e_sync_all(&commune);
    e2e_check_field(commune.b, id, "phone", "0901000001");
    e2e_check_field(commune.centre, id, "phone", "0901000001");
    e2e_check_no_conflicts(&commune);
    e2e_check_digests(&commune);
    e2e_finish();
}

/* Somebody sets the clock right in the middle of an interview, and wrong again: what
 * was said last stands. */
HM_TEST(the_clock_changes_during_an_interview)
{
    static const char *const steps[] = {"+400d", "-20700d", "+0", "-3d"};
    struct e2e_commune commune = e2e_commune(HOUSEHOLDS);
    const char *changes[4];
    char phone[16] = "";
    const char *id;

    if (!e2e_clock_can()) {
        e2e_step("no libfaketime here, or a sanitizer");
        e2e_finish();
        return;
    }
    e2e_clock_give(commune.a);
    restart(commune.a);
    e2e_pause(commune.a);
    id = e2e_add(commune.a, E2E_HAMLET_BOTH, "Lê Thị Giờ", 4);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        e2e_clock_set(commune.a, steps[i]);
        (void)snprintf(phone, sizeof phone, "090700000%u", (unsigned)i);
        changes[i] = e2e_set(commune.a, id, "phone", phone);
        if (i == 1) {
            restart(commune.a); /* the battery fell out */
        }
    }
    e2e_sync_all(&commune);
    e2e_check_field(commune.centre, id, "phone", phone);
    e2e_check_field(commune.b, id, "phone", phone);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        assert_int_equal(e2e_times_in_history(commune.centre, id, changes[i]), 1);
    }
    e2e_check_no_conflicts(&commune);
    e2e_check_digests(&commune);
    e2e_finish();
}

/* --- an old version --- */

/* text with its first what replaced; owned by the harness. */
static const char *replaced(const char *text, const char *what, const char *with)
{
    const char *at = strstr(text, what);

    assert_non_null(at);
    return json_string_value(e2e_keep(
        json_sprintf("%.*s%s%s", (int)(at - text), text, with, at + strlen(what))));
}

/* The register with one question more. */
static const char *next_register(void)
{
    const char *shipped = json_string_value(e2e_keep(
        json_sprintf("%s/vn-poverty/forms/register.xml", getenv("HM_PROGRAMMES"))));
    const char *text = e2e_read_file(shipped);
    const char *path = e2e_path("register.xml");

    text = replaced(text, "version=\"2026112301\"", "version=\"2027022301\"");
    text = replaced(text, "<note/>", "<note/><house_gps_note/>");
    text = replaced(text, "<bind nodeset=\"/data/note\"",
                    "<bind nodeset=\"/data/house_gps_note\" type=\"string\"/>"
                    "<bind nodeset=\"/data/note\"");
    text =
        replaced(text, "<input ref=\"/data/note\"",
                 "<input ref=\"/data/house_gps_note\"><label>Đường vào</label></input>"
                 "<input ref=\"/data/note\"");
    e2e_write_file(path, text);
    return path;
}

/* Three months in the mountains with the form of then. Meanwhile the centre asks one
 * question more, and others have answered it. */
HM_TEST(an_old_version_after_three_months_away)
{
    struct e2e_commune commune = e2e_commune(HOUSEHOLDS);
    const char *id = e2e_id_at(e2e_households(commune.a, E2E_HAMLET_BOTH), 0);
    const char *ids[MONTHS_OF_WORK];

    e2e_pause(commune.a);
    if (e2e_clock_can()) {
        e2e_clock_give(commune.a);
        restart(commune.a);
    }
    (void)e2e_ok(commune.centre, "form", "publish", next_register(), NULL);
    (void)e2e_sync(commune.b);
    (void)e2e_set(commune.b, id, "house_gps_note", "qua cầu treo");
    (void)e2e_sync(commune.b);

    for (int i = 0; i < MONTHS_OF_WORK; i++) {
        if (e2e_clock_can()) {
            char offset[16];

            (void)snprintf(offset, sizeof offset, "+%dd",
                           (i + 1) * 92 / MONTHS_OF_WORK);
            e2e_clock_set(commune.a, offset);
        }
        ids[i] = e2e_add(commune.a, E2E_HAMLET_A, "Rah Lan H'Blú", 2);
    }
    (void)e2e_set(commune.a, id, "note", "mái dột");
    e2e_step("back after 92 days");
    e2e_sync_all(&commune);
    for (int i = 0; i < MONTHS_OF_WORK; i++) {
        e2e_check_field(commune.centre, ids[i], "head_name", "Rah Lan H'Blú");
    }
    e2e_check_field(commune.centre, id, "note", "mái dột");
    e2e_check_field(commune.centre, id, "house_gps_note", "qua cầu treo");
    e2e_check_field(commune.a, id, "house_gps_note", "qua cầu treo");
    (void)e2e_set(commune.a, id, "house_gps_note", "qua đập tràn");
    e2e_sync_all(&commune);
    e2e_check_field(commune.b, id, "house_gps_note", "qua đập tràn");
    e2e_check_no_conflicts(&commune);
    e2e_check_digests(&commune);
    e2e_finish();
}

/* --- a change that nobody takes --- */

/* The first change of the queue is refused, as its author's account has ended. What
 * lies behind it goes through, also what was written on top of it. */
HM_TEST(a_poison_change_is_first_in_the_queue)
{
    struct e2e_commune commune = e2e_commune(HOUSEHOLDS);
    const char *id = e2e_id_at(e2e_households(commune.a, E2E_HAMLET_A), 0);
    const char *new_id;
    const char *poison;
    const json_t *held;

    assert_int_equal(e2e_cli_input(commune.centre, "đồng xanh ngày mưa\n", "user",
                                   "add", "lan", "--role", "enumerator", "--unit",
                                   "19885", NULL)
                         ->exit_code,
                     E2E_DONE);
    (void)e2e_sync(commune.a);
    e2e_pause(commune.a);
    (void)e2e_ok(commune.centre, "user", "disable", "lan", NULL);
    poison = e2e_str(e2e_ok_input(commune.a, e2e_field_save(id, "phone", "0907000001"),
                                  "--as", "lan", "household", "put", NULL),
                     "change");
    (void)e2e_set(commune.a, id, "note", "sau đó");
    new_id = e2e_add(commune.a, E2E_HAMLET_A, "Phạm Văn Sau", 3);
    e2e_resume(commune.a);
    (void)e2e_sync(commune.a);

    held = e2e_ok(commune.centre, "quarantine", "list", NULL);
    assert_int_equal(e2e_count(held, ""), 1);
    assert_string_equal(e2e_str(held, "0.id"), poison);
    assert_string_equal(e2e_str(e2e_ok(commune.a, "quarantine", "list", NULL), "0.id"),
                        poison);
    assert_int_equal(e2e_int(e2e_ok(commune.a, "status", NULL), "unsent.changes"), 0);
    e2e_check_field(commune.centre, id, "note", "sau đó");
    e2e_check_field(commune.centre, new_id, "head_name", "Phạm Văn Sau");
    assert_string_not_equal(e2e_field(commune.centre, id, "phone"), "0907000001");

    e2e_step("an officer lets it in");
    (void)e2e_ok(commune.centre, "quarantine", "release", poison, "--reason",
                 "đã hỏi lại", NULL);
    e2e_sync_all(&commune);
    e2e_check_field(commune.a, id, "phone", "0907000001");
    e2e_check_digests(&commune);
    e2e_finish();
}
