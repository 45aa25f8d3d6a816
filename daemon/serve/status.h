/* What the store knows of `status`; the loop adds what only it knows.
 *
 * Blocking; thread as the store. */
#ifndef HM_DAEMON_SERVE_STATUS_H
#define HM_DAEMON_SERVE_STATUS_H

#include <jansson.h>

#include "daemon/serve/api.h"

/* A Status (docs/api.md) with every member. To be set by the loop: state and last_error
 * of upstream ("offline" and null until then), alarms ([] until then). Opens its own
 * transaction. *out is the caller's to release. */
int hm_api_status(struct hm_api_node *node, json_t **out) HM_MUST_USE;

#endif
