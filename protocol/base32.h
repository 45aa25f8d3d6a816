/* Crockford's base32, for codes that people read aloud and type: no I, L, O or U; upper
 * case, in groups of four between dashes.
 *
 * Pure: no state, any thread; allocates only through the buffer given. */
#ifndef HM_PROTOCOL_BASE32_H
#define HM_PROTOCOL_BASE32_H

#include "protocol/buf.h"

/* Append the text of bytes. The last character is filled up with zero bits. */
void hm_base32_encode(struct hm_bytes bytes, struct hm_buf *out);

/* Append the bytes of text. Lower case, dashes and spaces anywhere or nowhere, O for 0,
 * I and L for 1 are read as what they stand for. On error out keeps its length.
 *
 * Errors:
 *   HM_MALFORMED     another character, or a length that no bytes have
 *   HM_NONCANONICAL  the bits that fill up are not zero
 *   HM_NOMEM, HM_TOOBIG  of out */
HM_MUST_USE int hm_base32_decode(struct hm_bytes text, struct hm_buf *out);

#endif
