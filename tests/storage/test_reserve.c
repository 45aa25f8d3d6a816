#include "storage/reserve.h"

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/support/test.h"

enum { RESERVE_BYTES = 1024 * 1024 };

static const char *path_of(const char *name)
{
    static char path[512];

    (void)snprintf(path, sizeof path, "%s/%s", hm_test_folder(), name);
    return path;
}

static int64_t held(void)
{
    int64_t bytes = -1;

    CHECK_OK(hm_reserve_held_bytes(path_of("reserve"), &bytes));
    return bytes;
}

/* The space is really taken, given back, and can be taken again. */
HM_TEST(made_released_made_again)
{
    assert_int_equal(held(), 0);
    CHECK_OK(hm_reserve_release(path_of("reserve")));
    for (int i = 0; i < 2; i++) {
        CHECK_OK(hm_reserve_make(path_of("reserve"), RESERVE_BYTES));
        assert_true(held() >= RESERVE_BYTES);
        CHECK_OK(hm_reserve_make(path_of("reserve"), RESERVE_BYTES));
        CHECK_OK(hm_reserve_make(path_of("reserve"), 2 * (int64_t)RESERVE_BYTES));
        assert_true(held() >= 2 * (int64_t)RESERVE_BYTES);
        CHECK_OK(hm_reserve_release(path_of("reserve")));
        assert_int_equal(held(), 0);
    }
}

/* A file with a hole in it keeps nothing for us. */
HM_TEST(hole_is_no_reserve)
{
    FILE *file = fopen(path_of("reserve"), "w");

    assert_non_null(file);
    assert_int_equal(ftruncate(fileno(file), RESERVE_BYTES), 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(held(), 0);
    CHECK_OK(hm_reserve_make(path_of("reserve"), RESERVE_BYTES));
    assert_true(held() >= RESERVE_BYTES);
}

/* Half a reserve would only keep the disk full. */
HM_TEST(no_room_leaves_no_file)
{
    const struct rlimit limit = {.rlim_cur = RESERVE_BYTES, .rlim_max = RESERVE_BYTES};

    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(hm_reserve_make(path_of("reserve"), 2 * (int64_t)RESERVE_BYTES),
                     HM_NOSPACE);
    assert_int_not_equal(access(path_of("reserve"), F_OK), 0);
    assert_int_equal(hm_reserve_make(path_of("no/reserve"), 1), HM_IO);
    assert_int_equal(hm_reserve_make(path_of("reserve"), 0), HM_INVALID);
}
