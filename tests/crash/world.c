#include "tests/crash/world.h"

#include <stdio.h>

#include "storage/db_sqlite.h" /* for a plant alone */

static const char *disk_of(void *arg, const char *node)
{
    struct hm_world *w = arg;
    unsigned i = w->node_count++;

    (void)node;
    assert_true(i < HM_WORLD_NODES_MAX);
    w->disks[i] = hm_simdisk_create(w->names[i], i + 1);
    return w->names[i];
}

void hm_world_open(struct hm_world *w, const char *prefix)
{
    *w = (struct hm_world){.reached = 0};
    for (unsigned i = 0; i < HM_WORLD_NODES_MAX; i++) {
        (void)snprintf(w->names[i], sizeof w->names[i], "%.16s%u", prefix, i);
    }
    hm_village_open_on(&w->v, disk_of, w);
}

void hm_world_close(struct hm_world *w)
{
    hm_world_stop_all(w);
    for (unsigned i = 0; i < w->node_count; i++) {
        hm_simdisk_destroy(w->disks[i]);
        hm_simdisk_destroy(w->images[i]);
    }
}

struct hm_village_node *hm_world_node(struct hm_world *w, unsigned node)
{
    return node == 0 ? &w->v.centre : &w->v.laptops[node - 1];
}

void hm_world_freeze(struct hm_world *w)
{
    hm_world_stop_all(w);
    for (unsigned i = 0; i < w->node_count; i++) {
        hm_simdisk_destroy(w->images[i]);
        w->images[i] = hm_simdisk_copy(w->disks[i], NULL);
        w->start[i] = hm_world_node(w, i)->node;
    }
}

void hm_world_reset(struct hm_world *w)
{
    hm_world_stop_all(w);
    for (unsigned i = 0; i < w->node_count; i++) {
        hm_simdisk_heal(w->disks[i]);
        hm_simdisk_limit(w->disks[i], UINT64_MAX);
        hm_simdisk_restore(w->disks[i], w->images[i]);
        hm_world_node(w, i)->node = w->start[i];
    }
    w->ack_count = 0;
    w->reached = 0;
    w->why[0] = 0;
}

static int set(struct hm_village_node *n, const char *pragma, unsigned value)
{
    char sql[64];

    (void)snprintf(sql, sizeof sql, "PRAGMA %s = %u", pragma, value);
    return hm_db_exec(hm_store_db(n->node.store), sql);
}

int hm_world_start(struct hm_world *w, unsigned node)
{
    struct hm_village_node *n = hm_world_node(w, node);
    int err = HM_OK;

    if (n->node.store != NULL) {
        return HM_OK;
    }
    err = hm_test_node_start(&n->node);
    if (err == HM_OK && node == w->victim && w->plant == HM_PLANT_NORMAL) {
        err = hm_db_exec(hm_store_db(n->node.store), "PRAGMA synchronous = NORMAL");
    }
    if (err == HM_OK && node == w->victim && w->plant == HM_PLANT_TRUST) {
        struct hm_db_sqlite_sums *sums = &hm_store_db(n->node.store)->sums;

        sums->methods.xRead = sums->real->xRead;
    }
    if (err == HM_OK && w->autocheckpoint > 0) {
        err = set(n, "wal_autocheckpoint", w->autocheckpoint);
    }
    if (err == HM_OK && w->cache > 0) {
        err = set(n, "cache_size", w->cache);
    }
    if (err == HM_OK) {
        err = hm_forms_open(n->node.store, &n->forms);
    }
    if (err != HM_OK) {
        hm_world_stop(w, node);
    }
    return err;
}

void hm_world_stop(struct hm_world *w, unsigned node)
{
    struct hm_village_node *n = hm_world_node(w, node);

    hm_forms_close(n->forms);
    n->forms = NULL;
    hm_store_close(n->node.store);
    n->node.store = NULL;
}

void hm_world_stop_all(struct hm_world *w)
{
    for (unsigned i = 0; i < w->node_count; i++) {
        hm_world_stop(w, i);
    }
}

const char *hm_world_path(struct hm_world *w, unsigned node)
{
    return hm_world_node(w, node)->node.path;
}

void hm_world_ack(struct hm_world *w, const struct hm_ack *ack)
{
    assert_true(w->ack_count < HM_WORLD_ACKS_MAX);
    w->acks[w->ack_count++] = *ack;
}

bool hm_world_fail(struct hm_world *w, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(w->why, sizeof w->why, format, args); /* cut when too long */
    va_end(args);
    return false;
}
