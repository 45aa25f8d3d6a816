/* Import and export. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/support/api.h"
#include "tests/support/commune_csv.h"

static struct hm_test_api api;

static const char *at(const char *path)
{
    return hm_test_api_at(&api, path);
}

static unsigned import(const char *csv)
{
    return hm_test_api_upload(&api, "import?name=a.csv", "text/csv", hm_bytes_str(csv));
}

/* What spreadsheets do to a file: mark, semicolons, blanks, marks apart from letters,
 * lines in quotes. Bad lines are named by the line on which they begin. */
HM_TEST(spreadsheets_are_read)
{
    static const char csv[] =
        "\xEF\xBB\xBF"
        "scope;head_name;note;members[1].name;members[1].birth_year;hamlet_reason\r\n"
        "19885001; Nguye\xCC\x82\xCC\x83n Lan ;\"one\ntwo; three\";Lan;1961;x\r\n"
        "\r\n"
        "nowhere;A;;;;\r\n"
        "19885001;B;;B;19x61;\r\n"
        "19885002;C;;;;\r\n"
        "19885002;D;;;;;;too;many\r\n"
        "19885002\r\n";

    hm_test_api_open(&api);
    assert_int_equal(import(csv), 200);
    assert_string_equal(at("accepted"), "2");
    assert_string_equal(at("duplicates"), "0");
    assert_int_equal(hm_test_api_count(&api, "rejected"), 4);
    assert_string_equal(at("rejected.0.line"), "5");
    assert_non_null(strstr(at("rejected.0.reason"), "nowhere"));
    assert_string_equal(at("rejected.1.line"), "6");
    assert_non_null(strstr(at("rejected.1.reason"), "birth_year"));
    assert_string_equal(at("rejected.2.line"), "8");
    assert_string_equal(at("rejected.3.line"), "9");
    /* The same file again: nothing. */
    assert_int_equal(import(csv), 200);
    assert_string_equal(at("accepted"), "0");
    assert_string_equal(at("duplicates"), "2");
    assert_int_equal(hm_test_api_get(&api, "households?where=note~three"), 200);
    assert_int_equal(hm_test_api_count(&api, ""), 1);
    assert_string_equal(at("0.head_name"), "Nguyễn Lan");
    assert_string_equal(at("0.members"), "1");
    hm_test_api_close(&api);
}

/* A file that cannot be meant is refused whole, before anything is saved. */
HM_TEST(bad_files_are_refused)
{
    static const struct {
        const char *csv;
        const char *says;
    } cases[] = {
        {"head_name\nA\n", "scope"},
        {"scope,nothing\n19885001,A\n", "nothing"},
        {"scope,head_name,head_name\n19885001,A,B\n", "twice"},
        {"scope,members[0].name\n19885001,A\n", "from 1"},
        {"scope,people[1].name\n19885001,A\n", "people"},
        {"scope,head_name,members[1].nothing\n", "nothing"},
        {"\n\n", "first line"},
        {"\xFF\xFE,scope\n", "UTF-8"},
    };

    hm_test_api_open(&api);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsigned status = import(cases[i].csv);

        if (status != 400 || strstr(at("detail"), cases[i].says) == NULL) {
            fail_msg("%s: %u %s", cases[i].csv, status, at("detail"));
        }
    }
    assert_int_equal(hm_test_api_upload(&api, "import", "text/csv",
                                        hm_bytes_str("scope,head_name\n19885001,A\n")),
                     400);
    assert_int_equal(hm_test_api_upload(&api, "import?name=a", "text/plain",
                                        hm_bytes_str("scope,head_name\n19885001,A\n")),
                     415);
    assert_int_equal(hm_test_api_upload(&api, "import?name=a&form=none", "text/csv",
                                        hm_bytes_str("scope,head_name\n19885001,A\n")),
                     404);
    assert_int_equal(hm_test_api_get(&api, "households"), 200);
    assert_int_equal(hm_test_api_count(&api, ""), 0);
    hm_test_api_close(&api);
}

/* What was exported, corrected and imported again changes what was corrected, and the
 * same rows. */
HM_TEST(an_export_can_be_imported)
{
    char *text;
    char *year;

    hm_test_api_open(&api);
    (void)hm_test_api_household(&api, "Lan, \\\"the tall\\\"", "0905000001");
    (void)hm_test_api_household(&api, "Huệ", "0905000002");
    assert_int_equal(hm_test_api_get(&api, "export"), 200);
    assert_non_null(strstr(api.text, "household,scope,head_name"));
    assert_non_null(strstr(api.text, "members[2].name"));
    assert_non_null(strstr(api.text, "\"Lan, \"\"the tall\"\"\""));
    text = strdup(api.text);
    assert_int_equal(import(text), 200);
    assert_string_equal(at("accepted"), "0");
    assert_string_equal(at("duplicates"), "2");
    year = strstr(text, "1961");
    assert_non_null(year);
    memcpy(year, "1962", 4);
    assert_int_equal(import(text), 200);
    free(text);
    assert_string_equal(at("accepted"), "1");
    assert_int_equal(
        hm_test_api_get(&api, "households?where=members.birth_year%3D1962"), 200);
    assert_int_equal(hm_test_api_count(&api, ""), 1);
    assert_string_equal(at("0.members"), "2");
    assert_int_equal(hm_test_api_get(&api, "export?format=jsonl&scope=19885001"), 200);
    assert_non_null(strchr(api.text, '\n'));
    assert_int_equal(hm_test_api_get(&api, "export?format=pdf"), 400);
    assert_int_equal(hm_test_api_get(&api, "export?form=none"), 404);
    assert_int_equal(hm_test_api_get(&api, "export?form=review"), 400);
    assert_int_equal(hm_test_api_get(&api, "export?round=none"), 404);
    hm_test_api_close(&api);
}

/* A commune's file, clean or as it comes: many batches, and a list that goes to a
 * file. */
HM_TEST(a_commune_is_imported)
{
    static const char *const hamlets[] = {"19885001", "19885002", "19885003"};
    const char *wanted = getenv("HM_IMPORT_LINES");
    size_t lines = wanted == NULL ? 3000 : strtoul(wanted, NULL, 10);
    struct hm_commune_csv csv = {.seed = 7,
                                 .hamlets = hamlets,
                                 .hamlet_count = 3,
                                 .member_columns = HM_COMMUNE_MEMBERS_MAX,
                                 .messy = wanted == NULL};
    struct hm_buf text;
    size_t bad = 0;
    struct timespec before;
    struct timespec after;

    hm_test_api_open(&api);
    hm_buf_init(&text, 512 * 1024 * 1024);
    hm_commune_csv_header(&csv, &text);
    for (size_t i = 0; i < lines; i++) {
        bad += hm_commune_csv_line(&csv, i, &text) != NULL ? 1 : 0;
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &before);
    assert_int_equal(
        hm_test_api_upload(&api, "import?name=a.csv", "text/csv", hm_buf_bytes(&text)),
        200);
    if (wanted != NULL) {
        (void)clock_gettime(CLOCK_MONOTONIC, &after);
        print_message("%zu lines in %.1f s\n", lines,
                      (double)(after.tv_sec - before.tv_sec) +
                          (double)(after.tv_nsec - before.tv_nsec) / 1e9);
    }
    assert_true(api.calls > lines / 1000);
    assert_int_equal(atoi(at("accepted")), lines - bad);
    assert_int_equal(hm_test_api_count(&api, "rejected"), bad);
    assert_int_equal(
        hm_test_api_upload(&api, "import?name=a.csv", "text/csv", hm_buf_bytes(&text)),
        200);
    assert_int_equal(atoi(at("duplicates")), lines - bad);
    hm_buf_deinit(&text);
    assert_int_equal(hm_test_api_get(&api, "export?format=jsonl"), 200);
    assert_true(strlen(api.text) > 2 * 1024 * 1024);
    assert_int_equal(hm_test_api_get(&api, "households"), 200);
    assert_int_equal(hm_test_api_count(&api, ""), lines - bad);
    hm_test_api_close(&api);
}
