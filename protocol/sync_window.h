/* The times of day in which a node may sync by itself.
 *
 * Pure: any thread. Knows the time of day, not the date: a window that begins in the
 * evening may end the next morning. */
#ifndef HM_PROTOCOL_SYNC_WINDOW_H
#define HM_PROTOCOL_SYNC_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/err.h"

enum { HM_SYNC_WINDOWS_MAX = 8, HM_SYNC_DAY_S = 24 * 60 * 60 };

struct hm_sync_window {
    uint32_t from_s; /* of the day; open from here .. */
    uint32_t to_s;   /* .. to just before; the smaller one: over midnight */
};

struct hm_sync_windows {
    struct hm_sync_window windows[HM_SYNC_WINDOWS_MAX];
    size_t count; /* 0: open at all times */
};

/* "20:00-06:00, 12:00-13:30". Errors, and *out is unchanged: HM_INVALID. */
int hm_sync_windows_parse(const char *text, struct hm_sync_windows *out) HM_MUST_USE;

/* 0 when now_s (of the day, < HM_SYNC_DAY_S) lies in a window, else the seconds until
 * the next one opens. Each window opens late_s later than it says, or half way through
 * if that is sooner: so that not all nodes of a district begin in the same second. */
uint32_t hm_sync_windows_opens_in_s(const struct hm_sync_windows *windows,
                                    uint32_t now_s, uint32_t late_s);

#endif
