#include "tests/support/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/programme.h"
#include "daemon/serve/spool.h"
#include "storage/devices.h"
#include "storage/forms.h"
#include "tests/fault/loop.h"

enum { BODY_BYTES_MAX = 256 * 1024 * 1024, AT_BYTES = 4096, AT_CALLS = 8 };

static const uint8_t key_hash[32] = {1, 2, 3};

static void publish(struct hm_test_api *api)
{
    struct hm_device own = {.name = "centre", .role = HM_DEVICE_HUB, .active = true};
    struct hm_buf errmsg;
    char folder[1024];

    hm_buf_init(&errmsg, 4096);
    (void)snprintf(folder, sizeof folder, "%s/vn-poverty", getenv("HM_PROGRAMMES"));
    memcpy(own.public_key, api->store.public_key, sizeof own.public_key);
    CHECK_OK(hm_store_begin(api->store.store));
    CHECK_OK(hm_programme_publish(api->store.store, folder, &errmsg));
    CHECK_OK(hm_store_end(api->store.store, hm_devices_put(api->store.store, &own)));
    hm_buf_deinit(&errmsg);
}

void hm_test_api_open(struct hm_test_api *api)
{
    memset(api, 0, sizeof *api);
    hm_fault_pause();
    if (!hm_test_node_open_kept(&api->store, "centre")) {
        hm_test_node_open(&api->store, "centre", HM_NODE_CENTRE);
        publish(api);
        hm_test_node_keep(&api->store, "centre");
    }
    api->node = (struct hm_api_node){.store = api->store.store,
                                     .name = "centre",
                                     .version = "0.1.0",
                                     .dir = hm_test_folder(),
                                     .public_address = "127.0.0.1:8471",
                                     .tls_key_hash = key_hash};
    CHECK_OK(hm_forms_open(api->store.store, &api->node.forms));
    hm_fault_resume();
}

static void forget(struct hm_test_api *api)
{
    json_decref(api->json);
    free(api->text);
    api->json = NULL;
    api->text = NULL;
}

void hm_test_api_close(struct hm_test_api *api)
{
    forget(api);
    hm_forms_close(api->node.forms);
    hm_test_node_close(&api->store);
}

static void keep(struct hm_test_api *api, struct hm_api_answer *answer)
{
    size_t len = answer->file_fd >= 0 ? answer->file_bytes : answer->body.len;
    char *text = calloc(1, len + 1);

    assert_non_null(text);
    if (answer->file_fd >= 0) {
        size_t got = 0;

        while (got < len) {
            ssize_t next = read(answer->file_fd, text + got, len - got);

            assert_true(next > 0);
            got += (size_t)next;
        }
    } else if (len > 0) {
        memcpy(text, answer->body.data, len);
    }
    api->text = text;
    api->status = answer->status;
    api->saved = answer->saved;
    if (strstr(answer->content_type, "json") != NULL &&
        strstr(answer->content_type, "ndjson") == NULL) {
        api->json = json_loadb(text, len, 0, NULL);
        assert_non_null(api->json); /* every JSON answer can be read */
    }
}

static unsigned ask(struct hm_test_api *api, const char *method, const char *path,
                    const char *query, const char *type, struct hm_bytes body, int fd)
{
    struct hm_api_request request = {.method = method,
                                     .path = path,
                                     .query = query == NULL ? "" : query,
                                     .user = api->user,
                                     .content_type = type,
                                     .body = body,
                                     .body_fd = fd,
                                     .body_bytes = body.len,
                                     .token_peer = "operator"};
    struct hm_api_answer answer;

    forget(api);
    hm_api_answer_init(&answer, BODY_BYTES_MAX);
    api->calls = 0;
    do {
        hm_api_handle(&api->node, &request, &answer);
        api->calls++;
    } while (answer.again);
    assert_null(answer.progress);
    keep(api, &answer);
    hm_api_answer_deinit(&answer);
    return api->status;
}

unsigned hm_test_api_ask(struct hm_test_api *api, const char *method, const char *path,
                         const char *query, const char *type, struct hm_bytes body)
{
    return ask(api, method, path, query, type == NULL ? "application/json" : type, body,
               -1);
}

/* path without its query, which is returned. */
static const char *cut(const char *path, char out[AT_BYTES])
{
    char *mark;

    (void)snprintf(out, AT_BYTES, "/api/v1/%s", path);
    mark = strchr(out, '?');
    if (mark != NULL) {
        *mark = 0;
        return mark + 1;
    }
    return "";
}

unsigned hm_test_api_get(struct hm_test_api *api, const char *path)
{
    char whole[AT_BYTES];
    const char *query = cut(path, whole);

    return ask(api, "GET", whole, query, "", hm_bytes_of(NULL, 0), -1);
}

unsigned hm_test_api_post(struct hm_test_api *api, const char *path, const char *body)
{
    char whole[AT_BYTES];
    const char *query = cut(path, whole);

    return ask(api, "POST", whole, query, "application/json", hm_bytes_str(body), -1);
}

unsigned hm_test_api_upload(struct hm_test_api *api, const char *path, const char *type,
                            struct hm_bytes body)
{
    char whole[AT_BYTES];
    const char *query = cut(path, whole);
    unsigned status;
    int fd = -1;

    CHECK_OK(hm_spool_file(hm_test_folder(), &fd));
    hm_fault_pause(); /* a write of the test */
    assert_int_equal(write(fd, body.data, body.len), body.len);
    hm_fault_resume();
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    status = ask(api, "POST", whole, query, type, hm_bytes_of(NULL, 0), fd);
    (void)close(fd);
    return status;
}

static json_t *find(const struct hm_test_api *api, const char *path)
{
    json_t *at = api->json;

    while (at != NULL && *path != 0) {
        char name[256];
        size_t len = strcspn(path, ".");

        assert_true(len < sizeof name);
        memcpy(name, path, len);
        name[len] = 0;
        path += len + (path[len] == '.' ? 1 : 0);
        at = json_is_array(at) ? json_array_get(at, strtoul(name, NULL, 10))
                               : json_object_get(at, name);
    }
    return at;
}

const char *hm_test_api_at(const struct hm_test_api *api, const char *path)
{
    static char texts[AT_CALLS][AT_BYTES];
    static unsigned next;
    char *out = texts[next++ % AT_CALLS];
    json_t *at = find(api, path);

    out[0] = 0;
    if (json_is_string(at)) {
        (void)snprintf(out, AT_BYTES, "%s", json_string_value(at));
    } else if (json_is_integer(at)) {
        (void)snprintf(out, AT_BYTES, "%" JSON_INTEGER_FORMAT, json_integer_value(at));
    } else if (json_is_boolean(at)) {
        (void)snprintf(out, AT_BYTES, "%s", json_is_true(at) ? "true" : "false");
    } else if (json_is_null(at)) {
        (void)snprintf(out, AT_BYTES, "null");
    }
    return out;
}

int hm_test_api_count(const struct hm_test_api *api, const char *path)
{
    json_t *at = find(api, path);

    return json_is_array(at) ? (int)json_array_size(at) : -1;
}

const char *hm_test_api_household(struct hm_test_api *api, const char *head_name,
                                  const char *phone)
{
    static char id[64];
    char body[1024];

    (void)snprintf(
        body, sizeof body,
        "{\"scope\":\"" HM_TEST_HAMLET "\",\"form\":\"register\",\"values\":"
        "{\"head_name\":\"%s\",\"phone\":\"%s\"},\"rows\":["
        "{\"repeat\":\"members\",\"item\":null,\"values\":{\"name\":\"%s\",\"sex\":"
        "\"2\","
        "\"birth_year\":1961}},{\"repeat\":\"members\",\"values\":{\"name\":\"Tí\"}}]}",
        head_name, phone, head_name);
    assert_int_equal(hm_test_api_post(api, "households", body), 201);
    (void)snprintf(id, sizeof id, "%s", hm_test_api_at(api, "household"));
    return id;
}
