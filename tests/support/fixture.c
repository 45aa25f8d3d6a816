/* Apart from test.c, so that programs with a main of their own can use fixtures. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/test.h"

const char *hm_test_fixture(const char *relative)
{
    static char path[1024];
    const char *root = getenv("HM_FIXTURES");

    (void)snprintf(path, sizeof path, "%s/%s", root == NULL ? "tests/fixtures" : root,
                   relative);
    return path;
}
