/* The frames by which clones, restores and forks are noticed and told.
 *
 *   request  HERE    who asks: this run of the program, and what logs a parent may have
 *                    forgotten
 *            ITEM    an administrative item for a centre that has forgotten it: its
 *                    canonical bytes (storage/items.h)
 *   reply    ALARMS  what the parent has noticed about the asking device
 *            FORK    an own log of the child that goes on otherwise at the parent
 *
 * Pure: views point into what is read; any thread. As protocol/message.h. */
#ifndef HM_PROTOCOL_HERE_H
#define HM_PROTOCOL_HERE_H

#include "protocol/message.h"

enum { HM_HERE_LOST_MAX = 1024, HM_TOLD_ALARMS_MAX = 64 };

/* A log that was known further than its holder may know it now. */
struct hm_lost_log {
    uint64_t incarnation;
    uint64_t device;
    uint64_t entries; /* 0 .. entries - 1 are known to have been */
};

struct hm_here {
    uint64_t opening; /* random, of this run: two that take turns are two machines */
    uint64_t number;  /* of this request within the run, 1, 2 .. */
    uint64_t alarms;  /* that this parent has told and that stand here */
    const struct hm_lost_log *lost; /* in the arena */
    size_t lost_count;
};
void hm_here_write(struct hm_buf *buf, const struct hm_here *here);
int hm_here_read(struct hm_bytes payload, struct hm_arena *arena,
                 struct hm_here *out) HM_MUST_USE;

enum hm_alarm_kind {
    HM_ALARM_CLONE = 1,           /* count: machines that run one image */
    HM_ALARM_RESTORED = 2,        /* count: changes that the device has not any more */
    HM_ALARM_FORK = 3,            /* count: changes of the branch that was set apart */
    HM_ALARM_CENTRE_RESTORED = 4, /* count: changes that came back */
    HM_ALARM_REVOKED_WORK = 5     /* count: changes that went into quarantine */
};

struct hm_told_alarm {
    enum hm_alarm_kind kind;
    uint64_t event; /* names it, with its kind */
    int64_t since_utc_ms;
    uint64_t count;
};
/* All that stand about the child's device; none: those that were told are dealt with.
 */
void hm_told_alarms_write(struct hm_buf *buf, const struct hm_told_alarm *alarms,
                          size_t count);
int hm_told_alarms_read(struct hm_bytes payload, struct hm_arena *arena,
                        struct hm_told_alarm **out_alarms,
                        size_t *out_count) HM_MUST_USE;

struct hm_fork {
    uint64_t incarnation;
    uint64_t common; /* entries 0 .. common - 1 are the same at both ends */
};
void hm_fork_write(struct hm_buf *buf, const struct hm_fork *fork);
int hm_fork_read(struct hm_bytes payload, struct hm_fork *out) HM_MUST_USE;

#endif
