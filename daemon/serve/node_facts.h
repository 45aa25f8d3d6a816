/* What the store says about the node, for GET status, alarms and metrics.
 * Blocking; on a store thread, in a transaction of its own. */
#ifndef HM_DAEMON_SERVE_NODE_FACTS_H
#define HM_DAEMON_SERVE_NODE_FACTS_H

#include <jansson.h>

#include "daemon/serve/alarm_json.h"
#include "storage/store.h"

struct hm_node_facts {
    enum hm_node_role role;
    json_t *scopes; /* [{scope, scope_id, households, digest, state, waits}]; the
                     * caller's */
    int64_t revoked_utc_ms; /* 0: it is not */
    uint64_t unsent_changes;
    uint64_t unsent_bytes;
    int64_t unsent_oldest_utc_ms; /* 0: none */
    uint64_t at_hub;
    uint64_t at_centre;
    uint64_t households;
    uint64_t conflicts;
    uint64_t quarantine;
    uint64_t notices;
    int64_t quarantine_since_utc_ms; /* of the oldest that is held */
    bool paused;
    struct hm_alarm_facts alarms[HM_ALARM_JSON_MAX]; /* of the store */
    size_t alarm_count;
    bool has_clock_offset;
    int64_t clock_offset_ms;
};

/* with_scopes false: scopes stays NULL. */
int hm_node_facts_read(struct hm_store *s, bool with_scopes,
                       struct hm_node_facts *out) HM_MUST_USE;
/* "new", "laptop", "hub", "centre". Static. */
const char *hm_node_facts_role_name(enum hm_node_role role);
/* RFC 3339 in UTC, or null for 0. */
json_t *hm_node_facts_time(int64_t utc_ms);

#endif
