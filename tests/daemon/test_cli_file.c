#include "tests/support/test.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/cli/cli_file.h"

/* A file that cannot take its place must not leave half of itself beside it. */
HM_TEST(failed_commit_leaves_nothing)
{
    struct hm_cli_file to = {0};
    char path[300];
    char temporary[310];

    (void)snprintf(path, sizeof path, "%s/out", hm_test_folder());
    (void)snprintf(temporary, sizeof temporary, "%s.tmp", path);
    CHECK_OK(hm_cli_file_open(&to, path));
    CHECK_OK(access(temporary, F_OK));
    CHECK_OK(mkdir(path, 0700)); /* a folder cannot be renamed over */
    assert_int_equal(hm_cli_file_commit(&to), HM_IO);
    assert_int_equal(access(temporary, F_OK), -1);
    hm_cli_file_abort(&to);
    assert_int_equal(hm_cli_file_open(&to, path), HM_EXISTS);
    assert_null(to.file);
}

HM_TEST(abort_keeps_the_old_one)
{
    struct hm_cli_file to = {0};
    char path[300];
    char text[8] = "";
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/kept", hm_test_folder());
    CHECK_OK(hm_cli_file_open(&to, path));
    (void)fputs("old", to.file);
    CHECK_OK(hm_cli_file_commit(&to));
    CHECK_OK(hm_cli_file_open(&to, path));
    (void)fputs("new", to.file);
    hm_cli_file_abort(&to);
    hm_cli_file_abort(&to);
    file = fopen(path, "rb");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    (void)fclose(file);
    assert_string_equal(text, "old");
}
