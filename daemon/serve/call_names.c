/* Households that a call is about, and what people read instead of numbers. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "daemon/serve/call.h"
#include "protocol/fact.h"
#include "storage/households.h"

/* -- Households -- */

int hm_call_household_id(struct hm_call *call, const char *text,
                         struct hm_household_id *out_id)
{
    if (hm_household_id_from_text(text, out_id) != HM_OK) {
        return hm_call_fail(call, HM_INVALID, "%s is not the id of a household", text);
    }
    return HM_OK;
}

int hm_call_household(struct hm_call *call, const char *text, struct hm_arena *arena,
                      struct hm_household *out)
{
    struct hm_household_id id;
    uint32_t scope = 0;
    int err = hm_call_household_id(call, text, &id);

    if (err == HM_OK) {
        err = hm_call_tree(call);
    }
    if (err == HM_OK) {
        err = hm_call_forms(call);
    }
    if (err == HM_OK) {
        err = hm_households_load(call->s, &id, arena, out);
        if (err == HM_NOTFOUND) {
            return hm_call_fail(call, err, "household %s is not on this node", text);
        }
    }
    if (err == HM_OK) {
        err = hm_call_household_scope(call, out, arena, &scope);
    }
    if (err == HM_OK && !hm_call_may_see(call, scope)) {
        err = hm_call_fail(call, HM_DENIED, "%s does not work in hamlet %s",
                           call->asker.name, hm_units_code_of(call->tree, scope));
    }
    return err;
}

int hm_call_household_scope(struct hm_call *call, const struct hm_household *h,
                            struct hm_arena *arena, uint32_t *out_scope)
{
    (void)call;
    (void)arena;
    *out_scope = hm_fact_shown_scope(h);
    return HM_OK;
}

/* -- Names and times -- */

const char *hm_call_device_name(struct hm_call *call, uint64_t device,
                                struct hm_arena *arena)
{
    struct hm_device found;
    char id[20];

    if (hm_devices_get(call->s, device, arena, &found) == HM_OK && found.name[0] != 0) {
        return found.name;
    }
    if (device == hm_store_device(call->s)) {
        return call->node->name;
    }
    (void)snprintf(id, sizeof id, "%016" PRIx64, device);
    return hm_arena_text(arena, hm_bytes_str(id));
}

const char *hm_call_user_name(struct hm_call *call, uint32_t user, uint64_t device,
                              struct hm_arena *arena)
{
    const char *name;
    struct hm_user found;
    char *text;

    if (user != HM_USER_OPERATOR) {
        if (hm_people_get_user(call->s, user, arena, &found) == HM_OK) {
            return found.name;
        }
        text = hm_arena_alloc(arena, 24);
        if (text != NULL) {
            (void)sprintf(text, "user %" PRIu32, user);
        }
        return text;
    }
    name = hm_call_device_name(call, device, arena);
    text = name == NULL ? NULL : hm_arena_alloc(arena, strlen(name) + 16);
    if (text != NULL) {
        (void)sprintf(text, "operator@%s", name);
    }
    return text;
}

void hm_call_time_text(int64_t utc_ms, char out[HM_CALL_TIME_MAX])
{
    const int64_t max = 253402300799; /* the last second of the year 9999 */
    int64_t seconds = utc_ms / 1000 - (utc_ms % 1000 < 0 ? 1 : 0);
    struct tm tm;
    time_t at;

    seconds = seconds < -62135596800 ? -62135596800 : seconds > max ? max : seconds;
    at = (time_t)seconds;
    (void)gmtime_r(&at, &tm); /* in range: years 1 to 9999 */
    (void)snprintf(out, HM_CALL_TIME_MAX, "%04u-%02u-%02uT%02u:%02u:%02uZ",
                   (unsigned)(tm.tm_year + 1900) % 10000,
                   (unsigned)(tm.tm_mon + 1) % 100, (unsigned)tm.tm_mday % 100,
                   (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100,
                   (unsigned)tm.tm_sec % 100);
}

json_t *hm_call_time_json(int64_t utc_ms)
{
    char text[HM_CALL_TIME_MAX];

    if (utc_ms == 0) {
        return json_null();
    }
    hm_call_time_text(utc_ms, text);
    return json_string(text);
}
