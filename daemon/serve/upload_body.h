/* The body of a request that was spooled to a file, as memory.
 *
 * Blocking; one thread. */
#ifndef HM_DAEMON_SERVE_UPLOAD_BODY_H
#define HM_DAEMON_SERVE_UPLOAD_BODY_H

#include "daemon/serve/call.h"

struct hm_upload_body {
    struct hm_bytes bytes;
    void *mapped; /* NULL: bytes are the request's own */
    size_t mapped_len;
};

/* Maps the file, or shows the body that came whole. To be released by
 * hm_upload_body_unmap(). Errors, with a line: HM_TOOBIG (over bytes_max); HM_INVALID
 * (empty); HM_IO. */
int hm_upload_body_map(struct hm_call *call, uint64_t bytes_max,
                       struct hm_upload_body *out) HM_MUST_USE;
void hm_upload_body_unmap(struct hm_upload_body *body);

#endif
