/* A node's store for tests: a file below hm_test_folder(), keys made from the node's
 * name, a clock that stands still until the test moves it, and repeatable randomness.
 *
 * Failures end the test. One thread. */
#ifndef HM_TESTS_SUPPORT_STORE_H
#define HM_TESTS_SUPPORT_STORE_H

#include "storage/store.h"
#include "tests/support/test.h"

struct hm_test_node {
    struct hm_store *store;
    char path[512];
    const char *vfs; /* NULL: the real disk */
    int64_t now_ms;  /* what the store takes for the time */
    uint64_t prng;
    unsigned starts; /* part of the boot id */
    uint8_t public_key[HM_PUBLIC_KEY_BYTES];
    uint8_t secret_key[HM_SECRET_KEY_BYTES];
    uint64_t device;
};

/* 2026-11-23 00:00 UTC, where every clock begins. */
#define HM_TEST_START_MS 1795392000000LL
#define HM_TEST_TODAY    "2026-11-23"

/* Open <folder>/<name>.db, making it if it is not there, and note the role (nothing for
 * HM_NODE_NEW). *node must stay where it is until it is closed: the store points to
 * it. */
void hm_test_node_open(struct hm_test_node *node, const char *name,
                       enum hm_node_role role);
/* The same with <name>.db on a simulated disk (tests/support/simdisk.h); vfs must
 * outlive the node. */
void hm_test_node_open_on(struct hm_test_node *node, const char *name,
                          enum hm_node_role role, const char *vfs);
/* Open the store of a node that is closed, as a new start of the daemon; what
 * hm_store_open() returns. */
int hm_test_node_start(struct hm_test_node *node) HM_MUST_USE;
/* In a loop of faulty runs: keep a copy of the node's file for all later runs, and open
 * one; false when there is none. Elsewhere nothing, false. */
void hm_test_node_keep(struct hm_test_node *node, const char *name);
bool hm_test_node_open_kept(struct hm_test_node *node, const char *name);
/* Close and open again, as a restart of the daemon does; clock and randomness go on. */
void hm_test_node_restart(struct hm_test_node *node);
void hm_test_node_close(struct hm_test_node *node);

#endif
