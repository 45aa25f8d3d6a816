/* The crash matrix as a program: ./dev crash. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/crash/matrix.h"

enum { JOBS_MAX = 16, TEXT_MAX = 160 };

struct options {
    const char *scenario; /* NULL: all */
    const char *point;    /* NULL: all */
    uint64_t stride;      /* every n-th point of each kind */
    unsigned jobs;
    unsigned findings_max; /* of a job: then it ends */
    enum hm_world_plant plant;
};

/* Of all jobs together, in shared memory. */
struct tally {
    uint64_t cuts;
    uint64_t lost;
    uint64_t corrupt;
    uint64_t cuts_of[64]; /* by scenario */
    struct {
        char scenario[40];
        char point[TEXT_MAX];
    } running[JOBS_MAX]; /* should one of them die */
};

struct job {
    const struct options *options;
    struct tally *tally;
    unsigned index;
    unsigned scenario;
    unsigned findings;
};

static void usage(FILE *to)
{
    (void)fputs(
        "usage: crash [--scenario NAME] [--point POINT] [--stride N] [--jobs N]\n"
        "             [--max N] [--list]\n"
        "Cuts the power, and lets the disk fail, at every operation of every "
        "scenario.\n"
        "A finding names its scenario and point, which repeat it.\n",
        to);
}

static void report(struct job *job, struct hm_matrix *m, const char *point,
                   enum hm_point_result result)
{
    bool lost = result == HM_POINT_LOST;

    __atomic_add_fetch(lost ? &job->tally->lost : &job->tally->corrupt, 1,
                       __ATOMIC_RELAXED);
    job->findings++;
    (void)printf("%s: %s\n    crash --scenario %s --point %s\n",
                 lost ? "lost" : "corrupt", m->world.why, m->scenario->name, point);
    (void)fflush(stdout);
}

/* False: there is no such point, nor a later one. */
static bool run_point(struct job *job, struct hm_matrix *m,
                      const struct hm_point *point)
{
    char *text = job->tally->running[job->index].point;
    enum hm_point_result result;

    hm_point_to_text(point, text, TEXT_MAX);
    result = hm_matrix_run(m, point);
    if (result == HM_POINT_BEHIND) {
        return false;
    }
    __atomic_add_fetch(&job->tally->cuts, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&job->tally->cuts_of[job->scenario], 1, __ATOMIC_RELAXED);
    if (result != HM_POINT_SOUND) {
        report(job, m, text, result);
    }
    return true;
}

/* All points of a kind and a choice that are this job's. */
static void run_choice(struct job *job, struct hm_matrix *m, enum hm_point_kind kind,
                       unsigned choice)
{
    uint64_t stride = job->options->stride;
    /* A sample takes other places for each choice. */
    uint64_t first = 1 + (7 * choice + 13 * (unsigned)kind) % stride;
    uint64_t step = stride * job->options->jobs;
    bool more = true;

    for (uint64_t at = first + job->index * stride;
         more && job->findings < job->options->findings_max; at += step) {
        struct hm_point point = {.kind = kind,
                                 .choice = choice,
                                 .at = at,
                                 .again = 1 + (at * 31 + choice * 17) % 150,
                                 .after = HM_AFTER_STAYS,
                                 .seed = at * 1000 + choice};

        more = run_point(job, m, &point);
        if (kind != HM_POINT_FAULT) {
            continue;
        }
        for (int after = HM_AFTER_ENDS; more && after < HM_AFTERS_; after++) {
            point.after = (enum hm_point_after)after;
            more = run_point(job, m, &point);
        }
    }
}

static void run_scenario(struct job *job, const struct hm_scenario *scenario)
{
    static struct hm_matrix m;

    (void)snprintf(job->tally->running[job->index].scenario, 40, "%s", scenario->name);
    (void)snprintf(job->tally->running[job->index].point, TEXT_MAX, "its start");
    if (!hm_matrix_open(&m, scenario, job->options->plant, scenario->name)) {
        report(job, &m, "none", HM_POINT_CORRUPT);
    } else if (job->options->point != NULL) {
        struct hm_point point;

        if (!hm_point_from_text(job->options->point, &point)) {
            (void)fprintf(stderr, "crash: %s is not a point\n", job->options->point);
            _exit(2);
        }
        if (!run_point(job, &m, &point)) {
            (void)printf("the scenario ends before that point\n");
        }
    } else {
        for (int kind = 0; kind < HM_POINT_KINDS_; kind++) {
            for (unsigned i = 0; i < hm_point_choices((enum hm_point_kind)kind); i++) {
                run_choice(job, &m, (enum hm_point_kind)kind, i);
            }
        }
    }
    hm_matrix_close(&m);
}

static void run_job(struct job *job)
{
    for (unsigned i = 0; i < hm_scenario_count; i++) {
        job->scenario = i;
        if (job->options->scenario == NULL ||
            strcmp(job->options->scenario, hm_scenarios[i].name) == 0) {
            run_scenario(job, &hm_scenarios[i]);
        }
    }
}

/* Every job a process of its own: what one of them breaks stays there. */
static bool run_all(const struct options *options, struct tally *tally)
{
    pid_t pids[JOBS_MAX];
    bool fine = true;

    for (unsigned i = 0; i < options->jobs; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            struct job job = {.options = options, .tally = tally, .index = i};

            run_job(&job);
            (void)fflush(stdout);
            _exit(0);
        }
        if (pids[i] < 0) {
            (void)fprintf(stderr, "crash: fork: %s\n", strerror(errno));
            exit(2);
        }
    }
    for (unsigned i = 0; i < options->jobs; i++) {
        int status = 0;

        if (waitpid(pids[i], &status, 0) != pids[i] || !WIFEXITED(status) ||
            WEXITSTATUS(status) != 0) {
            (void)printf(
                "corrupt: the process died\n    crash --scenario %s --point %s\n",
                tally->running[i].scenario, tally->running[i].point);
            tally->corrupt++;
            fine = false;
        }
    }
    return fine;
}

static bool parse(int argc, char **argv, struct options *o)
{
    static const struct option longs[] = {
        {"scenario", required_argument, NULL, 's'},
        {"point", required_argument, NULL, 'p'},
        {"stride", required_argument, NULL, 'n'},
        {"jobs", required_argument, NULL, 'j'},
        {"max", required_argument, NULL, 'm'},
        {"list", no_argument, NULL, 'l'},
        {"plant", required_argument, NULL, 'x'}, /* not in the usage: for the proof */
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0}};
    int option;

    while ((option = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
        switch (option) {
        case 's':
            o->scenario = optarg;
            break;
        case 'p':
            o->point = optarg;
            o->jobs = 1;
            break;
        case 'n':
            o->stride = strtoull(optarg, NULL, 10);
            break;
        case 'j':
            o->jobs = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'm':
            o->findings_max = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'x':
            o->plant = strcmp(optarg, "normal") == 0  ? HM_PLANT_NORMAL
                       : strcmp(optarg, "early") == 0 ? HM_PLANT_EARLY
                                                      : HM_PLANT_TRUST;
            break;
        case 'l':
            for (unsigned i = 0; i < hm_scenario_count; i++) {
                (void)puts(hm_scenarios[i].name);
            }
            exit(0);
        case 'h':
            usage(stdout);
            exit(0);
        default:
            return false;
        }
    }
    return optind == argc && o->stride > 0 && o->jobs > 0 && o->jobs <= JOBS_MAX;
}

static struct tally *share_tally(void)
{
    FILE *file = tmpfile();
    void *memory = MAP_FAILED;

    if (file != NULL && ftruncate(fileno(file), sizeof(struct tally)) == 0) {
        memory = mmap(NULL, sizeof(struct tally), PROT_READ | PROT_WRITE, MAP_SHARED,
                      fileno(file), 0);
    }
    if (memory == MAP_FAILED) {
        (void)fprintf(stderr, "crash: no shared memory: %s\n", strerror(errno));
        exit(2);
    }
    return memory;
}

int main(int argc, char **argv)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    struct options options = {.stride = 1,
                              .jobs =
                                  cores > 0 && cores < JOBS_MAX ? (unsigned)cores : 2,
                              .findings_max = 20};
    struct tally *tally = share_tally();

    if (!parse(argc, argv, &options)) {
        usage(stderr);
        return 2;
    }
    (void)run_all(&options, tally);
    for (unsigned i = 0; i < hm_scenario_count; i++) {
        if (tally->cuts_of[i] > 0) {
            (void)printf("%s: %llu\n", hm_scenarios[i].name,
                         (unsigned long long)tally->cuts_of[i]);
        }
    }
    (void)printf("%llu cuts, %llu acknowledged saves lost, %llu corrupt\n",
                 (unsigned long long)tally->cuts, (unsigned long long)tally->lost,
                 (unsigned long long)tally->corrupt);
    return tally->cuts > 0 && tally->lost == 0 && tally->corrupt == 0 ? 0 : 1;
}
