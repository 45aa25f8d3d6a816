/* What was noticed and needs a person: clones, restores, forks.
 *
 * A node raises alarms about the devices that sync with it, and keeps those that its
 * parent tells it about itself. An event is one alarm, however often it is noticed; an
 * alarm that was cleared stands again only when its count has grown.
 *
 * Runs inside a transaction of the caller. Blocking; thread as the store. */
#ifndef HM_STORAGE_ALARMS_H
#define HM_STORAGE_ALARMS_H

#include "protocol/here.h"
#include "storage/store.h"

enum { HM_ALARMS_A_DEVICE_MAX = 32 /* of a kind; more are counted with the newest */ };

struct hm_alarm {
    uint64_t id; /* 1, 2 .. of this node */
    enum hm_alarm_kind kind;
    uint64_t device;
    uint64_t event;
    uint64_t source; /* the parent that told it; 0: noticed here */
    int64_t since_utc_ms;
    uint64_t count;
};

/* The event is there, with at least this count. */
int hm_alarms_raise(struct hm_store *s, enum hm_alarm_kind kind, uint64_t device,
                    uint64_t event, uint64_t count) HM_MUST_USE;
/* The event is there, and counts so many more than before. */
int hm_alarms_add(struct hm_store *s, enum hm_alarm_kind kind, uint64_t device,
                  uint64_t event, uint64_t more) HM_MUST_USE;
/* Was anything of this kind ever noticed about the device, cleared or not? */
int hm_alarms_known(struct hm_store *s, enum hm_alarm_kind kind, uint64_t device,
                    bool *out_known) HM_MUST_USE;
/* Errors: HM_NOTFOUND (no such alarm stands). */
int hm_alarms_clear(struct hm_store *s, uint64_t id) HM_MUST_USE;
/* Alarms that stand, oldest first; those of one device's clones are one, with the
 * highest count. In arena. */
int hm_alarms_list(struct hm_store *s, struct hm_arena *arena,
                   struct hm_alarm **out_alarms, size_t *out_count) HM_MUST_USE;

/* Those noticed here that stand about a device, to be told to it, newest first. */
int hm_alarms_of(struct hm_store *s, uint64_t device, struct hm_arena *arena,
                 struct hm_told_alarm **out_alarms, size_t *out_count) HM_MUST_USE;
/* What a parent says that stands about this node's device: all of it. */
int hm_alarms_take(struct hm_store *s, uint64_t parent,
                   const struct hm_told_alarm *alarms, size_t count) HM_MUST_USE;
/* How many that it told stand here. */
int hm_alarms_told(struct hm_store *s, uint64_t parent,
                   uint64_t *out_count) HM_MUST_USE;

#endif
