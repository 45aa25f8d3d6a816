/* Happy path: start() opens the parts in order; the loop turns until a signal;
 * stop() closes them, routes first and store last; uv_run() returns.
 * Failures: what cannot be opened takes down what was, and the loop runs out.
 * Close: each part counts as open until its closed callback; a timer ends the process
 * when that takes too long. */
#define _GNU_SOURCE /* flock */

#include "daemon/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/http_routes.h"
#include "daemon/log_keeper.h"
#include "daemon/node.h"
#include "daemon/notify.h"
#include "daemon/serve/loop_routes.h"
#include "daemon/upstream.h"
#include "storage/reserve.h"

enum {
    READERS = 2,
    QUEUE_MAX = 1024,
    CLIENT_CONNECTIONS = 4,
    STOP_MS_MAX = 14 * 1000,
    STUCK_MS_MAX = 5 * 60 * 1000 /* of one piece of work on the store */
};

#define CHECK_BYTES_MAX ((int64_t)512 * 1024 * 1024)
#define MB              ((uint64_t)1000 * 1000)

struct hm_daemon {
    const struct hm_daemon_options *options;
    char config_path[PATH_MAX];
    char store_path[PATH_MAX];
    uv_loop_t loop;
    struct hm_node node;
    struct hm_http_routes *routes;
    int lock_fd;
    uv_signal_t signals[3];
    unsigned signal_count;
    uv_async_t journal_wake;
    uv_timer_t watchdog;
    uv_timer_t deadline;
    bool has_wake;
    bool has_timers;
    bool has_turn;
    bool stopping;
    unsigned closing; /* parts whose closed callback is awaited */
    int code;
    struct hm_buf errmsg;
};

static int code_of(int err)
{
    switch (err) {
    case HM_NOTFOUND:
    case HM_INVALID:
    case HM_CORRUPT:
    case HM_VERSION:
    case HM_DENIED:
        return HM_DAEMON_CONFIG;
    default:
        return 1;
    }
}

#define REPAIR "end hamletd, then run: hamlet --dir %s repair"

/* A store that nothing can be read from is a matter for repair alone. */
static void advise(struct hm_daemon *d, int err)
{
    if (err == HM_CORRUPT) {
        hm_buf_printf(&d->errmsg, "; " REPAIR, d->options->dir);
    }
}

static int say(struct hm_journal *journal, struct hm_buf *errmsg, int err)
{
    const char *text = errmsg->len == 0 ? NULL : hm_buf_str(errmsg);

    hm_journal_write(journal, HM_JOURNAL_ERROR, "%s",
                     text == NULL ? hm_err_text(err) : text);
    return code_of(err);
}

/* Reading what the folder holds. */

static int join_path(char out[PATH_MAX], const char *dir, const char *name,
                     struct hm_buf *errmsg)
{
    int len = name[0] == '/' ? snprintf(out, PATH_MAX, "%s", name)
                             : snprintf(out, PATH_MAX, "%s/%s", dir, name);

    if (len < 0 || len >= PATH_MAX) {
        hm_buf_printf(errmsg, "%s: the path is too long", dir);
        return HM_INVALID;
    }
    return HM_OK;
}

static int load_node(struct hm_daemon *d)
{
    const char *dir = d->options->dir;
    struct hm_node *node = &d->node;
    struct stat about;
    int err;

    node->dir = dir;
    if (stat(dir, &about) != 0 || !S_ISDIR(about.st_mode)) {
        hm_buf_printf(&d->errmsg,
                      "%s: there is no such folder; hamlet init makes a node", dir);
        return HM_NOTFOUND;
    }
    err = d->options->config != NULL
              ? join_path(d->config_path, ".", d->options->config, &d->errmsg)
              : join_path(d->config_path, dir, HM_CONFIG_FILE, &d->errmsg);
    if (err == HM_OK) {
        err = hm_config_read(d->config_path, &node->config, &d->errmsg);
    }
    if (err == HM_OK) {
        err = hm_node_files_load(dir, &node->keys, &d->errmsg);
    }
    if (err == HM_OK) {
        err = join_path(d->store_path, dir, node->config.store, &d->errmsg);
    }
    return err;
}

static void find_public_address(struct hm_node *node)
{
    struct hm_buf text;

    if (!node->config.listen.on) {
        return;
    }
    if (node->config.public_to[0] != 0) {
        (void)strcpy(node->public_address, node->config.public_to);
        return;
    }
    hm_buf_init(&text, sizeof node->public_address - 1);
    hm_config_address_write(&node->config.listen, &text);
    if (hm_buf_str(&text) != NULL) {
        (void)strcpy(node->public_address, hm_buf_str(&text));
    }
    hm_buf_deinit(&text);
}

static struct hm_store_thread_options store_options(const struct hm_daemon *d)
{
    return (struct hm_store_thread_options){.path = d->store_path,
                                            .keys = &d->node.keys,
                                            .readers = READERS,
                                            .queue_max = QUEUE_MAX,
                                            .check_bytes_max = CHECK_BYTES_MAX};
}

/* hamlet init makes the store: one that has gone is not to be replaced by an empty one,
 * which would know nothing and take nothing. */
static int find_store(struct hm_daemon *d)
{
    struct stat about;

    if (stat(d->store_path, &about) == 0 || errno != ENOENT) {
        return HM_OK; /* what else is wrong is seen when it is opened */
    }
    hm_buf_printf(&d->errmsg, "%s: the store is missing", d->store_path);
    return HM_CORRUPT;
}

int hm_daemon_check(const struct hm_daemon_options *options)
{
    struct hm_daemon *d = calloc(1, sizeof *d);
    struct hm_store_thread_options store;
    int code = 0;
    int err;

    if (d == NULL) {
        return 1;
    }
    d->options = options;
    hm_buf_init(&d->errmsg, 8192);
    err = load_node(d);
    if (err == HM_OK) {
        store = store_options(d);
        store.check_bytes_max = INT64_MAX;
        err = find_store(d);
        if (err == HM_OK) {
            err = hm_store_thread_check(&store, &d->errmsg);
        }
        advise(d, err);
    }
    if (err != HM_OK) {
        code = say(NULL, &d->errmsg, err);
    }
    hm_node_keys_deinit(&d->node.keys);
    hm_buf_deinit(&d->errmsg);
    free(d);
    return code;
}

/* Stopping, in the reverse order of starting. */

static void on_handle_closed(uv_handle_t *handle)
{
    (void)handle;
}

static void close_last(struct hm_daemon *d)
{
    hm_journal_set_wake(d->node.journal, NULL, NULL);
    if (d->has_wake) {
        uv_close((uv_handle_t *)&d->journal_wake, on_handle_closed);
    }
    if (d->has_timers) {
        uv_close((uv_handle_t *)&d->watchdog, on_handle_closed);
        uv_close((uv_handle_t *)&d->deadline, on_handle_closed);
    }
    if (d->has_turn) {
        hm_turn_close(&d->node.turn, NULL);
    }
    for (unsigned i = 0; i < d->signal_count; i++) {
        uv_close((uv_handle_t *)&d->signals[i], on_handle_closed);
    }
}

static void on_part_closed(void *owner)
{
    struct hm_daemon *d = owner;

    if (--d->closing > 0) {
        return;
    }
    if (d->node.log_keeper != NULL) { /* the store files what is left when it closes */
        struct hm_log_keeper *keeper = d->node.log_keeper;

        d->node.log_keeper = NULL;
        d->closing = 1;
        hm_log_keeper_close(keeper, on_part_closed, d);
    } else if (d->node.disk != NULL) { /* answers on their way may still look at it */
        struct hm_disk *disk = d->node.disk;

        d->node.disk = NULL;
        d->closing = 1;
        hm_disk_close(disk, on_part_closed, d);
    } else {
        close_last(d);
    }
}

static void on_upstream_closed(void *owner)
{
    struct hm_daemon *d = owner;

    d->node.upstream = NULL;
    on_part_closed(d);
}

static void on_late(uv_timer_t *timer)
{
    struct hm_daemon *d = timer->data;

    hm_journal_write(d->node.journal, HM_JOURNAL_ERROR,
                     "the node did not stop in time and is ended");
    _exit(1); /* the store survives that: it is made for power cuts */
}

static void stop(struct hm_daemon *d, int code)
{
    if (d->stopping) {
        return;
    }
    d->stopping = true;
    d->code = code;
    hm_notify_stopping();
    if (d->has_timers) {
        (void)uv_timer_stop(&d->watchdog);
        (void)uv_timer_start(&d->deadline, on_late, STOP_MS_MAX, 0);
    }
    d->closing = 1; /* this function */
    hm_log_route_end_all();
    if (d->routes != NULL) {
        d->closing++;
        hm_http_routes_close(d->routes, on_part_closed, d);
    }
    if (d->node.upstream != NULL) {
        d->closing++;
        hm_upstream_close(d->node.upstream, on_upstream_closed, d);
    }
    if (d->node.client != NULL) {
        d->closing++;
        hm_http_client_close(d->node.client, on_part_closed, d);
    }
    if (d->node.store != NULL) {
        d->closing++;
        hm_store_thread_close(d->node.store, on_part_closed, d);
    }
    on_part_closed(d);
}

/* Signals and timers. */

/* Without its password the proxy says so itself; what is captured is kept meanwhile. */
static void load_proxy(struct hm_daemon *d)
{
    struct hm_node *node = &d->node;

    hm_buf_clear(&d->errmsg);
    if (hm_proxy_settings_load(&node->config, node->dir, &node->proxy, &d->errmsg) !=
        HM_OK) {
        hm_journal_write(node->journal, HM_JOURNAL_ERROR, "%s", hm_buf_str(&d->errmsg));
        hm_buf_clear(&d->errmsg);
    }
}

/* A call that is under way keeps what it has: curl has copied it. */
static void take_sync_settings(struct hm_daemon *d, const struct hm_config *from)
{
    struct hm_config *to = &d->node.config;

    to->metered = from->metered;
    to->link = from->link;
    to->windows = from->windows;
    (void)strcpy(to->window_text, from->window_text);
    to->sync_patience_s = from->sync_patience_s;
    (void)strcpy(to->proxy, from->proxy);
    (void)strcpy(to->proxy_user, from->proxy_user);
    (void)strcpy(to->proxy_password_file, from->proxy_password_file);
    (void)strcpy(to->proxy_except, from->proxy_except);
    load_proxy(d);
    hm_upstream_reconfigured(d->node.upstream);
}

static void reload(struct hm_daemon *d)
{
    struct hm_node *node = &d->node;
    struct hm_config config;
    bool same;

    hm_notify_reloading();
    hm_buf_clear(&d->errmsg);
    if (hm_config_read(d->config_path, &config, &d->errmsg) != HM_OK) {
        hm_journal_write(node->journal, HM_JOURNAL_ERROR, "%s; nothing is changed",
                         hm_buf_str(&d->errmsg));
    } else {
        same =
            strcmp(config.name, node->config.name) == 0 &&
            memcmp(&config.web, &node->config.web, sizeof config.web) == 0 &&
            memcmp(&config.listen, &node->config.listen, sizeof config.listen) == 0 &&
            strcmp(config.public_to, node->config.public_to) == 0 &&
            strcmp(config.store, node->config.store) == 0 &&
            config.disk_warn_mb == node->config.disk_warn_mb &&
            config.disk_refuse_mb == node->config.disk_refuse_mb &&
            config.disk_reserve_mb == node->config.disk_reserve_mb &&
            config.disk_check_s == node->config.disk_check_s;
        hm_journal_set_level(node->journal, config.level);
        take_sync_settings(d, &config);
        hm_journal_write(
            node->journal, HM_JOURNAL_INFO, "the configuration is read again%s",
            same ? "" : "; all but [log], [sync] and [proxy] needs a restart");
    }
    hm_notify_ready();
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct hm_daemon *d = handle->data;

    if (number == SIGHUP) {
        reload(d);
        return;
    }
    hm_journal_write(d->node.journal, HM_JOURNAL_INFO, "stopping");
    stop(d, 0);
}

static void on_watchdog(uv_timer_t *timer)
{
    struct hm_daemon *d = timer->data;
    struct hm_store_thread_stats stats = hm_store_thread_stats(d->node.store);
    uint64_t now_ms = uv_hrtime() / 1000000;

    if (stats.write_since_ms == 0 || now_ms - stats.write_since_ms < STUCK_MS_MAX) {
        hm_notify_alive();
    }
}

static void on_journal(uv_async_t *async)
{
    (void)async;
    hm_log_route_wake();
}

/* On any thread. */
static void wake_journal(void *arg)
{
    struct hm_daemon *d = arg;

    (void)uv_async_send(&d->journal_wake);
}

static void on_fatal(void *owner, int err, const char *text)
{
    struct hm_daemon *d = owner;

    /* Nothing more can be kept, so nothing more may be promised: start anew. */
    hm_journal_write(d->node.journal, HM_JOURNAL_ERROR, "%s: %s: %s", d->store_path,
                     hm_err_text(err), text);
    _exit(1);
}

/* What is stored is not what was written: nothing more is written, reading goes on. */
static void on_damaged(void *owner, int err, const char *text)
{
    struct hm_daemon *d = owner;
    struct hm_node *node = &d->node;

    (void)err;
    (void)snprintf(node->damaged, sizeof node->damaged,
                   "the store is damaged and nothing is saved or synced: " REPAIR,
                   node->dir);
    hm_journal_write(node->journal, HM_JOURNAL_ERROR, "%s (%s)", node->damaged, text);
    hm_upstream_set_paused(node->upstream, true);
}

static void on_written(void *owner)
{
    hm_log_keeper_wake(((struct hm_daemon *)owner)->node.log_keeper);
}

/* On the writer's thread. */
static void at_end(void *owner, const struct hm_store_side *side)
{
    hm_log_keeper_end(((struct hm_daemon *)owner)->node.log_keeper, side->store);
}

/* Starting. */

static int take_lock(struct hm_daemon *d)
{
    char path[PATH_MAX];
    int err = join_path(path, d->options->dir, "lock", &d->errmsg);

    if (err != HM_OK) {
        return err;
    }
    d->lock_fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (d->lock_fd < 0) {
        hm_buf_printf(&d->errmsg, "%s: %s", path, strerror(errno));
        return HM_IO;
    }
    if (flock(d->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        hm_buf_printf(&d->errmsg, "%s: another hamletd runs this node",
                      d->options->dir);
        return HM_BUSY;
    }
    return HM_OK;
}

static int start_handles(struct hm_daemon *d)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    uint64_t every_ms = hm_notify_every_ms();

    for (unsigned i = 0; i < 3; i++) {
        if (uv_signal_init(&d->loop, &d->signals[i]) != 0) {
            return HM_NOMEM;
        }
        d->signals[i].data = d;
        d->signal_count++;
        if (uv_signal_start(&d->signals[i], on_signal, numbers[i]) != 0) {
            return HM_NOMEM;
        }
    }
    if (uv_async_init(&d->loop, &d->journal_wake, on_journal) != 0) {
        return HM_NOMEM;
    }
    d->has_wake = true;
    hm_journal_set_wake(d->node.journal, wake_journal, d);
    (void)uv_timer_init(&d->loop, &d->watchdog);
    (void)uv_timer_init(&d->loop, &d->deadline);
    d->watchdog.data = d;
    d->deadline.data = d;
    d->has_timers = true;
    if (every_ms > 0) {
        (void)uv_timer_start(&d->watchdog, on_watchdog, every_ms, every_ms);
    }
    hm_turn_init(&d->node.turn, &d->loop);
    d->has_turn = true;
    return HM_OK;
}

static int start_disk(struct hm_daemon *d)
{
    const struct hm_config *config = &d->node.config;
    struct hm_disk_options options = {.dir = d->node.dir,
                                      .warn_bytes = config->disk_warn_mb * MB,
                                      .refuse_bytes = config->disk_refuse_mb * MB,
                                      .reserve_bytes = config->disk_reserve_mb * MB,
                                      .check_s = config->disk_check_s,
                                      .journal = d->node.journal};

    return hm_disk_open(&d->loop, &options, &d->node.disk);
}

/* A full disk must not keep a node from showing what it has. */
static int give_reserve(struct hm_daemon *d)
{
    char reserve[PATH_MAX];
    int err = join_path(reserve, d->options->dir, HM_DISK_RESERVE, &d->errmsg);

    return err == HM_OK ? hm_reserve_release(reserve) : err;
}

static int start_store(struct hm_daemon *d)
{
    struct hm_store_thread_options options = store_options(d);
    int err = find_store(d);

    options.fatal = on_fatal;
    options.damaged = on_damaged;
    options.written = on_written;
    options.at_end = at_end;
    options.owner = d;
    if (err == HM_OK) {
        err = hm_store_thread_open(&d->loop, &options, &d->errmsg, &d->node.store);
    }
    if (err == HM_NOSPACE && give_reserve(d) == HM_OK) {
        hm_buf_clear(&d->errmsg);
        err = hm_store_thread_open(&d->loop, &options, &d->errmsg, &d->node.store);
    }
    advise(d, err);
    return err;
}

static int start(struct hm_daemon *d)
{
    struct hm_node *node = &d->node;
    int err = load_node(d);

    if (err == HM_OK) {
        hm_journal_set_level(node->journal, node->config.level);
        load_proxy(d);
        find_public_address(node);
        err = take_lock(d);
    }
    if (err == HM_OK) {
        err = start_store(d);
    }
    if (err == HM_OK) {
        err = start_handles(d);
    }
    if (err == HM_OK) {
        err = hm_log_keeper_open(node, &node->log_keeper);
    }
    if (err == HM_OK) {
        err = start_disk(d);
    }
    if (err == HM_OK) {
        err = hm_http_client_create(&d->loop, CLIENT_CONNECTIONS, &node->client);
    }
    if (err == HM_OK) {
        err = hm_upstream_open(node, &node->upstream);
    }
    if (err == HM_OK) {
        err = hm_http_routes_open(node, &d->errmsg, &d->routes);
        err = err == HM_INVALID ? HM_IO : err; /* an address may come back */
    }
    return err;
}

static int run_loop(struct hm_daemon *d)
{
    int err;

    d->lock_fd = -1;
    d->node.loop = &d->loop;
    err = start(d);
    if (err != HM_OK) {
        stop(d, say(d->node.journal, &d->errmsg, err));
    } else {
        hm_journal_write(d->node.journal, HM_JOURNAL_INFO, "%s is ready",
                         d->node.config.name);
        hm_notify_ready();
    }
    (void)uv_run(&d->loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&d->loop) != 0) {
        hm_journal_write(d->node.journal, HM_JOURNAL_ERROR,
                         "something was left open on the loop");
        d->code = d->code == 0 ? 1 : d->code;
    }
    if (d->lock_fd >= 0) {
        (void)close(d->lock_fd);
    }
    return d->code;
}

int hm_daemon_run(const struct hm_daemon_options *options)
{
    struct hm_daemon *d = calloc(1, sizeof *d);
    int code = 1;

    if (d == NULL) {
        return 1;
    }
    d->options = options;
    hm_buf_init(&d->errmsg, 8192);
    if (hm_journal_create(getenv("JOURNAL_STREAM") != NULL, &d->node.journal) ==
            HM_OK &&
        uv_loop_init(&d->loop) == 0) {
        code = run_loop(d);
    }
    hm_node_keys_deinit(&d->node.keys);
    hm_journal_destroy(d->node.journal);
    hm_buf_deinit(&d->errmsg);
    free(d);
    return code;
}
