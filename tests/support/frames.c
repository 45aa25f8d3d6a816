#include "tests/support/frames.h"

#include <inttypes.h>

#include "tests/support/dump.h"
#include "tests/support/test.h"

struct decoding {
    struct hm_dictionary dictionary;
    struct hm_arena *arena;
    struct hm_buf *dump;
    struct hm_buf *again;
};

static void dump_hex(const struct decoding *d, struct hm_bytes bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        hm_buf_printf(d->dump, "%02x", bytes.data[i]);
    }
}

static void dump_text(const struct decoding *d, struct hm_bytes text)
{
    hm_buf_append_str(d->dump, "\"");
    hm_buf_append(d->dump, text);
    hm_buf_append_str(d->dump, "\"\n");
}

static int hello(const struct decoding *d, struct hm_bytes payload)
{
    struct hm_hello h;
    int err = hm_hello_read(payload, d->arena, &h);

    if (err == HM_OK) {
        hm_buf_printf(d->dump,
                      "hello versions %" PRIu64 " to %" PRIu64 " device %" PRIu64
                      " wall %" PRId64 " reply %" PRIu64 " bytes program ",
                      h.version_min, h.version_max, h.device, h.wall_ms, h.reply_bytes);
        dump_text(d, h.program);
        for (size_t i = 0; i < h.dictionary_count; i++) {
            hm_buf_printf(d->dump, "  dictionary %016" PRIx64 "\n", h.dictionaries[i]);
        }
        hm_hello_write(d->again, &h);
    }
    return err;
}

static int logs(const struct decoding *d, struct hm_bytes payload)
{
    struct hm_log_offer *offers;
    size_t count;
    int err = hm_logs_read(payload, d->arena, &offers, &count);

    if (err == HM_OK) {
        hm_buf_append_str(d->dump, "logs\n");
        for (size_t i = 0; i < count; i++) {
            hm_buf_printf(d->dump, "  %016" PRIx64 " up to %" PRIu64 " chain ",
                          offers[i].incarnation, offers[i].upto);
            dump_hex(d, hm_hash_bytes(&offers[i].chain));
            hm_buf_append_str(d->dump, "\n");
        }
        hm_logs_write(d->again, offers, count);
    }
    return err;
}

static int cursor(const struct decoding *d, struct hm_bytes payload)
{
    struct hm_cursor c;
    int err = hm_cursor_read(payload, &c);

    if (err == HM_OK) {
        hm_buf_printf(d->dump,
                      "cursor scope %" PRIu32 " timeline %016" PRIx64
                      " position %" PRIu64 " salt %016" PRIx64 " digest ",
                      c.scope, c.timeline, c.position, c.salt);
        dump_hex(d, hm_hash_bytes(&c.digest));
        hm_buf_append_str(d->dump, "\n");
        hm_cursor_write(d->again, &c);
    }
    return err;
}

static int hash_list(const struct decoding *d, const struct hm_frame *frame)
{
    struct hm_hash_list list;
    int err = hm_hash_list_read(frame->payload, &list);

    if (err == HM_OK) {
        hm_buf_printf(d->dump, "%s scope %" PRIu32 "\n",
                      frame->type == HM_FRAME_NEED ? "need" : "hashes", list.scope);
        for (size_t i = 0; i < list.prefixes.len; i += HM_HASH_PREFIX_BYTES) {
            hm_buf_append_str(d->dump, "  ");
            dump_hex(d, hm_bytes_of(list.prefixes.data + i, HM_HASH_PREFIX_BYTES));
            hm_buf_append_str(d->dump, "\n");
        }
        hm_hash_list_write(d->again, (enum hm_frame_type)frame->type, &list);
    }
    return err;
}

static int want(const struct decoding *d, struct hm_bytes payload)
{
    struct hm_want w;
    int err = hm_want_read(payload, &w);

    if (err == HM_OK) {
        hm_buf_append_str(d->dump, "want ");
        dump_hex(d, hm_bytes_of(w.hash, sizeof w.hash));
        hm_buf_printf(d->dump, " from %" PRIu64 "\n", w.offset);
        hm_want_write(d->again, &w);
    }
    return err;
}

static int time_of(const struct decoding *d, struct hm_bytes payload)
{
    struct hm_time t;
    int err = hm_time_read(payload, &t);

    if (err == HM_OK) {
        hm_buf_printf(d->dump,
                      "time received %" PRId64 " sent %" PRId64 " version %" PRIu64
                      " level %d device %" PRIu64 " retry after %" PRIu64 " s text ",
                      t.received_ms, t.sent_ms, t.version, (int)t.level, t.device,
                      t.retry_after_s);
        dump_text(d, t.text);
        hm_time_write(d->again, &t);
    }
    return err;
}

static int receipt(const struct decoding *d, struct hm_bytes payload)
{
    struct hm_receipt r;
    int err = hm_receipt_read(payload, &r);

    if (err == HM_OK) {
        hm_buf_printf(d->dump, "receipt %016" PRIx64 " count %" PRIu64 " level %d\n",
                      r.incarnation, r.count, (int)r.level);
        hm_receipt_write(d->again, &r);
    }
    return err;
}

static int at_centre(const struct decoding *d, struct hm_bytes payload)
{
    struct hm_at_centre *logs = NULL;
    size_t count = 0;
    int err = hm_at_centre_read(payload, d->arena, &logs, &count);

    for (size_t i = 0; i < count && err == HM_OK; i++) {
        hm_buf_printf(d->dump, "at centre %016" PRIx64 " count %" PRIu64 "\n",
                      logs[i].incarnation, logs[i].count);
    }
    if (err == HM_OK) {
        hm_at_centre_write(d->again, logs, count);
    }
    return err;
}

static int heard(const struct decoding *d, const struct hm_frame *frame)
{
    struct hm_heard h;
    int err = hm_heard_read(frame->payload, &h);

    if (err == HM_OK) {
        hm_buf_printf(d->dump,
                      "%s timeline %" PRIu64 " position %" PRIu64 " items %" PRIu64
                      " at %" PRIu64 "\n",
                      frame->type == HM_FRAME_TOLD ? "told" : "heard", h.timeline,
                      h.position, h.items_timeline, h.items_position);
        hm_heard_write(d->again, (enum hm_frame_type)frame->type, &h);
    }
    return err;
}

static int quarantined(const struct decoding *d, struct hm_bytes payload)
{
    struct hm_quarantined q;
    char dot[HM_ID_TEXT_MAX];
    int err = hm_quarantined_read(payload, &q);

    if (err == HM_OK) {
        hm_dot_to_text(&q.dot, dot);
        hm_buf_printf(d->dump, "quarantined %s reason %" PRId64 " ", dot, q.reason);
        dump_text(d, q.text);
        hm_quarantined_write(d->again, &q);
    }
    return err;
}

static int feed(const struct decoding *d, const struct hm_frame *frame)
{
    struct hm_dictionary with = HM_DICTIONARY_NONE;
    struct hm_bytes *items = NULL;
    struct hm_feed f;
    size_t count = 0;
    int err = hm_feed_read(frame->payload, &f);

    if (err == HM_OK) {
        with = f.dictionary == 0 ? with : d->dictionary;
        err = hm_feed_unpack(&f, with, d->arena, &items, &count);
    }
    if (err != HM_OK) {
        return err;
    }
    hm_buf_printf(d->dump,
                  "%s scope %" PRIu32 " timeline %016" PRIx64 " from %" PRIu64
                  " to %" PRIu64 " salt %016" PRIx64 "%s\n  households %" PRIu64
                  " dictionary %016" PRIx64 " digest ",
                  frame->type == HM_FRAME_GIVE ? "give" : "feed", f.scope, f.timeline,
                  f.from, f.to, f.salt, f.more ? " more" : "", f.households,
                  f.dictionary);
    dump_hex(d, hm_hash_bytes(&f.digest));
    hm_buf_append_str(d->dump, "\n");
    for (size_t i = 0; i < count; i++) {
        hm_buf_append_str(d->dump, "  ");
        hm_dump_value(items[i], d->dump);
        hm_buf_append_str(d->dump, "\n");
    }
    if (f.packed.len == 0) {
        return hm_feed_write(d->again, (enum hm_frame_type)frame->type, &f, f.packed,
                             HM_DICTIONARY_NONE);
    }
    hm_frame_write(d->again, (enum hm_frame_type)frame->type, frame->payload);
    return HM_OK;
}

static int blob(const struct decoding *d, struct hm_bytes payload)
{
    struct hm_blob_piece p;
    int err = hm_blob_piece_read(payload, &p);

    if (err == HM_OK) {
        hm_buf_append_str(d->dump, "blob ");
        dump_hex(d, hm_bytes_of(p.hash, sizeof p.hash));
        hm_buf_printf(d->dump, " from %" PRIu64 " of %" PRIu64 ": ", p.offset, p.size);
        dump_hex(d, p.bytes);
        hm_buf_append_str(d->dump, "\n");
        hm_blob_piece_write(d->again, &p);
    }
    return err;
}

/* Without a codec here. */
static int plain(const struct decoding *d, const struct hm_frame *frame)
{
    if (frame->type == HM_FRAME_SEGMENT) {
        hm_buf_printf(d->dump, "segment of %zu bytes\n", frame->payload.len);
    } else if (frame->type == HM_FRAME_MORE) {
        hm_buf_append_str(d->dump, "more\n");
    } else {
        hm_buf_printf(d->dump, "unknown type %u of %zu bytes\n", frame->type,
                      frame->payload.len);
    }
    hm_frame_write(d->again, (enum hm_frame_type)frame->type, frame->payload);
    return HM_OK;
}

static int decode(const struct decoding *d, const struct hm_frame *frame)
{
    switch (frame->type) {
    case HM_FRAME_HELLO:
        return hello(d, frame->payload);
    case HM_FRAME_LOGS:
        return logs(d, frame->payload);
    case HM_FRAME_CURSOR:
        return cursor(d, frame->payload);
    case HM_FRAME_HASHES:
    case HM_FRAME_NEED:
        return hash_list(d, frame);
    case HM_FRAME_WANT:
        return want(d, frame->payload);
    case HM_FRAME_TIME:
        return time_of(d, frame->payload);
    case HM_FRAME_RECEIPT:
        return receipt(d, frame->payload);
    case HM_FRAME_AT_CENTRE:
        return at_centre(d, frame->payload);
    case HM_FRAME_HEARD:
    case HM_FRAME_TOLD:
        return heard(d, frame);
    case HM_FRAME_QUARANTINED:
        return quarantined(d, frame->payload);
    case HM_FRAME_FEED:
    case HM_FRAME_GIVE:
        return feed(d, frame);
    case HM_FRAME_BLOB:
        return blob(d, frame->payload);
    default:
        return plain(d, frame);
    }
}

int hm_frames_decode(struct hm_bytes body, struct hm_dictionary dictionary,
                     struct hm_arena *arena, struct hm_buf *dump, struct hm_buf *again)
{
    const struct decoding d = {dictionary, arena, dump, again};
    struct hm_reader r = {.left = body};
    struct hm_frame frame;
    int err = HM_OK;

    while (err == HM_OK && hm_frame_read(&r, &frame)) {
        err = decode(&d, &frame);
    }
    return err == HM_OK ? r.err : err;
}

void hm_frames_request(struct hm_bytes segment, struct hm_buf *out)
{
    static const uint64_t dictionaries[] = {5, UINT64_MAX};
    static const char prefixes[] = "\1bcdefgh\1bcdefgi\xff"
                                   "bcdefgh";
    const struct hm_hello sender = {.version_min = 1,
                                    .version_max = 2,
                                    .device = 12,
                                    .wall_ms = 1790000000000,
                                    .reply_bytes = 8192,
                                    .program = hm_bytes_str("0.1.0"),
                                    .dictionaries = dictionaries,
                                    .dictionary_count = 2};
    const struct hm_log_offer offers[] = {{0x5eed, 40, {{1, 2, 3}}},
                                          {UINT64_MAX, 0, {{0xff}}}};
    const struct hm_cursor cursors[] = {
        {.scope = 0, .timeline = 0xfeed, .position = 3, .salt = 7, .digest = {{9}}},
        {.scope = 17}};
    const struct hm_hash_list hashes = {17, hm_bytes_of(prefixes, sizeof prefixes - 1)};
    const struct hm_want wants = {.hash = {0xb1, 0x0b}, .offset = 65536};
    const struct hm_heard stands = {.timeline = 0xfeed,
                                    .position = 300,
                                    .items_timeline = 0xfeed1,
                                    .items_position = 17};

    hm_hello_write(out, &sender);
    hm_logs_write(out, offers, 2);
    hm_cursor_write(out, &cursors[0]);
    hm_cursor_write(out, &cursors[1]);
    hm_frame_write(out, HM_FRAME_SEGMENT, segment);
    hm_hash_list_write(out, HM_FRAME_HASHES, &hashes);
    hm_want_write(out, &wants);
    hm_heard_write(out, HM_FRAME_HEARD, &stands);
    hm_frame_write(out, (enum hm_frame_type)31, hm_bytes_str("tomorrow's"));
    CHECK_OK(out->err);
}

void hm_frames_reply(struct hm_bytes states, struct hm_dictionary dictionary,
                     struct hm_buf *out)
{
    const struct hm_time parent = {.received_ms = 1790000000500,
                                   .sent_ms = 1790000000620,
                                   .version = 1,
                                   .level = HM_LEVEL_CENTRE,
                                   .device = 1,
                                   .retry_after_s = 90,
                                   .text = hm_bytes_str("đang bận")};
    const struct hm_receipt receipts[] = {{0x5eed, 41, HM_LEVEL_HUB},
                                          {UINT64_MAX, 0, HM_LEVEL_CENTRE}};
    const struct hm_at_centre at_centre[] = {{0x5eed, 40}, {UINT64_MAX, 0}};
    const struct hm_heard told = {.timeline = UINT64_MAX, .position = 301};
    const struct hm_quarantined notice = {
        {0x5eed, 5}, HM_DENIED, hm_bytes_str("the device was revoked")};
    struct hm_feed part = {.scope = 17,
                           .timeline = 0xfeed,
                           .from = 3,
                           .to = 260,
                           .salt = UINT64_MAX,
                           .more = true,
                           .digest = {{4, 5}},
                           .households = 70000};
    const struct hm_hash_list need = {17, hm_bytes_str("abcdefgh")};
    const struct hm_blob_piece piece = {
        .hash = {0xb1, 0x0b}, .offset = 4, .size = 9, .bytes = hm_bytes_str("piece")};

    hm_time_write(out, &parent);
    hm_receipt_write(out, &receipts[0]);
    hm_receipt_write(out, &receipts[1]);
    hm_at_centre_write(out, at_centre, 2);
    hm_quarantined_write(out, &notice);
    CHECK_OK(hm_feed_write(out, HM_FRAME_FEED, &part, states, dictionary));
    part.from = 0;
    part.to = 0;
    part.more = false;
    CHECK_OK(hm_feed_write(out, HM_FRAME_GIVE, &part, states, HM_DICTIONARY_NONE));
    CHECK_OK(hm_feed_write(out, HM_FRAME_FEED, &part, hm_bytes_of(NULL, 0),
                           HM_DICTIONARY_NONE));
    hm_hash_list_write(out, HM_FRAME_NEED, &need);
    hm_blob_piece_write(out, &piece);
    hm_heard_write(out, HM_FRAME_TOLD, &told);
    hm_frame_write(out, HM_FRAME_MORE, hm_bytes_of(NULL, 0));
    hm_frame_write(out, (enum hm_frame_type)200, hm_bytes_str("?"));
    CHECK_OK(out->err);
}
