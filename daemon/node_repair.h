/* Mending a node whose store is damaged or gone: a new store takes the place of the old
 * one, which is kept beside it.
 *
 * The part of `hamlet repair`; the node must not be running. Blocks on the disk, for
 * long. One thread. A repair that is cut at any time can be run again. */
#ifndef HM_DAEMON_NODE_REPAIR_H
#define HM_DAEMON_NODE_REPAIR_H

#include "storage/repair.h"

struct hm_node_repair {
    bool sound;       /* nothing was wrong, and nothing was done */
    char damage[512]; /* the first fault of the old store; "" when it was gone */
    char aside[4096]; /* where the old store lies now; "" when there was none */
    struct hm_repair_report report;
};

/* errmsg gets one line on error. *out is filled in on success.
 *
 * Errors:
 *   HM_BUSY      the node is running
 *   HM_NOTFOUND  there is no node in dir, or nothing is left of it
 *   as hm_config_read(), hm_node_files_load(), hm_repair_run() */
int hm_node_repair(const char *dir, struct hm_node_repair *out,
                   struct hm_buf *errmsg) HM_MUST_USE;

#endif
