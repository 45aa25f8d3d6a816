#include "daemon/serve/upload_body.h"

#include <inttypes.h>
#include <sys/mman.h>
#include <sys/stat.h>

int hm_upload_body_map(struct hm_call *call, uint64_t bytes_max,
                       struct hm_upload_body *out)
{
    const struct hm_api_request *request = call->request;
    struct stat info;
    uint64_t size = request->body.len;
    void *mapped;

    *out = (struct hm_upload_body){.bytes = request->body};
    if (request->body_fd >= 0) {
        if (fstat(request->body_fd, &info) != 0) {
            return HM_IO;
        }
        size = (uint64_t)info.st_size;
    }
    if (size > bytes_max) {
        return hm_call_fail(call, HM_TOOBIG, "the file is larger than %" PRIu64 " MB",
                            bytes_max / 1024 / 1024);
    }
    if (size == 0) {
        return hm_call_fail(call, HM_INVALID, "the file is empty");
    }
    if (request->body_fd < 0) {
        return HM_OK;
    }
    mapped = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, request->body_fd, 0);
    if (mapped == MAP_FAILED) {
        return HM_IO;
    }
    out->mapped = mapped;
    out->mapped_len = (size_t)size;
    out->bytes = hm_bytes_of(mapped, (size_t)size);
    return HM_OK;
}

void hm_upload_body_unmap(struct hm_upload_body *body)
{
    if (body->mapped != NULL) {
        (void)munmap(body->mapped, body->mapped_len); /* our own mapping */
        body->mapped = NULL;
    }
}
