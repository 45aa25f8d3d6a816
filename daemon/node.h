/* What the parts of a running node share. Made and taken apart by daemon.c; loop thread
 * only. */
#ifndef HM_DAEMON_NODE_H
#define HM_DAEMON_NODE_H

#include <uv.h>

#include "daemon/config.h"
#include "daemon/container.h"
#include "daemon/disk.h"
#include "daemon/http_client.h"
#include "daemon/journal.h"
#include "daemon/node_files.h"
#include "daemon/proxy_settings.h"
#include "daemon/store_thread.h"
#include "daemon/turn.h"

struct hm_log_keeper;
struct hm_upstream;

enum { HM_NODE_DAMAGED_MAX = 400 };

struct hm_node {
    uv_loop_t *loop;
    const char *dir;
    struct hm_config config;
    struct hm_node_keys keys;
    struct hm_proxy_settings proxy;
    char public_address[HM_CONFIG_TEXT_MAX]; /* HOST:PORT of the hub; "": none */
    struct hm_journal *journal;
    struct hm_store_thread *store;
    struct hm_http_client *client;
    struct hm_upstream *upstream;
    struct hm_disk *disk;
    struct hm_log_keeper *log_keeper;
    /* What is wrong with the store, which is then only read; "": nothing is known. */
    char damaged[HM_NODE_DAMAGED_MAX];
    struct hm_turn turn;
    uint64_t syncs_served;
    uint64_t syncs_refused;
};

#endif
