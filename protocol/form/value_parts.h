/* What the files of values share. Not for others. */
#ifndef HM_PROTOCOL_FORM_VALUE_PARTS_H
#define HM_PROTOCOL_FORM_VALUE_PARTS_H

#include <stdbool.h>

#include "protocol/form/value.h"

/* value_number.c */

enum hm_value_number {
    HM_VALUE_NUMBER_OK,
    HM_VALUE_NUMBER_BAD,  /* not a number */
    HM_VALUE_NUMBER_LARGE /* a number out of range */
};

/* Canonical digits with sign and point, NUL-terminated. */
struct hm_value_decimal {
    char text[2 * HM_VALUE_DIGITS_MAX + 4];
};

enum hm_value_number hm_value_parse_int(struct hm_bytes text, int64_t *out);
/* "007.50" gives "7.50", ".5" gives "0.5", "1.0E7" gives "10000000". */
enum hm_value_number hm_value_parse_decimal(struct hm_bytes text,
                                            struct hm_value_decimal *out);

/* Altitude and accuracy are valid only with their flags. */
struct hm_value_point {
    int64_t latitude; /* 1e-7 degrees */
    int64_t longitude;
    int64_t altitude_mm;
    int64_t accuracy_mm;
    bool has_altitude;
    bool has_accuracy;
};

/* "lat lon [altitude [accuracy]]" in degrees and metres. */
bool hm_value_parse_point(struct hm_bytes text, struct hm_value_point *out);
bool hm_value_point_in_range(const struct hm_value_point *point);
void hm_value_print_point(const struct hm_value_point *point, struct hm_buf *out);

/* value_time.c: true when text is a valid one of its kind. */
bool hm_value_is_date(struct hm_bytes text);
bool hm_value_is_time(struct hm_bytes text);
bool hm_value_is_datetime(struct hm_bytes text);

/* value.c */

/* Empties why and begins the sentence: "Birth year" (birth_year): */
void hm_value_why_start(struct hm_buf *why, const struct hm_field_entry *entry);
bool hm_value_is_file_name(struct hm_bytes name);

/* The next word of *left, blanks and line ends being between words; empty at the end.
 */
struct hm_bytes hm_value_word(struct hm_bytes *left);

#endif
