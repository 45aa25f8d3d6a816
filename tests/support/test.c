#include "tests/support/test.h"

#include <stdio.h>
#include <string.h>

static struct hm_test *first;

void hm_test_register(struct hm_test *test)
{
    test->next = first;
    first = test;
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
    if (failed == 0) {
        hm_test_folder_remove();
    }
    return failed == 0 ? 0 : 1;
}
