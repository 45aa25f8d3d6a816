#include "protocol/admission.h"

#include "protocol/err.h"

enum { MEAN_MS_FIRST = 500, SPACING_MS_MIN = 20, GROUP_SHARE = 4 };

void hm_admission_init(struct hm_admission *a, unsigned places)
{
    HM_ASSERT(places >= 1 && places <= HM_ADMISSION_PLACES_MAX);
    *a = (struct hm_admission){.places = places, .mean_ms = MEAN_MS_FIRST};
}

/* Two keys may have one row; the later one then takes it, and the other comes back as
 * one who was never here. */
static struct hm_admission_caller *row_of(struct hm_admission *a, uint64_t key)
{
    uint64_t mixed = key * 0x9e3779b97f4a7c15U;

    return &a->callers[(mixed >> 32) % HM_ADMISSION_CALLERS];
}

static bool waits(const struct hm_admission_caller *caller, uint64_t now_ms)
{
    return caller->due_ms != 0 && now_ms <= caller->due_ms + HM_ADMISSION_GRACE_MS;
}

unsigned hm_admission_waiting(const struct hm_admission *a, uint64_t now_ms)
{
    unsigned count = 0;

    for (size_t i = 0; i < HM_ADMISSION_CALLERS; i++) {
        count += waits(&a->callers[i], now_ms) ? 1 : 0;
    }
    return count;
}

/* Those whose time has come and who may knock at any moment. */
static unsigned due(const struct hm_admission *a, uint64_t now_ms)
{
    unsigned count = 0;

    for (size_t i = 0; i < HM_ADMISSION_CALLERS; i++) {
        const struct hm_admission_caller *caller = &a->callers[i];

        count += waits(caller, now_ms) && caller->due_ms <= now_ms ? 1 : 0;
    }
    return count;
}

static unsigned guests_of(const struct hm_admission *a, uint32_t group)
{
    unsigned count = 0;

    for (unsigned i = 0; i < a->guest_count; i++) {
        count += a->guests[i].group == group ? 1 : 0;
    }
    return count;
}

static unsigned share(const struct hm_admission *a)
{
    return a->places < GROUP_SHARE ? 1 : a->places / GROUP_SHARE;
}

/* One who comes unasked. */
static bool has_room(const struct hm_admission *a, uint32_t group, uint64_t now_ms)
{
    if (a->guest_count >= a->places) {
        return false;
    }
    if (hm_admission_waiting(a, now_ms) == 0) {
        return true;
    }
    return a->guest_count + due(a, now_ms) < a->places &&
           guests_of(a, group) < share(a);
}

static void give_time(struct hm_admission *a, struct hm_admission_caller *caller,
                      uint64_t now_ms, uint64_t random)
{
    uint64_t spacing_ms = a->mean_ms / a->places;
    uint64_t first_ms = now_ms + HM_ADMISSION_WAIT_S_MIN * 1000;
    uint64_t last_ms = now_ms + HM_ADMISSION_WAIT_S_MAX * 1000ULL;

    spacing_ms = spacing_ms < SPACING_MS_MIN ? SPACING_MS_MIN : spacing_ms;
    a->next_ms = (a->next_ms < first_ms ? first_ms : a->next_ms) + spacing_ms;
    if (a->next_ms > last_ms) {
        a->next_ms = last_ms;
        caller->due_ms = last_ms - random % (last_ms / 2 - now_ms / 2);
    } else {
        caller->due_ms = a->next_ms;
    }
}

bool hm_admission_enter(struct hm_admission *a, uint64_t key, uint64_t now_ms,
                        uint64_t random, uint32_t *out_retry_s)
{
    struct hm_admission_caller *caller = row_of(a, key);
    bool invited;

    if (caller->key != key) {
        *caller = (struct hm_admission_caller){.key = key};
    }
    invited = waits(caller, now_ms) && caller->due_ms <= now_ms;
    if (invited ? a->guest_count < a->places + share(a)
                : has_room(a, caller->group, now_ms)) {
        caller->due_ms = 0;
        a->guests[a->guest_count++] = (struct hm_admission_guest){
            .key = key, .since_ms = now_ms, .group = caller->group};
        return true;
    }
    if (invited || !waits(caller, now_ms)) {
        give_time(a, caller, now_ms, random);
    }
    *out_retry_s = (uint32_t)((caller->due_ms - now_ms + 999) / 1000);
    return false;
}

void hm_admission_leave(struct hm_admission *a, uint64_t key, uint32_t group,
                        uint64_t now_ms)
{
    struct hm_admission_caller *caller = row_of(a, key);

    for (unsigned i = 0; i < a->guest_count; i++) {
        if (a->guests[i].key == key) {
            uint64_t stayed_ms = now_ms - a->guests[i].since_ms;

            a->mean_ms = (7 * a->mean_ms + stayed_ms) / 8;
            a->guests[i] = a->guests[--a->guest_count];
            if (caller->key == key && group != 0) {
                caller->group = group;
            }
            return;
        }
    }
}
