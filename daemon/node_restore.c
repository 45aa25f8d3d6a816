/* What lies in the folder, and in which order it changes:
 *
 *   1. DIR/restoring/ is made and holds all that comes out of the backup;
 *   2. its store is checked, marked as restored, closed; everything is on the disk;
 *   3. keys, store and token get their names in DIR; then hamletd.conf, which makes DIR
 *      a node; then DIR/restoring/ goes.
 *
 * A cut in 1 and 2 leaves DIR/restoring/ alone, one in 3 no hamletd.conf: neither is a
 * node, and both are taken away by the next restore. */
#define _GNU_SOURCE /* flock */

#include "daemon/node_restore.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/node_files.h"
#include "daemon/restore_archive.h"
#include "daemon/serve/sealed.h"
#include "daemon/store_open.h"
#include "storage/files.h"
#include "storage/households.h"
#include "storage/repair.h"
#include "storage/restored.h"

#define PART "restoring"

struct restoring {
    const char *dir;
    struct hm_buf *errmsg;
    struct hm_node_restore *out;
    struct hm_bytes passphrase;
    int file;
    uint64_t file_bytes;
    struct stat owner; /* of dir */
    bool made_dir;
    bool began; /* what is in dir/restoring is ours */
    int lock_fd;
    int fd; /* of the entry that is written */
    char part[PATH_MAX];
    char path[PATH_MAX]; /* of the entry that is written */
    struct hm_config config;
    struct hm_node_keys keys;
};

/* In the order in which they get their names. */
static const char *const finals[] = {"keys", "store.db", "api-token", HM_CONFIG_FILE};

enum { FINALS = sizeof finals / sizeof finals[0] };

static int fail_errno(struct restoring *r, const char *path)
{
    int number = errno;

    hm_buf_printf(r->errmsg, "%s: %s", path, strerror(number));
    return number == EACCES || number == EPERM || number == EROFS ? HM_DENIED
           : number == ENOSPC || number == EDQUOT                 ? HM_NOSPACE
           : number == ENOENT || number == ENOTDIR                ? HM_NOTFOUND
                                                                  : HM_IO;
}

static int join(struct restoring *r, char out[PATH_MAX], const char *folder,
                const char *name)
{
    if ((size_t)snprintf(out, PATH_MAX, "%s/%s", folder, name) < PATH_MAX) {
        return HM_OK;
    }
    hm_buf_printf(r->errmsg, "%s: the path is too long", folder);
    return HM_INVALID;
}

static int sync_folder(struct restoring *r, const char *folder)
{
    if (hm_files_disk()->sync_folder(NULL, folder) == HM_OK) {
        return HM_OK;
    }
    hm_buf_printf(r->errmsg, "%s: the folder can't be synced", folder);
    return HM_IO;
}

/* The backup. */

static int open_backup(struct restoring *r, const char *file)
{
    struct stat about;
    bool sealed = false;

    r->file = open(file, O_RDONLY | O_CLOEXEC);
    if (r->file < 0 || fstat(r->file, &about) != 0) {
        return fail_errno(r, file);
    }
    if (!S_ISREG(about.st_mode)) {
        hm_buf_printf(r->errmsg, "%s: not a file", file);
        return HM_MALFORMED;
    }
    r->file_bytes = (uint64_t)about.st_size;
    if (hm_sealed_is(r->file, &sealed) != HM_OK) {
        return fail_errno(r, file);
    }
    if (sealed && r->passphrase.len == 0) {
        hm_buf_append_str(r->errmsg, "the backup is sealed: give its passphrase with "
                                     "--passphrase-file");
        return HM_INVALID;
    }
    if (!sealed && r->passphrase.len > 0) {
        hm_buf_append_str(r->errmsg, "the backup is not sealed: it may be another file "
                                     "than you think; leave --passphrase-file out");
        return HM_INVALID;
    }
    return HM_OK;
}

static int check_backup(struct restoring *r)
{
    static const struct hm_restore_sink nothing;

    return hm_restore_archive_read(r->file, r->file_bytes, r->passphrase, &nothing,
                                   r->errmsg);
}

/* The folder. */

static bool is_final(const char *name)
{
    for (size_t i = 0; i < FINALS; i++) {
        if (strcmp(name, finals[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* *out_part: an earlier restore broke off here. */
static int look_into(struct restoring *r, bool *out_part)
{
    const struct dirent *entry;
    bool node = false;
    bool finals_only = true;
    bool empty = true;
    DIR *dir = opendir(r->dir);

    *out_part = false;
    if (dir == NULL) {
        return fail_errno(r, r->dir);
    }
    while ((entry = readdir(dir)) != NULL) {
        const char *name = entry->d_name;

        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
            continue;
        }
        empty = false;
        *out_part = *out_part || strcmp(name, PART) == 0;
        node = node || strcmp(name, HM_CONFIG_FILE) == 0;
        finals_only = finals_only && (strcmp(name, PART) == 0 || is_final(name));
    }
    (void)closedir(dir); /* was only read */
    if (node || (!empty && (!*out_part || !finals_only))) {
        hm_buf_printf(r->errmsg, node ? "there is a node in %s" : "%s is not empty",
                      r->dir);
        return HM_EXISTS;
    }
    return HM_OK;
}

/* A folder of files, and itself. */
static int remove_folder(struct restoring *r, const char *path)
{
    const struct dirent *entry;
    DIR *dir = opendir(path);
    int err = HM_OK;

    if (dir == NULL) {
        return errno == ENOENT ? HM_OK : fail_errno(r, path);
    }
    while (err == HM_OK && (entry = readdir(dir)) != NULL) {
        char name[PATH_MAX];
        struct stat about;

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        err = join(r, name, path, entry->d_name);
        if (err == HM_OK && lstat(name, &about) == 0 && S_ISDIR(about.st_mode)) {
            err = remove_folder(r, name); /* restoring/keys: no deeper */
        } else if (err == HM_OK && unlink(name) != 0 && errno != ENOENT) {
            err = fail_errno(r, name);
        }
    }
    (void)closedir(dir); /* was only read */
    if (err == HM_OK && rmdir(path) != 0 && errno != ENOENT) {
        err = fail_errno(r, path);
    }
    return err;
}

static int take_away(struct restoring *r)
{
    int err = HM_OK;

    for (size_t i = 0; i < FINALS && err == HM_OK; i++) {
        char path[PATH_MAX];
        struct stat about;

        err = join(r, path, r->dir, finals[i]);
        if (err == HM_OK && lstat(path, &about) == 0) {
            if (S_ISDIR(about.st_mode)) {
                err = remove_folder(r, path);
            } else if (unlink(path) != 0) {
                err = fail_errno(r, path);
            }
        }
    }
    return err == HM_OK ? remove_folder(r, r->part) : err;
}

static int take_lock(struct restoring *r)
{
    char path[PATH_MAX];
    int err = join(r, path, r->part, "lock");

    if (err != HM_OK) {
        return err;
    }
    r->lock_fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (r->lock_fd < 0) {
        return fail_errno(r, path);
    }
    if (flock(r->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        hm_buf_printf(r->errmsg, "%s: another restore is at work", r->dir);
        return HM_BUSY;
    }
    return HM_OK;
}

static void drop_lock(struct restoring *r)
{
    if (r->lock_fd >= 0) {
        (void)close(r->lock_fd);
        r->lock_fd = -1;
    }
}

static int make_part(struct restoring *r)
{
    char keys[PATH_MAX];
    int err = join(r, keys, r->part, "keys");

    if (err == HM_OK && (mkdir(r->part, 0700) != 0 || mkdir(keys, 0700) != 0)) {
        err = fail_errno(r, r->part);
    }
    return err == HM_OK ? take_lock(r) : err;
}

static int begin(struct restoring *r)
{
    bool part = false;
    int err = join(r, r->part, r->dir, PART);

    if (err == HM_OK && mkdir(r->dir, 0700) == 0) {
        r->made_dir = true;
    } else if (err == HM_OK && errno != EEXIST) {
        err = fail_errno(r, r->dir);
    }
    if (err == HM_OK && stat(r->dir, &r->owner) != 0) {
        err = fail_errno(r, r->dir);
    }
    if (err == HM_OK) {
        err = look_into(r, &part);
    }
    if (err == HM_OK && part) {
        err = take_lock(r); /* is the other one still at work? */
        if (err == HM_OK) {
            err = take_away(r);
        }
        drop_lock(r);
    }
    if (err == HM_OK) {
        r->began = true;
        err = make_part(r);
    }
    return err;
}

/* What comes out of the backup. */

static int give_to_owner(struct restoring *r, int fd, const char *path)
{
    if (geteuid() == 0 && fchown(fd, r->owner.st_uid, r->owner.st_gid) != 0) {
        return fail_errno(r, path);
    }
    return HM_OK;
}

static int begin_entry(void *arg, const struct hm_restore_entry *entry)
{
    struct restoring *r = arg;
    int err = join(r, r->path, r->part, entry->name);

    if (err != HM_OK) {
        return err;
    }
    r->fd = open(r->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (r->fd < 0) {
        return fail_errno(r, r->path);
    }
    if (strcmp(entry->name, "store.db") == 0) {
        r->out->bytes = entry->bytes;
        r->out->made_utc_ms = entry->made_utc_ms;
    }
    return give_to_owner(r, r->fd, r->path);
}

static int write_piece(void *arg, struct hm_bytes piece)
{
    struct restoring *r = arg;

    while (piece.len > 0) {
        ssize_t written = write(r->fd, piece.data, piece.len);

        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            return fail_errno(r, r->path);
        }
        piece = hm_bytes_of(piece.data + written, piece.len - (size_t)written);
    }
    return HM_OK;
}

static int end_entry(void *arg)
{
    struct restoring *r = arg;
    int err = fsync(r->fd) == 0 ? HM_OK : fail_errno(r, r->path);

    if (close(r->fd) != 0 && err == HM_OK) {
        err = fail_errno(r, r->path);
    }
    r->fd = -1;
    return err;
}

static int extract(struct restoring *r)
{
    struct hm_restore_sink sink = {
        .begin = begin_entry, .content = write_piece, .end = end_entry, .arg = r};

    return hm_restore_archive_read(r->file, r->file_bytes, r->passphrase, &sink,
                                   r->errmsg);
}

/* Is it a node? */

/* A store that lay outside of the folder lies in it from now on: where it was there may
 * be another one, or the machine is another. */
static int settle_config(struct restoring *r)
{
    char path[PATH_MAX];
    struct hm_buf text;
    int err = join(r, path, r->part, HM_CONFIG_FILE);

    if (err == HM_OK) {
        err = hm_config_read(path, &r->config, r->errmsg);
    }
    if (err != HM_OK || strcmp(r->config.store, "store.db") == 0) {
        return err;
    }
    r->out->store_was_apart = true;
    (void)strcpy(r->config.store, "store.db");
    hm_buf_init(&text, HM_CONFIG_BYTES_MAX);
    err = hm_config_write_default(&r->config, &text, r->errmsg);
    if (err == HM_OK) {
        err = hm_node_files_write(r->part, HM_CONFIG_FILE, hm_buf_bytes(&text),
                                  r->errmsg);
    }
    hm_buf_deinit(&text);
    return err;
}

static int check_store(struct restoring *r, const char *path)
{
    struct hm_store *s = NULL;
    struct hm_buf report;
    int err = hm_store_open_node(path, &r->keys, true, &s);

    hm_buf_init(&report, 64 * 1024);
    if (err == HM_OK) {
        err = hm_repair_check(s, hm_files_disk(), r->part, &report);
    }
    if (err != HM_OK) {
        const char *text = report.len > 0 ? hm_buf_str(&report) : hm_err_text(err);

        hm_buf_printf(r->errmsg, "the store in the backup: %.*s",
                      (int)strcspn(text == NULL ? "" : text, "\n"),
                      text == NULL ? "" : text);
    }
    hm_buf_deinit(&report);
    hm_store_close(s);
    return err;
}

static int mark(struct restoring *r, struct hm_store *s)
{
    struct hm_households_count count = {0};
    int err = hm_store_role(s, &r->out->role);

    if (err == HM_OK) {
        err = hm_households_count(s, &count);
    }
    r->out->households = count.households;
    return err == HM_OK ? hm_restored_mark(s) : err;
}

static int mark_store(struct restoring *r, const char *path)
{
    struct hm_store *s = NULL;
    int err = hm_store_open_node(path, &r->keys, false, &s);

    if (err == HM_OK) {
        err = hm_store_begin(s);
    }
    if (err == HM_OK) {
        err = hm_store_end(s, mark(r, s));
    }
    if (err != HM_OK && r->errmsg->len == 0) {
        hm_buf_printf(r->errmsg, "the store in the backup: %s",
                      s == NULL || hm_store_errmsg(s)[0] == 0 ? hm_err_text(err)
                                                              : hm_store_errmsg(s));
    }
    hm_store_close(s); /* the last connection: all is in the one file then */
    return err;
}

static int check_node(struct restoring *r)
{
    char store[PATH_MAX];
    int err = join(r, store, r->part, "store.db");

    if (err == HM_OK) {
        err = settle_config(r);
    }
    if (err == HM_OK) {
        err = hm_node_files_load(r->part, &r->keys, r->errmsg);
    }
    if (err == HM_OK) {
        err = check_store(r, store);
    }
    if (err == HM_OK) {
        err = mark_store(r, store);
    }
    if (err == HM_OK) {
        (void)snprintf(r->out->name, sizeof r->out->name, "%s", r->config.name);
        r->out->device = r->keys.device;
    }
    return err;
}

/* It is one. */

static int own_folder(struct restoring *r, const char *path)
{
    if (chmod(path, 0700) != 0 ||
        (geteuid() == 0 && chown(path, r->owner.st_uid, r->owner.st_gid) != 0)) {
        return fail_errno(r, path);
    }
    return HM_OK;
}

static int give_names(struct restoring *r)
{
    char from[PATH_MAX];
    char to[PATH_MAX];
    int err = join(r, from, r->part, "keys");

    if (err == HM_OK) {
        err = own_folder(r, from);
    }
    if (err == HM_OK) {
        err = sync_folder(r, from);
    }
    if (err == HM_OK) {
        err = sync_folder(r, r->part);
    }
    for (size_t i = 0; i < FINALS && err == HM_OK; i++) {
        err = join(r, from, r->part, finals[i]);
        if (err == HM_OK) {
            err = join(r, to, r->dir, finals[i]);
        }
        if (err == HM_OK && i + 1 == FINALS) {
            err = sync_folder(r, r->dir); /* the others, before what makes it a node */
        }
        if (err == HM_OK && rename(from, to) != 0) {
            err = fail_errno(r, to);
        }
    }
    if (err == HM_OK) {
        err = own_folder(r, r->dir);
    }
    return err == HM_OK ? sync_folder(r, r->dir) : err;
}

/* A new folder's name is in its parent. */
static int sync_parent(struct restoring *r)
{
    char parent[PATH_MAX];
    int err = join(r, parent, r->dir, "..");

    return err == HM_OK ? sync_folder(r, parent) : err;
}

static int restore(struct restoring *r, const char *file)
{
    int err = open_backup(r, file);

    if (err == HM_OK) {
        err = check_backup(r);
    }
    if (err == HM_OK) {
        err = begin(r);
    }
    if (err == HM_OK) {
        err = extract(r);
    }
    if (err == HM_OK) {
        err = check_node(r);
    }
    if (err == HM_OK) {
        err = give_names(r);
    }
    return err == HM_OK ? sync_parent(r) : err;
}

static void clean_up(struct restoring *r, int err)
{
    size_t said = r->errmsg->len;

    if (r->fd >= 0) {
        (void)close(r->fd); /* it is thrown away */
    }
    if (r->began && err == HM_OK) {
        (void)remove_folder(r, r->part); /* empty but for the lock; harms nobody */
    } else if (r->began) {
        (void)take_away(r); /* if not, the next restore does it */
    }
    r->errmsg->len = said;
    drop_lock(r);
    if (err != HM_OK && r->made_dir) {
        (void)rmdir(r->dir);
    }
    if (r->file >= 0) {
        (void)close(r->file); /* was only read */
    }
    hm_node_keys_deinit(&r->keys);
}

int hm_node_restore(const char *file, const char *dir, struct hm_bytes passphrase,
                    struct hm_node_restore *out, struct hm_buf *errmsg)
{
    struct hm_node_restore result = {.device = 0};
    struct restoring *r = calloc(1, sizeof *r);
    int err;

    if (r == NULL) {
        return HM_NOMEM;
    }
    *r = (struct restoring){.dir = dir,
                            .errmsg = errmsg,
                            .out = &result,
                            .passphrase = passphrase,
                            .file = -1,
                            .lock_fd = -1,
                            .fd = -1};
    err = restore(r, file);
    if (err != HM_OK && errmsg->len == 0) {
        hm_buf_append_str(errmsg, hm_err_text(err));
    }
    clean_up(r, err);
    free(r);
    if (err == HM_OK) {
        *out = result;
    }
    return err;
}
