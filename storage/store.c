#include "storage/store.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <sodium.h>

#include "storage/tables.h"

enum { ERRMSG_MAX = 512, BUSY_TIMEOUT_MS = 30 * 1000, VERSION_MAX = 33 };

struct hm_store {
    struct hm_db *db;
    struct hm_env env;
    uint64_t device;
    uint8_t public_key[HM_PUBLIC_KEY_BYTES];
    uint8_t secret_key[HM_SECRET_KEY_BYTES];
    uint8_t boot_id[HM_BOOT_ID_BYTES];
    char version[VERSION_MAX];
    unsigned depth;   /* open begins */
    int doom;         /* of the open transaction; HM_OK: none */
    uint64_t opening; /* 0 until it is asked for */
    uint64_t opening_number;
    struct hm_own_log own;
    struct hm_own_log own_before; /* as it was when the outermost transaction began */
    struct hm_forms *forms;       /* borrowed; NULL: none */
    char errmsg[ERRMSG_MAX];
};

static int prepare(struct hm_store *s, const struct hm_store_options *options)
{
    struct hm_db_options db = {.path = options->path,
                               .read_only = options->read_only,
                               .vfs = options->vfs,
                               .busy_timeout_ms = BUSY_TIMEOUT_MS};
    int err = hm_db_open(&db, &s->db);

    if (err == HM_OK && !options->read_only) {
        err = hm_migrate_run(s->db, hm_tables_migrations, hm_tables_migration_count,
                             s->env.utc_ms(s->env.arg));
    }
    return err;
}

int hm_store_open(const struct hm_store_options *options, struct hm_store **out_store)
{
    struct hm_store *s = calloc(1, sizeof *s);
    int err;

    if (s == NULL) {
        return HM_NOMEM;
    }
    s->env = options->env;
    s->device = options->device;
    memcpy(s->public_key, options->public_key, sizeof s->public_key);
    if (options->secret_key != NULL) {
        memcpy(s->secret_key, options->secret_key, sizeof s->secret_key);
    }
    memcpy(s->boot_id, options->boot_id, sizeof s->boot_id);
    (void)snprintf(s->version, sizeof s->version, "%s", options->version);
    err = prepare(s, options);
    if (err != HM_OK) {
        hm_store_close(s);
        return err;
    }
    *out_store = s;
    return HM_OK;
}

void hm_store_close(struct hm_store *s)
{
    if (s == NULL) {
        return;
    }
    hm_db_close(s->db);
    sodium_memzero(s->secret_key, sizeof s->secret_key);
    free(s);
}

const char *hm_store_errmsg(const struct hm_store *s)
{
    return s->errmsg[0] != 0 ? s->errmsg : hm_db_errmsg(s->db);
}

int hm_store_fail(struct hm_store *s, int err, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(s->errmsg, sizeof s->errmsg, format, args); /* cut when too long */
    va_end(args);
    return err;
}

struct hm_db *hm_store_db(struct hm_store *s)
{
    return s->db;
}

int64_t hm_store_utc_ms(struct hm_store *s)
{
    return s->env.utc_ms(s->env.arg);
}

uint64_t hm_store_random(struct hm_store *s)
{
    uint8_t bytes[8] = {0};
    struct hm_reader r = {.left = hm_bytes_of(bytes, sizeof bytes)};

    s->env.random(s->env.arg, bytes, sizeof bytes);
    return hm_reader_uint(&r, sizeof bytes);
}

void hm_store_random_bytes(struct hm_store *s, uint8_t *out, size_t len)
{
    s->env.random(s->env.arg, out, len);
}

uint64_t hm_store_device(const struct hm_store *s)
{
    return s->device;
}

const uint8_t *hm_store_public_key(const struct hm_store *s)
{
    return s->public_key;
}

const uint8_t *hm_store_secret_key(const struct hm_store *s)
{
    return s->secret_key;
}

const uint8_t *hm_store_boot_id(const struct hm_store *s)
{
    return s->boot_id;
}

const char *hm_store_version(const struct hm_store *s)
{
    return s->version;
}

struct hm_own_log *hm_store_own_log(struct hm_store *s)
{
    return &s->own;
}

uint64_t hm_store_opening(struct hm_store *s, uint64_t *out_number)
{
    while (s->opening == 0) {
        s->opening = hm_store_random(s);
    }
    *out_number = ++s->opening_number;
    return s->opening;
}

static int begin(struct hm_store *s, int (*open)(struct hm_db *db))
{
    int err = HM_OK;

    if (s->depth == 0) {
        s->errmsg[0] = 0;
        s->doom = HM_OK;
        s->own_before = s->own;
        err = open(s->db);
    }
    if (err == HM_OK) {
        s->depth++;
    }
    return err;
}

int hm_store_begin(struct hm_store *s)
{
    return begin(s, hm_db_begin);
}

int hm_store_begin_read(struct hm_store *s)
{
    return begin(s, hm_db_begin_read);
}

int hm_store_end(struct hm_store *s, int err)
{
    HM_ASSERT(s->depth > 0);
    s->depth--;
    if (s->depth > 0) {
        return err; /* the outermost one acts on it */
    }
    err = err == HM_OK ? s->doom : err;
    if (err == HM_OK) {
        err = hm_db_commit(s->db);
    } else {
        hm_db_rollback(s->db);
    }
    if (err != HM_OK) {
        s->own = s->own_before; /* what it said may not be on disk */
    }
    return err;
}

void hm_store_doom(struct hm_store *s, int err)
{
    if (s->doom == HM_OK) {
        s->doom = err;
    }
}

int hm_store_get_number(struct hm_store *s, const char *name, int64_t *out_number)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err = hm_db_stmt(s->db, "SELECT number FROM meta WHERE name = $1", &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_str(stmt, 1, name);
    err = hm_stmt_step(stmt, &row);
    if (err == HM_OK && (!row || hm_stmt_is_null(stmt, 0))) {
        err = HM_NOTFOUND;
    }
    if (err == HM_OK) {
        *out_number = hm_stmt_int(stmt, 0);
    }
    hm_stmt_reset(stmt);
    return err;
}

int hm_store_set_number(struct hm_store *s, const char *name, int64_t number)
{
    struct hm_stmt *stmt;
    int err = hm_db_stmt(s->db,
                         "INSERT INTO meta (name, number) VALUES ($1, $2) "
                         "ON CONFLICT (name) DO UPDATE SET number = excluded.number",
                         &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_str(stmt, 1, name);
    hm_stmt_bind_int(stmt, 2, number);
    return hm_stmt_run(stmt);
}

int hm_store_get_bytes(struct hm_store *s, const char *name, struct hm_arena *arena,
                       struct hm_bytes *out_bytes)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err = hm_db_stmt(s->db, "SELECT bytes FROM meta WHERE name = $1", &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_str(stmt, 1, name);
    err = hm_stmt_step(stmt, &row);
    if (err == HM_OK && (!row || hm_stmt_is_null(stmt, 0))) {
        err = HM_NOTFOUND;
    }
    if (err == HM_OK) {
        err = hm_arena_copy(arena, hm_stmt_bytes(stmt, 0), out_bytes);
    }
    hm_stmt_reset(stmt);
    return err;
}

int hm_store_set_bytes(struct hm_store *s, const char *name, struct hm_bytes bytes)
{
    struct hm_stmt *stmt;
    int err = hm_db_stmt(s->db,
                         "INSERT INTO meta (name, bytes) VALUES ($1, $2) "
                         "ON CONFLICT (name) DO UPDATE SET bytes = excluded.bytes",
                         &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_str(stmt, 1, name);
    hm_stmt_bind_bytes(stmt, 2, bytes);
    return hm_stmt_run(stmt);
}

int hm_store_role(struct hm_store *s, enum hm_node_role *out_role)
{
    int64_t number = HM_NODE_NEW;
    int err = hm_store_get_number(s, HM_META_ROLE, &number);

    if (err == HM_NOTFOUND) {
        err = HM_OK;
    }
    if (err == HM_OK && (number < HM_NODE_NEW || number > HM_NODE_CENTRE)) {
        err = hm_store_fail(s, HM_CORRUPT, "the store says an unknown role");
    }
    if (err == HM_OK) {
        *out_role = (enum hm_node_role)number;
    }
    return err;
}

void hm_store_set_forms(struct hm_store *s, struct hm_forms *forms)
{
    s->forms = forms;
}

struct hm_forms *hm_store_forms(const struct hm_store *s)
{
    return s->forms;
}
