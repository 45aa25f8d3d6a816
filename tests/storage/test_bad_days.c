/* Bad days that the simulator found first, each as small as it gets. */
#include <stdio.h>

#include "storage/devices.h"
#include "storage/log.h"
#include "tests/support/pen.h"
#include "tests/support/simdisk.h"

enum { DISKS_MAX = 4 };

static struct hm_village v;
static struct hm_simdisk *disks[DISKS_MAX];
static size_t disk_count;

/* A disk for each node, in the order in which they are opened: 0 is the centre's. */
static const char *disk_of(void *arg, const char *node)
{
    (void)arg;
    assert_true(disk_count < DISKS_MAX);
    disks[disk_count] = hm_simdisk_create(node, disk_count);
    disk_count++;
    return node;
}

static void end(void)
{
    hm_village_close(&v);
    for (size_t i = 0; i < disk_count; i++) {
        hm_simdisk_destroy(disks[i]);
    }
}

/* A laptop that was set back to an older image hears from its parent what it wrote
 * since. Writing over such a value works: its log does not have that entry any more. */
HM_TEST(what_came_back_can_be_written_over)
{
    struct hm_village_node *a;
    struct hm_save_result h;
    struct hm_simdisk *image;

    hm_village_open_on(&v, disk_of, NULL);
    a = hm_village_add(&v, "a", 1);
    h = hm_village_new(&v, a, 0, "Lan", 0);
    (void)hm_village_sync(&v, a);
    image = hm_simdisk_copy(disks[1], NULL);
    (void)hm_village_put(&v, a, &h.household, v.phone, "1");
    (void)hm_village_sync(&v, a);
    hm_village_close_node(a);
    hm_simdisk_restore(disks[1], image);
    hm_village_open_node(a);
    (void)hm_village_sync(&v, a);
    assert_string_equal(hm_village_shows(&v, a, &h.household, v.phone), "1");
    (void)hm_village_put(&v, a, &h.household, v.phone, "2");
    (void)hm_village_sync(&v, a);
    assert_string_equal(hm_village_shows(&v, &v.centre, &h.household, v.phone), "2");
    hm_village_check_equal(&v);
    hm_simdisk_destroy(image);
    end();
}

/* The disk can't be read for a moment: that says nothing about what is on it. */
HM_TEST(a_read_that_fails_is_no_damage)
{
    const struct hm_simdisk_fault fault = {.classes = HM_SIMDISK_READ,
                                           .at = 1,
                                           .lasting = true,
                                           .failure = HM_SIMDISK_EIO};
    struct hm_save_result h;
    struct hm_household loaded;
    struct hm_arena arena;
    unsigned failed = 0;
    int err = HM_IO;

    hm_village_open_on(&v, disk_of, NULL);
    h = hm_village_new(&v, &v.centre, 0, "Lan", 0);
    /* Each time one read later, until all that the load needs are through. */
    for (unsigned i = 1; i < 100; i++) {
        struct hm_simdisk_fault later = fault;

        later.at = i;
        hm_village_restart(&v.centre); /* nothing is in SQLite's cache */
        hm_simdisk_fail(disks[0], &later);
        hm_arena_init(&arena, HM_HOUSEHOLD_ARENA_BYTES_MAX);
        err = hm_households_load(v.centre.node.store, &h.household, &arena, &loaded);
        hm_arena_deinit(&arena);
        hm_simdisk_heal(disks[0]);
        if (err == HM_OK) {
            break;
        }
        assert_int_equal(err, HM_IO);
        failed++;
    }
    assert_int_equal(err, HM_OK);
    assert_true(failed > 0);
    end();
}

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

/* A laptop that is assigned other hamlets is nobody's neighbour any more: those who
 * were shown it are told to forget it, or their digest differs for ever. */
HM_TEST(a_neighbour_that_left_is_forgotten)
{
    struct hm_village_node *a;
    struct hm_village_node *b;
    struct hm_device device;
    struct hm_arena arena;

    hm_village_open(&v);
    a = hm_village_add(&v, "a", 1);
    b = hm_village_add(&v, "b", 1);
    (void)hm_village_sync(&v, a);
    hm_arena_init(&arena, 1024 * 1024);
    CHECK_OK(hm_devices_get(a->node.store, b->node.device, &arena, &device));
    CHECK_OK(hm_store_begin(v.centre.node.store));
    CHECK_OK(hm_store_end(
        v.centre.node.store,
        hm_devices_reassign(v.centre.node.store, b->node.device, &v.hamlets[1], 1)));
    assert_true(hm_village_sync(&v, a).digest_equal);
    assert_int_equal(hm_devices_get(a->node.store, b->node.device, &arena, &device),
                     HM_NOTFOUND);
    assert_true(hm_village_sync(&v, b).digest_equal);
    CHECK_OK(hm_devices_get(b->node.store, b->node.device, &arena, &device));
    hm_arena_deinit(&arena);
    hm_village_close(&v);
}

/* A save at the centre; its error. */
static int save_phone(const struct hm_household_id *id)
{
    uint8_t value[] = {0xa1, '7'};
    struct hm_save_cell cell = {v.phone, hm_bytes_of(value, sizeof value), NULL, 0};
    struct hm_save_row row = {.form = v.form, .cells = &cell, .cell_count = 1};
    struct hm_save save = {.household = *id,
                           .scope = v.hamlets[1],
                           .rank = 4,
                           .rows = &row,
                           .row_count = 1};
    struct hm_save_result result;
    struct hm_arena arena;
    int err;

    hm_arena_init(&arena, 1024 * 1024);
    CHECK_OK(hm_store_begin(v.centre.node.store));
    err = hm_save_run(v.centre.node.store, &save, hm_forms_policy_of, v.centre.forms,
                      &arena, &result);
    err = hm_store_end(v.centre.node.store, err);
    hm_arena_deinit(&arena);
    return err;
}

/* Somebody writes to a household that the parent has not seen yet, and is refused. That
 * says nothing about where it lives: it stands in no feed, and its true author is
 * welcome when he comes. */
HM_TEST(a_refused_change_gives_no_home)
{
    struct hm_village_node *a;
    struct hm_village_node *b;
    struct hm_village_node *c;
    struct hm_save_result h;
    struct hm_build evil;
    struct hm_pen pen;

    hm_village_open(&v);
    a = hm_village_add(&v, "a", 1);
    b = hm_village_add(&v, "b", 4);
    c = hm_village_add(&v, "c", 2);
    h = hm_village_new(&v, a, 0, "Lan", 0);
    hm_pen_open(&pen, &v, b, 0xbad);
    /* b does not hold the second hamlet; c does. */
    hm_build_begin(&evil, &pen.arena, hm_pen_next(&pen), h.household, v.hamlets[1]);
    hm_build_row(&evil, (struct hm_row_key){.form = v.form});
    hm_build_text(&evil, v.phone, "66");
    hm_pen_raw(&pen, hm_build_bytes(&evil));
    assert_int_equal(hm_pen_take(&pen, hm_pen_seal(&pen, 0, 2)), 2);
    assert_int_equal(hm_village_quarantined(&v.centre), 1);
    (void)hm_village_sync(&v, c);
    assert_int_equal(hm_village_households(c), 0);
    assert_int_equal(save_phone(&h.household), HM_NOTFOUND);
    (void)hm_village_put(&v, a, &h.household, v.note, "good");
    assert_int_equal(hm_village_sync(&v, a).notices, 0);
    assert_string_equal(hm_village_shows(&v, &v.centre, &h.household, v.note), "good");
    assert_string_equal(hm_village_shows(&v, &v.centre, &h.household, v.phone), "");
    hm_village_check_equal(&v);
    hm_pen_close(&pen);
    hm_village_close(&v);
}
