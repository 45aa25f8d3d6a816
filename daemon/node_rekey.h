/* A new identity for a node that is a copy of another: keys and device id.
 *
 * The part of `hamlet rekey`; the node must not be running. What it has written is
 * signed with the old keys first, so nothing unsent is lost; then it forgets its
 * upstream, where it is to be enrolled with a new code. A rekey that is cut can be run
 * again. Blocks on the disk. One thread. */
#ifndef HM_DAEMON_NODE_REKEY_H
#define HM_DAEMON_NODE_REKEY_H

#include <stdint.h>

#include "protocol/buf.h"

struct hm_node_rekey {
    uint64_t before; /* device ids */
    uint64_t now;
};

/* errmsg gets one line on error.
 * Errors: HM_BUSY (the node is running); HM_INVALID (a centre: its key signs what all
 * others believe); as hm_config_read(), hm_node_files_load(), hm_store_open(). */
int hm_node_rekey(const char *dir, struct hm_node_rekey *out,
                  struct hm_buf *errmsg) HM_MUST_USE;

#endif
