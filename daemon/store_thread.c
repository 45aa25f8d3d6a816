/* Happy path: submit() links the job; a thread takes it, runs work() and puts it into
 * the list of ended jobs; an async handle wakes the loop, which calls done().
 * Failures: what work() leaves in job->err reaches done(). HM_IO of the writer reaches
 * fatal() first, and the writer takes no further job; HM_CORRUPT of any thread reaches
 * damaged(), and the writer ends its jobs with it.
 * Close: the threads cancel what waits, close their stores, the writer last, since only
 * it can empty the WAL, and end; the loop delivers
 * what they left, joins them, closes the handle and calls closed(). */
#include "daemon/store_thread.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/store_open.h"
#include "storage/log.h"
#include "storage/restored.h"

struct lane {
    struct hm_store_job *head;
    struct hm_store_job *tail;
    size_t length;
    uv_cond_t wake;
};

struct worker {
    struct hm_store_thread *t;
    uv_thread_t thread;
    bool writes;
    bool started; /* there is a thread to join */
    struct hm_store_side side;
};

/* Which file a path leads to. */
struct file_id {
    dev_t device;
    ino_t inode;
};

struct hm_store_thread {
    struct hm_store_thread_options options;
    struct file_id opened_file; /* the writer's own */
    uv_async_t async;
    struct worker workers[1 + HM_STORE_READERS_MAX]; /* the first one writes */
    unsigned worker_count;

    uv_mutex_t lock;   /* for all below */
    uv_cond_t changed; /* of open_pending or alive */
    struct lane lanes[2];
    struct hm_store_job *ended;
    struct hm_store_job *ended_tail;
    unsigned open_pending;
    unsigned alive;
    int open_err;
    struct hm_buf *open_errmsg;
    bool closing;
    int fatal_err;
    char fatal_text[256];
    bool damaged;
    char damaged_text[256];
    struct hm_store_thread_stats stats;

    /* The loop's own. */
    bool fatal_told;
    bool opened;
    bool damaged_told;
    uint64_t writes_told;
    bool async_open;
    hm_store_closed_cb closed;
    void *closed_owner;
};

/* Queues. */

static void append(struct hm_store_job **head, struct hm_store_job **tail,
                   struct hm_store_job *job)
{
    job->next = NULL;
    if (*head == NULL) {
        *head = job;
    } else {
        (*tail)->next = job;
    }
    *tail = job;
}

static void push(struct lane *lane, struct hm_store_job *job)
{
    append(&lane->head, &lane->tail, job);
    lane->length++;
}

static struct hm_store_job *pop(struct lane *lane)
{
    struct hm_store_job *job = lane->head;

    lane->head = job->next;
    lane->length--;
    return job;
}

/* Opening. */

static void tell(struct hm_buf *errmsg, const char *path, const char *text)
{
    hm_buf_printf(errmsg, "%s: ", path);
    for (; *text != 0 && *text != '\n'; text++) {
        hm_buf_append_u8(errmsg, (uint8_t)*text);
    }
}

static int check_tail(struct hm_store *store)
{
    int err = hm_store_begin_read(store);

    return err == HM_OK ? hm_store_end(store, hm_log_check_tail(store)) : err;
}

static int check_store(const struct hm_store_thread_options *options,
                       struct hm_store *store, struct hm_buf *errmsg)
{
    struct hm_db *db = hm_store_db(store);
    struct hm_buf report;
    const char *text;
    int64_t bytes = 0;
    int err = hm_db_size_bytes(db, &bytes);

    hm_buf_init(&report, 64 * 1024);
    if (err == HM_OK && bytes <= options->check_bytes_max) {
        err = hm_db_check(db, &report);
    }
    if (err == HM_OK) {
        err = check_tail(store); /* of any size: what a bad end may have left */
    }
    if (err != HM_OK) {
        text = report.len > 0 ? hm_buf_str(&report) : hm_store_errmsg(store);
        tell(errmsg, options->path,
             text == NULL || text[0] == 0 ? hm_err_text(err) : text);
    }
    hm_buf_deinit(&report);
    return err;
}

/* A store out of a backup begins its new history. */
static int begin_restored(struct hm_store *store)
{
    int err = hm_store_begin(store);

    return err == HM_OK ? hm_store_end(store, hm_restored_begin(store)) : err;
}

static int open_side(const struct hm_store_thread_options *options, bool writes,
                     struct hm_store_side *side, struct hm_buf *errmsg)
{
    int err = hm_store_open_node(options->path, options->keys, !writes, &side->store);

    if (err == HM_OK && writes) {
        err = begin_restored(side->store);
    }
    if (err == HM_OK) {
        err = hm_forms_open(side->store, &side->forms);
    }
    if (err != HM_OK) {
        const char *why = side->store == NULL ? "" : hm_store_errmsg(side->store);

        tell(errmsg, options->path, why[0] == 0 ? hm_err_text(err) : why);
    }
    return err;
}

static void close_side(struct hm_store_side *side)
{
    hm_forms_close(side->forms);
    hm_store_close(side->store);
    *side = (struct hm_store_side){0};
}

int hm_store_thread_check(const struct hm_store_thread_options *options,
                          struct hm_buf *errmsg)
{
    struct hm_store_side side = {0};
    int err = open_side(options, false, &side, errmsg); /* changes nothing */

    if (err == HM_OK) {
        err = check_store(options, side.store, errmsg);
    }
    close_side(&side);
    return err;
}

/* The threads. The lock is held on entry and exit of these, but not while a job runs.
 */

static void end_job(struct hm_store_thread *t, struct hm_store_job *job)
{
    append(&t->ended, &t->ended_tail, job);
    (void)uv_async_send(&t->async);
}

/* What waits ends with err. */
static void end_all(struct worker *w, struct lane *lane, int err)
{
    while (lane->head != NULL) {
        struct hm_store_job *job = pop(lane);

        if (job->again && job->cancel != NULL) {
            uv_mutex_unlock(&w->t->lock);
            job->cancel(job, &w->side);
            uv_mutex_lock(&w->t->lock);
        }
        job->again = false;
        job->err = err;
        end_job(w->t, job);
    }
}

static bool find_file(const char *path, struct file_id *out)
{
    struct stat about;

    if (stat(path, &about) != 0) {
        return false;
    }
    *out = (struct file_id){about.st_dev, about.st_ino};
    return true;
}

/* What is written now would go into a file that has lost its name: whoever puts another
 * one there must end the node first, but does not always. */
static bool was_swapped(const struct worker *w)
{
    const struct file_id *opened = &w->t->opened_file;
    struct file_id now;

    return w->writes && w->side.store != NULL &&
           (!find_file(w->t->options.path, &now) || now.device != opened->device ||
            now.inode != opened->inode);
}

static bool is_damage(const struct hm_store_thread *t, int err)
{
    return err == HM_CORRUPT && t->options.damaged != NULL;
}

static bool is_fatal(const struct worker *w, int err)
{
    return w->writes && (err == HM_IO || err == HM_CORRUPT) && !is_damage(w->t, err);
}

static void note_damage(struct hm_store_thread *t, const char *text)
{
    if (!t->damaged) {
        t->damaged = true;
        (void)snprintf(t->damaged_text, sizeof t->damaged_text, "%s", text);
        uv_cond_broadcast(&t->lanes[HM_STORE_WRITE].wake);
        (void)uv_async_send(&t->async);
    }
}

static void note_end(struct worker *w, struct lane *lane, struct hm_store_job *job)
{
    struct hm_store_thread *t = w->t;

    t->stats.writes += w->writes ? 1 : 0;
    if (is_fatal(w, job->err) && t->fatal_err == HM_OK) {
        t->fatal_err = job->err;
        (void)snprintf(t->fatal_text, sizeof t->fatal_text, "%s",
                       hm_store_errmsg(w->side.store));
    }
    if (is_damage(t, job->err)) {
        const char *text = hm_store_errmsg(w->side.store);

        note_damage(t, text[0] == 0 ? hm_err_text(job->err) : text);
    }
    if (job->again && job->err == HM_OK) {
        push(lane, job);
    } else {
        job->again = false;
        end_job(t, job);
    }
}

/* The file that has lost its name holds what nobody else may have; its WAL has kept its
 * name, and must not be taken for that of the file which is there now. */
static void put_aside(struct worker *w)
{
    static const char *const parts[] = {"-wal", "-shm"};
    const char *path = w->t->options.path;
    char name[4096];

    (void)snprintf(name, sizeof name, "%s.swapped-%lld", path, (long long)time(NULL));
    if (hm_db_backup(hm_store_db(w->side.store), name, NULL, NULL) != HM_OK) {
        return; /* then the WAL is all that is left of it */
    }
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(name, sizeof name, "%s%s", path, parts[i]);
        (void)unlink(name); /* if not, the next start sees damage and says so */
    }
}

/* Nothing more is written, and what was written last is not answered: the process
 * begins anew with the file that is there. */
static void note_swap(struct worker *w)
{
    struct hm_store_thread *t = w->t;

    if (t->fatal_err == HM_OK) {
        uv_mutex_unlock(&t->lock);
        put_aside(w);
        uv_mutex_lock(&t->lock);
        t->fatal_err = HM_IO;
        (void)snprintf(t->fatal_text, sizeof t->fatal_text,
                       "another file was put in the store's place while the node runs; "
                       "it begins anew with that");
        (void)uv_async_send(&t->async);
    }
}

static void run_batch(struct worker *w, struct lane *lane, struct hm_store_job *first)
{
    struct hm_store_job *jobs[HM_STORE_BATCH_MAX] = {first};
    size_t count = 1;

    while (count < HM_STORE_BATCH_MAX && lane->head != NULL &&
           lane->head->batch == first->batch) {
        jobs[count++] = pop(lane);
    }
    w->t->stats.batches++;
    uv_mutex_unlock(&w->t->lock);
    first->batch(jobs, count, &w->side);
    uv_mutex_lock(&w->t->lock);
    if (was_swapped(w)) {
        note_swap(w);
        for (size_t i = 0; i < count; i++) {
            jobs[i]->err = HM_IO;
        }
    }
    for (size_t i = 0; i < count; i++) {
        note_end(w, lane, jobs[i]);
    }
}

static void run_one(struct worker *w, struct lane *lane, struct hm_store_job *job)
{
    if (job->batch != NULL) {
        run_batch(w, lane, job);
        return;
    }
    uv_mutex_unlock(&w->t->lock);
    job->again = false;
    job->work(job, &w->side);
    uv_mutex_lock(&w->t->lock);
    if (was_swapped(w)) {
        note_swap(w);
        job->err = HM_IO;
    }
    note_end(w, lane, job);
}

static void serve_lane(struct worker *w, struct lane *lane)
{
    struct hm_store_thread *t = w->t;

    while (!t->closing) {
        if (w->writes && t->damaged) {
            end_all(w, lane, HM_CORRUPT);
        }
        if (lane->head != NULL && was_swapped(w)) {
            note_swap(w);
        }
        if (lane->head == NULL || t->fatal_err != HM_OK) {
            uv_cond_wait(&lane->wake, &t->lock);
            continue;
        }
        if (w->writes) {
            t->stats.write_since_ms = uv_hrtime() / 1000000;
        }
        run_one(w, lane, pop(lane));
        if (w->writes) {
            t->stats.write_since_ms = 0;
        }
    }
    end_all(w, lane, HM_CANCELED);
}

static void thread_main(void *arg)
{
    struct worker *w = arg;
    struct hm_store_thread *t = w->t;
    struct hm_buf errmsg;
    int err;

    hm_buf_init(&errmsg, 4096);
    err = open_side(&t->options, w->writes, &w->side, &errmsg);
    if (err == HM_OK && w->writes && !find_file(t->options.path, &t->opened_file)) {
        err = HM_IO;
    }
    if (err == HM_OK && w->writes) {
        err = check_store(&t->options, w->side.store, &errmsg);
    }
    uv_mutex_lock(&t->lock);
    if (w->writes && is_damage(t, err)) {
        close_side(&w->side); /* the readers may still open it */
        note_damage(t, hm_buf_str(&errmsg) == NULL ? hm_err_text(err)
                                                   : hm_buf_str(&errmsg));
        err = HM_OK;
    }
    if (err != HM_OK && t->open_err == HM_OK) {
        t->open_err = err;
        hm_buf_append(t->open_errmsg, hm_buf_bytes(&errmsg));
    }
    t->open_pending--;
    uv_cond_broadcast(&t->changed);
    if (err == HM_OK) {
        serve_lane(w, &t->lanes[w->writes ? HM_STORE_WRITE : HM_STORE_READ]);
    }
    while (w->writes && t->alive > 1) {
        uv_cond_wait(&t->changed, &t->lock); /* the last to close empties the WAL */
    }
    uv_mutex_unlock(&t->lock);
    if (w->writes && w->side.store != NULL && err == HM_OK &&
        t->options.at_end != NULL) {
        t->options.at_end(t->options.owner, &w->side);
    }
    close_side(&w->side); /* may take long: a last checkpoint */
    hm_buf_deinit(&errmsg);
    uv_mutex_lock(&t->lock);
    t->alive--;
    uv_cond_broadcast(&t->changed);
    (void)uv_async_send(&t->async);
    uv_mutex_unlock(&t->lock);
}

/* The loop. */

static void free_thread(struct hm_store_thread *t)
{
    uv_cond_destroy(&t->lanes[HM_STORE_WRITE].wake);
    uv_cond_destroy(&t->lanes[HM_STORE_READ].wake);
    uv_cond_destroy(&t->changed);
    uv_mutex_destroy(&t->lock);
    free(t);
}

static void on_async_closed(uv_handle_t *handle)
{
    struct hm_store_thread *t = handle->data;
    hm_store_closed_cb closed = t->closed;
    void *owner = t->closed_owner;

    free_thread(t);
    if (closed != NULL) {
        closed(owner);
    }
}

static void join_all(struct hm_store_thread *t)
{
    for (unsigned i = 0; i < t->worker_count; i++) {
        if (t->workers[i].started) {
            (void)uv_thread_join(&t->workers[i].thread);
        }
    }
}

static void deliver(struct hm_store_thread *t)
{
    struct hm_store_job *job;

    uv_mutex_lock(&t->lock);
    job = t->ended;
    t->ended = NULL;
    uv_mutex_unlock(&t->lock);
    while (job != NULL) {
        struct hm_store_job *next = job->next;

        job->done(job);
        job = next;
    }
}

static void on_async(uv_async_t *async)
{
    struct hm_store_thread *t = async->data;
    bool over;
    bool damaged;
    bool wrote;
    int fatal;

    uv_mutex_lock(&t->lock);
    fatal = t->fatal_err;
    damaged = t->damaged;
    wrote = t->stats.writes != t->writes_told;
    t->writes_told = t->stats.writes;
    uv_mutex_unlock(&t->lock);
    if (fatal != HM_OK && !t->fatal_told) {
        t->fatal_told = true;
        t->options.fatal(t->options.owner, fatal, t->fatal_text);
    }
    if (damaged && t->opened && !t->damaged_told) {
        t->damaged_told = true;
        t->options.damaged(t->options.owner, HM_CORRUPT, t->damaged_text);
    }
    deliver(t);
    if (wrote && t->options.written != NULL) {
        t->options.written(t->options.owner);
    }
    uv_mutex_lock(&t->lock);
    over = t->closing && t->alive == 0 && t->ended == NULL;
    uv_mutex_unlock(&t->lock);
    if (over && t->async_open) {
        t->async_open = false;
        join_all(t);
        uv_close((uv_handle_t *)&t->async, on_async_closed);
    }
}

static int start_worker(struct hm_store_thread *t, bool writes)
{
    struct worker *w = &t->workers[t->worker_count++];

    *w = (struct worker){.t = t, .writes = writes};
    t->open_pending++;
    t->alive++;
    if (uv_thread_create(&w->thread, thread_main, w) != 0) {
        t->open_pending--;
        t->alive--;
        return HM_NOMEM;
    }
    w->started = true;
    uv_mutex_lock(&t->lock);
    while (t->open_pending > 0) {
        uv_cond_wait(&t->changed, &t->lock);
    }
    uv_mutex_unlock(&t->lock);
    return t->open_err;
}

static int init_locks(struct hm_store_thread *t)
{
    if (uv_mutex_init(&t->lock) != 0) {
        return HM_NOMEM;
    }
    if (uv_cond_init(&t->changed) != 0) {
        uv_mutex_destroy(&t->lock);
        return HM_NOMEM;
    }
    if (uv_cond_init(&t->lanes[HM_STORE_WRITE].wake) != 0) {
        uv_cond_destroy(&t->changed);
        uv_mutex_destroy(&t->lock);
        return HM_NOMEM;
    }
    if (uv_cond_init(&t->lanes[HM_STORE_READ].wake) != 0) {
        uv_cond_destroy(&t->lanes[HM_STORE_WRITE].wake);
        uv_cond_destroy(&t->changed);
        uv_mutex_destroy(&t->lock);
        return HM_NOMEM;
    }
    return HM_OK;
}

int hm_store_thread_open(uv_loop_t *loop, const struct hm_store_thread_options *options,
                         struct hm_buf *errmsg, struct hm_store_thread **out_thread)
{
    struct hm_store_thread *t = calloc(1, sizeof *t);
    int err = t == NULL ? HM_NOMEM : init_locks(t);

    if (err != HM_OK) {
        free(t);
        return err;
    }
    t->options = *options;
    t->open_errmsg = errmsg;
    if (uv_async_init(loop, &t->async, on_async) != 0) {
        free_thread(t);
        return HM_NOMEM;
    }
    t->async.data = t;
    t->async_open = true;
    /* The writer first: it makes the schema that the readers need. */
    err = start_worker(t, true);
    for (unsigned i = 0; i < options->readers && err == HM_OK; i++) {
        err = start_worker(t, false);
    }
    if (err != HM_OK) {
        hm_store_thread_close(t, NULL, NULL);
        return err;
    }
    t->opened = true;
    *out_thread = t;
    return HM_OK;
}

int hm_store_thread_submit(struct hm_store_thread *t, enum hm_store_lane lane,
                           struct hm_store_job *job)
{
    struct lane *to = &t->lanes[lane];
    int err = HM_OK;

    uv_mutex_lock(&t->lock);
    if (t->closing) {
        err = HM_CANCELED;
    } else if (to->length >= t->options.queue_max) {
        err = HM_BUSY;
    } else {
        job->err = HM_OK;
        job->again = false;
        push(to, job);
        uv_cond_signal(&to->wake);
    }
    uv_mutex_unlock(&t->lock);
    return err;
}

void hm_store_thread_close(struct hm_store_thread *t, hm_store_closed_cb closed,
                           void *owner)
{
    if (t == NULL) {
        return;
    }
    t->closed = closed;
    t->closed_owner = owner;
    uv_mutex_lock(&t->lock);
    t->closing = true;
    uv_cond_broadcast(&t->lanes[HM_STORE_WRITE].wake);
    uv_cond_broadcast(&t->lanes[HM_STORE_READ].wake);
    uv_mutex_unlock(&t->lock);
    (void)uv_async_send(&t->async);
}

struct hm_store_thread_stats hm_store_thread_stats(struct hm_store_thread *t)
{
    struct hm_store_thread_stats stats;

    uv_mutex_lock(&t->lock);
    stats = t->stats;
    stats.write_queue = t->lanes[HM_STORE_WRITE].length;
    stats.read_queue = t->lanes[HM_STORE_READ].length;
    uv_mutex_unlock(&t->lock);
    return stats;
}
