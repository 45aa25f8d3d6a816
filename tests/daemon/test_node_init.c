#include "daemon/node_init.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/config.h"
#include "daemon/node_files.h"
#include "daemon/programme.h"
#include "daemon/store_open.h"
#include "storage/devices.h"
#include "storage/forms.h"
#include "tests/support/test.h"

static char dir[512];
static struct hm_buf errmsg;

static int init_node(const char *name, const char *programme)
{
    struct hm_node_init options = {
        .dir = dir, .name = "a", .programme = programme, .listen = "127.0.0.1:8471"};

    hm_buf_deinit(&errmsg);
    hm_buf_init(&errmsg, 4096);
    (void)snprintf(dir, sizeof dir, "%s/%s", hm_test_folder(), name);
    return hm_node_init(&options, &errmsg);
}

static const char *programme_path(void)
{
    static char path[512];

    (void)snprintf(path, sizeof path, "%s/vn-poverty", getenv("HM_PROGRAMMES"));
    return path;
}

static struct hm_store *open_store(struct hm_node_keys *keys)
{
    struct hm_store *s = NULL;
    char path[600];

    CHECK_OK(hm_node_files_load(dir, keys, &errmsg));
    (void)snprintf(path, sizeof path, "%s/store.db", dir);
    CHECK_OK(hm_store_open_node(path, keys, false, &s));
    return s;
}

/* Whoever reads the keys is this node. */
HM_TEST(a_node_keeps_its_secrets)
{
    static const char *const files[] = {"keys/sign.key", "keys/box.key", "keys/tls.key",
                                        "api-token", "hamletd.conf"};
    struct hm_node_keys keys;
    struct hm_config config;
    enum hm_node_role role = HM_NODE_CENTRE;
    struct hm_store *s;
    struct stat about;
    char path[600];

    CHECK_OK(init_node("deep/er/a", NULL));
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        CHECK_OK(stat(path, &about));
        assert_int_equal(about.st_mode & 0777, 0600);
    }
    CHECK_OK(stat(dir, &about));
    assert_int_equal(about.st_mode & 0777, 0700);
    CHECK_OK(hm_config_read(path, &config, &errmsg));
    assert_string_equal(config.name, "a");
    s = open_store(&keys);
    CHECK_OK(hm_store_begin_read(s));
    CHECK_OK(hm_store_role(s, &role));
    assert_int_equal(role, HM_NODE_NEW);
    CHECK_OK(hm_store_end(s, HM_OK));
    hm_store_close(s);
    hm_node_keys_deinit(&keys);
    hm_buf_deinit(&errmsg);
}

/* A second init would be a second author with the first one's name. */
HM_TEST(a_node_is_made_once)
{
    CHECK_OK(init_node("a", NULL));
    assert_int_equal(init_node("a", NULL), HM_EXISTS);
    assert_non_null(strstr(hm_buf_str(&errmsg), "there is a node in"));
    hm_buf_deinit(&errmsg);
}

/* Half a node would start as a wrong one. */
HM_TEST(a_failure_leaves_nothing)
{
    char broken[400];
    FILE *file;

    assert_int_equal(init_node("a", "no-such-programme"), HM_NOTFOUND);
    assert_int_not_equal(access(dir, F_OK), 0);
    (void)snprintf(broken, sizeof broken, "%s/broken", hm_test_folder());
    CHECK_OK(mkdir(broken, 0700));
    (void)snprintf(dir, sizeof dir, "%s/programme.json", broken);
    file = fopen(dir, "wb");
    assert_non_null(file);
    assert_true(fputs("{\"roles\": 1}", file) >= 0);
    CHECK_OK(fclose(file));
    assert_int_equal(init_node("b", broken), HM_INVALID);
    assert_non_null(strstr(hm_buf_str(&errmsg), "programme.json"));
    assert_int_not_equal(access(dir, F_OK), 0);
    hm_buf_deinit(&errmsg);
}

static double seconds_since(const struct timespec *start)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start->tv_sec) +
           (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

/* The bundled programme makes a centre, with forms that have dictionaries; publishing
 * it again changes nothing. */
HM_TEST(a_programme_makes_a_centre)
{
    struct hm_form_item *forms = NULL;
    enum hm_node_role role = HM_NODE_NEW;
    struct hm_node_keys keys;
    uint64_t before = 0;
    uint64_t after = 0;
    uint64_t salt = 0;
    size_t count = 0;
    struct timespec start;
    struct hm_arena arena;
    struct hm_device self;
    struct hm_store *s;

    (void)clock_gettime(CLOCK_MONOTONIC, &start);
    if (init_node("centre", programme_path()) != HM_OK) {
        fail_msg("%s", hm_buf_str(&errmsg));
    }
    print_message("init: %.2f s\n", seconds_since(&start));
    s = open_store(&keys);
    hm_arena_init(&arena, 64 * 1024 * 1024);
    CHECK_OK(hm_store_begin(s));
    CHECK_OK(hm_store_role(s, &role));
    assert_int_equal(role, HM_NODE_CENTRE);
    CHECK_OK(hm_devices_get(s, keys.device, &arena, &self));
    assert_string_equal(self.name, "a");
    CHECK_OK(hm_forms_list(s, &arena, &forms, &count));
    assert_int_equal(count, 2);
    for (size_t i = 0; i < count; i++) {
        assert_true(forms[i].has_dictionary);
    }
    CHECK_OK(hm_items_position(s, &before, &salt));
    CHECK_OK(hm_programme_publish(s, programme_path(), &errmsg));
    CHECK_OK(hm_items_position(s, &after, &salt));
    assert_int_equal(before, after);
    CHECK_OK(hm_store_end(s, HM_OK));
    hm_arena_deinit(&arena);
    hm_store_close(s);
    hm_node_keys_deinit(&keys);
    hm_buf_deinit(&errmsg);
}
