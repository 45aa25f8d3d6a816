/* Households that move, are merged, split, deleted and decided on: what people see and
 * what they are told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/fact.h"
#include "storage/forms.h"
#include "storage/save.h"
#include "tests/support/api.h"

static struct hm_test_api api;
static char a[64];
static char b[64];

static const char *at(const char *path)
{
    return hm_test_api_at(&api, path);
}

static void begin(void)
{
    hm_test_api_open(&api);
    (void)snprintf(a, sizeof a, "%s", hm_test_api_household(&api, "Lan", "0905000001"));
    (void)snprintf(b, sizeof b, "%s", hm_test_api_household(&api, "Lan", "0905000002"));
}

static unsigned post(const char *id, const char *what, const char *body)
{
    char path[200];

    (void)snprintf(path, sizeof path, "households/%s/%s", id, what);
    return hm_test_api_post(&api, path, body);
}

static void show(const char *id)
{
    char path[200];

    (void)snprintf(path, sizeof path, "households/%s", id);
    assert_int_equal(hm_test_api_get(&api, path), 200);
}

static unsigned merge(const char *id, const char *into)
{
    char body[200];

    (void)snprintf(body, sizeof body, "{\"into\":\"%s\"}", into);
    return post(id, "merge", body);
}

/* A write that has seen nothing of a deletion or a merge, as of somebody else. */
static void write_unseen(const char *id, const char *packed)
{
    static const struct hm_dot none;
    const struct hm_field_table *table = NULL;
    struct hm_save_cell cell = {0, hm_bytes_str(packed), &none, 0};
    struct hm_save_row row = {.cells = &cell, .cell_count = 1};
    struct hm_save save = {.rows = &row, .row_count = 1, .rank = 4, .restores = true};
    struct hm_save_result result;
    struct hm_form_item form;
    struct hm_arena arena;

    hm_arena_init(&arena, 64 * 1024 * 1024);
    CHECK_OK(hm_forms_find(api.node.store, "register", &arena, &form));
    CHECK_OK(hm_forms_load_table(api.node.forms, form.number, &table));
    row.form = form.number;
    cell.field = hm_field_table_by_name(table, 0, "address")->number;
    CHECK_OK(hm_household_id_from_text(id, &save.household));
    save.scope = 1;
    CHECK_OK(hm_store_begin(api.node.store));
    CHECK_OK(hm_store_end(api.node.store,
                          hm_save_run(api.node.store, &save, hm_forms_policy_of,
                                      api.node.forms, &arena, &result)));
    hm_arena_deinit(&arena);
}

HM_TEST(a_household_is_moved)
{
    begin();
    assert_int_equal(post(a, "move", "{\"scope\":\"" HM_TEST_OTHER_HAMLET "\"}"), 200);
    assert_string_equal(at("scope"), HM_TEST_OTHER_HAMLET);
    assert_string_not_equal(at("change"), "");
    show(a);
    assert_string_equal(at("scope"), HM_TEST_OTHER_HAMLET);
    assert_int_equal(hm_test_api_get(&api, "households?scope=" HM_TEST_OTHER_HAMLET),
                     200);
    assert_int_equal(hm_test_api_count(&api, ""), 1);
    assert_string_equal(at("0.household"), a);
    assert_int_equal(hm_test_api_get(&api, "households?scope=" HM_TEST_HAMLET), 200);
    assert_int_equal(hm_test_api_count(&api, ""), 1);
    /* There already: nothing is written. */
    assert_int_equal(post(a, "move", "{\"scope\":\"" HM_TEST_OTHER_HAMLET "\"}"), 200);
    assert_string_equal(at("change"), "null");
    hm_test_api_close(&api);
}

HM_TEST(what_cannot_be_done_is_said)
{
    begin();
    assert_int_equal(post("1.1", "move", "{\"scope\":\"" HM_TEST_OTHER_HAMLET "\"}"),
                     404);
    assert_int_equal(post(a, "move", "{\"scope\":\"nowhere\"}"), 404);
    assert_int_equal(post(a, "move", "{\"scope\":\"19885\"}"), 400);
    assert_int_equal(post(a, "move", "{}"), 400);
    assert_int_equal(merge(a, a), 400);
    assert_int_equal(merge(a, "1.1"), 404);
    assert_int_equal(merge("1.1", a), 404);
    assert_int_equal(post(a, "unmerge", "{}"), 400);
    assert_int_equal(post(a, "delete", "{}"), 400);
    assert_int_equal(post(a, "split", "{\"items\":[]}"), 400);
    assert_int_equal(post(a, "split", "{\"items\":[\"x\"]}"), 400);
    assert_int_equal(post(a, "split", "{\"items\":[\"1.1.1\"]}"), 404);
    assert_int_equal(post(a, "decide", "{\"surprise\":1}"), 400);
    hm_test_api_close(&api);
}

HM_TEST(a_viewer_may_not)
{
    begin();
    assert_int_equal(
        hm_test_api_post(&api, "users",
                         "{\"name\":\"v\",\"role\":\"viewer\",\"unit\":\"19885\","
                         "\"passphrase\":\"a long passphrase\"}"),
        201);
    api.user = "v";
    assert_int_equal(post(a, "move", "{\"scope\":\"" HM_TEST_OTHER_HAMLET "\"}"), 403);
    assert_int_equal(post(a, "delete", "{\"reason\":\"no\"}"), 403);
    assert_int_equal(merge(a, b), 403);
    assert_int_equal(hm_test_api_post(&api, "conflicts/undo", "{\"change\":\"1.1\"}"),
                     403);
    hm_test_api_close(&api);
}

/* One who works in another hamlet neither sees the household nor changes it. */
HM_TEST(a_household_of_another_hamlet)
{
    begin();
    assert_int_equal(hm_test_api_post(&api, "users",
                                      "{\"name\":\"e\",\"role\":\"enumerator\","
                                      "\"unit\":\"" HM_TEST_OTHER_HAMLET "\","
                                      "\"passphrase\":\"a long passphrase\"}"),
                     201);
    api.user = "e";
    assert_int_equal(post(a, "delete", "{\"reason\":\"no\"}"), 403);
    assert_int_equal(post(a, "move", "{\"scope\":\"" HM_TEST_OTHER_HAMLET "\"}"), 403);
    hm_test_api_close(&api);
}

/* The merged page shows the rows of both and whose they are; what is edited there goes
 * to its owner, what is new to the survivor. */
HM_TEST(a_merged_page)
{
    char item[64];
    char body[600];

    begin();
    show(a);
    (void)snprintf(item, sizeof item, "%s", at("rows.1.item"));
    assert_int_equal(merge(a, b), 200);
    assert_int_equal(merge(b, a), 400);
    assert_int_equal(hm_test_api_get(&api, "households"), 200);
    assert_int_equal(hm_test_api_count(&api, ""), 1);
    assert_string_equal(at("0.household"), b);
    show(a);
    assert_string_equal(at("merged_into"), b);
    assert_string_equal(at("survivor"), b);
    show(b);
    assert_string_equal(at("parts.0"), a);
    assert_int_equal(hm_test_api_count(&api, "rows"), 6);
    assert_string_equal(at("rows.0.owner"), "");
    assert_string_equal(at("rows.4.owner"), a);
    (void)snprintf(body, sizeof body,
                   "{\"household\":\"%s\",\"form\":\"register\",\"rows\":["
                   "{\"repeat\":\"members\",\"item\":\"%s\",\"values\":{\"name\":"
                   "\"Hoa\"}},{\"repeat\":\"members\",\"values\":{\"name\":\"New\"}}]}",
                   a, item);
    assert_int_equal(hm_test_api_post(&api, "households", body), 200);
    assert_string_equal(at("household"), b);
    assert_int_equal(hm_test_api_get(&api, "conflicts"), 200);
    assert_int_equal(hm_test_api_count(&api, ""), 0);
    assert_int_equal(post(a, "unmerge", "{}"), 200);
    show(a);
    assert_string_equal(at("merged_into"), "null");
    assert_int_equal(hm_test_api_count(&api, "rows"), 3);
    assert_string_equal(at("rows.1.values.name"), "Hoa");
    show(b);
    assert_int_equal(hm_test_api_count(&api, "rows"), 4);
    hm_test_api_close(&api);
}

/* What a merge says, as of somebody who saw less than the API checks. */
static void say_merged(const char *id, const char *into)
{
    struct hm_save_cell cell = {HM_FIELD_MERGED, {0}, NULL, 0};
    struct hm_save_row row = {
        .form = HM_FORM_HOUSEHOLD, .cells = &cell, .cell_count = 1, .facts = true};
    struct hm_save save = {.rows = &row, .row_count = 1, .rank = 4, .scope = 1};
    struct hm_save_result result;
    struct hm_household_id other;
    struct hm_arena arena;
    struct hm_buf target;

    hm_arena_init(&arena, 64 * 1024 * 1024);
    hm_buf_init(&target, 64);
    CHECK_OK(hm_household_id_from_text(id, &save.household));
    CHECK_OK(hm_household_id_from_text(into, &other));
    hm_fact_pack_household(&other, &target);
    cell.value = hm_buf_bytes(&target);
    CHECK_OK(hm_store_begin(api.node.store));
    CHECK_OK(hm_store_end(api.node.store,
                          hm_save_run(api.node.store, &save, hm_forms_policy_of,
                                      api.node.forms, &arena, &result)));
    hm_buf_deinit(&target);
    hm_arena_deinit(&arena);
}

/* In a circle the lowest is listed, and says so. */
HM_TEST(a_circle_is_listed_once)
{
    begin();
    say_merged(a, b);
    say_merged(b, a);
    assert_int_equal(hm_test_api_get(&api, "households"), 200);
    assert_int_equal(hm_test_api_count(&api, ""), 1);
    assert_string_equal(at("0.household"), a);
    show(a);
    assert_non_null(strstr(api.text, "merges lead in a circle"));
    assert_string_equal(at("survivor"), a);
    assert_string_equal(at("parts.0"), b);
    hm_test_api_close(&api);
}

/* Merged into one that is not on this node, it is still to be found. */
HM_TEST(merged_into_one_elsewhere)
{
    begin();
    say_merged(a, "dead.1");
    assert_int_equal(hm_test_api_get(&api, "households"), 200);
    assert_int_equal(hm_test_api_count(&api, ""), 2);
    hm_test_api_close(&api);
}

HM_TEST(a_deleted_household)
{
    char body[300];
    char change[64];

    begin();
    assert_int_equal(post(a, "delete", "{\"reason\":\"counted twice\"}"), 200);
    (void)snprintf(change, sizeof change, "%s", at("change"));
    show(a);
    assert_string_equal(at("state"), "deleted");
    assert_int_equal(hm_test_api_get(&api, "households"), 200);
    assert_int_equal(hm_test_api_count(&api, ""), 1);
    assert_int_equal(hm_test_api_get(&api, "export?format=csv"), 200);
    assert_null(strstr(api.text, "0905000001"));
    (void)snprintf(body, sizeof body,
                   "{\"household\":\"%s\",\"form\":\"register\","
                   "\"values\":{\"phone\":\"1\"}}",
                   a);
    assert_int_equal(hm_test_api_post(&api, "households", body), 400);
    assert_int_equal(post(a, "move", "{\"scope\":\"" HM_TEST_OTHER_HAMLET "\"}"), 400);
    assert_int_equal(merge(b, a), 400);
    (void)snprintf(body, sizeof body, "{\"change\":\"%s\"}", change);
    assert_int_equal(hm_test_api_post(&api, "conflicts/undo", body), 200);
    assert_string_equal(at("undone"), "1");
    show(a);
    assert_string_equal(at("state"), "active");
    assert_int_equal(hm_test_api_post(&api, "conflicts/undo", body), 200);
    assert_string_equal(at("already"), "1");
    hm_test_api_close(&api);
}

static void resolve(const char *id, const char *body)
{
    char path[200];

    (void)snprintf(path, sizeof path, "conflicts/%s/resolve", id);
    assert_int_equal(hm_test_api_post(&api, path, body), 200);
    assert_string_equal(at("left"), "0");
}

/* Deleted by one, edited by another: shown, and decided either way. */
static void deleted_against_edited(int take)
{
    char body[100];

    begin();
    assert_int_equal(post(a, "delete", "{\"reason\":\"gone\"}"), 200);
    write_unseen(a, "\xa1x");
    show(a);
    assert_string_equal(at("state"), "disputed");
    assert_int_equal(hm_test_api_get(&api, "households"), 200);
    assert_int_equal(hm_test_api_count(&api, ""), 2);
    assert_int_equal(hm_test_api_get(&api, "conflicts"), 200);
    assert_int_equal(hm_test_api_count(&api, ""), 1);
    assert_string_equal(at("0.kind"), "deleted_edited");
    assert_string_equal(at("0.cell"), "household:status");
    assert_string_equal(at("0.values.0.value"), "deleted");
    assert_string_equal(at("0.values.1.value"), "kept");
    (void)snprintf(body, sizeof body, "{\"cell\":\"household:status\",\"take\":%d}",
                   take);
    resolve(a, body);
    show(a);
    assert_string_equal(at("state"), take == 1 ? "deleted" : "active");
    hm_test_api_close(&api);
}

HM_TEST(deleted_against_edited_goes)
{
    deleted_against_edited(1);
}

HM_TEST(deleted_against_edited_stays)
{
    deleted_against_edited(2);
}

/* Merged by one, edited by another. */
static void merged_against_edited(int take)
{
    char body[100];

    begin();
    assert_int_equal(merge(a, b), 200);
    write_unseen(a, "\xa1x");
    assert_int_equal(hm_test_api_get(&api, "conflicts"), 200);
    assert_int_equal(hm_test_api_count(&api, ""), 1);
    assert_string_equal(at("0.kind"), "merged_edited");
    assert_string_equal(at("0.values.0.value"), b);
    assert_string_equal(at("0.values.1.value"), "kept");
    (void)snprintf(body, sizeof body,
                   "{\"cell\":\"household:merged_into\",\"take\":%d}", take);
    resolve(a, body);
    show(a);
    assert_string_equal(at("merged_into"), take == 1 ? b : "null");
    hm_test_api_close(&api);
}

HM_TEST(merged_against_edited_goes)
{
    merged_against_edited(1);
}

HM_TEST(merged_against_edited_stays)
{
    merged_against_edited(2);
}

/* The members that leave keep their items and their answers; the old household lists
 * them no more. */
HM_TEST(a_household_is_split)
{
    char items[2][64];
    char body[300];
    char made[64];

    begin();
    show(a);
    (void)snprintf(items[0], sizeof items[0], "%s", at("rows.1.item"));
    (void)snprintf(items[1], sizeof items[1], "%s", at("rows.2.item"));
    (void)snprintf(body, sizeof body, "{\"items\":[\"%s\"],\"reason\":\"married\"}",
                   items[0]);
    assert_int_equal(post(a, "split", body), 201);
    (void)snprintf(made, sizeof made, "%s", at("made"));
    show(made);
    assert_string_equal(at("split_from"), a);
    assert_int_equal(hm_test_api_count(&api, "rows"), 1);
    assert_string_equal(at("rows.0.item"), items[0]);
    show(a);
    assert_int_equal(hm_test_api_count(&api, "rows"), 2);
    assert_string_equal(at("rows.1.item"), items[1]);
    assert_int_equal(post(a, "split", body), 404);
    hm_test_api_close(&api);
}

/* What is changed after a decision is accepted, and said. */
HM_TEST(changed_after_a_decision)
{
    char body[300];

    begin();
    show(a);
    assert_string_equal(at("decided"), "null");
    assert_int_equal(post(a, "decide", "{\"reason\":\"12/QD\"}"), 200);
    show(a);
    assert_string_not_equal(at("decided"), "");
    assert_null(strstr(api.text, "changed after the decision"));
    (void)snprintf(body, sizeof body,
                   "{\"household\":\"%s\",\"form\":\"register\","
                   "\"values\":{\"phone\":\"0905000009\"}}",
                   a);
    assert_int_equal(hm_test_api_post(&api, "households", body), 200);
    assert_non_null(strstr(api.text, "changed after the decision"));
    show(a);
    assert_non_null(strstr(api.text, "changed after the decision"));
    /* Decided anew, it is as it was decided. */
    assert_int_equal(post(a, "decide", "{}"), 200);
    show(a);
    assert_null(strstr(api.text, "changed after the decision"));
    hm_test_api_close(&api);
}
