#include "storage/repair.h"

#include <stdio.h>
#include <unistd.h>

#include "storage/devices.h"
#include "storage/facts.h"
#include "storage/log.h"
#include "storage/log_files.h"
#include "storage/quarantine.h"
#include "tests/support/fault.h"
#include "tests/support/village.h"

static struct hm_village v;
static struct hm_village_node *laptop;
static struct hm_repair_report report;

/* A centre, and a laptop with a household from there and own ones, partly sent. */
static void open_all(void)
{
    struct hm_save_result made;

    hm_village_open(&v);
    laptop = hm_village_add(&v, "laptop", 3);
    (void)hm_village_new(&v, &v.centre, 0, "Lan", 2);
    hm_village_settle(&v);
    made = hm_village_new(&v, laptop, 0, "Mai", 3);
    (void)hm_village_put(&v, laptop, &made.household, v.phone, "1");
    (void)hm_village_sync(&v, laptop);
    (void)hm_village_put(&v, laptop, &made.household, v.phone, "2");
    (void)hm_village_put(&v, laptop, &made.household, v.note, "not sent yet");
}

static void file_log(struct hm_village_node *n)
{
    struct hm_log_files_options options = {.files = hm_files_disk(),
                                           .dir = hm_test_folder(),
                                           .secret_key = n->node.secret_key,
                                           .device = n->node.device};
    struct hm_log_files *f = NULL;

    CHECK_OK(hm_log_files_create(&options, &f));
    CHECK_OK(hm_log_files_file(f, n->node.store));
    hm_log_files_destroy(f);
}

static void close_node(struct hm_village_node *n)
{
    hm_forms_close(n->forms);
    n->forms = NULL;
    hm_test_node_close(&n->node);
}

static void open_node(struct hm_village_node *n)
{
    hm_test_node_restart(&n->node);
    CHECK_OK(hm_forms_open(n->node.store, &n->forms));
}

static int64_t now(void *arg)
{
    return *(int64_t *)arg;
}

static void zeros(void *arg, uint8_t *out, size_t len)
{
    (void)arg;
    memset(out, 7, len);
}

static void remove_store(const char *path)
{
    static const char *const parts[] = {"", "-wal", "-shm"};

    for (unsigned i = 0; i < 3; i++) {
        char name[600];

        (void)snprintf(name, sizeof name, "%s%s", path, parts[i]);
        (void)unlink(name);
    }
}

static struct hm_repair_options options_for(struct hm_village_node *n, bool with_old,
                                            char fresh[600], char scratch[600])
{
    (void)snprintf(fresh, 600, "%s.new", n->node.path);
    (void)snprintf(scratch, 600, "%s.scratch", n->node.path);
    remove_store(fresh);
    remove_store(scratch);
    return (struct hm_repair_options){
        .store = {.path = fresh,
                  .env = {.utc_ms = now, .random = zeros, .arg = &n->node.now_ms},
                  .device = n->node.device,
                  .public_key = n->node.public_key,
                  .secret_key = n->node.secret_key,
                  .version = "test"},
        .old_path = with_old ? n->node.path : NULL,
        .scratch_path = scratch,
        .files = hm_files_disk(),
        .dir = hm_test_folder()};
}

/* Repairs a node that is closed, and opens what came out in its place. */
static void repair(struct hm_village_node *n, bool with_old)
{
    char fresh[600];
    char scratch[600];
    struct hm_repair_options options = options_for(n, with_old, fresh, scratch);
    struct hm_buf errmsg;

    hm_buf_init(&errmsg, 1000);
    CHECK_OK(hm_repair_run(&options, &report, &errmsg));
    hm_buf_deinit(&errmsg);
    remove_store(scratch);
    remove_store(n->node.path);
    assert_int_equal(rename(fresh, n->node.path), 0);
    open_node(n);
}

static struct hm_hash digests[HM_VILLAGE_HAMLETS];

static void note_digests(struct hm_village_node *n)
{
    for (unsigned i = 0; i < HM_VILLAGE_HAMLETS; i++) {
        digests[i] = hm_village_digest(n, v.hamlets[i]);
    }
}

static void check_digests(struct hm_village_node *n)
{
    for (unsigned i = 0; i < HM_VILLAGE_HAMLETS; i++) {
        struct hm_hash hash = hm_village_digest(n, v.hamlets[i]);

        assert_true(hm_hash_equal(&hash, &digests[i]));
    }
}

static void check_sound(struct hm_village_node *n)
{
    struct hm_buf lines;

    hm_buf_init(&lines, 10000);
    CHECK_OK(hm_repair_check(n->node.store, hm_files_disk(), hm_test_folder(), &lines));
    hm_buf_deinit(&lines);
}

static const struct hm_repair_count *own(void)
{
    return &report.counts[HM_REPAIR_OWN];
}

static void run_sql(struct hm_village_node *n, const char *sql)
{
    CHECK_OK(hm_store_begin(n->node.store));
    CHECK_OK(hm_db_exec(hm_store_db(n->node.store), sql));
    CHECK_OK(hm_store_end(n->node.store, HM_OK));
}

/* Of a store that can be read, all comes back, with or without files. */
HM_TEST(a_readable_store_comes_back_whole)
{
    int64_t offer = 0;

    open_all();
    note_digests(laptop);
    close_node(laptop);
    repair(laptop, true);
    check_digests(laptop);
    check_sound(laptop);
    assert_int_equal(own()->restored, 4);
    assert_int_equal(own()->missing, 0);
    assert_int_equal(report.holes, 0);
    CHECK_OK(hm_store_begin_read(laptop->node.store));
    CHECK_OK(hm_store_get_number(laptop->node.store, HM_META_OFFER_LOGS, &offer));
    CHECK_OK(hm_store_end(laptop->node.store, HM_OK));
    assert_int_equal(offer, 1);
    hm_village_settle(&v);
    hm_village_check_equal(&v);
    hm_village_close(&v);
}

/* With nothing but the files, own work is there at once, and the rest after a sync. */
HM_TEST(the_files_alone_bring_own_work)
{
    struct hm_household_id id;

    open_all();
    id = hm_village_new(&v, laptop, 1, "Hoa", 1).household;
    file_log(laptop);
    close_node(laptop);
    repair(laptop, false);
    check_sound(laptop);
    assert_int_equal(own()->found, 5);
    assert_int_equal(own()->restored, 5);
    assert_string_equal(hm_village_shows(&v, laptop, &id, v.name), "Hoa");
    assert_int_equal(hm_village_households(laptop), 2);
    hm_village_settle(&v);
    hm_village_check_equal(&v);
    assert_int_equal(hm_village_households(laptop), 3);
    assert_int_equal(hm_village_conflicts(&v.centre), 0);
    hm_village_close(&v);
}

/* Neither a store nor facts: the node is not guessed at. */
HM_TEST(without_facts_it_says_so)
{
    char fresh[600];
    char scratch[600];
    struct hm_repair_options options;
    struct hm_buf errmsg;
    FILE *file;

    open_all();
    close_node(laptop);
    remove_store(laptop->node.path);
    file = fopen(laptop->node.path, "wb");
    assert_non_null(file);
    assert_true(fputs("this is not a store at all", file) >= 0);
    CHECK_OK(fclose(file));
    options = options_for(laptop, true, fresh, scratch);
    hm_buf_init(&errmsg, 1000);
    assert_int_equal(hm_repair_run(&options, &report, &errmsg), HM_NOTFOUND);
    assert_non_null(strstr(hm_buf_str(&errmsg), HM_FACTS_FILE));
    hm_buf_deinit(&errmsg);
    remove_store(laptop->node.path);
    open_node(laptop);
    hm_village_close(&v);
}

/* What is lost is counted, what came behind it can be released by a person, and no
 * state claims to hold what the log does not. */
HM_TEST(a_gap_is_counted_and_what_follows_is_set_apart)
{
    open_all();
    run_sql(laptop, "DELETE FROM entry WHERE n = 3 AND bytes IS NOT NULL");
    close_node(laptop);
    repair(laptop, true);
    assert_int_equal(own()->restored, 2);
    assert_int_equal(own()->missing, 1);
    assert_int_equal(report.set_apart, 1);
    assert_int_equal(hm_village_quarantined(laptop), 1);
    check_sound(laptop);
    hm_village_settle(&v);
    hm_village_check_equal(&v);
    hm_village_close(&v);
}

/* The tail of a log that only its length tells of is missing too. */
HM_TEST(a_lost_tail_is_counted)
{
    open_all();
    run_sql(laptop, "DELETE FROM entry WHERE n = 4 AND bytes IS NOT NULL");
    close_node(laptop);
    repair(laptop, true);
    assert_int_equal(own()->restored, 3);
    assert_int_equal(own()->missing, 1);
    assert_int_equal(report.set_apart, 0);
    hm_village_settle(&v);
    hm_village_check_equal(&v);
    hm_village_close(&v);
}

/* The files win over what the store says of the same entry. */
HM_TEST(a_changed_entry_is_taken_from_the_files)
{
    open_all();
    note_digests(laptop);
    file_log(laptop);
    run_sql(laptop, "UPDATE entry SET bytes = x'00' WHERE n = 3 AND bytes IS NOT NULL");
    close_node(laptop);
    repair(laptop, true);
    assert_int_equal(own()->restored, 4);
    assert_int_equal(own()->missing, 0);
    check_digests(laptop);
    check_sound(laptop);
    hm_village_close(&v);
}

/* Without files a changed entry is missing, and never taken for what was saved. */
HM_TEST(a_changed_entry_is_not_believed)
{
    open_all();
    run_sql(laptop, "UPDATE entry SET bytes = (SELECT bytes FROM entry AS other WHERE "
                    "other.n = 4 AND other.bytes IS NOT NULL) "
                    "WHERE n = 3 AND bytes IS NOT NULL");
    close_node(laptop);
    repair(laptop, true);
    assert_int_equal(own()->restored, 2);
    assert_true(own()->missing + report.set_apart == 2);
    hm_village_settle(&v);
    hm_village_check_equal(&v);
    hm_village_close(&v);
}

/* A state without its hash is left out; own changes of it come from the log. */
HM_TEST(a_changed_state_is_not_believed)
{
    open_all();
    run_sql(laptop, "UPDATE household SET state = "
                    "substr(state, 1, length(state) - 1)");
    close_node(laptop);
    repair(laptop, true);
    assert_int_equal(report.counts[HM_REPAIR_STATES].found, 2);
    assert_int_equal(report.counts[HM_REPAIR_STATES].restored, 0);
    assert_int_equal(hm_village_households(laptop), 1);
    check_sound(laptop);
    hm_village_settle(&v);
    hm_village_check_equal(&v);
    hm_village_close(&v);
}

/* Items that the centre did not sign stay out. */
HM_TEST(a_changed_item_is_not_believed)
{
    open_all();
    run_sql(laptop, "UPDATE item SET body = x'80' WHERE kind = 1");
    close_node(laptop);
    repair(laptop, true);
    assert_true(report.counts[HM_REPAIR_ITEMS].restored <
                report.counts[HM_REPAIR_ITEMS].found);
    hm_village_settle(&v);
    hm_village_check_equal(&v);
    hm_village_close(&v);
}

/* A centre keeps what it decided: a device that was revoked since is not judged again.
 */
HM_TEST(decisions_are_kept)
{
    open_all();
    (void)hm_village_sync(&v, laptop);
    CHECK_OK(hm_store_begin(v.centre.node.store));
    CHECK_OK(hm_devices_revoke(v.centre.node.store, laptop->node.device));
    CHECK_OK(hm_store_end(v.centre.node.store, HM_OK));
    note_digests(&v.centre);
    /* No state to begin with: all comes from the logs. */
    run_sql(&v.centre,
            "UPDATE household SET hash = x'00112233445566778899aabbccddeeff'");
    close_node(&v.centre);
    repair(&v.centre, true);
    assert_int_equal(report.counts[HM_REPAIR_STATES].restored, 0);
    assert_int_equal(report.counts[HM_REPAIR_FOREIGN].restored, 4);
    assert_int_equal(report.counts[HM_REPAIR_FOREIGN].missing, 0);
    assert_int_equal(hm_village_quarantined(&v.centre), 0);
    check_digests(&v.centre);
    check_sound(&v.centre);
    hm_village_close(&v);
}

/* A log of others that has lost a segment is offered again by them. */
HM_TEST(others_logs_are_offered_again)
{
    open_all();
    (void)hm_village_sync(&v, laptop);
    note_digests(&v.centre);
    run_sql(&v.centre, "DELETE FROM segment");
    close_node(&v.centre);
    repair(&v.centre, true);
    assert_int_equal(report.counts[HM_REPAIR_FOREIGN].missing, 4);
    hm_village_settle(&v);
    hm_village_check_equal(&v);
    check_digests(&v.centre);
    hm_village_close(&v);
}

/* A store that lacks what was filed is not sound. */
HM_TEST(a_store_behind_its_files_is_not_sound)
{
    struct hm_buf lines;

    open_all();
    file_log(laptop);
    check_sound(laptop);
    run_sql(laptop, "DELETE FROM entry WHERE n = 4 AND bytes IS NOT NULL");
    hm_buf_init(&lines, 10000);
    assert_int_equal(
        hm_repair_check(laptop->node.store, hm_files_disk(), hm_test_folder(), &lines),
        HM_CORRUPT);
    assert_non_null(strstr(hm_buf_str(&lines), "lacks entries"));
    hm_buf_deinit(&lines);
    hm_village_close(&v);
}

static void repair_once(void *arg)
{
    char fresh[600];
    char scratch[600];
    struct hm_repair_options options = options_for(arg, true, fresh, scratch);
    struct hm_repair_report out = {.holes = 77};
    struct hm_buf errmsg;
    int err;

    hm_buf_init(&errmsg, 1000);
    err = hm_repair_run(&options, &out, &errmsg);
    hm_buf_deinit(&errmsg);
    assert_true(err == HM_OK || err == HM_NOMEM);
    assert_true(err == HM_OK || out.holes == 77);
    /* A failure that was survived must not have cost anything. */
    assert_true(err != HM_OK ||
                (out.counts[HM_REPAIR_OWN].restored == 4 &&
                 out.counts[HM_REPAIR_STATES].restored == 2 && out.holes == 0));
}

HM_TEST(out_of_memory_at_any_time)
{
    unsigned tried;

    open_all();
    file_log(laptop);
    close_node(laptop);
    tried = hm_fault_each(repair_once, laptop);
    print_message("%u failures tried\n", tried);
    assert_true(tried > 200);
    open_node(laptop);
    hm_village_close(&v);
}
