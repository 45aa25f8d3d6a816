/* Answers that the loop itself gives: JSON, text and problem documents (RFC 9457).
 * Loop thread; each function is the one answer of its request. */
#ifndef HM_DAEMON_HTTP_ANSWER_H
#define HM_DAEMON_HTTP_ANSWER_H

#include <jansson.h>

#include "daemon/http_server.h"

enum { HM_HTTP_ANSWER_BYTES_MAX = 64 * 1024 * 1024 };

/* json is released; NULL (no memory) gives a 500. */
void hm_http_answer_json(struct hm_http_request *req, unsigned status, json_t *json);
/* retry_after_s: 0 for none. */
void hm_http_answer_problem(struct hm_http_request *req, unsigned status,
                            unsigned retry_after_s, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* With the status of err, which is not HM_OK, and its name in the type. */
void hm_http_answer_error(struct hm_http_request *req, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* body is moved. */
void hm_http_answer_bytes(struct hm_http_request *req, unsigned status,
                          const char *content_type, struct hm_buf *body);

#endif
