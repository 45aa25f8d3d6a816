#include "tests/crash/matrix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/crash/act.h"
#include "tests/crash/dump.h"

enum { SHOWS_BYTES_MAX = 256 * 1024, TABLES_BYTES_MAX = 16 * 1024 * 1024 };

/* -- Points as text ------------------------------------------------------------------
 */

static const char *const kind_names[] = {"cut", "unsafe", "again", "fault", "rot"};
static const char *const after_names[] = {"stays", "ends", "dies"};

/* What can fail, and what a caller may be told then, beside HM_OK. */
static const struct {
    const char *name;
    unsigned classes;
    enum hm_simdisk_failure failure;
    bool lasting;
    int allowed[3];
} faults[] = {
    {"read", HM_SIMDISK_READ, HM_SIMDISK_EIO, false, {HM_IO}},
    {"short", HM_SIMDISK_READ, HM_SIMDISK_SHORT, false, {HM_IO, HM_CORRUPT}},
    {"write", HM_SIMDISK_WRITE, HM_SIMDISK_EIO, false, {HM_IO}},
    {"sync", HM_SIMDISK_SYNC, HM_SIMDISK_EIO, false, {HM_IO}},
    {"full",
     HM_SIMDISK_WRITE | HM_SIMDISK_OPEN | HM_SIMDISK_SHM,
     HM_SIMDISK_ENOSPC,
     true,
     {HM_NOSPACE}},
    {"other",
     HM_SIMDISK_TRUNCATE | HM_SIMDISK_OPEN | HM_SIMDISK_DELETE | HM_SIMDISK_SHM,
     HM_SIMDISK_EIO,
     false,
     {HM_IO}},
};

const unsigned hm_point_fault_count = sizeof faults / sizeof faults[0];

static const char *const rot_names[] = {"bit", "sector", "page"};

unsigned hm_point_choices(enum hm_point_kind kind)
{
    return kind == HM_POINT_FAULT ? hm_point_fault_count
           : kind == HM_POINT_ROT ? sizeof rot_names / sizeof rot_names[0]
                                  : HM_SIMDISK_PATTERNS_;
}

static const char *choice_name(enum hm_point_kind kind, unsigned choice)
{
    return kind == HM_POINT_FAULT ? faults[choice].name
           : kind == HM_POINT_ROT
               ? rot_names[choice]
               : hm_simdisk_pattern_name((enum hm_simdisk_pattern)choice);
}

void hm_point_to_text(const struct hm_point *point, char *out, size_t size)
{
    (void)snprintf(out, size, "%s:%s:%llu:%llu:%s:%llu", kind_names[point->kind],
                   choice_name(point->kind, point->choice),
                   (unsigned long long)point->at, (unsigned long long)point->again,
                   after_names[point->after], (unsigned long long)point->seed);
}

bool hm_point_from_text(const char *text, struct hm_point *out)
{
    char kind[16], choice[16], after[16];
    unsigned long long at, again, seed;

    if (sscanf(text, "%15[^:]:%15[^:]:%llu:%llu:%15[^:]:%llu", kind, choice, &at,
               &again, after, &seed) != 6 ||
        at == 0) {
        return false;
    }
    *out = (struct hm_point){.kind = HM_POINT_KINDS_,
                             .at = at,
                             .again = again,
                             .after = HM_AFTERS_,
                             .seed = seed};
    for (unsigned i = 0; i < HM_POINT_KINDS_; i++) {
        if (strcmp(kind, kind_names[i]) == 0) {
            out->kind = (enum hm_point_kind)i;
        }
    }
    for (unsigned i = 0; i < HM_AFTERS_; i++) {
        if (strcmp(after, after_names[i]) == 0) {
            out->after = (enum hm_point_after)i;
        }
    }
    if (out->kind == HM_POINT_KINDS_ || out->after == HM_AFTERS_) {
        return false;
    }
    out->choice = hm_point_choices(out->kind);
    for (unsigned i = 0; i < hm_point_choices(out->kind); i++) {
        if (strcmp(choice, choice_name(out->kind, i)) == 0) {
            out->choice = i;
        }
    }
    return out->choice < hm_point_choices(out->kind);
}

/* -- Playing -------------------------------------------------------------------------
 */

static struct hm_simdisk *disk_of(struct hm_matrix *m)
{
    return m->world.disks[m->world.victim];
}

/* From step *inout_next on, as far as it goes. */
static int play(struct hm_matrix *m, unsigned *inout_next)
{
    int err = HM_OK;

    while (err == HM_OK && *inout_next < HM_SCENARIO_STEPS_MAX &&
           m->scenario->steps[*inout_next] != NULL) {
        err = m->scenario->steps[*inout_next](&m->world);
        *inout_next += err == HM_OK ? 1 : 0;
    }
    return err;
}

static const char *errmsg(struct hm_matrix *m)
{
    struct hm_store *s = hm_world_node(&m->world, m->world.victim)->node.store;

    return s == NULL ? "not open" : hm_store_errmsg(s);
}

static int show(struct hm_matrix *m, struct hm_buf *buf)
{
    return m->scenario->bare ? HM_OK : hm_act_summary(&m->world, m->world.victim, buf);
}

bool hm_matrix_open(struct hm_matrix *m, const struct hm_scenario *scenario,
                    enum hm_world_plant plant, const char *prefix)
{
    struct hm_world *w = &m->world;
    unsigned next = 0;
    int err;

    m->scenario = scenario;
    m->end = NULL;
    hm_world_open(w, prefix);
    w->victim = scenario->victim;
    scenario->prepare(w);
    hm_world_freeze(w);
    hm_world_reset(w);
    w->plant = plant;
    w->autocheckpoint = scenario->autocheckpoint;
    w->cache = scenario->cache;
    hm_buf_init(&m->shows, SHOWS_BYTES_MAX);
    hm_buf_init(&m->tables, TABLES_BYTES_MAX);
    err = play(m, &next);
    if (err == HM_OK) {
        err = show(m, &m->shows);
    }
    if (err == HM_OK && scenario->rots) {
        err = hm_dump_tables(hm_store_db(hm_world_node(w, w->victim)->node.store),
                             &m->tables);
        hm_world_stop(w, w->victim);
        m->end = hm_simdisk_copy(disk_of(m), NULL);
    }
    if (err != HM_OK) {
        char why[HM_WORLD_WHY_MAX];

        memcpy(why, w->why, sizeof why);
        return hm_world_fail(w, "step %u without a fault: %s: %.150s %.150s", next,
                             hm_err_name(err), errmsg(m), why);
    }
    return true;
}

void hm_matrix_close(struct hm_matrix *m)
{
    hm_buf_deinit(&m->shows);
    hm_buf_deinit(&m->tables);
    hm_simdisk_destroy(m->end);
    hm_world_close(&m->world);
}

/* Open the victim and look at all of it. */
static enum hm_point_result inspect(struct hm_matrix *m, const char *when)
{
    struct hm_world *w = &m->world;
    enum hm_check_finding finding = HM_CHECK_SOUND;
    char why[HM_WORLD_WHY_MAX];

    w->why[0] = 0;
    if (!m->scenario->bare) {
        int err = hm_world_start(w, w->victim);

        if (err != HM_OK) {
            (void)hm_world_fail(w, "%s: the store does not open: %s", when,
                                hm_err_name(err));
            return HM_POINT_CORRUPT;
        }
        finding = hm_check_node(w, w->victim);
    }
    if (finding == HM_CHECK_SOUND && m->scenario->holds != NULL &&
        !m->scenario->holds(w)) {
        finding = HM_CHECK_CORRUPT;
    }
    if (finding == HM_CHECK_SOUND) {
        return HM_POINT_SOUND;
    }
    memcpy(why, w->why, sizeof why);
    (void)hm_world_fail(w, "%s: %.400s", when, why);
    return finding == HM_CHECK_LOST ? HM_POINT_LOST : HM_POINT_CORRUPT;
}

static void boot(struct hm_matrix *m)
{
    hm_simdisk_boot(disk_of(m));
    hm_world_stop(&m->world, m->world.victim); /* of before the cut: it is dead */
}

/* The rest of the scenario, to the same end, and nothing of it is lost when the power
 * fails behind it. */
static enum hm_point_result finish(struct hm_matrix *m, unsigned next,
                                   const struct hm_point *point)
{
    struct hm_buf shows;
    enum hm_point_result result;
    int err = play(m, &next);

    if (err != HM_OK) {
        char why[HM_WORLD_WHY_MAX];

        memcpy(why, m->world.why, sizeof why);
        (void)hm_world_fail(&m->world, "going on, step %u: %s: %.150s %.150s", next,
                            hm_err_name(err), errmsg(m), why);
        return HM_POINT_CORRUPT;
    }
    hm_simdisk_cut_now(disk_of(m), HM_SIMDISK_NONE, point->seed);
    boot(m);
    result = inspect(m, "after the end");
    if (result != HM_POINT_SOUND) {
        return result;
    }
    hm_buf_init(&shows, SHOWS_BYTES_MAX);
    err = show(m, &shows);
    if (err != HM_OK ||
        !hm_bytes_equal(hm_buf_bytes(&shows), hm_buf_bytes(&m->shows))) {
        (void)hm_world_fail(&m->world, "it ends otherwise: %s\n%.200s",
                            hm_err_name(err), shows.len > 0 ? hm_buf_str(&shows) : "");
        result = HM_POINT_CORRUPT;
    }
    hm_buf_deinit(&shows);
    return result;
}

/* -- Power ---------------------------------------------------------------------------
 */

static enum hm_point_result run_cut(struct hm_matrix *m, const struct hm_point *point)
{
    struct hm_simdisk_cut cut = {.at = point->at,
                                 .pattern = (enum hm_simdisk_pattern)point->choice,
                                 .seed = point->seed};
    enum hm_point_result result;
    unsigned next = 0;

    hm_simdisk_cut_at(disk_of(m), &cut);
    (void)play(m, &next); /* ends somewhere in the dark */
    if (!hm_simdisk_is_dark(disk_of(m))) {
        return HM_POINT_BEHIND;
    }
    boot(m);
    if (point->kind == HM_POINT_AGAIN) {
        cut.at = point->again;
        cut.seed++;
        cut.reads = true;
        hm_simdisk_cut_at(disk_of(m), &cut);
        (void)play(m, &next);
        if (!hm_simdisk_is_dark(disk_of(m))) {
            hm_simdisk_cut_now(disk_of(m), cut.pattern, cut.seed);
        }
        boot(m);
    }
    result = inspect(m, "after the cut");
    return result == HM_POINT_SOUND ? finish(m, next, point) : result;
}

/* -- Faults --------------------------------------------------------------------------
 */

static bool is_allowed(unsigned choice, int err)
{
    for (size_t i = 0; i < sizeof faults[0].allowed / sizeof faults[0].allowed[0];
         i++) {
        if (err == faults[choice].allowed[i]) {
            return true; /* what fills up the array is HM_OK: it may be borne */
        }
    }
    return false;
}

static enum hm_point_result run_fault(struct hm_matrix *m, const struct hm_point *point)
{
    struct hm_world *w = &m->world;
    struct hm_simdisk_fault fault = {.classes = faults[point->choice].classes,
                                     .at = point->at,
                                     .lasting = faults[point->choice].lasting,
                                     .failure = faults[point->choice].failure};
    enum hm_point_result result = HM_POINT_SOUND;
    unsigned next = 0;
    int err;

    hm_simdisk_fail(disk_of(m), &fault);
    err = play(m, &next);
    if (hm_simdisk_failed(disk_of(m)) == 0) {
        return HM_POINT_BEHIND;
    }
    hm_simdisk_heal(disk_of(m));
    if (!is_allowed(point->choice, err)) {
        (void)hm_world_fail(w, "step %u said %s (%.200s)", next, hm_err_name(err),
                            errmsg(m));
        return HM_POINT_CORRUPT;
    }
    if (point->after == HM_AFTER_DIES) {
        hm_simdisk_kill(disk_of(m));
    }
    if (point->after != HM_AFTER_STAYS) {
        hm_world_stop(w, w->victim);
    }
    if (!m->scenario->bare || point->after != HM_AFTER_STAYS) {
        result = inspect(m, "after the fault");
    }
    return result == HM_POINT_SOUND ? finish(m, next, point) : result;
}

/* -- Rot -----------------------------------------------------------------------------
 */

/* False: the file has no such place. */
static bool damage(struct hm_matrix *m, const struct hm_point *point)
{
    static const int64_t distance[] = {13, 512, 4096};
    const char *path = hm_world_path(&m->world, m->world.victim);
    int64_t size = hm_simdisk_size(disk_of(m), path);
    int64_t at = ((int64_t)point->at - 1) * distance[point->choice];
    uint8_t bytes[4096] = {0};

    if (at >= size) {
        return false;
    }
    if (point->choice == 0) {
        hm_simdisk_flip(disk_of(m), path, 8 * at + (int64_t)point->at % 8);
    } else if (point->choice == 1) {
        hm_simdisk_scribble(disk_of(m), path, at, bytes, 512);
    } else {
        (void)hm_simdisk_peek(disk_of(m), path, (at + 4096) % size, bytes,
                              sizeof bytes);
        hm_simdisk_scribble(disk_of(m), path, at, bytes, sizeof bytes);
    }
    return true;
}

/* Whoever reads is told of the damage, or gets the truth. */
static enum hm_point_result run_rot(struct hm_matrix *m, const struct hm_point *point)
{
    struct hm_world *w = &m->world;
    struct hm_buf shows;
    struct hm_buf tables;
    int err;
    bool same;

    if (m->end == NULL) {
        return HM_POINT_BEHIND;
    }
    hm_simdisk_restore(disk_of(m), m->end);
    if (!damage(m, point)) {
        return HM_POINT_BEHIND;
    }
    hm_buf_init(&shows, SHOWS_BYTES_MAX);
    hm_buf_init(&tables, TABLES_BYTES_MAX);
    err = hm_world_start(w, w->victim);
    if (err == HM_OK) {
        err = show(m, &shows);
    }
    if (err == HM_OK) {
        err = hm_dump_tables(hm_store_db(hm_world_node(w, w->victim)->node.store),
                             &tables);
    }
    same = err == HM_OK &&
           hm_bytes_equal(hm_buf_bytes(&shows), hm_buf_bytes(&m->shows)) &&
           hm_bytes_equal(hm_buf_bytes(&tables), hm_buf_bytes(&m->tables));
    hm_buf_deinit(&shows);
    hm_buf_deinit(&tables);
    if (err != HM_CORRUPT && !same) {
        (void)hm_world_fail(w, "damage is served: %s", hm_err_name(err));
        return HM_POINT_CORRUPT;
    }
    return HM_POINT_SOUND;
}

enum hm_point_result hm_matrix_run(struct hm_matrix *m, const struct hm_point *point)
{
    hm_world_reset(&m->world);
    hm_simdisk_set_powersafe(disk_of(m), point->kind != HM_POINT_UNSAFE);
    switch (point->kind) {
    case HM_POINT_FAULT:
        return run_fault(m, point);
    case HM_POINT_ROT:
        return run_rot(m, point);
    case HM_POINT_CUT:
    case HM_POINT_UNSAFE:
    case HM_POINT_AGAIN:
    case HM_POINT_KINDS_:
    default:
        return run_cut(m, point);
    }
}
