/* Happy path: a timer queues look() on the pool; on_looked() takes what it found.
 * Failures: what cannot be found out leaves the state as it was, with one line.
 * Close: a look that runs ends first, then the timer closes, then closed(). */
#include "daemon/disk.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>

#include "storage/reserve.h"

struct hm_disk {
    struct hm_disk_options options;
    uv_timer_t timer;
    uv_work_t work;
    bool working;
    bool closing;
    enum hm_disk_state state;
    uint64_t free_bytes;
    int64_t since_utc_ms;
    char reserve[PATH_MAX];
    hm_disk_closed_cb closed;
    void *closed_owner;
    /* Of the look that runs: read and written on the pool. */
    enum hm_disk_state seen;
    uint64_t seen_bytes;
    int reserve_err;
    bool failed;
};

static int64_t utc_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

enum hm_disk_state hm_disk_judge(const struct hm_disk_options *options,
                                 uint64_t free_bytes)
{
    if (free_bytes < options->refuse_bytes) {
        return HM_DISK_FULL;
    }
    return free_bytes < options->warn_bytes ? HM_DISK_LOW : HM_DISK_ROOMY;
}

/* On the pool. What the reserve holds is not free, and must not make the disk look
 * roomy again when it is given back: it is counted as if it were held. */
static void look(uv_work_t *work)
{
    struct hm_disk *d = work->data;
    struct statvfs about;
    int64_t held = 0;
    uint64_t missing;

    if (statvfs(d->options.dir, &about) != 0) {
        d->failed = true;
        return;
    }
    d->seen_bytes = (uint64_t)about.f_bavail * about.f_frsize;
    if (hm_reserve_held_bytes(d->reserve, &held) != HM_OK) {
        held = 0;
    }
    missing = (uint64_t)held < d->options.reserve_bytes
                  ? d->options.reserve_bytes - (uint64_t)held
                  : 0;
    d->seen = hm_disk_judge(&d->options,
                            d->seen_bytes > missing ? d->seen_bytes - missing : 0);
    if (d->options.reserve_bytes == 0) {
        return;
    }
    if (d->seen == HM_DISK_FULL) {
        d->reserve_err = hm_reserve_release(d->reserve);
    } else if (missing > 0) {
        d->reserve_err = hm_reserve_make(d->reserve, (int64_t)d->options.reserve_bytes);
    }
}

static void tell(const struct hm_disk *d)
{
    static const char *const texts[] = {
        "there is room on the disk again", "the disk is nearly full: make room",
        "the disk is full: no more saves are taken until there is room"};

    hm_journal_write(d->options.journal,
                     d->state == HM_DISK_ROOMY ? HM_JOURNAL_INFO : HM_JOURNAL_WARNING,
                     "%s (%llu MB are free)", texts[d->state],
                     (unsigned long long)(d->free_bytes / 1000000));
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct hm_disk *d = handle->data;
    hm_disk_closed_cb closed = d->closed;
    void *owner = d->closed_owner;

    free(d);
    if (closed != NULL) {
        closed(owner);
    }
}

static void take(struct hm_disk *d)
{
    if (d->failed) {
        hm_journal_write(d->options.journal, HM_JOURNAL_WARNING,
                         "%s: the free space can't be found out", d->options.dir);
        return;
    }
    d->free_bytes = d->seen_bytes;
    if (d->seen != d->state) {
        d->state = d->seen;
        d->since_utc_ms = utc_ms();
        tell(d);
    }
}

static void on_looked(uv_work_t *work, int status)
{
    struct hm_disk *d = work->data;

    d->working = false;
    if (d->closing) {
        uv_close((uv_handle_t *)&d->timer, on_timer_closed);
    } else if (status == 0) {
        take(d);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct hm_disk *d = timer->data;

    if (d->working) {
        return; /* a disk that takes so long will answer some day */
    }
    d->failed = false;
    d->reserve_err = HM_OK;
    d->working = uv_queue_work(timer->loop, &d->work, look, on_looked) == 0;
}

int hm_disk_open(uv_loop_t *loop, const struct hm_disk_options *options,
                 struct hm_disk **out_disk)
{
    struct hm_disk *d = calloc(1, sizeof *d);

    if (d == NULL) {
        return HM_NOMEM;
    }
    d->options = *options;
    d->since_utc_ms = utc_ms();
    d->free_bytes = UINT64_MAX;
    (void)snprintf(d->reserve, sizeof d->reserve, "%s/" HM_DISK_RESERVE, options->dir);
    (void)uv_timer_init(loop, &d->timer);
    d->timer.data = d;
    d->work.data = d;
    (void)uv_timer_start(&d->timer, on_timer, 0, (uint64_t)options->check_s * 1000);
    *out_disk = d;
    return HM_OK;
}

enum hm_disk_state hm_disk_state(const struct hm_disk *disk)
{
    return disk->state;
}

uint64_t hm_disk_free_bytes(const struct hm_disk *disk)
{
    return disk->free_bytes;
}

int64_t hm_disk_since_utc_ms(const struct hm_disk *disk)
{
    return disk->since_utc_ms;
}

void hm_disk_close(struct hm_disk *d, hm_disk_closed_cb closed, void *owner)
{
    if (d == NULL) {
        return;
    }
    d->closed = closed;
    d->closed_owner = owner;
    d->closing = true;
    (void)uv_timer_stop(&d->timer);
    if (!d->working) {
        uv_close((uv_handle_t *)&d->timer, on_timer_closed);
    }
}
