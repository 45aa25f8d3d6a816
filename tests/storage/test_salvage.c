#include "storage/salvage.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/support/test.h"

enum { ROWS = 4000, PAGE = 4096 };

static char old_path[600];

static struct hm_db *open_db(const char *name, bool read_only)
{
    static char path[600];
    struct hm_db_options options = {.path = path, .read_only = read_only};
    struct hm_db *db = NULL;

    (void)snprintf(path, sizeof path, "%s/%s", hm_test_folder(), name);
    CHECK_OK(hm_db_open(&options, &db));
    return db;
}

static const char table[] = "CREATE TABLE t (k INTEGER NOT NULL, text TEXT, bytes "
                            "BLOB, PRIMARY KEY (k)) STRICT";

/* Rows 1 .. ROWS, each with a number and a text of its own; every 500th is large. */
static void make_old(void)
{
    struct hm_db *db = open_db("old.db", false);
    struct hm_stmt *stmt;

    (void)snprintf(old_path, sizeof old_path, "%s/old.db", hm_test_folder());
    CHECK_OK(hm_db_exec(db, table));
    CHECK_OK(hm_db_begin(db));
    for (int i = 1; i <= ROWS; i++) {
        static const uint8_t large[20000];
        char text[64];

        (void)snprintf(text, sizeof text, "this is row number %d", i);
        CHECK_OK(hm_db_stmt(db, "INSERT INTO t (k, text, bytes) VALUES ($1, $2, $3)",
                            &stmt));
        hm_stmt_bind_int(stmt, 1, i);
        hm_stmt_bind_str(stmt, 2, text);
        hm_stmt_bind_bytes(stmt, 3,
                           hm_bytes_of(large, i % 500 == 0 ? sizeof large : 0));
        CHECK_OK(hm_stmt_run(stmt));
    }
    CHECK_OK(hm_db_commit(db));
    hm_db_close(db);
}

static long page_count(void)
{
    int fd = open(old_path, O_RDONLY);
    off_t size = lseek(fd, 0, SEEK_END);

    (void)close(fd);
    return (long)(size / PAGE);
}

/* Exchanges a page's content with other bytes; the second time it is as before. */
static void spoil(long page)
{
    unsigned char bytes[PAGE];
    int fd = open(old_path, O_RDWR);

    assert_int_equal(pread(fd, bytes, PAGE, page * PAGE), PAGE);
    for (int i = 0; i < PAGE; i++) {
        bytes[i] ^= (unsigned char)(0xa5 + i * 31);
    }
    assert_int_equal(pwrite(fd, bytes, PAGE, page * PAGE), PAGE);
    (void)close(fd);
}

/* Salvages into a new store, checks that every row says what was written. */
static struct hm_salvaged salvage(uint64_t *out_kept)
{
    struct hm_db *from = open_db("old.db", true);
    struct hm_db *to = open_db("new.db", false);
    struct hm_salvaged out = {0};
    struct hm_stmt *stmt;
    bool row = false;

    CHECK_OK(hm_db_exec(to, "DROP TABLE IF EXISTS t"));
    CHECK_OK(hm_db_exec(to, table));
    CHECK_OK(hm_db_begin(to));
    CHECK_OK(hm_salvage_table(from, to, "t", &out));
    CHECK_OK(hm_db_commit(to));
    *out_kept = 0;
    CHECK_OK(hm_db_stmt(to, "SELECT k, text, length(bytes) FROM t", &stmt));
    while (hm_stmt_step(stmt, &row) == HM_OK && row) {
        char text[64];

        (void)snprintf(text, sizeof text, "this is row number %lld",
                       (long long)hm_stmt_int(stmt, 0));
        assert_string_equal(hm_stmt_str(stmt, 1), text);
        assert_int_equal(hm_stmt_int(stmt, 2),
                         hm_stmt_int(stmt, 0) % 500 == 0 ? 20000 : 0);
        ++*out_kept;
    }
    hm_db_close(to);
    hm_db_close(from);
    return out;
}

HM_TEST(a_sound_table_is_copied_whole)
{
    struct hm_salvaged out;
    uint64_t kept;

    make_old();
    out = salvage(&kept);
    assert_int_equal(kept, ROWS);
    assert_int_equal(out.rows, ROWS);
    assert_int_equal(out.holes, 0);
}

/* Any one page but those that lead to the others costs the rows on it alone. */
HM_TEST(a_broken_page_costs_its_rows)
{
    unsigned whole = 0;
    unsigned nearly = 0;
    long pages;

    make_old();
    pages = page_count();
    assert_true(pages > 60);
    for (long page = 2; page < pages; page += 3) {
        struct hm_salvaged out;
        uint64_t kept;

        spoil(page);
        out = salvage(&kept);
        spoil(page);
        assert_int_equal(kept, out.rows);
        assert_true(kept == ROWS || out.holes > 0);
        whole += kept == ROWS;
        nearly += kept >= ROWS - 150;
    }
    /* At most an inner page of the table may cost more. */
    assert_true(nearly >= (unsigned)(pages / 3) - 2);
    assert_true(whole < nearly);
}

/* Every eighth page: reading goes on behind each hole. */
HM_TEST(many_broken_pages_leave_the_others)
{
    struct hm_salvaged out;
    uint64_t kept;
    long pages;

    make_old();
    pages = page_count();
    for (long page = 10; page < pages; page += 8) {
        spoil(page);
    }
    out = salvage(&kept);
    assert_true(kept > ROWS / 2);
    assert_true(kept < ROWS);
    assert_true(out.holes >= 3);
}

/* A table that is not there costs nothing but itself. */
HM_TEST(a_missing_table_is_a_hole)
{
    struct hm_salvaged out = {0};
    struct hm_db *from;
    struct hm_db *to;

    make_old();
    from = open_db("old.db", true);
    to = open_db("new.db", false);
    CHECK_OK(hm_salvage_table(from, to, "unknown", &out));
    assert_int_equal(out.rows, 0);
    assert_int_equal(out.holes, 1);
    hm_db_close(to);
    hm_db_close(from);
}
