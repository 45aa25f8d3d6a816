#include "storage/files.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/simfiles.h"
#include "tests/support/test.h"

static const struct hm_files *disk;
static char folder[600];

static const char *path_of(const char *name)
{
    static char path[HM_FILES_PATH_MAX];

    CHECK_OK(hm_files_join(path, folder, name));
    return path;
}

static void open_folder(void)
{
    disk = hm_files_disk();
    (void)snprintf(folder, sizeof folder, "%s/files", hm_test_folder());
    CHECK_OK(disk->make_folder(disk->arg, folder));
    CHECK_OK(disk->make_folder(disk->arg, folder)); /* it is there: fine */
}

static void check_content(const char *name, const char *text)
{
    struct hm_buf buf;

    hm_buf_init(&buf, 1000);
    CHECK_OK(disk->read(disk->arg, path_of(name), &buf));
    assert_string_equal(hm_buf_str(&buf), text);
    hm_buf_deinit(&buf);
}

static int count_name(void *arg, const char *name)
{
    assert_true(name[0] != '.');
    ++*(unsigned *)arg;
    return HM_OK;
}

static unsigned count(void)
{
    unsigned names = 0;

    CHECK_OK(disk->list(disk->arg, folder, count_name, &names));
    return names;
}

/* What is written is read, grows where it ends, and is nobody else's to read. */
HM_TEST(writes_where_it_is_told)
{
    struct stat about;

    open_folder();
    CHECK_OK(disk->write(disk->arg, path_of("a"), 0, hm_bytes_str("one")));
    CHECK_OK(disk->write(disk->arg, path_of("a"), 3, hm_bytes_str("two")));
    check_content("a", "onetwo");
    CHECK_OK(disk->truncate(disk->arg, path_of("a"), 3));
    check_content("a", "one");
    CHECK_OK(disk->write(disk->arg, path_of("a"), 0, hm_bytes_str("x")));
    check_content("a", "x");
    assert_int_equal(stat(path_of("a"), &about), 0);
    assert_int_equal(about.st_mode & 07777, 0600);
    assert_int_equal(stat(folder, &about), 0);
    assert_int_equal(about.st_mode & 07777, 0700);
    assert_int_equal(disk->rename(disk->arg, path_of("a"), "/nowhere/at/all"),
                     HM_NOTFOUND);
    CHECK_OK(disk->sync_folder(disk->arg, folder));
    assert_int_equal(count(), 1);
    CHECK_OK(disk->remove(disk->arg, path_of("a")));
    assert_int_equal(count(), 0);
}

/* What is not there is said so, and nothing is made by asking. */
HM_TEST(what_is_missing_is_not_found)
{
    struct hm_buf buf;
    unsigned names = 0;

    open_folder();
    hm_buf_init(&buf, 10);
    assert_int_equal(disk->read(disk->arg, path_of("b"), &buf), HM_NOTFOUND);
    hm_buf_deinit(&buf);
    assert_int_equal(disk->write(disk->arg, path_of("b"), 5, hm_bytes_str("x")),
                     HM_NOTFOUND);
    assert_int_equal(disk->remove(disk->arg, path_of("b")), HM_NOTFOUND);
    assert_int_equal(disk->list(disk->arg, path_of("b"), count_name, &names),
                     HM_NOTFOUND);
    assert_int_equal(count(), 0);
}

/* A limit takes what just fits, and says when there is more. */
HM_TEST(reading_keeps_its_limit)
{
    struct hm_buf buf;

    open_folder();
    CHECK_OK(disk->write(disk->arg, path_of("c"), 0, hm_bytes_str("0123456789")));
    hm_buf_init(&buf, 10);
    CHECK_OK(disk->read(disk->arg, path_of("c"), &buf));
    assert_int_equal(buf.len, 10);
    hm_buf_deinit(&buf);
    hm_buf_init(&buf, 9);
    assert_int_equal(disk->read(disk->arg, path_of("c"), &buf), HM_TOOBIG);
    hm_buf_deinit(&buf);
}

/* A device without room says so: it is not taken for a broken one. */
HM_TEST(a_full_device_is_told)
{
    disk = hm_files_disk();
    if (access("/dev/full", W_OK) != 0) {
        skip();
    }
    assert_int_equal(disk->write(disk->arg, "/dev/full", 0, hm_bytes_str("x")),
                     HM_NOSPACE);
}

/* Whatever fails, and when the power goes: the old content or the new one. */
HM_TEST(replacing_is_all_or_nothing)
{
    for (unsigned at = 1; at <= 3; at++) {
        for (int harm = 0; harm < HM_HARMS; harm++) {
            for (int cuts = 0; cuts < 4; cuts++) {
                static struct hm_simfiles sim;
                struct hm_buf *content;
                int err;

                hm_simfiles_open(&sim);
                CHECK_OK(hm_files_replace(&sim.files, "d", "f", hm_bytes_str("old")));
                sim.fail_at = sim.calls + at;
                sim.harm = (enum hm_simfiles_harm)harm;
                sim.cuts = cuts % 2 == 1;
                err = hm_files_replace(&sim.files, "d", "f", hm_bytes_str("newer"));
                assert_int_equal(err, HM_IO);
                hm_simfiles_power_on(&sim, cuts >= 2);
                content = hm_simfiles_find(&sim, "d/f");
                assert_non_null(content);
                assert_true(
                    hm_bytes_equal(hm_buf_bytes(content), hm_bytes_str("old")) ||
                    hm_bytes_equal(hm_buf_bytes(content), hm_bytes_str("newer")));
                CHECK_OK(
                    hm_files_replace(&sim.files, "d", "f", hm_bytes_str("newest")));
                hm_simfiles_power_on(&sim, false);
                content = hm_simfiles_find(&sim, "d/f");
                assert_true(
                    hm_bytes_equal(hm_buf_bytes(content), hm_bytes_str("newest")));
                hm_simfiles_close(&sim);
            }
        }
    }
}
