#include <errno.h>
#include <stdio.h>

#include "storage/devices.h"
#include "storage/migrate.h"
#include "storage/tables.h"
#include "tests/crash/act.h"
#include "tests/crash/scenario.h"

enum { SMALL = 2048, LARGE = 64 * 1024 };

/* -- Where scenarios start -----------------------------------------------------------
 */

/* Households at the centre, two laptops, one conflict. */
static void small_village(struct hm_world *w)
{
    struct hm_village *v = &w->v;
    struct hm_save_result first = hm_village_new(v, &v->centre, 0, "Lan", 2);
    struct hm_village_node *a;
    struct hm_village_node *b;

    (void)hm_village_new(v, &v->centre, 0, "Minh", 1);
    (void)hm_village_new(v, &v->centre, 1, "Hoa", 0);
    a = hm_village_add(v, "a", 3);
    b = hm_village_add(v, "b", 1);
    (void)hm_village_put(v, a, &first.household, v->phone, "111");
    (void)hm_village_put(v, b, &first.household, v->phone, "222");
    (void)hm_village_sync(v, a);
    hm_village_settle(v);
}

/* Four laptops that have something to send. */
static void busy_village(struct hm_world *w)
{
    struct hm_village *v = &w->v;
    struct hm_save_result shared = hm_village_new(v, &v->centre, 0, "Lan", 1);

    for (int i = 0; i < 4; i++) {
        const char *names[] = {"a", "b", "c", "d"};
        struct hm_village_node *n = hm_village_add(v, names[i], 7);

        (void)hm_village_new(v, n, (unsigned)i % 3, names[i], 2);
        (void)hm_village_put(v, n, &shared.household, v->note, names[i]);
    }
}

/* A laptop that a hamlet with households, new items and a form's new version wait for.
 */
static void waiting_village(struct hm_world *w)
{
    struct hm_village *v = &w->v;
    char name[16];

    for (unsigned i = 0; i < 9; i++) {
        (void)snprintf(name, sizeof name, "h%u", i);
        (void)hm_village_new(v, &v->centre, i % 3, name, i % 4);
    }
    (void)hm_village_add(v, "a", 1);
    CHECK_OK(hm_act_admin(w, 1));
    CHECK_OK(hm_act_assign(w, 1, 7));
    hm_forms_close(v->laptops[0].forms);
    v->laptops[0].forms = NULL;
    hm_test_node_close(&v->laptops[0].node);
}

/* A laptop with changes that its centre will refuse, between others. */
static void refused_village(struct hm_world *w)
{
    struct hm_village *v = &w->v;
    struct hm_village_node *a = hm_village_add(v, "a", 1);

    (void)hm_village_new(v, a, 0, "Lan", 1);
    (void)hm_village_new(v, a, 2, "not here", 1);
    (void)hm_village_new(v, a, 2, "nor here", 0);
    (void)hm_village_new(v, a, 0, "Minh", 0);
}

/* The centre after it has refused them. */
static void held_village(struct hm_world *w)
{
    refused_village(w);
    (void)hm_village_sync(&w->v, &w->v.laptops[0]);
}

/* A laptop whose disk is empty. */
static void no_village(struct hm_world *w)
{
    struct hm_simdisk *empty = hm_simdisk_create(NULL, 1);

    (void)hm_village_add(&w->v, "a", 1);
    hm_world_stop(w, 1);
    hm_simdisk_restore(w->disks[1], empty);
    hm_simdisk_destroy(empty);
}

/* -- Steps ---------------------------------------------------------------------------
 */

static int s_new_large(struct hm_world *w)
{
    return hm_act_new(w, w->victim, 0, "Phuong", 6);
}

static int s_new_small(struct hm_world *w)
{
    return hm_act_new(w, w->victim, 0, "Ngoc", 0);
}

static int s_new_third(struct hm_world *w)
{
    return hm_act_new(w, w->victim, 0, "Thu", 3);
}

static int s_phone(struct hm_world *w)
{
    return hm_act_put(w, w->victim, "Minh", w->v.phone, "0905");
}

static int s_phone_again(struct hm_world *w)
{
    return hm_act_put(w, w->victim, "Minh", w->v.phone, "0906");
}

static int s_note(struct hm_world *w)
{
    return hm_act_put(w, w->victim, "Lan", w->v.note,
                      "a note that is longer than a name and fits on a line");
}

static int s_member(struct hm_world *w)
{
    return hm_act_add_member(w, w->victim, "Lan", "Tuan");
}

static int s_remove(struct hm_world *w)
{
    return hm_act_remove_member(w, w->victim, "Lan", "Tuan");
}

static int s_resolve(struct hm_world *w)
{
    return hm_act_resolve(w, w->victim, "Lan", w->v.phone, "333");
}

static int s_build(struct hm_world *w)
{
    return hm_act_build(w, w->victim, SMALL);
}

static int s_sync_small(struct hm_world *w)
{
    return hm_act_sync(w, 1, 1, SMALL);
}

static int s_sync(struct hm_world *w)
{
    return hm_act_sync(w, 1, 1, LARGE);
}

static int s_sync_two(struct hm_world *w)
{
    return hm_act_sync(w, 1, 2, LARGE);
}

static int s_sync_four(struct hm_world *w)
{
    return hm_act_sync(w, 1, 4, LARGE);
}

static int s_sync_four_small(struct hm_world *w)
{
    return hm_act_sync(w, 1, 4, SMALL);
}

/* The others' laptops, when the centre is the victim. */
static int s_all_save(struct hm_world *w)
{
    int err = HM_OK;

    for (unsigned i = 1; i <= 4 && err == HM_OK; i++) {
        err = hm_act_put(w, i, "Lan", w->v.phone, "0907");
    }
    return err;
}

static int s_admin_2(struct hm_world *w)
{
    return hm_act_admin(w, 2);
}

static int s_admin_3(struct hm_world *w)
{
    return hm_act_admin(w, 3);
}

static int s_import(struct hm_world *w)
{
    return hm_act_import(w, w->victim, 34);
}

static int s_release(struct hm_world *w)
{
    return hm_act_release(w, w->victim);
}

static int s_take_away(struct hm_world *w)
{
    return hm_act_assign(w, 1, 2);
}

static int run_sql(struct hm_world *w, const char *sql)
{
    int err = hm_world_start(w, w->victim);

    return err == HM_OK
               ? hm_db_exec(hm_store_db(hm_world_node(w, w->victim)->node.store), sql)
               : err;
}

static int s_truncate_wal(struct hm_world *w)
{
    return run_sql(w, "PRAGMA wal_checkpoint(TRUNCATE)");
}

static int s_restart_wal(struct hm_world *w)
{
    return run_sql(w, "PRAGMA wal_checkpoint(RESTART)");
}

static int s_passive(struct hm_world *w)
{
    return run_sql(w, "PRAGMA wal_checkpoint(PASSIVE)");
}

static int s_vacuum(struct hm_world *w)
{
    return run_sql(w, "VACUUM");
}

/* As a stop and a start of the daemon. */
static int s_restart(struct hm_world *w)
{
    hm_world_stop(w, w->victim);
    return hm_world_start(w, w->victim);
}

static int s_start(struct hm_world *w)
{
    return hm_world_start(w, w->victim);
}

static int s_number(struct hm_world *w)
{
    struct hm_ack ack = {
        .kind = HM_ACK_NUMBER, .node = w->victim, .name = "test", .number = 1};
    struct hm_store *s;
    int err = hm_world_start(w, w->victim);

    if (err != HM_OK) {
        return err;
    }
    s = hm_world_node(w, w->victim)->node.store;
    err = hm_store_begin(s);
    if (err == HM_OK) {
        err = hm_store_end(s, hm_store_set_number(s, ack.name, ack.number));
    }
    if (err == HM_OK) {
        hm_world_ack(w, &ack);
    }
    return err;
}

/* -- A backup beside the store -------------------------------------------------------
 */

static const char backup_path[] = "/backup.db";

static int err_from_errno(int number)
{
    return number == 0 ? HM_OK : number == ENOSPC ? HM_NOSPACE : HM_IO;
}

static int make_file(void *disk, const char *path)
{
    return err_from_errno(hm_simdisk_make(disk, path));
}

static int sync_file(void *disk, const char *path)
{
    return err_from_errno(hm_simdisk_sync(disk, path));
}

static int rename_file(void *disk, const char *from, const char *to)
{
    int number = hm_simdisk_rename(disk, from, to);

    return err_from_errno(number != 0 ? number : hm_simdisk_sync_names(disk));
}

static void remove_file(void *disk, const char *path)
{
    (void)hm_simdisk_remove(disk, path); /* it need not be there */
}

static int s_backup(struct hm_world *w)
{
    const struct hm_db_folder folder = {make_file, sync_file, rename_file, remove_file,
                                        w->disks[w->victim]};
    int err = hm_world_start(w, w->victim);

    if (err == HM_OK) {
        err = hm_db_backup_to(hm_store_db(hm_world_node(w, w->victim)->node.store),
                              &folder, backup_path, NULL, NULL);
    }
    if (err == HM_OK) {
        w->reached++;
    }
    return err;
}

/* A file with the backup's name is a whole store, at any time, and is there once it was
 * answered. */
static bool backup_holds(struct hm_world *w)
{
    struct hm_db_options options = {
        .path = backup_path, .vfs = w->names[w->victim], .read_only = true};
    struct hm_db *db = NULL;
    struct hm_buf report;
    int64_t households = 0;
    int err;

    if (hm_simdisk_size(w->disks[w->victim], backup_path) < 0) {
        return w->reached == 0 || hm_world_fail(w, "the backup is gone");
    }
    err = hm_db_open(&options, &db);
    if (err == HM_OK) {
        hm_buf_init(&report, 1000);
        err = hm_db_check(db, &report);
        hm_buf_deinit(&report);
    }
    if (err == HM_OK) {
        err = hm_db_query_int(db, "SELECT count(*) FROM household", &households);
    }
    hm_db_close(db);
    if (err != HM_OK) {
        return hm_world_fail(w, "the backup is not whole: %s", hm_err_name(err));
    }
    return households >= 3 || hm_world_fail(w, "the backup lacks households");
}

/* -- A migration of several steps over data ------------------------------------------
 */

static const struct hm_table word = {
    .name = "word",
    .columns = {HM_COLUMN("k", INT), HM_COLUMN("text", TEXT)},
    .primary_key = "k",
};
static const struct hm_table meaning = {
    .name = "meaning",
    .columns = {HM_COLUMN("k", INT), HM_COLUMN("text", TEXT)},
    .primary_key = "k",
    .indexes = {"text"},
};
static const struct hm_migration steps[] = {
    {.number = 1,
     .name = "words",
     .tables = {&word},
     .sql_sqlite = "INSERT INTO word (k, text) WITH RECURSIVE c (i) AS (SELECT 1 UNION "
                   "ALL SELECT i + 1 FROM c WHERE i < 300) SELECT i, hex(i * i) FROM "
                   "c;",
     .sql_postgres = "SELECT 1;"},
    {.number = 2, .name = "meanings", .tables = {&meaning}},
    {.number = 3,
     .name = "moved",
     .columns = {{"word", HM_COLUMN_DEFAULT("used", INT, "0")}},
     .sql_sqlite = "INSERT INTO meaning SELECT k, 'of ' || text FROM word; UPDATE word "
                   "SET used = k % 7;",
     .sql_postgres = "SELECT 1;"},
    {.number = 4,
     .name = "searched",
     .sql_sqlite = "CREATE VIRTUAL TABLE words USING fts5 (text); INSERT INTO words "
                   "SELECT text FROM meaning;",
     .sql_postgres = "SELECT 1;"},
    {.number = 5,
     .name = "less",
     .sql_sqlite = "DELETE FROM word WHERE k > 250;",
     .sql_postgres = "SELECT 1;"},
};

/* What each version has: words, meanings, sum of used; -1: no such table. */
static const int64_t expected[][3] = {
    {-1, -1, -1},    {300, -1, -1},   {300, 0, -1},
    {300, 300, 903}, {300, 300, 903}, {250, 300, 750},
};

static const char bare_path[] = "/bare.db";

static int open_bare(struct hm_world *w, struct hm_db **out_db)
{
    struct hm_db_options options = {.path = bare_path, .vfs = w->names[w->victim]};

    return hm_db_open(&options, out_db);
}

static int migrate_to(struct hm_world *w, size_t count)
{
    struct hm_db *db = NULL;
    int err = open_bare(w, &db);

    if (err == HM_OK) {
        err = hm_migrate_run(db, steps, count, 1000);
    }
    hm_db_close(db);
    if (err == HM_OK && w->reached < (int64_t)count) {
        w->reached = (int64_t)count;
    }
    return err;
}

static int s_migrate_first(struct hm_world *w)
{
    return w->reached > 1 ? HM_OK : migrate_to(w, 1);
}

static int s_migrate_all(struct hm_world *w)
{
    return migrate_to(w, 5);
}

static int64_t query_or(struct hm_db *db, const char *sql)
{
    int64_t value = -1;

    return hm_db_query_int(db, sql, &value) == HM_OK ? value : -1;
}

static bool migration_holds(struct hm_world *w)
{
    struct hm_db *db = NULL;
    struct hm_buf report;
    int64_t version = 0;
    int64_t is[3];
    int err = open_bare(w, &db);

    hm_buf_init(&report, 1000);
    if (err == HM_OK) {
        err = hm_db_check(db, &report);
    }
    hm_buf_deinit(&report);
    if (err == HM_OK) {
        err = hm_migrate_version(db, &version);
    }
    if (err != HM_OK || version < w->reached || version > 5) {
        hm_db_close(db);
        return hm_world_fail(w, "version %d, %s", (int)version, hm_err_name(err));
    }
    is[0] = query_or(db, "SELECT count(*) FROM word");
    is[1] = query_or(db, "SELECT count(*) FROM meaning");
    is[2] = query_or(db, "SELECT sum(used) FROM word");
    hm_db_close(db);
    if (memcmp(is, expected[version], sizeof is) != 0) {
        return hm_world_fail(w, "version %d is half: %d %d %d", (int)version,
                             (int)is[0], (int)is[1], (int)is[2]);
    }
    return true;
}

static void no_file(struct hm_world *w)
{
    (void)w; /* the centre's disk has no such file */
}

const struct hm_scenario hm_scenarios[] = {
    {.name = "save",
     .rots = true,
     .victim = 1,
     .prepare = small_village,
     .steps = {s_new_large, s_phone, s_note, s_member, s_remove, s_resolve, s_new_small,
               s_phone_again}},
    {.name = "save-at-centre",
     .victim = 0,
     .prepare = small_village,
     .steps = {s_new_large, s_phone, s_note, s_member, s_remove, s_resolve, s_restart,
               s_phone_again}},
    {.name = "save-in-little-memory",
     .victim = 1,
     .prepare = small_village,
     .cache = 3,
     .steps = {s_new_large, s_note, s_resolve, s_sync}},
    {.name = "seal",
     .victim = 1,
     .prepare = small_village,
     .steps = {s_new_large, s_phone, s_build, s_note, s_new_third, s_build, s_build,
               s_phone_again, s_build, s_sync}},
    {.name = "upload",
     .victim = 1,
     .prepare = small_village,
     .steps = {s_new_large, s_phone, s_sync_small, s_note, s_resolve, s_sync}},
    {.name = "adopt",
     .victim = 1,
     .prepare = waiting_village,
     .steps = {s_sync_small, s_new_small, s_sync}},
    {.name = "notices",
     .victim = 1,
     .prepare = refused_village,
     .steps = {s_sync, s_phone, s_sync}},
    {.name = "drop",
     .victim = 1,
     .prepare = small_village,
     .steps = {s_phone, s_take_away, s_sync, s_sync_two}},
    {.name = "serve",
     .rots = true,
     .victim = 0,
     .prepare = busy_village,
     .steps = {s_sync_four, s_all_save, s_sync_four_small}},
    {.name = "serve-in-little-memory",
     .victim = 0,
     .prepare = busy_village,
     .cache = 3,
     .steps = {s_sync_four, s_new_large}},
    {.name = "refuse",
     .victim = 0,
     .prepare = refused_village,
     .steps = {s_sync, s_new_small, s_sync}},
    {.name = "release",
     .victim = 0,
     .prepare = held_village,
     .steps = {s_release, s_new_small, s_sync}},
    {.name = "admin",
     .victim = 0,
     .prepare = small_village,
     .steps = {s_admin_2, s_admin_3, s_sync_two}},
    {.name = "import",
     .victim = 0,
     .prepare = small_village,
     .steps = {s_import, s_note, s_import}},
    {.name = "checkpoint",
     .victim = 1,
     .prepare = small_village,
     .steps = {s_new_large, s_passive, s_phone, s_restart_wal, s_note, s_truncate_wal,
               s_new_small, s_restart, s_phone_again, s_truncate_wal}},
    {.name = "autocheckpoint",
     .victim = 0,
     .prepare = busy_village,
     .autocheckpoint = 12,
     .steps = {s_new_large, s_import, s_sync_four, s_note, s_all_save, s_sync_four}},
    {.name = "vacuum",
     .victim = 1,
     .prepare = small_village,
     .steps = {s_phone, s_take_away, s_sync, s_vacuum, s_sync, s_vacuum}},
    {.name = "backup",
     .victim = 0,
     .prepare = small_village,
     .holds = backup_holds,
     .steps = {s_backup, s_new_large, s_backup, s_phone}},
    {.name = "birth",
     .victim = 1,
     .prepare = no_village,
     .steps = {s_start, s_number, s_restart}},
    {.name = "migrate",
     .victim = 0,
     .prepare = no_file,
     .holds = migration_holds,
     .bare = true,
     .steps = {s_migrate_first, s_migrate_all, s_migrate_all}},
};

const unsigned hm_scenario_count = sizeof hm_scenarios / sizeof hm_scenarios[0];
