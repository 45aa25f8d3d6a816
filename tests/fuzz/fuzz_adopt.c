/* A reply that a laptop adopts into its store. A frame of type 64, 65 or 66 before it
 * says how the input is read:
 *
 *   64, or none  as it came
 *   65           what stands in FEED and GIVE is not compressed yet: it is done here
 *   66           the same, and items are signed by the centre, which no input could be
 *
 * Whatever comes, no digest is stale afterwards, no own entry is lost, an error leaves
 * nothing behind, and the same reply again changes no state. */
#include <sodium.h>

#include "protocol/digest.h"
#include "protocol/guard.h"
#include "protocol/pack.h"
#include "storage/items.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/rollback.h"

enum { WAY_FIRST = 64, WAY_PACKED, WAY_SIGNED, WAY_LAST = WAY_SIGNED };

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    (void)hm_fuzz_rollback_laptop();
    return 0;
}

/* The item with the centre's signature, or as it is when it is no item. */
static void put_signed(struct hm_bytes bytes, struct hm_buf *out)
{
    struct hm_village *v = hm_fuzz_rollback_village();
    uint8_t signature[HM_SIGNATURE_BYTES];
    struct hm_admin_item item;
    struct hm_buf to_sign;
    struct hm_hash hash;

    if (hm_items_decode(bytes, &item) != HM_OK) {
        hm_buf_append(out, bytes);
        return;
    }
    hm_buf_init(&to_sign, HM_ITEM_BODY_BYTES_MAX + 100);
    hm_pack_array(&to_sign, 4);
    hm_pack_uint(&to_sign, (uint64_t)item.kind);
    hm_pack_uint(&to_sign, item.id);
    hm_pack_uint(&to_sign, item.version);
    hm_pack_bin(&to_sign, item.body);
    hash = hm_hash_of(hm_buf_bytes(&to_sign), (struct hm_bytes){0});
    (void)crypto_sign_detached(signature, NULL, hash.bytes, sizeof hash.bytes,
                               v->centre.node.secret_key);
    item.signature = hm_bytes_of(signature, sizeof signature);
    hm_items_encode(&item, out);
    hm_buf_deinit(&to_sign);
}

static void sign_all(struct hm_bytes items, struct hm_buf *out)
{
    struct hm_bytes item = {0};

    while (items.len > 0 && hm_guard_first(items, &item) == HM_OK) {
        put_signed(item, out);
        items.data += item.len;
        items.len -= item.len;
    }
    hm_buf_append(out, items);
}

static void put_packed(const struct hm_frame *frame, unsigned way, struct hm_buf *out)
{
    struct hm_feed feed;
    struct hm_buf items;

    if (hm_feed_read(frame->payload, &feed) != HM_OK) {
        hm_frame_write(out, (enum hm_frame_type)frame->type, frame->payload);
        return;
    }
    hm_buf_init(&items, HM_STATES_BYTES_MAX);
    if (way == WAY_SIGNED && feed.scope == 0) {
        sign_all(feed.packed, &items);
    } else {
        hm_buf_append(&items, feed.packed);
    }
    HM_FUZZ_CHECK(hm_feed_write(out, (enum hm_frame_type)frame->type, &feed,
                                hm_buf_bytes(&items), HM_DICTIONARY_NONE) == HM_OK);
    hm_buf_deinit(&items);
}

/* The reply that the input stands for. */
static void make_reply(struct hm_bytes input, struct hm_buf *out)
{
    struct hm_reader r = {.left = input};
    struct hm_bytes rest = input;
    struct hm_frame frame;
    unsigned way = WAY_FIRST;

    if (hm_frame_read(&r, &frame) && frame.type >= WAY_FIRST &&
        frame.type <= WAY_LAST) {
        way = frame.type;
        rest = r.left;
    }
    r = (struct hm_reader){.left = rest};
    while (way != WAY_FIRST && hm_frame_read(&r, &frame)) {
        if (frame.type == HM_FRAME_FEED || frame.type == HM_FRAME_GIVE) {
            put_packed(&frame, way, out);
        } else {
            hm_frame_write(out, (enum hm_frame_type)frame.type, frame.payload);
        }
        rest = r.left;
    }
    hm_buf_append(out, rest);
}

static int adopt(struct hm_village_node *n, struct hm_bytes reply, struct hm_adopt *out)
{
    int err = hm_adopt_reply(n->node.store, n->forms, reply, n->node.now_ms,
                             n->node.now_ms, out);

    /* Not NOMEM, CORRUPT or IO: those would end a node. */
    HM_FUZZ_ERR(err, HM_FUZZ_GUARD_ERRORS, HM_SIGNATURE, HM_DENIED, HM_VERSION,
                HM_DICTIONARY);
    return err;
}

/* Of all that the laptop holds. */
static void sum_digests(struct hm_village_node *n, struct hm_hash *out)
{
    struct hm_village *v = hm_fuzz_rollback_village();

    *out = (struct hm_hash){0};
    for (size_t i = 0; i < HM_VILLAGE_HAMLETS; i++) {
        struct hm_hash digest = hm_village_digest(n, v->hamlets[i]);

        hm_digest_add(out, &digest);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hm_village_node *n = hm_fuzz_rollback_laptop();
    struct hm_adopt out = {0};
    struct hm_hash first;
    struct hm_hash second;
    struct hm_buf reply;

    hm_buf_init(&reply, 2 * HM_REPLY_BYTES_MAX);
    make_reply(hm_bytes_of(data, size), &reply);
    hm_fuzz_rollback_begin(n);
    if (adopt(n, hm_buf_bytes(&reply), &out) == HM_OK) {
        hm_fuzz_rollback_check(n);
        HM_FUZZ_CHECK(memchr(out.text, 0, sizeof out.text) != NULL);
        sum_digests(n, &first);
        if (adopt(n, hm_buf_bytes(&reply), &out) == HM_OK) {
            hm_fuzz_rollback_check(n);
            sum_digests(n, &second);
            HM_FUZZ_CHECK(hm_hash_equal(&first, &second));
        }
    }
    hm_fuzz_rollback_end(n);
    hm_fuzz_rollback_check(n);
    hm_buf_deinit(&reply);
    return 0;
}
