/* What a step of the plan does to the world. */
#include <stdio.h>
#include <string.h>

#include "storage/devices.h"
#include "storage/log.h"
#include "storage/people.h"
#include "tests/sim/sim.h"

enum { HOUR_MS = 60 * 60 * 1000, CUT_SOON = 60, /* I/Os */ CUT_LATE = 600 };

void sim_set_link(struct sim_node *n, bool up)
{
    if (n->linked == up) {
        return;
    }
    n->linked = up;
    sim_tell(n->sim, n, up ? "has a link" : "has no link");
    if (sim_node_runs(n) && n->index != 0) {
        sim_upsync(n, up ? HM_UPSYNC_EV_LINK_UP : HM_UPSYNC_EV_LINK_DOWN);
    }
}

static void arm_cut(struct sim_node *n, uint64_t param, bool power)
{
    struct hm_rng rng = {param};
    struct hm_simdisk_cut cut = {.seed = hm_rng_next(&rng)};

    cut.at = 1 + hm_rng_below(&rng, hm_rng_below(&rng, 4) == 0 ? CUT_LATE : CUT_SOON);
    cut.reads = hm_rng_below(&rng, 8) == 0;
    cut.pattern = (enum hm_simdisk_pattern)hm_rng_below(&rng, HM_SIMDISK_PATTERNS_);
    cut.kills = !power;
    sim_tell(n->sim, n, "will be %s at I/O %llu (%s)", power ? "cut off" : "killed",
             (unsigned long long)cut.at,
             power ? hm_simdisk_pattern_name(cut.pattern) : "nothing is lost by it");
    hm_simdisk_cut_at(n->disk, &cut);
}

static void arm_fault(struct sim_node *n, uint64_t param)
{
    static const unsigned classes[] = {HM_SIMDISK_SYNC, HM_SIMDISK_SYNC,
                                       HM_SIMDISK_WRITE, HM_SIMDISK_READ};
    struct hm_rng rng = {param};
    struct hm_simdisk_fault fault = {.failure = HM_SIMDISK_EIO};

    fault.classes = classes[hm_rng_below(&rng, 4)];
    fault.at = 1 + hm_rng_below(&rng, 20);
    sim_tell(n->sim, n, "its disk will fail (%s %llu)",
             fault.classes == HM_SIMDISK_SYNC    ? "sync"
             : fault.classes == HM_SIMDISK_WRITE ? "write"
                                                 : "read",
             (unsigned long long)fault.at);
    hm_simdisk_fail(n->disk, &fault);
}

static void set_clock(struct sim_node *n, uint64_t param)
{
    static const int64_t day_ms = 24LL * HOUR_MS;
    struct hm_rng rng = {param};
    const int64_t offsets[] = {
        -20600 * day_ms,       3650 * day_ms, -2 * day_ms, 2 * day_ms,
        -3 * (int64_t)HOUR_MS, 90000,         0,           0};

    n->clock_offset_ms = offsets[hm_rng_below(&rng, 8)];
    n->clock_lied = true;
    sim_tell(n->sim, n, "its clock is off by %lld s",
             (long long)n->clock_offset_ms / 1000);
    if (sim_node_runs(n) && n->index != 0) {
        sim_tell_limits(n);
    }
}

static int note_log(void *arg, const struct hm_log *log)
{
    sim_fact_raise(arg, log->author.incarnation, log->entries);
    return HM_OK;
}

static void note_logs(struct sim_node *n)
{
    n->image_logs.count = 0;
    if (sim_node_runs(n) && hm_store_begin_read(n->store) == HM_OK) {
        int err =
            hm_store_end(n->store, hm_log_each(n->store, note_log, &n->image_logs));

        (void)sim_node_survives(n, err, "look at its logs"); /* if not, it is over */
    }
}

static void make_image(struct sim_node *n, uint64_t param)
{
    (void)param;
    if (hm_simdisk_is_dark(n->disk)) {
        return;
    }
    hm_simdisk_destroy(n->image);
    n->image = hm_simdisk_copy(n->disk, NULL);
    SIM_MUST(n->image != NULL);
    sim_facts_copy(&n->image_own, &n->own);
    note_logs(n);
    sim_tell(n->sim, n, "an image of its disk is made");
}

static void excuse_all(struct sim_node *n)
{
    struct sim_model *model = &n->sim->model;

    for (size_t i = 0; i < model->change_count; i++) {
        if (model->changes[i].node == n->index) {
            model->changes[i].excused = true;
        }
    }
}

static void destroy(struct sim_node *n, uint64_t param)
{
    (void)param;
    sim_tell(n->sim, n, "is lost for good");
    sim_node_stop(n);
    n->destroyed = true;
    n->unsteady = true;
    n->start_at_ms = 0;
    excuse_all(n);
}

/* At the centre, for a laptop. Returns whether it is done. */
static bool administer(struct sim_node *n, int (*work)(struct sim_node *n, void *arg),
                       void *arg)
{
    struct sim_node *centre = &n->sim->nodes[0];
    int err;

    if (!sim_node_runs(centre)) {
        return false;
    }
    err = hm_store_begin(centre->store);
    if (err == HM_OK) {
        err = hm_store_end(centre->store, work(n, arg));
    }
    return sim_node_survives(centre, err, "administer") && err == HM_OK;
}

static int revoke_work(struct sim_node *n, void *arg)
{
    (void)arg;
    return hm_devices_revoke(n->sim->nodes[0].store, n->device);
}

/* Units to be assigned. */
struct units {
    uint32_t ids[2];
    size_t count;
};

static int reassign_work(struct sim_node *n, void *arg)
{
    const struct units *units = arg;

    return hm_devices_reassign(n->sim->nodes[0].store, n->device, units->ids,
                               units->count);
}

static void revoke(struct sim_node *n, uint64_t param)
{
    bool known;

    (void)param;
    if (n->revoked || !sim_node_runs(&n->sim->nodes[0])) {
        return;
    }
    /* If the centre dies in it, nobody knows whether it was done: it counts as done. */
    known = administer(n, revoke_work, NULL);
    sim_tell(n->sim, n, "is revoked");
    n->sim->was_hostile = true; /* what it still sends belongs into quarantine */
    for (unsigned i = 1; i < n->sim->node_count; i++) {
        struct sim_node *other = &n->sim->nodes[i];

        if (other->device == n->device) {
            other->revoked = true;
            other->revoked_at_ms = n->sim->now_ms;
            other->revoked_perhaps = !known;
            other->unsteady = true;
            other->excused = true;
            excuse_all(other);
        }
    }
}

static void assign(struct sim_node *n, const unsigned places[2])
{
    struct units units = {
        .ids = {n->sim->hamlets[places[0]], n->sim->hamlets[places[1]]},
        .count = places[0] == places[1] ? 1 : 2};

    if (n->revoked || !sim_node_runs(&n->sim->nodes[0])) {
        return;
    }
    (void)administer(n, reassign_work, &units); /* as in revoke() */
    sim_tell(n->sim, n, "is assigned hamlets %u and %u", places[0], places[1]);
    for (unsigned i = 1; i < n->sim->node_count; i++) {
        struct sim_node *other = &n->sim->nodes[i];

        if (other->device == n->device) {
            other->unsteady = true;
            memcpy(other->places, places, sizeof other->places);
        }
    }
}

static void reassign(struct sim_node *n, uint64_t param)
{
    struct hm_rng rng = {param};
    unsigned places[2];

    places[0] = n->places[hm_rng_below(&rng, 2)];
    places[1] = (unsigned)hm_rng_below(&rng, SIM_HAMLETS);
    assign(n, places);
}

/* It loses one of its hamlets just after a save there, and the next exchanges end badly
 * behind the centre's commit. */
static void narrow(struct sim_node *n, uint64_t param)
{
    struct hm_rng rng = {param};
    unsigned keep = n->places[hm_rng_below(&rng, 2)];
    unsigned places[2] = {keep, keep};

    if (sim_node_runs(n)) {
        sim_save(n, hm_rng_next(&rng), false);
    }
    assign(n, places);
    for (uint64_t i = 1 + hm_rng_below(&rng, 3); i-- > 0;) {
        sim_net_die_late(n);
    }
    if (sim_node_runs(n)) {
        sim_save(n, hm_rng_next(&rng), false);
    }
}

static void lend(struct sim_node *n, uint64_t param)
{
    struct hm_rng rng = {param};
    unsigned places[2];

    places[0] = (unsigned)hm_rng_below(&rng, SIM_HAMLETS);
    places[1] = (unsigned)hm_rng_below(&rng, SIM_HAMLETS);
    assign(n, places);
}

static void bring_back(struct sim_node *n, uint64_t param)
{
    (void)param;
    assign(n, n->first_places);
}

static void assign_commune(struct sim_node *n, uint64_t param)
{
    struct units units = {.ids = {n->sim->commune}, .count = 1};

    (void)param;
    if (!n->revoked && sim_node_runs(&n->sim->nodes[0])) {
        (void)administer(n, reassign_work, &units);
        n->unsteady = true;
        sim_tell(n->sim, n, "is assigned the whole commune");
    }
}

static int disable_work(struct sim_node *n, void *arg)
{
    (void)arg;
    return hm_people_disable_user(n->sim->nodes[0].store, n->user);
}

static void disable(struct sim_node *n, uint64_t param)
{
    bool known;

    (void)param;
    if (n->user == 0 || n->disabled_at_ms != 0 || !sim_node_runs(&n->sim->nodes[0])) {
        return;
    }
    known = administer(n, disable_work, NULL); /* as in revoke() */
    sim_tell(n->sim, n, "the account of its user is closed");
    n->sim->was_hostile = true; /* what that one still writes belongs into quarantine */
    for (unsigned i = 1; i < n->sim->node_count; i++) {
        struct sim_node *other = &n->sim->nodes[i];

        if (other->user == n->user) {
            other->disabled_at_ms = n->sim->now_ms;
            other->disabled_perhaps = !known;
        }
    }
}

static void publish(struct sim_node *n, uint64_t param)
{
    struct sim *sim = n->sim;
    struct sim_node *centre = &sim->nodes[0];
    int err;

    (void)param;
    if (!sim_node_runs(centre) || sim->form_2) {
        return;
    }
    err = sim_template_publish_2(sim);
    if (sim_node_survives(centre, err, "publish") && err == HM_OK) {
        sim->form_2 = true;
        sim_tell(sim, centre, "publishes version 2 of the form");
    }
}

static void herd(struct sim_node *any, uint64_t param)
{
    struct sim *sim = any->sim;

    (void)param;
    sim_tell(sim, NULL, "everybody syncs at once");
    for (unsigned i = 1; i < sim->node_count; i++) {
        struct sim_node *n = &sim->nodes[i];

        if (sim_node_runs(n) && n->linked) {
            sim_upsync(n, HM_UPSYNC_EV_NOW);
        }
    }
}

void sim_tell_upsync(struct sim_node *n, enum hm_upsync_event_type type)
{
    n->paused =
        type == HM_UPSYNC_EV_PAUSE || (n->paused && type != HM_UPSYNC_EV_RESUME);
    if (sim_node_runs(n)) {
        sim_tell(n->sim, n,
                 type == HM_UPSYNC_EV_PAUSE    ? "pauses"
                 : type == HM_UPSYNC_EV_RESUME ? "resumes"
                                               : "syncs now");
        sim_upsync(n, type);
    }
}

/* A clone saves in turns with its original, and has the same link. */
static struct sim_node *twin_of(struct sim_node *n)
{
    for (unsigned i = n->index + 1; i < n->sim->node_count; i++) {
        if (n->sim->nodes[i].twin_of == n->index) {
            return &n->sim->nodes[i];
        }
    }
    return NULL;
}

static void save_as(struct sim_node *n, uint64_t param, bool forbidden)
{
    struct sim_node *twin = twin_of(n);

    if (twin != NULL && (param & 1) != 0) {
        n = twin;
    }
    if (sim_node_runs(n)) {
        sim_save(n, param, forbidden);
    }
}

static void save(struct sim_node *n, uint64_t param)
{
    save_as(n, param, false);
}

static void overreach(struct sim_node *n, uint64_t param)
{
    n->sim->was_hostile = true;
    save_as(n, param, true);
}

static void link_up(struct sim_node *n, uint64_t param)
{
    struct sim_node *twin = twin_of(n);

    (void)param;
    sim_set_link(n, true);
    if (twin != NULL) {
        sim_set_link(twin, true);
    }
}

static void link_down(struct sim_node *n, uint64_t param)
{
    struct sim_node *twin = twin_of(n);

    (void)param;
    sim_set_link(n, false);
    if (twin != NULL) {
        sim_set_link(twin, false);
    }
}

static void sync_now(struct sim_node *n, uint64_t param)
{
    (void)param;
    sim_tell_upsync(n, HM_UPSYNC_EV_NOW);
}

static void pause(struct sim_node *n, uint64_t param)
{
    (void)param;
    sim_tell_upsync(n, HM_UPSYNC_EV_PAUSE);
}

static void resume(struct sim_node *n, uint64_t param)
{
    (void)param;
    sim_tell_upsync(n, HM_UPSYNC_EV_RESUME);
}

static void restart(struct sim_node *n, uint64_t param)
{
    (void)param;
    if (sim_node_runs(n)) {
        sim_node_stop(n);
        sim_node_begin(n);
    }
}

static void arm_net(struct sim_node *n, uint64_t param)
{
    if (n->net_fault_count < SIM_NET_FAULTS_MAX) {
        n->net_faults[n->net_fault_count++] = param;
    }
}

static void cut_power(struct sim_node *n, uint64_t param)
{
    arm_cut(n, param, true);
}

static void kill_process(struct sim_node *n, uint64_t param)
{
    arm_cut(n, param, false);
}

static void fill_disk(struct sim_node *n, uint64_t param)
{
    sim_tell(n->sim, n, "its disk is nearly full");
    hm_simdisk_limit(n->disk, hm_simdisk_used_bytes(n->disk) + param % (64 * 1024));
}

static void free_disk(struct sim_node *n, uint64_t param)
{
    (void)param;
    hm_simdisk_limit(n->disk, UINT64_MAX);
}

static void set_back(struct sim_node *n, uint64_t param)
{
    sim_node_restore(n, (param & 1) != 0);
}

static void snapshot(struct sim_node *n, uint64_t param)
{
    if (sim_node_runs(n) && n->image == NULL) {
        make_image(n, param);
        n->image_log = *hm_store_own_log(n->store);
    }
}

static void roll_back(struct sim_node *n, uint64_t param)
{
    (void)param;
    sim_node_roll_back(n);
}

static void clone(struct sim_node *n, uint64_t param)
{
    (void)param;
    sim_node_clone(n->sim, n);
}

static void lie(struct sim_node *n, uint64_t param)
{
    sim_hostile(n->sim, param);
}

static void turn(struct sim_node *n, uint64_t param)
{
    unsigned parents[SIM_HUBS_MAX + 1];
    unsigned count = sim_plan_parents(&n->sim->plan->shape, n->twin_of, parents);
    unsigned to = parents[param % count];

    if (!n->sim->nodes[to].destroyed) {
        sim_node_turn(n, to);
    }
}

static void change_version(struct sim_node *n, uint64_t param)
{
    (void)param;
    n->speaks_newer = !n->speaks_newer;
    sim_tell(n->sim, n,
             n->speaks_newer ? "speaks only protocol 2" : "speaks protocol 1 again");
}

static void fact_as(struct sim_node *n, enum sim_step_kind kind, uint64_t param)
{
    struct sim_node *twin = twin_of(n);

    if (twin != NULL && (param & 1) != 0) {
        n = twin;
    }
    if (sim_node_runs(n)) {
        sim_fact_step(n, kind, param);
    }
}

static void move(struct sim_node *n, uint64_t param)
{
    fact_as(n, SIM_MOVE, param);
}

static void merge(struct sim_node *n, uint64_t param)
{
    fact_as(n, SIM_MERGE, param);
}

static void unmerge(struct sim_node *n, uint64_t param)
{
    fact_as(n, SIM_UNMERGE, param);
}

static void split(struct sim_node *n, uint64_t param)
{
    fact_as(n, SIM_SPLIT, param);
}

static void delete (struct sim_node *n, uint64_t param)
{
    fact_as(n, SIM_DELETE, param);
}

static void decide(struct sim_node *n, uint64_t param)
{
    fact_as(n, SIM_DECIDE, param);
}

static void undo(struct sim_node *n, uint64_t param)
{
    fact_as(n, SIM_UNDO, param);
}

static void set_window(struct sim_node *n, uint64_t param)
{
    struct hm_rng rng = {param};
    char text[32];

    n->opens_hour = (unsigned)hm_rng_below(&rng, 24);
    n->shuts_hour = (n->opens_hour + (unsigned)hm_rng_below(&rng, 12)) % 24;
    n->windows = (struct hm_sync_windows){0};
    if (n->opens_hour != n->shuts_hour) {
        (void)snprintf(text, sizeof text, "%02u:00-%02u:00", n->opens_hour,
                       n->shuts_hour);
        SIM_MUST(hm_sync_windows_parse(text, &n->windows) == HM_OK);
    }
    sim_tell(n->sim, n, "syncs from %u to %u h", n->opens_hour, n->shuts_hour);
    if (sim_node_runs(n)) {
        sim_tell_limits(n);
    }
}

static void set_cost(struct sim_node *n, uint64_t param)
{
    n->cost = (enum hm_upsync_cost)(param % 3);
    sim_tell(n->sim, n, "its link carries %s by itself",
             n->cost == HM_UPSYNC_COST_ALL     ? "all"
             : n->cost == HM_UPSYNC_COST_SMALL ? "small things"
                                               : "nothing");
    if (sim_node_runs(n)) {
        sim_tell_limits(n);
    }
}

void sim_step(struct sim *sim, const struct sim_step *step)
{
    static void (*const steps[SIM_STEP_KINDS])(struct sim_node * n, uint64_t param) = {
        [SIM_SAVE] = save,           [SIM_MOVE] = move,
        [SIM_MERGE] = merge,         [SIM_UNMERGE] = unmerge,
        [SIM_SPLIT] = split,         [SIM_DELETE] = delete,
        [SIM_DECIDE] = decide,       [SIM_UNDO] = undo,
        [SIM_OVERREACH] = overreach, [SIM_LINK_UP] = link_up,
        [SIM_LINK_DOWN] = link_down, [SIM_SYNC_NOW] = sync_now,
        [SIM_HERD] = herd,           [SIM_PAUSE] = pause,
        [SIM_RESUME] = resume,       [SIM_RESTART] = restart,
        [SIM_NET] = arm_net,         [SIM_POWER_CUT] = cut_power,
        [SIM_KILL] = kill_process,   [SIM_IO_ERROR] = arm_fault,
        [SIM_DISK_FULL] = fill_disk, [SIM_DISK_FREE] = free_disk,
        [SIM_CLOCK] = set_clock,     [SIM_IMAGE] = make_image,
        [SIM_RESTORE] = set_back,    [SIM_CLONE] = clone,
        [SIM_DESTROY] = destroy,     [SIM_REASSIGN] = reassign,
        [SIM_REVOKE] = revoke,       [SIM_FORM] = publish,
        [SIM_HOSTILE] = lie,         [SIM_UPGRADE] = change_version,
        [SIM_NARROW] = narrow,       [SIM_THERE] = lend,
        [SIM_BACK] = bring_back,     [SIM_HIGHER] = assign_commune,
        [SIM_WINDOW] = set_window,   [SIM_COST] = set_cost,
        [SIM_DISABLE] = disable,     [SIM_SNAPSHOT] = snapshot,
        [SIM_ROLLBACK] = roll_back,  [SIM_TURN] = turn,
    };
    /* After these, two nodes may differ until their hashes have been compared. */
    static const bool kept_apart[SIM_STEP_KINDS] = {
        [SIM_RESTORE] = true, [SIM_CLONE] = true,   [SIM_REASSIGN] = true,
        [SIM_REVOKE] = true,  [SIM_HOSTILE] = true, [SIM_OVERREACH] = true,
        [SIM_NARROW] = true,  [SIM_THERE] = true,   [SIM_BACK] = true,
        [SIM_HIGHER] = true,  [SIM_DISABLE] = true, [SIM_ROLLBACK] = true,
        [SIM_TURN] = true,
    };
    /* A hub may not have heard yet of what a laptop fills. */
    bool hub_lags = step->kind == SIM_FORM && sim->plan->shape.hubs > 0;

    if (kept_apart[step->kind] || hub_lags) {
        sim->calm = false;
    }
    if (step->node < sim->node_count && !sim->nodes[step->node].destroyed) {
        steps[step->kind](&sim->nodes[step->node], step->param);
    }
}
