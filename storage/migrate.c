#include "storage/migrate.h"

#include <stdlib.h>
#include <string.h>

static const struct hm_table migration_table = {
    .name = "migration",
    .columns = {HM_COLUMN("number", INT), HM_COLUMN("name", TEXT),
                HM_COLUMN("applied_utc_ms", INT)},
    .primary_key = "number",
};

/* Whether the table of migrations is there; each engine has its own catalogue. */
static int has_table(struct hm_db *db, bool *out_there)
{
    static const char sqlite[] = "SELECT count(*) FROM sqlite_schema WHERE type = "
                                 "'table' AND name = 'migration'";
    static const char postgres[] =
        "SELECT count(*) FROM information_schema.tables"
        " WHERE table_schema = current_schema() AND table_name = 'migration'";
    int64_t count = 0;
    int err = hm_db_query_int(
        db, hm_db_engine(db) == HM_ENGINE_SQLITE ? sqlite : postgres, &count);

    if (err == HM_OK) {
        *out_there = count > 0;
    }
    return err;
}

int hm_migrate_version(struct hm_db *db, int64_t *out_number)
{
    bool there = false;
    int err = has_table(db, &there);

    if (err == HM_OK && there) {
        return hm_db_query_int(db, "SELECT max(number) FROM migration", out_number);
    }
    if (err == HM_OK) {
        *out_number = 0;
    }
    return err;
}

/* How many of the steps db has. HM_VERSION if it has others, HM_CORRUPT if some are
 * missing in between. */
static int count_applied(struct hm_db *db, const struct hm_migration *migrations,
                         size_t count, size_t *out_applied)
{
    struct hm_stmt *stmt = NULL;
    size_t applied = 0;
    bool row = false;
    bool there = false;
    int err = has_table(db, &there);

    if (err != HM_OK || !there) {
        *out_applied = err == HM_OK ? 0 : *out_applied;
        return err;
    }
    err =
        hm_db_prepare(db, "SELECT number, name FROM migration ORDER BY number", &stmt);
    while (err == HM_OK && (err = hm_stmt_step(stmt, &row)) == HM_OK && row) {
        if (applied >= count) {
            err = HM_VERSION;
        } else if (hm_stmt_int(stmt, 0) != migrations[applied].number) {
            err = HM_CORRUPT;
        } else if (!hm_bytes_equal(hm_stmt_text(stmt, 1),
                                   hm_bytes_str(migrations[applied].name))) {
            err = HM_VERSION;
        }
        applied++;
    }
    hm_stmt_close(stmt);
    if (err == HM_OK) {
        *out_applied = applied;
    }
    return err;
}

static int render_step(enum hm_engine engine, const struct hm_migration *step,
                       struct hm_buf *out)
{
    const char *sql =
        engine == HM_ENGINE_SQLITE ? step->sql_sqlite : step->sql_postgres;
    int err = HM_OK;

    for (size_t i = 0; i < HM_MIGRATE_TABLES_MAX && step->tables[i] != NULL; i++) {
        err = hm_schema_render(engine, step->tables[i], out);
    }
    for (size_t i = 0; i < HM_MIGRATE_COLUMNS_MAX && step->columns[i].table != NULL;
         i++) {
        err = hm_schema_render_column(engine, step->columns[i].table,
                                      &step->columns[i].column, out);
    }
    hm_buf_append_str(out, sql == NULL ? "" : sql);
    return err == HM_OK ? out->err : err;
}

static int record_step(struct hm_db *db, const struct hm_migration *step,
                       int64_t now_utc_ms)
{
    struct hm_stmt *stmt = NULL;
    int err = hm_db_prepare(
        db, "INSERT INTO migration (number, name, applied_utc_ms) VALUES ($1, $2, $3)",
        &stmt);

    if (err == HM_OK) {
        hm_stmt_bind_int(stmt, 1, step->number);
        hm_stmt_bind_str(stmt, 2, step->name);
        hm_stmt_bind_int(stmt, 3, now_utc_ms);
        err = hm_stmt_run(stmt);
    }
    hm_stmt_close(stmt);
    return err;
}

/* Inside a transaction. */
static int apply_step(struct hm_db *db, const struct hm_migration *step,
                      int64_t now_utc_ms)
{
    struct hm_buf ddl;
    bool there = false;
    const char *sql;
    int err = has_table(db, &there);

    hm_buf_init(&ddl, HM_MIGRATE_DDL_BYTES_MAX);
    if (err == HM_OK && !there) {
        err = hm_schema_render(hm_db_engine(db), &migration_table, &ddl);
    }
    if (err == HM_OK) {
        err = render_step(hm_db_engine(db), step, &ddl);
    }
    if (err == HM_OK) {
        sql = hm_buf_str(&ddl);
        err = sql == NULL ? ddl.err : hm_db_exec(db, sql);
    }
    if (err == HM_OK) {
        err = record_step(db, step, now_utc_ms);
    }
    hm_buf_deinit(&ddl);
    return err;
}

/* Apply the first missing step, if there is one. */
static int apply_next(struct hm_db *db, const struct hm_migration *migrations,
                      size_t count, int64_t now_utc_ms, size_t *out_applied)
{
    size_t applied = 0;
    int err = hm_db_begin(db);

    if (err != HM_OK) {
        return err;
    }
    /* Asked again under the lock: another process may have been faster. */
    err = count_applied(db, migrations, count, &applied);
    if (err == HM_OK && applied < count) {
        err = apply_step(db, &migrations[applied], now_utc_ms);
        applied++;
    }
    if (err != HM_OK) {
        hm_db_rollback(db);
        return err;
    }
    err = hm_db_commit(db);
    if (err == HM_OK) {
        *out_applied = applied;
    }
    return err;
}

int hm_migrate_run(struct hm_db *db, const struct hm_migration *migrations,
                   size_t count, int64_t now_utc_ms)
{
    size_t applied = 0;
    int err = hm_db_begin_read(db);

    if (err != HM_OK) {
        return err;
    }
    err = count_applied(db, migrations, count, &applied);
    hm_db_rollback(db);
    while (err == HM_OK && applied < count) {
        err = apply_next(db, migrations, count, now_utc_ms, &applied);
    }
    return err;
}

/* -- Checking a list -- */

struct check {
    const struct hm_migration *migrations;
    struct hm_buf *report;
    bool failed;
};

static void fault(struct check *check, size_t step, const char *what,
                  const char *detail)
{
    check->failed = true;
    hm_buf_printf(check->report, "migration %zu: %s: %s\n", step + 1, what, detail);
}

static const struct hm_table *find_table(const struct check *check, size_t step,
                                         const char *name)
{
    for (size_t i = 0; i <= step; i++) {
        const struct hm_migration *one = &check->migrations[i];

        for (size_t j = 0; j < HM_MIGRATE_TABLES_MAX && one->tables[j] != NULL; j++) {
            if (strcmp(one->tables[j]->name, name) == 0) {
                return one->tables[j];
            }
        }
    }
    return NULL;
}

static bool is_in_table(const struct hm_table *table, const char *column)
{
    for (size_t i = 0; i < HM_SCHEMA_COLUMNS_MAX && table->columns[i].name != NULL;
         i++) {
        if (strcmp(table->columns[i].name, column) == 0) {
            return true;
        }
    }
    return false;
}

/* How often this column is added up to and with step. */
static unsigned count_added(const struct check *check, size_t step,
                            const struct hm_column_added *added)
{
    unsigned count = 0;

    for (size_t i = 0; i <= step; i++) {
        const struct hm_column_added *all = check->migrations[i].columns;

        for (size_t j = 0; j < HM_MIGRATE_COLUMNS_MAX && all[j].table != NULL; j++) {
            count += strcmp(all[j].table, added->table) == 0 &&
                     strcmp(all[j].column.name, added->column.name) == 0;
        }
    }
    return count;
}

static void check_added(struct check *check, size_t step,
                        const struct hm_column_added *added)
{
    const struct hm_column *column = &added->column;
    const struct hm_table *table = find_table(check, step, added->table);

    if (table == NULL) {
        fault(check, step, "a column for an unknown table", added->table);
    } else if (is_in_table(table, column->name) ||
               count_added(check, step, added) > 1) {
        fault(check, step, "a column that is there already", column->name);
    }
    if (!hm_schema_column_ok(column)) {
        fault(check, step, "not a good name or default", column->name);
    }
    if (!column->nullable && column->default_value == NULL) {
        fault(check, step, "a column that rows cannot get", column->name);
    }
}

static void check_step(struct check *check, size_t step)
{
    const struct hm_migration *one = &check->migrations[step];

    if (one->number != (int64_t)step + 1) {
        fault(check, step, "not numbered 1, 2, 3 ...", one->name);
    }
    if (!hm_schema_name_ok(one->name)) {
        fault(check, step, "not a good name", one->name);
    }
    for (size_t i = 0; i < step; i++) {
        if (strcmp(check->migrations[i].name, one->name) == 0) {
            fault(check, step, "a name twice", one->name);
        }
    }
    for (size_t i = 0; i < HM_MIGRATE_COLUMNS_MAX && one->columns[i].table != NULL;
         i++) {
        check_added(check, step, &one->columns[i]);
    }
}

int hm_migrate_check(const struct hm_migration *migrations, size_t count,
                     struct hm_buf *report)
{
    struct check check = {.migrations = migrations, .report = report};
    const struct hm_table **tables =
        calloc(count * HM_MIGRATE_TABLES_MAX + 1, sizeof(struct hm_table *));
    size_t len = 0;
    int err;

    if (tables == NULL) {
        return HM_NOMEM;
    }
    tables[len++] = &migration_table; /* nobody else may take the name */
    for (size_t i = 0; i < count; i++) {
        check_step(&check, i);
        for (size_t j = 0; j < HM_MIGRATE_TABLES_MAX && migrations[i].tables[j] != NULL;
             j++) {
            tables[len++] = migrations[i].tables[j];
        }
    }
    err = hm_schema_check(tables, len, report);
    free(tables);
    return err == HM_OK && check.failed ? HM_INVALID : err;
}
