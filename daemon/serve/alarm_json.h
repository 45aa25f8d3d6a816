/* Alarms as people and programs see them: [{id, kind, device, device_name, since,
 * count, what_to_do}]. */
#ifndef HM_DAEMON_SERVE_ALARM_JSON_H
#define HM_DAEMON_SERVE_ALARM_JSON_H

#include <jansson.h>

#include "storage/alarms.h"
#include "storage/devices.h"

enum { HM_ALARM_JSON_MAX = 64, HM_ALARM_ID_MAX = 32 };

/* An alarm of the store, with what its text needs. */
struct hm_alarm_facts {
    struct hm_alarm alarm;
    char device_name[HM_DEVICE_NAME_BYTES_MAX + 1];
    uint64_t missing; /* CENTRE_RESTORED: changes that are known and have not come */
};

/* The newest that stand, in a transaction of the caller. */
int hm_alarm_json_read(struct hm_store *s, struct hm_alarm_facts out[HM_ALARM_JSON_MAX],
                       size_t *out_count) HM_MUST_USE;
/* NULL without memory. */
json_t *hm_alarm_json(const struct hm_alarm_facts *facts);
/* "clone-3"; and back. False: it is not such an id. */
void hm_alarm_json_id(const struct hm_alarm *alarm, char out[HM_ALARM_ID_MAX]);
bool hm_alarm_json_number(const char *id, size_t len, uint64_t *out_id);

#endif
