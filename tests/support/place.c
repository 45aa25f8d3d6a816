/* Where a test's files are: what it may look at, and a folder of its own. Apart from
 * test.c, so that programs with another main can have it. */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/test.h"

static char folder[256];

const char *hm_test_fixture(const char *relative)
{
    static char path[1024];
    const char *root = getenv("HM_FIXTURES");

    (void)snprintf(path, sizeof path, "%s/%s", root == NULL ? "tests/fixtures" : root,
                   relative);
    return path;
}

static int remove_one(const char *path, const struct stat *info, int kind,
                      struct FTW *at)
{
    (void)info;
    (void)kind;
    (void)at;
    return remove(path);
}

const char *hm_test_folder(void)
{
    const char *tmp = getenv("TMPDIR");

    if (folder[0] == 0) {
        (void)snprintf(folder, sizeof folder, "%s/hamletd-test-XXXXXX",
                       tmp == NULL ? "/tmp" : tmp);
        if (mkdtemp(folder) == NULL) {
            fail_msg("no folder %s", folder);
        }
    }
    return folder;
}

void hm_test_folder_remove(void)
{
    if (folder[0] != 0) {
        (void)nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
        folder[0] = 0;
    }
}
