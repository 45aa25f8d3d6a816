/* What the loop of faulty runs must find, and what it must not: memory that nobody
 * checked, and memory that somebody did. */
#include <stdlib.h>
#include <string.h>

#include "tests/support/test.h"

HM_TEST(unchecked_malloc)
{
    static char *volatile text;

    text = malloc(8);
    memset(text, 'x', 8);
    assert_int_equal(text[7], 'x');
    free(text);
}

HM_TEST(checked_malloc)
{
    static char *volatile text;

    text = malloc(8);
    assert_non_null(text);
    free(text);
}
