/* Prometheus text as JSON. Pure; any thread. */
#ifndef HM_DAEMON_CLI_CLI_METRICS_H
#define HM_DAEMON_CLI_CLI_METRICS_H

#include <jansson.h>

#include "protocol/bytes.h"

/* [{name, labels: {}, value}] of each sample in text; value is null for NaN and the
 * infinities, which JSON lacks. Comments are skipped. NULL when text is not of that
 * form or memory is short. The caller owns the result. */
json_t *hm_cli_metrics_parse(struct hm_bytes text);

#endif
