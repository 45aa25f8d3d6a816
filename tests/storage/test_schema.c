#include "storage/schema.h"

#include <ctype.h>
#include <sqlite3.h>
#include <stdio.h>

#include "tests/support/test.h"

static const struct hm_table household = {
    .name = "household",
    .distributed = true,
    .columns = {HM_COLUMN("scope", INT), HM_COLUMN("author", U64), HM_COLUMN("n", INT),
                HM_COLUMN_DEFAULT("note", TEXT, "'none'"),
                HM_COLUMN_NULL("state", BLOB), HM_COLUMN("weight", REAL)},
    .primary_key = "scope, author, n",
    .unique_keys = {"scope, note"},
    .indexes = {"scope, weight", "scope, n"},
};

static const struct hm_table member = {
    .name = "member",
    .distributed = true,
    .columns = {HM_COLUMN("scope", INT), HM_COLUMN("author", U64), HM_COLUMN("n", INT),
                HM_COLUMN("k", INT)},
    .primary_key = "scope, author, n, k",
    .foreign_keys = {{.columns = "scope, author, n",
                      .table = "household",
                      .references = "scope, author, n",
                      .cascade = true}},
};

static void assert_renders(enum hm_engine engine, const struct hm_table *table,
                           const char *expected)
{
    struct hm_buf out;

    hm_buf_init(&out, 4096);
    CHECK_OK(hm_schema_render(engine, table, &out));
    assert_string_equal(hm_buf_str(&out), expected);
    hm_buf_deinit(&out);
}

/* Released text: a store made by it is out there. */
HM_TEST(postgres_ddl)
{
    assert_renders(HM_ENGINE_POSTGRES, &household,
                   "CREATE TABLE household (\n"
                   "    scope BIGINT NOT NULL,\n"
                   "    author BIGINT NOT NULL,\n"
                   "    n BIGINT NOT NULL,\n"
                   "    note TEXT COLLATE \"C\" NOT NULL DEFAULT 'none',\n"
                   "    state BYTEA,\n"
                   "    weight DOUBLE PRECISION NOT NULL,\n"
                   "    PRIMARY KEY (scope, author, n),\n"
                   "    UNIQUE (scope, note)\n"
                   ");\n"
                   "CREATE INDEX household_by_scope_weight ON household"
                   " (scope, weight);\n"
                   "CREATE INDEX household_by_scope_n ON household (scope, n);\n");
    assert_renders(HM_ENGINE_POSTGRES, &member,
                   "CREATE TABLE member (\n"
                   "    scope BIGINT NOT NULL,\n"
                   "    author BIGINT NOT NULL,\n"
                   "    n BIGINT NOT NULL,\n"
                   "    k BIGINT NOT NULL,\n"
                   "    PRIMARY KEY (scope, author, n, k),\n"
                   "    FOREIGN KEY (scope, author, n) REFERENCES household"
                   " (scope, author, n) ON DELETE CASCADE\n"
                   ");\n");
}

HM_TEST(sqlite_ddl)
{
    assert_renders(HM_ENGINE_SQLITE, &household,
                   "CREATE TABLE household (\n"
                   "    scope INTEGER NOT NULL,\n"
                   "    author INTEGER NOT NULL,\n"
                   "    n INTEGER NOT NULL,\n"
                   "    note TEXT NOT NULL DEFAULT 'none',\n"
                   "    state BLOB,\n"
                   "    weight REAL NOT NULL,\n"
                   "    PRIMARY KEY (scope, author, n),\n"
                   "    UNIQUE (scope, note)\n"
                   ") STRICT;\n"
                   "CREATE INDEX household_by_scope_weight ON household"
                   " (scope, weight);\n"
                   "CREATE INDEX household_by_scope_n ON household (scope, n);\n");
}

HM_TEST(added_column_ddl)
{
    const struct hm_column column = HM_COLUMN_DEFAULT("flags", INT, "0");
    struct hm_buf out;

    hm_buf_init(&out, 100);
    CHECK_OK(hm_schema_render_column(HM_ENGINE_POSTGRES, "member", &column, &out));
    assert_string_equal(hm_buf_str(&out), "ALTER TABLE member ADD COLUMN flags BIGINT"
                                          " NOT NULL DEFAULT 0;\n");
    assert_int_equal(hm_schema_render(HM_ENGINE_SQLITE, &household, &out), HM_TOOBIG);
    hm_buf_deinit(&out);
}

HM_TEST(names)
{
    for (int i = 0; i < sqlite3_keyword_count(); i++) {
        const char *word = NULL;
        char name[32];
        int len = 0;

        CHECK_OK(sqlite3_keyword_name(i, &word, &len));
        (void)snprintf(name, sizeof name, "%.*s", len, word);
        for (char *at = name; *at != 0; at++) {
            *at = (char)tolower((unsigned char)*at);
        }
        assert_false(hm_schema_name_ok(name));
    }
    assert_true(hm_schema_name_ok("applied_utc_ms"));
    assert_true(hm_schema_name_ok("n"));
    assert_false(hm_schema_name_ok(""));
    assert_false(hm_schema_name_ok("Household"));
    assert_false(hm_schema_name_ok("1st"));
    assert_false(hm_schema_name_ok("a-b"));
    assert_false(hm_schema_name_ok("user"));  /* PostgreSQL */
    assert_false(hm_schema_name_ok("index")); /* SQLite */
    assert_false(hm_schema_name_ok("xmin"));  /* a system column of PostgreSQL */
    assert_false(hm_schema_name_ok("sqlite_x"));
    assert_false(hm_schema_name_ok(
        "a234567890123456789012345678901234567890123456789012345678901234"));
}

static void assert_fault(const struct hm_table *table, const char *expected)
{
    const struct hm_table *const tables[] = {&household, table};
    struct hm_buf report;

    hm_buf_init(&report, 4096);
    assert_int_equal(hm_schema_check(tables, 2, &report), HM_INVALID);
    assert_string_equal(hm_buf_str(&report), expected);
    hm_buf_deinit(&report);
}

HM_TEST(sound_tables_pass)
{
    const struct hm_table *const tables[] = {&household, &member};
    struct hm_buf report;

    hm_buf_init(&report, 4096);
    CHECK_OK(hm_schema_check(tables, 2, &report));
    assert_int_equal(report.len, 0);
    hm_buf_deinit(&report);
}

/* A key without the scope in front cannot be spread over machines, and it is too late
 * to find out when the country's data is in it. */
HM_TEST(scope_leads_every_key)
{
    struct hm_table bad = member;

    bad.primary_key = "author, scope, n";
    assert_fault(&bad, "member: scope does not lead: author, scope, n\n");
    bad.primary_key = member.primary_key;
    bad.unique_keys[0] = "n";
    assert_fault(&bad, "member: scope does not lead: n\n");
    bad.unique_keys[0] = NULL;
    bad.indexes[0] = "k, scope";
    assert_fault(&bad, "member: scope does not lead: k, scope\n");
    bad.indexes[0] = NULL;
    bad.foreign_keys[0].columns = "author, scope, n";
    assert_fault(&bad, "member: scope does not lead: author, scope, n\n");
    bad = member;
    bad.distributed = false;
    assert_fault(&bad,
                 "member: a foreign key between distributed and not: household\n");
}

HM_TEST(keys_name_what_is_there)
{
    struct hm_table bad = member;

    bad.primary_key = "scope, nobody";
    assert_fault(&bad, "member: a key of unknown columns: scope, nobody\n");
    bad.primary_key = "scope, n, n";
    assert_fault(&bad, "member: a column twice in a key: scope, n, n\n");
    bad.primary_key = "scope,n";
    assert_fault(&bad, "member: not a list of the form \"a, b\": scope,n\n");
    bad.primary_key = NULL;
    assert_fault(&bad, "member: no primary key: \n");
    bad = member;
    bad.foreign_keys[0].table = "later";
    assert_fault(&bad, "member: a foreign key to a table not made before: later\n");
    bad.foreign_keys[0].table = "household";
    bad.foreign_keys[0].references = "scope, n, author";
    assert_fault(&bad,
                 "member: a foreign key to what is no key there: scope, n, author\n");
    bad.foreign_keys[0].references = "scope, note";
    assert_fault(&bad, "member: a foreign key of another length than its target:"
                       " scope, author, n\n");
}

HM_TEST(columns_are_sound)
{
    struct hm_table bad = member;

    bad.columns[3] = (struct hm_column)HM_COLUMN("Order", INT);
    bad.primary_key = "scope, author, n";
    assert_fault(&bad, "member: not a good name or default: Order\n");
    bad.columns[3] = (struct hm_column)HM_COLUMN_DEFAULT("k", INT, "now()");
    assert_fault(&bad, "member: not a good name or default: k\n");
    bad.columns[3] = (struct hm_column)HM_COLUMN_DEFAULT("k", TEXT, "'it''s'");
    assert_fault(&bad, "member: not a good name or default: k\n");
    bad.columns[3] = (struct hm_column)HM_COLUMN_DEFAULT("k", TEXT, "'");
    assert_fault(&bad, "member: not a good name or default: k\n");
    bad.columns[3] = (struct hm_column)HM_COLUMN("n", INT);
    assert_fault(&bad, "member: a column twice: n\n");
    assert_fault(&household, "household: a table twice: household\n");
}
