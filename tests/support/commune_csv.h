/* The made-up commune as a file for `hamlet import`: field names first, a household on
 * each line, members side by side as members[1].name, members[1].sex, ...
 *
 * Knows nothing of files. Allocates in the caller's buffer only; any thread. */
#ifndef HM_TESTS_SUPPORT_COMMUNE_CSV_H
#define HM_TESTS_SUPPORT_COMMUNE_CSV_H

#include <stdbool.h>

#include "protocol/buf.h"
#include "tests/support/commune.h"

struct hm_commune_csv {
    uint64_t seed;
    const char *const *hamlets; /* codes, the values of `scope` */
    size_t hamlet_count;        /* > 0 */
    size_t member_columns; /* 1 .. HM_COMMUNE_MEMBERS_MAX; members beyond are cut */
    /* As it comes out of a spreadsheet: byte order mark, semicolons, CRLF, stray
     * blanks, decomposed letters, lost leading zeros, line breaks in cells, and some
     * lines that no import may accept. Otherwise: UTF-8 in NFC, commas, LF. */
    bool messy;
};

/* Both append to out; a failure sticks in out->err. */
void hm_commune_csv_header(const struct hm_commune_csv *csv, struct hm_buf *out);
/* Why an import must reject the line (static: "scope", "sex" or "birth_date"), NULL for
 * a good one. Always NULL when not messy. */
const char *hm_commune_csv_line(const struct hm_commune_csv *csv, uint64_t index,
                                struct hm_buf *out);

#endif
