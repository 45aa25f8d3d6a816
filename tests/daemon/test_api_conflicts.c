/* Conflicts and what was refused: how people decide. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/serve/call.h"
#include "storage/households.h"
#include "storage/log.h"
#include "storage/quarantine.h"
#include "storage/save.h"
#include "tests/support/api.h"

static struct hm_test_api api;
static char id[64];

static const char *at(const char *path)
{
    return hm_test_api_at(&api, path);
}

static unsigned post(const char *format, const char *body)
{
    char path[300];

    (void)snprintf(path, sizeof path, format, id);
    return hm_test_api_post(&api, path, body);
}

static uint32_t field(uint32_t *out_form, const char *repeat, const char *name)
{
    const struct hm_field_table *table = NULL;
    struct hm_form_item form;
    struct hm_arena arena;
    uint32_t row = 0;

    hm_arena_init(&arena, 1024 * 1024);
    CHECK_OK(hm_forms_find(api.node.store, "register", &arena, &form));
    CHECK_OK(hm_forms_load_table(api.node.forms, form.number, &table));
    *out_form = form.number;
    hm_arena_deinit(&arena);
    row = repeat == NULL ? 0 : hm_field_table_repeat(table, repeat)->number;
    return name == NULL ? row : hm_field_table_by_name(table, row, name)->number;
}

/* A write that has seen nothing, as of somebody else. */
static void write_unseen(const char *repeat, const char *item, const char *name,
                         const char *packed)
{
    static const struct hm_dot none;
    struct hm_save_cell cell = {.value = hm_bytes_str(packed), .decided = &none};
    struct hm_save_row row = {.cells = &cell, .cell_count = 1};
    struct hm_save save = {.rows = &row, .row_count = 1, .rank = 4};
    struct hm_save_result result;
    struct hm_arena arena;

    hm_arena_init(&arena, 64 * 1024 * 1024);
    cell.field = field(&row.form, repeat, name);
    if (repeat != NULL) {
        row.repeat = field(&row.form, repeat, NULL);
        CHECK_OK(hm_item_from_text(item, &row.item));
    }
    CHECK_OK(hm_household_id_from_text(id, &save.household));
    CHECK_OK(hm_store_begin(api.node.store));
    CHECK_OK(hm_households_home(api.node.store, &save.household, &save.scope));
    CHECK_OK(hm_store_end(api.node.store,
                          hm_save_run(api.node.store, &save, hm_forms_policy_of,
                                      api.node.forms, &arena, &result)));
    hm_arena_deinit(&arena);
}

static void open_with_conflict(void)
{
    hm_test_api_open(&api);
    (void)snprintf(id, sizeof id, "%s",
                   hm_test_api_household(&api, "Lan", "0905000001"));
    api.store.now_ms += 60000;
    write_unseen(NULL, NULL, "phone",
                 "\xaa"
                 "0905000002");
}

/* Both values with who and when, numbered; taking one ends it. */
HM_TEST(a_conflict_is_shown_and_taken)
{
    open_with_conflict();
    assert_int_equal(hm_test_api_get(&api, "conflicts"), 200);
    assert_int_equal(hm_test_api_count(&api, ""), 1);
    assert_string_equal(at("0.cell"), "register:phone");
    assert_string_equal(at("0.household"), id);
    assert_int_equal(hm_test_api_count(&api, "0.values"), 2);
    assert_string_equal(at("0.values.0.n"), "1");
    assert_string_equal(at("0.values.0.value"), "0905000001");
    assert_string_equal(at("0.values.0.who"), "operator@centre");
    assert_string_equal(at("0.values.1.when"), "2026-11-23T00:01:00Z");
    assert_int_equal(hm_test_api_get(&api, "households?where=conflicts>0"), 200);
    assert_string_equal(at("0.conflicts"), "1");
    assert_int_equal(
        post("conflicts/%s/resolve", "{\"cell\":\"register:phone\",\"take\":1}"), 200);
    assert_string_equal(at("resolved"), "1");
    assert_string_equal(at("left"), "0");
    assert_int_equal(hm_test_api_get(&api, "households?where=phone%3D0905000001"), 200);
    assert_int_equal(hm_test_api_count(&api, ""), 1);
    assert_int_equal(hm_test_api_get(&api, "conflicts"), 200);
    assert_int_equal(hm_test_api_count(&api, ""), 0);
    hm_test_api_close(&api);
}

/* A value of its own; only the dots that were seen; and what makes no sense. */
HM_TEST(resolutions_are_checked)
{
    static const struct {
        const char *body;
        unsigned status;
    } cases[] = {
        {"{\"cell\":\"register:phone\"}", 400},
        {"{\"cell\":\"register:phone\",\"take\":1,\"value\":\"1\"}", 400},
        {"{\"cell\":\"register:phone\",\"take\":3}", 400},
        {"{\"cell\":\"register:phone\",\"take\":0}", 400},
        {"{\"cell\":\"register:phone\",\"take\":\"1\"}", 400},
        {"{\"cell\":\"register:address\",\"take\":1}", 404},
        {"{\"take\":1}", 400},
        {"{\"cell\":\"register:phone\",\"value\":7}", 400},
        {"{\"cell\":\"register:phone\",\"take\":1,\"dots\":[]}", 400},
        {"{\"cell\":\"register:phone\",\"take\":1,\"dots\":[\"x\"]}", 400},
        {"{\"cell\":\"register:phone\",\"take\":1,\"dots\":[\"1.1\"]}", 409},
        {"{\"all\":true,\"policy\":\"dice\"}", 400},
        {"{\"all\":true}", 400},
        {"{\"policy\":\"latest\"}", 400},
        {"{\"all\":true,\"policy\":\"latest\",\"cell\":\"register:phone\"}", 400},
    };
    char body[300];
    char dot[64];

    open_with_conflict();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsigned status = post("conflicts/%s/resolve", cases[i].body);

        if (status != cases[i].status) {
            fail_msg("%s: %u %s", cases[i].body, status, at("detail"));
        }
    }
    assert_int_equal(hm_test_api_get(&api, "conflicts"), 200);
    (void)snprintf(dot, sizeof dot, "%s", at("0.values.0.dot"));
    (void)snprintf(body, sizeof body,
                   "{\"cell\":\"register:phone\",\"value\":\"0999\",\"dots\":[\"%s\"]}",
                   dot);
    assert_int_equal(post("conflicts/%s/resolve", body), 200);
    assert_string_equal(at("left"), "1"); /* the other one was not seen */
    assert_int_equal(
        post("conflicts/%s/resolve", "{\"cell\":\"register:phone\",\"value\":null}"),
        200);
    assert_string_equal(at("left"), "0");
    hm_test_api_close(&api);
}

/* Many at once by a rule. */
HM_TEST(conflicts_are_resolved_by_policy)
{
    open_with_conflict();
    assert_int_equal(hm_test_api_post(&api, "conflicts/resolve",
                                      "{\"all\":true,\"policy\":\"mine\",\"scope\":"
                                      "\"" HM_TEST_OTHER_HAMLET "\"}"),
                     200);
    assert_string_equal(at("resolved"), "0");
    assert_int_equal(hm_test_api_post(&api, "conflicts/resolve",
                                      "{\"all\":true,\"policy\":\"authority\",\"form\":"
                                      "\"register\"}"),
                     200);
    assert_string_equal(at("resolved"), "1");
    assert_int_equal(hm_test_api_count(&api, "changes"), 1);
    assert_int_equal(hm_test_api_get(&api, "households?where=phone%3D0905000001"), 200);
    assert_int_equal(hm_test_api_count(&api, ""), 1); /* rank 12 before 4 */
    write_unseen(NULL, NULL, "phone",
                 "\xaa"
                 "0905000003");
    assert_int_equal(
        post("conflicts/%s/resolve", "{\"all\":true,\"policy\":\"latest\"}"), 200);
    assert_int_equal(hm_test_api_get(&api, "households?where=phone%3D0905000003"), 200);
    assert_int_equal(hm_test_api_count(&api, ""), 1);
    hm_test_api_close(&api);
}

/* A member removed here and changed there stays visible until somebody decides. */
HM_TEST(a_disputed_row_is_decided)
{
    for (int removed = 0; removed < 2; removed++) {
        char body[300];
        char item[80];

        hm_test_api_open(&api);
        (void)snprintf(id, sizeof id, "%s", hm_test_api_household(&api, "Lan", "1"));
        (void)snprintf(item, sizeof item, "%s", at("items.1"));
        (void)snprintf(body, sizeof body,
                       "{\"rows\":[{\"repeat\":\"members\",\"item\":\"%s\",\"removed\":"
                       "true}]}",
                       item);
        assert_int_equal(post("households/%s/forms/register", body), 200);
        write_unseen("members", item, "note", "\xa1x");
        assert_int_equal(hm_test_api_get(&api, "conflicts"), 200);
        assert_int_equal(hm_test_api_count(&api, ""), 1);
        assert_string_equal(at("0.field"), "status");
        assert_string_equal(at("0.values.0.value"), "removed");
        assert_string_equal(at("0.values.1.value"), "kept");
        (void)snprintf(body, sizeof body, "{\"cell\":\"%s\",\"take\":%d}", at("0.cell"),
                       removed == 1 ? 1 : 2);
        assert_int_equal(post("conflicts/%s/resolve", body), 200);
        assert_string_equal(at("left"), "0");
        assert_int_equal(hm_test_api_get(&api, "households"), 200);
        assert_string_equal(at("0.members"), removed == 1 ? "1" : "2");
        hm_test_api_close(&api);
        id[0] = 0;
        if (removed == 0) {
            char path[600];

            (void)snprintf(path, sizeof path, "%s", api.store.path);
            (void)remove(path);
            (void)snprintf(path, sizeof path, "%s-wal", api.store.path);
            (void)remove(path);
        }
    }
}

/* -- Quarantine -- */

/* A refused change of somebody else: the phone of the household, over nothing. */
static struct hm_dot hold(void)
{
    struct hm_cell_write cell = {.value = hm_bytes_str("\xaa"
                                                       "0905000009")};
    struct hm_row_write row = {.cells = &cell, .cell_count = 1};
    struct hm_change change = {.rows = &row, .row_count = 1};
    struct hm_quarantine_entry entry = {.dot = {77, 3},
                                        .device = 5,
                                        .reason = HM_DENIED,
                                        .detail = "device is revoked"};
    struct hm_buf bytes;

    cell.field = field(&row.key.form, NULL, "phone");
    CHECK_OK(hm_household_id_from_text(id, &change.household));
    CHECK_OK(hm_store_begin(api.node.store));
    CHECK_OK(hm_households_home(api.node.store, &change.household, &change.scope));
    hm_buf_init(&bytes, HM_CHANGE_BYTES_MAX);
    hm_change_encode(&change, &entry.dot, &bytes);
    CHECK_OK(bytes.err);
    entry.bytes = hm_buf_bytes(&bytes);
    entry.household = change.household;
    entry.scope = change.scope;
    CHECK_OK(hm_store_end(api.node.store, hm_quarantine_put(api.node.store, &entry)));
    hm_buf_deinit(&bytes);
    return entry.dot;
}

/* What was refused is seen, kept, and can be written again in one's own name. */
HM_TEST(a_refused_change_is_released)
{
    static const char *held = "quarantine/000000000000004d.3";

    hm_test_api_open(&api);
    (void)snprintf(id, sizeof id, "%s", hm_test_api_household(&api, "Lan", "1"));
    (void)hold();
    assert_int_equal(hm_test_api_get(&api, "quarantine"), 200);
    assert_int_equal(hm_test_api_count(&api, ""), 1);
    assert_string_equal(at("0.id"), held + strlen("quarantine/"));
    assert_string_equal(at("0.reason"), "device is revoked");
    assert_string_equal(at("0.state"), "held");
    assert_int_equal(hm_test_api_get(&api, held), 200);
    assert_string_equal(at("content.0.cell"), "register:phone");
    assert_string_equal(at("content.0.value"), "0905000009");
    assert_int_equal(hm_test_api_get(&api, "quarantine/export"), 200);
    assert_non_null(strstr(api.text, "\"bytes\":\""));
    assert_int_equal(hm_test_api_get(&api, "quarantine/export?id=1.1"), 404);
    assert_int_equal(hm_test_api_get(&api, "quarantine/1.1"), 404);
    assert_int_equal(hm_test_api_post(&api, "quarantine/1.1/release", "{}"), 404);
    assert_int_equal(hm_test_api_post(&api, "quarantine/000000000000004d.3/release",
                                      "{\"reason\":\"asked him\"}"),
                     200);
    assert_string_equal(at("household"), id);
    assert_int_equal(hm_test_api_get(&api, "conflicts"), 200);
    assert_int_equal(hm_test_api_count(&api, "0.values"), 2); /* it had not seen "1" */
    assert_int_equal(
        hm_test_api_post(&api, "quarantine/000000000000004d.3/release", "{}"), 409);
    hm_test_api_close(&api);
}

/* A cell in which somebody replaced the refused value since does not get it back. */
HM_TEST(a_released_change_does_not_come_back_beside_its_replacement)
{
    struct hm_save_cell cell = {.value = hm_bytes_str("\xa1"
                                                      "7"),
                                .decided_count = 1};
    struct hm_save_row row = {.cells = &cell, .cell_count = 1};
    struct hm_save save = {.rows = &row, .row_count = 1};
    struct hm_save_result result;
    struct hm_arena arena;
    struct hm_dot dot;

    hm_test_api_open(&api);
    (void)snprintf(id, sizeof id, "%s", hm_test_api_household(&api, "Lan", ""));
    dot = hold();
    hm_arena_init(&arena, 64 * 1024 * 1024);
    cell.decided = &dot;
    cell.field = field(&row.form, NULL, "phone");
    CHECK_OK(hm_household_id_from_text(id, &save.household));
    CHECK_OK(hm_store_begin(api.node.store));
    CHECK_OK(hm_households_home(api.node.store, &save.household, &save.scope));
    CHECK_OK(hm_store_end(api.node.store,
                          hm_save_run(api.node.store, &save, hm_forms_policy_of,
                                      api.node.forms, &arena, &result)));
    hm_arena_deinit(&arena);
    assert_int_equal(
        hm_test_api_post(&api, "quarantine/000000000000004d.3/release", "{}"), 200);
    assert_string_equal(at("change"), "null");
    assert_int_equal(hm_test_api_get(&api, "households?where=phone%3D7"), 200);
    assert_int_equal(hm_test_api_count(&api, ""), 1);
    assert_string_equal(at("0.conflicts"), "0");
    hm_test_api_close(&api);
}

/* Two cells of one row are decided together. */
HM_TEST(two_cells_of_a_row)
{
    open_with_conflict();
    write_unseen(NULL, NULL, "address", "\xa1X");
    write_unseen(NULL, NULL, "address", "\xa1Y");
    assert_int_equal(
        post("conflicts/%s/resolve", "{\"all\":true,\"policy\":\"latest\"}"), 200);
    assert_string_equal(at("resolved"), "2");
    assert_string_equal(at("left"), "0");
    hm_test_api_close(&api);
}

enum { MANY = 230 }; /* more than two pieces */

static void open_with_many(void)
{
    hm_test_api_open(&api);
    for (int i = 0; i < MANY; i++) {
        char name[20];

        (void)snprintf(name, sizeof name, "Lan %d", i);
        (void)snprintf(id, sizeof id, "%s",
                       hm_test_api_household(&api, name, "0905000001"));
        api.store.now_ms += 60000;
        write_unseen(NULL, NULL, "phone",
                     "\xaa"
                     "0905000002");
        if (i % 2 == 0) {
            write_unseen(NULL, NULL, "address", "\xa1X");
            write_unseen(NULL, NULL, "address", "\xa1Y");
        }
    }
}

static int64_t number(const char *path)
{
    return strtoll(at(path), NULL, 10);
}

/* Counted, decided, undone: in pieces, each change with the same name. */
HM_TEST(many_are_decided_and_undone)
{
    char body[200];
    char decision[64];

    open_with_many();
    assert_int_equal(hm_test_api_post(&api, "conflicts/resolve",
                                      "{\"all\":true,\"policy\":\"latest\","
                                      "\"field\":\"phone\",\"dry_run\":true}"),
                     200);
    assert_int_equal(number("resolved"), MANY);
    assert_int_equal(number("left"), MANY / 2);
    assert_int_equal(hm_test_api_count(&api, "changes"), 0);
    assert_string_equal(at("decision"), "null");
    assert_int_equal(hm_test_api_post(&api, "conflicts/resolve",
                                      "{\"all\":true,\"policy\":\"latest\","
                                      "\"field\":\"phone\"}"),
                     200);
    assert_true(api.calls >= 3);
    assert_int_equal(number("resolved"), MANY);
    assert_int_equal(number("households"), MANY);
    assert_int_equal(number("left"), MANY / 2);
    assert_int_equal(hm_test_api_count(&api, "changes"), MANY);
    (void)snprintf(decision, sizeof decision, "%s", at("decision"));
    assert_int_equal(hm_test_api_get(&api, "conflicts"), 200);
    assert_int_equal(hm_test_api_count(&api, ""), MANY / 2);
    assert_int_equal(hm_test_api_get(&api, "households?where=phone%3D0905000002"), 200);
    assert_int_equal(hm_test_api_count(&api, ""), MANY);
    (void)snprintf(body, sizeof body, "{\"change\":\"%s\"}", decision);
    assert_int_equal(hm_test_api_post(&api, "conflicts/undo", body), 200);
    assert_true(api.calls >= 3);
    assert_int_equal(number("undone"), MANY);
    assert_int_equal(number("households"), MANY);
    assert_int_equal(hm_test_api_get(&api, "conflicts"), 200);
    assert_int_equal(hm_test_api_count(&api, ""), MANY + MANY / 2);
    assert_int_equal(hm_test_api_post(&api, "conflicts/undo", body), 200);
    assert_int_equal(number("undone"), 0);
    assert_int_equal(number("already"), MANY);
    hm_test_api_close(&api);
}

/* What is wrong with a filter is said; what it leaves out stays. */
HM_TEST(filters)
{
    static const struct {
        const char *filter;
        unsigned status;
        int resolved;
    } cases[] = {
        {"\"form\":\"register\"", 200, 2},
        {"\"form\":\"review\"", 200, 0},
        {"\"form\":\"nothing\"", 404, 0},
        {"\"round\":\"2026\"", 404, 0},
        {"\"field\":\"phone\"", 200, 1},
        {"\"field\":\"head_name\"", 200, 0},
        {"\"kind\":\"values\"", 200, 2},
        {"\"kind\":\"moved_moved\"", 200, 0},
        {"\"kind\":\"strange\"", 400, 0},
        {"\"device\":\"centre\"", 200, 2},
        {"\"device\":\"laptop\"", 200, 0},
        {"\"user\":\"operator@centre\"", 200, 2},
        {"\"user\":\"lan\"", 200, 0},
        {"\"older\":\"2026-11-24\"", 200, 2},
        {"\"older\":\"2026-11-23\"", 200, 0},
        {"\"newer\":\"2026-11-23\"", 200, 2},
        {"\"newer\":\"2026-11-23T00:00:59Z\"", 200, 2},
        {"\"newer\":\"2026-11-24\"", 200, 0},
        {"\"newer\":\"yesterday\"", 400, 0},
        {"\"newer\":\"2026-11-24x\"", 400, 0},
        {"\"older\":\"2026-13-24\"", 400, 0},
        {"\"scope\":\"" HM_TEST_HAMLET "\"", 200, 2},
        {"\"scope\":\"" HM_TEST_OTHER_HAMLET "\"", 200, 0},
        {"\"surprise\":1", 400, 0},
    };

    open_with_conflict();
    write_unseen(NULL, NULL, "address", "\xa1X");
    write_unseen(NULL, NULL, "address", "\xa1Y");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char body[200];

        (void)snprintf(body, sizeof body,
                       "{\"all\":true,\"policy\":\"latest\",\"dry_run\":true,%s}",
                       cases[i].filter);
        if (hm_test_api_post(&api, "conflicts/resolve", body) != cases[i].status ||
            (cases[i].status == 200 && number("resolved") != cases[i].resolved)) {
            fail_msg("%s: %u %s", cases[i].filter, api.status, api.text);
        }
    }
    hm_test_api_close(&api);
}

HM_TEST(undo_of_nothing)
{
    hm_test_api_open(&api);
    assert_int_equal(hm_test_api_post(&api, "conflicts/undo", "{\"change\":\"x\"}"),
                     400);
    assert_int_equal(hm_test_api_post(&api, "conflicts/undo", "{\"change\":\"1.1\"}"),
                     404);
    assert_int_equal(
        hm_test_api_post(&api, "conflicts/undo", "{\"change\":\"00000000000000ff\"}"),
        404);
    assert_int_equal(hm_test_api_post(&api, "conflicts/undo", "{}"), 400);
    hm_test_api_close(&api);
}

/* One refused change of device 5: a text of a household's own row, over `replaced`.
 */
static void hold_one(uint64_t n, const struct hm_household_id *household,
                     const char *field_name, const char *packed, uint64_t replaced,
                     int reason)
{
    struct hm_dot before = {77, replaced};
    struct hm_cell_write cell = {.value = hm_bytes_str(packed),
                                 .replaced = &before,
                                 .replaced_count = replaced == 0 ? 0 : 1};
    struct hm_row_write row = {.cells = &cell, .cell_count = 1};
    struct hm_change change = {.rows = &row, .row_count = 1, .household = *household};
    struct hm_quarantine_entry entry = {.dot = {77, n},
                                        .device = 5,
                                        .reason = reason,
                                        .detail = "held",
                                        .household = *household};
    struct hm_buf bytes;

    cell.field = field(&row.key.form, NULL, field_name);
    CHECK_OK(hm_store_begin(api.node.store));
    if (hm_households_home(api.node.store, household, &change.scope) == HM_NOTFOUND) {
        struct hm_household_id other;

        CHECK_OK(hm_household_id_from_text(id, &other));
        CHECK_OK(hm_households_home(api.node.store, &other, &change.scope));
    }
    hm_buf_init(&bytes, HM_CHANGE_BYTES_MAX);
    hm_change_encode(&change, &entry.dot, &bytes);
    CHECK_OK(bytes.err);
    entry.bytes = hm_buf_bytes(&bytes);
    entry.scope = change.scope;
    CHECK_OK(hm_store_end(api.node.store, hm_quarantine_put(api.node.store, &entry)));
    hm_buf_deinit(&bytes);
}

/* All of a device at once: a household that it made stands again under its own id,
 * and of what it wrote twice only the last comes back. */
HM_TEST(all_of_a_device_is_released)
{
    static const char all[] = "{\"device\":\"0000000000000005\",\"reason\":\"found\"}";
    struct hm_household_id own = {77, 1};
    struct hm_household_id here;

    hm_test_api_open(&api);
    (void)snprintf(id, sizeof id, "%s", hm_test_api_household(&api, "Lan", ""));
    CHECK_OK(hm_household_id_from_text(id, &here));
    hold_one(1, &own, "head_name",
             "\xa4"
             "M\xe1\xba\xa1",
             0, HM_REVOKED);
    hold_one(2, &own, "phone",
             "\xa1"
             "1",
             0, HM_REVOKED);
    hold_one(3, &own, "phone",
             "\xa1"
             "2",
             2, HM_REVOKED);
    hold_one(4, &here, "phone",
             "\xa1"
             "3",
             0, HM_DENIED);
    assert_int_equal(hm_test_api_post(&api, "quarantine/release", "{}"), 400);
    assert_int_equal(hm_test_api_post(&api, "quarantine/release", "{\"device\":\"5\"}"),
                     400);
    assert_int_equal(hm_test_api_post(&api, "quarantine/release",
                                      "{\"device\":\"0000000000000005\","
                                      "\"revoked\":true}"),
                     200);
    assert_string_equal(at("released"), "3");
    assert_string_equal(at("failed"), "0");
    assert_string_equal(at("left"), "0");
    assert_int_equal(hm_test_api_get(&api, "households/000000000000004d.1"), 200);
    assert_string_equal(at("rows.0.values.head_name"), "Mạ");
    assert_string_equal(at("rows.0.values.phone"), "2");
    assert_int_equal(hm_test_api_get(&api, "conflicts"), 200);
    assert_int_equal(hm_test_api_count(&api, ""), 0);
    assert_int_equal(hm_test_api_post(&api, "quarantine/release", all), 200);
    assert_string_equal(at("released"), "1");
    assert_int_equal(hm_test_api_post(&api, "quarantine/release", all), 200);
    assert_string_equal(at("released"), "0");
    hm_test_api_close(&api);
}
