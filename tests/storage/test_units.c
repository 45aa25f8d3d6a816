#include "storage/units_import.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/fault/loop.h"
#include "tests/support/store.h"

struct fixture {
    struct hm_test_node node;
    struct hm_arena arena;
    struct hm_units_tree tree;
    struct hm_units_report report;
};

static void begin(struct fixture *f)
{
    hm_arena_init(&f->arena, HM_UNITS_TREE_BYTES_MAX);
    hm_test_node_open(&f->node, "centre", HM_NODE_CENTRE);
    CHECK_OK(hm_store_begin(f->node.store));
}

static void end(struct fixture *f)
{
    CHECK_OK(hm_store_end(f->node.store, HM_OK));
    hm_test_node_close(&f->node);
    hm_arena_deinit(&f->arena);
}

static void take(struct fixture *f, const char *csv)
{
    CHECK_OK(hm_units_import(f->node.store, hm_bytes_str(csv), HM_TEST_TODAY, &f->arena,
                             &f->report));
    CHECK_OK(hm_units_load(f->node.store, &f->arena, &f->tree));
}

static const struct hm_unit *unit(struct fixture *f, const char *text)
{
    const struct hm_unit *found = NULL;

    CHECK_OK(hm_units_find(&f->tree, text, HM_TEST_TODAY, &found));
    return found;
}

static void take_bundled(struct fixture *f)
{
    char path[512];
    size_t len;
    char *text = calloc(1, 1 << 20);
    FILE *file;

    assert_non_null(text);
    (void)snprintf(path, sizeof path, "%s/vn-poverty/units.csv",
                   getenv("HM_PROGRAMMES"));
    file = fopen(path, "r");
    assert_non_null(file);
    len = fread(text, 1, (1 << 20) - 1, file);
    assert_true(len > 1000);
    assert_int_equal(fclose(file), 0);
    take(f, text);
    free(text);
}

/* The bundled tree goes in whole, and a second time changes nothing. */
HM_TEST(bundled_units)
{
    struct fixture f;
    const struct hm_unit **listed;
    uint32_t *hamlets;
    size_t count;
    uint32_t id;

    begin(&f);
    take_bundled(&f);
    assert_int_equal(f.report.rejected_count, 0);
    assert_int_equal(f.report.accepted, 86);
    assert_int_equal(f.report.changed, 86);
    assert_int_equal(f.tree.count, 85);
    assert_string_equal(unit(&f, "19885")->name, "Xã Đan Điền");
    assert_string_equal(unit(&f, "19885@2025-06-30")->name, "Xã Quảng Vinh");
    assert_ptr_equal(unit(&f, "46"), unit(&f, "46@2024-01-01"));
    assert_string_equal(unit(&f, "46")->name, "Thành phố Huế");
    assert_int_equal(unit(&f, "46")->earlier_count, 1);
    assert_string_equal(unit(&f, "46")->earlier[0].name, "Tỉnh Thừa Thiên Huế");
    id = unit(&f, "19885")->id;
    CHECK_OK(hm_units_hamlets_under(&f.tree, &id, 1, &f.arena, &hamlets, &count));
    assert_int_equal(count, 32);
    for (size_t i = 1; i < count; i++) {
        assert_true(hamlets[i - 1] < hamlets[i]);
    }
    CHECK_OK(hm_units_list(&f.tree, id, HM_TEST_TODAY, &f.arena, &listed, &count));
    assert_int_equal(count, 33);
    assert_int_equal(listed[0]->id, id);
    assert_string_equal(listed[1]->code, "19885001");
    CHECK_OK(hm_units_list(&f.tree, 0, "2025-06-30", &f.arena, &listed, &count));
    assert_int_equal(count, 13); /* the province, its district, 11 communes */
    take_bundled(&f);
    assert_int_equal(f.report.changed, 0);
    assert_int_equal(f.report.accepted, 86);
    assert_int_equal(f.tree.count, 85);
    end(&f);
}

/* An officer's list of real names keeps the ids: households hang on them. */
HM_TEST(renamed_under_the_same_ids)
{
    struct fixture f;
    uint32_t id;
    uint32_t parent;

    begin(&f);
    take_bundled(&f);
    id = unit(&f, "19885003")->id;
    parent = unit(&f, "19885003")->parent;
    take(&f, "\xef\xbb\xbf"
             "name;code\r\n\r\nThôn Phú Lễ;19885003\r\n"
             "Đan Điền (mới);19885\r\n");
    assert_int_equal(f.report.rejected_count, 0);
    assert_int_equal(f.report.changed, 2);
    assert_string_equal(unit(&f, "19885003")->name, "Thôn Phú Lễ");
    assert_int_equal(unit(&f, "19885003")->id, id);
    assert_int_equal(unit(&f, "19885003")->parent, parent);
    assert_string_equal(unit(&f, "19885003")->valid_from, "2025-07-01");
    assert_string_equal(unit(&f, "19885")->name, "Đan Điền (mới)");
    assert_string_equal(unit(&f, "19885@2025-01-01")->name, "Xã Quảng Vinh");
    end(&f);
}

/* A line that makes no sense is told with its number; the others go in. */
HM_TEST(bad_lines_are_told)
{
    static const size_t lines[] = {4, 5, 6, 7, 8, 9, 10, 12, 13, 14, 16};
    struct fixture f;

    begin(&f);
    take(&f, "code,name,kind,parent,from,to,continues\n"
             "11,\"a\nquoted name\",hamlet,10,,,\n"
             "12,no kind,,10,,,\n"
             "13,wrong parent,hamlet,99,,,\n"
             "14,upside down,province,10,,,\n"
             "15,bad day,hamlet,10,2025-02-30,,\n"
             "16,backwards,hamlet,10,2025-02-02,2025-02-01,\n"
             "1 7,blank,hamlet,10,,,\n"
             "18,continues nothing,hamlet,10,2025-01-01,,99@2024-01-01\n"
             "10,commune,commune,1,,,\n"
             "10,again,hamlet,1,2020-01-01,,\n"
             "u17,an id,hamlet,10,,,\n"
             "19,,hamlet,10,,,\n"
             "1,province,province,,,,\n"
             "20,\"two\nlines\",none,10,,,\n");
    assert_int_equal(f.report.accepted, 3);
    assert_int_equal(f.report.rejected_count, 11);
    for (size_t i = 0; i < 11; i++) {
        if (f.report.rejected[i].line != lines[i]) {
            print_error("%zu: %s\n", f.report.rejected[i].line,
                        f.report.rejected[i].reason);
        }
        assert_int_equal(f.report.rejected[i].line, lines[i]);
        assert_true(f.report.rejected[i].reason[0] != 0);
    }
    assert_string_equal(unit(&f, "11")->name, "a\nquoted name");
    assert_int_equal(hm_units_import(f.node.store, hm_bytes_str("a,b\n1,2\n"),
                                     HM_TEST_TODAY, &f.arena, &f.report),
                     HM_INVALID);
    assert_int_equal(hm_units_import(f.node.store,
                                     hm_bytes_str("code,name\n1,\"open\n2,x\n"),
                                     HM_TEST_TODAY, &f.arena, &f.report),
                     HM_INVALID);
    end(&f);
}

/* Letters typed on another system are composed, not refused. */
HM_TEST(decomposed_letters)
{
    struct fixture f;

    begin(&f);
    take(&f, "code,name,kind\n1,Hue\xcc\x82\xcc\x81,province\n2,\xff,province\n");
    assert_int_equal(f.report.rejected_count, 1);
    assert_int_equal(f.report.rejected[0].line, 3);
    assert_string_equal(unit(&f, "1")->name, "Huế");
    end(&f);
}

/* A code of many owners must not silently become the wrong hamlet. */
HM_TEST(codes_used_again)
{
    struct fixture f;
    const struct hm_unit *found = NULL;

    begin(&f);
    take(&f, "code,name,kind,parent,from,to\n"
             "1,p,province,,,\n"
             "5,old,commune,1,,2010-12-31\n"
             "5,middle,commune,1,2011-01-01,2020-12-31\n"
             "6,gone,commune,1,,2020-12-31\n");
    assert_int_equal(f.report.rejected_count, 0);
    assert_int_equal(hm_units_find(&f.tree, "5", HM_TEST_TODAY, &found), HM_INVALID);
    assert_string_equal(unit(&f, "5@2010-06-06")->name, "old");
    assert_string_equal(unit(&f, "5@2011-01-01")->name, "middle");
    assert_string_equal(unit(&f, "6")->name, "gone");
    assert_int_equal(hm_units_find(&f.tree, "6@2021-01-01", HM_TEST_TODAY, &found),
                     HM_NOTFOUND);
    assert_int_equal(hm_units_find(&f.tree, "7", HM_TEST_TODAY, &found), HM_NOTFOUND);
    assert_int_equal(hm_units_find(&f.tree, "u99", HM_TEST_TODAY, &found), HM_NOTFOUND);
    assert_int_equal(
        hm_units_find(&f.tree, "u99999999999999999999", HM_TEST_TODAY, &found),
        HM_NOTFOUND);
    assert_int_equal(unit(&f, "u1")->id, 1);
    take(&f, "code,name,kind,parent,from,to\n5,clash,commune,1,2015-01-01,\n");
    assert_int_equal(f.report.rejected_count, 1);
    end(&f);
}

/* The whole country: nothing may be quadratic. */
HM_TEST(a_hundred_thousand_units)
{
    enum { COMMUNES = 100 };
    int hamlets = (int)hm_test_rounds(10, 1000, 1000);
    struct fixture f;
    struct hm_buf csv;
    uint32_t ids[COMMUNES + 1];
    uint32_t *found;
    size_t count;

    begin(&f);
    hm_buf_init(&csv, 16 * 1024 * 1024);
    hm_buf_append_str(&csv, "code,name,kind,parent\np,P,province,\n");
    for (int c = 0; c < COMMUNES; c++) {
        hm_buf_printf(&csv, "c%d,C,commune,p\n", c);
        for (int h = 0; h < hamlets; h++) {
            hm_buf_printf(&csv, "h%d-%d,H,hamlet,c%d\n", c, h, c);
        }
    }
    take(&f, hm_buf_str(&csv));
    assert_int_equal(f.report.rejected_count, 0);
    assert_int_equal(f.tree.count, 1 + COMMUNES + COMMUNES * hamlets);
    ids[0] = unit(&f, "p")->id;
    for (int c = 0; c < COMMUNES; c++) {
        char code[16];

        (void)snprintf(code, sizeof code, "c%d", c);
        ids[c + 1] = unit(&f, code)->id;
    }
    CHECK_OK(
        hm_units_hamlets_under(&f.tree, ids, COMMUNES + 1, &f.arena, &found, &count));
    assert_int_equal(count, COMMUNES * hamlets);
    CHECK_OK(hm_units_ancestors(&f.tree, found, count, &f.arena, &found, &count));
    assert_int_equal(count, f.tree.count);
    assert_true(hm_units_is_under(&f.tree, unit(&f, "h7-9")->id, ids[8]));
    assert_false(hm_units_is_under(&f.tree, unit(&f, "h7-9")->id, ids[9]));
    assert_true(hm_units_is_under(&f.tree, ids[3], ids[3]));
    assert_string_equal(hm_units_code_of(&f.tree, ids[3]), "c2");
    assert_string_equal(hm_units_code_of(&f.tree, 4000000), "");
    hm_buf_deinit(&csv);
    end(&f);
}

/* Days come from people. */
HM_TEST(days)
{
    assert_true(hm_units_is_day("2024-02-29"));
    assert_false(hm_units_is_day("2023-02-29"));
    assert_false(hm_units_is_day("2100-02-29"));
    assert_true(hm_units_is_day("2000-02-29"));
    assert_false(hm_units_is_day("2024-13-01"));
    assert_false(hm_units_is_day("2024-1-01"));
    assert_false(hm_units_is_day("2024-04-31"));
    assert_false(hm_units_is_day(""));
}

/* Found by fuzzing: the lines of an old Mac were counted as one, and the separator was
 * looked for in all of them. */
HM_TEST(lines_may_end_with_a_carriage_return)
{
    struct fixture f;

    begin(&f);
    take(&f,
         "code,name,kind\r46,Hue;A;B;C;D,province\rx,;;;;;,province\r47,,province\r");
    assert_int_equal(f.report.accepted, 2);
    assert_int_equal(f.report.rejected_count, 1);
    assert_int_equal(f.report.rejected[0].line, 4);
    end(&f);
}
