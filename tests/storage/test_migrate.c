#include "storage/migrate.h"

#include <stdio.h>

#include "tests/support/test.h"

enum { NOW_UTC_MS = 1000 };

static const struct hm_table household = {
    .name = "household",
    .distributed = true,
    .columns = {HM_COLUMN("scope", INT), HM_COLUMN("author", U64), HM_COLUMN("n", INT)},
    .primary_key = "scope, author, n",
};

static const struct hm_table note = {
    .name = "note",
    .distributed = true,
    .columns = {HM_COLUMN("scope", INT), HM_COLUMN("k", INT), HM_COLUMN("words", TEXT)},
    .primary_key = "scope, k",
    .indexes = {"scope, words"},
};

static const struct hm_migration steps[] = {
    {.number = 1, .name = "households", .tables = {&household}},
    {.number = 2,
     .name = "notes",
     .tables = {&note},
     .columns = {{"household", HM_COLUMN_DEFAULT("closed", INT, "0")},
                 {"household", HM_COLUMN_NULL("reason", TEXT)}},
     .sql_sqlite = "CREATE VIRTUAL TABLE note_words USING fts5 (words);",
     .sql_postgres = "SELECT 1;"},
};

static struct hm_db *open_db(void)
{
    static char path[512];
    const struct hm_db_options options = {.path = path};
    struct hm_db *db = NULL;

    (void)snprintf(path, sizeof path, "%s/store.db", hm_test_folder());
    CHECK_OK(hm_db_open(&options, &db));
    return db;
}

static int64_t version(struct hm_db *db)
{
    int64_t number = -1;

    CHECK_OK(hm_migrate_version(db, &number));
    return number;
}

static int64_t query(struct hm_db *db, const char *sql)
{
    int64_t value = -1;

    CHECK_OK(hm_db_query_int(db, sql, &value));
    return value;
}

HM_TEST(new_store_gets_all_steps)
{
    struct hm_db *db = open_db();

    assert_int_equal(version(db), 0);
    CHECK_OK(hm_migrate_run(db, steps, 2, NOW_UTC_MS));
    assert_int_equal(version(db), 2);
    CHECK_OK(hm_db_exec(db, "INSERT INTO household VALUES (1, 2, 3, 4, NULL);"
                            "INSERT INTO note_words VALUES ('a')"));
    assert_int_equal(query(db, "SELECT sum(applied_utc_ms) FROM migration"), 2000);
    assert_int_equal(query(db, "SELECT count(*) FROM migration"
                               " WHERE number = 2 AND name = 'notes'"),
                     1);
    hm_db_close(db);
}

/* Every start runs this: it must not cost a write. */
HM_TEST(second_run_writes_nothing)
{
    struct hm_db *db = open_db();
    struct hm_db *other;

    CHECK_OK(hm_migrate_run(db, steps, 2, NOW_UTC_MS));
    other = open_db();
    CHECK_OK(hm_db_begin(other)); /* a write would be told HM_BUSY */
    CHECK_OK(hm_migrate_run(db, steps, 2, NOW_UTC_MS + 1));
    assert_int_equal(query(db, "SELECT max(applied_utc_ms) FROM migration"), 1000);
    hm_db_close(other);
    hm_db_close(db);
}

/* Rows of the older version stay and get the defaults. */
HM_TEST(old_store_keeps_its_rows)
{
    struct hm_db *db = open_db();

    CHECK_OK(hm_migrate_run(db, steps, 1, NOW_UTC_MS));
    assert_int_equal(version(db), 1);
    CHECK_OK(hm_db_exec(db, "INSERT INTO household VALUES (1, 2, 3)"));
    CHECK_OK(hm_migrate_run(db, steps, 2, NOW_UTC_MS));
    assert_int_equal(query(db, "SELECT n FROM household WHERE closed = 0"
                               " AND reason IS NULL"),
                     3);
    hm_db_close(db);
}

/* An older program on a newer store would write what the newer one misreads. */
HM_TEST(newer_store_is_refused)
{
    struct hm_db *db = open_db();
    struct hm_migration other = steps[0];

    CHECK_OK(hm_migrate_run(db, steps, 2, NOW_UTC_MS));
    assert_int_equal(hm_migrate_run(db, steps, 1, NOW_UTC_MS), HM_VERSION);
    assert_int_equal(hm_migrate_run(db, steps, 0, NOW_UTC_MS), HM_VERSION);
    hm_db_close(db);
    db = open_db();
    CHECK_OK(hm_db_exec(db, "DELETE FROM migration WHERE number = 2"));
    other.name = "something_else";
    assert_int_equal(hm_migrate_run(db, &other, 1, NOW_UTC_MS), HM_VERSION);
    CHECK_OK(hm_db_exec(db, "UPDATE migration SET number = 7"));
    assert_int_equal(hm_migrate_run(db, steps, 2, NOW_UTC_MS), HM_CORRUPT);
    CHECK_OK(hm_db_begin(db)); /* nothing was left open */
    assert_int_equal(hm_migrate_run(db, steps, 2, NOW_UTC_MS), HM_INVALID);
    hm_db_close(db);
}

/* A step that stops in the middle leaves the version before, whole. */
HM_TEST(failed_step_leaves_the_version_before)
{
    struct hm_migration broken[2] = {steps[0], steps[1]};
    struct hm_db *db = open_db();

    broken[1].sql_sqlite = "CREATE TABLE half (a INTEGER) STRICT; SELECT nonsense;";
    assert_int_equal(hm_migrate_run(db, broken, 2, NOW_UTC_MS), HM_INVALID);
    assert_int_equal(version(db), 1);
    assert_int_equal(query(db, "SELECT count(*) FROM sqlite_schema"
                               " WHERE name IN ('note', 'half')"),
                     0);
    assert_int_equal(query(db, "SELECT count(*) FROM pragma_table_info('household')"),
                     3);
    CHECK_OK(hm_migrate_run(db, steps, 2, NOW_UTC_MS));
    assert_int_equal(version(db), 2);
    hm_db_close(db);
}

static void assert_fault(const struct hm_migration *list, const char *expected)
{
    struct hm_buf report;

    hm_buf_init(&report, 4096);
    assert_int_equal(hm_migrate_check(list, 2, &report), HM_INVALID);
    assert_string_equal(hm_buf_str(&report), expected);
    hm_buf_deinit(&report);
}

HM_TEST(list_is_checked)
{
    struct hm_migration bad[2] = {steps[0], steps[1]};
    struct hm_buf report;

    hm_buf_init(&report, 4096);
    CHECK_OK(hm_migrate_check(steps, 2, &report));
    hm_buf_deinit(&report);
    bad[1].number = 3;
    assert_fault(bad, "migration 2: not numbered 1, 2, 3 ...: notes\n");
    bad[1] = steps[1];
    bad[1].name = "households";
    assert_fault(bad, "migration 2: a name twice: households\n");
    bad[1] = steps[1];
    bad[1].tables[1] = &household;
    assert_fault(bad, "household: a table twice: household\n");
    bad[1] = steps[1];
    bad[1].columns[1].column.name = "closed";
    assert_fault(bad, "migration 2: a column that is there already: closed\n"
                      "migration 2: a column that is there already: closed\n");
    bad[1].columns[1] = (struct hm_column_added){"household", HM_COLUMN("fresh", INT)};
    assert_fault(bad, "migration 2: a column that rows cannot get: fresh\n");
    bad[1].columns[1] = (struct hm_column_added){"nowhere", HM_COLUMN_NULL("b", INT)};
    assert_fault(bad, "migration 2: a column for an unknown table: nowhere\n");
    bad[1].columns[1] = (struct hm_column_added){"household", HM_COLUMN_NULL("n", INT)};
    assert_fault(bad, "migration 2: a column that is there already: n\n");
}
