/* FEED and GIVE: states, compressed together. */
#include "protocol/guard.h"
#include "protocol/message.h"
#include "protocol/pack.h"

int hm_feed_write(struct hm_buf *buf, enum hm_frame_type type,
                  const struct hm_feed *feed, struct hm_bytes states,
                  struct hm_dictionary dictionary)
{
    struct hm_buf payload;
    int err = HM_OK;

    hm_buf_init(&payload, HM_STATES_BYTES_MAX + HM_STATES_BYTES_MAX / 128 + 1024);
    hm_pack_array(&payload, 9);
    hm_pack_uint(&payload, feed->scope);
    hm_pack_uint(&payload, feed->timeline);
    hm_pack_uint(&payload, feed->from);
    hm_pack_uint(&payload, feed->to);
    hm_pack_uint(&payload, feed->salt);
    hm_pack_bool(&payload, feed->more);
    hm_pack_bin(&payload, hm_hash_bytes(&feed->digest));
    hm_pack_uint(&payload, feed->households);
    hm_pack_uint(&payload, states.len == 0 ? 0 : dictionary.id);
    if (states.len > HM_STATES_BYTES_MAX) {
        err = HM_TOOBIG;
    } else if (states.len > 0) {
        err = hm_compress(states, dictionary, &payload);
    }
    if (err == HM_OK) {
        err = payload.err;
    }
    if (err == HM_OK) {
        hm_frame_write(buf, type, hm_buf_bytes(&payload));
        err = buf->err;
    }
    hm_buf_deinit(&payload);
    return err;
}

int hm_feed_read(struct hm_bytes payload, struct hm_feed *out)
{
    struct hm_bytes head = {0};
    struct hm_feed feed = {0};
    struct hm_reader r;
    int err = hm_guard_first(payload, &head);

    if (err != HM_OK) {
        return err;
    }
    r = (struct hm_reader){.left = head};
    hm_unpack_array_exact(&r, 9);
    feed.scope = (uint32_t)hm_unpack_uint_max(&r, UINT32_MAX);
    feed.timeline = hm_unpack_uint(&r);
    feed.from = hm_unpack_uint(&r);
    feed.to = hm_unpack_uint(&r);
    feed.salt = hm_unpack_uint(&r);
    feed.more = hm_unpack_bool(&r);
    hm_unpack_bin_exact(&r, feed.digest.bytes, HM_HASH_BYTES);
    feed.households = hm_unpack_uint(&r);
    feed.dictionary = hm_unpack_uint(&r);
    feed.packed = hm_bytes_of(payload.data + head.len, payload.len - head.len);
    err = hm_unpack_end(&r);
    if (err == HM_OK) {
        *out = feed;
    }
    return err;
}

static int split(struct hm_bytes states, struct hm_arena *arena,
                 struct hm_bytes **out_states, size_t *out_count)
{
    struct hm_bytes *items = NULL;
    size_t room = 0;
    size_t count = 0;

    while (states.len > 0) {
        struct hm_bytes item = {0};
        int err = hm_guard_first(states, &item);

        if (err != HM_OK) {
            return err;
        }
        if (count == HM_FEED_STATES_MAX) {
            return HM_TOOBIG;
        }
        if (count == room) {
            room = room == 0 ? 64 : 2 * room;
            items = hm_arena_grow(arena, items, count, room, sizeof *items);
            if (items == NULL) {
                return HM_NOMEM;
            }
        }
        items[count++] = item;
        states.data += item.len;
        states.len -= item.len;
    }
    *out_states = items;
    *out_count = count;
    return HM_OK;
}

int hm_feed_unpack(const struct hm_feed *feed, struct hm_dictionary dictionary,
                   struct hm_arena *arena, struct hm_bytes **out_states,
                   size_t *out_count)
{
    struct hm_bytes states = {0};
    struct hm_buf buf;
    int err;

    if (feed->packed.len == 0) {
        *out_states = NULL;
        *out_count = 0;
        return HM_OK;
    }
    if (feed->dictionary != dictionary.id) {
        return HM_DICTIONARY;
    }
    hm_buf_init(&buf, HM_STATES_BYTES_MAX);
    err = hm_decompress(feed->packed, dictionary, HM_STATES_BYTES_MAX, &buf);
    if (err == HM_OK) {
        err = hm_arena_copy(arena, hm_buf_bytes(&buf), &states);
    }
    hm_buf_deinit(&buf);
    return err == HM_OK ? split(states, arena, out_states, out_count) : err;
}
