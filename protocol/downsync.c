#include "protocol/downsync.h"

/* Every frame is whole, HELLO stands first and once. */
static int check_frames(struct hm_bytes request, struct hm_frame *out_hello)
{
    struct hm_reader r = {.left = request};
    struct hm_frame frame;
    size_t count = 0;

    while (hm_frame_read(&r, &frame)) {
        if ((frame.type == HM_FRAME_HELLO) != (count == 0)) {
            return HM_MALFORMED;
        }
        if (count == 0) {
            *out_hello = frame;
        }
        if (++count > HM_REQUEST_FRAMES_MAX) {
            return HM_MALFORMED;
        }
    }
    if (r.err != HM_OK) {
        return r.err;
    }
    return count == 0 ? HM_MALFORMED : HM_OK;
}

int hm_downsync_init(struct hm_downsync *d, struct hm_bytes request,
                     struct hm_arena *arena)
{
    struct hm_downsync made = {
        .request = request, .arena = arena, .at = {.left = request}};
    struct hm_frame hello = {0};
    int err =
        request.len > HM_REQUEST_BYTES_MAX ? HM_TOOBIG : check_frames(request, &hello);

    if (err == HM_OK) {
        err = hm_hello_read(hello.payload, arena, &made.hello);
    }
    if (err != HM_OK) {
        return err;
    }
    if (made.hello.version_min > HM_PROTOCOL_VERSION ||
        made.hello.version_max < HM_PROTOCOL_VERSION) {
        return HM_VERSION;
    }
    *d = made;
    return HM_OK;
}

static int storing(struct hm_downsync *d, const struct hm_frame *frame,
                   struct hm_downsync_wish *out, bool *found)
{
    if (frame->type == HM_FRAME_SEGMENT) {
        out->type = HM_DOWNSYNC_ACCEPT;
        out->u.segment = frame->payload;
        *found = true;
        return HM_OK;
    }
    if (frame->type == HM_FRAME_GRANT) {
        out->type = HM_DOWNSYNC_GRANT;
        out->u.item = frame->payload;
        *found = true;
        return HM_OK;
    }
    if (frame->type == HM_FRAME_LOGS) {
        return hm_logs_read(frame->payload, d->arena, &d->offers, &d->offer_count);
    }
    return HM_OK;
}

static int answering(const struct hm_frame *frame, struct hm_downsync_wish *out,
                     bool *found)
{
    *found = true;
    switch (frame->type) {
    case HM_FRAME_CURSOR:
        out->type = HM_DOWNSYNC_FEED;
        return hm_cursor_read(frame->payload, &out->u.cursor);
    case HM_FRAME_HASHES:
        out->type = HM_DOWNSYNC_COMPARE;
        return hm_hash_list_read(frame->payload, &out->u.hashes);
    case HM_FRAME_WANT:
        out->type = HM_DOWNSYNC_BLOB;
        return hm_want_read(frame->payload, &out->u.want);
    case HM_FRAME_HEARD:
        out->type = HM_DOWNSYNC_TELL;
        return hm_heard_read(frame->payload, &out->u.heard);
    default:
        *found = false;
        return HM_OK;
    }
}

int hm_downsync_next(struct hm_downsync *d, struct hm_downsync_wish *out)
{
    struct hm_downsync_wish wish = {.type = HM_DOWNSYNC_DONE};
    bool found = false;

    while (d->err == HM_OK && !found) {
        struct hm_frame frame;

        if (d->offer_count > 0) {
            wish.type = HM_DOWNSYNC_CHECK;
            wish.u.offer = *d->offers++;
            d->offer_count--;
            found = true;
        } else if (hm_frame_read(&d->at, &frame)) {
            d->err = d->answering ? answering(&frame, &wish, &found)
                                  : storing(d, &frame, &wish, &found);
        } else if (!d->answering) {
            d->answering = true;
            d->at = (struct hm_reader){.left = d->request};
        } else {
            found = true;
        }
    }
    if (d->err == HM_OK) {
        *out = wish;
    }
    return d->err;
}
