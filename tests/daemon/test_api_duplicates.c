/* Duplicates as people see and decide them. */
#include <stdio.h>
#include <string.h>

#include "tests/support/api.h"

static struct hm_test_api api;
static char a[64];
static char b[64];

static const char *at(const char *path)
{
    return hm_test_api_at(&api, path);
}

static unsigned save(const char *name, const char *id_number, char out[64])
{
    char body[600];
    unsigned status;

    (void)snprintf(
        body, sizeof body,
        "{\"scope\":\"" HM_TEST_HAMLET "\",\"form\":\"register\",\"values\":"
        "{\"head_name\":\"%s\"},\"rows\":[{\"repeat\":\"members\",\"values\":"
        "{\"name\":\"%s\",\"birth_year\":1961,\"id_number\":\"%s\"}}]}",
        name, name, id_number);
    status = hm_test_api_post(&api, "households", body);
    (void)snprintf(out, 64, "%s", at("household"));
    return status;
}

static void begin(void)
{
    hm_test_api_open(&api);
    assert_int_equal(save("Nguyễn Thị Đào", "046061000001", a), 201);
    assert_int_equal(hm_test_api_count(&api, "duplicates"), 0);
    assert_int_equal(save("NGUYEN THI DAO", "046061000001", b), 201);
}

static unsigned apart(const char *id, const char *other)
{
    char path[100];
    char body[100];

    (void)snprintf(path, sizeof path, "duplicates/%s/apart", id);
    (void)snprintf(body, sizeof body, "{\"other\":\"%s\"}", other);
    return hm_test_api_post(&api, path, body);
}

static int listed(void)
{
    assert_int_equal(hm_test_api_get(&api, "duplicates"), 200);
    return hm_test_api_count(&api, "");
}

/* Said when it is saved, and not refused. */
HM_TEST(said_at_capture)
{
    begin();
    assert_int_equal(hm_test_api_count(&api, "duplicates"), 1);
    assert_string_equal(at("duplicates.0.household"), a);
    assert_string_equal(at("duplicates.0.because"), "id number, name and birth year");
    assert_string_equal(at("duplicates.0.score"), "96");
    assert_int_equal(listed(), 1);
    assert_string_equal(at("0.score"), "96");
    assert_string_equal(at("0.scope_a"), HM_TEST_HAMLET);
    assert_int_equal(hm_test_api_get(&api, "duplicates?scope=" HM_TEST_OTHER_HAMLET),
                     200);
    assert_int_equal(hm_test_api_count(&api, ""), 0);
    hm_test_api_close(&api);
}

/* Merged, they are none any more; unmerged, they are again. */
HM_TEST(merged)
{
    char path[100];
    char body[100];

    begin();
    (void)snprintf(path, sizeof path, "households/%s/merge", b);
    (void)snprintf(body, sizeof body, "{\"into\":\"%s\"}", a);
    assert_int_equal(hm_test_api_post(&api, path, body), 200);
    assert_int_equal(listed(), 0);
    (void)snprintf(path, sizeof path, "households/%s/unmerge", b);
    assert_int_equal(hm_test_api_post(&api, path, "{}"), 200);
    assert_int_equal(listed(), 1);
    hm_test_api_close(&api);
}

/* Said not to be the same, whichever way round, and taken back. */
HM_TEST(not_the_same)
{
    char body[100];

    begin();
    assert_int_equal(apart(a, a), 400);
    assert_int_equal(apart(a, "1.1"), 404);
    assert_int_equal(apart(b, a), 200);
    (void)snprintf(body, sizeof body, "{\"change\":\"%s\"}", at("change"));
    assert_int_equal(listed(), 0);
    assert_int_equal(apart(a, b), 200);
    assert_string_equal(at("change"), "null"); /* it was said already */
    assert_int_equal(hm_test_api_post(&api, "conflicts/undo", body), 200);
    assert_int_equal(listed(), 1);
    hm_test_api_close(&api);
}
