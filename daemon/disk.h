/* Watches the room that is left on the node's disk, and keeps some back.
 *
 * Loop thread only; looks on the thread pool, every check_s. The reserve is made and
 * given back there too. */
#ifndef HM_DAEMON_DISK_H
#define HM_DAEMON_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "daemon/journal.h"

/* The file below dir that holds the reserve. */
#define HM_DISK_RESERVE "reserve"

struct hm_disk;
typedef void (*hm_disk_closed_cb)(void *owner);

enum hm_disk_state {
    HM_DISK_ROOMY,
    HM_DISK_LOW, /* below warn: an alarm */
    HM_DISK_FULL /* below refuse: no more saves; the reserve is given back */
};

struct hm_disk_options {
    const char *dir; /* outlives the watch */
    uint64_t warn_bytes;
    uint64_t refuse_bytes;
    uint64_t reserve_bytes;     /* 0: none */
    uint32_t check_s;           /* between two looks, > 0 */
    struct hm_journal *journal; /* may be NULL */
};

/* Errors: HM_NOMEM. */
int hm_disk_open(uv_loop_t *loop, const struct hm_disk_options *options,
                 struct hm_disk **out_disk) HM_MUST_USE;
enum hm_disk_state hm_disk_state(const struct hm_disk *disk);
uint64_t hm_disk_free_bytes(const struct hm_disk *disk);
/* When the present state began, UTC in ms. */
int64_t hm_disk_since_utc_ms(const struct hm_disk *disk);
/* closed (may be NULL) runs in a later turn, when disk is freed. NULL disk: nothing
 * happens. */
void hm_disk_close(struct hm_disk *disk, hm_disk_closed_cb closed, void *owner);

/* The rule itself. */
enum hm_disk_state hm_disk_judge(const struct hm_disk_options *options,
                                 uint64_t free_bytes);

#endif
