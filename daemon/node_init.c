#define _GNU_SOURCE /* HOST_NAME_MAX beside XSI */

#include "daemon/node_init.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libxml/parser.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/config.h"
#include "daemon/node_files.h"
#include "daemon/programme.h"
#include "daemon/store_open.h"
#include "storage/devices.h"

/* One node on its way. */
struct making {
    const struct hm_node_init *options;
    struct hm_buf *errmsg;
    struct hm_config config;
    struct hm_buf programme; /* its path; empty: none */
    struct hm_node_keys keys;
    bool made_dir;
    bool began; /* from here on, what is in dir is ours */
};

static int refuse(struct making *m, const char *what, const char *value,
                  const char *expected)
{
    hm_buf_printf(m->errmsg, "%s %s: must be %s", what, value, expected);
    return HM_INVALID;
}

/* What the options say, before anything is made. */

static void default_name(struct hm_config *config)
{
    char host[HOST_NAME_MAX + 1] = "";

    if (gethostname(host, sizeof host - 1) != 0 || host[0] == 0) {
        (void)strcpy(host, "hamlet");
    }
    (void)snprintf(config->name, sizeof config->name, "%s", host);
}

static int take_addresses(struct making *m)
{
    const struct hm_node_init *o = m->options;
    struct hm_config *c = &m->config;

    if (o->web != NULL && (hm_config_address_parse(o->web, &c->web) != HM_OK ||
                           (c->web.on && !hm_config_is_loopback(&c->web)))) {
        return refuse(m, "--web", o->web, "127.0.0.1:PORT, [::1]:PORT or off");
    }
    if (o->listen != NULL && hm_config_address_parse(o->listen, &c->listen) != HM_OK) {
        return refuse(m, "--listen", o->listen, "ADDRESS:PORT or off");
    }
    if (o->public != NULL) {
        if (!hm_config_is_host_port(o->public) ||
            strlen(o->public) >= sizeof c->public_to) {
            return refuse(m, "--public", o->public, "HOST:PORT");
        }
        (void)strcpy(c->public_to, o->public);
    }
    if (o->phones != NULL && strcmp(o->phones, "off") != 0) {
        return refuse(m, "--phones", o->phones, "off: this version serves no phones");
    }
    return HM_OK;
}

static int take_options(struct making *m)
{
    const struct hm_node_init *o = m->options;
    int err;

    hm_config_init(&m->config);
    default_name(&m->config);
    if (o->name != NULL) {
        if (o->name[0] == 0 || strlen(o->name) >= sizeof m->config.name) {
            return refuse(m, "--name", o->name, "a name of 1 to 159 bytes");
        }
        (void)strcpy(m->config.name, o->name);
    }
    if (o->store != NULL && strcmp(o->store, "sqlite") != 0) {
        return refuse(m, "--store", o->store,
                      "sqlite: this version keeps its store in SQLite");
    }
    err = take_addresses(m);
    if (err == HM_OK && o->programme != NULL) {
        err = hm_programme_find(o->programme, &m->programme);
        if (err == HM_NOTFOUND) {
            hm_buf_printf(m->errmsg, "there is no programme %s", o->programme);
        }
    }
    return err;
}

/* The folder. */

static int fail_errno(struct making *m, const char *path)
{
    int number = errno;

    hm_buf_printf(m->errmsg, "%s: %s", path, strerror(number));
    return number == EACCES || number == EPERM || number == EROFS ? HM_DENIED
           : number == ENOSPC                                     ? HM_NOSPACE
           : number == ENOTDIR || number == ENAMETOOLONG          ? HM_INVALID
                                                                  : HM_IO;
}

static int make_parents(struct making *m, const char *dir)
{
    char path[PATH_MAX];

    if (dir[0] == 0 || strlen(dir) >= sizeof path - 64) {
        return refuse(m, "DIR", dir, "the path of a folder");
    }
    (void)strcpy(path, dir);
    for (char *at = strchr(path + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        *at = 0;
        if (mkdir(path, 0755) != 0 && errno != EEXIST) {
            return fail_errno(m, path);
        }
        *at = '/';
    }
    if (mkdir(path, 0700) == 0) {
        m->made_dir = true;
    } else if (errno != EEXIST) {
        return fail_errno(m, path);
    }
    return HM_OK;
}

static bool has_node(const char *dir)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof path, "%s/%s", dir, HM_CONFIG_FILE);
    return access(path, F_OK) == 0;
}

static int check_empty(struct making *m)
{
    const char *dir = m->options->dir;
    const struct dirent *entry;
    DIR *open_dir = opendir(dir);
    int err = HM_OK;

    if (open_dir == NULL) {
        return fail_errno(m, dir);
    }
    while (err == HM_OK && (entry = readdir(open_dir)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            hm_buf_printf(m->errmsg,
                          has_node(dir) ? "there is a node in %s" : "%s is not empty",
                          dir);
            err = HM_EXISTS;
        }
    }
    (void)closedir(open_dir);
    return err;
}

/* Two at once: keys/ is made by one of them, the other gets HM_EXISTS and has nothing
 * to take away. */
static int make_keys(struct making *m)
{
    const char *dir = m->options->dir;
    char lock[PATH_MAX];
    int fd;

    (void)snprintf(lock, sizeof lock, "%s/lock", dir);
    fd = open(lock, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        if (errno == EEXIST) {
            hm_buf_printf(m->errmsg, "there is a node in %s", dir);
            return HM_EXISTS;
        }
        return fail_errno(m, lock);
    }
    (void)close(fd);
    m->began = true;
    if (chmod(dir, 0700) != 0) {
        return fail_errno(m, dir);
    }
    return hm_node_files_make(dir, m->errmsg);
}

static void take_away(struct making *m)
{
    static const char *const names[] = {
        "keys/sign.key", "keys/box.key", "keys/tls.key", "keys/tls.crt", "api-token",
        HM_CONFIG_FILE,  "store.db",     "store.db-wal", "store.db-shm", "lock"};
    const char *dir = m->options->dir;
    char path[PATH_MAX];

    for (size_t i = 0; m->began && i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        (void)unlink(path);
    }
    if (m->began) {
        (void)snprintf(path, sizeof path, "%s/keys", dir);
        (void)rmdir(path);
    }
    if (m->made_dir) {
        (void)rmdir(dir);
    }
}

/* The store. */

/* The centre itself is the first device: others know its keys by its item. */
static int put_own_device(struct making *m, struct hm_store *s)
{
    struct hm_device device = {.name = m->config.name,
                               .role = HM_DEVICE_HUB,
                               .active = true,
                               .enrolled_utc_ms = hm_store_utc_ms(s)};

    memcpy(device.public_key, m->keys.public_key, HM_PUBLIC_KEY_BYTES);
    memcpy(device.box_key, m->keys.box_public, HM_BOX_KEY_BYTES);
    return hm_devices_put(s, &device);
}

static int fill_centre(struct making *m, struct hm_store *s)
{
    const char *folder = hm_buf_str(&m->programme);
    int err = hm_store_begin(s);

    if (err != HM_OK) {
        return err;
    }
    err = folder == NULL ? HM_NOMEM
                         : hm_store_set_number(s, HM_META_ROLE, HM_NODE_CENTRE);
    if (err == HM_OK) {
        err = hm_store_set_bytes(s, HM_META_AUTHORITY,
                                 hm_bytes_of(m->keys.public_key, HM_PUBLIC_KEY_BYTES));
    }
    if (err == HM_OK) {
        err = put_own_device(m, s);
    }
    if (err == HM_OK) {
        err = hm_programme_publish(s, folder, m->errmsg);
    }
    return hm_store_end(s, err);
}

static int make_store(struct making *m)
{
    struct hm_store *s = NULL;
    char path[PATH_MAX];
    int err;

    (void)snprintf(path, sizeof path, "%s/%s", m->options->dir, m->config.store);
    err = hm_store_open_node(path, &m->keys, false, &s);
    if (err == HM_OK && m->programme.len > 0) {
        err = fill_centre(m, s);
    }
    if (err != HM_OK && m->errmsg->len == 0) {
        const char *why = s == NULL ? "" : hm_store_errmsg(s);

        hm_buf_printf(m->errmsg, "%s: %s", path, why[0] == 0 ? hm_err_text(err) : why);
    }
    hm_store_close(s);
    return err;
}

/* Last, since a folder with it is a node. */
static int write_config(struct making *m)
{
    struct hm_buf text;
    int err;

    hm_buf_init(&text, HM_CONFIG_BYTES_MAX);
    err = hm_config_write_default(&m->config, &text, m->errmsg);
    if (err == HM_OK) {
        err = hm_node_files_write(m->options->dir, HM_CONFIG_FILE, hm_buf_bytes(&text),
                                  m->errmsg);
    }
    hm_buf_deinit(&text);
    return err;
}

static int make_node(struct making *m)
{
    int err = make_keys(m);

    if (err == HM_OK) {
        err = hm_node_files_load(m->options->dir, &m->keys, m->errmsg);
    }
    if (err == HM_OK) {
        err = make_store(m);
    }
    return err == HM_OK ? write_config(m) : err;
}

int hm_node_init(const struct hm_node_init *options, struct hm_buf *errmsg)
{
    struct making m = {.options = options, .errmsg = errmsg};
    int err = HM_OK;

    hm_buf_init(&m.programme, PATH_MAX);
    if (sodium_init() < 0) {
        hm_buf_append_str(errmsg, "this machine gives no random numbers");
        err = HM_IO;
    }
    xmlInitParser();
    if (err == HM_OK) {
        err = take_options(&m);
    }
    if (err == HM_OK) {
        err = make_parents(&m, options->dir);
    }
    if (err == HM_OK) {
        err = check_empty(&m);
    }
    if (err == HM_OK) {
        err = make_node(&m);
    }
    if (err != HM_OK) {
        take_away(&m);
    }
    if (err != HM_OK && errmsg->len == 0) {
        hm_buf_append_str(errmsg, hm_err_text(err));
    }
    hm_node_keys_deinit(&m.keys);
    hm_buf_deinit(&m.programme);
    return err;
}
