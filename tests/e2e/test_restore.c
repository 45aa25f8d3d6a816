/* hamlet restore: a node out of a backup, and whatever may be wrong with one. */
#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/child.h"
#include "tests/support/e2e_data.h"
#include "tests/support/test.h"

enum { HOUSEHOLDS = 30 };

static const char passphrase[] = "con trâu đi trước cái cày đi sau";

static const char *passphrase_file(const char *text)
{
    const char *path = e2e_path("passphrase");

    e2e_write_file(path, text);
    return path;
}

static bool is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

/* Its folder gets another name, as if the machine were gone. */
static void lose(struct e2e_node *node)
{
    e2e_kill(node, SIGKILL);
    assert_int_equal(rename(node->dir, e2e_path("%s.lost", node->name)), 0);
}

/* hamlet restore into a folder that is not to be made: exit code and a word of why. */
static void check_refused(struct e2e_node *node, int exit_code, const char *file,
                          const char *word)
{
    const char *dir = e2e_path("refused");
    const struct e2e_result *result =
        e2e_cli(node, "restore", file, dir, "--json", NULL);

    e2e_step("%s: %s", file, result->err);
    assert_int_equal(result->exit_code, exit_code);
    assert_non_null(strstr(result->err, word));
    assert_false(is_there(dir));
}

static void copy_part(const char *from, const char *to, off_t bytes, off_t spoil_at)
{
    size_t len = 0;
    char *content = hm_child_read_file(from, &len);
    FILE *file = fopen(to, "wb");

    assert_non_null(content);
    assert_non_null(file);
    assert_true((size_t)bytes <= len);
    if (spoil_at >= 0) {
        for (off_t i = spoil_at; i < spoil_at + 64 && i < bytes; i++) {
            content[i] = (char)(content[i] ^ 0x5a);
        }
    }
    assert_int_equal(fwrite(content, 1, (size_t)bytes, file), (size_t)bytes);
    assert_int_equal(fclose(file), 0);
    free(content);
}

static off_t size_of(const char *path)
{
    struct stat about;

    assert_int_equal(stat(path, &about), 0);
    return about.st_size;
}

HM_TEST(a_sealed_backup_gives_the_laptop_back)
{
    struct e2e_commune commune = e2e_commune(HOUSEHOLDS);
    const char *file = e2e_path("a.backup");
    const char *secret = passphrase_file(passphrase);
    const char *household;
    const json_t *restored;

    e2e_pause(commune.a);
    household = e2e_add(commune.a, E2E_HAMLET_A, "Lê Thị Trước", 2);
    (void)e2e_ok(commune.a, "backup", file, "--passphrase-file", secret, NULL);
    check_refused(commune.a, E2E_FAILED, file, "sealed");
    lose(commune.a);
    restored = e2e_ok(commune.a, "restore", file, commune.a->dir, "--passphrase-file",
                      secret, NULL);
    assert_string_equal(e2e_str(restored, "node"), "a");
    assert_string_equal(e2e_str(restored, "role"), "laptop");
    assert_true(e2e_int(restored, "households") > 1);
    assert_false(is_there(e2e_path("a/restoring")));
    e2e_start(commune.a);
    e2e_check_field(commune.a, household, "head_name", "Lê Thị Trước");
    e2e_step("what was unsent in the backup reaches the centre");
    e2e_resume(commune.a);
    e2e_sync_all(&commune);
    e2e_check_field(commune.centre, household, "head_name", "Lê Thị Trước");
    e2e_check_digests(&commune);
    assert_true(e2e_bool(e2e_ok(commune.a, "verify", NULL), "ok"));
    e2e_finish();
}

HM_TEST(what_is_wrong_with_a_backup_is_said_before_a_folder_is_made)
{
    struct e2e_node *node = e2e_centre(true);
    const char *secret = passphrase_file(passphrase);
    const char *wrong = e2e_path("wrong");
    const char *sealed = e2e_path("sealed.backup");
    const char *plain = e2e_path("plain.backup");
    const char *bad = e2e_path("bad.backup");
    const struct e2e_result *result;

    (void)e2e_add(node, E2E_HAMLET_A, "Lê Thị Một", 2);
    (void)e2e_ok(node, "backup", sealed, "--passphrase-file", secret, NULL);
    (void)e2e_ok(node, "backup", plain, NULL);
    e2e_step("another passphrase, none, one too many");
    e2e_write_file(wrong, "con trâu");
    result = e2e_cli(node, "restore", sealed, e2e_path("refused"), "--passphrase-file",
                     wrong, NULL);
    assert_int_equal(result->exit_code, E2E_NOT_ALLOWED);
    assert_non_null(strstr(result->err, "passphrase"));
    assert_false(is_there(e2e_path("refused")));
    check_refused(node, E2E_FAILED, sealed, "sealed");
    result = e2e_cli(node, "restore", plain, e2e_path("refused"), "--passphrase-file",
                     wrong, NULL);
    assert_int_equal(result->exit_code, E2E_FAILED);
    assert_non_null(strstr(result->err, "not sealed"));
    e2e_step("cut anywhere");
    for (int part = 0; part < 8; part++) {
        copy_part(plain, bad, size_of(plain) * part / 8, -1);
        check_refused(node, E2E_FAILED, bad, "backup");
        copy_part(sealed, bad, size_of(sealed) * (part + 7) / 15, -1);
        result = e2e_cli(node, "restore", bad, e2e_path("refused"), "--passphrase-file",
                         secret, NULL);
        assert_true(result->exit_code == E2E_FAILED ||
                    result->exit_code == E2E_NOT_ALLOWED);
        assert_false(is_there(e2e_path("refused")));
    }
    e2e_step("changed on the way");
    copy_part(plain, bad, size_of(plain), size_of(plain) / 2);
    check_refused(node, E2E_FAILED, bad, "store");
    copy_part(sealed, bad, size_of(sealed), size_of(sealed) / 2);
    result = e2e_cli(node, "restore", bad, e2e_path("refused"), "--passphrase-file",
                     secret, NULL);
    assert_int_equal(result->exit_code, E2E_NOT_ALLOWED);
    e2e_step("no file, a folder, something else");
    check_refused(node, E2E_FAILED, e2e_path("nowhere"), "No such file");
    check_refused(node, E2E_FAILED, node->dir, "not a file");
    check_refused(node, E2E_FAILED, wrong, "not a backup");
    e2e_step("a folder that holds something");
    result = e2e_cli(node, "restore", plain, node->dir, NULL);
    assert_int_equal(result->exit_code, E2E_FAILED);
    assert_non_null(strstr(result->err, "there is a node"));
    assert_int_equal(mkdir(e2e_path("full"), 0700), 0);
    e2e_write_file(e2e_path("full/letter"), "dear");
    result = e2e_cli(node, "restore", plain, e2e_path("full"), NULL);
    assert_int_equal(result->exit_code, E2E_FAILED);
    assert_string_equal(e2e_read_file(e2e_path("full/letter")), "dear");
    e2e_finish();
}

/* An archive with one entry that no backup has. */
static void write_archive(const char *path, const char *name, mode_t type,
                          const char *target)
{
    struct archive *tar = archive_write_new();
    struct archive_entry *entry = archive_entry_new();

    assert_int_equal(archive_write_set_format_pax_restricted(tar), ARCHIVE_OK);
    assert_int_equal(archive_write_open_filename(tar, path), ARCHIVE_OK);
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, type);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, type == AE_IFREG && target == NULL ? 5 : 0);
    if (type == AE_IFLNK) {
        archive_entry_set_symlink(entry, target);
    } else if (target != NULL) {
        archive_entry_set_hardlink(entry, target);
    }
    assert_int_equal(archive_write_header(tar, entry), ARCHIVE_OK);
    if (type == AE_IFREG && target == NULL) {
        assert_int_equal(archive_write_data(tar, "hello", 5), 5);
    }
    archive_entry_free(entry);
    assert_int_equal(archive_write_free(tar), ARCHIVE_OK);
}

HM_TEST(an_archive_that_reaches_out_of_its_folder_is_refused)
{
    struct e2e_node *node = e2e_centre(false);
    const char *bad = e2e_path("bad.backup");

    write_archive(bad, "../outside", AE_IFREG, NULL);
    check_refused(node, E2E_FAILED, bad, "no backup has");
    write_archive(bad, "/etc/passwd", AE_IFREG, NULL);
    check_refused(node, E2E_FAILED, bad, "no backup has");
    write_archive(bad, "keys/../../outside", AE_IFREG, NULL);
    check_refused(node, E2E_FAILED, bad, "no backup has");
    write_archive(bad, "store.db", AE_IFLNK, "/etc/passwd");
    check_refused(node, E2E_FAILED, bad, "not a plain file");
    write_archive(bad, "store.db", AE_IFREG, "/etc/passwd");
    check_refused(node, E2E_FAILED, bad, "not a plain file");
    write_archive(bad, "keys/sign.key", AE_IFDIR, NULL); /* "keys/sign.key/" */
    check_refused(node, E2E_FAILED, bad, "no backup has");
    write_archive(bad, "store.db", AE_IFREG, NULL);
    check_refused(node, E2E_FAILED, bad, "missing");
    assert_false(is_there(e2e_path("outside")));
    e2e_finish();
}

/* Starts hamlet restore and kills it after so long. True when it had ended well before.
 */
static bool restore_for(const char *file, const char *dir, unsigned us)
{
    char path[512];
    int status = 0;
    pid_t pid;

    (void)snprintf(path, sizeof path, "%s/hamlet", getenv("HM_BIN"));
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int nowhere = open("/dev/null", O_WRONLY);

        (void)dup2(nowhere, 1);
        (void)execl(path, path, "restore", file, dir, (char *)NULL);
        _exit(127);
    }
    hm_child_sleep(us / 1e6);
    (void)kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status)) {
        assert_int_equal(WEXITSTATUS(status), 0);
        return true;
    }
    return false;
}

HM_TEST(a_restore_is_killed_again_and_again)
{
    struct e2e_node *node = e2e_centre(false);
    const char *file = e2e_path("plain.backup");
    const char *household = e2e_add(node, E2E_HAMLET_A, "Lê Thị Một", 2);
    unsigned kills = 0;

    (void)e2e_ok(node, "backup", file, NULL);
    lose(node);
    for (unsigned us = 2000; !restore_for(file, node->dir, us); us += us / 6 + 500) {
        kills++;
        assert_true(kills < 200);
        if (!is_there(e2e_path("%s/hamletd.conf", node->name))) {
            continue; /* no node yet */
        }
        e2e_step("killed behind the last name");
        break;
    }
    e2e_step("killed %u times, then it got through", kills);
    assert_true(kills > 3);
    e2e_start(node);
    e2e_check_field(node, household, "head_name", "Lê Thị Một");
    assert_true(e2e_bool(e2e_ok(node, "verify", NULL), "ok"));
    e2e_finish();
}
