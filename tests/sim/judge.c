/* For MAP_ANONYMOUS. */
#define _DEFAULT_SOURCE

#include "tests/sim/judge.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { JOBS_MAX = 64, SHRINK_RUNS_MAX = 1500, SHRINK_S_MAX = 90 };

static void *shared(size_t size)
{
    void *out =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    SIM_MUST(out != MAP_FAILED);
    return out;
}

static double now_s(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* More CPU time than this ends the process by SIGPROF. */
static void bound_cpu(void)
{
    struct itimerval limit = {.it_value = {.tv_sec = SIM_SEASON_S_MAX}};

    SIM_MUST(setitimer(ITIMER_PROF, &limit, NULL) == 0);
}

/* Runs a season in this process. */
static void run_here(const struct sim_plan *plan, bool verbose,
                     struct sim_verdict *verdict, struct sim_tally *tally)
{
    struct sim *sim = calloc(1, sizeof *sim);

    SIM_MUST(sim != NULL);
    bound_cpu();
    (void)sim_run(sim, plan, verbose);
    verdict->oracle = sim->oracle;
    (void)snprintf(verdict->text, sizeof verdict->text, "%s", sim->finding);
    if (tally != NULL) {
        tally->days += plan->shape.days;
        tally->node_days += sim->node_days;
        tally->saves += sim->saves;
        tally->exchanges += sim->exchanged;
    }
    sim_free(sim);
    free(sim);
}

static void judge_end(int status, struct sim_verdict *verdict)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        return;
    }
    verdict->oracle = SIM_ORACLE_CRASH;
    if (WIFSIGNALED(status)) {
        (void)snprintf(verdict->text, sizeof verdict->text, "ended by signal %d%s",
                       WTERMSIG(status),
                       WTERMSIG(status) == SIGPROF ? ": it hangs" : "");
    } else {
        (void)snprintf(verdict->text, sizeof verdict->text, "ended with %d",
                       WEXITSTATUS(status));
    }
}

struct sim_verdict sim_judge(const struct sim_plan *plan, bool verbose)
{
    struct sim_verdict *verdict = shared(sizeof *verdict);
    struct sim_verdict out;
    int status = 0;
    pid_t pid;

    (void)fflush(stdout); /* or the child says it again */
    pid = fork();
    SIM_MUST(pid >= 0);
    if (pid == 0) {
        run_here(plan, verbose, verdict, NULL);
        (void)fflush(stdout);
        _exit(0);
    }
    while (waitpid(pid, &status, 0) < 0) {
        SIM_MUST(errno == EINTR);
    }
    judge_end(status, verdict);
    out = *verdict;
    (void)munmap(verdict, sizeof *verdict); /* cannot fail */
    return out;
}

/* -- Shrinking -------------------------------------------------------------------- */

static void without(const struct sim_plan *plan, size_t from, size_t count,
                    struct sim_plan *out)
{
    *out = (struct sim_plan){.shape = plan->shape};
    for (size_t i = 0; i < plan->count; i++) {
        if (i < from || i >= from + count) {
            sim_plan_add(out, &plan->steps[i]);
        }
    }
}

unsigned sim_shrink(struct sim_plan *plan, enum sim_oracle oracle)
{
    double end_s = now_s() + SHRINK_S_MAX;
    unsigned runs = 0;

    for (size_t chunk = (plan->count + 1) / 2; chunk > 0; chunk /= 2) {
        for (size_t from = 0; from < plan->count;) {
            struct sim_plan less;

            if (runs >= SHRINK_RUNS_MAX || now_s() > end_s) {
                return runs;
            }
            without(plan, from, chunk, &less);
            runs++;
            if (sim_judge(&less, false).oracle == oracle) {
                sim_plan_free(plan);
                *plan = less;
            } else {
                sim_plan_free(&less);
                from += chunk;
            }
        }
    }
    return runs;
}

/* -- Many seeds ------------------------------------------------------------------- */

struct worker {
    uint64_t seed; /* at work on it */
    int busy;
    struct sim_tally tally;
};

struct board {
    _Atomic uint64_t next;
    atomic_int stop;
    atomic_uint bad_count;
    struct sim_bad bad[SIM_BAD_MAX];
    struct worker workers[JOBS_MAX];
};

static void note_bad(struct board *board, uint64_t seed,
                     const struct sim_verdict *verdict)
{
    unsigned at = atomic_fetch_add(&board->bad_count, 1);

    if (at < SIM_BAD_MAX) {
        board->bad[at] = (struct sim_bad){seed, *verdict};
    }
}

static void work(const struct sim_series *series, struct board *board, unsigned job)
{
    struct worker *worker = &board->workers[job];

    while (atomic_load(&board->stop) == 0) {
        struct sim_verdict verdict = {SIM_ORACLE_NONE, ""};
        uint64_t seed = atomic_fetch_add(&board->next, 1);
        struct sim_plan plan;

        if (seed >= series->from + series->count) {
            atomic_store(&board->next, series->from + series->count);
            break;
        }
        worker->seed = seed;
        worker->busy = 1;
        sim_plan_make(&plan, seed, series->days, series->short_season);
        run_here(&plan, false, &verdict, &worker->tally);
        sim_plan_free(&plan);
        worker->tally.seeds++;
        worker->busy = 0;
        if (verdict.oracle != SIM_ORACLE_NONE) {
            note_bad(board, seed, &verdict);
            if (series->first_only) {
                atomic_store(&board->stop, 1);
            }
        }
    }
}

static pid_t start_worker(const struct sim_series *series, struct board *board,
                          unsigned job)
{
    pid_t pid;

    (void)fflush(stdout);
    pid = fork();
    SIM_MUST(pid >= 0);
    if (pid == 0) {
        (void)signal(SIGINT, SIG_IGN); /* the parent tells when to stop */
        work(series, board, job);
        _exit(0);
    }
    return pid;
}

/* A worker has ended. One that crashed is replaced: its seed is a finding. */
static pid_t replace(const struct sim_series *series, struct board *board, unsigned job,
                     int status)
{
    struct worker *worker = &board->workers[job];
    struct sim_verdict verdict = {SIM_ORACLE_NONE, ""};

    judge_end(status, &verdict);
    if (verdict.oracle == SIM_ORACLE_NONE) {
        return 0;
    }
    if (worker->busy) {
        note_bad(board, worker->seed, &verdict);
        worker->tally.seeds++;
        worker->busy = 0;
    }
    if (series->first_only) {
        atomic_store(&board->stop, 1);
        return 0;
    }
    return start_worker(series, board, job);
}

static int compare_seeds(const void *a, const void *b)
{
    const struct sim_bad *x = a;
    const struct sim_bad *y = b;

    return x->seed < y->seed ? -1 : x->seed > y->seed;
}

static void sum(struct board *board, const struct sim_series *series,
                struct sim_tally *tally)
{
    unsigned bad = atomic_load(&board->bad_count);

    for (unsigned i = 0; i < series->jobs; i++) {
        const struct sim_tally *part = &board->workers[i].tally;

        tally->seeds += part->seeds;
        tally->days += part->days;
        tally->node_days += part->node_days;
        tally->saves += part->saves;
        tally->exchanges += part->exchanges;
    }
    tally->findings = bad;
    memcpy(tally->bad, board->bad, sizeof tally->bad);
    qsort(tally->bad, bad < SIM_BAD_MAX ? bad : SIM_BAD_MAX, sizeof tally->bad[0],
          compare_seeds);
}

void sim_series_run(const struct sim_series *series, const volatile int *stop,
                    struct sim_tally *tally)
{
    struct board *board = shared(sizeof *board);
    double start_s = now_s();
    pid_t pids[JOBS_MAX] = {0};
    unsigned running = 0;

    *tally = (struct sim_tally){0};
    SIM_MUST(series->jobs >= 1 && series->jobs <= JOBS_MAX);
    atomic_store(&board->next, series->from);
    for (unsigned i = 0; i < series->jobs; i++) {
        pids[i] = start_worker(series, board, i);
        running++;
    }
    while (running > 0) {
        struct timespec pause = {.tv_nsec = 5 * 1000 * 1000};

        if (*stop || (series->seconds_max > 0 &&
                      now_s() - start_s > (double)series->seconds_max)) {
            atomic_store(&board->stop, 1);
        }
        for (unsigned i = 0; i < series->jobs; i++) {
            int status = 0;

            if (pids[i] != 0 && waitpid(pids[i], &status, WNOHANG) == pids[i]) {
                pids[i] = replace(series, board, i, status);
                running -= pids[i] == 0;
            }
        }
        (void)nanosleep(&pause, NULL); /* shorter is fine */
    }
    tally->seconds = now_s() - start_s;
    sum(board, series, tally);
    (void)munmap(board, sizeof *board); /* cannot fail */
}
