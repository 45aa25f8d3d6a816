/* What goes over the wire, held against what the parent's store can know. */
#include "protocol/message.h"
#include "storage/feeds.h"
#include "tests/sim/sim.h"

/* Whether a cursor is of the history that the parent has: its timeline, and the salt
 * that belongs to its position. */
static int is_of_this_history(struct sim_node *parent, const struct hm_cursor *cursor,
                              bool *out_is)
{
    uint64_t timeline = 0;
    uint64_t salt = 0;
    int err = hm_feeds_timeline(parent->store, &timeline);

    if (err == HM_OK) {
        err = hm_feeds_salt(parent->store, cursor->scope, cursor->position, &salt);
    }
    *out_is = err == HM_OK && timeline == cursor->timeline && salt == cursor->salt;
    return err == HM_NOTFOUND ? HM_OK : err;
}

/* A position of another history may not be gone on from: what stands before it is not
 * what the child has seen. */
static int check_feed(struct sim_node *parent, const struct hm_cursor *cursor,
                      struct hm_bytes reply)
{
    struct hm_reader r = {.left = reply};
    struct hm_frame frame;
    bool same = false;
    int err = is_of_this_history(parent, cursor, &same);

    while (err == HM_OK && !same && hm_frame_read(&r, &frame)) {
        struct hm_feed feed;

        if (frame.type == HM_FRAME_FEED &&
            hm_feed_read(frame.payload, &feed) == HM_OK &&
            feed.scope == cursor->scope && feed.from == cursor->position &&
            feed.from < feed.to) {
            sim_find(parent->sim, SIM_ORACLE_CURSOR,
                     "%s goes on from position %llu of another history", parent->name,
                     (unsigned long long)cursor->position);
        }
    }
    return err;
}

static int check_cursors(struct sim_node *parent, struct hm_bytes request,
                         struct hm_bytes reply)
{
    struct hm_reader r = {.left = request};
    struct hm_frame frame;
    int err = HM_OK;

    while (err == HM_OK && hm_frame_read(&r, &frame)) {
        struct hm_cursor cursor;

        if (frame.type == HM_FRAME_CURSOR &&
            hm_cursor_read(frame.payload, &cursor) == HM_OK && cursor.scope != 0 &&
            cursor.position > 0) {
            err = check_feed(parent, &cursor, reply);
        }
    }
    return err;
}

/* What a reply promises, to be held against the disk after the next power cut. */
static void note_receipts(struct sim_node *parent, struct hm_bytes reply)
{
    struct hm_reader r = {.left = reply};
    struct hm_frame frame;

    while (hm_frame_read(&r, &frame)) {
        struct hm_receipt receipt;

        if (frame.type == HM_FRAME_RECEIPT &&
            hm_receipt_read(frame.payload, &receipt) == HM_OK && receipt.count > 0) {
            sim_fact_raise(&parent->receipts, receipt.incarnation, receipt.count);
        }
    }
}

/* Each parent has a timeline of its own, and hears of no other's. */
static int check_timelines(struct sim_node *parent, struct hm_bytes request)
{
    struct hm_reader r = {.left = request};
    struct hm_frame frame;
    uint64_t timeline = 0;
    int err = hm_feeds_timeline(parent->store, &timeline);

    while (err == HM_OK && hm_frame_read(&r, &frame)) {
        struct hm_cursor cursor;

        if (frame.type == HM_FRAME_CURSOR &&
            hm_cursor_read(frame.payload, &cursor) == HM_OK && cursor.timeline != 0 &&
            cursor.timeline != timeline) {
            sim_find(parent->sim, SIM_ORACLE_CURSOR,
                     "%s is shown a position in the feed of another parent",
                     parent->name);
        }
    }
    return err;
}

void sim_watch(struct sim_node *parent, struct hm_bytes request, struct hm_bytes reply)
{
    int err = HM_OK;

    note_receipts(parent, reply);
    if (parent->sim->centre_set_back) { /* else there is one history */
        err = hm_store_begin_read(parent->store);
        if (err == HM_OK) {
            err = hm_store_end(parent->store, check_cursors(parent, request, reply));
        }
    }
    if (err == HM_OK && !parent->sim->was_hostile &&
        !(parent->index == 0 && parent->sim->centre_set_back)) {
        err = hm_store_begin_read(parent->store);
        if (err == HM_OK) {
            err = hm_store_end(parent->store, check_timelines(parent, request));
        }
    }
    (void)sim_node_survives(parent, err, "watch"); /* if not, it is over */
}
