/* The judge of the guard: what it accepts, msgpack-c decodes to the last byte and packs
 * into the same bytes again, and our own reader takes as a whole. */
#include <msgpack.h>

#include "protocol/guard.h"
#include "protocol/pack.h"
#include "tests/fuzz/fuzz.h"

static void check_by_msgpack_c(struct hm_bytes bytes)
{
    msgpack_unpacked out;
    msgpack_sbuffer again;
    msgpack_packer packer;
    size_t offset = 0;

    msgpack_unpacked_init(&out);
    HM_FUZZ_CHECK(msgpack_unpack_next(&out, (const char *)bytes.data, bytes.len,
                                      &offset) == MSGPACK_UNPACK_SUCCESS);
    HM_FUZZ_CHECK(offset == bytes.len);
    msgpack_sbuffer_init(&again);
    msgpack_packer_init(&packer, &again, msgpack_sbuffer_write);
    HM_FUZZ_CHECK(msgpack_pack_object(&packer, out.data) == 0);
    HM_FUZZ_CHECK(hm_bytes_equal(hm_bytes_of(again.data, again.size), bytes));
    msgpack_sbuffer_destroy(&again);
    msgpack_unpacked_destroy(&out);
}

static void check_accepted(struct hm_bytes bytes)
{
    struct hm_reader r = {.left = bytes};
    struct hm_bytes item = {0};

    HM_FUZZ_CHECK(hm_guard_first(bytes, &item) == HM_OK);
    HM_FUZZ_CHECK(item.data == bytes.data && item.len == bytes.len);
    HM_FUZZ_CHECK(hm_guard_depth(bytes) <= HM_GUARD_DEPTH_MAX);
    HM_FUZZ_CHECK(hm_bytes_equal(hm_unpack_raw(&r), bytes));
    HM_FUZZ_CHECK(hm_unpack_end(&r) == HM_OK);
    check_by_msgpack_c(bytes);
    /* Every part of it is missed. */
    HM_FUZZ_CHECK(hm_guard_check(hm_bytes_of(bytes.data, bytes.len - 1)) != HM_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hm_bytes bytes = hm_bytes_of(data, size);
    struct hm_bytes item = {0};
    int err = hm_guard_check(bytes);

    HM_FUZZ_ERR(err, HM_FUZZ_GUARD_ERRORS);
    if (err == HM_OK) {
        check_accepted(bytes);
    } else if (hm_guard_first(bytes, &item) == HM_OK) {
        HM_FUZZ_CHECK(err == HM_MALFORMED && item.len < bytes.len);
        check_accepted(item);
    }
    HM_FUZZ_ERR(hm_guard_text(bytes), HM_MALFORMED, HM_NONCANONICAL, HM_TOOBIG);
    return 0;
}
