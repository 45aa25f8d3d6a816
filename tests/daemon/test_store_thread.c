#include "daemon/store_thread.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "tests/support/http.h"
#include "tests/support/test.h"

enum { JOBS = 20 };

struct scene {
    uv_loop_t loop;
    struct hm_node_keys keys;
    char path[512];
    struct hm_buf errmsg;
    struct hm_store_thread *t;
    unsigned dones;
    int fatal_err;
    unsigned damaged; /* times that it was told */
    char damage[256];
    unsigned written;
    unsigned ends; /* calls of at_end() */
    bool stop;
    bool closed;
};

struct one {
    struct hm_store_job job;
    struct scene *scene;
    unsigned runs, left; /* times that work() asks for more */
    unsigned order;      /* of its done() */
    size_t batch_count;
    int give; /* what work() leaves in err */
    bool canceled;
    uv_sem_t *gate; /* work() waits for it */
};

static void on_fatal(void *owner, int err, const char *text)
{
    struct scene *s = owner;

    (void)text;
    s->fatal_err = err;
}

static void on_damaged(void *owner, int err, const char *text)
{
    struct scene *s = owner;

    assert_int_equal(err, HM_CORRUPT);
    (void)snprintf(s->damage, sizeof s->damage, "%s", text);
    s->damaged++;
}

static void on_written(void *owner)
{
    ((struct scene *)owner)->written++;
}

static void at_end(void *owner, const struct hm_store_side *side)
{
    struct scene *s = owner;
    int64_t n = 0;

    CHECK_OK(hm_db_query_int(hm_store_db(side->store), "SELECT 1", &n));
    s->ends++;
}

static void on_closed(void *owner)
{
    struct scene *s = owner;

    s->closed = true;
}

static int scene_open_with(struct scene *s, size_t queue_max, bool takes_damage)
{
    struct hm_store_thread_options options = {.keys = &s->keys,
                                              .readers = 2,
                                              .queue_max = queue_max,
                                              .check_bytes_max = 1 << 20,
                                              .fatal = on_fatal,
                                              .damaged =
                                                  takes_damage ? on_damaged : NULL,
                                              .written = on_written,
                                              .at_end = at_end,
                                              .owner = s};

    *s = (struct scene){0};
    CHECK_OK(uv_loop_init(&s->loop));
    assert_true(sodium_init() >= 0);
    (void)crypto_sign_keypair(s->keys.public_key, s->keys.secret_key);
    (void)snprintf(s->path, sizeof s->path, "%s/store.db", hm_test_folder());
    hm_buf_init(&s->errmsg, 1000);
    options.path = s->path;
    return hm_store_thread_open(&s->loop, &options, &s->errmsg, &s->t);
}

static int scene_open(struct scene *s, size_t queue_max)
{
    return scene_open_with(s, queue_max, false);
}

static void scene_close(struct scene *s)
{
    hm_store_thread_close(s->t, on_closed, s);
    if (s->t != NULL) {
        hm_test_spin(&s->loop, &s->closed);
    }
    hm_test_loop_end(&s->loop);
    hm_buf_deinit(&s->errmsg);
}

static void work(struct hm_store_job *job, const struct hm_store_side *side)
{
    struct one *one = (struct one *)job;
    int64_t n = 0;

    if (one->gate != NULL) {
        uv_sem_wait(one->gate);
    }
    one->runs++;
    job->again = one->left > 0;
    one->left -= one->left > 0;
    job->err = hm_store_begin_read(side->store);
    if (job->err == HM_OK) {
        int err = hm_db_query_int(hm_store_db(side->store), "SELECT 1", &n);

        job->err = hm_store_end(side->store, err);
    }
    if (one->give != HM_OK) {
        job->err = one->give;
    }
}

static void batch(struct hm_store_job **jobs, size_t count,
                  const struct hm_store_side *side)
{
    (void)side;
    for (size_t i = 0; i < count; i++) {
        ((struct one *)jobs[i])->batch_count = count;
    }
}

static void cancel(struct hm_store_job *job, const struct hm_store_side *side)
{
    (void)side;
    ((struct one *)job)->canceled = true;
}

static void done(struct hm_store_job *job)
{
    struct one *one = (struct one *)job;

    one->order = ++one->scene->dones;
    one->scene->stop = true;
}

static void prepare(struct one *one, struct scene *s)
{
    *one = (struct one){.scene = s};
    one->job.work = work;
    one->job.cancel = cancel;
    one->job.done = done;
}

static void spin_dones(struct scene *s, unsigned count)
{
    while (s->dones < count) {
        s->stop = false;
        hm_test_spin(&s->loop, &s->stop);
    }
}

/* Jobs of the writer end in the order in which they came, none before submit() has
 * returned. */
HM_TEST(writes_keep_their_order)
{
    struct one jobs[JOBS];
    struct scene s;

    CHECK_OK(scene_open(&s, 100));
    for (unsigned i = 0; i < JOBS; i++) {
        prepare(&jobs[i], &s);
        CHECK_OK(hm_store_thread_submit(s.t, HM_STORE_WRITE, &jobs[i].job));
        assert_int_equal(s.dones, 0);
    }
    spin_dones(&s, JOBS);
    for (unsigned i = 0; i < JOBS; i++) {
        CHECK_OK(jobs[i].job.err);
        assert_int_equal(jobs[i].order, i + 1);
    }
    assert_int_equal(hm_store_thread_stats(s.t).writes, JOBS);
    scene_close(&s);
}

/* An import in pieces must let a sync through between them. */
HM_TEST(long_work_lets_others_pass)
{
    struct one slow;
    struct one quick;
    struct scene s;
    uv_sem_t gate;

    CHECK_OK(scene_open(&s, 100));
    CHECK_OK(uv_sem_init(&gate, 0));
    prepare(&slow, &s);
    slow.left = 3;
    slow.gate = &gate;
    prepare(&quick, &s);
    CHECK_OK(hm_store_thread_submit(s.t, HM_STORE_WRITE, &slow.job));
    CHECK_OK(hm_store_thread_submit(s.t, HM_STORE_WRITE, &quick.job));
    for (int i = 0; i < 4; i++) {
        uv_sem_post(&gate);
    }
    spin_dones(&s, 2);
    assert_int_equal(slow.runs, 4);
    assert_int_equal(quick.order, 1);
    assert_int_equal(slow.order, 2);
    uv_sem_destroy(&gate);
    scene_close(&s);
}

/* Ten laptops that come at once cost one sync of the disk. */
HM_TEST(jobs_that_can_come_together)
{
    struct one blocker;
    struct one jobs[JOBS];
    struct scene s;
    uv_sem_t gate;

    CHECK_OK(scene_open(&s, 100));
    CHECK_OK(uv_sem_init(&gate, 0));
    prepare(&blocker, &s);
    blocker.gate = &gate;
    CHECK_OK(hm_store_thread_submit(s.t, HM_STORE_WRITE, &blocker.job));
    for (unsigned i = 0; i < JOBS; i++) {
        prepare(&jobs[i], &s);
        if (i != JOBS / 2) {
            jobs[i].job.work = NULL;
            jobs[i].job.batch = batch;
        }
        CHECK_OK(hm_store_thread_submit(s.t, HM_STORE_WRITE, &jobs[i].job));
    }
    uv_sem_post(&gate);
    spin_dones(&s, JOBS + 1);
    assert_int_equal(jobs[0].batch_count, JOBS / 2);
    assert_int_equal(jobs[JOBS - 1].batch_count, JOBS / 2 - 1);
    assert_int_equal(jobs[JOBS - 1].order, JOBS + 1);
    assert_int_equal(hm_store_thread_stats(s.t).batches, 2);
    uv_sem_destroy(&gate);
    scene_close(&s);
}

/* A queue without end would hide that the disk is too slow until memory is gone. */
HM_TEST(a_full_queue_says_busy)
{
    struct one jobs[3];
    struct scene s;
    uv_sem_t gate;

    CHECK_OK(scene_open(&s, 2));
    CHECK_OK(uv_sem_init(&gate, 0));
    for (unsigned i = 0; i < 3; i++) {
        prepare(&jobs[i], &s);
        jobs[i].gate = &gate;
    }
    CHECK_OK(hm_store_thread_submit(s.t, HM_STORE_WRITE, &jobs[0].job));
    while (hm_store_thread_stats(s.t).write_since_ms == 0) {
        hm_test_spin_ms(&s.loop, 1);
    }
    CHECK_OK(hm_store_thread_submit(s.t, HM_STORE_WRITE, &jobs[1].job));
    CHECK_OK(hm_store_thread_submit(s.t, HM_STORE_WRITE, &jobs[2].job));
    assert_int_equal(hm_store_thread_submit(s.t, HM_STORE_WRITE, &jobs[2].job),
                     HM_BUSY);
    for (int i = 0; i < 3; i++) {
        uv_sem_post(&gate);
    }
    spin_dones(&s, 3);
    uv_sem_destroy(&gate);
    scene_close(&s);
}

/* Every job that was taken is answered, also at the end. */
HM_TEST(closing_answers_all)
{
    struct one running;
    struct one waiting;
    struct one late;
    struct scene s;
    uv_sem_t gate;

    CHECK_OK(scene_open(&s, 100));
    CHECK_OK(uv_sem_init(&gate, 0));
    prepare(&running, &s);
    running.gate = &gate;
    running.left = 5;
    prepare(&waiting, &s);
    prepare(&late, &s);
    CHECK_OK(hm_store_thread_submit(s.t, HM_STORE_WRITE, &running.job));
    CHECK_OK(hm_store_thread_submit(s.t, HM_STORE_WRITE, &waiting.job));
    while (hm_store_thread_stats(s.t).write_since_ms == 0) {
        hm_test_spin_ms(&s.loop, 1);
    }
    hm_store_thread_close(s.t, on_closed, &s);
    assert_int_equal(hm_store_thread_submit(s.t, HM_STORE_WRITE, &late.job),
                     HM_CANCELED);
    uv_sem_post(&gate);
    hm_test_spin(&s.loop, &s.closed);
    assert_int_equal(s.dones, 2);
    assert_int_equal(running.job.err, HM_CANCELED);
    assert_true(running.canceled);
    assert_int_equal(waiting.job.err, HM_CANCELED);
    assert_false(waiting.canceled);
    s.t = NULL;
    uv_sem_destroy(&gate);
    scene_close(&s);
}

/* After a failed commit nothing may be acknowledged any more. */
HM_TEST(a_failed_device_is_fatal)
{
    struct one broken;
    struct one next;
    struct scene s;

    CHECK_OK(scene_open(&s, 100));
    prepare(&broken, &s);
    broken.give = HM_IO;
    prepare(&next, &s);
    CHECK_OK(hm_store_thread_submit(s.t, HM_STORE_WRITE, &broken.job));
    CHECK_OK(hm_store_thread_submit(s.t, HM_STORE_WRITE, &next.job));
    spin_dones(&s, 1);
    assert_int_equal(s.fatal_err, HM_IO);
    assert_int_equal(next.runs, 0);
    scene_close(&s);
    assert_int_equal(next.runs, 0);
    assert_int_equal(next.job.err, HM_CANCELED);
}

/* What is no store is refused with its name, and nothing is left running. */
HM_TEST(a_damaged_store_is_refused)
{
    struct scene s;
    char path[512];
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/store.db", hm_test_folder());
    file = fopen(path, "wb");
    assert_non_null(file);
    for (int i = 0; i < 5000; i++) {
        assert_int_not_equal(fputc(i & 0xff, file), EOF);
    }
    CHECK_OK(fclose(file));
    assert_int_equal(scene_open(&s, 10), HM_CORRUPT);
    CHECK_OK(s.errmsg.err);
    assert_non_null(strstr(hm_buf_str(&s.errmsg), "store.db: "));
    scene_close(&s);
}

/* Damage that any thread finds ends writing, and only that. */
HM_TEST(damage_ends_writing_alone)
{
    struct one finds;
    struct one save;
    struct one look;
    struct scene s;

    CHECK_OK(scene_open_with(&s, 100, true));
    prepare(&finds, &s);
    finds.give = HM_CORRUPT;
    CHECK_OK(hm_store_thread_submit(s.t, HM_STORE_READ, &finds.job));
    spin_dones(&s, 1);
    assert_int_equal(s.damaged, 1);
    assert_int_equal(finds.job.err, HM_CORRUPT);
    prepare(&save, &s);
    prepare(&look, &s);
    CHECK_OK(hm_store_thread_submit(s.t, HM_STORE_WRITE, &save.job));
    spin_dones(&s, 2);
    CHECK_OK(hm_store_thread_submit(s.t, HM_STORE_READ, &look.job));
    spin_dones(&s, 3);
    assert_int_equal(save.runs, 0);
    assert_int_equal(save.job.err, HM_CORRUPT);
    assert_int_equal(look.runs, 1);
    CHECK_OK(look.job.err);
    assert_int_equal(s.damaged, 1);
    assert_int_equal(s.fatal_err, HM_OK);
    scene_close(&s);
}

/* A job of the writer that finds damage is answered with it; those behind it are too,
 * also one that was in the middle of its work. */
HM_TEST(damage_answers_what_waits)
{
    struct one finds;
    struct one next;
    struct scene s;

    CHECK_OK(scene_open_with(&s, 100, true));
    prepare(&finds, &s);
    finds.give = HM_CORRUPT;
    finds.left = 3;
    prepare(&next, &s);
    CHECK_OK(hm_store_thread_submit(s.t, HM_STORE_WRITE, &finds.job));
    CHECK_OK(hm_store_thread_submit(s.t, HM_STORE_WRITE, &next.job));
    spin_dones(&s, 2);
    assert_int_equal(finds.runs, 1);
    assert_int_equal(next.runs, 0);
    assert_int_equal(next.job.err, HM_CORRUPT);
    assert_int_equal(s.damaged, 1);
    scene_close(&s);
}

/* A store with a broken page opens for reading, and says what is wrong. */
HM_TEST(damage_found_at_the_start_leaves_reading)
{
    static const char nothing[4096];
    struct one save;
    struct one look;
    struct scene s;
    FILE *file;

    CHECK_OK(scene_open(&s, 10));
    scene_close(&s);
    assert_int_equal(s.ends, 1);
    file = fopen(s.path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, 12 * (long)sizeof nothing, SEEK_SET), 0);
    assert_int_equal(fwrite(nothing, sizeof nothing, 1, file), 1);
    CHECK_OK(fclose(file));
    assert_int_equal(scene_open(&s, 10), HM_CORRUPT);
    scene_close(&s);
    CHECK_OK(scene_open_with(&s, 10, true));
    prepare(&save, &s);
    prepare(&look, &s);
    CHECK_OK(hm_store_thread_submit(s.t, HM_STORE_WRITE, &save.job));
    CHECK_OK(hm_store_thread_submit(s.t, HM_STORE_READ, &look.job));
    spin_dones(&s, 2);
    assert_int_equal(s.damaged, 1);
    assert_non_null(strstr(s.damage, "store.db: "));
    assert_int_equal(save.job.err, HM_CORRUPT);
    CHECK_OK(look.job.err);
    scene_close(&s);
    assert_int_equal(s.ends, 0); /* there is no writer to end */
}

/* The owner hears of what was written, and has the last word before the store closes.
 */
HM_TEST(tells_what_was_written_and_when_it_ends)
{
    struct one look;
    struct one save;
    struct scene s;

    CHECK_OK(scene_open(&s, 100));
    prepare(&look, &s);
    CHECK_OK(hm_store_thread_submit(s.t, HM_STORE_READ, &look.job));
    spin_dones(&s, 1);
    assert_int_equal(s.written, 0);
    prepare(&save, &s);
    CHECK_OK(hm_store_thread_submit(s.t, HM_STORE_WRITE, &save.job));
    spin_dones(&s, 2);
    assert_int_equal(s.written, 1);
    assert_int_equal(s.ends, 0);
    scene_close(&s);
    assert_int_equal(s.ends, 1);
}
