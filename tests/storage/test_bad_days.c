/* Bad days that the simulator found first, each as small as it gets. */
#include <stdio.h>

#include "storage/devices.h"
#include "storage/log.h"
#include "tests/support/pen.h"
#include "tests/support/simdisk.h"

static struct hm_simdisk *node_disk;
static struct hm_test_node node;

static int save_number(const char *name, int64_t number)
{
    CHECK_OK(hm_store_begin(node.store));
    return hm_store_end(node.store, hm_store_set_number(node.store, name, number));
}

static bool has_number(const char *name)
{
    int64_t number = 0;
    int err = hm_store_get_number(node.store, name, &number);

    assert_true(err == HM_OK || err == HM_NOTFOUND);
    return err == HM_OK;
}

static void cut_power(void)
{
    hm_simdisk_cut_now(node_disk, HM_SIMDISK_NONE, 1);
    hm_simdisk_boot(node_disk);
    hm_test_node_restart(&node);
}

/* After a failed sync the system shows a commit that the disk does not have, and takes
 * it for written: what is saved behind it may not hang on it. */
HM_TEST(what_is_saved_after_a_failed_sync_stays)
{
    const struct hm_simdisk_fault fault = {
        .classes = HM_SIMDISK_SYNC, .at = 1, .failure = HM_SIMDISK_EIO};

    node_disk = hm_simdisk_create("node", 1);
    hm_test_node_open_on(&node, "node", HM_NODE_CENTRE, "node");
    hm_simdisk_fail(node_disk, &fault);
    assert_int_equal(save_number("first", 1), HM_IO);
    hm_simdisk_kill(node_disk); /* the process ends */
    hm_test_node_restart(&node);
    CHECK_OK(save_number("second", 2));
    cut_power();
    assert_true(has_number("second"));
    hm_test_node_close(&node);
    hm_simdisk_destroy(node_disk);
}

/* A process that was killed between the writes of a commit and its sync: what the next
 * one finds, and may tell others of, is on the disk. */
HM_TEST(what_is_found_after_a_kill_stays)
{
    unsigned found = 0;

    for (uint64_t at = 1; at <= 8; at++) {
        const struct hm_simdisk_cut cut = {.at = at, .kills = true};

        node_disk = hm_simdisk_create("node", 1);
        hm_test_node_open_on(&node, "node", HM_NODE_CENTRE, "node");
        hm_simdisk_cut_at(node_disk, &cut);
        if (save_number("first", 1) == HM_IO) {
            hm_simdisk_boot(node_disk);
            hm_test_node_restart(&node);
            if (has_number("first")) {
                found++;
                cut_power();
                assert_true(has_number("first"));
            }
        }
        hm_simdisk_boot(node_disk);
        hm_test_node_close(&node);
        hm_simdisk_destroy(node_disk);
    }
    assert_true(found > 0);
}
