/* What a field is: its type, its merge policy, how often its form is filled.
 *
 * The numbers travel in field tables and are kept on disk: append, never renumber.
 * Pure: no state, any thread. */
#ifndef HM_PROTOCOL_FORM_FIELD_TYPE_H
#define HM_PROTOCOL_FORM_FIELD_TYPE_H

#include <stdbool.h>

#include "protocol/bytes.h"

/* X(NAME, number, name in texts) */
/* clang-format off */
#define HM_FIELD_TYPE_TABLE(X)     \
    X(STRING,    1, "string")      \
    X(INT,       2, "int")         \
    X(DECIMAL,   3, "decimal")     \
    X(BOOLEAN,   4, "boolean")     \
    X(DATE,      5, "date")        \
    X(TIME,      6, "time")        \
    X(DATETIME,  7, "dateTime")    \
    X(SELECT1,   8, "select1")     \
    X(SELECT,    9, "select")      \
    X(RANK,     10, "rank")        \
    X(GEOPOINT, 11, "geopoint")    \
    X(GEOTRACE, 12, "geotrace")    \
    X(GEOSHAPE, 13, "geoshape")    \
    X(BINARY,   14, "binary")      \
    X(BARCODE,  15, "barcode")     \
    X(INTENT,   16, "intent")

#define HM_FIELD_POLICY_TABLE(X)                 \
    X(ASK,       1, "ask")                       \
    X(ANSWERED,  2, "answered-beats-unknown")    \
    X(UNION,     3, "union")                     \
    X(MAX,       4, "max")                       \
    X(LATEST,    5, "latest")                    \
    X(AUTHORITY, 6, "authority")                 \
    X(DERIVED,   7, "derived")

#define HM_FORM_FILL_TABLE(X)    \
    X(ONCE,      1, "once")      \
    X(PER_ROUND, 2, "per-round") \
    X(MANY,      3, "many")
/* clang-format on */

enum hm_field_type {
#define HM_FIELD_TYPE_ENUM(name, number, text) HM_FIELD_TYPE_##name = (number),
    HM_FIELD_TYPE_TABLE(HM_FIELD_TYPE_ENUM)
#undef HM_FIELD_TYPE_ENUM
};

enum hm_field_policy {
#define HM_FIELD_POLICY_ENUM(name, number, text) HM_FIELD_POLICY_##name = (number),
    HM_FIELD_POLICY_TABLE(HM_FIELD_POLICY_ENUM)
#undef HM_FIELD_POLICY_ENUM
};

enum hm_form_fill {
#define HM_FORM_FILL_ENUM(name, number, text) HM_FORM_FILL_##name = (number),
    HM_FORM_FILL_TABLE(HM_FORM_FILL_ENUM)
#undef HM_FORM_FILL_ENUM
};

/* By what two households may be known as one family: hamlet:same-by. Kept on disk:
 * append, never renumber. */
enum hm_field_likeness {
    HM_FIELD_LIKENESS_NONE = 0,
    HM_FIELD_LIKENESS_ID_NUMBER = 1,
    HM_FIELD_LIKENESS_PHONE = 2,
    HM_FIELD_LIKENESS_NAME = 3, /* together with a year in the same row */
    HM_FIELD_LIKENESS_BIRTH_YEAR = 4
};

/* Static text; "?" for a number that is not in the table. */
const char *hm_field_type_name(enum hm_field_type type);
const char *hm_field_policy_name(enum hm_field_policy policy);
const char *hm_form_fill_name(enum hm_form_fill fill);

/* False when the number is not in the table; *out is then unchanged. */
bool hm_field_type_of_number(uint64_t number, enum hm_field_type *out);
bool hm_field_policy_of_number(uint64_t number, enum hm_field_policy *out);

/* The type that a bind's @type names, its prefix ("xsd:", "odk:") ignored; "integer" is
 * int. False when there is none; *out is then unchanged. */
bool hm_field_type_parse(struct hm_bytes text, enum hm_field_type *out);
/* Blanks stand for hyphens: "answered beats unknown". False: no such policy. */
bool hm_field_policy_parse(struct hm_bytes text, enum hm_field_policy *out);
/* "id-number", "phone", "name", "birth-year". */
bool hm_field_likeness_parse(struct hm_bytes text, enum hm_field_likeness *out);
bool hm_form_fill_parse(struct hm_bytes text, enum hm_form_fill *out);

/* True when cells written as from stay readable as to: equal types; string, select1 and
 * barcode among each other; int to decimal. */
bool hm_field_type_fits(enum hm_field_type from, enum hm_field_type to);

#endif
