#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/api.h"

static struct hm_test_api api;

static const char *at(const char *path)
{
    return hm_test_api_at(&api, path);
}

static unsigned get(const char *format, const char *id)
{
    char path[512];

    (void)snprintf(path, sizeof path, format, id);
    return hm_test_api_get(&api, path);
}

/* What a person types comes back as it was meant, with every item named. */
HM_TEST(a_save_is_shown)
{
    const char *id;

    hm_test_api_open(&api);
    id = hm_test_api_household(&api, "Nguyễn Thị Lan", "0905123456");
    assert_int_equal(hm_test_api_count(&api, "items"), 2);
    assert_int_equal(hm_test_api_count(&api, "findings"), 0);
    assert_int_equal(get("households/%s", id), 200);
    assert_string_equal(at("household"), id);
    assert_string_equal(at("scope"), HM_TEST_HAMLET);
    assert_int_equal(at("scope_id")[0], 'u');
    assert_int_equal(hm_test_api_count(&api, "rows"), 3);
    assert_string_equal(at("rows.0.repeat"), "null");
    assert_string_equal(at("rows.0.values.head_name"), "Nguyễn Thị Lan");
    assert_string_equal(at("rows.1.repeat"), "members");
    assert_string_equal(at("rows.1.values.birth_year"), "1961");
    assert_int_equal(strlen(at("digest")), 32);
    assert_int_equal(hm_test_api_get(&api, "households"), 200);
    assert_int_equal(hm_test_api_count(&api, ""), 1);
    assert_string_equal(at("0.members"), "2");
    assert_string_equal(at("0.head_name"), "Nguyễn Thị Lan");
    hm_test_api_close(&api);
}

/* A second save writes the difference, a third one nothing; rows go and null clears. */
HM_TEST(a_save_changes_what_differs)
{
    char path[200];
    char body[400];
    char item[80];
    char id[64];

    hm_test_api_open(&api);
    (void)snprintf(id, sizeof id, "%s",
                   hm_test_api_household(&api, "Lan", "0905123456"));
    (void)snprintf(item, sizeof item, "%s", at("items.1"));
    (void)snprintf(path, sizeof path, "households/%s/forms/register", id);
    (void)snprintf(
        body, sizeof body,
        "{\"values\":{\"phone\":null,\"head_name\":\"\"},\"rows\":[{\"repeat\":"
        "\"members\",\"item\":\"%s\",\"removed\":true}]}",
        item);
    assert_int_equal(hm_test_api_post(&api, path, body), 200);
    assert_int_equal(hm_test_api_count(&api, "findings"), 1);
    assert_string_equal(at("findings.0.field"), "head_name");
    assert_int_equal(hm_test_api_post(&api, path, "{\"values\":{\"phone\":null}}"),
                     200);
    assert_string_equal(at("change"), "null");
    assert_int_equal(get("households/%s?history=1", id), 200);
    assert_int_equal(hm_test_api_count(&api, "rows"), 2);
    assert_string_equal(at("rows.0.values.phone"), "null");
    assert_int_equal(hm_test_api_count(&api, "history"), 2);
    assert_int_equal(hm_test_api_count(&api, "history.0.cells"), 3);
    assert_string_equal(at("history.0.who"), "operator@centre");
    assert_string_equal(at("history.0.cells.0.cell"), "register:head_name");
    assert_string_equal(at("history.0.cells.0.replaced.0.value"), "Lan");
    hm_test_api_close(&api);
}

struct bad {
    const char *body;
    unsigned status;
    const char *says; /* a part of detail */
};

/* What cannot be meant is refused with one line, and nothing of it is saved. */
HM_TEST(bad_saves_change_nothing)
{
#define SAVE "{\"scope\":\"" HM_TEST_HAMLET "\",\"form\":\"register\","
    static const struct bad cases[] = {
        {"{", 400, "not JSON"},
        {"[]", 400, "not a JSON object"},
        {"{\"form\":\"register\",\"form\":\"register\"}", 400, "not JSON"},
        {SAVE "\"valeus\":{}}", 400, "valeus"},
        {SAVE "\"values\":{\"nothing\":\"1\"}}", 400, "nothing"},
        {SAVE "\"values\":{\"head_name\":{}}}", 400, "head_name"},
        {SAVE "\"values\":[1]}", 400, "values"},
        {SAVE "\"values\":{\"head_name\":\"A\"},\"round\":\"2026\"}", 404, "2026"},
        {SAVE "\"values\":{\"head_name\":\"A\"},\"rows\":[{\"repeat\":\"x\"}]}", 400,
         "repeat x"},
        {SAVE "\"rows\":[{\"repeat\":\"members\",\"values\":{\"birth_year\":\"x\"}}]}",
         400, "birth_year"},
        {SAVE "\"rows\":[{\"repeat\":\"members\",\"values\":{\"sex\":\"9\"}}]}", 400,
         "sex"},
        {SAVE "\"rows\":[{\"repeat\":\"members\",\"item\":\"1.1.1\",\"values\":{}}]}",
         404, "item"},
        {SAVE "\"rows\":[{\"repeat\":\"members\",\"removed\":true}]}", 400, "new row"},
        {SAVE "\"values\":{}}", 400, "at least one answer"},
        {"{\"form\":\"register\",\"values\":{\"head_name\":\"A\"}}", 400, "scope"},
        {"{\"scope\":\"nowhere\",\"form\":\"register\"}", 404, "nowhere"},
        {"{\"scope\":\"19885\",\"form\":\"register\"}", 400, "not a hamlet"},
        {"{\"scope\":\"" HM_TEST_HAMLET "\",\"form\":\"nothing\"}", 404, "nothing"},
        {"{\"scope\":\"" HM_TEST_HAMLET "\",\"form\":\"review\"}", 400, "round"},
        {"{\"household\":\"1.1\",\"form\":\"register\"}", 404, "not on this node"},
        {"{\"household\":\"x\",\"form\":\"register\"}", 400, "not the id"},
        {"{\"household\":7,\"form\":\"register\"}", 400, "household"},
    };
#undef SAVE

    hm_test_api_open(&api);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsigned status = hm_test_api_post(&api, "households", cases[i].body);

        if (status != cases[i].status || strstr(at("detail"), cases[i].says) == NULL) {
            fail_msg("%s: %u %s", cases[i].body, status, at("detail"));
        }
        assert_int_equal(atoi(at("status")), cases[i].status);
    }
    assert_int_equal(hm_test_api_get(&api, "households"), 200);
    assert_int_equal(hm_test_api_count(&api, ""), 0);
    hm_test_api_close(&api);
}

/* The routes themselves: methods, queries, media types, unknown paths. */
HM_TEST(requests_are_checked)
{
    hm_test_api_open(&api);
    assert_int_equal(hm_api_kind("GET", "/api/v1/households/1.1"), HM_API_READ);
    assert_int_equal(hm_api_kind("POST", "/api/v1/households/1.1/forms/f"),
                     HM_API_WRITE);
    assert_int_equal(hm_api_kind("POST", "/api/v1/import"), HM_API_UPLOAD);
    assert_int_equal(hm_api_kind("GET", "/api/v1/status"), HM_API_LOOP);
    assert_int_equal(hm_api_kind("GET", "/api/v1/nothing"), HM_API_NONE);
    assert_int_equal(hm_api_kind("GET", "/api/v2/households"), HM_API_NONE);
    assert_int_equal(hm_test_api_get(&api, "nothing"), 404);
    assert_int_equal(hm_test_api_get(&api, "import"), 405);
    assert_int_equal(hm_test_api_get(&api, "households?x=1"), 400);
    assert_int_equal(hm_test_api_get(&api, "households?where=%zz"), 400);
    assert_int_equal(hm_test_api_get(&api, "households/1.1"), 404);
    assert_int_equal(hm_test_api_get(&api, "households/1.1?history=2"), 400);
    assert_int_equal(hm_test_api_get(&api, "households?scope=nowhere"), 404);
    assert_int_equal(hm_test_api_ask(&api, "POST", "/api/v1/households", NULL,
                                     "text/plain", hm_bytes_str("{}")),
                     415);
    assert_int_equal(hm_test_api_ask(&api, "POST", "/api/v1/households", NULL, NULL,
                                     hm_bytes_of(NULL, 0)),
                     400);
    hm_test_api_close(&api);
}

/* Filters find people by any part of their name, typed without marks. */
HM_TEST(lists_are_filtered)
{
    static const struct {
        const char *where;
        int count; /* -1: refused */
    } cases[] = {
        {"head_name~nguyen", 2},
        {"head_name~NGUY%E1%BB%84N", 2},
        {"head_name~dao", 1},
        {"head_name%3D%22Nguy%E1%BB%85n Lan%22", 1},
        {"head_name!%3DLan", 3},
        {"head_name~nguyen and phone%3D0905000002", 1},
        {"members.name~ti", 3},
        {"members.birth_year<1962", 3},
        {"members%3D2", 3},
        {"conflicts>0", 0},
        {"findings%3D0", 3},
        {"nothing%3D1", -1},
        {"head_name", -1},
        {"head_name~a or phone%3D1", 0},
        {"conflicts>x", -1},
        {"head_name%3D%22a", -1},
        {"", -1},
    };
    char path[300];

    hm_test_api_open(&api);
    (void)hm_test_api_household(&api, "Nguyễn Lan", "0905000001");
    (void)hm_test_api_household(&api, "Nguyễn Huệ", "0905000002");
    (void)hm_test_api_household(&api, "Đào Tấn", "0905000003");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsigned status;

        (void)snprintf(path, sizeof path, "households?where=%s", cases[i].where);
        status = hm_test_api_get(&api, path);
        if (cases[i].count < 0
                ? status != 400
                : status != 200 || hm_test_api_count(&api, "") != cases[i].count) {
            fail_msg("%s: %u %d %s", cases[i].where, status,
                     hm_test_api_count(&api, ""), at("detail"));
        }
    }
    assert_int_equal(hm_test_api_get(&api, "households?scope=" HM_TEST_OTHER_HAMLET),
                     200);
    assert_int_equal(hm_test_api_count(&api, ""), 0);
    assert_int_equal(hm_test_api_get(&api, "households?scope=19885"), 200);
    assert_int_equal(hm_test_api_count(&api, ""), 3);
    hm_test_api_close(&api);
}

/* Rights decide, and a full disk stops saves but not reading. */
HM_TEST(who_may_what)
{
    hm_test_api_open(&api);
    assert_int_equal(hm_test_api_post(&api, "users",
                                      "{\"name\":\"seer\",\"role\":\"viewer\",\"unit\":"
                                      "\"19885\",\"passphrase\":\"long enough\"}"),
                     201);
    (void)hm_test_api_household(&api, "Lan", "0905000001");
    api.user = "seer";
    assert_int_equal(hm_test_api_get(&api, "households"), 200);
    assert_int_equal(hm_test_api_count(&api, ""), 1);
    assert_int_equal(hm_test_api_post(&api, "households", "{}"), 403);
    assert_int_equal(hm_test_api_get(&api, "export"), 403);
    assert_int_equal(hm_test_api_post(&api, "verify", ""), 403);
    api.user = "nobody";
    assert_int_equal(hm_test_api_get(&api, "households"), 403);
    api.user = NULL;
    api.node.saves_refused = true;
    assert_int_equal(hm_test_api_post(&api, "households", "{}"), 507);
    assert_non_null(strstr(at("detail"), "MB free"));
    assert_int_equal(hm_test_api_get(&api, "households"), 200);
    hm_test_api_close(&api);
}

/* A line that is cut within a letter would be left out as a whole. */
HM_TEST(a_long_reason_is_cut_at_a_letter)
{
    hm_test_api_open(&api);
    for (int extra = 0; extra < 3; extra++) {
        char body[2048] = "{\"scope\":\"" HM_TEST_HAMLET "\",\"form\":\"";
        size_t len = strlen(body);

        memset(body + len, 'x', (size_t)extra);
        body[len + (size_t)extra] = 0;
        for (int i = 0; i < 300; i++) {
            (void)strcat(body, "ế");
        }
        (void)strcat(body, "\",\"values\":{}}");
        assert_int_equal(hm_test_api_post(&api, "households", body), 404);
        assert_non_null(strstr(at("detail"), "ếếếế"));
    }
    hm_test_api_close(&api);
}
