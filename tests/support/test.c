#include "tests/support/test.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct hm_test *first;
static char folder[256];

void hm_test_register(struct hm_test *test)
{
    test->next = first;
    first = test;
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
            perror(folder);
            abort();
        }
    }
    return folder;
}

int main(int argc, char **argv)
{
    int failed = 0;
    int ran = 0;

    for (struct hm_test *test = first; test != NULL; test = test->next) {
        if (argc < 2 || strcmp(argv[1], test->name) == 0) {
            const struct CMUnitTest one = {test->name, test->run, NULL, NULL, NULL};

            failed += _cmocka_run_group_tests(test->name, &one, 1, NULL, NULL);
            ran++;
        }
    }
    if (ran == 0) {
        (void)fprintf(stderr, "no such test: %s\n", argc < 2 ? "(none)" : argv[1]);
        return 2;
    }
    if (failed == 0 && folder[0] != 0) {
        (void)nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    }
    return failed == 0 ? 0 : 1;
}
