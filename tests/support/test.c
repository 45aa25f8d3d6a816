#include "tests/support/test.h"

#include <stdio.h>
#include <string.h>

#include "tests/fault/loop.h"

static struct hm_test *first;
static struct hm_test *running;

void hm_test_register(struct hm_test *test)
{
    test->next = first;
    first = test;
}

static void run_function(void **state)
{
    hm_fault_test_begins();
    running->run(state);
    hm_fault_test_ends();
}

/* Returns how many have failed. */
static int run_one(struct hm_test *test)
{
    const struct CMUnitTest one = {test->name, run_function, NULL, NULL, NULL};

    running = test;
    return _cmocka_run_group_tests(test->name, &one, 1, NULL, NULL);
}

int main(int argc, char **argv)
{
    const char *name = argc < 2 ? NULL : argv[1];
    int failed = 0;
    int ran = 0;
    int code = hm_fault_main(first, name, run_one);

    if (code >= 0) {
        return code;
    }
    for (struct hm_test *test = first; test != NULL; test = test->next) {
        if (name == NULL || strcmp(name, test->name) == 0) {
            failed += run_one(test);
            ran++;
        }
    }
    if (ran == 0) {
        (void)fprintf(stderr, "no such test: %s\n", name == NULL ? "(none)" : name);
        return 2;
    }
    if (failed == 0) {
        hm_test_folder_remove();
    }
    return failed == 0 ? 0 : 1;
}
