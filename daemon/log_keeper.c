/* Happy path: wake() starts the timer unless it runs; it submits a job that files on a
 * reader; on_filed() starts it again when something was written meanwhile.
 * Failures: a filing that failed is told once and tried again, later each time; saves
 * go on: the store is what answers them. Close: the store thread has ended, and with it
 * the job; the timer closes. */
#include "daemon/log_keeper.h"

#include <stdlib.h>

enum { IDLE_MS = 1000, RETRY_MS_MAX = 60 * 1000 };

struct hm_log_keeper {
    struct hm_node *node;
    struct hm_log_files *files; /* of the job while it runs, then of the loop */
    uv_timer_t timer;
    struct hm_store_job job;
    bool running;
    bool again; /* written while the job ran */
    uint64_t retry_ms;
    struct hm_log_keeper_facts facts;
    hm_log_keeper_closed_cb closed;
    void *closed_owner;
};

/* On a reader. */
static void file(struct hm_store_job *job, const struct hm_store_side *side)
{
    struct hm_log_keeper *k = HM_CONTAINER_OF(job, struct hm_log_keeper, job);

    job->err = hm_log_files_file(k->files, side->store);
}

static void start_timer(struct hm_log_keeper *k, uint64_t ms);

static void tell(struct hm_log_keeper *k, int err)
{
    if (err == HM_OK && k->facts.failures > 0) {
        hm_journal_write(k->node->journal, HM_JOURNAL_INFO,
                         "%s/%s: the log is filed again", k->node->dir,
                         HM_LOG_FILES_FOLDER);
    } else if (err != HM_OK && k->facts.failures == 0) {
        hm_journal_write(k->node->journal, HM_JOURNAL_WARNING,
                         "%s/%s: the log can't be filed: %s; it is tried again, and is "
                         "safe in the store meanwhile",
                         k->node->dir, HM_LOG_FILES_FOLDER, hm_err_text(err));
    }
}

static void on_filed(struct hm_store_job *job)
{
    struct hm_log_keeper *k = HM_CONTAINER_OF(job, struct hm_log_keeper, job);

    k->running = false;
    k->facts.files = hm_log_files_stats(k->files);
    if (job->err == HM_CANCELED || job->err == HM_CORRUPT) {
        return; /* the end, or a damaged store, does the rest */
    }
    tell(k, job->err);
    if (job->err != HM_OK) {
        k->facts.failures++;
        start_timer(k, k->retry_ms);
        k->retry_ms = 2 * k->retry_ms < RETRY_MS_MAX ? 2 * k->retry_ms : RETRY_MS_MAX;
        return;
    }
    k->retry_ms = IDLE_MS;
    k->facts.failures = 0;
    k->facts.filings++;
    k->facts.waits_since_ms = 0;
    if (k->again) {
        hm_log_keeper_wake(k);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct hm_log_keeper *k = timer->data;

    k->again = false;
    k->job = (struct hm_store_job){.work = file, .done = on_filed};
    k->running =
        hm_store_thread_submit(k->node->store, HM_STORE_READ, &k->job) == HM_OK;
    if (!k->running) {
        start_timer(k, k->retry_ms); /* the readers have too much to do */
    }
}

static void start_timer(struct hm_log_keeper *k, uint64_t ms)
{
    if (!uv_is_closing((uv_handle_t *)&k->timer)) {
        (void)uv_timer_start(&k->timer, on_timer, ms, 0);
    }
}

int hm_log_keeper_open(struct hm_node *node, struct hm_log_keeper **out_keeper)
{
    struct hm_log_files_options options = {.files = hm_files_disk(),
                                           .dir = node->dir,
                                           .secret_key = node->keys.secret_key,
                                           .device = node->keys.device};
    struct hm_log_keeper *k = calloc(1, sizeof *k);
    int err = k == NULL ? HM_NOMEM : hm_log_files_create(&options, &k->files);

    if (err != HM_OK) {
        free(k);
        return err;
    }
    k->node = node;
    k->retry_ms = IDLE_MS;
    (void)uv_timer_init(node->loop, &k->timer);
    k->timer.data = k;
    start_timer(k, 0);
    *out_keeper = k;
    return HM_OK;
}

void hm_log_keeper_wake(struct hm_log_keeper *k)
{
    if (k == NULL) {
        return;
    }
    if (k->facts.waits_since_ms == 0) {
        k->facts.waits_since_ms = (int64_t)uv_now(k->node->loop);
    }
    if (k->running) {
        k->again = true;
    } else if (!uv_is_active((uv_handle_t *)&k->timer)) {
        /* From the first write on, not from the last: who saves without a pause is
         * filed every second. */
        start_timer(k, IDLE_MS);
    }
}

void hm_log_keeper_end(struct hm_log_keeper *k, struct hm_store *s)
{
    int err = k == NULL ? HM_OK : hm_log_files_file(k->files, s);

    if (err != HM_OK) {
        hm_journal_write(k->node->journal, HM_JOURNAL_WARNING,
                         "%s/%s: the log can't be filed at the end: %s; the next start "
                         "does it",
                         k->node->dir, HM_LOG_FILES_FOLDER, hm_err_text(err));
    }
}

void hm_log_keeper_facts(const struct hm_log_keeper *k, struct hm_log_keeper_facts *out)
{
    *out = k == NULL ? (struct hm_log_keeper_facts){0} : k->facts;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct hm_log_keeper *k = handle->data;
    hm_log_keeper_closed_cb closed = k->closed;
    void *owner = k->closed_owner;

    hm_log_files_destroy(k->files);
    free(k);
    if (closed != NULL) {
        closed(owner);
    }
}

void hm_log_keeper_close(struct hm_log_keeper *k, hm_log_keeper_closed_cb closed,
                         void *owner)
{
    if (k == NULL) {
        return;
    }
    k->closed = closed;
    k->closed_owner = owner;
    uv_close((uv_handle_t *)&k->timer, on_timer_closed);
}
