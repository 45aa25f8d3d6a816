/* One answer: between the text that forms write and the bytes that a cell holds.
 *
 *   string, barcode, intent  text in NFC, not trimmed, 1..4096 bytes
 *   select1                  the choice's value, as text
 *   int                      integer of 64 bits with sign
 *   decimal                  text of digits, "-?0|[1-9]digits[.digits]": lossless; an
 *                            integer, too, where the field was an int once
 *   boolean                  boolean
 *   date, time, dateTime     text, as it was written
 *   select                   array of texts, unique, sorted by bytes
 *   rank                     array of texts, unique, in their order
 *   geopoint                 array: latitude and longitude in 1e-7 degrees, altitude
 * and accuracy in mm, each of these two nil when unknown geotrace, geoshape       array
 * of such points binary                   file name; or array: BLAKE2b-256 of the
 * content, file name any                      nil: cleared
 *
 * Pure: no state, any thread. Knows nothing of expressions: constraints and relevance
 * are not judged here. */
#ifndef HM_PROTOCOL_FORM_VALUE_H
#define HM_PROTOCOL_FORM_VALUE_H

#include "protocol/buf.h"
#include "protocol/form/field_table.h"

enum {
    HM_VALUE_TEXT_BYTES_MAX = 4096,
    HM_VALUE_DIGITS_MAX = 40,  /* of a decimal, on either side of the point */
    HM_VALUE_ITEMS_MAX = 1000, /* of a select or rank; points of a trace */
    HM_VALUE_FILE_NAME_BYTES_MAX = 255,
    HM_VALUE_HASH_BYTES = 32,
    HM_VALUE_WHY_BYTES_MAX = 4096 /* is enough for every sentence in why */
};

/* Append the cell value of text to out. Empty text is nil. Blanks around text are
 * dropped for all types but string, barcode and intent. table holds the choices of
 * entry. On error nothing is appended, and why, emptied first, holds one sentence for
 * people: the field, what is wrong, what is allowed.
 *
 * Errors:
 *   HM_INVALID  text is not an answer to this field; see why
 *   HM_NOMEM, HM_TOOBIG  out or why could not grow; why may be empty */
HM_MUST_USE int hm_value_from_text(const struct hm_field_table *table,
                                   const struct hm_field_entry *entry,
                                   struct hm_bytes text, struct hm_buf *out,
                                   struct hm_buf *why);

/* Append the text of a value that hm_value_check() accepts, as a form would write it;
 * nothing for nil. The type shows in the value itself, so no field is needed and the
 * values of unknown ones can be shown, too. On error nothing is appended.
 *
 * Errors:
 *   HM_MALFORMED  no type has such a value
 *   HM_NOMEM, HM_TOOBIG  out could not grow */
HM_MUST_USE int hm_value_to_text(struct hm_bytes value, struct hm_buf *out);

/* value, from wherever, is one canonical msgpack item that fits the field's type.
 * Choices are not looked up: a node with another version of the form may know more of
 * them.
 *
 * Errors:
 *   HM_INVALID  it is not; why, emptied first, says so in one sentence
 *   HM_NOMEM, HM_TOOBIG  why could not grow */
HM_MUST_USE int hm_value_check(const struct hm_field_entry *entry,
                               struct hm_bytes value, struct hm_buf *why);

/* Append the value of a binary field whose file has arrived; hash has
 * HM_VALUE_HASH_BYTES. Errors are in out->err. */
void hm_value_of_file(struct hm_bytes hash, const char *name, struct hm_buf *out);

#endif
