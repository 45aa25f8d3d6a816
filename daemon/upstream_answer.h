/* What an answer to a sync, or the lack of one, means: whether it is a hub's at all,
 * what a person should do, and when to come back.
 *
 * Pure: any thread. The rule above all others: whoever answers, only a hub's reply is
 * taken, and everything that a hotel, a provider or a broken link may send instead is
 * "offline". */
#ifndef HM_DAEMON_UPSTREAM_ANSWER_H
#define HM_DAEMON_UPSTREAM_ANSWER_H

#include "daemon/http_client.h"

enum { HM_UPSTREAM_TEXT_MAX = 300 };

enum hm_upstream_outcome {
    HM_UPSTREAM_OK,
    HM_UPSTREAM_OFFLINE, /* it may work later */
    HM_UPSTREAM_REFUSED  /* a person must do something */
};

struct hm_upstream_verdict {
    bool take; /* looks like a hub's reply: read it; the rest is not set then */
    enum hm_upstream_outcome outcome;
    int err;                         /* never HM_OK */
    bool foreign;                    /* somebody else than the hub answered */
    uint64_t retry_after_ms;         /* the hub's wish, at most a day; 0: none */
    char text[HM_UPSTREAM_TEXT_MAX]; /* one line for people */
};

/* url is the hub's, for the text; utc_s is the node's clock, used only when a time to
 * come back is given as a date by one who does not say what time it is. */
void hm_upstream_answer_judge(const struct hm_http_call *call, const char *url,
                              int64_t utc_s, struct hm_upstream_verdict *out);

/* A Retry-After header in ms: seconds, or a date against the answer's own ("" for
 * none). 0 for none, for what is no such thing, and for the past; at most a day. */
uint64_t hm_upstream_answer_retry_ms(const char *retry_after, const char *date,
                                     int64_t utc_s);

/* The one line of a problem document, or NULL. In out, which it ends with a NUL. */
const char *hm_upstream_answer_detail(const struct hm_http_call *call, char *out,
                                      size_t room);

#endif
