#define _GNU_SOURCE /* RTLD_DEFAULT, memfd_create */

#include "tests/fault/loop.h"

#include <dlfcn.h>
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/fault/plan.h"

/* How long the runs of one test may take together, as long as each takes the time of
 * the run in which nothing failed; most are shorter. */
static const double test_s = 0.2;
static const double test_long_s = 30;

enum {
    CHOSEN_MAX = 20000, /* runs of one kind of one test */
    ALL_MAX = 1000,     /* calls of one kind that are all tried in the long form */
    SHOWN_MAX = 10      /* findings printed in full */
};

static const char *const kind_names[] = {
#define NAME(name, text, does) text,
    HM_FAULT_KINDS(NAME)
#undef NAME
};

static const char *const kind_texts[] = {
#define TEXT(name, text, does) does,
    HM_FAULT_KINDS(TEXT)
#undef TEXT
};

static struct hm_fault_plan *plan;
static bool single; /* no loop */
static unsigned pauses;
static char kept[256];

struct loop {
    int (*run)(struct hm_test *);
    const char *program;
    char folder[256]; /* of the run's own folder */
    int output;       /* a file for what a run prints */
    bool all;
    bool count_only;
    uint32_t salt;  /* of the test */
    double clean_s; /* how long the test takes when nothing fails */
    unsigned scenarios;
    unsigned long runs;
    unsigned long met; /* runs that came to the call that fails */
    unsigned long passed;
    unsigned long findings;
};

unsigned long hm_test_rounds(unsigned long faulty, unsigned long usual,
                             unsigned long all)
{
    const char *text = getenv("HM_TEST_LONG");

    if (getenv("HM_FAULT") != NULL) {
        return faulty;
    }
    return text != NULL && text[0] == '1' ? all : usual;
}

void hm_fault_test_begins(void)
{
    /* cmocka makes failed asserts of them. */
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS};

    if (plan != NULL) {
        for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
            (void)signal(signals[i], SIG_DFL);
        }
        plan->active = true;
    }
}

static void show_place(void);

void hm_fault_test_ends(void)
{
    if (plan != NULL) {
        plan->active = false;
        if (single && plan->happened) {
            show_place();
        }
    }
}

void hm_fault_pause(void)
{
    if (plan != NULL && pauses++ == 0) {
        plan->active = false;
    }
}

void hm_fault_resume(void)
{
    if (plan != NULL && --pauses == 0) {
        plan->active = true;
    }
}

const char *hm_fault_kept(void)
{
    return kept[0] == 0 ? NULL : kept;
}

/* A function of the shared object, NULL without it. POSIX has dlsym() give functions as
 * void *, C has no cast for that. */
static void find(const char *name, void *out_function)
{
    void *symbol = dlsym(RTLD_DEFAULT, name);

    memcpy(out_function, &symbol, sizeof symbol);
}

void hm_fault_spare_thread(void)
{
    void (*spare)(void);

    find("hm_fault_calls_spare", &spare);
    if (spare != NULL) {
        spare();
    }
}

static bool make_plan(void)
{
    void (*use)(struct hm_fault_plan *);

    find("hm_fault_calls_use", &use);
    plan = mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (use == NULL || plan == MAP_FAILED) {
        plan = NULL;
        return false;
    }
    use(plan);
    return true;
}

static double clock_s(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int remove_one(const char *path, const struct stat *info, int kind,
                      struct FTW *at)
{
    (void)info;
    (void)kind;
    (void)at;
    return remove(path);
}

/* The forked run; ends with the process. */
static void be_run(struct loop *loop, struct hm_test *test)
{
    int failed;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)dup2(loop->output, STDOUT_FILENO);
    (void)dup2(loop->output, STDERR_FILENO);
    (void)alarm((unsigned)(15 + 20 * loop->clean_s));
    failed = loop->run(test);
    if (failed != 0) {
        (void)fflush(NULL);
        _exit(HM_FAULT_FAILED); /* without a search for leaks: there are some */
    }
    exit(0);
}

/* One run as the plan says; its status as of waitpid(). */
static int run_once(struct loop *loop, struct hm_test *test)
{
    int status = -1;
    pid_t pid;

    for (int kind = 0; kind < HM_FAULT_KIND_COUNT; kind++) {
        plan->counts[kind] = 0;
    }
    plan->happened = false;
    plan->active = false;
    memset(plan->where, 0, sizeof plan->where);
    if (ftruncate(loop->output, 0) != 0 || lseek(loop->output, 0, SEEK_SET) != 0 ||
        (mkdir(loop->folder, 0700) != 0 && errno != EEXIST)) {
        perror(loop->folder);
        exit(2);
    }
    (void)fflush(NULL);
    pid = fork();
    if (pid == 0) {
        be_run(loop, test);
    }
    while (waitpid(pid, &status, 0) != pid && errno == EINTR) {
    }
    plan->active = false;
    (void)nftw(loop->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return status;
}

static void show_output(const struct loop *loop)
{
    char text[3001];
    off_t len = lseek(loop->output, 0, SEEK_END);
    off_t from = len > 3000 ? len - 3000 : 0;
    ssize_t got = pread(loop->output, text, sizeof text - 1, from);

    text[got > 0 ? got : 0] = 0;
    printf("--- it printed:\n%s---\n", text);
}

static void show_place(void)
{
    printf("  when %s\n", kind_texts[plan->kind]);
    for (int i = 0; i < HM_FAULT_DEPTH && plan->where[i] != NULL; i++) {
        Dl_info info;

        if (dladdr(plan->where[i], &info) != 0 && info.dli_fname != NULL) {
            printf("  from %s 0x%lx %s\n", info.dli_fname,
                   (unsigned long)((char *)plan->where[i] - (char *)info.dli_fbase - 1),
                   info.dli_sname != NULL ? info.dli_sname : "");
        }
    }
}

/* Crashes that are a library's own, with Debian 12's versions: zstd 1.5.4 looks into
 * the dictionary that it had no memory for. It is so in a function without a name, so
 * the library in which the allocation failed must do. */
static bool is_known(void)
{
    Dl_info info;

    return plan->kind == HM_FAULT_ALLOC && plan->where[0] != NULL &&
           dladdr(plan->where[0], &info) != 0 &&
           strstr(info.dli_fname, "/libzstd.so") != NULL;
}

/* What is wrong with how a run ended; NULL: nothing. */
static const char *judge(int status)
{
    bool must_pass = plan->kind == HM_FAULT_SHORT || plan->kind == HM_FAULT_INTR;

    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV && is_known()) {
        return NULL;
    }
    if (WIFSIGNALED(status)) {
        return WTERMSIG(status) == SIGALRM ? "it hangs" : strsignal(WTERMSIG(status));
    }
    if (WEXITSTATUS(status) == 0) {
        return NULL;
    }
    if (WEXITSTATUS(status) != HM_FAULT_FAILED) {
        return "a sanitizer's report";
    }
    return must_pass && plan->happened ? "this fault must be borne" : NULL;
}

static void count(struct loop *loop, const struct hm_test *test, int status)
{
    const char *finding = judge(status);

    loop->runs++;
    loop->met += plan->happened;
    loop->passed += plan->happened && status == 0;
    if (finding == NULL) {
        return;
    }
    loop->findings++;
    printf("FINDING: HM_FAULT=%s:%llu%s %s %s: %s\n", kind_names[plan->kind],
           (unsigned long long)plan->n, plan->later ? "+" : "", loop->program,
           test->name, finding);
    if (loop->findings <= SHOWN_MAX) {
        show_place();
        show_output(loop);
    }
}

struct chosen {
    uint64_t n[CHOSEN_MAX];
    size_t count;
};

static uint32_t
    seen[1 << 16]; /* how often each place was met, by the hash's low bits */

/* Calls by their place: at most each of one place, and the last call. */
static void choose_places(struct chosen *chosen, enum hm_fault_kind kind,
                          uint64_t total, uint64_t from, unsigned each)
{
    memset(seen, 0, sizeof seen);
    for (uint64_t n = 1; n <= total && n <= HM_FAULT_PATHS_MAX; n++) {
        uint32_t *met = &seen[plan->paths[kind][n - 1] % (1 << 16)];

        if ((*met < each || n == total) && n >= from && chosen->count < CHOSEN_MAX) {
            chosen->n[chosen->count++] = n;
        }
        (*met)++;
    }
}

/* Some of them, spread evenly; salt moves them, so that not every test tries the same
 * part of what all tests do. */
static void thin_out(struct chosen *chosen, size_t count, uint32_t salt)
{
    size_t all = chosen->count;

    if (all > count) {
        for (size_t i = 0; i < count; i++) {
            chosen->n[i] = chosen->n[(i * all + salt % all) / count];
        }
        chosen->count = count;
    }
}

static void choose(const struct loop *loop, struct chosen *chosen,
                   enum hm_fault_kind kind, uint64_t total)
{
    chosen->count = 0;
    if (loop->all) {
        for (uint64_t n = 1; n <= total && n <= ALL_MAX; n++) {
            chosen->n[chosen->count++] = n;
        }
        choose_places(chosen, kind, total, ALL_MAX + 1, 3);
    } else {
        choose_places(chosen, kind, total, 1, 1);
        thin_out(chosen, kind == HM_FAULT_ALLOC ? 6 : 3, loop->salt);
    }
}

/* Few enough that all runs of the test end in time. */
static void bound(const struct loop *loop, struct chosen *chosen)
{
    double time = (loop->all ? test_long_s : test_s) / loop->clean_s;
    double rest = (double)(loop->salt % 1000) / 1000; /* of a run, for the next kind */
    size_t total = 0;

    for (int kind = 0; kind < HM_FAULT_KIND_COUNT; kind++) {
        total += chosen[kind].count * (loop->all ? 2 : 1);
    }
    for (int kind = 0; (double)total > time && kind < HM_FAULT_KIND_COUNT; kind++) {
        rest += (double)chosen[kind].count * time / (double)total;
        thin_out(&chosen[kind], (size_t)rest, loop->salt);
        rest -= (double)(size_t)rest;
    }
}

/* A call that is always interrupted is tried again for ever, and who waits for a socket
 * that never works waits for a time limit. */
static bool for_good(enum hm_fault_kind kind)
{
    return kind != HM_FAULT_INTR && kind != HM_FAULT_NET;
}

/* The runs of one kind: each call alone; and it and all later ones. In the short form
 * one after the other. */
static void try_kind(struct loop *loop, struct hm_test *test, enum hm_fault_kind kind,
                     const struct chosen *chosen)
{
    for (size_t i = 0; i < chosen->count; i++) {
        for (int later = 0; later < 2; later++) {
            if (later == 1 && !for_good(kind)) {
                continue;
            }
            if (loop->all || !for_good(kind) || (size_t)later == i % 2) {
                plan->kind = kind;
                plan->n = chosen->n[i];
                plan->later = later == 1;
                count(loop, test, run_once(loop, test));
            }
        }
    }
}

static uint32_t salt_of(const char *text)
{
    uint32_t hash = 2166136261U;

    for (; *text != 0; text++) {
        hash = (hash ^ (uint8_t)*text) * 16777619U;
    }
    return hash >> 8;
}

static void try_test(struct loop *loop, struct hm_test *test)
{
    static struct chosen chosen[HM_FAULT_KIND_COUNT];
    double start = clock_s();
    int status;

    plan->n = 0;
    plan->kind = HM_FAULT_ALLOC;
    plan->keep_paths = true;
    loop->clean_s = 60;
    status = run_once(loop, test);
    plan->keep_paths = false;
    loop->clean_s = clock_s() - start;
    loop->salt = salt_of(test->name);
    loop->scenarios++;
    printf("%s, %.0f ms:", test->name, loop->clean_s * 1000);
    for (int kind = 0; kind < HM_FAULT_KIND_COUNT; kind++) {
        uint64_t total = plan->counts[kind];

        choose(loop, &chosen[kind], (enum hm_fault_kind)kind, total);
    }
    bound(loop, chosen);
    for (int kind = 0; kind < HM_FAULT_KIND_COUNT; kind++) {
        if (plan->counts[kind] > 0) {
            printf(" %s %zu of %llu", kind_names[kind], chosen[kind].count,
                   (unsigned long long)plan->counts[kind]);
        }
    }
    printf("\n");
    if (status != 0) {
        printf("FINDING: %s %s fails when nothing else does, status %d\n",
               loop->program, test->name, status);
        show_output(loop);
        loop->findings++;
        return;
    }
    for (int kind = 0; !loop->count_only && kind < HM_FAULT_KIND_COUNT; kind++) {
        try_kind(loop, test, (enum hm_fault_kind)kind, &chosen[kind]);
    }
}

static bool make_loop(struct loop *loop)
{
    const char *tmp = getenv("TMPDIR");
    struct stat info;

    /* Files of a run live for milliseconds: in memory, where that is to be had. */
    if (tmp == NULL) {
        tmp = stat("/dev/shm", &info) == 0 && access("/dev/shm", W_OK) == 0 ? "/dev/shm"
                                                                            : "/tmp";
    }
    (void)snprintf(kept, sizeof kept, "%s/hamletd-fault-XXXXXX", tmp);
    loop->output = memfd_create("output", MFD_CLOEXEC);
    if (loop->output < 0 || mkdtemp(kept) == NULL) {
        return false;
    }
    (void)snprintf(loop->folder, sizeof loop->folder, "%.200s/run", kept);
    return setenv("TMPDIR", loop->folder, 1) == 0;
}

static int run_loop(struct hm_test *tests, const char *name,
                    int (*run)(struct hm_test *), bool count_only)
{
    const char *all = getenv("HM_TEST_LONG");
    struct loop loop = {
        .run = run, .program = program_invocation_short_name, .count_only = count_only};

    loop.all = all != NULL && all[0] == '1';
    if (!make_plan() || !make_loop(&loop)) {
        (void)fprintf(stderr, "fault: no plan: is the shared object preloaded?\n");
        return 2;
    }
    for (struct hm_test *test = tests; test != NULL; test = test->next) {
        if (name == NULL || strcmp(name, test->name) == 0) {
            try_test(&loop, test);
        }
    }
    (void)nftw(kept, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    printf("%lu runs met their fault, %lu of these passed\n", loop.met, loop.passed);
    printf("%u scenarios, %lu runs, %lu findings\n", loop.scenarios, loop.runs,
           loop.findings);
    return loop.findings == 0 && loop.scenarios > 0 ? 0 : 1;
}

int hm_fault_main(struct hm_test *tests, const char *name, int (*run)(struct hm_test *))
{
    const char *text = getenv("HM_FAULT");
    const char *number = text == NULL ? NULL : strchr(text, ':');

    if (text == NULL) {
        return -1;
    }
    if (strcmp(text, "loop") == 0 || strcmp(text, "count") == 0) {
        return run_loop(tests, name, run, text[0] == 'c');
    }
    for (int kind = 0; number != NULL && kind < HM_FAULT_KIND_COUNT; kind++) {
        if (strncmp(text, kind_names[kind], (size_t)(number - text)) == 0 &&
            kind_names[kind][number - text] == 0 && make_plan()) {
            plan->kind = (enum hm_fault_kind)kind;
            plan->n = strtoull(number + 1, NULL, 10);
            plan->later = strchr(number, '+') != NULL;
            single = true;
            return -1;
        }
    }
    (void)fprintf(stderr, "fault: HM_FAULT is loop, or a kind, : and a number\n");
    return 2;
}
