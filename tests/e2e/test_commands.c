/* The commands that other scenarios don't need, each once as a person would use it: at
 * the centre, and on a laptop where it reads from its store. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/serve/sealed.h"
#include "tests/support/child.h"
#include "tests/support/e2e_data.h"
#include "tests/support/test.h"

enum { HOUSEHOLDS = 30, COMMAND_S = 60, MEMBERS_MAX = 30 };

#define CODE_OF_THE_COMMUNE "19885"

struct pair {
    struct e2e_node *centre;
    struct e2e_node *laptop; /* E2E_HAMLET_A and E2E_HAMLET_BOTH */
};

static struct pair begin_pair(void)
{
    struct pair p = {.centre = e2e_centre(false)};

    (void)e2e_ok(p.centre, "import", e2e_generate(HOUSEHOLDS), "--form", "register",
                 NULL);
    p.laptop = e2e_laptop("a", p.centre, E2E_HAMLET_A, E2E_HAMLET_BOTH, NULL);
    (void)e2e_sync(p.laptop);
    return p;
}

/* The element of an array whose member has this text; fails when there is none. */
static json_t *element(const json_t *list, const char *member, const char *text)
{
    json_t *entry;
    size_t at;

    json_array_foreach(list, at, entry)
    {
        if (strcmp(e2e_str(entry, member), text) == 0) {
            return entry;
        }
    }
    e2e_fail("no %s %s in %s", member, text, e2e_text(list));
}

/* --- verify, backup, log --- */

static void check_verified(struct e2e_node *node)
{
    static const char *const names[] = {"store", "chains", "digests", "blobs",
                                        "log_files"};
    const json_t *answer = e2e_ok(node, "verify", NULL);

    assert_true(e2e_bool(answer, "ok"));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const json_t *check = element(e2e_get(answer, "checks"), "name", names[i]);

        e2e_step("%s: %s %s", node->name, names[i], e2e_text(e2e_get(check, "count")));
        assert_true(e2e_bool(check, "ok"));
    }
    assert_true(
        e2e_int(element(e2e_get(answer, "checks"), "name", "digests"), "count") > 0);
}

HM_TEST(verify_looks_at_both_ends)
{
    struct pair p = begin_pair();
    const json_t *answer;

    (void)e2e_add(p.laptop, E2E_HAMLET_A, "Hồ Thị Mới", 2);
    (void)e2e_sync(p.laptop);
    check_verified(p.centre);
    check_verified(p.laptop);
    answer = e2e_ok(p.laptop, "verify", NULL);
    assert_true(e2e_bool(element(e2e_get(answer, "checks"), "name", "upstream"), "ok"));
    e2e_finish();
}

static void run_tar(const char *from, const char *folder)
{
    char *argv[] = {(char[]){"/bin/tar"}, (char[]){"-xf"}, strdup(from),
                    (char[]){"-C"},       strdup(folder),  NULL};
    struct hm_child_options options = {0};
    pid_t pid = hm_child_start(argv, &options);
    int status;

    assert_true(pid > 0);
    assert_true(hm_child_wait(pid, COMMAND_S, &status));
    assert_int_equal(status, 0);
    free(argv[2]);
    free(argv[4]);
}

/* A backup is worth what comes back from it: the laptop's folder is lost, and a node
 * made from the file has the same households, the unsent one too, and sends it. */
HM_TEST(a_backup_of_a_laptop_brings_it_back)
{
    struct pair p = begin_pair();
    const char *file = e2e_path("laptop.backup");
    const json_t *answer;
    const char *digest;
    const char *id;
    struct stat about;

    e2e_pause(p.laptop);
    id = e2e_add(p.laptop, E2E_HAMLET_A, "Hồ Thị Mới", 2);
    digest = e2e_digest(p.laptop, E2E_HAMLET_A);
    answer = e2e_ok(p.laptop, "backup", file, NULL);
    CHECK_OK(stat(file, &about));
    assert_int_equal(about.st_mode & 07777, 0600);
    assert_int_equal(about.st_size, e2e_int(answer, "bytes"));
    assert_string_equal(e2e_str(answer, "path"), file);
    (void)e2e_refused(p.laptop, E2E_FAILED, "backup", file, NULL);
    e2e_stop(p.laptop);
    CHECK_OK(rename(p.laptop->dir, e2e_path("lost")));
    CHECK_OK(mkdir(p.laptop->dir, 0700));
    run_tar(file, p.laptop->dir);
    e2e_start(p.laptop);
    assert_string_equal(e2e_digest(p.laptop, E2E_HAMLET_A), digest);
    e2e_resume(p.laptop);
    (void)e2e_sync(p.laptop);
    e2e_check_field(p.centre, id, "head_name", "Hồ Thị Mới");
    check_verified(p.laptop);
    e2e_finish();
}

static int count_bytes(void *arg, struct hm_bytes bytes)
{
    *(size_t *)arg += bytes.len;
    return HM_OK;
}

/* What leaves the room on a stick is closed. */
HM_TEST(a_backup_with_a_passphrase_is_closed)
{
    struct e2e_node *centre = e2e_centre(false);
    const char *file = e2e_path("centre.backup");
    const char *passphrase = e2e_path("passphrase");
    size_t content = 0;
    int fd;

    e2e_write_file(passphrase, "con trâu đi trước cái cày\n");
    (void)e2e_ok(centre, "backup", file, "--passphrase-file", passphrase, NULL);
    assert_null(strstr(e2e_read_file(file), "store.db"));
    fd = open(file, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(hm_sealed_read(fd, hm_bytes_str("wrong"), count_bytes, &content),
                     HM_DENIED);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    content = 0;
    CHECK_OK(hm_sealed_read(fd, hm_bytes_str("con trâu đi trước cái cày"), count_bytes,
                            &content));
    assert_true(content > 4096);
    CHECK_OK(close(fd));
    e2e_finish();
}

HM_TEST(log_and_alarms_are_shown)
{
    struct pair p = begin_pair();
    const json_t *log = e2e_ok(p.laptop, "log", NULL);

    (void)element(log, "text", "a is ready");
    assert_int_equal(e2e_count(e2e_ok(p.laptop, "log", "--lines", "2", NULL), ""), 2);
    assert_int_equal(e2e_count(e2e_ok(p.laptop, "alarm", "list", NULL), ""), 0);
    assert_int_equal(e2e_count(e2e_ok(p.centre, "alarm", "list", NULL), ""), 0);
    assert_non_null(strstr(e2e_cli(p.laptop, "alarm", "list", NULL)->out, "No alarms"));
    assert_non_null(strstr(e2e_cli(p.laptop, "metrics", NULL)->out, "disk_free_bytes"));
    (void)e2e_refused(p.laptop, E2E_FAILED, "alarm", "clear", "none", NULL);
    e2e_finish();
}

/* --- people --- */

static void check_input(struct e2e_node *node, const char *input, const char *verb,
                        int exit_code)
{
    const struct e2e_result *result =
        e2e_cli_input(node, input, "user", verb, "lan", NULL);

    e2e_step("user %s: %s%s", verb, result->out, result->err);
    assert_int_equal(result->exit_code, exit_code);
}

HM_TEST(accounts_come_and_go)
{
    struct e2e_node *centre = e2e_centre(false);
    const json_t *user;

    assert_int_equal(e2e_cli_input(centre, "đồng xanh ngày mưa\n", "user", "add", "lan",
                                   "--role", "officer", "--unit", CODE_OF_THE_COMMUNE,
                                   "--full-name", "Trần Thị Lan", NULL)
                         ->exit_code,
                     E2E_DONE);
    user = element(e2e_ok(centre, "user", "list", NULL), "name", "lan");
    assert_string_equal(e2e_str(user, "full_name"), "Trần Thị Lan");
    assert_string_equal(e2e_str(user, "role"), "officer");
    assert_string_equal(e2e_str(user, "unit"), CODE_OF_THE_COMMUNE);
    assert_string_equal(e2e_str(user, "state"), "active");
    assert_null(strstr(e2e_text(user), "pass"));
    check_input(centre, "sông Bồ mùa nước nổi\n", "passwd", E2E_DONE);
    check_input(centre, "", "passwd", E2E_FAILED);

    e2e_step("her rights decide, until she has none");
    (void)e2e_ok(centre, "--as", "lan", "household", "list", NULL);
    (void)e2e_refused(centre, E2E_NOT_ALLOWED, "--as", "lan", "user", "disable", "lan",
                      NULL);
    (void)e2e_ok(centre, "user", "disable", "lan", NULL);
    user = element(e2e_ok(centre, "user", "list", NULL), "name", "lan");
    assert_string_equal(e2e_str(user, "state"), "disabled");
    (void)e2e_refused(centre, E2E_NOT_ALLOWED, "--as", "lan", "household", "list",
                      NULL);
    e2e_finish();
}

/* Lan's account ended while she worked offline: the change waits in quarantine, is
 * shown at both ends, and an officer lets it in. */
HM_TEST(a_quarantined_change_is_shown_exported_released)
{
    struct pair p = begin_pair();
    const char *file = e2e_path("quarantine.jsonl");
    const char *change;
    const json_t *answer;
    const json_t *held;

    assert_int_equal(e2e_cli_input(p.centre, "đồng xanh ngày mưa\n", "user", "add",
                                   "lan", "--role", "enumerator", "--unit",
                                   CODE_OF_THE_COMMUNE, NULL)
                         ->exit_code,
                     E2E_DONE);
    (void)e2e_sync(p.laptop);
    e2e_pause(p.laptop);
    (void)e2e_ok(p.centre, "user", "disable", "lan", NULL);
    answer = e2e_ok_input(p.laptop, e2e_new_save(E2E_HAMLET_A, "Hồ Thị Chờ", 2), "--as",
                          "lan", "household", "put", NULL);
    change = e2e_str(answer, "change");
    e2e_resume(p.laptop);
    (void)e2e_end(e2e_begin(p.laptop, NULL, "sync", NULL), E2E_CLI_S);

    held = element(e2e_ok(p.centre, "quarantine", "list", NULL), "id", change);
    e2e_step("%s", e2e_str(held, "reason"));
    assert_string_equal(e2e_str(held, "state"), "held");
    assert_non_null(strstr(e2e_str(held, "reason"), "disabled"));
    assert_non_null(strstr(
        e2e_text(e2e_ok(p.centre, "quarantine", "show", change, NULL)), "Hồ Thị Chờ"));
    (void)element(e2e_ok(p.laptop, "quarantine", "list", NULL), "id", change);
    assert_int_equal(
        e2e_cli(p.centre, "quarantine", "export", change, "-o", file, NULL)->exit_code,
        E2E_DONE);
    assert_non_null(strstr(e2e_read_file(file), change));
    (void)e2e_ok(p.centre, "quarantine", "release", change, "--reason", "đã xem lại",
                 NULL);
    (void)e2e_sync(p.laptop);
    e2e_check_field(p.centre, e2e_str(answer, "household"), "head_name", "Hồ Thị Chờ");
    e2e_check_field(p.laptop, e2e_str(answer, "household"), "head_name", "Hồ Thị Chờ");
    assert_int_equal(e2e_int(e2e_ok(p.centre, "status", NULL), "quarantine"), 0);
    e2e_finish();
}

/* --- rounds, units --- */

static json_t *review_save(const char *household, const char *visited)
{
    return json_pack("{s:s,s:s,s:s,s:{s:s,s:s}}", "household", household, "form",
                     "review", "round", "2026", "values", "visit_date", visited,
                     "assessor_note", "nhà dột");
}

static void check_not_taken(struct e2e_node *node, json_t *save)
{
    const char *path = e2e_path("save.json");

    e2e_write_file(path, e2e_text(e2e_keep(save)));
    e2e_step("%s", e2e_refused(node, E2E_FAILED, "household", "put", path, NULL)->err);
}

/* The yearly review: no answer before its round, none after it. */
HM_TEST(a_review_is_filled_in_its_round)
{
    struct pair p = begin_pair();
    const char *id = e2e_id_at(e2e_households(p.laptop, E2E_HAMLET_A), 0);
    const json_t *round;
    const char *shown;

    check_not_taken(p.laptop, review_save(id, "2026-10-01"));
    round = e2e_ok(p.centre, "round", "open", "2026", "--kind", "yearly", "--from",
                   "2026-09-01", "--to", "2026-12-15", NULL);
    assert_string_equal(e2e_str(round, "state"), "open");
    (void)e2e_sync(p.laptop);
    (void)element(e2e_ok(p.laptop, "round", "list", NULL), "code", "2026");
    (void)e2e_put(p.laptop, review_save(id, "2026-10-01"));
    (void)e2e_sync(p.laptop);
    shown = e2e_text(e2e_show(p.centre, id));
    assert_non_null(strstr(shown, "nhà dột"));
    assert_non_null(strstr(shown, "\"round\": \"2026\""));
    assert_int_equal(e2e_cli(p.laptop, "export", "--form", "review", "--round", "2026",
                             "-o", e2e_path("review.csv"), NULL)
                         ->exit_code,
                     E2E_DONE);
    assert_non_null(strstr(e2e_read_file(e2e_path("review.csv")), "nhà dột"));
    assert_string_equal(
        e2e_str(e2e_ok(p.centre, "round", "close", "2026", NULL), "state"), "closed");
    (void)e2e_sync(p.laptop);
    check_not_taken(p.laptop, review_save(id, "2026-10-02"));
    assert_non_null(strstr(e2e_text(e2e_show(p.laptop, id)), "2026-10-01"));
    e2e_finish();
}

/* The commune supplies the real name of a placeholder; the households stay in it. */
HM_TEST(a_placeholder_hamlet_gets_its_name)
{
    struct pair p = begin_pair();
    const char *file = e2e_path("units.csv");
    json_int_t count = e2e_household_count(p.laptop);
    const json_t *unit;
    const char *id;

    unit = element(e2e_ok(p.laptop, "unit", "list", NULL), "code", E2E_HAMLET_A);
    id = e2e_text(e2e_get(unit, "id"));
    assert_non_null(strstr(e2e_str(unit, "name"), "Thôn 1"));
    e2e_write_file(file, "code,name\n" E2E_HAMLET_A ",Thôn Phú Lương\n");
    assert_int_equal(
        e2e_int(e2e_ok(p.centre, "unit", "import", file, NULL), "accepted"), 1);
    (void)e2e_sync(p.laptop);
    unit = element(e2e_ok(p.laptop, "unit", "list", NULL), "code", E2E_HAMLET_A);
    assert_string_equal(e2e_str(unit, "name"), "Thôn Phú Lương");
    assert_string_equal(e2e_text(e2e_get(unit, "id")), id);
    assert_int_equal(e2e_household_count(p.laptop), count);
    (void)e2e_add(p.laptop, E2E_HAMLET_A, "Hồ Thị Mới", 1);
    (void)e2e_sync(p.laptop);
    e2e_finish();
}

/* --- files --- */

static const char *export_csv(struct e2e_node *node, const char *name)
{
    const char *path = e2e_path("%s", name);

    assert_int_equal(
        e2e_cli(node, "export", "--form", "register", "-o", path, NULL)->exit_code,
        E2E_DONE);
    return path;
}

/* A map that leaves out the columns of file with ids of another node. */
static const char *map_without_ids(const char *file)
{
    const char *header = e2e_read_file(file);
    const char *path = e2e_path("without-ids.map");
    FILE *map = fopen(path, "w");
    char column[32];

    assert_non_null(map);
    (void)fprintf(map, "household = hamlet_reason\n");
    for (int i = 1; i <= MEMBERS_MAX; i++) {
        (void)snprintf(column, sizeof column, "members[%d].item", i);
        if (strstr(header, column) != NULL) {
            (void)fprintf(map, "%s = hamlet_reason\n", column);
        }
    }
    CHECK_OK(fclose(map));
    return path;
}

/* What the list shows of each household, without ids. */
static json_t *contents(struct e2e_node *node)
{
    const json_t *households = e2e_ok(node, "household", "list", NULL);
    json_t *list = e2e_keep(json_array());
    json_t *entry;
    size_t at;

    json_array_foreach(households, at, entry)
    {
        (void)json_array_append_new(
            list,
            json_pack("[O,O,O,O]", e2e_get(entry, "scope"), e2e_get(entry, "head_name"),
                      e2e_get(entry, "address"), e2e_get(entry, "members")));
    }
    return list;
}

static void check_same_contents(const json_t *a, const json_t *b)
{
    json_t *entry;
    json_t *other;
    size_t i;
    size_t j;

    assert_int_equal(json_array_size(a), json_array_size(b));
    json_array_foreach(a, i, entry)
    {
        bool found = false;

        json_array_foreach(b, j, other)
        {
            found = found || json_equal(entry, other);
        }
        if (!found) {
            e2e_fail("missing: %s", e2e_text(entry));
        }
    }
}

/* An export says everything: imported where it came from it changes nothing; a fresh
 * centre does not know the ids in it, says so for each line, and makes the same
 * households when they are left out. */
HM_TEST(an_export_is_imported_again)
{
    struct pair p = begin_pair();
    struct e2e_node *fresh;
    const char *file = export_csv(p.centre, "all.csv");
    const char *digest = e2e_digest(p.centre, E2E_HAMLET_A);
    const struct e2e_result *result;
    const json_t *report;

    report = e2e_ok(p.centre, "import", file, "--form", "register", NULL);
    assert_int_equal(e2e_int(report, "duplicates"), HOUSEHOLDS);
    assert_string_equal(e2e_digest(p.centre, E2E_HAMLET_A), digest);
    assert_non_null(strstr(e2e_read_file(export_csv(p.laptop, "laptop.csv")), "scope"));
    assert_int_equal(e2e_cli(p.laptop, "export", "--format", "jsonl", "-o",
                             e2e_path("laptop.jsonl"), NULL)
                         ->exit_code,
                     E2E_DONE);

    fresh = e2e_init(
        &(struct e2e_options){.name = "fresh", .programme = "vn-poverty", .hub = true});
    e2e_start(fresh);
    result = e2e_cli(fresh, "import", file, "--form", "register", "--json", NULL);
    assert_int_equal(result->exit_code, E2E_PARTLY);
    assert_int_equal(e2e_count(result->json, "rejected"), HOUSEHOLDS);
    assert_non_null(strstr(e2e_str(result->json, "rejected.0.reason"), "not on this"));
    assert_int_equal(e2e_household_count(fresh), 0);
    report = e2e_ok(fresh, "import", file, "--form", "register", "--map",
                    map_without_ids(file), NULL);
    assert_int_equal(e2e_int(report, "accepted"), HOUSEHOLDS);
    check_same_contents(contents(p.centre), contents(fresh));
    e2e_finish();
}
