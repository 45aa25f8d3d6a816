/* A store that is gone or damaged: nothing wrong is served, and hamlet repair brings
 * back what was answered. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/db.h"
#include "tests/support/child.h"
#include "tests/support/e2e_data.h"
#include "tests/support/test.h"

enum {
    HOUSEHOLDS = 40,
    PAGE = 4096,
    SAVES_MAX = 400,
    SAVES_A_ROUND = 6,
    SEEDS = 4,
    SEEDS_LONG = 40,
    PAGES_A_SEED = 8
};

/* What a save that was answered must be found by: a phone number of its own. */
struct save {
    const char *household;
    char marker[24];
    bool replaced; /* a later save of the same household */
};

struct saves {
    struct save list[SAVES_MAX];
    size_t count;
};

static void note(struct saves *saves, const char *household)
{
    struct save *save = &saves->list[saves->count];

    for (size_t i = 0; i < saves->count; i++) {
        if (strcmp(saves->list[i].household, household) == 0) {
            saves->list[i].replaced = true;
        }
    }
    save->household = household;
    saves->count++;
}

/* New households, and answers to some that came from the centre. */
static void save_some(struct saves *saves, struct e2e_node *node, const char *scope)
{
    json_t *ids = e2e_households(node, scope);

    for (unsigned i = 0; i < SAVES_A_ROUND; i++) {
        char *marker = saves->list[saves->count].marker;
        const char *household =
            i % 2 == 0 ? e2e_add(node, scope, "Nguyễn Văn Thử", 2)
                       : e2e_id_at(ids, (saves->count * 7 + i) % json_array_size(ids));

        assert_true(saves->count < SAVES_MAX);
        (void)snprintf(marker, sizeof saves->list[0].marker, "0977%08u",
                       (unsigned)saves->count);
        (void)e2e_set(node, household, "phone", marker);
        note(saves, household);
    }
}

static void check_saves(const struct saves *saves, struct e2e_node *node)
{
    for (size_t i = 0; i < saves->count; i++) {
        if (!saves->list[i].replaced) {
            e2e_check_field(node, saves->list[i].household, "phone",
                            saves->list[i].marker);
        }
    }
}

/* Longer than a save may be in the store alone. */
static void wait_for_filing(void)
{
    hm_child_sleep(2.5);
}

static void remove_store(const struct e2e_node *node)
{
    static const char *const names[] = {"store.db", "store.db-wal", "store.db-shm"};

    for (size_t i = 0; i < 3; i++) {
        const char *path = e2e_path("%s/%s", node->name, names[i]);

        assert_true(unlink(path) == 0 || errno == ENOENT);
    }
}

/* hamlet repair, which must end with this; its document. */
static json_t *repair(struct e2e_node *node, int exit_code)
{
    struct e2e_result *result = e2e_cli(node, "repair", "--json", NULL);

    e2e_step("repair of %s: exit %d: %s%s", node->name, result->exit_code, result->out,
             result->err);
    assert_int_equal(result->exit_code, exit_code);
    assert_non_null(result->json);
    return result->json;
}

/* --- a store that is gone --- */

HM_TEST(a_laptop_whose_store_is_gone)
{
    struct e2e_commune commune = e2e_commune(HOUSEHOLDS);
    static struct saves saves;
    const struct e2e_result *ended;

    e2e_step("a saves without a link, and is ended by kill -9");
    e2e_pause(commune.a);
    save_some(&saves, commune.a, E2E_HAMLET_A);
    wait_for_filing();
    e2e_kill(commune.a, SIGKILL);
    remove_store(commune.a);
    ended = e2e_start_or_end(commune.a);
    assert_non_null(ended);
    assert_int_equal(ended->exit_code, E2E_BAD_CONFIG);
    assert_non_null(strstr(ended->err, "repair"));
    assert_false(e2e_bool(repair(commune.a, E2E_DONE), "sound"));
    e2e_start(commune.a);
    e2e_step("without a link all is there that was answered");
    assert_true(e2e_bool(e2e_ok(commune.a, "status", NULL), "paused"));
    check_saves(&saves, commune.a);
    e2e_step("and it reaches the centre");
    e2e_resume(commune.a);
    e2e_sync_all(&commune);
    check_saves(&saves, commune.centre);
    e2e_check_digests(&commune);
    e2e_check_no_conflicts(&commune);
    e2e_step("it goes on saving, and there is nothing more to repair");
    save_some(&saves, commune.a, E2E_HAMLET_A);
    e2e_sync_all(&commune);
    check_saves(&saves, commune.centre);
    assert_true(e2e_bool(e2e_ok(commune.a, "verify", NULL), "ok"));
    e2e_stop(commune.a);
    assert_true(e2e_bool(repair(commune.a, E2E_DONE), "sound"));
    e2e_start(commune.a);
    e2e_finish();
}

HM_TEST(a_centre_whose_store_is_gone)
{
    struct e2e_commune commune = e2e_commune(HOUSEHOLDS);
    static struct saves of_a;
    static struct saves of_b;
    static struct saves of_centre;

    save_some(&of_a, commune.a, E2E_HAMLET_A);
    save_some(&of_b, commune.b, E2E_HAMLET_B);
    e2e_sync_all(&commune);
    save_some(&of_centre, commune.centre, E2E_HAMLET_BOTH);
    e2e_sync_all(&commune);
    e2e_pause(commune.a);
    save_some(&of_a, commune.a, E2E_HAMLET_A);
    wait_for_filing();
    e2e_step("the centre loses its store; its own log, items and tokens are beside it");
    e2e_kill(commune.centre, SIGKILL);
    remove_store(commune.centre);
    (void)repair(commune.centre, E2E_DONE);
    e2e_start(commune.centre);
    check_saves(&of_centre, commune.centre);
    e2e_step("the laptops offer their logs again");
    e2e_resume(commune.a);
    e2e_sync_all(&commune);
    e2e_sync_all(&commune);
    check_saves(&of_a, commune.centre);
    check_saves(&of_b, commune.centre);
    check_saves(&of_centre, commune.centre);
    e2e_check_digests(&commune);
    e2e_check_no_conflicts(&commune);
    assert_int_equal(e2e_household_count(commune.centre),
                     HOUSEHOLDS + 3 * (SAVES_A_ROUND / 2) + SAVES_A_ROUND / 2);
    assert_true(e2e_bool(e2e_ok(commune.centre, "verify", NULL), "ok"));
    e2e_step("and a new laptop can join");
    (void)e2e_laptop("c", commune.centre, E2E_HAMLET_A, NULL);
    e2e_finish();
}

/* --- pages that are overwritten --- */

static unsigned draw(uint64_t *random, unsigned below)
{
    *random ^= *random >> 12;
    *random ^= *random << 25;
    *random ^= *random >> 27;
    return (unsigned)((*random * 2685821657736338717U) >> 33) % below;
}

/* Random bytes over random pages, but the first: without that nothing is left. */
static void overwrite(struct e2e_node *node, uint64_t *random)
{
    const char *path = e2e_path("%s/store.db", node->name);
    int fd = open(path, O_RDWR);
    struct stat info;

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &info), 0);
    for (unsigned i = 0; i < PAGES_A_SEED; i++) {
        unsigned page = 1 + draw(random, (unsigned)(info.st_size / PAGE) - 1);
        unsigned char bytes[PAGE];

        for (unsigned k = 0; k < PAGE; k++) {
            bytes[k] = (unsigned char)draw(random, 256);
        }
        assert_int_equal(pwrite(fd, bytes, PAGE, (off_t)page * PAGE), PAGE);
    }
    (void)close(fd);
}

/* It runs and says that it is damaged, or it has ended with 78; either names repair. */
static void check_damage_is_said(struct e2e_node *node)
{
    const struct e2e_result *ended = e2e_start_or_end(node);
    const struct e2e_result *refused;
    const json_t *status;

    if (ended != NULL) {
        e2e_step("it ends: %s", ended->err);
        assert_int_equal(ended->exit_code, E2E_BAD_CONFIG);
        assert_non_null(strstr(ended->err, "repair"));
        return;
    }
    status = e2e_ok(node, "status", NULL);
    e2e_step("it runs on: %s", e2e_text(status));
    assert_true(e2e_bool(status, "read_only"));
    assert_non_null(strstr(e2e_str(status, "damaged"), "repair"));
    e2e_write_file(e2e_path("save.json"),
                   e2e_text(e2e_keep(e2e_new_save(E2E_HAMLET_A, "Lê Thị Sau", 1))));
    refused =
        e2e_refused(node, E2E_FAILED, "household", "put", e2e_path("save.json"), NULL);
    assert_non_null(strstr(refused->err, "repair"));
    refused = e2e_refused(node, E2E_FAILED, "sync", NULL);
    assert_non_null(strstr(refused->err, "repair"));
    e2e_stop(node);
}

static void damage_and_repair(struct e2e_node *node, const struct saves *saves,
                              uint64_t *random)
{
    overwrite(node, random);
    check_damage_is_said(node);
    /* Nothing is deleted. */
    assert_int_equal(access(e2e_str(repair(node, E2E_DONE), "old_store"), F_OK), 0);
    e2e_start(node);
    check_saves(saves, node);
}

/* Seed after seed on the same laptop: what it lost and got back is lost again. */
HM_TEST(a_laptop_with_overwritten_pages)
{
    struct e2e_commune commune = e2e_commune(HOUSEHOLDS);
    static struct saves saves;

    for (uint64_t seed = 1; seed <= (e2e_long() ? SEEDS_LONG : SEEDS); seed++) {
        uint64_t random = seed * 7919;

        e2e_step("seed %u", (unsigned)seed);
        e2e_pause(commune.a);
        save_some(&saves, commune.a, E2E_HAMLET_A);
        if (seed % 2 == 0) {
            wait_for_filing();
            e2e_kill(commune.a, SIGKILL);
        } else {
            e2e_stop(commune.a); /* files what is left */
        }
        damage_and_repair(commune.a, &saves, &random);
        e2e_resume(commune.a);
        e2e_sync_all(&commune);
        check_saves(&saves, commune.centre);
        e2e_check_digests(&commune);
    }
    e2e_check_no_conflicts(&commune);
    e2e_finish();
}

HM_TEST(a_centre_with_overwritten_pages)
{
    struct e2e_commune commune = e2e_commune(HOUSEHOLDS);
    static struct saves of_a;
    static struct saves of_centre;

    for (uint64_t seed = 1; seed <= (e2e_long() ? SEEDS_LONG : SEEDS / 2); seed++) {
        uint64_t random = seed * 104729;

        e2e_step("seed %u", (unsigned)seed);
        save_some(&of_a, commune.a, E2E_HAMLET_A);
        e2e_sync_all(&commune);
        save_some(&of_centre, commune.centre, E2E_HAMLET_BOTH);
        e2e_stop(commune.centre);
        damage_and_repair(commune.centre, &of_centre, &random);
        e2e_sync_all(&commune);
        e2e_sync_all(&commune);
        check_saves(&of_a, commune.centre);
        check_saves(&of_centre, commune.centre);
        e2e_check_digests(&commune);
    }
    e2e_check_no_conflicts(&commune);
    e2e_finish();
}

/* --- one household --- */

/* The state of one household is no state any more; SQLite finds nothing wrong. */
static void spoil_a_state(const struct e2e_node *node)
{
    struct hm_db_options options = {.path = e2e_path("%s/store.db", node->name)};
    struct hm_db *db = NULL;

    CHECK_OK(hm_db_open(&options, &db));
    CHECK_OK(hm_db_begin(db));
    CHECK_OK(hm_db_exec(db, "UPDATE household SET state = zeroblob(40) WHERE rowid = "
                            "(SELECT MIN(rowid) FROM household)"));
    CHECK_OK(hm_db_commit(db));
    hm_db_close(db);
}

/* It is refused with a line, the others are shown, and nothing is written any more. */
HM_TEST(a_damaged_household_is_refused_alone)
{
    struct e2e_commune commune = e2e_commune(HOUSEHOLDS);
    json_t *ids[] = {e2e_households(commune.a, E2E_HAMLET_A),
                     e2e_households(commune.a, E2E_HAMLET_BOTH)};
    unsigned shown = 0;
    unsigned refused = 0;

    e2e_stop(commune.a);
    spoil_a_state(commune.a);
    e2e_start(commune.a);
    assert_false(e2e_bool(e2e_ok(commune.a, "status", NULL), "read_only"));
    for (size_t list = 0; list < 2; list++) {
        for (size_t i = 0; i < json_array_size(ids[list]); i++) {
            const struct e2e_result *result =
                e2e_cli(commune.a, "household", "show", e2e_id_at(ids[list], i), NULL);

            shown += result->exit_code == E2E_DONE;
            refused += result->exit_code == E2E_FAILED;
            assert_true(result->exit_code == E2E_DONE ||
                        strstr(result->err, "hamlet repair") != NULL);
        }
    }
    assert_int_equal(refused, 1);
    assert_true(shown > 10);
    assert_true(e2e_bool(e2e_ok(commune.a, "status", NULL), "read_only"));
    e2e_write_file(e2e_path("save.json"),
                   e2e_text(e2e_keep(e2e_new_save(E2E_HAMLET_A, "Lê Thị Sau", 1))));
    (void)e2e_refused(commune.a, E2E_FAILED, "household", "put", e2e_path("save.json"),
                      NULL);
    e2e_stop(commune.a);
    assert_false(e2e_bool(repair(commune.a, E2E_DONE), "sound"));
    e2e_start(commune.a);
    e2e_sync_all(&commune);
    e2e_check_digests(&commune);
    (void)e2e_add(commune.a, E2E_HAMLET_A, "Lê Thị Sau", 1);
    e2e_finish();
}

/* --- a repair that is cut --- */

/* Starts hamlet repair and kills it after so long. True when it had ended well before.
 */
static bool repair_for(const struct e2e_node *node, unsigned us)
{
    char path[512];
    int status = 0;
    pid_t pid;

    (void)snprintf(path, sizeof path, "%s/hamlet", getenv("HM_BIN"));
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int nowhere = open("/dev/null", O_WRONLY);

        (void)dup2(nowhere, 1);
        (void)execl(path, path, "--dir", node->dir, "repair", (char *)NULL);
        _exit(127);
    }
    hm_child_sleep(us / 1e6);
    (void)kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status)) {
        assert_int_equal(WEXITSTATUS(status), 0);
        return true;
    }
    return false;
}

HM_TEST(a_repair_is_cut_again_and_again)
{
    struct e2e_commune commune = e2e_commune(HOUSEHOLDS);
    static struct saves saves;
    unsigned cuts = 0;
    uint64_t random = 31;

    e2e_pause(commune.a);
    save_some(&saves, commune.a, E2E_HAMLET_A);
    e2e_stop(commune.a);
    overwrite(commune.a, &random);
    for (unsigned us = 2000; !repair_for(commune.a, us); us += us / 8 + 500) {
        cuts++;
        assert_true(cuts < 200);
    }
    e2e_step("cut %u times, then it got through", cuts);
    assert_true(cuts > 3);
    assert_true(e2e_bool(repair(commune.a, E2E_DONE), "sound"));
    e2e_start(commune.a);
    check_saves(&saves, commune.a);
    e2e_resume(commune.a);
    e2e_sync_all(&commune);
    check_saves(&saves, commune.centre);
    e2e_check_digests(&commune);
    e2e_finish();
}

/* --- what is not damaged --- */

HM_TEST(a_sound_store_is_left_alone)
{
    struct e2e_node *node = e2e_centre(true);
    const char *text;

    text = e2e_refused(node, E2E_FAILED, "repair", NULL)->err;
    assert_non_null(strstr(text, "running"));
    (void)e2e_add(node, E2E_HAMLET_A, "Lê Thị Một", 2);
    e2e_stop(node);
    assert_true(e2e_bool(repair(node, E2E_DONE), "sound"));
    assert_int_not_equal(access(e2e_path("%s/store.db.new", node->name), F_OK), 0);
    e2e_start(node);
    assert_int_equal(e2e_household_count(node), 1);
    e2e_finish();
}

/* kill -9 at once after the answer: the next start files what the last one had not. */
HM_TEST(every_end_leaves_the_log_filed)
{
    struct e2e_commune commune = e2e_commune(HOUSEHOLDS);
    static struct saves saves;

    e2e_pause(commune.a);
    save_some(&saves, commune.a, E2E_HAMLET_A);
    e2e_kill(commune.a, SIGKILL); /* within the second */
    e2e_start(commune.a);
    hm_child_sleep(0.5); /* what the last process left is filed at once */
    e2e_kill(commune.a, SIGKILL);
    e2e_start(commune.a);
    save_some(&saves, commune.a, E2E_HAMLET_A);
    e2e_stop(commune.a); /* within the second, too */
    save_some(&saves, commune.b, E2E_HAMLET_B);
    remove_store(commune.a);
    (void)repair(commune.a, E2E_DONE);
    e2e_start(commune.a);
    saves.count = 2 * SAVES_A_ROUND; /* those of a */
    check_saves(&saves, commune.a);
    e2e_finish();
}
