/* What lies in the folder, and in which order it changes:
 *
 *   1. store.db.new is built beside what is there; a cut leaves the node as it was;
 *   2. store.db and its WAL get a second name, store.db.damaged-STAMP;
 *   3. the WAL's first name goes, then store.db.new takes the name store.db.
 *
 * A WAL without its store, or beside another one, would be read as that one's: hence
 * second names before first ones go, and a sync of the folder between. */
#define _GNU_SOURCE /* flock */

#include "daemon/node_repair.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/config.h"
#include "daemon/node_files.h"
#include "daemon/store_open.h"

#define DAMAGED ".damaged-"

enum { PATH_BYTES = HM_FILES_PATH_MAX };

struct mending {
    const char *dir;
    struct hm_node_repair *out;
    struct hm_buf *errmsg;
    struct hm_config config;
    struct hm_node_keys keys;
    int lock_fd;
    char store[PATH_BYTES];
    char fresh[PATH_BYTES];
    char scratch[PATH_BYTES];
    char old[PATH_BYTES]; /* what is read; "": there is none */
};

static const char *const parts[] = {"", "-wal", "-shm"};

enum { PARTS = sizeof parts / sizeof parts[0] };

static int fail_errno(struct mending *m, const char *path)
{
    int number = errno;

    hm_buf_printf(m->errmsg, "%s: %s", path, strerror(number));
    return number == EACCES || number == EPERM || number == EROFS ? HM_DENIED
           : number == ENOSPC                                     ? HM_NOSPACE
           : number == ENOENT                                     ? HM_NOTFOUND
                                                                  : HM_IO;
}

static int too_long(struct mending *m)
{
    hm_buf_printf(m->errmsg, "%s: the path is too long", m->dir);
    return HM_INVALID;
}

static int part_of(struct mending *m, char out[PATH_BYTES], const char *path,
                   unsigned part)
{
    return (size_t)snprintf(out, PATH_BYTES, "%s%s", path, parts[part]) < PATH_BYTES
               ? HM_OK
               : too_long(m);
}

/* What there is. */

static int take_lock(struct mending *m)
{
    char path[PATH_BYTES];

    if (hm_files_join(path, m->dir, "lock") != HM_OK) {
        return too_long(m);
    }
    m->lock_fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (m->lock_fd < 0) {
        return fail_errno(m, path);
    }
    if (flock(m->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        hm_buf_printf(m->errmsg, "%s: the node is running: end hamletd first", m->dir);
        return HM_BUSY;
    }
    return HM_OK;
}

static int load_node(struct mending *m)
{
    char path[PATH_BYTES];
    struct stat about;
    int err;

    if (stat(m->dir, &about) != 0 || !S_ISDIR(about.st_mode)) {
        hm_buf_printf(m->errmsg,
                      "%s: there is no such folder; hamlet init makes a node", m->dir);
        return HM_NOTFOUND;
    }
    if (hm_files_join(path, m->dir, HM_CONFIG_FILE) != HM_OK) {
        return too_long(m);
    }
    err = hm_config_read(path, &m->config, m->errmsg);
    if (err == HM_OK) {
        err = hm_node_files_load(m->dir, &m->keys, m->errmsg);
    }
    if (err != HM_OK) {
        return err;
    }
    err = m->config.store[0] == '/' ? ((size_t)snprintf(m->store, PATH_BYTES, "%s",
                                                        m->config.store) < PATH_BYTES
                                           ? HM_OK
                                           : HM_TOOBIG)
                                    : hm_files_join(m->store, m->dir, m->config.store);
    if (err != HM_OK ||
        (size_t)snprintf(m->fresh, PATH_BYTES, "%s.new", m->store) >= PATH_BYTES ||
        (size_t)snprintf(m->scratch, PATH_BYTES, "%s.scratch", m->store) >=
            PATH_BYTES) {
        return too_long(m);
    }
    return HM_OK;
}

static int remove_store(struct mending *m, const char *path)
{
    for (unsigned i = 0; i < PARTS; i++) {
        char name[PATH_BYTES];
        int err = part_of(m, name, path, i);

        if (err != HM_OK) {
            return err;
        }
        if (unlink(name) != 0 && errno != ENOENT) {
            return fail_errno(m, name);
        }
    }
    return HM_OK;
}

/* The folder of the store, to be synced; NULL dir part: the present one. */
static int sync_folder(struct mending *m)
{
    char folder[PATH_BYTES];
    char *slash;

    (void)snprintf(folder, sizeof folder, "%s", m->store);
    slash = strrchr(folder, '/');
    if (slash == NULL) {
        (void)snprintf(folder, sizeof folder, ".");
    } else {
        slash[slash == folder ? 1 : 0] = 0;
    }
    if (hm_files_disk()->sync_folder(NULL, folder) != HM_OK) {
        hm_buf_printf(m->errmsg, "%s: the folder can't be synced", folder);
        return HM_IO;
    }
    return HM_OK;
}

/* The newest store that was put aside: names order by their time. */
static int find_aside(struct mending *m, char out[PATH_BYTES])
{
    const char *slash = strrchr(m->store, '/');
    const char *base = slash == NULL ? m->store : slash + 1;
    char folder[PATH_BYTES];
    const struct dirent *entry;
    DIR *dir;

    out[0] = 0;
    (void)snprintf(folder, sizeof folder, "%.*s",
                   slash == NULL ? 1 : (int)(slash - m->store) + 1,
                   slash == NULL ? "." : m->store);
    dir = opendir(folder);
    if (dir == NULL) {
        return fail_errno(m, folder);
    }
    while ((entry = readdir(dir)) != NULL) {
        const char *name = entry->d_name;
        size_t len = strlen(base);
        char path[PATH_BYTES];

        if (strncmp(name, base, len) == 0 &&
            strncmp(name + len, DAMAGED, strlen(DAMAGED)) == 0 &&
            strchr(name + len + strlen(DAMAGED), '-') == NULL &&
            (size_t)snprintf(path, sizeof path, "%s/%s", folder, name) < sizeof path &&
            strcmp(path, out) > 0) {
            (void)strcpy(out, path);
        }
    }
    (void)closedir(dir); /* was only read */
    return HM_OK;
}

/* What to read: the store, or where an earlier repair has put it. */
static int find_old(struct mending *m, bool *out_there)
{
    char aside[PATH_BYTES];
    struct stat there;
    struct stat put;
    int err = find_aside(m, aside);

    if (err != HM_OK) {
        return err;
    }
    *out_there = stat(m->store, &there) == 0;
    if (!*out_there && errno != ENOENT) {
        return fail_errno(m, m->store);
    }
    (void)snprintf(m->old, sizeof m->old, "%s", *out_there ? m->store : aside);
    if (*out_there && aside[0] != 0 && stat(aside, &put) == 0 &&
        put.st_ino == there.st_ino && put.st_dev == there.st_dev) {
        /* The same by its second name, which is the one that has its WAL. */
        (void)strcpy(m->old, aside);
        (void)strcpy(m->out->aside, aside);
    }
    return HM_OK;
}

static int check_old(struct mending *m)
{
    struct hm_store *s = NULL;
    struct hm_buf report;
    const char *text;
    int err = hm_store_open_node(m->old, &m->keys, true, &s);

    hm_buf_init(&report, 64 * 1024);
    if (err == HM_OK) {
        err = hm_repair_check(s, hm_files_disk(), m->dir, &report);
    }
    text = report.len > 0 ? hm_buf_str(&report) : hm_err_text(err);
    if (err != HM_OK) {
        (void)snprintf(m->out->damage, sizeof m->out->damage, "%.*s",
                       (int)strcspn(text == NULL ? "" : text, "\n"),
                       text == NULL ? "" : text);
    }
    hm_store_close(s);
    hm_buf_deinit(&report);
    m->out->sound = err == HM_OK;
    return err == HM_NOMEM ? err : HM_OK;
}

/* The new store, and the change of names. */

static int build(struct mending *m)
{
    struct hm_repair_options options = {.old_path = m->old[0] == 0 ? NULL : m->old,
                                        .scratch_path = m->scratch,
                                        .files = hm_files_disk(),
                                        .dir = m->dir};
    int err = remove_store(m, m->fresh);

    if (err == HM_OK) {
        err = remove_store(m, m->scratch);
    }
    if (err != HM_OK) {
        return err;
    }
    hm_store_open_options(m->fresh, &m->keys, false, &options.store);
    err = hm_repair_run(&options, &m->out->report, m->errmsg);
    if (remove_store(m, m->scratch) != HM_OK && err == HM_OK) {
        err = HM_IO;
    }
    return err;
}

static int is_taken(struct mending *m, const char *path, bool *out_taken)
{
    *out_taken = false;
    for (unsigned i = 0; i < PARTS && !*out_taken; i++) {
        char name[PATH_BYTES];
        int err = part_of(m, name, path, i);

        if (err != HM_OK) {
            return err;
        }
        *out_taken = access(name, F_OK) == 0;
    }
    return HM_OK;
}

/* A name by the time; two repairs of one second get a number behind it. */
static int choose_aside(struct mending *m)
{
    time_t now = time(NULL);
    bool taken = true;
    struct tm utc;
    char stamp[32];
    int err = HM_OK;

    if (gmtime_r(&now, &utc) == NULL ||
        strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &utc) == 0) {
        return too_long(m);
    }
    for (unsigned number = 1; err == HM_OK && taken && number < 100; number++) {
        char behind[8] = "";

        if (number > 1) {
            (void)snprintf(behind, sizeof behind, ".%02u", number);
        }
        if ((size_t)snprintf(m->out->aside, sizeof m->out->aside, "%s" DAMAGED "%s%s",
                             m->store, stamp, behind) >= sizeof m->out->aside) {
            return too_long(m);
        }
        err = is_taken(m, m->out->aside, &taken);
    }
    return err;
}

static int name_aside(struct mending *m)
{
    int chosen;

    if (m->out->aside[0] != 0) {
        return HM_OK; /* an earlier repair was cut behind this */
    }
    chosen = choose_aside(m);
    if (chosen != HM_OK) {
        return chosen;
    }
    for (unsigned i = PARTS; i-- > 0;) { /* the store itself last: it counts */
        char from[PATH_BYTES];
        char to[PATH_BYTES];
        int err = part_of(m, from, m->store, i);

        if (err == HM_OK) {
            err = part_of(m, to, m->out->aside, i);
        }
        if (err != HM_OK) {
            return err;
        }
        if (link(from, to) != 0 && (errno != ENOENT || i == 0)) {
            return fail_errno(m, to);
        }
    }
    return sync_folder(m);
}

static int swap(struct mending *m, bool there)
{
    int err = there ? name_aside(m) : HM_OK;

    for (unsigned i = 1; i < PARTS && err == HM_OK; i++) {
        char name[PATH_BYTES];

        err = part_of(m, name, m->store, i);
        if (err == HM_OK && unlink(name) != 0 && errno != ENOENT) {
            err = fail_errno(m, name);
        }
    }
    if (err == HM_OK) {
        err = sync_folder(m);
    }
    if (err == HM_OK && rename(m->fresh, m->store) != 0) {
        err = fail_errno(m, m->store);
    }
    return err == HM_OK ? sync_folder(m) : err;
}

static int mend(struct mending *m)
{
    bool there = false;
    int err = load_node(m);

    if (err == HM_OK) {
        err = take_lock(m);
    }
    if (err == HM_OK) {
        err = find_old(m, &there);
    }
    if (err == HM_OK && there) {
        err = check_old(m);
    }
    if (err != HM_OK || m->out->sound) {
        return err;
    }
    err = build(m);
    return err == HM_OK ? swap(m, there) : err;
}

int hm_node_repair(const char *dir, struct hm_node_repair *out, struct hm_buf *errmsg)
{
    struct mending *m = calloc(1, sizeof *m);
    struct hm_node_repair result = {.sound = false};
    int err;

    if (m == NULL) {
        return HM_NOMEM;
    }
    m->dir = dir;
    m->out = &result;
    m->errmsg = errmsg;
    m->lock_fd = -1;
    err = mend(m);
    if (err != HM_OK && errmsg->len == 0) {
        hm_buf_append_str(errmsg, hm_err_text(err));
    }
    if (m->lock_fd >= 0) {
        (void)close(m->lock_fd); /* gives the lock back */
    }
    hm_node_keys_deinit(&m->keys);
    free(m);
    if (err == HM_OK) {
        *out = result;
    }
    return err;
}
