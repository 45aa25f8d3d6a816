/* A request that a centre serves from its store. A frame of type 64 or 65 before it
 * says how the input is read:
 *
 *   64, or none  as it came
 *   65           a SEGMENT holds bare entries behind one byte, which says whose log
 * they go on: they are chained, packed and signed here, so that what a hostile device
 * can write reaches authorisation and merge
 *
 * The store serves whatever comes; its reply can be read; no digest is stale, no log
 * shrinks, receipts are for what is held, and the same request again is nothing new. */
#include <sodium.h>

#include "protocol/guard.h"
#include "storage/log.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/rollback.h"
#include "tests/support/frames.h"
#include "tests/support/pen.h"

enum { WAY_FIRST = 64, WAY_SEALED };

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    (void)hm_fuzz_rollback_laptop();
    return 0;
}

/* What a device that can sign writes: a new log, or more of it, or of one that the
 * centre does not know. */
static void put_sealed(struct hm_bytes entries, struct hm_buf *out)
{
    struct hm_village *v = hm_fuzz_rollback_village();
    unsigned log = hm_fuzz_below(&entries, 3);
    struct hm_bytes item = {0};
    struct hm_bytes segment;
    struct hm_pen pen;
    size_t first;

    hm_pen_open(&pen, v, &v->laptops[0], 0xf000 + log);
    first = log == 2 ? 1 : 0;
    while (entries.len > 0 && pen.count < HM_SEGMENT_ENTRIES_MAX &&
           hm_guard_first(entries, &item) == HM_OK) {
        hm_pen_raw(&pen, item);
        entries.data += item.len;
        entries.len -= item.len;
    }
    if (pen.count > first) {
        segment = hm_pen_seal(&pen, first, pen.count - first);
        hm_frame_write(out, HM_FRAME_SEGMENT, segment);
    }
    hm_pen_close(&pen);
}

static void make_request(struct hm_bytes input, struct hm_buf *out)
{
    struct hm_reader r = {.left = input};
    struct hm_bytes rest = input;
    struct hm_frame frame;
    bool seals = false;

    if (hm_frame_read(&r, &frame) &&
        (frame.type == WAY_FIRST || frame.type == WAY_SEALED)) {
        seals = frame.type == WAY_SEALED;
        rest = r.left;
    }
    r = (struct hm_reader){.left = rest};
    while (seals && hm_frame_read(&r, &frame)) {
        if (frame.type == HM_FRAME_SEGMENT && frame.payload.len < 32768) {
            put_sealed(frame.payload, out);
        } else {
            hm_frame_write(out, (enum hm_frame_type)frame.type, frame.payload);
        }
        rest = r.left;
    }
    hm_buf_append(out, rest);
}

static void check_receipts(struct hm_village_node *n, struct hm_bytes reply)
{
    struct hm_reader r = {.left = reply};
    struct hm_receipt receipt;
    struct hm_frame frame;

    while (hm_frame_read(&r, &frame)) {
        struct hm_log log = {.entries = 0};

        if (frame.type == HM_FRAME_RECEIPT) {
            HM_FUZZ_CHECK(hm_receipt_read(frame.payload, &receipt) == HM_OK);
            HM_FUZZ_ERR(hm_log_get(n->node.store, receipt.incarnation, &log),
                        HM_NOTFOUND);
            HM_FUZZ_CHECK(receipt.count <= log.entries);
        }
    }
    HM_FUZZ_CHECK(r.err == HM_OK);
    hm_fuzz_check_frames(reply);
}

static int serve(struct hm_village_node *n, struct hm_bytes body, uint64_t *out_changes)
{
    struct hm_village *v = hm_fuzz_rollback_village();
    struct hm_serve_request request = {.device = v->laptops[0].node.device,
                                       .body = body,
                                       .received_utc_ms = n->node.now_ms};
    struct hm_serve_reply reply;
    int err;

    HM_FUZZ_CHECK(hm_serve_batch(n->node.store, n->forms, &request, &reply, 1) ==
                  HM_OK);
    err = reply.err;
    HM_FUZZ_ERR(err, HM_FUZZ_GUARD_ERRORS, HM_VERSION, HM_DENIED);
    HM_FUZZ_CHECK(memchr(reply.errmsg, 0, sizeof reply.errmsg) != NULL);
    HM_FUZZ_CHECK((err == HM_OK) == (reply.errmsg[0] == 0));
    if (err == HM_OK) {
        check_receipts(n, hm_buf_bytes(&reply.body));
    }
    *out_changes = reply.changes;
    hm_serve_reply_deinit(&reply);
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hm_village_node *n = &hm_fuzz_rollback_village()->centre;
    struct hm_buf request;
    uint64_t changes = 0;
    int err;

    hm_buf_init(&request, 2 * HM_REQUEST_BYTES_MAX);
    make_request(hm_bytes_of(data, size), &request);
    hm_fuzz_rollback_begin(n);
    err = serve(n, hm_buf_bytes(&request), &changes);
    hm_fuzz_rollback_check(n);
    HM_FUZZ_CHECK(serve(n, hm_buf_bytes(&request), &changes) == err);
    HM_FUZZ_CHECK(changes == 0);
    hm_fuzz_rollback_check(n);
    hm_fuzz_rollback_end(n);
    hm_buf_deinit(&request);
    return 0;
}
