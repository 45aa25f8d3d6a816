/* A machine of protocol/upsync.h and what it did, as a transcript in which times are
 * seconds. Failures end the test. */
#ifndef HM_TESTS_SUPPORT_UPSYNC_RUN_H
#define HM_TESTS_SUPPORT_UPSYNC_RUN_H

#include "protocol/buf.h"
#include "protocol/upsync.h"

#define MINUTES(n) ((n)*60 * 1000)

struct run {
    struct hm_upsync u;
    struct hm_upsync_wishes wishes; /* of the last step */
    uint64_t now_ms;
    uint64_t random;
    struct hm_buf log;
};

void begin(struct run *r, bool paused);
/* An event as it is; its now_ms is the run's business. */
void step_event(struct run *r, const struct hm_upsync_event *event);
/* An event, some seconds after the last. */
void step(struct run *r, unsigned seconds, enum hm_upsync_event_type type);
/* The timer that stands, when it is due. */
void timer(struct run *r);
/* The exchange in flight ends a second after the last event. */
void exchanged(struct run *r, int err, bool more, uint64_t retry_after_ms);
/* The transcript since the last check. */
void check(struct run *r, const char *transcript);
/* Started, first exchange over, nothing left: idle with the feed's timer, 720 s ahead
 * when random is 0. */
void begin_idle(struct run *r);

#endif
