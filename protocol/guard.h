/* The check that every msgpack byte from outside passes before anything else reads it.
 *
 * Proves that each announced element is present, so no reader allocates by a length
 * that a peer made up (msgpack-c 4.0.0 asks for 137 GB after five such bytes), and that
 * the bytes are in the one canonical form, so that equal data has equal hashes:
 * shortest integers and lengths, map keys non-negative integers in rising order, floats
 * of 8 bytes without NaN, text valid UTF-8 in NFC without control characters other than
 * tab and line feed.
 *
 * Pure: no allocation, no recursion, any thread. */
#ifndef HM_PROTOCOL_GUARD_H
#define HM_PROTOCOL_GUARD_H

#include "protocol/bytes.h"

enum {
    HM_GUARD_DEPTH_MAX = 8,
    HM_GUARD_TEXT_BYTES_MAX = 4096,
    HM_GUARD_BIN_BYTES_MAX = 64 * 1024
};

/* bytes are exactly one item.
 *
 * Errors:
 *   HM_TRUNCATED     an announced element is missing
 *   HM_MALFORMED     bytes are left over, an unused type, text that is not UTF-8
 *   HM_TOOBIG        nesting, text or binary over its limit
 *   HM_NONCANONICAL  not the canonical form */
int hm_guard_check(struct hm_bytes bytes) HM_MUST_USE;

/* The first item of bytes; *out_item is a view of it. Errors as above, but bytes may be
 * left over. */
int hm_guard_first(struct hm_bytes bytes, struct hm_bytes *out_item) HM_MUST_USE;

/* How many arrays and maps lie in one another in an accepted item: 0 for a plain value.
 */
size_t hm_guard_depth(struct hm_bytes item);

/* text is valid UTF-8 in NFC, without control characters other than tab and line feed.
 * Errors: HM_MALFORMED, HM_NONCANONICAL (not NFC), HM_TOOBIG (> 4096 bytes). */
int hm_guard_text(struct hm_bytes text) HM_MUST_USE;

#endif
