/* Who may sync at a hub now, and when the others should come back: fifty laptops whose
 * villages get power in the same minute all get through, one after the other.
 *
 * A hub has so many places. Who finds none is given a time, each a bit later than the
 * one before, as fast as places become free; at that time there is room for it before
 * all who come unasked. While some wait, a group (a scope) has a quarter of the places,
 * so that one large commune does not keep a small one out; callers that the hub has not
 * served yet are one group together.
 *
 * Pure: not thread-safe, no allocation, time and randomness are arguments. */
#ifndef HM_PROTOCOL_ADMISSION_H
#define HM_PROTOCOL_ADMISSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HM_ADMISSION_PLACES_MAX = 256,
    HM_ADMISSION_CALLERS = 2048, /* remembered at once; a power of 2 */
    HM_ADMISSION_WAIT_S_MIN = 2,
    HM_ADMISSION_WAIT_S_MAX = 15 * 60,
    HM_ADMISSION_GRACE_MS = 60 * 1000 /* a time given is kept so long after it */
};

struct hm_admission_caller {
    uint64_t key;    /* 0: nobody */
    uint64_t due_ms; /* the time that it was given; 0: none */
    uint32_t group;  /* 0: not known */
};

struct hm_admission_guest {
    uint64_t key;
    uint64_t since_ms;
    uint32_t group;
};

struct hm_admission {
    unsigned places;
    unsigned guest_count; /* in a place, or in the spare ones of those who were due */
    struct hm_admission_guest
        guests[HM_ADMISSION_PLACES_MAX + HM_ADMISSION_PLACES_MAX / 4];
    struct hm_admission_caller callers[HM_ADMISSION_CALLERS];
    uint64_t next_ms; /* the latest time given */
    uint64_t mean_ms; /* that a guest stays */
};

/* places: 1 .. HM_ADMISSION_PLACES_MAX. */
void hm_admission_init(struct hm_admission *a, unsigned places);
/* One who knocks; key is anything of its own, not 0. True: it has a place until
 * hm_admission_leave(). False: it should come back in *out_retry_s seconds, 1 to 900.
 */
bool hm_admission_enter(struct hm_admission *a, uint64_t key, uint64_t now_ms,
                        uint64_t random, uint32_t *out_retry_s);
/* A guest leaves. group: what is known of it by now, 0 for nothing. Unknown guests are
 * ignored. */
void hm_admission_leave(struct hm_admission *a, uint64_t key, uint32_t group,
                        uint64_t now_ms);
/* Callers that were given a time and have not come yet. */
unsigned hm_admission_waiting(const struct hm_admission *a, uint64_t now_ms);

#endif
