/* Whole households on the command line, at a centre and at a laptop that did not know:
 * what each person sees. */
#include <string.h>

#include "tests/support/e2e_data.h"
#include "tests/support/test.h"

static struct e2e_node *centre;
static struct e2e_node *laptop; /* E2E_HAMLET_A alone */
static const char *id;

static void begin(void)
{
    centre = e2e_centre(false);
    laptop = e2e_laptop("a", centre, E2E_HAMLET_A, NULL);
    id = e2e_add(laptop, E2E_HAMLET_A, "Hồ Thị Mới", 2);
    (void)e2e_sync(laptop);
}

/* It moves while the old hamlet edits it: the edit is kept, shown as late, and the
 * laptop has it no more. */
HM_TEST(moved_while_it_is_edited)
{
    begin();
    (void)e2e_ok(centre, "household", "move", id, "--scope", E2E_HAMLET_B, NULL);
    (void)e2e_set(laptop, id, "address", "late");
    (void)e2e_sync(laptop);
    assert_int_equal(e2e_household_count(laptop), 0);
    (void)e2e_refused(laptop, E2E_FAILED, "household", "show", id, NULL);
    e2e_check_field(centre, id, "address", "late");
    assert_non_null(strstr(e2e_text(e2e_get(e2e_show(centre, id), "findings")),
                           "had not heard that it moved"));
    assert_int_equal(e2e_int(e2e_ok(centre, "status", NULL), "quarantine"), 0);
    e2e_finish();
}

/* Deleted at one end, edited at the other: shown at both until somebody decides, and
 * the decision can be taken back. */
HM_TEST(deleted_while_it_is_edited)
{
    const char *change;

    begin();
    (void)e2e_refused(centre, E2E_USAGE, "household", "delete", id, NULL);
    (void)e2e_ok(centre, "household", "delete", id, "--reason", "twice", NULL);
    (void)e2e_set(laptop, id, "address", "here");
    (void)e2e_sync(laptop);
    assert_string_equal(e2e_str(e2e_show(laptop, id), "state"), "disputed");
    assert_string_equal(
        e2e_str(json_array_get(e2e_ok(laptop, "conflict", "list", NULL), 0), "kind"),
        "deleted_edited");
    change = e2e_str(e2e_ok(laptop, "conflict", "resolve", id, "--cell",
                            "household:status", "--take", "1", NULL),
                     "change");
    (void)e2e_sync(laptop);
    assert_string_equal(e2e_str(e2e_show(centre, id), "state"), "deleted");
    (void)e2e_ok(laptop, "conflict", "undo", change, NULL);
    (void)e2e_sync(laptop);
    assert_string_equal(e2e_str(e2e_show(centre, id), "state"), "disputed");
    e2e_finish();
}

/* Two registrations of one family are found, merged, and parted again; whose answer
 * lost a decision is told. */
HM_TEST(registered_twice)
{
    const json_t *notices;
    const char *other;

    begin();
    (void)e2e_set(laptop, id, "phone", "0905111222");
    other = e2e_add(centre, E2E_HAMLET_A, "Hồ Thị Mới", 1);
    (void)e2e_set(centre, other, "phone", "0905111222");
    (void)e2e_sync(laptop);
    assert_int_equal(json_array_size(e2e_ok(laptop, "duplicates", NULL)), 1);
    (void)e2e_ok(laptop, "household", "merge", other, id, NULL);
    (void)e2e_sync(laptop);
    assert_int_equal(json_array_size(e2e_ok(centre, "duplicates", NULL)), 0);
    assert_string_equal(e2e_str(e2e_show(centre, other), "survivor"), id);
    (void)e2e_ok(centre, "household", "unmerge", other, NULL);
    (void)e2e_ok(centre, "duplicates", "apart", other, id, NULL);
    assert_int_equal(json_array_size(e2e_ok(centre, "duplicates", NULL)), 0);

    (void)e2e_set(laptop, id, "address", "lost");
    (void)e2e_set(centre, id, "address", "kept");
    (void)e2e_sync(laptop);
    (void)e2e_ok(centre, "conflict", "resolve", id, "--cell", "register:address",
                 "--value", "kept", NULL);
    (void)e2e_sync(laptop);
    notices = e2e_ok(laptop, "notice", "list", NULL);
    assert_int_equal(json_array_size(notices), 2); /* the merge was taken back, too */
    assert_string_equal(e2e_str(json_array_get(notices, 0), "lost"), id);
    assert_string_equal(e2e_str(json_array_get(notices, 1), "lost"), "lost");
    assert_string_equal(e2e_str(json_array_get(notices, 1), "value"), "kept");
    (void)e2e_ok(laptop, "notice", "clear", e2e_str(json_array_get(notices, 0), "id"),
                 NULL);
    assert_int_equal(e2e_int(e2e_ok(laptop, "status", NULL), "notices"), 1);
    e2e_finish();
}
