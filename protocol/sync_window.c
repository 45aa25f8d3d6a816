#include "protocol/sync_window.h"

#include <string.h>

static const char *skip_blanks(const char *at)
{
    return at + strspn(at, " \t");
}

/* "HH:MM", and where it ends; NULL if it is none. 24:00 is the end of the day. */
static const char *take_time(const char *at, uint32_t *out_s)
{
    uint32_t hour;
    uint32_t minute;

    if (strspn(at, "0123456789") != 2 || at[2] != ':' ||
        strspn(at + 3, "0123456789") != 2) {
        return NULL;
    }
    hour = (uint32_t)(at[0] - '0') * 10 + (uint32_t)(at[1] - '0');
    minute = (uint32_t)(at[3] - '0') * 10 + (uint32_t)(at[4] - '0');
    if (hour > 24 || minute > 59 || (hour == 24 && minute != 0)) {
        return NULL;
    }
    *out_s = (hour * 60 + minute) * 60 % HM_SYNC_DAY_S;
    return at + 5;
}

int hm_sync_windows_parse(const char *text, struct hm_sync_windows *out)
{
    struct hm_sync_windows windows = {0};
    const char *at = skip_blanks(text);

    for (;;) {
        struct hm_sync_window *w = &windows.windows[windows.count];

        if (windows.count == HM_SYNC_WINDOWS_MAX) {
            return HM_INVALID;
        }
        at = take_time(at, &w->from_s);
        if (at == NULL || *(at = skip_blanks(at)) != '-') {
            return HM_INVALID;
        }
        at = take_time(skip_blanks(at + 1), &w->to_s);
        if (at == NULL || w->from_s == w->to_s) {
            return HM_INVALID;
        }
        windows.count++;
        at = skip_blanks(at);
        if (*at == 0) {
            *out = windows;
            return HM_OK;
        }
        if (*at != ',') {
            return HM_INVALID;
        }
        at = skip_blanks(at + 1);
    }
}

static uint32_t opens_in_s(const struct hm_sync_window *w, uint32_t now_s,
                           uint32_t late_s)
{
    uint32_t length = (w->to_s + HM_SYNC_DAY_S - w->from_s) % HM_SYNC_DAY_S;
    uint32_t from = (w->from_s + (late_s < length / 2 ? late_s : length / 2));
    uint32_t since = (now_s + 2 * HM_SYNC_DAY_S - from) % HM_SYNC_DAY_S;
    uint32_t open_for = length - (from - w->from_s);

    return since < open_for ? 0 : HM_SYNC_DAY_S - since;
}

uint32_t hm_sync_windows_opens_in_s(const struct hm_sync_windows *windows,
                                    uint32_t now_s, uint32_t late_s)
{
    uint32_t first = windows->count == 0 ? 0 : UINT32_MAX;

    for (size_t i = 0; i < windows->count; i++) {
        uint32_t in_s = opens_in_s(&windows->windows[i], now_s, late_s);

        first = in_s < first ? in_s : first;
    }
    return first;
}
