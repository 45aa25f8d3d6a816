#include "storage/schema.h"

#include <string.h>

/* -- Lists of columns: "scope, author, n" -- */

/* Take the next name off *list; an empty view at the end. */
static struct hm_bytes next_name(const char **list)
{
    const char *start = *list + strspn(*list, ", ");
    size_t len = strcspn(start, ", ");

    *list = start + len;
    return hm_bytes_of(start, len);
}

static struct hm_bytes first_name(const char *list)
{
    return next_name(&list);
}

static size_t count_names(const char *list)
{
    size_t count = 0;

    while (next_name(&list).len > 0) {
        count++;
    }
    return count;
}

static bool is_name(struct hm_bytes name, const char *text)
{
    return hm_bytes_equal(name, hm_bytes_str(text));
}

/* -- Rendering -- */

static const char *type_name(enum hm_engine engine, enum hm_column_type type)
{
    bool sqlite = engine == HM_ENGINE_SQLITE;

    switch (type) {
    case HM_COLUMN_INT:
    case HM_COLUMN_U64:
        return sqlite ? "INTEGER" : "BIGINT";
    case HM_COLUMN_TEXT:
        return sqlite ? "TEXT" : "TEXT COLLATE \"C\""; /* both order by bytes */
    case HM_COLUMN_BLOB:
        return sqlite ? "BLOB" : "BYTEA";
    case HM_COLUMN_REAL:
        return sqlite ? "REAL" : "DOUBLE PRECISION";
    }
    HM_ASSERT(false); /* no such type */
    return "";
}

static void render_column(enum hm_engine engine, const struct hm_column *column,
                          struct hm_buf *out)
{
    hm_buf_printf(out, "%s %s", column->name, type_name(engine, column->type));
    if (!column->nullable) {
        hm_buf_append_str(out, " NOT NULL");
    }
    if (column->default_value != NULL) {
        hm_buf_printf(out, " DEFAULT %s", column->default_value);
    }
}

static void render_foreign_key(const struct hm_foreign_key *key, struct hm_buf *out)
{
    hm_buf_printf(out, ",\n    FOREIGN KEY (%s) REFERENCES %s (%s)%s", key->columns,
                  key->table, key->references,
                  key->cascade ? " ON DELETE CASCADE" : "");
}

static void render_index_name(const char *table, const char *columns,
                              struct hm_buf *out)
{
    struct hm_bytes name;

    hm_buf_printf(out, "%s_by", table);
    while ((name = next_name(&columns)).len > 0) {
        hm_buf_append_str(out, "_");
        hm_buf_append(out, name);
    }
}

static size_t count_columns(const struct hm_table *table)
{
    size_t count = 0;

    while (count < HM_SCHEMA_COLUMNS_MAX && table->columns[count].name != NULL) {
        count++;
    }
    return count;
}

int hm_schema_render(enum hm_engine engine, const struct hm_table *table,
                     struct hm_buf *out)
{
    size_t columns = count_columns(table);

    hm_buf_printf(out, "CREATE TABLE %s (", table->name);
    for (size_t i = 0; i < columns; i++) {
        hm_buf_append_str(out, i == 0 ? "\n    " : ",\n    ");
        render_column(engine, &table->columns[i], out);
    }
    hm_buf_printf(out, ",\n    PRIMARY KEY (%s)", table->primary_key);
    for (size_t i = 0; i < HM_SCHEMA_KEYS_MAX && table->unique_keys[i] != NULL; i++) {
        hm_buf_printf(out, ",\n    UNIQUE (%s)", table->unique_keys[i]);
    }
    for (size_t i = 0; i < HM_SCHEMA_KEYS_MAX && table->foreign_keys[i].columns != NULL;
         i++) {
        render_foreign_key(&table->foreign_keys[i], out);
    }
    hm_buf_append_str(out, engine == HM_ENGINE_SQLITE ? "\n) STRICT;\n" : "\n);\n");
    for (size_t i = 0; i < HM_SCHEMA_KEYS_MAX && table->indexes[i] != NULL; i++) {
        hm_buf_append_str(out, "CREATE INDEX ");
        render_index_name(table->name, table->indexes[i], out);
        hm_buf_printf(out, " ON %s (%s);\n", table->name, table->indexes[i]);
    }
    return out->err;
}

int hm_schema_render_column(enum hm_engine engine, const char *table,
                            const struct hm_column *column, struct hm_buf *out)
{
    hm_buf_printf(out, "ALTER TABLE %s ADD COLUMN ", table);
    render_column(engine, column, out);
    hm_buf_append_str(out, ";\n");
    return out->err;
}

/* -- Checking -- */

/* Every keyword of SQLite 3.40, the words that PostgreSQL 15 reserves, and the system
 * columns of both. */
/* clang-format off */
static const char *const reserved[] = {
    "abort", "action", "add", "after", "all", "alter", "always", "analyse",
    "analyze", "and", "any", "array", "as", "asc", "asymmetric", "attach",
    "authorization", "autoincrement", "before", "begin", "between", "binary",
    "both", "by", "cascade", "case", "cast", "check", "cmax", "cmin", "collate",
    "collation", "column", "commit", "concurrently", "conflict", "constraint",
    "create", "cross", "ctid", "current", "current_catalog", "current_date",
    "current_role", "current_schema", "current_time", "current_timestamp",
    "current_user", "database", "default", "deferrable", "deferred", "delete",
    "desc", "detach", "distinct", "do", "drop", "each", "else", "end", "escape",
    "except", "exclude", "exclusive", "exists", "explain", "fail", "false", "fetch",
    "filter", "first", "following", "for", "foreign", "freeze", "from", "full",
    "generated", "glob", "grant", "group", "groups", "having", "if", "ignore",
    "ilike", "immediate", "in", "index", "indexed", "initially", "inner", "insert",
    "instead", "intersect", "into", "is", "isnull", "join", "key", "last",
    "lateral", "leading", "left", "like", "limit", "localtime", "localtimestamp",
    "match", "materialized", "natural", "no", "not", "nothing", "notnull", "null",
    "nulls", "of", "offset", "oid", "on", "only", "or", "order", "others", "outer",
    "over", "overlaps", "partition", "placing", "plan", "pragma", "preceding",
    "primary", "query", "raise", "range", "recursive", "references", "regexp",
    "reindex", "release", "rename", "replace", "restrict", "returning", "right",
    "rollback", "row", "rowid", "rows", "savepoint", "select", "session_user",
    "set", "similar", "some", "symmetric", "table", "tableoid", "tablesample",
    "temp", "temporary", "then", "ties", "to", "trailing", "transaction", "trigger",
    "true", "unbounded", "union", "unique", "update", "user", "using", "vacuum",
    "values", "variadic", "verbose", "view", "virtual", "when", "where", "window",
    "with", "without", "xmax", "xmin",
};
/* clang-format on */

bool hm_schema_name_ok(const char *name)
{
    size_t len = strlen(name);

    if (len == 0 || len > HM_SCHEMA_NAME_BYTES_MAX || name[0] < 'a' || name[0] > 'z' ||
        strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != len ||
        strncmp(name, "sqlite_", 7) == 0 || strncmp(name, "pg_", 3) == 0) {
        return false;
    }
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++) {
        if (strcmp(name, reserved[i]) == 0) {
            return false;
        }
    }
    return true;
}

/* An integer, or a text in quotes: the same in both engines. */
static bool default_ok(enum hm_column_type type, const char *value)
{
    size_t len = strlen(value);

    switch (type) {
    case HM_COLUMN_INT:
    case HM_COLUMN_U64:
    case HM_COLUMN_REAL:
        value += value[0] == '-' ? 1 : 0;
        return value[0] != 0 && strspn(value, "0123456789") == strlen(value);
    case HM_COLUMN_TEXT:
        return len >= 2 && value[0] == '\'' && strcspn(value + 1, "'\\") == len - 2;
    case HM_COLUMN_BLOB:
        return false; /* written differently */
    }
    return false;
}

bool hm_schema_column_ok(const struct hm_column *column)
{
    return hm_schema_name_ok(column->name) &&
           (column->default_value == NULL ||
            default_ok(column->type, column->default_value));
}

struct check {
    const struct hm_table *const *tables;
    size_t made; /* tables before this one */
    const struct hm_table *table;
    struct hm_buf *report;
    bool failed;
};

static void fault(struct check *check, const char *what, const char *detail)
{
    check->failed = true;
    hm_buf_printf(check->report, "%s: %s: %s\n", check->table->name, what, detail);
}

static bool has_column(const struct hm_table *table, struct hm_bytes name)
{
    for (size_t i = 0; i < count_columns(table); i++) {
        if (is_name(name, table->columns[i].name)) {
            return true;
        }
    }
    return false;
}

/* One text for one list: "a, b" and not "a,b". */
static bool is_tidy(const char *list)
{
    size_t len = 0;
    const char *left = list;
    struct hm_bytes name;

    while ((name = next_name(&left)).len > 0) {
        len += name.len + (len == 0 ? 0 : 2);
        if ((size_t)(left - list) != len) {
            return false;
        }
    }
    return len > 0 && list[len] == 0;
}

static void check_columns(struct check *check, const char *list)
{
    const char *left = list;
    struct hm_bytes name;

    if (!is_tidy(list)) {
        fault(check, "not a list of the form \"a, b\"", list);
    }
    while ((name = next_name(&left)).len > 0) {
        const char *rest = left;
        struct hm_bytes other;

        if (!has_column(check->table, name)) {
            fault(check, "a key of unknown columns", list);
        }
        while ((other = next_name(&rest)).len > 0) {
            if (hm_bytes_equal(name, other)) {
                fault(check, "a column twice in a key", list);
            }
        }
    }
    if (check->table->distributed && !is_name(first_name(list), "scope")) {
        fault(check, "scope does not lead", list);
    }
}

static void check_own_columns(struct check *check)
{
    size_t count = count_columns(check->table);

    if (count == 0) {
        fault(check, "no column", "");
    }
    for (size_t i = 0; i < count; i++) {
        const struct hm_column *column = &check->table->columns[i];

        if (!hm_schema_column_ok(column)) {
            fault(check, "not a good name or default", column->name);
        }
        for (size_t j = 0; j < i; j++) {
            if (strcmp(column->name, check->table->columns[j].name) == 0) {
                fault(check, "a column twice", column->name);
            }
        }
    }
}

static const struct hm_table *find_made(const struct check *check, const char *name)
{
    if (strcmp(check->table->name, name) == 0) {
        return check->table;
    }
    for (size_t i = 0; i < check->made; i++) {
        if (strcmp(check->tables[i]->name, name) == 0) {
            return check->tables[i];
        }
    }
    return NULL;
}

static bool is_unique(const struct hm_table *table, const char *columns)
{
    if (table->primary_key != NULL && strcmp(table->primary_key, columns) == 0) {
        return true;
    }
    for (size_t i = 0; i < HM_SCHEMA_KEYS_MAX && table->unique_keys[i] != NULL; i++) {
        if (strcmp(table->unique_keys[i], columns) == 0) {
            return true;
        }
    }
    return false;
}

static void check_foreign_key(struct check *check, const struct hm_foreign_key *key)
{
    const struct hm_table *target;

    if (key->table == NULL || key->references == NULL) {
        fault(check, "a foreign key that leads nowhere", key->columns);
        return;
    }
    check_columns(check, key->columns);
    target = find_made(check, key->table);
    if (target == NULL) {
        fault(check, "a foreign key to a table not made before", key->table);
        return;
    }
    if (!is_unique(target, key->references)) {
        fault(check, "a foreign key to what is no key there", key->references);
    }
    if (count_names(key->columns) != count_names(key->references)) {
        fault(check, "a foreign key of another length than its target", key->columns);
    }
    if (check->table->distributed != target->distributed) {
        fault(check, "a foreign key between distributed and not", key->table);
    }
}

static void check_keys(struct check *check)
{
    const struct hm_table *table = check->table;

    if (table->primary_key == NULL) {
        fault(check, "no primary key", "");
    } else {
        check_columns(check, table->primary_key);
    }
    for (size_t i = 0; i < HM_SCHEMA_KEYS_MAX && table->unique_keys[i] != NULL; i++) {
        check_columns(check, table->unique_keys[i]);
    }
    for (size_t i = 0; i < HM_SCHEMA_KEYS_MAX && table->indexes[i] != NULL; i++) {
        struct hm_buf name;

        check_columns(check, table->indexes[i]);
        hm_buf_init(&name, HM_SCHEMA_NAME_BYTES_MAX);
        render_index_name(table->name, table->indexes[i], &name);
        if (name.err != HM_OK) {
            fault(check, "an index with too long a name", table->indexes[i]);
        }
        hm_buf_deinit(&name);
    }
    for (size_t i = 0; i < HM_SCHEMA_KEYS_MAX && table->foreign_keys[i].columns != NULL;
         i++) {
        check_foreign_key(check, &table->foreign_keys[i]);
    }
}

int hm_schema_check(const struct hm_table *const *tables, size_t count,
                    struct hm_buf *report)
{
    struct check check = {.tables = tables, .report = report};

    for (size_t i = 0; i < count; i++) {
        check.made = i;
        check.table = tables[i];
        if (!hm_schema_name_ok(tables[i]->name)) {
            fault(&check, "not a good name", tables[i]->name);
        }
        for (size_t j = 0; j < i; j++) {
            if (strcmp(tables[j]->name, tables[i]->name) == 0) {
                fault(&check, "a table twice", tables[i]->name);
            }
        }
        check_own_columns(&check);
        check_keys(&check);
    }
    return check.failed ? HM_INVALID : HM_OK;
}
