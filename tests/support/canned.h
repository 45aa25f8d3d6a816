/* A server on a Unix socket that gives answers written beforehand and keeps what it was
 * asked: for tests of clients. One thread of its own; a connection for each answer. */
#ifndef HM_TESTS_SUPPORT_CANNED_H
#define HM_TESTS_SUPPORT_CANNED_H

#include "protocol/buf.h"

enum { CANNED_ANSWERS_MAX = 8 };

struct canned;

/* Listen on path and answer the n-th request with answers[n] (the whole of it, from
 * "HTTP/1.1"; borrowed), then close the connection. An answer that begins with '!' is
 * given as soon as the head is read, its body is not; count <= CANNED_ANSWERS_MAX. Ends
 * the test on failure. */
struct canned *canned_start(const char *path, const char *const *answers, size_t count);

/* Wait for the thread, which ends after its last answer or 10 s without a request. The
 * requests stay readable until canned_free(). */
void canned_join(struct canned *c);
void canned_free(struct canned *c);

/* After canned_join(): the n-th request, head and body as they came (chunked bodies
 * without their framing); "" when there was none. */
const char *canned_request(struct canned *c, size_t n);

#endif
