/* The records of a CSV file as the bytes they are: where each begins and ends, nothing
 * about what it says. Cuts like libcsv, which the node reads with: a quote opens a
 * quoted field only at its start, and only a quote before a separator or the end closes
 * it. Blocks on the file. One thread. */
#ifndef HM_DAEMON_CLI_CLI_CSV_H
#define HM_DAEMON_CLI_CLI_CSV_H

#include <stdint.h>
#include <stdio.h>

#include "protocol/buf.h"
#include "protocol/bytes.h"

enum { HM_CLI_RECORD_BYTES_MAX = 1024 * 1024 };

struct hm_cli_csv {
    FILE *file;     /* borrowed, read from where it stands */
    uint64_t line;  /* the physical line that is read next, from 1 */
    char separator; /* 0 until the first record told it */
};

/* first without its byte order mark, if it begins with one. */
struct hm_bytes hm_cli_csv_skip_mark(struct hm_bytes first);

/* The separator that stands more often outside quotes; comma when neither does.
 * A byte order mark is skipped. */
char hm_cli_csv_separator(struct hm_bytes first);

/* Read the next record into record (emptied first) without its line end; *out_line is
 * the physical line on which it begins. The first record sets the separator.
 *
 * Errors:
 *   HM_NOTFOUND  the file has ended
 *   HM_TOOBIG    a record exceeds record's limit
 *   HM_IO, HM_NOMEM */
int hm_cli_csv_next(struct hm_cli_csv *csv, struct hm_buf *record,
                    uint64_t *out_line) HM_MUST_USE;

/* The index of the separator that ends the field that begins at from, or record.len. */
size_t hm_cli_csv_cut(struct hm_bytes record, char separator, size_t from);

/* Append a field's value without its quotes; blanks around it are dropped. */
void hm_cli_csv_value(struct hm_buf *to, struct hm_bytes field);

/* Append value as a field, quoted where needed. */
void hm_cli_csv_quote(struct hm_buf *to, struct hm_bytes value, char separator);

#endif
