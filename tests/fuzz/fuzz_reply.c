/* What a child parses of a reply, without a store. Every frame that can be read writes
 * the same bytes again; and, taken as the states of a feed, what is packed and sent
 * comes out as the same items. */
#include "protocol/guard.h"
#include "protocol/message.h"
#include "tests/fuzz/fuzz.h"

static void check_unpacked(const struct hm_feed *feed, struct hm_dictionary with,
                           struct hm_bytes states)
{
    struct hm_bytes *items = NULL;
    struct hm_arena arena;
    size_t count = 0;
    int err;

    hm_arena_init(&arena, HM_FUZZ_ARENA_BYTES_MAX);
    err = hm_feed_unpack(feed, with, &arena, &items, &count);
    HM_FUZZ_ERR(err, HM_FUZZ_GUARD_ERRORS, HM_DICTIONARY);
    for (size_t i = 0; i < count && err == HM_OK; i++) {
        HM_FUZZ_CHECK(hm_guard_check(items[i]) == HM_OK);
        HM_FUZZ_CHECK(states.len >= items[i].len &&
                      memcmp(states.data, items[i].data, items[i].len) == 0);
        states.data += items[i].len;
        states.len -= items[i].len;
    }
    HM_FUZZ_CHECK(err != HM_OK || states.len == 0);
    hm_arena_deinit(&arena);
}

static void check_states(struct hm_bytes states, bool packed_with)
{
    struct hm_dictionary with = packed_with ? hm_fuzz_dictionary() : HM_DICTIONARY_NONE;
    struct hm_feed feed = {.scope = 17, .from = 3, .to = 260, .households = 9};
    struct hm_frame frame;
    struct hm_reader r;
    struct hm_buf buf;

    hm_buf_init(&buf, HM_REPLY_BYTES_MAX);
    HM_FUZZ_CHECK(hm_feed_write(&buf, HM_FRAME_FEED, &feed, states, with) == HM_OK);
    r = (struct hm_reader){.left = hm_buf_bytes(&buf)};
    HM_FUZZ_CHECK(hm_frame_read(&r, &frame) && r.left.len == 0);
    HM_FUZZ_CHECK(hm_feed_read(frame.payload, &feed) == HM_OK);
    HM_FUZZ_CHECK(feed.scope == 17 && feed.from == 3 && feed.to == 260);
    HM_FUZZ_CHECK(hm_fuzz_lies_in(feed.packed, frame.payload));
    check_unpacked(&feed, with, states);
    if (states.len > 0 && packed_with) {
        struct hm_bytes *items;
        size_t count;
        struct hm_arena arena;

        hm_arena_init(&arena, 4096);
        HM_FUZZ_CHECK(hm_feed_unpack(&feed, HM_DICTIONARY_NONE, &arena, &items,
                                     &count) == HM_DICTIONARY);
        hm_arena_deinit(&arena);
    }
    hm_buf_deinit(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hm_bytes body = hm_bytes_of(data, size);

    hm_fuzz_check_frames(body);
    check_states(body, size % 2 == 0);
    return 0;
}
