#include "tests/sim/plan.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/rng.h"

enum {
    MINUTE_MS = 60 * 1000,
    HOUR_MS = 60 * MINUTE_MS,
    DAY_MS = 24 * HOUR_MS,
    QUIET_END_MS = 2 * HOUR_MS /* no new fault in the last hours of a season */
};

static const struct {
    const char *text;
    bool fault;
} kinds[SIM_STEP_KINDS] = {
#define SIM_STEP_ROW(name, text, fault) {text, fault},
    SIM_STEP_TABLE(SIM_STEP_ROW)
#undef SIM_STEP_ROW
};

const char *sim_step_text(enum sim_step_kind kind)
{
    return kinds[kind].text;
}

bool sim_step_is_fault(enum sim_step_kind kind)
{
    return kinds[kind].fault;
}

unsigned sim_plan_nodes(const struct sim_shape *shape)
{
    return 1 + shape->laptops + shape->hubs;
}

bool sim_plan_is_hub(const struct sim_shape *shape, unsigned node)
{
    return node > shape->laptops && node <= shape->laptops + shape->hubs;
}

unsigned sim_plan_parents(const struct sim_shape *shape, unsigned node,
                          unsigned out[SIM_HUBS_MAX + 1])
{
    unsigned upper = (shape->hubs + 1) / 2;
    unsigned hubs = shape->hubs; /* that may be its parents */
    unsigned first = node % (shape->hubs + 1);

    if (sim_plan_is_hub(shape, node)) {
        bool is_upper = node - shape->laptops <= upper;

        hubs = is_upper ? 0 : upper;
        first = is_upper ? 0 : 1 + node % upper;
    }
    for (unsigned i = 0; i <= hubs; i++) {
        unsigned choice = (first + i) % (hubs + 1);

        out[i] = choice == 0 ? 0 : shape->laptops + choice;
    }
    return hubs + 1;
}

const char *sim_time_text(uint64_t at_ms)
{
    static char texts[8][40];
    static unsigned next;
    char *text = texts[next++ % 8];

    (void)snprintf(text, sizeof texts[0],
                   "%" PRIu64 "d %02" PRIu64 ":%02" PRIu64 ":%02" PRIu64 ".%03" PRIu64,
                   at_ms / DAY_MS, at_ms / HOUR_MS % 24, at_ms / MINUTE_MS % 60,
                   at_ms / 1000 % 60, at_ms % 1000);
    return text;
}

void sim_plan_add(struct sim_plan *plan, const struct sim_step *step)
{
    if (plan->count == plan->room) {
        plan->room = 2 * plan->room + 256;
        plan->steps = realloc(plan->steps, plan->room * sizeof plan->steps[0]);
        if (plan->steps == NULL) {
            abort();
        }
    }
    plan->steps[plan->count++] = *step;
}

void sim_plan_copy(struct sim_plan *to, const struct sim_plan *from)
{
    *to = (struct sim_plan){.shape = from->shape};
    for (size_t i = 0; i < from->count; i++) {
        sim_plan_add(to, &from->steps[i]);
    }
}

void sim_plan_free(struct sim_plan *plan)
{
    free(plan->steps);
    *plan = (struct sim_plan){0};
}

/* -- Making one ------------------------------------------------------------------- */

/* What a season is about, beside the everyday faults, which all have. */
enum theme { THEME_HUBS, THEME_HOUSEHOLDS, THEME_RESTORES, THEME_PEOPLE, THEMES };

struct making {
    struct sim_plan *plan;
    struct hm_rng rng;
    enum theme theme;
    uint64_t end_ms;
    bool wants[SIM_STEP_KINDS]; /* the kinds of faults that this season has */
    bool turns;                 /* nodes turn from parent to parent */
};

static uint64_t draw(struct making *m, uint64_t below)
{
    return hm_rng_below(&m->rng, below);
}

static void add(struct making *m, uint64_t at_ms, enum sim_step_kind kind,
                unsigned node)
{
    struct sim_step step = {at_ms, kind, node, hm_rng_next(&m->rng)};

    if (sim_step_is_fault(kind) && at_ms + QUIET_END_MS > m->end_ms) {
        return;
    }
    if (at_ms < m->end_ms) {
        sim_plan_add(m->plan, &step);
    }
}

/* Working hours are not kept: the night saves as well as the day. */
static uint64_t moment(struct making *m)
{
    return draw(m, m->end_ms);
}

/* Sizes: the median is 8 nodes. */
static void choose_shape(struct making *m, unsigned days, bool short_season)
{
    static const unsigned nodes[] = {4, 6, 6, 7, 8, 8, 8, 9, 12, 16};
    struct sim_shape *shape = &m->plan->shape;
    unsigned count = short_season ? 2 + (unsigned)draw(m, 3)
                                  : nodes[draw(m, sizeof nodes / sizeof nodes[0])];

    if (!short_season && draw(m, 50) == 0) {
        count = 42;
    }
    if (m->theme == THEME_HUBS) { /* else everybody syncs with the centre */
        shape->hubs = 1 + (unsigned)draw(m, count < 6 ? 2 : SIM_HUBS_MAX);
        shape->hubs = shape->hubs > count - 2 ? count - 2 : shape->hubs;
    }
    shape->laptops = count - 1 - shape->hubs;
    shape->days = days != 0 ? days : 60;
    m->end_ms = (uint64_t)shape->days * DAY_MS;
}

/* Some kinds belong to one theme. */
static void keep_to_theme(struct making *m)
{
    static const struct {
        enum sim_step_kind kind;
        enum theme theme;
    } owned[] = {
        {SIM_MOVE, THEME_HOUSEHOLDS},   {SIM_MERGE, THEME_HOUSEHOLDS},
        {SIM_DELETE, THEME_HOUSEHOLDS}, {SIM_DECIDE, THEME_HOUSEHOLDS},
        {SIM_RESTORE, THEME_RESTORES},  {SIM_CLONE, THEME_RESTORES},
        {SIM_ROLLBACK, THEME_RESTORES}, {SIM_DESTROY, THEME_RESTORES},
        {SIM_REASSIGN, THEME_PEOPLE},   {SIM_REVOKE, THEME_PEOPLE},
        {SIM_NARROW, THEME_PEOPLE},     {SIM_THERE, THEME_PEOPLE},
        {SIM_HIGHER, THEME_PEOPLE},     {SIM_DISABLE, THEME_PEOPLE},
    };

    if (m->theme == THEME_RESTORES) { /* an image has other hours than its laptop */
        m->wants[SIM_WINDOW] = false;
        m->wants[SIM_COST] = false;
    }
    for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++) {
        if (owned[i].theme != m->theme) {
            m->wants[owned[i].kind] = false;
        }
    }
}

/* Swarm testing: a season has some kinds of faults and not others, since all together
 * hide one another. */
static void choose_faults(struct making *m)
{
    bool sets_centre_back = m->theme == THEME_RESTORES && draw(m, 2) == 0;

    m->turns = draw(m, 3) != 0;
    for (int kind = 0; kind < SIM_STEP_KINDS; kind++) {
        m->wants[kind] =
            !sim_step_is_fault((enum sim_step_kind)kind) || draw(m, 2) == 0;
    }
    m->wants[SIM_FORM] = draw(m, 2) == 0;
    m->wants[SIM_MOVE] = draw(m, 2) == 0;
    m->wants[SIM_MERGE] = draw(m, 2) == 0;
    m->wants[SIM_DELETE] = draw(m, 2) == 0;
    m->wants[SIM_DECIDE] = draw(m, 2) == 0;
    m->wants[SIM_HERD] = draw(m, 2) == 0;
    keep_to_theme(m);
    /* A form that was published since the backup is published again: its package does
     * not come back from the laptops. */
    if (sets_centre_back) {
        m->wants[SIM_FORM] = false;
    }
    m->wants[SIM_RESTORE] = m->wants[SIM_RESTORE] || sets_centre_back;
    if (m->wants[SIM_RESTORE]) {
        unsigned victim =
            sets_centre_back ? 0 : 1 + (unsigned)draw(m, m->plan->shape.laptops);
        uint64_t image_ms = moment(m);
        uint64_t back_ms = image_ms + draw(m, 5 * (uint64_t)DAY_MS);

        add(m, image_ms, SIM_IMAGE, victim);
        add(m, back_ms, SIM_RESTORE, victim);
    }
}

/* count times in a season of this length, on average per_day. */
static uint64_t times(struct making *m, double per_day)
{
    double expected = per_day * m->plan->shape.days;
    uint64_t whole = (uint64_t)expected;
    double rest = expected - (double)whole;

    return whole / 2 + draw(m, whole + 1) +
           ((double)draw(m, 1000000) < rest * 1000000.0 ? 1 : 0);
}

static void add_links(struct making *m, unsigned node, double per_day)
{
    uint64_t count = times(m, per_day);

    if (draw(m, 200) == 0) {
        return; /* a link for the whole season */
    }
    add(m, 0, SIM_LINK_DOWN, node);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t at_ms = moment(m);

        add(m, at_ms, SIM_LINK_UP, node);
        add(m, at_ms + 5000 + draw(m, 12 * MINUTE_MS), SIM_LINK_DOWN, node);
    }
}

static void add_saves(struct making *m, unsigned node, double per_day)
{
    uint64_t count = times(m, per_day);

    for (uint64_t i = 0; i < count; i++) {
        uint64_t at_ms = moment(m);
        uint64_t burst = draw(m, 6) == 0 ? 1 + draw(m, 4) : 1;

        for (uint64_t j = 0; j < burst; j++) {
            add(m, at_ms + j * (20000 + draw(m, 60000)), SIM_SAVE, node);
        }
    }
}

/* What people do with whole households. */
static void add_facts(struct making *m, unsigned node, double per_day)
{
    static const struct {
        enum sim_step_kind kind;
        enum sim_step_kind wanted_with;
        double share;
    } facts[] = {
        {SIM_MOVE, SIM_MOVE, 0.3},     {SIM_MERGE, SIM_MERGE, 0.3},
        {SIM_UNMERGE, SIM_MERGE, 0.2}, {SIM_SPLIT, SIM_DELETE, 0.1},
        {SIM_DELETE, SIM_DELETE, 0.2}, {SIM_DECIDE, SIM_DECIDE, 0.3},
        {SIM_UNDO, SIM_DECIDE, 0.3},
    };

    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++) {
        uint64_t count =
            m->wants[facts[i].wanted_with] ? times(m, facts[i].share * per_day) : 0;

        for (uint64_t j = 0; j < count; j++) {
            add(m, moment(m), facts[i].kind, node);
        }
    }
}

static void add_faults(struct making *m, unsigned node)
{
    static const struct {
        enum sim_step_kind kind;
        double per_day;
        bool laptops_only;
        enum sim_step_kind undone_by; /* SIM_STEP_KINDS: by itself */
        bool not_hubs;
    } faults[] = {
        {SIM_PAUSE, 0.02, true, SIM_RESUME, false},
        {SIM_RESTART, 0.05, false, SIM_STEP_KINDS, false},
        {SIM_NET, 0.5, true, SIM_STEP_KINDS, false},
        {SIM_POWER_CUT, 0.08, false, SIM_STEP_KINDS, false},
        {SIM_KILL, 0.08, false, SIM_STEP_KINDS, false},
        {SIM_IO_ERROR, 0.04, false, SIM_STEP_KINDS, false},
        {SIM_DISK_FULL, 0.02, false, SIM_DISK_FREE, false},
        {SIM_CLOCK, 0.05, false, SIM_STEP_KINDS, false},
        {SIM_DESTROY, 0.003, true, SIM_STEP_KINDS, false},
        {SIM_REASSIGN, 0.02, true, SIM_STEP_KINDS, true},
        {SIM_REVOKE, 0.003, true, SIM_STEP_KINDS, true},
        {SIM_UPGRADE, 0.01, true, SIM_STEP_KINDS, false},
        {SIM_OVERREACH, 0.1, true, SIM_STEP_KINDS, true},
        {SIM_NARROW, 0.02, true, SIM_BACK, true},
        {SIM_THERE, 0.02, true, SIM_BACK, true},
        {SIM_HIGHER, 0.01, true, SIM_BACK, true},
        {SIM_WINDOW, 0.1, true, SIM_STEP_KINDS, false},
        {SIM_COST, 0.1, true, SIM_STEP_KINDS, false},
        {SIM_DISABLE, 0.02, true, SIM_STEP_KINDS, true},
    };

    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        uint64_t count;

        if (!m->wants[faults[i].kind] || (faults[i].laptops_only && node == 0) ||
            (faults[i].not_hubs && sim_plan_is_hub(&m->plan->shape, node))) {
            continue;
        }
        count = times(m, faults[i].per_day);
        for (uint64_t j = 0; j < count; j++) {
            uint64_t at_ms = moment(m);

            add(m, at_ms, faults[i].kind, node);
            if (faults[i].undone_by != SIM_STEP_KINDS) {
                add(m, at_ms + draw(m, 2 * (uint64_t)DAY_MS), faults[i].undone_by,
                    node);
            }
        }
    }
}

/* A few days with one parent, some with another. */
static void add_turns(struct making *m, unsigned node)
{
    unsigned parents[SIM_HUBS_MAX + 1];

    if (node == 0 || !m->turns ||
        sim_plan_parents(&m->plan->shape, node, parents) == 1) {
        return;
    }
    for (uint64_t i = times(m, 0.2); i-- > 0;) {
        add(m, moment(m), SIM_TURN, node);
    }
}

static void add_seasonal(struct making *m)
{
    unsigned nodes = sim_plan_nodes(&m->plan->shape);

    if (m->wants[SIM_FORM]) {
        add(m, moment(m), SIM_FORM, 0);
    }
    if (m->wants[SIM_HERD]) {
        for (uint64_t i = times(m, 0.1); i-- > 0;) {
            add(m, moment(m), SIM_HERD, 0);
        }
    }
    if (m->wants[SIM_HOSTILE]) {
        for (uint64_t i = times(m, 0.3); i-- > 0;) {
            add(m, moment(m), SIM_HOSTILE, 0);
        }
    }
    if (m->wants[SIM_ROLLBACK] && !m->wants[SIM_CLONE] && !m->wants[SIM_RESTORE]) {
        unsigned victim = 1 + (unsigned)draw(m, nodes - 1);
        uint64_t image_ms = moment(m);

        add(m, image_ms, SIM_SNAPSHOT, victim);
        add(m, image_ms + draw(m, 2 * (uint64_t)DAY_MS), SIM_ROLLBACK, victim);
    }
    if (m->wants[SIM_CLONE] && nodes > 2) {
        unsigned victim = 1 + (unsigned)draw(m, m->plan->shape.laptops);
        uint64_t image_ms = moment(m);

        add(m, image_ms, SIM_IMAGE, victim);
        add(m, image_ms + draw(m, 3 * (uint64_t)DAY_MS), SIM_CLONE, victim);
    }
}

static int compare_steps(const void *a, const void *b)
{
    const struct sim_step *x = a;
    const struct sim_step *y = b;

    if (x->at_ms != y->at_ms) {
        return x->at_ms < y->at_ms ? -1 : 1;
    }
    return (x->param > y->param) - (x->param < y->param);
}

void sim_plan_make(struct sim_plan *plan, uint64_t seed, unsigned days,
                   bool short_season)
{
    struct making m = {.plan = plan, .rng = {seed * 0x9e3779b97f4a7c15U + 1}};
    unsigned nodes;

    *plan = (struct sim_plan){.shape = {.seed = seed}};
    m.theme = (enum theme)draw(&m, THEMES);
    choose_shape(&m, days, short_season);
    choose_faults(&m);
    nodes = sim_plan_nodes(&plan->shape);
    for (unsigned node = 0; node < nodes; node++) {
        /* A short season is busier: it has to find the same in five days. */
        double busy = short_season ? 4.0 : 0.6 + (double)draw(&m, 10) / 10.0;

        if (node > 0) {
            add_links(&m, node, busy);
        }
        add_turns(&m, node);
        if (sim_plan_is_hub(&plan->shape, node)) {
            add_faults(&m, node);
            continue;
        }
        /* The officer at the centre writes too. */
        if (node > 0 || draw(&m, 2) == 0) {
            add_saves(&m, node, node == 0 ? busy / 2 : busy);
            add_facts(&m, node, busy);
        }
        add_faults(&m, node);
    }
    add_seasonal(&m);
    qsort(plan->steps, plan->count, sizeof plan->steps[0], compare_steps);
}

/* -- Files ------------------------------------------------------------------------ */

void sim_plan_write(const struct sim_plan *plan, FILE *file)
{
    fprintf(file, "season seed=%" PRIu64 " laptops=%u hubs=%u days=%u\n",
            plan->shape.seed, plan->shape.laptops, plan->shape.hubs, plan->shape.days);
    for (size_t i = 0; i < plan->count; i++) {
        const struct sim_step *step = &plan->steps[i];

        fprintf(file, "%" PRIu64 " %s node=%u param=%" PRIx64 "\n", step->at_ms,
                sim_step_text(step->kind), step->node, step->param);
    }
}

static bool read_step(const char *line, struct sim_step *step)
{
    char text[32];

    if (sscanf(line, "%" SCNu64 " %31s node=%u param=%" SCNx64, &step->at_ms, text,
               &step->node, &step->param) != 4) {
        return false;
    }
    for (int kind = 0; kind < SIM_STEP_KINDS; kind++) {
        if (strcmp(text, kinds[kind].text) == 0) {
            step->kind = (enum sim_step_kind)kind;
            return step->node < SIM_NODES_MAX;
        }
    }
    return false;
}

/* hubs= may be left out. */
static bool read_shape(const char *line, struct sim_shape *shape)
{
    bool good = sscanf(line, "season seed=%" SCNu64 " laptops=%u hubs=%u days=%u",
                       &shape->seed, &shape->laptops, &shape->hubs, &shape->days) == 4;

    if (!good) {
        shape->hubs = 0;
        good = sscanf(line, "season seed=%" SCNu64 " laptops=%u days=%u", &shape->seed,
                      &shape->laptops, &shape->days) == 3;
    }
    return good && shape->days > 0 && shape->hubs <= SIM_HUBS_MAX &&
           shape->laptops > 0 && sim_plan_nodes(shape) < SIM_NODES_MAX;
}

bool sim_plan_read(struct sim_plan *plan, const char *path)
{
    FILE *file = fopen(path, "r");
    char line[200];
    unsigned number = 0;
    bool good = true;

    *plan = (struct sim_plan){0};
    if (file == NULL) {
        fprintf(stderr, "sim: %s can't be opened\n", path);
        return false;
    }
    while (good && fgets(line, sizeof line, file) != NULL) {
        struct sim_step step = {0};

        number++;
        if (line[0] == '#' || line[0] == '\n') {
            continue;
        }
        if (plan->shape.days == 0) {
            good = read_shape(line, &plan->shape);
        } else {
            good = read_step(line, &step);
            if (good) {
                sim_plan_add(plan, &step);
            }
        }
        if (!good) {
            fprintf(stderr, "sim: %s:%u: not a line of a plan\n", path, number);
        }
    }
    (void)fclose(file); /* only read */
    if (good && plan->shape.days == 0) {
        fprintf(stderr, "sim: %s: no plan\n", path);
        good = false;
    }
    return good;
}
