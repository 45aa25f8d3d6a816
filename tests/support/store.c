#include "tests/support/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <sodium.h>

#include "protocol/hash.h"
#include "tests/fault/loop.h"
#include "tests/support/child.h"

static int64_t utc_ms(void *arg)
{
    const struct hm_test_node *node = arg;

    return node->now_ms;
}

/* splitmix64: repeatable, and far from secret. */
static void random_bytes(void *arg, uint8_t *out, size_t len)
{
    struct hm_test_node *node = arg;

    for (size_t i = 0; i < len; i++) {
        uint64_t z = node->prng += 0x9e3779b97f4a7c15U;

        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
        out[i] = (uint8_t)(z >> 56);
    }
}

int hm_test_node_start(struct hm_test_node *node)
{
    struct hm_store_options options = {
        .path = node->path,
        .vfs = node->vfs,
        .env = {.utc_ms = utc_ms, .random = random_bytes, .arg = node},
        .device = node->device,
        .public_key = node->public_key,
        .secret_key = node->secret_key,
        .boot_id = {(uint8_t)node->starts},
        .version = "test"};

    node->starts++;
    return hm_store_open(&options, &node->store);
}

/* All that is known of a node before its store is opened. */
static void make_node(struct hm_test_node *node, const char *name, const char *vfs)
{
    uint8_t seed[HM_CONTENT_HASH_BYTES];
    int written;

    *node = (struct hm_test_node){.vfs = vfs, .now_ms = HM_TEST_START_MS};
    assert_true(sodium_init() >= 0);
    written = snprintf(node->path, sizeof node->path, "%s/%s.db",
                       vfs == NULL ? hm_test_folder() : "", name);
    assert_true(written > 0 && (size_t)written < sizeof node->path);
    hm_hash_content(hm_bytes_str(name), seed);
    CHECK_OK(crypto_sign_seed_keypair(node->public_key, node->secret_key, seed));
    node->device = hm_hash_u64(hm_bytes_of(node->public_key, sizeof node->public_key));
    node->prng = node->device;
}

static void copy_file(const char *from, const char *to)
{
    size_t len;
    char *bytes = hm_child_read_file(from, &len);
    FILE *file = fopen(to, "wb");

    assert_non_null(bytes);
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    free(bytes);
}

void hm_test_node_open(struct hm_test_node *node, const char *name,
                       enum hm_node_role role)
{
    hm_test_node_open_on(node, name, role, NULL);
}

void hm_test_node_open_on(struct hm_test_node *node, const char *name,
                          enum hm_node_role role, const char *vfs)
{
    hm_fault_pause();
    make_node(node, name, vfs);
    CHECK_OK(hm_test_node_start(node));
    if (role != HM_NODE_NEW) {
        CHECK_OK(hm_store_begin(node->store));
        CHECK_OK(
            hm_store_end(node->store, hm_store_set_number(node->store, HM_META_ROLE,
                                                          (int64_t)role)));
    }
    hm_fault_resume();
}

static const char *kept_path(const char *name)
{
    static char path[512];

    (void)snprintf(path, sizeof path, "%s/%s.db", hm_fault_kept(), name);
    return path;
}

void hm_test_node_keep(struct hm_test_node *node, const char *name)
{
    if (hm_fault_kept() != NULL) {
        hm_store_close(node->store); /* so that all of it is in the one file */
        copy_file(node->path, kept_path(name));
        CHECK_OK(hm_test_node_start(node));
    }
}

bool hm_test_node_open_kept(struct hm_test_node *node, const char *name)
{
    if (hm_fault_kept() == NULL || access(kept_path(name), F_OK) != 0) {
        return false;
    }
    make_node(node, name, NULL);
    copy_file(kept_path(name), node->path);
    node->starts = 1;
    node->prng += 1; /* not the same draws as those that went before */
    CHECK_OK(hm_test_node_start(node));
    return true;
}

void hm_test_node_restart(struct hm_test_node *node)
{
    hm_store_close(node->store);
    node->store = NULL;
    CHECK_OK(hm_test_node_start(node));
}

void hm_test_node_close(struct hm_test_node *node)
{
    hm_store_close(node->store);
    node->store = NULL;
}
