/* Notices as people see them. */
#include <stdio.h>

#include "protocol/fact.h"
#include "storage/forms.h"
#include "storage/households.h"
#include "storage/notices.h"
#include "tests/support/api.h"

static struct hm_test_api api;

static const char *at(const char *path)
{
    return hm_test_api_at(&api, path);
}

/* Two states of one household: its own value, and what another device made of it. */
static void lose(const char *text)
{
    const struct hm_author other = {.incarnation = 0xb, .device = 0xd};
    const struct hm_field_table *table = NULL;
    struct hm_household before;
    struct hm_household after;
    struct hm_cell_write write = {.value = hm_bytes_str("\xa3new")};
    struct hm_row_write row = {.cells = &write, .cell_count = 1};
    struct hm_change change = {.rows = &row, .row_count = 1};
    struct hm_form_item form;
    struct hm_dot dot = {0xb, 1};
    struct hm_arena arena;
    struct hm_store *s = api.node.store;
    bool applied;

    hm_arena_init(&arena, 64 * 1024 * 1024);
    CHECK_OK(hm_forms_find(s, "register", &arena, &form));
    CHECK_OK(hm_forms_load_table(api.node.forms, form.number, &table));
    CHECK_OK(hm_household_id_from_text(text, &change.household));
    CHECK_OK(hm_store_begin(s));
    CHECK_OK(hm_households_load(s, &change.household, &arena, &before));
    CHECK_OK(hm_households_load(s, &change.household, &arena, &after));
    row.key.form = form.number;
    write.field = hm_field_table_by_name(table, 0, "phone")->number;
    write.replaced =
        &hm_row_cell(hm_household_row(&before, &row.key), write.field)->siblings[0].dot;
    write.replaced_count = 1;
    CHECK_OK(hm_household_apply(&after, &change, &dot, &other, &applied));
    CHECK_OK(hm_store_end(s, hm_notices_compare(s, &before, &after)));
    hm_arena_deinit(&arena);
}

HM_TEST(a_notice_is_listed_and_cleared)
{
    char path[100];

    hm_test_api_open(&api);
    lose(hm_test_api_household(&api, "Lan", "0905000001"));
    assert_int_equal(hm_test_api_get(&api, "notices"), 200);
    assert_int_equal(hm_test_api_count(&api, ""), 1);
    assert_string_equal(at("0.cell"), "register:phone");
    assert_string_equal(at("0.lost"), "0905000001");
    assert_string_equal(at("0.value"), "new");
    assert_string_equal(at("0.device"), "000000000000000d");
    assert_string_equal(at("0.scope"), HM_TEST_HAMLET);
    (void)snprintf(path, sizeof path, "notices/%s/clear", at("0.id"));
    assert_int_equal(hm_test_api_post(&api, path, "{}"), 200);
    assert_int_equal(hm_test_api_post(&api, path, "{}"), 404);
    assert_int_equal(hm_test_api_post(&api, "notices/1/clear", "{}"), 400);
    assert_int_equal(hm_test_api_get(&api, "notices"), 200);
    assert_int_equal(hm_test_api_count(&api, ""), 0);
    hm_test_api_close(&api);
}
