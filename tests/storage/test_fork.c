/* A machine that was set back while it ran writes other entries under numbers that are
 * taken: both branches are kept, and nobody's dots are named by the other. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "storage/alarms.h"
#include "storage/log.h"
#include "tests/support/child.h"
#include "tests/support/village.h"

/* What a hypervisor keeps of a machine that runs: its disk and its memory. */
struct snapshot {
    char path[600];
    struct hm_own_log memory;
};

static void copy_file(const char *from, const char *to)
{
    size_t len = 0;
    char *bytes = hm_child_read_file(from, &len);
    FILE *file = fopen(to, "wb");

    assert_non_null(bytes);
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    free(bytes);
}

static void take(struct hm_village_node *n, struct snapshot *out)
{
    out->memory = *hm_store_own_log(n->node.store);
    (void)snprintf(out->path, sizeof out->path, "%s.snapshot", n->node.path);
    hm_village_close_node(n);
    copy_file(n->node.path, out->path);
    hm_village_open_node(n);
    *hm_store_own_log(n->node.store) = out->memory;
}

static void go_back(struct hm_village_node *n, const struct snapshot *snapshot)
{
    hm_village_close_node(n);
    copy_file(snapshot->path, n->node.path);
    hm_village_open_node(n);
    *hm_store_own_log(n->node.store) = snapshot->memory;
}

static uint64_t fork_alarm(struct hm_village_node *n)
{
    struct hm_alarm *alarms = NULL;
    struct hm_arena arena;
    uint64_t changes = 0;
    size_t count = 0;

    hm_arena_init(&arena, 1024 * 1024);
    CHECK_OK(hm_store_begin_read(n->node.store));
    CHECK_OK(hm_alarms_list(n->node.store, &arena, &alarms, &count));
    CHECK_OK(hm_store_end(n->node.store, HM_OK));
    for (size_t i = 0; i < count; i++) {
        changes += alarms[i].kind == HM_ALARM_FORK ? alarms[i].count : 0;
    }
    hm_arena_deinit(&arena);
    return changes;
}

HM_TEST(both_branches_of_a_snapshot_are_kept)
{
    struct hm_village v;
    struct hm_village_node *a;
    struct hm_save_result oldest;
    struct hm_save_result first;
    struct hm_save_result second;
    struct hm_save_result of_one;
    struct hm_save_result of_two;
    struct snapshot snapshot;
    struct hm_adopt out;

    hm_village_open(&v);
    a = hm_village_add(&v, "a", 1);
    oldest = hm_village_new(&v, a, 0, "Lê Thị Già", 0);
    first = hm_village_new(&v, a, 0, "Nguyễn Thị Lan", 1);
    second = hm_village_new(&v, a, 0, "Trần Văn Hùng", 0);
    (void)hm_village_sync(&v, a);
    take(a, &snapshot);
    /* One branch: an answer, and a household. */
    (void)hm_village_put(&v, a, &first.household, v.phone, "1");
    (void)hm_village_put(&v, a, &first.household, v.note, "1");
    of_one = hm_village_new(&v, a, 0, "Của Nhánh Một", 0);
    (void)hm_village_sync(&v, a);
    /* The other one, under the same numbers: answers, members, a household. */
    go_back(a, &snapshot);
    (void)hm_village_put(&v, a, &second.household, v.phone, "2");
    (void)hm_village_put(&v, a, &oldest.household, v.note, "2");
    of_two = hm_village_new(&v, a, 0, "Của Nhánh Hai", 1);
    (void)hm_village_put(&v, a, &of_two.household, v.phone, "3");
    (void)hm_village_put_member(&v, a, &of_two.household, &of_two.items[0],
                                v.birth_year, "1961");
    assert_int_equal(hm_dot_compare((const struct hm_dot *)&of_one.household,
                                    (const struct hm_dot *)&of_two.household),
                     0);
    out = hm_village_sync(&v, a);
    assert_true(out.digest_equal);
    assert_string_equal(hm_village_shows(&v, &v.centre, &first.household, v.phone),
                        "1");
    assert_string_equal(hm_village_shows(&v, a, &first.household, v.phone), "1");
    assert_string_equal(hm_village_shows(&v, &v.centre, &second.household, v.phone),
                        "2");
    /* The number is the first branch's; the second one's household has a new one. */
    assert_string_equal(hm_village_shows(&v, &v.centre, &of_one.household, v.name),
                        "Của Nhánh Một");
    assert_int_equal(hm_village_households(&v.centre), 5);
    assert_int_equal(hm_village_households(a), 5);
    assert_int_equal(hm_village_conflicts(&v.centre), 0);
    assert_int_equal(fork_alarm(&v.centre), 5);
    assert_int_equal(fork_alarm(a), 5);
    hm_village_check_equal(&v);
    /* And it goes on under its new incarnation. */
    (void)hm_village_put(&v, a, &second.household, v.phone, "4");
    (void)hm_village_sync(&v, a);
    assert_string_equal(hm_village_shows(&v, &v.centre, &second.household, v.phone),
                        "4");
    assert_int_equal(hm_village_conflicts(&v.centre), 0);
    hm_village_check_equal(&v);
    hm_village_close(&v);
}

/* It hears of what it had written before it writes again: nothing forks. */
HM_TEST(who_syncs_first_takes_new_numbers)
{
    struct hm_village v;
    struct hm_village_node *a;
    struct hm_save_result h;
    struct snapshot snapshot;

    hm_village_open(&v);
    a = hm_village_add(&v, "a", 1);
    h = hm_village_new(&v, a, 0, "Nguyễn Thị Lan", 0);
    (void)hm_village_sync(&v, a);
    take(a, &snapshot);
    (void)hm_village_put(&v, a, &h.household, v.phone, "1");
    (void)hm_village_sync(&v, a);
    go_back(a, &snapshot);
    (void)hm_village_sync(&v, a);
    assert_string_equal(hm_village_shows(&v, a, &h.household, v.phone), "1");
    (void)hm_village_put(&v, a, &h.household, v.phone, "2");
    assert_string_equal(hm_village_shows(&v, a, &h.household, v.phone), "2");
    (void)hm_village_sync(&v, a);
    assert_string_equal(hm_village_shows(&v, &v.centre, &h.household, v.phone), "2");
    assert_int_equal(hm_village_conflicts(&v.centre), 0);
    assert_int_equal(fork_alarm(&v.centre), 0);
    hm_village_check_equal(&v);
    hm_village_close(&v);
}
