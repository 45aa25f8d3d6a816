#define _GNU_SOURCE /* flock */

#include "daemon/node_rekey.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/config.h"
#include "daemon/node_files.h"
#include "daemon/store_open.h"
#include "storage/files.h"
#include "storage/log.h"

enum { SEAL_BYTES = 1024 * 1024 };

static const char *const keys[] = {"sign.key", "box.key", "tls.key", "tls.crt"};

struct rekeying {
    const char *dir;
    struct hm_buf *errmsg;
    struct hm_config config;
    struct hm_node_keys before;
    struct hm_node_keys now;
    int lock_fd;
    char fresh[PATH_MAX]; /* DIR/rekey: where the new keys are made */
};

static int fail_errno(struct rekeying *r, const char *path)
{
    int number = errno;

    hm_buf_printf(r->errmsg, "%s: %s", path, strerror(number));
    return number == EACCES || number == EPERM ? HM_DENIED
           : number == ENOSPC                  ? HM_NOSPACE
                                               : HM_IO;
}

static int join(struct rekeying *r, char out[PATH_MAX], const char *a, const char *b)
{
    if ((size_t)snprintf(out, PATH_MAX, "%s/%s", a, b) < PATH_MAX) {
        return HM_OK;
    }
    hm_buf_printf(r->errmsg, "%s: the path is too long", a);
    return HM_INVALID;
}

static int take_lock(struct rekeying *r)
{
    char path[PATH_MAX];
    int err = join(r, path, r->dir, "lock");

    if (err != HM_OK) {
        return err;
    }
    r->lock_fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (r->lock_fd < 0) {
        return fail_errno(r, path);
    }
    if (flock(r->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        hm_buf_printf(r->errmsg, "%s: the node is running: end hamletd first", r->dir);
        return HM_BUSY;
    }
    return HM_OK;
}

/* In the store: what was written is signed, and where it came from is forgotten. */
static int settle(struct rekeying *r, struct hm_store *s)
{
    enum hm_node_role role = HM_NODE_NEW;
    bool more = true;
    int err = hm_store_role(s, &role);

    if (err == HM_OK && role == HM_NODE_CENTRE) {
        hm_buf_append_str(r->errmsg,
                          "a centre keeps its key: it signs what all others believe");
        return HM_INVALID;
    }
    while (err == HM_OK && more) {
        more = false;
        err = hm_log_seal(s, NULL, 0, SEAL_BYTES, &more);
    }
    return err == HM_OK ? hm_db_exec(hm_store_db(s),
                                     "DELETE FROM meta WHERE name IN "
                                     "('" HM_META_UPSTREAM "', '" HM_META_UPSTREAM_PIN
                                     "', '" HM_META_TOKEN "', '" HM_META_UPSTREAM_DEVICE
                                     "') OR name LIKE 'upstream.%'")
                        : err;
}

static int settle_store(struct rekeying *r)
{
    struct hm_store *s = NULL;
    char path[PATH_MAX];
    int err = HM_OK;

    if (r->config.store[0] == '/') {
        (void)snprintf(path, sizeof path, "%s", r->config.store);
    } else {
        err = join(r, path, r->dir, r->config.store);
    }
    if (err == HM_OK) {
        err = hm_store_open_node(path, &r->before, false, &s);
    }
    if (err == HM_OK) {
        err = hm_store_begin(s);
    }
    if (err == HM_OK) {
        err = hm_store_end(s, settle(r, s));
    }
    if (err != HM_OK && r->errmsg->len == 0) {
        hm_buf_printf(r->errmsg, "%s: %s", path,
                      s == NULL ? hm_err_text(err) : hm_store_errmsg(s));
    }
    hm_store_close(s);
    return err;
}

/* What is not there is as good as removed. */
static void remove_fresh(struct rekeying *r)
{
    char folder[PATH_MAX];
    char path[PATH_MAX];

    if (join(r, folder, r->fresh, "keys") != HM_OK) {
        return;
    }
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (join(r, path, folder, keys[i]) == HM_OK) {
            (void)unlink(path);
        }
    }
    (void)rmdir(folder);
    if (join(r, path, r->fresh, "api-token") == HM_OK) {
        (void)unlink(path);
    }
    (void)rmdir(r->fresh);
}

/* Each key on its own: a mixture is a node, too, and the next rekey makes it one. */
static int swap_keys(struct rekeying *r)
{
    char from_folder[PATH_MAX];
    char to_folder[PATH_MAX];
    char from[PATH_MAX];
    char to[PATH_MAX];
    int err = join(r, from_folder, r->fresh, "keys");

    if (err == HM_OK) {
        err = join(r, to_folder, r->dir, "keys");
    }
    for (size_t i = 0; i < sizeof keys / sizeof keys[0] && err == HM_OK; i++) {
        err = join(r, from, from_folder, keys[i]);
        if (err == HM_OK) {
            err = join(r, to, to_folder, keys[i]);
        }
        if (err == HM_OK && rename(from, to) != 0) {
            err = fail_errno(r, to);
        }
    }
    if (err == HM_OK && hm_files_disk()->sync_folder(NULL, to_folder) != HM_OK) {
        err = fail_errno(r, to_folder);
    }
    return err;
}

static int make_keys(struct rekeying *r)
{
    int err = join(r, r->fresh, r->dir, "rekey");

    if (err != HM_OK) {
        return err;
    }
    remove_fresh(r); /* of one that was cut */
    if (mkdir(r->fresh, 0700) != 0) {
        return fail_errno(r, r->fresh);
    }
    err = hm_node_files_make(r->fresh, r->errmsg);
    if (err == HM_OK) {
        err = swap_keys(r);
    }
    remove_fresh(r);
    return err == HM_OK ? hm_node_files_load(r->dir, &r->now, r->errmsg) : err;
}

int hm_node_rekey(const char *dir, struct hm_node_rekey *out, struct hm_buf *errmsg)
{
    struct rekeying r = {.dir = dir, .errmsg = errmsg, .lock_fd = -1};
    char path[PATH_MAX];
    int err = join(&r, path, dir, HM_CONFIG_FILE);

    if (err == HM_OK) {
        err = hm_config_read(path, &r.config, errmsg);
    }
    if (err == HM_OK) {
        err = hm_node_files_load(dir, &r.before, errmsg);
    }
    if (err == HM_OK) {
        err = take_lock(&r);
    }
    if (err == HM_OK) {
        err = settle_store(&r);
    }
    if (err == HM_OK) {
        err = make_keys(&r);
    }
    if (err != HM_OK && errmsg->len == 0) {
        hm_buf_append_str(errmsg, hm_err_text(err));
    }
    if (err == HM_OK) {
        *out = (struct hm_node_rekey){.before = r.before.device, .now = r.now.device};
    }
    if (r.lock_fd >= 0) {
        (void)close(r.lock_fd); /* gives the lock back */
    }
    hm_node_keys_deinit(&r.before);
    hm_node_keys_deinit(&r.now);
    return err;
}
