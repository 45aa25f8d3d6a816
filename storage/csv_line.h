/* Where a physical line of a CSV file ends: at LF, CRLF or CR.
 *
 * Pure; any thread. */
#ifndef HM_STORAGE_CSV_LINE_H
#define HM_STORAGE_CSV_LINE_H

#include "protocol/bytes.h"

/* The length of the first line of rest, with its end. Looks at no byte behind it, so
 * that a file is read in time proportional to its size. */
static inline size_t hm_csv_line_bytes(struct hm_bytes rest)
{
    for (size_t i = 0; i < rest.len; i++) {
        if (rest.data[i] == '\n') {
            return i + 1;
        }
        if (rest.data[i] == '\r') {
            return i + 1 + (i + 1 < rest.len && rest.data[i + 1] == '\n' ? 1 : 0);
        }
    }
    return rest.len;
}

#endif
