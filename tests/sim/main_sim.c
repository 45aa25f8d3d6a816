/* The simulator's command line: ./dev sim calls it. */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/sim/judge.h"

static volatile sig_atomic_t stopped;
static volatile int stop_flag;

enum { LISTED_MAX = 50 };

struct options {
    struct sim_series series;
    uint64_t seed; /* 0: many */
    const char *plan;
    const char *state;    /* of a long run in pieces */
    const char *findings; /* folder */
    bool verbose;
    bool no_shrink;
};

/* A long run in pieces: what was done before. */
struct state {
    uint64_t from;
    uint64_t next;
    uint64_t days;
    uint64_t node_days;
    uint64_t findings;
    double seconds;
};

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
    stop_flag = 1;
}

static void usage(FILE *to)
{
    fprintf(to, "usage: sim [--seeds N] [--from S] [--days D] [--short] [--jobs J]\n"
                "           [--seconds T] [--state FILE] [--findings DIR]\n"
                "           [--first] [--no-shrink]\n"
                "       sim --seed S [--short] [--days D] [--verbose]\n"
                "       sim --plan FILE [--verbose]\n");
}

static uint64_t number(const char *text)
{
    char *end;
    uint64_t value = strtoull(text, &end, 10);

    if (*text == 0 || *end != 0) {
        usage(stderr);
        exit(2);
    }
    return value;
}

static void parse(int argc, char **argv, struct options *o)
{
    static const struct option options[] = {{"seeds", required_argument, NULL, 'n'},
                                            {"from", required_argument, NULL, 'f'},
                                            {"seed", required_argument, NULL, 's'},
                                            {"days", required_argument, NULL, 'd'},
                                            {"short", no_argument, NULL, 'q'},
                                            {"jobs", required_argument, NULL, 'j'},
                                            {"seconds", required_argument, NULL, 't'},
                                            {"state", required_argument, NULL, 'S'},
                                            {"findings", required_argument, NULL, 'F'},
                                            {"first", no_argument, NULL, '1'},
                                            {"no-shrink", no_argument, NULL, 'N'},
                                            {"plan", required_argument, NULL, 'p'},
                                            {"verbose", no_argument, NULL, 'v'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    int letter;

    *o = (struct options){
        .series = {.from = 1, .count = 200, .jobs = cores < 1 ? 1 : (unsigned)cores},
        .findings = "."};
    while ((letter = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (letter) {
        case 'n':
            o->series.count = number(optarg);
            break;
        case 'f':
            o->series.from = number(optarg);
            break;
        case 's':
            o->seed = number(optarg);
            break;
        case 'd':
            o->series.days = (unsigned)number(optarg);
            break;
        case 'q':
            o->series.short_season = true;
            break;
        case 'j':
            o->series.jobs = (unsigned)number(optarg);
            break;
        case 't':
            o->series.seconds_max = (unsigned)number(optarg);
            break;
        case 'S':
            o->state = optarg;
            break;
        case 'F':
            o->findings = optarg;
            break;
        case '1':
            o->series.first_only = true;
            break;
        case 'N':
            o->no_shrink = true;
            break;
        case 'p':
            o->plan = optarg;
            break;
        case 'v':
            o->verbose = true;
            break;
        case 'h':
            usage(stdout);
            exit(0);
        default:
            usage(stderr);
            exit(2);
        }
    }
    if (optind != argc || o->series.jobs == 0) {
        usage(stderr);
        exit(2);
    }
    if (o->series.short_season && o->series.days == 0) {
        o->series.days = 5;
    }
}

/* The plan of a finding, smaller than it was, and what happens in it. */
static void report(struct sim_plan *plan, const struct sim_verdict *verdict,
                   const struct options *o)
{
    size_t before = plan->count;
    char path[500];
    unsigned runs = o->no_shrink ? 0 : sim_shrink(plan, verdict->oracle);
    FILE *file;

    printf("\nseed %" PRIu64 ": %s: %s\n", plan->shape.seed,
           sim_oracle_text(verdict->oracle), verdict->text);
    printf("shrunk from %zu to %zu steps in %u runs; what happens:\n", before,
           plan->count, runs);
    (void)sim_judge(plan, true);
    (void)snprintf(path, sizeof path, "%s/seed-%" PRIu64 ".plan", o->findings,
                   plan->shape.seed);
    file = fopen(path, "w");
    if (file == NULL) {
        fprintf(stderr, "sim: %s can't be written\n", path);
        return;
    }
    fprintf(file, "# %s: %s\n", sim_oracle_text(verdict->oracle), verdict->text);
    sim_plan_write(plan, file);
    if (fclose(file) != 0) {
        fprintf(stderr, "sim: %s can't be written\n", path);
        return;
    }
    printf("kept as %s; repeat it with ./dev sim --plan %s\n", path, path);
}

static int run_one(const struct options *o)
{
    struct sim_verdict verdict;
    struct sim_plan plan;

    if (o->plan != NULL) {
        if (!sim_plan_read(&plan, o->plan)) {
            return 2;
        }
    } else {
        sim_plan_make(&plan, o->seed, o->series.days, o->series.short_season);
    }
    verdict = sim_judge(&plan, o->verbose);
    if (verdict.oracle != SIM_ORACLE_NONE && o->plan == NULL) {
        report(&plan, &verdict, o);
    } else if (verdict.oracle != SIM_ORACLE_NONE) {
        printf("%s: %s: %s\n", o->plan, sim_oracle_text(verdict.oracle), verdict.text);
    }
    printf("1 seeds, %u days, %d findings\n", plan.shape.days,
           verdict.oracle != SIM_ORACLE_NONE);
    sim_plan_free(&plan);
    return verdict.oracle != SIM_ORACLE_NONE;
}

static void read_state(const struct options *o, struct state *state)
{
    FILE *file = o->state == NULL ? NULL : fopen(o->state, "r");

    *state = (struct state){.from = o->series.from, .next = o->series.from};
    if (file == NULL) {
        return;
    }
    if (fscanf(file,
               "from=%" SCNu64 " next=%" SCNu64 " days=%" SCNu64 " node_days=%" SCNu64
               " findings=%" SCNu64 " seconds=%lf",
               &state->from, &state->next, &state->days, &state->node_days,
               &state->findings, &state->seconds) != 6) {
        fprintf(stderr, "sim: %s is not the state of a run\n", o->state);
        exit(2);
    }
    (void)fclose(file); /* only read */
}

static void write_state(const struct options *o, const struct state *state)
{
    FILE *file = o->state == NULL ? NULL : fopen(o->state, "w");

    if (o->state == NULL) {
        return;
    }
    if (file != NULL) {
        fprintf(file,
                "from=%" PRIu64 " next=%" PRIu64 " days=%" PRIu64 " node_days=%" PRIu64
                " findings=%" PRIu64 " seconds=%.1f\n",
                state->from, state->next, state->days, state->node_days,
                state->findings, state->seconds);
    }
    if (file == NULL || fclose(file) != 0) {
        fprintf(stderr, "sim: %s can't be written\n", o->state);
    }
}

static int run_many(struct options *o)
{
    uint64_t last = o->series.from + o->series.count;
    struct sim_tally tally;
    struct state state;

    read_state(o, &state);
    o->series.from = state.next;
    o->series.count = last > state.next ? last - state.next : 0;
    sim_series_run(&o->series, &stop_flag, &tally);
    state.next += tally.seeds;
    state.days += tally.days;
    state.node_days += tally.node_days;
    state.findings += tally.findings;
    state.seconds += tally.seconds;
    write_state(o, &state);
    if (tally.findings > 0) {
        struct sim_plan plan;

        for (uint64_t i = 0; i < tally.findings && i < LISTED_MAX; i++) {
            printf("seed %" PRIu64 ": %s: %s\n", tally.bad[i].seed,
                   sim_oracle_text(tally.bad[i].verdict.oracle),
                   tally.bad[i].verdict.text);
        }
        sim_plan_make(&plan, tally.bad[0].seed, o->series.days, o->series.short_season);
        report(&plan, &tally.bad[0].verdict, o);
        sim_plan_free(&plan);
    }
    printf("%" PRIu64 " saves, %" PRIu64 " exchanges, %" PRIu64
           " node-days in %.1f s: %.0f node-days a second\n",
           tally.saves, tally.exchanges, tally.node_days, tally.seconds,
           (double)tally.node_days / (tally.seconds > 0 ? tally.seconds : 1));
    if (tally.findings > 0) {
        printf("caught %s after %" PRIu64 " seeds, seed %" PRIu64 "\n",
               sim_oracle_text(tally.bad[0].verdict.oracle), tally.seeds,
               tally.bad[0].seed);
    }
    printf("%" PRIu64 " seeds, %" PRIu64 " days, %" PRIu64 " findings\n",
           state.next - state.from, state.days, state.findings);
    return state.findings > 0;
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = on_signal};
    struct options o;

    /* Each season has a process of its own with one thread. */
    SIM_MUST(sqlite3_config(SQLITE_CONFIG_SINGLETHREAD) == SQLITE_OK);
    SIM_MUST(sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) == SQLITE_OK);
    parse(argc, argv, &o);
    (void)sigaction(SIGINT, &action, NULL); /* cannot fail for these */
    (void)sigaction(SIGTERM, &action, NULL);
    return o.seed != 0 || o.plan != NULL ? run_one(&o) : run_many(&o);
}
