#include "storage/db.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/test.h"

static const char *path_of(const char *name)
{
    static char path[512];

    (void)snprintf(path, sizeof path, "%s/%s", hm_test_folder(), name);
    return path;
}

static struct hm_db *open_db(const char *name, bool read_only)
{
    const struct hm_db_options options = {.path = path_of(name),
                                          .read_only = read_only};
    struct hm_db *db = NULL;

    CHECK_OK(hm_db_open(&options, &db));
    return db;
}

static struct hm_db *open_with_table(void)
{
    struct hm_db *db = open_db("store.db", false);

    CHECK_OK(hm_db_exec(db, "CREATE TABLE t (a INTEGER NOT NULL, b TEXT, c BLOB,"
                            " PRIMARY KEY (a)) STRICT"));
    return db;
}

static int insert(struct hm_db *db, int64_t a, const char *b)
{
    struct hm_stmt *stmt = NULL;
    int err = hm_db_stmt(db, "INSERT INTO t (a, b) VALUES ($1, $2)", &stmt);

    if (err == HM_OK) {
        hm_stmt_bind_int(stmt, 1, a);
        hm_stmt_bind_str(stmt, 2, b);
        err = hm_stmt_run(stmt);
    }
    return err;
}

static int64_t query(struct hm_db *db, const char *sql)
{
    int64_t value = -1;

    CHECK_OK(hm_db_query_int(db, sql, &value));
    return value;
}

/* What acknowledged saves rest on: a store must not open with less. */
HM_TEST(durability_is_on)
{
    struct hm_db *db = open_with_table();

    assert_int_equal(query(db, "PRAGMA synchronous"), 2);
    assert_int_equal(query(db, "PRAGMA foreign_keys"), 1);
    assert_int_equal(query(db, "PRAGMA trusted_schema"), 0);
    assert_int_equal(query(db, "PRAGMA cell_size_check"), 1);
    assert_int_equal(query(db, "PRAGMA temp_store"), 2);
    assert_int_equal(query(db, "PRAGMA mmap_size"), 0);
    assert_int_equal(query(db, "SELECT journal_mode = 'wal' FROM pragma_journal_mode"),
                     1);
    /* DEFENSIVE: the schema cannot be edited as text. */
    CHECK_OK(hm_db_exec(db, "PRAGMA writable_schema = ON"));
    assert_int_not_equal(hm_db_exec(db, "UPDATE sqlite_schema SET sql = 'x'"), HM_OK);
    hm_db_close(db);
}

/* The trap of two engines: SQLite numbers $2 before $1 when it comes first. */
HM_TEST(parameters_bind_by_name)
{
    struct hm_db *db = open_with_table();
    struct hm_stmt *stmt = NULL;
    bool row = false;

    CHECK_OK(insert(db, 1, "one"));
    CHECK_OK(hm_db_stmt(db, "UPDATE t SET b = $2 WHERE a = $1 AND $2 <> ''", &stmt));
    hm_stmt_bind_int(stmt, 1, 1);
    hm_stmt_bind_str(stmt, 2, "changed");
    CHECK_OK(hm_stmt_run(stmt));
    assert_int_equal(hm_db_changes(db), 1);
    CHECK_OK(hm_db_stmt(db, "SELECT b FROM t", &stmt));
    CHECK_OK(hm_stmt_step(stmt, &row));
    assert_true(row);
    assert_string_equal(hm_stmt_str(stmt, 0), "changed");
    hm_db_close(db);
}

/* What PostgreSQL would refuse is refused here. */
HM_TEST(other_parameters_are_refused)
{
    static const char *const bad[] = {
        "SELECT ?",  "SELECT ?1",          "SELECT :a",  "SELECT $1, $3",
        "SELECT $0", "SELECT $01",         "SELECT $1a", "SELECT $99999999999999999999",
        "",          "SELECT 1; SELECT 2", "-- nothing", "SELECT",
    };
    struct hm_db *db = open_with_table();
    struct hm_stmt *stmt = NULL;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(hm_db_prepare(db, bad[i], &stmt), HM_INVALID);
        assert_null(stmt);
    }
    CHECK_OK(hm_db_prepare(db, "SELECT 1 ;\n", &stmt));
    hm_stmt_close(stmt);
    hm_db_close(db);
}

/* A wrong bind is found at the step, whatever is bound after it. */
HM_TEST(bind_errors_stick)
{
    struct hm_db *db = open_with_table();
    struct hm_stmt *stmt = NULL;
    bool row = true;

    CHECK_OK(hm_db_stmt(db, "SELECT $1, $2", &stmt));
    hm_stmt_bind_int(stmt, 3, 1);
    hm_stmt_bind_int(stmt, 1, 1);
    hm_stmt_bind_int(stmt, 2, 1);
    assert_int_equal(hm_stmt_step(stmt, &row), HM_INVALID);
    assert_true(row); /* untouched */
    hm_stmt_bind_int(stmt, 1, 1);
    assert_int_equal(hm_stmt_step(stmt, &row), HM_INVALID); /* $2 is forgotten */
    hm_stmt_bind_text(stmt, 1, hm_bytes_of("a\0b", 3));
    hm_stmt_bind_int(stmt, 2, 1);
    assert_int_equal(hm_stmt_step(stmt, &row), HM_INVALID);
    assert_string_equal(hm_db_errmsg(db), "bind: NUL inside a text");
    hm_stmt_bind_int(stmt, 1, 1);
    hm_stmt_bind_int(stmt, 2, 1);
    CHECK_OK(hm_stmt_step(stmt, &row));
    hm_stmt_bind_int(stmt, 1, 1); /* while a row is read */
    assert_int_equal(hm_stmt_step(stmt, &row), HM_INVALID);
    hm_db_close(db);
}

/* Every type comes back as it went in; empty is not NULL. */
HM_TEST(values_round_trip)
{
    struct hm_db *db = open_with_table();
    struct hm_stmt *stmt = NULL;
    bool row = false;

    CHECK_OK(hm_db_stmt(db, "SELECT $1, $2, $3, $4, $5, $6, $7", &stmt));
    hm_stmt_bind_int(stmt, 1, INT64_MIN);
    hm_stmt_bind_u64(stmt, 2, UINT64_MAX - 1);
    hm_stmt_bind_real(stmt, 3, 0.5);
    hm_stmt_bind_str(stmt, 4, "Nguyễn");
    hm_stmt_bind_bytes(stmt, 5, hm_bytes_of(NULL, 0));
    hm_stmt_bind_null(stmt, 6);
    hm_stmt_bind_text(stmt, 7, hm_bytes_of(NULL, 0));
    CHECK_OK(hm_stmt_step(stmt, &row));
    assert_true(row);
    assert_int_equal(hm_stmt_column_count(stmt), 7);
    assert_true(hm_stmt_int(stmt, 0) == INT64_MIN);
    assert_true(hm_stmt_u64(stmt, 1) == UINT64_MAX - 1);
    assert_true(hm_stmt_real(stmt, 2) > 0.4 && hm_stmt_real(stmt, 2) < 0.6);
    assert_int_equal(hm_stmt_text(stmt, 3).len, strlen("Nguyễn"));
    assert_string_equal(hm_stmt_str(stmt, 3), "Nguyễn");
    assert_false(hm_stmt_is_null(stmt, 4));
    assert_int_equal(hm_stmt_type(stmt, 4), HM_VALUE_BYTES);
    assert_int_equal(hm_stmt_bytes(stmt, 4).len, 0);
    assert_true(hm_stmt_is_null(stmt, 5));
    assert_null(hm_stmt_str(stmt, 5));
    assert_int_equal(hm_stmt_type(stmt, 6), HM_VALUE_TEXT);
    CHECK_OK(hm_stmt_step(stmt, &row));
    assert_false(row);
    hm_db_close(db);
}

/* Prepared once per text, also when the text lies elsewhere; bounded. */
HM_TEST(statements_are_kept)
{
    struct hm_db *db = open_with_table();
    struct hm_stmt *stmt = NULL;
    struct hm_stmt *same = NULL;
    char text[32] = "SELECT 1 ; ";
    int err = HM_OK;
    int kept = 0;

    CHECK_OK(hm_db_stmt(db, "SELECT 1 ; ", &stmt));
    CHECK_OK(hm_db_stmt(db, text, &same));
    assert_ptr_equal(stmt, same);
    while (err == HM_OK && kept < 2 * HM_DB_STATEMENTS_MAX) {
        (void)snprintf(text, sizeof text, "SELECT %d", ++kept);
        err = hm_db_stmt(db, text, &same);
    }
    assert_int_equal(err, HM_TOOBIG);
    assert_in_range(kept, HM_DB_STATEMENTS_MAX - 8,
                    HM_DB_STATEMENTS_MAX); /* BEGIN .. */
    CHECK_OK(hm_db_begin(db)); /* transactions go on without room for their texts */
    CHECK_OK(hm_db_savepoint(db));
    CHECK_OK(hm_db_savepoint(db));
    CHECK_OK(hm_db_rollback_to(db));
    CHECK_OK(hm_db_release(db));
    CHECK_OK(hm_db_commit(db));
    CHECK_OK(hm_db_stmt(db, "SELECT 1 ; ", &same));
    assert_ptr_equal(stmt, same);
    hm_db_close(db);
}

HM_TEST(constraints_have_two_errors)
{
    struct hm_db *db = open_with_table();

    CHECK_OK(hm_db_exec(db, "CREATE TABLE child (a INTEGER REFERENCES t (a)) STRICT"));
    CHECK_OK(insert(db, 1, "one"));
    assert_int_equal(insert(db, 1, "again"), HM_EXISTS);
    assert_int_equal(hm_db_exec(db, "INSERT INTO child VALUES (2)"), HM_INVALID);
    assert_int_equal(hm_db_exec(db, "INSERT INTO t (a) VALUES ('x')"), HM_INVALID);
    assert_int_equal(hm_db_exec(db, "INSERT INTO nowhere VALUES (1)"), HM_INVALID);
    hm_db_close(db);
}

HM_TEST(run_wants_no_row)
{
    struct hm_db *db = open_with_table();
    struct hm_stmt *stmt = NULL;
    int64_t value = -7;

    CHECK_OK(hm_db_stmt(db, "SELECT 1", &stmt));
    assert_int_equal(hm_stmt_run(stmt), HM_INVALID);
    assert_int_equal(hm_db_query_int(db, "SELECT a FROM t", &value), HM_NOTFOUND);
    assert_int_equal(value, -7);
    hm_db_close(db);
}

/* A reader keeps its picture while another connection writes and commits. */
HM_TEST(snapshot_stands_still)
{
    struct hm_db *db = open_with_table();
    struct hm_db *reader = open_db("store.db", true);

    CHECK_OK(hm_db_begin(db));
    CHECK_OK(insert(db, 1, "one"));
    assert_int_equal(query(reader, "SELECT count(*) FROM t"), 0); /* not committed */
    CHECK_OK(hm_db_begin_read(reader));
    CHECK_OK(hm_db_commit(db));
    assert_int_equal(query(reader, "SELECT count(*) FROM t"), 0); /* began before */
    hm_db_rollback(reader);
    assert_int_equal(query(reader, "SELECT count(*) FROM t"), 1);
    hm_db_close(reader);
    hm_db_close(db);
}

HM_TEST(reading_refuses_writes)
{
    struct hm_db *db = open_with_table();
    struct hm_db *reader = open_db("store.db", true);

    assert_int_equal(insert(reader, 1, "one"), HM_DENIED);
    assert_int_equal(hm_db_begin(reader), HM_DENIED);
    CHECK_OK(hm_db_begin_read(db));
    assert_int_equal(insert(db, 1, "one"), HM_DENIED);
    assert_int_equal(hm_db_exec(db, "DELETE FROM t"), HM_DENIED);
    CHECK_OK(hm_db_commit(db));
    CHECK_OK(insert(db, 1, "one"));
    hm_db_close(reader);
    hm_db_close(db);
}

HM_TEST(second_writer_is_told_busy)
{
    struct hm_db *db = open_with_table();
    struct hm_db *other = open_db("store.db", false);

    CHECK_OK(hm_db_begin(db));
    assert_int_equal(hm_db_begin(other), HM_BUSY);
    assert_int_equal(insert(other, 2, "two"), HM_BUSY);
    CHECK_OK(hm_db_commit(db));
    CHECK_OK(hm_db_begin(other));
    hm_db_close(other); /* rolls back */
    hm_db_close(db);
}

HM_TEST(transactions_do_not_nest)
{
    struct hm_db *db = open_with_table();

    assert_int_equal(hm_db_commit(db), HM_INVALID);
    assert_int_equal(hm_db_savepoint(db), HM_INVALID);
    CHECK_OK(hm_db_begin(db));
    assert_int_equal(hm_db_begin(db), HM_INVALID);
    assert_int_equal(hm_db_begin_read(db), HM_INVALID);
    hm_db_rollback(db);
    hm_db_rollback(db); /* nothing happens */
    hm_db_close(db);
}

HM_TEST(savepoints_undo_parts)
{
    struct hm_db *db = open_with_table();

    CHECK_OK(hm_db_begin(db));
    CHECK_OK(hm_db_savepoint(db));
    CHECK_OK(insert(db, 1, "kept"));
    CHECK_OK(hm_db_savepoint(db));
    CHECK_OK(insert(db, 2, "undone"));
    assert_int_equal(insert(db, 1, "twice"), HM_EXISTS);
    CHECK_OK(hm_db_rollback_to(db));
    CHECK_OK(hm_db_release(db));
    assert_int_equal(hm_db_release(db), HM_INVALID);
    for (int i = 0; i < HM_DB_SAVEPOINTS_MAX; i++) {
        CHECK_OK(hm_db_savepoint(db));
    }
    assert_int_equal(hm_db_savepoint(db), HM_TOOBIG);
    CHECK_OK(hm_db_commit(db));
    assert_int_equal(query(db, "SELECT count(*) FROM t"), 1);
    assert_int_equal(query(db, "SELECT a FROM t"), 1);
    hm_db_close(db);
}

/* After a commit that fails no transaction is open and nothing was changed. */
HM_TEST(failed_commit_changes_nothing)
{
    struct hm_db *db = open_with_table();

    CHECK_OK(hm_db_exec(db, "CREATE TABLE child (a INTEGER REFERENCES t (a)"
                            " DEFERRABLE INITIALLY DEFERRED) STRICT"));
    CHECK_OK(hm_db_begin(db));
    CHECK_OK(hm_db_exec(db, "INSERT INTO child VALUES (2)"));
    assert_int_equal(hm_db_commit(db), HM_INVALID);
    assert_int_equal(query(db, "SELECT count(*) FROM child"), 0);
    CHECK_OK(hm_db_begin(db));
    CHECK_OK(hm_db_commit(db));
    hm_db_close(db);
}

static int insert_blob(struct hm_db *db, int64_t a)
{
    static const uint8_t blob[64 * 1024] = {1};
    struct hm_stmt *stmt = NULL;
    int err = hm_db_stmt(db, "INSERT INTO t (a, c) VALUES ($1, $2)", &stmt);

    if (err == HM_OK) {
        hm_stmt_bind_int(stmt, 1, a);
        hm_stmt_bind_bytes(stmt, 2, hm_bytes_of(blob, sizeof blob));
        err = hm_stmt_run(stmt);
    }
    return err;
}

/* A full disk may end the whole transaction under its caller. What follows must not run
 * and commit on its own: half a save would be on disk. */
HM_TEST(full_disk_aborts_the_transaction)
{
    struct hm_db *db = open_with_table();

    CHECK_OK(hm_db_exec(db, "PRAGMA max_page_count = 10"));
    CHECK_OK(hm_db_begin(db));
    CHECK_OK(insert(db, 1, "first half"));
    assert_int_equal(insert_blob(db, 2), HM_NOSPACE);
    assert_int_equal(hm_err_class(HM_NOSPACE), HM_CLASS_RETRY);
    assert_int_equal(insert(db, 3, "second half"), HM_NOSPACE);
    assert_int_equal(hm_db_exec(db, "DELETE FROM t"), HM_NOSPACE);
    assert_int_equal(hm_db_savepoint(db), HM_NOSPACE);
    assert_int_equal(hm_db_begin(db), HM_INVALID); /* it must be rolled back first */
    assert_int_equal(hm_db_commit(db), HM_NOSPACE);
    assert_int_equal(query(db, "SELECT count(*) FROM t"), 0);
    CHECK_OK(insert(db, 3, "again"));
    hm_db_close(db);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* The wrong file, no file, no folder: three different things to tell a person. */
HM_TEST(wrong_files_are_refused)
{
    struct hm_db_options options = {.path = path_of("letter.txt")};
    struct hm_db *db = NULL;

    write_file(options.path,
               "Dear commune office, this is not a database at all. It is "
               "long enough to have a header, though, and more than that.");
    assert_int_equal(hm_db_open(&options, &db), HM_CORRUPT);
    options.path = path_of("empty");
    write_file(options.path, "");
    options.read_only = true;
    assert_int_equal(hm_db_open(&options, &db), HM_CORRUPT);
    options.path = path_of("none");
    assert_int_equal(hm_db_open(&options, &db), HM_NOTFOUND);
    options.path = path_of("no/folder");
    options.read_only = false;
    assert_int_equal(hm_db_open(&options, &db), HM_NOTFOUND);
    options.path = hm_test_folder();
    assert_int_equal(hm_db_open(&options, &db), HM_IO);
    options.path = path_of("other");
    options.vfs = "no such vfs";
    assert_int_equal(hm_db_open(&options, &db), HM_INVALID);
    assert_null(db);
}

/* Reading must not hand out what is not of that type. */
HM_TEST(other_types_read_as_nothing)
{
    struct hm_db *db = open_with_table();
    struct hm_stmt *stmt = NULL;
    bool row = false;

    CHECK_OK(hm_db_prepare(db, "SELECT 'text' AS word, 1, x'00'", &stmt));
    assert_string_equal(hm_stmt_column_name(stmt, 0), "word");
    assert_true(hm_stmt_is_read_only(stmt));
    CHECK_OK(hm_stmt_step(stmt, &row));
    assert_int_equal(hm_stmt_int(stmt, 0), 0);
    assert_null(hm_stmt_str(stmt, 1));
    assert_int_equal(hm_stmt_text(stmt, 2).len, 0);
    assert_int_equal(hm_stmt_bytes(stmt, 2).len, 1);
    hm_stmt_close(stmt);
    hm_db_close(db);
}

struct meanwhile {
    struct hm_db *writer;
    int calls;
    bool stop;
};

static bool write_meanwhile(uint64_t done, uint64_t total, void *arg)
{
    struct meanwhile *meanwhile = arg;

    assert_true(done <= total);
    meanwhile->calls++;
    if (meanwhile->calls == 1) {
        CHECK_OK(insert(meanwhile->writer, 1000, "too late for the copy"));
    }
    return !meanwhile->stop;
}

/* A backup is one moment of a store that is being written, private, and opens. */
HM_TEST(backup_of_a_live_store)
{
    struct hm_db *db = open_with_table();
    struct hm_db *writer = open_db("store.db", false);
    struct meanwhile meanwhile = {.writer = writer};
    struct hm_buf report;
    struct stat info;

    for (int64_t i = 0; i < 40; i++) {
        CHECK_OK(insert_blob(db, i));
    }
    CHECK_OK(hm_db_backup(db, path_of("copy.db"), write_meanwhile, &meanwhile));
    assert_true(meanwhile.calls > 1);
    assert_int_equal(query(db, "SELECT count(*) FROM t"), 41);
    assert_int_equal(stat(path_of("copy.db"), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_not_equal(access(path_of("copy.db.part"), F_OK), 0);
    hm_db_close(writer);
    hm_db_close(db);
    db = open_db("copy.db", false);
    assert_int_equal(query(db, "SELECT count(*) FROM t"), 40);
    hm_buf_init(&report, 1000);
    CHECK_OK(hm_db_check(db, &report));
    assert_int_equal(report.len, 0);
    hm_buf_deinit(&report);
    hm_db_close(db);
}

/* A former backup stays until the new one is complete. */
HM_TEST(canceled_backup_leaves_the_former)
{
    struct hm_db *db = open_with_table();
    struct hm_db *writer = open_db("store.db", false);
    struct meanwhile meanwhile = {.writer = writer, .stop = true};

    write_file(path_of("copy.db"), "former");
    assert_int_equal(hm_db_backup(db, path_of("copy.db"), write_meanwhile, &meanwhile),
                     HM_CANCELED);
    assert_int_not_equal(access(path_of("copy.db.part"), F_OK), 0);
    assert_int_equal(hm_db_backup(db, path_of("no/folder"), NULL, NULL), HM_NOTFOUND);
    CHECK_OK(hm_db_begin(db)); /* the snapshot is over */
    assert_int_equal(hm_db_backup(db, path_of("copy.db"), NULL, NULL), HM_INVALID);
    hm_db_rollback(db);
    hm_db_close(writer);
    hm_db_close(db);
    assert_int_equal(truncate(path_of("copy.db"), 6), 0);
}

static void damage(const char *path, long at)
{
    static const char junk[2000] = "junk";
    int fd = open(path, O_WRONLY);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, junk, sizeof junk, at), (long)sizeof junk);
    assert_int_equal(close(fd), 0);
}

/* A check that cannot fail is worse than none. */
HM_TEST(check_finds_damage)
{
    struct hm_db *db = open_with_table();
    struct hm_buf report;
    int64_t bytes = 0;
    int64_t pages = 0;

    CHECK_OK(hm_db_exec(db, "CREATE INDEX t_b ON t (b)"));
    for (int64_t i = 0; i < 2000; i++) {
        CHECK_OK(hm_db_begin(db));
        CHECK_OK(insert(db, i, "some text to fill a page or two"));
        CHECK_OK(hm_db_commit(db));
    }
    CHECK_OK(hm_db_size_bytes(db, &bytes));
    assert_true(bytes > 100 * 1000);
    CHECK_OK(hm_db_exec(db, "DELETE FROM t WHERE a >= 1000"));
    CHECK_OK(hm_db_free_pages(db, &pages));
    assert_true(pages > 0);
    hm_db_close(db);
    damage(path_of("store.db"), 4096 * 4);
    db = open_db("store.db", false);
    hm_buf_init(&report, 1000);
    assert_int_equal(hm_db_check(db, &report), HM_CORRUPT);
    assert_true(report.len > 10);
    hm_buf_deinit(&report);
    hm_buf_init(&report, 10); /* no room for a line: still found */
    assert_int_equal(hm_db_check(db, &report), HM_CORRUPT);
    assert_int_equal(report.err, HM_OK);
    hm_buf_deinit(&report);
    hm_db_close(db);
}

HM_TEST(check_finds_lost_parents)
{
    struct hm_db *db = open_with_table();
    struct hm_buf report;

    CHECK_OK(hm_db_exec(db, "CREATE TABLE child (a INTEGER REFERENCES t (a)) STRICT;"
                            "PRAGMA foreign_keys = OFF;"
                            "INSERT INTO child VALUES (2)"));
    hm_buf_init(&report, 1000);
    assert_int_equal(hm_db_check(db, &report), HM_CORRUPT);
    assert_string_equal(hm_buf_str(&report), "row 1 of child: no such row in t\n");
    hm_buf_deinit(&report);
    hm_db_close(db);
}
