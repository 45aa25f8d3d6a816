/* A laptop whose disk fills up: it warns, then refuses saves while it reads and syncs
 * on, and loses nothing even when not one byte is left. On a small file system of its
 * own, which only root may mount. */
#define _GNU_SOURCE /* unshare() */

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "tests/support/child.h"
#include "tests/support/e2e_data.h"
#include "tests/support/test.h"

enum { HOUSEHOLDS = 30, DISK_MB = 40, WAIT_S = 15, TRIES_MAX = 600 };

#define MB (1024LL * 1024)

struct small {
    struct e2e_node *centre;
    struct e2e_node *laptop; /* its folder is the small file system */
};

/* False where it is not permitted. Nobody but this process and its children sees the
 * mount, and it goes with them. */
static bool mount_small(const char *path)
{
    char options[32];

    (void)snprintf(options, sizeof options, "size=%dm,mode=0700", DISK_MB);
    return unshare(CLONE_NEWNS) == 0 &&
           mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mkdir(path, 0700) == 0 && mount("none", path, "tmpfs", 0, options) == 0;
}

/* These limits instead of the usual ones, and a look every second. */
static void set_limits(struct e2e_node *node, int warn_mb, int refuse_mb,
                       int reserve_mb)
{
    const char *path = e2e_path("%s/hamletd.conf", node->name);
    const char *text = e2e_read_file(path);
    const char *section = strstr(text, "[disk]");
    char whole[4096];

    assert_non_null(section);
    (void)snprintf(whole, sizeof whole,
                   "%.*s[disk]\nwarn_mb = %d\nrefuse_mb = %d\nreserve_mb = %d\n"
                   "check_s = 1\n",
                   (int)(section - text), text, warn_mb, refuse_mb, reserve_mb);
    e2e_write_file(path, whole);
}

static void enrol(struct small *s)
{
    static const char *const scopes[] = {E2E_HAMLET_A, NULL};

    CHECK_OK(hm_proxy_start(s->centre->hub_port, 0, &s->laptop->proxy));
    e2e_start(s->laptop);
    (void)e2e_ok(s->laptop, "enroll",
                 e2e_invite(s->centre, "a", hm_proxy_port(s->laptop->proxy), scopes),
                 NULL);
    (void)e2e_sync(s->laptop);
}

/* A centre with households, and a laptop that has joined it. */
static struct small begin_small(int warn_mb, int refuse_mb, int reserve_mb)
{
    struct small s = {.centre = NULL};

    if (!mount_small(e2e_path("a"))) {
        print_message("skipped: a small file system can only be mounted by root\n");
        skip();
    }
    s.centre = e2e_centre(false);
    (void)e2e_ok(s.centre, "import", e2e_generate(HOUSEHOLDS), "--form", "register",
                 NULL);
    s.laptop = e2e_init(&(struct e2e_options){.name = "a"});
    set_limits(s.laptop, warn_mb, refuse_mb, reserve_mb);
    enrol(&s);
    return s;
}

static void end_small(void)
{
    e2e_finish();
    (void)umount2(e2e_path("a"), MNT_DETACH);
}

static long long free_bytes(const struct e2e_node *node)
{
    struct statvfs about;

    CHECK_OK(statvfs(node->dir, &about));
    return (long long)(about.f_bavail * about.f_frsize);
}

/* Other people's files fill the disk until so much is free. */
static void leave_free(const struct e2e_node *node, long long bytes)
{
    int fd = open(e2e_path("%s/ballast", node->name), O_CREAT | O_RDWR, 0600);
    struct stat about;
    long long size;

    assert_true(fd >= 0);
    CHECK_OK(fstat(fd, &about));
    size = (long long)about.st_size + free_bytes(node) - bytes;
    if (size > (long long)about.st_size) {
        CHECK_OK(posix_fallocate(fd, 0, size));
    } else {
        CHECK_OK(ftruncate(fd, size));
    }
    CHECK_OK(close(fd));
    e2e_step("%lld bytes are free", free_bytes(node));
}

static void make_room(const struct e2e_node *node)
{
    CHECK_OK(unlink(e2e_path("%s/ballast", node->name)));
}

/* What the alarm of the disk says; "" when there is none. */
static const char *disk_alarm(struct e2e_node *node)
{
    const json_t *list = e2e_ok(node, "alarm", "list", NULL);
    json_t *alarm;
    size_t at;

    json_array_foreach(list, at, alarm)
    {
        if (strcmp(e2e_str(alarm, "kind"), "disk") == 0) {
            return e2e_str(alarm, "what_to_do");
        }
    }
    return "";
}

/* Waits until the alarm says part; NULL: until there is none. */
static void wait_for_alarm(struct e2e_node *node, const char *part)
{
    double started = hm_child_clock();
    const char *text = disk_alarm(node);

    while (part == NULL ? text[0] != 0 : strstr(text, part) == NULL) {
        if (hm_child_clock() > started + WAIT_S) {
            e2e_fail("after %d s the alarm says '%s', not '%s'", WAIT_S, text,
                     part == NULL ? "" : part);
        }
        hm_child_sleep(0.1);
        text = disk_alarm(node);
    }
}

static const char *save_file(const char *head_name)
{
    const char *path = e2e_path("save.json");

    e2e_write_file(path, e2e_text(e2e_keep(e2e_new_save(E2E_HAMLET_A, head_name, 2))));
    return path;
}

/* 507, one line that names the disk. */
static void check_no_space(const struct e2e_result *result)
{
    e2e_step("refused: %s", result->err);
    assert_int_equal(e2e_int(result->json, "status"), 507);
    assert_non_null(strstr(result->err, "disk"));
}

/* The disk fills slowly: first a warning, then no more saves, while everything that
 * needs no room goes on; and back again when somebody makes room. */
HM_TEST(a_nearly_full_disk_refuses_saves_and_syncs_on)
{
    struct small s = begin_small(12, 6, 2);
    const char *reserve = e2e_path("a/reserve");
    const char *out = e2e_path("export.csv");
    json_int_t count = e2e_household_count(s.laptop);
    const char *mine;
    const char *theirs;

    wait_for_alarm(s.laptop, NULL);
    assert_int_equal(access(reserve, F_OK), 0);
    leave_free(s.laptop, 10 * MB);
    wait_for_alarm(s.laptop, "make room");
    e2e_pause(s.laptop);
    mine = e2e_add(s.laptop, E2E_HAMLET_A, "Hồ Văn Chật", 3);
    leave_free(s.laptop, 4 * MB);
    wait_for_alarm(s.laptop, "no more saves");
    assert_int_not_equal(access(reserve, F_OK), 0);

    check_no_space(e2e_refused(s.laptop, E2E_FAILED, "household", "put",
                               save_file("Lê Thị Đầy"), NULL));
    check_no_space(e2e_refused(s.laptop, E2E_FAILED, "import", e2e_generate(HOUSEHOLDS),
                               "--form", "register", NULL));
    assert_int_equal(e2e_household_count(s.laptop), count + 1);

    e2e_step("what needs no room goes on");
    assert_int_equal(e2e_count(e2e_households(s.laptop, E2E_HAMLET_A), ""), count + 1);
    e2e_check_field(s.laptop, mine, "head_name", "Hồ Văn Chật");
    assert_int_equal(
        e2e_cli(s.laptop, "export", "--form", "register", "-o", out, NULL)->exit_code,
        E2E_DONE);
    assert_non_null(strstr(e2e_read_file(out), mine));
    theirs = e2e_add(s.centre, E2E_HAMLET_A, "Trần Thị Xa", 2);
    e2e_resume(s.laptop);
    (void)e2e_sync(s.laptop);
    e2e_check_field(s.laptop, theirs, "head_name", "Trần Thị Xa");
    e2e_check_field(s.centre, mine, "head_name", "Hồ Văn Chật");

    make_room(s.laptop);
    wait_for_alarm(s.laptop, NULL);
    assert_int_equal(access(reserve, F_OK), 0);
    (void)e2e_add(s.laptop, E2E_HAMLET_A, "Lê Thị Rộng", 2);
    (void)e2e_sync(s.laptop);
    assert_string_equal(e2e_digest(s.laptop, E2E_HAMLET_A),
                        e2e_digest(s.centre, E2E_HAMLET_A));
    end_small();
}

/* Somebody copies films: the disk is full from one moment to the next. The reserve is
 * what the sync then lives on. */
HM_TEST(a_disk_full_at_once_syncs_from_the_reserve)
{
    struct small s = begin_small(12, 6, 4);
    const char *mine;
    const char *theirs;

    e2e_pause(s.laptop);
    mine = e2e_add(s.laptop, E2E_HAMLET_A, "Hồ Văn Kịp", 3);
    leave_free(s.laptop, 0);
    wait_for_alarm(s.laptop, "no more saves");
    theirs = e2e_add(s.centre, E2E_HAMLET_A, "Trần Thị Xa", 2);
    e2e_resume(s.laptop);
    (void)e2e_sync(s.laptop);
    e2e_check_field(s.laptop, theirs, "head_name", "Trần Thị Xa");
    e2e_check_field(s.centre, mine, "head_name", "Hồ Văn Kịp");
    end_small();
}

/* The disk was filled while the laptop was off: it starts from the reserve, shows what
 * it has, and takes saves again when there is room. */
HM_TEST(a_node_starts_on_a_full_disk)
{
    struct small s = begin_small(12, 6, 4);
    json_int_t count = e2e_household_count(s.laptop);

    wait_for_alarm(s.laptop, NULL);
    e2e_stop(s.laptop);
    assert_int_equal(access(e2e_path("a/reserve"), F_OK), 0);
    leave_free(s.laptop, 0);
    e2e_start(s.laptop);
    wait_for_alarm(s.laptop, "no more saves");
    assert_int_equal(e2e_count(e2e_households(s.laptop, E2E_HAMLET_A), ""), count);
    check_no_space(e2e_refused(s.laptop, E2E_FAILED, "household", "put",
                               save_file("Lê Thị Đầy"), NULL));
    make_room(s.laptop);
    wait_for_alarm(s.laptop, NULL);
    (void)e2e_add(s.laptop, E2E_HAMLET_A, "Lê Thị Rộng", 2);
    (void)e2e_sync(s.laptop);
    end_small();
}

/* hamletd answers, or it has ended with a line that says why and is started again. */
static bool still_runs(struct e2e_node *node)
{
    int status;

    if (node->pid != 0 && hm_child_wait(node->pid, 0, &status)) {
        const char *log = e2e_log(node);

        node->pid = 0;
        e2e_step("it ended: %s", log);
        assert_non_null(strstr(log, "disk"));
    }
    return node->pid != 0;
}

/* Saves until one is refused; the ids of those that were answered. */
static json_t *save_until_refused(struct e2e_node *node)
{
    json_t *answered = e2e_keep(json_array());

    for (int i = 0; i < TRIES_MAX; i++) {
        const struct e2e_result *result =
            e2e_cli(node, "household", "put", save_file("Lê Thị Đầy"), "--json", NULL);

        if (result->exit_code != E2E_DONE) {
            e2e_step("%d saves, then exit %d: %s", i, result->exit_code, result->err);
            if (still_runs(node)) {
                assert_int_equal(result->exit_code, E2E_FAILED);
                check_no_space(result);
            }
            return answered;
        }
        (void)json_array_append(answered, e2e_get(result->json, "household"));
    }
    e2e_fail("%d saves on a disk without room", TRIES_MAX);
}

static void check_all_there(struct e2e_node *node, const json_t *ids)
{
    const json_t *held = e2e_households(node, E2E_HAMLET_A);
    json_t *id;
    json_t *other;
    size_t i;
    size_t j;

    json_array_foreach(ids, i, id)
    {
        bool found = false;

        json_array_foreach(held, j, other)
        {
            found = found || json_equal(id, other);
        }
        if (!found) {
            e2e_fail("the answered household %s is gone", json_string_value(id));
        }
    }
}

/* Without any limit a commit meets the end of the disk: no answer without the change,
 * no torn store, and saves again as soon as there is room. */
HM_TEST(not_one_byte_left_loses_no_answered_save)
{
    struct small s = begin_small(0, 0, 0);
    json_t *answered;

    e2e_pause(s.laptop);
    leave_free(s.laptop, 0);
    answered = save_until_refused(s.laptop);
    if (still_runs(s.laptop)) {
        e2e_step("it goes on, and refuses again");
        check_no_space(e2e_refused(s.laptop, E2E_FAILED, "household", "put",
                                   save_file("Lê Thị Nữa"), NULL));
        check_no_space(e2e_refused(s.laptop, E2E_FAILED, "import",
                                   e2e_generate(HOUSEHOLDS), "--form", "register",
                                   NULL));
        check_all_there(s.laptop, answered);
        e2e_kill(s.laptop, 9);
    }
    make_room(s.laptop);
    e2e_start(s.laptop);
    check_all_there(s.laptop, answered);
    (void)e2e_add(s.laptop, E2E_HAMLET_A, "Lê Thị Rộng", 2);
    e2e_resume(s.laptop);
    (void)e2e_sync(s.laptop);
    assert_true(e2e_bool(e2e_ok(s.laptop, "verify", NULL), "ok"));
    check_all_there(s.centre, answered);
    end_small();
}
