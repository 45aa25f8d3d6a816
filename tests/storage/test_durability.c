#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "protocol/digest.h"
#include "storage/log.h"
#include "tests/support/child.h"
#include "tests/support/fault.h"
#include "tests/support/village.h"

enum { ROUNDS = 20, ROUNDS_LONG = 200, ANSWERS_MAX = 20000 };

static struct hm_village v;

/* What a killed process had answered. */
struct answer {
    struct hm_dot dot;
    struct hm_household_id household;
};

static void close_centre(void)
{
    hm_forms_close(v.centre.forms);
    hm_test_node_close(&v.centre.node);
}

static void open_centre(void)
{
    hm_test_node_restart(&v.centre.node);
    CHECK_OK(hm_forms_open(v.centre.node.store, &v.centre.forms));
}

static void say(int fd, const struct hm_save_result *result)
{
    struct answer answer = {result->dot, result->household};

    /* One write of this size to a pipe is whole or not at all. */
    if (write(fd, &answer, sizeof answer) != (ssize_t)sizeof answer) {
        _exit(1);
    }
}

/* Saves until it is killed. */
static void save_for_ever(int fd)
{
    open_centre();
    for (unsigned i = 0;; i++) {
        struct hm_save_result made = hm_village_new(&v, &v.centre, i % 3, "Lan", 2);
        struct hm_save_result next;

        say(fd, &made);
        next = hm_village_put(&v, &v.centre, &made.household, v.phone, "1");
        say(fd, &next);
    }
}

/* Starts a process that saves, kills it at some moment, and returns its answers. */
static size_t kill_a_saver(unsigned round, struct answer *answers)
{
    size_t count = 0;
    int status;
    int fds[2];
    pid_t pid;

    v.centre.node.prng += 1000003ULL * (round + 1); /* the child's luck is not ours */
    CHECK_OK(pipe(fds));
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)close(fds[0]);
        save_for_ever(fds[1]);
    }
    (void)close(fds[1]);
    /* However slow the machine is, each of them has answered something. */
    assert_int_equal(read(fds[0], &answers[count], sizeof answers[0]),
                     sizeof answers[0]);
    count++;
    hm_child_sleep((double)(round * 7919 % 41) / 1000);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    while (count < ANSWERS_MAX && read(fds[0], &answers[count], sizeof answers[0]) ==
                                      (ssize_t)sizeof answers[0]) {
        count++;
    }
    (void)close(fds[0]);
    return count;
}

/* The state that the log tells, from nothing. */
static struct hm_hash fold(const struct hm_household_row *row, struct hm_arena *arena)
{
    struct hm_store *s = v.centre.node.store;
    struct hm_household h;
    struct hm_hash hash;
    struct hm_dot *dots;
    struct hm_buf state;
    size_t count = 0;

    hm_household_init(&h, &row->id, arena);
    CHECK_OK(hm_log_history(s, row->home, &row->id, arena, &dots, &count));
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++) {
        struct hm_change change;
        struct hm_bytes bytes;
        struct hm_log log;
        bool applied;
        int verdict;

        CHECK_OK(
            hm_log_entry(s, dots[i].incarnation, dots[i].n, arena, &bytes, &verdict));
        CHECK_OK(hm_change_decode(bytes, &dots[i], arena, &change));
        CHECK_OK(hm_log_get(s, dots[i].incarnation, &log));
        CHECK_OK(hm_household_apply(&h, &change, &dots[i], &log.author, &applied));
        assert_true(applied);
    }
    hm_buf_init(&state, 2 * HM_HOUSEHOLD_BYTES_MAX);
    hm_household_encode(&h, &state);
    CHECK_OK(state.err);
    hash = hm_household_hash(hm_buf_bytes(&state));
    hm_buf_deinit(&state);
    return hash;
}

static int check_row(void *arg, const struct hm_household_row *row)
{
    struct hm_arena arena;
    struct hm_hash hash;

    hm_arena_init(&arena, HM_HOUSEHOLD_ARENA_BYTES_MAX);
    hash = fold(row, &arena);
    assert_true(hm_bytes_equal(hm_hash_bytes(&hash), row->hash));
    hm_arena_deinit(&arena);
    (*(uint64_t *)arg)++;
    return HM_OK;
}

static uint64_t check_store(void)
{
    uint64_t households = 0;

    for (size_t i = 0; i < HM_VILLAGE_HAMLETS; i++) {
        struct hm_hash stored = hm_village_digest(&v.centre, v.hamlets[i]);
        struct hm_hash computed;
        uint64_t counted;

        CHECK_OK(hm_households_recompute(v.centre.node.store, v.hamlets[i], &computed,
                                         &counted));
        assert_memory_equal(stored.bytes, computed.bytes, HM_HASH_BYTES);
        CHECK_OK(hm_households_each(v.centre.node.store, v.hamlets[i], 0, check_row,
                                    &households));
    }
    return households;
}

/* What was answered is on disk: whenever the process dies, every answered save is in
 * the log and in the state, the states are what the log tells, and digests fit. */
HM_TEST(every_answered_save_survives_kill_9)
{
    const char *text = getenv("HM_TEST_LONG");
    unsigned rounds = text != NULL && text[0] == '1' ? ROUNDS_LONG : ROUNDS;
    struct answer *answers = calloc(ANSWERS_MAX, sizeof *answers);
    size_t answered = 0;

    assert_non_null(answers);
    hm_village_open(&v);
    for (unsigned round = 0; round < rounds; round++) {
        size_t count;

        close_centre();
        count = kill_a_saver(round, answers);
        open_centre();
        for (size_t i = 0; i < count; i++) {
            struct hm_household h;
            struct hm_hash chain;
            struct hm_arena arena;

            CHECK_OK(hm_log_chain_at(v.centre.node.store, answers[i].dot.incarnation,
                                     answers[i].dot.n, &chain));
            hm_arena_init(&arena, HM_HOUSEHOLD_ARENA_BYTES_MAX);
            CHECK_OK(hm_households_load(v.centre.node.store, &answers[i].household,
                                        &arena, &h));
            hm_arena_deinit(&arena);
        }
        answered += count;
        if (round % 5 == 4 || round + 1 == rounds) {
            (void)check_store();
        }
    }
    assert_true(answered >= rounds);
    assert_true(hm_village_households(&v.centre) * 2 + rounds >= answered);
    hm_village_close(&v);
    free(answers);
}

/* -- Memory that runs out ------------------------------------------------------------
 *
 * Each scenario runs in a transaction that is rolled back, so that the next one finds
 * the same store. */

static struct hm_village_node *laptop;
static struct hm_save_result known;
static struct hm_buf request;
static struct hm_buf reply_bytes;
static uint64_t swallowed; /* failures that did not come back as HM_NOMEM */

static void check_outcome(int err)
{
    if (hm_fault_happened() && err == HM_OK) {
        swallowed++;
        return;
    }
    assert_int_equal(err, hm_fault_happened() ? HM_NOMEM : HM_OK);
}

static void undo(struct hm_store *s)
{
    assert_int_equal(hm_store_end(s, HM_AGAIN), HM_AGAIN);
}

static void save_once(void *arg)
{
    static uint8_t text[] = {0xa1, 'x'};
    struct hm_store *s = v.centre.node.store;
    struct hm_save_cell cells[2] = {
        {.field = v.phone, .value = hm_bytes_of(text, sizeof text)},
        {.field = v.member_name, .value = hm_bytes_of(text, sizeof text)}};
    struct hm_save_row rows[3] = {
        {.form = v.form, .cells = &cells[0], .cell_count = 1},
        {.form = v.form, .repeat = v.members, .cells = &cells[1], .cell_count = 1},
        {.form = v.form, .repeat = v.members, .removed = true, .item = known.items[0]}};
    struct hm_save save = {.household = known.household,
                           .scope = v.hamlets[0],
                           .rank = 4,
                           .rows = rows,
                           .row_count = 3};
    struct hm_save_result out;
    struct hm_arena arena;

    (void)arg;
    hm_arena_init(&arena, HM_HOUSEHOLD_ARENA_BYTES_MAX);
    CHECK_OK(hm_store_begin(s));
    check_outcome(
        hm_save_run(s, &save, hm_forms_policy_of, v.centre.forms, &arena, &out));
    undo(s);
    hm_arena_deinit(&arena);
}

static void serve_once(void *arg)
{
    struct hm_serve_request asked = {.device = laptop->node.device,
                                     .body = hm_buf_bytes(&request)};
    struct hm_store *s = v.centre.node.store;
    struct hm_serve_reply reply;
    int err;

    (void)arg;
    CHECK_OK(hm_store_begin(s));
    err = hm_serve_batch(s, v.centre.forms, &asked, &reply, 1);
    check_outcome(err);
    if (err == HM_OK) {
        assert_int_equal(reply.err, HM_OK);
    }
    hm_serve_reply_deinit(&reply);
    undo(s);
}

static void adopt_once(void *arg)
{
    struct hm_store *s = laptop->node.store;
    struct hm_adopt out;

    (void)arg;
    CHECK_OK(hm_store_begin(s));
    check_outcome(
        hm_adopt_reply(s, laptop->forms, hm_buf_bytes(&reply_bytes), 0, 0, &out));
    undo(s);
}

static void upload_once(void *arg)
{
    struct hm_store *s = laptop->node.store;
    struct hm_upload out;
    struct hm_buf buf;

    (void)arg;
    hm_buf_init(&buf, HM_REQUEST_BYTES_MAX);
    CHECK_OK(hm_store_begin(s));
    check_outcome(hm_upload_build(s, 65536, &buf, &out));
    undo(s);
    hm_buf_deinit(&buf);
}

/* Wherever memory runs out in a save, in either half of a sync or at the parent: the
 * code says so, nothing leaks, and the store is as it was. A failed look at a form's
 * policy is the one thing that may pass: it only counts conflicts. */
HM_TEST(memory_that_runs_out_changes_nothing)
{
    static const struct {
        void (*run)(void *arg);
        const char *name;
    } scenarios[] = {{save_once, "save"},
                     {serve_once, "serve"},
                     {adopt_once, "adopt"},
                     {upload_once, "upload"}};
    struct hm_serve_request asked;
    struct hm_serve_reply reply;
    struct hm_upload upload;
    struct hm_item items[1];
    struct hm_hash before;
    struct hm_hash after;

    hm_village_open(&v);
    known = hm_village_new(&v, &v.centre, 0, "Lan", 1);
    items[0] = known.items[0];
    known.items = items;
    laptop = hm_village_add(&v, "a", 1);
    (void)hm_village_put(&v, laptop, &known.household, v.note, "1");
    (void)hm_village_new(&v, laptop, 0, "Minh", 2);
    (void)hm_village_new(&v, laptop, 2, "refused", 0);
    (void)hm_village_put(&v, &v.centre, &known.household, v.phone, "2");
    hm_buf_init(&request, HM_REQUEST_BYTES_MAX);
    CHECK_OK(hm_upload_build(laptop->node.store, 65536, &request, &upload));
    asked = (struct hm_serve_request){.device = laptop->node.device,
                                      .body = hm_buf_bytes(&request)};
    before = hm_village_digest(&v.centre, v.hamlets[0]);
    CHECK_OK(hm_store_begin(v.centre.node.store));
    CHECK_OK(hm_serve_batch(v.centre.node.store, v.centre.forms, &asked, &reply, 1));
    assert_int_equal(reply.notices, 1);
    hm_buf_init(&reply_bytes, HM_REPLY_BYTES_MAX);
    hm_buf_append(&reply_bytes, hm_buf_bytes(&reply.body));
    hm_serve_reply_deinit(&reply);
    undo(v.centre.node.store);

    (void)hm_village_put(&v, laptop, &known.household, v.phone, "3"); /* to be sealed */
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++) {
        unsigned failures;

        scenarios[i].run(NULL); /* caches are full from now on */
        swallowed = 0;
        failures = hm_fault_each(scenarios[i].run, NULL);
        print_message("%s: %u failures, %lu of them passed\n", scenarios[i].name,
                      failures, (unsigned long)swallowed);
        assert_true(failures > 5);
        assert_true(swallowed * 4 < failures);
    }
    after = hm_village_digest(&v.centre, v.hamlets[0]);
    assert_memory_equal(before.bytes, after.bytes, HM_HASH_BYTES);
    hm_buf_deinit(&request);
    hm_buf_deinit(&reply_bytes);
    hm_village_settle(&v);
    hm_village_check_equal(&v);
    hm_village_close(&v);
}
