/* The archive of a backup, read entry by entry, each of which must be one that a backup
 * holds: a plain file of a known name and a bounded size, once.
 *
 * Blocks on the disk. One thread. Knows no folder: what is done with the content is the
 * caller's. */
#ifndef HM_DAEMON_RESTORE_ARCHIVE_H
#define HM_DAEMON_RESTORE_ARCHIVE_H

#include "protocol/buf.h"

enum { HM_RESTORE_NAME_MAX = 80 };

struct hm_restore_entry {
    char name[HM_RESTORE_NAME_MAX]; /* "store.db", "keys/sign.key" .. */
    uint64_t bytes;
    int64_t made_utc_ms;
};

/* What becomes of the entries. All may be NULL: then they are only checked. A code
 * other than HM_OK ends the reading and is returned. */
struct hm_restore_sink {
    int (*begin)(void *arg, const struct hm_restore_entry *entry);
    int (*content)(void *arg, struct hm_bytes piece); /* pieces give entry->bytes */
    int (*end)(void *arg);
    void *arg;
};

/* fd: a backup of file_bytes bytes. passphrase: empty when it is not sealed. Every file
 * that a node needs was there when this returns HM_OK. errmsg gets one line on error.
 * Errors: as hm_node_restore(). */
int hm_restore_archive_read(int fd, uint64_t file_bytes, struct hm_bytes passphrase,
                            const struct hm_restore_sink *sink,
                            struct hm_buf *errmsg) HM_MUST_USE;

#endif
