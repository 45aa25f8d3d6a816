#include "daemon/serve/alarm_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/serve/node_facts.h"
#include "storage/claims.h"

enum { ARENA_BYTES_MAX = 16 * 1024 * 1024, TEXT_MAX = 600 };

static const char *kind_name(enum hm_alarm_kind kind)
{
    switch (kind) {
    case HM_ALARM_CLONE:
        return "clone";
    case HM_ALARM_RESTORED:
        return "restored";
    case HM_ALARM_FORK:
        return "fork";
    case HM_ALARM_CENTRE_RESTORED:
        return "centre_restored";
    case HM_ALARM_REVOKED_WORK:
        return "revoked_work";
    }
    return "unknown"; /* of a newer parent */
}

void hm_alarm_json_id(const struct hm_alarm *alarm, char out[HM_ALARM_ID_MAX])
{
    (void)snprintf(out, HM_ALARM_ID_MAX, "%s-%" PRIu64, kind_name(alarm->kind),
                   alarm->id);
}

bool hm_alarm_json_number(const char *id, size_t len, uint64_t *out_id)
{
    size_t digits = 0;

    while (digits < len && id[len - 1 - digits] >= '0' && id[len - 1 - digits] <= '9') {
        digits++;
    }
    if (digits == 0 || digits > 18 || digits == len || id[len - 1 - digits] != '-') {
        return false;
    }
    *out_id = strtoull(id + len - digits, NULL, 10);
    return true;
}

/* In words for the officer at the node that noticed it. */
static void say_here(const struct hm_alarm_facts *facts, char out[TEXT_MAX])
{
    const struct hm_alarm *alarm = &facts->alarm;
    const char *name = facts->device_name;

    switch (alarm->kind) {
    case HM_ALARM_CLONE:
        (void)snprintf(
            out, TEXT_MAX,
            "%" PRIu64 " machines run one image of %s, or it was set back to the end "
            "of an earlier day: find out how many there are. Nothing is lost. If there "
            "are several: on each but one run hamlet rekey while it is stopped, and "
            "enroll it with a new code. Then clear this alarm",
            alarm->count, name);
        return;
    case HM_ALARM_RESTORED:
        (void)snprintf(out, TEXT_MAX,
                       "%s was set back to an image: %" PRIu64
                       " of its changes exist only here and come back to it by itself. "
                       "Ask what happened to it, then clear this alarm",
                       name, alarm->count);
        return;
    case HM_ALARM_FORK:
        (void)snprintf(out, TEXT_MAX,
                       "%s was set back while it ran and went on otherwise: %" PRIu64
                       " changes of the other branch are in quarantine, and the device "
                       "writes them again under a new name. Let it sync once more, "
                       "look whether its work is there, then clear this alarm",
                       name, alarm->count);
        return;
    case HM_ALARM_CENTRE_RESTORED:
        (void)snprintf(
            out, TEXT_MAX,
            "this node was set back to a backup: %" PRIu64
            " changes have come back from the devices, %" PRIu64
            " that are known of have not. Do again what was done here since (people, "
            "devices, rounds); a device that is refused needs a new code. When all "
            "devices have synced, run: hamlet restore finished",
            alarm->count, facts->missing);
        return;
    case HM_ALARM_REVOKED_WORK:
        (void)snprintf(out, TEXT_MAX,
                       "%s is revoked, and %" PRIu64
                       " changes of it came and are in quarantine: look at hamlet "
                       "quarantine list, and release what is good work",
                       name, alarm->count);
        return;
    }
    (void)snprintf(out, TEXT_MAX, "this version does not know this kind of alarm");
}

/* In words for the person at the device that it is about. */
static void say_there(const struct hm_alarm_facts *facts, char out[TEXT_MAX])
{
    const struct hm_alarm *alarm = &facts->alarm;

    switch (alarm->kind) {
    case HM_ALARM_CLONE:
        (void)snprintf(out, TEXT_MAX,
                       "this laptop's image runs on %" PRIu64
                       " machines, or it was set back: tell the office. Go on working, "
                       "nothing is lost. If it is a copy: stop it, run hamlet rekey, "
                       "and enroll it with a new code",
                       alarm->count);
        return;
    case HM_ALARM_RESTORED:
        (void)snprintf(out, TEXT_MAX,
                       "this laptop was set back to an earlier image: %" PRIu64
                       " of its changes are at the office and come back with the next "
                       "sync",
                       alarm->count);
        return;
    case HM_ALARM_FORK:
        (void)snprintf(out, TEXT_MAX,
                       "this laptop was set back while it ran: %" PRIu64
                       " changes were written again; look through your last answers",
                       alarm->count);
        return;
    case HM_ALARM_REVOKED_WORK:
        (void)snprintf(out, TEXT_MAX,
                       "this laptop is revoked: %" PRIu64
                       " changes wait at the office for a decision",
                       alarm->count);
        return;
    case HM_ALARM_CENTRE_RESTORED:
        break;
    }
    (void)snprintf(out, TEXT_MAX, "ask the office: this version can't say more");
}

json_t *hm_alarm_json(const struct hm_alarm_facts *facts)
{
    const struct hm_alarm *alarm = &facts->alarm;
    char id[HM_ALARM_ID_MAX];
    char device[20];
    char text[TEXT_MAX] = "";

    hm_alarm_json_id(alarm, id);
    (void)snprintf(device, sizeof device, "%016" PRIx64, alarm->device);
    if (alarm->source == 0) {
        say_here(facts, text);
    } else {
        say_there(facts, text);
    }
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:I, s:s}", "id", id, "kind",
                     kind_name(alarm->kind), "device", device, "device_name",
                     facts->device_name, "since",
                     hm_node_facts_time(alarm->since_utc_ms), "count",
                     (json_int_t)alarm->count, "what_to_do", text);
}

static int read_one(struct hm_store *s, const struct hm_alarm *alarm,
                    struct hm_arena *arena, struct hm_alarm_facts *out)
{
    struct hm_device device;
    int err = hm_devices_get(s, alarm->device, arena, &device);

    *out = (struct hm_alarm_facts){.alarm = *alarm};
    if (err == HM_OK) {
        (void)snprintf(out->device_name, sizeof out->device_name, "%s", device.name);
    } else if (err == HM_NOTFOUND) {
        (void)snprintf(out->device_name, sizeof out->device_name, "%016" PRIx64,
                       alarm->device);
        err = HM_OK;
    }
    if (err == HM_OK && alarm->kind == HM_ALARM_CENTRE_RESTORED) {
        err = hm_claims_missing(s, &out->missing);
    }
    return err;
}

int hm_alarm_json_read(struct hm_store *s, struct hm_alarm_facts out[HM_ALARM_JSON_MAX],
                       size_t *out_count)
{
    struct hm_alarm *alarms = NULL;
    struct hm_arena arena;
    size_t count = 0;
    size_t from;
    int err;

    hm_arena_init(&arena, ARENA_BYTES_MAX);
    err = hm_alarms_list(s, &arena, &alarms, &count);
    from = count > HM_ALARM_JSON_MAX ? count - HM_ALARM_JSON_MAX : 0;
    for (size_t i = from; i < count && err == HM_OK; i++) {
        err = read_one(s, &alarms[i], &arena, &out[i - from]);
    }
    hm_arena_deinit(&arena);
    if (err == HM_OK) {
        *out_count = count - from;
    }
    return err;
}
