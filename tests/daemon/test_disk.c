#include "daemon/disk.h"

#include <stdio.h>
#include <unistd.h>

#include "tests/support/http.h"
#include "tests/support/test.h"

HM_TEST(limits_decide)
{
    struct hm_disk_options options = {.warn_bytes = 200, .refuse_bytes = 50};

    assert_int_equal(hm_disk_judge(&options, 200), HM_DISK_ROOMY);
    assert_int_equal(hm_disk_judge(&options, 199), HM_DISK_LOW);
    assert_int_equal(hm_disk_judge(&options, 50), HM_DISK_LOW);
    assert_int_equal(hm_disk_judge(&options, 49), HM_DISK_FULL);
    options.refuse_bytes = 0;
    assert_int_equal(hm_disk_judge(&options, 0), HM_DISK_LOW);
}

static void on_closed(void *owner)
{
    *(bool *)owner = true;
}

static enum hm_disk_state look_once(const struct hm_disk_options *options)
{
    enum hm_disk_state state;
    struct hm_disk *disk = NULL;
    bool closed = false;
    uv_loop_t loop;

    CHECK_OK(uv_loop_init(&loop));
    CHECK_OK(hm_disk_open(&loop, options, &disk));
    for (int i = 0; i < 2000 && hm_disk_free_bytes(disk) == UINT64_MAX; i++) {
        hm_test_spin_ms(&loop, 1);
    }
    state = hm_disk_state(disk);
    hm_disk_close(disk, on_closed, &closed);
    hm_test_spin(&loop, &closed);
    hm_test_loop_end(&loop);
    return state;
}

/* With room there is a reserve; without, it is given back so that a sync can run. */
HM_TEST(the_reserve_comes_and_goes)
{
    struct hm_disk_options options = {
        .dir = hm_test_folder(), .reserve_bytes = 100000, .check_s = 10};
    char path[512];

    (void)snprintf(path, sizeof path, "%s/reserve", options.dir);
    assert_int_equal(look_once(&options), HM_DISK_ROOMY);
    assert_int_equal(access(path, F_OK), 0);
    options.warn_bytes = options.refuse_bytes = UINT64_MAX;
    assert_int_equal(look_once(&options), HM_DISK_FULL);
    assert_int_not_equal(access(path, F_OK), 0);
}
