/* Tests: one function each, found by CMake by its line HM_TEST(name), run by CTest in a
 * process of its own. Asserts are cmocka's. */
#ifndef HM_TESTS_SUPPORT_TEST_H
#define HM_TESTS_SUPPORT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct hm_test {
    const char *name;
    CMUnitTestFunction run;
    struct hm_test *next;
};

void hm_test_register(struct hm_test *test);

/* Path of a fixture below tests/fixtures. Static memory, overwritten by the next call.
 */
const char *hm_test_fixture(const char *relative);

/* A new empty folder below the build's temporary folder, removed when the process ends
 * well. Static memory; one per process. */
const char *hm_test_folder(void);
/* What the end of a test does; hm_test_folder() then makes another one. */
void hm_test_folder_remove(void);

#define HM_TEST(test_name)                                                             \
    static void test_##test_name(void **state);                                        \
    __attribute__((constructor)) static void register_##test_name(void)                \
    {                                                                                  \
        static struct hm_test test = {#test_name, test_##test_name, NULL};             \
        hm_test_register(&test);                                                       \
    }                                                                                  \
    static void test_##test_name(__attribute__((unused)) void **state)

#define CHECK_OK(call) assert_int_equal((call), 0)

#endif
