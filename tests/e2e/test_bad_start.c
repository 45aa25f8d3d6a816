/* What keeps a node from starting: it says so in one clear line, with the exit code
 * that tells systemd whether to try again, and never runs on damaged data unnoticed. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/e2e_data.h"
#include "tests/support/ports.h"
#include "tests/support/test.h"

enum { PAGE = 4096, DAMAGED_PAGES = 16 };

static void check_one_line(const struct e2e_result *result)
{
    const char *end = strchr(result->err, '\n');

    if (end == NULL || end == result->err || end[1] != 0) {
        e2e_fail("not one line on standard error: '%s'", result->err);
    }
}

HM_TEST(a_sound_node_passes_its_check)
{
    struct e2e_node *node = e2e_init(&(struct e2e_options){.name = "a"});

    assert_int_equal(e2e_daemon(node, "--check")->exit_code, 0);
    e2e_start(node);
    e2e_finish();
}

static void append(const char *path, const char *text)
{
    FILE *file = fopen(path, "ab");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static unsigned line_count(const char *text)
{
    unsigned lines = 0;

    for (; *text != 0; text++) {
        lines += *text == '\n' ? 1 : 0;
    }
    return lines;
}

/* A person mends it by hand and needs the line. */
HM_TEST(a_mistake_in_the_configuration_is_named_by_its_line)
{
    struct e2e_node *node = e2e_init(&(struct e2e_options){.name = "a"});
    const char *conf = e2e_path("a/hamletd.conf");
    const struct e2e_result *result;
    char line[16];

    append(conf, "\nthis is not a setting\n");
    (void)snprintf(line, sizeof line, "%u", line_count(e2e_read_file(conf)));
    result = e2e_daemon(node, "--check");
    e2e_step("%s", result->err);
    assert_int_equal(result->exit_code, E2E_BAD_CONFIG);
    assert_non_null(strstr(result->err, "hamletd.conf"));
    assert_non_null(strstr(result->err, line));
    check_one_line(result);
    assert_int_equal(e2e_daemon(node, NULL)->exit_code, E2E_BAD_CONFIG);
    e2e_finish();
}

/* A misspelt setting would else be silently without effect. */
HM_TEST(an_unknown_setting_is_a_mistake)
{
    struct e2e_node *node = e2e_init(&(struct e2e_options){.name = "a"});
    const char *conf = e2e_path("a/hamletd.conf");
    const struct e2e_result *result;
    char line[16];

    append(conf, "\n[node]\nno_such_setting = 1\n");
    (void)snprintf(line, sizeof line, "%u", line_count(e2e_read_file(conf)));
    result = e2e_daemon(node, "--check");
    e2e_step("%s", result->err);
    assert_int_equal(result->exit_code, E2E_BAD_CONFIG);
    assert_non_null(strstr(result->err, "no_such_setting"));
    assert_non_null(strstr(result->err, line));
    e2e_finish();
}

HM_TEST(a_folder_that_is_no_node_is_said)
{
    struct e2e_node *node = e2e_init(&(struct e2e_options){.name = "a"});
    const struct e2e_result *result;

    (void)snprintf(node->dir, sizeof node->dir, "%s", e2e_path("no-such-folder"));
    result = e2e_daemon(node, NULL);
    assert_int_equal(result->exit_code, E2E_BAD_CONFIG);
    check_one_line(result);
    e2e_finish();
}

HM_TEST(a_port_in_use_is_said)
{
    struct e2e_node *node = e2e_init(&(struct e2e_options){.name = "a"});
    int taken = hm_port_listen(node->web_port);
    const struct e2e_result *result;
    char port[16];

    assert_true(taken >= 0);
    (void)snprintf(port, sizeof port, "%u", (unsigned)node->web_port);
    result = e2e_daemon(node, NULL);
    e2e_step("%s", result->err);
    assert_int_not_equal(result->exit_code, 0);
    assert_true(result->exit_code > 0);
    assert_non_null(strstr(result->err, port));
    (void)close(taken);
    e2e_step("it starts when the port is free again");
    e2e_start(node);
    e2e_finish();
}

/* Two daemons on one store would be two authors with one memory. */
HM_TEST(a_second_daemon_on_the_same_folder_ends)
{
    struct e2e_node *node = e2e_init(&(struct e2e_options){.name = "a"});
    const struct e2e_result *result;

    e2e_start(node);
    result = e2e_daemon(node, NULL);
    assert_true(result->exit_code > 0);
    check_one_line(result);
    assert_int_equal(e2e_cli(node, "status", NULL)->exit_code, E2E_DONE);
    e2e_finish();
}

/* --- damaged data --- */

static void flip(int fd, off_t at)
{
    unsigned char byte;

    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 0xff;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
}

/* Flips one byte in sixteen of so many pages from this page on. */
static void damage(const char *path, off_t page, int pages)
{
    int fd = open(path, O_RDWR);

    assert_true(fd >= 0);
    for (off_t at = page * PAGE; at < (page + pages) * PAGE; at += 16) {
        flip(fd, at);
    }
    (void)close(fd);
}

static off_t page_count(const char *path)
{
    struct stat info;

    assert_int_equal(stat(path, &info), 0);
    return info.st_size / PAGE;
}

/* A stopped laptop with data, and its store. */
static struct e2e_node *stopped_laptop(const char **out_store)
{
    struct e2e_commune commune = e2e_commune(300);

    e2e_stop(commune.a);
    *out_store = e2e_path("a/store.db");
    assert_true(page_count(*out_store) > 3 * DAMAGED_PAGES);
    return commune.a;
}

/* Broken pages in the middle: either it ends with 78 and one line, or it runs
 * read-only, says so in its status and takes no save. */
static void check_noticed(struct e2e_node *node)
{
    const struct e2e_result *check = e2e_daemon(node, "--check");
    const char *save = e2e_path("save.json");
    const struct e2e_result *ended;

    e2e_step("--check: exit %d: %s", check->exit_code, check->err);
    assert_int_equal(check->exit_code, E2E_BAD_CONFIG);
    check_one_line(check);
    ended = e2e_start_or_end(node);
    if (ended != NULL) {
        assert_int_equal(ended->exit_code, E2E_BAD_CONFIG);
        assert_non_null(strstr(ended->err, "store.db"));
        return;
    }
    e2e_write_file(save,
                   e2e_text(e2e_keep(e2e_new_save(E2E_HAMLET_A, "Lê Thị Sau", 1))));
    (void)e2e_refused(node, E2E_FAILED, "household", "put", save, NULL);
    assert_true(e2e_bool(e2e_ok(node, "status", NULL), "read_only"));
}

HM_TEST(broken_pages_are_noticed_at_the_start)
{
    const char *store;
    struct e2e_node *laptop = stopped_laptop(&store);

    damage(store, page_count(store) / 2, DAMAGED_PAGES);
    check_noticed(laptop);
    e2e_finish();
}

HM_TEST(a_broken_head_ends_it_with_78)
{
    const char *store;
    struct e2e_node *laptop = stopped_laptop(&store);
    const struct e2e_result *result;

    damage(store, 0, 1);
    result = e2e_daemon(laptop, NULL);
    e2e_step("exit %d: %s", result->exit_code, result->err);
    assert_int_equal(result->exit_code, E2E_BAD_CONFIG);
    check_one_line(result);
    assert_int_equal(e2e_daemon(laptop, "--check")->exit_code, E2E_BAD_CONFIG);
    e2e_finish();
}

HM_TEST(a_store_cut_short_is_noticed)
{
    const char *store;
    struct e2e_node *laptop = stopped_laptop(&store);

    assert_int_equal(truncate(store, page_count(store) / 2 * PAGE), 0);
    assert_int_equal(e2e_daemon(laptop, "--check")->exit_code, E2E_BAD_CONFIG);
    e2e_finish();
}
