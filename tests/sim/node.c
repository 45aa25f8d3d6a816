/* A node's process: how it starts, ends, dies, and what its disk does meanwhile. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/log.h"
#include "storage/restored.h"
#include "storage/upstreams.h"
#include "tests/sim/sim.h"
#include "tests/support/store.h"

enum { AGAIN_MS = 60 * 1000 };

int64_t sim_node_utc_ms(const struct sim_node *n)
{
    return HM_TEST_START_MS + (int64_t)n->sim->now_ms + n->clock_offset_ms;
}

static int64_t utc_ms(void *arg)
{
    return sim_node_utc_ms(arg);
}

static void random_bytes(void *arg, uint8_t *out, size_t len)
{
    struct sim_node *n = arg;

    for (size_t i = 0; i < len; i++) {
        out[i] = (uint8_t)(hm_rng_next(&n->rng) >> 56);
    }
}

bool sim_node_runs(const struct sim_node *n)
{
    return n->store != NULL;
}

static int open_store(struct sim_node *n)
{
    struct hm_store_options options = {
        .path = "store.db",
        .vfs = n->name,
        .env = {.utc_ms = utc_ms, .random = random_bytes, .arg = n},
        .device = n->device,
        .public_key = n->public_key,
        .secret_key = n->secret_key,
        .boot_id = {(uint8_t)n->starts, (uint8_t)n->index},
        .version = "sim"};
    int err = hm_store_open(&options, &n->store);

    n->starts++;
    if (err != HM_OK) {
        n->store = NULL;
        return err;
    }
    return hm_forms_open(n->store, &n->forms);
}

/* What every start does; before that, what `hamlet restore` has done. */
static int begin_restored(struct sim_node *n)
{
    int err = hm_store_begin(n->store);

    if (err != HM_OK) {
        return err;
    }
    if (n->mints_timeline) {
        err = hm_restored_mark(n->store);
    }
    return hm_store_end(n->store, err == HM_OK ? hm_restored_begin(n->store) : err);
}

/* Which parent its disk says: an image may say another than the season did. */
static int read_parent(struct sim_node *n)
{
    int64_t device = 0;
    int err = n->index == 0 ? HM_NOTFOUND : hm_store_begin_read(n->store);

    if (err == HM_OK) {
        err = hm_store_end(
            n->store, hm_store_get_number(n->store, HM_META_UPSTREAM_DEVICE, &device));
    }
    for (unsigned i = 0; err == HM_OK && i < n->sim->node_count; i++) {
        const struct sim_node *other = &n->sim->nodes[i];

        if (other->device == (uint64_t)device && n->parent != i &&
            (i == 0 || other->is_hub)) {
            n->parent = i;
            memset(n->cursors, 0, sizeof n->cursors);
        }
    }
    return err == HM_NOTFOUND ? HM_OK : err;
}

void sim_node_start(struct sim_node *n)
{
    int err;

    n->start_at_ms = 0;
    hm_simdisk_boot(n->disk);
    err = open_store(n);
    if (err == HM_OK) {
        err = read_parent(n);
    }
    if (err == HM_OK) {
        err = begin_restored(n);
    }
    if (!sim_node_survives(n, err, "start")) {
        return;
    }
    if (err != HM_OK) {
        /* A full disk: again later, when there is room. */
        sim_node_die(n, AGAIN_MS);
        return;
    }
    n->mints_timeline = false;
    n->place = 0;
    n->returns = 0;
    n->exchange = 0;
    n->quiet_until_ms = 0;
    hm_upsync_init(&n->upsync, n->paused);
    n->upsync.linked = n->linked;
    sim_check_promises(n);
    if (sim_node_runs(n)) {
        sim_rescue_note(n);
    }
}

void sim_node_begin(struct sim_node *n)
{
    sim_tell(n->sim, n, "starts");
    sim_node_start(n);
    if (sim_node_runs(n) && n->index != 0) {
        sim_upsync(n, HM_UPSYNC_EV_START);
    }
}

static void close_store(struct sim_node *n)
{
    hm_forms_close(n->forms);
    hm_store_close(n->store);
    n->forms = NULL;
    n->store = NULL;
    n->exchange = 0;
    n->timer_at_ms = 0;
}

void sim_node_stop(struct sim_node *n)
{
    if (n->store != NULL) {
        close_store(n);
    }
}

void sim_node_die(struct sim_node *n, uint64_t again_after_ms)
{
    bool dark = hm_simdisk_is_dark(n->disk);

    sim_tell(n->sim, n, dark ? "is cut off in the middle of an I/O" : "ends");
    if (!dark) {
        hm_simdisk_kill(n->disk);
    }
    close_store(n);
    if (!n->destroyed) {
        n->start_at_ms = n->sim->now_ms + again_after_ms;
    }
}

bool sim_node_survives(struct sim_node *n, int err, const char *what)
{
    bool failed;

    if (err == HM_OK) {
        return true;
    }
    failed = hm_simdisk_failed(n->disk) > 0;
    if (err == HM_NOSPACE && failed) {
        sim_tell(n->sim, n, "%s: the disk is full", what);
        return true;
    }
    if (err == HM_IO && (failed || hm_simdisk_is_dark(n->disk))) {
        hm_simdisk_heal(n->disk);
        sim_node_die(n, AGAIN_MS);
        return false;
    }
    sim_find(n->sim, SIM_ORACLE_ERROR, "%s: %s: %s: %s", n->name, what,
             hm_err_name(err), n->store == NULL ? "" : hm_store_errmsg(n->store));
    return false;
}

/* The answered saves that an older image does not hold may be gone for good. */
static void excuse_what_is_lost(struct sim_node *n, const struct sim_log_facts *kept)
{
    struct sim_model *model = &n->sim->model;

    for (size_t i = 0; i < model->change_count; i++) {
        struct sim_change *change = &model->changes[i];

        if (change->node == n->index &&
            change->dot.n >= sim_fact(kept, change->dot.incarnation)) {
            change->excused = true;
        }
    }
}

void sim_node_restore(struct sim_node *n, bool mints)
{
    if (n->image == NULL || n->destroyed) {
        return;
    }
    sim_tell(n->sim, n, "is set back to its image");
    if (n->index == 0) {
        sim_rescue_mark(n->sim);
    }
    n->restores++;
    n->restore_change = n->sim->model.change_count;
    n->unsteady = true;
    sim_node_stop(n);
    hm_simdisk_restore(n->disk, n->image);
    excuse_what_is_lost(n, &n->image_own);
    sim_facts_copy(&n->own, &n->image_own);
    n->at_centre.count = 0;
    n->receipts.count = 0;
    memset(n->cursors, 0, sizeof n->cursors);
    n->clock_lied = true; /* what it knows of its clock may be old */
    n->start_at_ms = n->sim->now_ms + AGAIN_MS;
    if (n->index == 0) {
        n->sim->centre_set_back = true;
        n->mints_timeline = mints;
        n->sim->copied_back = n->sim->copied_back || !mints;
    }
}

/* Entries that were answered behind the snapshot are on no disk any more, but maybe at
 * the centre; the same numbers will be given out again. */
void sim_node_roll_back(struct sim_node *n)
{
    if (n->image == NULL || n->destroyed || !sim_node_runs(n) ||
        n->image_log.incarnation == 0) {
        return;
    }
    sim_tell(n->sim, n, "goes on from its snapshot");
    n->restores++;
    n->restore_change = n->sim->model.change_count;
    n->unsteady = true;
    n->rolled_back = true;
    n->sim->was_hostile = true; /* the other branch belongs into quarantine */
    sim_node_stop(n);
    hm_simdisk_restore(n->disk, n->image);
    excuse_what_is_lost(n, &n->image_own);
    sim_facts_copy(&n->own, &n->image_own);
    n->at_centre.count = 0;
    memset(n->cursors, 0, sizeof n->cursors);
    sim_node_start(n);
    if (sim_node_runs(n)) {
        *hm_store_own_log(n->store) = n->image_log;
        sim_upsync(n, HM_UPSYNC_EV_START);
    }
}

void sim_node_clone(struct sim *sim, struct sim_node *victim)
{
    struct sim_node *twin = &sim->nodes[sim->node_count];

    if (victim->image == NULL || sim->node_count + 1 >= SIM_NODES_MAX) {
        return;
    }
    *twin = (struct sim_node){.sim = sim,
                              .index = sim->node_count,
                              .parent = victim->parent,
                              .twin_of = victim->index,
                              .unsteady = true,
                              .device = victim->device,
                              .starts = victim->starts + 64,
                              .linked = victim->linked,
                              .revoked = victim->revoked,
                              .revoked_at_ms = victim->revoked_at_ms,
                              .user = victim->user,
                              .disabled_at_ms = victim->disabled_at_ms,
                              .clock_lied = true, /* its image may be of any time */
                              .excused = victim->excused,
                              .places = {victim->places[0], victim->places[1]}};
    (void)snprintf(twin->name, sizeof twin->name, "twin%u", victim->index);
    memcpy(twin->public_key, victim->public_key, sizeof twin->public_key);
    memcpy(twin->secret_key, victim->secret_key, sizeof twin->secret_key);
    twin->rng.state = victim->rng.state ^ 0x7477696eU;
    twin->disk = hm_simdisk_copy(victim->image, twin->name);
    SIM_MUST(twin->disk != NULL);
    sim_facts_copy(&twin->own, &victim->image_own);
    sim->node_count++;
    sim_tell(sim, twin, "runs the image of %s", victim->name);
    sim_node_begin(twin);
}

void sim_node_turn(struct sim_node *n, unsigned parent)
{
    int err;

    if (!sim_node_runs(n) || n->exchange != 0 || n->parent == parent) {
        return;
    }
    err = hm_store_begin(n->store);
    if (err == HM_OK) {
        err = hm_store_end(n->store,
                           hm_upstreams_use(n->store, n->sim->nodes[parent].device));
    }
    if (!sim_node_survives(n, err, "turn") || err != HM_OK) {
        return;
    }
    sim_tell(n->sim, n, "turns to %s", n->sim->nodes[parent].name);
    n->parent = parent;
    n->digest_equal = false;
    memset(n->cursors, 0, sizeof n->cursors);
    if (n->linked) {
        sim_upsync(n, HM_UPSYNC_EV_LINK_UP);
    }
}
