/* An answer that is written piece by piece: in memory while it is small, in an unlinked
 * file of the node's folder when it grows.
 *
 * Blocking; one thread. */
#ifndef HM_DAEMON_SERVE_SPOOL_H
#define HM_DAEMON_SERVE_SPOOL_H

#include <jansson.h>

#include "daemon/serve/api.h"

enum { HM_SPOOL_MEMORY_BYTES_MAX = 1024 * 1024 };

struct hm_spool {
    const char *folder;
    struct hm_buf buf;
    int fd;
    uint64_t file_bytes;
    int err; /* sticks */
};

/* folder: outlives the spool. */
void hm_spool_init(struct hm_spool *spool, const char *folder);
void hm_spool_deinit(struct hm_spool *spool);

void hm_spool_write(struct hm_spool *spool, struct hm_bytes bytes);
void hm_spool_text(struct hm_spool *spool, const char *text);
/* One JSON document, without a line break. value is released; NULL: no memory. */
void hm_spool_json(struct hm_spool *spool, json_t *value);
/* Hand what was written to answer. Errors: the sticky one; HM_NOSPACE, HM_IO. */
int hm_spool_finish(struct hm_spool *spool, struct hm_api_answer *answer) HM_MUST_USE;
/* An unlinked file in folder, mode 0600. Errors: HM_IO, HM_NOSPACE. */
int hm_spool_file(const char *folder, int *out_fd) HM_MUST_USE;

#endif
