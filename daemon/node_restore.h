/* A node out of a backup: a folder that can be started.
 *
 * The part of `hamlet restore`; no node runs. The archive is read twice: first every
 * entry's name, kind and size is checked, then it is written to DIR/restoring, where
 * store, keys and configuration are checked; only then do the files take their places,
 * hamletd.conf last, since a folder with it is a node. What a kill leaves behind is no
 * node, and the next restore into the folder takes it away first. Blocks on the disk,
 * for long. One thread. */
#ifndef HM_DAEMON_NODE_RESTORE_H
#define HM_DAEMON_NODE_RESTORE_H

#include "daemon/config.h"
#include "storage/store.h"

struct hm_node_restore {
    char name[HM_CONFIG_TEXT_MAX];
    uint64_t device;
    enum hm_node_role role;
    uint64_t households;
    uint64_t bytes;       /* of the store */
    int64_t made_utc_ms;  /* when the backup's copy of the store was made */
    bool store_was_apart; /* the node had its store outside of its folder */
};

/* passphrase: empty for a backup that is not sealed. dir: not there, or empty. errmsg
 * gets one line on error; *out is filled in on success.
 *
 * Errors:
 *   HM_EXISTS     dir is not empty
 *   HM_DENIED     not this passphrase, or the file was changed; no right to the folder
 *   HM_INVALID    the backup is sealed and there is no passphrase, or the other way
 *                 round
 *   HM_MALFORMED  not a backup of a node
 *   HM_TRUNCATED  the file ends too early
 *   HM_CORRUPT    what it holds is damaged
 *   HM_BUSY       another restore into dir is at work
 *   HM_NOTFOUND, HM_VERSION, HM_NOSPACE, HM_IO, HM_NOMEM */
int hm_node_restore(const char *file, const char *dir, struct hm_bytes passphrase,
                    struct hm_node_restore *out, struct hm_buf *errmsg) HM_MUST_USE;

#endif
