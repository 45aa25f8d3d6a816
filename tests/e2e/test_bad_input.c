/* What people get wrong: each is answered with one line and the right exit code, and
 * changes nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/e2e_data.h"
#include "tests/support/test.h"

enum { HOUSEHOLDS = 60 };

/* --- joining --- */

/* The code with one character of it replaced by another of its kind. */
static const char *with_changed(const char *code, size_t at)
{
    char text[512];

    (void)snprintf(text, sizeof text, "%s", code);
    /* Codes are read out: 'a' and 'A' are one. */
    text[at] = text[at] == 'A' || text[at] == 'a' ? 'b' : 'a';
    return json_string_value(e2e_keep(json_string(text)));
}

struct joining {
    struct e2e_node *centre;
    struct e2e_node *laptop;
    const char *code;
};

static struct joining begin_joining(void)
{
    static const char *const scopes[] = {E2E_HAMLET_A, NULL};
    struct joining j = {.centre = e2e_centre(false)};

    j.laptop = e2e_init(&(struct e2e_options){.name = "a"});
    CHECK_OK(hm_proxy_start(j.centre->hub_port, 0, &j.laptop->proxy));
    e2e_start(j.laptop);
    j.code = e2e_invite(j.centre, "a", hm_proxy_port(j.laptop->proxy), scopes);
    return j;
}

HM_TEST(a_wrong_secret_joins_nothing)
{
    struct joining j = begin_joining();
    size_t secret = (size_t)(strchr(j.code + 9, '/') - j.code) + 1;

    (void)e2e_refused(j.laptop, E2E_FAILED, "enroll", with_changed(j.code, secret),
                      NULL);
    assert_string_equal(e2e_str(e2e_ok(j.laptop, "status", NULL), "role"), "new");
    e2e_step("the right one still works, once");
    (void)e2e_ok(j.laptop, "enroll", j.code, NULL);
    assert_string_equal(e2e_str(e2e_ok(j.laptop, "status", NULL), "role"), "laptop");
    e2e_finish();
}

/* Another server answers at the address, with its own key: the secret must not reach
 * it. */
HM_TEST(a_wrong_key_gets_no_request)
{
    struct joining j = begin_joining();

    (void)e2e_refused(j.laptop, E2E_FAILED, "enroll",
                      with_changed(j.code, (size_t)(strchr(j.code, '#') - j.code) + 2),
                      NULL);
    assert_int_equal(hm_proxy_counters(j.laptop->proxy).requests, 0);
    assert_string_equal(e2e_str(e2e_ok(j.laptop, "status", NULL), "role"), "new");
    e2e_finish();
}

HM_TEST(a_code_works_once)
{
    struct joining j = begin_joining();
    struct e2e_node *other = e2e_init(&(struct e2e_options){.name = "b"});

    (void)e2e_ok(j.laptop, "enroll", j.code, NULL);
    e2e_start(other);
    (void)e2e_refused(other, E2E_FAILED, "enroll", j.code, NULL);
    assert_string_equal(e2e_str(e2e_ok(other, "status", NULL), "role"), "new");
    e2e_finish();
}

HM_TEST(what_is_no_code_is_refused)
{
    static const char *const codes[] = {"", "hello", "hamlet://",
                                        "hamlet://127.0.0.1:1/x#y",
                                        "https://127.0.0.1:8471/secret#hash"};
    struct e2e_node *laptop = e2e_init(&(struct e2e_options){.name = "a"});

    e2e_start(laptop);
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        int code = e2e_cli(laptop, "enroll", codes[i], NULL)->exit_code;

        e2e_step("'%s': exit %d", codes[i], code);
        assert_true(code == E2E_FAILED || code == E2E_USAGE);
    }
    e2e_finish();
}

/* A node that belongs to nobody takes no data: it could go nowhere. */
HM_TEST(a_new_node_takes_no_saves)
{
    struct e2e_node *laptop = e2e_init(&(struct e2e_options){.name = "a"});
    const char *save = e2e_path("save.json");

    e2e_start(laptop);
    e2e_write_file(save,
                   e2e_text(e2e_keep(e2e_new_save(E2E_HAMLET_A, "Lê Thị Sớm", 1))));
    (void)e2e_refused(laptop, E2E_FAILED, "household", "put", save, NULL);
    e2e_finish();
}

/* The id of the only device with this name. */
static const char *device_named(struct e2e_node *hub, const char *name)
{
    const json_t *list = e2e_ok(hub, "device", "list", NULL);
    json_t *entry;
    size_t at;

    json_array_foreach(list, at, entry)
    {
        if (strcmp(e2e_str(entry, "name"), name) == 0) {
            return e2e_str(entry, "id");
        }
    }
    e2e_fail("no device %s in %s", name, e2e_text(list));
}

/* A stolen laptop gets nothing, and what it gives waits apart; it keeps its own. */
HM_TEST(a_revoked_device_is_refused_and_keeps_its_work)
{
    struct e2e_commune commune = e2e_commune(HOUSEHOLDS);
    const struct e2e_result *result;
    const char *id;

    e2e_pause(commune.a);
    (void)e2e_ok(commune.centre, "device", "revoke", device_named(commune.centre, "a"),
                 NULL);
    id = e2e_add(commune.a, E2E_HAMLET_A, "Lê Thị Muộn", 2);
    result = e2e_cli(commune.a, "sync", "--wait", "10", "--json", NULL);
    assert_int_equal(result->exit_code, E2E_FAILED);
    assert_string_equal(e2e_str(result->json, "result"), "refused");
    assert_int_equal(e2e_int(e2e_ok(commune.centre, "status", NULL), "quarantine"), 1);
    assert_int_equal(e2e_count(e2e_show(commune.centre, id), "rows"), 0);
    e2e_check_field(commune.a, id, "head_name", "Lê Thị Muộn");
    e2e_step("the other laptop is not touched by that");
    (void)e2e_sync(commune.b);
    e2e_finish();
}

/* --- saves --- */

static void check_refused_save(struct e2e_node *node, json_t *save)
{
    const char *path = e2e_path("save.json");
    const struct e2e_result *result;

    e2e_write_file(path, e2e_text(e2e_keep(save)));
    result = e2e_refused(node, E2E_FAILED, "household", "put", path, NULL);
    e2e_step("%s", result->err);
}

/* save with one of its members set; the reference to value is taken. */
static json_t *with(json_t *save, const char *name, json_t *value)
{
    (void)json_object_set_new(save, name, value);
    return save;
}

/* A save that makes no sense is refused whole. */
HM_TEST(senseless_saves_change_nothing)
{
    struct e2e_commune commune = e2e_commune(HOUSEHOLDS);
    struct e2e_node *a = commune.a;
    const char *digest = e2e_digest(a, E2E_HAMLET_A);
    const char *id = e2e_id_at(e2e_households(a, E2E_HAMLET_A), 0);
    const char *foreign = e2e_id_at(e2e_households(commune.b, E2E_HAMLET_B), 0);

    check_refused_save(a, with(e2e_field_save(id, "phone", "0905000000"), "form",
                               json_string("no_such_form")));
    check_refused_save(a, e2e_field_save(id, "no_such_field", "x"));
    check_refused_save(a, with(e2e_field_save(id, "phone", "0905000000"), "round",
                               json_string("1999")));
    check_refused_save(a, e2e_field_save("0123456789abcdef.1", "phone", "0905000000"));
    check_refused_save(a, e2e_field_save("not-an-id", "phone", "0905000000"));
    check_refused_save(a, e2e_field_save(foreign, "phone", "0905000000"));
    check_refused_save(a, e2e_new_save("99999999", "Lê Thị Đâu", 1));
    check_refused_save(a, e2e_new_save(E2E_HAMLET_B, "Lê Thị Xa", 1));
    check_refused_save(a, with(e2e_field_save(id, "phone", "0905000000"), "values",
                               json_string("text")));
    check_refused_save(a, with(e2e_field_save(id, "phone", "0905000000"), "rows",
                               json_pack("[{s:s,s:s,s:{}}]", "repeat", "members",
                                         "item", "0123456789abcdef.1.1", "values")));
    check_refused_save(a, with(e2e_field_save(id, "phone", "0905000000"), "rows",
                               json_pack("[{s:s,s:n,s:{}}]", "repeat", "no_such_repeat",
                                         "item", "values")));
    assert_string_equal(e2e_digest(a, E2E_HAMLET_A), digest);
    e2e_finish();
}

HM_TEST(what_is_no_json_is_refused)
{
    static const char *const texts[] = {"",
                                        "{",
                                        "[]",
                                        "null",
                                        "{\"household\":",
                                        "{\"form\":\"register\",\"form\":\"review\"}",
                                        "\xff\xfe"};
    struct e2e_node *centre = e2e_centre(false);
    char *deep = calloc(1, 100001);

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        e2e_step("put '%s'", texts[i]);
        assert_int_equal(
            e2e_cli_input(centre, texts[i], "household", "put", NULL)->exit_code,
            E2E_FAILED);
    }
    assert_non_null(deep);
    memset(deep, '[', 100000);
    assert_int_equal(e2e_cli_input(centre, deep, "household", "put", NULL)->exit_code,
                     E2E_FAILED);
    free(deep);
    assert_int_equal(e2e_household_count(centre), 0);
    e2e_finish();
}

/* --- exit codes --- */

HM_TEST(wrong_usage_is_exit_2)
{
    struct e2e_node *node = e2e_init(&(struct e2e_options){.name = "a"});

    e2e_start(node);
    assert_int_equal(e2e_cli(node, "no-such-command", NULL)->exit_code, E2E_USAGE);
    assert_int_equal(e2e_cli(node, NULL)->exit_code, E2E_USAGE);
    assert_int_equal(e2e_cli(node, "household", "show", NULL)->exit_code, E2E_USAGE);
    assert_int_equal(e2e_cli(node, "status", "--no-such-option", NULL)->exit_code,
                     E2E_USAGE);
    assert_int_equal(e2e_cli(node, "sync", "--wait", "soon", NULL)->exit_code,
                     E2E_USAGE);
    e2e_step("help is no mistake");
    assert_int_equal(e2e_cli(node, "household", "put", "--help", NULL)->exit_code,
                     E2E_DONE);
    e2e_finish();
}

HM_TEST(a_node_that_does_not_run_is_exit_3)
{
    struct e2e_node *node = e2e_init(&(struct e2e_options){.name = "a"});

    (void)e2e_refused(node, E2E_NOT_RUNNING, "status", NULL);
    (void)e2e_refused(node, E2E_NOT_RUNNING, "sync", NULL);
    e2e_step("nor after a kill, which leaves the socket's file behind");
    e2e_start(node);
    e2e_kill(node, 9);
    (void)e2e_refused(node, E2E_NOT_RUNNING, "status", NULL);
    e2e_step("and it starts again in spite of that file");
    e2e_start(node);
    e2e_finish();
}

HM_TEST(a_user_without_the_right_is_exit_4)
{
    struct e2e_node *centre = e2e_centre(false);

    (void)e2e_refused(centre, E2E_NOT_ALLOWED, "--as", "nobody", "device", "list",
                      NULL);
    (void)e2e_refused(centre, E2E_NOT_ALLOWED, "--as", "nobody", "household", "list",
                      NULL);
    e2e_finish();
}

/* --- imports --- */

static const char bad_csv[] =
    "scope,head_name,phone,members[1].name,members[1].sex,members[1].birth_year\n"
    "19885001,Nguyễn Văn Một,0905000001,Nguyễn Văn Một,1,1961\n"
    "19885001,Nguyễn Văn Hai,0905000002,Nguyễn Văn Hai,1,1962\n"
    "99999999,Nguyễn Văn Lạc,0905000003,Nguyễn Văn Lạc,1,1963\n"
    "19885002,\"Nguyễn Văn \"\"Ba\"\", cụ\",0905000004,Nguyễn Văn Ba,1,1964\n"
    ",Nguyễn Văn Trống,0905000005,Nguyễn Văn Trống,1,1965\n"
    "19885003,Nguyễn Văn \xff\xfe,0905000006,Nguyễn Văn Hỏng,1,1966\n"
    "19885003,Nguyễn Văn Bốn,0905000007,Nguyễn Văn Bốn,1,1967\n";

static void check_rejected(const json_t *report)
{
    static const int lines[] = {4, 6, 7};

    assert_int_equal(e2e_count(report, "rejected"), 3);
    for (size_t i = 0; i < 3; i++) {
        char path[32];

        (void)snprintf(path, sizeof path, "rejected.%zu.line", i);
        assert_int_equal(e2e_int(report, path), lines[i]);
        (void)snprintf(path, sizeof path, "rejected.%zu.reason", i);
        assert_string_not_equal(e2e_str(report, path), "");
    }
}

/* The good lines get in, the bad ones come back in a file to be mended; a second run is
 * harmless, since people do run it again. */
HM_TEST(bad_lines_are_given_back_and_good_ones_taken_once)
{
    struct e2e_node *centre = e2e_centre(false);
    const char *file = e2e_path("village.csv");
    const struct e2e_result *result;
    const char *digest;

    e2e_write_file(file, bad_csv);
    result = e2e_cli(centre, "import", file, "--form", "register", "--json", NULL);
    assert_int_equal(result->exit_code, E2E_PARTLY);
    assert_int_equal(e2e_int(result->json, "accepted"), 4);
    check_rejected(result->json);
    assert_int_equal(e2e_household_count(centre), 4);
    assert_non_null(strstr(e2e_read_file(e2e_path("village.rejected.csv")),
                           "99999999,Nguyễn Văn Lạc"));

    e2e_step("the same file again");
    digest = e2e_digest(centre, E2E_HAMLET_A);
    result = e2e_cli(centre, "import", file, "--form", "register", "--json", NULL);
    assert_int_equal(result->exit_code, E2E_PARTLY);
    check_rejected(result->json);
    assert_int_equal(e2e_int(result->json, "duplicates"), 4);
    assert_int_equal(e2e_int(result->json, "accepted"), 0);
    assert_int_equal(e2e_household_count(centre), 4);
    assert_string_equal(e2e_digest(centre, E2E_HAMLET_A), digest);
    e2e_finish();
}

/* Excel's way: a byte order mark and semicolons. */
HM_TEST(a_file_from_excel_is_read)
{
    struct e2e_node *centre = e2e_centre(false);
    const char *file = e2e_path("excel.csv");
    const char *id;

    e2e_write_file(file, "\xef\xbb\xbfscope;head_name;phone\r\n"
                         "19885001;Đặng Thị Năm;0905000008\r\n");
    assert_int_equal(
        e2e_int(e2e_ok(centre, "import", file, "--form", "register", NULL), "accepted"),
        1);
    id = e2e_id_at(e2e_households(centre, E2E_HAMLET_A), 0);
    e2e_check_field(centre, id, "head_name", "Đặng Thị Năm");
    e2e_finish();
}

HM_TEST(a_file_that_is_no_table_is_refused)
{
    struct e2e_node *centre = e2e_centre(false);
    const char *file = e2e_path("no-table.csv");

    (void)e2e_refused(centre, E2E_FAILED, "import", e2e_path("none.csv"), "--form",
                      "register", NULL);
    e2e_write_file(file, "");
    (void)e2e_refused(centre, E2E_FAILED, "import", file, "--form", "register", NULL);
    e2e_write_file(file, "scope,no_such_field\n19885001,x\n");
    (void)e2e_refused(centre, E2E_FAILED, "import", file, "--form", "register", NULL);
    e2e_write_file(file, "scope,head_name\n19885001,x\n");
    (void)e2e_refused(centre, E2E_FAILED, "import", file, "--form", "no_such_form",
                      NULL);
    assert_int_equal(e2e_household_count(centre), 0);
    e2e_finish();
}
