#include "tests/support/proxy_flow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct hm_proxy_block {
    struct hm_proxy_block *next;
    uint64_t due_ms;
    size_t len;
    size_t done;
    uint8_t data[];
};

void hm_proxy_bucket_fill(struct hm_proxy_bucket *bucket, uint64_t now_ms)
{
    double most = (double)bucket->bytes_per_s / 20;
    double passed_ms = (double)(now_ms - bucket->filled_at_ms);

    bucket->tokens += passed_ms * (double)bucket->bytes_per_s / 1000;
    if (bucket->tokens > (most < 1 ? 1 : most)) {
        bucket->tokens = most < 1 ? 1 : most;
    }
    bucket->filled_at_ms = now_ms;
}

bool hm_proxy_flow_wants_read(const struct hm_proxy_flow *flow)
{
    return !flow->ended &&
           flow->waiting + HM_PROXY_FLOW_READ_MAX <= HM_PROXY_FLOW_BYTES_MAX;
}

bool hm_proxy_flow_wants_write(const struct hm_proxy_flow *flow,
                               const struct hm_proxy_bucket *bucket, uint64_t now_ms,
                               uint64_t *next_at_ms)
{
    uint64_t at_ms = now_ms;

    if (flow->head == NULL) {
        return flow->ended && !flow->shut;
    }
    if (flow->head->due_ms > at_ms) {
        at_ms = flow->head->due_ms;
    }
    if (bucket->bytes_per_s > 0 && bucket->tokens < 1) {
        double wait_ms = (1 - bucket->tokens) * 1000 / (double)bucket->bytes_per_s;
        uint64_t full_at_ms = bucket->filled_at_ms + (uint64_t)wait_ms + 1;

        at_ms = full_at_ms > at_ms ? full_at_ms : at_ms;
    }
    if (at_ms <= now_ms) {
        return true;
    }
    if (at_ms < *next_at_ms) {
        *next_at_ms = at_ms;
    }
    return false;
}

enum hm_proxy_flow_result hm_proxy_flow_read(struct hm_proxy_flow *flow,
                                             uint8_t *buffer, size_t *out_len)
{
    ssize_t got = recv(flow->from, buffer, HM_PROXY_FLOW_READ_MAX, 0);

    *out_len = 0;
    if (got > 0) {
        *out_len = (size_t)got;
        return HM_PROXY_FLOW_OK;
    }
    if (got == 0) {
        flow->ended = true;
        return HM_PROXY_FLOW_OK;
    }
    return errno == EAGAIN || errno == EINTR ? HM_PROXY_FLOW_OK : HM_PROXY_FLOW_BROKEN;
}

enum hm_proxy_flow_result hm_proxy_flow_queue(struct hm_proxy_flow *flow,
                                              const uint8_t *data, size_t len,
                                              uint64_t due_ms)
{
    struct hm_proxy_block *block = malloc(sizeof *block + len);

    if (block == NULL) {
        return HM_PROXY_FLOW_BROKEN;
    }
    *block = (struct hm_proxy_block){.due_ms = due_ms, .len = len};
    memcpy(block->data, data, len);
    if (flow->tail == NULL) {
        flow->head = block;
    } else {
        flow->tail->next = block;
    }
    flow->tail = block;
    flow->waiting += len;
    return HM_PROXY_FLOW_OK;
}

static void drop_head(struct hm_proxy_flow *flow)
{
    struct hm_proxy_block *block = flow->head;

    flow->head = block->next;
    if (flow->head == NULL) {
        flow->tail = NULL;
    }
    free(block);
}

/* How many of the first block's bytes may go now. */
static size_t allowance(const struct hm_proxy_flow *flow,
                        const struct hm_proxy_bucket *bucket, uint64_t cut)
{
    size_t len = flow->head->len - flow->head->done;

    if (bucket->bytes_per_s > 0 && bucket->tokens < (double)len) {
        len = (size_t)bucket->tokens;
    }
    if (cut > 0 && cut - (flow->passed - flow->passed_0) < len) {
        len = (size_t)(cut - (flow->passed - flow->passed_0));
    }
    return len;
}

static void note_sent(struct hm_proxy_flow *flow, struct hm_proxy_bucket *bucket,
                      size_t sent)
{
    flow->passed += sent;
    flow->waiting -= sent;
    flow->head->done += sent;
    bucket->tokens -= bucket->bytes_per_s > 0 ? (double)sent : 0;
    if (flow->head->done == flow->head->len) {
        drop_head(flow);
    }
}

enum hm_proxy_flow_result hm_proxy_flow_write(struct hm_proxy_flow *flow,
                                              struct hm_proxy_bucket *bucket,
                                              uint64_t now_ms, uint64_t cut)
{
    while (flow->head != NULL && flow->head->due_ms <= now_ms) {
        size_t len = allowance(flow, bucket, cut);
        ssize_t sent;

        if (len == 0) {
            return HM_PROXY_FLOW_OK;
        }
        sent = send(flow->to, flow->head->data + flow->head->done, len, MSG_NOSIGNAL);
        if (sent < 0) {
            return errno == EAGAIN || errno == EINTR ? HM_PROXY_FLOW_OK
                                                     : HM_PROXY_FLOW_BROKEN;
        }
        note_sent(flow, bucket, (size_t)sent);
        if (cut > 0 && flow->passed - flow->passed_0 >= cut) {
            return HM_PROXY_FLOW_CUT;
        }
    }
    if (flow->head == NULL && flow->ended && !flow->shut) {
        flow->shut = true;
        (void)shutdown(flow->to,
                       SHUT_WR); /* a gone peer shows itself at the next read */
    }
    return HM_PROXY_FLOW_OK;
}

void hm_proxy_flow_clear(struct hm_proxy_flow *flow)
{
    while (flow->head != NULL) {
        drop_head(flow);
    }
    flow->waiting = 0;
}
